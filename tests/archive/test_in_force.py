"""What is in force is one value: whoever looks at it sees all of the old one or all of the new one."""

from dataclasses import FrozenInstanceError

import pytest

from archives import EVERYTHING, legacy
from doorward.access.identity import Register
from doorward.archive.in_force import InForce

NOW = InForce(ae_title="DOORWARD", register=Register(), rules=EVERYTHING, destinations={})


def test_nothing_of_it_is_changed_in_place():
    with pytest.raises(FrozenInstanceError):
        NOW.register = Register(devices=(legacy("ct1", "modality"),))


def test_user_identities_are_not_taken_unless_that_was_asked_for():
    assert not NOW.takes_user_identity
