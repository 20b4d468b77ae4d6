"""The web application of an archive: its routes behind its door, and one form for whatever goes wrong."""

from collections.abc import Iterable

from starlette.exceptions import HTTPException
from starlette.middleware.exceptions import ExceptionMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Router
from starlette.types import ASGIApp, Receive, Scope, Send

from doorward.archive.archive import Archive
from doorward.archive.web import capabilities, health, login, qido, rendered, stow, wado
from doorward.archive.web.caller import caller_of
from doorward.archive.web.door import Door
from doorward.archive.web.refusals import refusal
from doorward.errors import (
    ConfigError,
    DoorwardError,
    LimitExceeded,
    PeerError,
    StorageError,
    StorageFull,
    UsageError,
)
from doorward.limits import DEFAULT_LIMITS
from doorward.net.asgi import guarded

DICOM_WEB = "/dicom-web"
_BUSY_S = 2  # by then something has been sent, and is held no more
_DICOM_WEB_PARTS = (capabilities, qido, wado, stow, rendered)


def make_app(archive: Archive, *, door: Door, extra_routes: Iterable[BaseRoute] = ()) -> ASGIApp:
    """Return the application of an archive behind its door; ``extra_routes`` are asked before its own."""
    router = Router([*extra_routes, *routes(archive, door)], redirect_slashes=False)

    async def http(request: Request, error: Exception) -> Response:
        door.failed(caller_of(request))
        return await _http(request, error)

    async def ours(request: Request, error: Exception) -> Response:
        door.failed(caller_of(request))
        return await _ours(request, error)

    handled = ExceptionMiddleware(router, {HTTPException: http, DoorwardError: ours})

    async def told(scope: Scope, receive: Receive, send: Send) -> None:
        # Where it is set, Starlette raises what it would otherwise answer in its own words.
        scope["app"] = handled
        await handled(scope, receive, send)

    # Whoever asked may go away: nobody is to blame, and a stranger must not fill the log.
    return door.before(guarded(told, unless=(ClientDisconnect,)))


def routes(archive: Archive, door: Door) -> list[BaseRoute]:
    """Return every route of an archive: what a crawl of all of them goes by."""
    dicom_web = [route for part in _DICOM_WEB_PARTS for route in part.routes(archive)]
    return [*login.routes(door), *health.routes(archive), Mount(DICOM_WEB, routes=dicom_web)]


async def _http(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    words = {404: "There is nothing here", 405: "This method is not for this path"}
    answer = refusal(error.status_code, words.get(error.status_code, "This cannot be answered"))
    for name, value in (error.headers or {}).items():
        answer.headers[name] = value
    return answer


async def _ours(_: Request, error: Exception) -> Response:
    """Say whose fault it is; where our disk has failed, no more than that."""
    match error:
        case StorageFull():
            # No transaction of PS3.18 that we know names 507; 503 says "for now" (RFC 9110 section 15.6.4), and when.
            wait_s = round(DEFAULT_LIMITS.web_unstored_retry_s)
            return refusal(503, "No room is left", retry_after_s=wait_s)
        case StorageError():
            return refusal(503, "The storage has failed")
        case LimitExceeded(limit="images_inflated_bytes"):
            return refusal(503, "Too much is being inflated at once", retry_after_s=_BUSY_S)
        case LimitExceeded():
            return refusal(413, f"More than {error.limit} allows")
        case ConfigError() | UsageError() | PeerError():
            return refusal(400, error.message)
        case _:
            return refusal(502, "Another system could not be reached")
