"""Searches by HTTP give what C-FIND gives, page by page, and what the Standard's tables say."""

from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archives import EVERYTHING, calling_as, found, instance, legacy, opened, records, running
from dicomweb_calls import BASE, Web, who
from doorward.access.identity import Operation, Role
from doorward.access.journal.record import Event
from doorward.access.rules import Effect, Rule, Rules
from doorward.dicom.values import encode_identifier
from doorward.dicom.walk import Syntax
from doorward.net.transfer import Instance
from index_entries import TAG_OF
from loopback import in_loop, limits

DEVICES = [legacy("ct1", "modality"), legacy("ws1", "workstation")]
STUDY = "0020000D"


def studies(reply):
    return [one[STUDY]["Value"][0] for one in reply.json()]


async def filled(archive, count=5, **changes):
    web = Web(archive)
    for n in range(1, count + 1):
        texts = {"StudyDate": f"2026010{n % 9 + 1}", "Modality": "CT", "SeriesNumber": str(n)}
        await web.store(instance(f"1.2.{n}", PatientID=f"P{n % 2}", **texts | changes))
    return web


@in_loop
async def test_a_study_has_the_attributes_of_the_table(tmp_path):
    async with opened(tmp_path) as archive:
        web = await filled(archive, 1)
        reply = await web.get("/studies")
    assert reply.headers["content-type"] == "application/dicom+json"
    assert reply.headers["cache-control"] == "no-store"
    [study] = reply.json()
    assert study["00081190"]["Value"] == [f"{BASE}/studies/1.2.1.1"]
    assert study["00080061"]["Value"] == ["CT"]
    assert study["00201208"]["Value"] == [1]
    assert study["00080056"]["Value"] == ["ONLINE"]
    assert study["00200010"] == {"vr": "SH"}
    assert list(study) == sorted(study)
    assert "0020000E" not in study


@in_loop
async def test_each_resource_returns_the_levels_that_its_path_leaves_open(tmp_path):
    async with opened(tmp_path) as archive:
        web = await filled(archive, 2)
        shown = {}
        for path in (
            *("/series", "/instances", "/studies/1.2.1.1/series", "/studies/1.2.1.1/instances"),
            "/studies/1.2.1.1/series/1.2.1.2/instances",
        ):
            answers = (await web.get(path)).json()
            tags = ("00080020", "00080060", "00080018")
            shown[path] = (len(answers), [tag in answers[0] for tag in tags])
    assert shown == {
        "/series": (2, [True, True, False]),
        "/instances": (2, [True, True, True]),
        "/studies/1.2.1.1/series": (1, [False, True, False]),
        "/studies/1.2.1.1/instances": (1, [False, True, True]),
        "/studies/1.2.1.1/series/1.2.1.2/instances": (1, [False, False, True]),
    }


@in_loop
async def test_pages_follow_each_other_and_say_when_there_are_more(tmp_path):
    async with opened(tmp_path, limits=limits(index_page=2)) as archive:
        web = await filled(archive)
        whole = studies(await web.get("/studies"))
        pages = [
            await web.get(f"/studies?limit={n}&offset={at}") for n, at in ((1, 0), (3, 1), (9, 4))
        ]
        none = await web.get("/studies?offset=5")
    assert [page.status for page in pages] == [200, 200, 200]
    assert [uid for page in pages for uid in studies(page)] == whole
    warned = [page.headers.get("warning", "") for page in pages]
    assert warned[:2] == [f"299 {BASE}: There are additional results that can be requested."] * 2
    assert warned[2] == ""
    assert (none.status, none.body) == (204, b"")


@in_loop
async def test_no_page_is_longer_than_we_give(tmp_path):
    async with opened(tmp_path, limits=limits(qido_answers=3)) as archive:
        web = await filled(archive)
        for query in ("", "?limit=5"):
            reply = await web.get(f"/studies{query}")
            assert len(reply.json()) == 3
            assert "additional results" in reply.headers["warning"]


@in_loop
async def test_fields_come_when_they_are_asked_for(tmp_path):
    async with opened(tmp_path) as archive:
        web = await filled(archive, 1, StudyDescription="Head", PatientAge="040Y")
        [plain] = (await web.get("/studies")).json()
        [one] = (await web.get("/studies?includefield=StudyDescription,00081060")).json()
        [every] = (await web.get("/studies?includefield=all")).json()
        [lower] = (await web.get("/studies?includefield=Modality")).json()
    assert "00081030" not in plain
    assert one["00081030"]["Value"] == ["Head"]
    assert one["00081060"] == {"vr": "PN"}
    assert every["00101010"]["Value"] == ["040Y"]
    assert "00080060" not in lower


@in_loop
async def test_fuzzy_matching_is_answered_with_a_warning(tmp_path):
    async with opened(tmp_path) as archive:
        web = await filled(archive, 1)
        reply = await web.get("/studies?fuzzymatching=true&PatientName=nobody*")
    assert len(reply.json()) == 1
    assert "Only literal matching has been performed" in reply.headers["warning"]


@in_loop
async def test_keys_that_no_study_can_have_are_passed_over_with_a_warning(tmp_path):
    async with opened(tmp_path) as archive:
        web = await filled(archive, 1)
        reply = await web.get("/studies?Modality=XX&MilitaryRank=1")
    assert len(reply.json()) == 1
    assert reply.headers["warning"].endswith("passed over: MilitaryRank, Modality.")


@in_loop
async def test_xml_is_not_given(tmp_path):
    async with opened(tmp_path) as archive:
        web = await filled(archive, 1)
        reply = await web.get("/studies", Accept='multipart/related; type="application/dicom+xml"')
        assert reply.status == 406
        assert "XML" in reply.json()["error"]
        asked = await web.get("/studies?accept=application/json", Accept="application/xml")
        assert asked.headers["content-type"] == "application/json"


@in_loop
async def test_only_the_head_is_sent_where_only_that_is_asked_for(tmp_path):
    async with opened(tmp_path) as archive:
        web = await filled(archive, 1)
        reply = await web.ask("HEAD", "/studies")
    assert (reply.status, reply.body) == (200, b"")


@in_loop
async def test_malformed_searches_are_refused_without_their_values(tmp_path):
    async with opened(tmp_path) as archive:
        web = Web(archive)
        for query in (
            "Bogus=Secret",
            "StudyDate=Secret",
            "limit=Secret",
            "PatientID=1&PatientID=2",
        ):
            reply = await web.get(f"/studies?{query}")
            assert reply.status == 400, query
            assert "Secret" not in reply.json()["error"]
        assert (await web.get("/studies/%2a/series")).status == 404
        assert (await web.get("/studies", Accept="nonsense")).status == 400


@in_loop
async def test_whoever_may_not_ask_is_told_why_and_that_is_in_the_journal(tmp_path):
    async with opened(tmp_path) as archive:
        web = await filled(archive, 1)
        web.identity = who("ct1", Role.MODALITY)
        refused = await web.get("/studies")
        web.identity = None
        nobody = await web.get("/studies")
    assert (refused.status, refused.json()) == (403, {"error": "Role modality may not query"})
    assert nobody.status == 403
    refusals = [one.entry for one in records(tmp_path) if one.entry.event is Event.REFUSAL]
    assert [one.identity for one in refusals] == ["ct1", ""]


@in_loop
async def test_a_query_is_recorded_with_its_keys_and_without_its_values(tmp_path):
    async with opened(tmp_path) as archive:
        web = await filled(archive, 2)
        await web.get("/studies?PatientID=P1&includefield=StudyDescription")
    [query] = [one.entry for one in records(tmp_path) if one.entry.event is Event.QUERY]
    assert query.keys == ("00081030", "00100020")
    assert (query.identity, query.peer, query.matches) == ("ws1", "127.0.0.1", 1)
    assert not any(b"P1" in one.read_bytes() for one in (tmp_path / "journal").iterdir())


@in_loop
async def test_studies_that_a_rule_hides_are_not_found(tmp_path):
    hidden = Rule(
        name="old", effect=Effect.DENY, operations=frozenset({Operation.QUERY}), older_than_days=1
    )
    async with opened(tmp_path) as archive:
        web = await filled(archive, 2)
        archive.use(rules=Rules(rules=(*EVERYTHING.rules, hidden)))
        assert (await web.get("/studies")).status == 204
        assert (await web.get("/studies/1.2.1.1/series")).status == 204


@in_loop
async def test_text_beyond_ascii_says_its_character_set(tmp_path):
    one = instance("1.2.1")
    elements = [
        (TAG_OF["SpecificCharacterSet"], "CS", "ISO_IR 192"),
        (TAG_OF["SOPClassUID"], "UI", one.sop_class_uid),
        (TAG_OF["SOPInstanceUID"], "UI", "1.2.1"),
        (TAG_OF["PatientName"], "PN", "Müller^Jörg"),
        (TAG_OF["StudyInstanceUID"], "UI", "1.2.1.1"),
        (TAG_OF["SeriesInstanceUID"], "UI", "1.2.1.2"),
    ]
    stored = Instance(
        sop_class_uid=one.sop_class_uid,
        sop_instance_uid="1.2.1",
        transfer_syntax_uid=one.transfer_syntax_uid,
        data_set=encode_identifier(elements, Syntax.EXPLICIT_LITTLE),
    )
    async with opened(tmp_path) as archive:
        web = Web(archive)
        await web.store(stored)
        [study] = (await web.get("/studies?PatientName=m%C3%BCller*")).json()
    assert study["00100010"]["Value"] == [{"Alphabetic": "Müller^Jörg"}]
    assert study["00080005"]["Value"] == ["ISO_IR 192"]


# --- the same as C-FIND ---------------------------------------------------------------------------------------------------

#: How many each example has found.
EVENTS: list[int] = []
KEYS = {
    "PatientID": ["P1", "P*", "P?", "p1", "", "Q"],
    "PatientName": ["doe^john", "DOE*", "*john", "*", "Nobody"],
    "StudyDate": [
        "20260101",
        "nonsense",
        "20260102-20260103",
        "-20260102",
        "20260103-",
        "20270101",
    ],
    "ModalitiesInStudy": ["CT", "MR", "CT\\MR"],
    "StudyInstanceUID": ["1.2.1.1", "1.2.1.1\\1.2.3.1", "9.9"],
    "StudyDescription": ["Head", "H*", "*d", "head"],
    "AccessionNumber": ["A1", "A*", '""'],
    "RequestingPhysician": ["X"],
}


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    with running(tmp_path_factory.mktemp("five"), DEVICES, None) as one:

        async def fill():
            for n in range(1, 6):
                texts = {"PatientID": f"P{n % 3}", "StudyDate": f"2026010{n % 4 + 1}"}
                texts |= {"Modality": "CT" if n % 2 else "MR", "AccessionNumber": f"A{n}"}
                texts |= {"PatientName": "Doe^John" if n < 4 else "Roe^Jane"}
                texts |= {"StudyDescription": "Head" if n < 3 else "Hand"}
                await Web(one.archive).store(instance(f"1.2.{n}", **texts))

        one.do(fill())
        yield one


@settings(max_examples=50, deadline=None, derandomize=True)
@given(st.fixed_dictionaries({}, optional={k: st.sampled_from(v) for k, v in KEYS.items()}))
def test_a_search_finds_what_c_find_finds(site, keys):
    async def both():
        async with calling_as("WS1", site.legacy_port) as requestor:
            by_dimse = await found(requestor, "STUDY", **{"StudyInstanceUID": ""} | keys)
        query = "&".join(f"{name}={quote(text)}" for name, text in keys.items())
        return *by_dimse, await Web(site.archive).get(f"/studies?{query}")

    status, answers, reply = site.do(both())
    assert (status, reply.status) in ((0, 200 if answers else 204), (0xA900, 400))
    tag = TAG_OF["StudyInstanceUID"]
    by_web = studies(reply) if reply.status == 200 else []
    assert sorted(by_web) == sorted(view[tag].values[0] for view in answers)
    EVENTS.append(len(by_web))


def test_the_comparison_has_found_something():
    assert any(EVENTS)
    assert not all(EVENTS)
