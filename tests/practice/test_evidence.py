"""What a log proves: each function on a few lines whose truth can be seen."""

import json
from collections.abc import Iterator

import pytest

from doorward.errors import ConfigError
from doorward.practice.evidence import (
    By,
    Event,
    connections,
    events,
    fastest_second,
    most_associations_open,
    most_connections_open,
    network_of,
    open_hours,
    questions,
    repeated,
    without_release,
)


def lines(*rows: tuple[float, str, str, int] | tuple[float, str, str, int, dict]) -> Iterator[str]:
    """Rows of time, event, address, number and details."""
    for t, event, address, number, *details in rows:
        line = {"t": t, "wall": t + 1_000, "event": event, "address": address, "port": 104}
        line |= {"peer": "127.0.0.1", "peer_port": 1, "door": "dicom", "number": number}
        yield json.dumps(line | (details[0] if details else {})) + "\n"


def told(*rows) -> list[Event]:
    return list(events(lines(*rows)))


A, B, C = "127.16.0.10", "127.16.0.11", "127.16.1.10"
#: A and B overlap, and A is called again after it was closed; C has its second caller before the first is gone.
OVERLAPS = told(
    (0.0, "connected", A, 1),
    (0.1, "associated", A, 1),
    (0.2, "connected", B, 2),
    (0.3, "associated", B, 2),
    (0.4, "released", A, 1),
    (0.5, "closed", A, 1),
    (0.6, "connected", A, 3),
    (0.7, "associated", A, 3),
    (0.8, "aborted", A, 3),
    (0.9, "closed", A, 3),
    (5.0, "connected", C, 4),
    (5.1, "connected", C, 5),
    (5.2, "associated", C, 4),
    (5.3, "rejected", C, 5),
    (5.4, "closed", C, 5),
)


def test_most_connections_that_were_open_at_one_time():
    assert most_connections_open(OVERLAPS, By.ADDRESS) == {A: 1, B: 1, C: 2}
    assert most_connections_open(OVERLAPS, By.NETWORK) == {"127.16.0.0/24": 2, "127.16.1.0/24": 2}
    assert most_connections_open(OVERLAPS, By.ALL) == {"all": 3}  # B was never closed


def test_most_associations_that_were_open_at_one_time():
    assert most_associations_open(OVERLAPS, By.ADDRESS) == {A: 1, B: 1, C: 1}
    assert most_associations_open(OVERLAPS, By.NETWORK) == {"127.16.0.0/24": 2, "127.16.1.0/24": 1}


def test_associations_that_did_not_end_by_a_release():
    assert [event.connection for event in without_release(OVERLAPS)] == [
        ("dicom", 2),
        ("dicom", 3),
        ("dicom", 4),
    ]


def test_connections_are_counted():
    assert connections(OVERLAPS, By.ADDRESS) == {A: 2, B: 1, C: 2}


def test_fastest_second_slides():
    found = told(*((t, "connected", A, n) for n, t in enumerate((0.0, 0.8, 0.9, 1.1, 1.85, 3.0))))
    assert fastest_second(found, By.ALL) == {"all": 3}  # 0.8, 0.9, 1.1; and 0.9, 1.1, 1.85
    assert fastest_second(found, By.NETWORK) == {"127.16.0.0/24": 3}


def test_behind_tls_the_knock_is_the_connection():
    found = told(
        (0.0, "knocked", A, 0), (0.1, "connected", A, 1, {"tls": True}), (0.2, "knocked", A, 0)
    )
    assert connections(found, By.ALL) == {"all": 2}
    assert fastest_second(found, By.ALL) == {"all": 2}


def test_open_hours_are_wall_time():
    assert list(open_hours(OVERLAPS))[:2] == [(1_000.0, A), (1_000.2, B)]


STUDIES = {
    "model": "study",
    "level": "STUDY",
    "keys": ["00080052"],
    "valued": ["00080052"],
    "dates": "",
    "times": "",
}
DONE = {"matches": 5, "status": 0}


def test_questions_know_their_ends():
    found = told(
        (0.0, "find", A, 1, STUDIES),
        (0.1, "find", B, 2, STUDIES),
        (0.2, "find_done", A, 1, DONE),
        (0.3, "find", A, 1, STUDIES | {"dates": "2019-"}),
        (0.4, "find_done", A, 1, {"matches": 2, "status": 0xFE00}),
    )
    first, second = questions(found, A)
    assert (first.level, first.keys, first.matches, first.status) == ("STUDY", ("00080052",), 5, 0)
    assert first.was_answered
    assert (second.dates, second.matches, second.was_answered) == ("2019-", 2, False)
    (other,) = questions(found, B)
    assert (other.status, other.was_answered) == (None, False)
    assert len(questions(found)) == 3


def test_only_what_had_been_answered_is_a_repetition():
    asked = questions(
        told(
            (0.0, "find", A, 1, STUDIES),
            (0.1, "aborted", A, 1),
            (0.2, "find", A, 2, STUDIES),
            (0.3, "find_done", A, 2, DONE),
            (0.4, "find", A, 3, STUDIES | {"level": "PATIENT"}),
            (0.5, "find_done", A, 3, DONE),
            (0.6, "find", B, 4, STUDIES),
            (0.7, "find_done", B, 4, DONE),
        )
    )
    assert repeated(asked) == ()
    (again,) = repeated((*asked, asked[1]))
    assert again is asked[1]


def test_last_line_of_a_killed_fleet_is_left_out():
    whole = list(lines((0.0, "connected", A, 1), (0.1, "closed", A, 1)))
    assert len(list(events([whole[0], whole[1][:-9]]))) == 1


@pytest.mark.parametrize("line", ("{}\n", "7\n", "no json\n", '{"t": 1}\n'))
def test_what_is_no_log_is_refused_by_line(line):
    with pytest.raises(ConfigError) as refused:
        list(events([*lines((0.0, "connected", A, 1)), line]))
    assert refused.value.line == 2


@pytest.mark.parametrize(
    ("address", "network"), ((A, "127.16.0.0/24"), ("2001:db8:1:2::3", "2001:db8:1::/48"))
)
def test_networks_are_those_of_the_pace(address, network):
    assert network_of(address) == network
