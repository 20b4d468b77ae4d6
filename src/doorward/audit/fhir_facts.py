"""What a FHIR server said of itself, and whether a search answered a stranger with a number; no resource was read."""

from dataclasses import dataclass

from doorward.audit.tally import UNKNOWN_COUNT, Count
from doorward.audit.web_facts import Access


@dataclass(frozen=True, slots=True, kw_only=True)
class FhirSearch:
    """One search for nothing but a number."""

    resource: str  # ImagingStudy | Patient
    access: Access
    count: Count = UNKNOWN_COUNT
    #: The server sent resources although only their number was asked for; reading was ended there.
    sends_resources: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class FhirRoot:
    """One FHIR service under one path of our list."""

    root: str
    #: Of the CapabilityStatement, which names no patient.
    metadata: Access
    fhir_version: str = ""
    software: str = ""
    software_version: str = ""
    searches: tuple[FhirSearch, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class FhirFacts:
    """Every root that answered as a FHIR server does."""

    over_tls: bool
    roots: tuple[FhirRoot, ...] = ()
    answered: int = 0
    requests: int = 0
