"""A small FTP server (RFC 959) that lets anonymous in and lists one folder; it has no file to give.

Theory of operation: ``FtpDoor`` is one server: a control port, and one port for data that stays open. Who says PASV or EPSV
is told that port and waits in line; a connection to it belongs to the first of the same address in the line, so no task
and no port is needed for each caller. Commands are one line each, of bounded length; nothing is stored, and nobody but
anonymous (RFC 1635) comes in. The greeting is the persona's banner.
"""

import asyncio
from typing import cast

from doorward.practice.log import EventLog
from doorward.practice.personas import Persona
from doorward.practice.strangers import Mute
from doorward.practice.web import FILES

#: RFC 959 section 5.3.1 has no longer command than a path name.
_LINE_BYTES = 512
_ANONYMOUS = ("anonymous", "ftp")
#: Answers that depend on nothing.
_SIMPLE = {
    "NOOP": "200 Nothing done",
    "SYST": "215 UNIX Type: L8",
    "PWD": '257 "/" is the current folder',
    "TYPE": "200 Type set",
    "MODE": "200 Mode set",
    "STRU": "200 Structure set",
    "FEAT": "211-Features\r\n EPSV\r\n PASV\r\n211 End",
}
_NEEDS_LOGIN = frozenset(("PWD", "PASV", "EPSV", "LIST", "NLST", "CWD", "RETR", "STOR", "SIZE"))


class FtpDoor:
    """One server: who waits for data."""

    def __init__(self, persona: Persona, log: EventLog | None = None) -> None:
        self.persona = persona
        self.log = log
        self.data_port = 0
        self._waiting: list[Control] = []

    async def listen(self, address: str, port: int) -> tuple[asyncio.Server, asyncio.Server]:
        """Open the control port and, at any free port, the one for data. Raises OSError."""
        loop = asyncio.get_running_loop()
        control = await loop.create_server(lambda: Control(self), address, port)
        try:
            data = await loop.create_server(lambda: _Data(self), address, 0)
        except OSError:
            control.close()
            raise
        self.data_port = int(data.sockets[0].getsockname()[1])
        return control, data

    def wait(self, control: "Control") -> None:
        """Put a caller at the end of the line."""
        self.forget(control)
        self._waiting.append(control)

    def awaits(self, control: "Control") -> bool:
        """Tell whether a caller stands in the line."""
        return control in self._waiting

    def forget(self, control: "Control") -> None:
        """Take a caller out of the line."""
        if control in self._waiting:
            self._waiting.remove(control)

    def next_of(self, peer: str) -> "Control | None":
        """Return the first in line of one address, who leaves it."""
        found = next((one for one in self._waiting if one.peer == peer), None)
        if found is not None:
            self._waiting.remove(found)
        return found


class Control(Mute):
    """One control connection."""

    def __init__(self, door: FtpDoor) -> None:
        super().__init__(door.persona, door.log)
        self._door = door
        self._line = b""
        self._user = ""
        self._is_in = False
        self._data: asyncio.Transport | None = None
        self._list: bytes | None = None  # said once the data connection stands

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Greet."""
        super().connection_made(transport)
        self._reply(f"220 {self.persona.banner or 'practice FTP server'}")

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget what was asked for."""
        super().connection_lost(exc)
        self._door.forget(self)
        self._drop_data()

    def data_received(self, data: bytes) -> None:
        """Take each line (RFC 959 section 4.1.3)."""
        *lines, self._line = (self._line + data).split(b"\n")
        for line in lines:
            verb, _, value = line.decode("latin-1").strip("\r").partition(" ")
            self._take(verb.upper()[:8], value)
        if len(self._line) > _LINE_BYTES:
            self._reply("500 Line too long", is_last=True)

    def have_data(self, transport: asyncio.Transport) -> None:
        """The data connection stands."""
        self.note("data")
        self._drop_data()
        self._data = transport
        self._send_list()

    def _take(self, verb: str, value: str) -> None:
        self.note("command", verb=verb if verb.isalpha() else "?")
        if verb in _NEEDS_LOGIN and not self._is_in:
            self._reply("530 Please log in")
            return
        match verb:
            case "USER":
                self._user, self._is_in = value.lower(), False
                self._reply("331 Password, please")
            case "PASS":
                self._is_in = self._user in _ANONYMOUS
                self._reply("230 Logged in" if self._is_in else "530 Login incorrect")
            case "PASV" | "EPSV":
                self._enter_passive_mode(verb)
            case "LIST" | "NLST":
                self._have_listed(is_long=verb == "LIST")
            case "CWD":
                self._reply("250 Done" if value in ("/", ".", "") else "550 No such folder")
            case "RETR" | "SIZE":
                self._reply("550 No such file")
            case "QUIT":
                self._reply("221 Goodbye", is_last=True)
            case _:
                self._reply(_SIMPLE.get(verb, "502 Not implemented"))

    def _enter_passive_mode(self, verb: str) -> None:
        """RFC 959 section 4.1.2 (PASV), RFC 2428 section 3 (EPSV)."""
        self._drop_data()
        self._list = None
        port = self._door.data_port
        if verb == "EPSV":
            self._door.wait(self)
            self._reply(f"229 Entering extended passive mode (|||{port}|)")
        elif ":" in self.called:
            self._reply("522 Network protocol not supported, use EPSV")
        else:
            self._door.wait(self)
            numbers = ",".join((*self.called.split("."), str(port // 256), str(port % 256)))
            self._reply(f"227 Entering passive mode ({numbers})")

    def _have_listed(self, *, is_long: bool) -> None:
        rows = [f"-rw-r--r-- 1 ftp ftp 526336 Jan 01 1990 {name}" for name in FILES]
        if self._data is None and not self._door.awaits(self):
            self._reply("425 Say PASV or EPSV first")
            return
        self._list = "".join(f"{row}\r\n" for row in (rows if is_long else FILES)).encode("ascii")
        self._send_list()

    def _send_list(self) -> None:
        """Say the list where both the wish and the connection are there."""
        if self._list is None or self._data is None:
            return
        self._reply("150 Here comes the list")
        self._data.write(self._list)
        self._drop_data()
        self._list = None
        self._reply("226 That was the list")

    def _drop_data(self) -> None:
        if self._data is not None:
            self._data.close()  # what was written leaves first
            self._data = None

    def _reply(self, words: str, *, is_last: bool = False) -> None:
        self.say(f"{words}\r\n".encode("ascii"), is_last=is_last)


class _Data(asyncio.Protocol):
    """One data connection: who it belongs to is told by its address."""

    def __init__(self, door: FtpDoor) -> None:
        self._door = door

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Give it to the first in line, or hang up."""
        peer = transport.get_extra_info("peername") or ("", 0)
        control = self._door.next_of(str(peer[0]))
        if control is None:
            transport.close()
        else:
            control.have_data(cast(asyncio.Transport, transport))
