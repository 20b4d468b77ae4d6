"""What each port of a system turned out to be: protocol, TLS, product, and how far the name may be trusted.

Theory of operation: the probe that recognised a protocol names it; where several did, the more particular one speaks. A
product's name comes from tables of ours (never a banner's text), and its confidence says where it was seen.
"""

from doorward.audit.door import Door
from doorward.audit.facts import PortState
from doorward.audit.fhir_facts import FhirFacts
from doorward.audit.file_facts import FtpFacts
from doorward.audit.hl7_facts import Hl7Facts
from doorward.audit.tls_facts import TlsDepthFacts
from doorward.audit.verdict import Service
from doorward.audit.web_facts import Access, WebFacts, WebProduct

_CLAIM = "claim"
#: Imaging before the server that carries it; a product's own word before a title.
_KINDS = ("archive", "viewer", "server")


def service_of(door: Door) -> Service:
    """Return what one port turned out to be."""
    found = door.identification
    if found.is_known or door.is_dicom:
        return Service(
            port=door.port,
            protocol=protocol_of(door),
            tls=_tls(door),
            product=found.described,
            version=found.version,
            toolkit=found.toolkit,
            confidence=found.confidence,
        )
    product, version = _product(door)
    return Service(
        port=door.port,
        protocol=protocol_of(door),
        tls=_tls(door),
        product=f"{product} {version}".strip(),
        version=version,
        confidence=_CLAIM if product else "",
    )


def protocol_of(door: Door) -> str:
    """Return the word for what speaks on a port (``Service.protocol``)."""
    if door.speaks_plain_dicom:
        return "dicom"
    if door.speaks_dicom:
        return "dicom-tls"
    if door.speaks_other not in ("", "unknown"):
        is_secured = door.speaks_other == "http" and _is_https(door)
        return "https" if is_secured else door.speaks_other
    if _asks_for_certificate(door):
        return "tls"
    if door.state is None:
        return "not_tested"
    return "unknown" if door.state is PortState.OPEN else door.state.value


def _asks_for_certificate(door: Door) -> bool:
    return bool(door.speaks_tls) or any(r.looks_like == "tls" for r in door.replies())


def _is_https(door: Door) -> bool:
    seen = [facts for facts in door.answered(WebFacts) if facts.speaks_http]
    return bool(seen) and all(facts.over_tls for facts in seen)


def _tls(door: Door) -> str:
    """Return the version of TLS that was spoken, or ""."""
    if door.tls is not None:
        return door.tls.version
    if door.database is not None:
        return door.database.tls_version
    depth = next(iter(door.answered(TlsDepthFacts)), None)
    accepted = () if depth is None else depth.accepted_versions
    return accepted[-1] if accepted else ""


def _product(door: Door) -> tuple[str, str]:
    """Return product and version of what speaks here in place of DICOM."""
    if door.database is not None:
        return door.database.product, door.database.version
    for ftp in door.answered(FtpFacts):
        if ftp.is_recognised:
            return ftp.product, ftp.version
    for hl7 in door.answered(Hl7Facts):
        if hl7.is_hl7:
            return "", hl7.version
    return _web_product(door)


def _web_product(door: Door) -> tuple[str, str]:
    """Return the imaging product of a web port, else the web server's, each with a version where one was shown."""
    named = [
        WebProduct(
            product=rest.product,
            key=rest.key,
            kind="archive",
            version=rest.version,
            certainty="likely",
            shown_by="system",
        )
        for facts in door.answered(WebFacts)
        for rest in facts.rest
        if rest.access in (Access.OPEN, Access.LOGIN)
    ]
    named += [product for facts in door.answered(WebFacts) for product in facts.products]
    if named:
        best = min(named, key=_rank)
        return best.product, best.version
    fhir = [root for facts in door.answered(FhirFacts) for root in facts.roots if root.software]
    return (fhir[0].software, fhir[0].software_version) if fhir else ("", "")


def _rank(product: WebProduct) -> tuple[int, bool, bool]:
    kind = _KINDS.index(product.kind) if product.kind in _KINDS else len(_KINDS)
    return kind, product.certainty != "likely", not product.version
