"""Which stack answered: Implementation Version Name and Class UID to toolkit, product and maker (PS3.7 D.3.3.2).

Theory of operation: the version name (0x55) is tried first because it carries a version, the class UID (0x52) second; a
UID root may add a maker. What comes back describes the network stack: Orthanc cannot be told from bare DCMTK, and the
called AE title that an acceptor echoes proves nothing, so neither is guessed. Values come from strangers: they are cut
short before any pattern sees them, and only what a pattern captured (digits, dots, one letter) leaves this module.
"""

import re
from dataclasses import dataclass
from functools import cache

from doorward.knowledge.loader import rows

#: PS3.7 D.3.3.2.4 allows 16 characters; some stacks send more.
_VERSION_NAME_CHARACTERS = 64
#: PS3.5 9.1.
_UID_CHARACTERS = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Implementation:
    """One row of implementations.toml."""

    match: str
    pattern: str
    toolkit: str
    confidence: str
    remedies: tuple[str, ...]
    examples: tuple[tuple[str, str], ...]
    product: str = ""
    used_by: str = ""
    maker: str = ""
    version: str = ""
    honeypot: bool = False
    scanner: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Maker:
    """One UID root and whose it is."""

    root: str
    maker: str
    confidence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Identification:
    """What an association answer says about the software behind it. Empty strings mean: not known."""

    toolkit: str = ""
    product: str = ""
    version: str = ""
    manufacturer: str = ""
    confidence: str = ""  # source | file | claim | ""
    used_by: str = ""
    remedies: tuple[str, ...] = ()
    honeypot: bool = False
    scanner: bool = False

    @property
    def is_known(self) -> bool:
        """Something at all was recognised."""
        return bool(self.toolkit or self.product or self.manufacturer)

    @property
    def described(self) -> str:
        """One phrase for people, e.g. "DCMTK 3.6.7 (used by Orthanc and many others)"; "" if unknown."""
        name = self.product or self.toolkit
        if not name:
            return f"software of {self.manufacturer}" if self.manufacturer else ""
        # The version belongs to the toolkit: beside a product's name the toolkit must be named too.
        if self.product and self.toolkit and self.toolkit not in self.product and self.version:
            name = f"{self.product} ({self.toolkit} {self.version})"
        elif self.version:
            name = f"{name} {self.version}"
        return f"{name} ({self.used_by})" if self.used_by else name


@cache
def implementations() -> tuple[Implementation, ...]:
    """Return every known implementation, in the order in which rows are tried."""
    return rows("doorward.knowledge", "implementations.toml", "implementation", Implementation)


@cache
def makers() -> tuple[Maker, ...]:
    """Return the UID roots of makers, the longest first, so that the first match is the closest."""
    found = rows("doorward.knowledge", "implementations.toml", "maker", Maker)
    return tuple(sorted(found, key=lambda m: -len(m.root)))


@cache
def _compiled() -> dict[str, tuple[tuple[re.Pattern[str], Implementation], ...]]:
    return {
        match: tuple((re.compile(i.pattern), i) for i in implementations() if i.match == match)
        for match in ("version_name", "class_uid")
    }


def identify(class_uid: str, version_name: str) -> Identification:
    """Return what the pair of an A-ASSOCIATE-AC says; an empty Identification when nothing is known."""
    uid = class_uid.strip()[:_UID_CHARACTERS]
    found = _first("version_name", version_name.strip()[:_VERSION_NAME_CHARACTERS])
    if found is None:
        found = _first("class_uid", uid)
    maker = next((m for m in makers() if uid.startswith(m.root)), None)
    if found is None:
        if maker is None:
            return Identification()
        return Identification(manufacturer=maker.maker, confidence=maker.confidence)
    row, version = found
    return Identification(
        toolkit=row.toolkit,
        product=row.product,
        version=version,
        manufacturer=row.maker or ("" if maker is None else maker.maker),
        confidence=row.confidence,
        used_by=row.used_by,
        remedies=row.remedies,
        honeypot=row.honeypot,
        scanner=row.scanner,
    )


def _first(match: str, value: str) -> tuple[Implementation, str] | None:
    for pattern, row in _compiled()[match]:
        if (hit := pattern.fullmatch(value)) is not None:
            return row, row.version or _version(hit)
    return None


def _version(hit: re.Match[str]) -> str:
    groups = hit.groupdict()
    if "v" in groups:
        return groups["v"] or ""
    return ".".join(groups[name] for name in ("a", "b", "c") if groups.get(name))
