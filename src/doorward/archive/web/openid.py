"""Login at an OpenID provider: the browser goes there and comes back with a code, which we exchange for an ID token.

Theory of operation (OpenID Connect Core section 3.1, RFC 6749 section 4.1): ``begin`` sends the browser to the provider with
a state, a nonce and a challenge (PKCE, RFC 7636), all random, and a cookie that ties the state to this browser. ``finish``
takes the code only with a state that was given out to this browser and not used, exchanges it with the verifier of the
challenge, and verifies the ID token (``access.json_tokens``) with the nonce. The provider vouches for a subject; who that is
here, only the settings say: no mapping is nobody.

Document, keys and tokens are fetched from the provider that the settings name and from nowhere else, whatever its document
says (no request of ours can be bent to another machine); over verified TLS, except on loopback. Keys are fetched again for
a key that is unknown, at most once a minute.
"""

import asyncio
import hashlib
import json
import secrets
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from doorward.access.json_tokens import JsonTokens, Provider, Refusal, Vouched
from doorward.archive.running.settings import OpenIdSettings
from doorward.errors import ConfigError, DoorwardError, PeerProtocolError
from doorward.limits import DEFAULT_LIMITS, Limits
from doorward.net.dial import OnlyGate, resolve
from doorward.net.http import HttpReply, fetch, post_form
from doorward.net.tls import client_context

_DISCOVERY = "/.well-known/openid-configuration"
_AGENT = "doorward"
_PORTS = {"https": 443, "http": 80}
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_SOURCE = "OpenID Connect Core section 3.1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """Where the browser is to go, and what it shall bring back in a cookie."""

    url: str
    browser: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """Whom the provider vouches for, and who that is here."""

    subject: str
    person: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class _Pending:
    browser: bytes
    nonce: str
    verifier: str
    redirect_uri: str
    since: float


@dataclass(frozen=True, slots=True)
class _Document:
    """What the provider says about itself (OpenID Connect Discovery section 3), as far as we need it."""

    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    takes_basic: bool


class OpenId:
    """One provider. ``also_hosts``: names beside the issuer's own under which it may serve its keys and tokens."""

    def __init__(
        self,
        settings: OpenIdSettings,
        *,
        secret: str,
        also_hosts: Collection[str] = (),
        authorities: Path | None = None,
        limits: Limits = DEFAULT_LIMITS,
    ) -> None:
        self.settings = settings
        self._secret = secret
        self._limits = limits
        self._authorities = authorities
        issuer = urlsplit(settings.issuer)
        self._hosts = frozenset({str(issuer.hostname), *also_hosts})
        self._pending: dict[str, _Pending] = {}
        self._document: _Document | None = None
        self._keys: dict[str, JsonTokens] = {}
        self._fetched = float("-inf")
        self._turn = asyncio.Lock()

    # --- the login ---------------------------------------------------------------------------------------------------

    async def begin(self, redirect_uri: str) -> Begun:
        """Return where to send a browser. Raises ConfigError, PeerError, TransportError where the provider fails."""
        document = await self._known()
        state, nonce = secrets.token_urlsafe(32), secrets.token_urlsafe(32)
        browser, verifier = secrets.token_urlsafe(32), secrets.token_urlsafe(48)
        self._forget()
        now = _clock()
        self._pending[state] = _Pending(_digest(browser), nonce, verifier, redirect_uri, now)
        challenge = urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=")
        asked = {
            "response_type": "code",
            "scope": "openid",
            "client_id": self.settings.client_id,
            "redirect_uri": redirect_uri,
            "state": state,
            "nonce": nonce,
            "code_challenge": challenge.decode(),
            "code_challenge_method": "S256",
        }
        joint = "&" if "?" in document.authorization_endpoint else "?"
        url = f"{document.authorization_endpoint}{joint}{urlencode(asked)}"
        return Begun(url=url, browser=browser)

    async def finish(self, query: Mapping[str, str], browser: str, *, now: datetime) -> Known | str:
        """Return who came back, or why nobody did; the state is used up. Raises as ``begin``."""
        self._forget()
        pending = self._pending.pop(query.get("state", ""), None)
        if pending is None or not secrets.compare_digest(pending.browser, _digest(browser)):
            return "the login was not begun in this browser, or too long ago"
        if "error" in query:
            return "the provider has refused"
        if query.get("iss", self.settings.issuer) != self.settings.issuer:  # RFC 9207
            return str(Refusal.ISSUER)
        token = await self._exchanged(query.get("code", ""), pending)
        return await self._judged(token, self.settings.client_id, now, pending.nonce)

    async def bearer(self, token: str, *, now: datetime) -> Known | str:
        """Return whom a bearer token of the provider is about, or why nobody. Raises as ``begin``."""
        audience = self.settings.audience or self.settings.client_id
        return await self._judged(token, audience, now, None)

    def person_of(self, subject: str) -> str | None:
        """Return who a subject is here, None for nobody."""
        return self.settings.persons.get(subject)

    async def _judged(
        self, token: str, audience: str, now: datetime, nonce: str | None
    ) -> Known | str:
        found = (await self._verifier(audience)).verify(token, now=now, nonce=nonce)
        if found is Refusal.KEY and await self._fetch_again(audience):
            found = (await self._verifier(audience)).verify(token, now=now, nonce=nonce)
        if not isinstance(found, Vouched):
            return str(found)
        person = self.person_of(found.subject)
        if person is None:
            return "the settings say of nobody that this is they"
        return Known(subject=found.subject, person=person, expires_at=found.expires_at)

    def _forget(self) -> None:
        """Drop logins that nobody came back from: after their time, and the oldest where there are too many."""
        limits, now = self._limits, _clock()
        for state in list(self._pending):
            is_old = now - self._pending[state].since > limits.openid_login_s
            if not is_old and len(self._pending) < limits.openid_logins:
                break
            del self._pending[state]

    # --- what the provider says --------------------------------------------------------------------------------------

    async def _known(self) -> _Document:
        async with self._turn:
            if self._document is None:
                self._document = await self._discovered()
            return self._document

    async def _discovered(self) -> _Document:
        issuer = self.settings.issuer
        stated = _json(await self._fetch(issuer.rstrip("/") + _DISCOVERY), "discovery document")
        if stated.get("issuer") != issuer:
            raise PeerProtocolError("is of another issuer", field="discovery", source=_SOURCE)
        found = {}
        for name in ("authorization_endpoint", "token_endpoint", "jwks_uri"):
            value = stated.get(name)
            if not isinstance(value, str):
                raise PeerProtocolError(f"lacks {name}", field="discovery", source=_SOURCE)
            _require_safe(value)
            found[name] = value
        methods = stated.get("token_endpoint_auth_methods_supported", ["client_secret_basic"])
        basic = isinstance(methods, list) and "client_secret_basic" in methods
        return _Document(**found, takes_basic=basic)

    async def _verifier(self, audience: str) -> JsonTokens:
        document = await self._known()
        async with self._turn:
            if audience not in self._keys:
                self._fetched = _clock()
                self._keys[audience] = await self._fetched_keys(document, audience)
            return self._keys[audience]

    async def _fetched_keys(self, document: _Document, audience: str) -> JsonTokens:
        reply = await self._fetch(document.jwks_uri)
        provider = Provider(
            issuer=self.settings.issuer, audience=audience, keys=_whole(reply, "keys")
        )
        return JsonTokens(provider, limits=self._limits)

    async def _fetch_again(self, audience: str) -> bool:
        """Put fresh keys in place of those that are not; False where they are, or none can be had.

        Whoever shows a key that nobody knows must not take away those that are good, while the provider does not answer.
        """
        if _clock() - self._fetched < self._limits.openid_keys_s:
            return False
        self._fetched = _clock()
        try:
            fresh = await self._fetched_keys(await self._known(), audience)
        except DoorwardError:
            return False
        self._keys = {audience: fresh}
        return True

    async def _exchanged(self, code: str, pending: _Pending) -> str:
        document = await self._known()
        fields = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": pending.redirect_uri,
            "code_verifier": pending.verifier,
        }
        headers = [("Accept", "application/json")]
        identifier = self.settings.client_id
        if document.takes_basic:  # RFC 6749 section 2.3.1
            pair = f"{quote(identifier, safe='')}:{quote(self._secret, safe='')}".encode()
            headers.append(("Authorization", f"Basic {b64encode(pair).decode()}"))
        else:
            fields |= {"client_id": identifier, "client_secret": self._secret}
        place = await self._place(document.token_endpoint)
        reply = await post_form(
            **place, fields=fields, headers=headers, user_agent=_AGENT, limits=self._limits
        )
        token = _json(reply, "answer of the token endpoint").get("id_token")
        if not isinstance(token, str):
            raise PeerProtocolError("lacks id_token", field="token endpoint", source=_SOURCE)
        return token

    # --- how it is asked ---------------------------------------------------------------------------------------------

    async def _fetch(self, url: str) -> HttpReply:
        place = await self._place(url)
        return await fetch(
            **place,
            headers=[("Accept", "application/json")],
            user_agent=_AGENT,
            limits=self._limits,
        )

    async def _place(self, url: str) -> dict[str, Any]:
        """Return address, port, gate, TLS, name and path of a URL. Raises ConfigError where it is not the provider's."""
        _require_safe(url)
        parts = urlsplit(url)
        host = str(parts.hostname)
        if host not in self._hosts:
            hint = "Its keys and tokens must be served under the name of the issuer."
            raise ConfigError("names another host", field="openid: issuer", hint=hint)
        port = parts.port or _PORTS[parts.scheme]
        address = (await resolve(host, limits=self._limits))[0]
        tls = None
        if parts.scheme == "https":
            tls = await asyncio.to_thread(client_context, authorities=self._authorities)
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        gate = OnlyGate(address, port, "the OpenID provider")
        named = {"address": address, "port": port, "gate": gate, "tls": tls}
        return {**named, "server_name": host, "path": path}


def _require_safe(url: str) -> None:
    """Refuse what is neither https nor on this machine."""
    parts = urlsplit(url)
    is_near = parts.scheme == "http" and parts.hostname in _LOOPBACK
    if not (parts.scheme == "https" or is_near) or not parts.hostname or parts.fragment:
        hint = "Only https, or http on this machine itself."
        raise ConfigError("names an address that is not safe", field="openid: issuer", hint=hint)


def _whole(reply: HttpReply, what: str) -> bytes:
    if reply.status != 200 or reply.truncated or reply.is_encoded:
        raise PeerProtocolError(
            f"could not be had (status {reply.status})", field=what, source=_SOURCE
        )
    return bytes(reply.body)


def _json(reply: HttpReply, what: str) -> dict[str, Any]:
    try:
        found = json.loads(_whole(reply, what))
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise PeerProtocolError("is no JSON object", field=what, source=_SOURCE)
    return found


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode(errors="replace")).digest()


def _clock() -> float:
    return asyncio.get_running_loop().time()
