"""Lines of LIST in the forms of servers: where the name begins, what is a folder; nothing stays."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doorward.greetings.ftp_list import ListLines

LINES = {
    b"-rw-r--r--    1 ftp      ftp             2 Nov 22 14:26 IM_0001": (b"IM_0001", False),
    b"drwxr-xr-x    2 0        0            4096 Nov 22 14:26 a folder": (b"a folder", True),
    b"-rw-r--r--   1 owner group 1803128 Jul 10  2024 x y.dcm": (b"x y.dcm", False),
    b"drwxrwxr-x 2 pacs 4096 2024-07-10 10:11 iso": (b"iso", True),
    b"lrwxrwxrwx   1 root root 7 Jan  1 00:00 link -> elsewhere": (b"link -> elsewhere", False),
    b"drwxr-xr-x+  2 domain users 4096 Nov  2 14:26 with plus": (b"with plus", True),
    b"11-22-26  02:26PM       <DIR>          00000001": (b"00000001", True),
    b"11-22-2026  14:26                 1234 image.dcm": (b"image.dcm", False),
    b"just a name": (b"just a name", False),
}


def read(text: bytes, size: int = 65_536) -> list[tuple[bytes, bool]]:
    seen: list[tuple[bytes, bool]] = []
    lines = ListLines(lambda name, is_folder: seen.append((bytes(name), is_folder)))
    for begin in range(0, len(text), size):
        lines.feed(memoryview(text)[begin : begin + size])
    lines.finish()
    assert not any(lines._room), "nothing stays"
    return seen


@pytest.mark.parametrize("line", LINES)
def test_a_line_gives_its_name(line):
    assert read(line + b"\r\n") == [LINES[line]]


@pytest.mark.parametrize("size", [1, 3, 65_536])
@pytest.mark.parametrize("end", [b"\r\n", b"\n"])
def test_lines_may_be_cut_anywhere_and_the_last_may_have_no_end(size, end):
    assert read(end.join(LINES), size) == list(LINES.values())


def test_totals_and_the_folders_around_are_no_entries():
    text = b"total 12\r\ndrwxr-xr-x 2 0 0 4096 Nov 22 14:26 .\r\ndrwxr-xr-x 2 0 0 4096 Nov 22 14:26 ..\r\n\r\n"
    assert read(text) == []


def test_a_line_beyond_the_bound_counts_without_its_name():
    assert read(b"x" * 10_000 + b"\nshort\n") == [(b"", False), (b"short", False)]


@given(st.binary(max_size=300), st.integers(min_value=1, max_value=40))
def test_any_bytes_in_any_pieces_give_the_same_names(text, size):
    assert read(text, size) == read(text)
