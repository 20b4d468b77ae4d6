"""What was changed from outside - devices, people, tokens, certificates, settings - as entries of the journal.

Theory of operation: the journal has one writer, and a command that adds a device is another process. So the vault keeps what
the journal has been told (``journalled.json``: a digest of each thing by its name); whoever has the journal open compares
that with what is there now, writes an entry for each difference, and then keeps the new state. A running archive does so
when it starts and whenever a file changes; a command does it itself where no archive runs. A change is therefore recorded
at least once, also when a process is killed in between; never with more than names in it.
"""

import asyncio
import hashlib
import json
from collections.abc import Callable, Mapping

from doorward.access.authority import certificate_from, fingerprint_of
from doorward.access.identity import Device, Person
from doorward.access.journal.journal import Journal
from doorward.access.journal.record import Entry, Event, Record
from doorward.access.register_file import row_of
from doorward.archive.running.folder import AUTHORITY, OPENID_SECRET, SERVER, Folder
from doorward.errors import ConfigError

JOURNALLED = "journalled.json"
FORMAT = "doorward.journalled/1"

#: The first word of a name of ours -> the event that a change of it is.
_EVENTS: Mapping[str, Event] = {
    "device": Event.DEVICE_CHANGED,
    "person": Event.PERSON_CHANGED,
    "credentials": Event.PERSON_CHANGED,
    "service": Event.PERSON_CHANGED,
    "token": Event.PERSON_CHANGED,
}


def standing(folder: Folder) -> dict[str, str]:
    """Return what there is now: a name for each thing, and a digest that changes with it. Raises ConfigError."""
    vault = folder.vault()
    found = {"settings doorward.toml": _digest(_settings_of(folder))}
    for title, name in (("authority", AUTHORITY), ("server", SERVER)):
        found[f"certificate {title}"] = fingerprint_of(certificate_from(vault.read(name)))
    if OPENID_SECRET in vault:
        found["secret openid"] = _digest(vault.read(OPENID_SECRET))
    for entry in folder.register():
        kind = "device" if isinstance(entry, Device) else "service"
        kind = "person" if isinstance(entry, Person) else kind
        found[f"{kind} {entry.name}"] = _digest(json.dumps(row_of(entry), sort_keys=True).encode())
    # The mark is another one whenever a password is set, and stays the same while codes are used up.
    found |= {
        f"credentials {one.name}": _digest(one.mark.encode()) for one in folder.people().people
    }
    for token in folder.tokens().tokens:
        found[f"token {token.id} of {token.owner}"] = token.digest
    return found


def _settings_of(folder: Folder) -> bytes:
    try:
        return folder.settings_file.read_bytes()
    except OSError as error:  # an editor may just be about to put another one there
        message = f"cannot be read ({error.strerror})"
        raise ConfigError(message, file=folder.settings_file) from None


def entries_between(before: Mapping[str, str], now: Mapping[str, str]) -> list[Entry]:
    """Return an entry for each thing that was added, changed or removed, in the order of their names."""
    entries = []
    for name in sorted(before.keys() | now.keys()):
        if name not in before:
            entries.append(_entry(name, "added"))
        elif name not in now:
            entries.append(_entry(name, "removed"))
        elif before[name] != now[name]:
            entries.append(_entry(name, "changed"))
    return entries


async def note(folder: Folder, journal: Journal) -> list[Entry]:
    """Write what has changed into the journal, and keep that it knows. Raises ConfigError, StorageError."""
    before, now = await asyncio.to_thread(lambda: (_journalled(folder), standing(folder)))
    entries = entries_between(before, now)
    for entry in entries:
        await journal.write(entry)
    if entries:
        document = {"format": FORMAT, "known": now}
        content = json.dumps(document, indent=1, sort_keys=True).encode() + b"\n"
        await asyncio.to_thread(folder.vault().write, JOURNALLED, content)
    return entries


async def note_unless_running(
    folder: Folder, written: Callable[[Record], None] | None = None
) -> bool:
    """Do that for a command; False: an archive runs in the folder, and does it. Raises ConfigError, StorageError."""
    try:
        journal = Journal(folder.journal, written=written, limits=folder.limits)
    except ConfigError:
        return False  # the lock is taken: whoever has it looks every moment
    try:
        await note(folder, journal)
    finally:
        await journal.close()
    return True


def _journalled(folder: Folder) -> dict[str, str]:
    vault = folder.vault()
    if JOURNALLED not in vault:
        return {}
    try:
        document = json.loads(vault.read(JOURNALLED))
        if document["format"] != FORMAT:
            raise ValueError
        return {str(name): str(digest) for name, digest in document["known"].items()}
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        path = vault.folder / JOURNALLED
        hint = "Remove it: everything is then journalled as added, once more."
        raise ConfigError("is damaged, or of another version", file=path, hint=hint) from None


def _entry(name: str, what: str) -> Entry:
    kind, _, subject = name.partition(" ")
    event = _EVENTS.get(kind, Event.SETTINGS_CHANGED)
    if kind == "token":
        identifier, _, subject = subject.partition(" of ")
        return Entry(event=event, subject=subject, reason=f"token {identifier} {what}")
    return Entry(event=event, subject=subject, reason=f"{kind} {what}")


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
