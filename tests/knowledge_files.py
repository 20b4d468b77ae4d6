"""The sample files of tests/samples, whole and broken: invented advisories in the true form of CSAF, KEV and EPSS."""

import copy
import gzip
import json
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

from doorward.errors import ConfigError
from doorward.knowledge.advisories import advisories, in_use
from doorward.knowledge.updates import Holdings, Update, UpdateReader, from_json
from doorward.limits import DEFAULT_LIMITS, Limits

SAMPLES = Path(__file__).parent / "samples"
CSAF = (SAMPLES / "csaf-example.json").read_bytes()
KEV = (SAMPLES / "kev-example.json").read_bytes()
EPSS = (SAMPLES / "epss-example.csv").read_bytes()
TAKEN = date(2026, 11, 22)


def changed(content: bytes, path: str, value: Any) -> bytes:
    """Return a document with another value at a JSON path; ``...`` takes the member away."""
    document = copy.deepcopy(json.loads(content))
    *way, last = [int(p) if p.isdigit() else p for p in path.strip("/").split("/")]
    place = document
    for step in way:
        place = place[step]
    if value is ...:
        del place[last]
    else:
        place[last] = value
    return json.dumps(document, indent=2).encode()


def read(
    content: bytes,
    *,
    name: str = "given.file",
    wanted: tuple[str, ...] = (),
    piece: int = 1 << 20,
    limits: Limits = DEFAULT_LIMITS,
) -> Update:
    """Return what a file holds, fed in pieces of ``piece`` bytes."""
    reader = UpdateReader(Path(name), wanted=wanted, limits=limits)
    for i in range(0, len(content), piece):
        reader.receive(content[i : i + piece])
    return reader.finish(taken=TAKEN)


def check_update(data: bytes) -> None:
    """Bytes in any pieces are an update that comes back from its own file, or a ConfigError that names the file."""
    if not data:
        return
    limits = replace(DEFAULT_LIMITS, knowledge_json_bytes=65_536, knowledge_csv_bytes=65_536)
    wanted = ("CVE-2025-0896", "CVE-2099-10001")
    refused: ConfigError | None = None
    try:
        update = read(data[1:], wanted=wanted, piece=data[0] + 1, limits=limits)
    except ConfigError as error:
        refused = error
    if refused is not None:
        assert refused.file == Path("given.file"), refused
        return
    holdings = Holdings().with_update(update)
    assert from_json(holdings.to_json().encode(), Path("kept")) == holdings
    with in_use(holdings.additions):
        for row in update.advisories:
            assert row in advisories()
            assert row.affected
            assert (row.summary + row.component).isprintable()
            row.covers("3.6.7")


def packed(content: bytes) -> bytes:
    """Return the bytes as gzip, the same each time."""
    return gzip.compress(content, mtime=0)
