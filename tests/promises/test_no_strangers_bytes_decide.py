"""Promise 9: no stranger's bytes decide our memory or time. Every length, count, depth and wait has a bound in ``limits.py``.

By two witnesses: the source, in which a wait or a read without a bound from there is found by reading it; and a real archive
with bounds of a tenth, at whose doors what is above them is refused and what is below is served. What a flood does to those
who are known is in ``tests/hostile``.
"""

import ast
import re
from collections.abc import Iterator
from dataclasses import fields, replace
from pathlib import Path

import pytest

from archives import instance
from doorward.limits import DEFAULT_LIMITS, Limits
from stow_bodies import file, multipart, post
from web_archives import WebArchive, web_archive

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "src" / "doorward"
#: Floors that meet strangers; a number there that waits or counts comes from ``limits``.
DOORS = ("wire", "web", "net", "access", "archive")
SMALL = replace(
    DEFAULT_LIMITS,
    web_head_bytes=3_000,
    web_headers=20,
    web_json_bytes=800,
    stow_instances=3,
    stow_bytes=200_000,
    blob_bytes=50_000,
    qido_parameters=10,
    accept_bytes=400,
)


def _waits(path: Path) -> Iterator[str]:
    """Yield every wait whose time is a bare number: what should be a row of the limits."""
    for node in ast.walk(ast.parse(path.read_text())):
        if not isinstance(node, ast.Call):
            continue
        name = getattr(node.func, "attr", getattr(node.func, "id", ""))
        given = [
            *node.args[:1],
            *(word.value for word in node.keywords if "timeout" in (word.arg or "")),
        ]
        is_wait = name in ("timeout", "settimeout", "wait_for") or name.startswith("timeout_")
        if is_wait:
            yield from (
                f"{path.relative_to(SOURCE)}:{node.lineno}"
                for one in given
                if isinstance(one, ast.Constant) and isinstance(one.value, int | float)
            )


def test_no_wait_of_a_door_is_a_bare_number() -> None:
    found = [
        one for floor in DOORS for path in (SOURCE / floor).rglob("*.py") for one in _waits(path)
    ]
    assert found == []


def test_every_bound_has_a_number_a_unit_and_a_reason_and_none_is_endless() -> None:
    for row in fields(Limits):
        value = getattr(DEFAULT_LIMITS, row.name)
        assert row.metadata["unit"], row.name
        assert row.metadata["source"], row.name
        for one in value if isinstance(value, tuple) else (value,):
            if isinstance(one, int | float):
                assert 0 <= one < 1 << 50, row.name


def test_every_bound_is_asked_for_somewhere() -> None:
    """A bound that nobody reads bounds nothing."""
    text = "\n".join(path.read_text() for path in SOURCE.rglob("*.py") if path.name != "limits.py")
    words = set(re.findall(r"\w+", text))
    assert [row.name for row in fields(Limits) if row.name not in words] == []


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebArchive]:
    """An archive whose bounds are small."""
    with web_archive(tmp_path_factory.mktemp("small"), limits=SMALL) as one:
        one.stored(instance("2.25.1"))
        yield one


def test_heads_are_bounded(site: WebArchive) -> None:
    assert site.get("/dicom-web/studies", X="y" * 1_000).status == 200
    assert site.get("/dicom-web/studies", X="y" * 4_000).status == 431
    assert site.get("/dicom-web/studies", **{f"X{n}": "y" for n in range(30)}).status == 400
    assert site.get("/dicom-web/studies", Accept=", ".join(["*/*"] * 200)).status == 413


def test_questions_are_bounded(site: WebArchive) -> None:
    below = "&".join(f"{0x00100010 + n:08X}=" for n in range(0x10, 0x18))
    above = "&".join(f"{0x00100010 + n:08X}=" for n in range(0x10, 0x30))
    assert site.get(f"/dicom-web/studies?{below}").status in (200, 204)
    assert site.get(f"/dicom-web/studies?{above}").status == 413


def test_bodies_are_bounded(site: WebArchive) -> None:
    assert site.log_in("x" * 100).status == 401
    assert site.log_in("x" * 1_000).status == 413
    assert post(site, multipart([file("2.25.2", bytes(20_000))])).status == 200
    too_large = post(site, multipart([file("2.25.3", bytes(90_000))]))
    assert too_large.status in (400, 409, 413)
    too_many = post(site, multipart([file(f"2.25.4.{n}") for n in range(5)]))
    assert too_many.status in (202, 400, 413)
    assert post(site, multipart([file("2.25.5", bytes(300_000))])).status in (400, 413)
    assert site.do(site.archive.index.totals()).instances <= 5
