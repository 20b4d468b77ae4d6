"""Sees that somebody was added or revoked, or that rules were changed, while the archive runs; it holds a moment later.

Theory of operation: a command changes a file of the vault by replacing it, so its inode, time or size differ at the next look,
a few times a second. Then the new register is put in place, the revocation list is given to TLS, the associations of those
who are nobody any more are ended, and the journal is told who it was.

What cannot be read any more is not used any more: with a damaged register nobody is known (promise 6). Rules that are wrong
are another thing, a slip while somebody edits: the former ones hold. Either is said once and tried again each second, also
where no file changes: a disk that failed for once leaves no mark.
"""

import asyncio
import logging
import os
from collections.abc import Callable, Mapping
from pathlib import Path

from doorward.access.identity import Register
from doorward.access.people import PEOPLE
from doorward.archive.archive import Archive
from doorward.archive.running import changes
from doorward.archive.running.folder import (
    AUTHORITY,
    OPENID_SECRET,
    REGISTER,
    REVOCATIONS,
    SERVER,
    TOKENS,
    Folder,
)
from doorward.archive.running.settings import Settings
from doorward.archive.running.starting import destinations_of
from doorward.errors import ConfigError, DoorwardError, StorageError

_log = logging.getLogger("doorward.archive")
#: What a running archive cannot put in place: tables of the settings that count at the next start.
_AT_START = ("site", "dicom", "https", "volume", "journal", "audit_messages", "openid", "log")
_WATCHED = (REGISTER, TOKENS, PEOPLE, REVOCATIONS, SERVER, AUTHORITY, OPENID_SECRET)
_SETTINGS = "settings"
_JOURNAL = "journal"
_Mark = tuple[int, int, int] | None
#: A mark of each file that is watched; it differs once the file was replaced or changed. None: there is none.
Marks = Mapping[str, _Mark]


def marks(folder: Folder) -> Marks:
    """Return how the files of an archive stand now."""
    files = {name: folder.secrets / name for name in _WATCHED}
    files[_SETTINGS] = folder.settings_file
    return {name: _mark(path) for name, path in files.items()}


class Watch:
    """Looks at the files of a running archive.

    ``since``: the ``marks`` of before the archive read them; what changed while it was opened is then seen too.
    ``end_unknown`` ends associations and running requests and returns how many; ``renew`` gives TLS what has changed, and
    may raise ConfigError.
    """

    def __init__(
        self,
        folder: Folder,
        archive: Archive,
        settings: Settings,
        *,
        since: Marks,
        end_unknown: Callable[[], int],
        renew: Callable[[], None],
    ) -> None:
        self._folder = folder
        self._archive = archive
        self._settings = settings
        self._end_unknown = end_unknown
        self._renew = renew
        self._seen = since
        #: What could not be put in place at the last try, and the fault that was said of it.
        self._owed: dict[str, str] = {}
        self._tried_s = 0.0

    async def run(self) -> None:
        """Look for ever."""
        while True:
            await asyncio.sleep(self._folder.limits.archive_watch_s)
            if not await self.look():
                self._end()  # somebody's time may be over

    async def look(self) -> bool:
        """Put in place what has changed since the last look, or failed a while ago; False: there is nothing."""
        now = marks(self._folder)
        changed = {name for name, found in now.items() if found != self._seen[name]}
        owed = self._due()
        if not (changed or owed):
            return False
        self._seen = now
        wanted = changed | owed
        if REGISTER in wanted:
            await self._use_register()
        for name in sorted(wanted & {TOKENS, PEOPLE}):
            await self._read(name)
        if wanted & {REGISTER, TOKENS, PEOPLE, OPENID_SECRET}:
            self._end()
        if wanted & {REVOCATIONS, SERVER}:
            self._use_certificates()
        if _SETTINGS in wanted:
            await self._use_settings()
        await self._journal()
        return True

    def _due(self) -> set[str]:
        """Return what is to be tried again now."""
        now_s = asyncio.get_running_loop().time()
        if now_s - self._tried_s < self._folder.limits.secret_retry_s:
            return set()
        self._tried_s = now_s
        return set(self._owed)

    def _failed(self, name: str, meaning: str, fault: DoorwardError) -> None:
        """Say it once, and try again later."""
        if self._owed.get(name) != str(fault):
            _log.warning("%s: %s", meaning, fault)
        self._owed[name] = str(fault)

    def _succeeded(self, name: str) -> None:
        if self._owed.pop(name, None) is not None:
            _log.info("put in place after all: %s", name)

    async def _use_register(self) -> None:
        try:
            register = await asyncio.to_thread(self._folder.register)
        except (ConfigError, StorageError) as fault:
            self._failed(REGISTER, "nobody is known any more", fault)
            register = Register()
        else:
            self._succeeded(REGISTER)
        self._archive.use(register=register)

    async def _read(self, name: str) -> None:
        """Look whether tokens or people can be read; whoever asks for them reads them himself (``access.kept``)."""
        meaning = "nobody can log in with a password any more"
        if name == TOKENS:
            meaning = "no token lets anybody in any more"
        try:
            await asyncio.to_thread(self._folder.tokens if name == TOKENS else self._folder.people)
        except (ConfigError, StorageError) as fault:
            self._failed(name, meaning, fault)
        else:
            self._succeeded(name)

    def _end(self) -> None:
        """End what runs for those who are nobody any more."""
        ended = self._end_unknown()
        if ended:
            _log.info("associations and requests of the revoked that were ended: %d", ended)

    def _use_certificates(self) -> None:
        try:
            self._renew()
        except (ConfigError, StorageError) as fault:
            self._failed(REVOCATIONS, "the former certificates are used on", fault)
        else:
            self._succeeded(REVOCATIONS)

    async def _use_settings(self) -> None:
        try:
            settings = await asyncio.to_thread(self._folder.settings)
            destinations = await asyncio.to_thread(destinations_of, self._folder, settings)
        except (ConfigError, StorageError) as fault:
            self._failed(_SETTINGS, "the former rules and destinations hold", fault)
            return
        self._owed.pop(_SETTINGS, None)
        self._archive.use(rules=settings.rules, destinations=destinations)
        _log.info("rules and destinations are those of the changed settings")
        for remark in settings.rules.remarks(self._archive.settings.register):
            _log.warning("%s", remark)
        later = [
            name for name in _AT_START if getattr(settings, name) != getattr(self._settings, name)
        ]
        if settings.legacy_port != self._settings.legacy_port:
            later.append("legacy_port")
        if later:
            _log.warning("changed, and used from the next start on: %s", ", ".join(later))

    async def _journal(self) -> None:
        try:
            for entry in await changes.note(self._folder, self._archive.journal):
                _log.info("%s: %s, %s", entry.event, entry.subject, entry.reason)
        except DoorwardError as fault:
            self._failed(_JOURNAL, "a change is not in the journal yet", fault)
        else:
            self._succeeded(_JOURNAL)


def _mark(path: Path) -> _Mark:
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns, status.st_size
