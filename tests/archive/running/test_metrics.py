"""What Prometheus is told: the same as the journal, in labels of ours alone; scraped from an archive that runs."""

import asyncio
import json
import re
from dataclasses import replace
from datetime import timedelta
from http.client import HTTPSConnection
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from archive_commands import archive_process
from archive_folders import NOW, calling_context, ct1, ephemeral, made
from archives import HOST, instance, proposal_of
from doorward.access.identity import Operation, Service
from doorward.access.journal.record import EMPTY, Entry, Event, Outcome, make_record
from doorward.access.rules import TEMPLATE
from doorward.access.tokens import TokenBook
from doorward.archive.index.entry import Totals
from doorward.archive.running.figures import Figures, SpoolFigures
from doorward.archive.running.metrics import Metrics
from doorward.archive.running.settings import AuditMessageSettings
from doorward.archive.running.timings import Timings
from doorward.net.client import associate
from doorward.net.tls import client_context
from doorward.net.transfer import store
from journals import NOON
from loopback import OpenGate, in_loop

FIGURES = Figures(
    associations=3,
    connections={"dicom": 4, "https": 5},
    sessions=6,
    workers=1,
    worker_starts=2,
    worker_failures=7,
    journal_records=99,
    is_journal_broken=True,
)


class Observer:
    doors = collector = None

    def __init__(self, now=FIGURES):
        self.now = now

    async def look(self):
        return self.now


def figures_in(text):
    """Return name and labels -> value, as a scraper reads them."""
    found = {}
    for family in text_string_to_metric_families(text.decode()):
        for one in family.samples:
            found[one.name, *sorted(one.labels.values())] = one.value
    return found


def shown(metrics):
    return figures_in(asyncio.run(metrics.text()))


def record(**named):
    return make_record(Entry(**named), EMPTY, NOON)[0]


def test_what_the_journal_has_is_counted():
    metrics = Metrics(Observer())
    stored = {"event": Event.STORE, "operation": "store", "instances": 1, "size_bytes": 500}
    refused = {"event": Event.REFUSAL, "outcome": Outcome.REFUSED, "operation": "query"}
    leaving = {"operation": "retrieve", "instances": 3, "size_bytes": 700}
    for one in (
        stored,
        stored,
        {"event": Event.STORE, "operation": "store", "outcome": Outcome.FAILED},
        refused,
        {"event": Event.TRANSFER_BEGUN, **leaving},
        {"event": Event.RETRIEVE, **leaving},
        {"event": Event.ASSOCIATION_REFUSED, "outcome": Outcome.REFUSED},
    ):
        metrics.take(record(**one))
    found = shown(metrics)
    assert found["doorward_operations_total", "store", "success"] == 2
    assert found["doorward_operations_total", "failed", "store"] == 1
    assert found["doorward_operations_total", "query", "refused"] == 1
    assert found["doorward_operations_total", "retrieve", "success"] == 1  # as it ends, not twice
    assert found["doorward_received_instances_total",] == 2
    assert found["doorward_received_bytes_total",] == 1000
    assert found["doorward_sent_instances_total",] == 3
    assert found["doorward_sent_bytes_total",] == 700
    assert found["doorward_journal_records_total", "association refused", "refused"] == 1


def test_an_alert_sees_the_first_refusal_as_a_rise():
    found = shown(Metrics(Observer()))
    assert found["doorward_journal_records_total", "association refused", "refused"] == 0
    assert found["doorward_journal_records_total", "locked", "refused"] == 0
    assert found["doorward_operations_total", "refused", "retrieve"] == 0


def test_a_label_is_a_word_of_ours_whatever_is_sent():
    metrics = Metrics(Observer())
    for method, status in (("GET", 200), ("CANARY", 200), ("GET", 7777)):
        metrics.answered(method, status)
    metrics.take(record(event=Event.REFUSAL, operation="CANARY"))
    text = asyncio.run(metrics.text())
    assert b"CANARY" not in text
    found = figures_in(text)
    assert found["doorward_http_requests_total", "200", "GET"] == 1
    assert found["doorward_http_requests_total", "200", "other"] == 1
    assert found["doorward_http_requests_total", "GET", "other"] == 1
    assert found["doorward_operations_total", "other", "success"] == 1


def test_durations_are_told_in_buckets():
    metrics, timings = Metrics(Observer()), Timings()
    metrics.time(timings)
    timings.ingest(0.3)
    timings.durable(0.004)
    timings.query(100.0)
    found = shown(metrics)
    assert found["doorward_ingest_seconds_sum",] == 0.3
    assert found["doorward_durable_seconds_bucket", "0.005"] == 1
    assert found["doorward_durable_seconds_bucket", "0.0025"] == 0
    assert found["doorward_query_seconds_bucket", "60.0"] == 0
    assert found["doorward_query_seconds_count",] == 1


def test_how_things_stand_is_looked_up_at_each_scrape():
    observer = Observer()
    metrics = Metrics(observer)
    found = shown(metrics)
    assert found["doorward_journal_head",] == 99
    assert found["doorward_journal_broken",] == 1
    assert found["doorward_connections", "https"] == 5
    assert found["doorward_disk_free_bytes",] != found["doorward_disk_free_bytes",]  # not a number
    assert ("doorward_held", "studies") not in found
    spool = SpoolFigures(
        size_bytes=10, most_bytes=20, oldest_s=30.0, delivered=40, refused=50, failures=60
    )
    totals = Totals(patients=1, studies=2, series=3, instances=4, conflicts=5)
    observer.now = replace(
        FIGURES,
        totals=totals,
        disk_bytes=1000,
        disk_free_bytes=0,
        certificate_ends={"server": 1.5e9},
        devices_ending=8,
        spool=spool,
    )
    found = shown(metrics)
    assert found["doorward_held", "studies"] == 2
    assert found["doorward_disk_free_bytes",] == 0
    assert found["doorward_certificate_end_timestamp_seconds", "server"] == 1.5e9
    assert found["doorward_spool_oldest_seconds",] == 30
    assert found["doorward_devices_ending",] == 8


def test_two_archives_in_one_process_count_apart():
    first, second = Metrics(Observer()), Metrics(Observer())
    first.answered("GET", 200)
    assert ("doorward_http_requests_total", "200", "GET") not in shown(second)


def test_the_page_for_administrators_names_every_figure_and_no_other():
    page = (Path(__file__).parents[3] / "docs" / "archive-watching.md").read_text()
    named = set(re.findall(r"doorward_[a-z_]+", page))
    families = [one.name for one in Metrics(Observer()).registry.collect()]
    ours = {name for name in families if name.startswith("doorward_")}
    assert {re.sub("_(total|bucket|sum|count)$", "", name) for name in named} == ours


# --- an archive that runs ----------------------------------------------------------------------------------------------


def prepared(place):
    """An archive with a device, a watcher with a token, and a collector that is not there."""
    collector = AuditMessageSettings(address=HOST, port=1)
    folder = made(place, ephemeral(audit_messages=collector))
    text = folder.settings_file.read_text()
    if "[[rule]]" not in text.replace("# [[rule]]", ""):
        folder.settings_file.write_text(text + TEMPLATE)
    bundle = ct1(folder)
    watcher = Service(name="prometheus", role="auditor")
    folder.change_register(lambda register: register.with_entry(watcher))
    issued = TokenBook().issue(
        owner="prometheus", scope={Operation.READ_JOURNAL}, now=NOW, lifetime=timedelta(hours=1)
    )
    folder.change_tokens(lambda _: issued.book)
    return folder, bundle, issued.text


def scraped(port, tls, token):
    web = HTTPSConnection(HOST, port, context=tls, timeout=10)
    try:
        web.request("GET", "/metrics", headers={"Authorization": f"Bearer {token}"})
        answer = web.getresponse()
        assert answer.status == 200
        assert answer.headers["content-type"].startswith("text/plain; version=")
        return answer.read()
    finally:
        web.close()


@in_loop
async def test_a_scrape_of_an_archive_that_runs_tells_what_was_done_and_nothing_about_anybody(
    tmp_path,
):
    folder, bundle, token = await asyncio.to_thread(prepared, tmp_path / "pacs")
    device = calling_context(bundle, tmp_path / "bundle")
    anybody = client_context(authorities=folder.secrets / "authority.pem")
    sent = instance("2.25.77", PatientName="CANARY^ONE", PatientID="CANARY", StudyDate="20200101")
    wrong = replace(sent, sop_instance_uid="2.25.78")
    with archive_process(folder.path) as process:
        assert await asyncio.to_thread(process.until, "HTTPS on")
        dicom, https = process.ports["dicom"], process.ports["https"]
        proposal = proposal_of("CT1")
        async with associate(HOST, dicom, proposal, gate=OpenGate(), tls=device) as requestor:
            assert await requestor.echo() == 0
            for one, status in ((sent, 0), (sent, 0), (wrong, 0xA900)):
                assert await store(requestor, one) == status
            text = await asyncio.to_thread(scraped, https, anybody, token)
        assert await asyncio.to_thread(process.stop) == 0
    found = figures_in(text)
    assert found["doorward_received_instances_total",] == 2
    assert found["doorward_operations_total", "store", "success"] == 2
    assert found["doorward_operations_total", "failed", "store"] == 1
    assert found["doorward_associations",] == 1
    assert found["doorward_connections", "dicom"] == 1
    assert found["doorward_held", "instances"] == 1
    assert found["doorward_durable_seconds_count",] == 2
    assert found["doorward_spool_bytes",] > 0
    assert 0 <= found["doorward_spool_oldest_seconds",] < 60
    assert found["doorward_disk_free_bytes",] > 0
    assert found["process_resident_memory_bytes",] > 0
    for about_somebody in (b"CANARY", b"2.25.", b"CT1", b"ct1", b'prometheus"', HOST.encode()):
        assert about_somebody not in text
    said = "\n".join(process.lines)
    assert "store outcome=failed peer=127.0.0.1 identity=ct1 operation=store" in said
    assert "CANARY" not in said
    assert "2.25." not in said


def test_the_same_log_for_programs_has_fields(tmp_path):
    folder, _, token = prepared(tmp_path / "pacs")
    text = folder.settings_file.read_text().replace('format = "text"', 'format = "json"')
    folder.settings_file.write_text(text)
    tls = client_context(authorities=folder.secrets / "authority.pem")
    with archive_process(folder.path) as process:
        assert process.until("HTTPS on")
        with pytest.raises(AssertionError):
            scraped(process.ports["https"], tls, token[:-1])
        assert process.until("no identity was shown")
        assert process.stop() == 0
    (said,) = [json.loads(one) for one in process.lines if "no identity was shown" in one]
    assert said.pop("time")
    assert said.pop("record") > 1
    assert said == {
        "level": "info",
        "logger": "doorward.archive.access",
        "message": "refused",
        "outcome": "refused",
        "peer": HOST,
        "reason": "no identity was shown",
    }
