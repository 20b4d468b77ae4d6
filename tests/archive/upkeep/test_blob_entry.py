"""What is read from a blob is what ingest wrote into the index when it came."""

import pytest

import archives
from doorward.archive.blobs.disk import LocalDisk
from doorward.archive.upkeep.blob_entry import Origin, read_beginning, scan
from doorward.errors import DoorwardError, PeerProtocolError
from index_entries import MOMENT
from loopback import in_loop, limits
from upkept import blobs, file_of, filled, some, store
from wheel_instances import composite_instances


def scanned(path, **bounds):
    return scan(LocalDisk(), str(path), path.name, limits(**bounds))


def entry(path, **bounds):
    return scanned(path, **bounds).entry(Origin(received_at=MOMENT, source="ct1", site="north"))


def test_the_entry_of_a_blob_holds_what_its_instance_says(tmp_path):
    [one] = some(1)
    [(digest, path)] = blobs(filled(tmp_path, [one])).items()

    found = entry(path)

    uid = one.sop_instance_uid
    assert (found.study_uid, found.series_uid, found.sop_instance_uid) == (
        f"{uid}.1",
        f"{uid}.2",
        uid,
    )
    assert (found.digest, found.size_bytes) == (digest, path.stat().st_size)
    assert (found.source, found.site, found.received_at) == ("ct1", "north", MOMENT)
    assert found.patient_key == scanned(path).patient


@in_loop
async def test_frames_are_those_that_ingest_found(tmp_path):
    """Over the files of pydicom's wheel: native, encapsulated, deflated, big endian."""
    async with archives.opened(tmp_path) as archive:
        sent = [one for path in composite_instances() if (one := archives.sendable(path))]
        with_frames = 0
        statuses = [(await store(archive, one)).status for one in sent]
        for digest, path in blobs(tmp_path).items():
            found = entry(path, reindex_head_bytes=1)
            assert found.digest == digest
            [held] = await archive.index.instances_with([found.sop_instance_uid])
            if held.digest == digest:  # some of these files have one UID and two contents
                frames = await archive.index.frames_of(found.sop_instance_uid)
                assert found.frames == frames
                with_frames += bool(frames)
    assert with_frames > 30
    assert statuses.count(0) > 30


def test_native_pixels_are_not_read(tmp_path):
    one = archives.instance("2.25.1", b"\1" * 3_000_000)
    [path] = blobs(filled(tmp_path, [one])).values()

    class Counting(LocalDisk):
        read_bytes = 0

        def read(self, handle, length, offset):
            content = super().read(handle, length, offset)
            self.read_bytes += len(content)
            return content

    disk = Counting()
    found = scan(disk, str(path), path.name, limits(preamble_meta_bytes=65_536))
    assert disk.read_bytes <= 65_536
    assert found.size_bytes == path.stat().st_size


def test_what_holds_no_instance_is_refused_without_quoting_it(tmp_path):
    path = tmp_path / "x"
    whole = file_of(some(1, PatientName="CANARY")[0])
    for content in (b"", b"CANARY" * 99, whole[:200], whole[:400], whole[:-3]):
        path.write_bytes(content)
        with pytest.raises(DoorwardError) as caught:
            entry(path)
        assert "CANARY" not in str(caught.value)


def test_a_blob_that_was_cut_in_its_pixels_is_refused(tmp_path):
    path = tmp_path / "x"
    path.write_bytes(file_of(some(1)[0])[:-1])
    with pytest.raises(PeerProtocolError, match="middle of its pixels"):
        scanned(path)


def test_a_beginning_is_no_longer_than_asked(tmp_path):
    path = tmp_path / "x"
    path.write_bytes(b"0123456789")
    assert read_beginning(LocalDisk(), str(path), 4) == b"0123"
