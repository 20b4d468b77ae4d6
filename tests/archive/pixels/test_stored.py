"""What stands where in a stored instance, whatever lengths it claims."""

import gc
import struct
import sys
from dataclasses import replace

import pytest

from doorward.archive.index.entry import Frame
from doorward.archive.pixels.stored import content_of, head_of, layout_of
from doorward.dicom.part10 import write_file_meta
from doorward.dicom.reencode import header_of
from doorward.dicom.walk import UNDEFINED, Syntax
from doorward.errors import DoorwardError, LimitExceeded, PeerProtocolError
from loopback import in_loop, limits
from pixel_archives import FILES, pixels_in
from pydicom_files import read

RLE = "1.2.840.10008.1.2.5"
EXPLICIT = Syntax.EXPLICIT_LITTLE


def a_file(data_set, syntax=RLE):
    return (
        write_file_meta(
            transfer_syntax_uid=syntax,
            media_storage_sop_class_uid="1.2.3",
            media_storage_sop_instance_uid="1.2.4",
            implementation_class_uid="1.2.5",
        )
        + data_set
    )


def item(value):
    return header_of(0xFFFEE000, "", len(value), EXPLICIT) + value


def compressed(*fragments, frames=None, table=b"", rest=b"", end=True):
    """Return a data set with these fragments."""
    head = b""
    if frames is not None:
        text = str(frames).encode()
        text += b" " * (len(text) % 2)
        head = header_of(0x00280008, "IS", len(text), EXPLICIT) + text
    body = head + header_of(0x7FE00010, "OB", UNDEFINED, EXPLICIT) + item(table)
    body += b"".join(map(item, fragments))
    return body + (header_of(0xFFFEE0DD, "", 0, EXPLICIT) if end else b"") + rest


async def laid_out(folder, content, frames=(), **changes):
    """Return the fragments of each frame, as bytes; and the layout."""
    async with pixels_in(folder, limits(**changes)) as pixels:
        held = await pixels.hold(content)
        async with content_of(pixels.blobs, held.digest, pixels.workers.limits) as one:
            layout = await layout_of(one, frames)
            read_back = [[await one.read(*part) for part in frame] for frame in layout.frames]
            return read_back, layout, await one.read(layout.rest, one.size_bytes - layout.rest)


@in_loop
async def test_one_frame_has_all_fragments(tmp_path):
    found, layout, rest = await laid_out(tmp_path, a_file(compressed(b"ab", b"cd", rest=b"")))

    assert found == [[b"ab", b"cd"]]
    assert layout.is_compressed
    assert rest == b""


@in_loop
async def test_as_many_fragments_as_frames_are_one_each(tmp_path):
    found, *_ = await laid_out(tmp_path, a_file(compressed(b"ab", b"cd", frames=2)))

    assert found == [[b"ab"], [b"cd"]]


@in_loop
async def test_an_offset_table_says_which_fragments_belong_together(tmp_path):
    table = struct.pack("<LL", 0, 20)
    content = a_file(compressed(b"ab", b"cd", b"ef", frames=2, table=table))

    found, *_ = await laid_out(tmp_path, content)

    assert found == [[b"ab", b"cd"], [b"ef"]]


@in_loop
@pytest.mark.parametrize("table", [b"", b"\0" * 8, struct.pack("<LL", 0, 7), b"\0" * 4])
async def test_fragments_that_belong_to_nobody_are_refused(tmp_path, table):
    content = a_file(compressed(b"ab", b"cd", b"ef", frames=2, table=table))

    with pytest.raises(PeerProtocolError):
        await laid_out(tmp_path, content)


@in_loop
async def test_what_stands_behind_the_pixels_is_found(tmp_path):
    rest = header_of(0xFFFCFFFC, "OB", 2, EXPLICIT) + b"\0\0"

    assert (await laid_out(tmp_path, a_file(compressed(b"ab", rest=rest))))[2] == rest


@in_loop
async def test_frames_that_the_index_knows_need_not_be_looked_for(tmp_path):
    content = a_file(compressed(b"abcd", b"ef", frames=2))
    known = [Frame(content.index(b"abcd"), 4), Frame(content.index(b"ef"), 2)]

    found, layout, _ = await laid_out(tmp_path, content, known)

    assert found == [[b"abcd"], [b"ef"]]
    with pytest.raises(PeerProtocolError):
        await laid_out(tmp_path / "other", content, known[:1])
    assert layout.rest


@in_loop
@pytest.mark.parametrize(
    "data_set",
    [
        compressed(b"ab", end=False),
        compressed(b"ab")[:-9],
        header_of(0x7FE00010, "OW", 100, EXPLICIT) + b"ab",
        header_of(0x00280010, "US", 2, EXPLICIT) + b"\1",
        header_of(0x00081140, "SQ", UNDEFINED, EXPLICIT) + item(b""),
        header_of(0x7FE00010, "OB", UNDEFINED, EXPLICIT)
        + header_of(0xFFFEE000, "", 0xFFFFFFF0, EXPLICIT),
        b"\0\1",
    ],
)
async def test_what_is_cut_off_is_refused(tmp_path, data_set):
    with pytest.raises(PeerProtocolError):
        await laid_out(tmp_path, a_file(data_set))


@in_loop
async def test_a_data_set_without_pixels_is_all_head(tmp_path):
    data_set = header_of(0x00280010, "US", 2, EXPLICIT) + b"\1\0"

    found, layout, rest = await laid_out(tmp_path, a_file(data_set))

    assert (found, layout.pixels, layout.head, rest) == ([], None, data_set, b"")


@in_loop
async def test_a_long_head_is_read_to_its_end_and_no_longer_than_it_may_be(tmp_path):
    comment = header_of(0x00104000, "UT", 40_000, EXPLICIT) + b"c" * 40_000
    inner = header_of(0x00081140, "SQ", UNDEFINED, EXPLICIT) + item(comment)
    head = inner + header_of(0xFFFEE0DD, "", 0, EXPLICIT)
    content = a_file(head + header_of(0x7FE00010, "OW", 2, EXPLICIT) + b"ab", "1.2.840.10008.1.2.1")

    _, layout, _ = await laid_out(tmp_path, content)

    assert layout.head == head
    with pytest.raises(LimitExceeded, match="ingest_head_bytes"):
        await laid_out(tmp_path / "other", content, ingest_head_bytes=20_000)


@in_loop
async def test_a_deflated_data_set_is_inflated_within_its_bound(tmp_path):
    content = FILES["image_dfl.dcm"].read_bytes()

    _, layout, _ = await laid_out(tmp_path, content)

    assert layout.pixels is not None
    assert layout.pixels.length == len(read(FILES["image_dfl.dcm"]).PixelData)
    with pytest.raises(LimitExceeded, match="image_inflated_bytes"):
        await laid_out(tmp_path / "other", content, image_inflated_bytes=100_000)


@in_loop
async def test_deflated_data_sets_are_bounded_all_together_and_room_comes_back(tmp_path):
    async with pixels_in(tmp_path, limits(images_inflated_bytes=1_500_000)) as pixels:
        content = FILES["image_dfl.dcm"].read_bytes()
        held, bounds = await pixels.hold(content), pixels.workers.limits
        async with content_of(pixels.blobs, held.digest, bounds) as one:
            size = one.size_bytes
            many = replace(bounds, images_inflated_bytes=2 * size - 1)
            with pytest.raises(LimitExceeded, match="images_inflated_bytes"):
                async with content_of(pixels.blobs, held.digest, many):
                    pass
        async with content_of(pixels.blobs, held.digest, many) as one:
            assert one.size_bytes == size


@in_loop
async def test_what_was_inflated_is_let_go_at_once_and_not_when_cycles_are_looked_for(tmp_path):
    gc.collect()
    gc.disable()
    try:
        async with pixels_in(tmp_path) as pixels:
            held = await pixels.hold(FILES["image_dfl.dcm"].read_bytes())
            async with content_of(pixels.blobs, held.digest, pixels.workers.limits) as one:
                await head_of(one)
                inflated = one._inflated
            del one
            assert sys.getrefcount(inflated) == 2  # ours, and that of the question
    finally:
        gc.enable()


@in_loop
async def test_more_fragments_than_frames_may_be_are_refused(tmp_path):
    with pytest.raises(LimitExceeded, match="index_frames"):
        await laid_out(tmp_path, a_file(compressed(*[b"ab"] * 5, frames=5)), index_frames=4)


@in_loop
async def test_every_cut_of_a_file_is_a_layout_or_an_error(tmp_path):
    data_set = compressed(b"ab", b"cd", frames=2, rest=header_of(0xFFFCFFFC, "OB", 0, EXPLICIT))
    async with pixels_in(tmp_path) as pixels:
        for at in range(len(data_set)):
            held = await pixels.hold(a_file(data_set[:at]))
            async with content_of(pixels.blobs, held.digest, limits()) as one:
                try:
                    await layout_of(one)
                except DoorwardError:
                    continue
