"""How the file of an instance began, where that is not how ours begin: kept beside it, so that the file can be given back.

Theory of operation. An instance is kept behind a preamble of zeros and meta information of our own: what a stranger puts into
the 128 bytes of a preamble may be a program or another picture (CVE-2019-11687), and the same data set is the same blob
whichever door it came through. What a file had there instead goes into a small blob of its own: a mark, the digest of the
instance, then the bytes as they came. The mark is no preamble of zeros, so that whoever reads blobs one by one tells the two
apart (``reindex``); the index names it (table ``heads``), so that a sweep leaves it alone.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from doorward.archive.blobs.store import BlobStore
from doorward.archive.index.index import Index
from doorward.dicom.part10 import read_file_meta
from doorward.errors import UsageError

#: How the blob of a head begins. An instance begins with 128 zeros.
MAGIC = b"Doorward head 1\n"
_DIGEST_BYTES = 32
_BEGIN = len(MAGIC) + _DIGEST_BYTES


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptHead:
    """The beginning of a file, all bytes before its data set, and the blob of the instance that it stood before."""

    instance_digest: str
    head: bytes = field(repr=False)


def encode_head(kept: KeptHead) -> bytes:
    """Return the content of the blob that keeps it."""
    return MAGIC + bytes.fromhex(kept.instance_digest) + kept.head


def read_head(content: bytes) -> KeptHead | None:
    """Return what ``encode_head`` was given; None where a blob is none of these."""
    if not content.startswith(MAGIC) or len(content) < _BEGIN:
        return None
    return KeptHead(
        instance_digest=content[len(MAGIC) : _BEGIN].hex(), head=bytes(content[_BEGIN:])
    )


async def heads_of(index: Index, blobs: BlobStore, instance_digest: str) -> list[KeptHead]:
    """Return how the files began in which an instance came; [] where all began as ours. Raises StorageError."""
    found = []
    for digest in await index.heads_of(instance_digest):
        async with blobs.open_blob(digest) as reader:
            kept = read_head(await reader.read(0, reader.size_bytes))
        if kept is not None:
            found.append(kept)
    return found


async def original_of(
    blobs: BlobStore, instance_digest: str, kept: KeptHead | None = None
) -> AsyncIterator[bytes]:
    """Yield the file of an instance byte by byte as it came, ``kept`` being one of ``heads_of``; without it, ours.

    A preamble of a stranger comes back with it: for forensics and for files that are TIFF as well, not for viewers.
    Raises UsageError where ``kept`` belongs to another instance, StorageError.
    """
    if kept is not None and kept.instance_digest != instance_digest:
        raise UsageError("this beginning is that of another file")
    async with blobs.open_blob(instance_digest) as reader:
        begin = 0
        if kept is not None:
            yield kept.head
            limits = blobs.shelf.limits
            ours = await reader.read(0, min(reader.size_bytes, limits.preamble_meta_bytes))
            begin = read_file_meta(ours, limits).data_set_offset
        async for piece in reader.chunks(begin):
            yield piece
