"""A query is narrowed, recorded, and answered page by page; the record is there before the first answer."""

import pytest

from archives import instance, opened, records
from dicomweb_calls import Web, who
from doorward.access.identity import Decision, Operation, Role
from doorward.access.journal.record import Entry, Event
from doorward.archive.archive import Keeping
from doorward.archive.asking import Answers, Asking, Part, answerable
from doorward.archive.index.levels import Level
from doorward.archive.index.plan import Order
from index_entries import TAG_OF, query, texts
from loopback import in_loop, limits

RECORD = Entry(event=Event.QUERY, operation=Operation.QUERY)


async def asked(archive, identity, part=None, **keys):
    asking = Asking(index=archive.index, journal=archive.journal)
    rules = archive.settings.rules
    return await asking.ask(
        query(**keys), Level.STUDY, RECORD, identity, rules, archive.now(), part or Part()
    )


async def filled(archive, count=5):
    for n in range(1, count + 1):
        await Web(archive).store(instance(f"1.{n}", StudyDate=f"2026010{10 - n}"))


async def uids(answers):
    return texts([view async for page in answers.pages() for view in page], "StudyInstanceUID")


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


@in_loop
async def test_how_long_a_query_takes_is_told_once(tmp_path):
    heard = []
    async with opened(tmp_path) as archive:
        archive.timings.query = heard.append
        asking = Asking(index=archive.index, journal=archive.journal, timings=archive.timings)
        rules, now = archive.settings.rules, archive.now()
        await asking.ask(query(), Level.STUDY, RECORD, who(Role.WORKSTATION), rules, now)
        assert len(heard) == 1
        assert heard[0] > 0


@pytest.mark.parametrize(
    ("level", "passed_over"),
    [
        (Level.PATIENT, {"StudyDate", "Modality", "InstanceNumber", "NumberOfStudyRelatedSeries"}),
        (Level.STUDY, {"Modality", "InstanceNumber"}),
        (Level.SERIES, {"InstanceNumber"}),
        (Level.IMAGE, set()),
    ],
)
def test_keys_that_nothing_at_a_level_can_have_are_passed_over_and_named(level, passed_over):
    kept = ("PatientID", "StudyDate", "NumberOfStudyRelatedSeries", "Modality", "InstanceNumber")
    keys = dict.fromkeys((*kept, "MilitaryRank"), "1") | {"StudyDate": "20200101"}
    changed = answerable(query(**keys, SliceLocation="", Allergies=""), level)
    names = {*passed_over, "MilitaryRank"}
    assert changed.unmatched == {TAG_OF[name] for name in names}
    assert changed.asked == query(**keys, SliceLocation="", Allergies="").asked


def asked_now(archive, identity, part=None, **keys):
    asking = Asking(index=archive.index, journal=archive.journal)
    rules = archive.settings.rules
    return asking.ask_now(
        query(**keys), Level.STUDY, RECORD, identity, rules, archive.now(), part or Part()
    )


@in_loop
async def test_one_study_is_answered_at_once_and_its_record_is_written_before(tmp_path):
    async with opened(tmp_path) as archive:
        await filled(archive)
        answers = asked_now(archive, who(), StudyInstanceUID="1.2.1")
        [entry] = [one.entry for one in records(tmp_path) if one.entry.event is Event.QUERY]
        assert await uids(answers) == ["1.2.1"]
        assert (entry.matches, entry.identity, entry.rule) == (1, "ws1", "studies")
        same = await asked(archive, who(), StudyInstanceUID="1.2.1")
        assert same.first == answers.first
    first, second = [one.entry for one in records(tmp_path) if one.entry.event is Event.QUERY]
    assert first == second


@in_loop
@pytest.mark.parametrize(("limit", "has_more"), [(4, True), (5, False), (1, True)])
async def test_at_once_too_it_is_said_whether_there_is_more(tmp_path, limit, has_more):
    async with opened(tmp_path) as archive:
        await filled(archive)
        answers = asked_now(archive, who(), Part(limit=limit), PatientID="P1")
        assert (await uids(answers), answers.has_more) == (ALL[:limit], has_more)


@in_loop
async def test_what_takes_longer_or_is_refused_is_neither_answered_at_once_nor_recorded(tmp_path):
    async with opened(tmp_path, limits=limits(index_now_answers=4)) as archive:
        await filled(archive)
        for keys in ({}, {"PatientName": "N*"}, {"PatientID": "P1"}):
            assert asked_now(archive, who(), **keys) is None
        assert asked_now(archive, None, StudyInstanceUID="1.2.1") is None
        with archive.journal._disk:
            assert asked_now(archive, who(), StudyInstanceUID="1.2.1") is None
        assert [one for one in records(tmp_path) if one.entry.event is Event.QUERY] == []
        assert len(await uids(await asked(archive, who(), PatientID="P1"))) == 5


@in_loop
async def test_where_queries_are_synced_none_is_answered_at_once(tmp_path):
    async with opened(tmp_path, keeping=Keeping(syncs_queries=True)) as archive:
        await filled(archive, 1)
        assert asked_now(archive, who(), StudyInstanceUID="1.1.1") is None
        answers = await asked(archive, who(), StudyInstanceUID="1.1.1")
        assert archive.journal.head.sequence == records(tmp_path)[-1].sequence
        assert await uids(answers) == ["1.1.1"]
