"""Is there a FHIR server, and does it answer searches of strangers? Counted by the server itself, nothing is read.

``metadata`` is public by design (FHIR R4 section 3.1.0.12) and names software. A search asks for a number and nothing else
(``_summary=count``, FHIR R4 section 3.1.1.5.6.2), at clearance level 2; a server that sends resources all the same is cut
off at the first. A resource type that does not exist is the control: who counts those too, counts nothing.
"""

from collections.abc import Awaitable, Callable, Sequence

from doorward.audit.approach import Answer, Approach
from doorward.audit.facts import Outcome
from doorward.audit.fhir_facts import FhirFacts, FhirRoot, FhirSearch
from doorward.audit.tally import UNKNOWN_COUNT, Count, Exactness
from doorward.audit.visit import Visitor, refuses
from doorward.audit.web_facts import Access
from doorward.net.http import HttpReply
from doorward.web.fhir import FhirDocument, FhirReader

#: HAPI FHIR's starter and others; LinuxForHealth; OpenEMR; the older HAPI; Firely and Microsoft at the top.
ROOTS = (
    "/fhir",
    "/fhir-server/api/v4",
    "/apis/default/fhir",
    "/baseR4",
    "/hapi-fhir-jpaserver/fhir",
    "",
)
RESOURCES = ("ImagingStudy", "Patient")
_JSON = "application/fhir+json, application/json;q=0.9"
_NO_RESOURCE = "DoorwardControl"
_DESCRIBES = ("CapabilityStatement", "Conformance")


def asker(
    *, contact: str = "", level: int = 1, roots: Sequence[str] = ROOTS
) -> Callable[[Approach], Awaitable[Answer]]:
    """Return the probe; from clearance level 2 on it asks for numbers."""

    async def ask(approach: Approach) -> Answer:
        visitor = Visitor(approach, contact=contact)
        found: list[FhirRoot] = []
        answered = 0
        for root in roots:
            reply, document = await _read(visitor, approach, f"{root}/metadata")
            answered += reply is not None
            if reply is None or not _is_fhir(reply, document):
                continue
            found.append(await _root(visitor, approach, root, reply, document, level))
            if found[-1].metadata is Access.OPEN:
                break  # one server, under its first name
        facts = FhirFacts(
            over_tls=approach.tls is not None,
            roots=tuple(found),
            answered=answered,
            requests=visitor.requests,
        )
        if not answered:
            return Outcome.INCONCLUSIVE, "no path of FHIR got a usable answer", facts
        return Outcome.ANSWERED, "", facts

    return ask


async def ask(approach: Approach) -> Answer:
    """Ask at clearance level 1: nothing is counted."""
    return await asker()(approach)


def _is_fhir(reply: HttpReply, document: FhirDocument) -> bool:
    """A description, or a wish for a login in FHIR's own form; everything else may be any web server."""
    is_description = reply.status == 200 and document.resource_type in _DESCRIBES
    is_refusal = document.resource_type == "OperationOutcome" and refuses(reply) is Access.LOGIN
    return is_description or is_refusal


async def _root(
    visitor: Visitor,
    approach: Approach,
    root: str,
    reply: HttpReply,
    document: FhirDocument,
    level: int,
) -> FhirRoot:
    is_open = reply.status == 200 and document.resource_type in _DESCRIBES
    searches: tuple[FhirSearch, ...] = ()
    if level >= 2:
        searches = await _searches(visitor, approach, root)
    return FhirRoot(
        root=root or "/",
        metadata=Access.OPEN if is_open else (refuses(reply) or Access.UNCLEAR),
        fhir_version=document.fhir_version,
        software=document.software,
        software_version=document.software_version,
        searches=searches,
    )


async def _searches(visitor: Visitor, approach: Approach, root: str) -> tuple[FhirSearch, ...]:
    found = [await _search(visitor, approach, root, resource) for resource in RESOURCES]
    if any(search.access is Access.OPEN for search in found):
        control = await _search(visitor, approach, root, _NO_RESOURCE)
        if control.access is Access.OPEN:
            return tuple(FhirSearch(resource=s.resource, access=Access.UNCLEAR) for s in found)
    return tuple(found)


async def _search(visitor: Visitor, approach: Approach, root: str, resource: str) -> FhirSearch:
    reply, document = await _read(visitor, approach, f"{root}/{resource}?_summary=count")
    if reply is None:
        return FhirSearch(resource=resource, access=Access.SILENT)
    is_answer = (
        reply.status == 200
        and document.resource_type == "Bundle"
        and document.bundle_type in ("", "searchset")
        and (document.total is not None or document.entries > 0)
    )
    if not is_answer:
        return FhirSearch(resource=resource, access=refuses(reply) or Access.UNCLEAR)
    return FhirSearch(
        resource=resource,
        access=Access.OPEN,
        count=_count(document),
        sends_resources=document.entries > 0,
    )


def _count(document: FhirDocument) -> Count:
    if document.total is None:
        return UNKNOWN_COUNT
    return Count(
        value=document.total,
        exactness=Exactness.EXACT_COUNTER,
        method="the server's own total of a FHIR search (_summary=count)",
    )


async def _read(
    visitor: Visitor, approach: Approach, path: str
) -> tuple[HttpReply | None, FhirDocument]:
    readers: list[FhirReader] = []

    def fresh() -> Callable[[memoryview], bool]:
        readers.append(FhirReader(limits=approach.limits))
        return readers[-1].feed

    reply = await visitor.request(
        path, accept=_JSON, sink=fresh, max_body_bytes=approach.limits.listing_bytes
    )
    reader = readers[-1]
    document = reader.document()
    if reply is None or reply.is_encoded:
        return reply, FhirDocument(resource_type="")
    if not reply.truncated:
        reader.finish()
    # Half an answer counts only where we ended it ourselves, at the first resource.
    is_usable = reader.is_whole or document.entries > 0
    return reply, document if is_usable else FhirDocument(resource_type="")
