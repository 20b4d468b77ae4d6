import pytest
from hypothesis import given
from hypothesis import strategies as st

from doorward.errors import LocalProtocolError
from doorward.limits import Limits
from doorward.wire.negotiation import (
    AcceptedContext,
    accepted_contexts,
    answer_faults,
    negotiate,
    propose,
)
from doorward.wire.pdu import (
    AnsweredContext,
    AssociateAccept,
    AssociateRequest,
    ContextResult,
    ProposedContext,
    RoleSelection,
    UserInformation,
)
from doorward.wire.uids import (
    CT_IMAGE_STORAGE,
    DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
    EXPLICIT_VR_BIG_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    MR_IMAGE_STORAGE,
    STUDY_ROOT_FIND,
    VERIFICATION,
)

IMPLICIT, EXPLICIT, BIG = (
    IMPLICIT_VR_LITTLE_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    EXPLICIT_VR_BIG_ENDIAN,
)


def role(uid, scu, scp):
    return RoleSelection(sop_class_uid=uid, scu_role=bool(scu), scp_role=bool(scp))


def results(negotiation):
    return {answer.id: answer.result for answer in negotiation.answers}


def request(*contexts):
    return AssociateRequest(
        called_ae_title="CALLED",
        calling_ae_title="CALLING",
        presentation_contexts=contexts,
        user_information=UserInformation(max_pdu_bytes=0),
    )


def accept(*answers):
    return AssociateAccept(
        called_ae_title="CALLED",
        calling_ae_title="CALLING",
        presentation_contexts=tuple(
            AnsweredContext(id=context_id, result=result, transfer_syntax=transfer_syntax)
            for context_id, result, transfer_syntax in answers
        ),
        user_information=UserInformation(max_pdu_bytes=0),
    )


# --- the acceptor ---


def test_every_proposed_context_gets_its_answer():
    """PS3.8 Table 9-18."""
    proposed = propose(
        [
            (VERIFICATION, [IMPLICIT]),
            (STUDY_ROOT_FIND, [IMPLICIT]),
            (CT_IMAGE_STORAGE, [BIG, EXPLICIT]),
        ]
    )
    negotiation = negotiate(proposed, {VERIFICATION: [IMPLICIT], CT_IMAGE_STORAGE: [IMPLICIT]})
    assert results(negotiation) == {
        1: ContextResult.ACCEPTANCE,
        3: ContextResult.ABSTRACT_SYNTAX_NOT_SUPPORTED,
        5: ContextResult.TRANSFER_SYNTAXES_NOT_SUPPORTED,
    }
    assert negotiation.accepted == {
        1: AcceptedContext(id=1, abstract_syntax=VERIFICATION, transfer_syntax=IMPLICIT)
    }
    assert negotiation.roles == ()


def test_our_order_of_transfer_syntaxes_decides():
    proposed = propose([(VERIFICATION, [IMPLICIT, EXPLICIT, BIG])])
    negotiation = negotiate(proposed, {VERIFICATION: [EXPLICIT, IMPLICIT]})
    assert negotiation.accepted[1].transfer_syntax == EXPLICIT


def test_a_rejected_context_never_repeats_the_words_of_the_peer():
    strange = ProposedContext(id=1, abstract_syntax="\ufffd", transfer_syntaxes=("\ufffd",))
    (answer,) = negotiate([strange], {}).answers
    assert answer.transfer_syntax == IMPLICIT
    none = ProposedContext(id=1, abstract_syntax=VERIFICATION, transfer_syntaxes=())
    (answer,) = negotiate([none], {VERIFICATION: [IMPLICIT]}).answers
    assert answer.result == ContextResult.TRANSFER_SYNTAXES_NOT_SUPPORTED


def test_one_abstract_syntax_may_come_in_several_contexts():
    proposed = propose([(CT_IMAGE_STORAGE, [IMPLICIT]), (CT_IMAGE_STORAGE, [EXPLICIT])])
    negotiation = negotiate(proposed, {CT_IMAGE_STORAGE: [EXPLICIT, IMPLICIT]})
    assert [context.transfer_syntax for context in negotiation.accepted.values()] == [
        IMPLICIT,
        EXPLICIT,
    ]


@pytest.mark.parametrize(
    ("asked", "is_allowed", "answered"),
    [
        ((1, 0), False, (1, 0)),
        ((1, 0), True, (1, 0)),  # what was not proposed is not granted
        ((1, 1), False, (1, 0)),
        ((1, 1), True, (1, 1)),
        ((0, 1), True, (0, 1)),
        ((0, 1), False, None),  # no role would be left
        ((0, 0), True, None),
    ],
)
def test_roles_are_answered_as_ps3_7_d_3_3_4_says(asked, is_allowed, answered):
    negotiation = negotiate(
        propose([(CT_IMAGE_STORAGE, [IMPLICIT])]),
        {CT_IMAGE_STORAGE: [IMPLICIT]},
        roles=[role(CT_IMAGE_STORAGE, *asked)],
        allow_scp_role=[CT_IMAGE_STORAGE] if is_allowed else [],
    )
    if answered is None:
        assert results(negotiation) == {1: ContextResult.USER_REJECTION}
        assert negotiation.roles == ()
        assert negotiation.accepted == {}
    else:
        assert results(negotiation) == {1: ContextResult.ACCEPTANCE}
        assert negotiation.roles == (role(CT_IMAGE_STORAGE, *answered),)


def test_roles_are_answered_only_for_accepted_sop_classes_and_once():
    negotiation = negotiate(
        propose([(CT_IMAGE_STORAGE, [IMPLICIT]), (MR_IMAGE_STORAGE, [IMPLICIT])]),
        {CT_IMAGE_STORAGE: [IMPLICIT]},
        roles=[
            role(MR_IMAGE_STORAGE, 1, 1),
            role(CT_IMAGE_STORAGE, 1, 1),
            role(CT_IMAGE_STORAGE, 0, 0),  # the first word counts
            role(VERIFICATION, 1, 1),
        ],
        allow_scp_role=[CT_IMAGE_STORAGE, MR_IMAGE_STORAGE, VERIFICATION],
    )
    assert negotiation.roles == (role(CT_IMAGE_STORAGE, 1, 1),)


uids = st.sampled_from([VERIFICATION, STUDY_ROOT_FIND, CT_IMAGE_STORAGE, MR_IMAGE_STORAGE])
syntaxes = st.lists(
    st.sampled_from([IMPLICIT, EXPLICIT, BIG, DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN]),
    min_size=1,
    max_size=4,
    unique=True,
)
role_items = st.builds(role, uids, st.booleans(), st.booleans())


@given(
    st.lists(st.tuples(uids, syntaxes), max_size=8),
    st.dictionaries(uids, syntaxes),
    st.lists(role_items, max_size=4),
    st.sets(uids),
)
def test_the_two_sides_always_agree(pairs, supported, roles, allow_scp_role):
    proposed = propose(pairs)
    negotiation = negotiate(proposed, supported, roles=roles, allow_scp_role=allow_scp_role)
    question = request(*proposed)
    answer = accept(*((a.id, a.result, a.transfer_syntax) for a in negotiation.answers))
    assert [a.id for a in negotiation.answers] == [context.id for context in proposed]
    assert accepted_contexts(question, answer) == negotiation.accepted
    assert answer_faults(question, answer) == ()


@given(
    st.lists(st.tuples(uids, syntaxes), min_size=1, max_size=6),
    st.dictionaries(uids, syntaxes, min_size=1),
    st.dictionaries(uids, st.tuples(st.booleans(), st.booleans()).filter(any), max_size=4),
    st.booleans(),
)
def test_pynetdicom_accepts_and_rejects_the_same(pairs, supported, roles, allow_scp):
    from pynetdicom.presentation import PresentationContext, negotiate_as_acceptor

    proposed = propose(pairs)
    theirs_in, theirs_ours = [], []
    for context in proposed:
        item = PresentationContext()
        item.context_id = context.id
        item.abstract_syntax = context.abstract_syntax
        item.transfer_syntax = list(context.transfer_syntaxes)
        theirs_in.append(item)
    for uid, transfer_syntaxes in supported.items():
        item = PresentationContext()
        item.abstract_syntax = uid
        item.transfer_syntax = list(transfer_syntaxes)
        item.scu_role, item.scp_role = True, allow_scp
        theirs_ours.append(item)
    answers, their_roles = negotiate_as_acceptor(theirs_in, theirs_ours, roles)
    ours = negotiate(
        proposed,
        supported,
        roles=[role(uid, *pair) for uid, pair in roles.items()],
        allow_scp_role=list(supported) if allow_scp else [],
    )
    # Where both the role and the transfer syntaxes do not fit, either reason is true.
    assert [a.is_accepted for a in ours.answers] == [a.result == 0 for a in answers]
    assert {(r.sop_class_uid, r.scu_role, r.scp_role) for r in ours.roles} == {
        (str(r.sop_class_uid), r.scu_role, r.scp_role) for r in their_roles
    }


# --- the requestor ---

QUESTION = request(*propose([(VERIFICATION, [IMPLICIT]), (CT_IMAGE_STORAGE, [EXPLICIT, IMPLICIT])]))


def test_accepted_contexts_carry_the_abstract_syntax_of_the_question():
    answer = accept((1, 3, ""), (3, 0, EXPLICIT))
    assert accepted_contexts(QUESTION, answer) == {
        3: AcceptedContext(id=3, abstract_syntax=CT_IMAGE_STORAGE, transfer_syntax=EXPLICIT)
    }
    assert answer_faults(QUESTION, answer) == ()


def test_contexts_without_answer_do_not_stand():
    assert accepted_contexts(QUESTION, accept()) == {}
    assert answer_faults(QUESTION, accept()) == ()


@pytest.mark.parametrize(
    ("answers", "standing", "faults"),
    [
        ([(5, 0, IMPLICIT)], [], ["context 5 was never proposed"]),
        ([(5, 3, "")], [], ["context 5 was never proposed"]),
        (
            [(1, 0, EXPLICIT), (3, 0, IMPLICIT)],
            [3],
            ["context 1 was accepted with a transfer syntax never proposed for it"],
        ),
        (
            [(1, 0, "")],
            [],
            ["context 1 was accepted with a transfer syntax never proposed for it"],
        ),
        ([(1, 0, IMPLICIT), (1, 0, IMPLICIT)], [], ["context 1 was answered twice"]),
        ([(1, 0, IMPLICIT), (1, 3, ""), (3, 0, EXPLICIT)], [3], ["context 1 was answered twice"]),
    ],
)
def test_answers_that_do_not_fit_the_question_do_not_stand(answers, standing, faults):
    answer = accept(*answers)
    assert list(accepted_contexts(QUESTION, answer)) == standing
    assert list(answer_faults(QUESTION, answer)) == faults


def test_proposals_get_odd_numbers_up_to_255():
    contexts = propose([(f"1.2.{index}", [IMPLICIT]) for index in range(128)])
    assert [context.id for context in contexts] == list(range(1, 256, 2))
    assert contexts[0] == ProposedContext(
        id=1, abstract_syntax="1.2.0", transfer_syntaxes=(IMPLICIT,)
    )


def test_more_than_128_proposals_are_our_own_error():
    with pytest.raises(LocalProtocolError, match="129 presentation contexts"):
        propose([(VERIFICATION, [IMPLICIT])] * 129)
    with pytest.raises(LocalProtocolError, match="room for 2"):
        propose([(VERIFICATION, [IMPLICIT])] * 3, Limits(presentation_contexts=2))


def test_a_proposal_needs_a_transfer_syntax():
    with pytest.raises(LocalProtocolError, match="at least one transfer syntax"):
        propose([(VERIFICATION, [])])
