"""HL7 version 2 over MLLP: a receiver keeps silent until it gets a message, and answers each with an acknowledgement.

``listen`` says nothing. ``knock`` sends one message that names no patient, belongs to no workflow and that every receiver
must reject: one MSH segment, an event and a version that do not exist, marked for debugging (HL7 2.5.1 section 2.9.2:
type, processing identifier and version are checked first). Of the acknowledgement only MSA-1, whether MSA-2 is our own
identifier, and the version number are read; the rest is zeroed.
MLLP: HL7 "Transport Specification: MLLP, Release 1" (start block 0B, end block 1C 0D).
"""

import re
from dataclasses import dataclass
from enum import StrEnum

from doorward.errors import LimitExceeded, PeerProtocolError
from doorward.greetings.conversation import SILENCE, Conversation
from doorward.limits import Limits

_START, _END = b"\x0b", b"\x1c"
#: HL7 table 0008.
CODES = ("AA", "AE", "AR", "CA", "CE", "CR")
_VERSION = re.compile(rb"2\.[0-9](?:\.[0-9])?\Z")
_SEGMENT = re.compile(rb"[^\r\n]+")
#: What other protocols begin with.
_PREFIXES = ((b"HTTP/", "http"), (b"SSH-", "ssh"), (b"220", "ftp"), (b"\x15\x03", "tls"))
#: MSH-10 and MSA-2 hold 20 characters (HL7 2.5.1 section 2.14.9.10); what is longer is not looked at.
_FIELD_BYTES = 20
#: So many bytes tell every protocol above from a start block with MSH.
_ENOUGH = 6


class Answer(StrEnum):
    """What came back."""

    SILENT = "silent"  # nothing in time
    CLOSED = "closed"  # the peer hung up without a word
    ACKNOWLEDGED = "acknowledged"  # an HL7 acknowledgement
    OTHER = "other"  # something else


@dataclass(frozen=True, slots=True, kw_only=True)
class Acknowledgement:
    """What one connection to an HL7 port showed."""

    answer: Answer
    #: MSA-1, one of ``CODES``; "" without an acknowledgement.
    code: str = ""
    #: MSA-2 is the identifier of our message: no other message was meant.
    names_ours: bool = False
    version: str = ""
    looks_like: str = ""


def message(control_id: str, sent_at: str) -> bytes:
    """Return the message that must be rejected; ``sent_at`` is YYYYMMDDHHMMSS, ``control_id`` at most 20 characters."""
    header = f"MSH|^~\\&|DOORWARD|AUDIT|||{sent_at}||ZDW^ZDW|{control_id}|D|9.9\r"
    return _START + header.encode("ascii") + _END + b"\r"


def listen(limits: Limits) -> Conversation[Acknowledgement]:
    """Say nothing and wait for the time that the driver gives; silence is what a receiver answers."""
    return (yield from _converse(b"", "", limits))


def knock(control_id: str, sent_at: str, limits: Limits) -> Conversation[Acknowledgement]:
    """Send the message and read the acknowledgement."""
    return (yield from _converse(message(control_id, sent_at), control_id, limits))


def _converse(words: bytes, control_id: str, limits: Limits) -> Conversation[Acknowledgement]:
    room = bytearray(limits.greeting_bytes)  # never grows, so that nothing of it stays elsewhere
    length = 0
    try:
        while room.find(_END, 0, length) < 0 and not _is_other(room, length):
            piece = yield words
            words = b""
            if length + len(piece) > len(room):
                raise LimitExceeded(
                    limit="greeting_bytes", value=len(room), seen=length + len(piece)
                )
            room[length : length + len(piece)] = piece
            length += len(piece)
    except PeerProtocolError as end:
        if not length:
            silent = end.field == SILENCE
            return Acknowledgement(answer=Answer.SILENT if silent else Answer.CLOSED)
    try:
        return _read(room, length, control_id.encode("ascii"))
    finally:
        room[:] = bytes(len(room))


def _is_other(room: bytearray, length: int) -> bool:
    """Tell early what cannot become an acknowledgement: it need not be waited for."""
    return length >= _ENOUGH and not room.startswith(b"MSH", _begin(room))


def _begin(room: bytearray) -> int:
    """Return where the message begins: behind the start block, which some leave out."""
    return 1 if room.startswith(_START) else 0


def _read(room: bytearray, length: int, control_id: bytes) -> Acknowledgement:
    begin, end = _begin(room), room.find(_END, 0, length)
    end = length if end < 0 else end
    if not room.startswith(b"MSH", begin) or length < begin + 4:
        looks_like = next((name for prefix, name in _PREFIXES if room.startswith(prefix)), "")
        return Acknowledgement(answer=Answer.OTHER, looks_like=looks_like)
    separator = bytes(room[begin + 3 : begin + 4])
    version = ""
    for found in _SEGMENT.finditer(room, begin, end):
        span = found.span()
        if room.startswith(b"MSH" + separator, span[0]):
            version = _version(_field(room, span, separator, 11))
        elif room.startswith(b"MSA" + separator, span[0]):
            code = _field(room, span, separator, 1).decode("latin-1")
            if code not in CODES:
                break
            return Acknowledgement(
                answer=Answer.ACKNOWLEDGED,
                code=code,
                names_ours=bool(control_id) and _field(room, span, separator, 2) == control_id,
                version=version,
            )
    # A message without MSA is somebody's own, or an echo of ours: no acknowledgement.
    return Acknowledgement(answer=Answer.OTHER, looks_like="hl7")


def _field(room: bytearray, span: tuple[int, int], separator: bytes, number: int) -> bytes:
    """Return one short field of a segment, b"" where it is missing or long."""
    begin, end = span
    for _ in range(number):
        begin = room.find(separator, begin, end) + 1
        if not begin:
            return b""
    stop = room.find(separator, begin, end)
    end = end if stop < 0 else stop
    return bytes(room[begin:end]) if end - begin <= _FIELD_BYTES else b""


def _version(field: bytes) -> str:
    number = field.partition(b"^")[0]
    return number.decode("ascii") if _VERSION.match(number) else ""
