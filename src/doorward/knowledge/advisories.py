"""Which published weaknesses may touch a stack of a certain version.

Theory of operation: a version name is a claim, and repaired packages keep it; so ``advisories_for`` never says "affected",
only how it came to the match. Orthanc does not tell its version in an association. The DCMTK inside an official static
build bounds its age, and that is all that is used: an advisory counts only when it covers every such build.
"""

import re
from dataclasses import dataclass
from functools import cache

from doorward.knowledge.implementations import Identification
from doorward.knowledge.loader import rows

Version = tuple[tuple[int, str], ...]

_PART = re.compile(r"(\d{1,9})([a-z]?)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Advisory:
    """One row of advisories.toml."""

    id: str
    toolkit: str
    component: str
    certainty: str  # likely | possible
    mark: str  # S | M
    summary: str
    source: str
    also: tuple[str, ...] = ()
    from_: str = ""
    through: str = ""
    before: str = ""
    fixed: str = ""
    cvss: float = 0.0  # 0.0: not recorded

    @property
    def ids(self) -> tuple[str, ...]:
        """All ids of the row."""
        return (self.id, *self.also)

    def covers(self, version: str) -> bool:
        """Tell whether a version lies in the affected range."""
        found = parse_version(version)
        if not found or (self.from_ and found < parse_version(self.from_)):
            return False
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


@cache
def advisories() -> tuple[Advisory, ...]:
    """Return every advisory, in file order (by stack, newest first)."""
    return rows("doorward.knowledge", "advisories.toml", "advisory", Advisory)


@cache
def orthanc_bundles() -> tuple[OrthancBundle, ...]:
    """Return the map from DCMTK to Orthanc versions."""
    return rows("doorward.knowledge", "advisories.toml", "orthanc_bundle", OrthancBundle)


def parse_version(version: str) -> Version:
    """Return a comparable form of "3.6.7" or "2.7.6b"; () when it is no such number."""
    parts = []
    for part in version.split("."):
        if (hit := _PART.fullmatch(part)) is None:
            return ()
        parts.append((int(hit[1]), hit[2]))
    return tuple(parts)


def advisories_for(identification: Identification) -> tuple[Match, ...]:
    """Return what may apply to a stack, in file order; () when nothing is known to us."""
    matches = [
        Match(advisory=a, certainty=_certainty(a, identification))
        for a in advisories()
        if a.toolkit == identification.toolkit and a.covers(identification.version)
    ]
    if identification.toolkit == "DCMTK" and not identification.product:
        matches += _if_orthanc(identification.version)
    return tuple(matches)


def _certainty(advisory: Advisory, identification: Identification) -> str:
    is_firm = advisory.mark == "S" and identification.confidence == "source"
    return advisory.certainty if is_firm else "possible"


def _if_orthanc(dcmtk: str) -> list[Match]:
    bundle = next((b for b in orthanc_bundles() if b.dcmtk == dcmtk and b.before), None)
    if bundle is None:
        return []
    condition = (
        f"if this is Orthanc: official builds with DCMTK {dcmtk} are older than {bundle.before}"
    )
    return [
        Match(advisory=a, certainty="possible", condition=condition)
        for a in advisories()
        if a.toolkit == "Orthanc" and _covers_all(a, bundle)
    ]


def _covers_all(advisory: Advisory, bundle: OrthancBundle) -> bool:
    newest_is_older_than = parse_version(bundle.before)
    if advisory.before:
        return newest_is_older_than <= parse_version(advisory.before)
    return newest_is_older_than <= parse_version(advisory.through)
