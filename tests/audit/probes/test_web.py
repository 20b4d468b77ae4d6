"""What the web probe sees of a port: products, viewers, interfaces; no text of the peer gets into the facts."""

import base64

import pytest

from doorward.audit.approach import attempt
from doorward.audit.facts import Exactness, Outcome
from doorward.audit.probes import web
from doorward.audit.web_facts import Access, Redirect
from doorward.knowledge.web_signatures import visits
from doorward.web.murmur import favicon_md5
from loopback import in_loop
from open_web import CANARY, OpenArchive
from web_servers import NOT_FOUND, answer, as_json, page, speaker, web_server
from web_visitors import web_approach


async def seen(respond, *, level=1, **bounds):
    """Ask once; returns (attempt, paths that were asked for)."""
    async with web_server(respond) as server:
        made = await attempt("web", web_approach(server.port, **bounds), web.asker(level=level))
    assert server.most_at_a_time <= 1
    return made, [r.target for r in server.requests]


def pages(**found):
    """A server with some pages; keywords are paths with "/" as "_" at their begin."""
    return lambda request: found.get(request.path, NOT_FOUND)


@in_loop
async def test_a_plain_web_server_shows_its_software_and_nothing_of_imaging():
    front = answer(200, "<title>Welcome</title>", headers=[("Server", "nginx/1.18.0 (Ubuntu)")])
    made, asked = await seen(pages(**{"/": front}))
    facts = made.facts
    assert (made.outcome, facts.front, facts.has_imaging) == (Outcome.ANSWERED, Access.OPEN, False)
    assert [(p.product, p.version, p.certainty) for p in facts.products] == [
        ("nginx", "1.18.0", "likely")
    ]
    assert {visit.path for visit in visits()} <= set(asked)
    assert facts.requests == made.connections == len(asked)


@in_loop
async def test_no_text_of_the_peer_gets_into_the_facts():
    head = f"<meta name=generator content={CANARY}><script src={CANARY}.js></script><link rel=icon href=/{CANARY}.ico>"
    headers = [
        ("Server", f"nginx/1.18.0 ({CANARY})"),
        ("X-Powered-By", CANARY),
        ("Set-Cookie", f"{CANARY}={CANARY}"),
        ("WWW-Authenticate", f'Basic realm="{CANARY}"'),
        ("Strict-Transport-Security", CANARY),
    ]
    front = answer(
        200, f"<html><head><title>{CANARY}</title>{head}</head>{CANARY}", headers=headers
    )
    archive = OpenArchive(studies=3, orthanc=True)
    for level in (1, 2, 3):
        made, _ = await seen(
            lambda r: front if r.path in ("/", "/viewer") else archive.respond(r), level=level
        )
        assert made.outcome is Outcome.ANSWERED
        assert "CANARY" not in repr(made)


@in_loop
async def test_orthanc_is_known_by_its_system_page_and_its_list_of_studies():
    archive = OpenArchive(studies=7, orthanc=True)
    made, asked = await seen(archive.respond, level=2)
    (rest,) = made.facts.rest
    assert (rest.product, rest.version, rest.access, rest.is_local_only) == (
        "Orthanc",
        "1.10.1",
        Access.OPEN,
        False,
    )
    assert (rest.studies.value, rest.studies.exactness) == (7, Exactness.EXACT_COUNTER)
    assert ("Orthanc", "1.10.1") in [(p.product, p.version) for p in made.facts.products]
    assert "/studies?since=99999999&limit=1" in asked


@in_loop
async def test_nothing_is_counted_at_level_1():
    made, asked = await seen(OpenArchive(studies=7, orthanc=True).respond, level=1)
    assert made.facts.rest[0].access is Access.OPEN
    assert made.facts.rest[0].studies.value is None
    assert "/statistics" not in asked


@pytest.mark.parametrize(
    ("status", "access"),
    [(200, Access.OPEN), (401, Access.LOGIN), (403, Access.LOGIN), (500, Access.UNCLEAR)],
)
@in_loop
async def test_orthanc_is_open_only_where_it_lists_studies(status, access):
    archive = OpenArchive(orthanc=True)
    made, _ = await seen(
        lambda r: as_json([], status) if r.path == "/studies" else archive.respond(r)
    )
    assert made.facts.rest[0].access is access


@in_loop
async def test_an_orthanc_behind_its_lock_is_known_by_its_realm_and_left_alone():
    locked = answer(401, headers=[("WWW-Authenticate", 'Basic realm="Orthanc Secure Area"')])
    made, asked = await seen(lambda _: locked)
    assert [(r.product, r.access) for r in made.facts.rest] == [("Orthanc", Access.LOGIN)]
    assert made.facts.front is Access.LOGIN
    assert len(asked) <= 5, "a door that asks everybody for a login is not asked for every page"


@in_loop
async def test_dcm4chee_is_known_by_its_list_of_titles():
    made, _ = await seen(OpenArchive(studies=7, dcm4chee=True).respond, level=2)
    (rest,) = made.facts.rest
    assert (rest.product, rest.access, rest.studies.value) == ("dcm4chee-arc", Access.OPEN, 7)


@in_loop
async def test_a_viewer_is_a_page_that_a_made_up_path_does_not_get():
    ohif = page("OHIF Viewer")
    made, _ = await seen(pages(**{"/viewer": ohif}))
    assert [(v.product, v.path, v.access) for v in made.facts.viewers] == [
        ("OHIF Viewer", "/viewer", Access.OPEN)
    ]
    made, _ = await seen(lambda _: ohif)
    assert [v.path for v in made.facts.viewers] == ["/"], (
        "of a catch-all only the front page is one"
    )
    assert made.facts.answers_anything


@in_loop
async def test_a_viewer_behind_a_login_is_not_open():
    form = "<form><input type=password></form>"
    for reply in (page("Oviyam", form), page("Vue PACS")):
        made, _ = await seen(pages(**{"/": reply}))
        assert [v.access for v in made.facts.viewers] == [Access.LOGIN]


@in_loop
async def test_ohif_with_an_identity_provider_asks_for_a_login_in_the_browser():
    config = answer(200, "window.config = {\n oidc: [\n {authority: 'x'}]}", "text/javascript")
    made, _ = await seen(pages(**{"/": page("OHIF Viewer"), "/app-config.js": config}))
    assert [v.access for v in made.facts.viewers] == [Access.LOGIN]
    made, _ = await seen(
        pages(**{"/": page("OHIF Viewer"), "/app-config.js": answer(200, "window.config={}")})
    )
    assert [v.access for v in made.facts.viewers] == [Access.OPEN]


@in_loop
async def test_favicons_are_hashed_and_found_by_their_link(monkeypatch):
    icon = base64.b64decode("AAABAAEAAQE=")
    known = favicon_md5(icon)
    row = next(iter(web.recognise("favicon_md5", "18b505dbacd4b14643a739fadd7ba669")))
    monkeypatch.setattr(web, "recognise", lambda _on, text, **_: (row,) if text == known else ())
    front = page("x", head='<link rel="shortcut icon" href="img/i.ico">')
    for found in (
        {"/": front, "/img/i.ico": answer(200, icon, "image/x-icon")},
        {
            "/": page("x"),
            "/favicon.ico": answer(301, headers=[("Location", "/a.ico")]),
            "/a.ico": answer(200, icon),
        },
    ):
        made, _ = await seen(pages(**found))
        assert [(p.product, p.shown_by, p.certainty) for p in made.facts.products] == [
            ("Merge PACS", "favicon", "possible")
        ]


@in_loop
async def test_a_cookie_names_a_product_by_its_name_alone():
    front = answer(200, "<html>", headers=[("Set-Cookie", f"MEDDREAMSESSID={CANARY}; path=/")])
    made, _ = await seen(pages(**{"/": front}))
    assert [p.product for p in made.facts.products] == ["MedDream"]
    assert "CANARY" not in repr(made)


@in_loop
async def test_a_door_that_only_leads_to_https_is_not_asked_for_every_page():
    made, asked = await seen(lambda _: answer(301, headers=[("Location", "https://127.0.0.1/")]))
    assert (made.facts.redirect, made.facts.front) == (Redirect.HTTPS, Access.UNCLEAR)
    assert len(asked) <= 5


@in_loop
async def test_a_port_that_speaks_something_else_is_no_web_port():
    made, _ = await seen(lambda _: b"SSH-2.0-CANARY\r\n")
    assert (made.outcome, made.facts.speaks_http) == (Outcome.ANSWERED, False)
    assert "CANARY" not in repr(made)


@in_loop
async def test_silence_is_inconclusive():
    async with speaker(None) as (port, _):
        made = await attempt("web", web_approach(port, http_head_s=0.05), web.ask)
    assert (made.outcome, made.facts) == (Outcome.INCONCLUSIVE, None)


@pytest.mark.parametrize(
    ("value", "age"),
    [
        ("max-age=31536000; includeSubDomains", 31536000),
        ('preload; MAX-AGE="60"', 60),
        ("max-age=0", 0),
        ("max-age=x", None),
        ("", None),
        ("max-age=9999999999999999999", None),
    ],
)
def test_the_age_of_hsts_is_read(value, age):
    from doorward.net.http import HttpReply

    reply = HttpReply(
        status=200, http_version="1.1", headers=(("strict-transport-security", value),)
    )
    assert web._max_age(reply) == age
