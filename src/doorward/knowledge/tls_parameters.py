"""What the numbers of TLS mean: cipher suites, groups, signature schemes (IANA registry "TLS Parameters").

Theory of operation: the rows of tls_parameters.toml carry the number and the name; everything that a rule asks of a suite
(key exchange, authentication, encryption, its strength, its hash) is read from the name, which says all of it:
``TLS_<key exchange>_<authentication>_WITH_<encryption>_<hash>``, or ``TLS_<encryption>_<hash>`` since TLS 1.3.
"""

from dataclasses import dataclass
from functools import cache

from doorward.knowledge.loader import rows

_FILE = "tls_parameters.toml"

#: Encryption as the names write it -> security in bits (RFC 9325 section 4.1 counts 3DES as 112; what can be broken is 0).
_STRENGTH = {
    "NULL": 0,
    "RC4_40": 40,
    "RC4_56": 56,
    "RC4_128": 128,
    "RC2_CBC_40": 40,
    "RC2_CBC_56": 56,
    "DES40_CBC": 40,
    "DES_CBC_40": 40,
    "DES_CBC": 56,
    "3DES_EDE_CBC": 112,
    "IDEA_CBC": 128,
    "SEED_CBC": 128,
    "CHACHA20_POLY1305": 256,
}
_HASHES = ("MD5", "SHA", "SHA256", "SHA384")
_AUTHENTICATED = ("GCM", "CCM", "POLY1305")
_EPHEMERAL = ("DHE", "ECDHE")


@dataclass(frozen=True, slots=True, kw_only=True)
class Suite:
    """One cipher suite. ``openssl`` is "" where OpenSSL never had it."""

    number: int
    name: str
    source: str
    openssl: str = ""

    @property
    def is_tls_1_3(self) -> bool:
        """It names no key exchange: for TLS 1.3 only (RFC 8446 section 4.1.2)."""
        return "_WITH_" not in self.name

    @property
    def key_exchange(self) -> str:
        """RSA, DH, DHE, ECDH, ECDHE, PSK, KRB5, SRP, ECCPWD; "ANY" for TLS 1.3, whose groups decide."""
        if self.is_tls_1_3:
            return "ANY"
        first, *_ = self._key_words
        return "DHE" if self._key_words[:2] == ("PSK", "DHE") else first

    @property
    def authentication(self) -> str:
        """RSA, DSS, ECDSA, ANON, PSK, KRB5, SRP, ECCPWD; "ANY" for TLS 1.3, whose signature schemes decide."""
        if self.is_tls_1_3:
            return "ANY"
        words = [word for word in self._key_words if word not in ("DH", "DHE", "ECDH", "ECDHE")]
        known = [w for w in words if w in ("RSA", "DSS", "ECDSA", "ANON", "KRB5", "SRP", "ECCPWD")]
        if "PSK" in words and "RSA" not in words:
            return "PSK"
        return known[-1] if known else "PSK"

    @property
    def encryption(self) -> str:
        """Cipher and mode as the name writes them, e.g. AES_128_GCM, 3DES_EDE_CBC, NULL."""
        text = self.name.partition("_WITH_")[2] or self.name.removeprefix("TLS_")
        body, _, last = text.rpartition("_")
        if self.is_tls_1_3 and body in ("SHA256", "SHA384"):
            return "NULL"  # integrity only (RFC 9150)
        return body if last in _HASHES else text

    @property
    def hash(self) -> str:
        """MD5, SHA (which is SHA-1), SHA256, SHA384; SHA256 where the name leaves it out (CCM, RFC 6655 section 3)."""
        last = self.name.rpartition("_")[2]
        return last if last in _HASHES else "SHA256"

    @property
    def bits(self) -> int:
        """Strength of the encryption in bits; 0 where there is none."""
        encryption = self.encryption
        if encryption in _STRENGTH:
            return _STRENGTH[encryption]
        return 256 if "256" in encryption else 128

    @property
    def is_authenticated(self) -> bool:
        """Authenticated encryption (RFC 5116), which RFC 9325 section 4.2 recommends."""
        return any(mark in self.encryption for mark in _AUTHENTICATED)

    @property
    def is_cbc(self) -> bool:
        """A block cipher in CBC mode (Lucky Thirteen, BEAST)."""
        return "CBC" in self.encryption

    @property
    def is_export(self) -> bool:
        """Made weak on purpose for export (FREAK, Logjam)."""
        return "EXPORT" in self.name

    @property
    def is_anonymous(self) -> bool:
        """Neither side shows who it is: anybody can stand in between."""
        return self.authentication == "ANON"

    @property
    def has_forward_secrecy(self) -> bool:
        """A key that leaks later opens nothing that was recorded before."""
        return self.is_tls_1_3 or self.key_exchange in (*_EPHEMERAL, "ECCPWD")

    @property
    def _key_words(self) -> tuple[str, ...]:
        left = self.name.partition("_WITH_")[0].removeprefix("TLS_").upper()
        words = tuple(w for w in left.split("_") if not w.startswith("EXPORT"))
        # Without a key exchange of its own an anonymous suite is ephemeral: nothing static could identify the server.
        if words[-1] == "ANON":
            return (f"{words[0]}E", "ANON")
        return words


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """One group for key exchange. ``kind``: ec, ff, hybrid."""

    number: int
    name: str
    kind: str
    bits: int
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SignatureScheme:
    """One way to sign a handshake. ``hash`` is "" where it is part of the scheme."""

    number: int
    name: str
    key: str
    hash: str
    tls13: bool
    source: str


@cache
def suites() -> tuple[Suite, ...]:
    """Return every suite, by number."""
    return rows("doorward.knowledge", _FILE, "suite", Suite)


@cache
def groups() -> tuple[Group, ...]:
    """Return every group, by number."""
    return rows("doorward.knowledge", _FILE, "group", Group)


@cache
def signature_schemes() -> tuple[SignatureScheme, ...]:
    """Return every signature scheme, those of TLS 1.3 first."""
    return rows("doorward.knowledge", _FILE, "signature", SignatureScheme)


@cache
def _suites_by_number() -> dict[int, Suite]:
    return {suite.number: suite for suite in suites()}


@cache
def _suites_by_name() -> dict[str, Suite]:
    return {suite.name: suite for suite in suites()}


def suite_of(number: int) -> Suite:
    """Return a suite; one that nobody registered gets a name from its number and counts as without encryption."""
    unknown = Suite(number=number, name=f"TLS_UNKNOWN_{number:04X}_WITH_NULL", source="")
    return _suites_by_number().get(number, unknown)


def suite_named(name: str) -> Suite | None:
    """Return the suite of an IANA name, or None."""
    return _suites_by_name().get(name)


def group_name(number: int) -> str:
    """Return the name of a group, or its number in hexadecimal."""
    return next((g.name for g in groups() if g.number == number), f"0x{number:04X}")


def group_named(name: str) -> Group | None:
    """Return the group of a name, or None."""
    return next((g for g in groups() if g.name == name), None)


def signature_name(number: int) -> str:
    """Return the name of a signature scheme, or its number in hexadecimal."""
    return next((s.name for s in signature_schemes() if s.number == number), f"0x{number:04X}")
