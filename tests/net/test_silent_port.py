"""Ports on which nobody is heard: what a caller meets there."""

import asyncio
from contextlib import closing
from socket import create_server

import pytest

from doorward.errors import ConnectFailed, ConnectTimeout
from doorward.net.dial import dial
from doorward.net.silent_port import refusing_port, swallowing_port
from loopback import OpenGate, in_loop, limits

PLACES = pytest.mark.parametrize("address", ("127.4.5.6", "::1"))


async def call(address: str, port: int) -> None:
    transport, _ = await dial(
        address, port, gate=OpenGate(), protocol=asyncio.Protocol, limits=limits(connect_s=0.3)
    )
    transport.abort()


@PLACES
@in_loop
async def test_refusing_port_refuses(address):
    with refusing_port(address, 0) as port, pytest.raises(ConnectFailed) as failed:
        await call(address, port)
    assert failed.value.kind == "refused"


@PLACES
@in_loop
async def test_swallowing_port_answers_nobody_however_often_it_is_asked(address):
    async with swallowing_port(address, 0) as port:
        for _ in range(2):
            with pytest.raises(ConnectTimeout):
                await call(address, port)


@in_loop
async def test_ports_are_free_again_in_the_end():
    with refusing_port("127.4.5.6", 0) as first:
        pass
    async with swallowing_port("127.4.5.6", 0) as second:
        pass
    for port in (first, second):
        with pytest.raises(ConnectFailed):
            await call("127.4.5.6", port)


@in_loop
async def test_taken_port_is_an_error():
    with closing(create_server(("127.4.5.6", 0))) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match="in use"):
            async with swallowing_port("127.4.5.6", port):
                pass
        with pytest.raises(OSError, match="in use"), refusing_port("127.4.5.6", port):
            pass
