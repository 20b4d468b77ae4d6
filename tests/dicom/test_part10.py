"""File Meta Information: as the Standard wants it, as it is found, against pydicom."""

import io
from dataclasses import replace

import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st

import data_set_invariants
import pydicom_files
from doorward.dicom.part10 import (
    FileMeta,
    is_deflated,
    read_file_meta,
    syntax_of,
    write_file_meta,
)
from doorward.dicom.values import encode_identifier
from doorward.dicom.walk import Syntax, walk
from doorward.errors import LimitExceeded, LocalProtocolError, PeerProtocolError
from doorward.limits import DEFAULT_LIMITS

EXPLICIT = Syntax.EXPLICIT_LITTLE
CT_IMAGE_STORAGE = "1.2.840.10008.5.1.4.1.1.2"
WRITTEN = {
    "transfer_syntax_uid": "1.2.840.10008.1.2.1",
    "media_storage_sop_class_uid": CT_IMAGE_STORAGE,
    "media_storage_sop_instance_uid": "2.25.1",
    "implementation_class_uid": "2.25.2",
    "implementation_version_name": "DOORWARD_TEST",
}
DATA_SET = encode_identifier([(0x00080060, "CS", "CT")], EXPLICIT)


def test_what_is_written_is_read():
    file = write_file_meta(**WRITTEN)
    meta = read_file_meta(file + DATA_SET)
    assert meta == FileMeta(**WRITTEN, data_set_offset=len(file))


def test_pydicom_reads_what_is_written():
    with io.BytesIO(write_file_meta(**WRITTEN) + DATA_SET) as file:
        data_set = pydicom.dcmread(file)
    meta = data_set.file_meta
    assert data_set.Modality == "CT"
    assert meta.FileMetaInformationVersion == b"\0\1"
    assert meta.TransferSyntaxUID == WRITTEN["transfer_syntax_uid"]
    assert meta.MediaStorageSOPClassUID == CT_IMAGE_STORAGE
    assert meta.MediaStorageSOPInstanceUID == "2.25.1"
    assert meta.ImplementationClassUID == "2.25.2"
    assert meta.ImplementationVersionName == "DOORWARD_TEST"
    pydicom.dataset.validate_file_meta(meta)


def test_group_length_counts_the_bytes_behind_it():
    file = write_file_meta(**WRITTEN)
    length = next(walk(file[132:], EXPLICIT))
    value = file[132 + length.offset :][: length.length]
    assert int.from_bytes(value, "little") == len(file) - 132 - 12


def test_version_name_may_be_left_out():
    meta = read_file_meta(write_file_meta(**{**WRITTEN, "implementation_version_name": ""}))
    assert meta.implementation_version_name == ""
    assert meta.implementation_class_uid == "2.25.2"


@pytest.mark.parametrize("missing", [name for name in WRITTEN if name.endswith("uid")])
def test_no_file_without_its_uids(missing):
    with pytest.raises(LocalProtocolError, match=r"a file needs a value of \(0002,"):
        write_file_meta(**{**WRITTEN, missing: ""})


@pytest.mark.parametrize("uid", ("1.2.x", "1" * 65))
def test_no_file_with_something_else_for_a_uid(uid):
    with pytest.raises(LocalProtocolError):
        write_file_meta(**{**WRITTEN, "transfer_syntax_uid": uid})


# --- as it is found --------------------------------------------------------------------------------------


def group_2(*elements: tuple[int, str, str | bytes]) -> bytes:
    return encode_identifier(elements, EXPLICIT)


def test_preamble_may_be_missing():
    file = write_file_meta(**WRITTEN)
    with_prefix, bare = file[128:], file[132:]
    assert read_file_meta(with_prefix) == FileMeta(**WRITTEN, data_set_offset=len(with_prefix))
    assert read_file_meta(memoryview(bare)) == FileMeta(**WRITTEN, data_set_offset=len(bare))


@pytest.mark.parametrize("buffer", (b"", DATA_SET, b"\x02", b"GET / HTTP/1.1\r\n\r\n"))
def test_file_without_meta_information_begins_with_its_data_set(buffer):
    assert read_file_meta(buffer) == FileMeta()


def test_group_length_is_not_believed():
    meta = bytes(128) + b"DICM" + group_2((0x00020000, "UL", b"\xff\xff\xff\x7f"))
    meta += group_2((0x00020010, "UI", "1.2.840.10008.1.2"))
    behind = encode_identifier([(0x00080060, "CS", "CT")], Syntax.IMPLICIT_LITTLE)
    read = read_file_meta(meta + behind)
    assert (read.transfer_syntax_uid, read.data_set_offset) == ("1.2.840.10008.1.2", len(meta))


@pytest.mark.parametrize(
    ("buffer", "field"),
    (
        (group_2((0x00020010, "UI", "1.2.3"))[:-1], "(0002,0010)"),
        (group_2((0x00020010, "UI", "1.2"))[:6], "Data Element"),
        (group_2((0x00020010, "UI", "1.2")) * 2, "(0002,0010)"),
        (group_2((0x00020010, "UI", b"1.2.x")), "(0002,0010)"),
        (group_2((0x00020102, "SQ", [])), "(0002,0102)"),
        (b"\x02\x00\x02\x01UN\0\0\xff\xff\xff\xff", "(0002,0102)"),
    ),
    ids=("cut in a value", "cut in a header", "twice", "no uid", "a sequence", "undefined length"),
)
def test_malformed_meta_information_is_refused(buffer, field):
    with pytest.raises(PeerProtocolError) as caught:
        read_file_meta(buffer)
    assert caught.value.field == field


def test_meta_information_is_bounded():
    buffer = group_2((0x00020102, "OB", bytes(100)))
    assert read_file_meta(buffer).data_set_offset == len(buffer)
    with pytest.raises(LimitExceeded) as caught:
        read_file_meta(buffer, replace(DEFAULT_LIMITS, preamble_meta_bytes=len(buffer) - 1))
    assert (caught.value.limit, caught.value.seen) == ("preamble_meta_bytes", len(buffer))
    with pytest.raises(LimitExceeded, match="uid_bytes"):
        read_file_meta(group_2((0x00020010, "UI", b"1" * 66)))


# --- transfer syntaxes -----------------------------------------------------------------------------------


@pytest.mark.parametrize("uid", pydicom.uid.AllTransferSyntaxes)
def test_pydicom_says_the_same_of_every_transfer_syntax(uid):
    syntax = syntax_of(uid)
    assert (syntax is Syntax.IMPLICIT_LITTLE) == uid.is_implicit_VR
    assert (syntax is not Syntax.EXPLICIT_BIG) == uid.is_little_endian
    assert is_deflated(uid) == uid.is_deflated or uid in DEFLATED_FOR_US


#: pydicom's flag is for the one UID that it inflates itself.
DEFLATED_FOR_US = {"1.2.840.10008.1.2.4.95", "1.2.840.10008.1.2.4.205"}


def test_private_transfer_syntax_is_explicit():
    assert syntax_of("1.2.3") is EXPLICIT
    assert not is_deflated("1.2.3")


# --- pydicom reads the same ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", pydicom_files.PATHS)
def test_pydicom_reads_the_same_meta_information(name):
    path = pydicom_files.PATHS[name]
    theirs = pydicom_files.read(path).file_meta
    ours = read_file_meta(path.read_bytes())
    assert ours == FileMeta(
        transfer_syntax_uid=theirs.get("TransferSyntaxUID", ""),
        media_storage_sop_class_uid=theirs.get("MediaStorageSOPClassUID", ""),
        media_storage_sop_instance_uid=theirs.get("MediaStorageSOPInstanceUID", ""),
        implementation_class_uid=theirs.get("ImplementationClassUID", ""),
        implementation_version_name=theirs.get("ImplementationVersionName", ""),
        data_set_offset=ours.data_set_offset,
    )


# --- bytes of strangers ----------------------------------------------------------------------------------


@given(
    st.binary(max_size=60), st.sampled_from((b"", b"DICM", bytes(128) + b"DICM", b"\2\0\x10\0UI"))
)
def test_any_bytes_are_read_or_refused(tail, head):
    try:
        meta = read_file_meta(head + tail)
    except (PeerProtocolError, LimitExceeded):
        return
    assert meta.data_set_offset <= len(head + tail)


@pytest.mark.parametrize(
    "path", sorted((data_set_invariants.CORPUS / "part10").iterdir()), ids=lambda p: p.name
)
def test_input_of_the_fuzzing_corpus_holds_the_invariant(path):
    data_set_invariants.check_part10(path.read_bytes())
