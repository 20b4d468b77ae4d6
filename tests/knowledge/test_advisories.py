"""Ranges of versions, and how little a version name may claim."""

import re
from itertools import pairwise

import pytest

from doorward.knowledge import KNOWLEDGE_DATE
from doorward.knowledge.advisories import (
    Additions,
    Advisory,
    about_product,
    advisories,
    advisories_for,
    advisories_for_product,
    exploited,
    in_use,
    likelihood,
    orthanc_bundles,
    overlaid,
    parse_version,
    shipped,
    state_of_knowledge,
)
from doorward.knowledge.implementations import identify, implementations
from doorward.knowledge.web_signatures import web_signatures


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


@pytest.mark.parametrize(
    ("fields", "version", "is_covered"),
    [
        ({"every_version": True}, "", True),
        ({"every_version": True}, "9.9", True),
        ({"every_version": True, "from_": "2.0"}, "", False),
        ({"every_version": True, "from_": "2.0"}, "1.9", False),
        ({"every_version": True, "from_": "2.0"}, "2.1", True),
    ],
)
def test_every_version_may_be_affected(fields, version, is_covered):
    assert advisory(**fields).covers(version) is is_covered


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"through": "3.7.0"}, "up to 3.7.0"),
        ({"before": "3.6.7"}, "before 3.6.7"),
        ({"from_": "5.0", "through": "5.35.1"}, "5.0 to 5.35.1"),
        ({"from_": "2.0", "before": "2.4.5"}, "2.0 to before 2.4.5"),
        ({"from_": "3.6.8", "through": "3.6.8"}, "3.6.8"),
        ({"every_version": True}, "every version"),
        ({"every_version": True, "from_": "2.0"}, "2.0 and newer"),
    ],
)
def test_a_range_has_words(fields, words):
    assert advisory(**fields).affected == words


ID = re.compile(r"CVE-\d{4}-\d{4,7}|ZSL-\d{4}-\d{4}|pynetdicom issue \d+")


def recognisable() -> dict[str, set[str]]:
    """How software shows itself -> the names that the tables give it."""
    return {
        "association": {n for i in implementations() for n in (i.toolkit, i.product) if n}
        | {"Orthanc", "dcm4chee-arc", "OsiriX or Horos web portal"},
        "web": {s.product for s in web_signatures() if s.kind != "server"}
        | {"dcm4che", "OsiriX or Horos"},
        "system": {"Orthanc"},
    }


@pytest.mark.parametrize("row", shipped(), ids=lambda row: f"{row.subjects[0]}-{row.id}")
def test_every_row_is_whole(row):
    assert row.toolkit or row.products
    assert row.recognised_by
    for way in row.recognised_by:
        assert {*row.products, row.toolkit} - {""} <= recognisable()[way]
    assert row.certainty in ("likely", "possible")
    assert row.mark in ("S", "M", "?")
    assert bool(row.through) != bool(row.before), "one upper bound"
    for version in filter(None, (row.from_, row.through, row.before, row.fixed)):
        assert parse_version(version), version
    assert 0 <= row.cvss <= 10
    assert (row.cvss > 0) == (row.cvss_mark in ("S", "M"))
    assert row.cvss_mark in ("S", "M", "?", "-")
    assert all(ID.fullmatch(one) for one in row.ids)
    assert row.summary
    assert row.component
    assert row.source


@pytest.mark.parametrize("row", shipped(), ids=lambda row: f"{row.subjects[0]}-{row.id}")
def test_a_row_with_an_advisory_of_cisa_was_read_there(row):
    assert row.icsma == "" or re.fullmatch(r"ICSMA-\d\d-\d{3}-\d\d", row.icsma)
    if row.icsma:
        assert row.source == row.icsma
        assert row.mark in ("S", "?")
        assert row.cvss_mark in ("S", "-")
    if row.cvss_mark == "S":
        assert row.icsma


def test_no_id_is_listed_twice_for_one_version():
    seen: dict[tuple[str, str], list[Advisory]] = {}
    for row in shipped():
        for key in ((i, subject) for i in row.ids for subject in row.subjects):
            seen.setdefault(key, []).append(row)
    for rows in seen.values():
        for row in rows:
            newest = row.through or row.before
            others = [r for r in rows if r is not row]
            assert not any(r.covers(newest) for r in others), row.id


@pytest.mark.parametrize("row", shipped(), ids=lambda row: f"{row.subjects[0]}-{row.id}")
def test_a_row_with_a_doubtful_mark_is_never_more_than_possible(row):
    if {row.mark, row.cvss_mark} & {"M", "?"}:
        assert row.most == "possible"
        version = row.through or "0.1"
        for product in row.products:
            matches = advisories_for_product(product, version, is_exact=True)
            assert all(m.certainty == "possible" for m in matches if m.advisory is row)


def test_no_row_says_more_than_likely():
    assert {row.most for row in shipped()} == {"likely", "possible"}


OF_1_5_7 = ("CVE-2026-10528", "CVE-2026-5437", "CVE-2023-33466", "CVE-2025-0896")
READ = {"CVE-2026-5437": "likely", "CVE-2025-0896": "likely"}  # in their sources, score and range


@pytest.mark.parametrize(
    ("is_exact", "version", "certainties"),
    [
        (True, "1.5.7", dict.fromkeys(OF_1_5_7, "possible") | READ),
        (False, "1.5.7", dict.fromkeys(OF_1_5_7, "possible")),
        (True, "1.12.11", {"CVE-2026-10528": "possible"}),
        (True, "1.13.0", {}),
        (True, "mainline", {}),
        (True, "", {}),
    ],
)
def test_an_exact_build_may_be_likely_and_a_version_alone_is_possible(
    is_exact, version, certainties
):
    found = advisories_for_product("Orthanc", version, is_exact=is_exact)
    assert {m.advisory.id: m.certainty for m in found} == certainties


def test_a_product_is_found_by_its_name_alone():
    assert [a.id for a in about_product("Merge PACS")] == ["CVE-2018-25298"]
    assert about_product("Visage 7") == ()
    assert about_product("") == ()


def test_rows_on_top_replace_an_id_for_the_same_subject_only():
    old = advisory(id="A", also=("B", "C"), through="1.0")
    other = advisory(id="B", toolkit="U", through="1.0")
    new = advisory(id="B", before="2.0")
    rows = overlaid((old, other), (new,))
    assert [(row.toolkit, row.ids) for row in rows] == [
        ("T", ("B",)),
        ("T", ("A", "C")),
        ("U", ("B",)),
    ]
    assert overlaid((new,), (new,)) == (new,)


def test_a_row_about_toolkit_and_product_stays_where_only_one_is_spoken_of_anew():
    old = advisory(id="A", products=("P",), through="1.0")
    assert len(overlaid((old,), (advisory(id="A", through="2.0"),))) == 2
    assert len(overlaid((old,), (advisory(id="A", products=("P",), through="2.0"),))) == 1


def test_additions_are_in_use_only_inside_the_block():
    row = advisory(id="CVE-2099-1", toolkit="", products=("Orthanc",), every_version=True)
    additions = Additions(
        advisories=(row,),
        exploited={"CVE-2025-0896": "2026-11-01"},
        likelihood={"CVE-2025-0896": 0.5},
        taken="2026-11-20",
    )
    with in_use(additions):
        assert row in advisories()
        assert state_of_knowledge() == f"{KNOWLEDGE_DATE}, updated 2026-11-20"
        assert likelihood() == {"CVE-2025-0896": 0.5}
        found = advisories_for_product("Orthanc", "1.5.7", is_exact=True)
        assert {m.advisory.id for m in found if m.is_exploited} == {"CVE-2025-0896"}
        assert advisories_for_product("Orthanc", "", is_exact=True)[0].certainty == "possible"
    assert advisories() == shipped()
    assert exploited() == {}
    assert state_of_knowledge() == KNOWLEDGE_DATE


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
        if "Orthanc" in m.advisory.products
    ]
    assert {m.advisory.id for m in found} == {"CVE-2026-10528", "CVE-2026-5437"}
    assert all(m.certainty == "possible" and "if this is Orthanc" in m.condition for m in found)


def test_an_orthanc_row_counts_only_where_it_covers_every_build():
    # DCMTK 3.6.7 was in Orthanc 1.11.2 to 1.12.2; CVE-2023-33466 ends with 1.12.0.
    found = advisories_for(identify("", "OFFIS_DCMTK_367"))
    assert "CVE-2023-33466" not in {m.advisory.id for m in found}
    older = advisories_for(identify("", "OFFIS_DCMTK_366"))
    assert "CVE-2023-33466" in {m.advisory.id for m in older}


@pytest.mark.parametrize(
    ("fields", "is_said"),
    [
        ({"every_version": True}, True),
        ({"every_version": True, "from_": "1.12.0"}, False),
        ({"from_": "1.11.0", "before": "1.13.0"}, True),
        ({"from_": "1.12.0", "before": "1.13.0"}, False),
        ({"from_": "1.11.0", "through": "1.12.2"}, False),
    ],
)
def test_a_range_must_hold_every_build_with_that_dcmtk(fields, is_said):
    # DCMTK 3.6.7: Orthanc 1.11.2 to before 1.12.3.
    row = advisory(id="CVE-2099-1", toolkit="", products=("Orthanc",), **fields)
    with in_use(Additions(advisories=(row,))):
        found = advisories_for(identify("", "OFFIS_DCMTK_367"))
    assert (row in [m.advisory for m in found]) is is_said


def test_the_newest_dcmtk_says_nothing_about_orthanc():
    found = advisories_for(identify("", "OFFIS_DCMTK_370"))
    assert not [m for m in found if "Orthanc" in m.advisory.products]


def test_the_bundles_leave_no_gap():
    bundles = orthanc_bundles()
    for older, newer in pairwise(bundles):
        assert older.before == newer.from_


def test_a_repaired_version_matches_nothing():
    assert advisories_for(identify("", "dcm4che-5.35.2")) == ()
    assert advisories_for(identify("", "dcm4che-5.34.1"))


def test_a_repaired_branch_matches_nothing():
    assert advisories_for(identify("", "PYDICOM 2.4.5")) == ()
    assert advisories_for(identify("", "PYDICOM 3.0.2")) == ()
    assert advisories_for(identify("", "PYDICOM 2.4.4"))
    assert advisories_for(identify("", "PYDICOM 3.0.1"))


def test_the_version_of_a_stack_is_never_taken_for_that_of_its_product():
    # INFINITT_3.5 names the stack; the advisory is about INFINITT PACS up to 3.0.11.5.
    assert advisories_for(identify("", "INFINITT_3.5")) == ()
    assert advisories_for(identify("", "CENTRICITY_4.0")) == ()


def test_conquest_has_no_row():
    assert advisories_for(identify("", "1.5.0/WIN32")) == ()


def test_the_date_of_the_tables_is_a_day():
    assert re.fullmatch(r"20\d\d-[01]\d-[0-3]\d", KNOWLEDGE_DATE)
