"""Promise 2: no patient attribute is requested for counting; an answer's patient bytes are never kept, logged or printed.

Peers that say everything about their made-up patients are audited by ``doorward audit`` in a process of its own, at the
highest clearance level, as loud as it gets. No canary may be in any output, in any file, or anywhere in the memory of the
process while it still lives.
"""

import asyncio
import json
import ssl
import sys
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from auditor_process import SOURCE, Finished, doorward
from certificates import make_certificates
from chatty_peers import CHATTY, NAMING, TAGS, WORDS, canary, lists
from doorward.net.tls import client_context, probe_context, verifying_probe_context
from memory_image import Trace, traces
from scripted_peer import C_FIND_RQ, Call, Message, archive, elements, final, scripted_peer

pytestmark = pytest.mark.timeout(60)
LOUD = (
    "--level",
    "3",
    "--verbose",
    "--json",
    "report.json",
    "--html",
    "report.html",
    "--timeout",
    "1",
)
LOUD += ("--output", "text=report.txt")


async def audited(
    scripts, folder: Path, *, tls: ssl.SSLContext | None = None, bug: bool = False
) -> tuple[Finished, list[Trace]]:
    """Audit the peers and return what was said, and what is left in memory."""
    async with AsyncExitStack() as stack:
        peers = [
            await stack.enter_async_context(scripted_peer(s, host=f"127.0.11.{n}", tls=tls))
            for n, s in enumerate(scripts, 1)
        ]
        targets = [f"{peer.host}:{peer.port}" for peer in peers]
        async with doorward(["audit", *targets, *LOUD], folder, bug=bug) as done:
            return done, traces(done.pid, WORDS)


def words_in(text: bytes) -> list[bytes]:
    """Which of the words occur in a text, in any letter case."""
    return [word for word in WORDS if word in text.upper()]


def assert_forgotten(found: list[Trace]) -> None:
    lines = "\n".join(f"{t.address:x} in {t.region}: {t.around!r}" for t in found[:20])
    assert not found, f"{len(found)} traces of patients in memory:\n{lines}"


@pytest.fixture(scope="module")
def plain(tmp_path_factory) -> tuple[Finished, list[Trace]]:
    """All chatty peers, one audit."""
    return asyncio.run(audited(CHATTY.values(), tmp_path_factory.mktemp("plain") / "home"))


def test_every_chatty_peer_was_counted_so_there_was_something_to_leak(plain):
    report = json.loads(plain[0].written()["report.json"])
    counted = [s["counts"]["studies"]["value"] for s in report["systems"]]
    assert 1_500 in counted
    assert 200 in counted
    assert sum(value is not None for value in counted) >= 10


def test_no_canary_is_in_any_output(plain):
    done = plain[0]
    assert set(done.written()) >= {"report.json", "report.html", "report.txt"}
    assert len(done.stdout) > 1_000
    assert b"exposure: answered" in done.stderr, "as loud as it gets"
    assert not words_in(done.said())


def test_no_canary_is_left_in_memory(plain):
    assert_forgotten(plain[1])


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=str)
def test_no_canary_is_left_in_memory_after_tls(version, tmp_path):
    server = make_certificates(tmp_path / "certificates").server
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(server.certificate_path, server.key_path)
    context.minimum_version = context.maximum_version = version
    scripts = [CHATTY[name] for name in ("many", "in_pieces", "comments", "aborts", "long_last")]
    done, found = asyncio.run(audited(scripts, tmp_path / "home", tls=context))
    assert b"1,500" in done.stdout
    assert not words_in(done.said())
    assert_forgotten(found)


def late(wait_s: float):
    """Speak only when the auditor has asked for a page, or has given up."""

    async def script(call):
        await asyncio.sleep(wait_s)
        await call.send(b"HTTP/1.1 200 OK\r\n\r\n" + canary(8) * 200)
        await call.until_gone()

    return script


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_no_canary_of_a_page_that_comes_late_is_left_in_memory(tmp_path):
    done, found = asyncio.run(audited([late(0.3)], tmp_path / "home"))
    assert not words_in(done.said())
    assert_forgotten(found)


def test_what_a_peer_calls_itself_reaches_no_output_unless_it_is_known(tmp_path):
    """Titles and version names describe software; they are decoded, compared with known ones, and not quoted."""
    done, _ = asyncio.run(audited(NAMING.values(), tmp_path / "home"))
    assert b"dimse_ae_accepts_any" in done.written()["report.json"]
    assert not words_in(done.said())


def test_a_bug_in_the_counting_path_prints_no_value(tmp_path):
    """The planted bug raises with the whole match in its text; only its kind may be told."""
    done, _ = asyncio.run(audited([lists(3)], tmp_path / "home", bug=True))
    assert b"ValueError" in done.stderr + done.stdout, "the bug was met"
    assert not words_in(done.said())
    report = json.loads(done.written()["report.json"])
    assert "error" in {f["verdict"] for f in report["systems"][0]["findings"]}


# --- the instrument itself ----------------------------------------------------------------------------------------------

CARELESS = """
import sys
names = [line.decode() for line in open(sys.argv[1], "rb")]
del names
print("read", flush=True)
sys.stdin.read()
"""


async def _careless(file: Path) -> list[Trace]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        CARELESS,
        str(file),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    await process.stdout.readline()
    found = traces(process.pid, WORDS)
    process.stdin.close()
    await process.wait()
    return found


def test_a_program_that_only_frees_what_it_read_is_found_out(tmp_path):
    """Without this the tests above could pass because nobody looks: freed memory keeps what it held."""
    file = tmp_path / "answer"
    file.write_bytes((canary(1) + b"\n") * 2_000)
    assert asyncio.run(_careless(file))


#: Reads one TLS record into a buffer and zeroes that; the connection stays open. The last argument: with our options?
READS_TLS = """
import socket, ssl, sys
from doorward.net.tls import probe_context
context = probe_context()
if sys.argv[2] == "False":
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
tls = context.wrap_socket(socket.create_connection(("127.0.0.1", int(sys.argv[1]))))
room = memoryview(bytearray(65536))
read = 0
while read < 16000:
    read += tls.recv_into(room[read:])
room[:] = bytes(65536)
print("read", flush=True)
sys.stdin.read()
"""


async def _after_one_record(tls: ssl.SSLContext, *, with_our_options: bool) -> list[Trace]:
    async def says(call: Call) -> None:
        await call.send(canary(1) * 1_000)
        await call.until_gone()

    async with scripted_peer(says, tls=tls) as peer:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            READS_TLS,
            str(peer.port),
            str(with_our_options),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env={"PYTHONPATH": str(SOURCE)},
        )
        await process.stdout.readline()
        found = traces(process.pid, WORDS)
        process.stdin.close()
        await process.wait()
    return found


@pytest.mark.parametrize("with_our_options", [True, False])
def test_openssl_keeps_what_it_decrypted_unless_it_is_told_not_to(with_our_options, tmp_path):
    server = make_certificates(tmp_path).server
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(server.certificate_path, server.key_path)
    found = asyncio.run(_after_one_record(context, with_our_options=with_our_options))
    assert bool(found) is not with_our_options


def test_every_context_that_the_auditor_reads_with_is_told():
    for context in (probe_context(), verifying_probe_context(), client_context()):
        assert context.options & 0x2, "SSL_OP_CLEANSE_PLAINTEXT"


# --- what is asked ------------------------------------------------------------------------------------------------------


def keys_of(identifier: bytes) -> dict[int, bytes]:
    """Tag -> value of an honest identifier, implicit VR little endian."""
    found, at = {}, 0
    while at < len(identifier):
        group, number, length = (
            int.from_bytes(identifier[at + a : at + b], "little")
            for a, b in ((0, 2), (2, 4), (4, 8))
        )
        found[group << 16 | number] = identifier[at + 8 : at + 8 + length]
        at += 8 + length
    return found


@pytest.mark.parametrize("level", [1, 2, 3])
def test_no_patient_attribute_is_requested_for_counting(level, tmp_path):
    asked: list[dict[int, bytes]] = []

    async def on_find(call: Call, message: Message) -> None:
        asked.append(keys_of(message.identifier))
        await call.send(final(message))

    async def run() -> None:
        async with scripted_peer(archive(on_find)) as peer:
            command = ["audit", f"{peer.host}:{peer.port}", "--level", str(level), "--timeout", "1"]
            async with doorward(command, tmp_path / "home"):
                pass
        assert peer.commands.count(C_FIND_RQ) == len(asked)

    asyncio.run(run())
    allowed = {0x0008_0052, 0x0020_000D, 0x0020_1208, 0x0020_1200}
    counting = asked[:2]
    assert len(counting) == (0 if level == 1 else 2)
    for keys in counting:
        assert set(keys) <= allowed
        assert not set(keys) & set(TAGS)
    for keys in asked:
        assert all(not value.strip(b"\0 ") for tag, value in keys.items() if tag != 0x0008_0052)
    assert len(asked) <= (3 if level == 3 else 2)


def test_a_command_set_is_read_by_hand_here():
    """The peer's own reader of commands, which the assertions above stand on."""
    assert elements(b"\0\0\0\1\2\0\0\0\x20\0")[0x0100] == b"\x20\0"
