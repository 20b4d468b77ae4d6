"""Every door of an imaging system on a real server, in open and shut forms, each with the checks that must fail.

The rows of docs/doors.md. ``AUDITED`` are run by tests/interop/test_doors.py; databases, shares and TLS have tables and tests
of their own, which ``rows`` puts beside them.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import database_forms
import file_servers
import share_forms
import tls_configurations
import web_servers
from certificates import Certificates
from peers import Orthanc, StorageArea, Tls, dcmqrscp, orthanc, storescp

#: What is run -> Debian's package and the version in Debian 12, or the package index.
SERVERS = {
    "Orthanc": ("orthanc", "1.10.1"),
    "Orthanc, DICOMweb plugin": ("orthanc-dicomweb", "1.7"),
    "dcmqrscp": ("dcmtk", "3.6.7"),
    "storescp": ("dcmtk", "3.6.7"),
    "nginx": ("nginx-light", "1.22.1"),
    "lighttpd": ("lighttpd", "1.4.69"),
    "Apache httpd": ("apache2-bin", "2.4"),
    "vsftpd": ("vsftpd", "3.0.3"),
    "pyftpdlib": ("pyftpdlib (PyPI)", "2"),
    "hl7 listener": ("hl7 (PyPI)", "0.4"),
    "PostgreSQL": ("postgresql-15", "15"),
    "MariaDB": ("mariadb-server-core", "10.11"),
    "Redis": ("redis-server", "7.0"),
    "slapd": ("slapd", "2.5.13"),
    "Samba": ("samba", "4.17"),
    "NFS-Ganesha": ("nfs-ganesha", "4.3"),
    "openssl": ("openssl", "3.0"),
    "gnutls": ("gnutls-bin", "3.7.9"),
    "nss": ("libnss3-tools", "3.87"),
    "python": ("python3", "3.11"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class House:
    """What a server may need to start: a folder of its own, certificates, synthetic images."""

    folder: Path
    certificates: Certificates
    images: tuple[Path, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """One way to run one server; ``fails`` are the checks that must fail, and no other may; ``passes`` must pass.

    Left out are the checks that depend on today and on what Debian repaired: outdated and vulnerable versions.
    """

    door: str
    server: str
    name: str
    peers: tuple[str, ...]
    start: Callable[[House], AbstractContextManager[int]]
    fails: frozenset[str]
    passes: frozenset[str] = frozenset()
    #: What the audit expects on the port; ports of tests are free ones, so it cannot know by itself.
    protocol: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)
    #: Known certificates of the test's own authority.
    trusts: bool = False


# --- DICOM ------------------------------------------------------------------------------------------------------------

_NETWORK = frozenset({"dimse_tls_missing"})
_ANY_TITLE = frozenset({"dimse_ae_accepts_any"})
_QUERY = frozenset({"dimse_query_context_open", "dimse_query_unprotected"})
_OTHER = frozenset({"dimse_other_services_open"})
_TAKE = frozenset({"dimse_retrieve_open"})
_PUT = frozenset({"dimse_store_open"})
_WAYS_IN = _ANY_TITLE | _TAKE | _PUT | {"dimse_query_unprotected"}
_NOBODY = {
    f"DicomAlwaysAllow{one}": False
    for one in ("Echo", "Store", "Find", "FindWorklist", "Get", "Move")
} | {"DicomCheckCalledAet": True, "DicomModalities": {"friend": ["FRIEND", "127.0.0.1", 11112]}}
_EVERYBODY = {f"DicomAlwaysAllow{one}": True for one in ("Store", "Find", "Get", "Move")}


@contextmanager
def _orthanc(house: House, **more: Any) -> Iterator[int]:
    with orthanc(house.folder, files=house.images, **more) as peer:
        yield peer.port


@contextmanager
def _dcmqrscp(house: House, *options: str) -> Iterator[int]:
    area = StorageArea(ae_title="READ", files=house.images)
    with dcmqrscp(house.folder, [area], options=options) as peer:
        yield peer.port


@contextmanager
def _storescp(house: House) -> Iterator[int]:
    with storescp(house.folder) as peer:
        yield peer.port


def _mutual(house: House) -> Tls:
    return Tls(own=house.certificates.server, trusted=house.certificates.authority)


def _dicom(server: str, name: str, start: Any, *fails: frozenset[str], **more: Any) -> Form:
    peer = "orthanc" if server == "Orthanc" else "dcmtk"
    return Form(
        door="DICOM",
        server=server,
        name=name,
        peers=(peer,),
        start=start,
        fails=frozenset[str]().union(*fails),
        **more,
    )


DICOM = (
    _dicom(
        "Orthanc",
        "queries allowed to everybody",
        lambda h: _orthanc(h, configuration=_EVERYBODY),
        *(_NETWORK, _ANY_TITLE, _QUERY, _TAKE, _PUT, _OTHER),
    ),
    _dicom(
        "Orthanc",
        "as Debian ships it",
        lambda h: _orthanc(h, debian_default=True),
        *(_NETWORK, _ANY_TITLE, _PUT, _OTHER, {"dimse_query_context_open"}),
        passes=frozenset({"dimse_query_unprotected"}),
    ),
    _dicom(
        "Orthanc",
        "called title checked, known modalities only",
        lambda h: _orthanc(h, configuration=_NOBODY),
        _NETWORK,
        passes=_WAYS_IN,
        settings={"called_ae_titles": ("ORTHANC",)},
    ),
    _dicom(
        "Orthanc",
        "TLS, client certificate required",
        lambda h: _orthanc(h, configuration=_EVERYBODY, tls=_mutual(h)),
        passes=_WAYS_IN | {"dimse_tls_missing", "tls_client_certificate_not_required"},
        trusts=True,
    ),
    _dicom(
        "dcmqrscp",
        "readable under a listed title",
        _dcmqrscp,
        *(_NETWORK, _QUERY, _TAKE, {"dimse_ae_called_only"}),
        settings={"called_ae_titles": ("READ",)},
    ),
    _dicom(
        "dcmqrscp",
        "refuses everybody",
        lambda h: _dcmqrscp(h, "--refuse"),
        _NETWORK,
        passes=_WAYS_IN,
        settings={"called_ae_titles": ("READ",)},
    ),
    _dicom(
        "storescp",
        "stores for everybody",
        _storescp,
        *(_NETWORK, _ANY_TITLE, _PUT),
        passes=_TAKE | {"dimse_query_unprotected"},
    ),
)

# --- web --------------------------------------------------------------------------------------------------------------

_PLAIN = "web_plain_http"


@contextmanager
def _dicomweb(house: House, users: Mapping[str, str] | None = None) -> Iterator[int]:
    with web_servers.dicomweb_orthanc(house.folder, users=users, files=house.images) as peer:
        yield peer.http_port


@contextmanager
def _explorer(house: House, **configuration: object) -> Iterator[int]:
    with orthanc(house.folder, configuration=configuration, files=house.images) as peer:
        assert isinstance(peer, Orthanc)
        yield peer.http_port


@contextmanager
def _proxied(house: House, lines: str) -> Iterator[int]:
    """Run nginx before an open Orthanc; TARGET and LOCK stand for the way to it and for a password."""
    passwords = house.folder / "passwords"
    with web_servers.dicomweb_orthanc(house.folder / "orthanc", files=house.images) as peer:
        passwords.write_text("alice:{PLAIN}made-up\n")
        lock = f'auth_basic "Archive"; auth_basic_user_file {passwords};'
        target = f"proxy_pass http://127.0.0.1:{peer.http_port};"
        filled = lines.replace("TARGET", target).replace("LOCK", lock)
        with web_servers.nginx(house.folder / "nginx", server_lines=filled) as proxy:
            yield proxy.port


@contextmanager
def _site(server: Callable[..., AbstractContextManager[Any]], house: House, **more: Any) -> Any:
    with server(house.folder, **more) as peer:
        yield peer.port


def _web(server: str, name: str, start: Any, *fails: str, peers: str = "", **more: Any) -> Form:
    return Form(
        door=more.pop("door", "web"),
        server=server,
        name=name,
        peers=tuple(peers.split()),
        start=start,
        fails=frozenset(fails),
        passes=frozenset(more.pop("passes", "").split()),
        protocol=more.pop("protocol", "http"),
        **more,
    )


_BOTH = "orthanc orthanc-dicomweb"
_OPEN_WEB = ("web_qido_open", "web_wado_open", "web_stow_open")
WEB = (
    _web(
        "Orthanc, DICOMweb plugin",
        "no login",
        _dicomweb,
        *_OPEN_WEB,
        *("web_rest_open", "web_viewer_open", "web_viewer_plain_http", _PLAIN, "files_webdav_open"),
        peers=_BOTH,
    ),
    _web(
        "Orthanc, DICOMweb plugin",
        "a password at every door",
        lambda h: _dicomweb(h, {"alice": "made-up"}),
        *("web_viewer_plain_http", _PLAIN),
        peers=_BOTH,
        passes=f"{' '.join(_OPEN_WEB)} web_rest_open web_viewer_open files_webdav_open",
    ),
    _web(
        "Orthanc",
        "no login, no WebDAV, for its own machine only",
        lambda h: _explorer(h, WebDavEnabled=False),
        *("web_rest_open", "web_viewer_open", "web_viewer_plain_http", _PLAIN),
        peers="orthanc",
    ),
    _web(
        "nginx",
        "before Orthanc: pages guarded, /dicom-web/ forgotten",
        lambda h: _proxied(h, "location / { LOCK TARGET } location /dicom-web/ { TARGET }"),
        *(*_OPEN_WEB, _PLAIN),
        peers=f"{_BOTH} nginx",
    ),
    _web(
        "nginx",
        "before Orthanc: everything guarded",
        lambda h: _proxied(h, "LOCK location / { TARGET }"),
        _PLAIN,
        peers=f"{_BOTH} nginx",
        passes=" ".join(_OPEN_WEB),
    ),
    _web(
        "nginx",
        "one page for every path",
        lambda h: _site(
            web_servers.nginx, h, server_lines="location / { try_files $uri /index.html; }"
        ),
        _PLAIN,
        peers="nginx",
    ),
    _web(
        "lighttpd",
        "a plain site",
        lambda h: _site(web_servers.lighttpd, h),
        _PLAIN,
        peers="lighttpd",
    ),
    _web(
        "Apache httpd",
        "a plain site",
        lambda h: _site(web_servers.apache, h),
        _PLAIN,
        peers="apache2",
    ),
    _web(
        "Apache httpd",
        "a viewer's title on every path",
        lambda h: _site(
            web_servers.apache, h, title="OHIF Viewer", lines="FallbackResource /index.html"
        ),
        *("web_viewer_plain_http", _PLAIN),
        peers="apache2",
    ),
)

# --- files and messages -----------------------------------------------------------------------------------------------


@contextmanager
def _folders(name: str, house: House, *, lists: bool, tls: bool = False) -> Iterator[int]:
    site = file_servers.make_site(house.folder / "site")
    own = house.certificates.server_rsa if tls else None
    with file_servers.folder_server(name, house.folder / "w", site, lists=lists, own=own) as port:
        yield port


@contextmanager
def _ftp(
    server: Callable[..., AbstractContextManager[int]], house: House, *lines: str, **more: Any
) -> Iterator[int]:
    site = file_servers.make_site(house.folder / "site")
    if more.pop("tls", False):
        more["own"] = house.certificates.server_rsa
    with server(house.folder / "w", site, *lines, **more) as port:
        yield port


_LISTING = "files_listing_open"
_LISTERS = (("nginx", "nginx"), ("Apache httpd", "apache"), ("lighttpd", "lighttpd"))
_PEERS = {"nginx": "nginx", "apache": "apache2", "lighttpd": "lighttpd"}


def _listing(server: str, name: str, *, lists: bool) -> Form:
    return _web(
        server,
        "folders listed" if lists else "folders not listed",
        lambda h: _folders(name, h, lists=lists),
        *((_LISTING, _PLAIN) if lists else (_PLAIN,)),
        door="folders on the web",
        peers=_PEERS[name],
        passes="" if lists else _LISTING,
    )


def _message(server: str, name: str, start: Any, *fails: str, **more: Any) -> Form:
    door, protocol = ("HL7", "hl7") if server.startswith("hl7") else ("FTP", "ftp")
    peers = "hl7" if door == "HL7" else server
    return _web(server, name, start, *fails, door=door, protocol=protocol, peers=peers, **more)


def _open_vsftpd(house: House) -> AbstractContextManager[int]:
    return _ftp(file_servers.vsftpd, house)


def _open_pyftpdlib(house: House) -> AbstractContextManager[int]:
    return _ftp(file_servers.pyftpdlib, house)


FILES = (
    *(_listing(server, name, lists=lists) for server, name in _LISTERS for lists in (True, False)),
    _message("vsftpd", "anonymous", _open_vsftpd, "files_ftp_anonymous"),
    _message(
        "vsftpd",
        "passwords in clear text",
        lambda h: _ftp(file_servers.vsftpd, h, anonymous=False),
        "files_ftp_plain",
        passes="files_ftp_anonymous",
    ),
    _message(
        "vsftpd",
        "passwords inside TLS only",
        lambda h: _ftp(
            file_servers.vsftpd, h, "force_local_logins_ssl=YES", anonymous=False, tls=True
        ),
        passes="files_ftp_anonymous files_ftp_plain",
    ),
    _message("pyftpdlib", "anonymous", _open_pyftpdlib, "files_ftp_anonymous", "files_ftp_plain"),
    _message(
        "pyftpdlib",
        "passwords in clear text",
        lambda h: _ftp(file_servers.pyftpdlib, h, anonymous=False),
        "files_ftp_plain",
        passes="files_ftp_anonymous",
    ),
    _message(
        "hl7 listener",
        "answers everybody, asked at clearance level 3",
        lambda h: file_servers.hl7_listener(h.folder),
        *("hl7_port_open", "hl7_plain"),
        settings={"clearance_level": 3},
    ),
    _message(
        "hl7 listener",
        "the same at level 2: nothing is said, nothing is known",
        lambda h: file_servers.hl7_listener(h.folder),
    ),
)
AUDITED = (*DICOM, *WEB, *FILES)


# --- the table --------------------------------------------------------------------------------------------------------

#: What stands above the tables.
ABOUT = """\
What the audit says of real servers on loopback, in open and in shut forms; in brackets Debian's package and the version in
Debian 12. Each row is a test that starts the server and demands that exactly these checks fail, and that the ones under
*must pass* pass. An empty cell is a form without a finding. [checks.md](checks.md) explains each check.

For DICOM, the web, folders, FTP and HL7 the whole audit runs and every finding of severity low or above counts; for
databases, shares and TLS the checks of that door count. Left out are the checks that say how old a version is. A database
or a share that answers strangers at all is a finding of its own (`db_port_reachable`, `share_port_reachable`), and so is
plain HTTP, however well it is locked.

Doors that Debian has no server for (SQL Server, Oracle, MongoDB, Elasticsearch, dcm4chee, FHIR, a Java debugger and others)
are tried on scripted answers in `tests/audit/probes`. What only looks open is in `tests/promises/test_no_false_open.py`.
TLS is held against sslyze and nmap too: [tls-differences.md](tls-differences.md)."""

_HERE = "tests/interop/test_doors.py::test_a_door_is_judged_as_it_stands"
_PROBES = "tests/audit/probes"
_DATABASES = (
    ("PostgreSQL", database_forms.POSTGRESQL, "test_postgresql_is_judged_as_it_is"),
    ("MariaDB", database_forms.MARIADB, "test_mariadb_is_judged_as_it_is"),
    ("Redis", database_forms.REDIS, "test_redis_is_judged_as_it_is"),
    ("slapd", database_forms.LDAP, "test_slapd_is_judged_as_it_is"),
)
_OPEN_PORT, _OPEN_SHARE = frozenset({"db_port_reachable"}), frozenset({"share_port_reachable"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One row of docs/doors.md."""

    door: str
    server: str
    form: str
    fails: frozenset[str]
    passes: frozenset[str] = frozenset()
    test: str


def rows() -> Iterator[Row]:
    """Yield every form of every door, in the order of the page."""
    for form in AUDITED:
        yield Row(
            door=form.door,
            server=form.server,
            form=form.name,
            fails=form.fails,
            passes=form.passes,
            test=_HERE,
        )
    for server, forms, test in _DATABASES:
        place = f"{_PROBES}/test_databases.py::{test}"
        for one in forms:
            name = one.name.partition(", ")[2]
            door, fails = f"database ({one.protocol})", one.fails | _OPEN_PORT
            yield Row(door=door, server=server, form=name, fails=fails, test=place)
    place = f"{_PROBES}/test_shares.py::test_samba_is_judged_as_it_is"
    for name, share in share_forms.FORMS.items():
        fails = share.fails | _OPEN_SHARE
        yield Row(door="share (smb)", server="Samba", form=name, fails=fails, test=place)
    place = f"{_PROBES}/test_shares.py::test_ganesha_speaks_version_4_only"
    yield Row(
        door="share (nfs)",
        server="NFS-Ganesha",
        form="version 4 only",
        fails=_OPEN_SHARE,
        test=place,
    )
    place = "tests/interop/test_doors.py::test_tls_is_judged_as_it_is"
    for name, fails in tls_configurations.FAILS.items():
        program, _, form = name.partition(": ")
        server = {"orthanc": "Orthanc", "dcmtk": "storescp"}.get(program, program)
        yield Row(
            door="TLS",
            server=server,
            form=form.removeprefix("storescp with "),
            fails=fails,
            test=place,
        )
