"""What an application does that overrides nothing: it refuses, and says so as the Standard does."""

import pytest

from commitment_peers import Committing
from doorward.errors import AssociationRejected
from doorward.net.application import Application
from doorward.net.operations import FindEnd
from doorward.net.transfer import Instance, get, move, store
from doorward.wire.command import NActionRequest
from loopback import (
    CONTEXTS,
    CT,
    IMPLICIT,
    STUDY_ROOT_FIND,
    STUDY_ROOT_GET,
    STUDY_ROOT_MOVE,
    VERIFICATION,
    House,
    associated,
    calling,
    find_request,
    in_loop,
    listening,
    message,
    proposal,
    until,
)
from playbook import RQ


def action(message_id):
    """An N-ACTION of a class that has none."""
    return NActionRequest(
        message_id=message_id,
        has_data_set=True,
        requested_sop_class_uid=VERIFICATION,
        requested_sop_instance_uid="1.2.3",
        action_type_id=1,
    )


class OnlyAssociations(Application):
    """Lets everybody in and offers nothing."""

    associate = House.associate

    def __init__(self):
        self.peers = []


@in_loop
async def test_by_default_nobody_is_let_in():
    async with listening(Application()) as (_, port):
        with pytest.raises(AssociationRejected) as caught:
            async with associated(port):
                raise AssertionError("never reached")
    assert (caught.value.result, caught.value.source, caught.value.reason) == (1, 1, 1)


@in_loop
async def test_by_default_every_service_is_refused_and_echo_answers():
    instance = Instance(
        sop_class_uid=CT,
        sop_instance_uid="2.25.1",
        transfer_syntax_uid=IMPLICIT,
        data_set=b"data",
    )
    contexts = [*CONTEXTS, (CT, (IMPLICIT,))]
    async with (
        listening(OnlyAssociations()) as (_, port),
        associated(port, what=proposal(contexts)) as requestor,
    ):
        assert await requestor.echo() == 0
        assert await store(requestor, instance) == 0x0122
        found = await requestor.find(STUDY_ROOT_FIND, b"keys", lambda *_: None)
        assert (found.end, found.final_status, found.matches) == (FindEnd.FINAL, 0x0122, 0)
        assert (await get(requestor, STUDY_ROOT_GET, b"", lambda *_: 0)).status == 0x0122
        assert (await move(requestor, STUDY_ROOT_MOVE, b"", "X")).status == 0x0122
        asked = Committing(requestor, waits=False)
        await requestor.perform(requestor.context_for(VERIFICATION), action, asked, data=b"")
        assert asked.response.status == 0x0122


class Diary(House):
    """Writes down what it is told beside its work."""

    def __init__(self, **how):
        super().__init__(**how)
        self.told = []

    def knocked(self, address, port):
        self.told.append(("knocked", address, port))

    def connected(self, peer):
        self.told.append(("connected", peer.id))

    def found(self, peer, *, matches, status):
        self.told.append(("found", peer.id, matches, status))

    def cancelled(self, peer):
        self.told.append(("cancelled", peer.id))

    def ended(self, peer, *, in_order):
        self.told.append(("ended", peer.id, in_order))


def many(count):
    return [(0xFF00, b"match ")] * count


@in_loop
@pytest.mark.parametrize("count", (0, 1, 511, 512, 513, 1_024, 3_000))
async def test_an_application_is_told_of_everything_that_happens_around_it(count):
    diary = Diary(matches=many(count))
    async with listening(diary) as (_, port):
        async with associated(port) as requestor:
            await requestor.find(STUDY_ROOT_FIND, b"keys", lambda *_: None)
        async with calling(port):
            pass
        await until(lambda: len(diary.told) == 7)
    assert diary.told == [
        ("knocked", "127.0.0.1", port),
        ("connected", 1),
        ("found", 1, count, 0),
        ("ended", 1, True),
        ("knocked", "127.0.0.1", port),
        ("connected", 2),
        ("ended", 2, False),
    ]


@in_loop
@pytest.mark.parametrize("is_slow", (False, True))
async def test_an_application_is_told_how_far_an_answer_came(is_slow):
    async def slowly():
        for match in many(7):
            yield match
        yield 0xFE00, None

    diary = Diary(matches=slowly() if is_slow else [*many(7), (0xFE00, None), *many(1)])
    async with listening(diary) as (_, port), associated(port) as requestor:
        await requestor.find(STUDY_ROOT_FIND, b"keys", lambda *_: None)
    assert ("found", 1, 7, 0xFE00) in diary.told


@in_loop
async def test_an_application_is_told_that_the_peer_wants_no_more():
    diary = Diary(matches=many(1_000_000))
    async with listening(diary) as (_, port), associated(port) as requestor:
        await requestor.find(STUDY_ROOT_FIND, b"keys", lambda *_: None, max_matches=5)
    (cancelled, found) = diary.told[2:4]
    assert cancelled == ("cancelled", 1)
    assert (found[0], found[3]) == ("found", 0xFE00)
    assert 5 <= found[2] < 1_000_000


@in_loop
async def test_an_answer_that_the_peer_did_not_wait_for_was_not_given():
    diary = Diary(matches=many(1_000_000))
    async with listening(diary) as (_, port):
        async with calling(port) as caller:
            await caller.send(RQ)
            await caller.pdu()
            await caller.send(*message(3, find_request(), b"keys"))
            await caller.read()
        await until(lambda: len(diary.told) == 3)
    assert [told[0] for told in diary.told] == ["knocked", "connected", "ended"]


@in_loop
async def test_who_is_calling_is_known():
    application = OnlyAssociations()
    async with listening(application) as (_, port):
        for _ in range(2):
            async with associated(port) as requestor:
                here, there = requestor.connection.local_address, requestor.connection.peer_address
    first, second = application.peers
    assert (second.address, second.port) == here
    assert (second.local_address, second.local_port) == there
    assert second.id > first.id
    assert second.certificate is None
