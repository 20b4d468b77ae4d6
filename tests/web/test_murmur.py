"""Known answers of the hashes by which favicons are known."""

import pytest

from doorward.web.murmur import favicon_md5, favicon_murmur, murmur3_32


@pytest.mark.parametrize(  # from the reference implementation's own test vectors
    ("text", "seed", "hashed"),
    [
        (b"", 0, 0),
        (b"", 1, 0x514E28B7),
        (b"", 0xFFFFFFFF, 0x81F16F39),
        (b"\xff\xff\xff\xff", 0, 0x76293B50),
        (b"!Ce\x87", 0, 0xF55B516B),
        (b"!Ce", 0, 0x7E4A8634),
        (b"!C", 0, 0xA0F7B07A),
        (b"!", 0, 0x72661CF4),
        (b"hello", 0, 0x248BFA47),
        (b"The quick brown fox jumps over the lazy dog", 0, 0x2E4FF723),
    ],
)
def test_murmur_agrees_with_the_reference(text, seed, hashed):
    assert murmur3_32(text, seed) & 0xFFFFFFFF == hashed


def test_numbers_are_signed_as_shodan_prints_them():
    assert murmur3_32(b"foo") == -156908512


def test_favicons_are_hashed_over_base64_with_its_line_ends():
    icon = bytes(range(256))
    assert favicon_murmur(icon) != murmur3_32(icon)
    assert favicon_murmur(b"foo") == murmur3_32(b"Zm9v\n")
    assert favicon_md5(b"foo") == "acbd18db4cc2f85cedef654fccc4a4d8"
