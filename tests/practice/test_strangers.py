"""What is no DICOM says what it is, or nothing."""

import pytest

from loopback import calling, in_loop
from practising import practising


@in_loop
async def test_web_server_answers_dicom_and_http_with_400():
    async with practising("http") as (one,):
        for words in (b"\x01\x00\x00\x00\x00\x10", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"):
            async with calling(one.port, one.address) as caller:
                await caller.send(words)
                answer = await caller.read()
                head, _, body = answer.partition(b"\r\n\r\n")
                assert head.startswith(b"HTTP/1.1 400 ")
                assert f"Content-Length: {len(body)}".encode() in head
                assert await caller.read() == b""


@in_loop
async def test_ssh_server_speaks_first_and_hangs_up_on_dicom():
    async with practising("ssh") as (one,), calling(one.port, one.address) as caller:
        assert (await caller.read()).startswith(b"SSH-2.0-")
        await caller.send(b"\x01\x00\x00\x00\x00\x10")
        assert await caller.read() == b""


@in_loop
async def test_silent_one_takes_all_and_never_says_a_word():
    async with practising("silent") as (one,), calling(one.port, one.address) as caller:
        await caller.send(b"\x01\x00\x00\x00\x00\x10" * 100)
        caller.sock.settimeout(0.05)
        with pytest.raises(TimeoutError):
            caller.sock.recv(1)
