"""One documented login, once, only to the product that shows its mark, and only its result."""

import asyncio
import base64

import pytest

from doorward.audit.approach import attempt
from doorward.audit.credential_facts import Login
from doorward.audit.facts import Outcome
from doorward.audit.probes import default_credentials
from loopback import in_loop
from web_servers import NOT_FOUND, answer, as_json, locked_orthanc, web_server
from web_visitors import web_approach

REALM = [("WWW-Authenticate", 'Basic realm="Orthanc Secure Area"')]
PAIR = "Basic " + base64.b64encode(b"orthanc:orthanc").decode()


async def asked(respond):
    async with web_server(respond) as web:
        made = await attempt(
            "default_credentials", web_approach(web.port), default_credentials.asker()
        )
    return made, web.requests


def attempts(requests):
    return [r for r in requests if "authorization" in r.headers or "password" in r.target]


@pytest.mark.interop
@pytest.mark.peer("orthanc")
@pytest.mark.parametrize(
    ("secret", "result"), [("orthanc", Login.ACCEPTED), ("another", Login.REFUSED)]
)
def test_orthanc_with_and_without_its_documented_login(secret, result, tmp_path):
    locked = {
        "RemoteAccessAllowed": True,
        "AuthenticationEnabled": True,
        "RegisteredUsers": {"orthanc": secret},
    }
    with locked_orthanc(tmp_path, locked) as archive:
        approach = web_approach(archive.http_port)
        made = asyncio.run(attempt("default_credentials", approach, default_credentials.asker()))
    assert (made.outcome, made.facts.result) == (Outcome.ANSWERED, result)
    assert (made.facts.product, made.facts.key, made.facts.user) == (
        "Orthanc",
        "orthanc",
        "orthanc",
    )
    assert made.connections == 2


@in_loop
async def test_one_attempt_and_no_more():
    made, requests = await asked(lambda _: answer(401, headers=REALM))
    assert made.facts.result is Login.REFUSED
    assert [r.headers["authorization"] for r in attempts(requests)] == [PAIR]


@in_loop
async def test_congestion_is_no_second_attempt():
    made, requests = await asked(
        lambda r: answer(503 if "authorization" in r.headers else 401, headers=REALM)
    )
    assert made.outcome is Outcome.INCONCLUSIVE
    assert len(attempts(requests)) == 1


@pytest.mark.parametrize(
    "respond",
    [
        lambda _: NOT_FOUND,
        lambda _: answer(401, headers=[("WWW-Authenticate", 'Basic realm="Modality 7"')]),
        lambda _: answer(401),
        lambda _: answer(200, "<html>login</html>"),
        lambda _: answer(401, headers=[("WWW-Authenticate", 'Digest realm="Orthanc Secure Area"')]),
        lambda _: answer(
            401, headers=[("WWW-Authenticate", 'Basic realm="Not Orthanc Secure Area at all"')]
        ),
    ],
)
@in_loop
async def test_nobody_else_is_ever_sent_a_login(respond):
    made, requests = await asked(respond)
    assert (made.outcome, made.facts) == (Outcome.NOT_TESTED, None)
    assert attempts(requests) == []


@in_loop
async def test_a_product_that_asks_for_no_login_is_not_tried():
    made, requests = await asked(
        lambda r: (
            as_json({"ok": 1})
            if r.path != "/login"
            else answer(200, headers=[("Server", "Dicoogle/3.4")])
        )
    )
    assert made.outcome is Outcome.NOT_TESTED
    assert attempts(requests) == []


@pytest.mark.parametrize(
    ("status", "result"), [(200, Login.ACCEPTED), (401, Login.REFUSED), (500, Login.UNCLEAR)]
)
@in_loop
async def test_dicoogle_s_login_takes_a_post_without_a_body(status, result):
    def respond(request):
        if request.path != "/login":
            return NOT_FOUND
        code = status if request.method == "POST" else 401
        return answer(code, '{"token": "ZZCANARY"}', headers=[("Server", "Dicoogle/3.4.0")])

    made, requests = await asked(respond)
    assert (made.facts.product, made.facts.result) == ("Dicoogle", result)
    (login,) = attempts(requests)
    assert (login.method, login.target) == ("POST", "/login?username=dicoogle&password=dicoogle")
    assert "ZZCANARY" not in repr(made)


@in_loop
async def test_the_secret_is_in_no_fact():
    made, _ = await asked(
        lambda r: answer(401 if "authorization" not in r.headers else 200, headers=REALM)
    )
    assert made.facts.result is Login.ACCEPTED
    assert PAIR not in repr(made)
