"""Devices that ask for storage commitment: one of ours on its own association, and pynetdicom's that is reported to."""

import queue
import ssl
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from pydicom import Dataset
from pynetdicom import AE, evt

from doorward.archive.commitment.messages import Reference
from doorward.dicom.attributes import read_attributes
from doorward.dicom.values import encode_identifier
from doorward.dicom.walk import Syntax
from doorward.net.client import Requestor
from doorward.wire.command import (
    Command,
    NActionRequest,
    NActionResponse,
    NEventReportRequest,
    NEventReportResponse,
)
from doorward.wire.pdu import Fragment
from doorward.wire.uids import (
    EXPLICIT_VR_LITTLE_ENDIAN,
    STORAGE_COMMITMENT_PUSH_MODEL,
    STORAGE_COMMITMENT_PUSH_MODEL_INSTANCE,
)
from index_entries import CT, TAG_OF

HOST = "127.0.0.1"
COMMITMENT = (STORAGE_COMMITMENT_PUSH_MODEL, (EXPLICIT_VR_LITTLE_ENDIAN,))
WAIT_S = 10.0


def information(
    transaction_uid: str,
    references: Iterable[tuple[str, str]],
    syntax: Syntax = Syntax.EXPLICIT_LITTLE,
) -> bytes:
    """Return the data set of an N-ACTION about (SOP class, SOP instance)."""
    items = [
        [
            (TAG_OF["ReferencedSOPClassUID"], "UI", sop_class),
            (TAG_OF["ReferencedSOPInstanceUID"], "UI", instance),
        ]
        for sop_class, instance in references
    ]
    elements: list[Any] = [
        (TAG_OF["TransactionUID"], "UI", transaction_uid),
        (TAG_OF["ReferencedSOPSequence"], "SQ", items),
    ]
    return encode_identifier(elements, syntax)


def references(*uids: str, sop_class_uid: str = CT) -> list[Reference]:
    """Return what is asked about: CT images."""
    return [Reference(sop_class_uid, uid) for uid in uids]


def told(event_type: int, data: bytes) -> tuple[int, str, list[str], dict[str, int]]:
    """Return what a report says: its event type, its transaction, what is committed, and Failure Reasons by instance."""
    view = read_attributes(data, Syntax.EXPLICIT_LITTLE)

    def items(keyword: str) -> list[Any]:
        return list(view[TAG_OF[keyword]].items) if TAG_OF[keyword] in view else []

    def uid(item: Any) -> str:
        return str(item[TAG_OF["ReferencedSOPInstanceUID"]].values[0])

    committed = [uid(item) for item in items("ReferencedSOPSequence")]
    reason = TAG_OF["FailureReason"]
    failed = {uid(item): int(item[reason].values[0]) for item in items("FailedSOPSequence")}
    return event_type, view[TAG_OF["TransactionUID"]].values[0], committed, failed


class Committing:
    """An N-ACTION, and the report that may come behind it on the same association."""

    def __init__(self, requestor: Requestor, *, waits: bool, answer: int = 0) -> None:
        self._requestor = requestor
        self._waits = waits
        self._answer = answer
        self._report: tuple[int, NEventReportRequest] | None = None
        self._data = b""
        self.response: NActionResponse | None = None
        self.event_type = 0
        self.is_done = False

    def command(self, context_id: int, command: Command) -> None:
        """The answer, or the report."""
        if isinstance(command, NActionResponse):
            self.response = command
            self.is_done = not self._waits or command.status != 0
        elif isinstance(command, NEventReportRequest):
            self._report = context_id, command

    def fragment(self, fragment: Fragment, is_last: bool) -> None:
        """A piece of the report; it is answered when it is whole."""
        assert self._report is not None
        self._data += bytes(fragment)
        if not is_last:
            return
        context_id, request = self._report
        self.event_type, self.is_done = request.event_type_id, True
        answer = NEventReportResponse(
            message_id_being_responded_to=request.message_id,
            affected_sop_class_uid=request.affected_sop_class_uid,
            status=self._answer,
        )
        self._requestor.connection.association.send_message(context_id, answer)

    def told(self) -> tuple[int, str, list[str], dict[str, int]]:
        """Return what the report says."""
        return told(self.event_type, self._data)


async def ask(
    requestor: Requestor, data: bytes, *, waits: bool = False, answer: int = 0, **changes: Any
) -> Committing:
    """Send an N-ACTION; with ``waits`` the report is waited for, and answered with a status."""
    context = requestor.context_for(STORAGE_COMMITMENT_PUSH_MODEL)
    assert context is not None
    asking = Committing(requestor, waits=waits, answer=answer)
    fields: dict[str, Any] = {
        "has_data_set": True,
        "requested_sop_class_uid": STORAGE_COMMITMENT_PUSH_MODEL,
        "requested_sop_instance_uid": STORAGE_COMMITMENT_PUSH_MODEL_INSTANCE,
        "action_type_id": 1,
    } | changes

    def make(message_id: int) -> NActionRequest:
        return NActionRequest(message_id=message_id, **fields)

    await requestor.perform(context, make, asking, data=data if fields["has_data_set"] else None)
    return asking


async def hear(requestor: Requestor) -> Committing:
    """Wait for a report, and take it."""
    hearing = Committing(requestor, waits=True)
    requestor.begin(hearing)
    await requestor.finish(hearing)
    return hearing


@contextmanager
def closing_sockets() -> Iterator[Any]:
    """Give a handler of pynetdicom, and close in the end what it leaves open where its peer closes first."""
    opened: list[Any] = []

    def keep(event: Any) -> None:
        opened.append(event.assoc.dul.socket.socket)

    try:
        yield (evt.EVT_CONN_OPEN, keep)
    finally:
        for one in opened:
            if one is not None:
                one.close()


class Reported:
    """A device of pynetdicom's that is reported to on an association of the archive's."""

    def __init__(self, status: int) -> None:
        self.status = status
        self.port = 0
        self.reports: queue.Queue[tuple[int, Dataset, str]] = queue.Queue()

    def take(self, event: Any) -> tuple[int, None]:
        """Keep a report."""
        title = str(event.assoc.requestor.ae_title).strip()
        self.reports.put((event.event_type, event.event_information, title))
        return self.status, None

    def next(self) -> tuple[int, Dataset, str]:
        """Return the next report: event type, data set, and who has called."""
        return self.reports.get(timeout=WAIT_S)


@contextmanager
def reported(
    ae_title: str = "CT1",
    *,
    status: int = 0,
    is_scu: bool = True,
    tls: ssl.SSLContext | None = None,
) -> Iterator[Reported]:
    """Listen for reports; without ``is_scu`` it does not agree that its caller is the SCP."""
    entity = AE(ae_title)
    role = {"scu_role": True, "scp_role": True} if is_scu else {}
    entity.add_supported_context(STORAGE_COMMITMENT_PUSH_MODEL, **role)
    entity.require_called_aet = True
    one = Reported(status)
    with closing_sockets() as closing:
        handlers: Any = [(evt.EVT_N_EVENT_REPORT, one.take), closing]
        server = entity.start_server((HOST, 0), block=False, evt_handlers=handlers, ssl_context=tls)
        assert server is not None
        one.port = server.server_address[1]
        try:
            yield one
        finally:
            server.shutdown()
            for association in entity.active_associations:
                association.join(WAIT_S)
            entity.shutdown()
