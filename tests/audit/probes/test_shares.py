"""File shares as a stranger meets them: real servers in several versions, scripted ones for the rest."""

import asyncio
import json
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import pytest

from database_servers import CANARY
from doorward.audit.approach import Approach, Pace, attempt
from doorward.audit.facts import Endpoint, Outcome, SystemFacts
from doorward.audit.judge import judge
from doorward.audit.probes import shares
from doorward.audit.scope import Scope
from doorward.audit.verdict import Verdict
from doorward.errors import ConnectFailed, ConnectTimeout
from loopback import HOST, in_loop, limits
from scripted_peer import scripted_peer
from share_forms import FORMS
from share_servers import ganesha, smbd

CORPUS = Path(__file__).resolve().parent.parent.parent / "fuzz" / "corpus" / "greetings"
NOW = datetime(2026, 11, 22, tzinfo=UTC)
OURS = {"share_port_reachable", "smb_v1_spoken", "smb_signing_not_required"}
OURS |= {"nfs_old_version_spoken", "nfs_portmapper_open"}


def approach(port, **bounds):
    return Approach(
        endpoint=Endpoint(address=HOST, port=port),
        gate=Scope.loopback(),
        pace=Pace(0.0),
        limits=limits(**bounds),
    )


def failing(made):
    judged = judge(SystemFacts(address=HOST, name="", clearance_level=2, attempts=(made,)), now=NOW)
    assert CANARY[:12] not in repr(judged), "a name was brought home"
    return {f.check for f in judged.findings if f.check in OURS and f.verdict is Verdict.FAIL}


# --- real servers -----------------------------------------------------------------------------------------------------


@pytest.mark.interop
@pytest.mark.peer("samba")
@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_samba_is_judged_as_it_is(form, tmp_path):
    with smbd(tmp_path, **form.settings) as port:
        made = asyncio.run(attempt("shares", approach(port), shares.asker("smb")))
    assert made.outcome is Outcome.ANSWERED, made.reason
    assert made.facts.smb_dialect == form.dialect
    assert made.connections == 2
    assert failing(made) == form.fails | {"share_port_reachable"}
    assert CANARY[:12] not in json.dumps(asdict(made), default=str)


@pytest.mark.interop
@pytest.mark.peer("ganesha")
def test_ganesha_speaks_version_4_only(tmp_path):
    with ganesha(tmp_path, 4) as port:
        made = asyncio.run(attempt("shares", approach(port), shares.asker("nfs")))
    assert made.facts.nfs_versions == (4,)
    assert failing(made) == {"share_port_reachable"}


# --- scripted ones ----------------------------------------------------------------------------------------------------


async def answer_of(script, protocol, **bounds):
    async with scripted_peer(script) as peer:
        answered = await shares.asker(protocol)(approach(peer.port, **bounds))
        return *answered, len(peer.calls)


def recorded(name):
    return (CORPUS / name).read_bytes()[2:]


def saying(*per_call):
    """What is sent on each connection; nothing: hang up."""

    async def script(call):
        await call.reader.read(1)
        answer = per_call[call.number]
        if answer:
            await call.send(answer)
            await call.reader.read()

    return script


@in_loop
async def test_a_garbled_answer_to_the_first_version_leaves_it_unknown():
    script = saying(recorded("samba-second"), b"\0\0\0\x04GARB")
    _, _, facts, calls = await answer_of(script, "smb")
    assert (facts.smb_dialect, facts.smb_first_version, calls) == ("3.1.1", None, 2)


@in_loop
async def test_a_server_that_hangs_up_on_everything_is_not_known_to_speak_smb():
    outcome, _, facts, _ = await answer_of(saying(b"", b""), "smb")
    assert (outcome, facts.is_recognised) == (Outcome.INCONCLUSIVE, False)


@in_loop
async def test_a_server_with_the_first_version_alone_is_recognised():
    _, _, facts, _ = await answer_of(saying(b"", recorded("samba-v1-first")), "smb")
    assert (facts.smb_dialect, facts.smb_first_version) == ("1", True)


@in_loop
async def test_a_dialect_that_nobody_knows_leaves_the_first_version():
    unknown = bytearray(recorded("samba-second"))
    unknown[4 + 68 : 4 + 70] = b"\xff\x02"
    script = saying(bytes(unknown), recorded("samba-v1-first"))
    _, _, facts, _ = await answer_of(script, "smb")
    assert (facts.smb_dialect, facts.smb_first_version) == ("1", True)


def reply(number, *words):
    body = b"".join(n.to_bytes(4, "big") for n in (number, 1, 0, 0, 0, *words))
    return (0x8000_0000 | len(body)).to_bytes(4, "big") + body


@pytest.mark.parametrize(
    ("replies", "is_recognised", "tells"),
    (
        (reply(1, 0, 2049) + reply(2, 0, 0), True, True),
        (reply(1, 0, 0) + reply(2, 0, 0), True, False),
        (reply(1, 1) + reply(2, 1), False, None),
    ),
)
@in_loop
async def test_the_portmapper_tells_or_does_not(replies, is_recognised, tells):
    async def script(call):
        at = 0
        while at < len(replies):
            await call.reader.read(200)
            end = at + 4 + (int.from_bytes(replies[at : at + 4], "big") & 0xFFFF)
            await call.send(replies[at:end])
            at = end
        await call.reader.read()

    _, _, facts, _ = await answer_of(script, "portmapper")
    assert (facts.is_recognised, facts.portmapper_tells) == (is_recognised, tells)


@pytest.mark.parametrize("protocol", sorted(shares.PROTOCOLS))
@in_loop
async def test_silence_is_no_answer(protocol):
    async def script(call):
        await call.reader.read()

    outcome, reason, facts, _ = await answer_of(script, protocol, greeting_s=0.05)
    assert (outcome, facts.is_recognised) == (Outcome.INCONCLUSIVE, False)
    assert reason


@pytest.mark.parametrize("protocol", sorted(shares.PROTOCOLS))
@in_loop
async def test_a_web_server_is_no_file_share(protocol):
    page = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"
    outcome, reason, facts, _ = await answer_of(saying(page, page), protocol)
    assert (outcome, facts.is_recognised) == (Outcome.ANSWERED, False)
    assert reason == "the port is open and speaks something else"


class Refused:
    def permit(self, address, port):
        raise ConnectFailed("nothing listens there", kind="refused")


@pytest.mark.parametrize("port", (445, 2049, 111))
@in_loop
async def test_a_closed_port_is_an_answer_and_the_port_chooses_the_protocol(port):
    closed = approach(port)
    closed.gate = Refused()
    outcome, _, facts = await shares.ask(closed)
    assert (outcome, facts.is_open) == (Outcome.ANSWERED, False)
    assert facts.protocol in shares.PROTOCOLS


@in_loop
async def test_a_port_that_nobody_expects_shares_on_is_not_asked():
    outcome, reason, facts = await shares.ask(approach(104))
    assert (outcome, facts) == (Outcome.NOT_TESTED, None)
    assert reason


class Filtered:
    def permit(self, address, port):
        raise ConnectTimeout("no answer")


@in_loop
async def test_a_filtered_port_stays_unknown():
    behind = approach(445)
    behind.gate = Filtered()
    made = await attempt("shares", behind, shares.ask)
    assert (made.outcome, made.facts) == (Outcome.INCONCLUSIVE, None)
