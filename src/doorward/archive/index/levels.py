"""Which attribute belongs to which level (PS3.4 section C.6, PS3.3 section C.7), and by which of them is looked up.

An attribute that is named in no table here belongs to the instance.
"""

from collections.abc import Mapping
from enum import IntEnum

from doorward.dicom.attributes import Attribute, DataSetView
from doorward.dicom.values import SPECIFIC_CHARACTER_SET

PATIENT_NAME = 0x00100010
PATIENT_ID = 0x00100020
ISSUER_OF_PATIENT_ID = 0x00100021
STUDY_INSTANCE_UID = 0x0020000D
SERIES_INSTANCE_UID = 0x0020000E
SOP_CLASS_UID = 0x00080016
SOP_INSTANCE_UID = 0x00080018
STUDY_DATE = 0x00080020
REFERRING_PHYSICIAN = 0x00080090
MODALITY = 0x00080060

# Made by the index, never taken from an instance (PS3.4 section C.3.4 and Tables C.6-1 to C.6-5).
MODALITIES_IN_STUDY = 0x00080061
SOP_CLASSES_IN_STUDY = 0x00080062
STUDIES_OF_PATIENT = 0x00201200
SERIES_OF_PATIENT = 0x00201202
INSTANCES_OF_PATIENT = 0x00201204
SERIES_OF_STUDY = 0x00201206
INSTANCES_OF_STUDY = 0x00201208
INSTANCES_OF_SERIES = 0x00201209
PATIENT_COUNTS = (STUDIES_OF_PATIENT, SERIES_OF_PATIENT, INSTANCES_OF_PATIENT)
MADE_HERE = frozenset(PATIENT_COUNTS) | {
    MODALITIES_IN_STUDY,
    SOP_CLASSES_IN_STUDY,
    SERIES_OF_STUDY,
    INSTANCES_OF_STUDY,
    INSTANCES_OF_SERIES,
}


class Level(IntEnum):
    """The levels of a query, from the widest; their names are those of Query/Retrieve Level (0008,0052)."""

    PATIENT = 0
    STUDY = 1
    SERIES = 2
    IMAGE = 3


_PATIENT = (
    *(PATIENT_NAME, PATIENT_ID, ISSUER_OF_PATIENT_ID),
    0x00100024,  # Issuer of Patient ID Qualifiers Sequence
    *(0x00100030, 0x00100032),  # birth: date, time
    0x00100040,  # Patient's Sex
    *(0x00101000, 0x00101001, 0x00101002),  # other IDs, other names, other IDs sequence
    *(
        0x00102160,
        0x00102201,
        0x00102292,
        0x00102297,
    ),  # ethnic group, species, breed, responsible person
    0x00104000,  # Patient Comments
)
_STUDY = (
    *(STUDY_INSTANCE_UID, STUDY_DATE, REFERRING_PHYSICIAN),
    *(0x00080030, 0x00080050, 0x00080051),  # time; accession number and its issuer
    0x00080201,  # Timezone Offset From UTC
    *(0x00081030, 0x00081032, 0x00200010),  # description, procedure codes, Study ID
    *(0x00081048, 0x00081060, 0x00081080),  # physicians of record, reading; admitting diagnoses
    *(0x00101010, 0x00101020, 0x00101030, 0x00102180),  # age, size, weight, occupation
    *(0x001021B0, 0x00380010),  # additional history, Admission ID
)
_SERIES = (
    *(SERIES_INSTANCE_UID, MODALITY),
    *(0x00080021, 0x00080031, 0x0008103E, 0x0008103F),  # date, time, description and its code
    *(
        0x00080070,
        0x00080080,
        0x00081010,
        0x00081040,
    ),  # manufacturer, institution, station, department
    *(0x00081050, 0x00081070, 0x00081090),  # performing physician, operators, model
    *(
        0x00180015,
        0x00181000,
        0x00181020,
        0x00181030,
    ),  # body part, serial number, software, protocol
    *(
        0x00185100,
        0x00200011,
        0x00200052,
        0x00200060,
    ),  # position, number, frame of reference, laterality
    *(
        0x00400244,
        0x00400245,
        0x00400253,
        0x00400254,
        0x00400275,
    ),  # performed step, request attributes
)
_LEVEL_OF: Mapping[int, Level] = {
    **dict.fromkeys((*_PATIENT, *PATIENT_COUNTS), Level.PATIENT),
    **dict.fromkeys(
        (*_STUDY, MODALITIES_IN_STUDY, SOP_CLASSES_IN_STUDY, SERIES_OF_STUDY, INSTANCES_OF_STUDY),
        Level.STUDY,
    ),
    **dict.fromkeys((*_SERIES, INSTANCES_OF_SERIES), Level.SERIES),
}
#: What of an instance a query may ever want beside its own; see ``split``.
UPPER_TAGS = frozenset((*_PATIENT, *_STUDY, *_SERIES))

#: Tags whose texts are kept for look-up, by the level that keeps them. UIDs have columns instead.
STUDY_TEXTS = frozenset(
    (
        *(PATIENT_NAME, PATIENT_ID, ISSUER_OF_PATIENT_ID, 0x00100030),
        *(STUDY_DATE, 0x00080030, 0x00080050, REFERRING_PHYSICIAN, 0x00081030, 0x00200010),
        *(MODALITIES_IN_STUDY, SOP_CLASSES_IN_STUDY),
    )
)
SERIES_TEXTS = frozenset(
    (MODALITY, 0x00080021, 0x0008103E, 0x00180015, 0x00200011, 0x00400244, 0x00400253)
)


def level_of(tag: int) -> Level:
    """Return the level that an attribute belongs to."""
    return _LEVEL_OF.get(tag, Level.IMAGE)


def split(view: DataSetView) -> dict[Level, dict[int, Attribute]]:
    """Return the attributes of one instance by level, without the character set: views are Unicode."""
    parts: dict[Level, dict[int, Attribute]] = {level: {} for level in Level}
    for tag, attribute in view.items():
        if tag != SPECIFIC_CHARACTER_SET and tag not in MADE_HERE:
            parts[level_of(tag)][tag] = attribute
    return parts
