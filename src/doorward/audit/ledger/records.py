"""The values that go into a ledger and come out of it."""

from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum


class ScanState(StrEnum):
    """How a survey stands."""

    RUNNING = "running"  # or killed: nobody wrote that it ended
    INTERRUPTED = "interrupted"
    FINISHED = "finished"


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanPlan:
    """What was to be done, and under which authorisation. Kept as JSON, so fields may be added."""

    #: Aware.
    started_at: datetime
    #: The level that was asked for; a system's own may be lower.
    clearance_level: int
    ports: tuple[int, ...]
    #: JSON of everything else that a resumed survey must not change.
    settings: str = "{}"
    organisation: str = ""
    authorised_by: str = ""
    #: The last valid day; None for loopback.
    valid_until: date | None = None
    #: Of the scope file; "" for loopback.
    scope_sha256: str = ""
    #: The operator's own word for this survey.
    label: str = ""
    #: Of Doorward.
    version: str = ""
    #: Of what was named on the command line and in files.
    targets_sha256: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanRow:
    """One survey of the ledger."""

    number: int
    plan: ScanPlan
    state: ScanState
    ended_at: datetime | None = None
    #: How many targets the operator named; None while the planning has not come to its end.
    targets: int | None = None
    #: False: the answers were pruned; verdicts and documents are all there is.
    has_answers: bool = True

    @property
    def is_planned(self) -> bool:
        """All systems to visit are written down."""
        return self.targets is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Added:
    """What became of targets: new systems, and further mentions of known ones."""

    new: int = 0
    merged: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a survey has come."""

    systems: int = 0
    done: int = 0
    answers: int = 0
    connections: int = 0
    #: Honeypots and demonstrations are left out of this number and of the rungs.
    unprotected: int = 0
    suspected: int = 0
    #: How many systems reached each rung.
    rungs: dict[str, int] = field(default_factory=dict)

    @property
    def waiting(self) -> int:
        """Systems without a verdict."""
        return self.systems - self.done

    @property
    def worst(self) -> str:
        """The highest rung that any system reached, E0 to E7; "" where none did."""
        return max((rung for rung in self.rungs if rung.startswith("E")), default="")


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """How much of what was to be asked has been answered."""

    targets: int = 0
    #: With a verdict.
    systems: int = 0
    ports: int = 0
    connections: int = 0
    questions_answered: int = 0
    questions_inconclusive: int = 0
    questions_failed: int = 0
    questions_not_asked: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Pruned:
    """What was forgotten."""

    scans: int = 0
    answers: int = 0
