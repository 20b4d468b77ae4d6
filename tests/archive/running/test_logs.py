"""The log says who was refused and why, and where the rest of it stands; a flood stays in the journal."""

import logging
from dataclasses import replace

import pytest

from doorward.access.journal.record import EMPTY, Entry, Event, Outcome, make_record
from doorward.archive.running.logs import RecordLog
from journals import NOON, STUDY
from loopback import limits

REFUSED = Entry(
    event=Event.REFUSAL,
    outcome=Outcome.REFUSED,
    identity="ws1",
    peer="10.0.0.9",
    calling_ae_title="CANARY",
    called_ae_title="CANARY",
    destination="CANARY",
    sop_class="1.2.3",
    studies=(f"{STUDY}.7",),
    keys=("00100020",),
    operation="retrieve",
    reason="Not permitted for this study",
    rule="vip",
)


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def said(caplog):
    caplog.set_level(logging.INFO, logger="doorward.archive.access")
    return caplog


def record(entry=REFUSED):
    return make_record(entry, EMPTY, NOON)[0]


def test_a_refusal_is_said_with_its_reason_and_its_record_and_nothing_of_the_peer(said):
    RecordLog(clock=Clock()).take(record())
    (one,) = said.records
    assert (one.getMessage(), one.levelname) == ("refused", "INFO")
    assert one.fields == {
        "outcome": "refused",
        "peer": "10.0.0.9",
        "identity": "ws1",
        "operation": "retrieve",
        "reason": "Not permitted for this study",
        "rule": "vip",
        "record": 1,
    }


def test_what_has_failed_is_a_warning_and_what_went_well_is_not_said(said):
    log = RecordLog(clock=Clock())
    log.take(record(Entry(event=Event.STORE, outcome=Outcome.FAILED, reason="No room is left")))
    log.take(record(Entry(event=Event.STORE)))
    log.take(record(Entry(event=Event.ASSOCIATION_CLOSED, outcome=Outcome.FAILED)))
    assert [(one.levelname, one.getMessage()) for one in said.records] == [("WARNING", "store")]


def test_a_flood_is_counted_and_said_once_a_minute(said):
    clock = Clock()
    log = RecordLog(clock=clock, limits=limits(log_refusals=3, log_refusals_s=60.0))
    for _ in range(10):
        log.take(record())
    assert len(said.records) == 3
    clock.now += 60.0
    log.take(record(replace(REFUSED, peer="10.0.0.10")))
    assert said.records[3].getMessage().endswith("only the journal has: 7")
    assert said.records[4].fields["peer"] == "10.0.0.10"
