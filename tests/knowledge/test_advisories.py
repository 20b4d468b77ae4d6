"""Ranges of versions, and how little a version name may claim."""

import re
from itertools import pairwise

import pytest

from doorward.knowledge import KNOWLEDGE_DATE
from doorward.knowledge.advisories import (
    Advisory,
    advisories,
    advisories_for,
    orthanc_bundles,
    parse_version,
)
from doorward.knowledge.implementations import identify, implementations


def advisory(**fields):
    base = {
        "id": "X-1",
        "toolkit": "T",
        "component": "c",
        "certainty": "possible",
        "mark": "S",
        "summary": "s",
        "source": "x",
    }
    return Advisory(**(base | fields))


@pytest.mark.parametrize(
    ("fields", "version", "is_covered"),
    [
        ({"through": "3.7.0"}, "3.7.0", True),
        ({"through": "3.7.0"}, "3.7.1", False),
        ({"through": "3.7.0"}, "3.6.10", True),
        ({"through": "5.35.1"}, "5.35.1.2", True),
        ({"before": "3.6.7"}, "3.6.7", False),
        ({"before": "3.6.7"}, "3.6.6", True),
        ({"from_": "3.6.8", "through": "3.6.8"}, "3.6.7", False),
        ({"from_": "3.6.8", "through": "3.6.8"}, "3.6.8", True),
        ({"before": "2.7.6b"}, "2.7.6a", True),
        ({"before": "2.7.6b"}, "2.7.6b", False),
        ({"through": "3.7.0"}, "", False),
        ({"through": "3.7.0"}, "VB17A", False),
    ],
)
def test_a_range_covers_what_it_says(fields, version, is_covered):
    assert advisory(**fields).covers(version) is is_covered


def test_every_row_is_whole():
    toolkits = {i.toolkit for i in implementations()} | {"Orthanc"}
    for row in advisories():
        assert row.toolkit in toolkits, row.id
        assert row.certainty in ("likely", "possible"), row.id
        assert row.mark in ("S", "M"), row.id
        assert bool(row.through) != bool(row.before), f"{row.id}: one upper bound"
        for version in filter(None, (row.from_, row.through, row.before, row.fixed)):
            assert parse_version(version), (row.id, version)
        assert 0 <= row.cvss <= 10
        for one in row.ids:
            assert re.fullmatch(r"CVE-\d{4}-\d{4,7}|pynetdicom issue \d+", one)


def test_no_id_is_listed_twice():
    ids = [one for row in advisories() for one in row.ids]
    assert len(ids) == len(set(ids))


def test_scores_and_certainty_only_from_rows_that_were_read_in_their_source():
    for row in advisories():
        if row.mark != "S":
            assert row.cvss == 0, row.id
            assert row.certainty == "possible", row.id


def test_debians_dcmtk_matches_with_a_likely_and_several_possible_rows():
    found = advisories_for(identify("", "OFFIS_DCMTK_367"))
    certainties = {m.advisory.id: m.certainty for m in found}
    assert certainties["CVE-2026-50003"] == "likely"
    assert certainties["CVE-2022-43272"] == "possible"
    assert "CVE-2022-2119" not in certainties


def test_orthanc_rows_come_with_their_condition_and_never_as_likely():
    found = [
        m
        for m in advisories_for(identify("", "OFFIS_DCMTK_367"))
        if m.advisory.toolkit == "Orthanc"
    ]
    assert {m.advisory.id for m in found} == {"CVE-2026-10528", "CVE-2026-5437"}
    assert all(m.certainty == "possible" and "if this is Orthanc" in m.condition for m in found)


def test_an_orthanc_row_counts_only_where_it_covers_every_build():
    # DCMTK 3.6.7 was in Orthanc 1.11.2 to 1.12.2; CVE-2023-33466 ends with 1.12.0.
    found = advisories_for(identify("", "OFFIS_DCMTK_367"))
    assert "CVE-2023-33466" not in {m.advisory.id for m in found}
    older = advisories_for(identify("", "OFFIS_DCMTK_366"))
    assert "CVE-2023-33466" in {m.advisory.id for m in older}


def test_the_newest_dcmtk_says_nothing_about_orthanc():
    found = advisories_for(identify("", "OFFIS_DCMTK_370"))
    assert not [m for m in found if m.advisory.toolkit == "Orthanc"]


def test_the_bundles_leave_no_gap():
    bundles = orthanc_bundles()
    for older, newer in pairwise(bundles):
        assert older.before == newer.from_


def test_a_repaired_version_matches_nothing():
    assert advisories_for(identify("", "dcm4che-5.35.2")) == ()
    assert advisories_for(identify("", "dcm4che-5.34.1"))


def test_conquest_has_no_row():
    assert advisories_for(identify("", "1.5.0/WIN32")) == ()


def test_the_date_of_the_tables_is_a_day():
    assert re.fullmatch(r"20\d\d-[01]\d-[0-3]\d", KNOWLEDGE_DATE)
