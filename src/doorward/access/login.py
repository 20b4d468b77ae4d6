"""The login of people by name, password and one-time code: one answer, whatever was wrong.

Theory of operation: ``lockout`` says first whether anybody may try. Then one login after the other is verified, in a thread
of its own, so that a flood of guesses neither runs side by side nor takes the threads that the storage needs; when too many
wait, the next one is sent away. A name that nobody has takes as long as one with a wrong password. A one-time code is used up
in the vault before the answer is given, so it works once, also for two who type it at the same moment.

The answer to the caller is the same for a wrong name, password or code; the reason for the journal is not.
"""

import asyncio
import math
import secrets
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TypeVar

from doorward.access.identity import How, Identity, Register
from doorward.access.kept import Kept
from doorward.access.lockout import Lockout
from doorward.access.passwords import Passwords
from doorward.access.people import PEOPLE, Credentials, PeopleBook, SetUp, set_up
from doorward.access.vault import Vault
from doorward.errors import ConfigError
from doorward.limits import DEFAULT_LIMITS, Limits

_ResultT = TypeVar("_ResultT")
WRONG = "Name, password or code is wrong"


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedIn:
    """Who it is, and under which mark of their credentials."""

    identity: Identity
    mark: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NotLoggedIn:
    """Why not: ``said`` is for the caller, ``reason`` for the journal."""

    said: str
    reason: str
    #: Whether ``lockout`` has refused, and for how long.
    is_locked: bool = False
    retry_after_s: int | None = None


class _Mistaken(Exception):
    """Leaves ``Vault.update`` without a change."""


class Login:
    """Verifies logins against the book of people in a vault. ``close`` it in the end."""

    def __init__(
        self, vault: Vault, *, passwords: Passwords | None = None, limits: Limits = DEFAULT_LIMITS
    ) -> None:
        self.book = Kept(vault, PEOPLE, read=PeopleBook.from_bytes, empty=PeopleBook())
        self.passwords = passwords or Passwords(limits=limits)
        self._limits = limits
        self._lockout = Lockout(key=secrets.token_bytes(32), limits=limits)
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="login")
        self._waiting = 0

    def close(self) -> None:
        """Let the thread go; call nothing else afterwards."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def attempt(
        self, name: str, password: str, code: str, address: str, register: Register, now: datetime
    ) -> LoggedIn | NotLoggedIn:
        """Return who has logged in by password and code, or why not. Raises StorageError where the vault fails."""
        refusal = self._begin(name, address)
        if refusal is not None:
            return refusal

        def verified() -> Credentials | str:
            return self._verified(name, password, code, now)

        found = await self._in_turn(verified)
        if isinstance(found, str):
            return NotLoggedIn(said=WRONG, reason=found)
        identity = register.by_name(name, how=How.PASSWORD_AND_CODE)
        if identity is None:
            return NotLoggedIn(said=WRONG, reason="the name is not in the register")
        if identity.expires_at is not None and identity.expires_at <= now:
            return NotLoggedIn(said=WRONG, reason="identity has expired")
        self._lockout.succeeded(name, address, now=_clock())
        return LoggedIn(identity=identity, mark=found.mark)

    async def begin_archive(
        self,
        code: str,
        name: str,
        password: str,
        address: str,
        now: datetime,
        *,
        admit: Callable[[str], None],
    ) -> SetUp | NotLoggedIn:
        """Set the first administrator's password by the code of the first start, which is used up.

        ``admit`` makes the name an administrator in the register, in a thread; it may find that done already. Raises
        ConfigError where the password or the name is not good, StorageError.
        """
        refusal = self._begin("", address)
        if refusal is not None:
            return refusal

        def begun() -> SetUp | None:
            if not self.book.value().is_first_code(code, now=now):
                return None
            made = set_up(name, password, self.passwords, limits=self._limits)
            admit(name)
            return made if self._use_first(code, made.credentials, now) else None

        made = await self._in_turn(begun)
        if made is None:
            return NotLoggedIn(said="The code is wrong or has ended", reason="first code is wrong")
        self._lockout.succeeded("", address, now=_clock())
        return made

    def is_current(self, name: str, mark: str) -> bool:
        """Tell whether the credentials of a name still have the mark under which a session was begun."""
        kept = self.book.value().of(name)
        return kept is not None and kept.mark == mark

    # --- inner -------------------------------------------------------------------------------------------------------

    def _begin(self, name: str, address: str) -> NotLoggedIn | None:
        now = _clock()
        if self._waiting >= self._limits.logins_waiting:
            said = "Too many logins at once"
            return NotLoggedIn(said=said, reason=said, is_locked=True, retry_after_s=1)
        wait = self._lockout.begin(name, address, now=now)
        if wait.may_try:
            return None
        seconds = max(1, math.ceil((wait.until or now) - now))
        said = "Too many tries: wait"
        reason = f"locked out by {wait.whose}"
        return NotLoggedIn(said=said, reason=reason, is_locked=True, retry_after_s=seconds)

    async def _in_turn(self, work: Callable[[], _ResultT]) -> _ResultT:
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, work)
        finally:
            self._waiting -= 1

    def _verified(self, name: str, password: str, code: str, now: datetime) -> Credentials | str:
        """Return the credentials after their code was used up, or what is wrong."""
        kept = self.book.value().of(name)
        try:
            is_right = self.passwords.verify(password, None if kept is None else kept.password)
        except ConfigError:
            return "the kept password is damaged"
        if kept is None:
            return "nobody has this name"
        if not is_right:
            return "the password is wrong"
        return self._used(kept, password, code, now) or "the code is wrong or was used"

    def _used(
        self, verified: Credentials, password: str, code: str, now: datetime
    ) -> Credentials | None:
        """Use the code up, and hash the password anew where its parameters are of yesterday."""
        is_old = self.passwords.needs_rehash(verified.password)
        fresh = self.passwords.rehash(password) if is_old else verified.password

        def change(book: PeopleBook) -> tuple[PeopleBook, bytes]:
            kept = book.of(verified.name)
            if kept is None or kept.mark != verified.mark:
                raise _Mistaken
            used = kept.used(code, now=now.timestamp())
            if used is None:
                raise _Mistaken
            changed = book.with_credentials(replace(used, password=fresh))
            return changed, changed.to_bytes()

        try:
            return self.book.update(change).of(verified.name)
        except _Mistaken:
            return None

    def _use_first(self, code: str, credentials: Credentials, now: datetime) -> bool:
        def change(book: PeopleBook) -> tuple[PeopleBook, bytes]:
            changed = book.begun(code, credentials, now=now)
            if changed is None:
                raise _Mistaken
            return changed, changed.to_bytes()

        try:
            self.book.update(change)
        except _Mistaken:
            return False
        return True


def _clock() -> float:
    return asyncio.get_running_loop().time()
