"""Which archives to start: from names, or from a small TOML file.

    [[archive]]
    persona = "capped-500"      # doorward practice --list names them
    address = "127.0.1.7"       # loopback only; one address per archive looks like one hospital each
    port = 11112
    studies = 20000
    images = 30                 # of each study
    patients = 9000
    ae_title = "PRACTICE"       # what a checked archive calls itself
    calling_ae_title = "WORKSTATION"
    seed = 7                    # other names and UIDs
    rejections = 2              # congested at first
    at_most = 250               # matches of one query
    images_total = 600001       # images in all, instead of so many for each study
    implementation_class_uid = "1.2.276.0.7230010.3.0.3.6.4"
    implementation_version_name = "OFFIS_DCMTK_364"
    viewer_port = 8080          # more doors of the same address: a web viewer,
    listing_port = 8081         # a list of image files,
    web_port = 8082             # a web server with nothing on it,
    ftp_port = 21               # an FTP server for anonymous
    banner = "Microsoft-IIS/7.5"  # what the web or FTP servers call themselves

Only ``persona`` is needed. Practice archives listen on loopback and nowhere else: they hold nothing worth protecting, and
they must never be mistaken for an archive.
"""

import difflib
import ipaddress
import re
import tomllib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from doorward.errors import ConfigError
from doorward.limits import DEFAULT_LIMITS
from doorward.practice.holding import Holding
from doorward.practice.personas import FTP, PERSONAS, Persona, Speaks

DEFAULT_PORT = 11_112
DEFAULT_STUDIES = 1_234  # no round number: those are doubted as limits
DEFAULT_IMAGES = 30
#: The first address that is given to an archive without one: 127.0.1.1, 127.0.1.2, ...
_FIRST_ADDRESS = ipaddress.IPv4Address("127.0.1.1")
_KEYS: Mapping[str, type] = {
    "persona": str,
    "address": str,
    "port": int,
    "studies": int,
    "images": int,
    "patients": int,
    "ae_title": str,
    "calling_ae_title": str,
    "seed": int,
    "rejections": int,
    "at_most": int,
    "images_total": int,
    "implementation_class_uid": str,
    "implementation_version_name": str,
    "viewer_port": int,
    "listing_port": int,
    "web_port": int,
    "ftp_port": int,
    "banner": str,
}
#: More doors: setting -> who stands there.
_DOORS = {
    "viewer_port": PERSONAS["viewer"],
    "listing_port": PERSONAS["listing"],
    "web_port": PERSONAS["old-web"],
    "ftp_port": FTP,
}
_UID = re.compile(r"[0-2](?:\.(?:0|[1-9][0-9]*)){1,31}", re.ASCII)
_WORDS = {str: "a text in quotes", int: "a whole number"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Door:
    """One more port of the same address; an archive there has the same holding. ``port`` 0 takes any that is free."""

    port: int
    persona: Persona


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveSettings:
    """One archive to start. ``port`` 0 takes any that is free."""

    persona: Persona
    address: str
    port: int = DEFAULT_PORT
    holding: Holding
    ae_title: str = "PRACTICE"
    calling_ae_title: str = "WORKSTATION"
    doors: tuple[Door, ...] = ()

    @property
    def is_dicom(self) -> bool:
        """There is an archive behind the port, not only something that listens."""
        return self.persona.speaks is Speaks.DICOM


def from_names(
    names: Sequence[str],
    *,
    studies: int = DEFAULT_STUDIES,
    images: int = DEFAULT_IMAGES,
    patients: int | None = None,
    port_base: int | None = None,
) -> tuple[ArchiveSettings, ...]:
    """Return one archive for each persona, each on an address of its own.

    With ``port_base`` all are on 127.0.0.1, on ports counted from there. Raises ConfigError.
    """
    found = []
    for index, name in enumerate(names):
        own: dict[str, object] = {"persona": name, "seed": index + 1}
        own |= {"studies": studies, "images": images}
        if patients is not None:
            own["patients"] = patients
        if port_base is not None:
            own |= {"address": "127.0.0.1", "port": port_base + index}
        found.append(_archive(own, index))
    return _distinct(found)


def load_settings(file: Path) -> tuple[ArchiveSettings, ...]:
    """Return the archives of a TOML file; raises ConfigError that names the file and the field."""
    table = _read(file)
    unknown = [key for key in table if key != "archive"]
    if unknown:
        raise _unknown_key(unknown[0], ("archive",), "", file)
    rows = table.get("archive")
    if not isinstance(rows, list) or not rows or not all(isinstance(row, dict) for row in rows):
        hint = "Write [[archive]] in double brackets, once for each archive."
        raise ConfigError("names no archive", file=file, field="archive", hint=hint)
    return _distinct([_archive(row, index, file) for index, row in enumerate(rows)], file)


def _read(file: Path) -> Mapping[str, object]:
    try:
        with file.open("rb") as stream:
            text = stream.read(DEFAULT_LIMITS.list_file_bytes + 1)
        if len(text) > DEFAULT_LIMITS.list_file_bytes:
            most = DEFAULT_LIMITS.list_file_bytes
            raise ConfigError(f"is longer than {most:,} bytes", file=file)
        return tomllib.loads(text.decode())
    except OSError as error:
        raise ConfigError(f"cannot be read ({error.strerror})", file=file) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"is no TOML: {error}", file=file) from None


def _archive(row: Mapping[str, object], index: int, file: Path | None = None) -> ArchiveSettings:
    where = "" if file is None else f"archive {index + 1}: "
    texts, numbers = _typed(row, where, file)
    try:
        persona = _persona(texts, numbers)
        return ArchiveSettings(
            persona=persona,
            address=_address(texts.get("address", str(_FIRST_ADDRESS + index))),
            port=_number("port", numbers.get("port", DEFAULT_PORT), 0, 65_535),
            holding=_holding(
                numbers, seed=numbers.get("seed", index % 9_999 + 1), days=persona.days
            ),
            ae_title=_title("ae_title", texts.get("ae_title", "PRACTICE")),
            calling_ae_title=_title(
                "calling_ae_title", texts.get("calling_ae_title", "WORKSTATION")
            ),
            doors=_doors(texts, numbers),
        )
    except ConfigError as error:
        raise ConfigError(
            error.message, file=file, field=f"{where}{error.field}", hint=error.hint
        ) from None


def _typed(
    row: Mapping[str, object], where: str, file: Path | None
) -> tuple[dict[str, str], dict[str, int]]:
    """Part the texts from the numbers; anything else is refused with its key."""
    texts: dict[str, str] = {}
    numbers: dict[str, int] = {}
    for key, value in row.items():
        wanted = _KEYS.get(key)
        if wanted is None:
            raise _unknown_key(key, _KEYS, where, file)
        if wanted is str and isinstance(value, str):
            texts[key] = value
        elif wanted is int and isinstance(value, int) and not isinstance(value, bool):
            numbers[key] = value
        else:
            raise ConfigError(f"must be {_WORDS[wanted]}", file=file, field=f"{where}{key}")
    return texts, numbers


def _persona(texts: Mapping[str, str], numbers: Mapping[str, int]) -> Persona:
    name = texts.get("persona")
    if name not in PERSONAS:
        hint = "'doorward practice --list' shows all personas."
        close = difflib.get_close_matches(name or "", PERSONAS, n=1)
        if close:
            hint = f"Did you mean {close[0]!r}? {hint}"
        message = "is missing" if name is None else f"there is no persona {name!r}"
        raise ConfigError(message, field="persona", hint=hint)
    persona = PERSONAS[name]
    if "rejections" in numbers:
        persona = replace(persona, rejections=_number("rejections", numbers["rejections"], 0, 999))
    if "at_most" in numbers:
        most = _number("at_most", numbers["at_most"], 0, 10**8)
        persona = replace(persona, query=replace(persona.query, at_most=most))
    return _identified(persona, texts)


def _identified(persona: Persona, texts: Mapping[str, str]) -> Persona:
    """Give a persona its own names (PS3.7 section D.3.3.2), where the settings do."""
    uid = texts.get("implementation_class_uid", persona.implementation_class_uid)
    version = texts.get("implementation_version_name", persona.implementation_version_name)
    if len(uid) > 64 or not _UID.fullmatch(uid):
        raise ConfigError("must be a UID (PS3.5 section 9.1)", field="implementation_class_uid")
    return replace(
        persona,
        implementation_class_uid=uid,
        implementation_version_name=_title("implementation_version_name", version),
        banner=_banner(texts, persona.banner),
    )


def _doors(texts: Mapping[str, str], numbers: Mapping[str, int]) -> tuple[Door, ...]:
    return tuple(
        Door(
            port=_number(key, numbers[key], 0, 65_535),
            persona=replace(persona, banner=_banner(texts, persona.banner)),
        )
        for key, persona in _DOORS.items()
        if key in numbers
    )


def _banner(texts: Mapping[str, str], usual: str) -> str:
    banner = texts.get("banner", usual)
    if len(banner) > 100 or not (banner.isascii() and banner.isprintable()):
        raise ConfigError("must be at most 100 printable ASCII characters", field="banner")
    return banner


def _holding(numbers: Mapping[str, int], *, seed: int, days: int) -> Holding:
    studies = numbers.get("studies", DEFAULT_STUDIES)
    return Holding(
        studies=studies,
        images_per_study=numbers.get("images", DEFAULT_IMAGES),
        images_total=numbers.get("images_total"),
        patients=numbers.get("patients", max(min(1, studies), studies * 2 // 5)),
        seed=seed,
        days=days,
    )


def _address(text: str) -> str:
    hint = "Practice archives listen on loopback only: 127.0.0.1 and its neighbours, or ::1."
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        raise ConfigError(f"{text!r} is no numeric address", field="address", hint=hint) from None
    if not address.is_loopback:
        raise ConfigError(f"{text} is not loopback", field="address", hint=hint)
    return str(address)


def _number(field: str, value: int, least: int, most: int) -> int:
    if not least <= value <= most:
        raise ConfigError(f"must be {least} to {most}, not {value}", field=field)
    return value


def _title(field: str, text: str) -> str:
    """Return an AE title (PS3.5 section 6.2: at most 16 characters, no backslash, no control character)."""
    title = text.strip(" ")
    if not 0 < len(title) <= 16 or "\\" in title or not (title.isascii() and title.isprintable()):
        raise ConfigError("must be 1 to 16 printable ASCII characters, no backslash", field=field)
    return title


def _unknown_key(key: str, known: Collection[str], where: str, file: Path | None) -> ConfigError:
    close = difflib.get_close_matches(key, known, n=1)
    hint = f"Did you mean {close[0]!r}?" if close else f"Known: {', '.join(known)}."
    return ConfigError(
        "is no setting of a practice archive", file=file, field=f"{where}{key}", hint=hint
    )


def _distinct(
    archives: Sequence[ArchiveSettings], file: Path | None = None
) -> tuple[ArchiveSettings, ...]:
    taken: set[tuple[str, int]] = set()
    for archive in archives:
        for port in (archive.port, *(door.port for door in archive.doors)):
            place = (archive.address, port)
            if port and place in taken:
                message = f"{archive.address} port {port} is given to two archives"
                raise ConfigError(message, file=file, field="port")
            taken.add(place)
    return tuple(archives)
