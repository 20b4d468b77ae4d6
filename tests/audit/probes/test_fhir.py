"""FHIR servers, scripted: open, shut, chatty, and answers that look like FHIR and are none."""

import json

import pytest

from doorward.audit.approach import attempt
from doorward.audit.facts import Exactness, Outcome
from doorward.audit.fhir_facts import FhirSearch
from doorward.audit.probes import fhir
from doorward.audit.web_facts import Access
from loopback import in_loop
from web_servers import NOT_FOUND, answer, as_json, page, web_server
from web_visitors import web_approach

CANARY = "ZZCANARY"
CAPABILITIES = {
    "resourceType": "CapabilityStatement",
    "fhirVersion": "4.0.1",
    "publisher": CANARY,
    "software": {"name": "HAPI FHIR Server", "version": "7.2.1"},
}
OUTCOME = {"resourceType": "OperationOutcome", "issue": [{"diagnostics": CANARY}]}
PATIENT = {"resource": {"resourceType": "Patient", "name": [{"family": CANARY}]}}


def server(root="/fhir", *, totals=None, status=401, metadata=CAPABILITIES, bundle=None):
    """A FHIR server; without ``totals`` searches are refused with ``status``."""

    def respond(request):
        if not request.path.startswith(root + "/"):
            return NOT_FOUND
        resource = request.path.removeprefix(root + "/")
        if resource == "metadata":
            return as_json(metadata, media_type="application/fhir+json")
        if totals is None:
            return as_json(OUTCOME, status)
        if resource not in totals:
            return as_json(OUTCOME, 404)
        count = {"resourceType": "Bundle", "type": "searchset", "total": totals[resource]}
        return as_json(count if bundle is None else bundle)

    return respond


async def asked(respond, level=2, **bounds):
    async with web_server(respond) as web:
        made = await attempt("fhir", web_approach(web.port, **bounds), fhir.asker(level=level))
    assert CANARY not in repr(made)
    return made, web.requests


@in_loop
async def test_an_open_server_is_counted_by_its_own_totals():
    made, requests = await asked(server(totals={"ImagingStudy": 1_705, "Patient": 900}))
    (root,) = made.facts.roots
    assert (root.root, root.metadata, root.fhir_version) == ("/fhir", Access.OPEN, "4.0.1")
    assert (root.software, root.software_version) == ("HAPI FHIR", "7.2.1")
    assert [(s.resource, s.access, s.count.value) for s in root.searches] == [
        ("ImagingStudy", Access.OPEN, 1_705),
        ("Patient", Access.OPEN, 900),
    ]
    assert root.searches[0].count.exactness is Exactness.EXACT_COUNTER
    targets = [r.target for r in requests]
    assert all("_summary=count" in t for t in targets if not t.endswith("/metadata"))
    assert any("DoorwardControl" in t for t in targets), "the control was asked for"
    assert {r.method for r in requests} == {"GET"}


@in_loop
async def test_at_level_1_nothing_is_counted():
    made, requests = await asked(server(totals={"Patient": 1}), level=1)
    assert made.facts.roots[0].searches == ()
    assert all(r.target.endswith("/metadata") for r in requests)


@pytest.mark.parametrize(
    ("status", "access"),
    [(401, Access.LOGIN), (403, Access.LOGIN), (404, Access.ABSENT), (400, Access.UNCLEAR)],
)
@in_loop
async def test_a_server_that_refuses_searches_is_shut(status, access):
    made, _ = await asked(server(status=status))
    assert {s.access for s in made.facts.roots[0].searches} == {access}


@in_loop
async def test_hapi_s_count_without_a_type_counts():
    made, _ = await asked(
        server(totals={"Patient": 0}, bundle={"resourceType": "Bundle", "total": 12})
    )
    assert made.facts.roots[0].searches[1].count.value == 12


@in_loop
async def test_a_server_that_sends_resources_is_cut_off_at_the_first():
    bundle = {
        "resourceType": "Bundle",
        "type": "searchset",
        "total": 3,
        "entry": [PATIENT] * 50_000,
    }
    made, _ = await asked(server(totals={"Patient": 3}, bundle=bundle))
    search = made.facts.roots[0].searches[1]
    assert (search.access, search.count.value, search.sends_resources) == (Access.OPEN, 3, True)


@in_loop
async def test_a_server_at_the_top_is_found():
    made, _ = await asked(server(root="", totals={"Patient": 1}))
    assert [root.root for root in made.facts.roots] == ["/"]


@in_loop
async def test_a_server_that_asks_for_a_login_in_fhir_s_own_form_is_found_shut():
    def respond(request):
        return as_json(OUTCOME, 401) if request.path.startswith("/fhir/") else NOT_FOUND

    made, _ = await asked(respond)
    (root,) = made.facts.roots
    assert (root.root, root.metadata) == ("/fhir", Access.LOGIN)
    assert {s.access for s in root.searches} == {Access.LOGIN}


@in_loop
async def test_a_server_that_counts_everything_has_shown_nothing():
    def respond(request):
        if request.path.endswith("/metadata"):
            return as_json(CAPABILITIES)
        return as_json({"resourceType": "Bundle", "type": "searchset", "total": 7})

    made, _ = await asked(respond)
    assert made.facts.roots[0].searches == (
        FhirSearch(resource="ImagingStudy", access=Access.UNCLEAR),
        FhirSearch(resource="Patient", access=Access.UNCLEAR),
    )


NO_FHIR = {
    "a page for every path": page("Welcome"),
    "a login page": page("Login", '<input type="password">'),
    "a description in a page": answer(200, json.dumps(CAPABILITIES) + "<html>"),
    "json of another kind": as_json({"resource": "CapabilityStatement", "status": "ok"}),
    "a list of descriptions": as_json([CAPABILITIES]),
    "a description of another status": as_json(CAPABILITIES, 404),
    "half a bundle": answer(200, '{"resourceType": "Bundle", "total": 3', "application/fhir+json"),
    "an error in json": as_json({"error": "unauthorized"}, 401),
    "compressed": answer(
        200, json.dumps(CAPABILITIES), "application/json", headers=[("Content-Encoding", "gzip")]
    ),
    "a redirect": answer(302, "", headers=[("Location", "https://elsewhere.invalid/metadata")]),
    "nothing": answer(204),
}


@pytest.mark.parametrize("name", NO_FHIR)
@in_loop
async def test_no_false_server(name):
    made, _ = await asked(lambda _: NO_FHIR[name])
    assert (made.outcome, made.facts.roots) == (Outcome.ANSWERED, ())


@pytest.mark.parametrize(
    "bundle",
    [
        {"resourceType": "Bundle", "type": "transaction-response", "total": 3},
        {"resourceType": "Bundle", "type": "searchset"},
        {"resourceType": "Bundle", "total": "3"},
        {"resourceType": "OperationOutcome", "total": 3},
        {"resourceType": "Patient", "total": 3},
        {"total": 3},
        [],
    ],
)
@in_loop
async def test_no_false_search(bundle):
    made, _ = await asked(server(totals={"Patient": 1, "ImagingStudy": 1}, bundle=bundle))
    assert all(s.access is Access.UNCLEAR for s in made.facts.roots[0].searches)


@in_loop
async def test_silence_is_no_answer():
    made, _ = await asked(lambda _: b"")
    assert made.outcome is Outcome.INCONCLUSIVE
