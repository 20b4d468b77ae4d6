"""``doorward knowledge``: ages and exit codes, files taken, the list."""

import json

import pytest

from doorward.cli.main import run
from knowledge_files import CSAF, EPSS, KEV, changed, packed


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """A home of its own: what the tester keeps must not decide."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "share"))
    return tmp_path


@pytest.fixture
def samples(home):
    for name, content in (("c.json", CSAF), ("k.json", KEV), ("e.csv.gz", packed(EPSS))):
        (home / name).write_bytes(content)
    return [str(home / name) for name in ("e.csv.gz", "k.json", "c.json")]


def test_every_command_has_help(capsys):
    for command in ("check", "update", "list"):
        assert run(["knowledge", command, "--help"]) == 0
    assert "Usage: doorward knowledge list" in capsys.readouterr().out


def test_fresh_tables_exit_with_0(capsys):
    assert run(["knowledge", "check", "--on", "2026-11-22"]) == 0
    said = capsys.readouterr()
    assert "advisories.toml           2026-10-31         22 days" in said.out
    assert said.err == ""


@pytest.mark.parametrize(
    ("on", "code", "words"),
    [
        ("2027-04-29", 0, ""),
        ("2027-04-30", 1, "older than 180 days: advisories.toml, implementations.toml."),
        ("2026-11-01", 1, "dated after 2026-11-01: web_signatures.toml"),
    ],
)
def test_more_than_180_days_or_a_day_ahead_exit_with_1(capsys, on, code, words):
    assert run(["knowledge", "check", "--on", on]) == code
    assert words in capsys.readouterr().err


def test_files_are_taken_and_then_checked_listed_and_aged(capsys, samples, home):
    assert run(["knowledge", "update", *samples]) == 0
    said = capsys.readouterr()
    assert "csaf ICSMA-99-999-01  2026-11-20  Example CERT  2 of 2 kept  c.json  sha256" in said.out
    assert "kev 2026.11.20" in said.out
    assert "epss scores  2026-11-21  FIRST  3 of 5 kept" in said.out
    assert "c.json: left out: Philips Example Kettle is no product" in said.err
    assert f"kept in {home}/share/doorward/knowledge" in said.err
    run(["knowledge", "check", "--on", "2027-06-30"])
    said = capsys.readouterr()
    assert "kev 2026.11.20" in said.err
    assert "epss scores" in said.err
    assert run(["knowledge", "list", "--product", "dcmtk"]) == 0
    first = capsys.readouterr().out.splitlines()[0]
    assert "CVE-2099-10001; before 3.7.5, fixed in 3.7.5; 7.5; likely" in first
    assert "known to be exploited (listed 2026-11-19); EPSS 0.934" in first


def test_another_folder_may_be_named(capsys, samples, home):
    place = str(home / "mine")
    assert run(["knowledge", "update", samples[1], "--data", place]) == 0
    assert not (home / "share").exists()
    run(["knowledge", "list", "--product", "Orthanc"])
    assert "listed 2026-11-01" not in capsys.readouterr().out
    run(["knowledge", "list", "--product", "Orthanc", "--data", place])
    assert "listed 2026-11-01" in capsys.readouterr().out


def test_a_broken_file_is_one_line_with_its_path_and_exit_code_2(capsys, home):
    file = home / "broken.json"
    file.write_bytes(changed(KEV, "/count", 9))
    assert run(["knowledge", "update", str(file)]) == 2
    said = capsys.readouterr().err
    assert f"doorward: {file} [/count]: does not agree with the 3 entries" in said
    assert "cut off" in said
    assert not (home / "share").exists()


def test_the_list_as_json_says_marks_and_what_a_match_may_say(capsys):
    assert run(["knowledge", "list", "--json", "--product", "orthanc"]) == 0
    rows = {row["ids"][0]: row for row in json.loads(capsys.readouterr().out)}
    assert rows["CVE-2025-0896"]["at_most"] == "likely"
    assert rows["CVE-2023-33466"]["at_most"] == "possible"
    assert rows["CVE-2023-33466"]["cvss_mark"] == "M"
    assert rows["CVE-2026-10528"]["cvss"] is None


def test_the_whole_list_has_a_line_for_each_row(capsys):
    from doorward.knowledge.advisories import shipped

    assert run(["knowledge", "list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(shipped())
    assert any("8.8 (to be checked); possible" in line for line in lines)
    assert any("known to be exploited" in line for line in lines)


def test_a_product_without_rows_is_not_called_safe(capsys):
    assert run(["knowledge", "list", "--product", "ConQuest"]) == 0
    said = capsys.readouterr()
    assert said.out == ""
    assert "does not mean that it is safe" in said.err


def test_an_unknown_product_is_refused_with_a_guess(capsys):
    assert run(["knowledge", "list", "--product", "Orthnac"]) == 2
    assert "Did you mean Orthanc?" in capsys.readouterr().err


def test_a_damaged_folder_stops_an_audit_before_it_asks_anybody(capsys, home):
    place = home / "mine"
    place.mkdir()
    (place / "knowledge.json").write_text("{")
    assert run(["audit", "127.0.0.1:9", "--knowledge", str(place)]) == 2
    said = capsys.readouterr()
    assert "knowledge.json:1: is no JSON" in said.err
    assert said.out == ""
