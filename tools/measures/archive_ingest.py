"""(a) and (b): instances taken in for good in a second, by a sender that never stalls and by stock storescu.

Every contestant of a round is measured before the next round begins; they run all the time and keep what they get. Nothing
is deleted before the end: ext4 is slow to make files where others were just deleted. The disk alone: as in ``blobs``,
threads that write a file, sync it, rename it, sync the folder, with content that is in memory.
"""

from collections.abc import Iterator, Sequence
from functools import partial
from itertools import count
from pathlib import Path

from doorward.dicom.part10 import write_file_meta
from doorward.wire.uids import CT_IMAGE_STORAGE, IMPLICIT_VR_LITTLE_ENDIAN
from measures import blobs, pdus
from measures.archive_peers import SYNCED, Contestant
from measures.archive_sender import data_set
from measures.figures import Figure, Missing, Row, compared, rate
from measures.processes import HOST, Broken, program, rate_without_start, report, timed

CT_BYTES, TINY_BYTES = 525_000, 1_000
ASSOCIATIONS = (1, 4, 8)
CT_INSTANCES, TINY_INSTANCES, STORESCU_INSTANCES = 240, 10_000, 60
TINY_ASSOCIATIONS = 4
#: Issue 5: ours to Orthanc's; ours over TLS to Orthanc's; storescu; ours to the disk alone.
TARGET, TARGET_TLS, TARGET_STORESCU, TARGET_DISK = 3.0, 2.0, 20.0, 0.6
_MOST_S = 300.0
#: Each run has studies of its own.
_SERIES = count(1_000, 100)

Rates = dict[str, list[float]]


def measure_ct(
    contestants: Sequence[Contestant], folder: Path, *, rounds: int, scale: float
) -> Iterator[Row]:
    """Measure (a): images of 525 KB, then the same from storescu."""
    for associations in ASSOCIATIONS:
        many = max(associations, int(CT_INSTANCES * scale))
        rates: Rates = {one.name: [] for one in contestants}
        alone: list[float] = []
        for number in range(rounds):
            _round(contestants, rates, associations, many, CT_BYTES)
            place = folder / f"alone-{associations}-{number}"
            place.mkdir()
            alone.append(many / blobs.disk_alone(CT_BYTES, many, associations, place))
        yield from _rows("a", f"525 KB, {associations} at a time", rates, CT_BYTES)
        yield rate("a", f"the disk alone, {associations} at a time", alone, "files/s")
        title = f"doorward / the disk alone, {associations} at a time"
        yield compared("a", title, rates["doorward"], alone, target=TARGET_DISK)
        yield from _one_after_the_other(f"525 KB, {associations} at a time", rates, alone)
    yield from _stock(contestants, folder, rounds, scale)


def measure_tiny(contestants: Sequence[Contestant], *, rounds: int, scale: float) -> Iterator[Row]:
    """Measure (b): instances of 1 KB."""
    many = max(TINY_ASSOCIATIONS, int(TINY_INSTANCES * scale))
    rates: Rates = {one.name: [] for one in contestants}
    for _ in range(rounds):
        _round(contestants, rates, TINY_ASSOCIATIONS, many, TINY_BYTES)
    title = f"{many:,} of 1 KB, {TINY_ASSOCIATIONS} at a time"
    yield from _rows("b", title, rates, TINY_BYTES)


def _round(
    contestants: Sequence[Contestant], rates: Rates, associations: int, many: int, size: int
) -> None:
    """Measure each once. dcmqrscp now and then refuses an instance under several associations: it is left out then."""
    for one in contestants:
        if one.name not in rates:
            continue
        try:
            rates[one.name].append(_rate(one, associations, many, size))
        except Broken:
            if one.name != "dcmqrscp":
                raise
            del rates[one.name]


def _rate(one: Contestant, associations: int, many: int, size: int) -> float:
    certificates = [one.certificates] if one.certificates else []
    found = report(
        "measures.archive_sender",
        *(one.port, one.title, associations, many // associations, size, next(_SERIES)),
        *certificates,
        most_s=_MOST_S,
    )
    return float(found["instances"] / found["seconds"])


def _rows(group: str, title: str, rates: Rates, size: int) -> Iterator[Row]:
    if "dcmqrscp" not in rates:
        reason = "it refused an instance, or is not installed"
        yield Missing(group=group, name=f"dcmqrscp, {title}", reason=reason)
    for name, found in rates.items():
        megabytes = sorted(found)[len(found) // 2] * size / 1e6
        note = f"{megabytes:,.0f} MB/s; {SYNCED[name]}"
        yield rate(group, f"{name}, {title}", found, "instances/s", note=note)
    theirs = rates.get("Orthanc")
    if theirs is None:
        yield Missing(group=group, name=f"beside Orthanc, {title}", reason="it is not installed")
        return
    for name, target in (("doorward", TARGET), ("doorward, TLS", TARGET_TLS)):
        if name in rates:
            yield compared(group, f"{name} / Orthanc, {title}", rates[name], theirs, target=target)


def _one_after_the_other(title: str, rates: Rates, alone: list[float]) -> Iterator[Row]:
    """What a receiver in C++ that syncs nothing, and then the disk, would reach: how far a goal is away for anybody."""
    if "dcmqrscp" not in rates or "Orthanc" not in rates:
        return
    both = [
        1 / (1 / taken + 1 / kept) for taken, kept in zip(rates["dcmqrscp"], alone, strict=True)
    ]
    note = "a ceiling, not a goal: taken in without a sync, then written and synced"
    name = f"dcmqrscp, then the disk alone / Orthanc, {title}"
    yield compared("a", name, both, rates["Orthanc"], note=note)


def _stock(
    contestants: Sequence[Contestant], folder: Path, rounds: int, scale: float
) -> Iterator[Row]:
    """Stock storescu, one association: it writes header and body of a PDU apart, with Nagle's algorithm on."""
    path = program("storescu")
    if path is None:
        yield Missing(group="a", name="storescu", reason="DCMTK is not installed")
        return
    file = _write_instance(folder)
    plain = [one for one in contestants if one.certificates is None]
    many = max(10, int(STORESCU_INSTANCES * scale))
    rates: Rates = {one.name: [] for one in plain}
    for _ in range(rounds):
        for one in plain:
            seconds_for = partial(_storescu_seconds, path, one, file)
            # ours is fast enough for the start of a process to show
            wanted = many * 8 if one.name == "doorward" else many
            rates[one.name].append(rate_without_start(seconds_for, wanted))
    for name, found in rates.items():
        row = rate("a", f"storescu into {name}", found, "instances/s", note=SYNCED[name])
        yield row
    if "Orthanc" in rates:
        title = "storescu into doorward / into Orthanc"
        yield compared("a", title, rates["doorward"], rates["Orthanc"], target=TARGET_STORESCU)


def _write_instance(folder: Path) -> Path:
    uid = f"2.25.1.{10**11}"
    meta = write_file_meta(
        transfer_syntax_uid=IMPLICIT_VR_LITTLE_ENDIAN,
        media_storage_sop_class_uid=CT_IMAGE_STORAGE,
        media_storage_sop_instance_uid=uid,
        implementation_class_uid=pdus.CLASS_UID,
    )
    path = folder / "image.dcm"
    path.write_bytes(meta + data_set(uid, "2.25.999999999", CT_BYTES))
    return path


def _storescu_seconds(path: str, one: Contestant, file: Path, many: int) -> float:
    command = [path, "--log-level", "error", "--call", one.title, "--invent-instance"]
    command += ["--repeat", str(many), HOST, str(one.port), str(file)]
    return timed(command, most_s=_MOST_S, must_be_silent=True)


def memory(peak_kib: int, most_mb: float) -> Figure:
    """Return the row for the largest memory that ours ever had."""
    megabytes = peak_kib * 1_024 / 1e6
    return Figure(
        group="e",
        name="doorward, peak memory of all of this",
        value=f"{megabytes:,.0f} MB",
        ratio=most_mb / megabytes,
        target=1.0,
        note=f"VmHWM; under {most_mb:g} MB",
    )
