"""Web servers for the tests: one made of bytes, and the real ones of Debian on loopback.

The scripted one answers each connection once: a function gets the request and gives the bytes, whatever they are. Nothing
of ``doorward`` takes part. Orthanc with its DICOMweb plugin, nginx, lighttpd and Apache are started from the tests' own small
configurations, in the foreground, by an ordinary user or root, and ended by their process group.
"""

import asyncio
import json
import os
import ssl
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from certificates import Credential
from peers import HOST, Orthanc, accepts_connection, free_port, orthanc, started

DICOMWEB_PLUGIN = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")


# --- made of bytes ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request as it arrived."""

    method: str
    target: str
    headers: Mapping[str, str]

    @property
    def path(self) -> str:
        """The target without its query."""
        return self.target.partition("?")[0]


Answer = Callable[[Request], bytes | Iterator[bytes]]


@dataclass(slots=True, kw_only=True)
class WebServer:
    """A running server and everything that it was asked."""

    port: int = 0
    requests: list[Request] = field(default_factory=list)
    faults: list[BaseException] = field(default_factory=list)
    open: int = 0
    most_at_a_time: int = 0


def answer(
    status: int = 200,
    body: bytes | str = b"",
    media_type: str = "text/html; charset=utf-8",
    *,
    headers: Sequence[tuple[str, str]] = (),
    length: int | None = None,
) -> bytes:
    """An honest answer; ``length`` lies where it is given."""
    content = body.encode() if isinstance(body, str) else body
    lines = [f"HTTP/1.1 {status} Whatever"]
    if media_type:
        lines.append(f"Content-Type: {media_type}")
    lines.append(f"Content-Length: {len(content) if length is None else length}")
    lines += [f"{name}: {value}" for name, value in headers]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + content


def as_json(value: object, status: int = 200, media_type: str = "application/json") -> bytes:
    """An answer in JSON."""
    return answer(status, json.dumps(value), media_type)


def page(title: str, body: str = "", head: str = "") -> bytes:
    """A page for people."""
    return answer(
        200,
        f"<!DOCTYPE html><html><head><title>{title}</title>{head}</head><body>{body}</body></html>",
    )


NOT_FOUND = answer(404, "<html><title>404</title>not found</html>")


@asynccontextmanager
async def web_server(
    respond: Answer, *, tls: ssl.SSLContext | None = None, host: str = HOST, port: int = 0
) -> AsyncIterator[WebServer]:
    """Run a server that answers one request on each connection and closes."""
    server = WebServer()

    tasks: set[asyncio.Task[None] | None] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.add(asyncio.current_task())
        server.open += 1
        server.most_at_a_time = max(server.most_at_a_time, server.open)
        try:
            with suppress(asyncio.IncompleteReadError, OSError, ssl.SSLError):
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                first, *lines = head.strip().split("\r\n")
                method, target, _ = first.split(" ")
                named = (line.partition(": ") for line in lines)
                request = Request(
                    method=method, target=target, headers={n.lower(): v for n, _, v in named}
                )
                server.requests.append(request)
                reply = respond(request)
                for piece in (reply,) if isinstance(reply, bytes) else reply:
                    writer.write(piece)
                    await writer.drain()
                writer.close()
                await writer.wait_closed()
        except asyncio.CancelledError:
            pass  # the server is stopped
        except Exception as fault:  # noqa: BLE001 - a fault of the script is a fault of the test
            server.faults.append(fault)
        finally:
            server.open -= 1
            with suppress(OSError, RuntimeError):
                writer.close()

    listener = await asyncio.start_server(serve, host, port, ssl=tls)
    server.port = listener.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listener.close()
        for task in tasks:
            if task is not None:
                task.cancel()
        if tasks:
            await asyncio.wait([task for task in tasks if task is not None], timeout=2)
    if server.faults:
        raise server.faults[0]


@asynccontextmanager
async def speaker(reply: bytes | None) -> AsyncIterator[tuple[int, bytearray]]:
    """Run a server that reads once, says ``reply`` (None: nothing) and waits; yields its port and what it has read."""
    got = bytearray()
    tasks: set[asyncio.Task[None] | None] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.add(asyncio.current_task())
        try:
            with suppress(OSError):
                got.extend(await reader.read(256))
                if reply is not None:
                    writer.write(reply)
                    await writer.drain()
                got.extend(await reader.read(256))
        except asyncio.CancelledError:
            pass  # the server is stopped
        finally:
            writer.close()

    listener = await asyncio.start_server(serve, HOST, 0)
    try:
        yield listener.sockets[0].getsockname()[1], got
    finally:
        listener.close()
        running = [task for task in tasks if task is not None]
        if running:
            _, late = await asyncio.wait(running, timeout=1)
            for task in late:
                task.cancel()


# --- real ones --------------------------------------------------------------------------------------------------------


@contextmanager
def dicomweb_orthanc(
    folder: Path,
    *,
    users: Mapping[str, str] | None = None,
    files: Sequence[Path] = (),
    wado_uri: bool = True,
) -> Iterator[Orthanc]:
    """Run Orthanc with its DICOMweb plugin, open to every address or (``users``) shut for all without a password."""
    configuration: dict[str, object] = {
        "Plugins": [str(DICOMWEB_PLUGIN)],
        "DicomWeb": {"Enable": True, "EnableWado": wado_uri},
        "RemoteAccessAllowed": True,
        "AuthenticationEnabled": users is not None,
    }
    if users is None:
        with orthanc(folder, configuration=configuration, files=files) as peer:
            yield peer
        return
    # Loaded while it is open, then started again behind its lock.
    opened = configuration | {"AuthenticationEnabled": False}
    with orthanc(folder, configuration=opened, files=files):
        pass
    configuration["RegisteredUsers"] = dict(users)
    with locked_orthanc(folder, configuration) as peer:
        yield peer


@contextmanager
def locked_orthanc(folder: Path, configuration: Mapping[str, object]) -> Iterator[Orthanc]:
    """Run Orthanc where even the readiness check has no password: an open port is enough."""
    from peers import write_minimal_configuration

    def attempt() -> tuple[list[str], list[int]]:
        dicom_port, http_port = free_port(), free_port()
        path = write_minimal_configuration(folder, dicom_port, http_port, configuration)
        return ["Orthanc", str(path)], [http_port, dicom_port]

    with started(attempt, folder, accepts_connection) as (process, ports):
        yield Orthanc(
            port=ports[1],
            http_port=ports[0],
            ae_title="ORTHANC",
            folder=folder,
            log=folder / "log",
            pid=process.pid,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class WebPeer:
    """A real web server with one site."""

    port: int
    folder: Path


def _site(folder: Path, title: str) -> Path:
    site = folder / "site"
    site.mkdir(parents=True, exist_ok=True)
    (site / "index.html").write_text(
        f"<html><head><title>{title}</title></head><body>ok</body></html>"
    )
    return site


@contextmanager
def nginx(
    folder: Path, *, server_lines: str = "", own: Credential | None = None, title: str = "Welcome"
) -> Iterator[WebPeer]:
    """Run nginx with one static site; ``server_lines`` go into its server block."""
    site = _site(folder, title)

    def attempt() -> tuple[list[str], list[int]]:
        port = free_port()
        tls = (
            f"ssl_certificate {own.certificate_path}; ssl_certificate_key {own.key_path};"
            if own
            else ""
        )
        config = folder / "nginx.conf"
        temporary = "".join(
            f"{kind}_temp_path {folder}/{kind};"
            for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        config.write_text(
            f"daemon off; worker_processes 1; pid {folder}/pid; error_log stderr;"
            f"{'user root; ' if os.geteuid() == 0 else ''}"  # pytest's folders are for their owner alone
            f"events {{}} http {{ include /etc/nginx/mime.types; access_log off; {temporary}"
            f"server {{ listen {HOST}:{port}{' ssl' if own else ''}; {tls} root {site}; {server_lines} }} }}"
        )
        return ["nginx", "-p", str(folder), "-c", str(config)], [port]

    with started(attempt, folder, accepts_connection) as (_, ports):
        yield WebPeer(port=ports[0], folder=folder)


@contextmanager
def lighttpd(folder: Path, *, title: str = "Welcome") -> Iterator[WebPeer]:
    """Run lighttpd with one static site."""
    site = _site(folder, title)

    def attempt() -> tuple[list[str], list[int]]:
        port = free_port()
        config = folder / "lighttpd.conf"
        config.write_text(
            f'server.document-root = "{site}"\nserver.bind = "{HOST}"\nserver.port = {port}\n'
            'index-file.names = ("index.html")\nmimetype.assign = (".html" => "text/html")\n'
        )
        return ["lighttpd", "-D", "-f", str(config)], [port]

    with started(attempt, folder, accepts_connection) as (_, ports):
        yield WebPeer(port=ports[0], folder=folder)


@contextmanager
def apache(folder: Path, *, lines: str = "", title: str = "Welcome") -> Iterator[WebPeer]:
    """Run Apache httpd with one static site; ``lines`` go into its configuration."""
    site = _site(folder, title)
    modules = "/usr/lib/apache2/modules"

    def attempt() -> tuple[list[str], list[int]]:
        port = free_port()
        config = folder / "httpd.conf"
        loaded = "\n".join(
            f"LoadModule {name}_module {modules}/mod_{name}.so"
            for name in ("mpm_event", "authz_core", "dir", "mime", "alias", "headers")
        )
        config.write_text(
            f"ServerRoot {folder}\nServerName localhost\nPidFile {folder}/pid\nErrorLog {folder}/error.log\n"
            f"Listen {HOST}:{port}\n{loaded}\nTypesConfig /etc/mime.types\nDocumentRoot {site}\n"
            f"DirectoryIndex index.html\n<Directory {site}>\nRequire all granted\n</Directory>\n{lines}\n"
        )
        return ["apache2", "-X", "-f", str(config)], [port]

    with started(attempt, folder, accepts_connection) as (_, ports):
        yield WebPeer(port=ports[0], folder=folder)
