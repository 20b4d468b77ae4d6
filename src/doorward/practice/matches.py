"""Matches as a stream of identifiers: one template per query, filled with numbers.

Theory of operation: a C-FIND identifier is parsed into a ``Query``; the attributes to be returned are encoded once, with
room for the numbers that differ from match to match; each match is then one formatting of bytes. Nothing is held: a
query over a million studies needs as much memory as one over ten.
Matching (PS3.4 section C.2.2.2): universal; Study Instance UID and Patient ID exactly; Study Date exactly or by range. A
value for any other key is ignored, and every match says so with status FF01 (PS3.4 Table C.4-1).
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
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
_STUDY_DATE = 0x0008_0020
_MATCHED = (LEVEL, _PATIENT_ID, _STUDY_UID, _STUDY_DATE)
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
}
#: One match as numbers: study, patient, image, date, studies and images of the patient.
Record = tuple[int, int, int, int, int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """What one C-FIND asks for."""

    level: str
    asked: frozenset[int]
    #: Numbers of the studies that match, or of the patients at PATIENT level.
    numbers: Iterable[int]
    status: int  # of each match: FF00, or FF01 where a key was ignored


def parse_query(identifier: bytes, syntax: Syntax, holding: Holding) -> Query | None:
    """Return the query, None where the identifier does not fit (A900); raises as ``dicom.walk``."""
    values: dict[int, str] = {}
    for element in walk(identifier, syntax):
        if element.depth == 0 and element.length >= 0:
            raw = identifier[element.offset : element.offset + element.length]
            values[element.tag] = "\\".join(decode_strings(raw, "LO"))
    level = values.get(LEVEL, "")
    if level not in LEVELS:
        return None
    given = {tag: text for tag, text in values.items() if text.strip("*")}
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
    if _STUDY_DATE in given:
        first, last = _date_range(given[_STUDY_DATE])
        return (n for n in numbers if first <= DATES[n % len(DATES)] <= last)
    return numbers


def _date_range(text: str) -> tuple[int, int]:
    """Return first and last day of a Study Date key (PS3.4 section C.2.2.2.5); nothing matches what is no date."""
    found = re.fullmatch(r"(\d{8})?(-?)(\d{8})?", text, re.ASCII)
    if found is None:
        return 1, 0
    first, dash, last = found.groups()
    return int(first or 0), int((last or 99_999_999) if dash else (first or 0))


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
    pattern, pick = _template(attributes, syntax)
    numbers = range(MOST_PATIENTS) if is_endless else query.numbers
    return (pattern % pick(record) for record in _records(query.level, numbers, holding))


def _records(level: str, numbers: Iterable[int], holding: Holding) -> Iterator[Record]:
    patients, days = max(holding.patients, 1), len(DATES)
    if level == "PATIENT":
        each = holding.images_per_study
        for n in numbers:
            studies = len(holding.studies_of(n % patients))
            yield 0, n, 0, 0, studies, studies * each
    elif level == "IMAGE":
        for n in numbers:
            for image in range(1, holding.images_per_study + 1):
                yield n, n % patients, image, DATES[n % days], 0, 0
    else:
        for n in numbers:
            yield n, n % patients, 0, DATES[n % days], 0, 0


def _template(
    attributes: Iterable[Attribute], syntax: Syntax
) -> tuple[bytes, Callable[[Record], object]]:
    """Return a bytes pattern for ``%`` and what picks its numbers out of a record."""
    pattern = b""
    places: list[int] = []
    slots = list(_SLOTS)
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
                places.append(slots.index(slot))
        element = encode_identifier([(tag, vr, sample)], syntax)
        padded = len(sample) + len(sample) % 2
        header = element[: len(element) - padded].replace(b"%", b"%%")
        pattern += header + body + element[len(element) - padded + len(sample) :]
    if not places:
        return pattern, _nothing
    return pattern, itemgetter(*places)


def _nothing(_: Record) -> tuple[()]:
    return ()
