"""Attribute matching: each kind of PS3.4 section C.2.2.2 by example, and identifiers of strangers."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

import model_invariants
from doorward.dicom.attributes import Attribute, read_attributes
from doorward.dicom.query import Rules, comparables, matches, parse_query
from doorward.dicom.tags import TAGS, vr_of
from doorward.dicom.values import encode_identifier
from doorward.dicom.walk import Syntax
from doorward.errors import LimitExceeded, PeerProtocolError
from doorward.limits import DEFAULT_LIMITS

TAG_OF = {keyword: tag for tag, (_, _, keyword) in TAGS.items()}
STEPS = TAG_OF["ScheduledProcedureStepSequence"]


def view(**attributes):
    """Return a data set: keyword -> text with backslashes, or a list of items."""
    made = {}
    for keyword, value in attributes.items():
        tag = TAG_OF[keyword]
        if isinstance(value, list):
            made[tag] = Attribute("SQ", items=value)
        else:
            made[tag] = Attribute(vr_of(tag), tuple(value.split("\\")) if value else ())
    return made


def is_match(key, data_set, rules=None):
    return matches(parse_query(key, rules), data_set)


def one(keyword, wanted, given, rules=None):
    return is_match(view(**{keyword: wanted}), view(**{keyword: given}), rules)


# --- one key -------------------------------------------------------------------------------------------

MATCHING = (
    # universal matching
    ("PatientID", "", "1"),
    ("PatientID", "*", "1"),
    ("StudyDate", "*", "20200101"),
    ("ModalitiesInStudy", "\\", "CT"),
    # single value matching
    ("PatientID", "A 1", "A 1"),
    ("PatientID", "Je\u0301", "Jé"),
    ("ModalitiesInStudy", "MR", "CT\\MR"),
    ("SeriesNumber", "7", "+007"),
    ("SliceThickness", "1.50", "15e-1"),
    ("SliceThickness", "-0", "0.0"),
    ("Rows", "0512", "512"),
    ("FrameIncrementPointer", "0018106a", "0018106A"),
    # list of UID matching
    ("StudyInstanceUID", "1.2\\1.3", "1.3"),
    # alternatives, where no multiple value matching was negotiated
    ("Modality", "CT\\MR", "MR"),
    ("PatientName", "Doe^*\\Roe^*", "Roe^Jane"),
    ("StudyDate", "20200101\\20210101-", "20220101"),
    # wild card matching
    ("PatientID", "A*?", "A12"),
    ("Modality", "C?", "CT"),
    ("AccessionNumber", "a*\\b*", "b1"),
    # names
    ("PatientName", "muller^*", "Müller^Anna"),
    ("PatientName", "^", "Doe"),
    # range matching
    ("StudyDate", "20200101-20201231", "20200630"),
    ("StudyDate", "20200630", "2020.06.30"),
    ("StudyTime", "10-11", "113059.5"),
    ("StudyTime", "10", "1015"),
    ("AcquisitionDateTime", "20200101120000+0100", "20200101110000+0000"),
    ("AcquisitionDateTime", "2020", "20200630"),
)
NOT_MATCHING = (
    ("PatientID", "A1", "a1"),
    ("PatientID", "A1", ""),
    ("PatientID", "A1", "A1 2"),
    ("StudyInstanceUID", "1.2", "1.2.3"),
    ("StudyInstanceUID", "1.*", "1.2"),
    ("SeriesNumber", "7", "70"),
    ("SeriesNumber", "7", "seven"),
    ("SliceThickness", "1.5", "-1.5"),
    ("SliceThickness", "1E999999999", "1"),
    ("PatientID", '""', ""),
    ("ModalitiesInStudy", "CT\\MR", "US"),
    ("PatientName", "Muller", "Müller^Anna"),
    ("StudyDate", "20200101-20201231", "20210101"),
    ("StudyDate", "-20201231", "no date"),
    ("StudyTime", "10-11", "12"),
    ("StudyDate", "20200101", ""),
)


@pytest.mark.parametrize(("keyword", "wanted", "given"), MATCHING)
def test_what_a_key_asks_for_matches(keyword, wanted, given):
    assert one(keyword, wanted, given)


@pytest.mark.parametrize(("keyword", "wanted", "given"), NOT_MATCHING)
def test_what_a_key_does_not_ask_for_does_not_match(keyword, wanted, given):
    assert not one(keyword, wanted, given)


@pytest.mark.parametrize("wanted", ("", "*"))
def test_a_universal_key_matches_what_is_not_there(wanted):
    assert is_match(view(PatientID=wanted), {})
    assert not is_match(view(PatientID="1"), {})


def test_all_keys_have_to_match():
    study = view(PatientID="1", Modality="CT")
    assert is_match(view(PatientID="1", Modality="CT"), study)
    assert not is_match(view(PatientID="1", Modality="MR"), study)


# --- sequences -----------------------------------------------------------------------------------------


def step(**attributes):
    return {STEPS: Attribute("SQ", items=[view(**attributes)])}


def test_one_item_has_to_match_all_keys_of_a_sequence():
    worklist = {
        STEPS: Attribute(
            "SQ",
            items=[
                view(Modality="CT", ScheduledStationAETitle="A"),
                view(Modality="MR", ScheduledStationAETitle="B"),
            ],
        )
    }
    assert is_match(step(Modality="MR", ScheduledStationAETitle="B"), worklist)
    assert not is_match(step(Modality="MR", ScheduledStationAETitle="A"), worklist)
    assert not is_match(step(Modality="MR"), {})


@pytest.mark.parametrize("items", ([], [{}], [view(Modality="")]))
def test_a_sequence_key_that_asks_for_no_value_is_universal(items):
    assert is_match({STEPS: Attribute("SQ", items=items)}, {})


def test_a_sequence_key_of_two_items_is_refused():
    with pytest.raises(PeerProtocolError, match=r"\(0040,0100\): the key has 2 items"):
        parse_query({STEPS: Attribute("SQ", items=[{}, {}])})


# --- what is negotiated --------------------------------------------------------------------------------


def test_two_quotation_marks_ask_for_no_value_where_it_was_negotiated():
    rules = Rules(empty_values=True)
    assert one("PatientID", '""', "", rules)
    assert is_match(view(PatientID='""'), {}, rules)
    assert not one("PatientID", '""', "1", rules)
    assert one("PatientID", '""', '""')


def test_each_value_has_to_be_there_where_it_was_negotiated():
    rules = Rules(multiple_values=True)
    assert one("ModalitiesInStudy", "CT\\MR", "US\\MR\\CT", rules)
    assert not one("ModalitiesInStudy", "CT\\MR", "MR", rules)
    assert one("StudyInstanceUID", "1.2\\1.3", "1.3", rules)
    assert one("Modality", "CT\\MR", "MR", rules)  # its multiplicity is 1
    with pytest.raises(PeerProtocolError, match="several values with wild cards"):
        one("ModalitiesInStudy", "C*\\MR", "MR", rules)


def test_a_date_and_its_time_are_one_range_where_it_was_negotiated():
    key = view(StudyDate="20200101-20200103", StudyTime="10-11")
    nights = [view(StudyDate=date, StudyTime=time) for date, time in (
        ("20200102", "2300"), ("20200101", "0900"), ("20200103", "1130"), ("20200103", "12"),
        ("20200102", ""), ("", "11"),
    )]  # fmt: skip
    assert [is_match(key, night) for night in nights] == [False, False, True, False, False, False]
    joined = Rules(combined_date_time=True)
    expected = [True, False, True, False, True, False]
    assert [is_match(key, night, joined) for night in nights] == expected
    assert is_match(view(StudyTime="10"), view(StudyTime="1030"), joined)
    assert is_match(view(StudyDate="", StudyTime="10"), view(StudyTime="1030"), joined)
    night = view(StudyDate="20200101-20200102", StudyTime="22-06")
    assert is_match(night, view(StudyDate="20200102", StudyTime="0559"), joined)
    assert not is_match(night, view(StudyDate="20200102", StudyTime="21"), joined)


@pytest.mark.parametrize(
    "key",
    (view(StudyTime="22-06"), view(StudyDate="20200101", StudyTime="22-06")),
)
def test_a_range_that_ends_before_it_begins_is_refused_when_dates_and_times_are_joined(key):
    with pytest.raises(PeerProtocolError, match="range that ends first"):
        parse_query(key, Rules(combined_date_time=True))


def test_names_are_compared_as_written_where_that_is_wanted():
    assert not one("PatientName", "DOE", "Doe", Rules(folded_names=False))


def test_the_unknown_matches_where_that_is_wanted():
    rules = Rules(unknown_matches=True)
    assert one("PatientID", "1", "", rules)
    assert is_match(step(Modality="CT"), {}, rules)
    assert not one("StudyDate", "20200101", "no date", rules)


def test_each_side_names_its_own_offset_from_utc():
    key = view(AcquisitionDateTime="202001011200", TimezoneOffsetFromUTC="+0100")
    assert is_match(key, view(AcquisitionDateTime="202001011100"), Rules()) is False
    moment = view(AcquisitionDateTime="202001011100", TimezoneOffsetFromUTC="+0000")
    assert is_match(key, moment)


# --- the identifier as a whole ---------------------------------------------------------------------------


def test_a_query_says_level_and_what_to_return():
    query = parse_query(
        view(QueryRetrieveLevel="STUDY", SpecificCharacterSet="ISO_IR 100", PatientID="1")
    )
    assert (query.level, query.asked) == ("STUDY", {TAG_OF["PatientID"]})
    assert parse_query({}).level == ""


def test_an_offset_from_utc_is_returned_and_never_matched():
    query = parse_query(view(TimezoneOffsetFromUTC="+0100"))
    assert query.asked == {TAG_OF["TimezoneOffsetFromUTC"]}
    assert matches(query, view(TimezoneOffsetFromUTC="-0500"))


def test_keys_that_hold_bytes_are_named_and_match_everything():
    key = {0x00091001: Attribute("UN", ("",)), 0x7FE00010: Attribute("OW")}
    query = parse_query(key | {STEPS: Attribute("SQ", items=[key])})
    assert query.unmatched == {0x00091001, STEPS}
    assert matches(query, {})


@pytest.mark.parametrize(
    ("keyword", "value"),
    (("StudyDate", "2020-13-01"), ("StudyTime", "22-06"), ("SeriesNumber", "x"), ("Rows", ".")),
)
def test_a_key_that_cannot_be_understood_is_refused_without_its_value(keyword, value):
    with pytest.raises(PeerProtocolError, match=f"{TAG_OF[keyword] & 0xFFFF:04X}") as caught:
        parse_query(view(**{keyword: value}))
    assert value not in str(caught.value) or value == "."


def test_bounds_hold():
    tight = replace(DEFAULT_LIMITS, query_values=2, query_characters=4)
    with pytest.raises(LimitExceeded, match="query_values"):
        parse_query(view(StudyInstanceUID="1\\2\\3"), limits=tight)
    with pytest.raises(LimitExceeded, match="query_characters"):
        parse_query(view(PatientID="12345"), limits=tight)


def test_no_query_shows_its_values():
    query = parse_query(view(PatientName="Doe^J*", PatientID="123", PatientBirthDate="19990101"))
    shown = repr(query)
    assert not [text for text in ("oe", "123", "1999") if text in shown.casefold()]


@pytest.mark.parametrize("syntax", Syntax)
def test_bytes_of_an_identifier_and_of_a_data_set_meet_in_unicode(syntax):
    key = [(0x00080005, "CS", "ISO_IR 192"), (0x00100010, "PN", "Buc^J*"), (0x00080090, "PN", "")]
    stored = [(0x00080005, "CS", "ISO_IR 100"), (0x00100010, "PN", "Buc^Jérôme")]
    query = parse_query(read_attributes(encode_identifier(key, syntax), syntax))
    assert matches(query, read_attributes(encode_identifier(stored, syntax), syntax))


def test_an_index_holds_each_group_of_a_name():
    assert comparables("PN", ("Yamada^Tarou=山田^太郎", ""), Rules()) == (
        "yamada^tarou",
        "山田^太郎",
    )
    assert comparables("DA", ("20200101", "no date", ""), Rules()) == ("20200101",)


TEXTS = st.text('aA*?\\^=- 0129.+é"', max_size=10)
KEYWORDS = st.sampled_from(sorted({keyword for keyword, *_ in MATCHING}))
RULES = st.builds(Rules, *[], combined_date_time=st.booleans(), empty_values=st.booleans(),
                  multiple_values=st.booleans(), unknown_matches=st.booleans())  # fmt: skip


@given(st.dictionaries(KEYWORDS, TEXTS, max_size=3), st.dictionaries(KEYWORDS, TEXTS), RULES)
def test_any_key_and_any_data_set_match_or_not_or_the_key_is_refused(key, data_set, rules):
    try:
        query = parse_query(view(**key), rules)
    except PeerProtocolError:
        return
    assert matches(query, view(**data_set)) in (True, False)
    if not any(text.strip("*\\") for text in key.values()):
        assert matches(query, {})


@given(st.sampled_from(("StudyDate", "PatientID", "PatientName", "SeriesNumber")), TEXTS)
def test_a_value_without_special_characters_finds_itself(keyword, text):
    value = text.translate(str.maketrans("", "", '*?\\-"')).strip()
    try:
        query = parse_query(view(**{keyword: value}))
    except PeerProtocolError:
        return
    assert matches(query, view(**{keyword: value}))


@pytest.mark.parametrize(
    "path", sorted((model_invariants.CORPUS / "query").iterdir()), ids=lambda p: p.name
)
def test_what_fuzzing_has_kept_holds(path):
    model_invariants.check_query(path.read_bytes())
