"""Conversations of one association, written as one reads PS3.8 Table 9-10.

    assert (
        Playbook(requestor())
        >> Do("request", RQ)
        << In(State.AWAITING_TRANSPORT)
        >> Connected()
        << Sent(RQ)
        >> AC
        << AssociateAccepted(AC)
        << In(State.ESTABLISHED)
    )

``>>`` is what happens to the association: bytes, a PDU (sent as its bytes), or one of the causes below. ``<<`` is what must
come of it: an event, ``Sent`` PDUs, ``CLOSES``, a state. Whatever came and was not named fails at the next ``>>`` and at
the ``assert``, so a playbook can neither skip nor invent anything.
"""

from dataclasses import dataclass
from itertools import islice
from typing import Any, Self

from doorward.limits import DEFAULT_LIMITS, Limits
from doorward.wire.association import Association, Role
from doorward.wire.decode import decode_pdu
from doorward.wire.encode import encode_pdu
from doorward.wire.pdu import (
    AnsweredContext,
    AssociateAccept,
    AssociateRequest,
    Pdu,
    ProposedContext,
    UserInformation,
)
from doorward.wire.table import State

VERIFICATION = "1.2.840.10008.1.1"
STUDY_ROOT_FIND = "1.2.840.10008.5.1.4.1.2.2.1"
IMPLICIT = "1.2.840.10008.1.2"

RQ = AssociateRequest(
    called_ae_title="ARCHIVE",
    calling_ae_title="DOORWARD",
    presentation_contexts=(
        ProposedContext(id=1, abstract_syntax=VERIFICATION, transfer_syntaxes=(IMPLICIT,)),
        ProposedContext(id=3, abstract_syntax=STUDY_ROOT_FIND, transfer_syntaxes=(IMPLICIT,)),
    ),
    user_information=UserInformation(max_pdu_bytes=16_384, implementation_class_uid="2.25.1"),
)
AC = AssociateAccept(
    called_ae_title="ARCHIVE",
    calling_ae_title="DOORWARD",
    presentation_contexts=(
        AnsweredContext(id=1, result=0, transfer_syntax=IMPLICIT),
        AnsweredContext(id=3, result=0, transfer_syntax=IMPLICIT),
    ),
    user_information=UserInformation(max_pdu_bytes=16_384, implementation_class_uid="2.25.2"),
)


def requestor(limits: Limits = DEFAULT_LIMITS) -> Association:
    """Who asks, at second 0."""
    return Association(role=Role.REQUESTOR, now=0.0, limits=limits)


def acceptor(limits: Limits = DEFAULT_LIMITS) -> Association:
    """Who is asked, at second 0."""
    return Association(role=Role.ACCEPTOR, now=0.0, limits=limits)


@dataclass(frozen=True)
class Connected:
    """The transport stands."""


@dataclass(frozen=True)
class Hangup:
    """The peer closed the transport."""


@dataclass(frozen=True)
class At:
    """It is this second now."""

    second: float


class Do:
    """A verb of the owner."""

    def __init__(self, verb: str, *arguments: Any, **named: Any) -> None:
        self.verb, self.arguments, self.named = verb, arguments, named


class Sent:
    """PDUs that must have been queued, these and in this order."""

    def __init__(self, *pdus: Pdu) -> None:
        self.pdus = pdus


@dataclass(frozen=True)
class In:
    """The state that must be reached."""

    state: State


class Closes:
    """The transport is to be closed."""


CLOSES = Closes()


class Saying(str):
    """Equal to every text that contains it."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, str) and str(self) in other

    __hash__ = None  # type: ignore[assignment]


def events_of(association: Association) -> list[Any]:
    """Take all events."""
    return list(iter(association.next_event, None))


def pdus_in(stream: bytes) -> list[Pdu]:
    """Cut and decode what was sent."""
    pdus = []
    while stream:
        end = 6 + int.from_bytes(stream[2:6], "big")
        pdus.append(decode_pdu(stream[0], stream[6:end], DEFAULT_LIMITS))
        stream = stream[end:]
    return pdus


class Playbook:
    """One association, and what has come of the last cause and was not named yet."""

    def __init__(self, association: Association) -> None:
        self.association = association
        self._events: list[Any] = []
        self._sent: list[Pdu] = []
        self._closes = False

    def __rshift__(self, cause: Any) -> Self:
        self._nothing_left()
        association, was_closing = self.association, self.association.must_close
        match cause:
            case bytes():
                association.receive(cause)
            case Connected():
                association.connected()
            case Hangup():
                association.receive(b"")
            case At(second):
                association.tick(second)
            case Do():
                getattr(association, cause.verb)(*cause.arguments, **cause.named)
            case pdu:
                association.receive(encode_pdu(pdu))
        self._events = events_of(association)
        self._sent = pdus_in(b"".join(association.take_outgoing()))
        self._closes = association.must_close and not was_closing
        return self

    def __lshift__(self, outcome: Any) -> Self:
        match outcome:
            case Sent():
                found = list(islice(self._sent, len(outcome.pdus)))
                assert found == list(outcome.pdus), f"{self._sent} was sent"
                del self._sent[: len(found)]
            case In(state):
                assert self.association.state is state
            case Closes():
                assert self._closes
                self._closes = False
            case event:
                assert self._events, f"{event} did not come"
                assert self._events.pop(0) == event
        return self

    def __bool__(self) -> bool:
        self._nothing_left()
        return True

    def _nothing_left(self) -> None:
        assert not self._events
        assert not self._sent
        assert not self._closes
