"""Synthetic images are DICOM as pydicom understands it, and say of themselves that nobody is in them."""

from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage

from doorward.practice.holding import Holding
from doorward.practice.instances import instance, instances_of
from practising import decoded

HOLDING = Holding(studies=4, images_per_study=3, patients=2, seed=9)


def test_image_is_a_secondary_capture_that_pydicom_reads():
    made = instance(HOLDING, 3, 2)
    image = decoded(made.data_set, is_implicit=False)
    assert made.transfer_syntax_uid == ExplicitVRLittleEndian
    assert made.sop_class_uid == image.SOPClassUID == SecondaryCaptureImageStorage
    assert made.sop_instance_uid == image.SOPInstanceUID
    assert len(image.PixelData) == image.Rows * image.Columns == 256
    assert image.PatientName == f"SYNTHETIC^{HOLDING.canary}^P0000001"
    assert HOLDING.study_of(image.StudyInstanceUID) == 3
    assert image.InstanceNumber == 2


def test_images_of_a_study_are_as_many_as_were_promised_and_all_different():
    images = [*instances_of(HOLDING, 0), *instances_of(HOLDING, 1)]
    assert len({image.sop_instance_uid for image in images}) == 6


def test_image_carries_no_counts():
    image = decoded(instance(HOLDING, 0, 1).data_set, is_implicit=False)
    assert "NumberOfStudyRelatedInstances" not in image


def test_data_set_is_not_shown():
    assert HOLDING.canary not in repr(instance(HOLDING, 0, 1))
