"""Each association reaches the archive that was called, and the log tells the whole of it."""

from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from doorward.errors import AssociationRejected
from doorward.net.client import Proposal, associate
from doorward.practice.certificates import make_certificates
from doorward.practice.evidence import (
    By,
    Event,
    events,
    most_associations_open,
    questions,
    without_release,
)
from doorward.practice.fleet import fleet
from doorward.practice.log import EventLog
from doorward.practice.settings import from_names
from doorward.wire.uids import STUDY_ROOT_FIND, VERIFICATION
from loopback import OpenGate, calling, in_loop
from practising import found, surveyed

STUDY = (0x0008_0052, "CS", "STUDY")
PLACE = ("connected", "closed")


class Told:
    """The events of a fleet, once it has ended."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def of(self, number: int) -> list[str]:
        return [e.event for e in self.events if e.number == number and e.door == "dicom"]

    def one(self, event: str) -> Event:
        (found,) = [e for e in self.events if e.event == event]
        return found


@asynccontextmanager
async def logged(tmp_path, *names: str, certificates=None, **numbers: int):
    """Personas under a log; gives them, and what was told when they have ended."""
    file = tmp_path / "log"
    log, told = EventLog(file), Told()
    archives = [replace(archive, port=0) for archive in from_names(names, **numbers)]
    try:
        async with fleet(archives, log=log, certificates=certificates) as running:
            yield running, told
    finally:
        log.close()
    with file.open() as lines:
        told.events = list(events(lines))


def associated(one, *abstract_syntaxes: str):
    contexts = [(uid, ("1.2.840.10008.1.2",)) for uid in abstract_syntaxes]
    proposal = Proposal(called_ae_title="ANY", calling_ae_title="TESTER", contexts=contexts)
    return associate(one.address, one.port, proposal, gate=OpenGate())


@in_loop
async def test_a_whole_conversation_is_told_from_connection_to_close(tmp_path):
    async with (
        logged(tmp_path, "open", studies=7) as ((one,), told),
        associated(one, STUDY_ROOT_FIND, VERIFICATION, "1.2.3") as requestor,
    ):
        await requestor.echo()
        await found(requestor, (STUDY, (0x0008_0020, "DA", "18900101-18900103")))
    assert told.of(1) == [
        *("connected", "associated", "echo", "find", "find_done", "released", "closed")
    ]
    let_in = told.one("associated")
    assert (let_in.address, let_in.port) == (one.address, one.port)
    assert let_in.details == {"called": "ANY", "calling": "TESTER", "contexts": 3, "accepted": 2}
    (asked,) = questions(told.events, one.address)
    assert (asked.model, asked.dates, asked.matches) == ("study", "18900101-18900103", 3)
    assert without_release(told.events) == ()


@in_loop
async def test_refusals_are_told_with_their_reason(tmp_path):
    async with logged(tmp_path, "closed") as ((one,), told):
        with pytest.raises(AssociationRejected):
            async with associated(one, VERIFICATION):
                pass
    assert told.of(1) == ["connected", "rejected", "closed"]
    assert told.one("rejected").details == {"result": 1, "source": 1, "reason": 3}


@in_loop
async def test_an_association_that_breaks_off_is_told(tmp_path):
    async with (
        logged(tmp_path, "aborting", studies=300) as ((one,), told),
        associated(one, STUDY_ROOT_FIND) as requestor,
    ):
        assert (await found(requestor, (STUDY,)))[0] is None
    assert told.of(1) == ["connected", "associated", "find", "aborted", "closed"]
    assert [event.number for event in without_release(told.events)] == [1]


@in_loop
async def test_a_wish_to_stop_is_told(tmp_path):
    keys = b"\x08\0\x52\0\x06\0\0\0STUDY "
    async with (
        logged(tmp_path, "endless") as ((one,), told),
        associated(one, STUDY_ROOT_FIND) as requestor,
    ):
        await requestor.find(STUDY_ROOT_FIND, keys, lambda *_: None, max_matches=5)
    assert told.of(1)[3:] == ["cancel", "find_done", "released", "closed"]
    assert told.one("find_done").details["status"] == 0xFE00


@in_loop
async def test_knocks_at_a_door_with_tls_are_told_even_if_no_handshake_follows(tmp_path):
    folder = tmp_path / "tls"
    folder.mkdir()
    certificates = make_certificates(folder, now=datetime.now(UTC), addresses=["127.0.1.1"])
    async with (
        logged(tmp_path, "tls", certificates=certificates) as ((one,), told),
        calling(one.port, one.address) as caller,
    ):
        await caller.send(b"no TLS")
        await caller.read()
    knock = told.one("knocked")
    assert (knock.address, knock.port) == (one.address, one.port)
    assert "connected" not in {event.event for event in told.events}


@in_loop
async def test_an_audit_of_many_keeps_its_manners_and_the_log_says_so(tmp_path):
    names = ["open", "closed", "http", "ssh", "query-only", "store-only", "viewer"]
    async with logged(tmp_path, *names, studies=11) as (running, told):
        await surveyed(running)
    assert {event.address for event in told.events} == {one.address for one in running}
    assert set(most_associations_open(told.events, By.ADDRESS).values()) == {1}
    asked = [question for question in questions(told.events) if question.was_answered]
    assert {question.matches for question in asked} == {11, 4}
    assert not {"store", "get", "move"} & {event.event for event in told.events}
    by_number: dict[tuple[str, int], list[str]] = {}
    for event in told.events:
        by_number.setdefault(event.connection, []).append(event.event)
    assert all((told[0], told[-1]) == PLACE for told in by_number.values())


@in_loop
async def test_no_value_of_a_question_reaches_the_log(tmp_path):
    async with (
        logged(tmp_path, "open", studies=3) as ((one,), _),
        associated(one, STUDY_ROOT_FIND) as requestor,
    ):
        await found(requestor, (STUDY, (0x0010_0010, "PN", "NOBODY^MUST SEE")))
    text = (tmp_path / "log").read_text()
    assert "NOBODY" not in text
    assert "CANARY" not in text
