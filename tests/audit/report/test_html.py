"""The HTML report: self-contained, inert, and what a browser really shows."""

import base64
import hashlib
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from doorward.audit.report.assemble import assemble
from doorward.audit.report.html import report_html
from doorward.audit.verdict import JudgedSystem
from judged_systems import HOSTILE_SYSTEM, OPEN, RECORD, SHUT, SILENT, WRITABLE

CHROMIUM = "/usr/bin/chromium"


class _Outline(HTMLParser):
    """Collects tags, attributes and text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_data(self, data: str) -> None:
        self.text += f" {data}"


def _page(*systems: JudgedSystem) -> str:
    return report_html(assemble(systems, RECORD))


@pytest.mark.parametrize("system", [OPEN, WRITABLE, SHUT, SILENT, HOSTILE_SYSTEM])
def test_the_page_is_inert_and_self_contained(system: JudgedSystem) -> None:
    outline = _Outline(_page(system))
    assert not {"script", "img", "link", "iframe", "object", "embed", "form"} & set(outline.tags)
    for tag, name, value in outline.attributes:
        assert not name.startswith("on")
        assert name not in ("src", "style", "srcdoc", "action")
        if name == "href":
            assert tag == "a"
            assert value.startswith(("https://", "#"))


def test_the_page_forbids_itself_everything_but_its_style_sheet() -> None:
    page = _page(OPEN)
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page)
    style = re.search(r"<style>(.*?)</style>", page, re.DOTALL)
    assert policy is not None
    assert style is not None
    digest = base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
    assert policy[1].startswith(f"default-src 'none'; style-src 'sha256-{digest}'")
    assert "url(" not in style[1]
    assert "@import" not in style[1]


def test_a_stranger_cannot_write_html() -> None:
    page = _page(HOSTILE_SYSTEM)
    assert "<script" not in page
    assert "javascript:" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "\x1b" not in page
    assert "\u202e" not in page


def test_the_page_says_verdict_numbers_steps_and_check() -> None:
    text = " ".join(_Outline(_page(OPEN)).text.split())
    assert "This archive answers strangers and hands out its images." in text
    assert "studies 1,234 exact, counted one by one" in text
    assert "images at least 45,678 a lower bound" in text
    assert "doorward audit 10.20.0.7:4242 --scope scope.toml" in text
    assert "In order (2)" in text
    assert "Keep this report confidential" in text


def test_several_systems_get_an_overview_with_the_worst_first() -> None:
    text = _Outline(_page(SHUT, SILENT, WRITABLE, OPEN)).text
    places = [
        text.index(words)
        for words in (
            "1 of 4 systems answers strangers; 1 lets them add images.",
            "pacs.st-example.test",
            "127.0.0.1",
            "archive.test",
            "No DICOM answered at 1 address",
        )
    ]
    assert places == sorted(places)


def test_an_audit_without_any_system_still_gives_a_page() -> None:
    assert "Nothing could be tested." in _page()


@pytest.mark.peer("chromium")
def test_a_browser_shows_the_page_without_scripts_errors_or_overflow(tmp_path: Path) -> None:
    from playwright.sync_api import sync_playwright

    file = tmp_path / "report.html"
    file.write_text(_page(OPEN, WRITABLE, SHUT, HOSTILE_SYSTEM), encoding="utf-8")
    said: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM,
            args=[
                "--no-sandbox",
                "--disable-gpu",
                "--disable-background-networking",
                "--disable-component-update",
                "--disable-sync",
            ],
        )
        for width in (390, 1100):
            page = browser.new_page(viewport={"width": width, "height": 900})
            page.on("console", lambda message: said.append(message.text))
            page.on("dialog", lambda dialog: (said.append("dialog"), dialog.dismiss()))
            page.goto(file.as_uri())
            # The style sheet passed the page's own policy, and nothing sticks out sideways.
            assert (
                page.evaluate("getComputedStyle(document.querySelector('.badge')).textAlign")
                == "center"
            )
            assert page.evaluate("document.documentElement.scrollWidth") <= width
        printed = tmp_path / "report.pdf"
        page.pdf(path=str(printed), format="A4")
        browser.close()
    assert said == []
    assert printed.read_bytes().startswith(b"%PDF")
