"""One-time codes by the clock (RFC 6238), and recovery codes for whoever has lost the telephone.

A code is good once: ``verify`` returns its time step, the caller keeps that as ``last_step``, and no code of that step or an
earlier one is taken again (RFC 6238 section 5.2). Six digits can be guessed: failures count in ``lockout``.

Recovery codes have 75 random bits, so that a plain digest is enough to keep; each is good once as well.
Time is an argument, in seconds since 1970.
"""

import base64
import hashlib
import hmac
import secrets
from collections.abc import Collection
from dataclasses import dataclass, field
from urllib.parse import quote, urlencode

from doorward.access.passwords import bare_readable, readable_secret
from doorward.errors import ConfigError
from doorward.limits import DEFAULT_LIMITS, Limits

#: RFC 6238 section 5.2; and what every authenticator application takes without asking.
STEP_S = 30
DIGITS = 6
#: RFC 4226 section 4, R6: as long as the digest.
_SECRET_BYTES = 20
_RECOVERY_GROUPS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class RecoveryCodes:
    """New codes: ``texts`` are shown once, ``digests`` are kept."""

    texts: tuple[str, ...] = field(repr=False)
    digests: tuple[str, ...] = field(repr=False)


def new_secret() -> str:
    """Return a random secret in base 32, as authenticator applications take it."""
    return base64.b32encode(secrets.token_bytes(_SECRET_BYTES)).decode()


def code_at(secret: str, step: int, *, digits: int = DIGITS) -> str:
    """Return the code of a time step (RFC 4226 section 5.3). Raises ConfigError where the secret is no base 32."""
    try:
        key = base64.b32decode(secret.upper(), casefold=False)
    except ValueError:
        hint = "Have this person set up the second factor anew."
        raise ConfigError("is no base 32", field="secret of codes", hint=hint) from None
    # SHA-1 as an HMAC is not broken, and many applications ignore a request for another one.
    digest = hmac.digest(key, step.to_bytes(8, "big"), "sha1")
    offset = digest[-1] & 0xF
    number = int.from_bytes(digest[offset : offset + 4], "big") & 0x7FFF_FFFF
    return f"{number % 10**digits:0{digits}d}"


def verify(
    secret: str, typed: str, *, now: float, last_step: int = -1, limits: Limits = DEFAULT_LIMITS
) -> int | None:
    """Return the time step of a right code, to be kept as ``last_step``; None where it is wrong, old or used.

    Every step of the window is compared, in constant time. Raises ConfigError where the secret is no base 32.
    """
    code = "".join(typed.split()).encode(errors="replace")
    present, window = int(now // STEP_S), limits.totp_window
    found = None
    for step in range(max(0, present - window), present + window + 1):
        is_same = hmac.compare_digest(code_at(secret, step).encode(), code)
        if is_same and step > last_step:
            found = step
    return found


def otpauth_uri(secret: str, *, name: str, issuer: str) -> str:
    """Return what an authenticator application reads from a QR code; it holds the secret (Key Uri Format)."""
    issuer = issuer.replace(":", " ")  # a colon parts issuer and name
    label = quote(f"{issuer}:{name}", safe="")
    fields = {"secret": secret, "issuer": issuer, "algorithm": "SHA1", "digits": DIGITS}
    return f"otpauth://totp/{label}?{urlencode(fields | {'period': STEP_S}, quote_via=quote)}"


def new_recovery_codes(limits: Limits = DEFAULT_LIMITS) -> RecoveryCodes:
    """Return new codes to print; they take the place of all earlier ones."""
    texts = tuple(readable_secret(_RECOVERY_GROUPS) for _ in range(limits.recovery_codes))
    return RecoveryCodes(texts=texts, digests=tuple(_digest(text) for text in texts))


def use_recovery_code(typed: str, digests: Collection[str]) -> tuple[str, ...] | None:
    """Return the digests that are left after this code was used, to be kept at once; None where it is none of them."""
    wanted = _digest(typed)
    # All are compared, so that the time does not tell which one it was.
    matches = [hmac.compare_digest(one, wanted) for one in digests]
    if not any(matches):
        return None
    return tuple(one for one, is_it in zip(digests, matches, strict=True) if not is_it)


def _digest(text: str) -> str:
    return hashlib.sha256(bare_readable(text).encode(errors="replace")).hexdigest()
