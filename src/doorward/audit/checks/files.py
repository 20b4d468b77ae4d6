"""Files that anybody can list: web servers that draw lists of folders, WebDAV, FTP (rung W3).

Theory of operation: the facts hold shapes, never names. How bad an open list is follows from its shape: names that DICOM
files have make it worse, an empty folder is only a bad habit. A server that lists made-up folders too has shown nothing.
"""

from collections.abc import Sequence
from datetime import datetime
from ipaddress import ip_address

from doorward.audit.checks.registry import Per, check
from doorward.audit.checks.ruling import (
    Ruling,
    failed,
    inconclusive,
    not_applicable,
    not_tested,
    number,
    passed,
    unasked,
)
from doorward.audit.door import Door
from doorward.audit.file_facts import FolderSeen, FtpFacts, ListingFacts, WebdavFacts
from doorward.audit.verdict import Severity
from doorward.audit.web_facts import Access, WebFacts
from doorward.greetings.ftp import Entry

#: From so many names of DICOM files on, a folder is an archive and no forgotten file.
_MANY = 10
_UNPROVEN = "It lists even a folder whose name was made up, so its lists prove nothing."


@check("files_listing_open", per=Per.ASKED)
def listing_open(door: Door, _now: datetime) -> Ruling:
    """Judge the folders that a web server lists by itself."""
    facts = next(iter(door.answered(ListingFacts)), None)
    if facts is None:
        return unasked(door, "listings")
    if facts.lists_everything:
        return inconclusive(_UNPROVEN)
    if facts.folders:
        return failed(
            f"A stranger gets the list of {_told(facts.folders)}. {_MANNERS}",
            _severity(facts.folders),
        )
    return _shut(facts, "listed")


@check("files_webdav_open", per=Per.ASKED)
def webdav_open(door: Door, _now: datetime) -> Ruling:
    """Judge the folders that answer PROPFIND."""
    facts = next(iter(door.answered(WebdavFacts)), None)
    if facts is None:
        return unasked(door, "webdav")
    if facts.lists_everything:
        return inconclusive(_UNPROVEN)
    if not facts.folders:
        return _shut(facts, "shown by WebDAV")
    evidence = f"A stranger's PROPFIND is answered for {_told(facts.folders)}. {_MANNERS}"
    if not any(folder.software == "orthanc" for folder in facts.folders):
        return failed(evidence, _severity(facts.folders))
    evidence += (
        " The folders are those of Orthanc: every patient and image of the archive lies below."
    )
    if _is_local_only(door):
        return failed(
            f"{evidence} It was asked from the machine itself, and Orthanc says that it serves only "
            "this machine without a login.",
            Severity.LOW,
        )
    return failed(evidence)


@check("files_ftp_anonymous", per=Per.ASKED)
def ftp_anonymous(door: Door, _now: datetime) -> Ruling:
    """Judge the login as anonymous and the shape of the first folder."""
    facts = next(iter(door.answered(FtpFacts)), None)
    if facts is None:
        return unasked(door, "ftp")
    if (settled := _without_ftp(door, facts)) is not None:
        return settled
    match facts.anonymous:
        case None:
            return not_tested(
                "Nobody logged in as anonymous: needs clearance level 2, and an answer."
            )
        case Entry.REFUSED:
            return passed("The login as anonymous was refused.")
        case Entry.NEEDS_TLS:
            return inconclusive("The login as anonymous was refused for want of TLS only.")
        case Entry.UNKNOWN:
            return inconclusive("The login as anonymous was neither taken nor refused.")
    inside = " inside TLS" if facts.anonymous_over_tls else ""
    if facts.folder is None:
        return failed(
            f"Anonymous was let in{inside}; the first folder could not be listed.{_elsewhere(facts)}",
            Severity.HIGH,
        )
    return failed(
        f"Anonymous was let in{inside} and got the list of the first folder: "
        f"{_shape(facts.folder)}. {_MANNERS}{_elsewhere(facts)}",
        _severity((facts.folder,)),
    )


@check("files_ftp_plain", per=Per.ASKED)
def ftp_plain(door: Door, _now: datetime) -> Ruling:
    """Judge whether a password would travel in clear text."""
    facts = next(iter(door.answered(FtpFacts)), None)
    if facts is None:
        return unasked(door, "ftp")
    if (settled := _without_ftp(door, facts)) is not None:
        return settled
    if facts.is_implicit_tls:
        return passed("The port speaks FTP inside TLS from the first byte on.")
    if facts.takes_plain_user is None:
        return inconclusive(
            "Whether a user in clear text is asked for a password was not answered."
        )
    if facts.takes_plain_user and facts.offers_tls:
        return failed(
            "A made-up user was asked for a password in clear text, although TLS is offered: "
            "whoever forgets to ask for TLS shows it to everybody on the way.",
            Severity.MEDIUM,
        )
    if facts.takes_plain_user:
        offered = "not offered" if facts.offers_tls is False else "not known to be offered"
        return failed(
            f"A made-up user was asked for a password in clear text, and TLS is {offered}."
        )
    if facts.offers_tls:
        return passed("A user in clear text was turned away, and TLS is offered.")
    return passed("A user in clear text was turned away before a password was asked for.")


def _without_ftp(door: Door, facts: FtpFacts) -> Ruling | None:
    if not facts.is_open:
        return not_applicable(f"Port {door.port} is closed.")
    if not facts.is_recognised:
        return not_applicable(f"Port {door.port} answers, but not as an FTP server.")
    return None


_MANNERS = "Names were counted and dropped, and no file was opened."


def _elsewhere(facts: FtpFacts) -> str:
    if not facts.pointed_elsewhere:
        return ""
    return " For the data the server named another address, which was not dialled."


def _told(folders: Sequence[FolderSeen]) -> str:
    """Return every folder with its shape, in words."""
    return "; ".join(f"{folder.path} ({_shape(folder)})" for folder in folders)


def _shape(folder: FolderSeen) -> str:
    shape = folder.shape
    if not shape.entries:
        return "empty"
    at_least = "at least " if folder.is_cut else ""
    parts = [f"{at_least}{number(shape.entries, 'entry', 'entries')}"]
    if shape.folders:
        parts.append(number(shape.folders, "folder"))
    if shape.dicom_names:
        parts.append(number(shape.dicom_names, "name", "names") + " like those of DICOM files")
    if shape.number_names:
        parts.append(number(shape.number_names, "bare number"))
    return ", ".join(parts)


def _severity(folders: Sequence[FolderSeen]) -> Severity:
    """Return how bad lists of this shape are."""
    images = sum(folder.shape.dicom_names for folder in folders)
    if images >= _MANY:
        return Severity.CRITICAL
    if images or any(folder.shape.number_names >= _MANY for folder in folders):
        return Severity.HIGH
    has_anything = any(folder.shape.entries for folder in folders)
    return Severity.MEDIUM if has_anything else Severity.LOW


def _shut(facts: ListingFacts | WebdavFacts, what: str) -> Ruling:
    """Return the ruling where no folder was shown; one that kept silent might have been."""
    if facts.silent:
        return inconclusive(
            f"{number(facts.silent, 'folder')} of {facts.answered + facts.silent} got no usable answer; "
            f"no other is {what} to a stranger."
        )
    some = f" ({facts.logins} ask for a login or forbid it)" if facts.logins else ""
    asked = number(facts.answered, "folder")
    return passed(f"None of the {asked} that were asked for is {what} to a stranger{some}.")


def _is_local_only(door: Door) -> bool:
    """Orthanc itself says that others are asked for a login, and we are none of them."""
    said = [
        rest
        for facts in door.answered(WebFacts)
        for rest in facts.rest
        if rest.access is Access.OPEN
    ]
    is_here = ip_address(door.system.address).is_loopback
    return is_here and bool(said) and all(rest.is_local_only for rest in said)
