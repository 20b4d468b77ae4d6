"""What must hold of the web readers whatever a stranger sends: the fuzz harnesses and the tests share it.

The first byte decides how the rest is cut. Nothing but the errors of the project may come out, cutting changes nothing, and
what is held stays small.
"""

import json

import h11

from doorward.errors import LimitExceeded, PeerProtocolError
from doorward.limits import Limits
from doorward.web.body import framing_of
from doorward.web.json_stream import JsonStream, MemberReader, StudyCounter
from doorward.web.page import PageReader

CHUNKED = [("transfer-encoding", "chunked")]
#: So wide that it never decides: json has its own bounds.
WIDE = Limits(json_text_bytes=1_000_000, json_depth=900)


def pieces(data: bytes) -> tuple[bytes, list[memoryview]]:
    """The input without its first byte, whole and cut."""
    size, text = (data[0] % 17 + 1 if data else 1), data[1:]
    return text, [memoryview(text)[i : i + size] for i in range(0, len(text), size)]


class _Deaf:
    """A listener that skips what it may and reads every other level."""

    def opened(self, depth: int, *, is_array: bool) -> None: ...
    def closed(self, depth: int) -> None: ...
    def key(self, depth: int, name: str | None) -> None: ...
    def scalar(self, depth: int, text: str | None, *, is_string: bool) -> None: ...
    def may_skip(self, depth: int) -> bool:
        return depth % 2 == 1

    def wants(self, depth: int) -> bool:
        return depth % 2 == 0


def _is_json(chunks: list[memoryview]) -> bool | None:
    stream = JsonStream(_Deaf(), limits=WIDE)
    try:
        for chunk in chunks:
            stream.feed(chunk)
        stream.finish()
    except PeerProtocolError:
        return False
    except LimitExceeded:
        return None
    return True


def _refuse(word: str) -> None:
    raise ValueError(word)


def check_json_stream(data: bytes) -> None:
    """The grammar is json's, however it is cut; the counters never raise."""
    text, cut = pieces(data)
    whole = _is_json([memoryview(text)])
    assert whole == _is_json(cut), "cutting changes nothing"
    try:
        plain = text.decode()
        if plain.startswith("\ufeff"):
            return
        expected = True
        json.loads(plain, parse_constant=_refuse)
    except UnicodeDecodeError:
        expected = None  # type: ignore[assignment] # json reads text, we read bytes
    except (ValueError, RecursionError):
        expected = False
    if whole is not None and expected is not None and len(text) < 4_000:
        assert whole is expected, "the grammar is that of json"
    found = []
    for chunks in ([memoryview(text)], cut):
        counter, reader = StudyCounter(), MemberReader("count")
        for one in (counter, reader):
            for chunk in chunks:
                if not one.feed(chunk):
                    break
            one.finish()
        found.append(
            (
                counter.is_whole,
                counter.is_whole and (counter.studies, counter.instances),
                reader.is_whole,
            )
        )
    assert found[0] == found[1], "cutting changes no count"


def check_page(data: bytes) -> None:
    """Any bytes make a page, the same however they are cut, and little is held."""
    text, cut = pieces(data)
    seen = []
    for chunks in ([memoryview(text)], cut):
        reader = PageReader()
        for chunk in chunks:
            reader.feed(chunk)
            assert len(reader._held) <= max(2_200, len(chunk))
        seen.append(reader.page())
    if len(text) < 2_000:
        assert seen[0] == seen[1], "cutting changes nothing"
    assert len(seen[1].title) <= 200


def check_body(data: bytes) -> None:
    """Chunked bodies are those that h11 reads, however they are cut."""
    text, cut = pieces(data)
    seen = [_chunked(chunks) for chunks in ([memoryview(text)], cut)]
    assert seen[0] == seen[1], "cutting changes nothing"
    if len(text) < 1_000 and (expected := _by_h11(text)) is not None:
        assert seen[0] == expected, (
            "what h11 takes, we take; it refuses more: trailers that are no headers"
        )


def _chunked(chunks: list[memoryview]) -> bytes | None:
    framing = framing_of("GET", 200, CHUNKED)
    body = b""
    try:
        for chunk in chunks:
            for piece in framing.feed(chunk):
                body += piece
    except (PeerProtocolError, LimitExceeded):
        return None
    return body if framing.is_complete else None


def _by_h11(text: bytes) -> bytes | None:
    connection = h11.Connection(h11.CLIENT)
    connection.send(h11.Request(method="GET", target="/", headers=[("Host", "a")]))
    connection.send(h11.EndOfMessage())
    connection.receive_data(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + text)
    connection.receive_data(b"")
    body = b""
    try:
        while True:
            event = connection.next_event()
            if isinstance(event, h11.Data):
                body += event.data
            elif isinstance(event, h11.EndOfMessage):
                return body
    except h11.RemoteProtocolError:
        return None
