"""What may a stranger negotiate? One association that proposes everything of interest and is released at once.

Up to 128 presentation contexts (PS3.8 9.3.2.2) in the default transfer syntax. An accepted context is permission in
principle: some products (Orthanc) accept every context and refuse at the command; the checks say so.
"""

import secrets

from doorward.audit.approach import Answer, Approach
from doorward.audit.facts import CapabilityFacts, ContextAnswer, Outcome
from doorward.wire.uids import (
    BASIC_COLOR_PRINT_MANAGEMENT_META,
    BASIC_GRAYSCALE_PRINT_MANAGEMENT_META,
    MODALITY_PERFORMED_PROCEDURE_STEP,
    MODALITY_WORKLIST_FIND,
    PATIENT_ROOT_FIND,
    PATIENT_ROOT_GET,
    PATIENT_ROOT_MOVE,
    PATIENT_STUDY_ONLY_FIND,
    PATIENT_STUDY_ONLY_GET,
    PATIENT_STUDY_ONLY_MOVE,
    STORAGE_COMMITMENT_PUSH_MODEL,
    STORAGE_SOP_CLASSES,
    STUDY_ROOT_FIND,
    STUDY_ROOT_GET,
    STUDY_ROOT_MOVE,
    VERIFICATION,
    name_of,
)

_SERVICES = (
    (VERIFICATION, "echo"),
    (STUDY_ROOT_FIND, "find"),
    (PATIENT_ROOT_FIND, "find"),
    (PATIENT_STUDY_ONLY_FIND, "find"),
    (STUDY_ROOT_GET, "get"),
    (PATIENT_ROOT_GET, "get"),
    (PATIENT_STUDY_ONLY_GET, "get"),
    (STUDY_ROOT_MOVE, "move"),
    (PATIENT_ROOT_MOVE, "move"),
    (PATIENT_STUDY_ONLY_MOVE, "move"),
    (MODALITY_WORKLIST_FIND, "worklist"),
    (MODALITY_PERFORMED_PROCEDURE_STEP, "mpps"),
    (STORAGE_COMMITMENT_PUSH_MODEL, "commitment"),
    (BASIC_GRAYSCALE_PRINT_MANAGEMENT_META, "print"),
    (BASIC_COLOR_PRINT_MANAGEMENT_META, "print"),
)


def made_up_class() -> str:
    """Return a SOP class UID that exists nowhere: whoever agrees to it agrees to anything (PS3.5 section B.2)."""
    return f"2.25.{secrets.randbits(128)}"


def proposed(most: int) -> tuple[tuple[str, str], ...]:
    """Return (abstract syntax, service) of at most ``most`` contexts; storage fills what is left but one.

    The last is a SOP class that was made up: the control of all others.
    """
    room = max(most - len(_SERVICES) - 1, 0)
    stores = tuple((uid, "store") for uid in STORAGE_SOP_CLASSES[:room])
    return (*_SERVICES, *stores, (made_up_class(), "control"))


async def ask(approach: Approach) -> Answer:
    """Propose, read the answers, release."""
    wanted = proposed(approach.limits.presentation_contexts)
    async with approach.admitted_association([uid for uid, _ in wanted]) as requestor:
        assert requestor.accept is not None
        assert approach.admitted is not None
        results = {a.id: a.result for a in requestor.accept.presentation_contexts}
        asked = requestor.connection.association.request_pdu
        assert asked is not None
        services = dict(wanted)
        called, calling = approach.admitted
        facts = CapabilityFacts(
            called_ae_title=called,
            calling_ae_title=calling,
            contexts=tuple(
                ContextAnswer(
                    abstract_syntax=context.abstract_syntax,
                    name=_name(context.abstract_syntax, services[context.abstract_syntax]),
                    service=services[context.abstract_syntax],
                    result=results.get(context.id),
                )
                for context in asked.presentation_contexts
            ),
        )
    return Outcome.ANSWERED, "", facts


def _name(uid: str, service: str) -> str:
    return "made-up SOP class" if service == "control" else name_of(uid)
