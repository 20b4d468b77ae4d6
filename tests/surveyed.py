"""A small survey made by hand, for the tests of its reports: standings and documents from the systems of
``judged_systems``, put into places. All synthetic."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

from doorward.audit.facts import UNKNOWN_COUNT, Count
from doorward.audit.place import NOWHERE, Place
from doorward.audit.report.assemble import scan_model, system_model
from doorward.audit.report.model import CoverageModel, HoneypotModel
from doorward.audit.report.sums import sums, worst_first
from doorward.audit.report.survey import SurveyFrame, survey_frame, system_document
from doorward.audit.standing import Standing, standing
from doorward.audit.verdict import Counts, JudgedSystem
from judged_systems import OPEN, RECORD, SHUT, SILENT, WRITABLE, counted, facts

SWISS = Place(site="Site A", owner="Example Hospital", contact="it@example.test", country="CH")
GERMAN = Place(site="Site B", owner="Example Trust", country="DE", network_operator="Example Net")

#: The rung E6 needs images that can be taken; without it an archive only tells.
_TELLS = ("E1", "E2", "E3", "E4", "E5", "T")


def archive(address: str, studies: int | Count, *, is_downloadable: bool = True) -> JudgedSystem:
    """An open archive with ten images for each study and half as many patients as studies."""
    count = counted(studies) if isinstance(studies, int) else studies
    known = count.value
    images = UNKNOWN_COUNT if known is None else counted(known * 10, count.exactness)
    return replace(
        OPEN,
        facts=facts(address),
        rungs=OPEN.rungs if is_downloadable else _TELLS,
        counts=Counts(
            patients=UNKNOWN_COUNT if known is None else counted(known // 2),
            studies=count,
            images=images,
            images_downloadable=images if is_downloadable else UNKNOWN_COUNT,
        ),
    )


def moved(system: JudgedSystem, address: str) -> JudgedSystem:
    """The same system at another address, without a name."""
    return replace(system, facts=facts(address))


#: Two countries, one place that nobody knows, and one system of each kind.
SYSTEMS: tuple[tuple[JudgedSystem, Place], ...] = (
    (archive("127.0.3.1", 1_000), SWISS),
    (archive("127.0.3.2", 200, is_downloadable=False), GERMAN),
    (archive("127.0.3.3", 30), GERMAN),
    (moved(WRITABLE, "127.0.3.4"), GERMAN),
    (moved(SHUT, "127.0.3.5"), NOWHERE),
    (moved(SILENT, "127.0.3.6"), NOWHERE),
)


def survey(
    systems: Sequence[tuple[JudgedSystem, Place]] = SYSTEMS, *, suspected: Sequence[str] = ()
) -> tuple[SurveyFrame, list[str]]:
    """The frame and the documents, worst first; addresses in ``suspected`` look like honeypots."""
    found: list[tuple[Standing, str]] = []
    for judged, place in systems:
        is_suspected = judged.facts.address in suspected
        model = system_model(judged, place)
        if is_suspected:
            sign = HoneypotModel(score=80, is_suspected=True, signs=("it names a known honeypot",))
            model = model.model_copy(update={"honeypot": sign})
        one = replace(standing(judged, place), is_suspected=is_suspected)
        found.append((one, system_document(model)))
    found.sort(key=lambda pair: worst_first(pair[0]))
    record = replace(
        RECORD, targets=len(systems), finished_at=RECORD.started_at + timedelta(minutes=4)
    )
    coverage = CoverageModel(
        targets=len(systems),
        systems=len(systems),
        ports=12,
        connections=40,
        questions_answered=30,
        questions_inconclusive=5,
        questions_failed=1,
        questions_not_asked=20,
    )
    frame = survey_frame(
        scan_model(record, coverage), sums((one for one, _ in found), count_suspected=False)
    )
    return frame, [document for _, document in found]
