"""The index alone, filled directly: ``python -m measures.index [STUDIES]`` (100,000 unless told).

One series for each study, one to three instances for each series: what the archive of a practice looks like to a query. What
is synced: each commit of ingest, as in production (``synchronous = FULL``). Queries go through the event loop and the threads
that read, one after the other, and every answer becomes a view.
"""

import asyncio
import hashlib
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from itertools import islice
from pathlib import Path

from doorward.archive.index.entry import Entry
from doorward.archive.index.index import Index
from doorward.archive.index.levels import Level
from doorward.archive.index.plan import Order
from doorward.dicom.attributes import Attribute
from doorward.dicom.query import Query, parse_query
from measures.figures import Figure, Row, table
from measures.processes import Broken, peak_kib

GROUP = "index"
#: Goals: exact keys per second, their 99th percentile in milliseconds, instances per second into batches.
GOAL_EXACT = 1_000.0
GOAL_P99_MS = 10.0
GOAL_INGEST = 5_000.0
_BATCH = 500
_ASKED = 2_000
_ENDINGS = ("mann", "berg", "sen", "stein", "ova", "ez", "ley", "i", "son", "ström")
_FIRST_DAY = date(2015, 1, 1)
_NOW = datetime(2026, 1, 1, tzinfo=UTC)
_CT = "1.2.840.10008.5.1.4.1.1.2"

ID, NAME, STUDY_UID, DAY, MODALITIES = 0x00100020, 0x00100010, 0x0020000D, 0x00080020, 0x00080061
ACCESSION = 0x00080050
_VRS = {ID: "LO", NAME: "PN", STUDY_UID: "UI", DAY: "DA", MODALITIES: "CS", ACCESSION: "SH"}


def name_of(number: int) -> str:
    """Return the family name of a patient."""
    return (
        f"{chr(65 + number % 26)}{chr(97 + number // 26 % 26)}{number % 997}{_ENDINGS[number % 10]}"
    )


def uid_of(study: int) -> str:
    """Return the UID of a study."""
    return f"1.2.826.0.1.3680043.10.1.{study}"


def entries(studies: int) -> Iterator[Entry]:
    """Yield the instances of so many studies; every third patient has come twice."""
    for study in range(studies):
        patient = study * 3 // 4
        day = _FIRST_DAY + timedelta(days=study * 4_000 // studies)
        modality = ("CT", "MR", "DX", "US")[study % 4]
        for number in range(1 + study % 3):
            uid = f"{uid_of(study)}.1.{number}"
            yield Entry(
                study_uid=uid_of(study),
                series_uid=f"{uid_of(study)}.1",
                sop_instance_uid=uid,
                sop_class_uid=_CT,
                transfer_syntax_uid="1.2.840.10008.1.2.1",
                digest=hashlib.sha256(uid.encode()).hexdigest(),
                size_bytes=525_000,
                received_at=_NOW,
                source="ct1",
                patient={
                    ID: Attribute("LO", (f"P{patient:07}",)),
                    NAME: Attribute("PN", (f"{name_of(patient)}^Anna",)),
                    0x00100030: Attribute("DA", ("19700101",)),
                    0x00100040: Attribute("CS", ("F",)),
                },
                study={
                    DAY: Attribute("DA", (f"{day:%Y%m%d}",)),
                    0x00080030: Attribute("TM", (f"{study % 24:02}3000",)),
                    ACCESSION: Attribute("SH", (f"A{study:08}",)),
                    0x00080090: Attribute("PN", (f"Referrer^{study % 50}",)),
                    0x00081030: Attribute("LO", (f"{modality} ROUTINE",)),
                    0x00200010: Attribute("SH", (str(study),)),
                },
                series={
                    0x00080060: Attribute("CS", (modality,)),
                    0x00200011: Attribute("IS", ("1",)),
                    0x0008103E: Attribute("LO", ("axial",)),
                    0x00180015: Attribute("CS", ("CHEST",)),
                },
                instance={
                    0x00200013: Attribute("IS", (str(number),)),
                    0x00280010: Attribute("US", ("512",)),
                    0x00280011: Attribute("US", ("512",)),
                },
            )


def _query(**keys: str) -> Query:
    names = {"patient": ID, "name": NAME, "study": STUDY_UID, "day": DAY} | {
        "modalities": MODALITIES,
        "accession": ACCESSION,
    }
    view = {
        names[key]: Attribute(_VRS[names[key]], (text,) if text else ())
        for key, text in keys.items()
    }
    return parse_query(view)


async def _ask(
    index: Index, queries: Sequence[Query], *, limit: int | None = None
) -> tuple[list[float], int]:
    """Ask one after the other; return the seconds of each, and how many answers came in all."""
    took, answers = [], 0
    for query in queries:
        begun = time.perf_counter()
        order = Order.RECEIVED if limit is None else Order.NEWEST
        async for _ in index.find(query, Level.STUDY, limit=limit, order=order):
            answers += 1
        took.append(time.perf_counter() - begun)
    return took, answers


def _row(name: str, took: Sequence[float], answers: int, *, goal: float | None = None) -> Figure:
    ordered = sorted(took)
    p99 = ordered[min(len(ordered) - 1, len(ordered) * 99 // 100)] * 1_000
    a_second = len(took) / sum(took)
    rows = answers / sum(took)
    is_late = goal is not None and p99 > GOAL_P99_MS
    return Figure(
        group=GROUP,
        name=name,
        value=f"{a_second:,.0f} queries/s",
        ratio=None if goal is None else 0.0 if is_late else a_second / goal,
        target=None if goal is None else 1.0,
        note=f"p50 {ordered[len(ordered) // 2] * 1_000:.2f} ms, p99 {p99:.2f} ms; {rows:,.0f} answers/s",
    )


async def _fill(index: Index, studies: int, callers: int) -> Figure:
    left = entries(studies)
    seconds, count = 0.0, 0

    async def send(prepared: Sequence[Entry]) -> None:
        for at in range(0, len(prepared), _BATCH):
            await index.write(prepared[at : at + _BATCH])

    while prepared := list(islice(left, callers * 5 * _BATCH)):
        count += len(prepared)
        begun = time.perf_counter()
        await asyncio.gather(*(send(prepared[n::callers]) for n in range(callers)))
        seconds += time.perf_counter() - begun
    a_second = count / seconds
    return Figure(
        group=GROUP,
        name=f"ingest, batches of {_BATCH}, {callers} callers",
        value=f"{a_second:,.0f} instances/s",
        ratio=a_second / GOAL_INGEST,
        target=1.0,
        note="durable; a study for every two",
    )


async def _one_by_one(index: Index, fresh: Sequence[Entry], callers: int) -> Figure:
    """Instances that come singly from so many associations, each waiting for its commit."""

    async def send(mine: Sequence[Entry]) -> None:
        for entry in mine:
            await index.write([entry])

    begun = time.perf_counter()
    await asyncio.gather(*(send(fresh[n::callers]) for n in range(callers)))
    value = f"{len(fresh) / (time.perf_counter() - begun):,.0f} instances/s"
    return Figure(
        group=GROUP, name=f"one by one, {callers} callers", value=value, note="a commit shared"
    )


async def measure(index: Index, studies: int) -> list[Row]:
    """Fill an empty index and ask it; returns the rows of the table."""
    rows: list[Row] = [await _fill(index, studies, 4)]
    some = [n * 7_919 % studies for n in range(_ASKED)]  # all over the archive
    exact: dict[str, list[Query]] = {
        "exact Study Instance UID": [_query(study=uid_of(n)) for n in some],
        "exact Patient ID": [_query(patient=f"P{n * 3 // 4:07}") for n in some],
        "exact Accession Number": [_query(accession=f"A{n:08}") for n in some],
    }
    for name, queries in exact.items():
        took, answers = await _ask(index, queries)
        if answers < len(queries):
            raise Broken(f"{name}: {answers} answers to {len(queries)} queries")
        rows.append(_row(name, took, answers, goal=GOAL_EXACT))
    days = [_FIRST_DAY + timedelta(days=n * 4_000 // studies) for n in some[:200]]
    weeks = [f"{d:%Y%m%d}-{d + timedelta(days=6):%Y%m%d}" for d in days]
    wide: dict[str, list[Query]] = {
        "name, prefix of five": [_query(name=f"{name_of(n)[:5]}*") for n in some[:200]],
        "one day": [_query(day=f"{d:%Y%m%d}") for d in days],
        "one week of CT": [_query(day=week, modalities="CT") for week in weeks],
        "name in the middle": [_query(name=f"*{n % 997}berg*") for n in some[:10]],
    }
    for name, queries in wide.items():
        rows.append(_row(name, *await _ask(index, queries)))
    rows.append(_row("newest 50", *await _ask(index, [_query(name="")] * 100, limit=50)))
    newest_ct = [_query(modalities="CT")] * 100
    rows.append(_row("newest 50 of CT", *await _ask(index, newest_ct, limit=50)))
    rows.append(_row("all studies", *await _ask(index, [_query(name="", study="")])))
    for number, callers in enumerate((1, 8)):
        fresh = islice(entries(studies + 2_000), 2 * studies + number * 2_000, None)
        rows.append(await _one_by_one(index, list(islice(fresh, 2_000)), callers))
    rows.append(Figure(group=GROUP, name="peak memory", value=f"{peak_kib() / 1024:.0f} MiB"))
    size = index.file.stat().st_size / (1 << 20)
    rows.append(Figure(group=GROUP, name="size of the file", value=f"{size:,.0f} MiB"))
    return rows


def main() -> None:
    studies = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    with tempfile.TemporaryDirectory() as folder:
        index = Index.open(Path(folder) / "index")
        try:
            print(table(asyncio.run(measure(index, studies))))
        finally:
            index.close()


if __name__ == "__main__":
    main()
