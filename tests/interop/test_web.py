"""Real web sides: Orthanc with and without a login, its DICOMweb plugin, nginx, lighttpd, Apache; open and shut forms."""

import asyncio
import os

import pytest

from certificates import make_certificates
from doorward.audit.approach import attempt
from doorward.audit.checks import CATALOGUE, rule_of
from doorward.audit.door import Door
from doorward.audit.facts import Exactness, SystemFacts
from doorward.audit.probes import dicomweb, web, web_hygiene
from doorward.audit.verdict import Severity, Verdict
from doorward.audit.web_count import paged_counts
from doorward.audit.web_facts import Access, DicomWebFacts, Redirect, WebFacts
from doorward.limits import DEFAULT_LIMITS
from doorward.net.tls import probe_context
from loopback import HOST
from seen import NOW
from synthetic import Known
from web_servers import apache, dicomweb_orthanc, lighttpd, nginx
from web_visitors import visitor, web_approach

pytestmark = [pytest.mark.interop]
FAIL, PASS = Verdict.FAIL, Verdict.PASS
NOT_APPLICABLE, INCONCLUSIVE = Verdict.NOT_APPLICABLE, Verdict.INCONCLUSIVE
WEB = tuple(check.id for check in CATALOGUE if check.area == "web" and check.probe != "debugger")


def audited(port, *, level=2, tls=None, canaries=frozenset()):
    """Ask one port with the three web probes; returns (facts by class, rulings by check)."""

    async def run():
        approach = web_approach(port, tls=tls)
        return [
            await attempt("web", approach, web.asker(level=level, contact="it@hospital.example")),
            await attempt("dicomweb", approach, dicomweb.asker(level=level)),
            await attempt("web_hygiene", approach, web_hygiene.ask),
        ]

    attempts = asyncio.run(run())
    assert not [canary for canary in canaries if canary in repr(attempts)]
    system = SystemFacts(address=HOST, name="", clearance_level=level, attempts=tuple(attempts))
    door = Door(system=system, port=port)
    rulings = {check: rule_of(check).rule(door, NOW) for check in WEB}
    assert not [c for c in canaries if any(c in ruling.evidence for ruling in rulings.values())]
    return {type(a.facts): a.facts for a in attempts}, rulings


def verdicts(rulings):
    return {check.removeprefix("web_"): ruling.verdict for check, ruling in rulings.items()}


# --- Orthanc ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def open_web(tmp_path_factory, known: Known):
    """Orthanc with DICOMweb, open to every address without a login."""
    with dicomweb_orthanc(tmp_path_factory.mktemp("orthanc-web"), files=known.files) as peer:
        yield peer


@pytest.fixture(scope="module")
def shut_web(tmp_path_factory, known: Known):
    """The same behind a password."""
    folder = tmp_path_factory.mktemp("orthanc-shut")
    with dicomweb_orthanc(folder, users={"alice": "made-up"}, files=known.files[:2]) as peer:
        yield peer


@pytest.mark.peer("orthanc", "orthanc-dicomweb")
def test_an_open_orthanc_is_open_at_every_door_and_counted_exactly(open_web, known: Known):
    facts, rulings = audited(open_web.http_port, canaries=known.canaries)
    assert verdicts(rulings) == {
        "qido_open": FAIL,
        "wado_open": FAIL,
        "stow_open": FAIL,
        "rest_open": FAIL,
        "viewer_open": FAIL,
        "viewer_plain_http": FAIL,
        "cors_any": PASS,
        "plain_http": FAIL,
        "hsts_missing": NOT_APPLICABLE,
        "server_outdated": NOT_APPLICABLE,
        "console_open": PASS,
        "wado_uri_open": INCONCLUSIVE,
    }
    assert rulings["web_qido_open"].severity is None
    seen = facts[DicomWebFacts]
    assert [r.root for r in seen.roots if r.qido is Access.OPEN] == ["/dicom-web"]
    assert (seen.studies.value, seen.images.value, seen.patients.value) == (
        known.studies,
        known.images,
        known.patients,
    )
    assert seen.studies.exactness is Exactness.EXACT_COUNTER
    assert facts[WebFacts].rest[0].version == "1.10.1"
    assert open_web.statistics()["instances"] == known.images, "nothing was stored"


@pytest.mark.peer("orthanc", "orthanc-dicomweb")
def test_paging_counts_what_the_counter_counts(open_web, known: Known):
    for page in (1, 4, 500):
        counts = asyncio.run(
            paged_counts(
                visitor(open_web.http_port, qido_page_matches=page),
                "/dicom-web",
                web_approach(1, qido_page_matches=page).limits,
            )
        )
        assert (counts.studies.value, counts.images.value) == (known.studies, known.images)
        assert counts.studies.exactness is Exactness.EXACT_ENUMERATED
        assert counts.extra_attributes > 5, (
            "Orthanc returns patient attributes that nobody asked for"
        )
        assert not [canary for canary in known.canaries if canary in repr(counts)]
    assert DEFAULT_LIMITS.qido_page_matches == 500


@pytest.mark.peer("orthanc", "orthanc-dicomweb")
def test_an_orthanc_behind_a_password_is_shut_at_every_door(shut_web, known: Known):
    facts, rulings = audited(shut_web.http_port, canaries=known.canaries)
    assert verdicts(rulings) == {
        "qido_open": PASS,
        "wado_open": PASS,
        "stow_open": PASS,
        "rest_open": PASS,
        "viewer_open": PASS,
        "viewer_plain_http": FAIL,
        "cors_any": NOT_APPLICABLE,
        "plain_http": FAIL,
        "hsts_missing": NOT_APPLICABLE,
        "server_outdated": NOT_APPLICABLE,
        "console_open": PASS,
        "wado_uri_open": PASS,
    }
    assert rulings["web_viewer_plain_http"].severity is Severity.MEDIUM
    assert facts[WebFacts].rest[0].access is Access.LOGIN


@pytest.mark.peer("orthanc")
def test_an_orthanc_for_its_own_machine_alone_is_a_small_matter(open_orthanc):
    _, rulings = audited(open_orthanc.http_port)
    assert (rulings["web_rest_open"].verdict, rulings["web_rest_open"].severity) == (
        FAIL,
        Severity.LOW,
    )
    assert verdicts(rulings)["qido_open"] is not PASS, "no DICOMweb is there, so nothing passes"


# --- behind and beside web servers ------------------------------------------------------------------------------------


@pytest.mark.peer("orthanc", "orthanc-dicomweb", "nginx")
def test_a_proxy_that_guards_the_pages_and_forgets_the_interface(open_web, tmp_path):
    passwords = tmp_path / "passwords"
    passwords.write_text("alice:{PLAIN}made-up\n")
    os.chmod(passwords, 0o644)
    locked = f'auth_basic "Archive"; auth_basic_user_file {passwords};'
    target = f"proxy_pass http://{HOST}:{open_web.http_port};"
    header = "add_header Access-Control-Allow-Origin * always;"
    lines = f"location / {{ {locked} {target} }} location /dicom-web/ {{ {target} {header} }}"
    with nginx(tmp_path / "nginx", server_lines=lines) as peer:
        facts, rulings = audited(peer.port)
    found = verdicts(rulings)
    assert (found["qido_open"], found["wado_open"], found["stow_open"], found["cors_any"]) == (
        FAIL,
    ) * 4
    assert facts[WebFacts].front is Access.LOGIN
    assert facts[DicomWebFacts].studies.exactness is Exactness.EXACT_ENUMERATED, (
        "counters are locked: paged"
    )


@pytest.mark.peer("orthanc", "orthanc-dicomweb", "nginx")
def test_a_proxy_that_guards_everything(open_web, tmp_path):
    passwords = tmp_path / "passwords"
    passwords.write_text("alice:{PLAIN}made-up\n")
    target = f"proxy_pass http://{HOST}:{open_web.http_port};"
    lines = f'auth_basic "Archive"; auth_basic_user_file {passwords}; location / {{ {target} }}'
    with nginx(tmp_path / "nginx", server_lines=lines) as peer:
        _, rulings = audited(peer.port)
    found = verdicts(rulings)
    assert (found["qido_open"], found["wado_open"], found["stow_open"]) == (PASS,) * 3
    assert found["rest_open"] is NOT_APPLICABLE


@pytest.mark.peer("nginx")
def test_nginx_with_a_single_page_application_is_nothing_of_imaging(tmp_path):
    with nginx(tmp_path, server_lines="location / { try_files $uri /index.html; }") as peer:
        facts, rulings = audited(peer.port)
    assert facts[WebFacts].answers_anything
    assert not facts[WebFacts].has_imaging
    assert {c for c, v in verdicts(rulings).items() if v is FAIL} == {
        "plain_http",
        "server_outdated",
    }
    assert rulings["web_plain_http"].severity is Severity.LOW
    assert "nginx 1.22" in rulings["web_server_outdated"].evidence


@pytest.mark.peer("nginx")
def test_nginx_over_tls_with_and_without_hsts(tmp_path):
    own = make_certificates(tmp_path).server
    for lines, verdict in (
        ("", FAIL),
        ('add_header Strict-Transport-Security "max-age=31536000" always;', PASS),
    ):
        with nginx(tmp_path / f"n{len(lines)}", own=own, server_lines=lines) as peer:
            _, rulings = audited(peer.port, tls=probe_context())
        assert verdicts(rulings)["hsts_missing"] is verdict
        assert verdicts(rulings)["plain_http"] is PASS


@pytest.mark.peer("nginx")
def test_nginx_that_only_leads_to_https(tmp_path):
    lines = f"return 301 https://{HOST}$request_uri;"
    with nginx(tmp_path, server_lines=lines) as peer:
        facts, rulings = audited(peer.port)
    assert facts[WebFacts].redirect is Redirect.HTTPS
    assert verdicts(rulings)["plain_http"] is PASS


@pytest.mark.peer("nginx")
def test_a_site_with_the_title_of_orthanc_is_no_orthanc_that_answers(tmp_path):
    with nginx(tmp_path, title="Orthanc Explorer") as peer:
        _, rulings = audited(peer.port)
    found = verdicts(rulings)
    assert found["viewer_open"] is INCONCLUSIVE
    assert FAIL not in (found["rest_open"], found["qido_open"])


@pytest.mark.peer("lighttpd")
def test_lighttpd_names_itself_and_nothing_else(tmp_path):
    with lighttpd(tmp_path) as peer:
        facts, rulings = audited(peer.port)
    assert [(p.product, p.version) for p in facts[WebFacts].products] == [("lighttpd", "1.4.69")]
    assert {c for c, v in verdicts(rulings).items() if v is FAIL} == {"plain_http"}


@pytest.mark.peer("apache2")
def test_apache_names_itself_and_its_branch_is_repaired(tmp_path):
    with apache(tmp_path) as peer:
        facts, rulings = audited(peer.port)
    assert [p.product for p in facts[WebFacts].products] == ["Apache HTTP Server"]
    assert verdicts(rulings)["server_outdated"] is PASS
    assert {c for c, v in verdicts(rulings).items() if v is FAIL} == {"plain_http"}


@pytest.mark.peer("apache2")
def test_apache_with_one_page_for_every_error_is_nothing_of_imaging(tmp_path):
    lines = "ErrorDocument 404 /index.html\nFallbackResource /index.html"
    with apache(tmp_path, title="OHIF Viewer", lines=lines) as peer:
        facts, rulings = audited(peer.port)
    assert {c for c, v in verdicts(rulings).items() if v is FAIL} == {
        "plain_http",
        "viewer_plain_http",
    }
    assert verdicts(rulings)["viewer_open"] is INCONCLUSIVE
    assert facts[DicomWebFacts].studies.value is None
