"""GET /metrics: the figures of the archive, for whoever may read the journal or administer, and for nobody else.

How much a clinic examines, and when, is nobody's business: there is no port without an identity, also not on this machine.
Prometheus shows the token of a service with the role auditor (docs/archive-watching.md). Refusals are recorded; that somebody
who may has looked is not, since there is nothing about anybody in it and it is done every few seconds.
"""

import time
from collections.abc import Awaitable, Callable
from dataclasses import replace

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from doorward.access.identity import Operation, Subject
from doorward.access.journal.record import Event, Outcome
from doorward.access.policy import decide
from doorward.archive.archive import Archive
from doorward.archive.noting import Noting
from doorward.archive.web.caller import caller_of
from doorward.archive.web.refusals import refusal

PATH = "/metrics"
_MAY = (Operation.READ_JOURNAL, Operation.ADMINISTER)


def routes(
    archive: Archive, text: Callable[[], Awaitable[bytes]], content_type: str
) -> list[Route]:
    """Return the route; ``text`` makes what it answers."""
    noting = Noting(archive.journal, clock=time.monotonic, limits=archive.limits)

    async def metrics(request: Request) -> Response:
        caller = caller_of(request)
        identity, rules = caller.identity(), archive.settings.rules
        decisions = [decide(identity, one, Subject(), rules, archive.now()) for one in _MAY]
        if not any(one.is_allowed for one in decisions):
            record = replace(caller.record, event=Event.REFUSAL, outcome=Outcome.REFUSED)
            said = decisions[0]
            record = replace(record, operation=_MAY[0], reason=said.reason, rule=said.rule)
            noting.refusal(record.by(identity))
            return refusal(403, said.reason)
        return Response(await text(), headers={"content-type": content_type})

    return [Route(PATH, metrics, methods=["GET"])]


def counted(app: ASGIApp, answered: Callable[[str, int], None]) -> ASGIApp:
    """Return the application; ``answered`` hears method and status of each answer that begins."""

    async def run(scope: Scope, receive: Receive, send: Send) -> None:
        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                answered(str(scope["method"]), int(message["status"]))
            await send(message)

        await app(scope, receive, sending)

    return run
