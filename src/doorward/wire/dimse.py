"""The command sets of DIMSE as bytes, both ways (PS3.7 section 6.3.1, Annex E); its messages are in ``command``.

Theory of operation: ``_SHAPES`` is made from the classes of ``command`` when the module is loaded, and one loop each
decodes and encodes every message. ``decode_command`` refuses a command that lacks a mandatory element.

The bytes are always implicit VR little endian and group 0000 only (PS3.7 6.3.1), whatever the transfer syntax of the data
set. Fragments are put together in ``message``; nothing here knows presentation contexts.

Tolerated, because nothing becomes ambiguous by it:
  * a missing or wrong Command Group Length: the last fragment ends the command set (PS3.8 E.2);
  * elements out of order: each may still occur only once;
  * values of odd length, UIDs and titles padded with NUL or space: not every stack pads as PS3.5 6.2 says;
  * a missing Priority: counts as MEDIUM, which is what most peers do with any priority;
  * elements of group 0000 that a message does not define: skipped unread;
  * (0008,0000) and (0008,0058), skipped unread: Orthanc 1.10 puts the list of failed instances of a C-GET here, and not into
    the data set, its place (PS3.4 section C.4.3).
Characters beyond printable ASCII become "?" in titles and comments, so that no control character ever reaches a terminal;
in a UID they are refused.
"""

import struct
from collections.abc import Callable
from dataclasses import MISSING, fields
from typing import NamedTuple

from doorward.errors import LocalProtocolError, PeerProtocolError
from doorward.limits import DEFAULT_LIMITS, Limits
from doorward.wire.command import (
    ELEMENTS,
    CCancelRequest,
    CEchoRequest,
    CEchoResponse,
    CFindRequest,
    CFindResponse,
    CGetRequest,
    CGetResponse,
    CMoveRequest,
    CMoveResponse,
    Command,
    CStoreRequest,
    CStoreResponse,
    NActionRequest,
    NActionResponse,
    NCreateRequest,
    NCreateResponse,
    NDeleteRequest,
    NDeleteResponse,
    NEventReportRequest,
    NEventReportResponse,
    NGetRequest,
    NGetResponse,
    NSetRequest,
    NSetResponse,
    Priority,
    Request,
    Response,
    Value,
)
from doorward.wire.pdu import Fragment

__all__ = [
    "DATA_SET_PRESENT",
    "ELEMENTS",
    "NO_DATA_SET",
    "CCancelRequest",
    "CEchoRequest",
    "CEchoResponse",
    "CFindRequest",
    "CFindResponse",
    "CGetRequest",
    "CGetResponse",
    "CMoveRequest",
    "CMoveResponse",
    "CStoreRequest",
    "CStoreResponse",
    "Command",
    "NActionRequest",
    "NActionResponse",
    "NCreateRequest",
    "NCreateResponse",
    "NDeleteRequest",
    "NDeleteResponse",
    "NEventReportRequest",
    "NEventReportResponse",
    "NGetRequest",
    "NGetResponse",
    "NSetRequest",
    "NSetResponse",
    "Priority",
    "Request",
    "Response",
    "decode_command",
    "encode_command",
    "has_free_text",
]

#: Command Data Set Type: "no data set present"; any other value says that one follows (PS3.7 E.1).
NO_DATA_SET = 0x0101
#: What we send instead of ``NO_DATA_SET``; the Standard leaves the number open.
DATA_SET_PRESENT = 0x0001

_COMMAND_FIELD = 0x0100
_COMMAND_DATA_SET_TYPE = 0x0800
#: Element numbers of group 0000 whose value is a number, a UID or a title.
_WITHOUT_FREE_TEXT = frozenset(
    {0x0000, _COMMAND_FIELD, _COMMAND_DATA_SET_TYPE}
    | {element.number for name, element in ELEMENTS.items() if name != "error_comment"}
)
_ENCODING_SOURCE = "PS3.7 section 6.3.1"
_TABLE_SOURCE = "PS3.7 Table E.1-1"

_HEADER = struct.Struct("<HHI")
#: Foreign elements that a known peer puts into its command sets; see above.
_TOLERATED = ((0x0008, 0x0000), (0x0008, 0x0058))
_US = struct.Struct("<H")
_AE_BYTES = 16  # PS3.5 section 6.2
_UI_BYTES = 64  # PS3.5 section 9.1
_LO_CHARACTERS = 64  # PS3.5 section 6.2

# Beside letters and digits; the dot is the only one that the Standard allows.
_UID_MARKS = b".-_"
# Printable ASCII stays, everything else becomes "?".
_PRINTABLE = bytes(b if 0x20 <= b < 0x7F else 0x3F for b in range(256))


class _Slot(NamedTuple):
    """One field of one message."""

    name: str
    number: int
    vr: str
    is_required: bool


class _Shape(NamedTuple):
    """One message: how to make it and, in ascending order of tags, what it holds."""

    make: Callable[..., Command]
    slots: tuple[_Slot, ...]


def _shape(message: type[Command]) -> _Shape:
    slots = [
        _Slot(f.name, *ELEMENTS[f.name], f.default is MISSING)
        for f in fields(message)
        if f.name != "has_data_set"
    ]
    return _Shape(message, tuple(sorted(slots, key=lambda slot: slot.number)))


_SHAPES: dict[int, _Shape] = {
    message.command_field: _shape(message) for message in (*Request.__args__, *Response.__args__)
}


# --- bytes to value ---


def has_free_text(data: Fragment) -> bool:
    """Tell whether a command set holds an Error Comment, or an element that no message defines.

    Whatever stands there may be about a patient. False where the command set cannot be walked: nobody decodes that.
    """
    offset, last = 0, len(data) - _HEADER.size
    while offset <= last:
        _, number, length = _HEADER.unpack_from(data, offset)
        if number not in _WITHOUT_FREE_TEXT:
            return True
        offset += _HEADER.size + length
    return False


def decode_command(data: Fragment, limits: Limits = DEFAULT_LIMITS) -> Command:
    """Return the message of one whole command set; free text in a view (borrowed bytes) stays unread.

    Raises PeerProtocolError, and nothing else, whatever the bytes. PS3.7 section 6.3.1.
    """
    elements = _decode_elements(data, limits)
    command_field = _decode_us(elements.get(_COMMAND_FIELD, b""), "Command Field")
    if command_field is None:
        raise _missing("Command Field")
    shape = _SHAPES.get(command_field)
    if shape is None:
        raise PeerProtocolError(
            f"{command_field:#06x} names no message", field="Command Field", source=_TABLE_SOURCE
        )
    data_set_type = _decode_us(elements.get(_COMMAND_DATA_SET_TYPE, b""), "Command Data Set Type")
    if data_set_type is None:
        raise _missing("Command Data Set Type")
    values: dict[str, Value] = {"has_data_set": data_set_type != NO_DATA_SET}
    for name, number, vr, is_required in shape.slots:
        raw = elements.get(number)
        if raw:
            value = _decode_us(raw, name) if vr == "US" else _decode_value(vr, raw, name, limits)
            if value != "":
                values[name] = value
                continue
        if is_required:
            raise _missing(name)
    return shape.make(**values)


def _decode_elements(data: Fragment, limits: Limits) -> dict[int, bytes]:
    """Cut a command set into element number -> value; bounded, each element once."""
    end = len(data)
    if end > limits.command_set_bytes:
        raise PeerProtocolError(
            f"longer than {limits.command_set_bytes} bytes", field="Command Set", source="limits"
        )
    elements: dict[int, bytes] = {}
    offset = 0
    while offset < end:
        if end - offset < _HEADER.size:
            raise PeerProtocolError(
                "ends inside an element header", field="Command Set", source=_ENCODING_SOURCE
            )
        group, number, length = _HEADER.unpack_from(data, offset)
        offset += _HEADER.size
        if length > end - offset:
            raise _misplaced("is longer than the command set", group, number)
        if group != 0 and (group, number) not in _TOLERATED:
            raise _misplaced("is not of group 0000", group, number)
        key = group << 16 | number
        if key in elements:
            raise _misplaced("occurs twice", group, number)
        if len(elements) >= limits.command_elements:
            raise PeerProtocolError(
                f"more than {limits.command_elements} elements",
                field="Command Set",
                source="limits",
            )
        is_unread = key not in _WITHOUT_FREE_TEXT and not isinstance(data, bytes)
        elements[key] = b"" if is_unread or group else bytes(data[offset : offset + length])
        offset += length
    return elements


def _misplaced(message: str, group: int, number: int) -> PeerProtocolError:
    return PeerProtocolError(
        message, field=f"Command Set ({group:04X},{number:04X})", source=_ENCODING_SOURCE
    )


def _missing(name: str) -> PeerProtocolError:
    return PeerProtocolError("is missing", field=_words(name), source=_TABLE_SOURCE)


def _words(name: str) -> str:
    """Return the name of a field as the Standard writes it, near enough for a message."""
    return name if " " in name else name.replace("_", " ")


def _decode_us(raw: bytes, name: str) -> int | None:
    """Return an unsigned short, None where the value is empty."""
    if len(raw) == 2:
        return raw[0] | raw[1] << 8
    if raw:
        raise PeerProtocolError(
            f"has {len(raw)} bytes, not 2", field=_words(name), source=_TABLE_SOURCE
        )
    return None


def _decode_value(vr: str, raw: bytes, name: str, limits: Limits) -> str | tuple[int, ...]:
    """Return a UID, a title, a comment or a list of tags."""
    if vr == "UI":
        return _decode_uid(raw, name, limits)
    if vr == "AT":
        return _decode_tags(raw, name)
    if vr == "AE":
        title = raw.strip(b" \0")
        if len(title) > _AE_BYTES:
            raise PeerProtocolError(
                f"has {len(title)} bytes, more than {_AE_BYTES}",
                field=_words(name),
                source="PS3.5 section 6.2",
            )
        return title.translate(_PRINTABLE).decode("ascii")
    comment = raw.strip(b" \0")[:_LO_CHARACTERS].strip(b" \0")
    return comment.translate(_PRINTABLE).decode("ascii")


def _decode_uid(raw: bytes, name: str, limits: Limits) -> str:
    uid = raw.strip(b" \0")
    if len(uid) > limits.uid_bytes:
        raise PeerProtocolError(
            f"has {len(uid)} bytes, more than {limits.uid_bytes}",
            field=_words(name),
            source="PS3.5 section 9.1",
        )
    # Letters are against the Standard and do occur; what could harm a terminal or a path does not pass.
    if uid and not uid.translate(None, _UID_MARKS).isalnum():
        raise PeerProtocolError(
            "holds characters that no UID has", field=_words(name), source="PS3.5 section 9.1"
        )
    return uid.decode("ascii")


def _decode_tags(raw: bytes, name: str) -> tuple[int, ...]:
    if len(raw) % 4:
        raise PeerProtocolError(
            f"has {len(raw)} bytes, not a multiple of 4", field=_words(name), source=_TABLE_SOURCE
        )
    halves = struct.unpack(f"<{len(raw) // 2}H", raw)
    return tuple(
        group << 16 | number for group, number in zip(halves[::2], halves[1::2], strict=True)
    )


# --- value to bytes ---


def encode_command(command: Command) -> bytes:
    """Return the command set with group length and data set type (PS3.7 section 6.3.1).

    Raises LocalProtocolError for a value that its element cannot carry.
    """
    parts: list[tuple[int, bytes]] = [
        (_COMMAND_FIELD, _US.pack(command.command_field)),
        (
            _COMMAND_DATA_SET_TYPE,
            _US.pack(DATA_SET_PRESENT if command.has_data_set else NO_DATA_SET),
        ),
    ]
    for name, number, vr, is_required in _SHAPES[command.command_field].slots:
        value: Value = getattr(command, name)
        if value is not None and value not in ("", ()):
            parts.append((number, _encode_value(name, vr, value)))
        elif is_required:
            raise LocalProtocolError(f"{_words(name)} is mandatory and empty")
    parts.sort()
    body = b"".join(_HEADER.pack(0, number, len(raw)) + raw for number, raw in parts)
    return _HEADER.pack(0, 0, 4) + len(body).to_bytes(4, "little") + body


def _encode_value(name: str, vr: str, value: Value) -> bytes:
    match vr, value:
        case "US", int() if 0 <= value <= 0xFFFF:
            return _US.pack(value)
        case "AT", tuple() if all(0 <= tag <= 0xFFFFFFFF for tag in value):
            return b"".join(struct.pack("<HH", tag >> 16, tag & 0xFFFF) for tag in value)
        case "UI", str() if (
            _is_sendable(value, _UI_BYTES)
            and value.encode("ascii").translate(None, _UID_MARKS).isalnum()
        ):
            return _pad(value, b"\0")
        case "AE", str() if _is_sendable(value, _AE_BYTES):
            return _pad(value, b" ")
        case "LO", str() if _is_sendable(value, _LO_CHARACTERS):
            return _pad(value, b" ")
    raise LocalProtocolError(f"{_words(name)} holds what its element cannot carry (VR {vr})")


def _is_sendable(text: str, longest: int) -> bool:
    return len(text) <= longest and text.isascii() and text.isprintable()


def _pad(text: str, padding: bytes) -> bytes:
    raw = text.encode("ascii")
    return raw + padding if len(raw) % 2 else raw
