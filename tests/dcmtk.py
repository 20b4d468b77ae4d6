"""DCMTK's command-line tools as clients, with their output captured and their time limited.

Truth about our own code comes from programs that do not share it: these tools talk to our server and to the peers of
``peers.py``. A tool is given an ``Address``, and the DICOM peers of ``peers.py`` have all that is needed for one.
"""

import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from pydicom import Dataset, dcmread

from certificates import Credential

TIME_LIMIT_S = 30.0


class Address(Protocol):
    """Where a tool shall connect to; every peer of ``peers.py`` is one."""

    @property
    def host(self) -> str: ...
    @property
    def port(self) -> int: ...
    @property
    def ae_title(self) -> str: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class At:
    """An address without a peer object, for servers that are not started by ``peers.py``."""

    port: int
    ae_title: str = "ANY-SCP"
    host: str = "127.0.0.1"


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientTls:
    """How a tool speaks TLS: whom it trusts, and its own credential or none (anonymous)."""

    trusted: Credential
    own: Credential | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolResult:
    """How a tool ended and all it said on both streams."""

    returncode: int
    output: str

    @property
    def is_success(self) -> bool:
        """The tool says that all went well."""
        return self.returncode == 0


@dataclass(frozen=True, slots=True, kw_only=True)
class FindResult(ToolResult):
    """What findscu got: one data set per pending response."""

    matches: tuple[Dataset, ...]


def run_tool(name: str, *arguments: object, time_limit_s: float = TIME_LIMIT_S) -> ToolResult:
    """Run one of DCMTK's tools to its end; raises TimeoutExpired when it takes longer."""
    command = [name, *map(str, arguments)]
    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=time_limit_s,
        check=False,
    )
    return ToolResult(returncode=done.returncode, output=done.stdout.decode(errors="replace"))


def common_options(
    address: Address, calling: str, called: str | None, tls: ClientTls | None
) -> list[str]:
    """Return the options that all the tools share: titles and TLS."""
    options = ["--verbose", "--aetitle", calling, "--call", called or address.ae_title]
    if tls is None:
        return options
    options += ["--add-cert-file", str(tls.trusted.certificate_path)]
    if tls.own is None:
        return [*options, "--anonymous-tls"]
    return [*options, "--enable-tls", str(tls.own.key_path), str(tls.own.certificate_path)]


def echoscu(
    address: Address,
    *options: str,
    calling: str = "ECHOSCU",
    called: str | None = None,
    tls: ClientTls | None = None,
) -> ToolResult:
    """Send one C-ECHO."""
    common = common_options(address, calling, called, tls)
    return run_tool("echoscu", *common, *options, address.host, address.port)


def storescu(
    address: Address,
    files: Sequence[Path],
    *options: str,
    calling: str = "STORESCU",
    called: str | None = None,
    tls: ClientTls | None = None,
) -> ToolResult:
    """Send the files in one association."""
    common = common_options(address, calling, called, tls)
    return run_tool("storescu", *common, *options, address.host, address.port, *files)


def findscu(
    address: Address,
    folder: Path,
    keys: Sequence[str],
    *options: str,
    model: str = "--study",
    calling: str = "FINDSCU",
    called: str | None = None,
    tls: ClientTls | None = None,
) -> FindResult:
    """Query with keys such as ``0008,0052=STUDY``; the answers pass through the folder, which must be empty."""
    folder.mkdir(parents=True, exist_ok=True)
    common = [*common_options(address, calling, called, tls), model]
    common += ["--extract", "--output-directory", str(folder)]
    keyed = [part for key in keys for part in ("--key", key)]
    done = run_tool("findscu", *common, *options, *keyed, address.host, address.port)
    matches = tuple(dcmread(path, force=True) for path in sorted(folder.glob("rsp*.dcm")))
    return FindResult(returncode=done.returncode, output=done.output, matches=matches)


def getscu(
    address: Address,
    folder: Path,
    keys: Sequence[str],
    *options: str,
    calling: str = "GETSCU",
    called: str | None = None,
    tls: ClientTls | None = None,
) -> ToolResult:
    """Retrieve into the folder by C-GET (Study Root), byte by byte as it comes."""
    folder.mkdir(parents=True, exist_ok=True)
    common = [*common_options(address, calling, called, tls), "--study", "--bit-preserving"]
    common += ["--output-directory", str(folder)]
    keyed = [part for key in keys for part in ("--key", key)]
    return run_tool("getscu", *common, *options, *keyed, address.host, address.port)


def movescu(
    address: Address,
    keys: Sequence[str],
    destination: str,
    *options: str,
    calling: str = "MOVESCU",
    called: str | None = None,
    tls: ClientTls | None = None,
) -> ToolResult:
    """Ask the peer to send what matches (Study Root) to an AE title that it knows."""
    common = [*common_options(address, calling, called, tls), "--study", "--move", destination]
    keyed = [part for key in keys for part in ("--key", key)]
    return run_tool("movescu", *common, *options, *keyed, address.host, address.port)


def rejection_in(output: str) -> tuple[str, str, str] | None:
    """Return result, source and reason in DCMTK's words when the tool was rejected, else None."""
    found = re.search(r"Result: (.+?), Source: (.+?)\n.*Reason: (.+)", output)
    return None if found is None else (found[1], found[2], found[3].strip())
