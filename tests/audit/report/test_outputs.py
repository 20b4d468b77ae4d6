"""Reports appear whole or not at all, and only where they may."""

import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from doorward.audit.report.assemble import assemble
from doorward.audit.report.outputs import (
    FORMATS,
    Output,
    check_outputs,
    output,
    parse_output,
    report_json,
    write_file,
    write_parts,
)
from doorward.errors import ConfigError
from judged_systems import OPEN, RECORD, SHUT

REPORT = assemble([OPEN, SHUT], RECORD)


def test_every_format_renders_the_same_report() -> None:
    rendered = {name: render(REPORT) for name, render in FORMATS.items()}
    assert set(rendered) == {"json", "html", "text"}
    assert all("10.20.0.7" in text and text.endswith("\n") for text in rendered.values())


def test_the_same_report_gives_the_same_bytes() -> None:
    assert report_json(REPORT) == report_json(assemble([SHUT, OPEN], RECORD))
    assert json.loads(report_json(REPORT))["schema"] == "doorward.report/1"


def test_an_output_is_a_format_and_a_file() -> None:
    assert parse_output("html=a=b.html") == Output(format="html", file=Path("a=b.html"))
    assert output("json", "-") == Output(format="json", file=None)


@pytest.mark.parametrize("text", ["json", "json=", "pdf=report.pdf", "=x", ""])
def test_what_is_no_output_is_refused(text: str) -> None:
    with pytest.raises(ConfigError):
        parse_output(text)


def test_a_file_is_replaced_whole_and_is_for_its_owner_only(tmp_path: Path) -> None:
    file = tmp_path / "report.json"
    file.write_text("old", encoding="utf-8")
    write_file(file, "new Ω\n")
    assert file.read_text(encoding="utf-8") == "new Ω\n"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [p.name for p in tmp_path.iterdir()] == ["report.json"]


def test_a_failed_write_leaves_the_old_file_and_no_other(tmp_path: Path) -> None:
    file = tmp_path / "report.json"
    file.write_text("old", encoding="utf-8")
    with pytest.raises(UnicodeEncodeError):
        write_file(file, "\ud800")
    assert file.read_text(encoding="utf-8") == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["report.json"]


def test_a_file_that_is_written_in_parts_is_whole_or_not_there(tmp_path: Path) -> None:
    file = tmp_path / "report.json"
    write_parts(file, (f"{number}\n" for number in range(3)))
    assert file.read_text(encoding="utf-8") == "0\n1\n2\n"

    def broken() -> Iterator[str]:
        yield "half"
        raise LookupError

    with pytest.raises(LookupError):
        write_parts(file, broken())
    assert file.read_text(encoding="utf-8") == "0\n1\n2\n"
    assert [p.name for p in tmp_path.iterdir()] == ["report.json"]


def test_a_link_keeps_pointing_and_a_device_is_not_replaced(tmp_path: Path) -> None:
    real, link = tmp_path / "real.json", tmp_path / "link.json"
    real.write_text("old", encoding="utf-8")
    link.symlink_to(real)
    write_file(link, "new")
    assert link.is_symlink()
    assert real.read_text(encoding="utf-8") == "new"
    write_file(Path(os.devnull), "gone")
    assert stat.S_ISCHR(Path(os.devnull).stat().st_mode)


def test_a_file_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"cannot be written \(No such file"):
        write_file(tmp_path / "none" / "report.json", "x")


@pytest.mark.parametrize(
    ("outputs", "message"),
    [
        (["json=-", "text=-"], "standard output"),
        (["json={dir}/a", "html={dir}/a"], "two reports"),
        (["json={dir}"], "is a directory"),
        (["json={dir}/none/a"], "does not exist"),
    ],
)
def test_what_could_not_be_written_is_known_before_the_audit(
    tmp_path: Path, outputs: list[str], message: str
) -> None:
    wanted = [parse_output(text.format(dir=tmp_path)) for text in outputs]
    with pytest.raises(ConfigError, match=message):
        check_outputs(wanted)


def test_good_outputs_pass(tmp_path: Path) -> None:
    check_outputs([parse_output(f"json={tmp_path}/a"), parse_output("text=-")])
    check_outputs([])
