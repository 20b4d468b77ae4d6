"""Web answers that look open and are not, by name: what fools scanners, each as one function.

``OPEN_LOOKING`` maps a name to a function that answers every request of a server. None of them gives a stranger anything, so
no audit may call one open. ``BOUNDS`` keeps the slow ones short.
"""

import gzip
import json
from collections.abc import Callable, Iterator

from web_servers import NOT_FOUND, Request, answer, as_json, page

Hostile = Callable[[Request], bytes | Iterator[bytes]]

BOUNDS = {
    "http_head_s": 0.4,
    "http_body_s": 0.4,
    "congestion_pause_s": 0.001,
    "qido_page_bytes": 2_000_000,
    "http_silences": 2,
}
DICOM_JSON = "application/dicom+json"
STUDIES = "/dicom-web/studies"
LOGIN = page(
    "Sign in", '<form action="/session"><input name=u><input type="password" name=p></form>'
)
REFUSED = as_json({"error": "unauthorized", "login": "/login"}, 401)


def everywhere(reply: bytes) -> Hostile:
    """The same answer to everything."""
    return lambda _: reply


def at(
    marks: str | tuple[str, ...],
    reply: bytes | Callable[[], Iterator[bytes]],
    other: bytes = NOT_FOUND,
) -> Hostile:
    """One answer where a path ends with a mark, another elsewhere."""

    def respond(request: Request) -> bytes | Iterator[bytes]:
        if not request.path.endswith(marks):
            return other
        return reply if isinstance(reply, bytes) else reply()

    return respond


def under(folder: str, reply: bytes, other: bytes = NOT_FOUND) -> Hostile:
    """One answer below a folder, another elsewhere."""
    return lambda request: reply if request.path.startswith(folder) else other


def moved(target: str, status: int = 302) -> bytes:
    """A redirect."""
    return answer(status, headers=[("Location", target)])


def chunked(body: bytes, media_type: str = DICOM_JSON) -> bytes:
    """A head that promises chunks, and whatever follows."""
    head = f"HTTP/1.1 200 OK\r\nContent-Type: {media_type}\r\nTransfer-Encoding: chunked\r\n\r\n"
    return head.encode() + body


def endless(
    begin: bytes, more: bytes, media_type: str = DICOM_JSON
) -> Callable[[], Iterator[bytes]]:
    """An answer without end."""

    def run() -> Iterator[bytes]:
        yield f"HTTP/1.1 200 OK\r\nContent-Type: {media_type}\r\n\r\n".encode() + begin
        while True:
            yield more * (65_536 // len(more))

    return run


def authorisation_plugin(request: Request) -> bytes:
    """Orthanc with its system page left unchecked, as the authorization plugin's own example does."""
    if request.path == "/system":
        return as_json(
            {"Version": "1.12.4", "ApiVersion": 27, "DatabaseVersion": 6, "DicomAet": "X"}
        )
    return (
        answer(403)
        if request.path.startswith(("/studies", "/statistics", "/dicom-web"))
        else NOT_FOUND
    )


def first_only(status: int) -> Hostile:
    """One honest page, then nothing but a status: a wall that has noticed us."""
    seen: list[str] = []

    def respond(request: Request) -> bytes:
        seen.append(request.target)
        return page("Welcome") if len(seen) == 1 else answer(status)

    return respond


def echoing(request: Request) -> bytes:
    """A page that repeats the address, as error pages do, with a status that says all is well."""
    return page("Error", f"No such page: {request.target}")


def oidc_viewer(request: Request) -> bytes:
    """OHIF, which asks for the login in the browser."""
    if request.path == "/app-config.js":
        return answer(
            200,
            "window.config = { oidc: [ { authority: 'https://idp.invalid' } ] }",
            "text/javascript",
        )
    return page("OHIF Viewer")


DEEP = b"[" * 50_000
CUT = json.dumps([{"0020000D": {"vr": "UI", "Value": ["2.25.1"]}}]).encode()[:-4]

OPEN_LOOKING: dict[str, Hostile] = {
    # pages that every path gets
    "a login page everywhere": everywhere(LOGIN),
    "a login page with the title of Orthanc": everywhere(
        page("Orthanc Explorer", "<input type=password>")
    ),
    "a single-page application everywhere": everywhere(
        page("App", head="<script src=/main.1.js></script>")
    ),
    "an application everywhere with the title of a viewer": everywhere(page("OHIF Viewer")),
    "a viewer that asks for its login in the browser": oidc_viewer,
    "a page that repeats the address": echoing,
    "an empty page everywhere": everywhere(answer(200, b"")),
    "a parking page in XML": everywhere(
        answer(200, "<?xml version='1.0'?><a/>", "application/xml")
    ),
    "no content everywhere": everywhere(answer(204, b"", "")),
    # interfaces that every path gets
    "an empty list everywhere": everywhere(as_json([])),
    "an empty list of DICOM everywhere": everywhere(as_json([], media_type=DICOM_JSON)),
    "an empty list below every root": lambda r: (
        as_json([], media_type=DICOM_JSON) if r.path.startswith("/dicom-web/") else NOT_FOUND
    ),
    "an empty list at every path of that name": at("/studies", as_json([], media_type=DICOM_JSON)),
    "no content at every path of that name": at("/studies", answer(204, b"", "")),
    "no content below a root": under("/dicom-web/", answer(204, b"", "")),
    "an error object with 200": everywhere(as_json({"error": "unauthorized"})),
    "an error object with 200 at the studies": at(STUDIES, as_json({"status": 401})),
    "a list with an error at the studies": at(STUDIES, as_json([{"error": "login first"}])),
    "a list of words at the studies": at(STUDIES, as_json(["a", "b"])),
    "a number at the studies": at(STUDIES, as_json(0)),
    "another application's studies, none": at("/api/studies", as_json([])),
    "another application's studies": at("/api/studies", as_json([{"id": 1, "title": "Biology"}])),
    "another application's system page": at("/system", as_json({"Version": "1.2", "Name": "x"})),
    "a system page of Orthanc with everything else shut": authorisation_plugin,
    "a list of archives without a title": at("/aets", as_json([{"name": "x"}])),
    # walls
    "a wall with 403": everywhere(answer(403, "<h1>Forbidden</h1>")),
    "a wall with 200": everywhere(page("Request blocked", "Support ID: 1")),
    "a wall with 406": everywhere(answer(406)),
    "a wall with 400": everywhere(answer(400)),
    "a wall with 415": everywhere(answer(415)),
    "a wall after the first page": first_only(403),
    "a wall with 405 after the first page": first_only(405),
    "basic authentication": everywhere(
        answer(401, headers=[("WWW-Authenticate", 'Basic realm="Orthanc Secure Area"')])
    ),
    "a token is asked for": at(STUDIES, REFUSED),
    "a proxy asks for a login": everywhere(answer(407)),
    # elsewhere
    "a captive portal that redirects": everywhere(moved("http://portal.example.invalid/login?x=1")),
    "a captive portal with 511": everywhere(answer(511, "<input type=password>")),
    "a captive portal that refreshes": everywhere(
        page("", head="<meta http-equiv=refresh content='0;url=http://portal.example.invalid/'>")
    ),
    "a redirect to HTTPS": everywhere(moved("https://127.0.0.1/")),
    "a redirect to another host's archive": everywhere(moved("http://192.0.2.7/dicom-web/studies")),
    "a redirect to a private address": everywhere(moved("//10.0.0.1/")),
    "a redirect to another scheme": everywhere(moved("file:///etc/passwd")),
    "a redirect that splits lines": everywhere(moved("/a%0d%0aX:%20y")),
    "a redirect in a circle": lambda r: moved(r.target),
    "a redirect to an identity provider": at(
        STUDIES, moved("https://idp.example.invalid/realms/x/protocol/openid-connect/auth")
    ),
    # bytes
    "chunked garbage": at(STUDIES, chunked(b"2\r\n[]\r\nxyz\r\n")),
    "a chunked list that never ends": at(STUDIES, chunked(b"2\r\n[]\r\n")),
    "an endless body of spaces": at(STUDIES, endless(b"[", b" ")),
    "an endless string": at(STUDIES, endless(b'["', b"x")),
    "an endless page": at("", endless(b"<html>", b"<a> ", "text/html")),
    "a gzip bomb": at(
        STUDIES,
        answer(
            200, gzip.compress(bytes(5_000_000)), DICOM_JSON, headers=[("Content-Encoding", "gzip")]
        ),
    ),
    "a compressed empty list": at(
        STUDIES,
        answer(200, gzip.compress(b"[]"), DICOM_JSON, headers=[("Content-Encoding", "gzip")]),
    ),
    "a list that is cut off": at(STUDIES, answer(200, CUT, DICOM_JSON)),
    "a list shorter than its length": at(STUDIES, answer(200, b"[]", DICOM_JSON, length=9)),
    "a list with something behind it": at(STUDIES, answer(200, b"[]<!-- blocked -->", DICOM_JSON)),
    "a list too deep": at(STUDIES, answer(200, DEEP, DICOM_JSON)),
    "a page that calls itself JSON": at(STUDIES, answer(200, "<html>Login</html>", DICOM_JSON)),
    "a list that calls itself a page": at(STUDIES, answer(200, "[]", "text/html")),
    "a flood of headers": at(STUDIES, answer(200, b"[]", DICOM_JSON, headers=[("A", "b")] * 500)),
    # trouble
    "an error everywhere": everywhere(answer(500)),
    "an error at the studies": at(STUDIES, answer(500, "[]", DICOM_JSON)),
    "busy everywhere": everywhere(answer(503)),
    "too many requests": at(STUDIES, answer(429)),
    "an unknown status": everywhere(answer(299, "[]", DICOM_JSON)),
    "a login time-out": everywhere(answer(440)),
}
