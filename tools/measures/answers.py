"""An archive that answers one C-FIND from memory, as fast as a socket takes it: ``python -m measures.answers MOST``.

How many matches it has stands in the called AE title ("N200000"). All of them lie in one buffer before the clock starts,
so that what is measured is the reader.
"""

import socket
import sys
import threading

from doorward.wire.command import CFindRequest
from doorward.wire.pdu import PduType
from measures import pdus
from measures.processes import HOST, until_stdin_ends


class Archive:
    """All answers, prepared for the message and context id that every contestant happens to use."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._prepared: dict[tuple[int, int], tuple[bytes, int]] = {}
        self.prepare(CFindRequest(message_id=1, affected_sop_class_uid="1"), pdus.CONTEXT_ID)

    def prepare(self, request: CFindRequest, context_id: int) -> tuple[bytes, int]:
        """Return all answers to a request and the size of one."""
        key = (request.message_id, context_id)
        if key not in self._prepared:
            self._prepared[key] = pdus.answers(request, context_id, self._most)
        return self._prepared[key]

    def converse(self, sock: socket.socket) -> None:
        """Serve one association."""
        count, request, context_id = 0, None, 0
        with sock:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            while True:
                pdu_type, body = pdus.receive_pdu(sock)
                if pdu_type == PduType.ASSOCIATE_RQ:
                    asked, accept = pdus.accept_all(body)
                    count = min(self._most, int(asked.called_ae_title[1:]))
                    sock.sendall(accept)
                elif pdu_type == PduType.DATA_TF:
                    context_id, command, is_whole = pdus.received_command(body)
                    request = command if isinstance(command, CFindRequest) else request
                    if is_whole and request is not None:
                        buffer, size = self.prepare(request, context_id)
                        sock.sendall(memoryview(buffer)[: count * size])
                        sock.sendall(pdus.end_of_answers(request, context_id))
                else:
                    if pdu_type == PduType.RELEASE_RQ:
                        sock.sendall(pdus.RELEASE_RP)
                    return

    def serve(self, listener: socket.socket) -> None:
        """Accept for ever, one association after the other."""
        while True:
            sock, _ = listener.accept()
            try:
                self.converse(sock)
            except ConnectionError:
                continue  # whoever that was tells it on the other side


def main() -> None:
    archive = Archive(int(sys.argv[1]))
    with socket.socket() as listener:
        listener.bind((HOST, 0))
        listener.listen()
        threading.Thread(target=archive.serve, args=(listener,), daemon=True).start()
        until_stdin_ends(listener.getsockname()[1])


if __name__ == "__main__":
    main()
