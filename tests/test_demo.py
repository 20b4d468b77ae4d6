"""`make demo` does the main job by itself: audits archives whose truth is known, and leaves a report that is right."""

import json
import os
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

import demo
from doorward.practice.holding import Holding

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """The demo as `make demo` runs it, in a folder of its own."""
    folder = tmp_path_factory.mktemp("demo")
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONASYNCIODEBUG"}
    done = subprocess.run(
        [sys.executable, ROOT / "tools" / "demo.py"],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=58,
        check=False,
    )
    return folder, done


@pytest.mark.timeout(60)
def test_demo_ends_by_itself_within_a_minute_and_every_verdict_is_right(ran):
    _, done = ran
    assert done.returncode == 0, done.stdout[-2_000:] + done.stderr[-2_000:]
    assert "DIFFERS" not in done.stdout


def test_demo_leaves_a_report_that_keeps_to_its_schema(ran):
    folder, _ = ran
    report = json.loads((folder / "demo" / "report.json").read_text())
    schema = json.loads((ROOT / "docs" / "report.schema.json").read_text())
    Draft202012Validator(schema).validate(report)
    assert len(report["systems"]) >= len(demo.ARCHIVES)


def test_demo_says_where_the_page_is_and_the_page_is_whole(ran):
    folder, done = ran
    page = folder / "demo" / "report.html"
    assert str(page) in done.stdout
    text = page.read_text()
    HTMLParser().feed(text)
    assert text.rstrip().endswith("</html>")


def test_no_patient_value_is_in_anything_that_the_demo_shows_or_leaves(ran):
    folder, done = ran
    shown = done.stdout + done.stderr
    shown += "".join(file.read_text() for file in (folder / "demo").iterdir())
    seeds = [*range(1, len(demo.ARCHIVES) + 1), demo.demo_orthanc.HOLDING.seed]
    canaries = {canary for seed in seeds for canary in Holding(seed=seed).canaries}
    assert not [canary for canary in canaries if canary in shown]


@pytest.mark.peer("orthanc")
def test_demo_takes_real_archives_where_they_are_installed(ran):
    _, done = ran
    assert "Orthanc, opened" in done.stdout
    assert "Orthanc, as it comes" in done.stdout


def test_nothing_of_the_demo_is_left_running(ran):
    _, done = ran
    assert done.returncode == 0
    commands = [path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline") if path.exists()]
    assert not [c for c in commands if b"doorward-demo-" in c or b"doorward-orthanc-" in c]


def test_difference_is_seen():
    known = [demo.Known(target="127.0.2.1:1", name="open", rungs=("E1",), counts=("1", "2"))]
    count = {"value": 1, "exactness": "exact_enumerated"}
    counts = {"studies": count, "images": count}
    system = {"address": "127.0.2.1", "ladder": ["E1"], "counts": counts}
    assert not demo.compare(known, {"systems": [system]})
    assert not demo.compare(known, {"systems": []})
    system["counts"]["images"] = {"value": 2, "exactness": "exact_enumerated"}
    assert demo.compare(known, {"systems": [system]})


@pytest.mark.parametrize(
    ("rungs", "words"),
    (((), ""), (("E1",), "E1"), (("E1", "E2", "E3", "E4", "E7", "T"), "E1-E4 E7 T")),
)
def test_rungs_are_shown_as_ranges(rungs, words):
    assert demo.short(rungs) == words
