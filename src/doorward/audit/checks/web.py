"""Doors for browsers: DICOMweb (PS3.18), the archives' own interfaces, and viewers without a login.

Theory of operation: OPEN in the facts means that an answer was told apart from that of a made-up path; nothing less fails a
check. LOGIN is an answer too, and passes. Whatever was unclear or silent stays inconclusive. A viewer's page is a shell: it
fails where the interface behind it is open as well.
"""

from collections.abc import Iterable
from datetime import datetime
from ipaddress import ip_address

from doorward.audit.checks.registry import Per, check
from doorward.audit.checks.ruling import (
    Ruling,
    failed,
    inconclusive,
    not_applicable,
    number,
    passed,
    unasked,
)
from doorward.audit.door import Door
from doorward.audit.facts import Count, Exactness, PortState
from doorward.audit.verdict import Severity
from doorward.audit.web_facts import (
    Access,
    Cors,
    DicomWebFacts,
    DicomWebRoot,
    RestFacts,
    WebFacts,
)

_LOCAL_ONLY = (
    " It was asked from the machine itself, and Orthanc says that it serves only this machine "
    "without a login."
)


@check("web_qido_open", per=Per.ASKED)
def qido_open(door: Door, _now: datetime) -> Ruling:
    """Judge the query for a study that cannot exist (rung E5)."""
    seen = door.answered(DicomWebFacts)
    if not seen:
        return no_web(door, "dicomweb")
    opened = open_roots(door)
    if opened:
        shown = f"A stranger's query is answered at {_named(opened)} without a login"
        ignoring = any(root.ignores_filter for root in opened)
        more = "; a query for a made-up study returned studies" if ignoring else ""
        return failed(f"{shown}{more}.{_counted(seen)}{_local(door)}", _severity(door))
    return _shut([root.qido for facts in seen for root in facts.roots], "DICOMweb")


@check("web_wado_open", per=Per.ASKED)
def wado_open(door: Door, _now: datetime) -> Ruling:
    """Judge the request for an instance that cannot exist (rung E6)."""
    return _behind_query(
        door,
        {root.root: root.wado for root in open_roots(door)},
        "A request for a made-up instance reached the retrieve service without a login",
        "retrieval",
    )


@check("web_stow_open", per=Per.ASKED)
def stow_open(door: Door, _now: datetime) -> Ruling:
    """Judge the POST without a body (rung E7)."""
    return _behind_query(
        door,
        {root.root: root.stow for root in open_roots(door)},
        "A POST without a body and without a login was refused for its media type alone",
        "storage",
    )


@check("web_cors_any", per=Per.ASKED)
def cors_any(door: Door, _now: datetime) -> Ruling:
    """Judge whom an answer lets read it from another site's page."""
    if not door.answered(DicomWebFacts):
        return no_web(door, "dicomweb")
    opened = open_roots(door)
    if not opened:
        return not_applicable("No DICOMweb service answers strangers, so no answer was compared.")
    bad = [root for root in opened if root.cors is not Cors.NONE]
    if not bad:
        return passed("A page of another site may not read the answers.")
    what = "any site (*)" if bad[0].cors is Cors.ANY else "a made-up site, whose name came back"
    credentials = bad[0].cors is Cors.REFLECTED_WITH_CREDENTIALS
    more = ", with the visitor's own login" if credentials else ""
    return failed(f"Answers at {_named(bad)} may be read by pages of {what}{more}.")


@check("web_rest_open", per=Per.ASKED)
def rest_open(door: Door, _now: datetime) -> Ruling:
    """Judge the archive's own interface."""
    seen = door.answered(WebFacts)
    if not seen:
        return no_web(door, "web")
    rest = [one for facts in seen for one in facts.rest]
    opened = [one for one in rest if one.access is Access.OPEN]
    if opened:
        one = opened[0]
        product = f"{one.product} {one.version}".strip()
        what = "its AE titles" if one.key == "dcm4chee" else "the list of studies"
        return failed(
            f"The interface of {product} gives {what} without a login.{_counts(one)}{_local(door)}",
            _severity(door),
        )
    if not rest:
        return not_applicable("No interface of an archive that we know answers here.")
    return _shut([one.access for one in rest], f"the interface of {rest[0].product}")


@check("web_viewer_open", per=Per.ASKED)
def viewer_open(door: Door, _now: datetime) -> Ruling:
    """Judge the pages of viewers together with the interfaces behind them (rung W1)."""
    seen = door.answered(WebFacts)
    if not seen:
        return no_web(door, "web")
    viewers = [viewer for facts in seen for viewer in facts.viewers]
    if not viewers:
        return not_applicable("No viewer that we know was seen here.")
    opened = [viewer for viewer in viewers if viewer.access is Access.OPEN]
    if not opened:
        return _shut([viewer.access for viewer in viewers], f"the page of {viewers[0].product}")
    page = f"The page of {opened[0].product} ({opened[0].path}) opens without a login"
    if shows_data(door):
        severity = _severity(door)
        return failed(
            f"{page}, and so does the interface that it reads from.{_local(door)}", severity
        )
    return inconclusive(
        f"{page}. Whether it shows anything depends on the interface behind it, and none was "
        "seen to be open."
    )


@check("web_viewer_plain_http", per=Per.ASKED)
def viewer_plain_http(door: Door, _now: datetime) -> Ruling:
    """Judge a viewer, or its login, over plain HTTP (rung W2)."""
    seen = door.answered(WebFacts)
    if not seen:
        return no_web(door, "web")
    viewers = [viewer for facts in seen for viewer in facts.viewers]
    if not viewers:
        return not_applicable("No viewer that we know was seen here.")
    plain = [viewer for facts in seen if not facts.over_tls for viewer in facts.viewers]
    if not plain:
        return passed(f"{viewers[0].product} was met over HTTPS only on this port.")
    if any(viewer.access is Access.OPEN for viewer in plain):
        return failed(
            f"{plain[0].product} opens over plain HTTP and without a login.{_local(door)}",
            _severity(door),
        )
    if any(viewer.access is Access.LOGIN for viewer in plain):
        return failed(
            f"{plain[0].product} asks for its login over plain HTTP: whoever listens reads the "
            "password too.",
            Severity.MEDIUM,
        )
    return inconclusive("A viewer was met over plain HTTP, but its page did not answer clearly.")


# --- shared with web_hygiene ------------------------------------------------------------------------------------------


def no_web(door: Door, probe: str) -> Ruling:
    """Return the ruling for a port on which the probe has no facts."""
    if door.state is PortState.CLOSED:
        return not_applicable(f"Port {door.port} is closed.")
    if door.speaks_dicom:
        return not_applicable(f"Port {door.port} speaks DICOM, not HTTP.")
    if door.demands_certificate:
        return not_applicable(
            f"Port {door.port} asks every caller for a certificate first: what speaks behind it is "
            "not visible to strangers."
        )
    return unasked(door, probe)


def open_roots(door: Door) -> list[DicomWebRoot]:
    """Return the DICOMweb roots that answer strangers."""
    return [
        root
        for facts in door.answered(DicomWebFacts)
        for root in facts.roots
        if root.qido is Access.OPEN
    ]


def lists_studies(door: Door) -> bool:
    """Tell whether any interface of this door answers strangers with studies, not only with a configuration."""
    rest = [one for facts in door.answered(WebFacts) for one in facts.rest]
    return bool(open_roots(door)) or any(
        one.access is Access.OPEN and (one.key != "dcm4chee" or one.studies.value is not None)
        for one in rest
    )


def shows_data(door: Door) -> bool:
    """Tell whether any interface of this system answers strangers: a viewer may stand on another port."""
    for attempt in door.system.attempts:
        facts = attempt.facts
        if isinstance(facts, DicomWebFacts) and any(r.qido is Access.OPEN for r in facts.roots):
            return True
        if isinstance(facts, WebFacts) and any(r.access is Access.OPEN for r in facts.rest):
            return True
    return False


def _shut(met: Iterable[Access], what: str) -> Ruling:
    """Return the ruling where nothing is open: the least certain answer decides."""
    seen = set(met)
    if Access.SILENT in seen or Access.UNCLEAR in seen:
        return inconclusive(f"Not every answer of {what} was clear enough to tell.")
    if Access.LOGIN in seen:
        return passed(f"Strangers are asked for a login before {what} answers.")
    return not_applicable(f"Nothing that could be {what} answers here.")


def _behind_query(door: Door, met: dict[str, Access], evidence: str, what: str) -> Ruling:
    if not door.answered(DicomWebFacts):
        return no_web(door, "dicomweb")
    if not met:
        return _shut(
            [root.qido for facts in door.answered(DicomWebFacts) for root in facts.roots],
            "DICOMweb",
        )
    opened = [root for root, access in met.items() if access is Access.OPEN]
    if opened:
        where = ", ".join(root or "/" for root in opened)
        return failed(f"{evidence} ({where}); nothing was moved.{_local(door)}", _severity(door))
    seen = set(met.values())
    if seen == {Access.LOGIN}:
        return passed(f"Queries are answered, but {what} asks for a login.")
    if seen <= {Access.LOGIN, Access.ABSENT}:
        return passed(f"Queries are answered, but {what} is not offered to strangers.")
    return inconclusive(f"Queries are answered; the answers on {what} do not tell who may use it.")


def _severity(door: Door) -> Severity | None:
    return Severity.LOW if _is_local_only(door) else None


def _local(door: Door) -> str:
    return _LOCAL_ONLY if _is_local_only(door) else ""


def _is_local_only(door: Door) -> bool:
    """Orthanc itself says that strangers from other machines are asked for a login, and we are none of them."""
    said = [
        rest.is_local_only
        for facts in door.answered(WebFacts)
        for rest in facts.rest
        if rest.access is Access.OPEN
    ]
    return bool(said) and all(said) and ip_address(door.system.address).is_loopback


def _named(roots: Iterable[DicomWebRoot]) -> str:
    return ", ".join(root.root or "/" for root in roots)


def _counted(seen: Iterable[DicomWebFacts]) -> str:
    for facts in seen:
        if facts.studies.value is not None:
            return f" Behind it: {_how_many(facts.studies, facts.images)}."
    return ""


def _counts(rest: RestFacts) -> str:
    return (
        "" if rest.studies.value is None else f" Behind it: {_how_many(rest.studies, rest.images)}."
    )


def _how_many(studies: Count, images: Count) -> str:
    least = "at least " if studies.exactness is Exactness.AT_LEAST else ""
    words = f"{least}{number(studies.value or 0, 'study', 'studies')}"
    if images.value is None:
        return words
    least = "at least " if images.exactness is Exactness.AT_LEAST else ""
    return f"{words}, {least}{number(images.value, 'image')}"
