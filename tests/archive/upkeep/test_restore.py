"""A backup comes back as it was, or what is not as it was is named."""

import asyncio
import json
import sqlite3
from contextlib import closing
from datetime import UTC, datetime

import pytest

import archives
from doorward.access.journal.record import Event
from doorward.access.vault import Vault
from doorward.archive.commitment.messages import Reference
from doorward.archive.commitment.transactions import Transactions, Waiting
from doorward.archive.upkeep.backup import MARK, backup
from doorward.archive.upkeep.restore import restore
from doorward.archive.upkeep.verify import verify
from doorward.errors import ConfigError, StorageFull
from loopback import limits
from upkept import answered, blobs, filled, flipped, some

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


@pytest.fixture
def folder(tmp_path):
    return filled(tmp_path / "archive", some(4))


@pytest.fixture
def saved(folder, tmp_path):
    (folder / "doorward.toml").write_text("# settings\n")
    asyncio.run(backup(folder, tmp_path / "saved", now=NOW))
    return tmp_path / "saved"


def back(saved, to, **named):
    return asyncio.run(restore(saved, to, **named))


def test_what_comes_back_answers_as_before_and_shares_nothing_with_the_backup(
    folder, saved, tmp_path
):
    said = answered(folder)

    found = back(saved, tmp_path / "back")

    assert (found.instances, found.blobs, found.missing) == (4, 4, 0)
    assert found.is_journal_whole
    assert not found.has_secrets
    assert asyncio.run(verify(tmp_path / "back")).is_whole
    assert answered(tmp_path / "back") == said
    assert (tmp_path / "back" / "doorward.toml").read_text() == "# settings\n"
    there = blobs(tmp_path / "back")
    assert all(path.stat().st_nlink == 1 for path in there.values())
    notes = [r.entry for r in archives.records(tmp_path / "back") if r.entry.event is Event.UPKEEP]
    assert [(note.subject, note.reason) for note in notes] == [
        ("restore", f"of {NOW.isoformat()}, 0 missing")
    ]


def test_secrets_come_back_for_the_owner_alone(folder, tmp_path):
    Vault.create(folder / "secrets").add("key.pem", b"secret")
    asyncio.run(backup(folder, tmp_path / "saved", now=NOW, with_secrets=True))

    assert back(tmp_path / "saved", tmp_path / "back").has_secrets
    assert Vault(tmp_path / "back" / "secrets").read("key.pem") == b"secret"


def test_a_restored_archive_can_be_saved_where_it_came_from(saved, tmp_path):
    back(saved, tmp_path / "back")
    made = asyncio.run(backup(tmp_path / "back", saved, now=NOW))
    assert (made.already, made.missing) == (4, 0)


def test_a_folder_that_holds_something_is_left_alone(saved, tmp_path):
    to = tmp_path / "back"
    to.mkdir()
    (to / "mine").write_text("mine")
    with pytest.raises(ConfigError, match="not empty"):
        back(saved, to)
    assert [path.name for path in to.iterdir()] == ["mine"]


def test_a_damaged_blob_does_not_come_back_and_is_named(saved, tmp_path):
    name, path = next(iter(blobs(saved).items()))
    flipped(path)

    found = back(saved, tmp_path / "back")

    assert (found.missing, found.blobs, found.instances) == (1, 3, 4)
    assert [one.digest for one in found.missing_named] == [name]
    assert name not in blobs(tmp_path / "back")


def test_a_broken_journal_is_said(saved, tmp_path):
    [segment] = (saved / "journal").glob("*.journal")
    content = segment.read_bytes()
    segment.write_bytes(content.replace(b'"identity":"ct1"', b'"identity":"ct2"', 1))
    assert not back(saved, tmp_path / "back").is_journal_whole


def test_what_is_no_backup_or_not_finished_or_newer_is_refused(folder, saved, tmp_path):
    with pytest.raises(ConfigError, match="is no backup"):
        back(folder, tmp_path / "back")
    mark = json.loads((saved / MARK).read_text())
    (saved / MARK).write_text(json.dumps(mark | {"is_complete": False}))
    with pytest.raises(ConfigError, match="never finished"):
        back(saved, tmp_path / "back")
    (saved / MARK).write_text(json.dumps(mark))
    with closing(sqlite3.connect(saved / "index")) as connection:
        connection.execute("PRAGMA user_version = 99")
    with pytest.raises(ConfigError, match="version 99"):
        back(saved, tmp_path / "back")


def test_a_restore_that_was_broken_off_is_no_archive_and_goes_on(saved, tmp_path):
    to = tmp_path / "back"

    def broken_off(count):
        if count == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        back(saved, to, progress=broken_off)
    with pytest.raises(ConfigError, match="index is missing"):
        answered(to)
    found = back(saved, to)

    assert (found.instances, found.missing) == (4, 0)
    assert asyncio.run(verify(to)).is_whole
    assert not (to / "restoring.json").exists()


def test_a_disk_without_room_is_said_and_the_backup_is_as_it_was(saved, tmp_path):
    before = sorted(blobs(saved))
    with pytest.raises(StorageFull):
        back(saved, tmp_path / "back", limits=limits(blob_reserve_bytes=1 << 60))
    assert sorted(blobs(saved)) == before
    assert back(saved, tmp_path / "back").instances == 4


def test_requests_for_commitment_come_back_and_are_reported_then(folder, tmp_path):
    waiting = Waiting(
        transaction_uid="2.25.7",
        identity="ct1",
        how="certificate",
        calling_ae_title="CT1",
        peer="127.0.0.1",
        asked_at=1.0,
        count=1,
    )
    references = (Reference("1.2.840.10008.5.1.4.1.1.2", "2.25.1"),)
    asked = Transactions(folder / "commitments")
    asked.open()
    assert asked.add(waiting, references)
    asyncio.run(backup(folder, tmp_path / "saved", now=NOW))

    back(tmp_path / "saved", tmp_path / "back")

    found = Transactions(tmp_path / "back" / "commitments")
    found.open()
    assert list(found) == [waiting]
    assert found.references(waiting) == references
