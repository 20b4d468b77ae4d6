"""Tokens of services: random, kept only as a digest, good for some operations until a date, revocable at once.

Theory of operation: a token is 256 random bits behind a fixed word, so that a scanner finds one that was pasted somewhere.
The ``TokenBook`` keeps its SHA-256, which is enough for random bits that nobody can guess, and says whose it is and what it
is good for. Like the register it is a value: whoever issues or revokes makes another one and puts it in place of the first.

The book answers with a ``Token`` or None; that its owner is still known, only the register says: ``identify`` asks both.
Time is an argument; nothing here reads a file. ``to_bytes`` and ``from_bytes`` are for a vault.
"""

import hashlib
import hmac
import json
import re
import secrets
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from doorward.access.identity import How, Identity, Operation, Register, is_name
from doorward.errors import ConfigError
from doorward.limits import DEFAULT_LIMITS, Limits

FORMAT = "doorward.tokens/1"
#: So that it is known for what it is in a log, a mail or a repository.
PREFIX = "doorward_"
_SECRET_BYTES, _ID_BYTES = 32, 6
_TOKEN = re.compile(rf"{PREFIX}[A-Za-z0-9_-]{{43}}", re.ASCII)
_ID = re.compile(r"[0-9a-f]{12}", re.ASCII)
_DIGEST = re.compile(r"[0-9a-f]{64}", re.ASCII)
_KEYS = frozenset({"id", "digest", "owner", "scope", "issued_at", "expires_at"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """What is kept of a token: nothing that could be shown in its place."""

    #: Public: by this a token is named in lists, in the journal and when it is revoked.
    id: str
    digest: str = field(repr=False)
    owner: str
    scope: frozenset[Operation]
    issued_at: datetime
    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Issued:
    """A new token: ``text`` is shown once and kept nowhere."""

    id: str
    text: str = field(repr=False)
    book: "TokenBook"


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenBook:
    """Every token that was issued and not revoked. Raises ConfigError where an id or digest is there twice."""

    tokens: tuple[Token, ...] = ()
    _by_digest: Mapping[str, Token] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        by_digest = {token.digest: token for token in self.tokens}
        if len(by_digest) < len(self.tokens) or len({t.id for t in self.tokens}) < len(by_digest):
            raise ConfigError("names a token twice", field="tokens")
        object.__setattr__(self, "_by_digest", by_digest)

    def issue(
        self,
        *,
        owner: str,
        scope: Collection[Operation],
        now: datetime,
        lifetime: timedelta,
        limits: Limits = DEFAULT_LIMITS,
    ) -> Issued:
        """Return a new token and the book that has it; tokens that have ended are left out of that.

        Raises ConfigError where the scope is empty, the lifetime is too long or none, or the book is full.
        """
        longest = timedelta(days=limits.token_days)
        if not timedelta() < lifetime <= longest:
            hint = f"More than nothing, and at most {limits.token_days} days."
            raise ConfigError("is no lifetime of a token", field="lifetime", hint=hint)
        if not scope:
            hint = f"Name what it is for: {', '.join(Operation)}."
            raise ConfigError(
                "is empty: this token would be good for nothing", field="scope", hint=hint
            )
        kept = tuple(token for token in self.tokens if token.expires_at > now)
        if len(kept) >= limits.token_entries:
            message = f"holds {limits.token_entries:,} tokens already"
            raise ConfigError(message, field="tokens", hint="Revoke those that nobody uses.")
        text = PREFIX + secrets.token_urlsafe(_SECRET_BYTES)
        token = Token(
            id=secrets.token_hex(_ID_BYTES),
            digest=_digest(text),
            owner=owner,
            scope=frozenset(scope),
            issued_at=now,
            expires_at=now + lifetime,
        )
        return Issued(id=token.id, text=text, book=TokenBook(tokens=(*kept, token)))

    def verify(self, text: str, *, now: datetime) -> Token | None:
        """Return which token this is; None where it is unknown, revoked, expired or no token at all."""
        if not _TOKEN.fullmatch(text):
            return None
        digest = _digest(text)
        # How long a lookup by digest takes tells nothing: whoever could choose the digest could invert SHA-256.
        token = self._by_digest.get(digest)
        if token is None or not hmac.compare_digest(token.digest, digest):
            return None
        return token if token.issued_at <= now < token.expires_at else None

    def identify(self, text: str, register: Register, *, now: datetime) -> Identity | None:
        """Return who shows this token, good for no more and no longer than it; None for nobody."""
        token = self.verify(text, now=now)
        if token is None:
            return None
        identity = register.by_name(token.owner, how=How.TOKEN)
        if identity is None:
            return None
        return identity.narrowed(scope=token.scope, expires_at=token.expires_at)

    def revoke(self, token_id: str) -> "TokenBook":
        """Return the book without that token. Raises ConfigError where there is none."""
        kept = tuple(token for token in self.tokens if token.id != token_id)
        if len(kept) == len(self.tokens):
            raise ConfigError("is no token here", field="token")
        return replace(self, tokens=kept)

    def without_owner(self, owner: str) -> "TokenBook":
        """Return the book without all tokens of a name: for when that is revoked, and later given to another."""
        return replace(self, tokens=tuple(t for t in self.tokens if t.owner != owner))

    def of_owner(self, owner: str) -> tuple[Token, ...]:
        """Return the tokens of a name, oldest first."""
        return tuple(t for t in self.tokens if t.owner == owner)

    def to_bytes(self) -> bytes:
        """Return the book as a JSON text for a vault."""
        rows = [
            {
                "id": token.id,
                "digest": token.digest,
                "owner": token.owner,
                "scope": sorted(token.scope),
                "issued_at": token.issued_at.astimezone(UTC).isoformat(),
                "expires_at": token.expires_at.astimezone(UTC).isoformat(),
            }
            for token in self.tokens
        ]
        return json.dumps({"format": FORMAT, "tokens": rows}, indent=1).encode() + b"\n"

    @classmethod
    def from_bytes(cls, content: bytes, *, limits: Limits = DEFAULT_LIMITS) -> "TokenBook":
        """Return the book that ``to_bytes`` wrote. Raises ConfigError where it is damaged, or of a newer version."""
        try:
            document = json.loads(content)
        except (ValueError, RecursionError):
            raise _damaged("is no JSON") from None
        if not isinstance(document, dict) or document.get("format") != FORMAT:
            raise _damaged(f"is not of the format {FORMAT}")
        rows = document.get("tokens")
        if not isinstance(rows, list) or len(rows) > limits.token_entries:
            raise _damaged("has no list of tokens, or one that is too long")
        return cls(tokens=tuple(_token(row) for row in rows))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _token(row: object) -> Token:
    """Return one token; what is missing, unknown or strange refuses the whole book: nobody is let in by a guess."""
    if not isinstance(row, dict) or row.keys() != _KEYS:
        raise _damaged("has a token with other fields than ours")
    texts = {key: str(row[key]) for key in _KEYS - {"scope"}}
    scope = row["scope"]
    if not (_ID.fullmatch(texts["id"]) and _DIGEST.fullmatch(texts["digest"])):
        raise _damaged("has a token without id or digest")
    if not (is_name(texts["owner"]) and isinstance(scope, list) and scope):
        raise _damaged("has a token without owner or scope")
    try:
        return Token(
            id=texts["id"],
            digest=texts["digest"],
            owner=texts["owner"],
            scope=frozenset(Operation(str(one)) for one in scope),
            issued_at=_time(texts["issued_at"]),
            expires_at=_time(texts["expires_at"]),
        )
    except ValueError:
        raise _damaged(
            "has a token with an unknown operation, or a time without its zone"
        ) from None


def _time(text: str) -> datetime:
    time = datetime.fromisoformat(text)
    if time.utcoffset() is None:
        raise ValueError("no zone")
    return time


def _damaged(what: str) -> ConfigError:
    hint = "Restore it from a backup, or remove it and issue new tokens."
    return ConfigError(what, field="tokens", hint=hint)
