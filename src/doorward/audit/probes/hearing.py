"""What it means when a port that should greet does not: closed, silent, hung up, or something else lives there."""

from collections.abc import Awaitable
from dataclasses import replace
from typing import TypeVar

from doorward.audit.database_facts import DatabaseFacts
from doorward.audit.facts import Outcome
from doorward.audit.file_facts import FtpFacts
from doorward.audit.share_facts import ShareFacts
from doorward.errors import (
    ConnectFailed,
    LimitExceeded,
    PeerProtocolError,
    ReplyTimeout,
    TlsFailed,
)
from doorward.greetings.conversation import END_OF_STREAM

FactsT = TypeVar("FactsT", DatabaseFacts, FtpFacts, ShareFacts)


async def heard(
    looking: Awaitable[FactsT], nothing: FactsT, *, otherwise: str = "something else"
) -> tuple[Outcome, str, FactsT]:
    """Return what was heard, or ``nothing`` with the reason; ``otherwise``: what an open port speaks that was not understood.

    An open port that stays silent is no answer, one that says something else is one. Raises ConnectFailed other than refused.
    """
    try:
        return Outcome.ANSWERED, "", await looking
    except ConnectFailed as failure:
        if failure.kind != "refused":
            raise
        return Outcome.ANSWERED, "the port is closed", replace(nothing, is_open=False)
    except (ReplyTimeout, TlsFailed) as failure:
        return Outcome.INCONCLUSIVE, str(failure), nothing
    except (PeerProtocolError, LimitExceeded) as failure:
        if isinstance(failure, PeerProtocolError) and failure.field == END_OF_STREAM:
            return Outcome.INCONCLUSIVE, "the port is open and hung up without an answer", nothing
        return Outcome.ANSWERED, f"the port is open and speaks {otherwise}", nothing
