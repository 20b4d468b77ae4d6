"""QIDO-RS: searching for studies, series and instances (PS3.18 section 10.6), with the answers that C-FIND gives.

Theory of operation. The parameters become a query (``query_parameters``), the query goes through ``asking`` as that of a
C-FIND does: restricted by the policy, in the journal before anything leaves. What is found goes out as one JSON array while
it is being found. Studies come newest first, everything else as it came in; both orders stay the same between two pages.

Upper levels may be left out of the path: every search is relational. DICOM XML is not given (406).
"""

from collections.abc import AsyncGenerator, Collection, Iterable, Mapping
from dataclasses import replace

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from doorward.access.identity import Decision, Operation
from doorward.access.journal.record import Event
from doorward.archive.archive import Archive
from doorward.archive.asking import Answers, Asking, Part, answerable
from doorward.archive.index.levels import (
    SERIES_INSTANCE_UID,
    STUDY_INSTANCE_UID,
    Level,
    level_of,
)
from doorward.archive.index.plan import Order
from doorward.archive.web.answering import accepted, base_of, head_of, streamed, uid_in
from doorward.archive.web.caller import caller_of
from doorward.archive.web.qido_answers import Shown
from doorward.archive.web.query_parameters import Search, parse_search
from doorward.archive.web.refusals import refusal
from doorward.dicom.tags import keyword_of
from doorward.web.accept import DICOM_JSON, JSON, Form, select

_TAG_OF_LEVEL = {"study": STUDY_INSTANCE_UID, "series": SERIES_INSTANCE_UID}
_FORMS = (Form(media_type=DICOM_JSON), Form(media_type=JSON))
_NOT_ACCEPTABLE = f"searches are answered as {DICOM_JSON} only; DICOM XML is not supported"

# What is always returned, and what only if it is known: PS3.18 Tables 10.6.3-3 to 10.6.3-5.
ALWAYS: dict[Level, tuple[int, ...]] = {
    Level.STUDY: (
        *(0x00080020, 0x00080030, 0x00080050, 0x00080061, 0x00080090, 0x00100010, 0x00100020),
        *(0x00100030, 0x00100040, 0x0020000D, 0x00200010, 0x00201206, 0x00201208),
    ),
    Level.SERIES: (0x00080060, 0x0020000E, 0x00200011, 0x00201209),
    Level.IMAGE: (0x00080016, 0x00080018, 0x00200013),
}
IF_KNOWN: dict[Level, tuple[int, ...]] = {
    Level.STUDY: (0x00080201,),
    Level.SERIES: (0x00080201, 0x0008103E, 0x00400244, 0x00400245, 0x00400275),
    Level.IMAGE: (0x00080201, 0x00280008, 0x00280010, 0x00280011, 0x00280100),
}


def routes(archive: Archive) -> list[Route]:
    """Return the routes of the Search transaction, to be mounted at the service's root."""
    paths = {
        Level.STUDY: ("/studies",),
        Level.SERIES: ("/series", "/studies/{study}/series"),
        Level.IMAGE: (
            *("/instances", "/studies/{study}/instances"),
            "/studies/{study}/series/{series}/instances",
        ),
    }

    def search_at(path: str, level: Level) -> Route:
        async def search(request: Request) -> Response:
            return await _search(archive, request, level)

        return Route(path, search, methods=["GET"])

    return [search_at(path, level) for level, some in paths.items() for path in some]


async def _search(archive: Archive, request: Request, level: Level) -> Response:
    limits = archive.limits
    parts = request.path_params
    keys = {tag: uid_in(parts, name) for name, tag in _TAG_OF_LEVEL.items() if name in parts}
    form = select(accepted(request, limits), _FORMS)
    if form is None:
        return refusal(406, _NOT_ACCEPTABLE)
    search = parse_search(request.query_params.multi_items(), keys, limits)
    search = replace(search, query=answerable(search.query, level))
    shown = _shown(base_of(request), level, search, _levels_of(level, keys))
    answers = await _ask(archive, request, level, search, shown.needed)
    if isinstance(answers, Decision):
        return refusal(403, answers.reason)
    if not answers.first:
        answer = Response(status_code=204)
    elif request.method == "HEAD":
        answer = Response(media_type=form.media_type)
    else:
        pieces = _array(answers, shown)
        if len(answers.first) < limits.index_page:
            # All of it is here: in one go it costs a third.
            body = b"".join([piece async for piece in pieces])
            answer = Response(body, media_type=form.media_type, headers=head_of())
        else:
            answer = await streamed(pieces, form.media_type)
    for warning in _warnings(search, answers):
        answer.headers.append("Warning", f"299 {base_of(request)}: {warning}")
    return answer


async def _ask(
    archive: Archive,
    request: Request,
    level: Level,
    search: Search,
    needed: Collection[int] | None,
) -> Answers | Decision:
    caller = caller_of(request)
    most = archive.limits.qido_answers
    part = Part(
        order=Order.NEWEST if level is Level.STUDY else Order.RECEIVED,
        offset=search.offset,
        limit=most if search.limit is None else min(search.limit, most),
        wanted=needed,
    )
    record = replace(caller.record, event=Event.QUERY, operation=Operation.QUERY)
    asking = Asking(index=archive.index, journal=archive.journal, timings=archive.timings)
    rules = archive.settings.rules
    asked = (search.query, level, record, caller.identity(), rules, archive.now(), part)
    return asking.ask_now(*asked) or await asking.ask(*asked)


def _warnings(search: Search, answers: Answers) -> Iterable[str]:
    """Return what the client has to know (PS3.18 sections 8.3.4.2 and 8.3.4.4)."""
    if answers.has_more:
        yield "There are additional results that can be requested."
    if search.query.unmatched:
        names = ", ".join(sorted(map(keyword_of, search.query.unmatched)))
        yield f"Attributes that are not matched here, and were passed over: {names}."
    if search.is_fuzzy:
        yield (
            "The fuzzymatching parameter is not supported. Only literal matching has been performed."
        )


def _levels_of(level: Level, keys: Mapping[int, str]) -> tuple[Level, ...]:
    """Return the levels whose attributes are returned: those that the path does not name (PS3.18 section 10.6.3.3)."""
    if level is Level.STUDY or SERIES_INSTANCE_UID in keys:
        return (level,)
    uppers = [Level.SERIES] if level is Level.IMAGE else []
    if STUDY_INSTANCE_UID not in keys:
        uppers.append(Level.STUDY)
    return (level, *uppers)


# --- answers ------------------------------------------------------------------------------------------------------------


async def _array(answers: Answers, shown: Shown) -> AsyncGenerator[bytes, None]:
    """Yield the answers as one JSON array, a page at a time."""
    before = "["
    async for page in answers.pages():
        text = ",".join([shown.text(view) for view in page])
        yield f"{before}{text}".encode("utf-8", "replace")
        before = ","
    yield b"[]" if before == "[" else b"]"


def _shown(base: str, level: Level, search: Search, levels: Iterable[Level]) -> Shown:
    asked = frozenset(tag for tag in search.query.asked if level_of(tag) <= level)
    return Shown(
        base=base,
        level=level,
        always=asked.union(*(ALWAYS[one] for one in levels)),
        if_known=frozenset[int]().union(*(IF_KNOWN[one] for one in levels)),
        is_all=search.includes_all,
    )
