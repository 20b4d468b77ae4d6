"""What the routes share: addresses, conditions, refusals, and answers that are whole or broken off."""

import pytest
from starlette.exceptions import HTTPException
from starlette.requests import Request

from doorward.archive.giving import Refusal, Why
from doorward.archive.web.answering import (
    accepted,
    base_of,
    has_already,
    head_of,
    refused,
    streamed,
    uid_in,
    wanted_by,
)
from doorward.errors import LocalProtocolError
from doorward.limits import DEFAULT_LIMITS
from doorward.web.accept import ANYTHING
from loopback import in_loop


def request(path="/x", query="", root="", parts=(), **headers):
    named = [(n.replace("_", "-").lower().encode(), v.encode()) for n, v in headers.items()]
    named.append((b"host", b"archive.test:8443"))
    return Request(
        {
            "type": "http",
            "method": "GET",
            "path": path,
            "root_path": root,
            "query_string": query.encode(),
            "headers": named,
            "scheme": "https",
            "server": ("127.0.0.1", 1),
            "path_params": dict(parts),
        }
    )


def test_the_service_is_where_the_client_has_called_it():
    assert (
        base_of(request("/dicom-web/x", root="/dicom-web")) == "https://archive.test:8443/dicom-web"
    )


def test_the_query_parameter_goes_before_the_header():
    one = request(query="accept=image/png", Accept="image/jpeg")
    assert [r.media_type for r in accepted(one, DEFAULT_LIMITS)] == ["image/png"]
    assert accepted(request(), DEFAULT_LIMITS) == ANYTHING


@pytest.mark.parametrize("uid", ["", "*", "1.2?", "1.2\\1.3", "1,2", "x" * 65, "é"])
def test_what_can_be_no_uid_is_not_found(uid):
    with pytest.raises(HTTPException) as error:
        uid_in({"study": uid}, "study")
    assert error.value.status_code == 404


def test_a_path_says_what_is_wanted():
    wanted = wanted_by(request(parts={"study": "1", "series": "2"}))
    assert (wanted.study_uids, wanted.series_uids, wanted.instance_uids) == (("1",), ("2",), ())


@pytest.mark.parametrize(
    ("named", "is_known"),
    [('"a"', True), ('W/"a"', True), ('"b", W/"a"', True), ('"b"', False), ("", False)],
)
def test_a_copy_is_known_by_its_etag(named, is_known):
    assert has_already(request(If_None_Match=named), 'W/"a"') is is_known


@pytest.mark.parametrize(
    ("why", "status"),
    [
        *((Why.NOT_AUTHORISED, 403), (Why.VOLUME, 429), (Why.TOO_MANY, 413), (Why.STORAGE, 503)),
        *((Why.NOT_ACCEPTABLE, 406), (Why.UNCHANGED, 304)),
    ],
)
def test_each_refusal_has_its_status(why, status):
    assert refused(Refusal(why=why, reason="x")).status_code == status


def test_a_used_up_hour_says_when_it_is_over():
    answer = refused(Refusal(why=Why.VOLUME, reason="x", retry_after_s=1.2))
    assert answer.headers["retry-after"] == "2"


def test_only_what_has_an_etag_may_be_kept():
    assert head_of() == {"Cache-Control": "no-store"}
    kept = head_of(etag='"a"', length=3)
    assert (kept["ETag"], kept["Content-Length"]) == ('"a"', "3")
    assert kept["Cache-Control"] == "private, no-cache"


async def sent(answer, send=None):
    messages = []

    async def take(message):
        messages.append(message)

    async def receive():
        raise AssertionError

    scope = {"type": "http", "asgi": {"spec_version": "2.4"}}
    await answer(scope, receive, send or take)
    return messages


@in_loop
async def test_pieces_are_sent_in_order_and_their_source_is_closed():
    seen = []

    async def pieces():
        try:
            yield b"a"
            yield b"b"
        finally:
            seen.append("closed")

    messages = await sent(await streamed(pieces(), "text/plain", length=2))
    assert [m.get("body") for m in messages[1:]] == [b"a", b"b", b""]
    assert seen == ["closed"]


@in_loop
async def test_a_client_that_goes_away_closes_the_source_at_once():
    seen = []

    async def pieces():
        try:
            while True:
                yield b"a"
        finally:
            seen.append("closed")

    async def gone(message):
        if message["type"] == "http.response.body":
            raise OSError

    answer = await streamed(pieces(), "text/plain")
    with pytest.raises(Exception, match=r".*"):
        await sent(answer, gone)
    assert seen == ["closed"]


@in_loop
async def test_what_fails_before_its_first_piece_is_no_answer():
    async def fails():
        raise LocalProtocolError("no")
        yield b""

    async def empty():
        return
        yield b""

    for source in (fails(), empty()):
        with pytest.raises(LocalProtocolError):
            await streamed(source, "text/plain")
