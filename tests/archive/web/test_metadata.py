"""Metadata say what pydicom reads from the same file, and each URI in them leads to its value."""

import warnings

import pydicom
import pytest

from archives import instance, opened, records, sendable
from dicomweb_calls import BASE, Web, path_of
from doorward.access.journal.record import Event
from doorward.archive.web.metadata import parse_path, path_text
from loopback import in_loop, limits
from pydicom_files import PATHS

OCTETS = "application/octet-stream"
NAMES = (
    *("CT_small.dcm", "MR_small_RLE.dcm", "MR_small_implicit.dcm", "MR_small_bigendian.dcm"),
    *("rtdose.dcm", "test-SR.dcm", "reportsi.dcm", "image_dfl.dcm", "rtplan.dcm"),
)
FILES = {name: path for key, path in PATHS.items() if (name := key.split("/")[-1]) in NAMES}


def url_of(path):
    data_set = pydicom.dcmread(path, stop_before_pixels=True)
    study, series = data_set.StudyInstanceUID, data_set.SeriesInstanceUID
    return f"/studies/{study}/series/{series}/instances/{data_set.SOPInstanceUID}"


def text_of(element):
    if element.VR in ("DS", "FL", "FD"):
        return str(list(map(float, numbers))) if (numbers := listed(element.value)) else ""
    return str(element.value).strip()


def listed(value):
    return list(value) if hasattr(value, "__iter__") else [value]


@in_loop
@pytest.mark.parametrize("name", sorted(FILES))
async def test_metadata_say_what_pydicom_reads(tmp_path, name):
    path = FILES[name]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        read = pydicom.dcmread(path)
        async with opened(tmp_path) as archive:
            web = Web(archive)
            await web.store(sendable(path))
            reply = await web.get(f"{url_of(path)}/metadata")
        assert reply.status == 200
        [written] = reply.json()
        given = pydicom.Dataset.from_json(written, lambda *_: b"")
        assert {e.tag for e in given} >= {
            e.tag for e in read if e.tag <= 0x7FE00010 and e.tag.element
        }
        for element in given:
            if element.VR in ("SQ", "PN", "OB", "OW", "UN", "OF", "OD") or element.value in (
                b"",
                None,
            ):
                continue
            if element.tag != 0x00080005:
                assert text_of(element) == text_of(read[element.tag]), element.tag


@in_loop
async def test_pixels_are_a_uri_that_leads_to_them(tmp_path):
    async with opened(tmp_path) as archive:
        web = Web(archive)
        await web.store(instance("1.2.3", bytes(range(256))))
        [written] = (await web.get(f"{path_of('1.2.3')}/metadata")).json()
        uri = written["7FE00010"]["BulkDataURI"]
        assert uri == f"{BASE}{path_of('1.2.3')}/bulkdata/7FE00010"
        reply = await web.get(uri.removeprefix(BASE), Accept=OCTETS)
        parted = await web.get(uri.removeprefix(BASE))
    assert reply.body == bytes(range(256))
    assert [body for _, body in parted.parts()] == [reply.body]


@in_loop
async def test_compressed_pixels_come_frame_by_frame(tmp_path):
    path = next(path for key, path in PATHS.items() if key.endswith("SC_rgb_rle_2frame.dcm"))
    async with opened(tmp_path) as archive:
        web = Web(archive)
        await web.store(sendable(path))
        anything = "multipart/related; type=application/octet-stream; transfer-syntax=*"
        reply = await web.get(f"{url_of(path)}/bulkdata/7FE00010", Accept=anything)
    parts = reply.parts()
    assert len(parts) == int(pydicom.dcmread(path).NumberOfFrames)
    assert parts[1][0]["content-location"].endswith("/bulkdata/7FE00010/frames/2")


@in_loop
async def test_a_long_value_in_a_sequence_is_a_uri_that_leads_to_it(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        async with opened(tmp_path, limits=limits(metadata_inline_bytes=16)) as archive:
            web = Web(archive)
            path = FILES["test-SR.dcm"]
            await web.store(sendable(path))
            [written] = (await web.get(f"{url_of(path)}/metadata")).json()
            uri, value = None, None
            read = pydicom.dcmread(path)
            for number, item in enumerate(written["0040A730"]["Value"]):
                found = item.get("0040A160", {})
                if "BulkDataURI" in found:
                    uri = found["BulkDataURI"]
                    value = read.ContentSequence[number].TextValue
            assert uri is not None
            reply = await web.get(uri.removeprefix(BASE), Accept=OCTETS)
            small = await web.get(f"{url_of(path)}/bulkdata/00080016", Accept=OCTETS)
    assert reply.body.rstrip(b" \0") == value.encode("latin-1")
    assert small.status == 404  # it stands in the metadata


@in_loop
async def test_a_study_is_one_array_of_all_its_instances(tmp_path):
    same = {"StudyInstanceUID": "1.9", "SeriesInstanceUID": "1.9.1"}
    async with opened(tmp_path) as archive:
        web = Web(archive)
        await web.store(*(instance(f"1.9.1.{n}", **same) for n in (1, 2, 3)))
        for path in ("/studies/1.9/metadata", "/studies/1.9/series/1.9.1/metadata"):
            reply = await web.get(path)
            uids = [one["00080018"]["Value"][0] for one in reply.json()]
            assert uids == ["1.9.1.1", "1.9.1.2", "1.9.1.3"]
            etag = reply.headers["etag"]
            assert (await web.get(path, If_None_Match=etag)).status == 304
            assert (await web.ask("HEAD", path)).body == b""
        await web.store(instance("1.9.1.4", **same))
        assert (await web.get(path, If_None_Match=etag)).status == 200
    done = [one.entry for one in records(tmp_path) if one.entry.event is Event.RETRIEVE]
    assert [(one.reason, one.instances) for one in done] == [("metadata", 4)]


@in_loop
async def test_an_allowance_that_ends_in_the_middle_breaks_the_answer_off(tmp_path):
    same = {"StudyInstanceUID": "1.9", "SeriesInstanceUID": "1.9.1"}
    async with opened(tmp_path, limits=limits(volume_retrieved_bytes=1_000)) as archive:
        web = Web(archive)
        await web.store(*(instance(f"1.9.1.{n}", **same) for n in (1, 2, 3)))
        reply = await web.get("/studies/1.9/metadata")
        again = await web.get("/studies/1.9/metadata")
        again = await web.get("/studies/1.9/metadata") if again.status == 200 else again
    assert not reply.is_whole
    assert again.status == 429


@in_loop
async def test_a_long_head_is_written_by_a_thread_and_the_same(tmp_path):
    async with opened(tmp_path) as archive:
        web = Web(archive)
        await web.store(instance("1.2.3"))
        inline = (await web.get(f"{path_of('1.2.3')}/metadata")).body
    async with opened(tmp_path, limits=limits(metadata_thread_bytes=1)) as archive:
        assert (await Web(archive).get(f"{path_of('1.2.3')}/metadata")).body == inline


@in_loop
async def test_xml_and_what_is_not_there_are_refused(tmp_path):
    async with opened(tmp_path) as archive:
        web = Web(archive)
        await web.store(instance("1.2.3"))
        url = path_of("1.2.3")
        assert (await web.get(f"{url}/metadata", Accept="application/dicom+xml")).status == 406
        assert (await web.get("/studies/1.2.9/metadata")).status == 404
        for path in ("00100010", "7FE00010/0/00100010", "x", "7FE00010/", "0040A730/0/0040A160"):
            assert (await web.get(f"{url}/bulkdata/{path}")).status == 404, path


def test_paths_of_elements_are_the_same_there_and_back():
    path = (0x0040A730, 12, 0x0040A160)
    assert path_text(path) == "0040A730/12/0040A160"
    assert parse_path(path_text(path)) == path
    assert parse_path("0040A730/12") is None
