"""The journal's records on their way to an outside collector: audit messages, kept in a bounded spool, sent by syslog over TLS.

Theory of operation: ``take`` is called with each record that has reached the disk, and must be quick and not raise: it
puts the message into the spool and wakes the sender. A full spool keeps what it has and refuses what comes; the journal,
which has everything, notes when that begins and when it ends.
"""

import logging
import os
from collections.abc import Callable
from datetime import datetime

from doorward.access.audit_message import AuditSource, audit_message, severity
from doorward.access.journal.record import Entry, Event, Outcome, Record
from doorward.access.spool import Spool
from doorward.archive.running.figures import SpoolFigures
from doorward.archive.running.folder import Folder
from doorward.archive.running.settings import Settings
from doorward.errors import DoorwardError, StorageError
from doorward.limits import Limits
from doorward.net.dial import OnlyGate
from doorward.net.syslog_tls import Origin, SyslogSender, syslog_message, time_of
from doorward.net.tls import client_context

_log = logging.getLogger("doorward.archive")
_PROCESS = "doorward"


class Collector:
    """What stands between the journal and its collector. Raises ConfigError, StorageError where it cannot begin."""

    def __init__(
        self, folder: Folder, settings: Settings, note: Callable[[Entry], object], limits: Limits
    ) -> None:
        chosen = settings.audit_messages
        self._note = note
        self._limits = limits
        self._source = AuditSource(
            source_id=settings.site.name, process=_PROCESS, ae_titles=(settings.dicom.ae_title,)
        )
        self._origin = Origin(
            host=settings.site.hosts[0], application=_PROCESS, process=str(os.getpid())
        )
        authorities = folder.path / chosen.authorities if chosen.authorities else None
        tls = client_context(authorities=authorities)
        self._spool = Spool(folder.spool, limits=limits)
        self._is_failing = False
        self.sender = SyslogSender(
            chosen.address,
            chosen.port,
            outbox=self._spool,
            gate=OnlyGate(chosen.address, chosen.port, "the collector of the settings"),
            tls=tls,
            server_name=chosen.server_name or chosen.address,
            limits=limits,
        )

    def take(self, record: Record) -> None:
        """Keep the message of a record until it is sent; never raises."""
        text = audit_message(record, self._source)
        if text is None:
            return
        message = syslog_message(
            text, origin=self._origin, time=record.time, severity=severity(record.entry)
        )
        was_full, refused = self._spool.is_full, self._spool.refused
        try:
            self._spool.put(message)
        except StorageError as error:
            self._say_once(error)
            return
        self._is_failing = False
        if self._spool.is_full and not was_full:
            self._say_full()
        elif was_full and not self._spool.is_full:
            self._note(
                Entry(event=Event.JOURNAL_RECOVERED, reason=f"spool again, {refused} not sent")
            )
        self.sender.notify()

    def _say_full(self) -> None:
        _log.warning("the spool of audit messages is full: they are in the journal, and not sent")
        self._note(
            Entry(event=Event.SPOOL_FULL, outcome=Outcome.FAILED, reason="the collector is away")
        )

    def _say_once(self, error: DoorwardError) -> None:
        if not self._is_failing:
            _log.warning("an audit message is not sent: %s", error)
        self._is_failing = True

    async def run(self) -> None:
        """Send what waits until cancelled; a spool that cannot be read is said, and ends the sending."""
        try:
            await self.sender.run()
        except StorageError as error:
            _log.warning("audit messages are no longer sent: %s", error)

    def figures(self, now: datetime) -> SpoolFigures:
        """Return how the sending stands. Blocks. Raises StorageError."""
        oldest = next(iter(self._spool.peek(1)), None)
        waited_s = 0.0
        if oldest is not None:
            waited_s = max(0.0, (now - time_of(oldest)).total_seconds())
        return SpoolFigures(
            size_bytes=self._spool.size_bytes,
            most_bytes=self._limits.spool_bytes,
            oldest_s=waited_s,
            delivered=self.sender.delivered,
            refused=self._spool.refused,
            failures=self.sender.failures,
        )

    def close(self) -> None:
        """Close the spool; what waits there is sent after the next start."""
        self._spool.close()
