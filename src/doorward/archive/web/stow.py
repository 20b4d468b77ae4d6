"""STOW-RS: POST /studies and /studies/{study} (PS3.18 section 10.5), through the same ``Ingest`` as C-STORE.

Theory of operation. The body is read as it comes: bytes become parts (``web.multipart``), each part is a DICOM file that goes
piece by piece to ``part10_arrival``. Nothing of it is held beyond a few blocks. While one instance is being made durable the
next ones come in, so that they share their syncs; no more than ``stow_at_a_time`` of them, then the sender has to wait.

A part that is no DICOM file, or is refused, is passed over and the next one goes on. Where the parts themselves cannot be told
apart any more, the connection ends, or a bound is reached, what came whole before stays, is in the journal, and is named in
the answer where there is still somebody to read it; sent again it is the same instance.
"""

import asyncio
import re
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from doorward.archive.archive import Archive
from doorward.archive.ingest import Door, Taken
from doorward.archive.part10_arrival import take_file
from doorward.archive.web.caller import caller_of
from doorward.archive.web.refusals import refusal
from doorward.archive.web.stow_answer import Stowed, answer_to
from doorward.archive.web.stow_body import AS_IT_IS, DICOM, MULTIPART, Part, Source, source_of
from doorward.errors import DoorwardError, LimitExceeded, PeerProtocolError
from doorward.limits import Limits
from doorward.web.multipart import parse_media_type

_UID = re.compile(r"[0-9.]{1,64}")
_NOT_SUPPORTED = f'send {MULTIPART}; type="{DICOM}", or one file as {DICOM}; nothing else is taken'


def routes(archive: Archive) -> list[Route]:
    """Return the routes of the Store transaction, to be mounted at the service's root."""

    async def store(request: Request) -> Response:
        return await _answer(archive, request)

    return [
        Route("/studies", store, methods=["POST"]),
        Route("/studies/{study}", store, methods=["POST"]),
    ]


async def _answer(archive: Archive, request: Request) -> Response:
    study_uid = request.path_params.get("study", "")
    if study_uid and not _UID.fullmatch(study_uid):
        return refusal(400, "the study in the path is no UID")
    try:
        source = source_of(request, archive.limits)
    except PeerProtocolError as error:
        return refusal(400, error.message)
    except LimitExceeded as error:
        return refusal(
            413 if error.limit == "stow_bytes" else 400, f"more than {error.limit} allows"
        )
    if source is None:
        return refusal(415, _NOT_SUPPORTED)
    storing = _Storing(archive, _door(archive, request), study_uid)
    try:
        async with asyncio.timeout(archive.limits.stow_s):
            await storing.receive(source)
    except TimeoutError:
        bound = archive.limits.stow_s
        source.fault = LimitExceeded(limit="stow_s", value=int(bound), seen=int(bound))
    if source.is_gone or (not storing.taken and source.fault is None):
        return refusal(400, "the request holds no whole instance")
    taken = [one for one in storing.taken if one is not None]
    stowed = Stowed(taken=taken, fault=source.fault)
    return answer_to(stowed, _base_url(request), archive.limits)


def _door(archive: Archive, request: Request) -> Door:
    caller = caller_of(request)
    return Door(
        identity=caller.identity,
        rules=lambda: archive.settings.rules,
        now=archive.now,
        record=caller.record,
    )


def _base_url(request: Request) -> str:
    parts = urlsplit(str(request.url))
    return f"{parts.scheme}://{parts.netloc}{parts.path[: parts.path.rindex('/studies')]}"


class _Storing:
    """One request being stored; ``taken`` has a place for each part, None while it is on its way."""

    def __init__(self, archive: Archive, door: Door, study_uid: str) -> None:
        self.taken: list[Taken | None] = []
        self._ingest = archive.ingest
        self._door = door
        self._study_uid = study_uid
        self._slots = asyncio.Semaphore(archive.limits.stow_at_a_time)

    async def receive(self, source: Source) -> None:
        """Take part after part in; returns when all of them are durable or refused."""
        async with asyncio.TaskGroup() as group:
            while (part := await source.next_part()) is not None:
                await self._slots.acquire()
                self.taken.append(None)
                group.create_task(self._one(len(self.taken) - 1, part))
                await part.is_over.wait()

    async def _one(self, number: int, part: Part) -> None:
        self.taken[number] = await self._take(part)
        await part.pass_over()
        self._slots.release()

    async def _take(self, part: Part) -> Taken:
        fault = _unfit(part, self._ingest.limits)
        if fault is not None:
            return await self._ingest.failed(fault, self._door)
        return await take_file(self._ingest, part, self._door, study_uid=self._study_uid)


def _unfit(part: Part, limits: Limits) -> DoorwardError | None:
    """Return why a part cannot be a DICOM file, from its headers."""
    try:
        media_type = parse_media_type(part.headers.get("content-type", DICOM), limits)
    except (PeerProtocolError, LimitExceeded) as error:
        return error
    encodings = ("content-transfer-encoding", "content-encoding")
    is_encoded = any(part.headers.get(one, "").lower() not in AS_IT_IS for one in encodings)
    if media_type.name == DICOM and not is_encoded:
        return None
    return PeerProtocolError(
        "it is no application/dicom as it is", field="Content-Type", source="PS3.18 section 10.5.1"
    )
