"""All archives of a fleet as one application: passes each association to the archive that was called, and keeps the log.

Theory of operation: one server of ``net.server`` carries them all; address and port of our side tell which archive is meant.
Without a log nothing is done beside passing on. With one, each callback of the server becomes a line (see ``log``).
"""

from collections.abc import AsyncIterator, Iterable

from doorward.dicom.part10 import syntax_of
from doorward.net.application import Application, Match, Peer
from doorward.net.suboperations import MovePlan
from doorward.net.transfer import Answer, Instance, Receiver
from doorward.practice.archive import PracticeArchive
from doorward.practice.log import EventLog, keys_of
from doorward.practice.personas import TlsDemand
from doorward.wire.command import CFindRequest, CGetRequest, CMoveRequest, CStoreRequest
from doorward.wire.negotiation import AcceptedContext
from doorward.wire.pdu import AssociateAccept, AssociateReject, AssociateRequest
from doorward.wire.uids import PATIENT_ROOT_FIND, STUDY_ROOT_FIND

_DOOR = "dicom"
_MODELS = {STUDY_ROOT_FIND: "study", PATIENT_ROOT_FIND: "patient"}


class Street(Application):
    """The archives by address and port."""

    def __init__(self, log: EventLog | None = None) -> None:
        self.archives: dict[tuple[str, int], PracticeArchive] = {}
        self._log = log
        self._let_in: set[int] = set()  # ids of connections, for the log

    def _called(self, peer: Peer) -> PracticeArchive:
        return self.archives[peer.local_address, peer.local_port]

    # --- connections ----------------------------------------------------------------------------------------------

    def knocked(self, address: str, port: int) -> None:
        """Note a connection where TLS begins; elsewhere it is heard at once."""
        if self._log is not None and self._has_tls(address, port):
            self._log.note("knocked", _DOOR, 0, (address, port, "", 0))

    def connected(self, peer: Peer) -> None:
        """Note it."""
        if self._log is not None:
            has_tls = self._has_tls(peer.local_address, peer.local_port)
            self._note("connected", peer, tls=has_tls)

    def ended(self, peer: Peer, *, in_order: bool) -> None:
        """Note how."""
        if self._log is None:
            return
        if peer.id in self._let_in:
            self._let_in.discard(peer.id)
            self._note("released" if in_order else "aborted", peer)
        self._note("closed", peer)

    def associate(
        self, peer: Peer, request: AssociateRequest
    ) -> AssociateAccept | AssociateReject | None:
        """Let the archive that was called decide."""
        answer = self._called(peer).associate(peer, request)
        if self._log is None:
            return answer
        if isinstance(answer, AssociateReject):
            self._note(
                "rejected", peer, result=answer.result, source=answer.source, reason=answer.reason
            )
            return answer
        self._let_in.add(peer.id)
        self._note(
            "associated",
            peer,
            called=request.called_ae_title,
            calling=request.calling_ae_title,
            contexts=len(request.presentation_contexts),
            accepted=sum(one.is_accepted for one in answer.presentation_contexts),
        )
        return answer

    # --- services -------------------------------------------------------------------------------------------------

    def echo(self, peer: Peer) -> Answer | int:
        """Answer."""
        if self._log is not None:
            self._note("echo", peer)
        return super().echo(peer)

    def find(
        self, peer: Peer, context: AcceptedContext, request: CFindRequest, identifier: bytes
    ) -> Iterable[Match] | AsyncIterator[Match]:
        """Let the archive answer."""
        if self._log is not None:
            keys = keys_of(identifier, syntax_of(context.transfer_syntax))
            model = _MODELS.get(context.abstract_syntax, "other")
            self._note("find", peer, model=model, **keys)
        return self._called(peer).find(peer, context, request, identifier)

    def found(self, peer: Peer, *, matches: int, status: int) -> None:
        """Note what came of a query."""
        if self._log is not None:
            self._note("find_done", peer, matches=matches, status=status)

    def cancelled(self, peer: Peer) -> None:
        """Note the wish to stop."""
        if self._log is not None:
            self._note("cancel", peer)

    def store(self, peer: Peer, context: AcceptedContext, request: CStoreRequest) -> Receiver | int:
        """Let the archive take it."""
        if self._log is not None:
            self._note("store", peer)
        return self._called(peer).store(peer, context, request)

    def get(
        self, peer: Peer, context: AcceptedContext, request: CGetRequest, identifier: bytes
    ) -> Iterable[Instance] | int:
        """Let the archive give it."""
        if self._log is not None:
            self._note("get", peer)
        return self._called(peer).get(peer, context, request, identifier)

    def move(
        self, peer: Peer, context: AcceptedContext, request: CMoveRequest, identifier: bytes
    ) -> MovePlan | int:
        """Let the archive refuse it."""
        if self._log is not None:
            self._note("move", peer)
        return self._called(peer).move(peer, context, request, identifier)

    def _note(self, event: str, peer: Peer, **details: object) -> None:
        assert self._log is not None
        way = (peer.local_address, peer.local_port, peer.address, peer.port)
        self._log.note(event, _DOOR, peer.id, way, **details)

    def _has_tls(self, address: str, port: int) -> bool:
        archive = self.archives.get((address, port))
        return archive is not None and archive.persona.tls is not TlsDemand.NONE
