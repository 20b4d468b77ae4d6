"""Our contestant of (b), with nothing loaded but what it needs: ``python -m measures.probing PORT HOSTS PAIRS GAP_S``."""

import asyncio
import ipaddress
import sys
from dataclasses import replace

from doorward.audit.approach import Approach, Pace
from doorward.audit.facts import AssociationFacts, Endpoint, Reply
from doorward.audit.probes import association
from doorward.audit.scope import Scope
from doorward.limits import DEFAULT_LIMITS
from doorward.net.loop import run
from measures.processes import allow_many_files

FIRST = ipaddress.IPv4Address("127.16.0.1")


def addresses(count: int) -> list[str]:
    """Return that many loopback addresses."""
    return [str(FIRST + number) for number in range(count)]


async def probe(port: int, count: int, pairs: int, gap_s: float | None) -> int:
    """Ask all hosts and return how many associations were accepted."""
    limits = DEFAULT_LIMITS if gap_s is None else replace(DEFAULT_LIMITS, probe_gap_s=gap_s)
    turns = asyncio.Semaphore(limits.hosts_at_a_time)
    scope = Scope.loopback()

    async def ask(address: str) -> int:
        async with turns:
            approach = Approach(
                endpoint=Endpoint(address=address, port=port),
                gate=scope,
                pace=Pace(limits.probe_gap_s),
                limits=limits,
                called_ae_titles=("ARCHIVE",) if pairs > 1 else (),
                calling_ae_title="WORKSTATION" if pairs > 1 else "",
            )
            _, _, facts = await association.ask(approach)
            assert isinstance(facts, AssociationFacts)
            return sum(reply.reply is Reply.ACCEPTED for reply in facts.replies)

    async with asyncio.TaskGroup() as tasks:
        running = [tasks.create_task(ask(address)) for address in addresses(count)]
    return sum(task.result() for task in running)


def main() -> None:
    port, count, pairs, gap_s = sys.argv[1:]
    allow_many_files(2_000)
    accepted = run(probe(int(port), int(count), int(pairs), float(gap_s) if gap_s else None))
    print(f'{{"accepted": {accepted}}}')


if __name__ == "__main__":
    main()
