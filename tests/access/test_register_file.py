"""What the register's file says is what is known, or the whole file is refused."""

import json
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doorward.access.identity import Device, Operation, Person, Register, Role, Service
from doorward.access.register_file import FORMAT, from_bytes, to_bytes
from doorward.errors import ConfigError
from loopback import limits

END = datetime(2026, 12, 31, 18, tzinfo=timezone(timedelta(hours=1)))
REGISTER = Register(
    devices=(
        Device(
            name="ct1",
            role=Role.MODALITY,
            site="north",
            ae_titles=("CT1", "CT1B"),
            fingerprints=("ab" * 32, "cd" * 32),
        ),
        Device(
            name="old",
            role=Role.MODALITY,
            ae_titles=("OLD",),
            addresses=("10.0.0.7",),
            legacy_port="plain",
        ),
        Device(name="mover", role=Role.MIGRATION, expires_at=END),
    ),
    persons=(Person(name="ada", role=Role.ADMINISTRATOR, also=(Role.READER,), expires_at=END),),
    services=(
        Service(name="viewer", role=Role.WORKSTATION, scope=frozenset({Operation.QUERY})),
        Service(name="mute", role=Role.WORKSTATION, scope=frozenset()),
        Service(name="backup", role=Role.WORKSTATION, ae_titles=("BACKUP",)),
    ),
)


def document(**changes):
    return json.loads(to_bytes(REGISTER)) | changes


def test_a_register_comes_back_as_it_was():
    assert from_bytes(to_bytes(REGISTER)) == REGISTER
    assert from_bytes(to_bytes(Register())) == Register()


def test_a_scope_of_nothing_is_not_a_scope_of_everything():
    found = {one.name: one.scope for one in from_bytes(to_bytes(REGISTER)).services}
    assert found["mute"] == frozenset()
    assert found["backup"] is None


def test_times_keep_their_moment_and_their_zone():
    person = from_bytes(to_bytes(REGISTER)).persons[0]
    assert person.expires_at == END
    assert person.expires_at.tzinfo is UTC


def test_a_newer_version_is_refused_with_what_to_do():
    with pytest.raises(ConfigError, match="version 2") as caught:
        from_bytes(json.dumps(document(format="doorward.register/2")).encode())
    assert "newer program" in caught.value.hint


@pytest.mark.parametrize(
    "broken",
    (
        document(format="doorward.register/0"),
        document(format="something/1"),
        document(format=None),
        document(guests=[]),
        document(devices={}),
        document(devices=[{"name": "x"}]),
        document(devices=["ct1"]),
        document(devices=[{"name": "x", "role": "modality", "colour": "red"}]),
        document(devices=[{"name": "x", "role": "modality", "ae_titles": "CT1"}]),
        document(devices=[{"name": "x", "role": "modality", "ae_titles": [1]}]),
        document(devices=[{"name": 1, "role": "modality"}]),
        document(devices=[{"name": "x", "role": "reader"}]),
        document(devices=[{"name": "x", "role": "modality", "expires_at": "soon"}]),
        document(devices=[{"name": "x", "role": "modality", "expires_at": 5}]),
        document(devices=[{"name": "x", "role": "modality", "expires_at": "2026-12-31"}]),
        document(services=[{"name": "x", "role": "workstation", "scope": ["everything"]}]),
        document(persons=document()["persons"] * 2),
        {"format": FORMAT},
        [],
    ),
)
def test_what_is_strange_refuses_the_whole_register(broken):
    with pytest.raises(ConfigError):
        from_bytes(json.dumps(broken).encode())


def test_a_register_that_is_too_long_is_refused():
    rows = [{"name": f"d{number}", "role": "modality"} for number in range(4)]
    with pytest.raises(ConfigError, match="too long"):
        from_bytes(json.dumps(document(devices=rows)).encode(), limits=limits(register_entries=3))


@given(st.binary(max_size=60))
def test_anything_else_is_refused_and_nothing_else_happens(content):
    with pytest.raises(ConfigError):
        from_bytes(content)


def test_deep_nesting_is_refused():
    with pytest.raises(ConfigError):
        from_bytes(b"[" * 100_000)
