"""Facts as probes would have returned them, in one line each: the vocabulary of the tests of doors, checks and judge.

``seen(...)`` makes a system with one port from what was seen there; an ``Outcome`` in place of facts stands for a probe
that ended so. All values are invented.
"""

from dataclasses import replace
from datetime import UTC, datetime

from doorward.audit.count_facts import PartsFacts
from doorward.audit.door import Door
from doorward.audit.facts import (
    AssociationFacts,
    AssociationReply,
    Attempt,
    AttributeFacts,
    CapabilityFacts,
    ContextAnswer,
    Control,
    Count,
    Endpoint,
    Exactness,
    ExposureFacts,
    Facts,
    Outcome,
    PortState,
    QueryEnd,
    QueryFacts,
    Rejection,
    Reply,
    SystemFacts,
    TlsFacts,
    TransportFacts,
)
from doorward.net.certificate_facts import CertificateFacts

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
STUDY_ROOT_FIND = "1.2.840.10008.5.1.4.1.2.2.1"
DCMTK_367 = ("1.2.276.0.7230010.3.0.3.6.7", "OFFIS_DCMTK_367")

#: (called, calling) of each control pair.
TITLES = {
    Control.RANDOM_BOTH: ("XQZMADEUP", "DOORWARDK3F9Q2X7"),
    Control.GIVEN_CALLED: ("ARCHIVE", "DOORWARDK3F9Q2X7"),
    Control.LISTED_CALLED: ("PACS", "DOORWARDK3F9Q2X7"),
    Control.GIVEN_BOTH: ("ARCHIVE", "CT1"),
}
_PROBES = {
    AssociationFacts: "association",
    CapabilityFacts: "capabilities",
    ExposureFacts: "exposure",
    PartsFacts: "parts",
    AttributeFacts: "attributes",
    TransportFacts: "transport",
}


# --- association ------------------------------------------------------------------------------------------------------


def reply(control: Control, answer: Reply, *, stack=("", ""), looks_like="") -> AssociationReply:
    called, calling = TITLES[control]
    return AssociationReply(
        control=control,
        called_ae_title=called,
        calling_ae_title=calling,
        reply=answer,
        implementation_class_uid=stack[0],
        implementation_version_name=stack[1],
        looks_like=looks_like,
    )


def accepted(control: Control = Control.RANDOM_BOTH, stack=DCMTK_367) -> AssociationReply:
    return reply(control, Reply.ACCEPTED, stack=stack)


def rejected(control: Control, result: int, source: int, reason: int) -> AssociationReply:
    triplet = Rejection(result=result, source=source, reason=reason)
    return replace(reply(control, Reply.REJECTED), rejection=triplet)


def associations(*replies: AssociationReply, over_tls=False, state=PortState.OPEN):
    return AssociationFacts(port_state=state, over_tls=over_tls, replies=replies)


ANYBODY = associations(accepted())
CALLED_TITLE = associations(rejected(Control.RANDOM_BOTH, 1, 1, 7), accepted(Control.GIVEN_CALLED))
KNOWN_TITLES = associations(
    rejected(Control.RANDOM_BOTH, 1, 1, 7),
    rejected(Control.GIVEN_CALLED, 1, 1, 3),
    accepted(Control.GIVEN_BOTH),
)
CALLER_LIST = associations(rejected(Control.RANDOM_BOTH, 1, 1, 3))
CALLED_CHECKED = associations(rejected(Control.RANDOM_BOTH, 1, 1, 7))
BUSY = associations(rejected(Control.RANDOM_BOTH, 2, 3, 2))
SILENT = associations(reply(Control.RANDOM_BOTH, Reply.SILENT))
DROPPED = associations(reply(Control.RANDOM_BOTH, Reply.CLOSED))
HTTP = associations(reply(Control.RANDOM_BOTH, Reply.NOT_DICOM, looks_like="http"))
CLOSED = associations(state=PortState.CLOSED)
FILTERED = associations(state=PortState.FILTERED)


# --- capabilities -----------------------------------------------------------------------------------------------------


def offers(*granted: str, refused=(), control: Control = Control.RANDOM_BOTH) -> CapabilityFacts:
    """Capabilities where the named services were granted; ``refused`` maps or lists the others."""
    called, calling = TITLES[control]
    results = dict.fromkeys(granted, 0)
    results |= refused if isinstance(refused, dict) else dict.fromkeys(refused, 3)
    return CapabilityFacts(
        called_ae_title=called,
        calling_ae_title=calling,
        contexts=tuple(
            ContextAnswer(
                abstract_syntax=f"1.2.3.{i}", name=f"{name} context", service=name, result=r
            )
            for i, (name, r) in enumerate(results.items(), 1)
        ),
    )


ALL_SERVICES = ("find", "get", "move", "store", "worklist", "mpps", "commitment", "print")
OFFERS_ALL = offers(*ALL_SERVICES)
OFFERS_NOTHING = offers("echo", refused=ALL_SERVICES)


# --- exposure ---------------------------------------------------------------------------------------------------------


def counted(value: int, exactness: Exactness = Exactness.EXACT_ENUMERATED) -> Count:
    return Count(value=value, exactness=exactness, method="by counting answers")


def query(end: QueryEnd, matches: int = 0, **more) -> QueryFacts:
    return QueryFacts(
        level="STUDY",
        information_model=STUDY_ROOT_FIND,
        end=end,
        final_status=more.pop("status", None),
        matches=matches,
        **more,
    )


def exposure(*queries: QueryFacts, **counts: Count) -> ExposureFacts:
    return ExposureFacts(queries=queries, **counts)


def parts(studies: Count, images: Count) -> PartsFacts:
    return PartsFacts(whole_matches=500, queries=20, studies=studies, images=images)


STUDIES_1234 = exposure(
    query(QueryEnd.SUCCESS, 1234, status=0),
    studies=counted(1234),
    patients=counted(900),
    images=counted(56_000),
)
REFUSED_BY_ABORT = exposure(query(QueryEnd.REFUSED))


# --- transport --------------------------------------------------------------------------------------------------------

PLAIN = TransportFacts(speaks_tls=False, speaks_plain_dicom=True)
CERTIFICATE = CertificateFacts(
    subject="CN=archive.hospital.example",
    issuer="CN=Hospital CA",
    names=("archive.hospital.example", "10.1.2.3"),
    not_before="2026-01-01T00:00:00+00:00",
    not_after="2027-12-31T00:00:00+00:00",
    key="EC secp256r1",
    key_bits=256,
    signature="ecdsa-with-SHA256",
    is_self_signed=False,
    fingerprint_sha256="00" * 32,
)


def tls(*, plain: bool | None = False, certificate=CERTIFICATE, **more) -> TransportFacts:
    values = {
        "version": "TLSv1.3",
        "cipher": "TLS_AES_256_GCM_SHA384",
        "bits": 256,
        "chain_trusted": True,
        "client_certificate_required": True,
        "accepts_tls_1_0": False,
        "accepts_tls_1_1": False,
    } | more
    return TransportFacts(
        speaks_tls=True,
        speaks_plain_dicom=plain,
        tls=TlsFacts(certificate=certificate, **values),
    )


MUTUAL = tls()


# --- systems ----------------------------------------------------------------------------------------------------------


def attempt(what: Facts | Outcome, *, probe="association", port=104, address="10.1.2.3") -> Attempt:
    is_outcome = isinstance(what, Outcome)
    return Attempt(
        probe=probe if is_outcome else _PROBES[type(what)],
        endpoint=Endpoint(address=address, port=port),
        outcome=what if is_outcome else Outcome.ANSWERED,
        reason="no answer in 15 s" if is_outcome else "",
        facts=None if is_outcome else what,
        connections=1,
    )


def system(*attempts: Attempt, level=2, name="") -> SystemFacts:
    address = attempts[0].endpoint.address if attempts else "10.1.2.3"
    return SystemFacts(address=address, name=name, clearance_level=level, attempts=attempts)


def seen(*facts: Facts, port=104, address="10.1.2.3", level=2, **outcomes: Outcome) -> SystemFacts:
    """Return a system with one port; keywords name probes that ended with an outcome and no facts."""
    answered = [attempt(f, port=port, address=address) for f in facts]
    others = [attempt(o, probe=p, port=port, address=address) for p, o in outcomes.items()]
    return system(*answered, *others, level=level)


def door(*facts: Facts, port=104, **more) -> Door:
    return Door(system=seen(*facts, port=port, **more), port=port)
