"""What an importer yields: one door that another tool saw or an inventory lists, or a row that was left out and why.

Readers take allow-listed fields and drop the rest unread: a scanner's output, a banner or a page may quote a patient's name
(promise 2). So a sighting holds no text that a stranger's system wrote, but for the short hint of a service's kind.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import IO

from doorward.audit.place import NOWHERE, Place
from doorward.limits import DEFAULT_LIMITS, Limits


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """One open TCP port or one listed system."""

    #: A numeric address as ``ipaddress`` writes it, or a host name in lower case.
    host: str
    #: None: the source names no port; the usual doors are tried.
    port: int | None
    #: nmap | masscan | zmap | zgrab2 | shodan | censys | naabu | httpx | inventory
    source: str
    #: ISO 8601 in UTC to the second, "" where the source does not say.
    seen_at: str = ""
    is_tls: bool | None = None
    #: The kind of service as the source names it ("dicom", "http"), at most 32 harmless characters; a hint only.
    service: str = ""
    place: Place = NOWHERE
    called_ae_title: str = ""
    calling_ae_title: str = ""
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Skipped:
    """A row that was left out. ``reason`` names the field and what is wrong with it, never the row's text."""

    #: 1-based line of the file; 0 where the format has none.
    line: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportOptions:
    """What the operator says about a file that the file does not say itself."""

    #: For lists of bare addresses (ZMap): the port that was scanned.
    port: int | None = None
    #: Sightings older than this are skipped; None takes all.
    oldest: datetime | None = None
    #: Take also what naabu marks as a content delivery network.
    with_cdn: bool = False
    limits: Limits = DEFAULT_LIMITS


Item = Sighting | Skipped
#: Reads a stream of bytes (already decompressed) as sightings, in bounded memory; ``file`` is for error messages.
#: Raises ConfigError (file, line) for what cannot be read at all or goes wrong beyond what is safe to recover.
Reader = Callable[[IO[bytes], Path, ImportOptions], Iterator[Item]]
