"""A body of several parts (RFC 2387, RFC 2046 section 5.1): the bytes between the contents, and how long all of it is.

    writer = MultipartWriter("application/dicom", boundary)
    head = writer.head("application/dicom; transfer-syntax=...", first=True)
    ... head, the content, further heads and contents ...
    writer.end

The boundary is the caller's: a random one of 128 bits occurs in no content.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from doorward.errors import LocalProtocolError

#: RFC 2046 section 5.1.1, without those that would need quotation marks.
_BOUNDARY = re.compile(r"[0-9A-Za-z'+_.-]{1,70}", re.ASCII)
_FIELD = re.compile(r"[ -~]*", re.ASCII)


@dataclass(frozen=True, slots=True)
class MultipartWriter:
    """Writes multipart/related. Raises LocalProtocolError for a boundary that is none."""

    part_type: str
    boundary: str

    def __post_init__(self) -> None:
        if not _BOUNDARY.fullmatch(self.boundary):
            raise LocalProtocolError("this is no boundary (RFC 2046 section 5.1.1)")

    @property
    def content_type(self) -> str:
        """The Content-Type of all of it (PS3.18 section 8.6.1.2)."""
        return f'multipart/related; type="{self.part_type}"; boundary={self.boundary}'

    def head(
        self,
        content_type: str,
        *,
        location: str = "",
        length: int | None = None,
        first: bool = False,
    ) -> bytes:
        """Return what stands before the content of a part. Raises LocalProtocolError for fields that are not ASCII."""
        fields = {"Content-Type": content_type}
        if location:
            fields["Content-Location"] = location
        if length is not None:
            fields["Content-Length"] = str(length)
        if not all(map(_FIELD.fullmatch, fields.values())):
            raise LocalProtocolError("a header field of a part is not printable ASCII")
        lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        before = "" if first else "\r\n"
        return f"{before}--{self.boundary}\r\n{lines}\r\n".encode("ascii")

    @property
    def end(self) -> bytes:
        """What stands behind the last content."""
        return f"\r\n--{self.boundary}--\r\n".encode("ascii")

    def length(self, heads: Iterable[bytes], contents: Iterable[int]) -> int:
        """Return how many bytes all of it has."""
        return sum(map(len, heads)) + sum(contents) + len(self.end)
