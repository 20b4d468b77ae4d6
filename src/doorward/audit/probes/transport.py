"""Does the port speak TLS, and how well? (PS3.15 Annexes B.12 and B.13)

One handshake that accepts everything shows version, suite, certificate; one that verifies shows whether the chain is
trusted; one for each version shows which are offered. A demand for a client certificate shows as an alert, in TLS 1.3 only
after the handshake. Nothing is sent over any of these connections. On a port that is registered for TLS one more, plain,
shows whether anything else is understood there (``record_header``).
"""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

from doorward.audit.approach import Answer, Approach
from doorward.audit.facts import Outcome, TlsFacts, TransportFacts
from doorward.audit.probes.record_header import takes_plain_dicom
from doorward.errors import PeerProtocolError, TlsFailed, TransportError
from doorward.net.certificate import read_certificate
from doorward.net.certificate_facts import CertificateFacts
from doorward.net.tls import TlsSession, probe_context, verifying_probe_context

#: Version as ``net.tls`` names it -> field of TlsFacts.
_FIELDS = {
    "TLSv1": "accepts_tls_1_0",
    "TLSv1.1": "accepts_tls_1_1",
    "TLSv1.2": "accepts_tls_1_2",
    "TLSv1.3": "accepts_tls_1_3",
}


def asker(
    speaks_plain_dicom: bool | None, authorities: Path | None, *, tries_plain: bool = False
) -> Callable[[Approach], Awaitable[Answer]]:
    """Return the probe, told what the plain association showed and whom the operator trusts.

    ``tries_plain``: where no plain association was asked for, see whether a port that speaks TLS understands anything else.
    """

    async def ask(approach: Approach) -> Answer:
        facts = await _look(approach, speaks_plain_dicom, authorities)
        if tries_plain and facts.speaks_tls and facts.speaks_plain_dicom is None:
            facts = replace(facts, speaks_plain_dicom=await takes_plain_dicom(approach))
        if facts.speaks_tls is None and not speaks_plain_dicom:
            return Outcome.INCONCLUSIVE, facts.detail, facts
        return Outcome.ANSWERED, "", facts

    return ask


async def _look(
    approach: Approach, speaks_plain_dicom: bool | None, authorities: Path | None
) -> TransportFacts:
    session: TlsSession | None = None
    is_required: bool | None = False
    detail = ""
    try:
        session = await approach.handshake(probe_context())
        is_required = await _demands_certificate(approach)
    except TlsFailed as failure:
        if failure.kind != "certificate_required":
            return _without_tls(failure, speaks_plain_dicom)
        is_required, detail = True, str(failure)
    versions = await _versions(approach)
    best = next((name for name, key in reversed(_FIELDS.items()) if versions[key]), "")
    return TransportFacts(
        speaks_tls=True,
        speaks_plain_dicom=speaks_plain_dicom,
        detail=detail,
        tls=TlsFacts(
            version=session.version if session else best,
            cipher=session.cipher if session else "",
            bits=session.bits if session else 0,
            certificate=_certificate(session),
            chain_trusted=await _is_trusted(approach, authorities),
            client_certificate_required=is_required,
            **versions,
        ),
    )


def _without_tls(failure: TlsFailed, speaks_plain_dicom: bool | None) -> TransportFacts:
    """No handshake: a port that speaks DICOM in plain has no TLS; on any other port nothing is known."""
    is_sure = speaks_plain_dicom or failure.kind == "not_tls"
    return TransportFacts(
        speaks_tls=False if is_sure else None,
        speaks_plain_dicom=speaks_plain_dicom,
        detail=str(failure),
    )


async def _demands_certificate(approach: Approach) -> bool | None:
    """Connect once more and listen: TLS 1.3 sends its refusal after the handshake."""
    try:
        await approach.handshake(probe_context(), linger_s=approach.limits.tls_linger_s)
    except TlsFailed as failure:
        # only the alert says so: whoever merely hangs up may have any reason (a relay without its backend)
        return True if failure.kind == "certificate_required" else None
    except TransportError:
        return None
    return False


async def _versions(approach: Approach) -> dict[str, bool | None]:
    """Offer one version after the other."""
    seen: dict[str, bool | None] = {}
    for version, key in _FIELDS.items():
        try:
            await approach.handshake(probe_context(only=version))
            seen[key] = True
        except TlsFailed as failure:
            seen[key] = True if failure.kind == "certificate_required" else _refused(failure)
        except TransportError:  # one question without an answer does not lose the others
            seen[key] = None
    return seen


def _refused(failure: TlsFailed) -> bool | None:
    """A closed connection or an alert on one version refuses it; a timeout says nothing."""
    return None if failure.kind == "timeout" else False


async def _is_trusted(approach: Approach, authorities: Path | None) -> bool | None:
    try:
        await approach.handshake(verifying_probe_context(authorities))
    except TlsFailed as failure:
        return False if failure.kind == "certificate_refused" else None
    except TransportError:
        return None
    return True


def _certificate(session: TlsSession | None) -> CertificateFacts | None:
    if session is None or session.certificate is None:
        return None
    try:
        return read_certificate(session.certificate)
    except PeerProtocolError:
        return None
