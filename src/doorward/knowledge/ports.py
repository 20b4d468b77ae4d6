"""Imaging ports: what is expected behind each, and which to try where nobody named one."""

from dataclasses import dataclass
from functools import cache

from doorward.knowledge.loader import rows


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownPort:
    """One row of ports.toml; a port number never identifies a product."""

    port: int
    #: dicom | dicom-tls | dicom-iscl | http | https | hl7 | hl7-tls | postgresql | mysql | mssql | oracle | mongodb
    #: | redis | elasticsearch | ldap | ldaps | smb | nfs | portmapper | ftp | ftps | jdwp
    protocol: str
    name: str
    source: str  # standard | product | tool
    audited: bool


@cache
def known_ports() -> tuple[KnownPort, ...]:
    """Return every known imaging port, in file order."""
    return rows("doorward.knowledge", "ports.toml", "port", KnownPort)


def audited_ports() -> tuple[int, ...]:
    """Return the ports that an audit tries where the operator names none."""
    return tuple(p.port for p in known_ports() if p.audited)


def expected_protocol(port: int) -> str:
    """Return the protocol that is expected on a port, or "" where nothing is known."""
    return next((p.protocol for p in known_ports() if p.port == port), "")
