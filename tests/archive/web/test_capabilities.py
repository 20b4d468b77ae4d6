"""What the service says that it can do is what its routes are."""

import re
from xml.etree import ElementTree

from starlette.routing import Route

from archives import opened
from dicomweb_calls import BASE, Web
from doorward.archive.web import capabilities, qido, rendered, stow, wado
from doorward.archive.web.capabilities import TRANSACTIONS, WADL
from loopback import in_loop

NAMESPACE = {"w": "http://wadl.dev.java.net/2009/02"}


@in_loop
async def test_every_route_is_described_and_nothing_else(tmp_path):
    async with opened(tmp_path) as archive:
        routes = [one for module in (qido, wado, stow, rendered) for one in module.routes(archive)]
    found = set()
    for one in routes:
        assert isinstance(one, Route)
        path = re.sub(r":\w+\}", "}", one.path)
        path = re.sub(r"frames/\{\w+\}", "frames/{frames}", path)
        found |= {(method, path) for method in one.methods if method != "HEAD"}
    assert {(one.method, one.path) for one in TRANSACTIONS} == found


@in_loop
async def test_options_give_wadl(tmp_path):
    async with opened(tmp_path) as archive:
        reply = await Web(archive).ask("OPTIONS", "/", Accept=WADL)
    assert reply.headers["content-type"] == f"{WADL}"
    tree = ElementTree.fromstring(reply.body)
    [resources] = tree.findall("w:resources", NAMESPACE)
    assert resources.get("base") == f"{BASE}/"
    ids = [one.get("id") for one in tree.iter("{http://wadl.dev.java.net/2009/02}method")]
    assert sorted(ids) == sorted(one.name for one in TRANSACTIONS)


@in_loop
async def test_the_openapi_description_names_each_resource_and_each_refusal(tmp_path):
    async with opened(tmp_path) as archive:
        description = (await Web(archive).get("/openapi.json")).json()
    assert set(description["paths"]) == {one.path for one in TRANSACTIONS}
    search = description["paths"]["/studies"]["get"]
    assert {"200", "204", "400", "401", "403", "406"} <= set(search["responses"])
    names = {one["name"] for one in search["parameters"]}
    assert {"limit", "offset", "includefield", "fuzzymatching"} <= names
    frames = description["paths"][
        "/studies/{study}/series/{series}/instances/{instance}/frames/{frames}"
    ]
    assert [one["in"] for one in frames["get"]["parameters"]] == ["path"] * 4


def test_only_transactions_that_have_a_name_of_their_own_are_there():
    names = [one.name for one in TRANSACTIONS]
    assert len(names) == len(set(names))
    assert capabilities.write_openapi(BASE)["openapi"].startswith("3.")


def test_what_fails_by_a_fault_of_ours_is_described_and_a_full_disk_as_stow_answers_it():
    paths = capabilities.write_openapi(BASE)["paths"]
    retrieve, store = paths["/studies/{study}"]["get"], paths["/studies"]["post"]
    assert {"500", "503"} <= set(retrieve["responses"]) & set(store["responses"])
    assert set(retrieve["responses"]["503"]["content"]) == {"application/json"}
    for status in ("400", "413", "503"):
        said = set(store["responses"][status]["content"])
        assert said == {"application/json", "application/dicom+json"}
