"""The second connection of FTP: through the same gate, to the same address, bounded, and nothing of it stays."""

import asyncio
from contextlib import asynccontextmanager, suppress

import pytest

from doorward.errors import ScopeError
from doorward.greetings.ftp import Entry
from doorward.limits import DEFAULT_LIMITS
from doorward.net.ftp import _DataConnection, ask_manners, visit_as_anonymous
from doorward.web.file_names import FolderCount, FolderShape
from loopback import HOST, OpenGate, in_loop, limits

LINE = b"-rw-r--r-- 1 0 0 2 Nov 22 14:26 ZZCANARY.dcm\r\n"


class FtpServer:
    """A scripted server: one control connection at a time, a list of its own."""

    def __init__(self, listing=LINE, *, passive=None, end=b"226 done\r\n", hangs=False):
        self.listing, self.passive, self.end, self.hangs = listing, passive, end, hangs
        self.port = self.data_port = 0
        self.said: list[bytes] = []
        self.data_calls = 0
        self._called = asyncio.Event()
        self.writers: list[asyncio.StreamWriter] = []

    async def control(self, reader, writer):
        self.writers.append(writer)
        writer.write(b"220 ready\r\n")
        async for line in reader:
            self.said.append(line)
            word = line.split()[0]
            if word == b"EPSV" and self.passive is None:
                writer.write(b"229 (|||%d|)\r\n" % self.data_port)
            elif word == b"PASV":
                writer.write(self.passive or b"500\r\n")
            elif word == b"LIST":
                writer.write(b"150 here\r\n")
                await self._called.wait()
                if not self.hangs:
                    writer.write(self.end)
            elif word == b"QUIT":
                break
            else:
                codes = {b"USER": b"331 ?\r\n", b"PASS": b"230 in\r\n"}
                writer.write(codes.get(word, b"500 no\r\n"))
        writer.close()

    async def data(self, reader, writer):
        self.writers.append(writer)
        self.data_calls += 1
        self._called.set()
        writer.write(self.listing)
        if not self.hangs:
            writer.close()


@asynccontextmanager
async def running(server):
    control = await asyncio.start_server(server.control, HOST, 0)
    data = await asyncio.start_server(server.data, HOST, 0)
    server.port = control.sockets[0].getsockname()[1]
    server.data_port = data.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        control.close()
        data.close()
        for writer in server.writers:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()


async def visit(server, gate=None, **bounds):
    return await visit_as_anonymous(
        HOST, server.port, gate=gate or OpenGate(), limits=limits(**bounds)
    )


@in_loop
async def test_the_list_is_counted_over_a_second_connection_through_the_gate():
    gate = OpenGate()
    async with running(FtpServer(LINE * 1_000)) as server:
        found = await visit(server, gate)
    assert found.entry.entry is Entry.ACCEPTED
    assert found.shape == FolderShape(entries=1_000, dicom_names=1_000)
    assert not found.is_cut
    assert gate.asked == [(HOST, server.port), (HOST, server.data_port)]
    assert "ZZCANARY" not in repr(found)


@in_loop
async def test_another_address_for_the_data_is_not_dialled():
    gate = OpenGate()
    async with running(FtpServer()) as server:
        high, low = divmod(server.data_port, 256)
        server.passive = b"227 (10,9,8,7,%d,%d)\r\n" % (high, low)
        found = await visit(server, gate)
    assert {address for address, _ in gate.asked} == {HOST}
    assert found.entry.pointed_elsewhere
    assert found.shape == FolderShape(entries=1, dicom_names=1)


@in_loop
async def test_a_gate_that_refuses_the_data_connection_ends_the_visit():
    class OnlyFirst(OpenGate):
        def permit(self, address, port):
            super().permit(address, port)
            if len(self.asked) > 1:
                raise ScopeError("outside", target=address)

    async with running(FtpServer()) as server:
        with pytest.raises(ScopeError):
            await visit(server, OnlyFirst())
        assert server.data_calls == 0


@in_loop
async def test_an_endless_list_is_cut_and_says_so():
    async with running(FtpServer(LINE * 10_000)) as server:
        found = await visit(server, listing_bytes=len(LINE) * 10)
    assert found.shape == FolderShape(entries=10, dicom_names=10)
    assert found.is_cut


@in_loop
async def test_a_list_that_never_ends_is_given_up_and_counts_at_least():
    async with running(FtpServer(LINE * 3, hangs=True)) as server:
        found = await visit(server, greeting_s=0.3)
    assert found.entry.entry is Entry.ACCEPTED
    assert found.shape == FolderShape(entries=3, dicom_names=3)
    assert found.is_cut


@in_loop
async def test_a_list_that_is_refused_is_no_empty_folder():
    async with running(FtpServer(b"", end=b"550 denied\r\n")) as server:
        found = await visit(server)
    assert found.shape is None
    async with running(FtpServer(b"")) as server:
        found = await visit(server)
    assert found.shape == FolderShape()


@in_loop
async def test_a_data_port_where_nobody_listens_leaves_the_login_known():
    async with running(FtpServer()) as server:
        spare = await asyncio.start_server(server.data, HOST, 0)
        server.data_port = spare.sockets[0].getsockname()[1]
        spare.close()
        await spare.wait_closed()
        found = await visit(server)
    assert found.entry.entry is Entry.ACCEPTED
    assert found.shape is None


@in_loop
async def test_manners_take_one_connection_and_no_password():
    gate = OpenGate()
    async with running(FtpServer()) as server:
        found = await ask_manners(HOST, server.port, gate=gate)
    assert found.takes_plain_user
    assert found.offers_tls is False
    assert not any(line.startswith(b"PASS") for line in server.said)
    assert len(gate.asked) == 1


def test_what_comes_after_the_end_is_zeroed():
    listener = _DataConnection(FolderCount(), DEFAULT_LIMITS)
    listener.forget()
    listener.get_buffer(-1)[:5] = b"NAMES"
    listener.buffer_updated(5)
    assert bytes(listener.get_buffer(-1)[:5]) == bytes(5)
