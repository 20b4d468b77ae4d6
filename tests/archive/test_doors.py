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
from doorward.archive.archive import Archive
from doorward.archive.devices import revoke_device
from doorward.archive.doors import Doors
from doorward.archive.folder import SERVER
from doorward.archive.settings import LegacyPort
from doorward.archive.starting import prepare
from doorward.errors import AssociationAborted, ConfigError, DoorwardError
from doorward.limits import DEFAULT_LIMITS
from doorward.net.client import associate
from loopback import OpenGate, in_loop


@asynccontextmanager
async def opened(folder):
    start = await asyncio.to_thread(prepare, folder, now=NOW)
    archive = await Archive.open(folder.path, register=start.register, rules=start.settings.rules)
    try:
        async with Doors.opened(folder, start.settings, archive, DEFAULT_LIMITS) as doors:
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
