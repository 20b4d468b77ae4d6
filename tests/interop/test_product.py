"""What is known about a product, against the real one: Orthanc of the distribution tells its exact version by /system."""

import asyncio

import pytest

from doorward.audit.approach import attempt
from doorward.audit.checks.product import web_version_vulnerable
from doorward.audit.door import Door
from doorward.audit.facts import SystemFacts
from doorward.audit.probes import web
from doorward.audit.verdict import Severity, Verdict
from doorward.knowledge.advisories import advisories_for_product
from loopback import HOST
from seen import NOW
from web_visitors import web_approach

pytestmark = [pytest.mark.interop]


@pytest.mark.peer("orthanc")
def test_the_exact_version_of_a_real_orthanc_is_compared_and_never_called_certain(open_orthanc):
    port = open_orthanc.http_port
    asked = asyncio.run(attempt("web", web_approach(port), web.asker(level=1)))
    system = SystemFacts(address=HOST, name="", clearance_level=1, attempts=(asked,))
    (product,) = [p for p in asked.facts.products if p.product == "Orthanc"]
    expected = advisories_for_product("Orthanc", product.version, is_exact=True)
    assert product.version
    ruling = web_version_vulnerable(Door(system=system, port=port), NOW)
    if not expected:  # a distribution with a repaired Orthanc
        assert ruling.verdict is Verdict.PASS
        return
    is_likely = any(match.certainty == "likely" for match in expected)
    assert ruling.verdict is Verdict.FAIL
    assert ruling.severity is (Severity.MEDIUM if is_likely else Severity.LOW)
    assert (
        f"Orthanc {product.version} {'likely' if is_likely else 'possibly'} has" in ruling.evidence
    )
