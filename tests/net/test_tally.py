"""Counters, the first reason, and the list of those that failed."""

import pytest

from doorward.dicom.attributes import read_attributes
from doorward.dicom.part10 import syntax_of
from doorward.net.tally import FAILED_SOP_INSTANCE_UID_LIST, Tally

IMPLICIT, EXPLICIT, BIG = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2"
DEFLATED = "1.2.840.10008.1.2.1.99"


def named(tally, transfer_syntax):
    view = read_attributes(tally.identifier(transfer_syntax), syntax_of(transfer_syntax))
    return view[FAILED_SOP_INSTANCE_UID_LIST].values


@pytest.mark.parametrize(
    ("statuses", "failed", "final"),
    [
        ((), 0, 0x0000),
        ((0, 0), 0, 0x0000),
        ((0, 0xB000), 0, 0xB000),
        ((0,), 1, 0xB000),
        ((), 2, 0xA702),
    ],
)
def test_the_final_status_is_that_of_the_table(statuses, failed, final):
    """PS3.4 Tables C.4-2 and C.4-3."""
    tally = Tally(len(statuses) + failed, 10)
    assert all(tally.count(status) for status in statuses)
    tally.fail([f"1.2.{n}" for n in range(failed)], "why")

    assert tally.final_status() == final
    assert (tally.remaining, tally.done, tally.failed) == (0, len(statuses) + failed, failed)


def test_a_failure_is_not_counted_before_it_has_a_reason():
    tally = Tally(3, 10)

    assert not tally.count(0xA700)
    assert (tally.done, tally.remaining, tally.reason) == (0, 3, "")
    tally.fail(["1.2.1"], "the first")
    tally.fail(["1.2.2"], "the second")
    assert (tally.failed, tally.remaining, tally.reason) == (2, 1, "the first")


@pytest.mark.parametrize("transfer_syntax", [IMPLICIT, EXPLICIT, BIG])
def test_those_that_failed_are_named(transfer_syntax):
    tally = Tally(3, 10)
    assert tally.identifier(transfer_syntax) is None
    tally.fail(["1.2.1", "1.2.22"], "why")

    assert named(tally, transfer_syntax) == ("1.2.1", "1.2.22")
    assert len(tally.identifier(transfer_syntax)) % 2 == 0


def test_no_more_are_named_than_may_be_and_the_longest_list_fits_its_length_of_16_bits():
    tally = Tally(5_000, 1_000)
    tally.fail((f"{n:064d}" for n in range(5_000)), "why")

    assert tally.failed == 5_000
    assert len(named(tally, EXPLICIT)) == 1_000


def test_nothing_is_named_in_a_context_that_would_have_it_deflated():
    tally = Tally(1, 10)
    tally.fail(["1.2.1"], "why")

    assert tally.identifier(DEFLATED) is None
