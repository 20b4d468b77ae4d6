"""Two surveys in, what became of each system out: what was shut, what opened, and what was only found.

Theory of operation: pure. A system is its address. Each system of either survey falls into exactly one class of ``Change``
(changes.py); the classes with "open before" add up to the earlier number of open systems, those with "open now" to the
later one. Sums are never sounder than their parts. Growth is taken from systems that were counted exactly on both sides:
what was not known before has not grown, and a bound that was overcome is better counting, not more images.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from doorward.audit.changes import (
    NEW,
    OPEN_BEFORE,
    OPEN_NOW,
    Change,
    Pair,
    Survey,
    is_open,
    judge_pair,
)
from doorward.audit.facts import Count, Exactness
from doorward.audit.place import Place
from doorward.audit.standing import Standing
from doorward.audit.verdict import Counts

#: The numbers that are compared: the fields of ``Counts``.
MEASURES: Final = ("patients", "studies", "images", "images_downloadable")


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """The sums of one survey over its open systems."""

    systems: int
    left_out: int
    unprotected: int
    downloadable: int
    countries: int
    counts: Counts


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemChange:
    """What became of one system that is open in either survey. ``because`` is a sentence for people."""

    change: Change
    because: str
    address: str
    name: str
    place: Place
    #: None where the system was not open on that side.
    before: Counts | None = None
    after: Counts | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Growth:
    """Where the difference of one number comes from: before - left + grown + recounted + new + method = after."""

    before: Count
    #: On systems that were open and are not, or are not known to be.
    left: Count
    #: On systems open in both and counted exactly in both; negative where they shrank.
    grown: Count
    #: On systems open in both where a number was not exact or not known: growth and better counting, not to be told apart.
    recounted: Count
    new: Count
    #: On systems that were found because the method improved.
    method: Count
    after: Count


@dataclass(frozen=True, slots=True, kw_only=True)
class CountryChange:
    """One row of the table of countries; "" gathers the systems whose country is not known."""

    country: str
    numbers: Mapping[Change, int]
    before: Counts
    after: Counts

    @property
    def open_before(self) -> int:
        """How many systems were open."""
        return _of(self.numbers, OPEN_BEFORE)

    @property
    def open_after(self) -> int:
        """How many systems are open now."""
        return _of(self.numbers, OPEN_NOW)

    @property
    def is_clean(self) -> bool:
        """All that was open is closed or gone, and nothing is new."""
        ended = _of(self.numbers, (Change.CLOSED, Change.GONE))
        return bool(self.country and ended) and ended == self.open_before and not self.open_after

    @property
    def is_new(self) -> bool:
        """Nothing was open here, and something is."""
        return bool(self.country) and not self.open_before and self.open_after > 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Two surveys side by side."""

    before: Side
    after: Side
    #: How many systems fell into each class; every class is there.
    numbers: Mapping[Change, int]
    #: Of those gone: not in the later survey at all, so that nobody asked them.
    not_listed: int
    #: By the names of ``MEASURES``.
    growth: Mapping[str, Growth]
    #: Most open systems first, then by name; only countries where something was open.
    countries: tuple[CountryChange, ...]
    #: Every system that is open in either survey, in the order of ``Change`` and of the earlier, then the later list.
    systems: tuple[SystemChange, ...]

    @property
    def new(self) -> int:
        """How many systems are open now and were not known to be open before."""
        return _of(self.numbers, NEW)

    @property
    def clean_countries(self) -> tuple[str, ...]:
        """The countries where everything that was open is closed or gone, by name."""
        return tuple(sorted(row.country for row in self.countries if row.is_clean))

    @property
    def new_countries(self) -> tuple[str, ...]:
        """The countries where something is open for the first time, by name."""
        return tuple(sorted(row.country for row in self.countries if row.is_new))


def compare(
    before: Survey, after: Survey, *, rejudged_before: Iterable[Standing] | None = None
) -> Comparison:
    """Return what became of every system of two surveys.

    ``rejudged_before`` are the earlier facts judged with today's checks: what is open in them and was not then has been
    found by a better method. Both surveys are held in memory, a few hundred bytes for each system.
    """
    earlier, later = _by_address(before.systems), _by_address(after.systems)
    found = frozenset(s.address for s in rejudged_before or () if is_open(s))
    sums = _Sums()
    for pair in _pairs(earlier, later):
        sums.add(pair, judge_pair(pair, before, after, found))
    return sums.comparison(earlier.values(), later.values())


def _by_address(systems: Iterable[Standing]) -> dict[str, Standing]:
    known: dict[str, Standing] = {}
    for standing in systems:
        # Two words on one address: the open one counts, an address is never safer than the worst word on it.
        if standing.address not in known or not is_open(known[standing.address]):
            known[standing.address] = standing
    return known


def _pairs(earlier: Mapping[str, Standing], later: Mapping[str, Standing]) -> Iterator[Pair]:
    for address, standing in earlier.items():
        yield Pair(standing, later.get(address))
    for address, standing in later.items():
        if address not in earlier:
            yield Pair(None, standing)


# --- sums -------------------------------------------------------------------------------------------------------------

_EXACT = (Exactness.EXACT_COUNTER, Exactness.EXACT_ENUMERATED)
#: From the soundest to the least: the sum of two is the later of theirs. An estimate may lie above the truth.
_SOUNDNESS = (*_EXACT, Exactness.AT_LEAST, Exactness.ESTIMATED)
#: What cannot be taken holds no images that can be taken, whether or not anybody said so.
_NOTHING_TO_TAKE = Count(value=0, exactness=Exactness.EXACT_ENUMERATED, method="no retrieval")


@dataclass(slots=True)
class _Total:
    """One sum in the making."""

    value: int = 0
    known: int = 0
    #: Without a number, though there may be one.
    missing: int = 0
    soundness: int = 0

    def add(self, count: Count) -> None:
        """Take one number, or that it is not known."""
        if count.value is None:
            self.missing += 1
            return
        self.value += count.value
        self.known += 1
        self.soundness = max(self.soundness, _SOUNDNESS.index(count.exactness))

    def count(self) -> Count:
        """Return the sum, with how far it may be trusted."""
        if self.missing and not self.known:
            return Count(value=None, exactness=Exactness.UNKNOWN, method="none could be counted")
        if not self.known:
            return Count(value=0, exactness=Exactness.EXACT_ENUMERATED, method="no such system")
        soundness = _SOUNDNESS[self.soundness]
        method = f"sum over {_systems(self.known)}"
        if self.missing:
            method += f"; {_systems(self.missing)} could not be counted"
            if soundness in _EXACT:
                soundness = Exactness.AT_LEAST
        return Count(value=self.value, exactness=soundness, method=method)


@dataclass(slots=True)
class _Totals:
    """The four sums of a group of systems."""

    totals: Mapping[str, _Total] = field(default_factory=lambda: {m: _Total() for m in MEASURES})

    def add(self, standing: Standing) -> None:
        for measure, total in self.totals.items():
            # As in the report of one survey: what cannot be taken is no gap in the sum of what can.
            if measure != "images_downloadable" or standing.is_downloadable:
                total.add(_number(standing, measure))

    def add_missing(self) -> None:
        """Take a system that may be open, for all that is known."""
        for total in self.totals.values():
            total.missing += 1

    def counts(self) -> Counts:
        return Counts(**{measure: total.count() for measure, total in self.totals.items()})


@dataclass(slots=True)
class _Country:
    numbers: dict[Change, int] = field(default_factory=lambda: dict.fromkeys(Change, 0))
    before: _Totals = field(default_factory=_Totals)
    after: _Totals = field(default_factory=_Totals)


@dataclass(slots=True)
class _Sums:
    """Everything that is added up over all pairs."""

    numbers: dict[Change, int] = field(default_factory=lambda: dict.fromkeys(Change, 0))
    not_listed: int = 0
    left: _Totals = field(default_factory=_Totals)
    grown: _Totals = field(default_factory=_Totals)
    recounted: _Totals = field(default_factory=_Totals)
    new: _Totals = field(default_factory=_Totals)
    method: _Totals = field(default_factory=_Totals)
    countries: dict[str, _Country] = field(default_factory=dict)
    changes: dict[Change, list[SystemChange]] = field(default_factory=dict)

    def add(self, pair: Pair, judged: tuple[Change, str]) -> None:
        """Take one system with its class."""
        change, because = judged
        self.numbers[change] += 1
        self.not_listed += change is Change.GONE and pair.after is None
        if change not in OPEN_BEFORE and change not in NEW:
            return
        self._add_counts(pair, change)
        self._add_country(pair, change)
        either = pair.after or pair.before
        assert either is not None
        self.changes.setdefault(change, []).append(
            SystemChange(
                change=change,
                because=because,
                address=either.address,
                name=either.name or (pair.before.name if pair.before else ""),
                place=pair.place,
                before=pair.before.counts if pair.before and pair.was_open else None,
                after=pair.after.counts if pair.after and pair.is_open else None,
            )
        )

    def _add_counts(self, pair: Pair, change: Change) -> None:
        if change is Change.STILL_OPEN:
            assert pair.before is not None
            assert pair.after is not None
            self._add_growth(pair.before, pair.after)
        elif change in OPEN_BEFORE:
            assert pair.before is not None
            self.left.add(pair.before)
        else:
            assert pair.after is not None
            (self.method if change is Change.METHOD_IMPROVED else self.new).add(pair.after)

    def _add_growth(self, before: Standing, after: Standing) -> None:
        for measure in MEASURES:
            was, now = _number(before, measure), _number(after, measure)
            if was.value is None and now.value is None:
                continue
            is_exact = was.exactness in _EXACT and now.exactness in _EXACT
            total = (self.grown if is_exact else self.recounted).totals[measure]
            total.add(_difference(was, now))

    def _add_country(self, pair: Pair, change: Change) -> None:
        row = self.countries.setdefault(pair.place.country, _Country())
        row.numbers[change] += 1
        if pair.before is not None and pair.was_open:
            row.before.add(pair.before)
        if pair.after is not None and pair.is_open:
            row.after.add(pair.after)

    def comparison(self, earlier: Iterable[Standing], later: Iterable[Standing]) -> Comparison:
        """Return all of it."""
        before, after = _side(earlier), _side(later)
        rows = [
            CountryChange(
                country=country,
                numbers=row.numbers,
                before=row.before.counts(),
                after=row.after.counts(),
            )
            for country, row in self.countries.items()
        ]
        return Comparison(
            before=before,
            after=after,
            numbers=self.numbers,
            not_listed=self.not_listed,
            growth={measure: self._growth(measure, before, after) for measure in MEASURES},
            countries=tuple(sorted(rows, key=_most_open_first)),
            systems=tuple(s for change in Change for s in self.changes.get(change, ())),
        )

    def _growth(self, measure: str, before: Side, after: Side) -> Growth:
        return Growth(
            before=getattr(before.counts, measure),
            left=self.left.totals[measure].count(),
            grown=self.grown.totals[measure].count(),
            recounted=self.recounted.totals[measure].count(),
            new=self.new.totals[measure].count(),
            method=self.method.totals[measure].count(),
            after=getattr(after.counts, measure),
        )


def _number(standing: Standing, measure: str) -> Count:
    if measure == "images_downloadable" and not standing.is_downloadable:
        return _NOTHING_TO_TAKE
    count: Count = getattr(standing.counts, measure)
    return count


def _difference(was: Count, now: Count) -> Count:
    """Return what one number adds to the later sum beyond what it gave to the earlier one; an unknown gave nothing."""
    exactness = Exactness.ESTIMATED  # two bounds bound no difference
    if was.value is None or was.exactness in _EXACT:
        exactness = Exactness.EXACT_ENUMERATED if now.value is None else now.exactness
    value = (now.value or 0) - (was.value or 0)
    return Count(value=value, exactness=exactness, method="difference of two counts")


def _side(systems: Iterable[Standing]) -> Side:
    totals, countries = _Totals(), set()
    listed = left_out = unprotected = downloadable = 0
    for standing in systems:
        listed += 1
        left_out += standing.is_suspected
        if is_open(standing):
            totals.add(standing)
            unprotected += 1
            downloadable += standing.is_downloadable
            countries.add(standing.place.country)
        elif not standing.is_suspected and not standing.is_tested and standing.is_silent:
            totals.add_missing()
    return Side(
        systems=listed,
        left_out=left_out,
        unprotected=unprotected,
        downloadable=downloadable,
        countries=len(countries - {""}),
        counts=totals.counts(),
    )


def _most_open_first(row: CountryChange) -> tuple[int, int, str]:
    return -row.open_after, -row.open_before, row.country


def _systems(number: int) -> str:
    return "1 system" if number == 1 else f"{number:,} systems"


def _of(numbers: Mapping[Change, int], changes: Iterable[Change]) -> int:
    return sum(numbers[change] for change in changes)
