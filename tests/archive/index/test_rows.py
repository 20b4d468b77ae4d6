"""What lies in a cell is what was put there."""

import dataclasses

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from doorward.archive.index.entry import Frame
from doorward.archive.index.rows import (
    decode_frames,
    decode_time,
    decode_view,
    encode_frames,
    encode_time,
    encode_view,
    texts_of,
)
from doorward.dicom.attributes import Attribute
from doorward.errors import LimitExceeded
from doorward.limits import DEFAULT_LIMITS
from index_entries import MOMENT, TAG_OF, view

TAGS = st.integers(0, 0xFFFFFFFF)
PLAIN = st.builds(Attribute, st.sampled_from(("LO", "PN", "US")), st.lists(st.text()).map(tuple))
VIEWS = st.recursive(
    st.dictionaries(TAGS, PLAIN, max_size=4),
    lambda inner: st.dictionaries(
        TAGS,
        st.builds(Attribute, st.just("SQ"), st.just(()), st.lists(inner, max_size=3)),
        max_size=2,
    ),
    max_leaves=3,
)


def plain(made):
    return {
        tag: (a.vr, tuple(a.values), [plain(item) for item in a.items]) for tag, a in made.items()
    }


@settings(max_examples=25)
@given(VIEWS)
def test_a_view_comes_back_as_it_was(made):
    assert plain(decode_view(encode_view(made))) == plain(made)


@given(st.lists(st.builds(Frame, st.integers(0, (1 << 64) - 1), st.integers(0, 1 << 40))))
def test_frames_come_back_as_they_were(frames):
    assert decode_frames(encode_frames(frames)) == tuple(frames)


def test_no_frames_take_no_room():
    assert encode_frames(()) is None
    assert decode_frames(None) == ()


def test_a_time_comes_back_to_the_millisecond():
    assert decode_time(encode_time(MOMENT)) == MOMENT


def test_bounds_hold():
    limits = dataclasses.replace(DEFAULT_LIMITS, index_view_bytes=30, index_frames=1)
    with pytest.raises(LimitExceeded, match="index_view_bytes"):
        encode_view(view({"PatientID": "x" * 30}), limits)
    with pytest.raises(LimitExceeded, match="index_frames"):
        encode_frames([Frame(0, 1)] * 2, limits)


def test_texts_are_comparable_and_each_stands_once():
    name, day = TAG_OF["PatientName"], TAG_OF["StudyDate"]
    whole = view({"PatientName": "Döe^J=DÖE^j", "StudyDate": "2020.01.02\\no date", "Rows": "1"})
    assert texts_of(whole, (name, day)) == [(name, "doe^j"), (day, "20200102")]
