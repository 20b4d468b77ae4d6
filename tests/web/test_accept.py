"""What a client accepts, in the forms in which viewers and libraries say it."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doorward.errors import LimitExceeded, PeerProtocolError
from doorward.limits import DEFAULT_LIMITS
from doorward.web.accept import ANYTHING, DICOM, OCTETS, Form, MediaRange, parse_accept, select

JLS = "1.2.840.10008.1.2.4.80"
EXPLICIT = "1.2.840.10008.1.2.1"
STORED = Form(media_type=DICOM, is_multipart=True, transfer_syntax=JLS, is_default=False)
ANEW = Form(media_type=DICOM, is_multipart=True, transfer_syntax=EXPLICIT)


@pytest.mark.parametrize(
    ("text", "ranges"),
    [
        ("", ANYTHING),
        (" , ,", ANYTHING),
        ("application/dicom+json", [MediaRange(media_type="application/dicom+json")]),
        (
            'multipart/related; type="application/dicom"; transfer-syntax=*',
            [MediaRange(media_type=DICOM, is_multipart=True, transfer_syntax="*")],
        ),
        (
            "multipart/related;type=application/octet-stream;q=0.5, */*;q=0",
            [
                MediaRange(media_type=OCTETS, is_multipart=True, quality=0.5),
                MediaRange(media_type="*/*", quality=0.0),
            ],
        ),
        ("multipart/related", [MediaRange(media_type="*/*", is_multipart=True)]),
        (
            'Application/DICOM ; Transfer-Syntax="1.2\\.3" ; x="a,b;c"',
            [MediaRange(media_type=DICOM, transfer_syntax="1.2.3")],
        ),
    ],
)
def test_a_header_is_read_as_its_ranges(text, ranges):
    assert parse_accept(text) == tuple(ranges)


@pytest.mark.parametrize(
    "text", ["text", "a/b c", "a/b; q=2", "a/b; q=x", "a/b;", "/", 'a/b; x="open', "a/b; =1"]
)
def test_what_is_no_list_of_ranges_is_refused(text):
    with pytest.raises(PeerProtocolError, match="Accept"):
        parse_accept(text)


def test_a_header_has_a_bound():
    limits = dataclasses.replace(DEFAULT_LIMITS, accept_bytes=8)
    assert parse_accept("text/xml", limits)
    with pytest.raises(LimitExceeded, match="accept_bytes"):
        parse_accept("text/html", limits)


@given(st.text(max_size=60))
def test_any_text_is_ranges_or_refused(text):
    try:
        assert parse_accept(text)
    except PeerProtocolError:
        pass


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("*/*", ANEW),
        ('multipart/related; type="application/dicom"', ANEW),
        ('multipart/related; type="application/dicom"; transfer-syntax=*', STORED),
        (f"multipart/related; type=application/dicom; transfer-syntax={JLS}", STORED),
        ("multipart/related; type=application/*; transfer-syntax=*", STORED),
        ("multipart/related", ANEW),
        ("multipart/related; type=image/*", None),
        ("application/dicom", None),
        ("application/*", None),
        ("image/jls", None),
        ("*/*; q=0", None),
        ("multipart/related; type=application/dicom; transfer-syntax=1.2.3", None),
    ],
)
def test_the_form_is_one_that_the_client_named(text, form):
    assert select(parse_accept(text), [STORED, ANEW]) == form


def test_what_is_liked_better_goes_before_what_is_cheaper():
    text = (
        f"multipart/related; type=application/dicom; transfer-syntax={JLS}; q=0.2,"
        f"multipart/related; type=application/dicom; transfer-syntax={EXPLICIT}; q=0.9"
    )
    assert select(parse_accept(text), [STORED, ANEW]) == ANEW


def test_among_those_that_are_liked_alike_the_cheapest_is_taken():
    text = (
        f"multipart/related; type=application/dicom; transfer-syntax={EXPLICIT},"
        f"multipart/related; type=application/dicom; transfer-syntax={JLS}"
    )
    assert select(parse_accept(text), [STORED, ANEW]) == STORED
