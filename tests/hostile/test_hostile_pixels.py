"""Compressed pixels that a stranger made: decoders may fail, hang or die, and the archive answers and goes on."""

import random

import numpy as np
import pytest

from doorward.archive.pixels.rendering import PNG, Rendering
from doorward.errors import ImageError, LimitExceeded, PeerProtocolError
from loopback import in_loop, limits
from pixel_archives import EXPLICIT, FILES, image_of, made_image, pixels_in, ramp

SEEDS = 40
AS_PNG = Rendering(media_type=PNG)
CODECS = (
    "MR_small_RLE.dcm",
    "MR_small_jpeg_ls_lossless.dcm",
    "MR_small_jp2klossless.dcm",
    "SC_rgb_small_odd_jpeg.dcm",
    "SC_rgb_jpeg_gdcm.dcm",
)


def mutated(content: bytes, seed: int) -> bytes:
    """Return a file with some other bytes in its compressed pixels."""
    chance = random.Random(seed)
    begin = content.index(b"\xfe\xff\x00\xe0", content.rindex(b"\xe0\x7f\x10\x00")) + 16
    changed = bytearray(content)
    for _ in range(chance.choice((1, 3, 20))):
        # Headers stand in front, and are where lengths are.
        end = chance.choice((min(begin + 80, len(content)), len(content)))
        changed[chance.randrange(begin, end)] = chance.choice(
            (0, 0xFF, 0x7F, chance.randrange(256))
        )
    return bytes(changed)


@pytest.mark.slow
@in_loop
@pytest.mark.parametrize("name", CODECS)
async def test_mutated_pixels_are_shown_or_refused_and_the_next_image_comes(tmp_path, name):
    content = FILES[name].read_bytes()
    answers = {"shown": 0, "refused": 0}
    async with pixels_in(tmp_path, limits(image_job_s=2.0)) as pixels:
        for seed in range(SEEDS):
            held = await pixels.hold(mutated(content, seed))
            try:
                await pixels.renderer.render(held, 1, AS_PNG)
                answers["shown"] += 1
            except (ImageError, PeerProtocolError, LimitExceeded):
                answers["refused"] += 1
        good = await pixels.hold(made_image(ramp(0, 255)))
        assert image_of(await pixels.renderer.render(good, 1, AS_PNG)).max() == 255

    assert sum(answers.values()) == SEEDS
    assert answers["refused"] > 0


@in_loop
async def test_a_small_image_whose_codestream_claims_to_be_huge_takes_no_memory(tmp_path):
    content = FILES["MR_small_jp2klossless.dcm"].read_bytes()
    at = content.index(b"\xff\x4f\xff\x51") + 8  # Xsiz and Ysiz (ITU-T T.800 section A.5.1)
    bomb = content[:at] + b"\x00\x0f\xff\xff" * 2 + content[at + 8 :]
    async with pixels_in(tmp_path, limits(image_job_s=5.0)) as pixels:
        held = await pixels.hold(bomb)
        with pytest.raises(ImageError):
            await pixels.renderer.render(held, 1, AS_PNG)
        with pytest.raises(ImageError):
            await pixels.written_in(held, EXPLICIT)


@in_loop
async def test_an_image_that_claims_more_than_it_has_never_meets_a_decoder(tmp_path):
    claims = made_image(np.zeros((16, 16), "<u2")).replace(
        b"(\x00\x10\x00US\x02\x00\x10\x00", b"(\x00\x10\x00US\x02\x00\xff\xff"
    )
    async with pixels_in(tmp_path) as pixels:
        held = await pixels.hold(claims)
        with pytest.raises(PeerProtocolError):
            await pixels.renderer.render(held, 1, AS_PNG)
        assert pixels.workers.processes == []
