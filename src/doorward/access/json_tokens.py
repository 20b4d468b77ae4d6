"""JSON Web Tokens of an OpenID provider: whether one was made for this archive, by whom, for whom, and until when.

Theory of operation: the settings name a provider with its keys, its issuer and our audience. ``JsonTokens`` takes only what
that provider signed: the algorithm comes from our list, never from the token alone; each key serves algorithms of its own
kind only, so that no public key becomes the secret of an HMAC; ``none`` and every symmetric algorithm cannot be named at all
(RFC 8725 sections 3.1 and 3.2). A key inside the token, or an address of one, is never looked at.

Then the claims: issuer and audience to the letter, an end that has not come, a beginning that has, a lifetime within bounds,
and the nonce where one was sent (OpenID Connect Core section 3.1.3.7). The answer is a value: who it is, or why not.

For DICOM user identity (PS3.7 section D.3.3.7, type 5) and for the web. The keys are fetched elsewhere; time is an argument.
"""

import hmac
import json
import re
from base64 import urlsafe_b64decode
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, RSAKey

from doorward.errors import ConfigError
from doorward.limits import DEFAULT_LIMITS, Limits

#: What may be named at all (RFC 7518 section 3.1) -> the kind of key, and its curve. All are asymmetric.
_KEY_OF: Mapping[str, tuple[str, str]] = {
    **{f"{family}{bits}": ("RSA", "") for family in ("RS", "PS") for bits in (256, 384, 512)},
    "ES256": ("EC", "P-256"),
    "ES384": ("EC", "P-384"),
    "ES512": ("EC", "P-521"),
}
_CURVES = frozenset(curve for kind, curve in _KEY_OF.values() if kind == "EC")
_LEAST_RSA_BITS = 2048
_PUBLIC_MEMBERS = {"RSA": ("kty", "n", "e"), "EC": ("kty", "crv", "x", "y")}
_TOKEN = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+", re.ASCII)
#: RFC 7519 section 5.1, RFC 9068 section 2.1; OpenID providers often leave it out.
_TYPES = frozenset({"", "jwt", "at+jwt", "application/at+jwt"})
#: OpenID Connect Core section 2, ``sub``: ASCII.
_SUBJECT_CHARACTERS = 255
#: The year 9999 in seconds; beyond it a datetime cannot go.
_LATEST_S = 253_370_000_000


class Refusal(StrEnum):
    """Why a token is not taken; the words of the journal, none of them from the token."""

    MALFORMED = "no JSON Web Token"
    ALGORITHM = "algorithm not allowed"
    KEY = "key unknown"
    SIGNATURE = "signature wrong"
    ISSUER = "issuer is another one"
    AUDIENCE = "made for somebody else"
    EXPIRED = "has ended"
    NOT_YET = "not valid yet"
    LIFETIME = "lives too long, or does not say"
    NONCE = "nonce is another one"
    SUBJECT = "names nobody"


@dataclass(frozen=True, slots=True, kw_only=True)
class Vouched:
    """Whom the provider vouches for, and until when; ``subject`` is its own name for them, never reused."""

    issuer: str
    subject: str
    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """One OpenID provider as the settings name it. Raises ConfigError naming the field."""

    issuer: str
    audience: str
    algorithms: tuple[str, ...] = ("RS256", "PS256", "ES256")
    #: Its JWK Set (RFC 7517), as it publishes it.
    keys: bytes = field(repr=False)

    def __post_init__(self) -> None:
        for name in ("issuer", "audience"):
            if not getattr(self, name):
                raise ConfigError("is empty", field=f"openid: {name}")
        unknown = [one for one in self.algorithms if one not in _KEY_OF]
        if unknown or not self.algorithms:
            hint = (
                f"One or more of: {', '.join(sorted(_KEY_OF))}. No symmetric one, and not 'none'."
            )
            raise ConfigError("names none that is allowed", field="openid: algorithms", hint=hint)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Key:
    id: str
    kind: str
    curve: str
    public: RSAKey | ECKey = field(repr=False)


class JsonTokens:
    """Verifies the tokens of one provider. Raises ConfigError where its keys cannot be used."""

    def __init__(self, provider: Provider, *, limits: Limits = DEFAULT_LIMITS) -> None:
        self._provider = provider
        self._limits = limits
        self._keys = _keys(provider.keys, limits)
        # Header members that we do not know are no harm: what must be understood stands in ``crit``.
        self._registry = jws.JWSRegistry(
            algorithms=list(provider.algorithms), strict_check_header=False
        )

    def verify(self, text: str, *, now: datetime, nonce: str | None = None) -> Vouched | Refusal:
        """Return for whom the token vouches, or why it does not; ``nonce`` is what we sent with the login, if we did."""
        if len(text) > self._limits.json_token_bytes or not _TOKEN.fullmatch(text):
            return Refusal.MALFORMED
        header = _object(text.partition(".")[0])
        if header is None or "crit" in header or _lower(header.get("typ", "")) not in _TYPES:
            return Refusal.MALFORMED
        algorithm = header.get("alg")
        if not isinstance(algorithm, str) or algorithm not in self._provider.algorithms:
            return Refusal.ALGORITHM
        key = self._key(algorithm, header.get("kid"))
        if key is None:
            return Refusal.KEY
        try:
            jws.deserialize_compact(text, key.public, [algorithm], registry=self._registry)
        except (JoseError, ValueError):
            return Refusal.SIGNATURE
        claims = _object(text.split(".")[1])
        return Refusal.MALFORMED if claims is None else self._judge(claims, now, nonce)

    def _key(self, algorithm: str, wanted: object) -> _Key | None:
        """Return the one key that fits; without a key id there must be no choice."""
        kind, curve = _KEY_OF[algorithm]
        fitting = [key for key in self._keys if (key.kind, key.curve) == (kind, curve)]
        if wanted is not None:
            fitting = [key for key in fitting if key.id == wanted]
        return fitting[0] if len(fitting) == 1 else None

    def _judge(
        self, claims: Mapping[str, object], now: datetime, nonce: str | None
    ) -> Vouched | Refusal:
        provider = self._provider
        if claims.get("iss") != provider.issuer:
            return Refusal.ISSUER
        if not _is_for(provider.audience, claims):
            return Refusal.AUDIENCE
        end = _time(claims.get("exp"))
        refusal = self._refused_by_time(claims, end, now)
        if refusal is not None or end is None:
            return refusal or Refusal.LIFETIME
        if nonce is not None and not _is_same(claims.get("nonce"), nonce):
            return Refusal.NONCE
        subject = claims.get("sub")
        if not isinstance(subject, str) or not 0 < len(subject) <= _SUBJECT_CHARACTERS:
            return Refusal.SUBJECT
        if not (subject.isascii() and subject.isprintable()):
            return Refusal.SUBJECT
        return Vouched(issuer=provider.issuer, subject=subject, expires_at=end)

    def _refused_by_time(
        self, claims: Mapping[str, object], end: datetime | None, now: datetime
    ) -> Refusal | None:
        made = _time(claims.get("iat"))
        if (
            end is None
            or made is None
            or end - made > timedelta(seconds=self._limits.json_token_life_s)
        ):
            return Refusal.LIFETIME
        skew = timedelta(seconds=self._limits.json_token_skew_s)
        if now >= end + skew:
            return Refusal.EXPIRED
        begin = _time(claims.get("nbf", claims["iat"]))
        if begin is None or max(begin, made) > now + skew:
            return Refusal.NOT_YET
        return None


def _keys(content: bytes, limits: Limits) -> tuple[_Key, ...]:
    """Return the keys of a JWK Set that can sign for us; those for other purposes are passed over."""
    try:
        rows = json.loads(content)["keys"]
    except (ValueError, TypeError, KeyError, RecursionError):
        raise _unusable("are no JWK Set") from None
    if not isinstance(rows, list) or len(rows) > limits.json_token_keys:
        raise _unusable("are no list, or one that is too long")
    found = tuple(key for row in rows if (key := _signing_key(row)) is not None)
    if not found:
        raise _unusable("hold none that can sign for us")
    return found


def _signing_key(row: object) -> _Key | None:
    if not isinstance(row, dict) or row.get("use", "sig") != "sig":
        return None
    kind = str(row.get("kty"))
    members = _PUBLIC_MEMBERS.get(kind)
    if members is None:
        return None
    if kind == "EC" and row.get("crv") not in _CURVES:
        return None
    # Only the public part, whatever else stands there.
    public: dict[str, str | list[str]] = {name: str(row.get(name)) for name in members}
    if kind == "RSA" and _bits(str(public["n"])) < _LEAST_RSA_BITS:
        return None
    try:
        key = RSAKey.import_key(public) if kind == "RSA" else ECKey.import_key(public)
        key.public_key  # noqa: B018 - made at first use: a damaged one shows itself now
    except (JoseError, ValueError, TypeError):
        raise _unusable("hold one that is damaged") from None
    return _Key(id=str(row.get("kid", "")), kind=kind, curve=str(row.get("crv", "")), public=key)


def _bits(number: str) -> int:
    decoded = _decoded(number)
    return 0 if decoded is None else int.from_bytes(decoded, "big").bit_length()


def _decoded(text: str) -> bytes | None:
    """Return what base64url without padding holds (RFC 7515 section 2), None where it is none."""
    try:
        return urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except ValueError:
        return None


def _object(part: str) -> dict[str, object] | None:
    """Return the JSON object of one part of a token; a member that is there twice makes it none (RFC 8725 section 2.4)."""
    decoded = _decoded(part)
    if decoded is None:
        return None
    try:
        found = json.loads(decoded, object_pairs_hook=_distinct)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _distinct(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a member twice")
    return found


def _is_for(audience: str, claims: Mapping[str, object]) -> bool:
    """Tell whether we are the audience; of several, ``azp`` must name us (OpenID Connect Core section 3.1.3.7)."""
    named = claims.get("aud")
    if isinstance(named, str):
        named = [named]
    if not isinstance(named, list) or audience not in named:
        return False
    party = claims.get("azp")
    return party == audience if len(named) > 1 else party in (None, audience)


def _time(claim: object) -> datetime | None:
    is_number = isinstance(claim, int | float) and not isinstance(claim, bool)
    if not is_number or not 0 <= claim < _LATEST_S:  # type: ignore[operator]
        return None
    return datetime.fromtimestamp(claim, UTC)  # type: ignore[arg-type]


def _is_same(claim: object, expected: str) -> bool:
    return isinstance(claim, str) and hmac.compare_digest(
        claim.encode(errors="replace"), expected.encode(errors="replace")
    )


def _lower(text: object) -> str:
    return text.lower() if isinstance(text, str) else "?"


def _unusable(what: str) -> ConfigError:
    hint = "Fetch them again from the provider's jwks_uri."
    return ConfigError(what, field="openid: keys", hint=hint)
