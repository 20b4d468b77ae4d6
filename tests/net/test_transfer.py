"""C-STORE, C-GET and C-MOVE between our two sides; data sets travel as bytes, whatever they are."""

import pytest

from doorward.errors import AssociationAborted, LocalProtocolError, ReplyTimeout
from doorward.net.suboperations import MovePlan
from doorward.net.transfer import Instance, fitting, get, move, store
from doorward.wire.command import CStoreRequest
from doorward.wire.dimse import encode_command
from doorward.wire.negotiation import AcceptedContext
from doorward.wire.pdu import RoleSelection
from loopback import (
    CONTEXTS,
    CT,
    EXPLICIT,
    HOST,
    IMPLICIT,
    STUDY_ROOT_GET,
    STUDY_ROOT_MOVE,
    VERIFICATION,
    House,
    Kept,
    OpenGate,
    associated,
    in_loop,
    limits,
    listening,
    proposal,
    until,
)
from scripted_peer import C_STORE_RQ, Gone, abort, data, final, response, scripted_peer

STORAGE = [*CONTEXTS, (CT, (IMPLICIT,)), (CT, (EXPLICIT,))]
AS_RECEIVER = (RoleSelection(sop_class_uid=CT, scu_role=False, scp_role=True),)
LARGE = bytes(range(256)) * 12_000  # 3 MB


def instance(number=1, data_set=b"data set", syntax=EXPLICIT):
    return Instance(
        sop_class_uid=CT,
        sop_instance_uid=f"2.25.{number}",
        transfer_syntax_uid=syntax,
        data_set=data_set,
    )


def sending(port, bounds=None):
    return associated(port, bounds or limits(), proposal(STORAGE))


def receiving(port, bounds=None):
    return associated(port, bounds or limits(), proposal(STORAGE, role_selections=AS_RECEIVER))


# --- C-STORE ----------------------------------------------------------------------------------------------------


@in_loop
@pytest.mark.parametrize(
    "data_set",
    (b"", b"x", b"even", bytes(65_524), bytes(65_525), bytes(262_144), bytes(262_145), LARGE),
    ids=len,
)
async def test_an_instance_arrives_as_it_was_sent(data_set):
    house = House()
    async with listening(house) as (_, port), sending(port) as requestor:
        assert await store(requestor, instance(data_set=data_set)) == 0
    assert house.stored == {"2.25.1": data_set}
    assert house.ends == [True]


@in_loop
async def test_many_instances_travel_on_one_association():
    house = House()
    async with listening(house) as (_, port), sending(port) as requestor:
        for number in range(50):
            assert await store(requestor, instance(number, b"%d" % number)) == 0
    assert len(house.stored) == 50
    assert [request.message_id for request in house.requests] == list(range(1, 51))


@in_loop
async def test_the_context_of_the_transfer_syntax_is_used():
    house = House()
    async with listening(house) as (_, port), sending(port) as requestor:
        implicit = requestor.context_for(CT, IMPLICIT)
        explicit = requestor.context_for(CT, EXPLICIT)
        assert implicit.id != explicit.id
        assert await store(requestor, instance(syntax=IMPLICIT)) == 0
        with pytest.raises(LocalProtocolError, match="no accepted context"):
            await store(requestor, instance(syntax="1.2.840.10008.1.2.4.50"))


@in_loop
@pytest.mark.parametrize("size", (8, 1_000_000))
async def test_a_refused_instance_is_read_to_its_end(size):
    house = House()
    house.refusal = 0xA700
    async with listening(house) as (_, port), sending(port) as requestor:
        assert await store(requestor, instance(data_set=bytes(size))) == 0xA700
        assert await requestor.echo() == 0
    assert house.stored == {}


@in_loop
async def test_the_receiver_has_the_last_word():
    house = House()
    house.store_status = 0xB007
    async with listening(house) as (_, port), sending(port) as requestor:
        assert await store(requestor, instance()) == 0xB007


@in_loop
async def test_the_originator_of_a_move_is_named():
    house = House()
    async with listening(house) as (_, port), sending(port) as requestor:
        await store(requestor, instance(), move_originator=("ASKER", 77))
    request = house.requests[0]
    assert (request.move_originator_ae_title, request.move_originator_message_id) == ("ASKER", 77)


@in_loop
async def test_a_data_set_is_cut_to_what_the_peer_takes():
    lengths = []

    async def script(call):
        await call.asked()
        await call.send(call.accept())
        _, command = await call.pdu()
        while True:
            _, body = await call.pdu()
            lengths.append(len(body))
            if body[5] & 2:
                break
        message_id = command[command.index(b"\x00\x00\x10\x01") + 8]
        answer = response(SimpleMessage(message_id), 0)
        await call.send(data(9, 3, answer))
        await call.message()

    async with scripted_peer(script) as peer, sending(peer.port) as requestor:
        assert await store(requestor, instance(data_set=bytes(100_000), syntax=IMPLICIT)) == 0
    assert max(lengths) == 16_384, "what the scripted peer announced"
    assert sum(lengths) - 6 * len(lengths) == 100_000


class SimpleMessage:
    """What ``response`` asks of a message."""

    command_field, sop_class = C_STORE_RQ, CT.encode()

    def __init__(self, message_id):
        self.id = message_id


@in_loop
async def test_a_peer_that_stops_reading_does_not_hold_us():
    """Its window is full, our buffer is full: nothing moves, and the time is bounded."""

    async def script(call):
        await call.accepted()
        call.reader._transport.pause_reading()
        await call.until_gone()

    bounds = limits(reply_s=0.1, release_s=0.05)
    async with scripted_peer(script) as peer, sending(peer.port, bounds) as requestor:
        with pytest.raises(ReplyTimeout, match="taken nothing"):
            await store(requestor, instance(data_set=bytes(12_000_000), syntax=IMPLICIT))


@in_loop
async def test_an_abort_in_the_middle_of_an_instance_ends_the_sending():
    async def script(call):
        await call.accepted()
        await call.pdu()
        await call.pdu()
        await call.send(abort(0, 0))
        await call.until_gone()

    async with scripted_peer(script) as peer, sending(peer.port) as requestor:
        with pytest.raises(AssociationAborted):
            await store(requestor, instance(data_set=bytes(12_000_000), syntax=IMPLICIT))


@in_loop
async def test_an_instance_that_never_ends_is_abandoned():
    house = House()
    async with listening(house) as (_, port):
        async with sending(port) as requestor:
            association = requestor.connection.association
            request = CStoreRequest(
                message_id=1, affected_sop_class_uid=CT, affected_sop_instance_uid="2.25.9"
            )
            association.send_message(requestor.context_for(CT).id, request)
            association.send_fragment(requestor.context_for(CT).id, b"half", is_last=False)
            requestor.connection.flush()
            await until(lambda: house.requests)
            requestor.connection.kill()
        await until(lambda: house.ends)
    assert house.abandoned == ["2.25.9"]
    assert house.ends == [False]


# --- C-GET ------------------------------------------------------------------------------------------------------


def keeper(house):
    return lambda _, request: Kept(house, request.affected_sop_instance_uid)


@in_loop
async def test_get_brings_instances_of_any_size():
    theirs = House(instances=[instance(1, LARGE), instance(2, b""), instance(3, b"third")])
    ours = House()
    async with listening(theirs) as (_, port), receiving(port) as requestor:
        result = await get(requestor, STUDY_ROOT_GET, b"keys", keeper(ours))
        assert await requestor.echo() == 0
    assert (result.status, result.completed, result.failed, result.warning) == (0, 3, 0, 0)
    assert ours.stored == {"2.25.1": LARGE, "2.25.2": b"", "2.25.3": b"third"}


@in_loop
async def test_get_of_nothing_is_a_success():
    async with listening(House()) as (_, port), receiving(port) as requestor:
        result = await get(requestor, STUDY_ROOT_GET, b"keys", keeper(House()))
    assert (result.status, result.completed) == (0, 0)


@in_loop
async def test_an_instance_that_we_refuse_is_a_failed_sub_operation():
    theirs = House(instances=[instance(number) for number in (1, 2, 3)])
    ours = House()

    def second_not(context, request):
        uid = request.affected_sop_instance_uid
        return 0xA700 if uid == "2.25.2" else Kept(ours, uid)

    async with listening(theirs) as (_, port), receiving(port) as requestor:
        result = await get(requestor, STUDY_ROOT_GET, b"keys", second_not)
    assert (result.status, result.completed, result.failed) == (0xB000, 2, 1)
    assert set(ours.stored) == {"2.25.1", "2.25.3"}


@in_loop
async def test_get_and_move_need_their_context():
    async with (
        listening(House()) as (_, port),
        associated(port, what=proposal(CONTEXTS[:1])) as requestor,
    ):
        with pytest.raises(LocalProtocolError, match="did not accept"):
            await get(requestor, STUDY_ROOT_GET, b"", keeper(House()))
        with pytest.raises(LocalProtocolError, match="did not accept"):
            await move(requestor, STUDY_ROOT_MOVE, b"", "HERE")


def incoming(call, pieces):
    """A C-STORE-RQ of the peer with these pieces of a data set; the last one ends it only where it is b""."""
    request = CStoreRequest(
        message_id=5, affected_sop_class_uid=CT, affected_sop_instance_uid="2.25.8"
    )
    context_id = next(one for one, uid in call.contexts.items() if uid == CT.encode())
    command = data(context_id, 3, encode_command(request))
    return command + b"".join(data(context_id, 2 if not one else 0, one) for one in pieces)


@in_loop
@pytest.mark.parametrize(
    "pieces", ([b"half"], [b"whole ", b""]), ids=("in the middle", "at the end")
)
async def test_an_abort_during_get_abandons_what_is_not_whole(pieces):
    """At the end our C-STORE-RSP is due, and the association is over: nothing of it may reach the loop."""

    async def script(call):
        await call.accepted()
        await call.message()
        await call.send(incoming(call, pieces) + abort())

    ours = House()
    async with scripted_peer(script) as peer, receiving(peer.port) as requestor:
        with pytest.raises(AssociationAborted):
            await get(requestor, STUDY_ROOT_GET, b"keys", keeper(ours))
    if pieces[-1]:
        assert (ours.abandoned, ours.stored) == (["2.25.8"], {})
    else:
        assert (ours.abandoned, ours.stored) == ([], {"2.25.8": b"whole "})


@in_loop
async def test_instances_outside_a_get_are_not_taken():
    """A reverse attack: the peer sends C-STORE-RQ on an association that asked for nothing."""

    async def script(call):
        await call.accepted()
        message = await call.message()
        await call.send(incoming(call, [b"unasked", b""]), final(message))
        assert (await call.pdu())[0] == 5, "no C-STORE-RSP, the release only"
        raise Gone

    async with scripted_peer(script) as peer, sending(peer.port) as requestor:
        assert await requestor.echo() == 0


# --- C-MOVE -----------------------------------------------------------------------------------------------------


@in_loop
async def test_move_sends_to_the_third_party():
    there = House()
    async with listening(there) as (_, there_port):
        here = House()
        here.plan = MovePlan(
            address=HOST,
            port=there_port,
            gate=OpenGate(),
            called_ae_title="THERE",
            calling_ae_title="HERE",
            originator_ae_title="ASKER",
            instances=[instance(1, LARGE), instance(2)],
        )
        async with listening(here) as (_, port), associated(port) as requestor:
            result = await move(requestor, STUDY_ROOT_MOVE, b"keys", "THERE")
    assert (result.status, result.completed, result.failed) == (0, 2, 0)
    assert there.stored == {"2.25.1": LARGE, "2.25.2": b"data set"}
    assert there.ends == [True]
    assert {request.move_originator_ae_title for request in there.requests} == {"ASKER"}


@in_loop
async def test_a_request_that_cannot_be_encoded_leaves_the_association_usable():
    async with listening(House()) as (_, port), associated(port) as requestor:
        with pytest.raises(LocalProtocolError):
            await move(requestor, STUDY_ROOT_MOVE, b"keys", "A TITLE THAT IS FAR TOO LONG")
        assert await requestor.echo() == 0
        assert requestor.context_for(VERIFICATION) is not None


@in_loop
async def test_a_store_that_cannot_be_encoded_leaves_the_association_usable():
    async with listening(House()) as (_, port), sending(port) as requestor:
        with pytest.raises(LocalProtocolError):
            await store(requestor, instance("1" * 70))
        assert await store(requestor, instance()) == 0


# --- what is not accepted as it is ------------------------------------------------------------------------------


class InOthers:
    """An instance that can be written in other transfer syntaxes."""

    sop_class_uid, sop_instance_uid, transfer_syntax_uid = CT, "2.25.1", "1.2.3"

    def __init__(self, *others):
        self.other_syntaxes = others

    def written_in(self, accepted):
        found = [one for one in self.other_syntaxes if one in accepted]
        return instance(syntax=found[0]) if found else None

    async def pieces(self):
        yield b"as it is"


def context(number, syntax, sop_class=CT):
    return AcceptedContext(id=number, abstract_syntax=sop_class, transfer_syntax=syntax)


def test_an_instance_goes_as_it_is_where_that_is_accepted():
    one = instance(syntax=EXPLICIT)

    assert fitting([context(1, IMPLICIT), context(3, EXPLICIT)], one) == (context(3, EXPLICIT), one)
    assert fitting([context(1, IMPLICIT)], one) is None
    assert fitting([context(1, EXPLICIT, "1.2")], one) is None


def test_an_instance_is_written_anew_where_it_is_not():
    one = InOthers(EXPLICIT, IMPLICIT)

    found = fitting([context(1, IMPLICIT)], one)

    assert found is not None
    assert (found[0].id, found[1].transfer_syntax_uid) == (1, IMPLICIT)
    assert fitting([context(1, "1.2.3")], one) == (context(1, "1.2.3"), one)
    assert fitting([context(1, "1.9")], one) is None
