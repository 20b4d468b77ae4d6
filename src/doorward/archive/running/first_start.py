"""An archive is made: vault with an authority of its own, settings, index, journal, and a code for the first administrator.

Theory of operation: nothing is shipped that could be known elsewhere. Keys are made here; nobody is known yet, so the archive
serves nobody until a device or person is added. The code is shown once and kept as a digest; whoever types it sets the first
administrator's password, and then it is gone.
"""

import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from doorward.access import register_file
from doorward.access.authority import Authority
from doorward.access.identity import Register
from doorward.access.rules import Rules
from doorward.access.vault import Vault
from doorward.archive.archive import Archive
from doorward.archive.running import changes, settings_file
from doorward.archive.running.folder import AUTHORITY, AUTHORITY_KEY, REGISTER, REVOCATIONS, Folder
from doorward.archive.running.persons import new_first_code
from doorward.archive.running.settings import Settings
from doorward.errors import ConfigError, StorageError

_MODE = 0o700


@dataclass(frozen=True, slots=True, kw_only=True)
class FirstStart:
    """What was made. ``code`` is shown once."""

    authority_fingerprint: str
    code: str = field(repr=False)
    code_ends_at: datetime


def settings_for(name: str | None, hosts: Sequence[str], ae_title: str | None) -> Settings:
    """Return the settings that an archive begins with; a host that was named is the usual one, this machine the last."""
    begun = Settings()
    named = tuple(dict.fromkeys((*hosts, *begun.site.hosts)))
    site = replace(begun.site, hosts=named)
    if name is not None:
        site = replace(site, name=name)
    dicom = begun.dicom if ae_title is None else replace(begun.dicom, ae_title=ae_title)
    return replace(begun, site=site, dicom=dicom)


async def init(folder: Folder, settings: Settings, *, now: datetime) -> FirstStart:
    """Make an archive in a folder that is empty or not there yet. Raises ConfigError, StorageError; then nothing is left."""
    text = settings_file.template(settings)
    settings_file.parse(
        text.encode(), file=folder.settings_file
    )  # what was ordered on the command line
    is_new = _make(folder)
    try:
        made = _fill(folder, settings, text, now)
        archive = await Archive.open(
            folder.path, register=Register(), rules=Rules(), ae_title=settings.dicom.ae_title
        )
        try:
            await changes.note(folder, archive.journal)
        finally:
            await archive.close()
    except BaseException:
        _take_back(folder, is_new=is_new)
        raise
    return made


def _make(folder: Folder) -> bool:
    """Make the folder, or take an empty one; True: it is new."""
    path = folder.path
    try:
        path.mkdir(mode=_MODE)
    except FileExistsError:
        if not path.is_dir() or path.is_symlink() or any(path.iterdir()):
            hint = "Name a folder that is empty, or not there yet."
            raise ConfigError("is there already, and not empty", file=path, hint=hint) from None
        path.chmod(_MODE)
        return False
    except OSError as error:
        raise StorageError(
            f"the folder {path} cannot be made: {error.strerror}",
            operation="write",
            path=path,
            kind="missing" if isinstance(error, FileNotFoundError) else "failed",
            hint="Its parent folder must exist and be yours.",
        ) from None
    path.chmod(_MODE)  # whatever the umask took away
    return True


def _fill(folder: Folder, settings: Settings, text: str, now: datetime) -> FirstStart:
    authority = Authority.make(settings.site.name, now=now, limits=folder.limits)
    vault = Vault.create(folder.secrets, limits=folder.limits)
    vault.add(AUTHORITY_KEY, authority.key)
    vault.add(AUTHORITY, authority.certificate)
    vault.add(REVOCATIONS, authority.revocation_list((), number=1, now=now))
    vault.add(REGISTER, register_file.to_bytes(Register()))
    folder.make_certificates(settings.site.hosts, now=now)
    descriptor = os.open(folder.settings_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(descriptor)
    code, ends_at = new_first_code(folder, now=now)
    return FirstStart(authority_fingerprint=authority.fingerprint, code=code, code_ends_at=ends_at)


def _take_back(folder: Folder, *, is_new: bool) -> None:
    for path in folder.path.iterdir():
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
    if is_new:
        folder.path.rmdir()
