"""WADO-RS: studies, series and instances as DICOM files, and all further routes of retrieval (PS3.18 section 10.4).

Theory of operation. What the path names goes through ``Giving`` as a C-GET does: policy, allowance of the hour and journal
come before the first byte. A blob is a complete file and is sent as it lies, in pieces of ``web_piece_bytes``, small files
together in one; its digest is the ETag of the instance. What fails on the way breaks the connection off, so that nobody
takes a part for the whole.

An instance is given in the transfer syntax in which it came wherever the client accepts that. A range without a transfer
syntax asks for explicit VR little endian (PS3.18 section 8.7.3): what is held in another one is written anew then, unless it
may be lossy or cannot be decoded here. Implicit VR and big endian are given to those only who accept any (``*``). URI-style
WADO (section 9) is not supported.
"""

import asyncio
import hashlib
import secrets
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from doorward.access.identity import Operation
from doorward.access.journal.record import Event
from doorward.access.journal.record import Outcome as Ending
from doorward.access.journal.record import Record as Journalled
from doorward.archive.archive import Archive
from doorward.archive.giving import Given, Refusal, Why
from doorward.archive.index.entry import HeldInstance
from doorward.archive.retrieval import Rewriter, StoredInstance
from doorward.archive.web import frames, metadata
from doorward.archive.web.answering import (
    INSTANCE,
    SERIES,
    STUDY,
    accepted,
    base_of,
    has_already,
    head_of,
    instance_url,
    refused,
    streamed,
    wanted_by,
)
from doorward.archive.web.caller import caller_of
from doorward.archive.web.refusals import refusal
from doorward.dicom.part10 import write_file_meta
from doorward.errors import ImageError, LimitExceeded, PeerProtocolError, StorageError
from doorward.net.begun import Source
from doorward.net.client import IMPLEMENTATION_CLASS_UID
from doorward.web.accept import DICOM, Form, MediaRange, select
from doorward.web.multipart_writer import MultipartWriter
from doorward.wire.uids import EXPLICIT_VR_LITTLE_ENDIAN

#: Decoding them gains nothing and costs room: "only access to lossy compressed form" (PS3.18 section 8.7.3.3).
_PERHAPS_LOSSY = frozenset(f"1.2.840.10008.1.2.4.{n}" for n in (50, 51, 81, 91, 93, 203))
#: Implicit VR little endian and explicit VR big endian "shall not be used" (PS3.18 section 8.7.3).
_NOT_FOR_THE_WEB = frozenset({"1.2.840.10008.1.2", "1.2.840.10008.1.2.2"})


def routes(archive: Archive) -> list[Route]:
    """Return the routes of the Retrieve transaction, to be mounted at the service's root."""

    async def files(request: Request) -> Response:
        return await _files(archive, request)

    return [
        *(Route(path, files, methods=["GET"]) for path in (STUDY, SERIES, INSTANCE)),
        *metadata.routes(archive),
        *frames.routes(archive),
    ]


@dataclass(frozen=True, slots=True)
class _Choice:
    """What the client accepts of what it asked for, found out before anything leaves."""

    request: Request
    ranges: Sequence[MediaRange]
    rewriter: Rewriter | None
    #: Transfer syntax -> the form that was chosen: a study has many instances and few syntaxes.
    _forms: dict[str, Form | None] = field(default_factory=dict)

    @property
    def may_be_single(self) -> bool:
        """Only one instance can be sent without parts (PS3.18 section 10.4.4)."""
        return "instance" in self.request.path_params

    def check(self, held: Sequence[HeldInstance]) -> Refusal | None:
        """Return why nothing is sent: no form is accepted, or it is there already."""
        forms = [self.form(one) for one in held]
        if None in forms:
            syntaxes = sorted({one.transfer_syntax_uid for one in held})[:3]
            reason = f"held as {', '.join(syntaxes)}: accept transfer-syntax=*"
            return Refusal(why=Why.NOT_ACCEPTABLE, reason=reason)
        if has_already(self.request, self.etag(held)):
            return Refusal(why=Why.UNCHANGED, reason="unchanged")
        return None

    def form(self, held: HeldInstance) -> Form | None:
        """Return the form in which one is sent, None where none is accepted."""
        syntax = held.transfer_syntax_uid
        if syntax not in self._forms:
            self._forms[syntax] = self._choose(held)
        return self._forms[syntax]

    def _choose(self, held: HeldInstance) -> Form | None:
        own, explicit = held.transfer_syntax_uid, EXPLICIT_VR_LITTLE_ENDIAN
        written = [] if self.rewriter is None else [*self.rewriter.others(held)]
        is_anew = explicit in written and own not in _PERHAPS_LOSSY
        syntaxes = [own, *(one for one in written if one not in _NOT_FOR_THE_WEB)]
        parted = [
            Form(
                media_type=DICOM,
                is_multipart=True,
                transfer_syntax=one,
                is_default=one == (explicit if is_anew else own),
            )
            for one in syntaxes
        ]
        singles = [replace(one, is_multipart=False) for one in parted]
        return select(self.ranges, [*parted, *singles] if self.may_be_single else parted)

    def etag(self, held: Sequence[HeldInstance]) -> str:
        """Return what changes when the content does; weak where boundaries differ (RFC 9110 section 8.8.3)."""
        digests = [one.digest for one in held]
        if self.may_be_single and len(held) == 1:
            form = self.form(held[0])
            is_same = (
                form is not None
                and not form.is_multipart
                and form.transfer_syntax == held[0].transfer_syntax_uid
            )
            return f'{"" if is_same else "W/"}"{digests[0]}"'
        return f'W/"{hashlib.sha256("".join(sorted(digests)).encode()).hexdigest()}"'


async def _files(archive: Archive, request: Request) -> Response:
    caller = caller_of(request)
    choice = _Choice(request, accepted(request, archive.limits), archive.giving.rewriter)
    record = replace(caller.record, event=Event.TRANSFER_BEGUN, operation=Operation.RETRIEVE)
    given = await archive.giving.choose(
        wanted_by(request),
        record,
        caller.identity(),
        archive.settings.rules,
        archive.now(),
        leaves=request.method != "HEAD",
        check=choice.check,
    )
    if isinstance(given, Refusal):
        return refused(given)
    if not given.instances:
        return refusal(404, "There is nothing here")
    held = [one.held for one in given.instances]
    forms = [form for form in map(choice.form, held) if form is not None]
    sending = _Sending(archive, base_of(request), given, forms)
    if forms[0].is_multipart:
        writer = MultipartWriter(DICOM, secrets.token_hex(16))
        heads, end, media_type = sending.heads(writer), writer.end, writer.content_type
    else:
        heads, end, media_type = [b""], b"", part_type(forms[0])
    length = sending.length(heads, end)
    etag = choice.etag(held)
    if request.method == "HEAD":
        return Response(media_type=media_type, headers=head_of(etag=etag, length=length))
    try:
        return await streamed(sending.pieces(heads, end), media_type, etag=etag, length=length)
    except (ImageError, PeerProtocolError):
        return refusal(406, "its pixels cannot be decoded: accept transfer-syntax=*")


def part_type(form: Form) -> str:
    """Return the Content-Type of one file (PS3.18 section 8.7.3.5.2)."""
    return f"{DICOM}; transfer-syntax={form.transfer_syntax}"


@dataclass(slots=True)
class _Sending:
    """Files on their way out, and the record of what has left."""

    archive: Archive
    base: str
    given: Given
    forms: Sequence[Form]
    completed: int = 0

    def heads(self, writer: MultipartWriter) -> list[bytes]:
        """Return what stands before each file."""
        return [
            writer.head(
                part_type(form),
                location=instance_url(self.base, one.held),
                length=_size_of(one.held, form),
                first=number == 0,
            )
            for number, (one, form) in enumerate(self._pairs())
        ]

    def length(self, heads: Sequence[bytes], end: bytes) -> int | None:
        """Return how many bytes all of it has; None where something is written anew."""
        sizes = [_size_of(one.held, form) for one, form in self._pairs()]
        known = [size for size in sizes if size is not None]
        if len(known) < len(sizes):
            return None
        return sum(known) + sum(map(len, heads)) + len(end)

    def _pairs(self) -> list[tuple[StoredInstance, Form]]:
        return list(zip(self.given.instances, self.forms, strict=True))

    async def pieces(self, heads: Sequence[bytes], end: bytes) -> AsyncGenerator[bytes, None]:
        """Yield every file behind its head, and what stands at the end. Raises StorageError, ImageError."""
        # Heads and small files by themselves would be small writes, and small writes are slow.
        held: list[bytes] = []
        size, most = 0, self.archive.limits.web_piece_bytes
        try:
            for number, ((one, form), head) in enumerate(zip(self._pairs(), heads, strict=True)):
                held.append(head)
                async with aclosing(self._file(one, form)) as file:
                    async for piece in file:
                        held.append(piece)
                        size += len(piece)
                        if size >= most:
                            yield b"".join(held)
                            held, size, self.completed = [], 0, number
            yield b"".join([*held, end])
            self.completed = len(heads)
        finally:
            self._ended()

    async def _file(self, one: StoredInstance, form: Form) -> AsyncGenerator[bytes, None]:
        """Yield one file: as it lies, or written anew."""
        written = None
        if form.transfer_syntax != one.transfer_syntax_uid:
            written = one.written_in((form.transfer_syntax,))
        if written is not None:
            async for piece in _anew(one, form, written):
                yield piece
            return
        async with self.archive.blobs.open_blob(one.held.digest) as reader:
            one.begun()
            size, most = reader.size_bytes, self.archive.limits.web_piece_bytes
            self._check(one.held, size)
            for offset in range(0, size, most):
                yield await reader.read(offset, min(most, size - offset))

    def _check(self, held: HeldInstance, size_bytes: int) -> None:
        if size_bytes != held.size_bytes:
            raise StorageError(
                "a blob has another size than the index says",
                operation="read",
                path=Path(self.archive.blobs.shelf.path_of(held.digest)),
                kind="damaged",
                hint="Run verify: it names what is damaged.",
            )

    def _ended(self) -> None:
        """Record what has left, whole files only."""
        count = len(self.given.instances)
        failed = count - self.completed
        record = replace(
            self.given.record,
            event=Event.RETRIEVE,
            outcome=Ending.FAILED if failed else Ending.SUCCESS,
            instances=self.completed,
            reason=f"{failed} failed" if failed else "",
        )
        try:
            self.archive.journal.submit(record).add_done_callback(_look_at)
        except (StorageError, LimitExceeded):
            return  # whoever asks next fails for the same reason, and is told


async def _anew(one: StoredInstance, form: Form, written: Source) -> AsyncIterator[bytes]:
    """Yield a file in another transfer syntax."""
    meta = write_file_meta(
        transfer_syntax_uid=form.transfer_syntax,
        media_storage_sop_class_uid=one.sop_class_uid,
        media_storage_sop_instance_uid=one.sop_instance_uid,
        implementation_class_uid=IMPLEMENTATION_CLASS_UID,
    )
    async for piece in written.pieces():
        yield meta + piece
        meta = b""


def _size_of(held: HeldInstance, form: Form) -> int | None:
    return held.size_bytes if form.transfer_syntax == held.transfer_syntax_uid else None


def _look_at(written: "asyncio.Future[Journalled]") -> None:
    """Take note of how it ended, so that nobody warns of an error that was not looked at."""
    if not written.cancelled():
        written.exception()
