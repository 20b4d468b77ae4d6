"""Each persona is what its sentence says: the auditor, held against all of them at once."""

import asyncio
from datetime import UTC, datetime

import pytest

from doorward.audit.facts import Exactness
from doorward.audit.honeypot import suspicion
from doorward.audit.judge import judge
from doorward.audit.ladder import RUNGS
from doorward.audit.verdict import JudgedSystem, Verdict
from doorward.practice.certificates import make_certificates
from doorward.practice.personas import PERSONAS, Speaks
from practising import practising, surveyed

#: No round numbers: an answer of exactly 500 is doubted.
STUDIES, IMAGES, PATIENTS = 530, 4, 270
NOW = datetime.now(UTC)
EXACT, LEAST, UNKNOWN = Exactness.EXACT_ENUMERATED, Exactness.AT_LEAST, Exactness.UNKNOWN


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> dict[str, JudgedSystem]:
    """Every persona audited by a stranger, in one survey."""
    addresses = [f"127.0.1.{number + 1}" for number in range(len(PERSONAS))]
    folder = tmp_path_factory.mktemp("certificates")
    certificates = make_certificates(folder, now=NOW, addresses=addresses)

    async def audit() -> dict[str, JudgedSystem]:
        numbers = {"studies": STUDIES, "images": IMAGES, "patients": PATIENTS}
        async with practising(*PERSONAS, certificates=certificates, **numbers) as running:
            systems = await surveyed(running)
        return {
            one.settings.persona.name: judge(system, now=NOW)
            for one, system in zip(running, systems, strict=True)
        }

    return asyncio.run(audit())


def verdict(system: JudgedSystem, check: str) -> Verdict:
    (finding,) = [f for f in system.findings if f.check == check]
    return finding.verdict


@pytest.mark.parametrize("name", PERSONAS)
def test_audit_finds_the_rungs_that_the_persona_has(judged, name):
    assert judged[name].rungs == PERSONAS[name].rungs


@pytest.mark.parametrize(
    ("name", "studies", "images", "patients"),
    (
        ("open", (STUDIES, EXACT), (STUDIES * IMAGES, EXACT), (PATIENTS, EXACT)),
        ("query-only", (STUDIES, EXACT), (STUDIES * IMAGES, EXACT), (PATIENTS, EXACT)),
        ("patient-root-only", (STUDIES, EXACT), (STUDIES * IMAGES, EXACT), (PATIENTS, EXACT)),
        ("tls", (STUDIES, EXACT), (STUDIES * IMAGES, EXACT), (PATIENTS, EXACT)),
        ("busy-twice", (STUDIES, EXACT), (STUDIES * IMAGES, EXACT), (PATIENTS, EXACT)),
        ("chatty", (STUDIES, EXACT), (STUDIES * IMAGES, EXACT), (PATIENTS, EXACT)),
        ("honeypot", (STUDIES, EXACT), (STUDIES * IMAGES, EXACT), (PATIENTS, EXACT)),
        ("capped-100", (STUDIES, EXACT), (STUDIES * IMAGES, EXACT), (100, LEAST)),
        ("capped-500", (STUDIES, EXACT), (STUDIES * IMAGES, EXACT), None),
        ("capped-aloud", (STUDIES, EXACT), (STUDIES * IMAGES, EXACT), (60, LEAST)),
        ("one-day", (STUDIES, EXACT), (STUDIES * IMAGES, EXACT), (100, LEAST)),
        ("ignores-dates", (100, LEAST), (100 * IMAGES, LEAST), (100, LEAST)),
        ("no-image-counts", (STUDIES, EXACT), (None, UNKNOWN), (PATIENTS, EXACT)),
        ("ignores-return-keys", (STUDIES, EXACT), (None, UNKNOWN), (PATIENTS, EXACT)),
        ("warning-status", (STUDIES, EXACT), (STUDIES * IMAGES, EXACT), (PATIENTS, LEAST)),
        ("failing", (STUDIES, EXACT), (STUDIES * IMAGES, EXACT), (250, LEAST)),
        ("aborting", (STUDIES, EXACT), (STUDIES * IMAGES, EXACT), (None, UNKNOWN)),
        ("endless", (3_000, LEAST), (3_000 * IMAGES, LEAST), (3_000, LEAST)),
        ("store-only", (None, UNKNOWN), (None, UNKNOWN), (None, UNKNOWN)),
        ("half-silent", (None, UNKNOWN), (None, UNKNOWN), (None, UNKNOWN)),
        ("closed", (None, UNKNOWN), (None, UNKNOWN), (None, UNKNOWN)),
    ),
)
def test_audit_counts_what_is_there_and_says_how_sure_it_is(
    judged, name, studies, images, patients
):
    counts = judged[name].counts
    assert (counts.studies.value, counts.studies.exactness) == studies
    assert (counts.images.value, counts.images.exactness) == images
    if patients is not None:
        assert (counts.patients.value, counts.patients.exactness) == patients


@pytest.mark.parametrize(
    ("name", "check", "expected"),
    (
        ("open", "dimse_query_unprotected", Verdict.FAIL),
        ("open", "dimse_store_open", Verdict.FAIL),
        ("read-only", "dimse_store_open", Verdict.PASS),
        ("query-only", "dimse_retrieve_open", Verdict.PASS),
        ("echo-only", "dimse_query_unprotected", Verdict.PASS),
        ("store-only", "dimse_query_unprotected", Verdict.PASS),
        ("store-only", "dimse_store_open", Verdict.FAIL),
        ("calling-checked", "dimse_ae_accepts_any", Verdict.PASS),
        ("closed", "dimse_query_unprotected", Verdict.PASS),
        ("password", "dimse_query_unprotected", Verdict.PASS),
        ("tls-checked", "dimse_query_unprotected", Verdict.PASS),
        ("refused", "dimse_query_unprotected", Verdict.NOT_APPLICABLE),
        ("filtered", "dimse_query_unprotected", Verdict.INCONCLUSIVE),
        ("viewer", "web_viewer_plain_http", Verdict.FAIL),
        ("listing", "files_listing_open", Verdict.FAIL),
        ("old-web", "web_server_outdated", Verdict.FAIL),
        ("mutual-tls", "dimse_query_unprotected", Verdict.PASS),
        ("mutual-tls", "tls_client_certificate_not_required", Verdict.PASS),
        ("tls", "tls_client_certificate_not_required", Verdict.FAIL),
        ("tls", "dimse_tls_missing", Verdict.PASS),
        ("congested", "dimse_query_unprotected", Verdict.INCONCLUSIVE),
        ("half-silent", "dimse_query_unprotected", Verdict.INCONCLUSIVE),
        ("silent", "dimse_query_unprotected", Verdict.INCONCLUSIVE),
    ),
)
def test_audit_says_the_right_word(judged, name, check, expected):
    assert verdict(judged[name], check) is expected


@pytest.mark.parametrize(
    "name", ("congested", "half-silent", "silent", "called-checked", "http", "ssh")
)
def test_what_is_not_known_is_not_rated(judged, name):
    assert judged[name].grade == "not rated"


@pytest.mark.parametrize("name", [n for n in PERSONAS if "E5" in PERSONAS[n].rungs])
def test_what_answers_strangers_gets_the_worst_grade(judged, name):
    assert judged[name].grade == "F"


@pytest.mark.parametrize("name", PERSONAS)
def test_honeypot_and_demonstration_are_suspected_and_nobody_else(judged, name):
    assert suspicion(judged[name].facts).is_suspected is (name in ("honeypot", "demo"))


def test_honeypot_is_recognised(judged):
    (service,) = judged["honeypot"].services
    assert "honeypot" in service.product.lower()


@pytest.mark.parametrize(
    ("name", "protocol"), (("http", "http"), ("ssh", "ssh"), ("viewer", "http"))
)
def test_other_protocols_are_named(judged, name, protocol):
    (service,) = judged[name].services
    assert service.protocol == protocol


@pytest.mark.parametrize("persona", PERSONAS.values(), ids=list(PERSONAS))
def test_persona_is_described_in_one_sentence_and_on_known_rungs(persona):
    assert persona.description.endswith(".")
    assert len(persona.description) < 100
    assert set(persona.rungs) <= set(RUNGS)
    assert ("E2" in persona.rungs) <= (persona.speaks is Speaks.DICOM)
