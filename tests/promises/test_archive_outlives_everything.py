"""Promise 7, for the whole archive: what both doors have acknowledged outlives kill -9, power cuts and full disks.

Blob, row, record of the journal, beginning of the file, request for commitment and audit message of each instance are held
against what its sender was told. ``DOORWARD_KILLS=200`` has the archive killed so often, ``DOORWARD_CUTS=200`` its power cut.
"""

import asyncio
import os
import random
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path

import pytest

import archives
import full_disk_process
import upkept
from archive_folders import NOW
from archive_process import command, environment, prepare
from archives import opened
from doorward.access.journal.record import Event
from doorward.archive.running.tidying import Tidied, beginning, tidy
from doorward.archive.upkeep.reindex import reindex
from doorward.archive.upkeep.verify import verify
from doorward.errors import ConfigError, StorageError
from doorward.net.transfer import Instance
from outlived import Acknowledged, Outlived, outlived
from power_cut import Replay, calls, traced
from upkept import file_of, flipped, some

KILLS = int(os.environ.get("DOORWARD_KILLS", "40"))
LIVES, CUTS = 3, int(os.environ.get("DOORWARD_CUTS", "20"))
ROUNDS = 8
#: Of a life, its beginning included, on a machine that others use too.
LIFE_S = 3.0


def lines_of(words: list[str], seconds: float) -> list[str]:
    """Run it, and return what it printed."""
    done = subprocess.run(
        words, capture_output=True, text=True, env=environment(), timeout=seconds, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:] + " ".join(words)
    return done.stdout.splitlines()


def drawn() -> int:
    """Return a seed; a failure prints it."""
    return random.SystemRandom().randrange(1 << 32)


def tidied(folder: Path) -> Tidied:
    """Do what the next start does about files that nobody was told of."""

    async def tidy_up() -> Tidied:
        async with opened(folder) as archive:
            before = await asyncio.to_thread(beginning, archive)
            return await tidy(archive, folder / "journal", before=before)

    return asyncio.run(tidy_up())


# --- kill -9 ----------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.timeout(60 + LIFE_S * KILLS)
def test_killed_under_load_from_both_doors_it_has_lost_nothing(tmp_path: Path) -> None:
    folder, seed = tmp_path / "pacs", drawn()
    prepare(folder, tmp_path / "client")

    lines = lines_of(command(folder, tmp_path / "client", KILLS, seed), LIFE_S * KILLS)

    acknowledged = Acknowledged.of(lines)
    assert len(acknowledged.stored) > 4 * KILLS, f"seed {seed}"
    assert acknowledged.files, f"seed {seed}"
    assert acknowledged.asked, f"seed {seed}"
    found = outlived(folder, acknowledged)
    assert not found.losses, f"seed {seed}"
    assert not found.unsent, f"seed {seed}"
    assert tidied(folder) == Tidied(removed=len(found.orphans)), f"seed {seed}"
    found = outlived(folder, acknowledged)
    assert not found.losses, f"seed {seed}"
    assert not found.orphans, f"seed {seed}"


# --- a power cut ------------------------------------------------------------------------------------------------------


def trace_of(place: Path, lives: int, seed: int) -> Callable[..., Replay]:
    """Have an archive live so often, and return how what was done to its folder is followed."""
    folder, client, trace = place / "pacs", place / "client", place / "trace"
    prepare(folder, client)
    words = command(folder, client, lives, seed, place / "snapshots")
    lines_of(traced(trace, words), 60)
    found = calls(trace)
    return lambda **named: Replay(folder, found, place / "snapshots", **named)


def cut(replay: Replay, at: int, to: Path, seed: int) -> Outlived:
    """Cut the power at a line of the trace, and return what the next start finds."""
    replay.go_to(at)
    replay.cut(to, seed)
    return outlived(to, Acknowledged.of(replay.said))


@pytest.mark.slow
@pytest.mark.timeout(120)
@pytest.mark.peer("strace")
def test_a_power_cut_at_any_moment_takes_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    seed = drawn()
    chance = random.Random(seed)
    replay = trace_of(tmp_path, LIVES, seed)()
    for number, at in enumerate(sorted(chance.sample(replay.lines, CUTS))):
        found = cut(replay, at, tmp_path / f"cut{number}", chance.randrange(1 << 32))
        assert not found.losses, f"seed {seed}, line {at}"
        assert not tidied(tmp_path / f"cut{number}").lacking, f"seed {seed}, line {at}"
    assert len(replay.said) > 20, f"seed {seed}"


SYNCS = {
    "the content of a blob": lambda path: path.endswith(".part"),
    "the name of a blob": lambda path: "/blobs/blobs/" in path and not path.endswith(".part"),
    "the index": lambda path: path.endswith(("/index", "/index-wal")),
    "the journal": lambda path: path.endswith(".journal"),
}


@pytest.mark.slow
@pytest.mark.timeout(120)
@pytest.mark.peer("strace")
def test_a_sync_that_is_left_out_is_found_out(tmp_path: Path) -> None:
    """The witness can tell: without any one of the syncs something acknowledged is lost."""
    seed = drawn()
    trace = trace_of(tmp_path, 2, seed)
    for what, forgets in SYNCS.items():
        replay = trace(forgets=forgets)
        replay.go_to(replay.lines[-1])
        cuts = (tmp_path / f"{what}{number}" for number in range(8))
        seen = (cut(replay, replay.lines[-1], to, number) for number, to in enumerate(cuts))
        assert any(found.losses for found in seen), f"{what}, seed {seed}"


# --- a full disk, a disk that cannot be written -----------------------------------------------------------------------


def on_a_small_disk(place: Path, words: list[str]) -> list[str]:
    """Run it where ``place`` is a small disk of its own, and return what it printed."""
    place.mkdir()
    mount = 'mount -t tmpfs -o size=48m none "$0" || exit 42; exec "$@"'
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", mount, str(place), *words],
        capture_output=True,
        text=True,
        env=environment(),
        check=False,
    )
    if os.geteuid() != 0 or done.returncode == 42:
        pytest.skip("peer missing: a mount namespace")
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout.splitlines()


FULL = """
import subprocess, sys
from pathlib import Path
from archive_process import prepare
from outlived import Acknowledged, outlived

folder, client = Path(sys.argv[1]), Path(sys.argv[2])
prepare(folder, client)
done = subprocess.run([sys.executable, *sys.argv[3:]], stdout=subprocess.PIPE, text=True)
lines = done.stdout.splitlines()
print(done.stdout, end="")
found = outlived(folder, Acknowledged.of(one for one in lines if one.startswith("stored")))
print(*(f"lost {one}" for one in found.losses), sep="\\n")
sys.exit(done.returncode)
"""


@pytest.mark.slow
@pytest.mark.timeout(60)
def test_a_disk_that_is_full_at_any_moment_is_refused_cleanly_and_goes_on_with_room(
    tmp_path: Path,
) -> None:
    small, client, seed = tmp_path / "small", tmp_path / "client", drawn()
    folder = small / "pacs"
    words = [full_disk_process.__file__, *map(str, (folder, client, ROUNDS, seed))]
    script = tmp_path / "script.py"
    script.write_text(FULL)
    lines = on_a_small_disk(small, [sys.executable, str(script), str(folder), str(client), *words])

    counted = Counter(" ".join(line.split()[:2]) for line in lines if line)
    assert not [line for line in lines if line.startswith("lost")], f"seed {seed}"
    assert counted["again dicom"] == counted["again web"] == ROUNDS, f"seed {seed}"
    refused = {line for line in lines if line.startswith("refused")}
    assert refused == {"refused dicom A700", "refused web 503"}, f"seed {seed}"


READ_ONLY = """
import asyncio, subprocess, sys
from dataclasses import replace
from pathlib import Path
import upkept
from archives import opened
from doorward.archive.upkeep.verify import verify
from doorward.errors import DoorwardError
from doorward.limits import DEFAULT_LIMITS

folder = Path(sys.argv[1])

async def run(*instances):
    limits = replace(DEFAULT_LIMITS, blob_reserve_bytes=0)
    async with opened(folder, limits=limits) as archive:
        for one in instances:
            print(f"{(await upkept.store(archive, one)).status:04X}")

def may(how):
    subprocess.run(["mount", "-o", f"remount,{how}", str(folder.parent)], check=True)

one, other = upkept.some(2)
asyncio.run(run(one))
may("ro")
try:
    asyncio.run(run(other))
except DoorwardError as error:
    print(type(error).__name__, error.kind)
may("rw")
asyncio.run(run(other))
found = asyncio.run(verify(folder))
print(found.is_whole, found.index.rows)
"""


def test_a_disk_that_is_read_only_is_said_and_loses_nothing(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(READ_ONLY)
    small = tmp_path / "small"

    said = on_a_small_disk(small, [sys.executable, str(script), str(small / "pacs")])

    assert said == ["0000", "StorageError read_only", "0000", "True 2"]


# --- an index that is lost --------------------------------------------------------------------------------------------


def filled(folder: Path) -> Path:
    """Make an archive with two instances, a content that was kept aside, and a beginning of a file."""
    one, other, third = some(3)
    upkept.filled(folder, [one, other, archives.instance(one.sop_instance_uid, b"another one")])
    upkept.take_in(folder, file_of(third, preamble=b"II*\0" + bytes(124)))
    return folder


def test_without_its_index_it_does_not_start_and_a_new_one_brings_all_back(tmp_path: Path) -> None:
    folder = filled(tmp_path / "pacs")
    before = upkept.answered(folder)
    for path in folder.glob("index*"):
        path.unlink()

    with pytest.raises(ConfigError, match="the index is missing beside its blobs") as caught:
        upkept.answered(folder)
    assert "reindex" in str(caught.value.hint)
    made = asyncio.run(reindex(folder))

    assert (made.instances, made.conflicts, made.heads) == (3, 1, 1)
    assert upkept.answered(folder) == before
    assert asyncio.run(verify(folder)).is_whole


# --- a clock that jumps -----------------------------------------------------------------------------------------------


def test_a_clock_that_jumps_loses_nothing_and_is_noted(tmp_path: Path) -> None:
    jumps = [timedelta(), timedelta(days=-400), timedelta(days=9000), timedelta(days=-1)]

    async def live(one: Instance, now: datetime) -> None:
        async with opened(tmp_path / "pacs", now=lambda: now) as archive:
            archive.journal._clock = lambda: now  # its own is the machine's
            answer = await upkept.store(archive, one)
            assert answer.status == 0

    for one, jump in zip(some(len(jumps)), jumps, strict=True):
        asyncio.run(live(one, NOW + jump))

    entries = [record.entry for record in archives.records(tmp_path / "pacs")]
    assert [e.event for e in entries].count(Event.CLOCK_JUMP) >= 2
    assert [e.event for e in entries].count(Event.STORE) == len(jumps)
    found = asyncio.run(verify(tmp_path / "pacs"))
    assert found.is_whole
    assert found.index is not None
    assert found.index.rows == len(jumps)


# --- flipped bits -----------------------------------------------------------------------------------------------------


def blob_that(folder: Path, begins: bytes) -> Path:
    """Return a blob by how it begins."""
    found = upkept.blobs(folder).values()
    return next(path for path in found if path.read_bytes().startswith(begins))


KINDS: dict[str, Callable[[Path], Path]] = {
    "blobs": lambda folder: blob_that(folder, bytes(128)),
    "beginnings": lambda folder: blob_that(folder, b"Doorward head"),
    "journal": lambda folder: min((folder / "journal").glob("*.journal")),
    "index": lambda folder: folder / "index",
}


#: Columns of texts of which SQLite itself keeps no second copy.
ALONE = (
    *("instances.sop_class", "instances.transfer_syntax", "instances.source", "instances.view"),
    *("series.view", "studies.study_day", "studies.site", "studies.view"),
)


def texts_in(index: Path) -> Iterator[tuple[int, int]]:
    """Yield where a text of each of these columns lies in the file, and how long it is."""
    content = index.read_bytes()
    with closing(sqlite3.connect(index)) as connection:
        for column in ALONE:
            table, name = column.split(".")
            (text,) = connection.execute(
                f"SELECT {name} FROM {table} WHERE {name} <> ''"
            ).fetchone()
            yield content.index(text.encode()), len(text)


@pytest.mark.parametrize("kind", KINDS)
def test_a_bit_that_flips_is_found(tmp_path: Path, kind: str) -> None:
    """Of the index in what holds it together and in every text: not in a page that is free, where nothing stands."""
    folder = filled(tmp_path / "pacs")
    path = KINDS[kind](folder)
    whole = path.read_bytes()
    chance = random.Random(7)
    places = [chance.randrange(len(whole)) for _ in range(12)]
    if kind == "index":
        places = [100, 4096, *(at + chance.randrange(n) for at, n in texts_in(path))]
    for at in places:
        flipped(path, at)
        assert not _is_whole(folder), at
        path.write_bytes(whole)
    assert _is_whole(folder)


def _is_whole(folder: Path) -> bool:
    try:
        return asyncio.run(verify(folder)).is_whole
    except StorageError:
        return False  # it cannot be read at all, and that is said
