"""Two answers of a FHIR server, read in a stream: what it is (CapabilityStatement) and how many a search finds (Bundle).

Theory of operation: the grammar is ``json_stream``'s. Of the whole only these scalars are looked at: ``resourceType``,
``fhirVersion``, ``type`` and ``total`` of the outermost object, ``name`` and ``version`` of its ``software``; and how many
elements ``entry`` has, unread. A server that sends resources although only their number was asked for is cut off at once.
"""

import re
from dataclasses import dataclass

from doorward.errors import LimitExceeded, PeerProtocolError
from doorward.limits import DEFAULT_LIMITS, Limits
from doorward.web.json_stream import JsonStream

_ASKED = frozenset({"resourceType", "fhirVersion", "type", "total"})
_ASKED_OF_SOFTWARE = frozenset({"name", "version"})
_COUNT = re.compile(r"[0-9]{1,12}\Z")
_VERSION = re.compile(r"[0-9]{1,3}(?:\.[0-9]{1,4}){1,3}")
#: FHIR release 2 to 6: 1.0.2, 3.0.2, 4.0.1, 4.3.0, 5.0.0.
_FHIR_VERSION = re.compile(r"[0-9]\.[0-9]\.[0-9]{1,2}(?:-[a-z0-9]{1,12})?\Z")
#: What servers call themselves -> the name that we write; anything else may be a hospital's own words.
_SOFTWARE = (
    (re.compile(r"\bHAPI FHIR\b", re.IGNORECASE), "HAPI FHIR"),
    (re.compile(r"\bSmile ?CDR\b", re.IGNORECASE), "Smile CDR"),
    (re.compile(r"\b(?:LinuxForHealth|IBM FHIR)\b", re.IGNORECASE), "LinuxForHealth FHIR"),
    (re.compile(r"\b(?:Firely Server|Vonk)\b", re.IGNORECASE), "Firely Server"),
    (
        re.compile(
            r"\b(?:Microsoft FHIR|Azure API for FHIR|FHIR Server for Azure)\b", re.IGNORECASE
        ),
        "Microsoft FHIR Server",
    ),
    (re.compile(r"\bAidbox\b", re.IGNORECASE), "Aidbox"),
    (re.compile(r"\bOpenEMR\b", re.IGNORECASE), "OpenEMR"),
    (re.compile(r"\bMedplum\b", re.IGNORECASE), "Medplum"),
    (re.compile(r"\bBlaze\b", re.IGNORECASE), "Blaze"),
    (re.compile(r"\bOrthanc\b", re.IGNORECASE), "Orthanc"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class FhirDocument:
    """What was read of one answer; ``software`` is one of our own names or ""."""

    resource_type: str  # CapabilityStatement | Conformance | Bundle | OperationOutcome | other | ""
    fhir_version: str = ""
    software: str = ""
    software_version: str = ""
    #: "searchset" | "other" | "": HAPI FHIR left it out of counts for years.
    bundle_type: str = ""
    total: int | None = None
    entries: int = 0


_TYPES = frozenset({"CapabilityStatement", "Conformance", "Bundle", "OperationOutcome"})


class FhirReader:
    """Reads one JSON answer of a FHIR server; never raises for what the peer sent."""

    def __init__(self, *, limits: Limits = DEFAULT_LIMITS, most_entries: int = 0) -> None:
        self._stream = JsonStream(self, limits=limits)
        self._most_entries = most_entries
        self._is_broken = False
        self._is_object = False
        self._member = ""  # of the outermost object
        self._inner = ""  # of its software
        self._found: dict[str, str] = {}
        self._software: dict[str, str] = {}
        self._entries = 0
        #: The text was one whole JSON value.
        self.is_whole = False

    def feed(self, chunk: memoryview) -> bool:
        """Read a piece; False: enough, or no JSON."""
        try:
            self._stream.feed(chunk)
        except (PeerProtocolError, LimitExceeded):
            self._is_broken = True
        return not self._is_broken and self._entries <= self._most_entries

    def finish(self) -> None:
        """Say that nothing follows."""
        if not self._is_broken:
            try:
                self._stream.finish()
                self.is_whole = True
            except PeerProtocolError:
                self._is_broken = True

    def document(self) -> FhirDocument:
        """Return what was found, whole or not."""
        kind = self._found.get("resourceType", "")
        total = self._found.get("total", "")
        version = self._found.get("fhirVersion", "")
        name = self._software.get("name", "")
        known = _VERSION.match(self._software.get("version", ""))
        software = next((ours for pattern, ours in _SOFTWARE if pattern.search(name)), "")
        return FhirDocument(
            resource_type=kind if kind in _TYPES or not kind else "other",
            fhir_version=version if _FHIR_VERSION.match(version) else "",
            software=software,
            software_version=known[0] if known and software else "",
            bundle_type=_bundle_type(self._found.get("type", "")),
            total=int(total) if _COUNT.match(total) else None,
            entries=self._entries,
        )

    # --- the stream calls these -----------------------------------------------------------------------------------

    def opened(self, depth: int, *, is_array: bool) -> None:
        """Count entries; only an object is a resource."""
        if depth == 1:
            self._is_object = not is_array
        elif depth == 3 and self._member == "entry":
            self._entries += 1

    def closed(self, depth: int) -> None:
        """Leave the software."""
        if depth == 2:
            self._inner = ""

    def key(self, depth: int, name: str | None) -> None:
        """Remember which member follows."""
        if depth == 1:
            self._member = name or ""
        elif depth == 2:
            self._inner = name or ""

    def may_skip(self, depth: int) -> bool:
        """Whatever lies inside of an entry."""
        return depth > 3

    def wants(self, depth: int) -> bool:
        """The few scalars that are asked for."""
        if not self._is_object:
            return False
        if depth == 1:
            return self._member in _ASKED
        return depth == 2 and self._member == "software" and self._inner in _ASKED_OF_SOFTWARE

    def scalar(self, depth: int, text: str | None, *, is_string: bool) -> None:
        """Take it; a total is a number, everything else a string."""
        if text is None or not self.wants(depth):
            return
        if depth == 2:
            self._software.setdefault(self._inner, text)
        elif is_string is (self._member != "total"):
            self._found.setdefault(self._member, text)


def _bundle_type(word: str) -> str:
    return word if word in ("", "searchset") else "other"
