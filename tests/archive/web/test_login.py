"""Log in, log out, who am I, and the first administrator, over HTTPS."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from doorward.access import totp
from doorward.access.identity import Person, Role
from doorward.access.journal.record import Event
from doorward.access.login import WRONG
from doorward.access.people import PeopleBook, SetUp
from doorward.limits import DEFAULT_LIMITS
from web_archives import PASSWORD, WebAnswer, WebArchive, ask, web_archive

PERSONS = (
    Person(name="ada", role=Role.ADMINISTRATOR, also=(Role.READER,), site="north"),
    Person(name="bob", role=Role.READER),
)
SAME = {"Sec-Fetch-Site": "same-origin"}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebArchive]:
    with web_archive(tmp_path_factory.mktemp("site"), persons=PERSONS) as site:
        yield site


def code(site: WebArchive, made: SetUp) -> str:
    return totp.code_at(made.secret, int(site.archive.now().timestamp() // totp.STEP_S))


def post(site: WebArchive, path: str, content: Any, **headers: str) -> WebAnswer:
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    named = {key.replace("_", "-"): value for key, value in headers.items()}
    kind = {"Content-Type": "application/json"}
    return site.request("POST", path, who=None, body=body, headers=kind | named)


def events(site: WebArchive) -> list[tuple[str, str, str]]:
    records = [one.entry for one in site.journal()]
    return [(str(one.event), one.identity, one.reason) for one in records]


def test_login_begins_a_session_that_no_script_can_read(site: WebArchive) -> None:
    answer = site.log_in("ada", code=code(site, site.credentials_of("ada")))
    assert answer.status == 200
    cookie, *attributes = answer.headers["set-cookie"].split("; ")
    assert cookie.startswith("__Host-doorward=")
    assert {one.lower() for one in attributes} == {
        "secure",
        "httponly",
        "samesite=strict",
        "path=/",
    }
    expected = {
        "name": "ada",
        "kind": "person",
        "roles": ["administrator", "reader"],
        "site": "north",
        "how": "password and code",
        "expires_at": None,
    }
    assert answer.json() == expected
    assert site.get("/session", who=None, Cookie=cookie).json() == expected
    assert (str(Event.LOGIN), "ada", "") in events(site)


def test_whatever_was_wrong_is_answered_alike_and_told_to_the_journal(site: WebArchive) -> None:
    made = site.credentials_of("bob")
    right = code(site, made)
    answers = [
        site.log_in("bob", "wrong", right),
        site.log_in("bob", PASSWORD, "000000"),
        site.log_in("nobody", PASSWORD, right),
        site.log_in("my secret password", PASSWORD, right),
    ]
    assert {(one.status, one.body) for one in answers} == {
        (401, json.dumps({"error": WRONG}, separators=(",", ":")).encode())
    }
    assert not [one for one in answers if "set-cookie" in one.headers]
    failed = [one for one in events(site) if one[0] == Event.LOGIN_FAILED]
    assert failed == [
        ("login failed", "bob", "the password is wrong"),
        ("login failed", "bob", "the code is wrong or was used"),
        ("login failed", "", "nobody has this name"),
        ("login failed", "", "nobody has this name"),
    ]


def test_code_works_once(site: WebArchive) -> None:
    typed = code(site, site.credentials_of("bob"))
    assert site.log_in("bob", code=typed).status == 200
    assert site.log_in("bob", code=typed).status == 401


def test_session_that_was_put_into_a_browser_beforehand_is_not_taken_over(
    site: WebArchive,
) -> None:
    planted = site.session("ada")
    made = site.credentials_of("ada")
    answer = site.log_in("ada", code=code(site, made), Cookie=planted)
    fresh = answer.headers["set-cookie"].partition(";")[0]
    assert fresh != planted
    assert site.get("/session", who=None, Cookie=planted).status == 401
    assert site.get("/session", who=None, Cookie=fresh).status == 200
    invented = site.log_in("ada", code=made.recovery_codes[0], Cookie="__Host-doorward=" + "x" * 43)
    assert "x" * 43 not in invented.headers["set-cookie"]


def test_logout_ends_the_session(site: WebArchive) -> None:
    cookie = site.session("bob")
    named = {"Cookie": cookie, **SAME}
    answer = site.request("POST", "/logout", who=None, headers=named)
    assert answer.status == 204
    assert "Max-Age=0" in answer.headers["set-cookie"]
    assert site.get("/session", who=None, Cookie=cookie).status == 401
    assert (str(Event.LOGOUT), "bob", "") in events(site)


def test_logout_from_another_site_is_refused(site: WebArchive) -> None:
    cookie = site.session("bob")
    foreign = {"Cookie": cookie, "Sec-Fetch-Site": "cross-site"}
    assert site.request("POST", "/logout", who=None, headers=foreign).status == 403
    assert site.get("/session", who=None, Cookie=cookie).status == 200


def test_who_has_no_session_has_none_to_end(site: WebArchive) -> None:
    assert site.request("POST", "/logout", who="ws1").status == 400
    assert site.request("POST", "/logout", who=None).status == 401


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Origin": "https://evil.example"}, 403),
        ({"Content-Type": "text/plain"}, 400),
        ({"Content-Type": "application/x-www-form-urlencoded"}, 400),
        ({}, 401),
        (SAME, 401),
    ],
)
def test_login_from_another_site_or_form_is_refused(
    site: WebArchive, headers: dict[str, str], status: int
) -> None:
    body = json.dumps({"name": "x", "password": "x", "code": "x"}).encode()
    named = {"Content-Type": "application/json"} | headers
    assert site.request("POST", "/login", who=None, body=body, headers=named).status == status


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"[]", 400),
        (b"{", 400),
        (b"[" * 4_000, 400),
        (b'{"name":"x","password":"x"}', 400),
        (b'{"name":"x","password":"x","code":"x","more":"x"}', 400),
        (b'{"name":1,"password":"x","code":"x"}', 400),
        (b'{"name":{},"password":"x","code":"x"}', 400),
        (b'{"name":"' + b"x" * 20_000 + b'","password":"x","code":"x"}', 413),
        (b'{"name":"\xff","password":"x","code":"x"}', 400),
        (b'{"name":"\\ud800","password":"\\ud800","code":"\\ud800"}', 400),
        (b'{"name":"\\u0000","password":"\\u0000","code":"\\u0663"}', 401),
    ],
)
def test_login_that_is_none_is_refused_and_shows_nothing(
    site: WebArchive, body: bytes, status: int
) -> None:
    answer = post(site, "/login", body)
    assert answer.status == status
    assert set(answer.json()) == {"error"}


def test_name_is_locked_and_says_for_how_long(tmp_path: Path) -> None:
    limits = replace(DEFAULT_LIMITS, login_free_failures=2, login_delay_s=100.0)
    with web_archive(tmp_path, persons=PERSONS, limits=limits) as site:
        made = site.credentials_of("bob")
        for _ in range(2):
            assert site.log_in("bob", "wrong").status == 401
        for _ in range(5):
            answer = site.log_in("bob", code=code(site, made))
            assert answer.status == 429
            assert int(answer.headers["retry-after"]) in range(95, 101)
        assert site.log_in("ada", "wrong").status == 401  # others are not
        locked = [one for one in events(site) if one[0] == Event.LOCKED]
    assert locked == [("locked", "bob", "locked out by name")]


def test_device_may_ask_who_it_is(site: WebArchive) -> None:
    assert site.get("/session", who="ct1").json()["roles"] == ["modality"]


# --- the first administrator ------------------------------------------------------------------------------------------


def first_code(site: WebArchive) -> str:
    book = site.door.login.book
    text, changed = book.value().with_first_code(now=site.archive.now(), lifetime=timedelta(days=1))
    book.update(lambda _: (changed, changed.to_bytes()))
    return text


def test_first_code_makes_the_administrator_who_can_then_log_in(tmp_path: Path) -> None:
    admitted: list[str] = []
    with web_archive(tmp_path, persons=PERSONS, admit=admitted.append) as site:
        text = first_code(site)
        content = {"code": text, "name": "ada", "password": PASSWORD}
        answer = post(site, "/first", content)
        assert answer.status == 200
        shown = answer.json()
        assert shown["uri"].startswith("otpauth://totp/Doorward%3Aada?secret=")
        assert len(shown["recovery_codes"]) == DEFAULT_LIMITS.recovery_codes
        assert admitted == ["ada"]
        assert post(site, "/first", content).status == 401
        step = int(site.archive.now().timestamp() // totp.STEP_S)
        assert site.log_in("ada", code=totp.code_at(shown["secret"], step)).status == 200
        changes = [one.entry for one in site.journal() if one.entry.event is Event.PERSON_CHANGED]
        assert [one.subject for one in changes] == ["ada"]
        kept = site.vault.read("people.json")
    assert PeopleBook.from_bytes(kept).first is None


def test_weak_first_password_is_said_and_costs_nothing(tmp_path: Path) -> None:
    admitted: list[str] = []
    with web_archive(tmp_path, persons=PERSONS, admit=admitted.append) as site:
        text = first_code(site)
        answer = post(site, "/first", {"code": text, "name": "ada", "password": "orthanc"})
        assert (answer.status, answer.json()) == (400, {"error": "is shorter than 15 characters"})
        good = {"code": text, "name": "ada", "password": PASSWORD}
        assert post(site, "/first", good).status == 200


def test_without_a_way_to_admit_nobody_begins_over_https(site: WebArchive) -> None:
    content = {"code": first_code(site), "name": "ada", "password": PASSWORD}
    assert post(site, "/first", content).status == 403


def test_connection_serves_several_logins(site: WebArchive) -> None:
    connection = site.connection(None)
    body = json.dumps({"name": "x", "password": "x", "code": "x"})
    named = {"Content-Type": "application/json"}
    statuses = [
        ask(connection, "POST", "/login", body=body, headers=named).status for _ in range(2)
    ]
    connection.close()
    assert statuses == [401, 401]
