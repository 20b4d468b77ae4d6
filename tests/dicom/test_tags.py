import subprocess
import sys
from pathlib import Path

import pytest

from doorward.dicom.tags import (
    REPEATERS,
    TAGS,
    is_private_creator,
    keyword_of,
    vm_of,
    vr_of,
)

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    ("tag", "vr", "vm", "keyword"),
    [
        (0x00000900, "US", "1", "Status"),
        (0x00080005, "CS", "1-n", "SpecificCharacterSet"),
        (0x00100010, "PN", "1", "PatientName"),
        (0x00201208, "IS", "1", "NumberOfStudyRelatedInstances"),
        (0x00280106, "US", "1", "SmallestImagePixelValue"),  # US or SS
        (0x00283006, "OW", "1-n", "LUTData"),  # US or OW
        (0x7FE00010, "OW", "1", "PixelData"),  # OB or OW
        (0xFFFEE000, "UN", "1", "Item"),  # has none
        (0x50040010, "US", "1", "NumberOfPoints"),  # 50xx, curves
        (0x60003000, "OW", "1", "OverlayData"),
        (0x601E3000, "OW", "1", "OverlayData"),  # 60xx
        (0x00203142, "CS", "1-n", "SourceImageIDs"),  # (0020,31xx)
        (0x10001230, "US", "3", "EscapeTriplet"),  # (1000,xxx0)
        (0x00080000, "UL", "", ""),  # group length
        (0x00290010, "LO", "", ""),  # private creator
        (0x002900FF, "LO", "", ""),
        (0x00290000, "UL", "", ""),
        (0x00290001, "UN", "", ""),
        (0x00291001, "UN", "", ""),  # private
        (0x60013000, "UN", "", ""),  # odd groups do not repeat
        (0x00089999, "UN", "", ""),
    ],
)
def test_what_is_known_of_a_tag(tag, vr, vm, keyword):
    assert (vr_of(tag), vm_of(tag), keyword_of(tag)) == (vr, vm, keyword)


def test_private_creators_are_elements_10_to_ff_of_odd_groups():
    assert is_private_creator(0x00090010)
    assert is_private_creator(0x000900FF)
    assert not is_private_creator(0x0009000F)
    assert not is_private_creator(0x00090100)
    assert not is_private_creator(0x00080010)


def test_every_vr_is_of_two_letters():
    for tag in [*TAGS, *(tag for repeaters in REPEATERS.values() for tag in repeaters)]:
        assert len(vr_of(tag)) == 2
        assert vr_of(tag).isupper()


def test_no_tag_of_the_table_is_private():
    assert not any(tag & 0x10000 for tag in TAGS)


def test_pydicom_knows_the_same_elements():
    from pydicom.datadict import dictionary_keyword, dictionary_VR

    differing = [
        f"{tag:08X}"
        for tag, (vr, _, keyword) in TAGS.items()
        if vr and (dictionary_VR(tag), dictionary_keyword(tag)) != (vr, keyword)
    ]
    assert len(TAGS) > 5000
    assert differing == []


def test_generated_tables_are_what_the_generator_writes():
    check = subprocess.run(
        [sys.executable, str(ROOT / "tools/generate_tables.py"), "--check"],
        capture_output=True,
        text=True,
        timeout=15,
        check=False,
    )
    assert check.returncode == 0, check.stderr
