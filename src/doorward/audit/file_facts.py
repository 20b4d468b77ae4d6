"""What the file probes saw: how much lies in a folder, never what it is called.

Paths are those of our own list; names of software are our own words. No file was opened.
"""

from dataclasses import dataclass

from doorward.greetings.ftp import Entry
from doorward.web.file_names import FolderShape


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderSeen:
    """One folder that was listed for a stranger."""

    #: What we asked for; "" for the folder in which an FTP login begins.
    path: str
    shape: FolderShape
    #: What lists it: nginx | apache | lighttpd | python | iis | tomcat | jetty | serve-index | orthanc | ""
    software: str = ""
    #: The list was longer than we read, or ended early: the numbers are at least so many.
    is_cut: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ListingFacts:
    """Folders that a web server lists by itself."""

    over_tls: bool
    folders: tuple[FolderSeen, ...] = ()
    #: How many of our paths were answered at all, and with a wish for a login.
    answered: int = 0
    logins: int = 0
    #: How many got no usable answer: nothing is known of them.
    silent: int = 0
    #: A made-up path is listed like a folder: this server shows a list for everything, so none proves anything.
    lists_everything: bool = False
    requests: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class WebdavFacts:
    """Folders that answer PROPFIND (RFC 4918)."""

    over_tls: bool
    folders: tuple[FolderSeen, ...] = ()
    answered: int = 0
    logins: int = 0
    #: How many got no usable answer: nothing is known of them.
    silent: int = 0
    lists_everything: bool = False
    requests: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class FtpFacts:
    """One FTP server: how passwords travel, and how far ``anonymous`` comes. ``is_open`` False: the port is closed."""

    is_open: bool = True
    is_recognised: bool = False
    #: TLS from the first byte on (port 990).
    is_implicit_tls: bool = False
    product: str = ""
    version: str = ""
    offers_tls: bool | None = None
    takes_plain_user: bool | None = None
    #: None: not tried (clearance level 1).
    anonymous: Entry | None = None
    #: Anonymous was heard inside TLS only.
    anonymous_over_tls: bool = False
    folder: FolderSeen | None = None
    #: It named another address for the data connection; that address was not dialled.
    pointed_elsewhere: bool = False
