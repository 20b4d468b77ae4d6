"""Who gets an association: the rules on AE titles, read from the control pairs (PS3.8 section 9.3.4)."""

from datetime import datetime

from doorward.audit.checks.registry import check
from doorward.audit.checks.ruling import (
    Ruling,
    failed,
    inconclusive,
    not_applicable,
    not_tested,
    number,
    passed,
    unasked,
)
from doorward.audit.door import Door, Entry, describe
from doorward.audit.facts import Control, ExposureFacts, Reply
from doorward.audit.verdict import Severity

_TURNED_AWAY = (Reply.REJECTED, Reply.ABORTED, Reply.CLOSED)
_SERVICES = ("find", "get", "move", "store", "worklist", "mpps", "commitment", "print")


@check("dimse_ae_accepts_any")
def accepts_any(door: Door, _now: datetime) -> Ruling:
    """Judge the pair of two made-up titles (rung E3)."""
    admission = door.admission
    match admission.entry:
        case Entry.ANYBODY:
            return failed(_any_caller(door), None if _offers_anything(door) else Severity.MEDIUM)
        case Entry.UNKNOWN:
            return _beside_unknown(door)
        case Entry.CALLED_TITLE:
            return _beside_called_title(door)
    return passed(f"Made-up AE titles are turned away: {admission.because}.")


def _beside_unknown(door: Door) -> Ruling:
    """Judge two made-up titles where it is not known who gets in: only a lasting refusal of theirs is an answer."""
    seen = door.replies(Control.RANDOM_BOTH)
    if not seen:
        return unasked(door, "association")
    if seen[0].rejection is not None and not seen[0].rejection.is_transient:
        return passed(f"Made-up AE titles are turned away: {describe(seen[0])}.")
    return inconclusive(f"Made-up AE titles: {door.admission.because}.")


def _beside_called_title(door: Door) -> Ruling:
    """Judge two made-up titles where the right called title is known to open the door."""
    seen = door.replies(Control.RANDOM_BOTH)
    # The accepted pair shows that the server is well, so a dropped one is its answer.
    refused = [
        r
        for r in seen
        if r.reply in _TURNED_AWAY and not (r.rejection and r.rejection.is_transient)
    ]
    if not refused:
        return inconclusive("Two made-up AE titles got no answer that settles it.")
    return passed(
        f"A caller with two made-up AE titles: {describe(refused[0])}. One with the right called "
        "title was accepted (see dimse_ae_called_only)."
    )


def _any_caller(door: Door) -> str:
    reply = next(r for r in door.replies(Control.RANDOM_BOTH) if r.reply is Reply.ACCEPTED)
    return (
        f"Any caller is accepted: the made-up AE title {reply.calling_ae_title}, calling the made-up "
        f"title {reply.called_ae_title}, got an association on port {door.port}."
    )


def _offers_anything(door: Door) -> bool:
    """Tell whether more than an echo is offered; unknown counts as yes."""
    seen = door.stranger_capabilities
    return not seen or any(facts.accepted(*_SERVICES) for facts in seen)


@check("dimse_ae_called_only")
def called_only(door: Door, _now: datetime) -> Ruling:
    """Judge the pair of the right called and a made-up calling title."""
    admission = door.admission
    match admission.entry:
        case Entry.ANYBODY:
            return not_applicable("No AE title is checked at all: see dimse_ae_accepts_any.")
        case Entry.CALLED_TITLE:
            reply = next(
                r
                for r in door.replies(Control.GIVEN_CALLED, Control.LISTED_CALLED)
                if r.reply is Reply.ACCEPTED
            )
            return failed(
                f"Whoever calls {reply.called_ae_title} is accepted: the calling AE title "
                f"{reply.calling_ae_title} was made up, and a made-up called title was not accepted."
            )
        case Entry.UNDECIDED:
            return not_tested(
                f"{_sentence(admission.because)}. Whether the called title is the only lock needs "
                "the right one: name it with --called."
            )
        case Entry.UNKNOWN:
            return _unknown(door, admission.because)
    return passed(f"The called AE title is not enough: {admission.because}.")


@check("dimse_ae_title_only")
def title_only(door: Door, _now: datetime) -> Ruling:
    """Judge what stands behind a refusal: a title alone, or an identity."""
    admission = door.admission
    match admission.entry:
        case Entry.ANYBODY | Entry.CALLED_TITLE:
            return not_applicable("Not even the calling AE title is needed.")
        case Entry.CERTIFICATE:
            return passed(f"More than a title is asked for: {admission.because}.")
        case Entry.KNOWN_TITLES:
            return _title_decides(door)
        case Entry.UNKNOWN:
            return _unknown(door, admission.because)
    if _was_identity_refused(door):
        return passed(f"More than a title seems to be asked for: {admission.because}.")
    return not_tested(
        f"{_sentence(admission.because)}. Whether a title alone opens the door needs a pair that the "
        "system knows: name it with --called and --calling."
    )


def _title_decides(door: Door) -> Ruling:
    studies = max(
        (e.studies.value or 0 for e in door.answered(ExposureFacts) if e.answers_study_query),
        default=0,
    )
    seen = (
        f" With that title {number(studies, 'study', 'studies')} can be listed." if studies else ""
    )
    evidence = (
        f"The given pair of AE titles was accepted, while {door.admission.because}. The caller's "
        "title is what decides, and a title is no secret; whether its address is compared too "
        f"cannot be seen from here.{seen}"
    )
    return failed(evidence, Severity.HIGH if studies else Severity.MEDIUM)


def _was_identity_refused(door: Door) -> bool:
    return any(
        r.rejection is not None and (r.rejection.result, r.rejection.source) == (1, 2)
        for r in door.replies()
    )


def _unknown(door: Door, because: str) -> Ruling:
    if not door.replies():
        return unasked(door, "association")
    return inconclusive(f"{_sentence(because)}.")


def _sentence(words: str) -> str:
    return words[:1].upper() + words[1:]
