"""Which product shows itself on a web page, in a header, a cookie's name or a favicon.

Theory of operation: the auditor asks for "/" and for the pages of [[visit]], and compares what it sees with the rows. All
texts are a stranger's: they are cut short before any pattern sees them, and only what the group v captured (digits, dots)
leaves this module beside the row's own words. A row marked M never says more than "possible".
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from doorward.knowledge.loader import rows

_TEXT_CHARACTERS = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class WebSignature:
    """One row of web_signatures.toml."""

    product: str
    key: str
    kind: str  # archive | viewer | server
    on: str  # title | realm | header | cookie | generator | script | favicon_md5 | favicon_murmur
    pattern: str
    confidence: str  # source | claim
    mark: str  # S | M
    source: str
    name: str = ""
    login: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """One page to ask for."""

    path: str
    product: str
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WebMatch:
    """A row that matched, and the version that stood there."""

    signature: WebSignature
    version: str = ""

    @property
    def certainty(self) -> str:
        """How far this may be believed: likely | possible."""
        firm = self.signature.mark == "S" and self.signature.confidence == "source"
        return "likely" if firm else "possible"


@cache
def web_signatures() -> tuple[WebSignature, ...]:
    """Return every signature, in file order."""
    return rows("doorward.knowledge", "web_signatures.toml", "signature", WebSignature)


@cache
def visits() -> tuple[Visit, ...]:
    """Return the pages to ask for beside "/", in file order."""
    return rows("doorward.knowledge", "web_signatures.toml", "visit", Visit)


@cache
def _compiled() -> Mapping[tuple[str, str], tuple[tuple[re.Pattern[str], WebSignature], ...]]:
    found: dict[tuple[str, str], list[tuple[re.Pattern[str], WebSignature]]] = {}
    for row in web_signatures():
        pattern = re.compile(row.pattern, re.IGNORECASE)
        found.setdefault((row.on, row.name), []).append((pattern, row))
    return {key: tuple(value) for key, value in found.items()}


def recognise(on: str, text: str, *, name: str = "") -> tuple[WebMatch, ...]:
    """Return the rows whose pattern matches the whole text; ``name`` is that of a header, in lower case."""
    found = []
    for pattern, row in _compiled().get((on, name), ()):
        if (hit := pattern.fullmatch(text.strip()[:_TEXT_CHARACTERS])) is not None:
            version = hit.groupdict().get("v") or ""
            found.append(WebMatch(signature=row, version=version))
    return tuple(found)


def header_names() -> tuple[str, ...]:
    """Return the headers that rows look at."""
    return tuple(sorted({row.name for row in web_signatures() if row.on == "header"}))
