"""TLS messages made by hand for the tests, and the invariant of the reader that tests and fuzzing share.

Nothing of ``doorward`` takes part in making the bytes, so that a fault of ours cannot hide on both sides.
"""

from dataclasses import replace

from doorward.limits import DEFAULT_LIMITS
from doorward.web.tls_records import Flight, FlightEnd, FlightReader, read_key_exchange

RETRY_RANDOM = bytes.fromhex("cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c")
TIGHT = replace(DEFAULT_LIMITS, tls_flight_bytes=200, tls_certificates=2)


def block(length_bytes: int, content: bytes) -> bytes:
    return len(content).to_bytes(length_bytes, "big") + content


def record(kind: int, content: bytes, version: int = 0x0303) -> bytes:
    return bytes((kind,)) + version.to_bytes(2, "big") + block(2, content)


def message(kind: int, body: bytes) -> bytes:
    return bytes((kind,)) + block(3, body)


def handshake(*messages: bytes) -> bytes:
    return record(22, b"".join(messages))


def alert(description: int, level: int = 2) -> bytes:
    return record(21, bytes((level, description)))


def extension(number: int, content: bytes = b"") -> bytes:
    return number.to_bytes(2, "big") + block(2, content)


def server_hello(
    version: int = 0x0303,
    suite: int = 0xC02F,
    *,
    random: bytes = bytes(32),
    compression: int = 0,
    extensions: bytes | None = b"",
) -> bytes:
    body = version.to_bytes(2, "big") + random + block(1, b"")
    body += suite.to_bytes(2, "big") + bytes((compression,))
    if extensions is not None:
        body += block(2, extensions)
    return message(2, body)


def hello_of_1_3(suite: int = 0x1301, group: int = 29, *, is_retry: bool = False) -> bytes:
    share = group.to_bytes(2, "big") + (b"" if is_retry else block(2, bytes(32)))
    extensions = extension(43, b"\x03\x04") + extension(51, share)
    random = RETRY_RANDOM if is_retry else bytes(32)
    return server_hello(suite=suite, random=random, extensions=extensions)


def certificate(*encoded: bytes) -> bytes:
    return message(11, block(3, b"".join(block(3, one) for one in encoded)))


def ecdhe(group: int, scheme: int | None = 0x0401) -> bytes:
    body = b"\x03" + group.to_bytes(2, "big") + block(1, b"\x04" + bytes(64))
    return message(12, body + _signed(scheme))


def dhe(prime: bytes, scheme: int | None = 0x0401) -> bytes:
    return message(12, block(2, prime) + block(2, b"\x02") + block(2, b"\x05") + _signed(scheme))


def _signed(scheme: int | None) -> bytes:
    return (b"" if scheme is None else scheme.to_bytes(2, "big")) + block(2, bytes(64))


REQUEST = message(13, b"\x01\x01" + block(2, b"\x04\x01") + block(2, b""))
DONE = message(14, b"")


def check_flight(data: bytes) -> None:
    """The reader ends or waits, never raises, and any cutting of the same bytes gives the same flight."""
    limits = TIGHT if data[:1] == b"\x00" else DEFAULT_LIMITS
    content = data[1:]
    whole = FlightReader(limits)
    whole.receive(content)
    pieces = FlightReader(limits)
    for start in range(0, len(content), 1 + data[0] % 7 if data else 1):
        pieces.receive(content[start : start + 1 + data[0] % 7])
    assert pieces.flight() == whole.flight()
    flight = whole.flight()
    check_bounds(flight, limits.tls_flight_bytes, limits.tls_certificates)
    for kind in ("DHE", "ECDHE", "RSA"):
        read_key_exchange(
            flight.key_exchange, kind=kind, has_hint=False, is_signed=True, has_scheme=True
        )


def check_bounds(flight: Flight, most_bytes: int, most_certificates: int) -> None:
    held = sum(map(len, flight.certificates)) + len(flight.key_exchange)
    assert held <= most_bytes
    assert len(flight.certificates) <= most_certificates
    assert (flight.end is FlightEnd.ALERT) == (flight.alert is not None)
