"""The answer to a WebDAV PROPFIND (207, RFC 4918 section 13), counted in a stream: how many things lie in a folder.

Theory of operation: ``MultistatusReader`` cuts XML into tags and looks at four elements of the namespace ``DAV:``:
multistatus, response, href and collection. No document is built, no entity is expanded, a document type ends the reading
(there is none in WebDAV). A href is looked at in a buffer of fixed size, compared, counted and zeroed: names never leave
this module. It never raises for what the peer sent: it stops, and ``shape`` gives None.
"""

import re

from doorward.web.file_names import FolderCount, FolderShape
from doorward.web.scratch import Scratch, folder_of

_TAG_BYTES = 4_096
_HREF_BYTES = 4_096
_DEPTH = 32
_TAG = re.compile(rb"""<(?:[^<>"']|"[^"<]*"|'[^'<]*')*+>""")
_NAME = re.compile(
    rb"</?(?:([A-Za-z_][A-Za-z0-9_.-]{0,30}):)?([A-Za-z_][A-Za-z0-9_.-]{0,30})(?=[\s/>])"
)
_NAMESPACE = re.compile(
    rb"""\sxmlns(?::([A-Za-z_][A-Za-z0-9_.-]{0,30}))?\s{0,8}=\s{0,8}["']DAV:["']"""
)
_ORIGIN = re.compile(rb"[a-zA-Z][a-zA-Z0-9+.-]{0,15}://[^/]{0,300}")
#: The folders at the top of Orthanc's WebDAV (OrthancServer, ServerContext and OrthancWebDav): software, no patients.
_ORTHANC = (b"by-patients", b"by-studies", b"by-uids", b"by-dates")


class MultistatusReader:
    """Reads the answer to PROPFIND for ``path``."""

    def __init__(self, path: str) -> None:
        self._folder = folder_of(path)
        self._count = FolderCount()
        self._held = bytearray()
        self._href = Scratch(_HREF_BYTES)
        self._prefixes: set[bytes] = set()
        self._depth = 0
        self._state = "before"  # before | inside | after | broken
        self._in_comment = False
        self._in_href = False
        self._in_response = self._has_href = self._is_folder = False
        self._orthanc: set[bytes] = set()
        #: Responses within the answer, the one of the folder itself included.
        self.responses = 0

    @property
    def is_whole(self) -> bool:
        """The end of the multistatus element was seen."""
        return self._state == "after"

    @property
    def is_orthanc(self) -> bool:
        """The folders are those that Orthanc shows."""
        return len(self._orthanc) == len(_ORTHANC)

    def feed(self, chunk: memoryview) -> bool:
        """Read a piece; False: reading on is of no use."""
        kept = len(self._held)
        work = bytearray(kept + len(chunk))
        work[:kept] = self._held
        work[kept:] = chunk
        self._held[:] = bytes(kept)
        position = self._read(work)
        self._held = work[position:]
        work[:] = bytes(len(work))
        return self._state in ("before", "inside")

    def shape(self) -> FolderShape | None:
        """Return what was counted, None where it is no multistatus; zeroes what is left."""
        self._held[:] = bytes(len(self._held))
        self._href.clear()
        return self._count.shape() if self._state in ("inside", "after") else None

    # --- tags -----------------------------------------------------------------------------------------------------

    def _read(self, work: bytearray) -> int:
        position = 0
        while self._state in ("before", "inside"):
            if self._in_comment:
                end = work.find(b"-->", position)
                if end < 0:
                    return max(position, len(work) - 2)
                self._in_comment, position = False, end + 3
            begin = work.find(b"<", position)
            self._gather(work, position, len(work) if begin < 0 else begin)
            if begin < 0 or self._state == "broken":
                return len(work)
            if len(work) - begin < 4 and b"<!--".startswith(work[begin:]):
                return begin
            if work.startswith(b"<!--", begin):
                self._in_comment, position = True, begin + 4
                continue
            found = _TAG.match(work, begin, begin + _TAG_BYTES)
            if found is not None:
                self._take(work, begin, found.end())
                position = found.end()
            elif len(work) - begin < _TAG_BYTES and work.find(b"<", begin + 1) < 0:
                return begin
            else:
                self._state = "broken"
        return len(work)

    def _gather(self, work: bytearray, begin: int, end: int) -> None:
        if begin >= end:
            return
        if self._in_href:
            with memoryview(work) as view, view[begin:end] as piece:
                self._href.append(piece)
        elif not self._depth and work[begin:end].strip(b"\xef\xbb\xbf \t\r\n"):
            self._state = "broken"  # text outside of the one element

    def _take(self, work: bytearray, begin: int, end: int) -> None:
        if work.startswith(b"<?", begin):
            return
        found = _NAME.match(work, begin, end)
        if found is None:  # a document type, a CDATA section, or no XML
            self._state = "broken"
            return
        self._note_namespaces(work, begin, end)
        name = found[2] if (found[1] or b"") in self._prefixes else b""
        if work.startswith(b"</", begin):
            self._close(name)
        else:
            self._open(name)
            if work.startswith(b"/>", end - 2):
                self._close(name)

    def _note_namespaces(self, work: bytearray, begin: int, end: int) -> None:
        for declared in _NAMESPACE.finditer(work, begin, end):
            if len(self._prefixes) < 8:  # servers declare one or two
                self._prefixes.add(declared[1] or b"")

    def _open(self, name: bytes) -> None:
        self._depth += 1
        if self._depth > _DEPTH:
            self._state = "broken"
        elif self._depth == 1:
            self._state = "inside" if name == b"multistatus" else "broken"
        elif self._depth == 2 and name == b"response":
            self.responses += 1
            self._in_response = True
            self._has_href = self._is_folder = False
            self._href.clear()
        elif self._depth == 3 and name == b"href" and self._in_response and not self._has_href:
            self._in_href = True
        elif name == b"collection":
            self._is_folder = True

    def _close(self, name: bytes) -> None:
        if self._depth == 3 and self._in_href:
            self._in_href, self._has_href = False, True
        elif self._depth == 2:
            if name == b"response" and self._has_href:
                self._end_response()
            self._in_response = self._has_href = False
        self._depth -= 1
        if self._depth == 0:
            self._state = "after"

    def _end_response(self) -> None:
        """Count what the href names, unless it is the folder itself (RFC 4918 section 9.1)."""
        self._href.unescape()
        self._href.strip()
        with self._href.view() as href:
            origin = _ORIGIN.match(href)
            begin = 0 if origin is None else origin.end()
            origin = None
        self._href.drop_first(begin)
        self._href.percent_decode()
        is_folder = self._href.drop_suffix(b"/") or self._is_folder
        is_below = self._href.drop_prefix(self._folder)
        with self._href.view() as name:
            if is_below and len(name) and not self._href.has(b"/"):
                self._count.add(name, is_folder=is_folder)
                self._orthanc.update(known for known in _ORTHANC if self._href.equals(known))
        self._href.clear()
