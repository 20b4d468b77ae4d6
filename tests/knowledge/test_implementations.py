"""Every row is tested by its own examples; strangers' text never comes out."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doorward.audit.verdict import PRODUCTS
from doorward.knowledge.implementations import identify, implementations, makers

ROWS = implementations()
EXAMPLES = [(row, value, version) for row in ROWS for value, version in row.examples]


@pytest.mark.parametrize(
    ("row", "value", "version"), EXAMPLES, ids=[f"{r.match}:{v}" for r, v, _ in EXAMPLES]
)
def test_each_example_is_recognised_by_its_own_row(row, value, version):
    is_name = row.match == "version_name"
    found = identify("" if is_name else value, value if is_name else "")
    assert (found.toolkit, found.product, found.version) == (row.toolkit, row.product, version)
    assert found.confidence == row.confidence
    assert (found.honeypot, found.scanner) == (row.honeypot, row.scanner)


def test_every_row_is_whole():
    for row in ROWS:
        assert row.match in ("version_name", "class_uid")
        assert row.confidence in ("source", "file", "claim")
        assert row.toolkit or row.product or row.maker
        assert set(row.remedies) <= set(PRODUCTS) - {"generic"}
        assert row.examples
        re.compile(row.pattern)


def test_no_unconfirmed_claim_about_orthanc_is_in_the_table():
    for uid in ("1.2.826.0.1.3680043.8.641.1", "1.2.826.0.1.3680043.2.1545.1.2.1.9"):
        assert not identify(uid, "").is_known


def test_orthanc_is_never_told_from_dcmtk_by_the_association():
    found = identify("1.2.276.0.7230010.3.0.3.6.7", "OFFIS_DCMTK_367")
    assert found.product == ""
    assert found.described == "DCMTK 3.6.7 (used by Orthanc and many others)"
    assert found.remedies == ("orthanc", "dcmtk")


def test_the_version_name_goes_before_the_class_uid():
    found = identify("1.2.276.0.7230010.3.0.3.6.7", "PYNETDICOM_304")
    assert (found.toolkit, found.version) == ("pynetdicom", "3.0.4")


def test_the_class_uid_counts_where_the_name_says_nothing():
    found = identify("1.2.276.0.7230010.3.0.3.6.7", "MY OWN NAME")
    assert (found.toolkit, found.version) == ("DCMTK", "3.6.7")


def test_a_root_names_the_maker_and_nothing_else():
    found = identify("1.3.12.2.1107.5.9.99", "")
    assert (found.manufacturer, found.toolkit, found.product) == ("Siemens", "", "")
    assert found.described == "software of Siemens"


def test_every_maker_root_is_a_prefix_with_a_dot_at_its_end():
    for maker in makers():
        assert re.fullmatch(r"[0-9]+(\.[0-9]+)*\.", maker.root), maker
        assert identify(f"{maker.root}7", "").manufacturer == maker.maker


def test_a_product_with_a_foreign_toolkit_names_both():
    assert identify("", "DCMTK360_synedra").described == "synedra (DCMTK 3.6.0)"


def test_nothing_known_says_nothing():
    found = identify("", "")
    assert not found.is_known
    assert found.described == ""


@given(st.text(max_size=200), st.text(max_size=200))
def test_no_text_of_a_stranger_comes_out(class_uid, version_name):
    found = identify(class_uid, version_name)
    assert re.fullmatch(r"[0-9A-Za-z.]{0,16}", found.version)
