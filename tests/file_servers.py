"""Real servers of files and messages for the tests: web servers that list folders, vsftpd, pyftpdlib, an HL7 listener.

All listen on loopback only, on free ports, and are ended by their process group. What lies in their folders is made up; a
canary stands in every name, so that a name in any output is found.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from certificates import Credential
from peers import HOST, accepts_connection, free_port, started

#: Stands in every name; no output may show it.
CANARY = "ZZCANARY"
APACHE_MODULES = Path("/usr/lib/apache2/modules")
FILES = ("IM_0001", "1.2.840.99999.1.2.3.4.dcm", f"{CANARY}^PATIENT.dcm", f"{CANARY} & <notes>.txt")
FOLDERS = ("00000001", f"{CANARY} studies")


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """What lies at the top of a server's folder and in /dicom/."""

    folder: Path
    entries: int = 8  # of the top: FILES, FOLDERS, dicom, empty
    folders: int = 4
    dicom_names: int = 3
    number_names: int = 1
    images: int = 12  # in /dicom/


def make_site(folder: Path) -> Site:
    """Fill a folder."""
    site = Site(folder=folder)
    folder.mkdir(parents=True)
    folder.chmod(0o755)
    for name in FILES:
        (folder / name).write_text(f"{CANARY} content")
    for name in (*FOLDERS, "dicom", "empty"):
        (folder / name).mkdir()
    for number in range(site.images):
        (folder / "dicom" / f"IM_{CANARY}_{number:04}.dcm").write_text("x")
    return site


# --- web servers ------------------------------------------------------------------------------------------------------


def _nginx(work: Path, site: Path, port: int, lists: bool, own: Credential | None) -> list[str]:
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    temporary = "".join(f"{kind}_temp_path {work}/{kind};" for kind in kinds)
    tls = (
        f"ssl_certificate {own.certificate_path}; ssl_certificate_key {own.key_path};"
        if own
        else ""
    )
    (work / "nginx.conf").write_text(
        f"daemon off; master_process off; pid {work}/pid; error_log stderr; events {{}}"
        f"http {{ access_log off; {temporary} server {{ listen {HOST}:{port}{' ssl' if own else ''}; {tls}"
        f"root {site}; autoindex {'on' if lists else 'off'}; }} }}"
    )
    return ["nginx", "-p", str(work), "-c", str(work / "nginx.conf")]


def _lighttpd(work: Path, site: Path, port: int, lists: bool, own: Credential | None) -> list[str]:
    modules = ['"mod_dirlisting"']
    tls = ""
    if own:
        modules.append('"mod_openssl"')
        tls = (
            f'ssl.engine = "enable"\nssl.pemfile = "{own.certificate_path}"\n'
            f'ssl.privkey = "{own.key_path}"\n'
        )
    (work / "lighttpd.conf").write_text(
        f'server.document-root = "{site}"\nserver.bind = "{HOST}"\nserver.port = {port}\n'
        f"server.modules = ({', '.join(modules)})\n{tls}"
        f'dir-listing.activate = "{"enable" if lists else "disable"}"\n'
    )
    return ["lighttpd", "-D", "-f", str(work / "lighttpd.conf")]


def _apache(
    work: Path, site: Path, port: int, lists: bool, own: Credential | None, options: str = ""
) -> list[str]:
    names = ["mpm_event", "authz_core", "autoindex", "dir", *(["ssl"] if own else [])]
    loaded = "\n".join(f"LoadModule {n}_module {APACHE_MODULES}/mod_{n}.so" for n in names)
    tls = (
        f"SSLEngine on\nSSLCertificateFile {own.certificate_path}\n"
        f"SSLCertificateKeyFile {own.key_path}\n"
        if own
        else ""
    )
    (work / "httpd.conf").write_text(
        f"ServerRoot {work}\nServerName localhost\nPidFile {work}/pid\nErrorLog {work}/error.log\n"
        f"Listen {HOST}:{port}\n{loaded}\n{tls}DocumentRoot {site}\n"
        f"<Directory {site}>\nOptions {'+' if lists else '-'}Indexes\n{options}\nRequire all granted\n</Directory>\n"
    )
    return ["apache2", "-X", "-f", str(work / "httpd.conf")]


def _apache_fancy(
    work: Path, site: Path, port: int, lists: bool, own: Credential | None
) -> list[str]:
    options = "IndexOptions FancyIndexing HTMLTable"
    return _apache(work, site, port, lists, own, options)


def _apache_preformatted(
    work: Path, site: Path, port: int, lists: bool, own: Credential | None
) -> list[str]:
    return _apache(work, site, port, lists, own, "IndexOptions FancyIndexing NameWidth=12")


def _python(work: Path, site: Path, port: int, lists: bool, own: Credential | None) -> list[str]:
    assert lists
    assert own is None, "http.server of this version lists always and speaks no TLS"
    return [
        sys.executable,
        "-m",
        "http.server",
        str(port),
        "--bind",
        HOST,
        "--directory",
        str(site),
    ]


#: Name -> (program that must be there, its command).
WEB_SERVERS = {
    "nginx": ("nginx", _nginx),
    "apache": ("apache2", _apache),
    "apache, fancy": ("apache2", _apache_fancy),
    "apache, preformatted": ("apache2", _apache_preformatted),
    "lighttpd": ("lighttpd", _lighttpd),
    "python": ("", _python),
}


@contextmanager
def folder_server(
    name: str, work: Path, site: Site, *, lists: bool = True, own: Credential | None = None
) -> Iterator[int]:
    """Run one of ``WEB_SERVERS`` on a site and give its port."""
    _, command = WEB_SERVERS[name]
    work.mkdir(parents=True, exist_ok=True)

    def attempt() -> tuple[list[str], list[int]]:
        port = free_port()
        return command(work, site.folder, port, lists, own), [port]

    with started(attempt, work, accepts_connection) as (_, ports):
        yield ports[0]


# --- FTP --------------------------------------------------------------------------------------------------------------


@contextmanager
def vsftpd(
    work: Path, site: Site, *lines: str, anonymous: bool = True, own: Credential | None = None
) -> Iterator[int]:
    """Run vsftpd; ``lines`` are further settings. As root it drops its rights itself, as everybody else it keeps them."""
    work.mkdir(parents=True, exist_ok=True)
    empty = work / "chroot"
    empty.mkdir(exist_ok=True)
    empty.chmod(0o555)
    open_way(site.folder)

    def attempt() -> tuple[list[str], list[int]]:
        port = free_port()
        settings = [
            "listen=YES",
            "background=NO",
            f"listen_address={HOST}",
            f"listen_port={port}",
            f"anonymous_enable={'YES' if anonymous else 'NO'}",
            "local_enable=NO" if anonymous else "local_enable=YES",
            f"anon_root={site.folder}",
            f"secure_chroot_dir={empty}",
            "connect_from_port_20=NO",
            "seccomp_sandbox=NO",
            "delay_failed_login=0",
            *(["run_as_launching_user=YES"] if os.geteuid() else []),
            *lines,
        ]
        if own:
            settings += [
                "ssl_enable=YES",
                f"rsa_cert_file={own.certificate_path}",
                f"rsa_private_key_file={own.key_path}",
            ]
        (work / "vsftpd.conf").write_text("\n".join(settings) + "\n")
        return ["vsftpd", str(work / "vsftpd.conf")], [port]

    with started(attempt, work, accepts_connection) as (_, ports):
        yield ports[0]


def open_way(folder: Path) -> None:
    """Let the user ``ftp`` walk to the folder: pytest makes its own closed to others."""
    for parent in (folder, *folder.parents):
        mode = parent.stat().st_mode & 0o777
        if parent.stat().st_uid == os.geteuid() and not mode & 0o001:
            parent.chmod(mode | 0o011)


_PYFTPDLIB = """
import sys
from pyftpdlib.authorizers import DummyAuthorizer
from pyftpdlib.handlers import FTPHandler
from pyftpdlib.servers import FTPServer
port, folder, anonymous = int(sys.argv[1]), sys.argv[2], sys.argv[3] == "1"
authorizer = DummyAuthorizer()
authorizer.add_user("somebody", "secret", folder)
if anonymous:
    authorizer.add_anonymous(folder)
handler = type("Handler", (FTPHandler,), {"authorizer": authorizer, "auth_failed_timeout": 0, **eval(sys.argv[4])})
FTPServer(("127.0.0.1", port), handler).serve_forever()
"""


@contextmanager
def pyftpdlib(
    work: Path, site: Site, *, anonymous: bool = True, handler: str = "{}"
) -> Iterator[int]:
    """Run pyftpdlib; ``handler`` is a dict of attributes of its FTPHandler, as Python writes it."""

    def attempt() -> tuple[list[str], list[int]]:
        port = free_port()
        arguments = [str(port), str(site.folder), "1" if anonymous else "0", handler]
        return [sys.executable, "-W", "ignore", "-c", _PYFTPDLIB, *arguments], [port]

    with started(attempt, work, accepts_connection) as (_, ports):
        yield ports[0]


# --- HL7 --------------------------------------------------------------------------------------------------------------

_HL7 = """
import asyncio, sys
import hl7
from hl7.mllp import start_hl7_server

async def serve(reader, writer):
    while not writer.is_closing():
        try:
            message = await reader.readmessage()
        except asyncio.IncompleteReadError:
            break
        code = sys.argv[2]
        if message.segment("MSH")[12][0] not in ("2.3", "2.5", "2.5.1"):
            code = "AR"
        writer.writemessage(message.create_ack(code, application="ZZCANARY", facility="ZZCANARY"))
        await writer.drain()
    writer.close()

async def main():
    async with await start_hl7_server(serve, host="127.0.0.1", port=int(sys.argv[1]), encoding="utf-8") as server:
        await server.serve_forever()

asyncio.run(main())
"""


@contextmanager
def hl7_listener(work: Path, code: str = "AA") -> Iterator[int]:
    """Run a listener made with the hl7 package: it rejects versions that it does not know, and takes the rest."""

    def attempt() -> tuple[list[str], list[int]]:
        port = free_port()
        return [sys.executable, "-W", "ignore", "-c", _HL7, str(port), code], [port]

    with started(attempt, work, accepts_connection) as (_, ports):
        yield ports[0]
