"""Real TLS servers on loopback, good, old and bad on purpose: OpenSSL, GnuTLS, NSS, nginx and Python's ssl.

Each is a context manager that gives the port. OpenSSL of today can still serve TLS 1.0, anonymous and NULL suites at
security level 0; RC4 and 3DES come from GnuTLS, SSL 3.0 from NSS. All listen on 127.0.0.1 where the program can be told
(gnutls-serv and selfserv cannot: they hold nothing but a test page).
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from certificates import Credential
from peers import HOST, SEARCH_PATH, START_S, accepts_connection, free_port, started

PROGRAMS = ("openssl", "gnutls-serv", "selfserv", "certutil", "pk12util", "nginx")

Command = Callable[[int], list[str]]


@contextmanager
def listening(folder: Path, command: Command) -> Iterator[int]:
    """Run a server program on a free port, and end it."""

    def attempt() -> tuple[list[str], list[int]]:
        port = free_port()
        return command(port), [port]

    with started(attempt, folder, accepts_connection) as (_, ports):
        yield ports[0]


@contextmanager
def openssl(folder: Path, *options: str, credentials: Sequence[Credential] = ()) -> Iterator[int]:
    """Run ``openssl s_server`` with its own options; one connection at a time, a short queue."""
    shown: list[str] = [] if credentials else ["-nocert"]
    for credential, prefix in zip(credentials, ("-", "-d"), strict=False):
        shown += [f"{prefix}cert", str(credential.certificate_path)]
        shown += [f"{prefix}key", str(credential.key_path)]

    def command(port: int) -> list[str]:
        return ["openssl", "s_server", "-accept", f"{HOST}:{port}", "-quiet", *shown, *options]

    with listening(folder, command) as port:
        yield port


def dh_parameters(folder: Path, bits: int) -> Path:
    """Make parameters for Diffie-Hellman, quickly and without any strength."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"dh{bits}.pem"
    command = ["openssl", "dhparam", "-dsaparam", "-out", str(path), str(bits)]
    subprocess.run(command, check=True, capture_output=True, timeout=START_S)
    return path


@contextmanager
def gnutls(folder: Path, priority: str, credential: Credential) -> Iterator[int]:
    """Run ``gnutls-serv`` with a priority string."""

    def command(port: int) -> list[str]:
        shown = ["--x509certfile", str(credential.certificate_path)]
        shown += ["--x509keyfile", str(credential.key_path)]
        return ["gnutls-serv", "--quiet", "--port", str(port), "--priority", priority, *shown]

    with listening(folder, command) as port:
        yield port


@contextmanager
def nss(folder: Path, versions: str, credential: Credential) -> Iterator[int]:
    """Run ``selfserv`` of NSS, with what it enables by itself; ``versions`` like ``ssl3:tls1.2``."""
    database, bundle = folder / "nss", folder / "bundle.p12"
    database.mkdir(parents=True, exist_ok=True)
    for command in (
        ["certutil", "-N", "-d", f"sql:{database}", "--empty-password"],
        [
            *("openssl", "pkcs12", "-export", "-name", "server", "-passout", "pass:x"),
            *("-in", str(credential.certificate_path), "-inkey", str(credential.key_path)),
            *("-out", str(bundle)),
        ],
        ["pk12util", "-i", str(bundle), "-d", f"sql:{database}", "-W", "x", "-K", ""],
    ):
        subprocess.run(command, check=True, capture_output=True, timeout=START_S)

    def server(port: int) -> list[str]:
        shown = ["-d", f"sql:{database}", "-n", "server", "-V", versions]
        return ["selfserv", *shown, "-p", str(port)]

    with listening(folder, server) as port:
        yield port


_NGINX = """
daemon off; master_process off; worker_processes 1; pid {folder}/pid; error_log {folder}/error.log;
events {{ worker_connections 64; }}
http {{
  access_log off; client_body_temp_path {folder}; proxy_temp_path {folder}; fastcgi_temp_path {folder};
  uwsgi_temp_path {folder}; scgi_temp_path {folder};
  server {{
    listen {host}:{port} ssl; {certificates} {lines}
    location / {{ return 204; }}
  }}
}}
"""


@contextmanager
def nginx(folder: Path, lines: str, credentials: Sequence[Credential]) -> Iterator[int]:
    """Run nginx with TLS; ``lines`` are its directives for it."""
    folder.mkdir(parents=True, exist_ok=True)

    def command(port: int) -> list[str]:
        shown = " ".join(
            f"ssl_certificate {c.certificate_path}; ssl_certificate_key {c.key_path};"
            for c in credentials
        )
        text = _NGINX.format(folder=folder, host=HOST, port=port, certificates=shown, lines=lines)
        (folder / "nginx.conf").write_text(text)
        shown_files = ["-e", f"{folder}/error.log", "-c", f"{folder}/nginx.conf"]
        return ["nginx", *shown_files, "-p", str(folder)]

    with listening(folder, command) as port:
        yield port


#: In a process of its own: CPython 3.11 leaves a socket behind when a caller is gone before ``wrap_socket`` is done.
_PYTHON_SSL = """
import socket, ssl, sys, threading
context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
context.load_cert_chain(sys.argv[2], sys.argv[3])
def serve(connection):
    connection.settimeout(10)
    try:
        with context.wrap_socket(connection, server_side=True) as secured:
            secured.recv(1)
    except OSError:
        connection.close()
listener = socket.create_server((sys.argv[1], 0), backlog=64)
print(listener.getsockname()[1], flush=True)
while True:
    threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
"""


@contextmanager
def python_ssl(credential: Credential) -> Iterator[int]:
    """Serve TLS with Python's own defaults; each connection in a thread that ends with it."""
    files = [str(credential.certificate_path), str(credential.key_path)]
    with subprocess.Popen(
        [sys.executable, "-c", _PYTHON_SSL, HOST, *files], stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdout is not None
        try:
            yield int(server.stdout.readline())
        finally:
            server.kill()


def program(name: str) -> str | None:
    """Return where a program is, or None."""
    return shutil.which(name, path=SEARCH_PATH + os.pathsep + "/usr/lib/nss/unsupported-tools")
