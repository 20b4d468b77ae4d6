"""The HTTPS listener: what the application gets, and what a slow, greedy or rude client does not get."""

import asyncio
import logging
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from certificates import make_certificates
from doorward.limits import DEFAULT_LIMITS, Limits
from doorward.net.asgi import Receive, Scope, Send, certificate_of, guarded, serve_https
from doorward.net.tls import server_context

HOST = "127.0.0.1"
GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


def hurried(**changes: Any) -> Limits:
    """Return limits under which nobody waits long."""
    return replace(DEFAULT_LIMITS, **{"web_head_s": 0.4, "drain_s": 0.4} | changes)


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer by how many bytes the body had; /bug has one, /deaf never reads, /many answers 64 MiB."""
    if scope["path"] == "/bug":
        raise RuntimeError("Nobody^Known")
    if scope["path"] == "/many":
        await answer_much(send)
        return
    count, is_more = 0, scope["path"] != "/deaf"
    while is_more:
        message = await receive()
        count += len(message.get("body", b""))
        is_more = message.get("more_body", False)
    body = str(count).encode()
    await send(
        {
            "type": "http.response.start",
            "status": 200,
            "headers": [(b"content-length", b"%d" % len(body))],
        }
    )
    await send({"type": "http.response.body", "body": body})


async def answer_much(send: Send) -> None:
    """Send 64 MiB."""
    head = [(b"content-length", b"%d" % (64 << 20))]
    await send({"type": "http.response.start", "status": 200, "headers": head})
    for left in range(64, 0, -1):
        await send({"type": "http.response.body", "body": b"x" * (1 << 20), "more_body": left > 1})


class Client:
    """One connection made of bytes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    def say(self, text: bytes) -> None:
        """Send bytes as they are."""
        self.writer.write(text)

    async def hear(self) -> bytes:
        """Return one answer with a Content-Length, whole."""
        head = await self.reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
        return head + await self.reader.readexactly(length)

    async def rest(self) -> bytes:
        """Return everything until the connection ends, however it does."""
        heard = bytearray()
        try:
            while piece := await self.reader.read(65_536):
                heard += piece
        except ConnectionError:
            pass
        return bytes(heard)


@asynccontextmanager
async def calling(port: int, tls: ssl.SSLContext | None = None) -> AsyncIterator[Client]:
    """Connect."""
    reader, writer = await asyncio.open_connection(HOST, port, ssl=tls)
    try:
        yield Client(reader, writer)
    finally:
        writer.transport.abort()


async def until(is_so: Callable[[], bool]) -> None:
    """Wait until something is so; the time limit of the test is the bound."""
    while not is_so():  # noqa: ASYNC110 - the door tells nobody how many there are
        await asyncio.sleep(0.01)


def serving(limits: Limits = DEFAULT_LIMITS) -> Any:
    """Serve ``echo`` in the clear."""
    return serve_https(echo, HOST, 0, None, limits)


def test_a_body_arrives_whole_and_the_connection_serves_the_next_request() -> None:
    async def run() -> list[bytes]:
        async with serving() as door, calling(door.port) as client:
            client.say(
                b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 300000\r\n\r\n" + b"x" * 300_000
            )
            first = await client.hear()
            client.say(
                b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
            )
            return [first, await client.hear()]

    first, second = asyncio.run(run())
    assert first.endswith(b"\r\n\r\n300000")
    assert second.endswith(b"\r\n\r\n3")


def test_no_version_of_anything_is_told() -> None:
    async def run() -> bytes:
        async with serving() as door, calling(door.port) as client:
            client.say(GET)
            return await client.hear()

    head = asyncio.run(run()).partition(b"\r\n\r\n")[0]
    assert head.split(b"\r\n") == [b"HTTP/1.1 200 OK", b"server: doorward", b"content-length: 1"]


def test_application_is_given_the_certificate_that_tls_has_verified(tmp_path: Path) -> None:
    made = make_certificates(tmp_path)
    context = server_context(
        made.server.certificate_path,
        made.server.key_path,
        client_authorities=made.authority.certificate_path,
        asks_only=True,
    )
    seen: list[bytes | None] = []

    async def look(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(certificate_of(scope))
        await echo(scope, receive, send)

    async def run() -> None:
        async with serve_https(look, HOST, 0, context) as door:
            for shown in (None, made.client, made.stranger):
                mine = ssl.create_default_context(cafile=str(made.authority.certificate_path))
                if shown is not None:
                    mine.load_cert_chain(shown.certificate_path, shown.key_path)
                async with calling(door.port, mine) as client:
                    client.say(GET)
                    if shown is made.stranger:
                        with pytest.raises(
                            (ssl.SSLError, asyncio.IncompleteReadError, ConnectionError)
                        ):
                            await client.hear()
                    else:
                        await client.hear()

    asyncio.run(run())
    assert seen == [None, made.client.certificate.public_bytes(Encoding.DER)]


@pytest.mark.parametrize(
    "bytes_sent",
    [b"", b"GET / HTTP/1.1\r\nHost", GET + b"GET / HT"],
    ids=["nothing", "half a head", "half a second head"],
)
def test_head_that_does_not_come_ends_the_connection(bytes_sent: bytes) -> None:
    async def run() -> bytes:
        async with serving(hurried()) as door, calling(door.port) as client:
            client.say(bytes_sent)
            return await client.rest()

    heard = asyncio.run(run())
    assert (b" 408 " in heard) is bool(bytes_sent)


def test_head_that_drips_has_no_more_time_than_another() -> None:
    async def run() -> bytes:
        async with serving(hurried()) as door, calling(door.port) as client:
            told = asyncio.ensure_future(client.rest())
            for letter in GET * 100:
                client.say(bytes([letter]))
                await asyncio.wait([told], timeout=0.02)
                if told.done():
                    break
            return await told

    assert b" 408 " in asyncio.run(run())


def test_slow_body_is_given_up_and_the_application_is_told() -> None:
    async def run() -> bytes:
        limits = hurried(web_stall_s=0.4)
        async with serving(limits) as door, calling(door.port) as client:
            client.say(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n")
            told = asyncio.ensure_future(client.rest())
            while not told.done():
                client.say(b"x")
                await asyncio.wait([told], timeout=0.05)
            return await told

    assert b" 408 " in asyncio.run(run())


def test_reader_that_does_not_read_is_given_up() -> None:
    async def run() -> None:
        async with serving(hurried(web_stall_s=0.4)) as door, calling(door.port) as client:
            client.writer.transport.pause_reading()  # type: ignore[attr-defined]
            client.say(b"GET /many HTTP/1.1\r\nHost: x\r\n\r\n")
            await until(lambda: door.connections == 1)
            await until(lambda: door.connections == 0)

    asyncio.run(run())


def test_reader_that_reads_slowly_gets_everything() -> None:
    async def run() -> int:
        count = 0
        async with serving(hurried(web_stall_s=0.4)) as door, calling(door.port) as client:
            client.say(b"GET /many HTTP/1.1\r\nHost: x\r\n\r\n")
            await client.reader.readuntil(b"\r\n\r\n")
            while count < 64 << 20:
                count += len(await client.reader.readexactly(8 << 20))
                await asyncio.sleep(0.1)
        return count

    assert asyncio.run(run()) == 64 << 20


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"x" * 400_000,
        b"GET /" + b"x" * 400_000,
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1;" + b"x" * 400_000,
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: "
        + b"x" * 400_000,
        b"GET / HTTP/1.1\r\n" + b"".join(b"X%d: x\r\n" % n for n in range(101)) + b"\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
        b"CONNECT example.invalid:443 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nX\r\n y: z\r\n\r\n",
    ],
    ids=[
        "endless header",
        "endless path",
        "endless chunk extension",
        "endless trailer",
        "too many headers",
        "HTTP/2",
        "upgrade",
        "CONNECT",
        "TLS",
        "two lengths",
        "folded header",
    ],
)
def test_request_that_is_none_is_refused_and_ends_the_connection(request_bytes: bytes) -> None:
    async def run() -> bytes:
        async with serving() as door, calling(door.port) as client:
            client.say(request_bytes)
            return await client.rest()

    heard = asyncio.run(run())
    assert heard[:13] in (b"HTTP/1.1 400 ", b"HTTP/1.1 431 ", b""), heard[:200]


def test_requests_sent_ahead_are_answered_in_order_and_bounded() -> None:
    async def run() -> tuple[list[bytes], bytes]:
        async with serving() as door:
            async with calling(door.port) as client:
                for length in range(5):
                    body = b"x" * length
                    client.say(
                        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % length + body
                    )
                answers = [await client.hear() for _ in range(5)]
            async with calling(door.port) as client:
                client.say(GET * 5_000)
                return answers, await client.rest()

    answers, flooded = asyncio.run(run())
    assert [answer[-1:] for answer in answers] == [b"0", b"1", b"2", b"3", b"4"]
    assert flooded.count(b"HTTP/1.1 ") <= DEFAULT_LIMITS.web_pipelined + 2


def test_body_that_nobody_reads_is_dropped_and_the_connection_goes_on() -> None:
    async def run() -> tuple[bytes, bytes]:
        async with serving() as door, calling(door.port) as client:
            client.say(b"POST /deaf HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n")
            first = await client.hear()
            client.say(b"x" * 100_000 + GET)
            return first, await client.hear()

    first, second = asyncio.run(run())
    assert (first[-1:], second[-1:]) == (b"0", b"0")


def test_endless_body_that_nobody_reads_ends_the_connection() -> None:
    async def run() -> None:
        async with serving() as door, calling(door.port) as client:
            client.say(b"POST /deaf HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000\r\n\r\n")
            await client.hear()
            client.say(b"x" * 1_000_000)
            await until(lambda: door.connections == 0)

    asyncio.run(run())


def test_bug_ends_its_request_and_its_text_is_nowhere(caplog: pytest.LogCaptureFixture) -> None:
    async def run() -> bytes:
        async with serving() as door, calling(door.port) as client:
            client.say(b"GET /bug HTTP/1.1\r\nHost: x\r\n\r\n")
            return await client.hear()

    with caplog.at_level(logging.DEBUG):
        heard = asyncio.run(run())
    assert heard.startswith(b"HTTP/1.1 500 ")
    assert "RuntimeError" in caplog.text
    assert "Nobody" not in caplog.text
    assert b"Nobody" not in heard


def test_idle_connection_makes_room_for_a_new_one_and_a_busy_one_does_not() -> None:
    limits = replace(DEFAULT_LIMITS, web_connections=3)

    async def run() -> tuple[bytes, bytes]:
        async with (
            serving(limits) as door,
            calling(door.port) as busy,
            calling(door.port) as idle,
            calling(door.port) as idle_too,
        ):
            for client in (idle, idle_too):
                client.say(GET)
                await client.hear()
            busy.say(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nab")
            await until(lambda: door.requests == 1)
            async with calling(door.port) as late:
                late.say(GET)
                answer = await late.hear()
                gone = await idle.rest()  # the one that was idle longest
                assert door.connections == 3
                busy.say(b"c")
                assert (await busy.hear())[-1:] == b"3"
            return answer, gone

    answer, gone = asyncio.run(run())
    assert answer.endswith(b"\r\n\r\n0")
    assert gone == b""


def test_one_address_has_only_its_share() -> None:
    limits = replace(DEFAULT_LIMITS, web_connections_per_address=2)

    async def run() -> None:
        async with (
            serving(limits) as door,
            calling(door.port) as first,
            calling(door.port) as second,
        ):
            for client in (first, second):
                client.say(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\n")
            await until(lambda: door.requests == 2)
            async with calling(door.port) as third:
                assert await third.rest() == b""
            for client in (first, second):
                client.say(b"x")
                assert (await client.hear())[-1:] == b"1"

    asyncio.run(run())


@pytest.mark.parametrize("count", [2_000, pytest.param(10_000, marks=pytest.mark.slow)])
def test_thousands_of_idle_connections_shut_nobody_out(count: int, tmp_path: Path) -> None:
    made = make_certificates(tmp_path)
    context = server_context(made.server.certificate_path, made.server.key_path)
    limits = replace(DEFAULT_LIMITS, web_connections=300, web_connections_per_address=300)

    async def run() -> None:
        mine = ssl.create_default_context(cafile=str(made.authority.certificate_path))
        async with serve_https(echo, HOST, 0, context, limits) as door:
            for _ in range(0, count, 500):
                opened = [asyncio.open_connection(HOST, door.port) for _ in range(500)]
                writers = [writer for _, writer in await asyncio.gather(*opened)]
                await until(lambda: door.connections == 300)
                async with calling(door.port, mine) as honest:
                    honest.say(GET)
                    assert (await honest.hear()).endswith(b"\r\n\r\n0")
                for writer in writers:
                    writer.transport.abort()

    with asyncio.Runner(debug=False) as runner:  # debugging keeps a traceback of each of thousands
        runner.run(run())


def test_running_request_may_end_when_the_server_stops() -> None:
    async def run() -> bytes:
        async with calling_later() as (client, release):
            client.say(b"x")
            release.set()
            return await client.hear()

    @asynccontextmanager
    async def calling_later() -> AsyncIterator[tuple[Client, asyncio.Event]]:
        release = asyncio.Event()

        async def serve(ports: asyncio.Queue[int]) -> None:
            async with serving(replace(DEFAULT_LIMITS, drain_s=5.0)) as door:
                ports.put_nowait(door.port)
                await release.wait()

        ports: asyncio.Queue[int] = asyncio.Queue()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(serve(ports))
            async with calling(await ports.get()) as client:
                client.say(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\ny")
                await asyncio.sleep(0)
                yield client, release

    heard = asyncio.run(run())
    assert heard.endswith(b"\r\n\r\n2")


def test_request_that_never_ends_does_not_hold_up_the_end() -> None:
    async def run() -> bytes:
        async with asyncio.timeout(5):
            async with serving(hurried(web_stall_s=60.0)) as door:
                reader, writer = await asyncio.open_connection(HOST, door.port)
                writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\ny")
                await until(lambda: door.requests == 1)
            heard = await Client(reader, writer).rest()
            writer.transport.abort()
            return heard

    assert asyncio.run(run()) == b""


def test_running_request_of_the_unwelcome_is_ended_and_others_go_on() -> None:
    async def run() -> tuple[bytes, bytes]:
        async with (
            serving() as door,
            calling(door.port) as kept,
            calling(door.port) as ended,
        ):
            for client, path in ((kept, b"/kept"), (ended, b"/ended")):
                client.say(b"POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\ny" % path)
            await until(lambda: door.requests == 2)
            assert door.end(lambda scope: scope["path"] == "/ended") == 1
            nothing = await ended.rest()
            kept.say(b"x")
            answer = await kept.hear()
            await until(lambda: door.requests == 0)
            assert door.end(lambda _: True) == 0, "nothing runs"
            return nothing, answer

    nothing, answer = asyncio.run(run())
    assert nothing == b""
    assert answer.endswith(b"\r\n\r\n2")


def test_port_that_is_taken_is_said() -> None:
    async def run() -> None:
        async with serving() as door:
            with pytest.raises(OSError, match="in use"):
                async with serve_https(echo, HOST, door.port, None):
                    pass

    asyncio.run(run())


def test_a_guard_inside_of_a_guard_answers_and_each_fault_is_logged_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    sent: list[Any] = []

    async def app(scope: Scope, _: Receive, send: Send) -> None:
        if scope["path"] == "/late":
            await send({"type": "http.response.start", "status": 200, "headers": []})
        raise (ConnectionError if scope["path"] == "/gone" else RuntimeError)("Nobody^Known")

    async def receive() -> Any:
        raise AssertionError

    async def send(message: Any) -> None:
        sent.append(message.get("status", message.get("body")))

    twice = guarded(guarded(app, unless=(ConnectionError,)))

    def ask(path: str) -> tuple[list[Any], int]:
        sent.clear()
        caplog.clear()
        asyncio.run(twice({"type": "http", "path": path}, receive, send))
        return sent, caplog.text.count("ended by a fault")

    assert ask("/bug") == ([500, b'{"error":"This request has failed"}'], 1)
    assert ask("/gone") == ([], 0)
    with pytest.raises(RuntimeError):
        ask("/late")
    assert (sent, caplog.text.count("ended by a fault")) == ([200], 1)
    assert "Nobody" not in caplog.text
