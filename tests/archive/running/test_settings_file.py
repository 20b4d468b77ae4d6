"""The file that an archive begins with holds every setting at its default; whatever is wrong in one is named by its line."""

import re
from dataclasses import fields, replace
from pathlib import Path

import pytest

from doorward.access.rules import Rules
from doorward.archive.running.settings import (
    ROWS,
    TABLES,
    DestinationRow,
    LegacyPort,
    Settings,
)
from doorward.archive.running.settings_file import load, parse, template
from doorward.errors import ConfigError
from loopback import limits

FILE = Path("doorward.toml")


def read(text):
    return parse(text.encode(), file=FILE)


def refused(text):
    with pytest.raises(ConfigError) as caught:
        read(text)
    return caught.value


def test_the_template_read_again_is_the_defaults():
    found = read(template())
    assert replace(found, rules=Rules()) == Settings()
    assert [rule.name for rule in found.rules.rules] == ["studies", "housekeeping"]


def test_every_setting_stands_in_the_template_with_its_words():
    text = template()
    for name, kind in TABLES.items():
        section = text.partition(f"\n[{name}]\n")[2].partition("\n\n")[0]
        for each in fields(kind):
            value = rf"^\[{name}\.{each.name}\]$" if each.name == "persons" else rf"^{each.name} = "
            assert re.search(value, section, re.MULTILINE), f"{name}.{each.name}"
            assert f"# {each.metadata['words'].splitlines()[0]}" in section
    for name, kind in ROWS.items():
        section = text.partition(f"\n# [[{name}]]\n")[2].partition("\n\n")[0]
        for each in fields(kind):
            assert re.search(rf"^# {each.name} = .*# .", section, re.MULTILINE), each.name


def test_rows_of_the_template_are_good_once_they_are_uncommented():
    lines = template().splitlines()
    bare = []
    is_row = False
    for line in lines:
        is_row = line.startswith("# [[") or (is_row and line.startswith("#"))
        bare.append(line[2:] if is_row else line)
    found = read("\n".join(bare))
    assert found.legacy_port == (LegacyPort(name="old", address="10.20.0.7"),)
    assert found.destination == (DestinationRow(ae_title="WS2", address="10.20.0.8"),)


def test_a_template_of_other_values_is_read_as_them():
    site = replace(Settings().site, name='Clinic "North" \\ Söder', hosts=("pacs.example",))
    openid = replace(
        Settings().openid,
        issuer="https://login.example/realms/x",
        client_id="doorward",
        persons={"a b": "ada"},
    )
    rows = (LegacyPort(name="old"), LegacyPort(name="older", port=0))
    wanted = replace(Settings(), site=site, openid=openid, legacy_port=rows)
    assert replace(read(template(wanted)), rules=Rules()) == wanted


def test_an_empty_file_is_the_defaults_and_allows_nobody_anything():
    assert read("") == Settings()


@pytest.mark.parametrize(
    ("text", "where", "line", "words"),
    (
        ("[dicom]\nport = 2762\nprot = 1\n", "dicom.prot", 3, "no setting"),
        ("\n[dicomm]\n", "dicomm", 2, "no setting"),
        ("prot = 1\n", "prot", 1, "no setting"),
        ("[dicom]\nport = '2762'\n", "dicom.port", 2, "whole number"),
        ("[dicom]\nport = true\n", "dicom.port", 2, "whole number"),
        ("[dicom]\nport = 70000\n", "dicom.port", 2, "from 0 to 65,535"),
        ("[dicom]\nae_title = 'A\\B'\n", "dicom.ae_title", 2, "AE title"),
        ("[dicom]\naddresses = ['localhost']\n", "dicom.addresses", 2, "numeric"),
        ("[dicom]\naddresses = '127.0.0.1'\n", "dicom.addresses", 2, "list"),
        ("[dicom]\naddresses = ['::1', '::1']\n", "dicom.addresses", 2, "twice"),
        ("[site]\nhosts = []\n", "site.hosts", 2, "empty"),
        ("[site]\nhosts = ['https://x']\n", "site.hosts", 2, "names"),
        ("[site]\nname = ''\n", "site.name", 2, "text"),
        ("[journal]\nkeep_query_values = 1\n", "journal.keep_query_values", 2, "true or false"),
        ("[volume]\nstudies_per_hour = 0\n", "volume.studies_per_hour", 2, "from 1"),
        ("[log]\nformat = 'xml'\n", "log.format", 2, '"text" or "json"'),
        ("[https]\nallowed_origins = ['https://x/y']\n", "https.allowed_origins", 2, "origins"),
        ("[openid]\nissuer = 'http://x.example'\nclient_id = 'a'\n", "openid.issuer", 2, "https"),
        ("[openid]\nissuer = 'https://x.example'\n", "openid.client_id", None, "missing"),
        ("[openid.persons]\nx = 5\n", "openid.persons", None, "table of texts"),
        ("[openid.persons]\nx = 'Ada L'\n", "openid.persons", None, "name"),
        ("[[legacy_port]]\nport = 1\n", "legacy_port 1.name", None, "missing"),
        ("[legacy_port]\nname = 'x'\n", "legacy_port", 1, "list of tables"),
        ("[[destination]]\nae_title = 'A'\n", "destination 1.address", None, "missing"),
        ("dicom = 5\n", "dicom", 1, "table"),
        ("[dicom]\naddresses = []\n[https]\naddresses = []\n", "dicom.addresses", 2, "listen"),
    ),
)
def test_what_is_wrong_is_named_by_table_key_and_line(text, where, line, words):
    error = refused(text)
    assert error.field == where
    assert error.line == line
    assert words in error.message
    assert str(error).startswith("doorward.toml")


def test_the_nearest_setting_is_proposed():
    assert refused("[dicom]\nprot = 1\n").hint == "Did you mean 'port'?"
    assert refused("[dicomm]\n").hint == "Did you mean 'dicom'?"
    assert "allow" in str(refused("[[rule]]\nname = 'x'\neffect = 'perhaps'\n"))


def test_two_rows_of_one_name_and_two_ports_that_are_one_are_refused():
    row = "[[legacy_port]]\nname = 'old'\nport = {}\n"
    assert "twice" in refused(row.format(1) + row.format(2)).message
    other = "[[legacy_port]]\nname = 'older'\nport = {}\n"
    assert "taken" in refused(row.format(7) + other.format(7)).message
    assert "taken" in refused(row.format(2762)).message
    assert len(read(row.format(0) + other.format(0)).legacy_port) == 2


def test_text_that_is_no_toml_is_named_by_its_line():
    error = refused("[dicom]\nport = 5\nport = 6\n")
    assert (error.file, error.line) == (FILE, 3)
    assert "TOML" in error.message
    with pytest.raises(ConfigError, match="UTF-8"):
        parse(b"\xff\xfe", file=FILE)


def test_a_file_that_is_missing_or_too_long_is_refused(tmp_path):
    file = tmp_path / "doorward.toml"
    with pytest.raises(ConfigError) as caught:
        load(file)
    assert "archive init" in caught.value.hint
    file.write_text(template())
    assert load(file).dicom == Settings().dicom
    with pytest.raises(ConfigError, match="longer"):
        load(file, limits=limits(settings_bytes=100))
    with pytest.raises(ConfigError, match="more than 1 rows"):
        parse(
            b"[[legacy_port]]\nname='a'\n[[legacy_port]]\nname='b'\n",
            file=FILE,
            limits=limits(settings_rows=1),
        )
