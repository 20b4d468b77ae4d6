"""A DICOM peer made of bytes: it plays a script on each connection, and records what reaches it.

Nothing of ``doorward`` takes part, so that a fault of ours cannot hide on both sides. A ``Call`` is one connection as the
script sees it: read PDUs, send any bytes at all. What the other side sent stays in ``ScriptedPeer.calls``.
"""

import asyncio
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

from pdus import APPLICATION_CONTEXT, IMPLICIT, answered, associate, item, user

HOST = "127.0.0.1"
ASSOCIATE_RQ, ASSOCIATE_AC, ASSOCIATE_RJ, DATA_TF, RELEASE_RQ, RELEASE_RP, ABORT = range(1, 8)
C_STORE_RQ, C_GET_RQ, C_FIND_RQ, C_MOVE_RQ, C_ECHO_RQ = 0x0001, 0x0010, 0x0020, 0x0021, 0x0030
C_CANCEL_RQ = 0x0FFF
SUCCESS, PENDING, CANCELLED = 0x0000, 0xFF00, 0xFE00
NO_DATA_SET = 0x0101
IS_COMMAND, IS_LAST = 1, 2


class Gone(Exception):
    """The other side closed the connection, or reset it."""


# --- bytes ----------------------------------------------------------------------------------------------------------


def pdu(pdu_type: int, body: bytes, *, length: int | None = None) -> bytes:
    """One PDU; ``length`` lies where it is given."""
    return struct.pack(">BxI", pdu_type, len(body) if length is None else length) + body


def pdv(context_id: int, control: int, fragment: bytes, *, length: int | None = None) -> bytes:
    """One presentation data value item (PS3.8 Table 9-23)."""
    size = len(fragment) + 2 if length is None else length
    return struct.pack(">IBB", size, context_id, control) + fragment


def data(context_id: int, control: int, fragment: bytes) -> bytes:
    """A P-DATA-TF with one value."""
    return pdu(DATA_TF, pdv(context_id, control, fragment))


def element(tag: int, value: bytes, *, length: int | None = None) -> bytes:
    """One element, implicit VR little endian (PS3.5 section 7.1.3)."""
    size = len(value) if length is None else length
    return struct.pack("<HHL", tag >> 16, tag & 0xFFFF, size) + value


def even(value: bytes, padding: bytes = b" ") -> bytes:
    """The value padded to an even length."""
    return value + padding * (len(value) % 2)


def us(number: int) -> bytes:
    """An unsigned short."""
    return struct.pack("<H", number)


def command_set(
    command_field: int, *elements: tuple[int, bytes], has_data: bool = False, group: bytes = b""
) -> bytes:
    """A command set; ``elements`` are (element number, value); ``group`` replaces the group length element."""
    parts = dict(elements) | {0x0100: us(command_field)}
    parts.setdefault(0x0800, us(0x0001 if has_data else NO_DATA_SET))
    body = b"".join(element(number, parts[number]) for number in sorted(parts))
    return (group or element(0, struct.pack("<L", len(body)))) + body


def response(
    message: "Message", status: int, *more: tuple[int, bytes], has_data: bool = False
) -> bytes:
    """The command set that answers a message."""
    elements = (
        (0x0002, even(message.sop_class, b"\0")),
        (0x0120, us(message.id)),
        (0x0900, us(status)),
        *more,
    )
    return command_set(message.command_field | 0x8000, *elements, has_data=has_data)


def match(
    message: "Message", identifier: bytes, status: int = PENDING, *, most: int = 16_000
) -> bytes:
    """One pending C-FIND response: its command in one PDU, its identifier in PDUs of at most ``most`` bytes."""
    command = response(message, status, has_data=True)
    whole = data(message.context_id, IS_COMMAND | IS_LAST, command)
    last = max(0, len(identifier) - 1) // most * most
    pieces = (
        data(message.context_id, 0, identifier[at : at + most]) for at in range(0, last, most)
    )
    return whole + b"".join(pieces) + data(message.context_id, IS_LAST, identifier[last:])


def final(message: "Message", status: int = SUCCESS, *more: tuple[int, bytes]) -> bytes:
    """A response without a data set."""
    return data(message.context_id, IS_COMMAND | IS_LAST, response(message, status, *more))


def study(number: int = 1, images: bytes = b"2 ", *more: bytes) -> bytes:
    """The identifier of a harmless STUDY match; ``more`` elements stand between the UID and (0020,1208)."""
    uid = even(b"2.25.%d" % number, b"\0")
    return b"".join(
        (
            element(0x0008_0052, b"STUDY "),
            *more,
            element(0x0020_000D, uid),
            element(0x0020_1208, images),
        )
    )


def rejection(result: int, source: int, reason: int) -> bytes:
    """A-ASSOCIATE-RJ (PS3.8 Table 9-21)."""
    return pdu(ASSOCIATE_RJ, bytes((0, result, source, reason)))


def abort(source: int = 0, reason: int = 0) -> bytes:
    """A-ABORT (PS3.8 Table 9-26)."""
    return pdu(ABORT, bytes((0, 0, source, reason)))


RELEASE_REPLY = pdu(RELEASE_RP, bytes(4))


# --- what the other side says -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A DIMSE request as it was read: the command set taken apart by hand."""

    context_id: int
    command_field: int
    id: int
    sop_class: bytes
    identifier: bytes = b""


def items(content: bytes) -> Iterator[tuple[int, bytes]]:
    """The items of an A-ASSOCIATE PDU or of a presentation context."""
    position = 0
    while position + 4 <= len(content):
        item_type, length = struct.unpack_from(">BxH", content, position)
        yield item_type, content[position + 4 : position + 4 + length]
        position += 4 + length


def elements(command: bytes) -> dict[int, bytes]:
    """Element number -> value of a command set that was honestly made."""
    found, position = {}, 0
    while position + 8 <= len(command):
        _, number, length = struct.unpack_from("<HHL", command, position)
        found[number] = command[position + 8 : position + 8 + length]
        position += 8 + length
    return found


def number_of(value: bytes) -> int:
    """A little endian number."""
    return int.from_bytes(value, "little")


@dataclass(slots=True, kw_only=True)
class Call:
    """One connection, as the script and the assertions see it."""

    number: int
    opened_at: float
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    pdus: list[int] = field(default_factory=list)
    commands: list[int] = field(default_factory=list)
    request: bytes = b""
    closed_at: float | None = None

    @property
    def titles(self) -> tuple[str, str]:
        """Called and calling AE title of the A-ASSOCIATE-RQ."""
        return tuple(self.request[a : a + 16].decode().strip() for a in (4, 20))  # type: ignore[return-value]

    @property
    def contexts(self) -> dict[int, bytes]:
        """Proposed contexts: id -> abstract syntax."""
        return {
            content[0]: next(uid for kind, uid in items(content[4:]) if kind == 0x30)
            for item_type, content in items(self.request[68:])
            if item_type == 0x20
        }

    @property
    def user_information(self) -> dict[int, bytes]:
        """User sub-items of the A-ASSOCIATE-RQ, by type."""
        return dict(items(dict(items(self.request[68:])).get(0x50, b"")))

    # --- verbs of a script ---

    async def take(self, count: int) -> bytes:
        """Exactly so many bytes."""
        try:
            return await self.reader.readexactly(count)
        except (asyncio.IncompleteReadError, OSError, ssl.SSLError) as error:
            raise Gone from error

    async def pdu(self) -> tuple[int, bytes]:
        """The next PDU, remembered by type."""
        pdu_type, length = struct.unpack(">BxI", await self.take(6))
        if not ASSOCIATE_RQ <= pdu_type <= ABORT:
            raise Gone  # TLS, HTTP: the connection is closed without an answer, as DCMTK does
        body = await self.take(length)
        self.pdus.append(pdu_type)
        return pdu_type, body

    async def send(self, *chunks: bytes) -> None:
        """Bytes, whatever they are."""
        try:
            self.writer.write(b"".join(chunks))
            await self.writer.drain()
        except (OSError, ssl.SSLError) as error:
            raise Gone from error

    async def asked(self) -> bytes:
        """Wait for the A-ASSOCIATE-RQ and return its body."""
        _, self.request = await self.pdu()
        return self.request

    def accept(self, *sub_items: bytes, results: dict[bytes, int] | None = None) -> bytes:
        """An A-ASSOCIATE-AC for everything that was proposed; ``results``: abstract syntax -> other result."""
        results = results or {}
        contexts = [
            answered(context_id, results.get(uid, 0), item(0x40, IMPLICIT))
            for context_id, uid in self.contexts.items()
        ]
        information = sub_items or (
            item(0x51, (16384).to_bytes(4, "big")),
            item(0x52, b"1.2.276.0.7230010.3.0.3.6.7"),
            item(0x55, b"OFFIS_DCMTK_367"),
        )
        titles = {"called": self.request[4:20], "calling": self.request[20:36]}
        body = associate(item(0x10, APPLICATION_CONTEXT), *contexts, user(*information), **titles)
        return pdu(ASSOCIATE_AC, body)

    async def accepted(self, *sub_items: bytes) -> None:
        """Read the request and accept everything."""
        await self.asked()
        await self.send(self.accept(*sub_items))

    async def message(self) -> Message | None:
        """The next DIMSE request with its identifier; a release is answered and gives None."""
        parts: dict[bool, bytes] = {True: b"", False: b""}
        while True:
            pdu_type, body = await self.pdu()
            if pdu_type == RELEASE_RQ:
                await self.send(RELEASE_REPLY)
                return None
            if pdu_type != DATA_TF:
                raise Gone
            position, is_last = 0, False
            context_id = body[4]
            while position < len(body):
                length, context_id, control = struct.unpack_from(">IBB", body, position)
                is_command = bool(control & IS_COMMAND)
                parts[is_command] += body[position + 6 : position + 4 + length]
                position += 4 + length
                is_last = bool(control & IS_LAST)
            found = elements(parts[True])
            has_data = number_of(found.get(0x0800, us(NO_DATA_SET))) != NO_DATA_SET
            if is_last and (not has_data or parts[False]):
                made = Message(
                    context_id=context_id,
                    command_field=number_of(found[0x0100]),
                    id=number_of(found.get(0x0110, found.get(0x0120, b""))),
                    sop_class=found.get(0x0002, b"").rstrip(b"\0"),
                    identifier=parts[False],
                )
                self.commands.append(made.command_field)
                return made

    async def until_gone(self) -> None:
        """Read and drop until the other side closes."""
        while True:
            await self.pdu()


Script = Callable[[Call], Awaitable[None]]
OnFind = Callable[[Call, Message], Awaitable[None]]


def archive(
    on_find: OnFind,
    *sub_items: bytes,
    results: dict[bytes, int] | None = None,
) -> Script:
    """A script that accepts, echoes, and leaves each C-FIND to ``on_find``; everything else gets success."""

    async def script(call: Call) -> None:
        await call.asked()
        await call.send(call.accept(*sub_items, results=results))
        while (message := await call.message()) is not None:
            if message.command_field == C_FIND_RQ:
                await on_find(call, message)
            elif message.command_field != C_CANCEL_RQ:
                await call.send(final(message))

    return script


def finds(*identifiers: bytes) -> OnFind:
    """Answer each C-FIND with these matches and success."""

    async def on_find(call: Call, message: Message) -> None:
        await call.send(*(match(message, one) for one in identifiers), final(message))

    return on_find


# --- the peer ---------------------------------------------------------------------------------------------------------


class ScriptedPeer:
    """A listener whose connections play a script."""

    def __init__(self, script: Script) -> None:
        self._script = script
        self.host, self.port = "", 0
        self.calls: list[Call] = []
        self.most_at_a_time = 0
        self._open = 0
        self.faults: list[BaseException] = []
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def commands(self) -> list[int]:
        """Every command field that arrived, in order."""
        return [command for call in self.calls for command in call.commands]

    def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection: play, and close."""
        task = asyncio.get_running_loop().create_task(self._play(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _play(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        loop = asyncio.get_running_loop()
        call = Call(number=len(self.calls), opened_at=loop.time(), reader=reader, writer=writer)
        self.calls.append(call)
        self._open += 1
        self.most_at_a_time = max(self.most_at_a_time, self._open)
        try:
            with suppress(Gone, OSError):  # also a reset in the middle of a read
                await self._script(call)
        except asyncio.CancelledError:
            pass
        except Exception as fault:  # noqa: BLE001 - a fault of the script is shown at the end
            self.faults.append(fault)
        finally:
            self._open -= 1
            call.closed_at = loop.time()
            with suppress(OSError, RuntimeError):
                writer.close()

    async def at_rest(self) -> None:
        """Wait until no connection is open any more; what was sent last has been read then."""
        async with asyncio.timeout(5):
            while self._tasks:
                await asyncio.wait(self._tasks)

    async def stop(self) -> None:
        """Cancel what still plays."""
        for task in tuple(self._tasks):
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=2)


@asynccontextmanager
async def scripted_peer(
    script: Script, *, host: str = HOST, port: int = 0, tls: ssl.SSLContext | None = None
) -> AsyncIterator[ScriptedPeer]:
    """Run a peer for as long as the context is open; raises what went wrong in its script."""
    peer = ScriptedPeer(script)
    server = await asyncio.start_server(peer.take, host, port, ssl=tls, limit=1 << 20)
    peer.host, peer.port = server.sockets[0].getsockname()[:2]
    try:
        yield peer
    finally:
        server.close()
        await peer.stop()
    if peer.faults:
        raise peer.faults[0]


@asynccontextmanager
async def scripted_peers(
    scripts: Sequence[Script], hosts: Sequence[str]
) -> AsyncIterator[list[ScriptedPeer]]:
    """Run one peer for each script, each on an address of its own."""
    peers: list[ScriptedPeer] = []
    servers: list[asyncio.Server] = []
    try:
        for script, host in zip(scripts, hosts, strict=True):
            peer = ScriptedPeer(script)
            server = await asyncio.start_server(peer.take, host, 0)
            peer.host, peer.port = server.sockets[0].getsockname()[:2]
            peers.append(peer)
            servers.append(server)
        yield peers
    finally:
        for server in servers:
            server.close()
        for peer in peers:
            await peer.stop()
    for peer in peers:
        if peer.faults:
            raise peer.faults[0]
