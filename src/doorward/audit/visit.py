"""How the web probes ask one port: one request per connection, paced, under an honest name, never off the door.

Theory of operation: a ``Visitor`` belongs to one probe. Each request takes a turn of the system's pace. What fails on the
way is None once the port has shown that it speaks HTTP, so that one bad answer does not lose the others; several in a row
end the probe. 429 and 503 are congestion: retried with growing pauses, then no answer at all. Redirects are followed only
to the same door, a few times. ``control`` asks for a path that nobody can have: whatever is answered there, a page that
looks the same proves nothing.
"""

import asyncio
import hashlib
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from urllib.parse import SplitResult, urljoin, urlsplit

from doorward import __version__
from doorward.audit.approach import TITLE_PREFIX, Approach
from doorward.audit.web_facts import Access, Redirect
from doorward.errors import (
    ConnectFailed,
    DoorwardError,
    LimitExceeded,
    PeerProtocolError,
    ReplyTimeout,
    TransportError,
)
from doorward.net.http import HttpReply, Sink, fetch
from doorward.web.json_stream import MemberReader
from doorward.web.page import Page, PageReader, leads_to_login

HTML = "text/html,application/xhtml+xml;q=0.9"
JSON = "application/json"
_REDIRECTS = (301, 302, 303, 307, 308)
_CONGESTION = (429, 503)
#: 407 and 511 are a proxy's or a captive portal's wish for a login (RFC 6585 section 6).
_LOGIN = (401, 403, 407, 511)
_ABSENT = (404, 405, 410, 421, 501)
_HTML_TYPES = ("text/html", "application/xhtml+xml")


def user_agent(contact: str = "") -> str:
    """Return who we are; ``contact`` is that of the scope file."""
    printable = "".join(c for c in contact if " " <= c <= "~" and c not in "()\\")[:100]
    who = f"; contact: {printable}" if printable else ""
    return f"Doorward/{__version__} (security audit; calling AE {TITLE_PREFIX}{who})"


def made_up_name() -> str:
    """Return a path segment that no server can have."""
    return f"doorward-{secrets.token_hex(8)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One answer with what was read of its body on the way."""

    reply: HttpReply
    page: Page | None = None
    #: The path that answered, after redirects within the door.
    path: str = "/"
    redirect: Redirect = Redirect.NONE
    #: It wants to send us to a login, or elsewhere.
    leads_away: bool = False
    leads_to_login: bool = False
    digest: bytes = b""

    @property
    def status(self) -> int:
        """The status of the last answer."""
        return self.reply.status

    def is_like(self, other: "Seen") -> bool:
        """Tell whether two answers are one catch-all: same status, same kind, same page whatever its small print."""
        if (self.status, self.reply.content_type) != (other.status, other.reply.content_type):
            return False
        if self.page is not None and other.page is not None and self.page.is_html:
            return self.page.skeleton == other.page.skeleton
        return self.digest == other.digest


class Visitor:
    """Asks one port; counts what it asked."""

    def __init__(self, approach: Approach, *, contact: str = "") -> None:
        self._approach = approach
        self._user_agent = user_agent(contact)
        self._silences = 0
        self._controls: dict[tuple[str, str], Seen | None] = {}
        self.requests = 0

    async def request(
        self,
        path: str,
        *,
        accept: str = "*/*",
        method: str = "GET",
        headers: Sequence[tuple[str, str]] = (),
        sink: Callable[[], Sink] | None = None,
        max_body_bytes: int | None = None,
    ) -> HttpReply | None:
        """Ask once; None when no usable answer came. Raises what the first request of all met, and ScopeError.

        ``sink`` makes a reader of the body for each try, and there are several where the peer is congested.
        """
        pause_s = self._approach.limits.congestion_pause_s
        for retry in range(self._approach.limits.congestion_retries + 1):
            reader = None if sink is None else sink()
            reply = await self._once(path, accept, method, headers, reader, max_body_bytes)
            if reply is None or reply.status not in _CONGESTION:
                return reply
            if retry < self._approach.limits.congestion_retries:
                await asyncio.sleep(pause_s)
                pause_s *= 2
        return None

    async def look(self, path: str, *, accept: str = HTML) -> Seen | None:
        """Ask for a page, following redirects within the door; its text is read in a stream and dropped."""
        redirect = Redirect.NONE
        for _ in range(self._approach.limits.http_redirects + 1):
            eye, reply = await self._see(path, accept)
            if reply is None:
                return None
            seen = eye.seen(reply, path, redirect)
            if reply.status not in _REDIRECTS and not seen.leads_away:
                return seen
            target = reply.location if reply.status in _REDIRECTS else eye.page.refresh
            kind, where = self._direction(path, target)
            if kind is not Redirect.SAME_DOOR or leads_to_login(where):
                return eye.seen(reply, path, kind, target)
            path, redirect = where, kind
        return None

    async def _see(self, path: str, accept: str) -> "tuple[_Eye, HttpReply | None]":
        eyes: list[_Eye] = []

        def fresh() -> Sink:
            eyes.append(_Eye())
            return eyes[-1].feed

        reply = await self.request(path, accept=accept, sink=fresh)
        return eyes[-1], reply

    async def control(self, folder: str = "", *, accept: str = HTML) -> Seen | None:
        """Ask for a made-up name in a folder, once per folder and kind; None when no usable answer came."""
        key = (folder, accept)
        if key not in self._controls:
            self._controls[key] = await self.look(f"{folder}/{made_up_name()}", accept=accept)
        return self._controls[key]

    async def members(self, path: str, *names: str) -> tuple[HttpReply | None, MemberReader]:
        """Ask for JSON and read the named scalars of its (first) object."""
        readers: list[MemberReader] = []

        def fresh() -> Sink:
            readers.append(MemberReader(*names, limits=self._approach.limits))
            return readers[-1].feed

        reply = await self.request(path, accept=JSON, sink=fresh)
        reader = readers[-1]
        if reply is not None and not reply.truncated and not reply.is_encoded:
            reader.finish()
        return reply, reader

    def within(self, path: str, target: str) -> str:
        """Return the path that a link of a page leads to; "" where it leaves this door."""
        kind, where = self._direction(path, target)
        return where if kind is Redirect.SAME_DOOR else ""

    async def _once(
        self,
        path: str,
        accept: str,
        method: str,
        headers: Sequence[tuple[str, str]],
        sink: Sink | None,
        max_body_bytes: int | None,
    ) -> HttpReply | None:
        approach = self._approach
        try:
            async with approach.pace.turn(approach.limits.web_gap_s):
                self.requests += 1
                reply = await fetch(
                    approach.endpoint.address,
                    approach.endpoint.port,
                    gate=approach.gate,
                    tls=approach.tls,
                    server_name=approach.server_name,
                    method=method,
                    path=path,
                    headers=[("Accept", accept), *headers],
                    max_body_bytes=max_body_bytes,
                    sink=sink,
                    user_agent=self._user_agent,
                    limits=approach.limits,
                )
        except (TransportError, PeerProtocolError, LimitExceeded) as failure:
            self._silence(failure)
            return None
        self._silences = 0
        return reply

    def _silence(self, failure: DoorwardError) -> None:
        """Raise what must end the probe: the first failure of all, our own fault, several in a row."""
        self._silences += 1
        is_ours = isinstance(failure, ConnectFailed) and failure.kind == "local"
        if self.requests == 1 or is_ours:
            raise failure
        if self._silences >= self._approach.limits.http_silences:
            raise ReplyTimeout(
                f"{self._silences} requests in a row got no usable answer; the port was asked no more"
            )

    def _direction(self, path: str, target: str) -> tuple[Redirect, str]:
        """Say where a redirect leads and, within this door, to which path (RFC 9110 section 10.2.2)."""
        endpoint = self._approach.endpoint
        scheme = "https" if self._approach.tls is not None else "http"
        try:
            base = (
                f"{scheme}://{_bracketed(endpoint.name or endpoint.address)}:{endpoint.port}{path}"
            )
            parts = urlsplit(urljoin(base, target.strip()))
            host, port = (parts.hostname or "").rstrip("."), parts.port
        except ValueError:
            return Redirect.ELSEWHERE, ""
        is_host = host in (endpoint.address.lower(), endpoint.name.lower().rstrip("."))
        port = port or {"http": 80, "https": 443}.get(parts.scheme)
        if not is_host or not host or parts.scheme not in ("http", "https"):
            return Redirect.ELSEWHERE, ""
        if parts.scheme == scheme and port == endpoint.port:
            where = _target(parts)
            return (Redirect.SAME_DOOR, where) if where else (Redirect.ELSEWHERE, "")
        return (Redirect.HTTPS if parts.scheme == "https" else Redirect.ELSEWHERE), ""


class _Eye:
    """Reads one page and digests its bytes, keeping neither."""

    def __init__(self) -> None:
        self._reader = PageReader()
        self._digest = hashlib.sha256()

    @property
    def page(self) -> Page:
        """What was found so far."""
        return self._reader.page()

    def feed(self, chunk: memoryview) -> bool:
        """Read a piece."""
        self._digest.update(chunk)
        return self._reader.feed(chunk)

    def seen(
        self, reply: HttpReply, path: str, redirect: Redirect, target: str | None = None
    ) -> Seen:
        """Return the answer with what was read; ``target`` is where it would send us."""
        is_html = reply.content_type in _HTML_TYPES and not reply.is_encoded
        page = self.page if is_html else None
        away = page.refresh if page is not None else ""
        return Seen(
            reply=reply,
            page=page,
            path=path,
            redirect=redirect,
            leads_away=target is not None or bool(away),
            leads_to_login=leads_to_login(target if target is not None else away),
            digest=self._digest.digest(),
        )


def access_of(seen: Seen | None, control: Seen | None) -> Access:
    """Return what a page means for somebody without a login; a page like the control's is no page.

    ``control`` None: the page is the front page, or nothing is known of made-up paths.
    """
    if seen is None:
        return Access.SILENT
    if seen.status in _LOGIN or seen.leads_to_login:
        return Access.LOGIN
    if seen.status in _ABSENT:
        return Access.ABSENT
    if seen.status != 200 or seen.leads_away or seen.page is None or not seen.page.is_html:
        return Access.UNCLEAR
    if seen.page.asks_login:
        return Access.LOGIN
    if control is not None and seen.is_like(control):
        return Access.ABSENT
    return Access.OPEN


def refuses(reply: HttpReply) -> Access | None:
    """Return LOGIN or ABSENT where the status alone says so, else None. Redirects are never answers of an interface."""
    if reply.status in _LOGIN:
        return Access.LOGIN
    if reply.status in _REDIRECTS:
        return Access.LOGIN if leads_to_login(reply.location) else Access.ABSENT
    return Access.ABSENT if reply.status in _ABSENT else None


def _target(parts: SplitResult) -> str:
    """Return path and query as they may stand in a request line; "" for what may not."""
    where = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    is_plain = len(where) <= 2_000 and all("!" <= c <= "~" for c in where)
    return where if is_plain and where.startswith("/") else ""


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
