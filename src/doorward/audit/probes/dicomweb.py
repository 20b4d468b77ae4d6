"""Does a DICOMweb service answer strangers? (PS3.18 sections 10.4 to 10.6)

QIDO-RS is asked for a study that cannot exist: an open service answers with an empty list, a shut one asks for a login, and
no patient is in either. WADO-RS is asked for a made-up instance in a media type that nobody has, STOW-RS gets a POST without
a body in one that nobody takes: the status says whether the handler was reached, and neither can succeed. Each such status
is compared with that of a made-up sibling, because gateways, single-page applications and filters answer anything alike.
At clearance level 2 what lies behind the first open root is counted (``web_count``).
"""

import secrets
from collections.abc import Awaitable, Callable, Sequence

from doorward.audit.approach import Answer, Approach
from doorward.audit.facts import Outcome
from doorward.audit.visit import Visitor, made_up_name, refuses
from doorward.audit.web_count import (
    DICOM_JSON,
    WebCounts,
    dcm4chee_counters,
    orthanc_counters,
    paged_counts,
)
from doorward.audit.web_facts import Access, Cors, DicomWebFacts, DicomWebRoot
from doorward.errors import PeerProtocolError
from doorward.limits import Limits
from doorward.net.http import HttpReply, Sink
from doorward.web.json_stream import StudyCounter

#: Roots in use, of which the name alone says DICOM; the likely ones first.
DICOM_ROOTS = (
    "/dicom-web",
    "/dicomweb",
    "/dcm4chee-arc/aets/DCM4CHEE/rs",
    "/dcm4chee-arc/rs",
    "/api/dicomweb",
    "/wado-rs",
    "/qido-rs",
    "/pacs/rs",
)
#: Here anything may live: an answer must be DICOM by its own shape.
GENERIC_ROOTS = ("/rs", "/api", "")
#: A media type and an origin that nobody has (RFC 2606 section 2).
_NO_TYPE = "application/x-doorward-none"
_ORIGIN = "https://doorward.invalid"
_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
_HANDLED_ACCEPT = (400, 406, 415)
_HANDLED_STORE = (400, 411, 415)


def asker(*, contact: str = "", level: int = 1) -> Callable[[Approach], Awaitable[Answer]]:
    """Return the probe; from clearance level 2 on it counts."""

    async def ask(approach: Approach) -> Answer:
        visitor = Visitor(approach, contact=contact)
        try:
            facts = await _Look(visitor, approach, level).all()
        except PeerProtocolError as error:
            return Outcome.INCONCLUSIVE, str(error), None
        return Outcome.ANSWERED, "", facts

    return ask


async def ask(approach: Approach) -> Answer:
    """Ask at clearance level 1: nothing is counted."""
    return await asker()(approach)


def made_up_uid() -> str:
    """Return a UID that no study can have (PS3.5 section B.2)."""
    return f"2.25.{secrets.randbits(127)}"


class _Query:
    """One QIDO-RS answer: status, kind and counts, nothing else."""

    def __init__(self, reply: HttpReply | None, counter: StudyCounter) -> None:
        self.reply = reply
        self.counter = counter
        self.is_list = (
            reply is not None
            and reply.status == 200
            and counter.is_whole
            and counter.kind == "array"
            and reply.content_type in (DICOM_JSON, "application/json")
        )
        #: 200 with a list, or 204 where there is nothing to list (PS3.18 section 10.6.3).
        self.is_answer = self.is_list or (reply is not None and reply.status == 204)

    @property
    def is_dicom(self) -> bool:
        """The answer is DICOM by its own shape."""
        if not self.is_list or self.reply is None:
            return False
        empty = self.counter.elements == 0 and self.reply.content_type == DICOM_JSON
        return empty or self.counter.studies == self.counter.elements > 0


class _Look:
    """One look at one port."""

    def __init__(self, visitor: Visitor, approach: Approach, level: int) -> None:
        self._visitor = visitor
        self._limits: Limits = approach.limits
        self._over_tls = approach.tls is not None
        self._level = level
        self._titles = approach.called_ae_titles

    async def all(self) -> DicomWebFacts:
        """Ask every root; count behind the first open one."""
        anywhere = await self._query(f"/{made_up_name()}")
        roots = []
        counts: WebCounts | None = None
        for root in self._roots():
            found = await self._root(root, anywhere)
            roots.append(found)
            if found.qido is Access.OPEN and counts is None and self._level >= 2:
                counts = await self._count(root)
        counts = counts or WebCounts()
        return DicomWebFacts(
            roots=tuple(roots),
            over_tls=self._over_tls,
            studies=counts.studies,
            images=counts.images,
            patients=counts.patients,
            extra_attributes=counts.extra_attributes,
            requests=self._visitor.requests,
        )

    def _roots(self) -> Sequence[str]:
        given = [f"/dcm4chee-arc/aets/{t}/rs" for t in self._titles if t.isascii() and t.isalnum()]
        return tuple(dict.fromkeys((*DICOM_ROOTS, *given, *GENERIC_ROOTS)))

    async def _root(self, root: str, anywhere: _Query) -> DicomWebRoot:
        query = await self._query(root)
        access = await self._access(root, query, anywhere)
        if access is not Access.OPEN:
            return DicomWebRoot(root=root, qido=access)
        return DicomWebRoot(
            root=root,
            qido=access,
            wado=await self._wado(root),
            stow=await self._stow(root),
            methods=await self._allowed(root),
            cors=await self._cors(root),
            ignores_filter=query.counter.studies > 0,
        )

    # --- QIDO-RS --------------------------------------------------------------------------------------------------

    async def _query(
        self, root: str, resource: str = "studies", keys: str = "", *, origin: bool = False
    ) -> _Query:
        """Ask for at most one study that cannot exist, or as ``keys`` say."""
        counters: list[StudyCounter] = []

        def fresh() -> Sink:
            counters.append(StudyCounter(limits=self._limits))
            return counters[-1].feed

        wanted = keys or f"StudyInstanceUID={made_up_uid()}&limit=1"
        reply = await self._visitor.request(
            f"{root}/{resource}?{wanted}",
            accept=DICOM_JSON,
            headers=[("Origin", _ORIGIN)] if origin else (),
            sink=fresh,
            max_body_bytes=self._limits.qido_page_bytes,
        )
        if reply is not None and not reply.truncated and not reply.is_encoded:
            counters[-1].finish()
        return _Query(reply, counters[-1])

    async def _access(self, root: str, query: _Query, anywhere: _Query) -> Access:
        reply = query.reply
        if reply is None:
            return Access.SILENT
        refused = refuses(reply)
        if refused is not None:
            return refused
        if not query.is_answer:
            return _of_no_list(root, query, anywhere)
        if anywhere.is_answer or (query.is_list and query.counter.elements and not query.is_dicom):
            return Access.ABSENT
        sibling = await self._query(root, made_up_name())
        if sibling.is_answer:
            return Access.ABSENT
        if sibling.reply is None:
            return Access.UNCLEAR
        if query.is_dicom or root in DICOM_ROOTS or root not in GENERIC_ROOTS:
            return Access.OPEN
        return await self._shown(root)

    async def _shown(self, root: str) -> Access:
        """An empty list where anything may live: at level 2 one study settles it, counted and not read."""
        if self._level < 2:
            return Access.UNCLEAR
        one = await self._query(root, keys="limit=1&includefield=00201208")
        return Access.OPEN if one.is_dicom and one.counter.studies else Access.UNCLEAR

    async def _count(self, root: str) -> WebCounts:
        if root.startswith("/dcm4chee-arc"):
            counted = await dcm4chee_counters(self._visitor, root)
        else:
            counted = await orthanc_counters(self._visitor)
        return counted or await paged_counts(self._visitor, root, self._limits)

    # --- WADO-RS, STOW-RS, CORS -----------------------------------------------------------------------------------

    async def _wado(self, root: str) -> Access:
        """Ask for a made-up instance in a made-up media type: 406 or 400 from the handler, 401 from a lock."""
        uid = made_up_uid()
        tail = f"{uid}/series/{uid}/instances/{uid}"
        reply = await self._visitor.request(f"{root}/studies/{tail}", accept=_NO_TYPE)
        if reply is None:
            return Access.SILENT
        is_missing = reply.status == 404
        if not is_missing and (refused := refuses(reply)) is not None:
            return refused
        if not is_missing and reply.status not in _HANDLED_ACCEPT:
            return Access.UNCLEAR
        control = await self._visitor.request(f"{root}/{made_up_name()}/{tail}", accept=_NO_TYPE)
        if control is None:
            return Access.UNCLEAR
        if is_missing:
            # The handler's own "no such instance" differs from the server's "no such path".
            is_own = control.status == 404 and reply.content_type != control.content_type
            return Access.OPEN if is_own else Access.UNCLEAR
        return Access.UNCLEAR if control.status == reply.status else Access.OPEN

    async def _stow(self, root: str) -> Access:
        """Send a POST without a body in a made-up media type: nothing can be stored; 415 comes from the handler."""
        headers = [("Content-Type", _NO_TYPE)]
        reply = await self._visitor.request(
            f"{root}/studies", accept=DICOM_JSON, method="POST", headers=headers
        )
        if reply is None:
            return Access.SILENT
        if (refused := refuses(reply)) is not None:
            return refused
        if reply.status not in _HANDLED_STORE:
            return Access.UNCLEAR
        control = await self._visitor.request(
            f"{root}/{made_up_name()}", accept=DICOM_JSON, method="POST", headers=headers
        )
        is_shown = control is not None and control.status != reply.status
        return Access.OPEN if is_shown else Access.UNCLEAR

    async def _allowed(self, root: str) -> tuple[str, ...]:
        """Return the methods that OPTIONS names for a made-up study."""
        reply = await self._visitor.request(f"{root}/studies/{made_up_uid()}", method="OPTIONS")
        if reply is None or not 200 <= reply.status < 300:
            return ()
        named = {word.strip().upper() for word in reply.header("allow").split(",")}
        return tuple(method for method in _METHODS if method in named)

    async def _cors(self, root: str) -> Cors:
        """Ask again as a page of another site would (Fetch standard, section 3.2)."""
        query = await self._query(root, origin=True)
        if query.reply is None:
            return Cors.NONE
        allowed = query.reply.header("access-control-allow-origin").strip()
        if allowed == "*":
            return Cors.ANY
        if allowed.lower() != _ORIGIN:
            return Cors.NONE
        credentials = query.reply.header("access-control-allow-credentials").strip().lower()
        return Cors.REFLECTED_WITH_CREDENTIALS if credentials == "true" else Cors.REFLECTED


def _of_no_list(root: str, query: _Query, anywhere: _Query) -> Access:
    """Judge an answer that is neither a list nor a refusal."""
    reply = query.reply
    assert reply is not None
    if anywhere.reply is not None and anywhere.reply.status == reply.status:
        # The same as everywhere on this port, or a page for people: no DICOMweb answers here.
        return Access.ABSENT if reply.status < 500 else Access.UNCLEAR
    if reply.status == 200:
        is_json = reply.content_type in (DICOM_JSON, "application/json") and query.counter.kind
        is_broken = reply.is_encoded or reply.truncated or not query.counter.is_whole
        return Access.UNCLEAR if is_json and is_broken else Access.ABSENT
    return Access.ABSENT if root in GENERIC_ROOTS and reply.status < 500 else Access.UNCLEAR
