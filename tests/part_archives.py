"""Archives that do not tell everything at once, made of a list of dates and times: each habit that was met, by itself.

A study is (Study Date or "", Study Time or "", number of images). What reaches the wire is made by ``scripted_peer``.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from doorward.dicom.walk import Syntax, walk
from scripted_peer import (
    CANCELLED,
    SUCCESS,
    Call,
    Message,
    abort,
    element,
    even,
    final,
    match,
    study,
)

STUDY_DATE, STUDY_TIME = 0x0008_0020, 0x0008_0030
Study = tuple[str, str, int]


@dataclass(kw_only=True)
class Habits:
    """How it answers beside the truth."""

    cap: int | None = None
    #: What ends a capped answer: a status, or None for A-ABORT.
    cap_status: int | None = SUCCESS
    #: What ends every answer.
    usual_status: int = SUCCESS
    ignores_dates: bool = False
    ignores_times: bool = False
    #: What a study without a date or time matches: no range, an open beginning (as texts compare: Orthanc), or every range.
    undated: str = "none"
    #: Dates are never among the return keys.
    hides_dates: bool = False
    #: (0020,1208) is never among them (dcmqrscp).
    hides_images: bool = False
    #: The status that refuses a date as key.
    refuses_dates: int | None = None
    #: Falls silent at so many queries.
    silent_at: int | None = None


@dataclass
class PartArchive:
    """Answers STUDY queries; remembers what was asked."""

    studies: Sequence[Study]
    habits: Habits
    asked: list[dict[int, str]] = field(default_factory=list)
    cancels: int = 0

    async def on_find(self, call: Call, message: Message) -> None:
        """Answer one C-FIND."""
        habits = self.habits
        keys = {
            one.tag: message.identifier[one.offset : one.offset + one.length].decode().strip(" \0")
            for one in walk(message.identifier, Syntax.IMPLICIT_LITTLE)
        }
        self.asked.append(keys)
        if habits.silent_at is not None and len(self.asked) >= habits.silent_at:
            return
        if habits.refuses_dates is not None and keys.get(STUDY_DATE):
            await call.send(final(message, habits.refuses_dates))
            return
        found = [one for one in self.studies if self._matches(one, keys)]
        is_cut = habits.cap is not None and len(found) > habits.cap
        told = found[: habits.cap] if is_cut else found
        answers = [match(message, self._identifier(n, one, keys)) for n, one in enumerate(told)]
        if is_cut and habits.cap_status is None:
            end = abort(0, 0)
        else:
            end = final(message, habits.cap_status if is_cut else habits.usual_status)
        await call.send(*answers, end)

    def _matches(self, one: Study, keys: dict[int, str]) -> bool:
        day, time, _ = one
        habits = self.habits
        is_on_day = habits.ignores_dates or self._in(day, keys.get(STUDY_DATE, ""))
        return is_on_day and (habits.ignores_times or self._in(time, keys.get(STUDY_TIME, "")))

    def _in(self, value: str, key: str) -> bool:
        if not key:
            return True
        first, dash, last = key.partition("-")
        if not value:
            kind = self.habits.undated
            return kind == "every" or (kind == "open" and bool(dash) and not first)
        return first <= value <= (last or "~") if dash else value == key

    def _identifier(self, number: int, one: Study, keys: dict[int, str]) -> bytes:
        dates = [
            element(tag, even(value.encode()))
            for tag, value in ((STUDY_DATE, one[0]), (STUDY_TIME, one[1]))
            if tag in keys and not self.habits.hides_dates
        ]
        images = b"" if self.habits.hides_images else even(b"%d" % one[2])
        return study(number, images, *dates)


def spread(count: int, *, days: int = 300, images: int = 2) -> list[Study]:
    """So many studies over the days of some years, at office hours, two to a day at most half an hour apart."""
    seen: Counter[str] = Counter()
    made = []
    for number in range(count):
        place = number * days // count
        day = f"20{10 + place // 336:02}{place // 28 % 12 + 1:02}{place % 28 + 1:02}"
        seen[day] += 1
        minute = 480 + seen[day] % 600
        made.append((day, f"{minute // 60:02}{minute % 60:02}{seen[day] % 60:02}", images))
    return made


__all__ = ["CANCELLED", "Habits", "PartArchive", "Study", "spread"]
