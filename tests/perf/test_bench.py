"""The bench runs, and it cannot praise itself: what it says about a ratio is checked here, never the speed itself."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import bench
from doorward.audit.count import MatchCounter
from doorward.limits import DEFAULT_LIMITS
from doorward.wire.command import CFindRequest, CFindResponse
from doorward.wire.decode import decode_values
from doorward.wire.dimse import decode_command
from doorward.wire.framing import Framer
from measures import doors, pdus
from measures.figures import Figure, Missing, compared, rate, table
from measures.processes import Broken

ROOT = Path(__file__).resolve().parents[2]


def run_bench(*arguments, environment=None):
    return subprocess.run(
        [sys.executable, "tools/bench.py", *arguments],
        cwd=ROOT,
        env={**os.environ, **(environment or {})},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.peer("pynetdicom")
@pytest.mark.slow
@pytest.mark.timeout(60)  # two cores may be wanted by others
def test_every_server_and_contestant_still_runs():
    done = run_bench("--tiny", "--only", "a", "c", "d")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 broken" in done.stdout
    for row in ("doorward counts", "doorward / pynetdicom", "idle associations"):
        assert row in done.stdout


@pytest.mark.slow
@pytest.mark.timeout(60)
def test_the_audit_of_every_door_finds_each_as_it_stands():
    done = run_bench("--tiny", "--only", "f")
    assert done.returncode == 0, done.stdout + done.stderr
    if "cannot be had" in done.stdout:
        pytest.skip("a well-known port is taken or not ours to take")
    assert "doorward, 2 systems of 8 doors" in done.stdout


@pytest.mark.slow
@pytest.mark.timeout(60)
def test_blobs_are_measured_beside_the_disk_alone():
    done = run_bench("--tiny", "--only", "g")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "blobs / the disk alone, 525 KB, 8 at a time" in done.stdout


def test_an_audit_that_missed_a_door_is_no_figure():
    ports = {door: numbers[0] for door, numbers in doors.DOORS.items()}
    found = dict.fromkeys(doors._EXPECTED.values(), 2)
    doors._require(found, 4, ports)
    for name in found:
        with pytest.raises(Broken, match=name):
            doors._require(found | {name: 1}, 4, ports)
    with pytest.raises(Broken, match="fault of ours"):
        doors._require(found | {"faults": 1}, 4, ports)


def test_a_ratio_is_that_of_the_rounds_and_not_of_the_best_ones():
    row = compared("a", "x", [10.0, 40.0, 30.0], [1.0, 2.0, 10.0], target=11.0)
    assert (row.ratio, row.spread) == (10.0, (3.0, 20.0))
    assert row.verdict == "MISS"


@pytest.mark.parametrize(
    ("ratio", "target", "verdict"),
    ((10.0, 10.0, "PASS"), (9.99, 10.0, "MISS"), (None, 10.0, "MISS"), (0.1, None, "")),
)
def test_a_target_is_reached_or_missed(ratio, target, verdict):
    row = Figure(group="a", name="x", value="", ratio=ratio, target=target)
    assert row.verdict == verdict


def test_what_could_not_be_measured_is_a_line_of_the_table():
    rows = [
        rate("a", "ours", [1.0, 3.0, 2_000.0], "things/s"),
        Missing(group="b", name="nmap", reason="absent"),
    ]
    lines = table(rows).splitlines()
    assert "3 things/s" in lines[1]
    assert lines[2].endswith("not measured: absent")


@pytest.mark.parametrize(
    ("broken", "is_strict", "code"), (([], False, 0), ([], True, 1), (["(a) it fell"], False, 1))
)
def test_a_miss_is_said_loudly_and_fails_only_when_asked_to(capsys, broken, is_strict, code):
    missed = compared("a", "ours / theirs", [1.0], [2.0], target=1.0)
    assert bench.verdict([missed], broken, is_strict=is_strict, seconds=1.0) == code
    said = capsys.readouterr().out
    assert "MISSED: (a) ours / theirs: 0.50x, wanted 1x" in said
    assert "0 of 1 targets reached" in said
    assert all(f"BROKEN: {fault}" in said for fault in broken)


def test_the_prepared_answers_are_what_an_archive_would_send():
    request = CFindRequest(message_id=7, affected_sop_class_uid="1.2")
    buffer, size = pdus.answers(request, 3, 5)
    assert len(buffer) == 5 * size
    framer, counter, answered = Framer(DEFAULT_LIMITS), MatchCounter(asked=4), 0
    for _, start, end in framer.cut(buffer):
        ((context_id, control, fragment),) = decode_values(framer.buffer, start, end)
        assert context_id == 3
        if control & 1:
            command = decode_command(fragment, DEFAULT_LIMITS)
            assert isinstance(command, CFindResponse)
            assert (command.message_id_being_responded_to, command.status) == (7, 0xFF00)
        else:
            answered += 1
            assert 110 <= len(fragment) <= 130
            counter.take(0xFF00, fragment)
    assert (answered, counter.with_instances, counter.malformed) == (5, 5, 0)
    assert counter.instances == pdus.images_in(5)
