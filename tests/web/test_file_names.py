"""Which names look like images, and that counting is all that happens to them."""

import pytest

from doorward.web.file_names import FolderCount, FolderShape

DICOM = (
    "a.dcm", "A.DCM", "x y.dicom", "1.ima", "scan.dcm.gz", "DICOMDIR", "IM_0001", "IM000001", "IMG-0001", "I0000001",
    "CT.001", "MR0012", "1.2.840.113619.2.1.4", "2.25.3.4.5.6.7",
)  # fmt: skip
NUMBER = ("1", "00000001", "20261122")
OTHER = (
    "", "index.html", "logo.png", "1.2.3", "10.0.0.1", "3.0.0-1", "dcm", ".dcm.txt", "IM_01.png", "setup-1.2.3.tar.gz",
    "1.2.3.4.5.6a", "9.2.3.4.5.6", "1.02.3.4.5.6", "image.jpg", "12345678901234567", "1.2.3.4.5",
)  # fmt: skip


def shape(name: str) -> FolderShape:
    count = FolderCount()
    count.add(memoryview(name.encode()), is_folder=False)
    return count.shape()


@pytest.mark.parametrize("name", DICOM)
def test_names_of_dicom_files(name):
    assert shape(name) == FolderShape(entries=1, dicom_names=1)


@pytest.mark.parametrize("name", NUMBER)
def test_bare_numbers(name):
    assert shape(name) == FolderShape(entries=1, number_names=1)


@pytest.mark.parametrize("name", OTHER)
def test_other_names(name):
    assert shape(name) == FolderShape(entries=1)


def test_folders_are_counted_beside_the_rest():
    count = FolderCount()
    for name, is_folder in (("1", True), ("a.dcm", False), ("2", True)):
        count.add(memoryview(name.encode()), is_folder=is_folder)
    assert count.entries == 3
    assert count.shape() == FolderShape(entries=3, folders=2, dicom_names=1, number_names=2)


def test_a_count_holds_numbers_only():
    count = FolderCount()
    count.add(memoryview(b"ZZCANARY.dcm"), is_folder=False)
    assert all(isinstance(getattr(count, slot), int) for slot in FolderCount.__slots__)
