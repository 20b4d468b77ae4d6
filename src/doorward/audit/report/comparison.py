"""The comparison of two surveys as ``doorward.comparison/1``: the contract for scripts, and the input of the text.

Fields may be added, never renamed or removed, as long as the name ends in ``/1``. Every text is a ``Line``: strangers'
characters are already harmless.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from doorward.audit.changes import Change
from doorward.audit.compare import MEASURES, Comparison, CountryChange, Growth, Side, SystemChange
from doorward.audit.facts import Count
from doorward.audit.report.model import CountModel, CountsModel
from doorward.audit.report.untrusted import Line
from doorward.audit.verdict import Counts

SCHEMA_NAME: Final = "doorward.comparison/1"

ChangeLabel = Literal[
    "still_open",
    "closed",
    "gone",
    "set_apart",
    "unknown_now",
    "newly_open",
    "newly_listed",
    "method_improved",
    "unknown_before",
    "shut",
    "left_out",
    "unknown",
]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class NumbersModel(_Part):
    """How many systems fell into each class; every system of either survey is in exactly one."""

    still_open: int = Field(description="open in both")
    closed: int = Field(description="open before; its doors now turn strangers away")
    gone: int = Field(description="open before; nobody answers there, or it is not listed any more")
    set_apart: int = Field(description="open before; looks like a honeypot or demonstration now")
    unknown_now: int = Field(description="open before; not asked again, or no answer settles it")
    newly_open: int = Field(description="open now; was asked at this door and was not open")
    newly_listed: int = Field(description="open now; was no target before")
    method_improved: int = Field(description="open now; found because more was asked, or judged")
    unknown_before: int = Field(description="open now; no answer settled it before")
    shut: int = Field(description="open in neither, by an answer of every door")
    left_out: int = Field(description="looks like a honeypot or demonstration; not open before")
    unknown: int = Field(description="open in neither, and not settled in both: not known safe")


class SideModel(_Part):
    """One of the two surveys. The sums are over its open systems."""

    label: Line
    started_at: Line = Field(description="ISO 8601, UTC")
    clearance_level: int
    is_whole: bool = Field(
        description="false: narrowed or ended early; who is missing was not asked"
    )
    systems: int
    left_out: int = Field(description="systems that look like honeypots, not in the sums")
    unprotected: int
    downloadable: int
    countries: int = Field(description="countries with at least one open system")
    counts: CountsModel


class GrowthModel(_Part):
    """Where a difference comes from: before - left + grown + recounted + new + method = after."""

    before: CountModel
    left: CountModel = Field(description="on systems that are not known to be open any more")
    grown: CountModel = Field(description="on systems open, and counted exactly, in both")
    recounted: CountModel = Field(description="on systems open in both and not counted exactly")
    new: CountModel = Field(description="on systems that opened or were listed since")
    method: CountModel = Field(description="on systems found because the method improved")
    after: CountModel


class GrowthsModel(_Part):
    """The growth of each number."""

    patients: GrowthModel
    studies: GrowthModel
    images: GrowthModel
    images_downloadable: GrowthModel


class CountryChangeModel(_Part):
    """One country where something was open in either survey."""

    country: Line = Field(description="ISO 3166-1 alpha-2, or empty where it is not known")
    open_before: int
    open_after: int
    is_clean: bool = Field(description="all that was open is closed or gone, nothing is new")
    is_new: bool = Field(description="something is open for the first time")
    numbers: NumbersModel
    before: CountsModel
    after: CountsModel


class SystemChangeModel(_Part):
    """What became of one system that is open in either survey."""

    change: ChangeLabel
    because: Line
    address: Line
    name: Line
    site: Line
    owner: Line
    country: Line
    before: CountsModel | None = Field(description="null where it was not open")
    after: CountsModel | None = Field(description="null where it is not open")


class ComparisonReport(BaseModel):
    """Two surveys side by side: the whole document."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    schema_name: Literal["doorward.comparison/1"] = Field(default=SCHEMA_NAME, alias="schema")
    tool: Literal["doorward"] = "doorward"
    version: Line
    before: SideModel
    after: SideModel
    numbers: NumbersModel
    new: int = Field(description="open now and not known to be open before")
    not_listed: int = Field(description="of those gone: not in the later survey, so not asked")
    clean_countries: tuple[Line, ...]
    new_countries: tuple[Line, ...]
    growth: GrowthsModel
    countries: tuple[CountryChangeModel, ...]
    systems: tuple[SystemChangeModel, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SideRecord:
    """What the ledger knows of one survey beside its systems. ``started_at`` is aware and in UTC."""

    label: str
    started_at: datetime
    clearance_level: int
    is_whole: bool = True


def comparison_report(
    comparison: Comparison, *, before: SideRecord, after: SideRecord, version: str
) -> ComparisonReport:
    """Return the document of a comparison; ``version`` is the program's."""
    return ComparisonReport(
        version=version,
        before=_side(comparison.before, before),
        after=_side(comparison.after, after),
        numbers=_numbers(comparison.numbers),
        new=comparison.new,
        not_listed=comparison.not_listed,
        clean_countries=comparison.clean_countries,
        new_countries=comparison.new_countries,
        growth=GrowthsModel(**{m: _growth(comparison.growth[m]) for m in MEASURES}),
        countries=tuple(_country(row) for row in comparison.countries),
        systems=tuple(_system(change) for change in comparison.systems),
    )


def comparison_json(report: ComparisonReport) -> str:
    """Return the document as JSON; the same comparison gives the same bytes."""
    return report.model_dump_json(by_alias=True, indent=2) + "\n"


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of the document (draft 2020-12)."""
    schema = ComparisonReport.model_json_schema(by_alias=True, mode="serialization")
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": SCHEMA_NAME}
    return {**head, **schema, "title": "Doorward comparison of two surveys"}


def _side(side: Side, record: SideRecord) -> SideModel:
    return SideModel(
        label=record.label,
        started_at=record.started_at.isoformat(timespec="seconds"),
        clearance_level=record.clearance_level,
        is_whole=record.is_whole,
        systems=side.systems,
        left_out=side.left_out,
        unprotected=side.unprotected,
        downloadable=side.downloadable,
        countries=side.countries,
        counts=_counts(side.counts),
    )


def _numbers(numbers: Mapping[Change, int]) -> NumbersModel:
    return NumbersModel(**{change.value: numbers[change] for change in Change})


def _growth(growth: Growth) -> GrowthModel:
    return GrowthModel(
        before=_count(growth.before),
        left=_count(growth.left),
        grown=_count(growth.grown),
        recounted=_count(growth.recounted),
        new=_count(growth.new),
        method=_count(growth.method),
        after=_count(growth.after),
    )


def _country(row: CountryChange) -> CountryChangeModel:
    return CountryChangeModel(
        country=row.country,
        open_before=row.open_before,
        open_after=row.open_after,
        is_clean=row.is_clean,
        is_new=row.is_new,
        numbers=_numbers(row.numbers),
        before=_counts(row.before),
        after=_counts(row.after),
    )


def _system(change: SystemChange) -> SystemChangeModel:
    return SystemChangeModel(
        change=change.change.value,
        because=change.because,
        address=change.address,
        name=change.name,
        site=change.place.site,
        owner=change.place.owner,
        country=change.place.country,
        before=None if change.before is None else _counts(change.before),
        after=None if change.after is None else _counts(change.after),
    )


def _counts(counts: Counts) -> CountsModel:
    return CountsModel(**{measure: _count(getattr(counts, measure)) for measure in MEASURES})


def _count(count: Count) -> CountModel:
    return CountModel(value=count.value, exactness=count.exactness.value, method=count.method)
