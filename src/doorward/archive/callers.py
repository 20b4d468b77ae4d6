"""Who is on each association: by certificate, by address and title, or by a user identity inside TLS.

Theory of operation. A device is known by the client certificate that TLS has verified, or, on a listener that was asked for
by name for legacy devices, by its address together with the calling AE title. Where the settings take user identities
(PS3.7 section D.3.3.7), a user name with a passcode, or a JSON Web Token, is looked at too, and only inside TLS. Without a
device the user's rights hold. With one both must be known, and **the device's rights hold**: who has sat down before it
changes nothing of what it may do, and the journal names both. A user name alone proves nothing; tickets and assertions are
nothing that we can verify: they are refused.

Who it is, is looked up again at each operation, so somebody who was revoked is refused at the next one; ``revoked`` says
whose associations are to be ended.
"""

import hashlib
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime

from doorward.access.identity import Identity
from doorward.archive.in_force import InForce
from doorward.limits import DEFAULT_LIMITS, Limits
from doorward.net.application import Peer
from doorward.wire.pdu import IdentityType, UserIdentity

#: Says who it is now, None once they are nobody any more.
Lookup = Callable[[], Identity | None]
#: Says who has shown this from that address; None: nobody. It counts failures (``access.lockout``), and must not raise.
IdentifyUser = Callable[[UserIdentity, str], Awaitable[Lookup | None]]
_TAKEN = frozenset({IdentityType.USERNAME_AND_PASSCODE, IdentityType.JWT})


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """One association that stands. ``identity`` is whose rights held when it began."""

    peer: Peer
    calling_ae_title: str
    identity: Identity
    #: Who has shown a user identity; None where nobody did.
    user: Lookup | None = None
    #: Whether the user's rights hold, since no device was known.
    is_users: bool = False


class Callers:
    """Everybody who is on an association now. ``settings`` is asked at each operation; ``now`` is aware."""

    def __init__(
        self,
        *,
        settings: "Callable[[], InForce]",
        now: Callable[[], datetime],
        limits: Limits = DEFAULT_LIMITS,
    ) -> None:
        self._settings = settings
        self._now = now
        self._limits = limits
        #: How a user identity is looked at; without it none is taken.
        self.identify_user: IdentifyUser | None = None
        #: Port -> name of the listener, for those that were asked for by name for legacy devices.
        self.legacy_ports: dict[int, str] = {}
        self._standing: dict[int, Standing] = {}
        self._looked_at: Counter[str] = Counter()

    # --- who it is --------------------------------------------------------------------------------------------------

    def device(self, peer: Peer, calling_ae_title: str) -> Identity | None:
        """Return which device calls, by what TLS or the address say of it."""
        register = self._settings().register
        if peer.certificate is not None:
            return register.by_certificate(hashlib.sha256(peer.certificate).hexdigest())
        port = self.legacy_ports.get(peer.local_port, "")
        return register.by_address(peer.address, calling_ae_title, port=port)

    def takes(self, shown: UserIdentity | None) -> bool:
        """Whether a user identity is looked at: otherwise it is passed over, as PS3.7 section D.3.3.7 has it."""
        return (
            shown is not None
            and self._settings().takes_user_identity
            and self.identify_user is not None
        )

    def objection(self, peer: Peer, shown: UserIdentity) -> str:
        """Return why a user identity is refused before it is looked at; "" where it is not."""
        if not peer.is_encrypted:
            return "a user identity outside TLS"
        if shown.type not in _TAKEN:
            return "this kind of user identity proves nothing here"
        return ""

    def is_busy_for(self, peer: Peer) -> bool:
        """Whether too many user identities are being looked at, in all or from this address."""
        return (
            self._looked_at.total() >= self._limits.user_identities
            or self._looked_at[peer.address] >= self._limits.user_identities_per_peer
        )

    async def user(self, peer: Peer, shown: UserIdentity) -> Lookup | None:
        """Return who has shown this, to be asked anew at each use; None for nobody."""
        assert self.identify_user is not None
        self._looked_at[peer.address] += 1
        try:
            return await self.identify_user(shown, peer.address)
        finally:
            self._looked_at[peer.address] -= 1
            self._looked_at += Counter()  # forgets those at zero

    # --- who is there -----------------------------------------------------------------------------------------------

    def began(self, one: Standing) -> None:
        """An association stands."""
        self._standing[one.peer.id] = one

    def ended(self, peer: Peer) -> Standing | None:
        """An association is over; returns what it was, if it was one."""
        return self._standing.pop(peer.id, None)

    def who(self, peer: Peer) -> Identity | None:
        """Return whose rights hold on an association now; None where it is nobody, or somebody was revoked."""
        one = self._standing.get(peer.id)
        if one is None:
            return None
        user = None if one.user is None else one.user()
        if user is not None and self._is_over(user):
            user = None
        if one.is_users or (one.user is not None and user is None):
            return user
        return self.device(peer, one.calling_ae_title)

    @property
    def standing(self) -> int:
        """How many associations stand."""
        return len(self._standing)

    def of(self, name: str) -> list[Peer]:
        """Return the associations of one identity."""
        return [one.peer for one in self._standing.values() if one.identity.name == name]

    def revoked(self) -> list[Peer]:
        """Return the associations of those who are nobody any more, or whose time is over."""
        return [one.peer for one in self._standing.values() if self.is_nobody(one.peer)]

    def is_nobody(self, peer: Peer) -> bool:
        """Whether whoever has this association was revoked, or their time is over."""
        identity = self.who(peer)
        return identity is None or self._is_over(identity)

    def _is_over(self, identity: Identity) -> bool:
        return identity.expires_at is not None and identity.expires_at <= self._now()
