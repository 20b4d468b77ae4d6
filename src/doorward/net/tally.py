"""What became of the sub-operations of one C-GET or C-MOVE: their counters, the first reason, and which ones failed."""

from collections.abc import Iterable

from doorward.dicom.part10 import is_deflated, syntax_of
from doorward.dicom.values import encode_identifier
from doorward.wire.status import StatusClass, classify

#: Failed SOP Instance UID List.
FAILED_SOP_INSTANCE_UID_LIST = 0x0008_0058
_SUCCESS = 0x0000
#: Warning: sub-operations complete, one or more failures or warnings (PS3.4 Tables C.4-2 and C.4-3).
_SOME_FAILED = 0xB000
#: Refused: out of resources, unable to perform sub-operations (PS3.4 Tables C.4-2 and C.4-3).
ALL_FAILED = 0xA702


class Tally:
    """Counts sub-operations. ``most_named``: how many of those that failed are named in the end."""

    def __init__(self, total: int, most_named: int) -> None:
        self._total = total
        self._most_named = most_named
        self._named: list[str] = []
        self.completed = self.failed = self.warned = 0
        #: Why the first one failed; "" while none has.
        self.reason = ""

    @property
    def done(self) -> int:
        """How many are over."""
        return self.completed + self.failed + self.warned

    @property
    def remaining(self) -> int:
        """How many are not."""
        return self._total - self.done

    def count(self, status: int) -> bool:
        """Count one by the status of its C-STORE; False where that is a failure, which ``fail`` counts."""
        match classify(status):
            case StatusClass.SUCCESS:
                self.completed += 1
            case StatusClass.WARNING:
                self.warned += 1
            case _:
                return False
        return True

    def fail(self, sop_instance_uids: Iterable[str], reason: str) -> None:
        """Count these as failed."""
        for uid in sop_instance_uids:
            self.failed += 1
            self.reason = self.reason or reason
            if len(self._named) < self._most_named:
                self._named.append(uid)

    def final_status(self) -> int:
        """Return the status of the final response (PS3.4 Tables C.4-2 and C.4-3)."""
        if self.failed and not self.completed and not self.warned:
            return ALL_FAILED
        return _SOME_FAILED if self.failed or self.warned else _SUCCESS

    def identifier(self, transfer_syntax_uid: str) -> bytes | None:
        """Return the identifier of the final response: who has failed; None where nobody has.

        The list is all that it holds, so without a failure there is none (PS3.4 sections C.4.2.1.4.2 and C.4.3.1.3.2).
        """
        if not self._named or is_deflated(transfer_syntax_uid):
            return None
        # As bytes: one that was taken in is named as it is, be it a UID by the rules or not.
        named = "\\".join(self._named).encode("ascii", "replace")
        attribute = (FAILED_SOP_INSTANCE_UID_LIST, "UI", named)
        return encode_identifier((attribute,), syntax_of(transfer_syntax_uid))
