"""Records reach a collector over TLS as audit messages; a spool that is full is said, once, and journalled."""

import asyncio
import re
import ssl
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import timedelta

import pytest

from archive_folders import ephemeral
from certificates import make_certificates
from doorward.access.journal.record import EMPTY, Entry, Event, make_record
from doorward.archive.running.collector import Collector
from doorward.archive.running.folder import Folder
from doorward.net.tls import server_context
from journals import NOON
from loopback import HOST, in_loop, limits, until
from stream_server import serving


@pytest.fixture(scope="module")
def credentials(tmp_path_factory):
    return make_certificates(tmp_path_factory.mktemp("certificates"))


def record(number=1, event=Event.START):
    return make_record(Entry(event=event, subject=f"n{number}"), EMPTY, NOON)[0]


@asynccontextmanager
async def collecting(tmp_path, credentials, port, notes, **bounds):
    settings = ephemeral()
    chosen = replace(
        settings.audit_messages,
        address=HOST,
        port=port,
        authorities=str(credentials.authority.certificate_path),
    )
    folder = Folder(tmp_path)
    collector = Collector(
        folder,
        replace(settings, audit_messages=chosen),
        notes.append,
        limits(syslog_retry_s=0.01, syslog_poll_s=0.001, **bounds),
    )
    try:
        yield collector
    finally:
        collector.close()


@in_loop
async def test_a_record_arrives_as_an_audit_message(tmp_path, credentials):
    received = []

    async def keep(reader, _writer):
        with suppress(ssl.SSLError, asyncio.IncompleteReadError):
            while True:
                length = await reader.readuntil(b" ")
                received.append(await reader.readexactly(int(length)))

    tls = server_context(credentials.server.certificate_path, credentials.server.key_path)
    async with (
        serving(keep, tls=tls) as port,
        collecting(tmp_path, credentials, port, notes := []) as collector,
        asyncio.TaskGroup() as tasks,
    ):
        sending = tasks.create_task(collector.run())
        collector.take(record())
        collector.take(record(event=Event.ASSOCIATION_OPENED))  # no message of PS3.15
        collector.take(record(event=Event.STOP))
        await until(lambda: len(received) == 2)
        sending.cancel()
    assert b"Application Start" in received[0]
    assert b"Application Stop" in received[1]
    assert re.match(rb"<85>1 \S+ 127\.0\.0\.1 doorward \d+ DICOM\+RFC3881 - ", received[0])
    assert notes == []


@in_loop
async def test_a_full_spool_is_noted_once_and_again_when_it_takes_messages(
    tmp_path, credentials, caplog
):
    notes = []
    async with collecting(
        tmp_path, credentials, 9, notes, spool_bytes=6_000, spool_file_bytes=500
    ) as collector:
        for number in range(20):
            collector.take(record(number))
        assert [note.event for note in notes] == [Event.SPOOL_FULL]
        assert caplog.text.count("spool of audit messages is full") == 1
        collector.sender._outbox.advance(2)
        collector.take(record(21))
        assert [note.event for note in notes] == [Event.SPOOL_FULL, Event.JOURNAL_RECOVERED]
        assert "not sent" in notes[1].reason


@in_loop
async def test_a_spool_that_fails_is_said_once_and_raises_nothing(tmp_path, credentials, caplog):
    async with collecting(tmp_path, credentials, 9, []) as collector:
        collector.take(record(0))

        def fail(_):
            from doorward.errors import StorageError

            raise StorageError("gone", operation="write", path=tmp_path, kind="failed")

        collector._spool.put = fail
        collector.take(record(1))
        collector.take(record(2))
    assert caplog.text.count("an audit message is not sent") == 1


@in_loop
async def test_figures_tell_what_waits_and_for_how_long(tmp_path, credentials):
    async with collecting(tmp_path, credentials, 1, []) as collector:
        later = NOON + timedelta(seconds=90)
        assert collector.figures(later).oldest_s == 0.0
        collector.take(record())
        found = collector.figures(later)
        assert (found.oldest_s, found.delivered, found.refused) == (90.0, 0, 0)
        assert 0 < found.size_bytes < found.most_bytes
        assert collector.figures(NOON - timedelta(seconds=1)).oldest_s == 0.0
