"""Cuts a byte stream into PDUs and refuses a length before it buffers it (PS3.8 section 9.3.1).

Theory of operation: ``cut`` takes what a read returned and gives the PDUs that are complete by now, as positions in one
buffer, so that a busy P-DATA stream is not copied for each PDU. The type and length of a PDU are judged from its six
header bytes; a stranger's claim of 4 GiB costs six bytes of memory. After a violation nothing is cut any more.
At most one incomplete PDU is held, and each byte is copied at most twice, however small the pieces that arrive.
"""

from struct import Struct

from doorward.errors import PeerProtocolError
from doorward.limits import Limits
from doorward.wire.pdu import AbortReason, PduType

HEADER_BYTES = 6
#: PDU-type, reserved, PDU-length (PS3.8 Table 9-11 and following).
_HEADER = Struct(">BxI")
#: A P-DATA-TF with one empty fragment: item length, context id, control header.
_SMALLEST_DATA = 6
#: A-ASSOCIATE-RJ, A-RELEASE-RQ, A-RELEASE-RP, A-ABORT: always four bytes.
_FIXED = 4

#: PDU type, where its body starts and ends in ``Framer.buffer``.
Frame = tuple[int, int, int]


class Framer:
    """One direction of one association."""

    __slots__ = ("_fixed", "_most", "_needed", "_pending", "buffer", "prefix", "violation")

    def __init__(self, limits: Limits) -> None:
        self._most = {
            PduType.ASSOCIATE_RQ.value: limits.associate_pdu_bytes,
            PduType.ASSOCIATE_AC.value: limits.associate_pdu_bytes,
            PduType.DATA_TF.value: limits.max_pdu_bytes,
        }
        self._fixed = frozenset(
            t.value
            for t in (PduType.ASSOCIATE_RJ, PduType.RELEASE_RQ, PduType.RELEASE_RP, PduType.ABORT)
        )
        self._pending = bytearray()
        self._needed = HEADER_BYTES
        #: What the last frames point into.
        self.buffer = b""
        #: Set when the stream is no DICOM; the frames returned with it came before the fault.
        self.violation: PeerProtocolError | None = None
        #: The first bytes of the PDU at fault.
        self.prefix = b""

    def cut(self, chunk: bytes) -> list[Frame]:
        """Return the PDUs that ``chunk`` completes; they are valid until the next call."""
        if self.violation is not None:
            return []
        if self._pending:
            self._pending += chunk
            if len(self._pending) < self._needed:
                return []
            chunk = bytes(self._pending)
            self._pending.clear()
        self.buffer = chunk
        return self._cut_whole(chunk)

    def _cut_whole(self, buffer: bytes) -> list[Frame]:
        frames: list[Frame] = []
        position = 0
        size = len(buffer)
        unpack = _HEADER.unpack_from
        data_type, data_most = PduType.DATA_TF.value, self._most[PduType.DATA_TF.value]
        self._needed = HEADER_BYTES
        while size - position >= HEADER_BYTES:
            pdu_type, length = unpack(buffer, position)
            # the one comparison that a stream of P-DATA-TF pays; everything else is judged with words
            if not (pdu_type == data_type and _SMALLEST_DATA <= length <= data_most):
                self.violation = self._judge(pdu_type, length)
                if self.violation is not None:
                    self.prefix = buffer[position : position + 8]
                    return frames
            end = position + HEADER_BYTES + length
            if end > size:
                self._needed = HEADER_BYTES + length
                break
            frames.append((pdu_type, position + HEADER_BYTES, end))
            position = end
        if position < size:
            self._keep(buffer, position)
        return frames

    def _keep(self, buffer: bytes, position: int) -> None:
        """Hold what is not a whole PDU yet; a first byte that can begin none is refused at once."""
        if not PduType.ASSOCIATE_RQ <= buffer[position] <= PduType.ABORT:
            self.violation = self._judge(buffer[position], 0)
            self.prefix = buffer[position : position + 8]
            return
        self._pending += memoryview(buffer)[position:]

    def _judge(self, pdu_type: int, length: int) -> PeerProtocolError | None:
        """Return why a header is refused, or None."""
        most = self._most.get(pdu_type)
        if most is not None:
            if length > most:
                return _violation(f"{length} bytes claimed, at most {most} accepted")
            if pdu_type == PduType.DATA_TF and length < _SMALLEST_DATA:
                return _violation(f"{length} bytes cannot hold a presentation data value")
            return None
        if pdu_type in self._fixed:
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
