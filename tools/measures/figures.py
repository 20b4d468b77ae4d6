"""Rows of the table: what came out, what was wanted, and whether it was reached.

A ratio is the median of the ratios of single rounds, because the two sides of one round share the state of the machine.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One row. ``target`` is the least ratio wanted; without one the row informs only."""

    group: str
    name: str
    value: str
    ratio: float | None = None
    spread: tuple[float, float] | None = None
    target: float | None = None
    note: str = ""

    @property
    def is_missed(self) -> bool:
        """A target was set and not reached."""
        return self.target is not None and (self.ratio is None or self.ratio < self.target)

    @property
    def verdict(self) -> str:
        """PASS, MISS, or nothing where no target was set."""
        if self.target is None:
            return ""
        return "MISS" if self.is_missed else "PASS"


@dataclass(frozen=True, slots=True, kw_only=True)
class Missing:
    """What could not be measured here, and why."""

    group: str
    name: str
    reason: str


Row = Figure | Missing


def rate(
    group: str, name: str, rates: Sequence[float], unit: str, *, note: str = "", digits: int = 0
) -> Figure:
    """Return a row for the median of several rates."""
    return Figure(group=group, name=name, value=f"{median(rates):,.{digits}f} {unit}", note=note)


def compared(
    group: str,
    name: str,
    ours: Sequence[float],
    theirs: Sequence[float],
    *,
    target: float | None = None,
    note: str = "",
) -> Figure:
    """Return a row for the ratio of two rates, round by round."""
    ratios = [a / b for a, b in zip(ours, theirs, strict=True)]
    return Figure(
        group=group,
        name=name,
        value="",
        ratio=median(ratios),
        spread=(min(ratios), max(ratios)),
        target=target,
        note=note,
    )


def table(rows: Sequence[Row]) -> str:
    """Return the rows as text, one line each."""
    width = max((len(row.name) for row in rows), default=0)
    lines = [f"    {'':{width}}  {'measured':>20}  {'ratio':>8}  {'rounds':>14}  {'target':>7}"]
    for row in rows:
        if isinstance(row, Missing):
            lines.append(f"({row.group}) {row.name:{width}}  not measured: {row.reason}")
            continue
        ratio = "" if row.ratio is None else f"{row.ratio:.2f}x"
        spread = "" if row.spread is None else f"{row.spread[0]:.2f}-{row.spread[1]:.2f}"
        target = "" if row.target is None else f">={row.target:g}x"
        cells = f"{row.value:>20}  {ratio:>8}  {spread:>14}  {target:>7}  {row.verdict:4}"
        lines.append(f"({row.group}) {row.name:{width}}  {cells}  {row.note}".rstrip())
    return "\n".join(lines)
