"""Promise 7, for blobs: what a commit has returned is there, whole, after kill -9 and after a power cut.

By three witnesses: a file system in memory that forgets what was not synced, cut at drawn operations; the system calls of a
real process in their order (strace); and a real process killed at a hundred drawn moments.
"""

import asyncio
import random
import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blob_process import ACKNOWLEDGED, environment
from blob_stores import LIMITS, content, digest_of, get, in_store, put
from doorward.archive.blobs.names import FOLDERS, is_digest
from doorward.archive.blobs.store import BlobStore
from doorward.archive.blobs.verify import verify
from doorward.errors import DoorwardError
from forgetful_disk import ForgetfulDisk, PowerCut

ROOT = Path("/disk")
FOLDER = ROOT / "blobs"
PROCESS = Path(__file__).resolve().parents[1] / "blob_process.py"


# --- a file system that forgets ---------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Life:
    """One start of the archive: what is sent, by which senders, and how it ends."""

    senders: Sequence[Sequence[int]]
    ends_after: int
    is_power_cut: bool
    seed: int


async def _send(store: BlobStore, numbers: Sequence[int], acknowledged: set[int]) -> None:
    for number in numbers:
        await put(store, content(number, size=number * 700))
        acknowledged.add(number)


async def _send_all(store: BlobStore, life: Life, acknowledged: set[int]) -> None:
    ends = await asyncio.gather(
        *(_send(store, numbers, acknowledged) for numbers in life.senders),
        return_exceptions=True,
    )
    for end in ends:
        if isinstance(end, BaseException) and not isinstance(end, PowerCut):
            raise end


def _live(disk: ForgetfulDisk, life: Life, acknowledged: set[int]) -> None:
    disk.cut_at = life.ends_after
    try:
        store = BlobStore.open(FOLDER, disk=disk, limits=LIMITS)
        try:
            asyncio.run(_send_all(store, life, acknowledged))
        finally:
            store.close()
    except PowerCut:
        pass
    if life.is_power_cut:
        disk.cut_power(life.seed)
    else:
        disk.kill()


def _losses(disk: ForgetfulDisk, acknowledged: set[int]) -> list[str]:
    """What is wrong at the next start."""
    found = []
    with_blobs = BlobStore.open(FOLDER, disk=disk, limits=LIMITS)
    try:
        for number in sorted(acknowledged):
            whole = content(number, size=number * 700)
            try:
                if asyncio.run(get(with_blobs, digest_of(whole))) != whole:
                    found.append(f"{number} is damaged")
            except DoorwardError:
                found.append(f"{number} is lost")
    finally:
        with_blobs.close()
    for path, file in disk.live.items():
        name = path.rpartition("/")[2]
        if is_digest(name) and "/blobs/blobs/" in path and digest_of(bytes(file.live)) != name:
            found.append("a name with a content that is not its own")
        if "/incoming/" in path:
            found.append("a part that nobody writes")
    return found


LIVES = st.lists(
    st.builds(
        Life,
        senders=st.lists(st.lists(st.integers(0, 5), max_size=4), min_size=1, max_size=3),
        ends_after=st.integers(0, 90) | st.integers(260, 340),
        is_power_cut=st.booleans(),
        seed=st.integers(0, 1 << 32),
    ),
    min_size=1,
    max_size=4,
)


@given(lives=LIVES, is_first_start=st.booleans())
def test_what_was_acknowledged_outlives_every_power_cut(lives, is_first_start):
    disk = ForgetfulDisk(str(ROOT))
    acknowledged: set[int] = set()
    if not is_first_start:
        BlobStore.open(FOLDER, disk=disk, limits=LIMITS).close()
        disk.kill()
    for life in lives:
        _live(disk, life, acknowledged)
        if life.is_power_cut:
            losses = _losses(disk, acknowledged)
            assert not losses
            disk.kill()


@pytest.mark.parametrize("ends_after", range(24))
def test_what_a_killed_process_had_begun_is_no_base_for_a_success(ends_after):
    """Killed at each operation in turn; the same content comes again, is acknowledged, and then the power goes."""
    for seed in range(6):
        disk = ForgetfulDisk(str(ROOT))
        BlobStore.open(FOLDER, disk=disk, limits=LIMITS).close()
        _killed_then_cut(disk, ends_after, seed)


@pytest.mark.parametrize("ends_after", (1, 3, 5, 7, 100, 262, 263, 264, 265, 266, 267, 268))
def test_a_first_start_that_was_killed_is_no_base_for_a_success(ends_after):
    for seed in range(6):
        _killed_then_cut(ForgetfulDisk(str(ROOT)), ends_after, seed)


def _killed_then_cut(disk: ForgetfulDisk, ends_after: int, seed: int) -> None:
    for number in (1, 3):  # of one block, and of three
        acknowledged: set[int] = set()
        sent = [[number]]
        first = Life(senders=sent, ends_after=ends_after, is_power_cut=False, seed=seed)
        second = Life(senders=sent, ends_after=10_000, is_power_cut=True, seed=seed)
        for life in (first, second):
            _live(disk, life, acknowledged)
        assert acknowledged == {number}
        assert not _losses(disk, acknowledged)
        disk.kill()


@pytest.mark.parametrize("operation", ("sync", "sync_folder"))
def test_a_disk_that_only_says_it_has_synced_is_found_out(operation):
    """The witness can tell: without either sync something acknowledged is lost, or a name lies."""
    for seed in range(200):
        disk = ForgetfulDisk(str(ROOT))
        BlobStore.open(FOLDER, disk=disk, limits=LIMITS).close()
        setattr(disk, operation, lambda *_: None)
        acknowledged: set[int] = set()
        life = Life(senders=[[1, 2, 3]], ends_after=10_000, is_power_cut=True, seed=seed)
        _live(disk, life, acknowledged)
        if _losses(disk, acknowledged):
            return
    pytest.fail("nothing was lost by a disk that syncs nothing")


# --- a real process, its system calls in order --------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Call:
    """One system call: when it began and ended, by line of the trace."""

    begun: int
    ended: int
    name: str
    arguments: str


_LINE = re.compile(r"(?P<thread>\d+) +(?P<rest>.*)")
_WHOLE = re.compile(r"(?P<name>\w+)\((?P<arguments>.*)\) += (?P<result>\d+)")
_RESUMED = re.compile(r"<\.\.\. \w+ resumed>(?P<rest>.*)")


def calls(trace: str) -> list[Call]:
    """Read ``strace -f -y``; a call that another thread interrupts has two lines."""
    found, begun = [], {}
    for number, line in enumerate(trace.splitlines()):
        match = _LINE.match(line)
        assert match is not None, line
        thread, rest = match["thread"], match["rest"]
        start = number
        if rest.endswith("<unfinished ...>"):
            begun[thread] = (number, rest.removesuffix("<unfinished ...>").rstrip())
            continue
        if resumed := _RESUMED.match(rest):
            start, head = begun.pop(thread)
            rest = head + resumed["rest"]
        if whole := _WHOLE.match(rest):
            found.append(Call(start, number, whole["name"], whole["arguments"]))
    return found


@pytest.mark.peer("strace")
def test_content_is_synced_before_its_name_and_the_name_before_the_answer(tmp_path):
    trace = tmp_path / "trace"
    folder = tmp_path / "store"
    command = ["strace", "-f", "-y", "-qq", "-s", "80", "-o", str(trace), "-e", "signal=none"]
    command += ["-e", "trace=write,pwrite64,fsync,rename,renameat,renameat2"]
    command += [sys.executable, str(PROCESS), "some", str(folder), "24"]
    done = subprocess.run(command, capture_output=True, text=True, env=environment(), check=True)
    told = done.stdout.split()
    assert len(told) == 24
    seen = calls(trace.read_text())
    for digest in told:
        _check_order(seen, str(folder), digest)


def _check_order(seen: Sequence[Call], folder: str, digest: str) -> None:
    [renamed] = [c for c in seen if c.name.startswith("rename") and f'{digest}"' in c.arguments]
    [answer] = [c for c in seen if c.name == "write" and f'"{digest}' in c.arguments]
    part = re.findall(r'"([^"]+\.part)"', renamed.arguments)[0]
    content_synced = [c for c in seen if c.name == "fsync" and f"<{part}>" in c.arguments]
    written = [c for c in seen if "write" in c.name and f"<{part}>" in c.arguments]
    path = f"<{folder}/blobs/{digest[:2]}>"
    folder_synced = [c for c in seen if c.name == "fsync" and path in c.arguments]
    assert written
    assert any(
        all(w.ended < sync.begun for w in written) and sync.ended < renamed.begun
        for sync in content_synced
    )
    assert any(renamed.ended < sync.begun and sync.ended < answer.begun for sync in folder_synced)


# --- a real process that is killed --------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.timeout(120)  # other work on the machine may take the disk
def test_every_acknowledged_blob_is_whole_after_a_hundred_kills(tmp_path):
    folder = tmp_path / "store"
    seed = random.SystemRandom().randrange(1 << 32)
    command = [sys.executable, str(PROCESS), "killed", str(folder), "100", str(seed)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment(), check=True)
    *told, interrupted = done.stdout.splitlines()
    acknowledged = {line.removeprefix(ACKNOWLEDGED) for line in told if _is_whole_line(line)}
    assert len(acknowledged) > 100, f"seed {seed}"
    assert int(interrupted.removeprefix("interrupted ")) > 20, f"no kill hit a write, seed {seed}"

    async def look(store: BlobStore):
        found = await verify(store)
        return found, {d for name in FOLDERS for d in store.shelf.digests(name)}

    found, present = in_store(folder, look)
    assert found.damaged == 0, f"seed {seed}"
    assert acknowledged <= present, f"seed {seed}"
    assert not list((folder / "incoming").iterdir())


def _is_whole_line(line: str) -> bool:
    return line.startswith(ACKNOWLEDGED) and is_digest(line.removeprefix(ACKNOWLEDGED))
