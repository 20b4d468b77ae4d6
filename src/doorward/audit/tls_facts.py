"""What raw ClientHellos brought to light on one port, as values without judgement.

Names are those of the IANA registry, versions those of ``net.tls``. None always means: not known; it is never a no.
"""

from dataclasses import dataclass
from enum import StrEnum

from doorward.net.certificate_facts import ChainFacts


class Preference(StrEnum):
    """Whose order of suites decides."""

    SERVER = "server"
    CLIENT = "client"
    UNKNOWN = "unknown"  # fewer than two suites, or no clear answer


@dataclass(frozen=True, slots=True, kw_only=True)
class SuiteSeen:
    """One suite that was chosen, with the parameters of its key exchange; "" and None where there are none to see."""

    name: str
    group: str = ""
    dh_bits: int | None = None
    signature: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionSeen:
    """One version, offered alone. ``suites`` in the order in which the server chose them."""

    version: str
    is_accepted: bool | None
    suites: tuple[SuiteSeen, ...] = ()
    #: Every suite was offered until the server refused the rest.
    is_complete: bool = False
    preference: Preference = Preference.UNKNOWN
    #: The word of the refusal, or how the connection ended; "" where it was accepted.
    refusal: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """The names of what a server accepts of one kind, in the order in which it chose them."""

    names: tuple[str, ...] = ()
    is_complete: bool = False
    #: For people: why there may be more.
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsDepthFacts:
    """Everything that was seen of one port without ever finishing a handshake.

    ``groups`` and ``signatures`` are of TLS 1.2 or the newest version below, ``*_tls_1_3`` of TLS 1.3.
    """

    speaks_tls: bool | None
    versions: tuple[VersionSeen, ...] = ()
    groups: Accepted = Accepted()
    groups_tls_1_3: Accepted = Accepted()
    signatures: Accepted = Accepted()
    signatures_tls_1_3: Accepted = Accepted()
    #: Different chains that were shown, up to TLS 1.2; in TLS 1.3 certificates travel encrypted.
    chains: tuple[ChainFacts, ...] = ()
    #: The leaf alone, seen in one full handshake: where TLS 1.3 is all that is spoken.
    is_leaf_only: bool = False
    compresses: bool | None = None
    has_renegotiation_info: bool | None = None
    has_extended_master_secret: bool | None = None
    #: TLS_FALLBACK_SCSV is refused with inappropriate_fallback (RFC 7507).
    refuses_fallback: bool | None = None
    #: The random value of a lower version is marked (RFC 8446 section 4.1.3).
    marks_downgrade: bool | None = None
    #: Offered both, TLS 1.3 was chosen before 1.2.
    prefers_tls_1_3: bool | None = None
    requests_client_certificate: bool | None = None
    hellos: int = 0
    #: No bound of ours and no silence cut the questions short.
    is_complete: bool = False
    detail: str = ""

    def seen(self, version: str) -> VersionSeen | None:
        """Return what was seen of one version, or None when it was not asked for."""
        return next((v for v in self.versions if v.version == version), None)

    @property
    def accepted_versions(self) -> tuple[str, ...]:
        """Names of the versions that were accepted, oldest first."""
        return tuple(v.version for v in self.versions if v.is_accepted)

    @property
    def knows_all_suites(self) -> bool:
        """Every version was offered with every suite until the server refused the rest."""
        return bool(self.versions) and all(version.is_complete for version in self.versions)

    @property
    def suites(self) -> tuple[str, ...]:
        """Names of all suites that any version accepts, without repeats."""
        return tuple(dict.fromkeys(s.name for v in self.versions for s in v.suites))

    @property
    def smallest_dh_bits(self) -> int | None:
        """The shortest prime of finite-field Diffie-Hellman that was shown, in bits."""
        return min(
            (s.dh_bits for v in self.versions for s in v.suites if s.dh_bits is not None),
            default=None,
        )
