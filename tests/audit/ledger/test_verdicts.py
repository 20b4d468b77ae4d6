"""Verdicts come back as they went in, worst first, whatever their number."""

import zlib
from dataclasses import fields, replace
from sqlite3 import connect

import pytest

from doorward.audit.facts import Count, Exactness
from doorward.audit.ledger.ledger import Ledger
from doorward.audit.ledger.verdicts import address_order
from doorward.audit.place import NOWHERE, Place
from doorward.audit.standing import Standing
from doorward.audit.verdict import Counts, Severity
from doorward.errors import ConfigError
from doorward.limits import Limits
from ledgers import exactly, finish_all, plan, planned, standing

ADDRESSES = ("192.0.2.9", "192.0.2.10", "2001:db8::1", "pacs.example", "192.0.2.200")


@pytest.fixture
def file(tmp_path):
    return tmp_path / "ledger"


def judge(ledger: Ledger, scan: int, standings: dict[str, Standing]) -> None:
    for visitee in ledger.waiting(scan, 1_000):
        document = f'{{"of":"{visitee.address}"}}'
        ledger.finished(scan, visitee.number, standings[visitee.address], document)


EVERYTHING = Standing(
    address="192.0.2.9",
    name="pacs.example",
    place=Place(site="s", owner="o", contact="c", country="DE", network_operator="n"),
    grade="F",
    score=0,
    rungs=("E1", "E5", "T"),
    counts=Counts(
        patients=exactly(0),
        studies=Count(value=2**40, exactness=Exactness.AT_LEAST, method="capped"),
        images=Count(value=7, exactness=Exactness.ESTIMATED, method="drawn"),
        images_downloadable=Count(value=1, exactness=Exactness.EXACT_COUNTER, method="told"),
    ),
    product="Orthanc 1.9",
    ports_asked=(104, 4242, 80, 443),
    ports_unprotected=(104,),
    ports_shut=(80, 443),
    ports_silent=(4242,),
    is_unprotected=True,
    is_downloadable=True,
    is_writable=True,
    is_suspected=True,
    is_tested=False,
    is_silent=True,
    worst_severity=Severity.CRITICAL,
)
NOTHING = Standing(
    address="192.0.2.10", name="", place=NOWHERE, grade="not rated", score=None, rungs=()
)


def test_a_standing_comes_back_as_it_was_whatever_is_in_it(file):
    # A field that is added and not stored would hide behind its default.
    assert not [f.name for f in fields(Standing) if getattr(EVERYTHING, f.name) == f.default]
    with Ledger.open(file) as ledger:
        scan = planned(ledger, "192.0.2.9", "192.0.2.10")
        judge(ledger, scan, {"192.0.2.9": EVERYTHING, "192.0.2.10": NOTHING})
    with Ledger.read(file) as reader:
        assert list(reader.standings(scan)) == [NOTHING, EVERYTHING]


@pytest.mark.parametrize("flag", [n for n in Standing.__dataclass_fields__ if n.startswith("is_")])
def test_no_flag_is_taken_for_another(file, flag):
    one = replace(NOTHING, **{flag: not getattr(NOTHING, flag)})
    with Ledger.open(file) as ledger:
        scan = planned(ledger, one.address)
        judge(ledger, scan, {one.address: one})
        assert list(ledger.standings(scan)) == [one]


def test_verdicts_and_documents_come_worst_first_by_score_then_address(file):
    scores = {"192.0.2.200": 5, "2001:db8::1": 30, "192.0.2.10": 30, "192.0.2.9": 30}
    order = ["192.0.2.200", "192.0.2.9", "192.0.2.10", "2001:db8::1", "pacs.example"]
    limits = Limits(ledger_rows_at_a_time=2, ledger_systems_at_a_time=2)
    with Ledger.open(file, limits=limits) as ledger:
        scan = planned(ledger, *ADDRESSES)
        judge(ledger, scan, {a: standing(a, score=scores.get(a)) for a in ADDRESSES})
        other = planned(ledger, "192.0.2.9")
        finish_all(ledger, other)
        assert [s.address for s in ledger.standings(scan)] == order
        assert list(ledger.documents(scan)) == [f'{{"of":"{address}"}}' for address in order]
        assert [s.address for s in ledger.standings(other)] == ["192.0.2.9"]


def test_the_order_of_addresses_is_that_of_the_report():
    ordered = ["a.example", "b.example", "9.0.0.1", "10.0.0.1", "255.0.0.1", "::1", "2001:db8::1"]
    assert sorted(ordered, key=address_order) == ordered


def test_a_second_verdict_takes_the_place_of_the_first(file):
    with Ledger.open(file) as ledger:
        scan = planned(ledger, "192.0.2.9")
        (visitee,) = ledger.waiting(scan, 1)
        assert ledger.finished(scan, visitee.number, NOTHING, "first")
        assert not ledger.finished(scan, visitee.number, EVERYTHING, "second")
        assert list(ledger.standings(scan)) == [EVERYTHING]
        ledger.replace_verdict(scan, visitee.number, NOTHING, "third")
        assert list(ledger.standings(scan)) == [NOTHING]
        assert list(ledger.documents(scan)) == ["third"]
        assert ledger.progress(scan).done == 1


def test_a_verdict_on_nobody_is_refused_whole(file):
    with Ledger.open(file) as ledger:
        scan = ledger.begin(plan())
        with pytest.raises(ConfigError, match="does not have"):
            ledger.finished(scan, 7, standing(), "{}")
        assert list(ledger.standings(scan)) == []


def test_verdicts_may_be_replaced_while_they_are_read(file):
    """Judging anew reads facts and writes verdicts in turn."""
    with Ledger.open(file, limits=Limits(ledger_systems_at_a_time=2)) as ledger:
        scan = planned(ledger, *(f"192.0.2.{n}" for n in range(1, 8)))
        finish_all(ledger, scan)
        seen = []
        for number, facts in ledger.facts(scan):
            ledger.replace_verdict(scan, number, standing(facts.address, score=90), "{}")
            seen.append(facts.address)
        assert seen == [f"192.0.2.{n}" for n in range(1, 8)]
        assert {s.score for s in ledger.standings(scan)} == {90}


def test_odd_characters_of_strangers_can_be_stored(file):
    odd = replace(NOTHING, product="\udc80 \U0001f3e5", name="x\ud800")
    with Ledger.open(file) as ledger:
        scan = planned(ledger, odd.address)
        (visitee,) = ledger.waiting(scan, 1)
        ledger.finished(scan, visitee.number, odd, '"\ud800"')
        assert [s.product for s in ledger.standings(scan)] == ["? \U0001f3e5"]
        assert list(ledger.documents(scan)) == ['"?"']


@pytest.mark.parametrize(
    "content", [b"rubbish", zlib.compress(b"x" * 100)[:-6], zlib.compress(b"\xff\xfe")]
)
def test_a_document_that_is_damaged_is_one_clear_error(file, content):
    damage(file, "UPDATE documents SET document = ?", content)
    with Ledger.read(file) as ledger, pytest.raises(ConfigError, match="document"):
        list(ledger.documents(1))


def test_a_document_that_inflates_without_end_is_cut_off(file):
    damage(file, "UPDATE documents SET document = ?", zlib.compress(b"x" * 1_000_000))
    limits = Limits(document_bytes=100_000)
    with Ledger.read(file, limits=limits) as ledger, pytest.raises(ConfigError, match="100,000"):
        list(ledger.documents(1))


@pytest.mark.parametrize("column", ["ports_asked", "studies_exactness"])
def test_a_verdict_that_is_damaged_is_one_clear_error(file, column):
    damage(file, f"UPDATE verdicts SET {column} = ?", "odd")
    with Ledger.read(file) as ledger, pytest.raises(ConfigError, match="a verdict is unreadable"):
        list(ledger.standings(1))


def damage(file, statement, content):
    with Ledger.open(file) as ledger:
        finish_all(ledger, planned(ledger, "192.0.2.9"))
    with connect(file) as connection:
        connection.execute(statement, (content,))
    connection.close()
