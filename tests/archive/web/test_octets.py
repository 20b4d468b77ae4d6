"""Bytes as parts: their order, their media types, and which forms are offered."""

from array import array

import pytest

from doorward.archive.index.entry import Frame
from doorward.archive.web.octets import Octets, pixel_forms, turned, word_bytes_of
from doorward.dicom.walk import Syntax
from doorward.web.accept import OCTETS, parse_accept, select

JLS = "1.2.840.10008.1.2.4.80"
EXPLICIT = "1.2.840.10008.1.2.1"


def chosen(syntax, accept):
    form = select(parse_accept(accept), pixel_forms(syntax))
    return None if form is None else (form.media_type, form.transfer_syntax)


@pytest.mark.parametrize("syntax", [EXPLICIT, "1.2.840.10008.1.2", "1.2.840.10008.1.2.2"])
@pytest.mark.parametrize("accept", ["*/*", OCTETS, f"{OCTETS}; transfer-syntax=*"])
def test_uncompressed_pixels_are_little_endian_octets(syntax, accept):
    assert chosen(syntax, accept) == (OCTETS, EXPLICIT)


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("*/*", ("image/jls", JLS)),
        ("image/jls", ("image/jls", JLS)),
        (f"image/jls; transfer-syntax={JLS}", ("image/jls", JLS)),
        (f"{OCTETS}; transfer-syntax=*", (OCTETS, JLS)),
        (f"{OCTETS}; transfer-syntax={JLS}", (OCTETS, JLS)),
        (OCTETS, None),
        ("image/jpeg", None),
        (f"{OCTETS}; transfer-syntax={EXPLICIT}", None),
    ],
)
def test_compressed_pixels_go_as_they_are_or_not_at_all(accept, expected):
    assert chosen(JLS, accept) == expected


def test_an_unknown_transfer_syntax_goes_only_by_its_name():
    assert chosen("1.3.6.1.4.1.9", f"{OCTETS}; transfer-syntax=1.3.6.1.4.1.9") is not None
    assert chosen("1.3.6.1.4.1.9", "*/*") is None


@pytest.mark.parametrize("width", [2, 4, 8])
def test_words_are_turned_around(width):
    words = array({2: "H", 4: "I", 8: "Q"}[width], [1, 2, 3])
    other = array(words.typecode, words)
    other.byteswap()
    assert turned(other.tobytes(), width) == words.tobytes()


def test_what_is_no_word_stays_as_it_is():
    assert turned(b"\1\2\3", 2) == b"\2\1\3"
    assert turned(b"\1\2\3", 1) == b"\1\2\3"
    assert word_bytes_of("OW", Syntax.EXPLICIT_BIG) == 2
    assert word_bytes_of("OB", Syntax.EXPLICIT_BIG) == 1
    assert word_bytes_of("OW", Syntax.EXPLICIT_LITTLE) == 1


def test_a_part_is_as_long_as_its_ranges():
    assert Octets(ranges=(Frame(1, 2), Frame(9, 3))).size_bytes == 5
    assert Octets(value=b"abc").size_bytes == 3
