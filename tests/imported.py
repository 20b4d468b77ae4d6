"""Reads made-up files of other tools, for the tests of the importers; ``PATIENT`` must come out of none of them."""

import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from doorward.audit.imports.sighting import ImportOptions, Item, Reader, Sighting, Skipped
from doorward.errors import ConfigError

#: Synthetic, and in every field that is not read.
PATIENT = "CANARY^PATIENT^19500101"
FILE = Path("scan.file")


@dataclass(frozen=True)
class Result:
    """What came out of a reader before it ended, and the error with which it ended."""

    items: list[Item]
    error: ConfigError | None

    @property
    def doors(self) -> list[tuple[str, int | None]]:
        return [(i.host, i.port) for i in self.items if isinstance(i, Sighting)]

    @property
    def skipped(self) -> list[tuple[int, str]]:
        return [(i.line, i.reason) for i in self.items if isinstance(i, Skipped)]

    @property
    def words(self) -> str:
        """Everything that a person may come to see, the chain of errors included."""
        chain: list[str] = []
        error: BaseException | None = self.error
        while error is not None:
            chain += [str(error), repr(vars(error)), repr(error.args)]
            error = error.__context__
        return " ".join([repr(self.items), *chain])


def result_of(read: Reader, content: bytes | str, **options: Any) -> Result:
    """Read content to its end or to the error."""
    raw = content.encode() if isinstance(content, str) else content
    items: list[Item] = []
    try:
        items.extend(read(io.BytesIO(raw), FILE, ImportOptions(**options)))
    except ConfigError as error:
        return Result(items, error)
    return Result(items, None)


def json_lines(*records: object) -> str:
    """One record per line."""
    return "".join(json.dumps(record) + "\n" for record in records)
