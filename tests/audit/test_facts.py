"""The vocabulary of probes and checks: plain values that go to JSON and back out of nobody's data set."""

import json
from dataclasses import asdict, fields

import pytest

from doorward.audit.facts import (
    AssociationFacts,
    AssociationReply,
    Attempt,
    CapabilityFacts,
    ContextAnswer,
    Control,
    Endpoint,
    ExposureFacts,
    Outcome,
    PortState,
    QueryEnd,
    QueryFacts,
    Rejection,
    Reply,
    SystemFacts,
    TlsFacts,
)


def endpoint(port):
    return Endpoint(address="127.0.0.1", port=port)


def query(end, matches, level="STUDY"):
    return QueryFacts(
        level=level, information_model="1.2", end=end, final_status=None, matches=matches
    )


def test_an_endpoint_is_written_as_one_types_it():
    assert str(Endpoint(address="127.0.0.1", port=104, name="archive")) == "127.0.0.1:104"
    assert str(Endpoint(address="::1", port=104)) == "[::1]:104"


@pytest.mark.parametrize(("result", "is_transient"), ((1, False), (2, True), (0, True), (9, True)))
def test_only_a_permanent_rejection_is_a_verdict(result, is_transient):
    assert Rejection(result=result, source=1, reason=1).is_transient is is_transient


def test_capabilities_are_asked_for_by_service():
    contexts = tuple(
        ContextAnswer(abstract_syntax=f"1.{number}", name="", service=service, result=result)
        for number, (service, result) in enumerate(
            [("find", 0), ("find", 3), ("get", 0), ("store", None)]
        )
    )
    facts = CapabilityFacts(called_ae_title="A", calling_ae_title="B", contexts=contexts)
    assert [one.abstract_syntax for one in facts.accepted("find", "get", "store")] == ["1.0", "1.2"]
    assert facts.accepted("echo") == ()


@pytest.mark.parametrize(
    ("end", "matches", "answers"),
    (
        (QueryEnd.SUCCESS, 0, True),
        (QueryEnd.SUCCESS, 5, True),
        (QueryEnd.WARNING, 0, True),
        (QueryEnd.FAILED, 5, True),
        (QueryEnd.ABORTED, 5, True),
        (QueryEnd.SILENT, 5, True),
        (QueryEnd.CANCELLED, 5, True),
        (QueryEnd.REFUSED, 0, False),
        (QueryEnd.ABORTED, 0, False),
        (QueryEnd.SILENT, 0, False),
        (QueryEnd.NO_CONTEXT, 0, False),
    ),
)
def test_a_query_is_answered_by_matches_or_by_an_end_in_order(end, matches, answers):
    assert ExposureFacts(queries=(query(end, matches),)).answers_study_query is answers
    assert not ExposureFacts(queries=(query(end, matches, "PATIENT"),)).answers_study_query


def test_a_system_finds_its_attempts_by_probe_and_port():
    attempts = tuple(
        Attempt(probe=probe, endpoint=endpoint(port), outcome=Outcome.ANSWERED)
        for port in (4242, 104)
        for probe in ("association", "exposure")
    )
    system = SystemFacts(address="127.0.0.1", name="", clearance_level=2, attempts=attempts)
    assert system.of("exposure") == (attempts[1], attempts[3])
    assert system.of("exposure", 104) == (attempts[3],)
    assert system.of("attributes") == ()
    assert system.ports == (4242, 104)


def test_facts_go_to_json_as_they_are():
    reply = AssociationReply(
        control=Control.RANDOM_BOTH,
        called_ae_title="A",
        calling_ae_title="B",
        reply=Reply.REJECTED,
        rejection=Rejection(result=1, source=1, reason=7),
    )
    facts = AssociationFacts(port_state=PortState.OPEN, over_tls=False, replies=(reply,))
    made = Attempt(
        probe="association", endpoint=endpoint(104), outcome=Outcome.ANSWERED, facts=facts
    )
    written = json.loads(json.dumps(asdict(made)))
    assert written["outcome"] == "answered"
    assert written["facts"]["replies"][0]["rejection"] == {"result": 1, "source": 1, "reason": 7}


def test_what_was_not_found_out_is_neither_yes_nor_no():
    tls = TlsFacts(
        version="TLSv1.3",
        cipher="",
        bits=0,
        certificate=None,
        chain_trusted=None,
        client_certificate_required=None,
    )
    asked = [field.name for field in fields(tls) if field.name.startswith("accepts_")]
    assert len(asked) >= 4
    assert {getattr(tls, name) for name in asked} == {None}
