"""Cuts a byte stream into PDUs and refuses a length before it buffers it (PS3.8 section 9.3.1).

Theory of operation: ``cut`` takes what a read returned and gives the PDUs that are complete by now, as positions in one
buffer, so that a busy P-DATA stream is not copied for each PDU. The type and length of a PDU are judged from its six
header bytes; a stranger's claim of 4 GiB costs six bytes of memory. After a violation nothing is cut any more.
At most one incomplete PDU is held, and each byte is copied twice on average, however small the pieces that arrive.
Of a view (a borrowed read buffer) nothing is copied into other memory than what is held, and that is zeroed after use.
"""

from collections.abc import Iterator
from struct import Struct

from doorward.errors import PeerProtocolError
from doorward.limits import Limits
from doorward.wire.pdu import AbortReason, Fragment, PduType
from doorward.wire.wiped import PlainBuffer, WipedBuffer

HEADER_BYTES = 6
#: PDU-type, reserved, PDU-length (PS3.8 Table 9-11 and following).
_HEADER = Struct(">BxI")
_DATA_TF = PduType.DATA_TF.value
#: A P-DATA-TF with one empty fragment: item length, context id, control header.
_SMALLEST_DATA = 6
#: A-ASSOCIATE-RJ, A-RELEASE-RQ, A-RELEASE-RP, A-ABORT: always four bytes.
_FIXED = 4
_OF_FIXED_LENGTH = frozenset(
    t.value for t in (PduType.ASSOCIATE_RJ, PduType.RELEASE_RQ, PduType.RELEASE_RP, PduType.ABORT)
)

#: PDU type, where its body starts and ends in ``Framer.buffer``.
Frame = tuple[int, int, int]


class Framer:
    """One direction of one association."""

    __slots__ = (
        "_joined",
        "_keeps_prefix",
        "_most",
        "_needed",
        "_pending",
        "buffer",
        "prefix",
        "violation",
    )

    def __init__(self, limits: Limits) -> None:
        self._most = {
            PduType.ASSOCIATE_RQ.value: limits.associate_pdu_bytes,
            PduType.ASSOCIATE_AC.value: limits.associate_pdu_bytes,
            PduType.DATA_TF.value: limits.max_pdu_bytes,
        }
        #: What is not a whole PDU yet, and the PDU that it became. Wiped where reads come as views.
        self._pending: PlainBuffer | WipedBuffer = PlainBuffer()
        self._joined: PlainBuffer | WipedBuffer = PlainBuffer()
        self._needed = HEADER_BYTES
        self._keeps_prefix = True
        #: What the last frames point into.
        self.buffer: Fragment = b""
        #: Set when the stream is no DICOM; the frames returned with it came before the fault.
        self.violation: PeerProtocolError | None = None
        #: The first bytes of the PDU at fault.
        self.prefix = b""

    def cut(self, chunk: Fragment) -> Iterator[Frame]:
        """Give the PDUs that ``chunk`` completes; each is valid until the next is asked for."""
        self._joined.clear()
        if self.violation is not None:
            return
        position, size = 0, len(chunk)
        if self._pending:
            position = self._complete(chunk)
            if len(self._pending) < self._needed:
                return
            yield self._join(is_view=not isinstance(chunk, bytes))
        self.buffer = chunk
        self._needed = HEADER_BYTES
        unpack, data_most = _HEADER.unpack_from, self._most[_DATA_TF]
        while size - position >= HEADER_BYTES:
            pdu_type, length = unpack(chunk, position)
            # the one comparison that a stream of P-DATA-TF pays; everything else is judged with words
            is_usual = pdu_type == _DATA_TF and _SMALLEST_DATA <= length <= data_most
            if not is_usual and self._refuses(pdu_type, length, chunk[position : position + 8]):
                return
            end = position + HEADER_BYTES + length
            if end > size:
                self._needed = HEADER_BYTES + length
                break
            self._keeps_prefix = isinstance(chunk, bytes)
            yield pdu_type, position + HEADER_BYTES, end
            position = end
        if position < size:
            self._keep(chunk, position)

    def _complete(self, chunk: Fragment) -> int:
        """Add to the PDU that is held what it lacks, its header first; return how much of ``chunk`` that was."""
        taken = max(HEADER_BYTES - len(self._pending), 0)
        self._pending.append(memoryview(chunk)[:taken])
        if self._needed == HEADER_BYTES <= len(self._pending):
            with self._pending.view() as header:
                pdu_type, length = _HEADER.unpack(header)
                prefix = bytes(header) if self._keeps_prefix else b""
            self._needed += length
            if self._refuses(pdu_type, length, prefix):
                return taken
        lacking = self._needed - len(self._pending)
        self._pending.append(memoryview(chunk)[taken : taken + lacking])
        return taken + lacking

    def _join(self, *, is_view: bool) -> Frame:
        """Make what is held, a whole PDU by now, the buffer; a read of bytes gives bytes, which nobody wipes."""
        self._keeps_prefix = not is_view
        self._joined, self._pending = self._pending, self._joined
        whole = self._joined.view()
        self.buffer = whole if is_view else bytes(whole)
        return whole[0], HEADER_BYTES, self._needed

    def forget(self) -> None:
        """Zero what is held; the stream has ended."""
        self.buffer = b""
        self._pending.clear()
        self._joined.clear()

    def _keep(self, buffer: Fragment, position: int) -> None:
        """Hold what is not a whole PDU yet; a first byte that can begin none is refused at once."""
        if not PduType.ASSOCIATE_RQ <= buffer[position] <= PduType.ABORT:
            self._refuses(buffer[position], 0, buffer[position : position + 8])
        else:
            self._pending = PlainBuffer() if isinstance(buffer, bytes) else WipedBuffer()
            self._pending.append(memoryview(buffer)[position:])

    def _refuses(self, pdu_type: int, length: int, prefix: Fragment) -> bool:
        """Tell whether a header is refused, and remember why and what the PDU at fault begins with."""
        self.violation = self._judge(pdu_type, length)
        if self.violation is None:
            return False
        # After a whole PDU the peer speaks DICOM: what follows names no other protocol, and may name a patient.
        self.prefix = bytes(prefix) if self._keeps_prefix else b""
        self._pending.clear()
        return True

    def _judge(self, pdu_type: int, length: int) -> PeerProtocolError | None:
        """Return why a header is refused, or None."""
        most = self._most.get(pdu_type)
        if most is not None:
            if length > most:
                return _violation(f"{length} bytes claimed, at most {most} accepted")
            if pdu_type == PduType.DATA_TF and length < _SMALLEST_DATA:
                return _violation(f"{length} bytes cannot hold a presentation data value")
            return None
        if pdu_type in _OF_FIXED_LENGTH:
            return (
                None if length == _FIXED else _violation(f"{length} bytes claimed, always {_FIXED}")
            )
        return PeerProtocolError(
            f"no PDU begins with 0x{pdu_type:02x}",
            field="PDU-type",
            source="PS3.8 section 9.3.1",
            abort_reason=AbortReason.UNRECOGNIZED_PDU,
        )


def _violation(message: str) -> PeerProtocolError:
    return PeerProtocolError(
        message,
        field="PDU-length",
        source="PS3.8 section 9.3.1",
        abort_reason=AbortReason.INVALID_PDU_PARAMETER,
    )
