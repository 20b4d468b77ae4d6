"""The report of a survey as JSON: the same ``doorward.report/1``, written from a stream.

The systems of a survey lie on disk as documents and pass through one by one, so ten systems and a hundred thousand take
the same memory. What stands around them is small and comes as a ``SurveyFrame``.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from doorward.audit.report.model import (
    CountryModel,
    GroupsModel,
    Report,
    ScanModel,
    SystemModel,
    TotalsModel,
)
from doorward.audit.report.outputs import report_json, write_parts
from doorward.audit.report.sums import Sums


@dataclass(frozen=True, slots=True, kw_only=True)
class SurveyFrame:
    """Everything of a survey's report but its systems."""

    scan: ScanModel
    totals: TotalsModel
    countries: tuple[CountryModel, ...] = ()
    groups: GroupsModel = field(default_factory=GroupsModel)


def survey_frame(scan: ScanModel, found: Sums) -> SurveyFrame:
    """Return the frame of a survey from its sums."""
    return SurveyFrame(
        scan=scan, totals=found.totals, countries=found.countries, groups=found.groups
    )


def system_document(system: SystemModel) -> str:
    """Return one system as the JSON text that ``json_parts`` takes: one line, without spaces."""
    return system.model_dump_json()


#: How a report without systems ends.
_NO_SYSTEMS = '"systems": []\n}\n'


def json_parts(frame: SurveyFrame, documents: Iterable[str]) -> Iterator[str]:
    """Yield the parts of the report; ``documents`` are systems as JSON texts, worst first, each taken once.

    One system stands on one line where its document does. The documents are trusted to be what ``system_document`` made.
    """
    empty = report_json(
        Report(
            scan=frame.scan,
            totals=frame.totals,
            countries=frame.countries,
            groups=frame.groups,
            systems=(),
        )
    )
    yield empty.removesuffix(_NO_SYSTEMS)
    yield '"systems": ['
    separator = "\n    "
    for document in documents:
        yield separator
        yield document.strip()
        separator = ",\n    "
    yield "\n  ]\n}\n"


def write_json(frame: SurveyFrame, documents: Iterable[str], file: Path) -> None:
    """Write the whole report or none, in constant memory; raise ConfigError where the file cannot be written."""
    write_parts(file, json_parts(frame, documents))
