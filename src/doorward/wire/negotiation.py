"""Which presentation contexts and roles two sides agree on, as pure functions (PS3.8 section 9.3.3.2, PS3.7 D.3.3.4).

``negotiate`` is the acceptor's answer: every proposed context gets one. ``accepted_contexts`` is what stands afterwards, for
either side: an answer counts only where it fits the question, so a peer cannot talk us into a context or a transfer
syntax that was never proposed; ``answer_faults`` says which answers did not fit. ``propose`` numbers the requestor's wishes.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from doorward.errors import LocalProtocolError
from doorward.limits import DEFAULT_LIMITS, Limits
from doorward.wire.pdu import (
    AnsweredContext,
    AssociateAccept,
    AssociateRequest,
    ContextResult,
    ProposedContext,
    RoleSelection,
)

#: A rejected context must name a transfer syntax too, of no significance (PS3.8 9.3.3.2). Never the peer's own words:
#: they need not be encodable.
_INSIGNIFICANT_TRANSFER_SYNTAX = "1.2.840.10008.1.2"


@dataclass(frozen=True, slots=True, kw_only=True)
class AcceptedContext:
    """A presentation context that both sides agreed on."""

    id: int
    abstract_syntax: str
    transfer_syntax: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Negotiation:
    """The acceptor's answer: what A-ASSOCIATE-AC carries, and what stands once it is sent."""

    answers: tuple[AnsweredContext, ...]
    accepted: Mapping[int, AcceptedContext]
    roles: tuple[RoleSelection, ...]


def negotiate(
    proposed: Sequence[ProposedContext],
    supported: Mapping[str, Sequence[str]],
    *,
    roles: Sequence[RoleSelection] = (),
    allow_scp_role: Collection[str] = (),
) -> Negotiation:
    """Return our answer to the proposed contexts and roles.

    ``supported`` maps each abstract syntax to its transfer syntaxes, best first: our order decides, not the peer's.
    ``allow_scp_role`` names the SOP classes in which the requestor may be the SCP (storage for C-GET). A requestor
    that would be left without any role gets its context rejected (PS3.7 D.3.3.4).
    """
    role_answers = {
        role.sop_class_uid: _answer_role(role, allow_scp_role) for role in reversed(roles)
    }
    answers: list[AnsweredContext] = []
    accepted: dict[int, AcceptedContext] = {}
    for context in proposed:
        role = role_answers.get(context.abstract_syntax)
        answer = _answer_context(context, supported, role)
        answers.append(answer)
        if answer.is_accepted:
            accepted[context.id] = AcceptedContext(
                id=context.id,
                abstract_syntax=context.abstract_syntax,
                transfer_syntax=answer.transfer_syntax,
            )
    spoken = {context.abstract_syntax for context in accepted.values()}
    return Negotiation(
        answers=tuple(answers),
        accepted=accepted,
        roles=tuple(
            role_answers[uid]
            for uid in dict.fromkeys(role.sop_class_uid for role in roles)
            if uid in spoken
        ),
    )


def _answer_role(role: RoleSelection, allow_scp_role: Collection[str]) -> RoleSelection:
    """Turn a proposed role down or accept it; never grant what was not proposed (PS3.7 D.3.3.4)."""
    return RoleSelection(
        sop_class_uid=role.sop_class_uid,
        scu_role=role.scu_role,
        scp_role=role.scp_role and role.sop_class_uid in allow_scp_role,
    )


def _answer_context(
    context: ProposedContext, supported: Mapping[str, Sequence[str]], role: RoleSelection | None
) -> AnsweredContext:
    ours = supported.get(context.abstract_syntax)
    if ours is None:
        return _reject(context, ContextResult.ABSTRACT_SYNTAX_NOT_SUPPORTED)
    if role is not None and not (role.scu_role or role.scp_role):
        return _reject(context, ContextResult.USER_REJECTION)
    for transfer_syntax in ours:
        if transfer_syntax in context.transfer_syntaxes:
            return AnsweredContext(
                id=context.id,
                result=ContextResult.ACCEPTANCE,
                transfer_syntax=transfer_syntax,
            )
    return _reject(context, ContextResult.TRANSFER_SYNTAXES_NOT_SUPPORTED)


def _reject(context: ProposedContext, result: ContextResult) -> AnsweredContext:
    return AnsweredContext(
        id=context.id, result=result, transfer_syntax=_INSIGNIFICANT_TRANSFER_SYNTAX
    )


def accepted_contexts(
    request: AssociateRequest, accept: AssociateAccept
) -> dict[int, AcceptedContext]:
    """Return the contexts that stand: accepted, proposed before, with a transfer syntax proposed before."""
    proposed = {context.id: context for context in request.presentation_contexts}
    faulty = {context_id for context_id, _ in _faults(request, accept)}
    return {
        answer.id: AcceptedContext(
            id=answer.id,
            abstract_syntax=proposed[answer.id].abstract_syntax,
            transfer_syntax=answer.transfer_syntax,
        )
        for answer in accept.presentation_contexts
        if answer.is_accepted and answer.id not in faulty
    }


def answer_faults(request: AssociateRequest, accept: AssociateAccept) -> tuple[str, ...]:
    """Return what is wrong with the acceptor's answers, one sentence each; those contexts do not stand."""
    return tuple(f"context {context_id} {fault}" for context_id, fault in _faults(request, accept))


def _faults(request: AssociateRequest, accept: AssociateAccept) -> list[tuple[int, str]]:
    """Compare answers with questions (PS3.8 section 9.3.3.2)."""
    proposed = {context.id: context for context in request.presentation_contexts}
    answered: set[int] = set()
    faults: list[tuple[int, str]] = []
    for answer in accept.presentation_contexts:
        if answer.id not in proposed:
            faults.append((answer.id, "was never proposed"))
        elif answer.id in answered:
            faults.append((answer.id, "was answered twice"))
        elif (
            answer.is_accepted
            and answer.transfer_syntax not in proposed[answer.id].transfer_syntaxes
        ):
            faults.append((answer.id, "was accepted with a transfer syntax never proposed for it"))
        answered.add(answer.id)
    return faults


def propose(
    pairs: Iterable[tuple[str, Sequence[str]]], limits: Limits = DEFAULT_LIMITS
) -> tuple[ProposedContext, ...]:
    """Return contexts numbered 1, 3, 5, ... for pairs of abstract syntax and transfer syntaxes.

    Raises LocalProtocolError above 128 pairs, or where a pair names no transfer syntax (PS3.8 section 9.3.2.2).
    """
    wishes = list(pairs)
    if len(wishes) > limits.presentation_contexts:
        raise LocalProtocolError(
            f"{len(wishes)} presentation contexts, an association has room for {limits.presentation_contexts}"
        )
    if not all(transfer_syntaxes for _, transfer_syntaxes in wishes):
        raise LocalProtocolError("a presentation context needs at least one transfer syntax")
    return tuple(
        ProposedContext(
            id=2 * index + 1,
            abstract_syntax=abstract_syntax,
            transfer_syntaxes=tuple(transfer_syntaxes),
        )
        for index, (abstract_syntax, transfer_syntaxes) in enumerate(wishes)
    )
