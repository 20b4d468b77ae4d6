"""Reads the first flight of a TLS server: records, handshake messages, alerts; SSL 3.0 to TLS 1.3 (RFC 6101, 5246, 8446).

Theory of operation: a ``FlightReader`` is fed chunks and cuts them into records, and the handshake records into messages;
it stops by itself at the first point where nothing more can be learnt without keys: ServerHelloDone, HelloRetryRequest,
encrypted records, an alert, or bytes that are no TLS. It never raises for what a peer sends: every ending is a
``FlightEnd``, and what was read before it stays. What it holds is bounded by ``limits.tls_flight_bytes``.
"""

from dataclasses import dataclass
from enum import IntEnum, StrEnum

from doorward.limits import DEFAULT_LIMITS, Limits
from doorward.web.tls_hello import SSL_3_0, TLS_1_3

_RECORD_HEADER_BYTES = 5
#: RFC 5246 section 6.2.3: what a record may hold at most, protection included.
_RECORD_BYTES = (1 << 14) + 2048

_SERVER_HELLO, _CERTIFICATE, _SERVER_KEY_EXCHANGE, _CERTIFICATE_REQUEST, _SERVER_HELLO_DONE = (
    2,
    11,
    12,
    13,
    14,
)
_SUPPORTED_VERSIONS, _KEY_SHARE = 43, 51
_EXTENDED_MASTER_SECRET, _RENEGOTIATION_INFO = 23, 0xFF01
#: The random value that makes a ServerHello a HelloRetryRequest (RFC 8446 section 4.1.3).
_RETRY_RANDOM = bytes.fromhex("cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c")
#: The end of the random value of a server that could do better (RFC 8446 section 4.1.3).
_DOWNGRADE_MARKS = (b"DOWNGRD\x01", b"DOWNGRD\x00")
#: More encrypted bytes than an alert can have, fewer than any certificate: the server goes on with the handshake.
_MORE_THAN_AN_ALERT = 128


class ContentType(IntEnum):
    """What a record holds (RFC 8446 section 5.1)."""

    CHANGE_CIPHER_SPEC = 20
    ALERT = 21
    HANDSHAKE = 22
    APPLICATION_DATA = 23


class FlightEnd(StrEnum):
    """Where reading ended, and why."""

    HELLO_DONE = "hello_done"  # up to TLS 1.2: the server waits for our keys
    RETRY = "retry"  # TLS 1.3: the server named the group that it wants
    ENCRYPTED = "encrypted"  # TLS 1.3: the rest is not for us
    ALERT = "alert"  # refused, with a reason
    CLOSED = "closed"  # the connection ended first
    SILENT = "silent"  # nothing more in time
    NOT_TLS = "not_tls"  # the first bytes are no TLS record
    MALFORMED = "malformed"  # TLS that breaks its own rules, or goes on for too long


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """A refusal (RFC 8446 section 6)."""

    level: int
    description: int

    @property
    def name(self) -> str:
        """The Standard's word, or the number."""
        return _ALERTS.get(self.description, f"alert {self.description}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerHello:
    """What the server chose. ``group`` is set in TLS 1.3 alone; ``version`` is the one that was negotiated."""

    version: int
    suite: int
    compression: int
    group: int | None
    is_retry: bool
    is_marked_as_downgrade: bool
    has_renegotiation_info: bool
    has_extended_master_secret: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Flight:
    """All that one ClientHello brought to light. ``certificates`` are DER, as sent, leaf first by the Standard."""

    end: FlightEnd
    hello: ServerHello | None = None
    certificates: tuple[bytes, ...] = ()
    key_exchange: bytes = b""  # the body of ServerKeyExchange: see ``read_key_exchange``
    requests_certificate: bool = False
    alert: Alert | None = None
    detail: str = ""  # for people; never bytes of the peer


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyExchange:
    """The parameters of an ephemeral key exchange up to TLS 1.2. None: not said, or not readable."""

    group: int | None = None
    dh_bits: int | None = None
    signature: int | None = None


class FlightReader:
    """Cuts one server's answer; see the module docstring."""

    def __init__(self, limits: Limits = DEFAULT_LIMITS) -> None:
        self._limits = limits
        self._records = bytearray()
        self._messages = bytearray()
        self._seen_bytes = 0
        self._encrypted_bytes = 0
        self._end: FlightEnd | None = None
        self._hello: ServerHello | None = None
        self._certificates: tuple[bytes, ...] = ()
        self._key_exchange = b""
        self._requests_certificate = False
        self._alert: Alert | None = None
        self._detail = ""

    @property
    def is_finished(self) -> bool:
        """Nothing more can be learnt from this connection."""
        return self._end is not None

    def receive(self, chunk: bytes | memoryview) -> None:
        """Take the next bytes of the server; without effect after the end."""
        room = self._limits.tls_flight_bytes - self._seen_bytes
        self._seen_bytes += len(chunk)
        self._records += chunk[:room]
        while (record := self._next_record()) is not None:
            self._take_record(*record)
        if len(chunk) > room:
            self._stop(FlightEnd.MALFORMED, "the first flight is longer than tls_flight_bytes")

    def stop(self, end: FlightEnd) -> None:
        """Say how the connection ended; without effect where reading had ended by itself."""
        self._stop(end, "")

    def flight(self) -> Flight:
        """Return what was seen; a reader that was not ended counts as silent."""
        return Flight(
            end=self._end or FlightEnd.SILENT,
            hello=self._hello,
            certificates=self._certificates,
            key_exchange=self._key_exchange,
            requests_certificate=self._requests_certificate,
            alert=self._alert,
            detail=self._detail,
        )

    def _stop(self, end: FlightEnd, detail: str) -> None:
        if self._end is None:
            self._end, self._detail = end, detail
        self._records[:] = bytes(len(self._records))  # where no TLS is spoken, they may be anything
        self._records.clear()
        self._messages.clear()

    # --- records (RFC 8446 section 5.1) ---

    def _next_record(self) -> tuple[int, bytes] | None:
        """Return type and content of the next whole record, or None for: more bytes are needed, or reading has ended."""
        head = self._records
        if self._end is not None:
            head.clear()
            return None
        if head and not _begins_record(head):
            words = "the answer is no TLS record"
            self._stop(FlightEnd.MALFORMED if self._hello else FlightEnd.NOT_TLS, words)
            return None
        if len(head) < _RECORD_HEADER_BYTES:
            return None
        length = int.from_bytes(head[3:5], "big")
        if length > _RECORD_BYTES:
            self._stop(FlightEnd.MALFORMED, "a record is longer than the protocol allows")
            return None
        if len(head) < _RECORD_HEADER_BYTES + length:
            return None
        kind = head[0]
        content = bytes(head[_RECORD_HEADER_BYTES : _RECORD_HEADER_BYTES + length])
        del head[: _RECORD_HEADER_BYTES + length]
        return kind, content

    def _take_record(self, kind: int, content: bytes) -> None:
        match kind:
            case ContentType.ALERT:
                self._take_alert(content)
            case ContentType.HANDSHAKE:
                self._messages += content
                while (message := self._next_message()) is not None:
                    self._take_message(*message)
            case ContentType.APPLICATION_DATA:
                self._encrypted_bytes += len(content)
                if self._hello is None:
                    self._stop(FlightEnd.MALFORMED, "encrypted data before the ServerHello")
                elif self._encrypted_bytes >= _MORE_THAN_AN_ALERT:
                    self._stop(FlightEnd.ENCRYPTED, "")
            case _:
                pass  # ChangeCipherSpec means nothing in TLS 1.3 (RFC 8446 D.4), and ends no flight of older versions

    def _take_alert(self, content: bytes) -> None:
        if len(content) < 2:
            self._stop(FlightEnd.MALFORMED, "an alert of less than two bytes")
            return
        alert = Alert(level=content[0], description=content[1])
        if alert.level == _WARNING and alert.description in _HARMLESS_WARNINGS:
            return
        self._alert = alert
        self._stop(FlightEnd.ALERT, alert.name)

    # --- handshake messages (RFC 5246 section 7.4) ---

    def _next_message(self) -> tuple[int, bytes] | None:
        if self._end is not None or len(self._messages) < 4:
            return None
        length = int.from_bytes(self._messages[1:4], "big")
        if length > self._limits.tls_flight_bytes:
            self._stop(FlightEnd.MALFORMED, "a handshake message is longer than tls_flight_bytes")
            return None
        if len(self._messages) < 4 + length:
            return None
        kind, body = self._messages[0], bytes(self._messages[4 : 4 + length])
        del self._messages[: 4 + length]
        return kind, body

    def _take_message(self, kind: int, body: bytes) -> None:
        try:
            if kind == _SERVER_HELLO:
                self._take_hello(body)
            elif self._hello is None:
                self._stop(FlightEnd.MALFORMED, "the first message is no ServerHello")
            elif kind == _CERTIFICATE:
                self._certificates = _certificates(body, self._limits.tls_certificates)
            elif kind == _SERVER_KEY_EXCHANGE:
                self._key_exchange = body
            elif kind == _CERTIFICATE_REQUEST:
                self._requests_certificate = True
            elif kind == _SERVER_HELLO_DONE:
                self._stop(FlightEnd.HELLO_DONE, "")
        except _Malformed as fault:
            self._stop(FlightEnd.MALFORMED, str(fault))

    def _take_hello(self, body: bytes) -> None:
        if self._hello is not None:
            raise _Malformed("a second ServerHello")
        hello = _server_hello(body)
        self._hello = hello
        if hello.is_retry:
            self._stop(FlightEnd.RETRY, "")


class _Malformed(Exception):
    """A message breaks its own lengths; never leaves this module."""


class _Cursor:
    """Walks a message; each step is checked against its end."""

    def __init__(self, content: bytes, what: str) -> None:
        self._content, self._at, self._what = content, 0, what

    @property
    def rest(self) -> int:
        return len(self._content) - self._at

    def take(self, count: int) -> bytes:
        if count > self.rest:
            raise _Malformed(f"a length in {self._what} leads beyond its end")
        self._at += count
        return self._content[self._at - count : self._at]

    def number(self, count: int) -> int:
        return int.from_bytes(self.take(count), "big")

    def block(self, length_bytes: int) -> bytes:
        return self.take(self.number(length_bytes))


def _begins_record(head: bytes | bytearray) -> bool:
    """Tell whether the bytes may begin a record: a known type, then major version 3."""
    return head[0] in _CONTENT_TYPES and (len(head) < 2 or head[1] == SSL_3_0 >> 8)


def _server_hello(body: bytes) -> ServerHello:
    cursor = _Cursor(body, "ServerHello")
    version, random = cursor.number(2), cursor.take(32)
    cursor.block(1)  # session
    suite, compression = cursor.number(2), cursor.number(1)
    extensions = _extensions(cursor)
    chosen = extensions.get(_SUPPORTED_VERSIONS)
    if chosen is not None:
        version = _Cursor(chosen, "supported_versions").number(2)
    share = extensions.get(_KEY_SHARE)
    group = None if share is None else _Cursor(share, "key_share").number(2)
    return ServerHello(
        version=version,
        suite=suite,
        compression=compression,
        group=group,
        is_retry=random == _RETRY_RANDOM,
        is_marked_as_downgrade=version < TLS_1_3 and random[24:] in _DOWNGRADE_MARKS,
        has_renegotiation_info=_RENEGOTIATION_INFO in extensions,
        has_extended_master_secret=_EXTENDED_MASTER_SECRET in extensions,
    )


def _extensions(cursor: _Cursor) -> dict[int, bytes]:
    """Return the extensions; none at all is how older servers say it."""
    if not cursor.rest:
        return {}
    inner = _Cursor(cursor.block(2), "the extensions")
    found: dict[int, bytes] = {}
    while inner.rest:
        number = inner.number(2)
        found[number] = inner.block(2)
    return found


def _certificates(body: bytes, most: int) -> tuple[bytes, ...]:
    inner = _Cursor(_Cursor(body, "Certificate").block(3), "Certificate")
    found: list[bytes] = []
    while inner.rest and len(found) < most:
        found.append(inner.block(3))
    return tuple(found)


def read_key_exchange(
    body: bytes, *, kind: str, has_hint: bool, is_signed: bool, has_scheme: bool
) -> KeyExchange:
    """Return the parameters in a ServerKeyExchange (RFC 5246 section 7.4.3, RFC 8422 section 5.4).

    ``kind`` is the suite's key exchange: only DHE and ECDHE can be read. ``has_hint``: an identity hint for shared keys
    comes first (RFC 4279). ``has_scheme``: from TLS 1.2 on the signature says its scheme. A body that breaks its lengths
    gives what was readable before.
    """
    cursor = _Cursor(body, "ServerKeyExchange")
    group: int | None = None
    dh_bits: int | None = None
    signature: int | None = None
    try:
        if has_hint:
            cursor.block(2)
        if kind == "ECDHE":
            if cursor.number(1) == _NAMED_CURVE:
                group = cursor.number(2)
                cursor.block(1)
        elif kind == "DHE":
            dh_bits = int.from_bytes(cursor.block(2), "big").bit_length()
            cursor.block(2)
            cursor.block(2)
        if is_signed and has_scheme and (group is not None or dh_bits is not None):
            signature = cursor.number(2)
    except _Malformed:
        pass
    return KeyExchange(group=group, dh_bits=dh_bits, signature=signature)


_CONTENT_TYPES = frozenset(ContentType)
_NAMED_CURVE = 3
_WARNING = 1
#: close_notify ends a connection; a warning about the name (RFC 6066 section 3) ends nothing.
_HARMLESS_WARNINGS = (112,)

#: RFC 8446 section 6, RFC 5246 section 7.2, RFC 7507 section 4.
_ALERTS = {
    0: "close_notify",
    10: "unexpected_message",
    20: "bad_record_mac",
    22: "record_overflow",
    40: "handshake_failure",
    41: "no_certificate",
    42: "bad_certificate",
    43: "unsupported_certificate",
    44: "certificate_revoked",
    45: "certificate_expired",
    46: "certificate_unknown",
    47: "illegal_parameter",
    48: "unknown_ca",
    49: "access_denied",
    50: "decode_error",
    51: "decrypt_error",
    70: "protocol_version",
    71: "insufficient_security",
    80: "internal_error",
    86: "inappropriate_fallback",
    90: "user_canceled",
    109: "missing_extension",
    110: "unsupported_extension",
    112: "unrecognized_name",
    113: "bad_certificate_status_response",
    115: "unknown_psk_identity",
    116: "certificate_required",
    120: "no_application_protocol",
}
