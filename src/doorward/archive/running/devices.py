"""Devices are added, renewed and revoked: register, certificates and the list of those that are refused, kept in step.

Theory of operation: the register decides; each change of it is one replaced file. A certificate that was issued is kept
(without its key) under its fingerprint, so that its end can be foretold and its serial number is known when it is revoked.
What must be safe comes first: a new certificate is kept before the register knows it, and the register forgets a device
before anything else is tidied up.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from doorward.access.authority import (
    Credential,
    KeyKind,
    certificate_from,
    fingerprint_of,
    hosts_of,
    key_kind_of,
)
from doorward.access.device_bundle import ArchiveDoor, DeviceBundle, legacy_commands, make_bundle
from doorward.access.identity import Device, Register
from doorward.access.vault import Vault
from doorward.archive.running.folder import REVOCATIONS, SERVER, Folder, named
from doorward.archive.running.settings import LegacyPort, Settings
from doorward.errors import ConfigError
from doorward.limits import DEFAULT_LIMITS, Limits

_CERTIFICATE = "certificate-{}.pem"
#: While a device is renewed its old certificate holds too (``identity.Device``).
_AT_ONCE = 2
#: Where movescu takes images, in the printed command of a legacy device.
_MOVE_PORT = 11_112


@dataclass(frozen=True, slots=True, kw_only=True)
class Ordered:
    """What is wanted of a device beside its entry in the register.

    None: as its certificate has it, where one is renewed; else an elliptic curve, and no host.
    """

    key_kind: KeyKind | None = None
    #: Its request (PKCS#10, PEM), where it made its key itself.
    request: bytes | None = None
    #: Names and addresses at which it listens itself, as a destination of C-MOVE does.
    hosts: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """One device of the register, and until when its certificates are good."""

    device: Device
    not_after: tuple[datetime, ...]


def add_device(
    folder: Folder, settings: Settings, device: Device, ordered: Ordered, *, now: datetime
) -> DeviceBundle:
    """Let a device in and return its bundle. Raises ConfigError where name, title or place is taken; StorageError."""
    folder.register().with_entry(device)  # before anything is signed
    credential = _sign(folder, device.name, ordered, now)
    known = replace(device, fingerprints=(credential.fingerprint,))
    bundle = make_bundle(known, credential, folder.authority(), door_of(folder, settings))
    _keep(folder.vault(), credential)
    folder.change_register(lambda register: register.with_entry(known))
    return bundle


def add_legacy(folder: Folder, settings: Settings, device: Device) -> tuple[str, ...]:
    """Let a device in by its address and title, and return DCMTK's commands for it. Raises ConfigError, StorageError."""
    port = _legacy_port(folder, settings, device.legacy_port)
    door = ArchiveDoor(host=port.address, port=port.port, ae_title=settings.dicom.ae_title)
    commands = legacy_commands(device, door, listens_at=_MOVE_PORT)
    folder.change_register(lambda register: register.with_entry(device))
    return commands


def renew_device(
    folder: Folder, settings: Settings, name: str, ordered: Ordered, *, now: datetime
) -> DeviceBundle:
    """Return a bundle with a new certificate; the last one before it holds until the device is renewed once more.

    Its hosts and the kind of its key are those of the last one, where ``ordered`` does not say otherwise.
    Raises ConfigError, StorageError.
    """
    device = device_named(folder.register(), name)
    credential = _sign(folder, name, _as_before(folder.vault(), device, ordered), now)
    kept = (*device.fingerprints, credential.fingerprint)[-_AT_ONCE:]
    renewed = replace(device, fingerprints=kept)
    bundle = make_bundle(renewed, credential, folder.authority(), door_of(folder, settings))
    _keep(folder.vault(), credential)
    folder.change_register(lambda register: register.without(name).with_entry(renewed))
    _refuse(folder, set(device.fingerprints) - set(kept), now)
    return bundle


def revoke_device(folder: Folder, name: str, *, now: datetime) -> Device:
    """Forget a device and refuse its certificates for ever. Raises ConfigError where there is none, StorageError."""
    device = device_named(folder.register(), name)
    folder.change_register(lambda register: register.without(name))
    _refuse(folder, set(device.fingerprints), now)
    return device


def device_named(register: Register, name: str) -> Device:
    """Return the device of a name. Raises ConfigError where there is none."""
    return named(register.devices, name, "device", "is no device here")


def standings(folder: Folder) -> list[Standing]:
    """Return every device with the ends of its certificates, as far as they are kept. Raises ConfigError."""
    vault, found = folder.vault(), []
    names = set(vault.names())
    for device in folder.register().devices:
        files = [_CERTIFICATE.format(one) for one in device.fingerprints]
        ends = [
            certificate_from(vault.read(name)).not_valid_after_utc
            for name in files
            if name in names
        ]
        found.append(Standing(device=device, not_after=tuple(ends)))
    return found


def door_of(folder: Folder, settings: Settings) -> ArchiveDoor:
    """Return how devices reach the archive over TLS. Raises ConfigError."""
    server = certificate_from(folder.vault().read(SERVER))
    return ArchiveDoor(
        host=settings.site.hosts[0],
        port=settings.dicom.port,
        ae_title=settings.dicom.ae_title,
        server_fingerprint=fingerprint_of(server),
    )


def read_request(path: Path, *, limits: Limits = DEFAULT_LIMITS) -> bytes:
    """Return a certificate request that somebody brought. Raises ConfigError where it cannot be read, or is too long."""
    try:
        with path.open("rb") as stream:
            content = stream.read(limits.secret_bytes + 1)
    except OSError as error:
        raise ConfigError(f"cannot be read ({error.strerror})", file=path) from None
    if len(content) > limits.secret_bytes:
        raise ConfigError(f"is longer than {limits.secret_bytes:,} bytes", file=path)
    return content


def _sign(folder: Folder, name: str, ordered: Ordered, now: datetime) -> Credential:
    authority, hosts = folder.authority(), ordered.hosts or ()
    if ordered.request is not None:
        return authority.device_from_request(
            ordered.request, name, now=now, hosts=hosts, limits=folder.limits
        )
    kind = ordered.key_kind or KeyKind.EC
    return authority.device(name, now=now, kind=kind, hosts=hosts, limits=folder.limits)


def _as_before(vault: Vault, device: Device, ordered: Ordered) -> Ordered:
    """Fill in what was not said from the device's last certificate. Raises ConfigError where that is not kept."""
    says_kind = ordered.request is not None or ordered.key_kind is not None
    if not device.fingerprints or (says_kind and ordered.hosts is not None):
        return ordered
    name = _CERTIFICATE.format(device.fingerprints[-1])
    if name not in vault:
        hint = "Say what to make: --ec or --rsa, and --host NAME or --no-host."
        where = f"device {device.name}"
        raise ConfigError("has no certificate here to renew it by", field=where, hint=hint)
    pem = vault.read(name)
    return replace(
        ordered,
        key_kind=ordered.key_kind or key_kind_of(pem),
        hosts=hosts_of(pem) if ordered.hosts is None else ordered.hosts,
    )


def _keep(vault: Vault, credential: Credential) -> None:
    vault.write(_CERTIFICATE.format(credential.fingerprint), credential.certificate)


def _refuse(folder: Folder, fingerprints: set[str], now: datetime) -> None:
    """Put certificates on the revocation list; one that is not kept has been forgotten by the register all the same."""
    vault, authority = folder.vault(), folder.authority()
    for fingerprint in sorted(fingerprints):
        name = _CERTIFICATE.format(fingerprint)
        if name not in vault:
            continue
        serial = certificate_from(vault.read(name)).serial_number

        def refused(present: bytes | None, serial: int = serial) -> bytes:
            return authority.revoke(serial, present, now=now, limits=folder.limits)

        vault.update(REVOCATIONS, refused)
        vault.remove(name)


def _legacy_port(folder: Folder, settings: Settings, name: str) -> LegacyPort:
    for port in settings.legacy_port:
        if port.name == name:
            return port
    names: Sequence[str] = [port.name for port in settings.legacy_port]
    hint = (
        f"There {'is' if len(names) == 1 else 'are'}: {', '.join(names)}."
        if names
        else ("Add a [[legacy_port]] there first; it is unencrypted, and said at every start.")
    )
    raise ConfigError(
        f"names no port {name[:64]!r}", file=folder.settings_file, field="legacy_port", hint=hint
    )
