"""The folder of a set-up: everything for a first start, for its owner alone, and rights that are no wider than needed."""

import stat
from datetime import UTC, datetime

import pytest

from doorward.audit.sensors.config import load_coordinator_config, load_sensor_config
from doorward.audit.sensors.setup import init
from doorward.errors import ConfigError

NOW = datetime(2026, 11, 1, tzinfo=UTC)
SENSORS = {"north": ("10.1.0.0/16", "2001:db8::/32"), "south": ()}


def test_everything_can_be_read_by_its_owner_alone(tmp_path):
    written = init(tmp_path / "nats", SENSORS, ["nats.example"], now=NOW)
    modes = {stat.S_IMODE(file.stat().st_mode) for file in written.folder.iterdir()}
    assert modes == {0o600}
    assert stat.S_IMODE(written.folder.stat().st_mode) == 0o700


def test_the_files_can_be_loaded_as_they_are(tmp_path):
    written = init(tmp_path / "nats", SENSORS, ["nats.example", "2001:db8::1"], now=NOW, port=4333)
    sensor = load_sensor_config(written.sensors["north"])
    assert sensor.name == "north"
    assert sensor.servers == ("tls://nats.example:4333", "tls://[2001:db8::1]:4333")
    coordinator = load_coordinator_config(written.coordinator)
    asked = ("10.1.2.3", "2001:db8::9", "192.0.2.1")
    assert [coordinator.routes.sensor(one) for one in asked] == ["north", "north", "south"]


def test_a_sensor_may_do_what_it_needs_and_nothing_else(tmp_path):
    conf = init(tmp_path / "nats", SENSORS, ["nats.example"], now=NOW).server.read_text()
    _, _, north = conf.partition('user: "CN=sensor-north"')
    north = north.partition("user:")[0]
    assert '"doorward.facts.north.>"' in north
    assert '"$JS.API.CONSUMER.MSG.NEXT.DOORWARD_WORK.north"' in north
    assert 'subscribe: { allow: ["_INBOX_north.>"] }' in north
    assert "south" not in north
    assert "$JS.API.>" not in north
    assert "doorward.work" not in north
    assert "verify_and_map: true" in conf


def test_the_authority_s_own_key_is_not_kept(tmp_path):
    written = init(tmp_path / "nats", SENSORS, ["nats.example"], now=NOW)
    keys = {file.name for file in written.folder.iterdir() if b"PRIVATE" in file.read_bytes()}
    clients = {f"{who}-key.pem" for who in ("coordinator", "sensor-north", "sensor-south")}
    assert keys == clients | {"server-key.pem"}


@pytest.mark.parametrize(
    ("hosts", "listen"),
    (
        (["10.0.0.1"], '"10.0.0.1:4222"'),
        (["2001:db8::1"], '"[2001:db8::1]:4222"'),
        (["nats.example"], '"0.0.0.0:4222"'),
        (["10.0.0.1", "10.0.0.2"], '"0.0.0.0:4222"'),
    ),
)
def test_a_server_with_one_address_listens_there_alone(tmp_path, hosts, listen):
    conf = init(tmp_path / "nats", SENSORS, hosts, now=NOW).server.read_text()
    assert f"listen: {listen}" in conf


@pytest.mark.parametrize(
    ("sensors", "hosts", "words"),
    (
        ({}, ["h"], "needs a sensor"),
        ({"a": ()}, [], "needs a sensor"),
        ({"coordinator": ()}, ["h"], "no name for a sensor"),
        ({"a.b": ()}, ["h"], "no name for a sensor"),
        ({"a>": ()}, ["h"], "no name for a sensor"),
        ({"a": ("10.0.0.1/8",)}, ["h"], "no network"),
        ({"a": (), "b": ()}, ["h"], "two sensors"),
        ({"a": ()}, ['h" }'], "no host name"),
    ),
)
def test_what_cannot_be_is_refused_before_anything_is_written(tmp_path, sensors, hosts, words):
    with pytest.raises(ConfigError, match=words):
        init(tmp_path / "nats", sensors, hosts, now=NOW)
    assert not (tmp_path / "nats").exists()


def test_a_folder_that_holds_something_is_left_alone(tmp_path):
    init(tmp_path / "nats", SENSORS, ["nats.example"], now=NOW)
    before = (tmp_path / "nats" / "ca.pem").read_bytes()
    with pytest.raises(ConfigError, match="holds something already"):
        init(tmp_path / "nats", SENSORS, ["nats.example"], now=NOW)
    assert (tmp_path / "nats" / "ca.pem").read_bytes() == before


def test_a_folder_that_cannot_be_made_says_so(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="cannot be made"):
        init(tmp_path / "file" / "nats", SENSORS, ["nats.example"], now=NOW)
