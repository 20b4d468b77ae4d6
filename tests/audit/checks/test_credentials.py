"""Verdicts on documented logins: accepted fails, refused passes, untried is untested."""

import pytest

from doorward.audit.checks.credentials import default_credentials
from doorward.audit.credential_facts import CredentialFacts, Login
from doorward.audit.facts import Outcome
from doorward.audit.verdict import Verdict
from places import attempt, door
from seen import NOW


def facts(result) -> CredentialFacts:
    return CredentialFacts(
        product="Orthanc", key="orthanc", user="orthanc", result=result, over_tls=False
    )


@pytest.mark.parametrize(
    ("result", "verdict"), [(Login.ACCEPTED, Verdict.FAIL), (Login.REFUSED, Verdict.PASS)]
)
def test_the_result_decides(result, verdict):
    ruling = default_credentials(door(attempt("default_credentials", facts(result))), NOW)
    assert ruling.verdict is verdict
    assert "user orthanc" in ruling.evidence


@pytest.mark.parametrize(
    ("outcome", "verdict"),
    [(Outcome.NOT_TESTED, Verdict.NOT_TESTED), (Outcome.INCONCLUSIVE, Verdict.INCONCLUSIVE)],
)
@pytest.mark.parametrize("result", [Login.NOT_TRIED, Login.UNCLEAR])
def test_what_was_not_tried_or_not_clear_is_no_pass(outcome, verdict, result):
    made = attempt("default_credentials", facts(result), outcome=outcome)
    assert default_credentials(door(made), NOW).verdict is verdict
