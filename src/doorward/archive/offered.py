"""What the archive takes part in on an association: SOP classes and transfer syntaxes, as tables and as an answer.

Whoever is known is offered all of it; what of it they may do, the policy says at each operation. ``docs/conformance.md`` is
drawn from these tables, and held against what a foreign peer can negotiate.
"""

from collections.abc import Mapping

from doorward.limits import DEFAULT_LIMITS
from doorward.net.client import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from doorward.wire.negotiation import negotiate
from doorward.wire.pdu import AssociateAccept, AssociateRequest, UserInformation
from doorward.wire.uids import (
    EXPLICIT_VR_BIG_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    PATIENT_ROOT_FIND,
    PATIENT_ROOT_GET,
    PATIENT_ROOT_MOVE,
    RETIRED_STORAGE_SOP_CLASSES,
    STORAGE_COMMITMENT_PUSH_MODEL,
    STORAGE_SOP_CLASSES,
    STUDY_ROOT_FIND,
    STUDY_ROOT_GET,
    STUDY_ROOT_MOVE,
    VERIFICATION,
)

#: Transfer syntaxes of all services but storage, the best first.
SYNTAXES = (EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN, EXPLICIT_VR_BIG_ENDIAN)
#: SOP classes of which the archive is the provider, storage aside, with their transfer syntaxes.
SERVICES: Mapping[str, tuple[str, ...]] = dict.fromkeys(
    (
        *(VERIFICATION, PATIENT_ROOT_FIND, PATIENT_ROOT_GET, PATIENT_ROOT_MOVE),
        *(STUDY_ROOT_FIND, STUDY_ROOT_GET, STUDY_ROOT_MOVE),
        STORAGE_COMMITMENT_PUSH_MODEL,
    ),
    SYNTAXES,
)
#: Stored in any transfer syntax, as received; also sent back on the same association (C-GET).
STORAGE = frozenset((*STORAGE_SOP_CLASSES, *RETIRED_STORAGE_SOP_CLASSES))


def accept(request: AssociateRequest) -> AssociateAccept:
    """Accept every service of ours; for storage whatever transfer syntax comes first, known to us or not."""
    offers: dict[str, tuple[str, ...]] = dict(SERVICES)
    for context in request.presentation_contexts:
        if context.abstract_syntax in STORAGE:
            before = offers.get(context.abstract_syntax, ())
            offers[context.abstract_syntax] = (*before, *context.transfer_syntaxes)
    agreed = negotiate(
        request.presentation_contexts,
        offers,
        roles=request.user_information.role_selections,
        allow_scp_role=STORAGE,
    )
    return AssociateAccept(
        called_ae_title=request.called_ae_title,
        calling_ae_title=request.calling_ae_title,
        presentation_contexts=agreed.answers,
        user_information=UserInformation(
            max_pdu_bytes=DEFAULT_LIMITS.max_pdu_bytes,
            implementation_class_uid=IMPLEMENTATION_CLASS_UID,
            implementation_version_name=IMPLEMENTATION_VERSION_NAME,
            role_selections=agreed.roles,
        ),
    )
