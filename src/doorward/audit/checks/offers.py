"""What a stranger may negotiate: the part that the rules on query, retrieval and storage share.

Theory of operation: an accepted presentation context is the only evidence that the auditor has for retrieval and storage,
because it never asks for either (promise 3). Where a server is seen to agree to contexts and to refuse the request itself
(``Door.decides_late``), that evidence is weak, and the rules say so.
"""

from doorward.audit.checks.ruling import (
    Ruling,
    for_no_stranger,
    inconclusive,
    not_tested,
    passed,
    unasked,
)
from doorward.audit.door import Door
from doorward.audit.facts import ContextAnswer
from doorward.wire.pdu import ContextResult

#: The server knows the service but not the encodings that were proposed: no refusal of the caller.
_NO_COMMON_SYNTAX = ContextResult.TRANSFER_SYNTAXES_NOT_SUPPORTED


def offered(door: Door, *services: str) -> tuple[ContextAnswer, ...]:
    """Return the contexts of the services that a stranger was granted."""
    return tuple(
        {
            c.abstract_syntax: c
            for facts in door.stranger_capabilities
            for c in facts.accepted(*services)
        }.values()
    )


def not_offered(door: Door, what: str, *services: str) -> Ruling:
    """Return the ruling where a stranger was granted none of the services."""
    if not door.stranger_capabilities:
        return for_no_stranger(door, what) or unasked(door, "capabilities")
    answers = [c for f in door.stranger_capabilities for c in f.contexts if c.service in services]
    if not answers:
        return not_tested(f"No context for {what} was proposed.")
    if any(c.result is None for c in answers):
        return inconclusive(
            f"The server did not answer every context that was proposed for {what}."
        )
    if any(c.result == _NO_COMMON_SYNTAX for c in answers):
        return inconclusive(
            f"The server knows {what} but shares none of the proposed transfer syntaxes, "
            "which does not tell whether a stranger may use it."
        )
    if len(answers) == 1:
        return passed(f"The presentation context for {what} was refused to a stranger.")
    return passed(
        f"All {len(answers)} presentation contexts for {what} were refused to a stranger."
    )


def weakness(door: Door) -> str:
    """Return the caveat where the likely product is known to agree to every context, or ""; begins with a space."""
    if door.remedies[:1] != ("orthanc",):
        return ""
    return (
        " This is weak evidence: Orthanc, which this seems to be, agrees to every context and decides "
        "only when the request comes."
    )


def names(contexts: tuple[ContextAnswer, ...], limit: int = 4) -> str:
    """Return the names of contexts for a sentence, shortened with a count."""
    shown = [c.name or c.abstract_syntax for c in contexts[:limit]]
    more = len(contexts) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "")
