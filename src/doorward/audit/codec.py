"""Facts as JSON and back: how answers lie in a ledger and travel from a sensor.

Theory of operation: a frozen dataclass becomes an object with one member for each field, whatever its value, so that a
default that changes later does not change what was seen before. A field that may hold one of several dataclasses (the facts
of an attempt) names which in the member "kind". Coders are made from the type hints, once per class. Reading is strict: a
member or kind that is not known, or a value of another type, is one ConfigError that names the field and never its value;
a field that is missing takes its default, because an older version did not know it.
"""

import json
import math
import types
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterable, Mapping
from dataclasses import MISSING, dataclass, fields, is_dataclass, replace
from datetime import UTC, date, datetime
from enum import Enum
from functools import cache
from pathlib import Path
from typing import Any, NoReturn, TypeVar, Union, get_args, get_origin, get_type_hints

from doorward.audit.facts import Attempt, Outcome
from doorward.errors import ConfigError
from doorward.limits import DEFAULT_LIMITS, Limits

T = TypeVar("T")

#: The member that names the class where there are several.
KIND = "kind"
_NEWER = "It was perhaps written by a newer version of Doorward."
#: What SQLite and every reader of JSON in other languages can hold.
_MOST = 2**63


def attempt_to_json(attempt: Attempt, *, limits: Limits = DEFAULT_LIMITS) -> str:
    """Return an attempt as one line of ASCII that ``attempt_from_json`` will take.

    An answer that is too long to be taken back loses its facts and becomes inconclusive, which is never a pass.
    """
    text = to_json(attempt)
    if len(text) <= limits.answer_bytes:
        return text
    reason = f"the answer takes more than {limits.answer_bytes:,} bytes and was not kept"
    return to_json(replace(attempt, outcome=Outcome.INCONCLUSIVE, reason=reason, facts=None))


def attempt_from_json(
    text: str | bytes, *, file: Path | None = None, limits: Limits = DEFAULT_LIMITS
) -> Attempt:
    """Return the attempt of a text of anybody's; raises ConfigError and nothing else."""
    return from_json(Attempt, text, file=file, limits=limits)


def to_json(value: object) -> str:
    """Return a dataclass as one line of ASCII."""
    return _WRITER.encode(to_plain(value))


def from_json(
    form: type[T],
    text: str | bytes,
    *,
    file: Path | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> T:
    """Return the dataclass of a text of at most ``limits.answer_bytes``; raises ConfigError and nothing else."""
    if not isinstance(text, str | bytes):  # a cell of a table may hold anything
        raise ConfigError("is no JSON that could have been written here", file=file)
    if len(text) > limits.answer_bytes:
        raise ConfigError(f"is longer than {limits.answer_bytes:,} bytes", file=file)
    try:
        plain = _READER.decode(text if isinstance(text, str) else text.decode())
    # ValueError: no UTF-8, no JSON, a number of thousands of digits; RecursionError: nested without end.
    except (ValueError, RecursionError):
        raise ConfigError("is no JSON that could have been written here", file=file) from None
    return from_plain(form, plain, file=file)


def to_plain(value: object) -> dict[str, Any]:
    """Return a dataclass as what JSON knows: objects, lists, texts, numbers, true, false and null."""
    form: Any = type(value)
    encode = _coder(form).encode
    assert encode is not None, "a dataclass is never plain by itself"
    plain: dict[str, Any] = encode(value)
    return plain


def from_plain(form: type[T], plain: object, *, file: Path | None = None) -> T:
    """Return the dataclass ``form`` of what ``to_plain`` made; raises ConfigError that names the field."""
    hint: Any = form
    try:
        value: T = _coder(hint).decode(plain)
    except _Unfit as unfit:
        where = "".join(reversed(unfit.path)).lstrip(".")
        raise ConfigError(unfit.reason, file=file, field=where or None, hint=unfit.hint) from None
    return value


class _Unfit(Exception):
    """A plain value that does not fit; ``path`` grows on the way out. Never holds the value."""

    def __init__(self, reason: str, hint: str | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.hint = hint
        self.path: list[str] = []


def _not_finite(_: str) -> NoReturn:
    raise ValueError("NaN and Infinity are no JSON")


_READER = json.JSONDecoder(parse_constant=_not_finite)
_WRITER = json.JSONEncoder(separators=(",", ":"), allow_nan=False)


# --- coders -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class _Coder:
    """How values of one type are written and read; ``encode`` None: they are plain already."""

    encode: Callable[[Any], Any] | None
    decode: Callable[[Any], Any]


@cache
def _coder(hint: Any) -> _Coder:
    """Return the coder of a type hint; TypeError for one that facts have no use for."""
    origin = get_origin(hint)
    if origin in (Union, types.UnionType):
        return _union(get_args(hint))
    if origin is tuple:
        return _tuple(get_args(hint))
    if origin is frozenset:
        return _frozenset(get_args(hint)[0])
    if origin is not None and issubclass(origin, Mapping):
        return _mapping(*get_args(hint))
    if hint in _SCALARS:
        return _SCALARS[hint]
    if isinstance(hint, type) and issubclass(hint, Enum):
        return _enum(hint)
    if isinstance(hint, type) and is_dataclass(hint):
        return _dataclass(hint)
    raise TypeError(f"no JSON form for {hint}")


def _dataclass(form: type) -> _Coder:
    hints = get_type_hints(form)
    coders = {field.name: _coder(hints[field.name]) for field in fields(form)}
    encoders = tuple((name, coder.encode) for name, coder in coders.items())
    decoders = {name: coder.decode for name, coder in coders.items()}
    needed = tuple(
        f.name for f in fields(form) if f.default is MISSING and f.default_factory is MISSING
    )

    def encode(value: Any) -> dict[str, Any]:
        return {
            name: getattr(value, name) if part is None else part(getattr(value, name))
            for name, part in encoders
        }

    def decode(plain: Any) -> Any:
        values: dict[str, Any] = {}
        for name, content in _of_type(plain, dict, "an object").items():
            decoder = decoders.get(name)
            if decoder is None:
                raise _Unfit(f"has {_named('a member', name)} that is not known here", _NEWER)
            values[name] = _inside(decoder, content, f".{name}")
        for name in needed:
            if name not in values:
                raise _Unfit(f"has no {name!r}")
        return form(**values)

    return _Coder(encode=encode, decode=decode)


def _union(members: tuple[Any, ...]) -> _Coder:
    """One type or nothing, or one of several dataclasses or nothing."""
    some = [member for member in members if member is not types.NoneType]
    inner = _coder(some[0]) if len(some) == 1 else _tagged(some)
    if len(some) == len(members):
        return inner
    encode, decode = inner.encode, inner.decode
    return _Coder(
        encode=encode and (lambda value: None if value is None else encode(value)),
        decode=lambda plain: None if plain is None else decode(plain),
    )


def _tagged(classes: Iterable[type]) -> _Coder:
    encoders: dict[type, tuple[str, Callable[[Any], Any]]] = {}
    decoders: dict[str, Callable[[Any], Any]] = {}
    for one in classes:
        coder = _coder(one)
        is_clear = is_dataclass(one) and KIND not in (f.name for f in fields(one))
        if not is_clear or one.__name__ in decoders or coder.encode is None:
            raise TypeError(f"{one} cannot be told from the others by its kind")
        encoders[one] = one.__name__, coder.encode
        decoders[one.__name__] = coder.decode

    def encode(value: Any) -> dict[str, Any]:
        kind, part = encoders[type(value)]
        return {KIND: kind, **part(value)}

    def decode(plain: Any) -> Any:
        rest = dict(_of_type(plain, dict, "an object"))
        kind = rest.pop(KIND, None)
        decoder = decoders.get(kind) if isinstance(kind, str) else None
        if decoder is None:
            raise _Unfit(f"is of {_named('a kind', kind)} that is not known here", _NEWER)
        return decoder(rest)

    return _Coder(encode=encode, decode=decode)


def _tuple(arguments: tuple[Any, ...]) -> _Coder:
    if len(arguments) != 2 or arguments[1] is not ...:
        return _fixed_tuple(arguments)
    coder = _coder(arguments[0])
    encode, decode_one = coder.encode, coder.decode

    def decode(plain: Any) -> tuple[Any, ...]:
        values: list[Any] = []
        for one in _of_type(plain, list, "a list"):
            try:
                values.append(decode_one(one))
            except _Unfit as unfit:
                unfit.path.append(f"[{len(values)}]")
                raise
        return tuple(values)

    if encode is None:
        return _Coder(encode=list, decode=decode)
    return _Coder(encode=lambda value: [encode(one) for one in value], decode=decode)


def _fixed_tuple(arguments: tuple[Any, ...]) -> _Coder:
    coders = [_coder(argument) for argument in arguments]

    def encode(value: tuple[Any, ...]) -> list[Any]:
        pairs = zip(coders, value, strict=True)
        return [one if c.encode is None else c.encode(one) for c, one in pairs]

    def decode(plain: Any) -> tuple[Any, ...]:
        if len(_of_type(plain, list, "a list")) != len(coders):
            raise _Unfit(f"is no list of {len(coders)}")
        pairs = enumerate(zip(coders, plain, strict=True))
        return tuple(_inside(c.decode, one, f"[{index}]") for index, (c, one) in pairs)

    return _Coder(encode=encode, decode=decode)


def _frozenset(argument: Any) -> _Coder:
    """A list in a fixed order, so that equal facts are equal texts; of texts, numbers or enums."""
    coder = _coder(tuple[argument, ...])
    assert coder.encode is not None
    encode, decode = coder.encode, coder.decode
    return _Coder(
        encode=lambda value: sorted(encode(tuple(value))),
        decode=lambda plain: frozenset(decode(plain)),
    )


def _mapping(key: Any, content: Any) -> _Coder:
    if key is not str:
        raise TypeError(f"the keys of an object are texts, not {key}")
    coder = _coder(content)
    encode, decode_one = coder.encode, coder.decode

    def decode(plain: Any) -> dict[str, Any]:
        # The keys are a stranger's: they are not named in an error.
        pairs = _of_type(plain, dict, "an object").items()
        return {name: _inside(decode_one, one, "[...]") for name, one in pairs}

    if encode is None:
        return _Coder(encode=dict, decode=decode)
    return _Coder(
        encode=lambda value: {name: encode(one) for name, one in value.items()}, decode=decode
    )


def _enum(form: type[Enum]) -> _Coder:
    members = {member.value: member for member in form}

    def decode(plain: Any) -> Enum:
        member = members.get(plain) if type(plain) in (str, int) else None
        if member is None:
            raise _Unfit(f"is no word for a {form.__name__} that is known here", _NEWER)
        return member

    return _Coder(encode=lambda member: member.value, decode=decode)


# --- scalars ----------------------------------------------------------------------------------------------------------


def _inside(decode: Callable[[Any], Any], plain: Any, step: str) -> Any:
    try:
        return decode(plain)
    except _Unfit as unfit:
        unfit.path.append(step)
        raise


def _of_type(plain: Any, wanted: type[T], words: str) -> T:
    # bool is an int to isinstance; here it is not.
    if type(plain) is not wanted:
        raise _Unfit(f"is not {words}")
    return plain


def _named(words: str, name: Any) -> str:
    """Add a stranger's name only where it can be nothing but one of our own kind."""
    is_ours = isinstance(name, str) and len(name) <= 40 and name.isascii() and name.isidentifier()
    return f"{words} {name!r}" if is_ours else words


def _text(plain: Any) -> str:
    return _of_type(plain, str, "a text")


def _truth(plain: Any) -> bool:
    return _of_type(plain, bool, "true or false")


def _whole(plain: Any) -> int:
    number = _of_type(plain, int, "a whole number")
    if not -_MOST <= number < _MOST:
        raise _Unfit("is a number that is too large")
    return number


def _number(plain: Any) -> float:
    if type(plain) is int:
        return float(_whole(plain))
    number = _of_type(plain, float, "a number")
    if not math.isfinite(number):
        raise _Unfit("is not a number")
    return number


def _bytes(plain: Any) -> bytes:
    try:
        return b64decode(_text(plain), validate=True)
    except ValueError:
        raise _Unfit("is no base64") from None


def _day(plain: Any) -> date:
    try:
        return date.fromisoformat(_text(plain))
    except ValueError:
        raise _Unfit("is no day as ISO 8601 writes it") from None


def _time(plain: Any) -> datetime:
    try:
        moment = datetime.fromisoformat(_text(plain))
        moment.astimezone(UTC)  # the first and the last day of all do not exist in every zone
    except (ValueError, OverflowError):
        raise _Unfit("is no time as ISO 8601 writes it") from None
    return moment


_SCALARS: Mapping[Any, _Coder] = {
    str: _Coder(encode=None, decode=_text),
    bool: _Coder(encode=None, decode=_truth),
    int: _Coder(encode=None, decode=_whole),
    float: _Coder(encode=None, decode=_number),
    bytes: _Coder(encode=lambda value: b64encode(value).decode(), decode=_bytes),
    date: _Coder(encode=date.isoformat, decode=_day),
    datetime: _Coder(encode=datetime.isoformat, decode=_time),
}
