"""The documentation says what the code does: pages drawn from code are current, and what people use is written down."""

import inspect
import platform
import re
import subprocess
from pathlib import Path

import pytest

import docs
from doorward import errors
from doorward.limits import describe

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")])


def page(name: str) -> str:
    return (ROOT / "docs" / name).read_text()


def commands() -> list[tuple[str, tuple[str, ...]]]:
    """Every command with the names of its options, asked of the real command line."""
    from typer.main import get_command

    from doorward.cli.app import app

    return [
        (
            " ".join(path),
            tuple(name for option in command.params for name in option.opts if name[0] == "-"),
        )
        for path, command in docs.command_tree(("doorward",), get_command(app))
    ]


@pytest.mark.parametrize("name", docs.PAGES)
def test_page_drawn_from_code_is_current(name):
    assert not docs.stale([name]), f"docs/{name} is stale: make docs"


def test_every_limit_is_documented():
    assert not [name for name, *_ in describe() if f"`{name}`" not in page("limits.md")]


def test_every_error_is_documented():
    names = [
        name for name, member in vars(errors).items() if inspect.isclass(member) and name != "Path"
    ]
    assert "LimitExceeded" in names
    assert not [name for name in names if f"`{name}`" not in page("errors.md")]


def test_the_tree_of_errors_in_their_docstring_is_the_real_one():
    drawn = re.findall(r"^([\s|]*)[`|]- (\w+)", errors.__doc__ or "", re.MULTILINE)
    members = [m for m in vars(errors).values() if inspect.isclass(m) and issubclass(m, Exception)]
    assert {name for _, name in drawn} | {"DoorwardError"} == {
        member.__name__ for member in members
    }
    parents = {member.__name__: member.__bases__[0].__name__ for member in members}
    top = [name for indent, name in drawn if "|" not in indent and len(indent.strip("\n")) <= 4]
    assert [parents[name] for name in top] == ["DoorwardError"] * len(top)


def test_every_command_and_option_is_documented():
    found = commands()
    assert "doorward audit" in dict(found)
    for command, options in found:
        _, heading, section = page("cli.md").partition(f"\n## {command}\n")
        assert heading, f"{command} is not in docs/cli.md"
        section = section.partition("\n## ")[0]
        assert not [
            option for option in options if f"`{option}`" not in section and option != "--help"
        ]


def test_every_check_is_documented():
    from doorward.audit.checks import CATALOGUE

    text = page("checks.md")
    assert CATALOGUE
    assert not [check.id for check in CATALOGUE if check.id not in text]


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(path):
    targets = re.findall(r"\]\(([^)#\s]+)\)", path.read_text())
    local = [target for target in targets if not target.startswith("https://")]
    assert not [target for target in local if not (path.parent / target).exists()]


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_files_that_a_page_names_exist(path):
    named = re.findall(r"`((?:src|tests|tools|docs|changes)/[\w./-]+)`", path.read_text())
    assert not [name for name in named if not (ROOT / name).exists()]


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_make_targets_that_a_page_names_exist(path):
    targets = set(re.search(r"\.PHONY: (.+)", (ROOT / "Makefile").read_text())[1].split())
    named = re.findall(r"^(?:make|`make) ([a-z]+)|`make ([a-z]+)", path.read_text(), re.MULTILINE)
    assert {first or second for first, second in named} <= targets


def test_every_door_names_a_test_that_exists():
    import door_forms

    places = {row.test for row in door_forms.rows()}
    assert len(places) >= 8
    for path, _, name in (place.partition("::") for place in places):
        assert f"def {name}(" in (ROOT / path).read_text(), path


def test_every_check_of_a_door_exists():
    import door_forms
    from doorward.audit.checks import CATALOGUE

    named = {check for row in door_forms.rows() for check in row.fails | row.passes}
    assert named <= {check.id for check in CATALOGUE}


def test_the_versions_of_the_doors_are_those_of_debian_12():
    import door_forms

    release = platform.freedesktop_os_release() if Path("/etc/os-release").exists() else {}
    if (release.get("ID"), release.get("VERSION_ID")) != ("debian", "12"):
        pytest.skip("not Debian 12")
    for package, version in set(door_forms.SERVERS.values()):
        asked = ["dpkg-query", "-W", "-f", "${Version}", package]
        found = subprocess.run(asked, capture_output=True, text=True, check=False).stdout
        installed = found.rpartition(":")[2]  # without the epoch
        assert not installed or installed.startswith(version), package


def test_what_the_readme_tells_to_test_exists():
    named = re.findall(r"ARGS=(tests/[\w./]+)", (ROOT / "README.md").read_text())
    assert len(named) >= 4
    assert not [name for name in named if not (ROOT / name).exists()]


def test_readme_uses_only_options_that_exist():
    known = {option for _, options in commands() for option in options}
    used = re.findall(r"(?<![\w-])--[a-z][a-z-]+", (ROOT / "README.md").read_text())
    assert used
    assert set(used) <= known


def test_every_promise_of_the_readme_has_a_test_file():
    promises = re.findall(r"^\d+\. \*\*(.+?)\*\*", (ROOT / "README.md").read_text(), re.MULTILINE)
    assert promises
    assert list((ROOT / "tests" / "promises").glob("test_*.py"))


def test_the_conformance_statement_names_every_status_that_the_archive_can_send():
    """Whoever adds a status to the sources, or takes one away, says so in tools/conformance.py."""
    import conformance

    modules = (
        *("archive/ingest", "archive/giving", "archive/services", "net/suboperations"),
        *("archive/commitment/commitments", "archive/commitment/messages"),
    )
    sources = [(ROOT / f"src/doorward/{name}.py").read_text() for name in modules]
    written = {int(found, 16) for text in sources for found in re.findall(r"\b0x(\w{4})\b", text)}
    named = {status for rows in conformance.STATUSES.values() for status, _ in rows}
    assert named | {status for status, _ in conformance.FAILURES} == written
    assert not [status for status in named if f"`{status:04X}`" not in page("conformance.md")]


def test_every_way_of_the_interoperability_matrix_names_tests_that_exist():
    import interop_matrix

    for way in interop_matrix.WAYS:
        path, _, name = way.test.partition("::")
        text = (ROOT / "tests" / "interop" / path).read_text()
        assert f"def {name}(" in text, way.test
        assert "pytest.mark.interop" in text
    shown = {way.peer for way in interop_matrix.WAYS}
    wanted = {
        "storescu",
        "findscu",
        "movescu",
        "getscu",
        "storescp",
        "pynetdicom",
        "dicomweb-client",
    }
    assert wanted | {"Orthanc", "Orthanc's DICOMweb plugin"} <= shown
    orthanc = {way.direction for way in interop_matrix.WAYS if way.peer == "Orthanc"}
    assert orthanc == {"to us", "from us"}


def test_make_docs_check_sees_a_stale_page(tmp_path, monkeypatch):
    (tmp_path / "limits.md").write_text(page("limits.md").replace("bytes", "bits"))
    monkeypatch.setattr(docs, "DOCS", tmp_path)
    assert docs.stale(["limits.md"]) == ["limits.md"]


def test_changelog_fragments_have_an_issue_and_a_kind():
    kinds = re.findall(
        r'^directory = "(\w+)"$', (ROOT / "pyproject.toml").read_text(), re.MULTILINE
    )[1:]
    names = [path.name for path in (ROOT / "changes").iterdir() if path.name != ".gitkeep"]
    pattern = rf"\d+\.({'|'.join(kinds)})(\.\d+)?\.md"
    assert not [name for name in names if not re.fullmatch(pattern, name)]
