"""(c) Instances received in a second and discarded: our server, pynetdicom's, DCMTK's storescp.

One sender for all (``sender``), 525 KB instances, 1 and 4 associations; PDUs as large as each receiver announces by
default (ours 131,072 bytes, the others 16 KiB), then as large as ours. storescp runs with --fork --ignore.
Then stock storescu into ours and into storescp: it sends header and body of a PDU apart with Nagle's algorithm on, so that
a receiver that delays its acknowledgements would show here (40 ms for each message: at most 25 instances a second).
"""

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from doorward.limits import DEFAULT_LIMITS
from measures import pdus, sinks
from measures.figures import Figure, Missing, Row, compared, rate
from measures.processes import HOST, Child, listening, program, rate_without_start, serving, timed
from measures.sender import instances_per_second

GROUP = "c"
TARGET_PYNETDICOM = 10.0
ASSOCIATIONS = (1, 4)
#: Instances for each receiver and association: a round should take each of them about a second.
COUNTS = {
    "doorward": 1_200,
    "pynetdicom": 200,
    "pynetdicom, large PDUs": 200,
    "storescp": 600,
    "storescp, large PDUs": 600,
}
STORESCU_COUNT = 200
SINKS = {
    "doorward": "ours",
    "pynetdicom": "pynetdicom",
    "pynetdicom, large PDUs": "pynetdicom-large",
}


def measure(*, rounds: int, scale: float) -> Iterator[Row]:
    """Measure all receivers in turns."""
    with ExitStack() as stack:
        receivers = {
            name: stack.enter_context(serving("measures.sinks", kind))
            for name, kind in SINKS.items()
        }
        storescp = program("storescp")
        if storescp is None:
            yield Missing(group=GROUP, name="storescp", reason="DCMTK is not installed")
        else:
            command = [storescp, "--fork", "--ignore", "--accept-all"]
            receivers["storescp"] = stack.enter_context(listening(command))
            command += ["--max-pdu", str(DEFAULT_LIMITS.max_pdu_bytes)]
            receivers["storescp, large PDUs"] = stack.enter_context(listening(command))
        for associations in ASSOCIATIONS:
            yield from _compare(receivers, associations, rounds, scale)
        if program("storescu") is not None and storescp is not None:
            yield from _stock_sender(receivers, rounds, scale)


def _compare(
    receivers: dict[str, Child], associations: int, rounds: int, scale: float
) -> Iterator[Row]:
    rates: dict[str, list[float]] = {name: [] for name in receivers}
    for _ in range(rounds):
        for name, receiver in receivers.items():
            count = max(2, int(COUNTS[name] * scale) // associations)
            rates[name].append(
                instances_per_second(receiver.port, sinks.TITLE, associations, count)
            )
    plural = f"{associations} association{'s' if associations > 1 else ''}"
    for name, found in rates.items():
        yield _stored(f"{name}, {plural}", found)
    for name, found in rates.items():
        if name != "doorward":
            target = TARGET_PYNETDICOM if name == "pynetdicom" else None
            title = f"doorward / {name}, {plural}"
            yield compared(GROUP, title, rates["doorward"], found, target=target)


def _stored(name: str, rates: list[float]) -> Figure:
    row = rate(GROUP, name, rates, "instances/s")
    megabytes = sorted(rates)[len(rates) // 2] * pdus.INSTANCE_BYTES / 1e6
    return Figure(group=row.group, name=row.name, value=row.value, note=f"{megabytes:,.0f} MB/s")


def _stock_sender(receivers: dict[str, Child], rounds: int, scale: float) -> Iterator[Row]:
    count = max(4, int(STORESCU_COUNT * scale))
    names = ("doorward", "storescp")
    rates: dict[str, list[float]] = {name: [] for name in names}
    with tempfile.TemporaryDirectory() as folder:
        file = write_instance(Path(folder))
        for _ in range(rounds):
            for name in names:
                rates[name].append(
                    rate_without_start(
                        partial(_storescu_seconds, file, receivers[name].port), count
                    )
                )
    for name in names:
        yield _stored(f"storescu into {name}", rates[name])
    yield compared(
        GROUP, "storescu into doorward / into storescp", rates[names[0]], rates[names[1]]
    )


def write_instance(folder: Path) -> Path:
    """Write the synthetic image as a file (part 10, Implicit VR Little Endian) and return its path."""
    from pydicom import dcmread, dcmwrite
    from pydicom.filebase import DicomBytesIO
    from pydicom.uid import ImplicitVRLittleEndian

    data_set = dcmread(DicomBytesIO(pdus.image_data_set()), force=True)
    data_set.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    path = folder / "image.dcm"
    dcmwrite(path, data_set, enforce_file_format=True)
    return path


def _storescu_seconds(file: Path, port: int, count: int) -> float:
    command = ["storescu", "--log-level", "error", "--call", sinks.TITLE, "--repeat", str(count)]
    return timed([*command, HOST, str(port), str(file)], most_s=60, must_be_silent=True)
