"""Does a web server list folders to strangers, by itself or over WebDAV? (design: ladder W3)

``listings`` asks for a few folders and looks at the shape of what comes back; ``webdav`` asks the same with PROPFIND, one
level deep (RFC 4918 section 9.1). What looks like a list is held against a made-up path. Entries are counted in a stream,
no name is kept, nothing is opened, no folder below is entered.
"""

from collections.abc import Awaitable, Callable, Sequence

from doorward.audit.approach import Answer, Approach
from doorward.audit.facts import Outcome
from doorward.audit.file_facts import FolderSeen, ListingFacts, WebdavFacts
from doorward.audit.visit import Visitor, made_up_name, refuses
from doorward.audit.web_facts import Access
from doorward.net.http import HttpReply
from doorward.web.listing import ListingReader
from doorward.web.multistatus import MultistatusReader

#: Folders that hold images where somebody put them on a web server (our own choice: the 2019 study names none).
LISTING_PATHS = ("/", "/dicom/", "/dcm/", "/images/", "/pacs/", "/data/", "/archive/", "/studies/")
#: Orthanc's own (its configuration: WebDavEnabled, "mapped as /webdav/"), and two habits.
WEBDAV_PATHS = ("/webdav/", "/dav/", "/")
_HTML = ("text/html", "application/xhtml+xml", "")
#: Server header -> which remedy applies, where the list itself does not tell.
_SERVERS = (
    ("nginx", "nginx"),
    ("openresty", "nginx"),
    ("apache/", "apache"),
    ("apache", "apache"),
    ("lighttpd", "lighttpd"),
    ("microsoft-iis", "iis"),
    ("simplehttp", "python"),
)
_UNNAMED = ("index_of", "")
Ask = Callable[[Approach], Awaitable[Answer]]


def listings(*, contact: str = "", paths: Sequence[str] = LISTING_PATHS) -> Ask:
    """Return the probe for lists that a web server draws by itself."""
    return _asker(contact, paths, _listing, ListingFacts)


def webdav(*, contact: str = "", paths: Sequence[str] = WEBDAV_PATHS) -> Ask:
    """Return the probe for WebDAV."""
    return _asker(contact, paths, _propfind, WebdavFacts)


def _asker(
    contact: str,
    paths: Sequence[str],
    look: Callable[[Visitor, str, Approach], Awaitable[tuple[FolderSeen | None, Access]]],
    kind: type[ListingFacts] | type[WebdavFacts],
) -> Ask:
    """Return the probe that looks at each path, and at a made-up one where a list was seen."""

    async def ask(approach: Approach) -> Answer:
        visitor = Visitor(approach, contact=contact)
        looks = [await look(visitor, path, approach) for path in paths]
        found = [folder for folder, _ in looks if folder is not None]
        everything = False
        if found:  # a list of what nobody can have shows that lists prove nothing here
            control, _ = await look(visitor, f"/{made_up_name()}/", approach)
            everything = control is not None
        facts = kind(
            over_tls=approach.tls is not None,
            folders=tuple(found),
            answered=sum(access is not Access.SILENT for _, access in looks),
            logins=sum(access is Access.LOGIN for _, access in looks),
            silent=sum(access is Access.SILENT for _, access in looks),
            lists_everything=everything,
            requests=visitor.requests,
        )
        return _outcome(facts.answered), _reason(facts.answered), facts

    return ask


async def _listing(
    visitor: Visitor, path: str, approach: Approach
) -> tuple[FolderSeen | None, Access]:
    readers: list[ListingReader] = []

    def fresh() -> Callable[[memoryview], bool]:
        readers.append(ListingReader(path))
        return readers[-1].feed

    reply = await visitor.request(
        path, accept="text/html", sink=fresh, max_body_bytes=approach.limits.listing_bytes
    )
    if reply is None:
        return None, Access.SILENT
    listing = readers[-1].listing()
    is_page = reply.status == 200 and reply.content_type in _HTML and not reply.is_encoded
    if listing is None or not is_page:
        return None, refuses(reply) or Access.UNCLEAR
    form = _software_of(reply) if listing.form in _UNNAMED else listing.form
    seen = FolderSeen(path=path, shape=listing.shape, software=form or "", is_cut=reply.truncated)
    return seen, Access.OPEN


async def _propfind(
    visitor: Visitor, path: str, approach: Approach
) -> tuple[FolderSeen | None, Access]:
    readers: list[MultistatusReader] = []

    def fresh() -> Callable[[memoryview], bool]:
        readers.append(MultistatusReader(path))
        return readers[-1].feed

    reply = await visitor.request(
        path,
        accept="application/xml, text/xml",
        method="PROPFIND",
        headers=[("Depth", "1")],
        sink=fresh,
        max_body_bytes=approach.limits.listing_bytes,
    )
    if reply is None:
        return None, Access.SILENT
    reader = readers[-1]
    shape = reader.shape()
    if reply.status != 207 or shape is None or not reader.responses or reply.is_encoded:
        return None, refuses(reply) or Access.UNCLEAR
    software = "orthanc" if reader.is_orthanc else _software_of(reply)
    seen = FolderSeen(path=path, shape=shape, software=software, is_cut=not reader.is_whole)
    return seen, Access.OPEN


def _software_of(reply: HttpReply) -> str:
    server = reply.header("server").lower()
    return next((ours for theirs, ours in _SERVERS if server.startswith(theirs)), "")


def _outcome(answered: int) -> Outcome:
    return Outcome.ANSWERED if answered else Outcome.INCONCLUSIVE


def _reason(answered: int) -> str:
    return "" if answered else "no folder that was asked for got a usable answer"
