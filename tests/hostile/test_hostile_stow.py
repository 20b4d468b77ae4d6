"""Whatever is sent to be stored: it is answered, little is held, nothing is left over, and others are served meanwhile."""

import http.client
import os
import re
import ssl
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from archives import instance
from doorward.archive.originals import heads_of
from doorward.limits import DEFAULT_LIMITS
from hostile_stow import HOSTILE, LONG_BYTES, POLYGLOTS, Hostile
from stow_bodies import MULTIPART, file, file_of, items, multipart, part, post
from web_archives import WebAnswer, WebArchive, web_archive

pytestmark = pytest.mark.timeout(60)
LIMITS = replace(
    DEFAULT_LIMITS,
    stow_instances=100,
    stow_bytes=LONG_BYTES + LONG_BYTES // 4,
    blob_bytes=LONG_BYTES // 2,
    ingest_head_bytes=1_000_000,
    blob_held_bytes=8_000_000,
)
#: More than this no request may add to what the process holds; the sender is in it too.
MOST_MIB = 48
LONGEST_S = 12.0


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebArchive]:
    """An archive with small limits."""
    with web_archive(tmp_path_factory.mktemp("hostile"), limits=LIMITS) as one:
        yield one


def memory(name: str) -> int:
    """Return a line of /proc/self/status in KiB (proc(5))."""
    found = re.search(rf"{name}:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found
    return int(found[1])


def forget_the_peak() -> None:
    """Let VmHWM begin anew (proc(5), clear_refs)."""
    Path("/proc/self/clear_refs").write_text("5")


def sent(site: WebArchive, body: Iterator[bytes]) -> tuple[WebAnswer | None, float]:
    """Send a body chunked and return the answer, None where the connection was closed before one came; and how long it took."""
    connection = site.connection("ct1")
    began = time.monotonic()
    try:
        try:
            connection.request(
                "POST", "/dicom-web/studies", body=body, headers={"Content-Type": MULTIPART}
            )
        except (BrokenPipeError, ConnectionResetError, ssl.SSLError):
            pass  # answered before it was all sent
        try:
            reply = connection.getresponse()
            found = dict(reply.getheaders())
            answer = WebAnswer(status=reply.status, headers=found, body=reply.read())
        except (ConnectionError, http.client.HTTPException, ssl.SSLError):
            return None, time.monotonic() - began
        return answer, time.monotonic() - began
    finally:
        connection.close()


def leftovers(site: WebArchive) -> list[str]:
    """Return the parts of files that lie around."""
    return os.listdir(site.archive.blobs.shelf.path("incoming"))


@pytest.mark.parametrize("hostile", HOSTILE, ids=str)
def test_a_hostile_body_is_answered_and_little_is_held(site: WebArchive, hostile: Hostile) -> None:
    before = site.do(site.archive.index.totals()).instances
    forget_the_peak()
    resident = memory("VmRSS")

    answer, took_s = sent(site, hostile.body())

    grown_mib = (memory("VmHWM") - resident) / 1024
    assert answer is None or answer.status in hostile.statuses, answer
    assert took_s < LONGEST_S
    assert grown_mib < MOST_MIB
    assert site.do(site.archive.index.totals()).instances - before <= hostile.held
    assert leftovers(site) == []
    assert post(site, multipart([file("2.25.8")])).status == 200


def test_others_are_served_while_it_goes_on(site: WebArchive) -> None:
    stop = threading.Event()

    def endless() -> Iterator[bytes]:
        yield part(file("2.25.7.1"))[:-4]
        while not stop.is_set():
            yield bytes(65_536)

    attackers = [
        threading.Thread(target=sent, args=(site, one.body()))
        for one in HOSTILE
        if one.name in ("million tiny parts", "nearly boundaries", "endless head")
    ]
    attackers.append(threading.Thread(target=sent, args=(site, endless())))
    for one in attackers:
        one.start()
    try:
        took = []
        for number in range(10):
            began = time.monotonic()
            assert post(site, multipart([file(f"2.25.7.2.{number}")])).status == 200
            took.append(time.monotonic() - began)
    finally:
        stop.set()
        for one in attackers:
            one.join(20)
    assert sorted(took)[len(took) // 2] < 2.0


@pytest.mark.parametrize("name", POLYGLOTS)
def test_what_is_something_else_too_is_kept_without_that_and_can_be_given_back(
    site: WebArchive, name: str
) -> None:
    uid = f"2.25.6.{sorted(POLYGLOTS).index(name)}"
    sent_file = file_of(instance(uid), preamble=POLYGLOTS[name])

    answer = post(site, multipart([sent_file]))

    assert answer.status == 200
    archive = site.archive
    [held] = site.do(archive.index.instances_with([uid]))
    blob = Path(archive.blobs.shelf.path_of(held.digest)).read_bytes()
    assert blob[:132] == bytes(128) + b"DICM"
    assert POLYGLOTS[name].strip() not in blob
    [kept] = site.do(heads_of(archive.index, archive.blobs, held.digest))
    assert kept.head == sent_file[: len(kept.head)]
    assert kept.head.startswith(POLYGLOTS[name])


def test_no_uid_of_a_stranger_becomes_a_path(site: WebArchive) -> None:
    root = site.archive.blobs.shelf.path()
    [hostile] = [one for one in HOSTILE if one.name == "paths"]

    answer, _ = sent(site, hostile.body())

    assert answer is not None
    assert answer.status in (400, 409)
    assert not items(answer, "00081199")
    assert b"/" not in answer.body
    names = {path.name for path in Path(root, "blobs").rglob("*") if path.is_file()}
    assert all(re.fullmatch(r"[0-9a-f]{64}", name) for name in names)


def test_a_connection_that_is_lost_leaves_nothing_and_sending_again_completes_it(
    site: WebArchive,
) -> None:
    whole = multipart([file("2.25.5.1"), file("2.25.5.2", bytes(300_000))])
    cut = whole[:-100_000]
    connection = site.connection("ct1")
    connection.putrequest("POST", "/dicom-web/studies")
    connection.putheader("Content-Type", MULTIPART)
    connection.putheader("Content-Length", str(len(whole)))
    connection.endheaders(cut)
    connection.close()

    answer = post(site, whole)

    assert answer.status == 200
    assert len(items(answer, "00081199")) == 2
    assert leftovers(site) == []
    assert site.do(site.archive.index.problems()) == []


def test_a_body_that_says_it_is_too_long_is_refused_unread(site: WebArchive) -> None:
    connection = site.connection("ct1")
    connection.putrequest("POST", "/dicom-web/studies")
    connection.putheader("Content-Type", MULTIPART)
    connection.putheader("Content-Length", str(1 << 60))
    connection.endheaders()
    reply = connection.getresponse()
    connection.close()
    assert reply.status == 413
