"""Bodies of several parts, read back by the standard library's parser."""

import email.parser
import email.policy

import pytest

from doorward.errors import LocalProtocolError
from doorward.web.multipart_writer import MultipartWriter


def written(contents):
    writer = MultipartWriter("application/dicom", "b0undary")
    heads = [
        writer.head("application/dicom; transfer-syntax=1.2", length=len(c), first=n == 0)
        for n, c in enumerate(contents)
    ]
    body = b"".join(h + c for h, c in zip(heads, contents, strict=True)) + writer.end
    assert len(body) == writer.length(heads, map(len, contents))
    return writer, body


def test_another_reader_finds_the_same_contents():
    contents = [b"one", b"\0\xff\r\n--b0undar", b""]
    writer, body = written(contents)

    head = f"Content-Type: {writer.content_type}\r\n\r\n".encode()
    message = email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(head + body)

    parts = list(message.iter_parts())
    assert [part.get_payload(decode=True) for part in parts] == contents
    assert [part["Content-Length"] for part in parts] == ["3", "13", "0"]
    assert message.get_param("type") == "application/dicom"


def test_a_part_says_where_it_comes_from():
    head = MultipartWriter("image/jls", "b").head("image/jls", location="https://a/frames/1")
    assert (
        head
        == b"\r\n--b\r\nContent-Type: image/jls\r\nContent-Location: https://a/frames/1\r\n\r\n"
    )


@pytest.mark.parametrize("boundary", ["", "a b", "a\r\n", "x" * 71, "ä"])
def test_what_is_no_boundary_is_refused(boundary):
    with pytest.raises(LocalProtocolError, match="boundary"):
        MultipartWriter("application/dicom", boundary)


@pytest.mark.parametrize("text", ["a\r\nX: 1", "ä", "\0"])
def test_a_field_cannot_hold_another_one(text):
    with pytest.raises(LocalProtocolError, match="header field"):
        MultipartWriter("application/dicom", "b").head("a/b", location=text)
