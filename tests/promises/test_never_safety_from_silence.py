"""Promise 4: timeout, congestion and a refused probe are *inconclusive*, never *pass*; coverage too short: *not rated*.

First as a law about judging, for any facts at all; then with peers that are silent at each step, through the real program.
"""

import asyncio
import json
import socket
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor_process import doorward
from doorward.audit.checks import CATALOGUE
from doorward.audit.exit_code import ExitCode, exit_code
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
from doorward.audit.judge import judge
from doorward.audit.scope import Scope
from doorward.audit.survey import SurveySettings, survey
from doorward.audit.targets import parse_targets
from doorward.audit.verdict import JudgedSystem, Severity, Verdict
from hostile_audit import SHORT, Watch
from hostile_peers import after_hello, at_command, at_find, at_request, drop
from scripted_peer import Call, Script, archive, finds, rejection, scripted_peer, study

pytestmark = pytest.mark.timeout(60)
NOW = datetime(2026, 6, 1, tzinfo=UTC)
#: What says nothing about who may come in (a rejection with result 1 does).
MUTE = (Reply.SILENT, Reply.CLOSED, Reply.NOT_CONNECTED)
UNSETTLED_ENDS = (QueryEnd.ABORTED, QueryEnd.SILENT, QueryEnd.CANCELLED, QueryEnd.FAILED)


# --- any facts ------------------------------------------------------------------------------------------------------------


def replies(kinds: st.SearchStrategy[Reply]) -> st.SearchStrategy[AssociationReply]:
    """Replies of these kinds; a rejection among them is for congestion."""
    return st.builds(
        lambda control, kind, reason: AssociationReply(
            control=control,
            called_ae_title="DOORWARDAAAAAAAA",
            calling_ae_title="DOORWARDBBBBBBBB",
            reply=kind,
            rejection=Rejection(result=2, source=3, reason=reason)
            if kind is Reply.REJECTED
            else None,
        ),
        st.sampled_from(Control),
        kinds,
        st.integers(0, 7),
    )


def associations(kinds: st.SearchStrategy[Reply]) -> st.SearchStrategy[AssociationFacts]:
    return st.builds(
        AssociationFacts,
        port_state=st.sampled_from(PortState),
        over_tls=st.booleans(),
        replies=st.lists(replies(kinds), min_size=1, max_size=3).map(tuple),
    )


queries = st.builds(
    QueryFacts,
    level=st.sampled_from(("STUDY", "PATIENT")),
    information_model=st.just("1.2.840.10008.5.1.4.1.2.2.1"),
    end=st.sampled_from(QueryEnd),
    final_status=st.none() | st.sampled_from((0, 0xA700, 0xB000, 0xC000, 0xFE00, 0x1234)),
    matches=st.just(0),
)
contexts = st.builds(
    ContextAnswer,
    abstract_syntax=st.just("1.2"),
    name=st.just("synthetic"),
    service=st.sampled_from(("echo", "find", "get", "move", "store", "worklist", "print")),
    result=st.none() | st.integers(0, 5),
)
any_facts = st.one_of(
    associations(st.sampled_from(Reply)),
    st.builds(
        CapabilityFacts,
        called_ae_title=st.just("A"),
        calling_ae_title=st.just("B"),
        contexts=st.lists(contexts, max_size=5).map(tuple),
    ),
    st.builds(ExposureFacts, queries=st.lists(queries, max_size=2).map(tuple)),
    st.builds(AttributeFacts),
    st.builds(
        TransportFacts,
        speaks_tls=st.sampled_from((None, True, False)),
        speaks_plain_dicom=st.sampled_from((None, True, False)),
        tls=st.none()
        | st.builds(
            TlsFacts,
            version=st.sampled_from(("", "TLSv1.2", "TLSv1.3")),
            cipher=st.just("X"),
            bits=st.just(128),
            certificate=st.none(),
            chain_trusted=st.sampled_from((None, True, False)),
            client_certificate_required=st.sampled_from((None, True, False)),
        ),
    ),
)
_PROBE = {
    AssociationFacts: "association",
    CapabilityFacts: "capabilities",
    ExposureFacts: "exposure",
    AttributeFacts: "attributes",
    TransportFacts: "transport",
}


def system(attempts: list[Attempt]) -> JudgedSystem:
    facts = SystemFacts(address="127.0.0.1", name="", clearance_level=3, attempts=tuple(attempts))
    return judge(facts, now=NOW)


def attempt(facts: object, outcome: Outcome, port: int = 104) -> Attempt:
    return Attempt(
        probe=_PROBE[type(facts)],
        endpoint=Endpoint(address="127.0.0.1", port=port),
        outcome=outcome,
        facts=facts,
    )


def passes(judged: JudgedSystem) -> set[str]:
    """The checks that pass and say more than who is there (severity info)."""
    return {
        finding.check
        for finding in judged.findings
        if finding.verdict is Verdict.PASS and finding.severity > Severity.INFO
    }


unanswered = st.builds(
    attempt,
    any_facts,
    st.sampled_from([outcome for outcome in Outcome if outcome is not Outcome.ANSWERED]),
    st.sampled_from((104, 11112)),
)


@given(st.lists(unanswered, max_size=8))
def test_no_check_passes_or_fails_on_questions_that_were_not_answered(attempts):
    """Whatever facts an unanswered attempt carries, they are not looked at."""
    judged = system(attempts)
    verdicts = {finding.verdict for finding in judged.findings}
    assert not verdicts & {Verdict.PASS, Verdict.FAIL, Verdict.ACCEPTED}
    assert judged.grade == "not rated"
    assert judged.score is None
    for lenient in (False, True):
        code = exit_code([judged], fail_on=Severity.INFO, allow_inconclusive=lenient)
        assert code is ExitCode.NOT_TESTED


@given(st.lists(replies(st.sampled_from((*MUTE, Reply.REJECTED))), min_size=1, max_size=4))
def test_no_check_on_access_passes_on_mute_replies(found):
    """Even if a probe called it an answer: silence, a lost connection, and congestion let nothing pass."""
    facts = AssociationFacts(port_state=PortState.OPEN, over_tls=False, replies=tuple(found))
    judged = system([attempt(facts, Outcome.ANSWERED)])
    assert passes(judged) == set()
    assert judged.grade == "not rated"


@given(st.lists(queries.filter(lambda q: q.end in UNSETTLED_ENDS), min_size=1, max_size=2))
def test_a_query_without_an_answer_never_passes(found):
    opened = AssociationReply(
        control=Control.RANDOM_BOTH,
        called_ae_title="DOORWARDAAAAAAAA",
        calling_ae_title="DOORWARDBBBBBBBB",
        reply=Reply.ACCEPTED,
    )
    door = AssociationFacts(port_state=PortState.OPEN, over_tls=False, replies=(opened,))
    offer = CapabilityFacts(
        called_ae_title=opened.called_ae_title,
        calling_ae_title=opened.calling_ae_title,
        contexts=(ContextAnswer(abstract_syntax="1.2", name="FIND", service="find", result=0),),
    )
    exposure = ExposureFacts(
        queries=tuple(found),
        studies=Count(value=None, exactness=Exactness.UNKNOWN, method="synthetic"),
    )
    judged = system([attempt(facts, Outcome.ANSWERED) for facts in (door, offer, exposure)])
    assert "dimse_query_unprotected" not in passes(judged)


def test_nothing_asked_is_not_rated():
    judged = system([])
    assert passes(judged) == set()
    assert len(judged.findings) >= len(CATALOGUE)
    assert judged.grade == "not rated"
    assert exit_code([], fail_on=Severity.HIGH, allow_inconclusive=True) is ExitCode.NOT_TESTED


# --- silence at every step, through the program -----------------------------------------------------------------------------


async def _silent(call: Call) -> None:
    await drop(call)


#: Step at which the peer falls silent -> script, and whether something bad is known by then.
SILENT_AT: dict[str, tuple[Script, bool]] = {
    "connect": (_silent, False),
    "tls": (after_hello(b""), False),
    "association": (at_request(b""), False),
    "congestion": (at_request(rejection(2, 3, 1)), False),
    "limit": (at_request(rejection(2, 3, 2)), False),
    "echo": (at_command(b""), True),
    "query": (at_find(b""), True),
}


async def _audited(script: Script) -> JudgedSystem:
    async with scripted_peer(script) as peer:
        targets = parse_targets([f"{peer.host}:{peer.port}"], ports=(104,))
        settings = SurveySettings(clearance_level=3, limits=SHORT)
        (facts,) = await survey(
            targets, scope=Scope.loopback(), settings=settings, observer=Watch()
        )
    return judge(facts, now=NOW)


@pytest.mark.parametrize("step", SILENT_AT)
def test_silence_is_never_a_pass(step):
    script, is_known_bad = SILENT_AT[step]
    judged = asyncio.run(_audited(script))
    assert passes(judged) == set()
    on_queries = {f.verdict for f in judged.findings if f.check == "dimse_query_unprotected"}
    assert on_queries == {Verdict.INCONCLUSIVE}
    assert judged.grade == "not rated"
    assert "E5" not in judged.rungs
    code = exit_code([judged], fail_on=Severity.HIGH, allow_inconclusive=False)
    assert code is (ExitCode.FOUND if is_known_bad else ExitCode.NOT_TESTED)


async def _audit(script: Script, folder: Path) -> tuple[int, dict[str, object]]:
    async with scripted_peer(script) as peer:
        command = ["audit", f"{peer.host}:{peer.port}", "--timeout", "0.5", "--json", "report.json"]
        async with doorward([*command, "--allow-inconclusive"], folder / "home") as done:
            return done.exit_code, json.loads(done.written()["report.json"])


@pytest.mark.parametrize("step", ["connect", "association"])
def test_the_program_says_so_even_where_inconclusive_is_allowed(step, tmp_path):
    """Nothing was tested: that is never exit code 0, whatever was allowed."""
    code, report = asyncio.run(_audit(SILENT_AT[step][0], tmp_path))
    (only,) = report["systems"]
    assert code == ExitCode.NOT_TESTED
    assert only["grade"] == "not rated"
    assert "pass" not in {finding["verdict"] for finding in only["findings"]}
    assert report["totals"]["unprotected"] == 0


def test_a_port_that_lets_nobody_through_is_filtered_and_not_closed(tmp_path):
    """A full backlog swallows connections as a packet filter does: no answer is no proof."""

    async def run() -> dict[str, object]:
        with socket.socket() as full:
            full.bind(("127.0.0.1", 0))
            full.listen(0)
            async with AsyncExitStack() as stack:
                for _ in range(4):  # fill it; the last ones hang until they are dropped here
                    waiting = stack.enter_context(socket.socket())
                    waiting.setblocking(False)
                    waiting.connect_ex(full.getsockname())
                target = f"127.0.0.1:{full.getsockname()[1]}"
                command = ["audit", target, "--timeout", "0.5", "--json", "report.json"]
                async with doorward(command, tmp_path / "home") as done:
                    assert done.exit_code == ExitCode.NOT_TESTED
                    return json.loads(done.written()["report.json"])

    (only,) = asyncio.run(run())["systems"]
    assert only["ladder"] == ["E0"]
    assert {finding["verdict"] for finding in only["findings"]} <= {"inconclusive", "not_tested"}
    assert only["grade"] == "not rated"


def test_an_open_archive_beside_silent_ones_still_counts(tmp_path):
    """Silence is no pass, and it hides no failure either."""

    async def run() -> tuple[int, dict[str, object]]:
        async with (
            scripted_peer(_silent) as silent,
            scripted_peer(archive(finds(study())), host="127.0.0.2") as open_one,
        ):
            targets = [f"{peer.host}:{peer.port}" for peer in (silent, open_one)]
            command = ["audit", *targets, "--timeout", "0.5", "--json", "report.json"]
            async with doorward(command, tmp_path / "home") as done:
                return done.exit_code, json.loads(done.written()["report.json"])

    code, report = asyncio.run(run())
    assert code == ExitCode.FOUND
    assert report["totals"]["unprotected"] == 1
    assert sorted(system["grade"] for system in report["systems"]) == ["F", "not rated"]
