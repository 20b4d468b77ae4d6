"""(a) Answers to a C-FIND counted in a second: the audit's own path, DCMTK's findscu, pynetdicom.

Ours and pynetdicom keep the time inside, around the query alone; findscu is timed as a whole process with two sizes,
whose difference has no start-up in it. ``python -m measures.counting ours|pynetdicom PORT COUNT`` is one contestant.
"""

import asyncio
import json
import sys
import time
from collections.abc import Iterator

from measures import pdus
from measures.figures import Figure, Missing, Row, compared, rate
from measures.processes import HOST, Broken, peak_kib, program, report, serving, timed

GROUP = "a"
TARGET_FINDSCU = 10.0
TARGET_PYNETDICOM = 60.0
#: Answers for each contestant: a round should take each of them about a second.
SIZES = {"ours": 200_000, "findscu": 20_000, "pynetdicom": 3_000}


def measure(*, rounds: int, scale: float) -> Iterator[Row]:
    """Measure all contestants in turns; ``scale`` shrinks the sizes."""
    sizes = {name: max(50, int(size * scale)) for name, size in SIZES.items()}
    has_findscu = program("findscu") is not None
    ours: list[float] = []
    findscu: list[float] = []
    pynetdicom: list[float] = []
    peaks: list[int] = []
    with serving("measures.answers", max(sizes.values())) as archive:
        for _ in range(rounds):
            counted = _report("ours", archive.port, sizes["ours"])
            ours.append(counted["rate"])
            peaks.append(counted["peak_kib"])
            if has_findscu:
                findscu.append(_findscu(archive.port, sizes["findscu"]))
            pynetdicom.append(_report("pynetdicom", archive.port, sizes["pynetdicom"])["rate"])
    yield rate(GROUP, "doorward counts", ours, "answers/s")
    if has_findscu:
        yield rate(GROUP, "findscu --log-level error", findscu, "answers/s", note="process start subtracted")
        yield compared(GROUP, "doorward / findscu", ours, findscu, target=TARGET_FINDSCU)
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


def _findscu(port: int, count: int) -> float:
    """Return answers/s by the difference of two sizes."""
    few = max(1, count // 10)
    seconds = _findscu_seconds(port, count) - _findscu_seconds(port, few)
    if seconds <= 0:
        raise Broken(f"{count} answers are too few to time findscu")
    return (count - few) / seconds


def _findscu_seconds(port: int, count: int) -> float:
    # findscu ends with 0 even where it received nothing: what it says at this level must be nothing
    command = [program("findscu") or "findscu", "--log-level", "error", "--study"]
    command += ["--call", f"N{count}"]
    for key in ("0008,0052=STUDY", "0020,000D", "0020,1208"):
        command += ["--key", key]
    return timed([*command, HOST, str(port)], most_s=60, must_be_silent=True)


# --- contestants, each in a process of its own ---


async def _ours(port: int, count: int) -> dict[str, object]:
    from doorward.audit.count import MatchCounter
    from doorward.audit.scope import Scope
    from doorward.net.client import Proposal, associate
    from doorward.wire.uids import IMPLICIT_VR_LITTLE_ENDIAN, STUDY_ROOT_FIND

    proposal = Proposal(
        called_ae_title=f"N{count}",
        calling_ae_title="DOORWARDBENCH",
        contexts=[(STUDY_ROOT_FIND, (IMPLICIT_VR_LITTLE_ENDIAN,))],
    )
    async with associate(HOST, port, proposal, gate=Scope.loopback()) as requestor:
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
        found = asyncio.run(_ours(port, count))
    else:
        found = _pynetdicom(port, count)
    print(json.dumps(found | {"peak_kib": peak_kib()}))


if __name__ == "__main__":
    main()
