"""The facts of TLS in depth: what can be read off them, and that they can be written to JSON."""

import json
from dataclasses import asdict

from doorward.audit.tls_facts import Preference, SuiteSeen, TlsDepthFacts, VersionSeen

SUITE = SuiteSeen(name="TLS_DHE_RSA_WITH_AES_128_CBC_SHA", dh_bits=1024)
FACTS = TlsDepthFacts(
    speaks_tls=True,
    versions=(
        VersionSeen(version="TLSv1", is_accepted=False, refusal="protocol_version"),
        VersionSeen(version="TLSv1.1", is_accepted=True, suites=(SUITE,)),
        VersionSeen(
            version="TLSv1.2",
            is_accepted=True,
            suites=(SUITE, SuiteSeen(name="TLS_DHE_RSA_WITH_AES_128_GCM_SHA256", dh_bits=2048)),
            preference=Preference.SERVER,
        ),
    ),
)


def test_versions_and_suites_are_read_off():
    assert FACTS.accepted_versions == ("TLSv1.1", "TLSv1.2")
    assert FACTS.suites == (SUITE.name, "TLS_DHE_RSA_WITH_AES_128_GCM_SHA256")
    assert FACTS.smallest_dh_bits == 1024
    assert FACTS.seen("TLSv1").refusal == "protocol_version"
    assert FACTS.seen("TLSv1.3") is None
    assert TlsDepthFacts(speaks_tls=None).smallest_dh_bits is None


def test_all_suites_are_known_only_where_every_version_was_asked_to_its_end():
    assert not FACTS.knows_all_suites
    assert not TlsDepthFacts(speaks_tls=True).knows_all_suites
    whole = VersionSeen(version="TLSv1.2", is_accepted=False, is_complete=True)
    assert TlsDepthFacts(speaks_tls=True, versions=(whole,)).knows_all_suites


def test_facts_can_be_written_to_json():
    written = json.loads(json.dumps(asdict(FACTS)))
    assert written["versions"][2]["preference"] == "server"
