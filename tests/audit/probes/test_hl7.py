"""HL7 ports: a real listener and scripted ones; below clearance level 3 nothing is ever said."""

import asyncio
import ssl
from contextlib import asynccontextmanager, suppress

import pytest

from certificates import make_certificates
from doorward.audit.approach import attempt
from doorward.audit.facts import Outcome
from doorward.audit.probes import hl7
from doorward.greetings.hl7 import Answer
from doorward.net.tls import probe_context, server_context
from file_servers import CANARY, hl7_listener
from loopback import HOST, in_loop
from peers import free_port
from web_visitors import web_approach


class Mllp:
    """A scripted port: says ``first``, and ``answer`` to whatever comes."""

    def __init__(self, answer=b"", first=b"", closes=False):
        self.answer, self.first, self.closes = answer, first, closes
        self.got = bytearray()
        self.port = 0

    async def serve(self, reader, writer):
        with suppress(ConnectionError):
            writer.write(self.first)
            while not self.closes and (came := await reader.read(4096)):
                self.got += came
                writer.write(self.answer(came) if callable(self.answer) else self.answer)
        writer.close()


def ack(code="AE", more=b""):
    def answer(message):
        control = message.split(b"|")[9]
        segments = [
            b"MSH|^~\\&|ZZCANARY|ZZCANARY|||1||ACK|1|P|2.4",
            b"MSA|" + code.encode() + b"|" + control + b"|ZZCANARY",
        ]
        return b"\x0b" + b"\r".join(segments) + b"\r\x1c\r" + more

    return answer


@asynccontextmanager
async def listening(mllp, tls=None):
    server = await asyncio.start_server(mllp.serve, HOST, 0, ssl=tls)
    mllp.port = server.sockets[0].getsockname()[1]
    try:
        yield mllp
    finally:
        server.close()
        serving = asyncio.all_tasks() - {asyncio.current_task()}
        if serving:  # each ends when its caller has hung up
            await asyncio.wait(serving, timeout=2)


async def asked(mllp, level=3, tls=None, **bounds):
    bounds = {"hl7_listen_s": 0.1, "hl7_reply_s": 0.5} | bounds
    approach = web_approach(mllp.port, tls=tls, **bounds)
    made = await attempt("hl7", approach, hl7.asker(level=level))
    assert CANARY not in repr(made)
    return made


@pytest.mark.interop
@pytest.mark.peer("hl7")
def test_a_real_listener_rejects_the_message_and_is_known_by_it(tmp_path):
    with hl7_listener(tmp_path) as port:
        approach = web_approach(port, hl7_listen_s=0.2)
        low = asyncio.run(attempt("hl7", approach, hl7.asker(level=2)))
        high = asyncio.run(attempt("hl7", approach, hl7.asker(level=3)))
    assert low.outcome is Outcome.INCONCLUSIVE
    assert (low.facts.listened, low.facts.knocked) == (Answer.SILENT, None)
    assert high.outcome is Outcome.ANSWERED
    assert high.facts.is_hl7
    assert (high.facts.code, high.facts.names_ours) == ("AR", True)
    assert (low.connections, high.connections) == (1, 2)
    assert CANARY not in repr((low, high))


@pytest.mark.parametrize("level", [1, 2])
@in_loop
async def test_below_level_3_nothing_is_said(level):
    async with listening(Mllp(ack())) as mllp:
        made = await asked(mllp, level)
    assert made.outcome is Outcome.INCONCLUSIVE, "silence shows nothing"
    assert mllp.got == b""


@pytest.mark.parametrize("code", ["AA", "AE", "AR", "CA", "CR"])
@in_loop
async def test_at_level_3_the_acknowledgement_decides(code):
    async with listening(Mllp(ack(code))) as mllp:
        made = await asked(mllp)
    assert (made.outcome, made.facts.code, made.facts.version) == (Outcome.ANSWERED, code, "2.4")
    assert mllp.got.count(b"MSH") == 1
    assert b"PID" not in mllp.got


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    return make_certificates(tmp_path_factory.mktemp("certificates"))


@in_loop
async def test_over_tls_it_is_the_same(certificates):
    own = certificates.server
    context = server_context(own.certificate_path, own.key_path)
    async with listening(Mllp(ack()), tls=context) as mllp:
        made = await asked(mllp, tls=probe_context())
    assert made.facts.is_hl7
    assert made.facts.over_tls


@pytest.mark.parametrize("level", [1, 3])
@in_loop
async def test_a_demand_for_a_client_certificate_is_an_answer(certificates, level):
    own = certificates.server
    context = server_context(own.certificate_path, own.key_path)
    context.load_verify_locations(certificates.authority.certificate_path)
    context.verify_mode = ssl.CERT_REQUIRED
    async with listening(Mllp(ack()), tls=context) as mllp:
        made = await asked(mllp, level, tls=probe_context())
    assert made.outcome is Outcome.ANSWERED
    assert made.facts.demands_certificate
    assert mllp.got == b""


@pytest.mark.parametrize(
    ("mllp", "outcome", "answer"),
    [
        (Mllp(lambda message: message), Outcome.ANSWERED, Answer.OTHER),  # an echo
        (Mllp(b"HTTP/1.1 400 Bad Request\r\n\r\n"), Outcome.ANSWERED, Answer.OTHER),
        (Mllp(b"\x0b\x1c\r"), Outcome.ANSWERED, Answer.OTHER),
        (Mllp(b""), Outcome.INCONCLUSIVE, Answer.SILENT),
    ],
)
@in_loop
async def test_no_false_receiver(mllp, outcome, answer):
    async with listening(mllp):
        made = await asked(mllp)
    assert (made.outcome, made.facts.knocked, made.facts.is_hl7) == (outcome, answer, False)


@in_loop
async def test_who_speaks_first_is_no_receiver_and_gets_no_message():
    async with listening(Mllp(ack(), first=b"SSH-2.0-OpenSSH\r\n")) as mllp:
        made = await asked(mllp)
    assert (made.outcome, made.facts.looks_like) == (Outcome.ANSWERED, "ssh")
    assert mllp.got == b""


@in_loop
async def test_hanging_up_says_nothing():
    async with listening(Mllp(closes=True)) as mllp:
        made = await asked(mllp)
    assert (made.outcome, made.facts.listened) == (Outcome.INCONCLUSIVE, Answer.CLOSED)


@in_loop
async def test_a_closed_port_is_closed():
    mllp = Mllp()
    mllp.port = free_port()
    made = await asked(mllp)
    assert (made.outcome, made.facts.is_open) == (Outcome.ANSWERED, False)


@in_loop
async def test_an_endless_answer_ends():
    async with listening(Mllp(b"\x0bMSH|" + b"x" * 500_000)) as mllp:
        made = await asked(mllp)
    assert not made.facts.is_hl7
