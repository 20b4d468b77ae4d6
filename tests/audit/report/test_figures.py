"""Numbers for people: with their honesty, and only where a stranger sees what they count."""

import pytest

from doorward.audit.facts import UNKNOWN_COUNT, Count, Exactness
from doorward.audit.report.assemble import assemble
from doorward.audit.report.figures import (
    amount,
    cell,
    plural,
    survey_figures,
    system_figures,
)
from doorward.audit.report.model import CountModel, SystemModel
from doorward.audit.verdict import JudgedSystem
from judged_systems import OPEN, RECORD, WRITABLE, counted
from surveyed import survey


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


def test_a_table_carries_the_honesty_as_a_sign() -> None:
    def model(value: int | None, exactness: str) -> CountModel:
        return CountModel(value=value, exactness=exactness, method="")

    assert cell(model(1_234, "exact_counter")) == "1,234"
    assert cell(model(1_234, "at_least")) == "≥1,234"
    assert cell(model(1_234, "estimated")) == "≈1,234"
    assert cell(model(None, "unknown")) == "not known"


def test_a_survey_tells_its_systems_and_only_what_there_is() -> None:
    labels = [f.label for f in survey_figures(survey([])[0].totals)]
    assert labels == [
        "open to strangers",
        "giving images away",
        "letting strangers add images",
    ]
    frame, _ = survey(suspected=["127.0.3.3"])
    shown = {f.label: (f.value, f.trust) for f in survey_figures(frame.totals)}
    assert shown["open to strangers"] == ("2", "of 5 systems; 4 speaking DICOM")
    assert shown["countries"] == ("2", "with a system open to strangers")
    assert shown["without an answer to judge by"] == ("1", "not known to be safe")
    assert shown["looking like honeypots"] == ("1", "set apart, in no other number")
