"""What an operator takes later than the tables: CSAF advisories, the KEV catalogue, EPSS scores, from files and offline.

Theory of operation: ``UpdateReader`` is fed the bytes of one file, finds out by itself what it is, and gives an ``Update``.
``Holdings`` are all updates together: ``with_update`` adds one (an older edition of the same document is refused), ``to_json``
and ``from_json`` keep them, ``additions`` gives what ``advisories.in_use`` lays over the shipped rows. Where each thing came
from stays beside it. No file is opened and nothing is downloaded here.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields
from datetime import date
from enum import StrEnum
from pathlib import Path
from typing import Any

from doorward.errors import ConfigError
from doorward.knowledge.advisories import Additions, Advisory
from doorward.knowledge.csaf import CVE, one_line, read_csaf
from doorward.knowledge.epss import GZIP, EpssReader
from doorward.knowledge.json_document import Node, parse_json
from doorward.knowledge.kev import read_kev
from doorward.knowledge.loader import rows_of
from doorward.limits import DEFAULT_LIMITS, Limits

FORMAT = "doorward.knowledge/1"
_NAME_CHARACTERS = 120
_BLANK = b"\xef\xbb\xbf \t\r\n"
_WANTED = "A file must be a CSAF 2.0 advisory (JSON), the KEV catalogue (JSON) or EPSS scores (CSV, also gzip)."


def looks_like_json(start: bytes) -> bool:
    """Tell whether a file begins like a JSON object; ``start`` are its first bytes."""
    return start.lstrip(_BLANK)[:1] == b"{"


class Kind(StrEnum):
    """What a file can be."""

    CSAF = "csaf"
    KEV = "kev"
    EPSS = "epss"


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """Where one update came from."""

    kind: str  # a Kind
    document: str  # the advisory's number, the catalogue's version, or "scores"
    publisher: str
    file: str  # name without folders
    sha256: str
    released: str  # ISO 8601, as the document says
    taken: str  # ISO 8601
    read: int  # vulnerabilities, entries or scores in the file
    kept: int  # of these, what is of use here

    @property
    def dated(self) -> date:
        """The day from which it ages: a catalogue's edition; an advisory stays as it is, so the day it was taken."""
        return date.fromisoformat(self.taken if self.kind == Kind.CSAF else self.released)

    @property
    def key(self) -> tuple[str, str]:
        """What a newer edition replaces: the advisory of the same number, or the catalogue as a whole."""
        return self.kind, self.document if self.kind == Kind.CSAF else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Update:
    """What one file brought."""

    provenance: Provenance
    advisories: tuple[Advisory, ...] = ()
    exploited: Mapping[str, str] = field(default_factory=dict)
    likelihood: Mapping[str, float] = field(default_factory=dict)
    left_out: tuple[str, ...] = ()


class UpdateReader:
    """Takes one file in pieces of any size, then says what it holds.

    ``wanted`` are the ids whose EPSS scores are of use. ``file`` is what errors name.
    """

    def __init__(
        self, file: Path, *, wanted: Iterable[str] = (), limits: Limits = DEFAULT_LIMITS
    ) -> None:
        self._file = file
        self._limits = limits
        self._wanted = frozenset(wanted)
        self._digest = hashlib.sha256()
        self._held = bytearray()
        self._epss: EpssReader | None = None
        self._is_json = False

    def receive(self, piece: bytes) -> None:
        """Take the next bytes; ConfigError where they cannot be part of such a file."""
        self._digest.update(piece)
        if self._epss is not None:
            self._epss.receive(piece)
            return
        self._held += piece
        if len(self._held) > self._limits.knowledge_json_bytes:
            most = f"{self._limits.knowledge_json_bytes:,}"
            raise ConfigError(f"is longer than {most} bytes", file=self._file)
        if not self._is_json:
            self._recognise()

    def finish(self, *, taken: date) -> Update:
        """Return what the file holds; ConfigError with line or JSON path where it is not whole."""
        if self._epss is not None:
            return self._scores(self._epss, taken)
        if not self._is_json:
            raise ConfigError("is empty or of no known kind", file=self._file, hint=_WANTED)
        root = parse_json(bytes(self._held), self._file)
        if root.has("document"):
            return self._advisory(root, taken)
        if root.has("catalogVersion"):
            return self._catalogue(root, taken)
        raise ConfigError("is JSON of another kind", file=self._file, hint=_WANTED)

    def _recognise(self) -> None:
        start = bytes(self._held[:64]).lstrip(_BLANK)
        if not start:
            return
        if looks_like_json(start):
            self._is_json = True
        elif start[:1] == b"#" or start[:1] == GZIP[:1]:
            self._epss = EpssReader(self._file, wanted=self._wanted, limits=self._limits)
            self._epss.receive(bytes(self._held))
            self._held.clear()
        else:
            raise ConfigError("is of no known kind", file=self._file, hint=_WANTED)

    def _advisory(self, root: Node, taken: date) -> Update:
        found = read_csaf(root, self._limits)
        provenance = self._provenance(
            taken,
            kind=Kind.CSAF,
            document=found.id,
            publisher=found.publisher,
            released=found.released,
            read=found.vulnerabilities,
            kept=len({row.id for row in found.rows}),
        )
        return Update(provenance=provenance, advisories=found.rows, left_out=found.left_out)

    def _catalogue(self, root: Node, taken: date) -> Update:
        found = read_kev(root)
        count = len(found.exploited)
        provenance = self._provenance(
            taken,
            kind=Kind.KEV,
            document=found.version,
            publisher="CISA",
            released=found.released,
            read=count,
            kept=count,
        )
        return Update(provenance=provenance, exploited=found.exploited)

    def _scores(self, reader: EpssReader, taken: date) -> Update:
        found = reader.finish()
        provenance = self._provenance(
            taken,
            kind=Kind.EPSS,
            document="scores",
            publisher="FIRST",
            released=found.released,
            read=found.read,
            kept=len(found.likelihood),
        )
        return Update(provenance=provenance, likelihood=found.likelihood)

    def _provenance(self, taken: date, *, kind: Kind, **said: Any) -> Provenance:
        return Provenance(
            kind=kind.value,
            file=one_line(self._file.name, _NAME_CHARACTERS),
            sha256=self._digest.hexdigest(),
            taken=taken.isoformat(),
            **said,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Holdings:
    """Everything that was taken, with where it came from."""

    provenance: tuple[Provenance, ...] = ()
    advisories: tuple[Advisory, ...] = ()
    exploited: Mapping[str, str] = field(default_factory=dict)
    likelihood: Mapping[str, float] = field(default_factory=dict)

    @property
    def additions(self) -> Additions:
        """What ``advisories.in_use`` lays over the shipped rows."""
        return Additions(
            advisories=self.advisories,
            exploited=self.exploited,
            likelihood=self.likelihood,
            taken=max((one.taken for one in self.provenance), default=""),
        )

    def with_update(self, update: Update) -> "Holdings":
        """Return these holdings with one more; ConfigError where a newer edition is there already."""
        new = update.provenance
        for old in self.provenance:
            if old.key == new.key and old.released > new.released:
                raise ConfigError(
                    f"is of {new.released}; what was taken before is of {old.released}",
                    file=Path(new.file),
                    hint="Nothing was changed. Take the newest edition.",
                )
        others = tuple(one for one in self.provenance if one.key != new.key)
        advisories = self.advisories
        if new.kind == Kind.CSAF:
            rest = tuple(row for row in self.advisories if row.source != new.document)
            advisories = (*update.advisories, *rest)
        return Holdings(
            provenance=(*others, new),
            advisories=advisories,
            exploited=update.exploited if new.kind == Kind.KEV else self.exploited,
            likelihood=update.likelihood if new.kind == Kind.EPSS else self.likelihood,
        )

    def to_json(self) -> str:
        """Return the text of the file that keeps them."""
        document = {
            "format": FORMAT,
            "provenance": [asdict(one) for one in self.provenance],
            "advisory": [_bare(row) for row in self.advisories],
            "exploited": dict(sorted(self.exploited.items())),
            "likelihood": dict(sorted(self.likelihood.items())),
        }
        return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


def from_json(content: bytes, file: Path) -> Holdings:
    """Return what ``to_json`` wrote; ConfigError naming file and place where it is something else."""
    root = parse_json(content, file)
    if root.member("format").value != FORMAT:
        raise root.member("format").fault(f"must be {FORMAT}")
    advisories = rows_of(root.member("advisory").value, file, "advisory", Advisory)
    for i, row in enumerate(advisories):
        if row.certainty not in ("likely", "possible") or not (row.toolkit or row.products):
            raise Node(None, f"/advisory/{i}", file).fault("is no row that an update could write")
    exploited = _pairs(root.member("exploited"))
    likelihood = _pairs(root.member("likelihood"))
    return Holdings(
        provenance=_provenances(root, file),
        advisories=advisories,
        exploited={key: node.day() for key, node in exploited.items()},
        likelihood={key: node.number(most=1) for key, node in likelihood.items()},
    )


def _provenances(root: Node, file: Path) -> tuple[Provenance, ...]:
    found = rows_of(root.member("provenance").value, file, "provenance", Provenance)
    for i, one in enumerate(found):
        node = Node(one, f"/provenance/{i}", file)
        if one.kind not in list(Kind):
            raise node.fault("is of no known kind")
        for name in ("released", "taken"):
            Node(getattr(one, name), f"{node.path}/{name}", file).day()
    return found


def _pairs(node: Node) -> dict[str, Node]:
    if not isinstance(node.value, dict):
        raise node.fault("is no object")
    for key in node.value:
        if not CVE.fullmatch(key):
            raise node.fault("holds something else than CVE ids")
    return {key: node.member(key) for key in node.value}


def _bare(row: Advisory) -> dict[str, Any]:
    """Return a row as the loader reads it: ``from`` by its name, defaults left out."""
    found = {}
    for one in fields(row):
        value = getattr(row, one.name)
        if value != one.default:
            found["from" if one.name == "from_" else one.name] = value
    return found
