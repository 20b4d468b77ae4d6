"""Pages tell their software and whether they ask for a password; their text is dropped, their time is linear."""

import itertools
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doorward.web.page import Page, PageReader, leads_to_login
from web_invariants import check_page

CORPUS = Path(__file__).parent.parent / "fuzz" / "corpus" / "page"

FULL = b"""<!doctype html><html><!-- <title>No</title> <input type=password> -->
<head><TITLE>\n Orthanc &amp; Explorer &#xe9;</TITLE><meta name=generator content='Dicoogle 3.4'>
<script src="/libs/jquery-1.2.min.js?v=3"></script><script>if (a < b) { x = "<input type='password'>" }</script>
<link rel="shortcut icon" href='images/favicon.ico'><style>a > b {}</style></head>
<body> 3 < 4 <p title="CANARY">CANARYDOE</p><form action="/search"><input type="text"></form></body></html>"""


def read(text, cuts=()):
    whole = text.encode() if isinstance(text, str) else text
    reader = PageReader()
    edges = [0, *sorted({c for c in cuts if 0 < c < len(whole)}), len(whole)]
    for begin, end in itertools.pairwise(edges):
        reader.feed(memoryview(whole)[begin:end])
    return reader.page()


def test_the_signs_of_software_are_read():
    assert read(FULL) == Page(
        title="Orthanc & Explorer \u00e9",
        generator="Dicoogle 3.4",
        scripts=("jquery-1.2.min.js",),
        icon="images/favicon.ico",
        asks_login=False,
        is_html=True,
    )


@given(st.sets(st.integers(1, len(FULL)), max_size=60))
def test_it_does_not_matter_how_a_page_is_cut(cuts):
    assert read(FULL, cuts) == read(FULL)
    assert read(FULL, range(len(FULL))) == read(FULL)


@pytest.mark.parametrize(
    "text",
    [
        '<input type="password">',
        "<INPUT name=p TYPE = 'Password'>",
        '<input a="x>y" type=password />',
        '<form action="/portal/WebLogin.aspx">',
        '<form action="j_security_check">',
        "<p>3 < 4</p><input type=password>",
        "<textarea><p></textarea><input type=password>",
    ],
)
def test_a_page_that_asks_for_a_login_is_known(text):
    assert read(f"<html>{text}").asks_login


@pytest.mark.parametrize(
    "text",
    [
        "<!-- <input type=password> -->",
        "<script>'<input type=password>'</script>",
        "<input type=text name=password>",
        "<form action='/blogindex'>",
        "<textarea><input type=password></textarea>",
    ],
)
def test_words_in_comments_and_scripts_are_no_login(text):
    assert not read(f"<html>{text}").asks_login


def test_a_refresh_to_elsewhere_is_seen():
    text = "<meta http-equiv=refresh content='0; URL=https://portal.example.invalid/login'>"
    assert read(text).refresh == "https://portal.example.invalid/login"


@pytest.mark.parametrize(
    "text", [b"", b"plain", b"{}", b"\x00\xff", b"< a", b"<", b"<!-", b"a < b > c"]
)
def test_what_is_no_page_is_none(text):
    assert not read(text).is_html


@pytest.mark.parametrize(
    ("target", "is_login"),
    [
        ("/login", True),
        ("/realms/x/protocol/openid-connect/auth?client_id=a", True),
        ("https://idp.example.invalid/oauth2/start", True),
        ("/cas/login?service=x", True),
        ("/accounts/sign-in", True),
        ("/pacs/WebLogin.aspx", True),
        ("/app/explorer.html", False),
        ("/catalogin", False),
        ("/authors", False),
        ("/", False),
    ],
)
def test_addresses_of_logins_are_known_by_their_words(target, is_login):
    assert leads_to_login(target) is is_login


@pytest.mark.parametrize(
    "text",
    [
        b"<" * 300_000,
        b'<"' * 150_000,
        b"<a " * 100_000,
        b"<!--" * 80_000,
        b"<title>" * 50_000,
        b"<script>" * 40_000,
        b"<input " + b"a=" * 150_000,
        b"<x y='" * 60_000,
        b"&" * 300_000,
    ],
)
def test_hostile_pages_take_linear_time(text):
    begun = time.process_time()
    read(text, range(0, len(text), 4_096))
    assert time.process_time() - begun < 4


def test_nothing_of_the_text_is_held():
    reader = PageReader()
    reader.feed(memoryview(FULL))
    assert "CANARY" not in str(vars(reader))


@given(st.binary(max_size=200), st.sets(st.integers(1, 200)))
def test_random_bytes_are_read_without_a_fault(text, cuts):
    assert isinstance(read(text, cuts), Page)


@pytest.mark.parametrize("path", sorted(CORPUS.iterdir()), ids=lambda path: path.name)
def test_inputs_that_the_fuzzer_kept_hold_the_invariant(path):
    check_page(path.read_bytes())
