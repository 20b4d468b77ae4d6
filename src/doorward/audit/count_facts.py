"""What counting in parts saw: the ranges are ours, the numbers are the archive's, no value of a match is among them."""

from dataclasses import dataclass
from enum import StrEnum

from doorward.audit.tally import UNKNOWN_COUNT, Count


class QueryEnd(StrEnum):
    """How one C-FIND ended."""

    SUCCESS = "success"  # final status 0000
    WARNING = "warning"  # final status of the warning class (Bxxx, 0001, 0107, 0116)
    REFUSED = "refused"  # final failure status and no match
    FAILED = "failed"  # failure status after matches
    CANCELLED = "cancelled"  # FE00, after our C-CANCEL
    ABORTED = "aborted"  # A-ABORT or transport end midway
    SILENT = "silent"  # no response in time
    NO_CONTEXT = "no_context"  # the presentation context was not accepted


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """The studies of one range of Study Date: of a year, however finely it was divided. Days are never kept."""

    #: ISO 8601 days, both included; "" is an open end.
    first_day: str
    last_day: str
    #: Answers that it was put together from.
    answers: int
    #: How the last answer ended that was not whole; SUCCESS where all were.
    end: QueryEnd
    matches: int
    #: Sum of (0020,1208) Number of Study Related Instances, and how many matches had one.
    instances: int = 0
    matches_with_instances: int = 0
    #: False: more lies in the range than was told.
    is_complete: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleFacts:
    """Days drawn by chance where counting everything would have taken too long."""

    days_drawn: int
    days: int  # in all the strata together
    strata: int  # working days of a year, or its weekends
    #: Half the width of the interval that holds the number of studies with 95 % confidence.
    margin: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PartsFacts:
    """One archive asked in parts by date, because its whole answer was capped or doubted, and what they amount to."""

    whole_matches: int
    #: C-FINDs that were asked for it.
    queries: int
    parts: tuple[Part, ...] = ()
    #: Matches on a day on which none can be: studies that match every range; all of them where dates are ignored.
    control_matches: int = 0
    control_instances: int = 0
    #: Of so many studies of the whole answer it was looked at whether there is a date: how many had none (its length is
    #: looked at, the value is not), and how many studies lie before every date.
    looked_at: int = 0
    undated: int = 0
    undated_reached: int = 0
    sample: SampleFacts | None = None
    #: Why not everything was asked, or could be; "" where it was.
    stopped: str = ""
    studies: Count = UNKNOWN_COUNT
    images: Count = UNKNOWN_COUNT
