"""Reads JSON in a stream (RFC 8259): the grammar whole, of the values only what was asked for.

Theory of operation: ``JsonStream`` is fed pieces cut anywhere and tells a ``Listener`` what opens and closes, which keys
there are, and, where the listener wants it, one short scalar. Everything else is walked over in the caller's buffer and
never copied, so a patient's name in an answer is never a value of ours. ``StudyCounter`` counts the answer to a QIDO-RS
query that way (PS3.18 section 10.6), ``MemberReader`` picks named scalars out of an object, a server's counters above all.
Depth and the length of what is read are bounded; strings and arrays may be endless, as nothing of them is kept.
Both readers never raise for what the peer sent: they stop, and ``is_whole`` stays False.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Protocol

from doorward.errors import LimitExceeded, PeerProtocolError
from doorward.limits import DEFAULT_LIMITS, Limits
from doorward.web.wiped_text import WipedText

_SPACE = re.compile(rb"[ \t\n\r]*")
_PLAIN = re.compile(rb'[^"\\\x00-\x1f]*')
#: A string without escapes that lies whole in one piece, and the space behind it: nearly all of them.
_SIMPLE = re.compile(rb'"([^"\\\x00-\x1f]*)"[ \t\n\r]*')
_WORD = re.compile(rb"[-+.0-9A-Za-z]*")
_SCALAR = re.compile(rb"(?:true|false|null|-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?)\Z")
_WS = rb"[ \t\n\r]*+"
_ANY_SCALAR = (
    rb'(?:"[^"\\\x00-\x1f]*+"|true|false|null|'
    rb"-?(?:0|[1-9][0-9]{0,30}+)(?:\.[0-9]{1,30}+)?(?:[eE][-+]?[0-9]{1,30}+)?)"
)


def _list_of(begin: bytes, item: bytes, end: bytes) -> bytes:
    more = rb"(?:," + _WS + item + _WS + rb")*+"
    return begin + _WS + rb"(?:" + item + _WS + more + rb")?" + end


def _member(value: bytes) -> bytes:
    return rb'"[^"\\\x00-\x1f]*+"' + _WS + rb":" + _WS + value


#: One attribute of DICOM JSON as servers write it, whole in one piece: {"vr": "PN", "Value": [{"Alphabetic": ""}]}. It is
#: legal JSON and nothing else, so to step over it by one match leaves the grammar as strict as it is.
_FLAT = _list_of(rb"\{", _member(_ANY_SCALAR), rb"\}")
_ARRAY = _list_of(rb"\[", rb"(?:" + _ANY_SCALAR + rb"|" + _FLAT + rb")", rb"\]")
_ATTRIBUTE = re.compile(
    _list_of(rb"\{", _member(rb"(?:" + _ANY_SCALAR + rb"|" + _ARRAY + rb")"), rb"\}")
)
_ESCAPES = frozenset(b'"\\/bfnrtu')
_HEX = frozenset(b"0123456789abcdefABCDEF")
_TAG = re.compile(r"[0-9A-Fa-f]{8}\Z")

STUDY_INSTANCE_UID = "0020000D"
NUMBER_OF_STUDY_RELATED_INSTANCES = "00201208"
_ASKED = (STUDY_INSTANCE_UID, NUMBER_OF_STUDY_RELATED_INSTANCES)
#: Twelve digits for an integer string (PS3.5 section 6.2).
_COUNT = re.compile(r"[0-9]{1,12}\Z")


class Listener(Protocol):
    """Is told the structure. ``depth`` is the number of containers that are open, this one included."""

    def opened(self, depth: int, *, is_array: bool) -> None:
        """A container begins."""

    def closed(self, depth: int) -> None:
        """The container at this depth ends."""

    def key(self, depth: int, name: str | None) -> None:
        """A member's key; None for one that is longer than ``limits.json_text_bytes``."""

    def may_skip(self, depth: int) -> bool:
        """Tell whether the object that would open at this depth may be stepped over without another word."""

    def wants(self, depth: int) -> bool:
        """Tell whether to read the scalar that begins now inside the container at this depth."""

    def scalar(self, depth: int, text: str | None, *, is_string: bool) -> None:
        """A scalar; its text only where it was wanted and is short enough."""


def _fault(words: str) -> PeerProtocolError:
    return PeerProtocolError(words, field="JSON", source="RFC 8259")


class JsonStream:
    """The grammar of JSON, fed in pieces."""

    def __init__(self, listener: Listener, *, limits: Limits = DEFAULT_LIMITS) -> None:
        self._listener = listener
        self._limits = limits
        self._arrays: list[bool] = []
        self._expects = (
            "value"  # value | value_or_end | key_or_end | key | colon | comma_or_end | nothing
        )
        self._in_string = self._in_word = self._is_key = False
        self._escape = 0  # 1: after a backslash; 2 to 5: hexadecimal digits to come, plus one
        self._text: WipedText | None = None

    @property
    def is_complete(self) -> bool:
        """One whole value was read."""
        return self._expects == "nothing" and not self._in_word

    def feed(self, chunk: memoryview) -> None:
        """Read a piece; raises PeerProtocolError for what is no JSON, LimitExceeded."""
        position, end = 0, len(chunk)
        while position < end:
            if self._in_string:
                position = self._string(chunk, position)
            elif self._in_word:
                position = self._word(chunk, position)
            else:
                position = _end_of(_SPACE, chunk, position)
                if position < end:
                    position = self._next(chunk, position)

    def finish(self) -> None:
        """Say that nothing follows; raises PeerProtocolError when the value is not whole."""
        if self._in_word:
            self._end_word()
        if not self.is_complete:
            raise _fault("the text ends in the middle")

    # --- between values -------------------------------------------------------------------------------------------

    def _next(self, chunk: memoryview, position: int) -> int:
        """Take one token, or the beginning of one; returns where to go on."""
        if chunk[position] == 0x22 and (whole := _SIMPLE.match(chunk, position)) is not None:
            begin, end = whole.span(1)
            if self._expects in ("key", "key_or_end"):
                self._expects = "colon"
                self._listener.key(len(self._arrays), self._read(chunk[begin:end]))
                return whole.end()
            if self._expects in ("value", "value_or_end"):
                depth = len(self._arrays)
                is_wanted = self._listener.wants(depth)
                self._expects = "comma_or_end" if depth else "nothing"
                text = self._read(chunk[begin:end]) if is_wanted else None
                self._listener.scalar(depth, text, is_string=True)
                return whole.end()
        elif (
            chunk[position] == 0x7B
            and self._expects == "value"
            and self._listener.may_skip(len(self._arrays) + 1)
            and (whole := _ATTRIBUTE.match(chunk, position)) is not None
        ):
            self._end_value()
            return whole.end()
        return position + self._structural(chunk[position])

    def _read(self, text: memoryview) -> str | None:
        return _unescaped(bytes(text)) if len(text) <= self._limits.json_text_bytes else None

    def _structural(self, byte: int) -> int:
        """Take one byte that is not inside a scalar; 0 when the byte begins a word and belongs to it."""
        match self._expects, byte:
            case "value" | "value_or_end", 0x22:
                self._begin_string(is_key=False)
            case "value" | "value_or_end", 0x7B:
                self._open(is_array=False)
            case "value" | "value_or_end", 0x5B:
                self._open(is_array=True)
            case "value_or_end" | "comma_or_end", 0x5D if self._arrays[-1]:
                self._close()
            case "key_or_end" | "key", 0x22:
                self._begin_string(is_key=True)
            case "key_or_end" | "comma_or_end", 0x7D if not self._arrays[-1]:
                self._close()
            case "colon", 0x3A:
                self._expects = "value"
            case "comma_or_end", 0x2C:
                self._expects = "value" if self._arrays[-1] else "key"
            case "value" | "value_or_end", _:
                self._begin_word()
                return 0
            case _:
                raise _fault("a character where it must not be")
        return 1

    def _open(self, *, is_array: bool) -> None:
        self._arrays.append(is_array)
        if len(self._arrays) > self._limits.json_depth:
            raise LimitExceeded(
                limit="json_depth", value=self._limits.json_depth, seen=len(self._arrays)
            )
        self._listener.opened(len(self._arrays), is_array=is_array)
        self._expects = "value_or_end" if is_array else "key_or_end"

    def _close(self) -> None:
        self._listener.closed(len(self._arrays))
        self._arrays.pop()
        self._end_value()

    def _end_value(self) -> None:
        self._expects = "comma_or_end" if self._arrays else "nothing"

    # --- strings --------------------------------------------------------------------------------------------------

    def _begin_string(self, *, is_key: bool) -> None:
        self._in_string, self._is_key = True, is_key
        if is_key or self._listener.wants(len(self._arrays)):
            self._text = WipedText(self._limits.json_text_bytes)

    def _string(self, chunk: memoryview, position: int) -> int:
        """Go on inside a string; returns where to go on."""
        if self._escape:
            self._escaped(chunk[position])
            self._keep(chunk[position : position + 1])
            return position + 1
        end = _end_of(_PLAIN, chunk, position)
        self._keep(chunk[position:end])
        if end == len(chunk):
            return end
        byte = chunk[end]
        if byte == 0x22:
            self._end_string()
        elif byte == 0x5C:
            self._escape = 1
            self._keep(chunk[end : end + 1])
        else:
            raise _fault("a control character in a string")
        return end + 1

    def _escaped(self, byte: int) -> None:
        if self._escape == 1:
            if byte not in _ESCAPES:
                raise _fault("an unknown escape")
            self._escape = 5 if byte == 0x75 else 0
            return
        if byte not in _HEX:
            raise _fault("an escape without four digits")
        self._escape = self._escape - 1 if self._escape > 2 else 0

    def _end_string(self) -> None:
        self._in_string = False
        text = _unescaped(self._taken())
        if self._is_key:
            self._listener.key(len(self._arrays), text)
            self._expects = "colon"
        else:
            self._end_value()
            self._listener.scalar(len(self._arrays), text, is_string=True)

    # --- numbers and words ----------------------------------------------------------------------------------------

    def _begin_word(self) -> None:
        self._in_word = True
        self._text = WipedText(self._limits.json_text_bytes)

    def _word(self, chunk: memoryview, position: int) -> int:
        end = _end_of(_WORD, chunk, position)
        self._keep(chunk[position:end])
        if self._text is not None and self._text.is_too_long:
            raise LimitExceeded(
                limit="json_text_bytes",
                value=self._limits.json_text_bytes,
                seen=self._limits.json_text_bytes + 1,
            )
        if end < len(chunk):
            self._end_word()
        return end

    def _end_word(self) -> None:
        self._in_word = False
        depth = len(self._arrays)
        is_wanted = self._listener.wants(depth)
        text = self._taken() or b""
        if not _SCALAR.match(text):
            raise _fault("neither a number nor a word of JSON")
        self._end_value()
        self._listener.scalar(depth, text.decode("ascii") if is_wanted else None, is_string=False)

    def _keep(self, piece: memoryview) -> None:
        if self._text is not None:
            self._text.append(piece)

    def _taken(self) -> bytes | None:
        """Return the text that was gathered, None where none was wanted or it is too long; and forget it."""
        text, self._text = self._text, None
        return None if text is None else text.taken()


def _end_of(pattern: re.Pattern[bytes], chunk: memoryview, position: int) -> int:
    found = pattern.match(chunk, position)
    assert found is not None  # every pattern matches the empty string
    return found.end()


def _unescaped(text: bytes | None) -> str | None:
    """Return what a short string means; None for no text and for what is no Unicode."""
    if text is None:
        return None
    try:
        plain = text.decode("utf-8")
        return str(json.loads(f'"{plain}"')) if "\\" in plain else plain
    except UnicodeDecodeError:
        return None


class _Reader:
    """Feeds a ``JsonStream`` and turns its exceptions into an end."""

    def __init__(self, *, limits: Limits = DEFAULT_LIMITS) -> None:
        self._stream = JsonStream(self, limits=limits)
        self._is_broken = False
        #: The text was one whole JSON value.
        self.is_whole = False
        #: "array" | "object" | "scalar" | "" before anything was read.
        self.kind = ""

    def feed(self, chunk: memoryview) -> bool:
        """Read a piece; False: reading on is of no use."""
        try:
            self._stream.feed(chunk)
        except (PeerProtocolError, LimitExceeded):
            self._is_broken = True
        return not self._is_broken

    def finish(self) -> None:
        """Say that nothing follows."""
        if not self._is_broken:
            try:
                self._stream.finish()
                self.is_whole = True
            except PeerProtocolError:
                self._is_broken = True

    def opened(self, depth: int, *, is_array: bool) -> None:
        """Remember what the whole is."""
        if depth == 1:
            self.kind = "array" if is_array else "object"

    def closed(self, depth: int) -> None:
        """Nothing to do."""

    def key(self, depth: int, name: str | None) -> None:
        """Nothing to do."""

    def may_skip(self, depth: int) -> bool:
        """Everything is looked at."""
        return False

    def wants(self, depth: int) -> bool:
        """Nothing is wanted."""
        return False

    def scalar(self, depth: int, text: str | None, *, is_string: bool) -> None:
        """Remember what the whole is."""
        if depth == 0:
            self.kind = "scalar"


class MemberReader(_Reader):
    """Takes named scalars of one object, or of the first object of an array."""

    def __init__(self, *names: str, limits: Limits = DEFAULT_LIMITS) -> None:
        super().__init__(limits=limits)
        self._names = frozenset(names)
        self._at = 0  # depth of the object that is read; 0: not yet found
        self._is_done = False
        self._name: str | None = None
        #: What was found: text of a string or a number, "true", "false", "null".
        self.found: dict[str, str] = {}
        #: Elements of the top-level array.
        self.elements = 0

    def number(self, name: str) -> int | None:
        """Return a member as a count of at most twelve digits; None for everything else."""
        text = self.found.get(name, "")
        return int(text) if _COUNT.match(text) else None

    def opened(self, depth: int, *, is_array: bool) -> None:
        """Find the object."""
        super().opened(depth, is_array=is_array)
        if depth == 2 and self.kind == "array":
            self.elements += 1
        if not is_array and not self._at and depth == (2 if self.kind == "array" else 1):
            self._at = depth

    def closed(self, depth: int) -> None:
        """Only one object is read."""
        if depth == self._at:
            self._is_done = True

    def key(self, depth: int, name: str | None) -> None:
        """Remember the member that follows."""
        if depth == self._at:
            self._name = name

    def wants(self, depth: int) -> bool:
        """Only named members of the one object."""
        return depth == self._at != 0 and not self._is_done and self._name in self._names

    def scalar(self, depth: int, text: str | None, *, is_string: bool) -> None:
        """Take it where it was wanted."""
        super().scalar(depth, text, is_string=is_string)
        if depth == 1 and self.kind == "array":
            self.elements += 1
        if text is not None and self._name is not None and self.wants(depth):
            self.found[self._name] = text


class StudyCounter(_Reader):
    """Counts the studies of one QIDO-RS answer and sums (0020,1208); reads the first study's UID as a mark of the page."""

    def __init__(self, *, limits: Limits = DEFAULT_LIMITS) -> None:
        super().__init__(limits=limits)
        self._tag: str | None = None
        self._member: str | None = None
        self._is_first_value = False
        self._instances: int | None = None
        self._has_tags = False
        self._others = 0
        #: Elements of the array, whatever they are.
        self.elements = 0
        #: Elements that are DICOM JSON objects: with at least one attribute tag as key (PS3.18 Annex F).
        self.studies = 0
        self.instances = 0
        self.with_instances = 0
        #: Most attributes beyond the two asked ones seen in any study; none was read.
        self.extra_attributes = 0
        #: A short digest of the first Study Instance UID: tells whether two pages are the same.
        self.mark = b""

    def opened(self, depth: int, *, is_array: bool) -> None:
        """A study begins, or the array of an attribute's values."""
        super().opened(depth, is_array=is_array)
        if depth == 2:
            self.elements += 1
            self._tag, self._instances, self._has_tags, self._others = None, None, False, 0
        elif depth == 3:
            self._member = None
        elif depth == 4:
            self._is_first_value = is_array
        elif depth == 5:
            self._is_first_value = False

    def closed(self, depth: int) -> None:
        """A study ends: add it up."""
        if depth == 3:
            self._member = None
        if depth != 2:
            return
        if self._has_tags:
            self.studies += 1
        if self._instances is not None:
            self.instances += self._instances
            self.with_instances += 1
        self.extra_attributes = max(self.extra_attributes, self._others)

    def key(self, depth: int, name: str | None) -> None:
        """An attribute tag, or a member of an attribute."""
        if depth == 2:
            self._tag = None if name is None else name.upper()
            self._others += self._tag not in _ASKED
            self._has_tags = self._has_tags or (name is not None and bool(_TAG.match(name)))
        elif depth == 3:
            self._member = name

    def may_skip(self, depth: int) -> bool:
        """An attribute that nobody asked for."""
        return depth == 3 and self._tag not in _ASKED

    def wants(self, depth: int) -> bool:
        """The first value of the two asked attributes."""
        if depth != 4 or not self._is_first_value or self._member != "Value":
            return False
        if self._tag == STUDY_INSTANCE_UID:
            return self.elements == 1
        return self._tag == NUMBER_OF_STUDY_RELATED_INSTANCES

    def scalar(self, depth: int, text: str | None, *, is_string: bool) -> None:
        """Add a number, or mark the page."""
        super().scalar(depth, text, is_string=is_string)
        if depth == 1 and self.kind == "array":
            self.elements += 1
        if depth != 4:
            return
        if text is not None and self.wants(depth):
            if self._tag == STUDY_INSTANCE_UID:
                self.mark = hashlib.sha256(text.encode()).digest()[:8]
            elif _COUNT.match(text.strip()):
                self._instances = int(text.strip())
        self._is_first_value = False


def members(text: bytes, *names: str, limits: Limits = DEFAULT_LIMITS) -> Mapping[str, str]:
    """Return the named members of a whole text; {} when it is no JSON."""
    reader = MemberReader(*names, limits=limits)
    reader.feed(memoryview(text))
    reader.finish()
    return reader.found if reader.is_whole else {}
