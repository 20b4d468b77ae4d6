"""N-EVENT-REPORT: on an association of ours, and on one that the peer asked for."""

import asyncio

import pytest

from commitment_peers import COMMITMENT, information, references, reported
from doorward.errors import AssociationAborted, LocalProtocolError, ReplyTimeout
from doorward.net.notification import as_provider, report_event
from doorward.wire.command import CEchoResponse, NEventReportRequest, NEventReportResponse
from doorward.wire.dimse import decode_command
from doorward.wire.pdu import RoleSelection
from doorward.wire.uids import (
    STORAGE_COMMITMENT_PUSH_MODEL,
    STORAGE_COMMITMENT_PUSH_MODEL_INSTANCE,
)
from loopback import ECHO, House, associated, calling, in_loop, limits, listening, message, proposal
from playbook import RQ

DATA = information("1.2", references("1.3"))


def make(message_id):
    return NEventReportRequest(
        message_id=message_id,
        has_data_set=True,
        affected_sop_class_uid=STORAGE_COMMITMENT_PUSH_MODEL,
        affected_sop_instance_uid=STORAGE_COMMITMENT_PUSH_MODEL_INSTANCE,
        event_type_id=1,
    )


def asked():
    return as_provider(proposal([COMMITMENT], called_ae_title="CT1"), STORAGE_COMMITMENT_PUSH_MODEL)


def test_a_provider_asks_for_its_own_role_and_no_other():
    role = RoleSelection(sop_class_uid=STORAGE_COMMITMENT_PUSH_MODEL, scu_role=False, scp_role=True)
    assert asked().role_selections == (role,)


@in_loop
@pytest.mark.parametrize("status", [0x0000, 0x0110])
async def test_a_report_reaches_the_peer_and_its_status_comes_back(status):
    with reported(status=status) as device:
        async with associated(device.port, what=asked()) as requestor:
            assert await report_event(requestor, make, lambda _: DATA) == status
        event_type, data, _ = await asyncio.to_thread(device.next)
    assert (event_type, data.TransactionUID) == (1, "1.2")


@in_loop
async def test_whoever_does_not_agree_to_our_role_gets_no_report():
    with reported(is_scu=False) as device:
        async with associated(device.port, what=asked()) as requestor:
            with pytest.raises(LocalProtocolError):
                await report_event(requestor, make, lambda _: DATA)
    assert device.reports.empty()


# --- on the peer's association ------------------------------------------------------------------------------------


async def sending(house, caller):
    await caller.send(RQ)
    await caller.pdu()
    return house.peers[0].session


async def command(caller):
    pdu = await caller.pdu()
    return decode_command(pdu.values[0][2])


@in_loop
async def test_the_peers_own_operations_go_on_while_a_report_waits_for_its_answer():
    house = House()
    async with listening(house) as (_, port), calling(port) as caller:
        session = await sending(house, caller)
        waiting = asyncio.ensure_future(session.notices.send(1, make, DATA))
        report = await command(caller)
        await caller.pdu()  # its data set
        await caller.send(*message(1, ECHO))
        assert isinstance(await command(caller), CEchoResponse)
        assert session.notices.is_waiting
        assert session.quiet_s() == 0
        with pytest.raises(LocalProtocolError):
            await session.notices.send(1, make, DATA)
        for number in (report.message_id + 1, report.message_id):
            response = NEventReportResponse(message_id_being_responded_to=number, status=number)
            await caller.send(*message(1, response))
        assert await waiting == report.message_id
        assert not session.notices.is_waiting


@in_loop
async def test_an_answer_to_nothing_is_dropped():
    house = House()
    async with listening(house) as (_, port), calling(port) as caller:
        await sending(house, caller)
        response = NEventReportResponse(message_id_being_responded_to=1, status=0)
        await caller.send(*message(1, response), *message(1, ECHO))
        assert isinstance(await command(caller), CEchoResponse)


@in_loop
async def test_whoever_hangs_up_before_the_answer_has_not_heard():
    house = House()
    async with listening(house) as (_, port), calling(port) as caller:
        session = await sending(house, caller)
        waiting = asyncio.ensure_future(session.notices.send(1, make, DATA))
        await command(caller)
        caller.sock.close()
        with pytest.raises(AssociationAborted):
            await waiting


@in_loop
async def test_silence_is_no_answer():
    house = House()
    bounds = limits(reply_s=0.05)
    async with listening(house, bounds) as (_, port), calling(port) as caller:
        session = await sending(house, caller)
        with pytest.raises(ReplyTimeout):
            await session.notices.send(1, make, DATA)


@in_loop
async def test_nothing_is_sent_on_a_context_that_was_not_accepted():
    house = House()
    async with listening(house) as (_, port), calling(port) as caller:
        session = await sending(house, caller)
        with pytest.raises(LocalProtocolError):
            await session.notices.send(99, make, DATA)
        assert not session.notices.is_waiting
