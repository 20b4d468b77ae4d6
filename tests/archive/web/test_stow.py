"""STOW-RS over real HTTPS: each instance is stored or refused by itself, with the standard's status and reasons."""

import json
from collections.abc import Iterator
from dataclasses import replace

import pytest

from archives import EVERYTHING, instance, records
from doorward.access.journal.record import Event, Outcome
from doorward.access.rules import Effect, Rule, Rules
from doorward.limits import DEFAULT_LIMITS
from stow_bodies import BOUNDARY, END, MULTIPART, file, file_of, items, multipart, part, post
from web_archives import WebArchive, web_archive

RETRIEVE_URL, WARNING, FAILURE = "00081190", "00081196", "00081197"
CLASS, INSTANCE = "00081150", "00081155"
FAILED, REFERENCED, OTHER = "00081198", "00081199", "0008119A"
CT = "1.2.840.10008.5.1.4.1.1.2"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebArchive]:
    with web_archive(tmp_path_factory.mktemp("site")) as one:
        yield one


def held(site: WebArchive, *uids: str) -> list[str]:
    """Return those of the instances that are held."""
    return [one.sop_instance_uid for one in site.do(site.archive.index.instances_with(uids))]


def test_all_stored_is_200_and_says_where_each_instance_can_be_had(site):
    answer = post(site, multipart([file("1.1"), file("1.2", StudyInstanceUID="1.1.1")]))

    assert answer.status == 200
    assert answer.headers["content-type"] == "application/dicom+json"
    url = f"{site.url}/studies/1.1.1"
    assert answer.json()[RETRIEVE_URL] == {"vr": "UR", "Value": [url]}
    assert items(answer, REFERENCED) == [
        {CLASS: CT, INSTANCE: "1.1", RETRIEVE_URL: f"{url}/series/1.1.2/instances/1.1"},
        {CLASS: CT, INSTANCE: "1.2", RETRIEVE_URL: f"{url}/series/1.2.2/instances/1.2"},
    ]
    assert answer.json().keys() == {RETRIEVE_URL, REFERENCED}
    assert held(site, "1.1", "1.2") == ["1.1", "1.2"]


def test_one_file_without_parts_is_taken_too(site):
    answer = post(site, file("2.1"), Content_Type="application/dicom")

    assert answer.status == 200
    assert held(site, "2.1") == ["2.1"]


def test_the_same_again_is_200_and_other_content_is_kept_aside_with_a_warning(site):
    assert post(site, multipart([file("3.1", b"\1\1")])).status == 200
    assert post(site, multipart([file("3.1", b"\1\1")])).status == 200
    answer = post(site, multipart([file("3.1", b"\2\2")]))

    assert answer.status == 202
    [item] = items(answer, REFERENCED)
    assert item[WARNING] == 0xB000
    assert len(site.do(site.archive.index.conflicts(9))) == 1


def test_a_broken_part_loses_neither_those_before_nor_those_behind(site):
    body = [
        part(file("4.1")),
        part(b"no DICOM file"),
        part(file("4.2")[:-1]),
        part(b"{}", {"Content-Type": "application/json"}),
        part(file("4.3"), {"Content-Type": "application/dicom", "Content-Encoding": "gzip"}),
        part(file("4.4"), {}),
        END,
    ]

    answer = post(site, b"".join(body))

    assert answer.status == 202
    assert [item[INSTANCE] for item in items(answer, REFERENCED)] == ["4.1", "4.4"]
    assert items(answer, FAILED) == [{CLASS: CT, INSTANCE: "4.2", FAILURE: 0xC000}]
    assert items(answer, OTHER) == [{FAILURE: 0xC000}] * 3
    assert held(site, "4.1", "4.2", "4.3", "4.4") == ["4.1", "4.4"]


def test_what_belongs_to_another_study_than_the_path_is_refused(site):
    files = [file("5.1", StudyInstanceUID="5"), file("5.2", StudyInstanceUID="6")]

    some = post(site, multipart(files), study="5")
    none = post(site, multipart(files[1:]), study="5")

    assert (some.status, none.status) == (202, 409)
    assert items(some, FAILED) == [{CLASS: CT, INSTANCE: "5.2", FAILURE: 0xA900}]
    assert held(site, "5.1", "5.2") == ["5.1"]


def test_whoever_may_not_store_gets_403_with_the_reason_and_a_record(site):
    answer = post(site, multipart([file("6.1")]), who="ws1")

    assert answer.status == 403
    assert "may not store" in answer.json()["error"]
    assert held(site, "6.1") == []


def test_nobody_without_an_identity_gets_anything(site):
    answer = post(site, multipart([file("6.2")]), who=None)

    assert answer.status == 401
    assert held(site, "6.2") == []


@pytest.mark.parametrize(
    ("content_type", "status"),
    [
        ("application/json", 415),
        ('multipart/related; type="application/dicom+xml"; boundary=x', 415),
        (f"multipart/form-data; boundary={BOUNDARY}", 415),
        ("multipart/related; type=application/dicom", 400),
        ('multipart/related; type="application/dicom"; boundary="a*b"', 400),
        ("nothing", 400),
        ("", 400),
        ("a/b" + ";" * 2_000, 400),
    ],
)
def test_a_content_type_that_is_not_taken_has_its_status(site, content_type, status):
    answer = post(site, multipart([file("7.1")]), Content_Type=content_type)

    assert answer.status == status
    assert answer.json()["error"]
    assert held(site, "7.1") == []


def test_a_compressed_request_is_not_taken(site):
    assert post(site, b"", Content_Encoding="gzip").status == 415


@pytest.mark.parametrize("body", [b"", END, b"nothing"], ids=["empty", "no part", "no boundary"])
def test_a_request_without_an_instance_is_400(site, body):
    assert post(site, body).status == 400


@pytest.mark.parametrize("study", ["..%2Fx", "a", "1" * 65])
def test_a_study_that_is_no_uid_is_400(site, study):
    assert post(site, multipart([file("7.2")]), study=study).status in (400, 404)


def test_a_body_that_breaks_off_keeps_what_was_whole_and_says_that_it_broke(site):
    answer = post(site, part(file("8.1")) + part(file("8.2"))[:-9])

    assert answer.status == 202
    assert [item[INSTANCE] for item in items(answer, REFERENCED)] == ["8.1"]
    assert items(answer, FAILED) == [{CLASS: CT, INSTANCE: "8.2", FAILURE: 0xC000}]
    assert items(answer, OTHER) == [{FAILURE: 0xC000}]


def test_chunks_of_any_size_are_the_same(site):
    body = multipart([file("9.1", bytes(3_000)), file("9.2")])

    answer = post(site, (body[at : at + 7] for at in range(0, len(body), 7)))

    assert answer.status == 200
    assert held(site, "9.1", "9.2") == ["9.1", "9.2"]


def test_many_instances_of_one_request_are_answered_in_their_order(site):
    uids = [f"10.{number}" for number in range(60)]

    answer = post(site, multipart(file(uid, StudyInstanceUID="10") for uid in uids))

    assert answer.status == 200
    assert [item[INSTANCE] for item in items(answer, REFERENCED)] == uids


@pytest.mark.parametrize(
    ("bound", "status", "stored"), [("stow_instances", 202, 2), ("stow_bytes", 202, 2)]
)
def test_a_request_has_bounds_and_what_came_before_stays(tmp_path, bound, status, stored):
    body = [part(file(f"11.{number}", bytes(300_000))) for number in range(4)] + [END]
    value = 2 if bound == "stow_instances" else 2 * len(body[0]) + 200_000
    with web_archive(tmp_path, limits=replace(DEFAULT_LIMITS, **{bound: value})) as site:
        answer = post(site, iter(body))
        assert answer.status == status
        assert len(items(answer, REFERENCED)) == stored
        assert items(answer, OTHER) == [{FAILURE: 0xA700}]


def test_a_request_takes_no_longer_than_its_bound(tmp_path):
    with web_archive(tmp_path, limits=replace(DEFAULT_LIMITS, stow_s=0.5)) as site:
        connection = site.connection("ct1")
        connection.putrequest("POST", "/dicom-web/studies")
        connection.putheader("Content-Type", MULTIPART)
        connection.putheader("Content-Length", "100000")
        connection.endheaders(part(file("12.1")) + part(file("12.2"))[:-9])
        reply = connection.getresponse()
        said = json.loads(reply.read())
        connection.close()
        assert reply.status == 202
        assert len(said[REFERENCED]["Value"]) == 1
        assert not site.archive.blobs.held_bytes


def test_a_full_disk_is_503_and_nothing_is_left(tmp_path):
    limits = replace(DEFAULT_LIMITS, blob_reserve_bytes=1 << 60)
    with web_archive(tmp_path, limits=limits) as site:
        answer = post(site, multipart([file("13.1"), file("13.2")]))
        assert answer.status == 503
        assert answer.headers["retry-after"] == str(round(limits.web_unstored_retry_s))
        assert [item[FAILURE] for item in items(answer, FAILED)] == [0xA700] * 2


def test_both_doors_ask_the_same_rules_and_write_the_same_records(tmp_path):
    deny = Rule(
        name="no-vip",
        effect=Effect.DENY,
        operations=EVERYTHING.rules[0].operations,
        referring_physicians=frozenset({"Vip^Doctor"}),
    )
    with web_archive(tmp_path, rules=Rules(rules=(deny, *EVERYTHING.rules))) as site:
        answer = post(
            site,
            multipart(
                [
                    file("1.14.1", ReferringPhysicianName="Other"),
                    file("1.14.2", ReferringPhysicianName="Vip^Doctor"),
                ]
            ),
        )
        site.stored(instance("1.14.3", ReferringPhysicianName="Other"))
    stored = [one.entry for one in records(tmp_path / "archive") if one.entry.event is Event.STORE]
    refused = [
        one.entry for one in records(tmp_path / "archive") if one.entry.outcome is Outcome.REFUSED
    ]

    assert answer.status == 202
    assert items(answer, FAILED) == [{CLASS: CT, INSTANCE: "1.14.2", FAILURE: 0x0124}]
    assert [(one.identity, one.studies, one.instances) for one in stored] == [
        ("ct1", ("1.14.1.1",), 1),
        ("ct1", ("1.14.3.1",), 1),
    ]
    assert [one.rule for one in refused] == ["no-vip"]


def test_what_was_revoked_in_the_middle_stores_nothing_more(tmp_path):
    with web_archive(tmp_path) as site:

        def body() -> Iterator[bytes]:
            yield part(file("15.1")) + part(file("15.2"))[:200]
            while not held(site, "15.1"):
                pass
            site.revoke("ct1")
            yield part(file("15.2"))[200:] + END

        answer = post(site, body())
        assert answer.status == 202
        assert items(answer, FAILED) == [{CLASS: CT, INSTANCE: "15.2", FAILURE: 0x0124}]
        assert held(site, "15.2") == []


def test_no_value_of_a_patient_is_in_an_answer(site):
    answer = post(site, multipart([file_of(instance("16.1", PatientName="Canary^Bird"))]))
    assert answer.status == 200
    assert b"Canary" not in answer.body
