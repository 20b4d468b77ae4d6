"""What we see of twenty TLS servers is what nmap and sslyze see of them; where not, docs/tls-differences.md says why.

sslyze is under the AGPL: it runs here as an outside program in an environment of its own, and is never imported. The three
look at the same servers in the same run, one after the other.
"""

import asyncio
import json
import os
import re
import shutil
import subprocess
import sys
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.dom import minidom

import pytest

from certificates import Certificates
from conftest import REQUIRE_PEERS, ROOT, SEARCH_PATH, SKIP_REASON
from doorward.audit.approach import Approach, Pace, attempt
from doorward.audit.facts import Endpoint, Outcome
from doorward.audit.probes import tls_depth
from doorward.audit.tls_conformity import Status, answer
from doorward.audit.tls_facts import TlsDepthFacts
from doorward.knowledge.tls_profiles import rules_of
from loopback import OpenGate
from peers import HOST
from tls_configurations import CONFIGURATIONS

pytestmark = [
    pytest.mark.interop,
    pytest.mark.slow,
    pytest.mark.timeout(300),
    pytest.mark.peer("openssl", "gnutls", "nss", "nginx", "orthanc", "dcmtk"),
]

#: Differences that are known, by what sslyze or nmap does not see. docs/tls-differences.md explains each.
SSLYZE_CANNOT_OFFER = frozenset(
    {"TLS_DH_anon_WITH_CAMELLIA_128_CBC_SHA256", "TLS_DH_anon_WITH_CAMELLIA_256_CBC_SHA256"}
)
SSLYZE_CANNOT_CONNECT = frozenset(
    {"openssl: anonymous suites", "openssl: suites without encryption"}
)
#: A client certificate is asked for: sslyze gives up parts of its scan, and with them its verdict on the profile.
SSLYZE_NEEDS_CERTIFICATE = frozenset({"dcmtk: storescp with TLS", "orthanc: DICOM TLS"})
SSLYZE_CURVES = frozenset({"x25519", "x448", "secp256r1", "secp384r1", "secp521r1"})
PAGE = ROOT / "docs" / "tls-differences.md"

_VERSIONS = {
    "ssl_3_0": "SSLv3",
    "tls_1_0": "TLSv1",
    "tls_1_1": "TLSv1.1",
    "tls_1_2": "TLSv1.2",
    "tls_1_3": "TLSv1.3",
}
#: A rule of Mozilla's profile as sslyze calls it -> our kind of rule.
_MOZILLA = {
    "tls_versions": "versions_forbidden",
    "ciphers": "suites_allowed",
    "ciphersuites": "suites_allowed",
    "tls_curves": "groups_allowed",
    "dh_param_size": "dh_bits",
    "rsa_key_size": "rsa_bits",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What the three say of all servers, by configuration."""

    ours: dict[str, TlsDepthFacts]
    nmap: dict[str, dict[str, Any]]
    sslyze: dict[str, dict[str, Any]]
    complaints: dict[str, set[str]]  # sslyze's, against Mozilla intermediate


def look(port: int) -> TlsDepthFacts:
    approach = Approach(endpoint=Endpoint(address=HOST, port=port), gate=OpenGate(), pace=Pace(0.0))
    made = asyncio.run(attempt("tls_depth", approach, tls_depth.ask))
    assert made.outcome is Outcome.ANSWERED, made.reason
    assert isinstance(made.facts, TlsDepthFacts)
    assert made.connections == made.facts.hellos + made.facts.is_leaf_only
    return made.facts


# --- the other two ----------------------------------------------------------------------------------------------------


def sslyze_program() -> Path:
    """Return sslyze, installed into an environment of its own where pip can; skip aloud where it cannot."""
    home = ROOT / ".cache" / "sslyze"
    found = home / "bin" / "sslyze"
    if not found.exists():
        shutil.rmtree(home, ignore_errors=True)
        install = [str(home / "bin" / "pip"), "install", "--quiet", "sslyze>=6.1"]
        for command in ([sys.executable, "-m", "venv", str(home)], install):
            if subprocess.run(command, capture_output=True, check=False).returncode:
                break
    if not found.exists():
        if REQUIRE_PEERS:
            pytest.fail("peers are required and missing: sslyze", pytrace=False)
        pytest.skip(f"{SKIP_REASON}sslyze")
    return found


def ask_sslyze(
    ports: dict[str, int], folder: Path
) -> tuple[dict[str, dict[str, Any]], dict[str, set[str]]]:
    report = folder / "sslyze.json"
    wanted = ["--sslv3", "--tlsv1", "--tlsv1_1", "--tlsv1_2", "--tlsv1_3", "--fallback", "--reneg"]
    wanted += ["--compression", "--elliptic_curves", "--certinfo"]
    wanted += ["--mozilla_config", "intermediate", "--json_out", str(report)]
    targets = [f"{HOST}:{port}" for port in ports.values()]
    done = subprocess.run(
        [str(sslyze_program()), *wanted, *targets], capture_output=True, text=True, check=False
    )
    results = {
        one["server_location"]["port"]: one
        for one in json.loads(report.read_text())["server_scan_results"]
    }
    told = done.stdout.partition("COMPLIANCE AGAINST TLS CONFIGURATION")[2]
    by_port: dict[int, set[str]] = {}
    port = 0
    for line in told.splitlines():
        if head := re.match(rf"\s+{re.escape(HOST)}:(\d+): ", line):
            port = int(head[1])
            by_port[port] = set()
        elif rule := re.match(r"\s+\* (\w+): ", line):
            by_port[port].add(rule[1])
    return (
        {name: results[number] for name, number in ports.items()},
        {name: by_port.get(number, set()) for name, number in ports.items()},
    )


def ask_nmap(ports: dict[str, int], folder: Path) -> dict[str, dict[str, Any]]:
    report = folder / "nmap.xml"
    command = ["nmap", "-Pn", "-sT", "-n", "--script", "+ssl-enum-ciphers", "-oX", str(report)]
    command += ["-p", ",".join(map(str, ports.values())), HOST]
    subprocess.run(command, check=True, capture_output=True, env=os.environ | {"PATH": SEARCH_PATH})
    found = {}
    for port in minidom.parse(str(report)).getElementsByTagName("port"):
        tables = [
            table
            for script in port.getElementsByTagName("script")
            for table in script.childNodes
            if table.nodeName == "table"
        ]
        found[int(port.getAttribute("portid"))] = {
            t.getAttribute("key").replace("TLSv1.0", "TLSv1"): nmap_version(t) for t in tables
        }
    return {name: found.get(number, {}) for name, number in ports.items()}


def nmap_version(table: Any) -> dict[str, Any]:
    texts: dict[str, list[str]] = {}
    for element in table.getElementsByTagName("elem"):
        text = element.firstChild.data if element.firstChild else ""
        texts.setdefault(element.getAttribute("key"), []).append(text)
    # nmap writes suites of TLS 1.3 in the form of older ones.
    names = {name.replace("TLS_AKE_WITH_", "TLS_") for name in texts.get("name", [])}
    return {
        "suites": names,
        "preference": texts.get("cipher preference", [""])[0],
        "key_exchange": set(texts.get("kex_info", [])),
    }


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory, certificates: Certificates) -> Seen:
    """Start all servers, and let the three look at them one after the other."""
    folder = tmp_path_factory.mktemp("tls")
    with ExitStack() as running:
        ports = {
            name: running.enter_context(start(folder / str(number), certificates))
            for number, (name, start) in enumerate(CONFIGURATIONS.items())
        }
        ours = {name: look(port) for name, port in ports.items()}
        nmap = ask_nmap(ports, folder) if shutil.which("nmap", path=SEARCH_PATH) else {}
        sslyze, complaints = ask_sslyze(ports, folder)
    return Seen(ours=ours, nmap=nmap, sslyze=sslyze, complaints=complaints)


def suites_of(facts: TlsDepthFacts, version: str) -> set[str]:
    found = facts.seen(version)
    return {suite.name for suite in found.suites} if found else set()


every_configuration = pytest.mark.parametrize("name", CONFIGURATIONS)


@every_configuration
def test_everything_is_asked_to_its_end(seen: Seen, name: str):
    facts = seen.ours[name]
    assert facts.speaks_tls
    assert facts.is_complete
    assert facts.accepted_versions


@pytest.mark.peer("nmap")
@every_configuration
def test_nmap_sees_the_same_suites_in_every_version(seen: Seen, name: str):
    for version in _VERSIONS.values():
        theirs = seen.nmap[name].get(version, {"suites": set()})["suites"]
        assert theirs == suites_of(seen.ours[name], version), version


@pytest.mark.peer("nmap")
@every_configuration
def test_nmap_says_the_same_about_whose_order_decides(seen: Seen, name: str):
    words = {"indeterminate": "unknown", "client": "client", "server": "server"}
    for version, theirs in seen.nmap[name].items():
        found = seen.ours[name].seen(version)
        assert found is not None
        assert words[theirs["preference"]] == found.preference


@pytest.mark.peer("nmap")
@every_configuration
def test_nmap_sees_the_same_smallest_group_of_diffie_hellman(seen: Seen, name: str):
    shown = {text for one in seen.nmap[name].values() for text in one["key_exchange"]}
    bits = [int(text.split()[1]) for text in shown if text.startswith("dh ")]
    assert min(bits, default=None) == seen.ours[name].smallest_dh_bits


@every_configuration
def test_sslyze_sees_the_same_suites_in_every_version(seen: Seen, name: str):
    result = seen.sslyze[name]["scan_result"]
    if name in SSLYZE_CANNOT_CONNECT:
        assert result is None
        return
    for key, version in _VERSIONS.items():
        accepted = result[f"{key}_cipher_suites"]["result"]["accepted_cipher_suites"]
        theirs = {one["cipher_suite"]["name"] for one in accepted}
        assert theirs == suites_of(seen.ours[name], version) - SSLYZE_CANNOT_OFFER, version


@every_configuration
def test_sslyze_sees_the_same_curves(seen: Seen, name: str):
    if name in SSLYZE_CANNOT_CONNECT:
        return
    result = seen.sslyze[name]["scan_result"]["elliptic_curves"]["result"]
    theirs = {one["name"].lower() for one in result["supported_curves"] or ()}
    facts = seen.ours[name]
    ours = {*facts.groups.names, *facts.groups_tls_1_3.names}
    assert theirs & SSLYZE_CURVES == ours & SSLYZE_CURVES


@every_configuration
def test_sslyze_says_the_same_about_fallback_renegotiation_compression_and_certificates(
    seen: Seen, name: str
):
    if name in SSLYZE_CANNOT_CONNECT:
        return
    result, facts = seen.sslyze[name]["scan_result"], seen.ours[name]
    # None: one version alone has nothing to fall back to; sslyze calls that protected.
    fallback = result["tls_fallback_scsv"]["result"]["supports_fallback_scsv"]
    assert fallback is (facts.refuses_fallback is not False)
    compression = result["tls_compression"]["result"]["supports_compression"]
    assert compression is bool(facts.compresses)
    renegotiation = result["session_renegotiation"]["result"]
    if renegotiation is None:
        assert name in SSLYZE_NEEDS_CERTIFICATE
    else:
        renegotiation = renegotiation["supports_secure_renegotiation"]
        assert renegotiation is (facts.has_renegotiation_info is not False)
    chains = [
        tuple(len(one["as_pem"]) > 0 for one in deployment["received_certificate_chain"])
        for deployment in result["certificate_info"]["result"]["certificate_deployments"]
    ]
    ours = [tuple(True for _ in chain.certificates) for chain in facts.chains]
    assert sorted(chains) == sorted(ours)


@every_configuration
def test_sslyze_says_the_same_about_client_certificates(seen: Seen, name: str):
    asked = seen.ours[name].requests_client_certificate
    if asked is None or name in SSLYZE_CANNOT_CONNECT:
        return  # TLS 1.3 and anonymous suites do not show it in the first flight
    theirs = seen.sslyze[name]["connectivity_result"]["client_auth_requirement"]
    assert (theirs != "DISABLED") is asked


@every_configuration
def test_sslyze_has_the_same_complaints_against_mozillas_profile(seen: Seen, name: str):
    if name in SSLYZE_CANNOT_CONNECT | SSLYZE_NEEDS_CERTIFICATE:
        return
    theirs = {_MOZILLA[rule] for rule in seen.complaints[name] if rule in _MOZILLA}
    rules = [r for r in rules_of("mozilla-intermediate") if r.kind in _MOZILLA.values()]
    answers = [answer(seen.ours[name], rule) for rule in rules]
    assert {a.rule.kind for a in answers if a.status is Status.BROKEN} == theirs


def test_every_difference_is_explained_on_its_page():
    text = PAGE.read_text()
    for name in (*SSLYZE_CANNOT_OFFER, *SSLYZE_CANNOT_CONNECT, *SSLYZE_NEEDS_CERTIFICATE):
        assert name in text, name
    for name in CONFIGURATIONS:
        assert name in text, name
