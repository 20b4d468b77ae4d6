"""Entries for an index by few words, and an index in one call: synthetic, like nobody's images."""

import asyncio
import hashlib
from collections.abc import Coroutine, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from doorward.archive.index.entry import Entry
from doorward.archive.index.index import Index
from doorward.archive.index.levels import Level, split
from doorward.dicom.attributes import Attribute
from doorward.dicom.query import Query, Rules, parse_query
from doorward.dicom.tags import TAGS, vr_of

_T = TypeVar("_T")

TAG_OF = {keyword: tag for tag, (_, _, keyword) in TAGS.items()}
MOMENT = datetime(2026, 1, 2, 3, 4, 5, 678_000, tzinfo=UTC)
CT = "1.2.840.10008.5.1.4.1.1.2"
EXPLICIT_LITTLE = "1.2.840.10008.1.2.1"


def view(attributes: Mapping[str, str]) -> dict[int, Attribute]:
    """Return a data set: keyword -> text with backslashes."""
    return {
        TAG_OF[keyword]: Attribute(vr_of(TAG_OF[keyword]), tuple(text.split("\\")) if text else ())
        for keyword, text in attributes.items()
    }


def entry(uid: str = "1.1.1", content: str = "", /, **named: Any) -> Entry:
    """Return the entry of an instance; its UID says study and series: "1.2.3" is the third of the second of the first.

    Named with a capital letter is an attribute, else a field of the entry.
    """
    study, series, _ = [*uid.split("."), "1", "1"][:3]
    attributes = {"PatientID": "P1", "Modality": "CT"}
    attributes |= {k: v for k, v in named.items() if k[0].isupper()}
    parts = split(view(attributes))
    fields: dict[str, Any] = {
        "study_uid": study,
        "series_uid": f"{study}.{series}",
        "sop_instance_uid": uid,
        "sop_class_uid": CT,
        "transfer_syntax_uid": EXPLICIT_LITTLE,
        "digest": hashlib.sha256((content or uid).encode()).hexdigest(),
        "size_bytes": 1_000,
        "received_at": MOMENT,
        "source": "ct1",
        "patient": parts[Level.PATIENT],
        "study": parts[Level.STUDY],
        "series": parts[Level.SERIES],
        "instance": parts[Level.IMAGE],
    }
    return Entry(**fields | {k: v for k, v in named.items() if not k[0].isupper()})


def query(rules: Rules | None = None, /, **keys: str) -> Query:
    """Return what an identifier with these keys asks for."""
    return parse_query(view(keys), rules)


@contextmanager
def opened(folder: Path, **named: Any) -> Iterator[Index]:
    """Open the index of a folder, and close it."""
    index = Index.open(folder / "index", **named)
    try:
        yield index
    finally:
        index.close()


def in_index(folder: Path, work: Any, **named: Any) -> Any:
    """Open the index of a folder, do one thing in it, close it."""

    async def run(coroutine: Coroutine[Any, Any, _T]) -> _T:
        return await coroutine

    with opened(folder, **named) as index:
        return asyncio.run(run(work(index)))


async def found(index: Index, level: Level, asked: Query | None = None, **named: Any) -> list[Any]:
    """Return all answers to a query, to one without keys where none is given."""
    return [v async for v in index.find(asked or query(), level, **named)]


def texts(answers: list[Any], keyword: str) -> list[str]:
    """Return one attribute of each answer as text."""
    return ["\\".join(answer[TAG_OF[keyword]].values) for answer in answers]
