"""Login at an OpenID provider: a real one as the peer, and one that lies."""

import base64
import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

import pytest
from joserfc import jwt
from joserfc.jwk import OctKey

from doorward.access.identity import Person, Role
from doorward.access.journal.record import Event
from doorward.archive.running.settings import OpenIdSettings
from doorward.archive.web.openid import OpenId
from doorward.limits import DEFAULT_LIMITS, Limits
from openid_providers import CLIENT, Forged, forged_provider, log_in_there, new_key, real_provider
from web_archives import WebAnswer, WebArchive, web_archive

PERSONS = (Person(name="ada", role=Role.READER),)
#: The provider answers 500 where a warning of its own libraries is an error.
MOCK = pytest.mark.filterwarnings("ignore::DeprecationWarning")
SUBJECTS = {"subject-1": "ada", "subject-2": "eve"}


def settings(issuer: str, **changes: Any) -> OpenIdSettings:
    return OpenIdSettings(**{"issuer": issuer, "client_id": CLIENT, "persons": SUBJECTS} | changes)


@contextmanager
def served(
    folder: Path, issuer: str, limits: Limits = DEFAULT_LIMITS, **changes: Any
) -> Iterator[WebArchive]:
    openid = OpenId(settings(issuer, **changes), secret="s3:cret/&", limits=limits)
    with web_archive(folder, persons=PERSONS, openid=openid, limits=limits) as site:
        yield site


@contextmanager
def lying(folder: Path, **changes: Any) -> Iterator[tuple[WebArchive, Forged]]:
    """An archive, and the provider made of bytes that it trusts."""
    with forged_provider() as provider, served(folder, provider.issuer, **changes) as site:
        yield site, provider


def begin(site: WebArchive) -> tuple[str, str]:
    """Go to the provider: return where the browser is sent, and its cookie."""
    answer = site.get("/login/openid", who=None)
    assert answer.status == 303, answer
    return answer.headers["location"], answer.headers["set-cookie"].partition(";")[0]


def come_back(site: WebArchive, query: str, cookie: str) -> WebAnswer:
    return site.get(f"/login/openid/callback?{query}", who=None, Cookie=cookie)


def state_of(url: str, provider: Forged | None = None) -> str:
    """Return the state that the browser is to bring back; the provider remembers the nonce."""
    asked = dict(parse_qsl(urlsplit(url).query))
    if provider is not None:
        provider.nonce = asked["nonce"]
    return asked["state"]


def log_in(site: WebArchive, provider: Forged) -> WebAnswer:
    url, cookie = begin(site)
    return come_back(site, f"code=c&state={state_of(url, provider)}", cookie)


def reasons(site: WebArchive) -> list[str]:
    return [one.entry.reason for one in site.journal() if one.entry.event is Event.LOGIN_FAILED]


def assert_unusable(answer: WebAnswer) -> None:
    assert answer.status == 502
    assert answer.json() == {"error": "The OpenID provider cannot be used now"}


# --- the real one -----------------------------------------------------------------------------------------------------


@MOCK
def test_person_logs_in_at_a_real_provider(tmp_path: Path) -> None:
    with real_provider() as issuer, served(tmp_path, issuer) as site:
        url, cookie = begin(site)
        back = log_in_there(url, "subject-1")
        assert back.startswith(f"https://127.0.0.1:{site.port}/login/openid/callback?")
        answer = come_back(site, urlsplit(back).query, cookie)
        assert answer.status == 200
        session = next(
            one
            for one in answer.headers["set-cookie"].split(", ")
            if one.startswith("__Host-doorward=")
        )
        assert "SameSite=strict" in session
        who = site.get("/session", who=None, Cookie=session.partition(";")[0])
        assert (who.json()["name"], who.json()["how"]) == ("ada", "openid")
        logins = [one.entry for one in site.journal() if one.entry.event is Event.LOGIN]
        assert [(one.identity, one.how) for one in logins] == [("ada", "openid")]


@MOCK
def test_subject_that_nobody_was_given_is_nobody_at_a_real_provider(tmp_path: Path) -> None:
    with real_provider() as issuer, served(tmp_path, issuer) as site:
        for subject in ("stranger", "subject-2"):  # the second is mapped to a name that nobody has
            url, cookie = begin(site)
            answer = come_back(site, urlsplit(log_in_there(url, subject)).query, cookie)
            assert (answer.status, answer.json()) == (
                401,
                {"error": "This login is not known here"},
            )
            assert "set-cookie" not in answer.headers
        assert reasons(site) == [
            "the settings say of nobody that this is they",
            "the name is not in the register",
        ]


# --- the one that is made of bytes ------------------------------------------------------------------------------------


def test_code_is_exchanged_with_secret_and_verifier(tmp_path: Path) -> None:
    with lying(tmp_path) as (site, provider):
        url, cookie = begin(site)
        asked = {key: values[0] for key, values in parse_qs(urlsplit(url).query).items()}
        provider.nonce = asked["nonce"]
        assert come_back(site, f"code=the+code&state={asked['state']}", cookie).status == 200
        [form] = provider.forms
    assert asked["scope"] == "openid"
    assert asked["code_challenge_method"] == "S256"
    digest = hashlib.sha256(form["code_verifier"].encode()).digest()
    assert base64.urlsafe_b64encode(digest).rstrip(b"=").decode() == asked["code_challenge"]
    assert form["code"] == "the code"
    assert form["redirect_uri"] == asked["redirect_uri"]
    pair = base64.b64decode(form["Authorization"].removeprefix("Basic ")).decode()
    assert pair == f"{CLIENT}:s3%3Acret%2F%26"


def test_secret_goes_into_the_form_where_the_provider_wants_it_there(tmp_path: Path) -> None:
    with lying(tmp_path) as (site, provider):
        provider.document = {"token_endpoint_auth_methods_supported": ["client_secret_post"]}
        assert log_in(site, provider).status == 200
        [form] = provider.forms
    assert (form["client_id"], form["client_secret"]) == (CLIENT, "s3:cret/&")
    assert form["Authorization"] == ""


def test_state_is_good_once_and_in_its_own_browser_only(tmp_path: Path) -> None:
    with lying(tmp_path) as (site, provider):
        url, cookie = begin(site)
        state = state_of(url, provider)
        _, other = begin(site)
        assert come_back(site, f"code=c&state={state}", other).status == 401
        assert come_back(site, f"code=c&state={state}", cookie).status == 401  # it is used up
        url, cookie = begin(site)
        state = state_of(url, provider)
        assert come_back(site, f"code=c&state={state}", "").status == 401
        assert come_back(site, "code=c&state=", cookie).status == 401
        assert come_back(site, "code=c", cookie).status == 401
        assert provider.forms == []
        assert log_in(site, provider).status == 200


def test_refusal_by_the_provider_is_no_login(tmp_path: Path) -> None:
    with lying(tmp_path) as (site, provider):
        url, cookie = begin(site)
        state = state_of(url, provider)
        assert come_back(site, f"error=access_denied&state={state}", cookie).status == 401
        url, cookie = begin(site)
        state = state_of(url, provider)
        mixed = f"code=c&state={state}&iss=https%3A%2F%2Fother.example"
        assert come_back(site, mixed, cookie).status == 401
        assert provider.forms == []
        assert reasons(site) == ["the provider has refused", "issuer is another one"]


@pytest.mark.parametrize(
    ("claims", "reason"),
    [
        ({"nonce": "another"}, "nonce is another one"),
        ({"nonce": None}, "nonce is another one"),
        ({"iss": "https://other.example"}, "issuer is another one"),
        ({"aud": "somebody-else"}, "made for somebody else"),
        ({"exp": 1}, "has ended"),
        ({"sub": ""}, "names nobody"),
        ({"sub": "subject-9"}, "the settings say of nobody that this is they"),
    ],
)
def test_token_that_is_not_for_this_login_is_none(
    tmp_path: Path, claims: dict[str, Any], reason: str
) -> None:
    with lying(tmp_path) as (site, provider):
        provider.claims = claims
        assert log_in(site, provider).status == 401
        assert reasons(site) == [reason]


@pytest.mark.parametrize(
    "document",
    [
        {"issuer": "https://other.example"},
        {"token_endpoint": "http://192.0.2.1/token"},
        {"token_endpoint": "https://192.0.2.1/token"},
        {"jwks_uri": "https://169.254.169.254/latest/meta-data"},
        {"jwks_uri": "file:///etc/passwd"},
        {"jwks_uri": 7},
        {"authorization_endpoint": "javascript:alert(1)"},
    ],
)
def test_provider_cannot_send_us_elsewhere(tmp_path: Path, document: dict[str, Any]) -> None:
    with lying(tmp_path) as (site, provider):
        provider.document = document
        answer = site.get("/login/openid", who=None)
        if answer.status == 303:  # the document is taken; the address in it is not gone to
            answer = log_in(site, provider)
        assert_unusable(answer)


def test_redirect_and_nonsense_of_a_provider_are_not_followed(tmp_path: Path) -> None:
    with lying(tmp_path) as (site, provider):
        path = "/.well-known/openid-configuration"
        for answer in (
            (302, {"Location": "http://192.0.2.1/"}, b""),
            (200, {}, b"<html>"),
            (200, {}, b"[" * 100_000),
            (200, {}, b"x" * 1_000_000),
            (500, {}, b""),
        ):
            provider.answers[path] = answer
            assert_unusable(site.get("/login/openid", who=None))
        del provider.answers[path]
        assert log_in(site, provider).status == 200


def test_provider_that_is_away_is_said_to_be(tmp_path: Path) -> None:
    with forged_provider() as provider:
        issuer = provider.issuer
    with served(tmp_path, issuer) as site:
        assert_unusable(site.get("/login/openid", who=None))


def test_logins_that_nobody_comes_back_from_are_bounded(tmp_path: Path) -> None:
    limits = replace(DEFAULT_LIMITS, openid_logins=3)
    with forged_provider() as provider, served(tmp_path, provider.issuer, limits) as site:
        begun = [begin(site) for _ in range(5)]
        assert site.door.openid is not None
        assert len(site.door.openid._pending) == 3
        url, cookie = begun[0]
        assert come_back(site, f"code=c&state={state_of(url)}", cookie).status == 401


# --- bearer tokens of the provider ------------------------------------------------------------------------------------


def test_bearer_token_of_the_provider_is_somebody(tmp_path: Path) -> None:
    with lying(tmp_path) as (site, provider):
        token = provider.token()
        answer = site.get("/session", who=None, Authorization=f"Bearer {token}")
        assert answer.json()["name"] == "ada"
        expires = datetime.fromisoformat(answer.json()["expires_at"])
        claims = json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))
        assert expires == datetime.fromtimestamp(claims["exp"], UTC)
        site.revoke("ada")
        assert site.get("/session", who=None, Authorization=f"Bearer {token}").status == 401


def test_audience_of_the_settings_holds_for_bearer_tokens(tmp_path: Path) -> None:
    with lying(tmp_path, audience="archive") as (site, provider):
        statuses = [
            site.get("/session", who=None, Authorization=f"Bearer {provider.token(aud=aud)}").status
            for aud in ("archive", CLIENT)
        ]
        assert statuses == [200, 401]


def test_forged_token_is_nobody(tmp_path: Path) -> None:
    with lying(tmp_path) as (site, provider):
        good = provider.token()
        head, claims, signature = good.split(".")
        public = json.dumps(provider.key.as_dict(private=False)).encode()
        none = base64.urlsafe_b64encode(b'{"alg":"none"}').rstrip(b"=").decode()
        stated = json.loads(base64.urlsafe_b64decode(claims + "=="))
        forged = [
            f"{head}.{claims}.{signature[::-1]}",
            f"{head}.{claims}.",
            f"{none}.{claims}.",
            jwt.encode({"alg": "HS256"}, stated, OctKey.import_key(public)),
            jwt.encode({"alg": "ES256", "kid": "first"}, stated, new_key("first")),
            provider.token(exp=1),
            provider.token(exp=None),
            provider.token(sub="stranger"),
        ]
        statuses = {
            site.get("/session", who=None, Authorization=f"Bearer {token}").status
            for token in forged
        }
        assert statuses == {401}
        assert site.get("/session", who=None, Authorization=f"Bearer {good}").status == 200


def test_new_key_of_the_provider_is_fetched_once_a_minute_at_most(tmp_path: Path) -> None:
    limits = replace(DEFAULT_LIMITS, openid_keys_s=0.0)
    with forged_provider() as provider, served(tmp_path, provider.issuer, limits) as site:

        def status() -> int:
            token = f"Bearer {provider.token()}"
            return site.get("/session", who=None, Authorization=token).status

        assert status() == 200
        provider.key = new_key("second")
        assert status() == 200
        assert provider.asked.count("/keys") == 2
        assert site.door.openid is not None
        site.door.openid._limits = replace(limits, openid_keys_s=60.0)
        provider.key, provider.shown_keys = new_key("third"), [provider.key]
        for _ in range(5):
            assert status() == 401
        assert provider.asked.count("/keys") == 2


def test_keys_that_are_good_hold_while_the_provider_does_not_answer(tmp_path: Path) -> None:
    limits = replace(DEFAULT_LIMITS, openid_keys_s=0.0)
    with forged_provider() as provider, served(tmp_path, provider.issuer, limits) as site:
        good = f"Bearer {provider.token()}"
        assert site.get("/session", who=None, Authorization=good).status == 200
        provider.answers["/keys"] = (500, {}, b"")
        provider.key = new_key("nobody's")
        unknown = f"Bearer {provider.token()}"
        assert site.get("/session", who=None, Authorization=unknown).status == 401
        assert site.get("/session", who=None, Authorization=good).status == 200


def test_mapping_that_was_taken_away_ends_the_session(tmp_path: Path) -> None:
    with lying(tmp_path) as (site, provider):
        answer = log_in(site, provider)
        cookie = next(
            one.partition(";")[0]
            for one in answer.headers["set-cookie"].split(", ")
            if one.startswith("__Host-doorward=")
        )
        assert site.get("/session", who=None, Cookie=cookie).status == 200
        assert site.door.openid is not None
        site.door.openid.settings = settings(provider.issuer, persons={})
        assert site.get("/session", who=None, Cookie=cookie).status == 401


def test_without_a_provider_there_is_no_way_to_one(tmp_path: Path) -> None:
    with web_archive(tmp_path) as site:
        assert site.get("/login/openid", who=None).status == 404
        assert site.get("/session", who=None, Authorization="Bearer a.b.c").status == 401
