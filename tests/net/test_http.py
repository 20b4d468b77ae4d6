"""One HTTP request: honest, bounded in bytes and time, never off the door; whatever the other side sends."""

import asyncio
import contextlib
import gzip

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from certificates import make_certificates
from doorward.errors import (
    ConnectFailed,
    DoorwardError,
    LimitExceeded,
    LocalProtocolError,
    PeerProtocolError,
    ReplyTimeout,
    ScopeError,
    TlsFailed,
)
from doorward.limits import DEFAULT_LIMITS
from doorward.net import http
from doorward.net.http import fetch, post_form
from doorward.net.tls import probe_context, server_context
from loopback import HOST, OpenGate, in_loop, limits
from web_servers import answer, as_json, web_server

AGENT = "Doorward/0 (security audit; calling AE DOORWARD)"


async def ask(port, path="/", *, gate=None, bounds=None, **more):
    return await fetch(
        HOST,
        port,
        gate=gate or OpenGate(),
        path=path,
        user_agent=AGENT,
        limits=limits(**(bounds or {})),
        **more,
    )


def script(*pieces, pause_s=0.0, hold=False):
    """A server that ignores the request and sends pieces; ``hold`` keeps the connection open afterwards."""

    @contextlib.asynccontextmanager
    async def running():
        over = asyncio.Event()
        tasks = set()

        async def play(reader, writer):
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                await reader.readuntil(b"\r\n\r\n")
                for piece in pieces:
                    writer.write(piece)
                    await writer.drain()
                    if pause_s:
                        await asyncio.sleep(pause_s)
                if hold:
                    await over.wait()

        async def serve(reader, writer):
            tasks.add(asyncio.current_task())
            try:
                await play(reader, writer)
            except asyncio.CancelledError:
                pass
            finally:
                writer.transport.abort() if over.is_set() else writer.close()
                with contextlib.suppress(OSError):
                    await writer.wait_closed()

        server = await asyncio.start_server(serve, HOST, 0)
        try:
            yield server.sockets[0].getsockname()[1]
        finally:
            over.set()
            server.close()
            for task in tasks:
                task.cancel()
            if tasks:
                await asyncio.wait(tasks, timeout=2)

    return running()


# --- what leaves ------------------------------------------------------------------------------------------------------


@in_loop
async def test_a_request_says_who_asks_and_keeps_nothing():
    async with web_server(
        lambda _: answer(200, "hello", headers=[("Set-Cookie", "a=b")])
    ) as server:
        gate = OpenGate()
        reply = await ask(server.port, "/a?b=c", gate=gate, headers=[("Accept", "text/html")])
        await ask(server.port)
    first, second = server.requests
    assert (first.method, first.target) == ("GET", "/a?b=c")
    assert first.headers["user-agent"] == AGENT
    assert first.headers["accept-encoding"] == "identity"
    assert first.headers["connection"] == "close"
    assert first.headers["host"] == f"{HOST}:{server.port}"
    assert first.headers["accept"] == "text/html"
    assert "cookie" not in second.headers
    assert gate.asked == [(HOST, server.port)]
    assert (reply.status, reply.body, reply.truncated) == (200, b"hello", False)
    assert (reply.content_type, reply.http_version, reply.bytes_seen) == ("text/html", "1.1", 5)


@in_loop
async def test_a_post_has_no_body_and_nothing_that_changes_can_be_sent():
    async with web_server(lambda _: answer(415)) as server:
        reply = await ask(server.port, method="POST")
        for method in ("PUT", "DELETE", "PATCH", "MOVE", "get"):
            with pytest.raises(LocalProtocolError):
                await ask(server.port, method=method)
    assert reply.status == 415
    assert [r.headers["content-length"] for r in server.requests] == ["0"]


@pytest.mark.parametrize("path", ["/a b", "/\r\nX: y", "", "/\u00e9", "/\x00"])
@in_loop
async def test_a_path_that_could_break_the_request_is_not_sent(path):
    async with web_server(lambda _: answer()) as server:
        with pytest.raises(LocalProtocolError):
            await ask(server.port, path)
    assert server.requests == []


@in_loop
async def test_the_gate_is_asked_before_anything_is_sent():
    async with web_server(lambda _: answer(), host="127.0.0.1") as server:

        class Shut:
            def permit(self, address, port):
                raise ScopeError("no", target=address)

        with pytest.raises(ScopeError):
            await ask(server.port, gate=Shut())
    assert server.requests == []


@in_loop
async def test_a_redirect_is_an_answer_and_is_not_followed():
    away = answer(302, headers=[("Location", "http://192.0.2.1/")])
    async with web_server(lambda _: away) as server:
        gate = OpenGate()
        reply = await ask(server.port, gate=gate)
    assert (reply.status, reply.location) == (302, "http://192.0.2.1/")
    assert len(server.requests) == len(gate.asked) == 1


# --- what comes back --------------------------------------------------------------------------------------------------


@in_loop
async def test_a_body_is_kept_up_to_its_bound_and_no_further():
    async with web_server(lambda _: answer(200, b"x" * 100_000)) as server:
        reply = await ask(server.port, max_body_bytes=1_000)
        whole = await ask(server.port, max_body_bytes=100_000)
    assert (len(reply.body), reply.truncated) == (1_000, True)
    assert (len(whole.body), whole.truncated) == (100_000, False)


@in_loop
async def test_a_sink_takes_the_body_and_may_have_enough():
    taken = []

    def sink(piece):
        taken.append(len(piece))
        return sum(taken) < 70_000

    async with web_server(lambda _: answer(200, b"x" * 1_000_000)) as server:
        reply = await ask(server.port, sink=sink, max_body_bytes=10_000_000)
    assert reply.body == b""
    assert reply.truncated
    assert 70_000 <= sum(taken) < 300_000


@in_loop
async def test_compressed_bodies_are_never_inflated():
    bomb = gzip.compress(bytes(10_000_000))
    async with web_server(
        lambda _: answer(200, bomb, headers=[("Content-Encoding", "gzip")])
    ) as server:
        reply = await ask(server.port)
    assert reply.is_encoded
    assert reply.body == bomb


@pytest.mark.parametrize(
    ("pieces", "body", "truncated"),
    [
        ([b"HTTP/1.1 200 OK\r\n\r\nrest"], b"rest", False),
        ([b"HTTP/1.0 200 OK\r\n\r\nrest"], b"rest", False),
        ([b"HTTP/1.1 200\r\nContent-Length: 3\r\n\r\nabcdef"], b"abc", False),
        ([b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc"], b"abc", True),
        (
            [b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na"],
            b"a",
            False,
        ),
        (
            [
                b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n",
                b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na",
            ],
            b"a",
            False,
        ),
        (
            [
                b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n",
                b"1\r\nc\r\n0\r\n\r\n",
            ],
            b"abc",
            False,
        ),
        ([b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\nzz\r\n"], b"ab", True),
        ([bytes([b]) for b in b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab"], b"ab", False),
    ],
)
@in_loop
async def test_bodies_end_where_they_should(pieces, body, truncated):
    async with script(*pieces) as port:
        reply = await ask(port)
    assert (reply.status, reply.body, reply.truncated) == (200, body, truncated)


@pytest.mark.parametrize(
    "piece",
    [
        b"",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"\x02\x00\x00\x00\x00\x0a",
        b"220 ftp ready\r\n\r\n",
        b"<html>no status line</html>\n\n",
        b"HTTP/1.1 abc OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nBad Name: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n: x\r\n\r\n",
        b"HTTP/2 200 OK\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\na",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\na",
        b"HTTP/1.1 200 OK\r\nContent",
    ],
)
@in_loop
async def test_what_is_no_http_is_the_peers_fault(piece):
    async with script(piece) as port:
        with pytest.raises(PeerProtocolError) as caught:
            await ask(port)
    assert "OpenSSH" not in str(caught.value)


@pytest.mark.parametrize(
    "flood",
    [
        b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 20_000,
        b"HTTP/1.1 200 OK\r\nA: " + b"b" * 100_000,
        b"HTTP/1.1 200 " + b"O" * 100_000,
        b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 300 + b"\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n" * 20_000,
    ],
)
@in_loop
async def test_floods_of_headers_are_bounded(flood):
    async with script(flood, hold=True) as port:
        with pytest.raises(LimitExceeded):
            await ask(port)


@in_loop
async def test_silence_is_bounded_in_time():
    async with script(hold=True) as port:
        with pytest.raises(ReplyTimeout):
            await ask(port, bounds={"http_head_s": 0.05})


@in_loop
async def test_a_head_that_drips_is_bounded_in_time():
    async with script(*[b"H"] * 1_000, pause_s=0.01) as port:
        with pytest.raises((ReplyTimeout, PeerProtocolError)):
            await ask(port, bounds={"http_head_s": 0.1})


@in_loop
async def test_a_body_without_end_is_bounded_in_time_and_bytes():
    head = b"HTTP/1.1 200 OK\r\n\r\n"
    async with script(head, *[b"x"] * 1_000, pause_s=0.01) as port:
        slow = await ask(port, bounds={"http_body_s": 0.1})
    async with script(head, *[b"x" * 65_536] * 1_000, hold=True) as port:
        fast = await ask(port)
    assert slow.truncated
    assert fast.truncated
    assert len(fast.body) == limits().http_body_bytes
    assert fast.bytes_seen < 2_000_000


@in_loop
async def test_nobody_listening_is_a_failed_connection():
    server = await asyncio.start_server(lambda _, writer: writer.close(), HOST, 0)
    port = server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()
    with pytest.raises(ConnectFailed):
        await ask(port)


@in_loop
async def test_what_was_read_is_zeroed(monkeypatch):
    made = []
    monkeypatch.setattr(http, "_Exchange", lambda *a: made.append(_EXCHANGE(*a)) or made[-1])
    async with web_server(lambda _: as_json([{"00100010": "CANARYDOE"}])) as server:
        reply = await ask(server.port, sink=lambda _: True)
        kept = await ask(server.port)
    assert reply.bytes_seen
    assert b"CANARYDOE" in kept.body
    for exchange in made:
        assert b"CANARY" not in exchange._buffer
        assert not len(exchange._body)


_EXCHANGE = http._Exchange


# --- TLS --------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    return make_certificates(tmp_path_factory.mktemp("certificates"))


@in_loop
async def test_https_is_http_over_tls(certificates):
    own = certificates.server
    context = server_context(own.certificate_path, own.key_path)
    async with web_server(lambda _: answer(200, "secret"), tls=context) as server:
        reply = await ask(server.port, tls=probe_context(), server_name="archive.invalid")
        with pytest.raises((PeerProtocolError, DoorwardError)):
            await ask(server.port)
    assert reply.body == b"secret"
    assert server.requests[0].headers["host"] == f"archive.invalid:{server.port}"


@in_loop
async def test_plain_http_on_the_tls_side_is_no_tls():
    async with web_server(lambda _: answer()) as server:
        with pytest.raises((TlsFailed, DoorwardError)):
            await ask(server.port, tls=probe_context(), bounds={"tls_handshake_s": 0.2})


# --- a form -----------------------------------------------------------------------------------------------------------


@in_loop
async def test_form_is_sent_whole_and_through_the_gate():
    got = []

    async def serve(reader, writer):
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
        got.extend((head, await reader.readexactly(length)))
        writer.write(as_json({"id_token": "x"}))
        writer.close()

    listener = await asyncio.start_server(serve, HOST, 0)
    port = listener.sockets[0].getsockname()[1]
    reply = await post_form(
        HOST,
        port,
        gate=OpenGate(),
        path="/token",
        fields={"code": "a b&c=\xe9", "grant_type": "x"},
        headers=[("Accept", "application/json")],
        user_agent=AGENT,
    )
    with pytest.raises(ScopeError):
        await post_form(HOST, port, gate=ShutGate(), fields={}, user_agent=AGENT)
    listener.close()
    assert (reply.status, reply.content_type) == (200, "application/json")
    head, body = got
    assert head.startswith(b"POST /token HTTP/1.1\r\n")
    assert b"\r\nContent-Type: application/x-www-form-urlencoded\r\n" in head
    assert body == b"code=a+b%26c%3D%C3%A9&grant_type=x"


class ShutGate:
    """Lets nothing through."""

    def permit(self, address, port):
        raise ScopeError("not there", target=address)


# --- anything ---------------------------------------------------------------------------------------------------------


@settings(max_examples=60)
@given(
    st.lists(
        st.binary(max_size=40)
        | st.sampled_from(
            [
                b"HTTP/1.1 200 OK\r\n",
                b"\r\n",
                b"Content-Length: 5\r\n",
                b"Transfer-Encoding: chunked\r\n",
                b"5\r\nabcde\r\n",
            ]
        ),
        max_size=8,
    )
)
def test_any_bytes_give_an_answer_or_a_known_error(pieces):
    async def run():
        async with script(*pieces) as port:
            try:
                reply = await ask(port, bounds={"http_head_s": 2.0, "http_body_s": 2.0})
            except DoorwardError:
                return
            assert 100 <= reply.status <= 999

    asyncio.run(run())


def test_what_comes_after_the_end_is_zeroed():
    listener = http._Exchange("GET", 10, None, DEFAULT_LIMITS)
    listener.forget()
    listener.get_buffer(-1)[:5] = b"NAMES"
    listener.buffer_updated(5)
    assert bytes(listener.get_buffer(-1)[:5]) == bytes(5)
