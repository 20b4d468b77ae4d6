"""What an HTML page says about the software behind it, read in a stream.

Theory of operation: ``PageReader`` is fed pieces cut anywhere. It looks at the few tags that name software or ask for a
password, and drops all other text unread: a page may list patients. What it holds between two pieces is short, and
zeroed. No DOM, no script is run, what is malformed is skipped, and the time is linear in the size of the page.
What it finds is a stranger's text: compare it with signatures, never print it.
"""

import html
import re
from dataclasses import dataclass

#: A longer tag is skipped; browsers would take it, the front pages of products have none.
_TAG_BYTES = 2_048
_TITLE_CHARACTERS = 200
_TEXT_CHARACTERS = 300
_SCRIPTS = 64
_TAG = re.compile(rb"""<(?:[^<>"']|"[^"]*"|'[^']*')*>""")
_NAME = re.compile(r"<(/?[a-zA-Z][a-zA-Z0-9]*)")
_ATTRIBUTE = re.compile(
    r"""([^\s"'<>/=]{1,64})(?:\s{0,8}=\s{0,8}(?:"([^"]*)"|'([^']*)'|([^\s"'<>=`]+)))?"""
)
#: Elements whose content is no HTML, and where each ends.
_RAW = {
    name: re.compile(rb"</" + name.encode(), re.IGNORECASE)
    for name in ("title", "script", "style", "textarea", "noframes", "template")
}
_LOGIN_WORDS = re.compile(
    r"(?:^|[/_.?&=:-])(?:web|user|admin|portal)?(?:log-?[io]n|sign-?in|auth(?:enticate|entication|orize|n)?|sso|saml2?|"
    r"oauth2?|oidc|openid-connect|j_security_check|cas|keycloak)(?:$|[/_.?&=;:#-])",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """What was found. All texts are the stranger's."""

    title: str = ""
    generator: str = ""
    #: File names of scripts, without folders and queries.
    scripts: tuple[str, ...] = ()
    icon: str = ""
    #: Where the page would like a browser to go by itself.
    refresh: str = ""
    #: There is a field for a password, or a form that is sent to a login.
    asks_login: bool = False
    #: At least one tag was seen.
    is_html: bool = False

    @property
    def skeleton(self) -> tuple[str, str, tuple[str, ...]]:
        """What two answers of one catch-all page share, whatever else changes from call to call."""
        return self.title, self.generator, self.scripts


def leads_to_login(target: str) -> bool:
    """Tell by its words whether an address is that of a login."""
    return bool(_LOGIN_WORDS.search(target[:_TAG_BYTES]))


class PageReader:
    """Reads one page, fed in pieces."""

    def __init__(self) -> None:
        self._held = bytearray()  # the unfinished tag at the end of the last piece
        self._raw = ""  # the element whose content is skipped; "!" in a comment
        self._title: str | None = None
        self._generator = ""
        self._scripts: list[str] = []
        self._icon = ""
        self._refresh = ""
        self._asks_login = False
        self._is_html = False

    def feed(self, chunk: memoryview) -> bool:
        """Read a piece; always True: a password field may stand at the end."""
        kept = len(self._held)
        work = bytearray(kept + len(chunk))
        work[:kept] = self._held
        work[kept:] = chunk
        self._held[:] = bytes(kept)
        position = self._read(work)
        self._held = work[position:]
        work[:] = bytes(len(work))
        return True

    def page(self) -> Page:
        """Return what was found so far."""
        return Page(
            title=self._title or "",
            generator=self._generator,
            scripts=tuple(self._scripts),
            icon=self._icon,
            refresh=self._refresh,
            asks_login=self._asks_login,
            is_html=self._is_html,
        )

    def _read(self, work: bytearray) -> int:
        """Read as far as possible; returns where the unfinished rest begins."""
        position = 0
        while True:
            if self._raw:
                position, is_over = self._skip(work, position)
                if not is_over:
                    return position
            begin = work.find(b"<", position)
            if begin < 0:
                return len(work)
            if work.startswith(b"<!--", begin):
                self._raw, position = "!", begin + 4
                continue
            if len(work) - begin < 4 and b"<!--".startswith(work[begin:]):
                return begin
            found = _TAG.match(work, begin, begin + _TAG_BYTES)
            if found is not None:
                self._take(work[begin : found.end()].decode("utf-8", "replace"))
                position = found.end()
            elif (next_tag := work.find(b"<", begin + 1, begin + _TAG_BYTES)) >= 0 and (
                not _has_quote(work, begin, next_tag)
            ):
                position = next_tag  # a lone "<" in a text
            elif len(work) - begin < _TAG_BYTES:
                return begin
            else:
                position = begin + _TAG_BYTES

    def _skip(self, work: bytearray, position: int) -> tuple[int, bool]:
        """Go to the end of a comment or of an element that holds no HTML; False: it is not in this piece."""
        if self._raw == "!":
            end = work.find(b"-->", position)
            mark = 3
        else:
            found = _RAW[self._raw].search(work, position)
            end, mark = (-1 if found is None else found.start()), len(self._raw) + 2
        if end < 0:
            if self._raw == "title" and len(work) - position < _TAG_BYTES:
                return position, False
            return max(position, len(work) - mark + 1), False
        if self._raw == "title" and self._title is None:
            text = work[position : min(end, position + _TAG_BYTES)].decode("utf-8", "replace")
            self._title = " ".join(html.unescape(text).split())[:_TITLE_CHARACTERS]
        self._raw = ""
        return end, True

    def _take(self, tag: str) -> None:
        found = _NAME.match(tag)
        if found is None:
            return
        self._is_html = True
        name = found[1].lower()
        if name in _RAW:
            self._raw = name
        if name in ("script", "meta", "link", "input", "form"):
            self._look(name, _attributes(tag[found.end() : -1]))

    def _look(self, name: str, attributes: dict[str, str]) -> None:
        match name:
            case "script" if len(self._scripts) < _SCRIPTS and attributes.get("src"):
                self._scripts.append(_file_name(attributes["src"]))
            case "meta" if attributes.get("name", "").lower() == "generator":
                self._generator = attributes.get("content", "")
            case "meta" if attributes.get("http-equiv", "").lower() == "refresh":
                self._refresh = attributes.get("content", "").partition("=")[2].strip("'\" ")
            case "link" if "icon" in attributes.get("rel", "").lower().split():
                self._icon = self._icon or attributes.get("href", "")
            case "input" if attributes.get("type", "").strip().lower() == "password":
                self._asks_login = True
            case "form" if leads_to_login(attributes.get("action", "")):
                self._asks_login = True


def _attributes(text: str) -> dict[str, str]:
    """Return the attributes of a tag; the first of several with one name counts, as in browsers."""
    found: dict[str, str] = {}
    for name, *values in _ATTRIBUTE.findall(text):
        found.setdefault(name.lower(), html.unescape("".join(values))[:_TEXT_CHARACTERS])
    return found


def _file_name(source: str) -> str:
    return source.partition("?")[0].partition("#")[0].rpartition("/")[2]


def _has_quote(work: bytearray, begin: int, end: int) -> bool:
    return work.find(b'"', begin, end) >= 0 or work.find(b"'", begin, end) >= 0
