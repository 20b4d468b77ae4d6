"""The first message of a TLS client, made by hand, so that anything can be offered (RFC 8446 section 4.1.2, RFC 5246).

Theory of operation: no library of today can offer SSL 3.0, an export suite or one suite alone; a ``ClientHello`` here is a
value that says what to offer, and ``encode`` makes the bytes. Nobody ever finishes a handshake begun with it: a key share
is the base point of its group, whose secret everybody knows, and chance is an argument.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

SSL_3_0, TLS_1_0, TLS_1_1, TLS_1_2, TLS_1_3 = 0x0300, 0x0301, 0x0302, 0x0303, 0x0304
#: Version on the wire -> name, oldest first; the names are those of ``net.tls``.
VERSION_NAMES = {
    SSL_3_0: "SSLv3",
    TLS_1_0: "TLSv1",
    TLS_1_1: "TLSv1.1",
    TLS_1_2: "TLSv1.2",
    TLS_1_3: "TLSv1.3",
}
RANDOM_BYTES = 32

#: Signalling suites: they stand in the list of suites and mean something else.
EMPTY_RENEGOTIATION_INFO_SCSV = 0x00FF  # RFC 5746 section 3.3
FALLBACK_SCSV = 0x5600  # RFC 7507 section 2

DEFLATE, NO_COMPRESSION = 1, 0

_HANDSHAKE_RECORD = 22
_CLIENT_HELLO = 1

_SERVER_NAME = 0
_SUPPORTED_GROUPS = 10
_POINT_FORMATS = 11
_SIGNATURE_ALGORITHMS = 13
_PADDING = 21
_ENCRYPT_THEN_MAC = 22
_EXTENDED_MASTER_SECRET = 23
_SUPPORTED_VERSIONS = 43
_SIGNATURE_ALGORITHMS_CERT = 50
_KEY_SHARE = 51
_RENEGOTIATION_INFO = 0xFF01

#: Some load balancers hang on a hello of these lengths (RFC 7685 section 1).
_LENGTHS_THAT_HANG = range(256, 512)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientHello:
    """What to offer. ``versions`` newest first; ``suites``, ``groups`` and ``signatures`` in order of preference.

    ``key_shares`` is empty where the server shall name the group that it wants (RFC 8446 section 4.2.8).
    """

    versions: tuple[int, ...]
    suites: tuple[int, ...]
    random: bytes
    server_name: str = ""
    groups: tuple[int, ...] = ()
    signatures: tuple[int, ...] = ()
    #: For the certificates, where they may be signed otherwise than the handshake (RFC 8446 section 4.2.3).
    certificate_signatures: tuple[int, ...] = ()
    key_shares: tuple[tuple[int, bytes], ...] = ()
    compressions: tuple[int, ...] = (NO_COMPRESSION,)
    is_fallback: bool = False

    @property
    def offers_tls_1_3(self) -> bool:
        """TLS 1.3 is among the versions."""
        return TLS_1_3 in self.versions

    def encode(self) -> bytes:
        """Return the hello as one record.

        Raises ValueError for a value that the format cannot carry (our own fault, never the peer's).
        """
        if len(self.random) != RANDOM_BYTES or not self.versions or not self.suites:
            raise ValueError("a ClientHello needs 32 random bytes, a version and a suite")
        newest = max(self.versions)
        body = self._fixed_part(min(newest, TLS_1_2))
        # SSL 3.0 knows no extensions, and some of its servers fail on them.
        extensions = b"" if newest == SSL_3_0 else self._extensions(len(body))
        message = body + (_block(2, extensions) if extensions else b"")
        handshake = bytes((_CLIENT_HELLO,)) + _block(3, message)
        # RFC 8446 section 5.1: the first record may say TLS 1.0, for servers that look at it.
        record_version = min(newest, TLS_1_0)
        return (
            bytes((_HANDSHAKE_RECORD,)) + record_version.to_bytes(2, "big") + _block(2, handshake)
        )

    def _fixed_part(self, legacy_version: int) -> bytes:
        suites = list(self.suites)
        if self.is_fallback:
            suites.append(FALLBACK_SCSV)
        if self.versions == (SSL_3_0,):
            suites.append(EMPTY_RENEGOTIATION_INFO_SCSV)
        # RFC 8446 D.4: an invented session makes middleboxes take TLS 1.3 for a resumption.
        session = self.random if self.offers_tls_1_3 else b""
        return (
            legacy_version.to_bytes(2, "big")
            + self.random
            + _block(1, session)
            + _block(2, _numbers(suites))
            + _block(1, bytes(self.compressions))
        )

    def _extensions(self, fixed_bytes: int) -> bytes:
        found = [_extension(_SERVER_NAME, _host(self.server_name))] if self.server_name else []
        found.append(_extension(_RENEGOTIATION_INFO, _block(1, b"")))
        found.append(_extension(_EXTENDED_MASTER_SECRET, b""))
        found.append(_extension(_ENCRYPT_THEN_MAC, b""))
        if self.groups:
            found.append(_extension(_SUPPORTED_GROUPS, _block(2, _numbers(self.groups))))
            found.append(_extension(_POINT_FORMATS, _block(1, bytes((0,)))))  # uncompressed
        if max(self.versions) >= TLS_1_2:
            for number, schemes in (
                (_SIGNATURE_ALGORITHMS, self.signatures),
                (_SIGNATURE_ALGORITHMS_CERT, self.certificate_signatures),
            ):
                found += [_extension(number, _block(2, _numbers(schemes)))] if schemes else []
        if self.offers_tls_1_3:
            found.append(_extension(_SUPPORTED_VERSIONS, _block(1, _numbers(self.versions))))
            shares = b"".join(_numbers((group,)) + _block(2, key) for group, key in self.key_shares)
            found.append(_extension(_KEY_SHARE, _block(2, shares)))
        made = b"".join(found)
        handshake_bytes = 4 + fixed_bytes + 2 + len(made)
        if handshake_bytes in _LENGTHS_THAT_HANG:
            made += _extension(_PADDING, bytes(_LENGTHS_THAT_HANG.stop - handshake_bytes))
        return made


def base_point(group: int) -> bytes | None:
    """Return a public key of a group that everybody may know, the base point; None for a group without one here.

    A server that is asked for a whole flight checks that the key lies in the group (RFC 8446 section 4.2.8.2).
    """
    if group in _WEIERSTRASS_BASE:
        return bytes.fromhex("04" + _WEIERSTRASS_BASE[group])
    return {29: bytes((9,)) + bytes(31), 30: bytes((5,)) + bytes(55)}.get(group)  # RFC 7748


#: secp256r1, secp384r1, secp521r1: x and y of the base point (SEC 2 section 2).
_WEIERSTRASS_BASE = {
    23: "6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296"
    "4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5",
    24: "aa87ca22be8b05378eb1c71ef320ad746e1d3b628ba79b9859f741e082542a385502f25dbf55296c3a545e3872760ab7"
    "3617de4a96262c6f5d9e98bf9292dc29f8f41dbd289a147ce9da3113b5f0b8c00a60b1ce1d7e819d7a431d7c90ea0e5f",
    25: "00c6858e06b70404e9cd9e3ecb662395b4429c648139053fb521f828af606b4d3dbaa14b5e77efe75928fe1dc127a2ffa8de3348b3c1856a"
    "429bf97e7e31c2e5bd66011839296a789a3bc0045c8a5fb42c7d1bd998f54449579b446817afbd17273e662c97ee72995ef42640c550b901"
    "3fad0761353c7086a272c24088be94769fd16650",
}


def _numbers(values: Sequence[int] | Iterable[int]) -> bytes:
    return b"".join(value.to_bytes(2, "big") for value in values)


def _block(length_bytes: int, content: bytes) -> bytes:
    """Put the length before the content; OverflowError is a ValueError in the making, so it is said as one."""
    try:
        return len(content).to_bytes(length_bytes, "big") + content
    except OverflowError:
        raise ValueError(f"{len(content)} bytes do not fit into a ClientHello") from None


def _extension(number: int, content: bytes) -> bytes:
    return number.to_bytes(2, "big") + _block(2, content)


def _host(name: str) -> bytes:
    """Return the one host name of the server name extension (RFC 6066 section 3); the name is ASCII, without a last dot."""
    return _block(2, b"\0" + _block(2, name.rstrip(".").encode("idna")))
