import re

import pytest

from doorward.wire import uids
from doorward.wire.uids import (
    RETIRED_STORAGE_SOP_CLASSES,
    STORAGE_SOP_CLASSES,
    TRANSFER_SYNTAXES,
    UIDS,
    kind_of,
    name_of,
)

CONSTANTS = {
    name: value for name, value in vars(uids).items() if isinstance(value, str) and name.isupper()
}


def test_names_of_well_known_uids():
    assert uids.VERIFICATION == "1.2.840.10008.1.1"
    assert name_of(uids.VERIFICATION) == "Verification SOP Class"
    assert name_of(uids.IMPLICIT_VR_LITTLE_ENDIAN) == "Implicit VR Little Endian"
    assert kind_of(uids.STUDY_ROOT_FIND) == "SOP Class"
    assert kind_of(uids.BASIC_GRAYSCALE_PRINT_MANAGEMENT_META) == "Meta SOP Class"
    assert name_of("1.2.3.4") == "1.2.3.4"
    assert kind_of("1.2.3.4") == ""


@pytest.mark.parametrize("name", CONSTANTS)
def test_each_constant_is_a_uid_of_the_standard(name):
    assert CONSTANTS[name] in UIDS


def test_uids_are_well_formed():
    assert all(re.fullmatch(r"1\.2\.840\.10008(\.(0|[1-9][0-9]*))+", uid) for uid in UIDS)
    assert all(name and kind for name, kind, _ in UIDS.values())


def test_only_big_endian_and_patient_study_only_are_retired_among_the_constants():
    retired = {name for name, uid in CONSTANTS.items() if UIDS[uid][2]}
    assert retired == {
        "EXPLICIT_VR_BIG_ENDIAN",
        "PATIENT_STUDY_ONLY_FIND",
        "PATIENT_STUDY_ONLY_MOVE",
        "PATIENT_STUDY_ONLY_GET",
    }


def test_transfer_syntaxes_are_current():
    assert uids.IMPLICIT_VR_LITTLE_ENDIAN in TRANSFER_SYNTAXES
    assert uids.HTJ2K in TRANSFER_SYNTAXES
    assert uids.EXPLICIT_VR_BIG_ENDIAN not in TRANSFER_SYNTAXES
    assert all(kind_of(uid) == "Transfer Syntax" for uid in TRANSFER_SYNTAXES)


def test_storage_sop_classes_are_what_c_store_carries():
    assert uids.CT_IMAGE_STORAGE in STORAGE_SOP_CLASSES
    assert uids.STORAGE_COMMITMENT_PUSH_MODEL not in STORAGE_SOP_CLASSES
    assert uids.MEDIA_STORAGE_DIRECTORY not in STORAGE_SOP_CLASSES
    assert not set(STORAGE_SOP_CLASSES) & set(RETIRED_STORAGE_SOP_CLASSES)
    assert all(not UIDS[uid][2] for uid in STORAGE_SOP_CLASSES)
    assert all(UIDS[uid][2] for uid in RETIRED_STORAGE_SOP_CLASSES)


def test_pynetdicom_stores_the_same_sop_classes():
    from pynetdicom.sop_class import _NON_PATIENT_OBJECT_CLASSES, _STORAGE_CLASSES

    theirs = {*_STORAGE_CLASSES.values(), *_NON_PATIENT_OBJECT_CLASSES.values()}
    ours = {*STORAGE_SOP_CLASSES, *RETIRED_STORAGE_SOP_CLASSES}
    assert theirs - ours == set()


def test_pydicom_knows_the_same_names():
    from pydicom._uid_dict import UID_dictionary

    shared = UIDS.keys() & UID_dictionary.keys()  # editions differ by a few
    assert len(shared) > 450
    for uid in shared:
        name, kind, _, status, _ = UID_dictionary[uid]
        assert UIDS[uid] == (name, kind, status == "Retired")
