"""Every door of the settings is open, and nothing else; each knows who was revoked."""

import asyncio
import http.client
import socket
import ssl
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from archive_folders import NOW, calling_context, ct1, ephemeral, made, ports_of
from archives import HOST, proposal_of
from doorward.access.identity import Register
from doorward.access.journal.reading import show
from doorward.access.journal.record import Event
from doorward.archive.archive import Archive
from doorward.archive.running.devices import revoke_device
from doorward.archive.running.doors import Doors
from doorward.archive.running.folder import SERVER
from doorward.archive.running.settings import LegacyPort
from doorward.archive.running.starting import prepare
from doorward.errors import (
    AssociationAborted,
    AssociationRejected,
    ConfigError,
    DoorwardError,
    TransportError,
)
from doorward.limits import DEFAULT_LIMITS
from doorward.net.client import associate
from loopback import OpenGate, in_loop, until


@asynccontextmanager
async def opened(folder, limits=DEFAULT_LIMITS, **named):
    start = await asyncio.to_thread(prepare, folder, now=NOW)
    archive = await Archive.open(
        folder.path, register=start.register, rules=start.settings.rules, **named
    )
    try:
        async with Doors.opened(folder, start.settings, archive, limits) as doors:
            yield archive, doors
    finally:
        await archive.close()


async def echo(port, tls, title="CT1"):
    proposal = proposal_of(title)
    async with associate(HOST, port, proposal, gate=OpenGate(), tls=tls) as requestor:
        return await requestor.echo()


def get(port, context, path):
    connection = http.client.HTTPSConnection(HOST, port, context=context, timeout=10)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    finally:
        connection.close()


@in_loop
async def test_a_device_is_served_on_both_doors_by_one_certificate(tmp_path):
    folder = await asyncio.to_thread(made, tmp_path / "pacs")
    tls = calling_context(ct1(folder), tmp_path / "bundle")
    nobody = ssl.create_default_context(cafile=str(folder.secrets / "authority.pem"))
    async with opened(folder) as (_, doors):
        assert len(doors.lines) == 2
        ports = ports_of(doors.lines)
        assert await echo(ports["dicom"], tls) == 0
        known = await asyncio.to_thread(get, ports["https"], tls, "/dicom-web/nothing")
        assert known not in (401, 421)
        assert await asyncio.to_thread(get, ports["https"], nobody, "/dicom-web/studies") == 401


@in_loop
async def test_who_was_revoked_is_ended_and_not_let_in_again(tmp_path):
    folder = await asyncio.to_thread(made, tmp_path / "pacs")
    tls = calling_context(ct1(folder), tmp_path / "bundle")
    other = calling_context(ct1(folder, "ct2"), tmp_path / "other")
    async with opened(folder) as (archive, doors):
        port = ports_of(doors.lines)["dicom"]
        proposal = proposal_of("CT1")
        async with associate(HOST, port, proposal, gate=OpenGate(), tls=tls) as requestor:
            assert await requestor.echo() == 0
            revoke_device(folder, "ct1", now=NOW)
            archive.use(register=folder.register())
            doors.renew()
            assert doors.end_unknown() == 1
            with pytest.raises(AssociationAborted):
                await requestor.echo()
        with pytest.raises(DoorwardError):
            await echo(port, tls)
        assert doors.end_unknown() == 0
        assert await echo(port, other, "CT2") == 0


@in_loop
async def test_whom_tls_refuses_is_in_the_journal_with_where_from_and_why(tmp_path):
    folder = await asyncio.to_thread(made, tmp_path / "pacs")
    tls = calling_context(ct1(folder), tmp_path / "bundle")
    nobody = ssl.create_default_context(cafile=str(folder.secrets / "authority.pem"))
    revoke_device(folder, "ct1", now=NOW)
    async with opened(folder) as (_, doors):
        ports = ports_of(doors.lines)
        for context in (tls, tls, nobody):
            with pytest.raises(DoorwardError):
                await echo(ports["dicom"], context)
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await asyncio.to_thread(get, ports["https"], tls, "/health/live")
    refused = [one.entry for one in show(folder.journal) if one.entry.reason.startswith("TLS: ")]
    assert {(one.event, one.peer, one.reason) for one in refused} == {
        (Event.ASSOCIATION_REFUSED, HOST, "TLS: certificate revoked"),
        (Event.ASSOCIATION_REFUSED, HOST, "TLS: peer did not return a certificate"),
        (Event.REFUSAL, HOST, "TLS: certificate revoked"),
    }
    assert len(refused) == 3, "a second try within a minute is counted, not written"


@in_loop
async def test_an_association_whose_time_is_over_is_ended(tmp_path):
    folder = await asyncio.to_thread(made, tmp_path / "pacs")
    tls = calling_context(ct1(folder), tmp_path / "bundle")
    async with opened(folder) as (archive, doors):
        port = ports_of(doors.lines)["dicom"]
        async with associate(HOST, port, proposal_of("CT1"), gate=OpenGate(), tls=tls) as requestor:
            assert doors.end_unknown() == 0
            [known] = folder.register().devices
            over = Register(devices=(replace(known, expires_at=NOW),))
            archive.use(register=over)
            assert doors.end_unknown() == 1
            with pytest.raises(AssociationAborted):
                await requestor.echo()


@in_loop
async def test_a_new_certificate_is_shown_without_a_restart(tmp_path):
    folder = await asyncio.to_thread(made, tmp_path / "pacs")
    trusted = str(folder.secrets / "authority.pem")
    async with opened(folder) as (_, doors):
        port = ports_of(doors.lines)["https"]
        before = await asyncio.to_thread(ssl.get_server_certificate, (HOST, port), ca_certs=trusted)
        folder.make_certificates(["127.0.0.1"], now=NOW)
        doors.renew()
        after = await asyncio.to_thread(ssl.get_server_certificate, (HOST, port), ca_certs=trusted)
    assert before != after
    assert ssl.PEM_cert_to_DER_cert(after) == ssl.PEM_cert_to_DER_cert(
        folder.vault().read(SERVER).decode()
    )


@in_loop
async def test_legacy_ports_are_those_of_the_settings(tmp_path):
    settings = ephemeral(legacy_port=(LegacyPort(name="old", port=0),))
    folder = await asyncio.to_thread(made, tmp_path / "pacs", settings)
    async with opened(folder) as (archive, doors):
        ports = ports_of(doors.lines)
        assert archive.services.legacy_ports == {ports["old"]: "old"}
        assert "unencrypted" in doors.lines[1]


@in_loop
async def test_a_door_that_is_not_wanted_is_not_opened(tmp_path):
    settings = ephemeral()
    settings = replace(settings, https=replace(settings.https, addresses=()))
    folder = await asyncio.to_thread(made, tmp_path / "pacs", settings)
    async with opened(folder) as (_, doors):
        assert list(ports_of(doors.lines)) == ["dicom"]


@pytest.mark.parametrize("door", ["dicom", "https"])
@in_loop
async def test_a_port_that_is_taken_is_named_by_its_setting(tmp_path, door):
    with socket.create_server((HOST, 0)) as other:
        settings = ephemeral()
        taken = replace(getattr(settings, door), port=other.getsockname()[1])
        settings = replace(settings, **{door: taken})
        folder = await asyncio.to_thread(made, tmp_path / "pacs", settings)
        with pytest.raises((ConfigError, ExceptionGroup)) as caught:
            async with opened(folder):
                pass
    error = caught.value
    while isinstance(error, ExceptionGroup):
        (error,) = error.exceptions
    assert isinstance(error, ConfigError)
    assert error.field == f"{door}.port"


@in_loop
async def test_one_login_stands_behind_both_doors_where_user_identities_are_taken(tmp_path):
    settings = ephemeral()
    settings = replace(settings, dicom=replace(settings.dicom, user_identity=True))
    folder = await asyncio.to_thread(made, tmp_path / "pacs", settings)
    nobody = ssl.create_default_context(cafile=str(folder.secrets / "authority.pem"))
    async with opened(folder, takes_user_identity=True) as (archive, doors):
        assert archive.services.callers.identify_user is not None
        port = ports_of(doors.lines)["dicom"]
        with pytest.raises(AssociationRejected):  # TLS lets it through, and then it shows nothing
            await echo(port, nobody)


@in_loop
async def test_without_the_setting_nobody_is_asked_for_a_user_identity(tmp_path):
    folder = await asyncio.to_thread(made, tmp_path / "pacs")
    nobody = ssl.create_default_context(cafile=str(folder.secrets / "authority.pem"))
    async with opened(folder) as (archive, doors):
        assert archive.services.callers.identify_user is None
        with pytest.raises((TransportError, AssociationAborted)):
            await echo(ports_of(doors.lines)["dicom"], nobody)


@in_loop
async def test_no_door_waits_for_the_other_to_drain(tmp_path):
    folder = await asyncio.to_thread(made, tmp_path / "pacs")
    tls = calling_context(ct1(folder), tmp_path / "bundle")
    async with opened(folder, replace(DEFAULT_LIMITS, drain_s=10.0)) as (_, doors):
        ports = ports_of(doors.lines)
        _, hanging = await asyncio.open_connection(HOST, ports["https"], ssl=tls)
        kind = b'content-type: multipart/related; type="application/dicom"; boundary=x'
        lines = [b"POST /dicom-web/studies HTTP/1.1", b"host: 127.0.0.1", kind]
        hanging.write(b"\r\n".join([*lines, b"content-length: 900", b"", b"--x\r\n"]))
        await until(lambda: sum(one.requests for one in doors._https) == 1)
        draining = asyncio.ensure_future(doors.drain())
        for _ in range(9):
            await asyncio.sleep(0)  # until both have stopped listening
        with pytest.raises(TransportError):
            await echo(ports["dicom"], tls)
        assert not draining.done()
        hanging.close()
        await draining
