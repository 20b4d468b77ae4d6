"""The numbers of the 2019 study as study_2019.toml has them, and what is drawn where nothing was published.

Theory of operation: a cell is a country, or a part of one that has numbers of its own. Values of the file are taken as they
are; missing ones are drawn from the seed so that all cells add up to the published totals. Each question has a random
sequence of its own, named after it: another answer to one of them moves no other.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from random import Random

from doorward.knowledge.loader import read, rows, rows_of
from doorward.practice.apportion import apportion

_PACKAGE, _FILE = "doorward.practice", "study_2019.toml"
SEED = 2019
#: Serbia held the fourth rank by accessible images: countries without numbers of their own had fewer.
_LESS_THAN_SERBIA = 15_200_000
#: Italy had the most systems in Europe beside Turkey: ten.
_LESS_THAN_ITALY = 8
#: From this share of accessible images on, a country counts as one where nearly all can be fetched.
NEARLY_ALL = 0.95


@dataclass(frozen=True, slots=True, kw_only=True)
class Country:
    """One country of the file; None: to be drawn."""

    country: str
    seen: int
    europe: bool = False
    listed: bool = True
    systems: int = 0
    studies: int = 0
    images: int = 0
    accessible: int = 0
    viewers: int = 0
    listings: int = 0
    weight: float = 1.0
    published: tuple[str, ...] = ()
    rounded: tuple[str, ...] = ()
    doubtful: tuple[str, ...] = ()
    source: str = ""
    note: str = ""

    @property
    def is_drawn(self) -> bool:
        """Nothing but the name at most was published."""
        return not (self.published or self.rounded or self.doubtful)

    def mark(self, field: str) -> str:
        """Return what a value is worth: published | rounded | doubtful | drawn."""
        marks = {"published": self.published, "rounded": self.rounded, "doubtful": self.doubtful}
        return next((mark for mark, names in marks.items() if field in names), "drawn")


@dataclass(frozen=True, slots=True, kw_only=True)
class Region:
    """A part of a country; its numbers of September are drawn, those of November published."""

    country: str
    region: str
    systems: int
    studies: int
    images: int
    november_studies: int
    november_images: int
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What is known of one country in November; 0: to be drawn."""

    country: str
    fate: str  # clean | new | stays
    studies: int = 0
    images: int = 0
    largest_studies: int = 0
    gone: int = 0
    largest_gone: int = 0
    published: tuple[str, ...] = ()
    source: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Closed:
    """So many systems are closed in one way."""

    behaviour: str
    systems: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Toolkit:
    """How an archive names itself; an empty UID is drawn."""

    class_uid: str
    version_name: str
    weight: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Banner:
    """How a web server names itself."""

    server: str
    weight: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Month:
    """The totals of one survey."""

    unprotected: int
    studies: int
    images: int
    accessible: int
    systems: int = 0
    countries: int = 0
    viewers: int = 0
    file_servers: int = 0
    http_listings: int = 0
    european_systems: int = 0
    gone: int = 0
    new: int = 0
    clean_countries: int = 0
    new_countries: int = 0
    method: int = 0
    listed: int = 0
    method_ports: tuple[int, ...] = ()
    published: tuple[str, ...] = ()
    rounded: tuple[str, ...] = ()
    source: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """The unprotected systems of one country or part of one, and what they add up to."""

    country: str
    region: str = ""
    systems: int
    studies: int
    images: int
    accessible: int

    @property
    def is_nearly_all_accessible(self) -> bool:
        """Where that is so, what cannot be fetched is the exception."""
        return self.accessible >= NEARLY_ALL * self.images


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How many systems of one country change until November."""

    country: str
    gone: int = 0
    #: Open in September on a port that was not asked, closed then and open now, on no list in September.
    method: int = 0
    opened: int = 0
    listed: int = 0

    @property
    def new(self) -> int:
        """Unprotected systems that the survey of September did not find."""
        return self.method + self.opened + self.listed


@cache
def countries() -> tuple[Country, ...]:
    """Return every country of the file; the order fixes the addresses."""
    return rows(_PACKAGE, _FILE, "country", Country)


@cache
def regions() -> tuple[Region, ...]:
    """Return the parts of countries that have numbers of their own."""
    return rows(_PACKAGE, _FILE, "region", Region)


@cache
def changes() -> dict[str, Change]:
    """Return what is known of November, by country."""
    return {row.country: row for row in rows(_PACKAGE, _FILE, "change", Change)}


@cache
def closed_ways() -> tuple[Closed, ...]:
    """Return how the closed systems are closed."""
    return rows(_PACKAGE, _FILE, "closed", Closed)


@cache
def toolkits() -> tuple[Toolkit, ...]:
    """Return what archives call themselves."""
    return rows(_PACKAGE, _FILE, "toolkit", Toolkit)


@cache
def banners() -> tuple[Banner, ...]:
    """Return what web servers call themselves."""
    return rows(_PACKAGE, _FILE, "banner", Banner)


@cache
def month(name: str) -> Month:
    """Return the totals of "september" or "november"."""
    (found,) = rows_of([read(_PACKAGE, _FILE)[name]], Path(_FILE), name, Month)
    return found


def dice(seed: int, question: str) -> Random:
    """Return the random sequence of one question."""
    return Random(f"doorward study {seed} {question}")


def skewed(chance: Random, spread: float) -> float:
    """Return a factor around 1, log-normally distributed."""
    return math.exp(chance.gauss(0.0, spread))


@cache
def september(seed: int = SEED) -> tuple[Cell, ...]:
    """Return the cells of September; they add up to the totals of the file."""
    totals = month("september")
    found = [country for country in countries() if country.listed]
    found = _with_systems(found, totals, dice(seed, "systems"))
    found = _with_studies(found, totals, dice(seed, "studies"))
    found = _with_images(found, totals, dice(seed, "images"))
    found = _with_accessible(found, totals, dice(seed, "accessible"))
    return tuple(cell for country in found for cell in _cells(country))


def _with_systems(found: Sequence[Country], totals: Month, chance: Random) -> list[Country]:
    weights = {c.country: c.seen**0.75 * skewed(chance, 0.25) for c in found}
    here = [c for c in found if c.europe]
    there = [c for c in found if not c.europe]
    european = totals.european_systems - sum(c.systems for c in here)
    others = totals.unprotected - totals.european_systems - sum(c.systems for c in there)
    most = dict.fromkeys(weights, _LESS_THAN_ITALY)
    drawn = _missing(here, "systems", european, weights, 1, most)
    drawn |= _missing(there, "systems", others, weights, 1)
    return [replace(c, systems=drawn.get(c.country, c.systems)) for c in found]


def _with_studies(found: Sequence[Country], totals: Month, chance: Random) -> list[Country]:
    weights = {c.country: c.systems * c.weight * skewed(chance, 0.45) for c in found}
    rest = totals.studies - sum(c.studies for c in found)
    drawn = _missing(found, "studies", rest, weights, 300)
    return [replace(c, studies=drawn.get(c.country, c.studies)) for c in found]


def _with_images(found: Sequence[Country], totals: Month, chance: Random) -> list[Country]:
    some = [
        replace(c, images=int(c.accessible * chance.uniform(1.3, 1.9)))
        if c.accessible and not c.images
        else c
        for c in found
    ]
    weights = {c.country: c.studies * skewed(chance, 0.3) for c in some}
    rest = totals.images - sum(c.images for c in some)
    drawn = _missing(some, "images", rest, weights, 3_000)
    return [replace(c, images=drawn.get(c.country, c.images)) for c in some]


def _with_accessible(found: Sequence[Country], totals: Month, chance: Random) -> list[Country]:
    """One system gives away all its images or none; of several at least one does and one does not."""
    some = [
        replace(c, accessible=c.images) if c.systems == 1 and chance.random() < 0.4 else c
        for c in found
    ]
    weights = {c.country: c.images * chance.uniform(0.2, 0.8) for c in some}
    rest = totals.accessible - sum(c.accessible for c in some)
    several = [c for c in some if c.systems > 1]
    below = _LESS_THAN_SERBIA - chance.randrange(99_999)
    most = {c.country: min(below, c.images * 97 // 100) for c in several}
    drawn = _missing(several, "accessible", rest, weights, 1_000, most)
    return [replace(c, accessible=drawn.get(c.country, c.accessible)) for c in some]


def _missing(
    found: Sequence[Country],
    field: str,
    rest: int,
    weights: Mapping[str, float],
    least: int,
    most: Mapping[str, int] | None = None,
) -> dict[str, int]:
    """Return country -> value for those that have none yet; the values add up to ``rest``."""
    empty = [c.country for c in found if not getattr(c, field)]
    parts = apportion(
        rest,
        [weights[code] for code in empty],
        [least] * len(empty),
        None if most is None else [most[code] for code in empty],
    )
    return dict(zip(empty, parts, strict=True))


def _cells(country: Country) -> list[Cell]:
    """Return the parts of a country that have numbers of their own, then what is left of it."""
    parts = [
        Cell(
            country=part.country,
            region=part.region,
            systems=part.systems,
            studies=part.studies,
            images=part.images,
            accessible=part.images,
        )
        for part in regions()
        if part.country == country.country
    ]
    rest = Cell(
        country=country.country,
        systems=country.systems - sum(part.systems for part in parts),
        studies=country.studies - sum(part.studies for part in parts),
        images=country.images - sum(part.images for part in parts),
        accessible=country.accessible - sum(part.accessible for part in parts),
    )
    return [*parts, rest]


@cache
def plans(seed: int = SEED) -> dict[str, Plan]:
    """Return what changes until November, by country; the sums are those of the file."""
    chance, totals, known = dice(seed, "plans"), month("november"), changes()
    systems: dict[str, int] = {}
    for cell in september(seed):
        systems[cell.country] = systems.get(cell.country, 0) + cell.systems
    gone = {code: systems[code] for code in systems if _fate(known, code) == "clean"}
    gone |= {row.country: row.gone for row in known.values() if row.gone}
    staying = [code for code in systems if code not in gone]
    parts = apportion(
        totals.gone - sum(gone.values()),
        [systems[code] * skewed(chance, 0.2) for code in staying],
        [0] * len(staying),
        [systems[code] - 1 for code in staying],
    )
    gone |= dict(zip(staying, parts, strict=True))
    arrived = [code for code, row in known.items() if row.fate == "new"]
    new = {code: chance.choice((1, 1, 2)) for code in arrived}
    hosts = [code for code in systems if _fate(known, code) != "clean"]
    rest = totals.new - sum(new.values())
    weights = [systems[code] * skewed(chance, 0.3) for code in hosts]
    new |= dict(zip(hosts, apportion(rest, weights, [0] * len(hosts)), strict=True))
    return _by_reason(gone, new, totals, chance)


def _fate(known: dict[str, Change], code: str) -> str:
    return known[code].fate if code in known else "stays"


def _by_reason(
    gone: dict[str, int], new: dict[str, int], totals: Month, chance: Random
) -> dict[str, Plan]:
    reasons = ["method"] * totals.method + ["listed"] * totals.listed
    reasons += ["opened"] * (totals.new - len(reasons))
    chance.shuffle(reasons)
    found = {}
    for code in sorted(gone.keys() | new.keys()):
        own = [reasons.pop() for _ in range(new.get(code, 0))]
        found[code] = Plan(
            country=code,
            gone=gone.get(code, 0),
            method=own.count("method"),
            opened=own.count("opened"),
            listed=own.count("listed"),
        )
    return found
