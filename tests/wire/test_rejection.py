"""A refusal in the words of the Standard."""

import pytest

from doorward.wire.rejection import describe_rejection


@pytest.mark.parametrize(
    ("source", "reason"), ((1, 1), (1, 2), (1, 3), (1, 7), (2, 1), (2, 2), (3, 1), (3, 2))
)
def test_every_reason_of_the_standard_has_words(source, reason):
    assert "does not define" not in describe_rejection(1, source, reason)


@pytest.mark.parametrize(
    ("codes", "words"),
    (
        ((1, 1, 3), "calling AE title not recognized, permanently (1/1/3)"),
        ((2, 3, 2), "local limit exceeded, for now (2/3/2)"),
        ((9, 9, 9), "a reason that the Standard does not define, in an undefined way (9/9/9)"),
    ),
)
def test_a_triplet_is_told_in_words_and_codes(codes, words):
    assert describe_rejection(*codes) == words
