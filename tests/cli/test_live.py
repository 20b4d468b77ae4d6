"""What is said while a survey runs: plain lines where nobody looks, no escapes from strangers, spans as people say them."""

from dataclasses import replace

import pytest

from doorward.audit.facts import Attempt, Endpoint, Outcome
from doorward.audit.targets import Target
from doorward.audit.traffic import Traffic
from doorward.cli import live
from doorward.cli.live import SurveyScreen, span
from judged_systems import HOSTILE, facts
from ledgers import standing


def _screen(**more: bool) -> SurveyScreen:
    return SurveyScreen(systems=2_300, done=10, unprotected=4, **more)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.2, "0 s"),
        (38, "38 s"),
        (89, "89 s"),
        (90, "2 min"),
        (85 * 60, "85 min"),
        (3.5 * 3600, "3.5 h"),
        (47 * 3600, "47.0 h"),
        (60 * 3600, "2.5 days"),
    ],
)
def test_a_span_of_time_is_said_as_people_say_it(seconds: float, words: str) -> None:
    assert span(seconds) == words


def test_what_was_done_in_an_earlier_life_counts(capsys: pytest.CaptureFixture[str]) -> None:
    with _screen().following(Traffic()) as screen:
        screen.judged(standing())
        screen.judged(standing("192.0.2.2", rungs=("E1", "E2")))
        said = screen.sentence()
    assert said.startswith("12 of 2,300 systems, 5 open, worst: a stranger is told the studies, ")
    assert said.rpartition("about ")[2].endswith(" left")
    assert capsys.readouterr().err.startswith("doorward: 12 of 2,300 systems, 5 open, ")


def test_honeypots_are_not_among_the_open(capsys: pytest.CaptureFixture[str]) -> None:
    with _screen() as screen:
        screen.judged(replace(standing(), is_suspected=True))
    assert "11 of 2,300 systems, 4 open" in capsys.readouterr().err


@pytest.mark.parametrize(("every_s", "lines"), [(0.0, 4), (3600.0, 1)])
def test_without_a_terminal_a_plain_line_comes_now_and_then(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    every_s: float,
    lines: int,
) -> None:
    monkeypatch.setattr(live, "_LINE_EVERY_S", every_s)
    with _screen() as screen:
        for number in range(3):
            screen.system_started(Target(host=f"192.0.2.{number}"))
            screen.system_finished(facts(f"192.0.2.{number}"))
            screen.judged(standing(f"192.0.2.{number}"))
    said = capsys.readouterr()
    assert said.out == ""
    assert len(said.err.splitlines()) == lines
    assert "\x1b" not in said.err


def test_verbose_says_every_question_and_nothing_that_steers_a_terminal(
    capsys: pytest.CaptureFixture[str],
) -> None:
    attempt = Attempt(
        probe="association",
        endpoint=Endpoint(address="127.0.0.1", port=4242),
        outcome=Outcome.INCONCLUSIVE,
        reason=f"silence {HOSTILE}\x1b[31m",
    )
    with _screen(verbose=True) as screen:
        screen.probe_finished(attempt)
        screen.probe_finished(replace(attempt, outcome=Outcome.ANSWERED, reason=""))
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith("doorward: 127.0.0.1:4242 association: inconclusive, silence")
    assert lines[1] == "doorward: 127.0.0.1:4242 association: answered"
    assert "\x1b" not in "".join(lines)


def test_a_wait_for_the_hours_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    with _screen() as screen:
        screen.waiting(2 * 3600)
    first = capsys.readouterr().err.splitlines()[0]
    assert first == "doorward: outside the time window, which opens in 2.0 h; Ctrl-C ends the wait"
