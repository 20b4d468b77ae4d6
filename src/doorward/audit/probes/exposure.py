"""Does the archive answer a stranger's query, and how much lies behind? Counting, never collecting.

First a C-ECHO on the same association: an archive that answers it and aborts at the query has refused the query, one
that answers neither has said nothing (Orthanc accepts every context and aborts at the command that it does not allow).
Then STUDY-level C-FIND with (0020,000D) and (0020,1208) as the only return keys, then PATIENT-level C-FIND with
(0020,1200) alone: no patient attribute is requested (PS3.4 section C.6.1, C.6.2). Of each match the status and (0020,1208)
are read; every other byte is dropped unread.
"""

import asyncio
from dataclasses import replace

from doorward.audit.approach import Answer, Approach
from doorward.audit.count import MatchCounter, image_count, study_count
from doorward.audit.facts import UNKNOWN_COUNT, Count, ExposureFacts, Outcome, QueryEnd, QueryFacts
from doorward.dicom.values import Attributes, encode_identifier
from doorward.dicom.walk import Syntax
from doorward.errors import AssociationAborted, DoorwardError, ReplyTimeout
from doorward.net.client import Requestor
from doorward.net.operations import FindEnd, FindResult
from doorward.wire.pdu import ContextResult
from doorward.wire.status import StatusClass, classify
from doorward.wire.uids import PATIENT_ROOT_FIND, STUDY_ROOT_FIND, VERIFICATION

_LEVEL = 0x0008_0052
#: The level first.
STUDY_KEYS = ((_LEVEL, "CS", "STUDY"), (0x0020_000D, "UI", ""), (0x0020_1208, "IS", ""))
_PATIENT_KEYS = ((_LEVEL, "CS", "PATIENT"), (0x0020_1200, "IS", ""))
#: Beside what was asked: Specific Character Set, Retrieve AE Title, Storage Media File-Set (PS3.4 C.4.1.1.3.2).
USUAL_ADDITIONS = 3

#: Presentation context results that are about the service or its user, not about encodings (PS3.8 Table 9-18).
_REFUSED = (
    ContextResult.USER_REJECTION,
    ContextResult.NO_REASON,
    ContextResult.ABSTRACT_SYNTAX_NOT_SUPPORTED,
)

_SYNTAXES = (VERIFICATION, STUDY_ROOT_FIND, PATIENT_ROOT_FIND)


async def ask(approach: Approach) -> Answer:
    """Count studies and images, then patients."""
    async with approach.admitted_association(_SYNTAXES) as requestor:
        is_talking = await _echoes(requestor)
        study = await _count(requestor, "STUDY", is_talking=is_talking)
        patient: QueryFacts | None = None
        if study.end not in (QueryEnd.ABORTED, QueryEnd.SILENT, QueryEnd.REFUSED):
            patient = await _count(requestor, "PATIENT", is_talking=is_talking)
    queries = (study,) if patient is None else (study, patient)
    studies = study_count(study)
    facts = ExposureFacts(
        queries=queries,
        studies=studies,
        images=image_count(study, studies),
        patients=_patients(patient, studies),
    )
    return (*_outcome(study, is_refused=_is_refused_context(requestor, STUDY_ROOT_FIND)), facts)


def _patients(query: QueryFacts | None, studies: Count) -> Count:
    count = study_count(query)
    if count.value is not None and studies.value and count.value == 0:
        return replace(UNKNOWN_COUNT, method="the archive lists studies but no patients")
    return count


def _is_refused_context(requestor: Requestor, abstract_syntax: str) -> bool:
    """Tell whether the accept refuses a context in words (PS3.8 Table 9-18); leaving it out says nothing."""
    asked = requestor.connection.association.request_pdu
    assert asked is not None
    assert requestor.accept is not None
    ids = {c.id for c in asked.presentation_contexts if c.abstract_syntax == abstract_syntax}
    return any(a.id in ids and a.result in _REFUSED for a in requestor.accept.presentation_contexts)


def _outcome(study: QueryFacts, *, is_refused: bool) -> tuple[Outcome, str]:
    """An answer is matches, a final status, or a refusal; silence and a lost connection are none."""
    if study.matches > 0 or study.end in (QueryEnd.SUCCESS, QueryEnd.WARNING, QueryEnd.REFUSED):
        return Outcome.ANSWERED, ""
    if study.end is QueryEnd.NO_CONTEXT and is_refused:
        return Outcome.ANSWERED, "no query context was accepted"
    if study.end is QueryEnd.NO_CONTEXT:
        return Outcome.INCONCLUSIVE, "the query context was neither accepted nor refused"
    return Outcome.INCONCLUSIVE, f"the study query got no answer ({study.end.value})"


async def _echoes(requestor: Requestor) -> bool:
    """C-ECHO as a control: the archive talks to us at all."""
    if requestor.context_for(VERIFICATION) is None:
        return False
    try:
        return await requestor.echo() == 0
    except (AssociationAborted, ReplyTimeout):
        return False


async def _count(requestor: Requestor, level: str, *, is_talking: bool) -> QueryFacts:
    model = PATIENT_ROOT_FIND
    if level == "STUDY" and requestor.context_for(STUDY_ROOT_FIND) is not None:
        model = STUDY_ROOT_FIND  # where it is missing, many archives answer the same at the patient root
    keys = STUDY_KEYS if level == "STUDY" else _PATIENT_KEYS
    counter = MatchCounter(asked=len(keys) + USUAL_ADDITIONS)
    return await counted(requestor, model, keys, counter, is_talking=is_talking)


async def counted(
    requestor: Requestor,
    model: str,
    keys: Attributes,
    counter: MatchCounter,
    *,
    is_talking: bool = False,
    max_matches: int | None = None,
    max_s: float | None = None,
) -> QueryFacts:
    """Ask one C-FIND, whose first key is the level, and return what the counter made of the matches.

    ``is_talking``: a C-ECHO was answered on this association, so that an abort at the query is a refusal.
    """
    facts = QueryFacts(
        level=str(keys[0][2]),
        information_model=model,
        end=QueryEnd.NO_CONTEXT,
        final_status=None,
        matches=0,
    )
    if requestor.context_for(model) is None:
        return facts
    identifier = encode_identifier(keys, Syntax.IMPLICIT_LITTLE)
    begun = asyncio.get_running_loop().time()
    try:
        result = await requestor.find(
            model, identifier, counter.take, max_matches=max_matches, max_s=max_s
        )
    except DoorwardError:
        return replace(facts, end=QueryEnd.ABORTED)
    return replace(
        facts,
        end=_end(result, is_talking=is_talking),
        final_status=result.final_status,
        matches=result.matches,
        instances=counter.instances,
        matches_with_instances=counter.with_instances,
        malformed=counter.malformed,
        extra_elements=counter.extra,
        reached_cap=result.capped,
        duration_s=round(asyncio.get_running_loop().time() - begun, 4),
    )


def _end(result: FindResult, *, is_talking: bool) -> QueryEnd:
    """Say how a query ended in the vocabulary of facts."""
    if result.end is FindEnd.SILENT:
        return QueryEnd.SILENT
    if result.end is FindEnd.ABORTED:
        return QueryEnd.REFUSED if _is_refusal(result, is_talking=is_talking) else QueryEnd.ABORTED
    assert result.final_status is not None
    match classify(result.final_status):
        case StatusClass.SUCCESS:
            return QueryEnd.SUCCESS
        case StatusClass.CANCEL:
            return QueryEnd.CANCELLED if result.capped else QueryEnd.WARNING
        case StatusClass.WARNING:
            return QueryEnd.WARNING
        case _:
            return QueryEnd.FAILED if result.matches else QueryEnd.REFUSED


def _is_refusal(result: FindResult, *, is_talking: bool) -> bool:
    """A-ABORT by the peer's service user at our query, after it answered C-ECHO on the same association."""
    failure = result.failure
    return (
        is_talking
        and result.matches == 0
        and isinstance(failure, AssociationAborted)
        and failure.by_peer
        and failure.source == 0
    )
