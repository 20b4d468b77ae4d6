"""One record of the journal: what it says, its canonical bytes, and the digest that chains it.

Theory of operation: an ``Entry`` is what a door has to say; the writer makes a ``Record`` of it, with its number, its time
and the digest of the record before. A line of the journal is the SHA-256 of the canonical JSON, a space, and that JSON:
keys sorted, no spaces, ASCII, empty fields left out. As the JSON holds the digest before it, each digest stands for
everything up to its record, and ``sha256sum`` is all that an auditor needs to see it.

No patient data: there is no field for it. What a peer can choose (AE titles, UIDs, keys of a query) is let in only in the
form that it must have, so a name in the place of a UID becomes NOT_A_UID. The values of a query are the one exception; the
writer drops them unless the journal was opened to keep them.
"""

import hashlib
import json
import re
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, NamedTuple

from doorward.access.identity import Identity
from doorward.limits import DEFAULT_LIMITS, Limits

#: The digest before the first record.
NO_DIGEST = "0" * 64
#: Stands where a UID was expected and something else came: whatever it was, it is not kept.
NOT_A_UID = "(not a UID)"
NOT_A_KEY = "(not a tag)"
#: PS3.5 section 9.1; a bare number might be somebody's, so one dot is asked for at least.
_UID = re.compile(r"[0-2](\.[0-9]+)+")
#: Tags as eight digits; those inside a sequence after a dot.
_KEY = re.compile(r"[0-9A-F]{8}(\.[0-9A-F]{8}){0,7}")
_BLOB = re.compile(r"[0-9a-f]{64}")
_DIGEST_BYTES = 64
#: LO (PS3.5 section 6.2): what a reason, a rule and the names of our own things may have.
_TEXT_CHARACTERS = 64
_AE_CHARACTERS = 16
_UNPRINTABLE = re.compile(r"[^ -~]")
_ENCODE = json.JSONEncoder(sort_keys=True, separators=(",", ":")).encode


class Event(StrEnum):
    """What happened; the words are part of the format and never change."""

    START = "start"
    STOP = "stop"
    ASSOCIATION_OPENED = "association opened"
    ASSOCIATION_REFUSED = "association refused"
    ASSOCIATION_CLOSED = "association closed"
    LOGIN = "login"
    LOGIN_FAILED = "login failed"
    LOCKED = "locked"
    LOGOUT = "logout"
    QUERY = "query"
    #: Images begin to leave; RETRIEVE or MOVE follows when they have left (PS3.15 A.5.3.3 and A.5.3.7).
    TRANSFER_BEGUN = "transfer begun"
    RETRIEVE = "retrieve"
    MOVE = "move"
    STORE = "store"
    COMMIT = "commit"
    DELETE = "delete"
    EXPORT = "export"
    #: Something was asked for that policy does not allow.
    REFUSAL = "refusal"
    SETTINGS_CHANGED = "settings changed"
    DEVICE_CHANGED = "device changed"
    PERSON_CHANGED = "person changed"
    JOURNAL_READ = "journal read"
    JOURNAL_EXPORTED = "journal exported"
    CLOCK_JUMP = "clock jump"
    #: After a crash a torn end was cut off, or a damaged end was left behind on request.
    JOURNAL_RECOVERED = "journal recovered"
    #: The index made anew, files taken in, a backup brought back: by whoever has the machine; ``subject`` says which.
    UPKEEP = "upkeep"
    #: Messages for an outside collector could not be kept.
    SPOOL_FULL = "spool full"


class Outcome(StrEnum):
    """How it ended."""

    SUCCESS = "success"
    REFUSED = "refused"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What is to be recorded. Whatever has not the form that its field asks for is replaced or cut, never refused."""

    event: Event
    outcome: Outcome = Outcome.SUCCESS
    #: Who: the name, its kind, and how that was shown ("" all: nobody we can name).
    identity: str = ""
    kind: str = ""
    how: str = ""
    #: Where from: a numeric address, and the titles of the association.
    peer: str = ""
    calling_ae_title: str = ""
    called_ae_title: str = ""
    #: Where to: the AE title of a C-MOVE.
    destination: str = ""
    #: What was asked for, as ``identity.Operation`` calls it.
    operation: str = ""
    sop_class: str = ""
    studies: tuple[str, ...] = ()
    instances: int = 0
    size_bytes: int = 0
    #: What was stored: the name of its blob, which is the SHA-256 of its content. An index that is lost is made anew from it.
    blob: str = ""
    matches: int = 0
    #: The keys of a query as tags, such as "00100020"; those of a sequence as "00400100.00400002".
    keys: tuple[str, ...] = ()
    #: The values of those keys, in their order; only in a journal that was opened to keep them.
    values: tuple[str, ...] = field(default=(), repr=False)
    #: What was changed or read: our own name of a device, a person, a setting.
    subject: str = ""
    reason: str = ""
    rule: str = ""

    def __post_init__(self) -> None:
        for name in _TEXTS:
            if value := getattr(self, name):
                _put(self, name, _text(value, _TEXT_CHARACTERS))
        for name in _AE_TITLES:
            if value := getattr(self, name):
                _put(self, name, _text(value, _AE_CHARACTERS).strip())
        if self.sop_class:
            _put(self, "sop_class", _uid(self.sop_class))
        if self.blob and not _BLOB.fullmatch(self.blob):
            _put(self, "blob", "")
        if self.studies:
            _put(self, "studies", tuple(dict.fromkeys([_uid(one) for one in self.studies])))
        if self.keys:
            keys = self.keys[: DEFAULT_LIMITS.journal_keys]
            _put(self, "keys", tuple(one if _KEY.fullmatch(one) else NOT_A_KEY for one in keys))
        if self.values:
            values = self.values[: len(self.keys)]
            _put(self, "values", tuple(_text(one, _TEXT_CHARACTERS) for one in values))

    def by(self, who: Identity | None) -> "Entry":
        """Return the same entry about somebody; None is nobody."""
        if who is None:
            return self
        return replace(self, **identity_fields(who))

    def parts(self, limits: Limits = DEFAULT_LIMITS) -> list["Entry"]:
        """Return the entry as entries with no more studies than one record may name; counts stand in the first."""
        step = limits.journal_record_studies
        if len(self.studies) <= step:
            return [self]
        rest = replace(self, instances=0, size_bytes=0, matches=0)
        return [
            replace(self if start == 0 else rest, studies=self.studies[start : start + step])
            for start in range(0, len(self.studies), step)
        ]


def identity_fields(who: Identity) -> dict[str, Any]:
    """Return the fields of an entry that say who it was."""
    return {"identity": who.name, "kind": who.kind, "how": who.how}


#: Everything that is not checked by a form of its own.
_TEXTS = ("identity", "kind", "how", "peer", "operation", "subject", "reason", "rule")
_AE_TITLES = ("calling_ae_title", "called_ae_title", "destination")
_FIELDS = tuple(one.name for one in fields(Entry))
_LISTS = frozenset({"studies", "keys", "values"})


class Head(NamedTuple):
    """Where a chain stands: its last number and the digest that stands for all of it."""

    sequence: int
    digest: str


EMPTY = Head(0, NO_DIGEST)


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """An entry in its place: the ``sequence``-th of the journal, at ``time`` (UTC), after the one of digest ``previous``."""

    sequence: int
    time: datetime
    entry: Entry
    previous: str
    #: SHA-256 of the canonical bytes, in hexadecimal.
    digest: str


def make_record(entry: Entry, after: Head, time: datetime) -> tuple[Record, bytes]:
    """Return the record that follows on ``after``, and its line with the newline."""
    stated: dict[str, object] = {"sequence": after.sequence + 1, "time": format_time(time)}
    stated["previous"] = after.digest
    for name in _FIELDS:
        value = getattr(entry, name)
        if value:
            stated[name] = value
    body = _ENCODE(stated).encode("ascii")
    digest = hashlib.sha256(body).hexdigest()
    record = Record(
        sequence=after.sequence + 1, time=time, entry=entry, previous=after.digest, digest=digest
    )
    return record, b"%s %s\n" % (digest.encode("ascii"), body)


class Place(NamedTuple):
    """Where a line says that it belongs: all that the walk along a chain needs."""

    sequence: int
    previous: str
    digest: str


def read_place(line: bytes) -> Place:
    """Return the place of one line. Raises ValueError as ``read_record`` does; its entry is not looked at."""
    stated, digest = _stated(line)
    try:
        return Place(int(stated["sequence"]), str(stated["previous"]), digest)
    except (ValueError, TypeError, KeyError):
        raise ValueError("the record cannot be read") from None


def read_record(line: bytes) -> Record:
    """Return the record of one line. Raises ValueError, which never quotes it, where line and digest do not agree."""
    stated, digest = _stated(line)
    try:
        return Record(
            sequence=int(stated["sequence"]),
            time=datetime.fromisoformat(stated["time"]),
            entry=_read_entry(stated),
            previous=str(stated["previous"]),
            digest=digest,
        )
    except (ValueError, TypeError, KeyError, AttributeError):
        raise ValueError("the record cannot be read") from None


def _stated(line: bytes) -> tuple[dict[str, Any], str]:
    digest, body = line[:_DIGEST_BYTES], line[_DIGEST_BYTES + 1 : -1]
    if line[-1:] != b"\n" or line[_DIGEST_BYTES : _DIGEST_BYTES + 1] != b" ":
        raise ValueError("the line is no record")
    if hashlib.sha256(body).hexdigest().encode("ascii") != digest:
        raise ValueError("the record is not the one of its digest")
    try:
        stated = json.loads(body)
    except (ValueError, RecursionError):
        stated = None
    if not isinstance(stated, dict):
        raise ValueError("the record cannot be read")
    return stated, digest.decode("ascii")


def _read_entry(stated: dict[str, Any]) -> Entry:
    known: dict[str, Any] = {name: stated[name] for name in _FIELDS if name in stated}
    for name in _LISTS & known.keys():
        known[name] = tuple(known[name])
    known["event"], known["outcome"] = Event(stated["event"]), Outcome(stated["outcome"])
    return Entry(**known)


def format_time(time: datetime) -> str:
    """Return a time in UTC to the microsecond, always equally long: text sorts as time does."""
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f+00:00")


def _put(entry: Entry, name: str, value: object) -> None:
    object.__setattr__(entry, name, value)


def _text(value: str, characters: int) -> str:
    if len(value) <= characters and value.isascii() and value.isprintable():
        return value
    return _UNPRINTABLE.sub("?", value[:characters])


def _uid(value: str) -> str:
    is_uid = len(value) <= DEFAULT_LIMITS.uid_bytes and _UID.fullmatch(value)
    return value if is_uid else NOT_A_UID
