"""What an association request of somebody who is known is answered with."""

import pytest

from doorward.archive.offered import SERVICES, STORAGE, SYNTAXES, accept
from doorward.net.client import IMPLEMENTATION_CLASS_UID
from doorward.wire.negotiation import propose
from doorward.wire.pdu import (
    AssociateAccept,
    AssociateRequest,
    ContextResult,
    RoleSelection,
    UserInformation,
)
from doorward.wire.uids import (
    CT_IMAGE_STORAGE,
    EXPLICIT_VR_BIG_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    JPEG_2000,
    MODALITY_WORKLIST_FIND,
    RETIRED_STORAGE_SOP_CLASSES,
    STUDY_ROOT_FIND,
    UIDS,
)


def answer(
    *pairs: tuple[str, tuple[str, ...]], roles: tuple[RoleSelection, ...] = ()
) -> AssociateAccept:
    information = UserInformation(
        max_pdu_bytes=16_384, implementation_class_uid="1.2.3", role_selections=roles
    )
    return accept(
        AssociateRequest(
            called_ae_title="ANY",
            calling_ae_title="CT1",
            presentation_contexts=propose(pairs),
            user_information=information,
        )
    )


@pytest.mark.parametrize("sop_class", SERVICES)
def test_a_service_is_accepted_in_the_best_of_its_syntaxes(sop_class):
    [one] = answer((sop_class, tuple(reversed(SYNTAXES)))).presentation_contexts
    assert one.is_accepted
    assert one.transfer_syntax == EXPLICIT_VR_LITTLE_ENDIAN
    [one] = answer((sop_class, (JPEG_2000,))).presentation_contexts
    assert one.result is ContextResult.TRANSFER_SYNTAXES_NOT_SUPPORTED


@pytest.mark.parametrize(
    "syntaxes", [("1.2.3.4",), (JPEG_2000, EXPLICIT_VR_LITTLE_ENDIAN), (EXPLICIT_VR_BIG_ENDIAN,)]
)
def test_an_instance_may_come_in_any_syntax_the_first_one_of_its_context(syntaxes):
    [one] = answer((CT_IMAGE_STORAGE, syntaxes)).presentation_contexts
    assert one.is_accepted
    assert one.transfer_syntax == syntaxes[0]


def test_retired_storage_is_taken_and_what_is_no_service_of_ours_is_not():
    assert set(RETIRED_STORAGE_SOP_CLASSES) <= STORAGE
    for sop_class in (MODALITY_WORKLIST_FIND, "1.2.3.4"):
        [one] = answer((sop_class, SYNTAXES)).presentation_contexts
        assert one.result is ContextResult.ABSTRACT_SYNTAX_NOT_SUPPORTED


def test_the_requestor_may_be_the_provider_of_storage_alone():
    roles = tuple(
        RoleSelection(sop_class_uid=uid, scu_role=True, scp_role=True)
        for uid in (CT_IMAGE_STORAGE, STUDY_ROOT_FIND)
    )
    given = answer(
        (CT_IMAGE_STORAGE, (IMPLICIT_VR_LITTLE_ENDIAN,)),
        (STUDY_ROOT_FIND, (IMPLICIT_VR_LITTLE_ENDIAN,)),
        roles=roles,
    )
    found = {r.sop_class_uid: r.scp_role for r in given.user_information.role_selections}
    assert found == {CT_IMAGE_STORAGE: True, STUDY_ROOT_FIND: False}
    assert given.user_information.implementation_class_uid == IMPLEMENTATION_CLASS_UID


def test_every_class_has_a_name_and_none_is_both_service_and_storage():
    assert not [uid for uid in (*SERVICES, *STORAGE) if uid not in UIDS]
    assert not STORAGE & SERVICES.keys()
