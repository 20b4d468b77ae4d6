"""Whether the archive lives and is ready: one word, for whoever watches the machine.

The door lets this machine ask without an identity, everybody else only with one.
"""

import asyncio

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from doorward.archive.archive import Archive
from doorward.errors import DoorwardError


def routes(archive: Archive) -> list[Route]:
    """Return the two routes."""

    async def live(request: Request) -> JSONResponse:  # noqa: ARG001 - the same for everybody
        return JSONResponse({"status": "ok"})

    async def ready(request: Request) -> JSONResponse:  # noqa: ARG001
        is_ready = await _is_ready(archive)
        status = "ok" if is_ready else "not ok"
        return JSONResponse({"status": status}, status_code=200 if is_ready else 503)

    return [
        Route("/health/live", live, methods=["GET"]),
        Route("/health/ready", ready, methods=["GET"]),
    ]


async def _is_ready(archive: Archive) -> bool:
    """Tell whether the index answers in time: without it nothing can be stored or found."""
    try:
        async with asyncio.timeout(archive.limits.web_ready_s):
            await archive.index.studies_with("1.2.840.10008.1.1")
    except (DoorwardError, TimeoutError):
        return False
    return True
