"""What the file probes saw goes to JSON, and holds shapes and our own words only."""

import json
from dataclasses import asdict

from doorward.audit.file_facts import FolderSeen, FtpFacts, ListingFacts, WebdavFacts
from doorward.greetings.ftp import Entry
from doorward.web.file_names import FolderShape

FOLDER = FolderSeen(path="/dicom/", shape=FolderShape(entries=3, dicom_names=2), software="nginx")


def test_facts_go_to_json():
    for facts in (
        ListingFacts(over_tls=False, folders=(FOLDER,), answered=8),
        WebdavFacts(over_tls=True, folders=(FOLDER,)),
        FtpFacts(is_recognised=True, anonymous=Entry.ACCEPTED, folder=FOLDER),
    ):
        written = json.loads(json.dumps(asdict(facts)))
        folder = written["folder"] if "folder" in written else written["folders"][0]
        assert folder["shape"] == {"entries": 3, "folders": 0, "dicom_names": 2, "number_names": 0}


def test_nothing_is_claimed_before_it_is_asked():
    facts = FtpFacts()
    assert (facts.anonymous, facts.offers_tls, facts.takes_plain_user) == (None, None, None)
    assert not facts.is_recognised
