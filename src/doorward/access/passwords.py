"""Passwords: which ones are taken, how they are kept, and how one is verified.

Kept is argon2id (RFC 9106) with the parameters of its section 4, second recommended option: 64 MiB, 3 passes, 4 lanes.
OWASP's Password Storage Cheat Sheet asks for at least 19 MiB and 2 passes. A hash made with other parameters still verifies,
and ``needs_rehash`` says to replace it at the next login.

A hash takes 64 MiB and some tenths of a second: call it off the event loop. However many ask at once, ``password_hashes`` are
computed at a time and the others wait, so that a flood of logins costs time and no memory (promise 9).

A new password is long and not a known one; there is no rule about signs and digits, and no date after which it must change
(NIST SP 800-63B-4 section 3.1.1.2). What other archives ship is refused whatever is put around it (promise 6).
"""

import hmac
import re
import secrets
import unicodedata
from threading import BoundedSemaphore

from argon2 import PasswordHasher, extract_parameters
from argon2.exceptions import InvalidHashError, VerificationError, VerifyMismatchError
from argon2.profiles import RFC_9106_LOW_MEMORY

from doorward.errors import ConfigError
from doorward.knowledge.default_credentials import default_logins
from doorward.limits import DEFAULT_LIMITS, Limits

#: Shipped by archives, their databases, samples and neighbours, and what everybody tries first; as ``_bare`` leaves them.
_SHIPPED = (
    "orthanc orthancteam demo dicoogle secret pacs pacsadmin dcm4che dcm4chee dicom wildfly keycloak changeme "
    "iamasecretkey shareuser L0ca1P@ssw0rd router admin administrator root postgres karnak dontcare secretkey "
    "changepasswordhere password passwort passw0rd p@ssw0rd pass user guest test testing default welcome letmein "
    "login service medical radiology radiologie hospital clinic doorward archive archiv conquest kheops minipacs "
    "mercure raccoon qwerty qwertz asdfgh azerty abcdef abcd abc iloveyou monkey dragon master sunshine"
)
#: So few different characters are one key held down, or two in turn.
_DISTINCT_CHARACTERS = 5
_HASH_PARAMETERS = RFC_9106_LOW_MEMORY
#: PHC string format: salt and tag in base 64 without padding; argon2 itself looks at them only when it computes.
_HASH = re.compile(
    r"\$argon2id\$v=19\$m=\d{1,9},t=\d{1,9},p=\d{1,9}\$[A-Za-z0-9+/]{11,64}\$[A-Za-z0-9+/]{22,86}",
    re.ASCII,
)
#: Without 0/O, 1/I/L and U: what is read out or typed from paper is not mistaken (Crockford's base 32).
_READABLE = "0123456789abcdefghjkmnpqrstvwxyz"
_GROUP = 5
_MISREAD = str.maketrans({"o": "0", "i": "1", "l": "1", "u": "v"})


class Passwords:
    """Hashes and verifies passwords, a bounded number at a time; safe to call from several threads."""

    def __init__(self, *, limits: Limits = DEFAULT_LIMITS) -> None:
        self._limits = limits
        self._hasher = PasswordHasher.from_parameters(_HASH_PARAMETERS)
        self._turns = BoundedSemaphore(limits.password_hashes)
        # Nobody knows this password: verified for names that do not exist, which then take as long as others.
        self._nobody = self._hasher.hash(secrets.token_urlsafe(32))

    def hash(self, password: str, *, name: str) -> str:
        """Return what is kept of a new password of that name. Raises ConfigError as ``require_good`` does."""
        require_good(password, name=name, limits=self._limits)
        with self._turns:
            return self._hasher.hash(_prepared(password))

    def rehash(self, password: str) -> str:
        """Return what is kept of a password that was just verified, with today's parameters."""
        with self._turns:
            return self._hasher.hash(_prepared(password))

    def verify(self, password: str, kept: str | None) -> bool:
        """Tell whether this is the password; ``kept`` None (nobody has the name) takes as long and is never right.

        Raises ConfigError where what is kept is no argon2id hash, or one that would take more memory than ours.
        """
        if kept is not None:
            _require_hash(kept)
        # An overlong one is hashed cut: wrong in any case, and the wrong name is not told by the time.
        is_bounded = len(password.encode(errors="replace")) <= self._limits.password_bytes
        tried = _prepared(password if is_bounded else password[: self._limits.password_characters])
        with self._turns:
            is_right = self._matches(tried, self._nobody if kept is None else kept)
        return is_right and is_bounded and kept is not None

    def needs_rehash(self, kept: str) -> bool:
        """Tell whether a hash was made with other parameters than today's. Raises ConfigError as ``verify``."""
        _require_hash(kept)
        return self._hasher.check_needs_rehash(kept)

    def _matches(self, tried: bytes, kept: str) -> bool:
        try:
            return self._hasher.verify(kept, tried)
        except VerifyMismatchError:
            return False
        except (InvalidHashError, VerificationError):
            raise _damaged() from None


def require_good(password: str, *, name: str, limits: Limits = DEFAULT_LIMITS) -> None:
    """Refuse a new password that is short, overlong, known or made of its owner's name. Raises ConfigError."""
    hint = "Take four or five words that do not belong together."
    field = "password"
    if len(password.encode(errors="replace")) > limits.password_bytes:
        raise ConfigError(f"is longer than {limits.password_bytes:,} bytes", field=field)
    if any(unicodedata.category(sign) in ("Cc", "Cs") for sign in password):
        raise ConfigError("holds a control character", field=field, hint=hint)
    normal = unicodedata.normalize("NFC", password)
    if len(normal) < limits.password_characters:
        message = f"is shorter than {limits.password_characters} characters"
        raise ConfigError(message, field=field, hint=hint)
    if len(set(normal.casefold())) < _DISTINCT_CHARACTERS:
        raise ConfigError("repeats the same few characters", field=field, hint=hint)
    if is_known_bad(normal, name=name):
        message = "is made of words that everybody tries first, or that archives ship"
        raise ConfigError(message, field=field, hint=hint)


def is_known_bad(password: str, *, name: str = "") -> bool:
    """Tell whether nothing is left of a password without known words, digits, signs and its owner's name.

    "Orthanc-orthanc-2024!" is known; "orthanc walks the green kettle" is not.
    """
    words = {
        bare for word in (*_known_words(), name, *re.split(r"[._-]", name)) if (bare := _bare(word))
    }
    text = _bare(password)
    reached = {0}
    for start in range(len(text)):
        if start not in reached:
            continue
        if text[start].isdigit():
            reached.add(start + 1)
        reached |= {start + len(word) for word in words if text.startswith(word, start)}
    return len(text) in reached


def readable_secret(groups: int) -> str:
    """Return a random secret of so many groups of 25 bits, to be read out or typed: ``7k2mq-9xwtd``."""
    text = "".join(secrets.choice(_READABLE) for _ in range(groups * _GROUP))
    return "-".join(text[at : at + _GROUP] for at in range(0, len(text), _GROUP))


def is_same_readable(typed: str, secret: str) -> bool:
    """Tell whether this secret was typed, in constant time; case, hyphens, spaces and likely misreadings do not count."""
    return hmac.compare_digest(bare_readable(typed).encode(), bare_readable(secret).encode())


def bare_readable(typed: str) -> str:
    """Return a readable secret as it was made, without hyphens: the form of which a digest may be kept."""
    kept = "".join(typed.split()).replace("-", "").casefold()
    return kept.translate(_MISREAD)


def _prepared(password: str) -> bytes:
    """Return the bytes that are hashed: the same password typed on another system gives the same (RFC 8265 section 4.2)."""
    spaced = "".join(" " if unicodedata.category(sign) == "Zs" else sign for sign in password)
    return unicodedata.normalize("NFC", spaced).encode(errors="replace")


def _known_words() -> tuple[str, ...]:
    logins = default_logins()
    return (*_SHIPPED.split(), *(login.user for login in logins), *(one.secret for one in logins))


def _bare(text: str) -> str:
    return "".join(sign for sign in text.casefold() if sign.isalnum())


def _require_hash(kept: str) -> None:
    """Refuse what is no argon2id hash, or asks for more memory than ours: it came from elsewhere."""
    if not _HASH.fullmatch(kept):
        raise _damaged()
    found, ours = extract_parameters(kept), _HASH_PARAMETERS
    is_light = found.memory_cost <= ours.memory_cost and found.parallelism <= ours.parallelism
    if not is_light or found.time_cost > ours.time_cost:
        raise _damaged()


def _damaged() -> ConfigError:
    hint = "Set a new password for this person, or restore the file from a backup."
    return ConfigError("is no argon2id hash of ours", field="kept password", hint=hint)
