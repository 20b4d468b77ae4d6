"""A TLS server as a table, for the tests of the interview: what it would answer to one ClientHello, without a socket.

It answers as the protocols say a server with these settings does; the real ones are in test_tls_agreement.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from doorward.knowledge.tls_parameters import group_named, signature_schemes, suite_named, suite_of
from doorward.web.tls_hello import TLS_1_2, TLS_1_3, ClientHello
from doorward.web.tls_records import Alert, Flight, FlightEnd, ServerHello
from tls_bytes import dhe, ecdhe

REFUSED = Flight(end=FlightEnd.ALERT, alert=Alert(level=2, description=40), detail="refused")
OLD_VERSION = Flight(end=FlightEnd.ALERT, alert=Alert(level=2, description=70))
FALLBACK = Flight(end=FlightEnd.ALERT, alert=Alert(level=2, description=86))
CLOSED = Flight(end=FlightEnd.CLOSED)
SILENT = Flight(end=FlightEnd.SILENT)
NOT_TLS = Flight(end=FlightEnd.NOT_TLS, detail="the answer is no TLS record")


def numbers(*names: str) -> tuple[int, ...]:
    found = [suite_named(name) for name in names]
    return tuple(suite.number for suite in found if suite is not None)


def group_numbers(*names: str) -> tuple[int, ...]:
    return tuple(group.number for name in names if (group := group_named(name)) is not None)


@dataclass(slots=True, kw_only=True)
class ModelServer:
    """Settings, and a record of what was offered."""

    suites: dict[int, tuple[int, ...]]
    groups: tuple[int, ...] = (29, 23)
    signatures: tuple[int, ...] = (0x0804, 0x0401)
    certificates: tuple[bytes, ...] = ()
    dh_bits: int = 2048
    own_order: bool = False
    compresses: bool = False
    renegotiation_info: bool = True
    refuses_fallback: bool = True
    marks_downgrade: bool = True
    requests_certificate: bool = False
    #: What is answered to a version that is not spoken.
    otherwise: Flight = OLD_VERSION
    #: Longer lists of suites make it hang up.
    most_suites: int = 1000
    offers: list[ClientHello] = field(default_factory=list)

    async def say(self, hello: ClientHello) -> Flight:
        self.offers.append(hello)
        if len(hello.suites) > self.most_suites:
            return CLOSED
        version = next((v for v in hello.versions if v in self.suites), None)
        if version is None:
            return self.otherwise
        if hello.is_fallback and self.refuses_fallback and max(self.suites) > version:
            return FALLBACK
        suite = self._pick(hello.suites, self.suites[version])
        if suite is None:
            return REFUSED
        return (
            self._of_1_3(hello, suite) if version == TLS_1_3 else self._old(hello, version, suite)
        )

    def _pick(self, offered: Sequence[int], mine: Sequence[int]) -> int | None:
        first, second = (mine, offered) if self.own_order else (offered, mine)
        return next((number for number in first if number in second), None)

    def _of_1_3(self, hello: ClientHello, suite: int) -> Flight:
        group = self._pick(hello.groups, self.groups)
        if group is None:
            return REFUSED
        if not hello.key_shares:
            return Flight(end=FlightEnd.RETRY, hello=self._hello(TLS_1_3, suite, group, retry=True))
        if self._pick(hello.signatures, self._signatures(TLS_1_3)) is None:
            return REFUSED
        return Flight(end=FlightEnd.ENCRYPTED, hello=self._hello(TLS_1_3, suite, group))

    def _signatures(self, version: int) -> tuple[int, ...]:
        if version < TLS_1_3:
            return self.signatures
        modern = {scheme.number for scheme in signature_schemes() if scheme.tls13}
        return tuple(number for number in self.signatures if number in modern)

    def _old(self, hello: ClientHello, version: int, suite: int) -> Flight:
        kind = suite_of(suite)
        scheme = self._pick(hello.signatures, self.signatures) if version == TLS_1_2 else None
        key_exchange = b""
        if kind.key_exchange in ("DHE", "ECDHE"):
            if version == TLS_1_2 and scheme is None and not kind.is_anonymous:
                return REFUSED
            signed_with = None if kind.is_anonymous else scheme
            if kind.key_exchange == "DHE":
                key_exchange = dhe(b"\xff" * (self.dh_bits // 8), signed_with)[4:]
            else:
                group = self._pick(hello.groups, self.groups)
                if group is None:
                    return REFUSED
                key_exchange = ecdhe(group, signed_with)[4:]
        return Flight(
            end=FlightEnd.HELLO_DONE,
            hello=self._hello(version, suite, None, hello.compressions[0]),
            certificates=() if kind.is_anonymous else self.certificates,
            key_exchange=key_exchange,
            requests_certificate=self.requests_certificate,
        )

    def _hello(
        self,
        version: int,
        suite: int,
        group: int | None,
        compression: int = 0,
        *,
        retry: bool = False,
    ) -> ServerHello:
        return ServerHello(
            version=version,
            suite=suite,
            compression=compression if self.compresses else 0,
            group=group,
            is_retry=retry,
            is_marked_as_downgrade=self.marks_downgrade and version < max(self.suites),
            has_renegotiation_info=self.renegotiation_info,
            has_extended_master_secret=True,
        )


def always(flight: Flight) -> Callable[[ClientHello], object]:
    async def say(_hello: ClientHello) -> Flight:
        return flight

    return say
