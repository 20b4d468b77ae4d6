"""Does a system look like a honeypot, a tar pit or a demonstration? A score from independent signs, each in plain words.

Theory of operation: no single sign is enough, but for the stack of a known honeypot; points of different signs add up to 100
at the most. A real archive may show one of them (a promiscuous receiver, a test server in a clinic), so a suspicion takes
two. What is suspected stays in the report with its signs and is left out of the totals, unless the operator counts it.
Doorward's own practice archives are no sign: they stand for real ones.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from doorward.audit.database_facts import DatabaseFacts
from doorward.audit.door import Door, doors
from doorward.audit.facts import CapabilityFacts, PortState, Reply, SystemFacts
from doorward.audit.file_facts import FtpFacts, ListingFacts, WebdavFacts
from doorward.audit.hl7_facts import Hl7Facts
from doorward.audit.share_facts import ShareFacts
from doorward.audit.web_facts import WebFacts
from doorward.knowledge.implementations import identify

#: From here on a system is left out of the totals.
SUSPECT_FROM = 50
_MOST = 100
#: A dcm4chee machine with everything on it has DICOM, HTTP, HL7, LDAP and one database.
_MOST_DATABASES, _MOST_KINDS = 2, 7
#: dcm4chee and others answer alike on 104, 11112 and their TLS port.
_MOST_ALIKE = 3
_MANY_PORTS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Sign:
    """One thing that real archives do not show."""

    points: int
    because: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Suspicion:
    """How much a system looks like a honeypot: 0 to 100, and why."""

    score: int
    signs: tuple[Sign, ...]

    @property
    def is_suspected(self) -> bool:
        """Enough signs to leave it out of the totals."""
        return self.score >= SUSPECT_FROM


def suspicion(system: SystemFacts) -> Suspicion:
    """Return the score of one system; pure, from its facts."""
    tried = doors(system)
    signs = (
        *_of_stack(tried),
        *_of_promiscuity(tried),
        *_of_likeness(tried),
        *_of_services(tried),
        *_of_lists(tried),
        *_of_ports(tried),
    )
    return Suspicion(score=min(_MOST, sum(sign.points for sign in signs)), signs=signs)


def _of_stack(tried: tuple[Door, ...]) -> Iterator[Sign]:
    """A toolkit that no product ships."""
    found = [
        identify(reply.implementation_class_uid, reply.implementation_version_name)
        for door in tried
        for reply in door.replies()
    ]
    if any(one.honeypot for one in found):
        yield Sign(points=80, because="the association names the stack of a known honeypot")
    elif any(one.scanner for one in found):
        yield Sign(points=50, because="the association names a scanner, which is no server")
    elif any(one.toolkit == "pynetdicom" for one in found):
        yield Sign(
            points=25,
            because="the association names pynetdicom, the stack of demonstrations, tests and honeypots",
        )


def _of_promiscuity(tried: tuple[Door, ...]) -> Iterator[Sign]:
    """A SOP class that was made up for this one question."""
    for door in tried:
        if any(facts.accepted("control") for facts in door.answered(CapabilityFacts)):
            yield Sign(
                points=30,
                because=f"port {door.port} agrees to a SOP class that was made up and exists nowhere",
            )
            return


def _of_likeness(tried: tuple[Door, ...]) -> Iterator[Sign]:
    """The same DICOM answer on port after port."""
    answers = {
        (r.implementation_class_uid, r.implementation_version_name, r.max_pdu_bytes, door.port)
        for door in tried
        for r in door.replies()
        if r.reply is Reply.ACCEPTED
    }
    alike = Counter(key[:3] for key in answers)
    most = max(alike.values(), default=0)
    if most > _MOST_ALIKE:
        yield Sign(points=35, because=f"{most} ports give the same DICOM answer")


def _of_services(tried: tuple[Door, ...]) -> Iterator[Sign]:
    """Services that nobody puts on one machine."""
    databases = {
        facts.protocol
        for door in tried
        for facts in door.answered(DatabaseFacts)
        if facts.is_recognised and facts.protocol != "ldap"
    }
    if len(databases) > _MOST_DATABASES:
        yield Sign(points=35, because=f"{len(databases)} kinds of databases answer at one address")
    kinds = databases | {kind for door in tried for kind in _kinds(door)}
    if len(kinds) > _MOST_KINDS:
        yield Sign(points=20, because=f"{len(kinds)} kinds of services answer at one address")


def _kinds(door: Door) -> Iterator[str]:
    if door.speaks_dicom:
        yield "dicom"
    if door.speaks_other not in ("", "unknown"):
        yield door.speaks_other
    if any(facts.speaks_http for facts in door.answered(WebFacts)):
        yield "http"
    if any(facts.is_recognised for facts in door.answered(FtpFacts)):
        yield "ftp"
    if any(facts.is_hl7 for facts in door.answered(Hl7Facts)):
        yield "hl7"
    yield from (facts.protocol for facts in door.answered(ShareFacts) if facts.is_recognised)


def _of_lists(tried: tuple[Door, ...]) -> Iterator[Sign]:
    """Contents for folders that do not exist."""
    for door in tried:
        listed = any(facts.lists_everything for facts in door.answered(ListingFacts))
        if listed or any(facts.lists_everything for facts in door.answered(WebdavFacts)):
            yield Sign(
                points=30,
                because=f"port {door.port} lists files in a folder whose name was made up",
            )
            return


def _of_ports(tried: tuple[Door, ...]) -> Iterator[Sign]:
    """Every door open: a tar pit, or a firewall that answers for everybody."""
    if len(tried) >= _MANY_PORTS and all(door.state is PortState.OPEN for door in tried):
        yield Sign(points=30, because=f"all of the {len(tried)} ports that were tried are open")
