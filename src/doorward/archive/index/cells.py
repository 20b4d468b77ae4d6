"""What the rows of an instance, of its series and of its study say, drawn from an entry.

Whoever files an entry writes this, and whoever verifies an index holds its rows against this. Of a series or a study the first
instance that came says all.
"""

from doorward.archive.index.entry import Entry
from doorward.archive.index.levels import (
    MADE_HERE,
    MODALITY,
    REFERRING_PHYSICIAN,
    SERIES_INSTANCE_UID,
    SOP_CLASS_UID,
    SOP_INSTANCE_UID,
    STUDY_DATE,
    STUDY_INSTANCE_UID,
)
from doorward.dicom.attributes import Attribute, DataSetView
from doorward.dicom.periods import moment_of
from doorward.dicom.query import Rules, comparables
from doorward.dicom.values import SPECIFIC_CHARACTER_SET

_KEPT = Rules()
_NONE = Attribute("LO")
_NOT_KEPT = MADE_HERE | {SPECIFIC_CHARACTER_SET}


def instance_view(entry: Entry) -> DataSetView:
    """Return what is kept of an instance."""
    own = {
        SOP_CLASS_UID: Attribute("UI", (entry.sop_class_uid,)),
        SOP_INSTANCE_UID: Attribute("UI", (entry.sop_instance_uid,)),
    }
    return _kept(entry.instance) | own


def series_view(entry: Entry) -> DataSetView:
    """Return what is kept of a series that begins with this."""
    return _kept(entry.series) | {SERIES_INSTANCE_UID: Attribute("UI", (entry.series_uid,))}


def study_view(entry: Entry) -> DataSetView:
    """Return what is kept of a study that begins with this, its patient included."""
    uid = {STUDY_INSTANCE_UID: Attribute("UI", (entry.study_uid,))}
    return _kept(entry.patient) | _kept(entry.study) | uid


def modalities_of(entry: Entry) -> tuple[str, ...]:
    """Return the modalities that the series of an instance names."""
    return comparables("CS", entry.series.get(MODALITY, _NONE).values, _KEPT)


def study_day_of(view: DataSetView) -> str:
    """Return the day of a study as YYYYMMDD, "" where its view has none that is one."""
    days = (moment_of("DA", day) for day in view.get(STUDY_DATE, _NONE).values)
    return next(filter(None, days), "")


def referring_physician_of(view: DataSetView) -> str:
    """Return who referred the patient, as the view of a study has it; "" where it does not say."""
    return next(iter(view.get(REFERRING_PHYSICIAN, _NONE).values), "")


def _kept(view: DataSetView) -> dict[int, Attribute]:
    return {tag: attribute for tag, attribute in view.items() if tag not in _NOT_KEPT}
