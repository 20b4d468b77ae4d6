"""The archive with foreign clients: DCMTK over mutual TLS, pynetdicom on the legacy port; and nobody without an identity."""

import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset, dcmread
from pynetdicom import AE, _config, build_role, evt

from archives import HOST, Running, device, fingerprint, legacy, records, running, sendable
from certificates import Certificates, make_credential
from dcmtk import ClientTls, echoscu, findscu, getscu, movescu, rejection_in, storescu
from doorward.access.journal.record import Event
from doorward.access.journal.verify import verify
from doorward.archive.giving import Destination
from doorward.dicom.part10 import read_file_meta
from doorward.net.tls import client_context, server_context
from doorward.wire.uids import STUDY_ROOT_FIND, STUDY_ROOT_GET, STUDY_ROOT_MOVE
from doorward_archive import instance_of
from peers import DicomPeer, free_port
from pydicom_files import PATHS
from synthetic import Known
from wheel_instances import digests

pytestmark = pytest.mark.interop
IMAGES = 39


@pytest.fixture(scope="module")
def modality(certificates: Certificates, tmp_path_factory: pytest.TempPathFactory) -> ClientTls:
    """A CT."""
    folder = tmp_path_factory.mktemp("ct1")
    own = make_credential(folder, "ct1", issuer=certificates.authority, names=())
    return ClientTls(trusted=certificates.authority, own=own)


@pytest.fixture(scope="module")
def workstation(certificates: Certificates) -> ClientTls:
    """A workstation."""
    return ClientTls(trusted=certificates.authority, own=certificates.client)


@pytest.fixture(scope="module")
def tls(certificates: Certificates) -> ssl.SSLContext:
    """What the archive speaks."""
    own, trusted = certificates.server, certificates.authority
    return server_context(
        own.certificate_path, own.key_path, client_authorities=trusted.certificate_path
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where it lies."""
    return tmp_path_factory.mktemp("archive")


@pytest.fixture(scope="module")
def archive(
    folder: Path,
    tls: ssl.SSLContext,
    modality: ClientTls,
    workstation: ClientTls,
    move_target: DicomPeer,
    known: Known,
) -> Iterator[Running]:
    """An archive with the known studies, sent by storescu over mutual TLS."""
    assert modality.own is not None
    assert workstation.own is not None
    devices = [
        device("ct1", "modality", fingerprints=(fingerprint(modality.own),)),
        device("ws1", "workstation", fingerprints=(fingerprint(workstation.own),)),
        legacy("oldct", "modality"),
        legacy("oldws", "workstation", "OLDWS", move_target.ae_title, "NOBODY"),
    ]
    target = Destination(
        ae_title=move_target.ae_title, address=move_target.host, port=move_target.port
    )
    nobody = Destination(ae_title="NOBODY", address=HOST, port=free_port())
    with running(folder, devices, tls, destinations=[target, nobody]) as one:
        done = storescu(one, known.files, tls=modality)
        assert done.is_success, done.output
        yield one


def test_all_that_storescu_sent_over_mutual_tls_is_held(archive: Running, known: Known) -> None:
    totals = archive.do(archive.archive.index.totals())

    assert (totals.patients, totals.studies, totals.instances) == (3, 6, IMAGES)
    assert len(known.files) == IMAGES


def test_findscu_finds_studies_with_their_counts(
    archive: Running, workstation: ClientTls, known: Known, tmp_path: Path
) -> None:
    keys = ["0008,0052=STUDY", "0020,000d", "0020,1208", "0010,0010"]

    found = findscu(archive, tmp_path, keys, tls=workstation)

    assert found.is_success, found.output
    counts = {one.StudyInstanceUID: one.NumberOfStudyRelatedInstances for one in found.matches}
    assert counts == known.images_of_study


def test_findscu_may_ask_every_level_of_both_models(
    archive: Running, workstation: ClientTls, known: Known, tmp_path: Path
) -> None:
    study = next(iter(known.images_of_study))
    patient = findscu(
        archive,
        tmp_path / "p",
        ["0008,0052=PATIENT", "0010,0020"],
        model="--patient",
        tls=workstation,
    )
    keys = ["0008,0052=SERIES", f"0020,000d={study}", "0020,000e"]
    series = findscu(archive, tmp_path / "s", keys, tls=workstation)
    keys = [
        "0008,0052=IMAGE",
        f"0020,000d={study}",
        f"0020,000e={series.matches[0].SeriesInstanceUID}",
        "0008,0018",
        "0028,0010",
    ]
    images = findscu(archive, tmp_path / "i", keys, tls=workstation)

    assert len(patient.matches) == 3
    assert len(series.matches) == 2
    assert len(images.matches) == 3
    assert images.matches[0].Rows == 16


def test_getscu_gets_a_study_byte_by_byte(archive: Running, known: Known, tmp_path: Path) -> None:
    study, count = next(iter(known.images_of_study.items()))
    old = archive.at_legacy_port()  # getscu speaks no TLS

    done = getscu(old, tmp_path, ["0008,0052=STUDY", f"0020,000d={study}"], calling="OLDWS")

    assert done.is_success, done.output
    sent = [p for p in known.files if dcmread(p).StudyInstanceUID == study]
    got = list(tmp_path.iterdir())
    assert len(got) == count
    assert digests(map(body, got)) == digests(map(body, sent))


def test_pynetdicom_gets_over_mutual_tls_by_its_certificate_whatever_its_title(
    archive: Running, workstation: ClientTls, known: Known
) -> None:
    own = workstation.own
    assert own is not None
    context = client_context(
        authorities=workstation.trusted.certificate_path,
        certificate=own.certificate_path,
        key=own.key_path,
    )
    path = known.files[0]

    syntax, sop_class = instance_of(path).transfer_syntax_uid, instance_of(path).sop_class_uid
    got = _got(archive, syntax, [sop_class], [path], tls=(context, HOST))

    assert digests(got.values()) == digests([instance_of(path).data_set])


def test_movescu_moves_to_a_known_destination_and_to_no_other(
    archive: Running, known: Known, move_target: DicomPeer
) -> None:
    old = archive.at_legacy_port()  # nor does movescu
    keys = ["0008,0052=STUDY", f"0020,000d={next(iter(known.images_of_study))}"]

    moved = movescu(old, keys, move_target.ae_title, calling="OLDWS")
    elsewhere = movescu(old, keys, "ELSEWHERE", calling="OLDWS")

    assert moved.is_success, moved.output
    assert not elsewhere.is_success
    assert "0xa801" in elsewhere.output.lower() or "MoveDestinationUnknown" in elsewhere.output


UNREACHED = "The destination could not be reached (refused)"


def test_movescu_is_told_why_nothing_was_moved(
    archive: Running, known: Known, folder: Path
) -> None:
    study, count = next(iter(known.images_of_study.items()))
    old = archive.at_legacy_port()

    moved = movescu(
        old, ["0008,0052=STUDY", f"0020,000d={study}"], "NOBODY", "--debug", calling="OLDWS"
    )

    assert not moved.is_success
    assert UNREACHED in moved.output
    images = [dcmread(path) for path in known.files]
    failed = [one.SOPInstanceUID for one in images if one.StudyInstanceUID == study]
    assert len(failed) == count
    named = moved.output.partition("(0008,0058)")[2].splitlines()[0]
    assert named.count("\\") == count - 1
    assert failed[0] in moved.output
    [told] = [one.entry for one in records(folder) if one.entry.destination == "NOBODY"][-1:]
    assert told.reason == f"{count} failed: {UNREACHED}"


def test_pynetdicom_reads_the_list_of_those_that_were_not_moved(
    archive: Running, known: Known
) -> None:
    study, count = next(iter(known.images_of_study.items()))
    asked = Dataset()
    asked.QueryRetrieveLevel, asked.StudyInstanceUID = "STUDY", study
    mover = AE(ae_title="OLDWS")
    mover.add_requested_context(STUDY_ROOT_MOVE)
    association = mover.associate(HOST, archive.legacy_port, ae_title="DOORWARD")
    assert association.is_established

    *_, (status, identifier) = association.send_c_move(asked, "NOBODY", STUDY_ROOT_MOVE)
    association.release()

    assert (status.Status, status.ErrorComment) == (0xA702, UNREACHED)
    assert status.NumberOfFailedSuboperations == count
    images = [dcmread(path) for path in known.files]
    failed = {one.SOPInstanceUID for one in images if one.StudyInstanceUID == study}
    assert set(identifier.FailedSOPInstanceUIDList) == failed


def test_a_modality_may_not_look_and_is_told_why(
    archive: Running, modality: ClientTls, folder: Path, tmp_path: Path
) -> None:
    done = findscu(archive, tmp_path, ["0008,0052=STUDY", "0020,000d"], "-d", tls=modality)

    assert not done.matches
    assert "Role modality may not query" in done.output
    refusal = [r.entry for r in records(folder) if r.entry.event is Event.REFUSAL][-1]
    assert (refusal.identity, refusal.rule) == ("ct1", "(role)")


def test_a_certificate_that_nobody_registered_gets_no_association(
    archive: Running, certificates: Certificates, tmp_path: Path
) -> None:
    own = make_credential(tmp_path, "someone", issuer=certificates.authority, names=())
    someone = ClientTls(trusted=certificates.authority, own=own)

    done = echoscu(archive, calling="CT1", tls=someone)

    assert not done.is_success
    assert rejection_in(done.output) is not None


def test_without_a_certificate_or_a_known_address_and_title_there_is_nothing(
    archive: Running, certificates: Certificates, known: Known, tmp_path: Path
) -> None:
    before = archive.do(archive.archive.index.totals())
    old = archive.at_legacy_port()

    anonymous = ClientTls(trusted=certificates.authority)
    assert not echoscu(archive, tls=anonymous).is_success
    assert not echoscu(archive).is_success
    for title in ("ANYBODY", "CT1", "WS1", "DOORWARD"):
        assert not echoscu(old, calling=title).is_success
        assert not storescu(old, known.files[:1], calling=title).is_success
        keys = ["0008,0052=STUDY", "0020,000d"]
        assert not findscu(old, tmp_path / title, keys, calling=title).matches
        assert not getscu(old, tmp_path / f"{title}-got", keys, calling=title).is_success
        assert not list((tmp_path / f"{title}-got").iterdir())
    assert archive.do(archive.archive.index.totals()) == before


def test_a_revoked_device_is_refused_at_its_next_operation(archive: Running, known: Known) -> None:
    register = archive.archive.settings.register
    association = AE(ae_title="OLDWS")
    association.add_requested_context(STUDY_ROOT_FIND)
    open_one = association.associate(HOST, archive.legacy_port, ae_title="DOORWARD")
    asked = Dataset()
    asked.QueryRetrieveLevel, asked.StudyInstanceUID = "STUDY", ""
    before = [status.Status for status, _ in open_one.send_c_find(asked, STUDY_ROOT_FIND)]

    archive.loop.call_soon_threadsafe(
        lambda: archive.archive.use(register=register.without("oldws"))
    )
    after = [status for status, _ in open_one.send_c_find(asked, STUDY_ROOT_FIND)]
    open_one.release()
    archive.loop.call_soon_threadsafe(lambda: archive.archive.use(register=register))

    assert before == [0xFF00] * len(known.images_of_study) + [0]
    assert [one.Status for one in after] == [0x0124]
    assert after[0].ErrorComment == "No identity was shown"


def test_the_wheel_comes_back_byte_by_byte_in_every_transfer_syntax(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_config, "STORE_SEND_CHUNKED_DATASET", True)  # else it encodes anew
    instances = [
        (path, one)
        for path in PATHS.values()
        if (one := sendable(path)) is not None and instance_of(path) == one
    ]
    syntaxes = {one.transfer_syntax_uid for _, one in instances if one.transfer_syntax_uid}
    assert len(syntaxes) >= 11
    for syntax in sorted(syntaxes):
        # Files of one instance in several transfer syntaxes would be in conflict in one archive.
        chosen = {
            one.sop_instance_uid: (path, one)
            for path, one in instances
            if one.transfer_syntax_uid == syntax
        }
        paths = [path for path, _ in chosen.values()]
        classes = sorted({one.sop_class_uid for _, one in chosen.values()})
        devices = [legacy("oldct", "modality"), legacy("oldws", "workstation")]
        with running(tmp_path / syntax, devices, None) as archive:
            stored = _stored(archive, syntax, classes, paths)
            got = _got(archive, syntax, classes, paths)

        assert set(stored.values()) == {0}, syntax
        assert digests(got.values()) == digests(one.data_set for _, one in chosen.values())


def test_the_journal_is_whole_and_holds_no_patient(
    archive: Running, folder: Path, known: Known
) -> None:
    assert verify(folder / "journal").is_whole
    events = [one.entry.event for one in records(folder)]
    assert events.count(Event.STORE) >= IMAGES
    assert {Event.START, Event.QUERY, Event.RETRIEVE, Event.MOVE} <= set(events)
    text = b"".join(path.read_bytes() for path in (folder / "journal").glob("*.journal"))
    assert not any(canary.encode() in text for canary in known.canaries)


def body(path: Path) -> bytes:
    content = path.read_bytes()
    return content[read_file_meta(content).data_set_offset :]


def _stored(archive: Running, syntax: str, classes: list[str], paths: list[Path]) -> dict[str, int]:
    sender = AE(ae_title="OLDCT")
    for sop_class in classes:
        sender.add_requested_context(sop_class, syntax)
    association = sender.associate(HOST, archive.legacy_port, ae_title="DOORWARD")
    assert association.is_established
    found = {}
    for path in paths:
        answer = association.send_c_store(path)
        found[str(path)] = answer.Status
    association.release()
    return found


def _got(
    archive: Running, syntax: str, classes: list[str], paths: list[Path], tls: Any = None
) -> dict[str, bytes]:
    found: dict[str, bytes] = {}

    def keep(event: evt.Event) -> int:
        found[event.request.AffectedSOPInstanceUID] = event.request.DataSet.getvalue()
        return 0

    getter = AE(ae_title="OLDWS")
    getter.add_requested_context(STUDY_ROOT_GET)
    for sop_class in classes:
        getter.add_requested_context(sop_class, syntax)
    roles = [build_role(sop_class, scp_role=True) for sop_class in classes]
    association = getter.associate(
        HOST,
        archive.legacy_port if tls is None else archive.port,
        ae_title="DOORWARD",
        tls_args=tls,
        ext_neg=roles,
        evt_handlers=[(evt.EVT_C_STORE, keep)],
    )
    assert association.is_established
    for path in paths:
        named = dcmread(path, force=True, stop_before_pixels=True)
        asked = Dataset()
        asked.QueryRetrieveLevel = "IMAGE"
        asked.StudyInstanceUID = named.StudyInstanceUID
        asked.SeriesInstanceUID = named.SeriesInstanceUID
        asked.SOPInstanceUID = named.SOPInstanceUID
        list(association.send_c_get(asked, STUDY_ROOT_GET))
    association.release()
    return found
