"""The settings of an archive as values: what can be set, what each field is for, and what it must be.

Theory of operation: a table of the file is a dataclass here, and each field carries its comment and its check, so that
``settings_file`` reads and writes from these lines alone and cannot leave one out.

What makes the archive weaker than it was shipped is only there when somebody wrote it; ``weaker`` names each of it, to be
said at every start. Secrets are no settings: they lie in the vault.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import MISSING, dataclass, field, replace
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from doorward.access.identity import is_ae_title, is_name
from doorward.access.rules import Rules
from doorward.limits import DEFAULT_LIMITS, Limits

_Check = Callable[[Any], str]
_LOOPBACK = ("127.0.0.1",)
_HOST = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?", re.ASCII)
_NONE = ""


# --- what a value must be; the answer is what is wrong with it, "" for nothing ------------------------------------------


def _any(_: object) -> str:
    return _NONE


def _title(text: str) -> str:
    wanted = "must be an AE title: 1 to 16 printable ASCII characters, no backslash"
    return _NONE if is_ae_title(text) else wanted


def _name(text: str) -> str:
    return _NONE if is_name(text) else "must be a name of lower-case letters, digits, '.', '_', '-'"


def _label(text: str) -> str:
    good = 0 < len(text) <= 48 and text.isprintable() and text == text.strip()
    return _NONE if good else "must be a text of 1 to 48 printable characters"


def _address(text: str) -> str:
    try:
        ip_address(text)
    except ValueError:
        return "must hold numeric addresses, such as 10.20.0.7 or ::1"
    return _NONE


def _host(text: str) -> str:
    is_known = not _address(text) or _HOST.fullmatch(text)
    return _NONE if is_known else "must hold names (lower case) or addresses"


def _each(check: _Check, *, least: int = 0) -> _Check:
    def all_of(values: tuple[str, ...]) -> str:
        if len(values) < least:
            return "is empty"
        if len(set(values)) < len(values):
            return "holds something twice"
        return next((wrong for one in values if (wrong := check(one))), _NONE)

    return all_of


def _optional(check: _Check) -> _Check:
    return lambda text: _NONE if text == "" else check(text)


def _number(least: float, most: float) -> _Check:
    words = f"must be from {least:,} to {most:,}"
    return lambda number: _NONE if least <= number <= most else words


def _word(*words: str) -> _Check:
    quoted = " or ".join(f'"{word}"' for word in words)
    return lambda text: _NONE if text in words else f"must be {quoted}"


def _web_origin(text: str) -> str:
    try:
        parts = urlsplit(text)
        is_origin = parts.scheme in ("https", "http") and parts.hostname and not parts.path
    except ValueError:
        is_origin = False
    return _NONE if is_origin else 'must hold origins such as "https://viewer.example"'


def _url(text: str) -> str:
    try:
        parts = urlsplit(text)
        host, scheme = parts.hostname or "", parts.scheme
    except ValueError:
        host = scheme = ""
    if not host or (scheme != "https" and not (scheme == "http" and _is_loopback(host))):
        return "must be an https address; http only on this machine"
    return _NONE


def _subjects(table: Mapping[str, str]) -> str:
    wrong = (_name(name) for name in table.values())
    return next((f"holds a value that {one}" for one in wrong if one), _NONE)


# --- the tables ---------------------------------------------------------------------------------------------------------


def _setting(default: Any, words: str, check: _Check = _any, *, example: object = None) -> Any:
    """Return a field: its default, its comment, its check; ``example`` is for rows that must say it."""
    metadata = {"words": words, "check": check, "example": example}
    if default is dict:
        return field(default_factory=dict, metadata=metadata)
    if default is MISSING:
        return field(metadata=metadata)
    return field(default=default, metadata=metadata)


_PORT = _number(0, 65_535)


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteSettings:
    """Whose archive it is, and how it is reached."""

    name: str = _setting(
        "Doorward archive",
        "Tells people whose archive this is; in certificates and logins.",
        _label,
    )
    hosts: tuple[str, ...] = _setting(
        ("127.0.0.1", "localhost"),
        "Names and addresses under which it is reached, the usual one first. They stand in its certificate\n"
        "('doorward archive renew' after a change), and HTTPS answers to no other.",
        _each(_host, least=1),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class DicomSettings:
    """DICOM over TLS; whoever calls must show a certificate that this archive has signed."""

    ae_title: str = _setting("DOORWARD", "The AE title of the archive.", _title)
    addresses: tuple[str, ...] = _setting(
        _LOOPBACK,
        "Where it listens. 127.0.0.1 is reached from this machine alone; name an address of this machine,\n"
        'or "0.0.0.0" for all of them, and it is said at every start.',
        _each(_address),
    )
    port: int = _setting(
        2762, "The port: 2762 is that of DICOM over TLS; 0 takes any free one.", _PORT
    )
    user_identity: bool = _setting(
        False,
        "Also let in who shows no certificate, and a DICOM user identity instead: a person by password and\n"
        "one-time code, a program by its token. Guessing one is then possible from wherever the port is reached.",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpsSettings:
    """DICOMweb and the login of people, over TLS."""

    addresses: tuple[str, ...] = _setting(
        _LOOPBACK, "Where it listens, as above; [] for nowhere.", _each(_address)
    )
    port: int = _setting(8443, "The port; 0 takes any free one.", _PORT)
    allowed_origins: tuple[str, ...] = _setting(
        (),
        'Web pages of other origins that may call it (CORS), such as "https://viewer.example".',
        _each(_web_origin),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class VolumeSettings:
    """What one reader or workstation may take in an hour; a stolen one must not drain the archive."""

    studies_per_hour: int = _setting(
        DEFAULT_LIMITS.volume_studies,
        "Different studies.",
        _number(1, DEFAULT_LIMITS.volume_entries),
    )
    patients_per_hour: int = _setting(
        DEFAULT_LIMITS.volume_patients,
        "Different patients.",
        _number(1, DEFAULT_LIMITS.volume_entries),
    )
    gigabytes_per_hour: float = _setting(
        DEFAULT_LIMITS.volume_retrieved_bytes / 2**30,
        "Gigabytes (of 2^30 bytes).",
        _number(0.001, 1_000_000.0),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalSettings:
    """The journal of every access."""

    keep_query_values: bool = _setting(
        False,
        "Also keep the values of queries, such as names that were looked for: patient data in the journal.",
    )
    sync_queries: bool = _setting(
        False,
        "Answer a query only when its record is on the disk. Otherwise the system has it, which outlives this program,\n"
        "and it is on the disk soon after; a power cut may take the records of the last queries, of nothing else.",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditMessageSettings:
    """An outside collector of audit messages (PS3.15 A.5), by syslog over TLS (RFC 5425)."""

    address: str = _setting(
        "", 'Its numeric address; "" sends nothing anywhere.', _optional(_address)
    )
    port: int = _setting(6514, "Its port.", _number(1, 65_535))
    server_name: str = _setting(
        "", 'The name in its certificate; "" is its address.', _optional(_host)
    )
    authorities: str = _setting(
        "", 'A file (PEM) with the authorities that it is trusted by; "" is the system\'s list.'
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenIdSettings:
    """People who log in at an OpenID provider; its client secret lies in the vault (openid-client-secret)."""

    issuer: str = _setting(
        "",
        'The issuer, such as "https://login.example/realms/clinic"; "" is nobody.',
        _optional(_url),
    )
    client_id: str = _setting("", "As what this archive is known there.")
    audience: str = _setting("", 'For whom its tokens are made; "" is the client_id.')
    also_hosts: tuple[str, ...] = _setting(
        (),
        "Hosts beside the issuer's own under which it serves its keys and tokens.",
        _each(_host),
    )
    authorities: str = _setting(
        "", 'A file (PEM) with the authorities that it is trusted by; "" is the system\'s list.'
    )
    persons: Mapping[str, str] = _setting(
        dict,
        "Whom the provider vouches for -> who that is here ('doorward archive person add').\n"
        "Whoever is not named is nobody.",
        _subjects,
        example={"subject-at-the-provider": "ada"},
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class LogSettings:
    """What is said on standard error while it runs; there is no patient data in it."""

    format: str = _setting("text", '"text" for people, "json" for programs.', _word("text", "json"))


@dataclass(frozen=True, slots=True, kw_only=True)
class LegacyPort:
    """A plain DICOM port for devices without TLS: by address and AE title alone, which both can be forged."""

    name: str = _setting(
        MISSING, "Its name: 'device add --legacy-port NAME'.", _name, example="old"
    )
    address: str = _setting("127.0.0.1", "Where it listens.", _address, example="10.20.0.7")
    port: int = _setting(11_112, "The port; 0 takes any free one.", _PORT)


@dataclass(frozen=True, slots=True, kw_only=True)
class DestinationRow:
    """Where a C-MOVE may send, and where reports of storage commitment go."""

    ae_title: str = _setting(MISSING, "Its AE title.", _title, example="WS2")
    address: str = _setting(MISSING, "Its numeric address.", _address, example="10.20.0.8")
    port: int = _setting(2762, "Its port.", _number(1, 65_535))
    authorities: str = _setting(
        "", 'A file (PEM) with the authorities that it is trusted by; "" is this archive\'s own.'
    )
    plain: bool = _setting(False, "Without TLS: names and images travel readable.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All settings of an archive, as ``settings_file.load`` reads them."""

    site: SiteSettings = SiteSettings()
    dicom: DicomSettings = DicomSettings()
    https: HttpsSettings = HttpsSettings()
    volume: VolumeSettings = VolumeSettings()
    journal: JournalSettings = JournalSettings()
    audit_messages: AuditMessageSettings = AuditMessageSettings()
    openid: OpenIdSettings = field(default_factory=OpenIdSettings)
    log: LogSettings = LogSettings()
    legacy_port: tuple[LegacyPort, ...] = ()
    destination: tuple[DestinationRow, ...] = ()
    rules: Rules = field(default_factory=Rules)

    def limits(self, limits: Limits = DEFAULT_LIMITS) -> Limits:
        """Return the limits with those that a site may set."""
        return replace(
            limits,
            volume_studies=self.volume.studies_per_hour,
            volume_patients=self.volume.patients_per_hour,
            volume_retrieved_bytes=int(self.volume.gigabytes_per_hour * 2**30),
        )

    def weaker(self) -> tuple[str, ...]:
        """Return what is weaker than it was shipped, each as a sentence with the setting that says so."""
        return tuple(_weaker(self))


#: Tables of the file, and lists of tables, in its order; the rules are read by ``access.rules``.
TABLES: Mapping[str, type[Any]] = {
    "site": SiteSettings,
    "dicom": DicomSettings,
    "https": HttpsSettings,
    "volume": VolumeSettings,
    "journal": JournalSettings,
    "audit_messages": AuditMessageSettings,
    "openid": OpenIdSettings,
    "log": LogSettings,
}
ROWS: Mapping[str, type[Any]] = {"legacy_port": LegacyPort, "destination": DestinationRow}


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _weaker(settings: Settings) -> Iterator[str]:
    yield from _weaker_doors(settings)
    for row in settings.destination:
        if row.plain:
            yield f"images are sent to {row.ae_title} unencrypted (destination.plain)"
    if settings.journal.keep_query_values:
        yield "the journal keeps what was looked for: it holds patient data (journal.keep_query_values)"
    if settings.https.allowed_origins:
        origins = ", ".join(settings.https.allowed_origins)
        yield f"web pages of {origins} may call (https.allowed_origins)"
    if settings.openid.issuer.startswith("http:"):
        yield "the OpenID provider is asked without TLS (openid.issuer)"


def _weaker_doors(settings: Settings) -> Iterator[str]:
    for name, door in (("dicom", settings.dicom), ("https", settings.https)):
        for address in door.addresses:
            if not _is_loopback(address):
                yield f"{name} listens on {address} port {door.port}, not on this machine alone ({name}.addresses)"
    if settings.dicom.user_identity:
        yield "DICOM over TLS asks for no certificate where a user identity is shown (dicom.user_identity)"
    for one in settings.legacy_port:
        yield (
            f"plain DICOM on {one.address} port {one.port}: unencrypted, and whoever forges address and AE title "
            f"is let in (legacy_port {one.name})"
        )
