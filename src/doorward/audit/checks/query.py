"""Reading: may a stranger negotiate, ask, and be answered (PS3.4 Annex C)?"""

from datetime import datetime

from doorward.audit.checks.offers import names, not_offered, offered
from doorward.audit.checks.registry import check
from doorward.audit.checks.ruling import (
    Ruling,
    failed,
    for_no_stranger,
    inconclusive,
    not_applicable,
    not_tested,
    number,
    passed,
    unasked,
)
from doorward.audit.door import Door, Entry
from doorward.audit.facts import Count, Exactness, ExposureFacts, QueryEnd, QueryFacts
from doorward.audit.tally import largest
from doorward.audit.verdict import Severity, Verdict

#: Below this many answers a limit of the server would not show: 100 and 500 are in use.
_SHOWS_NO_LIMIT = 1_000

_CANCEL = 0xFE00
_OUT_OF_RESOURCES = 0xA700

#: How a query ended, in the words of a report.
_ENDS = {
    QueryEnd.REFUSED: "was answered with a failure status",
    QueryEnd.FAILED: "broke off with a failure status",
    QueryEnd.CANCELLED: "was cancelled",
    QueryEnd.ABORTED: "was aborted",
    QueryEnd.SILENT: "got no answer in time",
    QueryEnd.NO_CONTEXT: "could not be asked: the context was refused",
}


@check("dimse_query_context_open")
def query_context_open(door: Door, _now: datetime) -> Ruling:
    """Judge the negotiation of queries alone (rung E4)."""
    contexts = offered(door, "find")
    if not contexts:
        return not_offered(door, "a query", "find")
    evidence = f"A stranger may negotiate {names(contexts)}."
    if door.decides_late:
        return failed(f"{evidence} The query itself was refused then.", Severity.LOW)
    return failed(evidence)


@check("dimse_query_unprotected")
def query_unprotected(door: Door, _now: datetime) -> Ruling:
    """Judge the STUDY query of a stranger (rung E5)."""
    return _query_of_a_stranger(door)


def _query_of_a_stranger(door: Door) -> Ruling:
    exposure = next((e for e in door.stranger_exposures if e.answers_study_query), None)
    if exposure is not None:
        return _answered(door, exposure)
    if door.refuses_queries:
        return passed(f"The study query of a stranger was refused: {_how_refused(door)}.")
    asked = [q for e in door.stranger_exposures for q in e.queries if q.level == "STUDY"]
    if asked:
        return inconclusive(f"The study query {_ends(asked)}, which does not tell who may ask.")
    if offered(door, "find"):
        return unasked(door, "exposure")
    if door.stranger_capabilities:
        return not_offered(door, "a query", "find")
    return for_no_stranger(door, "a query") or unasked(door, "exposure")


def _answered(door: Door, exposure: ExposureFacts) -> Ruling:
    who = {
        Entry.ANYBODY: "Any caller with made-up AE titles",
        Entry.CALLED_TITLE: "Any caller who knows the server's AE title",
    }.get(door.admission.entry, "A caller whom nobody vouched for")
    if not exposure.studies.value:
        return failed(
            f"{who} may ask port {door.port} for all studies: the query was answered with success "
            "and listed none, so the archive is empty or filters its answers.",
            Severity.HIGH,
        )
    studies = _studies(door, exposure)
    images = largest((*(parts.images for parts in door.stranger_parts), exposure.images))
    counted = f"{_amount(studies)} {'study' if studies.value == 1 else 'studies'}"
    verb = "was" if studies.value == 1 else "were"
    held = [
        f"{_amount(count)} {word if count.value == 1 else word + 's'}"
        for count, word in ((exposure.patients, "patient"), (images, "image"))
        if count.value
    ]
    beside = f" ({' and '.join(held)})" if held else ""
    return failed(
        f"{who} was answered on port {door.port}: {counted}{beside} {verb} counted, from the status "
        "of each answer and Number of Study Related Instances only."
    )


def _studies(door: Door, exposure: ExposureFacts) -> Count:
    """Return how many studies there are: in parts there may be more than were told at once."""
    return largest((*(parts.studies for parts in door.stranger_parts), exposure.studies))


def _amount(count: Count) -> str:
    words = {Exactness.AT_LEAST: "at least ", Exactness.ESTIMATED: "about "}
    return f"{words.get(count.exactness, '')}{count.value:,}"


def _how_refused(door: Door) -> str:
    asked = [q for e in door.stranger_exposures for q in e.queries if q.level == "STUDY"]
    last = asked[-1]
    if last.end is QueryEnd.NO_CONTEXT:
        return "its presentation context was refused"
    if last.final_status is None:
        return "the server's application answered it with A-ABORT"
    return f"status {last.final_status:04X}H"


def _ends(asked: list[QueryFacts]) -> str:
    last = asked[-1]
    status = "" if last.final_status is None else f" {last.final_status:04X}H"
    return _ENDS.get(last.end, "ended unclearly") + status


@check("dimse_query_unlimited")
def query_unlimited(door: Door, _now: datetime) -> Ruling:
    """Judge whether the server stopped by itself when asked for everything."""
    exposure = next((e for e in door.stranger_exposures if e.answers_study_query), None)
    if exposure is None:
        return _not_listed(door)
    asked = [q for q in exposure.queries if q.level == "STUDY"]
    most = max(q.matches for q in asked)
    if any(q.reached_cap for q in asked):
        return failed(
            f"The server had listed {number(most, 'study', 'studies')} and went on when the "
            "auditor stopped at its own limit."
        )
    if any(_stopped_by_itself(q) for q in asked):
        return passed(f"The server stopped by itself after {number(most, 'study', 'studies')}.")
    studies = _studies(door, exposure)
    if (studies.value or 0) > most:  # asked in parts it told more: the silent end was a limit
        return passed(f"The server stopped by itself after {number(most, 'study', 'studies')}.")
    if studies.exactness is Exactness.AT_LEAST:
        return inconclusive(f"Whether there is a limit is not sure: {studies.method}.")
    if most >= _SHOWS_NO_LIMIT:
        return failed(f"One query without a key listed all {number(most, 'study', 'studies')}.")
    return inconclusive(
        f"Only {number(most, 'study', 'studies')} came back: too few to see whether there is a limit."
    )


def _stopped_by_itself(query: QueryFacts) -> bool:
    """Tell whether a limit showed: FE00 unasked (Orthanc), or refused as out of resources (PS3.4 C.4.1.1.4)."""
    status = query.final_status or 0
    is_out_of_resources = status & 0xFF00 == _OUT_OF_RESOURCES
    return query.matches > 0 and (
        (query.end is QueryEnd.WARNING and status == _CANCEL)
        or (query.end is QueryEnd.FAILED and is_out_of_resources)
    )


def _not_listed(door: Door) -> Ruling:
    ruling = _query_of_a_stranger(door)
    if ruling.verdict is Verdict.PASS:
        return not_applicable("Strangers get no answer to a study query at all.")
    return ruling


@check("dimse_patient_attributes_returned")
def patient_attributes_returned(door: Door, _now: datetime) -> Ruling:
    """Judge which patient attributes one match carried: presence and length, never a value."""
    returned = [f.returned for f in door.stranger_attributes]
    if any(returned):
        names_of = ", ".join(next(filter(None, returned)))
        return failed(
            f"One single match carried filled patient attributes: {names_of} (presence and length "
            "only; the values were discarded unread)."
        )
    query = _query_of_a_stranger(door)
    if query.verdict is Verdict.PASS:
        return passed("Strangers get no answer to a study query, so none with patient attributes.")
    if returned and query.verdict is Verdict.FAIL:
        return passed("One single match was looked at, and no patient attribute in it was filled.")
    if door.system.clearance_level < 3 and not door.attempts("attributes"):
        return not_tested("Looked at only from clearance level 3 on.")
    return unasked(door, "attributes")


@check("dimse_worklist_open")
def worklist_open(door: Door, _now: datetime) -> Ruling:
    """Judge the negotiation of worklist queries; the worklist itself is never asked for."""
    contexts = offered(door, "worklist")
    if not contexts:
        return not_offered(door, "the worklist", "worklist")
    if door.decides_late:
        return inconclusive(
            f"A stranger may negotiate {names(contexts)}; but this server agreed to the study query "
            "too and refused it when it came. The worklist is never asked for, so this stays undecided."
        )
    return failed(f"A stranger may negotiate {names(contexts)}; the worklist was not asked for.")
