"""Whom to visit and what they answered: each address once, each answer once, nothing lost by a kill."""

import os
import random
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from sqlite3 import connect

import pytest

from doorward.audit.facts import AttributeFacts, Outcome
from doorward.audit.ledger.ledger import Ledger
from doorward.audit.ledger.records import Added
from doorward.audit.ledger.systems import storable
from doorward.audit.place import Place
from doorward.audit.targets import Target
from doorward.errors import ConfigError
from doorward.limits import Limits
from ledgers import addressed, attempt, finish_all, plan, planned, standing

SOURCE = Path(__file__).resolve().parents[3] / "src"
TESTS = Path(__file__).resolve().parents[2]


@pytest.fixture
def file(tmp_path):
    return tmp_path / "ledger"


@pytest.fixture
def ledger(file):
    with Ledger.open(file) as ledger:
        yield ledger


# --- planning ---


def test_an_address_that_comes_twice_is_one_system_with_all_ports(ledger):
    scan = ledger.begin(plan())
    first = Target(host="192.0.2.1", ports=(104,), is_swept=True)
    named = Target(host="pacs.example", ports=(11112,), place=Place(site="North"))
    added = ledger.add(scan, [(first, "192.0.2.1", ""), (named, "192.0.2.1", "")])
    assert added == Added(new=1, merged=1)
    (visitee,) = ledger.waiting(scan, 10)
    assert visitee.address == "192.0.2.1"
    assert visitee.target.ports == (104, 11112)
    assert visitee.target.place.site == "North"
    assert not visitee.target.is_swept


def test_a_name_that_could_not_be_resolved_is_a_system_with_the_reason(ledger):
    scan = ledger.begin(plan())
    ledger.add(scan, [(Target(host="pacs.example"), "pacs.example", "name not known \udc80")])
    (visitee,) = ledger.waiting(scan, 10)
    assert (visitee.address, visitee.unknown) == ("pacs.example", "name not known ?")


def test_a_number_leads_to_its_target_and_one_of_nobody_is_a_clear_error(ledger):
    scan = planned(ledger, "192.0.2.1")
    (visitee,) = ledger.waiting(scan, 1)
    assert ledger.target(visitee.number) == visitee.target
    with pytest.raises(ConfigError, match="no system"):
        ledger.target(77)


def test_two_surveys_do_not_share_systems(ledger):
    first, second = planned(ledger, "192.0.2.1"), planned(ledger, "192.0.2.1")
    assert ledger.progress(first).systems == ledger.progress(second).systems == 1
    assert ledger.waiting(first, 9)[0].number != ledger.waiting(second, 9)[0].number


def test_planning_again_after_a_kill_changes_nothing(ledger):
    scan = ledger.begin(plan())
    once = list(addressed("192.0.2.1", "192.0.2.2"))
    ledger.add(scan, once)
    assert ledger.add(scan, [*once, *addressed("192.0.2.3")]) == Added(new=1, merged=2)
    assert [v.target for v in ledger.waiting(scan, 9)][:2] == [target for target, *_ in once]
    assert ledger.progress(scan).systems == 3


def test_a_list_that_breaks_off_keeps_the_whole_thousands_before(file):
    def broken():
        yield from addressed(*(f"10.0.0.{n}" for n in range(25)))
        raise ConfigError("a line that cannot be read")

    with Ledger.open(file, limits=Limits(ledger_rows_at_a_time=10)) as ledger:
        scan = ledger.begin(plan())
        with pytest.raises(ConfigError, match="a line"):
            ledger.add(scan, broken())
        assert ledger.progress(scan).systems == 20
        assert not ledger.planned(scan)


def test_a_done_system_that_gets_another_port_waits_again_with_its_answers(ledger):
    scan = planned(ledger, "192.0.2.1", "192.0.2.2")
    finish_all(ledger, scan)
    assert ledger.waiting(scan, 9) == []
    ledger.add(scan, addressed("192.0.2.1", "192.0.2.2", ports=(104,)))
    assert ledger.waiting(scan, 9) == []
    ledger.add(scan, addressed("192.0.2.1", ports=(11112,)))
    (visitee,) = ledger.waiting(scan, 9)
    assert visitee.target.ports == (104, 11112)
    assert visitee.answered == (attempt("192.0.2.1"),)
    assert ledger.progress(scan).done == 1


PLANNER = """
import resource, sys
from pathlib import Path
from ledgers import plan
from doorward.audit.ledger.ledger import Ledger
from doorward.audit.targets import Target

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

def systems(first, end):
    for n in range(first, end):
        address = f"10.{n >> 16}.{n >> 8 & 255}.{n & 255}"
        yield Target(host=address, is_swept=True), address, ""

with Ledger.open(Path(sys.argv[1])) as ledger:
    scan = ledger.begin(plan())
    ledger.add(scan, systems(0, 20_000))
    before = peak()
    ledger.add(scan, systems(20_000, 300_000))
    print(peak() - before, ledger.progress(scan).systems, len(ledger.waiting(scan, 5)))
"""


@pytest.mark.slow
@pytest.mark.timeout(90)  # five seconds, on a machine that is not shared
def test_adding_hundreds_of_thousands_of_systems_takes_no_memory_for_each(file):
    run = subprocess.run(
        [sys.executable, "-c", PLANNER, str(file)],
        env={**os.environ, "PYTHONPATH": f"{SOURCE}:{TESTS}"},
        stdout=subprocess.PIPE,
        check=True,
    )
    grown, systems, waiting = map(int, run.stdout.split())
    assert (systems, waiting) == (300_000, 5)
    # A list of them takes 30 MB.
    assert grown < 10_000_000


def test_what_is_visited_is_not_handed_out_again_for_a_further_port(ledger):
    scan = planned(ledger, "192.0.2.1")
    assert len(ledger.waiting(scan, 9)) == 1
    ledger.add(scan, addressed("192.0.2.1", ports=(11112,)))
    assert ledger.waiting(scan, 9) == []


# --- handing out ---


def test_systems_are_handed_out_once_and_least_number_first(ledger):
    scan = planned(ledger, *(f"192.0.2.{n}" for n in range(1, 8)))
    first, rest = ledger.waiting(scan, 3), ledger.waiting(scan, 9)
    assert [v.address for v in first + rest] == [f"192.0.2.{n}" for n in range(1, 8)]
    assert [v.number for v in first + rest] == sorted(v.number for v in first + rest)
    assert ledger.waiting(scan, 9) == []


def test_one_that_is_put_back_comes_again_before_the_others_with_its_answers(ledger):
    scan = planned(ledger, *(f"192.0.2.{n}" for n in range(1, 5)))
    first, second = ledger.waiting(scan, 2)
    ledger.answered(scan, second.number, attempt(port=1))
    ledger.put_back(scan, second.number)
    ledger.put_back(scan, second.number)
    again = ledger.waiting(scan, 2)
    assert [v.address for v in again] == ["192.0.2.2", "192.0.2.3"]
    assert again[0].answered == (attempt(port=1),)
    assert first.number not in [v.number for v in ledger.waiting(scan, 9)]


def test_one_that_was_never_handed_out_is_not_handed_out_twice_for_being_put_back(ledger):
    scan = planned(ledger, "192.0.2.1", "192.0.2.2")
    (first,) = ledger.waiting(scan, 1)
    ledger.put_back(scan, first.number + 1)
    assert [v.address for v in ledger.waiting(scan, 9)] == ["192.0.2.2"]
    assert ledger.waiting(scan, 9) == []


def test_one_that_was_put_back_and_is_judged_meanwhile_does_not_come_again(ledger):
    scan = planned(ledger, "192.0.2.1")
    (visitee,) = ledger.waiting(scan, 1)
    ledger.put_back(scan, visitee.number)
    ledger.finished(scan, visitee.number, standing(), "{}")
    assert ledger.waiting(scan, 9) == []


def test_more_than_a_thousand_at_once_can_be_handed_out(ledger):
    scan = planned(ledger, *(f"10.0.{n >> 8}.{n & 255}" for n in range(1_500)))
    assert len(ledger.waiting(scan, 5_000)) == 1_500


# --- answers ---


def test_answers_come_back_in_the_order_of_asking(ledger, file):
    scan = planned(ledger, "192.0.2.1")
    (visitee,) = ledger.waiting(scan, 1)
    made = [attempt(port=port, outcome=outcome) for port in (9, 104, 3) for outcome in Outcome]
    for one in made:
        assert ledger.answered(scan, visitee.number, one)
    ledger.close()
    with Ledger.open(file) as again:
        assert again.waiting(scan, 1)[0].answered == tuple(made)


def test_the_same_answer_twice_is_one_answer(ledger):
    scan = planned(ledger, "192.0.2.1")
    (visitee,) = ledger.waiting(scan, 1)
    assert ledger.answered(scan, visitee.number, attempt())
    assert not ledger.answered(scan, visitee.number, attempt())
    assert ledger.answered(scan, visitee.number, attempt(probe="association"))
    assert ledger.progress(scan).answers == 2
    assert ledger.progress(scan).connections == 2


def test_an_answer_to_nobody_is_refused(ledger):
    scan = planned(ledger, "192.0.2.1")
    with pytest.raises(ConfigError, match="does not have what this belongs to"):
        ledger.answered(scan, 77, attempt())


def test_an_answer_beyond_the_bound_is_kept_as_inconclusive(file):
    with Ledger.open(file, limits=Limits(answer_bytes=2_000)) as ledger:
        scan = planned(ledger, "192.0.2.1")
        (visitee,) = ledger.waiting(scan, 1)
        ledger.put_back(scan, visitee.number)
        long = AttributeFacts(returned={f"Keyword{n}": n for n in range(500)})
        ledger.answered(scan, visitee.number, replace(attempt(), facts=long))
        (again,) = ledger.waiting(scan, 1)
        assert again.answered[0].outcome is Outcome.INCONCLUSIVE


def test_more_answers_of_one_system_than_any_audit_gives_are_refused_before_they_are_read(file):
    with Ledger.open(file) as ledger:
        scan = planned(ledger, "192.0.2.1")
        (visitee,) = ledger.waiting(scan, 1)
        for number in range(3):
            ledger.answered(scan, visitee.number, replace(attempt(), reason=str(number)))
        ledger.put_back(scan, visitee.number)
    with (
        Ledger.open(file, limits=Limits(answers_per_system=2)) as ledger,
        pytest.raises(ConfigError, match="more than 2 answers"),
    ):
        ledger.waiting(scan, 1)


def test_an_answer_that_somebody_changed_is_one_clear_error(file):
    with Ledger.open(file) as ledger:
        scan = planned(ledger, "192.0.2.1")
        (visitee,) = ledger.waiting(scan, 1)
        ledger.answered(scan, visitee.number, attempt())
    with connect(file) as connection:
        connection.execute("UPDATE answers SET attempt = '{\"probe\":3}'")
    connection.close()
    with Ledger.open(file) as ledger, pytest.raises(ConfigError, match="probe") as caught:
        ledger.waiting(scan, 1)
    assert caught.value.file == file


def test_half_a_surrogate_becomes_a_question_mark():
    assert storable("a\ud800b") == "a?b"


# --- killed ---

WRITER = """
import sys
from dataclasses import replace
from pathlib import Path
from ledgers import addressed, attempt, plan, standing
from doorward.audit.ledger.ledger import Ledger

with Ledger.open(Path(sys.argv[1])) as ledger:
    row = ledger.unfinished()
    scan = ledger.begin(plan()) if row is None else row.number
    if not ledger.planned(scan):
        ledger.add(scan, addressed(*(f"10.0.{n >> 8}.{n & 255}" for n in range(5_000))))
        ledger.mark_planned(scan, 5_000)
    print("ready", flush=True)
    while visitees := ledger.waiting(scan, 16):
        for visitee in visitees:
            asked = {made.endpoint.port for made in visitee.answered}
            for port in range(6):
                if port not in asked:
                    ledger.answered(scan, visitee.number, attempt(visitee.address, port=port))
                    sys.stdout.write(f"{visitee.number} {port}\\n")
                    sys.stdout.flush()
            ledger.finished(scan, visitee.number, standing(visitee.address), "{}")
            sys.stdout.write(f"{visitee.number} done\\n")
            sys.stdout.flush()
"""


def test_every_answer_that_was_acknowledged_survives_a_kill_at_any_moment(file):
    chance = random.Random(4)
    acknowledged: list[str] = []
    for _ in range(12):
        with subprocess.Popen(
            [sys.executable, "-c", WRITER, str(file)],
            env={**os.environ, "PYTHONPATH": f"{SOURCE}:{TESTS}"},
            stdout=subprocess.PIPE,
            text=True,
        ) as process:
            assert process.stdout is not None
            lines = chance.choice((0, 1, 5, 40, 400))
            acknowledged += [process.stdout.readline().strip() for _ in range(lines)]
            process.kill()
            # What it had said before it died counts too.
            rest = process.stdout.read()
            acknowledged += rest[: rest.rfind("\n") + 1].split("\n")
    spoken = {tuple(line.split()) for line in acknowledged if line and line != "ready"}
    assert len(spoken) > 300
    connection = connect(file)
    assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    answers = connection.execute("SELECT system, port FROM answers").fetchall()
    done = connection.execute("SELECT system FROM verdicts").fetchall()
    connection.close()
    assert len(answers) == len(set(answers)), "asked twice"
    kept = {(str(system), str(port)) for system, port in answers}
    kept |= {(str(system), "done") for (system,) in done}
    assert spoken <= kept
    # At most one more per life: written, and killed before it was said.
    assert len(kept - spoken) <= 12


def test_the_addresses_of_those_who_wait_come_page_by_page(file):
    with Ledger.open(file, limits=Limits(ledger_rows_at_a_time=2)) as ledger:
        scan = planned(ledger, *(f"192.0.2.{n}" for n in range(1, 6)))
        other = planned(ledger, "192.0.2.99")
        finish_all(ledger, other)
        assert list(ledger.addresses(scan)) == [f"192.0.2.{n}" for n in range(1, 6)]
        assert list(ledger.addresses(other)) == []
