"""`make demo` does the main job by itself: audits archives whose truth is known, and leaves a report that is right."""

import json
import os
import signal
import socket
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

import demo
import demo_archive
from doorward.practice.holding import Holding

ROOT = Path(__file__).resolve().parent.parent

#: Whichever test comes first waits for the whole demo.
pytestmark = pytest.mark.timeout(60)


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """The demo as `make demo` runs it, in a folder of its own."""
    folder = tmp_path_factory.mktemp("demo")
    (folder / "tmp").mkdir()
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONASYNCIODEBUG"}
    environment["TMPDIR"] = str(folder / "tmp")
    process = subprocess.Popen(
        [sys.executable, ROOT / "tools" / "demo.py"],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        shown, said = process.communicate(timeout=58)
    except BaseException:
        os.killpg(process.pid, signal.SIGKILL)  # its archives too
        process.wait()
        raise
    done = subprocess.CompletedProcess(process.args, process.returncode, shown, said)
    return folder, done


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


def test_our_own_archive_is_graded_best_with_no_question_left_open(ran):
    folder, done = ran
    report = json.loads((folder / "demo" / "report.json").read_text())
    ours = next(s for s in report["systems"] if s["address"] == demo_archive.ADDRESS)
    assert (ours["grade"], ours["ladder"]) == ("A+", ["E1"])
    assert demo.open_questions(ours) == 0
    assert len(ours["services"]) == 2
    assert done.stdout.count("  as it must\n") == 5


@pytest.mark.peer("dcmtk")
def test_demo_stores_and_asks_with_the_printed_commands_of_dcmtk(ran):
    _, done = ran
    assert "$ storescu -v -aet CT1 -aec DOORWARD +tls ct1-key.pem" in done.stdout
    assert "$ findscu -v -aet WS1 -aec DOORWARD +tls ws1-key.pem" in done.stdout


def test_without_dcmtk_our_own_client_tries_the_archive_in_the_same_way(monkeypatch, capsys):
    monkeypatch.setattr(demo_archive, "has_dcmtk", lambda: False)
    with demo_archive.running(demo.doorward(), demo.environment()) as archive:
        trials = demo_archive.try_it(archive)
    assert len(trials) == 5
    assert [trial.seen for trial in trials] == [trial.expected for trial in trials]
    assert "no DCMTK here" in capsys.readouterr().out
    assert not archive.folder.exists()


def test_archive_that_is_not_made_is_told():
    making = demo_archive.running(["false"], demo.environment())
    with pytest.raises(demo_archive.ArchiveFailed, match="it said nothing"):
        making.__enter__()


def test_port_that_is_taken_is_replaced_by_a_free_one():
    with socket.socket() as taken:
        taken.bind((demo_archive.ADDRESS, 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert demo_archive.free_port(port) not in (0, port)
    assert demo_archive.free_port(port) == port


@pytest.mark.peer("orthanc")
def test_an_open_orthanc_beside_it_gets_the_worst_grade(ran):
    _, done = ran
    assert "Orthanc, opened, 14 studies in it: grade F, strangers see 14 studies." in done.stdout
    assert "doorward archive, 14 studies in it: grade A+, strangers see nothing." in done.stdout


@pytest.mark.peer("orthanc")
def test_demo_takes_real_archives_where_they_are_installed(ran):
    _, done = ran
    assert "Orthanc, opened" in done.stdout
    assert "Orthanc, as it comes" in done.stdout


def test_nothing_of_the_demo_is_left_running_or_on_disk(ran):
    folder, done = ran
    assert done.returncode == 0
    assert not list((folder / "tmp").iterdir())
    commands = [path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline") if path.exists()]
    assert not [c for c in commands if b"doorward-demo-" in c or b"doorward-orthanc-" in c]


def test_difference_is_seen():
    known = [demo.Known(target="127.0.2.1:1", name="open", rungs=("E1",), counts=("1", "2"))]
    count = {"value": 1, "exactness": "exact_enumerated"}
    counts = {"studies": count, "images": count}
    system = {"address": "127.0.2.1", "ladder": ["E1"], "counts": counts}
    system |= {"grade": "F", "findings": []}
    assert not demo.compare(known, {"systems": [system]})
    assert not demo.compare(known, {"systems": []})
    system["counts"]["images"] = {"value": 2, "exactness": "exact_enumerated"}
    assert demo.compare(known, {"systems": [system]})
    better = [replace(known[0], grade="A+")]
    assert not demo.compare(better, {"systems": [system]})


def test_open_question_is_seen():
    known = [demo.Known(target="127.0.2.1:1", name="own", rungs=(), is_all_answered=True)]
    system = {"address": "127.0.2.1", "ladder": [], "counts": {}, "grade": "A+"}
    system["findings"] = [{"verdict": "not_tested", "port": None}, {"verdict": "pass", "port": 1}]
    assert demo.compare(known, {"systems": [system]})
    system["findings"] = [{"verdict": "inconclusive", "port": 1}]
    assert not demo.compare(known, {"systems": [system]})


@pytest.mark.parametrize(
    ("rungs", "words"),
    (((), ""), (("E1",), "E1"), (("E1", "E2", "E3", "E4", "E7", "T"), "E1-E4 E7 T")),
)
def test_rungs_are_shown_as_ranges(rungs, words):
    assert demo.short(rungs) == words
