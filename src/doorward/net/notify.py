"""Tells systemd how we are: ready, stopping, alive (sd_notify(3)); a datagram to the socket that it names, or nothing.

Theory of operation: systemd puts the name of a socket into NOTIFY_SOCKET and, where it wants signs of life, their longest
interval into WATCHDOG_USEC for the process of WATCHDOG_PID. Who says nothing for that long is started anew, so the sign is
given by the event loop itself: one that hangs is silent.
"""

import asyncio
import os
import socket
from collections.abc import Mapping

from doorward.limits import DEFAULT_LIMITS, Limits


class Notifier:
    """Who starts us, if anybody wants to know; without one every call does nothing."""

    def __init__(self, address: str = "", watchdog_s: float = 0.0) -> None:
        self._address = f"\0{address[1:]}" if address.startswith("@") else address
        #: Seconds within which a sign of life is wanted; 0 is never.
        self.watchdog_s = watchdog_s

    @classmethod
    def from_environment(
        cls, environment: Mapping[str, str] = os.environ, *, limits: Limits = DEFAULT_LIMITS
    ) -> "Notifier":
        """Return whom the environment names; what is strange there counts as nobody."""
        address = environment.get("NOTIFY_SOCKET", "")
        if not address.startswith(("/", "@")):
            return cls()
        is_ours = environment.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        try:
            watchdog_s = int(environment.get("WATCHDOG_USEC", "0")) / 1_000_000
        except ValueError:
            watchdog_s = 0.0
        is_wanted = is_ours and 0 < watchdog_s <= limits.archive_watchdog_s
        return cls(address, watchdog_s if is_wanted else 0.0)

    def ready(self, status: str = "") -> None:
        """Say that we serve; ``status`` is a line for people."""
        self._say(f"READY=1\nSTATUS={status}" if status else "READY=1")

    def stopping(self) -> None:
        """Say that we have begun to stop."""
        self._say("STOPPING=1")

    async def keep_alive(self) -> None:
        """Give signs of life for ever, twice as often as they are wanted; at once the end where nobody wants them."""
        while self.watchdog_s:
            self._say("WATCHDOG=1")
            await asyncio.sleep(self.watchdog_s / 2)

    def _say(self, message: str) -> None:
        if not self._address:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as out:
                out.setblocking(False)
                out.sendto(message.encode(), self._address)
        except OSError:
            pass  # nobody listens any more: that is no reason not to serve
