"""So many workers, each with so much time: the only way from here to a decoder.

Theory of operation. A worker is started when there is work and none is idle, and ends when there is none for a while. It gets
one job at a time over its input. Where it does not answer in time, answers nonsense or dies, it is ended, and that is the
answer: whoever asked is told, the next one gets a new worker. So does everybody after a number of jobs, so that nothing that
a stranger left in a worker stays for long. A bound holds how many may wait.
"""

import asyncio
import contextlib
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec

from doorward.archive.pixels.job import LENGTHS, BadMessage, Message, lengths_of, pack, unpack
from doorward.errors import ConfigError, ImageError, LimitExceeded
from doorward.limits import DEFAULT_LIMITS, Limits

NOT_INSTALLED = "images cannot be decoded here: install doorward[images]"
_NEEDED = ("numpy", "PIL", "pydicom")


def is_installed() -> bool:
    """Whether decoders are there; they are never imported here."""
    return _are_installed(_NEEDED)


@cache
def _are_installed(names: tuple[str, ...]) -> bool:
    return all(find_spec(name) is not None for name in names)


@dataclass(slots=True)
class _Worker:
    """One process."""

    process: asyncio.subprocess.Process
    jobs: int = 0
    idle: asyncio.TimerHandle | None = None

    def kill(self) -> None:
        """End it now."""
        if self.idle is not None:
            self.idle.cancel()
        if self.process.returncode is None:
            try:
                self.process.kill()
            except ProcessLookupError:
                pass


class Workers:
    """The workers of one archive. Close it."""

    def __init__(self, limits: Limits = DEFAULT_LIMITS) -> None:
        self.limits = limits
        self._room = asyncio.Semaphore(limits.image_workers)
        self._idle: list[_Worker] = []
        self._all: list[_Worker] = []
        self._waiting = 0
        #: Processes that were started, and jobs that a process did not outlive.
        self.starts = self.failures = 0
        self._is_closed = False

    async def do(self, job: Message) -> Message:
        """Return the result of a job.

        Raises ImageError where it cannot be done, LimitExceeded (``image_waiting``), ConfigError without decoders.
        """
        if not is_installed():
            raise ConfigError(
                NOT_INSTALLED, hint="In the folder of the project: pip install '.[archive,images]'"
            )
        if self._waiting >= self.limits.image_waiting + self.limits.image_workers:
            bound = self.limits.image_waiting
            raise LimitExceeded(limit="image_waiting", value=bound, seen=self._waiting)
        self._waiting += 1
        try:
            async with self._room:
                return await self._do(job)
        finally:
            self._waiting -= 1

    async def close(self) -> None:
        """End all workers."""
        self._is_closed = True
        for worker in self._all:
            worker.kill()
        for worker in self._all:
            await worker.process.wait()
        self._all.clear()
        self._idle.clear()

    @property
    def processes(self) -> list[int]:
        """The workers that run, by their process ids."""
        return [one.process.pid for one in self._all if one.process.returncode is None]

    async def _do(self, job: Message) -> Message:
        if self._is_closed:
            raise ImageError("the archive is being closed")
        worker = await self._take()
        try:
            result = await self._ask(worker, job)
        except BaseException:
            self.failures += 1
            await self._end(worker)
            raise
        worker.jobs += 1
        if worker.jobs < self.limits.image_worker_jobs and not self._is_closed:
            later = asyncio.get_running_loop().call_later(
                self.limits.image_idle_s, self._end_idle, worker
            )
            worker.idle = later
            self._idle.append(worker)
        else:
            await self._end(worker)
        if result.facts.get("ok") is not True:
            raise ImageError(_WHY.get(str(result.facts.get("why")), "it cannot be decoded"))
        return result

    async def _take(self) -> _Worker:
        while self._idle:
            worker = self._idle.pop()
            if worker.idle is not None:
                worker.idle.cancel()
                worker.idle = None
            if worker.process.returncode is None:
                return worker
            self._all.remove(worker)
        return await self._start()

    async def _start(self) -> _Worker:
        limits = self.limits
        most = limits.image_result_bytes
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-P",  # nothing is loaded from the folder that we happen to be started in
            *("-m", "doorward.archive.pixels.worker", str(limits.image_worker_memory_bytes)),
            *(str(most), str(int(limits.image_job_s))),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            env=_environment(),
            limit=limits.blob_chunk_bytes,
            start_new_session=True,
        )
        worker = _Worker(process)
        self.starts += 1
        self._all.append(worker)
        try:
            async with asyncio.timeout(limits.image_start_s):
                await self._result(worker)
        except (TimeoutError, EOFError, OSError, BadMessage):
            await self._end(worker)
            raise ImageError("no worker could be started") from None
        except BaseException:
            await self._end(worker)
            raise
        return worker

    async def _ask(self, worker: _Worker, job: Message) -> Message:
        try:
            async with asyncio.timeout(self.limits.image_job_s):
                assert worker.process.stdin is not None
                worker.process.stdin.writelines(pack(job))
                await worker.process.stdin.drain()
                return await self._result(worker)
        except TimeoutError:
            raise ImageError("it took longer than it may") from None
        except (EOFError, OSError):
            raise ImageError("its decoder has failed") from None
        except BadMessage:
            raise ImageError("its decoder gave no answer") from None

    async def _result(self, worker: _Worker) -> Message:
        pipe = worker.process.stdout
        assert pipe is not None
        lengths = await pipe.readexactly(LENGTHS.size)
        head, body = lengths_of(lengths, self.limits.image_result_bytes)
        return unpack(await pipe.readexactly(head), await pipe.readexactly(body))

    async def _end(self, worker: _Worker) -> None:
        pipe = worker.process.stdout
        if pipe is not None and pipe.at_eof():
            # It has ended by itself. To signal it now would take its exit status from whoever waits for it.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self.limits.image_job_s):
                    await worker.process.wait()
        worker.kill()
        await worker.process.wait()
        if worker in self._all:
            self._all.remove(worker)

    def _end_idle(self, worker: _Worker) -> None:
        if worker in self._idle:
            self._idle.remove(worker)
            worker.kill()  # its end is noticed by the loop; until close it stays in the list


#: What a worker may say; anything else it says is not repeated.
_WHY: Mapping[str, str] = {
    why: why for why in ("it needs more memory than it may have", "it cannot be decoded")
}


def _environment() -> dict[str, str]:
    """Return what a worker gets to know: where modules are, and to use one thread."""
    threads = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "OPJ_NUM_THREADS"), "1")
    return {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "LC_ALL": "C.UTF-8"} | threads
