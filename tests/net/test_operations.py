import asyncio

import pytest

from doorward.net.operations import Find, Single
from doorward.wire.command import CEchoResponse, CFindResponse, CStoreResponse
from loopback import in_loop, limits

PENDING = CFindResponse(message_id_being_responded_to=1, status=0xFF00, has_data_set=True)
UNMATCHED_KEYS = CFindResponse(message_id_being_responded_to=1, status=0xFF01, has_data_set=True)
BARE = CFindResponse(message_id_being_responded_to=1, status=0xFF00)
FINAL = CFindResponse(message_id_being_responded_to=1, status=0)
FAILED = CFindResponse(message_id_being_responded_to=1, status=0xC000)


class Searching:
    """A C-FIND in progress, what it handed on, and how often it cancelled."""

    def __init__(self, most=100, **bounds):
        self.seen, self.cancels = [], 0
        self.find = Find(
            lambda status, one: self.seen.append((status, bytes(one))),
            most,
            limits(**bounds),
            cancel=self.cancel,
        )

    def cancel(self):
        self.cancels += 1

    def give(self, command, *fragments):
        self.find.command(3, command)
        for number, fragment in enumerate(fragments, 1):
            self.find.fragment(fragment, number == len(fragments))


def test_both_pending_statuses_are_matches():
    search = Searching()
    search.give(PENDING, b"one")
    search.give(UNMATCHED_KEYS, b"two")
    assert search.seen == [(0xFF00, b"one"), (0xFF01, b"two")]
    assert search.find.matches == 2
    assert not search.find.is_done


def test_a_match_without_an_identifier_counts():
    search = Searching()
    search.give(BARE)
    assert search.seen == [(0xFF00, b"")]


def test_pieces_are_joined_and_nothing_of_one_match_reaches_the_next():
    search = Searching()
    search.give(PENDING, b"a", b"b", b"c")
    search.give(PENDING, b"d")
    search.give(PENDING, b"e", b"")
    assert [one for _, one in search.seen] == [b"abc", b"d", b"e"]


def test_pieces_that_are_too_many_are_dropped_however_small():
    search = Searching(identifier_bytes=10)
    search.give(PENDING, b"12345", b"6789", b"0")
    search.give(PENDING, *[b""] * 11, b"x")
    search.give(PENDING, b"12345", b"678")
    assert [one for _, one in search.seen] == [b"", b"", b"12345678"]


@in_loop
@pytest.mark.parametrize("give", ((PENDING, b"x"), (PENDING, b"x", b"y"), (BARE,)))
async def test_the_cap_cancels_once_and_nothing_is_counted_after_it(give):
    search = Searching(most=2)
    for _ in range(5):
        search.give(*give)
    assert (search.find.matches, search.cancels, len(search.seen)) == (2, 1, 2)
    assert search.find.cancelled_at <= asyncio.get_running_loop().time()
    search.give(FINAL)
    assert search.find.is_done


@in_loop
async def test_a_cancel_in_the_middle_of_an_identifier_forgets_it():
    search = Searching()
    search.find.command(3, PENDING)
    search.find.fragment(b"half", False)
    search.find.stop()
    search.find.fragment(b"rest", True)
    assert search.seen == []


def test_the_first_final_status_counts_and_nothing_after_it():
    search = Searching()
    search.give(FAILED)
    search.give(FINAL, b"with a data set")
    search.give(PENDING, b"late")
    assert (search.find.final_status, search.find.matches, search.seen) == (0xC000, 0, [])


def test_responses_of_other_operations_are_not_taken():
    search = Searching()
    search.give(CStoreResponse(message_id_being_responded_to=1, status=0))
    assert not search.find.is_done
    echo = Single(CEchoResponse)
    echo.command(1, FINAL)
    assert (echo.is_done, echo.status) == (False, -1)
    echo.command(1, CEchoResponse(message_id_being_responded_to=1, status=0x0122))
    echo.command(1, CEchoResponse(message_id_being_responded_to=1, status=0))
    echo.fragment(b"dropped", True)
    assert (echo.is_done, echo.status) == (True, 0x0122)
