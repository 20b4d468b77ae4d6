"""Whoever an archive cannot name, as bytes on a socket: certificates of every wrong kind, raw requests at both doors.

Raw, because a client of ours would not say what must be refused.
"""

import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from certificates import make_credential
from doorward.access.authority import Authority, Credential
from doorward.archive.running.folder import Folder
from doorward.net.client import Proposal, associate_request
from doorward.wire.encode import encode_pdu
from doorward.wire.uids import EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN

HOST = "127.0.0.1"
WAIT_S = 10.0
SYNTAXES = (IMPLICIT_VR_LITTLE_ENDIAN, EXPLICIT_VR_LITTLE_ENDIAN)
#: A-ASSOCIATE-RJ, permanent, by the service user: calling AE title not recognized (PS3.8 Table 9-21).
UNKNOWN = bytes([3, 0, 0, 0, 0, 4, 0, 1, 1, 3])
#: PDU type of A-ASSOCIATE-AC (PS3.8 section 9.3.3), record type of a TLS alert (RFC 8446 section 5.1).
ACCEPTED, TLS_ALERT = 2, 21


def association(called: str, calling: str, *sop_classes: str) -> bytes:
    """Return an A-ASSOCIATE-RQ."""
    contexts = tuple((one, SYNTAXES) for one in sop_classes)
    asked = Proposal(called_ae_title=called, calling_ae_title=calling, contexts=contexts)
    return bytes(encode_pdu(associate_request(asked)))


@contextmanager
def connected(
    port: int, tls: ssl.SSLContext | None = None, *, source: str = HOST
) -> Iterator[socket.socket]:
    """Connect from an address of loopback; raises ssl.SSLError or OSError where TLS refuses."""
    with socket.create_connection(
        (HOST, port), timeout=WAIT_S, source_address=(source, 0)
    ) as plain:
        if tls is None:
            yield plain
            return
        with tls.wrap_socket(plain, server_hostname=HOST) as wrapped:
            yield wrapped


def first_answer(
    port: int, sent: bytes, tls: ssl.SSLContext | None = None, *, source: str = HOST
) -> bytes:
    """Say one thing and return what comes first; b"": it was ended by TLS or TCP, without a byte of what is inside."""
    with suppress(ssl.SSLError, ConnectionError), connected(port, tls, source=source) as line:
        line.sendall(sent)
        return line.recv(65_536)
    return b""


def whole_answer(port: int, sent: bytes, tls: ssl.SSLContext | None = None) -> bytes:
    """Say one thing and return all that comes until the other side ends; b"" as above."""
    found = b""
    with suppress(ssl.SSLError, ConnectionError), connected(port, tls) as line:
        line.sendall(sent)
        while piece := line.recv(65_536):
            found += piece
    return found


# --- certificates of every wrong kind ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """Somebody who shows a certificate that is none of a device."""

    name: str
    tls: ssl.SSLContext
    #: TLS lets them in: what follows must not.
    passes_tls: bool = False


def strangers(folder: Folder, place: Path, revoked: ssl.SSLContext) -> list[Shown]:
    """Return everybody who is nobody; ``revoked`` is the TLS of a device that was one."""
    now = datetime.now(UTC)
    place.mkdir()
    trusted = folder.secrets / "authority.pem"
    ours, theirs = folder.authority(), Authority.make("Elsewhere", now=now)
    long_ago = now - timedelta(days=9_000)
    alone = make_credential(place, "alone")
    return [
        Shown(name="other authority", tls=_tls(place, trusted, theirs.device("ct1", now=now))),
        Shown(name="expired", tls=_tls(place, trusted, ours.device("ct1", now=long_ago))),
        Shown(name="self-signed", tls=calling(trusted, alone.certificate_path, alone.key_path)),
        Shown(name="revoked", tls=revoked),
        Shown(
            name="signed by us, in no register",
            tls=_tls(place, trusted, ours.device("ct1", now=now)),
            passes_tls=True,
        ),
    ]


def nobody(folder: Folder) -> ssl.SSLContext:
    """Return the TLS of somebody without a certificate."""
    return ssl.create_default_context(cafile=str(folder.secrets / "authority.pem"))


def calling(trusted: Path, certificate: Path, key: Path) -> ssl.SSLContext:
    """Return the TLS of a caller with a certificate."""
    context = ssl.create_default_context(cafile=str(trusted))
    context.load_cert_chain(certificate, key)
    return context


def _tls(place: Path, trusted: Path, shown: Credential) -> ssl.SSLContext:
    file = place / f"{shown.serial}.pem"
    file.write_bytes(shown.certificate + shown.key)
    return calling(trusted, file, file)
