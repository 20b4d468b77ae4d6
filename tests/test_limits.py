"""Every bound has a unit, a source and a sane value, and cannot be changed by accident."""

import dataclasses

import pytest

from doorward.limits import DEFAULT_LIMITS, Limits, describe


@pytest.mark.parametrize(("name", "default", "unit", "source"), describe())
def test_bound_is_positive_and_says_its_unit_and_source(name, default, unit, source):
    assert default > 0
    assert unit
    assert len(source) > len("because")
    assert getattr(DEFAULT_LIMITS, name) == default


@pytest.mark.parametrize(("name", "default", "unit", "source"), describe())
def test_unit_is_in_the_name_where_it_is_time_or_bytes(name, default, unit, source):
    assert name.endswith("_s") == (unit == "seconds")
    assert isinstance(default, float) == (unit == "seconds")
    assert name.endswith("_bytes") == unit.startswith("bytes")


def test_bounds_cannot_be_changed_in_place():
    with pytest.raises(dataclasses.FrozenInstanceError):
        DEFAULT_LIMITS.max_pdu_bytes = 1


def test_describe_names_every_field_in_order():
    assert [name for name, *_ in describe()] == [field.name for field in dataclasses.fields(Limits)]


def test_a_context_list_as_long_as_the_standard_allows_fits_into_its_pdu():
    contexts = DEFAULT_LIMITS.presentation_contexts * DEFAULT_LIMITS.transfer_syntaxes_per_context
    assert contexts * 32 <= DEFAULT_LIMITS.associate_pdu_bytes
