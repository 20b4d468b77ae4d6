"""The table of web signatures is sound, sourced and cautious; only digits and dots leave it."""

import re
import urllib.parse

import pytest

from doorward.audit.verdict import PRODUCTS
from doorward.knowledge.web_signatures import header_names, recognise, visits, web_signatures

ON = {"title", "realm", "header", "cookie", "generator", "script", "favicon_md5", "favicon_murmur"}


@pytest.mark.parametrize("row", web_signatures(), ids=lambda row: f"{row.product}-{row.on}")
def test_every_row_is_sound(row):
    assert row.on in ON
    assert row.kind in ("archive", "viewer", "server")
    assert row.mark in ("S", "M")
    assert row.confidence in ("source", "claim")
    assert row.key == "" or row.key in PRODUCTS
    assert len(row.source) > 10
    assert (row.name != "") == (row.on == "header")
    assert row.name == row.name.lower()
    pattern = re.compile(row.pattern)
    assert set(pattern.groupindex) <= {"v"}
    assert pattern.groups == len(pattern.groupindex), "only the version may be captured"
    assert not pattern.fullmatch("")


def test_a_row_of_general_knowledge_is_never_more_than_possible():
    for row in web_signatures():
        text = row.pattern if row.on.startswith("favicon") else None
        if text and row.mark == "M":
            assert all(match.certainty == "possible" for match in recognise(row.on, text))


@pytest.mark.parametrize(
    ("on", "name", "text", "product", "version", "certainty"),
    [
        ("realm", "", "Orthanc Secure Area", "Orthanc", "", "likely"),
        ("title", "", "orthanc explorer 2", "Orthanc", "", "likely"),
        ("title", "", "dcm4chee-arc-ui", "dcm4chee-arc", "", "likely"),
        ("title", "", "OHIF Viewer", "OHIF Viewer", "", "possible"),
        ("script", "", "dwv-0.34.1.min.js", "DWV", "", "likely"),
        ("cookie", "", "MEDDREAMSESSID", "MedDream", "", "likely"),
        ("favicon_murmur", "", "-297069493", "dicomPACS", "", "possible"),
        ("header", "server", "nginx/1.18.0 (Ubuntu)", "nginx", "1.18.0", "likely"),
        (
            "header",
            "server",
            "Apache/2.4.54 (Debian) PHP/7.4",
            "Apache HTTP Server",
            "2.4.54",
            "likely",
        ),
        ("header", "server", "Microsoft-IIS/7.5", "Microsoft IIS", "7.5", "possible"),
        ("header", "server", "Jetty(9.4.z-SNAPSHOT)", "Eclipse Jetty", "9.4", "possible"),
        ("header", "server", "Jetty(9.4.43.v20210629)", "Eclipse Jetty", "9.4.43", "possible"),
        ("header", "server", "dicoogle/3.4.1", "Dicoogle", "3.4.1", "likely"),
        ("header", "x-powered-by", "PHP/7.4.3-4ubuntu2", "PHP", "7.4.3", "possible"),
    ],
)
def test_products_are_recognised(on, name, text, product, version, certainty):
    (match,) = recognise(on, text, name=name)
    assert (match.signature.product, match.version, match.certainty) == (
        product,
        version,
        certainty,
    )


@pytest.mark.parametrize(
    ("on", "text"),
    [
        ("title", ""),
        ("title", "My Orthanc Explorer site"),
        ("title", "CANARY"),
        ("realm", "x"),
        ("script", "main.js"),
    ],
)
def test_other_texts_are_nobody(on, text):
    assert recognise(on, text) == ()


def test_only_digits_and_dots_leave_a_strangers_text():
    for row in web_signatures():
        for text in (
            "nginx/1.2.3 CANARY",
            "Apache/2.4 CANARY",
            "PHP/7.4CANARY",
            "Jetty(9.4.CANARY)",
        ):
            for match in recognise(row.on, text, name=row.name):
                assert re.fullmatch(r"[0-9.]*", match.version)


def test_pages_to_visit_are_plain_paths_with_a_source():
    paths = [visit.path for visit in visits()]
    assert len(paths) == len(set(paths))
    for visit in visits():
        assert urllib.parse.quote(visit.path) == visit.path.split("?")[0]
        assert visit.path.startswith("/")
        assert "?" not in visit.path
        assert visit.product
        assert visit.source


def test_headers_that_are_looked_at():
    assert header_names() == ("server", "x-kheops-version", "x-powered-by")
