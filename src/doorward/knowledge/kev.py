"""The catalogue of known exploited vulnerabilities of CISA (KEV): which ids attackers are known to use, and since when.

Only ids and days are kept. The catalogue says how many entries it has: another number means that it was cut off.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from doorward.knowledge.csaf import CVE
from doorward.knowledge.json_document import Node


@dataclass(frozen=True, slots=True, kw_only=True)
class KevCatalogue:
    """One edition of the catalogue."""

    version: str
    released: str  # ISO 8601
    exploited: Mapping[str, str]  # id -> day it was listed


def read_kev(root: Node) -> KevCatalogue:
    """Return the catalogue; ConfigError names the JSON path of what breaks its form."""
    version = root.member("catalogVersion")
    if len(version.text()) > 32 or not version.text().isprintable():
        raise version.fault("must be a version")
    exploited: dict[str, str] = {}
    entries = 0
    root.member("vulnerabilities")
    for entry in root.items("vulnerabilities"):
        cve = entry.member("cveID")
        if not CVE.fullmatch(cve.text()):
            raise cve.fault("must be a CVE id")
        exploited[cve.text()] = entry.member("dateAdded").day()
        entries += 1
    count = root.member("count")
    if count.value != entries:
        raise count.fault(
            f"does not agree with the {entries:,} entries that are there",
            hint="The file may be cut off: take it again.",
        )
    return KevCatalogue(
        version=version.text(), released=root.member("dateReleased").day(), exploited=exploited
    )
