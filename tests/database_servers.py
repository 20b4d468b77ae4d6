"""Real databases on loopback for the tests: PostgreSQL, MariaDB, Redis and slapd as Debian ships them.

Each server is a context manager on 127.0.0.1 and a free port, with its data in a folder of its own, ended by its process
group (``peers.started``). PostgreSQL and MariaDB make their data folder once per ``cluster`` and start on it several times.
Where the tests run as root, the servers run as ``nobody``: PostgreSQL insists on it. Every name that a probe must not bring
home carries ``CANARY``.
"""

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from certificates import Credential
from peers import HOST, START_S, accepts_connection, free_port, started

CANARY = "CANARY8472"
POSTGRESQL = sorted(Path("/usr/lib/postgresql").glob("*/bin"))[-1:]
_UNPRIVILEGED = ("setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups")


def unprivileged(*command: str) -> list[str]:
    """Return the command as one that runs without root's rights."""
    return [*_UNPRIVILEGED, *command] if os.geteuid() == 0 else [*command]


@contextmanager
def cluster() -> Iterator[Path]:
    """A folder that nobody and the tests can use; pytest's own are closed to others."""
    folder = Path(tempfile.mkdtemp(prefix="doorward-database-"))
    try:
        if os.geteuid() == 0:
            shutil.chown(folder, "nobody", "nogroup")
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def listening(
    folder: Path, *command: str, says: str = "", ends_on: signal.Signals = signal.SIGKILL
) -> Iterator[int]:
    """Run a server whose command holds PORT, until it ``says`` in its log that it is ready; gives the port.

    A server that starts again on the same data is asked to end before it is killed.
    """

    def attempt() -> tuple[list[str], list[int]]:
        port = free_port()
        return [part.replace("PORT", str(port)) for part in command], [port]

    def is_ready(ports: Sequence[int]) -> bool:
        return says in (folder / "log").read_text(errors="replace") and accepts_connection(ports)

    with started(attempt, folder, is_ready) as (process, ports):
        try:
            yield ports[0]
        finally:
            with suppress(ProcessLookupError):
                process.send_signal(ends_on)
            with suppress(subprocess.TimeoutExpired):
                process.wait(START_S)


def readable(credential: Credential, folder: Path) -> tuple[str, str]:
    """Copy certificate and key to where the server may read them; PostgreSQL wants to own the key."""
    paths = []
    for source in (credential.certificate_path, credential.key_path):
        path = folder / source.name
        path.write_bytes(source.read_bytes())
        path.chmod(0o600)
        if os.geteuid() == 0:
            shutil.chown(path, "nobody", "nogroup")
        paths.append(str(path))
    return paths[0], paths[1]


# --- PostgreSQL -------------------------------------------------------------------------------------------------------


def make_postgresql(folder: Path) -> None:
    """Make the data folder; its one superuser carries the canary."""
    command = unprivileged(
        *(str(POSTGRESQL[0] / "initdb"), "--pgdata", str(folder / "pg"), "--auth=trust"),
        *("--username", f"user{CANARY}", "--no-sync", "--wal-segsize=1"),
        *("--locale=C", "--encoding=UTF8"),
    )
    subprocess.run(command, check=True, capture_output=True, timeout=START_S, cwd=folder)


@contextmanager
def postgresql(
    folder: Path,
    *rules: str,
    tls: Credential | None = None,
    authority: Credential | None = None,
) -> Iterator[int]:
    """Run PostgreSQL with these lines of pg_hba.conf; ``authority`` signs its clients' certificates."""
    hba = folder / "pg_hba.conf"
    hba.write_text("".join(f"{rule}\n" for rule in rules))
    hba.chmod(0o644)
    options = {
        "listen_addresses": HOST,
        "unix_socket_directories": str(folder),
        "hba_file": str(hba),
        "fsync": "off",
        "cluster_name": f"cluster{CANARY}",
        "log_connections": "on",
        "log_statement": "all",
    }
    if tls is not None:
        certificate, key = readable(tls, folder)
        options |= {"ssl": "on", "ssl_cert_file": certificate, "ssl_key_file": key}
    if authority is not None:
        options["ssl_ca_file"] = readable(authority, folder)[0]
    settings = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
    server = str(POSTGRESQL[0] / "postgres")
    with listening(
        folder,
        *unprivileged(server, "-D", str(folder / "pg"), "-p", "PORT", *settings),
        says="ready to accept connections",
        ends_on=signal.SIGINT,
    ) as port:
        yield port


# --- MariaDB ----------------------------------------------------------------------------------------------------------


def make_mariadb(folder: Path) -> None:
    """Make the data folder; root has an empty password, and there is no anonymous account."""
    command = unprivileged(
        *("mariadb-install-db", "--no-defaults", f"--datadir={folder / 'maria'}"),
        *("--auth-root-authentication-method=normal", "--skip-test-db", "--skip-name-resolve"),
    )
    subprocess.run(command, check=True, capture_output=True, timeout=START_S, cwd=folder)


@contextmanager
def mariadb(
    folder: Path, *options: str, statements: Sequence[str] = (), tls: Credential | None = None
) -> Iterator[int]:
    """Run MariaDB after these statements."""
    init = folder / "init.sql"
    init.write_text("".join(f"{statement};\n" for statement in statements))
    init.chmod(0o644)
    server = shutil.which("mariadbd", path=f"{os.environ['PATH']}:/usr/sbin") or "mariadbd"
    command = [
        *(server, "--no-defaults", f"--datadir={folder / 'maria'}", "--port=PORT"),
        *(f"--bind-address={HOST}", f"--socket={folder / 'maria.sock'}", f"--tmpdir={folder}"),
        *("--general-log", f"--general-log-file={folder / 'maria.log'}", "--skip-log-bin"),
        *("--innodb-flush-log-at-trx-commit=0", "--innodb-buffer-pool-size=8M"),
        *("--skip-name-resolve", f"--pid-file={folder / 'maria.pid'}", *options),
    ]
    if statements:
        command.append(f"--init-file={init}")
    if tls is not None:
        certificate, key = readable(tls, folder)
        command += [f"--ssl-cert={certificate}", f"--ssl-key={key}"]
    with listening(
        folder, *unprivileged(*command), says="ready for connections", ends_on=signal.SIGTERM
    ) as port:
        yield port


# --- Redis ------------------------------------------------------------------------------------------------------------


@contextmanager
def redis(folder: Path, *options: str, tls: Credential | None = None) -> Iterator[int]:
    """Run Redis with these options; with ``tls`` it speaks nothing else."""
    ports = ["--port", "PORT"]
    if tls is not None:
        certificate, key = readable(tls, folder)
        ports = ["--port", "0", "--tls-port", "PORT", "--tls-auth-clients", "no"]
        ports += ["--tls-cert-file", certificate, "--tls-key-file", key]
        ports += ["--tls-ca-cert-file", certificate]
    command = ["redis-server", *ports, "--bind", HOST, "--save", "", "--dir", str(folder)]
    with listening(folder, *unprivileged(*command, *options)) as port:
        yield port


# --- OpenLDAP ---------------------------------------------------------------------------------------------------------


@contextmanager
def slapd(
    folder: Path, *settings: str, tls: Credential | None = None, scheme: str = "ldap"
) -> Iterator[int]:
    """Run slapd with one database and these lines of slapd.conf."""
    lines = ["include /etc/ldap/schema/core.schema", "modulepath /usr/lib/ldap"]
    lines += ["moduleload back_mdb", *settings]
    if tls is not None:
        certificate, key = readable(tls, folder)
        lines += [f"TLSCertificateFile {certificate}", f"TLSCertificateKeyFile {key}"]
    data = folder / "mdb"
    data.mkdir(exist_ok=True)
    if os.geteuid() == 0:
        shutil.chown(data, "nobody", "nogroup")
    lines += ["database mdb", "maxsize 1048576", f"directory {data}", f'suffix "dc={CANARY}"']
    lines += [f'rootdn "cn=root{CANARY},dc={CANARY}"', f"rootpw secret{CANARY}"]
    configuration = folder / "slapd.conf"
    configuration.write_text("\n".join(lines) + "\n")
    configuration.chmod(0o644)
    server = shutil.which("slapd", path=f"{os.environ['PATH']}:/usr/sbin") or "slapd"
    command = [server, "-h", f"{scheme}://{HOST}:PORT", "-f", str(configuration), "-d", "256"]
    with listening(folder, *unprivileged(*command)) as port:
        yield port
