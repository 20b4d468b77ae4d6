"""Draws docs/conformance.md: the DICOM conformance statement of the archive, from the tables that it runs on (PS3.2).

A table of the page is a table of the code, imported: SOP classes, transfer syntaxes, attributes by level, parameters of a
search, limits, roles. What is only words here is what no table says. Statuses are a table of this page: a test reads the
sources and holds both against each other (tests/test_conformance.py). tests/interop/test_conformance.py asks a running archive.
"""

from collections.abc import Iterable, Sequence

from doorward.access.audit_message import MESSAGES
from doorward.access.identity import Operation
from doorward.access.policy import PRESETS
from doorward.archive.head import INSTANCE_TAGS
from doorward.archive.index.levels import (
    MADE_HERE,
    SERIES_TEXTS,
    STUDY_TEXTS,
    UPPER_TAGS,
    level_of,
)
from doorward.archive.offered import SERVICES, STORAGE
from doorward.archive.pixels.transcoding import DECODED, NATIVE, TARGETS
from doorward.archive.retrieval import UNIQUE_KEYS
from doorward.archive.running.settings import Settings
from doorward.archive.web.capabilities import TRANSACTIONS, write_openapi
from doorward.archive.web.octets import pixel_forms
from doorward.archive.web.qido import ALWAYS, IF_KNOWN
from doorward.dicom.charset import understood_terms
from doorward.dicom.periods import PERIOD_VRS
from doorward.dicom.query import WILD_CARD_VRS
from doorward.dicom.tags import TAGS, vr_of
from doorward.dicom.values import SPECIFIC_CHARACTER_SET
from doorward.limits import DEFAULT_LIMITS
from doorward.limits import describe as bounds
from doorward.net.client import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from doorward.net.tls import SERVER_SUITES
from doorward.wire.pdu import IdentityType
from doorward.wire.status import describe
from doorward.wire.uids import STORAGE_COMMITMENT_PUSH_MODEL, TRANSFER_SYNTAXES, UIDS

_ANY = "any: accepted as proposed, the first of each context, known to the archive or not"
#: Service of ``wire.status`` -> (status, when it is given).
STATUSES: dict[str, tuple[tuple[int, str], ...]] = {
    "echo": ((0x0000, "whoever may ask"), (0x0124, "the policy says no")),
    "store": (
        (0x0000, "the instance is durable: on disk, indexed, in the journal"),
        (0xB000, "its UID is held with other content: this one is kept aside, nothing is replaced"),
        (0x0124, "the policy says no; the reason is in Error Comment"),
        (0xA700, "no room, the storage or the journal has failed, a limit is reached"),
        (0xA900, "SOP Class or Instance UID differs from command or context; no study or series"),
        (0xC000, "the data set or a UID is malformed"),
    ),
    "find": (
        (0xFF00, "a match"),
        (0xFF01, "a match; a key that is not supported was passed over"),
        (0x0000, "that was all"),
        (0xFE00, "C-CANCEL"),
        (0x0124, "the policy says no"),
        (0xA700, "the storage or the journal has failed"),
        (0xA900, "level or unique keys do not fit the model, or a key cannot be understood"),
    ),
    "get": (
        (0xFF00, "after each sub-operation"),
        (0x0000, "all sub-operations went well; also where nothing is held"),
        (0xB000, "some failed"),
        (0xFE00, "C-CANCEL"),
        (0x0124, "the policy says no"),
        (0xA702, "all failed; or the allowance of the hour, a limit, the storage is in the way"),
        (0xA900, "unique keys do not fit the level"),
    ),
    "move": (
        (0xFF00, "after each sub-operation"),
        (0x0000, "all sub-operations went well; also where nothing is held"),
        (0xB000, "some failed"),
        (0xFE00, "C-CANCEL"),
        (0x0124, "the policy says no, to the study or to the destination"),
        (0xA702, "all failed; or the allowance of the hour, a limit, the storage is in the way"),
        (0xA801, "the destination is not in the settings"),
        (0xA900, "unique keys do not fit the level"),
    ),
    "commitment": (
        (0x0000, "the request is on disk; the report follows"),
        (0x0110, "the storage has failed"),
        (0x0112, "not the well-known SOP instance"),
        (0x0115, "no transaction, or no instances, in valid UIDs"),
        (0x0118, "not the Storage Commitment Push Model"),
        (0x0123, "an action type that does not exist"),
        (0x0124, "the policy says no"),
        (0x0213, "too many requests wait, or too many instances in one"),
    ),
}
#: Failure Reason of an instance in the report of a storage commitment (PS3.3 section C.14.1.1).
FAILURES = (
    (0x0110, "its content is damaged or missing"),
    (0x0112, "not held, or the policy hides it from who asks"),
    (0x0119, "held under another SOP class"),
)


def page() -> str:
    """Return the page."""
    sections = (
        *(_overview, _storage, _syntaxes, _association, _verification_and_storage, _query),
        *(_attributes, _retrieve, _commitment, _web, _web_searches, _web_retrieval, _media),
        *(_character_sets, _security, _configuration),
    )
    return "\n".join(section() for section in sections)


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a markdown table (as ``docs.table``, which imports this module)."""
    lines = ["| " + " | ".join(head) + " |", "|" + " --- |" * len(head)]
    lines += ["| " + " | ".join(str(c).replace("|", "\\|") for c in row) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def _name(uid: str) -> str:
    return UIDS[uid][0] if uid in UIDS else "?"


def _tag(tag: int) -> str:
    return f"({tag >> 16:04X},{tag & 0xFFFF:04X})"


def _attribute(tag: int) -> str:
    return TAGS[tag][2] if tag in TAGS else "?"


def _uids(uids: Iterable[str]) -> list[tuple[str, str]]:
    return [(_name(uid), f"`{uid}`") for uid in uids]


def _bounds(*names: str) -> str:
    rows = [(f"`{n}`", f"{v:,}", unit) for n, v, unit, _ in bounds() if n in names]
    assert len(rows) == len(names)
    return table(("limit", "default", "unit"), rows)


def _statuses(service: str) -> str:
    rows = []
    for status, when in STATUSES[service]:
        number, _, words = describe(status, service).partition(" ")
        rows.append((f"`{number}`", words, when))
    return table(("status", "meaning (PS3.4, PS3.7)", "when"), rows)


# --- overview -----------------------------------------------------------------------------------------------------------


def _overview() -> str:
    rows = [
        (_name(uid), f"`{uid}`", "SCU" if uid == "-" else "SCP", ", ".join(map(_name, syntaxes)))
        for uid, syntaxes in SERVICES.items()
    ]
    return f"""# DICOM conformance statement of the archive

For `doorward archive`; the outline is that of PS3.2. Everything that is a table here is a table of the program. A foreign peer
holds it against a running archive (`tests/interop/test_conformance.py`): each SOP class with each transfer syntax below is
accepted, and nothing else is.

One application entity stores composite instances of every kind, finds them, gives them back, moves them to destinations that
it knows, and commits itself to keep them. It does the same over HTTPS as DICOMweb origin server. It displays nothing by
itself and creates no instances of its own. Whom it cannot name it tells nothing: section 6 is part of every other one.

## 1 SOP classes

As provider (SCP):

{table(("SOP class", "UID", "role", "transfer syntaxes, in our order of preference"), rows)}
As provider and, with C-GET and C-MOVE, as user (SCU): the storage SOP classes of section 1.1, in any transfer syntax. As user
of an association that the archive opens: storage (C-MOVE), and `{STORAGE_COMMITMENT_PUSH_MODEL}` in the provider's role, to
report.
"""


def _storage() -> str:
    return (
        f"### 1.1 Storage SOP classes\n\n{len(STORAGE)} of them, retired ones included: what a clinic has is older than the "
        f"Standard's list. Transfer syntaxes: {_ANY}. A class that is not in this list, private ones included, is refused.\n\n"
        + table(("SOP class", "UID"), _uids(sorted(STORAGE, key=lambda uid: (_name(uid), uid))))
    )


def _syntaxes() -> str:
    rows = [
        (_name(uid), f"`{uid}`", _how_given(uid), pixel_forms(uid)[0].media_type)
        for uid in (*TRANSFER_SYNTAXES, *sorted((NATIVE | DECODED).difference(TRANSFER_SYNTAXES)))
    ]
    targets = ", ".join(map(_name, TARGETS))
    return (
        "### 1.2 Transfer syntaxes of stored instances\n\nAn instance is kept byte by byte in the transfer syntax in which it "
        "came, and given back so to whoever accepts that one. To others it is written anew where the table says so, "
        f"losslessly and with the same SOP Instance UID, in the first of these that is accepted: {targets}. Decoding needs "
        "`doorward[images]`, and for some of these syntaxes a further plugin of pydicom. "
        "A transfer syntax that is not in this table is kept and given back as it is.\n\n"
        + table(
            ("transfer syntax", "UID", "for peers that do not accept it", "frames (WADO)"), rows
        )
    )


def _how_given(uid: str) -> str:
    if uid in NATIVE:
        return "written anew"
    return "decoded" if uid in DECODED else "not given"


# --- networking ---------------------------------------------------------------------------------------------------------


def _association() -> str:
    dicom = Settings().dicom
    limits = _bounds(
        *("associations", "associations_per_peer", "max_pdu_bytes", "presentation_contexts"),
        *("artim_s", "idle_s", "identifier_bytes"),
    )
    return f"""## 2 Association policies

| | |
| --- | --- |
| Application Context Name | `1.2.840.10008.3.1.1.1` |
| Implementation Class UID | `{IMPLEMENTATION_CLASS_UID}` |
| Implementation Version Name | `{IMPLEMENTATION_VERSION_NAME}` |
| AE title | `{dicom.ae_title}`, by the settings; the called AE title is not a condition |
| Port | {dicom.port} (DICOM over TLS) on {", ".join(dicom.addresses)}, by the settings |
| Asynchronous operations | not negotiated: one operation at a time on an association |
| Role selection (PS3.7 D.3.3.4) | SCP role of the requestor: storage SOP classes, for C-GET |
| SOP class extended negotiation | not answered: baseline behaviour holds (no relational queries, no date-time combination) |
| Common extended negotiation | not answered |
| User identity | **{_identity_default()}** unless the settings say otherwise; not looked at then, and not answered |
| User identity, where it is on | types {_identity_types()}, inside TLS only; answered where that is asked for |

**Accepting.** The order is: TLS with a client certificate (or, on a port asked for by name, address and calling AE title),
then user identity where that is on and one is shown, then the presentation contexts. Of several transfer syntaxes in one
context the first of ours is taken. A context is refused with *abstract syntax not supported*, *transfer syntaxes not
supported*, or *user rejection* where it leaves the requestor no role.

| rejection (PS3.8 Table 9-21) | when |
| --- | --- |
| 1/1/3 calling AE title not recognized | nobody is known by this certificate, or by this address and title |
| 1/2/1 no reason given | the user identity proves nothing: wrong, of another type, or not inside TLS |
| 2/3/1 temporary congestion | too many logins at a time |
| 2/3/2 local limit exceeded | more associations than below |

**Initiating.** For each C-MOVE, and for reports of storage commitment, to destinations of the settings alone; with our client
certificate over TLS unless the destination is set to be plain. Proposed for a C-MOVE: each SOP class with the transfer syntax
in which an instance is held, and one context more for each syntax that it can be written in. For a report: the Storage
Commitment Push Model, with the SCP role for us.

{limits}"""


def _identity_default() -> str:
    return "on" if Settings().dicom.user_identity else "off"


def _identity_types() -> str:
    types = (IdentityType.USERNAME_AND_PASSCODE, IdentityType.JWT)
    return " and ".join(f"{one.value} ({one.name.lower().replace('_', ' ')})" for one in types)


def _verification_and_storage() -> str:
    return f"""## 3 Services

### 3.1 Verification

{_statuses("echo")}
### 3.2 Storage

Level 2 (full): every attribute, private ones too, is kept as received. Digital signatures stay valid and are not checked.
Success means durable. The same instance again is a success and changes nothing. No attribute is coerced. The preamble of a
file that comes by STOW or import is replaced, and the original kept beside it.

{_statuses("store")}"""


def _query() -> str:
    text = ", ".join(sorted(WILD_CARD_VRS))
    periods = ", ".join(sorted(PERIOD_VRS))
    return f"""### 3.3 Query (C-FIND)

Patient Root and Study Root, hierarchical: each level above the one that is asked for is named by one UID. A Patient ID may be
given and need not. Section 3.4 says which attributes are matched; sequences are among them.

| kind of matching (PS3.4 C.2.2.2) | for |
| --- | --- |
| single value | all VRs of text, numbers, dates and times |
| list of UID | UI; a list of several values is *any of them* for other VRs |
| universal | all, an attribute that is absent included; also a lone `*` |
| wild card | {text} |
| range | {periods} |
| sequence | SQ, one item |
| empty value, multiple value | on DICOMweb, when asked for by its parameter |

Names (PN) are compared without regard to case, accents and width, and across character sets; other text exactly, in Unicode.
Date and time are matched each for itself. A key that is not supported (not in section 3.4, of a level below, or of a VR that
holds bytes) is passed over: the answers say `FF01`, and on DICOMweb a warning names it. Answers hold Query/Retrieve Level,
Retrieve AE Title, and Specific Character Set `ISO_IR 192` where they are not ASCII. Timezone Offset From UTC of an identifier
is the offset of its DT keys that name none; dates and times are compared as they stand. Nothing of a study that the policy
hides is shown or counted as a match.

**Deviation from PS3.4 C.2.2.1.2.** A required key of zero length in a data set that is held has to match every value that is
asked for, says the Standard. Here, on both doors, what is of zero length or absent matches a universal key only
([why](decisions/0010-what-has-no-value-does-not-match.md); [how others answer](query-differences.md)).

{_statuses("find")}"""


def _attributes() -> str:
    kept = (UPPER_TAGS | MADE_HERE | INSTANCE_TAGS) - {SPECIFIC_CHARACTER_SET}
    known = sorted(kept, key=lambda tag: (level_of(tag), tag))
    rows = [
        (level_of(t).name, _tag(t), _attribute(t), vr_of(t), _kind(t), _found_by(t)) for t in known
    ]
    return (
        "### 3.4 Attributes by level\n\nWhat is kept of an instance for queries; it may be asked for and is matched, at its "
        "level and below. A key for anything else is passed over, and answered empty. *index*: looked up; *checked*: "
        "compared in what other keys leave over; *made*: counted or collected by the archive.\n\n"
        + table(("level", "tag", "attribute", "VR", "key", "found by"), rows)
    )


def _kind(tag: int) -> str:
    if tag in UNIQUE_KEYS.values():
        return "unique"
    return "made" if tag in MADE_HERE else "optional"


def _found_by(tag: int) -> str:
    is_indexed = tag in STUDY_TEXTS | SERIES_TEXTS or tag in UNIQUE_KEYS.values()
    return "index" if is_indexed else "checked"


def _retrieve() -> str:
    return f"""### 3.5 Retrieval (C-GET, C-MOVE)

Patient Root and Study Root; unique keys alone choose, a list of UIDs at the level that is asked for. C-GET sends back on the
same association, in contexts for which the requestor took the SCP role. C-MOVE sends to destinations of the settings, where
the policy allows it; the priority is not looked at. How much one identity may take in an hour is bounded (section 6.4).

Where sub-operations failed, the identifier of the final response names them in Failed SOP Instance UID List (0008,0058), the
first {DEFAULT_LIMITS.retrieve_failed_named:,} of them, and its Error Comment (0000,0902) says why the first one did, as
does the journal.

C-GET:

{_statuses("get")}
C-MOVE:

{_statuses("move")}"""


def _commitment() -> str:
    rows = [(f"`{status:04X}`", when) for status, when in FAILURES]
    return f"""### 3.6 Storage commitment

N-ACTION type 1. The request outlives a restart. Each instance is hashed before the archive commits itself. The report
(N-EVENT-REPORT, event type 1 or 2) goes out on the association of the request once that is quiet, or else on one that the
archive opens to the destination of the device's AE title, or when the device calls again.

{_statuses("commitment")}
{table(("Failure Reason of an instance", "when"), rows)}
{_bounds("commitment_instances", "commitment_waiting_each", "commitment_age_s")}"""


# --- DICOMweb -----------------------------------------------------------------------------------------------------------


def _web() -> str:
    described = write_openapi("")["paths"]
    kinds = dict.fromkeys(kind for one in TRANSACTIONS for kind in one.takes)
    taken = " and ".join(f"`{kind}`" for kind in kinds)
    rows = []
    for one in TRANSACTIONS:
        operation = described[one.path][one.method.lower()]
        shown = " ".join(sorted(operation["responses"]))
        media = ", ".join(f"`{kind}`" for kind in one.media_types)
        rows.append((one.name, one.method, f"`{one.path}`", media, shown))
    return (
        "## 4 DICOMweb (PS3.18)\n\nOrigin server at `/dicom-web` of HTTPS; the same policy, allowances and journal as for "
        "DIMSE. `OPTIONS /` gives the capabilities as WADL, `/openapi.json` as OpenAPI. JSON is given, DICOM XML and WADO-URI "
        "are not, and there are no worklist (UPS) and no non-patient instance services.\n\n"
        + table(("transaction", "method", "path", "answers", "statuses"), rows)
        + f"\nStoring takes {taken}. Failure reasons of an instance are the statuses of 3.2.\n"
    )


def _web_searches() -> str:
    search = write_openapi("")["paths"]["/studies"]["get"]
    names = [one["name"] for one in search["parameters"] if one["in"] == "query"]
    meanings = {
        "limit": "how many answers; more than the limit below are never given at once",
        "offset": "how many are passed over",
        "fuzzymatching": "changes nothing, a warning says so: names are always compared as in 3.3",
        "includefield": "keywords, tags or `all`",
        "emptyvaluematching": '`""` asks for what has no value',
        "multiplevaluematching": "several values must all be there",
    }
    shown = [(level.name, _keywords(ALWAYS[level]), _keywords(IF_KNOWN[level])) for level in ALWAYS]
    return f"""### 4.1 Searches

Keys are keywords or tags, dotted for sequences, matched as in 3.3; upper levels may be left out (relational). A parameter
that nobody knows is refused (400). Studies come newest first.

{table(("parameter", "meaning"), [(f"`{name}`", meanings[name]) for name in names])}
{table(("level", "always returned", "returned if known"), shown)}
{_bounds("qido_answers", "qido_parameters")}"""


def _keywords(tags: Iterable[int]) -> str:
    return ", ".join(map(_attribute, tags))


def _web_retrieval() -> str:
    return """### 4.2 Retrieval

Without a `transfer-syntax` an instance is given in explicit VR little endian where it can be written so without loss of
form, else as it is held; `transfer-syntax=*` gives it as it came, byte by byte. Frames are given as they lie in the file, by
the media types of section 1.2, or as `application/octet-stream`. Metadata name bulk data by URI. `ETag` and `If-None-Match` are
honoured. Rendered images: `window`, `quality` and `viewport` of PS3.18 section 8.3.5.
"""


# --- the rest -----------------------------------------------------------------------------------------------------------


def _media() -> str:
    return """## 5 Media and character sets

### 5.1 Files

`doorward archive import` reads files of PS3.10, `export` writes them, with file meta information and a clean preamble. No
DICOMDIR is written, none is needed to read, and no media application profile is claimed.
"""


def _character_sets() -> str:
    terms = ", ".join(f"`{term}`" for term in understood_terms())
    return (
        "### 5.2 Character sets\n\nInstances keep theirs. For queries and answers text is Unicode; these defined terms of "
        f"Specific Character Set (0008,0005) are read: {terms}. What no term defines is shown as U+FFFD. Answers are ASCII or "
        "`ISO_IR 192`.\n"
    )


def _security() -> str:
    shown = [operation for operation in Operation if any(operation in p for p in PRESETS.values())]
    roles = [
        (role, *("yes" if operation in carried else "" for operation in shown))
        for role, carried in PRESETS.items()
    ]
    messages = {(m.event.value, m.event.meaning) for m in MESSAGES.values()}
    volume = _bounds("volume_studies", "volume_patients", "volume_retrieved_bytes")
    return f"""## 6 Security

### 6.1 Transport (PS3.15 B.12, BCP 195: RFC 8996, RFC 9325)

TLS 1.2 and 1.3 on both doors; 1.1 and older are not spoken. Suites of TLS 1.2, in OpenSSL's words:
`{SERVER_SUITES}`; those of TLS 1.3 are AEAD all. DICOM asks for a client certificate of the archive's own authority
and looks at its revocation list at each handshake; HTTPS asks, and takes a bearer token or a login in its place.
Plain DICOM exists only on ports that the settings name.

### 6.2 Who (PS3.15 B.5, PS3.7 D.3.3.7)

Devices by certificate; people by password and a second factor, or OpenID Connect; programs by tokens. User identity
negotiation is {_identity_default()} unless `[dicom] user_identity` says otherwise. Where it is on, types
{_identity_types()} are verified, and an association with any other is refused.

### 6.3 What

A role carries operations, a rule of the settings allows them; both are needed. Refused by policy: status `0124` with the
reason in Error Comment, or 403.

{table(("role", *(str(one).replace("_", " ") for one in shown)), roles)}
### 6.4 How much

Of readers and workstations, in an hour; above it `A702`, or 429 with `Retry-After`.

{volume}
### 6.5 Audit trail (PS3.15 A.5)

Every association, refusal, query, transfer, deletion and change is recorded in a hash-chained journal, and sent as audit
message over syslog on TLS (RFC 5425, RFC 5424) where a collector is named. Messages name studies, not patients.

{table(("event ID", "message"), sorted(messages))}"""


def _configuration() -> str:
    https = Settings().https
    return f"""## 7 Configuration

AE title, addresses, ports, destinations and rules stand in `doorward.toml`
([archive-settings.md](archive-settings.md)): DICOM on port {Settings().dicom.port}, HTTPS on port {https.port}, both on this
machine alone until it says otherwise. Remote AE titles are mapped to addresses by `[[destination]]`, devices to
certificates by `doorward archive device add`. IPv4 and IPv6 are spoken; names are not looked up.
"""
