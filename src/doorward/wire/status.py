"""DIMSE status codes as one table: code, class, service, meaning, source (PS3.7 Annex C, PS3.4 per service).

A status is the word that decides whether an answer was a match, an end or a refusal, so the class of *every* number is
defined: ``classify`` follows the ranges of PS3.7 C.1, and what the Standard leaves open is a failure. A peer's number is
never changed; ``describe`` puts words to it for people.
"""

from dataclasses import dataclass
from enum import StrEnum


class StatusClass(StrEnum):
    """What a status means for the operation (PS3.7 section C.1); all but PENDING end it."""

    SUCCESS = "success"
    PENDING = "pending"
    CANCEL = "cancel"
    WARNING = "warning"
    FAILURE = "failure"


SUCCESS = 0x0000
PENDING = 0xFF00
PENDING_KEYS_UNSUPPORTED = 0xFF01
CANCEL = 0xFE00
PROCESSING_FAILURE = 0x0110
SOP_CLASS_NOT_SUPPORTED = 0x0122
NOT_AUTHORIZED = 0x0124
UNRECOGNIZED_OPERATION = 0x0211
RESOURCE_LIMITATION = 0x0213
OUT_OF_RESOURCES = 0xA700
MOVE_DESTINATION_UNKNOWN = 0xA801
DATA_SET_DOES_NOT_MATCH = 0xA900
SUBOPERATIONS_INCOMPLETE = 0xB000
UNABLE_TO_PROCESS = 0xC000


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusCode:
    """One row: the codes ``first`` to ``last``. ``services`` is empty where the row holds for every service."""

    first: int
    last: int
    status_class: StatusClass
    meaning: str
    services: tuple[str, ...]
    source: str


def _rows(
    source: str,
    services: str,
    *rows: tuple[int, str] | tuple[int, int, str],
) -> tuple[StatusCode, ...]:
    return tuple(
        StatusCode(
            first=row[0],
            last=row[0] if len(row) == 2 else row[1],
            status_class=classify(row[0]),
            meaning=row[-1],
            services=tuple(services.split()),
            source=source,
        )
        for row in rows
    )


# PS3.7 C.1: warnings outside the B range.
_WARNINGS = frozenset((0x0001, 0x0107, 0x0116))


def classify(status: int) -> StatusClass:
    """Return the class of any status; a number without meaning is a failure. PS3.7 section C.1."""
    if status == SUCCESS:
        return StatusClass.SUCCESS
    if status in (PENDING, PENDING_KEYS_UNSUPPORTED):
        return StatusClass.PENDING
    if status == CANCEL:
        return StatusClass.CANCEL
    if status in _WARNINGS or 0xB000 <= status <= 0xBFFF:
        return StatusClass.WARNING
    return StatusClass.FAILURE


def describe(status: int, service: str = "") -> str:
    """Return a status for people: number, class, meaning.

    ``service`` is one of echo, store, find, worklist, get, move, mpps, commitment, print; its own meanings come first.
    """
    row = _find(status, service)
    meaning = "not defined by the Standard" if row is None else row.meaning
    status_class = classify(status)
    return f"{status:04X} {status_class}" + (f": {meaning}" if meaning != status_class else "")


def _find(status: int, service: str) -> StatusCode | None:
    """Return the row that says most: of this service, of every service, or none."""
    rows = [row for row in STATUS_CODES if row.first <= status <= row.last]
    return next(
        (row for row in rows if service in row.services),
        next((row for row in rows if not row.services), None),
    )


#: Rows of one service stand before those of all; within a service each code stands in one row.
STATUS_CODES: tuple[StatusCode, ...] = (
    *_rows(
        "PS3.4 section B.2.3",
        "store",
        (0xA700, 0xA7FF, "out of resources"),
        (0xA900, 0xA9FF, "data set does not match SOP class"),
        (0xB000, "data elements were coerced"),
        (0xB006, "elements were discarded"),
        (0xB007, "data set does not match SOP class, stored nevertheless"),
        (0xC000, 0xCFFF, "cannot understand the data set"),
    ),
    *_rows(
        "PS3.4 sections C.4.1.1.4 and K.4.1.1.4",
        "find worklist",
        (0xA700, "out of resources"),
        (0xA710, "invalid prior record key"),
        (0xA900, "identifier does not match SOP class"),
        (0xB001, "response limit reached, a further request may return more matches"),
        (0xC000, 0xCFFF, "unable to process"),
        (0xFE00, "matching ended by a cancel request"),
        (0xFF00, "a match, more may follow"),
        (0xFF01, "a match, more may follow; optional keys are not all supported"),
    ),
    *_rows(
        "PS3.4 sections C.4.2.1.5, C.4.3.1.4 and Y.4",
        "get move",
        (0xA701, "out of resources: number of matches cannot be calculated"),
        (0xA702, "out of resources: sub-operations cannot be performed"),
        (0xA900, "identifier does not match SOP class"),
        (0xAA00, "none of the requested frames were found"),
        (0xAA01, "unable to create a new object for this SOP class"),
        (0xAA02, "unable to extract frames"),
        (0xAA03, "time-based request for an object that is not time-based"),
        (0xAA04, "invalid request"),
        (0xB000, "sub-operations complete, some with failures or warnings"),
        (0xC000, 0xCFFF, "unable to process"),
        (0xFE00, "sub-operations ended by a cancel request"),
        (0xFF00, "sub-operations are continuing"),
    ),
    *_rows("PS3.4 section C.4.2.1.5", "move", (0xA801, "move destination unknown")),
    *_rows(
        "PS3.4 section F.7.2.2",
        "mpps",
        (0x0110, "the performed procedure step may no longer be updated, or processing failed"),
    ),
    *_rows(
        "PS3.4 Annex H",
        "print",
        (0xB600, "memory allocation not supported"),
        (0xB601, "film session printing is not supported"),
        (0xB602, 0xB603, "empty page"),
        (0xB604, "image was demagnified to fit"),
        (0xB605, "requested density is outside of the printer's range"),
        (0xB609, "image was cropped to fit"),
        (0xB60A, "image was decimated to fit"),
        (0xC600, "film session has no film box"),
        (0xC601, 0xC602, "print queue is full"),
        (0xC603, "image is larger than its box"),
        (0xC605, "not enough memory in the printer"),
        (0xC613, "combined print image is larger than its box"),
        (0xC616, "an earlier film box has not been printed"),
    ),
    *_rows(
        "PS3.7 Annex C",
        "",
        (0x0000, "success"),
        (0x0001, "requested optional attributes are not supported"),
        (0x0105, "no such attribute"),
        (0x0106, "invalid attribute value"),
        (0x0107, "attribute list error"),
        (0x0110, "processing failure"),
        (0x0111, "duplicate SOP instance"),
        (0x0112, "no such SOP instance"),
        (0x0113, "no such event type"),
        (0x0114, "no such argument"),
        (0x0115, "invalid argument value"),
        (0x0116, "attribute value out of range"),
        (0x0117, "invalid SOP instance"),
        (0x0118, "no such SOP class"),
        (0x0119, "class-instance conflict"),
        (0x0120, "missing attribute"),
        (0x0121, "missing attribute value"),
        (0x0122, "refused: SOP class not supported"),
        (0x0123, "no such action"),
        (0x0124, "refused: not authorized"),
        (0x0210, "duplicate invocation"),
        (0x0211, "unrecognized operation"),
        (0x0212, "mistyped argument"),
        (0x0213, "resource limitation"),
        (0xA700, 0xA7FF, "refused: out of resources"),
        (0xFE00, "cancel"),
        (0xFF00, 0xFF01, "pending"),
    ),
)
