"""The process that decodes: ``python -m doorward.archive.pixels.worker MEMORY_BYTES RESULT_BYTES SECONDS``.

Theory of operation. A stranger's compressed bytes meet decoders written in C here, and nowhere else. Everything is loaded
first; then this process may open no file and no socket any more (no new descriptor at all), write to none, start nothing,
and use so much memory and, for each job, so much processor time. It reads jobs from its input and writes results to its
output until the input ends. It is given pixels and what it takes to show them: no path, no key, no name.

A fault is an answer. What ends the process (a crash in a decoder, a bound of the system) its owner sees.
"""

import contextlib
import os
import resource
import sys
import warnings
from collections.abc import Callable, Mapping
from io import BytesIO
from typing import Any, BinaryIO

import numpy as np
from PIL import Image
from pydicom import config
from pydicom.filereader import read_dataset

from doorward.archive.pixels.decoding import decoded, native, run_length_encoded
from doorward.archive.pixels.job import LENGTHS, Message, lengths_of, pack, unpack
from doorward.archive.pixels.windowing import shown

_READY = Message(facts={"ok": True})


def render(facts: Mapping[str, Any], frame: bytes, shows: bytes) -> Message:
    """Return a frame as an image file."""
    array, photometric = decoded(facts, frame)
    data_set = read_dataset(BytesIO(shows), False, True)
    window = facts["window"] and tuple(facts["window"])
    eight = shown(array, photometric, data_set, facts["frame"], window, facts["stored"])
    image = _fitted(Image.fromarray(np.ascontiguousarray(eight)), facts["viewport"])
    out = BytesIO()
    if facts["format"] == "png":
        image.save(out, "PNG", compress_level=1)
    else:
        image.save(out, "JPEG", quality=facts["quality"])
    return Message(facts={"ok": True}, parts=[out.getvalue()])


def decode(facts: Mapping[str, Any], frame: bytes) -> Message:
    """Return a frame as native pixels, little endian, and the photometric interpretation that they have now."""
    array, photometric = decoded(facts, frame)
    pixels = native(array, facts["allocated"])
    if facts["is_rle"]:
        pixels = run_length_encoded({**facts, "photometric": photometric}, pixels)
    return Message(facts={"ok": True, "photometric": photometric}, parts=[pixels])


def _fitted(image: Image.Image, viewport: list[float] | None) -> Image.Image:
    """Return the part of an image that was asked for, as large as fits the viewport (PS3.18 section 8.3.5.1.3)."""
    if viewport is None:
        return image
    width, height, left, top, part_width, part_height = viewport
    part_width, part_height = part_width or image.width, part_height or image.height
    right, bottom = left + abs(part_width), top + abs(part_height)
    box = (max(0, left), max(0, top), min(image.width, right), min(image.height, bottom))
    if box[2] - box[0] < 1 or box[3] - box[1] < 1:
        raise ValueError("nothing of the image is in there")
    image = image.crop((round(box[0]), round(box[1]), round(box[2]), round(box[3])))
    if part_width < 0:
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    if part_height < 0:
        image = image.transpose(Image.Transpose.FLIP_TOP_BOTTOM)
    scale = min(width / image.width, height / image.height)
    size = max(1, round(image.width * scale)), max(1, round(image.height * scale))
    return image.resize(size, Image.Resampling.BILINEAR, reducing_gap=2.0)


_WORK: Mapping[str, Callable[..., Message]] = {"render": render, "decode": decode}


def answer(job: Message) -> Message:
    """Return the result of a job, or what kind of fault it was; never what was in it."""
    try:
        return _WORK[job.facts["do"]](job.facts, *job.parts)
    except MemoryError:
        return Message(facts={"ok": False, "why": "it needs more memory than it may have"})
    # Decoders and their wrappers raise whatever they like; here a fault of any kind is an answer, and nothing is lost by it.
    except Exception:  # noqa: BLE001
        return Message(facts={"ok": False, "why": "it cannot be decoded"})


def confine(memory_bytes: int) -> None:
    """Bound what this process may use, once and for all."""
    for bound, most in (
        (resource.RLIMIT_AS, memory_bytes),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, 0),
    ):
        resource.setrlimit(bound, (most, most))


def shut() -> None:
    """Open nothing from here on: no file, no socket. What is open stays so."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, 0))


def _allow(seconds: int) -> None:
    """Give one job so much processor time; beyond, the system ends this process."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    soon = int(used.ru_utime + used.ru_stime) + seconds + 1
    resource.setrlimit(resource.RLIMIT_CPU, (soon, resource.RLIM_INFINITY))


def serve(incoming: BinaryIO, outgoing: BinaryIO, result_bytes: int, seconds: int) -> None:
    """Do jobs until there are no more."""
    _send(outgoing, _READY)
    while lengths := incoming.read(LENGTHS.size):
        _allow(seconds)
        head, body = lengths_of(lengths, result_bytes)
        _send(outgoing, answer(unpack(incoming.read(head), incoming.read(body))))


def _send(outgoing: BinaryIO, message: Message) -> None:
    outgoing.writelines(pack(message))
    outgoing.flush()


def warm_up() -> None:
    """Load what is loaded at its first use: later no file can be opened."""
    config.settings.reading_validation_mode = config.IGNORE
    warnings.simplefilter("ignore")
    facts = {"rows": 8, "columns": 8, "samples": 1, "photometric": "MONOCHROME2", "planar": 0}
    facts |= {"allocated": 8, "stored": 8, "is_signed": False, "keyword": "PixelData", "vr": "OB"}
    pixels = bytes(range(64))
    for name in ("JPEG", "PNG", "JPEG2000"):
        out = BytesIO()
        Image.frombytes("L", (8, 8), pixels).save(out, name)
        Image.open(BytesIO(out.getvalue())).load()
    samples = {"1.2.840.10008.1.2.5": run_length_encoded(facts, pixels)}
    samples |= dict.fromkeys(_SYNTAXES, b"\0\0")
    for syntax, frame in samples.items():
        # That it cannot be decoded is expected: the decoders have been looked for and loaded then.
        with contextlib.suppress(Exception):
            decoded({**facts, "syntax": syntax, "is_compressed": True}, frame)


_SYNTAXES = tuple(
    f"1.2.840.10008.1.2.4.{n}" for n in (50, 51, 57, 70, 80, 81, 90, 91, 201, 202, 203)
)


def main() -> None:
    """Run a worker."""
    memory_bytes, result_bytes, seconds = map(int, sys.argv[1:])
    confine(memory_bytes)
    outgoing = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever a decoder prints is no result
    warm_up()
    shut()
    serve(sys.stdin.buffer, outgoing, result_bytes, seconds)


if __name__ == "__main__":
    main()
