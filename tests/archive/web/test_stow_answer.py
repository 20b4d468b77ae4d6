"""The status of a STOW answer is that of PS3.18 Table 10.5.3-1, and each instance has its reason."""

import json

import pytest

from doorward.archive.index.entry import Outcome
from doorward.archive.ingest import Taken
from doorward.archive.web.stow_answer import Stowed, answer_to
from doorward.errors import LimitExceeded, PeerProtocolError
from doorward.net.transfer import Answer

BASE = "https://archive.example:8443/dicom-web"
MALFORMED = PeerProtocolError("it ends", field="multipart body", source="RFC 2046")


def one(status=0, outcome=None, **named):
    stored = outcome or (Outcome.NEW if status in (0, 0xB000) else None)
    uids = {
        "sop_class_uid": "1.2",
        "sop_instance_uid": "1.3",
        "study_uid": "1.4",
        "series_uid": "1.5",
    }
    return Taken(answer=Answer(status, "said so"), outcome=stored, **uids | named)


GOOD, ASIDE, REFUSED = one(), one(0xB000, Outcome.CONFLICT_KEPT), one(0x0124)
OTHER_STUDY, BROKEN = one(0xA900), one(0xC000)
FULL, TOO_LARGE = one(0xA700, is_our_fault=True), one(0xA700)


def limit(name):
    return LimitExceeded(limit=name, value=1, seen=2)


@pytest.mark.parametrize(
    ("taken", "fault", "status"),
    [
        ([GOOD, GOOD], None, 200),
        ([GOOD, ASIDE], None, 202),
        ([ASIDE], None, 202),
        ([GOOD, REFUSED], None, 202),
        ([GOOD], MALFORMED, 202),
        ([GOOD], limit("stow_bytes"), 202),
        ([], MALFORMED, 400),
        ([BROKEN, BROKEN], None, 400),
        ([BROKEN, OTHER_STUDY], None, 409),
        ([OTHER_STUDY], None, 409),
        ([REFUSED, REFUSED], None, 403),
        ([REFUSED, BROKEN], None, 409),
        ([TOO_LARGE], None, 409),
        ([FULL, FULL], None, 503),
        ([FULL, REFUSED], None, 409),
        ([], limit("stow_bytes"), 413),
        ([BROKEN], limit("stow_instances"), 413),
        ([], limit("multipart_head_bytes"), 400),
    ],
)
def test_the_status_says_what_became_of_all_of_them(taken, fault, status):
    answer = answer_to(Stowed(taken=taken, fault=fault), BASE)
    assert answer.status_code == status
    assert ("retry-after" in answer.headers) is (status == 503)


def test_what_failed_is_named_where_it_has_a_name():
    nameless = one(0xC000, sop_instance_uid="", sop_class_uid="")
    answer = answer_to(Stowed(taken=[GOOD, nameless, OTHER_STUDY], fault=MALFORMED), BASE)

    said = json.loads(answer.body)
    assert said["00081198"]["Value"] == [
        {
            "00081150": {"vr": "UI", "Value": ["1.2"]},
            "00081155": {"vr": "UI", "Value": ["1.3"]},
            "00081197": {"vr": "US", "Value": [0xA900]},
        }
    ]
    reason = {"00081197": {"vr": "US", "Value": [0xC000]}}
    assert said["0008119A"]["Value"] == [reason, reason]


def test_instances_of_several_studies_have_no_common_url():
    answer = answer_to(Stowed(taken=[GOOD, one(study_uid="1.9")]), BASE)
    assert "00081190" not in json.loads(answer.body)


def test_a_uid_does_not_leave_its_place_in_a_url():
    answer = answer_to(Stowed(taken=[one(study_uid="../?#", series_uid="a/b")]), BASE)
    said = json.loads(answer.body)
    assert said["00081190"]["Value"] == [f"{BASE}/studies/..%2F%3F%23"]


def test_a_refusal_by_the_policy_says_its_reason():
    assert json.loads(answer_to(Stowed(taken=[REFUSED]), BASE).body) == {"error": "said so"}
