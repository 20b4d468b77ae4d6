"""What an application does that overrides nothing: it refuses, and says so as the Standard does."""

import pytest

from doorward.errors import AssociationRejected
from doorward.net.application import Application
from doorward.net.operations import FindEnd
from doorward.net.transfer import Instance, get, move, store
from loopback import (
    CONTEXTS,
    CT,
    IMPLICIT,
    STUDY_ROOT_FIND,
    STUDY_ROOT_GET,
    STUDY_ROOT_MOVE,
    House,
    associated,
    in_loop,
    listening,
    proposal,
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
