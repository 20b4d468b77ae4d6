"""A number divided by weights adds up again, whatever the weights and the bounds."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doorward.practice.apportion import apportion, is_doubted, undoubted


@st.composite
def divisions(draw):
    """Weights, bounds and a total that has room in them."""
    size = draw(st.integers(1, 12))
    weights = draw(st.lists(st.floats(1e-6, 1e6), min_size=size, max_size=size))
    least = draw(st.lists(st.integers(0, 1_000), min_size=size, max_size=size))
    spare = draw(st.lists(st.integers(0, 10**9), min_size=size, max_size=size))
    most = [low + more for low, more in zip(least, spare, strict=True)]
    return draw(st.integers(sum(least), sum(most))), weights, least, most


@given(divisions())
def test_parts_add_up_and_stay_within_their_bounds(division):
    total, weights, least, most = division
    parts = apportion(total, weights, least, most)
    assert sum(parts) == total
    assert all(low <= part <= high for low, part, high in zip(least, parts, most, strict=True))


@given(divisions())
def test_doubted_numbers_are_moved_and_the_sum_stays(division):
    total, weights, least, most = division
    parts = apportion(total, weights, least, most)
    moved = undoubted(parts, least, most)
    assert sum(moved) == total
    assert all(low <= part <= high for low, part, high in zip(least, moved, most, strict=True))
    assert sum(map(is_doubted, moved)) <= sum(map(is_doubted, parts))


@pytest.mark.parametrize(
    ("total", "weights", "least", "most", "parts"),
    (
        (10, (1, 1, 1), (0, 0, 0), None, [4, 3, 3]),
        (10, (3, 1, 1), (0, 0, 0), None, [6, 2, 2]),
        (
            10,
            (3, 1, 1),
            (0, 4, 0),
            None,
            [5, 4, 1],
        ),  # 4.5 and 1.5 remain: the first of equals is rounded up
        (10, (3, 1, 1), (0, 0, 0), (5, 9, 9), [5, 3, 2]),
        (0, (1, 1), (0, 0), None, [0, 0]),
        (737_000_000, (1,), (0,), None, [737_000_000]),
    ),
)
def test_shares_follow_the_weights(total, weights, least, most, parts):
    assert apportion(total, weights, least, most) == parts


@pytest.mark.parametrize(
    ("total", "least", "most"), ((3, (2, 2), (9, 9)), (9, (0, 0), (4, 4)), (5, (3, 0), (2, 9)))
)
def test_bounds_without_room_are_an_error(total, least, most):
    with pytest.raises(ValueError, match="cannot be divided"):
        apportion(total, (1, 1), least, most)


def test_two_doubted_numbers_help_each_other():
    assert undoubted([500, 1_000], [0, 0], [9_999, 9_999]) == [501, 999]


def test_a_doubted_number_that_stands_alone_stays():
    assert undoubted([500], [0], [9_999]) == [500]


def test_what_is_doubted_are_the_limits_that_archives_ship_with():
    from doorward.audit.count import _ROUND

    assert all(map(is_doubted, _ROUND))
    assert not any(map(is_doubted, (0, 127, 1_571, 30_484, 1_230_000)))
