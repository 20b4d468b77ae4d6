"""What an entry refuses, whose it is, and that it never shows a patient."""

import pytest

from doorward.archive.index.entry import PatientKey
from doorward.errors import UsageError
from index_entries import MOMENT, entry


@pytest.mark.parametrize("name", ("study_uid", "series_uid", "sop_instance_uid", "sop_class_uid"))
@pytest.mark.parametrize("uid", ("", "1" * 65, "1\n2", "ä"))
def test_an_entry_without_a_uid_is_refused(name, uid):
    with pytest.raises(UsageError, match=f"the {name} of an entry is no UID"):
        entry(**{name: uid})


def test_an_entry_needs_the_name_of_a_blob_and_an_aware_time():
    with pytest.raises(UsageError, match="64 hexadecimal digits"):
        entry(digest="../etc")
    with pytest.raises(UsageError, match="time zone"):
        entry(received_at=MOMENT.replace(tzinfo=None))


def test_patients_are_told_apart_by_id_and_issuer_and_the_unknown_by_their_study():
    assert entry(IssuerOfPatientID="H").patient_key == PatientKey("P1", "H", "")
    assert entry("5.1.1", PatientID="").patient_key == PatientKey("", "", "5")
    assert entry("5.1.1").patient_key == entry("6.1.1").patient_key


def test_an_entry_never_shows_a_patient():
    shown = repr(
        entry("77.88.99", PatientID="SECRET", PatientName="Doe^John", StudyDate="19990101")
    )
    shown += repr(entry(PatientID="SECRET").patient_key)
    assert not [text for text in ("SECRET", "Doe", "1999", "77", "88") if text in shown]
