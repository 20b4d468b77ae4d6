"""Nmap's XML (-oX), read in a stream: the open TCP ports, nothing that scripts or services said (nmap.dtd).

Theory of operation: expat calls back for each element; only the elements and attributes named here are looked at. A
``script`` element may quote a patient's name and is passed over with all that it holds. The mere DOCTYPE that Nmap writes
is let pass; one with declarations is refused where it begins, for a few lines of entities grow to gigabytes. What expat
would keep of a hostile file (a long token, depth, ever new names) is bounded. A run that was stopped leaves its root
open: what was complete before is taken, and a Skipped says so. masscan writes the same form (-oX).
"""

from collections.abc import Iterator
from pathlib import Path
from typing import IO
from xml.parsers import expat

from doorward.audit.imports.fields import RowError, address, hint, port, utc
from doorward.audit.imports.lines import Patience, refuse_utf16, unless_older
from doorward.audit.imports.sighting import ImportOptions, Item, Sighting, Skipped
from doorward.errors import ConfigError

_PIECE_BYTES = 65_536
_ROOT = "nmaprun"
_SCANNERS = frozenset({"nmap", "masscan"})
#: The file ends while an element, a token, a character or a CDATA section is open (expat's XML_ERROR_ codes).
_CUT_OFF = frozenset(
    expat.errors.codes[message]
    for message in (
        expat.errors.XML_ERROR_NO_ELEMENTS,
        expat.errors.XML_ERROR_UNCLOSED_TOKEN,
        expat.errors.XML_ERROR_PARTIAL_CHAR,
        expat.errors.XML_ERROR_UNCLOSED_CDATA_SECTION,
    )
)
_HINT = "Write it with nmap -oX."


def read(stream: IO[bytes], file: Path, options: ImportOptions) -> Iterator[Item]:
    """Yield the open TCP ports; raises ConfigError for what is no XML, not Nmap's, or declares entities."""
    run = _Run(file, options)
    has_more = True
    while has_more:
        has_more = run.feed(stream.read(_PIECE_BYTES))
        # What was complete before a fault is given out before the fault is.
        yield from run.taken()
        if run.fault is not None:
            raise run.fault


class _Run:
    """One run: an expat parser and what its callbacks gather."""

    def __init__(self, file: Path, options: ImportOptions) -> None:
        self._file = file
        self._options = options
        self._patience = Patience(file, options.limits)
        # Nmap writes UTF-8 whatever it runs on; the encoding that a file declares itself is not asked.
        self._parser = expat.ParserCreate("utf-8")
        self._parser.StartElementHandler = self._open
        self._parser.EndElementHandler = self._close
        self._parser.StartDoctypeDeclHandler = self._doctype
        self._names: set[str] = set()
        self._path: list[str] = []
        self._scanner = "nmap"
        self._run_at = self._host_at = ""
        self._address: str | None = None
        self._port: dict[str, str] = {}
        self._items: list[Item] = []
        self._fed = 0
        #: Why nothing more can be read.
        self.fault: ConfigError | None = None

    def feed(self, piece: bytes) -> bool:
        """Read a piece, an empty one at the end; False: that was all, or there is a fault."""
        if not self._fed:
            refuse_utf16(piece, self._file)
        self._fed += len(piece)
        try:
            self._parser.Parse(piece, not piece)
            self._require_short_tokens()
        except expat.ExpatError as error:
            self._stop(error.code)
        except ConfigError as error:
            self.fault = error
        return bool(piece) and self.fault is None

    def taken(self) -> list[Item]:
        """Return what was gathered since the last call."""
        items, self._items = self._items, []
        return items

    # --- callbacks ------------------------------------------------------------------------------------------------

    def _open(self, name: str, attributes: dict[str, str]) -> None:
        self._require_bounds(name, attributes)
        self._path.append(name)
        match self._path:
            case [root]:
                self._begin(root, attributes)
            case [_, "host"]:
                self._address, self._port = None, {}
                self._host_at = attributes.get("endtime") or attributes.get("starttime", "")
            case [_, "host", "address"]:
                if self._address is None and attributes.get("addrtype") in ("ipv4", "ipv6"):
                    self._address = attributes.get("addr")
            case [_, "host", "ports", "port"]:
                self._port = {name: attributes.get(name, "") for name in ("protocol", "portid")}
            case [_, "host", "ports", "port", "state"]:
                self._port["state"] = attributes.get("state", "")
            case [_, "host", "ports", "port", "service"]:
                self._port["service"] = attributes.get("name", "")
                self._port["tunnel"] = attributes.get("tunnel", "")
            case [_, "runstats", "finished"]:
                if attributes.get("exit", "success") != "success":
                    reason = "the run ended with an error: it may lack hosts"
                    self._items.append(Skipped(line=self._line, reason=reason))

    def _close(self, name: str) -> None:
        if self._path == [_ROOT, "host", "ports", "port"]:
            self._take_port()
        self._path.pop()

    def _doctype(
        self, name: str, system_id: str | None, public_id: str | None, has_subset: int
    ) -> None:
        if has_subset:
            raise self._wrong("has a DOCTYPE with declarations of its own, which is not read")

    # --------------------------------------------------------------------------------------------------------------

    def _begin(self, root: str, attributes: dict[str, str]) -> None:
        if root != _ROOT:
            raise self._wrong(f"is XML, but not Nmap's: its root element is not {_ROOT}")
        if attributes.get("scanner") in _SCANNERS:
            self._scanner = attributes["scanner"]
        self._run_at = attributes.get("start", "")

    def _take_port(self) -> None:
        found = self._port
        if found.get("protocol") != "tcp" or found.get("state") != "open":
            return
        try:
            seen = Sighting(
                host=address(self._address, "address"),
                port=port(found["portid"], "portid"),
                source=self._scanner,
                seen_at=utc(self._host_at) or utc(self._run_at),
                is_tls=True if found.get("tunnel") == "ssl" else None,
                service=hint(found.get("service")),
            )
        except RowError as error:
            self._items.append(self._patience.bad(Skipped(line=self._line, reason=error.reason)))
        else:
            self._patience.good()
            self._items.append(unless_older(seen, self._line, self._options))

    def _require_bounds(self, name: str, attributes: dict[str, str]) -> None:
        """Raise ConfigError for depth and for ever new names: expat keeps both."""
        limits = self._options.limits
        if len(self._path) >= limits.import_xml_depth:
            raise self._wrong(f"is nested more than {limits.import_xml_depth} levels deep")
        self._names.add(name)
        self._names.update(attributes)
        if len(self._names) > limits.import_xml_names:
            raise self._wrong(f"uses more than {limits.import_xml_names:,} different names")

    def _require_short_tokens(self) -> None:
        most = self._options.limits.import_record_bytes
        if self._fed - self._parser.CurrentByteIndex > most:
            raise self._wrong(f"holds an element of more than {most:,} bytes")

    def _stop(self, code: int) -> None:
        """Take note of an error of expat's; a run that was cut off is none."""
        if self._names and code in _CUT_OFF:
            reason = "the file ends within the run: the rest is missing"
            self._items.append(Skipped(line=self._line, reason=reason))
        else:
            words = expat.ErrorString(code) or "an unknown error"
            self.fault = self._wrong(f"is no XML from here on: {words}")

    @property
    def _line(self) -> int:
        return self._parser.CurrentLineNumber

    def _wrong(self, message: str) -> ConfigError:
        return ConfigError(message, file=self._file, line=self._line, hint=_HINT)
