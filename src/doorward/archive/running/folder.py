"""The folder of one archive: what lies where, and how what is kept in its vault is read and changed.

    doorward.toml   the settings, for people (``settings_file``)
    secrets/        the vault: authority, certificates, register, people, tokens
    blobs/ index journal/   what ``Archive.open`` makes
    spool/          audit messages that wait for their collector

Whoever adds or revokes changes a file of the vault; a running archive sees that (``watching``) and has it a moment later.
"""

import os
import stat
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import TypeVar

from doorward.access import register_file
from doorward.access.authority import Authority, Credential
from doorward.access.identity import Device, Person, Register, Service
from doorward.access.people import PEOPLE, PeopleBook
from doorward.access.tokens import TokenBook
from doorward.access.vault import Vault
from doorward.archive.running import settings_file
from doorward.archive.running.settings import Settings
from doorward.errors import ConfigError
from doorward.limits import DEFAULT_LIMITS, Limits

AUTHORITY, AUTHORITY_KEY = "authority.pem", "authority-key.pem"
SERVER, SERVER_KEY = "server-certificate.pem", "server-key.pem"
#: What the archive shows where it calls itself: destinations of C-MOVE.
CLIENT, CLIENT_KEY = "client-certificate.pem", "client-key.pem"
REVOCATIONS = "revocations.pem"
REGISTER, TOKENS = "register.json", "tokens.json"
OPENID_SECRET = "openid-client-secret"  # noqa: S105 - the name of a file
_OTHERS = 0o077
_EntryT = TypeVar("_EntryT", Device, Person, Service)


class Folder:
    """The folder of an archive. Nothing is read before it is asked for; what is asked for is read anew each time."""

    def __init__(self, path: Path, *, limits: Limits = DEFAULT_LIMITS) -> None:
        self.path = path
        self.limits = limits
        self.settings_file = path / "doorward.toml"
        self.secrets = path / "secrets"
        self.blobs = path / "blobs"
        self.index = path / "index"
        self.journal = path / "journal"
        self.spool = path / "spool"

    def require_private(self) -> None:
        """Refuse a folder that is none of ours, or that others can read. Raises ConfigError."""
        if not self.settings_file.exists():
            hint = f"Make one with: doorward archive init '{self.path}'"
            raise ConfigError("is no archive: it has no doorward.toml", file=self.path, hint=hint)
        status = os.stat(self.path)
        if status.st_mode & _OTHERS:
            mode = stat.S_IMODE(status.st_mode)
            hint = f"chmod 700 '{self.path}'"
            message = f"can be read or changed by others (mode {mode:04o})"
            raise ConfigError(message, file=self.path, hint=hint)

    def settings(self) -> Settings:
        """Return the settings. Raises ConfigError naming file, line, table and key."""
        return settings_file.load(self.settings_file, limits=self.limits)

    def vault(self) -> Vault:
        """Return the secrets. Raises ConfigError where others can read them."""
        return Vault(self.secrets, limits=self.limits)

    def authority(self) -> Authority:
        """Return the authority that signs for this archive. Raises ConfigError."""
        vault = self.vault()
        return Authority.load(vault.read(AUTHORITY), vault.read(AUTHORITY_KEY))

    def register(self) -> Register:
        """Return everybody who is known. Raises ConfigError."""
        return self._register_of(self.vault().read(REGISTER))

    def change_register(self, change: Callable[[Register], Register]) -> Register:
        """Put another register in place of the present one, and return it. Raises ConfigError, StorageError."""

        def changed(present: bytes | None) -> bytes:
            if present is None:
                hint = "Restore it from a backup."
                raise ConfigError("is missing", file=self.secrets / REGISTER, hint=hint)
            return register_file.to_bytes(change(self._register_of(present)))

        return self._register_of(self.vault().update(REGISTER, changed))

    def _register_of(self, content: bytes) -> Register:
        try:
            return register_file.from_bytes(content, limits=self.limits)
        except ConfigError as error:
            raise ConfigError(
                error.message, file=self.secrets / REGISTER, field=error.field, hint=error.hint
            ) from None

    def tokens(self) -> TokenBook:
        """Return every token of a service; none before the first was issued. Raises ConfigError."""
        vault = self.vault()
        return self._tokens_of(vault.read(TOKENS) if TOKENS in vault else None)

    def change_tokens(self, change: Callable[[TokenBook], TokenBook]) -> TokenBook:
        """Put another book of tokens in place of the present one, and return it. Raises ConfigError, StorageError."""

        def changed(present: bytes | None) -> bytes:
            return change(self._tokens_of(present)).to_bytes()

        return self._tokens_of(self.vault().update(TOKENS, changed))

    def _tokens_of(self, content: bytes | None) -> TokenBook:
        if content is None:
            return TokenBook()
        return TokenBook.from_bytes(content, limits=self.limits)

    def people(self) -> PeopleBook:
        """Return the credentials of everybody who logs in here; none before the first. Raises ConfigError."""
        vault = self.vault()
        return self._people_of(vault.read(PEOPLE) if PEOPLE in vault else None)

    def change_people(self, change: Callable[[PeopleBook], PeopleBook]) -> PeopleBook:
        """Put another book of people in place of the present one, and return it. Raises ConfigError, StorageError."""

        def changed(present: bytes | None) -> bytes:
            return change(self._people_of(present)).to_bytes()

        return self._people_of(self.vault().update(PEOPLE, changed))

    def _people_of(self, content: bytes | None) -> PeopleBook:
        if content is None:
            return PeopleBook()
        return PeopleBook.from_bytes(content, limits=self.limits)

    def make_certificates(self, hosts: Sequence[str], *, now: datetime) -> Credential:
        """Make and keep new certificates: of the server for these names, which is returned, and as a client.

        Whoever starts between two files finds a pair that does not fit and says so. Raises ConfigError, StorageError.
        """
        authority, vault = self.authority(), self.vault()
        server = authority.server(hosts, now=now, limits=self.limits)
        client = authority.device("archive", now=now, limits=self.limits)
        vault.write(CLIENT_KEY, client.key)
        vault.write(CLIENT, client.certificate)
        vault.write(SERVER_KEY, server.key)
        vault.write(SERVER, server.certificate)
        return server


def named(entries: Iterable[_EntryT], name: str, kind: str, missing: str) -> _EntryT:
    """Return the entry of a name. Raises ConfigError, in the words of ``missing``, where there is none."""
    for entry in entries:
        if entry.name == name:
            return entry
    hint = f"'doorward archive {kind} list DIR' names all."
    raise ConfigError(missing, field=f"{kind} {name[:64]}", hint=hint)
