"""Matches are handed over in the persona's manner."""

import asyncio

import pytest

from doorward.errors import AssociationAborted
from doorward.practice.manners import in_manner, one_by_one
from doorward.practice.personas import QueryManners


def matches(count: int):
    return ((0xFF00, bytes((number,))) for number in range(count))


def handed(count: int, **how: object):
    return list(in_manner(matches(count), QueryManners(**how)))


def test_plain_answer_passes_through_untouched():
    stream = matches(3)
    assert in_manner(stream, QueryManners()) is stream


def test_answer_is_cut_only_where_there_is_more():
    assert handed(5, at_most=3, at_most_status=0xFE00)[3:] == [(0xFE00, None)]
    assert len(handed(3, at_most=3, at_most_status=0xFE00)) == 3
    assert handed(1, at_most=0) == [(0x0000, None)]


def test_answer_ends_with_the_status_of_the_persona():
    assert handed(2, final_status=0xB000)[-1] == (0xB000, None)
    assert handed(0, final_status=0xB000) == [(0xB000, None)]


def test_answer_breaks_off_after_so_many():
    stream = in_manner(matches(5), QueryManners(aborts_after=2))
    assert [next(stream)[1], next(stream)[1]] == [b"\0", b"\1"]
    with pytest.raises(AssociationAborted):
        next(stream)
    assert len(handed(2, aborts_after=2)) == 2


def test_slow_answer_is_whole():
    async def all_of_it():
        return [match async for match in one_by_one(matches(3), 0.0)]

    assert asyncio.run(all_of_it()) == list(matches(3))
