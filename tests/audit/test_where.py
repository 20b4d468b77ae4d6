"""Where an address is: each publisher's layout, public addresses only, broken files told by name, and the data wheel."""

import hashlib
import json
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from datetime import date, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mmdb_writer import MMDBWriter
from netaddr import IPSet

import geo_package
from doorward.audit.place import NOWHERE, Place
from doorward.audit.where import Where
from doorward.errors import ConfigError
from doorward.limits import Limits


def table(file: Path, records: dict[str, Any], *, ip_version: int = 6) -> Path:
    """Write a small MMDB file: network -> record."""
    writer = MMDBWriter(ip_version, "synthetic", ipv4_compatible=ip_version == 6)
    for network, record in records.items():
        writer.insert_network(IPSet([network]), record)
    writer.to_db_file(str(file))
    return file


COUNTRIES = {
    "1.1.0.0/16": {"country_code": "AU"},
    "88.198.0.0/16": {"country_code": "de"},
    "10.0.0.0/8": {"country_code": "AT"},
    "127.0.0.0/8": {"country_code": "CH"},
    "2a01:4f8::/32": {"country_code": "DE"},
}
OPERATOR = {"autonomous_system_number": 64500, "autonomous_system_organization": "Example Net"}


@pytest.fixture
def countries(tmp_path: Path) -> Path:
    return table(tmp_path / "countries.mmdb", COUNTRIES)


@pytest.fixture
def where(countries: Path) -> Iterator[Where]:
    with Where.open(countries) as opened:
        yield opened


# --- looking up -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("address", "country"),
    [
        ("1.1.1.1", "AU"),
        ("88.198.3.4", "DE"),
        ("::ffff:88.198.3.4", "DE"),
        ("2a01:4f8::7", "DE"),
        ("9.9.9.9", ""),
        ("2600::1", ""),
    ],
)
def test_a_public_address_has_the_country_of_its_network(where: Where, address, country) -> None:
    assert where.place(address) == Place(country=country)


@pytest.mark.parametrize(
    "address",
    ["10.1.2.3", "127.0.0.1", "::ffff:10.1.2.3", "::1", "fe80::1", "192.0.2.1", "pacs.example", ""],
)
def test_what_is_not_public_is_nowhere(where: Where, address: str) -> None:
    assert where.place(address) == NOWHERE


def test_an_operator_may_look_private_addresses_up_in_a_file_of_their_own(countries: Path) -> None:
    with Where.open(countries, with_private=True) as where:
        assert where.place("10.1.2.3").country == "AT"
        assert where.place("127.3.0.1").country == "CH"
        assert where.place("pacs.example") == NOWHERE


@pytest.mark.parametrize(
    ("record", "place"),
    [
        ({"country_code": "FR"}, Place(country="FR")),
        ({"country": "FR", "as_name": "Example", "asn": "AS64500"}, ("FR", "Example")),
        ({"country": "France", "country_code": "FR", "asn": "AS64500"}, ("FR", "AS64500")),
        ({"country": {"iso_code": "FR", "names": {"en": "France"}}}, Place(country="FR")),
        ({"country": {}, "registered_country": {"iso_code": "FR"}}, Place(country="FR")),
        ({**OPERATOR, "country_code": "FR"}, ("FR", "Example Net")),
        ({"country_code": "FR", "autonomous_system_number": 64500}, ("FR", "AS64500")),
        ({"country_code": "FR", "as_name": " ", "asn": "AS1; x"}, Place(country="FR")),
        ({"country_code": "FR", "as_name": "a\x1b[2J\u202eb"}, ("FR", "a?[2J?b")),
        # What is no country of ISO 3166-1 is not known.
        ({"country_code": "EU", "asn": 1}, ("", "AS1")),
        ({"country_code": 7, "country": ["FR"], "asn": 1}, ("", "AS1")),
        ({"country_code": "FRA", "country": {"iso_code": 3}, "asn": 1}, ("", "AS1")),
    ],
)
def test_every_layout_of_the_publishers_is_read(tmp_path: Path, record, place) -> None:
    if isinstance(place, tuple):
        place = Place(country=place[0], network_operator=place[1])
    other = {"country_code": "US"}
    file = table(tmp_path / "x.mmdb", {"88.198.0.0/16": record, "1.1.0.0/16": other})
    with Where.open(file) as where:
        assert where.place("88.198.0.1") == place


def test_a_long_name_of_an_operator_is_cut(tmp_path: Path) -> None:
    file = table(tmp_path / "x.mmdb", {"1.1.0.0/16": {"country_code": "AU", "as_name": "n" * 999}})
    with Where.open(file) as where:
        assert len(where.place("1.1.1.1").network_operator) == Limits().import_text_chars


def test_country_and_operator_come_from_two_files(countries: Path, tmp_path: Path) -> None:
    operators = table(tmp_path / "asn.mmdb", {"88.198.0.0/16": OPERATOR})
    with Where.open(countries, operators) as where:
        assert [source.file for source in where.sources] == [countries, operators]
        assert where.place("88.198.0.1") == Place(country="DE", network_operator="Example Net")
        inventory = Place(site="North", country="AT")
        assert inventory.filled_from(where.place("88.198.0.1")) == Place(
            site="North", country="AT", network_operator="Example Net"
        )
    with Where.open(None, operators) as where:
        assert where.place("88.198.0.1") == Place(network_operator="Example Net")


def test_a_table_of_ipv4_knows_no_ipv6(tmp_path: Path) -> None:
    file = table(tmp_path / "v4.mmdb", {"1.1.0.0/16": {"country_code": "AU"}}, ip_version=4)
    with Where.open(file) as where:
        assert where.place("1.1.1.1").country == "AU"
        assert where.place("2a01:4f8::7") == NOWHERE


def test_without_a_file_and_without_the_package_nothing_is_known() -> None:
    with Where.open() as where:
        assert where.sources == ()
        assert where.place("1.1.1.1") == NOWHERE
        assert where.warnings(date(2030, 1, 1)) == ()


def test_a_table_warns_when_it_is_older_than_half_a_year(where: Where, countries: Path) -> None:
    (source,) = where.sources
    assert source.database == "synthetic"
    assert where.warnings(source.built + timedelta(days=180)) == ()
    (warning,) = where.warnings(source.built + timedelta(days=181))
    assert warning.startswith(f"{countries} was made on {source.built}, 181 days ago")


# --- wrong files ------------------------------------------------------------------------------------------------------


def wrong(country: Path | None = None, network: Path | None = None) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        Where.open(country, network)
    assert caught.value.file == (network or country)
    assert "where.md" in (caught.value.hint or "")
    return caught.value


@pytest.mark.parametrize("content", [b"", b"start_ip,end_ip,country\n", b"PK\x03\x04", bytes(4096)])
def test_a_file_of_another_kind_is_told_by_name(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "x.mmdb"
    file.write_bytes(content)
    assert "no MaxMind DB" in str(wrong(file))


def test_a_missing_file_and_a_folder_are_told_by_name(tmp_path: Path) -> None:
    assert "No such file" in str(wrong(tmp_path / "none.mmdb"))
    assert "cannot be read" in str(wrong(tmp_path))


def test_a_table_of_something_else_is_refused(countries: Path, tmp_path: Path) -> None:
    operators = table(tmp_path / "asn.mmdb", {"1.1.0.0/16": OPERATOR})
    assert "holds no countries" in str(wrong(operators))
    assert "holds no network operators" in str(wrong(None, countries))


def test_a_refused_second_file_leaves_no_first_one_open(countries: Path, tmp_path: Path) -> None:
    """A file that is left open would end this test: warnings are errors."""
    (tmp_path / "x.mmdb").write_bytes(b"x")
    wrong(countries, tmp_path / "x.mmdb")


def test_a_file_that_is_cut_while_it_is_read_gives_no_place_and_ends_nothing(
    countries: Path,
) -> None:
    with Where.open(countries) as where:
        assert where.place("88.198.0.1").country == "DE"
        with countries.open("r+b") as stream:
            stream.truncate(40)
        assert country_or_error(where, "88.198.7.1") == ""


def country_or_error(where: Where, address: str) -> str:
    """Return the country, "" where the file turns out to be broken."""
    try:
        return where.place(address).country
    except ConfigError:
        return ""


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150)
@given(
    changes=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), max_size=12),
    cut=st.floats(0, 1),
)
def test_a_broken_file_is_an_error_of_its_name_or_gives_places(
    countries: Path, changes, cut
) -> None:
    content = bytearray(countries.read_bytes())
    for position, value in changes:
        content[int(position * (len(content) - 1))] = value
    broken = countries.with_name("broken.mmdb")
    broken.write_bytes(content if cut > 0.3 else content[: int(cut * len(content))])
    try:
        where = Where.open(broken)
    except ConfigError as error:
        assert str(error).startswith(str(broken))  # noqa: PT017 - either ending is right
        return
    with where:
        for address in ("1.1.1.1", "88.198.0.1", "2a01:4f8::7"):
            assert len(country_or_error(where, address)) in (0, 2)


# --- the data wheel (tools/geo_package.py) ----------------------------------------------------------------------------

LICENCE = "Free to use, provided you give attribution to registry.example."


def npm_package(folder: Path, **members: bytes) -> Path:
    about = {"name": "@example/countries", "version": "2.3.4", "license": "CC0-1.0"}
    content = {
        "package.json": json.dumps(about).encode(),
        "THE_LICENSE": LICENCE.encode(),
        "countries-ipv4.mmdb": b"another",
        **{name.replace("__", "."): value for name, value in members.items()},
    }
    file = folder / "countries-2.3.4.tgz"
    with tarfile.open(file, "w:gz") as tar:
        for name, value in content.items():
            entry = tarfile.TarInfo(f"package/{name}")
            entry.size = len(value)
            tar.addfile(entry, BytesIO(value))
    return file


def test_the_data_wheel_is_installed_by_pip_and_found(
    countries: Path, tmp_path: Path, monkeypatch, capsys
) -> None:
    packed = npm_package(tmp_path, countries__mmdb=countries.read_bytes())
    assert geo_package.main([str(packed), "--out", str(tmp_path / "dist")]) == 0
    (wheel,) = (tmp_path / "dist").iterdir()
    assert str(wheel) in capsys.readouterr().out
    site = tmp_path / "site"
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps"]
    subprocess.run([*command, "--target", str(site), str(wheel)], check=True)
    monkeypatch.syspath_prepend(str(site))
    monkeypatch.delitem(sys.modules, "doorward_geo", raising=False)
    with Where.open() as where:
        (source,) = where.sources
        assert source.file == site / "doorward_geo" / "country.mmdb"
        assert source.notice == f"Countries: npm @example/countries 2.3.4 (CC0-1.0). {LICENCE}"
        assert where.place("88.198.0.1").country == "DE"
        said = json.loads((site / "doorward_geo" / "source.json").read_text())
        assert said["sha256"] == hashlib.sha256(countries.read_bytes()).hexdigest()
        assert said["built"] == source.built.isoformat()
    other = table(tmp_path / "other.mmdb", {"88.198.0.0/16": {"country_code": "FR"}})
    with Where.open(other) as where:
        assert where.place("88.198.0.1").country == "FR"
    del sys.modules["doorward_geo"]  # monkeypatch would put it back


def test_the_same_data_gives_the_same_wheel_with_its_licence_inside(
    countries: Path, tmp_path: Path
) -> None:
    packed = npm_package(tmp_path, countries__mmdb=countries.read_bytes())
    made = []
    for folder in ("one", "two"):
        assert geo_package.main([str(packed), "--out", str(tmp_path / folder)]) == 0
        (wheel,) = (tmp_path / folder).iterdir()
        made.append(wheel.read_bytes())
    assert made[0] == made[1]
    with zipfile.ZipFile(BytesIO(made[0])) as archive:
        (licence,) = [n for n in archive.namelist() if n.endswith("dist-info/licenses/THE_LICENSE")]
        assert archive.read(licence).decode() == LICENCE


def test_a_table_without_its_origin_is_not_packed(countries: Path, tmp_path: Path, capsys) -> None:
    out = str(tmp_path / "dist")
    assert geo_package.main([str(countries), "--out", out]) == 2
    assert "--source and --licence" in capsys.readouterr().err
    named = ["--source", "https://tables.example", "--licence", "CC0-1.0"]
    assert geo_package.main([str(countries), "--out", out, *named]) == 0
    assert "https://tables.example (CC0-1.0)" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("members", "words"),
    [
        ({"countries__mmdb": b"no table"}, "is no MaxMind DB file"),
        ({}, "has 0 tables"),
        ({"countries__mmdb": b"x", "more__mmdb": b"x"}, "has 2 tables"),
        ({"package__json": b"{}"}, "is no npm package"),
    ],
)
def test_what_cannot_be_packed_is_said_in_a_line(tmp_path: Path, capsys, members, words) -> None:
    packed = npm_package(tmp_path, **members)
    assert geo_package.main([str(packed), "--out", str(tmp_path / "dist")]) == 2
    said = capsys.readouterr().err
    assert words in said
    assert said.count("\n") == 1
    assert not (tmp_path / "dist").exists()


def test_a_file_that_is_no_package_is_said_in_a_line(tmp_path: Path, capsys) -> None:
    (tmp_path / "x.tgz").write_bytes(b"x")
    assert geo_package.main([str(tmp_path / "x.tgz")]) == 2
    assert "is no npm package" in capsys.readouterr().err
