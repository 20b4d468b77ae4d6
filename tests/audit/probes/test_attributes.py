"""Level 3: which patient attributes come back. Lengths, never values."""

from dataclasses import asdict

import pytest

from doorward.audit.approach import Approach, Pace
from doorward.audit.facts import AttributeFacts, Endpoint, Outcome
from doorward.audit.probes import attributes
from doorward.audit.scope import Scope
from doorward.dicom.walk import Syntax, walk
from doorward.wire.uids import STUDY_ROOT_FIND
from loopback import HOST, in_loop, limits
from scripted_peer import (
    C_CANCEL_RQ,
    C_FIND_RQ,
    CANCELLED,
    abort,
    archive,
    element,
    final,
    finds,
    match,
    scripted_peer,
    study,
)

SECRET = b"SYNTHETIC^CANARY"


async def asked(on_find, **how):
    bounds = how.pop("bounds", {"reply_s": 0.1, "cancel_s": 0.1})
    async with scripted_peer(archive(on_find, **how)) as peer:
        us = Approach(
            endpoint=Endpoint(address=HOST, port=peer.port),
            gate=Scope.loopback(),
            pace=Pace(0.0),
            limits=limits(**bounds),
            admitted=("CALLED", "CALLING"),
        )
        answer = await attributes.ask(us)
    return answer, peer


def person(*more):
    return b"".join(
        (
            element(0x0008_0052, b"STUDY "),
            element(0x0008_0080, b""),
            element(0x0010_0010, SECRET),
            element(0x0010_0030, b"19700101"),
            *more,
            element(0x0020_000D, b"2.25.1"),
        )
    )


@in_loop
async def test_what_came_back_non_empty_is_named_with_its_length():
    (outcome, _, facts), _ = await asked(finds(person()))
    assert outcome is Outcome.ANSWERED
    assert facts == AttributeFacts(returned={"PatientName": 16, "PatientBirthDate": 8})
    assert SECRET.decode() not in repr(asdict(facts))


@in_loop
async def test_one_match_is_looked_at_and_the_rest_is_cancelled():
    async def on_find(call, message):
        await call.send(match(message, person()))
        assert (await call.message()).command_field == C_CANCEL_RQ
        richer = person(element(0x0010_0040, b"O "))
        await call.send(match(message, richer), match(message, richer), final(message, CANCELLED))

    (outcome, _, facts), peer = await asked(on_find)
    assert outcome is Outcome.ANSWERED
    assert "PatientSex" not in facts.returned
    assert peer.commands == [C_FIND_RQ, C_CANCEL_RQ]


@in_loop
async def test_the_keys_are_empty_and_in_order():
    seen = []

    async def on_find(call, message):
        seen.append(message.identifier)
        await call.send(match(message, person()), final(message))

    await asked(on_find)
    keys = {one.tag: one.length for one in walk(seen[0], Syntax.IMPLICIT_LITTLE)}
    assert list(keys) == sorted(keys)
    assert keys.pop(0x0008_0052) == len("STUDY ")
    assert set(keys.values()) == {0}, "universal matching: nobody is looked for"
    assert {0x0010_0010, 0x0010_0020, 0x0010_0030, 0x0008_0080, 0x0008_0090} <= set(keys)


@in_loop
async def test_an_archive_that_gives_nothing_away_is_an_answer_too():
    (outcome, _, facts), _ = await asked(finds(study()))
    assert (outcome, facts.returned) == (Outcome.ANSWERED, {})


@in_loop
async def test_attributes_inside_of_sequences_are_not_those_of_the_match():
    inside = element(0xFFFE_E000, element(0x0010_0010, SECRET))
    nested = element(0x0008_1110, inside) + element(0x0020_000D, b"2.25.1")
    (outcome, _, facts), _ = await asked(finds(nested))
    assert (outcome, facts.returned) == (Outcome.ANSWERED, {})


@in_loop
@pytest.mark.parametrize(
    ("identifiers", "reason"),
    (
        ((), "there was no match"),
        ((b"\xff" * 31,), "could not be read"),
        ((person()[:-3],), "read"),
    ),
)
async def test_without_a_match_that_can_be_read_there_are_no_facts(identifiers, reason):
    (outcome, why, facts), _ = await asked(finds(*identifiers))
    assert (outcome, facts) == (Outcome.INCONCLUSIVE, None)
    assert reason in why


@in_loop
async def test_silence_and_aborts_are_inconclusive():
    async def silent(call, message):
        pass

    async def aborting(call, message):
        await call.send(abort())

    for on_find, word in ((silent, "silent"), (aborting, "aborted")):
        (outcome, why, facts), _ = await asked(on_find)
        assert (outcome, facts) == (Outcome.INCONCLUSIVE, None)
        assert word in why


@in_loop
async def test_a_refused_context_gives_nothing_away():
    (outcome, why, facts), peer = await asked(
        finds(person()), results={STUDY_ROOT_FIND.encode(): 3}
    )
    assert (outcome, facts) == (Outcome.INCONCLUSIVE, None)
    assert "no query context" in why
    assert peer.commands == []
