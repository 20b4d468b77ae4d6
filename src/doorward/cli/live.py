"""What is said on standard error while a survey runs: a live line on a terminal, now and then a plain line otherwise."""

import sys
import time
from types import TracebackType
from typing import Self

from rich.console import Console, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from doorward.audit.facts import Attempt, SystemFacts
from doorward.audit.report.untrusted import harmless
from doorward.audit.report.wording import RUNGS
from doorward.audit.standing import Standing
from doorward.audit.targets import Target
from doorward.audit.traffic import Traffic

#: Seconds between two plain lines.
_LINE_EVERY_S = 15.0
_RUNGS = ("", "E0", "E1", "E2", "E3", "E4", "E5", "E6", "E7")
_ACHIEVED = {"E0": "meets silence", **dict(RUNGS)}


class SurveyScreen:
    """The survey's observer: how far it is, what it has found, how fast it goes, how long it will take."""

    def __init__(
        self,
        *,
        systems: int,
        done: int,
        unprotected: int,
        verbose: bool = False,
    ) -> None:
        self._systems = systems
        self._done_before = done
        self._done = done
        self._open = unprotected
        self._worst = ""
        self._traffic: Traffic | None = None
        self._verbose = verbose
        self._doing = ""
        self._began = self._last_line = time.monotonic()
        self._console = Console(file=sys.stderr, highlight=False)
        self._live = Live(
            get_renderable=self._screen,
            console=self._console,
            refresh_per_second=4,
            transient=True,
            auto_refresh=self._is_live,
        )

    @property
    def _is_live(self) -> bool:
        return self._console.is_terminal and not self._verbose

    def following(self, traffic: Traffic) -> Self:
        """Show the rate of this traffic; returns the screen, to be entered."""
        self._traffic = traffic
        return self

    def __enter__(self) -> Self:
        if self._is_live:
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._is_live:
            self._live.stop()
        self.say(self.sentence())

    # --- the survey tells -----------------------------------------------------------------------------------------

    def system_started(self, target: Target) -> None:
        """Remember who is asked now."""
        self._doing = target.host

    def probe_finished(self, attempt: Attempt) -> None:
        """Say which question was answered, where that is wanted."""
        if self._verbose:
            reason = f", {attempt.reason}" if attempt.reason else ""
            self.say(f"{attempt.endpoint} {attempt.probe}: {attempt.outcome.value}{reason}")

    def system_finished(self, system: SystemFacts) -> None:
        """The verdict follows."""

    def judged(self, standing: Standing) -> None:
        """Count one more that is done."""
        self._done += 1
        self._open += standing.is_unprotected and not standing.is_suspected
        self._worst = max(
            (self._worst, *(r for r in standing.rungs if r in _RUNGS)), key=_RUNGS.index
        )
        if not self._is_live and time.monotonic() - self._last_line >= _LINE_EVERY_S:
            self._last_line = time.monotonic()
            self.say(self.sentence())

    def waiting(self, seconds: float) -> None:
        """Say that the hours do not allow to ask now."""
        self.say(f"outside the time window, which opens in {span(seconds)}; Ctrl-C ends the wait")

    def say(self, message: str) -> None:
        """Say a line, above the live one where there is one."""
        self._console.print(Text(harmless(f"doorward: {message}")), soft_wrap=True)

    # --- words ----------------------------------------------------------------------------------------------------

    def sentence(self) -> str:
        """Return how it stands in one line."""
        parts = [f"{self._done:,} of {self._systems:,} systems", f"{self._open:,} open"]
        if self._worst:
            parts.append(f"worst: a stranger {_ACHIEVED[self._worst]}")
        parts.append(f"{self._rate():.1f} connections/s")
        left = self._left()
        return ", ".join(parts) + (f", about {left} left" if left else "")

    def _rate(self) -> float:
        connections = 0 if self._traffic is None else self._traffic.connections
        return connections / max(time.monotonic() - self._began, 0.001)

    def _left(self) -> str:
        done, waiting = self._done - self._done_before, self._systems - self._done
        if not done or not waiting:
            return ""
        return span((time.monotonic() - self._began) / done * waiting)

    def _screen(self) -> RenderableType:
        grid = Table.grid(padding=(0, 1), expand=False)
        bar = ProgressBar(total=max(self._systems, 1), completed=self._done, width=24)
        grid.add_row(bar, Text(self.sentence()))
        grid.add_row(Text(""), Text(harmless(f"asking {self._doing}"), style="dim"))
        return grid


def span(seconds: float) -> str:
    """Return a span of time as people say it: "38 s", "12 min", "3.5 h", "2.5 days"."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 90 * 60:
        return f"{seconds / 60:.0f} min"
    if seconds < 48 * 3600:
        return f"{seconds / 3600:.1f} h"
    return f"{seconds / 86_400:.1f} days"
