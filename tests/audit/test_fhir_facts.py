"""What was seen of FHIR goes to JSON; what was not counted is unknown, never zero."""

import json
from dataclasses import asdict

from doorward.audit.fhir_facts import FhirFacts, FhirRoot, FhirSearch
from doorward.audit.tally import Exactness
from doorward.audit.web_facts import Access


def test_facts_go_to_json_and_an_uncounted_search_is_unknown():
    search = FhirSearch(resource="Patient", access=Access.LOGIN)
    assert (search.count.value, search.count.exactness) == (None, Exactness.UNKNOWN)
    root = FhirRoot(root="/fhir", metadata=Access.OPEN, searches=(search,))
    written = json.loads(json.dumps(asdict(FhirFacts(over_tls=False, roots=(root,)))))
    assert written["roots"][0]["searches"][0]["access"] == "login"
