"""Is this page a web server's own list of a folder, and how many files does it name? Read in a stream, names never kept.

Theory of operation: ``ListingReader`` is told the path that was asked for and is fed pieces of the page, cut anywhere. A
list that a server draws by itself shows three things together, and a page that merely has links does not: a title of a
known form, the asked path in this title, and links that lead to names right below the path and show these same names.
Each name is compared and counted in buffers of fixed size that are zeroed; nothing else of the page is held.
What is malformed is skipped; memory is bounded by the longest tag, and time is linear in the size of the page.
"""

import re
from dataclasses import dataclass

from doorward.web.file_names import FolderCount, FolderShape
from doorward.web.scratch import Scratch, folder_of

#: A name has 255 bytes, and thrice as many when each is percent-encoded; servers repeat it in the path.
_TAG_BYTES = 4_096
_TEXT_BYTES = 1_024
_TAG = re.compile(rb"""<(?:[^<>"']|"[^"<>]*"|'[^'<>]*')*+>""")
_TAG_NAME = re.compile(rb"<(/?[a-zA-Z][a-zA-Z0-9]{0,15})(?=[\s/>])")
_HREF = re.compile(
    rb"""\shref\s{0,8}=\s{0,8}(?:"([^"]*)"|'([^']*)'|([^\s"'<>=`]+))""", re.IGNORECASE
)
_PASSWORD = re.compile(rb"""\stype\s{0,8}=\s{0,8}["']?password\b""", re.IGNORECASE)
_LIGHTTPD_TABLE = re.compile(rb'\ssummary="Directory Listing"')
_END_OF_RAW = {
    b"script": re.compile(rb"</script", re.IGNORECASE),
    b"style": re.compile(rb"</style", re.IGNORECASE),
    b"!": re.compile(rb"-->"),
}
_LONGEST_END = 8
#: More links to elsewhere than any header or footer has.
_MANY_OTHERS = 1_000
#: Title -> form. The path stands in the group; what stands around it is the server's own wording.
_TITLES = (
    (re.compile(rb"Index of (/.*)\Z", re.DOTALL), "index_of"),  # Apache httpd, nginx, lighttpd
    (re.compile(rb"Directory listing for (/.*)\Z", re.DOTALL), "python"),
    (re.compile(rb"Directory Listing For (?:\[(/.*)\]|(/.*))\Z", re.DOTALL), "tomcat"),
    (re.compile(rb"Directory: (/.*)\Z", re.DOTALL), "jetty"),
    (re.compile(rb"listing directory (/.*)\Z", re.DOTALL), "serve-index"),
    (re.compile(rb"[A-Za-z0-9._:\[\]-]{1,255} - (/.*)\Z", re.DOTALL), "iis"),
)
#: The columns of Apache httpd's mod_autoindex: ?C=N;O=D.
_SORT_LINK = re.compile(rb"\?C=[NMSD]")
_UPWARDS = (b"", b"..", b".", b"./", b"../", b"/")
_SCHEME = re.compile(rb"[a-zA-Z][a-zA-Z0-9+.-]*:|//")
_CUT_SHORT = (b"..>", b"...", b"..", b"\xe2\x80\xa6")


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """A folder as a web server shows it."""

    #: nginx | apache | lighttpd | python | tomcat | jetty | serve-index | iis | index_of (one of the first three)
    form: str
    shape: FolderShape


class ListingReader:
    """Reads one page that was asked for under ``path`` (as in the request, without a query)."""

    def __init__(self, path: str) -> None:
        self._folder = folder_of(path)
        self._count = FolderCount()
        self._held = bytearray()  # the unfinished tag at the end of the last piece
        self._raw = b""  # the element whose content is no HTML; "!" in a comment
        self._text = Scratch(_TEXT_BYTES)
        self._href = Scratch(_TAG_BYTES)
        self._gathers = b""  # title | a | ""
        self._form = ""
        self._others = 0
        self._asks_password = False
        self._marks: set[str] = set()

    def feed(self, chunk: memoryview) -> bool:
        """Read a piece; False when it has become clear that this is no list of files."""
        kept = len(self._held)
        work = bytearray(kept + len(chunk))
        work[:kept] = self._held
        work[kept:] = chunk
        self._held[:] = bytes(kept)
        position = self._read(work)
        self._held = work[position:]
        work[:] = bytes(len(work))
        return self._form != "none" and not self._asks_password and not self._is_hopeless

    @property
    def _is_hopeless(self) -> bool:
        return self._others > _MANY_OTHERS and self._others > self._count.entries

    def listing(self) -> Listing | None:
        """Return what was found, None where the page is no list of the folder; zeroes what is left of the page."""
        self._held[:] = bytes(len(self._held))
        self._text.clear()
        self._href.clear()
        entries = self._count.entries
        # A header or footer of the operator's may hold links of its own; a page of links has more of them than files.
        most_others = max(2, entries) if entries else 0
        if self._form in ("", "none") or self._asks_password or self._others > most_others:
            return None
        return Listing(form=self._named_form(), shape=self._count.shape())

    def _named_form(self) -> str:
        if self._form != "index_of":
            return self._form
        return next((m for m in ("lighttpd", "apache", "nginx") if m in self._marks), "index_of")

    # --- tags and text --------------------------------------------------------------------------------------------

    def _read(self, work: bytearray) -> int:
        """Read as far as possible; returns where the unfinished rest begins."""
        position = 0
        while True:
            if self._raw:
                position, is_over = self._skip(work, position)
                if not is_over:
                    return position
            begin = work.find(b"<", position)
            self._gather(work, position, len(work) if begin < 0 else begin)
            if begin < 0:
                return len(work)
            if len(work) - begin < 4 and b"<!--".startswith(work[begin:]):
                return begin
            if work.startswith(b"<!--", begin):
                self._raw, position = b"!", begin + 4
                continue
            found = _TAG.match(work, begin, begin + _TAG_BYTES)
            if found is not None:
                self._take(work, begin, found.end())
                position = found.end()
            elif len(work) - begin < _TAG_BYTES and work.find(b"<", begin + 1) < 0:
                return begin
            else:
                position = begin + 1  # a lone "<" in a text, or a tag that nobody writes

    def _skip(self, work: bytearray, position: int) -> tuple[int, bool]:
        """Go to the end of a comment or of an element that holds no HTML; False: it is not in this piece."""
        found = _END_OF_RAW[self._raw].search(work, position)
        if found is None:
            return max(position, len(work) - _LONGEST_END), False
        end = found.end() if self._raw == b"!" else found.start()
        self._raw = b""
        return end, True

    def _gather(self, work: bytearray, begin: int, end: int) -> None:
        if self._gathers and begin < end:
            with memoryview(work) as view, view[begin:end] as piece:
                self._text.append(piece)

    def _take(self, work: bytearray, begin: int, end: int) -> None:
        """Look at one tag."""
        found = _TAG_NAME.match(work, begin, end)
        if found is None:
            if work.startswith(b"<!DOCTYPE HTML PUBLIC", begin):
                self._marks.add("apache")
            return
        match found[1].lower():
            case b"title" | b"a" as name:
                self._begin(name, work, begin, end)
            case b"/title" if self._gathers == b"title":
                self._end_title()
            case b"/a" if self._gathers == b"a":
                self._end_link()
            case b"script" | b"style" as name:
                self._raw = name
            case b"input" if _PASSWORD.search(work, begin, end):
                self._asks_password = True
            case b"table" if _LIGHTTPD_TABLE.search(work, begin, end):
                self._marks.add("lighttpd")
            case _ if self._gathers and len(self._text):
                self._text.append(b" ")  # elements inside a link stand apart

    def _begin(self, name: bytes, work: bytearray, begin: int, end: int) -> None:
        if self._gathers == b"a":
            self._end_link()  # a link ends where the next one begins (HTML section 13.2.6.4.7)
        self._text.clear()
        self._href.clear()
        self._gathers = name
        if name != b"a":
            return
        found = _HREF.search(work, begin, end)
        if found is None:
            self._gathers = b""  # an anchor leads nowhere
            return
        with memoryview(work) as view, view[slice(*found.span(found.lastindex or 0))] as href:
            self._href.append(href)

    # --- what they mean -------------------------------------------------------------------------------------------

    def _end_title(self) -> None:
        self._gathers = b""
        self._text.unescape()
        self._text.strip()
        if not self._form:  # the first title counts
            self._form = self._form_of_title()
        self._text.clear()

    def _form_of_title(self) -> str:
        with self._text.view() as title:
            for pattern, form in _TITLES:
                found = pattern.match(title)
                if found is not None:
                    begin, end = found.span(found.lastindex or 0)
                    shown = bytes(title[begin:end]).rstrip(b"/") + b"/"
                    # Behind a proxy the server may see a shorter path than we asked for.
                    return form if self._folder.endswith(shown) else "none"
        return "none"

    def _end_link(self) -> None:
        self._gathers = b""
        self._text.unescape()
        self._text.strip()
        self._href.unescape()
        kind = self._kind_of_link()
        if kind == "other":
            self._others += 1
        self._href.clear()
        self._text.clear()

    def _kind_of_link(self) -> str:
        """Count the link where it is a name of this folder. Returns name | way | other."""
        with self._href.view() as href:
            if _SORT_LINK.match(href) is not None:
                self._marks.add("apache")
                return "way"
            if any(self._href.equals(way) for way in _UPWARDS):
                if self._href.equals(b"../") and self._text.equals(b"../"):
                    self._marks.add("nginx")
                return "way"
            is_elsewhere = _SCHEME.match(href) is not None or self._href.has(b"?")
        if is_elsewhere or self._href.is_too_long or self._text.is_too_long:
            return "other"
        self._href.percent_decode()
        if not self._href.drop_prefix(self._folder) and not self._href.drop_prefix(b"./"):
            with self._href.view() as href:
                if href[0] == 0x2F:
                    return "way" if self._folder.startswith(href) else "other"
        return self._count_name()

    def _count_name(self) -> str:
        is_folder = self._href.drop_suffix(b"/")
        self._text.drop_suffix(b"/")
        if not len(self._href):
            return "way"  # to the folder itself
        with self._href.view() as name, self._text.view() as text:
            if self._href.has(b"/") or not _shows(text, name):
                return "other"
            self._count.add(name, is_folder=is_folder)
        return "name"


def _shows(text: memoryview, name: memoryview) -> bool:
    """Tell whether a link's text is the name: whole, with columns behind it, or cut short as servers do."""
    if text[: len(name)] == name:
        return len(text) == len(name) or text[len(name)] == 0x20
    for mark in _CUT_SHORT:
        stem = len(text) - len(mark)
        if stem > 0 and text[stem:] == mark:
            return name[:stem] == text[:stem]
    return False
