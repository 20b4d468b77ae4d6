"""Time windows are read as people write them, and open and close to the second."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doorward.audit.windows import Window, left_s, parse_window, wait_s
from doorward.errors import ConfigError

MONDAY = datetime(2026, 11, 23, tzinfo=UTC)
MINUTE, HOUR, DAY = 60, 3600, 86_400


def at(days=0, hour=0, minute=0, second=0):
    return MONDAY + timedelta(days=days, hours=hour, minutes=minute, seconds=second)


@pytest.mark.parametrize(
    ("text", "days", "begin", "length"),
    [
        ("22:00-06:00", range(7), 22 * 60, 8 * 60),
        ("Mon-Fri 18:00-07:00", range(5), 18 * 60, 13 * 60),
        ("sat,sun 00:00-24:00", (5, 6), 0, 24 * 60),
        ("fri-mon 08:30-09:00", (4, 5, 6, 0), 510, 30),
        ("12:00-12:00", range(7), 720, 24 * 60),
    ],
)
def test_a_window_is_what_it_says(text, days, begin, length):
    window = parse_window(text)
    assert window == Window(days=frozenset(days), begin_minute=begin, length_minutes=length)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "night",
        "22-06",
        "25:00-26:00",
        "22:60-23:00",
        "24:00-06:00",
        "mon 22:00",
        "foo 1:00-2:00",
        "mon-foo 10:00-11:00",
        "mon, 10:00-11:00",
        "22:00-06:00 x",
    ],
)
def test_what_is_no_window_is_refused_with_an_example(text):
    with pytest.raises(ConfigError) as caught:
        parse_window(text)
    assert "22:00-06:00" in caught.value.hint


@pytest.mark.parametrize(
    ("now", "left", "wait"),
    [
        (at(0, 17, 59, 30), 0, 30),
        (at(0, 18), 13 * HOUR, 0),
        (at(1, 6, 59, 59), 1, 0),
        (at(1, 7), 0, 11 * HOUR),
        (at(5, 6), HOUR, 0),  # Friday's window ends on Saturday
        (at(5, 7), 0, 2 * DAY + 11 * HOUR),
        (at(6, 23), 0, 19 * HOUR),  # over the end of the week
    ],
)
def test_a_window_over_midnight_opens_and_closes_to_the_second(now, left, wait):
    window = (parse_window("mon-fri 18:00-07:00"),)
    assert (left_s(window, now), wait_s(window, now)) == (left, wait)


def test_windows_that_touch_are_one():
    windows = (parse_window("fri 18:00-24:00"), parse_window("sat 00:00-12:00"))
    assert left_s(windows, at(4, 18)) == 18 * HOUR


def test_without_windows_everything_is_open_for_ever():
    assert left_s((), MONDAY) == float("inf")
    assert wait_s((), MONDAY) == 0


def test_a_window_of_all_days_never_closes_for_longer_than_a_week():
    assert left_s((parse_window("00:00-24:00"),), at(3, 5)) >= 7 * DAY


@given(
    st.sets(st.integers(0, 6), min_size=1),
    st.integers(0, 1439),
    st.integers(1, 1440),
    st.integers(0, 400 * DAY).map(lambda seconds: MONDAY + timedelta(seconds=seconds)),
)
def test_a_window_is_either_open_or_opens_later(days, begin, length, now):
    window = Window(days=frozenset(days), begin_minute=begin, length_minutes=length)
    left, wait = window.left_s(now), window.wait_s(now)
    assert (left > 0) != (wait > 0)
    assert left <= length * MINUTE
    # a second after it says that it opens, it is open; a second after it says that it closes, its own span is over
    assert wait == 0 or window.left_s(now + timedelta(seconds=wait + 1)) > 0 or length * 60 <= 1
