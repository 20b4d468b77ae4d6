"""sensor.toml and coordinator.toml: what they may say, and errors that name file and field."""

from ipaddress import ip_network
from pathlib import Path

import pytest

from doorward.audit.sensors.config import (
    Routes,
    load_coordinator_config,
    load_sensor_config,
)
from doorward.errors import ConfigError

NATS = """\
[nats]
servers = ["tls://nats.example:4222"]
name = "north"
ca = "ca.pem"
certificate = "north.pem"
key = "north-key.pem"
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("ca.pem", "north.pem", "north-key.pem", "password"):
        (tmp_path / name).write_text("secret of north\n")
        (tmp_path / name).chmod(0o600)
    return tmp_path


def written(folder: Path, text: str) -> Path:
    file = folder / "own.toml"
    file.write_text(text)
    return file


def wrong(folder: Path, text: str, load=load_sensor_config) -> ConfigError:
    with pytest.raises(ConfigError) as error:
        load(written(folder, text))
    assert error.value.file == folder / "own.toml"
    return error.value


def test_files_are_looked_for_beside_the_file_that_names_them(folder):
    config = load_sensor_config(written(folder, NATS))
    assert config.ca == folder / "ca.pem"
    assert config.key == folder / "north-key.pem"
    assert config.servers == ("tls://nats.example:4222",)
    assert (config.name, config.lease_s) == ("north", 30.0)


def test_a_password_is_read_and_never_shown(folder):
    text = NATS.partition("certificate")[0] + 'user = "north"\npassword_file = "password"\n'
    config = load_sensor_config(written(folder, text))
    assert (config.user, config.password) == ("north", "secret of north")
    assert "secret" not in repr(config)


@pytest.mark.parametrize("name", ("north-key.pem", "password"))
def test_a_secret_that_others_can_read_is_refused(folder, name):
    (folder / name).chmod(0o640)
    text = NATS + 'user = "north"\npassword_file = "password"\n'
    error = wrong(folder, text)
    assert error.field == {"password": "nats.password_file"}.get(name, "nats.key")
    assert "can be read by others" in str(error)
    assert error.hint.startswith("chmod 600")
    assert "secret of north" not in str(error)


@pytest.mark.parametrize(
    ("field", "old", "new"),
    (
        ("nats.name", 'name = "north"\n', ""),
        ("nats.name", '"north"', '"a.b"'),
        ("nats.name", '"north"', '">"'),
        ("nats.name", '"north"', '"coordinator"'),
        ("nats.servers", '"tls://nats.example:4222"', ""),
        ("nats.servers", "tls://nats.example:4222", "nats.example"),
        ("nats.servers", "tls://nats.example:4222", "nats://nats.example:4222"),
        ("nats.servers", "tls://nats.example:4222", "tls://me:secret@nats.example"),
        ("nats.servers", "tls://nats.example:4222", "tls://nats.example:99999"),
        ("nats.ca", "ca.pem", "gone.pem"),
        ("nats.key", 'key = "north-key.pem"\n', ""),
        ("nats.certificate", 'certificate = "north.pem"\n', ""),
        ("nats.certificate", 'certificate = "north.pem"\nkey = "north-key.pem"\n', ""),
        ("nats.mood", "[nats]", "[nats]\nmood = 1"),
        ("nats.plain", "[nats]", '[nats]\nplain = "yes"'),
        ("nats.lease_s", "[nats]", "[nats]\nlease_s = 0"),
        ("nats.user", "[nats]", '[nats]\npassword_file = "password"'),
        ("nats.password_file", "[nats]", '[nats]\nuser = "north"'),
        ("nats", "[nats]", "[nuts]"),
        ("routes", "[nats]", "[routes]\n[nats]"),
    ),
)
def test_what_is_wrong_is_named_by_its_field(folder, field, old, new):
    assert old in NATS
    error = wrong(folder, NATS.replace(old, new))
    assert error.field in (field, "nuts")
    assert "me:secret" not in str(error)


def test_text_that_is_no_toml_says_so(folder):
    assert "not valid TOML" in str(wrong(folder, "[nats"))


@pytest.mark.parametrize("server", ("127.0.0.1:4222", "localhost", "[::1]:4222"))
def test_without_tls_only_on_this_machine_and_only_when_said(folder, server):
    plain = NATS.replace("tls://nats.example:4222", f"nats://{server}")
    assert "plain = true" in wrong(folder, plain).hint
    config = load_sensor_config(written(folder, plain.replace("[nats]", "[nats]\nplain = true")))
    assert config.is_plain


def test_without_tls_nowhere_else(folder):
    plain = NATS.replace("tls://", "nats://").replace("[nats]", "[nats]\nplain = true")
    assert "on this machine" in str(wrong(folder, plain))


# --- routes -----------------------------------------------------------------------------------------------------------


def test_the_longest_prefix_wins_and_default_takes_the_rest(folder):
    text = NATS + '[routes]\n"10.0.0.0/8" = "all"\n"10.1.0.0/16" = "north"\ndefault = "south"\n'
    routes = load_coordinator_config(written(folder, text)).routes
    asked = ("10.1.2.3", "10.2.2.3", "192.0.2.1", "2001:db8::1")
    assert [routes.sensor(one) for one in asked] == ["north", "all", "south", "south"]
    assert routes.sensors == ("all", "north", "south")


def test_an_address_without_a_route_is_an_error_with_its_file():
    routes = Routes(networks=((ip_network("10.0.0.0/8"), "north"),), file=Path("c.toml"))
    routes.require(["10.1.1.1", "name.that.was.not.resolved"])
    with pytest.raises(ConfigError, match=r"responsible for 192\.0\.2\.1") as error:
        routes.require(["10.1.1.1", "192.0.2.1"])
    assert (error.value.file, error.value.field) == (Path("c.toml"), "routes")


@pytest.mark.parametrize(
    ("routes", "field"),
    (
        ("", "routes"),
        ("[routes]\n", "routes"),
        ('[routes]\n"10.0.0.1/8" = "north"\n', "routes.10.0.0.1/8"),
        ('[routes]\nnowhere = "north"\n', "routes.nowhere"),
        ('[routes]\n"10.0.0.0/8" = "a b"\n', "routes.10.0.0.0/8"),
        ("[routes]\ndefault = 1\n", "routes.default"),
    ),
)
def test_routes_that_lead_nowhere_are_named(folder, routes, field):
    assert wrong(folder, NATS + routes, load_coordinator_config).field == field
