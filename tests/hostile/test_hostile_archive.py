"""Whoever calls, whatever they send: the archive serves its known callers within two seconds, stays small, and loses nothing.

The archive is a process of its own with everything that ``doorward archive run`` has. ``DOORWARD_TEST_HOSTILE_CROWD`` makes
the crowds larger (10000), ``DOORWARD_TEST_HOSTILE_STUDIES`` the archive (100000).
"""

import asyncio
import contextlib
import http.client
import json
import os
import socket
import ssl
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from archives import HOST, identifier, proposal_of
from doorward.access.journal.record import Event
from doorward.access.journal.verify import verify
from doorward.net.client import associate
from doorward.net.transfer import move
from doorward.wire.uids import EXPLICIT_VR_LITTLE_ENDIAN, STUDY_ROOT_FIND, STUDY_ROOT_MOVE
from hostile_archive import (
    LIMITS,
    STOLEN,
    STORED,
    THIEF,
    Seen,
    Site,
    asks,
    hostile_archive,
)
from hostile_callers import (
    ABORT,
    ANSWERED,
    ASSOCIATE_AC,
    ASSOCIATE_RJ,
    CLOSED,
    FIND,
    GOOD,
    NAMED,
    Caller,
    data,
)
from hostile_requests import hostile_requests
from loopback import OpenGate
from measures.index import uid_of
from pixel_archives import made_image
from scripted_peer import command_set, element, us
from stow_bodies import MULTIPART, multipart

pytestmark = [pytest.mark.timeout(120), pytest.mark.slow]
CROWD = int(os.environ.get("DOORWARD_TEST_HOSTILE_CROWD", "1500"))
#: From the first byte of a caller to the end of its connection.
LONGEST_S = 25.0
NEVER_ENDED = -1
SIDE_BY_SIDE = 20


@pytest.fixture(scope="module")
def dead_end() -> Iterator[int]:
    """A destination that takes connections and never says a word."""
    with socket.create_server((HOST, 0), backlog=500) as listener:
        yield listener.getsockname()[1]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, dead_end: int) -> Iterator[Site]:
    with hostile_archive(tmp_path_factory.mktemp("hostile"), dead_end) as one:
        yield one


@contextlib.contextmanager
def attacked(site: Site, name: str, *, most_mib: float = 350.0) -> Iterator[Seen]:
    """Attack inside; known callers are served all the time, little is held, and nothing stays open."""
    files = site.files()
    with site.watched() as seen:
        yield seen
    _report(name, seen)
    seen.require(most_mib=most_mib)
    site.settled(files)


def _report(name: str, seen: Seen) -> None:
    """Keep the figures where they are asked for."""
    place = os.environ.get("DOORWARD_TEST_HOSTILE_FIGURES")
    if not place:
        return
    times = sorted(one.seconds for one in seen.done)
    said = (
        f"{name}: {seen.wall_s:.1f} s, {len(times)} times served, median {times[len(times) // 2]:.3f} s,"
        f" slowest {times[-1]:.2f} s; peak {seen.peak_mib:.0f} MiB, processor {seen.cpu_s:.2f} s"
    )
    with Path(place).open("a") as stream:
        stream.write(said + "\n")


# --- DICOM: a stolen certificate, and the plain port --------------------------------------------------------------------


async def play(caller: Caller, port: int, tls: ssl.SSLContext | None) -> int:
    """Send what the caller sends and return the type of the last PDU that came back before the end."""
    try:
        reader, writer = await asyncio.open_connection(
            HOST, port, ssl=tls, server_hostname="localhost" if tls else None, local_addr=(THIEF, 0)
        )
    except OSError:
        return CLOSED  # somebody else had to have room
    answers = bytearray()
    answered = asyncio.Event()
    sending = asyncio.create_task(_send(caller, writer, answered))
    try:
        async with asyncio.timeout(LONGEST_S):
            with contextlib.suppress(OSError):
                while chunk := await reader.read(65_536):
                    answers += chunk
                    answered.set()
                    if caller.ends == "deaf":
                        await sending  # ends when the archive has had enough
    except TimeoutError:
        return NEVER_ENDED
    finally:
        sending.cancel()
        writer.transport.abort()
        await asyncio.gather(sending, return_exceptions=True)
    return last_pdu(bytes(answers))


async def _send(caller: Caller, writer: asyncio.StreamWriter, answered: asyncio.Event) -> None:
    with contextlib.suppress(OSError):
        for chunk in caller.chunks:
            if chunk == ANSWERED:
                await answered.wait()
            writer.write(chunk)
            await writer.drain()
            await asyncio.sleep(caller.pause_s)
        if caller.ends == "half" and writer.can_write_eof():
            writer.write_eof()
        if caller.ends == "reset":
            await asyncio.sleep(0.1)
            writer.transport.abort()


def last_pdu(answer: bytes) -> int:
    """Type of the last whole PDU, CLOSED where there is none."""
    last, position = CLOSED, 0
    while position + 6 <= len(answer):
        position, kind = (
            position + 6 + int.from_bytes(answer[position + 2 : position + 6], "big"),
            answer[position],
        )
        last = kind if position <= len(answer) else last
    return last


async def play_all(port: int, tls: ssl.SSLContext | None) -> dict[str, int]:
    """All callers of the ground floor's corpus, many at the same time."""
    side_by_side = asyncio.Semaphore(SIDE_BY_SIDE)

    async def one_of_them(caller: Caller) -> int:
        async with side_by_side:
            return await play(caller, port, tls)

    async with asyncio.TaskGroup() as tasks:
        running = {one.name: tasks.create_task(one_of_them(one)) for one in NAMED}
    return {name: task.result() for name, task in running.items()}


#: TLS cannot be closed by half: they are idle then, and aborted. Who floods for seconds on a machine with other work may fall
#: silent for long enough to be idle: the archive has then had enough of it in the other way.
OTHERWISE = {
    "half_closed": {ABORT},
    "nothing_known": {ABORT},
    "asks_and_never_reads": {ASSOCIATE_AC, ABORT},
}


def test_the_hostile_corpus_with_a_stolen_certificate(site: Site) -> None:
    with attacked(site, "corpus over TLS, stolen certificate"):
        answers = asyncio.run(play_all(site.ports["dicom"], site.contexts[STOLEN]))
    wrong = {
        one.name: (answers[one.name], one.answer)
        for one in NAMED
        if answers[one.name] not in OTHERWISE.get(one.name, {one.answer})
    }
    assert not wrong


def test_the_hostile_corpus_on_the_plain_port_from_nobody(site: Site) -> None:
    with attacked(site, "corpus on the plain port, nobody known"):
        answers = asyncio.run(play_all(site.ports["old"], None))
    assert set(answers.values()) <= {CLOSED, ABORT, ASSOCIATE_RJ}
    assert ASSOCIATE_AC not in answers.values()


# --- crowds ---------------------------------------------------------------------------------------------------------------


def crowd_of(
    count: int, port: int, addresses: Sequence[str], first: bytes = b""
) -> list[socket.socket]:
    """So many connections that say no more than that."""
    crowd = []
    for number in range(count):
        one = socket.socket()
        one.bind((addresses[number % len(addresses)], 0))
        one.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            one.connect((HOST, port))
        crowd.append(one)
        if number % 100 == 99:
            time.sleep(0.01)  # a full queue of connections would be the system's refusal, not ours
    for one in crowd:
        if first:
            with contextlib.suppress(OSError):
                one.send(first)
    return crowd


STREET = [f"127.0.1.{n}" for n in range(1, 101)]


@pytest.mark.parametrize("door", ["dicom", "old", "https"])
@pytest.mark.parametrize("addresses", [[THIEF], STREET], ids=["one address", "many"])
def test_a_crowd_that_says_nothing_shuts_nobody_out(
    site: Site, door: str, addresses: list[str]
) -> None:
    name = f"{CROWD} silent on {door} from {len(addresses)} addresses"
    with attacked(site, name):
        crowd = crowd_of(CROWD, site.ports[door], addresses)
        site.round_done()
        files = site.files()
        for one in crowd:
            one.close()
    assert files < 2_200


# --- HTTPS --------------------------------------------------------------------------------------------------------------


def raw(site: Site, sent: bytes, who: str | None, *, address: str = THIEF) -> list[int]:
    """Send bytes over TLS and return the status of every answer until the archive closes."""
    tls = site.contexts[who] if who else stranger()
    answers = bytearray()
    with (
        socket.create_connection(
            (HOST, site.ports["https"]), LONGEST_S, source_address=(address, 0)
        ) as plain,
        tls.wrap_socket(plain, server_hostname="localhost") as connection,
    ):
        with contextlib.suppress(OSError):
            connection.sendall(sent)
        with contextlib.suppress(OSError):
            while piece := connection.recv(65_536):
                answers += piece
    return [int(line[9:12]) for line in answers.split(b"\n") if line.startswith(b"HTTP/1.1 ")]


def stranger() -> ssl.SSLContext:
    """TLS without a certificate."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


REQUESTS = hostile_requests(uid_of(7))


@pytest.mark.parametrize("who", [STOLEN, None], ids=["stolen certificate", "nobody"])
def test_every_hostile_request_is_refused_or_answered_in_bounds(
    site: Site, who: str | None
) -> None:
    with (
        attacked(site, f"{len(REQUESTS)} hostile requests, {who or 'nobody'}"),
        ThreadPoolExecutor(48) as callers,
    ):
        statuses = list(callers.map(lambda one: raw(site, one.sent, who), REQUESTS))
    wrong = {}
    for one, found in zip(REQUESTS, statuses, strict=True):
        first = found[0] if found else 0
        allowed = one.statuses if who else (one.statuses - {200, 204, 206}) | {401, 431}
        if first not in allowed or len(found) > one.answers:
            wrong[one.name] = found
    assert not wrong


def test_what_is_small_to_ask_for_is_not_endless_to_give(site: Site) -> None:
    """One frame sixteen thousand times, an image larger than any screen: asked for by somebody who may."""
    pixels = np.zeros((2_000, 1_000), "<u2")
    body = multipart([made_image(pixels, Modality="CT", SeriesNumber="1")])
    head = f"POST /dicom-web/studies HTTP/1.1\r\nContent-Type: {MULTIPART}\r\n".encode()
    head += b"Content-Length: %d" % len(body)
    answer = asyncio.run(asks(site.ports["https"], site.contexts[STOLEN], head, body))
    assert answer.startswith(b"HTTP/1.1 200"), answer[:200]
    one = b"/dicom-web/studies/2.25.1/series/2.25.2/instances/2.25.3"
    paths = {
        b"/frames/" + b",".join([b"1"] * 15_000): {400, 413},
        b"/rendered?viewport=60000,60000": {200, 400, 413},
        b"/rendered?viewport=999999999,999999999": {400, 413},
        b"/frames/1,2,3,4,5,6,7,8": {404},
    }
    with attacked(site, "frames and viewports beyond measure", most_mib=400.0):
        for path, statuses in paths.items():
            asked = b"GET " + one + path + b" HTTP/1.1"
            answer = asyncio.run(asks(site.ports["https"], site.contexts[STOLEN], asked))
            assert int(answer[9:12]) in statuses, (path[:40], answer[:200])
            assert len(answer) < 64_000_000


async def _slow(site: Site, sent: bytes, drip: bytes) -> float:
    """Send this, then a byte now and then; returns how long the archive went along with it."""
    began = time.monotonic()
    reader, writer = await asyncio.open_connection(
        HOST,
        site.ports["https"],
        ssl=site.contexts[STOLEN],
        server_hostname="localhost",
        local_addr=(THIEF, 0),
    )
    dripping = asyncio.create_task(_drip(writer, sent, drip))
    try:
        async with asyncio.timeout(LONGEST_S):
            with contextlib.suppress(OSError):
                while await reader.read(4_096):
                    pass
    finally:
        dripping.cancel()
        writer.transport.abort()
    return time.monotonic() - began


async def _drip(writer: asyncio.StreamWriter, sent: bytes, drip: bytes) -> None:
    with contextlib.suppress(OSError):
        writer.write(sent)
        while True:
            await writer.drain()
            await asyncio.sleep(0.2)
            writer.write(drip)


def test_slow_heads_and_bodies_end(site: Site) -> None:
    post = b"POST /dicom-web/studies HTTP/1.1\r\nHost: localhost\r\nContent-Type: "
    post += MULTIPART.encode() + b"\r\nTransfer-Encoding: chunked\r\n\r\n"
    login = b"POST /login HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9999\r\n\r\n"
    forms = [(b"GET / HTTP/1.1\r\nX: ", b"y"), (post, b"1\r\nx\r\n"), (login, b" "), (b"", b"G")]

    async def all_of_them() -> list[float]:
        tries = [_slow(site, *one) for one in forms for _ in range(20)]
        return await asyncio.gather(*tries)

    with attacked(site, "80 slow heads and bodies"):
        took = asyncio.run(all_of_them())
    assert max(took) < LIMITS.web_stall_s + 8


def test_requests_sent_ahead_without_end_are_bounded(site: Site) -> None:
    flood = b"GET /dicom-web/studies?limit=1 HTTP/1.1\r\nHost: localhost\r\n\r\n" * 10_000
    with attacked(site, "10,000 requests sent ahead, ten times"), ThreadPoolExecutor(10) as callers:
        found = list(callers.map(lambda who: raw(site, flood, who), [STOLEN] * 5 + [None] * 5))
    assert max(map(len, found)) <= 1_000


# --- answers that nobody reads, destinations that never answer ------------------------------------------------------------


async def _unread_finds(site: Site, count: int) -> None:
    """Ask for all studies on so many associations and read nothing of it, until the archive ends them."""
    tls, port = site.contexts[STOLEN], site.ports["dicom"]
    request = command_set(
        0x0020,
        (0x0002, STUDY_ROOT_FIND.encode() + b"\0"),
        (0x0110, us(2)),
        (0x0700, us(0)),
        has_data=True,
    )
    asked = element(0x00080052, b"STUDY ") + element(0x0020000D, b"")

    async def one() -> None:
        caller = Caller(
            name="",
            words="",
            chunks=(GOOD, ANSWERED, data(FIND, 3, request), data(FIND, 2, asked)),
            answer=ASSOCIATE_AC,
        )
        reader, writer = await asyncio.open_connection(
            HOST, port, ssl=tls, server_hostname="localhost", local_addr=(THIEF, 0), limit=1_024
        )
        answered = asyncio.Event()
        sending = asyncio.create_task(_send(caller, writer, answered))
        await reader.read(1_024)
        answered.set()
        await sending
        await asyncio.sleep(LIMITS.idle_s + 3)
        writer.transport.abort()

    await asyncio.gather(*[one() for _ in range(count)])


def test_answers_that_nobody_reads_cost_one_buffer_each_and_end(site: Site) -> None:
    with attacked(site, "40 C-FINDs of all studies, unread", most_mib=500.0):
        asyncio.run(_unread_finds(site, 40))


async def _moves(site: Site, count: int) -> list[int | None]:
    async def one() -> int | None:
        asked = proposal_of(STOLEN.upper(), (STUDY_ROOT_MOVE, (EXPLICIT_VR_LITTLE_ENDIAN,)))
        called = associate(
            HOST, site.ports["dicom"], asked, gate=OpenGate(), tls=site.contexts[STOLEN]
        )
        async with called as requestor:
            wanted = identifier("STUDY", StudyInstanceUID=uid_of(7))
            result = await move(requestor, STUDY_ROOT_MOVE, wanted, destination="DEAD")
            return result.status

    async with asyncio.timeout(LONGEST_S):
        return await asyncio.gather(*[one() for _ in range(count)])


def test_moves_to_a_destination_that_never_answers_end(site: Site) -> None:
    with attacked(site, "30 C-MOVEs to nowhere"):
        statuses = asyncio.run(_moves(site, 30))
    assert set(statuses) == {0xA702}


def test_one_address_has_its_share_of_associations(site: Site) -> None:
    async def associate_often() -> Counter[int]:
        tls, port = site.contexts[STOLEN], site.ports["dicom"]
        caller = Caller(name="", words="", chunks=(GOOD,), answer=ASSOCIATE_AC)
        return Counter(await asyncio.gather(*[play(caller, port, tls) for _ in range(200)]))

    with attacked(site, "200 associations of one address"):
        answers = asyncio.run(associate_often())
    # Those let in are idle until they are aborted.
    assert 1 <= answers[ABORT] <= LIMITS.associations_per_peer
    assert answers[ASSOCIATE_RJ] + answers[ABORT] + answers[CLOSED] == 200


# --- TLS ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("door", ["dicom", "https"])
def test_neither_renegotiation_nor_early_data(site: Site, door: str) -> None:
    def said(*words: str, typed: bytes) -> str:
        place = f"{HOST}:{site.ports[door]}"
        bundle = site.folder.path.parent / f"{STOLEN}-bundle"
        shown = [
            "-cert",
            f"{bundle}/{STOLEN}-certificate.pem",
            "-key",
            f"{bundle}/{STOLEN}-key.pem",
        ]
        command = ["openssl", "s_client", "-connect", place, *shown, *words]
        done = subprocess.run(
            command, input=typed, capture_output=True, timeout=LONGEST_S, check=False
        )
        return (done.stdout + done.stderr).decode(errors="replace")

    with attacked(site, f"renegotiation and early data on {door}"):
        again = said("-tls1_2", typed=b"R\n")
        early = said("-tls1_3", typed=b"Q\n")
    assert "no renegotiation" in again or "handshake failure" in again, again[-600:]
    assert "Max Early Data: 0" in early or "Max Early Data" not in early


# --- the journal ------------------------------------------------------------------------------------------------------------


def test_a_flood_of_strangers_does_not_fill_the_journal(site: Site) -> None:
    async def knock(address: str) -> None:
        reader, writer = await asyncio.open_connection(
            HOST, site.ports["old"], local_addr=(address, 0)
        )
        writer.write(GOOD)
        await reader.read(100)
        writer.transport.abort()

    async def all_of_them() -> None:
        for number in range(20):
            await asyncio.gather(*[knock(f"127.0.2.{1 + n % 250}") for n in range(50)])
            asked = b"GET /dicom-web/studies HTTP/1.1"
            await asks(site.ports["https"], stranger(), asked, address=f"127.0.3.{number + 1}")

    before = len(site.journal())
    with attacked(site, "1,000 strangers on the plain port") as seen:
        asyncio.run(all_of_them())
    grown = Counter(
        one.entry.event for one in site.journal()[before:] if one.entry.peer.startswith("127.0.2.")
    )
    assert grown[Event.ASSOCIATION_REFUSED] <= 250
    assert grown[Event.ASSOCIATION_REFUSED] >= 1
    assert seen.done


# --- schemathesis ----------------------------------------------------------------------------------------------------------


def test_requests_made_from_the_description_are_answered_as_it_says(
    site: Site, tmp_path: Path
) -> None:
    bundle = site.folder.path.parent / f"{STOLEN}-bundle"
    host = f"https://localhost:{site.ports['https']}/dicom-web"
    asked = b"GET /dicom-web/openapi.json HTTP/1.1"
    answer = asyncio.run(asks(site.ports["https"], site.contexts[STOLEN], asked))
    described = tmp_path / "openapi.json"
    described.write_bytes(answer.partition(b"\r\n\r\n")[2])
    command = [
        *(sys.executable, "-m", "schemathesis.cli", "run", str(described), "--url", host),
        *(
            "--tls-verify",
            f"{bundle}/authority.pem",
            "--max-examples",
            "4",
            "--include-method",
            "GET",
        ),
        *("--request-cert", f"{bundle}/{STOLEN}-certificate.pem"),
        *("--request-cert-key", f"{bundle}/{STOLEN}-key.pem", "--generation-deterministic"),
        *("--phases", "examples,coverage,fuzzing", "--no-color"),
        *("--checks", "not_a_server_error,response_schema_conformance,content_type_conformance"),
    ]
    with attacked(site, "schemathesis", most_mib=400.0):
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=60, check=False, cwd=tmp_path
        )
    assert done.returncode == 0, done.stdout[-3_000:]


# --- and in the end ---------------------------------------------------------------------------------------------------------


def test_nothing_was_lost_in_all_of_this(site: Site) -> None:
    """What the known caller was told is stored, is there; the journal is whole; nothing has ended by a fault."""
    acknowledged = sum(one.what == "store" and not one.fault for one in site.done)
    site.worker.kill()
    site.worker.wait()
    connection = http.client.HTTPSConnection(
        "localhost", site.ports["https"], context=site.contexts[STOLEN], timeout=LONGEST_S
    )
    connection.request("GET", "/dicom-web/instances?PatientID=P1&limit=5000")
    found = json.loads(connection.getresponse().read())
    connection.close()
    uids = {one["00080018"]["Value"][0] for one in found}
    held = [uid for uid in uids if uid.startswith(STORED)]
    assert len(held) >= acknowledged > 0
    assert not [line for line in site.process.lines if "fault" in line]
    assert site.process.stop() == 0
    assert verify(site.folder.journal).is_whole
