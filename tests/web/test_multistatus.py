"""WebDAV answers are counted, cut anywhere, and what is no multistatus gives no number."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doorward.web.file_names import FolderShape
from doorward.web.multistatus import MultistatusReader


def response(href: str, *, folder: bool = False, prefix: str = "D:") -> str:
    kind = f"<{prefix}collection/>" if folder else ""
    return (
        f"<{prefix}response><{prefix}href>{href}</{prefix}href><{prefix}propstat><{prefix}prop>"
        f"<{prefix}displayname>ZZCANARY</{prefix}displayname><{prefix}resourcetype>{kind}</{prefix}resourcetype>"
        f"</{prefix}prop></{prefix}propstat></{prefix}response>"
    )


def multistatus(*responses: str, prefix: str = "D:", declares: str = 'xmlns:D="DAV:"') -> bytes:
    inner = "".join(responses)
    return (
        f'<?xml version="1.0" encoding="utf-8"?>\n<{prefix}multistatus {declares}>{inner}</{prefix}multistatus>\n'
    ).encode()


APACHE = multistatus(
    response("/dav/", folder=True),
    response("/dav/IM_0001"),
    response("/dav/a%20b.dcm"),
    response("/dav/00000001/", folder=True),
    response("/dav/x&amp;y.txt"),
)
ORTHANC = multistatus(
    response("/webdav/", folder=True),
    *(
        response(f"/webdav/{n}", folder=True)
        for n in ("by-dates", "by-patients", "by-studies", "by-uids", "uploads")
    ),
)


def read(text: bytes, path: str = "/dav/", size: int = 65_536) -> MultistatusReader:
    reader = MultistatusReader(path)
    for begin in range(0, len(text), size):
        if not reader.feed(memoryview(text)[begin : begin + size]):
            break
    return reader


@pytest.mark.parametrize("size", [1, 5, 65_536])
def test_entries_are_counted_and_the_folder_itself_is_none(size):
    reader = read(APACHE, size=size)
    assert reader.shape() == FolderShape(entries=4, folders=1, dicom_names=2, number_names=1)
    assert reader.responses == 5
    assert reader.is_whole
    assert not reader.is_orthanc


def test_orthanc_is_known_by_its_folders():
    reader = read(ORTHANC, "/webdav/")
    assert reader.is_orthanc
    assert reader.shape() == FolderShape(entries=5, folders=5)


def test_servers_may_name_themselves_and_use_other_prefixes():
    text = multistatus(
        response("http://127.0.0.1:8080/dav/", folder=True, prefix=""),
        response("http://127.0.0.1:8080/dav/x.dcm", prefix=""),
        prefix="",
        declares='xmlns="DAV:"',
    )
    assert read(text).shape() == FolderShape(entries=1, dicom_names=1)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"<html><body>207</body></html>",
        multistatus(response("/dav/x.dcm"), declares='xmlns:D="urn:other"'),
        b'<!DOCTYPE m [<!ENTITY a "aaaa">]>' + APACHE,
        b"hello " + APACHE,
        b'<D:response xmlns:D="DAV:"><D:href>/dav/x.dcm</D:href></D:response>',
        b"<" * 9_000,
        b"{}",
    ],
)
def test_what_is_no_multistatus_has_no_shape(text):
    assert read(text).shape() is None


def test_depth_is_bounded():
    text = b'<D:multistatus xmlns:D="DAV:">' + b"<a>" * 100
    assert read(text).shape() is None


def test_half_an_answer_is_not_whole():
    reader = read(APACHE[:700])
    assert not reader.is_whole
    assert reader.shape() is not None


def test_members_of_other_folders_are_no_entries():
    text = multistatus(response("/dav/"), response("/other/x.dcm"), response("/dav/sub/deeper.dcm"))
    assert read(text).shape() == FolderShape()


@given(st.binary(max_size=300), st.integers(min_value=1, max_value=40))
def test_any_bytes_in_any_pieces_give_one_answer(text, size):
    text = b'<D:multistatus xmlns:D="DAV:">' + text
    assert read(text, size=size).shape() == read(text).shape()


def test_nothing_of_the_answer_is_left_in_the_reader():
    reader = read(APACHE[:500])
    reader.shape()
    assert not any(reader._held)
    assert not any(reader._href._room)
