"""The commands of a bundle work as they are printed, with DCMTK's own tools against our server, and the sheet is true."""

import re
import shlex
import shutil
import ssl
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.serialization import pkcs12

from dcmtk import ToolResult, run_tool
from doorward.access.authority import Authority, certificate_from
from doorward.access.device_bundle import (
    AUTHORITY_FILE,
    ArchiveDoor,
    DeviceBundle,
    legacy_commands,
    make_bundle,
)
from doorward.access.identity import Device, Operation, Role
from doorward.errors import ConfigError
from doorward.net.tls import server_context
from doorward_archive import DoorwardArchive, served
from peers import free_port
from synthetic import Known, make_studies

NOW = datetime.now(UTC)
TITLE = "PACS 1"  # a space, to see that it is quoted
DOOR = ArchiveDoor(host="127.0.0.1", port=2762, ae_title=TITLE)
#: What DCMTK says where the server refuses its certificate: in TLS 1.3 the client has finished by then.
REFUSED_BY_TLS = "Peer aborted Association"
CT = Device(name="ct1", role=Role.MODALITY, ae_titles=("CT1",))
STATION = Device(name="ws1", role=Role.WORKSTATION, ae_titles=("WS 1", "WS1B"))


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority.make("Example clinic", now=NOW)


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> Known:
    return make_studies(tmp_path_factory.mktemp("known"))


def bundle_of(authority: Authority, device: Device, door: ArchiveDoor = DOOR) -> DeviceBundle:
    return make_bundle(device, authority.device(device.name, now=NOW), authority, door)


def tools(commands: tuple[str, ...]) -> list[str]:
    return [shlex.split(command)[0] for command in commands]


@contextmanager
def mutual_tls(
    folder: Path, authority: Authority, archive: DoorwardArchive
) -> Iterator[tuple[ArchiveDoor, ssl.SSLContext]]:
    """The archive behind TLS that wants a certificate of the authority and knows whom it has revoked."""
    own = authority.server(["127.0.0.1"], now=NOW)
    files = {
        "server.pem": own.certificate,
        "server-key.pem": own.key,
        "authority.pem": authority.certificate,
        "revoked.pem": authority.revocation_list((), number=1, now=NOW),
    }
    for name, content in files.items():
        (folder / name).write_bytes(content)
    context = server_context(
        folder / "server.pem",
        folder / "server-key.pem",
        client_authorities=folder / "authority.pem",
    )
    context.load_verify_locations(folder / "revoked.pem")
    context.verify_flags |= ssl.VERIFY_CRL_CHECK_LEAF
    with served(archive, tls=context) as running:
        yield replace(DOOR, port=running.port), context


def run(command: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> ToolResult:
    """Run a printed command as an engineer would: in the bundle's folder, letter for letter."""
    monkeypatch.chdir(folder)
    return run_tool(*shlex.split(command))


def says_success(command: str, done: ToolResult) -> bool:
    """What each tool says of a success; findscu returns 0 whatever happened to its query."""
    said = {
        "echoscu": r"Received Echo Response \(Success\)",
        "storescu": r"Received Store Response \(Success\)",
        "findscu": r"Find Response:? *\d+|Received Final Find Response \(Success\)",
    }
    found = re.search(said[shlex.split(command)[0]], done.output)
    return done.is_success and found is not None


@pytest.mark.peer("dcmtk")
@pytest.mark.parametrize("role", [Role.MODALITY, Role.WORKSTATION, Role.MIGRATION])
def test_the_commands_work_as_printed_and_no_more_once_revoked(
    authority, known, tmp_path, monkeypatch, role
):
    expires = NOW if role is Role.MIGRATION else None
    device = Device(name="dev1", role=role, ae_titles=("DEV 1",), expires_at=expires)
    archive = DoorwardArchive(known.files[1:], ae_title=TITLE, callers=["DEV 1"])
    with mutual_tls(tmp_path, authority, archive) as (door, context):
        credential = authority.device(device.name, now=NOW)
        bundle = make_bundle(device, credential, authority, door)
        folder = bundle.write(tmp_path / "bundle").folder
        shutil.copy(known.files[0], folder / "IMAGE.dcm")
        for command in bundle.commands:
            done = run(command, folder, monkeypatch)
            assert says_success(command, done), done.output
        present = (tmp_path / "revoked.pem").read_bytes()
        newer = authority.revoke(credential.serial, present, now=NOW + timedelta(seconds=1))
        (tmp_path / "revoked.pem").write_bytes(newer)
        context.load_verify_locations(tmp_path / "revoked.pem")
        came = len(archive.certificates)
        for command in bundle.commands:
            done = run(command, folder, monkeypatch)
            assert not says_success(command, done)
            assert REFUSED_BY_TLS in done.output
        assert len(archive.certificates) == came  # nobody came as far as an association


@pytest.mark.peer("dcmtk")
def test_without_the_key_of_the_bundle_the_commands_do_not_work(authority, tmp_path, monkeypatch):
    archive = DoorwardArchive(ae_title=TITLE)
    with mutual_tls(tmp_path, authority, archive) as (door, _):
        bundle = bundle_of(authority, CT, door)
        (echo, _) = bundle.commands
        folder = bundle.write(tmp_path / "bundle").folder
        other = bundle_of(Authority.make("Elsewhere", now=NOW), CT, door)
        for name, content in other.files.items():
            if name != AUTHORITY_FILE:
                (folder / name).write_bytes(content)
        done = run(echo, folder, monkeypatch)
        assert not says_success(echo, done)
        assert REFUSED_BY_TLS in done.output
        assert archive.certificates == []


@pytest.mark.peer("dcmtk")
def test_the_tools_that_are_said_to_know_no_tls_know_none():
    for tool, knows in (("findscu", True), ("movescu", False), ("getscu", False)):
        assert ("--enable-tls" in run_tool(tool, "--help").output) == knows


@pytest.mark.peer("dcmtk")
def test_the_commands_of_a_legacy_device_work_as_printed(known, tmp_path, monkeypatch):
    shutil.copy(known.files[0], tmp_path / "IMAGE.dcm")
    listens_at = free_port()
    archive = DoorwardArchive(known.files, ae_title=TITLE, destinations={"WS 1": listens_at})
    with served(archive):
        door = replace(DOOR, port=archive.port)
        device = replace(STATION, addresses=("127.0.0.1",), legacy_port="old")
        commands = legacy_commands(device, door, listens_at=listens_at)
        assert tools(commands) == ["echoscu", "findscu", "getscu", "movescu"]
        *plain, get, move = commands
        for command in plain:
            done = run(command, tmp_path, monkeypatch)
            assert says_success(command, done), done.output
        study, images = next(iter(known.images_of_study.items()))
        for number, command in enumerate((get, move)):
            folder = tmp_path / str(number)
            folder.mkdir()
            done = run(command.replace("STUDY-INSTANCE-UID", study), folder, monkeypatch)
            assert done.is_success, done.output
            assert len(list(folder.iterdir())) == images


@pytest.mark.parametrize(
    ("device", "expected"),
    [(CT, ["echoscu", "storescu"]), (STATION, ["echoscu", "findscu"])],
)
def test_a_device_is_given_the_commands_of_its_role_only(authority, device, expected):
    bundle = bundle_of(authority, device)
    assert tools(bundle.commands) == expected
    for command in bundle.commands:
        assert command in bundle.sheet


def test_the_operations_may_be_fewer_than_the_roles(authority):
    credential = authority.device("ct1", now=NOW)
    bundle = make_bundle(CT, credential, authority, DOOR, operations={Operation.STORE})
    assert tools(bundle.commands) == ["storescu"]


def test_the_sheet_says_what_an_engineer_must_type(authority):
    credential = authority.device("ws1", now=NOW)
    prints = "ab" * 32
    door = replace(DOOR, server_fingerprint=prints)
    sheet = make_bundle(STATION, credential, authority, door).sheet
    for said in (
        "127.0.0.1",
        "2762",
        "PACS 1",
        "WS 1 or WS1B",
        "echo, move, query, retrieve",
        "TLS 1.2 and 1.3",
        f"{credential.not_after:%Y-%m-%d}",
        credential.fingerprint[:2].upper() + ":",
        "AB:AB:AB",
        "movescu and getscu, which know no TLS",
    ):
        assert said in sheet
    assert "movescu" not in bundle_of(authority, CT).sheet
    assert all(len(line) <= 200 for line in sheet.splitlines())


def test_each_file_that_the_sheet_names_is_there(authority):
    bundle = bundle_of(authority, CT)
    named = set(re.findall(r"[a-z0-9-]+\.(?:pem|p12)", bundle.sheet))
    assert named == set(bundle.files) - {"settings.txt"}


def test_the_passphrase_opens_the_pkcs12_and_is_in_no_file(authority):
    bundle = bundle_of(authority, CT)
    key, own, chain = pkcs12.load_key_and_certificates(
        bundle.files["ct1.p12"], bundle.passphrase.encode()
    )
    assert key is not None
    assert own == certificate_from(bundle.files["ct1-certificate.pem"])
    assert chain == [certificate_from(authority.certificate)]
    assert key.public_key() == own.public_key()
    for content in bundle.files.values():
        assert bundle.passphrase.encode() not in content


def test_nothing_secret_is_in_the_sheet_or_the_repr(authority):
    bundle = bundle_of(authority, CT)
    secret_line = bundle.files["ct1-key.pem"].decode().splitlines()[1]
    for shown in (bundle.sheet, repr(bundle)):
        assert secret_line not in shown
        assert "PRIVATE KEY" not in shown
        assert bundle.passphrase not in shown


def test_the_files_are_for_their_owner_alone(authority, tmp_path):
    vault = bundle_of(authority, CT).write(tmp_path / "bundle")
    vault.check()
    assert stat.S_IMODE(vault.folder.stat().st_mode) == 0o700
    with pytest.raises(ConfigError, match="there already"):
        bundle_of(authority, CT).write(tmp_path / "bundle")


def test_a_device_with_its_own_key_gets_none(authority):
    credential = replace(authority.device("ct1", now=NOW), key=b"")
    bundle = make_bundle(CT, credential, authority, DOOR)
    assert bundle.passphrase == ""
    assert set(bundle.files) == {
        "authority.pem",
        "ct1-certificate.pem",
        "ct1-chain.pem",
        "settings.txt",
    }
    assert "YOUR-KEY.pem" in bundle.commands[0]
    assert "which" not in bundle.commands[0]


@pytest.mark.parametrize("name", ["authority", "settings.txt", "a" * 64])
def test_no_name_of_a_device_takes_the_place_of_another_file(authority, tmp_path, name):
    device = replace(CT, name=name)
    bundle = bundle_of(authority, device)
    assert len(bundle.files) == 6
    assert bundle.files[AUTHORITY_FILE] == authority.certificate
    serialization.load_pem_private_key(bundle.files[f"{name}-key.pem"], password=None)
    bundle.write(tmp_path / "bundle")


def test_a_device_without_a_title_has_no_bundle(authority):
    with pytest.raises(ConfigError, match="is empty"):
        bundle_of(authority, replace(CT, ae_titles=()))
