"""Archives for the tests of upkeep: filled through ingest in one call, looked at, and files to import."""

import asyncio
import random
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import Any

import archives
from doorward.access.identity import Device
from doorward.access.journal.record import Entry as Record
from doorward.access.journal.record import Event
from doorward.archive.archive import Archive
from doorward.archive.index.levels import Level
from doorward.archive.ingest import Door
from doorward.archive.part10_arrival import take_file
from doorward.dicom.part10 import write_file_meta
from doorward.net.client import IMPLEMENTATION_CLASS_UID
from doorward.net.transfer import Answer, Instance
from index_entries import query

MODALITY = Device(name="ct1", role="modality", ae_titles=("CT1",), site="north")


def door(archive: Archive, who: Device = MODALITY) -> Door:
    """Return what a store needs to know of a device of ours."""
    identity = who.identity("certificate")
    return Door(
        identity=lambda: identity,
        rules=lambda: archives.EVERYTHING,
        now=archive.now,
        record=Record(event=Event.ASSOCIATION_OPENED, peer="127.0.0.1"),
    )


async def pieces(content: bytes) -> AsyncIterator[bytes]:
    """Yield it in two pieces."""
    half = len(content) // 2
    yield content[:half]
    yield content[half:]


async def store(archive: Archive, one: Instance, who: Device = MODALITY) -> Answer:
    """Take an instance in as a C-STORE does, and return the answer."""
    return await archive.ingest.take(
        pieces(one.data_set),
        door(archive, who),
        sop_class_uid=one.sop_class_uid,
        sop_instance_uid=one.sop_instance_uid,
        transfer_syntax_uid=one.transfer_syntax_uid,
    )


def filled(folder: Path, instances: Iterable[Instance], **named: Any) -> Path:
    """Make an archive that holds these, closed; and return its folder."""

    async def fill() -> None:
        async with archives.opened(folder, **named) as archive:
            for one in instances:
                answer = await store(archive, one)
                assert answer.status in (0, 0xB000), answer

    asyncio.run(fill())
    return folder


def some(count: int = 3, **changes: str) -> list[Instance]:
    """Return instances, each of a study of its own."""
    return [
        archives.instance(f"2.25.{n}", bytes([n % 256]) * 64, **changes)
        for n in range(1, 1 + count)
    ]


async def answers(folder: Path) -> list[list[Any]]:
    """Return what an archive says at every level to a query for everything, and how much it holds."""
    async with archives.opened(folder) as archive:
        index = archive.index
        said = [[view async for view in index.find(query(), level)] for level in Level]
        return [*said, [await index.totals()]]


def answered(folder: Path) -> list[list[Any]]:
    """Return the same, from outside of a loop."""
    return asyncio.run(answers(folder))


def blobs(folder: Path) -> dict[str, Path]:
    """Return the blobs of an archive or a backup by their names."""
    return {path.name: path for path in sorted((folder / "blobs" / "blobs").glob("*/*"))}


def flipped(path: Path, at: int = -5) -> None:
    """Flip one bit of a file, in place: its links have it too."""
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(content)


def file_of(one: Instance, preamble: bytes = bytes(128)) -> bytes:
    """Return an instance as the content of a DICOM file."""
    meta = write_file_meta(
        transfer_syntax_uid=one.transfer_syntax_uid,
        media_storage_sop_class_uid=one.sop_class_uid,
        media_storage_sop_instance_uid=one.sop_instance_uid,
        implementation_class_uid=IMPLEMENTATION_CLASS_UID,
    )
    return preamble + meta[128:] + one.data_set


def take_in(folder: Path, *contents: bytes) -> None:
    """Take whole files in, as STOW does."""

    async def take() -> None:
        async with archives.opened(folder) as archive:
            for content in contents:
                taken = await take_file(archive.ingest, pieces(content), door(archive))
                assert taken.answer.status == 0

    asyncio.run(take())


def files(folder: Path, count: int, size_bytes: int = 64) -> list[Path]:
    """Write so many DICOM files, ten to a folder, and return their paths."""
    chance = random.Random(1)
    found = []
    for number in range(count):
        path = folder / f"{number // 10:03d}" / f"{number}.dcm"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(
            file_of(archives.instance(f"2.25.{number + 1}", chance.randbytes(size_bytes)))
        )
        found.append(path)
    return found
