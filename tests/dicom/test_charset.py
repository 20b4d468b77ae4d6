"""Text in the Standard's character sets: its own examples, pydicom on its files, and bytes of strangers."""

import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st

import pydicom_files
from doorward.dicom.charset import (
    decode_text,
    encode_text,
    parse_specific_character_set,
    understood_terms,
)
from doorward.dicom.walk import walk
from doorward.errors import LocalProtocolError

UNKNOWN = "\N{REPLACEMENT CHARACTER}"

# --- (0008,0005) ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "terms"),
    (
        (b"", ()),
        (b"  ", ()),
        (b"ISO_IR 100", ("ISO_IR 100",)),
        (b"ISO_IR 192\0", ("ISO_IR 192",)),
        (b"\\ISO 2022 IR 87", ("", "ISO 2022 IR 87")),
        (b"ISO 2022 IR 6\\ISO 2022 IR 149 ", ("ISO 2022 IR 6", "ISO 2022 IR 149")),
        (b"ISO-IR 100", ("ISO_IR 100",)),
        (b"iso_ir_100", ("ISO_IR 100",)),
        (b"ISO 2022-IR 87", ("ISO 2022 IR 87",)),
        (b"UTF-8", ("ISO_IR 192",)),
        (b"GB18030", ("GB18030",)),
        (b"WHATEVER", ("WHATEVER",)),
        (b"\xff", (UNKNOWN,)),
    ),
)
def test_defined_terms_are_told_apart(value, terms):
    assert parse_specific_character_set(value) == terms


#: PS3.3 Tables C.12-3 and C.12-4.
SEQUENCES = {
    "ISO 2022 IR 6": b"\x1b(B",
    "ISO 2022 IR 13": b"\x1b)I",
    "ISO 2022 IR 58": b"\x1b$)A",
    "ISO 2022 IR 87": b"\x1b$B",
    "ISO 2022 IR 100": b"\x1b-A",
    "ISO 2022 IR 101": b"\x1b-B",
    "ISO 2022 IR 109": b"\x1b-C",
    "ISO 2022 IR 110": b"\x1b-D",
    "ISO 2022 IR 126": b"\x1b-F",
    "ISO 2022 IR 127": b"\x1b-G",
    "ISO 2022 IR 138": b"\x1b-H",
    "ISO 2022 IR 144": b"\x1b-L",
    "ISO 2022 IR 148": b"\x1b-M",
    "ISO 2022 IR 149": b"\x1b$)C",
    "ISO 2022 IR 159": b"\x1b$(D",
    "ISO 2022 IR 166": b"\x1b-T",
    "ISO 2022 IR 203": b"\x1b-b",
}

# --- without code extensions ---------------------------------------------------------------------------

#: One term, bytes and what they spell; the letters of PS3.3 Table C.12-2 above 7F.
SINGLE = (
    ("", b"Abc\\Def^=", "Abc\\Def^="),
    ("ISO_IR 6", b"Abc", "Abc"),
    ("ISO_IR 13", b"\xd4\xcf\xc0\xde^\xc0\xdb\xb3", "ﾔﾏﾀﾞ^ﾀﾛｳ"),
    ("ISO_IR 100", b"Buc^J\xe9r\xf4me", "Buc^Jérôme"),
    ("ISO_IR 101", b"W\xb3odek", "Włodek"),
    ("ISO_IR 109", b"\xa6a", "Ĥa"),
    ("ISO_IR 110", b"\xb9", "š"),
    ("ISO_IR 126", b"\xc4\xe9\xef\xed", "Διον"),
    ("ISO_IR 127", b"\xe2\xc8", "قب"),
    ("ISO_IR 138", b"\xf9\xf8", "שר"),
    ("ISO_IR 144", b"\xbb\xee", "Лю"),
    ("ISO_IR 148", b"\xdd\xfe", "İş"),
    ("ISO_IR 166", b"\xb9\xd2", "นา"),
    ("ISO_IR 203", b"\xa4", "€"),
    ("ISO_IR 192", "王^小東".encode(), "王^小東"),
    ("GB18030", "王^小东".encode("gb18030"), "王^小东"),
    ("GBK", "王^小东".encode("gbk"), "王^小东"),
)


@pytest.mark.parametrize(("term", "value", "text"), SINGLE)
def test_one_character_set_is_read_and_written(term, value, text):
    terms = (term,) if term else ()
    assert decode_text(value, terms) == text
    assert encode_text(text, terms) == value


def test_every_term_without_code_extensions_that_is_said_to_be_understood_is_read_here():
    said = {term for term in understood_terms() if not term.startswith("ISO 2022")}
    assert said == {term for term, *_ in SINGLE} - {""}


@pytest.mark.parametrize("term", [t for t in understood_terms() if t.startswith("ISO 2022")])
def test_a_term_with_code_extensions_has_an_escape_sequence_that_is_read(term):
    # Bytes of one and of two to a character; what no table has would be marked.
    samples = (b"\xb1", b"\x30\x21", b"\xb0\xa1")
    decoded = [decode_text(SEQUENCES[term] + one, (term,)) for one in samples]
    assert any(UNKNOWN not in text for text in decoded)


@pytest.mark.parametrize(
    "terms", ((), ("ISO_IR 6",), ("WHATEVER",), ("ISO_IR 192",), ("ISO_IR 138",))
)
def test_undefined_bytes_are_marked_and_nothing_is_raised(terms):
    assert decode_text(b"A\xffB", terms) == f"A{UNKNOWN}B"


@pytest.mark.parametrize(
    ("term", "text"),
    (
        ("", "é"),
        ("ISO_IR 100", "王"),
        ("ISO_IR 13", "山"),
        ("ISO 2022 IR 149", "김"),
        ("WHATEVER", "é"),
    ),
)
def test_text_that_the_character_set_lacks_is_our_fault(term, text):
    with pytest.raises(LocalProtocolError, match="1 characters are not in") as caught:
        encode_text(text, (term,))
    assert text not in str(caught.value)


# --- with code extensions ------------------------------------------------------------------------------

#: PS3.5 Annexes H and I and PS3.3 C.12.1.1.2: terms, bytes, text.
EXTENDED = {
    "Japanese, ASCII first (H.3.1)": (
        ("", "ISO 2022 IR 87"),
        b"Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B=\x1b$B$d$^$@\x1b(B^\x1b$B$?$m$&\x1b(B",
        "Yamada^Tarou=山田^太郎=やまだ^たろう",
    ),
    "Japanese, katakana first (H.3.2)": (
        ("ISO 2022 IR 13", "ISO 2022 IR 87"),
        b"\xd4\xcf\xc0\xde^\xc0\xdb\xb3=\x1b$B;3ED\x1b(J^\x1b$BB@O:\x1b(J",
        "ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎",
    ),
    "Japanese, supplementary kanji": (
        ("", "ISO 2022 IR 159"),
        b"\x1b$(D0!\x1b(B",
        "丂",
    ),
    "Katakana and kanji at the same time": (
        ("ISO 2022 IR 13", "ISO 2022 IR 87"),
        b"\x1b$B;3\xd4ED",
        "山ﾔ田",
    ),
    "Korean (I.2)": (
        ("", "ISO 2022 IR 149"),
        b"Hong^Gildong=\x1b$)C\xfb\xf3^\x1b$)C\xd1\xce\xd4\xd7=\x1b$)C\xc8\xab^\x1b$)C\xb1\xe6\xb5\xbf",
        "Hong^Gildong=洪^吉洞=홍^길동",
    ),
    "Chinese (K.2)": (
        ("", "ISO 2022 IR 58"),
        b"Zhang^XiaoDong=\x1b$)A\xd5\xc5^\x1b$)A\xd0\xa1\xb6\xab=",
        "Zhang^XiaoDong=张^小东=",
    ),
    "Latin and Greek": (
        ("ISO 2022 IR 100", "ISO 2022 IR 126"),
        b"J\xe9r\xf4me \x1b-F\xc4\xe9\xef\xed",
        "Jérôme Διον",
    ),
    "Korean first, without escape sequence": (("ISO 2022 IR 149",), b"\xc8\xab", "홍"),
}


@pytest.mark.parametrize("example", EXTENDED)
def test_code_extensions_are_followed(example):
    terms, value, text = EXTENDED[example]
    assert decode_text(value, terms, is_person_name=True) == text


@pytest.mark.parametrize("delimiter", (b"^", b"=", b"\\", b"\r", b"\n", b"\f", b"\t"))
def test_initial_character_set_is_back_behind_a_delimiter(delimiter):
    value = b"\x1b-F\xc4" + delimiter + b"\xc4"
    assert decode_text(value, ("ISO 2022 IR 100",), is_person_name=True)[::2] == "ΔÄ"


def test_caret_is_no_delimiter_outside_of_person_names():
    assert decode_text(b"\x1b-F\xc4^\xc4", ("ISO 2022 IR 100",)) == "Δ^Δ"


def test_halves_of_kanji_are_no_delimiters():
    # 305E, 305C and 303D are characters; 5E, 5C and 3D alone would be delimiters.
    value = b"\x1b$B0^0\\0=\x1b(B"
    assert decode_text(value, ("", "ISO 2022 IR 87"), is_person_name=True) == "緯移綾"


def test_line_end_ends_kanji():
    assert decode_text(b"\x1b$B;3\r\nA", ("", "ISO 2022 IR 87")) == "山\r\nA"


def test_unknown_escape_sequence_is_marked():
    assert decode_text(b"A\x1b$(ZB", ()) == f"A{UNKNOWN}B"


# --- pydicom reads the same ----------------------------------------------------------------------------

TEXT_VRS = {"LO", "LT", "PN", "SH", "ST", "UC", "UT"}


@pytest.mark.parametrize("name", [n for n in pydicom_files.PATHS if n.startswith("charset_files")])
def test_pydicom_reads_the_same_text(name):
    path = pydicom_files.PATHS[name]
    data_set = pydicom_files.read(path)
    body, syntax, _ = pydicom_files.body_of(path, data_set)
    terms: tuple[str, ...] = ()
    compared = 0
    for element in walk(body, syntax):
        value = body[element.offset : element.offset + max(element.length, 0)]
        if element.depth == 0 and element.tag == 0x00080005:
            terms = parse_specific_character_set(value)
        if element.depth or element.vr not in TEXT_VRS or element.tag not in data_set:
            continue
        ours = decode_text(value, terms, is_person_name=element.vr == "PN").rstrip(" \0")
        if element.vr == "PN":
            ours = ours.rstrip("=")  # pydicom leaves out empty component groups at the end
        theirs = data_set[element.tag].value
        joined = theirs if isinstance(theirs, str) else str(theirs or "")
        if not isinstance(theirs, str) and theirs and data_set[element.tag].VM > 1:
            joined = "\\".join(map(str, theirs))
        assert ours == joined
        compared += 1
    assert compared


def test_pydicom_takes_bytes_without_a_character_set_for_latin_1():
    # The one difference in text that docs/pydicom-differences.md names.
    value = b"J\xe9r\xf4me"
    assert pydicom.charset.decode_bytes(value, ["iso8859"], set()) == "Jérôme"
    assert pydicom.charset.python_encoding[""] == "iso8859"
    assert decode_text(value) == f"J{UNKNOWN}r{UNKNOWN}me"


# --- bytes of strangers --------------------------------------------------------------------------------

ESCAPES = (
    b"\x1b(B",
    b"\x1b(J",
    b"\x1b$B",
    b"\x1b$(D",
    b"\x1b)I",
    b"\x1b$)A",
    b"\x1b$)C",
    b"\x1b-F",
)
values = st.lists(st.one_of(st.binary(max_size=8), st.sampled_from(ESCAPES))).map(b"".join)
sets = st.lists(
    st.one_of(st.sampled_from([t for t, _, _ in SINGLE]), st.text(max_size=20)), max_size=3
)


@given(values, sets, st.booleans())
def test_any_bytes_are_text(value, terms, is_person_name):
    text = decode_text(value, terms, is_person_name=is_person_name)
    assert len(text) <= len(value)


@given(st.binary(max_size=40))
def test_any_bytes_are_terms(value):
    terms = parse_specific_character_set(value)
    assert len(terms) <= len(value)
