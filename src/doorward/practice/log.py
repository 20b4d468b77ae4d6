"""What happened to a fleet, as JSON lines: the proof of a survey's manners that the survey itself does not write.

Theory of operation: one line an event, in the order in which the fleet saw them, with monotonic and wall time, the address
and port that were called, who called, and the number of the connection. Lines are gathered for one turn of the event loop
and written with one call, so that whatever ends the process loses no more than that turn. Of a query the level, the tags of
its keys, and the ranges of date and time are written; any other value is not, even of a practice patient.

Events: knocked (TLS begins; only at doors with TLS), connected (tls), associated (called, calling, contexts, accepted),
rejected (result, source, reason), echo, find (model, level, keys, valued, dates, times), cancel, find_done (matches,
status), store, get, move, request (method, path; web), command (verb; FTP), data, released, aborted, closed.
``t`` is in seconds of the monotonic clock, ``wall`` in seconds since 1970. ``evidence`` reads them.
"""

import asyncio
import json
import os
import re
import time
from pathlib import Path

from doorward.dicom.values import decode_strings
from doorward.dicom.walk import Syntax, walk
from doorward.errors import ConfigError, LimitExceeded, PeerProtocolError

#: Called address and port, calling address and port.
Way = tuple[str, int, str, int]
_LEVEL, _STUDY_DATE, _STUDY_TIME = 0x0008_0052, 0x0008_0020, 0x0008_0030
#: Ranges of dates and times (PS3.4 section C.2.2.2.5) and names of levels; anything else might be somebody's.
_HARMLESS = re.compile(r"[0-9.:]{0,16}-?[0-9.:]{0,16}|PATIENT|STUDY|SERIES|IMAGE", re.ASCII)


class EventLog:
    """Appends to one file; ``close`` at the end. Raises ConfigError where the file cannot be written."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._lines: list[str] = []
        self._fault: OSError | None = None
        self._strangers = 0
        self._wall_ahead_s = time.time() - time.monotonic()
        try:
            self._stream = file.open("ab", buffering=0)
        except OSError as error:
            raise ConfigError(f"cannot be written ({error.strerror})", file=file) from None

    def number(self) -> int:
        """Return a number for a connection that is no DICOM server's."""
        self._strangers += 1
        return self._strangers

    def note(self, event: str, door: str, number: int, way: Way, **details: object) -> None:
        """Write one event of the connection that ``door`` (dicom, http, ftp ...) and ``number`` name."""
        if self._stream.closed:
            return
        now = time.monotonic()
        address, port, peer, peer_port = way
        line = {
            "t": round(now, 6),
            "wall": round(now + self._wall_ahead_s, 6),
            "event": event,
            "address": address,
            "port": port,
            "peer": peer,
            "peer_port": peer_port,
            "door": door,
            "number": number,
            **details,
        }
        if not self._lines:
            asyncio.get_running_loop().call_soon(self.flush)
        self._lines.append(json.dumps(line, separators=(",", ":")) + "\n")

    def flush(self) -> None:
        """Write what was gathered. A full disk ends the log, and ``close`` says so."""
        lines, self._lines = self._lines, []
        if not lines or self._fault is not None or self._stream.closed:
            return
        rest = memoryview("".join(lines).encode("ascii"))
        try:
            while rest:
                rest = rest[os.write(self._stream.fileno(), rest) :]
        except OSError as fault:
            self._fault = fault

    def close(self) -> None:
        """Write the rest. Raises ConfigError where something could not be written."""
        self.flush()
        self._stream.close()
        if self._fault is not None:
            reason = self._fault.strerror or type(self._fault).__name__
            raise ConfigError(f"could not be written to its end ({reason})", file=self._file)


def keys_of(identifier: bytes, syntax: Syntax) -> dict[str, object]:
    """Return what the log says of a query's identifier: tags, level, ranges of date and time, never another value."""
    keys: list[str] = []
    valued: list[str] = []
    texts = {_LEVEL: "", _STUDY_DATE: "", _STUDY_TIME: ""}
    try:
        for element in walk(identifier, syntax):
            if element.depth or element.length < 0:
                continue
            keys.append(f"{element.tag:08X}")
            if element.length:
                valued.append(keys[-1])
            if element.tag in texts:
                raw = identifier[element.offset : element.offset + element.length]
                texts[element.tag] = _harmless("\\".join(decode_strings(raw, "LO")))
    except (PeerProtocolError, LimitExceeded):
        keys.append("malformed")
    return {
        "level": texts[_LEVEL],
        "keys": keys,
        "valued": valued,
        "dates": texts[_STUDY_DATE],
        "times": texts[_STUDY_TIME],
    }


def _harmless(text: str) -> str:
    return text if _HARMLESS.fullmatch(text) else "?"
