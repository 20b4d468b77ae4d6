"""The application: whatever goes wrong is said in one form, and a bug says nothing."""

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from doorward.errors import (
    ConfigError,
    ConnectTimeout,
    LimitExceeded,
    PeerProtocolError,
    StorageError,
    StorageFull,
)
from web_archives import WebArchive, web_archive

PATH = Path("secret-place")
FAULTS: dict[str, Exception] = {
    "full": StorageFull("no room at secret-place", operation="write", path=PATH, kind="full"),
    "disk": StorageError("cannot write secret-place", operation="write", path=PATH, kind="failed"),
    "limit": LimitExceeded(limit="frames", value=1, seen=2),
    "busy": LimitExceeded(limit="images_inflated_bytes", value=1, seen=2),
    "peer": PeerProtocolError("is no part", field="body", source="PS3.18 section 8"),
    "settings": ConfigError("is wrong", file=PATH, field="port"),
    "away": ConnectTimeout("no answer from 192.0.2.1"),
    "bug": RuntimeError("Nobody^Known"),
    "gone": ClientDisconnect(),
}


async def fail(request: Request) -> Response:
    raise FAULTS[request.path_params["name"]]


async def half(_: Request) -> Response:
    async def pieces() -> Iterator[bytes]:  # type: ignore[misc]
        yield b"x" * 10
        raise RuntimeError("Nobody^Known")

    return StreamingResponse(pieces(), headers={"content-length": "20"})  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebArchive]:
    routes = [Route("/fail/{name}", fail), Route("/half", half)]
    with web_archive(tmp_path_factory.mktemp("site"), extra_routes=lambda _: routes) as site:
        yield site


@pytest.mark.parametrize(
    ("name", "status", "error"),
    [
        ("full", 503, "No room is left"),
        ("disk", 503, "The storage has failed"),
        ("limit", 413, "More than frames allows"),
        ("busy", 503, "Too much is being inflated at once"),
        ("peer", 400, "body: is no part (PS3.18 section 8)"),
        ("settings", 400, "is wrong"),
        ("away", 502, "Another system could not be reached"),
        ("bug", 500, "This request has failed"),
    ],
)
def test_fault_says_whose_it_is_and_no_more(
    site: WebArchive, name: str, status: int, error: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        answer = site.get(f"/fail/{name}")
    assert (answer.status, answer.json()) == (status, {"error": error})
    assert answer.headers["x-content-type-options"] == "nosniff"
    for secret in ("Nobody", "secret-place", "192.0.2.1"):
        assert secret not in caplog.text
        assert secret.encode() not in answer.body
    assert ("RuntimeError" in caplog.text) is (name == "bug")


def test_who_goes_away_in_the_middle_is_no_fault_of_ours(
    site: WebArchive, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        site.get("/fail/gone")
    assert "ended by a fault" not in caplog.text


def test_answer_that_breaks_off_is_never_taken_for_a_whole_one(
    site: WebArchive, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG), pytest.raises(Exception, match="IncompleteRead"):
        site.get("/half")
    assert "Nobody" not in caplog.text
    assert caplog.text.count("ended by a fault") == 1


def test_path_and_method_that_are_not_there_are_said_to_somebody_known(site: WebArchive) -> None:
    for path in ("/nowhere", "/dicom-web/nowhere", "/fail/bug/"):
        answer = site.get(path)
        assert (answer.status, answer.json()) == (404, {"error": "There is nothing here"})
    answer = site.request("DELETE", "/session")
    assert (answer.status, answer.json()) == (405, {"error": "This method is not for this path"})
    assert set(answer.headers["allow"].split(", ")) == {"GET", "HEAD"}


def test_dicomweb_is_there(site: WebArchive) -> None:
    assert site.get("/dicom-web/studies").status in (200, 204)
