"""The one policy: may this identity do this to this study? DIMSE and DICOMweb ask the same function.

Theory of operation: ``decide`` is pure. It says yes when every gate is open, in this order, and each refusal says which one
was shut:

1. somebody: None is nobody (promise 6);
2. the identity still holds, its role is one for its kind, and a migration is boxed in time;
3. its token, where it has one, is good for the operation;
4. one of its roles carries the operation (``PRESETS``), or it is one that is only given by name;
5. no rule denies it, whatever others allow;
6. a rule allows it. Nothing that no rule mentions is allowed.

``restrict`` puts the same gates and rules into a description of the studies that a query may show, for SQL to evaluate: a
study is shown exactly when ``decide`` would allow QUERY for it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from doorward.access.identity import (
    KINDS_OF_ROLE,
    Decision,
    Identity,
    Operation,
    Role,
    Subject,
)
from doorward.access.rules import BY_NAME_ONLY, Effect, Rule, Rules, Studies

_SENDING = frozenset({Operation.ECHO, Operation.STORE, Operation.COMMIT})
_READING = frozenset({Operation.QUERY, Operation.RETRIEVE})
#: What each role carries, at the most; rules only narrow it. MOVE is to the caller itself, and where a rule says.
PRESETS: Mapping[str, frozenset[Operation]] = {
    Role.MODALITY: _SENDING,
    Role.WORKSTATION: _READING | {Operation.ECHO, Operation.MOVE},
    Role.MIGRATION: _SENDING | _READING | {Operation.MOVE},
    Role.READER: _READING,
    Role.ADMINISTRATOR: frozenset({Operation.ADMINISTER}),
    Role.AUDITOR: frozenset({Operation.READ_JOURNAL}),
}
_NOTHING: frozenset[Operation] = frozenset()

#: What is said where a study decides: the same whether it is hidden by a rule or allowed by none.
NOT_THIS_STUDY = "Not permitted for this study"


@dataclass(frozen=True, slots=True, kw_only=True)
class Restriction:
    """Which studies somebody may see: those that one of ``allow`` surely holds and none of ``deny`` may hold.

    ``decision`` says whether anything can be seen at all; where not, refuse the query with its reason.
    """

    decision: Decision
    allow: tuple[Studies, ...] = ()
    deny: tuple[Studies, ...] = ()

    def shows(self, subject: Subject) -> bool:
        """Tell whether a study may be shown: what the SQL says, one study at a time."""
        is_allowed = any(studies.hold(subject, unknown=False) for studies in self.allow)
        return is_allowed and not any(studies.hold(subject, unknown=True) for studies in self.deny)


def decide(
    identity: Identity | None,
    operation: Operation,
    subject: Subject,
    rules: Rules,
    now: datetime,
) -> Decision:
    """Return whether this identity may do this to this subject, why not, and which rule decided.

    ``now`` is aware, in the archive's own time zone: ages of studies are counted from its day.
    """
    refusal = _shut_gate(identity, operation, now)
    if identity is None or refusal is not None:
        return refusal or _NOBODY
    concerning = rules.concerning(identity, operation)
    today = now.date()
    for rule in _with_effect(concerning, Effect.DENY):
        is_there = operation is not Operation.MOVE or rule.reaches(identity, subject.destination)
        studies = rule.studies(identity, today)
        if is_there and studies.hold(subject, unknown=True):
            return _denied_by(rule, studies)
    allowing = _with_effect(concerning, Effect.ALLOW)
    meant = [r for r in allowing if r.studies(identity, today).hold(subject, unknown=False)]
    if not meant:
        return _unmentioned(operation, is_for_some=bool(allowing))
    if operation is Operation.MOVE:
        meant = [rule for rule in meant if rule.reaches(identity, subject.destination)]
        if not meant:
            return Decision(
                is_allowed=False, reason="Move destination not permitted", rule="(destination)"
            )
    return Decision(is_allowed=True, reason="Allowed", rule=meant[0].name)


def restrict(identity: Identity | None, rules: Rules, now: datetime) -> Restriction:
    """Return which studies a query of this identity may show; ``now`` as for ``decide``."""
    refusal = _shut_gate(identity, Operation.QUERY, now)
    if identity is None or refusal is not None:
        return Restriction(decision=refusal or _NOBODY)
    concerning = rules.concerning(identity, Operation.QUERY)
    allowing = _with_effect(concerning, Effect.ALLOW)
    today = now.date()
    denying = [(r, r.studies(identity, today)) for r in _with_effect(concerning, Effect.DENY)]
    for rule, studies in denying:
        if studies == Studies():
            return Restriction(decision=_denied_by(rule, studies))
    if not allowing:
        return Restriction(decision=_unmentioned(Operation.QUERY, is_for_some=False))
    return Restriction(
        decision=Decision(is_allowed=True, reason="Allowed", rule=allowing[0].name),
        allow=tuple(rule.studies(identity, today) for rule in allowing),
        deny=tuple(studies for _, studies in denying),
    )


def hides_studies(identity: Identity, operation: Operation, rules: Rules, now: datetime) -> bool:
    """Tell whether some studies may be closed to this identity, so that "not held" would tell them from what is not there."""
    today = now.date()
    about = [(r.effect, r.studies(identity, today)) for r in rules.concerning(identity, operation)]
    is_for_all = (Effect.ALLOW, Studies()) in about
    return not is_for_all or any(e is Effect.DENY and s != Studies() for e, s in about)


# --- the gates --------------------------------------------------------------------------------------------------------

_NOBODY = Decision(is_allowed=False, reason="No identity was shown", rule="(nobody)")


def _shut_gate(identity: Identity | None, operation: Operation, now: datetime) -> Decision | None:
    """Return the refusal of the first gate before the rules that is shut; None where all are open."""
    if identity is None:
        return _NOBODY
    if identity.expires_at is not None and identity.expires_at <= now:
        return Decision(is_allowed=False, reason="Identity has expired", rule="(expired)")
    if any(identity.kind not in KINDS_OF_ROLE.get(r, frozenset()) for r in identity.roles):
        return Decision(is_allowed=False, reason="Role is not for this identity", rule="(role)")
    if Role.MIGRATION in identity.roles and identity.expires_at is None:
        return Decision(is_allowed=False, reason="Migration has no end date", rule="(time box)")
    if identity.scope is not None and operation not in identity.scope:
        return Decision(is_allowed=False, reason="Token is not for this operation", rule="(scope)")
    if not _is_carried(identity, operation):
        reason = f"Role {identity.role} may not {_in_words(operation)}"
        return Decision(is_allowed=False, reason=reason, rule="(role)")
    return None


def _is_carried(identity: Identity, operation: Operation) -> bool:
    carried = frozenset[Operation]().union(*(PRESETS.get(r, _NOTHING) for r in identity.roles))
    if operation is Operation.EXPORT:
        # An export is reading in bulk: whoever may not read one image may not take them all.
        return Operation.RETRIEVE in carried
    return operation in carried or operation in BY_NAME_ONLY


def _in_words(operation: Operation) -> str:
    return operation.replace("_", " ")


# --- the rules --------------------------------------------------------------------------------------------------------


def _with_effect(rules: tuple[Rule, ...], effect: Effect) -> list[Rule]:
    return [rule for rule in rules if rule.effect is effect]


def _denied_by(rule: Rule, studies: Studies) -> Decision:
    # A rule about some studies is not named to the caller: "vip" would already say something about the study.
    reason = "A rule denies this to you" if studies == Studies() else NOT_THIS_STUDY
    return Decision(is_allowed=False, reason=reason, rule=rule.name)


def _unmentioned(operation: Operation, *, is_for_some: bool) -> Decision:
    reason = NOT_THIS_STUDY if is_for_some else f"No rule lets you {_in_words(operation)}"
    return Decision(is_allowed=False, reason=reason, rule="(default)")
