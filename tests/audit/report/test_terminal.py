"""The terminal report: golden texts, no colours in a pipe, no markup from strangers."""

import io
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from doorward.audit.report.assemble import assemble
from doorward.audit.report.terminal import print_report, report_text
from doorward.audit.verdict import JudgedSystem, Severity, Verdict
from judged_systems import HOSTILE_SYSTEM, OPEN, RECORD, SHUT, SILENT, WRITABLE, facts, finding

GOLDEN = Path(__file__).parent / "golden"


@pytest.mark.parametrize(
    ("name", "systems"),
    [
        ("open", [OPEN]),
        ("writable", [WRITABLE]),
        ("shut", [SHUT]),
        ("several", [SHUT, SILENT, WRITABLE, OPEN]),
    ],
)
def test_the_report_reads_like_the_golden_text(name: str, systems: list[JudgedSystem]) -> None:
    expected = (GOLDEN / f"{name}.txt").read_text(encoding="utf-8")
    assert report_text(assemble(systems, RECORD)) == expected


def test_a_text_report_holds_no_escape_sequence() -> None:
    text = report_text(assemble([OPEN, HOSTILE_SYSTEM], RECORD), verbose=True)
    assert not any(ord(c) < 32 and c != "\n" for c in text)
    assert "\x7f" not in text


def test_a_stranger_cannot_write_markup_or_escapes() -> None:
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, color_system="standard", width=100)
    print_report(assemble([HOSTILE_SYSTEM], RECORD), console, verbose=True)
    shown = out.getvalue()
    assert "[red]DCMTK[/red]" in shown
    assert "\x9b" not in shown
    assert "\u202e" not in shown
    # What starts an escape sequence is ours: colours and attributes, nothing that moves or clears.
    for sequence in shown.split("\x1b")[1:]:
        assert sequence[0] == "["
        assert sequence[1:].lstrip("0123456789;")[0] == "m"


def test_no_colour_is_used_when_the_operator_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    out = io.StringIO()
    print_report(assemble([OPEN], RECORD), Console(file=out, force_terminal=True, width=100))
    assert "\x1b[31" not in out.getvalue()
    assert "\x1b[1;31" not in out.getvalue()


@pytest.mark.parametrize("width", [40, 80, 200])
def test_the_report_keeps_its_width(width: int) -> None:
    commands = "doorward audit"
    lines = report_text(assemble([OPEN, WRITABLE], RECORD), width=width).splitlines()
    assert all(len(line) <= min(width, 100) for line in lines if commands not in line)


def test_a_command_is_never_broken() -> None:
    text = report_text(assemble([OPEN], RECORD), width=40)
    assert "doorward audit 10.20.0.7:4242 --scope scope.toml" in text


def test_verbose_lists_what_is_in_order_and_what_was_not_tested() -> None:
    report = assemble([OPEN, SILENT], RECORD)
    brief, full = report_text(report), report_text(report, verbose=True)
    assert "No patient attribute comes back" not in brief
    assert "No patient attribute comes back" in full
    assert "127.0.0.3  not rated" not in brief
    assert "127.0.0.3  not rated" in full


def test_a_sweep_names_three_quiet_addresses_and_counts_the_rest() -> None:
    quiet = [
        JudgedSystem(
            facts=facts(f"127.0.2.{i}"),
            services=SILENT.services,
            counts=SILENT.counts,
            rungs=("E0",),
            findings=SILENT.findings,
            grade="not rated",
            score=None,
        )
        for i in range(250)
    ]
    text = report_text(assemble([SHUT, *quiet], RECORD))
    assert (
        "No DICOM answered at 250 addresses: 127.0.2.0, 127.0.2.1, 127.0.2.2 and 247 more" in text
    )
    assert len(text.splitlines()) < 30


def test_in_brief_smaller_things_are_names_and_verbose_gives_their_steps() -> None:
    small = finding(
        "tls_cipher_weak",
        Verdict.FAIL,
        Severity.MEDIUM,
        "A modern cipher suite is negotiated",
        evidence="EVIDENCE",
        remediation="ADVICE",
    )
    report = assemble([replace(OPEN, findings=(*OPEN.findings, small))], RECORD)
    brief, full = report_text(report), report_text(report, verbose=True)
    assert "Smaller things\n     medium    A modern cipher suite is negotiated\n" in brief
    assert "EVIDENCE" not in brief
    assert "ADVICE" not in brief
    assert "EVIDENCE" in full
    assert "ADVICE" in full


def test_where_there_is_nothing_grave_the_smaller_steps_are_given() -> None:
    small = finding("x", Verdict.FAIL, Severity.MEDIUM, "T", remediation="ADVICE", verify="CHECK")
    text = report_text(assemble([replace(SHUT, findings=(*SHUT.findings, small))], RECORD))
    assert "1. ADVICE" in text
    assert "CHECK" in text
