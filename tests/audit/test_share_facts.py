"""Facts about file shares are plain values that can be written down."""

import json
from dataclasses import FrozenInstanceError, asdict

import pytest

from doorward.audit.share_facts import ShareFacts

FACTS = ShareFacts(protocol="nfs", is_recognised=True, nfs_versions=(3, 4))


def test_they_can_be_written_as_json():
    assert json.loads(json.dumps(asdict(FACTS)))["nfs_versions"] == [3, 4]


def test_they_cannot_be_changed():
    with pytest.raises(FrozenInstanceError):
        FACTS.protocol = "smb"


def test_nothing_is_known_until_it_was_shown():
    nothing = ShareFacts(protocol="smb")
    shown = (nothing.smb_first_version, nothing.smb_signing_required, nothing.portmapper_tells)
    assert shown == (None, None, None)
