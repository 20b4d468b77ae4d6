"""Metadata of studies, series and instances as DICOM JSON, and the values that they name by URI (PS3.18 section 10.4.1.1).

Theory of operation. Of each instance only what stands before its pixels is read; what a head holds is written as JSON while
it is walked over, and the pixels are a URI. Long values before the pixels are URIs too, which lead to /bulkdata/ and the path
of the element: a tag, or tag/item/tag inside sequences, items counted from 0. Elements behind the pixels are left out.
DICOM XML is not given (406).
"""

import hashlib
import re
from collections.abc import AsyncGenerator, Sequence

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from doorward.archive.archive import Archive
from doorward.archive.giving import Refusal
from doorward.archive.index.entry import HeldInstance
from doorward.archive.pixels.stored import Content, content_of, head_of
from doorward.archive.viewing import Kind, Look
from doorward.archive.web import answering
from doorward.archive.web.answering import (
    INSTANCE,
    SERIES,
    STUDY,
    accepted,
    base_of,
    has_already,
    instance_url,
    refused,
    streamed,
    wanted_by,
)
from doorward.archive.web.caller import caller_of
from doorward.archive.web.frames import pixel_octets
from doorward.archive.web.octets import (
    VALUE_FORMS,
    Answer,
    Octets,
    pixel_forms,
    send,
    word_bytes_of,
)
from doorward.archive.web.refusals import refusal
from doorward.dicom.json_model import BulkData, encode_data_set
from doorward.dicom.walk import Element, Syntax
from doorward.errors import LimitExceeded, PeerProtocolError
from doorward.limits import Limits
from doorward.web.accept import DICOM_JSON, JSON, Form, select

_FORMS = (Form(media_type=DICOM_JSON), Form(media_type=JSON))
_NOT_ACCEPTABLE = f"metadata are given as {DICOM_JSON} only; DICOM XML is not supported"
_PATH = re.compile(r"[0-9A-Fa-f]{8}(/[0-9]{1,6}/[0-9A-Fa-f]{8})*", re.ASCII)


def routes(archive: Archive) -> list[Route]:
    """Return the routes of metadata and of values before the pixels."""

    async def metadata(request: Request) -> Response:
        return await _metadata(archive, request)

    async def value(request: Request) -> Response:
        return await _value(archive, request)

    return [
        *(Route(f"{p}/metadata", metadata, methods=["GET"]) for p in (STUDY, SERIES, INSTANCE)),
        Route(f"{INSTANCE}/bulkdata/{{path:path}}", value, methods=["GET"]),
    ]


async def _metadata(archive: Archive, request: Request) -> Response:
    form = select(accepted(request, archive.limits), _FORMS)
    if form is None:
        return refusal(406, _NOT_ACCEPTABLE)
    caller = caller_of(request)
    look = await archive.viewing.look(
        Kind.METADATA, wanted_by(request), caller.identity(), caller.record
    )
    if isinstance(look, Refusal):
        return refused(look)
    if not look.instances:
        return refusal(404, "There is nothing here")
    base = base_of(request)
    etag = _etag(base, look.instances)
    fields = answering.head_of(etag=etag)
    if has_already(request, etag):
        return Response(status_code=304, headers=fields)
    if request.method == "HEAD":
        return Response(media_type=form.media_type, headers=fields)
    first = await _written(archive, look.instances[0], base)
    refused_now = await look.take(len(first), look.instances[0].sop_instance_uid)
    if refused_now is not None:
        return refused(refused_now)
    return await streamed(_array(archive, look, base, first), form.media_type, etag=etag)


def _etag(base: str, instances: Sequence[HeldInstance]) -> str:
    """Return what changes with any of the contents, and with the address that stands in the URIs."""
    digests = sorted(one.digest for one in instances)
    return f'W/"{hashlib.sha256("".join([base, *digests]).encode()).hexdigest()}"'


async def _array(
    archive: Archive, look: Look, base: str, first: bytes
) -> AsyncGenerator[bytes, None]:
    """Yield the metadata of all instances as one JSON array; the first one is here and counted."""
    yield b"[" + first
    for held in look.instances[1:]:
        written = await _written(archive, held, base)
        why = await look.take(len(written), held.sop_instance_uid)
        if why is not None:
            bound = archive.limits.volume_retrieved_bytes
            raise LimitExceeded(limit="volume_retrieved_bytes", value=bound, seen=len(written))
        yield b"," + written
    yield b"]"


async def _written(archive: Archive, held: HeldInstance, base: str) -> bytes:
    """Return the metadata of one instance. Raises PeerProtocolError, LimitExceeded, StorageError."""
    limits = archive.limits
    async with content_of(archive.blobs, held.digest, limits) as content:
        head, pixels = await head_of(content)
        syntax = content.syntax
    uri = f"{instance_url(base, held)}/bulkdata"
    if len(head) < limits.metadata_thread_bytes:
        return write_metadata(head, pixels, syntax, uri, limits)
    # A long one would keep everybody else waiting.
    return await archive.blobs.in_thread(write_metadata, head, pixels, syntax, uri, limits)


def write_metadata(
    head: bytes, pixels: Element | None, syntax: Syntax, uri: str, limits: Limits
) -> bytes:
    """Return one JSON object: what stands before the pixels, and a URI for these. Raises as ``encode_data_set``."""

    def uri_of(bulk: BulkData) -> str:
        return f"{uri}/{path_text(bulk.path)}"

    inline = limits.metadata_inline_bytes
    pieces = [*encode_data_set(head, syntax, uri_of, inline_bytes=inline, limits=limits)]
    if pixels is None:
        return b"".join(pieces)
    tag, vr, _, length, _ = pixels
    value = f',"BulkDataURI":"{uri}/{tag:08X}"' if length else ""
    before = "," if len(pieces) > 2 else ""
    pieces[-1] = f'{before}"{tag:08X}":{{"vr":"{vr}"{value}}}}}'.encode("ascii")
    return b"".join(pieces)


def path_text(path: Sequence[int]) -> str:
    """Return the path of an element as it stands in a URI."""
    return "/".join(f"{one:08X}" if at % 2 == 0 else str(one) for at, one in enumerate(path))


def parse_path(text: str) -> tuple[int, ...] | None:
    """Return the path of an element; None where the text is none."""
    if not _PATH.fullmatch(text):
        return None
    return tuple(int(one, 10 if at % 2 else 16) for at, one in enumerate(text.split("/")))


# --- values ---------------------------------------------------------------------------------------------------------------


async def _value(archive: Archive, request: Request) -> Response:
    path = parse_path(request.path_params["path"])
    wanted = wanted_by(request)
    caller = caller_of(request)
    look = await archive.viewing.look(Kind.BULK_DATA, wanted, caller.identity(), caller.record)
    if isinstance(look, Refusal):
        return refused(look)
    if not look.instances or path is None:
        return refusal(404, "There is nothing here")
    held = look.instances[0]
    try:
        async with content_of(archive.blobs, held.digest, archive.limits) as content:
            octets, forms = await _octets(content, path, archive.limits)
    except PeerProtocolError:
        return refusal(406, "the pixels of this instance cannot be read: retrieve it as a whole")
    if not octets:
        return refusal(404, "There is nothing here")
    url = f"{instance_url(base_of(request), held)}/bulkdata/{path_text(path)}"
    many = len(octets) > 1
    answer = Answer(
        held=held,
        octets=octets,
        locations=[f"{url}/frames/{number + 1}" if many else url for number in range(len(octets))],
        forms=forms,
    )
    return await send(archive, request, look, answer)


async def _octets(
    content: Content, path: tuple[int, ...], limits: Limits
) -> tuple[Sequence[Octets], Sequence[Form]]:
    """Return where a value lies and how it can be sent; () where there is no such one that metadata would name."""
    head, pixels = await head_of(content)
    if pixels is not None and path == (pixels.tag,):
        found = await pixel_octets(content, pixels)
        return found, pixel_forms(content.transfer_syntax_uid)
    named: list[BulkData] = []

    def note(bulk: BulkData) -> str:
        if bulk.path == path:
            named.append(bulk)
        return ""

    inline = limits.metadata_inline_bytes
    for _ in encode_data_set(head, content.syntax, note, inline_bytes=inline, limits=limits):
        pass
    octets = [
        Octets(
            value=head[bulk.offset : bulk.offset + bulk.length],
            word_bytes=word_bytes_of(bulk.vr, content.syntax),
        )
        for bulk in named
    ]
    return octets, VALUE_FORMS
