"""What a DICOM user identity shows, looked at as the other door does: password and code, token, or JSON Web Token.

A user name with a passcode (PS3.7 section D.3.3.7, type 2) is one of two things: a service with one of its tokens for a
passcode; or a person, whose passcode is the password, a space, and the one-time code, since DICOM has no third field. A JSON
Web Token (type 5) is one of the OpenID provider that the settings name. Failed passwords make the name and the address wait
(``access.login``), on both doors together; tokens nobody guesses.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Protocol

from doorward.access.identity import How, Identity, Register
from doorward.access.login import LoggedIn, Login
from doorward.access.tokens import TokenBook
from doorward.archive.callers import Lookup
from doorward.errors import DoorwardError
from doorward.wire.pdu import IdentityType, UserIdentity


class Vouching(Protocol):
    """Whom an OpenID provider vouches for, and who that is here."""

    @property
    def person(self) -> str:
        """The name in the register."""

    @property
    def expires_at(self) -> datetime:
        """Until when."""


class Provider(Protocol):
    """An OpenID provider (``archive.web.openid.OpenId``)."""

    async def bearer(self, token: str, *, now: datetime) -> "Vouching | str":
        """Return whom a token is about, or why nobody. Raises DoorwardError where the provider cannot be asked."""


class UserIdentities:
    """Looks at user identities; ``identify`` is what ``Callers.identify_user`` wants. ``now`` is aware."""

    def __init__(
        self,
        *,
        register: Callable[[], Register],
        now: Callable[[], datetime],
        login: Login | None = None,
        tokens: Callable[[], TokenBook] = TokenBook,
        provider: Provider | None = None,
    ) -> None:
        self._register = register
        self._now = now
        self._login = login
        self._tokens = tokens
        self._provider = provider

    async def identify(self, shown: UserIdentity, address: str) -> Lookup | None:
        """Return who has shown this, None for nobody; what fails meanwhile is nobody too."""
        try:
            primary, secondary = shown.primary.decode(), shown.secondary.decode()
            if shown.type == IdentityType.JWT:
                return await self._vouched(primary)
            if shown.type == IdentityType.USERNAME_AND_PASSCODE:
                return self._by_token(primary, secondary) or await self._logged_in(
                    primary, secondary, address
                )
        except (DoorwardError, UnicodeDecodeError):
            return None
        return None

    def _by_token(self, name: str, text: str) -> Lookup | None:
        def now() -> Identity | None:
            found = self._tokens().identify(text, self._register(), now=self._now())
            return found if found is not None and found.name == name else None

        return None if now() is None else now

    async def _logged_in(self, name: str, passcode: str, address: str) -> Lookup | None:
        login = self._login
        if login is None:
            return None
        password, _, code = passcode.rpartition(" ")
        found = await login.attempt(name, password, code, address, self._register(), self._now())
        if not isinstance(found, LoggedIn):
            return None
        mark, how = found.mark, How(found.identity.how)

        def now() -> Identity | None:
            return self._register().by_name(name, how=how) if login.is_current(name, mark) else None

        return now

    async def _vouched(self, token: str) -> Lookup | None:
        if self._provider is None:
            return None
        known = await self._provider.bearer(token, now=self._now())
        if isinstance(known, str):
            return None
        person, expires_at = known.person, known.expires_at

        def now() -> Identity | None:
            found = self._register().by_name(person, how=How.OPENID)
            return None if found is None else found.narrowed(expires_at=expires_at)

        return now
