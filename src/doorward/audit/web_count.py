"""Counting over HTTP without collecting: a server's own counters first, else studies by the page.

Theory of operation: Orthanc's ``/statistics`` and dcm4chee's ``*/count`` answer with numbers alone. Where neither is there,
QIDO-RS is asked for (0020,1208) only, page by page; a server adds what PS3.18 Table 10.6.3-3 makes it add, names among it,
and ``StudyCounter`` walks over that without reading it. Each number says how far it may be trusted.
"""

import asyncio
from dataclasses import dataclass

from doorward.audit.facts import UNKNOWN_COUNT, Count, Exactness
from doorward.audit.visit import Visitor
from doorward.limits import Limits
from doorward.net.http import HttpReply, Sink
from doorward.web.json_stream import StudyCounter

DICOM_JSON = "application/dicom+json"
_JSON_TYPES = (DICOM_JSON, "application/json")


@dataclass(frozen=True, slots=True, kw_only=True)
class WebCounts:
    """What lies behind one door."""

    patients: Count = UNKNOWN_COUNT
    studies: Count = UNKNOWN_COUNT
    images: Count = UNKNOWN_COUNT
    extra_attributes: int = 0


@dataclass(slots=True, kw_only=True)
class _Sum:
    """The pages of one count so far."""

    studies: int = 0
    instances: int = 0
    with_instances: int = 0
    extra: int = 0


async def orthanc_counters(visitor: Visitor) -> WebCounts | None:
    """Return the counters of Orthanc's /statistics; None where there are none."""
    names = ("CountPatients", "CountStudies", "CountInstances")
    reply, reader = await visitor.members("/statistics", *names)
    numbers = [reader.number(name) for name in names]
    if reply is None or reply.status != 200 or not reader.is_whole or None in numbers:
        return None
    patients, studies, images = (
        _counted(n, "Orthanc's own counter (/statistics)") for n in numbers
    )
    return WebCounts(patients=patients, studies=studies, images=images)


async def dcm4chee_counters(visitor: Visitor, root: str) -> WebCounts | None:
    """Return the counters of dcm4chee-arc under a DICOMweb root (COUNT-RS); None where there are none."""
    found = []
    for level in ("studies", "instances", "patients"):
        reply, reader = await visitor.members(f"{root}/{level}/count", "count")
        is_answer = reply is not None and reply.status == 200 and reader.is_whole
        found.append(
            _counted(reader.number("count") if is_answer else None, "dcm4chee's own count")
        )
        if found[0].value is None:
            return None
    studies, images, patients = found
    return WebCounts(patients=patients, studies=studies, images=images)


async def paged_counts(visitor: Visitor, root: str, limits: Limits) -> WebCounts:
    """Return the studies of a QIDO-RS service, counted page by page; at least one page is asked for."""
    total = _Sum()
    deadline = asyncio.get_running_loop().time() + limits.count_s
    marks: set[bytes] = set()
    while True:
        page, reply = await _page(visitor, root, total.studies, limits)
        doubt = _doubt(page, reply)
        if page.mark and page.mark in marks:
            return _counts(total, "the server ignores the offset: only its first page was counted")
        marks.add(page.mark)
        total.studies += page.studies
        total.instances += page.instances
        total.with_instances += page.with_instances
        total.extra = max(total.extra, page.extra_attributes)
        if doubt or page.studies == 0:
            return _counts(total, doubt)
        if page.studies > limits.qido_page_matches:
            return _counts(total, "")  # it ignores the limit, and gave everything at once
        if total.studies >= limits.count_matches or asyncio.get_running_loop().time() >= deadline:
            return _counts(total, "counting was stopped at our own limit")


async def _page(
    visitor: Visitor, root: str, offset: int, limits: Limits
) -> tuple[StudyCounter, HttpReply | None]:
    counters: list[StudyCounter] = []

    def fresh() -> Sink:
        counters.append(StudyCounter(limits=limits))
        return counters[-1].feed

    size = limits.qido_page_matches
    reply = await visitor.request(
        f"{root}/studies?limit={size}&offset={offset}&includefield=00201208",
        accept=DICOM_JSON,
        sink=fresh,
        max_body_bytes=limits.qido_page_bytes,
    )
    counter = counters[-1]
    if reply is not None and not reply.truncated:
        counter.finish()
    return counter, reply


def _doubt(page: StudyCounter, reply: HttpReply | None) -> str:
    """Return why this page may not be all that there is, or ""."""
    if reply is None:
        return "the server fell silent in the middle of the count"
    if reply.status == 204:
        return ""
    if reply.status != 200 or reply.content_type not in _JSON_TYPES or reply.is_encoded:
        return f"the server refused a page (status {reply.status})"
    if reply.truncated or not page.is_whole or page.kind != "array":
        return "a page ended early"
    return ""


def _counts(total: _Sum, doubt: str) -> WebCounts:
    if doubt and not total.studies:
        nothing = Count(value=None, exactness=Exactness.UNKNOWN, method=doubt)
        return WebCounts(studies=nothing, images=nothing)
    exactness = Exactness.AT_LEAST if doubt else Exactness.EXACT_ENUMERATED
    method = doubt or "every study of the query was counted"
    studies = Count(value=total.studies, exactness=exactness, method=method)
    return WebCounts(studies=studies, images=_images(total, studies), extra_attributes=total.extra)


def _images(total: _Sum, studies: Count) -> Count:
    missing = total.studies - total.with_instances
    if total.studies and not total.with_instances:
        words = "the server does not say how many images a study has"
        return Count(value=None, exactness=Exactness.UNKNOWN, method=words)
    if missing:
        words = f"{missing} studies came without their number of images"
        return Count(value=total.instances, exactness=Exactness.AT_LEAST, method=words)
    words = f"the server's own number of images, summed over the studies; {studies.method}"
    return Count(value=total.instances, exactness=studies.exactness, method=words)


def _counted(number: int | None, method: str) -> Count:
    if number is None:
        return UNKNOWN_COUNT
    return Count(value=number, exactness=Exactness.EXACT_COUNTER, method=method)
