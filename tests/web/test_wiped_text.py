"""A short text is given once, and zeroed; a long one is never held."""

from doorward.web.wiped_text import WipedText


def test_a_text_is_given_once_and_its_room_is_zeroed():
    text = WipedText(8)
    text.append(memoryview(b"abc"))
    text.append(memoryview(b"def"))
    assert text.taken() == b"abcdef"
    assert text._room == bytes(8)
    assert text.taken() == b""


def test_a_text_that_is_too_long_is_forgotten_at_once():
    text = WipedText(4)
    text.append(memoryview(b"abc"))
    text.append(memoryview(b"de"))
    assert text.is_too_long
    assert text._room == bytes(4)
    text.append(memoryview(b"f"))
    assert text.taken() is None
