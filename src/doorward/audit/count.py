"""Counting without collecting: what a C-FIND match becomes, and what the counts are worth.

``MatchCounter`` holds integers and nothing else; the identifier of a match goes in, and only the value of (0020,1208)
Number of Study Related Instances is ever decoded, twelve digits at most. The honesty of a count is decided in one place.
"""

from dataclasses import replace

from doorward.audit.count_facts import PartsFacts
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


class Sight(MatchCounter):
    """Takes matches and looks whether a value stands at a tag: at its length, never at the value."""

    __slots__ = ("absent", "seen", "tag")

    def __init__(self, tag: int, *, syntax: Syntax = Syntax.IMPLICIT_LITTLE) -> None:
        super().__init__(asked=0, syntax=syntax)
        self.tag = tag
        self.seen = 0
        self.absent = 0

    def take(self, status: int, identifier: Fragment) -> None:
        """Look at one match; one that cannot be walked counts as without a value."""
        self.seen += 1
        try:
            _, length, _ = find_element(identifier, self.tag, self.syntax)
        except (PeerProtocolError, LimitExceeded):
            length = 0
        if length == 0:
            self.absent += 1


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


def is_doubted(query: QueryFacts) -> bool:
    """Tell whether the archive itself ended, or may have ended, an answer before its end: it is asked in parts then."""
    if query.level != "STUDY" or query.matches == 0 or query.reached_cap:
        return False
    return query.end is not QueryEnd.SILENT and bool(_why(query))


def is_whole(answer: QueryFacts, whole: QueryFacts, *, usual_status: int | None = None) -> bool:
    """Tell whether a part was told to its end, by what ended the whole answer.

    ``usual_status`` is a warning with which this archive ends even an empty answer: it says nothing then.
    """
    if answer.reached_cap:
        return False
    if answer.end is QueryEnd.SUCCESS:
        is_silent = whole.end is QueryEnd.SUCCESS or usual_status is not None
        return not is_silent or answer.matches < whole.matches
    is_usual = answer.end is QueryEnd.WARNING and answer.final_status == usual_status
    return is_usual and answer.matches < whole.matches


def parts_counts(
    whole: QueryFacts, facts: PartsFacts, *, ends_usually: bool = False
) -> tuple[Count, Count]:
    """Return studies and images from an archive's parts, with their honesty.

    ``ends_usually``: the whole answer ended with a warning that this archive puts under every answer.
    """
    answers = sum(part.answers for part in facts.parts)
    again = max(0, answers - 1)  # what matches every range was counted so often too much
    total = sum(part.matches for part in facts.parts) - again * facts.control_matches
    instances = sum(part.instances for part in facts.parts) - again * facts.control_instances
    doubt = _doubt_of_parts(whole, facts, total, ends_usually=ends_usually)
    method = f"counted in {answers} parts by study date"
    if not facts.parts:
        known = study_count(whole)
        studies = replace(known, method=f"{known.method}; {doubt}")
        return studies, image_count(whole, studies)
    if doubt:
        studies = Count(
            value=max(total, whole.matches),
            exactness=Exactness.AT_LEAST,
            method=f"{method}; {doubt}",
        )
    else:
        beside = "" if total == whole.matches else _beside(facts)
        studies = Count(
            value=total, exactness=Exactness.EXACT_ENUMERATED, method=f"{method}{beside}"
        )
    unsaid = sum(part.matches - part.matches_with_instances for part in facts.parts)
    summed = QueryFacts(
        level=whole.level,
        information_model=whole.information_model,
        end=whole.end,
        final_status=whole.final_status,
        matches=total,
        instances=max(instances, whole.instances) if doubt else instances,
        matches_with_instances=max(0, total - unsaid),
    )
    return studies, image_count(summed, studies)


def _beside(facts: PartsFacts) -> str:
    """Return what stands beside an exact sum of parts that is more than the archive told at once."""
    words = ", each of which was told to its end"
    if facts.control_matches:
        return f"{words}; {facts.control_matches} studies without a date are in every part and were counted once"
    if facts.undated:
        return f"{words}; {facts.undated_reached} studies without a date among them"
    return f"{words}; of {facts.looked_at} studies of the whole answer none is without a date"


def _doubt_of_parts(whole: QueryFacts, facts: PartsFacts, total: int, *, ends_usually: bool) -> str:
    """Return why the sum of the parts may not be all, or "".

    A study without a date is in no range (PS3.4 section C.2.2.2.5), and no key asks for it: where more is there than was
    told at once, a look at the whole answer says whether there are such studies.
    """
    if facts.stopped:
        return facts.stopped
    if not all(part.is_complete for part in facts.parts):
        return "on one day at least there are more than the archive tells, however it is asked"
    if total < whole.matches:
        return f"{whole.matches - total} studies of the whole answer are in no range of dates"
    if total == whole.matches and (whole.end is QueryEnd.SUCCESS or ends_usually):
        return ""
    if not facts.looked_at:
        return "whether there are studies without a date is not known"
    if facts.undated > facts.undated_reached:
        return f"of {facts.looked_at} studies {facts.undated} show no date, and no range of dates may hold them"
    return ""


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
