"""Sensors with the real nats-server: whoever is killed, each system is asked and judged once.

What was asked is proved by the log of the practice fleet, not by what the auditor says.
"""

import asyncio
import json
import os
import sys
from collections import Counter
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from doorward.audit.exit_code import ExitCode
from doorward.practice import evidence
from doorward.practice.fleet import fleet
from doorward.practice.log import EventLog
from doorward.practice.settings import from_names
from loopback import in_loop
from peers import POLL_S
from sensors import (
    SOURCE,
    CoordinatorProcess,
    NatsServer,
    SensorProcess,
    coordinated,
    nats_server,
    roster_of,
    sensing,
)

pytestmark = [pytest.mark.interop, pytest.mark.peer("nats-server")]
STUDIES = 7


class Fleet:
    """Open archives on loopback, and what they saw."""

    def __init__(self, running, file: Path) -> None:
        self.running = running
        self.file = file

    @property
    def targets(self) -> list[str]:
        return [f"{one.address}:{one.port}" for one in self.running]

    def asked_again(self):
        """Queries that were asked although they had been answered."""
        with self.file.open() as lines:
            return evidence.repeated(evidence.questions(evidence.events(lines)))

    def most_at_a_time(self) -> int:
        """The most associations that one archive had open at a time."""
        with self.file.open() as lines:
            found = evidence.most_associations_open(evidence.events(lines), evidence.By.ADDRESS)
        return max(found.values())


@asynccontextmanager
async def archives(folder: Path, number: int):
    log = EventLog(folder / "events")
    settings = [
        replace(one, port=0) for one in from_names(["open"] * number, studies=STUDIES, images=3)
    ]
    try:
        async with fleet(settings, log=log) as running:
            yield Fleet(running, folder / "events")
    finally:
        log.close()


@pytest.fixture
def server(tmp_path):
    with nats_server(tmp_path) as running:
        running.shorten_leases(1)
        yield running


def studies(roster) -> list[int]:
    """What was counted of each system."""
    return [
        exposure.facts.studies.value
        for (facts,) in roster.judged.values()
        for exposure in facts.of("exposure")
    ]


@in_loop
async def test_two_sensors_of_one_name_share_the_work_and_each_system_is_asked_once(
    server, tmp_path
):
    async with archives(tmp_path, 6) as fleet_:
        roster = roster_of(fleet_.running)
        async with sensing(server) as first, sensing(server) as second:
            done = await coordinated(server, roster)
        assert first.result().visited + second.result().visited == 6
        assert min(first.result().visited, second.result().visited) >= 1
    assert (done.finished, done.repeated, done.reissued, done.unfit) == (6, 0, 0, 0)
    assert roster.each_once()
    assert studies(roster) == [STUDIES] * 6
    assert not fleet_.asked_again()
    assert fleet_.most_at_a_time() == 1


@in_loop
async def test_the_work_of_a_sensor_that_is_killed_goes_to_another(server, tmp_path):
    async with archives(tmp_path, 5) as fleet_:
        roster = roster_of(fleet_.running)
        victim = SensorProcess(server)
        try:
            survey = asyncio.ensure_future(coordinated(server, roster))
            await victim.until_said("asking")
            victim.kill()
            assert roster.done < 5
            async with sensing(server):
                done = await survey
        finally:
            victim.kill()
    assert done.finished == 5
    assert roster.each_once()
    assert studies(roster) == [STUDIES] * 5


@in_loop
async def test_ctrl_c_gives_open_work_back_at_once(server, tmp_path):
    text = server.files.coordinator.read_text().replace("lease_s = 1", "lease_s = 3600")
    server.files.coordinator.write_text(text)
    async with archives(tmp_path, 4) as fleet_:
        roster = roster_of(fleet_.running)
        first = SensorProcess(server)
        try:
            survey = asyncio.ensure_future(coordinated(server, roster))
            await first.until_said("asking")
            assert await asyncio.to_thread(first.interrupt) == 0
            assert "given back" in first.said()
            async with sensing(server):
                done = await survey  # a lease of an hour would not end within this test
        finally:
            first.kill()
    assert done.finished == 4
    assert roster.each_once()
    with fleet_.file.open() as lines:
        assert not evidence.without_release(evidence.events(lines))


@in_loop
async def test_the_server_is_killed_and_started_again_in_the_middle(server, tmp_path):
    said: list[str] = []
    async with archives(tmp_path, 6) as fleet_:
        roster = roster_of(fleet_.running)
        async with sensing(server, said=said):
            survey = asyncio.ensure_future(coordinated(server, roster))
            await roster.until_done(1)
            server.kill()
            await asyncio.sleep(0.5)  # long enough for visits to end without a server
            assert not survey.done()
            server.start()
            done = await survey
    assert done.finished == 6
    assert roster.each_once()
    assert studies(roster) == [STUDIES] * 6
    assert not fleet_.asked_again()
    assert "found the NATS server again" in said


@in_loop
async def test_a_server_that_lost_everything_is_filled_again(server, tmp_path):
    async with archives(tmp_path, 4) as fleet_:
        roster = roster_of(fleet_.running)
        survey = asyncio.ensure_future(coordinated(server, roster))
        while "doorward.work" not in _stored(server):  # noqa: ASYNC110 - another process writes it
            await asyncio.sleep(POLL_S)
        server.kill()
        for file in sorted((server.files.folder / "jetstream").rglob("*"), reverse=True):
            file.rmdir() if file.is_dir() else file.unlink()
        server.start()
        async with sensing(server):
            done = await survey
    assert done.reissued >= 1
    assert roster.each_once()


def _stored(server: NatsServer) -> str:
    files = (server.files.folder / "jetstream").rglob("*.blk")
    return "".join(file.read_bytes().decode("latin-1") for file in files)


@in_loop
async def test_the_coordinator_is_killed_and_goes_on_from_its_ledger(server, tmp_path):
    async with archives(tmp_path, 7) as fleet_:
        ledger = tmp_path / "ledger"
        async with sensing(server) as sensor:
            first = await CoordinatorProcess.start(server, ledger, fleet_.targets)
            try:
                await first.until_judged(2)
            finally:
                await first.kill()
            second = await CoordinatorProcess.start(server, ledger, fleet_.targets)
            try:
                result = await second.result()
            finally:
                await second.kill()
        visited = sensor.result().visited
    judged = Counter([*first.lines, *second.lines])
    assert set(judged) == {one.address for one in fleet_.running}
    assert set(judged.values()) == {1}
    assert result["counts"] == {one.address: [STUDIES, 21, True] for one in fleet_.running}
    assert visited == 7
    assert not fleet_.asked_again()


@in_loop
async def test_a_sensor_waits_for_a_server_and_for_a_survey(server, tmp_path):
    said: list[str] = []
    server.kill()
    async with archives(tmp_path, 1) as fleet_:
        roster = roster_of(fleet_.running)
        async with sensing(server, said=said):
            while not said:  # noqa: ASYNC110 - it says so when it has tried
                await asyncio.sleep(POLL_S)
            assert "cannot be reached; trying again." in said[0]
            server.start()
            done = await coordinated(server, roster)
    assert done.finished == 1


@in_loop
async def test_a_survey_that_lets_sensors_ask_reports_what_they_found(server, tmp_path):
    """The fourth and the fifth command of docs/sensors.md, as a person types them."""
    async with archives(tmp_path, 3) as street:
        sensor = SensorProcess(server)
        try:
            await sensor.until_said("north")
            options = ("--sensors", server.files.coordinator, "--ledger", tmp_path / "a.ledger")
            files = ("--json", tmp_path / "a.json", "--timeout", "2")
            survey = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "doorward", "survey", *street.targets),
                *map(str, (*options, *files)),
                env={**os.environ, "PYTHONPATH": str(SOURCE)},
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
            )
            _, said = await survey.communicate()
        finally:
            sensor.kill()
    assert survey.returncode == ExitCode.FOUND, said.decode()
    totals = json.loads((tmp_path / "a.json").read_text())["totals"]
    assert (totals["unprotected"], totals["studies"]["value"]) == (3, 3 * STUDIES)
    assert not street.asked_again()
