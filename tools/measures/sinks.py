"""Servers that receive and forget, each a process of its own: ``python -m measures.sinks KIND``.

``ours`` and ``pynetdicom`` take every C-STORE and discard it, with the largest PDU that each announces by default;
``pynetdicom-large`` announces what ours does. ``closed`` is our server without an application: it refuses everybody.
"""

import asyncio
import sys
from dataclasses import replace

from doorward.limits import DEFAULT_LIMITS
from measures.processes import HOST, allow_many_files, until_stdin_ends

TITLE = "SINK"


def serve_ours(*, is_closed: bool) -> None:
    from doorward.net.application import Application, Peer
    from doorward.net.client import IMPLEMENTATION_CLASS_UID
    from doorward.net.server import serve
    from doorward.wire.command import CStoreRequest
    from doorward.wire.negotiation import AcceptedContext
    from doorward.wire.pdu import (
        AnsweredContext,
        AssociateAccept,
        AssociateReject,
        AssociateRequest,
        UserInformation,
    )

    class Discard:
        """One instance: nothing of it is kept."""

        def fragment(self, fragment: bytes) -> None:
            pass

        def end(self) -> int:
            return 0

        def abandon(self) -> None:
            pass

    class Sink(Application):
        """Accepts every context in its first transfer syntax."""

        def associate(
            self, peer: Peer, request: AssociateRequest
        ) -> AssociateAccept | AssociateReject | None:
            return AssociateAccept(
                called_ae_title=request.called_ae_title,
                calling_ae_title=request.calling_ae_title,
                presentation_contexts=tuple(
                    AnsweredContext(id=c.id, result=0, transfer_syntax=c.transfer_syntaxes[0])
                    for c in request.presentation_contexts
                ),
                user_information=UserInformation(
                    max_pdu_bytes=limits.max_pdu_bytes,
                    implementation_class_uid=IMPLEMENTATION_CLASS_UID,
                ),
            )

        def store(self, peer: Peer, context: AcceptedContext, request: CStoreRequest) -> Discard:
            return Discard()

    limits = replace(DEFAULT_LIMITS, associations=4_000, associations_per_peer=4_000)

    async def run() -> None:
        application = Application() if is_closed else Sink()
        async with serve(application, limits=limits) as server:
            port = await server.listen(HOST, 0)
            await asyncio.to_thread(until_stdin_ends, port)

    asyncio.run(run())


def serve_pynetdicom(*, is_large: bool) -> None:
    from pynetdicom import AE, StoragePresentationContexts, evt

    entity = AE(TITLE)
    entity.maximum_associations = 1_000
    if is_large:
        entity.maximum_pdu_size = DEFAULT_LIMITS.max_pdu_bytes
    entity.network_timeout = None
    entity.supported_contexts = StoragePresentationContexts
    server = entity.start_server(
        (HOST, 0), block=False, evt_handlers=[(evt.EVT_C_STORE, lambda _: 0x0000)]
    )
    assert server is not None
    until_stdin_ends(server.server_address[1])
    server.shutdown()


def main() -> None:
    allow_many_files(4_000)
    kind = sys.argv[1]
    if kind.startswith("pynetdicom"):
        serve_pynetdicom(is_large=kind == "pynetdicom-large")
    else:
        serve_ours(is_closed=kind == "closed")


if __name__ == "__main__":
    main()
