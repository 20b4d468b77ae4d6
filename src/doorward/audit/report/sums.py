"""Standings in, sums out: the only place that adds numbers up, for an audit of one system as for a survey of thousands.

Theory of operation: one pass; each system is added to the whole and to every group that it belongs to, and forgotten. A
sum is never sounder than the weakest number in it, and a system that may be there and did not answer makes it a lower
bound. Systems that look like honeypots are counted as left out and add nothing, unless the operator wants them counted.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any

from doorward.audit.facts import Count, Exactness
from doorward.audit.report.model import (
    CountModel,
    CountryModel,
    GroupModel,
    GroupsModel,
    TotalsModel,
)
from doorward.audit.report.untrusted import harmless
from doorward.audit.standing import Standing
from doorward.audit.verdict import Severity

#: From the worst on. Reading comes before writing, as in the grade (docs/grading.md); T and V say nothing of how far a
#: stranger gets.
WORST_RUNGS = ("E6", "E5", "E7", "W3", "W2", "W1", "E4", "E3", "E2", "E1", "E0")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sums:
    """All sums of one audit or survey."""

    totals: TotalsModel
    countries: tuple[CountryModel, ...] = ()
    groups: GroupsModel = field(default_factory=GroupsModel)


def sums(standings: Iterable[Standing], *, count_suspected: bool) -> Sums:
    """Return the totals, the sums by country and those by site, owner, product and worst rung, in one pass."""
    whole = _Sum()
    groups: dict[str, dict[str, _Sum]] = {kind: {} for kind in _KEYS}
    for standing in standings:
        whole.add(standing, count_suspected=count_suspected)
        for kind, key_of in _KEYS.items():
            found = groups[kind]
            key = key_of(standing)
            if key not in found:
                found[key] = _Sum()
            found[key].add(standing, count_suspected=count_suspected)
    return Sums(
        totals=TotalsModel(**whole.fields()),
        countries=_countries(groups["country"]),
        groups=GroupsModel(
            sites=_groups(groups["site"]),
            owners=_groups(groups["owner"]),
            products=_groups(groups["product"]),
            rungs=_rungs(groups["rung"]),
        ),
    )


def totals(standings: Iterable[Standing], *, count_suspected: bool) -> TotalsModel:
    """Return the sums over all systems, in one pass."""
    whole = _Sum()
    for standing in standings:
        whole.add(standing, count_suspected=count_suspected)
    return TotalsModel(**whole.fields())


def by_country(standings: Iterable[Standing], *, count_suspected: bool) -> tuple[CountryModel, ...]:
    """Return the sums over each country, most open systems first; none where no country is known."""
    return sums(standings, count_suspected=count_suspected).countries


def together(parts: Iterable[TotalsModel]) -> TotalsModel:
    """Return the sums over several groups that have no system in common; countries are not added up again."""
    whole = _Sum()
    for part in parts:
        whole.add_sums(part)
    return TotalsModel(**whole.fields())


def worst_rung(rungs: Iterable[str]) -> str:
    """Return the worst rung that a system reached, "" where it reached none."""
    reached = frozenset(rungs)
    return next((rung for rung in WORST_RUNGS if rung in reached), "")


def worst_first(
    standing: Standing, *, count_suspected: bool = False
) -> tuple[bool, int, int, int, bytes, str]:
    """Return the key by which systems are sorted: grade, then how much lies open, then the address.

    Not rated goes behind the rated: it is neither good nor bad. What looks like a honeypot goes last: nobody is exposed.
    """
    score = 101 if standing.score is None else standing.score
    studies = standing.counts.studies.value if standing.is_unprotected else 0
    is_last = standing.is_suspected and not count_suspected
    try:
        address = ip_address(standing.address)
    except ValueError:  # a name that could not be resolved stands for its system
        return is_last, score, -(studies or 0), 0, b"", standing.address
    return is_last, score, -(studies or 0), address.version, address.packed, ""


# --- one sum ----------------------------------------------------------------------------------------------------------

#: From the soundest to the least sound. An estimate may lie above the truth, so a sum that holds one is no lower bound.
_SOUNDNESS = (
    Exactness.EXACT_COUNTER,
    Exactness.EXACT_ENUMERATED,
    Exactness.AT_LEAST,
    Exactness.ESTIMATED,
)
_RANK: Mapping[str, int] = {exactness.value: rank for rank, exactness in enumerate(_SOUNDNESS)}
_ENUMERATED, _AT_LEAST = _RANK[Exactness.EXACT_ENUMERATED], _RANK[Exactness.AT_LEAST]


@dataclass(slots=True)
class _Number:
    """The sum of one kind of count over the open systems."""

    total: int = 0
    known: int = 0
    missing: int = 0
    rank: int = 0

    def add(self, count: Count) -> None:
        """Take the count of one system."""
        self.add_part(count.value, count.exactness.value, 1)

    def add_part(self, value: int | None, exactness: str, systems: int) -> None:
        """Take a number that is the sum over so many systems."""
        if value is None:
            self.missing += systems
            return
        self.total += value
        self.known += systems
        self.rank = max(self.rank, _RANK.get(exactness, _AT_LEAST))

    def count(self, unanswered: int, systems: int) -> CountModel:
        """Return the sum; ``unanswered`` of the ``systems`` might have been open too."""
        missing = self.missing + unanswered
        if not self.known and (missing or not systems):
            return CountModel(value=None, exactness="unknown", method="no system could be counted")
        rank = self.rank if self.known else _ENUMERATED
        if missing:
            rank = max(rank, _AT_LEAST)
        method = f"sum over {_systems(self.known)}" if self.known else "no system was open"
        if self.known and missing:
            method += f"; {_systems(missing)} could not be counted"
        return CountModel(value=self.total, exactness=_SOUNDNESS[rank].value, method=method)


@dataclass(slots=True)
class _Sum:
    """The sums over the systems added so far."""

    systems: int = 0
    left_out: int = 0
    speaking_dicom: int = 0
    unprotected: int = 0
    downloadable: int = 0
    writable: int = 0
    tested: int = 0
    unanswered: int = 0
    critical: int = 0
    weak: int = 0
    web_viewers_plain_http: int = 0
    file_listings: int = 0
    exposed: set[str] | None = None  # made when needed: a survey may have a group for each system
    patients: _Number = field(default_factory=_Number)
    studies: _Number = field(default_factory=_Number)
    images: _Number = field(default_factory=_Number)
    images_downloadable: _Number = field(default_factory=_Number)

    def add(self, standing: Standing, *, count_suspected: bool) -> None:
        """Take one system."""
        if standing.is_suspected and not count_suspected:
            self.left_out += 1
            return
        rungs, severity = standing.rungs, standing.worst_severity
        self.systems += 1
        self.speaking_dicom += "E2" in rungs
        self.writable += standing.is_writable
        self.tested += standing.is_tested
        # Somebody may be there and did not answer: whatever was found elsewhere is then only a lower bound.
        self.unanswered += standing.is_silent and not standing.is_tested
        self.critical += severity is Severity.CRITICAL
        self.weak += severity in (Severity.MEDIUM, Severity.HIGH)
        self.web_viewers_plain_http += "W2" in rungs
        self.file_listings += "W3" in rungs
        if standing.is_unprotected:
            self._add_open(standing)
        if standing.is_downloadable:
            self.downloadable += 1
            self.images_downloadable.add(standing.counts.images_downloadable)

    def _add_open(self, standing: Standing) -> None:
        self.unprotected += 1
        self.patients.add(standing.counts.patients)
        self.studies.add(standing.counts.studies)
        self.images.add(standing.counts.images)
        if standing.place.country:
            self.exposed = self.exposed or set()
            self.exposed.add(standing.place.country)

    def add_sums(self, part: TotalsModel) -> None:
        """Take the sums over other systems."""
        for name in _PLAIN:
            setattr(self, name, getattr(self, name) + getattr(part, name))
        for name in ("patients", "studies", "images"):
            self._add_number(name, getattr(part, name), part.unprotected)
        self._add_number("images_downloadable", part.images_downloadable, part.downloadable)

    def _add_number(self, name: str, count: CountModel, systems: int) -> None:
        # Of a group without an open system, ``unanswered`` says all there is to say.
        if systems:
            getattr(self, name).add_part(count.value, count.exactness, systems)

    def fields(self) -> dict[str, Any]:
        """Return the fields of a TotalsModel."""
        numbers = {
            name: getattr(self, name).count(self.unanswered, self.systems) for name in _NUMBERS
        }
        plain = {name: getattr(self, name) for name in _PLAIN}
        return {**plain, **numbers, "exposed_countries": len(self.exposed or ())}


_NUMBERS = ("patients", "studies", "images", "images_downloadable")
_PLAIN = (
    *("systems", "left_out", "speaking_dicom", "unprotected", "downloadable", "writable"),
    *("tested", "unanswered", "critical", "weak", "web_viewers_plain_http", "file_listings"),
)


def _systems(number: int) -> str:
    return "1 system" if number == 1 else f"{number:,} systems"


# --- groups -----------------------------------------------------------------------------------------------------------

#: Kind of group -> what the systems of one group have in common. Two texts that a reader cannot tell apart are one.
_KEYS: Mapping[str, Callable[[Standing], str]] = {
    "country": lambda standing: harmless(standing.place.country),
    "site": lambda standing: harmless(standing.place.site),
    "owner": lambda standing: harmless(standing.place.owner),
    "product": lambda standing: harmless(standing.product),
    "rung": lambda standing: worst_rung(standing.rungs),
}


def _countries(found: Mapping[str, _Sum]) -> tuple[CountryModel, ...]:
    return tuple(CountryModel(country=key, **one.fields()) for key, one in _most_open_first(found))


def _groups(found: Mapping[str, _Sum]) -> tuple[GroupModel, ...]:
    return tuple(GroupModel(key=key, **one.fields()) for key, one in _most_open_first(found))


def _rungs(found: Mapping[str, _Sum]) -> tuple[GroupModel, ...]:
    order: Sequence[str] = [rung for rung in (*WORST_RUNGS, "") if rung in found]
    return tuple(GroupModel(key=key, **found[key].fields()) for key in order)


def _most_open_first(found: Mapping[str, _Sum]) -> Iterator[tuple[str, _Sum]]:
    """Yield the groups in the order of a table; what is not known comes last."""
    if not any(found):  # nothing is known of any system: one row without a name tells nothing
        return
    yield from sorted(found.items(), key=_openness)


def _openness(row: tuple[str, _Sum]) -> tuple[bool, int, int, int, str]:
    key, one = row
    return not key, -one.unprotected, -one.studies.total, -one.systems, key
