"""Generated questions at both doors of an archive, and what PS3.4 section C.2.2.2 says that the answers are.

Each question is answered four times: by ``naive_matching`` (the oracle), by ``dicom.query.matches`` (the reference), by C-FIND
over an association in TLS, and by QIDO over HTTPS. All have to say the same, values included, whoever asks. What no door
agrees on yet is asked of the index.
"""

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, note, seed, settings
from hypothesis import strategies as st
from pydicom import Dataset

from doorward.archive.asking import answerable
from doorward.archive.index.levels import Level
from doorward.dicom.attributes import DataSetView, read_attributes
from doorward.dicom.query import Rules, matches, parse_query
from doorward.dicom.walk import Syntax
from doorward.errors import PeerProtocolError
from naive_matching import Negotiated, NotUnderstood, is_match
from query_worlds import (
    LEVELS,
    OFFSET,
    UNIQUE,
    Asked,
    World,
    encoded,
    identifier,
    make_world,
    pairs_of_ranges,
    questions,
    unicode_of,
)
from two_doors import SITES, Doors, shown, two_doors, visible

#: PS3.4 Table C.4-1; RFC 9110 section 15.5.1.
IDENTIFIER_DOES_NOT_MATCH, BAD_REQUEST = 0xA900, 400
WORLDS = 8
#: Together 2,000; DOORWARD_TEST_QUERIES says how many there shall be in all instead.
QUESTIONS = int(os.environ.get("DOORWARD_TEST_QUERIES", "2000")) // WORLDS
pytestmark = [pytest.mark.interop, pytest.mark.slow, pytest.mark.timeout(60 + QUESTIONS)]
#: The same questions each time; and a failure is told at once, since a question is short.
ONCE = settings(
    max_examples=QUESTIONS,
    database=None,
    phases=(Phase.generate,),
    suppress_health_check=list(HealthCheck),
)


def names_the_upper_levels(asked: Asked) -> bool:
    """Whether each level above is named by one UID, as C-FIND wants it (PS3.4 section C.4.1.3.1.1)."""
    above = LEVELS[1 : LEVELS.index(asked.level)]
    uids = [asked.keys.get(UNIQUE[level], "") for level in above]
    return all(uid and "\\" not in uid for uid in uids)


def oracle(asked: Asked, entities: list[Dataset], **agreed: bool) -> list[Dataset]:
    """Return what matches. Raises NotUnderstood."""
    keys = {name: value for name, value in asked.keys.items() if name != OFFSET}
    offset = asked.keys.get(OFFSET, "")
    return [one for one in entities if is_match(keys, one, Negotiated(**agreed), offset)]


def viewed(entities: list[Dataset]) -> list[DataSetView]:
    """Return data sets as ours are read."""
    return [read_attributes(encoded(unicode_of(one)), Syntax.EXPLICIT_LITTLE) for one in entities]


def reference(
    asked: Asked, entities: list[Dataset], views: list[DataSetView], **agreed: bool
) -> list[Dataset]:
    """Return what ``dicom.query`` says that matches. Raises PeerProtocolError."""
    key = read_attributes(encoded(identifier(asked)), Syntax.EXPLICIT_LITTLE)
    query = parse_query(key, Rules(**agreed))
    return [one for one, view in zip(entities, views, strict=True) if matches(query, view)]


def by_caller(world: World) -> dict[tuple[str, str], list[Dataset]]:
    """Return what there is at a level for each caller."""
    return {(at, who): world.entities(at, visible(world, who)) for at in LEVELS for who in SITES}


@pytest.mark.parametrize("number", range(WORLDS))
def test_both_doors_answer_as_the_oracle_does(number: int, tmp_path: Path) -> None:
    world = make_world(number)
    there = by_caller(world)
    views = {place: viewed(entities) for place, entities in there.items()}
    seen: Counter[str] = Counter()

    @seed(number)
    @ONCE
    @given(questions(world), st.sampled_from(sorted(SITES)))
    def ask(asked: Asked, who: str) -> None:
        note(f"{who} asks {asked}")
        entities = there[asked.level, who]
        right = oracle(asked, entities)
        assert reference(asked, entities, views[asked.level, who]) == right
        expected = shown(right, asked.keys)
        by_dimse = doors.find(asked, who)
        if names_the_upper_levels(asked):
            assert isinstance(by_dimse, list), by_dimse
            assert shown(by_dimse, asked.keys) == expected
        else:
            assert by_dimse == IDENTIFIER_DOES_NOT_MATCH
        if asked.level != "PATIENT":
            by_web = doors.search(asked, who)
            assert isinstance(by_web, list), by_web
            assert shown(by_web, asked.keys) == expected
        seen["all"] += 1
        seen["some"] += 0 < len(right) < len(entities)

    with two_doors(tmp_path, world) as doors:
        ask()
    assert seen["some"] > seen["all"] / 10, seen


@pytest.fixture(scope="module")
def world() -> World:
    """What one archive holds for the tests below."""
    return make_world(100)


@pytest.fixture(scope="module")
def doors(world: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Doors]:
    """That archive."""
    with two_doors(tmp_path_factory.mktemp("doors"), world) as one:
        yield one


def test_what_a_search_agrees_on_by_parameters_is_matched_so(world: World, doors: Doors) -> None:
    """PS3.18 sections 8.3.4.5 and 8.3.4.6: empty value and multiple value matching."""
    there = by_caller(world)
    seen: Counter[str] = Counter()

    @seed(1)
    @ONCE
    @given(questions(world, is_empty_asked=True), st.booleans(), st.booleans())
    def ask(asked: Asked, empty_values: bool, multiple_values: bool) -> None:
        agreed = {"empty_values": empty_values, "multiple_values": multiple_values}
        note(f"{asked} {agreed}")
        if asked.level == "PATIENT":
            return
        flags = {"emptyvaluematching": empty_values, "multiplevaluematching": multiple_values}
        found = doors.search(asked, "ws1", **{k: str(v).lower() for k, v in flags.items()})
        try:
            right = oracle(asked, there[asked.level, "ws1"], **agreed)
        except NotUnderstood:
            seen["refused"] += 1
            assert found == BAD_REQUEST
            return
        assert isinstance(found, list), found
        assert shown(found, asked.keys) == shown(right, asked.keys)
        seen["found"] += bool(right)

    ask()
    assert seen["refused"]
    assert seen["found"] > QUESTIONS / 4


def test_a_date_and_its_time_are_one_range_in_reference_and_index(
    world: World, doors: Doors
) -> None:
    """Combined date-time matching (PS3.4 section C.2.2.2.5.4) is not agreed on at any door yet; the index can."""
    there = by_caller(world)
    index = doors.site.archive.index
    views = {level: viewed(there[level, "ws1"]) for level in LEVELS}
    seen: Counter[str] = Counter()

    async def found_by_index(asked: Asked) -> list[str]:
        view = read_attributes(encoded(identifier(asked)), Syntax.EXPLICIT_LITTLE)
        query = parse_query(view, Rules(combined_date_time=True))
        level = Level[asked.level]
        views = [one async for one in index.find(answerable(query, level), level)]
        tag = {"STUDY": 0x0020000D, "SERIES": 0x0020000E, "IMAGE": 0x00080018}[asked.level]
        return sorted(view[tag].values[0] for view in views)

    @seed(2)
    @ONCE
    @given(pairs_of_ranges())
    def ask(asked: Asked) -> None:
        note(str(asked))
        entities = there[asked.level, "ws1"]
        try:
            right = oracle(asked, entities, combined_date_time=True)
        except NotUnderstood:
            seen["refused"] += 1
            with pytest.raises(PeerProtocolError):
                reference(asked, entities, views[asked.level], combined_date_time=True)
            return
        assert reference(asked, entities, views[asked.level], combined_date_time=True) == right
        uids = sorted(str(one[UNIQUE[asked.level]].value) for one in right)
        assert doors.site.do(found_by_index(asked)) == uids
        seen["found"] += bool(right)

    ask()
    assert seen["refused"]
    assert seen["found"] > QUESTIONS / 4


@pytest.mark.parametrize(
    ("keyword", "text"),
    [
        ("StudyDate", "yesterday"),
        ("StudyDate", "20200132"),
        ("StudyDate", "20200131-20200101"),
        ("StudyTime", "10-09"),
        ("StudyTime", "2500"),
    ],
)
def test_what_cannot_be_understood_is_refused_at_both_doors(
    doors: Doors, keyword: str, text: str
) -> None:
    asked = Asked(level="STUDY", keys={keyword: text, "StudyInstanceUID": ""})
    with pytest.raises(NotUnderstood):
        oracle(asked, [Dataset()])
    assert doors.find(asked, "ws1") == IDENTIFIER_DOES_NOT_MATCH
    assert doors.search(asked, "ws1") == BAD_REQUEST


@pytest.mark.parametrize("keyword", ["Modality", "MilitaryRank", "InstanceNumber"])
def test_a_key_that_nothing_can_have_hides_nothing_at_either_door(
    world: World, doors: Doors, keyword: str
) -> None:
    """PS3.4 section C.2.2.1.3: an optional key that is not supported is not matched, and that is said."""
    asked = Asked(level="STUDY", keys={keyword: "1", "StudyInstanceUID": ""})
    by_dimse, by_web = doors.find(asked, "ws1"), doors.search(asked, "ws1")
    assert isinstance(by_dimse, list)
    assert isinstance(by_web, list)
    assert len(by_dimse) == len(by_web) == len(world.studies)
    assert doors.statuses == {0xFF01}
    assert keyword in doors.warning


def test_nothing_is_found_twice_or_for_others(world: World, doors: Doors) -> None:
    asked = Asked(level="STUDY", keys={"StudyInstanceUID": ""})
    for who in SITES:
        found = doors.find(asked, who)
        assert isinstance(found, list)
        uids = [str(one.StudyInstanceUID) for one in found]
        assert sorted(uids) == sorted(visible(world, who))
    assert len(visible(world, "ws2")) < len(world.studies)
    assert 0 < len(visible(world, "ws3")) < len(world.studies)
