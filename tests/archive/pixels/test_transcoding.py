"""An image is the same one in every syntax that it is written in: pydicom says so, pixel by pixel."""

import numpy as np
import pytest
from pydicom.uid import UID

from doorward.archive.pixels.transcoding import RLE_LOSSLESS, other_syntaxes
from doorward.dicom.part10 import read_file_meta
from doorward.errors import DoorwardError, ImageError
from loopback import in_loop, limits
from pixel_archives import (
    EXPLICIT,
    FILES,
    IMPLICIT,
    file_of,
    frames_of,
    made_image,
    pixels_in,
    ramp,
)
from pydicom_files import PATHS, read

BASELINE = "1.2.840.10008.1.2.4.50"
#: JPEG extended with 12 bits: no free decoder is there for it. The others are cut off or name no dimensions.
NOT_DECODED = {"JPEG-lossy.dcm", "JPGExtended.dcm", "JPEG2000-embedded-sequence-delimiter.dcm"}
FAULTY = {"MR_truncated.dcm", "SC_rgb_jpeg.dcm", "badVR.dcm", "rtplan_truncated.dcm"}


def images():
    """Return the files of the wheel that are images of a transfer syntax that is named."""
    for path in PATHS.values():
        if path.read_bytes()[128:132] != b"DICM" or path.name in FAULTY:
            continue
        data_set = read(path)
        is_image = "PixelData" in data_set and "Rows" in data_set
        if is_image and data_set.file_meta.get("TransferSyntaxUID"):
            yield path, data_set


@pytest.mark.slow
@in_loop
@pytest.mark.parametrize("target", [EXPLICIT, IMPLICIT, RLE_LOSSLESS])
async def test_every_image_of_the_wheel_has_the_same_pixels_in_another_syntax(tmp_path, target):
    failed, compared = set(), 0
    async with pixels_in(tmp_path) as pixels:
        for path, data_set in images():
            held = await pixels.hold(path.read_bytes())
            if target not in other_syntaxes(held.transfer_syntax_uid):
                continue
            if target == RLE_LOSSLESS and data_set.BitsAllocated not in (8, 16):
                continue
            try:
                written = file_of(await pixels.written_in(held, target), target)
            except ImageError:
                failed.add(path.name)
                continue
            assert written.SOPInstanceUID == data_set.SOPInstanceUID
            _assert_same(path.name, data_set, written)
            compared += 1

    assert failed == NOT_DECODED
    assert compared > 40


def _assert_same(name, before, after):
    is_lossy_colour = UID(before.file_meta.TransferSyntaxUID) == BASELINE and "YBR" in str(
        before.PhotometricInterpretation
    )
    expected = frames_of(before, raw=not is_lossy_colour)
    found = frames_of(after)
    assert found.shape == expected.shape, name
    assert np.array_equal(found, expected), name
    assert after.get("PlanarConfiguration", 0) in (0, 1)


@in_loop
async def test_lossy_pixels_stay_lossy_and_say_what_colours_they_have_now(tmp_path):
    path = FILES["SC_rgb_dcmtk_+eb+cy+n1.dcm"]
    async with pixels_in(tmp_path) as pixels:
        held = await pixels.hold(path.read_bytes())
        written = file_of(await pixels.written_in(held, EXPLICIT), EXPLICIT)

    assert read(path).PhotometricInterpretation == "YBR_FULL"
    assert written.PhotometricInterpretation == "RGB"
    assert written.LossyImageCompression == "01"
    assert (written.PlanarConfiguration, written["PixelData"].VR) == (0, "OB")


@in_loop
async def test_a_lossless_image_is_not_called_lossy(tmp_path):
    async with pixels_in(tmp_path) as pixels:
        held = await pixels.hold(FILES["MR_small_RLE.dcm"].read_bytes())
        written = file_of(await pixels.written_in(held, IMPLICIT), IMPLICIT)

    assert "LossyImageCompression" not in written


@in_loop
async def test_a_report_is_written_anew_without_any_worker(tmp_path):
    path = FILES["reportsi.dcm"]
    async with pixels_in(tmp_path) as pixels:
        held = await pixels.hold(path.read_bytes())
        written = file_of(await pixels.written_in(held, IMPLICIT), IMPLICIT)
        assert pixels.workers.processes == []

    assert written == read(path)


@in_loop
async def test_pixels_that_cannot_be_decoded_fail_before_the_first_piece(tmp_path):
    async with pixels_in(tmp_path) as pixels:
        held = await pixels.hold(_broken("MR_small_RLE.dcm"))
        pieces = pixels.transcoder.pieces(held, EXPLICIT)
        with pytest.raises(ImageError):
            await anext(pieces)


@in_loop
async def test_a_fault_in_a_later_frame_shows_before_the_first_piece_too(tmp_path):
    content = FILES["SC_rgb_rle_2frame.dcm"].read_bytes()
    at = content.rindex(b"\xfe\xff\x00\xe0")
    broken = content[: at + 8] + b"\xff" * 64 + content[at + 72 :]
    async with pixels_in(tmp_path) as pixels:
        held = await pixels.hold(broken)
        with pytest.raises(ImageError):
            await anext(pixels.transcoder.pieces(held, EXPLICIT))


@in_loop
async def test_beyond_what_is_held_back_pieces_leave_while_others_are_made(tmp_path):
    image = made_image(np.zeros((64, 64), "<u2"))
    async with pixels_in(tmp_path, limits(image_held_bytes=1, blob_chunk_bytes=1024)) as pixels:
        held = await pixels.hold(image)
        pieces = [piece async for piece in pixels.transcoder.pieces(held, IMPLICIT)]

    assert max(map(len, pieces)) <= 1024
    assert len(pieces) > 8


@in_loop
async def test_more_bytes_than_are_there_are_no_image(tmp_path):
    image = made_image(ramp(0, 255))
    async with pixels_in(tmp_path) as pixels:
        held = await pixels.hold(image[:-20])
        with pytest.raises(DoorwardError):
            await pixels.written_in(held, IMPLICIT)


@in_loop
async def test_the_file_of_a_transcoded_instance_names_its_new_syntax(tmp_path):
    async with pixels_in(tmp_path) as pixels:
        held = await pixels.hold(FILES["MR_small_RLE.dcm"].read_bytes())
        one = pixels.transcoder.written_in(held, {IMPLICIT, "1.2.3"})
        content = b"".join([piece async for piece in one.file()])

    meta = read_file_meta(content)
    assert (meta.transfer_syntax_uid, one.transfer_syntax_uid) == (IMPLICIT, IMPLICIT)
    assert meta.media_storage_sop_instance_uid == one.sop_instance_uid == held.sop_instance_uid


@in_loop
async def test_what_nobody_accepts_is_not_written(tmp_path):
    async with pixels_in(tmp_path) as pixels:
        held = await pixels.hold(FILES["MR_small_RLE.dcm"].read_bytes())

        assert pixels.transcoder.written_in(held, {"1.2.3"}) is None


def test_videos_are_written_in_nothing_else():
    assert other_syntaxes("1.2.840.10008.1.2.4.102") == ()


def test_explicit_vr_goes_before_implicit_vr():
    assert other_syntaxes("1.2.840.10008.1.2.4.80") == (EXPLICIT, IMPLICIT, RLE_LOSSLESS)
    assert other_syntaxes(EXPLICIT) == (IMPLICIT, RLE_LOSSLESS)


def _broken(name):
    """Return a file whose compressed pixels are nonsense from their first header on."""
    content = FILES[name].read_bytes()
    at = content.index(b"\xfe\xff\x00\xe0", content.index(b"\xe0\x7f\x10\x00") + 16)
    return content[: at + 8] + b"\xff" * 64 + content[at + 72 :]
