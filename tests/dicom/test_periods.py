"""Dates and times as text: what a key asks for, and which moments lie in it."""

import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doorward.dicom.periods import (
    ALWAYS,
    Period,
    joined,
    joined_moment,
    moment_of,
    offset_minutes,
    period_of,
)


@pytest.mark.parametrize(
    ("vr", "text", "first", "last"),
    (
        ("DA", "20200229", "20200229", "20200229"),
        ("DA", "2020.02.29", "20200229", "20200229"),
        ("DA", "20200101-20201231", "20200101", "20201231"),
        ("DA", "20200101 - 20201231", "20200101", "20201231"),
        ("DA", "-20201231", "", "20201231"),
        ("DA", "20200101-", "20200101", ALWAYS),
        ("TM", "10", "100000000000", "105960999999"),
        ("TM", "1030", "103000000000", "103060999999"),
        ("TM", "103059", "103059000000", "103059999999"),
        ("TM", "103059.5", "103059500000", "103059599999"),
        ("TM", "10:30:59", "103059000000", "103059999999"),
        ("TM", "10-11", "100000000000", "115960999999"),
        ("TM", "235960", "235960000000", "235960999999"),
        ("DT", "2020", "20200101000000000000", "20201231235960999999"),
        ("DT", "202002", "20200201000000000000", "20200229235960999999"),
        ("DT", "20200101-0500", "20200101050000000000", "20200102045960999999"),
        ("DT", "2019-2020", "20190101000000000000", "20201231235960999999"),
        ("DT", "20200101+0100-20200102+0100", "20191231230000000000", "20200102225960999999"),
        ("DT", "20200101-0500-", "20200101050000000000", ALWAYS),
        ("DT", "-20200101-0500", "", "20200102045960999999"),
        ("DT", "00010101+1400", "00010101000000000000", "00010101095960999999"),
    ),
)
def test_a_key_asks_for_all_that_it_names(vr, text, first, last):
    assert period_of(vr, text) == Period(first, last)


@pytest.mark.parametrize(
    ("vr", "text"),
    (
        ("DA", "20200230"),
        ("DA", "2020"),
        ("DA", "-"),
        ("DA", "20201231-20200101"),
        ("DA", "20200101-20200102-20200103"),
        ("DA", "today"),
        ("TM", "24"),
        ("TM", "22-06"),
        ("TM", "10+0100"),
        ("DT", "2021-2020"),
        ("DT", "-"),
        ("DT", "２０２０"),
    ),
)
def test_what_is_no_value_or_range_is_none(vr, text):
    assert period_of(vr, text) is None


def test_the_offset_of_the_data_set_counts_where_a_value_names_none():
    assert moment_of("DT", "202001010130", 120) == "20191231233000000000"
    assert moment_of("DT", "202001010130+0000", 120) == "20200101013000000000"
    assert moment_of("TM", "0130", 120) == "013000000000"


def test_an_offset_is_read_in_minutes():
    assert [offset_minutes(text) for text in ("+0130", "-0500", "+1500", "0100", "")] == [
        90, -300, None, None, None,
    ]  # fmt: skip


def test_a_period_never_shows_its_dates():
    assert "2020" not in repr(period_of("DA", "20200101"))


@given(st.datetimes(), st.datetimes(), st.datetimes(), st.sampled_from(("DA", "TM", "DT")))
def test_text_and_moments_are_in_the_same_order(one, two, three, vr):
    form = {"DA": "%Y%m%d", "TM": "%H%M%S.%f", "DT": "%Y%m%d%H%M%S.%f"}[vr]
    width = {"DA": 8, "TM": 13, "DT": 21}[vr]
    texts = [moment.strftime(form).rjust(width, "0") for moment in (one, two, three)]
    first, last = sorted(texts[:2])
    period = period_of(vr, f"{first}-{last}")
    assert period is not None
    assert (moment_of(vr, texts[2]) in period) == (first <= texts[2] <= last)


@given(
    st.datetimes().filter(lambda moment: 1 < moment.year < 9999),
    st.integers(-840, 840),
)
def test_a_moment_is_the_same_in_every_zone(moment, minutes):
    there = moment + datetime.timedelta(minutes=minutes)
    sign, (hours, rest) = "-" if minutes < 0 else "+", divmod(abs(minutes), 60)
    text = f"{there:%Y%m%d%H%M%S}".rjust(14, "0") + f"{sign}{hours:02d}{rest:02d}"
    assert moment_of("DT", text) == f"{moment:%Y%m%d%H%M%S}".rjust(14, "0") + "000000"


def test_a_date_range_and_a_time_range_are_joined_into_one():
    days, times = period_of("DA", "20200101-20200103"), period_of("TM", "10-11")
    assert joined(days, times) == Period("20200101100000000000", "20200103115960999999")
    assert joined(period_of("DA", "20200101-"), times).last == ALWAYS
    assert joined(period_of("DA", "-20200101"), times).first == ""
    assert joined(days, period_of("TM", "-11")).first == "20200101000000000000"
    assert joined(days, period_of("TM", "10-")).last == "20200103235960999999"
    assert joined_moment("20200102", None) in joined(days, times)
