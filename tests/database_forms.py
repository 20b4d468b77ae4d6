"""Real databases in open and shut forms, each with what an audit must find: the rows of a table.

``start`` runs the server in a folder that was prepared for its kind; ``fails`` are the checks that must fail besides
``db_port_reachable``, which every running server fails; everything else must not.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from certificates import Certificates
from database_servers import CANARY, mariadb, postgresql, redis, slapd

Start = Callable[[Path, Certificates], AbstractContextManager[int]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """One way to run one server."""

    name: str
    peer: str
    protocol: str
    start: Start
    fails: frozenset[str]
    #: Default credentials are to be tried (clearance level 3).
    tries_default_account: bool = False


def _form(name: str, protocol: str, start: Start, *fails: str, **more: bool) -> Form:
    peer = {"postgresql": "postgresql", "mysql": "mariadb", "redis": "redis"}.get(protocol, "slapd")
    return Form(
        name=name, peer=peer, protocol=protocol, start=start, fails=frozenset(fails), **more
    )


_EVERYBODY = "all all all"
_OPEN, _CLEAR, _ROOT = "db_no_password", "db_tls_missing", "db_default_account_open"
_ANONYMOUS = "ldap_anonymous_bind"
_PASSWORDS = [
    f"CREATE DATABASE IF NOT EXISTS db{CANARY}",
    *(f"ALTER USER root@'{host}' IDENTIFIED BY 'x'" for host in ("127.0.0.1", "::1", "localhost")),
]
_NO_PASSWORDS = [statement.replace("'x'", "''") for statement in _PASSWORDS]
_STRANGERS = [*_PASSWORDS, "CREATE OR REPLACE USER ''@'%'"]
_NO_STRANGERS = [*_PASSWORDS, "DROP USER IF EXISTS ''@'%'"]

POSTGRESQL = (
    _form(
        "PostgreSQL, trust",
        "postgresql",
        lambda f, _: postgresql(f, f"host {_EVERYBODY} trust"),
        *(_OPEN, _CLEAR),
    ),
    _form(
        "PostgreSQL, trust inside TLS only",
        "postgresql",
        lambda f, c: postgresql(f, f"hostssl {_EVERYBODY} trust", tls=c.server),
        _OPEN,
    ),
    _form(
        "PostgreSQL, scram-sha-256 in clear text",
        "postgresql",
        lambda f, _: postgresql(f, f"host {_EVERYBODY} scram-sha-256"),
        _CLEAR,
    ),
    _form(
        "PostgreSQL, password in clear text",
        "postgresql",
        lambda f, _: postgresql(f, f"host {_EVERYBODY} password"),
        _CLEAR,
    ),
    _form(
        "PostgreSQL, scram-sha-256 with and without TLS",
        "postgresql",
        lambda f, c: postgresql(f, f"host {_EVERYBODY} scram-sha-256", tls=c.server),
        _CLEAR,
    ),
    _form(
        "PostgreSQL, scram-sha-256 inside TLS only",
        "postgresql",
        lambda f, c: postgresql(f, f"hostssl {_EVERYBODY} scram-sha-256", tls=c.server),
    ),
    _form(
        "PostgreSQL, client certificates",
        "postgresql",
        lambda f, c: postgresql(
            f, f"hostssl {_EVERYBODY} cert", tls=c.server_rsa, authority=c.authority
        ),
    ),
    _form(
        "PostgreSQL, everybody refused",
        "postgresql",
        lambda f, c: postgresql(f, f"host {_EVERYBODY} reject", tls=c.server),
    ),
)
MARIADB = (
    _form(
        "MariaDB, grant tables off",
        "mysql",
        lambda f, _: mariadb(f, "--skip-grant-tables"),
        *(_OPEN, _CLEAR),
    ),
    _form(
        "MariaDB, anonymous account",
        "mysql",
        lambda f, _: mariadb(f, statements=_STRANGERS),
        *(_OPEN, _CLEAR),
    ),
    _form(
        "MariaDB, root without a password (not tried)",
        "mysql",
        lambda f, _: mariadb(f, statements=[*_NO_STRANGERS, *_NO_PASSWORDS]),
        _CLEAR,
    ),
    _form(
        "MariaDB, root without a password (tried)",
        "mysql",
        lambda f, _: mariadb(f, statements=[*_NO_STRANGERS, *_NO_PASSWORDS]),
        *(_CLEAR, _ROOT),
        tries_default_account=True,
    ),
    _form(
        "MariaDB, passwords, TLS offered",
        "mysql",
        lambda f, c: mariadb(f, statements=_NO_STRANGERS, tls=c.server),
        tries_default_account=True,
    ),
)
REDIS = (
    _form("Redis, open", "redis", lambda f, _: redis(f), *(_OPEN, _CLEAR)),
    _form("Redis, password", "redis", lambda f, _: redis(f, "--requirepass", "x"), _CLEAR),
    _form("Redis, open inside TLS", "redis", lambda f, c: redis(f, tls=c.server), _OPEN),
    _form(
        "Redis, password inside TLS",
        "redis",
        lambda f, c: redis(f, "--requirepass", "x", tls=c.server),
    ),
    _form(
        "Redis, default user off",
        "redis",
        lambda f, _: redis(f, "--user", "default", "off"),
        _CLEAR,
    ),
)
LDAP = (
    _form("slapd, as it comes", "ldap", lambda f, _: slapd(f), *(_ANONYMOUS, _CLEAR)),
    _form("slapd, no anonymous bind", "ldap", lambda f, _: slapd(f, "disallow bind_anon"), _CLEAR),
    _form("slapd, login required", "ldap", lambda f, _: slapd(f, "require authc"), _CLEAR),
    _form(
        "slapd, TLS demanded, anonymous inside",
        "ldap",
        lambda f, c: slapd(f, "security tls=1", tls=c.server),
        _ANONYMOUS,
    ),
    _form(
        "slapd, TLS and login demanded",
        "ldap",
        lambda f, c: slapd(f, "security tls=1", "disallow bind_anon", tls=c.server),
    ),
    _form(
        "slapd, ldaps, no anonymous bind",
        "ldaps",
        lambda f, c: slapd(f, "disallow bind_anon", tls=c.server, scheme="ldaps"),
    ),
)
