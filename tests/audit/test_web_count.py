"""Counts over HTTP: a server's own counter first, else page by page, each with its honesty."""

import pytest

from doorward.audit.facts import Exactness
from doorward.audit.web_count import dcm4chee_counters, orthanc_counters, paged_counts
from loopback import in_loop, limits
from open_web import OpenArchive
from web_servers import answer, as_json, web_server
from web_visitors import visitor

EXACT, LEAST = Exactness.EXACT_ENUMERATED, Exactness.AT_LEAST
BOUNDS = {"qido_page_matches": 10}


async def paged(archive, **bounds):
    bounds = BOUNDS | bounds
    async with web_server(archive.respond) as server:
        counts = await paged_counts(visitor(server.port, **bounds), archive.root, limits(**bounds))
    return counts


@pytest.mark.parametrize(
    ("archive", "studies", "images", "exactness"),
    [
        (OpenArchive(studies=0), 0, 0, EXACT),
        (OpenArchive(studies=0, empty_status=204), 0, 0, EXACT),
        (OpenArchive(studies=7), 7, 42, EXACT),
        (OpenArchive(studies=10), 10, 60, EXACT),
        (OpenArchive(studies=35), 35, 210, EXACT),
        (OpenArchive(studies=35, empty_status=204), 35, 210, EXACT),
        (OpenArchive(studies=35, most_per_page=4), 35, 210, EXACT),
        (OpenArchive(studies=35, ignores_limit=True, ignores_offset=True), 35, 210, EXACT),
        (OpenArchive(studies=35, ignores_offset=True), 10, 60, LEAST),
        (OpenArchive(studies=35, breaks_at=20), 25, 150, LEAST),
        (OpenArchive(studies=35, media_type="application/json"), 35, 210, EXACT),
        (OpenArchive(studies=7, images=None), 7, None, EXACT),
    ],
    ids=lambda value: str(value)[:60],
)
@in_loop
async def test_studies_are_counted_page_by_page(archive, studies, images, exactness):
    counts = await paged(archive)
    assert (counts.studies.value, counts.images.value) == (studies, images)
    assert counts.studies.exactness is exactness
    assert counts.studies.method
    assert "CANARY" not in str(counts)


@in_loop
async def test_only_the_number_of_images_is_asked_for():
    archive = OpenArchive(studies=12)
    counts = await paged(archive)
    assert archive.asked == [
        f"GET /dicom-web/studies?limit=10&offset={offset}&includefield=00201208"
        for offset in (0, 10, 12)
    ]
    assert counts.extra_attributes == 3


@in_loop
async def test_counting_ends_at_our_own_limit_and_says_so():
    counts = await paged(OpenArchive(studies=1_000), count_matches=30)
    assert (counts.studies.value, counts.studies.exactness) == (30, LEAST)
    counts = await paged(OpenArchive(studies=1_000), count_s=0.000001)
    assert (counts.studies.value, counts.studies.exactness) == (10, LEAST)


@pytest.mark.parametrize("status", [401, 403, 500])
@in_loop
async def test_a_refused_page_is_no_zero(status):
    async with web_server(lambda _: answer(status)) as server:
        counts = await paged_counts(visitor(server.port), "/dicom-web", limits())
    assert (counts.studies.value, counts.studies.exactness) == (None, Exactness.UNKNOWN)


@in_loop
async def test_orthanc_counts_by_itself():
    archive = OpenArchive(studies=7, orthanc=True)
    async with web_server(archive.respond) as server:
        counts = await orthanc_counters(visitor(server.port))
    assert (counts.patients.value, counts.studies.value, counts.images.value) == (3, 7, 42)
    assert counts.studies.exactness is Exactness.EXACT_COUNTER


@in_loop
async def test_dcm4chee_counts_by_itself():
    archive = OpenArchive(studies=7, dcm4chee=True)
    async with web_server(archive.respond) as server:
        counts = await dcm4chee_counters(visitor(server.port), "/dcm4chee-arc/aets/DCM4CHEE/rs")
        assert await dcm4chee_counters(visitor(server.port), "/dcm4chee-arc/aets/OTHER/rs") is None
    assert (counts.patients.value, counts.studies.value, counts.images.value) == (3, 7, 42)


@pytest.mark.parametrize(
    "reply",
    [
        answer(401),
        as_json({"CountStudies": 1}),
        as_json({"CountPatients": "x", "CountStudies": 1, "CountInstances": 2}),
        as_json([]),
        answer(200, '{"CountPatients":1,"CountStudies":1,"CountInstances":2', "application/json"),
        answer(200, "<html>", "text/html"),
    ],
)
@in_loop
async def test_anything_but_whole_numbers_is_no_counter(reply):
    async with web_server(lambda _: reply) as server:
        assert await orthanc_counters(visitor(server.port)) is None
