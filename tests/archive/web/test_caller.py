"""The caller, as a handler gets it from the door."""

import pytest
from starlette.requests import Request

from doorward.access.identity import How, Person, Role
from doorward.access.journal.record import Entry, Event
from doorward.archive.web.caller import SCOPE_KEY, Caller, caller_of


def test_handler_gets_the_caller_that_the_door_has_put_there() -> None:
    ada = Person(name="ada", role=Role.READER).identity(How.PASSWORD)
    caller = Caller(identity=lambda: ada, record=Entry(event=Event.QUERY, peer="192.0.2.1"))
    assert caller_of(Request({"type": "http", SCOPE_KEY: caller})) is caller


def test_without_a_door_there_is_no_caller() -> None:
    with pytest.raises(KeyError):
        caller_of(Request({"type": "http"}))
