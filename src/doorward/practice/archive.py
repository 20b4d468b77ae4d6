"""One persona as an application of ``net.server``: admits, answers queries from a holding, gives and takes images.

What is stored is dropped; C-MOVE knows no destination. Nothing is kept between two requests but a count of rejections.
"""

from collections.abc import AsyncIterator, Iterable, Iterator
from itertools import repeat

from doorward.dicom.part10 import syntax_of
from doorward.dicom.values import Attribute
from doorward.errors import LimitExceeded, PeerProtocolError
from doorward.limits import DEFAULT_LIMITS
from doorward.net.application import SUCCESS, Application, Match, Peer
from doorward.net.suboperations import MovePlan
from doorward.net.transfer import Instance, Receiver
from doorward.practice.holding import Holding
from doorward.practice.instances import SOP_CLASS, instances_of
from doorward.practice.manners import abort, in_manner, one_by_one, silence
from doorward.practice.matches import (
    COUNTS,
    LEVEL,
    LEVELS,
    RETRIEVE_AE_TITLE,
    STUDY_DATE,
    STUDY_TIME,
    Query,
    identifiers,
    parse_query,
)
from doorward.practice.personas import Admits, Persona, Returns
from doorward.wire.command import CFindRequest, CGetRequest, CMoveRequest, CStoreRequest
from doorward.wire.negotiation import AcceptedContext, negotiate
from doorward.wire.pdu import (
    AnsweredContext,
    AssociateAccept,
    AssociateReject,
    AssociateRequest,
    ContextResult,
    UserIdentity,
    UserInformation,
)
from doorward.wire.uids import (
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    PATIENT_ROOT_FIND,
    PATIENT_ROOT_GET,
    PATIENT_ROOT_MOVE,
    STORAGE_SOP_CLASSES,
    STUDY_ROOT_FIND,
    STUDY_ROOT_GET,
    STUDY_ROOT_MOVE,
    VERIFICATION,
)

_SYNTAXES = (IMPLICIT_VR_LITTLE_ENDIAN, EXPLICIT_VR_LITTLE_ENDIAN)
_STORED_SYNTAXES = (EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN)
_MODELS = {
    ("find", "study"): STUDY_ROOT_FIND,
    ("find", "patient"): PATIENT_ROOT_FIND,
    ("get", "study"): STUDY_ROOT_GET,
    ("get", "patient"): PATIENT_ROOT_GET,
    ("move", "study"): STUDY_ROOT_MOVE,
    ("move", "patient"): PATIENT_ROOT_MOVE,
}
#: Temporary congestion (PS3.8 Table 9-21).
_CONGESTED = AssociateReject(result=2, source=3, reason=1)
_CALLED_UNKNOWN = AssociateReject(result=1, source=1, reason=7)
_CALLING_UNKNOWN = AssociateReject(result=1, source=1, reason=3)
#: A user identity that does not do is answered without a reason of its own (PS3.7 section D.3.3.7.3, PS3.8 Table 9-21).
_USER_UNKNOWN = AssociateReject(result=1, source=2, reason=1)
#: User name and passcode (PS3.7 Table D.3-14).
_WITH_PASSCODE = 2
#: C-FIND and C-GET: identifier does not match SOP class; C-MOVE: destination unknown (PS3.4 Tables C.4-1 to C.4-3).
_DOES_NOT_FIT = 0xA900
_DESTINATION_UNKNOWN = 0xA801
#: Refused: out of resources, unable to calculate number of matches (PS3.4 Table C.4-3).
_TOO_MANY = 0xA701
#: Refused: not authorized (PS3.7 Annex C.4.25).
_NOT_AUTHORISED = 0x0124
#: What one C-GET gives away at most: sub-operations are held as a list.
_MOST_RETRIEVED = 1_000
#: Sums over a patient: no attributes of a study.
_SUMS_OF_PATIENT = frozenset((0x0020_1200, 0x0020_1202, 0x0020_1204))
#: The list of an archive that knows better than its caller.
_OWN_CHOICE = frozenset((0x0008_0020, 0x0008_0050, 0x0008_0061, 0x0008_1030)) | frozenset(
    (0x0010_0010, 0x0010_0020, 0x0010_0030, 0x0010_0040, 0x0020_000D, 0x0020_0010)
)


class PracticeArchive(Application):
    """One archive. ``calling_ae_title`` is the one caller that a checked archive knows."""

    def __init__(
        self,
        persona: Persona,
        holding: Holding,
        *,
        ae_title: str = "PRACTICE",
        calling_ae_title: str = "WORKSTATION",
    ) -> None:
        self.persona = persona
        self.holding = holding
        self.ae_title = ae_title
        self.calling_ae_title = calling_ae_title
        self._attributes = holding.attributes()
        self._rejections_left = persona.rejections
        self._offers = _offers(persona)
        self._ignored = (STUDY_DATE, STUDY_TIME) if persona.query.ignores_dates else ()

    # --- associations ---------------------------------------------------------------------------------------------

    def associate(self, peer: Peer, request: AssociateRequest) -> AssociateAccept | AssociateReject:
        """Admit as the persona does (PS3.8 Table 9-21 for the refusals)."""
        rejection = self._rejection(request)
        if rejection is not None:
            return rejection
        information = request.user_information
        is_given_away = "get" in self.persona.services
        offers = dict(self._offers)
        if is_given_away:  # C-GET: the requestor takes images on its own association
            takes = {role.sop_class_uid for role in information.role_selections if role.scp_role}
            offers |= dict.fromkeys(takes & {SOP_CLASS}, _STORED_SYNTAXES)
        answer = negotiate(
            request.presentation_contexts,
            offers,
            roles=information.role_selections,
            allow_scp_role=(SOP_CLASS,) if is_given_away else (),
        )
        contexts = answer.answers
        if self.persona.accepts_every_context:
            contexts = _accept_all(request)
        return AssociateAccept(
            called_ae_title=request.called_ae_title,
            calling_ae_title=request.calling_ae_title,
            presentation_contexts=contexts,
            user_information=UserInformation(
                max_pdu_bytes=DEFAULT_LIMITS.max_pdu_bytes,
                implementation_class_uid=self.persona.implementation_class_uid,
                implementation_version_name=self.persona.implementation_version_name,
                role_selections=answer.roles,
            ),
        )

    def _rejection(self, request: AssociateRequest) -> AssociateReject | None:
        if self._rejections_left is None:
            return _CONGESTED
        if self._rejections_left > 0:
            self._rejections_left -= 1
            return _CONGESTED
        match self.persona.admits:
            case Admits.CALLED_TITLE if request.called_ae_title != self.ae_title:
                return _CALLED_UNKNOWN
            case Admits.KNOWN_CALLER if request.calling_ae_title != self.calling_ae_title:
                return _CALLING_UNKNOWN
            case Admits.USER if not self._is_known_user(request.user_information.user_identity):
                return _USER_UNKNOWN
            case Admits.NOBODY:
                return _CALLING_UNKNOWN
        return None

    def _is_known_user(self, identity: UserIdentity | None) -> bool:
        """The one user is called as the one known caller, the password is the archive's own title."""
        if identity is None or identity.type != _WITH_PASSCODE:
            return False
        return (identity.primary, identity.secondary) == (
            self.calling_ae_title.encode(),
            self.ae_title.encode(),
        )

    # --- queries --------------------------------------------------------------------------------------------------

    def find(
        self, peer: Peer, context: AcceptedContext, request: CFindRequest, identifier: bytes
    ) -> Iterable[Match] | AsyncIterator[Match]:
        """Answer from the holding, in the persona's manner."""
        manners = self.persona.query
        if manners.aborts_at_once:
            raise abort()
        if manners.is_silent:
            return silence(peer)
        query = self._query(context, identifier)
        if query is None:
            return [(_DOES_NOT_FIT, None)]
        matches = in_manner(self._matches(query, context), manners)
        return one_by_one(matches, manners.delay_s) if manners.delay_s else matches

    def _query(self, context: AcceptedContext, identifier: bytes) -> Query | None:
        syntax = syntax_of(context.transfer_syntax)
        try:
            query = parse_query(identifier, syntax, self.holding, ignored=self._ignored)
        except (PeerProtocolError, LimitExceeded):
            return None
        is_study_root = context.abstract_syntax == STUDY_ROOT_FIND
        if query is not None and query.level == "PATIENT" and is_study_root:
            return None  # PS3.4 section C.6.2.1: the study root begins at STUDY
        return query

    def _matches(self, query: Query, context: AcceptedContext) -> Iterator[Match]:
        found = identifiers(
            query,
            self._returned(query),
            syntax_of(context.transfer_syntax),
            self.holding,
            is_endless=self.persona.query.is_endless,
        )
        return zip(repeat(query.status), found)

    def _returned(self, query: Query) -> list[Attribute]:
        """Return the attributes of each match at a level: those of the levels above belong to it too."""
        manners = self.persona.query
        levels = LEVELS[: LEVELS.index(query.level) + 1]
        chosen = _OWN_CHOICE if manners.returns is Returns.OWN_CHOICE else query.asked
        returned: list[Attribute] = [
            (tag, vr, value)
            for tag, (level, vr, value) in self._attributes.items()
            if level in levels
            and (manners.returns is Returns.EVERYTHING or tag in chosen)
            and not (manners.hides_counts and tag in COUNTS)
            and not (query.level != "PATIENT" and tag in _SUMS_OF_PATIENT)
        ]
        returned.append((LEVEL, "CS", query.level))
        returned.append((RETRIEVE_AE_TITLE, "AE", self.ae_title))
        return returned

    # --- images ---------------------------------------------------------------------------------------------------

    def get(
        self, peer: Peer, context: AcceptedContext, request: CGetRequest, identifier: bytes
    ) -> Iterable[Instance] | int:
        """Give away the images of the studies that match."""
        if self.persona.query.aborts_at_once:
            raise abort()
        try:
            query = parse_query(identifier, syntax_of(context.transfer_syntax), self.holding)
        except (PeerProtocolError, LimitExceeded):
            return _DOES_NOT_FIT
        if query is None or query.level != "STUDY":
            return _DOES_NOT_FIT
        studies = list(query.numbers)
        if sum(map(self.holding.images_of, studies)) > _MOST_RETRIEVED:
            return _TOO_MANY
        return [one for study in studies for one in instances_of(self.holding, study)]

    def move(
        self, peer: Peer, context: AcceptedContext, request: CMoveRequest, identifier: bytes
    ) -> MovePlan | int:
        """Know no destination: a practice archive dials nobody."""
        return _DESTINATION_UNKNOWN

    def store(self, peer: Peer, context: AcceptedContext, request: CStoreRequest) -> Receiver | int:
        """Take and drop, where the persona takes images."""
        return _Discard() if "store" in self.persona.services else _NOT_AUTHORISED


class _Discard:
    """Takes an instance and forgets it."""

    def fragment(self, fragment: bytes) -> None:
        """Drop a piece."""

    def end(self) -> int:
        """Say that it was stored: whoever practises must not send what matters."""
        return SUCCESS

    def abandon(self) -> None:
        """Nothing was kept."""


def _offers(persona: Persona) -> dict[str, tuple[str, ...]]:
    """Return abstract syntax -> transfer syntaxes of what the persona agrees to."""
    offers: dict[str, tuple[str, ...]] = {}
    if "echo" in persona.services:
        offers[VERIFICATION] = _SYNTAXES
    for (service, model), uid in _MODELS.items():
        if service in persona.services and model in persona.models:
            offers[uid] = _SYNTAXES
    if "store" in persona.services:
        offers |= dict.fromkeys((*STORAGE_SOP_CLASSES, SOP_CLASS), _STORED_SYNTAXES)
    return offers


def _accept_all(request: AssociateRequest) -> tuple[AnsweredContext, ...]:
    return tuple(
        AnsweredContext(
            id=context.id,
            result=ContextResult.ACCEPTANCE,
            transfer_syntax=context.transfer_syntaxes[0],
        )
        for context in request.presentation_contexts
    )
