"""The register as a file: who is known, as JSON for a vault.

Theory of operation: what is missing, unknown or strange refuses the whole register, and so does a newer version: nobody is let
in by a guess, and nobody is forgotten by one. The checks of ``identity`` hold here too, since its values are made of what
is read.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import MISSING, fields
from datetime import UTC, datetime
from typing import Any

from doorward.access.identity import Device, Entry, Operation, Person, Register, Service
from doorward.errors import ConfigError
from doorward.limits import DEFAULT_LIMITS, Limits

FORMAT = "doorward.register/1"
_FORMAT = re.compile(r"doorward\.register/([0-9]{1,9})", re.ASCII)
_VERSION = 1
_KINDS: Mapping[str, type[Device | Person | Service]] = {
    "devices": Device,
    "persons": Person,
    "services": Service,
}


def to_bytes(register: Register) -> bytes:
    """Return the register as a JSON text; what an entry leaves at its default is left out."""
    document: dict[str, object] = {"format": FORMAT}
    for key in _KINDS:
        document[key] = [row_of(entry) for entry in getattr(register, key)]
    return json.dumps(document, indent=1).encode() + b"\n"


def from_bytes(content: bytes, *, limits: Limits = DEFAULT_LIMITS) -> Register:
    """Return the register that ``to_bytes`` wrote. Raises ConfigError where it is damaged, or of a newer version."""
    try:
        document = json.loads(content)
    except (ValueError, RecursionError):
        raise _damaged("is no JSON") from None
    if not isinstance(document, dict):
        raise _damaged("is no JSON object")
    _require_format(document.get("format"))
    if document.keys() != {"format", *_KINDS}:
        raise _damaged("has other parts than ours")
    found: dict[str, Any] = {}
    for key, kind in _KINDS.items():
        rows = document[key]
        if not isinstance(rows, list) or len(rows) > limits.register_entries:
            raise _damaged(f"has no list of {key}, or one that is too long")
        found[key] = tuple(_entry(kind, row) for row in rows)
    return Register(**found)


def row_of(entry: Entry) -> dict[str, object]:
    """Return one entry as JSON values, without what is at its default."""
    row: dict[str, object] = {}
    for each in fields(entry):
        value = getattr(entry, each.name)
        if value != each.default:
            row[each.name] = _plain(value)
    return row


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    if isinstance(value, tuple | frozenset):
        texts = [str(one) for one in value]
        return sorted(texts) if isinstance(value, frozenset) else texts
    return str(value)


def _entry(kind: type[Device | Person | Service], row: object) -> Entry:
    names = {each.name: each for each in fields(kind)}
    if not isinstance(row, dict) or not row.keys() <= names.keys():
        raise _damaged("has an entry with other fields than ours")
    if any(each.default is MISSING and name not in row for name, each in names.items()):
        raise _damaged("has an entry without name or role")
    return kind(**{key: _value(key, value) for key, value in row.items()})


def _value(key: str, value: object) -> Any:
    """Return one field of an entry; lists are texts, times have their zone, all else is text."""
    if key == "expires_at":
        return _time(value)
    if key in ("ae_titles", "fingerprints", "addresses", "also", "scope"):
        if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
            raise _damaged(f"has an entry whose {key} is no list of texts")
        if key != "scope":
            return tuple(value)
        if not set(value) <= set(Operation):
            raise _damaged("has an entry with an unknown operation")
        return frozenset(Operation(one) for one in value)
    if not isinstance(value, str):
        raise _damaged(f"has an entry whose {key} is no text")
    return value


def _time(value: object) -> datetime:
    try:
        return datetime.fromisoformat(value if isinstance(value, str) else "")
    except ValueError:
        raise _damaged("has an entry whose expires_at is no time") from None


def _require_format(stated: object) -> None:
    found = _FORMAT.fullmatch(stated) if isinstance(stated, str) else None
    if found is None:
        raise _damaged(f"is not of the format {FORMAT}")
    if int(found[1]) > _VERSION:
        message = f"is of version {found[1]}, and this program knows version {_VERSION}"
        hint = "Use the newer program that wrote it, or restore the file from a backup."
        raise ConfigError(message, field="register", hint=hint)
    if int(found[1]) < _VERSION:
        raise _damaged(f"is not of the format {FORMAT}")


def _damaged(what: str) -> ConfigError:
    hint = "Restore register.json from a backup; nobody is served by a guess."
    return ConfigError(what, field="register", hint=hint)
