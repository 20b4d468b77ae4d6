"""Requests that no honest client sends, byte by byte: each has a name, what may be answered first, and how often at most.

``Host: localhost`` is added where ``{host}`` stands. ``CLOSED`` among the statuses: the connection may end without a word.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from stow_bodies import MULTIPART

CLOSED = 0
_HOST = b"Host: localhost\r\n"
#: What is smuggled behind a request; whoever answers it has taken the body of one for another.
_HIDDEN = b"GET /dicom-web/studies HTTP/1.1\r\nHost: localhost\r\nX: y\r\n\r\n"
_BAD = frozenset({400, CLOSED})
_FOUND = frozenset({200, 204, 206, 400, 403, 404, 405, 406, 413, 414, 431, CLOSED})
#: Longer than any head may be.
_LONG = 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Raw:
    """One hostile request."""

    name: str
    sent: bytes
    statuses: frozenset[int] = _BAD
    #: Answers on its connection; a smuggled request would be one more.
    answers: int = 1

    def __str__(self) -> str:
        return self.name


def _get(path: bytes, *headers: bytes) -> bytes:
    lines = b"".join(header + b"\r\n" for header in headers)
    return b"GET " + path + b" HTTP/1.1\r\n" + _HOST + lines + b"\r\n"


def _post(path: bytes, body: bytes, *headers: bytes) -> bytes:
    lines = b"".join(header + b"\r\n" for header in headers)
    return b"POST " + path + b" HTTP/1.1\r\n" + _HOST + lines + b"\r\n" + body


def _smuggling() -> Iterator[Raw]:
    length = b"Content-Length: %d" % len(_HIDDEN)
    forms: dict[str, tuple[bytes, ...]] = {
        "CL.TE": (length, b"Transfer-Encoding: chunked"),
        "TE.CL": (b"Transfer-Encoding: chunked", b"Content-Length: 4"),
        "two lengths": (b"Content-Length: 0", length),
        "a list of lengths": (b"Content-Length: 0, %d" % len(_HIDDEN),),
        "length with a sign": (b"Content-Length: +0",),
        "negative length": (b"Content-Length: -1",),
        "hexadecimal length": (b"Content-Length: 0x0",),
        "length beyond 64 bits": (b"Content-Length: " + b"9" * 30,),
        "underscored length": (b"Content-Length: 1_0",),
        "TE of another name": (b"Transfer-Encoding: xchunked",),
        "TE chunked twice": (b"Transfer-Encoding: chunked, chunked",),
        "TE chunked, identity": (b"Transfer-Encoding: chunked, identity",),
        "TE with a tab": (b"Transfer-Encoding:\tchunked", length),
        "TE with a space before the colon": (b"Transfer-Encoding : chunked", length),
        "TE with a control": (b"Transfer-Encoding: \x0bchunked", length),
        "TE folded": (b"Transfer-Encoding:\r\n chunked", length),
        "folded header": (b"X: a\r\n b", b"Content-Length: 0"),
        "bare LF in a header": (b"X: a\nContent-Length: 0", length),
        "bare CR in a header": (b"X: a\rContent-Length: 0", length),
        "NUL in a header": (b"X: a\0b", length),
        "header without a name": (b": a", length),
        "header without a colon": (b"nothing", length),
    }
    for name, headers in forms.items():
        # Where the form is taken for a request with or without this body, what follows may be one answer more, never
        # the smuggled one as well: only one of the two readings is answered, and it is refused by its body.
        sent = _post(b"/login", b"0\r\n\r\n" + _HIDDEN, *headers)
        yield Raw(name=f"smuggling: {name}", sent=sent, statuses=frozenset({400, 401, 408, CLOSED}))
    for name, chunks in {
        "negative chunk": b"-1\r\n\r\n",
        "chunk beyond 64 bits": b"f" * 20 + b"\r\n",
        "chunk in words": b"five\r\nhello\r\n",
        "chunk with a space": b"5 5\r\nhello\r\n0\r\n\r\n",
        "chunk by LF": b"5\nhello\n0\n\n",
        "chunk that lies": b"2\r\nhello\r\n0\r\n\r\n",
        "chunk extensions without end": b"5;" + b"a" * _LONG,
        "trailers without end": b"0\r\n" + b"X: y\r\n" * 20_000,
    }.items():
        sent = _post(b"/login", chunks + _HIDDEN, b"Transfer-Encoding: chunked")
        yield Raw(
            name=f"smuggling: {name}", sent=sent, statuses=frozenset({400, 401, 408, 431, CLOSED})
        )


def _protocols() -> Iterator[Raw]:
    for name, sent in {
        "HTTP/2 preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(1_000),
        "HTTP/0.9": b"GET /dicom-web/studies\r\n\r\n",
        "HTTP/3.0": b"GET / HTTP/3.0\r\n" + _HOST + b"\r\n",
        "no version": b"GET / \r\n\r\n",
        "a long method": b"A" * _LONG + b" / HTTP/1.1\r\n\r\n",
        "a TLS hello inside TLS": bytes.fromhex("16030100ca010000c60303") + bytes(195),
        "an association request": b"\1\0\0\0\0\xcd\0\1\0\0" + b"ARCHIVE".ljust(200),
        "noise": bytes((n * 167 + 13) % 256 for n in range(5_000)),
        "NUL in the path": b"GET /dicom\0web HTTP/1.1\r\n" + _HOST + b"\r\n",
        "headers by the thousand": _get(
            b"/dicom-web/studies", *[b"X-%d: y" % n for n in range(9_000)]
        ),
        "one header of a megabyte": _get(b"/dicom-web/studies", b"X: " + b"y" * 1_000_000),
        "a path of a megabyte": _get(b"/dicom-web/" + b"a" * 1_000_000),
    }.items():
        yield Raw(name=name, sent=sent, statuses=frozenset({400, 401, 421, 431, CLOSED}))
    upgrade = (b"Connection: Upgrade", b"Upgrade: websocket", b"Sec-WebSocket-Version: 13")
    key = b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA=="
    yield Raw(
        name="websocket", sent=_get(b"/dicom-web/studies?limit=1", *upgrade, key), statuses=_FOUND
    )
    h2c = (b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: AAMAAABk")
    yield Raw(name="h2c", sent=_get(b"/dicom-web/studies?limit=1", *h2c), statuses=_FOUND)
    connect = b"CONNECT 127.0.0.1:22 HTTP/1.1\r\n" + _HOST + b"\r\nSSH-2.0-x\r\n"
    yield Raw(name="CONNECT", sent=connect, statuses=_BAD | {404, 405})
    trace = b"TRACE / HTTP/1.1\r\n" + _HOST + b"\r\n"
    yield Raw(name="TRACE", sent=trace, statuses=_BAD | {404, 405})
    for name, host in {"two hosts": _HOST * 2, "no host": b"", "another's": b"Host: x\r\n"}.items():
        sent = b"GET /dicom-web/studies HTTP/1.1\r\n" + host + b"\r\n"
        yield Raw(name=f"host: {name}", sent=sent, statuses=_BAD | {421})
    absolute = b"GET http://127.0.0.1:22/x HTTP/1.1\r\n" + _HOST + b"\r\n"
    yield Raw(name="absolute form", sent=absolute, statuses=_FOUND)


def _questions(uid: bytes) -> Iterator[Raw]:
    """What is asked of an archive; ``uid`` is a study that it has."""
    many = b"&".join([b"includefield=%08X" % (0x00100010 + n % 0x40) for n in range(1_300)])
    wild = b"PatientName=" + b"*a" * 500 + b"*b"
    marks = b"PatientName=" + b"%3F" * 60 + b"*" * 200
    deep = b".".join([b"00400275"] * 8) + b"=x"
    deeper = b".".join([b"00400275"] * 2_000) + b"=x"
    uids = b"StudyInstanceUID=" + b",".join([b"1.2.%d" % n for n in range(3_000)])
    for name, query in {
        "1,300 includefields": many,
        "includefields in one": b"includefield=" + b",".join([b"00100010"] * 3_000),
        "wild cards": wild,
        "question marks": marks,
        "a sequence of eight": deep,
        "a sequence of 2,000": deeper,
        "3,000 UIDs": uids,
        "a huge limit": b"limit=999999999999999&PatientID=none",
        "a huge offset": b"offset=999999999999999",
        "a number beyond all": b"limit=" + b"9" * 10_000,
        "a negative limit": b"limit=-1",
        "numbers of another script": b"limit=%D9%A1",
        "a thousand parameters": b"&".join([b"a%d=b" % n for n in range(3_000)]),
        "nothing but ampersands": b"&" * 20_000,
        "escapes of escapes": b"PatientName=" + b"%25" * 8_000,
        "no UTF-8": b"PatientName=%ff%fe%00%80",
        "a range of everything": b"StudyDate=-",
        "a range backwards": b"StudyDate=99991231-00010101&limit=1",
    }.items():
        yield Raw(
            name=f"search: {name}", sent=_get(b"/dicom-web/studies?" + query), statuses=_FOUND
        )
    study = b"/dicom-web/studies/" + uid
    one = study + b"/series/" + uid + b".1/instances/" + uid + b".1.0"
    for name, path in {
        "up": b"/dicom-web/studies/../../../../etc/passwd",
        "up, escaped": b"/dicom-web/studies/%2e%2e%2f%2e%2e%2fetc%2fpasswd",
        "up, escaped twice": b"/dicom-web/studies/%252e%252e%252fetc",
        "absolute": b"/dicom-web/studies//etc/passwd",
        "NUL, escaped": b"/dicom-web/studies/1.2%00.3",
        "a long UID": b"/dicom-web/studies/" + b"1." * 10_000,
        "no UTF-8": b"/dicom-web/studies/%ff%fe",
        "backslashes": b"/dicom-web/studies/..%5c..%5cwindows",
        "a line's end": b"/dicom-web/studies/1%0d%0aX:%20y",
        "slashes": b"/dicom-web" + b"/" * 20_000,
    }.items():
        yield Raw(name=f"path: {name}", sent=_get(path), statuses=_FOUND)
    for name, path in {
        "16,000 frames": one + b"/frames/" + b",".join([b"1"] * 16_000),
        "frame a million": one + b"/frames/1000000",
        "frame zero": one + b"/frames/0",
        "frame beyond all": one + b"/frames/" + b"9" * 5_000,
        "a huge viewport": one + b"/rendered?viewport=1000000,1000000",
        "a viewport of noise": one + b"/rendered?viewport=-1,1e9,nan,inf,0,0",
        "a window of noise": one + b"/rendered?window=nan,1e308,linear",
        "rendered, a study": study + b"/rendered?viewport=100000,100000",
        "thumbnail": one + b"/thumbnail?viewport=100000,100000",
    }.items():
        yield Raw(
            name=f"retrieve: {name}", sent=_get(path), statuses=_FOUND | {409, 410, 416, 500, 503}
        )
    ranges = b"Range: bytes=" + b",".join([b"0-"] * 5_000)
    yield Raw(
        name="5,000 ranges", sent=_get(one + b"/frames/1", ranges), statuses=_FOUND | {416, 503}
    )
    for name, text in {
        "5,000 media ranges": b",".join([b"a/b;q=0.1"] * 3_000),
        "parameters without end": b"a/b" + b";a=b" * 7_000,
        "an open quotation": b'multipart/related; type="' + b"\\" * 20_000,
        "many quotations": b'a/b;c="' + b'\\"' * 10_000 + b'"',
        "commas": b"," * 30_000,
    }.items():
        sent = _get(b"/dicom-web/studies?limit=1", b"Accept: " + text)
        yield Raw(name=f"accept: {name}", sent=sent, statuses=_FOUND)


def _bodies() -> Iterator[Raw]:
    json = b"Content-Type: application/json"
    for name, body in {
        "brackets": b"[" * 8_000,
        "braces": b'{"a":' * 1_600,
        "a long number": b'{"name":' + b"9" * 8_000 + b"}",
        "a huge exponent": b'{"name":1e999999999,"password":"","code":""}',
        "half a surrogate": b'{"name":"\\ud800","password":"","code":""}',
        "one key, often": b"{" + b'"name":"a",' * 700 + b'"code":""}',
        "a megabyte": b" " * 1_000_000,
        "no JSON": b"\xff" * 100,
    }.items():
        sent = _post(b"/login", body, json, b"Content-Length: %d" % len(body))
        yield Raw(
            name=f"login: {name}", sent=sent, statuses=frozenset({400, 401, 413, 429, CLOSED})
        )
    stow = b"/dicom-web/studies"
    for name, kind in {
        "a long boundary": b"multipart/related; boundary=" + b"a" * 20_000,
        "an empty boundary": b"multipart/related; boundary=",
        "boundaries": b"multipart/related" + b"; boundary=a" * 2_000,
        "a boundary of controls": b'multipart/related; boundary="\x7f\x01"',
        "a type of slashes": b"/" * 10_000,
        "JSON instead": b"application/dicom+json",
    }.items():
        sent = _post(stow, b"x" * 10, b"Content-Type: " + kind, b"Content-Length: 10")
        yield Raw(
            name=f"stow: {name}", sent=sent, statuses=frozenset({400, 403, 413, 415, 431, CLOSED})
        )
    bomb = b"Content-Encoding: gzip"
    sent = _post(
        stow, b"x" * 10, b"Content-Type: " + MULTIPART.encode(), bomb, b"Content-Length: 10"
    )
    yield Raw(name="stow: packed", sent=sent, statuses=frozenset({400, 415, CLOSED}))


def hostile_requests(uid: str) -> list[Raw]:
    """Return all of them; ``uid`` is a study that the archive holds, at least in its index."""
    return [*_smuggling(), *_protocols(), *_questions(uid.encode()), *_bodies()]
