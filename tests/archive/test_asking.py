"""A query is narrowed, recorded, and answered page by page; the record is there before the first answer."""

import pytest

from archives import instance, opened, records
from dicomweb_calls import Web, who
from doorward.access.identity import Decision, Operation, Role
from doorward.access.journal.record import Entry, Event
from doorward.archive.asking import Answers, Asking, Part
from doorward.archive.index.levels import Level
from doorward.archive.index.plan import Order
from index_entries import query, texts
from loopback import in_loop, limits

RECORD = Entry(event=Event.QUERY, operation=Operation.QUERY)


async def asked(archive, identity, part=None, **keys):
    asking = Asking(index=archive.index, journal=archive.journal)
    rules = archive.settings.rules
    return await asking.ask(
        query(**keys), Level.STUDY, RECORD, identity, rules, archive.now(), part
    )


async def filled(archive, count=5):
    for n in range(1, count + 1):
        await Web(archive).store(instance(f"1.{n}", StudyDate=f"2026010{10 - n}"))


async def uids(answers):
    return texts([view async for view in answers.views()], "StudyInstanceUID")


ALL = [f"1.{n}.1" for n in range(1, 6)]


@in_loop
@pytest.mark.parametrize("page", [1, 2, 5, 6])
@pytest.mark.parametrize(
    ("offset", "limit", "expected", "has_more"),
    [
        (0, None, ALL, False),
        (2, None, ALL[2:], False),
        (0, 1, ALL[:1], True),
        (0, 4, ALL[:4], True),
        (0, 5, ALL, False),
        (1, 4, ALL[1:], False),
        (1, 3, ALL[1:4], True),
        (5, 1, [], False),
        (0, 9, ALL, False),
    ],
)
async def test_a_part_of_the_list_is_given_and_whether_there_is_more(
    tmp_path, page, offset, limit, expected, has_more
):
    async with opened(tmp_path, limits=limits(index_page=page)) as archive:
        await filled(archive)
        answers = await asked(archive, who(), Part(offset=offset, limit=limit))
        assert isinstance(answers, Answers)
        assert (await uids(answers), answers.has_more) == (expected, has_more)


@in_loop
async def test_the_newest_come_first_where_that_is_asked_for(tmp_path):
    async with opened(tmp_path) as archive:
        await filled(archive)
        answers = await asked(archive, who(), Part(order=Order.NEWEST))
        assert await uids(answers) == ALL


@in_loop
async def test_the_query_is_recorded_before_it_is_answered(tmp_path):
    async with opened(tmp_path, limits=limits(index_page=2)) as archive:
        await filled(archive)
        await asked(archive, who(), PatientID="P1", StudyDate="")
        [entry] = [one.entry for one in records(tmp_path) if one.entry.event is Event.QUERY]
    assert (entry.matches, entry.reason) == (2, "more may follow")
    assert entry.keys == ("00080020", "00100020")
    assert (entry.identity, entry.rule) == ("ws1", "studies")


@in_loop
@pytest.mark.parametrize(
    ("identity", "reason"),
    [(None, "No identity was shown"), (who("ct1", Role.MODALITY), "Role modality may not query")],
)
async def test_a_refusal_is_a_decision_and_recorded(tmp_path, identity, reason):
    async with opened(tmp_path) as archive:
        decision = await asked(archive, identity)
    assert isinstance(decision, Decision)
    [entry] = [one.entry for one in records(tmp_path) if one.entry.event is Event.REFUSAL]
    assert decision.reason == entry.reason == reason
