"""What holds for every input of ``doorward.dicom``: fuzz harnesses look for a counterexample, tests replay their corpus.

Each ``check_*`` takes any bytes, returns whether they were accepted, and raises AssertionError where the invariant breaks.
The first byte of an input chooses syntax, limits or function; the rest is what a stranger would send.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from doorward.dicom.charset import decode_text, parse_specific_character_set
from doorward.dicom.inflate import Inflater, inflate
from doorward.dicom.part10 import read_file_meta
from doorward.dicom.values import (
    decode_integer_string,
    decode_integers,
    decode_strings,
    decode_uid,
    encode_identifier,
)
from doorward.dicom.walk import (
    LONG_VRS,
    SHORT_VRS,
    UNDEFINED,
    Element,
    Syntax,
    find_element,
    find_top_level,
    walk,
)
from doorward.errors import LimitExceeded, PeerProtocolError
from doorward.limits import DEFAULT_LIMITS

CORPUS = Path(__file__).resolve().parent / "fuzz" / "corpus"
TIGHT_LIMITS = replace(
    DEFAULT_LIMITS,
    sequence_depth=2,
    elements=8,
    uid_bytes=16,
    preamble_meta_bytes=160,
    inflate_bytes=500,
    inflate_ratio=5,
)
_SYNTAXES = tuple(Syntax)
_VRS = tuple(sorted(SHORT_VRS | LONG_VRS))
_TAG = 0x00201208
Refused = (PeerProtocolError, LimitExceeded)


def _check_error(error: PeerProtocolError | LimitExceeded) -> None:
    """An error says where and why, in characters that a terminal may show."""
    assert isinstance(error, LimitExceeded) or error.source.startswith("PS3.")
    assert str(error).isprintable()
    assert len(str(error)) < 200


def check_walk(given: bytes) -> bool:
    """The walk ends inside its bounds, and the searches find what it sees."""
    if not given:
        return False
    syntax = _SYNTAXES[given[0] % 3]
    limits = TIGHT_LIMITS if given[0] & 0x80 else DEFAULT_LIMITS
    buffer = given[1:]
    seen: list[Element] = []
    try:
        seen.extend(walk(buffer, syntax, limits))
    except Refused as error:
        _check_error(error)
        is_walked = False
    else:
        is_walked = True
    assert len(seen) <= min(limits.elements, len(buffer) // 8)
    behind = 0  # no header begins before here
    for tag, vr, offset, length, depth in seen:
        assert behind + 8 <= offset <= offset + max(length, 0) <= len(buffer)
        assert 0 <= depth <= limits.sequence_depth
        assert (vr == "") == (tag >> 16 == 0xFFFE)
        is_container = length == UNDEFINED or vr in ("SQ", "")
        behind = offset if is_container else offset + length
    _check_searches(buffer, syntax, seen, is_walked)
    return is_walked


def _check_searches(buffer: bytes, syntax: Syntax, seen: list[Element], is_walked: bool) -> None:
    top = [element for element in seen if element.depth == 0 and element.vr]
    tags = [element.tag for element in top]
    for tag in dict.fromkeys([*tags, _TAG]):
        try:
            found = find_top_level(buffer, syntax, {tag})
            offset, length, total = find_element(buffer, tag, syntax)
        except Refused as error:
            _check_error(error)
            assert not is_walked or tags.count(tag) > 1
            continue
        assert (offset, length) == (found[tag][2:4] if found else (-1, 0))
        if is_walked:
            assert total == len(top)
            assert found == {e.tag: e for e in top if e.tag == tag}


def check_part10(given: bytes) -> bool:
    """Meta information lies inside the buffer and the bound, and does not depend on what is behind it."""
    if not given:
        return False
    limits = TIGHT_LIMITS if given[0] & 0x80 else DEFAULT_LIMITS
    prefix = (b"", b"DICM", bytes(128) + b"DICM", b"")[given[0] % 4]
    buffer = prefix + given[1:]
    try:
        meta = read_file_meta(buffer, limits)
    except Refused as error:
        _check_error(error)
        return False
    end = meta.data_set_offset
    assert 0 <= end <= min(len(buffer), limits.preamble_meta_bytes)
    assert buffer[end : end + 2] != b"\x02\x00"
    assert read_file_meta(memoryview(buffer)[:end] if end else b"", limits) == meta
    return True


def check_values(given: bytes) -> bool:
    """Text never fails, numbers and UIDs are decoded or refused, and what is decoded survives encoding."""
    if len(given) < 2:
        return False
    syntax, vr, value = _SYNTAXES[given[0] % 3], _VRS[given[1] % len(_VRS)], given[2:]
    terms = parse_specific_character_set(value[:20])
    for character_set in ((), terms, ("", "ISO 2022 IR 87"), ("ISO 2022 IR 149",)):
        assert len(decode_text(value, character_set, is_person_name=vr == "PN")) <= len(value)
        assert len(decode_strings(value, vr, character_set)) <= len(value) + 1
    decoders: tuple[Callable[[], object], ...] = (
        lambda: _check_integer(value),
        lambda: _check_integers(value, vr, syntax),
        lambda: _check_uid(value),
    )
    accepted = 0
    for decode in decoders:
        try:
            decode()
        except Refused as error:
            _check_error(error)
        else:
            accepted += 1
    return accepted > 0


def _value_of(tag: int, vr: str, value: str | int | tuple[int, ...], syntax: Syntax) -> bytes:
    encoded = encode_identifier([(tag, vr, value)], syntax)
    offset, length, _ = find_element(encoded, tag, syntax)
    return encoded[offset : offset + length]


def _check_integer(value: bytes) -> None:
    number = decode_integer_string(value, _TAG)
    if number is not None:
        again = _value_of(_TAG, "IS", number, Syntax.IMPLICIT_LITTLE)
        assert decode_integer_string(again, _TAG) == number


def _check_integers(value: bytes, vr: str, syntax: Syntax) -> None:
    if vr in ("US", "SS", "UL", "SL", "UV", "SV", "AT"):
        numbers = decode_integers(value, vr, syntax, _TAG)
        if len(value) < 0xFFFF:
            assert _value_of(_TAG, vr, numbers, syntax) == value


def _check_uid(value: bytes) -> None:
    uid = decode_uid(value, _TAG)
    assert decode_uid(_value_of(_TAG, "UI", uid, Syntax.EXPLICIT_BIG), _TAG) == uid


def check_inflate(given: bytes) -> bool:
    """Output stays below both bounds, and chunking changes neither bytes nor acceptance."""
    if not given:
        return False
    limits = TIGHT_LIMITS if given[0] & 0x80 else replace(DEFAULT_LIMITS, inflate_bytes=1 << 20)
    step, deflated = given[0] % 0x80 + 1, given[1:]
    try:
        plain = inflate(deflated, limits)
    except Refused as error:
        _check_error(error)
        return False
    assert len(plain) <= min(limits.inflate_bytes, limits.inflate_ratio * len(deflated))
    inflater = Inflater(replace(limits, inflate_ratio=1 << 20))
    chunks = (deflated[start : start + step] for start in range(0, len(deflated), step))
    assert b"".join(piece for chunk in chunks for piece in inflater.feed(chunk)) == plain
    inflater.finish()
    return True
