"""The one reader of the data files: TOML tables to typed rows, strictly.

Theory of operation: a row class names its fields; a key that the class does not know, a missing key or a value of another
type is a ConfigError that names the file and the row. So a slip in a data file fails the first test, not an audit.
"""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, Field, fields
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, TypeVar, get_args, get_origin

from doorward.errors import ConfigError

RowT = TypeVar("RowT")


@cache
def read(package: str, name: str) -> Mapping[str, Any]:
    """Return the TOML document ``name`` that lies beside the code of ``package``.

    Raises ConfigError when it is missing or is no TOML.
    """
    try:
        text = files(package).joinpath(name).read_text(encoding="utf-8")
        return tomllib.loads(text)
    except (OSError, ValueError) as error:
        raise ConfigError(f"cannot be read ({type(error).__name__})", file=Path(name)) from error


def rows(package: str, name: str, table: str, row_class: type[RowT]) -> tuple[RowT, ...]:
    """Return the rows of one array of tables as values of a dataclass, in file order.

    Raises ConfigError naming file, row and field.
    """
    return rows_of(read(package, name).get(table, []), Path(name), table, row_class)


def rows_of(
    found: Sequence[Any], file: Path, table: str, row_class: type[RowT]
) -> tuple[RowT, ...]:
    """Return rows that were read elsewhere as values of a dataclass; ``file`` is what an error names.

    Raises ConfigError naming file, row and field.
    """
    if not isinstance(found, list):
        raise ConfigError(f"{table} is no list of rows", file=file, field=table)
    return tuple(_row(file, f"{table} {i}", row, row_class) for i, row in enumerate(found, 1))


def _row(file: Path, where: str, row: Mapping[str, Any], row_class: type[RowT]) -> RowT:
    if not isinstance(row, dict):
        raise ConfigError(f"{where} is no table", file=file)
    known: dict[str, Field[Any]] = {f.name: f for f in fields(row_class)}  # type: ignore[arg-type]
    for key in row:
        if key.rstrip("_") != key or _field_name(key) not in known:
            raise ConfigError(f"{where} has an unknown key", file=file, field=key)
    values = {_field_name(key): _frozen(value) for key, value in row.items()}
    for field_name, field in known.items():
        if field_name in values:
            _check_type(file, where, field, values[field_name])
        elif field.default is MISSING and field.default_factory is MISSING:
            raise ConfigError(f"{where} lacks a key", file=file, field=field_name)
    return row_class(**values)


def _field_name(key: str) -> str:
    """``from`` is a word of Python: its field is called ``from_``."""
    return f"{key}_" if key == "from" else key


def _frozen(value: Any) -> Any:
    return tuple(_frozen(v) for v in value) if isinstance(value, list) else value


def _check_type(file: Path, where: str, field: Field[Any], value: Any) -> None:
    expected = get_origin(field.type) or field.type
    # TOML writes 9.0 and 9 as different types; a score may be either.
    if expected is float and isinstance(value, int) and not isinstance(value, bool):
        return
    if not isinstance(expected, type) or type(value) is not expected:
        raise ConfigError(
            f"{where} has a {type(value).__name__} where a {expected} is needed",
            file=file,
            field=field.name,
        )
    is_of_texts = get_args(field.type) == (str, ...)
    if is_of_texts and isinstance(value, tuple) and not all(isinstance(v, str) for v in value):
        raise ConfigError(f"{where} holds something else than texts", file=file, field=field.name)
