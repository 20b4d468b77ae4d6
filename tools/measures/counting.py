"""(a) Answers to a C-FIND counted in a second: the audit's own path, DCMTK's findscu, pynetdicom.

Ours and pynetdicom keep the time inside, around the query alone; findscu is timed as a whole process with two sizes,
whose difference has no start-up in it. findscu has no way to count: the target is set against ``findscu 2>&1 | grep -c``,
which comes to a number; a row for findscu that says nothing at all shows what its own reading costs.
``python -m measures.counting ours|pynetdicom PORT COUNT`` is one contestant.
"""

import json
import sys
import time
from collections.abc import Iterator
from functools import partial

from measures import pdus
from measures.figures import Figure, Missing, Row, compared, rate
from measures.processes import (
    HOST,
    Broken,
    counted_lines,
    peak_kib,
    program,
    rate_without_start,
    report,
    serving,
    timed,
)

GROUP = "a"
TARGET_FINDSCU = 10.0
TARGET_PYNETDICOM = 60.0
#: Answers for each contestant: a round should take each of them about a second.
SIZES = {"ours": 200_000, "findscu": 20_000, "findscu --quiet": 100_000, "pynetdicom": 3_000}


def measure(*, rounds: int, scale: float) -> Iterator[Row]:
    """Measure all contestants in turns; ``scale`` shrinks the sizes."""
    sizes = {name: max(50, int(size * scale)) for name, size in SIZES.items()}
    has_findscu = program("findscu") is not None
    ours: list[float] = []
    findscu: list[float] = []
    quiet: list[float] = []
    pynetdicom: list[float] = []
    peaks: list[float] = []
    with serving("measures.answers", max(sizes.values())) as archive:
        for _ in range(rounds):
            counted = _report("ours", archive.port, sizes["ours"])
            ours.append(counted["rate"])
            peaks.append(counted["peak_kib"])
            if has_findscu:
                findscu.append(
                    rate_without_start(partial(_findscu_counts, archive.port), sizes["findscu"])
                )
                quiet.append(
                    rate_without_start(
                        partial(_findscu_quiet, archive.port), sizes["findscu --quiet"]
                    )
                )
            pynetdicom.append(_report("pynetdicom", archive.port, sizes["pynetdicom"])["rate"])
    yield rate(GROUP, "doorward counts", ours, "answers/s")
    if has_findscu:
        note = "process start subtracted"
        yield rate(GROUP, "findscu 2>&1 | grep -c", findscu, "answers/s", note=note)
        yield compared(GROUP, "doorward / findscu | grep", ours, findscu, target=TARGET_FINDSCU)
        yield rate(GROUP, "findscu --log-level error", quiet, "answers/s", note="tells no count")
        yield compared(GROUP, "doorward / findscu without a count", ours, quiet)
    else:
        yield Missing(group=GROUP, name="findscu", reason="DCMTK is not installed")
    yield rate(GROUP, "pynetdicom send_c_find", pynetdicom, "answers/s")
    yield compared(GROUP, "doorward / pynetdicom", ours, pynetdicom, target=TARGET_PYNETDICOM)
    yield Figure(
        group=GROUP,
        name=f"peak memory while counting {sizes['ours']:,}",
        value=f"{max(peaks) / 1024:.1f} MiB",
        note="whole process, interpreter included",
    )


def _report(contestant: str, port: int, count: int) -> dict[str, float]:
    found = report("measures.counting", contestant, port, count)
    if found["matches"] != count or found["images"] not in (None, pdus.images_in(count)):
        raise Broken(f"{contestant} counted {found['matches']} of {count} answers")
    return {"rate": count / found["seconds"], "peak_kib": found["peak_kib"]}


def _findscu_command(port: int, count: int, *options: str) -> list[str]:
    command = ["findscu", *options, "--study", "--call", f"N{count}"]
    for key in ("0008,0052=STUDY", "0020,000D", "0020,1208"):
        command += ["--key", key]
    return [*command, HOST, str(port)]


def _findscu_quiet(port: int, count: int) -> float:
    # findscu ends with 0 even where it received nothing: what it says at this level must be nothing
    command = _findscu_command(port, count, "--log-level", "error")
    return timed(command, most_s=60, must_be_silent=True)


def _findscu_counts(port: int, count: int) -> float:
    seconds, counted = counted_lines(_findscu_command(port, count), "Find Response", most_s=60)
    if counted != count:
        raise Broken(f"findscu showed {counted} of {count} answers")
    return seconds


# --- contestants, each in a process of its own ---


async def _ours(port: int, count: int) -> dict[str, object]:
    from doorward.audit.approach import DEFAULT_SYNTAX, Approach, Pace
    from doorward.audit.count import MatchCounter
    from doorward.audit.facts import Endpoint
    from doorward.audit.scope import Scope
    from doorward.wire.uids import STUDY_ROOT_FIND

    endpoint = Endpoint(address=HOST, port=port)
    approach = Approach(endpoint=endpoint, gate=Scope.loopback(), pace=Pace(0.0))
    contexts = [(STUDY_ROOT_FIND, DEFAULT_SYNTAX)]
    async with approach.association(f"N{count}", "DOORWARDBENCH", contexts) as requestor:
        counter = MatchCounter(asked=6)
        begun = time.perf_counter()
        found = await requestor.find(STUDY_ROOT_FIND, pdus.STUDY_QUERY, counter.take)
        seconds = time.perf_counter() - begun
    return {"matches": found.matches, "images": counter.instances, "seconds": seconds}


def _pynetdicom(port: int, count: int) -> dict[str, object]:
    from pydicom.dataset import Dataset
    from pynetdicom import AE
    from pynetdicom.sop_class import (  # type: ignore[attr-defined]
        StudyRootQueryRetrieveInformationModelFind as Model,
    )

    entity = AE("DOORWARDBENCH")
    entity.add_requested_context(Model)
    identifier = Dataset()
    identifier.QueryRetrieveLevel = "STUDY"
    identifier.StudyInstanceUID = ""
    identifier.NumberOfStudyRelatedInstances = None
    association = entity.associate(HOST, port, ae_title=f"N{count}")
    begun = time.perf_counter()
    statuses = [status.Status for status, _ in association.send_c_find(identifier, Model)]
    seconds = time.perf_counter() - begun
    association.release()
    return {"matches": statuses.count(0xFF00), "images": None, "seconds": seconds}


def main() -> None:
    contestant, port, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    if contestant == "ours":
        from doorward.net.loop import run

        found = run(_ours(port, count))
    else:
        found = _pynetdicom(port, count)
    print(json.dumps(found | {"peak_kib": peak_kib()}))


if __name__ == "__main__":
    main()
