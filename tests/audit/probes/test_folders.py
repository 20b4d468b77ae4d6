"""Folders on the web: real servers with lists on and off, plain and TLS; and pages that look like lists and are none."""

import asyncio

import pytest

from certificates import make_certificates
from doorward.audit.approach import attempt
from doorward.audit.facts import Outcome
from doorward.audit.file_facts import FolderSeen
from doorward.audit.probes import folders
from doorward.net.tls import probe_context
from doorward.web.file_names import FolderShape
from file_servers import CANARY, WEB_SERVERS, folder_server, make_site
from listing_pages import LISTS, NO_LISTS
from loopback import in_loop
from peers import orthanc
from web_servers import NOT_FOUND, answer, locked_orthanc, web_server
from web_visitors import web_approach

PATHS = ("/", "/dicom/", "/empty/", "/missing/")
SHUT_PATHS = ("/", "/dicom/", "/empty/")


def peer(name):
    return pytest.param(
        name, marks=pytest.mark.peer(WEB_SERVERS[name][0]) if WEB_SERVERS[name][0] else ()
    )


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    return make_site(tmp_path_factory.mktemp("listed") / "site")


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    return make_certificates(tmp_path_factory.mktemp("certificates"))


def ask(port, probe, tls=None):
    """Ask in a loop of its own: the servers are processes."""
    return asyncio.run(attempt("files", web_approach(port, tls=tls), probe))


def expected(site, software):
    top = FolderShape(
        entries=site.entries,
        folders=site.folders,
        dicom_names=site.dicom_names,
        number_names=site.number_names,
    )
    images = FolderShape(entries=site.images, dicom_names=site.images)
    return (
        FolderSeen(path="/", shape=top, software=software),
        FolderSeen(path="/dicom/", shape=images, software=software),
        FolderSeen(path="/empty/", shape=FolderShape(), software=software),
    )


# --- real servers -----------------------------------------------------------------------------------------------------


@pytest.mark.interop
@pytest.mark.parametrize("name", [peer(name) for name in WEB_SERVERS])
def test_a_server_that_lists_is_seen_with_its_shape(name, site, tmp_path):
    with folder_server(name, tmp_path, site) as port:
        made = ask(port, folders.listings(paths=PATHS))
    assert made.outcome is Outcome.ANSWERED
    assert made.facts.folders == expected(site, name.partition(",")[0])
    assert not made.facts.lists_everything
    assert made.connections == made.facts.requests == len(PATHS) + 1
    assert CANARY not in repr(made)


@pytest.mark.interop
@pytest.mark.parametrize(
    "name",
    [
        peer(name)
        for name in WEB_SERVERS
        if name not in ("python", "apache, fancy", "apache, preformatted")
    ],
)
def test_a_server_that_does_not_list_gives_no_finding(name, site, tmp_path):
    with folder_server(name, tmp_path, site, lists=False) as port:
        made = ask(port, folders.listings(paths=SHUT_PATHS))
    assert (made.outcome, made.facts.folders) == (Outcome.ANSWERED, ())
    assert made.facts.answered == len(SHUT_PATHS)


@pytest.mark.interop
@pytest.mark.parametrize(
    "name",
    [
        peer("nginx"),
        peer("apache"),
        pytest.param("lighttpd", marks=pytest.mark.peer("lighttpd", "lighttpd-tls")),
    ],
)
@pytest.mark.parametrize("lists", [True, False])
def test_over_tls_it_is_the_same(name, lists, site, certificates, tmp_path):
    with folder_server(name, tmp_path, site, lists=lists, own=certificates.server_rsa) as port:
        made = ask(port, folders.listings(paths=SHUT_PATHS), tls=probe_context())
    assert made.facts.over_tls
    assert made.facts.folders == (expected(site, name) if lists else ())


@pytest.mark.interop
@pytest.mark.peer("orthanc")
def test_orthanc_s_webdav_is_seen_and_its_other_pages_are_no_lists(tmp_path):
    with orthanc(tmp_path) as archive:
        shared = ask(archive.http_port, folders.webdav())
        listed = ask(archive.http_port, folders.listings())
    shape = FolderShape(entries=5, folders=5)
    assert shared.facts.folders == (FolderSeen(path="/webdav/", shape=shape, software="orthanc"),)
    assert not shared.facts.lists_everything
    assert listed.facts.folders == ()


@pytest.mark.interop
@pytest.mark.peer("orthanc")
def test_orthanc_without_webdav_and_behind_a_login_shows_nothing(tmp_path):
    with orthanc(tmp_path / "off", configuration={"WebDavEnabled": False}) as archive:
        made = ask(archive.http_port, folders.webdav())
    assert (made.outcome, made.facts.folders) == (Outcome.ANSWERED, ())
    locked = {
        "RemoteAccessAllowed": True,
        "AuthenticationEnabled": True,
        "RegisteredUsers": {"a": "b"},
    }
    with locked_orthanc(tmp_path / "locked", locked) as archive:
        made = ask(archive.http_port, folders.webdav())
    assert made.facts.folders == ()
    assert made.facts.logins == made.facts.answered == 3


# --- no false list ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NO_LISTS)
@in_loop
async def test_no_false_list(name):
    async with web_server(lambda _: answer(200, NO_LISTS[name])) as server:
        made = await attempt(
            "listings", web_approach(server.port), folders.listings(paths=("/dicom/",))
        )
    assert (made.outcome, made.facts.folders) == (Outcome.ANSWERED, ())


@pytest.mark.parametrize(
    "wrong",
    [
        answer(403, LISTS["nginx"][0]),
        answer(404, LISTS["nginx"][0]),
        answer(500, LISTS["nginx"][0]),
        answer(302, LISTS["nginx"][0], headers=[("Location", "/login")]),
        answer(200, LISTS["nginx"][0], "application/json"),
        answer(200, LISTS["nginx"][0], headers=[("Content-Encoding", "gzip")]),
    ],
)
@in_loop
async def test_a_list_in_the_wrong_answer_is_none(wrong):
    async with web_server(lambda _: wrong) as server:
        made = await attempt(
            "listings", web_approach(server.port), folders.listings(paths=("/dicom/",))
        )
    assert made.facts.folders == ()


@in_loop
async def test_a_server_that_lists_every_path_has_shown_nothing():
    def respond(request):
        path = request.path.encode()
        return answer(200, b"<title>Index of " + path + b'</title><a href="x.dcm">x.dcm</a>')

    async with web_server(respond) as server:
        made = await attempt("listings", web_approach(server.port), folders.listings())
    assert made.facts.lists_everything


@in_loop
async def test_a_list_cut_short_is_at_least_what_came():
    page = LISTS["nginx"][0]

    def respond(request):
        is_there = request.path == "/dicom/"
        return answer(200, page, length=len(page) + 50) if is_there else NOT_FOUND

    async with web_server(respond) as server:
        made = await attempt(
            "listings", web_approach(server.port), folders.listings(paths=("/dicom/",))
        )
    (folder,) = made.facts.folders
    assert folder.is_cut
    assert folder.shape.entries == 4


@in_loop
async def test_silence_is_no_answer():
    async with web_server(lambda _: b"") as server:
        made = await attempt("listings", web_approach(server.port), folders.listings())
    assert made.outcome is Outcome.INCONCLUSIVE


@in_loop
async def test_a_207_for_everything_and_a_200_to_propfind_show_nothing():
    dav = (
        '<D:multistatus xmlns:D="DAV:"><D:response><D:href>%s</D:href></D:response></D:multistatus>'
    )

    async with web_server(lambda r: answer(207, dav % r.path, "application/xml")) as server:
        made = await attempt("webdav", web_approach(server.port), folders.webdav())
    assert made.facts.lists_everything
    for wrong in (answer(200, dav % "/"), answer(207, "<html>hello</html>"), answer(207, "")):
        async with web_server(lambda _, wrong=wrong: wrong) as server:
            made = await attempt("webdav", web_approach(server.port), folders.webdav())
        assert (made.facts.folders, made.facts.lists_everything) == ((), False)


@in_loop
async def test_propfind_goes_one_level_deep_and_nothing_else_is_asked():
    async with web_server(lambda _: NOT_FOUND) as server:
        await attempt("webdav", web_approach(server.port), folders.webdav())
    assert {(r.method, r.headers["depth"]) for r in server.requests} == {("PROPFIND", "1")}
    assert all("security audit" in r.headers["user-agent"] for r in server.requests)
