"""The HTTPS door on real TLS sockets: each proof, no proof, two proofs, and what a browser could be made to do."""

import http.client
import json
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from doorward.access.identity import Device, Operation, Person, Register, Role
from doorward.access.journal.record import Event, Outcome
from doorward.archive.archive import Archive
from doorward.archive.web.caller import caller_of
from doorward.limits import DEFAULT_LIMITS
from web_archives import WebAnswer, WebArchive, ask, web_archive

PERSONS = (Person(name="ada", role=Role.READER), Person(name="bob", role=Role.READER))
VIEWER = "https://viewer.example"


def routes(_: Archive) -> Iterable[BaseRoute]:
    """/who says who calls; /stall waits for the body and asks again who it is."""

    async def who(request: Request) -> Response:
        identity = caller_of(request).identity()
        return JSONResponse(
            {
                "name": identity.name if identity else None,
                "how": identity.how if identity else None,
                "scope": sorted(identity.scope or ()) if identity else None,
            }
        )

    async def stall(request: Request) -> Response:
        names = []
        async for _ in request.stream():
            identity = caller_of(request).identity()
            names.append(identity.name if identity else None)
        return JSONResponse(names)

    return [
        Route("/who", who, methods=["GET", "POST", "DELETE"]),
        Route("/stall", stall, methods=["POST"]),
    ]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebArchive]:
    folder = tmp_path_factory.mktemp("site")
    limits = replace(DEFAULT_LIMITS, web_refusal_s=3600.0)
    known = {"ct1": Role.MODALITY, "ws1": Role.WORKSTATION, "ws2": Role.WORKSTATION}
    with web_archive(
        folder, devices=known, persons=PERSONS, extra_routes=routes, limits=limits, origins=[VIEWER]
    ) as site:
        yield site


def bare(answer: WebAnswer) -> tuple[int, tuple[tuple[str, str], ...], bytes]:
    return answer.status, tuple(answer.headers.items()), answer.body


# --- who it is --------------------------------------------------------------------------------------------------------


def test_device_is_known_by_its_certificate(site: WebArchive) -> None:
    assert site.get("/who", who="ct1").json() == {"name": "ct1", "how": "certificate", "scope": []}


def test_service_is_known_by_its_token_and_no_more_than_that_says(site: WebArchive) -> None:
    token = site.token("viewer", [Operation.QUERY])
    answer = site.get("/who", who=None, Authorization=f"Bearer {token}")
    assert answer.json() == {"name": "viewer", "how": "token", "scope": ["query"]}
    assert site.get("/who", who=None, Authorization=f"bearer {token}").status == 200


def test_person_is_known_by_a_session(site: WebArchive) -> None:
    cookie = site.session("ada")
    answer = site.get("/who", who=None, Cookie=f"other=1; {cookie}")
    assert answer.json() == {"name": "ada", "how": "password and code", "scope": []}


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer doorward_" + "x" * 43},
        {"Authorization": "Bearer a.b.c"},
        {"Authorization": "Basic YWRhOmFkYQ=="},
        {"Authorization": "\xff\xfe"},
        {"Cookie": "__Host-doorward=" + "x" * 43},
        {"Cookie": "__Host-doorward="},
        {"Cookie": "=;;;=__Host-doorward"},
        {"X-Forwarded-For": "127.0.0.1", "X-Forwarded-User": "ada"},
        {"X-SSL-Client-Cert": "ws1"},
    ],
)
def test_nobody_gets_the_same_answer_on_every_path(
    site: WebArchive, headers: dict[str, str]
) -> None:
    paths = [
        "/",
        "/who",
        "/nowhere",
        "/dicom-web/studies",
        "/dicom-web/studies/1.2.3",
        "/dicom-web/../who",
        "//who",
        "/%2e%2e/who",
        "/who/",
        "/session",
        "/logout",
        "/metrics",
        "/login/",
        "/health",
        "/health/live/",
        "/favicon.ico",
        "/x?" + "y" * 5_000,
    ]
    answers = {
        bare(site.request(method, path, who=None, headers=headers))
        for path in paths
        for method in ("GET", "POST", "DELETE", "OPTIONS", "PROPFIND")
    }
    assert len(answers) == 1
    [(status, _, body)] = answers
    assert (status, json.loads(body)) == (401, {"error": "No identity was shown"})


def test_body_of_nobody_is_not_waited_for(site: WebArchive) -> None:
    connection = site.connection(None)
    connection.putrequest("POST", "/who")
    connection.putheader("Content-Length", "1000000000")
    connection.endheaders(b"x")
    assert connection.getresponse().status == 401
    connection.close()


@pytest.mark.parametrize("paired", ["certificate", "token", "session", "two cookies", "two tokens"])
def test_two_proofs_at_once_are_refused(site: WebArchive, paired: str) -> None:
    token, cookie = f"Bearer {site.token()}", site.session("bob")
    answer = {
        "certificate": lambda: site.get("/who", who="ws1", Authorization=token),
        "token": lambda: site.get("/who", who=None, Authorization=token, Cookie=cookie),
        "session": lambda: site.get("/who", who="ws1", Cookie=cookie),
        "two cookies": lambda: site.get("/who", who=None, Cookie=f"{cookie}; {cookie}"),
        "two tokens": lambda: twice(site, "Authorization", token),
    }[paired]()
    assert (answer.status, answer.json()) == (
        400,
        {"error": "Show one proof of identity, not several"},
    )


def twice(site: WebArchive, name: str, value: str) -> WebAnswer:
    """Ask with a header that is there twice."""
    connection = site.connection(None)
    connection.putrequest("GET", "/who", skip_host=name == "Host")
    connection.putheader(name, value)
    connection.putheader(name, value)
    connection.endheaders()
    reply = connection.getresponse()
    answer = WebAnswer(status=reply.status, headers=dict(reply.getheaders()), body=reply.read())
    connection.close()
    return answer


def test_revoked_means_refused_at_the_next_request_of_the_same_connection(
    site: WebArchive,
) -> None:
    connection = site.connection("ws2")
    assert ask(connection, "GET", "/who").status == 200
    site.revoke("ws2")
    assert ask(connection, "GET", "/who").status == 401
    connection.close()


def test_identity_is_asked_anew_while_a_body_is_read(tmp_path: Path) -> None:
    with web_archive(tmp_path, extra_routes=routes) as site:

        def pieces() -> Iterator[bytes]:
            yield b"x" * 100_000
            while site.https.requests < 1:
                pass
            site.revoke("ct1")
            yield b"x" * 100_000

        connection = site.connection("ct1")
        connection.request("POST", "/stall", body=pieces(), encode_chunked=True)
        names = json.loads(connection.getresponse().read())
        connection.close()
    assert names[-1] is None


def test_expired_identity_is_nobody(tmp_path: Path) -> None:
    with web_archive(tmp_path, extra_routes=routes) as site:
        ends = site.archive.now() + timedelta(seconds=600)
        known = [
            replace(one, expires_at=ends) if one.name == "ws1" else one
            for one in site.archive.settings.register.devices
        ]
        site.call(lambda: site.archive.use(register=Register(devices=tuple(known))))
        assert site.get("/who").status == 200
        site.archive.now = lambda: ends
        assert site.get("/who").status == 401
        assert site.get("/who", who="ct1").status == 200
        [refusal] = [one.entry for one in site.journal() if one.entry.event is Event.REFUSAL]
        assert (refusal.identity, refusal.reason) == ("ws1", "identity has expired")


def test_certificate_of_our_authority_that_nobody_has_is_nobody(site: WebArchive) -> None:
    register = site.archive.settings.register
    without = tuple(one for one in register.devices if one.name != "ws1")
    site.call(lambda: site.archive.use(register=replace(register, devices=without)))
    try:
        assert site.get("/who", who="ws1").status == 401
    finally:
        site.call(lambda: site.archive.use(register=register))


def test_revoked_token_is_refused_at_once(site: WebArchive) -> None:
    token = f"Bearer {site.token()}"
    assert site.get("/who", who=None, Authorization=token).status == 200
    site.vault.write("tokens.json", b'{"format": "doorward.tokens/1", "tokens": []}')
    assert site.get("/who", who=None, Authorization=token).status == 401


def test_session_ends_with_the_person_and_with_the_password(site: WebArchive) -> None:
    cookie = site.session("bob")
    assert site.get("/who", who=None, Cookie=cookie).status == 200
    site.credentials_of("bob")  # another password, or the same one set anew
    assert site.get("/who", who=None, Cookie=cookie).status == 401
    cookie = site.session("bob")
    register = site.archive.settings.register
    site.revoke("bob")
    try:
        assert site.get("/who", who=None, Cookie=cookie).status == 401
    finally:
        site.call(lambda: site.archive.use(register=register))


def test_session_that_is_idle_too_long_ends(tmp_path: Path) -> None:
    clock = [0.0]
    with web_archive(
        tmp_path, persons=PERSONS, extra_routes=routes, clock=lambda: clock[0]
    ) as site:
        cookie = site.session("ada")
        clock[0] += DEFAULT_LIMITS.session_idle_s - 1
        assert site.get("/who", who=None, Cookie=cookie).status == 200
        clock[0] += DEFAULT_LIMITS.session_idle_s
        assert site.get("/who", who=None, Cookie=cookie).status == 401


# --- what a browser could be made to do -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "host",
    [
        *("evil.example", "localhost.evil.example", "", "[::1", "1.2.3.4"),
        *(
            "localhost:1@evil.example",
            "localhost:1/evil",
            "localhost:x",
            "localhost:1:2",
            "[localhost]",
        ),
    ],
)
def test_host_that_is_not_ours_is_refused_whoever_calls(site: WebArchive, host: str) -> None:
    answer = site.get("/who", Host=host)
    assert (answer.status, answer.json()) == (
        421,
        {"error": "This is not the name of this archive"},
    )


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:8443", "127.0.0.1:1"])
def test_host_of_ours_is_taken_on_whatever_port(site: WebArchive, host: str) -> None:
    assert site.get("/who", Host=host).status == 200


def test_host_twice_or_not_at_all_is_refused(site: WebArchive) -> None:
    assert twice(site, "Host", "localhost").status == 421
    connection = site.connection("ws1")
    connection._http_vsn, connection._http_vsn_str = 10, "HTTP/1.0"  # type: ignore[attr-defined]
    connection.putrequest("GET", "/who", skip_host=True)
    connection.endheaders()
    assert connection.getresponse().status == 421
    connection.close()


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Sec-Fetch-Site": "same-origin"}, 200),
        ({"Origin": "https://localhost"}, 200),
        ({}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Sec-Fetch-Site": "none"}, 403),
        ({"Sec-Fetch-Site": "cross-site", "Origin": "https://localhost"}, 403),
        ({"Origin": "http://localhost"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": VIEWER}, 403),
    ],
)
def test_change_by_a_session_must_come_from_our_own_page(
    site: WebArchive, headers: dict[str, str], status: int
) -> None:
    named = {"Host": "localhost", "Cookie": SESSION[0] if SESSION else remember(site)} | headers
    for method in ("POST", "DELETE"):
        assert site.request(method, "/who", who=None, headers=named).status == status
    assert site.request("GET", "/who", who=None, headers=named).status == 200


SESSION: list[str] = []


def remember(site: WebArchive) -> str:
    """Log in once for all of them."""
    SESSION.append(site.session("ada"))
    return SESSION[0]


def test_change_by_certificate_or_token_needs_no_page(site: WebArchive) -> None:
    assert site.request("POST", "/who").status == 200
    token = {"Authorization": f"Bearer {site.token()}"}
    assert site.request("DELETE", "/who", who=None, headers=token).status == 200


def test_every_answer_carries_what_protects_a_browser(site: WebArchive) -> None:
    expected = {
        "strict-transport-security": "max-age=31536000",
        "x-content-type-options": "nosniff",
        "x-frame-options": "DENY",
        "referrer-policy": "no-referrer",
        "cache-control": "no-store",
        "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
        "cross-origin-resource-policy": "same-origin",
    }
    for path, who in (("/who", "ws1"), ("/who", None), ("/nowhere", "ws1"), ("/login", None)):
        headers = site.get(path, who=who).headers
        assert {name: headers.get(name) for name in expected} == expected
        assert "access-control-allow-origin" not in headers


def test_page_of_another_origin_may_read_only_where_the_settings_name_it(
    site: WebArchive,
) -> None:
    token = f"Bearer {site.token()}"
    for origin, allowed in ((VIEWER, VIEWER), ("https://evil.example", None), ("null", None)):
        answer = site.get("/who", who=None, Authorization=token, Origin=origin)
        assert answer.headers.get("access-control-allow-origin") == allowed
        assert "access-control-allow-credentials" not in answer.headers


def test_browser_may_ask_beforehand_only_for_a_page_that_the_settings_name(
    site: WebArchive,
) -> None:
    asked = {"Access-Control-Request-Method": "GET"}
    answer = site.request("OPTIONS", "/who", who=None, headers=asked | {"Origin": VIEWER})
    assert answer.status == 204
    assert answer.headers["access-control-allow-origin"] == VIEWER
    assert "Authorization" in answer.headers["access-control-allow-headers"]
    stranger = asked | {"Origin": "https://evil.example"}
    assert site.request("OPTIONS", "/who", who=None, headers=stranger).status == 401
    assert site.request("OPTIONS", "/who", who=None, headers={"Origin": VIEWER}).status == 401


# --- the journal ------------------------------------------------------------------------------------------------------


def test_flood_of_refusals_is_one_record(tmp_path: Path) -> None:
    with web_archive(tmp_path) as site:
        connection = site.connection(None)
        for _ in range(50):
            ask(connection, "GET", "/dicom-web/studies")
        connection.close()
        refusals = [one.entry for one in site.journal() if one.entry.event is Event.REFUSAL]
    assert [(one.outcome, one.peer, one.reason) for one in refusals] == [
        (Outcome.REFUSED, "127.0.0.1", "no identity was shown")
    ]


def test_device_is_a_type_that_a_session_never_has(site: WebArchive) -> None:
    text = site.call(
        lambda: site.door.sessions.start("ct1", how="password and code", mark="", now=0.0)
    )
    assert isinstance(site.archive.settings.register.devices[0], Device)
    answer = site.get("/who", who=None, Cookie=f"__Host-doorward={text}")
    assert answer.status == 401


def test_plain_http_is_no_way_in(site: WebArchive) -> None:
    connection = http.client.HTTPConnection(site.host, site.port, timeout=5)
    with pytest.raises((http.client.HTTPException, OSError)):
        ask(connection, "GET", "/who")
    connection.close()
