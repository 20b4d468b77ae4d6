"""The verdict on all systems claims no more than the facts."""

from dataclasses import replace

import pytest

from doorward.audit.place import NOWHERE
from doorward.audit.report.assemble import assemble
from doorward.audit.report.model import TotalsModel
from doorward.audit.report.overall import duration, summary, survey_summary
from doorward.audit.report.wording import Tone
from doorward.audit.verdict import JudgedSystem, Severity, Verdict
from judged_systems import OPEN, RECORD, SHUT, SILENT, WRITABLE, facts, finding
from surveyed import archive, moved, survey


def _shut_but(severity: Severity, check: str = "x") -> JudgedSystem:
    more = finding(check, Verdict.FAIL, severity, "T", evidence="E.")
    return replace(SHUT, findings=(*SHUT.findings, more))


@pytest.mark.parametrize(
    ("systems", "tone", "sentence"),
    [
        ([OPEN, SHUT], Tone.OPEN, "1 of 2 systems answers strangers."),
        (
            [OPEN, replace(OPEN, facts=facts("127.0.0.9")), WRITABLE],
            Tone.OPEN,
            "2 of 3 systems answer strangers; 1 lets them add images.",
        ),
        ([WRITABLE, SHUT], Tone.OPEN, "1 of 2 systems lets strangers add images."),
        (
            [_shut_but(Severity.CRITICAL, "db_no_password"), moved(SHUT, "127.0.0.8")],
            Tone.OPEN,
            "No archive answered strangers, but 1 system stands open in another way.",
        ),
        (
            [_shut_but(Severity.HIGH), SHUT],
            Tone.WEAK,
            "No archive answered strangers; 1 system can be protected better.",
        ),
        ([SHUT, SILENT], Tone.SHUT, "No open door was found in 1 system."),
        ([SILENT], Tone.UNKNOWN, "Nothing could be tested."),
        ([], Tone.UNKNOWN, "Nothing could be tested."),
    ],
)
def test_the_summary_of_all_systems(systems: list[JudgedSystem], tone: Tone, sentence: str) -> None:
    said = summary(assemble(systems, RECORD))
    assert (said.tone, said.sentence) == (tone, sentence)
    # A survey of the same systems, judged from its sums alone, comes to the same.
    frame, _ = survey([(system, NOWHERE) for system in systems])
    said = survey_summary(frame.scan, frame.totals)
    assert (said.tone, said.sentence) == (tone, sentence)


def test_the_summary_says_what_lies_open_and_what_is_missing() -> None:
    report = assemble([OPEN, SILENT], replace(RECORD, interrupted=True))
    assert summary(report).explanation == (
        "At least 1,234 studies of at least 567 patients lie open; at least 45,678 images may be "
        "taken. 1 system could not be tested, or not fully. The audit was interrupted: what "
        "follows is incomplete."
    )


def test_the_summary_of_a_survey_says_how_much_where_and_what_is_not_known() -> None:
    frame, _ = survey(suspected=["127.0.3.3"])
    scan = frame.scan.model_copy(update={"interrupted": True})
    assert survey_summary(scan, frame.totals).explanation == (
        "At least 1,200 studies with at least 12,000 images lie open in 2 countries; at least "
        "10,000 images may be taken. 1 system gave no answer that can be judged: nothing is known "
        "about its safety. 1 more system looks like a honeypot or a demonstration and is not "
        "counted. The survey was stopped early: what follows is incomplete."
    )


def test_a_survey_without_an_open_archive_says_no_number() -> None:
    frame, _ = survey([(moved(SHUT, "127.0.3.5"), NOWHERE)])
    assert survey_summary(frame.scan, frame.totals).explanation == ""


def test_addresses_where_nobody_is_do_not_sound_safe() -> None:
    frame, _ = survey([(moved(SHUT, "127.0.3.5"), NOWHERE)])
    # 3 systems, 1 of them tested: 2 with ports that are closed
    some = frame.totals.model_copy(update={"systems": 3})
    assert survey_summary(frame.scan, some).explanation == (
        "2 systems showed nothing of an imaging system on the ports that were asked."
    )
    none = some.model_copy(update={"tested": 0, "critical": 0, "weak": 0})
    found = survey_summary(frame.scan, none)
    assert (found.tone, found.sentence) == (Tone.UNKNOWN, "Nothing could be tested.")
    assert found.explanation == (
        "3 systems were asked and no answer can be judged: nothing is known about their safety."
    )


def test_one_study_lies_open_and_two_lie() -> None:
    frame, _ = survey([(archive("127.0.3.1", 1, is_downloadable=False), NOWHERE)])
    said = survey_summary(frame.scan, frame.totals).explanation
    assert said == "1 study with 10 images lies open."
    many: TotalsModel = survey([(archive("127.0.3.1", 2), NOWHERE)])[0].totals
    assert survey_summary(frame.scan, many).explanation == (
        "2 studies with 20 images lie open; 20 images may be taken."
    )


@pytest.mark.parametrize(
    ("seconds", "words"), [(1, "1 second"), (38, "38 seconds"), (150, "2 minutes")]
)
def test_the_duration_is_said_in_words(seconds: int, words: str) -> None:
    end = RECORD.started_at.replace(minute=26 + (53 + seconds) // 60, second=(53 + seconds) % 60)
    assert duration(assemble([OPEN], replace(RECORD, finished_at=end)).scan) == words
