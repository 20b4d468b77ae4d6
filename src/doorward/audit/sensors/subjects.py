"""Under which names work and results lie on the server: one subject for each system of each survey.

    doorward.work.SENSOR.SURVEY.NUMBER
    doorward.facts.SENSOR.SURVEY.NUMBER             or, in parts:  doorward.facts.SENSOR.SURVEY.NUMBER.VISIT.PART

The server's file gives each sensor its own second word and no other, so a subject says truly who wrote there.
"""

from dataclasses import dataclass

#: The streams, and how the subjects begin that they take.
WORK, FACTS = "DOORWARD_WORK", "DOORWARD_FACTS"
SUBJECTS = {WORK: "doorward.work", FACTS: "doorward.facts"}
#: Longer is no number of a ledger's.
_DIGITS = 18


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One message as it was handed out; ``reply`` takes its acknowledgement."""

    subject: str
    content: bytes
    reply: str


def work_subject(sensor: str, scan: str, number: int | str) -> str:
    """Return the subject of one system's work; "*" and ">" stand for any, as NATS has it."""
    return f"{SUBJECTS[WORK]}.{sensor}.{scan}.{number}"


def facts_subject(sensor: str, scan: str, number: int | str, *more: str) -> str:
    """Return the subject of one system's result; ``more``: visit and part, where there are several."""
    return ".".join((SUBJECTS[FACTS], sensor, scan, str(number), *more))


def parse_subject(subject: str) -> tuple[str, str, int] | None:
    """Return sensor, survey and number of a subject of ours, None for any other."""
    words = subject.split(".")
    if ".".join(words[:2]) not in SUBJECTS.values() or len(words) < 5:
        return None
    number = words[4]
    if not (number.isascii() and number.isdecimal()) or len(number) > _DIGITS:
        return None
    return words[2], words[3], int(number)
