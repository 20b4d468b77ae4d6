"""One line about one system of a survey: what is read of its document where nobody needs all of it.

A document holds a hundred findings; here the JSON is read and what the line does not need is dropped at once, which takes
a fraction of the time of the whole model.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict

from doorward.audit.report.figures import cell
from doorward.audit.report.model import CountModel
from doorward.audit.report.untrusted import harmless
from doorward.audit.report.wording import Tone


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """One system in one line; all texts are harmless and for people."""

    address: str
    name: str
    site: str
    country: str
    grade: str
    tone: Tone
    rungs: str
    #: "–" where strangers see none.
    studies: str
    images: str
    #: What to do first: of the gravest failed check; "" where nothing failed.
    step: str
    is_suspected: bool = False
    #: Nobody spoke DICOM and nothing else worth a line was seen.
    is_quiet: bool = False


class _Read(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class _Finding(_Read):
    verdict: str
    severity: str
    remediation: str


class _Counts(_Read):
    studies: CountModel
    images: CountModel


class _Honeypot(_Read):
    is_suspected: bool = False


class _System(_Read):
    address: str
    name: str
    country: str = ""
    site: str = ""
    grade: str
    score: int | None
    ladder: tuple[str, ...]
    counts: _Counts
    findings: tuple[_Finding, ...]
    honeypot: _Honeypot | None = None
    shows_imaging: bool = True


def listed(document: str) -> Listed:
    """Return the line about a system from its JSON document; ValueError where it is none."""
    return _line(_System.model_validate_json(document))


def _line(system: _System) -> Listed:
    is_open = "E5" in system.ladder
    return Listed(
        address=harmless(system.address),
        name="" if system.name == system.address else harmless(system.name),
        site=harmless(system.site),
        country=harmless(system.country),
        grade=harmless(system.grade),
        tone=_tone(system),
        rungs=harmless(" ".join(_short(system.ladder))),
        studies=cell(system.counts.studies) if is_open else "–",
        images=cell(system.counts.images) if is_open else "–",
        step=_first_step(system),
        is_suspected=system.honeypot is not None and system.honeypot.is_suspected,
        is_quiet=_is_quiet(system),
    )


def _short(ladder: Sequence[str]) -> Iterator[str]:
    """Yield the rungs, neighbours of the climb as one: "E1–E5", "E7", "T"."""
    climbed = [rung for rung in _CLIMB if rung in ladder]
    while climbed:
        run = 1
        start = _CLIMB.index(climbed[0])
        while run < len(climbed) and climbed[run] == _CLIMB[start + run]:
            run += 1
        yield climbed[0] if run == 1 else f"{climbed[0]}–{climbed[run - 1]}"
        del climbed[:run]
    yield from (rung for rung in ladder if rung not in _CLIMB)


_CLIMB = tuple(f"E{step}" for step in range(8))
_NOTABLE = ("medium", "high", "critical")
_CONCLUSIVE = ("pass", "fail", "accepted")


def _tone(system: _System) -> Tone:
    failed = {f.severity for f in system.findings if f.verdict == "fail"}
    if "E5" in system.ladder or "E7" in system.ladder or "critical" in failed:
        return Tone.OPEN
    if failed.intersection(_NOTABLE):
        return Tone.WEAK
    return Tone.UNKNOWN if system.score is None else Tone.SHUT


def _first_step(system: _System) -> str:
    """Return the first line of the first advice: findings come gravest first, and advice has a line for each product."""
    advice = (f.remediation for f in system.findings if f.verdict == "fail" and f.remediation)
    return harmless(next(advice, "").partition("\n")[0])


def _is_quiet(system: _System) -> bool:
    if "E2" in system.ladder:
        return False
    is_tested = any(f.verdict in _CONCLUSIVE and f.severity != "info" for f in system.findings)
    failed = {f.severity for f in system.findings if f.verdict == "fail"}
    return not is_tested or (not system.shows_imaging and not failed.intersection(_NOTABLE))
