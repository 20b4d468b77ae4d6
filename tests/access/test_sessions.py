"""Sessions: random, bounded in time and number, and gone when they are ended."""

from dataclasses import replace

import pytest

from doorward.access.sessions import Sessions
from doorward.limits import DEFAULT_LIMITS

LIMITS = replace(
    DEFAULT_LIMITS, sessions=5, sessions_per_person=3, session_idle_s=10.0, session_s=100.0
)


@pytest.fixture
def sessions() -> Sessions:
    return Sessions(limits=LIMITS)


def start(sessions: Sessions, name: str = "ada", now: float = 0.0) -> str:
    return sessions.start(name, how="password and code", mark="m", now=now)


def test_session_is_found_by_its_id_alone(sessions: Sessions) -> None:
    text = start(sessions)
    found = sessions.find(text, now=1.0)
    assert found is not None
    assert (found.name, found.mark) == ("ada", "m")
    for wrong in ("", text[:-1], text + "x", text.swapcase(), "x" * 43):
        assert sessions.find(wrong, now=1.0) is None


def test_ids_are_long_and_never_the_same(sessions: Sessions) -> None:
    texts = {start(sessions) for _ in range(50)}
    assert len(texts) == 50
    assert {len(text) for text in texts} == {43}  # 256 bits


def test_id_itself_is_kept_nowhere(sessions: Sessions) -> None:
    text = start(sessions)
    assert text.encode() not in b"".join(sessions._rows)
    assert text not in repr(vars(sessions))


def test_use_keeps_a_session_alive_up_to_its_absolute_end(sessions: Sessions) -> None:
    text = start(sessions)
    assert all(sessions.find(text, now=float(now)) for now in range(0, 100, 9))
    assert sessions.find(text, now=100.0) is None
    assert len(sessions) == 0


def test_idle_session_ends(sessions: Sessions) -> None:
    text = start(sessions)
    assert sessions.find(text, now=9.9) is not None
    assert sessions.find(text, now=20.0) is None
    assert sessions.find(text, now=20.0) is None


def test_look_that_is_no_use_keeps_nothing_alive(sessions: Sessions) -> None:
    text = start(sessions)
    assert sessions.find(text, now=9.0, is_use=False) is not None
    assert sessions.find(text, now=10.0) is None


def test_ended_session_is_gone_and_the_others_are_not(sessions: Sessions) -> None:
    first, second = start(sessions), start(sessions)
    sessions.end(first)
    sessions.end("nonsense")
    assert sessions.find(first, now=1.0) is None
    assert sessions.find(second, now=1.0) is not None


def test_all_sessions_of_a_name_end_together(sessions: Sessions) -> None:
    texts = [start(sessions), start(sessions)]
    other = start(sessions, "eve")
    sessions.end_all("ada")
    assert [sessions.find(text, now=1.0) for text in texts] == [None, None]
    assert sessions.find(other, now=1.0) is not None


def test_oldest_session_of_a_person_makes_room(sessions: Sessions) -> None:
    texts = [start(sessions, now=float(now)) for now in range(4)]
    found = [sessions.find(text, now=5.0) is not None for text in texts]
    assert found == [False, True, True, True]


def test_session_that_is_idle_longest_makes_room_when_all_places_are_taken(
    sessions: Sessions,
) -> None:
    texts = [start(sessions, f"p{number}") for number in range(5)]
    sessions.find(texts[0], now=1.0)
    start(sessions, "late", now=2.0)
    assert len(sessions) == 5
    found = [sessions.find(text, now=3.0) is not None for text in texts]
    assert found == [True, False, True, True, True]
