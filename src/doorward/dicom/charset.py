"""Text of a data set under its Specific Character Set (0008,0005): bytes in, text out, never an exception.

Theory of operation. ``parse_specific_character_set`` turns the value of (0008,0005) into the Standard's defined terms.
Without code extensions the one term names one Python codec. With code extensions (several terms, or an ISO 2022 one) the
value is cut at its escape sequences; between them two code elements are in force, G0 for bytes below 80 hex and G1 for
those above (PS3.5 section 6.1.2.5), and each run of bytes is decoded by the element that it belongs to. What no codec
knows becomes U+FFFD. The work is linear in the length of the value, which the walker has bounded.
"""

import re
from collections.abc import Generator, Sequence
from typing import NamedTuple

from doorward.errors import LocalProtocolError


class _CodeElement(NamedTuple):
    """One half of a code table. ``lead`` and ``width`` say how Python's codec wants to see it."""

    codec: str
    #: what stands before the bytes so that the codec is in the right mode
    lead: bytes = b""
    #: bytes of one character; only single byte elements give room to delimiters
    width: int = 1


_ASCII = _CodeElement("ascii")

#: Escape sequences that designate G0 (PS3.3 Tables C.12-3 and C.12-4).
_G0_ESCAPES = {
    b"\x1b(B": _ASCII,
    b"\x1b(J": _ASCII,  # ISO-IR 14; its yen sign is the backslash of the Standard (PS3.5 section 6.1.2.3)
    b"\x1b$B": _CodeElement("iso2022_jp", b"\x1b$B", 2),
    b"\x1b$(D": _CodeElement("iso2022_jp_2", b"\x1b$(D", 2),
}
#: Escape sequences that designate G1, by defined term (PS3.3 Tables C.12-3 and C.12-4).
_G1_BY_TERM = {
    "ISO 2022 IR 13": (b"\x1b)I", _CodeElement("shift_jis")),
    "ISO 2022 IR 58": (b"\x1b$)A", _CodeElement("gb2312", width=2)),
    "ISO 2022 IR 100": (b"\x1b-A", _CodeElement("latin_1")),
    "ISO 2022 IR 101": (b"\x1b-B", _CodeElement("iso8859_2")),
    "ISO 2022 IR 109": (b"\x1b-C", _CodeElement("iso8859_3")),
    "ISO 2022 IR 110": (b"\x1b-D", _CodeElement("iso8859_4")),
    "ISO 2022 IR 126": (b"\x1b-F", _CodeElement("iso8859_7")),
    "ISO 2022 IR 127": (b"\x1b-G", _CodeElement("iso8859_6")),
    "ISO 2022 IR 138": (b"\x1b-H", _CodeElement("iso8859_8")),
    "ISO 2022 IR 144": (b"\x1b-L", _CodeElement("iso8859_5")),
    "ISO 2022 IR 148": (b"\x1b-M", _CodeElement("iso8859_9")),
    "ISO 2022 IR 149": (b"\x1b$)C", _CodeElement("euc_kr", width=2)),
    "ISO 2022 IR 166": (b"\x1b-T", _CodeElement("tis_620")),
    "ISO 2022 IR 203": (b"\x1b-b", _CodeElement("iso8859_15")),
}
_G1_ESCAPES = dict(_G1_BY_TERM.values())
#: The terms of the escape sequences for G0.
_G0_TERMS = ("ISO 2022 IR 6", "ISO 2022 IR 87", "ISO 2022 IR 159")
#: Terms that name a whole encoding and never go with code extensions (PS3.3 Table C.12-5).
_STAND_ALONE = {"ISO_IR 192": "utf_8", "GB18030": "gb18030", "GBK": "gbk"}

_ESCAPE_SEQUENCE = re.compile(rb"\x1b[\x20-\x2f]{1,3}[\x30-\x7e]")
_RUN = re.compile(rb"[\x00-\x7f]+|[\x80-\xff]+")
#: Where the initial code elements come back into force (PS3.5 section 6.1.2.5.3).
_RESET_IN_TEXT = re.compile(rb"([\\\t\n\f\r])")
_RESET_IN_PERSON_NAME = re.compile(rb"([\\^=\t\n\f\r])")
_RESET_IN_WIDE = re.compile(rb"([\t\n\f\r])")
#: Spellings of defined terms that are met in practice: "ISO-IR 100", "iso_ir_100", "ISO 2022-IR 87".
_LOOSE_TERM = re.compile(r"(ISO)[ _-]?(2022)?[ _-]?IR[ _-]?(\d+)")


def understood_terms() -> tuple[str, ...]:
    """Return the defined terms of (0008,0005) that are read, those without code extensions first (PS3.3 C.12.1.1.2)."""
    alone = (t for t, (_, element) in _G1_BY_TERM.items() if element.width == 1)
    single = (term.replace("ISO 2022 IR", "ISO_IR") for term in alone)
    return ("ISO_IR 6", *single, *_STAND_ALONE, *_G0_TERMS, *_G1_BY_TERM)


def parse_specific_character_set(value: bytes) -> tuple[str, ...]:
    """Return the defined terms of (0008,0005), in order; () is the default repertoire.

    An empty first value stays as "" (PS3.3 section C.12.1.1.2). Usual misspellings are put right.
    """
    text = value.decode("ascii", "replace").rstrip(" \0")
    return tuple(_term(part) for part in text.split("\\")) if text else ()


def _term(part: str) -> str:
    name = part.strip(" \0").upper()
    match = _LOOSE_TERM.fullmatch(name)
    if match is None:
        return "ISO_IR 192" if name in ("UTF8", "UTF-8") else name
    return f"ISO {'2022 ' if match[2] else ''}IR {match[3]}".replace("ISO IR", "ISO_IR")


def decode_text(
    value: bytes, character_set: Sequence[str] = (), *, is_person_name: bool = False
) -> str:
    """Return a value of VR SH, LO, ST, LT, UC, UT or PN as text, padding included.

    Backslashes and carets are still in it. Bytes that the character set does not define become U+FFFD.
    """
    codec = _STAND_ALONE.get(character_set[0]) if character_set else None
    if codec is not None:
        return value.decode(codec, "replace")
    if value.isascii() and b"\x1b" not in value:
        return value.decode("ascii")
    reset = _RESET_IN_PERSON_NAME if is_person_name else _RESET_IN_TEXT
    return "".join(_pieces(value, _initial(character_set), reset))


def encode_text(text: str, character_set: Sequence[str] = ()) -> bytes:
    """Return text as bytes, without code extensions: the first term alone has to do.

    Raises LocalProtocolError where it does not have all the characters (their number is named, not they).
    """
    term = character_set[0] if character_set else ""
    element = _initial(character_set)[1]
    codec = _STAND_ALONE.get(term) or (element.codec if element.width == 1 else "ascii")
    try:
        encoded = text.encode(codec)
    except UnicodeEncodeError as error:
        raise _not_encodable(term, error.end - error.start) from None
    if codec == "shift_jis" and len(encoded) > len(text):
        # ISO-IR 13 has one byte for each character; the codec would go on to JIS X 0208.
        raise _not_encodable(term, len(encoded) - len(text))
    return encoded


def _not_encodable(term: str, count: int) -> LocalProtocolError:
    return LocalProtocolError(
        f"{count} characters are not in the character set {term or 'ISO_IR 6'}"
    )


def _initial(character_set: Sequence[str]) -> tuple[_CodeElement, _CodeElement]:
    """Return the code elements G0 and G1 that are in force where a value begins."""
    term = character_set[0] if character_set else ""
    designated = _G1_BY_TERM.get(term.replace("ISO_IR", "ISO 2022 IR"))
    return _ASCII, _ASCII if designated is None else designated[1]


def _pieces(
    value: bytes, initial: tuple[_CodeElement, _CodeElement], reset: re.Pattern[bytes]
) -> Generator[str, None, None]:
    """Yield the text between escape sequences and delimiters."""
    g0, g1 = initial
    position = 0
    for match in _ESCAPE_SEQUENCE.finditer(value):
        g0, g1 = yield from _stretch(value[position : match.start()], g0, g1, initial, reset)
        position = match.end()
        sequence = match[0]
        if sequence in _G0_ESCAPES:
            g0 = _G0_ESCAPES[sequence]
        elif sequence in _G1_ESCAPES:
            g1 = _G1_ESCAPES[sequence]
        else:
            yield "\N{REPLACEMENT CHARACTER}"
    yield from _stretch(value[position:], g0, g1, initial, reset)


def _stretch(
    part: bytes,
    g0: _CodeElement,
    g1: _CodeElement,
    initial: tuple[_CodeElement, _CodeElement],
    reset: re.Pattern[bytes],
) -> Generator[str, None, tuple[_CodeElement, _CodeElement]]:
    """Yield the text of bytes without escape sequences; return the code elements in force behind them."""
    # The bytes of a delimiter are halves of characters while G0 has two bytes for each.
    pattern = reset if g0.width == 1 else _RESET_IN_WIDE
    for index, piece in enumerate(pattern.split(part)):
        if index % 2:
            g0, g1 = initial
            yield piece.decode("ascii")
            continue
        for match in _RUN.finditer(piece):
            run = match[0]
            element = g0 if run.isascii() else g1
            yield (element.lead + run).decode(element.codec, "replace")
    return g0, g1
