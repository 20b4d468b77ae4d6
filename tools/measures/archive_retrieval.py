"""(d) Images given out: C-GET of a series in instances a second, WADO-RS of a study in megabytes a second.

What is retrieved was stored before by the same sender, so it may lie in the memory of the system for either. Received is
read and dropped. Ours has no plain HTTP: it speaks TLS with a client certificate for WADO, and its goal is set beside an
Orthanc that speaks TLS too, by nginx as its handbook advises. Orthanc's own plain HTTP is shown beside it, without a goal.
"""

import time
from collections.abc import Callable, Iterator, Sequence

from doorward.dicom.values import encode_identifier
from doorward.dicom.walk import Syntax
from doorward.wire.uids import CT_IMAGE_STORAGE, STUDY_ROOT_GET
from measures import archive_client, archive_downloads, archive_host
from measures.archive_ingest import CT_BYTES
from measures.archive_peers import Contestant
from measures.figures import Missing, Row, compared, rate
from measures.processes import Broken, report

INSTANCES = 120
#: Issue 5.
TARGET = 2.0
_SERIES = 77
STUDY_UID = f"2.25.{10**8 + _SERIES}"
_UNLIKE = "TLS beside plain HTTP, which ours does not have"


def c_get(one: Contestant, wanted: int) -> float:
    """Return the instances a second of one C-GET."""
    identifier = encode_identifier(
        ((0x0008_0052, "CS", "STUDY"), (0x0020_000D, "UI", STUDY_UID)), Syntax.IMPLICIT_LITTLE
    )
    contexts, takes = [STUDY_ROOT_GET, CT_IMAGE_STORAGE], [CT_IMAGE_STORAGE]
    with archive_client.calling(one.port, one.title, contexts, takes) as line:
        begun = time.perf_counter()
        instances = archive_client.get(line, STUDY_ROOT_GET, identifier)
        seconds = time.perf_counter() - begun
    if instances != wanted:
        raise Broken(f"C-GET from {one.name} gave {instances} instances")
    return wanted / seconds


def wado(one: Contestant, wanted: int) -> float:
    """Return the megabytes a second of one study by WADO-RS, in the transfer syntax in which it is held."""
    tls = None
    if one.web_authority is not None:
        shown = one.folder / archive_host.DEVICE if one.pid else None
        tls = archive_downloads.tls_context(one.web_authority, shown)
    accept = 'multipart/related; type="application/dicom"; transfer-syntax=*'
    path = f"/dicom-web/studies/{STUDY_UID}"
    size, seconds = archive_downloads.download(one.http_port, path, accept, tls)
    if size < wanted * CT_BYTES * 0.9:
        raise Broken(f"WADO from {one.name} gave {size} bytes")
    return size / seconds / 1e6


def measure(
    ours: Contestant,
    theirs: Contestant | None,
    theirs_tls: Contestant | None,
    *,
    rounds: int,
    scale: float,
) -> Iterator[Row]:
    """Store one study in ours and theirs, and retrieve it by every door in turns. ``theirs_tls`` is theirs by another door."""
    many = max(60, int(INSTANCES * scale))
    there = [one for one in (ours, theirs) if one is not None]
    for one in there:
        sizes = (1, many - 1, CT_BYTES, _SERIES)
        report("measures.archive_sender", one.port, one.title, *sizes, most_s=300)
    yield from _compared("C-GET of a study", c_get, "instances/s", there, many, rounds)
    if theirs_tls is None:
        reason = "Orthanc or nginx is not installed"
        yield Missing(group="d", name="WADO over TLS of a study beside Orthanc", reason=reason)
        yield from _compared("WADO of a study", wado, "MB/s", [ours], many, rounds)
    else:
        doors = [ours, theirs_tls, *there[1:]]
        yield from _compared("WADO of a study", wado, "MB/s", doors, many, rounds)


def _compared(
    title: str,
    give: Callable[[Contestant, int], float],
    unit: str,
    contestants: Sequence[Contestant],
    many: int,
    rounds: int,
) -> Iterator[Row]:
    """Measure all in turns, ours first; a goal is set beside those who speak TLS where ours does, and not where it does not."""
    rates: dict[str, list[float]] = {one.name: [] for one in contestants}
    for _ in range(rounds):
        for one in contestants:
            rates[one.name].append(give(one, many))
    for name, found in rates.items():
        yield rate("d", f"{name}, {title}", found, unit)
    ours, *others = contestants
    for one in others:
        is_alike = give is c_get or one.web_authority is not None
        yield compared(
            "d",
            f"doorward / {one.name}, {title}",
            rates[ours.name],
            rates[one.name],
            target=TARGET if is_alike else None,
            note="" if is_alike else _UNLIKE,
        )
