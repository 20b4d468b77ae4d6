"""Lists of folders are told from pages that merely have links, cut anywhere; names stay nowhere."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

import file_invariants
from doorward.web.file_names import FolderShape
from doorward.web.listing import Listing, ListingReader
from listing_pages import LISTS, NGINX, NO_LISTS


def read(page: bytes, path: str = "/dicom/", size: int = 65_536) -> Listing | None:
    reader = ListingReader(path)
    for begin in range(0, len(page), size):
        if not reader.feed(memoryview(page)[begin : begin + size]):
            break
    return reader.listing()


@pytest.mark.parametrize("name", LISTS)
@pytest.mark.parametrize("size", [1, 7, 65_536])
def test_lists_are_counted_however_they_are_cut(name, size):
    page, folders = LISTS[name]
    listing = read(page, size=size)
    assert listing is not None
    assert listing.form == name.partition(",")[0]
    assert listing.shape == FolderShape(entries=4, folders=folders, dicom_names=2, number_names=1)


@pytest.mark.parametrize("name", NO_LISTS)
@pytest.mark.parametrize("size", [3, 65_536])
def test_no_false_list(name, size):
    assert read(NO_LISTS[name], size=size) is None


@pytest.mark.parametrize("name", [name for name in LISTS if name != "serve-index"])
def test_a_list_of_another_folder_is_none_of_this_one(name):
    assert read(LISTS[name][0], path="/images/") is None


def test_behind_a_proxy_the_title_may_be_shorter():
    page = NGINX.replace(b"/dicom/</", b"/</")
    listing = read(page, path="/dicom/")
    assert listing is not None
    assert listing.shape.entries == 4


def test_an_empty_folder_is_a_list_of_nothing():
    page = b'<html><head><title>Index of /empty/</title></head><body><pre><a href="../">../</a>\r\n</pre></body></html>'
    listing = read(page, path="/empty/")
    assert listing == Listing(form="nginx", shape=FolderShape())


def test_the_reader_stops_at_a_title_that_no_list_has():
    reader = ListingReader("/dicom/")
    assert not reader.feed(memoryview(b"<title>Welcome</title>"))


def test_a_name_too_long_to_be_one_is_no_file():
    page = (
        b"<title>Index of /dicom/</title>"
        + b'<a href="'
        + b"a" * 3_000
        + b'">'
        + b"a" * 3_000
        + b"</a>"
    )
    assert read(page) is None


@given(st.binary(max_size=400), st.integers(min_value=1, max_value=50))
def test_any_bytes_in_any_pieces_give_one_answer(page, size):
    page = b"<title>Index of /dicom/</title>" + page
    assert read(page, size=size) == read(page)


@given(
    st.lists(
        st.sampled_from(
            [b"<", b">", b'"', b"'", b"<a href=", b"</a>", b"<!--", b"-->", b"<title>", b"x", b"&#"]
        ),
        max_size=60,
    )
)
def test_broken_markup_gives_one_answer_too(parts):
    page = b"<title>Index of /dicom/</title>" + b"".join(parts)
    assert read(page, size=1) == read(page)


@pytest.mark.parametrize(
    "piece",
    [
        b"<",
        b'<"',
        b"<'\"",
        b'<a href="',
        b"<!-",
        b"<a href=x>",
        b"&",
        b"<title>",
        b"<a",
        b"x" * 10,
        b"</a>",
        b"<script>",
    ],
)
def test_time_is_linear_in_hostile_pages(piece):
    reader = ListingReader("/dicom/")
    reader.feed(memoryview(b"<title>Index of /dicom/</title>"))
    page = memoryview(piece * (400_000 // len(piece)))
    begun = time.process_time()
    for begin in range(0, len(page), 65_536):
        reader.feed(page[begin : begin + 65_536])
    assert time.process_time() - begun < 5.0, "0.4 MB"
    reader.listing()


def test_nothing_of_the_page_is_left_in_the_reader():
    reader = ListingReader("/dicom/")
    reader.feed(memoryview(NGINX.replace(b"IM_0001", b"ZZCANARY"))[:400])
    reader.listing()
    rooms = (reader._held, reader._text._room, reader._href._room)
    assert not any(any(room) for room in rooms)


@pytest.mark.parametrize(
    "path", sorted((file_invariants.CORPUS / "listing").iterdir()), ids=lambda p: p.name
)
def test_kept_inputs_of_the_fuzzer_hold_the_invariant(path):
    file_invariants.check_listing(path.read_bytes())
