"""Inflating in a stream: pydicom's file, faults, bombs, any chunking."""

import itertools
import zlib
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

import data_set_invariants
import pydicom_files
from doorward.dicom.inflate import Inflater, inflate
from doorward.dicom.part10 import is_deflated, read_file_meta
from doorward.errors import LimitExceeded, PeerProtocolError
from doorward.limits import DEFAULT_LIMITS

TEXT = bytes(range(256)) * 40


def deflate(plain: bytes) -> bytes:
    """Return a raw deflate stream, as PS3.5 section A.5 wants it."""
    deflater = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return deflater.compress(plain) + deflater.flush()


def test_what_was_deflated_comes_back():
    assert inflate(deflate(TEXT)) == TEXT
    assert inflate(memoryview(deflate(TEXT))) == TEXT
    assert inflate(deflate(b"")) == b""


def test_pydicoms_deflated_file_is_inflated():
    raw = pydicom_files.PATHS["test_files/image_dfl.dcm"].read_bytes()
    meta = read_file_meta(raw)
    assert is_deflated(meta.transfer_syntax_uid)
    body = raw[meta.data_set_offset :]
    assert inflate(body) == zlib.decompress(body, wbits=-zlib.MAX_WBITS)


@given(st.lists(st.integers(1, 400), min_size=1, max_size=20))
def test_any_chunking_gives_the_same_bytes(sizes):
    deflated = deflate(TEXT)
    inflater, pieces, start = Inflater(), [], 0
    for size in itertools.cycle(sizes):
        if start >= len(deflated):
            break
        pieces += inflater.feed(deflated[start : start + size])
        start += size
    inflater.finish()
    assert b"".join(pieces) == TEXT


def test_pieces_are_small_and_come_one_by_one():
    limits = replace(DEFAULT_LIMITS, inflate_ratio=2000)
    pieces = Inflater(limits).feed(deflate(bytes(1 << 22)))
    assert len(next(pieces)) == 65_536
    assert {len(piece) for piece in pieces} == {65_536}


@pytest.mark.parametrize("padding", (b"\0", b"CRC32len", b"CRC32len\0"))
def test_padding_and_the_trailer_of_gzip_are_passed_over(padding):
    assert inflate(deflate(TEXT) + padding) == TEXT
    inflater = Inflater()
    assert b"".join(inflater.feed(deflate(TEXT))) == TEXT
    assert list(inflater.feed(padding)) == []
    inflater.finish()


@pytest.mark.parametrize(
    "deflated",
    (
        b"",
        deflate(TEXT)[:-1],
        zlib.compress(TEXT),
        b"\xff" * 20,
        deflate(TEXT) + bytes(10),
    ),
    ids=("empty", "cut off", "with a zlib header", "no block", "more behind the end"),
)
def test_what_is_no_deflated_data_set_is_refused(deflated):
    with pytest.raises(PeerProtocolError) as caught:
        inflate(deflated)
    assert caught.value.field == "deflated data set"


def test_bytes_behind_the_end_are_counted_over_calls():
    inflater = Inflater()
    list(inflater.feed(deflate(TEXT)))
    for _ in range(9):
        list(inflater.feed(b"\0"))
    with pytest.raises(PeerProtocolError):
        list(inflater.feed(b"\0"))


def test_deflate_bomb_ends_at_the_ratio():
    bomb = deflate(bytes(1 << 24))
    pieces: list[bytes] = []
    with pytest.raises(LimitExceeded) as caught:
        pieces.extend(Inflater().feed(bomb))
    assert caught.value.limit == "inflate_ratio"
    assert caught.value.seen > DEFAULT_LIMITS.inflate_ratio
    assert len(pieces) <= 2


def test_all_output_is_bounded():
    limits = replace(DEFAULT_LIMITS, inflate_bytes=len(TEXT) - 1)
    with pytest.raises(LimitExceeded) as caught:
        inflate(deflate(TEXT), limits)
    assert (caught.value.limit, caught.value.seen) == ("inflate_bytes", len(TEXT))
    assert inflate(deflate(TEXT), replace(limits, inflate_bytes=len(TEXT))) == TEXT


@given(st.binary(max_size=300))
def test_any_bytes_are_inflated_or_refused(deflated):
    limits = replace(DEFAULT_LIMITS, inflate_ratio=10, inflate_bytes=1000)
    try:
        plain = inflate(deflated, limits)
    except (PeerProtocolError, LimitExceeded):
        return
    assert len(plain) <= min(1000, 10 * len(deflated))


@pytest.mark.parametrize(
    "path", sorted((data_set_invariants.CORPUS / "inflate").iterdir()), ids=lambda p: p.name
)
def test_input_of_the_fuzzing_corpus_holds_the_invariant(path):
    data_set_invariants.check_inflate(path.read_bytes())
