"""C-GET and C-MOVE as performers: counters, failures, and peers that stop playing along."""

import asyncio
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from doorward.errors import ImageError, ScopeError
from doorward.net.client import associate_request
from doorward.net.suboperations import MovePlan, _contexts_for
from doorward.net.transfer import Instance, get, move
from doorward.wire.command import (
    CCancelRequest,
    CGetRequest,
    CGetResponse,
    CStoreRequest,
    CStoreResponse,
)
from doorward.wire.dimse import decode_command, encode_command
from doorward.wire.pdu import Abort, AssociateReject, DataTransfer, RoleSelection
from loopback import (
    CONTEXTS,
    CT,
    HOST,
    IMPLICIT,
    STUDY_ROOT_GET,
    STUDY_ROOT_MOVE,
    House,
    Kept,
    OpenGate,
    associated,
    calling,
    in_loop,
    limits,
    listening,
    proposal,
    until,
)
from scripted_peer import abort, scripted_peer

STORAGE = [*CONTEXTS, (CT, (IMPLICIT,))]
AS_RECEIVER = (RoleSelection(sop_class_uid=CT, scu_role=False, scp_role=True),)


def instances(count, sop_class=CT):
    return [
        Instance(
            sop_class_uid=sop_class,
            sop_instance_uid=f"2.25.{number}",
            transfer_syntax_uid=IMPLICIT,
            data_set=b"data",
        )
        for number in range(1, count + 1)
    ]


def plan(port, sent, gate=None):
    return MovePlan(
        address=HOST,
        port=port,
        gate=gate or OpenGate(),
        called_ae_title="THERE",
        calling_ae_title="HERE",
        originator_ae_title="ASKER",
        instances=sent,
    )


@asynccontextmanager
async def receiving(house, bounds=None):
    what = proposal(STORAGE, role_selections=AS_RECEIVER)
    async with (
        listening(house, bounds or limits()) as (_, port),
        associated(port, what=what) as requestor,
    ):
        yield requestor


def numbers(result):
    return (result.status, result.completed, result.failed, result.warning)


# --- C-GET ------------------------------------------------------------------------------------------------------


@in_loop
@pytest.mark.parametrize(
    ("statuses", "expected"),
    (
        ((0, 0, 0), (0x0000, 3, 0, 0)),
        ((0, 0xB000, 0), (0xB000, 2, 0, 1)),
        ((0, 0xA700, 0xB007), (0xB000, 1, 1, 1)),
        ((0xA700, 0xC000, 0x0122), (0xA702, 0, 3, 0)),
    ),
)
async def test_the_final_status_sums_up_the_sub_operations(statuses, expected):
    """PS3.4 Table C.4-3."""
    answers = iter(statuses)
    async with receiving(House(instances=instances(3))) as requestor:
        result = await get(
            requestor, STUDY_ROOT_GET, b"", lambda *_: next(answers) or Kept(House(), "")
        )
        assert numbers(result) == expected
        assert await requestor.echo() == 0


@in_loop
async def test_an_instance_without_a_context_is_a_failure():
    mixed = [*instances(1), *instances(1, "1.2.840.10008.5.1.4.1.1.4")]
    async with receiving(House(instances=mixed)) as requestor:
        result = await get(requestor, STUDY_ROOT_GET, b"", lambda *_: Kept(House(), ""))
    assert numbers(result) == (0xB000, 1, 1, 0)


@in_loop
async def test_a_refusal_is_the_only_response():
    async with receiving(House(instances=0xA900)) as requestor:
        result = await get(requestor, STUDY_ROOT_GET, b"", lambda *_: 0)
    assert numbers(result) == (0xA900, 0, 0, 0)


@in_loop
async def test_the_final_response_says_which_failed_and_why_the_first_did():
    """PS3.4 section C.4.3.1.3.2: the list is there where a sub-operation failed, and nowhere else."""
    mixed = [*instances(2), *instances(3, "1.2.840.10008.5.1.4.1.1.4")[2:]]
    answers = iter((0, 0xA700))
    async with receiving(House(instances=mixed)) as requestor:
        result = await get(
            requestor, STUDY_ROOT_GET, b"", lambda *_: next(answers) or Kept(House(), "")
        )
        assert numbers(result) == (0xB000, 1, 2, 0)
        assert result.failed_sop_instance_uids == ("2.25.2", "2.25.3")
        assert result.comment == "The caller answers A700: out of resources"
        assert await requestor.echo() == 0


@in_loop
async def test_where_none_failed_there_is_neither_list_nor_comment():
    async with receiving(House(instances=instances(2))) as requestor:
        result = await get(requestor, STUDY_ROOT_GET, b"", lambda *_: Kept(House(), ""))
    assert (result.failed_sop_instance_uids, result.comment) == ((), "")


class Read:
    """An instance that remembers when it was read, and that it was given back."""

    sop_class_uid, transfer_syntax_uid = CT, IMPLICIT

    def __init__(self, number, reads):
        self.sop_instance_uid = f"2.25.{number}"
        self.number = number
        self.reads = reads

    async def pieces(self):
        self.reads.append(self.number)
        try:
            for _ in range(3):
                yield b"data"
        finally:
            self.reads.append(-self.number)


@in_loop
async def test_one_instance_is_read_ahead_and_given_back_when_nobody_wants_it():
    reads = []
    house = House(instances=[Read(number, reads) for number in range(1, 9)])
    async with listening(house) as (_, port):
        async with calling(port) as caller:
            await begin_get(caller)
            await until(lambda: reads == [1, -1, 2])
        await until(lambda: reads == [1, -1, 2, -2])
    assert house.results == [(0, 8, 0xA702)]


@in_loop
async def test_many_that_cannot_be_sent_let_others_have_their_turn():
    several = instances(3_000, "1.2.840.10008.5.1.4.1.1.4")
    async with (
        listening(House(instances=several)) as (_, port),
        associated(port, what=proposal(STORAGE, role_selections=AS_RECEIVER)) as one,
        associated(port) as other,
    ):
        asked = asyncio.ensure_future(get(one, STUDY_ROOT_GET, b"", lambda *_: 0))
        assert await other.echo() == 0
        assert not asked.done()
        result = await asked
    assert numbers(result) == (0xA702, 0, 3_000, 0)
    assert len(result.failed_sop_instance_uids) == 1_000
    assert result.comment == "The caller does not take its SOP class"


async def begin_get(caller):
    """Ask for everything by a raw socket, up to the first C-STORE-RQ."""
    what = proposal(STORAGE, role_selections=AS_RECEIVER)
    await caller.send(associate_request(what))
    await caller.pdu()
    request = CGetRequest(message_id=1, affected_sop_class_uid=STUDY_ROOT_GET)
    await caller.send(
        DataTransfer(values=((7, 3, encode_command(request)),)),
        DataTransfer(values=((7, 2, b"keys"),)),
    )
    command = decode_command((await caller.pdu()).values[0][2])
    assert isinstance(command, CStoreRequest)
    await caller.pdu()
    return command


@in_loop
async def test_a_cancelled_get_begins_no_further_sub_operation():
    async with listening(House(instances=instances(9))) as (_, port), calling(port) as caller:
        first = await begin_get(caller)
        cancel = CCancelRequest(message_id_being_responded_to=1)
        done = CStoreResponse(message_id_being_responded_to=first.message_id, status=0)
        await caller.send(
            DataTransfer(values=((7, 3, encode_command(cancel)),)),
            DataTransfer(values=((9, 3, encode_command(done)),)),
        )
        answers = [decode_command((await caller.pdu()).values[0][2]) for _ in range(2)]
    assert all(isinstance(answer, CGetResponse) for answer in answers)
    assert [answer.status for answer in answers] == [0xFF00, 0xFE00]
    assert answers[1].number_of_remaining_suboperations == 8
    assert answers[1].number_of_completed_suboperations == 1


@in_loop
async def test_a_receiver_that_does_not_answer_is_aborted_in_time():
    house = House(instances=instances(2))
    async with (
        listening(house, limits(reply_s=0.05)) as (server, port),
        calling(port) as caller,
    ):
        await begin_get(caller)
        assert await caller.pdu() == Abort(source=0, reason=0)
        caller.sock.close()
        await until(lambda: not server.associations)


@in_loop
async def test_a_receiver_that_does_not_read_is_aborted_in_time():
    """The sub-operation never leaves our buffer: the place at the server must come free all the same."""
    huge = [replace(one, data_set=bytes(20_000_000)) for one in instances(1)]
    bounds = limits(reply_s=0.05, artim_s=0.05, idle_s=0.05)
    house = House(instances=huge)
    what = proposal(STORAGE, role_selections=AS_RECEIVER)
    async with listening(house, bounds) as (server, port), calling(port) as caller:
        await caller.send(associate_request(what))
        await caller.pdu()
        request = CGetRequest(message_id=1, affected_sop_class_uid=STUDY_ROOT_GET)
        await caller.send(
            DataTransfer(values=((7, 3, encode_command(request)),)),
            DataTransfer(values=((7, 2, b"keys"),)),
        )
        await until(lambda: house.peers and house.peers[0].session.is_busy)
        await until(lambda: not server.associations)
    assert house.ends == [False]


@in_loop
async def test_a_receiver_that_goes_away_ends_the_get_quietly(caplog):
    house = House(instances=instances(5))
    async with listening(house) as (server, port):
        async with calling(port) as caller:
            await begin_get(caller)
        await until(lambda: not server.associations)
        await until(lambda: not house.peers[0].session.is_busy)
    assert house.ends == [False]
    assert "fault" not in caplog.text


# --- C-MOVE -----------------------------------------------------------------------------------------------------


@in_loop
async def test_an_unknown_destination_is_refused():
    async with listening(House()) as (_, port), associated(port) as requestor:
        assert numbers(await move(requestor, STUDY_ROOT_MOVE, b"", "NOWHERE")) == (0xA801, 0, 0, 0)


@in_loop
async def test_nothing_to_move_dials_nobody():
    house, gate = House(), OpenGate()
    house.plan = plan(9, [], gate)
    async with listening(house) as (_, port), associated(port) as requestor:
        assert numbers(await move(requestor, STUDY_ROOT_MOVE, b"", "THERE")) == (0, 0, 0, 0)
    assert not gate.asked


@in_loop
async def test_a_destination_that_refuses_the_connection_fails_all():
    house = House()
    async with listening(House()) as (_, closed_port):
        pass
    house.plan = plan(closed_port, instances(3))
    async with listening(house) as (_, port), associated(port) as requestor:
        result = await move(requestor, STUDY_ROOT_MOVE, b"", "THERE")
        assert numbers(result) == (0xA702, 0, 3, 0)
        assert result.failed_sop_instance_uids == ("2.25.1", "2.25.2", "2.25.3")
        assert result.comment == "The destination could not be reached (refused)"
        assert await requestor.echo() == 0


@in_loop
async def test_a_destination_that_takes_some_is_counted():
    there, house = House(), House()
    mixed = [*instances(2), *instances(1, "1.2.840.10008.5.1.4.1.1.4")]
    async with listening(there) as (_, there_port):
        house.plan = plan(there_port, mixed)
        async with listening(house) as (_, port), associated(port) as requestor:
            result = await move(requestor, STUDY_ROOT_MOVE, b"", "THERE")
    assert numbers(result) == (0xB000, 2, 1, 0)
    assert result.failed_sop_instance_uids == ("2.25.1",)
    assert result.comment == "The destination does not take its SOP class"


@in_loop
async def test_a_destination_that_aborts_midway_fails_the_rest():
    async def script(call):
        await call.asked()
        await call.send(call.accept())
        await call.pdu()
        await call.pdu()
        await call.send(abort())
        await call.until_gone()

    house = House()
    async with scripted_peer(script) as there:
        house.plan = plan(there.port, instances(4))
        async with listening(house) as (_, port), associated(port) as requestor:
            result = await move(requestor, STUDY_ROOT_MOVE, b"", "THERE")
            assert await requestor.echo() == 0
    assert numbers(result) == (0xA702, 0, 4, 0)
    assert result.comment == "The destination ended the association"


@in_loop
async def test_the_bounds_of_the_server_hold_towards_the_destination():
    async def script(call):
        await call.asked()
        await call.until_gone()

    house = House()
    async with scripted_peer(script) as there:
        house.plan = plan(there.port, instances(1))
        bounds = limits(associate_s=0.05)
        async with listening(house, bounds) as (_, port), associated(port) as requestor:
            async with asyncio.timeout(5):
                result = await move(requestor, STUDY_ROOT_MOVE, b"", "THERE")
    assert numbers(result) == (0xA702, 0, 1, 0)
    assert result.comment == "The destination did not answer in time"


@in_loop
async def test_a_destination_that_answers_one_instance_no_more_is_not_asked_for_the_next():
    there, house = House(), House()
    there.store = lambda *_: never

    async def never(_):
        await asyncio.Event().wait()

    async with listening(there) as (_, there_port):
        house.plan = plan(there_port, instances(1_000))
        async with (
            listening(house, limits(reply_s=0.05)) as (_, port),
            associated(port) as requestor,
            asyncio.timeout(5),
        ):
            result = await move(requestor, STUDY_ROOT_MOVE, b"", "THERE")
    assert numbers(result) == (0xA702, 0, 1_000, 0)
    assert result.comment == "The destination did not answer in time"


@in_loop
async def test_a_destination_that_knows_nobody_is_named_as_the_reason():
    there, house = House(), House()
    there.associate = lambda *_: AssociateReject(result=1, source=1, reason=3)
    async with listening(there) as (_, there_port):
        house.plan = plan(there_port, instances(1))
        async with listening(house) as (_, port), associated(port) as requestor:
            result = await move(requestor, STUDY_ROOT_MOVE, b"", "THERE")
    assert result.comment == "The destination refuses: calling AE title not recognized"


@in_loop
async def test_a_destination_outside_the_gate_is_never_dialled():
    class Closed:
        def permit(self, address, port):
            raise ScopeError("no", target=address)

    there, house = House(), House()
    async with listening(there) as (_, there_port):
        house.plan = plan(there_port, instances(2), Closed())
        async with listening(house) as (_, port), associated(port) as requestor:
            result = await move(requestor, STUDY_ROOT_MOVE, b"", "THERE")
    assert numbers(result) == (0xA702, 0, 2, 0)
    assert result.comment == "The destination may not be dialled"
    assert not there.peers


class InOthers:
    """An instance of a transfer syntax that nobody accepts, which can be written in another one."""

    sop_class_uid, transfer_syntax_uid = CT, "1.2.3"

    def __init__(self, number, fault=None):
        self.sop_instance_uid = f"2.25.{number}"
        self.other_syntaxes = (IMPLICIT,)
        self._fault = fault

    def written_in(self, accepted):
        return Anew(self) if IMPLICIT in accepted else None

    async def pieces(self):
        if self._fault is not None:
            raise self._fault
        yield b"anew"


class Anew:
    """What it is then."""

    sop_class_uid, transfer_syntax_uid = CT, IMPLICIT

    def __init__(self, one):
        self.sop_instance_uid = one.sop_instance_uid
        self.pieces = one.pieces


@in_loop
@pytest.mark.parametrize("how", ["get", "move"])
async def test_what_is_not_accepted_is_written_anew_and_what_cannot_be_is_counted(how):
    fault = ImageError("it cannot be decoded")
    sent = [InOthers(1), InOthers(2, fault), *instances(3)[2:]]
    target, house = House(), House()
    async with listening(target) as (_, target_port):
        house.instances = sent
        house.plan = plan(target_port, sent)
        async with (
            listening(house) as (_, port),
            associated(port, limits(), proposal(STORAGE, role_selections=AS_RECEIVER)) as caller,
        ):
            if how == "get":
                take = lambda _, r: Kept(target, r.affected_sop_instance_uid)  # noqa: E731
                result = await get(caller, STUDY_ROOT_GET, b"", take)
            else:
                result = await move(caller, STUDY_ROOT_MOVE, b"", "THERE")

    assert (result.status, result.completed, result.failed) == (0xB000, 2, 1)
    assert target.stored == {"2.25.1": b"anew", "2.25.3": b"data"}


def test_no_more_is_proposed_than_an_association_has_contexts():
    many = [InOthers(1), *(one for n in range(200) for one in instances(1, f"1.2.{n}"))]

    assert len(_contexts_for(many, 128)) == 128
    assert _contexts_for([InOthers(1)], 128) == [(CT, ("1.2.3",)), (CT, (IMPLICIT,))]
