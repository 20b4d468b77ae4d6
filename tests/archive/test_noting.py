"""Refusals in the journal: the first at once, a flood as a number."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from doorward.access.journal.journal import Journal
from doorward.access.journal.reading import show
from doorward.access.journal.record import Entry, Event
from doorward.archive.noting import Noting
from doorward.limits import DEFAULT_LIMITS

LIMITS = replace(DEFAULT_LIMITS, web_refusal_s=60.0, web_refusals=3)


def entry(peer: str = "192.0.2.1", reason: str = "no identity was shown") -> Entry:
    return Entry(event=Event.REFUSAL, peer=peer, reason=reason)


def recorded(folder: Path, act: Callable[[Noting, list[float]], None]) -> list[tuple[str, str]]:
    """Return (peer, reason) of what is in the journal after ``act``, which moves the clock."""

    async def run() -> None:
        journal, clock = Journal(folder / "journal"), [0.0]
        act(Noting(journal, clock=lambda: clock[0], limits=LIMITS), clock)
        await journal.close()

    asyncio.run(run())
    return [(one.entry.peer, one.entry.reason) for one in show(folder / "journal")]


def test_flood_is_one_record_and_the_next_says_how_many_there_were(tmp_path: Path) -> None:
    def act(noting: Noting, clock: list[float]) -> None:
        for _ in range(100):
            noting.refusal(entry())
        clock[0] = 60.0
        noting.refusal(entry())

    assert recorded(tmp_path, act) == [
        ("192.0.2.1", "no identity was shown"),
        ("192.0.2.1", "no identity was shown (99 more before)"),
    ]


def test_other_address_and_other_reason_are_recorded_at_once(tmp_path: Path) -> None:
    def act(noting: Noting, _: list[float]) -> None:
        noting.refusal(entry())
        noting.refusal(entry("192.0.2.2"))
        noting.refusal(entry(reason="identity has expired"))

    assert len(recorded(tmp_path, act)) == 3


def test_table_is_bounded(tmp_path: Path) -> None:
    kept: list[int] = []

    def act(noting: Noting, _: list[float]) -> None:
        for number in range(20):
            noting.refusal(entry(f"192.0.2.{number}"))
        kept.append(len(noting._seen))

    assert len(recorded(tmp_path, act)) == 20
    assert kept == [3]


def test_journal_that_takes_no_more_ends_nothing(tmp_path: Path) -> None:
    async def run() -> None:
        journal = Journal(tmp_path / "journal", limits=replace(LIMITS, journal_waiting=1))
        noting = Noting(journal, clock=lambda: 0.0)
        for number in range(10):
            noting.note(entry(f"192.0.2.{number}"))
        await journal.close()

    asyncio.run(run())
    assert 1 <= len(list(show(tmp_path / "journal"))) < 10


def test_a_refusal_of_somebody_else_is_recorded_at_once_also_from_the_same_address(
    tmp_path: Path,
) -> None:
    def act(noting: Noting, _: list[float]) -> None:
        for name in ("ann", "ben", "ann"):
            noting.refusal(replace(entry(), identity=name))

    assert len(recorded(tmp_path, act)) == 2


def test_records_of_all_addresses_together_are_bounded_and_the_rest_is_a_number(
    tmp_path: Path,
) -> None:
    def act(noting: Noting, clock: list[float]) -> None:
        for number in range(1_000):
            noting.refusal(entry(f"192.0.2.{number}"))
        clock[0] = 60.0
        noting.refusal(entry("192.0.2.7"))

    said = recorded(tmp_path, act)
    most = LIMITS.refusal_records
    assert len(said) == most + 2
    assert said[most] == ("", f"{1_000 - most} more from other addresses")
    assert said[-1][0] == "192.0.2.7"
