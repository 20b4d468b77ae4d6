"""Values: by hand, against pydicom on all its files, and there and back."""

import io
import struct
import warnings

import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.valuerep import validate_value

import data_set_invariants
import pydicom_files
from doorward.dicom.charset import parse_specific_character_set
from doorward.dicom.values import (
    decode_integer_string,
    decode_integers,
    decode_strings,
    decode_uid,
    encode_identifier,
    is_date,
    is_date_time,
    is_time,
)
from doorward.dicom.walk import LONG_VRS, SHORT_VRS, Syntax, find_element, walk
from doorward.errors import LimitExceeded, LocalProtocolError, PeerProtocolError

IMPLICIT, EXPLICIT, BIG = Syntax
RELATED_INSTANCES = 0x00201208
CANARY = b"Canary^Yellow"

# --- IS ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "number"),
    (
        (b"", None),
        (b"  ", None),
        (b"\0", None),
        (b"0", 0),
        (b"42 ", 42),
        (b" 7\0", 7),
        (b"+5", 5),
        (b"-12", -12),
        (b"007", 7),
        (b"2147483647", 2**31 - 1),
        (b"-2147483648", -(2**31)),
    ),
)
def test_integer_string_is_a_number_or_nothing(value, number):
    assert decode_integer_string(value, RELATED_INSTANCES) == number


@pytest.mark.parametrize(
    "value",
    (
        b"2147483648",
        b"-2147483649",
        b"1_000",
        b"1 000",
        b"1.0",
        b"1e3",
        b"0x10",
        b"1\\2",
        b"--1",
        b"+",
        b"\xd9\xa1",
        b"9" * 5000,
        CANARY,
    ),
)
def test_integer_string_that_is_none_is_refused_by_its_length(value):
    with pytest.raises(PeerProtocolError) as caught:
        decode_integer_string(value, RELATED_INSTANCES)
    assert str(caught.value) == (
        f"(0020,1208): {len(value)} bytes are no 32 bit integer (PS3.5 section 6.2)"
    )


# --- binary integers -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("vr", "little", "numbers"),
    (
        ("US", "0100 ffff", (1, 65535)),
        ("SS", "0100 ffff", (1, -1)),
        ("UL", "01000000", (1,)),
        ("SL", "feffffff", (-2,)),
        ("UV", "0100000000000000", (1,)),
        ("SV", "ffffffffffffffff", (-1,)),
        ("AT", "2000 0d00 1000 2000", (0x0020000D, 0x00100020)),
        ("US", "", ()),
        ("AT", "", ()),
    ),
)
def test_binary_integers_are_read_and_written_in_both_byte_orders(vr, little, numbers):
    value = bytes.fromhex(little)
    width = {"S": 2, "T": 2, "L": 4, "V": 8}[vr[1]]
    swapped = b"".join(value[i : i + width][::-1] for i in range(0, len(value), width))
    for syntax, raw in ((IMPLICIT, value), (EXPLICIT, value), (BIG, swapped)):
        assert decode_integers(raw, vr, syntax, 0x00280010) == numbers
        encoded = encode_identifier([(0x00280010, vr, numbers)], syntax)
        assert encoded[len(encoded) - len(raw) :] == raw


@pytest.mark.parametrize(("vr", "length"), (("US", 3), ("UL", 6), ("AT", 6), ("SV", 12)))
def test_binary_integers_of_another_length_are_refused(vr, length):
    with pytest.raises(PeerProtocolError, match=f"{length} bytes are no row of {vr}"):
        decode_integers(bytes(length), vr, EXPLICIT, 0x00280010)


def test_text_holds_no_binary_integers():
    with pytest.raises(LocalProtocolError, match="VR LO holds no integers"):
        decode_integers(b"12", "LO", EXPLICIT, 0x00080070)


# --- UI ------------------------------------------------------------------------------------------------


def test_uid_loses_its_padding():
    assert decode_uid(b"1.2.840.10008.1.1\0", 0x00080016) == "1.2.840.10008.1.1"
    assert decode_uid(b"1.2 ", 0x00080016) == "1.2"
    assert decode_uid(b"", 0x00080016) == ""


@pytest.mark.parametrize("value", (b"1.2.x", b"1.2\\1.3", b"1 2", b"\xff", CANARY))
def test_uid_that_is_none_is_refused(value):
    with pytest.raises(PeerProtocolError, match=rf"\(0008,0016\): {len(value)} bytes are no UID"):
        decode_uid(value, 0x00080016)


def test_uid_is_bounded():
    assert decode_uid(b"1" * 64, 0x00080016) == "1" * 64
    with pytest.raises(LimitExceeded, match="uid_bytes is bounded at 64"):
        decode_uid(b"1" * 65, 0x00080016)


# --- text ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("vr", "value", "strings"),
    (
        ("CS", b"ORIGINAL\\PRIMARY ", ("ORIGINAL", "PRIMARY")),
        ("AE", b" ANY SCP ", ("ANY SCP",)),
        ("UI", b"1.2\\1.3\0", ("1.2", "1.3")),
        ("LO", b" a \\ b ", ("a", "b")),
        ("PN", b" Doe^Jane ", (" Doe^Jane",)),
        ("LT", b" one\\two \r\n ", (" one\\two \r\n",)),
        ("SH", b"", ()),
        ("CS", b"\\", ("", "")),
        ("CS", b"\xff", ("\N{REPLACEMENT CHARACTER}",)),
    ),
)
def test_text_is_parted_and_loses_padding(vr, value, strings):
    assert decode_strings(value, vr) == strings


def test_text_is_read_in_its_character_set():
    assert decode_strings(b"J\xe9r\xf4me", "PN", ("ISO_IR 100",)) == ("Jérôme",)
    # 5Ch is half of a character here and parts nothing
    value = "乗\\機".encode("gb18030")
    assert decode_strings(value, "LO", ("GB18030",)) == ("乗", "機")


@pytest.mark.parametrize(
    ("vr", "is_valid", "good", "bad"),
    (
        (
            "DA",
            is_date,
            ("20200229", "19991231"),
            (
                "20210229",
                "20201301",
                "00000101",
                "2020",
                "2020.01.01",
                "2020-1-1",
                "２０２００１０１",
                "",
            ),
        ),
        (
            "TM",
            is_time,
            ("12", "1230", "123059", "123059.1", "235960", "000000.000000"),
            ("24", "1", "1260", "123061", "123059.", "123059.1234567", "12:30", "1230.5", ""),
        ),
        (
            "DT",
            is_date_time,
            (
                *("2020", "202002", "20200229", "2020022912", "20200229123059.5"),
                *("2020+0100", "20200229123059.5-1130"),
            ),
            (
                "20",
                "202",
                "20201",
                "202013",
                "20210229",
                "20200229 12",
                "2020+01",
                "+0100",
                "2020+9900",
                "",
            ),
        ),
    ),
)
def test_dates_and_times_are_checked(vr, is_valid, good, bad):
    assert [text for text in good if not is_valid(text)] == []
    assert [text for text in bad if is_valid(text)] == []
    for text in good:
        validate_value(vr, text, pydicom.config.RAISE)


# --- whole data sets -----------------------------------------------------------------------------------

STUDY_QUERY = [
    (0x00080052, "CS", "STUDY"),
    (0x0020000D, "UI", ""),
    (0x00080005, "CS", "ISO_IR 192"),
    (0x00100010, "PN", "山田^太郎"),
    (RELATED_INSTANCES, "IS", 42),
    (0x00280010, "US", 512),
    (0x00081110, "SQ", [[(0x00081155, "UI", "1.2.3"), (0x00081150, "UI", "1.2")], []]),
    (0x00091001, "UN", b"abc"),
    (0x00420010, "ST", "a\\b"),
    (0x7FE00010, "OW", bytes(70_000)),
]


@pytest.mark.parametrize("syntax", Syntax)
def test_pydicom_reads_what_is_written(syntax):
    encoded = encode_identifier(STUDY_QUERY, syntax)
    data_set = pydicom.dcmread(io.BytesIO(file_of(encoded, syntax)), force=True)
    assert list(data_set.keys()) == sorted(tag for tag, _, _ in STUDY_QUERY)
    assert data_set.QueryRetrieveLevel == "STUDY"
    assert data_set.StudyInstanceUID == ""
    assert str(data_set.PatientName) == "山田^太郎"
    assert data_set.NumberOfStudyRelatedInstances == 42
    assert data_set.Rows == 512
    references = data_set.ReferencedStudySequence
    assert [len(item) for item in references] == [2, 0]
    assert references[0].ReferencedSOPInstanceUID == "1.2.3"
    assert data_set[0x00091001].value == b"abc\0"
    assert len(data_set.PixelData) == 70_000


def file_of(data_set: bytes, syntax: Syntax) -> bytes:
    """Return a file whose meta information is written by pydicom."""
    meta = pydicom.dataset.FileMetaDataset()
    meta.TransferSyntaxUID = {
        IMPLICIT: pydicom.uid.ImplicitVRLittleEndian,
        EXPLICIT: pydicom.uid.ExplicitVRLittleEndian,
        BIG: pydicom.uid.ExplicitVRBigEndian,
    }[syntax]
    meta.MediaStorageSOPClassUID = meta.MediaStorageSOPInstanceUID = "1.2.3"
    with io.BytesIO() as file:
        pydicom.filewriter.write_file_meta_info(file, meta)
        return bytes(128) + b"DICM" + file.getvalue() + data_set


@pytest.mark.parametrize("syntax", Syntax)
def test_elements_ascend_and_values_are_even(syntax):
    elements = [
        e for e in walk(encode_identifier(STUDY_QUERY, syntax), syntax) if e.depth == 0 and e.vr
    ]
    assert [e.tag for e in elements] == sorted(tag for tag, _, _ in STUDY_QUERY)
    assert all(e.length % 2 == 0 for e in elements)


def test_padding_is_that_of_the_vr():
    encoded = encode_identifier(
        [(0x00080052, "CS", "IMAGE"), (0x0020000D, "UI", "1.2"), (0x00091001, "UN", b"x")], IMPLICIT
    )
    assert encoded == bytes.fromhex(
        "0800 5200 06000000 494d41474520"  # (0008,0052) "IMAGE "
        "0900 0110 02000000 7800"  # (0009,1001) "x\0"
        "2000 0d00 04000000 312e3200"  # (0020,000D) "1.2\0"
    )


def test_character_set_holds_for_items_too_and_an_item_may_have_its_own():
    item = [(0x00080104, "LO", "é")]
    own = [(0x00080005, "CS", "ISO_IR 192"), *item]
    sequence = (0x00081032, "SQ", [item, own])
    encoded = encode_identifier([(0x00080005, "CS", "ISO_IR 100"), sequence], EXPLICIT)
    assert encoded.count(b"\xe9 ") == 1
    assert encoded.count("é".encode()) == 1


@pytest.mark.parametrize(
    "element",
    (
        (0x0020000D, "UI", "1.2.x"),
        (0x0020000D, "UI", "1" * 65),
        (0x00080052, "CS", "SEVENTEEN_LETTERS"),
        (0x00080052, "CS", "é"),
        (0x00100010, "PN", "é"),
        (0x00100020, "LO", "x" * 65),
        (0x00280010, "US", "1"),
        (0x00280010, "US", 65536),
        (0x00280010, "US", -1),
        (0x00280010, "US", [[]]),
        (0x00081110, "SQ", [1]),
        (0x00081110, "SQ", 1),
        (0x00081110, "SQ", "x"),
        (0x00100010, "PN", 1),
        (0x00100010, "XX", "x"),
        (0xFFFEE000, "UN", b""),
        (-1, "UN", b""),
        (0x00100010, "PN", b"x" * 65_535),
        (0x00201208, "IS", 10**12),
    ),
)
def test_what_the_standard_forbids_is_our_fault(element):
    with pytest.raises(LocalProtocolError):
        encode_identifier([element], EXPLICIT)


def test_an_element_comes_once():
    element = (0x00080052, "CS", "STUDY")
    with pytest.raises(LocalProtocolError, match=r"\(0008,0052\) comes twice"):
        encode_identifier([element, element], EXPLICIT)


# --- pydicom reads the same ----------------------------------------------------------------------------

INTEGERS = {"US", "SS", "UL", "SL", "UV", "SV", "AT"}
STRINGS = {"AE", "AS", "CS", "DA", "DT", "LO", "LT", "PN", "SH", "ST", "TM", "UC", "UI", "UR", "UT"}


def as_tuple(value: object) -> tuple[object, ...]:
    if isinstance(value, list | pydicom.multival.MultiValue):
        return tuple(value)
    return () if value in (None, "") else (value,)


#: pydicom takes this one for a single element without sense (docs/pydicom-differences.md).
MEANINGLESS = ("test_files/no_meta.dcm",)


@pytest.mark.parametrize("name", [n for n in pydicom_files.PATHS if n not in MEANINGLESS])
def test_pydicom_reads_the_same_values(name):
    path = pydicom_files.PATHS[name]
    data_set = pydicom_files.read(path)
    body, syntax, _ = pydicom_files.body_of(path, data_set)
    terms: tuple[str, ...] = ()
    for tag, vr, offset, length, depth in pydicom_files.readable(body, syntax):
        value = body[offset : offset + max(length, 0)]
        if depth == 0 and tag == 0x00080005:
            terms = parse_specific_character_set(value)
        if depth or tag not in data_set:
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            element = data_set[tag]
        if vr == element.VR:
            check_same_value(value, vr, syntax, terms, element)


def check_same_value(value, vr, syntax, terms, element):
    theirs = as_tuple(element.value)
    if vr in INTEGERS:
        assert decode_integers(value, vr, syntax, element.tag) == theirs
    elif vr == "IS" and len(theirs) < 2:
        if theirs and not isinstance(theirs[0], int):  # it warns and keeps the text
            with pytest.raises(PeerProtocolError):
                decode_integer_string(value, element.tag)
        else:
            assert decode_integer_string(value, element.tag) == (theirs[0] if theirs else None)
    elif vr in STRINGS:
        # pydicom leaves out empty component groups at the end of names, and keeps other spaces than we do.
        ours = [
            text.rstrip("=" if vr == "PN" else "").strip()
            for text in decode_strings(value, vr, terms)
        ]
        assert ours == [str(text).strip() for text in theirs] or not any((*ours, *theirs))


# --- bytes of strangers --------------------------------------------------------------------------------


@given(st.binary(max_size=30), st.sampled_from(sorted(INTEGERS)), st.sampled_from(Syntax))
def test_any_bytes_are_decoded_or_refused(value, vr, syntax):
    for decode in (
        lambda: decode_integers(value, vr, syntax, RELATED_INSTANCES),
        lambda: decode_integer_string(value, RELATED_INSTANCES),
        lambda: decode_uid(value, RELATED_INSTANCES),
    ):
        try:
            decode()
        except (PeerProtocolError, LimitExceeded):
            pass


@given(st.binary(max_size=30), st.sampled_from(sorted(SHORT_VRS | LONG_VRS)))
def test_any_bytes_are_text(value, vr):
    assert len(decode_strings(value, vr)) <= len(value) + 1


elements = st.tuples(
    st.integers(0, 0xFFFDFFFF),
    st.sampled_from(sorted(SHORT_VRS | LONG_VRS)),
    st.binary(max_size=20),
)


@given(st.lists(elements, unique_by=lambda e: e[0]), st.sampled_from((EXPLICIT, BIG)))
def test_what_is_written_is_found_again(made, syntax):
    made = [(tag, vr if vr != "SQ" else "OB", value) for tag, vr, value in made]
    encoded = encode_identifier(made, syntax)
    assert [(e.tag, e.vr) for e in walk(encoded, syntax)] == sorted(
        (tag, vr) for tag, vr, _ in made
    )
    for tag, _, value in made:
        offset, length, total = find_element(encoded, tag, syntax)
        assert encoded[offset : offset + len(value)] == value
        assert (length, total) == (len(value) + len(value) % 2, len(made))


@given(st.lists(st.integers(-(2**31), 2**31 - 1), min_size=1, max_size=5))
def test_numbers_come_back(numbers):
    encoded = encode_identifier(
        [(0x00189219, "SL", numbers), (RELATED_INSTANCES, "IS", numbers[0])], IMPLICIT
    )
    offset, length, _ = find_element(encoded, RELATED_INSTANCES, IMPLICIT)
    assert decode_integer_string(encoded[offset : offset + length], RELATED_INSTANCES) == numbers[0]
    offset, length, _ = find_element(encoded, 0x00189219, IMPLICIT)
    assert struct.unpack(f"<{len(numbers)}l", encoded[offset : offset + length]) == tuple(numbers)


@pytest.mark.parametrize(
    "path", sorted((data_set_invariants.CORPUS / "values").iterdir()), ids=lambda p: p.name
)
def test_input_of_the_fuzzing_corpus_holds_the_invariant(path):
    data_set_invariants.check_values(path.read_bytes())
