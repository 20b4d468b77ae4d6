"""Parts begin and end where RFC 2046 says, however the bytes are cut; nothing is held that need not be."""

import email
import email.policy
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doorward.errors import LimitExceeded, PeerProtocolError
from doorward.limits import DEFAULT_LIMITS
from doorward.web.multipart import (
    MediaType,
    MultipartReader,
    PartBegun,
    PartData,
    boundary_of,
    parse_media_type,
)
from multipart_invariants import CORPUS, check_multipart, read

DICOM = "application/dicom"
SIZES = (1, 2, 3, 7, 10_000)


def parts_of(body):
    """Return (headers, bytes) of each part of a good body, which must be the same however it is cut."""
    [found] = {repr(read(body, size)): read(body, size) for size in SIZES}.values()
    parts, error = found
    assert error is None
    assert all(is_whole for *_, is_whole in parts)
    return [(headers, content) for headers, content, _ in parts]


@pytest.mark.parametrize(
    ("body", "parts"),
    [
        (b"--b\r\n\r\nx\r\n--b--", [({}, b"x")]),
        (b"--b\r\n\r\nx\r\n--b--\r\nan epilogue", [({}, b"x")]),
        (b"a preamble\r\n--b\r\n\r\nx\r\n--b--", [({}, b"x")]),
        (b"--b \t\r\nA: 1\r\nb-C:2 \r\n\r\nx\r\n--b\r\n\r\ny\r\n--b--", [({"a": "1", "b-c": "2"}, b"x"), ({}, b"y")]),
        (b"--b\r\n\r\n\r\n--b--", [({}, b"")]),
        (b"--b\r\nA: 1\r\n\r\n--b--", [({"a": "1"}, b"")]),
        (b"--b\r\n\r\n\r\n--a\r\n-b\n--b\r--b\r\n--b--", [({}, b"\r\n--a\r\n-b\n--b\r--b")]),
        (b"--b--", []),
    ],
    ids=["one", "epilogue", "preamble", "two", "empty", "empty with a head", "nearly", "none"],
)  # fmt: skip
def test_parts_are_what_the_boundaries_say(body, parts):
    assert parts_of(body) == parts


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"--b",
        b"--b\r\n",
        b"--b\r\n\r\nx",
        b"--b\r\n\r\nx\r\n--b",
        b"--b\r\n\r\nx\r\n--b-",
        b"--bc\r\n\r\nx\r\n--b--",
        b"--b\r\nno colon\r\n\r\nx\r\n--b--",
        b"--b\r\nA: 1\r\n folded\r\n\r\nx\r\n--b--",
        b"--b\r\nA: 1\r\na: 2\r\n\r\nx\r\n--b--",
        b"--b\r\nA: \x00\r\n\r\nx\r\n--b--",
        b"--b\r\nA : 1\r\n\r\nx\r\n--b--",
        b"--b\r\nA: 1\r\n--b: 2\r\n\r\nx\r\n--b--",
        b"--b\n\nx\n--b--",
    ],
)
def test_what_is_malformed_is_refused_however_it_is_cut(body):
    assert [read(body, size)[1] for size in SIZES] == [PeerProtocolError] * len(SIZES)


@pytest.mark.parametrize(
    ("bound", "body"),
    [
        ("multipart_head_bytes", b"--b\r\nA: %s\r\n\r\nx\r\n--b--"),
        ("multipart_head_bytes", b"--b%s\r\n\r\nx\r\n--b--"),
        ("multipart_margin_bytes", b"%s\r\n--b\r\n\r\nx\r\n--b--"),
        ("multipart_margin_bytes", b"--b\r\n\r\nx\r\n--b--%s"),
    ],
    ids=["head", "padding", "preamble", "epilogue"],
)
def test_what_nobody_needs_has_a_bound(bound, body):
    limits = replace(DEFAULT_LIMITS, **{bound: 40})
    for size in SIZES:
        assert read(body % (b" " * 20), size, limits)[1] is None
        assert read(body % (b" " * 60), size, limits)[1] is LimitExceeded


def test_parts_are_counted():
    limits = replace(DEFAULT_LIMITS, stow_instances=2)
    body = b"--b\r\n\r\nx\r\n" * 3 + b"--b--"
    with pytest.raises(LimitExceeded, match="stow_instances"):
        list(MultipartReader("b", limits).feed(body))


def test_parts_within_a_part_are_its_bytes():
    inner = b"--c\r\n\r\ndeep\r\n--c--\r\n"
    body = b"--b\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n" + inner + b"\r\n--b--"
    [(_, content)] = parts_of(body)
    assert content == inner


def test_a_body_is_given_out_as_it_comes_and_not_held():
    reader = MultipartReader("b")
    assert list(reader.feed(b"--b\r\n\r\n")) == [PartBegun({})]
    for _ in range(100):
        [event] = reader.feed(b"\r\n--" * 25_000)
        assert isinstance(event, PartData)
        assert len(reader._held) < 10


@given(st.lists(st.binary(max_size=200)), st.integers(1, 50))
def test_any_bytes_come_back_in_any_cut(contents, size):
    contents = [one for one in contents if b"\r\n--b" not in b"\r\n" + one + b"\r\n"]
    body = b"".join(b"--b\r\nN: v\r\n\r\n" + one + b"\r\n" for one in contents) + b"--b--\r\n"
    assert read(body, size) == ([({"n": "v"}, one, True) for one in contents], None)


@given(st.lists(st.text("ab-c \n", max_size=60), min_size=1, max_size=4))
def test_the_mail_reader_of_the_library_sees_the_same_parts(texts):
    contents = [text.replace("\n", "\r\n").encode() for text in texts]
    contents = [one for one in contents if b"\n--b" not in b"\n" + one]
    body = b"".join(b"--b\r\nN: v\r\n\r\n" + one + b"\r\n" for one in contents) + b"--b--\r\n"
    head = b"Content-Type: multipart/related; boundary=b\r\n\r\n"
    message = email.message_from_bytes(head + body, policy=email.policy.HTTP)
    theirs = [part.get_payload() for part in message.iter_parts()] if contents else []
    assert [content.decode() for _, content, _ in read(body, 5)[0]] == theirs


@given(st.binary(max_size=300))
def test_no_body_breaks_the_invariants(data):
    check_multipart(data)


@pytest.mark.parametrize("path", sorted(CORPUS.iterdir()), ids=lambda path: path.name)
def test_what_fuzzing_has_kept_holds(path):
    check_multipart(path.read_bytes())


@pytest.mark.parametrize(
    ("text", "name", "parameters"),
    [
        ("application/dicom", DICOM, {}),
        (" Application/DICOM ; Transfer-Syntax=1.2", DICOM, {"transfer-syntax": "1.2"}),
        ('a/b; type="application/dicom"; boundary=x', "a/b", {"type": DICOM, "boundary": "x"}),
        ("a/b;type=application/dicom;boundary=x", "a/b", {"type": DICOM, "boundary": "x"}),
        (r'a/b; boundary="x \"y\" \\z"', "a/b", {"boundary": r'x "y" \z'}),
        ("a/b;;", "a/b", {}),
    ],
)
def test_a_content_type_is_read(text, name, parameters):
    assert parse_media_type(text) == MediaType(name, parameters)


@pytest.mark.parametrize(
    "text", ["", "a", "a/b c", "a/b; c", 'a/b; c="', "a/b; c=1; C=2", "a/b; c=d e", "ä/b"]
)
def test_a_malformed_content_type_is_refused(text):
    with pytest.raises(PeerProtocolError, match="Content-Type"):
        parse_media_type(text)


def test_a_long_content_type_is_refused_unread():
    with pytest.raises(LimitExceeded, match="content_type_bytes"):
        parse_media_type("a/b" + ";" * 2_000)


@pytest.mark.parametrize("boundary", ["", "x ", "a\r\nb", "ä", "a*b"])
def test_a_boundary_is_one_of_rfc_2046(boundary):
    assert boundary_of(MediaType("a/b", {"boundary": "x" * 73})) == "x" * 73
    with pytest.raises(PeerProtocolError, match="boundary"):
        boundary_of(MediaType("a/b", {"boundary": boundary}))


def test_a_boundary_is_not_endless():
    with pytest.raises(LimitExceeded, match="multipart_boundary_characters"):
        boundary_of(MediaType("a/b", {"boundary": "x" * 200}))
