"""What listens on a port and is no DICOM: silence, an SSH server; the base of the web and FTP servers.

Each is an asyncio protocol that reads and forgets. They exist so that an auditor can be seen to name what it met, and to
read nothing out of silence.
"""

import asyncio
from typing import cast

from doorward.limits import DEFAULT_LIMITS
from doorward.practice.log import EventLog, Way
from doorward.practice.personas import Persona

_SSH_BANNER = b"SSH-2.0-practice\r\n"


class Mute(asyncio.Protocol):
    """Takes the connection and whatever comes, and never says a word."""

    def __init__(self, persona: Persona, log: EventLog | None = None) -> None:
        self.persona = persona
        self._log = log
        self._number = 0
        self._way: Way = ("", 0, "", 0)
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait, but not for ever."""
        self._transport = cast(asyncio.Transport, transport)
        self._timer = asyncio.get_running_loop().call_later(DEFAULT_LIMITS.idle_s, transport.close)
        called = transport.get_extra_info("sockname") or ("", 0)
        peer = transport.get_extra_info("peername") or ("", 0)
        self._way = (str(called[0]), int(called[1]), str(peer[0]), int(peer[1]))
        if self._log is not None:
            self._number = self._log.number()
        self.note("connected")

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the timer."""
        if self._timer is not None:
            self._timer.cancel()
        self.note("closed")

    def note(self, event: str, **details: object) -> None:
        """Write an event of this connection, where a log is kept."""
        if self._log is not None:
            door = self.persona.speaks.value
            self._log.note(event, door, self._number, self._way, **details)

    def say(self, words: bytes, *, is_last: bool) -> None:
        """Write; close where nothing follows."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(words)
            if is_last:
                self._transport.close()

    @property
    def called(self) -> str:
        """The address that was called; numeric."""
        return self._way[0]

    @property
    def peer(self) -> str:
        """The address of who called; numeric."""
        return self._way[2]


class Ssh(Mute):
    """Says its name first and hangs up on what is no SSH (RFC 4253 section 4.2)."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send the identification string."""
        super().connection_made(transport)
        self.say(_SSH_BANNER, is_last=False)

    def data_received(self, data: bytes) -> None:
        """Hang up."""
        self.say(b"", is_last=not data.startswith(b"SSH-"))
