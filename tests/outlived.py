"""What an archive lost that it had acknowledged: held against the lines of ``archive_process`` at its next start."""

import asyncio
import hashlib
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from archives import opened
from doorward.access.journal.reading import Wanted, show
from doorward.access.journal.record import Event
from doorward.access.spool import Spool
from doorward.archive.archive import Archive
from doorward.archive.blobs.names import FOLDERS
from doorward.archive.index.entry import HeldInstance
from doorward.archive.originals import heads_of, original_of
from doorward.archive.upkeep.verify import verify
from doorward.dicom.part10 import read_file_meta
from doorward.errors import DoorwardError

NO_FILE = "-"
_AT_A_TIME = 500
_MOST = 1_000_000


@dataclass(slots=True)
class Acknowledged:
    """What an archive has acknowledged, by the lines of its callers."""

    #: UID -> SHA-256 of its data set; and of the files as which it came.
    stored: dict[str, str] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)
    #: SHA-256 of a data set that was kept aside -> its UID.
    aside: dict[str, str] = field(default_factory=dict)
    #: Transaction UID -> the instances that it asks about.
    asked: dict[str, tuple[str, ...]] = field(default_factory=dict)

    @classmethod
    def of(cls, lines: Iterable[str]) -> "Acknowledged":
        """Read the lines."""
        one = cls()
        for line in lines:
            match line.split():
                case ["life", _]:
                    pass
                case ["stored", uid, data_set, file]:
                    one.stored[uid] = data_set
                    if file != NO_FILE:
                        one.files[uid] = file
                case ["aside", uid, data_set]:
                    one.aside[data_set] = uid
                case ["asked", transaction, uids]:
                    one.asked[transaction] = tuple(uids.split(","))
                case _:
                    raise AssertionError(line)
        return one


@dataclass(slots=True)
class Outlived:
    """What the next start finds. ``losses``: in words, none of them a patient's."""

    losses: list[str] = field(default_factory=list)
    #: Blobs that no row names, and files in ``incoming``.
    orphans: list[str] = field(default_factory=list)
    #: Instances without an audit message in the spool: a power cut takes its last seconds, a kill nothing.
    unsent: list[str] = field(default_factory=list)


def outlived(folder: Path, acknowledged: Acknowledged) -> Outlived:
    """Open an archive that ended without a word, and look everything over."""
    found = Outlived()
    try:
        asyncio.run(_look(folder, acknowledged, found))
    except DoorwardError as error:
        found.losses.append(f"{error}")
    return found


async def _look(folder: Path, acknowledged: Acknowledged, found: Outlived) -> None:
    async with opened(folder) as archive:
        found.losses += await archive.index.problems()
        digests = await _instances(archive, acknowledged, found)
        await _files(archive, acknowledged, digests, found)
        await _aside(archive, acknowledged, found)
        _asked(archive, acknowledged, folder, found)
        found.orphans = await _orphans(archive, folder)
    _journal(folder, digests, found)
    checked = await verify(folder)
    if not checked.is_whole:
        found.losses.append(f"verify: {checked}")


async def _instances(
    archive: Archive, acknowledged: Acknowledged, found: Outlived
) -> dict[str, str]:
    """Hold every instance against what was sent, and return UID -> blob."""
    uids, held = list(acknowledged.stored), dict[str, HeldInstance]()
    for at in range(0, len(uids), _AT_A_TIME):
        for one in await archive.index.instances_with(uids[at : at + _AT_A_TIME]):
            held[one.sop_instance_uid] = one
    found.losses += [f"{uid} is not indexed" for uid in uids if uid not in held]
    for uid, one in held.items():
        async with archive.blobs.open_blob(one.digest) as reader:
            whole = await reader.read(0, reader.size_bytes)
        if hashlib.sha256(whole).hexdigest() != one.digest:
            found.losses.append(f"the blob of {uid} is damaged")
        elif _data_set(whole) != acknowledged.stored[uid]:
            found.losses.append(f"{uid} is not what was sent")
    return {uid: one.digest for uid, one in held.items()}


def _data_set(whole: bytes) -> str:
    return hashlib.sha256(whole[read_file_meta(whole).data_set_offset :]).hexdigest()


async def _files(
    archive: Archive, acknowledged: Acknowledged, digests: dict[str, str], found: Outlived
) -> None:
    """Have each file given back as it came."""
    for uid, file in acknowledged.files.items():
        if uid not in digests:
            continue
        given = [None, *await heads_of(archive.index, archive.blobs, digests[uid])]
        for kept in given:
            seen = hashlib.sha256()
            async for piece in original_of(archive.blobs, digests[uid], kept):
                seen.update(piece)
            if seen.hexdigest() == file:
                break
        else:
            found.losses.append(f"the file of {uid} cannot be given back")


async def _aside(archive: Archive, acknowledged: Acknowledged, found: Outlived) -> None:
    conflicts = await archive.index.conflicts(len(acknowledged.aside) + 1000)
    kept = {_data_set(_content(archive, one.digest)) for one in conflicts}
    for data_set, uid in acknowledged.aside.items():
        if data_set not in kept:
            found.losses.append(f"what was kept aside of {uid} is lost")


def _content(archive: Archive, digest: str) -> bytes:
    return Path(archive.blobs.shelf.path_of(digest)).read_bytes()


def _asked(archive: Archive, acknowledged: Acknowledged, folder: Path, found: Outlived) -> None:
    """Hold requests for commitment against those that wait; nobody stayed on to be reported to."""
    waiting = {}
    for path in (folder / "commitments").glob("*.json"):
        head, references = path.read_bytes().split(b"\n")[:2]
        named = tuple(pair[1] for pair in json.loads(references))
        waiting[json.loads(head)["transaction_uid"]] = named
    for transaction, uids in acknowledged.asked.items():
        if waiting.get(transaction) != uids:
            found.losses.append(f"the request {transaction} is forgotten")


async def _orphans(archive: Archive, folder: Path) -> list[str]:
    orphans = [path.name for path in (folder / "blobs" / "incoming").iterdir()]
    for name in FOLDERS:
        digests = archive.blobs.shelf.digests(name)
        known = await archive.index.referenced(digests)
        orphans += [one for one in digests if one not in known]
    return orphans


def _journal(folder: Path, digests: dict[str, str], found: Outlived) -> None:
    """Each instance has a record, and a record of each has its message in the spool."""
    journalled: dict[str, list[int]] = {}
    for record in show(folder / "journal", Wanted(event=Event.STORE)):
        journalled.setdefault(record.entry.blob, []).append(record.sequence)
    sent = _sent(folder)
    for uid, digest in digests.items():
        sequences = journalled.get(digest, [])
        if not sequences:
            found.losses.append(f"{uid} is not in the journal")
        elif sent.isdisjoint(sequences):
            found.unsent.append(uid)


def _sent(folder: Path) -> set[int]:
    """Return the records whose messages wait to be sent."""
    spool = Spool(folder / "spool")
    messages = b"".join(spool.peek(_MOST))
    spool.close()
    return {int(number) for number in re.findall(rb"urn:doorward:journal:([0-9]+)", messages)}
