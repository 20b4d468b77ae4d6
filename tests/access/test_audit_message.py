"""Each message against the structure of the schema in PS3.15 A.5.1, and what PS3.15 A.5.3 asks of it."""

import base64
import re
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doorward.access.audit_message import MESSAGES, AuditSource, audit_message, severity
from doorward.access.journal.record import EMPTY, Entry, Event, Outcome, make_record
from journals import NOON, STUDY

SOURCE = AuditSource(
    source_id="archive.example", process="doorward/7", ae_titles=("ARCHIVE", "OLD"), site="clinic"
)
FIND = "1.2.840.10008.5.1.4.1.2.2.1"
CODED = ("csd-code", "codeSystemName", "originalText"), ("displayName",)
#: Element -> (attributes that it must have, those that it may have, its children in order as a pattern of their names).
SCHEMA = {
    "AuditMessage": (
        ((), ()),
        "EventIdentification (ActiveParticipant )+AuditSourceIdentification (ParticipantObjectIdentification )*",
    ),
    "EventIdentification": (
        (("EventDateTime", "EventOutcomeIndicator"), ("EventActionCode",)),
        "EventID (EventTypeCode )*(EventOutcomeDescription )?",
    ),
    "EventID": (CODED, ""),
    "EventTypeCode": (CODED, ""),
    "EventOutcomeDescription": (((), ()), ""),
    "ActiveParticipant": (
        (
            ("UserID", "UserIsRequestor"),
            ("AlternativeUserID", "UserName", "NetworkAccessPointID", "NetworkAccessPointTypeCode"),
        ),
        "(RoleIDCode )*(MediaIdentifier )?",
    ),
    "RoleIDCode": (CODED, ""),
    "MediaIdentifier": (((), ()), "MediaType "),
    "MediaType": (CODED, ""),
    "AuditSourceIdentification": (
        (("AuditSourceID",), ("AuditEnterpriseSiteID",)),
        "(AuditSourceTypeCode )*",
    ),
    "AuditSourceTypeCode": ((("csd-code",), ()), ""),
    "ParticipantObjectIdentification": (
        (
            ("ParticipantObjectID",),
            (
                "ParticipantObjectTypeCode",
                "ParticipantObjectTypeCodeRole",
                "ParticipantObjectDataLifeCycle",
                "ParticipantObjectSensitivity",
            ),
        ),
        "ParticipantObjectIDTypeCode (ParticipantObjectName |ParticipantObjectQuery )"
        "(ParticipantObjectDetail )*(ParticipantObjectDescription )*",
    ),
    "ParticipantObjectIDTypeCode": (CODED, ""),
    "ParticipantObjectName": (((), ()), ""),
    "ParticipantObjectQuery": (((), ()), ""),
    "ParticipantObjectDetail": ((("type", "value"), ()), ""),
    "ParticipantObjectDescription": (((), ()), "(SOPClass )*"),
    "SOPClass": ((("NumberOfInstances",), ("UID",)), ""),
}
VALUES = {
    "EventActionCode": "[CRUDE]",
    "EventDateTime": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}\+00:00",
    "EventOutcomeIndicator": "0|4|8|12",
    "UserIsRequestor": "true|false",
    "NetworkAccessPointTypeCode": "[1-5]",
    "ParticipantObjectTypeCode": "[1-4]",
    "ParticipantObjectTypeCodeRole": "1?[0-9]|2[0-6]",
    "NumberOfInstances": "[0-9]+",
    "value": "[A-Za-z0-9+/]*={0,2}",
}


def assert_valid(element):
    """Whether the element and all below it are as the schema says."""
    (must, may), order = SCHEMA[element.tag]
    assert set(must) <= set(element.attrib) <= {*must, *may}, element.tag
    for name, value in element.attrib.items():
        assert re.fullmatch(VALUES.get(name, ".+"), value), (element.tag, name)
    children = "".join(f"{child.tag} " for child in element)
    assert re.fullmatch(order, children), (element.tag, children)
    for child in element:
        assert_valid(child)


def message(event, **more):
    record, _ = make_record(Entry(event=event, **more), EMPTY, NOON)
    xml = audit_message(record, SOURCE)
    assert xml is not None
    root = ElementTree.fromstring(xml)
    assert_valid(root)
    return root


def codes(root, path):
    return [element.get("csd-code") for element in root.iterfind(path)]


def participants(root):
    """UserID -> role."""
    return {
        one.get("UserID"): next((role.get("csd-code") for role in one), None)
        for one in root.iterfind("ActiveParticipant")
    }


def objects(root, code):
    return [
        one
        for one in root.iterfind("ParticipantObjectIdentification")
        if one.find("ParticipantObjectIDTypeCode").get("csd-code") == code
    ]


CALLER = {"identity": "ct1", "peer": "192.0.2.7", "calling_ae_title": "CT1"}


@pytest.mark.parametrize("event", MESSAGES)
def test_every_message_is_as_the_schema_says(event):
    studies = (f"{STUDY}.1", f"{STUDY}.2")
    message(event)
    root = message(event, **CALLER, studies=studies, subject="ws1", reason="a < b & c")
    assert len(root.findall("ActiveParticipant")) >= 1
    assert [one.get("ParticipantObjectID") for one in objects(root, "110180")] == list(studies)


def test_what_is_no_message_of_the_standard_gives_none():
    for event in set(Event) - set(MESSAGES):
        assert event in (Event.ASSOCIATION_OPENED, Event.ASSOCIATION_CLOSED)
        assert audit_message(make_record(Entry(event=event), EMPTY, NOON)[0], SOURCE) is None


@given(
    st.sampled_from(sorted(MESSAGES)),
    st.text(max_size=70),
    st.text(max_size=20),
    st.lists(st.text(max_size=70), max_size=3).map(tuple),
)
def test_whatever_peers_write_the_message_stays_valid(event, text, title, texts):
    message(
        event,
        identity=text,
        peer=text,
        reason=text,
        subject=text,
        calling_ae_title=title,
        destination=title,
        studies=texts,
        keys=texts,
        sop_class=text,
        instances=3,
    )


def test_a_name_in_the_process_or_the_site_is_escaped():
    source = AuditSource(source_id='a"<&>\x00\ud800', process="p\n", site="ä")
    record, _ = make_record(Entry(event=Event.START), EMPTY, NOON)
    root = ElementTree.fromstring(audit_message(record, source))
    found = root.find("AuditSourceIdentification")
    assert found.get("AuditSourceID") == 'a"<&>\ufffd\ufffd'
    assert found.get("AuditEnterpriseSiteID") == "ä"
    assert root.find("ActiveParticipant").get("UserID") == "p\n"


def test_starting_names_the_application_and_who_started_it():
    root = message(Event.START, identity="root")
    assert codes(root, "EventIdentification/EventID") == ["110100"]
    assert codes(root, "EventIdentification/EventTypeCode") == ["110120"]
    assert participants(root) == {"doorward/7": "110150", "root": "110151"}


def test_a_query_names_its_keys_as_a_data_set_without_values():
    keys = ("00100010", "0008103E", "00400100.00400002", "00100010")
    values = ("CANARY^NAME", "CANARY", "CANARY", "CANARY")
    root = message(Event.QUERY, **CALLER, sop_class=FIND, keys=keys, values=values)
    assert "CANARY" not in ElementTree.tostring(root, "unicode")
    (query,) = objects(root, "110181")
    assert query.get("ParticipantObjectID") == FIND
    data_set = base64.b64decode(query.find("ParticipantObjectQuery").text)
    assert data_set.hex(" ", 8) == "08003e1000000000 1000100000000000 4000000100000000"
    detail = query.find("ParticipantObjectDetail")
    assert detail.get("type") == "TransferSyntax"
    assert base64.b64decode(detail.get("value")) == b"1.2.840.10008.1.2"
    assert participants(root) == {"ct1": "110153", "doorward/7": "110152"}


def test_the_query_is_what_pydicom_reads_as_empty_keys():
    pydicom = pytest.importorskip("pydicom")
    from io import BytesIO

    root = message(Event.QUERY, keys=("0020000D", "00080020"))
    (query,) = objects(root, "110181")
    data_set = base64.b64decode(query.find("ParticipantObjectQuery").text)
    read = pydicom.dcmread(BytesIO(data_set), force=True)
    assert [(int(one.tag), one.is_empty) for one in read] == [
        (0x00080020, True),
        (0x0020000D, True),
    ]


@pytest.mark.parametrize(
    ("event", "more", "expected"),
    (
        (Event.STORE, {}, {"ct1": "110153", "doorward/7": "110152"}),
        (Event.RETRIEVE, {}, {"ct1": "110152", "doorward/7": "110153"}),
        (Event.TRANSFER_BEGUN, {}, {"ct1": "110152", "doorward/7": "110153"}),
        (
            Event.MOVE,
            {"destination": "WS2"},
            {"ct1": None, "doorward/7": "110153", "WS2": "110152"},
        ),
        (
            Event.TRANSFER_BEGUN,
            {"destination": "WS2"},
            {"ct1": None, "doorward/7": "110153", "WS2": "110152"},
        ),
    ),
)
def test_source_and_destination_are_where_images_come_from_and_go_to(event, more, expected):
    root = message(event, **CALLER, **more)
    assert participants(root) == expected
    (caller,) = [one for one in root.iterfind("ActiveParticipant") if one.get("UserID") == "ct1"]
    assert caller.get("UserIsRequestor") == "true"
    assert caller.get("AlternativeUserID") == "AETITLES=CT1"
    assert caller.get("NetworkAccessPointID") == "192.0.2.7"
    assert caller.get("NetworkAccessPointTypeCode") == "2"


def test_the_archive_gives_all_its_titles():
    root = message(Event.STORE, **CALLER)
    (archive,) = [
        one for one in root.iterfind("ActiveParticipant") if one.get("UserID") == "doorward/7"
    ]
    assert archive.get("AlternativeUserID") == "AETITLES=ARCHIVE;OLD"


def test_instances_are_counted_where_one_study_is_named():
    one = message(Event.STORE, studies=(STUDY,), instances=12, sop_class=FIND)
    (counted,) = one.iter("SOPClass")
    assert counted.attrib == {"NumberOfInstances": "12", "UID": FIND}
    two = message(Event.STORE, studies=(STUDY, f"{STUDY}.1"), instances=12)
    assert list(two.iter("SOPClass")) == []


@pytest.mark.parametrize(
    ("event", "outcome", "indicator", "level"),
    (
        (Event.STORE, Outcome.SUCCESS, "0", 5),
        (Event.STORE, Outcome.FAILED, "4", 4),
        (Event.QUERY, Outcome.REFUSED, "4", 4),
        (Event.LOGIN_FAILED, Outcome.SUCCESS, "4", 4),
        (Event.ASSOCIATION_REFUSED, Outcome.SUCCESS, "4", 4),
    ),
)
def test_what_did_not_succeed_says_so_with_its_reason(event, outcome, indicator, level):
    root = message(event, outcome=outcome, reason="not for this role")
    found = root.find("EventIdentification")
    assert found.get("EventOutcomeIndicator") == indicator
    assert (found.find("EventOutcomeDescription") is not None) == (indicator != "0")
    assert severity(Entry(event=event, outcome=outcome)) == level


def test_an_alert_says_what_it_is_about():
    root = message(Event.DEVICE_CHANGED, identity="admin", subject="ct1", reason="revoked")
    (alert,) = objects(root, "110182")
    assert alert.get("ParticipantObjectID") == "ct1"
    detail = alert.find("ParticipantObjectDetail")
    assert detail.get("type") == "Alert Description"
    assert base64.b64decode(detail.get("value")) == b"revoked"


def test_every_message_carries_the_digest_of_its_record():
    record, _ = make_record(Entry(event=Event.LOGIN, identity="reader.one"), EMPTY, NOON)
    root = ElementTree.fromstring(audit_message(record, SOURCE))
    (journal,) = objects(root, "12")
    assert journal.get("ParticipantObjectID") == "urn:doorward:journal:1"
    detail = journal.find("ParticipantObjectDetail")
    assert base64.b64decode(detail.get("value")).decode() == record.digest


def test_an_export_names_its_medium():
    root = message(Event.EXPORT, **CALLER, studies=(STUDY,))
    assert codes(root, "ActiveParticipant/MediaIdentifier/MediaType") == ["110037"]
    assert participants(root)["download"] == "110154"
