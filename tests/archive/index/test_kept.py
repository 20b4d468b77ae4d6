"""A view is the same whether it is decoded or not, and what a writer made of one shape fits every view of that shape."""

import pytest
from hypothesis import given, settings

from doorward.archive.index.kept import KeptView, Place, Shapes
from doorward.archive.index.rows import encode_view
from doorward.dicom.attributes import Attribute
from doorward.limits import DEFAULT_LIMITS
from index_entries import TAG_OF, view
from kept_views import kept, study_views

PATIENT_ID = TAG_OF["PatientID"]
MODALITY = TAG_OF["Modality"]


def plain(made):
    return {
        tag: (a.vr, tuple(a.values), [plain(item) for item in a.items]) for tag, a in made.items()
    }


@settings(max_examples=40)
@given(study_views())
def test_used_as_a_mapping_it_is_the_view(drawn):
    found, made = drawn
    one = kept(found, made)
    assert plain(one) == plain(found | made)
    assert len(one) == len(found | made)


def test_only_the_wanted_attributes_are_in_it():
    text = encode_view(view({"PatientID": "P1", "PatientName": "A"}))
    assert list(KeptView(text, {PATIENT_ID})) == [PATIENT_ID]


def test_a_series_has_what_its_study_has():
    study = kept(view({"PatientID": "P1"}), {1: Attribute("IS", ("2",))})
    series = KeptView(
        encode_view(view({"Modality": "CT"})), None, {3: Attribute("IS", ("4",))}, study
    )
    assert set(series) == {PATIENT_ID, MODALITY, 1, 3}
    strings, is_plain = series.strings()
    places = Shapes(lambda places: places).of(series, strings)
    assert {tag: strings[place.at] for tag, place in places.items()} == {
        PATIENT_ID: "P1",
        MODALITY: "CT",
        1: "2",
        3: "4",
    }
    assert is_plain


@settings(max_examples=60)
@given(study_views())
def test_strings_stand_where_their_shape_says(drawn):
    found, made = drawn
    one = kept(found, made)
    cut = one.strings()
    if cut is None:
        assert '\\"' in encode_view(found)
        return
    strings, is_plain = cut
    places = Shapes(lambda places: places).of(one, strings)
    assert places.keys() == (found | made).keys()
    for tag, attribute in (found | made).items():
        vr, at = places[tag]
        assert vr == attribute.vr
        is_one = tag in made or (len(attribute.values) <= 1 and vr != "SQ")
        assert (at is not None) is is_one
        if at is not None:
            assert strings[at] == "\\".join(attribute.values)
            assert not is_plain or strings[at].isascii()


def test_what_is_made_of_a_shape_is_made_once():
    asked = []

    def make(places):
        asked.append(places)
        return len(asked)

    shapes = Shapes(make)
    ones = [view({"PatientID": text}) for text in ("P1", "P2")]
    others = [view({"PatientID": "P1", "Modality": text}) for text in ("CT", "MR")]
    views = [kept(one) for pair in zip(ones, others, strict=True) for one in pair]
    assert [shapes.of(one, one.strings()[0]) for one in views] == [1, 2, 1, 2]
    assert asked[0] == {PATIENT_ID: Place("LO", 3)}


@pytest.mark.parametrize("values", (("a", "b"), ("a", "LO", "b"), ("[1,", "LO", "],[", "x")))
def test_values_are_never_taken_for_a_shape(values):
    shapes = Shapes(lambda places: places)
    one = kept({PATIENT_ID: Attribute("LO", values), MODALITY: Attribute("CS", ("CT",))})
    strings, _ = one.strings()
    places = shapes.of(one, strings)
    assert (places[PATIENT_ID], strings[places[MODALITY].at]) == (Place("LO", None), "CT")
    assert not any(value in key for key in shapes._known for value in values if value != "LO")


def test_more_shapes_than_are_remembered_are_decoded():
    shapes = Shapes(len)
    views = [kept({tag: Attribute("LO", ("x",))}) for tag in range(DEFAULT_LIMITS.query_shapes + 1)]
    assert [shapes.of(one, one.strings()[0]) for one in views] == [1] * (len(views) - 1) + [None]
    assert shapes.of(views[0], views[0].strings()[0]) == 1


def test_it_says_nothing_of_what_it_holds():
    assert "Doe" not in repr(kept(view({"PatientName": "Doe"})))
