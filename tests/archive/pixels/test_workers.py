"""Workers die, hang and talk nonsense, and the archive lives: each fault is an answer, and the next job is done."""

import asyncio
import os
import signal
from pathlib import Path

import pytest

from doorward.archive.pixels import workers as module
from doorward.archive.pixels.job import Message
from doorward.archive.pixels.workers import Workers, is_installed
from doorward.errors import ConfigError, ImageError, LimitExceeded
from loopback import in_loop, limits, until

FACTS = {
    "do": "decode",
    "is_rle": False,
    "rows": 8,
    "columns": 8,
    "samples": 1,
    "photometric": "MONOCHROME2",
    "planar": 0,
    "allocated": 8,
    "stored": 8,
    "is_signed": False,
    "keyword": "PixelData",
    "vr": "OB",
    "syntax": "1.2.840.10008.1.2.1",
    "is_compressed": False,
    "bit": 0,
}
FRAME = bytes(range(64))
JOB = Message(facts=FACTS, parts=(FRAME,))


def big_job(side=8_000):
    """Return a job that takes a while: an image of so many rows and columns, as PNG."""
    facts = {"rows": side, "columns": side, "do": "render", "frame": 0, "format": "png"}
    facts |= {"window": None, "viewport": None, "quality": 90}
    return Message(facts=FACTS | facts, parts=(bytes(side * side), b""))


@pytest.fixture
def make():
    """Workers that are closed at the end of a test."""

    async def closing(test, **changes):
        workers = Workers(limits(**changes))
        try:
            await test(workers)
        finally:
            await workers.close()
        assert workers.processes == []

    return closing


@in_loop
async def test_a_worker_is_used_again_and_ended_at_the_end(make):
    async def test(workers):
        assert workers.processes == []
        first = await workers.do(JOB)
        used = workers.processes
        second = await workers.do(JOB)
        assert first.parts[0] == second.parts[0] == FRAME
        assert workers.processes == used
        assert len(used) == 1

    await make(test)


@in_loop
async def test_a_fault_in_a_decoder_is_an_answer_and_the_worker_goes_on(make):
    async def test(workers):
        bad = Message(
            facts=FACTS | {"is_compressed": True, "syntax": "1.2.840.10008.1.2.5"}, parts=(b"x",)
        )
        await workers.do(JOB)
        used = workers.processes
        with pytest.raises(ImageError, match="cannot be decoded"):
            await workers.do(bad)
        await workers.do(JOB)
        assert workers.processes == used

    await make(test)


@in_loop
async def test_a_worker_that_dies_is_an_answer_and_another_one_takes_its_place(make):
    async def test(workers):
        await workers.do(JOB)
        [pid] = workers.processes
        running = asyncio.ensure_future(workers.do(big_job()))
        await asyncio.sleep(0)
        os.kill(pid, signal.SIGSEGV)
        with pytest.raises(ImageError, match="its decoder has failed"):
            await running
        assert (await workers.do(JOB)).parts[0] == FRAME
        assert workers.processes not in ([], [pid])

    await make(test)


@in_loop
async def test_a_worker_that_died_while_idle_is_not_asked(make):
    async def test(workers):
        await workers.do(JOB)
        [pid] = workers.processes
        os.kill(pid, signal.SIGKILL)
        await until(lambda: not workers.processes)
        assert (await workers.do(JOB)).parts[0] == FRAME

    await make(test)


@in_loop
async def test_a_job_that_takes_too_long_is_ended(make):
    async def test(workers):
        with pytest.raises(ImageError, match="longer than it may"):
            await workers.do(big_job())
        assert workers.processes == []

    await make(test, image_job_s=0.2)


@in_loop
async def test_a_job_that_nobody_waits_for_any_more_is_ended(make):
    async def test(workers):
        await workers.do(JOB)
        running = asyncio.ensure_future(workers.do(big_job()))
        await asyncio.sleep(0)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        assert workers.processes == []

    await make(test)


@in_loop
async def test_a_job_that_needs_too_much_memory_is_ended(make):
    async def test(workers):
        with pytest.raises(ImageError):
            await workers.do(big_job(16_000))
        assert (await workers.do(JOB)).parts[0] == FRAME

    await make(test, image_worker_memory_bytes=700_000_000)


@in_loop
async def test_more_waiting_jobs_than_may_be_are_refused(make):
    async def test(workers):
        running = [asyncio.ensure_future(workers.do(JOB)) for _ in range(2)]
        await asyncio.sleep(0)
        with pytest.raises(LimitExceeded, match="image_waiting"):
            await workers.do(JOB)
        await asyncio.gather(*running)
        assert len(workers.processes) == 1

    await make(test, image_workers=1, image_waiting=1)


@in_loop
async def test_no_more_workers_run_than_may(make):
    async def test(workers):
        results = await asyncio.gather(*(workers.do(JOB) for _ in range(12)))
        assert len(results) == 12
        assert len(workers.processes) <= 2

    await make(test, image_workers=2)


@in_loop
async def test_after_so_many_jobs_comes_a_new_worker(make):
    async def test(workers):
        pids = set()
        for _ in range(4):
            await workers.do(JOB)
            pids.update(workers.processes)
        assert len(pids) == 2
        assert workers.processes == []

    await make(test, image_worker_jobs=2)


@in_loop
async def test_an_idle_worker_ends(make):
    async def test(workers):
        await workers.do(JOB)
        await until(lambda: not workers.processes)

    await make(test, image_idle_s=0.01)


@in_loop
async def test_without_decoders_whoever_asks_is_told_what_to_install(make, monkeypatch):
    monkeypatch.setattr(module, "_NEEDED", ("no_such_package",))

    async def test(workers):
        with pytest.raises(ConfigError, match=r"install doorward\[images\]"):
            await workers.do(JOB)

    assert not is_installed()
    await make(test)


@in_loop
async def test_a_worker_that_talks_nonsense_is_ended(make, monkeypatch, tmp_path):
    liar = tmp_path / "liar"
    liar.write_text("#!/bin/sh\nhead -c 12 /dev/zero | tr '\\0' '\\377'\nexec sleep 60\n")
    liar.chmod(0o755)
    monkeypatch.setattr(module.sys, "executable", str(liar))

    async def test(workers):
        with pytest.raises(ImageError, match="no worker could be started"):
            await workers.do(JOB)

    await make(test)


@in_loop
async def test_a_worker_loads_nothing_from_the_folder_that_it_is_started_in(
    make, monkeypatch, tmp_path
):
    (tmp_path / "numpy.py").write_text("raise SystemExit('not ours')\n")
    monkeypatch.chdir(tmp_path)

    async def test(workers):
        assert (await workers.do(JOB)).parts[0] == FRAME

    await make(test)


@in_loop
async def test_a_closed_archive_starts_no_worker():
    workers = Workers(limits())
    await workers.close()

    with pytest.raises(ImageError):
        await workers.do(JOB)


@in_loop
async def test_a_worker_gets_no_variable_of_the_environment_but_what_it_needs(make, monkeypatch):
    monkeypatch.setenv("DOORWARD_CANARY", "never")

    async def test(workers):
        await workers.do(JOB)
        [pid] = workers.processes
        process = Path("/proc") / str(pid)
        assert b"CANARY" not in (process / "environ").read_bytes()
        bounds = (process / "limits").read_text().splitlines()
        [files] = [line.split()[3:5] for line in bounds if line.startswith("Max open files")]
        assert files == ["0", "0"]

    await make(test)
