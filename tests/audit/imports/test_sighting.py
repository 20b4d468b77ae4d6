"""A sighting holds what a list may say of a door, and has no place for what a stranger's system wrote."""

from dataclasses import FrozenInstanceError, fields

import pytest

from doorward.audit.imports.sighting import ImportOptions, Sighting, Skipped


def test_there_is_no_field_for_banners_pages_or_script_output():
    assert {field.name for field in fields(Sighting)} == {
        *("host", "port", "source", "seen_at", "is_tls", "service", "place", "tags"),
        *("called_ae_title", "calling_ae_title"),
    }
    assert {field.name for field in fields(Skipped)} == {"line", "reason"}


def test_a_sighting_is_a_value():
    one = Sighting(host="127.0.0.1", port=104, source="nmap")
    assert one == Sighting(host="127.0.0.1", port=104, source="nmap")
    with pytest.raises(FrozenInstanceError):
        one.host = "x"


def test_without_options_every_age_is_taken_and_no_network_of_others():
    options = ImportOptions()
    assert (options.oldest, options.with_cdn, options.port) == (None, False, None)
