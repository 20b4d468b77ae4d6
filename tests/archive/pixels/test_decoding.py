"""One frame, decoded: what pydicom makes of it, checked against what the data set says."""

import numpy as np
import pytest
from pydicom.encaps import generate_frames

from doorward.archive.pixels.decoding import CannotDecode, decoded, native, run_length_encoded
from pixel_archives import FILES, facts_for, frames_of, ramp
from pydicom_files import read

RLE = "1.2.840.10008.1.2.5"


def compressed(name):
    """Return the facts and the first frame of a file."""
    data_set = read(FILES[name])
    facts = {
        "rows": data_set.Rows,
        "columns": data_set.Columns,
        "samples": data_set.SamplesPerPixel,
        "photometric": data_set.PhotometricInterpretation,
        "planar": data_set.get("PlanarConfiguration", 0),
        "allocated": data_set.BitsAllocated,
        "stored": data_set.BitsStored,
        "is_signed": data_set.PixelRepresentation == 1,
        "keyword": "PixelData",
        "vr": "OB",
        "syntax": data_set.file_meta.TransferSyntaxUID,
        "is_compressed": True,
        "bit": 0,
    }
    count = int(data_set.get("NumberOfFrames", 1))
    return facts, next(generate_frames(data_set.PixelData, number_of_frames=count)), data_set


@pytest.mark.parametrize(
    ("name", "photometric"),
    [
        ("MR_small_RLE.dcm", "MONOCHROME2"),
        ("MR_small_jpeg_ls_lossless.dcm", "MONOCHROME2"),
        ("J2K_pixelrep_mismatch.dcm", "MONOCHROME2"),
        ("examples_jpeg2k.dcm", "RGB"),
        ("SC_jpeg_no_color_transform.dcm", "RGB"),
    ],
)
def test_a_frame_is_what_pydicom_makes_of_the_file(name, photometric):
    facts, frame, data_set = compressed(name)

    array, now = decoded(facts, frame)

    assert now == photometric
    assert np.array_equal(array, frames_of(data_set, index=0))


def test_lossy_jpeg_in_ybr_becomes_rgb():
    facts, frame, data_set = compressed("SC_rgb_dcmtk_+eb+cy+np.dcm")

    array, now = decoded(facts, frame)

    assert now == "RGB"
    assert np.array_equal(array, frames_of(data_set, raw=False, index=0))


@pytest.mark.parametrize("changes", [{"rows": 63}, {"columns": 128}, {"samples": 3}])
def test_a_frame_of_another_size_is_refused(changes):
    facts, frame, _ = compressed("MR_small_jp2klossless.dcm")

    with pytest.raises(Exception):  # noqa: B017 - of whatever kind the decoder chooses
        decoded(facts | changes, frame)


@pytest.mark.parametrize("name", ["MR_small_jp2klossless.dcm", "MR_small_jpeg_ls_lossless.dcm"])
def test_pixels_with_more_bits_than_are_allocated_are_refused_and_not_cut_off(name):
    facts, frame, _ = compressed(name)

    with pytest.raises(CannotDecode, match="more bits"):
        decoded(facts | {"allocated": 8, "stored": 8}, frame)


def test_a_syntax_without_a_decoder_is_refused():
    with pytest.raises(CannotDecode):
        decoded(facts_for(ramp(0, 255)) | {"syntax": "1.2.840.10008.1.2.4.102"}, b"")


@pytest.mark.parametrize("bit", [0, 3, 7])
def test_one_bit_pixels_begin_at_any_bit(bit):
    wanted = np.arange(35).reshape(5, 7) % 3 == 0
    bits = np.concatenate([np.ones(bit, "u1"), wanted.ravel().astype("u1"), np.ones(9, "u1")])
    frame = np.packbits(bits, bitorder="little").tobytes()

    array, _ = decoded(facts_for(wanted.astype("u1"), allocated=1, stored=1, bit=bit), frame)

    assert np.array_equal(array, wanted)


def test_one_bit_is_no_colour():
    with pytest.raises(CannotDecode):
        decoded(facts_for(ramp(0, 255), allocated=1, stored=1, samples=3), bytes(768))


@pytest.mark.parametrize("dtype", ["u1", "i1", "<u2", "<i2", "<u4", "<i4", "<f4", "<f8"])
def test_native_pixels_come_and_go_unchanged(dtype):
    array = ramp(0, 111, dtype)
    keywords = {"<f4": "FloatPixelData", "<f8": "DoubleFloatPixelData"}
    vrs = {"<f4": "OF", "<f8": "OD"}
    facts = facts_for(array, keyword=keywords.get(dtype, "PixelData"), vr=vrs.get(dtype, "OW"))

    found, _ = decoded(facts, array.tobytes())

    assert np.array_equal(found, array)
    assert native(found, facts["allocated"]) == array.tobytes()


@pytest.mark.parametrize("dtype", ["u1", "<u2", "<i2"])
@pytest.mark.parametrize("samples", [1, 3])
def test_what_was_run_length_encoded_is_decoded_to_the_same(dtype, samples):
    if samples == 3 and dtype == "<i2":
        return  # colour is unsigned (PS3.5 section 8.2.2)
    array = np.arange(7 * 5 * samples).reshape(7, 5, samples).astype(dtype).squeeze()
    colour = {} if samples == 1 else {"photometric": "RGB", "samples": 3}
    facts = facts_for(array, **colour)

    frame = run_length_encoded(facts, array.tobytes())
    found, _ = decoded(facts | {"syntax": RLE, "is_compressed": True, "planar": 1}, frame)

    assert np.array_equal(found, array)
