"""Suites, groups and schemes: the numbers are the registry's, and the names are read as OpenSSL reads them."""

import re
import subprocess

import pytest

from doorward.knowledge.tls_parameters import (
    group_name,
    group_named,
    groups,
    signature_name,
    signature_schemes,
    suite_named,
    suite_of,
    suites,
)


def test_no_number_and_no_name_twice():
    for table in (suites(), groups(), signature_schemes()):
        assert len({row.number for row in table}) == len(table)
        assert len({row.name for row in table}) == len(table)
        assert all(0 <= row.number <= 0xFFFF for row in table)
        assert all(row.source for row in table)


def openssl_suites() -> list[re.Match[str]]:
    command = ["openssl", "ciphers", "-V", "-stdname", "ALL:COMPLEMENTOFALL:@SECLEVEL=0"]
    told = subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout
    pattern = (
        r"\s*0x(..),0x(..) - (\S+)\s+- (\S+)\s+(\S+)\s+Kx=(\S+)\s+Au=(\S+)\s+Enc=(\S+)\s+Mac=(\S+)"
    )
    return [found for line in told.splitlines() if (found := re.match(pattern, line))]


@pytest.mark.peer("openssl")
def test_openssl_gives_the_same_numbers_and_names():
    lines = openssl_suites()
    assert len(lines) > 100
    for line in lines:
        suite = suite_of(int(line[1] + line[2], 16))
        assert (suite.name, suite.openssl) == (line[3], line[4])


KEY_EXCHANGES = {"DH": "DHE", "ECDH": "ECDHE", "any": "ANY", "DHEPSK": "DHE", "ECDHEPSK": "ECDHE"}
KEY_EXCHANGES |= {"RSAPSK": "RSA"}
AUTHENTICATIONS = {"None": "ANON", "any": "ANY"}


@pytest.mark.peer("openssl")
def test_openssl_reads_the_same_from_the_names():
    for line in openssl_suites():
        suite = suite_of(int(line[1] + line[2], 16))
        assert suite.key_exchange == KEY_EXCHANGES.get(line[6], line[6]), suite.name
        assert suite.authentication == AUTHENTICATIONS.get(line[7], line[7]), suite.name
        bits = re.search(r"\((\d+)\)", line[8])
        assert suite.bits == (int(bits[1]) if bits else 0), suite.name
        assert suite.is_authenticated == (line[9] == "AEAD"), suite.name


@pytest.mark.parametrize(
    ("name", "encryption", "bits", "hash_"),
    [
        ("TLS_RSA_EXPORT_WITH_RC4_40_MD5", "RC4_40", 40, "MD5"),
        ("TLS_RSA_EXPORT_WITH_DES40_CBC_SHA", "DES40_CBC", 40, "SHA"),
        ("TLS_RSA_EXPORT1024_WITH_RC4_56_SHA", "RC4_56", 56, "SHA"),
        ("TLS_KRB5_EXPORT_WITH_DES_CBC_40_MD5", "DES_CBC_40", 40, "MD5"),
        ("TLS_DHE_RSA_WITH_DES_CBC_SHA", "DES_CBC", 56, "SHA"),
        ("TLS_RSA_WITH_3DES_EDE_CBC_SHA", "3DES_EDE_CBC", 112, "SHA"),
        ("TLS_RSA_WITH_RC4_128_SHA", "RC4_128", 128, "SHA"),
        ("TLS_RSA_WITH_AES_128_CCM_8", "AES_128_CCM_8", 128, "SHA256"),
        ("TLS_SHA256_SHA256", "NULL", 0, "SHA256"),
        ("TLS_AES_128_CCM_8_SHA256", "AES_128_CCM_8", 128, "SHA256"),
    ],
)
def test_what_openssl_no_longer_has_is_read_from_the_name_too(name, encryption, bits, hash_):
    suite = suite_named(name)
    assert (suite.encryption, suite.bits, suite.hash) == (encryption, bits, hash_)


@pytest.mark.parametrize(
    ("name", "key_exchange", "authentication", "has_forward_secrecy"),
    [
        ("TLS_RSA_WITH_AES_128_CBC_SHA", "RSA", "RSA", False),
        ("TLS_ECDH_ECDSA_WITH_AES_128_CBC_SHA", "ECDH", "ECDSA", False),
        ("TLS_DH_anon_WITH_AES_128_CBC_SHA", "DHE", "ANON", True),
        ("TLS_DHE_DSS_EXPORT1024_WITH_RC4_56_SHA", "DHE", "DSS", True),
        ("TLS_PSK_DHE_WITH_AES_128_CCM_8", "DHE", "PSK", True),
        ("TLS_RSA_PSK_WITH_AES_128_CBC_SHA", "RSA", "RSA", False),
        ("TLS_PSK_WITH_NULL_SHA", "PSK", "PSK", False),
        ("TLS_SRP_SHA_DSS_WITH_AES_128_CBC_SHA", "SRP", "DSS", False),
        ("TLS_KRB5_WITH_RC4_128_SHA", "KRB5", "KRB5", False),
        ("TLS_ECCPWD_WITH_AES_128_GCM_SHA256", "ECCPWD", "ECCPWD", True),
        ("TLS_AES_128_GCM_SHA256", "ANY", "ANY", True),
    ],
)
def test_key_exchange_and_authentication(name, key_exchange, authentication, has_forward_secrecy):
    suite = suite_named(name)
    assert (suite.key_exchange, suite.authentication) == (key_exchange, authentication)
    assert suite.has_forward_secrecy is has_forward_secrecy


def test_export_and_cbc_and_anonymous_suites_are_known_by_their_names():
    assert suite_named("TLS_RSA_EXPORT_WITH_RC2_CBC_40_MD5").is_export
    assert suite_named("TLS_RSA_WITH_AES_128_CBC_SHA").is_cbc
    assert not suite_named("TLS_RSA_WITH_AES_128_GCM_SHA256").is_cbc
    assert suite_named("TLS_ECDH_anon_WITH_NULL_SHA").is_anonymous


def test_what_nobody_registered_has_a_name_and_protects_nothing():
    assert suite_of(0xFAFA).name == "TLS_UNKNOWN_FAFA_WITH_NULL"
    assert suite_of(0xFAFA).bits == 0
    assert suite_named("TLS_NO_SUCH") is None
    assert (group_name(0xFFFF), signature_name(0xFFFF)) == ("0xFFFF", "0xFFFF")
    assert group_named("no such") is None


def test_groups_and_schemes_have_the_registered_numbers():
    assert {group_named(n).number: n for n in ("secp256r1", "x25519", "ffdhe2048")} == {
        23: "secp256r1",
        29: "x25519",
        256: "ffdhe2048",
    }
    assert (group_name(24), signature_name(0x0804)) == ("secp384r1", "rsa_pss_rsae_sha256")
    assert {g.kind for g in groups()} == {"ec", "ff", "hybrid"}
