"""Audits the hostile peers: all quiet ones in one survey, the floods one by one.

Run as a program it is the peers, or the auditor of peers that another process plays: so the memory that it reports is the
auditor's alone.
"""

import asyncio
import json
import ssl
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from certificates import make_certificates
from doorward.audit.facts import Attempt, SystemFacts
from doorward.audit.judge import judge
from doorward.audit.scope import Scope
from doorward.audit.survey import SurveySettings, survey
from doorward.audit.targets import Target, parse_targets
from doorward.audit.verdict import JudgedSystem
from doorward.limits import DEFAULT_LIMITS
from hostile_peers import NAMED, Misbehaviour
from memory_image import peak_mib
from scripted_peer import ScriptedPeer, scripted_peer

#: Deadlines short enough for a test, long enough for a machine that is busy with other things.
SHORT = replace(
    DEFAULT_LIMITS,
    connect_s=2.0,
    tls_handshake_s=1.0,
    associate_s=1.0,
    reply_s=1.0,
    cancel_s=0.3,
    release_s=0.3,
    artim_s=0.3,
    count_s=0.4,
    host_s=12.0,
    probe_gap_s=0.0,
    congestion_pause_s=0.01,
    tls_linger_s=0.05,
)


class Watch:
    """The survey's observer: keeps nothing."""

    def system_started(self, target: Target) -> None:
        """Nothing to say."""

    def probe_finished(self, attempt: Attempt) -> None:
        """Nothing to say."""

    def system_finished(self, system: SystemFacts) -> None:
        """Nothing to say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Audited:
    """One hostile peer after its audit."""

    facts: SystemFacts
    judged: JudgedSystem
    peer: ScriptedPeer
    duration_s: float


def tls_context(folder: Path) -> ssl.SSLContext:
    """The context of those peers that speak TLS."""
    server = make_certificates(folder).server
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(server.certificate_path, server.key_path)
    return context


@asynccontextmanager
async def hostile_peers(
    cases: Sequence[Misbehaviour], tls: ssl.SSLContext
) -> AsyncIterator[list[ScriptedPeer]]:
    """Run the peers, each on an address of its own."""
    async with AsyncExitStack() as stack:
        yield [
            await stack.enter_async_context(
                scripted_peer(case.script, host=f"127.0.9.{number}", tls=tls if case.tls else None)
            )
            for number, case in enumerate(cases, 1)
        ]


async def ask(addresses: Sequence[tuple[str, int]]) -> list[SystemFacts]:
    """Audit addresses at the same time, at the highest clearance level."""
    return await survey(
        parse_targets([f"{host}:{port}" for host, port in addresses], ports=(104,)),
        scope=Scope.loopback(),
        settings=SurveySettings(clearance_level=3, limits=SHORT),
        observer=Watch(),
    )


async def audit(cases: Sequence[Misbehaviour], tls: ssl.SSLContext) -> dict[str, Audited]:
    """Run hostile peers and audit them."""
    async with hostile_peers(cases, tls) as peers:
        systems = await ask([(peer.host, peer.port) for peer in peers])
    now = datetime.now(UTC)
    return {
        case.name: Audited(
            facts=facts,
            judged=judge(facts, now=now),
            peer=peer,
            duration_s=sum(attempt.duration_s for attempt in facts.attempts),
        )
        for case, peer, facts in zip(cases, peers, systems, strict=True)
    }


async def serve(folder: Path) -> None:
    """Run all peers until standard input ends, and say where: addresses of the quiet ones, then of the floods."""
    ordered = sorted(NAMED, key=lambda case: case.is_flood)
    async with hostile_peers(ordered, tls_context(folder)) as peers:
        say([[peer.host, peer.port] for peer in peers])
        await asyncio.to_thread(sys.stdin.read)


async def ask_all(addresses: Sequence[tuple[str, int]]) -> list[SystemFacts]:
    """Audit all: the quiet ones at the same time, the floods one by one."""
    quiet = sum(not case.is_flood for case in NAMED)
    found = await ask(addresses[:quiet])
    for address in addresses[quiet:]:
        found += await ask([address])
    return found


def say(value: object) -> None:
    """One line of JSON on standard output."""
    sys.stdout.write(json.dumps(value) + "\n")
    sys.stdout.flush()


def main() -> None:
    """``serve FOLDER``: be the peers. ``ask``: audit the addresses on standard input, and say what memory it took."""
    if sys.argv[1] == "serve":
        asyncio.run(serve(Path(sys.argv[2])))
        return
    found = asyncio.run(ask_all(json.loads(sys.stdin.readline())))
    now = datetime.now(UTC)
    say(
        {
            "judged": len([judge(system, now=now) for system in found]),
            "peak_mib": peak_mib(),
        }
    )


if __name__ == "__main__":
    main()
