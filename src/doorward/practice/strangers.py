"""What listens on a DICOM port and is no DICOM: a web server, an SSH server, and silence.

Each is an asyncio protocol that reads and forgets. They exist so that an auditor can be seen to name what it met, and to
read nothing out of silence.
"""

import asyncio
from typing import cast

from doorward.limits import DEFAULT_LIMITS
from doorward.practice.personas import Speaks

_HTTP_BAD_REQUEST = (
    b"HTTP/1.1 400 Bad Request\r\nServer: practice\r\nContent-Type: text/plain\r\n"
    b"Content-Length: 30\r\nConnection: close\r\n\r\nThis is a web server, no PACS\n"
)
_SSH_BANNER = b"SSH-2.0-practice\r\n"


class Mute(asyncio.Protocol):
    """Takes the connection and whatever comes, and never says a word."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait, but not for ever."""
        self._transport = cast(asyncio.Transport, transport)
        self._timer = asyncio.get_running_loop().call_later(DEFAULT_LIMITS.idle_s, transport.close)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the timer."""
        if self._timer is not None:
            self._timer.cancel()

    def say(self, words: bytes, *, is_last: bool) -> None:
        """Write; close where nothing follows."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(words)
            if is_last:
                self._transport.close()


class Http(Mute):
    """Answers whatever it is sent with 400 (RFC 9110 section 15.5.1)."""

    def data_received(self, data: bytes) -> None:
        """One answer, then the end."""
        self.say(_HTTP_BAD_REQUEST, is_last=True)


class Ssh(Mute):
    """Says its name first and hangs up on what is no SSH (RFC 4253 section 4.2)."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send the identification string."""
        super().connection_made(transport)
        self.say(_SSH_BANNER, is_last=False)

    def data_received(self, data: bytes) -> None:
        """Hang up."""
        self.say(b"", is_last=not data.startswith(b"SSH-"))


STRANGERS: dict[Speaks, type[Mute]] = {
    Speaks.NOTHING: Mute,
    Speaks.HTTP: Http,
    Speaks.SSH: Ssh,
}
