"""Manners on the web: paced, one at a time, within the door, under an honest name; controls tell pages from catch-alls."""

import re

import pytest

from doorward import __version__
from doorward.audit.visit import access_of, made_up_name, refuses, user_agent
from doorward.audit.web_facts import Access, Redirect
from doorward.errors import ConnectFailed, PeerProtocolError, ReplyTimeout, ScopeError
from loopback import HOST, OpenGate, in_loop, limits
from web_servers import NOT_FOUND, answer, as_json, page, web_server
from web_visitors import visitor

# --- who we are -------------------------------------------------------------------------------------------------------


def test_the_user_agent_says_what_we_do_and_whom_to_call():
    assert user_agent() == f"Doorward/{__version__} (security audit; calling AE DOORWARD)"
    assert user_agent("it@hospital.example").endswith("; contact: it@hospital.example)")


@pytest.mark.parametrize("contact", ["a\r\nX: y", "(a)", "\u00e9", "x" * 5_000])
def test_a_contact_cannot_break_the_header(contact):
    assert re.fullmatch(r"Doorward/\S+ \([ -'*-~]*\)", user_agent(contact))
    assert len(user_agent(contact)) < 250


def test_made_up_names_differ_and_name_the_auditor():
    assert len({made_up_name() for _ in range(100)}) == 100
    assert made_up_name().startswith("doorward-")


# --- manners ----------------------------------------------------------------------------------------------------------


@in_loop
async def test_requests_come_one_after_the_other_and_are_counted():
    async with web_server(lambda _: page("Welcome")) as server:
        one = visitor(server.port)
        for path in ("/", "/a", "/b"):
            await one.look(path)
    assert [r.target for r in server.requests] == ["/", "/a", "/b"]
    assert (one.requests, server.most_at_a_time) == (3, 1)


@in_loop
async def test_a_busy_server_is_asked_again_with_pauses_and_then_left_alone():
    async with web_server(lambda _: answer(503, "<input type=password>")) as server:
        assert await visitor(server.port).look("/") is None
    assert len(server.requests) == 1 + limits().congestion_retries


@in_loop
async def test_what_a_busy_server_said_before_is_forgotten():
    answers = [answer(503, "<title>Busy</title><input type=password>"), page("Welcome")]
    async with web_server(lambda _: answers.pop(0)) as server:
        seen = await visitor(server.port).look("/")
    assert (seen.page.title, seen.page.asks_login) == ("Welcome", False)


@in_loop
async def test_the_first_failure_of_all_is_raised_and_later_ones_are_no_answer():
    answers = [page("Welcome"), b"garbage\r\n\r\n", page("Again"), b"", b""]
    async with web_server(lambda _: answers.pop(0)) as server:
        one = visitor(server.port, http_silences=2)
        assert await one.look("/") is not None
        assert await one.look("/a") is None
        assert (await one.look("/b")).page.title == "Again"
        assert await one.look("/c") is None
        with pytest.raises(ReplyTimeout):
            await one.look("/d")
    async with web_server(lambda _: b"SSH-2.0-x\r\n") as server:
        with pytest.raises(PeerProtocolError):
            await visitor(server.port).look("/")


@in_loop
async def test_a_scope_error_always_passes_through():
    class Shut:
        def permit(self, address, port):
            raise ScopeError("no", target=address)

    with pytest.raises(ScopeError):
        await visitor(9, gate=Shut()).look("/")


@in_loop
async def test_a_closed_port_is_a_failed_connection():
    with pytest.raises(ConnectFailed):
        await visitor(9).look("/")


# --- redirects --------------------------------------------------------------------------------------------------------


def moved(target):
    return answer(302, headers=[("Location", target)])


async def led(target, *, name=""):
    """Where "/" leads when it redirects to ``target``; returns (Seen, gate, targets asked)."""
    async with web_server(
        lambda r: (
            moved(target.replace("PORT", str(server.port))) if r.target == "/" else page("There")
        )
    ) as server:
        gate = OpenGate()
        seen = await visitor(server.port, gate=gate, name=name).look("/")
    assert set(gate.asked) == {(HOST, server.port)}
    return seen, [r.target for r in server.requests]


@pytest.mark.parametrize(
    "target",
    [
        "app/explorer.html",
        "/app/explorer.html",
        "./app/explorer.html",
        "http://127.0.0.1:PORT/app/explorer.html",
        "//127.0.0.1:PORT/app/explorer.html",
    ],
)
@in_loop
async def test_a_redirect_within_the_door_is_followed(target):
    seen, asked = await led(target)
    assert (seen.status, seen.redirect, asked) == (
        200,
        Redirect.SAME_DOOR,
        ["/", "/app/explorer.html"],
    )


@pytest.mark.parametrize(
    ("target", "kind"),
    [
        ("https://127.0.0.1/", Redirect.HTTPS),
        ("https://archive.invalid/x", Redirect.HTTPS),
        ("http://127.0.0.1:1/", Redirect.ELSEWHERE),
        ("http://127.0.0.2:PORT/", Redirect.ELSEWHERE),
        ("http://192.0.2.1/", Redirect.ELSEWHERE),
        ("//192.0.2.1:PORT/", Redirect.ELSEWHERE),
        ("http://archive.invalid.evil.example:PORT/", Redirect.ELSEWHERE),
        ("http://archive.invalid@192.0.2.1:PORT/", Redirect.ELSEWHERE),
        ("file:///etc/passwd", Redirect.ELSEWHERE),
        ("http://[::1", Redirect.ELSEWHERE),
        ("http://127.0.0.1:99999/", Redirect.ELSEWHERE),
        ("/a b", Redirect.ELSEWHERE),
        ("/" + "x" * 5_000, Redirect.ELSEWHERE),
    ],
)
@in_loop
async def test_a_redirect_off_the_door_is_never_followed(target, kind):
    seen, asked = await led(target, name="archive.invalid")
    assert (seen.redirect, asked) == (kind, ["/"])
    assert access_of(seen, None) is not Access.OPEN


@in_loop
async def test_a_circle_ends():
    async with web_server(lambda r: moved(r.target + "x")) as server:
        assert await visitor(server.port).look("/") is None
    assert len(server.requests) == 1 + limits().http_redirects


@in_loop
async def test_a_page_that_refreshes_to_elsewhere_is_no_page():
    text = "<meta http-equiv=refresh content='0;url=http://192.0.2.1/sso/'>"
    async with web_server(lambda _: page("", head=text)) as server:
        seen = await visitor(server.port).look("/")
    assert (seen.redirect, access_of(seen, None)) == (Redirect.ELSEWHERE, Access.LOGIN)


@pytest.mark.parametrize(
    ("target", "within"),
    [
        ("i.ico", "/app/i.ico"),
        ("/i.ico?v=1", "/i.ico?v=1"),
        ("http://192.0.2.1/i.ico", ""),
        ("data:,x", ""),
    ],
)
def test_links_are_taken_within_the_door_only(target, within):
    assert visitor(80).within("/app/x.html", target) == within


# --- what an answer means ---------------------------------------------------------------------------------------------


LOGIN_FORM = page("Archive", "<form><input type=password></form>")


@pytest.mark.parametrize(
    ("reply", "control", "access"),
    [
        (page("Archive"), NOT_FOUND, Access.OPEN),
        (page("Archive"), page("Not found"), Access.OPEN),
        (page("App", "one"), page("App", "another"), Access.ABSENT),
        (LOGIN_FORM, NOT_FOUND, Access.LOGIN),
        (answer(401), NOT_FOUND, Access.LOGIN),
        (answer(403), answer(403), Access.LOGIN),
        (moved("/login"), NOT_FOUND, Access.LOGIN),
        (moved("https://idp.invalid/oauth2/auth"), NOT_FOUND, Access.LOGIN),
        (moved("http://192.0.2.1/"), NOT_FOUND, Access.UNCLEAR),
        (answer(404), NOT_FOUND, Access.ABSENT),
        (answer(500), NOT_FOUND, Access.UNCLEAR),
        (answer(200, "plain", "text/plain"), NOT_FOUND, Access.UNCLEAR),
        (answer(200, ""), NOT_FOUND, Access.UNCLEAR),
        (answer(200, "<p>", headers=[("Content-Encoding", "br")]), NOT_FOUND, Access.UNCLEAR),
        (b"", NOT_FOUND, Access.SILENT),
    ],
)
@in_loop
async def test_a_page_is_judged_beside_a_made_up_path(reply, control, access):
    async with web_server(lambda r: reply if r.path == "/x" else control) as server:
        one = visitor(server.port)
        beside = await one.control()
        assert access_of(await one.look("/x"), beside) is access


@in_loop
async def test_the_control_is_asked_once_for_each_folder():
    async with web_server(lambda _: NOT_FOUND) as server:
        one = visitor(server.port)
        for folder in ("", "/a", "", "/a"):
            await one.control(folder)
    assert [r.path.rpartition("/")[0] for r in server.requests] == ["", "/a"]


@pytest.mark.parametrize(
    ("reply", "access"),
    [
        (401, Access.LOGIN),
        (403, Access.LOGIN),
        (407, Access.LOGIN),
        (511, Access.LOGIN),
        (404, Access.ABSENT),
        (405, Access.ABSENT),
        (200, None),
        (204, None),
        (400, None),
        (500, None),
    ],
)
@in_loop
async def test_some_statuses_speak_for_themselves(reply, access):
    async with web_server(lambda _: answer(reply)) as server:
        assert refuses(await visitor(server.port).request("/")) is access


@in_loop
async def test_members_of_json_are_read_and_nothing_else():
    async with web_server(lambda _: as_json({"count": 7, "name": "CANARY"})) as server:
        reply, reader = await visitor(server.port).members("/count", "count")
    assert (reply.status, reader.number("count"), reader.is_whole) == (200, 7, True)
    assert "CANARY" not in str(vars(reader))
    assert server.requests[0].headers["accept"] == "application/json"
