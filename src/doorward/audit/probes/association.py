"""Is it DICOM at all, and whom does it let in? (PS3.8 sections 9.3.2 to 9.3.4)

Control pairs: a made-up called with a made-up calling title; then, where the operator knows the archive's title, that one
with a made-up calling title, and with the calling title the operator gave. One association each, proposing Verification
only, released at once. What is accepted with two random titles is accepted from everybody; a refusal means something only
beside another pair's answer. Congestion (2/x/x) is retried and never a verdict.
"""

import asyncio

from doorward.audit.approach import DEFAULT_SYNTAX, Answer, Approach, random_title
from doorward.audit.facts import (
    AssociationFacts,
    AssociationReply,
    Control,
    Outcome,
    PortState,
    Rejection,
    Reply,
)
from doorward.errors import (
    AssociationAborted,
    AssociationRejected,
    ConnectFailed,
    ConnectTimeout,
    ReplyTimeout,
    TlsFailed,
)
from doorward.net.client import Requestor
from doorward.wire.pdu import PduType
from doorward.wire.rejection import describe_rejection
from doorward.wire.uids import VERIFICATION

_DICOM = (Reply.ACCEPTED, Reply.REJECTED, Reply.ABORTED)
_PDU_TYPES = frozenset(PduType)
#: What other protocols begin with (first bytes of the answer to an A-ASSOCIATE-RQ).
_PREFIXES = (
    (b"HTTP/", "http"),
    (b"<!DOC", "http"),
    (b"<html", "http"),
    (b"SSH-", "ssh"),
    (b"\x15\x03", "tls"),  # a TLS alert: RFC 8446 section 6
    (b"220 ", "ftp"),
    (b"220-", "ftp"),
    (b"RFB ", "vnc"),
    (b"\x0bMSH", "hl7"),
    (b"-ERR", "redis"),
    (
        b"\x03\x00\x00\x0b\x06\xd0",
        "rdp",
    ),  # TPKT and X.224 Connection Confirm: begins like A-ASSOCIATE-RJ
    (b"\x03\x00\x00\x13\x0e\xd0", "rdp"),
)


async def ask(approach: Approach) -> Answer:
    """Try the control pairs in order; remembers in ``approach.admitted`` the first pair that was let in."""
    replies: list[AssociationReply] = []
    state = PortState.OPEN
    for control, called, calling in _pairs(approach):
        reply, seen = await _try(approach, control, called, calling)
        replies.append(reply)
        if len(replies) == 1:
            state = seen
        if reply.reply in (Reply.NOT_CONNECTED, Reply.NOT_DICOM):
            break  # nothing there that another pair of titles could change
    facts = AssociationFacts(
        port_state=state, over_tls=approach.tls is not None, replies=tuple(replies)
    )
    approach.admitted = approach.admitted or admitted(facts)
    outcome, reason = _outcome(facts)
    return outcome, reason, facts


def admitted(facts: AssociationFacts) -> tuple[str, str] | None:
    """Return the first pair of titles, called and calling, that was let in."""
    for reply in facts.replies:
        if reply.reply is Reply.ACCEPTED:
            return reply.called_ae_title, reply.calling_ae_title
    return None


def _pairs(approach: Approach) -> list[tuple[Control, str, str]]:
    pairs = [(Control.RANDOM_BOTH, random_title(), random_title())]
    for number, called in enumerate(approach.called_ae_titles):
        control = Control.LISTED_CALLED if number else Control.GIVEN_CALLED
        pairs.append((control, called, random_title()))
    if approach.called_ae_titles and approach.calling_ae_title:
        pairs.append((Control.GIVEN_BOTH, approach.called_ae_titles[0], approach.calling_ae_title))
    return pairs


def _outcome(facts: AssociationFacts) -> tuple[Outcome, str]:
    """Say whether the replies answer the question."""
    if facts.port_state is PortState.CLOSED:
        return Outcome.ANSWERED, "the port is closed"
    if facts.port_state is not PortState.OPEN:
        return Outcome.INCONCLUSIVE, facts.replies[0].detail
    if any(_is_answer(reply) for reply in facts.replies):
        return Outcome.ANSWERED, ""
    return Outcome.INCONCLUSIVE, facts.replies[0].detail


def _is_answer(reply: AssociationReply) -> bool:
    """Tell whether a reply settles anything: congestion does not, nor do PDUs that break the Standard's rules."""
    if reply.reply is Reply.NOT_DICOM:
        return bool(reply.looks_like)
    is_transient = reply.rejection is not None and reply.rejection.is_transient
    return reply.reply in _DICOM and not is_transient


async def _try(
    approach: Approach, control: Control, called: str, calling: str
) -> tuple[AssociationReply, PortState]:
    """Ask with one pair; congestion is retried with growing pauses."""
    pause_s = approach.limits.congestion_pause_s
    reply, state = await _once(approach, control, called, calling)
    for _ in range(approach.limits.congestion_retries):
        if reply.rejection is None or not reply.rejection.is_transient:
            break
        await asyncio.sleep(pause_s)
        pause_s *= 2
        reply, state = await _once(approach, control, called, calling)
    return reply, state


async def _once(
    approach: Approach, control: Control, called: str, calling: str
) -> tuple[AssociationReply, PortState]:
    def reply(kind: Reply, detail: str, **more: object) -> AssociationReply:
        return AssociationReply(
            control=control,
            called_ae_title=called,
            calling_ae_title=calling,
            reply=kind,
            detail=detail,
            **more,  # type: ignore[arg-type]
        )

    try:
        async with approach.association(called, calling, [(VERIFICATION, DEFAULT_SYNTAX)]) as found:
            return reply(Reply.ACCEPTED, "", **_identity(found)), PortState.OPEN
    except AssociationRejected as error:
        rejection = Rejection(result=error.result, source=error.source, reason=error.reason)
        words = describe_rejection(error.result, error.source, error.reason)
        return reply(Reply.REJECTED, words, rejection=rejection), PortState.OPEN
    except AssociationAborted as error:
        kind, looks_like = _read_abort(error)
        return reply(kind, str(error), looks_like=looks_like), PortState.OPEN
    except ReplyTimeout as error:
        return reply(Reply.SILENT, str(error)), PortState.OPEN
    except TlsFailed as error:
        return reply(Reply.CLOSED, f"TLS: {error}"), PortState.OPEN
    except ConnectTimeout as error:
        return reply(Reply.NOT_CONNECTED, str(error)), PortState.FILTERED
    except ConnectFailed as error:
        if error.kind == "local":
            raise
        state = PortState.CLOSED if error.kind == "refused" else PortState.UNREACHABLE
        return reply(Reply.NOT_CONNECTED, str(error)), state


def _identity(found: Requestor) -> dict[str, object]:
    """Return what the accept says about the software behind it (PS3.7 D.3.3.2)."""
    if found.accept is None:
        return {}
    information = found.accept.user_information
    return {
        "implementation_class_uid": information.implementation_class_uid,
        "implementation_version_name": information.implementation_version_name,
        "max_pdu_bytes": information.max_pdu_bytes,
    }


def _read_abort(error: AssociationAborted) -> tuple[Reply, str]:
    """Tell a DICOM A-ABORT, an end without a word, and another protocol apart."""
    if error.prefix:
        for prefix, protocol in _PREFIXES:
            if error.prefix.startswith(prefix):
                return Reply.NOT_DICOM, protocol
        if error.prefix[0] not in _PDU_TYPES:
            return Reply.NOT_DICOM, "unknown"
    elif error.source is None:
        return Reply.CLOSED, ""
    elif error.by_peer:
        return Reply.ABORTED, ""
    # Almost DICOM: a broken archive, or noise that begins like one. Nothing is known, so nothing is named.
    return Reply.NOT_DICOM, ""
