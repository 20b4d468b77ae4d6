"""Sites, countries and AE titles: what is taken, and what is refused with a reason."""

from pathlib import Path

import pytest

from doorward.audit.imports.fields import RowError
from doorward.audit.imports.whereabouts import ae_title, country, required_country, text
from doorward.limits import Limits

ISO_3166 = Path("/usr/share/zoneinfo/iso3166.tab")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("DE", "DE"),
        (" us ", "US"),
        ("XK", "XK"),
        ("XX", ""),
        ("UK", ""),
        ("Germany", ""),
        ("", ""),
        ("ſs", ""),
        (None, ""),
        (7, ""),
        (["DE"], ""),
    ],
)
def test_a_country_has_two_letters_that_are_assigned(value: object, expected: str) -> None:
    assert country(value) == expected


@pytest.mark.skipif(not ISO_3166.exists(), reason="no table of time zones on this machine")
def test_all_countries_of_the_time_zone_table_are_known() -> None:
    lines = ISO_3166.read_text(encoding="utf-8").splitlines()
    codes = [line[:2] for line in lines if line and not line.startswith("#")]
    assert len(codes) >= 249
    assert [code for code in codes if country(code) != code] == []


def test_a_country_that_is_required_is_refused_with_advice() -> None:
    assert required_country("fr", "Land") == "FR"
    with pytest.raises(RowError, match="the code is GB") as refused:
        required_country("uk", "Land")
    assert refused.value.reason.startswith("Land is no two-letter country code")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("ARCHIVE", "ARCHIVE"),
        ("  A B  ", "A B"),
        ("0123", "0123"),
        ("", ""),
        ("SIXTEEN_LETTERS_", "SIXTEEN_LETTERS_"),
    ],
)
def test_an_ae_title_comes_without_its_padding(value: str, expected: str) -> None:
    assert ae_title(value, "AET") == expected


@pytest.mark.parametrize("value", ["SEVENTEEN_LETTERS", "A\\B", "A\tB", "Ä", "1E5", "1,23E+11"])
def test_what_is_no_ae_title_is_refused_without_being_quoted(value: str) -> None:
    with pytest.raises(RowError) as refused:
        ae_title(value, "AET")
    assert value not in str(refused.value)


def test_a_text_is_one_short_printable_line() -> None:
    assert text("a\x1b[2J\n\u202eb", Limits()).isprintable()
    assert len(text("x" * 1_000, Limits(import_text_chars=20))) == 20
    assert text(7, Limits()) == ""
