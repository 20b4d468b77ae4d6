"""Promise 6: the archive serves nobody it cannot name, on either door, by whatever path, service or certificate.

A real ``doorward archive run``, as ``init`` has made it, with one legacy port that was asked for by name; then the table of
roles and operations, with one client after the other at both doors.
"""

import asyncio
import json
import re
import ssl
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest
from starlette.routing import Mount, Route

from archive_commands import Process, archive_process
from archive_folders import NOW, calling_context, ct1, ephemeral, made
from archives import HOST, opened
from doorward.access.identity import Device, Role
from doorward.access.vault import Vault
from doorward.archive.running.devices import add_legacy, revoke_device
from doorward.archive.running.settings import LegacyPort
from doorward.archive.web.app import DICOM_WEB, routes
from doorward.archive.web.capabilities import write_openapi
from doorward.archive.web.door import HEALTH_PATHS, LOGIN_PATHS
from doorward.wire.uids import STUDY_ROOT_FIND, UIDS, VERIFICATION
from stow_bodies import MULTIPART, file, multipart
from strangers import (
    ACCEPTED,
    TLS_ALERT,
    UNKNOWN,
    Shown,
    association,
    connected,
    first_answer,
    nobody,
    strangers,
    whole_answer,
)
from web_archives import make_door

LEGACY_HOST = "127.0.0.9"
HELD = "1.2.3"
METHODS = (
    "GET",
    "HEAD",
    "POST",
    "PUT",
    "DELETE",
    "PATCH",
    "OPTIONS",
    "TRACE",
    "PROPFIND",
    "SEARCH",
)
#: httptools knows no such methods: they are no HTTP, and are told so.
NO_METHODS = ("FOO", "get", "STOW", "G\0T")
SOP_CLASSES = [uid for uid, (_, kind, _) in UIDS.items() if "SOP Class" in kind]
AT_ONCE = 128
_GUESSES = """
    / /index.html /admin /administration /api /api/v1 /app/explorer.html /studies /patients /series /instances /system
    /statistics /tools/find /plugins /jobs /modalities /wado /wado?requestType=WADO&studyUID=1.2.3 /dicomweb /dicom-web
    /dicom-web/ /dicom-web/studies/ /dicom-web/patients /dicom-web/worklist /dicom-web/workitems /dcm4chee-arc/aets
    /dcm4chee-arc/aets/DCM4CHEE/rs/studies /orthanc/studies /pacs /viewer /ohif /weasis /metrics /debug /status /health
    /health/ /healthz /docs /redoc /openapi.json /swagger.json /robots.txt /favicon.ico /.well-known/security.txt
    /.git/HEAD /.env /server-status /journal /archive /backup /blobs /index /secrets/register.json /doorward.toml /static
    /webdav /login/ /LOGIN /first/ /logout/ /session/ /session?x=1 /users /tokens /devices /register /console /graphql /ws
    //dicom-web/studies /dicom-web//studies /./dicom-web/studies /dicom-web/./studies /dicom-web%2fstudies
    /login/../dicom-web/studies /login/..%2fdicom-web/studies /login%2f..%2fdicom-web/studies /login;/dicom-web/studies
    /health/live/../../dicom-web/studies /health/live%2f..%2f..%2fdicom-web%2fstudies /health/live;x /health/live%00
    /%2e%2e/%2e%2e/etc/passwd /..%5c..%5cdoorward.toml /dicom-web/studies/..%2f..%2f..%2fsecrets%2fregister.json
    /dicom-web/%73tudies /%64icom-web/studies /dicom-web/studies%00 /dicom-web/studies%0d%0aX:y /dicom-web/studies%ff
    /dicom-web/studies?PatientName=*&limit=1 /dicom-web/studies?accept=application/json /dicom-web/studies#x
    /DICOM-WEB/studies /login%20 /login%09 /%6cogin/ /login? /\\dicom-web /dicom-web/studies/1.2.3/../../../login
"""
WORDS = _GUESSES.split()
PRETENCES = (
    "Authorization: Basic b3J0aGFuYzpvcnRoYW5j",
    "Authorization: Basic YWRtaW46YWRtaW4=",
    "Authorization: Bearer",
    "Authorization: Bearer doorward_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
    "Authorization: Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiJhZG1pbiJ9.",
    "Authorization: Negotiate AAAA",
    "Authorization: Digest username=admin",
    "Authorization: \xff\xfe",
    "Cookie: __Host-doorward=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
    "Cookie: __Host-doorward=",
    "Cookie: session=admin; __Host-doorward-login=x",
    "X-Forwarded-For: 127.0.0.1",
    "X-Forwarded-User: admin",
    "Remote-User: admin",
    "X-SSL-Client-Verify: SUCCESS",
    "X-Client-Cert: ct1",
    "X-Original-URL: /health/live",
    "X-Rewrite-URL: /login",
    "X-HTTP-Method-Override: POST",
    "Forwarded: for=127.0.0.1;proto=https",
    "Expect: 100-continue",
    "Origin: https://127.0.0.1",
)


@dataclass(frozen=True, kw_only=True)
class Shut:
    """A running archive with an image in it, and everybody who is nobody to it."""

    running: Process
    known: ssl.SSLContext
    without: ssl.SSLContext
    strangers: list[Shown]
    #: The 401 that everybody gets, cut into its lines.
    refusal: bytes

    @property
    def https(self) -> int:
        return self.running.ports["https"]

    @property
    def dicom(self) -> int:
        return self.running.ports["dicom"]

    @property
    def old(self) -> int:
        return self.running.ports["old"]

    def asks(self, line: str, *headers: str, tls: ssl.SSLContext | None = None) -> bytes:
        """Ask by a request line and return the whole answer, without its body's length."""
        named = headers or (f"Host: {HOST}",)
        text = "".join(f"{one}\r\n" for one in (line, *named, "Connection: close", ""))
        return unlike(whole_answer(self.https, text.encode("latin-1"), tls or self.without))


def unlike(said: bytes) -> bytes:
    """Return an answer without what may differ: the date."""
    return re.sub(rb"(?i)\r\ndate: [^\r]*", b"", said)


def status(said: bytes) -> int:
    return int(said.split(b" ", 2)[1]) if said.startswith(b"HTTP/1.1 ") else 0


@pytest.fixture(scope="module")
def shut(tmp_path_factory):
    place = tmp_path_factory.mktemp("shut")
    settings = ephemeral(legacy_port=(LegacyPort(name="old", port=0),))
    folder = made(place / "pacs", settings)
    known = calling_context(ct1(folder), place / "ct1")
    gone = calling_context(ct1(folder, "gone"), place / "gone")
    us1 = Device(
        name="us1",
        role=Role.WORKSTATION,
        ae_titles=("US1",),
        addresses=(LEGACY_HOST,),
        legacy_port="old",
    )
    add_legacy(folder, folder.settings(), us1)
    revoke_device(folder, "gone", now=NOW)
    others = strangers(folder, place / "others", gone)
    with archive_process(folder.path) as running:
        assert running.until("HTTPS on"), running.lines
        one = Shut(
            running=running,
            known=known,
            without=nobody(folder),
            strangers=others,
            refusal=b"",
        )
        body = multipart([file(HELD)])
        head = f"POST {DICOM_WEB}/studies HTTP/1.1\r\nHost: {HOST}\r\nContent-Type: {MULTIPART}\r\n"
        head += f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        assert status(whole_answer(one.https, head.encode() + body, known)) == 200
        refusal = one.asks(f"GET {DICOM_WEB}/studies HTTP/1.1")
        yield Shut(**{**vars(one), "refusal": refusal})
        assert running.stop() == 0


# --- the HTTPS door ---------------------------------------------------------------------------------------------------


def test_the_one_answer_to_nobody_says_nothing_of_what_is_behind(shut):
    head, _, body = shut.refusal.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 401 ")
    assert json.loads(body) == {"error": "No identity was shown"}
    named = {line.partition(b":")[0].lower() for line in head.split(b"\r\n")[1:]}
    assert not named & {b"x-powered-by", b"via", b"set-cookie", b"allow", b"location", b"etag"}
    assert re.search(rb"(?im)^server: doorward\r?$", head)
    assert not re.search(rb"\d+\.\d+", head.replace(b"HTTP/1.1", b"")), "a version"
    known = shut.asks(f"GET {DICOM_WEB}/studies/{HELD}.1 HTTP/1.1", tls=shut.known)
    assert status(known) == 403, "the modality is known, and may not read"


def every_path(tmp_path: Path) -> list[str]:
    """Every path of the route table and of the OpenAPI description, for a study that is there and one that is not."""

    async def table() -> list[str]:
        async with opened(tmp_path / "other") as archive:
            door = make_door(archive, Vault.create(tmp_path / "vault"))
            try:
                found = routes(archive, door)
                inner = [(one.path, one.routes) for one in found if isinstance(one, Mount)]
                return [one.path for one in found if isinstance(one, Route)] + [
                    prefix + one.path
                    for prefix, rows in inner
                    for one in rows
                    if isinstance(one, Route)
                ]
            finally:
                door.close()

    paths = asyncio.run(table())
    paths += [DICOM_WEB + path for path in write_openapi("https://here")["paths"]]
    assert len(set(paths)) > 25
    found = []
    for uid in (HELD, "9.9.9"):
        parts = {"study": f"{uid}.1", "series": f"{uid}.2", "instance": uid, "frames": "1"}
        found += [filled(path, parts) for path in paths]
    return sorted(set(found))


def filled(path: str, parts: dict[str, str]) -> str:
    return re.sub(r"\{(\w+)(:\w+)?\}", lambda part: parts.get(part[1], "00100010"), path)


def is_open(path: str) -> bool:
    return path.partition("?")[0] in LOGIN_PATHS | HEALTH_PATHS


def test_every_route_by_every_method_answers_nobody_the_same(shut, tmp_path):
    paths = every_path(tmp_path)
    assert f"{DICOM_WEB}/studies/{HELD}.1/series/{HELD}.2/instances/{HELD}/rendered" in paths
    asked = Counter()
    for path in [*paths, *WORDS]:
        for method in METHODS if path in paths else ("GET", "POST"):
            said = shut.asks(f"{method} {path} HTTP/1.1")
            if is_open(path):
                assert status(said) in {200, 400, 404, 405}, (method, path, said)
                asked["open"] += 1
            elif method == "HEAD":
                assert said == shut.refusal.partition(b"\r\n\r\n")[0] + b"\r\n\r\n", path
            elif said != shut.refusal:
                assert status(said) == 400, (method, path, said)
                asked["no HTTP"] += 1
            asked["all"] += 1
    assert asked["all"] > 400
    assert asked["no HTTP"] < 10, asked


@pytest.mark.parametrize("path", sorted(LOGIN_PATHS | HEALTH_PATHS))
def test_an_open_path_gives_nothing_but_its_own_word(shut, path):
    for method in METHODS:
        body = shut.asks(f"{method} {path} HTTP/1.1").partition(b"\r\n\r\n")[2]
        assert len(body) < 100, body
        assert HELD.encode() not in body
        assert not re.search(rb"\d\.\d|dicom|sqlite|python|starlette|uvicorn", body.lower()), body


@pytest.mark.parametrize("method", NO_METHODS)
def test_what_is_no_http_is_told_so(shut, method):
    said = shut.asks(f"{method} {DICOM_WEB}/studies HTTP/1.1")
    assert status(said) == 400
    assert b"401" not in said


@pytest.mark.parametrize("header", PRETENCES)
def test_no_header_makes_somebody_of_nobody(shut, header):
    said = shut.asks(f"GET {DICOM_WEB}/studies HTTP/1.1", f"Host: {HOST}", header)
    assert said == shut.refusal


def test_no_other_protocol_is_begun_for_nobody(shut):
    for to in ("websocket", "h2c", "TLS/1.0"):
        upgrade = (f"Host: {HOST}", f"Upgrade: {to}", "Connection: Upgrade")
        said = shut.asks(f"GET {DICOM_WEB}/studies HTTP/1.1", *upgrade)
        assert status(said) in {400, 401}, said


def test_several_proofs_at_once_are_none(shut):
    cookie, token = PRETENCES[8], PRETENCES[3]
    said = shut.asks(f"GET {DICOM_WEB}/studies HTTP/1.1", f"Host: {HOST}", cookie, token)
    assert status(said) == 400
    known = shut.asks(f"GET {DICOM_WEB}/studies HTTP/1.1", f"Host: {HOST}", token, tls=shut.known)
    assert known == said


@pytest.mark.parametrize(
    "host",
    (
        "Host: elsewhere.example",
        "Host: 127.0.0.1.elsewhere.example",
        "Host: elsewhere.example#127.0.0.1",
        "Host:",
        "Host: 127.0.0.1\r\nHost: elsewhere.example",
        "X-Host: 127.0.0.1",
        "Host: 127.1",
        "Host: 0.0.0.0",
        "Host: 2130706433",
    ),
)
def test_another_name_is_misdirected_whoever_calls(shut, host):
    for line in (f"GET {DICOM_WEB}/studies HTTP/1.1", "GET /health/live HTTP/1.1"):
        for tls in (shut.without, shut.known):
            assert status(shut.asks(line, host, tls=tls)) in {400, 421}


@pytest.mark.parametrize("host", ("localhost", "LOCALHOST:1", "127.0.0.1:99999"))
def test_our_own_names_lead_to_the_same_refusal(shut, host):
    assert shut.asks(f"GET {DICOM_WEB}/studies HTTP/1.1", f"Host: {host}") == shut.refusal


@pytest.mark.parametrize(
    "line",
    (
        f"GET https://{HOST}{DICOM_WEB}/studies HTTP/1.1",
        f"GET http://elsewhere.example{DICOM_WEB}/studies HTTP/1.1",
        f"GET https://{HOST}/login/..{DICOM_WEB}/studies HTTP/1.1",
        f"GET {DICOM_WEB}/studies HTTP/1.0",
        "OPTIONS * HTTP/1.1",
    ),
)
def test_other_forms_of_a_request_are_refused_the_same(shut, line):
    assert shut.asks(line) == shut.refusal


@pytest.mark.parametrize(
    "line", ("GET /dicom-web/studies", "GET /dicom-web/studies HTTP/0.9", "CONNECT x:1 HTTP/1.1")
)
def test_older_and_stranger_forms_get_nothing(shut, line):
    said = shut.asks(line)
    assert status(said) in {0, 400, 401, 505}
    assert HELD.encode() not in said


def test_requests_in_one_write_are_refused_one_by_one(shut):
    line = f"GET {DICOM_WEB}/studies HTTP/1.1\r\nHost: {HOST}\r\n\r\n"
    live = f"GET /health/live HTTP/1.1\r\nHost: {HOST}\r\n\r\n"
    last = line.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n")
    said = whole_answer(shut.https, (live + line * 3 + last).encode(), shut.without)
    found = re.findall(rb"HTTP/1\.1 (\d+) ", said)
    assert found == [b"200", *[b"401"] * 4]


@pytest.mark.parametrize(
    "framing",
    (
        "Content-Length: 4\r\nTransfer-Encoding: chunked",
        "Content-Length: 4\r\nContent-Length: 5",
        "Transfer-Encoding: xchunked",
        "Transfer-Encoding : chunked",
    ),
)
def test_nothing_is_smuggled_behind_another_request(shut, framing):
    inner = f"GET {DICOM_WEB}/studies HTTP/1.1\r\nHost: {HOST}\r\n\r\n"
    sent = f"POST /login HTTP/1.1\r\nHost: {HOST}\r\n{framing}\r\nConnection: close\r\n\r\n0\r\n\r\n{inner}"
    said = whole_answer(shut.https, sent.encode(), shut.without)
    assert b" 200 " not in said
    assert HELD.encode() not in said


# --- certificates, at both doors --------------------------------------------------------------------------------------


def test_a_certificate_that_is_no_devices_opens_neither_door(shut):
    echo = association("DOORWARD", "CT1", VERIFICATION, STUDY_ROOT_FIND)
    assert first_answer(shut.dicom, echo, shut.known)[0] == ACCEPTED
    for one in shut.strangers:
        said = first_answer(shut.dicom, echo, one.tls)
        web = shut.asks(f"GET {DICOM_WEB}/studies HTTP/1.1", tls=one.tls)
        if one.passes_tls:
            assert (said, web) == (UNKNOWN, shut.refusal), one.name
        else:
            assert (said, web) == (b"", b""), one.name
    assert first_answer(shut.dicom, echo, shut.without) == b"", "no certificate"


def test_a_certificate_that_is_shown_must_be_good_even_on_the_open_paths(shut):
    for one in shut.strangers:
        said = shut.asks("GET /health/live HTTP/1.1", tls=one.tls)
        assert status(said) == (200 if one.passes_tls else 0), one.name


def test_plain_tcp_reaches_nothing_behind_tls(shut):
    echo = association("DOORWARD", "CT1", VERIFICATION)
    web = f"GET {DICOM_WEB}/studies HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n".encode()
    for port in (shut.dicom, shut.https):
        for sent in (echo, web):
            said = first_answer(port, sent)
            assert said == b"" or said[0] == TLS_ALERT, said


# --- the DICOM door ---------------------------------------------------------------------------------------------------


def test_no_service_is_offered_to_somebody_who_is_in_no_register(shut):
    [unknown] = [one for one in shut.strangers if one.passes_tls]
    assert len(SOP_CLASSES) > 250
    for title in ("CT1", "US1", "DOORWARD", "ANYBODY"):
        for begin in range(0, len(SOP_CLASSES), AT_ONCE):
            asked = association("DOORWARD", title, *SOP_CLASSES[begin : begin + AT_ONCE])
            assert first_answer(shut.dicom, asked, unknown.tls) == UNKNOWN
            assert first_answer(shut.old, asked) == UNKNOWN


def test_the_answer_to_nobody_does_not_depend_on_what_is_asked(shut):
    [unknown] = [one for one in shut.strangers if one.passes_tls]
    for called in ("DOORWARD", "ORTHANC", "CT1", "X"):
        for sop_class in (VERIFICATION, STUDY_ROOT_FIND, "1.2.3.4.5"):
            asked = association(called, "CT1", sop_class)
            assert first_answer(shut.dicom, asked, unknown.tls) == UNKNOWN


def test_a_command_without_an_association_is_ended(shut):
    [unknown] = [one for one in shut.strangers if one.passes_tls]
    data = bytes([4, 0, 0, 0, 0, 8, 0, 0, 0, 4, 1, 3, 0, 0])  # P-DATA-TF with an empty command
    for tls, port in ((unknown.tls, shut.dicom), (None, shut.old)):
        said = first_answer(port, data, tls)
        assert said[:1] in {b"", b"\x07"}, said  # A-ABORT (PS3.8 section 9.3.8)
    rejected_then_asks = association("DOORWARD", "CT1", VERIFICATION) + data
    with connected(shut.old) as line:
        line.sendall(rejected_then_asks)
        said = line.recv(65_536)
    assert said[:1] in {b"\x03", b"\x07"}, "A-ASSOCIATE-RJ or A-ABORT"
    assert len(said) == len(UNKNOWN)


def test_the_legacy_port_wants_the_right_title_from_the_right_address(shut):
    def asked(title: str, source: str) -> bytes:
        sent = association("DOORWARD", title, VERIFICATION)
        return first_answer(shut.old, sent, source=source)

    assert asked("US1", LEGACY_HOST)[0] == ACCEPTED
    assert asked("US1", HOST) == UNKNOWN, "the right title from a wrong address"
    assert asked("US2", LEGACY_HOST) == UNKNOWN, "a wrong title from the right address"
    assert asked("us1", LEGACY_HOST) == UNKNOWN, "the case of a title counts"
    assert asked("CT1", LEGACY_HOST) == UNKNOWN, "a title that has a certificate"
    us1 = association("DOORWARD", "US1", VERIFICATION)
    said = first_answer(shut.dicom, us1, shut.without, source=LEGACY_HOST)
    assert said == b"", "the place counts on its port and nowhere else"
