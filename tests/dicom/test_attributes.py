"""Data sets as text: every VR, nested items, pydicom's files, and bytes of strangers."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

import pydicom_files
from doorward.dicom.attributes import Attribute, read_attributes
from doorward.dicom.values import encode_identifier
from doorward.dicom.walk import Syntax
from doorward.errors import LimitExceeded, PeerProtocolError
from doorward.limits import DEFAULT_LIMITS

EXPLICIT = Syntax.EXPLICIT_LITTLE
NAME, SEQUENCE, PRIVATE = 0x00100010, 0x00400275, 0x00091001


@pytest.mark.parametrize("syntax", Syntax)
def test_values_of_every_kind_become_text(syntax):
    order = "big" if syntax is Syntax.EXPLICIT_BIG else "little"
    half = (0x3FE0000000000000).to_bytes(8, order)
    buffer = encode_identifier(
        [
            (0x00080005, "CS", "ISO_IR 100"),
            (0x00080060, "CS", " CT \\MR"),
            (NAME, "PN", "Jérôme"),
            (0x00280009, "AT", 0x00181063),
            (0x00280010, "US", [512]),
            (0x00189073, "FD", half),
            (0x7FE00010, "OW", b"\0\1" * 9),
        ],
        syntax,
    )
    view = read_attributes(buffer, syntax)
    assert {tag: attribute.values for tag, attribute in view.items()} == {
        0x00080005: ("ISO_IR 100",),
        0x00080060: ("CT", "MR"),
        NAME: ("Jérôme",),
        0x00280009: ("00181063",),
        0x00280010: ("512",),
        0x00189073: ("0.5",),
        0x7FE00010: ("",),
    }


def test_items_are_views_and_have_the_character_set_around_them_or_their_own():
    inner = [(0x00080005, "CS", "ISO_IR 192"), (NAME, "PN", "山田".encode())]
    buffer = encode_identifier(
        [
            (0x00080005, "CS", "ISO_IR 100"),
            (SEQUENCE, "SQ", [[(NAME, "PN", "é")], [], inner]),
            (PRIVATE, "SQ", []),
        ],
        EXPLICIT,
    )
    view = read_attributes(buffer, EXPLICIT)
    names = [item.get(NAME, Attribute("PN")).values for item in view[SEQUENCE].items]
    assert names == [("é",), (), ("山田",)]
    assert view[PRIVATE] == Attribute("SQ", items=[])


def test_unknown_vrs_are_read_as_the_dictionary_says_little_endian():
    buffer = encode_identifier(
        [(0x00280010, "UN", b"\1\0"), (PRIVATE, "UN", b"x")], Syntax.EXPLICIT_BIG
    )
    view = read_attributes(buffer, Syntax.EXPLICIT_BIG)
    assert view[0x00280010] == Attribute("US", ("1",))
    assert view[PRIVATE] == Attribute("UN", ("",))


def test_only_what_is_wanted_is_read():
    buffer = encode_identifier(
        [(0x00080060, "CS", "CT"), (SEQUENCE, "SQ", [[(NAME, "PN", "A")]])], EXPLICIT
    )
    assert read_attributes(buffer, EXPLICIT, {0x00080060}).keys() == {0x00080060}


def test_fragments_of_pixel_data_are_no_items():
    pixels = b"\xe0\x7f\x10\0OB\0\0\xff\xff\xff\xff" + b"\xfe\xff\0\xe0\2\0\0\0ab"
    buffer = pixels + b"\xfe\xff\xdd\xe0\0\0\0\0"
    assert read_attributes(buffer, EXPLICIT) == {0x7FE00010: Attribute("OB", ("",))}


def test_a_tag_that_comes_twice_in_one_data_set_is_refused():
    once = encode_identifier([(NAME, "PN", "A")], EXPLICIT)
    with pytest.raises(PeerProtocolError, match="more than once"):
        read_attributes(once + once, EXPLICIT)


def test_a_long_value_is_refused_and_long_bytes_are_not():
    tight = replace(DEFAULT_LIMITS, value_bytes=8)
    with pytest.raises(LimitExceeded, match="value_bytes"):
        read_attributes(
            encode_identifier([(NAME, "PN", "A" * 9)], EXPLICIT), EXPLICIT, limits=tight
        )
    pixels = encode_identifier([(0x7FE00010, "OB", b"\0" * 10)], EXPLICIT)
    assert read_attributes(pixels, EXPLICIT, limits=tight)[0x7FE00010].values == ("",)


@pytest.mark.parametrize("vr", ("UL", "AT", "FL", "FD"))
def test_numbers_of_a_wrong_length_are_refused(vr):
    buffer = encode_identifier([(0x00280010, vr, b"ab")], EXPLICIT)
    with pytest.raises(PeerProtocolError, match="2 bytes are no row of"):
        read_attributes(buffer, EXPLICIT)


def test_an_attribute_never_shows_its_values():
    assert "Doe" not in repr(Attribute("PN", ("Doe",), ({NAME: Attribute("PN", ("Doe",))},)))


@pytest.mark.parametrize(
    "name",
    ("test_files/CT_small.dcm", "test_files/MR_small_bigendian.dcm", "test_files/reportsi.dcm"),
)
def test_pydicom_reads_the_same_text(name):
    path = pydicom_files.PATHS[name]
    data_set = pydicom_files.read(path)
    body, syntax, _ = pydicom_files.body_of(path, data_set)
    view = read_attributes(body, syntax)
    texts = {"CS", "DA", "LO", "SH", "TM", "UI", "US", "SS"}
    for element in data_set:
        if element.VR in texts and element.VM:
            values = element.value if element.VM > 1 else [element.value]
            assert view[element.tag].values == tuple(map(str, values)), element.tag


@given(st.binary(max_size=120), st.sampled_from(Syntax))
def test_bytes_of_strangers_are_read_or_refused(buffer, syntax):
    try:
        view = read_attributes(buffer, syntax)
    except (PeerProtocolError, LimitExceeded):
        return
    assert all(isinstance(attribute, Attribute) for attribute in view.values())
