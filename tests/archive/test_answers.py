"""What was found, as pydicom reads it."""

import io

import pydicom
import pytest
from hypothesis import given, settings

from doorward.archive.answers import AnswerWriter
from doorward.archive.index.levels import Level
from doorward.dicom.attributes import Attribute
from doorward.dicom.walk import Syntax
from index_entries import view
from kept_views import STUDY_UID, TAGS, kept, study_views

PATIENT_NAME = 0x00100010
ROWS = 0x00280010


def answered(found, asked, syntax=Syntax.EXPLICIT_LITTLE):
    raw = AnswerWriter(asked, Level.STUDY, "DOORWARD", syntax).write(found)
    return _read(raw, syntax)


def _read(raw, syntax):
    return pydicom.filereader.read_dataset(
        io.BytesIO(raw),
        is_implicit_VR=syntax is Syntax.IMPLICIT_LITTLE,
        is_little_endian=syntax is not Syntax.EXPLICIT_BIG,
    )


@pytest.mark.parametrize("syntax", list(Syntax))
def test_every_kind_of_value_arrives(syntax):
    found = view({"PatientName": "Nobody^Known", "Rows": "512", "PatientID": "P1"})
    found |= {0x00189073: Attribute("FD", ("1.5",)), 0x00280009: Attribute("AT", ("00181063",))}
    found[0x00081032] = Attribute("SQ", items=[view({"CodeValue": "CT1"})])

    read = answered(found, found.keys(), syntax)

    assert (read.PatientName, read.Rows, read.PatientID) == ("Nobody^Known", 512, "P1")
    assert (read.AcquisitionDuration, read.FrameIncrementPointer) == (1.5, 0x00181063)
    assert read.ProcedureCodeSequence[0].CodeValue == "CT1"
    assert (read.QueryRetrieveLevel, read.RetrieveAETitle) == ("STUDY", "DOORWARD")


def test_what_was_not_asked_for_stays_here_and_what_is_unknown_comes_empty():
    read = answered(view({"PatientName": "Nobody^Known"}), {0x00100020})

    assert "PatientName" not in read
    assert read.PatientID == ""


def test_text_that_is_not_ascii_says_how_it_is_written():
    read = answered(view({"PatientName": "Müller^山田"}), {PATIENT_NAME})

    read.decode()
    assert read.SpecificCharacterSet == "ISO_IR 192"
    assert read.PatientName == "Müller^山田"


def test_ascii_says_nothing():
    assert "SpecificCharacterSet" not in answered(view({"PatientName": "A"}), {PATIENT_NAME})


def test_a_value_that_is_too_long_for_its_vr_is_passed_on():
    found = view({"PatientID": "x" * 200})

    writer = AnswerWriter({0x00100020}, Level.STUDY, "DOORWARD", Syntax.EXPLICIT_LITTLE)
    raw = writer.write(found)

    assert b"x" * 200 in raw


@pytest.mark.parametrize("syntax", list(Syntax))
@settings(max_examples=30)
@given(study_views())
def test_what_the_index_keeps_is_written_as_if_it_were_decoded(syntax, drawn):
    found, made = drawn
    asked = {*TAGS, STUDY_UID, 0x00080061, 0x00201206, 0x00080001}
    writer = AnswerWriter(asked, Level.STUDY, "DOORWARD", syntax)
    assert writer.write(kept(found, made)) == writer.write(dict(kept(found, made)))


def test_one_writer_takes_text_of_every_kind_in_turn():
    writer = AnswerWriter({0x00104000}, Level.STUDY, "DOORWARD", Syntax.EXPLICIT_LITTLE)
    for text in ("plain", "M\u00fcller \u5c71", 'said "no"', "x" * 300, "\u5c71" * 100, "odd"):
        one = kept(view({"PatientComments": text}))
        read = _read(writer.write(one), Syntax.EXPLICIT_LITTLE)
        read.decode()
        assert read.PatientComments == text
        assert ("SpecificCharacterSet" in read) is not text.isascii()
