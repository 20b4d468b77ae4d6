"""Facts about databases are plain values that can be written down."""

import json
from dataclasses import FrozenInstanceError, asdict

import pytest

from doorward.audit.database_facts import DatabaseFacts
from doorward.greetings.conversation import Access

FACTS = DatabaseFacts(protocol="redis", is_recognised=True, plain=Access.OPEN)


def test_they_can_be_written_as_json():
    written = json.loads(json.dumps(asdict(FACTS)))
    assert (written["protocol"], written["plain"], written["secured"]) == ("redis", "open", None)


def test_they_cannot_be_changed():
    with pytest.raises(FrozenInstanceError):
        FACTS.plain = Access.DEMANDED


def test_nothing_is_known_until_it_was_shown():
    nothing = DatabaseFacts(protocol="mysql")
    assert not nothing.is_recognised
    shown = (nothing.plain, nothing.secured, nothing.offers_tls, nothing.default_account)
    assert shown == (None, None, None, None)
