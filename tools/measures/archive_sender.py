"""A C-STORE sender that never stalls, with instances that are all different: ``python -m measures.archive_sender ...``.

One buffer for each association is made before the clock starts; between two instances only the digits of its SOP Instance
UID are written over, in the command and in the data set. It goes out in one call, with Nagle's algorithm off, and the
answer is awaited before the next one. A process of its own, the same for every receiver; each association is a thread.

Arguments: PORT TITLE ASSOCIATIONS INSTANCES BYTES SERIES [CERTIFICATES]. Says its figures as JSON.
"""

import json
import socket
import ssl
import sys
import threading
import time
from pathlib import Path

from doorward.dicom.values import encode_identifier
from doorward.dicom.walk import Syntax
from doorward.net.tls import client_context
from doorward.wire.command import CStoreRequest, CStoreResponse
from doorward.wire.dimse import encode_command
from doorward.wire.encode import encode_data_values
from doorward.wire.pdu import PduType
from doorward.wire.uids import CT_IMAGE_STORAGE
from measures import pdus
from measures.archive_host import AUTHORITY, DEVICE
from measures.processes import Broken
from measures.sender import association

TIMEOUT_S = 60.0
_DIGITS = 12
_CONTEXT = 1


def _short(number: int) -> bytes:
    """Return the value of a US; Implicit VR writes none, so it may be called bytes."""
    return number.to_bytes(2, "little")


def data_set(uid: str, study: str, size: int) -> bytes:
    """Return a synthetic CT image of about ``size`` bytes: what a scanner states of a slice, then pixels."""
    side = {525_000: 512}.get(size, 16)
    number = int(uid.rpartition(".")[2])
    pixels = bytes(range(256)) * (2 * side * side // 256)
    return encode_identifier(
        (
            (0x0008_0005, "CS", "ISO_IR 100"),
            (0x0008_0008, "CS", "ORIGINAL\\PRIMARY\\AXIAL"),
            (0x0008_0016, "UI", CT_IMAGE_STORAGE),
            (0x0008_0018, "UI", uid),
            (0x0008_0020, "DA", "20260102"),
            (0x0008_0030, "TM", "101500"),
            (0x0008_0050, "SH", study[-8:]),
            (0x0008_0060, "CS", "CT"),
            (0x0008_0070, "LO", "SYNTHETIC"),
            (0x0008_0090, "PN", "Referrer^A"),
            (0x0008_1030, "LO", "CT ROUTINE"),
            (0x0008_103E, "LO", "axial"),
            (0x0010_0010, "PN", "Synthetic^Bench"),
            (0x0010_0020, "LO", f"B{study[-8:]}"),
            (0x0010_0030, "DA", "19700101"),
            (0x0010_0040, "CS", "O"),
            (0x0018_0050, "DS", "1.25"),
            (0x0020_000D, "UI", study),
            (0x0020_000E, "UI", f"{study}.1"),
            (0x0020_0010, "SH", "1"),
            (0x0020_0011, "IS", "1"),
            (0x0020_0013, "IS", str(number % 1_000)),
            (0x0020_0032, "DS", "-125\\-125\\0"),
            (0x0028_0002, "OW", _short(1)),
            (0x0028_0004, "CS", "MONOCHROME2"),
            (0x0028_0010, "OW", _short(side)),
            (0x0028_0011, "OW", _short(side)),
            (0x0028_0030, "DS", "0.5\\0.5"),
            (0x0028_0100, "OW", _short(16)),
            (0x0028_0101, "OW", _short(12)),
            (0x0028_0102, "OW", _short(11)),
            (0x0028_0103, "OW", _short(0)),
            (0x7FE0_0010, "OW", pixels),
        ),
        Syntax.IMPLICIT_LITTLE,
    )


class Message:
    """One C-STORE-RQ in a buffer of its own, whose instance can be made another one."""

    def __init__(self, series: int, most: int, size: int) -> None:
        uid = f"2.25.{series + 1}.{10 ** (_DIGITS - 1)}"
        encoded = data_set(uid, f"2.25.{10**8 + series}", size)
        command = encode_command(
            CStoreRequest(
                message_id=1, affected_sop_class_uid=CT_IMAGE_STORAGE, affected_sop_instance_uid=uid
            )
        )
        most = most or pdus.MAX_PDU_BYTES
        pieces = encode_data_values(_CONTEXT, True, command, most)
        pieces += encode_data_values(_CONTEXT, False, encoded, most)
        self.content = bytearray(b"".join(pieces))
        stated, self._places = uid.encode("ascii"), list[int]()
        at = self.content.find(stated)
        while at >= 0:
            self._places.append(at + len(stated) - _DIGITS)
            at = self.content.find(stated, at + 1)
        if len(self._places) != 2:
            raise Broken("an instance must name itself twice")

    def become(self, number: int) -> None:
        """Make it the instance of that number."""
        digits = b"%d" % (10 ** (_DIGITS - 1) + number)
        for at in self._places:
            self.content[at : at + _DIGITS] = digits


def send(sock: socket.socket, message: Message) -> None:
    """Send one instance and wait until it was taken."""
    sock.sendall(message.content)
    pdu_type, body = pdus.receive_pdu(sock)
    if pdu_type != PduType.DATA_TF:
        raise Broken(f"an instance was answered with a PDU of type {pdu_type}")
    _, response, _ = pdus.received_command(body)
    if not isinstance(response, CStoreResponse) or response.status != 0:
        raise Broken("an instance was not taken")


class Run:
    """Several associations that begin together."""

    def __init__(
        self, port: int, called: str, count: int, size: int, context: ssl.SSLContext | None
    ) -> None:
        self._where = port, called, context
        self._count, self._size = count, size
        self._faults: list[Exception] = []
        self._ready: threading.Barrier

    def seconds(self, associations: int, series: int) -> float:
        """Send ``count`` instances over each association; return the seconds from the first to the last answer."""
        self._ready = threading.Barrier(associations + 1)
        threads = [
            threading.Thread(target=self._send_all, args=(series + n,), daemon=True)
            for n in range(associations)
        ]
        for thread in threads:
            thread.start()
        try:
            self._ready.wait(TIMEOUT_S)
            begun = time.perf_counter()
            self._ready.wait(600.0)
            seconds = time.perf_counter() - begun
        except threading.BrokenBarrierError:
            raise Broken(f"sending failed: {self._faults[:1]}") from None
        for thread in threads:
            thread.join(TIMEOUT_S)
        return seconds

    def _send_all(self, series: int) -> None:
        try:
            with association(*self._where) as (sock, most):
                message = Message(series, most, self._size)
                send(sock, message)  # the first one makes the study
                self._ready.wait(TIMEOUT_S)
                for number in range(1, self._count + 1):
                    message.become(number)
                    send(sock, message)
                self._ready.wait(600.0)
        except (OSError, Broken, threading.BrokenBarrierError) as fault:
            self._faults.append(fault)
            self._ready.abort()


def main() -> None:
    """Send, and say how long it took."""
    port, called, associations, count, size, series, *rest = sys.argv[1:]
    folder = Path(rest[0]) if rest else None
    context = None
    if folder is not None:
        context = client_context(authorities=folder / AUTHORITY, certificate=folder / DEVICE)
    run = Run(int(port), called, int(count), int(size), context)
    seconds = run.seconds(int(associations), int(series))
    print(json.dumps({"seconds": seconds, "instances": int(associations) * int(count)}))


if __name__ == "__main__":
    main()
