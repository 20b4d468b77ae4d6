"""Misbehaviours of a peer that the auditor meets: each has a name, a sentence, a script, and what must come of it.

``NAMED`` is the table. An expectation says what the first association request came to, which rungs of the ladder the system
reaches, and which checks may pass: whatever passes here passes because the peer *said* something, never because it was
silent or sent garbage. Floods are marked, because they are played alone.
"""

import asyncio
import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass

from doorward.audit.facts import Reply
from doorward.audit.verdict import Verdict
from pdus import APPLICATION_CONTEXT, IMPLICIT, answered, associate, item, user
from scripted_peer import (
    ABORT,
    ASSOCIATE_AC,
    ASSOCIATE_RQ,
    C_CANCEL_RQ,
    C_FIND_RQ,
    C_STORE_RQ,
    DATA_TF,
    IS_COMMAND,
    PENDING,
    RELEASE_RP,
    RELEASE_RQ,
    Call,
    Gone,
    Message,
    Script,
    abort,
    command_set,
    data,
    element,
    even,
    final,
    finds,
    match,
    pdu,
    pdv,
    rejection,
    response,
    study,
    us,
)

FOUR_GIB = 0xFFFF_FFFF
MIB = 1 << 20
#: What a rung reached by names alone looks like: open, speaks DICOM, anybody, query and storage offered, no TLS.
NOTHING: frozenset[str] = frozenset()
OPEN_PORT = ("E1",)
SPEAKS = ("E1", "E2", "T")
LETS_IN = ("E1", "E2", "E3", "T")
OFFERS = ("E1", "E2", "E3", "E4", "E7", "T", "V")
EXPOSED = ("E1", "E2", "E3", "E4", "E5", "E6", "E7", "T", "V")
#: A match could be read, in which no patient attribute stood.
READ = frozenset({"dimse_patient_attributes_returned"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Misbehaviour:
    """One hostile peer, and what an audit of it must come to."""

    name: str
    words: str
    script: Script
    #: What the first association request came to.
    reply: Reply
    rungs: tuple[str, ...]
    #: The checks above severity info that pass, all of them; those of info only say who is there.
    passes: frozenset[str] = NOTHING
    #: Studies that may be claimed; None: no number at all.
    studies: int | None = None
    #: What is said on the question that matters: may a stranger list the studies?
    query: Verdict = Verdict.INCONCLUSIVE
    #: Floods are played alone: they take all the time there is. Their number of studies is the least.
    is_flood: bool = False
    #: The peer speaks TLS, with the certificate of the tests.
    tls: bool = False


NAMED: list[Misbehaviour] = []


def named(
    name: str,
    words: str,
    script: Script,
    reply: Reply,
    rungs: tuple[str, ...],
    passes: frozenset[str] = NOTHING,
    studies: int | None = None,
    query: Verdict | None = None,
    *,
    is_flood: bool = False,
    tls: bool = False,
) -> None:
    """Add one to the table."""
    NAMED.append(
        Misbehaviour(
            name=name,
            words=words,
            script=script,
            reply=reply,
            rungs=rungs,
            passes=passes,
            studies=studies,
            query=query or (Verdict.FAIL if "E5" in rungs else Verdict.INCONCLUSIVE),
            is_flood=is_flood,
            tls=tls,
        )
    )


# --- scripts: when does it happen? ------------------------------------------------------------------------------------

#: What is sent: bytes, or a function of the message that is answered.
Payload = bytes | Callable[[Message], bytes]


def made(payload: Payload, message: Message) -> bytes:
    """The bytes of a payload."""
    return payload if isinstance(payload, bytes) else payload(message)


def on_connect(payload: bytes, *, closes: bool = False) -> Script:
    """Speak first, as servers of other protocols do, then hold the connection."""

    async def script(call: Call) -> None:
        await call.send(payload)
        if not closes:
            await drop(call)

    return script


def at_request(payload: bytes | Callable[[Call], bytes], *, closes: bool = False) -> Script:
    """Read the A-ASSOCIATE-RQ, answer with these bytes, hold or close."""

    async def script(call: Call) -> None:
        await no_tls(call)
        await call.send(payload if isinstance(payload, bytes) else payload(call))
        if not closes:
            await drop(call)

    return script


def at_command(payload: Payload, *, closes: bool = False) -> Script:
    """Accept, and answer the first command with these bytes."""

    async def script(call: Call) -> None:
        await no_tls(call)
        await call.send(call.accept())
        message = await call.message()
        if message is None:
            return
        await call.send(made(payload, message))
        if closes:
            return
        await drop(call)

    return script


def at_find(payload: Payload, *, ends: bool = False) -> Script:
    """Answer C-ECHO, and C-FIND with these bytes; ``ends`` adds an honest final response."""

    async def on_find(call: Call, message: Message) -> None:
        await call.send(made(payload, message), final(message) if ends else b"")

    return no_tls_archive(on_find)


def no_tls_archive(on_find: Callable[[Call, Message], object]) -> Script:
    """An archive that closes at once on TLS."""

    async def script(call: Call) -> None:
        await no_tls(call)
        await call.send(call.accept())
        while (message := await call.message()) is not None:
            if message.command_field == C_FIND_RQ:
                await on_find(call, message)  # type: ignore[misc]
            else:
                await call.send(final(message))

    return script


def identifier(content: bytes) -> Script:
    """Answer C-FIND with one match that holds this identifier, and success."""
    return at_find(lambda message: match(message, content), ends=True)


def at_release(payload: bytes) -> Script:
    """Be an honest archive of two studies, and answer A-RELEASE-RQ with these bytes."""

    async def script(call: Call) -> None:
        await no_tls(call)
        await call.send(call.accept())
        while True:
            pdu_type, body = await call.pdu()
            if pdu_type == RELEASE_RQ:
                await call.send(payload)
                await drop(call)
            if pdu_type == DATA_TF and body[5] & IS_COMMAND:
                message = await again(call, body)
                if message.command_field == C_CANCEL_RQ:
                    continue
                is_find = message.command_field == C_FIND_RQ
                matches = match(message, study(1)) + match(message, study(2)) if is_find else b""
                await call.send(matches, final(message))

    return script


async def again(call: Call, body: bytes) -> Message:
    """The message whose command stands in this P-DATA-TF; its identifier is read and dropped."""
    from scripted_peer import elements, number_of

    found = elements(body[6:])
    if number_of(found[0x0800]) != 0x0101:
        await call.pdu()
    return Message(
        context_id=body[4],
        command_field=number_of(found[0x0100]),
        id=number_of(found.get(0x0110, b"")),
        sop_class=found.get(0x0002, b"").rstrip(b"\0"),
    )


def forever(begin: Payload, again_and_again: Payload, *, at: int = C_FIND_RQ) -> Script:
    """Accept; from that command on send without end, ignoring C-CANCEL and everything else."""

    async def script(call: Call) -> None:
        await no_tls(call)
        await call.send(call.accept())
        while (message := await call.message()) is not None:
            if message.command_field != at:
                await call.send(final(message))
                continue
            await call.send(made(begin, message))
            piece = made(again_and_again, message)
            block = piece * max(1, 65_536 // len(piece))
            while True:
                await call.send(block)
                await asyncio.sleep(0)

    return script


async def no_tls(call: Call) -> bytes:
    """Read the request; a ClientHello ends the connection at once, as it does at DCMTK."""
    first = await call.take(1)
    if first != b"\1":
        raise Gone
    rest = await call.take(5)
    call.pdus.append(ASSOCIATE_RQ)
    call.request = await call.take(int.from_bytes(rest[1:], "big"))
    return call.request


async def drop(call: Call) -> None:
    """Read without looking until the other side goes."""
    while await call.reader.read(65_536):
        pass
    raise Gone


def reset(call: Call) -> None:
    """End the connection with a TCP RST."""
    sock = call.writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    call.writer.transport.abort()


# --- before there is an association -----------------------------------------------------------------------------------


async def _silent(call: Call) -> None:
    await drop(call)


async def _reset_at_once(call: Call) -> None:
    reset(call)


async def _reset_at_request(call: Call) -> None:
    await no_tls(call)
    reset(call)


async def _half_closed(call: Call) -> None:
    call.writer.write_eof()
    await drop(call)


async def _accept_byte_at_a_time(call: Call) -> None:
    await no_tls(call)
    for one in call.accept():
        await call.send(bytes((one,)))
        await asyncio.sleep(0)
    await call.message()


async def _slow_loris(call: Call) -> None:
    await no_tls(call)
    for one in call.accept():
        await call.send(bytes((one,)))
        await asyncio.sleep(0.2)


async def _echo_server(call: Call) -> None:
    while chunk := await call.reader.read(65_536):
        await call.send(chunk)


async def _http_endless(call: Call) -> None:
    await no_tls(call)
    await call.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    while True:
        await call.send(b"4000\r\n" + bytes(0x4000) + b"\r\n")


async def _zeros_forever(call: Call) -> None:
    while True:
        await call.send(bytes(65_536))


named("silent", "accepts TCP and says nothing", _silent, Reply.SILENT, OPEN_PORT)
named(
    "closes_at_once", "closes without a byte", on_connect(b"", closes=True), Reply.CLOSED, OPEN_PORT
)
named("resets_at_once", "RST right after the handshake", _reset_at_once, Reply.CLOSED, OPEN_PORT)
named(
    "resets_at_request", "RST after our A-ASSOCIATE-RQ", _reset_at_request, Reply.CLOSED, OPEN_PORT
)
named(
    "half_closed",
    "half-closed TCP: FIN at once, still reads",
    _half_closed,
    Reply.CLOSED,
    OPEN_PORT,
)
named(
    "closes_at_request",
    "FIN after our A-ASSOCIATE-RQ",
    at_request(b"", closes=True),
    Reply.CLOSED,
    OPEN_PORT,
)


def lie(pdu_type: int, length: int = FOUR_GIB) -> bytes:
    """A header that claims so much."""
    return pdu(pdu_type, b"", length=length)


for _type, _what in (
    (ASSOCIATE_AC, "accept"),
    (3, "reject"),
    (ABORT, "abort"),
    (RELEASE_RP, "release"),
):
    named(
        f"claims_4_gib_{_what}",
        f"a PDU of type {_type} that claims 4 GiB, instead of an answer",
        at_request(lie(_type)),
        Reply.NOT_DICOM,
        OPEN_PORT,
    )
named(
    "claims_4_gib_data",
    "P-DATA-TF of 4 GiB before any accept",
    at_request(lie(DATA_TF)),
    Reply.NOT_DICOM,
    OPEN_PORT,
)
named(
    "claims_nothing",
    "an A-ASSOCIATE-AC of length 0",
    at_request(lie(ASSOCIATE_AC, 0)),
    Reply.NOT_DICOM,
    OPEN_PORT,
)
named(
    "data_before_accept",
    "P-DATA-TF before any accept",
    at_request(data(1, 3, b"\0" * 8)),
    Reply.NOT_DICOM,
    OPEN_PORT,
)
named(
    "release_before_accept",
    "A-RELEASE-RQ in answer to A-ASSOCIATE-RQ",
    at_request(pdu(RELEASE_RQ, bytes(4))),
    Reply.NOT_DICOM,
    OPEN_PORT,
)
named("mirror", "sends our own bytes back", _echo_server, Reply.NOT_DICOM, OPEN_PORT)
for _number in (0x00, 0x08, 0x7F, 0xFF):
    named(
        f"pdu_type_{_number:02x}",
        f"a PDU of type 0x{_number:02X}, which does not exist",
        at_request(pdu(_number, bytes(4))),
        Reply.NOT_DICOM,
        OPEN_PORT,
        query=Verdict.NOT_APPLICABLE,
    )


# --- the accept itself ------------------------------------------------------------------------------------------------

APPLICATION = item(0x10, APPLICATION_CONTEXT)
CONTEXT = answered(1, 0, item(0x40, IMPLICIT))
MAXIMUM = item(0x51, (16384).to_bytes(4, "big"))


def accept_of(*items: bytes) -> bytes:
    """An A-ASSOCIATE-AC of these items."""
    return pdu(ASSOCIATE_AC, associate(*items))


def bad_accept(name: str, words: str, *items: bytes) -> None:
    """An accept that must be refused as a whole: it is no DICOM."""
    named(name, words, at_request(accept_of(*items)), Reply.NOT_DICOM, OPEN_PORT)


bad_accept("accept_zero_length_items", "40,000 items of length zero", *(item(0x21),) * 40_000)
bad_accept(
    "accept_16000_sub_items",
    "16,000 sub-items of four bytes",
    APPLICATION,
    CONTEXT,
    user(*(item(0x7A),) * 16_000),
)
bad_accept(
    "accept_item_of_65535",
    "an implementation class UID of 65,000 bytes",
    APPLICATION,
    CONTEXT,
    user(MAXIMUM, item(0x52, b"1" * 65_000)),
)
bad_accept(
    "accept_overlong_transfer_syntax",
    "a transfer syntax of 300 bytes",
    APPLICATION,
    answered(1, 0, item(0x40, b"1." * 150)),
    user(MAXIMUM),
)
bad_accept(
    "accept_same_id_twice",
    "two answers for one context",
    APPLICATION,
    CONTEXT,
    CONTEXT,
    user(MAXIMUM),
)
bad_accept(
    "accept_even_id",
    "an even presentation context id",
    APPLICATION,
    answered(2, 0, item(0x40, IMPLICIT)),
    user(MAXIMUM),
)
bad_accept("accept_without_user_information", "no user information item", APPLICATION, CONTEXT)
bad_accept(
    "accept_two_application_contexts",
    "two application contexts",
    APPLICATION,
    APPLICATION,
    CONTEXT,
    user(MAXIMUM),
)
bad_accept(
    "accept_item_beyond_pdu",
    "an item that reaches beyond its PDU",
    APPLICATION,
    CONTEXT,
    item(0x50, MAXIMUM, length=0xFFFF),
)
bad_accept(
    "accept_max_length_1",
    "takes one byte in a PDU",
    APPLICATION,
    CONTEXT,
    user(item(0x51, (1).to_bytes(4, "big"))),
)
bad_accept(
    "accept_max_length_8",
    "takes eight bytes in a PDU",
    APPLICATION,
    CONTEXT,
    user(item(0x51, (8).to_bytes(4, "big"))),
)
named(
    "accept_never_proposed",
    "accepts 127 contexts that nobody proposed, and none of ours",
    at_request(
        accept_of(
            APPLICATION,
            *(answered(n, 0, item(0x40, IMPLICIT)) for n in range(5, 256, 2)),
            user(MAXIMUM),
        )
    ),
    Reply.ACCEPTED,
    ("E1", "E2", "E3", "E4", "E7", "T"),  # what was proposed later, it accepted
    NOTHING,
)
named(
    "accept_other_syntax",
    "accepts with a transfer syntax that nobody proposed",
    at_request(
        accept_of(APPLICATION, answered(1, 0, item(0x40, b"1.2.840.10008.1.2.4.50")), user(MAXIMUM))
    ),
    Reply.ACCEPTED,
    LETS_IN,
    NOTHING,
)
named(
    "accept_stalls",
    "half an accept, then nothing",
    at_request(lambda call: call.accept()[:60]),
    Reply.SILENT,
    OPEN_PORT,
)
named(
    "accept_twice",
    "two accepts in one segment",
    at_request(lambda call: call.accept() * 2),
    Reply.ACCEPTED,
    OFFERS,
    NOTHING,
)
named("accept_slow_loris", "an accept at five bytes a second", _slow_loris, Reply.SILENT, OPEN_PORT)
named(
    "accept_byte_at_a_time",
    "an honest accept, one byte per segment, then silence",
    _accept_byte_at_a_time,
    Reply.ACCEPTED,
    OFFERS,
    NOTHING,
    is_flood=True,
)
named(
    "accept_then_reject",
    "accept and reject together",
    at_request(lambda call: call.accept() + rejection(1, 1, 1)),
    Reply.ACCEPTED,
    OFFERS,
    NOTHING,
)
named(
    "accept_then_abort",
    "accept and abort together",
    at_request(lambda call: call.accept() + abort(2, 0)),
    Reply.ACCEPTED,
    OFFERS,
    NOTHING,
)
for _codes in ((9, 9, 9), (0, 0, 0), (255, 1, 7)):
    named(
        f"reject_{'_'.join(map(str, _codes))}",
        f"a rejection {_codes}, which the Standard does not have",
        at_request(rejection(*_codes)),
        Reply.REJECTED,
        SPEAKS,
        NOTHING,
    )
named(
    "congested_for_ever",
    "always too busy (2/3/1)",
    at_request(rejection(2, 3, 1)),
    Reply.REJECTED,
    SPEAKS,
    NOTHING,
)
named(
    "limit_for_ever",
    "always at its limit (2/3/2)",
    at_request(rejection(2, 3, 2)),
    Reply.REJECTED,
    SPEAKS,
    NOTHING,
)
named(
    "reject_then_noise",
    "a rejection and then noise",
    at_request(rejection(2, 3, 1) + bytes(range(256)) * 64),
    Reply.REJECTED,
    SPEAKS,
    NOTHING,
)
named(
    "abort_odd_source",
    "A-ABORT with source 77, reason 99",
    at_request(abort(77, 99)),
    Reply.ABORTED,
    SPEAKS,
    NOTHING,
)


# --- other protocols --------------------------------------------------------------------------------------------------

_TLS_ALERT = bytes.fromhex("15030100020228")
_HELLO_JUNK = bytes.fromhex("160303004a") + b"\x02\x00\x00\x46\x03\x03" + bytes(range(68))
for _protocol, _banner, _speaks_first in (
    ("ssh", b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n", True),
    ("ftp", b"220 (vsFTPd 3.0.3)\r\n", True),
    ("smtp", b"220 mail.invalid ESMTP Postfix\r\n", True),
    ("mysql", b"\x5b\0\0\0\x0a8.0.36-0ubuntu\0" + bytes(60), True),
    ("vnc", b"RFB 003.008\n", True),
    ("imap", b"* OK IMAP4rev1 ready\r\n", True),
    ("telnet", b"\xff\xfd\x18\xff\xfd\x20\xff\xfd\x23\xff\xfd\x27", True),
    ("http_400", b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n", False),
    ("redis", b"-ERR unknown command\r\n", False),
    ("postgres", b"E\0\0\0\x8cSFATAL\0", False),
    ("rdp", bytes.fromhex("030000130ed000001234000200080002000000"), False),
    ("hl7", b"\x0bMSH|^~\\&|||||\r\x1c\r", False),
    ("tls_hello_junk", _HELLO_JUNK, False),
    ("noise", bytes((n * 167 + 13) % 256 for n in range(5000)), False),
):
    named(
        f"speaks_{_protocol}",
        f"speaks {_protocol}, not DICOM",
        on_connect(_banner) if _speaks_first else at_request(_banner),
        Reply.NOT_DICOM,
        OPEN_PORT,
        query=Verdict.NOT_APPLICABLE,
    )
named(
    "tls_alert",
    "answers DICOM with a TLS alert, and TLS with silence",
    at_request(_TLS_ALERT),
    Reply.NOT_DICOM,
    OPEN_PORT,
)
named(
    "speaks_rdp_like_reject",
    "RDP's first byte is that of a reject",
    at_request(bytes.fromhex("0300000b06d00000123400")),
    Reply.NOT_DICOM,
    OPEN_PORT,
    query=Verdict.NOT_APPLICABLE,
)
named(
    "http_endless",
    "an HTTP body without end",
    _http_endless,
    Reply.NOT_DICOM,
    OPEN_PORT,
    query=Verdict.NOT_APPLICABLE,
    is_flood=True,
)
named(
    "zeros_for_ever",
    "zeros without end",
    _zeros_forever,
    Reply.NOT_DICOM,
    OPEN_PORT,
    query=Verdict.NOT_APPLICABLE,
    is_flood=True,
)


# --- TLS --------------------------------------------------------------------------------------------------------------


def after_hello(payload: bytes, *, closes: bool = False) -> Script:
    """Close on DICOM, and answer a ClientHello with these bytes."""

    async def script(call: Call) -> None:
        first = await call.take(1)
        if first != b"\x16":
            return
        await call.send(payload)
        if not closes:
            await drop(call)

    return script


def handshake_record(message_type: int, content: bytes) -> bytes:
    """One TLS 1.2 handshake message in one record."""
    message = bytes((message_type,)) + len(content).to_bytes(3, "big") + content
    return b"\x16\x03\x03" + len(message).to_bytes(2, "big") + message


#: TLS 1.2, ECDHE-RSA-AES128-GCM-SHA256, no session, no extension but "renegotiation info".
_SERVER_HELLO = handshake_record(
    2, b"\x03\x03" + bytes(32) + b"\0" + b"\xc0\x2f" + b"\0" + b"\0\5\xff\1\0\1\0"
)
_GARBAGE = b"\x30\x82\xff\xff" + bytes(1000)
_CERTIFICATE = handshake_record(
    11, (len(_GARBAGE) + 3).to_bytes(3, "big") + len(_GARBAGE).to_bytes(3, "big") + _GARBAGE
)
named(
    "tls_stall", "reads the ClientHello and falls silent", after_hello(b""), Reply.CLOSED, OPEN_PORT
)
named(
    "tls_closes",
    "reads the ClientHello and closes",
    after_hello(b"", closes=True),
    Reply.CLOSED,
    OPEN_PORT,
)
named(
    "tls_garbage_certificate",
    "a certificate that is none",
    after_hello(_SERVER_HELLO + _CERTIFICATE),
    Reply.CLOSED,
    OPEN_PORT,
)
named(
    "tls_hello_again_and_again",
    "ten thousand ServerHellos",
    after_hello(_SERVER_HELLO * 10_000),
    Reply.CLOSED,
    OPEN_PORT,
)
named(
    "tls_record_lie",
    "a record that claims more than TLS allows",
    after_hello(b"\x16\x03\x03\xff\xff" + bytes(100)),
    Reply.CLOSED,
    OPEN_PORT,
)


async def _tls_then_silence(call: Call) -> None:
    await drop(call)


named(
    "tls_then_silence",
    "a good handshake, then silence",
    _tls_then_silence,
    Reply.CLOSED,
    OPEN_PORT,
    tls=True,
)
named(
    "tls_then_http",
    "a good handshake, then HTTP",
    at_request(b"HTTP/1.1 400 Bad Request\r\n\r\n"),
    Reply.CLOSED,
    OPEN_PORT,
    query=Verdict.NOT_APPLICABLE,
    tls=True,
)
named(
    "tls_then_noise",
    "a good handshake, then noise",
    on_connect(bytes(range(256)) * 8),
    Reply.CLOSED,
    OPEN_PORT,
    query=Verdict.NOT_APPLICABLE,
    tls=True,
)


# --- the first command ------------------------------------------------------------------------------------------------


async def _reset_at_command(call: Call) -> None:
    await no_tls(call)
    await call.send(call.accept())
    await call.message()
    reset(call)


def at_first_command(name: str, words: str, payload: Payload) -> None:
    """A fault in answer to C-ECHO, on the association that was to count: nothing is known of queries."""
    named(name, words, at_command(payload), Reply.ACCEPTED, OFFERS, NOTHING)


at_first_command("command_4_gib", "P-DATA-TF of 4 GiB in answer to C-ECHO", lie(DATA_TF))
at_first_command("command_stalls", "half a PDU, then nothing", lambda m: final(m)[:30])
at_first_command("pdv_length_0", "a value of length 0", pdu(DATA_TF, pdv(1, 3, b"", length=0)))
at_first_command(
    "pdv_length_1", "a value of length 1", pdu(DATA_TF, pdv(1, 3, b"\0" * 4, length=1))
)
at_first_command(
    "pdv_beyond_pdu",
    "a value of 4 GiB in a PDU of ten bytes",
    pdu(DATA_TF, pdv(1, 3, b"\0" * 4, length=FOUR_GIB)),
)
at_first_command(
    "foreign_context",
    "an answer on a context that was never accepted",
    lambda m: data(255, 3, response(m, 0)),
)
at_first_command(
    "even_context", "an answer on an even context", lambda m: data(2, 3, response(m, 0))
)
at_first_command(
    "command_of_1_mib",
    "a command set of one MiB",
    lambda m: b"".join(data(m.context_id, 1, bytes(16_000)) for _ in range(64)),
)
at_first_command(
    "command_is_noise", "a command set of noise", lambda m: data(m.context_id, 3, bytes(range(200)))
)
at_first_command(
    "command_unknown",
    "a command field that does not exist",
    lambda m: data(m.context_id, 3, command_set(0x7777, (0x0120, us(m.id)), (0x0900, us(0)))),
)
at_first_command(
    "command_group_ffff",
    "a command set of group FFFF",
    lambda m: data(m.context_id, 3, element(0xFFFF_0100, us(0x8030))),
)
at_first_command(
    "command_element_4_gib",
    "a command element of 4 GiB",
    lambda m: data(m.context_id, 3, element(0x0000_0002, b"", length=FOUR_GIB)),
)
at_first_command(
    "fragments_of_two_messages",
    "a data set before its command",
    lambda m: data(m.context_id, 2, b"\0" * 8),
)
at_first_command(
    "store_from_the_peer",
    "a C-STORE-RQ of the peer: the reverse attack",
    lambda m: (
        data(
            m.context_id,
            3,
            command_set(
                C_STORE_RQ,
                (0x0002, b"1.2.840.10008.5.1.4.1.1.2\0"),
                (0x0110, us(7)),
                (0x0700, us(0)),
                (0x1000, b"2.25.1"),
                has_data=True,
            ),
        )
        + data(m.context_id, 2, bytes(4000))
    ),
)
at_first_command(
    "event_from_the_peer",
    "an N-EVENT-REPORT-RQ of the peer",
    lambda m: data(
        m.context_id,
        3,
        command_set(
            0x0100,
            (0x0002, b"1.2.840.10008.1.20.1"),
            (0x0110, us(7)),
            (0x1000, b"2.25.1"),
            (0x1002, us(1)),
        ),
    ),
)
at_first_command("answers_nothing", "accepts everything and never answers a command", b"")
at_first_command("asks_for_release", "A-RELEASE-RQ instead of an answer", pdu(RELEASE_RQ, bytes(4)))
at_first_command(
    "association_in_association",
    "A-ASSOCIATE-RQ on a standing association",
    pdu(ASSOCIATE_RQ, associate(APPLICATION)),
)
at_first_command("abort_at_echo", "A-ABORT in answer to C-ECHO", abort(2, 0))
named(
    "resets_at_command",
    "RST in answer to C-ECHO",
    _reset_at_command,
    Reply.ACCEPTED,
    OFFERS,
    NOTHING,
)
named(
    "empty_command_fragments",
    "empty command fragments without end",
    forever(b"", lambda m: data(m.context_id, 1, b""), at=0x0030),
    Reply.ACCEPTED,
    OFFERS,
    NOTHING,
    is_flood=True,
)
named(
    "command_fragments_for_ever",
    "command fragments without end",
    forever(b"", lambda m: data(m.context_id, 1, bytes(1000)), at=0x0030),
    Reply.ACCEPTED,
    OFFERS,
    NOTHING,
    is_flood=True,
)


# --- C-FIND -----------------------------------------------------------------------------------------------------------


def at_query(
    name: str,
    words: str,
    payload: Payload,
    rungs: tuple[str, ...] = OFFERS,
    studies: int | None = None,
    *,
    ends: bool = False,
    reads: bool = False,
) -> None:
    """A fault in answer to C-FIND. Where matches came, the door is open; their number is at least."""
    passes = READ if reads else NOTHING
    named(name, words, at_find(payload, ends=ends), Reply.ACCEPTED, rungs, passes, studies)


def one(message: Message) -> bytes:
    """One honest match."""
    return match(message, study())


at_query("find_silent", "echoes, and is silent on C-FIND", b"")
at_query(
    "find_other_message",
    "answers a message that was never sent",
    lambda m: final(
        Message(
            context_id=m.context_id,
            command_field=m.command_field,
            id=m.id ^ 0x5555,
            sop_class=m.sop_class,
        )
    ),
)
at_query(
    "find_answers_echo",
    "answers C-FIND with a C-ECHO response",
    lambda m: data(m.context_id, 3, command_set(0x8030, (0x0120, us(m.id)), (0x0900, us(0)))),
)
at_query("find_abort_odd", "A-ABORT with source 200 at the query", abort(200, 1))
at_query(
    "find_match_then_silence", "a match, and never a final status", one, EXPOSED, 1, reads=True
)
at_query(
    "find_match_then_stall",
    "a match, and half of another",
    lambda m: one(m) + one(m)[:90],
    EXPOSED,
    1,
    reads=True,
)
at_query(
    "find_match_then_abort",
    "a match, then A-ABORT",
    lambda m: one(m) + abort(),
    EXPOSED,
    1,
    reads=True,
)
at_query(
    "find_match_then_4_gib",
    "a match, then a claim of 4 GiB",
    lambda m: one(m) + lie(DATA_TF),
    EXPOSED,
    1,
    reads=True,
)
at_query(
    "find_match_then_noise",
    "a match, then noise",
    lambda m: one(m) + bytes(range(8, 256)),
    EXPOSED,
    1,
    reads=True,
)
at_query(
    "find_pending_without_data",
    "three pending responses without identifier",
    lambda m: data(m.context_id, 3, response(m, PENDING)) * 3,
    EXPOSED,
    3,
    ends=True,
)
at_query(
    "find_data_on_other_context",
    "the identifier on another context",
    lambda m: (
        data(m.context_id, 3, response(m, PENDING, has_data=True))
        + data(m.context_id + 2 if m.context_id < 5 else 1, 2, study())
    ),
    EXPOSED,
    1,
)
at_query(
    "find_command_in_data",
    "a command in the middle of an identifier",
    lambda m: data(m.context_id, 3, response(m, PENDING, has_data=True)) + final(m),
    EXPOSED,
    1,
)
at_query("find_status_1234", "ends with a status that nobody defined", lambda m: final(m, 0x1234))
at_query("find_status_ffff", "ends with status FFFF", lambda m: final(m, 0xFFFF))
at_query(
    "find_match_status_1234",
    "a match, then an undefined status",
    lambda m: one(m) + final(m, 0x1234),
    EXPOSED,
    1,
    reads=True,
)
at_query(
    "find_warning_without_match", "no match and a warning", lambda m: final(m, 0xB000), EXPOSED
)
named(
    "find_cancelled_unasked",
    "a match and FE00, though nobody cancelled: what a server does that stops by itself",
    at_find(lambda m: one(m) + final(m, 0xFE00)),
    Reply.ACCEPTED,
    EXPOSED,
    READ | {"dimse_query_unlimited"},
    1,
)

DEEP = element(0x0008_1110, b"", length=FOUR_GIB) + element(0xFFFE_E000, b"", length=FOUR_GIB)


def bad_identifier(name: str, words: str, content: bytes, *, reads: bool = False) -> None:
    """One match whose identifier is bad: it counts as a match, its images are unknown."""
    passes = READ if reads else NOTHING
    named(name, words, identifier(content), Reply.ACCEPTED, EXPOSED, passes, 1)


bad_identifier("identifier_recursion_bomb", "60,000 nested sequences", (DEEP * 60_000)[:1_000_000])
bad_identifier(
    "identifier_element_2_gib",
    "an element of 2 GiB",
    element(0x0008_0052, b"STUDY ", length=0x8000_0000),
)
bad_identifier(
    "identifier_odd_lengths",
    "values of odd length",
    element(0x0008_0052, b"STUDY") + element(0x0020_1208, b"5"),
)
bad_identifier("identifier_truncated", "ends inside a header", study()[:-5])
bad_identifier("identifier_empty", "an identifier without a byte", b"")
bad_identifier(
    "identifier_explicit_vr",
    "explicit VR on an implicit context",
    b"\x08\0\x52\0CS\6\0STUDY \x20\0\x08\x12IS\2\x001 ",
)
bad_identifier(
    "identifier_deflated",
    "deflated bytes that nobody negotiated",
    bytes.fromhex("789c4b4c4a4e494d4bcfc8cccacec9cdcb2f00") * 50,
)
bad_identifier(
    "identifier_of_900_kib",
    "one value of 900 KiB",
    study(1, b"2 ", element(0x0010_4000, b"x" * 900_000)),
    reads=True,
)
at_query(
    "pdu_of_900_kib",
    "one P-DATA-TF of 900 KiB, more than was negotiated",
    lambda m: (
        data(m.context_id, 3, response(m, PENDING, has_data=True))
        + data(m.context_id, 2, bytes(900_000))
    ),
    EXPOSED,
    1,
)
bad_identifier(
    "identifier_group_length_lies",
    "a group length that lies",
    element(0x0008_0000, struct.pack("<L", FOUR_GIB)) + study(),
    reads=True,
)
for _name, _value in (
    ("garbage", b"a lot"),
    ("of_200_digits", b"9" * 200),
    ("negative", b"-5"),
    ("of_10_to_12", b"1000000000000"),
    ("nan", b"NaN "),
    ("two_values", b"1\\2 "),
    ("binary", b"\xff\xfe\xfd\xfc"),
):
    bad_identifier(
        f"images_{_name}",
        f"(0020,1208) {_name.replace('_', ' ')}",
        study(1, even(_value)),
        reads=True,
    )
bad_identifier(
    "images_twice", "(0020,1208) twice", study() + element(0x0020_1208, b"3 "), reads=True
)
bad_identifier(
    "images_undefined_length",
    "(0020,1208) of undefined length",
    study()[:-10] + element(0x0020_1208, b"", length=FOUR_GIB),
)
named(
    "identifier_too_long",
    "an identifier of 3 MiB, in fragments",
    at_find(
        lambda m: (
            data(m.context_id, 3, response(m, PENDING, has_data=True))
            + data(m.context_id, 0, bytes(16_000)) * 190
            + data(m.context_id, 2, b"")
        ),
        ends=True,
    ),
    Reply.ACCEPTED,
    EXPOSED,
    NOTHING,
    1,
)
named(
    "find_for_ever",
    "matches without end, deaf to C-CANCEL",
    forever(b"", one),
    Reply.ACCEPTED,
    EXPOSED,
    READ,
    1,
    is_flood=True,
)
named(
    "pending_for_ever",
    "pending responses without identifier, without end",
    forever(b"", lambda m: data(m.context_id, 3, response(m, PENDING))),
    Reply.ACCEPTED,
    EXPOSED,
    NOTHING,
    1,
    is_flood=True,
)
named(
    "identifier_for_ever",
    "one identifier without end",
    forever(
        lambda m: data(m.context_id, 3, response(m, PENDING, has_data=True)),
        lambda m: data(m.context_id, 0, bytes(16_000)),
    ),
    Reply.ACCEPTED,
    EXPOSED,
    NOTHING,
    1,
    is_flood=True,
)
named(
    "empty_data_fragments",
    "empty data set fragments without end",
    forever(
        lambda m: data(m.context_id, 3, response(m, PENDING, has_data=True)),
        lambda m: data(m.context_id, 0, b""),
    ),
    Reply.ACCEPTED,
    EXPOSED,
    NOTHING,
    1,
    is_flood=True,
)
named(
    "echoes_for_ever",
    "C-ECHO responses without end in answer to C-FIND",
    forever(
        b"",
        lambda m: data(m.context_id, 3, command_set(0x8030, (0x0120, us(m.id)), (0x0900, us(0)))),
    ),
    Reply.ACCEPTED,
    OFFERS,
    NOTHING,
    is_flood=True,
)
named(
    "comments_for_ever",
    "pending responses without end, each with another Error Comment",
    forever(
        b"",
        lambda m: b"".join(
            data(m.context_id, 3, response(m, PENDING, (0x0902, b"%04d" % n))) for n in range(500)
        ),
    ),
    Reply.ACCEPTED,
    EXPOSED,
    NOTHING,
    1,
    is_flood=True,
)


# --- the end ----------------------------------------------------------------------------------------------------------

TWO = "an honest archive of two studies"
for _name, _words, _payload in (
    ("silent", "never answers A-RELEASE-RQ", b""),
    ("collision", "answers A-RELEASE-RQ with A-RELEASE-RQ", pdu(RELEASE_RQ, bytes(4))),
    ("with_data", "answers A-RELEASE-RQ with P-DATA-TF", data(1, 2, bytes(100))),
    ("with_noise", "answers A-RELEASE-RQ with noise", bytes(range(8, 256))),
    ("with_abort", "answers A-RELEASE-RQ with A-ABORT", abort(0, 0)),
    ("4_gib", "answers A-RELEASE-RQ with a claim of 4 GiB", lie(RELEASE_RP)),
):
    named(
        f"release_{_name}",
        f"{TWO} that {_words}",
        at_release(_payload),
        Reply.ACCEPTED,
        EXPOSED,
        READ,
        2,
    )


# --- and one that is honest: the harness sees what is there -------------------------------------------------------------

named(
    "honest",
    "no misbehaviour at all: two studies, open to everybody",
    no_tls_archive(finds(study(1), study(2))),
    Reply.ACCEPTED,
    EXPOSED,
    READ,
    2,
)
assert len({case.name for case in NAMED}) == len(NAMED), "two misbehaviours of one name"
