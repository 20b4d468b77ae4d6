"""What has become of the instances that a request names: held, known to the caller, whole (PS3.3 section C.14.1.1)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from doorward.access.identity import Identity, Operation, Subject
from doorward.access.policy import decide
from doorward.access.rules import Rules
from doorward.archive.blobs.store import BlobStore
from doorward.archive.blobs.verify import is_whole
from doorward.archive.commitment.messages import (
    CLASS_CONFLICT,
    NO_SUCH_INSTANCE,
    PROCESSING_FAILURE,
    Found,
    Reference,
)
from doorward.archive.index.entry import HeldInstance
from doorward.archive.index.index import Index


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspection:
    """Looks at what is held. ``rules`` is asked at each study; ``now`` is aware."""

    index: Index
    blobs: BlobStore
    rules: Callable[[], Rules]
    now: Callable[[], datetime]

    async def found(
        self, references: Sequence[Reference], identity: Identity, *, is_hashed: bool
    ) -> Found:
        """Return what became of each. ``is_hashed``: an earlier look has read every blob, so name and length will do.

        Raises StorageError.
        """
        committed, failed = [], []
        studies: dict[str, None] = {}
        may_know: dict[tuple[int, str], bool] = {}
        page = self.index.limits.index_page
        for at in range(0, len(references), page):
            asked = references[at : at + page]
            uids = [one.sop_instance_uid for one in asked]
            held = {one.sop_instance_uid: one for one in await self.index.instances_with(uids)}
            for reference in asked:
                one = held.get(reference.sop_instance_uid)
                if one is not None and not await self._may_know(one, identity, may_know):
                    one = None
                reason = await self._failure(reference, one, is_hashed=is_hashed)
                if reason:
                    failed.append((reference, reason))
                elif one is not None:
                    committed.append(reference)
                    studies[one.study_uid] = None
        return Found(committed=tuple(committed), failed=tuple(failed), studies=tuple(studies))

    async def _may_know(
        self, one: HeldInstance, identity: Identity, known: dict[tuple[int, str], bool]
    ) -> bool:
        """Whether the caller may be told that this instance is held; ``known`` remembers it for its study."""
        key = (one.study, one.source)
        if key not in known:
            held = await self.index.studies_with(one.study_uid)
            subject = next((s.subject for s in held if s.number == one.study), None)
            known[key] = subject is not None and self._is_permitted(subject, one.source, identity)
        return known[key]

    def _is_permitted(self, subject: Subject, source: str, identity: Identity) -> bool:
        rules, now = self.rules(), self.now()
        operations = [Operation.COMMIT]
        if source != identity.name:
            operations.append(Operation.STORE)
        return all(decide(identity, o, subject, rules, now).is_allowed for o in operations)

    async def _failure(
        self, reference: Reference, one: HeldInstance | None, *, is_hashed: bool
    ) -> int:
        """Return the Failure Reason of one instance, 0 where it is committed."""
        if one is None:
            return NO_SUCH_INSTANCE
        if one.sop_class_uid != reference.sop_class_uid:
            return CLASS_CONFLICT
        if is_hashed:
            entry = await self.blobs.in_thread(self.blobs.shelf.entry, one.digest)
            is_there = entry is not None and entry.size_bytes == one.size_bytes
        else:
            is_there = await is_whole(self.blobs, one.digest, one.size_bytes)
        return 0 if is_there else PROCESSING_FAILURE
