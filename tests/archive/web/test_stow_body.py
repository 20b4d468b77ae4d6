"""A body is read part by part, no further than somebody asks; what breaks it is said once and ends it."""

from dataclasses import replace

import pytest
from starlette.requests import Request

from doorward.archive.web.stow_body import Source, source_of
from doorward.errors import LimitExceeded, PeerProtocolError
from doorward.limits import DEFAULT_LIMITS
from loopback import in_loop
from stow_bodies import BOUNDARY, END, MULTIPART, part

BODY = part(b"one") + part(b"two" * 1_000) + END


class Sent:
    """A request whose body comes in chunks; ``asked`` counts those that were asked for."""

    def __init__(self, *chunks, is_whole=True, content_type=MULTIPART, **headers):
        self.asked = 0
        self._chunks = chunks
        self._is_whole = is_whole
        named = {"content-type": content_type} | headers
        scope = {
            "type": "http",
            "method": "POST",
            "path": "/studies",
            "query_string": b"",
            "headers": [(k.replace("_", "-").encode(), v.encode()) for k, v in named.items()],
        }
        self.request = Request(scope, self._receive)

    async def _receive(self):
        self.asked += 1
        if self.asked <= len(self._chunks):
            return {"type": "http.request", "body": self._chunks[self.asked - 1], "more_body": True}
        if self._is_whole:
            return {"type": "http.request", "body": b"", "more_body": False}
        return {"type": "http.disconnect"}

    def source(self, limits=DEFAULT_LIMITS) -> Source:
        found = source_of(self.request, limits)
        assert found is not None
        return found


async def all_of(source):
    """Return the parts that could be read, None for one that broke off."""
    found = []
    while (one := await source.next_part()) is not None:
        try:
            found.append(b"".join([piece async for piece in one]))
        except (PeerProtocolError, LimitExceeded):
            found.append(None)
        assert one.is_over.is_set()
    return found


@in_loop
@pytest.mark.parametrize("size", [1, 50, 10_000])
async def test_parts_come_one_after_another(size):
    source = Sent(*(BODY[at : at + size] for at in range(0, len(BODY), size))).source()
    assert await all_of(source) == [b"one", b"two" * 1_000]
    assert source.fault is None


@in_loop
async def test_one_file_is_one_part():
    source = Sent(b"DI", b"", b"CM", content_type="application/dicom").source()
    assert await all_of(source) == [b"DICM"]


@in_loop
async def test_nothing_is_read_before_it_is_asked_for():
    sent = Sent(part(b"one"), part(b"two"), END)
    source = sent.source()
    assert sent.asked == 0
    first = await source.next_part()
    assert first is not None
    assert sent.asked == 1


@in_loop
async def test_what_nobody_wants_is_passed_over():
    source = Sent(BODY).source()
    first = await source.next_part()
    assert first is not None
    await first.pass_over()
    assert await all_of(source) == [b"two" * 1_000]


@in_loop
async def test_a_lost_connection_breaks_the_part_that_it_was_in():
    source = Sent(BODY[:-20], is_whole=False).source()
    assert await all_of(source) == [b"one", None]
    assert source.is_gone
    assert isinstance(source.fault, PeerProtocolError)


@in_loop
async def test_a_missing_end_breaks_the_part_that_it_was_in_and_nothing_comes_after():
    source = Sent(BODY[:-20]).source()
    assert await all_of(source) == [b"one", None]
    assert not source.is_gone
    assert isinstance(source.fault, PeerProtocolError)
    assert await source.next_part() is None


@in_loop
async def test_more_bytes_than_a_request_may_have_end_it():
    source = Sent(BODY).source(replace(DEFAULT_LIMITS, stow_bytes=1_000))
    assert await all_of(source) == [b"one", None]
    assert isinstance(source.fault, LimitExceeded)


def test_a_length_that_is_too_much_is_refused_unread():
    sent = Sent(content_length=str(DEFAULT_LIMITS.stow_bytes + 1))
    with pytest.raises(LimitExceeded, match="stow_bytes"):
        sent.source()


@pytest.mark.parametrize(
    ("content_type", "headers"),
    [
        ("application/json", {}),
        (f'multipart/related; type="application/dicom+xml"; boundary={BOUNDARY}', {}),
        (MULTIPART, {"content_encoding": "gzip"}),
    ],
)
def test_another_form_is_no_source(content_type, headers):
    assert source_of(Sent(content_type=content_type, **headers).request, DEFAULT_LIMITS) is None


def test_the_type_of_the_parts_may_be_left_out():
    assert Sent(content_type=f"multipart/related; boundary={BOUNDARY}").source() is not None
