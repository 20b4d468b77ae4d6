"""docs/checks.md is drawn from the catalogue."""

from doorward.audit.checks import CATALOGUE, catalogue_markdown


def test_the_page_tells_everything_about_every_check():
    page = catalogue_markdown()
    for check in CATALOGUE:
        assert f"### {check.id}\n" in page
        for text in (check.title, check.description, check.risk, check.verify):
            assert text in page
        assert all(text in page for text in check.remediation.values())
        assert all(r.label in page and r.url in page for r in check.references)


def test_the_page_ends_with_one_newline_and_holds_no_raw_line_break_in_a_table():
    page = catalogue_markdown()
    assert page.endswith("\n")
    assert not page.endswith("\n\n")
