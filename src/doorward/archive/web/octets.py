"""Bytes of an instance as parts of an answer: frames, pixels, long values (PS3.18 sections 8.6.1 and 8.7.3.3).

Theory of operation. ``Octets`` says where the bytes of one part lie in a blob, or holds them where they are short or had to be
inflated. What is uncompressed is sent little endian, and so are numbers that came big endian. Compressed frames are sent as
they are, under the media type of their transfer syntax or as octets of that transfer syntax; nothing is decoded here.
"""

import secrets
from array import array
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field

from starlette.requests import Request
from starlette.responses import Response

from doorward.archive.archive import Archive
from doorward.archive.index.entry import Frame, HeldInstance
from doorward.archive.viewing import Look
from doorward.archive.web.answering import accepted, has_already, head_of, refused, streamed
from doorward.archive.web.refusals import refusal
from doorward.dicom.reencode import WORD_BYTES
from doorward.dicom.walk import Syntax
from doorward.web.accept import OCTETS, Form, select
from doorward.web.multipart_writer import MultipartWriter
from doorward.wire.uids import EXPLICIT_VR_LITTLE_ENDIAN

_NATIVE = frozenset(
    {
        "1.2.840.10008.1.2",
        EXPLICIT_VR_LITTLE_ENDIAN,
        "1.2.840.10008.1.2.2",
        "1.2.840.10008.1.2.1.99",  # deflated
        "1.2.840.10008.1.2.1.98",  # encapsulated, and not compressed
    }
)
#: PS3.18 Table 8.7.3-5: what the pixels of a transfer syntax are called.
_MEDIA_TYPES = {
    f"1.2.840.10008.1.2.{syntax}": media_type
    for media_type, syntaxes in {
        "image/jpeg": ("4.50", "4.51", "4.57", "4.70"),
        "image/dicom-rle": ("5",),
        "image/jls": ("4.80", "4.81"),
        "image/jp2": ("4.90", "4.91"),
        "image/jpx": ("4.92", "4.93"),
        "image/jphc": ("4.201", "4.202", "4.203"),
        "image/jxl": ("4.110", "4.111", "4.112"),
        "video/mpeg": ("4.100", "4.101"),
        "video/mp4": ("4.102", "4.103", "4.104", "4.105", "4.106"),
        "video/h265": ("4.107", "4.108"),
    }.items()
    for syntax in syntaxes
}
_TYPE_CODES = {2: "H", 4: "I", 8: "Q"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Octets:
    """The bytes of one part: ``ranges`` of the blob, or a ``value`` that is here."""

    ranges: tuple[Frame, ...] = ()
    value: bytes = field(default=b"", repr=False)
    #: Their order is to be turned around, in words of so many bytes; 1 is none.
    word_bytes: int = 1

    @property
    def size_bytes(self) -> int:
        """How many they are."""
        return len(self.value) + sum(one.length for one in self.ranges)


def word_bytes_of(vr: str, syntax: Syntax) -> int:
    """Return how many bytes form a word whose order has to be turned around; 1 where nothing has to be."""
    return WORD_BYTES.get(vr, 1) if syntax is Syntax.EXPLICIT_BIG else 1


def turned(piece: bytes, word_bytes: int) -> bytes:
    """Return words with their bytes in the other order; a rest that is no word stays as it is."""
    if word_bytes == 1:
        return piece
    whole = len(piece) - len(piece) % word_bytes
    words = array(_TYPE_CODES[word_bytes], piece[:whole])
    words.byteswap()
    return words.tobytes() + piece[whole:]


def pixel_forms(transfer_syntax_uid: str) -> list[Form]:
    """Return how pixels of a transfer syntax can be sent, without regard to parts."""
    if transfer_syntax_uid in _NATIVE:
        return [Form(media_type=OCTETS, transfer_syntax=EXPLICIT_VR_LITTLE_ENDIAN)]
    own = Form(media_type=OCTETS, transfer_syntax=transfer_syntax_uid, is_default=False)
    media_type = _MEDIA_TYPES.get(transfer_syntax_uid)
    if media_type is None:
        return [own]
    return [Form(media_type=media_type, transfer_syntax=transfer_syntax_uid), own]


VALUE_FORMS = (Form(media_type=OCTETS, transfer_syntax=EXPLICIT_VR_LITTLE_ENDIAN),)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """Parts of one instance that are to be sent, each with its address."""

    held: HeldInstance
    octets: Sequence[Octets]
    locations: Sequence[str]
    forms: Sequence[Form]
    #: Of the parts, for the journal.
    frames: int = 0

    def form(self, request: Request, archive: Archive) -> Form | None:
        """Return the form that is sent, None where none is accepted; one part may go without an envelope."""
        parted = [
            Form(
                media_type=one.media_type,
                is_multipart=True,
                transfer_syntax=one.transfer_syntax,
                is_default=one.is_default,
            )
            for one in self.forms
        ]
        offered = [*parted, *self.forms] if len(self.octets) == 1 else parted
        return select(accepted(request, archive.limits), offered)


async def send(archive: Archive, request: Request, look: Look, answer: Answer) -> Response:
    """Return the answer, counted before its first byte leaves; or why there is none."""
    form = answer.form(request, archive)
    held = answer.held
    if form is None:
        return refusal(406, f"held as {held.transfer_syntax_uid}: accept transfer-syntax=*")
    etag = f'W/"{held.digest}"'
    if has_already(request, etag):
        return Response(status_code=304, headers=head_of(etag=etag))
    part_type = f"{form.media_type}; transfer-syntax={form.transfer_syntax}"
    sizes = [one.size_bytes for one in answer.octets]
    if form.is_multipart:
        writer = MultipartWriter(form.media_type, secrets.token_hex(16))
        heads = [
            writer.head(part_type, location=location, length=size, first=number == 0)
            for number, (location, size) in enumerate(zip(answer.locations, sizes, strict=True))
        ]
        content_type, end = writer.content_type, writer.end
        length = writer.length(heads, sizes)
    else:
        heads, content_type, end, length = [b""], part_type, b"", sizes[0]
    if request.method == "HEAD":
        return Response(media_type=content_type, headers=head_of(etag=etag, length=length))
    why = await look.take(sum(sizes), held.sop_instance_uid, frames=answer.frames)
    if why is not None:
        return refused(why)
    pieces = _pieces(archive, answer, heads, end)
    return await streamed(pieces, content_type, etag=etag, length=length)


async def _pieces(
    archive: Archive, answer: Answer, heads: Sequence[bytes], end: bytes
) -> AsyncGenerator[bytes, None]:
    """Yield every part behind its head, and what stands at the end. Raises StorageError."""
    async with archive.blobs.open_blob(answer.held.digest) as reader:
        for head, octets in zip(heads, answer.octets, strict=True):
            before = head + turned(octets.value, octets.word_bytes)
            for one in octets.ranges:
                async for piece in reader.chunks(one.offset, one.length):
                    yield before + turned(piece, octets.word_bytes)
                    before = b""
            if before:
                yield before
    # Of an empty value without an envelope there is nothing to send but that.
    yield end
