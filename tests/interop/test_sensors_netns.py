"""Three sites, each a network namespace with archives that only its own sensor can reach; NATS is all that is between them.

A fourth namespace is the hub: the server, which listens on its address of the bridge and nowhere else, and the coordinator.
Nothing of it touches the networks of the machine, and every namespace is removed at the end.
"""

import asyncio
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

import fleet_process
from doorward.audit.sensors.setup import init
from doorward.practice import evidence
from measures.sites import HUB, sites, within
from peers import end
from sensors import CoordinatorProcess, NatsServer, SensorProcess

pytestmark = [
    pytest.mark.interop,
    pytest.mark.slow,
    pytest.mark.peer("nats-server", "netns"),
    pytest.mark.timeout(60),
]
SITES = {"north": 21, "east": 22, "south": 23}
ARCHIVES = 3
PORT = 4222


@pytest.fixture
def namespaces() -> Iterator[dict[str, str]]:
    """The hub and the sites, each with a cable to the hub's bridge."""
    with sites(tuple(SITES)) as made:
        yield made


def archives_of(site: str) -> dict[str, int]:
    """Address and number of studies of each archive of a site."""
    number = SITES[site]
    return {f"127.{number}.0.{one}": number * 10 + one for one in range(1, ARCHIVES + 1)}


@contextmanager
def fleets(namespaces: dict[str, str], folder: Path) -> Iterator[None]:
    started = []
    try:
        for site in SITES:
            texts = [f"{address}:104:{n}" for address, n in archives_of(site).items()]
            log = str(folder / f"{site}.events")
            command = [sys.executable, fleet_process.__file__, log, *texts]
            started.append(
                subprocess.Popen(
                    [*within(namespaces[site]), *command],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    start_new_session=True,
                )
            )
        for process in started:
            assert process.stdout.readline() == b"ready\n"
        yield
    finally:
        for process in started:
            end(process)
            process.stdin.close()
            process.stdout.close()


async def survey(
    server: NatsServer, namespaces: dict[str, str], folder: Path
) -> tuple[dict, list[str]]:
    """Survey all sites; one sensor is killed and started again in the middle, and so is the server."""
    wrappers = {site: within(namespaces[site]) for site in SITES}
    sensors = [SensorProcess(server, site, wrapper=wrappers[site]) for site in SITES]
    targets = [address for site in SITES for address in archives_of(site)]
    coordinator = None
    try:
        coordinator = await CoordinatorProcess.start(
            server, folder / "ledger", targets, *within(namespaces["hub"])
        )
        await sensors[0].until_said("asking")
        sensors[0].kill()
        await coordinator.until_judged(2)
        server.kill()
        sensors.append(SensorProcess(server, "north", wrapper=wrappers["north"]))
        server.start(*within(namespaces["hub"]))
        return await coordinator.result(), coordinator.lines
    finally:
        for sensor in sensors:
            sensor.kill()
        if coordinator is not None:
            await coordinator.kill()


def test_three_sites_are_counted_exactly_although_a_sensor_and_the_server_die(namespaces, tmp_path):
    networks = {site: (f"127.{number}.0.0/16",) for site, number in SITES.items()}
    files = init(tmp_path / "nats", networks, [HUB], now=datetime.now(UTC), port=PORT)
    server = NatsServer(files, PORT)
    server.shorten_leases(2)
    server.start(*within(namespaces["hub"]))
    try:
        with fleets(namespaces, tmp_path):
            result, judged = asyncio.run(survey(server, namespaces, tmp_path))
    finally:
        server.kill()
    truth = {a: n for site in SITES for a, n in archives_of(site).items()}
    images = fleet_process.IMAGES_PER_STUDY
    assert result["counts"] == {a: [n, n * images, True] for a, n in truth.items()}
    assert Counter(judged) == Counter(list(truth))
    for site in SITES:
        with (tmp_path / f"{site}.events").open() as lines:
            seen = list(evidence.events(lines))
        assert {event.address for event in seen} == set(archives_of(site))
        most = evidence.most_associations_open(seen, evidence.By.ADDRESS)
        assert set(most.values()) == {1}
        if site != "north":  # its sensor was killed between an answer and its delivery, perhaps
            assert not evidence.repeated(evidence.questions(seen))
