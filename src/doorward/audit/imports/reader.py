"""The front of all importers: which format a file has, its items, and the targets they make.

Theory of operation: a format is recognised by content and not by the file's name. Of JSON the keys of the first objects
are looked at, where they stand in the grammar and not in some text; of tables the header. Then the reader of that format
takes the stream. Everything flows: no file is ever held whole.
"""

import codecs
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from doorward.audit.imports import (
    censys,
    httpx,
    inventory,
    masscan,
    naabu,
    nmap,
    shodan,
    source,
    tables,
    zgrab2,
    zmap,
)
from doorward.audit.imports.fields import RowError, address
from doorward.audit.imports.sighting import ImportOptions, Item, Reader, Sighting, Skipped
from doorward.audit.targets import Target
from doorward.errors import ConfigError, LimitExceeded, PeerProtocolError
from doorward.web.json_stream import JsonStream

_READERS: dict[str, Reader] = {
    "nmap": nmap.read,
    "masscan": masscan.read,
    "zmap": zmap.read,
    "zgrab2": zgrab2.read,
    "shodan": shodan.read,
    "censys": censys.read,
    "naabu": naabu.read,
    "httpx": httpx.read,
    "inventory": inventory.read,
}
_HINT = "--import FORMAT=FILE names the format; a plain list of targets is given as @FILE."
#: Looked at piece by piece: the first object of JSON nearly always tells.
_PIECE_BYTES = 65_536
#: Members of a record, or of an object in it ("host.ip") -> format. The first line that holds in full decides.
_SIGNS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("shodan", ("ip_str",)),
    ("shodan", ("_shodan",)),
    ("zmap", ("saddr",)),
    ("censys", ("services",)),
    ("censys", ("host.ip",)),
    ("censys", ("host.services",)),
    ("censys", ("host_v1.resource",)),
    ("censys", ("resource.services",)),
    ("censys", ("result.hits",)),
    ("censys", ("result.services",)),
    ("httpx", ("url", "scheme")),
    ("httpx", ("url", "status_code")),
    ("masscan", ("ip", "ports")),
    ("masscan", ("ip", "port", "proto")),
    ("zgrab2", ("ip", "data")),
    ("zgrab2", ("domain", "data")),
    ("naabu", ("ip", "port")),
    ("naabu", ("host", "port")),
)


def formats() -> tuple[str, ...]:
    """Return the names of the formats that can be read."""
    return tuple(_READERS)


def read(file: Path, format: str | None, options: ImportOptions) -> Iterator[Item]:  # noqa: A002 - what people call it
    """Yield the items of a file, compressed or not; ``format`` None: recognised by content.

    Raises ConfigError, also after items were given: for a file that cannot be opened, recognised or understood.
    """
    if format is not None and format not in _READERS:
        message = f"there is no format {format!r} to import; there are {', '.join(formats())}"
        raise ConfigError(message, hint=_HINT)
    with source.opened(file, options.limits) as opened:
        reader = _READERS[format or sniff(opened.head, file)]
        yield from reader(opened.stream, file, options)
        if opened.is_cut_off:
            reason = "the file ends in the middle of its gzip compression; the rest is missing"
            yield Skipped(line=0, reason=reason)


def sniff(head: bytes, file: Path) -> str:
    """Return the format of a file by its first bytes, not compressed; raises ConfigError where it is none that is known."""
    start = head.removeprefix(codecs.BOM_UTF8).lstrip()
    if not start:
        raise ConfigError("is empty", file=file, hint=_HINT)
    if start.startswith(b"<"):
        found = "nmap" if b"<nmaprun" in start else None
    elif start[:1] in (b"{", b"["):
        found = _json_format(start)
    else:
        found = _table_format(head)
    if found is None:
        message = f"is of no format that is known by its content: {', '.join(formats())}"
        raise ConfigError(message, file=file, hint=_HINT)
    return found


def targets(
    items: Iterable[Item],
    on_skipped: Callable[[Skipped], None],
    *,
    ports: tuple[int, ...] | None = None,
) -> Iterator[Target]:
    """Yield the target of each sighting, one by one; ``on_skipped`` is told what was left out.

    ``ports`` is what a sighting without a port is given. What other tools saw counts as swept: nobody named it, so that its
    exclusion by the scope is no error; a system of the inventory was named.
    """
    for item in items:
        if isinstance(item, Skipped):
            on_skipped(item)
        else:
            yield _target(item, ports)


def _target(sighting: Sighting, ports: tuple[int, ...] | None) -> Target:
    return Target(
        host=sighting.host,
        ports=ports if sighting.port is None else (sighting.port,),
        is_swept=sighting.source != "inventory",
        place=sighting.place,
        called_ae_titles=(sighting.called_ae_title,) if sighting.called_ae_title else (),
        calling_ae_title=sighting.calling_ae_title,
    )


# --- recognition ------------------------------------------------------------------------------------------------------


def _table_format(head: bytes) -> str | None:
    cells = tables.header_cells(head, _is_known)
    if any(cell.lower() == "saddr" for cell in cells) or (cells and _is_address(cells[0])):
        return "zmap"
    if any(map(censys.is_service_column, cells)):
        return "censys"
    return "inventory" if any(map(inventory.is_host_column, cells)) else None


def _is_known(cell: str) -> bool:
    return cell.lower() == "saddr" or censys.is_column(cell) or inventory.is_column(cell)


def _is_address(cell: str) -> bool:
    try:
        return bool(address(cell, "saddr"))
    except RowError:
        return False


def _json_format(start: bytes) -> str | None:
    members = _Members()
    stream = JsonStream(members)
    view = memoryview(start)
    for begin in range(0, len(view), _PIECE_BYTES):
        is_over = False
        try:
            stream.feed(view[begin : begin + _PIECE_BYTES])
        except (PeerProtocolError, LimitExceeded):
            is_over = True  # the second line of many, or nonsense: what was seen so far decides
        found = next((name for name, signs in _SIGNS if members.seen.issuperset(signs)), None)
        if found is not None or is_over:
            return found
    return None


class _Members:
    """Listens to a stream of JSON for the names of a record's members, and of the objects right in it."""

    def __init__(self) -> None:
        #: "ip", "host.ip"
        self.seen: set[str] = set()
        self._kinds: list[bool] = []
        self._outer = ""

    def opened(self, depth: int, *, is_array: bool) -> None:
        """Remember what is open."""
        self._kinds.append(is_array)

    def closed(self, depth: int) -> None:
        """Forget it."""
        self._kinds.pop()

    def key(self, depth: int, name: str | None) -> None:
        """Take the names of the record itself and of the next level; records may stand in an array."""
        level = depth - self._kinds[0]
        if level == 1:
            self._outer = name or ""
            self.seen.add(self._outer)
        elif level == 2 and not self._kinds[-2]:
            self.seen.add(f"{self._outer}.{name}")

    def may_skip(self, depth: int) -> bool:
        """Every object is looked into."""
        return False

    def wants(self, depth: int) -> bool:
        """No value is read."""
        return False

    def scalar(self, depth: int, text: str | None, *, is_string: bool) -> None:
        """Never with a text."""
