"""Whoever works on an archive from its own machine: who that is in the journal, and the archive opened for it.

Who may read and write the archive's folder needs no permission of the archive: the operating system has given it. So there is
no policy to ask; what is left is to say who it was and what was done, before it is done.
"""

import os
import pwd
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from doorward.access.identity import Identity, Kind, Operation, Register, Role
from doorward.access.rules import Effect, Rule, Rules
from doorward.archive.archive import Archive
from doorward.errors import ConfigError
from doorward.limits import DEFAULT_LIMITS, Limits

#: How they have shown who they are: the operating system lets them in.
HOW = "local access"
#: The rule of the journal where nothing else decided.
RULE = "(local access)"


def operator() -> Identity:
    """Return the user of this process as the administrator that they are by local access; no account of the archive."""
    number = os.getuid()
    try:
        name = pwd.getpwuid(number).pw_name
    except KeyError:
        name = f"user {number}"
    return Identity(kind=Kind.PERSON, name=f"{name}@local", role=Role.ADMINISTRATOR, how=HOW)


def importer(site: str = "") -> Identity:
    """Return the service that takes files in; ``site``: whose they are, for rules by site."""
    return Identity(kind=Kind.SERVICE, name="import", role=Role.MODALITY, how=HOW, site=site)


#: All that the importer may do.
IMPORT_RULES = Rules(
    rules=(
        Rule(
            name="local-import",
            effect=Effect.ALLOW,
            operations=frozenset({Operation.STORE}),
            identities=frozenset({"import"}),
        ),
    )
)


def require_ours(folder: Path) -> None:
    """Raise ConfigError where the folder belongs to another user, who could not read what we would leave in it."""
    if not folder.exists():
        return
    owner = folder.stat().st_uid
    if owner != os.geteuid():
        hint = f"Do this as its owner, such as: sudo -u '#{owner}' doorward archive ..."
        raise ConfigError("belongs to another user", file=folder, hint=hint)


@asynccontextmanager
async def opened(
    folder: Path, *, purpose: str, instead: str, limits: Limits = DEFAULT_LIMITS
) -> AsyncIterator[Archive]:
    """Open an archive that nobody serves meanwhile; ``purpose`` stands in its journal.

    Raises ConfigError where it is none, or where it runs: ``instead`` says what can be done then. StorageError.
    """
    if not (folder / "blobs" / "VERSION").exists():
        hint = "Name the folder of an archive; 'doorward archive init' makes one."
        raise ConfigError("is no archive", file=folder, hint=hint)
    require_ours(folder)
    try:
        archive = await Archive.open(
            folder, register=Register(), rules=Rules(), ae_title=purpose, limits=limits
        )
    except ConfigError as error:
        if "another Doorward" in error.message:
            raise ConfigError("this archive is running", file=folder, hint=instead) from None
        raise
    try:
        yield archive
    finally:
        await archive.close()
