"""Who somebody is, how that was shown, and the register of everybody who is known.

Theory of operation: the doors (DIMSE, DICOMweb) bring a proof - the fingerprint of a certificate that TLS has verified, an
address with a calling AE title on a port made for that, a name whose password or token ``access`` has verified - and the
register answers with an ``Identity`` or with None. None is nobody: an empty register knows no one (promise 6), and an AE
title is never looked up alone, because whoever calls chooses it.

A ``Register`` is a value. Whoever adds or revokes makes another one and puts it in place of the first; a door that looks up
at each operation therefore refuses a revoked device at its next one. Nothing here reads a clock or a file.
"""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from enum import StrEnum
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import TypeVar

from doorward.errors import ConfigError
from doorward.limits import DEFAULT_LIMITS

Address = IPv4Address | IPv6Address


class Kind(StrEnum):
    """What somebody is."""

    DEVICE = "device"
    PERSON = "person"
    SERVICE = "service"


class How(StrEnum):
    """How somebody showed who they are; the words of the journal."""

    CERTIFICATE = "certificate"
    ADDRESS_AND_TITLE = "address and title"
    PASSWORD = "password"  # noqa: S105 - the word, no secret
    PASSWORD_AND_CODE = "password and code"  # noqa: S105
    TOKEN = "token"  # noqa: S105
    OPENID = "openid"


class Role(StrEnum):
    """What somebody is here for; ``policy.PRESETS`` says what that allows."""

    MODALITY = "modality"
    WORKSTATION = "workstation"
    MIGRATION = "migration"
    READER = "reader"
    ADMINISTRATOR = "administrator"
    AUDITOR = "auditor"


class Operation(StrEnum):
    """What is asked, on whatever door: C-STORE and STOW are both ``store``."""

    ECHO = "echo"
    STORE = "store"
    QUERY = "query"
    RETRIEVE = "retrieve"
    MOVE = "move"
    COMMIT = "commit"
    DELETE = "delete"
    EXPORT = "export"
    ADMINISTER = "administer"
    READ_JOURNAL = "read_journal"


#: Which kinds a role is for: a person is no modality, and no machine administers.
KINDS_OF_ROLE: Mapping[str, frozenset[Kind]] = {
    Role.MODALITY: frozenset({Kind.DEVICE, Kind.SERVICE}),
    Role.WORKSTATION: frozenset({Kind.DEVICE, Kind.SERVICE}),
    Role.MIGRATION: frozenset({Kind.DEVICE, Kind.SERVICE}),
    Role.READER: frozenset({Kind.PERSON}),
    Role.ADMINISTRATOR: frozenset({Kind.PERSON}),
    Role.AUDITOR: frozenset({Kind.PERSON, Kind.SERVICE}),
}
#: What shows a name that was claimed: a device never claims one, it has a certificate or a place.
_HOWS_OF_KIND: Mapping[Kind, frozenset[str]] = {
    Kind.DEVICE: frozenset(),
    Kind.PERSON: frozenset({How.PASSWORD, How.PASSWORD_AND_CODE, How.TOKEN, How.OPENID}),
    Kind.SERVICE: frozenset({How.TOKEN, How.PASSWORD}),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Somebody who has shown who they are, for as long as ``expires_at`` (None: until revoked)."""

    kind: Kind
    name: str
    role: str
    site: str = ""
    ae_titles: tuple[str, ...] = ()
    how: str
    expires_at: datetime | None = None
    #: Further roles: an administrator sees images only if "reader" stands here too.
    also: tuple[str, ...] = ()
    #: What a token is good for, at the most; None: all that the roles allow.
    scope: frozenset[Operation] | None = None

    @property
    def roles(self) -> tuple[str, ...]:
        """Every role, the first one first."""
        return (self.role, *self.also)

    def narrowed(
        self, *, scope: Collection[Operation] | None = None, expires_at: datetime | None = None
    ) -> "Identity":
        """Return the same identity, good for no more and no longer than a token or session says."""
        now_scope = self.scope
        if scope is not None:
            now_scope = frozenset(scope) if now_scope is None else now_scope & frozenset(scope)
        ends = [end for end in (self.expires_at, expires_at) if end is not None]
        return replace(self, scope=now_scope, expires_at=min(ends, default=None))


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What an operation is about, as far as the archive knows; "" and None mean: not known."""

    study_uid: str = ""
    site: str = ""
    department: str = ""
    #: Opaque: compared for equality and nothing else.
    referring_physician: str = field(default="", repr=False)
    study_date: date | None = field(default=None, repr=False)
    #: The archive gives these itself, so none means: has none.
    labels: frozenset[str] = frozenset()
    #: For MOVE: the AE title to which the images would go.
    destination: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """Yes or no, and why.

    ``reason`` goes to the caller (Error Comment (0000,0902), LO: 64 characters) and says nothing about a study that the
    caller may not see. ``rule`` goes to the journal: the name of a rule, or in brackets what decided without one.
    """

    is_allowed: bool
    reason: str
    rule: str


# --- who is known -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """A modality, workstation or archive.

    It shows itself by a certificate (SHA-256 of the DER form; two while one is renewed). A legacy device without TLS may
    be known by ``addresses`` together with an AE title, on the one listener that ``legacy_port`` names.
    Raises ConfigError naming the field.
    """

    name: str
    role: str
    site: str = ""
    ae_titles: tuple[str, ...] = ()
    fingerprints: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()
    legacy_port: str = ""
    expires_at: datetime | None = None

    def __post_init__(self) -> None:
        _require_entry(Kind.DEVICE, self.name, self.role, (), self.expires_at)
        where = f"device {self.name}"
        for title in self.ae_titles:
            _require_ae_title(title, f"{where}: ae_titles")
        prints = tuple(_fingerprint(text, f"{where}: fingerprints") for text in self.fingerprints)
        object.__setattr__(self, "fingerprints", prints)
        places = tuple(_address(text, f"{where}: addresses") for text in self.addresses)
        object.__setattr__(self, "addresses", places)
        self._require_legacy(where)

    def _require_legacy(self, where: str) -> None:
        if self.addresses and not self.legacy_port:
            raise ConfigError(
                "is missing: addresses only count on a port asked for by name",
                field=f"{where}: legacy_port",
                hint="Name the listener for legacy devices, or give the device a certificate.",
            )
        if self.legacy_port and not (self.addresses and self.ae_titles):
            raise ConfigError(
                "needs addresses and ae_titles: neither alone says who calls",
                field=f"{where}: legacy_port",
                hint="An AE title is chosen by whoever calls; pair it with the device's address.",
            )

    def identity(self, how: How) -> Identity:
        """Return who this is, shown so."""
        return Identity(
            kind=Kind.DEVICE,
            name=self.name,
            role=self.role,
            site=self.site,
            ae_titles=self.ae_titles,
            how=how,
            expires_at=self.expires_at,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Somebody who logs in; passwords and codes are kept elsewhere, under this name. Raises ConfigError."""

    name: str
    role: str
    also: tuple[str, ...] = ()
    site: str = ""
    expires_at: datetime | None = None

    def __post_init__(self) -> None:
        _require_entry(Kind.PERSON, self.name, self.role, self.also, self.expires_at)

    def identity(self, how: How) -> Identity:
        """Return who this is, shown so."""
        return Identity(
            kind=Kind.PERSON,
            name=self.name,
            role=self.role,
            also=self.also,
            site=self.site,
            how=how,
            expires_at=self.expires_at,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """A program with a token, for ``scope`` at the most (None: what its role allows). Raises ConfigError."""

    name: str
    role: str
    site: str = ""
    ae_titles: tuple[str, ...] = ()
    scope: frozenset[Operation] | None = None
    expires_at: datetime | None = None

    def __post_init__(self) -> None:
        _require_entry(Kind.SERVICE, self.name, self.role, (), self.expires_at)
        for title in self.ae_titles:
            _require_ae_title(title, f"service {self.name}: ae_titles")

    def identity(self, how: How) -> Identity:
        """Return who this is, shown so."""
        return Identity(
            kind=Kind.SERVICE,
            name=self.name,
            role=self.role,
            site=self.site,
            ae_titles=self.ae_titles,
            how=how,
            expires_at=self.expires_at,
            scope=self.scope,
        )


Entry = Device | Person | Service
_KeyT = TypeVar("_KeyT")
_ValueT = TypeVar("_ValueT", Entry, Device)


@dataclass(frozen=True, slots=True, kw_only=True)
class Register:
    """Everybody who is known. Names, certificates, places and AE titles are unique; raises ConfigError."""

    devices: tuple[Device, ...] = ()
    persons: tuple[Person, ...] = ()
    services: tuple[Service, ...] = ()
    _by_name: Mapping[str, Entry] = field(init=False, repr=False, compare=False)
    _by_fingerprint: Mapping[str, Device] = field(init=False, repr=False, compare=False)
    _by_place: Mapping[tuple[str, str, str], Device] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        entries = tuple(self)
        bound = DEFAULT_LIMITS.register_entries
        if len(entries) > bound:
            raise ConfigError(f"has more than {bound:,} entries", field="register")
        _require_distinct_titles(entries)
        put = object.__setattr__
        put(self, "_by_name", _unique(((e.name, e) for e in entries), "name"))
        prints = ((text, d) for d in self.devices for text in d.fingerprints)
        put(self, "_by_fingerprint", _unique(prints, "fingerprints"))
        put(self, "_by_place", _unique(_places(self.devices), "addresses"))

    def __iter__(self) -> Iterator[Entry]:
        yield from self.devices
        yield from self.persons
        yield from self.services

    def by_certificate(self, sha256: str) -> Identity | None:
        """Return whose certificate this is; TLS has verified that the caller holds its key.

        ``sha256`` is the digest of its DER form in hexadecimal. An expired identity is returned as it is: ``policy``
        refuses it, and the journal then knows whom.
        """
        device = self._by_fingerprint.get(_bare(sha256))
        return None if device is None else device.identity(How.CERTIFICATE)

    def by_address(self, address: str, calling_ae_title: str, *, port: str) -> Identity | None:
        """Return which legacy device calls from there by that title; ``port`` is the listener's name.

        Only a listener that was asked for by name has one: on every other one ("") this finds nobody.
        """
        numeric = _numeric(address)
        if numeric is None or not port:
            return None
        # Spaces around an AE title are not significant (PS3.5 section 6.2, AE); its case is.
        device = self._by_place.get((port, str(numeric), calling_ae_title.strip(" ")))
        return None if device is None else device.identity(How.ADDRESS_AND_TITLE)

    def by_name(self, name: str, *, how: How) -> Identity | None:
        """Return who has this name, after ``access`` has verified password, code or token.

        A device is never found so, nor anybody by a proof that is not for their kind.
        """
        entry = self._by_name.get(name)
        if entry is None or isinstance(entry, Device):
            return None
        identity = entry.identity(how)
        return identity if how in _HOWS_OF_KIND[identity.kind] else None

    def has(self, name: str) -> bool:
        """Tell whether somebody of any kind has this name."""
        return name in self._by_name

    def title_owner(self, ae_title: str) -> str:
        """Return the name of the one device or service with this AE title; "" where nobody has it."""
        wanted = ae_title.strip(" ")
        return next((e.name for e in self if wanted in _titles(e)), "")

    def with_entry(self, entry: Entry) -> "Register":
        """Return the register with one more entry; raises ConfigError where it clashes with another."""
        match entry:
            case Device():
                return replace(self, devices=(*self.devices, entry))
            case Person():
                return replace(self, persons=(*self.persons, entry))
            case Service():
                return replace(self, services=(*self.services, entry))

    def without(self, name: str) -> "Register":
        """Return the register without that name: revoked. Raises ConfigError where nobody has it."""
        if not self.has(name):
            raise ConfigError("nobody has this name", field=f"register: {name[:64]}")
        return Register(
            devices=tuple(d for d in self.devices if d.name != name),
            persons=tuple(p for p in self.persons if p.name != name),
            services=tuple(s for s in self.services if s.name != name),
        )

    def remarks(self) -> tuple[str, ...]:
        """Return what should be said at every start: nobody known, devices that cannot show themselves, legacy ones."""
        if not self._by_name:
            return ("The register is empty: nobody is known, so nobody is served.",)
        mute = [d.name for d in self.devices if not (d.fingerprints or d.addresses)]
        legacy = [d.name for d in self.devices if d.addresses]
        said = [f"Device {n} has no certificate, so it cannot show who it is." for n in mute]
        said += [
            f"Device {n} is known by address and AE title only on its port; both can be forged."
            for n in legacy
        ]
        return tuple(said)


# --- what an entry must look like -------------------------------------------------------------------------------------

#: A name is also the name of a file (bundle, credentials): it begins with a letter or digit, never with a dot.
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}", re.ASCII)
#: PS3.5 section 6.2, AE: at most 16 characters of the default repertoire, no backslash, not only spaces.
_AE_TITLE = re.compile(r"(?! )[ -\[\]-~]{1,16}(?<! )", re.ASCII)
_SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)


def is_name(text: str) -> bool:
    """Tell whether a text can be the name of an identity: lower case, at most 64 characters."""
    return _NAME.fullmatch(text) is not None


def is_ae_title(text: str) -> bool:
    """Tell whether a text can be an AE title (PS3.5 section 6.2)."""
    return _AE_TITLE.fullmatch(text) is not None


def _require_entry(
    kind: Kind, name: str, role: str, also: tuple[str, ...], expires_at: datetime | None
) -> None:
    if not is_name(name):
        hint = "Lower-case letters, digits, '.', '_' and '-'; a letter or digit first; at most 64."
        raise ConfigError("is no name", field=f"{kind}: name", hint=hint)
    where = f"{kind} {name}"
    for each, stands in ((role, "role"), *((one, "also") for one in also)):
        if kind not in KINDS_OF_ROLE.get(each, frozenset()):
            fitting = ", ".join(role for role, kinds in KINDS_OF_ROLE.items() if kind in kinds)
            message = f"is no role of a {kind}"
            raise ConfigError(message, field=f"{where}: {stands}", hint=f"One of: {fitting}.")
    if expires_at is not None and expires_at.utcoffset() is None:
        hint = "Add an offset, such as 2026-12-31T18:00:00+01:00."
        raise ConfigError("has no time zone", field=f"{where}: expires_at", hint=hint)
    if role == Role.MIGRATION and expires_at is None:
        hint = "A migration may do everything to images, so it must say when it ends."
        raise ConfigError("is missing", field=f"{where}: expires_at", hint=hint)


def _require_ae_title(title: str, where: str) -> None:
    if not is_ae_title(title):
        hint = "1 to 16 printable ASCII characters, no backslash, no space at either end."
        raise ConfigError("holds no AE title", field=where, hint=hint)


def _bare(text: str) -> str:
    return text.replace(":", "").lower()


def _fingerprint(text: str, where: str) -> str:
    if not _SHA256.fullmatch(_bare(text)):
        hint = "64 hexadecimal digits: openssl x509 -noout -fingerprint -sha256 -in FILE"
        raise ConfigError("holds no SHA-256 fingerprint", field=where, hint=hint)
    return _bare(text)


@lru_cache(maxsize=1_024)  # asked for each instance of a legacy device
def _numeric(text: str) -> Address | None:
    """Return the address that would really be seen: an IPv4-mapped one is its IPv4 (RFC 4291 section 2.5.5.2)."""
    try:
        numeric = ip_address(text)
    except ValueError:
        return None
    return numeric.ipv4_mapped or numeric if isinstance(numeric, IPv6Address) else numeric


def _address(text: str, where: str) -> str:
    numeric = _numeric(text)
    if numeric is None or numeric.is_unspecified or numeric.is_multicast:
        hint = "One numeric address for each entry, such as 10.20.0.7; no networks, no names."
        raise ConfigError("holds no address of one host", field=where, hint=hint)
    return str(numeric)


def _titles(entry: Entry) -> tuple[str, ...]:
    return () if isinstance(entry, Person) else entry.ae_titles


def _places(devices: tuple[Device, ...]) -> Iterator[tuple[tuple[str, str, str], Device]]:
    for device in devices:
        for address in device.addresses:
            for title in device.ae_titles:
                yield (device.legacy_port, address, title), device


def _require_distinct_titles(entries: tuple[Entry, ...]) -> None:
    # A title is where images are moved to: with two owners, one would be sent what the other may see. Peers that fold
    # case exist, so titles that differ in nothing else are the same.
    owners: dict[str, str] = {}
    for entry in entries:
        for title in set(_titles(entry)):
            other = owners.setdefault(title.casefold(), entry.name)
            if other != entry.name:
                raise ConfigError(
                    f"{title!r} is also an AE title of {other}",
                    field=f"{entry.name}: ae_titles",
                    hint="Give each device an AE title of its own.",
                )


def _unique(pairs: Iterable[tuple[_KeyT, _ValueT]], what: str) -> dict[_KeyT, _ValueT]:
    found: dict[_KeyT, _ValueT] = {}
    for key, entry in pairs:
        if found.setdefault(key, entry) is not entry:
            raise ConfigError("is already taken by another entry", field=f"{entry.name}: {what}")
    return found
