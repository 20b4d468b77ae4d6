"""What a request says and a report holds; whatever bytes come, a request is one or is none."""

import runpy
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from commitment_peers import information, references, told
from doorward.archive.commitment.messages import (
    Found,
    Reference,
    encode_report,
    notice,
    read_request,
    unfit,
)
from doorward.dicom.values import encode_identifier
from doorward.dicom.walk import Syntax
from doorward.errors import LimitExceeded
from doorward.wire.command import NActionRequest
from doorward.wire.negotiation import AcceptedContext
from doorward.wire.uids import (
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    STORAGE_COMMITMENT_PUSH_MODEL,
    STORAGE_COMMITMENT_PUSH_MODEL_INSTANCE,
    VERIFICATION,
)
from index_entries import CT
from loopback import limits

FUZZ = runpy.run_path(str(Path(__file__).resolve().parents[2] / "fuzz" / "fuzz_commitment.py"))
uids = st.from_regex(r"[0-2](\.(0|[1-9][0-9]{0,8})){1,6}", fullmatch=True)
pairs = st.tuples(uids, uids)


@given(transaction=uids, asked=st.lists(pairs, min_size=1, max_size=5, unique=True))
@pytest.mark.parametrize(
    ("uid", "syntax"),
    [
        (EXPLICIT_VR_LITTLE_ENDIAN, Syntax.EXPLICIT_LITTLE),
        (IMPLICIT_VR_LITTLE_ENDIAN, Syntax.IMPLICIT_LITTLE),
    ],
)
def test_what_is_asked_is_read_in_its_order(uid, syntax, transaction, asked):
    found = read_request(information(transaction, asked, syntax), uid)

    assert found is not None
    assert (found.transaction_uid, list(found.references)) == (transaction, asked)


def test_an_instance_that_is_named_twice_is_asked_for_once():
    found = read_request(information("1.2", references("1.3", "1.3")), EXPLICIT_VR_LITTLE_ENDIAN)

    assert found is not None
    assert found.references == (Reference(CT, "1.3"),)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x08\x00",
        information("", [(CT, "1.3")]),
        information("1.2", []),
        information("1.2", [(CT, "")]),
        information("1.2", [("", "1.3")]),
        information("1.2\\1.3", [(CT, "1.3")]),
        information("1.2", [(CT, "1.3\\1.4")]),
        information("1.2", [(CT, "1.3")])[:-3],
        encode_identifier([(0x00081195, "UI", "1.2")], Syntax.EXPLICIT_LITTLE),
        encode_identifier([(0x00081195, "LO", "Nobody^Known")], Syntax.EXPLICIT_LITTLE),
    ],
)
def test_what_names_no_transaction_or_no_instances_is_no_request(data):
    assert read_request(data, EXPLICIT_VR_LITTLE_ENDIAN) is None


def test_too_many_instances_are_refused():
    data = information("1.2", references("1.1", "1.2", "1.3"))
    with pytest.raises(LimitExceeded, match="commitment_instances"):
        read_request(data, EXPLICIT_VR_LITTLE_ENDIAN, limits(commitment_instances=2))


@given(data=st.binary(max_size=200))
def test_any_bytes_are_a_request_or_none(data):
    FUZZ["check"](data)


@pytest.mark.parametrize("path", sorted(FUZZ["CORPUS"].iterdir()), ids=lambda path: path.name)
def test_the_corpus_of_the_fuzzer_holds(path):
    FUZZ["check"](path.read_bytes())


@pytest.mark.parametrize(
    ("committed", "failed", "event_type"),
    [(("1.3", "1.4"), (), 1), ((), (("1.5", 0x0112),), 2), (("1.3",), (("1.5", 0x0119),), 2)],
)
def test_a_report_names_every_instance_and_says_by_its_type_whether_all_are_safe(
    committed, failed, event_type
):
    found = Found(
        committed=tuple(references(*committed)),
        failed=tuple((Reference(CT, uid), reason) for uid, reason in failed),
    )
    data = encode_report("1.2", found, "DOORWARD", EXPLICIT_VR_LITTLE_ENDIAN)

    command = notice(7, found)
    assert (command.message_id, command.has_data_set) == (7, True)
    assert told(command.event_type_id, data) == (event_type, "1.2", list(committed), dict(failed))
    assert read_request(data, EXPLICIT_VR_LITTLE_ENDIAN) is not None or not committed


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({}, None),
        ({"requested_sop_class_uid": VERIFICATION}, 0x0118),
        ({"requested_sop_instance_uid": "1.2.3"}, 0x0112),
        ({"action_type_id": 2}, 0x0123),
    ],
)
def test_only_the_one_action_of_the_one_instance_is_taken(changes, status):
    fields = {
        "requested_sop_class_uid": STORAGE_COMMITMENT_PUSH_MODEL,
        "requested_sop_instance_uid": STORAGE_COMMITMENT_PUSH_MODEL_INSTANCE,
        "action_type_id": 1,
    } | changes
    context = AcceptedContext(
        id=1,
        abstract_syntax=STORAGE_COMMITMENT_PUSH_MODEL,
        transfer_syntax=EXPLICIT_VR_LITTLE_ENDIAN,
    )
    answer = unfit(context, NActionRequest(message_id=1, **fields))

    assert (answer and answer.status) == status


def test_an_action_on_the_context_of_another_class_is_not_taken():
    context = AcceptedContext(
        id=1, abstract_syntax=VERIFICATION, transfer_syntax=EXPLICIT_VR_LITTLE_ENDIAN
    )
    request = NActionRequest(
        message_id=1,
        requested_sop_class_uid=STORAGE_COMMITMENT_PUSH_MODEL,
        requested_sop_instance_uid=STORAGE_COMMITMENT_PUSH_MODEL_INSTANCE,
        action_type_id=1,
    )
    answer = unfit(context, request)
    assert answer is not None
    assert answer.status == 0x0118
