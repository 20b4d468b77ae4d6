"""What holds for every multipart body: the fuzz harness looks for a counterexample, tests replay the corpus.

The first byte of an input chooses limits and how the rest is cut; the boundary is ``b``.
"""

from dataclasses import replace
from pathlib import Path

from doorward.errors import LimitExceeded, PeerProtocolError
from doorward.limits import DEFAULT_LIMITS, Limits
from doorward.web.multipart import MultipartReader, PartBegun, PartData, PartEnded

CORPUS = Path(__file__).resolve().parent / "fuzz" / "corpus" / "multipart"
TIGHT_LIMITS = replace(
    DEFAULT_LIMITS, multipart_head_bytes=24, multipart_margin_bytes=12, stow_instances=3
)
DELIMITER = b"\r\n--b"
#: Headers, bytes, whether it is whole.
Part = tuple[dict[str, str], bytes, bool]


def check_error(error: Exception) -> None:
    """An error is in characters that a terminal may show."""
    assert str(error).isprintable()
    assert len(str(error)) < 200


def read(body: bytes, size: int, limits: Limits = DEFAULT_LIMITS) -> tuple[list[Part], object]:
    """Return the parts of a body that comes in pieces of that size, and the error, as a class, that ends it."""
    reader = MultipartReader("b", limits)
    parts: list[Part] = []
    try:
        for begin in range(0, len(body), size):
            for event in reader.feed(body[begin : begin + size]):
                match event:
                    case PartBegun(headers):
                        parts.append((dict(headers), b"", False))
                    case PartData(data):
                        assert data, "no event without a byte"
                        parts[-1] = (parts[-1][0], parts[-1][1] + data, False)
                    case PartEnded():
                        parts[-1] = (*parts[-1][:2], True)
            assert len(reader._held) <= max(len(DELIMITER), limits.multipart_head_bytes + 4) + size
        reader.finish()
    except (PeerProtocolError, LimitExceeded) as error:
        check_error(error)
        return parts, type(error)
    return parts, None


def plainly(body: bytes) -> list[tuple[bytes, bytes]]:
    """Return head and bytes of each part of a well-formed body, read by a reader that has all of it."""
    _, _, rest = (b"\r\n" + body).partition(DELIMITER)
    parts = []
    while not rest.startswith(b"--"):
        padding, _, rest = rest.partition(b"\r\n")
        assert not padding.strip(b" \t")
        head, _, rest = (b"\r\n" + rest).partition(b"\r\n\r\n")
        content, _, rest = (b"\r\n" + rest).partition(DELIMITER)
        parts.append((head[2:], content[2:]))
    return parts


def check_multipart(data: bytes) -> bool:
    """However a body is cut its parts are the same, and they are those that a plain reader sees."""
    if not data:
        return False
    limits = TIGHT_LIMITS if data[0] & 0x80 else DEFAULT_LIMITS
    body = data[1:]
    parts, error = read(body, max(1, len(body)), limits)
    assert read(body, data[0] % 0x80 + 1, limits) == (parts, error), "cutting makes a difference"
    if error is None:
        assert all(is_whole for *_, is_whole in parts)
        seen = plainly(body)
        assert [content for _, content in seen] == [content for _, content, _ in parts]
        assert [head.count(b"\r\n") + 1 if head else 0 for head, _ in seen] == [
            len(headers) for headers, *_ in parts
        ]
        assert len(parts) <= limits.stow_instances
    return error is None
