"""Matches as a stream of identifiers: one template per query, filled with numbers.

Theory of operation: a C-FIND identifier is parsed into a ``Query``; the attributes to be returned are encoded once, with
room for the numbers that differ from match to match; each match is then one formatting of bytes. Nothing is held: a
query over a million studies needs as much memory as one over ten.
Matching (PS3.4 section C.2.2.2): universal; Study Instance UID and Patient ID exactly; Study Date and Study Time exactly or
by range. A value for any other key is ignored, and every match says so with status FF01 (PS3.4 Table C.4-1).
"""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from operator import itemgetter
from string import Formatter

from doorward.dicom.values import Attribute, decode_strings, encode_identifier
from doorward.dicom.walk import Syntax, walk
from doorward.practice.holding import DATES, MOST_PATIENTS, Holding

LEVELS = ("PATIENT", "STUDY", "SERIES", "IMAGE")
LEVEL = 0x0008_0052
RETRIEVE_AE_TITLE = 0x0008_0054
_PATIENT_ID = 0x0010_0020
_STUDY_UID = 0x0020_000D
STUDY_DATE = 0x0008_0020
STUDY_TIME = 0x0008_0030
_MATCHED = (LEVEL, _PATIENT_ID, _STUDY_UID, STUDY_DATE, STUDY_TIME)
#: How many studies, series and images belong to what matched: what dcmqrscp never returns (PS3.4 C.3.4).
COUNTS = frozenset((0x0020_1200, 0x0020_1202, 0x0020_1204, 0x0020_1206, 0x0020_1208, 0x0020_1209))
PENDING, PENDING_KEYS_IGNORED = 0xFF00, 0xFF01

#: The numbers that vary: how each is written. The order is that of ``Record``.
_SLOTS = {
    "study": ("%08d", 8),
    "patient": ("%07d", 7),
    "image": ("%06d", 6),
    "date": ("%08d", 8),
    "patient_studies": ("%8d", 8),
    "patient_images": ("%12d", 12),
    "study_images": ("%6d", 6),
    "time": ("%06d", 6),
}
#: One match as numbers: study, patient, image, date, studies and images of the patient, images and time of the study.
Record = tuple[int, int, int, int, int, int, int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """What one C-FIND asks for."""

    level: str
    asked: frozenset[int]
    #: Numbers of the studies that match, or of the patients at PATIENT level.
    numbers: Iterable[int]
    status: int  # of each match: FF00, or FF01 where a key was ignored


def parse_query(
    identifier: bytes, syntax: Syntax, holding: Holding, *, ignored: Collection[int] = ()
) -> Query | None:
    """Return the query, None where the identifier does not fit (A900); raises as ``dicom.walk``.

    ``ignored``: keys that are not matched, without a word about it.
    """
    values: dict[int, str] = {}
    for element in walk(identifier, syntax):
        if element.depth == 0 and element.length >= 0:
            raw = identifier[element.offset : element.offset + element.length]
            values[element.tag] = "\\".join(decode_strings(raw, "LO"))
    level = values.get(LEVEL, "")
    if level not in LEVELS:
        return None
    given = {t: text for t, text in values.items() if text.strip("*") and t not in ignored}
    is_exact = all(tag in _MATCHED for tag in given)
    return Query(
        level=level,
        asked=frozenset(values),
        numbers=_selected(given, level, holding),
        status=PENDING if is_exact else PENDING_KEYS_IGNORED,
    )


def _selected(given: dict[int, str], level: str, holding: Holding) -> Iterable[int]:
    if level == "PATIENT":
        if _PATIENT_ID not in given:
            return range(holding.patients)
        patient = holding.patient_of(given[_PATIENT_ID])
        return () if patient is None else (patient,)
    numbers: Sequence[int] = range(holding.studies)
    if _PATIENT_ID in given:
        patient = holding.patient_of(given[_PATIENT_ID])
        numbers = () if patient is None else holding.studies_of(patient)
    if _STUDY_UID in given:
        named = {holding.study_of(uid) for uid in given[_STUDY_UID].split("\\")}
        numbers = [n for n in sorted(n for n in named if n is not None) if n in numbers]
    found: Iterable[int] = numbers
    if STUDY_DATE in given:
        found = _on_days(numbers, _date_range(given[STUDY_DATE]), holding)
    if STUDY_TIME in given:
        first, last = _time_range(given[STUDY_TIME])
        found = (n for n in found if first <= holding.time_of(n) <= last)
    return found


def _on_days(numbers: Sequence[int], dates: tuple[int, int], holding: Holding) -> Iterable[int]:
    """Return the studies of a range of dates; of a whole archive without looking at the others."""
    days = holding.days
    first, beyond = bisect_left(DATES, dates[0], hi=days), bisect_right(DATES, dates[1], hi=days)
    if numbers == range(holding.studies):
        rounds = range(0, holding.studies, days)
        return (n for one in rounds for n in numbers[one + first : one + max(first, beyond)])
    return (n for n in numbers if first <= n % days < beyond)


def _date_range(text: str) -> tuple[int, int]:
    """Return first and last day of a Study Date key (PS3.4 section C.2.2.2.5); nothing matches what is no date."""
    found = re.fullmatch(r"(\d{8})?(-?)(\d{8})?", text, re.ASCII)
    if found is None:
        return 1, 0
    first, dash, last = found.groups()
    return int(first or 0), int((last or 99_999_999) if dash else (first or 0))


def _time_range(text: str) -> tuple[int, int]:
    """Return first and last second of a Study Time key as HHMMSS (PS3.4 section C.2.2.2.5); fractions are cut."""
    form = r"((?:\d\d){1,3})?(?:\.\d{1,6})?"
    found = re.fullmatch(rf"{form}(-?){form}", text, re.ASCII)
    if found is None:
        return 1, 0
    first, dash, last = found.groups()
    return int((first or "").ljust(6, "0")), int(((last if dash else first) or "").ljust(6, "9"))


def identifiers(
    query: Query,
    attributes: Iterable[Attribute],
    syntax: Syntax,
    holding: Holding,
    *,
    is_endless: bool = False,
) -> Iterator[bytes]:
    """Yield the identifier of each match, made of ``attributes`` (see ``Holding.attributes`` for their values).

    ``is_endless``: ten million matches, whatever is held.
    """
    pattern, slots = _template(attributes, syntax)
    numbers = range(MOST_PATIENTS) if is_endless else query.numbers
    return map(pattern.__mod__, _values(slots, query.level, numbers, holding))


def _values(
    slots: tuple[str, ...], level: str, numbers: Iterable[int], holding: Holding
) -> Iterator[object]:
    """Yield what fills the slots of each match; what counts millions of studies has a shorter way."""
    if (level, slots) in (("STUDY", ("study",)), ("PATIENT", ("patient",))):
        return iter(numbers)
    if level == "STUDY" and slots == ("study", "study_images"):
        each, larger = holding.images_shared
        return ((n, each + (n < larger)) for n in numbers)
    time_of = holding.time_of if "time" in slots else _no_time
    records = _records(level, numbers, holding, time_of)
    if not slots:
        return (() for _ in records)
    order = list(_SLOTS)
    return map(itemgetter(*map(order.index, slots)), records)


def _no_time(_: int) -> int:
    """What is not asked for costs nothing."""
    return 0


def _records(
    level: str, numbers: Iterable[int], holding: Holding, time_of: Callable[[int], int]
) -> Iterator[Record]:
    patients, days = max(holding.patients, 1), holding.days
    each, larger = holding.images_shared
    if level == "PATIENT":
        # study n belongs to patient n modulo their number: so many whole rounds, and the first few once more
        rounds, left = divmod(holding.studies, patients)
        larger_rounds, larger_left = divmod(larger, patients)
        for n in numbers:
            patient = n % patients
            studies = rounds + (patient < left)
            more = larger_rounds + (patient < larger_left)
            yield 0, n, 0, 0, studies, studies * each + more, 0, 0
    elif level == "IMAGE":
        for n in numbers:
            for image in range(1, each + (n < larger) + 1):
                own = each + (n < larger)
                yield n, n % patients, image, DATES[n % days], 0, 0, own, time_of(n)
    else:
        for n in numbers:
            own = each + (n < larger)
            yield n, n % patients, 0, DATES[n % days], 0, 0, own, time_of(n)


def _template(attributes: Iterable[Attribute], syntax: Syntax) -> tuple[bytes, tuple[str, ...]]:
    """Return a bytes pattern for ``%`` and the slots in it, in order."""
    pattern = b""
    slots: list[str] = []
    for tag, vr, value in sorted(attributes, key=itemgetter(0)):
        assert isinstance(value, str)
        body = b""
        sample = ""
        for literal, slot, _, _ in Formatter().parse(value):
            sample += literal
            body += literal.encode("ascii").replace(b"%", b"%%")
            if slot is not None:
                form, width = _SLOTS[slot]
                sample += "0" * width
                body += form.encode("ascii")
                slots.append(slot)
        element = encode_identifier([(tag, vr, sample)], syntax)
        padded = len(sample) + len(sample) % 2
        header = element[: len(element) - padded].replace(b"%", b"%%")
        pattern += header + body + element[len(element) - padded + len(sample) :]
    return pattern, tuple(slots)
