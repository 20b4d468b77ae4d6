"""The values themselves: immutable, and silent about secrets."""

from dataclasses import FrozenInstanceError

import pytest

from doorward.wire.pdu import (
    AnsweredContext,
    AssociateAccept,
    AssociateRequest,
    ContextResult,
    ProposedContext,
    UserIdentity,
    UserInformation,
)

IDENTITY = UserIdentity(
    type=2, response_requested=True, primary=b"SECRET-name", secondary=b"SECRET-passcode"
)


def test_secrets_are_in_no_representation():
    request = AssociateRequest(
        called_ae_title="ARCHIVE",
        calling_ae_title="DOORWARD",
        presentation_contexts=(
            ProposedContext(id=1, abstract_syntax="1.2", transfer_syntaxes=("1.3",)),
        ),
        user_information=UserInformation(max_pdu_bytes=0, user_identity=IDENTITY),
    )
    accept = AssociateAccept(
        called_ae_title="ARCHIVE",
        calling_ae_title="DOORWARD",
        presentation_contexts=(),
        user_information=UserInformation(max_pdu_bytes=0, user_identity_response=b"SECRET-ticket"),
    )
    for value in (IDENTITY, request, accept):
        assert "SECRET" not in f"{value} {value!r}"
    assert "user_identity=UserIdentity(type=2" in repr(request)


def test_secrets_take_part_in_equality():
    other = UserIdentity(type=2, response_requested=True, primary=b"SECRET-name")
    assert other != IDENTITY


@pytest.mark.parametrize("result", range(6))
def test_only_acceptance_is_accepted(result):
    context = AnsweredContext(id=1, result=result)
    assert context.is_accepted is (result == ContextResult.ACCEPTANCE)


def test_values_cannot_be_changed():
    with pytest.raises(FrozenInstanceError):
        IDENTITY.primary = b""
