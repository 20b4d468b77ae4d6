"""Small files, secrets and journals: copied whole, and never over a copy that is worth more."""

import shutil

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from doorward.access.journal.reading import show
from doorward.access.journal.segments import ANCHOR, read_anchor, segment_paths
from doorward.access.journal.verify import verify
from doorward.access.vault import Vault
from doorward.archive.upkeep.copying import (
    copy_commitments,
    copy_journal,
    copy_secrets,
    make_folder,
    read_small,
    write_small,
)
from doorward.errors import ConfigError, LimitExceeded, StorageError
from journals import stored, written
from loopback import limits


def numbers(folder):
    return [record.sequence for record in show(folder)]


def test_a_journal_grows_in_its_copy(tmp_path):
    source, to = tmp_path / "journal", tmp_path / "copy"
    small = limits(journal_segment_bytes=1_000)
    for upto in (3, 9, 9, 20):
        written(source, [stored(n) for n in range(len(numbers(source)), upto)], limits=small)

        head = copy_journal(source, to, limits())

        assert head.sequence == upto
        assert numbers(to) == numbers(source)
        assert verify(to).is_whole
        assert read_anchor(to / ANCHOR) == head
    assert len(segment_paths(to)) > 2


@given(st.integers(1, 400), st.integers(0, 3))
@settings(max_examples=25, deadline=None)
def test_a_copy_made_while_a_record_is_written_is_whole(tmp_path_factory, cut, synced):
    """The anchor names what is on disk; after it stand records that may still change, and half of one."""
    tmp_path = tmp_path_factory.mktemp("copy")
    source, to = tmp_path / "journal", tmp_path / "to"
    records = written(source, [stored(number) for number in range(4)])
    anchor = f"{synced:020d} {records[synced - 1].digest if synced else '0' * 64}\n"
    (source / ANCHOR).write_text(anchor)
    [segment] = segment_paths(source)
    content = segment.read_bytes()
    segment.write_bytes(content[: max(content.index(b"\n") + 1, len(content) - cut)])

    head = copy_journal(source, to, limits())

    assert head.sequence <= synced
    assert verify(to).is_whole
    assert verify(to).unfinished_bytes == 0
    segment.write_bytes(content)
    (source / ANCHOR).write_text(f"{4:020d} {records[3].digest}\n")
    assert copy_journal(source, to, limits()).sequence == 4


def test_a_journal_that_was_changed_since_is_not_copied_over_what_was_saved(tmp_path):
    source, to = tmp_path / "journal", tmp_path / "copy"
    written(source, [stored(number) for number in range(5)])
    copy_journal(source, to, limits())
    saved = {path.name: path.read_bytes() for path in to.iterdir()}
    shutil.rmtree(source)
    written(source, [stored(number, identity="ct2") for number in range(8)])

    with pytest.raises(ConfigError, match="not the journal that was saved before"):
        copy_journal(source, to, limits())

    assert {path.name: path.read_bytes() for path in to.iterdir()} == saved


def test_a_journal_that_was_cut_short_is_not_copied_over_what_was_saved(tmp_path):
    source, to = tmp_path / "journal", tmp_path / "copy"
    written(source, [stored(number) for number in range(5)])
    copy_journal(source, to, limits())
    [segment] = segment_paths(source)
    segment.write_bytes(segment.read_bytes()[:-10])

    with pytest.raises(ConfigError, match="record 5 was truncated"):
        copy_journal(source, to, limits())
    assert numbers(to) == [1, 2, 3, 4, 5]


def test_a_journal_without_records_can_be_copied(tmp_path):
    written(tmp_path / "journal", [])
    assert copy_journal(tmp_path / "journal", tmp_path / "copy", limits()).sequence == 0
    assert verify(tmp_path / "copy").is_whole


def test_secrets_are_copied_for_the_owner_alone_and_revoked_ones_go(tmp_path):
    vault = Vault.create(tmp_path / "secrets")
    vault.add("one", b"1")
    vault.add("two", b"2")
    assert copy_secrets(tmp_path / "secrets", tmp_path / "copy") == 2
    vault.remove("one")
    vault.write("two", b"22")

    assert copy_secrets(tmp_path / "secrets", tmp_path / "copy") == 1

    copy = Vault(tmp_path / "copy")
    assert {name: copy.read(name) for name in copy.names()} == {"two": b"22"}
    assert (tmp_path / "copy").stat().st_mode & 0o777 == 0o700


def test_a_small_file_is_written_whole_for_the_owner_alone(tmp_path):
    file = tmp_path / "file"
    write_small(file, b"one")
    write_small(file, b"two")
    assert read_small(file, limits()) == b"two"
    assert file.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [file]


def test_a_file_that_is_not_small_is_refused(tmp_path):
    (tmp_path / "file").write_bytes(bytes(11))
    with pytest.raises(LimitExceeded, match="upkeep_file_bytes"):
        read_small(tmp_path / "file", limits(upkeep_file_bytes=10))


def test_a_folder_that_cannot_be_made_is_said_in_words(tmp_path):
    make_folder(tmp_path / "a")
    make_folder(tmp_path / "a")
    with pytest.raises(StorageError, match="cannot write"):
        make_folder(tmp_path / "none" / "b")


def test_requests_for_commitment_are_copied_and_reported_ones_are_taken_away(tmp_path):
    source, to = tmp_path / "commitments", tmp_path / "to"
    assert copy_commitments(source, to, limits()) == 0
    source.mkdir()
    for name in ("a.json", "b.json", "c.json.new"):
        (source / name).write_text(name)
    assert copy_commitments(source, to, limits()) == 2
    (source / "a.json").unlink()
    assert copy_commitments(source, to, limits()) == 1
    assert {one.name: one.read_text() for one in to.iterdir()} == {"b.json": "b.json"}


def test_a_request_that_cannot_be_read_is_no_request_that_is_gone(tmp_path):
    source = tmp_path / "commitments"
    (source / "a.json").mkdir(parents=True)
    with pytest.raises(StorageError):
        copy_commitments(source, tmp_path / "to", limits())
    (source / "a.json").rmdir()
    (source / "a.json").symlink_to(tmp_path / "nowhere")
    assert copy_commitments(source, tmp_path / "to", limits()) == 0
