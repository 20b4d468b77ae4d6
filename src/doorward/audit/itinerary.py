"""What is asked of one port, in which order, and what an answer saves.

Theory of operation: the port number only says which question comes first. A DICOM port is asked for associations, then about
TLS, then what lies behind; a port that turns out to speak something else is asked the questions of that. Other ports are
first looked at (open or not), then asked what belongs to the protocol that is expected there. A closed or silent port is
asked nothing more.
"""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from doorward.audit.approach import Answer, Approach
from doorward.audit.facts import (
    AssociationFacts,
    Attempt,
    ExposureFacts,
    PortState,
    ReachFacts,
    Reply,
    TransportFacts,
)
from doorward.audit.probes import (
    association,
    attributes,
    capabilities,
    databases,
    debugger,
    default_credentials,
    dicomweb,
    exposure,
    fhir,
    folders,
    ftp,
    hl7,
    parts,
    reach,
    shares,
    tls_depth,
    transport,
    web,
    web_hygiene,
)
from doorward.audit.web_facts import WebFacts
from doorward.knowledge.ports import expected_protocol

if TYPE_CHECKING:
    from doorward.audit.system import SystemVisit

Ask = Callable[[Approach], Awaitable[Answer]]
#: probe, the question, the lowest clearance level that allows it
Question = tuple[str, Ask, int]

_DICOM = (Reply.ACCEPTED, Reply.REJECTED, Reply.ABORTED)
_DICOM_PROTOCOLS = ("", "dicom", "dicom-tls", "dicom-iscl")
_DATABASES = (
    "postgresql",
    "mysql",
    "mssql",
    "oracle",
    "mongodb",
    "redis",
    "elasticsearch",
    "ldap",
    "ldaps",
)
_SHARES = ("smb", "nfs", "portmapper")


async def ask_port(visit: "SystemVisit", approach: Approach) -> None:
    """Ask one port everything that belongs to it."""
    protocol = expected_protocol(approach.endpoint.port)
    if protocol in _DICOM_PROTOCOLS:
        await _ask_dicom(visit, approach, is_tls_port=protocol == "dicom-tls")
        return
    seen = visit.glanced.get(approach.endpoint.port)
    if seen is None:
        seen = await visit.ask("reach", approach, reach.ask)
    if not isinstance(seen.facts, ReachFacts) or seen.facts.port_state is not PortState.OPEN:
        return
    if protocol in ("http", "https"):
        await _ask_web(visit, approach, is_tls_port=protocol == "https")
    else:
        await _ask_all(visit, approach, _questions(visit, protocol))


def _questions(visit: "SystemVisit", protocol: str) -> tuple[Question, ...]:
    """Return the questions of a protocol that is neither DICOM nor HTTP."""
    level = visit.level
    if protocol in _DATABASES:
        wants_login = visit.settings.try_default_credentials and level >= 3
        ask = databases.asker(protocol, try_default_account=wants_login)
        return (("databases", ask, 1),)
    if protocol in _SHARES:
        return (("shares", shares.asker(protocol), 1),)
    if protocol in hl7.PROTOCOLS:
        return (("hl7", hl7.asker(level=level), 1),)
    if protocol in ftp.PROTOCOLS:
        return (("ftp", ftp.asker(protocol, level=level), 1),)
    if protocol == "jdwp":
        return (("debugger", debugger.ask, 1),)
    return ()


async def _ask_all(
    visit: "SystemVisit", approach: Approach, questions: tuple[Question, ...]
) -> None:
    for probe, ask, level in questions:
        if visit.level < level:
            reason = f"needs clearance level {level}, allowed is {visit.level}"
            visit.skip(probe, approach, reason)
        else:
            await visit.ask(probe, approach, ask)


# --- DICOM ---


async def _ask_dicom(visit: "SystemVisit", approach: Approach, *, is_tls_port: bool) -> None:
    """Plain first, unless the port is registered for TLS; then TLS; then the questions behind the door."""
    plain: AssociationFacts | None = None
    if not is_tls_port:
        plain = await _ask_association(visit, approach)
        if plain is not None and plain.port_state is not PortState.OPEN:
            return
        if plain is not None and _looks_like(plain, "http"):
            await _ask_web(visit, approach, is_tls_port=False)
            return
    speaks_plain = None if plain is None else _speaks_dicom(plain)
    ask = transport.asker(speaks_plain, visit.settings.tls_ca_file, tries_plain=is_tls_port)
    found = await visit.ask("transport", approach, ask)
    secured = approach
    if _speaks_tls(found):
        secured = approach.over(visit.tls())
        over_tls = await _ask_association(visit, secured)
        await visit.ask("tls_depth", approach, tls_depth.ask)
        if over_tls is not None and _looks_like(over_tls, "http"):
            await _ask_all(visit, secured, _web_questions(visit))
            return
    if plain is None:  # a port that is registered for TLS: does it take plain DICOM too?
        await _ask_association(visit, approach)
    await _ask_behind(visit, approach if approach.admitted is not None else secured)


async def _ask_association(visit: "SystemVisit", approach: Approach) -> AssociationFacts | None:
    """Try the control pairs; the pair that was let in is remembered in the approach."""
    made = await visit.ask("association", approach, association.ask)
    if not isinstance(made.facts, AssociationFacts):
        return None
    # The probe sets it too; an answer from an earlier life of this visit comes without its probe.
    approach.admitted = approach.admitted or association.admitted(made.facts)
    return made.facts


async def _ask_behind(visit: "SystemVisit", approach: Approach) -> None:
    """What can be asked only of a door that let us in."""
    behind: tuple[Question, ...] = (
        ("capabilities", capabilities.ask, 1),
        ("exposure", exposure.ask, 2),
        ("attributes", attributes.ask, 3),
    )
    for question in behind:
        if approach.admitted is None:
            visit.skip(question[0], approach, "no association was accepted")
        elif question[0] == "attributes" and not _answers_queries(visit, approach):
            visit.skip(question[0], approach, "no query was answered")
        else:
            await _ask_all(visit, approach, (question,))
        if question[0] == "exposure":
            await _ask_in_parts(visit, approach)


async def _ask_in_parts(visit: "SystemVisit", approach: Approach) -> None:
    """Count again by date where the archive did not tell everything at once."""
    estimate = visit.settings.estimate
    counts = [
        query
        for made in visit.attempts
        if made.endpoint.port == approach.endpoint.port and isinstance(made.facts, ExposureFacts)
        for query in made.facts.queries
        if query.level == "STUDY"
    ]
    if counts and approach.admitted is not None and parts.is_needed(counts[-1], estimate=estimate):
        await visit.ask("parts", approach, parts.asker(counts[-1], estimate=estimate))


def _answers_queries(visit: "SystemVisit", approach: Approach) -> bool:
    return any(
        isinstance(made.facts, ExposureFacts) and made.facts.answers_study_query
        for made in visit.attempts
        if made.endpoint.port == approach.endpoint.port
    )


def _speaks_dicom(facts: AssociationFacts) -> bool | None:
    """Tell what the answers show; silence shows nothing, nor does what is neither DICOM nor anything known."""
    if any(reply.reply in _DICOM for reply in facts.replies):
        return True
    is_other = (r.reply is Reply.NOT_DICOM and r.looks_like for r in facts.replies)
    return False if any(is_other) or any(r.reply is Reply.CLOSED for r in facts.replies) else None


def _looks_like(facts: AssociationFacts, protocol: str) -> bool:
    return any(reply.looks_like == protocol for reply in facts.replies)


def _speaks_tls(made: Attempt) -> bool:
    return isinstance(made.facts, TransportFacts) and bool(made.facts.speaks_tls)


# --- HTTP ---


async def _ask_web(visit: "SystemVisit", approach: Approach, *, is_tls_port: bool) -> None:
    """Plain first, unless the port is registered for HTTPS; the other way where that one is not spoken."""
    if not is_tls_port and await _ask_web_over(visit, approach):
        return
    found = await visit.ask(
        "transport", approach, transport.asker(None, visit.settings.tls_ca_file)
    )
    if _speaks_tls(found):
        await visit.ask("tls_depth", approach, tls_depth.ask)
        await _ask_web_over(visit, approach.over(visit.tls()))
    elif is_tls_port:
        await _ask_web_over(visit, approach)


async def _ask_web_over(visit: "SystemVisit", approach: Approach) -> bool:
    """Ask the front page, and the rest where it speaks HTTP; returns whether it does."""
    front = await visit.ask("web", approach, web.asker(contact=visit.contact, level=visit.level))
    if not (isinstance(front.facts, WebFacts) and front.facts.speaks_http):
        return False
    await _ask_all(visit, approach, _web_questions(visit)[1:])
    return True


def _web_questions(visit: "SystemVisit") -> tuple[Question, ...]:
    contact, level = visit.contact, visit.level
    questions: tuple[Question, ...] = (
        ("web", web.asker(contact=contact, level=level), 1),
        ("dicomweb", dicomweb.asker(contact=contact, level=level), 1),
        ("web_hygiene", web_hygiene.asker(contact=contact), 1),
        ("listings", folders.listings(contact=contact), 1),
        ("webdav", folders.webdav(contact=contact), 1),
        ("fhir", fhir.asker(contact=contact, level=level), 1),
    )
    if visit.settings.try_default_credentials:
        questions += (("default_credentials", default_credentials.asker(contact=contact), 3),)
    return questions
