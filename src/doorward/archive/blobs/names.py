"""Names of blobs: the SHA-256 of the content, so that no peer ever chooses a path."""

import hashlib
import re
from dataclasses import dataclass

from doorward.errors import UsageError

_DIGEST = re.compile(r"[0-9a-f]{64}")
#: The first two digits of a name are its folder. Made once, synced once, never removed.
FOLDERS = tuple(f"{number:02x}" for number in range(256))


@dataclass(frozen=True, slots=True, kw_only=True)
class Blob:
    """What a commit has made durable.

    ``is_new`` is false where the same content had been there before; of two that come at the same moment both may be new.
    """

    digest: str
    size_bytes: int
    is_new: bool


def is_digest(name: str) -> bool:
    """Whether a name is one of ours: 64 hexadecimal digits in lower case."""
    return _DIGEST.fullmatch(name) is not None


def checked(digest: str) -> str:
    """Return the name of a blob as it is; raises UsageError when it is none."""
    if not is_digest(digest):
        raise UsageError("the name of a blob is 64 hexadecimal digits in lower case")
    return digest


def new_hash() -> "hashlib._Hash":
    """Return the hash that names a blob once it has seen all of it (SHA-256, FIPS 180-4)."""
    return hashlib.sha256()
