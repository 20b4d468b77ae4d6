"""Storage and its kin are judged by negotiation."""

import pytest

from doorward.audit.checks.store import other_services_open, store_open
from doorward.audit.facts import Outcome
from doorward.audit.verdict import Severity, Verdict
from seen import (
    ANYBODY,
    CALLER_LIST,
    MUTUAL,
    NOW,
    OFFERS_ALL,
    OFFERS_NOTHING,
    REFUSED_BY_ABORT,
    door,
    offers,
)


@pytest.mark.parametrize(
    ("seen", "verdict"),
    [
        (door(ANYBODY, OFFERS_ALL), Verdict.FAIL),
        (door(ANYBODY, OFFERS_ALL, REFUSED_BY_ABORT), Verdict.FAIL),
        (door(ANYBODY, OFFERS_NOTHING), Verdict.PASS),
        (door(CALLER_LIST), Verdict.PASS),
        (door(MUTUAL), Verdict.PASS),
        (door(ANYBODY, capabilities=Outcome.ERROR), Verdict.ERROR),
        (door(ANYBODY), Verdict.NOT_TESTED),
    ],
)
def test_storage_is_open_where_a_stranger_may_negotiate_it(seen, verdict):
    assert store_open(seen, NOW).verdict is verdict


def test_a_server_that_decides_late_gets_the_doubt_in_words():
    sure = store_open(door(ANYBODY, OFFERS_ALL), NOW).evidence
    doubted = store_open(door(ANYBODY, OFFERS_ALL, REFUSED_BY_ABORT), NOW).evidence
    assert "nothing was stored" in sure
    assert "may refuse objects in the same way" not in sure
    assert "may refuse objects in the same way" in doubted


@pytest.mark.parametrize(
    ("seen", "verdict", "severity"),
    [
        (door(ANYBODY, offers("mpps", refused=["print"])), Verdict.FAIL, None),
        (door(ANYBODY, offers("commitment")), Verdict.FAIL, None),
        (door(ANYBODY, OFFERS_ALL, REFUSED_BY_ABORT), Verdict.FAIL, Severity.LOW),
        (door(ANYBODY, OFFERS_NOTHING), Verdict.PASS, None),
        (door(MUTUAL), Verdict.PASS, None),
    ],
)
def test_other_services_are_open_where_one_of_them_is(seen, verdict, severity):
    ruling = other_services_open(seen, NOW)
    assert (ruling.verdict, ruling.severity) == (verdict, severity)
