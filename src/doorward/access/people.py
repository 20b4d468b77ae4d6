"""What is kept of a person's credentials: password, code generator, recovery codes; and the code of the first start.

Theory of operation: a ``PeopleBook`` is a value, as a file in a vault; that somebody of this name is known at all, and what
they may do, only the register says. Whoever sets a password gets a new secret for one-time codes and new recovery codes with
it, and a new ``mark``: sessions that were begun under another mark have ended.

A one-time code is good once: its time step is kept, and a later login needs a later step (RFC 6238 section 5.2). The code of
the first start is good once and until its end; it is kept as a digest.
Time is an argument; nothing here reads a file. Hashing a password takes some tenths of a second: see ``passwords``.
"""

import hashlib
import hmac
import json
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from doorward.access import totp
from doorward.access.identity import is_name
from doorward.access.passwords import Passwords, bare_readable, readable_secret
from doorward.errors import ConfigError
from doorward.limits import DEFAULT_LIMITS, Limits

#: The file's name in a vault.
PEOPLE = "people.json"
FORMAT = "doorward.people/1"
_MARK_BYTES = 9
_FIRST_GROUPS = 4
_DIGEST = re.compile(r"[0-9a-f]{64}", re.ASCII)
_SECRET = re.compile(r"[A-Z2-7]{32}", re.ASCII)
_MARK = re.compile(r"[0-9a-f]{18}", re.ASCII)
_HASH = re.compile(r"\$argon2id\$[!-~]{1,255}", re.ASCII)
_KEYS = frozenset({"name", "password", "secret", "last_step", "recovery", "mark"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """By what one person shows who they are."""

    name: str
    password: str = field(repr=False)
    #: Of the one-time codes, in base 32.
    secret: str = field(repr=False)
    #: The time step of the last code that was taken.
    last_step: int = -1
    #: Digests of the recovery codes that are left.
    recovery: tuple[str, ...] = field(default=(), repr=False)
    #: Another one whenever a password is set.
    mark: str

    def used(self, typed: str, *, now: float) -> "Credentials | None":
        """Return what is kept once this one-time or recovery code was used; None where it is wrong, old or used."""
        step = totp.verify(self.secret, typed, now=now, last_step=self.last_step)
        if step is not None:
            return replace(self, last_step=step)
        left = totp.use_recovery_code(typed, self.recovery)
        return None if left is None else replace(self, recovery=left)


@dataclass(frozen=True, slots=True, kw_only=True)
class FirstCode:
    """What is kept of the code with which the first administrator sets a password."""

    digest: str = field(repr=False)
    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class SetUp:
    """New credentials: ``secret`` and ``recovery_codes`` are shown once; ``credentials`` are kept."""

    credentials: Credentials
    secret: str = field(repr=False)
    recovery_codes: tuple[str, ...] = field(repr=False)

    def otpauth_uri(self, issuer: str) -> str:
        """Return what an authenticator application reads from a QR code; it holds the secret."""
        return totp.otpauth_uri(self.secret, name=self.credentials.name, issuer=issuer)


def set_up(
    name: str, password: str, passwords: Passwords, *, limits: Limits = DEFAULT_LIMITS
) -> SetUp:
    """Return new credentials of a name; call it off the event loop. Raises ConfigError where the password is not good."""
    if not is_name(name):
        hint = "Lower-case letters, digits, '.', '_' and '-'; a letter or digit first."
        raise ConfigError("is no name of a person", field="name", hint=hint)
    secret, codes = totp.new_secret(), totp.new_recovery_codes(limits)
    kept = Credentials(
        name=name,
        password=passwords.hash(password, name=name),
        secret=secret,
        recovery=codes.digests,
        mark=secrets.token_hex(_MARK_BYTES),
    )
    return SetUp(credentials=kept, secret=secret, recovery_codes=codes.texts)


@dataclass(frozen=True, slots=True, kw_only=True)
class PeopleBook:
    """The credentials of everybody who logs in here. Raises ConfigError where a name is there twice."""

    people: tuple[Credentials, ...] = ()
    first: FirstCode | None = None
    _by_name: Mapping[str, Credentials] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        by_name = {one.name: one for one in self.people}
        if len(by_name) < len(self.people):
            raise ConfigError("names somebody twice", field="people")
        object.__setattr__(self, "_by_name", by_name)

    def of(self, name: str) -> Credentials | None:
        """Return the credentials of a name, None where it has none."""
        return self._by_name.get(name)

    def with_credentials(self, credentials: Credentials) -> "PeopleBook":
        """Return the book with these in the place of those that the name had."""
        others = tuple(one for one in self.people if one.name != credentials.name)
        return replace(self, people=(*others, credentials))

    def without(self, name: str) -> "PeopleBook":
        """Return the book without a name, whether it had any or not: for when the person is removed."""
        return replace(self, people=tuple(one for one in self.people if one.name != name))

    def with_first_code(self, *, now: datetime, lifetime: timedelta) -> tuple[str, "PeopleBook"]:
        """Return a new code of the first start, which is shown once, and the book that has it in place of an earlier one."""
        text = readable_secret(_FIRST_GROUPS)
        code = FirstCode(digest=_digest(text), expires_at=now + lifetime)
        return text, replace(self, first=code)

    def is_first_code(self, typed: str, *, now: datetime) -> bool:
        """Tell whether this is the code of the first start, and still good."""
        if self.first is None or self.first.expires_at <= now:
            return False
        return hmac.compare_digest(self.first.digest, _digest(typed))

    def begun(self, typed: str, credentials: Credentials, *, now: datetime) -> "PeopleBook | None":
        """Return the book with the first administrator's credentials, and without the code; None where it is wrong."""
        if not self.is_first_code(typed, now=now):
            return None
        return replace(self.with_credentials(credentials), first=None)

    def to_bytes(self) -> bytes:
        """Return the book as a JSON text for a vault."""
        rows = [
            {
                "name": one.name,
                "password": one.password,
                "secret": one.secret,
                "last_step": one.last_step,
                "recovery": list(one.recovery),
                "mark": one.mark,
            }
            for one in self.people
        ]
        document: dict[str, object] = {"format": FORMAT, "people": rows}
        if self.first is not None:
            ends = self.first.expires_at.astimezone(UTC).isoformat()
            document["first"] = {"digest": self.first.digest, "expires_at": ends}
        return json.dumps(document, indent=1).encode() + b"\n"

    @classmethod
    def from_bytes(cls, content: bytes, *, limits: Limits = DEFAULT_LIMITS) -> "PeopleBook":
        """Return the book that ``to_bytes`` wrote. Raises ConfigError where it is damaged, or of a newer version."""
        try:
            document = json.loads(content)
        except (ValueError, RecursionError):
            raise _damaged("is no JSON") from None
        if not isinstance(document, dict) or document.get("format") != FORMAT:
            raise _damaged(f"is not of the format {FORMAT}")
        if not document.keys() <= {"format", "people", "first"}:
            raise _damaged("has other parts than ours")
        rows = document.get("people")
        if not isinstance(rows, list) or len(rows) > limits.register_entries:
            raise _damaged("has no list of people, or one that is too long")
        first = None if "first" not in document else _first(document["first"])
        return cls(people=tuple(_credentials(row, limits) for row in rows), first=first)


def _digest(typed: str) -> str:
    return hashlib.sha256(bare_readable(typed).encode(errors="replace")).hexdigest()


def _credentials(row: Any, limits: Limits) -> Credentials:
    """Return the credentials of one person; what is missing or strange refuses the whole book: nobody is let in by a guess."""
    if not isinstance(row, dict) or row.keys() != _KEYS:
        raise _damaged("has a person with other fields than ours")
    texts = {key: row[key] for key in ("name", "password", "secret", "mark")}
    if not all(isinstance(text, str) for text in texts.values()):
        raise _damaged("has a person without name, password, secret or mark")
    forms = ((_HASH, "password"), (_SECRET, "secret"), (_MARK, "mark"))
    if not is_name(texts["name"]) or not all(form.fullmatch(texts[key]) for form, key in forms):
        raise _damaged("has a person with a field of another form")
    step, digests = row["last_step"], row["recovery"]
    if not isinstance(step, int) or not isinstance(digests, list):
        raise _damaged("has a person without steps or recovery codes")
    if len(digests) > limits.recovery_codes or not all(_is_digest(one) for one in digests):
        raise _damaged("has a person with other recovery codes than ours")
    return Credentials(**texts, last_step=step, recovery=tuple(digests))


def _first(row: Any) -> FirstCode:
    if not isinstance(row, dict) or row.keys() != {"digest", "expires_at"}:
        raise _damaged("has a first code with other fields than ours")
    try:
        expires_at = datetime.fromisoformat(str(row["expires_at"]))
    except ValueError:
        raise _damaged("has a first code that never ends") from None
    if not _is_digest(row["digest"]) or expires_at.utcoffset() is None:
        raise _damaged("has a first code that is none")
    return FirstCode(digest=row["digest"], expires_at=expires_at)


def _is_digest(value: object) -> bool:
    return isinstance(value, str) and _DIGEST.fullmatch(value) is not None


def _damaged(what: str) -> ConfigError:
    hint = "Restore it from a backup, or set every password anew."
    return ConfigError(what, field="people", hint=hint)
