"""A data set says the same in another syntax: pydicom reads the same elements from both."""

import io
import warnings

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filereader import read_dataset
from pydicom.filewriter import write_dataset
from pydicom.sequence import Sequence

from doorward.dicom.reencode import header_of, reencode, swapped
from doorward.dicom.walk import PIXEL_DATA, UNDEFINED, Syntax, walk
from doorward.errors import LimitExceeded, LocalProtocolError, PeerProtocolError
from loopback import limits
from pydicom_files import PATHS, body_of, read

IMPLICIT, EXPLICIT, BIG = Syntax.IMPLICIT_LITTLE, Syntax.EXPLICIT_LITTLE, Syntax.EXPLICIT_BIG
#: pydicom swaps no pixels when it reads; and keeps "" where it knows no VR apart from None.
_PIXELS = 0x7FE00010


def told(data, syntax):
    """Return what pydicom reads, in order: path, number of items or value; without group lengths."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        is_little = syntax is not BIG
        return list(_told(read_dataset(io.BytesIO(data), syntax is IMPLICIT, is_little), ()))


def _told(data_set, path):
    for element in data_set:
        at = (*path, int(element.tag))
        if not element.tag.element or element.tag == _PIXELS:
            continue
        if element.VR != "SQ":
            # Of what is private pydicom knows other VRs than the Standard's dictionary.
            yield at, None if element.tag.is_private else element.value or None
            continue
        yield at, len(element.value)
        for number, item in enumerate(element.value):
            yield from _told(item, (*at, number))


@pytest.mark.parametrize("target", [IMPLICIT, EXPLICIT])
def test_every_file_of_the_wheel_says_the_same_to_pydicom(target):
    compared = 0
    for path in PATHS.values():
        try:
            body, source, _ = body_of(path, read(path))
            written = reencode(body, source, target)
        except PeerProtocolError:
            continue  # faulty on purpose, or compressed: those have no native form without a decoder
        assert told(written, target) == told(body, source), path.name
        list(walk(written, target))
        compared += 1

    assert compared > 100


_VALUES = st.sampled_from(
    [
        (0x00100020, "LO", "ABC"),
        (0x00280010, "US", 512),
        (0x00280106, "US", 65_535),
        (0x00281050, "DS", "12.5"),
        (0x00189073, "FD", 0.1),
        (0x00186020, "SL", -5),
        (0x00281201, "OW", b"\1\1"),  # pydicom swaps no bytes: whatever the order, the same
        (0x00091010, "UN", b"\0\1\2\3"),
        (0x0040A043, "SQ", None),
        (0x00081140, "SQ", None),
        (0x7FE00009, "OD", b"11111111"),
        (0x00720072, "FL", 1.5),
        (0x00080018, "UI", "1.2.3"),
        (0x00091001, "OB", b"12"),
    ]
)


@st.composite
def data_sets(draw, depth=0):
    """Return a data set with sequences of sequences."""
    data_set = Dataset()
    for tag, vr, value in draw(st.lists(_VALUES, max_size=6, unique_by=lambda one: one[0])):
        if vr != "SQ":
            data_set.add(DataElement(tag, vr, value))
        elif depth < 3:
            items = draw(st.lists(data_sets(depth + 1), max_size=3))
            sequence = DataElement(tag, "SQ", Sequence(items))
            sequence.is_undefined_length = draw(st.booleans())
            data_set.add(sequence)
    return data_set


def written_by_pydicom(data_set, syntax):
    out = DicomBytesIO()
    out.is_implicit_VR, out.is_little_endian = syntax is IMPLICIT, syntax is not BIG
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        write_dataset(out, data_set)
    return out.getvalue()


@given(data_sets(), st.sampled_from([EXPLICIT, BIG]), st.sampled_from([IMPLICIT, EXPLICIT]))
def test_whatever_pydicom_writes_says_the_same_anew(data_set, source, target):
    body = written_by_pydicom(data_set, source)

    written = reencode(body, source, target)

    assert told(written, target) == told(written_by_pydicom(data_set, target), target)
    assert reencode(written, target, target) == written


@given(st.binary(max_size=200), st.sampled_from(Syntax), st.sampled_from([IMPLICIT, EXPLICIT]))
def test_any_bytes_are_a_data_set_or_an_error(data, source, target):
    try:
        written = reencode(data, source, target)
    except (PeerProtocolError, LimitExceeded):
        return
    list(walk(written, target))
    assert len(written) <= 3 * len(data) + 64


def element(tag, vr, value, syntax=EXPLICIT):
    return header_of(tag, vr, len(value), syntax) + value


def test_group_lengths_are_left_out():
    body = element(0x00080000, "UL", b"\4\0\0\0") + element(0x00100020, "LO", b"A ")

    assert reencode(body, EXPLICIT, EXPLICIT) == body[12:]


def test_changes_replace_add_and_take_away_at_the_outermost_level():
    body = element(0x00100020, "LO", b"A ") + element(0x00280004, "CS", b"RGB ")
    changes = {0x00280004: ("CS", b"YBR_FULL"), 0x00280010: ("US", b"\1\0"), 0x00100020: None}

    written = reencode(body, EXPLICIT, EXPLICIT, changes=changes)

    assert written == element(0x00280004, "CS", b"YBR_FULL") + element(0x00280010, "US", b"\1\0")


def test_a_change_does_not_reach_into_sequences():
    inner = header_of(0xFFFEE000, "", UNDEFINED, EXPLICIT) + element(0x00280010, "US", b"\1\0")
    body = header_of(0x00081140, "SQ", len(inner) + 8, EXPLICIT) + inner
    body += header_of(0xFFFEE00D, "", 0, EXPLICIT)

    written = reencode(body, EXPLICIT, EXPLICIT, changes={0x00280010: None})

    assert element(0x00280010, "US", b"\1\0") in written


def test_a_sequence_that_is_taken_away_takes_its_items_along():
    inner = header_of(0xFFFEE000, "", 10, EXPLICIT) + element(0x00280010, "US", b"\1\0")
    body = header_of(0x00081140, "SQ", len(inner), EXPLICIT) + inner
    body += element(0x00100020, "LO", b"A ")

    written = reencode(body, EXPLICIT, IMPLICIT, changes={0x00081140: None})

    assert written == element(0x00100020, "LO", b"A ", IMPLICIT)


def test_an_empty_sequence_stays_one():
    body = element(0x00081140, "SQ", b"")

    assert reencode(body, EXPLICIT, IMPLICIT) == element(0x00081140, "SQ", b"", IMPLICIT)


def test_us_or_ss_is_signed_where_pixels_are():
    body = element(0x00280103, "US", b"\1\0", IMPLICIT) + element(
        0x00280106, "US", b"\xff\xff", IMPLICIT
    )

    assert element(0x00280106, "SS", b"\xff\xff") in reencode(body, IMPLICIT, EXPLICIT)
    unsigned = reencode(body.replace(b"\1\0", b"\0\0", 1), IMPLICIT, EXPLICIT)
    assert element(0x00280106, "US", b"\xff\xff") in unsigned


def test_a_value_too_long_for_its_header_becomes_un():
    body = element(0x00280009, "AT", b"\0" * 65_536, IMPLICIT)

    [found] = walk(reencode(body, IMPLICIT, EXPLICIT), EXPLICIT)
    assert (found.vr, found.length) == ("UN", 65_536)


def test_what_nobody_knows_stays_implicit_inside():
    item = element(0x00091002, "UN", b"\1\2", IMPLICIT)
    inner = header_of(0xFFFEE000, "", len(item), IMPLICIT) + item
    value = inner + header_of(0xFFFEE0DD, "", 0, IMPLICIT)
    body = header_of(0x00091001, "UN", UNDEFINED, EXPLICIT) + value

    assert reencode(body, EXPLICIT, EXPLICIT) == body
    implicit = header_of(0x00091001, "UN", UNDEFINED, IMPLICIT) + value
    assert reencode(body, EXPLICIT, IMPLICIT) == implicit
    assert reencode(implicit, IMPLICIT, EXPLICIT) == body


def compressed(tag=PIXEL_DATA):
    """Return an element of compressed pixels."""
    fragment = header_of(0xFFFEE000, "", 2, EXPLICIT) + b"ab"
    table = header_of(0xFFFEE000, "", 0, EXPLICIT)
    end = header_of(0xFFFEE0DD, "", 0, EXPLICIT)
    return header_of(tag, "OB", UNDEFINED, EXPLICIT) + table + fragment + end


def test_an_icon_with_compressed_pixels_is_left_out():
    inner = header_of(0xFFFEE000, "", len(compressed()), EXPLICIT) + compressed()
    icon = header_of(0x00880200, "SQ", len(inner), EXPLICIT) + inner
    after = element(0x00880904, "LO", b"A ")

    assert reencode(icon + after, EXPLICIT, EXPLICIT) == after


def test_compressed_pixels_elsewhere_are_refused():
    inner = header_of(0xFFFEE000, "", len(compressed()), EXPLICIT) + compressed()
    other = header_of(0x00081140, "SQ", len(inner), EXPLICIT) + inner

    for body in (other, compressed()):
        with pytest.raises(PeerProtocolError, match="compressed pixels"):
            reencode(body, EXPLICIT, IMPLICIT)


def test_big_endian_is_no_target():
    with pytest.raises(LocalProtocolError):
        reencode(b"", EXPLICIT, BIG)


def test_a_big_endian_value_of_a_vr_from_the_future_is_refused():
    body = b"\x00\x10\x00\x20XX\0\0\0\0\0\2ab"

    with pytest.raises(PeerProtocolError, match="byte order"):
        reencode(body, BIG, EXPLICIT)


def test_pixels_of_32_bits_are_swapped_as_one_number():
    head = b"\x00\x28\x01\x00US\0\2\0\x20"
    body = head + b"\x7f\xe0\x00\x10OW\0\0\0\0\0\4\0\x13\x0e\xe8"

    assert reencode(body, BIG, EXPLICIT).endswith(b"\xe8\x0e\x13\0")


def test_a_number_that_is_cut_off_is_refused():
    with pytest.raises(PeerProtocolError):
        swapped(b"\1\2\3", 2)


def test_depth_is_bounded():
    body = b""
    for _ in range(4):
        item = header_of(0xFFFEE000, "", len(body), EXPLICIT) + body
        body = header_of(0x00081140, "SQ", len(item), EXPLICIT) + item

    with pytest.raises(LimitExceeded):
        reencode(body, EXPLICIT, IMPLICIT, limits=limits(sequence_depth=3))
