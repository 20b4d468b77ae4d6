"""The parameters of a search as the query that C-FIND would ask (PS3.18 section 8.3.4).

Theory of operation. Each parameter that names an attribute, by keyword or by eight hexadecimal digits, becomes a key of an
identifier; a dotted name becomes the key of an item of a sequence. What that asks for is then left to ``dicom.query``, so a
search is understood as a C-FIND is, or refused by the name of the parameter, never with its value.

What the Standard leaves open, and we do: several UIDs or code strings are parted by commas or backslashes, or given one by
one; names are always matched without regard to case and accents, and ``fuzzymatching`` adds nothing to that (a warning says
so); a parameter that nobody knows is refused.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache

from doorward.dicom.attributes import READABLE_VRS, TEXT_VRS, Attribute, DataSetView
from doorward.dicom.query import Query, Rules, parse_query
from doorward.dicom.tags import TAGS, vr_of
from doorward.dicom.values import decode_strings
from doorward.errors import LimitExceeded, PeerProtocolError
from doorward.limits import Limits

_SOURCE = "PS3.18 section 8.3.4"
_TAG = re.compile(r"[0-9A-Fa-f]{8}", re.ASCII)
_NUMBER = re.compile(r"[0-9]{1,15}", re.ASCII)
_SHOWN = re.compile(r"[^0-9A-Za-z._-]")
_NAME_CHARACTERS = 64
_UTF_8 = ("ISO_IR 192",)
_BOOLEANS = {"true": True, "false": False}
#: Sequences in a row; the longest that people ask for has three.
_MOST_NESTED = 8
#: A comma parts their values: none of them can hold one (PS3.5 section 6.2).
_COMMA_VRS = frozenset({"UI", "CS"})
#: Said elsewhere: what the answer looks like.
_PASSED_OVER = frozenset({"accept", "charset"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """What one request asks for. ``limit`` None: as many as there may be; ``includes_all``: every attribute that is kept."""

    query: Query
    limit: int | None
    offset: int
    includes: frozenset[int]
    includes_all: bool
    is_fuzzy: bool


@dataclass(slots=True)
class _Reading:
    """The parameters that were read so far."""

    view: dict[int, Attribute] = field(default_factory=dict)
    paths: set[tuple[int, ...]] = field(default_factory=set)
    includes: set[int] = field(default_factory=set)
    includes_all: bool = False
    numbers: dict[str, int] = field(default_factory=dict)
    flags: dict[str, bool] = field(default_factory=dict)


def parse_search(
    parameters: Iterable[tuple[str, str]], keys: Mapping[int, str], limits: Limits
) -> Search:
    """Return what is asked for; ``keys`` are the UIDs of the path, by tag.

    Raises PeerProtocolError, which names the parameter; LimitExceeded (``qido_parameters``, ``query_...``).
    """
    given = list(parameters)
    if len(given) > limits.qido_parameters:
        bound = limits.qido_parameters
        raise LimitExceeded(limit="qido_parameters", value=bound, seen=len(given))
    reading = _Reading()
    for tag, uid in keys.items():
        reading.view[tag] = Attribute("UI", (uid,))
        reading.paths.add((tag,))
    for name, text in _joined(given).items():
        _read(reading, name, text)
    view: DataSetView = {tag: Attribute(vr_of(tag)) for tag in reading.includes} | reading.view
    flags = reading.flags
    rules = Rules(
        empty_values=flags.get("emptyvaluematching", False),
        multiple_values=flags.get("multiplevaluematching", False),
    )
    return Search(
        query=parse_query(view, rules, limits),
        limit=reading.numbers.get("limit"),
        offset=reading.numbers.get("offset", 0),
        includes=frozenset(reading.includes),
        includes_all=reading.includes_all,
        is_fuzzy=flags.get("fuzzymatching", False),
    )


def _joined(given: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, text in given:
        found.setdefault(name, []).append(text)
    return found


def _read(reading: _Reading, name: str, texts: list[str]) -> None:
    """Take one parameter in, with all values that were given for it."""
    if name in _PASSED_OVER:
        return
    if name == "includefield":
        _read_includes(reading, texts)
    elif name in ("limit", "offset"):
        [text] = texts if len(texts) == 1 else [""]
        if not _NUMBER.fullmatch(text):
            raise _refused(name, "it is no number, or comes twice")
        reading.numbers[name] = int(text)
    elif name in ("fuzzymatching", "emptyvaluematching", "multiplevaluematching"):
        if len(texts) > 1 or texts[0].lower() not in _BOOLEANS:
            raise _refused(name, "it is neither true nor false, or comes twice")
        reading.flags[name] = _BOOLEANS[texts[0].lower()]
    else:
        _read_key(reading, name, texts)


def _read_includes(reading: _Reading, texts: list[str]) -> None:
    for name in ",".join(texts).split(","):
        if name == "all":
            reading.includes_all = True
        elif name:
            # A part of a sequence is given as the whole of it.
            reading.includes.add(_path_of(name, "includefield")[0])


def _read_key(reading: _Reading, name: str, texts: list[str]) -> None:
    path = _path_of(name, name)
    vr = vr_of(path[-1])
    if len(texts) > 1 and vr not in _COMMA_VRS:
        raise _refused(name, "it comes more than once")
    if path in reading.paths or any(path == one[: len(path)] for one in reading.paths):
        raise _refused(name, "it is given in two ways")
    reading.paths.add(path)
    view = reading.view
    for tag in path[:-1]:
        if vr_of(tag) != "SQ":
            raise _refused(name, "what stands before a dot is no sequence")
        inner = view.setdefault(tag, Attribute("SQ", (), [{}])).items
        if not inner:
            raise _refused(name, "it is given in two ways")
        assert isinstance(inner[0], dict)
        view = inner[0]
    view[path[-1]] = Attribute(vr, _values(name, vr, texts))


def _values(name: str, vr: str, texts: list[str]) -> tuple[str, ...]:
    text = "\\".join(texts)
    if not text:
        return ()
    if vr in _COMMA_VRS:
        text = text.replace(",", "\\")
    if vr not in READABLE_VRS:
        raise _refused(name, f"values of VR {vr} are not matched")
    # As in an identifier: what is padding there is none of the value here.
    like = vr if vr in TEXT_VRS else "LO"
    values = decode_strings(text.encode("utf-8", "replace"), like, _UTF_8)
    if vr == "UI" or vr not in TEXT_VRS:
        return tuple(filter(None, values))
    return values


def _path_of(name: str, parameter: str) -> tuple[int, ...]:
    """Return the tags that a dotted name stands for."""
    parts = name.split(".")
    if len(parts) > _MOST_NESTED:
        raise _refused(parameter, "it names sequences in too many sequences")
    tags = tuple(map(_tag_of, parts))
    if None in tags:
        raise _refused(parameter, "it is no keyword, no tag and no parameter of a search")
    return tuple(tag for tag in tags if tag is not None)


def _tag_of(name: str) -> int | None:
    if _TAG.fullmatch(name):
        tag = int(name, 16)
        # Of files and messages, group lengths and items: nothing of a data set.
        return tag if tag & 0xFFFF and 0x0008 <= tag >> 16 < 0xFFFE else None
    return _keywords().get(name)


@cache
def _keywords() -> Mapping[str, int]:
    return {
        keyword: tag
        for tag, (_, _, keyword) in TAGS.items()
        if keyword and 0x0008 <= tag >> 16 < 0xFFFE
    }


def _refused(name: str, problem: str) -> PeerProtocolError:
    """Return the refusal of a parameter; its name is the client's, so it is cut and cleaned."""
    shown = _SHOWN.sub("?", name[:_NAME_CHARACTERS])
    return PeerProtocolError(problem, field=f"parameter {shown}", source=_SOURCE)
