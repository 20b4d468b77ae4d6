"""One connection to a real nats-server: who is let in, what each may do, and what a loss does to a caller."""

import asyncio
import json
import socket
from dataclasses import replace
from datetime import UTC, datetime

import nats
import pytest
from nats.errors import TimeoutError as NatsTimeout

from certificates import make_certificates
from doorward.audit.sensors import subjects
from doorward.audit.sensors.config import load_coordinator_config, load_sensor_config
from doorward.audit.sensors.link import Absent, linked
from doorward.audit.sensors.setup import init
from doorward.audit.sensors.subjects import FACTS, WORK
from doorward.errors import ConfigError, ConnectFailed
from doorward.net.tls import client_context
from loopback import HOST, in_loop, until
from sensors import QUICK, nats_server

pytestmark = pytest.mark.peer("nats-server")
SENSORS = {"north": (), "south": ("10.0.0.0/8",)}


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with nats_server(tmp_path_factory.mktemp("link"), SENSORS) as running:
        yield running


def coordinator(server):
    return linked(
        load_coordinator_config(server.files.coordinator).nats, is_patient=False, limits=QUICK
    )


def sensor(server, name="north", said=None, **changes):
    config = replace(load_sensor_config(server.files.sensors[name]), **changes)
    say = [].append if said is None else said.append
    return linked(config, is_patient=False, say=say, limits=QUICK)


async def prepared(link, *sensors, lease_s=30):
    for stream in (WORK, FACTS):
        await link.make_stream(stream)
        await link.api(f"STREAM.PURGE.{stream}", {})
    for name in sensors:
        subject = subjects.work_subject(name, "*", ">")
        await link.make_consumer(WORK, name, subject, lease_s=lease_s, at_a_time=4)


# --- who is let in ----------------------------------------------------------------------------------------------------


async def refused(context) -> ConfigError:
    with pytest.raises(ConfigError) as error:
        async with context:
            pass
    return error.value


@in_loop
async def test_a_certificate_of_another_authority_is_a_clear_error(server, tmp_path):
    """Where the end of the connection overtakes the server's word again and again, it is told as what it may be."""
    stranger = make_certificates(tmp_path).stranger
    named = {"certificate": stranger.certificate_path, "key": stranger.key_path}
    with pytest.raises((ConfigError, ConnectFailed)) as error:
        async with sensor(server, **named):
            pass
    assert "refuses this certificate" in f"{error.value} {error.value.hint}".replace(
        "refused", "refuses"
    )
    if isinstance(error.value, ConfigError):
        assert error.value.field == "nats.certificate"
        assert error.value.file == server.files.sensors["north"]


@in_loop
async def test_a_sensor_that_the_server_does_not_know_is_a_clear_error(tmp_path):
    with nats_server(tmp_path, SENSORS) as other:
        conf = other.files.server.read_text().replace("CN=sensor-north", "CN=sensor-gone")
        other.kill()
        other.files.server.write_text(conf)
        other.start()
        error = await refused(sensor(other))
    assert error.field == "nats.certificate"
    assert "does not know who this is" in str(error)


@in_loop
async def test_a_server_of_another_authority_is_a_clear_error(server, tmp_path):
    other = init(tmp_path / "other", SENSORS, [HOST], now=datetime.now(UTC))
    error = await refused(sensor(server, ca=other.folder / "ca.pem"))
    assert error.field == "nats.ca"


@in_loop
async def test_a_password_where_a_certificate_is_demanded_is_a_clear_error(server):
    """Where the end of the connection overtakes the server's word, it is told as what it may be."""
    wrong = {"certificate": None, "key": None, "user": "north", "password": "secret"}
    with pytest.raises((ConfigError, ConnectFailed)) as error:
        async with sensor(server, **wrong):
            pass
    assert "secret" not in f"{error.value} {error.value.hint}"


@in_loop
async def test_no_server_is_no_connection(server):
    with socket.create_server((HOST, 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(ConnectFailed, match="cannot be reached"):
        async with sensor(server, servers=(f"tls://{HOST}:{port}",)):
            pass


@in_loop
async def test_nothing_is_said_to_a_server_that_does_not_ask_for_tls(server):
    """Whoever sits in between could take "tls_required" out of the server's first line."""
    heard = bytearray()
    info = {"server_id": "x", "version": "2.9.10", "headers": True, "max_payload": 1_048_576}

    async def serve(reader, writer):
        writer.write(b"INFO " + json.dumps(info).encode() + b"\r\n")
        heard.extend(await reader.read())
        writer.close()

    listener = await asyncio.start_server(serve, HOST, 0)
    async with listener:
        port = listener.sockets[0].getsockname()[1]
        where = (f"tls://{HOST}:{port}",)
        named = {"certificate": None, "key": None, "user": "north", "password": "secret"}
        error = await refused(sensor(server, servers=where, **named))
    assert "does not speak TLS" in str(error)
    assert not heard


# --- what each may do -------------------------------------------------------------------------------------------------


async def raw(server, name, **options):
    """nats-py itself with a sensor's credentials: what the server allows, whatever our own code would do."""
    config = load_sensor_config(server.files.sensors[name])
    tls = client_context(authorities=config.ca, certificate=config.certificate, key=config.key)
    errors: list[str] = []

    async def note(error):
        errors.append(str(error))

    options = {"inbox_prefix": f"_INBOX_{name}"} | options
    client = await nats.connect(
        list(config.servers), tls=tls, error_cb=note, allow_reconnect=False, **options
    )
    return client, errors


@in_loop
async def test_a_sensor_cannot_read_the_work_of_another(server):
    async with coordinator(server) as link:
        await prepared(link, "north", "south")
        await link.publish(subjects.work_subject("south", "scan", 1), b"for south alone")
        client, errors = await raw(server, "north")
        got = await client.subscribe("_INBOX_north.mine")
        for subject in (
            f"$JS.API.CONSUMER.MSG.NEXT.{WORK}.south",
            f"$JS.API.STREAM.MSG.GET.{WORK}",
            f"$JS.API.DIRECT.GET.{WORK}",
            f"$JS.API.CONSUMER.DURABLE.CREATE.{WORK}.thief",
            f"$JS.API.STREAM.INFO.{WORK}",
        ):
            errors.clear()
            body = json.dumps({"batch": 1, "seq": 1}).encode()
            await client.publish(subject, body, reply="_INBOX_north.mine")
            await client.flush()
            await until(lambda: any("permissions violation" in error for error in errors))
        with pytest.raises(NatsTimeout):
            await got.next_msg(timeout=0.1)
        for subject in ("doorward.work.>", "doorward.>", ">", "_INBOX_south.>", "doorward.facts.>"):
            errors.clear()
            await client.subscribe(subject)
            await client.flush()
            await until(lambda: any("permissions violation" in error for error in errors))
        await client.close()
        assert await link.subjects(WORK, "doorward.work.>") == {"doorward.work.south.scan.1"}


@in_loop
async def test_a_sensor_cannot_answer_for_another_or_hand_out_work(server):
    async with coordinator(server) as link:
        await prepared(link, "north", "south")
        client, errors = await raw(server, "north")
        for subject in (
            "doorward.facts.south.scan.1",
            "doorward.work.north.scan.1",
            f"$JS.ACK.{WORK}.south.1.1.1.1.1",
            f"$JS.ACK.{FACTS}.scan.1.1.1.1.1",
        ):
            errors.clear()
            await client.publish(subject, b"forged")
            await client.flush()
            await until(lambda: any("permissions violation" in error for error in errors))
        await client.publish("doorward.facts.north.scan.1", b"its own")
        await client.flush()
        await client.close()
        assert await link.subjects(FACTS, "doorward.facts.>") == {"doorward.facts.north.scan.1"}


@in_loop
async def test_a_sensor_that_tries_too_much_is_told(server):
    said: list[str] = []
    async with sensor(server, said=said) as link:
        with pytest.raises(Exception, match="did not answer"):
            await link.api(f"STREAM.INFO.{WORK}")
    assert any("does not allow it" in line for line in said)


@in_loop
async def test_nobody_without_a_certificate_is_served(server):
    config = load_sensor_config(server.files.sensors["north"])
    with pytest.raises((OSError, nats.errors.Error)):
        await nats.connect(
            list(config.servers),
            tls=client_context(authorities=config.ca),
            allow_reconnect=False,
            max_reconnect_attempts=1,
            reconnect_time_wait=0,
            error_cb=_nothing,
        )


async def _nothing(_):
    pass


# --- messages ---------------------------------------------------------------------------------------------------------


@in_loop
async def test_a_subject_takes_one_message_until_that_is_acknowledged(server):
    async with coordinator(server) as link, sensor(server) as north:
        await prepared(link, "north")
        subject = subjects.work_subject("north", "scan", 5)
        assert await link.publish(subject, b"first") is not None
        assert await link.publish(subject, b"second") is None
        delivery = await north.pull(WORK, "north")
        assert (delivery.subject, delivery.content) == (subject, b"first")
        assert await link.publish(subject, b"third") is None
        await north.acknowledge(delivery)
        while await link.publish(subject, b"fourth") is None:
            pass
        assert (await north.pull(WORK, "north")).content == b"fourth"


@in_loop
async def test_what_is_given_back_comes_again_at_once(server):
    async with coordinator(server) as link, sensor(server) as north:
        await prepared(link, "north", lease_s=3600)
        await link.publish(subjects.work_subject("north", "scan", 1), b"work")
        await north.give_back(await north.pull(WORK, "north"))
        assert (await north.pull(WORK, "north")).content == b"work"


@in_loop
async def test_a_lease_that_is_not_renewed_ends(server):
    async with coordinator(server) as link, sensor(server) as north:
        await prepared(link, "north", lease_s=0.5)
        await link.publish(subjects.work_subject("north", "scan", 1), b"work")
        assert await north.pull(WORK, "north") is not None
        while await north.pull(WORK, "north") is None:
            pass


@in_loop
async def test_who_does_not_wait_any_more_loses_nothing(server):
    """However the end of the wait and the message meet, somebody else gets it at once."""
    async with coordinator(server) as link, sensor(server) as north:
        await prepared(link, "north", lease_s=3600)
        for number in range(30):
            pull = asyncio.ensure_future(north.pull(WORK, "north"))
            for _ in range(number):
                await asyncio.sleep(0.0003)
            await link.publish(subjects.work_subject("north", "scan", number), b"work")
            for _ in range(number % 5):
                await asyncio.sleep(0)
            pull.cancel()
            await asyncio.wait([pull])
            got = None if pull.cancelled() else pull.result()
            while got is None:
                got = await north.pull(WORK, "north")
            assert got.subject.endswith(f".{number}")
            await north.acknowledge(got)


@in_loop
async def test_a_server_without_jetstream_is_told_apart_from_one_without_work(tmp_path):
    with nats_server(tmp_path) as other:
        conf = other.files.server.read_text()
        other.kill()
        head, _, tail = conf.partition("jetstream {")
        other.files.server.write_text(head + tail.partition("}")[2])
        other.start()
        async with sensor(other) as north, coordinator(other) as link:
            with pytest.raises(Absent):
                await north.pull(WORK, "north")
            with pytest.raises(Absent):
                await link.make_stream(WORK)


@in_loop
async def test_a_stream_of_another_shape_is_left_alone_and_named(server):
    async with coordinator(server) as link:
        try:
            await link.api(f"STREAM.DELETE.{WORK}")
        except Absent:
            pass
        await link.api(
            f"STREAM.CREATE.{WORK}",
            {"name": WORK, "subjects": ["doorward.work.>"], "retention": "limits"},
        )
        with pytest.raises(ConfigError, match="has another retention"):
            await link.make_stream(WORK)
        await link.api(f"STREAM.DELETE.{WORK}")
        with pytest.raises(Absent):
            await link.publish(subjects.work_subject("north", "scan", 1), b"")


@in_loop
async def test_a_client_that_gave_up_is_replaced(server):
    said: list[str] = []
    async with sensor(server, said=said) as north, coordinator(server) as link:
        await prepared(link, "north")
        await north._client.close()
        await link.publish(subjects.work_subject("north", "scan", 1), b"work")
        assert (await north.pull(WORK, "north")).content == b"work"
