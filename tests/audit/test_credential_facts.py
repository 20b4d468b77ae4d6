"""The result of one login, and no secret beside it."""

import json
from dataclasses import asdict, fields

from doorward.audit.credential_facts import CredentialFacts, Login


def test_the_facts_have_no_place_for_a_secret():
    assert {f.name for f in fields(CredentialFacts)} == {
        "product",
        "key",
        "user",
        "result",
        "over_tls",
    }
    facts = CredentialFacts(product="P", key="p", user="u", result=Login.REFUSED, over_tls=False)
    assert json.loads(json.dumps(asdict(facts)))["result"] == "refused"
