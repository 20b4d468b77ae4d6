"""Small web servers are real ones to curl and to the auditor, and bear what is no HTTP."""

import subprocess
from dataclasses import replace

import pytest

from doorward.limits import DEFAULT_LIMITS
from doorward.practice.fleet import fleet
from doorward.practice.personas import PERSONAS
from doorward.practice.settings import from_names
from doorward.practice.web import FILES
from doorward.web.file_names import FolderCount
from doorward.web.listing import ListingReader
from loopback import calling, in_loop
from practising import practising


async def curl(*arguments: str) -> str:
    """What curl says, run beside the loop."""
    import asyncio

    command = ["curl", "--silent", "--show-error", "--max-time", "5", *arguments]
    done = await asyncio.to_thread(
        subprocess.run, command, capture_output=True, text=True, check=True
    )
    return done.stdout


async def asked(one, words: bytes) -> bytes:
    answer = b""
    async with calling(one.port, one.address) as caller:
        await caller.send(words)
        while piece := await caller.read():
            answer += piece
    return answer


@in_loop
async def test_curl_gets_the_viewer_and_nothing_for_what_is_not_there():
    async with practising("viewer") as (one,):
        place = f"http://{one.address}:{one.port}"
        assert "<title>Oviyam" in await curl(f"{place}/")
        assert "404 Not Found" in await curl("--include", f"{place}/made-up")
        head = await curl("--head", f"{place}/?query=1")
        assert head.startswith("HTTP/1.1 200 OK")
        assert "<title>" not in head
        assert "501 Not Implemented" in await curl("--include", "--data", "x=1", f"{place}/")


@pytest.mark.parametrize(
    ("banner", "form"),
    (
        ("Microsoft-IIS/7.5", "iis"),
        ("nginx/1.10.3", "nginx"),
        ("Apache/2.2.15 (CentOS)", "index_of"),
        ("", "index_of"),
    ),
)
@in_loop
async def test_lists_are_drawn_as_the_server_of_the_banner_does(banner, form):
    (archive,) = from_names(["listing"])
    persona = replace(PERSONAS["listing"], banner=banner)
    async with fleet([replace(archive, port=0, persona=persona)]) as (one,):
        place = f"http://{one.address}:{one.port}"
        reader = ListingReader("/dicom/")
        reader.feed(memoryview((await curl(f"{place}/dicom/")).encode()))
        head = await curl("--head", f"{place}/")
    listing = reader.listing()
    assert listing is not None
    assert listing.form == form
    assert listing.shape.entries == listing.shape.dicom_names == len(FILES)
    assert f"\r\nServer: {banner or 'practice'}\r\n".encode() in head.encode().replace(
        b"\n", b"\r\n"
    )


def test_every_file_has_a_name_that_dicom_files_have():
    count = FolderCount()
    for name in FILES:
        count.add(memoryview(name.encode()), is_folder=False)
    assert count.shape().dicom_names == len(FILES) > 10


@pytest.mark.parametrize(
    ("words", "status"),
    (
        (b"\x01\x00\x00\x00\x00\x10", 400),
        (b"GET /\r\n\r\n", 400),
        (b"get / HTTP/1.1\r\n\r\n", 400),
        (b"GET http://x/ HTTP/1.1\r\n\r\n", 400),
        (b"DELETE / HTTP/1.1\r\n\r\n", 501),
        (b"GET /" + b"x" * 3_000 + b" HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nX: " + b"y" * DEFAULT_LIMITS.http_head_bytes, 431),
    ),
)
@in_loop
async def test_what_is_no_request_is_refused(words, status):
    async with practising("viewer") as (one,):
        assert (await asked(one, words)).startswith(b"HTTP/1.1 %d " % status)


@in_loop
async def test_a_request_in_pieces_is_put_together():
    async with practising("viewer") as (one,), calling(one.port, one.address) as caller:
        for piece in (b"GE", b"T / HT", b"TP/1.1\r\nHost: x\r", b"\n\r\n"):
            await caller.send(piece)
        assert (await caller.read()).startswith(b"HTTP/1.1 200 ")


@in_loop
async def test_an_old_server_shows_its_banner_to_dicom_too():
    async with practising("old-web") as (one,):
        answer = await asked(one, b"\x01\x00\x00\x00\x00\x10")
    assert b"\r\nServer: Microsoft-IIS/7.5\r\n" in answer
