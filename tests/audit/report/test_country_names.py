"""Codes in words."""

import pytest

from doorward.audit.report import country_names


@pytest.mark.parametrize(
    ("code", "name"),
    [("DE", "Germany"), ("GB", "United Kingdom"), ("CI", "Côte d'Ivoire"), ("XX", "XX"), ("", "")],
)
def test_a_country_is_named_and_what_is_not_known_stays(code: str, name: str) -> None:
    assert country_names.country_name(code) == name


def test_every_code_has_two_letters_and_a_name_of_its_own() -> None:
    names = country_names.NAMES
    assert len(names) == 249
    assert all(len(code) == 2 and code.isupper() and name for code, name in names.items())
    assert len(set(names.values())) == 249
