"""``doorward archive verify | reindex | backup | restore | import | export`` from outside: what is said, and exit codes."""

import io
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

import pytest
import typer

import archives
from doorward.cli import archive_upkeep
from doorward.cli.main import run
from upkept import answered, blobs, file_of, files, filled, flipped, some


@pytest.fixture
def folder(tmp_path):
    return filled(tmp_path / "archive", some(3))


def said(capsys, *arguments):
    capsys.readouterr()
    code = run(["archive", *map(str, arguments)])
    found = capsys.readouterr()
    assert "internal error" not in found.err
    return code, found.out, found.err


def test_the_commands_are_those_of_the_archive():
    app = typer.Typer()
    archive_upkeep.register(app)
    names = [command.name for command in app.registered_commands]
    assert names == ["verify", "reindex", "backup", "restore", "import", "export"]


def test_a_whole_archive_is_said_to_be_whole(folder, capsys):
    code, out, _ = said(capsys, "verify", folder)
    assert code == 0
    assert [line.split()[:2] for line in out.splitlines()] == [
        ["journal", "whole,"],
        ["index", "whole,"],
        ["blobs", "whole,"],
    ]


@pytest.mark.parametrize("part", ["blobs", "index", "journal"])
def test_one_part_alone_can_be_looked_over(folder, capsys, part):
    code, out, _ = said(capsys, "verify", folder, f"--{part}")
    assert code == 0
    assert [line.split()[0] for line in out.splitlines()] == [part]


def test_damage_is_named_by_its_instance_and_says_what_to_do(folder, capsys):
    name, path = next(iter(blobs(folder).items()))
    flipped(path)
    code, out, err = said(capsys, "verify", folder, "--rate", "100")
    assert code == 1
    assert "blobs    DAMAGED, 3 blobs" in out
    assert f"blob {name}" in out
    assert "instance 2.25." in out
    assert "restore what is damaged from a backup" in err


def test_lost_blobs_and_a_broken_journal_are_said(folder, capsys):
    for path in blobs(folder).values():
        path.unlink()
    [segment] = (folder / "journal").glob("*.journal")
    segment.write_bytes(segment.read_bytes().replace(b'"ct1"', b'"ct2"', 1))
    code, out, _ = said(capsys, "verify", folder)
    assert code == 1
    assert "3 rows without their blob" in out
    assert "BROKEN at record" in out


def test_what_the_index_has_wrong_is_said_with_what_mends_it(folder, capsys):
    with closing(sqlite3.connect(folder / "index")) as connection:
        connection.execute("UPDATE instances SET view = '[]' WHERE number = 1")
        connection.execute("UPDATE instances SET source = 'ct2' WHERE number = 2")
        connection.commit()
    code, out, err = said(capsys, "verify", folder)
    assert code == 1
    assert "1 row unlike their blob" in out
    assert "1 row of another sender than the journal names" in out
    assert "then 'reindex'" in err
    assert "backup" not in err
    assert said(capsys, "reindex", folder)[0] == 0
    assert said(capsys, "verify", folder)[0] == 0


def test_what_is_no_archive_is_wrong_usage(tmp_path, capsys):
    code, _, err = said(capsys, "verify", tmp_path)
    assert code == 2
    assert "there is no journal" in err


def test_a_verification_can_keep_where_it_is(folder, tmp_path, capsys):
    assert said(capsys, "verify", folder, "--blobs", "--resume", tmp_path / "mark")[0] == 0
    assert not (tmp_path / "mark").exists()


def test_the_index_is_made_anew(folder, capsys):
    before = answered(folder)
    (folder / "index").unlink()
    code, out, err = said(capsys, "reindex", folder)
    assert code == 0
    assert "3 instances, 0 contents kept aside" in out
    assert "labels and departments are lost" in err
    assert "who is known cannot be read" in err  # this one has no secrets
    # No site: nobody says what that of its sender is.
    assert answered(folder)[1:] == before[1:]


def test_what_cannot_be_read_is_counted_by_reindex(folder, capsys):
    path = next(iter(blobs(folder).values()))
    path.write_bytes(path.read_bytes()[:200])
    code, out, _ = said(capsys, "reindex", folder)
    assert code == 1
    assert "1 blob: left out, no instance can be read" in out


def test_a_backup_and_its_restore(folder, tmp_path, capsys):
    code, out, err = said(capsys, "backup", folder, tmp_path / "to")
    assert code == 0
    assert "3 instances saved" in out
    assert "share the disk" in err
    assert "are not in this backup" in err
    code, out, err = said(capsys, "restore", tmp_path / "to", tmp_path / "back")
    assert code == 0
    assert "3 instances of" in out
    assert "holds no secrets" in err
    assert answered(tmp_path / "back") == answered(folder)
    code, _, err = said(capsys, "restore", tmp_path / "to", tmp_path / "back")
    assert code == 2
    assert "is not empty" in err


def test_what_a_backup_lacks_is_named(folder, tmp_path, capsys):
    name, path = next(iter(blobs(folder).items()))
    path.unlink()
    code, out, _ = said(capsys, "backup", folder, tmp_path / "to")
    assert code == 1
    assert f"blob {name}" in out
    code, out, _ = said(capsys, "restore", tmp_path / "to", tmp_path / "back")
    assert code == 1
    assert "missing or damaged in the backup: 1 blob" in out


def test_files_are_taken_in_and_what_is_not_is_listed(folder, tmp_path, capsys):
    files(tmp_path / "in", 5)
    (tmp_path / "in" / "DOE^JOHN.txt").write_text("no image")
    code, out, err = said(capsys, "import", folder, tmp_path / "in")
    assert code == 0
    assert "6 files: 2 new, 3 kept aside (other content), 1 passed over" in out
    assert "--skipped" in err
    assert "DOE" not in out + err
    listed = tmp_path / "skipped"
    code, out, _ = said(capsys, "import", folder, tmp_path / "in", "--skipped", listed)
    assert code == 0
    assert "6 files: 0 new, 5 done before, 1 passed over" in out
    assert listed.read_text() == f"no DICOM file\t{tmp_path}/in/DOE^JOHN.txt\n"
    assert listed.stat().st_mode & 0o777 == 0o600


def test_a_file_that_is_refused_is_a_finding(folder, tmp_path, capsys):
    (tmp_path / "cut.dcm").write_bytes(file_of(some(1)[0])[:-7])
    code, out, _ = said(capsys, "import", folder, tmp_path / "cut.dcm")
    assert code == 1
    assert "1 refused" in out


def test_studies_are_written_as_files(folder, tmp_path, capsys):
    code, out, _ = said(capsys, "export", folder, "2.25.1.1", "--out", tmp_path / "out")
    assert code == 0
    assert "1 file in" in out
    assert (tmp_path / "out" / "000001" / "000001.dcm").read_bytes() == file_of(some(1)[0])


def test_a_patient_can_be_named_on_standard_input(folder, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.StringIO("P1\n"))
    code, out, _ = said(capsys, "export", folder, "--patient-id", "-", "--out", tmp_path / "out")
    assert code == 0
    assert "3 files in" in out


def test_a_damaged_instance_is_left_out_of_an_export(folder, tmp_path, capsys):
    for path in blobs(folder).values():
        flipped(path)
    code, out, _ = said(capsys, "export", folder, "2.25.1.1", "--out", tmp_path / "out")
    assert code == 1
    assert "damaged here and left out: 1 instance" in out


def test_an_export_of_nothing_is_wrong_usage(folder, tmp_path, capsys):
    code, _, err = said(capsys, "export", folder, "--out", tmp_path / "out")
    assert code == 2
    assert "say what is to be exported" in err


def test_a_running_archive_is_left_alone_by_what_writes(folder, tmp_path, capsys):
    with archives.running(folder, [], None):
        for arguments in (
            ["import", folder, tmp_path],
            ["export", folder, "1.2", "--out", tmp_path / "out"],
            ["reindex", folder],
        ):
            code, _, err = said(capsys, *arguments)
            assert code == 2
            assert "running" in err or "written by another Doorward" in err
        assert said(capsys, "verify", folder)[0] == 0
        assert said(capsys, "backup", folder, tmp_path / "to")[0] == 0
    assert Path(tmp_path / "to" / "index").exists()


def test_a_line_on_a_terminal_is_written_over_and_taken_away(monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    monkeypatch.setattr(sys, "stderr", terminal := Terminal())
    line = archive_upkeep._Line()
    line.show(lambda: "100 files")
    line.show(lambda: "101 files")  # too soon to be shown
    line.end()
    line.end()
    assert terminal.getvalue() == "\r100 files\r         \r"
