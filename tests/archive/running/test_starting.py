"""An archive that is not in order does not start: each fault is one sentence with what to do."""

import json
from dataclasses import replace
from datetime import timedelta

import pytest

from archive_folders import NOW, appended, ct1, ephemeral, made, rewritten
from doorward.archive.running.folder import (
    AUTHORITY,
    CLIENT,
    OPENID_SECRET,
    REGISTER,
    SERVER,
    SERVER_KEY,
)
from doorward.archive.running.settings import DestinationRow
from doorward.archive.running.starting import prepare
from doorward.errors import ConfigError

YEAR = timedelta(days=365)


@pytest.fixture
def folder(tmp_path):
    return made(tmp_path / "pacs")


def refused(folder, now=NOW):
    with pytest.raises(ConfigError) as caught:
        prepare(folder, now=now)
    assert caught.value.hint
    return caught.value


def test_a_secret_that_others_can_read(folder):
    (folder.secrets / SERVER_KEY).chmod(0o640)
    error = refused(folder)
    assert "others" in error.message
    assert error.hint.startswith("chmod 600")


def test_secrets_in_a_folder_that_others_can_enter(folder):
    folder.secrets.chmod(0o711)
    assert "chmod 700" in refused(folder).hint


def test_an_unknown_setting(folder):
    appended(folder, "\n[loging]\n")
    error = refused(folder)
    assert (error.file, error.field) == (folder.settings_file, "loging")
    assert error.line == len(folder.settings_file.read_text().splitlines())
    assert "'log'" in error.hint


def test_a_server_certificate_that_has_ended(folder):
    error = refused(folder, NOW + 2 * YEAR)
    assert "ended on" in error.message
    assert "archive renew" in error.hint
    folder.make_certificates(["localhost"], now=NOW + 2 * YEAR)
    prepare(folder, now=NOW + 2 * YEAR)


def test_a_certificate_that_is_not_valid_yet(folder):
    assert "clock" in refused(folder, NOW - YEAR).hint


def test_an_authority_that_has_ended(folder):
    error = refused(folder, NOW + 11 * YEAR)
    assert error.file == folder.secrets / AUTHORITY
    assert "new archive" in error.hint


def test_a_register_of_a_newer_version(folder):
    newer = json.dumps({"format": "doorward.register/2", "everything": "else"})
    folder.vault().write(REGISTER, newer.encode())
    assert "version 2" in refused(folder).message


@pytest.mark.parametrize("name", (REGISTER, AUTHORITY, SERVER))
def test_a_file_that_is_missing(folder, name):
    folder.vault().remove(name)
    error = refused(folder)
    assert error.file == folder.secrets / name
    assert "backup" in error.hint


def test_a_client_secret_that_everybody_tries_first(folder):
    def with_provider(settings):
        openid = replace(settings.openid, issuer="https://login.example", client_id="pacs")
        return replace(settings, openid=openid)

    rewritten(folder, with_provider)
    assert "openid-secret" in refused(folder).hint
    folder.vault().write(OPENID_SECRET, b"changeme\n")
    assert "shipped" in refused(folder).message
    folder.vault().write(OPENID_SECRET, b"q8Zt0nW3ybF5\n")
    prepare(folder, now=NOW)


def test_certificates_that_end_soon_are_said_and_no_reason_to_stay_shut(folder):
    ct1(folder)
    assert not [one for one in prepare(folder, now=NOW).remarks if "ends" in one]
    later = prepare(folder, now=NOW + timedelta(days=370)).remarks
    assert any("archive renew" in remark for remark in later)
    folder.make_certificates(["127.0.0.1", "localhost"], now=NOW + timedelta(days=370))
    latest = prepare(folder, now=NOW + timedelta(days=700)).remarks
    assert any("certificate of ct1 ends" in remark for remark in latest)


def test_a_host_that_the_certificate_does_not_name_is_said(folder):
    rewritten(
        folder,
        lambda settings: replace(
            settings, site=replace(settings.site, hosts=("pacs.example", "localhost"))
        ),
    )
    assert any("pacs.example" in remark for remark in prepare(folder, now=NOW).remarks)


def test_destinations_are_reached_over_tls_with_a_certificate_of_our_own(tmp_path):
    rows = (
        DestinationRow(ae_title="WS2", address="10.0.0.8"),
        DestinationRow(ae_title="OLD", address="10.0.0.9", port=104, plain=True),
    )
    folder = made(tmp_path / "pacs", ephemeral(destination=rows))
    start = prepare(folder, now=NOW)
    safe, plain = start.destinations
    assert (safe.authorities, safe.certificate) == (
        folder.secrets / AUTHORITY,
        folder.secrets / CLIENT,
    )
    assert (plain.authorities, plain.port) == (None, 104)
    assert len(start.weaker) == 1


def test_a_destination_whose_authorities_are_missing(tmp_path):
    row = DestinationRow(ae_title="WS2", address="10.0.0.8", authorities="other.pem")
    folder = made(tmp_path / "pacs", ephemeral(destination=(row,)))
    with pytest.raises(ConfigError, match="no file") as caught:
        prepare(folder, now=NOW)
    assert caught.value.field == "destination WS2: authorities"
