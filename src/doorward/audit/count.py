"""Counting without collecting: what a C-FIND match becomes, and what the counts are worth.

``MatchCounter`` holds integers and nothing else; the identifier of a match goes in, and only the value of (0020,1208)
Number of Study Related Instances is ever decoded, twelve digits at most. The honesty of a count is decided in one place.
"""

from doorward.audit.facts import UNKNOWN_COUNT, Count, Exactness, QueryEnd, QueryFacts
from doorward.dicom.values import decode_integer_string
from doorward.dicom.walk import Syntax, find_element
from doorward.errors import LimitExceeded, PeerProtocolError
from doorward.wire.pdu import Fragment

NUMBER_OF_STUDY_RELATED_INSTANCES = 0x0020_1208
#: The longest integer string (PS3.5 section 6.2).
_NUMBER_BYTES = 12

#: Limits that archives are shipped or set up with; a complete answer of exactly this size is doubted.
_ROUND = frozenset(
    (50, 100, 200, 250, 256, 300, 500, 512, 1000, 1024, 1500, 2000, 2500, 5000, 10_000)
)


class MatchCounter:
    """Takes matches as ``Requestor.find`` hands them over; keeps sums."""

    __slots__ = ("asked", "extra", "instances", "malformed", "syntax", "with_instances")

    def __init__(self, *, asked: int, syntax: Syntax = Syntax.IMPLICIT_LITTLE) -> None:
        self.asked = (
            asked  # elements that a server may well return: requested ones and its own additions
        )
        self.syntax = syntax
        self.instances = 0
        self.with_instances = 0
        self.malformed = 0
        self.extra = 0

    def take(self, status: int, identifier: Fragment) -> None:
        """Count one match; nothing of the identifier but the number is read, and nothing is kept."""
        try:
            offset, length, elements = find_element(
                identifier, NUMBER_OF_STUDY_RELATED_INSTANCES, self.syntax
            )
            if length > _NUMBER_BYTES:
                self.malformed += 1  # no number has so many digits: not even looked at
                return
            if length > 0 and offset >= 0:
                value = bytes(identifier[offset : offset + length])
                number = decode_integer_string(value, NUMBER_OF_STUDY_RELATED_INSTANCES)
                if number is not None and number >= 0:
                    self.instances += number
                    self.with_instances += 1
        except (PeerProtocolError, LimitExceeded):
            self.malformed += 1
            return
        if elements - self.asked > self.extra:  # noqa: PLR1730 - max() costs a call a match
            self.extra = elements - self.asked


def study_count(query: QueryFacts | None) -> Count:
    """Return how many matches a query stands for, with its honesty."""
    if query is None:
        return UNKNOWN_COUNT
    if query.end in (QueryEnd.REFUSED, QueryEnd.NO_CONTEXT):
        return Count(value=None, exactness=Exactness.UNKNOWN, method="the query was refused")
    if query.matches == 0 and query.end is not QueryEnd.SUCCESS:
        return Count(value=None, exactness=Exactness.UNKNOWN, method=_why(query))
    doubt = _why(query)
    if doubt:
        return Count(value=query.matches, exactness=Exactness.AT_LEAST, method=doubt)
    return Count(
        value=query.matches,
        exactness=Exactness.EXACT_ENUMERATED,
        method="every match of one query was counted",
    )


def image_count(query: QueryFacts | None, studies: Count) -> Count:
    """Return the sum of (0020,1208), with its honesty."""
    if query is None or studies.value is None:
        return UNKNOWN_COUNT
    if query.matches_with_instances == 0:
        if query.matches == 0 and studies.exactness is Exactness.EXACT_ENUMERATED:
            return Count(
                value=0, exactness=Exactness.EXACT_ENUMERATED, method="there are no studies"
            )
        return Count(
            value=None,
            exactness=Exactness.UNKNOWN,
            method="the archive does not say how many images a study has",
        )
    if query.matches_with_instances < query.matches:
        return Count(
            value=query.instances,
            exactness=Exactness.AT_LEAST,
            method=f"{query.matches - query.matches_with_instances} studies came without their number of images",
        )
    return Count(
        value=query.instances,
        exactness=studies.exactness,
        method=f"the archive's own number of images, summed over the studies; {studies.method}",
    )


def _why(query: QueryFacts) -> str:
    """Return why the number of matches may not be all, or ""."""
    match query.end:
        case _ if query.reached_cap:
            return "counting was stopped at our own limit"
        case QueryEnd.WARNING if query.final_status == 0xFE00:
            return f"the archive stopped by itself after {query.matches} matches"
        case QueryEnd.WARNING:
            return f"the archive ended with a warning (status {query.final_status:04X})"
        case QueryEnd.FAILED:
            return f"the archive ended with a failure (status {query.final_status:04X})"
        case QueryEnd.ABORTED:
            return "the association ended in the middle of the answer"
        case QueryEnd.SILENT:
            return "the archive fell silent in the middle of the answer"
        case QueryEnd.SUCCESS if query.matches in _ROUND:
            return f"exactly {query.matches} matches: this looks like a limit of the archive"
        case _:
            return ""
