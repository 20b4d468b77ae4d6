"""The catalogue is whole: every text has a rule, every rule its texts, and nothing is missing."""

import re

import pytest

from doorward.audit.checks import CATALOGUE, Per, rule_of
from doorward.audit.checks.registry import check
from doorward.audit.verdict import AREAS, PRODUCTS

IDS = [c.id for c in CATALOGUE]
PROBES = {"association", "capabilities", "exposure", "attributes", "transport"}
PROBES |= {"databases", "shares", "tls_depth"}
PROBES |= {"web", "dicomweb", "web_hygiene", "debugger"}
PROBES |= {"listings", "webdav", "ftp", "hl7", "fhir", "default_credentials"}

#: Ids are a contract: scripts and acceptances name them. Add here, never rename, never remove.
PUBLISHED = {
    "auth_default_credentials",
    "db_default_account_open",
    "db_no_password",
    "db_port_reachable",
    "db_tls_missing",
    "dimse_ae_accepts_any",
    "dimse_ae_called_only",
    "dimse_ae_title_only",
    "dimse_other_services_open",
    "dimse_patient_attributes_returned",
    "dimse_plain_beside_tls",
    "dimse_query_context_open",
    "dimse_query_unlimited",
    "dimse_query_unprotected",
    "dimse_retrieve_open",
    "dimse_speaks_dicom",
    "dimse_store_open",
    "dimse_tls_missing",
    "dimse_worklist_open",
    "fhir_metadata_open",
    "fhir_search_open",
    "files_ftp_anonymous",
    "files_ftp_plain",
    "files_listing_open",
    "files_webdav_open",
    "hl7_plain",
    "hl7_port_open",
    "ldap_anonymous_bind",
    "net_port_reachable",
    "nfs_old_version_spoken",
    "nfs_portmapper_open",
    "product_looks_like_honeypot",
    "product_version_vulnerable",
    "product_web_version_vulnerable",
    "share_port_reachable",
    "smb_signing_not_required",
    "smb_v1_spoken",
    "system_looks_like_honeypot",
    "tls_certificate_expired",
    "tls_certificate_name_mismatch",
    "tls_certificate_untrusted",
    "tls_certificate_weak_key",
    "tls_chain_disordered",
    "tls_chain_expired",
    "tls_chain_name_mismatch",
    "tls_chain_weak",
    "tls_cipher_weak",
    "tls_client_certificate_not_required",
    "tls_compression_offered",
    "tls_downgrade_unprotected",
    "tls_group_curve_weak",
    "tls_group_dh_small",
    "tls_profile_b12_missed",
    "tls_profile_b13_missed",
    "tls_profile_mozilla_missed",
    "tls_renegotiation_insecure",
    "tls_signature_weak_accepted",
    "tls_ssl3_offered",
    "tls_suite_broken_offered",
    "tls_suite_cbc_offered",
    "tls_suite_order_unset",
    "tls_suite_small_block_offered",
    "tls_suite_without_forward_secrecy",
    "tls_version_old_offered",
    "tls_version_outdated",
    "web_console_open",
    "web_cors_any",
    "web_hsts_missing",
    "web_jdwp_open",
    "web_plain_http",
    "web_qido_open",
    "web_rest_open",
    "web_server_outdated",
    "web_stow_open",
    "web_viewer_open",
    "web_viewer_plain_http",
    "web_wado_open",
    "web_wado_uri_open",
}


def test_published_ids_stay():
    assert set(IDS) >= PUBLISHED
    assert len(IDS) == len(set(IDS))


@pytest.mark.parametrize("one", CATALOGUE, ids=IDS)
def test_each_check_is_whole(one):
    assert re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)+", one.id)
    assert one.area in AREAS
    assert one.probe in PROBES
    assert 1 <= one.clearance_level <= 3
    assert 0 < len(one.title) <= 150
    assert not one.title.endswith(".")
    for text in (one.description, one.risk, *one.remediation.values()):
        assert text.strip() == text
        assert text.endswith((".", ")"))
        assert len(text) <= 500
    assert "generic" in one.remediation
    assert set(one.remediation) <= set(PRODUCTS)
    assert "ADDRESS:PORT" in one.verify
    assert one.verify.startswith("doorward audit ")
    assert one.references
    assert all(r.label and r.url.startswith("https://") for r in one.references)


@pytest.mark.parametrize("check_id", IDS)
def test_each_check_has_its_rule(check_id):
    assert rule_of(check_id).per in Per


def test_an_orthanc_admin_finds_the_option_by_name():
    text = {c.id: c.remediation.get("orthanc", "") for c in CATALOGUE}
    assert '"DicomAlwaysAllowFind": false' in text["dimse_query_unprotected"]
    assert '"DicomAlwaysAllowStore"' in text["dimse_store_open"]
    assert '"DicomTlsEnabled": true' in text["dimse_tls_missing"]
    assert '"DicomCheckCalledAet": true' in text["dimse_ae_accepts_any"]


def test_a_rule_without_texts_cannot_be_registered():
    with pytest.raises(KeyError):
        check("dimse_no_such_check")


def test_a_check_cannot_have_two_rules():
    with pytest.raises(AssertionError, match="two rules"):
        check(IDS[0])(rule_of(IDS[0]).rule)
