"""DICOM JSON: by hand, against pydicom on all its files, and there and back again."""

import base64
import contextlib
import json
import warnings
from dataclasses import replace
from pathlib import Path

import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st

import pydicom_files
from doorward.dicom.attributes import Attribute, read_attributes
from doorward.dicom.json_model import BulkData, encode_data_set, encode_view
from doorward.dicom.values import encode_identifier
from doorward.dicom.walk import Syntax
from doorward.errors import DoorwardError, LimitExceeded, PeerProtocolError
from doorward.limits import DEFAULT_LIMITS

EXPLICIT, BIG = Syntax.EXPLICIT_LITTLE, Syntax.EXPLICIT_BIG
NAME, SEQUENCE, PIXELS = 0x00100010, 0x00400275, 0x7FE00010


def as_json(buffer, syntax=EXPLICIT, **options):
    return json.loads(b"".join(encode_data_set(buffer, syntax, **options)))


def element(tag, vr, value, syntax=EXPLICIT):
    """Return one element as JSON."""
    return as_json(encode_identifier([(tag, vr, value)], syntax), syntax)[f"{tag:08X}"]


# --- values (PS3.18 sections F.2.2 to F.2.7) -------------------------------------------------------------


@pytest.mark.parametrize(
    ("vr", "value", "expected"),
    (
        ("CS", "CT\\MR ", ["CT", "MR"]),
        ("CS", "\\CT", [None, "CT"]),
        ("LT", "a\\b ", ["a\\b"]),
        ("LO", 'say "\x07"', ['say "\x07"']),
        ("AT", [0x0018106A], ["0018106A"]),
        ("US", [0, 65535], [0, 65535]),
        ("SS", [-1], [-1]),
        ("UV", [2**53, 2**53 + 1], [2**53, "9007199254740993"]),
        ("DS", "1.50\\-2\\7E2", [1.5, -2, 700]),
        ("DS", "+1\\007\\.5\\1.", ["+1", "007", ".5", "1."]),
        ("DS", "0.1234567890123\\1234567890123456", [0.1234567890123, "1234567890123456"]),
        ("DS", "1E400\\1E-400\\0E-400\\x", ["1E400", "1E-400", 0.0, "x"]),
        ("IS", "12\\", [12, None]),
        ("PN", "A^B", [{"Alphabetic": "A^B"}]),
        ("PN", "A==C\\", [{"Alphabetic": "A", "Phonetic": "C"}, None]),
    ),
)
def test_a_value_becomes_json(vr, value, expected):
    assert element(0x00091001, vr, value) == {"vr": vr, "Value": expected}


def test_a_decimal_string_keeps_its_digits():
    buffer = encode_identifier([(0x00180050, "DS", "1.50")], EXPLICIT)
    assert b'"Value":[1.50]' in b"".join(encode_data_set(buffer, EXPLICIT))


@pytest.mark.parametrize("vr", ("CS", "SQ", "OB", "US", "PN", "UN"))
def test_an_empty_element_has_no_value(vr):
    assert element(0x00091001, vr, b"" if vr != "SQ" else []) == {"vr": vr}


def test_padding_alone_is_empty():
    assert element(0x00091001, "SH", "  ") == {"vr": "SH"}


@pytest.mark.parametrize("syntax", (EXPLICIT, BIG))
def test_numbers_that_are_not_finite_are_strings(syntax):
    order = "big" if syntax is BIG else "little"
    values = (0x7FF8000000000000, 0x7FF0000000000000, 0xFFF0000000000000, 0x3FF8000000000000)
    raw = b"".join(value.to_bytes(8, order) for value in values)
    written = element(0x00189073, "FD", raw, syntax)
    assert written["Value"] == ["NaN", "Infinity", "-Infinity", 1.5]


@pytest.mark.parametrize(
    ("vr", "big", "little"),
    (
        ("OB", b"\1\2\3\4", b"\1\2\3\4"),
        ("OW", b"\1\2\3\4", b"\2\1\4\3"),
        ("OL", b"\1\2\3\4", b"\4\3\2\1"),
        ("OV", bytes(range(8)), bytes(range(7, -1, -1))),
        ("OW", b"\1\2" * 40_000, b"\2\1" * 40_000),
    ),
)
def test_bytes_are_base64_of_little_endian(vr, big, little):
    written = element(0x00091001, vr, big, BIG)
    assert base64.b64decode(written["InlineBinary"]) == little


def test_text_is_utf_8_and_says_so():
    buffer = encode_identifier(
        [
            (0x00080005, "CS", "ISO_IR 100"),
            (NAME, "PN", "Jérôme"),
            (
                SEQUENCE,
                "SQ",
                [
                    [(NAME, "PN", "é")],
                    [(0x00080005, "CS", "ISO_IR 192"), (NAME, "PN", "山".encode())],
                ],
            ),
        ],
        EXPLICIT,
    )
    written = as_json(buffer)
    assert written["00080005"]["Value"] == ["ISO_IR 192"]
    names = [item["00100010"]["Value"][0]["Alphabetic"] for item in written["00400275"]["Value"]]
    assert names == ["é", "山"]
    assert written["00400275"]["Value"][1]["00080005"]["Value"] == ["ISO_IR 192"]


def test_group_lengths_are_left_out_and_items_may_be_empty():
    buffer = encode_identifier([(0x00080000, "UL", 4), (SEQUENCE, "SQ", [[], []])], EXPLICIT)
    assert as_json(buffer) == {"00400275": {"vr": "SQ", "Value": [{}, {}]}}


def test_a_sequence_written_as_unknown_is_a_sequence_inside_implicit():
    inner = encode_identifier([(0x00280010, "US", 1)], Syntax.IMPLICIT_LITTLE)
    buffer = b"\x09\0\x01\x10UN\0\0\xff\xff\xff\xff\xfe\xff\0\xe0" + len(inner).to_bytes(
        4, "little"
    )
    written = as_json(buffer + inner + b"\xfe\xff\xdd\xe0\0\0\0\0")
    assert written["00091001"] == {"vr": "SQ", "Value": [{"00280010": {"vr": "US", "Value": [1]}}]}


def test_a_vr_younger_than_this_program_is_unknown():
    buffer = b"\x09\0\x01\x10ZZ\0\0\2\0\0\0ab"
    assert as_json(buffer) == {"00091001": {"vr": "UN", "InlineBinary": "YWI="}}


# --- bulk data -------------------------------------------------------------------------------------------


def test_what_is_long_is_asked_for_with_its_path_and_place():
    inner = [(0x00091001, "OB", b"x" * 10), (0x00091002, "LO", "y" * 10)]
    buffer = encode_identifier([(SEQUENCE, "SQ", [[], inner]), (PIXELS, "OW", b"ab")], EXPLICIT)
    asked = []

    def uri_of(bulk):
        asked.append(bulk)
        return f"bulk/{len(asked)}"

    written = as_json(buffer, uri_of=uri_of, inline_bytes=8)
    assert [(bulk.path, bulk.vr, bulk.length) for bulk in asked] == [
        ((SEQUENCE, 1, 0x00091001), "OB", 10),
        ((PIXELS,), "OW", 2),
    ]
    assert buffer[asked[0].offset : asked[0].offset + 10] == b"x" * 10
    item = written["00400275"]["Value"][1]
    assert item["00091001"] == {"vr": "OB", "BulkDataURI": "bulk/1"}
    assert item["00091002"]["Value"] == ["y" * 10]
    assert written["7FE00010"] == {"vr": "OW", "BulkDataURI": "bulk/2"}


def test_encapsulated_pixel_data_are_one_value_without_their_delimiter():
    fragments = b"\xfe\xff\0\xe0\0\0\0\0\xfe\xff\0\xe0\2\0\0\0ab"
    buffer = b"\xe0\x7f\x10\0OB\0\0\xff\xff\xff\xff" + fragments + b"\xfe\xff\xdd\xe0\0\0\0\0"
    asked = []
    as_json(buffer, uri_of=asked.append)
    assert asked == [BulkData((PIXELS,), "OB", 12, len(fragments))]
    assert base64.b64decode(as_json(buffer)["7FE00010"]["InlineBinary"]) == fragments


# --- refusals --------------------------------------------------------------------------------------------


def test_a_tag_that_comes_twice_is_refused():
    once = encode_identifier([(NAME, "PN", "A")], EXPLICIT)
    with pytest.raises(PeerProtocolError, match="more than once"):
        as_json(once + once)


def test_long_text_that_has_no_uri_is_refused():
    tight = replace(DEFAULT_LIMITS, value_bytes=4)
    with pytest.raises(LimitExceeded, match="value_bytes"):
        as_json(encode_identifier([(NAME, "PN", "abcdef")], EXPLICIT), limits=tight)


@given(st.binary(max_size=150), st.sampled_from(Syntax))
def test_bytes_of_strangers_become_json_or_are_refused(buffer, syntax):
    try:
        text = b"".join(encode_data_set(buffer, syntax))
    except (PeerProtocolError, LimitExceeded):
        return
    json.loads(text, parse_constant=pytest.fail)


# --- pydicom ---------------------------------------------------------------------------------------------

DIFFERENCES = (Path(__file__).resolve().parents[2] / "docs" / "pydicom-differences.md").read_text()
#: What ``docs/pydicom-differences.md`` lists, as numbers of elements.
OTHER_JSON = {
    "charset_files/chrJapMulti.dcm": 9,
    "charset_files/chrJapMultiExplicitIR6.dcm": 9,
    "charset_files/chrKoreanMulti.dcm": 9,
    "test_files/J2K_pixelrep_mismatch.dcm": 3,
    "test_files/MR_small_implicit.dcm": 2,
    "test_files/badVR.dcm": 1,
}


def normal(vr, value):
    """Return a value so that it does not matter whether a number is a string, or how much padding is kept."""
    if vr in ("DS", "FD", "FL", "IS") and isinstance(value, str | int | float):
        with contextlib.suppress(ValueError):
            return float(value)
    if vr == "PN" and value:
        return {group: name.rstrip() for group, name in value.items() if name} or None
    return (value.strip() or None) if isinstance(value, str) else value


def flat(tree, path=()):
    """Yield (path, what is comparable) for each element but (0008,0005) and group lengths."""
    for name, member in tree.items():
        vr, place = str(member["vr"]), (*path, name)
        if name == "00080005" or name.endswith("0000"):
            continue
        if vr == "SQ":
            items = member.get("Value", [])
            yield place, (vr, len(items))
            for number, item in enumerate(items):
                yield from flat(item, (*place, number))
        else:
            values = [normal(vr, value) for value in member.get("Value", [])]
            inline = base64.b64decode(member.get("InlineBinary") or "")
            yield place, (vr, values if any(v is not None for v in values) else [], inline)


def as_pydicom_writes(data_set):
    """Return pydicom's JSON of each element that it can write."""
    tree = {}
    for tag in data_set.keys():  # noqa: SIM118 - iterating a data set reads all of it
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                written = data_set[tag].to_json_dict(None, 1 << 40)
            except (ValueError, TypeError):
                continue
        tree[f"{int(tag):08X}"] = json.loads(json.dumps(written))
    return tree


#: pydicom looks into sequences that were written as UN with a defined length.
NOT_COMPARED = {"test_files/rtdose_rle.dcm", "test_files/rtdose_rle_1frame.dcm"}


@pytest.mark.parametrize("name", sorted(pydicom_files.PATHS.keys() - NOT_COMPARED))
def test_pydicom_writes_the_same(name):
    path = pydicom_files.PATHS[name]
    data_set = pydicom_files.read(path)
    try:
        body, syntax, _ = pydicom_files.body_of(path, data_set)
        ours = dict(flat(as_json(body, syntax)))
    except DoorwardError:
        assert f"`{name}`" in DIFFERENCES
        return
    theirs = dict(flat(as_pydicom_writes(data_set)))
    if syntax is BIG:  # pydicom leaves bytes as they are, which is the other way round
        ours, theirs = (
            {place: value[:2] for place, value in tree.items()} for tree in (ours, theirs)
        )
    other = [place for place in ours.keys() | theirs.keys() if ours.get(place) != theirs.get(place)]
    assert len(other) == OTHER_JSON.get(name, 0), other
    assert not other or f"`{name}`" in DIFFERENCES


#: Values that pydicom guesses at: text of known VRs in UN, a number that is none.
NOT_READ_BACK = NOT_COMPARED | {"test_files/J2K_pixelrep_mismatch.dcm", "test_files/badVR.dcm"}


@pytest.mark.parametrize("name", sorted(pydicom_files.PATHS.keys() - NOT_READ_BACK))
def test_pydicom_reads_what_we_write(name):
    path = pydicom_files.PATHS[name]
    try:
        body, syntax, _ = pydicom_files.body_of(path, pydicom_files.read(path))
        text = b"".join(encode_data_set(body, syntax))
    except DoorwardError:
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        read = pydicom.Dataset.from_json(text.decode())
    assert dict(flat(as_pydicom_writes(read))) == dict(flat(json.loads(text)))


def test_a_view_is_the_same_json_as_the_bytes_that_it_was_read_from():
    for name in ("test_files/CT_small.dcm", "test_files/test-SR.dcm", "test_files/rtplan.dcm"):
        path = pydicom_files.PATHS[name]
        body, syntax, _ = pydicom_files.body_of(path, pydicom_files.read(path))
        written = json.loads(b"".join(encode_data_set(body, syntax)))
        view = read_attributes(body, syntax)
        shown = json.loads(encode_view(view))
        for tag, attribute in shown.items():
            if tag != "00080005" and attribute["vr"] != "SQ":
                assert attribute == written[tag], tag
        left_out = written.keys() - shown.keys()
        assert all(written[tag]["vr"] in ("OB", "OW", "UN", "OF") for tag in left_out)


def test_a_view_is_written_in_the_order_of_its_tags_and_without_what_is_empty():
    view = {
        0x0020000D: Attribute("UI", ("1.2",)),
        0x00080060: Attribute("CS", ()),
        0x00100010: Attribute("PN", ("Doe^J=X",)),
        0x00400275: Attribute("SQ", (), [{0x00400009: Attribute("SH", ("S1", ""))}, {}]),
        0x00280010: Attribute("US", ("512",)),
        0x00189098: Attribute("FD", ("1.5", "nan")),
        0x7FE00010: Attribute("OW", ("",)),
    }
    text = encode_view(view)
    assert list(json.loads(text)) == sorted(json.loads(text))
    assert json.loads(text) == {
        "00080060": {"vr": "CS"},
        "00100010": {"vr": "PN", "Value": [{"Alphabetic": "Doe^J", "Ideographic": "X"}]},
        "00189098": {"vr": "FD", "Value": [1.5, "NaN"]},
        "0020000D": {"vr": "UI", "Value": ["1.2"]},
        "00280010": {"vr": "US", "Value": [512]},
        "00400275": {"vr": "SQ", "Value": [{"00400009": {"vr": "SH", "Value": ["S1", None]}}, {}]},
    }
