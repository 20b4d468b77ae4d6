"""Who is measured beside each other: our archive, Debian's Orthanc, DCMTK's dcmqrscp, each on a folder of the same disk.

What each has synced when it answers a C-STORE with success:

ours       the file, its folder, the index (SQLite, WAL, synchronous = FULL), the journal
Orthanc    its default: each file (SyncStorageArea); its SQLite database in WAL mode is synced at checkpoints
dcmqrscp   nothing
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from doorward.access.authority import Authority
from measures import archive_host
from measures.orthanc_scale import orthanc
from measures.processes import (
    HOST,
    START_S,
    Broken,
    free_port,
    listening,
    listening_on,
    program,
    serving,
)

SYNCED = {
    "doorward": "synced: file, folder, index, journal",
    "doorward, TLS": "synced: file, folder, index, journal",
    "Orthanc": "synced: file; its database at checkpoints",
    "dcmqrscp": "synced: nothing",
}
_NGINX = """
daemon off;
master_process off;
pid {folder}/nginx.pid;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{
        listen {host}:{port} ssl;
        ssl_certificate {pem};
        ssl_certificate_key {pem};
        ssl_protocols TLSv1.2 TLSv1.3;
        location / {{
            proxy_pass http://{host}:{to};
            proxy_buffers 16 64k;
            proxy_buffer_size 64k;
            proxy_busy_buffers_size 512k;
            proxy_max_temp_file_size 0;
        }}
    }}
}}
"""
#: Studies that an index is filled with in a second, on a slow machine.
_FILLED_PER_S = 500
_DICOM_WEB = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")


@dataclass(frozen=True, slots=True, kw_only=True)
class Contestant:
    """One running archive. ``certificates`` is the folder with ours, None where its DICOM door speaks no TLS."""

    name: str
    title: str
    port: int
    folder: Path
    certificates: Path | None = None
    http_port: int = 0
    #: What the certificate of its web door is verified with, None where that speaks plain HTTP.
    web_authority: Path | None = None
    #: 0: not ours, so its memory is not looked at.
    pid: int = 0


@contextmanager
def doorward(folder: Path, *, studies: int = 0) -> Iterator[tuple[Contestant, Contestant]]:
    """Run ours; gives its plain door (with HTTPS beside it) and its TLS door, which are one process."""
    folder.mkdir()
    start_s = START_S + studies / _FILLED_PER_S
    with serving("measures.archive_host", folder, studies, start_s=start_s) as child:
        ports = json.loads((folder / archive_host.PORTS).read_text())
        plain = Contestant(
            name="doorward",
            title=archive_host.TITLE,
            port=child.port,
            folder=folder,
            http_port=ports["https"],
            web_authority=folder / archive_host.AUTHORITY,
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
def behind_nginx(folder: Path, one: Contestant) -> Iterator[Contestant]:
    """Give the same archive a web door with TLS by nginx, as its handbook says; Debian's Orthanc has none that works.

    Its libcivetweb 1.15 asks OpenSSL 3 for a function that OpenSSL 1.1 had, and the first request over HTTPS ends the process.
    nginx has its own defaults, with more room for what it passes on and no files for it.
    """
    path = program("nginx")
    if path is None:
        raise Broken("nginx is not installed")
    folder.mkdir()
    authority = folder / archive_host.AUTHORITY
    port = free_port()
    settings = _NGINX.format(
        folder=folder, host=HOST, port=port, to=one.http_port, pem=_certified(authority)
    )
    configuration = folder / "nginx.conf"
    configuration.write_text(settings)
    with listening_on(port, [path, "-p", str(folder), "-e", "stderr", "-c", str(configuration)]):
        yield replace(one, name=f"{one.name} behind nginx", http_port=port, web_authority=authority)


def _certified(authority: Path) -> Path:
    """Make an authority and a server's certificate of the same kind as ours; return the file with its key."""
    now = datetime.now(UTC)
    made = Authority.make("bench", now=now)
    authority.write_bytes(made.certificate)
    server = made.server([HOST], now=now)
    path = authority.with_name(archive_host.SERVER)
    path.touch(mode=0o600)
    path.write_bytes(server.key + server.certificate)
    return path


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
