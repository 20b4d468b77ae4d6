"""What is looked at before anybody is served: an archive that is not in order does not start, and says what to do.

Refused: a folder or secrets that others can read, settings that are unknown or wrong, an authority or certificate that has
ended or not begun, a register of a newer version, a password that everybody knows. What ``Archive.open`` refuses itself is
not asked here: another process in the folder, an index that is missing beside its blobs, or of a newer version.
Warned of: everything that is weaker than shipped, what ends soon, who cannot be served.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from doorward.access.authority import hosts_of, is_renewal_due, require_current
from doorward.access.identity import Register
from doorward.access.passwords import is_known_bad
from doorward.access.vault import Vault
from doorward.archive.giving import Destination
from doorward.archive.running.devices import standings
from doorward.archive.running.folder import (
    AUTHORITY,
    CLIENT,
    CLIENT_KEY,
    OPENID_SECRET,
    SERVER,
    Folder,
)
from doorward.archive.running.settings import Settings
from doorward.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """What an archive starts with, and what must be said at that."""

    settings: Settings
    register: Register
    destinations: tuple[Destination, ...]
    #: Weaker than shipped: shown in red.
    weaker: tuple[str, ...]
    remarks: tuple[str, ...]


def prepare(folder: Folder, *, now: datetime) -> Start:
    """Look at everything that an archive needs. Raises ConfigError at the first fault; StorageError."""
    folder.require_private()
    settings = folder.settings()
    vault = folder.vault()
    vault.check()
    folder.authority()
    for name, what in ((AUTHORITY, "the authority"), (SERVER, "the server's certificate")):
        _require_current(folder, vault, name, what, now)
    _require_secret_of_openid(settings, vault)
    register = folder.register()
    folder.tokens()
    folder.people()
    return Start(
        settings=settings,
        register=register,
        destinations=destinations_of(folder, settings),
        weaker=settings.weaker(),
        remarks=(
            *register.remarks(),
            *settings.rules.remarks(register),
            *_ends(folder, vault, now),
            *_names(settings, vault),
        ),
    )


def destinations_of(folder: Folder, settings: Settings) -> tuple[Destination, ...]:
    """Return where a C-MOVE may go; over TLS the archive shows its own certificate. Raises ConfigError."""
    vault = folder.vault()
    own = folder.secrets
    found = []
    for row in settings.destination:
        one = Destination(ae_title=row.ae_title, address=row.address, port=row.port)
        if not row.plain:
            authorities = (
                folder.path / row.authorities if row.authorities else vault.path(AUTHORITY)
            )
            if not authorities.is_file():
                field = f"destination {row.ae_title}: authorities"
                raise ConfigError("names no file", file=folder.settings_file, field=field)
            one = Destination(
                ae_title=row.ae_title,
                address=row.address,
                port=row.port,
                authorities=authorities,
                certificate=own / CLIENT,
                key=own / CLIENT_KEY,
            )
        found.append(one)
    return tuple(found)


def _require_current(folder: Folder, vault: Vault, name: str, what: str, now: datetime) -> None:
    try:
        require_current(vault.read(name), what=what, now=now)
    except ConfigError as error:
        hint = error.hint
        if "ended" in error.message and name == SERVER:
            hint = f"Make a new one: doorward archive renew '{folder.path}'"
        elif "ended" in error.message:
            hint = "Everything that it signed has ended with it: make a new archive, and import into it."
        raise ConfigError(error.message, file=vault.folder / name, field=what, hint=hint) from None


def _require_secret_of_openid(settings: Settings, vault: Vault) -> None:
    if not settings.openid.issuer:
        return
    if OPENID_SECRET not in vault:
        hint = f"Type it in: doorward archive openid-secret '{vault.folder.parent}'"
        raise ConfigError("is missing", file=vault.folder / OPENID_SECRET, hint=hint)
    secret = vault.read(OPENID_SECRET).decode(errors="replace").strip()
    if is_known_bad(secret, name=settings.openid.client_id):
        raise ConfigError(
            "is one that everybody tries first, or that is shipped",
            file=vault.folder / OPENID_SECRET,
            hint="Have the provider make a new client secret.",
        )


def _ends(folder: Folder, vault: Vault, now: datetime) -> Iterator[str]:
    """Yield what ends soon: the server's certificate, the authority, certificates of devices."""
    limits, place = folder.limits, folder.path
    if is_renewal_due(vault.read(SERVER), now=now, limits=limits):
        yield f"The server's certificate ends soon: doorward archive renew '{place}'"
    if is_renewal_due(vault.read(AUTHORITY), now=now, limits=limits):
        yield "The authority ends soon, and every certificate with it: plan a new archive."
    for one in standings(folder):
        if one.not_after and (max(one.not_after) - now).days <= limits.renewal_days:
            day, name = max(one.not_after).date().isoformat(), one.device.name
            yield f"The certificate of {name} ends on {day}: doorward archive device renew '{place}' {name}"


def _names(settings: Settings, vault: Vault) -> Iterator[str]:
    missing = set(settings.site.hosts) - set(hosts_of(vault.read(SERVER)))
    if missing:
        names = ", ".join(sorted(missing))
        yield f"The server's certificate is not made for {names} (site.hosts): 'doorward archive renew'."
