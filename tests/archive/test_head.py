"""The head of a data set, whatever the size of its fragments, and where the frames lie."""

import pydicom
import pytest

from archives import instance
from doorward.archive.head import Head
from doorward.archive.index.entry import Frame
from doorward.dicom.values import encode_identifier
from doorward.dicom.walk import Syntax
from doorward.errors import LimitExceeded, PeerProtocolError
from doorward_archive import instance_of
from index_entries import EXPLICIT_LITTLE
from loopback import limits
from pydicom_files import PATHS

STUDY_UID = 0x0020000D
MULTI_FRAME = "test_files/examples_ybr_color.dcm"
NATIVE = "test_files/rtdose.dcm"


def fed(data_set, step, syntax=EXPLICIT_LITTLE, **bounds):
    head = Head(syntax, limits(**bounds))
    for at in range(0, len(data_set), step):
        head.feed(data_set[at : at + step])
    head.finish()
    return head


@pytest.mark.parametrize("step", [1, 7, 999])
@pytest.mark.parametrize("name", [MULTI_FRAME, NATIVE, "test_files/nested_priv_SQ.dcm"])
def test_any_cutting_gives_the_same(name, step):
    one = instance_of(PATHS[name])

    whole = fed(one.data_set, len(one.data_set), one.transfer_syntax_uid)
    cut = fed(one.data_set, step, one.transfer_syntax_uid)

    assert cut.view() == whole.view()
    assert cut.frames(cut.view(), 0) == whole.frames(whole.view(), 0)
    assert cut.size_bytes == len(one.data_set)


@pytest.mark.parametrize("name", [MULTI_FRAME, NATIVE])
def test_frames_lie_where_pydicom_finds_them(name):
    one = instance_of(PATHS[name])
    head = fed(one.data_set, 4_096, one.transfer_syntax_uid)
    known = pydicom.dcmread(PATHS[name])

    frames = head.frames(head.view(), 0)

    assert len(frames) == int(known.NumberOfFrames)
    if known.file_meta.TransferSyntaxUID.is_compressed:
        expected = list(
            pydicom.encaps.generate_frames(known.PixelData, number_of_frames=len(frames))
        )
    else:
        size = len(known.PixelData) // len(frames)
        expected = [known.PixelData[i * size : (i + 1) * size] for i in range(len(frames))]
    assert [one.data_set[f.offset : f.offset + f.length] for f in frames] == expected


def test_pixels_are_not_kept():
    head = fed(instance("2.25.1", b"\1" * 5_000_000).data_set, 60_000, ingest_head_bytes=100_000)

    assert head.view()[STUDY_UID].values == ("2.25.1.1",)


def test_frames_count_from_where_the_data_set_begins():
    one = instance_of(PATHS[NATIVE])
    head = fed(one.data_set, 999, one.transfer_syntax_uid)

    [first, *_] = head.frames(head.view(), 0)
    [moved, *_] = head.frames(head.view(), 300)

    assert moved == Frame(first.offset + 300, first.length)


def test_a_long_value_is_passed_over_and_what_follows_is_read():
    elements = [(0x00091010, "OB", b"\1" * 100_000), (STUDY_UID, "UI", "2.25.9")]
    head = fed(encode_identifier(elements, Syntax.EXPLICIT_LITTLE), 999, ingest_head_bytes=70_000)

    assert head.view()[STUDY_UID].values == ("2.25.9",)


def test_a_head_without_end_is_refused():
    row = encode_identifier([(0x00091010, "OB", b"\1" * 60_000)], Syntax.EXPLICIT_LITTLE)
    head = Head(EXPLICIT_LITTLE, limits(ingest_head_bytes=100_000))
    head.feed(row)

    with pytest.raises(LimitExceeded, match="ingest_head_bytes"):
        head.feed(row)


@pytest.mark.parametrize("missing", [1, 40, 90])
def test_a_data_set_that_is_cut_off_is_refused(missing):
    data_set = instance("2.25.1", b"\1" * 50).data_set

    with pytest.raises(PeerProtocolError, match="ends in the middle"):
        fed(data_set[:-missing], 16)


def test_a_sequence_that_never_ends_is_refused():
    with pytest.raises(PeerProtocolError):
        fed(b"\x08\x00\x40\x11SQ\0\0\xff\xff\xff\xff" + b"\xfe\xff\x00\xe0\xff\xff\xff\xff", 5)


def test_what_is_no_element_is_refused():
    with pytest.raises(PeerProtocolError, match="VR"):
        fed(b"\x08\x00\x40\x11\0\0\0\0\0\0\0\0", 12)


def test_a_deflated_head_is_read():
    one = instance_of(PATHS["test_files/image_dfl.dcm"])

    head = fed(one.data_set, 500, one.transfer_syntax_uid)

    assert head.view()[0x00080018].values == (one.sop_instance_uid,)
    assert head.frames(head.view(), 0) == ()
