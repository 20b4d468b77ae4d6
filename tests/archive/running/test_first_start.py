"""An archive is made whole and shut, or not at all."""

import stat

import pytest

from archive_folders import NOW, journalled, made
from doorward.access.authority import hosts_of
from doorward.access.identity import Register
from doorward.archive.running import first_start
from doorward.archive.running.first_start import settings_for
from doorward.archive.running.folder import AUTHORITY, SERVER
from doorward.archive.running.settings import Settings
from doorward.archive.running.starting import prepare
from doorward.errors import ConfigError, StorageError


def test_a_new_archive_starts_and_knows_nobody(tmp_path):
    folder = made(tmp_path / "pacs", settings_for("Clinic", ["pacs.example"], "CLINIC"))
    start = prepare(folder, now=NOW)
    assert start.register == Register()
    assert start.weaker == ()
    assert any("nobody is served" in remark for remark in start.remarks)
    assert start.settings.dicom.ae_title == "CLINIC"
    assert hosts_of(folder.vault().read(SERVER)) == ("pacs.example", "127.0.0.1", "localhost")
    assert journalled(folder)[0][:2] == ("start", "CLINIC")


def test_nobody_but_the_owner_can_read_what_was_made(tmp_path):
    folder = made(tmp_path / "pacs")
    paths = [folder.path, *folder.path.rglob("*")]
    assert len(paths) > 15
    assert not [one for one in paths if stat.S_IMODE(one.stat().st_mode) & 0o077]


def test_two_archives_share_no_secret(tmp_path):
    one, other = made(tmp_path / "one").vault(), made(tmp_path / "other").vault()
    assert one.names() == other.names()
    same = [name for name in one.names() if one.read(name) == other.read(name)]
    assert same == ["register.json"]


def test_the_code_is_shown_once_and_kept_as_a_digest(tmp_path, monkeypatch):
    seen = []
    original = first_start.new_first_code
    monkeypatch.setattr(
        first_start, "new_first_code", lambda *a, **k: seen.append(original(*a, **k)) or seen[-1]
    )
    folder = made(tmp_path / "pacs")
    ((code, ends_at),) = seen
    assert folder.people().is_first_code(code, now=NOW)
    assert not folder.people().is_first_code(code, now=ends_at)
    content = b"".join(path.read_bytes() for path in folder.path.rglob("*") if path.is_file())
    assert code.encode() not in content
    assert code.replace("-", "").encode() not in content


def test_an_empty_folder_is_taken_and_shut(tmp_path):
    place = tmp_path / "pacs"
    place.mkdir(mode=0o755)
    assert stat.S_IMODE(made(place).path.stat().st_mode) == 0o700


def test_what_is_there_already_is_left_alone(tmp_path):
    (tmp_path / "note.txt").write_text("mine")
    with pytest.raises(ConfigError, match="not empty"):
        made(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["note.txt"]
    (tmp_path / "link").symlink_to(tmp_path)
    for place in (tmp_path / "note.txt", tmp_path / "link"):
        with pytest.raises(ConfigError):
            made(place)


def test_a_folder_without_parent_is_refused(tmp_path):
    with pytest.raises(StorageError) as caught:
        made(tmp_path / "none" / "pacs")
    assert "parent" in caught.value.hint


def test_what_fails_half_way_leaves_nothing(tmp_path, monkeypatch):
    async def fail(*_):
        raise StorageError("no room", operation="write", path=tmp_path, kind="full")

    monkeypatch.setattr(first_start.changes, "note", fail)
    with pytest.raises(StorageError):
        made(tmp_path / "new")
    assert not (tmp_path / "new").exists()
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(StorageError):
        made(empty)
    assert list(empty.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "hosts", "title"), ((" x", (), None), (None, ("a b",), None), (None, (), "A" * 17))
)
def test_what_is_ordered_wrongly_makes_nothing(tmp_path, name, hosts, title):
    with pytest.raises(ConfigError):
        made(tmp_path / "pacs", settings_for(name, hosts, title))
    assert not (tmp_path / "pacs").exists()


def test_without_orders_the_settings_are_the_defaults():
    assert settings_for(None, (), None) == Settings()
    assert AUTHORITY == "authority.pem"
