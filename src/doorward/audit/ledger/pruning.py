"""Forgetting: whole surveys, or their answers while verdicts and documents stay."""

from datetime import datetime

from doorward.audit.codec import to_json
from doorward.audit.ledger.reading import coverage
from doorward.audit.ledger.records import Pruned, ScanState
from doorward.audit.ledger.scans import Scans, utc_text
from doorward.audit.ledger.store import Store


def prune(
    store: Store,
    *,
    keep: int | None = None,
    before: datetime | None = None,
    only_answers: bool = False,
) -> Pruned:
    """Forget surveys beyond the ``keep`` newest, of these only what began ``before``; then give the room back.

    ``only_answers``: of finished surveys forget what was answered, which is most of the room. They can be reported and
    compared as ever, but not judged anew. What was forgotten cannot be read out of the file any more.
    """
    numbers = _chosen(store, keep, before)
    if only_answers:
        rows = (Scans(store).row(number) for number in numbers)
        ended = [r.number for r in rows if r.state is ScanState.FINISHED and r.has_answers]
        found = Pruned(scans=len(ended), answers=sum(_forget_answers(store, n) for n in ended))
    else:
        found = Pruned(scans=len(numbers), answers=sum(_forget(store, n) for n in numbers))
    if found.scans:
        store.execute("VACUUM")
        store.row("PRAGMA wal_checkpoint(TRUNCATE)")
    return found


def discard(store: Store, scan: int) -> None:
    """Forget a survey that never began: its targets could not be planned."""
    _forget(store, scan)


def _chosen(store: Store, keep: int | None, before: datetime | None) -> list[int]:
    if keep is None and before is None:
        return []
    until = "9999" if before is None else utc_text(before)
    return [
        row[0]
        for row in store.rows(
            "SELECT number FROM scans WHERE started_at < ? AND number NOT IN"
            " (SELECT number FROM scans ORDER BY number DESC LIMIT ?)",
            (until, keep or 0),
        )
    ]


def _forget(store: Store, scan: int) -> int:
    with store.transaction():
        answers = _delete_answers(store, scan)
        store.execute("DELETE FROM scans WHERE number = ?", (scan,))
    return answers


def _forget_answers(store: Store, scan: int) -> int:
    with store.transaction():
        seen = to_json(coverage(store, scan))
        store.execute("UPDATE scans SET coverage = ? WHERE number = ?", (seen, scan))
        return _delete_answers(store, scan)


def _delete_answers(store: Store, scan: int) -> int:
    return store.execute(
        "DELETE FROM answers WHERE system IN (SELECT number FROM systems WHERE scan = ?)", (scan,)
    )
