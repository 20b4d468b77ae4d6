"""Asks an archive by C-FIND and C-GET over a blocking socket: what is measured is the archive, not who asks.

An asyncio client takes 0.25 ms of a processor for one question and 0.4 ms for one image, as long as the answer of the one who
is asked. This one takes a fifth of it, and is the same for every contestant. It reads no more of an answer than what sort
of message it is and its status, and drops everything else.
"""

import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from struct import Struct

from doorward.limits import DEFAULT_LIMITS
from doorward.wire.command import CFindRequest, CGetRequest, Command, CStoreRequest, CStoreResponse
from doorward.wire.decode import decode_associate_accept
from doorward.wire.dimse import decode_command, encode_command
from doorward.wire.encode import encode_data_values, encode_pdu
from doorward.wire.negotiation import propose
from doorward.wire.pdu import (
    IS_COMMAND,
    IS_LAST,
    AssociateRequest,
    PduType,
    RoleSelection,
    UserInformation,
)
from doorward.wire.uids import IMPLICIT_VR_LITTLE_ENDIAN
from measures import pdus
from measures.archive_host import CALLING
from measures.processes import HOST, Broken

TIMEOUT_S = 300.0
#: As our own client and DCMTK's largest: large instances come in few pieces.
MOST_PDU_BYTES = 131_072
_BUFFER_BYTES = 1_048_576
_PDU = Struct(">BxI")
_VALUE = Struct(">IBB")
#: (0000,0900) Status and (0000,0100) Command Field as they stand in a command set, before their values.
_STATUS, _FIELD = b"\0\0\0\x09\2\0\0\0", b"\0\0\0\1\2\0\0\0"
_PENDING = (0xFF00, 0xFF01)
_STORE = 0x0001


class _Stream:
    """Reads from a socket into one buffer."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._buffer = memoryview(bytearray(_BUFFER_BYTES))
        self._start = self._end = 0

    def take(self, size: int) -> bytes:
        """Return so many bytes, few."""
        while self._end - self._start < size:
            self._fill()
        self._start += size
        return bytes(self._buffer[self._start - size : self._start])

    def drop(self, size: int) -> None:
        """Pass over so many bytes."""
        while (there := self._end - self._start) < size:
            size -= there
            self._start = self._end = 0
            self._fill()
        self._start += size

    def _fill(self) -> None:
        rest = self._end - self._start
        if self._start:
            self._buffer[:rest] = self._buffer[self._start : self._end]
            self._start, self._end = 0, rest
        # A peer that sends with Nagle's algorithm must not wait for us; Linux forgets it (tcp(7)).
        self._sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
        count = self._sock.recv_into(self._buffer[self._end :])
        if not count:
            raise Broken("the connection was closed")
        self._end += count


class Line:
    """One association."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._stream = _Stream(sock)
        self.most = 0

    def begin(self, request: AssociateRequest) -> None:
        """Ask for the association."""
        self._sock.sendall(encode_pdu(request))
        pdu_type, body = self._pdu()
        if pdu_type != PduType.ASSOCIATE_AC:
            raise Broken(f"the association was answered with a PDU of type {pdu_type}")
        accept = decode_associate_accept(body, DEFAULT_LIMITS)
        if not all(one.is_accepted for one in accept.presentation_contexts):
            raise Broken("a context was refused")
        self.most = accept.user_information.max_pdu_bytes or MOST_PDU_BYTES

    def end(self) -> None:
        """Release it."""
        self._sock.sendall(pdus.RELEASE_RQ)
        if self._pdu()[0] != PduType.RELEASE_RP:
            raise Broken("the release was not answered")

    def send(self, context_id: int, command: Command, identifier: bytes | None = None) -> None:
        """Send a message in one call."""
        pieces = encode_data_values(context_id, True, encode_command(command), self.most)
        if identifier is not None:
            pieces += encode_data_values(context_id, False, identifier, self.most)
        self._sock.sendall(b"".join(pieces))

    def commands(self) -> Iterator[tuple[int, bytes, bool]]:
        """Yield context, command set, and whether the data set that follows it has been passed over."""
        command = b""
        while True:
            pdu_type, left = _PDU.unpack(self._stream.take(_PDU.size))
            if pdu_type != PduType.DATA_TF:
                raise Broken(f"a PDU of type {pdu_type} came")
            while left:
                length, context_id, control = _VALUE.unpack(self._stream.take(_VALUE.size))
                left -= length + 4
                if control & IS_COMMAND:
                    command = self._stream.take(length - 2)
                    yield context_id, command, False
                else:
                    self._stream.drop(length - 2)
                    if control & IS_LAST:
                        yield context_id, command, True

    def _pdu(self) -> tuple[int, bytes]:
        pdu_type, length = _PDU.unpack(self._stream.take(_PDU.size))
        return pdu_type, self._stream.take(length)


def _number(command: bytes, before: bytes) -> int:
    at = command.find(before) + len(before)
    return int.from_bytes(command[at : at + 2], "little")


@contextmanager
def calling(
    port: int, called: str, contexts: Sequence[str], takes: Sequence[str] = ()
) -> Iterator[Line]:
    """Open an association, Implicit VR Little Endian; ``takes``: SOP classes that are received by C-GET."""
    roles = tuple(RoleSelection(sop_class_uid=u, scu_role=True, scp_role=True) for u in takes)
    request = AssociateRequest(
        called_ae_title=called,
        calling_ae_title=CALLING,
        presentation_contexts=propose([(one, (IMPLICIT_VR_LITTLE_ENDIAN,)) for one in contexts]),
        user_information=UserInformation(
            max_pdu_bytes=MOST_PDU_BYTES,
            implementation_class_uid=pdus.CLASS_UID,
            role_selections=roles,
        ),
    )
    with socket.socket() as sock:
        sock.settimeout(TIMEOUT_S)
        sock.connect((HOST, port))
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        line = Line(sock)
        line.begin(request)
        yield line
        line.end()


def find(line: Line, abstract_syntax: str, identifier: bytes) -> int:
    """Ask in the first context; return how many answers came."""
    line.send(1, CFindRequest(message_id=1, affected_sop_class_uid=abstract_syntax), identifier)
    answers = 0
    for _, command, is_passed in line.commands():
        if is_passed:
            continue
        status = _number(command, _STATUS)
        if status not in _PENDING:
            if status:
                raise Broken(f"a C-FIND ended with {status:04X}")
            break
        answers += 1
    return answers


def get(line: Line, abstract_syntax: str, identifier: bytes) -> int:
    """Ask in the first context, take what comes and drop it; return how many instances that were."""
    line.send(1, CGetRequest(message_id=1, affected_sop_class_uid=abstract_syntax), identifier)
    instances = 0
    for context_id, command, is_passed in line.commands():
        if _number(command, _FIELD) == _STORE:
            if is_passed:
                instances += 1
                line.send(context_id, _stored(command))
        elif (status := _number(command, _STATUS)) not in _PENDING:
            if status:
                raise Broken(f"a C-GET ended with {status:04X}")
            break
    return instances


def _stored(command: bytes) -> CStoreResponse:
    request = decode_command(command, DEFAULT_LIMITS)
    if not isinstance(request, CStoreRequest):
        raise Broken("no C-STORE came")
    return CStoreResponse(
        message_id_being_responded_to=request.message_id,
        affected_sop_class_uid=request.affected_sop_class_uid,
        affected_sop_instance_uid=request.affected_sop_instance_uid,
        status=0,
    )
