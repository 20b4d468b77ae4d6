"""User identity negotiation with pynetdicom inside TLS: a token as a passcode, and what is no token."""

import json
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from http.client import HTTPSConnection
from pathlib import Path
from typing import Any

import pytest
from pynetdicom import AE
from pynetdicom.association import Association
from pynetdicom.pdu_primitives import UserIdentityNegotiation

from archive_commands import archive_process
from archive_folders import ephemeral, made
from archives import HOST, Running, records, running
from certificates import Certificates
from commitment_peers import closing_sockets
from doorward.access.identity import Operation, Register, Service
from doorward.access.journal.record import Event
from doorward.access.tokens import TokenBook
from doorward.archive.running.folder import Folder
from doorward.archive.user_identities import UserIdentities
from doorward.limits import DEFAULT_LIMITS
from doorward.net.tls import client_context, server_context
from doorward.wire.uids import VERIFICATION

pytestmark = pytest.mark.interop
NOW = datetime.now().astimezone()


@contextmanager
def serving(folder: Path, certificates: Certificates) -> Iterator[tuple[Running, str]]:
    """An archive that takes user identities, and a token that is good for C-ECHO."""
    own, trusted = certificates.server, certificates.authority
    tls = server_context(
        own.certificate_path,
        own.key_path,
        client_authorities=trusted.certificate_path,
        asks_only=True,
    )
    issued = TokenBook().issue(
        owner="robot", scope={Operation.ECHO}, now=NOW, lifetime=timedelta(hours=1)
    )
    with running(folder, [], tls, takes_user_identity=True) as one:
        archive = one.archive
        desk = UserIdentities(
            register=lambda: archive.settings.register,
            now=archive.now,
            tokens=lambda: issued.book,
        )
        archive.services.callers.identify_user = desk.identify
        archive.use(register=Register(services=(Service(name="robot", role="workstation"),)))
        yield one, issued.text


def call(
    archive: Running, tls: ssl.SSLContext, closing: Any, kind: int, name: str, passcode: str
) -> Association:
    """Ask an archive of this process for an association with a user identity and a positive response."""
    return call_at(archive.port, tls, closing, kind, name, passcode)


def call_at(
    port: int, tls: ssl.SSLContext, closing: Any, kind: int, name: str, passcode: str
) -> Association:
    """The same at any port."""
    shown = UserIdentityNegotiation()
    shown.user_identity_type = kind
    shown.positive_response_requested = True
    shown.primary_field = name.encode()
    shown.secondary_field = passcode.encode()
    entity = AE("ROBOT")
    entity.add_requested_context(VERIFICATION)
    return entity.associate(
        HOST,
        port,
        ae_title="DOORWARD",
        tls_args=(tls, HOST),
        ext_neg=[shown],
        evt_handlers=[closing],
    )


def test_who_shows_a_passcode_or_none(certificates: Certificates, tmp_path: Path) -> None:
    tls = client_context(authorities=certificates.authority.certificate_path)
    with serving(tmp_path, certificates) as (archive, token), closing_sockets() as closing:
        known = call(archive, tls, closing, 2, "robot", token)
        assert known.is_established
        assert known.acceptor.user_identity is not None
        assert known.acceptor.user_identity.server_response in (None, b"")
        assert known.send_c_echo().Status == 0
        known.release()
        for kind, name, passcode in ((2, "robot", "wrong"), (2, "other", token), (1, "robot", "")):
            stranger = call(archive, tls, closing, kind, name, passcode)
            assert not stranger.is_established, (kind, name)
    said = [one.entry for one in records(tmp_path)]
    # The second refusal for one reason within a minute is counted, not recorded (archive/noting.py).
    refused = [one.reason for one in said if one.event is Event.ASSOCIATION_REFUSED]
    assert refused[:2] == [
        "user identity refused",
        "this kind of user identity proves nothing here",
    ]
    assert [one.identity for one in said if one.event is Event.LOGIN] == ["robot"]


def prepared(place: Path) -> tuple[Folder, str]:
    """The folder of an archive that takes user identities, and a token of a program in its register."""
    settings = ephemeral()
    folder = made(place, replace(settings, dicom=replace(settings.dicom, user_identity=True)))
    robot = Service(name="robot", role="workstation")
    folder.change_register(lambda register: register.with_entry(robot))
    issued = TokenBook().issue(
        owner="robot", scope={Operation.ECHO}, now=NOW, lifetime=timedelta(hours=1)
    )
    folder.change_tokens(lambda _: issued.book)
    return folder, issued.text


def test_a_whole_archive_takes_user_identities_where_its_settings_say_so(tmp_path: Path) -> None:
    folder, token = prepared(tmp_path / "pacs")
    tls = client_context(authorities=folder.secrets / "authority.pem")
    with archive_process(folder.path) as process, closing_sockets() as closing:
        assert process.until("HTTPS on")
        assert any("dicom.user_identity" in line for line in process.lines)
        port = process.ports["dicom"]
        known = call_at(port, tls, closing, 2, "robot", token)
        assert known.is_established
        assert known.send_c_echo().Status == 0
        folder.change_tokens(
            lambda _: TokenBook()
        )  # revoked: the running association ends by itself
        assert process.until("were ended: 1")
        assert not call_at(port, tls, closing, 2, "robot", token).is_established
        assert process.stop() == 0


def test_who_has_guessed_over_dicom_waits_at_the_web_too(tmp_path: Path) -> None:
    folder, _ = prepared(tmp_path / "pacs")
    tls = client_context(authorities=folder.secrets / "authority.pem")
    with archive_process(folder.path) as process, closing_sockets() as closing:
        assert process.until("HTTPS on")
        for _ in range(DEFAULT_LIMITS.login_free_failures + 1):
            guess = call_at(process.ports["dicom"], tls, closing, 2, "ada", "a guess 123456")
            assert not guess.is_established
        web = HTTPSConnection(HOST, process.ports["https"], context=tls, timeout=10)
        body = json.dumps({"name": "ada", "password": "a guess", "code": "123456"})
        web.request("POST", "/login", body, {"Content-Type": "application/json"})
        assert web.getresponse().status == 429
        web.close()
        assert process.stop() == 0
