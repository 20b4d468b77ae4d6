"""What stands behind the doors of group f that are no DICOM: a web server, HL7, PostgreSQL, Redis, FTP, in two forms each.

The bytes are those of the products that they name. The open form lets strangers in, the shut one asks for a login; which of
them answers is told by the address that was called (``is_open``), so that one socket a port serves all systems. What is
asked in a way that the product does not understand is answered as the product answers that: ``nmap -sV`` lives on it.
"""

import asyncio
import ipaddress
import json
import struct
from collections.abc import Mapping
from functools import cache
from typing import cast

STUDIES = 300
IMAGES = 30
PATIENTS = 120


def is_open(address: str, port: int) -> bool:
    """Tell whether strangers are let in here; neighbours differ, and so do the doors of one system."""
    return (int(ipaddress.ip_address(address)) + port) % 2 == 0


class Doorkeeper(asyncio.Protocol):
    """One connection; ``answer`` takes what has come so far and returns what it used of it and the reply."""

    greeting = b""

    def __init__(self) -> None:
        self._received = b""
        self._transport: asyncio.Transport | None = None
        self.is_open = False
        self.is_over = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        stream = cast(asyncio.Transport, transport)  # uvloop's are of no class of asyncio's
        self._transport = stream
        address, port = stream.get_extra_info("sockname")[:2]
        if not ipaddress.ip_address(address).is_loopback:
            stream.abort()
        self.is_open = is_open(address, port)
        if self.greeting:
            stream.write(self.greeting)

    def data_received(self, data: bytes) -> None:
        assert self._transport is not None
        self._received += data
        while self._received and not self.is_over:
            used, reply = self.answer(self._received)
            if not used:
                return
            self._received = self._received[used:]
            if reply:
                self._transport.write(reply)
        if self.is_over:
            self._transport.close()

    def answer(self, received: bytes) -> tuple[int, bytes]:
        """Return how many bytes were used (0: more are needed) and what is said to them."""
        raise NotImplementedError


# --- web: Orthanc 1.10.1 as it answers with and without users, and a viewer behind nginx ---

_REASONS = {200: "OK", 302: "Found", 400: "Bad Request", 401: "Unauthorized", 404: "Not Found"}


def page(
    status: int, media_type: str = "", body: str = "", headers: Mapping[str, str] | None = None
) -> bytes:
    """Return one whole answer."""
    content = body.encode()
    named = {"Content-Type": media_type} if media_type else {}
    named |= {"Content-Length": str(len(content)), "Connection": "close", **(headers or {})}
    lines = "".join(f"{name}: {value}\r\n" for name, value in named.items())
    return f"HTTP/1.1 {status} {_REASONS[status]}\r\n{lines}\r\n".encode() + content


class Web(Doorkeeper):
    """One request a connection; a body is neither waited for nor read."""

    def answer(self, received: bytes) -> tuple[int, bytes]:
        head, end, _ = received.partition(b"\r\n\r\n")
        if not end and b"\n\n" not in received:
            return 0, b""
        self.is_over = True
        words = head.split(b"\r\n")[0].decode("latin-1").split(" ")
        if len(words) != 3 or not words[2].startswith("HTTP/"):
            return len(received), page(400)
        method, target = words[0], words[1].partition("?")[0]
        reply = self.respond(method, target, is_search=b"limit=" in head)
        return len(received), reply.partition(b"\r\n\r\n")[
            0
        ] + b"\r\n\r\n" if method == "HEAD" else reply

    def respond(self, method: str, path: str, *, is_search: bool) -> bytes:
        """Return the answer to one request."""
        raise NotImplementedError


class Orthanc(Web):
    """REST, explorer and DICOMweb; the shut form asks for a login on every path."""

    def respond(self, method: str, path: str, *, is_search: bool) -> bytes:
        if not self.is_open:
            return page(401, headers={"WWW-Authenticate": 'Basic realm="Orthanc Secure Area"'})
        if path == "/":
            return page(302, headers={"Location": "app/explorer.html"})
        if path == "/dicom-web/studies":
            return _of_dicomweb(method)
        known = _orthanc_pages()
        return (
            known[path] if method in ("GET", "HEAD") and path in known else _unknown(method, path)
        )


@cache
def _orthanc_pages() -> Mapping[str, bytes]:
    system = {
        "ApiVersion": 16,
        "DatabaseVersion": 6,
        "DicomAet": "ORTHANC",
        "DicomPort": 4242,
        "HttpPort": 8042,
        "IsHttpServerSecure": False,
        "Name": "PRACTICE",
        "PluginsEnabled": True,
        "Version": "1.10.1",
    }
    statistics = {
        "CountInstances": STUDIES * IMAGES,
        "CountPatients": PATIENTS,
        "CountSeries": STUDIES,
        "CountStudies": STUDIES,
        "TotalDiskSizeMB": 4_700,
    }
    explorer = (
        '<!DOCTYPE html><html><head><title>Orthanc Explorer</title><script src="libs/jquery.min.js">'
        '</script><script src="explorer.js"></script></head><body></body></html>'
    )
    return {
        "/system": page(200, "application/json", json.dumps(system, indent=3)),
        "/statistics": page(200, "application/json", json.dumps(statistics, indent=3)),
        "/app/explorer.html": page(200, "text/html", explorer),
        "/studies": page(
            200, "application/json", json.dumps([f"{n:040x}" for n in range(STUDIES)])
        ),
    }


def _of_dicomweb(method: str) -> bytes:
    """Answer a search for what does not exist; the audit takes its counts from /statistics."""
    if method == "POST":
        return page(400, "application/json", "{}")
    return page(200, "application/dicom+json", "[]")


def _unknown(method: str, path: str) -> bytes:
    body = {
        "HttpError": "Not Found",
        "HttpStatus": 404,
        "Message": "Unknown resource",
        "Method": method,
        "OrthancError": "Unknown resource",
        "OrthancStatus": 17,
        "Uri": path,
    }
    return page(404, "application/json", json.dumps(body))


class Nginx(Web):
    """A viewer in front of an archive; the shut form asks for a login."""

    def respond(self, method: str, path: str, *, is_search: bool) -> bytes:
        server = {"Server": "nginx/1.22.1"}
        if not self.is_open:
            login = {"WWW-Authenticate": 'Basic realm="PACS"'}
            return page(401, "text/html", "<html><h1>401</h1></html>", server | login)
        if path == "/":
            return page(200, "text/html", _VIEWER, server)
        return page(404, "text/html", "<html><h1>404 Not Found</h1></html>", server)


_VIEWER = (
    "<!DOCTYPE html><html><head><title>Web Viewer</title><script src=/app.js></script></head>"
    "<body><div id=root></div></body></html>"
)

# --- the others ---


class Hl7(Doorkeeper):
    """A receiver: silent until a message comes, then AR; the shut form hangs up on whoever is not on its list."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        if not self.is_open:
            cast(asyncio.Transport, transport).close()

    def answer(self, received: bytes) -> tuple[int, bytes]:
        if b"\x1c\r" not in received:
            return 0, b""
        return len(received), b"\x0bMSH|^~\\&|RIS||||20260101||ACK|1|P|2.5\rMSA|AR|1\r\x1c\r"


class PostgreSql(Doorkeeper):
    """PostgreSQL 15 without TLS: scram, or trust for everybody."""

    _SSL_REQUEST = 80_877_103

    def answer(self, received: bytes) -> tuple[int, bytes]:
        if len(received) < 8:
            return 0, b""
        length, code = struct.unpack(">II", received[:8])
        if code == self._SSL_REQUEST:
            return 8, b"N"
        self.is_over = code >> 16 != 3
        if self.is_over:
            text = f"unsupported frontend protocol {code >> 16}.{code & 0xFFFF}: server supports 3.0 to 3.0"
            return len(received), _pg_error("0A000", text, "postmaster.c", "ProcessStartupPacket")
        if len(received) < length:
            return 0, b""
        if not self.is_open:
            return len(received), _pg(b"R", struct.pack(">I", 10) + b"SCRAM-SHA-256\0\0")
        self.is_over = True
        refusal = _pg_error("28000", "role does not exist", "miscinit.c", "InitializeSessionUserId")
        return len(received), _pg(b"R", bytes(4)) + refusal


def _pg(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack(">I", len(body) + 4) + body


def _pg_error(code: str, text: str, file: str, routine: str) -> bytes:
    fields = ("SFATAL", "VFATAL", f"C{code}", f"M{text}", f"F{file}", "L2195", f"R{routine}")
    return _pg(b"E", b"".join(field.encode() + b"\0" for field in fields) + b"\0")


class Redis(Doorkeeper):
    """Redis 7.0 with and without a password."""

    _HELLO = b"%3\r\n$6\r\nserver\r\n$5\r\nredis\r\n$7\r\nversion\r\n$5\r\n7.0.1\r\n$5\r\nproto\r\n:3\r\n"

    def answer(self, received: bytes) -> tuple[int, bytes]:
        if not received.endswith(b"\n"):
            return 0, b""
        if not self.is_open:
            return len(received), b"-NOAUTH Authentication required.\r\n"
        command = received.upper()
        if b"PING" in command:
            return len(received), b"+PONG\r\n"
        if b"HELLO" in command:
            return len(received), self._HELLO.replace(b"%3", b"*6")
        if b"INFO" in command:
            text = (
                b"# Server\r\nredis_version:7.0.1\r\nredis_mode:standalone\r\nos:Linux x86_64\r\n"
            )
            return len(received), b"$%d\r\n%s\r\n" % (len(text), text)
        return len(received), b"-ERR unknown command\r\n"


class Ftp(Doorkeeper):
    """vsftpd 3.0.3 with and without anonymous; ``data_port`` gives the list to whoever connects."""

    greeting = b"220 (vsFTPd 3.0.3)\r\n"
    data_port = 0

    def answer(self, received: bytes) -> tuple[int, bytes]:
        line, end, _ = received.partition(b"\n")
        if not end:
            return 0, b""
        word, _, argument = line.strip().partition(b" ")
        self.is_over = word.upper() == b"QUIT"
        return len(line) + 1, self._reply(word.upper(), argument) + b"\r\n"

    def _reply(self, word: bytes, argument: bytes) -> bytes:
        if word == b"USER" and not self.is_open and argument == b"anonymous":
            return b"530 This FTP server does not allow anonymous logins."
        return {
            b"FEAT": b"211-Features:\r\n EPSV\r\n PASV\r\n SIZE\r\n UTF8\r\n211 End",
            b"USER": b"331 Please specify the password.",
            b"PASS": b"230 Login successful." if self.is_open else b"530 Login incorrect.",
            b"EPSV": b"229 Entering Extended Passive Mode (|||%d|)" % self.data_port,
            b"LIST": b"150 Here comes the directory listing.\r\n226 Directory send OK.",
            b"QUIT": b"221 Goodbye.",
        }.get(word, b"530 Please login with USER and PASS.")


class FtpList(asyncio.Protocol):
    """The data connection: the list of one folder."""

    _LINES = b"".join(
        b"-rw-r--r--    1 0        0          526336 Jan 01 00:00 %08d.dcm\r\n" % n
        for n in range(40)
    )

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        stream = cast(asyncio.Transport, transport)
        stream.write(self._LINES)
        stream.close()
