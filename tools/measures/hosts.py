"""(b) Hosts asked in a second: the audit's association probe against ``nmap --script dicom-ping``.

Both are timed as whole processes, start-up included. nmap opens one connection for its port scan and one for the script,
sends one A-ASSOCIATE-RQ and hangs up; ours releases each association, as the Standard wants. The pace between two
connections to one host is set to zero; a row shows what the audit does by default.
``measures.probing`` is our contestant.
"""

import tempfile
from collections.abc import Iterator
from pathlib import Path

from measures.figures import Missing, Row, compared, rate
from measures.probing import addresses
from measures.processes import Broken, output_of, program, report, serving

GROUP = "b"
TARGET_ONE = 1.0
TARGET_PAIRS = 0.5
HOSTS = 2_000
#: Those that dicom-ping looks at; the first free one is taken.
PORTS = (11_112, 4_242, 2_345, 2_761, 2_762, 104)
#: nmap's fastest two templates; the better one of each round counts for it.
TEMPLATES = ("-T4", "-T5")


def measure(*, rounds: int, scale: float) -> Iterator[Row]:
    """Measure both in turns."""
    count = max(20, int(HOSTS * scale))
    nmap = program("nmap")
    theirs: list[float] = []
    one: list[float] = []
    pairs: list[float] = []
    with serving("measures.fleet", *PORTS) as fleet:
        for _ in range(rounds):
            # two runs each, the better one counts: the better of two is no longer luck on one side only
            one.append(max(count / _ours(fleet.port, count, 1, 0.0) for _ in TEMPLATES))
            if nmap is not None:
                theirs.append(max(count / _nmap(nmap, fleet.port, count, t) for t in TEMPLATES))
            pairs.append(max(count / _ours(fleet.port, count, 3, 0.0) for _ in TEMPLATES))
        manners = count / _ours(fleet.port, count, 3, None)
    yield rate(GROUP, "doorward, one association a host", one, "hosts/s")
    yield rate(GROUP, "doorward, three control pairs", pairs, "hosts/s")
    note = "0.2 s between two connections to one host"
    yield rate(GROUP, "the same, default manners", [manners], "hosts/s", note=note)
    if nmap is None:
        yield Missing(group=GROUP, name="nmap --script dicom-ping", reason="nmap is not installed")
        return
    yield rate(GROUP, "nmap --script dicom-ping", theirs, "hosts/s", note="best of -T4 and -T5")
    yield compared(GROUP, "one association / nmap", one, theirs, target=TARGET_ONE)
    yield compared(GROUP, "three control pairs / nmap", pairs, theirs, target=TARGET_PAIRS)


def _ours(port: int, count: int, pairs: int, gap_s: float | None) -> float:
    arguments = (port, count, pairs, "" if gap_s is None else gap_s)
    found = report("measures.probing", *arguments, most_s=90)
    if found["accepted"] != count * pairs:
        raise Broken(f"{found['accepted']} of {count * pairs} associations were accepted")
    return float(found["wall_s"])


def _nmap(nmap: str, port: int, count: int, template: str) -> float:
    with tempfile.TemporaryDirectory() as folder:
        targets = Path(folder) / "targets"
        targets.write_text("\n".join(addresses(count)))
        command = [nmap, "--script", "dicom-ping", "-p", str(port), "-n", "-Pn", template]
        seconds, said = output_of([*command, "-iL", str(targets)], most_s=90)
    found = said.count("DICOM Service Provider discovered")
    if found != count:
        raise Broken(f"nmap found {found} of {count} hosts")
    return seconds
