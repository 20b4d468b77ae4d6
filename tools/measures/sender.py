"""A C-STORE sender that never stalls: each instance is one buffer, made before the clock starts, sent in one call.

The same for every receiver. It waits for each response before it sends the next instance, as senders do without an
asynchronous operations window; several associations are several threads.
"""

import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from doorward.errors import DoorwardError
from doorward.limits import DEFAULT_LIMITS
from doorward.wire.command import CStoreResponse
from doorward.wire.decode import decode_associate_accept
from doorward.wire.pdu import PduType
from doorward.wire.uids import CT_IMAGE_STORAGE
from measures import pdus
from measures.processes import HOST, Broken

TIMEOUT_S = 30.0


@contextmanager
def association(
    port: int, called: str, context: ssl.SSLContext | None = None
) -> Iterator[tuple[socket.socket, int]]:
    """Open an association for CT images; gives the socket and the largest PDU that the receiver takes."""
    with socket.socket() as plain:
        plain.settimeout(TIMEOUT_S)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        plain.connect((HOST, port))
        sock = context.wrap_socket(plain, server_hostname=HOST) if context else plain
        sock.sendall(pdus.associate_request(called, CT_IMAGE_STORAGE))
        pdu_type, body = pdus.receive_pdu(sock)
        if pdu_type != PduType.ASSOCIATE_AC:
            raise Broken(f"the association was answered with a PDU of type {pdu_type}")
        accept = decode_associate_accept(body, DEFAULT_LIMITS)
        if not accept.presentation_contexts[0].is_accepted:
            raise Broken("the receiver refused CT images")
        yield sock, accept.user_information.max_pdu_bytes or 0
        sock.sendall(pdus.RELEASE_RQ)
        if pdus.receive_pdu(sock)[0] != PduType.RELEASE_RP:
            raise Broken("the release was not answered")
        if context is not None:
            sock.close()


def instances_per_second(port: int, called: str, associations: int, count: int) -> float:
    """Send ``count`` instances over each association, all at once, and return the rate of all together."""
    ready = threading.Barrier(associations + 1)
    faults: list[Exception] = []

    def run() -> None:
        try:
            with association(port, called) as (sock, most):
                message = pdus.store_request(1, most, pdus.image_data_set())
                _send(sock, message)  # the first one warms both sides up
                ready.wait(TIMEOUT_S)
                for _ in range(count):
                    _send(sock, message)
                ready.wait(TIMEOUT_S)
        except (OSError, Broken, DoorwardError, threading.BrokenBarrierError) as fault:
            faults.append(fault)
            ready.abort()

    threads = [threading.Thread(target=run, daemon=True) for _ in range(associations)]
    for thread in threads:
        thread.start()
    try:
        ready.wait(TIMEOUT_S)
        begun = time.perf_counter()
        ready.wait(TIMEOUT_S)
        seconds = time.perf_counter() - begun
    except threading.BrokenBarrierError:
        raise Broken(f"sending failed: {faults[:1]}") from None
    for thread in threads:
        thread.join(TIMEOUT_S)
    return associations * count / seconds


def _send(sock: socket.socket, message: bytes) -> None:
    sock.sendall(message)
    pdu_type, body = pdus.receive_pdu(sock)
    if pdu_type != PduType.DATA_TF:
        raise Broken(f"an instance was answered with a PDU of type {pdu_type}")
    _, response, _ = pdus.received_command(body)
    if not isinstance(response, CStoreResponse) or response.status != 0:
        raise Broken("an instance was not taken")
