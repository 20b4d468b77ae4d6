"""Walking data sets: by hand, against pydicom on all its files, and with bytes of strangers."""

import struct
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import data_set_invariants
import pydicom_files
from doorward.dicom.part10 import is_deflated
from doorward.dicom.values import encode_identifier
from doorward.dicom.walk import (
    ITEM,
    ITEM_DELIMITATION,
    PIXEL_DATA,
    SEQUENCE_DELIMITATION,
    UNDEFINED,
    Element,
    Syntax,
    find_element,
    find_top_level,
    name_of,
    walk,
)
from doorward.errors import LimitExceeded, PeerProtocolError
from doorward.limits import DEFAULT_LIMITS

IMPLICIT, EXPLICIT, BIG = Syntax
STUDY_DATE, MODALITY, PATIENT_NAME = 0x00080020, 0x00080060, 0x00100010
REFERENCED_STUDIES = 0x00081110  # SQ
PRIVATE = 0x00091001
FFFFFFFF = 0xFFFFFFFF


# --- builders: one header each, with the names of PS3.5 Tables 7.1-1 to 7.1-3 -------------------------


def implicit(tag: int, length: int, value: bytes = b"") -> bytes:
    return struct.pack("<HHL", tag >> 16, tag & 0xFFFF, length) + value


def explicit(tag: int, vr: bytes, length: int, value: bytes = b"", order: str = "<") -> bytes:
    return struct.pack(f"{order}HH2sH", tag >> 16, tag & 0xFFFF, vr, length) + value


def explicit_long(tag: int, vr: bytes, length: int, value: bytes = b"", order: str = "<") -> bytes:
    return struct.pack(f"{order}HH2sxxL", tag >> 16, tag & 0xFFFF, vr, length) + value


def item(length: int, value: bytes = b"", order: str = "<") -> bytes:
    return struct.pack(f"{order}HHL", 0xFFFE, 0xE000, length) + value


ITEM_END = implicit(ITEM_DELIMITATION, 0)
SEQUENCE_END = implicit(SEQUENCE_DELIMITATION, 0)


def shape(buffer: bytes, syntax: Syntax) -> list[tuple[int, str, int, int]]:
    return [(e.tag, e.vr, e.length, e.depth) for e in walk(buffer, syntax)]


# --- what is in a data set ---------------------------------------------------------------------------


@pytest.mark.parametrize("syntax", Syntax)
def test_elements_items_and_their_depth_are_told(syntax):
    buffer = encode_identifier(
        [
            (STUDY_DATE, "DA", "20200101"),
            (REFERENCED_STUDIES, "SQ", [[(MODALITY, "CS", "CT")], [(MODALITY, "CS", "MR")], []]),
            (0x7FE00010, "OW", b"\1\2\3\4"),
        ],
        syntax,
    )
    elements = list(walk(buffer, syntax))
    assert [(name_of(e.tag), e.vr, e.depth) for e in elements] == [
        ("(0008,0020)", "DA", 0),
        ("(0008,1110)", "SQ", 0),
        ("(FFFE,E000)", "", 0),
        ("(0008,0060)", "CS", 1),
        ("(FFFE,E000)", "", 0),
        ("(0008,0060)", "CS", 1),
        ("(FFFE,E000)", "", 0),
        ("(7FE0,0010)", "OW", 0),
    ]
    values = [buffer[e.offset : e.offset + e.length] for e in elements]
    assert (values[0], values[3], values[5], values[7]) == (
        b"20200101",
        b"CT",
        b"MR",
        b"\1\2\3\4",
    )


@pytest.mark.parametrize("wrap", (bytes, bytearray, memoryview))
def test_every_kind_of_buffer_is_walked(wrap):
    buffer = wrap(explicit(MODALITY, b"CS", 2, b"CT"))
    assert list(walk(buffer, EXPLICIT)) == [Element(MODALITY, "CS", 8, 2, 0)]


def test_undefined_lengths_end_at_their_delimiters():
    inner = explicit_long(REFERENCED_STUDIES, b"SQ", FFFFFFFF, item(0) + SEQUENCE_END)
    buffer = (
        explicit_long(REFERENCED_STUDIES, b"SQ", FFFFFFFF)
        + item(FFFFFFFF, inner + ITEM_END)
        + item(10, explicit(MODALITY, b"CS", 2, b"CT"))
        + SEQUENCE_END
        + explicit(PATIENT_NAME, b"PN", 0)
    )
    assert shape(buffer, EXPLICIT) == [
        (REFERENCED_STUDIES, "SQ", UNDEFINED, 0),
        (ITEM, "", UNDEFINED, 0),
        (REFERENCED_STUDIES, "SQ", UNDEFINED, 1),
        (ITEM, "", 0, 1),
        (SEQUENCE_DELIMITATION, "", 0, 1),
        (ITEM_DELIMITATION, "", 0, 0 + 1),
        (ITEM, "", 10, 0),
        (MODALITY, "CS", 2, 1),
        (SEQUENCE_DELIMITATION, "", 0, 0),
        (PATIENT_NAME, "PN", 0, 0),
    ]


def test_fragments_of_pixel_data_are_told_and_not_entered():
    # The second fragment looks like a delimiter on purpose.
    buffer = (
        explicit_long(PIXEL_DATA, b"OB", FFFFFFFF) + item(0) + item(8, SEQUENCE_END) + SEQUENCE_END
    )
    assert shape(buffer, EXPLICIT) == [
        (PIXEL_DATA, "OB", UNDEFINED, 0),
        (ITEM, "", 0, 0),
        (ITEM, "", 8, 0),
        (SEQUENCE_DELIMITATION, "", 0, 0),
    ]


@pytest.mark.parametrize(("syntax", "order"), ((EXPLICIT, "<"), (BIG, ">")))
def test_un_of_undefined_length_is_implicit_little_endian_inside(syntax, order):
    content = item(FFFFFFFF, implicit(MODALITY, 2, b"CT") + ITEM_END) + SEQUENCE_END
    behind = explicit(PATIENT_NAME, b"PN", 2, b"X ", order)
    buffer = explicit_long(PRIVATE, b"UN", FFFFFFFF, content, order) + behind
    assert [(e.tag, e.vr, e.depth) for e in walk(buffer, syntax)] == [
        (PRIVATE, "UN", 0),
        (ITEM, "", 0),
        (MODALITY, "CS", 1),
        (ITEM_DELIMITATION, "", 1),
        (SEQUENCE_DELIMITATION, "", 0),
        (PATIENT_NAME, "PN", 0),
    ]


def test_un_of_defined_length_stays_closed():
    buffer = explicit_long(REFERENCED_STUDIES, b"UN", 8, item(0))
    assert shape(buffer, EXPLICIT) == [(REFERENCED_STUDIES, "UN", 8, 0)]


def test_private_element_of_undefined_length_is_a_sequence_in_implicit_vr():
    buffer = implicit(PRIVATE, FFFFFFFF) + item(0) + SEQUENCE_END
    assert [e.tag for e in walk(buffer, IMPLICIT)] == [PRIVATE, ITEM, SEQUENCE_DELIMITATION]


def test_vr_younger_than_this_program_has_a_long_length():
    buffer = explicit_long(PRIVATE, b"ZZ", 2, b"ab") + explicit(PATIENT_NAME, b"PN", 0)
    assert shape(buffer, EXPLICIT) == [(PRIVATE, "ZZ", 2, 0), (PATIENT_NAME, "PN", 0, 0)]


def test_length_of_an_item_that_spells_a_vr_is_a_length():
    length = int.from_bytes(b"UL", "little")  # 4C55h
    content = explicit(MODALITY, b"CS", length - 8, bytes(length - 8))
    buffer = explicit_long(REFERENCED_STUDIES, b"SQ", length + 8, item(length, content))
    assert [e.length for e in walk(buffer, EXPLICIT)] == [length + 8, length, length - 8]


# --- what is refused ---------------------------------------------------------------------------------

SQ_OPEN = explicit_long(REFERENCED_STUDIES, b"SQ", FFFFFFFF)
FAULTS = {
    "header cut off": (explicit(MODALITY, b"CS", 0)[:7], "Data Element"),
    "long header cut off": (explicit_long(PRIVATE, b"UN", 0)[:11], "Data Element"),
    "value outside": (explicit(MODALITY, b"CS", 3, b"CT"), "(0008,0060)"),
    "long value outside": (explicit_long(PRIVATE, b"OB", 0x7FFFFFFF, b"CT"), "(0009,1001)"),
    "vr is no letters": (explicit(MODALITY, b"\0\0", 2, b"CT"), "(0008,0060)"),
    "vr in small letters": (explicit(MODALITY, b"cs", 2, b"CT"), "(0008,0060)"),
    "item at the top": (item(0), "(FFFE,E000)"),
    "item end at the top": (ITEM_END, "(FFFE,E00D)"),
    "sequence end at the top": (SEQUENCE_END, "(FFFE,E0DD)"),
    "unknown delimiter": (implicit(0xFFFE0001, 0), "(FFFE,0001)"),
    "element between items": (SQ_OPEN + explicit(MODALITY, b"CS", 2, b"CT"), "(0008,0060)"),
    "item end between items": (SQ_OPEN + ITEM_END, "(FFFE,E00D)"),
    "sequence end in an item": (SQ_OPEN + item(FFFFFFFF, SEQUENCE_END), "(FFFE,E0DD)"),
    "end in an item of defined length": (SQ_OPEN + item(8, ITEM_END), "(FFFE,E00D)"),
    "end with a length": (SQ_OPEN + implicit(SEQUENCE_DELIMITATION, 2, b"xx"), "(FFFE,E0DD)"),
    "sequence without end": (SQ_OPEN + item(0), "(FFFE,E0DD)"),
    "item without end": (SQ_OPEN + item(FFFFFFFF), "(FFFE,E00D)"),
    "item without end in a sequence of defined length": (
        explicit_long(REFERENCED_STUDIES, b"SQ", 8, item(FFFFFFFF)) + ITEM_END,
        "(FFFE,E00D)",
    ),
    "item longer than its sequence": (
        explicit_long(REFERENCED_STUDIES, b"SQ", 8, item(10)) + bytes(10),
        "(FFFE,E000)",
    ),
    "header longer than its item": (
        explicit_long(REFERENCED_STUDIES, b"SQ", 12, item(4)) + bytes(20),
        "Data Element",
    ),
    "fragment without length": (
        explicit_long(PIXEL_DATA, b"OB", FFFFFFFF) + item(FFFFFFFF),
        "(FFFE,E000)",
    ),
    "element between fragments": (
        explicit_long(PIXEL_DATA, b"OB", FFFFFFFF) + explicit(MODALITY, b"CS", 0),
        "(0008,0060)",
    ),
    "undefined length of a value": (explicit_long(PRIVATE, b"OB", FFFFFFFF), "(0009,1001)"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_bytes_against_the_standard_are_refused_with_the_tag(fault):
    buffer, field = FAULTS[fault]
    with pytest.raises(PeerProtocolError) as caught:
        list(walk(buffer, EXPLICIT))
    assert caught.value.field == field
    assert caught.value.source.startswith("PS3.5 section ")


@pytest.mark.parametrize(
    ("buffer", "field"),
    (
        (implicit(MODALITY, 0)[:5], "Data Element"),
        (implicit(MODALITY, 4, b"CT"), "(0008,0060)"),
        (implicit(MODALITY, FFFFFFFF, SEQUENCE_END), "(0008,0060)"),
        (item(0), "(FFFE,E000)"),
    ),
)
def test_implicit_vr_is_refused_the_same_way(buffer, field):
    with pytest.raises(PeerProtocolError) as caught:
        list(walk(buffer, IMPLICIT))
    assert caught.value.field == field


def test_no_value_is_in_a_message():
    with pytest.raises(PeerProtocolError) as caught:
        list(walk(explicit(PATIENT_NAME, b"PN", 20, b"Canary^Yellow"), EXPLICIT))
    assert str(caught.value) == (
        "(0010,0010): its length is 20 bytes, its container has 13 left (PS3.5 section 7.1)"
    )


# --- bounds ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("first", "level", "syntax"),
    (
        (b"", SQ_OPEN + item(FFFFFFFF), EXPLICIT),
        (b"", implicit(REFERENCED_STUDIES, FFFFFFFF) + item(FFFFFFFF), IMPLICIT),
        (
            explicit_long(PRIVATE, b"UN", FFFFFFFF) + item(FFFFFFFF),
            implicit(PRIVATE, FFFFFFFF) + item(FFFFFFFF),
            EXPLICIT,
        ),
    ),
)
def test_recursion_bomb_of_11_kilobytes_ends_at_the_depth_limit(first, level, syntax):
    bomb = first + level * (11_000 // len(level))
    with pytest.raises(LimitExceeded) as caught:
        list(walk(bomb, syntax))
    assert (caught.value.limit, caught.value.seen) == ("sequence_depth", 33)


def test_nesting_is_walked_without_recursion():
    levels = 50_000
    buffer = (SQ_OPEN + item(FFFFFFFF)) * levels + (ITEM_END + SEQUENCE_END) * levels
    limits = replace(DEFAULT_LIMITS, sequence_depth=levels)
    assert sum(1 for _ in walk(buffer, EXPLICIT, limits)) == 4 * levels


def test_deepest_allowed_level_is_allowed():
    levels = DEFAULT_LIMITS.sequence_depth
    buffer = (SQ_OPEN + item(FFFFFFFF)) * levels + (ITEM_END + SEQUENCE_END) * levels
    assert max(e.depth for e in walk(buffer, EXPLICIT)) == levels


def test_sixteen_thousand_items_are_sixteen_thousand_steps():
    buffer = SQ_OPEN + item(0) * 16_000 + SEQUENCE_END
    assert sum(e.tag == ITEM for e in walk(buffer, EXPLICIT)) == 16_000
    assert find_element(buffer, REFERENCED_STUDIES, EXPLICIT) == (12, UNDEFINED, 1)


@pytest.mark.parametrize(
    ("element", "syntax"),
    (
        (implicit(MODALITY, 0), IMPLICIT),
        (explicit(MODALITY, b"CS", 0), EXPLICIT),
        (explicit_long(PRIVATE, b"OB", 0), EXPLICIT),
    ),
)
def test_number_of_elements_is_bounded(element, syntax):
    limits = replace(DEFAULT_LIMITS, elements=10)
    assert len(list(walk(element * 10, syntax, limits))) == 10
    with pytest.raises(LimitExceeded) as caught:
        list(walk(element * 11, syntax, limits))
    assert (caught.value.limit, caught.value.value, caught.value.seen) == ("elements", 10, 11)


# --- looking for single elements ---------------------------------------------------------------------

NESTED = [[(MODALITY, "CS", "MR"), (PATIENT_NAME, "PN", "inner")]]
ELEMENTS = [
    (MODALITY, "CS", "CT"),
    (REFERENCED_STUDIES, "SQ", NESTED),
    (PATIENT_NAME, "PN", "outer "),
    (0x00201208, "IS", "42"),
]


@pytest.mark.parametrize("syntax", Syntax)
def test_only_the_outermost_level_is_searched(syntax):
    buffer = encode_identifier(ELEMENTS, syntax)
    found = find_top_level(buffer, syntax, {PATIENT_NAME, 0x00201208, STUDY_DATE})
    assert {tag: buffer[e.offset : e.offset + e.length] for tag, e in found.items()} == {
        PATIENT_NAME: b"outer ",
        0x00201208: b"42",
    }
    offset, length, total = find_element(buffer, 0x00201208, syntax)
    assert (buffer[offset : offset + length], total) == (b"42", 4)
    assert find_element(buffer, STUDY_DATE, syntax) == (-1, 0, 4)


@pytest.mark.parametrize("syntax", Syntax)
def test_an_empty_data_set_holds_nothing(syntax):
    assert find_element(b"", MODALITY, syntax) == (-1, 0, 0)
    assert find_top_level(b"", syntax, {MODALITY}) == {}
    assert list(walk(b"", syntax)) == []


@pytest.mark.parametrize(
    ("sequence", "behind", "syntax"),
    (
        (implicit(REFERENCED_STUDIES, FFFFFFFF), implicit(PATIENT_NAME, 2, b"X "), IMPLICIT),
        (SQ_OPEN, explicit(PATIENT_NAME, b"PN", 2, b"X "), EXPLICIT),
    ),
)
def test_undefined_lengths_are_stepped_over(sequence, behind, syntax):
    buffer = sequence + item(FFFFFFFF, ITEM_END) + item(0) + SEQUENCE_END + behind
    offset = len(buffer) - 2
    assert find_element(buffer, PATIENT_NAME, syntax) == (offset, 2, 2)
    assert find_element(buffer, REFERENCED_STUDIES, syntax)[1:] == (UNDEFINED, 2)
    assert find_top_level(buffer, syntax, {PATIENT_NAME})[PATIENT_NAME].offset == offset
    # The same at the very end.
    without = buffer[: -len(behind)]
    assert find_element(without, PATIENT_NAME, syntax) == (-1, 0, 1)


@pytest.mark.parametrize("syntax", (IMPLICIT, EXPLICIT))
def test_a_wanted_element_that_comes_twice_is_refused(syntax):
    buffer = encode_identifier([(MODALITY, "CS", "CT")], syntax) * 2
    with pytest.raises(PeerProtocolError, match=r"\(0008,0060\): it occurs more than once"):
        find_element(buffer, MODALITY, syntax)
    with pytest.raises(PeerProtocolError, match="more than once"):
        find_top_level(buffer, syntax, {MODALITY})


@pytest.mark.parametrize("fault", ("header cut off", "value outside", "sequence without end"))
def test_search_refuses_what_the_walk_refuses(fault):
    buffer, field = FAULTS[fault]
    for search in (
        lambda: find_element(buffer, STUDY_DATE, EXPLICIT),
        lambda: find_top_level(buffer, EXPLICIT, {STUDY_DATE}),
    ):
        with pytest.raises(PeerProtocolError) as caught:
            search()
        assert caught.value.field == field


@pytest.mark.parametrize("tail", (b"\0", bytes(7), implicit(MODALITY, 1), implicit(MODALITY, 9)))
def test_search_in_implicit_vr_refuses_what_does_not_end(tail):
    with pytest.raises(PeerProtocolError):
        find_element(implicit(STUDY_DATE, 0) + tail, STUDY_DATE, IMPLICIT)


def test_search_refuses_an_item_that_is_in_nothing():
    with pytest.raises(PeerProtocolError, match=r"\(FFFE,E000\)"):
        find_top_level(item(0), EXPLICIT, {STUDY_DATE})
    with pytest.raises(PeerProtocolError, match=r"\(FFFE,E000\)"):
        find_element(item(FFFFFFFF), STUDY_DATE, IMPLICIT)


# --- pydicom sees the same ---------------------------------------------------------------------------

#: Files that pydicom reads by guessing and we refuse.
REFUSED = {
    "test_files/MR_truncated.dcm": "(7FE0,0010)",
    "test_files/SC_rgb_jpeg.dcm": "(0008,0008)",
    "test_files/dicomdirtests/DICOMDIR-nooffset": "(FFFE,E000)",
    "test_files/no_meta.dcm": "(0820,0500)",
    "test_files/rtplan_truncated.dcm": "(300A,00B0)",
}
#: Elements that one of the two does not see.
OTHER_ELEMENTS = {
    "palettes/winter.dcm": "the first of two (0008,0018)",
    "test_files/rtdose_rle.dcm": "inside of a UN",
    "test_files/rtdose_rle_1frame.dcm": "inside of a UN",
}
#: Elements to which pydicom gives another VR: how many in each file.
OTHER_VRS = {
    "charset_files/chrJapMulti.dcm": 9,
    "charset_files/chrJapMultiExplicitIR6.dcm": 9,
    "charset_files/chrKoreanMulti.dcm": 9,
    "test_files/J2K_pixelrep_mismatch.dcm": 3,
    "test_files/MR_small_implicit.dcm": 2,
    "test_files/UN_sequence.dcm": 1,
    "test_files/meta_missing_tsyntax.dcm": 2,
    "test_files/nested_priv_SQ.dcm": 2,
}
DIFFERENCES = (Path(__file__).resolve().parents[2] / "docs" / "pydicom-differences.md").read_text()


def as_pydicom_tells(elements: list[Element]) -> list[Element]:
    """Leave out delimiters and fragments, which pydicom does not keep."""
    kept, is_in_fragments = [], False
    for element in elements:
        if element.tag in (ITEM_DELIMITATION, SEQUENCE_DELIMITATION):
            is_in_fragments = False
        elif not (is_in_fragments and element.tag == ITEM):
            kept.append(element)
            is_in_fragments = element.tag == PIXEL_DATA and element.length == UNDEFINED
    return kept


@pytest.mark.parametrize("name", sorted(pydicom_files.PATHS.keys() - REFUSED.keys()))
def test_pydicom_sees_the_same_elements_at_the_same_places(name):
    path = pydicom_files.PATHS[name]
    data_set = pydicom_files.read(path)
    body, syntax, meta = pydicom_files.body_of(path, data_set)
    ours = as_pydicom_tells(list(walk(body, syntax)))
    theirs = list(pydicom_files.flatten(data_set))
    is_same = [(e.tag, e.depth) for e in ours] == [(e.tag, e.depth) for e in theirs]
    assert is_same == (name not in OTHER_ELEMENTS)
    if not is_same:
        return
    pairs = list(zip(ours, theirs, strict=True))
    assert sum(a.vr != b.vr for a, b in pairs) == OTHER_VRS.get(name, 0)
    assert [a for a, b in pairs if b.length not in (None, a.length)] == []
    before = 0 if is_deflated(meta.transfer_syntax_uid) else meta.data_set_offset
    assert [a for a, b in pairs if b.offset not in (None, a.offset + before)] == []


@pytest.mark.parametrize(("name", "field"), REFUSED.items())
def test_what_pydicom_guesses_is_refused(name, field):
    path = pydicom_files.PATHS[name]
    data_set = pydicom_files.read(path)
    body, syntax, _ = pydicom_files.body_of(path, data_set)
    with pytest.raises(PeerProtocolError) as caught:
        list(walk(body, syntax))
    assert caught.value.field == field


def test_enough_of_pydicoms_files_are_there():
    assert len(pydicom_files.PATHS) >= 180
    assert {name.partition("/")[0] for name in pydicom_files.PATHS} == {
        "charset_files",
        "palettes",
        "test_files",
    }


@pytest.mark.parametrize("name", (*REFUSED, *OTHER_ELEMENTS, *OTHER_VRS))
def test_every_difference_is_written_down(name):
    assert f"`{name}`" in DIFFERENCES


# --- bytes of strangers ------------------------------------------------------------------------------


def mutate(valid: bytes, changes: list[tuple[int, int]], cut: int) -> bytes:
    changed = bytearray(valid)
    for position, value in changes:
        changed[position % len(changed)] = value
    return bytes(changed[: cut % (len(changed) + 1)]) if cut else bytes(changed)


VALID = {
    syntax: encode_identifier([*ELEMENTS, (PRIVATE, "UN", bytes(range(20)))], syntax)
    + (
        b""
        if syntax is BIG
        else {IMPLICIT: implicit(REFERENCED_STUDIES, FFFFFFFF)}.get(syntax, SQ_OPEN)
    )
    + (b"" if syntax is BIG else item(FFFFFFFF, ITEM_END) + SEQUENCE_END)
    for syntax in Syntax
}
changes = st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), max_size=6)
buffers = st.one_of(
    st.binary(max_size=200),
    st.builds(mutate, st.sampled_from(list(VALID.values())), changes, st.integers(0, 400)),
)


@given(buffers, st.sampled_from(Syntax))
def test_any_bytes_are_walked_or_refused_inside_their_bounds(buffer, syntax):
    limits = replace(DEFAULT_LIMITS, sequence_depth=4)
    try:
        for element in walk(buffer, syntax, limits):
            assert 0 <= element.offset <= len(buffer)
            assert element.offset + max(element.length, 0) <= len(buffer)
            assert element.depth <= limits.sequence_depth
    except (PeerProtocolError, LimitExceeded):
        pass


@given(buffers, st.sampled_from(Syntax))
def test_searches_find_what_the_walk_sees(buffer, syntax):
    try:
        seen = [e for e in walk(buffer, syntax) if e.depth == 0 and e.vr]
    except (PeerProtocolError, LimitExceeded):
        return
    tags = [e.tag for e in seen]
    for wanted in seen:
        if tags.count(wanted.tag) == 1:
            assert find_element(buffer, wanted.tag, syntax) == (
                wanted.offset,
                wanted.length,
                len(seen),
            )
            assert find_top_level(buffer, syntax, {wanted.tag}) == {wanted.tag: wanted}


@given(buffers, st.sampled_from(Syntax), st.sampled_from((STUDY_DATE, MODALITY, PRIVATE)))
def test_searches_raise_nothing_else(buffer, syntax, tag):
    for search in (
        lambda: find_element(buffer, tag, syntax),
        lambda: find_top_level(buffer, syntax, {tag}),
    ):
        try:
            search()
        except (PeerProtocolError, LimitExceeded):
            pass


@pytest.mark.parametrize(
    "path", sorted((data_set_invariants.CORPUS / "walk").iterdir()), ids=lambda p: p.name
)
def test_input_of_the_fuzzing_corpus_holds_the_invariant(path):
    data_set_invariants.check_walk(path.read_bytes())
