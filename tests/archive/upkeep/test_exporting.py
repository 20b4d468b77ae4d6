"""Studies as files; in the journal before the first byte."""

import asyncio
import csv

import pydicom
import pytest

import archives
from doorward.access.journal.record import Event, Outcome
from doorward.archive.blobs.disk import LocalDisk
from doorward.archive.upkeep.exporting import export
from doorward.errors import ConfigError, StorageError
from loopback import in_loop
from upkept import blobs, file_of, filled, flipped

A = archives.instance("2.25.1", b"\1\1", StudyInstanceUID="1.2.1", SeriesInstanceUID="1.3.1")
B = archives.instance("2.25.2", b"\2\2", StudyInstanceUID="1.2.1", SeriesInstanceUID="1.3.2")
C = archives.instance("2.25.3", b"\3\3", StudyInstanceUID="1.2.2", PatientID="P2")


@pytest.fixture
def folder(tmp_path):
    return filled(tmp_path / "archive", [A, B, C])


def written(folder, out, *uids, **named):
    return asyncio.run(export(folder, out, study_uids=uids, **named))


def exports(folder):
    return [one.entry for one in archives.records(folder) if one.entry.event is Event.EXPORT]


def test_a_study_comes_out_as_files_that_others_can_read(folder, tmp_path):
    found = written(folder, tmp_path / "out", "1.2.1")

    assert (found.studies, found.files, found.damaged) == (1, 2, ())
    out = sorted((tmp_path / "out").glob("*/*"))
    assert [path.relative_to(tmp_path / "out").as_posix() for path in out] == [
        "000001/000001.dcm",
        "000001/000002.dcm",
    ]
    assert [path.read_bytes() for path in out] == [file_of(A), file_of(B)]
    assert [pydicom.dcmread(path).SOPInstanceUID for path in out] == ["2.25.1", "2.25.2"]
    assert all(path.stat().st_mode & 0o777 == 0o600 for path in out)
    with (tmp_path / "out" / "contents.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["file"], row["study"], row["instance"]) for row in rows] == [
        ("000001/000001.dcm", "1.2.1", "2.25.1"),
        ("000001/000002.dcm", "1.2.1", "2.25.2"),
    ]


def test_the_journal_knows_before_the_first_byte_is_written(folder, tmp_path, monkeypatch):
    seen = []
    real = LocalDisk.create

    def create(self, path):
        if path.endswith(".dcm"):
            seen.append(len(exports(folder)))
        return real(self, path)

    monkeypatch.setattr(LocalDisk, "create", create)
    written(folder, tmp_path / "out", "1.2.1", "1.2.2")

    assert seen == [1, 1, 1]
    [record] = exports(folder)
    assert (record.studies, record.instances) == (("1.2.1", "1.2.2"), 3)
    assert (record.how, record.rule, record.outcome) == (
        "local access",
        "(local access)",
        Outcome.SUCCESS,
    )
    assert record.identity.endswith("@local")


def test_all_studies_of_a_patient_come_out_and_no_name_does(folder, tmp_path):
    found = written(folder, tmp_path / "out", patient_id="P1")
    assert (found.studies, found.files) == (1, 2)
    assert b"P1" not in (tmp_path / "out" / "contents.csv").read_bytes()
    assert "P1" not in repr(exports(folder))


def test_a_study_that_is_not_held_is_said_and_nothing_is_written(folder, tmp_path):
    for named in ({"study_uids": ["1.2.1", "1.2.9"]}, {"patient_id": "P9"}):
        with pytest.raises(ConfigError, match="held"):
            asyncio.run(export(folder, tmp_path / "out", **named))
    assert not (tmp_path / "out").exists()
    assert not exports(folder)


def test_a_folder_that_holds_something_is_left_alone(folder, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").write_text("mine")
    with pytest.raises(ConfigError, match="not empty"):
        written(folder, tmp_path / "out", "1.2.1")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["mine"]
    assert not exports(folder)


def test_a_damaged_instance_is_left_out_and_named_and_the_journal_says_so(folder, tmp_path):
    digest = next(name for name, path in blobs(folder).items() if b"2.25.1" in path.read_bytes())
    flipped(blobs(folder)[digest])

    found = written(folder, tmp_path / "out", "1.2.1")

    assert (found.files, [one.digest for one in found.damaged]) == (1, [digest])
    assert len(list((tmp_path / "out").glob("*/*"))) == 1
    assert exports(folder)[-1].outcome is Outcome.FAILED


def test_a_lost_instance_is_named(folder, tmp_path):
    for path in blobs(folder).values():
        path.unlink()
    found = written(folder, tmp_path / "out", "1.2.1")
    assert (found.files, len(found.damaged)) == (0, 2)


def test_a_disk_that_refuses_is_said_and_recorded(folder, tmp_path, monkeypatch):
    real = LocalDisk.create

    def create(self, path):
        if path.endswith("2.dcm"):
            raise OSError(30, "Read-only file system")
        return real(self, path)

    monkeypatch.setattr(LocalDisk, "create", create)
    with pytest.raises(StorageError, match="read-only"):
        written(folder, tmp_path / "out", "1.2.1")
    assert [one.outcome for one in exports(folder)] == [Outcome.SUCCESS, Outcome.FAILED]


@in_loop
async def test_a_running_archive_says_what_else_can_be_done(tmp_path):
    async with archives.opened(tmp_path / "archive"):
        with pytest.raises(ConfigError, match="is running") as caught:
            await export(tmp_path / "archive", tmp_path / "out", study_uids=["1.2"])
    assert "C-GET" in caught.value.hint
