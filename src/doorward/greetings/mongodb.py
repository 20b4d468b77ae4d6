"""MongoDB: isMaster, buildInfo, and one command that only a known user may give and that reveals nothing.

The greeting does not say whether access control is on. ``getParameter`` of ``quiet`` (whether the log is terse) needs a
privilege, reads no data and exists in mongod and mongos: code 13 means that a stranger must log in first, an answer that
nobody must. isMaster goes as OP_QUERY, which every version still takes for this one command; the others as OP_MSG where the
server knows it. (MongoDB manual, "Wire Protocol", "getParameter"; error_codes.yml; bsonspec.org.)
"""

import struct
from collections.abc import Iterator

from doorward.errors import PeerProtocolError
from doorward.greetings.conversation import Access, Conversation, Greeting, Inbox, version_in
from doorward.limits import Limits

PRODUCT = "MongoDB"
_SOURCE = "MongoDB wire protocol"
_OP_REPLY, _OP_QUERY, _OP_MSG = 1, 2004, 2013
_UNAUTHORIZED = 13
#: maxWireVersion of the first server with OP_MSG (3.6).
_WITH_OP_MSG = 6

# BSON types (bsonspec.org, version 1.1).
_DOUBLE, _STRING, _DOCUMENT, _ARRAY, _BOOLEAN, _INT32, _INT64 = 1, 2, 3, 4, 8, 16, 18
_FIXED = {_DOUBLE: 8, 6: 0, 7: 12, _BOOLEAN: 1, 9: 8, 10: 0, _INT32: 4, 17: 8, _INT64: 8}
_FIXED |= {19: 16, 0xFF: 0, 0x7F: 0}
_STRINGS = frozenset({_STRING, 13, 14})
_DOCUMENTS = frozenset({_DOCUMENT, _ARRAY, 15})
_BINARY, _REGEX, _DB_POINTER = 5, 11, 12
_NUMBERS = {_DOUBLE: "<d", _BOOLEAN: "<?", _INT32: "<i", _INT64: "<q"}

Bson = int | str | dict[str, "Bson"]


def greet(limits: Limits) -> Conversation[Greeting]:
    """Say who we are, ask for the version, and try whether a stranger may give a command."""
    inbox = Inbox(limits)
    client: dict[str, Bson] = {
        "application": {"name": "Doorward"},
        "driver": {"name": "Doorward security audit", "version": "1"},
        "os": {"type": "unknown"},
    }
    yield from inbox.say(_query(1, {"isMaster": 1, "client": client}))
    hello = yield from _reply(inbox)
    if "maxWireVersion" not in hello and "ismaster" not in hello:
        raise PeerProtocolError("no answer to isMaster", field="reply", source=_SOURCE)
    encode = _message if _number(hello, "maxWireVersion") >= _WITH_OP_MSG else _query
    yield from inbox.say(encode(2, {"buildInfo": 1, "$db": "admin"}))
    build = yield from _reply(inbox)
    yield from inbox.say(encode(3, {"getParameter": 1, "quiet": 1, "$db": "admin"}))
    answer = yield from _reply(inbox)
    code = _number(answer, "code")
    access = Access.UNKNOWN
    if _number(answer, "ok") == 1:
        access = Access.OPEN
    elif code == _UNAUTHORIZED or answer.get("errmsg") == b"unauthorized":
        access = Access.DEMANDED
    version = build.get("version", b"")
    return Greeting(
        product=PRODUCT,
        version=version_in(version) if isinstance(version, bytes) else "",
        access=access,
        code=str(int(code)) if code else "",
    )


# --- messages ---------------------------------------------------------------------------------------------------------


def _query(number: int, command: dict[str, Bson]) -> bytes:
    """Return an OP_QUERY on admin.$cmd; the database stands in the collection's name."""
    told = {name: value for name, value in command.items() if name != "$db"}
    body = struct.pack("<I", 0) + b"admin.$cmd\0" + struct.pack("<ii", 0, -1) + encode_bson(told)
    return struct.pack("<iiii", 16 + len(body), number, 0, _OP_QUERY) + body


def _message(number: int, command: dict[str, Bson]) -> bytes:
    body = struct.pack("<IB", 0, 0) + encode_bson(command)
    return struct.pack("<iiii", 16 + len(body), number, 0, _OP_MSG) + body


def _reply(inbox: Inbox) -> Conversation[dict[str, bytes | float]]:
    """Return what is needed of the one document of a reply."""
    length, _, _, kind = struct.unpack("<Iiii", (yield from inbox.take(16)))
    before_document = {_OP_REPLY: 20, _OP_MSG: 5}.get(kind)
    if before_document is None or length < 16 + before_document:
        raise PeerProtocolError("no reply", field="message", source=_SOURCE)
    body = yield from inbox.take(length - 16)
    return read_bson(
        body[before_document:], ("ismaster", "maxWireVersion", "version", "ok", "code", "errmsg")
    )


def _number(document: dict[str, bytes | float], name: str) -> float:
    value = document.get(name, 0)
    return 0 if isinstance(value, bytes) else value


# --- BSON -------------------------------------------------------------------------------------------------------------


def encode_bson(document: dict[str, Bson]) -> bytes:
    """Return a BSON document of numbers, texts and documents."""
    body = b""
    for name, value in document.items():
        key = name.encode("ascii") + b"\0"
        if isinstance(value, dict):
            body += bytes((_DOCUMENT,)) + key + encode_bson(value)
        elif isinstance(value, str):
            text = value.encode("ascii") + b"\0"
            body += bytes((_STRING,)) + key + struct.pack("<I", len(text)) + text
        else:
            body += bytes((_INT32,)) + key + struct.pack("<i", value)
    return struct.pack("<I", len(body) + 5) + body + b"\0"


def read_bson(document: bytes, wanted: tuple[str, ...]) -> dict[str, bytes | float]:
    """Return the wanted texts and numbers of the top level; everything else is stepped over unread.

    Raises PeerProtocolError for what is no BSON.
    """
    if len(document) < 5:
        raise PeerProtocolError("shorter than itself", field="document", source="bsonspec.org")
    (length,) = struct.unpack_from("<I", document)
    if not 5 <= length <= len(document):
        raise PeerProtocolError("longer than its message", field="document", source="bsonspec.org")
    found: dict[str, bytes | float] = {}
    for name, kind, value in _elements(document[4 : length - 1]):
        key = name.decode("latin-1")
        if key not in wanted:
            continue
        if kind == _STRING:
            found[key] = value[4:-1]
        elif kind in _NUMBERS:
            found[key] = struct.unpack(_NUMBERS[kind], value)[0]
    return found


def _elements(body: bytes) -> Iterator[tuple[bytes, int, bytes]]:
    """Yield name, type and raw value of each element."""
    at = 0
    while at < len(body):
        kind = body[at]
        end = body.find(b"\0", at + 1)
        size = _size(kind, body, end + 1) if end > 0 else -1
        if size < 0 or end + 1 + size > len(body):
            raise PeerProtocolError("an element ends outside", field="document", source=_SOURCE)
        yield body[at + 1 : end], kind, body[end + 1 : end + 1 + size]
        at = end + 1 + size


def _size(kind: int, body: bytes, at: int) -> int:
    """Return the size of a value, -1 where its type is not known or its length is none."""
    if kind in _FIXED:
        return _FIXED[kind]
    if kind == _REGEX:
        first = body.find(b"\0", at)
        second = body.find(b"\0", first + 1) if first >= 0 else -1
        return second + 1 - at if second >= 0 else -1
    if at + 4 > len(body):
        return -1
    length = int.from_bytes(body[at : at + 4], "little")
    if kind in _STRINGS:
        return 4 + length if length >= 1 else -1
    if kind in _DOCUMENTS:
        return length if length >= 5 else -1
    return {_BINARY: 5 + length, _DB_POINTER: 16 + length}.get(kind, -1)
