"""The figures of an archive for Prometheus (docs/archive-watching.md lists them, with alerts).

Theory of operation. What happens is counted from the journal: ``take`` is called with each record that has reached the disk,
so the figures tell the same as the journal and no door can forget to count. How long things take is told by ``Timings``. How
things stand is looked up at each scrape (``figures``). Labels are words of ours, of a fixed list each: nothing that a peer
sends, and no name of anybody, becomes a label.
"""

import platform
from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from doorward import __version__
from doorward.access.identity import Operation
from doorward.access.journal.record import Event, Outcome, Record
from doorward.archive.running.figures import Figures, Observer
from doorward.archive.running.timings import Timings

CONTENT_TYPE = CONTENT_TYPE_LATEST
#: Whatever is not in a list of ours.
_OTHER = "other"
_OPERATIONS = frozenset(Operation)
_METHODS = frozenset({"GET", "HEAD", "POST", "OPTIONS", "DELETE", "PUT"})
#: Seconds; from what a fast disk needs to what nobody waits for.
_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_GIVEN = frozenset({Event.RETRIEVE, Event.MOVE})
#: There from the beginning, so that an alert sees the first one as a rise.
_AWAITED = (
    (Event.ASSOCIATION_OPENED, Outcome.SUCCESS),
    (Event.ASSOCIATION_REFUSED, Outcome.REFUSED),
    (Event.REFUSAL, Outcome.REFUSED),
    (Event.LOGIN, Outcome.SUCCESS),
    (Event.LOGIN_FAILED, Outcome.REFUSED),
    (Event.LOCKED, Outcome.REFUSED),
    (Event.SPOOL_FULL, Outcome.FAILED),
)


class Metrics:
    """All figures of one archive, in a registry of their own."""

    def __init__(self, observer: Observer) -> None:
        self.observer = observer
        self.registry = CollectorRegistry()
        self._counters: dict[tuple[Event, Outcome, str], tuple[Counter, ...]] = {}
        ProcessCollector(registry=self.registry)
        self._build()
        self._count_what_happens()
        self._show_how_things_stand()
        self._show_what_is_kept()

    # --- what happens ------------------------------------------------------------------------------------------------

    def _build(self) -> None:
        build = self._gauge("build_info", "1; which version runs", "version", "python")
        build.labels(__version__, platform.python_version()).set(1)

    def _count_what_happens(self) -> None:
        count = self._counter
        self._records = count("journal_records", "Records by event", "event", "outcome")
        self._operations = count("operations", "What was asked for", "operation", "outcome")
        self._in = count("received_instances", "Instances taken in, also those held already")
        self._bytes_in = count("received_bytes", "Bytes of them")
        self._out = count("sent_instances", "Instances that have left")
        self._bytes_out = count("sent_bytes", "Bytes of them, as chosen when they began to leave")
        self._requests = count("http_requests", "HTTP requests answered", "method", "status")
        for event, outcome in _AWAITED:
            self._records.labels(event.value, outcome.value)
        for operation in Operation:
            for outcome in Outcome:
                self._operations.labels(operation.value, outcome.value)
        self._ingest = self._histogram("ingest", "One instance, from its first byte to success")
        self._durable = self._histogram(
            "durable", "Its last part: until blob, index and journal are on disk"
        )
        self._query = self._histogram("query", "One query, until its first page is recorded")

    def take(self, record: Record) -> None:
        """Count one record of the journal."""
        entry = record.entry
        operation = entry.operation if entry.operation in _OPERATIONS else _OTHER
        if not entry.operation or entry.event is Event.TRANSFER_BEGUN:
            operation = ""
        for counter in self._counters_of(entry.event, entry.outcome, operation):
            counter.inc()
        if entry.event is Event.STORE and entry.instances:
            self._in.inc(entry.instances)
            self._bytes_in.inc(entry.size_bytes)
        elif entry.event in _GIVEN and entry.instances:
            self._out.inc(entry.instances)
            self._bytes_out.inc(entry.size_bytes)

    def _counters_of(self, event: Event, outcome: Outcome, operation: str) -> tuple[Counter, ...]:
        """Return what such a record counts for; looked up once, since that takes longer than to count."""
        key = (event, outcome, operation)
        found = self._counters.get(key)
        if found is None:
            found = (self._records.labels(event.value, outcome.value),)
            if operation:
                found = (*found, self._operations.labels(operation, outcome.value))
            self._counters[key] = found
        return found

    def answered(self, method: str, status: int) -> None:
        """Count one HTTP request."""
        known = method if method in _METHODS else _OTHER
        self._requests.labels(known, str(status) if 100 <= status < 600 else _OTHER).inc()

    def time(self, timings: Timings) -> None:
        """Have durations told from here on."""
        timings.ingest = self._ingest.observe
        timings.durable = self._durable.observe
        timings.query = self._query.observe

    # --- how things stand --------------------------------------------------------------------------------------------

    def _show_how_things_stand(self) -> None:
        gauge = self._gauge
        self._associations = gauge("associations", "DICOM associations that stand")
        self._connections = gauge("connections", "Connections that are open", "door")
        self._sessions = gauge("sessions", "Sessions of people who are logged in")
        self._workers = gauge("image_workers", "Processes that decode images now")
        self._worker_starts = gauge("image_worker_starts", "Such processes since the start")
        self._worker_failures = gauge("image_worker_failures", "Those that failed at an image")
        self._head = gauge("journal_head", "Number of the last record on disk")
        self._broken = gauge("journal_broken", "1: the journal refuses everything; restart")
        self._held = gauge("held", "What is held, counted now and then", "level")

    def _show_what_is_kept(self) -> None:
        gauge = self._gauge
        self._disk = gauge("disk_bytes", "Size of the file system of the archive")
        self._free = gauge("disk_free_bytes", "What of it is free for the archive")
        self._ends = gauge(
            "certificate_end_timestamp_seconds",
            "When a certificate of the archive ends",
            "certificate",
        )
        self._ending = gauge(
            "devices_ending", "Devices whose certificate has ended or ends in a month"
        )
        self._spool = gauge("spool_bytes", "Audit messages that wait for the collector")
        self._spool_most = gauge("spool_limit_bytes", "At so many nothing more is taken")
        self._spool_oldest = gauge("spool_oldest_seconds", "For how long the oldest has waited")
        self._delivered = gauge("spool_delivered", "Messages that have arrived since the start")
        self._unsent = gauge("spool_refused", "Messages that found the spool full")
        self._lost = gauge("collector_failures", "Connections to it that failed since the start")

    async def text(self) -> bytes:
        """Return all of it in the text format of Prometheus."""
        self._set(await self.observer.look())
        return generate_latest(self.registry)

    def _set(self, now: Figures) -> None:
        self._associations.set(now.associations)
        for door, count in now.connections.items():
            self._connections.labels(door).set(count)
        self._sessions.set(now.sessions)
        self._workers.set(now.workers)
        self._worker_starts.set(now.worker_starts)
        self._worker_failures.set(now.worker_failures)
        self._head.set(now.journal_records)
        self._broken.set(now.is_journal_broken)
        if now.totals is not None:
            for level in ("patients", "studies", "series", "instances", "conflicts"):
                self._held.labels(level).set(getattr(now.totals, level))
        self._set_kept(now)

    def _set_kept(self, now: Figures) -> None:
        _put(self._disk.set, now.disk_bytes)
        _put(self._free.set, now.disk_free_bytes)
        for name, end in now.certificate_ends.items():
            self._ends.labels(name).set(end)
        _put(self._ending.set, now.devices_ending)
        spool = now.spool
        if spool is not None:
            self._spool.set(spool.size_bytes)
            self._spool_most.set(spool.most_bytes)
            self._spool_oldest.set(spool.oldest_s)
            self._delivered.set(spool.delivered)
            self._unsent.set(spool.refused)
            self._lost.set(spool.failures)

    # --- making them -------------------------------------------------------------------------------------------------

    def _counter(self, name: str, words: str, *labels: str) -> Counter:
        return Counter(f"doorward_{name}", words, labels, registry=self.registry)

    def _gauge(self, name: str, words: str, *labels: str) -> Gauge:
        return Gauge(f"doorward_{name}", words, labels, registry=self.registry)

    def _histogram(self, name: str, words: str) -> Histogram:
        return Histogram(
            f"doorward_{name}_seconds", words, buckets=_BUCKETS, registry=self.registry
        )


def _put(setting: Callable[[float], None], value: float | None) -> None:
    """Set a figure; what is not known reads as no number, for which no alert takes 0."""
    setting(float("nan") if value is None else value)
