"""Progress goes to standard error, and only where somebody looks."""

import pytest

from doorward.audit.facts import Attempt, Endpoint, Outcome
from doorward.audit.targets import Target
from doorward.cli.progress import Progress
from judged_systems import HOSTILE, facts


def _play(*, verbose: bool) -> Progress:
    attempt = Attempt(
        probe="association",
        endpoint=Endpoint(address="127.0.0.1", port=4242),
        outcome=Outcome.INCONCLUSIVE,
        reason=f"silence {HOSTILE}",
        connections=2,
        duration_s=1.25,
    )
    with Progress(targets=2, verbose=verbose) as progress:
        progress.system_started(Target(host="127.0.0.1"))
        progress.probe_finished(attempt)
        progress.system_finished(facts("127.0.0.1"))
    return progress


def test_a_pipe_sees_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    _play(verbose=False)
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.strip() == ""


def test_verbose_says_every_question_without_escapes(capsys: pytest.CaptureFixture[str]) -> None:
    _play(verbose=True)
    said = capsys.readouterr()
    assert said.out == ""
    lines = said.err.splitlines()
    assert lines[0] == "127.0.0.1: started"
    assert lines[1].startswith("127.0.0.1:4242 association: inconclusive, silence <script>")
    assert lines[1].endswith("(2 connections, 1.2 s)")
    assert "[red]" in lines[1]
    assert "\x1b" not in said.err


def test_what_is_finished_is_kept_for_an_interrupted_audit() -> None:
    assert [system.address for system in _play(verbose=False).finished] == ["127.0.0.1"]
