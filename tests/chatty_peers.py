"""Peers that say more than they were asked: every value that may be about a person is a canary.

A canary begins and ends with a word that occurs nowhere else, so a search for the two words finds any of them, also one
whose head was overwritten. They come in data sets (whole, in pieces, broken, nested), in comments, in greetings.
"""

from collections.abc import Mapping

from pydicom.datadict import tag_for_keyword

from pdus import item
from scripted_peer import (
    C_CANCEL_RQ,
    C_FIND_RQ,
    IS_LAST,
    PENDING,
    Call,
    Message,
    Script,
    abort,
    archive,
    data,
    element,
    even,
    final,
    match,
    pdu,
    rejection,
    response,
)
from synthetic import PATIENT_KEYWORDS, SERIES_KEYWORDS, STUDY_KEYWORDS

HEAD, TAIL = b"CANARY", b"YRANAC"
WORDS = (HEAD, TAIL)
KEYWORDS = (*PATIENT_KEYWORDS, *STUDY_KEYWORDS, *SERIES_KEYWORDS, "ImageComments", "PatientSex")
FOUR_GIB = 0xFFFF_FFFF


def canary(number: int) -> bytes:
    """Sixteen bytes, so that it fits into the shortest text attributes."""
    return HEAD + b"%04d" % (number % 10_000) + TAIL


def tags() -> tuple[int, ...]:
    """The tags of all attributes that get a canary, ascending."""
    found = [tag_for_keyword(keyword) for keyword in KEYWORDS]
    return tuple(sorted(tag for tag in found if tag is not None))


TAGS = tags()


def nested(number: int) -> bytes:
    """A sequence of undefined length with a canary in it, and a private element with one."""
    inner = element(0x0040_A123, canary(number) * 3)
    return b"".join(
        (
            element(0x0040_A073, b"", length=FOUR_GIB),
            element(0xFFFE_E000, b"", length=FOUR_GIB),
            inner,
            element(0xFFFE_E00D, b""),
            element(0xFFFE_E0DD, b""),
            element(0x0041_1001, canary(number)),
        )
    )


def identifier(number: int, images: bytes = b"3 ") -> bytes:
    """A match with a canary in every attribute, what was asked for among them."""
    values = {tag: canary(number + place) for place, tag in enumerate(TAGS)}
    values |= {0x0008_0052: b"STUDY ", 0x0020_000D: even(b"2.25.%d" % (number + 1), b"\0")}
    below = b"".join(element(tag, values[tag]) for tag in sorted(values) if tag < 0x0020_1208)
    above = b"".join(element(tag, values[tag]) for tag in sorted(values) if tag > 0x0020_1208)
    return below + element(0x0020_1208, even(images)) + above + nested(number)


#: An accept whose names are canaries: software may call itself what it likes.
NAMES = (
    item(0x51, (16384).to_bytes(4, "big")),
    item(0x52, b"2.25.4711"),
    item(0x55, canary(9_001)),
)
COMMENT = (0x0902, canary(9_002) * 4)
#: A retired command element, which no message defines any more.
UNDEFINED = (0x4010, canary(9_003) * 2)


def lists(count: int, *, most: int = 16_000) -> Script:
    """Answer with so many matches, each in PDUs of at most ``most`` bytes, and end with a comment."""

    async def on_find(call: Call, message: Message) -> None:
        for number in range(count):
            await call.send(match(message, identifier(number), most=most))
        await call.send(final(message, 0xB000, COMMENT, UNDEFINED))

    return archive(on_find)


async def _long_last(call: Call, message: Message) -> None:
    """The last answer of all is the longest: nothing that comes later covers where it stood."""
    await call.send(match(message, identifier(1)))
    await call.send(match(message, identifier(2) + element(0x7FE0_0010, canary(5) * 900)))
    await call.send(final(message))


async def _in_small_segments(call: Call, message: Message) -> None:
    """What one read returns ends anywhere: in a header, in a name."""
    stream = b"".join(match(message, identifier(n)) for n in range(20)) + final(message)
    for at in range(0, len(stream), 37):
        await call.send(stream[at : at + 37])


async def _comments_everywhere(call: Call, message: Message) -> None:
    """A comment in each pending response, never the same."""
    for number in range(50):
        extra = ((0x0902, canary(number) * 3), UNDEFINED)
        command = response(message, PENDING, *extra, has_data=True)
        await call.send(
            data(message.context_id, 1, command[:50]),
            data(message.context_id, 3, command[50:]),
            data(message.context_id, IS_LAST, identifier(number)),
        )
    await call.send(final(message, 0xC000, COMMENT))


async def _broken(call: Call, message: Message) -> None:
    """Identifiers that end in the middle, and numbers that are names."""
    for number in range(20):
        await call.send(
            match(message, identifier(number)[:-7]),
            match(message, identifier(number, images=canary(number))),
            match(message, identifier(number, images=canary(number) * 9)),
        )
    await call.send(final(message))


async def _aborts(call: Call, message: Message) -> None:
    await call.send(*(match(message, identifier(n)) for n in range(10)), abort())


async def _stalls(call: Call, message: Message) -> None:
    """The last match never comes to its end."""
    await call.send(*(match(message, identifier(n)) for n in range(10)))
    await call.send(match(message, identifier(11))[:-40])


async def _noise(call: Call, message: Message) -> None:
    await call.send(match(message, identifier(1)), canary(7) * 500)


async def _too_long(call: Call, message: Message) -> None:
    """One identifier beyond every bound, made of names."""
    await call.send(data(message.context_id, 3, response(message, PENDING, has_data=True)))
    for _ in range(80):
        await call.send(data(message.context_id, 0, canary(3) * 1_000))
    await call.send(data(message.context_id, IS_LAST, canary(4)), final(message))


async def _rude(call: Call) -> None:
    """Answers C-ECHO with a data set, and stores at us what nobody asked for."""
    await call.accepted()
    while (message := await call.message()) is not None:
        if message.command_field == C_FIND_RQ:
            await call.send(match(message, identifier(5)), final(message))
        elif message.command_field != C_CANCEL_RQ:
            answer = response(message, 0, COMMENT, has_data=True)
            await call.send(
                data(message.context_id, 3, answer),
                data(message.context_id, IS_LAST, identifier(6)),
            )


async def _names(call: Call) -> None:
    """Canaries where software names itself; titles are not those that were asked for."""
    await call.asked()
    titles = call.accept(*NAMES)
    await call.send(titles[:10] + canary(9_004) + canary(9_005) + titles[42:])
    while (message := await call.message()) is not None:
        await call.send(final(message))


async def _greets(call: Call) -> None:
    """No DICOM at all."""
    await call.send(b"HTTP/1.1 200 OK\r\n\r\n" + canary(8) * 200)
    await call.until_gone()


async def _refuses(call: Call) -> None:
    """A rejection with names behind it."""
    await call.asked()
    await call.send(rejection(1, 1, 1), pdu(0x44, canary(2) * 10))


#: Name -> script: one audit meets all of them.
CHATTY: Mapping[str, Script] = {
    "whole": lists(200),
    "in_pieces": lists(20, most=100),
    "many": lists(1_500),
    "long_last": archive(_long_last),
    "small_segments": archive(_in_small_segments),
    "comments": archive(_comments_everywhere),
    "broken": archive(_broken),
    "aborts": archive(_aborts),
    "stalls": archive(_stalls),
    "noise": archive(_noise),
    "too_long": archive(_too_long),
    "rude": _rude,
    "greets": _greets,
    "refuses": _refuses,
}
#: What the peer calls itself is decoded: that is what the auditor identifies software by.
NAMING: Mapping[str, Script] = {"names": _names}
