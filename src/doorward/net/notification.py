"""N-EVENT-REPORT: whoever has performed something tells the peer that asked for it (PS3.7 section 10.1.1).

On an association of ours we are the SCP of its service all the same: so the SCP role is proposed (PS3.7 section D.3.3.4),
and a report is sent only where the peer has agreed (``report_event``). On an association that the peer asked for, roles are
what they are, and ``Notices`` sends one report at a time while the peer's own operations go on.
"""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from doorward.errors import AssociationAborted, LocalProtocolError, ReplyTimeout
from doorward.net.client import Proposal, Requestor
from doorward.net.operations import Single
from doorward.wire.command import NEventReportRequest, NEventReportResponse
from doorward.wire.pdu import RoleSelection

if TYPE_CHECKING:
    from doorward.net.session import Session

#: Makes the command of a report from its message id.
MakeReport = Callable[[int], NEventReportRequest]


def as_provider(proposal: Proposal, sop_class_uid: str) -> Proposal:
    """Return the proposal with the role of an SCP, and of nothing else, for one of its SOP classes."""
    role = RoleSelection(sop_class_uid=sop_class_uid, scu_role=False, scp_role=True)
    return replace(proposal, role_selections=(*proposal.role_selections, role))


async def report_event(
    requestor: Requestor, make: MakeReport, information: Callable[[str], bytes]
) -> int:
    """Send one report and return the status of its answer; raises like ``Requestor.perform``.

    ``information`` makes its data set for the transfer syntax that was agreed on. LocalProtocolError where the peer accepted
    no context for the class, or not that we are its SCP.
    """
    sop_class_uid = make(1).affected_sop_class_uid
    context = requestor.context_for(sop_class_uid)
    accept = requestor.accept
    roles = accept.user_information.role_selections if accept is not None else ()
    if context is None or not any(r.sop_class_uid == sop_class_uid and r.scp_role for r in roles):
        raise LocalProtocolError(f"the peer does not take reports about {sop_class_uid}")
    operation = Single(NEventReportResponse)
    data = information(context.transfer_syntax)
    await requestor.perform(context, make, operation, data=data)
    return operation.status


class Notices:
    """Reports on one association that the peer asked for."""

    def __init__(self, session: "Session") -> None:
        self._session = session
        self._answer: asyncio.Future[int] | None = None
        self._message_id = 0

    @property
    def is_waiting(self) -> bool:
        """A report is not answered yet."""
        return self._answer is not None

    async def send(self, context_id: int, make: MakeReport, information: bytes) -> int:
        """Send one report and return the status of its answer.

        Raises AssociationAborted, ReplyTimeout; LocalProtocolError where nothing can be sent, or another one waits.
        """
        if self._answer is not None:
            raise LocalProtocolError("another N-EVENT-REPORT is not answered yet")
        self._message_id = self._message_id % 65_535 + 1
        answer: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._answer = answer
        limit_s = self._session.connection.limits.reply_s
        try:
            self._session.send_now(context_id, make(self._message_id), information)
            async with asyncio.timeout(limit_s):
                await answer
        except TimeoutError:
            raise ReplyTimeout(f"no answer for {limit_s:g} s") from None
        finally:
            self._answer = None
        return answer.result()

    def answered(self, response: NEventReportResponse) -> None:
        """Take the answer; one to something that was never said is dropped."""
        is_ours = response.message_id_being_responded_to == self._message_id
        if self._answer is not None and is_ours and not self._answer.done():
            self._answer.set_result(response.status)

    def abandon(self) -> None:
        """The association is over."""
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(
                AssociationAborted("the association ended before the answer", by_peer=True)
            )
