"""Facts of the web probes in one line each, for the tests of the web checks."""

from typing import Any

from doorward.audit.door import Door
from doorward.audit.facts import Attempt, Count, Endpoint, Exactness, Facts, Outcome, SystemFacts
from doorward.audit.web_facts import (
    Access,
    DebuggerFacts,
    DicomWebFacts,
    DicomWebRoot,
    RestFacts,
    ViewerFacts,
    WebFacts,
    WebHygieneFacts,
    WebProduct,
)

PROBES = {
    WebFacts: "web",
    DicomWebFacts: "dicomweb",
    WebHygieneFacts: "web_hygiene",
    DebuggerFacts: "debugger",
}
PORT = 8042


def web_attempt(
    what: Facts | Outcome, *, probe: str = "web", port: int = PORT, address: str = "10.1.2.3"
) -> Attempt:
    """One attempt; an outcome in place of facts stands for a probe that ended so."""
    is_outcome = isinstance(what, Outcome)
    return Attempt(
        probe=probe if is_outcome else PROBES[type(what)],  # type: ignore[index]
        endpoint=Endpoint(address=address, port=port),
        outcome=what if is_outcome else Outcome.ANSWERED,
        reason="no answer in 15 s" if is_outcome else "",
        facts=None if is_outcome else what,
    )


def web_door(
    *facts: Facts, address: str = "10.1.2.3", others: tuple[Attempt, ...] = (), **outcomes: Outcome
) -> Door:
    """A door with these facts; keywords name probes that ended with an outcome."""
    attempts = [web_attempt(f, address=address) for f in facts]
    attempts += [web_attempt(o, probe=p, address=address) for p, o in outcomes.items()]
    system = SystemFacts(address=address, name="", clearance_level=2, attempts=(*attempts, *others))
    return Door(system=system, port=PORT)


def web(*, over_tls: bool = False, front: Access = Access.OPEN, **more: Any) -> WebFacts:
    """The front page of a port."""
    return WebFacts(speaks_http=True, over_tls=over_tls, front=front, **more)


def dicomweb(qido: Access = Access.OPEN, **more: Any) -> DicomWebFacts:
    """One root that answers so, and one that is not there."""
    counts = {name: more.pop(name) for name in ("studies", "images") if name in more}
    roots = (
        DicomWebRoot(root="/dicom-web", qido=qido, **more),
        DicomWebRoot(root="/rs", qido=Access.ABSENT),
    )
    return DicomWebFacts(roots=roots, **counts)


def viewer(access: Access = Access.OPEN, product: str = "OHIF Viewer") -> ViewerFacts:
    """A viewer's page."""
    return ViewerFacts(product=product, path="/", access=access)


def rest(access: Access = Access.OPEN, **more: Any) -> RestFacts:
    """Orthanc's own interface."""
    return RestFacts(product="Orthanc", key="orthanc", access=access, version="1.10.1", **more)


def server(product: str = "nginx", version: str = "1.18.0") -> WebProduct:
    """A web server that names itself."""
    return WebProduct(
        product=product,
        key="",
        kind="server",
        version=version,
        certainty="likely",
        shown_by="header",
    )


def counted(value: int, exactness: Exactness = Exactness.EXACT_COUNTER) -> Count:
    """A count."""
    return Count(value=value, exactness=exactness, method="by counting")
