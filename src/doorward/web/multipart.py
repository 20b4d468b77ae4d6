"""The parts of a multipart body, out of bytes that come in pieces of any size (RFC 2046 section 5.1, RFC 2387).

Theory of operation. ``MultipartReader.feed`` takes the next bytes and yields events: ``PartBegun`` with the headers of a part,
``PartData`` with its bytes, ``PartEnded``; ``finish`` says that no more will come. Of a body nothing is held but what may be
the beginning of a boundary, of a head no more than ``multipart_head_bytes``. How the bytes are cut changes nothing but how
the bytes of one part are.

Stricter than the RFC in what cannot be told apart otherwise: a line that begins with the boundary and goes on is refused, and
so are headers over several lines, headers that come twice, and an end without the last boundary. A part of a part is bytes.
What the peer does wrong raises PeerProtocolError or LimitExceeded, and the reader is of no more use then.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from doorward.errors import LimitExceeded, PeerProtocolError
from doorward.limits import DEFAULT_LIMITS, Limits

_SOURCE = "RFC 2046 section 5.1"
_BOUNDARY = re.compile(r"[0-9A-Za-z'()+_,./:=? -]*[0-9A-Za-z'()+_,./:=?-]")
_NAME = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_MEDIA_TYPE = re.compile(rf"[ \t]*({_NAME}/{_NAME})[ \t]*")
#: One parameter, a token or a quoted string (RFC 9110 section 5.6.6); between two semicolons there may be nothing.
_PARAMETER = re.compile(rf';[ \t]*(?:({_NAME})=(?:({_NAME})|"((?:[^"\\]|\\.)*)"))?[ \t]*')
#: Some write a media type as a parameter without the quotes that its slash needs.
_BARE = re.compile(rf";[ \t]*({_NAME})=([^\s\";]+)[ \t]*")
#: A boundary where a header should be is no header.
_HEADER = re.compile(rf"(?!--)({_NAME}):([^\x00-\x08\x0a-\x1f\x7f]*)".encode())
_LINE = b"\r\n"
_END_OF_HEAD = b"\r\n\r\n"
_PADDING = re.compile(rb"[ \t]*")


@dataclass(frozen=True, slots=True)
class MediaType:
    """A media type, in lower case, with its parameters by name in lower case."""

    name: str
    parameters: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PartBegun:
    """A part begins; its headers by name in lower case."""

    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class PartData:
    """The next bytes of the part; never none."""

    data: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class PartEnded:
    """The part is whole."""


Event: TypeAlias = PartBegun | PartData | PartEnded


def parse_media_type(text: str, limits: Limits = DEFAULT_LIMITS) -> MediaType:
    """Return what a Content-Type says (RFC 9110 section 8.3.1).

    Raises PeerProtocolError where it is malformed or a parameter comes twice, LimitExceeded (``content_type_bytes``).
    """
    if len(text) > limits.content_type_bytes:
        bound = limits.content_type_bytes
        raise LimitExceeded(limit="content_type_bytes", value=bound, seen=len(text))
    name = _MEDIA_TYPE.match(text)
    if name is None:
        raise _media_type("it is no media type")
    parameters: dict[str, str] = {}
    at = name.end()
    while at < len(text):
        forms = (_PARAMETER.match(text, at), _BARE.match(text, at))
        found = max(filter(None, forms), key=lambda form: form.end(), default=None)
        if found is None:
            raise _media_type("a parameter is malformed")
        at = found.end()
        key, *values = found.groups()
        if key is None:
            continue
        if key.lower() in parameters:
            raise _media_type("a parameter comes twice")
        value = next(value for value in values if value is not None)
        parameters[key.lower()] = re.sub(r"\\(.)", r"\1", value)
    return MediaType(name[1].lower(), parameters)


def boundary_of(media_type: MediaType, limits: Limits = DEFAULT_LIMITS) -> str:
    """Return the boundary of a multipart type.

    Raises PeerProtocolError where there is none or it is malformed, LimitExceeded (``multipart_boundary_characters``).
    """
    boundary = media_type.parameters.get("boundary", "")
    bound = limits.multipart_boundary_characters
    if len(boundary) > bound:
        raise LimitExceeded(limit="multipart_boundary_characters", value=bound, seen=len(boundary))
    if not _BOUNDARY.fullmatch(boundary):
        raise _media_type("its boundary is not in characters of RFC 2046")
    return boundary


class MultipartReader:
    """One multipart body on its way in."""

    def __init__(self, boundary: str, limits: Limits = DEFAULT_LIMITS) -> None:
        self._delimiter = _LINE + b"--" + boundary.encode("ascii")
        self._limits = limits
        self._parts = 0
        # The first boundary needs no line before it, so one is put there.
        self._held = bytearray(_LINE)
        self._at = 0
        self._passed = 0  # bytes of preamble or epilogue
        self._to_drop = 0  # bytes at the beginning of a body that we have put there
        self._next = self._before_first

    def feed(self, chunk: bytes) -> Iterator[Event]:
        """Yield what the next bytes say; has to be used up before the next call."""
        self._held += chunk
        while (events := self._next()) is not None:
            yield from events
        del self._held[: self._at]
        self._at = 0

    def finish(self) -> None:
        """Say that there is no more. Raises PeerProtocolError where the last boundary has not come."""
        if self._next != self._behind_last:
            raise _fault("it ends before its last boundary")

    # --- states: each returns events, () where it has gone on, None where more bytes have to come ---------------------

    def _before_first(self) -> tuple[Event, ...] | None:
        found = self._held.find(self._delimiter, self._at)
        passed = found if found >= 0 else max(self._at, len(self._held) - len(self._delimiter) + 1)
        self._pass(passed - self._at)
        self._at = passed
        return self._found(found)

    def _behind_boundary(self) -> tuple[Event, ...] | None:
        """Decide what a boundary is: the last one, or one with a part behind it."""
        held, at = self._held, self._at
        if len(held) < at + 2:
            return None
        if held[at : at + 2] == b"--":
            self._at = at + 2
            self._next = self._behind_last
            return ()
        padding = _PADDING.match(held, at)
        end = padding.end() if padding else at
        self._check_head(end - at)
        if len(held) < end + 2:
            return None
        if held[end : end + 2] != _LINE:
            raise _fault("a line begins with the boundary and goes on")
        self._at = end  # the line's end may be half of the end of an empty head
        self._next = self._in_head
        return ()

    def _in_head(self) -> tuple[Event, ...] | None:
        end = self._held.find(_END_OF_HEAD, self._at)
        # The last three bytes may be the beginning of the end.
        self._check_head((end if end >= 0 else len(self._held) - 3) - self._at)
        if end < 0:
            return None
        headers = _headers(bytes(self._held[self._at + 2 : end]))
        self._parts += 1
        bound = self._limits.stow_instances
        if self._parts > bound:
            raise LimitExceeded(limit="stow_instances", value=bound, seen=self._parts)
        # The empty line is also the line before a boundary where there is no body at all.
        self._at = end + 2
        self._to_drop = 2
        self._next = self._in_body
        return (PartBegun(headers),)

    def _in_body(self) -> tuple[Event, ...] | None:
        held = self._held
        found = held.find(self._delimiter, self._at)
        end = found if found >= 0 else len(held) - len(self._delimiter) + 1
        begin = self._at + self._to_drop
        events: tuple[Event, ...] = ()
        if end > begin:
            events = (PartData(bytes(memoryview(held)[begin:end])),)
        if end > self._at:
            self._to_drop = max(0, begin - end)
            self._at = end
        if found < 0:
            return events or None
        self._to_drop = 0
        self._found(found)
        return (*events, PartEnded())

    def _behind_last(self) -> tuple[Event, ...] | None:
        self._pass(len(self._held) - self._at)
        self._at = len(self._held)
        return None

    # --- inner ------------------------------------------------------------------------------------------------------

    def _found(self, at: int) -> tuple[Event, ...] | None:
        if at < 0:
            return None
        self._at = at + len(self._delimiter)
        self._next = self._behind_boundary
        return ()

    def _pass(self, count: int) -> None:
        self._passed += count
        bound = self._limits.multipart_margin_bytes
        if self._passed > bound:
            raise LimitExceeded(limit="multipart_margin_bytes", value=bound, seen=self._passed)

    def _check_head(self, count: int) -> None:
        bound = self._limits.multipart_head_bytes
        if count > bound:
            raise LimitExceeded(limit="multipart_head_bytes", value=bound, seen=count)


def _headers(lines: bytes) -> dict[str, str]:
    found: dict[str, str] = {}
    for line in lines.split(_LINE) if lines else ():
        header = _HEADER.fullmatch(line)
        if header is None:
            raise _fault("a header of a part is malformed")
        name = header[1].decode("ascii").lower()
        if name in found:
            raise _fault("a header of a part comes twice")
        found[name] = header[2].strip(b" \t").decode("latin-1")
    return found


def _fault(problem: str) -> PeerProtocolError:
    return PeerProtocolError(problem, field="multipart body", source=_SOURCE)


def _media_type(problem: str) -> PeerProtocolError:
    return PeerProtocolError(problem, field="Content-Type", source="RFC 9110 section 8.3.1")
