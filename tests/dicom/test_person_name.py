"""Names: what counts as the same one, and what an index may rely on."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doorward.dicom.person_name import (
    certain_prefix,
    comparable_groups,
    component_groups,
    fold,
    name_fits,
)

JAPANESE = "Yamada^Tarou=山田^太郎=やまだ^たろう"


def is_found(key: str, name: str, *, is_folded: bool = True) -> bool:
    wanted = comparable_groups(key, is_folded=is_folded)
    return name_fits(wanted, comparable_groups(name, is_folded=is_folded))


@pytest.mark.parametrize(
    ("key", "name"),
    (
        ("Doe^John", "Doe^John^^^"),
        ("DOE^JOHN", "doe^john"),
        ("Doe ^ John", "Doe^John "),
        ("MÜLLER", "muller"),
        ("Buc^Jerome", "Buc^Jérôme"),
        ("Διόν", "ΔΙΟΝ"),
        ("strasse", "Straße"),
        ("ﾔﾏﾀﾞ", "ヤマダ"),
        ("Doe*", "Doe^John"),
        ("Doe^*", "Doe"),
        ("Doe^J?hn", "Doe^John"),
        ("*^John", "Doe^John"),
        ("山田*", JAPANESE),
        ("やまだ^たろう", JAPANESE),
        ("yamada*=山田*", JAPANESE),
        ("=山田^太郎", JAPANESE),
        ("Yamada^Tarou", JAPANESE),
    ),
)
def test_a_name_is_found_by_another_spelling(key, name):
    assert is_found(key, name)


@pytest.mark.parametrize(
    ("key", "name"),
    (
        ("Doe", "Doe^John"),
        ("Doe^*", "Doesn^John"),
        ("?oe^?", "Doe"),
        ("Sorensen", "Sørensen"),
        ("かき", "がき"),
        ("Yamada*=佐藤*", JAPANESE),
        ("=Yamada^Tarou", JAPANESE),
        ("Doe", ""),
    ),
)
def test_another_name_is_not_found(key, name):
    assert not is_found(key, name)


def test_without_folding_case_and_accents_count():
    assert not is_found("DOE", "doe", is_folded=False)
    assert not is_found("Jerome", "Jérôme", is_folded=False)
    assert is_found("Je\u0301ro\u0302me", "Jérôme", is_folded=False)


def test_groups_are_three_at_most_and_keep_their_delimiters():
    assert component_groups("A^B^ = 山 ==x") == ("A^B^", "山")
    assert component_groups("") == component_groups("==") == ()
    assert component_groups("=山") == ("", "山")


@given(st.text(max_size=20))
def test_folding_twice_changes_nothing_more(text):
    assert fold(fold(text)) == fold(text)


NAMES = st.text("aB^=é* ?", max_size=8)


@given(NAMES, NAMES.map(lambda name: name.replace("*", "").replace("?", "")))
def test_the_certain_prefix_of_a_key_is_certain(key, name):
    wanted, groups = comparable_groups(key), comparable_groups(name)
    prefix, is_all = certain_prefix(wanted)
    begins = any(group.startswith(prefix) for group in groups if group)
    if any(wanted) and name_fits(wanted, groups):
        assert begins or not prefix
    if is_all and begins:
        assert name_fits(wanted, groups)
