"""Images leave when policy, allowance and journal have said yes; each refusal says which one did not."""

import pytest

from archives import HOST, calling_as, identifier, instance, legacy, opened, records, served
from doorward.access.identity import Operation, Register
from doorward.access.journal.record import Event, Outcome
from doorward.access.rules import Effect, Rule, Rules
from doorward.archive.giving import Destination
from doorward.errors import AssociationAborted, ScopeError
from doorward.net.transfer import get, move, store
from doorward.wire.uids import (
    EXPLICIT_VR_LITTLE_ENDIAN,
    PATIENT_ROOT_GET,
    STUDY_ROOT_GET,
    STUDY_ROOT_MOVE,
)
from index_entries import CT
from loopback import House, Kept, in_loop, limits, listening, until

SYNTAXES = (EXPLICIT_VR_LITTLE_ENDIAN,)
CONTEXTS = (
    (PATIENT_ROOT_GET, SYNTAXES),
    (STUDY_ROOT_GET, SYNTAXES),
    (STUDY_ROOT_MOVE, SYNTAXES),
    (CT, SYNTAXES),
)
DEVICES = [legacy("ct1", "modality"), legacy("ws1", "workstation", "WS1", "HOUSE")]
STUDIES = ("2.25.1.1", "2.25.2.1")


async def retrieved(archive, *studies, how="get"):
    """Store two studies, retrieve some, and return the result with the data sets that came."""
    house = House()
    async with served(archive, is_legacy=True) as port:
        async with calling_as("CT1", port) as modality:
            for n in (1, 2):
                assert await store(modality, instance(f"2.25.{n}", StudyDate=f"202{n}0101")) == 0
        asked = identifier("STUDY", StudyInstanceUID="\\".join(studies))
        async with calling_as("WS1", port, *CONTEXTS, takes=[CT]) as workstation:
            if how == "get":
                take = lambda _, r: Kept(house, r.affected_sop_instance_uid)  # noqa: E731
                result = await get(workstation, STUDY_ROOT_GET, asked, take)
            else:
                result = await move(workstation, STUDY_ROOT_MOVE, asked, how)
    return result, house.stored


def entries(folder, *events):
    return [one.entry for one in records(folder) if one.entry.event in events]


@in_loop
async def test_what_leaves_is_in_the_journal_before_and_after(tmp_path):
    async with opened(tmp_path, DEVICES) as archive:
        result, stored = await retrieved(archive, *STUDIES)

    assert (result.status, result.completed) == (0, 2)
    assert set(stored) == {"2.25.1", "2.25.2"}
    begun, done = entries(tmp_path, Event.TRANSFER_BEGUN, Event.RETRIEVE)
    assert begun.event is Event.TRANSFER_BEGUN
    assert done.studies == begun.studies == STUDIES
    assert (done.identity, done.instances) == ("ws1", 2)


@in_loop
async def test_a_study_that_a_rule_hides_does_not_leave(tmp_path):
    denied = Rule(
        name="old",
        effect=Effect.DENY,
        operations=frozenset({Operation.RETRIEVE}),
        older_than_days=1,
    )
    async with opened(tmp_path, DEVICES) as archive:
        archive.use(rules=Rules(rules=(*archive.settings.rules.rules, denied)))
        result, stored = await retrieved(archive, STUDIES[0])

    assert (result.status, stored) == (0x0124, {})
    [refusal] = entries(tmp_path, Event.REFUSAL)
    assert (refusal.rule, refusal.reason) == ("old", "Not permitted for this study")


@in_loop
async def test_what_is_not_held_is_an_empty_success(tmp_path):
    async with opened(tmp_path, DEVICES) as archive:
        result, stored = await retrieved(archive, "2.25.77")

    assert (result.status, result.completed, stored) == (0, 0, {})


@in_loop
async def test_who_may_see_some_studies_only_cannot_tell_a_hidden_one_from_one_that_is_not_there(
    tmp_path,
):
    denied = Rule(
        name="old",
        effect=Effect.DENY,
        operations=frozenset({Operation.RETRIEVE}),
        older_than_days=1,
    )
    async with opened(tmp_path, DEVICES) as archive:
        archive.use(rules=Rules(rules=(*archive.settings.rules.rules, denied)))
        hidden, _ = await retrieved(archive, STUDIES[0])
        async with (
            served(archive, is_legacy=True) as port,
            calling_as("WS1", port, *CONTEXTS, takes=[CT]) as workstation,
        ):
            take = lambda _, r: Kept(House(), r.affected_sop_instance_uid)  # noqa: E731
            for level, key, uid in (
                ("STUDY", "StudyInstanceUID", "2.25.77"),
                ("PATIENT", "PatientID", "X"),
            ):
                asked = identifier(level, **{key: uid})
                model = STUDY_ROOT_GET if level == "STUDY" else PATIENT_ROOT_GET
                absent = await get(workstation, model, asked, take)
                assert absent == hidden


@in_loop
async def test_more_than_an_hour_allows_does_not_leave(tmp_path):
    async with opened(tmp_path, DEVICES, limits=limits(volume_studies=1)) as archive:
        result, stored = await retrieved(archive, *STUDIES)

    assert (result.status, stored) == (0xA702, {})
    [refusal] = entries(tmp_path, Event.REFUSAL)
    assert (refusal.rule, refusal.reason) == ("(volume)", "Limit of studies per hour reached")


@in_loop
async def test_a_blob_that_is_gone_is_counted_as_failed(tmp_path):
    async with opened(tmp_path, DEVICES) as archive:
        await retrieved(archive, *STUDIES)
        held = (await archive.index.instances_with(["2.25.1"]))[0]
        (tmp_path / "blobs/blobs" / held.digest[:2] / held.digest).unlink()
        async with (
            served(archive, is_legacy=True) as port,
            calling_as("WS1", port, *CONTEXTS, takes=[CT]) as workstation,
        ):
            house = House()
            take = lambda _, r: Kept(house, r.affected_sop_instance_uid)  # noqa: E731
            asked = identifier("STUDY", StudyInstanceUID="\\".join(STUDIES))
            result = await get(workstation, STUDY_ROOT_GET, asked, take)

    assert (result.status, result.completed, result.failed) == (0xB000, 1, 1)
    assert result.failed_sop_instance_uids == ("2.25.1",)
    assert result.comment == "The instance could not be read"
    told = entries(tmp_path, Event.RETRIEVE)[-1]
    assert (told.outcome, told.instances) == (Outcome.FAILED, 1)
    assert told.reason == "1 failed: The instance could not be read"


@in_loop
async def test_a_caller_that_goes_away_in_the_middle_is_in_the_journal(tmp_path):
    async with opened(tmp_path, DEVICES) as archive:
        await retrieved(archive, *STUDIES)
        async with served(archive, is_legacy=True) as port:
            async with calling_as("WS1", port, *CONTEXTS, takes=[CT]) as workstation:
                gone = []

                def take(_, request):
                    if gone:
                        workstation.connection.kill()
                    gone.append(request)
                    return Kept(House(), request.affected_sop_instance_uid)

                asked = identifier("STUDY", StudyInstanceUID="\\".join(STUDIES))
                with pytest.raises(AssociationAborted):
                    await get(workstation, STUDY_ROOT_GET, asked, take)
            await until(lambda: len(entries(tmp_path, Event.RETRIEVE)) == 2)

    told = entries(tmp_path, Event.RETRIEVE)[-1]
    assert (told.outcome, told.instances) == (Outcome.FAILED, 1)
    assert told.reason == "1 failed: The association ended"


@in_loop
async def test_a_caller_that_is_revoked_in_the_middle_gets_no_more(tmp_path):
    """What was read ahead of the revocation does not leave after it."""
    async with opened(tmp_path, DEVICES) as archive:
        await retrieved(archive, *STUDIES)
        came = []

        def take(_, request):
            came.append(request.affected_sop_instance_uid)
            archive.use(register=Register(devices=tuple(DEVICES[:1])))
            assert archive.services.end_revoked() == 1
            return Kept(House(), request.affected_sop_instance_uid)

        async with (
            served(archive, is_legacy=True) as port,
            calling_as("WS1", port, *CONTEXTS, takes=[CT]) as workstation,
        ):
            asked = identifier("STUDY", StudyInstanceUID="\\".join(STUDIES))
            with pytest.raises(AssociationAborted):
                await get(workstation, STUDY_ROOT_GET, asked, take)
            await until(lambda: len(entries(tmp_path, Event.RETRIEVE)) == 2)

    assert len(came) == 1
    told = entries(tmp_path, Event.RETRIEVE)[-1]
    assert (told.outcome, told.instances) == (Outcome.FAILED, 0)
    assert told.reason == "2 failed: The association ended"


@in_loop
async def test_why_a_move_failed_is_in_the_journal_and_in_the_answer(tmp_path):
    async with listening(House()) as (_, closed_port):
        pass
    target = Destination(ae_title="HOUSE", address=HOST, port=closed_port)
    async with opened(tmp_path, DEVICES, destinations=[target]) as archive:
        result, _ = await retrieved(archive, *STUDIES, how="HOUSE")

    assert (result.status, result.failed) == (0xA702, 2)
    assert sorted(result.failed_sop_instance_uids) == ["2.25.1", "2.25.2"]
    assert result.comment == "The destination could not be reached (refused)"
    [told] = entries(tmp_path, Event.MOVE)
    assert told.outcome is Outcome.FAILED
    assert told.reason == "2 failed: The destination could not be reached (refused)"


@in_loop
async def test_a_move_goes_to_a_known_destination_of_the_caller(tmp_path):
    house = House()
    async with listening(house) as (_, port):
        target = Destination(ae_title="HOUSE", address=HOST, port=port)
        async with opened(tmp_path, DEVICES, destinations=[target]) as archive:
            result, _ = await retrieved(archive, STUDIES[0], how="HOUSE")

    assert (result.status, result.completed) == (0, 1)
    assert set(house.stored) == {"2.25.1"}
    assert house.requests[0].move_originator_ae_title == "WS1"
    assert entries(tmp_path, Event.MOVE)[0].destination == "HOUSE"


@in_loop
@pytest.mark.parametrize(("title", "status"), [("NOWHERE", 0xA801), ("OTHER", 0x0124)])
async def test_a_move_elsewhere_is_refused(tmp_path, title, status):
    other = Destination(ae_title="OTHER", address=HOST, port=1)
    async with opened(tmp_path, DEVICES, destinations=[other]) as archive:
        result, _ = await retrieved(archive, STUDIES[0], how=title)

    assert result.status == status
    assert entries(tmp_path, Event.REFUSAL)[0].rule == "(destination)"


def test_the_gate_of_a_destination_opens_to_nothing_else():
    gate = Destination(ae_title="A", address=HOST, port=104).plan([], "DOORWARD", "WS1").gate

    gate.permit(HOST, 104)
    with pytest.raises(ScopeError):
        gate.permit(HOST, 105)
    with pytest.raises(ScopeError):
        gate.permit("127.0.0.2", 104)
