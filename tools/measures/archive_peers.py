"""Who is measured beside each other: our archive, Debian's Orthanc, DCMTK's dcmqrscp, each on a folder of the same disk.

What each has synced when it answers a C-STORE with success:

ours       the file, its folder, the index (SQLite, WAL, synchronous = FULL), the journal
Orthanc    its default: each file (SyncStorageArea); its SQLite database in WAL mode is synced at checkpoints
dcmqrscp   nothing
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from measures import archive_host
from measures.orthanc_scale import orthanc
from measures.processes import Broken, listening, program, serving

SYNCED = {
    "doorward": "synced: file, folder, index, journal",
    "doorward, TLS": "synced: file, folder, index, journal",
    "Orthanc": "synced: file; its database at checkpoints",
    "dcmqrscp": "synced: nothing",
}
_DICOM_WEB = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")


@dataclass(frozen=True, slots=True, kw_only=True)
class Contestant:
    """One running archive. ``certificates`` is the folder with ours, None where it speaks no TLS."""

    name: str
    title: str
    port: int
    folder: Path
    certificates: Path | None = None
    http_port: int = 0
    #: 0: not ours, so its memory is not looked at.
    pid: int = 0


@contextmanager
def doorward(folder: Path, *, studies: int = 0) -> Iterator[tuple[Contestant, Contestant]]:
    """Run ours; gives its plain door (with HTTPS beside it) and its TLS door, which are one process."""
    folder.mkdir()
    with serving("measures.archive_host", folder, studies) as child:
        ports = json.loads((folder / archive_host.PORTS).read_text())
        plain = Contestant(
            name="doorward",
            title=archive_host.TITLE,
            port=child.port,
            folder=folder,
            http_port=ports["https"],
            pid=child.pid,
        )
        tls = Contestant(
            name="doorward, TLS",
            title=archive_host.TITLE,
            port=ports["tls"],
            folder=folder,
            certificates=folder,
            pid=child.pid,
        )
        yield plain, tls


@contextmanager
def debian_orthanc(folder: Path, **settings: object) -> Iterator[Contestant]:
    """Run Orthanc with its default durability and its DICOMweb plugin, open for every service."""
    folder.mkdir()
    chosen: dict[str, object] = {
        "SyncStorageArea": True,
        "DicomAlwaysAllowGet": True,
        "Plugins": [str(_DICOM_WEB)] if _DICOM_WEB.exists() else [],
    }
    with orthanc(folder, **(chosen | settings)) as (port, http_port):
        yield Contestant(
            name="Orthanc", title="ORTHANC", port=port, folder=folder, http_port=http_port
        )


@contextmanager
def dcmqrscp(folder: Path) -> Iterator[Contestant]:
    """Run dcmqrscp with one storage area, open for everybody."""
    path = program("dcmqrscp")
    if path is None:
        raise Broken("DCMTK is not installed")
    folder.mkdir()
    (folder / "AREA").mkdir()
    configuration = folder / "dcmqrscp.cfg"
    lines = ["MaxPDUSize = 16384", "MaxAssociations = 64", "HostTable BEGIN", "HostTable END"]
    lines += ["VendorTable BEGIN", "VendorTable END", "AETable BEGIN"]
    lines += [f"AREA {folder / 'AREA'} RW (500, 102400mb) ANY", "AETable END", ""]
    configuration.write_text("\n".join(lines))
    with listening([path, "--config", str(configuration)]) as child:
        yield Contestant(name="dcmqrscp", title="AREA", port=child.port, folder=folder)
