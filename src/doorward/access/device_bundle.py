"""What a device is given: key and certificates as files, the exact commands to try them, a sheet for its engineer.

The commands are DCMTK's of version 3.6.7 (echoscu, storescu, findscu); each is run by a test, letter for letter. DCMTK's
movescu and getscu of that version know no TLS: they are printed only for a legacy device on its plain port, and the sheet
says so to the others.

The passphrase of the PKCS#12 file is in no file: it is printed once, and sent another way than the bundle.
"""

import shlex
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from doorward.access.authority import Authority, Credential
from doorward.access.identity import Device, Operation
from doorward.access.passwords import readable_secret
from doorward.access.policy import PRESETS
from doorward.access.vault import Vault
from doorward.errors import ConfigError
from doorward.limits import DEFAULT_LIMITS, Limits

AUTHORITY_FILE = "authority.pem"
SHEET_FILE = "settings.txt"
#: Five groups of 25 bits: out of reach for whoever finds the file and tries.
_PASSPHRASE_GROUPS = 5
#: What an engineer puts in place of an image of his own; the tests put one there.
_IMAGE = "IMAGE.dcm"
#: Where a device made its key itself and keeps it.
_OWN_KEY = "YOUR-KEY.pem"
_STUDY_KEYS = ("-k", "0008,0052=STUDY", "-k", "0020,000D")
_ONE_STUDY = ("-k", "0008,0052=STUDY", "-k", "0020,000D=STUDY-INSTANCE-UID")
_LABEL_WIDTH = 28


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveDoor:
    """How devices reach the archive: as its server certificate names it, not as it names itself."""

    host: str
    port: int
    ae_title: str
    #: SHA-256 of the server's certificate, for an engineer who compares; "" leaves the line out.
    server_fingerprint: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceBundle:
    """Files by name, and what is said once on the terminal."""

    name: str
    files: Mapping[str, bytes] = field(repr=False)
    passphrase: str = field(repr=False)
    commands: tuple[str, ...]

    @property
    def sheet(self) -> str:
        """The settings as a text for people; it holds no secret."""
        return self.files[SHEET_FILE].decode()

    def write(self, folder: Path, *, limits: Limits = DEFAULT_LIMITS) -> Vault:
        """Make a folder for the owner alone and write every file. Raises ConfigError where it is there already."""
        vault = Vault.create(folder, limits=limits)
        for name, content in self.files.items():
            vault.add(name, content)
        return vault


def make_bundle(
    device: Device,
    credential: Credential,
    authority: Authority,
    door: ArchiveDoor,
    *,
    operations: Collection[Operation] | None = None,
) -> DeviceBundle:
    """Return the bundle of a device with a certificate; ``operations`` None means those of its role.

    Without a key in the credential (the device made its own) there is no key file and no PKCS#12. Raises ConfigError.
    """
    _require_title(device)
    wanted = PRESETS[device.role] if operations is None else frozenset(operations)
    files = {
        AUTHORITY_FILE: authority.certificate,
        f"{device.name}-certificate.pem": credential.certificate,
        f"{device.name}-chain.pem": credential.certificate + authority.certificate,
    }
    passphrase, key_file = "", _OWN_KEY
    if credential.key:
        passphrase, key_file = readable_secret(_PASSPHRASE_GROUPS), f"{device.name}-key.pem"
        files[key_file] = credential.key
        files[f"{device.name}.p12"] = authority.pkcs12(
            credential, name=device.name, passphrase=passphrase
        )
    tls = ("+tls", key_file, f"{device.name}-certificate.pem", "+cf", AUTHORITY_FILE)
    commands = tuple(_tls_commands(device, door, wanted, tls))
    text = "\n".join(_sheet(device, credential, door, wanted, commands, sorted(files)))
    files[SHEET_FILE] = text.encode()
    return DeviceBundle(
        name=device.name,
        files=MappingProxyType(files),
        passphrase=passphrase,
        commands=commands,
    )


def legacy_commands(
    device: Device,
    door: ArchiveDoor,
    *,
    listens_at: int,
    operations: Collection[Operation] | None = None,
) -> tuple[str, ...]:
    """Return DCMTK's commands for a legacy device: nothing is encrypted, and ``door`` is its plain port.

    ``listens_at`` is the port where movescu takes the images that it asks for. Raises ConfigError.
    """
    _require_title(device)
    wanted = PRESETS[device.role] if operations is None else frozenset(operations)
    commands = list(_tls_commands(device, door, wanted, ()))
    address = (door.host, str(door.port))
    if Operation.RETRIEVE in wanted:
        titles = _titles("getscu", device, door)
        commands.append(shlex.join([*titles, "-S", *_ONE_STUDY, *address]))
    if Operation.MOVE in wanted:
        titles = [*_titles("movescu", device, door), "-aem", device.ae_titles[0]]
        commands.append(shlex.join([*titles, "+P", str(listens_at), "-S", *_ONE_STUDY, *address]))
    return tuple(commands)


def _require_title(device: Device) -> None:
    if not device.ae_titles:
        hint = "Name the title by which it calls, such as CT1."
        raise ConfigError("is empty", field=f"device {device.name}: ae_titles", hint=hint)


def _titles(tool: str, device: Device, door: ArchiveDoor) -> list[str]:
    return [tool, "-v", "-aet", device.ae_titles[0], "-aec", door.ae_title]


def _tls_commands(
    device: Device, door: ArchiveDoor, wanted: Collection[Operation], tls: tuple[str, ...]
) -> Iterator[str]:
    """Yield a command for each tool that knows TLS and may be used; to be run in the bundle's folder."""
    address = (door.host, str(door.port))
    if Operation.ECHO in wanted:
        yield shlex.join([*_titles("echoscu", device, door), *tls, *address])
    if Operation.STORE in wanted:
        yield shlex.join([*_titles("storescu", device, door), *tls, *address, _IMAGE])
    if Operation.QUERY in wanted:
        query = [*_titles("findscu", device, door), *tls, "-S", *_STUDY_KEYS]
        yield shlex.join([*query, *address])


def _sheet(
    device: Device,
    credential: Credential,
    door: ArchiveDoor,
    wanted: Collection[Operation],
    commands: Collection[str],
    files: Collection[str],
) -> Iterator[str]:
    """Yield the lines of the settings sheet."""
    yield f"Settings of {device.name} for the archive {door.ae_title}"
    yield ""
    yield "On the device"
    yield _line("Remote host", door.host)
    yield _line("Remote port", str(door.port))
    yield _line("Remote (called) AE title", door.ae_title)
    yield _line("Own (calling) AE title", " or ".join(device.ae_titles))
    yield _line("Allowed", ", ".join(sorted(wanted)) or "nothing")
    yield _line("Transfer syntaxes", "any; images are kept as they are sent")
    yield ""
    yield "TLS (DICOM PS3.15 B.12, BCP 195)"
    yield _line("Versions", "TLS 1.2 and 1.3; nothing older, no plain connection on this port")
    yield _line("Peer authentication", "both sides: the device must show its certificate")
    yield _line("Trusted authority", AUTHORITY_FILE)
    yield _line(
        "Own certificate",
        f"{device.name}-certificate.pem, with its authority {device.name}-chain.pem",
    )
    if credential.key:
        yield _line(
            "Own key", f"{device.name}-key.pem, unencrypted: delete it once it is installed"
        )
        yield _line("All in one (PKCS#12)", f"{device.name}.p12; its passphrase comes another way")
    else:
        yield _line("Own key", "the one that the device made for its request")
    yield _line("Valid until", f"{credential.not_after:%Y-%m-%d}; ask for a new one in time")
    yield _line("Fingerprint (SHA-256)", _in_pairs(credential.fingerprint))
    if door.server_fingerprint:
        yield _line("That of the archive", _in_pairs(door.server_fingerprint))
    yield ""
    yield from _trying(wanted, commands)
    yield "Files"
    yield from (f"  {name}" for name in files)
    yield ""
    yield from _FAILURES


def _trying(wanted: Collection[Operation], commands: Collection[str]) -> Iterator[str]:
    if commands:
        yield "To try it from a PC with DCMTK 3.6.7 or later, in this folder"
        yield from (f"  {command}" for command in commands)
    if {Operation.RETRIEVE, Operation.MOVE} & set(wanted):
        yield "  Not with DCMTK 3.6.7: movescu and getscu, which know no TLS."
    yield ""


_FAILURES = (
    "If it fails",
    "  connection refused           wrong host or port, or a firewall between",
    "  certificate required, or unknown authority, or revoked (DCMTK: Peer aborted Association)",
    "                               the device shows no certificate, another one, or a revoked one",
    "  certificate verify failed    (said by the device) it does not trust the authority, its clock is",
    "                               wrong, or the archive is called by another name than above",
    "  association rejected         the archive does not know the certificate any more, or is full",
    "",
)


def _line(label: str, value: str) -> str:
    return f"  {label:<{_LABEL_WIDTH}} {value}"


def _in_pairs(fingerprint: str) -> str:
    return ":".join(fingerprint[at : at + 2] for at in range(0, len(fingerprint), 2)).upper()
