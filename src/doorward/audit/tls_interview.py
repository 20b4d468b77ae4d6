"""Finds out what a TLS server accepts by asking for one thing after another; knows no socket.

Theory of operation: an ``Interview`` is given a way to say one ClientHello and hear the answer. It offers each version
alone with every suite there is; the suite that the server chooses is noted and left out, until the server refuses the
rest (elimination). The same is done with groups and signature schemes. So k accepted suites cost k + 1 connections, and
nothing depends on what a library of ours can do. TLS 1.3 is asked with an empty key share: the server then names suite and
group in a HelloRetryRequest, and no key is ever made.

What counts as a refusal: an alert, or an answer in another version. A connection that is closed without a word refuses
only where the same port has answered TLS otherwise; silence refuses nothing. After ``limits.tls_hellos`` questions, or
three unanswered ones in a row, the interview stops and says that it is not complete.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace

from doorward.audit.tls_facts import Accepted, Preference, TlsDepthFacts, VersionSeen
from doorward.audit.tls_offers import (
    COMPACT_SUITES,
    all_signatures,
    group_in,
    group_of_1_3,
    is_signed,
    offered_groups,
    offered_suites,
    signature_in,
    suite_seen,
)
from doorward.errors import ConnectFailed, ConnectTimeout
from doorward.knowledge.tls_parameters import (
    group_name,
    group_named,
    signature_name,
    signature_schemes,
    suite_named,
    suite_of,
)
from doorward.limits import DEFAULT_LIMITS, Limits
from doorward.net.certificate_chain import read_chain
from doorward.net.certificate_facts import ChainFacts
from doorward.web.tls_hello import (
    DEFLATE,
    NO_COMPRESSION,
    RANDOM_BYTES,
    TLS_1_2,
    TLS_1_3,
    VERSION_NAMES,
    ClientHello,
    base_point,
)
from doorward.web.tls_records import Flight, FlightEnd

#: Says one hello; raises as ``net.hello.greet`` does.
Say = Callable[[ClientHello], Awaitable[Flight]]

_NEWEST_FIRST = tuple(sorted(VERSION_NAMES, reverse=True))
_MOST_UNANSWERED = 3
#: Suites in one hello, for servers that fail on long ones.
_BATCH = 32
_INAPPROPRIATE_FALLBACK = 86


@dataclass(slots=True, kw_only=True)
class _Elimination:
    """One run of offering, noting, leaving out."""

    taken: list[tuple[int, Flight]] = field(default_factory=list)
    last: Flight = field(default_factory=lambda: Flight(end=FlightEnd.SILENT))
    is_complete: bool = False

    @property
    def numbers(self) -> tuple[int, ...]:
        return tuple(number for number, _ in self.taken)


class Interview:
    """One port. ``random`` returns that many bytes; ``server_name`` is "" for an address."""

    def __init__(
        self,
        say: Say,
        *,
        random: Callable[[int], bytes],
        server_name: str = "",
        limits: Limits = DEFAULT_LIMITS,
    ) -> None:
        self._say = say
        self._random = random
        self._server_name = server_name
        self._limits = limits
        self._hellos = 0
        self._unanswered = 0
        self._has_spoken_tls = False
        self._flights: list[Flight] = []
        self._chains: dict[tuple[bytes, ...], ChainFacts] = {}

    async def run(self) -> TlsDepthFacts:
        """Ask everything. Raises what ``say`` raises, if that happens on the very first question."""
        seen: dict[int, VersionSeen] = {}
        for version in _NEWEST_FIRST:
            seen[version] = await self._version(version)
            if self._is_hopeless():
                break
        seen = {version: self._settled(one) for version, one in seen.items()}
        facts = TlsDepthFacts(
            speaks_tls=self._speaks_tls(),
            versions=tuple(seen[version] for version in sorted(seen)),
            detail=self._flights[-1].detail if self._flights else "",
        )
        if facts.accepted_versions:
            facts = await self._details(facts, [v for v in seen if seen[v].is_accepted])
        return replace(
            facts,
            chains=tuple(self._chains.values()),
            hellos=self._hellos,
            is_complete=self._may_go_on and all(v.is_complete for v in seen.values()),
        )

    # --- one question ---

    @property
    def _may_go_on(self) -> bool:
        return self._hellos < self._limits.tls_hellos and self._unanswered < _MOST_UNANSWERED

    async def _ask(self, hello: ClientHello) -> Flight:
        """Say one hello; a lost connection in the middle counts as silence, and so does a bound of ours."""
        if not self._may_go_on:
            return Flight(end=FlightEnd.SILENT, detail="not asked: a bound was reached")
        self._hellos += 1
        try:
            flight = await self._say(hello)
        except (ConnectFailed, ConnectTimeout) as lost:
            if not self._flights:
                raise
            flight = Flight(end=FlightEnd.SILENT, detail=str(lost))
        self._unanswered = self._unanswered + 1 if flight.end is FlightEnd.SILENT else 0
        self._has_spoken_tls |= flight.hello is not None or flight.alert is not None
        self._flights.append(flight)
        # An anonymous suite shows no certificate, and the same chain comes with every other one.
        if flight.certificates and flight.certificates not in self._chains:
            self._chains[flight.certificates] = read_chain(flight.certificates)
        return flight

    def _hello(self, version: int, offered: Sequence[int]) -> ClientHello:
        return ClientHello(
            versions=(version,),
            suites=tuple(offered),
            random=self._random(RANDOM_BYTES),
            server_name=self._server_name,
            groups=offered_groups(version),
            signatures=all_signatures(),
        )

    async def _eliminate(
        self,
        offered: Sequence[int],
        hello_of: Callable[[Sequence[int]], ClientHello],
        choice_in: Callable[[Flight], int | None],
    ) -> _Elimination:
        run, left = _Elimination(), list(offered)
        while left:
            run.last = flight = await self._ask(hello_of(left))
            choice = choice_in(flight)
            if choice is None or choice not in left:
                # A choice that was not offered says that the server does not look at the list: nothing to learn from it.
                run.is_complete = choice is None and self._refuses(flight)
                return run
            run.taken.append((choice, flight))
            left.remove(choice)
        run.is_complete = True
        return run

    def _refuses(self, flight: Flight) -> bool:
        if flight.hello is not None or flight.end is FlightEnd.ALERT:
            return True
        return flight.end is FlightEnd.CLOSED and self._has_spoken_tls

    def _is_hopeless(self) -> bool:
        """Two answers that are no TLS, or two silences, and never a word of TLS: more hellos would be noise."""
        ends = [flight.end for flight in self._flights]
        mute = (FlightEnd.NOT_TLS, FlightEnd.SILENT)
        return not self._has_spoken_tls and len(ends) > 1 and all(end in mute for end in ends)

    def _speaks_tls(self) -> bool | None:
        if self._has_spoken_tls:
            return True
        return False if FlightEnd.NOT_TLS in [f.end for f in self._flights] else None

    # --- versions and suites ---

    async def _version(self, version: int) -> VersionSeen:
        """Offer one version alone, with everything."""

        def choice_in(flight: Flight) -> int | None:
            hello = flight.hello
            return hello.suite if hello is not None and hello.version == version else None

        def hello_of(offered: Sequence[int]) -> ClientHello:
            return self._hello(version, offered)

        run = await self._eliminate(offered_suites(version), hello_of, choice_in)
        unclear = (FlightEnd.CLOSED, FlightEnd.SILENT, FlightEnd.MALFORMED)
        if not run.taken and run.last.end in unclear and version != TLS_1_3:
            run = await self._in_small_hellos(version, hello_of, choice_in)
        accepted = tuple(suite_seen(version, number, flight) for number, flight in run.taken)
        return VersionSeen(
            version=VERSION_NAMES[version],
            is_accepted=True if accepted else self._is_refused_version(run.last),
            suites=accepted,
            is_complete=run.is_complete,
            preference=await self._preference(version, run.numbers),
            refusal="" if accepted else _refusal(run.last),
        )

    async def _in_small_hellos(
        self,
        version: int,
        hello_of: Callable[[Sequence[int]], ClientHello],
        choice_in: Callable[[Flight], int | None],
    ) -> _Elimination:
        """Ask again with few suites: some servers hang up on long lists. Only one that answers now is asked for all."""
        flight = await self._ask(hello_of(COMPACT_SUITES))
        if choice_in(flight) is None:
            return _Elimination(last=flight, is_complete=self._refuses(flight))
        offered, whole = offered_suites(version), _Elimination(is_complete=True)
        for start in range(0, len(offered), _BATCH):
            part = await self._eliminate(offered[start : start + _BATCH], hello_of, choice_in)
            whole.taken += part.taken
            whole.last = part.last
            whole.is_complete &= part.is_complete
        return whole

    def _is_refused_version(self, last: Flight) -> bool | None:
        if last.end is FlightEnd.ALERT or last.hello is not None:
            return False
        return None

    def _settled(self, seen: VersionSeen) -> VersionSeen:
        """A version on which the port hung up is refused where the port speaks another one."""
        if seen.is_accepted is None and seen.refusal == FlightEnd.CLOSED and self._has_spoken_tls:
            return replace(seen, is_accepted=False, is_complete=True)
        return seen

    async def _preference(self, version: int, chosen: tuple[int, ...]) -> Preference:
        """Offer two suites in the order against what was chosen before.

        ChaCha20 is left aside: servers may follow a client that puts it first, and their own order otherwise.
        """
        plain = [n for n in chosen if "CHACHA" not in suite_of(n).name]
        if len(plain) < 2:
            return Preference.UNKNOWN
        first, second = plain[:2]
        order = offered_suites(version)
        if order.index(second) < order.index(first):
            return Preference.SERVER  # it chose against the order of the very first hello
        flight = await self._ask(self._hello(version, (second, first)))
        answer = flight.hello.suite if flight.hello is not None else None
        return {first: Preference.SERVER, second: Preference.CLIENT}.get(
            answer or 0, Preference.UNKNOWN
        )

    # --- what goes beyond versions and suites ---

    async def _details(self, facts: TlsDepthFacts, accepted: Sequence[int]) -> TlsDepthFacts:
        old = [version for version in accepted if version < TLS_1_3]
        if old:
            facts = await self._details_up_to_1_2(facts, max(old))
        if TLS_1_3 in accepted:
            facts = await self._details_of_1_3(facts)
        if TLS_1_3 in accepted and TLS_1_2 in accepted:
            facts = replace(facts, prefers_tls_1_3=await self._prefers_1_3(facts))
        return facts

    async def _details_up_to_1_2(self, facts: TlsDepthFacts, newest: int) -> TlsDepthFacts:
        chosen = _numbers_of(facts, newest)
        hellos = [f for f in self._flights if f.hello is not None and f.hello.version == newest]
        answers = [f.hello for f in hellos if f.hello is not None]
        return replace(
            facts,
            groups=await self._groups(newest, chosen),
            signatures=await self._signatures(newest, chosen),
            compresses=await self._compresses(newest, chosen),
            refuses_fallback=await self._refuses_fallback(facts),
            has_renegotiation_info=any(a.has_renegotiation_info for a in answers),
            has_extended_master_secret=any(a.has_extended_master_secret for a in answers),
            marks_downgrade=self._marks_downgrade(facts),
            requests_client_certificate=_requests_certificate(hellos),
        )

    async def _groups(self, version: int, chosen: tuple[int, ...]) -> Accepted:
        """Eliminate the curves. A certificate with a curve of its own needs that one offered (RFC 8422 section 5.1)."""
        ephemeral = [n for n in chosen if suite_of(n).key_exchange == "ECDHE"]
        by_others = [n for n in ephemeral if suite_of(n).authentication != "ECDSA"]
        kept = () if by_others else self._curves_of_certificates()
        offered = tuple(n for n in offered_groups(version) if n not in kept)
        if not ephemeral:
            return Accepted(is_complete=True, note="no suite with an elliptic curve is accepted")

        def hello_of(left: Sequence[int]) -> ClientHello:
            hello = self._hello(version, by_others or ephemeral)
            return replace(hello, groups=(*left, *kept))

        run = await self._eliminate(offered, hello_of, group_in)
        names = [group_name(number) for number in run.numbers]
        stopped_at = group_in(run.last)
        if stopped_at in kept:
            names.append(group_name(stopped_at))
            note = "the curve of the certificate must stay on offer, and others may stand behind it"
            return Accepted(names=tuple(names), note=note)
        return Accepted(names=tuple(names), is_complete=run.is_complete)

    def _curves_of_certificates(self) -> tuple[int, ...]:
        leaves = [chain.certificates[0] for chain in self._chains.values() if chain.certificates]
        names = [leaf.key.removeprefix("EC ") for leaf in leaves if leaf.key.startswith("EC ")]
        found = (group_named(name) for name in names)
        return tuple(group.number for group in found if group is not None)

    async def _signatures(self, version: int, chosen: tuple[int, ...]) -> Accepted:
        """Eliminate the signature schemes of TLS 1.2; older versions have one fixed scheme each."""
        if version != TLS_1_2:
            return Accepted(is_complete=True, note="older versions sign with MD5 and SHA-1 only")
        signed = [n for n in chosen if is_signed(suite_of(n))]
        if not signed:
            return Accepted(is_complete=True, note="no suite that signs its key is accepted")

        def hello_of(left: Sequence[int]) -> ClientHello:
            hello = self._hello(version, signed)
            return replace(hello, signatures=tuple(left), certificate_signatures=all_signatures())

        run = await self._eliminate(all_signatures(), hello_of, signature_in)
        return Accepted(names=tuple(map(signature_name, run.numbers)), is_complete=run.is_complete)

    async def _compresses(self, version: int, chosen: tuple[int, ...]) -> bool | None:
        hello = self._hello(version, chosen)
        flight = await self._ask(replace(hello, compressions=(DEFLATE, NO_COMPRESSION)))
        return None if flight.hello is None else flight.hello.compression != NO_COMPRESSION

    async def _refuses_fallback(self, facts: TlsDepthFacts) -> bool | None:
        """Offer the second best version as a fallback; None where there is only one to offer."""
        versions = [n for n, name in VERSION_NAMES.items() if name in facts.accepted_versions]
        if len(versions) < 2:
            return None
        version = versions[-2]
        hello = self._hello(version, _numbers_of(facts, version))
        flight = await self._ask(replace(hello, is_fallback=True))
        if flight.alert is not None and flight.alert.description == _INAPPROPRIATE_FALLBACK:
            return True
        return False if flight.hello is not None else None

    def _marks_downgrade(self, facts: TlsDepthFacts) -> bool | None:
        """Asked of a server that could have done better; RFC 8446 makes it a duty for those with TLS 1.3."""
        if VERSION_NAMES[TLS_1_3] not in facts.accepted_versions:
            return None
        lower = [f.hello for f in self._flights if f.hello and f.hello.version < TLS_1_3]
        return all(hello.is_marked_as_downgrade for hello in lower)

    async def _details_of_1_3(self, facts: TlsDepthFacts) -> TlsDepthFacts:
        chosen = _numbers_of(facts, TLS_1_3)

        def hello_of(left: Sequence[int]) -> ClientHello:
            return replace(self._hello(TLS_1_3, chosen), groups=tuple(left))

        run = await self._eliminate(offered_groups(TLS_1_3), hello_of, group_of_1_3)
        found = Accepted(names=tuple(map(group_name, run.numbers)), is_complete=run.is_complete)
        return replace(
            facts,
            groups_tls_1_3=found,
            signatures_tls_1_3=await self._signatures_of_1_3(chosen, run.numbers),
        )

    async def _signatures_of_1_3(self, chosen: tuple[int, ...], among: tuple[int, ...]) -> Accepted:
        """Offer each scheme alone: the server's choice is encrypted, but not whether it goes on."""
        keys = [(group, key) for group in among if (key := base_point(group)) is not None]
        if not keys:
            return Accepted(note="no group is accepted that could be asked with")
        names, is_complete = [], True
        for scheme in signature_schemes():
            if not scheme.tls13:
                continue
            hello = replace(
                self._hello(TLS_1_3, chosen),
                groups=(keys[0][0],),
                key_shares=(keys[0],),
                signatures=(scheme.number,),
                certificate_signatures=all_signatures(),
            )
            flight = await self._ask(hello)
            if flight.end is FlightEnd.ENCRYPTED:
                names.append(scheme.name)
            elif flight.end not in (FlightEnd.ALERT, FlightEnd.CLOSED):
                is_complete = False
        return Accepted(names=tuple(names), is_complete=is_complete)

    async def _prefers_1_3(self, facts: TlsDepthFacts) -> bool | None:
        suites_of_both = (*_numbers_of(facts, TLS_1_3), *_numbers_of(facts, TLS_1_2))
        hello = replace(self._hello(TLS_1_3, suites_of_both), versions=(TLS_1_3, TLS_1_2))
        flight = await self._ask(hello)
        return None if flight.hello is None else flight.hello.version == TLS_1_3


def _numbers_of(facts: TlsDepthFacts, version: int) -> tuple[int, ...]:
    seen = facts.seen(VERSION_NAMES[version])
    found = [suite_named(s.name) for s in (seen.suites if seen else ())]
    return tuple(suite.number for suite in found if suite is not None)


def _requests_certificate(flights: Sequence[Flight]) -> bool | None:
    """Tell whether a client certificate was asked for; anonymous suites may not ask (RFC 5246 section 7.4.4)."""
    whole = [
        flight for flight in flights if flight.end is FlightEnd.HELLO_DONE and flight.certificates
    ]
    return any(flight.requests_certificate for flight in whole) if whole else None


def _refusal(last: Flight) -> str:
    if last.alert is not None:
        return last.alert.name
    if last.hello is not None:
        return f"answered in {VERSION_NAMES.get(last.hello.version, 'another version')}"
    return str(last.end)
