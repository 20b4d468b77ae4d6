"""Why a sub-operation of C-GET or C-MOVE failed, in plain words that fit an Error Comment (0000,0902).

LO, at most 64 characters (PS3.7 Annex C). Only words of our own and of the Standard: never what the peer has written, which
may quote a patient.
"""

from collections.abc import Iterable

from doorward.errors import (
    AssociationAborted,
    AssociationRejected,
    ConnectFailed,
    ConnectTimeout,
    DoorwardError,
    ImageError,
    LimitExceeded,
    PeerProtocolError,
    ReplyTimeout,
    ScopeError,
    StorageError,
    TlsFailed,
)
from doorward.wire.negotiation import AcceptedContext
from doorward.wire.rejection import describe_rejection
from doorward.wire.status import describe

_COMMENT_CHARACTERS = 64
#: Who takes the instances of a C-GET, and of a C-MOVE.
CALLER, DESTINATION = "The caller", "The destination"


def of_status(receiver: str, status: int) -> str:
    """Return what a receiver's C-STORE status means (PS3.4 section B.2.3)."""
    number, _, meaning = describe(status, "store").partition(" ")
    return _cut(f"{receiver} answers {number}: {meaning.partition(': ')[2]}")


def of_contexts(receiver: str, contexts: Iterable[AcceptedContext], sop_class_uid: str) -> str:
    """Return what is missing where there is no context for an instance."""
    is_class_known = any(one.abstract_syntax == sop_class_uid for one in contexts)
    return f"{receiver} does not take its {'transfer syntax' if is_class_known else 'SOP class'}"


def of_error(receiver: str, error: DoorwardError) -> str:
    """Return what went wrong: with the receiver, or here."""
    match error:
        case ConnectFailed():
            words = f"{receiver} could not be reached ({error.kind})"
        case ConnectTimeout():
            words = f"{receiver} could not be reached (no answer)"
        case TlsFailed():
            words = f"{receiver} and we failed at TLS ({error.kind})"
        case ReplyTimeout():
            words = f"{receiver} did not answer in time"
        case AssociationRejected():
            said = describe_rejection(error.result, error.source, error.reason)
            words = f"{receiver} refuses: {said.rpartition(', ')[0]}"
        case AssociationAborted():
            words = f"{receiver} ended the association"
        case ScopeError():
            words = f"{receiver} may not be dialled"
        case _:
            words = _of_ours(error)
    return _cut(words)


def _of_ours(error: DoorwardError) -> str:
    match error:
        case StorageError():
            return "The instance could not be read"
        case ImageError() | PeerProtocolError():
            return "The instance could not be written in another syntax"
        case LimitExceeded():
            return f"More than {error.limit} allows"
    return "It could not be sent"


def _cut(words: str) -> str:
    return words[:_COMMENT_CHARACTERS].rstrip()
