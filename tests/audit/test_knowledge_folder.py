"""Newer knowledge is kept in one file of one user, taken whole or not at all."""

import stat
from dataclasses import replace
from pathlib import Path

import pytest

from doorward.audit.knowledge_folder import FILE_NAME, default_folder, load, take
from doorward.errors import ConfigError
from doorward.knowledge.updates import Holdings
from doorward.limits import DEFAULT_LIMITS
from knowledge_files import CSAF, EPSS, KEV, TAKEN, changed, packed


@pytest.fixture
def files(tmp_path):
    """The three samples as files; scores first, so that the order of taking matters."""
    contents = {"epss.csv.gz": packed(EPSS), "kev.json": KEV, "icsma.json": CSAF}
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    return [tmp_path / name for name in contents]


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"XDG_DATA_HOME": "/data"}, "/data/doorward/knowledge"),
        ({}, "/home/x/.local/share/doorward/knowledge"),
        ({"XDG_DATA_HOME": ""}, "/home/x/.local/share/doorward/knowledge"),
        ({"XDG_DATA_HOME": "relative"}, "/home/x/.local/share/doorward/knowledge"),
    ],
)
def test_the_folder_is_where_the_user_keeps_data(environment, expected):
    assert default_folder(environment, Path("/home/x")) == Path(expected)


def test_nothing_taken_is_no_error(tmp_path):
    assert load(tmp_path / "nowhere") == Holdings()


def test_files_are_taken_together_and_come_back(tmp_path, files):
    folder = tmp_path / "deep" / "data"
    updates = take(folder, files, taken=TAKEN)
    assert sorted(u.provenance.kind for u in updates) == ["csaf", "epss", "kev"]
    held = load(folder)
    assert {row.id for row in held.advisories} == {"CVE-2099-10001", "CVE-2099-10002"}
    assert "CVE-2099-10001" in held.exploited


def test_scores_are_kept_for_the_ids_of_advisories_taken_with_them(tmp_path, files):
    take(tmp_path / "data", files, taken=TAKEN)
    assert set(load(tmp_path / "data").likelihood) == {
        "CVE-2025-0896",
        "CVE-2099-10001",
        "CVE-2099-10002",
    }


def test_one_broken_file_leaves_everything_as_it_was(tmp_path, files):
    folder = tmp_path / "data"
    take(folder, files[:2], taken=TAKEN)
    before = (folder / FILE_NAME).read_bytes()
    files[2].write_bytes(changed(CSAF, "/document/csaf_version", "1.2"))
    with pytest.raises(ConfigError, match=r"icsma\.json"):
        take(folder, files, taken=TAKEN)
    assert (folder / FILE_NAME).read_bytes() == before
    assert [path.name for path in folder.iterdir()] == [FILE_NAME]


def test_what_is_kept_is_for_its_user_alone(tmp_path, files):
    folder = tmp_path / "data"
    take(folder, files, taken=TAKEN)
    assert stat.S_IMODE((folder / FILE_NAME).stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_files_that_cannot_be_read_or_written_are_named(tmp_path, files):
    with pytest.raises(ConfigError, match="No such file") as error:
        take(tmp_path / "data", [tmp_path / "missing.json"], taken=TAKEN)
    assert error.value.file == tmp_path / "missing.json"
    with pytest.raises(ConfigError, match="cannot be read"):
        take(tmp_path / "data", [tmp_path], taken=TAKEN)
    with pytest.raises(ConfigError, match="cannot be read"):
        take(files[0] / "data", files, taken=TAKEN)
    dangling = tmp_path / "dangling"
    dangling.symlink_to(tmp_path / "gone")
    with pytest.raises(ConfigError, match="cannot be made"):
        take(dangling, files, taken=TAKEN)


def test_what_is_kept_is_bounded_when_it_is_read(tmp_path):
    (tmp_path / FILE_NAME).write_bytes(b" " * 2_000)
    limits = replace(DEFAULT_LIMITS, knowledge_json_bytes=1_000)
    with pytest.raises(ConfigError, match="is longer than 1,000 bytes"):
        load(tmp_path, limits=limits)


def test_a_file_that_is_something_else_says_what_to_do(tmp_path):
    (tmp_path / FILE_NAME).write_text('{"format": "x"}')
    with pytest.raises(ConfigError) as error:
        load(tmp_path)
    assert "Remove it" in error.value.hint
