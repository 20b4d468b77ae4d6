"""Codes are those of RFC 6238, and each is good once."""

import base64
from dataclasses import replace
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.totp import TOTP
from hypothesis import given
from hypothesis import strategies as st

from doorward.access.totp import (
    STEP_S,
    code_at,
    new_recovery_codes,
    new_secret,
    otpauth_uri,
    use_recovery_code,
    verify,
)
from doorward.errors import ConfigError
from doorward.limits import DEFAULT_LIMITS

SECRET = base64.b32encode(b"12345678901234567890").decode()
NOW = 1_111_111_109.0
STEP = int(NOW // STEP_S)


@pytest.mark.parametrize(
    ("seconds", "code"),
    [
        (59, "94287082"),
        (1_111_111_109, "07081804"),
        (1_111_111_111, "14050471"),
        (1_234_567_890, "89005924"),
        (2_000_000_000, "69279037"),
        (20_000_000_000, "65353130"),
    ],
)
def test_codes_are_those_of_the_rfc(seconds, code):
    # RFC 6238 Appendix B, the lines of SHA-1.
    assert code_at(SECRET, seconds // STEP_S, digits=8) == code
    assert code_at(SECRET, seconds // STEP_S) == code[-6:]


@given(st.binary(min_size=20, max_size=20), st.integers(0, 2**40))
def test_codes_are_those_of_another_program(key, step):
    oracle = TOTP(key, 6, SHA1(), STEP_S).generate(step * STEP_S).decode()
    assert code_at(base64.b32encode(key).decode(), step) == oracle


@pytest.mark.parametrize(
    ("offset", "is_taken"), [(-2, False), (-1, True), (0, True), (1, True), (2, False)]
)
def test_a_code_is_good_one_step_before_and_after(offset, is_taken):
    found = verify(SECRET, code_at(SECRET, STEP + offset), now=NOW)
    assert found == (STEP + offset if is_taken else None)


def test_a_code_is_good_once_and_so_is_no_earlier_one():
    code = code_at(SECRET, STEP)
    step = verify(SECRET, code, now=NOW)
    assert step is not None
    assert verify(SECRET, code, now=NOW, last_step=step) is None
    assert verify(SECRET, code_at(SECRET, STEP - 1), now=NOW, last_step=step) is None
    assert verify(SECRET, code_at(SECRET, STEP + 1), now=NOW, last_step=step) == STEP + 1


def test_the_window_is_a_bound():
    narrow = replace(DEFAULT_LIMITS, totp_window=0)
    assert verify(SECRET, code_at(SECRET, STEP - 1), now=NOW, limits=narrow) is None
    assert verify(SECRET, code_at(SECRET, STEP), now=NOW, limits=narrow) == STEP


def test_spaces_do_not_count():
    code = code_at(SECRET, STEP)
    assert verify(SECRET, f" {code[:3]} {code[3:]}\n", now=NOW) == STEP


@given(st.text(max_size=20))
def test_another_text_is_no_code(text):
    codes = {code_at(SECRET, STEP + offset) for offset in (-1, 0, 1)}
    assert (verify(SECRET, text, now=NOW) is not None) == ("".join(text.split()) in codes)


def test_right_after_1970_there_is_no_earlier_step():
    assert verify(SECRET, code_at(SECRET, 0), now=0.0) == 0


@pytest.mark.parametrize("secret", ["not base 32!", "A", "é"])
def test_a_damaged_secret_is_an_error_and_no_wrong_code(secret):
    with pytest.raises(ConfigError, match="base 32"):
        verify(secret, "000000", now=NOW)


def test_secrets_are_random_and_long_enough():
    assert len({new_secret() for _ in range(100)}) == 100
    assert len(base64.b32decode(new_secret())) == 20


def test_the_uri_is_what_applications_read():
    uri = urlsplit(otpauth_uri(SECRET, name="ada", issuer="Clinic & Co: PACS"))
    assert (uri.scheme, uri.netloc) == ("otpauth", "totp")
    assert unquote(uri.path) == "/Clinic & Co  PACS:ada"
    assert parse_qs(uri.query) == {
        "secret": [SECRET],
        "issuer": ["Clinic & Co  PACS"],
        "algorithm": ["SHA1"],
        "digits": ["6"],
        "period": ["30"],
    }
    assert "+" not in uri.query


def test_a_recovery_code_is_good_once():
    codes = new_recovery_codes()
    assert len(set(codes.texts)) == DEFAULT_LIMITS.recovery_codes
    left = use_recovery_code(codes.texts[3].upper().replace("-", " "), codes.digests)
    assert left is not None
    assert len(left) == len(codes.digests) - 1
    assert use_recovery_code(codes.texts[3], left) is None
    assert use_recovery_code(codes.texts[4], left) is not None


@given(st.text(max_size=40))
def test_another_text_is_no_recovery_code(text):
    assert use_recovery_code(text, new_recovery_codes().digests) is None


def test_recovery_codes_are_neither_kept_nor_shown():
    codes = new_recovery_codes()
    for text in codes.texts:
        assert text not in repr(codes)
        assert text not in codes.digests
        assert text.replace("-", "") not in codes.digests
