"""Files and folders into the archive: each once, whatever comes in between."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest

import archives
from doorward.access.journal.record import Event
from doorward.archive.originals import heads_of
from doorward.archive.upkeep import importing
from doorward.archive.upkeep.importing import Imported, import_files
from doorward.archive.upkeep.verify import verify
from doorward.errors import ConfigError
from loopback import in_loop, limits
from upkept import blobs, file_of, files, filled, some
from wheel_instances import composite_instances


@pytest.fixture
def folder(tmp_path):
    return filled(tmp_path / "archive", [])


def taken_in(folder, *paths, **named):
    return asyncio.run(import_files(folder, paths, **named))


def stores(folder):
    return [one.entry for one in archives.records(folder) if one.entry.event is Event.STORE]


def test_a_tree_of_files_is_taken_in_and_the_journal_says_by_whom(folder, tmp_path):
    files(tmp_path / "in", 25)

    found = taken_in(folder, tmp_path / "in")

    assert (found.new, found.files, found.stopped) == (25, 25, "")
    assert len(blobs(folder)) == 25
    assert {(one.identity, one.kind, one.how, one.rule) for one in stores(folder)} == {
        ("import", "service", "local access", "local-import")
    }
    notes = [r.entry for r in archives.records(folder) if r.entry.event is Event.UPKEEP]
    assert [note.subject for note in notes] == ["import", "import"]
    assert notes[0].identity.endswith("@local")
    assert notes[1].reason == "ended: 25 taken, 0 refused"


def test_what_is_no_dicom_file_is_passed_over_and_named(folder, tmp_path):
    inside = tmp_path / "in"
    [good] = files(inside, 1)
    (inside / "DICOMDIR").write_bytes(good.read_bytes())
    (inside / "notes.txt").write_text("nothing")
    (inside / "empty").write_bytes(b"")
    os.mkfifo(inside / "pipe")
    (inside / "link").symlink_to(good)
    (inside / "away").symlink_to("/")
    (inside / "bad.dcm").write_bytes(good.read_bytes()[:200])
    said = []

    found = taken_in(folder, inside, not_taken=said.append)

    assert (found.new, found.passed_over, found.refused) == (1, 6, 1)
    reasons = {Path(one.path).name: one.reason for one in said}
    assert reasons["DICOMDIR"] == "a directory of a file set"
    assert reasons["notes.txt"] == reasons["empty"] == "no DICOM file"
    assert reasons["pipe"] == reasons["link"] == reasons["away"] == "no regular file"
    assert reasons["bad.dcm"]


def test_a_file_that_is_named_may_be_a_link(folder, tmp_path):
    [good] = files(tmp_path / "in", 1)
    (tmp_path / "link").symlink_to(good)
    assert taken_in(folder, tmp_path / "link").new == 1


def test_a_file_that_cannot_be_read_is_named_and_the_others_come(folder, tmp_path, monkeypatch):
    files(tmp_path / "in", 3)
    real = os.open

    def refusing(path, *arguments, **named):
        if str(path).endswith("1.dcm"):
            raise PermissionError(13, "Permission denied")
        return real(path, *arguments, **named)

    monkeypatch.setattr(importing.os, "open", refusing)
    said = []
    found = taken_in(folder, tmp_path / "in", not_taken=said.append)
    assert (found.new, found.unreadable) == (2, 1)
    assert said[0].reason == "Permission denied"


def test_what_was_acknowledged_is_not_read_again(folder, tmp_path, monkeypatch):
    paths = files(tmp_path / "in", 12)
    taken_in(folder, tmp_path / "in")
    paths[3].write_bytes(file_of(archives.instance("2.25.777")))
    read = []
    real = importing._Reading._read
    monkeypatch.setattr(
        importing._Reading, "_read", lambda self: read.append(self._path) or real(self)
    )

    found = taken_in(folder, tmp_path / "in")

    assert (found.new, found.before) == (1, 11)
    assert set(read) == {str(paths[3])}


@in_loop
async def test_broken_off_it_goes_on_where_it_was(tmp_path):
    async with archives.opened(tmp_path / "archive"):
        pass
    files(tmp_path / "in", 40)

    def break_off(found: Imported):
        if found.new == 20:
            running.cancel()

    first = import_files(tmp_path / "archive", [tmp_path / "in"], progress=break_off)
    running = asyncio.ensure_future(first)
    with pytest.raises(asyncio.CancelledError):
        await running
    found = await import_files(tmp_path / "archive", [tmp_path / "in"])

    assert 20 <= found.before < 40
    assert found.before + found.new + found.same == 40
    assert len(blobs(tmp_path / "archive")) == 40


_IMPORT = """
import asyncio, sys
from pathlib import Path
from doorward.archive.upkeep.importing import import_files
asyncio.run(import_files(Path(sys.argv[1]), [Path(sys.argv[2])], progress=lambda f: print(f.new, flush=True)))
"""


def test_killed_it_has_lost_nothing_and_leaves_out_what_was_acknowledged(folder, tmp_path):
    files(tmp_path / "in", 120)
    command = [sys.executable, "-c", _IMPORT, str(folder), str(tmp_path / "in")]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as running:
        assert running.stdout is not None
        for line in running.stdout:
            if int(line) >= 60:
                running.kill()
                break
    acknowledged = sum(entry.reason == "" for entry in stores(folder))

    found = taken_in(folder, tmp_path / "in")

    assert found.before + found.new + found.same == 120
    assert acknowledged >= 60
    assert len(blobs(folder)) == 120
    assert asyncio.run(verify(folder)).is_whole


def test_without_its_list_everything_is_found_to_be_the_same(folder, tmp_path):
    files(tmp_path / "in", 5)
    taken_in(folder, tmp_path / "in", done=tmp_path / "list")
    (tmp_path / "list").unlink()

    found = taken_in(folder, tmp_path / "in", done=tmp_path / "list")

    assert (found.new, found.same) == (0, 5)


def test_another_content_under_a_uid_is_kept_aside(folder, tmp_path):
    (tmp_path / "a.dcm").write_bytes(file_of(archives.instance("2.25.1", b"\1\1")))
    (tmp_path / "b.dcm").write_bytes(file_of(archives.instance("2.25.1", b"\2\2")))
    found = taken_in(folder, tmp_path / "a.dcm", tmp_path / "b.dcm")
    assert (found.new, found.kept_aside) == (1, 1)


def test_a_full_disk_ends_it_and_nothing_is_lost(folder, tmp_path):
    files(tmp_path / "in", 30)
    taken_in(folder, tmp_path / "in" / "000")

    found = taken_in(folder, tmp_path / "in", limits=limits(blob_reserve_bytes=1 << 60))

    assert found.stopped == "No room is left"
    assert (found.before, found.new) == (10, 0)
    again = taken_in(folder, tmp_path / "in")
    assert (again.before, again.new, again.stopped) == (10, 20, "")


def test_one_file_that_is_too_large_is_refused_and_the_others_come(folder, tmp_path):
    files(tmp_path / "in", 3)
    (tmp_path / "in" / "large").write_bytes(file_of(archives.instance("2.25.99", bytes(9_000))))
    found = taken_in(folder, tmp_path / "in", limits=limits(blob_bytes=5_000))
    assert (found.new, found.refused, found.stopped) == (3, 1, "")


def test_the_site_is_that_which_was_said(folder, tmp_path):
    files(tmp_path / "in", 1)
    taken_in(folder, tmp_path / "in", site="north")

    async def subject():
        async with archives.opened(folder) as archive:
            [study] = await archive.index.studies_with("2.25.1.1")
            return study.subject

    assert asyncio.run(subject()).site == "north"


def test_how_a_file_began_is_kept(folder, tmp_path):
    one = some(1)[0]
    (tmp_path / "x.dcm").write_bytes(file_of(one, b"II*\0" + bytes(124)))
    taken_in(folder, tmp_path / "x.dcm")

    async def kept():
        async with archives.opened(folder) as archive:
            [held] = await archive.index.instances_with([one.sop_instance_uid])
            return await heads_of(archive.index, archive.blobs, held.digest)

    [head] = asyncio.run(kept())
    assert head.head.startswith(b"II*\0")


def test_of_pydicoms_wheel_all_that_may_travel_is_taken_in(folder):
    paths = composite_instances()
    sendable = [path for path in paths if archives.sendable(path) is not None]

    found = taken_in(folder, *paths)

    assert found.new + found.same + found.kept_aside == len(sendable) > 100
    assert found.files == len(paths)


@in_loop
async def test_a_running_archive_says_what_else_can_be_done(tmp_path):
    files(tmp_path / "in", 1)
    async with archives.opened(tmp_path / "archive"):
        with pytest.raises(ConfigError, match="is running") as caught:
            await import_files(tmp_path / "archive", [tmp_path / "in"])
    assert "STOW" in caught.value.hint


def test_a_path_that_is_not_there_is_said_before_anything_is_done(folder, tmp_path):
    before = len(archives.records(folder))
    with pytest.raises(ConfigError, match="is not there"):
        taken_in(folder, tmp_path / "none")
    assert len(archives.records(folder)) == before
