"""What a worker does with a job, in this process; and what it cannot do, in one of its own."""

import subprocess
import sys
from io import BytesIO

import numpy as np
import pytest

from blob_process import environment
from doorward.archive.pixels import worker
from doorward.archive.pixels.job import LENGTHS, Message, lengths_of, pack, unpack
from pixel_archives import facts_for, image_of

IMAGE = np.arange(128, dtype="u1").reshape(8, 16) * 2


def rendered(**changes):
    facts = {"do": "render", "frame": 0, "format": "png", "quality": 90, "window": None}
    facts |= facts_for(IMAGE) | {"viewport": None} | changes
    return worker.answer(Message(facts=facts, parts=(IMAGE.tobytes(), b"")))


def shown(**changes):
    return image_of(rendered(**changes).parts[0])


def test_an_image_is_shown_in_its_own_size():
    assert shown().shape == IMAGE.shape
    assert shown(format="jpeg").shape == IMAGE.shape


def test_a_viewport_takes_a_part_and_fits_it_without_distortion():
    assert shown(viewport=[32, 32, 0, 0, 0, 0]).shape == (16, 32)
    assert shown(viewport=[4, 100, 0, 0, 0, 0]).shape == (2, 4)
    assert np.array_equal(shown(viewport=[4, 4, 8, 2, 4, 4]), shown()[2:6, 8:12])


def test_negative_sizes_mirror():
    assert np.array_equal(shown(viewport=[16, 8, 0, 0, -16, 8]), shown()[:, ::-1])
    assert np.array_equal(shown(viewport=[16, 8, 0, 0, 16, -8]), shown()[::-1])


def test_a_part_outside_of_the_image_is_an_answer():
    assert rendered(viewport=[16, 8, 100, 0, 5, 5]).facts["ok"] is False


@pytest.mark.parametrize("job", [{}, {"do": "format"}, {"do": "decode"}])
def test_what_is_no_job_is_an_answer(job):
    found = worker.answer(Message(facts=job))

    assert found.facts == {"ok": False, "why": "it cannot be decoded"}


def test_what_needs_too_much_memory_is_an_answer(monkeypatch):
    def greedy(*_):
        raise MemoryError

    monkeypatch.setattr(worker, "_WORK", {"render": greedy})

    assert "memory" in rendered().facts["why"]


def test_jobs_are_done_until_there_are_no_more(monkeypatch):
    monkeypatch.setattr(worker, "_allow", lambda _: None)
    facts = {"do": "decode", "is_rle": False} | facts_for(IMAGE)
    job = b"".join(pack(Message(facts=facts, parts=(IMAGE.tobytes(),))))
    out = BytesIO()

    worker.serve(BytesIO(job * 2), out, 1_000_000, 5)

    out.seek(0)
    found = []
    while lengths := out.read(LENGTHS.size):
        head, body = lengths_of(lengths, 1_000_000)
        found.append(unpack(out.read(head), out.read(body)))
    assert [one.facts["ok"] for one in found] == [True, True, True]
    assert [list(one.parts) for one in found] == [[], [IMAGE.tobytes()], [IMAGE.tobytes()]]


CONFINED = """
import os, resource, socket
from doorward.archive.pixels import worker
worker.confine(2_000_000_000)
worker.warm_up()
worker.shut()
done = []
for what in (
    lambda: open("/etc/passwd"),
    lambda: socket.socket(),
    lambda: os.pipe(),
    lambda: bytearray(3_000_000_000),
):
    try:
        what()
        done.append("possible")
    except (OSError, MemoryError):
        done.append("refused")
print(*done, *resource.getrlimit(resource.RLIMIT_CORE))
"""


def test_a_worker_can_open_no_file_and_no_socket_and_take_no_more_memory():
    done = subprocess.run(
        [sys.executable, "-c", CONFINED],
        capture_output=True,
        env=environment(),
        check=True,
        timeout=15,
    )

    assert done.stdout.split() == [b"refused"] * 4 + [b"0", b"0"]


def test_a_worker_that_uses_more_processor_time_than_a_job_may_is_ended():
    code = "from doorward.archive.pixels import worker\nworker._allow(0)\nwhile True: pass"
    done = subprocess.run([sys.executable, "-c", code], env=environment(), check=False, timeout=15)

    assert done.returncode < 0
