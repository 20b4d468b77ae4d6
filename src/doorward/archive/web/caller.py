"""Who sent a request, as the door (``door``) has found out; every handler takes it from here."""

from collections.abc import Callable
from dataclasses import dataclass

from starlette.requests import Request

from doorward.access.identity import Identity
from doorward.access.journal.record import Entry

#: Where the door puts it in the scope of a request.
SCOPE_KEY = "doorward.caller"


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who sent a request. ``identity`` is asked anew at each use: None once it was revoked."""

    identity: Callable[[], Identity | None]
    #: The address is filled in; a handler completes it with ``dataclasses.replace``.
    record: Entry
    #: False on the paths of the login and of health, which ask for nobody.
    was_known: bool = True


def caller_of(request: Request) -> Caller:
    """Return who sent the request; the door lets no request through to a handler without one."""
    caller = request.scope[SCOPE_KEY]
    assert isinstance(caller, Caller)
    return caller
