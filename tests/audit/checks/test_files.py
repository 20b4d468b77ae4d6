"""Verdicts on folders and FTP, by shape; silence never passes, and no name could be told."""

import pytest

from doorward.audit.checks.files import ftp_anonymous, ftp_plain, listing_open, webdav_open
from doorward.audit.door import FTP_REMEDIES
from doorward.audit.facts import Outcome
from doorward.audit.file_facts import FolderSeen, FtpFacts, ListingFacts, WebdavFacts
from doorward.audit.judge import judge
from doorward.audit.verdict import PRODUCTS, Severity, Verdict
from doorward.audit.web_facts import Access, RestFacts, WebFacts
from doorward.greetings.ftp import Entry
from doorward.web.file_names import FolderShape
from places import attempt, door, system
from seen import NOW


def folder(path="/dicom/", software="nginx", *, is_cut=False, **shape) -> FolderSeen:
    return FolderSeen(path=path, shape=FolderShape(**shape), software=software, is_cut=is_cut)


def listed(*folders, **more) -> ListingFacts:
    return ListingFacts(over_tls=False, folders=folders, answered=8, **more)


def ftp(**more) -> FtpFacts:
    return FtpFacts(is_recognised=True, **more)


SHAPES = [
    (folder(entries=12, dicom_names=12), Severity.CRITICAL, "12 names like those of DICOM files"),
    (folder(entries=9, dicom_names=1), Severity.HIGH, "1 name like those of DICOM files"),
    (folder(entries=40, folders=40, number_names=40), Severity.HIGH, "40 bare numbers"),
    (folder(entries=3), Severity.MEDIUM, "3 entries"),
    (folder(), Severity.LOW, "empty"),
    (folder(entries=5, is_cut=True), Severity.MEDIUM, "at least 5 entries"),
]


@pytest.mark.parametrize(("seen", "severity", "words"), SHAPES)
def test_a_list_fails_by_its_shape(seen, severity, words):
    ruling = listing_open(door(attempt("listings", listed(seen))), NOW)
    assert (ruling.verdict, ruling.severity) == (Verdict.FAIL, severity)
    assert words in ruling.evidence
    ruling = ftp_anonymous(door(attempt("ftp", ftp(anonymous=Entry.ACCEPTED, folder=seen))), NOW)
    assert (ruling.verdict, ruling.severity) == (Verdict.FAIL, severity)


def test_no_list_passes_and_says_what_was_asked():
    ruling = listing_open(door(attempt("listings", listed(logins=2))), NOW)
    assert ruling.verdict is Verdict.PASS
    assert "8 folders" in ruling.evidence
    assert "2 ask for a login" in ruling.evidence


def test_one_silent_folder_is_no_pass():
    ruling = listing_open(door(attempt("listings", listed(silent=1))), NOW)
    assert ruling.verdict is Verdict.INCONCLUSIVE
    assert "1 folder of 9" in ruling.evidence
    dav = WebdavFacts(over_tls=False, answered=2, silent=1)
    assert webdav_open(door(attempt("webdav", dav)), NOW).verdict is Verdict.INCONCLUSIVE


@pytest.mark.parametrize("rule", [listing_open, webdav_open, ftp_anonymous, ftp_plain])
@pytest.mark.parametrize(
    ("outcome", "verdict"),
    [
        (Outcome.INCONCLUSIVE, Verdict.INCONCLUSIVE),
        (Outcome.ERROR, Verdict.ERROR),
        (Outcome.NOT_TESTED, Verdict.NOT_TESTED),
    ],
)
def test_silence_never_passes(rule, outcome, verdict):
    probe = {listing_open: "listings", webdav_open: "webdav"}.get(rule, "ftp")
    # Facts that came with an inconclusive attempt are no evidence.
    for facts in (None, listed(), ftp(anonymous=Entry.REFUSED, takes_plain_user=False)):
        assert rule(door(attempt(probe, facts, outcome=outcome)), NOW).verdict is verdict


def test_lists_of_everything_prove_nothing():
    seen = folder(entries=12, dicom_names=12)
    facts = listed(seen, lists_everything=True)
    assert listing_open(door(attempt("listings", facts)), NOW).verdict is Verdict.INCONCLUSIVE
    dav = WebdavFacts(over_tls=False, folders=(seen,), lists_everything=True)
    assert webdav_open(door(attempt("webdav", dav)), NOW).verdict is Verdict.INCONCLUSIVE


# --- WebDAV -----------------------------------------------------------------------------------------------------------


ORTHANC = WebdavFacts(
    over_tls=False, folders=(folder("/webdav/", "orthanc", entries=5, folders=5),)
)


def test_orthanc_s_webdav_is_critical():
    ruling = webdav_open(door(attempt("webdav", ORTHANC)), NOW)
    assert (ruling.verdict, ruling.severity) == (Verdict.FAIL, None)
    assert "every patient" in ruling.evidence


@pytest.mark.parametrize(("address", "severity"), [("127.0.0.1", Severity.LOW), ("10.1.2.3", None)])
def test_orthanc_that_serves_only_its_own_machine_is_low_from_there(address, severity):
    rest = RestFacts(product="Orthanc", key="orthanc", access=Access.OPEN, is_local_only=True)
    web = WebFacts(speaks_http=True, over_tls=False, front=Access.OPEN, rest=(rest,))
    seen = door(attempt("webdav", ORTHANC, address=address), attempt("web", web, address=address))
    assert webdav_open(seen, NOW).severity is severity


def test_other_webdav_fails_by_its_shape_and_none_passes():
    dav = WebdavFacts(over_tls=False, folders=(folder("/dav/", "apache", entries=3),), answered=3)
    assert webdav_open(door(attempt("webdav", dav)), NOW).severity is Severity.MEDIUM
    shut = WebdavFacts(over_tls=False, answered=3)
    assert webdav_open(door(attempt("webdav", shut)), NOW).verdict is Verdict.PASS


# --- FTP --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("facts", "verdict"),
    [
        (ftp(anonymous=Entry.REFUSED), Verdict.PASS),
        (ftp(anonymous=Entry.NEEDS_TLS), Verdict.INCONCLUSIVE),
        (ftp(anonymous=Entry.UNKNOWN), Verdict.INCONCLUSIVE),
        (ftp(), Verdict.NOT_TESTED),
        (ftp(anonymous=Entry.ACCEPTED), Verdict.FAIL),
        (FtpFacts(), Verdict.NOT_APPLICABLE),
        (FtpFacts(is_open=False), Verdict.NOT_APPLICABLE),
    ],
)
def test_anonymous_is_judged_by_what_it_was_told(facts, verdict):
    assert ftp_anonymous(door(attempt("ftp", facts)), NOW).verdict is verdict


def test_a_server_that_points_elsewhere_is_told_of():
    facts = ftp(anonymous=Entry.ACCEPTED, folder=folder("", ""), pointed_elsewhere=True)
    assert "was not dialled" in ftp_anonymous(door(attempt("ftp", facts)), NOW).evidence


@pytest.mark.parametrize(
    ("facts", "verdict", "severity"),
    [
        (ftp(takes_plain_user=True, offers_tls=False), Verdict.FAIL, None),
        (ftp(takes_plain_user=True, offers_tls=None), Verdict.FAIL, None),
        (ftp(takes_plain_user=True, offers_tls=True), Verdict.FAIL, Severity.MEDIUM),
        (ftp(takes_plain_user=False, offers_tls=True), Verdict.PASS, None),
        (ftp(takes_plain_user=False, offers_tls=False), Verdict.PASS, None),
        (ftp(takes_plain_user=None, offers_tls=True), Verdict.INCONCLUSIVE, None),
        (ftp(is_implicit_tls=True), Verdict.PASS, None),
        (FtpFacts(), Verdict.NOT_APPLICABLE, None),
    ],
)
def test_clear_text_is_judged_by_the_made_up_user(facts, verdict, severity):
    ruling = ftp_plain(door(attempt("ftp", facts)), NOW)
    assert (ruling.verdict, ruling.severity) == (verdict, severity)


# --- remedies ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("probe", "facts", "check", "words"),
    [
        ("listings", listed(folder(entries=1)), "files_listing_open", "autoindex off;"),
        (
            "listings",
            listed(folder(software="apache", entries=1)),
            "files_listing_open",
            "Options -Indexes",
        ),
        (
            "listings",
            listed(folder(software="lighttpd", entries=1)),
            "files_listing_open",
            "dir-listing.activate",
        ),
        (
            "listings",
            listed(folder(software="", entries=1)),
            "files_listing_open",
            "Switch the automatic list",
        ),
        ("webdav", ORTHANC, "files_webdav_open", '"WebDavEnabled": false'),
        (
            "ftp",
            ftp(product="vsftpd", anonymous=Entry.ACCEPTED),
            "files_ftp_anonymous",
            "anonymous_enable=NO",
        ),
    ],
)
def test_the_remedy_is_that_of_the_software(probe, facts, check, words):
    judged = judge(system(attempt(probe, facts)), now=NOW)
    (finding,) = [f for f in judged.findings if f.check == check]
    assert finding.verdict is Verdict.FAIL
    assert words in finding.remediation


def test_every_ftp_server_has_a_remedy_of_a_known_product():
    assert set(FTP_REMEDIES.values()) <= set(PRODUCTS)
