"""What a holding says of itself is what it holds."""

import pytest

from doorward.dicom.tags import keyword_of, vr_of
from doorward.dicom.walk import Syntax
from doorward.errors import ConfigError
from doorward.practice.holding import DATES, MOST_IMAGES, MOST_SEED, MOST_STUDIES, Holding
from doorward.practice.matches import Query, identifiers
from practising import decoded

HOLDING = Holding(studies=23, images_per_study=7, patients=5, seed=3)


def test_sums_are_those_of_the_parts():
    parts = [HOLDING.studies_of(patient) for patient in range(HOLDING.patients)]
    assert sorted(study for part in parts for study in part) == list(range(HOLDING.studies))
    assert HOLDING.images == 161


@pytest.mark.parametrize("total", (0, 1, 22, 23, 24, 161, 10_007))
def test_any_total_of_images_is_shared_out_evenly(total):
    holding = Holding(studies=23, images_total=total, patients=5)
    images = [holding.images_of(study) for study in range(23)]
    assert sum(images) == holding.images == total
    assert max(images) - min(images) <= 1


def uid_of(study: int, holding: Holding = HOLDING) -> str:
    attributes = [
        (tag, vr, value)
        for tag, (_, vr, value) in holding.attributes().items()
        if tag == 0x0020_000D
    ]
    query = Query(level="STUDY", asked=frozenset(), numbers=(study,), status=0xFF00)
    (identifier,) = identifiers(query, attributes, Syntax.IMPLICIT_LITTLE, holding)
    return str(decoded(identifier, is_implicit=True).StudyInstanceUID)


def test_study_is_found_by_its_uid():
    assert [HOLDING.study_of(uid_of(n)) for n in (0, 1, 22)] == [0, 1, 22]


@pytest.mark.parametrize(
    "uid",
    (
        "",
        "*",
        "1.2.840.10008.1.1",
        uid_of(23),
        uid_of(1, Holding(seed=4)),
        uid_of(1)[:-1] + "1",
        uid_of(1) + "0",
    ),
)
def test_foreign_uid_is_no_study(uid):
    assert HOLDING.study_of(uid) is None


def test_uids_have_the_longest_length_and_fit_at_the_ends_of_every_range():
    most = Holding(studies=MOST_STUDIES, images_per_study=MOST_IMAGES, patients=1, seed=MOST_SEED)
    last = uid_of(MOST_STUDIES - 1, most)
    assert len(last) == 64
    assert most.study_of(last) == MOST_STUDIES - 1


def test_patient_is_found_by_the_id():
    assert HOLDING.patient_of(f"{HOLDING.canary}-P0000004") == 4
    assert HOLDING.patient_of(f"{HOLDING.canary}-P0000005") is None
    assert HOLDING.patient_of("") is None


def test_every_attribute_is_of_the_standard():
    for tag, (_, vr, _) in HOLDING.attributes().items():
        assert keyword_of(tag)
        assert vr_of(tag) == vr


def test_every_text_about_a_person_holds_a_canary():
    silent = {"PatientSex", "PatientAge", "StudyTime", "StudyDate", "Modality", "ModalitiesInStudy"}
    for tag, (_, vr, value) in HOLDING.attributes().items():
        is_number = vr in ("IS", "UI")
        if not is_number and keyword_of(tag) not in silent:
            assert any(canary in value for canary in HOLDING.canaries), keyword_of(tag)


def test_names_are_unmistakably_synthetic():
    names = [value for _, vr, value in HOLDING.attributes().values() if vr == "PN"]
    assert len(names) >= 8
    assert all(name.startswith("SYNTHETIC^") for name in names)


def test_another_seed_is_another_archive():
    other = Holding(studies=23, images_per_study=7, patients=5, seed=4)
    assert not HOLDING.canaries & other.canaries
    assert uid_of(0) != uid_of(0, other)


def test_dates_lie_before_the_first_radiograph():
    assert len(DATES) == 365
    assert max(DATES) < 18951108


@pytest.mark.parametrize(
    ("numbers", "field"),
    (
        ({"studies": -1}, "studies"),
        ({"studies": MOST_STUDIES + 1}, "studies"),
        ({"images_per_study": -1}, "images"),
        ({"studies": 5, "patients": 6}, "patients"),
        ({"studies": 5, "patients": 2, "images_total": -1}, "images_total"),
        ({"studies": 0, "patients": 0, "images_total": 1}, "images_total"),
        ({"studies": 1, "patients": 1, "images_total": MOST_IMAGES + 1}, "images_total"),
        ({"studies": 5, "patients": 0}, "patients"),
        ({"seed": MOST_SEED + 1}, "seed"),
    ),
)
def test_numbers_that_do_not_fit_are_refused_by_name(numbers, field):
    with pytest.raises(ConfigError) as refused:
        Holding(**numbers)
    assert refused.value.field == field


def test_an_archive_may_be_empty():
    assert Holding(studies=0, patients=0).images == 0


def test_no_two_studies_of_a_crowded_day_begin_at_the_same_second():
    crowded = Holding(studies=86_400, patients=1, days=1)
    times = {crowded.time_of(study) for study in range(86_400)}
    assert len(times) == 86_400
    assert (min(times), max(times)) == (0, 235_959)


def test_studies_are_spread_over_as_many_days_as_are_wanted():
    with pytest.raises(ConfigError) as refused:
        Holding(days=0)
    assert refused.value.field == "days"
    assert Holding(days=1).time_of(0) == 0
    assert Holding().time_of(364) == 0, "the first study of each day"
