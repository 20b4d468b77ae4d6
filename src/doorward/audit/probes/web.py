"""Does the port speak HTTP, what stands there, and does it ask for a login? (design: ladder W1, W2)

The front page, a made-up path as control, the favicon, a few pages that show products, and the own interfaces of Orthanc
and dcm4chee. A page counts as seen only where a made-up path is not answered the same way; what it says is compared with
signatures and dropped. A viewer's page is a shell: whether it shows anything is said by the interfaces behind it.
"""

import re
from collections.abc import Awaitable, Callable, Iterable

from doorward.audit.approach import Answer, Approach
from doorward.audit.facts import Outcome
from doorward.audit.visit import Seen, Visitor, access_of, refuses
from doorward.audit.web_count import WebCounts, dcm4chee_counters, orthanc_counters
from doorward.audit.web_facts import Access, Redirect, RestFacts, ViewerFacts, WebFacts, WebProduct
from doorward.errors import PeerProtocolError
from doorward.knowledge.web_signatures import WebMatch, header_names, recognise, visits
from doorward.limits import Limits
from doorward.net.http import HttpReply
from doorward.web.json_stream import MemberReader
from doorward.web.murmur import favicon_md5, favicon_murmur

_REALM = re.compile(r'realm="([^"]{0,200})"', re.IGNORECASE)
_MAX_AGE = re.compile(r'(?:^|;)\s*max-age\s*=\s*"?([0-9]{1,12})"?\s*(?:;|$)', re.IGNORECASE)
#: OHIF's configuration names an identity provider where it asks for a login.
_OIDC = re.compile(rb"\boidc[\"']?\s{0,20}:\s{0,20}\[\s{0,20}\{")
_VERSION = re.compile(r"[0-9]{1,3}(?:\.[0-9]{1,4}){1,3}\Z")
_AE_TITLE = re.compile(r"[A-Za-z0-9_-]{1,16}\Z")
#: Shipped with dcm4chee-arc.
_DCM4CHEE_AE_TITLE = "DCM4CHEE"
_FAVICON = "/favicon.ico"
#: How images begin: ICO, PNG, GIF, JPEG, BMP, WebP, SVG.
_IMAGES = (b"\0\0\1\0", b"\x89PNG", b"GIF8", b"\xff\xd8\xff", b"BM", b"RIFF", b"<svg", b"<?xml")
_IMAGING = ("viewer", "archive")


def asker(*, contact: str = "", level: int = 1) -> Callable[[Approach], Awaitable[Answer]]:
    """Return the probe; from clearance level 2 on it reads the servers' own counters."""

    async def ask(approach: Approach) -> Answer:
        visitor = Visitor(approach, contact=contact)
        over_tls = approach.tls is not None
        try:
            front = await visitor.look("/")
        except PeerProtocolError as error:
            nothing = WebFacts(
                speaks_http=False, over_tls=over_tls, front=Access.ABSENT, requests=1
            )
            return Outcome.ANSWERED, str(error), nothing
        if front is None:
            return Outcome.INCONCLUSIVE, "the front page got no usable answer", None
        facts = await _Look(visitor, approach.limits, level).all(front, over_tls=over_tls)
        return Outcome.ANSWERED, "", facts

    return ask


async def ask(approach: Approach) -> Answer:
    """Ask at clearance level 1: nothing is counted."""
    return await asker()(approach)


class _Look:
    """One look at one port."""

    def __init__(self, visitor: Visitor, limits: Limits, level: int) -> None:
        self._visitor = visitor
        self._limits = limits
        self._level = level
        self._products: dict[tuple[str, str], WebProduct] = {}
        self._viewers: list[ViewerFacts] = []

    async def all(self, front: Seen, *, over_tls: bool) -> WebFacts:
        """Ask everything; the front page is already there."""
        control = await self._visitor.control()
        self._note(front, access_of(front, None))
        if not _all_alike(front, control):
            for visit in visits():
                seen = await self._visitor.look(visit.path)
                if seen is not None and seen.path != front.path:
                    self._note(seen, access_of(seen, control))
        await self._icon(front)
        await self._ask_ohif()
        rest = [r for r in (await self._orthanc(), await self._dcm4chee()) if r is not None]
        return WebFacts(
            speaks_http=True,
            over_tls=over_tls,
            front=access_of(front, None),
            redirect=front.redirect,
            answers_anything=control is not None and control.status == 200,
            products=tuple(self._products.values()),
            viewers=tuple(self._viewers),
            rest=tuple(rest),
            hsts_max_age_s=_max_age(front.reply) if over_tls else None,
            requests=self._visitor.requests,
        )

    def _note(self, seen: Seen, access: Access) -> None:
        """Compare one answer with the signatures."""
        found = [] if access is Access.ABSENT else list(_matches(seen))
        for how, match in found:
            self._add(how, match)
        for _, match in found:
            signature = match.signature
            if signature.kind in _IMAGING:
                received = Access.LOGIN if signature.login else access
                viewer = ViewerFacts(product=signature.product, path=seen.path, access=received)
                if viewer not in self._viewers:
                    self._viewers.append(viewer)

    def _add(self, how: str, match: WebMatch) -> None:
        signature = match.signature
        key = (signature.product, signature.kind)
        known = self._products.get(key)
        if known is not None and (known.version or not match.version):
            return
        self._products[key] = WebProduct(
            product=signature.product,
            key=signature.key,
            kind=signature.kind,
            version=match.version,
            certainty=match.certainty,
            shown_by=how,
        )

    async def _icon(self, front: Seen) -> None:
        link = front.page.icon if front.page is not None else ""
        path = self._visitor.within(front.path, link or _FAVICON) or _FAVICON
        reply = await self._visitor.request(path, accept="image/*")
        if reply is not None and reply.location:
            moved = self._visitor.within(path, reply.location)
            reply = await self._visitor.request(moved, accept="image/*") if moved else None
        if reply is None or reply.status != 200 or reply.truncated:
            return
        if not reply.body.startswith(_IMAGES):
            return  # a page for every path, perhaps: not to be copied for a digest (promise 2)
        for match in (
            *recognise("favicon_md5", favicon_md5(reply.body)),
            *recognise("favicon_murmur", str(favicon_murmur(reply.body))),
        ):
            self._add("favicon", match)

    async def _ask_ohif(self) -> None:
        """An OHIF viewer whose configuration names an identity provider asks for a login in the browser."""
        if not any(v.product == "OHIF Viewer" and v.access is Access.OPEN for v in self._viewers):
            return
        reply = await self._visitor.request("/app-config.js")
        if reply is None or reply.status != 200 or not _OIDC.search(reply.body):
            return
        self._viewers = [
            ViewerFacts(product=v.product, path=v.path, access=Access.LOGIN)
            if v.product == "OHIF Viewer"
            else v
            for v in self._viewers
        ]

    # --- own interfaces of archives -------------------------------------------------------------------------------

    async def _orthanc(self) -> RestFacts | None:
        """Ask Orthanc's REST API: what it is, and whether it lists studies to strangers (none is asked for)."""
        names = ("Version", "ApiVersion", "DatabaseVersion", "IsHttpServerSecure")
        reply, system = await self._visitor.members("/system", *names)
        if reply is None:
            return None
        if (refused := refuses(reply)) is not None:
            is_orthanc = refused is Access.LOGIN and bool(_of_realm(reply))
            return (
                RestFacts(product="Orthanc", key="orthanc", access=refused) if is_orthanc else None
            )
        if not _is_object(reply, system, "Version", "ApiVersion", "DatabaseVersion"):
            return None
        version = system.found["Version"]
        known = version if _VERSION.match(version) else ""
        self._products["Orthanc", "archive"] = WebProduct(
            product="Orthanc",
            key="orthanc",
            kind="archive",
            version=known,
            certainty="likely",
            shown_by="system",
        )
        access = await self._lists_studies()
        counts = WebCounts()
        if access is Access.OPEN and self._level >= 2:
            counts = await orthanc_counters(self._visitor) or counts
        return RestFacts(
            product="Orthanc",
            key="orthanc",
            access=access,
            version=known,
            is_local_only=_true_false(system.found.get("IsHttpServerSecure", "")),
            patients=counts.patients,
            studies=counts.studies,
            images=counts.images,
        )

    async def _lists_studies(self) -> Access:
        """Ask for the studies beyond any end: a list with nothing in it, and of nobody."""
        reply, reader = await self._visitor.members("/studies?since=99999999&limit=1")
        if reply is None:
            return Access.SILENT
        refused = refuses(reply)
        if refused is not None:
            return refused
        is_list = reply.status == 200 and reader.is_whole and reader.kind == "array"
        return Access.OPEN if is_list else Access.UNCLEAR

    async def _dcm4chee(self) -> RestFacts | None:
        """Ask dcm4chee-arc for its AE titles, which name no patient."""
        reply, reader = await self._visitor.members("/dcm4chee-arc/aets", "dicomAETitle")
        if reply is None:
            return None
        title = reader.found.get("dicomAETitle", "")
        is_list = reply.status == 200 and reader.is_whole and reader.kind == "array" and bool(title)
        if not is_list:
            known = any(p.key == "dcm4chee" for p in self._products.values())
            is_shut = known and refuses(reply) is Access.LOGIN
            return (
                RestFacts(product="dcm4chee-arc", key="dcm4chee", access=Access.LOGIN)
                if is_shut
                else None
            )
        counts = WebCounts()
        if self._level >= 2:
            aet = title if _AE_TITLE.match(title) else _DCM4CHEE_AE_TITLE
            root = f"/dcm4chee-arc/aets/{aet}/rs"
            counts = await dcm4chee_counters(self._visitor, root) or counts
        return RestFacts(
            product="dcm4chee-arc",
            key="dcm4chee",
            access=Access.OPEN,
            patients=counts.patients,
            studies=counts.studies,
            images=counts.images,
        )


def _matches(seen: Seen) -> Iterable[tuple[str, WebMatch]]:
    """Yield what the signatures say of one answer, with where it stood."""
    for name in header_names():
        for match in recognise("header", seen.reply.header(name), name=name):
            yield "header", match
    for match in _of_realm(seen.reply):
        yield "realm", match
    for name, value in seen.reply.headers:
        if name == "set-cookie":
            for match in recognise("cookie", value.partition("=")[0]):
                yield "cookie", match
    if seen.page is None:
        return
    texts = [("title", seen.page.title), ("generator", seen.page.generator)]
    texts += [("script", script) for script in seen.page.scripts]
    for on, text in texts:
        for match in recognise(on, text):
            yield on, match


def _of_realm(reply: HttpReply) -> tuple[WebMatch, ...]:
    found = _REALM.search(reply.header("www-authenticate"))
    return () if found is None else recognise("realm", found[1])


def _all_alike(front: Seen, control: Seen | None) -> bool:
    """Tell whether the whole door answers with one login or one redirect: then no single page is worth asking for."""
    if control is None:
        return False
    shut = Access.LOGIN
    both_login = access_of(front, None) is shut and access_of(control, None) is shut
    both_away = control.redirect is front.redirect is not Redirect.NONE and control.leads_away
    return (both_login or both_away) and front.status == control.status


def _is_object(reply: HttpReply, reader: MemberReader, *names: str) -> bool:
    is_object = reply.status == 200 and reader.is_whole and reader.kind == "object"
    return is_object and all(name in reader.found for name in names)


def _true_false(text: str) -> bool | None:
    return {"true": True, "false": False}.get(text)


def _max_age(reply: HttpReply) -> int | None:
    """Return max-age of Strict-Transport-Security (RFC 6797 section 6.1)."""
    found = _MAX_AGE.search(reply.header("strict-transport-security"))
    return None if found is None else int(found[1])
