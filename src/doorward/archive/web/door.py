"""The HTTPS door of the archive: who calls is known before any handler runs, or nothing is said.

Theory of operation. A caller shows one proof: a client certificate that TLS has verified, a bearer token (ours, or of the
OpenID provider), or the cookie of a session. Two at once are refused, because nobody could say later who it was. Without a
proof the answer is 401 on every path, the same for what is there and for what is not; only the login's own paths and, from
this machine, the health ones are open. The body of such a request is not read.

The identity is asked anew at each use, as at the DIMSE door: what was revoked meanwhile is nobody.

What a browser could be made to do is refused as well: a Host that is not ours (DNS rebinding), a change by a session from
another site's page, any answer to a script of another origin that the settings do not name.
"""

import hashlib
import re
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime
from ipaddress import ip_address

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from doorward.access.identity import How, Identity
from doorward.access.journal.record import Entry, Event, Outcome
from doorward.access.kept import Kept
from doorward.access.login import Login
from doorward.access.passwords import Passwords
from doorward.access.sessions import Sessions
from doorward.access.tokens import TokenBook
from doorward.access.vault import Vault
from doorward.archive.archive import Archive
from doorward.archive.noting import Noting
from doorward.archive.web.caller import SCOPE_KEY, Caller
from doorward.archive.web.openid import OpenId
from doorward.archive.web.refusals import refusal
from doorward.errors import DoorwardError
from doorward.net.asgi import certificate_of

#: ``__Host-``: only over TLS, for the whole host, and no other host can set it (RFC 6265bis section 4.1.3.2).
SESSION_COOKIE = "__Host-doorward"
#: Under which path without an identity there is more than 401, and by which methods.
LOGIN_PATHS = frozenset({"/login", "/first", "/login/openid", "/login/openid/callback"})
HEALTH_PATHS = frozenset({"/health/live", "/health/ready"})
#: Sent with every answer where a handler has not said otherwise.
_HEADERS = {
    "strict-transport-security": "max-age=31536000",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
}
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_ASKED_FOR = "Authorization, Content-Type, Accept, If-None-Match, Range"
_TOKENS = "tokens.json"
#: A name or address and perhaps a port (RFC 9110 section 7.2); it becomes part of the addresses in answers.
_HOST = re.compile(r"(?P<name>[a-z0-9._-]{1,253}|\[[0-9a-f:.]{1,45}\])(:[0-9]{0,5})?", re.ASCII)

#: Who it is now; None: nobody any more.
Ask = Callable[[], Identity | None]


def _nobody() -> Identity | None:
    return None


class Door:
    """What stands before the application of an archive, with the sessions of people. ``close`` it in the end.

    ``hosts``: the names by which it may be called. ``origins``: web pages of other hosts that may call. ``admit`` makes a
    name the first administrator in the register, for ``POST /first``; None: only the command line does that.
    """

    def __init__(
        self,
        archive: Archive,
        *,
        vault: Vault,
        hosts: Iterable[str],
        origins: Iterable[str] = (),
        openid: OpenId | None = None,
        admit: Callable[[str], None] | None = None,
        passwords: Passwords | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.archive = archive
        self.openid = openid
        self.admit = admit
        self.clock = clock
        self.login = Login(vault, passwords=passwords, limits=archive.limits)
        self.sessions = Sessions(limits=archive.limits)
        self.noting = Noting(archive.journal, clock=clock, limits=archive.limits)
        self._tokens = Kept(vault, _TOKENS, read=TokenBook.from_bytes, empty=TokenBook())
        self._hosts = frozenset(host.lower().strip("[]") for host in hosts)
        self._origins = frozenset(origins)

    def turned_away(self, address: str, reason: str) -> None:
        """Record that TLS has refused somebody from there."""
        entry = Entry(event=Event.REFUSAL, outcome=Outcome.REFUSED, peer=address, reason=reason)
        self.noting.refusal(entry)

    def failed(self, caller: Caller) -> None:
        """Record that somebody who is known has asked for what is not there, or not so."""
        if caller.was_known:
            entry = replace(caller.record, outcome=Outcome.FAILED, reason="a request that is none")
            self.noting.refusal(entry.by(caller.identity()))

    def close(self) -> None:
        """Let the thread of the logins go."""
        self.login.close()

    def before(self, app: ASGIApp) -> ASGIApp:
        """Return the application behind this door."""

        async def guarded(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] != "http":
                return
            headers = Headers(scope=scope)
            shared = self._cross_origin(headers)

            async def sending(message: Message) -> None:
                if message["type"] == "http.response.start":
                    sent = MutableHeaders(scope=message)
                    for name, value in (_HEADERS | shared).items():
                        sent.setdefault(name, value)
                await send(message)

            answer = await self._judge(scope, headers)
            await (answer or app)(scope, receive, sending)

        return guarded

    # --- whether a request goes further ------------------------------------------------------------------------------

    async def _judge(self, scope: Scope, headers: Headers) -> Response | None:
        """Return why a request goes no further; None where it may, with its caller in the scope."""
        record = Entry(event=Event.REFUSAL, peer=str(scope["client"][0]))
        if not self._is_ours(headers.getlist("host")):
            self._refused(record, None, "the Host header is not ours")
            return refusal(421, "This is not the name of this archive")
        if scope["method"] == "OPTIONS" and self._is_preflight(headers):
            return Response(status_code=204, headers=_ALLOWED)
        if self._is_open(scope):
            scope[SCOPE_KEY] = Caller(identity=_nobody, record=record, was_known=False)
            return self._foreign(scope, headers, is_strict=False)
        proofs = self._proofs(scope, headers)
        if len(proofs) > 1:
            self._refused(record, None, "more than one proof of identity")
            return refusal(400, "Show one proof of identity, not several")
        ask = await self._ask(proofs[0]) if proofs else _nobody
        identity = ask()
        if identity is None or self._has_expired(identity):
            reason = "identity has expired" if identity else "no identity was shown"
            self._refused(record, identity, reason)
            return _unauthorised()
        scope[SCOPE_KEY] = Caller(identity=self._while_valid(ask), record=record)
        if proofs[0][0] == "session":
            return self._foreign(scope, headers, is_strict=True)
        return None

    def _is_ours(self, hosts: list[str]) -> bool:
        """Whether the one Host header names us: otherwise another site's name was bent to our address."""
        if len(hosts) != 1:
            return False
        found = _HOST.fullmatch(hosts[0].lower())
        return found is not None and found["name"].strip("[]") in self._hosts

    @staticmethod
    def _is_open(scope: Scope) -> bool:
        path = scope["path"]
        if path in HEALTH_PATHS:
            return ip_address(scope["client"][0]).is_loopback
        return path in LOGIN_PATHS

    def _foreign(self, scope: Scope, headers: Headers, *, is_strict: bool) -> Response | None:
        """Return the refusal of a change that another site's page has caused; ``is_strict``: or may have."""
        if scope["method"] in _SAFE:
            return None
        site, origin = headers.get("sec-fetch-site"), headers.get("origin")
        is_own = site == "same-origin" or (
            site is None and origin == f"https://{headers.get('host')}"
        )
        if is_own or (not is_strict and site is None and origin is None):
            return None
        record = Entry(event=Event.REFUSAL, peer=str(scope["client"][0]))
        self._refused(record, None, "a change from another site's page")
        return refusal(403, "This must come from a page of this archive")

    def _is_preflight(self, headers: Headers) -> bool:
        is_known = headers.get("origin") in self._origins
        return is_known and "access-control-request-method" in headers

    def _cross_origin(self, headers: Headers) -> dict[str, str]:
        """Return what tells a browser who may read the answer (Fetch section 3.2)."""
        origin = headers.get("origin")
        if origin not in self._origins:
            shared = {"vary": "Origin"} if self._origins else {}
            return {"cross-origin-resource-policy": "same-origin"} | shared
        return {"access-control-allow-origin": origin, "vary": "Origin"} if origin else {}

    def _has_expired(self, identity: Identity) -> bool:
        return identity.expires_at is not None and identity.expires_at <= self.archive.now()

    def _while_valid(self, ask: Ask) -> Ask:
        def asked() -> Identity | None:
            identity = ask()
            return None if identity is None or self._has_expired(identity) else identity

        return asked

    def _refused(self, record: Entry, identity: Identity | None, reason: str) -> None:
        entry = Entry(event=record.event, outcome=Outcome.REFUSED, peer=record.peer, reason=reason)
        self.noting.refusal(entry.by(identity))

    # --- who it is ---------------------------------------------------------------------------------------------------

    @staticmethod
    def _proofs(scope: Scope, headers: Headers) -> list[tuple[str, str]]:
        """Return everything that is shown as a proof, with its kind; nothing of it was looked at."""
        found: list[tuple[str, str]] = []
        certificate = certificate_of(scope)
        if certificate is not None:
            found.append(("certificate", hashlib.sha256(certificate).hexdigest()))
        found += [("authorization", text) for text in headers.getlist("authorization")]
        found += [("session", text) for text in cookies(headers, SESSION_COOKIE)]
        return found

    async def _ask(self, proof: tuple[str, str]) -> Ask:
        """Return what asks who a proof is of; a token of the OpenID provider is verified once."""
        kind, shown = proof
        if kind == "certificate":
            return lambda: self.archive.settings.register.by_certificate(shown)
        if kind == "session":
            return lambda: self.by_session(shown)
        scheme, _, token = shown.partition(" ")
        if scheme.lower() != "bearer":
            return _nobody
        if self.openid is not None and token.count(".") == 2:
            return await self._ask_openid(token)
        return lambda: self._by_token(token)

    def tokens(self) -> TokenBook:
        """Return the tokens of services as they are now."""
        return self._tokens.value()

    def _by_token(self, token: str) -> Identity | None:
        register = self.archive.settings.register
        return self.tokens().identify(token, register, now=self.archive.now())

    async def _ask_openid(self, token: str) -> Ask:
        assert self.openid is not None
        try:
            known = await self.openid.bearer(token, now=self.archive.now())
        except DoorwardError:  # the provider does not answer, or nonsense: nobody is vouched for
            return _nobody
        if isinstance(known, str):
            return _nobody
        return lambda: self.by_openid(known.subject, known.person, known.expires_at)

    def by_session(self, text: str) -> Identity | None:
        """Return whose session this is, as long as credentials and register still say so."""
        session = self.sessions.find(text, now=self.clock())
        if session is None:
            return None
        if session.how == How.OPENID:
            return self.by_openid(session.mark, session.name, None)
        if not self.login.is_current(session.name, session.mark):
            return None
        return self.archive.settings.register.by_name(session.name, how=How(session.how))

    def by_openid(self, subject: str, person: str, expires_at: datetime | None) -> Identity | None:
        """Return who a subject of the provider is, as long as settings and register say so."""
        if self.openid is None or self.openid.person_of(subject) != person:
            return None
        identity = self.archive.settings.register.by_name(person, how=How.OPENID)
        return None if identity is None else identity.narrowed(expires_at=expires_at)


_ALLOWED = {
    "access-control-allow-methods": "GET, HEAD, POST, OPTIONS",
    "access-control-allow-headers": _ASKED_FOR,
    "access-control-max-age": "600",
}


def _unauthorised() -> Response:
    answer = refusal(401, "No identity was shown")
    answer.headers["www-authenticate"] = 'Bearer realm="doorward"'
    return answer


def cookies(headers: Headers, name: str) -> list[str]:
    """Return every value of a cookie; there should be one at the most."""
    found = []
    for line in headers.getlist("cookie"):
        for pair in line.split(";"):
            key, _, value = pair.strip().partition("=")
            if key == name:
                found.append(value)
    return found
