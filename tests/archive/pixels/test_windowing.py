"""Stored values as eight bits: each formula of PS3.3 section C.11, and which of them goes first."""

import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.pixels.processing import apply_windowing

from doorward.archive.pixels.windowing import CannotShow, shown, windowed
from pixel_archives import ramp


def data_set(**attributes):
    found = Dataset()
    for keyword, value in attributes.items():
        setattr(found, keyword, value)
    return found


def grey(array, shows=None, *, photometric="MONOCHROME2", frame=0, window=None, stored=16):
    return shown(array, photometric, shows or data_set(), frame, window, stored)


def lut(first, *values, bits=8):
    """Return an item of a look-up table."""
    item = Dataset()
    item.add_new("LUTDescriptor", "US", [len(values), first, bits])
    item.add_new("LUTData", "US", list(values))
    return item


def test_without_a_window_all_values_that_occur_are_shown():
    found = grey(ramp(-100, 411))

    assert (found.min(), found.max()) == (0, 255)
    assert (np.diff(found.ravel().astype(int)) >= 0).all()


def test_padding_is_not_counted_among_them():
    array = ramp(0, 255)
    array[0] = -2000

    found = grey(array, data_set(PixelPaddingValue=-2000))

    assert found[1, 0] < 32
    assert found[0, 0] == 0


@pytest.mark.parametrize("shape", ["linear", "linear-exact", "sigmoid"])
@pytest.mark.parametrize(("center", "width"), [(40, 400), (0.5, 1), (2048, 4096), (100, 3)])
def test_a_window_is_as_pydicom_computes_it(shape, center, width):
    array = ramp(-1024, 3071)
    names = {"linear": "LINEAR", "linear-exact": "LINEAR_EXACT", "sigmoid": "SIGMOID"}
    shows = data_set(
        WindowCenter=center,
        WindowWidth=width,
        VOILUTFunction=names[shape],
        PhotometricInterpretation="MONOCHROME2",
        BitsStored=8,
        PixelRepresentation=0,
    )
    with np.errstate(over="ignore"):
        theirs = apply_windowing(array.astype("f8"), shows)

    ours = grey(array, window=(float(center), float(width), shape)).astype(float)

    assert np.abs(ours - theirs).max() <= 1.0
    assert np.array_equal(grey(array, shows), ours)


def test_a_width_of_one_is_a_threshold():
    found = windowed(np.array([9.0, 9.5, 10.0]), 10.0, 1.0, "linear")

    assert list(found) == [0.0, 0.0, 1.0]


def test_rescale_goes_before_the_window():
    shows = data_set(RescaleSlope="2", RescaleIntercept="-100")

    assert np.array_equal(
        grey(ramp(0, 255), shows, window=(100.0, 200.0, "linear-exact")),
        grey(ramp(0, 255), window=(100.0, 100.0, "linear-exact")),
    )


def test_monochrome1_is_the_negative():
    array = ramp(0, 255)

    assert np.array_equal(grey(array, photometric="MONOCHROME1"), 255 - grey(array))


def test_a_voi_lut_goes_before_a_window_of_the_data_set_and_after_one_that_is_asked_for():
    shows = data_set(VOILUTSequence=[lut(0, *range(255, -1, -1))], WindowCenter=1, WindowWidth=2)
    array = ramp(0, 255)

    assert np.array_equal(grey(array, shows), 255 - array)
    assert grey(array, shows, window=(1000.0, 10.0, "linear")).max() == 0


def test_a_modality_lut_goes_before_both():
    shows = data_set(ModalityLUTSequence=[lut(0, *([7] * 128 + [200] * 128))])

    found = grey(ramp(0, 255), shows, window=(100.0, 256.0, "linear-exact"))

    assert len(np.unique(found)) == 2


def test_a_table_of_words_and_one_of_bytes_are_read_and_its_first_value_may_be_negative():
    item = lut(65_535, 0, 128, 255)
    item["LUTData"].VR = "OW"
    item.LUTData = b"\0\x80\xff\0"
    packed = grey(np.array([[-1, 0], [1, 5]], "i2"), data_set(VOILUTSequence=[item]))

    assert packed.tolist() == [[0, 128], [255, 255]]


def test_enhanced_images_keep_window_and_rescale_in_functional_groups():
    def group(center):
        voi = data_set(WindowCenter=center, WindowWidth=100)
        return data_set(FrameVOILUTSequence=[voi])

    rescale = data_set(RescaleSlope=1, RescaleIntercept=50)
    shows = data_set(
        SharedFunctionalGroupsSequence=[data_set(PixelValueTransformationSequence=[rescale])],
        PerFrameFunctionalGroupsSequence=[group(100), group(300)],
    )
    array = ramp(0, 255)

    expected = grey(array, window=(250.0, 100.0, "linear"))
    assert np.array_equal(grey(array, shows, frame=1), expected)
    assert not np.array_equal(grey(array, shows, frame=0), expected)


@pytest.mark.parametrize("dtype", ["f4", "f8", "i4", "u4"])
def test_wide_numbers_are_shown_too(dtype):
    array = (np.arange(256).reshape(16, 16) * 1_000_000).astype(dtype)

    found = grey(array, stored=32)

    assert (found.min(), found.max()) == (0, 255)


def test_what_is_no_number_is_black():
    array = np.array([[np.nan, 0.0], [1.0, np.inf]], "f4")

    assert grey(array).tolist() == [[0, 0], [255, 255]]


def test_one_value_everywhere_is_no_fault():
    assert grey(np.full((4, 4), 7, "i2")).max() == 0


def test_a_palette_gives_colours():
    shows = data_set(PhotometricInterpretation="PALETTE COLOR")
    for colour, value in (("Red", 1), ("Green", 2), ("Blue", 3)):
        shows.add_new(f"{colour}PaletteColorLookupTableDescriptor", "US", [256, 0, 8])
        table = bytes((value * n) % 256 for n in range(256))
        shows.add_new(f"{colour}PaletteColorLookupTableData", "OW", table)

    found = shown(ramp(0, 255, "u1"), "PALETTE COLOR", shows, 0, None, 8)

    assert found[0, 5].tolist() == [5, 10, 15]


def test_colours_of_sixteen_bits_lose_the_lower_ones_and_ybr_becomes_rgb():
    pixels = np.full((2, 2, 3), 0x1234, "u2")
    ybr = np.full((2, 2, 3), 128, "u1")

    assert shown(pixels, "RGB", data_set(), 0, None, 16).max() == 0x12
    assert shown(ybr, "YBR_FULL", data_set(), 0, None, 8).tolist() == ybr.tolist()


@pytest.mark.parametrize("photometric", ["ARGB", "CMYK", "HSV", "YBR_PARTIAL_420", ""])
def test_other_kinds_of_colour_are_not_shown(photometric):
    with pytest.raises(CannotShow):
        shown(np.zeros((2, 2, 3), "u1"), photometric, data_set(), 0, None, 8)
    with pytest.raises(CannotShow):
        shown(np.zeros((2, 2), "u1"), photometric, data_set(), 0, None, 8)


def test_colour_is_of_whole_numbers_and_tables_have_a_size():
    with pytest.raises(CannotShow):
        shown(np.zeros((2, 2, 3), "f4"), "RGB", data_set(), 0, None, 32)
    with pytest.raises(CannotShow):
        grey(ramp(0, 255), data_set(VOILUTSequence=[lut(0, 1, bits=32)]))
