"""Only an acknowledgement of a message of ours makes a port an HL7 port."""

import json
from dataclasses import asdict, replace

import pytest

from doorward.audit.hl7_facts import Hl7Facts
from doorward.greetings.hl7 import Answer

ACKNOWLEDGED = Hl7Facts(knocked=Answer.ACKNOWLEDGED, code="AR", version="2.5")


def test_an_acknowledgement_makes_it_hl7():
    assert ACKNOWLEDGED.is_hl7
    assert json.loads(json.dumps(asdict(ACKNOWLEDGED)))["code"] == "AR"


@pytest.mark.parametrize("knocked", [None, Answer.SILENT, Answer.CLOSED, Answer.OTHER])
def test_nothing_else_does(knocked):
    assert not replace(ACKNOWLEDGED, knocked=knocked).is_hl7
