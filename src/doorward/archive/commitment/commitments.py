"""Takes requests for storage commitment and sends their reports: when, where, and until when (PS3.4 section J.3).

Theory of operation. A request is a file before it is answered; ``run`` makes the reports, a few at a time, from what waits.
A report goes out on the device's own quiet association, or to its destination, or waits until the device calls again.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

from doorward.access.identity import Device, How, Identity, Operation, Person, Subject
from doorward.access.journal.journal import Journal
from doorward.access.journal.record import Entry as Record
from doorward.access.journal.record import Event
from doorward.access.journal.record import Outcome as Ending
from doorward.access.policy import NOT_THIS_STUDY, decide
from doorward.archive.blobs.store import BlobStore
from doorward.archive.callers import Callers
from doorward.archive.commitment.inspection import Inspection
from doorward.archive.commitment.messages import (
    PROCESSING_FAILURE,
    Found,
    encode_report,
    notice,
    read_request,
    unfit,
)
from doorward.archive.commitment.transactions import Transactions, Waiting
from doorward.archive.giving import Destination
from doorward.archive.in_force import InForce
from doorward.archive.index.index import Index
from doorward.errors import (
    AssociationAborted,
    DoorwardError,
    LimitExceeded,
    ReplyTimeout,
    StorageError,
)
from doorward.limits import DEFAULT_LIMITS, Limits
from doorward.net.application import Peer
from doorward.net.client import Proposal, associate
from doorward.net.notification import as_provider, report_event
from doorward.net.transfer import Answer
from doorward.wire.command import NActionRequest
from doorward.wire.negotiation import AcceptedContext
from doorward.wire.status import StatusClass, classify
from doorward.wire.uids import (
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    STORAGE_COMMITMENT_PUSH_MODEL,
)

#: Answers to N-ACTION (PS3.7 section 10.1.4.1.10).
_TAKEN = Answer(0x0000)
_NOT_AUTHORISED = 0x0124
_INVALID = Answer(0x0115, "No transaction, or no instances, in valid UIDs")
_TOO_MANY = Answer(0x0213, "Too many requests wait for their reports")
_STORAGE_FAILED = Answer(0x0110, "The storage has failed")
_SYNTAXES = (EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN)


@dataclass(slots=True)
class _Plan:
    """When a report is tried next."""

    due: float
    tries: int = 0
    is_running: bool = False
    #: Every blob was read and hashed by an earlier try, and none was damaged.
    is_hashed: bool = False


class Commitments:
    """Takes requests and sends reports. ``run`` must run for as long as the archive serves."""

    def __init__(
        self,
        *,
        transactions: Transactions,
        callers: Callers,
        index: Index,
        blobs: BlobStore,
        journal: Journal,
        settings: "Callable[[], InForce]",
        now: Callable[[], datetime],
        limits: Limits = DEFAULT_LIMITS,
    ) -> None:
        self._transactions = transactions
        self._callers = callers
        self._inspection = Inspection(
            index=index, blobs=blobs, rules=lambda: settings().rules, now=now
        )
        self._journal = journal
        self._settings = settings
        self._now = now
        self._limits = limits
        self._plans: dict[str, _Plan] = {}
        self._news = asyncio.Event()
        self._turn = asyncio.Lock()

    # --- requests ---------------------------------------------------------------------------------------------------

    async def ask(
        self,
        peer: Peer,
        context: AcceptedContext,
        request: NActionRequest,
        information: bytes,
        record: Record,
    ) -> Answer:
        """Return the answer to an N-ACTION; success says that the request is on disk. ``record``: address and titles."""
        misfit = unfit(context, request)
        if misfit is not None:
            return misfit
        identity = self._callers.who(peer)
        record = replace(record, event=Event.COMMIT, operation=Operation.COMMIT).by(identity)
        try:
            return await self._ask(peer, context, information, identity, record)
        except LimitExceeded as error:
            return Answer(_TOO_MANY.status, f"More than {error.limit} allows"[:64])
        except StorageError:
            return _STORAGE_FAILED

    async def _ask(
        self,
        peer: Peer,
        context: AcceptedContext,
        information: bytes,
        identity: Identity | None,
        record: Record,
    ) -> Answer:
        decision = decide(
            identity, Operation.COMMIT, Subject(), self._settings().rules, self._now()
        )
        # A refusal that is about some studies only is not about the whole request.
        if identity is None or (not decision.is_allowed and decision.reason != NOT_THIS_STUDY):
            refused = replace(record, event=Event.REFUSAL, outcome=Ending.REFUSED)
            reason, rule = decision.reason, decision.rule
            await self._journal.write(replace(refused, reason=reason, rule=rule))
            return Answer(_NOT_AUTHORISED, decision.reason)
        asked = read_request(information, context.transfer_syntax, self._limits)
        if asked is None:
            return _INVALID
        waiting = Waiting(
            transaction_uid=asked.transaction_uid,
            identity=identity.name,
            how=identity.how,
            calling_ae_title=record.calling_ae_title,
            peer=record.peer,
            asked_at=self._now().timestamp(),
            count=len(asked.references),
        )
        await self._journal.write(replace(record, instances=waiting.count, reason="asked for"))
        if not await asyncio.to_thread(self._transactions.add, waiting, asked.references):
            return _TOO_MANY
        self._plans[waiting.key] = _Plan(self._time() + self._limits.commitment_quiet_s)
        self._news.set()
        return _TAKEN

    def heard_from(self, name: str) -> None:
        """An association of this identity has begun: what waits for it is tried soon."""
        soon = self._time() + self._limits.commitment_quiet_s
        for waiting in self._transactions:
            plan = self._plans.get(waiting.key)
            if waiting.identity == name and plan is not None:
                plan.due = min(plan.due, soon)
                self._news.set()

    # --- when -------------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Send reports until cancelled; of several servers of one archive one does it."""
        async with self._turn, asyncio.TaskGroup() as tasks:
            while True:
                self._news.clear()
                try:
                    async with asyncio.timeout_at(self._begin_due(tasks)):
                        await self._news.wait()
                except TimeoutError:
                    pass

    def _begin_due(self, tasks: asyncio.TaskGroup) -> float | None:
        """Begin what is due, and return when the next one is."""
        now, dues = self._time(), []
        running = sum(plan.is_running for plan in self._plans.values())
        for waiting in self._transactions:
            plan = self._plans.setdefault(waiting.key, _Plan(now))
            if plan.is_running:
                continue
            if plan.due > now:
                dues.append(plan.due)
            elif running < self._limits.commitment_senders:
                plan.is_running = True
                running += 1
                tasks.create_task(self._try(waiting, plan))
        return min(dues, default=None)

    async def _try(self, waiting: Waiting, plan: _Plan) -> None:
        try:
            is_over = await self._report(waiting, plan)
            if is_over:
                await asyncio.to_thread(self._transactions.remove, waiting)
        except DoorwardError:
            is_over = False
        finally:
            plan.is_running = False
            self._news.set()
        if is_over:
            if self._plans.get(waiting.key) is plan:
                del self._plans[waiting.key]
            return
        limits = self._limits
        delay = limits.commitment_retry_s * 2.0 ** min(plan.tries, 30)
        plan.tries += 1
        plan.due = self._time() + min(delay, limits.commitment_longest_retry_s)
        if self._callers.of(waiting.identity):
            plan.due = min(plan.due, self._time() + limits.commitment_quiet_s)

    def _time(self) -> float:
        return asyncio.get_running_loop().time()

    # --- reports ----------------------------------------------------------------------------------------------------

    async def _report(self, waiting: Waiting, plan: _Plan) -> bool:
        """Return whether nothing is left to be done: it was reported, or is to be reported no more."""
        record = Record(
            event=Event.COMMIT,
            operation=Operation.COMMIT,
            peer=waiting.peer,
            calling_ae_title=waiting.calling_ae_title,
        )
        identity = self._identity_of(waiting)
        age_s = self._now().timestamp() - waiting.asked_at
        if identity is None or age_s > self._limits.commitment_age_s:
            reason = "nobody is left to report to" if identity is None else "could not be reported"
            failed = replace(record, outcome=Ending.FAILED, reason=reason, subject=waiting.identity)
            await self._journal.write(failed.by(identity))
            return True
        destination = self._destination_of(waiting, identity)
        if destination is None and self._quiet(waiting) is None:
            return False
        references = await asyncio.to_thread(self._transactions.references, waiting)
        found = await self._inspection.found(references, identity, is_hashed=plan.is_hashed)
        plan.is_hashed = all(reason != PROCESSING_FAILURE for _, reason in found.failed)
        to = await self._say(waiting, found, destination)
        if to is None:
            return False
        outcome = Ending.FAILED if found.failed else Ending.SUCCESS
        record = replace(record, outcome=outcome, destination=to, studies=found.studies)
        reason = f"{len(found.failed)} not committed" if found.failed else "committed"
        record = replace(record, instances=len(found.committed), reason=reason)
        await self._journal.write(record.by(identity))
        return True

    def _identity_of(self, waiting: Waiting) -> Identity | None:
        """Return who asked, as far as the register knows them now."""
        register = self._settings().register
        entry = next((one for one in register if one.name == waiting.identity), None)
        if entry is None or isinstance(entry, Person):
            return None
        is_device = isinstance(entry, Device)
        how = How(waiting.how)
        is_shown_so = is_device == (how in (How.CERTIFICATE, How.ADDRESS_AND_TITLE))
        return entry.identity(how) if is_shown_so else None

    def _destination_of(self, waiting: Waiting, identity: Identity) -> Destination | None:
        """Return where reports to this device go: by the title it called with if that is its own, else by another one."""
        titles = sorted(identity.ae_titles, key=lambda title: title != waiting.calling_ae_title)
        known = self._settings().destinations
        return next((known[title] for title in titles if title in known), None)

    def _quiet(self, waiting: Waiting) -> tuple[Peer, AcceptedContext] | None:
        """Return an association of the device on which a report may go out now."""
        for peer in self._callers.of(waiting.identity):
            if peer.session.quiet_s() < self._limits.commitment_quiet_s:
                continue
            for context in peer.session.connection.association.contexts.values():
                if context.abstract_syntax == STORAGE_COMMITMENT_PUSH_MODEL:
                    return peer, context
        return None

    async def _say(
        self, waiting: Waiting, found: Found, destination: Destination | None
    ) -> str | None:
        """Send the report and return where it went, "" for the device's own association; None where it did not arrive."""
        ae_title = self._settings().ae_title

        def encoded(transfer_syntax: str) -> bytes:
            return encode_report(waiting.transaction_uid, found, ae_title, transfer_syntax)

        quiet = self._quiet(waiting)
        if quiet is not None:
            peer, context = quiet
            information = encoded(context.transfer_syntax)
            try:
                status = await peer.session.notices.send(
                    context.id, lambda number: notice(number, found), information
                )
                return None if classify(status) is StatusClass.FAILURE else ""
            except (AssociationAborted, ReplyTimeout):
                pass  # it ended just then: a device may end its association whenever it likes
        if destination is None:
            return None
        status = await self._say_there(destination, ae_title, found, encoded)
        return None if classify(status) is StatusClass.FAILURE else destination.ae_title

    async def _say_there(
        self,
        destination: Destination,
        ae_title: str,
        found: Found,
        encoded: Callable[[str], bytes],
    ) -> int:
        plan = destination.plan((), ae_title, "")
        proposal = Proposal(
            called_ae_title=plan.called_ae_title,
            calling_ae_title=plan.calling_ae_title,
            contexts=[(STORAGE_COMMITMENT_PUSH_MODEL, _SYNTAXES)],
        )
        proposal = as_provider(proposal, STORAGE_COMMITMENT_PUSH_MODEL)
        async with associate(
            plan.address, plan.port, proposal, gate=plan.gate, tls=plan.tls, limits=self._limits
        ) as device:
            return await report_event(device, lambda number: notice(number, found), encoded)
