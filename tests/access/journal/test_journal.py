import asyncio
import errno
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from doorward.access.journal.journal import Journal
from doorward.access.journal.reading import Wanted, show
from doorward.access.journal.record import EMPTY, Entry, Event, Head, Outcome
from doorward.access.journal.segments import read_anchor, segment_paths
from doorward.access.journal.verify import verify
from doorward.errors import (
    ConfigError,
    LimitExceeded,
    LocalProtocolError,
    StorageError,
    StorageFull,
)
from journals import STUDY, Clock, stored, written
from loopback import in_loop, limits

ROOT = Path(__file__).resolve().parents[3]


def events(folder):
    return [record.entry.event for record in show(folder)]


# --- the chain --------------------------------------------------------------------------------------------------


def test_each_record_holds_the_digest_of_the_one_before(tmp_path):
    records = written(tmp_path, [stored(number) for number in range(5)])
    assert [one.sequence for one in records] == [1, 2, 3, 4, 5]
    assert [one.previous for one in records] == [EMPTY.digest, *(one.digest for one in records[:4])]
    assert list(show(tmp_path)) == records


def test_the_chain_goes_on_when_the_journal_is_opened_again(tmp_path):
    first = written(tmp_path, [stored(1)])
    second = written(tmp_path, [stored(2)])
    assert second[0].previous == first[0].digest
    assert verify(tmp_path).head == Head(2, second[0].digest)


@in_loop
async def test_the_head_is_what_is_on_disk_and_the_anchor_names_it(tmp_path):
    journal = Journal(tmp_path, anchor=tmp_path / "elsewhere")
    assert journal.head == EMPTY
    record = await journal.write(stored(1))
    assert journal.head == Head(1, record.digest) == read_anchor(tmp_path / "elsewhere")
    await journal.close()
    assert not (tmp_path / "anchor").exists()


def test_segments_are_bounded_and_each_begins_with_the_last_digest_before(tmp_path):
    bounds = limits(journal_segment_bytes=2_000)
    records = written(tmp_path, [stored(number) for number in range(40)], limits=bounds)
    paths = segment_paths(tmp_path)
    assert len(paths) > 4
    assert all(path.stat().st_size <= 2_000 for path in paths)
    assert (
        f'"previous":"{records[int(paths[2].stem) - 2].digest}"'
        in paths[2].read_text().split("\n")[0]
    )
    assert verify(tmp_path).is_whole


def test_a_record_longer_than_a_segment_gets_one_of_its_own(tmp_path):
    written(tmp_path, [stored(1), stored(2)], limits=limits(journal_segment_bytes=100))
    assert [path.stem for path in segment_paths(tmp_path)] == ["000000000001", "000000000002"]


def test_more_studies_than_one_record_may_name_become_several_and_none_is_lost(tmp_path):
    studies = tuple(f"{STUDY}.{number}" for number in range(7))
    entry = Entry(event=Event.RETRIEVE, studies=studies, instances=70)
    written(tmp_path, [entry], limits=limits(journal_record_studies=3))
    entries = [record.entry for record in show(tmp_path)]
    assert [len(one.studies) for one in entries] == [3, 3, 1]
    assert [one.instances for one in entries] == [70, 0, 0]
    assert sum((one.studies for one in entries), ()) == studies


@in_loop
async def test_many_writers_share_a_sync_and_are_told_in_order(tmp_path, monkeypatch):
    syncs, told = [], []
    real = os.fdatasync
    monkeypatch.setattr(os, "fdatasync", lambda fd: (syncs.append(fd), real(fd)))
    journal = Journal(tmp_path, written=lambda record: told.append(record.sequence))
    records = await asyncio.gather(*(journal.write(stored(number)) for number in range(64)))
    assert sorted(one.sequence for one in records) == list(range(1, 65)) == told
    assert len(syncs) <= 3
    await journal.close()
    assert verify(tmp_path).is_whole


@in_loop
async def test_nobody_is_told_before_the_sync_has_returned(tmp_path, monkeypatch):
    seen, submitted = [], threading.Event()
    real = os.fdatasync

    def sync(descriptor):
        submitted.wait(5)
        seen.append(futures[0].done())
        real(descriptor)
        seen.append(futures[0].done())

    monkeypatch.setattr(os, "fdatasync", sync)
    journal = Journal(tmp_path)
    futures = [journal.submit(stored(1))]
    submitted.set()
    await futures[0]
    assert seen == [False, False]
    await journal.close()


def test_a_listener_that_raises_leaves_nobody_waiting(tmp_path):
    seen = []

    def raises(record):
        raise KeyError(record.sequence)

    async def run():
        asyncio.get_running_loop().set_exception_handler(lambda _, context: seen.append(context))
        journal = Journal(tmp_path, written=raises)
        await asyncio.gather(*(journal.write(stored(number)) for number in range(5)))
        await journal.close()

    asyncio.run(run())
    assert seen
    assert verify(tmp_path).head.sequence == 5


def test_a_bug_while_writing_leaves_nobody_waiting(tmp_path, monkeypatch):
    seen = []

    async def run():
        asyncio.get_running_loop().set_exception_handler(lambda _, context: seen.append(context))
        journal = Journal(tmp_path)
        with monkeypatch.context() as patch:
            patch.setattr(os, "fdatasync", lambda _: {}["no such key"])
            with pytest.raises(StorageError):
                await journal.write(stored(1))
        with pytest.raises(StorageError):
            await journal.write(stored(2))
        await journal.close()

    asyncio.run(run())
    assert isinstance(seen[0]["exception"], KeyError)


@in_loop
async def test_a_caller_that_is_cancelled_leaves_its_record(tmp_path):
    journal = Journal(tmp_path)
    future = journal.submit(stored(1))
    future.cancel()
    await journal.write(stored(2))
    await journal.close()
    assert len(events(tmp_path)) == 2


@in_loop
async def test_closing_writes_what_waits_and_then_nothing_is_taken(tmp_path):
    journal = Journal(tmp_path)
    futures = [journal.submit(stored(number)) for number in range(10)]
    await journal.close()
    assert all(future.done() for future in futures)
    with pytest.raises(LocalProtocolError):
        journal.submit(stored(1))


@in_loop
async def test_more_waiting_records_than_the_bound_are_refused(tmp_path):
    journal = Journal(tmp_path, limits=limits(journal_waiting=2))
    for number in range(3):  # one is being written, two wait
        journal.submit(stored(number))
    with pytest.raises(LimitExceeded):
        journal.submit(stored(4))
    await journal.close()


def test_a_second_writer_is_refused_by_name(tmp_path):
    async def both():
        journal = Journal(tmp_path)
        with pytest.raises(ConfigError, match="another Doorward"):
            Journal(tmp_path)
        await journal.close()
        await Journal(tmp_path).close()

    asyncio.run(both())


def test_files_are_for_their_owner_alone(tmp_path):
    folder = tmp_path / "journal"
    written(folder, [stored(1)])
    assert folder.stat().st_mode & 0o077 == 0
    assert all(path.stat().st_mode & 0o077 == 0 for path in folder.iterdir())


# --- what is never kept -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("keeps", (False, True))
def test_values_of_a_query_are_kept_only_where_that_was_asked_for(tmp_path, keeps):
    entry = Entry(event=Event.QUERY, keys=("00100010",), values=("CANARY^VALUE",))
    written(tmp_path, [entry], keeps_values=keeps)
    whole = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert (b"CANARY" in whole) is keeps
    assert b"00100010" in whole


# --- the clock --------------------------------------------------------------------------------------------------


@in_loop
async def test_a_clock_that_goes_back_is_noted_before_the_next_record(tmp_path):
    clock = Clock()
    journal = Journal(tmp_path, clock=clock)
    await journal.write(stored(1))
    clock.move(-0.5)
    await journal.write(stored(2))
    clock.move(-3600)
    await journal.write(stored(3))
    await journal.close()
    assert events(tmp_path) == [Event.STORE, Event.STORE, Event.CLOCK_JUMP, Event.STORE]
    (note,) = show(tmp_path, Wanted(event=Event.CLOCK_JUMP))
    assert note.entry.reason == "the clock went back by 3600 s"


def test_a_clock_that_went_back_while_nobody_wrote_is_noted_too(tmp_path):
    clock = Clock()
    written(tmp_path, [stored(1)], clock=clock)
    clock.move(-86_400)
    written(tmp_path, [stored(2)], clock=clock)
    assert events(tmp_path) == [Event.STORE, Event.CLOCK_JUMP, Event.STORE]


# --- after a crash ----------------------------------------------------------------------------------------------


def test_a_line_torn_at_any_byte_is_cut_off_kept_and_noted(tmp_path):
    written(tmp_path / "whole", [stored(1), stored(2)])
    (path,) = segment_paths(tmp_path / "whole")
    whole = path.read_bytes()
    anchor = (tmp_path / "whole" / "anchor").read_bytes()
    line = stored(3)
    written(tmp_path / "whole", [line])
    added = path.read_bytes()[len(whole) :]
    for cut in (1, 30, 64, 65, 66, len(added) // 2, len(added) - 1):
        folder = tmp_path / str(cut)
        folder.mkdir()
        (folder / path.name).write_bytes(whole + added[:cut])
        (folder / "anchor").write_bytes(anchor)
        written(folder, [stored(4)])
        assert verify(folder).is_whole
        assert events(folder) == [Event.STORE, Event.STORE, Event.JOURNAL_RECOVERED, Event.STORE]
        (aside,) = folder.glob("torn-*")
        assert aside.read_bytes() == added[:cut]
        (note,) = show(folder, Wanted(event=Event.JOURNAL_RECOVERED))
        assert note.entry.reason == f"{cut} bytes cut off, kept in {aside.name}"


def test_zeros_that_a_power_cut_left_are_cut_off(tmp_path):
    written(tmp_path, [stored(1)])
    (path,) = segment_paths(tmp_path)
    with path.open("ab") as file:
        file.write(bytes(5_000))
    written(tmp_path, [stored(2)])
    assert verify(tmp_path).is_whole


def test_an_unfinished_segment_is_forgotten(tmp_path):
    written(tmp_path, [stored(1)])
    (tmp_path / "000000000002.new").write_bytes(b'{"fi')
    written(tmp_path, [stored(2)])
    assert verify(tmp_path).is_whole
    assert not list(tmp_path.glob("*.new"))


def test_a_journal_that_lost_synced_records_does_not_open_unless_that_is_accepted(tmp_path):
    written(tmp_path, [stored(number) for number in range(5)])
    (path,) = segment_paths(tmp_path)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:-2]))
    with pytest.raises(StorageError, match="lacks 2 records from number 4 on") as caught:
        Journal(tmp_path)
    assert caught.value.kind == "damaged"
    assert "verify" in caught.value.hint
    written(tmp_path, [stored(9)], despite_damage=True)
    (note,) = show(tmp_path, Wanted(event=Event.JOURNAL_RECOVERED))
    assert note.entry.outcome is Outcome.FAILED
    assert note.entry.reason == "2 records are missing here"
    assert verify(tmp_path).is_whole


def test_a_last_record_that_was_made_anew_does_not_open(tmp_path):
    written(tmp_path / "one", [stored(1)])
    written(tmp_path / "two", [stored(2)])
    (other,) = segment_paths(tmp_path / "two")
    (path,) = segment_paths(tmp_path / "one")
    path.write_bytes(other.read_bytes())
    with pytest.raises(StorageError, match="the record that its anchor names"):
        Journal(tmp_path / "one")


def test_a_journal_whose_segments_are_gone_does_not_begin_anew_in_silence(tmp_path):
    written(tmp_path, [stored(1)])
    for path in segment_paths(tmp_path):
        path.unlink()
    with pytest.raises(StorageError, match="is empty"):
        Journal(tmp_path)


def test_a_missing_anchor_is_noted(tmp_path):
    written(tmp_path, [stored(1)])
    (tmp_path / "anchor").unlink()
    written(tmp_path, [stored(2)])
    (note,) = show(tmp_path, Wanted(event=Event.JOURNAL_RECOVERED))
    assert note.entry.reason == "the anchor was missing"


@pytest.mark.slow
@pytest.mark.timeout(
    90
)  # thirty processes are started; on a busy machine that is what takes the time
def test_every_acknowledged_record_survives_thirty_kills(tmp_path):
    """SIGKILL at random moments, always on the same journal: what was printed is there, and the chain is whole."""
    chance = random.Random(4)
    told: dict[int, str] = {}
    environment = os.environ | {"PYTHONPATH": f"{ROOT / 'src'}:{ROOT / 'tests'}"}
    environment.pop("PYTHONASYNCIODEBUG", None)
    for _ in range(30):
        command = [sys.executable, ROOT / "tests" / "journal_process.py", tmp_path, "8"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as process:
            lines = [process.stdout.readline() for _ in range(chance.randrange(1, 60))]
            process.send_signal(signal.SIGKILL)
            lines += process.stdout.read().splitlines(keepends=True)
        whole = [line.split() for line in lines if line.endswith(b"\n")]
        told |= {int(sequence): digest.decode() for sequence, digest in whole}
    found = verify(tmp_path)
    assert found.is_whole
    assert len(told) > 500
    kept = {record.sequence: record.digest for record in show(tmp_path)}
    assert {sequence: kept.get(sequence) for sequence in told} == told
    written(tmp_path, [stored(1)], clock=lambda: next(show(tmp_path)).time.replace(year=2100))
    assert verify(tmp_path).is_whole


# --- a disk that fails ------------------------------------------------------------------------------------------


@in_loop
async def test_on_a_full_disk_records_fail_and_the_chain_stands_where_it_stood(
    tmp_path, monkeypatch
):
    journal = Journal(tmp_path)
    first = await journal.write(stored(1))
    real = os.write

    def full(descriptor, lines):
        raise OSError(errno.ENOSPC, "full")

    def nearly(descriptor, lines):
        monkeypatch.setattr(os, "write", full)
        return real(descriptor, bytes(lines[:20]))

    monkeypatch.setattr(os, "write", nearly)
    futures = [journal.submit(stored(number)) for number in range(2, 5)]
    outcomes = await asyncio.gather(*futures, return_exceptions=True)
    assert [type(one) for one in outcomes] == [StorageFull] * 3
    assert journal.head == Head(1, first.digest)
    monkeypatch.setattr(os, "write", real)
    again = await journal.write(stored(5))
    assert (again.sequence, again.previous) == (2, first.digest)
    await journal.close()
    assert verify(tmp_path).is_whole


@in_loop
async def test_after_a_failed_sync_nothing_is_believed_until_the_journal_is_opened_anew(
    tmp_path, monkeypatch
):
    journal = Journal(tmp_path)
    await journal.write(stored(1))

    def fails(descriptor):
        raise OSError(errno.EIO, "no")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fdatasync", fails)
        with pytest.raises(StorageError, match="EIO"):
            await journal.write(stored(2))
    with pytest.raises(StorageError, match="since its disk failed"):
        await journal.write(stored(3))
    await journal.close()
    again = Journal(tmp_path)
    await again.write(stored(4))
    await again.close()
    assert verify(tmp_path).is_whole


@in_loop
async def test_a_note_that_could_not_be_written_is_written_later(tmp_path, monkeypatch):
    clock = Clock()
    journal = Journal(tmp_path, clock=clock)
    await journal.write(stored(1))
    clock.move(-60)

    def full(descriptor, lines):
        raise OSError(errno.ENOSPC, "full")

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full)
        with pytest.raises(StorageFull):
            await journal.write(stored(2))
    await journal.write(stored(3))
    await journal.close()
    assert events(tmp_path) == [Event.STORE, Event.CLOCK_JUMP, Event.STORE]


def test_a_folder_that_cannot_be_made_says_so(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError) as caught:
        Journal(tmp_path / "file" / "journal")
    assert caught.value.operation == "open"


def test_the_bounds_of_one_record_fit_into_a_line():
    bounds = limits()
    worst = Entry(
        event=Event.ASSOCIATION_REFUSED,
        studies=tuple(f"1.{10**61 + number}" for number in range(bounds.journal_record_studies)),
        keys=tuple(f"{number:08X}" + ".00400100" * 7 for number in range(bounds.journal_keys)),
        values=('"' * 64,) * bounds.journal_keys,
    )
    from doorward.access.journal.record import make_record

    _, line = make_record(replace(worst, reason='"' * 64), EMPTY, Clock().now)
    assert len(line) < bounds.journal_record_bytes


# --- threads that wait ------------------------------------------------------------------------------------------


def written_here(journal, number):
    [future] = journal.write_each_here([stored(number)])
    return future.result()


def test_several_are_written_in_order_and_one_that_is_refused_has_its_own_end(tmp_path):
    journal = Journal(tmp_path, limits=limits(journal_waiting=2))
    first, second, third = journal.write_each_here([stored(number) for number in range(3)])
    asyncio.run(journal.close())
    assert [one.result().sequence for one in (first, second)] == [1, 2]
    assert isinstance(third.exception(), LimitExceeded)


@in_loop
async def test_threads_and_the_loop_write_into_one_chain_and_all_is_told_in_order(tmp_path):
    told = []
    journal = Journal(tmp_path, written=lambda record: told.append(record.sequence))
    await journal.write(stored(0))

    def bring():
        return [written_here(journal, number) for number in range(20)]

    threads = [asyncio.to_thread(bring) for _ in range(6)]
    others = [journal.write(stored(number)) for number in range(30)]
    *brought, _ = await asyncio.gather(*threads, asyncio.gather(*others))
    await journal.close()
    assert told == list(range(1, 1 + 6 * 20 + 30 + 1))
    assert [one.sequence for one in show(tmp_path)] == told
    assert all(records == sorted(records, key=lambda one: one.sequence) for records in brought)
    assert verify(tmp_path).is_whole


@in_loop
async def test_a_thread_goes_on_when_its_record_is_synced_and_not_before(tmp_path, monkeypatch):
    journal = Journal(tmp_path)
    synced = []
    real = os.fdatasync

    def sync(descriptor):
        real(descriptor)
        synced.append(os.fstat(descriptor).st_size)

    monkeypatch.setattr(os, "fdatasync", sync)
    record = await asyncio.to_thread(written_here, journal, 1)
    assert synced == [segment_paths(tmp_path)[0].stat().st_size]
    assert journal.head == Head(1, record.digest)
    await journal.close()


@in_loop
async def test_a_thread_is_told_of_a_full_disk_and_may_try_again(tmp_path, monkeypatch):
    def full(descriptor, lines):
        raise OSError(errno.ENOSPC, "full")

    journal = Journal(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full)
        with pytest.raises(StorageFull):
            await asyncio.to_thread(written_here, journal, 1)
    assert (await asyncio.to_thread(written_here, journal, 2)).sequence == 1
    await journal.close()
    with pytest.raises(LocalProtocolError):
        written_here(journal, 3)


# --- records that are handed over ---------------------------------------------------------------------------------


def asked(number):
    return Entry(event=Event.QUERY, matches=number + 1)


def as_after_a_power_cut(folder, at):
    """Copy what a power cut leaves at the worst: the file no longer than it was when it was last synced."""
    shutil.copytree(folder, at)
    (at / "lock").unlink()
    head = read_anchor(at / "anchor")
    [path] = segment_paths(at)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[: 1 + head.sequence]))
    return at


@in_loop
async def test_what_is_handed_over_is_in_the_file_at_once_and_synced_within_the_lag(
    tmp_path, monkeypatch
):
    synced, told = asyncio.Event(), []
    loop, real = asyncio.get_running_loop(), os.fdatasync

    def sync(descriptor):
        real(descriptor)
        loop.call_soon_threadsafe(synced.set)

    monkeypatch.setattr(os, "fdatasync", sync)
    bounds = limits(journal_query_lag_s=0.01)
    journal = Journal(tmp_path, written=lambda record: told.append(record.sequence), limits=bounds)
    assert journal.hand_over(asked(1))
    assert journal.hand_over(asked(2))
    assert [record.sequence for record in show(tmp_path)] == [1, 2]
    assert (journal.head, told, synced.is_set()) == (EMPTY, [], False)
    async with asyncio.timeout(5):
        await synced.wait()
    await journal.close()
    assert (journal.head.sequence, told) == (2, [1, 2])


@in_loop
async def test_a_power_cut_takes_records_that_were_handed_over_and_no_others(tmp_path):
    folder = tmp_path / "journal"
    journal = Journal(folder, limits=limits(journal_query_lag_s=60.0))
    assert journal.hand_over(asked(0))
    await journal.write(stored(1))
    assert journal.hand_over(asked(2))
    after = as_after_a_power_cut(folder, tmp_path / "after")
    await journal.close()
    assert events(after) == [Event.QUERY, Event.STORE]
    assert verify(after).is_whole
    again = Journal(after)
    assert (await again.write(stored(3))).sequence == 3
    await again.close()
    assert verify(after).is_whole
    assert events(folder) == [Event.QUERY, Event.STORE, Event.QUERY]


@in_loop
async def test_whoever_must_not_wait_for_the_sync_is_told_before_it(tmp_path, monkeypatch):
    may_sync = threading.Event()
    real = os.fdatasync
    monkeypatch.setattr(os, "fdatasync", lambda fd: (may_sync.wait(5), real(fd)))
    journal = Journal(tmp_path)
    async with asyncio.timeout(4):
        assert (await journal.submit(asked(1), is_synced=False)).sequence == 1
    synced = journal.submit(stored(2))
    assert journal.head == EMPTY
    # Lines are written while others are synced, those too that wait.
    assert journal.hand_over(asked(3))
    assert not synced.done()
    may_sync.set()
    assert (await synced).sequence == 2
    await journal.close()
    assert verify(tmp_path).head.sequence == 3


@in_loop
async def test_where_all_is_synced_nothing_is_handed_over(tmp_path):
    journal = Journal(tmp_path, syncs_all=True)
    assert not journal.hand_over(asked(1))
    record = await journal.submit(asked(1), is_synced=False)
    assert journal.head == Head(1, record.digest)
    await journal.close()


@in_loop
async def test_handing_over_never_waits_for_another_thread_nor_for_a_new_segment(tmp_path):
    journal = Journal(tmp_path, limits=limits(journal_segment_bytes=200_000))
    with journal._disk:
        assert not journal.hand_over(asked(1))
    handed = sum(journal.hand_over(asked(n)) for n in range(2_000))
    assert 0 < handed < 2_000
    await journal.submit(asked(1), is_synced=False)
    await journal.close()
    assert verify(tmp_path).head.sequence == handed + 1


@in_loop
async def test_a_full_disk_is_told_to_whoever_hands_over_and_what_was_before_stays(
    tmp_path, monkeypatch
):
    def full(descriptor, lines):
        raise OSError(errno.ENOSPC, "full")

    journal = Journal(tmp_path)
    assert journal.hand_over(asked(1))
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full)
        with pytest.raises(StorageFull):
            journal.hand_over(asked(2))
    assert journal.hand_over(asked(3))
    await journal.close()
    assert [record.entry.matches for record in show(tmp_path)] == [2, 4]
    assert verify(tmp_path).is_whole


@in_loop
async def test_more_unsynced_records_than_the_bound_are_refused(tmp_path):
    journal = Journal(tmp_path, limits=limits(journal_waiting=2, journal_query_lag_s=60.0))
    assert journal.hand_over(asked(1))
    assert journal.hand_over(asked(2))
    with pytest.raises(LimitExceeded):
        journal.hand_over(asked(3))
    await journal.close()


@in_loop
async def test_after_a_sync_of_handed_over_records_has_failed_nothing_is_taken(
    tmp_path, monkeypatch
):
    failed = asyncio.Event()
    loop = asyncio.get_running_loop()

    def fails(descriptor):
        loop.call_soon_threadsafe(failed.set)
        raise OSError(errno.EIO, "gone")

    journal = Journal(tmp_path, limits=limits(journal_query_lag_s=0.01))
    with monkeypatch.context() as patch:
        patch.setattr(os, "fdatasync", fails)
        assert journal.hand_over(asked(1))
        async with asyncio.timeout(5):
            await failed.wait()
            while True:
                try:
                    journal.hand_over(asked(2))
                except StorageError:
                    break
                await asyncio.sleep(0)
    await journal.close()
