"""The house rules as data: which folder stands on which floor, and who may import what.

``faults`` reads one source file and says what it may not do; tests/test_floors.py asks it for every file, and
``make docs`` draws docs/floors.md from the same tables. No dependency, only ``ast``.
"""

import ast
import sys
from collections.abc import Iterator
from fnmatch import fnmatch
from typing import NamedTuple

FLOORS: dict[str, int] = {
    "errors": 0,
    "limits": 0,
    "wire": 0,
    "dicom": 0,
    "web": 0,
    "greetings": 0,
    "knowledge": 0,
    "net": 1,
    "access": 2,
    "audit": 3,
    "archive": 3,
    "guard": 3,
    "practice": 3,
    "cli": 4,
    "pages": 4,
    "__main__": 4,
    "__init__": 4,
}
#: What a room is for: the words of docs/floors.md.
ROOMS: dict[str, str] = {
    "errors": "every exception, as one tree",
    "limits": "every bound: unit, default, source",
    "wire": "DICOM upper layer and DIMSE, without input or output",
    "dicom": "data sets: a bounded walker, values, part 10",
    "web": "the little HTTP that needs no socket",
    "greetings": "how databases, directories and file shares greet a stranger",
    "knowledge": "tables about ports, products and advisories",
    "net": "the only floor with sockets",
    "access": "identities, policy, journal",
    "audit": "asks, counts, judges, reports",
    "archive": "the archive that serves nobody it cannot name",
    "guard": "stands in front of an archive that cannot protect itself",
    "practice": "fake archives on loopback",
    "cli": "one file per command",
    "pages": "templates and static files",
}
#: Rooms of one floor that everybody on it may use.
SHARED = frozenset({"errors", "limits"})
#: Pairs (who, whom) across or along floors that the rule "downwards" does not decide.
ALLOWED_SIDEWAYS = frozenset({("cli", "pages"), ("__main__", "cli"), ("__init__", "cli")})
FORBIDDEN_DOWNWARDS = {("access", "net"): "access/ decides, it does not dial"}

#: Floor 0 knows no time, no chance, no input or output: these are arguments there.
NOT_ON_FLOOR_0 = frozenset({"asyncio", "concurrent", "logging", "os", "queue", "random"})
NOT_ON_FLOOR_0 |= {
    "http",
    "select",
    "selectors",
    "signal",
    "socket",
    "socketserver",
    "ssl",
    "urllib",
}
NOT_ON_FLOOR_0 |= {
    "multiprocessing",
    "sched",
    "secrets",
    "sqlite3",
    "subprocess",
    "tempfile",
    "threading",
    "time",
}
#: Methods that read a clock, whatever they are called on.
CLOCKS = frozenset({"now", "utcnow", "today", "monotonic", "perf_counter"})
#: Standard modules that reach out or start things: module -> files that may import it.
CONFINED_STANDARD: dict[str, tuple[str, ...]] = {
    "socket": ("net/*",),
    "ssl": ("net/*",),
    "select": ("net/*",),
    "selectors": ("net/*",),
    "subprocess": ("practice/*",),  # a real Orthanc beside the practice archives
    "multiprocessing": ("practice/*", "archive/*"),
    "sqlite3": (
        *("access/journal/index.py", "audit/ledger/*", "archive/index*"),
        # The index of a stopped archive, what its making remembers, and what an import has done.
        *("archive/upkeep/beside.py", "archive/upkeep/scratch.py", "archive/upkeep/done.py"),
    ),
    **dict.fromkeys(
        (
            "ftplib",
            "http.client",
            "imaplib",
            "poplib",
            "smtplib",
            "socketserver",
            "telnetlib",
            "urllib.request",
            "xmlrpc",
        ),
        (),
    ),
}
#: Third-party package -> files that may import it. A package that is not named here may not be imported at all.
CONFINED_PACKAGES: dict[str, tuple[str, ...]] = {
    "PIL": ("archive/pixels/worker.py",),
    "argon2": ("access/passwords.py",),
    "cryptography": (
        "access/authority.py",
        "net/tls*.py",
        "net/certificate*.py",
        "practice/*",
        "audit/sensors/authority.py",
    ),
    "h11": ("net/http.py",),
    "httptools": ("net/asgi.py",),
    "jinja2": ("audit/report/*",),
    "joserfc": ("access/json_tokens.py",),
    "markupsafe": ("audit/report/*",),
    "maxminddb": ("audit/where.py",),
    "nats": ("audit/sensors/link.py",),
    "numpy": ("archive/pixels/*",),
    "prometheus_client": ("archive/running/metrics.py",),
    "pyarrow": ("audit/ledger/export.py",),
    "pydantic": ("audit/report/*", "*/settings.py"),
    "pydicom": ("archive/pixels/*",),
    "rich": ("cli/*", "audit/report/*terminal.py"),
    "starlette": ("archive/web/*", "pages/*"),
    "typer": ("cli/*",),
    "uvicorn": ("net/asgi.py",),
    "uvloop": ("net/loop.py",),
}
#: Only net/dial.py connects outwards; its gate is the auditor's scope (promise 1).
DIALLING = frozenset(
    {"create_connection", "open_connection", "open_unix_connection", "sock_connect", "connect_ex"}
)
DIALLER = "net/dial.py"
#: Only net/ listens and reads; some practice archives are no DICOM servers at all.
STREAMS = frozenset(
    {"create_server", "start_server", "start_unix_server", "StreamReader", "StreamWriter"}
)
STREAMERS = frozenset({"net", "practice"})
#: Promise 3: no image is taken, nothing is stored. What could do so may not even be named in audit/.
NEVER_IN_AUDIT = frozenset(
    {
        "doorward.net.transfer",
        "doorward.net.http.post_form",
        *(f"C{verb}Request" for verb in ("Store", "Get", "Move")),
        *(f"N{verb}Request" for verb in ("Set", "Action", "Create", "Delete", "EventReport")),
    }
)


class Fault(NamedTuple):
    """One broken rule: where, and the rule in words."""

    path: str
    line: int
    rule: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.rule}"


class Import(NamedTuple):
    """One imported module or name, fully spelled: ``doorward.wire.pdu``, ``asyncio``."""

    line: int
    name: str


def room_of(path: str) -> str:
    """Return the folder or top module that a file belongs to; ``path`` is relative to src/doorward."""
    return path.partition("/")[0].removesuffix(".py")


def imports_of(path: str, tree: ast.Module) -> Iterator[Import]:
    """Yield every import anywhere in the file, those in functions and for type checkers included."""
    package = ["doorward", *path.split("/")[:-1]]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (Import(node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*above, *([node.module] if node.module else [])])
            for alias in node.names:
                yield Import(node.lineno, f"{module}.{alias.name}")


def faults(path: str, source: str) -> list[Fault]:
    """Return every broken rule of one file; ``path`` is relative to src/doorward, with slashes."""
    tree = ast.parse(source)
    found: list[Fault] = []
    for line, name in imports_of(path, tree):
        found += [Fault(path, line, rule) for rule in _import_faults(path, name)]
    for node in ast.walk(tree):
        found += [Fault(path, getattr(node, "lineno", 0), rule) for rule in _use_faults(path, node)]
    return sorted(set(found))


def _import_faults(path: str, name: str) -> Iterator[str]:
    if room_of(path) == "audit" and NEVER_IN_AUDIT & {
        name,
        name.rpartition(".")[0],
        name.rpartition(".")[2],
    }:
        yield f"the auditor never takes and never changes: {name} (promise 3)"
    top, _, rest = name.partition(".")
    if top == "doorward":
        yield from _floor_faults(room_of(path), rest)
    elif top in sys.stdlib_module_names:
        yield from _standard_faults(path, name)
    elif not any(fnmatch(path, pattern) for pattern in CONFINED_PACKAGES.get(top, ())):
        yield f"the package {top} is not for this file (tools/house.py, CONFINED_PACKAGES)"


def _floor_faults(importer: str, rest: str) -> Iterator[str]:
    imported = rest.partition(".")[0]
    if imported in ("__version__", importer) or imported in SHARED:
        return  # the version is a fact of the whole house
    if not imported and FLOORS.get(importer) == 4:
        return  # `import doorward`, for its version
    strangers = [room or "doorward" for room in (importer, imported) if room not in FLOORS]
    if strangers:
        yield f"{strangers[0]} has no floor (tools/house.py, FLOORS)"
    elif FLOORS[imported] > FLOORS[importer]:
        yield f"{importer} imports {imported}, a floor above it"
    elif FLOORS[imported] == FLOORS[importer] and (importer, imported) not in ALLOWED_SIDEWAYS:
        yield f"{importer} imports {imported} beside it; what two need moves down a floor"
    elif (importer, imported) in FORBIDDEN_DOWNWARDS:
        yield FORBIDDEN_DOWNWARDS[importer, imported]


def _standard_faults(path: str, name: str) -> Iterator[str]:
    top = name.partition(".")[0]
    if FLOORS.get(room_of(path)) == 0 and top in NOT_ON_FLOOR_0:
        yield f"floor 0 imports no {top}: time, chance and bytes are arguments there"
    for module, patterns in CONFINED_STANDARD.items():
        is_it = name == module or name.startswith(f"{module}.")
        if is_it and not any(fnmatch(path, pattern) for pattern in patterns):
            yield f"the module {module} is not for this file (tools/house.py, CONFINED_STANDARD)"


def _use_faults(path: str, node: ast.AST) -> Iterator[str]:
    name = (
        node.attr
        if isinstance(node, ast.Attribute)
        else node.id
        if isinstance(node, ast.Name)
        else ""
    )
    if name in DIALLING and path != DIALLER:
        yield f"{name}: dial through net.dial and pass a gate (promise 1)"
    if name in STREAMS and room_of(path) not in STREAMERS:
        yield f"{name}: sockets stay on the floor net/"
    called = node.func if isinstance(node, ast.Call) else None
    if (
        isinstance(called, ast.Attribute)
        and called.attr in CLOCKS
        and FLOORS.get(room_of(path)) == 0
    ):
        yield f"floor 0 reads no clock: .{called.attr}()"
