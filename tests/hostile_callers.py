"""Misbehaviours of a caller that our server meets: each has a name, a sentence, bytes, and what the server must answer.

The answer is the last PDU that the server sends before it closes, by type; ``CLOSED`` means that it closes without one.
Bytes are written by hand with the parts of ``scripted_peer``: nothing of ``doorward`` makes them.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import repeat

from pdus import (
    APPLICATION_CONTEXT,
    CLASS_UID,
    IMPLICIT,
    MAXIMUM_LENGTH,
    associate,
    item,
    proposed,
    user,
)
from scripted_peer import (
    ABORT,
    ASSOCIATE_AC,
    ASSOCIATE_RJ,
    ASSOCIATE_RQ,
    DATA_TF,
    RELEASE_RP,
    RELEASE_RQ,
    command_set,
    data,
    element,
    pdu,
    pdv,
    rejection,
    study,
    us,
)

CLOSED = 0
#: In the place of a chunk: wait for the first answer. Who sends data before the accept breaks the rules by that alone.
ANSWERED = b""
FOUR_GIB = 0xFFFF_FFFF
VERIFICATION = b"1.2.840.10008.1.1"
STUDY_ROOT_FIND = b"1.2.840.10008.5.1.4.1.2.2.1"
CT_STORAGE = b"1.2.840.10008.5.1.4.1.1.2"
#: Context ids of the request below.
ECHO, FIND, STORE = 1, 3, 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """One hostile caller."""

    name: str
    words: str
    #: What it sends; an endless iterator is a flood.
    chunks: tuple[bytes, ...] | Iterator[bytes]
    #: Type of the last PDU of the server.
    answer: int
    #: Pause between two chunks.
    pause_s: float = 0.0
    #: How it ends: "wait" for the server, "reset", "half" (FIN, and read on), or "deaf" (never read
    #: what comes after the accept).
    ends: str = "wait"


def request(*contexts: bytes, items: tuple[bytes, ...] | None = None) -> bytes:
    """An A-ASSOCIATE-RQ."""
    body = items or (item(0x10, APPLICATION_CONTEXT), *contexts, user(MAXIMUM_LENGTH, CLASS_UID))
    return pdu(ASSOCIATE_RQ, associate(*body))


GOOD = request(
    proposed(ECHO, (VERIFICATION,)),
    proposed(FIND, (STUDY_ROOT_FIND,)),
    proposed(STORE, (CT_STORAGE,)),
)
ECHO_COMMAND = command_set(0x0030, (0x0002, VERIFICATION + b"\0"), (0x0110, us(1)))
ECHO_REQUEST = data(ECHO, 3, ECHO_COMMAND)
FIND_COMMAND = command_set(
    0x0020, (0x0002, STUDY_ROOT_FIND + b"\0"), (0x0110, us(2)), (0x0700, us(0)), has_data=True
)
STORE_COMMAND = command_set(
    0x0001,
    (0x0002, CT_STORAGE + b"\0"),
    (0x0110, us(3)),
    (0x0700, us(0)),
    (0x1000, b"2.25.1"),
    has_data=True,
)
CANCEL = data(FIND, 3, command_set(0x0FFF, (0x0120, us(2))))
RELEASE = pdu(RELEASE_RQ, bytes(4))
USER = user(MAXIMUM_LENGTH, CLASS_UID)
NAMED: list[Caller] = []


def named(
    name: str,
    words: str,
    *chunks: bytes,
    answer: int,
    pause_s: float = 0.0,
    ends: str = "wait",
    forever: bytes = b"",
) -> None:
    """Add one to the table; ``forever`` is sent without end after the chunks."""

    def flood() -> Iterator[bytes]:
        yield from chunks
        yield from repeat(forever * max(1, 65_536 // len(forever)))

    NAMED.append(
        Caller(
            name=name,
            words=words,
            chunks=flood() if forever else chunks,
            answer=answer,
            pause_s=pause_s,
            ends=ends,
        )
    )


def lie(pdu_type: int, length: int = FOUR_GIB) -> bytes:
    """A header that claims so much."""
    return pdu(pdu_type, b"", length=length)


def refused_request(name: str, words: str, *items: bytes) -> None:
    """An association request that breaks the Standard: A-ABORT."""
    named(name, words, request(items=items), answer=ABORT)


# --- before the association -------------------------------------------------------------------------------------------

named("silent", "connects and says nothing", answer=CLOSED)
named("half_a_header", "three bytes, then nothing", b"\1\0\0", answer=CLOSED)
named("half_a_request", "half an A-ASSOCIATE-RQ, then nothing", GOOD[:100], answer=CLOSED)
named(
    "slow_request",
    "an A-ASSOCIATE-RQ at five bytes a second",
    *(bytes((b,)) for b in GOOD[:40]),
    answer=CLOSED,
    pause_s=0.2,
)
named(
    "byte_at_a_time",
    "an honest caller whose headers come byte by byte",
    *(bytes((b,)) for b in GOOD[:8]),
    GOOD[8:],
    ANSWERED,
    *(bytes((b,)) for b in ECHO_REQUEST[:14]),
    ECHO_REQUEST[14:],
    *(bytes((b,)) for b in RELEASE),
    answer=RELEASE_RP,
)
named("claims_4_gib", "an A-ASSOCIATE-RQ of 4 GiB", lie(ASSOCIATE_RQ), answer=ABORT)
named("claims_4_gib_data", "P-DATA-TF of 4 GiB before any association", lie(DATA_TF), answer=ABORT)
named("claims_nothing", "an A-ASSOCIATE-RQ of length 0", lie(ASSOCIATE_RQ, 0), answer=ABORT)
named("data_first", "C-ECHO before any association", ECHO_REQUEST, answer=ABORT)
named("release_first", "A-RELEASE-RQ before any association", RELEASE, answer=ABORT)
named("abort_first", "A-ABORT before any association", pdu(ABORT, bytes(4)), answer=CLOSED)
named(
    "accept_first",
    "A-ASSOCIATE-AC to an acceptor",
    pdu(ASSOCIATE_AC, associate(item(0x10, APPLICATION_CONTEXT))),
    answer=ABORT,
)
named("reject_first", "A-ASSOCIATE-RJ to an acceptor", rejection(1, 1, 1), answer=ABORT)
for _number in (0x00, 0x08, 0xFF):
    named(
        f"pdu_type_{_number:02x}", f"PDU type 0x{_number:02X}", pdu(_number, bytes(4)), answer=ABORT
    )
named("http", "an HTTP request", b"GET / HTTP/1.1\r\nHost: archive\r\n\r\n", answer=ABORT)
named("ssh", "an SSH banner", b"SSH-2.0-Go\r\n", answer=ABORT)
named(
    "tls_hello",
    "a TLS ClientHello",
    bytes.fromhex("16030100ca010000c60303") + bytes(195),
    answer=ABORT,
)
named("noise", "binary noise", bytes((n * 167 + 13) % 256 for n in range(5000)), answer=ABORT)
named("zeros_for_ever", "zeros without end", answer=ABORT, forever=bytes(65_536))
named("resets", "an honest request, then RST", GOOD, answer=ASSOCIATE_AC, ends="reset")
named(
    "half_closed",
    "an honest request, then FIN while it reads on",
    GOOD,
    answer=ASSOCIATE_AC,
    ends="half",
)

# --- the request itself -----------------------------------------------------------------------------------------------

APPLICATION = item(0x10, APPLICATION_CONTEXT)
refused_request("zero_length_items", "40,000 items of length zero", *(item(0x20),) * 40_000)
refused_request(
    "sixteen_thousand_sub_items",
    "16,000 sub-items of four bytes",
    APPLICATION,
    proposed(),
    user(*(item(0x7A),) * 16_000),
)
refused_request(
    "overlong_uid",
    "an abstract syntax of 300 bytes",
    APPLICATION,
    proposed(1, (b"1." * 150,)),
    USER,
)
refused_request(
    "overlong_identity",
    "a user identity of 65,000 bytes",
    APPLICATION,
    proposed(),
    user(
        MAXIMUM_LENGTH,
        CLASS_UID,
        item(0x58, b"\1\0" + (64_000).to_bytes(2, "big") + bytes(64_000) + b"\0\0"),
    ),
)
refused_request(
    "same_context_twice", "two contexts of one id", APPLICATION, proposed(), proposed(), USER
)
refused_request("even_context", "an even context id", APPLICATION, proposed(2), USER)
refused_request("no_contexts", "no presentation context", APPLICATION, USER)
refused_request("no_user_information", "no user information", APPLICATION, proposed())
refused_request(
    "thousand_syntaxes",
    "a context with 1,000 transfer syntaxes",
    APPLICATION,
    proposed(1, (VERIFICATION,), (IMPLICIT,) * 1_000),
    USER,
)
refused_request(
    "max_length_1",
    "takes one byte in a PDU",
    APPLICATION,
    proposed(),
    user(item(0x51, (1).to_bytes(4, "big")), CLASS_UID),
)
refused_request(
    "max_length_8",
    "takes eight bytes in a PDU",
    APPLICATION,
    proposed(),
    user(item(0x51, (8).to_bytes(4, "big")), CLASS_UID),
)
named(
    "nothing_known",
    "proposes only what nobody knows",
    request(proposed(1, (b"2.25.4711",))),
    answer=ASSOCIATE_AC,
    ends="half",
)
named("request_twice", "two requests in one segment", GOOD * 2, answer=ABORT)
named(
    "all_128_contexts",
    "128 contexts with 64 transfer syntaxes each, and C-ECHO",
    request(
        *(
            proposed(n, (VERIFICATION,), (IMPLICIT, *(b"2.25.%d" % k for k in range(63))))
            for n in range(1, 256, 2)
        )
    ),
    ANSWERED,
    ECHO_REQUEST,
    RELEASE,
    answer=RELEASE_RP,
)

# --- on the association -----------------------------------------------------------------------------------------------


def on_association(
    name: str, words: str, *chunks: bytes, answer: int = ABORT, forever: bytes = b""
) -> None:
    """A fault of a caller that was let in."""
    named(name, words, GOOD, ANSWERED, *chunks, answer=answer, forever=forever)


on_association("data_of_4_gib", "P-DATA-TF of 4 GiB", lie(DATA_TF))
on_association("pdv_of_0", "a value of length 0", pdu(DATA_TF, pdv(1, 3, b"", length=0)))
on_association(
    "pdv_beyond_pdu",
    "a value of 4 GiB in ten bytes",
    pdu(DATA_TF, pdv(1, 3, b"\0" * 4, length=FOUR_GIB)),
)
on_association(
    "foreign_context", "C-ECHO on a context that was never accepted", data(99, 3, ECHO_COMMAND)
)
on_association("command_is_noise", "a command set of noise", data(ECHO, 3, bytes(range(200))))
on_association(
    "command_unknown",
    "a command field that does not exist",
    data(ECHO, 3, command_set(0x7777, (0x0110, us(1)))),
)
on_association(
    "command_element_of_4_gib",
    "a command element of 4 GiB",
    data(ECHO, 3, element(2, b"", length=FOUR_GIB)),
)
on_association(
    "command_without_end", "command fragments without end", forever=data(ECHO, 1, bytes(1000))
)
on_association(
    "empty_commands_without_end", "empty command fragments without end", forever=data(ECHO, 1, b"")
)
on_association(
    "identifier_without_end",
    "a C-FIND identifier without end",
    data(FIND, 3, FIND_COMMAND),
    forever=data(FIND, 0, bytes(16_000)),
)
on_association(
    "empty_identifier_without_end",
    "empty data set fragments without end",
    data(FIND, 3, FIND_COMMAND),
    forever=data(FIND, 0, b""),
)
on_association(
    "instance_without_end",
    "a C-STORE data set beyond all bounds",
    data(STORE, 3, STORE_COMMAND),
    forever=data(STORE, 0, bytes(16_000)),
)
on_association(
    "data_without_command", "a data set that no command announced", data(FIND, 2, study())
)
on_association(
    "command_in_data",
    "a command in the middle of a data set",
    data(FIND, 3, FIND_COMMAND),
    ECHO_REQUEST,
)
on_association(
    "never_sends_the_identifier",
    "announces an identifier and falls silent",
    data(FIND, 3, FIND_COMMAND),
)
on_association("idle", "asks for nothing at all")
on_association(
    "response_unasked",
    "a C-STORE response that nobody waits for, then silence",
    data(STORE, 3, command_set(0x8001, (0x0120, us(9)), (0x0900, us(0)))),
)
on_association(
    "event_report",
    "an N-EVENT-REPORT request",
    data(
        ECHO,
        3,
        command_set(
            0x0100, (0x0002, VERIFICATION), (0x0110, us(1)), (0x1000, b"2.25.1"), (0x1002, us(1))
        ),
    ),
)
on_association(
    "two_finds_at_once",
    "a second C-FIND while the first runs",
    data(FIND, 3, FIND_COMMAND),
    data(FIND, 2, study()),
    data(FIND, 3, FIND_COMMAND),
    data(FIND, 2, study()),
)
on_association(
    "cancels_nothing",
    "ten thousand C-CANCELs, then release",
    CANCEL * 10_000,
    RELEASE,
    answer=RELEASE_RP,
)
on_association("request_on_association", "a second A-ASSOCIATE-RQ", ECHO_REQUEST, GOOD)
on_association("release_collision", "A-RELEASE-RP that nobody asked for", pdu(RELEASE_RP, bytes(4)))
on_association("data_after_release", "C-ECHO after A-RELEASE-RQ", RELEASE + ECHO_REQUEST)
on_association("release_of_wrong_length", "A-RELEASE-RQ of 5 bytes", pdu(RELEASE_RQ, bytes(5)))
on_association(
    "abort_with_odd_codes",
    "A-ABORT with codes that do not exist",
    pdu(ABORT, b"\0\0\x4d\x63"),
    answer=ASSOCIATE_AC,
)
named(
    "asks_and_never_reads",
    "C-ECHO without end, and never reads an answer",
    GOOD,
    ANSWERED,
    answer=ASSOCIATE_AC,
    ends="deaf",
    forever=ECHO_REQUEST,
)
assert len({caller.name for caller in NAMED}) == len(NAMED), "two callers of one name"
assert ASSOCIATE_RJ  # nobody here is rejected: that is for who is polite
