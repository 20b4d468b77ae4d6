"""Bodies begin and end where RFC 9112 says; h11 is the oracle, however the bytes are cut."""

import itertools
from pathlib import Path

import h11
import pytest
from hypothesis import given
from hypothesis import strategies as st

from doorward.errors import LimitExceeded, PeerProtocolError
from doorward.web.body import framing_of
from web_invariants import check_body

CORPUS = Path(__file__).parent.parent / "fuzz" / "corpus" / "body"


def read(method, status, headers, stream, cuts=()):
    """Return (body, is it whole) of everything after the head."""
    framing = framing_of(method, status, headers)
    edges = [0, *sorted({c for c in cuts if c < len(stream)}), len(stream)]
    body = b""
    for begin, end in itertools.pairwise(edges):
        for piece in framing.feed(memoryview(stream)[begin:end]):
            body += piece
    return body, framing.is_complete or framing.ends_well()


CHUNKED = [("transfer-encoding", "chunked")]


@pytest.mark.parametrize(
    ("method", "status", "headers", "stream", "body"),
    [
        ("GET", 200, [("content-length", "3")], b"abcdef", b"abc"),
        ("GET", 200, [("content-length", "3, 3")], b"abc", b"abc"),
        ("GET", 200, [("content-length", "0")], b"abc", b""),
        ("GET", 200, [], b"abc", b"abc"),
        ("HEAD", 200, [("content-length", "3")], b"abc", b""),
        ("GET", 204, [], b"abc", b""),
        ("GET", 304, [("content-length", "3")], b"abc", b""),
        ("GET", 200, CHUNKED, b"3\r\nabc\r\n0\r\n\r\n", b"abc"),
        ("GET", 200, CHUNKED, b"3;name=value\r\nabc\r\n2 \r\nde\r\n0\r\nA: b\r\n\r\n", b"abcde"),
        ("GET", 200, [*CHUNKED, ("content-length", "1")], b"1\r\na\r\n0\r\n\r\n", b"a"),
    ],
)
def test_the_body_is_what_the_head_says(method, status, headers, stream, body):
    for cuts in ((), range(len(stream))):
        assert read(method, status, headers, stream, cuts) == (body, True)


@pytest.mark.parametrize(
    "headers",
    [
        [("content-length", "3"), ("content-length", "4")],
        [("content-length", "-1")],
        [("content-length", "0x10")],
        [("content-length", "1" * 30)],
        [("transfer-encoding", "gzip, chunked")],
        [("transfer-encoding", "identity")],
    ],
)
def test_contradictions_in_the_head_are_refused(headers):
    with pytest.raises(PeerProtocolError):
        framing_of("GET", 200, headers)


@pytest.mark.parametrize(
    "stream",
    [b"xyz\r\n", b"\r\n", b"3\nabc", b"3\r\nabcd\r\n", b"-1\r\n", b"11111111111111111\r\n"],
)
def test_chunked_garbage_is_refused_however_it_is_cut(stream):
    for cuts in ((), range(len(stream))):
        with pytest.raises(PeerProtocolError):
            read("GET", 200, CHUNKED, stream, cuts)


@pytest.mark.parametrize("stream", [b"1" * 5_000, b"0\r\n" + b"A: b\r\n" * 5_000])
def test_lines_and_trailers_without_end_are_bounded(stream):
    with pytest.raises((LimitExceeded, PeerProtocolError)):
        read("GET", 200, CHUNKED, stream)


@pytest.mark.parametrize(
    ("headers", "stream"),
    [([("content-length", "9")], b"abc"), (CHUNKED, b"9\r\nabc"), (CHUNKED, b"1\r\na\r\n")],
)
def test_a_body_that_ends_early_is_not_whole(headers, stream):
    assert read("GET", 200, headers, stream)[1] is False


def by_h11(headers, stream):
    connection = h11.Connection(h11.CLIENT)
    request = h11.Request(method="GET", target="/", headers=[("Host", "a")])
    connection.send(request)
    connection.send(h11.EndOfMessage())
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers)
    connection.receive_data(f"HTTP/1.1 200 OK\r\n{lines}\r\n".encode())
    connection.receive_data(stream)
    connection.receive_data(b"")
    body = b""
    while True:
        event = connection.next_event()
        if isinstance(event, h11.Data):
            body += event.data
        elif isinstance(event, h11.EndOfMessage):
            return body


PIECES = st.lists(
    st.one_of(
        st.binary(min_size=1, max_size=20).map(lambda b: b"%x\r\n%s\r\n" % (len(b), b)),
        st.sampled_from([b"0\r\n\r\n", b"0\r\nA: b\r\n\r\n", b"g\r\n", b"1\r\nab\r\n", b"\r\n"]),
    ),
    max_size=6,
).map(b"".join)


@given(PIECES, st.sets(st.integers(0, 150)))
def test_chunked_bodies_are_those_that_h11_reads(stream, cuts):
    try:
        expected = by_h11(CHUNKED, stream)
    except h11.RemoteProtocolError:
        expected = None
    try:
        body, is_whole = read("GET", 200, CHUNKED, stream, cuts)
    except (PeerProtocolError, LimitExceeded):
        body, is_whole = None, False
    assert (body if is_whole else None) == expected


@given(st.binary(max_size=200), st.sets(st.integers(0, 200)))
def test_random_bytes_give_pieces_or_a_fault_of_the_peer(stream, cuts):
    for headers in (CHUNKED, [("content-length", "50")], []):
        try:
            body, _ = read("GET", 200, headers, stream, cuts)
        except (PeerProtocolError, LimitExceeded):
            continue
        assert len(body) <= len(stream)


@pytest.mark.parametrize("path", sorted(CORPUS.iterdir()), ids=lambda path: path.name)
def test_inputs_that_the_fuzzer_kept_hold_the_invariant(path):
    check_body(path.read_bytes())
