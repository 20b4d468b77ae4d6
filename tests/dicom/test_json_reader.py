"""DICOM JSON of strangers: what becomes elements, what is refused, and what comes back as it went."""

import json
import struct
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

import model_invariants
import pydicom_files
from doorward.dicom.json_model import encode_data_set
from doorward.dicom.json_reader import decode_data_sets
from doorward.dicom.values import encode_identifier
from doorward.dicom.walk import Syntax
from doorward.errors import DoorwardError, LimitExceeded, PeerProtocolError
from doorward.limits import DEFAULT_LIMITS

EXPLICIT = Syntax.EXPLICIT_LITTLE
UNICODE = (0x00080005, "CS", "ISO_IR 192")


def read(member, tag="00091001", **options):
    """Return VR and value of one attribute."""
    text = json.dumps({tag: member}).encode()
    (elements,) = decode_data_sets(text, **options)
    assert elements[0] == UNICODE
    return elements[1][1:]


@pytest.mark.parametrize(
    ("member", "value"),
    (
        ({"vr": "CS", "Value": ["CT", None, "MR"]}, "CT\\\\MR"),
        ({"vr": "CS"}, ""),
        ({"vr": "LT", "Value": ["a\\b"]}, "a\\b"),
        ({"vr": "LO", "Value": ["山"]}, "山"),
        ({"vr": "DS", "Value": [1.5, "+7", None, 0]}, "1.5\\+7\\\\0"),
        ({"vr": "IS", "Value": [-12]}, "-12"),
        ({"vr": "US", "Value": [0, 65535]}, [0, 65535]),
        ({"vr": "SV", "Value": ["-9223372036854775808"]}, [-(2**63)]),
        ({"vr": "AT", "Value": ["0018106a"]}, [0x0018106A]),
        ({"vr": "FD", "Value": [1.5, "-Infinity"]}, struct.pack("<2d", 1.5, -float("inf"))),
        ({"vr": "OB", "InlineBinary": "YWI="}, b"ab"),
        ({"vr": "UN"}, b""),
        ({"vr": "PN", "Value": [{"Alphabetic": "A", "Phonetic": "C"}, None, {}]}, "A==C\\\\"),
        ({"vr": "SQ", "Value": [{}, {"00100020": {"vr": "LO"}}]}, [[], [(0x00100020, "LO", "")]]),
    ),
)
def test_a_member_becomes_an_element(member, value):
    assert read(member) == (member["vr"], value)


def test_the_digits_of_a_decimal_string_are_kept():
    (elements,) = decode_data_sets(b'{"00180050":{"vr":"DS","Value":[1.50,1E2]}}')
    assert elements[1] == (0x00180050, "DS", "1.50\\1E2")


def test_elements_are_in_order_without_group_lengths_and_say_that_they_are_unicode():
    text = b"""[{"00100020":{"vr":"LO"},"00100000":{"vr":"UL","Value":[4]},
        "00080005":{"vr":"CS","Value":["ISO_IR 100"]},"00080060":{"vr":"CS"}}, {}]"""
    first, second = decode_data_sets(text)
    assert [tag for tag, _, _ in first] == [0x00080005, 0x00080060, 0x00100020]
    assert first[0] == UNICODE
    assert second == [UNICODE]


def test_bulk_data_are_asked_for_by_their_uri():
    member = {"vr": "OW", "BulkDataURI": "part-2"}
    assert read(member, bytes_of={"part-2": b"ab"}.get) == ("OW", b"ab")
    with pytest.raises(PeerProtocolError, match=r"\(0009,1001\): nothing is known under"):
        read(member)


REFUSED = (
    {"vr": "ZZ"},
    {"Value": ["x"]},
    {"vr": 7},
    ["vr"],
    {"vr": "OB", "Value": [1], "InlineBinary": "YWI="},
    {"vr": "OB", "Value": [1]},
    {"vr": "OB", "InlineBinary": "Y!"},
    {"vr": "OB", "InlineBinary": "é"},
    {"vr": "OB", "InlineBinary": 7},
    {"vr": "LO", "InlineBinary": "YWI="},
    {"vr": "LO", "BulkDataURI": "x"},
    {"vr": "LO", "Value": "x"},
    {"vr": "LO", "Value": [7]},
    {"vr": "LO", "Value": ["a\\b"]},
    {"vr": "LO", "Value": ["x" * 65]},
    {"vr": "LO", "Value": [{"Alphabetic": "x"}]},
    {"vr": "LT", "Value": ["a", "b"]},
    {"vr": "CS", "Value": ["é"]},
    {"vr": "UI", "Value": ["1.2/../3"]},
    {"vr": "DS", "Value": [0.12345678901234567]},
    {"vr": "PN", "Value": ["A^B"]},
    {"vr": "PN", "Value": [{"Latin": "A"}]},
    {"vr": "PN", "Value": [{"Alphabetic": "A=B"}]},
    {"vr": "PN", "Value": [{"Alphabetic": 7}]},
    {"vr": "US", "Value": [65536]},
    {"vr": "US", "Value": [-1]},
    {"vr": "US", "Value": [1.5]},
    {"vr": "US", "Value": [None]},
    {"vr": "SS", "Value": [10**30]},
    {"vr": "AT", "Value": ["0018"]},
    {"vr": "FL", "Value": [1e39]},
    {"vr": "FL", "Value": ["1"]},
    {"vr": "FL", "Value": [[]]},
    {"vr": "SQ", "Value": [None]},
    {"vr": "SQ", "Value": [[{}]]},
    {"vr": "LO", "Value": ["\ud800"]},
)


@pytest.mark.parametrize("member", REFUSED)
def test_what_an_element_cannot_be_is_refused(member):
    with pytest.raises(PeerProtocolError, match=r"PS3\.18 section F\.2"):
        read(member)


@pytest.mark.parametrize(
    "text",
    (
        b"",
        b"7",
        b'"x"',
        b"[[]]",
        b"{",
        b"\xff",
        b'{"0010":{"vr":"LO"}}',
        b'{"PatientID":{"vr":"LO"}}',
        b'{"FFFEE000":{"vr":"LO"}}',
        b'{"00100020":{"vr":"LO"},"00100020":{"vr":"LO"}}',
        b'{"0010002a":{"vr":"LO"},"0010002A":{"vr":"LO"}}',
        b'{"00100020":{"vr":"LO","vr":"SH"}}',
        b'{"00189073":{"vr":"FD","Value":[NaN]}}',
        b'{"00189073":{"vr":"FD","Value":[1e999]}}',
        b'{"00100020":{"vr":"LO","Value":["Doe]}}',
    ),
)
def test_what_is_no_dicom_json_is_refused_without_its_text(text):
    with pytest.raises(PeerProtocolError) as caught:
        decode_data_sets(text)
    assert "Doe" not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    ("bound", "text"),
    (
        ("json_model_bytes", b" " * 1_001),
        ("json_depth", b"[" * 10),
        ("json_depth", b'{"a":' * 10),
        ("json_model_values", b"[" + b"[]," * 60),
        ("json_model_values", b"[" + b"0," * 60),
    ),
)
def test_bombs_are_refused_before_anything_is_built(bound, text):
    tight = replace(DEFAULT_LIMITS, json_model_bytes=1_000, json_depth=9, json_model_values=50)
    with pytest.raises(LimitExceeded, match=bound):
        decode_data_sets(text, limits=tight)


def test_punctuation_inside_strings_is_no_depth_and_no_value():
    tight = replace(DEFAULT_LIMITS, json_depth=4, json_model_values=5)
    read({"vr": "LO", "Value": ["[[[[{{{{,,,,\"'["]}, limits=tight)


def test_a_text_of_nothing_but_open_strings_costs_no_more_than_its_length():
    with pytest.raises(PeerProtocolError):
        decode_data_sets(b'"\\' * 1_000_000)


# --- there and back ----------------------------------------------------------------------------------------

_WORDS = st.text(
    st.characters(codec="utf-8", exclude_characters="\\=\0", exclude_categories=("Cc",)), max_size=8
)
_WORD = _WORDS.map(str.strip).filter(lambda word: word == word.strip(" \0"))
_VALUES = {
    "LO": _WORD,
    "LT": _WORD,
    "PN": _WORD.filter(bool),
    "CS": st.sampled_from(("CT", "", "MR\\CT", "\\US")),
    "DS": st.sampled_from(("1.50", "+1", "007", "1E400", "12345678901234.5", "-0", "", "1\\x")),
    "IS": st.integers(-(2**31), 2**31 - 1).map(str),
    "UI": st.sampled_from(("1.2.3", "")),
    "US": st.lists(st.integers(0, 65535), max_size=3),
    "SV": st.lists(st.integers(-(2**63), 2**63 - 1), max_size=2),
    "AT": st.lists(st.integers(0, 2**32 - 1), max_size=2),
    "FD": st.lists(st.floats(allow_nan=False), max_size=3).map(
        lambda row: struct.pack(f"<{len(row)}d", *row)
    ),
    "FL": st.lists(st.floats(width=32, allow_nan=False), max_size=3).map(
        lambda row: struct.pack(f"<{len(row)}f", *row)
    ),
    "OW": st.binary(max_size=5).map(lambda half: half + half),
    "UN": st.binary(max_size=5).map(lambda half: half + half),
}
_LEAVES = st.sampled_from(sorted(_VALUES)).flatmap(lambda vr: st.tuples(st.just(vr), _VALUES[vr]))
_TAGS = st.integers(0x00090001, 0x7FDFFFFF).filter(lambda tag: tag & 0xFFFF)


def _data_sets(values):
    return st.dictionaries(_TAGS, values, max_size=5).map(
        lambda tree: [(tag, *tree[tag]) for tag in sorted(tree)]
    )


_TREES = st.recursive(
    _LEAVES,
    lambda inner: st.lists(_data_sets(inner), max_size=3).map(lambda items: ("SQ", items)),
    max_leaves=12,
)


@given(_data_sets(_TREES))
def test_a_data_set_comes_back_as_the_bytes_that_it_was(elements):
    buffer = encode_identifier([UNICODE, *elements], EXPLICIT)
    (back,) = decode_data_sets(b"".join(encode_data_set(buffer, EXPLICIT)))
    assert encode_identifier(back, EXPLICIT) == buffer


@given(st.binary(max_size=80))
def test_bytes_of_strangers_become_nothing(text):
    try:
        found = decode_data_sets(text)
    except (PeerProtocolError, LimitExceeded):
        return
    assert all(elements == [UNICODE] for elements in found)


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ("vr", "Value", "InlineBinary", "BulkDataURI", "00100010", "Alphabetic")
            ),
            inner | st.sampled_from(("PN", "SQ", "US", "DS", "FD", "OB", "UI", "AT")),
            max_size=4,
        )
    ),
    max_leaves=10,
)


@given(JSON)
def test_any_json_becomes_elements_that_can_be_written_or_is_refused(tree):
    try:
        found = decode_data_sets(json.dumps({"00100010": tree}).encode())
    except PeerProtocolError:
        return
    for elements in found:
        encode_identifier(elements, EXPLICIT)


#: Files with a value of odd length, which gets its padding when it is written.
ODD = {"test_files/meta_missing_tsyntax.dcm", "test_files/nested_priv_SQ.dcm"}


@pytest.mark.parametrize("name", sorted(pydicom_files.PATHS))
def test_what_we_write_we_read_again(name):
    path = pydicom_files.PATHS[name]
    try:
        body, syntax, _ = pydicom_files.body_of(path, pydicom_files.read(path))
        text = b"".join(encode_data_set(body, syntax))
    except DoorwardError:
        return  # listed in docs/pydicom-differences.md, see test_json_model
    (elements,) = decode_data_sets(text)
    again = b"".join(encode_data_set(encode_identifier(elements, EXPLICIT), EXPLICIT))
    expected = {**json.loads(text), "00080005": {"vr": "CS", "Value": ["ISO_IR 192"]}}
    assert (expected == json.loads(again)) == (name not in ODD)


@pytest.mark.parametrize(
    "path", sorted((model_invariants.CORPUS / "json_model").iterdir()), ids=lambda p: p.name
)
def test_what_fuzzing_has_kept_holds(path):
    model_invariants.check_json_model(path.read_bytes())
