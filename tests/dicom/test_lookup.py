"""What an index is asked, compared with the reference: nothing that matches may be missed."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from doorward.dicom.attributes import Attribute
from doorward.dicom.lookup import Lookup, conditions
from doorward.dicom.query import Rules, comparables, matches, parse_query
from doorward.errors import PeerProtocolError

ID, NAME, DATE, TIME, MODALITIES = 0x00100020, 0x00100010, 0x00080020, 0x00080030, 0x00080061
NUMBER, STEPS = 0x00200011, 0x00400100
VRS = {ID: "LO", NAME: "PN", DATE: "DA", TIME: "TM", MODALITIES: "CS", NUMBER: "IS"}


def view(attributes):
    return {
        tag: Attribute(VRS[tag], tuple(text.split("\\")) if text else ())
        for tag, text in attributes.items()
    }


def is_satisfied(condition, data_set, rules):
    """Do what an index would do with the texts that it holds."""
    attribute = data_set.get(condition.tag, Attribute("LO"))
    texts = comparables(VRS.get(condition.tag, ""), attribute.values, rules)
    if condition.test is Lookup.SCAN or (condition.or_absent and not texts):
        return True
    if condition.test is Lookup.ABSENT:
        return not texts
    if condition.test is Lookup.EQUAL:
        return any(text in condition.texts for text in texts)
    if condition.test is Lookup.PREFIX:
        return any(text.startswith(condition.texts) for text in texts)
    return any(text in period for text in texts for period in condition.periods)


@pytest.mark.parametrize(
    ("tag", "text", "expected"),
    (
        (ID, "", []),
        (ID, "1", [(Lookup.EQUAL, ("1",), True)]),
        (ID, "2\\1", [(Lookup.EQUAL, ("1", "2"), True)]),
        (ID, "1*", [(Lookup.PREFIX, ("1",), True)]),
        (ID, "1*2", [(Lookup.PREFIX, ("1",), False)]),
        (ID, "*1", [(Lookup.SCAN, (), False)]),
        (NAME, "Doe^J*", [(Lookup.PREFIX, ("doe^j",), True)]),
        (NAME, "Doe^*", [(Lookup.PREFIX, ("doe",), False)]),
        (NAME, "Doe^John", [(Lookup.EQUAL, ("doe^john",), True)]),
        (NAME, "Doe=山", [(Lookup.EQUAL, ("doe",), False)]),
        (DATE, "20200101", [(Lookup.RANGE, (), True)]),
        (NUMBER, "070", [(Lookup.EQUAL, ("7E1",), True)]),
    ),
)
def test_a_key_is_looked_up_in_the_narrowest_way(tag, text, expected):
    found = conditions(parse_query(view({tag: text})))
    assert [(one.test, one.texts, one.is_exact) for one in found] == expected


def test_what_was_negotiated_is_looked_up_too():
    query = parse_query(view({MODALITIES: "CT\\MR"}), Rules(multiple_values=True))
    assert [one.texts for one in conditions(query)] == [("CT",), ("MR",)]
    query = parse_query(view({ID: '""'}), Rules(empty_values=True))
    assert [one.test for one in conditions(query)] == [Lookup.ABSENT]
    rules = Rules(combined_date_time=True)
    (condition,) = conditions(parse_query(view({DATE: "20200101-20200102", TIME: "10-11"}), rules))
    assert (condition.periods[0].first, condition.is_exact) == ("20200101", False)
    items = {STEPS: Attribute("SQ", items=[view({ID: "1"})])}
    assert [one.test for one in conditions(parse_query(items))] == [Lookup.SCAN]


def test_a_condition_never_shows_its_texts():
    (condition,) = conditions(parse_query(view({NAME: "Doe^John"})))
    assert repr(condition) == "Condition(00100010, EQUAL, is_exact=True)"


TEXTS = st.one_of(
    st.text("aA*?\\^=é", max_size=7),
    st.sampled_from(
        ("20200101", "20200101-", "-20200102", "20200102", "10", "1030-11", "7", "007")
    ),
)
TAGS = st.sampled_from(sorted(VRS))
RULES = st.builds(
    Rules,
    combined_date_time=st.booleans(),
    empty_values=st.booleans(),
    multiple_values=st.booleans(),
    unknown_matches=st.booleans(),
    folded_names=st.booleans(),
)


@given(st.dictionaries(TAGS, TEXTS, min_size=1, max_size=3), st.dictionaries(TAGS, TEXTS), RULES)
def test_an_index_finds_all_that_matches_and_no_more_where_it_says_so(key, attributes, rules):
    try:
        query = parse_query(view(key), rules)
    except PeerProtocolError:
        assume(False)
    data_set = view(attributes)
    asked = conditions(query)
    found = all(is_satisfied(condition, data_set, rules) for condition in asked)
    if matches(query, data_set):
        assert found
    elif found:
        assert not all(condition.is_exact for condition in asked)
