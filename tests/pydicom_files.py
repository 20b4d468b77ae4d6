"""The DICOM files in pydicom's wheel, read by pydicom: the oracle for ``doorward.dicom``. Nothing is ever downloaded."""

import contextlib
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pydicom
import pydicom.data
from pydicom.dataelem import RawDataElement

from doorward.dicom import walk
from doorward.dicom.inflate import inflate
from doorward.dicom.part10 import FileMeta, is_deflated, read_file_meta, syntax_of
from doorward.errors import PeerProtocolError

FOLDER = Path(pydicom.data.__file__).parent
_OTHER_KINDS = {".py", ".pyc", ".json", ".txt", ".dump", ".gz", ".icc", ".md"}
PATHS = {
    path.relative_to(FOLDER).as_posix(): path
    for path in sorted(FOLDER.rglob("*"))
    if path.is_file() and path.suffix not in _OTHER_KINDS and path.name != "README"
}


@dataclass(frozen=True, slots=True)
class Seen:
    """One element as pydicom sees it. ``length`` and ``offset`` (in the file) are None where it does not keep them."""

    tag: int
    vr: str
    depth: int
    length: int | None
    offset: int | None


def read(path: Path) -> pydicom.Dataset:
    """Return the data set as pydicom reads it, faults included."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pydicom.dcmread(path, force=True)


def flatten(data_set: pydicom.Dataset, depth: int = 0) -> Iterator[Seen]:
    """Yield all elements and items in the order of the file."""
    for tag, raw in list(data_set._dict.items()):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            element = data_set[tag]
        if isinstance(raw, RawDataElement):
            length: int | None = raw.length
            offset = raw.value_tell
            if length == 0xFFFFFFFF:
                length = walk.UNDEFINED
        else:
            length, offset = None, raw.file_tell
        # What lies in a sequence of defined length is counted from its own beginning.
        yield Seen(int(tag), str(element.VR), depth, length, None if depth else offset)
        if element.VR == "SQ":
            for item in element.value:
                yield Seen(walk.ITEM, "", depth, None, None)
                yield from flatten(item, depth + 1)


def body_of(path: Path, data_set: pydicom.Dataset) -> tuple[bytes, walk.Syntax, FileMeta]:
    """Return the inflated data set of a file, how it is written, and its meta information.

    Where the file does not name a transfer syntax, what pydicom has guessed is taken.
    """
    raw = path.read_bytes()
    meta = read_file_meta(raw)
    body = raw[meta.data_set_offset :]
    if is_deflated(meta.transfer_syntax_uid):
        body = inflate(body)
    syntax = syntax_of(meta.transfer_syntax_uid)
    if not meta.transfer_syntax_uid:
        is_implicit, is_little_endian = data_set.original_encoding
        explicit = walk.Syntax.EXPLICIT_LITTLE if is_little_endian else walk.Syntax.EXPLICIT_BIG
        syntax = walk.Syntax.IMPLICIT_LITTLE if is_implicit else explicit
    return body, syntax, meta


def readable(body: bytes, syntax: walk.Syntax) -> Iterator[walk.Element]:
    """Yield the elements up to the first fault: pydicom keeps them too."""
    with contextlib.suppress(PeerProtocolError):
        yield from walk.walk(body, syntax)
