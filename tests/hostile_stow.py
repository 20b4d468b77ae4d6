"""Bodies of STOW requests that somebody made to break an archive: each a generator, so that no test holds one whole."""

import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from archives import instance
from doorward.dicom.values import encode_identifier
from doorward.dicom.walk import Syntax
from stow_bodies import BOUNDARY, END, file, file_of, part

#: What a body is as long as, where its length is the point.
LONG_BYTES = 64_000_000
_BLOCK = 65_536
_DEFLATED = "1.2.840.10008.1.2.1.99"
_DELIMITER = f"--{BOUNDARY}".encode()

Body = Callable[[], Iterator[bytes]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Hostile:
    """One body, what may be answered, and how many instances of it may be held afterwards."""

    name: str
    body: Body
    statuses: frozenset[int]
    held: int = 0

    def __str__(self) -> str:
        return self.name


def _long(block: bytes, count_bytes: int = LONG_BYTES) -> Iterator[bytes]:
    many = block * (_BLOCK // len(block) + 1)
    for _ in range(count_bytes // len(many) + 1):
        yield many


def million_tiny_parts() -> Iterator[bytes]:
    """A million parts of one byte."""
    yield from _long(part(b"x"), 1_000_000 * len(part(b"x")))
    yield END


def million_empty_parts() -> Iterator[bytes]:
    """A million parts without a head or a byte."""
    yield from _long(_DELIMITER + b"\r\n\r\n\r\n", 1_000_000 * (len(_DELIMITER) + 6))
    yield END


def endless_header() -> Iterator[bytes]:
    """One header that goes on and on."""
    yield part(file("2.25.9.1"))
    yield _DELIMITER + b"\r\nContent-Type: "
    yield from _long(b"application/dicom;")


def endless_headers() -> Iterator[bytes]:
    """Headers without an end."""
    yield _DELIMITER + b"\r\n"
    for number in range(LONG_BYTES // 20):
        yield f"X-{number}: value of {number}\r\n".encode() * 1


def endless_preamble() -> Iterator[bytes]:
    """What is to be ignored before the first boundary, without one."""
    yield from _long(b"nothing here\r\n")


def endless_epilogue() -> Iterator[bytes]:
    """What is to be ignored behind the last boundary."""
    yield part(file("2.25.9.2")) + END
    yield from _long(b"nothing here\r\n")


def boundary_padding() -> Iterator[bytes]:
    """Blanks behind a boundary (RFC 2046 transport padding)."""
    yield _DELIMITER
    yield from _long(b" \t")


def nearly_boundaries() -> Iterator[bytes]:
    """Nothing but beginnings of a boundary, one byte too short."""
    yield _DELIMITER + b"\r\n\r\n"
    yield from _long(b"\r\n" + _DELIMITER[:-1])
    yield b"\r\n" + END


def nested() -> Iterator[bytes]:
    """Parts within parts within parts."""
    for depth in range(5_000):
        yield part(b"", {"Content-Type": f"multipart/mixed; boundary={BOUNDARY}{depth}"})
        yield f"--{BOUNDARY}{depth}\r\n\r\n".encode()
    yield END


def no_end() -> Iterator[bytes]:
    """A whole instance, then half of one, then nothing."""
    yield part(file("2.25.9.3"))
    yield part(file("2.25.9.4", b"\0" * 1_000))[:-500]


def endless_instance() -> Iterator[bytes]:
    """A data set whose pixels do not end."""
    yield part(file("2.25.9.5"))[:-4]
    yield from _long(bytes(1_000))


def endless_meta() -> Iterator[bytes]:
    """File meta information of empty elements."""
    yield _DELIMITER + b"\r\n\r\n" + bytes(128) + b"DICM"
    yield from _long(b"\x02\x00\x02\x01OB\x00\x00\x00\x00\x00\x00")


def endless_head() -> Iterator[bytes]:
    """A data set of empty elements before its pixels."""
    one = instance("2.25.9.6")
    yield _DELIMITER + b"\r\n\r\n" + file_of(replace(one, data_set=b""))
    yield from _long(b"\x09\x00\x10\x00LO\x00\x00")


def deep() -> Iterator[bytes]:
    """Sequences within sequences."""
    begin = b"\x08\x00\x40\x11SQ\x00\x00\xff\xff\xff\xff\xfe\xff\x00\xe0\xff\xff\xff\xff"
    yield part(file_of(replace(instance("2.25.9.7"), data_set=begin * 100_000)))
    yield END


def deflated_bomb() -> Iterator[bytes]:
    """A deflated data set of which a thousandth is sent."""
    plain = encode_identifier([(0x00080018, "UI", "2.25.9.8")], Syntax.EXPLICIT_LITTLE)
    packer = zlib.compressobj(9, wbits=-15)
    sent = packer.compress(plain + b"\x09\x00\x10\x10OB\x00\x00\x00\x00\x00\x70")
    sent += b"".join(packer.compress(bytes(1_000_000)) for _ in range(500)) + packer.flush()
    yield part(file_of(replace(instance("2.25.9.8"), transfer_syntax_uid=_DEFLATED, data_set=sent)))
    yield END


def character_sets() -> Iterator[bytes]:
    """Thousands of character sets, and names that change between them at each letter."""
    sets = "\\".join(["", *["ISO 2022 IR 87", "ISO 2022 IR 149", "ISO_IR 192", "GB18030"] * 400])
    name = b"\x1b$B!!\x1b(B\x1b$)C\x0e=" * 5_000
    elements = [
        (0x00080005, "CS", sets[:65_000]),
        (0x00080016, "UI", "1.2.840.10008.5.1.4.1.1.2"),
        (0x00080018, "UI", "2.25.9.9"),
        (0x00100020, "LO", "P1"),
        (0x0020000D, "UI", "2.25.9.9.1"),
        (0x0020000E, "UI", "2.25.9.9.2"),
    ]
    data_set = encode_identifier(elements, Syntax.EXPLICIT_LITTLE)
    raw = name[:60_000]
    pn = b"\x10\x00\x10\x00PN" + len(raw).to_bytes(2, "little") + raw
    at = data_set.index(b"\x10\x00\x20\x00LO")
    one = replace(instance("2.25.9.9"), data_set=data_set[:at] + pn + data_set[at:])
    yield part(file_of(one))
    yield END


def paths() -> Iterator[bytes]:
    """UIDs that would be paths."""
    for number, uid in enumerate((b"../../../../tmp/x1", b"/etc/passwd1", b"%2e%2e%2fx12", b"..")):
        plain = "7" * len(uid)
        one = file(f"2.25.9.10.{number}", StudyInstanceUID=plain, SeriesInstanceUID=plain)
        yield part(one.replace(plain.encode(), uid))
        own = "6" * len(uid)
        yield part(file(own).replace(own.encode(), uid))
    yield END


def lying_lengths() -> Iterator[bytes]:
    """Elements that say four gigabytes."""
    body = b"\x08\x00\x18\x00UI\xff\xff" + b"1" * 100
    yield part(file_of(replace(instance("2.25.9.12"), data_set=body)))
    body = b"\xe0\x7f\x10\x00OW\x00\x00\xfe\xff\xff\xff" + b"1" * 100
    yield part(
        file_of(replace(instance("2.25.9.13"), data_set=instance("1").data_set[:-14] + body))
    )
    yield END


#: What stands before a file that is something else as well.
POLYGLOTS: dict[str, bytes] = {
    "html": b"<html><script>alert(1)</script>".ljust(128, b" "),
    "pe": (b"MZ" + bytes(58) + (0x80).to_bytes(4, "little")).ljust(128, b"\x90"),
    "elf": b"\x7fELF\x02\x01\x01".ljust(128, b"\0"),
    "tiff": b"II*\0\x08\0\0\0".ljust(128, b"\x01"),
    "jpeg": b"\xff\xd8\xff\xe0\0\x10JFIF\0".ljust(128, b"\x02"),
    "zip": b"PK\x03\x04".ljust(128, b"\x03"),
    "shell": b"#!/bin/sh\nid\nexit\n".ljust(128, b"\n"),
}

_BAD = frozenset({400, 409, 413})
HOSTILE: tuple[Hostile, ...] = (
    Hostile(name="million tiny parts", body=million_tiny_parts, statuses=_BAD),
    Hostile(name="million empty parts", body=million_empty_parts, statuses=_BAD),
    Hostile(name="endless header", body=endless_header, statuses=frozenset({202}), held=1),
    Hostile(name="endless headers", body=endless_headers, statuses=_BAD),
    Hostile(name="endless preamble", body=endless_preamble, statuses=_BAD),
    Hostile(name="endless epilogue", body=endless_epilogue, statuses=frozenset({202}), held=1),
    Hostile(name="boundary padding", body=boundary_padding, statuses=_BAD),
    Hostile(name="nearly boundaries", body=nearly_boundaries, statuses=_BAD),
    Hostile(name="nested", body=nested, statuses=_BAD),
    Hostile(name="no end", body=no_end, statuses=frozenset({202}), held=1),
    Hostile(name="endless instance", body=endless_instance, statuses=_BAD),
    Hostile(name="endless meta", body=endless_meta, statuses=_BAD),
    Hostile(name="endless head", body=endless_head, statuses=_BAD),
    Hostile(name="deep", body=deep, statuses=_BAD),
    Hostile(name="deflated bomb", body=deflated_bomb, statuses=_BAD),
    Hostile(name="character sets", body=character_sets, statuses=_BAD | {200}, held=1),
    Hostile(name="paths", body=paths, statuses=_BAD),
    Hostile(name="lying lengths", body=lying_lengths, statuses=_BAD),
)
