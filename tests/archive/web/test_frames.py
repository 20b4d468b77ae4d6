"""Frames as pydicom reads them from the same file, of every image in its wheel; and what cannot be told apart."""

import io
import warnings
from array import array

import pydicom
import pytest
from pydicom.encaps import generate_frames

from archives import instance, opened, records, sendable
from dicomweb_calls import BASE, Web, path_of
from doorward.access.journal.record import Event
from doorward.archive.web.frames import parse_frames
from doorward.limits import DEFAULT_LIMITS
from index_entries import TAG_OF
from loopback import in_loop, limits
from pydicom_files import PATHS

ANY = "multipart/related; type=application/octet-stream; transfer-syntax=*"


def images():
    """Return the files that may be stored and have pixels, by name."""
    found = {}
    for name, path in PATHS.items():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                has_pixels = "PixelData" in pydicom.dcmread(path)
            except pydicom.errors.InvalidDicomError:
                continue
        if (
            has_pixels
            and name.endswith(".dcm")
            and not name.endswith(("MR_truncated.dcm", "badVR.dcm"))
            and sendable(path) is not None
        ):
            found[name.split("/")[-1]] = path
    return found


FILES = images()


def oracle(path):
    """Return the frames of a file as pydicom finds them, little endian."""
    data_set = pydicom.dcmread(path)
    count = int(data_set.get("NumberOfFrames", 1) or 1)
    syntax = data_set.file_meta.TransferSyntaxUID
    if syntax.is_encapsulated:
        return list(generate_frames(data_set.PixelData, number_of_frames=count))
    pixels = data_set.PixelData
    if not syntax.is_little_endian and data_set["PixelData"].VR == "OW":
        words = array("I" if data_set.BitsAllocated == 32 else "H", pixels)
        words.byteswap()
        pixels = words.tobytes()
    size = len(pixels) // count
    return [pixels[n * size : (n + 1) * size] for n in range(count)]


def url_of(path):
    data_set = pydicom.dcmread(path, stop_before_pixels=True)
    study, series = data_set.StudyInstanceUID, data_set.SeriesInstanceUID
    return f"/studies/{study}/series/{series}/instances/{data_set.SOPInstanceUID}"


@in_loop
@pytest.mark.parametrize("name", sorted(FILES))
async def test_frames_are_those_that_pydicom_finds(tmp_path, name):
    path = FILES[name]
    frames = oracle(path)
    async with opened(tmp_path) as archive:
        web = Web(archive)
        await web.store(sendable(path))
        listed = ",".join(str(n) for n in range(1, len(frames) + 1))
        reply = await web.get(f"{url_of(path)}/frames/{listed}", Accept=ANY)
        beyond = await web.get(f"{url_of(path)}/frames/{len(frames) + 1}", Accept=ANY)
    assert reply.status == 200, reply.body
    parts = reply.parts()
    for (_, body), frame in zip(parts, frames, strict=True):
        # One byte may pad a frame to an even length; pydicom takes it for a part of the pixels, or not.
        size = min(len(body), len(frame))
        assert abs(len(body) - len(frame)) <= 1
        assert body[:size] == frame[:size]
    assert parts[-1][0]["content-location"] == f"{BASE}{url_of(path)}/frames/{len(frames)}"
    assert reply.headers["content-length"] == str(len(reply.body))
    assert beyond.status == 404


def test_the_wheel_has_images_of_many_kinds():
    assert len(FILES) > 50


@in_loop
async def test_compressed_frames_go_by_their_own_media_type_too(tmp_path):
    path = FILES["MR_small_RLE.dcm"]
    async with opened(tmp_path) as archive:
        web = Web(archive)
        await web.store(sendable(path))
        url = f"{url_of(path)}/frames/1"
        own = await web.get(url, Accept='multipart/related; type="image/dicom-rle"')
        bare = await web.get(url, Accept="image/*")
        plain = await web.get(url, Accept="multipart/related; type=application/octet-stream")
    [(fields, _)] = own.parts()
    assert fields["content-type"] == "image/dicom-rle; transfer-syntax=1.2.840.10008.1.2.5"
    assert bare.headers["content-type"] == fields["content-type"]
    assert bare.body == own.parts()[0][1]
    assert plain.status in (200, 406)  # 200 where a decoder is there


@in_loop
async def test_a_frame_that_the_client_has_is_not_sent_again(tmp_path):
    async with opened(tmp_path) as archive:
        web = Web(archive)
        await web.store(instance("1.2.3", bytes(256)))
        url = f"{path_of('1.2.3')}/frames/1"
        etag = (await web.get(url, Accept=ANY)).headers["etag"]
        assert (await web.get(url, Accept=ANY, If_None_Match=etag)).status == 304
        head = await web.ask("HEAD", url, Accept="application/octet-stream")
        assert (head.headers["content-length"], head.body) == ("256", b"")


@in_loop
async def test_frames_are_counted_and_recorded_as_one_look(tmp_path):
    async with opened(tmp_path) as archive:
        web = Web(archive)
        await web.store(instance("1.2.3", bytes(256)))
        for _ in range(3):
            await web.get(f"{path_of('1.2.3')}/frames/1", Accept=ANY)
    looks = [one.entry for one in records(tmp_path) if one.entry.identity == "ws1"]
    assert [one.event for one in looks] == [Event.TRANSFER_BEGUN, Event.RETRIEVE]
    assert (looks[1].instances, looks[1].size_bytes) == (1, 3 * 256)
    assert looks[1].reason == "frames, 3 frames"


@in_loop
async def test_bytes_of_frames_count_towards_the_hour(tmp_path):
    async with opened(tmp_path, limits=limits(volume_retrieved_bytes=300)) as archive:
        web = Web(archive)
        await web.store(instance("1.2.3", bytes(256)))
        url = f"{path_of('1.2.3')}/frames/1"
        assert (await web.get(url, Accept=ANY)).status == 200
        assert (await web.get(url, Accept=ANY)).status == 429


@in_loop
async def test_frames_that_do_not_begin_at_whole_bytes_are_refused(tmp_path):
    changed = pydicom.dcmread(io.BytesIO(bytes(instance("1.2.3", bytes(64)).data_set)), force=True)
    changed.Rows = changed.Columns = 15
    changed.SamplesPerPixel = changed.BitsAllocated = 1
    changed.NumberOfFrames = 3
    stream = io.BytesIO()
    pydicom.dcmwrite(
        stream, changed, implicit_vr=False, little_endian=True, enforce_file_format=False
    )
    one = instance("1.2.3")
    stored = type(one)(
        sop_class_uid=one.sop_class_uid,
        sop_instance_uid=one.sop_instance_uid,
        transfer_syntax_uid=one.transfer_syntax_uid,
        data_set=stream.getvalue(),
    )
    async with opened(tmp_path) as archive:
        web = Web(archive)
        await web.store(stored)
        reply = await web.get(f"{path_of('1.2.3')}/frames/2", Accept=ANY)
    assert (reply.status, "told apart" in reply.json()["error"]) == (406, True)


@in_loop
async def test_what_has_no_pixels_has_no_frames(tmp_path):
    one = instance("1.2.3")
    end = bytes(one.data_set).rindex(b"\xe0\x7f\x10\x00")
    stored = type(one)(
        sop_class_uid=one.sop_class_uid,
        sop_instance_uid=one.sop_instance_uid,
        transfer_syntax_uid=one.transfer_syntax_uid,
        data_set=bytes(one.data_set)[:end],
    )
    async with opened(tmp_path) as archive:
        web = Web(archive)
        await web.store(stored)
        assert (await web.get(f"{path_of('1.2.3')}/frames/1", Accept=ANY)).status == 404
        assert (await web.get("/studies/1.2/series/1.2/instances/1.2/frames/1")).status == 404
        assert (await web.get(f"{path_of('1.2.3')}/frames/0")).status == 400
    assert TAG_OF["PixelData"] == 0x7FE00010


@pytest.mark.parametrize(
    ("text", "numbers"),
    [("1", [1]), ("3,1,2", [3, 1, 2]), ("0", None), ("1,", None), ("-1", None), ("a", None)],
)
def test_a_list_of_frames_is_numbers_from_one_on(text, numbers):
    assert parse_frames(text, DEFAULT_LIMITS) == numbers


def test_a_list_of_frames_has_a_bound():
    assert parse_frames("1,2", limits(frame_list=1)) is None
