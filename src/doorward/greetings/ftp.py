"""FTP (RFC 959): how it greets, whether passwords may travel in clear text, whether ``anonymous`` comes in and sees files.

Two conversations, one connection each. ``manners`` asks for the features, names a made-up user without ever giving a
password, and asks for TLS: a server that goes on to ask for a password would take one in clear text. ``anonymous`` logs in
as anonymous (RFC 1635) and asks for the list of the first folder, which ``Errand`` carries over a data connection: it is
counted there, and nothing is fetched, entered or written. Of the server's words only codes and known names are kept.
The address in a 227 answer is never used: the data connection goes to the address that was dialled (RFC 2577 section 3).
"""

import re
from dataclasses import dataclass
from enum import StrEnum

from doorward.errors import LimitExceeded, PeerProtocolError, TransportError
from doorward.greetings.conversation import (
    STRANGER,
    Conversation,
    Errand,
    Farewell,
    Inbox,
    Secure,
)
from doorward.limits import Limits

_SOURCE = "RFC 959 section 4.2"
_CODE = re.compile(rb"([1-5][0-9][0-9])([ -])")
_CONTINUED_LINES = 256
#: What greetings name themselves; the version only where it is digits, dots and one letter.
_PRODUCTS = (
    (re.compile(rb"\(vsFTPd ([0-9.]{1,12})\)"), "vsftpd"),
    (re.compile(rb"\bProFTPD(?: ([0-9.]{1,12}[a-z]?))?\b"), "ProFTPD"),
    (re.compile(rb"\bPure-FTPd\b()"), "Pure-FTPd"),
    (re.compile(rb"\bFileZilla Server(?: (?:version )?([0-9.]{1,12}))?"), "FileZilla Server"),
    (re.compile(rb"\bMicrosoft FTP Service\b()"), "Microsoft IIS FTP"),
    (re.compile(rb"\bpyftpdlib ([0-9.]{1,12})\b"), "pyftpdlib"),
    (re.compile(rb"\bServ-U FTP Server v?([0-9.]{1,12})"), "Serv-U"),
)
#: RFC 2428 section 3: the port between four equal marks.
_EXTENDED = re.compile(rb"\((.)\1\1([0-9]{1,5})\1\)")
#: RFC 959 section 4.1.2 (PASV): six numbers; the first four are an address that nobody asked for.
_PASSIVE = re.compile(rb"(?<![0-9])" + rb",".join([rb"([0-9]{1,3})"] * 6))
#: RFC 4217 section 6: the security mechanisms that AUTH knows, e.g. "AUTH TLS" or "AUTH SSL;TLS".
_FEATURE = re.compile(rb"^ ?AUTH [^\n]*TLS", re.IGNORECASE | re.MULTILINE)
_WANTS_TLS = re.compile(rb"\b(?:TLS|SSL|AUTH|encrypt)", re.IGNORECASE)
#: No server of data connections: a port below belongs to some other service (RFC 2577 section 3).
_LOWEST_DATA_PORT = 1_024


class Entry(StrEnum):
    """What ``anonymous`` was told."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    NEEDS_TLS = "needs_tls"  # refused for want of TLS
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class FtpManners:
    """What a stranger sees before any login."""

    product: str = ""
    version: str = ""
    #: AUTH TLS was answered with 234 (RFC 4217 section 4) or named as a feature; None: not known.
    offers_tls: bool | None = None
    #: A user named in clear text is asked for a password; False: the server wants TLS first, or turns all away.
    takes_plain_user: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FtpEntry:
    """How far ``anonymous`` comes."""

    entry: Entry
    #: The login was made inside TLS.
    over_tls: bool = False
    #: The list of the first folder came, and its end too.
    was_listed: bool = False
    #: The server named another address for the data connection; it was not dialled.
    pointed_elsewhere: bool = False


def manners(limits: Limits, *, is_secured: bool = False) -> Conversation[FtpManners]:
    """Ask for features, name a made-up user, ask for TLS. ``is_secured``: TLS stands already (port 990)."""
    inbox = Inbox(limits)
    product, version = yield from _greeting(inbox)
    if is_secured:
        yield Farewell(b"QUIT\r\n")
        return FtpManners(product=product, version=version, offers_tls=True, takes_plain_user=False)
    offers_tls: bool | None = None
    takes_plain_user: bool | None = None
    try:
        code, features = yield from _ask(inbox, b"FEAT")
        offers_tls = True if code == 211 and _FEATURE.search(features) is not None else None
        code, _ = yield from _ask(inbox, b"USER " + STRANGER.encode())
        takes_plain_user = {3: True, 2: True, 5: False}.get(code // 100)
        code, _ = yield from _ask(inbox, b"AUTH TLS")  # decides, whatever the features said
        offers_tls = True if code == 234 else False if code // 100 == 5 else offers_tls
        if code != 234:
            yield Farewell(b"QUIT\r\n")
    except (PeerProtocolError, TransportError):
        pass  # some hang up after a user without TLS: what came before stands
    return FtpManners(
        product=product,
        version=version,
        offers_tls=offers_tls,
        takes_plain_user=takes_plain_user,
    )


def anonymous(
    limits: Limits, *, address: str, is_secured: bool = False, asks_tls: bool = False
) -> Conversation[FtpEntry]:
    """Log in as anonymous and have the list of the first folder counted.

    ``address`` is the numeric one that was dialled; ``is_secured``: TLS stands already; ``asks_tls``: ask for it first.
    """
    inbox = Inbox(limits)
    yield from _greeting(inbox)
    if asks_tls:
        yield from _upgrade(inbox)
        is_secured = True
    entry = yield from _log_in(inbox)
    if entry is not Entry.ACCEPTED:
        yield Farewell(b"QUIT\r\n")
        return FtpEntry(entry=entry, over_tls=is_secured)
    was_listed = pointed_elsewhere = False
    try:
        was_listed, pointed_elsewhere = yield from _list(inbox, address, is_secured)
        yield Farewell(b"QUIT\r\n")
    except (PeerProtocolError, TransportError, LimitExceeded):
        pass  # that anonymous came in is known; what lies there is not
    return FtpEntry(
        entry=entry,
        over_tls=is_secured,
        was_listed=was_listed,
        pointed_elsewhere=pointed_elsewhere,
    )


def upgrade(limits: Limits) -> Conversation[None]:
    """Ask for TLS and nothing else: what comes before the first ClientHello (RFC 4217 section 4)."""
    inbox = Inbox(limits)
    yield from _greeting(inbox)
    yield from _upgrade(inbox)


def _greeting(inbox: Inbox) -> Conversation[tuple[str, str]]:
    """Return product and version that the greeting names; raises PeerProtocolError for what is no FTP server."""
    code, text = yield from _reply(inbox)
    while code == 120:  # ready in some minutes
        code, text = yield from _reply(inbox)
    if code != 220:
        raise PeerProtocolError("no greeting of an FTP server", field="reply", source=_SOURCE)
    is_ftp = b"SMTP" not in text  # mail servers greet with 220 too (RFC 5321 section 4.2)
    if not is_ftp:
        raise PeerProtocolError("the greeting of a mail server", field="reply", source=_SOURCE)
    for pattern, product in _PRODUCTS:
        found = pattern.search(text)
        if found is not None:
            return product, (found[1] or b"").decode("ascii").strip(".")
    return "", ""


def _log_in(inbox: Inbox) -> Conversation[Entry]:
    code, text = yield from _ask(inbox, b"USER anonymous")
    if code == 331:
        code, text = yield from _ask(inbox, b"PASS " + STRANGER.encode() + b"@")
    match code // 100:
        case 2:
            return Entry.ACCEPTED
        case 3:
            return Entry.UNKNOWN  # 332: an account is asked for
        case 4:
            return Entry.UNKNOWN  # too many users, not now
        case _:
            wants_tls = code == 522 or _WANTS_TLS.search(text) is not None
            return Entry.NEEDS_TLS if wants_tls else Entry.REFUSED


def _upgrade(inbox: Inbox) -> Conversation[None]:
    code, _ = yield from _ask(inbox, b"AUTH TLS")
    if code != 234:
        raise PeerProtocolError("TLS is not offered", field="AUTH", source="RFC 4217 section 4")
    yield Secure()


def _list(inbox: Inbox, address: str, is_secured: bool) -> Conversation[tuple[bool, bool]]:
    """Have the first folder listed; returns whether the list came to its end, and whether 227 pointed elsewhere."""
    if is_secured:  # RFC 4217 section 9
        yield from _ask(inbox, b"PBSZ 0")
        yield from _ask(inbox, b"PROT P")
    port, pointed_elsewhere = yield from _passive(inbox, address)
    if port < _LOWEST_DATA_PORT:
        return False, pointed_elsewhere
    yield Errand(port=port, words=b"LIST\r\n", is_secured=is_secured)
    code, _ = yield from _reply(inbox)
    while code // 100 == 1:
        code, _ = yield from _reply(inbox)
    return code // 100 == 2, pointed_elsewhere


def _passive(inbox: Inbox, address: str) -> Conversation[tuple[int, bool]]:
    """Return the port for data, 0 where there is none, and whether the server would send us to another address."""
    code, text = yield from _ask(inbox, b"EPSV")
    extended = _EXTENDED.search(text) if code == 229 else None
    if extended is not None:
        return _port(int(extended[2])), False
    code, text = yield from _ask(inbox, b"PASV")
    passive = _PASSIVE.search(text) if code == 227 else None
    if passive is None:
        return 0, False
    numbers = [int(group) for group in passive.groups()]
    named = ".".join(map(str, numbers[:4]))
    pointed_elsewhere = named not in (address, "0.0.0.0")  # noqa: S104 - nothing is bound to it
    is_legal = all(number < 256 for number in numbers)
    return (_port(numbers[4] * 256 + numbers[5]) if is_legal else 0), pointed_elsewhere


def _port(number: int) -> int:
    return number if 0 < number < 65_536 else 0


def _ask(inbox: Inbox, words: bytes) -> Conversation[tuple[int, bytes]]:
    yield from inbox.say(words + b"\r\n")
    return (yield from _reply(inbox))


def _reply(inbox: Inbox) -> Conversation[tuple[int, bytes]]:
    """Return code and text of one reply, of all its lines (RFC 959 section 4.2)."""
    line = yield from inbox.line()
    head = _CODE.match(line)
    if head is None:
        raise PeerProtocolError("no reply code", field="reply", source=_SOURCE)
    text = [line[4:]]
    end = head[1] + b" "
    while head[2] == b"-" and not line.startswith(end):
        if len(text) == _CONTINUED_LINES:
            raise LimitExceeded(limit="FTP reply lines", value=_CONTINUED_LINES, seen=len(text) + 1)
        line = yield from inbox.line()
        text.append(line)
    return int(head[1]), b"\n".join(text)
