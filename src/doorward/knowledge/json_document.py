"""A JSON document whose every fault can be told by its place: the file with a line, or the path inside (RFC 6901).

Theory of operation: bytes in, one ``Node`` out; from a node one goes to its members by name. What is missing or of another
type is a ConfigError that names the path and never the value. Nothing is read beyond what the caller asks for.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, NoReturn

from doorward.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Node:
    """One value of a document, with its place."""

    value: Any
    path: str
    file: Path

    def fault(self, message: str, *, hint: str | None = None) -> ConfigError:
        """Return the error that says what is wrong with this value."""
        return ConfigError(message, file=self.file, field=self.path or "/", hint=hint)

    def has(self, key: str) -> bool:
        """Tell whether this is an object with such a member."""
        return isinstance(self.value, dict) and key in self.value

    def member(self, key: str) -> "Node":
        """Return a member that must be there."""
        if not isinstance(self.value, dict):
            raise self.fault("is no object")
        if key not in self.value:
            raise Node(None, f"{self.path}/{key}", self.file).fault("is missing")
        return Node(self.value[key], f"{self.path}/{key}", self.file)

    def items(self, key: str) -> Iterator["Node"]:
        """Yield the elements of a member that is a list; nothing where there is no such member."""
        if not self.has(key):
            return
        found = self.member(key)
        if not isinstance(found.value, list):
            raise found.fault("is no list")
        for i, value in enumerate(found.value):
            yield Node(value, f"{found.path}/{i}", self.file)

    def text(self) -> str:
        """Return the value, which must be a text that is not empty."""
        if not isinstance(self.value, str) or not self.value.strip():
            raise self.fault("must be a text")
        return self.value.strip()

    def number(self, *, most: float) -> float:
        """Return the value, which must be a number from 0 to ``most``."""
        if isinstance(self.value, bool) or not isinstance(self.value, int | float):
            raise self.fault("must be a number")
        if not 0 <= self.value <= most:
            raise self.fault(f"must lie between 0 and {most:g}")
        return float(self.value)

    def day(self) -> str:
        """Return the day of an ISO 8601 date or time, as YYYY-MM-DD."""
        try:
            return date.fromisoformat(self.text()[:10]).isoformat()
        except ValueError:
            raise self.fault("must be a date like 2026-10-31") from None


def parse_json(content: bytes, file: Path) -> Node:
    """Return the root of a document; ConfigError with the line where it is no JSON."""
    try:
        return Node(json.loads(content, parse_constant=_refuse), "", file)
    except json.JSONDecodeError as error:
        raise ConfigError("is no JSON", file=file, line=error.lineno) from None
    except UnicodeDecodeError:
        raise ConfigError("is no JSON: it is not UTF-8", file=file) from None
    except ValueError:
        raise ConfigError(
            "is no JSON: it holds a number that JSON does not have", file=file
        ) from None
    except RecursionError:
        raise ConfigError("is nested too deeply", file=file) from None


def _refuse(_constant: str) -> NoReturn:
    raise ValueError
