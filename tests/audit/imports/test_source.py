"""The file of an import as a stream: plain or gzip, bounded, and cut off where it was cut off."""

import gzip
import io
import os
import threading
from pathlib import Path

import pytest

from doorward.audit.imports.source import Rewound, opened
from doorward.errors import ConfigError
from doorward.limits import DEFAULT_LIMITS, Limits

CONTENT = b"".join(b"line %d\n" % i for i in range(50_000))


def content_of(file: Path, limits: Limits = DEFAULT_LIMITS) -> tuple[bytes, bool]:
    with opened(file, limits) as source:
        return source.stream.read(), source.is_cut_off


@pytest.mark.parametrize("head_bytes", [1, 100, 1_048_576])
@pytest.mark.parametrize("content", [b"", b"\x1f", b"a", CONTENT, gzip.compress(CONTENT)])
def test_the_stream_is_whole_whatever_was_looked_at(
    tmp_path: Path, content: bytes, head_bytes: int
) -> None:
    file = tmp_path / "scan"
    file.write_bytes(content)
    expected = CONTENT if content.startswith(b"\x1f\x8b") else content
    with opened(file, Limits(import_head_bytes=head_bytes)) as source:
        assert source.head == expected[:head_bytes]
        assert source.stream.read() == expected
        assert not source.is_cut_off


def test_gzip_files_one_behind_the_other_are_one(tmp_path: Path) -> None:
    file = tmp_path / "scan.gz"
    file.write_bytes(gzip.compress(b"a\n") + gzip.compress(b"b\n") + bytes(512))
    assert content_of(file) == (b"a\nb\n", False)


def test_a_gzip_file_that_was_cut_off_gives_what_was_whole(tmp_path: Path) -> None:
    file = tmp_path / "scan.gz"
    packed = gzip.compress(CONTENT)
    file.write_bytes(packed[: len(packed) // 2])
    content, is_cut_off = content_of(file)
    assert is_cut_off
    assert len(content) > 1_000
    assert CONTENT.startswith(content)


@pytest.mark.parametrize("where", [12, 5_000, -6, -2])
def test_a_damaged_gzip_file_is_an_error(tmp_path: Path, where: int) -> None:
    packed = bytearray(gzip.compress(os.urandom(20_000)))
    packed[where] ^= 0xFF
    file = tmp_path / "scan.gz"
    file.write_bytes(packed)
    with pytest.raises(ConfigError, match=r"scan\.gz: is damaged: its gzip compression is broken"):
        content_of(file)


def test_what_grows_beyond_all_reason_is_refused_while_it_grows(tmp_path: Path) -> None:
    file = tmp_path / "bomb.gz"
    file.write_bytes(gzip.compress(bytes(20_000_000)))
    limits = Limits(import_inflated_bytes=1_000_000)
    grown: list[int] = []
    with (
        opened(file, limits) as source,
        pytest.raises(ConfigError, match="more than 200 bytes for each byte"),
    ):
        grown.extend(len(piece) for piece in iter(lambda: source.stream.read(65_536), b""))
    assert 1_000_000 < sum(grown) < 4_000_000


def test_a_file_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError, match="nowhere: cannot be read \\(No such file or directory\\)"
    ):
        content_of(tmp_path / "nowhere")
    with pytest.raises(ConfigError, match="cannot be read \\(Is a directory\\)"):
        content_of(tmp_path)


def test_a_named_pipe_streams(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=lambda: pipe.write_bytes(gzip.compress(CONTENT)))
    writer.start()
    assert content_of(pipe) == (CONTENT, False)
    writer.join()


def test_a_rewound_stream_counts_what_it_gave() -> None:
    rewound = Rewound(io.BytesIO(b"cdef"), b"ab")
    assert rewound.readable()
    assert io.BufferedReader(rewound).read() == b"abcdef"
    assert rewound.given == 6
