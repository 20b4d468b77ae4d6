"""Bytes that are prepared before the clock starts, and the few PDUs that a raw peer must understand.

The raw peers of the bench are the fastest that can be had from a blocking socket: everything they send is one buffer.
Encoding is ours (``doorward.wire``), for every contestant alike; findscu, storescp and pynetdicom read it.
"""

import socket
from struct import Struct

from doorward.dicom.values import encode_identifier
from doorward.dicom.walk import Syntax
from doorward.limits import DEFAULT_LIMITS
from doorward.wire.command import CFindRequest, CFindResponse, Command, CStoreRequest
from doorward.wire.decode import decode_associate_request, decode_values
from doorward.wire.dimse import decode_command, encode_command
from doorward.wire.encode import encode_data_values, encode_pdu
from doorward.wire.negotiation import propose
from doorward.wire.pdu import (
    IS_COMMAND,
    IS_LAST,
    AnsweredContext,
    AssociateAccept,
    AssociateRequest,
    ReleaseReply,
    ReleaseRequest,
    UserInformation,
)
from doorward.wire.uids import CT_IMAGE_STORAGE, IMPLICIT_VR_LITTLE_ENDIAN, STUDY_ROOT_FIND

#: What DCMTK announces; no PDU of an answer comes near it.
MAX_PDU_BYTES = 16_384
CONTEXT_ID = 1
CLASS_UID = "2.25.296485376"
#: About one uncompressed CT slice of 512 x 512 pixels.
INSTANCE_BYTES = 525_000
RELEASE_RQ = encode_pdu(ReleaseRequest())
RELEASE_RP = encode_pdu(ReleaseReply())
#: What the exposure probe asks: no patient key.
STUDY_QUERY = encode_identifier(
    ((0x0008_0052, "CS", "STUDY"), (0x0020_000D, "UI", ""), (0x0020_1208, "IS", "")),
    Syntax.IMPLICIT_LITTLE,
)
_HEADER = Struct(">BxI")


def receive_exactly(sock: socket.socket, size: int) -> bytes:
    """Return ``size`` bytes; raises ConnectionError when the peer ends before them."""
    data = bytearray(size)
    view = memoryview(data)
    while view:
        count = sock.recv_into(view)
        if not count:
            raise ConnectionError("the peer closed the connection")
        view = view[count:]
    return bytes(data)


def receive_pdu(sock: socket.socket) -> tuple[int, bytes]:
    """Return type and body of one PDU.

    Acknowledges at once: a peer that sends header and body apart must not wait for us. Linux forgets it (tcp(7)).
    """
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
    pdu_type, length = _HEADER.unpack(receive_exactly(sock, 6))
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
    return pdu_type, receive_exactly(sock, length)


def accept_all(body: bytes) -> tuple[AssociateRequest, bytes]:
    """Return a request and the A-ASSOCIATE-AC that accepts each of its contexts in Implicit VR Little Endian."""
    request = decode_associate_request(body, DEFAULT_LIMITS)
    accept = AssociateAccept(
        called_ae_title=request.called_ae_title,
        calling_ae_title=request.calling_ae_title,
        presentation_contexts=tuple(
            AnsweredContext(id=c.id, result=0, transfer_syntax=IMPLICIT_VR_LITTLE_ENDIAN)
            for c in request.presentation_contexts
        ),
        user_information=UserInformation(
            max_pdu_bytes=MAX_PDU_BYTES, implementation_class_uid=CLASS_UID
        ),
    )
    return request, encode_pdu(accept)


def associate_request(called: str, abstract_syntax: str) -> bytes:
    """Return an A-ASSOCIATE-RQ for one context, Implicit VR Little Endian."""
    return encode_pdu(
        AssociateRequest(
            called_ae_title=called,
            calling_ae_title="DOORWARDBENCH",
            presentation_contexts=propose([(abstract_syntax, (IMPLICIT_VR_LITTLE_ENDIAN,))]),
            user_information=UserInformation(
                max_pdu_bytes=MAX_PDU_BYTES, implementation_class_uid=CLASS_UID
            ),
        )
    )


def received_command(body: bytes) -> tuple[int, Command | None, bool]:
    """Return context id, command (where one is in it), and whether a data set ends in this P-DATA-TF."""
    context_id, command, ends_data_set = 0, None, False
    for context_id, control, fragment in decode_values(body, 0, len(body)):  # noqa: B007 - the last one
        if control == IS_COMMAND | IS_LAST:
            command = decode_command(fragment, DEFAULT_LIMITS)
        elif control == IS_LAST:
            ends_data_set = True
    return context_id, command, ends_data_set


def answer(number: int) -> bytes:
    """Return the identifier of one study: what Orthanc sends for the keys of the audit, about 120 bytes."""
    return encode_identifier(
        (
            (0x0008_0052, "CS", "STUDY"),
            (0x0008_0054, "AE", "ARCHIVE"),
            (0x0020_000D, "UI", f"1.2.826.0.1.3680043.8.498.{10**35 + number * 7_919_993}"),
            (0x0020_1208, "IS", str(100 + number % 900)),
        ),
        Syntax.IMPLICIT_LITTLE,
    )


def images_in(count: int) -> int:
    """Return the sum of (0020,1208) over the first ``count`` answers."""
    return sum(100 + number % 900 for number in range(count))


def answers(request: CFindRequest, context_id: int, count: int) -> tuple[bytes, int]:
    """Return that many pending responses as one buffer, and the size of each; command and data set in a PDU each."""
    command = encode_command(_find_response(request, 0xFF00))
    (head,) = encode_data_values(context_id, True, command, MAX_PDU_BYTES)
    pieces = [
        head + encode_data_values(context_id, False, answer(number), MAX_PDU_BYTES)[0]
        for number in range(count)
    ]
    sizes = {len(piece) for piece in pieces}
    if len(sizes) > 1:
        raise ValueError("answers must be of one size")
    return b"".join(pieces), sizes.pop()


def end_of_answers(request: CFindRequest, context_id: int) -> bytes:
    """Return the final response."""
    command = encode_command(_find_response(request, 0x0000))
    return b"".join(encode_data_values(context_id, True, command, MAX_PDU_BYTES))


def _find_response(request: CFindRequest, status: int) -> CFindResponse:
    return CFindResponse(
        message_id_being_responded_to=request.message_id,
        affected_sop_class_uid=STUDY_ROOT_FIND,
        status=status,
        has_data_set=status != 0,
    )


def store_request(message_id: int, max_pdu_bytes: int, data_set: bytes) -> bytes:
    """Return one C-STORE-RQ with its data set, cut to what the acceptor takes, as one buffer."""
    command = encode_command(
        CStoreRequest(
            message_id=message_id,
            affected_sop_class_uid=CT_IMAGE_STORAGE,
            affected_sop_instance_uid=f"2.25.{10**30 + message_id}",
        )
    )
    most = max_pdu_bytes or MAX_PDU_BYTES
    return b"".join(
        encode_data_values(CONTEXT_ID, True, command, most)
        + encode_data_values(CONTEXT_ID, False, data_set, most)
    )


def image_data_set(size: int = INSTANCE_BYTES) -> bytes:
    """Return a synthetic CT image in Implicit VR Little Endian, ``size`` bytes long or a little more."""
    pixels = bytes(range(256)) * (size // 256)
    return encode_identifier(
        (
            (0x0008_0016, "UI", CT_IMAGE_STORAGE),
            (0x0008_0018, "UI", "2.25.1"),
            (0x0008_0060, "CS", "CT"),
            (0x0020_000D, "UI", "2.25.2"),
            (0x0020_000E, "UI", "2.25.3"),
            (0x7FE0_0010, "OW", pixels),
        ),
        Syntax.IMPLICIT_LITTLE,
    )
