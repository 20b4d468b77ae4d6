"""A value in a vault: what others write is seen at the next look, and what is damaged lets nobody in."""

from dataclasses import replace
from pathlib import Path

import pytest

from doorward.access.kept import Kept
from doorward.access.vault import Vault
from doorward.errors import ConfigError
from doorward.limits import DEFAULT_LIMITS


def number(content: bytes) -> int:
    """Read a number."""
    try:
        return int(content)
    except ValueError:
        raise ConfigError("is no number", field="number") from None


@pytest.fixture
def vault(tmp_path: Path) -> Vault:
    return Vault.create(tmp_path / "secrets")


def kept(vault: Vault) -> Kept[int]:
    return Kept(vault, "number", read=number, empty=0)


def test_nothing_is_the_empty_value(vault: Vault) -> None:
    assert kept(vault).value() == 0


def test_change_by_somebody_else_is_seen_at_once(vault: Vault) -> None:
    ours = kept(vault)
    seen = []
    for content in (b"1", b"2", b"3"):
        vault.write("number", content)
        seen.append(ours.value())
    vault.remove("number")
    assert [*seen, ours.value()] == [1, 2, 3, 0]


def test_unchanged_file_is_read_once(vault: Vault) -> None:
    read = []
    vault.write("number", b"7")
    ours = Kept(
        vault, "number", read=lambda content: read.append(content) or number(content), empty=0
    )
    assert [ours.value() for _ in range(5)] == [7] * 5
    assert read == [b"7"]


def test_damaged_file_is_as_good_as_none_and_is_told(vault: Vault) -> None:
    ours = kept(vault)
    vault.write("number", b"5")
    assert ours.value() == 5
    vault.write("number", b"five")
    assert ours.value() == 0
    assert ours.fault is not None


def test_file_that_others_can_read_is_as_good_as_none(vault: Vault) -> None:
    ours = kept(vault)
    vault.write("number", b"5")
    (vault.folder / "number").chmod(0o644)
    assert ours.value() == 0
    assert ours.fault is not None


def test_file_that_could_not_be_read_is_tried_again_a_moment_later(vault: Vault) -> None:
    now = [0.0]
    tried = []
    bounds = replace(DEFAULT_LIMITS, secret_retry_s=1.0)

    def read(content: bytes) -> int:
        tried.append(now[0])
        return number(content)

    ours = Kept(vault, "number", read=read, empty=0, clock=lambda: now[0], limits=bounds)
    vault.write("number", b"5")
    assert ours.value() == 5
    (vault.folder / "number").write_bytes(b"five")
    seen = []
    for now[0] in (1.0, 1.5, 2.0):
        seen.append(ours.value())
    (vault.folder / "number").chmod(0o644)  # changes neither its time nor its size
    seen.append(ours.value())
    for now[0] in (3.0, 3.5):
        seen.append(ours.value())
    (vault.folder / "number").chmod(0o600)
    assert (seen, ours.fault is None) == ([0] * 6, False)
    assert tried == [0.0, 1.0, 2.0]


def test_value_is_there_again_when_its_file_can_be_read_again(vault: Vault) -> None:
    now = [0.0]
    vault.write("number", b"5")
    ours = Kept(vault, "number", read=number, empty=0, clock=lambda: now[0])
    (vault.folder / "number").chmod(0o644)
    assert (ours.value(), ours.fault is None) == (0, False)
    (vault.folder / "number").chmod(0o600)
    now[0] += DEFAULT_LIMITS.secret_retry_s
    assert (ours.value(), ours.fault) == (5, None)


def test_update_changes_what_stands_there_now(vault: Vault) -> None:
    ours = kept(vault)
    vault.write("number", b"5")
    assert ours.update(lambda value: (value + 1, str(value + 1).encode())) == 6
    assert vault.read("number") == b"6"
    assert ours.value() == 6


def test_update_that_fails_leaves_all_as_it_was(vault: Vault) -> None:
    ours = kept(vault)
    vault.write("number", b"five")
    with pytest.raises(ConfigError):
        ours.update(lambda value: (value, b""))
    assert vault.read("number") == b"five"
