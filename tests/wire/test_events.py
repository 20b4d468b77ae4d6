import pytest

from doorward.wire.command import CEchoRequest
from doorward.wire.events import Aborted, Closed, CommandReceived, DataFragment, Released

ECHO = CEchoRequest(message_id=1, affected_sop_class_uid="1.2.840.10008.1.1")


def test_events_are_values():
    assert CommandReceived(1, ECHO) == CommandReceived(1, ECHO)
    assert CommandReceived(1, ECHO) != CommandReceived(3, ECHO)
    assert DataFragment(1, b"x", True) != DataFragment(1, b"x", False)
    assert Released() == Released()
    assert Released() != Closed()


def test_a_fragment_may_be_a_view():
    assert DataFragment(1, memoryview(b"abc")[1:], True) == DataFragment(1, b"bc", True)


def test_the_end_is_plain_unless_something_is_said():
    assert Closed() == Closed(timed_out=False)
    assert Aborted(True, 0, 0) == Aborted(True, 0, 0, violation="", prefix=b"")


@pytest.mark.parametrize("event", (CommandReceived(1, ECHO), DataFragment(1, b"x", True), Closed()))
def test_the_many_events_of_a_busy_association_carry_no_dictionary(event):
    assert not hasattr(event, "__dict__")


def test_an_event_is_taken_apart_by_position():
    match Aborted(False, 2, 6, "why", b"HTTP"):
        case Aborted(by_peer, source, reason):
            assert (by_peer, source, reason) == (False, 2, 6)
