"""Taking: may a stranger negotiate retrieval? No image is ever requested (promise 3)."""

from datetime import datetime

from doorward.audit.checks.offers import names, not_offered, offered, weakness
from doorward.audit.checks.registry import check
from doorward.audit.checks.ruling import Ruling, failed, inconclusive
from doorward.audit.door import Door
from doorward.audit.verdict import Severity


@check("dimse_retrieve_open")
def retrieve_open(door: Door, _now: datetime) -> Ruling:
    """Judge the retrieve contexts; critical beside an answered query (rung E6)."""
    contexts = offered(door, "get", "move")
    if not contexts:
        return not_offered(door, "retrieval", "get", "move")
    evidence = f"A stranger may negotiate {names(contexts)}; nothing was retrieved."
    if any(e.answers_study_query for e in door.stranger_exposures):
        return failed(
            f"{evidence} Queries are answered too, so what can be listed can be fetched, as far as "
            f"negotiation shows.{weakness(door)}"
        )
    if door.decides_late:
        return inconclusive(
            f"{evidence} But this server agreed to the query context too and refused the query when "
            "it came: whether it would refuse a retrieval cannot be seen without trying one."
        )
    return failed(
        f"{evidence} No query was answered, so a caller would have to know identifiers already.",
        Severity.HIGH,
    )
