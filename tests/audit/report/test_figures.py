"""Numbers for people: with their honesty, and only where a stranger sees what they count."""

import pytest

from doorward.audit.facts import UNKNOWN_COUNT, Count, Exactness
from doorward.audit.report.assemble import assemble
from doorward.audit.report.figures import amount, plural, system_figures
from doorward.audit.report.model import CountModel, SystemModel
from doorward.audit.verdict import JudgedSystem
from judged_systems import OPEN, RECORD, WRITABLE, counted


def system(judged: JudgedSystem) -> SystemModel:
    return assemble([judged], RECORD).systems[0]


@pytest.mark.parametrize(
    ("count", "words"),
    [
        (counted(1_234), "1,234"),
        (counted(1_234, Exactness.AT_LEAST), "at least 1,234"),
        (counted(1_234, Exactness.ESTIMATED), "about 1,234"),
        (UNKNOWN_COUNT, "not known"),
    ],
)
def test_an_amount_carries_its_honesty(count: Count, words: str) -> None:
    model = CountModel(value=count.value, exactness=count.exactness.value, method=count.method)
    assert amount(model) == words


def test_one_is_singular() -> None:
    assert (plural(1, "study", "studies"), plural(2_000, "study", "studies")) == (
        "1 study",
        "2,000 studies",
    )


def test_numbers_are_only_shown_where_strangers_see_studies() -> None:
    assert system_figures(system(WRITABLE)) == ()
    shown = system_figures(system(OPEN))
    assert [(f.label, f.value) for f in shown] == [
        ("patients", "567"),
        ("studies", "1,234"),
        ("images", "at least 45,678"),
        ("images that can be taken", "at least 45,678"),
    ]
