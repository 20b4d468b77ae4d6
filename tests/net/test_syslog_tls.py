import asyncio
import re
import shutil
import ssl
import subprocess
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest

from certificates import make_certificates
from doorward.access.spool import Spool
from doorward.errors import ScopeError, TlsFailed
from doorward.net.syslog_tls import (
    CollectorLost,
    Origin,
    SyslogSender,
    frame,
    syslog_message,
    time_of,
)
from doorward.net.tls import client_context, server_context
from loopback import HOST, OpenGate, in_loop, limits, until
from stream_server import serving

NOON = datetime(2026, 3, 1, 12, 0, 0, 250_000, tzinfo=UTC)
ORIGIN = Origin(host="archive.example", application="doorward", process="7")
QUICK = limits(syslog_retry_s=0.01, syslog_longest_retry_s=0.02, syslog_poll_s=0.001)


@pytest.fixture(scope="module")
def credentials(tmp_path_factory):
    return make_certificates(tmp_path_factory.mktemp("certificates"))


class Box:
    """An outbox in memory."""

    def __init__(self, count=0):
        self.messages = [b"message %d" % number for number in range(count)]

    def peek(self, count):
        return self.messages[:count]

    def advance(self, count):
        del self.messages[:count]


def serving_context(credentials):
    return server_context(
        credentials.server.certificate_path,
        credentials.server.key_path,
        client_authorities=credentials.authority.certificate_path,
    )


def sending_context(credentials, who="client"):
    credential = getattr(credentials, who)
    return client_context(
        authorities=credentials.authority.certificate_path,
        certificate=credential.certificate_path,
        key=credential.key_path,
    )


@asynccontextmanager
async def sending(port, box, context, bounds=QUICK, gate=None):
    sender = SyslogSender(
        HOST, port, outbox=box, gate=gate or OpenGate(), tls=context, limits=bounds
    )
    async with asyncio.TaskGroup() as group:
        task = group.create_task(sender.run())
        yield sender
        task.cancel()


async def read_frame(reader):
    """One message of RFC 5425: its length, a space, and as many bytes."""
    length = await reader.readuntil(b" ")
    assert re.fullmatch(rb"[1-9][0-9]* ", length)
    return await reader.readexactly(int(length))


def keeping(received):
    async def keep(reader, _writer):
        with suppress(ssl.SSLError, asyncio.IncompleteReadError):
            while True:
                received.append(await read_frame(reader))

    return keep


# --- one message ------------------------------------------------------------------------------------------------


def test_a_message_is_what_rfc_5424_says():
    text = "<AuditMessage>ä</AuditMessage>".encode()
    message = syslog_message(text, origin=ORIGIN, time=NOON, severity=5)
    assert message == (
        b"<85>1 2026-03-01T12:00:00.250000Z archive.example doorward 7 DICOM+RFC3881 - "
        b"\xef\xbb\xbf" + text
    )
    assert frame(message) == b"%d " % len(message) + message


def test_words_of_the_header_cannot_break_it():
    origin = Origin(host="a b\n<1>" + "x" * 300, application="", process="ä" * 3)
    message = syslog_message(b"", origin=origin, time=NOON, severity=4)
    words = message.split(b" ")
    assert len(words) == 8
    assert words[0] == b"<84>1"
    assert words[2].startswith(b"a_b_<1>x")
    assert len(words[2]) == 255
    assert words[3:5] == [b"-", b"___"]


# --- to a collector ---------------------------------------------------------------------------------------------


@in_loop
async def test_all_that_waits_arrives_in_order_and_what_comes_later_too(credentials):
    received, box = [], Box(200)
    expected = list(box.messages)
    async with (
        serving(keeping(received), serving_context(credentials)) as port,
        sending(port, box, sending_context(credentials)) as sender,
    ):
        await until(lambda: len(received) == 200)
        await until(lambda: not box.messages)
        box.messages.append(b"later")
        sender.notify()
        await until(lambda: len(received) == 201 and not box.messages)
    assert received == [*expected, b"later"]
    assert (sender.delivered, sender.failures, sender.trouble) == (201, 0, None)


@in_loop
async def test_a_collector_that_hangs_up_gets_the_batch_again_and_nothing_is_lost(credentials):
    received, box = [], Box(30)
    expected = list(box.messages)
    connections = 0

    async def fickle(reader, writer):
        nonlocal connections
        connections += 1
        if connections < 3:
            await read_frame(reader)
            writer.transport.abort()
            return
        await keeping(received)(reader, writer)

    # Nothing counts as arrived while the connection is gone: many bytes are on their way then.
    box.messages = [one + b"." * 100_000 for one in box.messages]
    async with (
        serving(fickle, serving_context(credentials)) as port,
        sending(port, box, sending_context(credentials)) as sender,
    ):
        await until(lambda: not box.messages and b"29" in received[-1][:10])
    assert [one.split(b".")[0] for one in received[-30:]] == expected
    assert sender.failures == 2
    assert isinstance(sender.trouble, CollectorLost) or sender.trouble is None


@in_loop
async def test_a_collector_that_comes_late_gets_everything(credentials):
    received, box = [], Box(5)
    async with serving(keeping([]), serving_context(credentials)) as port:
        pass
    async with sending(port, box, sending_context(credentials)) as sender:
        await until(lambda: sender.failures >= 3)
        assert len(box.messages) == 5
        server = await asyncio.start_server(
            keeping(received), HOST, port, ssl=serving_context(credentials)
        )
        async with server:
            await until(lambda: len(received) == 5 and not box.messages)
    assert sender.trouble is None


@in_loop
async def test_a_collector_that_takes_nothing_counts_as_lost(credentials):
    release = asyncio.Event()

    async def deaf(reader, writer):
        writer.transport.pause_reading()
        await release.wait()

    box = Box(3)
    box.messages = [bytes(4_000_000)] * 3
    bounds = limits(syslog_settle_s=0.1, syslog_retry_s=5.0, syslog_poll_s=0.001)
    async with (
        serving(deaf, serving_context(credentials)) as port,
        sending(port, box, sending_context(credentials), bounds) as sender,
    ):
        await until(lambda: sender.failures)
        release.set()
    assert isinstance(sender.trouble, CollectorLost)
    assert len(box.messages) == 3


@in_loop
async def test_a_collector_with_a_foreign_certificate_gets_nothing(credentials):
    received = []
    context = server_context(
        credentials.self_signed.certificate_path, credentials.self_signed.key_path
    )
    box = Box(1)
    async with (
        serving(keeping(received), context) as port,
        sending(port, box, sending_context(credentials)) as sender,
    ):
        await until(lambda: sender.failures)
    assert isinstance(sender.trouble, TlsFailed)
    assert sender.trouble.kind == "certificate_refused"
    assert (len(box.messages), received) == (1, [])


@in_loop
async def test_a_collector_that_refuses_our_certificate_leaves_all_in_the_outbox(credentials):
    received, box = [], Box(1)
    async with (
        serving(keeping(received), serving_context(credentials)) as port,
        sending(port, box, sending_context(credentials, "stranger")) as sender,
    ):
        await until(lambda: sender.failures >= 2)
    assert received == []
    assert sender.trouble is not None


@in_loop
async def test_pauses_between_tries_double_up_to_the_bound_and_begin_anew(credentials, monkeypatch):
    pauses = []
    real = asyncio.sleep

    async def sleep(delay_s):
        if delay_s:
            pauses.append(delay_s)
        await real(0)

    monkeypatch.setattr("doorward.net.syslog_tls.asyncio.sleep", sleep)
    async with serving(keeping([]), serving_context(credentials)) as port:
        pass
    bounds = limits(syslog_retry_s=1.0, syslog_longest_retry_s=5.0)
    async with sending(port, Box(1), sending_context(credentials), bounds):
        await until(lambda: len(pauses) >= 5)
    assert pauses[:5] == [1.0, 2.0, 4.0, 5.0, 5.0]


@in_loop
async def test_nothing_is_dialled_that_the_gate_does_not_permit(credentials):
    class Shut:
        def permit(self, address, port):
            raise ScopeError("not this one", target=address)

    sender = SyslogSender(
        HOST, 6514, outbox=Box(1), gate=Shut(), tls=sending_context(credentials), limits=QUICK
    )
    with pytest.raises(ScopeError):
        await sender.run()


@in_loop
async def test_the_spool_is_an_outbox(credentials, tmp_path):
    received, spool = [], Spool(tmp_path)
    for number in range(100):
        assert spool.put(b"%d" % number)
    async with (
        serving(keeping(received), serving_context(credentials)) as port,
        sending(port, spool, sending_context(credentials)),
    ):
        await until(lambda: len(received) == 100 and not spool.peek(1))
    assert received == [b"%d" % number for number in range(100)]
    assert spool.size_bytes == 0
    spool.close()


# --- to rsyslog -------------------------------------------------------------------------------------------------

RSYSLOG = """
global(workDirectory="{folder}" maxMessageSize="256k"
  defaultNetstreamDriver="gtls" defaultNetstreamDriverCAFile="{authority}"
  defaultNetstreamDriverCertFile="{certificate}" defaultNetstreamDriverKeyFile="{key}")
module(load="imtcp" streamDriver.name="gtls" streamDriver.mode="1" streamDriver.authMode="x509/certvalid")
template(name="seen" type="list") {{
  property(name="pri") constant(value="|") property(name="timereported" dateFormat="rfc3339") constant(value="|")
  property(name="hostname") constant(value="|") property(name="app-name") constant(value="|")
  property(name="procid") constant(value="|") property(name="msgid") constant(value="|")
  property(name="msg") constant(value="\\n")
}}
input(type="imtcp" address="127.0.0.1" port="0" listenPortFileName="{folder}/port")
action(type="omfile" file="{folder}/received" template="seen")
"""


@asynccontextmanager
async def rsyslog(folder: Path, credentials):
    """A real collector, its port, and the file where it puts what it has understood."""
    configuration = folder / "rsyslog.conf"
    configuration.write_text(
        RSYSLOG.format(
            folder=folder,
            authority=credentials.authority.certificate_path,
            certificate=credentials.server.certificate_path,
            key=credentials.server.key_path,
        )
    )
    program = shutil.which("rsyslogd", path="/usr/sbin:/usr/bin:/sbin")
    command = [program, "-n", "-f", configuration, "-i", folder / "pid"]
    process = await asyncio.create_subprocess_exec(*command, stderr=subprocess.DEVNULL)
    try:
        port = folder / "port"
        while not (port.exists() and port.read_text().strip()):  # noqa: ASYNC110 - a foreign process
            await asyncio.sleep(0.02)
        yield int(port.read_text()), folder / "received"
    finally:
        process.terminate()
        await process.wait()


@in_loop
@pytest.mark.interop
@pytest.mark.peer("rsyslog")
async def test_rsyslog_understands_every_word(credentials, tmp_path):
    texts = [f"<AuditMessage n={number!r}>ä</AuditMessage>" for number in range(50)]
    texts.append("<AuditMessage>" + "x" * 90_000 + "</AuditMessage>")
    box = Box()
    for text in texts:
        box.messages.append(syslog_message(text.encode(), origin=ORIGIN, time=NOON, severity=5))
    async with rsyslog(tmp_path, credentials) as (port, received):
        async with sending(port, box, sending_context(credentials)) as sender:
            while not received.exists() or received.read_bytes().count(b"\n") < 51:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        assert sender.failures == 0
    lines = received.read_text(encoding="utf-8").splitlines()
    for line, text in zip(lines, texts, strict=True):
        head, _, message = line.rpartition("|")
        assert head == "85|2026-03-01T12:00:00.250000Z|archive.example|doorward|7|DICOM+RFC3881"
        assert message.removeprefix("\ufeff") == text


def test_a_message_says_when_it_was_made():
    message = syslog_message(b"text", origin=ORIGIN, time=NOON, severity=5)
    assert time_of(message) == NOON
