"""DICOMweb: open is what only an open service answers; no patient is asked for, nothing can be taken or stored."""

import re

import pytest

from doorward.audit.approach import attempt
from doorward.audit.facts import Exactness, Outcome
from doorward.audit.probes import dicomweb
from doorward.audit.web_facts import Access, Cors
from loopback import in_loop
from open_web import DICOM_JSON, OpenArchive
from web_servers import NOT_FOUND, answer, as_json, web_server
from web_visitors import web_approach

OPEN, LOGIN, ABSENT, UNCLEAR, SILENT = Access


async def seen(respond, *, level=1, titles=(), **bounds):
    """Ask once; returns (attempt, requests)."""
    async with web_server(respond) as server:
        approach = web_approach(server.port, titles=titles, **bounds)
        made = await attempt("dicomweb", approach, dicomweb.asker(level=level))
    assert server.most_at_a_time <= 1
    return made, server.requests


async def root_of(respond, root="/dicom-web", **more):
    made, _ = await seen(respond, **more)
    return next(r for r in made.facts.roots if r.root == root)


@pytest.mark.parametrize("root", [*dicomweb.DICOM_ROOTS, *dicomweb.GENERIC_ROOTS])
@in_loop
async def test_an_open_service_is_found_at_every_known_root(root):
    made, _ = await seen(OpenArchive(studies=3, root=root).respond)
    found = {r.root for r in made.facts.roots if r.qido is OPEN}
    assert found == {root}


@in_loop
async def test_a_title_that_the_operator_gave_is_a_root_of_dcm4chee():
    archive = OpenArchive(studies=3, root="/dcm4chee-arc/aets/MYPACS/rs")
    made, _ = await seen(archive.respond, titles=("MYPACS", "a/../b"))
    assert [r.root for r in made.facts.roots if r.qido is OPEN] == [archive.root]
    assert not any(".." in target for target in archive.asked)


@in_loop
async def test_at_level_1_no_request_could_bring_a_patient():
    archive = OpenArchive(studies=3)
    made, requests = await seen(archive.respond, level=1)
    assert made.facts.studies.value is None
    for request in requests:
        if "/studies" in request.target and request.method == "GET":
            assert re.search(
                r"StudyInstanceUID=2\.25\.\d{20,39}&limit=1$|/studies/2\.25\.\d{20,39}/",
                request.target,
            )


@in_loop
async def test_nothing_is_sent_that_could_take_store_or_delete():
    _, requests = await seen(OpenArchive(studies=3).respond, level=2)
    assert {r.method for r in requests} <= {"GET", "POST", "OPTIONS"}
    for request in requests:
        if request.method == "POST":
            assert request.headers["content-length"] == "0"
            assert request.headers["content-type"] == "application/x-doorward-none"
        if "/instances/" in request.target:
            assert request.headers["accept"] == "application/x-doorward-none"


@pytest.mark.parametrize("level", [2, 3])
@in_loop
async def test_counts_come_without_any_value_of_a_patient(level):
    for archive in (OpenArchive(studies=12), OpenArchive(studies=12, orthanc=True)):
        made, _ = await seen(archive.respond, level=level, qido_page_matches=5)
        assert (made.facts.studies.value, made.facts.images.value) == (12, 72)
        assert "CANARY" not in repr(made)
    assert made.facts.studies.exactness is Exactness.EXACT_COUNTER


@in_loop
async def test_dcm4chee_counts_by_itself():
    archive = OpenArchive(studies=12, root="/dcm4chee-arc/aets/DCM4CHEE/rs", dcm4chee=True)
    made, requests = await seen(archive.respond, level=2)
    assert made.facts.studies.exactness is Exactness.EXACT_COUNTER
    assert not any("includefield" in r.target for r in requests)


@in_loop
async def test_a_server_that_ignores_the_filter_is_open_and_said_to_ignore_it():
    root = await root_of(OpenArchive(studies=3, ignores_filter=True).respond)
    assert (root.qido, root.ignores_filter) == (OPEN, True)


@pytest.mark.parametrize("status", [401, 403, 407, 511])
@in_loop
async def test_a_lock_is_a_login(status):
    assert (await root_of(lambda _: answer(status))).qido is LOGIN


@pytest.mark.parametrize(
    ("reply", "access"),
    [
        (answer(400), UNCLEAR),
        (answer(500), UNCLEAR),
        (answer(200, "<html>"), ABSENT),
        (answer(302, headers=[("Location", "https://idp.invalid/oauth2/auth")]), LOGIN),
        (answer(302, headers=[("Location", "/home")]), ABSENT),
        (as_json([{"error": "x"}]), ABSENT),
        (as_json({}), ABSENT),
        (answer(200, "[", DICOM_JSON), UNCLEAR),
        (answer(200, "[]", DICOM_JSON, headers=[("Content-Encoding", "gzip")]), UNCLEAR),
        (answer(204, b"", ""), OPEN),
        (as_json([]), OPEN),
        (b"", SILENT),
    ],
)
@in_loop
async def test_what_the_studies_answer_beside_a_made_up_sibling(reply, access):
    root = await root_of(lambda r: reply if r.path == "/dicom-web/studies" else NOT_FOUND)
    assert root.qido is access


@pytest.mark.parametrize("root", ["", "/api", "/rs"])
@in_loop
async def test_where_anything_may_live_an_empty_list_proves_nothing_until_a_study_is_counted(root):
    plain = {"root": root, "media_type": "application/json"}
    assert (await root_of(OpenArchive(studies=3, **plain).respond, root)).qido is UNCLEAR
    assert (await root_of(OpenArchive(studies=3, **plain).respond, root, level=2)).qido is OPEN
    assert (await root_of(OpenArchive(studies=0, **plain).respond, root, level=2)).qido is UNCLEAR


# --- WADO-RS and STOW-RS ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "access"),
    [
        (406, OPEN),
        (400, OPEN),
        (415, OPEN),
        (404, OPEN),
        (401, LOGIN),
        (403, LOGIN),
        (200, UNCLEAR),
        (500, UNCLEAR),
    ],
)
@in_loop
async def test_the_retrieve_service_is_judged_by_its_refusal(status, access):
    root = await root_of(OpenArchive(wado_status=status).respond)
    assert root.wado is access


@in_loop
async def test_a_missing_instance_that_looks_like_any_missing_path_proves_nothing():
    archive = OpenArchive()
    root = await root_of(lambda r: NOT_FOUND if "/instances/" in r.path else archive.respond(r))
    assert (root.qido, root.wado) == (OPEN, UNCLEAR)


@pytest.mark.parametrize(
    ("status", "access"),
    [
        (415, OPEN),
        (400, OPEN),
        (411, OPEN),
        (401, LOGIN),
        (403, LOGIN),
        (405, ABSENT),
        (404, ABSENT),
        (200, UNCLEAR),
        (202, UNCLEAR),
        (409, UNCLEAR),
        (500, UNCLEAR),
    ],
)
@in_loop
async def test_the_store_service_is_judged_by_its_refusal(status, access):
    root = await root_of(OpenArchive(stow_status=status).respond)
    assert root.stow is access


@pytest.mark.parametrize("status", [400, 406, 415])
@in_loop
async def test_a_filter_that_refuses_everything_alike_proves_nothing(status):
    archive = OpenArchive()

    def respond(request):
        odd = "doorward-none" in request.headers["accept"] + request.headers.get("content-type", "")
        return answer(status) if odd else archive.respond(request)

    root = await root_of(respond)
    assert (root.qido, root.wado, root.stow) == (OPEN, UNCLEAR, UNCLEAR)


@in_loop
async def test_only_known_methods_are_taken_from_an_answer_to_options():
    assert (await root_of(OpenArchive().respond)).methods == ("GET", "POST", "DELETE")


# --- CORS -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("origin", "cors"),
    [
        ("*", Cors.ANY),
        ("https://doorward.invalid", Cors.REFLECTED),
        ("https://viewer.example", Cors.NONE),
        ("null", Cors.NONE),
    ],
)
@in_loop
async def test_whom_answers_may_be_read_by(origin, cors):
    assert (await root_of(OpenArchive(origin=origin).respond)).cors is cors


@in_loop
async def test_a_reflected_origin_with_credentials_is_worse():
    headers = [
        ("Access-Control-Allow-Origin", "https://doorward.invalid"),
        ("Access-Control-Allow-Credentials", "true"),
    ]
    reply = answer(200, "[]", DICOM_JSON, headers=headers)
    root = await root_of(lambda r: reply if r.path == "/dicom-web/studies" else NOT_FOUND)
    assert root.cors is Cors.REFLECTED_WITH_CREDENTIALS


@in_loop
async def test_a_server_that_refuses_strange_origins_is_open_all_the_same():
    archive = OpenArchive(studies=1)
    root = await root_of(lambda r: answer(403) if "origin" in r.headers else archive.respond(r))
    assert (root.qido, root.cors) == (OPEN, Cors.NONE)


# --- trouble ----------------------------------------------------------------------------------------------------------


@in_loop
async def test_a_port_that_speaks_something_else_is_inconclusive():
    made, _ = await seen(lambda _: b"SSH-2.0-CANARY\r\n")
    assert (made.outcome, made.facts) == (Outcome.INCONCLUSIVE, None)
    assert "CANARY" not in repr(made)


@in_loop
async def test_a_server_that_falls_silent_is_left_alone():
    asked = []

    def respond(request):
        asked.append(request.target)
        return NOT_FOUND if len(asked) < 3 else b""

    made, _ = await seen(respond, http_silences=2)
    assert made.outcome is Outcome.INCONCLUSIVE
    assert len(asked) == 4
