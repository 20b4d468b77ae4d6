"""Scores are read as they come, in pieces of any size, plain or packed; only the wanted ones stay."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doorward.errors import ConfigError
from doorward.limits import DEFAULT_LIMITS
from knowledge_files import EPSS, packed, read

WANTED = ("CVE-2025-0896", "CVE-2099-10002", "CVE-2000-0001")
FIRST, SECOND, *ROWS = EPSS.splitlines(keepends=True)


def test_wanted_scores_stay():
    update = read(EPSS, wanted=WANTED)
    assert update.likelihood == {"CVE-2025-0896": 0.10234, "CVE-2099-10002": 0.00004}
    where = update.provenance
    assert (where.kind, where.released, where.read, where.kept) == ("epss", "2026-11-21", 5, 2)


@given(piece=st.integers(min_value=1, max_value=300), is_packed=st.booleans())
def test_any_pieces_give_the_same(piece, is_packed):
    content = packed(EPSS) if is_packed else EPSS
    assert (
        read(content, wanted=WANTED, piece=piece).likelihood == read(EPSS, wanted=WANTED).likelihood
    )


def test_windows_line_ends_and_a_missing_last_one_are_taken():
    content = EPSS.replace(b"\n", b"\r\n").rstrip()
    assert read(content, wanted=WANTED).provenance.read == 5
    assert read(b"\xef\xbb\xbf" + EPSS, wanted=WANTED).provenance.read == 5


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (SECOND + b"".join(ROWS), None),
        (b"# no day here\n" + SECOND + ROWS[0], 1),
        (b"#model_version:v1,score_date:2026-13-40\n" + SECOND + ROWS[0], 1),
        (FIRST + b"cve,epss\n" + ROWS[0], 2),
        (FIRST + SECOND + ROWS[0] + b"CVE-2025-0896;0.1;0.9\n", 4),
        (FIRST + SECOND + b"CVE-2025-0896,1.5,0.9\n", 3),
        (FIRST + SECOND + b"CVE-2025-0896,nan,0.9\n", 3),
        (FIRST + SECOND + b"CVE-2025-0896,0.1\n", 3),
        (FIRST + SECOND + b"\n", 3),
        (FIRST + SECOND, 2),
        (FIRST, 1),
        (FIRST + SECOND + b"x" * 5_000, 3),
        (b"#" + b"x" * 600, 1),
        (b"#" + b"x" * 600 + b",score_date:2026-11-21\n" + SECOND + ROWS[0], 1),
    ],
)
def test_what_breaks_the_form_is_refused_with_its_line(content, line):
    with pytest.raises(ConfigError) as error:
        read(content, wanted=WANTED)
    assert error.value.line == line
    assert error.value.file.name == "given.file"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (packed(EPSS)[:-9], "ends in the middle"),
        (packed(EPSS) + b"more", "goes on after the end"),
        (b"\x1f\x8b" + b"\x00" * 40, "no gzip file"),
        (b"\x1f", "must name the day"),
    ],
)
def test_damaged_packing_is_refused(content, words):
    with pytest.raises(ConfigError, match=words):
        read(content)


@pytest.mark.parametrize("is_packed", [False, True])
def test_a_file_without_end_is_bounded(is_packed):
    rows = b"".join(ROWS) * 2_000
    content = FIRST + SECOND + rows
    limits = replace(DEFAULT_LIMITS, knowledge_csv_bytes=100_000)
    with pytest.raises(ConfigError, match="is longer than 100,000 bytes"):
        read(packed(content) if is_packed else content, limits=limits, piece=4_096)


def test_a_day_of_scores_is_read_without_holding_it():
    import tracemalloc

    rows = b"".join(b"CVE-2024-%06d,0.00043,0.12000\n" % i for i in range(100_000))
    content = packed(FIRST + SECOND + rows)
    del rows
    tracemalloc.start()
    update = read(content, wanted=("CVE-2024-000007",), piece=65_536)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (update.provenance.read, update.provenance.kept) == (100_000, 1)
    # The inflated file has 3 MB; a piece of 256 KiB and its lines are what may be held.
    assert peak < 2_000_000
