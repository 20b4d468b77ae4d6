"""The JSON report ``doorward.report/1`` as types: the contract for scripts outside, and the input of the other writers.

Fields may be added, never renamed or removed, as long as the name ends in ``/1``. The schema is published as
docs/report.schema.json and a test keeps it equal. Every text is a ``Line``: strangers' characters are already harmless.
"""

from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from doorward.audit.report.untrusted import Line, Lines

SCHEMA_NAME: Final = "doorward.report/1"

SeverityLabel = Literal["info", "low", "medium", "high", "critical"]
VerdictLabel = Literal[
    "pass", "fail", "inconclusive", "error", "not_applicable", "not_tested", "accepted"
]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class CountModel(_Part):
    """A number with its honesty."""

    value: int | None = Field(description="null exactly where exactness is unknown")
    exactness: Literal["exact_counter", "exact_enumerated", "at_least", "estimated", "unknown"]
    method: Line = Field(description="how it was counted, and why it is not exact")


class CountsModel(_Part):
    """What lies behind the door of one system."""

    patients: CountModel
    studies: CountModel
    images: CountModel
    images_downloadable: CountModel


class ReferenceModel(_Part):
    """A source to look up."""

    label: Line
    url: Line = ""


class ServiceModel(_Part):
    """What one port turned out to be."""

    port: int
    protocol: Line
    tls: Line = Field(description="negotiated version, or empty")
    product: Line
    version: Line
    toolkit: Line
    confidence: Line = Field(description="how the product was recognised: source, file, claim")


class FindingModel(_Part):
    """The verdict of one check on one system or port."""

    check: Line
    verdict: VerdictLabel
    severity: SeverityLabel
    title: Line = Field(description="the secure condition; what is wrong, where the check failed")
    evidence: Line = Field(description="what was seen; holds no patient data")
    remediation: Lines = Field(description="what to change; one line for each product in question")
    references: tuple[ReferenceModel, ...]
    port: int | None = None
    verify: Line = Field(default="", description="the command that shows whether it is shut")


class HoneypotModel(_Part):
    """How much a system looks like a honeypot or a demonstration."""

    score: int = Field(description="0 to 100")
    is_suspected: bool = Field(description="left out of the totals, unless asked for")
    signs: tuple[Line, ...] = ()


class SystemModel(_Part):
    """One address with everything that is known about it."""

    address: Line
    name: Line
    country: Line = Field(description="ISO 3166-1 alpha-2, or empty where it is not known")
    grade: Line
    score: int | None = Field(description="0 to 100; null where the grade is 'not rated'")
    grade_reasons: tuple[Line, ...] = ()
    clearance_level: int
    ladder: tuple[Line, ...] = Field(description="rungs of the exposure ladder that were reached")
    services: tuple[ServiceModel, ...]
    counts: CountsModel
    findings: tuple[FindingModel, ...]
    honeypot: HoneypotModel | None = None
    shows_imaging: bool = Field(
        default=True, description="DICOM, DICOMweb, or a page or interface of an imaging product"
    )
    site: Line = Field(default="", description="from the operator's inventory, like the next two")
    owner: Line = ""
    contact: Line = ""
    network_operator: Line = Field(default="", description="from an offline table of addresses")


class TotalsModel(_Part):
    """The sums over the systems. A system whose count is not known makes a sum at_least."""

    systems: int
    left_out: int = Field(
        default=0, description="systems that look like honeypots, not in the sums"
    )
    speaking_dicom: int
    unprotected: int
    downloadable: int
    writable: int
    patients: CountModel
    studies: CountModel
    images: CountModel
    images_downloadable: CountModel
    tested: int = Field(default=0, description="systems of which anything could be judged")
    unanswered: int = Field(
        default=0, description="systems that may be there and did not answer: not known to be safe"
    )
    critical: int = Field(default=0, description="systems where a critical check failed")
    weak: int = Field(default=0, description="where a medium or high one failed, none critical")
    web_viewers_plain_http: int = Field(default=0, description="systems on rung W2")
    file_listings: int = Field(default=0, description="systems on rung W3")
    exposed_countries: int = Field(
        default=0, description="known countries with at least one unprotected system"
    )


class CountryModel(TotalsModel):
    """The sums over one country."""

    country: Line = Field(description="ISO 3166-1 alpha-2, or empty where it is not known")


class GroupModel(TotalsModel):
    """The sums over the systems that have one thing in common."""

    key: Line = Field(description="what they have in common, or empty where it is not known")


class GroupsModel(_Part):
    """The sums by what systems may have in common, most open systems first; empty where nothing is known."""

    sites: tuple[GroupModel, ...] = ()
    owners: tuple[GroupModel, ...] = ()
    products: tuple[GroupModel, ...] = ()
    rungs: tuple[GroupModel, ...] = Field(
        default=(), description="each system once, under its worst rung; the worst first"
    )


class ScopeModel(_Part):
    """Under which authorisation the audit ran."""

    organisation: Line
    authorised_by: Line
    valid_until: Line = Field(description="ISO 8601 day, or empty for loopback")
    sha256: Line = Field(description="of the scope file, or empty for loopback")


class CoverageModel(_Part):
    """How much of what was to be asked has been answered."""

    targets: int = Field(description="targets that the operator named")
    systems: int = Field(description="systems with a result")
    ports: int
    connections: int
    questions_answered: int
    questions_inconclusive: int
    questions_failed: int = Field(description="because of an error of our own")
    questions_not_asked: int


class ScanModel(_Part):
    """How, when and by what the report was made."""

    tool: Literal["doorward"] = "doorward"
    version: Line
    started_at: Line = Field(description="ISO 8601, UTC")
    finished_at: Line = Field(description="ISO 8601, UTC")
    interrupted: bool = Field(description="true: the audit was ended early, systems are missing")
    clearance_level: int
    scope: ScopeModel
    coverage: CoverageModel
    grade_version: Line
    knowledge_date: Line = Field(description="ISO 8601 day of the built-in tables")


class Report(BaseModel):
    """One audit: the whole report."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    schema_name: Literal["doorward.report/1"] = Field(default=SCHEMA_NAME, alias="schema")
    scan: ScanModel
    totals: TotalsModel
    countries: tuple[CountryModel, ...] = ()
    groups: GroupsModel = GroupsModel()
    systems: tuple[SystemModel, ...]


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of the report (draft 2020-12), as published in docs/report.schema.json."""
    schema = Report.model_json_schema(by_alias=True, mode="serialization")
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": SCHEMA_NAME}
    return {**head, **schema, "title": "Doorward audit report"}
