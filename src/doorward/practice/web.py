"""Small web servers: a viewer that asks nobody for a login, a list of image files, an old front page, and one that refuses.

Theory of operation: a connection brings one request and gets one answer (RFC 9112 section 9.6: Connection: close). The head
of a request is bounded, its body is never read; GET and HEAD are known, every other method is not implemented. The pages
are made once for each kind and banner, so a hundred servers cost a hundred sockets. The viewer is a page of the kind that
viewers have, with nothing behind it; the files of the list do not exist.
"""

import re
from collections.abc import Mapping
from functools import cache
from http import HTTPStatus

from doorward.limits import DEFAULT_LIMITS
from doorward.practice.personas import Speaks
from doorward.practice.strangers import Mute

_REQUEST_LINE = re.compile(rb"([A-Z]{1,16}) (/[!-~]{0,2000}) HTTP/1\.[01]\Z")
_END_OF_HEAD = b"\r\n\r\n"
_HTML = "text/html; charset=utf-8"
_FOLDER = "/dicom/"
#: Names that DICOM files have on media (PS3.10 section 8.2); above ten a folder is no forgotten file.
FILES = ("DICOMDIR", *(f"IM{number:06}.dcm" for number in range(1, 24)))
_ANYWHERE = "This is a web server, no PACS"
_VIEWER = (
    "<!DOCTYPE html><html><head><title>Oviyam 2 practice viewer</title></head>"
    "<body><h1>Studies</h1><p>Nothing real is behind this page.</p></body></html>"
)
_FRONT = (
    "<!DOCTYPE html><html><head><title>Welcome</title></head>"
    "<body><h1>It works</h1><p>Nothing has been set up here.</p></body></html>"
)


class Web(Mute):
    """Answers one request as the persona does."""

    _head = b""

    def data_received(self, data: bytes) -> None:
        """Gather the head; answer it, and hang up."""
        self._head += data
        head, end, _ = self._head.partition(_END_OF_HEAD)
        if end:
            self._answer(head)
        elif len(self._head) > DEFAULT_LIMITS.http_head_bytes:
            self._say(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
        elif self.persona.speaks is Speaks.HTTP:
            self._say(HTTPStatus.BAD_REQUEST, _ANYWHERE)  # whatever came: RFC 9110 section 15.5.1
        elif not _may_be_http(self._head):
            self._say(HTTPStatus.BAD_REQUEST)

    def _answer(self, head: bytes) -> None:
        found = _REQUEST_LINE.match(head.partition(b"\r\n")[0])
        if found is None or self.persona.speaks is Speaks.HTTP:
            self._say(HTTPStatus.BAD_REQUEST, _ANYWHERE)
            return
        method = found[1].decode("ascii")
        path = found[2].decode("ascii").partition("?")[0]
        self.note("request", method=method, path=path[:200])
        if method not in ("GET", "HEAD"):
            self._say(HTTPStatus.NOT_IMPLEMENTED)
            return
        page = _pages(self.persona.speaks, self.persona.banner, self.called).get(path)
        status = HTTPStatus.NOT_FOUND if page is None else HTTPStatus.OK
        self._say(status, page or "", is_bare=method == "HEAD")

    def _say(self, status: HTTPStatus, page: str = "", *, is_bare: bool = False) -> None:
        body = (page or f"<html><title>{status.phrase}</title></html>").encode()
        kind = _HTML if page != _ANYWHERE else "text/plain"
        lines = (
            f"HTTP/1.1 {status.value} {status.phrase}",
            f"Server: {self.persona.banner or 'practice'}",
            f"Content-Type: {kind}",
            f"Content-Length: {len(body)}",
            "Connection: close",
        )
        head = "\r\n".join(lines).encode("ascii") + _END_OF_HEAD
        self.say(head if is_bare else head + body, is_last=True)


def _may_be_http(begun: bytes) -> bool:
    """Tell whether a request line may come of this: a DICOM caller would wait for ever."""
    return re.match(rb"[A-Z]{1,16}(?: |\Z)", begun) is not None


@cache
def _pages(speaks: Speaks, banner: str, host: str) -> Mapping[str, str]:
    """Return path -> page."""
    match speaks:
        case Speaks.VIEWER:
            return {"/": _VIEWER}
        case Speaks.LISTING:
            return {
                "/": _list("/", (_FOLDER.strip("/") + "/",), banner, host),
                _FOLDER: _list(_FOLDER, FILES, banner, host),
            }
        case _:
            return {"/": _FRONT}


def _list(path: str, names: tuple[str, ...], banner: str, host: str) -> str:
    """Return the list of a folder as the web server of the banner draws it."""
    if banner.startswith("Microsoft-IIS"):
        title = f"{host} - {path}"
        rows = [f'<A HREF="{path}{name}">{name.strip("/")}</A><br>' for name in names]
    elif banner.startswith("nginx"):
        title = f"Index of {path}"
        rows = ['<a href="../">../</a>', *(f'<a href="{name}">{name}</a>' for name in names)]
    else:
        title = f"Index of {path.rstrip('/') or '/'}"
        rows = [f'<a href="{name}">{name}</a>' for name in names]
    lines = "\n".join(rows)
    return (
        f"<html><head><title>{title}</title></head><body><h1>{title}</h1><hr>"
        f"<pre>{lines}</pre><hr></body></html>"
    )
