"""A DICOM file on its way in, through whichever door: its beginning is read, its data set goes to ``ingest``.

Theory of operation. Bytes come in pieces of any size. They are held until the meta information has ended, which is the first
element that is not of group 0002, and no longer than ``preamble_meta_bytes``. It says what ``Ingest`` has to be told; the
policy, the blob, the index and the journal are those of a C-STORE. What stood before the data set is handed over too:
where it is not what we would write, it is kept (``archive.originals``).

In files of anonymisers and old programs the meta information names another instance than the data set, or none. What the
data set says of itself is what every other program goes by, and what C-STORE would have sent; so it is looked at first.
"""

from collections.abc import AsyncIterator
from struct import Struct

from doorward.archive.index.levels import SOP_CLASS_UID, SOP_INSTANCE_UID
from doorward.archive.ingest import Door, Ingest, Taken
from doorward.dicom.part10 import (
    PREAMBLE_BYTES,
    PREFIX,
    FileMeta,
    is_deflated,
    read_file_meta,
    syntax_of,
)
from doorward.dicom.values import decode_uid
from doorward.dicom.walk import LONG_VRS, SHORT_VRS, walk
from doorward.errors import DoorwardError, LimitExceeded, PeerProtocolError
from doorward.limits import DEFAULT_LIMITS, Limits

_SOURCE = "PS3.10 section 7.1"
_FIRST = PREAMBLE_BYTES + len(PREFIX)
_META_GROUP = b"\x02\x00"
_SHORT, _LONG = Struct("<H"), Struct("<L")
#: Tag, VR, and the length of the short or the long form (PS3.5 section 7.1.2).
_SHORT_HEADER, _LONG_HEADER = 8, 12
#: Of a data set, in which its UIDs usually are.
_LEAST = 512


class FileHead:
    """The beginning of one file, until its data set begins."""

    def __init__(self, limits: Limits = DEFAULT_LIMITS) -> None:
        self._limits = limits
        self._held = bytearray()
        self._at = _FIRST
        self._is_complete = False

    def feed(self, fragment: bytes) -> bool:
        """Take the next bytes; True once the data set has begun.

        Raises PeerProtocolError where this is no DICOM file, LimitExceeded (``preamble_meta_bytes``).
        """
        self._held += fragment
        prefix = bytes(self._held[PREAMBLE_BYTES:_FIRST])
        if not PREFIX.startswith(prefix):
            raise _no_file("there is no DICM behind its preamble")
        while not self._is_complete and self._step():
            pass
        return self._is_complete

    def end(self) -> None:
        """Say that the file ends here. Raises PeerProtocolError where it ends in its beginning."""
        if self._at != len(self._held) or self._at == _FIRST:
            raise _no_file("it ends in its meta information")
        self._is_complete = True

    def meta(self) -> FileMeta:
        """Return what it says. Raises as ``read_file_meta``, and PeerProtocolError without a transfer syntax."""
        meta = read_file_meta(memoryview(self.head), self._limits)
        if not meta.transfer_syntax_uid:
            raise PeerProtocolError("it is missing", field="(0002,0010)", source=_SOURCE)
        return meta

    @property
    def head(self) -> bytes:
        """What stands before the data set."""
        return bytes(self._held[: self._at])

    @property
    def rest(self) -> bytes:
        """What has come of the data set."""
        return bytes(self._held[self._at :])

    def _step(self) -> bool:
        """Go on over one element; False where more of it has to come."""
        held, at = self._held, self._at
        if len(held) < at + 2:
            return False
        if held[at : at + 2] != _META_GROUP:
            if at == _FIRST:
                raise _no_file("it has no meta information")
            self._is_complete = True
            return True
        end = self._end_of_element()
        bound = self._limits.preamble_meta_bytes
        if end > bound:
            raise LimitExceeded(limit="preamble_meta_bytes", value=bound, seen=end)
        if end > len(held):
            return False
        self._at = end
        return True

    def _end_of_element(self) -> int:
        """Return where it ends; its headers are explicit VR little endian whatever the data set is in."""
        held, at = self._held, self._at
        if len(held) < at + _SHORT_HEADER:
            return at + _SHORT_HEADER
        vr = held[at + 4 : at + 6].decode("latin-1")
        if vr in SHORT_VRS:
            return at + _SHORT_HEADER + int(_SHORT.unpack_from(held, at + 6)[0])
        if vr not in LONG_VRS:
            raise _no_file("an element of its meta information has no VR")
        if len(held) < at + _LONG_HEADER:
            return at + _LONG_HEADER
        return at + _LONG_HEADER + int(_LONG.unpack_from(held, at + 8)[0])


async def take_file(
    ingest: Ingest, fragments: AsyncIterator[bytes], door: Door, *, study_uid: str = ""
) -> Taken:
    """Take one whole file in, and return what is answered; ``study_uid``: it has to be of that study.

    Raises nothing that the file can cause; what ``fragments`` raises, but for errors of ours.
    """
    file = FileHead(ingest.limits)
    try:
        async for fragment in fragments:
            if file.feed(fragment):
                break
        else:
            file.end()
        meta = file.meta()
        first, own = await _begun(file.rest, fragments, meta, ingest.limits)
    except DoorwardError as error:
        return await ingest.failed(error, door)
    sop_class_uid, sop_instance_uid = own
    return await ingest.take_in(
        _joined(first, fragments),
        door,
        sop_class_uid=sop_class_uid or meta.media_storage_sop_class_uid,
        sop_instance_uid=sop_instance_uid or meta.media_storage_sop_instance_uid,
        transfer_syntax_uid=meta.transfer_syntax_uid,
        study_uid=study_uid,
        head=file.head,
    )


async def _begun(
    begin: bytes, fragments: AsyncIterator[bytes], meta: FileMeta, limits: Limits
) -> tuple[bytes, tuple[str, str]]:
    """Return as much of a data set as it takes to know its UIDs, and them."""
    while (own := _own_uids(begin, meta, limits)) is None:
        # Looked at again when twice as much of it is there, so that the work stays linear.
        wanted = max(_LEAST, 2 * len(begin))
        grown = bytearray(begin)
        while len(grown) < wanted and (more := await anext(fragments, b"")):
            grown += more
        if len(begin) >= limits.ingest_value_bytes or len(grown) == len(begin):
            return bytes(grown), ("", "")
        begin = bytes(grown)
    return begin, own


def _own_uids(begin: bytes, meta: FileMeta, limits: Limits) -> tuple[str, str] | None:
    """Return SOP class and instance as the data set names itself, "" where it does not; None where more has to come."""
    if is_deflated(meta.transfer_syntax_uid):
        return "", ""
    found = {SOP_CLASS_UID: "", SOP_INSTANCE_UID: ""}
    try:
        for tag, _, offset, length, depth in walk(
            begin, syntax_of(meta.transfer_syntax_uid), limits
        ):
            if depth == 0 and tag in found:
                found[tag] = decode_uid(begin[offset : offset + length], tag, limits)
            if depth == 0 and tag >= SOP_INSTANCE_UID:
                return found[SOP_CLASS_UID], found[SOP_INSTANCE_UID]
    except (PeerProtocolError, LimitExceeded):
        pass  # cut off here, or faulty: that shows when it is taken in
    return None


async def _joined(first: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for fragment in rest:
        yield fragment


def _no_file(problem: str) -> PeerProtocolError:
    return PeerProtocolError(problem, field="DICOM file", source=_SOURCE)
