"""One connection to our server, spoken to by a raw socket or by our own requestor."""

import asyncio
import gc
import logging

import pytest

from doorward.errors import DoorwardError
from doorward.net.application import CANCELLED
from doorward.net.operations import FindEnd
from doorward.net.transfer import Answer
from doorward.wire.command import (
    CCancelRequest,
    CEchoRequest,
    CEchoResponse,
    CFindRequest,
    CFindResponse,
    CStoreRequest,
    CStoreResponse,
    NActionRequest,
    NActionResponse,
    NGetRequest,
)
from doorward.wire.dimse import decode_command
from doorward.wire.pdu import Abort, AssociateReject, DataTransfer, ReleaseReply, ReleaseRequest
from loopback import (
    CT,
    ECHO,
    STUDY_ROOT_FIND,
    VERIFICATION,
    House,
    associated,
    calling,
    find_request,
    in_loop,
    limits,
    listening,
    message,
    until,
)
from playbook import RQ

SECRET = "NOBODY^MUST SEE THIS"
BY_USER = Abort(source=0, reason=0)


async def hello(caller):
    await caller.send(RQ)
    await caller.pdu()


async def answer(caller):
    """The next command set that the server sends, or the PDU that is none."""
    pdu = await caller.pdu()
    if not isinstance(pdu, DataTransfer):
        return pdu
    _, control, fragment = pdu.values[0]
    return decode_command(fragment) if control & 1 else fragment


# --- association ------------------------------------------------------------------------------------------------


@in_loop
async def test_a_release_is_confirmed_and_told():
    house = House()
    async with listening(house) as (_, port), calling(port) as caller:
        await hello(caller)
        await caller.send(ReleaseRequest())
        assert await caller.pdu() == ReleaseReply()
        caller.sock.close()
        await until(lambda: house.ends)
    assert house.ends == [True]


@in_loop
async def test_an_application_may_leave_a_request_unanswered():
    class Mute(House):
        def associate(self, peer, request):
            self.peers.append(peer)

    house = Mute()
    async with listening(house) as (server, port), calling(port) as caller:
        await caller.send(RQ)
        await until(lambda: house.peers)
        assert server.associations == 1
        await server.close(drain_s=0)
        assert await caller.pdu() == BY_USER


@in_loop
async def test_an_answer_may_come_later_and_others_are_served_meanwhile():
    class Slow(House):
        def associate(self, peer, request):
            answer = super().associate(peer, request)
            return self.later(answer) if len(self.peers) == 1 else answer

        async def later(self, answer):
            await may_answer.wait()
            return answer

    may_answer = asyncio.Event()
    async with listening(Slow()) as (_, port), calling(port) as caller:
        await caller.send(RQ)
        async with associated(port) as other:
            assert await other.echo() == 0
        may_answer.set()
        await caller.pdu()
        await caller.send(*message(1, ECHO))
        assert (await answer(caller)).status == 0


@in_loop
async def test_an_answer_that_takes_too_long_is_a_rejection_for_now():
    class Mute(House):
        async def associate(self, peer, request):
            await asyncio.Event().wait()

    async with (
        listening(Mute(), limits(associate_decide_s=0.05)) as (_, port),
        calling(port) as caller,
    ):
        await caller.send(RQ)
        assert await caller.pdu() == AssociateReject(result=2, source=3, reason=1)


@in_loop
@pytest.mark.parametrize("gives_up", ["abort", "close"])
async def test_whoever_gives_up_before_the_answer_is_not_answered(gives_up, caplog):
    class Slow(House):
        async def associate(self, peer, request):
            self.peers.append(peer)
            await may_answer.wait()
            return AssociateReject(result=1, source=1, reason=1)

    may_answer, house = asyncio.Event(), Slow()
    async with listening(house) as (server, port), calling(port) as caller:
        await caller.send(RQ)
        await until(lambda: house.peers)
        if gives_up == "abort":
            await caller.send(BY_USER)
        else:
            caller.sock.close()
        await until(lambda: not server.associations)
        may_answer.set()
    assert house.ends == [False]
    assert not caplog.records


@in_loop
async def test_stop_ends_what_runs_at_once():
    class Endless(House):
        async def find(self, peer, context, request, identifier):
            began.set()
            try:
                await asyncio.Event().wait()
                yield (0xFF00, b"never")
            finally:
                ended.set()

    began, ended, house = asyncio.Event(), asyncio.Event(), Endless()
    async with listening(house) as (_, port), calling(port) as caller:
        await hello(caller)
        await caller.send(*message(3, find_request(), b"keys"))
        session = house.peers[0].session
        await began.wait()
        assert session.quiet_s() == 0
        session.stop()
        assert await caller.pdu() == BY_USER
        await ended.wait()


@in_loop
@pytest.mark.parametrize("what", ["find", "action", "associate"])
async def test_what_is_stopped_before_it_has_begun_leaves_nothing_behind(what):
    class Stopping(House):
        def associate(self, peer, request):
            answered = super().associate(peer, request)
            return self.stopped(peer) if what == "associate" else answered

        async def find(self, peer, context, request, identifier):
            yield (0xFF00, b"never")

        async def action(self, peer, context, request, information):
            return Answer(0)

        async def stopped(self, peer):
            raise AssertionError("never begun")

    house = Stopping()
    async with listening(house) as (server, port), calling(port) as caller:
        await caller.send(RQ)
        await until(lambda: house.peers)
        session = house.peers[0].session
        if what != "associate":
            await caller.pdu()
            sent = (3, find_request(), b"k") if what == "find" else (1, action(1), b"k")
            await caller.send(*message(*sent))
            await until(lambda: session.is_busy)
        session.stop()
        assert await caller.pdu() == BY_USER
        caller.sock.close()
        await until(lambda: not server.associations)
    gc.collect()  # what was never awaited would say so here


# --- actions ----------------------------------------------------------------------------------------------------


def action(message_id, *, has_data_set=True):
    return NActionRequest(
        message_id=message_id,
        has_data_set=has_data_set,
        requested_sop_class_uid=VERIFICATION,
        requested_sop_instance_uid="1.2.3",
        action_type_id=7,
    )


@in_loop
@pytest.mark.parametrize("is_later", [False, True])
async def test_an_action_reaches_the_application_whole_and_is_answered(is_later):
    class Acting(House):
        def action(self, peer, context, request, information):
            seen.append((context.id, request.action_type_id, information))
            return self.later() if is_later else 0x0123

        async def later(self):
            return Answer(0x0123, "why")

    seen = []
    async with listening(Acting()) as (_, port), calling(port) as caller:
        await hello(caller)
        await caller.send(*message(1, action(5), b"some ", b"more"))
        assert await answer(caller) == NActionResponse(
            message_id_being_responded_to=5,
            affected_sop_class_uid=VERIFICATION,
            affected_sop_instance_uid="1.2.3",
            action_type_id=7,
            status=0x0123,
            error_comment="why" if is_later else "",
        )
        await caller.send(*message(1, action(6, has_data_set=False)))
        assert (await answer(caller)).message_id_being_responded_to == 6
    assert seen == [(1, 7, b"some more"), (1, 7, b"")]


@in_loop
async def test_two_actions_at_once_are_too_many():
    class Slow(House):
        async def action(self, peer, context, request, information):
            await asyncio.Event().wait()

    async with listening(Slow()) as (_, port), calling(port) as caller:
        await hello(caller)
        await caller.send(*message(1, action(1), b"a"), *message(1, action(2), b"b"))
        assert await caller.pdu() == BY_USER


@in_loop
async def test_a_connection_is_quiet_from_its_last_word_on():
    house = House()
    async with listening(house) as (_, port), calling(port) as caller:
        await caller.send(RQ)
        await until(lambda: house.peers)
        await caller.pdu()
        session = house.peers[0].session
        await until(lambda: session.quiet_s() > 0.01)
        await caller.send(*message(1, ECHO))
        await answer(caller)
        assert session.quiet_s() < 0.01
        await caller.send(*message(3, find_request())[:1])  # its identifier is still to come
        await until(lambda: session._request is not None)
        assert session.quiet_s() == 0


# --- operations -------------------------------------------------------------------------------------------------


@in_loop
async def test_echo_is_answered_under_its_message_id():
    async with listening(House()) as (_, port), calling(port) as caller:
        await hello(caller)
        await caller.send(*message(1, ECHO))
        assert await answer(caller) == CEchoResponse(
            message_id_being_responded_to=9, status=0, affected_sop_class_uid=VERIFICATION
        )


@in_loop
async def test_an_identifier_in_fragments_reaches_the_application_whole():
    house = House()
    async with listening(house) as (_, port), calling(port) as caller:
        await hello(caller)
        await caller.send(*message(3, find_request(), b"key 1, ", b"key 2, ", b"key 3"))
        assert (await answer(caller)).status == 0
    assert house.identifiers == [b"key 1, key 2, key 3"]


@in_loop
async def test_the_final_status_may_be_given_or_is_success():
    house = House(matches=[(0xFF00, b"one "), (0xFF01, b"two "), (0xB000, None), (0xFF00, b"x")])
    async with listening(house) as (_, port), calling(port) as caller:
        await hello(caller)
        await caller.send(*message(3, find_request(5), b"keys"))
        seen = [await answer(caller) for _ in range(5)]
        await caller.send(*message(1, ECHO))
        assert isinstance(await answer(caller), CEchoResponse), "nothing after the final status"
    assert [one.status for one in seen[::2]] == [0xFF00, 0xFF01, 0xB000]
    assert seen[1::2] == [b"one ", b"two "]
    assert {one.message_id_being_responded_to for one in seen[::2]} == {5}
    assert [one.has_data_set for one in seen[::2]] == [True, True, False]


@in_loop
@pytest.mark.parametrize("count", (511, 512, 513, 3_000))
async def test_a_list_of_any_length_comes_whole(count):
    house = House(matches=[(0xFF00, b"%04d" % number) for number in range(count)])
    seen = []
    async with listening(house) as (_, port), associated(port) as requestor:
        result = await requestor.find(
            STUDY_ROOT_FIND, b"keys", lambda _, one: seen.append(bytes(one))
        )
        assert await requestor.echo() == 0
    assert (result.matches, result.final_status) == (count, 0)
    assert seen == [one for _, one in house.matches]


@in_loop
async def test_matches_may_take_their_time():
    async def slowly():
        for number in range(5):
            await asyncio.sleep(0)
            yield 0xFF00, b"%04d" % number
        yield 0xA700, None

    house = House()
    house.matches = slowly()
    async with listening(house) as (_, port), associated(port) as requestor:
        result = await requestor.find(STUDY_ROOT_FIND, b"keys", lambda *_: None)
    assert (result.matches, result.final_status) == (5, 0xA700)


def forever():
    while True:
        yield 0xFF00, b"again "


async def slowly_forever():
    while True:
        await asyncio.sleep(0)
        yield 0xFF00, b"again "


@in_loop
@pytest.mark.parametrize("matches", (forever, slowly_forever))
async def test_a_cancel_ends_a_list_without_end(matches):
    house = House()
    house.matches = matches()
    async with listening(house) as (_, port), associated(port) as requestor:
        result = await requestor.find(STUDY_ROOT_FIND, b"k", lambda *_: None, max_matches=10)
        assert await requestor.echo() == 0
    assert (result.end, result.final_status, result.matches) == (FindEnd.FINAL, CANCELLED, 10)


@in_loop
@pytest.mark.parametrize("matches", (forever, slowly_forever))
async def test_a_lost_peer_ends_a_list_without_end(matches):
    house = House()
    house.matches = matches()
    async with listening(house) as (server, port):
        async with calling(port) as caller:
            await hello(caller)
            await caller.send(*message(3, find_request(), b"keys"))
            await caller.read()
        await until(lambda: not server.associations)
        await until(lambda: not house.peers[0].session.is_busy)
    assert house.ends == [False]


@in_loop
async def test_an_application_that_waits_is_stopped_when_its_peer_is_gone():
    """Or every stranger could leave a task behind with each query."""
    ended = []

    async def stuck():
        try:
            await asyncio.get_running_loop().create_future()
            yield 0xFF00, b"never "
        finally:
            ended.append(True)

    house = House()
    house.matches = stuck()
    async with listening(house) as (_, port):
        async with calling(port) as caller:
            await hello(caller)
            await caller.send(*message(3, find_request(), b"keys"))
            await until(lambda: house.peers[0].session.is_busy)
        await until(lambda: ended)
        assert not house.peers[0].session.is_busy


@in_loop
async def test_a_cancel_of_nothing_is_let_pass():
    house = House(matches=[(0xFF00, b"one ")])
    async with listening(house) as (_, port), calling(port) as caller:
        await hello(caller)
        cancel = CCancelRequest(message_id_being_responded_to=1)
        await caller.send(*message(3, cancel), *message(3, find_request(), b"keys"))
        assert [(await answer(caller)).status, await answer(caller)] == [0xFF00, b"one "]
        assert (await answer(caller)).status == 0


@in_loop
async def test_a_data_set_that_belongs_to_nothing_is_dropped():
    async with listening(House()) as (_, port), calling(port) as caller:
        await hello(caller)
        told = CEchoRequest(message_id=9, affected_sop_class_uid=VERIFICATION, has_data_set=True)
        await caller.send(
            *message(1, told, b"what ", b"for?"), *message(3, find_request(), b"keys")
        )
        assert isinstance(await answer(caller), CEchoResponse)
        assert isinstance(await answer(caller), CFindResponse)


@in_loop
async def test_a_find_without_an_identifier_reaches_the_application_empty():
    house = House()
    async with listening(house) as (_, port), calling(port) as caller:
        await hello(caller)
        bare = CFindRequest(
            message_id=1, affected_sop_class_uid=STUDY_ROOT_FIND, has_data_set=False
        )
        await caller.send(*message(3, find_request(), b"old keys"), *message(3, bare))
        assert (await answer(caller)).status == 0
        assert (await answer(caller)).status == 0
    assert house.identifiers == [b"old keys", b""]


# --- what ends the association ----------------------------------------------------------------------------------

STORE = CStoreRequest(message_id=2, affected_sop_class_uid=CT, affected_sop_instance_uid="2.25.1")


@in_loop
@pytest.mark.parametrize(
    "sent",
    (
        [*message(3, find_request(1), b"a"), *message(3, find_request(2), b"b")],
        message(
            1,
            NGetRequest(
                message_id=1, requested_sop_class_uid=CT, requested_sop_instance_uid="2.25.1"
            ),
        ),
        message(1, CStoreResponse(message_id_being_responded_to=1, status=0)),
        message(1, CEchoResponse(message_id_being_responded_to=1, status=0)),
        message(
            1,
            CStoreRequest(
                message_id=2,
                affected_sop_class_uid=CT,
                affected_sop_instance_uid="2.25.1",
                has_data_set=False,
            ),
        ),
        message(3, find_request(), b"x" * 600, b"y" * 600),
    ),
    ids=("two at a time", "N-GET", "C-STORE-RSP", "C-ECHO-RSP", "store of nothing", "long keys"),
)
async def test_what_is_no_operation_of_ours_is_aborted(sent):
    house = House()
    house.matches = forever()
    async with (
        listening(house, limits(identifier_bytes=1_000)) as (server, port),
        calling(port) as caller,
    ):
        await hello(caller)
        await caller.send(*sent)
        while (pdu := await caller.pdu()) is not None and not isinstance(pdu, Abort):
            pass
        assert pdu == BY_USER
        caller.sock.close()
        await until(lambda: not server.associations)
    assert house.ends == [False]
    assert not house.requests


class Buggy(House):
    """Raises in one of its methods, with a text that must not be seen."""

    def __init__(self, place):
        super().__init__()
        setattr(self, place, self.fail)

    def fail(self, *_, **__):
        raise ValueError(SECRET)


async def stumble():
    yield 0xFF00, b"one "
    raise ValueError(SECRET)


@in_loop
@pytest.mark.parametrize("place", ("associate", "echo", "find", "store", "matches", "ended"))
async def test_a_bug_of_the_application_ends_its_association_and_is_logged_without_text(
    place, caplog
):
    buggy = Buggy(place)
    if place == "matches":
        buggy.matches = stumble()
    with caplog.at_level(logging.DEBUG):
        async with listening(buggy) as (server, port):
            async with calling(port) as caller, calling(port) as other:
                await caller.send(RQ)
                if place != "associate":
                    await caller.pdu()
                work = {
                    "echo": message(1, ECHO),
                    "store": message(1, STORE, b"data"),
                    "ended": [ReleaseRequest()],
                }.get(place, message(3, find_request(), b"keys"))
                if place != "associate":
                    await caller.send(*work)
                while (pdu := await caller.pdu()) is not None and not isinstance(
                    pdu, Abort | ReleaseReply
                ):
                    pass
                assert (pdu == BY_USER) is (place != "ended")
                caller.sock.close()
                await until(lambda: server.associations == 1)
                other.sock.close()
            await until(lambda: not server.associations)
    gc.collect()
    faults = [record for record in caplog.records if record.name == "doorward.server"]
    assert faults
    assert "ValueError at " in faults[0].getMessage()
    assert "test_session.py" in faults[0].getMessage()
    assert SECRET not in caplog.text


@in_loop
@pytest.mark.parametrize("place", ("connected", "found", "cancelled"))
async def test_a_bug_of_an_onlooker_is_logged_without_text_and_the_server_lives(place, caplog):
    buggy = Buggy(place)
    buggy.matches = [(0xFF00, b"one ")] * 100_000
    with caplog.at_level(logging.DEBUG):
        async with listening(buggy) as (server, port):
            for most in (5, None):
                try:
                    async with associated(port) as requestor:
                        await requestor.find(
                            STUDY_ROOT_FIND, b"keys", lambda *_: None, max_matches=most
                        )
                except DoorwardError:
                    assert place != "connected"
            await until(lambda: not server.associations)
    faults = [record for record in caplog.records if record.name == "doorward.server"]
    assert len(faults) == (1 if place == "cancelled" else 2)
    assert "ValueError at " in faults[0].getMessage()
    assert SECRET not in caplog.text


@in_loop
async def test_a_bug_of_a_receiver_ends_its_association_only(caplog):
    class Clumsy:
        def fragment(self, fragment):
            raise ValueError(SECRET)

        def abandon(self):
            raise ValueError(SECRET)

    class Storing(House):
        def store(self, peer, context, request):
            return Clumsy()

    house = Storing()
    async with listening(house) as (_, port), calling(port) as caller, associated(port) as other:
        await hello(caller)
        await caller.send(*message(1, STORE, b"data"))
        assert await caller.pdu() == BY_USER
        caller.sock.close()
        await until(lambda: any("ended" in record.getMessage() for record in caplog.records))
        assert await other.echo() == 0
    assert SECRET not in caplog.text


@in_loop
async def test_an_answer_that_cannot_be_encoded_is_aborted():
    class Clumsy(House):
        def associate(self, peer, request):
            return AssociateReject(result=1, source=1, reason=300)

    async with listening(Clumsy()) as (_, port), calling(port) as caller:
        await caller.send(RQ)
        assert await caller.pdu() == BY_USER
