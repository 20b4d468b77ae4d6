"""Frames as image files: parameters in, pixels out, and a small memory of what was made."""

import asyncio
from dataclasses import replace

import numpy as np
import pytest

from doorward.archive.pixels.rendering import JPEG, PNG, Rendering, rendering_of
from doorward.errors import ImageError, LimitExceeded, PeerProtocolError, StorageError
from loopback import in_loop, limits
from pixel_archives import FILES, image_of, made_image, pixels_in, ramp

LIMITS = limits()
AS_PNG = Rendering(media_type=PNG)


def asked(**parameters):
    return rendering_of(parameters, JPEG, LIMITS)


def test_without_parameters_an_image_is_as_it_is():
    assert asked() == Rendering()


def test_parameters_are_read():
    found = asked(quality="50", window="40.5,400,sigmoid", viewport="9,8")

    assert (found.quality, found.window) == (50, (40.5, 400.0, "sigmoid"))
    assert found.viewport == (9.0, 8.0, 0.0, 0.0, 0.0, 0.0)
    assert asked(viewport="9,8,,,-4,").viewport == (9.0, 8.0, 0.0, 0.0, -4.0, 0.0)
    assert asked(window="1,2").window == (1.0, 2.0, "linear")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("quality", value) for value in ("", "0", "101", "x", "1.5", "٣", "1000")),
        *(
            ("window", v)
            for v in ("", "1", "1,x", "1,0", "1,0.5", "1,-2,sigmoid", "1,2,3", "1,2,linear,4")
        ),
        *(("window", value) for value in ("inf,2", "1,1e999", "nan,1", "1" * 40 + ",1")),
        *(
            ("viewport", value)
            for value in ("", "9", "9,8,7", "0,8", "9,-8", "9,8,-1,0,1,1", "9999,1")
        ),
        *(("viewport", value) for value in (",", "9,8,0,0,1,1,1", "9,8,inf,0,1,1")),
        *((name, "x") for name in ("annotation", "iccprofile", "rows", "windowCenter")),
    ],
)
def test_what_may_not_be_asked_for_names_the_parameter(name, value):
    with pytest.raises(PeerProtocolError) as fault:
        asked(**{name: value})

    assert fault.value.field == name


def test_a_name_that_nobody_knows_is_not_repeated():
    with pytest.raises(PeerProtocolError) as fault:
        rendering_of({"Canary^Never": "1"}, JPEG, LIMITS)

    assert "Canary" not in str(fault.value)


def test_a_thumbnail_is_small_and_takes_a_viewport_only():
    small = rendering_of({}, JPEG, LIMITS, is_thumbnail=True)

    assert small.viewport == (256.0, 256.0, 0.0, 0.0, 0.0, 0.0)
    assert rendering_of({"viewport": "64,64"}, JPEG, LIMITS, is_thumbnail=True).viewport[0] == 64
    with pytest.raises(PeerProtocolError):
        rendering_of({"window": "1,2"}, JPEG, LIMITS, is_thumbnail=True)


@in_loop
async def test_a_frame_is_shown_as_its_data_set_says(tmp_path):
    array = ramp(0, 255)
    async with pixels_in(tmp_path) as pixels:
        plain = await pixels.hold(made_image(array))
        negative = await pixels.hold(made_image(array, PhotometricInterpretation="MONOCHROME1"))
        window = Rendering(media_type=PNG, window=(128.0, 256.0, "linear-exact"))

        first = image_of(await pixels.renderer.render(plain, 1, window))
        second = image_of(await pixels.renderer.render(negative, 1, window))

    assert np.abs(first.astype(int) - array).max() <= 1
    assert np.array_equal(second, 255 - first)


@in_loop
async def test_floats_and_one_bit_and_wide_numbers_are_shown(tmp_path):
    names = [
        "liver_1frame.dcm",
        "liver_expb_1frame.dcm",
        "rtdose_rle_1frame.dcm",
        "rtdose_expb.dcm",
    ]
    async with pixels_in(tmp_path) as pixels:
        floats = await pixels.hold(made_image(ramp(0, 255, "<f4")))
        assert image_of(await pixels.renderer.render(floats, 1, AS_PNG)).max() == 255
        for name in names:
            held = await pixels.hold(FILES[name].read_bytes())
            image = image_of(await pixels.renderer.render(held, 1, AS_PNG))
            assert set(np.unique(image)) >= {0, 255}, name


@in_loop
async def test_there_are_no_more_frames_than_there_are(tmp_path):
    async with pixels_in(tmp_path) as pixels:
        held = await pixels.hold(FILES["rtdose.dcm"].read_bytes())
        assert await pixels.renderer.render(held, 15, AS_PNG)
        for number in (0, 16):
            with pytest.raises(ImageError) as fault:
                await pixels.renderer.render(held, number, AS_PNG)
            assert fault.value.kind == "no_frame"


@in_loop
async def test_what_has_no_pixels_says_so(tmp_path):
    async with pixels_in(tmp_path) as pixels:
        held = await pixels.hold(FILES["reportsi.dcm"].read_bytes())
        with pytest.raises(ImageError) as fault:
            await pixels.renderer.render(held, 1, AS_PNG)

    assert fault.value.kind == "no_pixels"


@in_loop
async def test_who_waits_for_a_worker_holds_no_frame_and_too_many_are_sent_away(tmp_path):
    async with pixels_in(tmp_path, limits(image_workers=1, image_waiting=2)) as pixels:
        held = [await pixels.hold(made_image(ramp(n, 255))) for n in range(4)]
        found = await asyncio.gather(
            *(pixels.renderer.render(one, 1, AS_PNG) for one in held), return_exceptions=True
        )
    assert [type(one) for one in found[:3]] == [bytes] * 3
    assert isinstance(found[3], LimitExceeded)
    assert found[3].limit == "image_waiting"


@in_loop
async def test_what_was_made_is_remembered_as_far_as_there_is_room(tmp_path):
    async with pixels_in(tmp_path, limits(image_cache_bytes=1_000)) as pixels:
        held = await pixels.hold(made_image(ramp(0, 255)))
        first = await pixels.renderer.render(held, 1, AS_PNG)
        gone = replace(held, size_bytes=0)
        (tmp_path / "blobs/blobs" / held.digest[:2] / held.digest).unlink()

        assert await pixels.renderer.render(gone, 1, AS_PNG) is first
        other = await pixels.hold(
            made_image(np.random.default_rng(1).integers(0, 255, (64, 64), "u1"))
        )
        await pixels.renderer.render(other, 1, AS_PNG)  # more than there is room for
        assert await pixels.renderer.render(held, 1, AS_PNG) is first
        for number in range(1, 21):
            third = await pixels.hold(made_image(ramp(number, 255 + number)))
            await pixels.renderer.render(third, 1, AS_PNG)
        with pytest.raises(StorageError):
            await pixels.renderer.render(held, 1, AS_PNG)
