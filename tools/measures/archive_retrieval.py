"""(d) Images given out: C-GET of a series in instances a second, WADO-RS of a study in megabytes a second.

What is retrieved was stored before by the same sender, so it may lie in the memory of the system for either. Received is
read and dropped. Ours speaks TLS with a client certificate for WADO, Orthanc plain HTTP.
"""

import http.client
import time
from collections.abc import Callable, Iterator

from doorward.dicom.values import encode_identifier
from doorward.dicom.walk import Syntax
from doorward.wire.uids import CT_IMAGE_STORAGE, STUDY_ROOT_GET
from measures import archive_client
from measures.archive_ingest import CT_BYTES
from measures.archive_peers import Contestant
from measures.archive_queries import connection_to
from measures.figures import Row, compared, rate
from measures.processes import Broken, report

INSTANCES = 120
#: Issue 5.
TARGET = 2.0
_SERIES = 77
STUDY_UID = f"2.25.{10**8 + _SERIES}"
_READ_BYTES = 1_048_576


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
    connection = connection_to(one)
    accept = 'multipart/related; type="application/dicom"; transfer-syntax=*'
    connection.connect()
    begun = time.perf_counter()
    connection.request("GET", f"/dicom-web/studies/{STUDY_UID}", headers={"Accept": accept})
    answer = connection.getresponse()
    if answer.status != http.client.OK:
        raise Broken(f"WADO from {one.name} was answered with {answer.status}")
    size = 0
    buffer = bytearray(_READ_BYTES)
    while count := answer.readinto(buffer):
        size += count
    seconds = time.perf_counter() - begun
    connection.close()
    if size < wanted * CT_BYTES * 0.9:
        raise Broken(f"WADO from {one.name} gave {size} bytes")
    return size / seconds / 1e6


def measure(
    ours: Contestant, theirs: Contestant | None, *, rounds: int, scale: float
) -> Iterator[Row]:
    """Store one study in both, and retrieve it by both doors in turns."""
    many = max(60, int(INSTANCES * scale))
    contestants = [one for one in (ours, theirs) if one is not None]
    for one in contestants:
        report(
            "measures.archive_sender",
            *(one.port, one.title, 1, many - 1, CT_BYTES, _SERIES),
            most_s=300,
        )
    doors: tuple[tuple[str, Callable[[Contestant, int], float], str], ...] = (
        ("C-GET of a study", c_get, "instances/s"),
        ("WADO of a study", wado, "MB/s"),
    )
    for title, give, unit in doors:
        rates: dict[str, list[float]] = {one.name: [] for one in contestants}
        for _ in range(rounds):
            for one in contestants:
                rates[one.name].append(give(one, many))
        for name, found in rates.items():
            yield rate("d", f"{name}, {title}", found, unit)
        if theirs is not None:
            yield compared(
                "d",
                f"doorward / Orthanc, {title}",
                rates[ours.name],
                rates[theirs.name],
                target=TARGET,
            )
