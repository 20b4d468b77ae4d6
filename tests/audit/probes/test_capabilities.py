import pytest

from doorward.audit.approach import Approach, Pace
from doorward.audit.facts import Endpoint, Outcome
from doorward.audit.probes import capabilities
from doorward.audit.scope import Scope
from doorward.errors import AssociationRejected
from doorward.wire.uids import (
    PATIENT_ROOT_FIND,
    STORAGE_COMMITMENT_PUSH_MODEL,
    STUDY_ROOT_FIND,
    STUDY_ROOT_GET,
    VERIFICATION,
)
from loopback import HOST, in_loop, limits
from scripted_peer import ASSOCIATE_RQ, RELEASE_RQ, archive, finds, rejection, scripted_peer


def approach(port, **bounds):
    return Approach(
        endpoint=Endpoint(address=HOST, port=port),
        gate=Scope.loopback(),
        pace=Pace(0.0),
        limits=limits(congestion_pause_s=0.001, **bounds),
        admitted=("CALLED", "CALLING"),
    )


def refusing(**results):
    """An archive whose results differ by abstract syntax."""
    return archive(finds(), results={uid.encode(): result for uid, result in results.items()})


@in_loop
async def test_everything_of_interest_is_proposed_on_one_association_and_released():
    async with scripted_peer(archive(finds())) as peer:
        outcome, _, facts = await capabilities.ask(approach(peer.port))
    assert outcome is Outcome.ANSWERED
    assert (facts.called_ae_title, facts.calling_ae_title) == ("CALLED", "CALLING")
    assert len(peer.calls) == 1
    assert peer.calls[0].pdus == [ASSOCIATE_RQ, RELEASE_RQ], "nothing is done with what is accepted"
    assert len(peer.calls[0].contexts) == len(facts.contexts) == 128
    assert {context.result for context in facts.contexts} == {0}
    services = {context.service for context in facts.contexts}
    assert services == {
        "echo",
        "find",
        "get",
        "move",
        "store",
        "worklist",
        "mpps",
        "commitment",
        "print",
        "control",
    }
    assert all(
        context.name and context.name != context.abstract_syntax for context in facts.contexts
    )


@in_loop
async def test_each_context_keeps_its_own_result():
    script = refusing(
        **{
            STUDY_ROOT_GET: 1,
            PATIENT_ROOT_FIND: 3,
            STORAGE_COMMITMENT_PUSH_MODEL: 4,
            VERIFICATION: 2,
        }
    )
    async with scripted_peer(script) as peer:
        _, _, facts = await capabilities.ask(approach(peer.port))
    results = {context.abstract_syntax: context.result for context in facts.contexts}
    assert results[STUDY_ROOT_GET] == 1
    assert results[PATIENT_ROOT_FIND] == 3
    assert results[STORAGE_COMMITMENT_PUSH_MODEL] == 4
    assert results[VERIFICATION] == 2
    assert results[STUDY_ROOT_FIND] == 0
    assert STUDY_ROOT_FIND in {one.abstract_syntax for one in facts.accepted("find")}
    assert PATIENT_ROOT_FIND not in {one.abstract_syntax for one in facts.accepted("find", "get")}


@in_loop
async def test_a_context_that_was_not_answered_has_no_result():
    async def script(call):
        await call.asked()
        answer = call.accept()
        # drop the first Presentation Context Item: 8 bytes of its own and a Transfer Syntax Sub-Item
        at = answer.index(b"\x21\x00")
        length = 4 + int.from_bytes(answer[at + 2 : at + 4], "big")
        shorter = answer[:at] + answer[at + length :]
        await call.send(shorter[:2] + (len(shorter) - 6).to_bytes(4, "big") + shorter[6:])
        await call.message()

    async with scripted_peer(script) as peer:
        _, _, facts = await capabilities.ask(approach(peer.port))
    assert [context.result for context in facts.contexts[:2]] == [None, 0]


def test_no_more_is_proposed_than_there_is_room_for():
    assert len(capabilities.proposed(128)) == 128
    assert len(capabilities.proposed(20)) == 20
    assert len({uid for uid, _ in capabilities.proposed(128)}) == 128
    last = [service for _, service in capabilities.proposed(20)][-5:]
    assert last == ["store"] * 4 + ["control"]


def test_the_control_is_another_made_up_class_each_time():
    made_up = {capabilities.proposed(128)[-1] for _ in range(3)}
    assert len(made_up) == 3
    for uid, service in made_up:
        assert service == "control"
        assert uid.startswith("2.25.")
        assert len(uid) <= 64


@in_loop
async def test_a_rejection_is_no_answer_about_contexts():
    async def script(call):
        await call.asked()
        await call.send(rejection(2, 3, 1))
        await call.until_gone()

    async with scripted_peer(script) as peer:
        with pytest.raises(AssociationRejected):
            await capabilities.ask(approach(peer.port, congestion_retries=0))
