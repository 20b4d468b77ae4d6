"""Matches streamed from a template are the data sets that pydicom would have written."""

import itertools
import tracemalloc

import pytest

from doorward.dicom.values import encode_identifier
from doorward.dicom.walk import Syntax
from doorward.errors import PeerProtocolError
from doorward.practice.holding import DATES, Holding
from doorward.practice.matches import Query, identifiers, parse_query
from practising import decoded

HOLDING = Holding(studies=23, images_per_study=7, patients=5, seed=3)
LEVEL, STUDY_UID, PATIENT_ID, STUDY_DATE = 0x0008_0052, 0x0020_000D, 0x0010_0020, 0x0008_0020


def query(level: str, *keys: tuple[int, str, str]) -> Query:
    identifier = encode_identifier([(LEVEL, "CS", level), *keys], Syntax.IMPLICIT_LITTLE)
    parsed = parse_query(identifier, Syntax.IMPLICIT_LITTLE, HOLDING)
    assert parsed is not None
    return parsed


def numbers(level: str, *keys: tuple[int, str, str]) -> list[int]:
    return list(query(level, *keys).numbers)


def everything(level: str, syntax: Syntax = Syntax.IMPLICIT_LITTLE, **how: object):
    attributes = [(tag, vr, value) for tag, (_, vr, value) in HOLDING.attributes().items()]
    return identifiers(query(level), attributes, syntax, HOLDING, **how)


def study_uid(study: int) -> str:
    match = next(itertools.islice(everything("STUDY"), study, None))
    return str(decoded(match, is_implicit=True).StudyInstanceUID)


@pytest.mark.parametrize(
    ("level", "count"), (("PATIENT", 5), ("STUDY", 23), ("SERIES", 23), ("IMAGE", 161))
)
def test_each_level_has_as_many_matches_as_there_are(level, count):
    assert sum(1 for _ in everything(level)) == count


@pytest.mark.parametrize("syntax", (Syntax.IMPLICIT_LITTLE, Syntax.EXPLICIT_LITTLE))
def test_pydicom_reads_every_attribute_as_it_was_meant(syntax):
    is_implicit = syntax is Syntax.IMPLICIT_LITTLE
    matches = [decoded(m, is_implicit=is_implicit) for m in everything("IMAGE", syntax)]
    one = matches[7 * 11 + 2]  # the third image of study 11
    assert one.PatientName == f"SYNTHETIC^{HOLDING.canary}^P0000001"
    assert one.PatientID == f"{HOLDING.canary}-P0000001"
    assert one.PatientBirthDate == HOLDING.birth_date
    assert one.StudyDate == str(DATES[11])
    assert one.NumberOfStudyRelatedInstances == 7
    assert one.InstanceNumber == 3
    assert str(one.PatientWeight) == HOLDING.weight
    assert HOLDING.study_of(one.StudyInstanceUID) == 11
    assert len({m.SOPInstanceUID for m in matches}) == 161
    assert len({m.SeriesInstanceUID for m in matches}) == 23
    assert len(one) == len(HOLDING.attributes())


def test_sums_of_the_patients_are_the_sums_of_the_archive():
    patients = [decoded(m, is_implicit=True) for m in everything("PATIENT")]
    assert sum(p.NumberOfPatientRelatedStudies for p in patients) == 23
    assert sum(p.NumberOfPatientRelatedInstances for p in patients) == 161
    assert len({p.PatientID for p in patients}) == 5


@pytest.mark.parametrize("patients", (1, 5, 23))
@pytest.mark.parametrize("total", (0, 7, 23, 161, 170))
def test_every_level_adds_up_to_the_total_of_images(total, patients):
    holding = Holding(studies=23, images_total=total, patients=patients, seed=3)
    attributes = [(tag, vr, value) for tag, (_, vr, value) in holding.attributes().items()]

    def matches(level: str):
        numbers = range(patients if level == "PATIENT" else 23)
        asked = Query(level=level, asked=frozenset(), numbers=numbers, status=0xFF00)
        found = identifiers(asked, attributes, Syntax.IMPLICIT_LITTLE, holding)
        return [decoded(match, is_implicit=True) for match in found]

    by_patient = {m.PatientID: int(m.NumberOfPatientRelatedInstances) for m in matches("PATIENT")}
    sums = dict.fromkeys(by_patient, 0)
    for study in matches("STUDY"):
        sums[study.PatientID] += study.NumberOfStudyRelatedInstances
    assert sums == by_patient
    assert sum(sums.values()) == len(matches("IMAGE")) == total
    assert sum(m.NumberOfSeriesRelatedInstances for m in matches("SERIES")) == total


@pytest.mark.parametrize("total", (161, 170))
@pytest.mark.parametrize(
    ("level", "tags"),
    (
        ("STUDY", (STUDY_UID,)),
        ("STUDY", (STUDY_UID, 0x0020_1208)),
        ("PATIENT", (PATIENT_ID,)),
        ("PATIENT", (0x0020_1200,)),
    ),
)
def test_the_short_way_of_a_count_says_the_same_as_the_long_one(level, tags, total):
    holding = Holding(studies=23, images_total=total, patients=5, seed=3)
    all_attributes = [(tag, vr, value) for tag, (_, vr, value) in holding.attributes().items()]
    asked = Query(level=level, asked=frozenset(), numbers=range(5), status=0xFF00)

    def said(attributes):
        found = identifiers(asked, attributes, Syntax.EXPLICIT_LITTLE, holding)
        matches = [decoded(match, is_implicit=False) for match in found]
        return [[match[tag].value for tag in tags] for match in matches]

    assert said([row for row in all_attributes if row[0] in tags]) == said(all_attributes)


def test_study_is_found_by_its_uid():
    assert numbers("STUDY", (STUDY_UID, "UI", study_uid(9))) == [9]


def test_several_uids_are_a_list_and_foreign_ones_match_nothing():
    uids = "\\".join((study_uid(9), "1.2.3", study_uid(4)))
    assert numbers("STUDY", (STUDY_UID, "UI", uids)) == [4, 9]
    assert numbers("STUDY", (STUDY_UID, "UI", "1.2.3")) == []


def test_patient_is_found_by_the_id_at_every_level():
    key = (PATIENT_ID, "LO", f"{HOLDING.canary}-P0000003")
    assert numbers("PATIENT", key) == [3]
    assert numbers("STUDY", key) == [3, 8, 13, 18]
    assert numbers("STUDY", key, (STUDY_UID, "UI", study_uid(9))) == []
    assert numbers("STUDY", (PATIENT_ID, "LO", "NOBODY")) == []
    assert numbers("PATIENT", (PATIENT_ID, "LO", "NOBODY")) == []


@pytest.mark.parametrize(
    ("dates", "expected"),
    (
        (f"{DATES[5]}", [5]),
        (f"{DATES[5]}-{DATES[8]}", [5, 6, 7, 8]),
        (f"{DATES[20]}-", [20, 21, 22]),
        (f"-{DATES[1]}", [0, 1]),
        ("19990101-", []),
        ("yesterday", []),
    ),
)
def test_study_dates_match_as_ranges(dates, expected):
    given = [(STUDY_DATE, "DA", dates)] if dates != "yesterday" else [(STUDY_DATE, "LO", dates)]
    assert numbers("STUDY", *given) == expected


@pytest.mark.parametrize(
    ("times", "expected"),
    (
        ("000000", [n for n in range(23) if HOLDING.time_of(n) == 0]),
        ("-000000.999999", [n for n in range(23) if HOLDING.time_of(n) == 0]),
        ("", list(range(23))),
        ("later", []),
    ),
)
def test_study_times_match_as_ranges(times, expected):
    assert numbers("STUDY", (0x0008_0030, "TM", times)) == expected


@pytest.mark.parametrize(
    ("first", "last"),
    (("", "115959.999999"), ("1200", "17"), ("120001", ""), ("08", "0815"), ("", "")),
)
def test_times_of_one_crowded_day_match_as_ranges(first, last):
    crowded = Holding(studies=200, patients=5, days=1)
    asked = encode_identifier(
        [
            (LEVEL, "CS", "STUDY"),
            (STUDY_DATE, "DA", str(DATES[0])),
            (0x0008_0030, "TM", f"{first}-{last}"),
        ],
        Syntax.IMPLICIT_LITTLE,
    )
    found = parse_query(asked, Syntax.IMPLICIT_LITTLE, crowded)
    least = int(first.ljust(6, "0"))
    most = int(last.partition(".")[0].ljust(6, "9"))
    assert list(found.numbers) == [n for n in range(200) if least <= crowded.time_of(n) <= most]


def test_ignored_keys_are_not_matched_and_nothing_says_so():
    asked = encode_identifier(
        [(LEVEL, "CS", "STUDY"), (STUDY_DATE, "DA", "20200101")], Syntax.IMPLICIT_LITTLE
    )
    found = parse_query(asked, Syntax.IMPLICIT_LITTLE, HOLDING, ignored=(STUDY_DATE,))
    assert list(found.numbers) == list(range(23))
    assert found.status == 0xFF00


def test_dates_of_a_large_archive_are_found_in_their_order():
    holding = Holding(studies=1_000, patients=1)
    asked = encode_identifier(
        [(LEVEL, "CS", "STUDY"), (STUDY_DATE, "DA", f"{DATES[3]}-{DATES[4]}")],
        Syntax.IMPLICIT_LITTLE,
    )
    found = parse_query(asked, Syntax.IMPLICIT_LITTLE, holding)
    assert list(found.numbers) == [3, 4, 368, 369, 733, 734]


def test_a_key_that_is_not_matched_is_admitted():
    assert query("STUDY", (0x0010_0010, "PN", "A*")).status == 0xFF01
    assert query("STUDY", (0x0010_0010, "PN", "*")).status == 0xFF00
    assert query("STUDY", (STUDY_UID, "UI", "")).status == 0xFF00


@pytest.mark.parametrize("level", ("", "FOO", "study"))
def test_unknown_level_does_not_fit(level):
    identifier = encode_identifier([(LEVEL, "CS", level)], Syntax.IMPLICIT_LITTLE)
    assert parse_query(identifier, Syntax.IMPLICIT_LITTLE, HOLDING) is None


def test_malformed_identifier_is_the_peers_fault():
    with pytest.raises(PeerProtocolError):
        parse_query(b"\x08\x00\x52\x00\xff\x00\x00\x00STUDY", Syntax.IMPLICIT_LITTLE, HOLDING)


def test_endless_goes_on_beyond_the_holding():
    matches = list(itertools.islice(everything("STUDY", is_endless=True), 1_000))
    assert len(set(matches)) == 1_000
    assert {len(m) for m in matches} == {len(matches[0])}


def test_a_million_studies_need_no_memory():
    holding = Holding(studies=1_000_000, patients=1)
    attributes = [(STUDY_UID, "UI", holding.attributes()[STUDY_UID][2])]
    asked = Query(level="STUDY", asked=frozenset(), numbers=range(holding.studies), status=0xFF00)
    stream = identifiers(asked, attributes, Syntax.IMPLICIT_LITTLE, holding)
    tracemalloc.start()
    try:
        for _ in itertools.islice(stream, 20_000):
            pass
        assert tracemalloc.get_traced_memory()[1] < 100_000
    finally:
        tracemalloc.stop()


def test_percent_signs_in_headers_are_no_places_for_numbers():
    # a value of 37 characters makes a length byte of 0x26; one of 0x25 would be odd, so a tag brings the sign
    attributes = [(0x0025_0025, "LO", "100% {study}")]
    (first, *_) = identifiers(query("STUDY"), attributes, Syntax.IMPLICIT_LITTLE, HOLDING)
    assert first == b"\x25\x00\x25\x00\x0e\x00\x00\x00100% 00000000 "
