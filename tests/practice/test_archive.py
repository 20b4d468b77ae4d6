"""A practice archive admits, answers, gives and takes as its persona says; DCMTK agrees."""

import asyncio
from dataclasses import replace

import pytest

from dcmtk import At, echoscu, findscu, getscu, storescu
from doorward.dicom.values import encode_identifier
from doorward.dicom.walk import Syntax
from doorward.errors import AssociationAborted, AssociationRejected
from doorward.net.client import Proposal, associate
from doorward.net.transfer import Instance, get, move, store
from doorward.practice.instances import instance
from doorward.practice.matches import LEVEL
from doorward.wire.pdu import RoleSelection, UserIdentity
from doorward.wire.uids import (
    CT_IMAGE_STORAGE,
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    PATIENT_ROOT_FIND,
    SECONDARY_CAPTURE_IMAGE_STORAGE,
    STUDY_ROOT_FIND,
    STUDY_ROOT_GET,
    STUDY_ROOT_MOVE,
    VERIFICATION,
)
from loopback import OpenGate, in_loop
from practising import found, practising

STUDY_UID, NAME = 0x0020_000D, 0x0010_0010
STUDY = (LEVEL, "CS", "STUDY")


def associated(one, *abstract_syntaxes: str, syntax: str = IMPLICIT_VR_LITTLE_ENDIAN, **titles):
    titles = {"called_ae_title": "ANY", "calling_ae_title": "DOORWARDTEST", **titles}
    contexts = [(uid, (syntax,)) for uid in abstract_syntaxes or (STUDY_ROOT_FIND,)]
    return associate(one.address, one.port, Proposal(contexts=contexts, **titles), gate=OpenGate())


async def rejection(one, **titles) -> tuple[int, int, int]:
    with pytest.raises(AssociationRejected) as refused:
        async with associated(one, VERIFICATION, **titles):
            pass
    return refused.value.result, refused.value.source, refused.value.reason


@in_loop
async def test_called_title_is_checked():
    async with practising("called-checked") as (one,):
        assert await rejection(one) == (1, 1, 7)
        async with associated(one, VERIFICATION, called_ae_title="PRACTICE") as requestor:
            assert await requestor.echo() == 0


@in_loop
async def test_calling_title_is_checked():
    async with practising("calling-checked") as (one,):
        assert await rejection(one, called_ae_title="PRACTICE") == (1, 1, 3)
        async with associated(one, VERIFICATION, calling_ae_title="WORKSTATION") as requestor:
            assert await requestor.echo() == 0


@in_loop
async def test_user_and_password_are_checked():
    async with practising("password") as (one,):
        assert await rejection(one, called_ae_title="PRACTICE") == (1, 2, 1)
        for kind, user, password in ((2, b"WORKSTATION", b"X"), (1, b"WORKSTATION", b"")):
            identity = UserIdentity(
                type=kind, response_requested=False, primary=user, secondary=password
            )
            assert await rejection(one, user_identity=identity) == (1, 2, 1)
        known = UserIdentity(
            type=2, response_requested=False, primary=b"WORKSTATION", secondary=b"PRACTICE"
        )
        async with associated(one, VERIFICATION, user_identity=known) as requestor:
            assert await requestor.echo() == 0


@in_loop
async def test_busy_archive_lets_the_third_caller_in():
    async with practising("busy-twice") as (one,):
        assert [await rejection(one), await rejection(one)] == [(2, 3, 1)] * 2
        async with associated(one, VERIFICATION) as requestor:
            assert await requestor.echo() == 0


@in_loop
@pytest.mark.parametrize("syntax", (IMPLICIT_VR_LITTLE_ENDIAN, EXPLICIT_VR_LITTLE_ENDIAN))
async def test_query_returns_what_was_asked_and_nothing_more(syntax):
    async with practising("open", studies=7) as (one,), associated(one, syntax=syntax) as requestor:
        status, matches = await found(requestor, (STUDY, (STUDY_UID, "UI", ""), (NAME, "PN", "")))
    assert status == 0
    assert len(matches) == 7
    keywords = {"QueryRetrieveLevel", "RetrieveAETitle", "StudyInstanceUID", "PatientName"}
    assert all({e.keyword for e in match} == keywords for _, match in matches)


@in_loop
async def test_chatty_archive_returns_everything_and_the_canaries_with_it():
    async with practising("chatty", studies=3) as (one,), associated(one) as requestor:
        _, matches = await found(requestor, (STUDY,))
    assert len(matches) == 3
    assert all(len(match) > 30 for _, match in matches)
    canaries = one.settings.holding.canaries
    assert all(any(c in str(match) for c in canaries) for _, match in matches)


@in_loop
async def test_archive_that_knows_better_returns_its_own_list():
    async with practising("ignores-return-keys", studies=3) as (one,), associated(one) as requestor:
        _, matches = await found(requestor, (STUDY, (0x0020_1208, "IS", "")))
    assert all(
        "PatientBirthDate" in m and "NumberOfStudyRelatedInstances" not in m for _, m in matches
    )


@in_loop
async def test_levels_that_do_not_fit_are_refused():
    async with (
        practising("open", studies=3) as (one,),
        associated(one, STUDY_ROOT_FIND, PATIENT_ROOT_FIND) as requestor,
    ):
        patient = ((LEVEL, "CS", "PATIENT"),)
        assert await found(requestor, patient) == (0xA900, [])
        assert await found(requestor, ((LEVEL, "CS", "ROOM"),)) == (0xA900, [])
        status, matches = await found(requestor, patient, PATIENT_ROOT_FIND)
        assert (status, len(matches)) == (0, 1)


@in_loop
async def test_malformed_identifier_is_refused_and_the_association_lives():
    async with (
        practising("open") as (one,),
        associated(one, STUDY_ROOT_FIND, VERIFICATION) as requestor,
    ):
        result = await requestor.find(STUDY_ROOT_FIND, b"\x08\0\x52\0\xff\0\0\0", print)
        assert (result.final_status, await requestor.echo()) == (0xA900, 0)


@in_loop
async def test_honeypot_agrees_to_what_does_not_exist():
    async with practising("honeypot", "open") as running:
        agreed = []
        for one in running:
            async with associated(one, "1.2.3.4.5") as requestor:
                agreed.append(len(requestor.contexts))
    assert agreed == [1, 0]


@in_loop
async def test_images_are_given_away_to_whoever_takes_them():
    taken: list[str] = []

    class Taker:
        def __init__(self, uid: str) -> None:
            self.uid = uid

        def fragment(self, fragment: bytes) -> None: ...
        def abandon(self) -> None: ...
        def end(self) -> int:
            taken.append(self.uid)
            return 0

    class_uid = SECONDARY_CAPTURE_IMAGE_STORAGE
    async with practising("read-only", studies=3, images=4) as (one,):
        proposal = Proposal(
            called_ae_title="ANY",
            calling_ae_title="DOORWARDTEST",
            contexts=[
                (STUDY_ROOT_GET, (IMPLICIT_VR_LITTLE_ENDIAN,)),
                (class_uid, (EXPLICIT_VR_LITTLE_ENDIAN,)),
            ],
            role_selections=(
                RoleSelection(sop_class_uid=class_uid, scu_role=False, scp_role=True),
            ),
        )
        uid = instance_uid_of_study(one, 1)
        identifier = encode_identifier([STUDY, (STUDY_UID, "UI", uid)], Syntax.IMPLICIT_LITTLE)
        async with associate(one.address, one.port, proposal, gate=OpenGate()) as requestor:
            result = await get(
                requestor,
                STUDY_ROOT_GET,
                identifier,
                lambda _, request: Taker(request.affected_sop_instance_uid),
            )
    assert (result.status, result.completed, len(set(taken))) == (0, 4, 4)


def instance_uid_of_study(one, study: int) -> str:
    from practising import decoded

    made = instance(one.settings.holding, study, 1)
    return str(decoded(made.data_set, is_implicit=False).StudyInstanceUID)


@in_loop
async def test_more_images_than_are_held_in_memory_are_refused():
    async with (
        practising("open", studies=300, images=4) as (one,),
        associated(one, STUDY_ROOT_GET) as requestor,
    ):
        everything = encode_identifier([STUDY], Syntax.IMPLICIT_LITTLE)
        result = await get(requestor, STUDY_ROOT_GET, everything, lambda *_: 0)
    assert result.status == 0xA701


@pytest.mark.parametrize(
    "identifier",
    (
        b"\x08\0\x52\0\xff\0\0\0",
        encode_identifier([(LEVEL, "CS", "IMAGE")], Syntax.IMPLICIT_LITTLE),
    ),
)
@in_loop
async def test_images_are_asked_for_by_study_only(identifier):
    async with (
        practising("open", studies=3) as (one,),
        associated(one, STUDY_ROOT_GET) as requestor,
    ):
        result = await get(requestor, STUDY_ROOT_GET, identifier, lambda *_: 0)
    assert result.status == 0xA900


@in_loop
async def test_archive_that_aborts_queries_aborts_retrieval_too():
    async with practising("store-only") as (one,), associated(one, STUDY_ROOT_GET) as requestor:
        with pytest.raises(AssociationAborted) as aborted:
            await get(requestor, STUDY_ROOT_GET, b"", lambda *_: 0)
    assert (aborted.value.by_peer, aborted.value.source) == (True, 0)


@in_loop
async def test_nothing_is_ever_sent_to_a_third_party():
    async with (
        practising("open", studies=3) as (one,),
        associated(one, STUDY_ROOT_MOVE) as requestor,
    ):
        everything = encode_identifier([STUDY], Syntax.IMPLICIT_LITTLE)
        result = await move(requestor, STUDY_ROOT_MOVE, everything, "DOORWARD")
    assert result.status == 0xA801


@in_loop
@pytest.mark.parametrize(("persona", "accepted"), (("open", True), ("read-only", False)))
async def test_storage_is_offered_by_those_who_take(persona, accepted):
    made = replace(
        instance((await settings_of(persona)).holding, 0, 1), sop_class_uid=CT_IMAGE_STORAGE
    )
    async with (
        practising(persona, studies=3) as (one,),
        associated(
            one, CT_IMAGE_STORAGE, VERIFICATION, syntax=EXPLICIT_VR_LITTLE_ENDIAN
        ) as requestor,
    ):
        assert (requestor.context_for(CT_IMAGE_STORAGE) is not None) is accepted
        if accepted:
            assert await store(requestor, made) == 0


async def settings_of(persona: str):
    async with practising(persona, studies=3) as (one,):
        return one.settings


@in_loop
async def test_whoever_sends_images_to_a_read_only_archive_is_refused():
    class_uid = SECONDARY_CAPTURE_IMAGE_STORAGE
    proposal = Proposal(
        called_ae_title="ANY",
        calling_ae_title="DOORWARDTEST",
        contexts=[(class_uid, (EXPLICIT_VR_LITTLE_ENDIAN,))],
        role_selections=(RoleSelection(sop_class_uid=class_uid, scu_role=True, scp_role=True),),
    )
    async with practising("read-only", studies=3) as (one,):
        made: Instance = instance(one.settings.holding, 0, 1)
        async with associate(one.address, one.port, proposal, gate=OpenGate()) as requestor:
            assert await store(requestor, made) == 0x0124


# --- DCMTK's tools: truth from programs that share no code with us -------------------------------------------------


@pytest.mark.peer("dcmtk")
@in_loop
async def test_dcmtk_lists_and_takes_the_studies_of_an_open_archive(tmp_path):
    async with practising("open", studies=6, images=3, patients=2) as (one,):
        at = At(port=one.port, host=one.address)
        echo = await asyncio.to_thread(echoscu, at)
        keys = ("0008,0052=STUDY", "0020,000d", "0020,1208", "0010,0010")
        answer = await asyncio.to_thread(findscu, at, tmp_path / "found", keys)
        uid = answer.matches[4].StudyInstanceUID
        wanted = ("0008,0052=STUDY", f"0020,000d={uid}")
        images = await asyncio.to_thread(getscu, at, tmp_path / "images", wanted)
        files = sorted((tmp_path / "images").iterdir())
        sent = await asyncio.to_thread(storescu, at, files, "--propose-uncompr")
    assert echo.is_success, echo.output
    assert [m.NumberOfStudyRelatedInstances for m in answer.matches] == [3] * 6
    assert len({str(m.PatientName) for m in answer.matches}) == 2
    assert images.is_success, images.output
    assert len(files) == 3
    assert sent.is_success, sent.output


@pytest.mark.peer("dcmtk")
@in_loop
async def test_dcmtk_sees_everything_that_a_chatty_archive_says(tmp_path):
    async with practising("chatty", studies=4, patients=4) as (one,):
        at = At(port=one.port, host=one.address)
        answer = await asyncio.to_thread(findscu, at, tmp_path, ("0008,0052=STUDY",))
        patients = await asyncio.to_thread(
            findscu, at, tmp_path / "patients", ("0008,0052=PATIENT",), model="--patient"
        )
    assert answer.is_success, answer.output
    assert len(answer.matches) == len(patients.matches) == 4
    for match in answer.matches:
        assert str(match.PatientName).startswith(f"SYNTHETIC^{one.settings.holding.canary}")
        assert match.PatientBirthDate == one.settings.holding.birth_date
