"""The comparison as text: what changed first, numbers whole on every screen, no markup from strangers."""

import io
from datetime import UTC, datetime

import pytest
from rich.console import Console

from doorward.audit.changes import Survey
from doorward.audit.compare import compare
from doorward.audit.report.comparison import ComparisonReport, SideRecord, comparison_report
from doorward.audit.report.comparison_terminal import comparison_text, print_comparison
from standings import AT_LEAST, counts, refused, shut, unprotected, unsettled


def report(before, after) -> ComparisonReport:
    sides = [Survey(systems=systems, clearance_level=2) for systems in (before, after)]
    first, second = (
        SideRecord(label=label, started_at=datetime(2026, month, 1, tzinfo=UTC), clearance_level=2)
        for label, month in (("autumn", 9), ("", 11))
    )
    return comparison_report(compare(*sides), before=first, after=second, version="0.1.0")


SOME = report(
    [
        unprotected("192.0.2.1", studies=1_000_000),
        unprotected("192.0.2.2", "AT", studies=20),
        unprotected("192.0.2.3", studies=30),
        unprotected("192.0.2.5", "AT", counts=counts(500, exactness=AT_LEAST)),
        shut("192.0.2.4", "FR"),
    ],
    [
        unprotected("192.0.2.1", studies=1_234_567),
        refused("192.0.2.2", "AT"),
        unsettled("192.0.2.3"),
        unprotected("192.0.2.4", "FR", name="pacs.example", studies=7),
        unprotected("192.0.2.6", studies=8, port=4242),
    ],
)

EXPECTED = """\
4 systems were open to strangers before, 3 now: 2 closed or gone, 2 new.
1 system that was open gave no answer that settles it: that is no sign of safety. 1 system of those
gone was not in the later survey's list, and so not asked.

     Open systems
      4  open on 2026-09-01
     -0  closed: asked again, and strangers are turned away
     -2  gone: nobody answers there any more
     -1  not known: not asked again, or no answer settles it
     +1  newly open: asked before, and were not
     +1  newly listed: were no target before
     +0  found because the method improved: open before, or not asked then
      3  open on 2026-11-01
"""


def test_the_text_begins_with_what_changed_and_how_it_adds_up() -> None:
    assert comparison_text(SOME).startswith(EXPECTED)


def lines(text: str, first: str) -> list[str]:
    return [" ".join(line.split()) for line in text.splitlines() if line.strip().startswith(first)]


def test_the_text_shows_where_growth_comes_from() -> None:
    text = comparison_text(SOME)
    assert lines(text, "before")[0].startswith("before at least 1,000,550 at least 1,000,550")
    assert lines(text, "left")[0].startswith("left - at least 550 - at least 550")
    assert lines(text, "grown")[0].startswith("grown +234,567 +234,567 +2,345,670")
    assert lines(text, "new")[0].startswith("new +15 +15 +150 +150")


@pytest.mark.parametrize("width", [40, 60, 80, 100, 200])
def test_no_number_is_cut_on_any_screen(width: int) -> None:
    text = comparison_text(SOME, width=width)
    assert "…" not in text
    assert max(map(len, text.splitlines())) <= width
    growth = text[text.index("What lies open") : text.index("Countries")]
    assert " DE " in text
    assert "192.0.2.4" in text
    for number in ("1,000,550", "1,234,582", "+234,567", "+2,345,670"):
        assert number in growth


def test_countries_that_are_clean_or_new_are_named() -> None:
    text = comparison_text(SOME)
    assert "1 country clean: AT" in text
    assert "1 country new: FR" in text
    assert lines(text, "AT")[0] == "AT 2 2 0 0 at least 520 -"


def test_each_new_system_is_named_with_the_reason() -> None:
    text = comparison_text(SOME)
    named = lines(text, "192.0.2.4 (pacs.example)")
    assert named[0].startswith("192.0.2.4 (pacs.example) FR 7 studies port 104 was asked before")
    assert "Were open, and are not known to be shut: 1" in text


def test_a_long_list_says_how_many_it_leaves_out() -> None:
    text = comparison_text(report([], [unprotected(f"192.0.2.{n}") for n in range(13)]))
    assert "and 3 more (the JSON document has all of them)" in text


def test_two_surveys_without_anything_open_are_told_in_a_few_lines() -> None:
    text = comparison_text(report([shut("192.0.2.1")], [shut("192.0.2.1")]))
    assert text.startswith("0 systems were open to strangers before, 0 now")
    assert "What lies open" not in text
    assert "Countries" not in text


def test_a_stranger_cannot_write_markup_or_escapes() -> None:
    hostile = unprotected("192.0.2.1", name="[red]x[/red]\x1b[2J\u202e")
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, color_system="standard", width=100)
    print_comparison(report([], [hostile]), console)
    shown = out.getvalue()
    assert "[red]x[/red]?[2J?" in shown
    for sequence in shown.split("\x1b")[1:]:
        assert sequence[1:].lstrip("0123456789;")[0] == "m"
