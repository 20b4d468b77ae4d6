"""Writing: may a stranger negotiate storage and its kin? Nothing is ever stored (promise 3)."""

from datetime import datetime

from doorward.audit.checks.offers import names, not_offered, offered, weakness
from doorward.audit.checks.registry import check
from doorward.audit.checks.ruling import Ruling, failed, number
from doorward.audit.door import Door
from doorward.audit.verdict import Severity

_LATE = (
    " This server refused a query only when it came, after agreeing to its context, so it may refuse "
    "objects in the same way; that cannot be seen without storing one."
)


@check("dimse_store_open")
def store_open(door: Door, _now: datetime) -> Ruling:
    """Judge the storage contexts (rung E7).

    A server that decides late still fails: reading and writing are separate rights (Orthanc as shipped refuses the one
    and grants the other), so a refused query does not weigh against an accepted storage context as it does for retrieval.
    """
    contexts = offered(door, "store")
    if not contexts:
        return not_offered(door, "storage", "store")
    return failed(
        f"A stranger may negotiate storage of {number(len(contexts), 'kind')} of objects, for "
        f"example {names(contexts, 2)}; nothing was stored.{_LATE if door.decides_late else weakness(door)}"
    )


@check("dimse_other_services_open")
def other_services_open(door: Door, _now: datetime) -> Ruling:
    """Judge procedure steps, storage commitment and print by their contexts."""
    services = ("mpps", "commitment", "print")
    contexts = offered(door, *services)
    if not contexts:
        return not_offered(door, "procedure steps, storage commitment and print", *services)
    evidence = f"A stranger may negotiate {names(contexts)}; none of it was used."
    return failed(evidence, Severity.LOW if door.decides_late else None)
