"""What is said on standard error while an audit runs: a status line on a terminal, lines with --verbose, else nothing."""

import sys
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.status import Status
from rich.text import Text

from doorward.audit.facts import Attempt, SystemFacts
from doorward.audit.report.untrusted import harmless
from doorward.audit.targets import Target


class Progress:
    """The survey's observer: talks, and keeps what is finished in case the operator interrupts."""

    def __init__(self, *, targets: int, verbose: bool) -> None:
        self.finished: list[SystemFacts] = []
        self._targets = targets
        self._verbose = verbose
        self._console = Console(file=sys.stderr, highlight=False)
        self._status = Status("", console=self._console)

    def __enter__(self) -> Self:
        if self._console.is_terminal and not self._verbose:
            self._status.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._status.stop()

    def system_started(self, target: Target) -> None:
        """Say who is asked now."""
        self._show(f"asking {target.host}")
        self._line(f"{target.host}: started")

    def probe_finished(self, attempt: Attempt) -> None:
        """Say which question was answered."""
        self._show(f"asked {attempt.endpoint}: {attempt.probe}")
        reason = f", {attempt.reason}" if attempt.reason else ""
        self._line(
            f"{attempt.endpoint} {attempt.probe}: {attempt.outcome.value}{reason} "
            f"({attempt.connections} connections, {attempt.duration_s:.1f} s)"
        )

    def system_finished(self, system: SystemFacts) -> None:
        """Keep the facts of a system that is done."""
        self.finished.append(system)
        self._show(f"finished {system.address}")
        self._line(f"{system.address}: finished")

    def _show(self, doing: str) -> None:
        done = f"{len(self.finished)} of {self._targets} systems done, "
        self._status.update(Text(harmless(done + doing)))

    def _line(self, text: str) -> None:
        if self._verbose:
            self._console.print(Text(harmless(text)), soft_wrap=True)
