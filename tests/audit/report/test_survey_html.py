"""The page of a survey: streamed, inert, and what a browser really shows."""

import re
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from doorward.audit.place import NOWHERE, Place
from doorward.audit.report.survey_html import html_parts, write_html
from doorward.limits import DEFAULT_LIMITS
from judged_systems import HOSTILE, HOSTILE_SYSTEM, SHUT, SILENT, facts
from surveyed import SYSTEMS, archive, moved, survey

CHROMIUM = "/usr/bin/chromium"
#: Two systems in full, at most five named, two countries and one group to a table.
SMALL = replace(
    DEFAULT_LIMITS, report_shown_whole=2, report_listed=5, report_countries=1, report_groups=1
)


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


def _page(systems=SYSTEMS, *, suspected=(), limits=DEFAULT_LIMITS) -> str:
    frame, documents = survey(systems, suspected=suspected)
    return "".join(html_parts(frame, documents, limits=limits))


def _text(page: str) -> str:
    return " ".join(_Outline(page.partition("</style>")[2]).text.split())


def test_the_page_says_verdict_sums_and_the_worst_systems() -> None:
    text = _text(_page(suspected=["127.0.3.3"]))
    for words in (
        "2 of 5 systems answer strangers; 1 lets them add images.",
        "At least 1,200 studies with at least 12,000 images lie open in 2 countries",
        "By country Country Systems Open Give images Studies open Images Can be taken "
        "Switzerland 1 1 1 1,000 10,000 10,000 Germany 2 1 0 200 2,000 –",
        "E6 may take images 1 1 1 1,000 10,000 10,000",
        "By owner",
        "By site",
        "By product",
        "The worst 4 systems of 6",
        "Example Hospital (it@example.test), Switzerland",
        "All other systems",
        "looks like a honeypot: not counted",
        "No DICOM answered at 1 address",
        "127.0.3.6",
        "Keep this report confidential",
    ):
        assert words in text
    places = [text.index(f"127.0.3.{n}") for n in (1, 2, 4, 5, 3, 6)]
    assert places == sorted(places)


def test_beyond_the_worst_each_system_has_a_row_and_beyond_the_bound_a_number() -> None:
    page = _page(limits=SMALL)
    text = _text(page)
    assert page.count("<article") == 2
    assert "The worst 2 systems of 6" in text
    rows = page.partition('id="others"')[2].partition("</table>")[0]
    assert re.findall(r"127\.0\.3\.\d", rows) == ["127.0.3.3", "127.0.3.4", "127.0.3.5"]
    assert "1 more system is not listed on this page" in text
    assert "In orthanc.json set" in rows


def test_a_honeypot_that_comes_first_is_no_bad_example_and_hides_none() -> None:
    frame, documents = survey(suspected=["127.0.3.3"])
    page = "".join(html_parts(frame, [documents[-1], *documents[:-1]]))
    assert page.count("<article") == 4
    rows = page.partition('id="others"')[2].partition("</table>")[0]
    assert re.findall(r"127\.0\.3\.\d", rows) == ["127.0.3.3"]


def test_what_is_beyond_the_bound_is_not_even_read() -> None:
    frame, documents = survey()
    waiting = iter([*documents[:5], "no document"])
    assert "".join(html_parts(frame, waiting, limits=SMALL)).endswith("</html>\n")
    assert list(waiting) == ["no document"]


def test_a_long_table_sums_up_its_rest() -> None:
    systems = [
        (archive(f"127.0.5.{i}", 10 * i), Place(country=code, site=f"S{i}"))
        for i, code in enumerate(("CH", "DE", "FR", "AT"), start=1)
    ]
    text = _text(_page(systems, limits=SMALL))
    # The rest of 10 + 20 + 30 studies behind the 40 of Austria.
    assert "Austria 1 1 1 40 400 400 3 others 3 3 3 60 600 600" in text
    assert "S4 1 1 1 40 400 400 3 others 3 3 3 60 600 600" in text


def test_a_rest_of_one_is_named() -> None:
    systems = [
        (archive("127.0.5.1", 10), Place(country="CH")),
        (archive("127.0.5.2", 20), Place(country="DE")),
    ]
    text = _text(_page(systems, limits=SMALL))
    assert "Germany 1 1 1 20 200 200 Switzerland 1 1 1 10 100 100" in text


def test_a_survey_of_nothing_and_one_of_silence_still_give_a_page() -> None:
    assert "Nothing could be tested." in _page([])
    silent = _text(_page([(moved(SILENT, f"127.0.5.{i}"), NOWHERE) for i in range(3)]))
    assert "No DICOM answered at 3 addresses" in silent
    assert "All systems" not in silent


def test_the_page_is_inert_and_self_contained() -> None:
    hostile = replace(HOSTILE_SYSTEM, facts=facts("127.0.4.1", name=HOSTILE))
    place = Place(site=HOSTILE, owner=HOSTILE, contact=HOSTILE, country=HOSTILE)
    systems = [
        (hostile, place),
        (replace(hostile, facts=facts("127.0.4.2", name=HOSTILE)), place),
        (replace(hostile, facts=facts("127.0.4.3", name=HOSTILE)), place),
    ]
    page = _page(systems, limits=SMALL)
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page.partition('id="others"')[2]
    assert "\x1b" not in page
    assert "\u202e" not in page
    outline = _Outline(page)
    assert not {"script", "img", "link", "iframe", "object", "embed", "form"} & set(outline.tags)
    for tag, name, value in outline.attributes:
        assert not name.startswith("on")
        assert name not in ("src", "style", "srcdoc", "action")
        if name == "href":
            assert tag == "a"
            assert value.startswith(("https://", "#"))


def test_every_jump_has_a_place_to_land() -> None:
    outline = _Outline(_page(limits=SMALL))
    targets = {value for _, name, value in outline.attributes if name == "id"}
    jumps = {v[1:] for _, name, v in outline.attributes if name == "href" and v[0] == "#"}
    assert jumps <= targets
    assert {"worst", "others", "system-1", "sums-1"} <= jumps


def test_the_page_leaves_as_a_stream(tmp_path: Path) -> None:
    frame, documents = survey()
    taken: list[int] = []

    def stream() -> Iterator[str]:
        for number in range(300):
            taken.append(number)
            yield documents[0]

    parts = html_parts(frame, stream(), limits=replace(SMALL, report_listed=300))
    assert len(taken) == 3  # the worst, and one that tells whether there are others
    while len(taken) < 10:
        next(parts)
    assert len(taken) == 10
    file = tmp_path / "survey.html"
    write_html(frame, documents, file)
    assert file.read_text(encoding="utf-8") == "".join(html_parts(frame, documents))


@pytest.mark.peer("chromium")
def test_a_browser_shows_the_page_without_errors_or_overflow(tmp_path: Path) -> None:
    from playwright.sync_api import sync_playwright

    systems = [
        (archive(f"127.0.{6 + i // 200}.{i % 200}", 1_000_000 + i), Place(country="CH", site="S"))
        for i in range(20)
    ] + [(replace(SHUT, facts=facts(f"127.0.9.{i}", name=HOSTILE)), NOWHERE) for i in range(20)]
    frame, documents = survey(systems)
    file = tmp_path / "survey.html"
    write_html(frame, documents, file, limits=replace(DEFAULT_LIMITS, report_shown_whole=3))
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
        for width, display in ((400, "grid"), (800, "grid"), (1280, "table-row")):
            page = browser.new_page(viewport={"width": width, "height": 900})
            page.on("console", lambda message: said.append(message.text))
            page.on("dialog", lambda dialog: (said.append("dialog"), dialog.dismiss()))
            page.goto(file.as_uri())
            # On a narrow screen a row of the wide tables becomes a block of its own.
            row = "getComputedStyle(document.querySelector('.stack tbody tr')).display"
            assert page.evaluate(row) == display
            assert page.evaluate("document.documentElement.scrollWidth") <= width
        printed = tmp_path / "survey.pdf"
        page.pdf(path=str(printed), format="A4")
        browser.close()
    assert said == []
    assert printed.read_bytes().startswith(b"%PDF")
