"""What a data set says of its pixels is held against what is there, before any decoder sees it."""

from io import BytesIO

import numpy as np
import pydicom
import pytest

from doorward.archive.pixels.picture import frame_of, picture_of
from doorward.archive.pixels.stored import content_of, layout_of
from doorward.errors import LimitExceeded, PeerProtocolError
from loopback import in_loop, limits
from pixel_archives import FILES, frames_of, made_image, pixels_in, ramp
from pydicom_files import read


async def pictured(folder, content, *, frame=None, is_shown=False, **changes):
    """Return the picture of a file; with ``frame`` also that frame and its bit."""
    bounds = limits(**changes)
    async with pixels_in(folder, bounds) as pixels:
        held = await pixels.hold(content)
        async with content_of(pixels.blobs, held.digest, bounds) as one:
            layout = await layout_of(one)
            picture = picture_of(layout, one, is_shown=is_shown)
            if frame is None:
                return picture
            return picture, *await frame_of(picture, layout, one, frame)


@in_loop
async def test_a_picture_has_its_numbers(tmp_path):
    found = await pictured(tmp_path, FILES["SC_rgb_rle_16bit_2frame.dcm"].read_bytes())

    assert (found.rows, found.columns, found.samples, found.frames) == (100, 100, 3, 2)
    assert (found.allocated, found.stored, found.photometric) == (16, 16, "RGB")
    assert found.decoded_bytes == 60_000


@in_loop
async def test_what_has_no_pixels_is_no_picture(tmp_path):
    assert await pictured(tmp_path, FILES["reportsi.dcm"].read_bytes()) is None


@in_loop
@pytest.mark.parametrize(
    "changes",
    [
        {"Rows": 17},
        {"Rows": 0},
        {"Columns": 65_535},
        {"SamplesPerPixel": 2},
        {"SamplesPerPixel": 3},
        {"NumberOfFrames": "2", "Rows": 16},
        {"NumberOfFrames": "0"},
        {"NumberOfFrames": "-1"},
        {"BitsAllocated": 12},
        {"BitsAllocated": 32, "BitsStored": 32},
        {"BitsStored": 17},
        {"PixelRepresentation": 2},
    ],
)
async def test_numbers_that_are_not_those_of_the_pixels_are_refused(tmp_path, changes):
    with pytest.raises(PeerProtocolError):
        await pictured(tmp_path, _with(changes))


def _with(changes):
    """Return a file of 16 rows and columns that says something else."""
    data_set = pydicom.dcmread(BytesIO(made_image(ramp(0, 255))))
    for keyword, value in changes.items():
        setattr(data_set, keyword, value)
    out = BytesIO()
    data_set.save_as(out)
    return out.getvalue()


@in_loop
async def test_a_frame_larger_than_it_may_be_is_refused_before_it_is_read(tmp_path):
    with pytest.raises(LimitExceeded, match="image_frame_bytes"):
        await pictured(tmp_path, made_image(ramp(0, 255)), image_frame_bytes=511)


@in_loop
async def test_compressed_frames_are_as_many_as_it_says(tmp_path):
    content = FILES["SC_rgb_rle_2frame.dcm"].read_bytes()
    at = content.index(b"(\x00\x08\x00IS\x02\x00") + 8
    with pytest.raises(PeerProtocolError):
        await pictured(tmp_path, content[:at] + b"3 " + content[at + 2 :])


@in_loop
async def test_what_a_worker_gets_names_no_patient(tmp_path):
    content = made_image(ramp(0, 255), WindowCenter="40", WindowWidth="400")

    found = await pictured(tmp_path, content, is_shown=True)

    assert b"Canary" in content
    assert b"Canary" not in found.shown
    assert b"40" in found.shown
    assert "Canary" not in repr(found)
    with pytest.raises(LimitExceeded, match="image_described_bytes"):
        await pictured(tmp_path / "other", content, is_shown=True, image_described_bytes=10)


@in_loop
@pytest.mark.parametrize("number", [0, 14])
@pytest.mark.parametrize("name", ["rtdose.dcm", "rtdose_expb.dcm"])
async def test_native_frames_are_cut_out_and_little_endian(tmp_path, name, number):
    _, frame, bit = await pictured(tmp_path, FILES[name].read_bytes(), frame=number)

    assert bit == 0
    expected = frames_of(read(FILES[name]), index=number)
    assert np.array_equal(np.frombuffer(frame, "<u4"), expected.ravel())


@in_loop
async def test_words_of_bytes_in_big_endian_are_swapped_even_where_a_frame_is_odd(tmp_path):
    name = "SC_rgb_small_odd_big_endian.dcm"
    _, frame, _ = await pictured(tmp_path, FILES[name].read_bytes(), frame=0)

    assert np.array_equal(np.frombuffer(frame, "u1"), frames_of(read(FILES[name])).ravel())


@in_loop
async def test_one_bit_frames_begin_within_a_byte(tmp_path):
    pixels = np.zeros((1, 20), "u1")
    content = made_image(pixels)
    data_set = pydicom.dcmread(BytesIO(content))
    data_set.Rows, data_set.Columns, data_set.NumberOfFrames = 5, 5, 3
    data_set.BitsAllocated = data_set.BitsStored = 1
    out = BytesIO()
    data_set.save_as(out)

    _, frame, bit = await pictured(tmp_path, out.getvalue(), frame=1)

    assert (len(frame), bit) == (4, 1)
