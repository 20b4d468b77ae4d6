"""Parameters of a search become the query of a C-FIND, or are refused by their name and never by their value."""

import pytest

from doorward.archive.web.query_parameters import parse_search
from doorward.dicom.query import AnyValue, Like, Named, NoValue, OneItem, OneOf, Within
from doorward.errors import LimitExceeded, PeerProtocolError
from doorward.limits import DEFAULT_LIMITS
from index_entries import TAG_OF
from loopback import limits

STUDY_UID = TAG_OF["StudyInstanceUID"]


def search(*pairs, keys=None, bounds=DEFAULT_LIMITS):
    return parse_search(pairs, keys or {}, bounds)


def key(found, keyword):
    [one] = [key for key in found.query.keys if key.tag == TAG_OF[keyword]]
    return one.match


@pytest.mark.parametrize(
    ("name", "text", "keyword", "match"),
    [
        ("PatientID", "P1", "PatientID", OneOf(frozenset({"P1"}))),
        ("00100020", " P1 ", "PatientID", OneOf(frozenset({"P1"}))),
        ("PatientID", "", "PatientID", AnyValue()),
        ("PatientID", "*", "PatientID", AnyValue()),
        ("PatientID", "P*", "PatientID", Like(("P*",))),
        ("StudyInstanceUID", "1.2,1.3", "StudyInstanceUID", OneOf(frozenset({"1.2", "1.3"}))),
        ("StudyInstanceUID", "1.2\\1.3", "StudyInstanceUID", OneOf(frozenset({"1.2", "1.3"}))),
        ("ModalitiesInStudy", "CT,MR", "ModalitiesInStudy", OneOf(frozenset({"CT", "MR"}))),
        ("Rows", "512", "Rows", OneOf(frozenset({"512E0"}))),
    ],
)
def test_a_parameter_is_a_key(name, text, keyword, match):
    assert key(search((name, text)), keyword) == match


def test_names_and_ranges_are_understood_as_in_an_identifier():
    found = search(("PatientName", "Müller*"), ("StudyDate", "20260101-20260131"))
    assert isinstance(key(found, "PatientName"), Named)
    assert isinstance(key(found, "StudyDate"), Within)


def test_dotted_names_are_keys_of_one_item():
    found = search(
        ("00400275.00400009", "S1"),
        ("RequestAttributesSequence.RequestedProcedureID", "R1"),
    )
    match = key(found, "RequestAttributesSequence")
    assert isinstance(match, OneItem)
    assert [one.tag for one in match.keys] == [0x00400009, 0x00401001]


def test_uids_of_the_path_are_keys_that_no_parameter_changes():
    found = search(keys={STUDY_UID: "1.2"})
    assert key(found, "StudyInstanceUID") == OneOf(frozenset({"1.2"}))
    with pytest.raises(PeerProtocolError, match="StudyInstanceUID"):
        search(("StudyInstanceUID", "1.3"), keys={STUDY_UID: "1.2"})


def test_fields_to_include_are_asked_for_without_a_value():
    found = search(("includefield", "00081030,PatientAge"), ("includefield", "all"))
    assert found.includes == {0x00081030, 0x00101010}
    assert found.query.asked == found.includes
    assert found.includes_all


def test_a_field_that_is_matched_too_keeps_its_value():
    found = search(("includefield", "PatientID"), ("PatientID", "P1"))
    assert key(found, "PatientID") == OneOf(frozenset({"P1"}))


def test_pages_and_kinds_of_matching_are_said():
    found = search(
        *(("limit", "10"), ("offset", "20"), ("fuzzymatching", "TRUE")),
        *(("emptyvaluematching", "true"), ("PatientComments", '""'), ("accept", "x")),
    )
    assert (found.limit, found.offset, found.is_fuzzy) == (10, 20, True)
    assert key(found, "PatientComments") == NoValue()
    assert search().limit is None


@pytest.mark.parametrize(
    ("name", "text"),
    [
        *(("Bogus", "secret"), ("0010002", "secret"), ("00100000", "secret"), ("00020010", "1.2")),
        *(("limit", "-1"), ("limit", "x"), ("offset", ""), ("fuzzymatching", "yes")),
        *(("includefield", "Bogus"), ("PatientID.StudyDate", "secret"), ("PixelData", "secret")),
        (".".join(["RequestAttributesSequence"] * 9), "secret"),
    ],
)
def test_what_is_not_understood_is_refused_by_its_name(name, text):
    with pytest.raises(PeerProtocolError) as refusal:
        search((name, text))
    assert "secret" not in str(refusal.value)
    assert name.split(".")[0][:20] in str(refusal.value)


@pytest.mark.parametrize("name", ["PatientID", "limit", "fuzzymatching"])
def test_what_comes_twice_is_refused(name):
    with pytest.raises(PeerProtocolError, match=name):
        search((name, "1"), (name, "1"))


def test_code_strings_may_come_one_by_one():
    found = search(("ModalitiesInStudy", "CT"), ("ModalitiesInStudy", "MR"))
    assert key(found, "ModalitiesInStudy") == OneOf(frozenset({"CT", "MR"}))


def test_a_sequence_cannot_be_a_key_in_two_ways():
    with pytest.raises(PeerProtocolError, match="two ways"):
        search(("00400275.00400009", "S1"), ("00400275", ""))
    with pytest.raises(PeerProtocolError, match="two ways"):
        search(("00400275", ""), ("00400275.00400009", "S1"))


def test_a_malformed_value_is_refused_by_its_tag():
    with pytest.raises(PeerProtocolError) as refusal:
        search(("StudyDate", "yesterday"))
    assert "0008,0020" in str(refusal.value)
    assert "yesterday" not in str(refusal.value)


def test_a_name_that_is_no_name_is_shown_cut_and_clean():
    with pytest.raises(PeerProtocolError) as refusal:
        search(("<b>" + "x" * 500, ""))
    assert "<" not in str(refusal.value)
    assert len(str(refusal.value)) < 200


def test_parameters_have_a_bound():
    with pytest.raises(LimitExceeded, match="qido_parameters"):
        search(("PatientID", "1"), ("StudyDate", ""), bounds=limits(qido_parameters=1))
