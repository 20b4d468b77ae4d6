"""What an ``Association`` tells its owner, in the order in which it happened.

Plain slotted classes: the two in the middle (``CommandReceived``, ``DataFragment``) are made once per message of a
busy association, and a frozen dataclass costs three times as much to build.
"""

from dataclasses import dataclass

from doorward.wire.dimse import Command
from doorward.wire.pdu import AssociateAccept, AssociateReject, AssociateRequest, Fragment


@dataclass(slots=True)
class AssociateRequested:
    """A-ASSOCIATE indication: answer with ``accept`` or ``reject``."""

    request: AssociateRequest


@dataclass(slots=True)
class AssociateAccepted:
    """A-ASSOCIATE confirmation (accept): the association stands."""

    accept: AssociateAccept


@dataclass(slots=True)
class AssociateRejected:
    """A-ASSOCIATE confirmation (reject); the transport is to be closed."""

    reject: AssociateReject


@dataclass(slots=True)
class CommandReceived:
    """A whole command set. Where ``command.has_data_set`` is true, ``DataFragment`` events follow on ``context_id``."""

    context_id: int
    command: Command


@dataclass(slots=True)
class DataFragment:
    """A piece of the data set that belongs to the last ``CommandReceived``; the owner bounds the sum.

    A view where the association was fed with views: it holds until the next ``receive``.
    """

    context_id: int
    fragment: Fragment
    is_last: bool


@dataclass(slots=True)
class ReleaseRequested:
    """A-RELEASE indication: answer with ``confirm_release``."""


@dataclass(slots=True)
class Released:
    """A-RELEASE confirmation: the association ended in order."""


@dataclass(slots=True)
class Aborted:
    """The association is gone by A-ABORT.

    ``by_peer`` tells who sent it. When we did, ``violation`` says why, naming a field and a section, never a value;
    ``prefix`` holds the first bytes of what was no PDU at all (at most ``limits.banner_bytes``).
    """

    by_peer: bool
    source: int
    reason: int
    violation: str = ""
    prefix: bytes = b""


@dataclass(slots=True)
class Closed:
    """The transport ended without A-RELEASE or A-ABORT, or ARTIM ran out (``timed_out``)."""

    timed_out: bool = False


Event = (
    AssociateRequested
    | AssociateAccepted
    | AssociateRejected
    | CommandReceived
    | DataFragment
    | ReleaseRequested
    | Released
    | Aborted
    | Closed
)
