"""Promise 3: no image is retrieved, nothing is stored. Retrieval and storage are judged by negotiation alone.

Peers that accept everything write down every command that reaches them, at every clearance level, with every option that
changes what is asked; then the practice archives, behind a relay that writes down what the auditor sends.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from datetime import UTC, datetime

import pytest

from certificates import make_certificates
from chatty_peers import CHATTY
from doorward.audit.scope import Scope
from doorward.audit.survey import SurveySettings, survey
from doorward.audit.targets import parse_targets
from doorward.practice.certificates import PracticeCertificates
from doorward.practice.certificates import make_certificates as practice_certificates
from doorward.practice.personas import PERSONAS
from hostile_audit import SHORT, Watch
from hostile_callers import CT_STORAGE, GOOD, STORE, STORE_COMMAND
from practising import practising
from scripted_peer import (
    C_CANCEL_RQ,
    C_ECHO_RQ,
    C_FIND_RQ,
    DATA_TF,
    Call,
    Message,
    Script,
    ScriptedPeer,
    archive,
    data,
    element,
    elements,
    final,
    finds,
    items,
    match,
    number_of,
    pdu,
    scripted_peer,
    study,
)

pytestmark = pytest.mark.timeout(60)
ALLOWED = {C_ECHO_RQ, C_FIND_RQ, C_CANCEL_RQ}
#: Verification, and the FIND models of patient root and study root (PS3.4 Annexes A and C).
ASKED_UNDER = {b"1.2.840.10008.1.1", b"1.2.840.10008.5.1.4.1.2.1.1", b"1.2.840.10008.5.1.4.1.2.2.1"}
ROLE_SELECTION = 0x54


async def lures(call: Call, message: Message) -> None:
    """Matches that name a retrieve address and an online location, as if to say: come and get it."""
    bait = (
        element(0x0008_0054, b"TAKEME"),
        element(0x0008_0056, b"ONLINE"),
        element(0x0008_1190, b"http://127.0.0.1/ "),
    )
    await call.send(*(match(message, study(n, b"9 ", *bait)) for n in range(5)), final(message))


RECORDERS: dict[str, Script] = {
    "honest": archive(finds(study(1), study(2))),
    "lures": archive(lures),
    **{f"chatty_{name}": script for name, script in CHATTY.items()},
}


async def audited(
    script: Script, settings: SurveySettings, *, tls: ssl.SSLContext | None = None
) -> ScriptedPeer:
    async with scripted_peer(script, tls=tls) as peer:
        targets = parse_targets([f"{peer.host}:{peer.port}"], ports=(104,))
        await survey(targets, scope=Scope.loopback(), settings=settings, observer=Watch())
    return peer


def assert_harmless(peer: ScriptedPeer) -> None:
    """Nothing but C-ECHO, C-FIND and C-CANCEL came, and nobody offered to receive an image."""
    assert set(peer.commands) <= ALLOWED
    for call in peer.calls:
        if call.request:
            assert ROLE_SELECTION not in call.user_information


@pytest.mark.parametrize("level", [1, 2, 3])
@pytest.mark.parametrize("name", RECORDERS)
def test_only_echo_find_and_cancel_ever_arrive(name, level):
    settings = SurveySettings(clearance_level=level, limits=SHORT)
    peer = asyncio.run(audited(RECORDERS[name], settings))
    assert_harmless(peer)
    if level == 1:
        assert peer.commands == []
    if name == "honest" and level >= 2:
        assert {C_ECHO_RQ, C_FIND_RQ} <= set(peer.commands)


def test_the_same_with_titles_that_the_archive_knows():
    settings = SurveySettings(
        clearance_level=3, limits=SHORT, called_ae_titles=("ARCHIVE", "PACS"), given_calling="KNOWN"
    )
    assert_harmless(asyncio.run(audited(RECORDERS["honest"], settings)))


def test_the_same_over_tls(tmp_path):
    server = make_certificates(tmp_path).server
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(server.certificate_path, server.key_path)
    settings = SurveySettings(clearance_level=3, limits=SHORT)
    peer = asyncio.run(audited(RECORDERS["honest"], settings, tls=context))
    assert_harmless(peer)
    assert C_FIND_RQ in peer.commands


# --- the practice archives ------------------------------------------------------------------------------------------------


class Tap:
    """A relay before one practice archive that keeps what the auditor sends."""

    def __init__(self, address: str, port: int) -> None:
        self._address, self._port = address, port
        self.sent: list[bytearray] = []
        self._tasks: set[asyncio.Task[None]] = set()

    def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(self._relay(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        kept = bytearray()
        self.sent.append(kept)
        try:
            behind_reader, behind_writer = await asyncio.open_connection(self._address, self._port)
        except (OSError, asyncio.CancelledError):  # refused and filtered: nobody is heard there
            writer.close()
            return
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(_pump(reader, behind_writer, kept))
                both.create_task(_pump(behind_reader, writer, bytearray()))
        finally:
            writer.close()
            behind_writer.close()

    async def stop(self) -> None:
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


async def _pump(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, kept: bytearray
) -> None:
    with suppress(OSError):
        while chunk := await reader.read(65_536):
            kept += chunk
            writer.write(chunk)
            await writer.drain()
    with suppress(OSError):
        writer.write_eof()


@asynccontextmanager
async def tapped(
    names: Sequence[str], certificates: PracticeCertificates
) -> AsyncIterator[dict[str, tuple[Tap, str, int]]]:
    """Practice archives, each behind a tap of its own."""
    async with AsyncExitStack() as stack:
        practice = practising(*names, certificates=certificates, studies=30, images=2)
        running = await stack.enter_async_context(practice)
        found = {}
        for number, (name, one) in enumerate(zip(names, running, strict=True), 1):
            tap = Tap(one.address, one.port)
            server = await asyncio.start_server(tap.take, f"127.0.14.{number}", 0)
            stack.push_async_callback(tap.stop)
            stack.callback(server.close)
            found[name] = (tap, *server.sockets[0].getsockname()[:2])
        yield found


def commands_in(stream: bytes) -> list[tuple[bytes, int]]:
    """(abstract syntax, command field) of each command that one connection carried; [] where it was no DICOM."""
    if not stream.startswith(b"\1\0"):
        return []
    contexts, found, at = {}, [], 0
    while at + 6 <= len(stream):
        length = int.from_bytes(stream[at + 2 : at + 6], "big")
        body = bytes(stream[at + 6 : at + 6 + length])
        if stream[at] == 1:
            for kind, content in items(body[68:]):
                if kind == 0x20:
                    contexts[content[0]] = dict(items(content[4:]))[0x30]
        elif stream[at] == DATA_TF and body[5] & 1:
            found.append((contexts[body[4]], number_of(elements(body[6:])[0x0100])))
        at += 6 + length
    return found


async def _personas(certificates: PracticeCertificates) -> dict[str, list[tuple[bytes, int]]]:
    async with tapped(sorted(PERSONAS), certificates) as taps:
        targets = parse_targets([f"{host}:{port}" for _, host, port in taps.values()], ports=(104,))
        settings = SurveySettings(clearance_level=3, limits=SHORT)
        await survey(targets, scope=Scope.loopback(), settings=settings, observer=Watch())
        return {
            name: [command for stream in tap.sent for command in commands_in(stream)]
            for name, (tap, _, _) in taps.items()
        }


def test_practice_archives_of_every_persona_get_nothing_but_questions(tmp_path):
    certificates = practice_certificates(tmp_path, now=datetime.now(UTC), addresses=["127.0.0.1"])
    found = asyncio.run(_personas(certificates))
    assert len(found) == len(PERSONAS)
    for name, commands in found.items():
        assert {field for _, field in commands} <= ALLOWED, name
        assert {uid for uid, _ in commands} <= ASKED_UNDER, name
    assert sum(bool(commands) for commands in found.values()) > 5, "the taps heard something"


def test_the_tap_would_hear_a_store():
    """Without this the test above could pass because it cannot read commands."""
    assert commands_in(GOOD + data(STORE, 3, STORE_COMMAND)) == [(CT_STORAGE, 0x0001)]
    assert commands_in(pdu(0x16, b"")) == []
