"""One row for each survey: what it was to do, how far it came, how it ended."""

from datetime import UTC, datetime
from typing import Any

from doorward.audit.codec import from_json, to_json
from doorward.audit.ledger.records import Coverage, ScanPlan, ScanRow, ScanState
from doorward.audit.ledger.store import Store
from doorward.errors import ConfigError

_SELECT = "SELECT number, plan, state, ended_at, targets, coverage FROM scans"


class Scans:
    """The surveys of one ledger."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def begin(self, plan: ScanPlan) -> int:
        """Write a new survey down and return its number."""
        return self._store.insert(
            "INSERT INTO scans (state, started_at, plan) VALUES (?, ?, ?)",
            (ScanState.RUNNING.value, utc_text(plan.started_at), to_json(plan)),
        )

    def all(self) -> tuple[ScanRow, ...]:
        """Return all surveys, oldest first."""
        found = self._store.rows(f"{_SELECT} ORDER BY number")
        return tuple(self._row(row) for row in found)

    def row(self, scan: int) -> ScanRow:
        """Return one survey; ConfigError where there is none of that number."""
        found = self._store.row(f"{_SELECT} WHERE number = ?", (scan,))
        if found is None:
            hint = "'doorward ledger list' shows those that are there."
            raise ConfigError(f"has no survey number {scan}", file=self._store.file, hint=hint)
        return self._row(found)

    def unfinished(self) -> ScanRow | None:
        """Return the newest survey that was not finished: killed, interrupted, or running now."""
        found = self._store.row(
            f"{_SELECT} WHERE state <> ? ORDER BY number DESC LIMIT 1",
            (ScanState.FINISHED.value,),
        )
        return None if found is None else self._row(found)

    def mark_planned(self, scan: int, targets: int) -> None:
        """Note that every system is written down; ``targets``: how many targets the operator named."""
        self._store.execute("UPDATE scans SET targets = ? WHERE number = ?", (targets, scan))

    def resume(self, scan: int) -> None:
        """Note that a survey goes on."""
        self._store.execute(
            "UPDATE scans SET state = ?, ended_at = NULL WHERE number = ?",
            (ScanState.RUNNING.value, scan),
        )

    def end(self, scan: int, *, state: ScanState, at: datetime) -> None:
        """Note how a survey ended; ``at`` is aware."""
        self._store.execute(
            "UPDATE scans SET state = ?, ended_at = ? WHERE number = ?",
            (state.value, utc_text(at), scan),
        )

    def frozen_coverage(self, scan: int) -> Coverage | None:
        """Return the coverage of a survey whose answers were pruned, else None."""
        found = self._store.row("SELECT coverage FROM scans WHERE number = ?", (scan,))
        if found is None or found[0] is None:
            return None
        return from_json(Coverage, found[0], file=self._store.file)

    def _row(self, row: Any) -> ScanRow:
        number, plan, state, ended_at, targets, coverage = row
        try:
            if not isinstance(targets, int | None):
                raise TypeError
            return ScanRow(
                number=number,
                plan=from_json(ScanPlan, plan, file=self._store.file),
                state=ScanState(state),
                ended_at=None if ended_at is None else _utc(ended_at),
                targets=targets,
                has_answers=coverage is None,
            )
        except (TypeError, ValueError, OverflowError):
            message = "is damaged: the row of a survey is unreadable"
            raise ConfigError(message, file=self._store.file) from None


def _utc(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def utc_text(moment: datetime) -> str:
    """Return an aware time so that text and time have one order."""
    assert moment.tzinfo is not None
    return moment.astimezone(UTC).isoformat(timespec="seconds")
