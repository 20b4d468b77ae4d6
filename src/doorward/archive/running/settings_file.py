"""The settings file of an archive: TOML read into ``Settings``, and the file that an archive begins with.

Theory of operation: both go by the fields of ``settings``. What is unknown is refused with the nearest known name: a
misspelt setting would otherwise be one that silently does not hold. An error names file, line, table and key.
"""

import difflib
import re
import tomllib
from collections.abc import Iterator
from dataclasses import MISSING, Field, fields
from pathlib import Path
from typing import Any, TypeVar

from doorward.access import rules as access_rules
from doorward.access.rules import rules_of
from doorward.archive.running.settings import ROWS, TABLES, Settings
from doorward.errors import ConfigError
from doorward.limits import DEFAULT_LIMITS, Limits

_TableT = TypeVar("_TableT")


def load(file: Path, *, limits: Limits = DEFAULT_LIMITS) -> Settings:
    """Return the settings of a file. Raises ConfigError naming file, line, table and key."""
    try:
        with file.open("rb") as stream:
            content = stream.read(limits.settings_bytes + 1)
    except OSError as error:
        hint = "Is this the folder of an archive? 'doorward archive init DIR' makes one."
        raise ConfigError(f"cannot be read ({error.strerror})", file=file, hint=hint) from None
    if len(content) > limits.settings_bytes:
        raise ConfigError(f"is longer than {limits.settings_bytes:,} bytes", file=file)
    return parse(content, file=file, limits=limits)


def parse(content: bytes, *, file: Path, limits: Limits = DEFAULT_LIMITS) -> Settings:
    """Return the settings of a TOML text; ``file`` is what an error names. Raises ConfigError."""
    try:
        text = content.decode("utf-8-sig")
        table = tomllib.loads(text)
    except UnicodeDecodeError:
        raise ConfigError("is not UTF-8 text", file=file) from None
    except tomllib.TOMLDecodeError as error:
        found = re.search(r" \(at line (\d+), column \d+\)$", str(error))
        said = str(error)[: found.start()] if found else str(error)
        line = int(found[1]) if found else None
        raise ConfigError(f"is no TOML: {said}", file=file, line=line) from None
    reading = _Reading(file, text, limits)
    known = (*TABLES, *ROWS, "rule")
    for name in table:
        reading.require_known(name, known, "")
    values: dict[str, Any] = {
        name: reading.table(kind, table[name], name)
        for name, kind in TABLES.items()
        if name in table
    }
    values |= {
        name: reading.rows(kind, table[name], name) for name, kind in ROWS.items() if name in table
    }
    settings = Settings(**values, rules=rules_of(table, file=file, limits=limits))
    reading.require_sense(settings)
    return settings


class _Reading:
    """One reading of one file, which knows where things stand in it."""

    def __init__(self, file: Path, text: str, limits: Limits) -> None:
        self._file = file
        self._lines = text.splitlines()
        self._limits = limits

    def wrong(self, where: str, message: str, hint: str | None = None) -> ConfigError:
        return ConfigError(message, file=self._file, line=self._line(where), field=where, hint=hint)

    def _line(self, where: str) -> int | None:
        """Return the line of a key in its table; None where it is not that plain."""
        table, _, key = where.rpartition(".")
        if " " in table:  # a row of a list: several tables have its name
            return None
        inside = ""
        for number, line in enumerate(self._lines, 1):
            head = re.match(r"\s*\[+\s*([\w.-]+)\s*\]", line)
            if head:
                inside = head[1]
                if not table and inside == key:
                    return number
            elif inside == table and re.match(rf"\s*{re.escape(key)}\s*=", line):
                return number
        return None

    def require_known(self, name: str, known: tuple[str, ...], table: str) -> None:
        if name in known:
            return
        near = difflib.get_close_matches(name, known, n=1)
        hint = f"Did you mean {near[0]!r}?" if near else f"Known: {', '.join(known)}."
        raise self.wrong(f"{table}.{name}" if table else name, "is no setting", hint)

    def table(self, kind: type[_TableT], table: object, where: str) -> _TableT:
        """Return one table as its dataclass."""
        if not isinstance(table, dict):
            raise self.wrong(where, f"must be a table: [{where}]")
        known = {each.name: each for each in _fields(kind)}
        for key in table:
            self.require_known(key, tuple(known), where)
        for key, each in known.items():
            if _is_required(each) and key not in table:
                raise self.wrong(f"{where}.{key}", "is missing", each.metadata["words"])
        return kind(**{key: self._value(known[key], table[key], f"{where}.{key}") for key in table})

    def rows(self, kind: type[_TableT], rows: object, where: str) -> tuple[_TableT, ...]:
        """Return a list of tables; one setting may not name two of them the same."""
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise self.wrong(
                where, "must be a list of tables", f"Write [[{where}]] in double brackets."
            )
        if len(rows) > self._limits.settings_rows:
            raise self.wrong(where, f"has more than {self._limits.settings_rows:,} rows")
        found = tuple(
            self.table(kind, row, f"{where} {number}") for number, row in enumerate(rows, 1)
        )
        key = _fields(kind)[0].name
        names = [getattr(row, key) for row in found]
        for number, name in enumerate(names, 1):
            if name in names[: number - 1]:
                raise self.wrong(f"{where} {number}.{key}", "is there twice")
        return found

    def _value(self, each: "Field[Any]", value: object, where: str) -> Any:
        """Return one value of the type of its field's default, checked."""
        taken = self._typed(each, value, where)
        complaint = each.metadata["check"](taken)
        if complaint:
            raise self.wrong(where, complaint)
        return taken

    def _typed(self, each: "Field[Any]", value: object, where: str) -> Any:
        default = each.metadata["example"] if each.default is MISSING else each.default
        if isinstance(default, tuple):
            if isinstance(value, list) and all(isinstance(one, str) for one in value):
                return tuple(value)
            raise self.wrong(where, 'must be a list of texts, such as ["a", "b"]')
        if isinstance(default, dict):
            if isinstance(value, dict) and all(isinstance(one, str) for one in value.values()):
                return dict(value)
            raise self.wrong(where, "must be a table of texts")
        if isinstance(default, float) and isinstance(value, int) and not isinstance(value, bool):
            return float(value)
        if type(value) is not type(default):
            raise self.wrong(where, f"must be {_KINDS[type(default)]}")
        return value

    def require_sense(self, settings: Settings) -> None:
        """Refuse what each setting allows for itself and all together do not."""
        if settings.openid.issuer and not settings.openid.client_id:
            raise self.wrong("openid.client_id", "is missing beside openid.issuer")
        ports = [one.port for one in settings.legacy_port if one.port]
        if len(set(ports)) < len(ports) or settings.dicom.port in ports:
            hint = "Whoever calls is looked up by the port: each needs one of its own."
            raise self.wrong("legacy_port", "has a port that is taken here already", hint)
        if not (settings.dicom.addresses or settings.https.addresses or settings.legacy_port):
            raise self.wrong("dicom.addresses", "is empty, and so is every other place to listen")


_KINDS = {str: "a text in quotes", int: "a whole number", bool: "true or false", float: "a number"}


def _is_required(each: "Field[Any]") -> bool:
    return each.default is MISSING and each.default_factory is MISSING


def _fields(kind: type[Any]) -> tuple["Field[Any]", ...]:
    return fields(kind)


# --- the file that an archive begins with -------------------------------------------------------------------------------

_HEAD = """\
# The settings of this archive. Every setting that there is stands here, with its default unless somebody has changed it.
# The archive reads the rules and destinations again when this file changes; all else at its next start.
# What is not known here is refused at the start: doorward archive run
"""
_ROW_HEAD = "# None unless it is written; one block for each, without the '# ' before its lines:"


def template(settings: Settings | None = None) -> str:
    """Return the text of a settings file: every setting with its comment, and always the rules that an archive begins with."""
    shown = settings or Settings()
    parts = [_HEAD]
    parts += ["\n".join(_table_lines(name, getattr(shown, name))) for name in TABLES]
    parts += [
        "\n".join(_row_lines(name, kind, getattr(shown, name))) for name, kind in ROWS.items()
    ]
    return "\n".join((*(f"{part.rstrip()}\n" for part in parts), access_rules.TEMPLATE))


def _table_lines(name: str, table: Any) -> Iterator[str]:
    yield f"# {(type(table).__doc__ or '').strip()}"
    yield f"[{name}]"
    for each in _fields(type(table)):
        yield from _comment(each)
        value = getattr(table, each.name)
        if isinstance(value, dict):
            yield f"[{name}.{each.name}]"
            yield from (
                f"# {_toml(key)} = {_toml(one)}" for key, one in each.metadata["example"].items()
            )
            yield from (f"{_toml(key)} = {_toml(one)}" for key, one in value.items())
        else:
            yield f"{each.name} = {_toml(value)}"


def _row_lines(name: str, kind: type[Any], rows: tuple[Any, ...]) -> Iterator[str]:
    yield f"# {(kind.__doc__ or '').strip()}"
    yield _ROW_HEAD
    yield f"# [[{name}]]"
    for each in _fields(kind):
        shown = each.metadata["example"]
        value = each.default if shown is None else shown
        words = " ".join(each.metadata["words"].split("\n"))
        yield f"# {each.name} = {_toml(value)}".ljust(32) + f"# {words}"
    for row in rows:
        yield f"\n[[{name}]]"
        yield from (f"{each.name} = {_toml(getattr(row, each.name))}" for each in _fields(kind))


def _comment(each: "Field[Any]") -> Iterator[str]:
    yield from (f"# {line}" for line in each.metadata["words"].split("\n"))


def _toml(value: object) -> str:
    """Return a value as TOML writes it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple):
        return f"[{', '.join(map(_toml, value))}]"
    if isinstance(value, str):
        escaped = value.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{escaped}"'
    return str(value)
