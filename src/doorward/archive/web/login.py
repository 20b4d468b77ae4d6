"""Log in, log out, who am I: for people in a browser, and for whoever begins an archive.

``POST /login``   {"name", "password", "code"}: a session, as a cookie that no script can read
``POST /logout``  ends it
``GET /session``  who the caller is, whatever the proof
``POST /first``   {"code", "name", "password"}: the first administrator sets a password; answers what is shown once
``GET /login/openid`` and its ``/callback``: the same by an OpenID provider, where the settings name one

A login is in the journal before its cookie leaves. A name that was typed is written there only where somebody has it: it
may be a password in the wrong field.
"""

import json
from dataclasses import replace

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from doorward.access.identity import How, Identity
from doorward.access.journal.record import Entry, Event, Outcome
from doorward.access.login import NotLoggedIn
from doorward.archive.web.caller import caller_of
from doorward.archive.web.door import SESSION_COOKIE, Door, cookies
from doorward.archive.web.openid import OpenId
from doorward.archive.web.refusals import refusal
from doorward.errors import DoorwardError, LimitExceeded, PeerProtocolError
from doorward.limits import Limits

_LOGIN_COOKIE = "__Host-doorward-login"
_CALLBACK = "/login/openid/callback"
#: A redirect would not take the new cookie along: it is Strict, and the browser comes from the provider's site.
_GO_HOME = '<!DOCTYPE html><title>Doorward</title><meta http-equiv="refresh" content="0;url=/">'


def routes(door: Door) -> list[Route]:
    """Return the routes of the login."""
    pages = _Pages(door)
    found = [
        Route("/login", pages.log_in, methods=["POST"]),
        Route("/logout", pages.log_out, methods=["POST"]),
        Route("/session", pages.session, methods=["GET"]),
        Route("/first", pages.first, methods=["POST"]),
    ]
    if door.openid is not None:
        there = _OpenIdPages(door, door.openid)
        found += [
            Route("/login/openid", there.go, methods=["GET"]),
            Route(_CALLBACK, there.come_back, methods=["GET"]),
        ]
    return found


class _Pages:
    """What the routes do."""

    def __init__(self, door: Door) -> None:
        self._door = door
        self._archive = door.archive

    async def log_in(self, request: Request) -> Response:
        """Begin a session by name, password and code."""
        name, password, code = await _fields(
            request, ("name", "password", "code"), self._archive.limits
        )
        peer = caller_of(request).record.peer
        register = self._archive.settings.register
        found = await self._door.login.attempt(
            name, password, code, peer, register, self._archive.now()
        )
        record = Entry(event=Event.LOGIN, peer=peer)
        if isinstance(found, NotLoggedIn):
            return self._not_let_in(found, record, name)
        return await _let_in(self._door, request, found.identity, found.mark)

    def _not_let_in(self, found: NotLoggedIn, record: Entry, name: str) -> Response:
        known = name if self._archive.settings.register.has(name) else ""
        event = Event.LOCKED if found.is_locked else Event.LOGIN_FAILED
        failed = replace(
            record, event=event, outcome=Outcome.REFUSED, identity=known, reason=found.reason
        )
        if not found.is_locked:
            self._door.noting.note(failed)
            return refusal(401, found.said)
        self._door.noting.refusal(failed)  # a flood of tries is one record a minute
        return refusal(429, found.said, retry_after_s=found.retry_after_s)

    async def log_out(self, request: Request) -> Response:
        """End the session that was shown; who has shown something else is told so."""
        caller = caller_of(request)
        identity = caller.identity()
        shown = cookies(request.headers, SESSION_COOKIE)
        if not shown:
            return refusal(400, "There is no session to end")
        self._door.sessions.end(shown[0])
        await self._archive.journal.write(replace(caller.record, event=Event.LOGOUT).by(identity))
        answer = Response(status_code=204, headers={"clear-site-data": '"cache", "storage"'})
        answer.delete_cookie(SESSION_COOKIE, secure=True, httponly=True, samesite="strict")
        return answer

    async def session(self, request: Request) -> Response:
        """Say who the caller is."""
        identity = caller_of(request).identity()
        if identity is None:  # revoked between the door and here
            return refusal(401, "No identity was shown")
        return JSONResponse(_said_of(identity))

    async def first(self, request: Request) -> Response:
        """Set the first administrator's password, by the code that ``init`` has shown."""
        code, name, password = await _fields(
            request, ("code", "name", "password"), self._archive.limits
        )
        peer = caller_of(request).record.peer
        if self._door.admit is None:
            return refusal(403, "Set the first password on the command line")
        made = await self._door.login.begin_archive(
            code, name, password, peer, self._archive.now(), admit=self._door.admit
        )
        record = Entry(event=Event.PERSON_CHANGED, peer=peer)
        if isinstance(made, NotLoggedIn):
            return self._not_let_in(made, record, "")
        reason = "credentials set by the code of the first start"
        await self._archive.journal.write(replace(record, subject=name, reason=reason))
        return JSONResponse(
            {
                "secret": made.secret,
                "uri": made.otpauth_uri("Doorward"),
                "recovery_codes": list(made.recovery_codes),
            }
        )


class _OpenIdPages:
    """The way to the provider and back."""

    def __init__(self, door: Door, openid: OpenId) -> None:
        self._door = door
        self._openid = openid

    async def go(self, request: Request) -> Response:
        """Send the browser to the provider."""
        # The door has checked the Host: it is one of our names.
        ours = f"https://{request.headers['host']}{_CALLBACK}"
        try:
            begun = await self._openid.begin(ours)
        except DoorwardError:
            return self._unusable(request)
        answer = RedirectResponse(begun.url, status_code=303)
        # Lax: it comes back by a link of the provider's site.
        answer.set_cookie(
            _LOGIN_COOKIE, begun.browser, secure=True, httponly=True, samesite="lax", path="/"
        )
        return answer

    async def come_back(self, request: Request) -> Response:
        """Take the browser back, and begin a session for whom the provider vouches."""
        archive, peer = self._door.archive, caller_of(request).record.peer
        shown = cookies(request.headers, _LOGIN_COOKIE)
        browser = shown[0] if len(shown) == 1 else ""
        try:
            known = await self._openid.finish(
                dict(request.query_params), browser, now=archive.now()
            )
        except DoorwardError:
            return self._unusable(request)
        reason, identity = known if isinstance(known, str) else "", None
        if not isinstance(known, str):
            identity = self._door.by_openid(known.subject, known.person, None)
            reason = "" if identity else "the name is not in the register"
            if identity and identity.expires_at and identity.expires_at <= archive.now():
                identity, reason = None, "identity has expired"
        if identity is None or isinstance(known, str):
            failed = Entry(event=Event.LOGIN_FAILED, outcome=Outcome.REFUSED, peer=peer)
            self._door.noting.refusal(replace(failed, how=How.OPENID, reason=reason))
            return refusal(401, "This login is not known here")
        answer = await _let_in(self._door, request, identity, known.subject)
        page = HTMLResponse(_GO_HOME)
        for name, value in answer.headers.items():
            if name == "set-cookie":
                page.headers.append(name, value)
        page.delete_cookie(_LOGIN_COOKIE, secure=True, httponly=True, samesite="lax")
        return page

    def _unusable(self, request: Request) -> Response:
        """Say that the provider does not answer, or nonsense, which is nobody's fault who calls."""
        entry = Entry(
            event=Event.LOGIN_FAILED,
            outcome=Outcome.FAILED,
            peer=caller_of(request).record.peer,
            how=How.OPENID,
            reason="the provider cannot be used",
        )
        self._door.noting.refusal(entry)
        return refusal(502, "The OpenID provider cannot be used now")


async def _let_in(door: Door, request: Request, identity: Identity, mark: str) -> Response:
    """Begin a session with an id of its own, whatever was shown before; it is in the journal first."""
    for old in cookies(request.headers, SESSION_COOKIE):
        door.sessions.end(old)
    record = Entry(event=Event.LOGIN, peer=caller_of(request).record.peer)
    await door.archive.journal.write(record.by(identity))
    text = door.sessions.start(identity.name, how=identity.how, mark=mark, now=door.clock())
    answer = JSONResponse(_said_of(identity))
    answer.set_cookie(SESSION_COOKIE, text, secure=True, httponly=True, samesite="strict", path="/")
    return answer


def _said_of(identity: Identity) -> dict[str, object]:
    ends = identity.expires_at
    return {
        "name": identity.name,
        "kind": identity.kind,
        "roles": list(identity.roles),
        "site": identity.site,
        "how": identity.how,
        "expires_at": None if ends is None else ends.isoformat(),
    }


async def _fields(request: Request, names: tuple[str, ...], limits: Limits) -> tuple[str, ...]:
    """Return the texts of a small JSON object. Raises PeerProtocolError, LimitExceeded.

    Only ``application/json``: no form of another site can send that (Fetch section 2.2.2).
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise _not_so("is not application/json")
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > limits.web_json_bytes:
            most = limits.web_json_bytes
            raise LimitExceeded(limit="web_json_bytes", value=most, seen=len(body))
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict) or found.keys() != set(names):
        raise _not_so(f"is not a JSON object of {', '.join(names)}")
    texts = tuple(found[name] for name in names)
    if not all(isinstance(text, str) and _is_unicode(text) for text in texts):
        raise _not_so("holds something else than texts")
    return texts


def _is_unicode(text: str) -> bool:
    """Whether it can be written as UTF-8: JSON allows half a surrogate pair (RFC 8259 section 8.2)."""
    return not any("\ud800" <= sign <= "\udfff" for sign in text)


def _not_so(what: str) -> PeerProtocolError:
    return PeerProtocolError(what, field="body", source="docs/archive.md")
