"""CSAF 2.0 advisories become rows; what is not understood is said; what is broken is refused with its path."""

import pytest

from doorward.errors import ConfigError
from doorward.knowledge.advisories import advisories, advisories_for_product, in_use, shipped
from doorward.knowledge.csaf import csaf_names, one_line, parse_range
from doorward.knowledge.implementations import implementations
from doorward.knowledge.updates import Holdings
from doorward.knowledge.web_signatures import web_signatures
from knowledge_files import CSAF, changed, read

PRODUCT = "/product_tree/branches/0/branches/0"
VERSION = f"{PRODUCT}/branches/0"
FIRST = "/vulnerabilities/0"


def test_the_sample_becomes_rows_about_products_that_can_be_recognised():
    rows = read(CSAF).advisories
    assert [(r.id, r.toolkit or r.products[0], r.affected) for r in rows] == [
        ("CVE-2099-10001", "DCMTK", "before 3.7.5"),
        ("CVE-2099-10001", "Orthanc", "1.0 to 1.13.1"),
        ("CVE-2099-10002", "DCMTK", "before 3.7.5"),
    ]
    dcmtk, orthanc, second = rows
    assert (dcmtk.cvss, dcmtk.cvss_mark, dcmtk.fixed) == (7.5, "S", "3.7.5")
    assert (orthanc.cvss, orthanc.fixed) == (9.8, "")
    assert (second.cvss, second.cvss_mark) == (0, "-")
    assert dcmtk.summary == "EXAMPLE path traversal"
    assert second.summary == "NULL Pointer Dereference"
    assert dcmtk.source == dcmtk.icsma == "ICSMA-99-999-01"
    assert orthanc.recognised_by == ("association", "system")


def test_where_the_advisory_comes_from_is_kept():
    where = read(CSAF, name="folder/icsma.json").provenance
    assert (where.kind, where.document, where.publisher) == (
        "csaf",
        "ICSMA-99-999-01",
        "Example CERT",
    )
    assert (where.file, where.released, where.taken) == ("icsma.json", "2026-11-20", "2026-11-22")
    assert (where.read, where.kept) == (2, 2)
    assert len(where.sha256) == 64


def test_what_cannot_be_used_is_said_and_not_half_taken():
    left_out = " | ".join(read(CSAF).left_out)
    assert (
        "the version at /product_tree/branches/2/branches/0/branches/0 cannot be compared"
        in left_out
    )
    assert "Philips Example Kettle is no product that can be recognised" in left_out


def test_an_imported_row_is_likely_only_for_an_exact_build():
    with in_use(Holdings().with_update(read(CSAF)).additions):
        exact = advisories_for_product("Orthanc", "1.13.0", is_exact=True)
        shown = advisories_for_product("Orthanc", "1.13.0", is_exact=False)
    assert [(m.advisory.id, m.certainty) for m in exact] == [("CVE-2099-10001", "likely")]
    assert [(m.advisory.id, m.certainty) for m in shown] == [("CVE-2099-10001", "possible")]
    assert advisories() == shipped()


@pytest.mark.parametrize(
    ("path", "value", "field"),
    [
        ("/document", ..., "/document"),
        ("/document/csaf_version", "2.1", "/document/csaf_version"),
        ("/document/category", "csaf_informational_advisory", "/document/category"),
        ("/document/tracking/status", "draft", "/document/tracking/status"),
        ("/document/tracking/id", "no number", "/document/tracking/id"),
        ("/document/tracking/current_release_date", "soon", "/document/tracking/current_release_date"),
        ("/document/publisher/name", 7, "/document/publisher/name"),
        ("/product_tree", ..., "/product_tree"),
        ("/product_tree/branches", {}, "/product_tree/branches"),
        (f"{PRODUCT}/category", ..., f"{PRODUCT}/category"),
        (f"{VERSION}/product", ..., VERSION),
        (f"{VERSION}/product/product_id", "CSAFPID-0002", "/product_tree/branches/1"),
        ("/vulnerabilities", [], "/"),
        ("/vulnerabilities", "none", "/vulnerabilities"),
        (f"{FIRST}/cve", "CVE-x", f"{FIRST}/cve"),
        (f"{FIRST}/product_status/known_affected/0", "CSAFPID-9", f"{FIRST}/product_status/known_affected/0"),
        (f"{FIRST}/scores/0/cvss_v3/baseScore", 11, f"{FIRST}/scores/0/cvss_v3/baseScore"),
        (f"{FIRST}/scores/0/cvss_v3/baseScore", "9.8", f"{FIRST}/scores/0/cvss_v3/baseScore"),
    ],
)  # fmt: skip
def test_what_breaks_the_form_is_refused_with_its_path(path, value, field):
    with pytest.raises(ConfigError) as error:
        read(changed(CSAF, path, value))
    if path == "/document":
        assert "another kind" in str(error.value)
    else:
        assert error.value.field == field
    assert error.value.file.name == "given.file"


def test_branches_without_end_are_refused():
    branch = {
        "category": "product_name",
        "name": "DCMTK",
        "product": {"name": "x", "product_id": "P"},
    }
    for _ in range(60):
        branch = {"category": "product_family", "name": "f", "branches": [branch]}
    with pytest.raises(ConfigError, match="nested too deeply"):
        read(changed(CSAF, "/product_tree/branches", [branch]))


def test_a_vulnerability_without_a_cve_id_and_products_outside_the_branches_are_left_out():
    without = read(changed(CSAF, f"{FIRST}/cve", ...))
    assert [row.id for row in without.advisories] == ["CVE-2099-10002"]
    assert "/vulnerabilities/0 has no CVE id" in without.left_out
    loose = {"name": "DCMTK on Windows", "product_id": "CSAFPID-0009"}
    content = changed(CSAF, "/product_tree/full_product_names", [loose])
    content = changed(content, f"{FIRST}/product_status/known_affected", ["CSAFPID-0009"])
    related = {
        "category": "installed_on",
        "full_product_name": {**loose, "product_id": "CSAFPID-0010"},
    }
    content = changed(content, "/product_tree/relationships", [related])
    assert len(read(content).advisories) == 1


def test_without_title_and_cwe_the_advisory_speaks_for_it():
    content = changed(changed(CSAF, f"{FIRST}/title", ...), f"{FIRST}/cwe", ...)
    content = changed(content, f"{FIRST}/product_status/first_affected", ["CSAFPID-0001"])
    rows = read(changed(content, "/vulnerabilities/1/product_status", ...)).advisories
    assert {row.summary for row in rows} == {"EXAMPLE DICOM servers"}
    assert len(rows) == 2, "named twice, taken once"


def test_a_hostile_title_becomes_one_harmless_line():
    content = changed(CSAF, f"{FIRST}/title", "a\x1b[31m\nb " + "c" * 500)
    summary = read(content).advisories[0].summary
    assert summary.startswith("a [31m b ccc")
    assert len(summary) == 160
    assert summary.isprintable()
    assert one_line(" x\ty ", 10) == "x y"


@pytest.mark.parametrize(
    ("text", "bounds"),
    [
        ("< 3.6.7", {"before": "3.6.7"}),
        ("<=7.2.8.810", {"through": "7.2.8.810"}),
        (">=1.0.0|<3.0.4", {"from_": "1.0.0", "before": "3.0.4"}),
        (">= 5.0, <= 5.35.1", {"from_": "5.0", "through": "5.35.1"}),
        ("vers:generic/>=1.0|<v2.0", {"from_": "1.0", "before": "2.0"}),
        (">=2.0", {"from_": "2.0", "every_version": True}),
        ("vers:all/*", {"every_version": True}),
        ("All versions", {"every_version": True}),
        ("3.0.4", {"from_": "3.0.4", "through": "3.0.4"}),
        ("< 2.7.6b", {"before": "2.7.6b"}),
        ("", None),
        (">1.0", None),
        ("!=1.0", None),
        ("1.0|2.0", None),
        ("<2.0|<=3.0", None),
        ("1.0|<2.0", None),
        ("12.2.8 and prior", None),
        ("<VB17A", None),
        ("<1..2", None),
    ],
)
def test_ranges_are_compared_without_guessing(text, bounds):
    assert parse_range(text, is_range=True) == bounds


def test_a_single_version_is_no_range():
    assert parse_range("3.0.4", is_range=False) == {"from_": "3.0.4", "through": "3.0.4"}
    assert parse_range("<3.0.4", is_range=False) is None


def test_every_name_leads_to_software_that_a_table_recognises_and_a_row_is_about():
    toolkits = {i.toolkit for i in implementations()}
    products = {i.product for i in implementations()} | {s.product for s in web_signatures()}
    names = [row.name.casefold() for row in csaf_names()]
    assert len(names) == len(set(names))
    subjects = {s for row in shipped() for s in (row.toolkit, *row.products)}
    for row in csaf_names():
        assert row.toolkit or row.products, row.name
        assert row.toolkit in toolkits | {""}, row.name
        assert set(row.products) <= products, row.name
        assert row.certainty in ("likely", "possible")
        assert row.mark in ("S", "M")
        assert {row.toolkit, *row.products} & subjects, row.name
