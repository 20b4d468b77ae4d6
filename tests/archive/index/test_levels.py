"""Each attribute has one level, and what an index makes itself is never taken from an instance."""

import pytest

from doorward.archive.index.levels import (
    MADE_HERE,
    SERIES_TEXTS,
    STUDY_TEXTS,
    UPPER_TAGS,
    Level,
    level_of,
    split,
)
from doorward.dicom.tags import keyword_of
from index_entries import TAG_OF, view


@pytest.mark.parametrize(
    ("keyword", "level"),
    (
        ("PatientName", Level.PATIENT),
        ("PatientAge", Level.STUDY),
        ("StudyDate", Level.STUDY),
        ("ModalitiesInStudy", Level.STUDY),
        ("NumberOfPatientRelatedStudies", Level.PATIENT),
        ("Modality", Level.SERIES),
        ("RequestAttributesSequence", Level.SERIES),
        ("InstanceNumber", Level.IMAGE),
        ("SOPClassUID", Level.IMAGE),
    ),
)
def test_attributes_belong_to_the_level_of_the_standard(keyword, level):
    assert level_of(TAG_OF[keyword]) is level


def test_every_tag_of_the_tables_is_in_the_dictionary_and_where_it_is_kept():
    assert all(keyword_of(tag) for tag in UPPER_TAGS | MADE_HERE)
    assert all(level_of(tag) <= Level.STUDY for tag in STUDY_TEXTS)
    assert all(level_of(tag) is Level.SERIES for tag in SERIES_TEXTS)


def test_an_instance_is_split_into_its_levels():
    whole = view(
        {
            "SpecificCharacterSet": "ISO_IR 100",
            "PatientID": "1",
            "StudyDate": "20200101",
            "Modality": "CT",
            "Rows": "512",
            "ModalitiesInStudy": "MR",
            "NumberOfStudyRelatedInstances": "1000000",
        }
    )
    parts = split(whole)
    names = {level: [keyword_of(tag) for tag in part] for level, part in parts.items()}
    assert names == {
        Level.PATIENT: ["PatientID"],
        Level.STUDY: ["StudyDate"],
        Level.SERIES: ["Modality"],
        Level.IMAGE: ["Rows"],
    }
