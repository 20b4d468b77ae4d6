"""Views of any kind, as dictionaries and as the index keeps them, for what must be the same for both."""

from hypothesis import strategies as st

from doorward.archive.index.kept import KeptView
from doorward.archive.index.rows import encode_view
from doorward.dicom.attributes import Attribute

_ASCII = st.characters(min_codepoint=0x20, max_codepoint=0x7E, exclude_characters="\\")
_TEXTS = st.one_of(
    st.text(_ASCII, max_size=12),
    st.text(st.sampled_from('a"[],:}\u00fc\u5c71\n=^ '), max_size=8),
    st.text(st.just("x"), min_size=250, max_size=260),
)
_VALUES = st.one_of(st.tuples(_TEXTS), st.tuples(_TEXTS), st.lists(_TEXTS, max_size=3).map(tuple))
_PLAIN = st.builds(Attribute, st.sampled_from(("LO", "PN", "UI", "SH")), _VALUES, st.just(()))
_NUMBERS = st.integers(0, 65_535).map(lambda number: (str(number),))
_OTHER = st.one_of(
    st.builds(Attribute, st.sampled_from(("US", "IS", "FD", "OB")), _NUMBERS, st.just(())),
    st.builds(
        Attribute,
        st.just("SQ"),
        st.just(()),
        st.lists(st.dictionaries(st.just(0x00080100), _PLAIN, max_size=1), max_size=2),
    ),
)
#: Tags of the studies that are made, beside their UID.
TAGS = (0x00080020, 0x00080050, 0x00080090, 0x00100010, 0x00100020, 0x00200010)
STUDY_UID = 0x0020000D


def kept(view, made=None):
    """Return a view as the index would have found it."""
    return KeptView(encode_view(view), None, made or {})


@st.composite
def study_views(draw):
    """Draw the view of a study and what was made for it."""
    attributes = st.one_of(_PLAIN, _PLAIN, _PLAIN, _OTHER)
    view = draw(st.dictionaries(st.sampled_from(TAGS), attributes, max_size=6))
    uid = Attribute(
        "UI",
        (
            draw(
                st.sampled_from(("1.2.3", "1.2.826", "1.\u00e4")),
            ),
        ),
    )
    modalities = draw(st.lists(st.sampled_from(("CT", "MR", "\u00dc")), max_size=2))
    made = {0x00080061: Attribute("CS", tuple(modalities)), 0x00201206: Attribute("IS", ("10",))}
    return view | {STUDY_UID: uid}, draw(st.sampled_from((made, {})))
