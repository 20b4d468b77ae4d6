"""The bench of the study cannot praise itself: one wrong number is said, and ends with 1. (The run: interop/test_study.)"""

import argparse
import subprocess

import pytest

import bench_study
from bench_study import target, told
from doorward.practice.study_fleet import STUDIES
from measures import study
from measures.processes import Broken, environment, python
from measures.study import SEPTEMBER, Check


def test_a_right_number_is_ok_and_a_wrong_one_is_said(capsys):
    right = Check(name="images", wanted=737_000_000, found=737_000_000)
    assert told("numbers", [right])
    assert not told("numbers", [right, Check(name="US", wanted=(187, 2), found=(186, 2))])
    said = capsys.readouterr().out
    assert "737,000,000  ok" in said
    assert "187 / 2  WRONG: 186 / 2" in said


@pytest.mark.parametrize(
    ("value", "bounds", "verdict"),
    (
        (299.9, {"most": 300.0}, "PASS"),
        (300.0, {"most": 300.0}, "MISS"),
        (160_000.0, {"least": 160_000.0}, "PASS"),
        (159_999.0, {"least": 160_000.0}, "MISS"),
    ),
)
def test_a_target_is_met_or_missed(value, bounds, verdict, capsys):
    assert target("it", value, "s", **bounds) is (verdict == "PASS")
    assert verdict in capsys.readouterr().out


def test_every_patient_and_every_study_of_whoever_answers_is_an_answer():
    systems = STUDIES[SEPTEMBER](1)
    exposed = sum(s.studies + s.patients for s in systems if s.is_unprotected)
    apart = sum(s.studies + s.patients for s in systems if s.is_set_apart)
    assert exposed > 24_300_000
    assert study.answers(systems) == exposed + apart


@pytest.mark.parametrize(
    ("is_right", "is_met", "strict", "code"),
    (
        (True, True, False, 0),
        (True, False, False, 0),
        (True, False, True, 1),
        (False, True, False, 1),
    ),
)
def test_only_wrong_numbers_fail_unless_strict(monkeypatch, capsys, is_right, is_met, strict, code):
    chosen = argparse.Namespace(scale=1, sixty_days=False, strict=strict)
    monkeypatch.setattr(bench_study, "options", lambda: chosen)
    monkeypatch.setattr(bench_study, "surveyed", lambda *_: (is_right, is_met))
    assert bench_study.main() == code
    assert ("WRONG" in capsys.readouterr().out) is not is_right


def test_a_fleet_that_does_not_start_is_broken(monkeypatch, capsys):
    def broken(*_: object) -> tuple[bool, bool]:
        raise Broken("study-2019 did not start")

    chosen = argparse.Namespace(scale=1, sixty_days=False, strict=False)
    monkeypatch.setattr(bench_study, "options", lambda: chosen)
    monkeypatch.setattr(bench_study, "surveyed", broken)
    assert bench_study.main() == 1
    assert "BROKEN" in capsys.readouterr().out


def test_the_memory_of_a_survey_is_its_own_and_not_what_its_parent_had(tmp_path):
    ballast = b"x" * 300_000_000
    note = tmp_path / "peak"
    command = python("measures.observed", note, "--version")
    subprocess.run(command, env=environment(), check=True, capture_output=True, timeout=15)
    assert 5_000 < int(note.read_text()) < len(ballast) // 2_000
