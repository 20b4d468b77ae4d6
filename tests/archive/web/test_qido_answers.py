"""An answer is the same, whether it is written from what is decoded or from what the index keeps."""

import json

import pytest
from hypothesis import given, settings

from doorward.archive.index.kept import KeptView
from doorward.archive.index.levels import Level
from doorward.archive.index.rows import encode_view
from doorward.archive.web.qido_answers import Shown
from doorward.dicom.attributes import Attribute
from index_entries import view
from kept_views import STUDY_UID, TAGS, kept, study_views

BASE = "https://archive.test/dicom-web"
CHARACTER_SET = 0x00080005


def shown(level=Level.STUDY, always=(*TAGS, STUDY_UID, 0x00080061), **changes):
    named = {"if_known": (0x00201206, 0x00080201), "is_all": False, "base": BASE} | changes
    return Shown(level=level, always=always, **named)


@pytest.mark.parametrize(
    "always", ((*TAGS, STUDY_UID, 0x00080061), (CHARACTER_SET, 0x00100010), ())
)
@settings(max_examples=50)
@given(study_views())
def test_what_the_index_keeps_is_written_as_if_it_were_decoded(always, drawn):
    found, made = drawn
    writer = shown(always=always)
    one = kept(found, made)
    assert writer.text(one) == writer.text(dict(one))
    json.loads(writer.text(one))


def test_one_writer_takes_text_of_every_kind_in_turn():
    writer = shown(always=(0x00100010,))
    for name in ("Doe^A", "M\u00fcller^A", "Doe", 'Doe "A"', "\u5c71"):
        one = kept(view({"PatientName": name, "StudyInstanceUID": "1.2"}))
        answer = json.loads(writer.text(one))
        assert answer["00100010"]["Value"] == [{"Alphabetic": name}]
        assert answer["00081190"]["Value"] == [f"{BASE}/studies/1.2"]
        assert ("00080005" in answer) is not name.isascii()
        assert list(answer) == sorted(answer)


@pytest.mark.parametrize("base", (BASE, "https://b\u00fccher.test"))
def test_an_instance_is_found_below_its_series_and_its_study(base):
    study = kept(view({"StudyInstanceUID": "1"}))
    series = KeptView(encode_view(view({"SeriesInstanceUID": "2"})), None, {}, study)
    found = KeptView(encode_view(view({"SOPInstanceUID": "3", "Rows": "512"})), None, {}, series)
    writer = shown(Level.IMAGE, (0x00280010, 0x00200013), base=base)
    for one in (found, dict(found)):
        answer = json.loads(writer.text(one))
        assert answer["00081190"]["Value"] == [f"{base}/studies/1/series/2/instances/3"]
        assert answer["00280010"] == {"vr": "US", "Value": [512]}
        assert answer["00200013"] == {"vr": "IS"}


def test_all_that_is_known_is_shown_where_that_is_asked_for():
    one = kept(view({"StudyInstanceUID": "1", "PatientComments": "none"}))
    answer = json.loads(shown(is_all=True).text(one))
    assert answer["00104000"]["Value"] == ["none"]
    assert shown(is_all=True).needed is None
    assert {0x0020000D, 0x0020000E, 0x00080018, 0x00201206} <= shown().needed


def test_several_values_and_none_are_written_as_such():
    one = kept(
        {
            0x00100020: Attribute("LO", ("a", "b")),
            0x00200010: Attribute("SH"),
            STUDY_UID: Attribute("UI", ("1",)),
        }
    )
    answer = json.loads(shown().text(one))
    assert answer["00100020"]["Value"] == ["a", "b"]
    assert answer["00200010"] == {"vr": "SH"}
