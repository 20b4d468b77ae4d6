"""Which published weaknesses may touch a stack or a product of a certain version.

Theory of operation: a version is a claim, and repaired packages keep it; so nothing here ever says "affected". A match is
*possible*; it is *likely* only where three things meet: the software gave an exact build string (a name compiled into it, or
Orthanc's own /system), the row was read in its source (mark S, severity included), and the row itself allows it. Orthanc does
not tell its version in an association: the DCMTK inside an official static build bounds its age, and that is all that is
used. A product without a version matches nothing but rows about every version.

The shipped rows are the floor. What an operator took later (``knowledge/updates.py``) lies on top for the length of a
``with in_use(...)``: a newer statement about one id and one product replaces the shipped one.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from functools import cache

from doorward.knowledge import KNOWLEDGE_DATE
from doorward.knowledge.implementations import Identification
from doorward.knowledge.loader import rows

Version = tuple[tuple[int, str], ...]

_PACKAGE = "doorward.knowledge"
_FILE = "advisories.toml"
_PART = re.compile(r"(\d{1,9})([a-z]?)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Advisory:
    """One row of advisories.toml, or of an advisory that was taken later."""

    id: str
    component: str
    certainty: str  # likely | possible: the most that the row may ever say
    mark: str  # of the range. S: read in the named source | M: general knowledge | ?: contradictory
    summary: str
    source: str
    toolkit: str = ""  # as in implementations.toml
    products: tuple[str, ...] = ()  # as in web_signatures.toml or implementations.toml
    recognised_by: tuple[str, ...] = ()  # association | system | web
    also: tuple[str, ...] = ()
    icsma: str = ""
    from_: str = ""
    through: str = ""
    before: str = ""
    every_version: bool = False  # or every one from ``from_`` on
    fixed: str = ""
    cvss: float = 0.0  # 0.0: not recorded
    cvss_mark: str = "-"  # S | M | ? | "-": not recorded
    exploited: bool = False  # attacks are known to the source

    @property
    def ids(self) -> tuple[str, ...]:
        """All ids of the row."""
        return (self.id, *self.also)

    @property
    def subjects(self) -> tuple[str, ...]:
        """What the row is about: its products, or else its toolkit."""
        return self.products or (self.toolkit,)

    @property
    def affected(self) -> str:
        """The range in words, e.g. "5.0 to 5.35.1" or "before 3.6.7"."""
        if self.every_version:
            return f"{self.from_} and newer" if self.from_ else "every version"
        if self.through and self.through == self.from_:
            return self.through
        lower = f"{self.from_} " if self.from_ else ""
        if self.before:
            return f"{lower}to before {self.before}" if lower else f"before {self.before}"
        return f"{lower}to {self.through}" if lower else f"up to {self.through}"

    @property
    def most(self) -> str:
        """The most that a match may say, marks included: likely | possible."""
        is_firm = self.mark == "S" and self.cvss_mark in ("S", "-")
        return self.certainty if is_firm else "possible"

    def covers(self, version: str) -> bool:
        """Tell whether a version lies in the affected range; "" lies in none but every version."""
        found = parse_version(version)
        if self.every_version and not self.from_:
            return True
        if not found or (self.from_ and found < parse_version(self.from_)):
            return False
        if self.every_version:
            return True
        if self.before:
            return found < parse_version(self.before)
        # A longer number counts as part of the shorter one: 5.35.1.2 is in "through 5.35.1".
        last = parse_version(self.through)
        return found[: len(last)] <= last


@dataclass(frozen=True, slots=True, kw_only=True)
class OrthancBundle:
    """Which official static builds of Orthanc carry a DCMTK version."""

    dcmtk: str
    from_: str = ""
    before: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """One advisory that may apply, and under which condition."""

    advisory: Advisory
    certainty: str  # likely | possible
    condition: str = ""  # "" or e.g. "if this is Orthanc (an official build with DCMTK 3.6.7 ...)"

    @property
    def is_exploited(self) -> bool:
        """Attacks with one of its ids are known."""
        return self.advisory.exploited or any(i in exploited() for i in self.advisory.ids)


@dataclass(frozen=True, slots=True, kw_only=True)
class Additions:
    """What was taken later than the tables; ``taken`` is the newest day of it (ISO 8601), "" for nothing."""

    advisories: tuple[Advisory, ...] = ()
    exploited: Mapping[str, str] = field(default_factory=dict)  # id -> day it was listed
    likelihood: Mapping[str, float] = field(default_factory=dict)  # id -> probability, 0 to 1
    taken: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Known:
    rows: tuple[Advisory, ...]
    additions: Additions


_IN_USE: ContextVar[_Known | None] = ContextVar("doorward.knowledge.advisories", default=None)


@contextmanager
def in_use(additions: Additions) -> Iterator[None]:
    """Lay additions over the shipped rows while the block runs, for this task and those that it starts."""
    added = additions.advisories
    laid = overlaid(shipped(), added) if added else shipped()
    known = _Known(rows=laid, additions=additions)
    token = _IN_USE.set(known)
    try:
        yield
    finally:
        _IN_USE.reset(token)


@cache
def shipped() -> tuple[Advisory, ...]:
    """Return the rows of advisories.toml, in file order (by subject, newest first)."""
    return rows(_PACKAGE, _FILE, "advisory", Advisory)


def advisories() -> tuple[Advisory, ...]:
    """Return every advisory in use: the shipped ones, and what was taken later."""
    known = _IN_USE.get()
    return shipped() if known is None else known.rows


def exploited() -> Mapping[str, str]:
    """Return the ids that are known to be exploited, with the day on which that was listed."""
    known = _IN_USE.get()
    return {} if known is None else known.additions.exploited


def likelihood() -> Mapping[str, float]:
    """Return the probability (0 to 1) that an id is exploited within 30 days, where one was taken (EPSS)."""
    known = _IN_USE.get()
    return {} if known is None else known.additions.likelihood


def state_of_knowledge() -> str:
    """Return up to which day the rows in use reach, for reports: "2026-10-31, updated 2026-11-20"."""
    known = _IN_USE.get()
    taken = "" if known is None else known.additions.taken
    return f"{KNOWLEDGE_DATE}, updated {taken}" if taken else KNOWLEDGE_DATE


@cache
def orthanc_bundles() -> tuple[OrthancBundle, ...]:
    """Return the map from DCMTK to Orthanc versions."""
    return rows(_PACKAGE, _FILE, "orthanc_bundle", OrthancBundle)


def overlaid(under: Iterable[Advisory], above: Iterable[Advisory]) -> tuple[Advisory, ...]:
    """Return the rows of both; what ``above`` says of an id and a subject silences ``under`` on the two."""
    newer = tuple(above)
    said = {(i, subject) for row in newer for i in row.ids for subject in _all_subjects(row)}
    kept = []
    for row in under:
        # A row is about its products and its toolkit alike; it stays where any of them is not spoken of anew.
        left = [i for i in row.ids if not all((i, s) in said for s in _all_subjects(row))]
        if left:
            kept.append(row if left == list(row.ids) else _narrowed(row, left))
    return (*newer, *kept)


def _all_subjects(row: Advisory) -> tuple[str, ...]:
    return (*row.products, row.toolkit) if row.toolkit else row.products


def _narrowed(row: Advisory, ids: list[str]) -> Advisory:
    return replace(row, id=ids[0], also=tuple(ids[1:]))


def parse_version(version: str) -> Version:
    """Return a comparable form of "3.6.7" or "2.7.6b"; () when it is no such number."""
    parts = []
    for part in version.split("."):
        if (hit := _PART.fullmatch(part)) is None:
            return ()
        parts.append((int(hit[1]), hit[2]))
    return tuple(parts)


def advisories_for(identification: Identification) -> tuple[Match, ...]:
    """Return what may apply to the stack that an association names, in file order; () when nothing is known."""
    is_exact = identification.confidence == "source"
    matches = [
        Match(advisory=a, certainty=a.most if is_exact else "possible")
        for a in advisories()
        if a.toolkit
        and a.toolkit == identification.toolkit
        and identification.version
        and a.covers(identification.version)
    ]
    if identification.toolkit == "DCMTK" and not identification.product:
        matches += _if_orthanc(identification.version)
    return tuple(matches)


def about_product(product: str) -> tuple[Advisory, ...]:
    """Return the rows that name a product, whatever its version."""
    return tuple(a for a in advisories() if product in a.products)


def advisories_for_product(product: str, version: str, *, is_exact: bool) -> tuple[Match, ...]:
    """Return what may apply to a product that showed itself outside an association, in file order.

    ``version`` may be "". ``is_exact``: it is the build string of the product's own interface, not a header or a title.
    """
    return tuple(
        Match(advisory=a, certainty=a.most if is_exact and version else "possible")
        for a in about_product(product)
        if a.covers(version)
    )


def _if_orthanc(dcmtk: str) -> list[Match]:
    bundle = next((b for b in orthanc_bundles() if b.dcmtk == dcmtk and b.before), None)
    if bundle is None:
        return []
    condition = (
        f"if this is Orthanc: official builds with DCMTK {dcmtk} are older than {bundle.before}"
    )
    return [
        Match(advisory=a, certainty="possible", condition=condition)
        for a in about_product("Orthanc")
        if _covers_all(a, bundle)
    ]


def _covers_all(advisory: Advisory, bundle: OrthancBundle) -> bool:
    if advisory.every_version:
        return not advisory.from_
    if advisory.from_ and (
        not bundle.from_ or parse_version(bundle.from_) < parse_version(advisory.from_)
    ):
        return False
    newest_is_older_than = parse_version(bundle.before)
    if advisory.before:
        return newest_is_older_than <= parse_version(advisory.before)
    return newest_is_older_than <= parse_version(advisory.through)
