"""FHIR: a description that may be public, and searches that must not be."""

from collections.abc import Sequence
from datetime import datetime

from doorward.audit.checks.registry import Per, check
from doorward.audit.checks.ruling import (
    Ruling,
    failed,
    inconclusive,
    not_applicable,
    not_tested,
    passed,
    unasked,
)
from doorward.audit.door import Door
from doorward.audit.fhir_facts import FhirFacts, FhirRoot, FhirSearch
from doorward.audit.verdict import Severity
from doorward.audit.web_facts import Access

_SHUT = (Access.LOGIN, Access.ABSENT)


@check("fhir_search_open", per=Per.ASKED)
def search_open(door: Door, _now: datetime) -> Ruling:
    """Judge the searches for a number."""
    facts = next(iter(door.answered(FhirFacts)), None)
    if facts is None:
        return unasked(door, "fhir")
    if not facts.roots:
        return not_applicable("No FHIR server answers at the paths that were asked for.")
    searches = [(root, search) for root in facts.roots for search in root.searches]
    if not searches:
        return not_tested("No search was sent: needs clearance level 2.")
    opened = [(root, search) for root, search in searches if search.access is Access.OPEN]
    if opened:
        told = "; ".join(_told(root, search) for root, search in opened)
        has_any = any(s.sends_resources or s.count.value for _, s in opened)
        more = " The server sent resources although only their number was asked for; none was read."
        sends = any(search.sends_resources for _, search in opened)
        return failed(
            f"A stranger's search is answered: {told}.{more if sends else ''}",
            None if has_any else Severity.HIGH,
        )
    if all(search.access in _SHUT for _, search in searches):
        return passed(f"Searches are refused at {_named(facts.roots)}.")
    return inconclusive(f"Searches at {_named(facts.roots)} got no answer that shows anything.")


@check("fhir_metadata_open", per=Per.ASKED)
def metadata_open(door: Door, _now: datetime) -> Ruling:
    """Judge whether a CapabilityStatement is public."""
    facts = next(iter(door.answered(FhirFacts)), None)
    if facts is None:
        return unasked(door, "fhir")
    if not facts.roots:
        return not_applicable("No FHIR server answers at the paths that were asked for.")
    opened = [root for root in facts.roots if root.metadata is Access.OPEN]
    if not opened:
        return passed(f"The description at {_named(facts.roots)} is not given to strangers.")
    return failed("; ".join(_described(root) for root in opened))


def _told(root: FhirRoot, search: FhirSearch) -> str:
    known = search.count.value
    counted = "no number given" if known is None else f"{known:,}"
    return f"{search.resource} at {root.root}: {counted}"


def _named(roots: Sequence[FhirRoot]) -> str:
    return ", ".join(root.root for root in roots)


def _described(root: FhirRoot) -> str:
    named = f"{root.software} {root.software_version}".strip() or "a server without a known name"
    version = f", FHIR {root.fhir_version}" if root.fhir_version else ""
    return f"{root.root} is described as {named}{version}."
