"""Consoles are known by their own realm or title beside a made-up path; WADO-URI by a refusal that only it gives."""

import pytest

from doorward.audit.approach import attempt
from doorward.audit.facts import Outcome
from doorward.audit.probes import web_hygiene
from doorward.audit.web_facts import Access
from loopback import in_loop
from web_servers import NOT_FOUND, answer, as_json, page, web_server
from web_visitors import web_approach


def realm(text, scheme="Basic"):
    return answer(401, headers=[("WWW-Authenticate", f'{scheme} realm="{text}"')])


async def seen(found, other=NOT_FOUND):
    async with web_server(lambda r: found.get(r.path, other)) as server:
        made = await attempt("web_hygiene", web_approach(server.port), web_hygiene.ask)
    assert {r.method for r in server.requests} == {"GET"}
    assert made.connections == made.facts.requests if made.facts else True
    return made


@pytest.mark.parametrize(
    ("path", "reply", "console", "access"),
    [
        ("/manager/html", page("/manager"), "Tomcat manager", Access.OPEN),
        ("/manager/html", realm("Tomcat Manager Application"), "Tomcat manager", Access.LOGIN),
        (
            "/jmx-console/",
            page("JBoss JMX Management Console - x"),
            "JBoss JMX console",
            Access.OPEN,
        ),
        ("/console/", page("HAL Management Console"), "WildFly console", Access.OPEN),
        ("/management", realm("ManagementRealm", "Digest"), "WildFly management", Access.LOGIN),
        (
            "/management",
            as_json({"management-major-version": 20, "name": "CANARY"}),
            "WildFly management",
            Access.OPEN,
        ),
    ],
)
@in_loop
async def test_a_console_is_known_by_its_own_marks(path, reply, console, access):
    made = await seen({path: reply})
    assert [(c.console, c.path, c.access) for c in made.facts.consoles] == [(console, path, access)]
    assert "CANARY" not in repr(made)


@pytest.mark.parametrize(
    "other",
    [
        page("Welcome"),
        page("/manager"),
        realm("Secure"),
        answer(403),
        answer(500),
        as_json({}),
        answer(204, b"", ""),
    ],
)
@in_loop
async def test_what_every_path_gets_is_no_console(other):
    made = await seen({}, other)
    assert [c for c in made.facts.consoles if c.access is Access.OPEN] == []


@in_loop
async def test_a_page_of_somebody_else_at_the_same_path_is_no_console():
    made = await seen(
        {
            "/manager/html": page("Our managers"),
            "/console/": page("Game consoles"),
            "/management": as_json({"a": 1}),
        }
    )
    assert made.facts.consoles == ()


@pytest.mark.parametrize(
    ("reply", "other", "access"),
    [
        (answer(400), NOT_FOUND, Access.OPEN),
        (answer(406), NOT_FOUND, Access.OPEN),
        (answer(401), NOT_FOUND, Access.LOGIN),
        (answer(401), answer(401), Access.LOGIN),
        (answer(404), NOT_FOUND, Access.ABSENT),
        (answer(400), answer(400), Access.ABSENT),
        (answer(200, "<html>"), NOT_FOUND, Access.UNCLEAR),
        (answer(200, "<html>"), answer(200, "<html>"), Access.ABSENT),
        (answer(302, headers=[("Location", "/login")]), NOT_FOUND, Access.LOGIN),
        (b"", NOT_FOUND, Access.SILENT),
    ],
)
@in_loop
async def test_wado_uri_is_judged_beside_a_made_up_path(reply, other, access):
    made = await seen({"/wado": reply}, other)
    assert made.facts.wado_uri is access


@in_loop
async def test_wado_uri_is_asked_for_no_instance():
    async with web_server(lambda _: NOT_FOUND) as server:
        await attempt("web_hygiene", web_approach(server.port), web_hygiene.ask)
    (wado,) = [r for r in server.requests if r.path == "/wado"]
    assert "UID" not in wado.target
    assert wado.headers["accept"] == "application/x-doorward-none"


@in_loop
async def test_a_port_that_speaks_something_else_is_inconclusive():
    async with web_server(lambda _: b"\x00\x01") as server:
        made = await attempt("web_hygiene", web_approach(server.port), web_hygiene.ask)
    assert (made.outcome, made.facts) == (Outcome.INCONCLUSIVE, None)
