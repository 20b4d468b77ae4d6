"""All that was seen of one port, digested for the checks: who gets in, and what they are offered.

Theory of operation: a ``Door`` reads the attempts of one port of one system and answers four questions without judging:
what speaks there, whether TLS stands in front, how far a caller comes who has nothing but made-up names (``admission``),
and which facts belong to such a stranger. Only facts of ANSWERED attempts are looked at, so silence can never become
evidence here. The control pairs make the difference: a refusal proves something about the titles only where another pair
got another answer, or where the reject reason says so (PS3.8 Table 9-21).
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar

from doorward.audit.count_facts import PartsFacts
from doorward.audit.database_facts import DatabaseFacts
from doorward.audit.facts import (
    AssociationFacts,
    AssociationReply,
    Attempt,
    AttributeFacts,
    CapabilityFacts,
    Control,
    ExposureFacts,
    Facts,
    Outcome,
    PortState,
    QueryEnd,
    QueryFacts,
    ReachFacts,
    Reply,
    SystemFacts,
    TlsFacts,
    TransportFacts,
)
from doorward.audit.file_facts import FtpFacts, ListingFacts, WebdavFacts
from doorward.audit.hl7_facts import Hl7Facts
from doorward.audit.share_facts import ShareFacts
from doorward.audit.web_facts import Access, DebuggerFacts, DicomWebFacts, WebFacts
from doorward.knowledge.implementations import Identification, identify
from doorward.wire.pdu import ContextResult

FactsT = TypeVar("FactsT", bound=Facts)

#: FTP servers as ``greetings.ftp`` names them -> keys of remediation texts.
FTP_REMEDIES = {
    "vsftpd": "vsftpd",
    "ProFTPD": "proftpd",
    "Pure-FTPd": "pureftpd",
    "FileZilla Server": "filezilla",
    "Microsoft IIS FTP": "iis",
}

_DICOM_REPLIES = (Reply.ACCEPTED, Reply.REJECTED, Reply.ABORTED)
_DROPPED = (Reply.ABORTED, Reply.CLOSED)
_RIGHT_CALLED = (Control.GIVEN_CALLED, Control.LISTED_CALLED)
_RANDOM_CALLING = (Control.RANDOM_BOTH, *_RIGHT_CALLED)

#: (source, reason) of a permanent rejection: PS3.8 Table 9-21 in the words of a report.
REJECT_WORDS = {
    (1, 1): "without a reason",
    (1, 2): "because of the application context",
    (1, 3): "because the calling AE title is not known",
    (1, 7): "because the called AE title is not its own",
    (2, 1): "by its own access control, without a reason: often a refused user identity",
    (2, 2): "because of the protocol version",
}
_CALLING_NOT_KNOWN = (1, 3)
_CALLED_NOT_KNOWN = (1, 7)
_IDENTITY_REFUSED = (2, 1)
#: These are about our request, not about who we are: they say nothing on access.
_ABOUT_THE_PROBE = ((1, 2), (2, 2))

#: Refused: not authorised; SOP class not supported; unrecognized operation (PS3.7 Annex C).
_NOT_FOR_YOU = (0x0124, 0x0122, 0x0211)


class Entry(StrEnum):
    """How far a caller comes who knows nothing, or only public names."""

    ANYBODY = "anybody"  # made-up called and made-up calling title
    CALLED_TITLE = "called_title"  # the right called title, any calling title
    KNOWN_TITLES = "known_titles"  # only a calling title from the server's list
    REFUSED = "refused"  # turned away by calling title, address or user identity
    CERTIFICATE = "certificate"  # turned away in the TLS handshake
    UNDECIDED = "undecided"  # turned away, but the called title may be the only lock
    UNKNOWN = "unknown"  # silence, congestion, a connection that ended without a word


@dataclass(frozen=True, slots=True, kw_only=True)
class Admission:
    """The answer of the control pairs, and the words for it."""

    entry: Entry
    because: str

    @property
    def keeps_strangers_out(self) -> bool:
        """Shown by an answer, not by silence."""
        return self.entry in (Entry.KNOWN_TITLES, Entry.REFUSED, Entry.CERTIFICATE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Door:
    """One port of one system."""

    system: SystemFacts
    port: int

    # --- raw material ---

    def attempts(self, probe: str) -> tuple[Attempt, ...]:
        """Return the attempts of one probe on this port."""
        return self.system.of(probe, self.port)

    def answered(self, kind: type[FactsT]) -> tuple[FactsT, ...]:
        """Return the facts of one kind from ANSWERED attempts only."""
        return tuple(
            [  # a list: asked hundreds of times for each system, and faster than a generator
                attempt.facts
                for attempt in self.system.attempts
                if isinstance(attempt.facts, kind)
                and attempt.endpoint.port == self.port
                and attempt.outcome is Outcome.ANSWERED
            ]
        )

    def replies(self, *controls: Control) -> tuple[AssociationReply, ...]:
        """Return the association replies of the control pairs (of all, where none is named)."""
        return tuple(
            reply
            for facts in self.answered(AssociationFacts)
            for reply in facts.replies
            if not controls or reply.control in controls
        )

    # --- what speaks here ---

    @property
    def database(self) -> DatabaseFacts | None:
        """What a database said that was recognised."""
        return next((f for f in self.answered(DatabaseFacts) if f.is_recognised), None)

    @property
    def share(self) -> ShareFacts | None:
        """What a file server said that was recognised."""
        return next((f for f in self.answered(ShareFacts) if f.is_recognised), None)

    @property
    def state(self) -> PortState | None:
        """What TCP said; also from attempts without an answer, because a state is no verdict."""
        states = {
            a.facts.port_state
            for a in (*self.attempts("association"), *self.attempts("reach"))
            if isinstance(a.facts, (AssociationFacts, ReachFacts))
        }
        for state in (PortState.OPEN, PortState.CLOSED, PortState.FILTERED, PortState.UNREACHABLE):
            if state in states:
                return state
        return PortState.OPEN if self.answered(TransportFacts) else None

    @property
    def speaks_plain_dicom(self) -> bool | None:
        """A plain A-ASSOCIATE-RQ got a PDU of the Standard back; None: not known."""
        if any(
            not facts.over_tls and any(r.reply in _DICOM_REPLIES for r in facts.replies)
            for facts in self.answered(AssociationFacts)
        ):
            return True
        said = [t.speaks_plain_dicom for t in self.answered(TransportFacts)]
        return True if True in said else False if False in said else None

    @property
    def speaks_tls(self) -> bool | None:
        """A TLS handshake succeeded, or stopped for want of a client certificate; None: not known."""
        if any(facts.over_tls and facts.replies for facts in self.answered(AssociationFacts)):
            return True
        said = [t.speaks_tls for t in self.answered(TransportFacts)]
        return True if True in said else False if False in said else None

    @property
    def tls(self) -> TlsFacts | None:
        """The TLS handshake, where there was one."""
        return next((t.tls for t in self.answered(TransportFacts) if t.tls is not None), None)

    @property
    def demands_certificate(self) -> bool:
        """Whoever has no client certificate gets no further than TLS, and no plain way was seen beside it."""
        tls = self.tls
        return (
            tls is not None
            and tls.client_certificate_required is True
            and self.speaks_plain_dicom is not True
        )

    @property
    def speaks_dicom(self) -> bool:
        """A PDU of the Standard came back, plain or over TLS."""
        return self.speaks_plain_dicom is True or any(
            r.reply in _DICOM_REPLIES for r in self.replies()
        )

    @property
    def is_dicom(self) -> bool:
        """The DICOM checks have a meaning here: it speaks DICOM, or asks for a certificate first.

        A port where nobody tried an association (HTTPS by its number) hides something else behind its certificate.
        """
        return self.speaks_dicom or (self.demands_certificate and self._was_tried_for_dicom)

    @property
    def _was_tried_for_dicom(self) -> bool:
        return bool(self.attempts("association")) or not self.attempts("reach")

    @property
    def shows_imaging(self) -> bool:
        """Something of imaging stands here: DICOM, a product's page or interface, or DICOMweb that answers."""
        roots = [root for facts in self.answered(DicomWebFacts) for root in facts.roots]
        return (
            self.is_dicom
            or any(facts.has_imaging for facts in self.answered(WebFacts))
            or any(root.qido is Access.OPEN for root in roots)
        )

    @property
    def speaks_other(self) -> str:
        """What the port speaks instead of DICOM, "unknown" for bytes that nobody knows; "" if it is not shown.

        A port that speaks TLS is judged by what speaks inside.
        """
        for facts in self.answered(AssociationFacts):
            if not facts.over_tls and self.speaks_tls is True:
                continue
            for reply in facts.replies:
                if reply.reply is Reply.NOT_DICOM and reply.looks_like != "tls":
                    return reply.looks_like or "unknown"
        return self._recognised

    @property
    def _recognised(self) -> str:
        """The protocol that a probe of another kind than DICOM recognised, or ""."""
        if self.database is not None:
            return self.database.protocol
        if self.share is not None:
            return self.share.protocol
        web = [facts for facts in self.answered(WebFacts) if facts.speaks_http]
        if web:
            return "https" if all(facts.over_tls for facts in web) else "http"
        if any(facts.is_recognised for facts in self.answered(FtpFacts)):
            return "ftp"
        if any(facts.is_jdwp for facts in self.answered(DebuggerFacts)):
            return "jdwp"
        hl7 = next(iter(self.answered(Hl7Facts)), None)
        return "" if hl7 is None else "hl7" if hl7.is_hl7 else hl7.looks_like

    @property
    def identification(self) -> Identification:
        """The stack that the first recognised A-ASSOCIATE-AC names."""
        for reply in self.replies():
            found = identify(reply.implementation_class_uid, reply.implementation_version_name)
            if found.is_known:
                return found
        return Identification()

    @property
    def remedies(self) -> tuple[str, ...]:
        """Whose remediation texts apply, likeliest first; () where only the generic one does.

        Orthanc and dcmqrscp name the same stack; Orthanc agrees to storage commitment, dcmqrscp has none.
        """
        if self.database is not None:
            return (self.database.protocol,)
        if self.share is not None:
            return ("smb" if self.share.protocol == "smb" else "nfs",)
        products = (*self._web_products, *self.identification.remedies, *self._file_servers)
        keys = tuple(dict.fromkeys(products))
        answers = [c for f in self.answered(CapabilityFacts) for c in f.contexts]
        commitment = {c.result for c in answers if c.service == "commitment"}
        if "orthanc" in keys and commitment:
            return ("orthanc",) if ContextResult.ACCEPTANCE in commitment else ("dcmtk", "orthanc")
        return keys

    @property
    def _web_products(self) -> tuple[str, ...]:
        """Which archives show themselves in HTTP here."""
        seen = self.answered(WebFacts)
        keys = [rest.key for facts in seen for rest in facts.rest]
        keys += [product.key for facts in seen for product in facts.products]
        return tuple(key for key in keys if key)

    @property
    def _file_servers(self) -> tuple[str, ...]:
        """Whose lists of files were seen here."""
        folders = [f for facts in self.answered(ListingFacts) for f in facts.folders]
        folders += [f for facts in self.answered(WebdavFacts) for f in facts.folders]
        ftp = [FTP_REMEDIES.get(facts.product, "") for facts in self.answered(FtpFacts)]
        found = dict.fromkeys((*(folder.software for folder in folders), *ftp))
        return tuple(key for key in found if key)

    # --- who gets in ---

    @property
    def admission(self) -> Admission:
        """How far a stranger comes, with the words for it."""
        if self.demands_certificate:
            return Admission(
                entry=Entry.CERTIFICATE,
                because="callers without a client certificate are turned away in the TLS handshake",
            )
        return self._admitted() or self._refused() or self._undecided()

    def _admitted(self) -> Admission | None:
        for controls, entry in (
            ((Control.RANDOM_BOTH,), Entry.ANYBODY),
            (_RIGHT_CALLED, Entry.CALLED_TITLE),
        ):
            reply = _accepted(self.replies(*controls))
            if reply is not None:
                return Admission(
                    entry=entry,
                    because=f"the calling AE title {reply.calling_ae_title}, which was made up, was accepted",
                )
        return None

    def _refused(self) -> Admission | None:
        known = _accepted(self.replies(Control.GIVEN_BOTH))
        for reply in self.replies(*_RANDOM_CALLING):
            words = _why_refused(reply, has_known_pair=known is not None)
            if words:
                entry = Entry.REFUSED if known is None else Entry.KNOWN_TITLES
                return Admission(entry=entry, because=words)
        return None

    def _undecided(self) -> Admission:
        named = next(iter(self.replies(Control.GIVEN_CALLED)), None)
        if named is not None and (named.rejection is None or named.rejection.is_transient):
            # What a made-up title was told says nothing where the operator's own met congestion or silence.
            return Admission(entry=Entry.UNKNOWN, because=describe(named))
        for reply in self.replies(*_RANDOM_CALLING):
            rejection = reply.rejection
            if rejection is None or rejection.is_transient:
                continue
            reason = (rejection.source, rejection.reason)
            if reason not in _ABOUT_THE_PROBE:
                return Admission(entry=Entry.UNDECIDED, because=describe(reply))
        last = next(iter(self.replies(*_RANDOM_CALLING)), None)
        because = "no answer came that says who may enter" if last is None else describe(last)
        return Admission(entry=Entry.UNKNOWN, because=because)

    # --- what belongs to a stranger ---

    @property
    def _known_pairs(self) -> frozenset[tuple[str, str]]:
        given = self.replies(Control.GIVEN_BOTH)
        return frozenset((r.called_ae_title, r.calling_ae_title) for r in given)

    @property
    def stranger_capabilities(self) -> tuple[CapabilityFacts, ...]:
        """What was negotiated by a caller whose title nobody vouches for."""
        if self.demands_certificate:
            return ()
        return tuple(
            facts
            for facts in self.answered(CapabilityFacts)
            if (facts.called_ae_title, facts.calling_ae_title) not in self._known_pairs
        )

    @property
    def stranger_exposures(self) -> tuple[ExposureFacts, ...]:
        """The counting queries, where a stranger could ask them."""
        return self.answered(ExposureFacts) if self._asks_as_stranger else ()

    @property
    def stranger_parts(self) -> tuple[PartsFacts, ...]:
        """The same in parts, where the archive did not tell everything at once."""
        return self.answered(PartsFacts) if self._asks_as_stranger else ()

    @property
    def stranger_attributes(self) -> tuple[AttributeFacts, ...]:
        """The attributes of one match, where a stranger could ask for it."""
        return self.answered(AttributeFacts) if self._asks_as_stranger else ()

    @property
    def refuses_queries(self) -> bool:
        """Every STUDY query of a stranger was refused by a word of the server, not by silence."""
        asked = [q for e in self.stranger_exposures for q in e.queries if q.level == "STUDY"]
        return bool(asked) and all(_is_refused(q) for q in asked)

    @property
    def decides_late(self) -> bool:
        """It agrees to a query context and refuses the query itself, as Orthanc does.

        At such a server an accepted context is no proof that the service behind it is granted.
        """
        offers = any(c.accepted("find") for c in self.stranger_capabilities)
        asked = [q for e in self.stranger_exposures for q in e.queries if q.level == "STUDY"]
        return (
            offers and self.refuses_queries and any(q.end is not QueryEnd.NO_CONTEXT for q in asked)
        )

    @property
    def _asks_as_stranger(self) -> bool:
        # Exposure facts carry no titles: they were asked with the pair of the capabilities that offered a query.
        if self.demands_certificate:
            return False
        if any(c.accepted("find") for c in self.answered(CapabilityFacts)):
            return any(c.accepted("find") for c in self.stranger_capabilities)
        return not self.admission.keeps_strangers_out


def doors(system: SystemFacts) -> tuple[Door, ...]:
    """Return every port that was tried, as a door."""
    return tuple(Door(system=system, port=port) for port in system.ports)


def dicom_doors(system: SystemFacts) -> tuple[Door, ...]:
    """Return the doors on which the DICOM checks have a meaning."""
    return tuple(door for door in doors(system) if door.is_dicom)


def shows_imaging(system: SystemFacts) -> bool:
    """Tell whether anything of imaging was seen on any port of this system."""
    return any(door.shows_imaging for door in doors(system))


def describe(reply: AssociationReply) -> str:
    """Return one reply in plain words with the DICOM fact; no text of the peer is in it."""
    match reply.reply:
        case Reply.ACCEPTED:
            return "the association was accepted"
        case Reply.REJECTED if reply.rejection is not None:
            triplet = f"{reply.rejection.result}/{reply.rejection.source}/{reply.rejection.reason}"
            return f"the association was refused {_reject_words(reply)} (A-ASSOCIATE-RJ {triplet})"
        case Reply.ABORTED:
            return "the association was aborted (A-ABORT), which does not say why"
        case Reply.CLOSED:
            return "the connection was closed without an answer"
        case Reply.NOT_DICOM:
            return f"the answer was not DICOM but {reply.looks_like or 'something unknown'}"
        case Reply.SILENT:
            return "no answer came in time"
    return "no connection was made"


def _is_refused(query: QueryFacts) -> bool:
    """Tell whether a query was refused for who asked it (PS3.7 Annex C), not for how it was asked."""
    match query.end:
        case QueryEnd.NO_CONTEXT:
            return True
        case QueryEnd.REFUSED:
            # Without a status: Orthanc refuses by an A-ABORT of its application in place of a response.
            return query.final_status is None or query.final_status in _NOT_FOR_YOU
    return False


def _reject_words(reply: AssociationReply) -> str:
    assert reply.rejection is not None
    if reply.rejection.result not in (1, 2):
        return "with a result that the Standard does not have"
    if reply.rejection.is_transient:
        return "for the moment (busy or at a limit)"
    reason = (reply.rejection.source, reply.rejection.reason)
    return REJECT_WORDS.get(reason, "for a reason that the Standard does not list")


def _accepted(replies: tuple[AssociationReply, ...]) -> AssociationReply | None:
    return next((r for r in replies if r.reply is Reply.ACCEPTED), None)


def _why_refused(reply: AssociationReply, *, has_known_pair: bool) -> str:
    """Return why this reply shows that a made-up calling title is not enough, or ""."""
    # Only the operator's own called title is known to be right; a listed one is a guess.
    has_right_called = reply.control is Control.GIVEN_CALLED
    if reply.reply in _DROPPED:
        # A dropped association says nothing by itself; beside an accepted pair it does.
        is_shown = has_right_called and has_known_pair
        return f"{describe(reply)}, while the given pair was accepted" if is_shown else ""
    rejection = reply.rejection
    if reply.reply is not Reply.REJECTED or rejection is None or rejection.is_transient:
        return ""
    reason = (rejection.source, rejection.reason)
    if reason in _ABOUT_THE_PROBE:
        return ""
    if reason in (_CALLING_NOT_KNOWN, _IDENTITY_REFUSED):
        return describe(reply)
    # dcmqrscp refuses unknown callers with the reason for an unknown called title: an accepted pair tells them apart.
    if reason == _CALLED_NOT_KNOWN and has_right_called and has_known_pair:
        return f"{describe(reply)}, which cannot be the called title: the given caller was let in"
    return describe(reply) if has_right_called and reason != _CALLED_NOT_KNOWN else ""
