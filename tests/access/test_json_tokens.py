"""Of all tokens only those are taken that our provider signed for us, now; each attack of RFC 8725 is refused.

Tokens are signed here by hand with cryptography, so that the library which verifies them does not judge itself.
"""

import hashlib
import hmac
import json
from base64 import urlsafe_b64encode
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from hypothesis import given
from hypothesis import strategies as st

from doorward.access.json_tokens import JsonTokens, Provider, Refusal, Vouched
from doorward.errors import ConfigError
from doorward.limits import DEFAULT_LIMITS

NOW = datetime(2026, 5, 4, 12, tzinfo=UTC)
SECONDS = int(NOW.timestamp())
ISSUER, AUDIENCE = "https://login.example/realm", "archive"
RSA_KEY = rsa.generate_private_key(65_537, 2_048)
EC_KEY = ec.generate_private_key(ec.SECP256R1())
OTHER_KEY = rsa.generate_private_key(65_537, 2_048)
CLAIMS = {
    "iss": ISSUER,
    "aud": AUDIENCE,
    "sub": "248289761001",
    "iat": SECONDS,
    "exp": SECONDS + 600,
}


def b64(content: bytes) -> str:
    return urlsafe_b64encode(content).rstrip(b"=").decode()


def number(value: int) -> str:
    return b64(value.to_bytes((value.bit_length() + 7) // 8, "big"))


def rsa_row(key: rsa.RSAPrivateKey, kid: str, **more: object) -> dict[str, object]:
    public = key.public_key().public_numbers()
    return {"kty": "RSA", "kid": kid, "n": number(public.n), "e": number(public.e)} | more


def ec_row(key: ec.EllipticCurvePrivateKey, kid: str) -> dict[str, object]:
    public = key.public_key().public_numbers()
    x, y = (b64(value.to_bytes(32, "big")) for value in (public.x, public.y))
    return {"kty": "EC", "crv": "P-256", "kid": kid, "x": x, "y": y, "use": "sig"}


ROWS = [rsa_row(RSA_KEY, "one"), ec_row(EC_KEY, "two")]


def key_set(*rows: object) -> bytes:
    return json.dumps({"keys": list(rows)}).encode()


def sign(signed: bytes, algorithm: object) -> bytes:
    if algorithm == "ES256":
        r, s = decode_dss_signature(EC_KEY.sign(signed, ec.ECDSA(hashes.SHA256())))
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")
    if algorithm == "PS256":
        pss = padding.PSS(padding.MGF1(hashes.SHA256()), salt_length=32)
        return RSA_KEY.sign(signed, pss, hashes.SHA256())
    return RSA_KEY.sign(signed, padding.PKCS1v15(), hashes.SHA256())


def token(header: dict[str, object] | None = None, **claims: object) -> str:
    """A token as the provider makes it; what is None is left out."""
    wanted = {"alg": "RS256", "kid": "one"} | (header or {})
    head = {name: value for name, value in wanted.items() if value is not None}
    body = {name: value for name, value in (CLAIMS | claims).items() if value is not None}
    parts = [b64(json.dumps(part).encode()) for part in (head, body)]
    return ".".join([*parts, b64(sign(".".join(parts).encode(), head["alg"]))])


def tokens(*rows: object, **provider: object) -> JsonTokens:
    wanted = {"issuer": ISSUER, "audience": AUDIENCE, "keys": key_set(*(rows or ROWS))}
    return JsonTokens(Provider(**(wanted | provider)))  # type: ignore[arg-type]


OURS = tokens()


@pytest.mark.parametrize(
    ("algorithm", "kid"), [("RS256", "one"), ("PS256", "one"), ("ES256", "two")]
)
def test_a_token_of_our_provider_vouches_for_its_subject(algorithm, kid):
    found = OURS.verify(token({"alg": algorithm, "kid": kid, "typ": "JWT"}), now=NOW)
    assert found == Vouched(
        issuer=ISSUER, subject="248289761001", expires_at=NOW + timedelta(seconds=600)
    )


def test_without_a_key_id_the_only_fitting_key_is_taken():
    assert isinstance(OURS.verify(token({"kid": None}), now=NOW), Vouched)
    two = tokens(*ROWS, rsa_row(OTHER_KEY, "three"))
    assert two.verify(token({"kid": None}), now=NOW) is Refusal.KEY
    assert isinstance(two.verify(token(), now=NOW), Vouched)


@pytest.mark.parametrize(
    ("claims", "refusal"),
    [
        ({"iss": "https://login.example/realm/"}, Refusal.ISSUER),
        ({"iss": None}, Refusal.ISSUER),
        ({"iss": [ISSUER]}, Refusal.ISSUER),
        ({"aud": "other"}, Refusal.AUDIENCE),
        ({"aud": None}, Refusal.AUDIENCE),
        ({"aud": []}, Refusal.AUDIENCE),
        ({"aud": "archive2"}, Refusal.AUDIENCE),
        ({"aud": {"archive": 1}}, Refusal.AUDIENCE),
        ({"aud": [AUDIENCE, "other"]}, Refusal.AUDIENCE),
        ({"aud": [AUDIENCE, "other"], "azp": "other"}, Refusal.AUDIENCE),
        ({"azp": "other"}, Refusal.AUDIENCE),
        ({"exp": None}, Refusal.LIFETIME),
        ({"exp": "tomorrow"}, Refusal.LIFETIME),
        ({"exp": True}, Refusal.LIFETIME),
        ({"exp": float("nan")}, Refusal.LIFETIME),
        ({"exp": 10**400}, Refusal.LIFETIME),
        ({"iat": None}, Refusal.LIFETIME),
        ({"exp": SECONDS + 43_201}, Refusal.LIFETIME),
        ({"iat": SECONDS - 600, "exp": SECONDS - 60}, Refusal.EXPIRED),
        ({"nbf": SECONDS + 61}, Refusal.NOT_YET),
        ({"nbf": "now"}, Refusal.NOT_YET),
        ({"iat": SECONDS + 61}, Refusal.NOT_YET),
        ({"iat": SECONDS + 61, "nbf": SECONDS}, Refusal.NOT_YET),
        ({"sub": None}, Refusal.SUBJECT),
        ({"sub": ""}, Refusal.SUBJECT),
        ({"sub": 7}, Refusal.SUBJECT),
        ({"sub": "x" * 256}, Refusal.SUBJECT),
        ({"sub": "ada\nroot"}, Refusal.SUBJECT),
    ],
    ids=str,
)
def test_a_claim_that_does_not_fit_refuses(claims, refusal):
    assert OURS.verify(token(**claims), now=NOW) is refusal


@pytest.mark.parametrize(
    "claims",
    [
        {"aud": [AUDIENCE]},
        {"aud": [AUDIENCE, "other"], "azp": AUDIENCE},
        {"iat": SECONDS + 59},
        {"iat": SECONDS - 600, "exp": SECONDS - 59},
        {"nbf": SECONDS - 5},
        {"exp": SECONDS + 43_200},
    ],
    ids=str,
)
def test_what_the_standard_allows_is_taken(claims):
    assert isinstance(OURS.verify(token(**claims), now=NOW), Vouched)


def test_the_nonce_must_be_the_one_that_was_sent():
    assert isinstance(OURS.verify(token(nonce="n1"), now=NOW, nonce="n1"), Vouched)
    for other in ("n2", None, 1):
        assert OURS.verify(token(nonce=other), now=NOW, nonce="n1") is Refusal.NONCE


# --- attacks ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("algorithm", ["none", "None", "", "HS256", "RS1", "RS512", "EdDSA", 1])
def test_an_algorithm_that_is_not_listed_is_refused(algorithm):
    assert OURS.verify(token({"alg": algorithm}), now=NOW) is Refusal.ALGORITHM


def test_a_token_without_signature_is_refused():
    head, body, _ = token({"alg": "none"}).split(".")
    for text in (f"{head}.{body}.", f"{head}.{body}", token().rpartition(".")[0] + "."):
        assert OURS.verify(text, now=NOW) is Refusal.MALFORMED


def test_the_public_key_is_no_secret_of_an_hmac():
    pem = RSA_KEY.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    signed = token({"alg": "HS256"}).rpartition(".")[0]
    forged = f"{signed}.{b64(hmac.digest(pem, signed.encode(), hashlib.sha256))}"
    assert OURS.verify(forged, now=NOW) is Refusal.ALGORITHM
    with pytest.raises(ConfigError, match="none that is allowed"):
        tokens(algorithms=("RS256", "HS256"))


@pytest.mark.parametrize("algorithms", [(), ("none",), ("RS256", "none"), ("HS512",)])
def test_a_symmetric_algorithm_or_none_cannot_be_configured(algorithms):
    with pytest.raises(ConfigError) as error:
        tokens(algorithms=algorithms)
    assert error.value.field == "openid: algorithms"


def test_a_key_serves_algorithms_of_its_own_kind_only():
    assert OURS.verify(token({"alg": "ES256", "kid": "one"}), now=NOW) is Refusal.KEY
    assert OURS.verify(token({"alg": "RS256", "kid": "two"}), now=NOW) is Refusal.KEY


def test_a_key_that_the_token_brings_is_not_looked_at():
    brought = {"jwk": rsa_row(RSA_KEY, "one"), "jku": "https://evil.example/keys", "x5u": "x"}
    stranger = tokens(rsa_row(OTHER_KEY, "one"))
    assert stranger.verify(token(brought), now=NOW) is Refusal.SIGNATURE


@pytest.mark.parametrize(
    "header", [{"crit": ["exp"]}, {"crit": []}, {"typ": "logout+jwt"}, {"typ": 1}]
)
def test_a_header_that_must_be_understood_and_is_not_is_refused(header):
    assert OURS.verify(token(header), now=NOW) is Refusal.MALFORMED


def test_a_claim_that_is_there_twice_is_refused():
    head = b64(b'{"alg": "RS256", "kid": "one"}')
    body = b64(json.dumps(CLAIMS).replace("{", '{"sub": "root", ', 1).encode())
    signature = b64(sign(f"{head}.{body}".encode(), "RS256"))
    assert OURS.verify(f"{head}.{body}.{signature}", now=NOW) is Refusal.MALFORMED


def test_an_overlong_token_is_refused_before_it_is_read():
    long = token(groups=["x" * DEFAULT_LIMITS.json_token_bytes])
    assert OURS.verify(long, now=NOW) is Refusal.MALFORMED


GOOD = token()


@given(st.integers(0, len(GOOD) - 1), st.sampled_from("AZaz09-_.=\n \u00e9"))
def test_a_changed_token_is_refused_or_says_the_same(at, sign_):
    changed = GOOD[:at] + sign_ + GOOD[at + 1 :]
    found = OURS.verify(changed, now=NOW)
    # The last character of base64url carries unused bits, so another one may spell the same signature.
    assert isinstance(found, Refusal) or changed == GOOD or at == len(GOOD) - 1


@given(st.text(st.sampled_from("eyJ0.-_{}\x00Zz9"), max_size=100))
def test_other_texts_are_refused_without_a_fault(text):
    assert isinstance(OURS.verify(text, now=NOW), Refusal)


@given(st.binary(min_size=1, max_size=60), st.binary(min_size=1, max_size=60))
def test_other_bytes_in_a_token_are_refused_without_a_fault(head, body):
    assert isinstance(OURS.verify(f"{b64(head)}.{b64(body)}.AAAA", now=NOW), Refusal)


# --- keys of the provider ---------------------------------------------------------------------------------------------


def test_keys_for_other_purposes_and_weak_ones_are_passed_over():
    weak = rsa_row(rsa.generate_private_key(65_537, 1_024), "weak")
    others = [weak, rsa_row(OTHER_KEY, "enc", use="enc"), {"kty": "oct", "k": "AAAA"}, {}, "x"]
    mixed = tokens(*others, *ROWS)
    assert isinstance(mixed.verify(token(), now=NOW), Vouched)
    with pytest.raises(ConfigError, match="hold none"):
        tokens(*others)


@pytest.mark.parametrize(
    "keys",
    [
        b"",
        b"[]",
        b"{}",
        b'{"keys": 1}',
        b'{"keys": []}',
        b"[" * 100_000,
        key_set(*ROWS * 51),
        key_set({"kty": "EC", "crv": "P-256", "x": "AAAA", "y": "AAAA"}),
        key_set({"kty": "EC", "crv": "P-999", "x": "AAAA", "y": "AAAA"}),
    ],
    ids=range(9),
)
def test_keys_that_cannot_be_used_are_a_configuration_error(keys):
    with pytest.raises(ConfigError) as error:
        tokens(keys=keys)
    assert error.value.field == "openid: keys"


@pytest.mark.parametrize("field", ["issuer", "audience"])
def test_a_provider_has_issuer_and_audience(field):
    with pytest.raises(ConfigError, match="is empty"):
        tokens(**{field: ""})


def test_a_private_key_among_the_keys_is_not_kept():
    private = rsa_row(RSA_KEY, "one", d=number(RSA_KEY.private_numbers().d))
    (key,) = tokens(private)._keys
    assert not key.public.is_private
