"""What is written of an instance, its series and its study is drawn from its entry alone, and the same each time."""

from doorward.archive.index.cells import (
    instance_view,
    modalities_of,
    referring_physician_of,
    series_view,
    study_day_of,
    study_view,
)
from doorward.archive.index.levels import (
    MODALITIES_IN_STUDY,
    SERIES_INSTANCE_UID,
    SOP_CLASS_UID,
    SOP_INSTANCE_UID,
    STUDY_INSTANCE_UID,
)
from doorward.dicom.attributes import Attribute
from doorward.dicom.values import SPECIFIC_CHARACTER_SET
from index_entries import entry


def test_each_level_says_its_own_uid():
    one = entry("1.2.3")
    assert instance_view(one)[SOP_INSTANCE_UID].values == (one.sop_instance_uid,)
    assert instance_view(one)[SOP_CLASS_UID].values == (one.sop_class_uid,)
    assert series_view(one)[SERIES_INSTANCE_UID].values == (one.series_uid,)
    assert study_view(one)[STUDY_INSTANCE_UID].values == (one.study_uid,)


def test_what_a_study_is_narrowed_by_comes_from_its_view():
    one = entry(StudyDate="20260102", ReferringPhysicianName="Doc^Ref", Modality="CT")
    view = study_view(one)
    assert (study_day_of(view), referring_physician_of(view)) == ("20260102", "Doc^Ref")
    assert modalities_of(one) == ("CT",)
    none = study_view(entry(StudyDate="soon", ReferringPhysicianName=""))
    assert (study_day_of(none), referring_physician_of(none)) == ("", "")


def test_what_is_made_here_or_said_of_the_text_is_not_kept():
    made = {
        SPECIFIC_CHARACTER_SET: Attribute("CS", ("ISO_IR 100",)),
        MODALITIES_IN_STUDY: Attribute("CS", ("CT",)),
    }
    one = entry(patient=made, study=made, series=made, instance=made)
    for view in (instance_view(one), series_view(one), study_view(one)):
        assert view
        assert not made.keys() & view.keys()
