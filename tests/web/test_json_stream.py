"""JSON in a stream: the grammar is json's own, the counts are those of the built values, and nothing else is kept."""

import itertools
import json
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from doorward.errors import LimitExceeded, PeerProtocolError
from doorward.limits import Limits
from doorward.web.json_stream import JsonStream, MemberReader, StudyCounter, members
from web_invariants import check_json_stream

CORPUS = Path(__file__).parent.parent / "fuzz" / "corpus" / "json_stream"

CANARY = "CANARYDOE^CANARYJOHN"


def fed(reader, text, cuts=()):
    """Feed a reader in pieces and finish it."""
    whole = text if isinstance(text, bytes) else text.encode()
    edges = [0, *sorted({c for c in cuts if 0 < c < len(whole)}), len(whole)]
    for begin, end in itertools.pairwise(edges):
        if not reader.feed(memoryview(whole)[begin:end]):
            break
    reader.finish()
    return reader


def study(number=6, uid="2.25.1", **more):
    attributes = {
        "00080005": {"vr": "CS", "Value": ["ISO_IR 192"]},
        "00100010": {"vr": "PN", "Value": [{"Alphabetic": CANARY}]},
        "0020000D": {"vr": "UI", "Value": [uid]},
    }
    if number is not None:
        attributes["00201208"] = {"vr": "IS", "Value": [number]}
    return attributes | more


# --- the grammar ------------------------------------------------------------------------------------------------------


class Silent:
    def opened(self, depth, *, is_array): ...
    def closed(self, depth): ...
    def key(self, depth, name): ...
    def scalar(self, depth, text, *, is_string): ...
    def may_skip(self, depth):
        return depth % 2 == 1

    def wants(self, depth):
        return depth % 2 == 0


def is_legal(text, cuts=()):
    stream = JsonStream(Silent(), limits=Limits(json_text_bytes=10_000, json_depth=500))
    edges = [0, *sorted({c for c in cuts if 0 < c < len(text)}), len(text)]
    try:
        for begin, end in itertools.pairwise(edges):
            stream.feed(memoryview(text)[begin:end])
        stream.finish()
    except PeerProtocolError:
        return False
    return True


def refuse(word):
    raise ValueError(word)


def json_says(text):
    try:
        json.loads(text.decode(), parse_constant=refuse)
    except (ValueError, RecursionError):
        return False
    return True


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**20), 10**20)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=12),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4)
    ),
    max_leaves=12,
)
CUTS = st.sets(st.integers(1, 300), max_size=40)
SOUP = st.lists(
    st.sampled_from(
        [
            *'{}[]:,"\\ \n\t',
            '"a"',
            '"Value"',
            '"\\u00e9"',
            "1",
            "-0",
            "01",
            "1.",
            "2e+5",
            "true",
            "nul",
            "null",
            "é",
        ]
    ),
    max_size=14,
).map("".join)


@given(VALUES, CUTS, st.booleans())
def test_everything_that_json_writes_is_legal_however_it_is_cut(value, cuts, is_ascii):
    assert is_legal(
        json.dumps(value, ensure_ascii=is_ascii, indent=len(cuts) % 3 or None).encode(), cuts
    )


@given(SOUP, CUTS)
@example('{"a":1}', set())
@example('[{"vr":"PN","Value":[{"Alphabetic":"x"}]},]', {3})
@example('["\x1f"]', set())
@example('{"a":1,}', set())
@example("[01]", set())
@example('["\\u00g0"]', {4, 5, 6})
@example("1 2", set())
def test_the_grammar_is_that_of_json_however_it_is_cut(text, cuts):
    raw = text.encode()
    assert is_legal(raw, cuts) is json_says(raw)


@given(st.binary(max_size=60), CUTS)
def test_random_bytes_are_read_or_refused_and_nothing_else(text, cuts):
    for reader in (StudyCounter(), MemberReader("a")):
        fed(reader, text, cuts)
        assert isinstance(reader.is_whole, bool)


def test_depth_is_bounded():
    with pytest.raises(LimitExceeded):
        JsonStream(Silent(), limits=Limits(json_depth=3)).feed(memoryview(b"[[[["))


def test_numbers_without_end_are_bounded():
    with pytest.raises(LimitExceeded):
        JsonStream(Silent(), limits=Limits(json_text_bytes=20)).feed(memoryview(b"[" + b"1" * 40))


def test_strings_without_end_are_walked_over():
    counter = StudyCounter()
    begin = b'[{"00100010":{"vr":"PN","Value":[{"Alphabetic":"'
    counter.feed(memoryview(begin))
    for _ in range(200):
        assert counter.feed(memoryview(b"x" * 50_000))
    counter.feed(memoryview(b'"}]}}]'))
    counter.finish()
    assert counter.studies == 1


# --- counting ---------------------------------------------------------------------------------------------------------


def counted(text, cuts=()):
    counter = fed(StudyCounter(), text, cuts)
    return counter.elements, counter.studies, counter.instances, counter.with_instances


def test_studies_are_counted_and_their_images_summed():
    counter = fed(StudyCounter(), json.dumps([study(6), study(7), study(None)]))
    assert (counter.is_whole, counter.kind) == (True, "array")
    assert (counter.elements, counter.studies) == (3, 3)
    assert (counter.instances, counter.with_instances) == (13, 2)
    assert counter.extra_attributes == 2


@pytest.mark.parametrize(
    ("value", "total"),
    [
        ("6", 6),
        (" 12 ", 12),
        (6, 6),
        ("x", 0),
        (6.5, 0),
        (-1, 0),
        (True, 0),
        ("1" * 13, 0),
        (None, 0),
    ],
)
def test_only_a_plain_number_is_added(value, total):
    assert counted(json.dumps([study(value)]))[2] == total


def test_only_the_first_value_counts_and_sequences_do_not():
    sequence = {"vr": "SQ", "Value": [{"00201208": {"vr": "IS", "Value": [99]}}]}
    several = {"vr": "IS", "Value": [[5], 4, 3]}
    assert counted(json.dumps([study(6, **{"00081110": sequence})]))[2] == 6
    assert counted(json.dumps([study(None, **{"00201208": several})]))[2] == 0
    assert counted(json.dumps([study(None, **{"00201208": {"vr": "IS"}})]))[3] == 0


@pytest.mark.parametrize(
    ("text", "elements", "studies"),
    [
        ("[]", 0, 0),
        ('[1, "a", null]', 3, 0),
        ('["f2fe3b14-c6"]', 1, 0),
        ('[{"error": "please log in"}]', 1, 0),
        ('[{"id": 1, "name": "x"}]', 1, 0),
        ("{}", 0, 0),
        ("7", 0, 0),
    ],
)
def test_lists_of_other_things_hold_no_studies(text, elements, studies):
    assert counted(text)[:2] == (elements, studies)


TAGS = st.sampled_from(["00080020", "00100010", "0020000D", "00201208", "0020000d", "name", ""])
ATTRIBUTES = st.one_of(
    st.fixed_dictionaries(
        {"vr": st.just("IS"), "Value": st.lists(st.integers(-5, 10**6), max_size=3)}
    ),
    st.fixed_dictionaries(
        {"Value": st.lists(st.text(max_size=8), max_size=2), "vr": st.just("LO")}
    ),
    st.just({"vr": "PN", "Value": [{"Alphabetic": CANARY}]}),
    st.just({"vr": "SQ", "Value": [{"00201208": {"vr": "IS", "Value": [3]}}]}),
    st.text(max_size=4),
    st.integers(),
)
ELEMENTS = st.dictionaries(TAGS, ATTRIBUTES, max_size=6) | VALUES


def by_building(elements):
    """The same counts from built values."""
    objects = [e for e in elements if isinstance(e, dict)]
    hexadecimal = set("0123456789abcdefABCDEF")
    studies = sum(any(len(k) == 8 and set(k) <= hexadecimal for k in e) for e in objects)
    total = with_number = 0
    for one in objects:
        values = one.get("00201208", {})
        values = values.get("Value", []) if isinstance(values, dict) else []
        first = (
            str(values[0])
            if isinstance(values, list) and values and not isinstance(values[0], (dict, list))
            else ""
        )
        if first.strip().isascii() and first.strip().isdigit() and len(first.strip()) <= 12:
            total, with_number = total + int(first), with_number + 1
    return len(elements), studies, total, with_number


@given(st.lists(ELEMENTS, max_size=5), CUTS)
def test_counts_are_those_of_the_built_values_however_it_is_cut(elements, cuts):
    assert counted(json.dumps(elements), cuts) == by_building(elements)


def test_the_mark_tells_pages_apart_and_is_no_uid():
    first, again, other = (
        fed(StudyCounter(), json.dumps([study(uid=uid), study(uid="2.25.9")]))
        for uid in ("2.25.1", "2.25.1", "2.25.2")
    )
    assert first.mark == again.mark != other.mark
    assert b"2.25" not in first.mark


def test_nothing_that_was_not_asked_for_is_held():
    text = json.dumps([study(6) for _ in range(20)]).encode()
    for size in (1, 7, 64, len(text)):
        counter = StudyCounter()
        for begin in range(0, len(text), size):
            counter.feed(memoryview(text)[begin : begin + size])
            assert "CANARY" not in str(vars(counter)) + str(vars(counter._stream))
        assert counter.studies == 20


# --- members ----------------------------------------------------------------------------------------------------------


def test_named_scalars_of_one_object_are_read_and_no_others():
    text = '{"CountStudies": 6, "Name": "CANARY", "In": {"CountStudies": 9}, "IsSecure": true, "V": "1.10.1"}'
    for cuts in ((), range(len(text))):
        reader = fed(MemberReader("CountStudies", "IsSecure", "V", "In"), text, cuts)
        assert reader.found == {"CountStudies": "6", "IsSecure": "true", "V": "1.10.1"}
        assert (reader.number("CountStudies"), reader.number("V")) == (6, None)


def test_of_an_array_the_first_object_is_read():
    reader = fed(MemberReader("a"), '[1, {"a": "x"}, {"a": "y"}]')
    assert (reader.found, reader.elements, reader.kind) == ({"a": "x"}, 3, "array")


def test_a_member_that_is_too_long_is_not_read():
    assert fed(MemberReader("a"), json.dumps({"a": "x" * 1_000})).found == {}


def test_escapes_are_undone_in_what_is_read():
    assert fed(MemberReader("a"), '{"\\u0061": "1\\u002e2"}').found == {"a": "1.2"}


def test_members_of_a_broken_text_are_none_at_all():
    assert members(b'{"a": 1', "a") == {}
    assert members(b'{"a": 1}', "a") == {"a": "1"}


def test_infinity_is_no_json():
    for word in ("NaN", "Infinity", "-Infinity"):
        assert not fed(MemberReader(), f"[{word}]").is_whole


@pytest.mark.parametrize("path", sorted(CORPUS.iterdir()), ids=lambda path: path.name)
def test_inputs_that_the_fuzzer_kept_hold_the_invariant(path):
    check_json_stream(path.read_bytes())
