"""A query page by page: each answer once, in order, whatever the pages are."""

import dataclasses
from contextlib import closing

import pytest

from doorward.archive.index.filing import Filing
from doorward.archive.index.levels import Level
from doorward.archive.index.plan import Order
from doorward.archive.index.search import Search
from doorward.archive.index.store import open_writer
from doorward.limits import DEFAULT_LIMITS
from index_entries import entry, query, texts


@pytest.fixture(scope="module")
def connection(tmp_path_factory):
    file = tmp_path_factory.mktemp("search") / "index"
    with closing(open_writer(file, DEFAULT_LIMITS)) as connection:
        # Each name has two groups, so that a search by text meets each study twice.
        entries = [
            entry(f"{n}.1.1", StudyDate=f"202001{n:02}", PatientName=f"Doe^{n}=Doe^^{n}")
            for n in range(1, 11)
        ]
        Filing(connection, DEFAULT_LIMITS).file(entries)
        yield connection


def pages(connection, *, page, numbers, **named):
    limits = dataclasses.replace(DEFAULT_LIMITS, index_page=page, index_numbers=numbers)
    keys = named.pop("keys", {})
    search = Search(query(**keys), Level.STUDY, limits, **named)
    found = []
    while answers := search.next_page(connection):
        found.append([int(uid) for uid in texts(answers, "StudyInstanceUID")])
    assert search.next_page(connection) == []
    return found


@pytest.mark.parametrize("page", (1, 3, 100))
@pytest.mark.parametrize("numbers", (1, 4, 10, 100))
@pytest.mark.parametrize("keys", ({}, {"PatientName": "doe*"}, {"PatientName": "*o*"}))
def test_each_answer_comes_once_and_in_order(connection, page, numbers, keys):
    found = pages(connection, page=page, numbers=numbers, keys=keys)
    assert [n for one in found for n in one] == list(range(1, 11))
    assert max(map(len, found)) <= page
    newest = pages(connection, page=page, numbers=numbers, keys=keys, order=Order.NEWEST)
    assert [n for one in newest for n in one] == list(range(10, 0, -1))


@pytest.mark.parametrize("keys", ({}, {"PatientName": "*e^*"}))
@pytest.mark.parametrize(
    ("limit", "offset", "expected"),
    ((0, 0, []), (3, 0, [1, 2, 3]), (3, 8, [9, 10]), (2, 4, [5, 6]), (None, 9, [10]), (5, 99, [])),
)
def test_a_limit_and_an_offset_cut_out_a_piece(connection, keys, limit, offset, expected):
    for numbers in (2, 100):
        found = pages(connection, page=2, numbers=numbers, keys=keys, limit=limit, offset=offset)
        assert [n for one in found for n in one] == expected


def test_few_wanted_are_few_read(connection):
    statements = []
    connection.set_trace_callback(statements.append)
    pages(connection, page=100, numbers=100, limit=2)
    assert any("LIMIT 2" in text for text in statements)
    assert any("[1, 2]" in text for text in statements)
    assert len(statements) == 2
    connection.set_trace_callback(None)


def test_nothing_is_held_between_two_pages(connection):
    search = Search(query(), Level.STUDY, dataclasses.replace(DEFAULT_LIMITS, index_page=1))
    search.next_page(connection)
    assert not connection.in_transaction
    connection.execute("INSERT INTO study_labels VALUES (1, 'x')")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    assert len(search.next_page(connection)) == 1


def test_answers_that_are_left_out_are_not_read(connection):
    statements = []
    connection.set_trace_callback(statements.append)
    assert pages(connection, page=2, numbers=100, limit=1, offset=8) == [[9]]
    connection.set_trace_callback(None)
    assert any("LIMIT 1 OFFSET 8" in text for text in statements)
    assert any("[9]" in text for text in statements)
    assert not any("[1" in text for text in statements)


def narrow(**named):
    keys = named.pop("keys", {"PatientID": "P1"})
    return Search(query(**keys), Level.STUDY, DEFAULT_LIMITS, **named)


def test_only_a_key_that_few_have_makes_a_search_narrow():
    for keys in ({"PatientID": "P1"}, {"StudyInstanceUID": "1\\2"}, {"AccessionNumber": "A"}):
        assert narrow(keys=keys).is_narrow
    for keys in ({}, {"PatientName": "doe*"}, {"PatientID": "P*"}, {"StudyDate": "20200101"}):
        assert not narrow(keys=keys).is_narrow
    many = "\\".join(f"1.{n}" for n in range(100))
    assert not narrow(keys={"StudyInstanceUID": many}).is_narrow


@pytest.mark.parametrize(
    ("most", "limit", "offset", "expected"),
    (
        (10, None, 0, list(range(1, 11))),
        (9, None, 0, None),
        (2, None, 8, [9, 10]),
        (1, None, 8, None),
        (5, 3, 0, [1, 2, 3]),
        (5, 0, 0, []),
    ),
)
def test_all_of_few_comes_at_once_and_of_more_nothing(connection, most, limit, offset, expected):
    answers = narrow(limit=limit, offset=offset).all_of(connection, most)
    found = answers and [int(uid) for uid in texts(answers, "StudyInstanceUID")]
    assert found == expected


def test_no_more_is_decoded_than_is_wanted_and_what_is_compared_again(connection):
    wanted = (0x0020000D, 0x00080061)
    [one, *_] = narrow(wanted=wanted).all_of(connection, 10)
    assert set(one) == {*wanted, 0x00080062, 0x00201206, 0x00201208}
    [one, *_] = narrow(wanted=(0x0020000D,)).all_of(connection, 10)
    assert set(one) == {0x0020000D}
    [one, *_] = narrow(keys={"PatientName": "*e^*"}, wanted=()).all_of(connection, 10)
    assert set(one) == {0x00100010}


def test_of_a_study_only_its_text_is_read_where_nothing_else_is_wanted(connection):
    statements = []
    connection.set_trace_callback(statements.append)
    [first] = narrow(wanted=(0x0020000D,), limit=1).all_of(connection, 10)
    [second] = narrow(wanted=(0x0020000D, 0x00201206), limit=1).all_of(connection, 10)
    connection.set_trace_callback(None)
    columns = [text.partition("SELECT s.")[2].partition(" FROM")[0] for text in statements]
    assert columns[1] == "view"
    assert "s.modalities" in columns[3]
    assert (set(first), first.made) == ({0x0020000D}, {})
    assert second[0x00201206].values == ("1",)


def test_the_end_is_known_when_the_last_page_was_read(connection):
    search = narrow()
    assert not search.is_over
    search.next_page(connection)
    assert search.is_over
