"""The sentences of a report, for people who never heard of DICOM; shared by the terminal and the HTML writer.

Everything here is made from the ``Report``. The rule of the house: a sentence never claims more than the facts. "No open
door was found" is only said where doors were tried, and what could not be tried is said in the same breath.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from doorward.audit.checks.ruling import NO_PORT_ASKED, NO_PORT_SPEAKS_DICOM
from doorward.audit.report.country_names import country_name
from doorward.audit.report.figures import counted, plural
from doorward.audit.report.model import (
    FindingModel,
    Report,
    ServiceModel,
    SystemModel,
)

_Findings = tuple[FindingModel, ...]

#: The rungs of the exposure ladder that form one climb, with what a stranger achieves on each.
RUNGS = (
    ("E1", "finds an open port"),
    ("E2", "gets an answer in DICOM"),
    ("E3", "is let in under any name"),
    ("E4", "may ask for studies"),
    ("E5", "is told the studies"),
    ("E6", "may take images"),
    ("E7", "may add images"),
    ("W1", "opens a viewer"),
    ("W2", "opens it unencrypted"),
    ("W3", "sees lists of files"),
)


class Tone(StrEnum):
    """How alarming a sentence is; writers choose colours by it."""

    OPEN = "open"
    WEAK = "weak"
    SHUT = "shut"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Headline:
    """The verdict on one system, or on all, in one sentence and its explanation."""

    tone: Tone
    sentence: str
    explanation: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Findings that a reader looks at together."""

    title: str
    findings: tuple[FindingModel, ...]
    #: One line for what need not be listed one by one, or "".
    note: str = ""


# --- the verdict on one system ----------------------------------------------------------------------------------------

_GRAVE = ("high", "critical")
_NOTABLE = ("medium", *_GRAVE)
_UNANSWERED = ("inconclusive", "error", "not_tested")
#: Answers of single ports that a headline tells where nobody speaks DICOM.
_PORTS_TOLD = 3


def is_tested(system: SystemModel) -> bool:
    """Tell whether anything beyond an open or closed port was answered (see ``audit.exit_code``)."""
    return any(
        f.verdict in ("pass", "fail", "accepted") and f.severity != "info" for f in system.findings
    )


def headline(system: SystemModel) -> Headline:
    """Return the verdict on one system."""
    if "E5" in system.ladder:
        return _readable(system)
    laid_open = _laid_open(system)
    if laid_open is not None:
        return laid_open
    if "E7" in system.ladder:
        return Headline(
            tone=Tone.OPEN,
            sentence="This archive lets strangers add images.",
            explanation=f"{_anyone(system, *_STORE)} may send it images, and it would take them "
            f"for genuine. {_told(system)} Nothing was sent in this audit.",
        )
    if not is_tested(system):
        return _unjudged(system)
    if not system.shows_imaging:
        return _no_imaging(system)
    return _not_open(system)


#: What lays a system open besides its studies: checks, and the sentence where one failed as critical.
_LAID_OPEN = (
    (
        ("auth_default_credentials", "web_console_open", "web_jdwp_open"),
        "Strangers can take over this system.",
    ),
    (
        ("db_no_password", "db_default_account_open"),
        "A database of this system lets strangers in without a password.",
    ),
    (("fhir_search_open",), "The FHIR side of this system answers strangers."),
    (
        ("files_listing_open", "files_webdav_open", "files_ftp_anonymous"),
        "This system shows strangers its image files.",
    ),
    (("web_rest_open",), "The archive's own interface answers strangers."),
)


def _laid_open(system: SystemModel) -> Headline | None:
    """Return the headline where something other than the studies stands open to all."""
    for checks, sentence in _LAID_OPEN:
        grave = (f for f in failed(system) if f.check in checks and f.severity == "critical")
        worst = next(grave, None)
        if worst is not None:
            words = f"{worst.evidence} {_anyone(system, *checks)} may use it."
            return Headline(tone=Tone.OPEN, sentence=sentence, explanation=words)
    return None


_QUERY = ("dimse_query_unprotected", "web_qido_open", "web_rest_open")
_STORE = ("dimse_store_open", "web_stow_open")


def _anyone(system: SystemModel, *checks: str) -> str:
    """Return "Anyone who can reach port 104", with the ports on which one of the checks failed."""
    # A low finding is one that only the machine itself could make use of.
    ports = sorted(
        {f.port for f in failed(system) if f.check in checks and f.port and f.severity != "low"}
    )
    if not ports:
        return "Anyone who can reach it"
    named = " or ".join(str(port) for port in ports)
    return f"Anyone who can reach port {named}"


def _told(system: SystemModel) -> str:
    if _is_query_unanswered(system):
        return "Whether it also tells its studies to strangers could not be settled."
    return "Its studies were not told to strangers."


def _readable(system: SystemModel) -> Headline:
    counts = system.counts
    if counts.studies.value is None:
        can = "can list its studies; how many could not be counted"
    elif counts.studies.value == 0:
        can = "can list its studies; at the moment it showed none"
    else:
        can = f"can list {counted(counts.studies, 'study', 'studies')}"
        if counts.patients.value:
            can += f" of {counted(counts.patients, 'patient', 'patients')}"
    takes = "E6" in system.ladder
    if takes:
        images = counts.images_downloadable
        what = counted(images, "image", "images") if images.value else "its images"
        can += f", and may take {what}"
    writes = (
        " Strangers may also add images to it, which could be mistaken for genuine ones."
        if "E7" in system.ladder
        else ""
    )
    hands_out = " and hands out its images" if takes else ""
    by_web = not any(f.check == "dimse_query_unprotected" for f in failed(system)) and any(
        f.check in _QUERY for f in failed(system)
    )
    archive = "This archive's web side" if by_web else "This archive"
    return Headline(
        tone=Tone.OPEN,
        sentence=f"{archive} answers strangers{hands_out}.",
        explanation=f"{_anyone(system, *_QUERY)} {can}. No password is asked.{writes}",
    )


def _unjudged(system: SystemModel) -> Headline:
    reasons = " ".join(system.grade_reasons)
    if "E2" in system.ladder:
        sentence = "This system could not be judged."
    else:
        sentence = "No imaging system answered here."
        reasons = _who_answered(system) or reasons
    return Headline(
        tone=Tone.UNKNOWN,
        sentence=sentence,
        explanation=reasons or "Nothing is known about its safety: silence is no protection.",
    )


def _no_imaging(system: SystemModel) -> Headline:
    """Something else than imaging answered: say what, and what is wrong with it."""
    weak = [f for f in failed(system) if f.severity in _NOTABLE]
    more = f" Beside that: {weak[0].evidence}" if weak else ""
    return Headline(
        tone=Tone.WEAK if weak else Tone.UNKNOWN,
        sentence="No imaging system answered here.",
        explanation=f"{_who_answered(system)}{more}".strip(),
    )


def _who_answered(system: SystemModel) -> str:
    """Return what was met in place of DICOM, port by port: closed, another protocol, silence, no such name."""
    met = dict.fromkeys(f.evidence for f in system.findings if f.check == "dimse_speaks_dicom")
    more = f" (And {len(met) - _PORTS_TOLD} more.)" if len(met) > _PORTS_TOLD else ""
    return " ".join(list(met)[:_PORTS_TOLD]) + more


def _not_open(system: SystemModel) -> Headline:
    unsettled = _unsettled(system)
    if unsettled is not None:
        return unsettled
    weak = [f for f in system.findings if f.verdict == "fail" and f.severity in _NOTABLE]
    gaps = [f for f in unanswered(system) if is_grave(f)]
    more = (
        f" {plural(len(gaps), 'important question')} stayed without an answer: see below."
        if gaps
        else ""
    )
    if weak:
        first = "Its worst weakness" if len(weak) > 1 else "Its weakness"
        stranger = (
            "This system talks to any stranger."
            if "E3" in system.ladder
            else "This system can be protected better."
        )
        return Headline(
            tone=Tone.WEAK,
            sentence=stranger,
            explanation=f"No study was told to a stranger. {first}: {weak[0].evidence}{more}",
        )
    if gaps:
        return Headline(
            tone=Tone.UNKNOWN,
            sentence="No open door was found, but not everything could be tested.",
            explanation=more.strip(),
        )
    return Headline(
        tone=Tone.SHUT,
        sentence="No open door was found.",
        explanation="Every important question was asked as a stranger, and the system refused as it should.",
    )


def _unsettled(system: SystemModel) -> Headline | None:
    """Return the headline where it is open whether strangers are answered: asked in vain, or never asked."""
    if "E4" in system.ladder and _is_query_unanswered(system):
        return Headline(
            tone=Tone.WEAK,
            sentence="Strangers may put questions to this archive.",
            explanation="It agreed to be asked for studies by a made-up caller. Whether it would answer was not "
            "tested, or could not be: see below.",
        )
    untried = next(
        (
            f
            for f in system.findings
            if (f.check, f.verdict) == ("dimse_query_unprotected", "not_tested")
        ),
        None,
    )
    if system.score is None and untried is not None:
        return Headline(
            tone=Tone.UNKNOWN,
            sentence="Whether this system answers strangers was not tested.",
            explanation=untried.evidence,
        )
    return None


def _is_query_unanswered(system: SystemModel) -> bool:
    return any(
        f.check == "dimse_query_unprotected" and f.verdict in _UNANSWERED for f in system.findings
    )


# --- which systems are shown ------------------------------------------------------------------------------------------


def split_quiet(report: Report) -> tuple[tuple[SystemModel, ...], tuple[SystemModel, ...]]:
    """Return the systems to show one by one, and those of a sweep where no DICOM answered.

    An address that is audited alone is always shown.
    """
    if len(report.systems) == 1:
        return report.systems, ()
    quiet = tuple(s for s in report.systems if _is_quiet(s))
    return tuple(s for s in report.systems if s not in quiet), quiet


def _is_quiet(system: SystemModel) -> bool:
    if "E2" in system.ladder:
        return False
    is_harmless = all(f.severity not in _NOTABLE for f in failed(system))
    return not is_tested(system) or (not system.shows_imaging and is_harmless)


# --- findings ---------------------------------------------------------------------------------------------------------


def failed(system: SystemModel) -> tuple[FindingModel, ...]:
    """Return the findings that need a person, worst first."""
    return _of(system, "fail")


def unanswered(system: SystemModel) -> tuple[FindingModel, ...]:
    """Return the questions that were asked without a usable answer; none where the headline has told the one reason."""
    found = _of(system, "inconclusive", "error")
    if not is_tested(system) and {f.evidence for f in found} == {headline(system).explanation}:
        return ()
    return found


def remaining_groups(system: SystemModel) -> tuple[Group, ...]:
    """Return the findings that need nobody, in groups that can be folded away."""
    groups = (
        Group(title="Accepted by you", findings=_of(system, "accepted")),
        Group(title="In order", findings=_of(system, "pass")),
        _not_tested(system),
        _not_applicable(system),
    )
    return tuple(group for group in groups if group.findings or group.note)


#: First word of a check's id -> what its questions are about.
_ABOUT = {
    "auth": "default logins",
    "db": "databases",
    "fhir": "FHIR",
    "files": "lists of files",
    "hl7": "HL7",
    "ldap": "databases",
    "nfs": "file shares",
    "share": "file shares",
    "smb": "file shares",
    "tls": "TLS",
}


def _not_tested(system: SystemModel) -> Group:
    """Return what was not asked; the questions that met no port of their kind share one line."""
    listed, idle = _folded(_of(system, "not_tested"), NO_PORT_ASKED)
    kinds = {_ABOUT.get(f.check.partition("_")[0], "web pages") for f in idle}
    about = ", ".join(sorted(kinds, key=str.lower))
    note = f"{plural(len(idle), 'question')} met no port of their kind: {about}." if idle else ""
    return Group(title="Not tested", findings=listed, note=note)


def _not_applicable(system: SystemModel) -> Group:
    """Return what has no meaning here; where nothing speaks DICOM, its questions share one line."""
    listed, idle = _folded(_of(system, "not_applicable"), NO_PORT_SPEAKS_DICOM)
    note = f"{plural(len(idle), 'question')} about DICOM. {NO_PORT_SPEAKS_DICOM}" if idle else ""
    return Group(title="Does not apply", findings=listed, note=note)


def _folded(findings: _Findings, evidence: str) -> tuple[_Findings, _Findings]:
    """Return the findings to list, and those of no port that share this evidence."""
    idle = tuple(f for f in findings if f.port is None and f.evidence == evidence)
    return tuple(f for f in findings if f not in idle), idle


def _of(system: SystemModel, *verdicts: str) -> tuple[FindingModel, ...]:
    return tuple(f for f in system.findings if f.verdict in verdicts)


def is_grave(finding: FindingModel) -> bool:
    """Tell what must be dealt with first: severity high and critical."""
    return finding.severity in _GRAVE


def next_steps(findings: Iterable[FindingModel]) -> tuple[str, ...]:
    """Return what to change, in the order of the findings, each advice once."""
    return _once(f.remediation for f in findings)


def has_several_ports(system: SystemModel) -> bool:
    """Tell whether a finding must name its port to be understood."""
    return len({f.port for f in system.findings if f.port is not None}) > 1


def verifications(findings: Iterable[FindingModel]) -> tuple[str, ...]:
    """Return the commands that show whether the doors are shut, each once."""
    return _once(f.verify for f in findings)


def _once(texts: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(text for text in texts if text))


#: Where an identity was seen (knowledge/implementations.toml), in words.
_CONFIDENCE = {
    "source": "known from its source code",
    "file": "known from files or recordings",
    "claim": "reported by others, not verified",
    "": "not recognised",
}


def recognised(service: ServiceModel) -> str:
    """Return in words how far the product's name may be trusted."""
    return _CONFIDENCE.get(service.confidence, service.confidence)


def service_line(system: SystemModel) -> str:
    """Return "port 4242 DICOM, DCMTK 3.6.7" for the ports where somebody answered."""
    return "; ".join(_service_words(system))


def _service_words(system: SystemModel) -> Sequence[str]:
    silent = ("closed", "filtered", "unreachable", "not_tested", "unknown")
    words = []
    for service in system.services:
        if service.protocol in silent:
            continue
        protocol = {"dicom": "DICOM", "dicom-tls": "DICOM over TLS"}.get(
            service.protocol, service.protocol.upper()
        )
        product = f", {service.product}" if service.product else ""
        words.append(f"port {service.port} {protocol}{product}")
    return words


def place_line(system: SystemModel) -> str:
    """Return "Site North, Example Hospital (it@example.test), Germany, Example Net", as far as it is known."""
    owner = system.owner
    if system.contact:
        owner = f"{owner} ({system.contact})" if owner else system.contact
    known = (system.site, owner, country_name(system.country), system.network_operator)
    return ", ".join(dict.fromkeys(part for part in known if part))
