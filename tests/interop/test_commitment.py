"""Storage commitment with foreign devices: pynetdicom told here and there, Orthanc told at its own port."""

import http.client
import json
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset, dcmread
from pydicom.uid import generate_uid
from pynetdicom import AE, build_role, evt
from pynetdicom.association import Association

from archives import HOST, Running, device, fingerprint, legacy, running
from certificates import Certificates, make_credential
from commitment_peers import Reported, closing_sockets, reported
from dcmtk import ClientTls, storescu
from doorward.archive.giving import Destination
from doorward.net.tls import client_context, server_context
from doorward.wire.uids import (
    STORAGE_COMMITMENT_PUSH_MODEL,
    STORAGE_COMMITMENT_PUSH_MODEL_INSTANCE,
)
from loopback import limits
from peers import Orthanc, Tls, orthanc
from pynetdicom_peers import server_context as peer_context
from synthetic import Known

pytestmark = pytest.mark.interop
FAST = limits(commitment_quiet_s=0.2, commitment_retry_s=0.2)
WAIT_S = 10.0


@pytest.fixture(scope="module")
def modality(certificates: Certificates, tmp_path_factory: pytest.TempPathFactory) -> ClientTls:
    """A CT."""
    folder = tmp_path_factory.mktemp("ct1")
    own = make_credential(folder, "ct1", issuer=certificates.authority)
    return ClientTls(trusted=certificates.authority, own=own)


@contextmanager
def serving(
    folder: Path, modality: ClientTls, certificates: Certificates, *to: Destination
) -> Iterator[Running]:
    """An archive that knows a CT by its certificate, and old devices by their titles."""
    own, trusted = certificates.server, certificates.authority
    tls = server_context(
        own.certificate_path, own.key_path, client_authorities=trusted.certificate_path
    )
    assert modality.own is not None
    devices = [
        device("ct1", "modality", fingerprints=(fingerprint(modality.own),)),
        legacy("oldct", "modality"),
        legacy("orthanc", "modality"),
    ]
    with running(folder, devices, tls, destinations=to, limits=FAST) as one:
        yield one


def of(modality: ClientTls) -> ssl.SSLContext:
    """Return how the CT calls."""
    assert modality.own is not None
    return client_context(
        authorities=modality.trusted.certificate_path,
        certificate=modality.own.certificate_path,
        key=modality.own.key_path,
    )


def request(paths: list[Path], *more: str) -> Dataset:
    """Return what is asked: all of these files, and instances that were never sent."""
    asked = Dataset()
    asked.TransactionUID = generate_uid()
    pairs = [(one.SOPClassUID, one.SOPInstanceUID) for one in map(dcmread, paths)]
    items = []
    for sop_class, uid in [*pairs, *((pairs[0][0], uid) for uid in more)]:
        item = Dataset()
        item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = sop_class, uid
        items.append(item)
    asked.ReferencedSOPSequence = items
    return asked


@contextmanager
def asking(
    archive: Running, asked: Dataset, title: str, *handlers: Any, tls: Any
) -> Iterator[None]:
    """Ask with pynetdicom, and keep the association open until the context ends."""
    with closing_sockets() as closing:
        association = ask(archive, asked, title, *handlers, closing, tls=tls)
        yield
        association.release()
        association.join(WAIT_S)


def ask(archive: Running, asked: Dataset, title: str, *handlers: Any, tls: Any) -> Association:
    """Ask with pynetdicom."""
    entity = AE(title)
    entity.add_requested_context(STORAGE_COMMITMENT_PUSH_MODEL)
    association = entity.associate(
        HOST,
        archive.port,
        ae_title=archive.ae_title,
        evt_handlers=list(handlers),
        tls_args=tls,
        ext_neg=[build_role(STORAGE_COMMITMENT_PUSH_MODEL, scu_role=True)],
    )
    assert association.is_established
    status, _ = association.send_n_action(
        asked, 1, STORAGE_COMMITMENT_PUSH_MODEL, STORAGE_COMMITMENT_PUSH_MODEL_INSTANCE
    )
    assert status.Status == 0x0000
    return association


def uids(sequence: Any) -> list[str]:
    """Return the instances that a sequence names."""
    return [str(one.ReferencedSOPInstanceUID) for one in sequence]


def test_pynetdicom_is_told_over_mutual_tls_on_the_association_that_it_keeps_open(
    certificates: Certificates, modality: ClientTls, known: Known, tmp_path: Path
) -> None:
    here = Reported(0)
    with serving(tmp_path, modality, certificates) as archive:
        assert storescu(archive, known.files[:5], tls=modality).is_success
        asked = request(known.files[:5])
        handler = (evt.EVT_N_EVENT_REPORT, here.take)
        with asking(archive, asked, "CT1", handler, tls=(of(modality), HOST)):
            event_type, said, _ = here.next()

    assert event_type == 1
    assert said.TransactionUID == asked.TransactionUID
    assert uids(said.ReferencedSOPSequence) == uids(asked.ReferencedSOPSequence)
    assert said.RetrieveAETitle == "DOORWARD"
    assert "FailedSOPSequence" not in said


def test_pynetdicom_is_told_over_tls_where_it_listens_when_it_has_gone(
    certificates: Certificates, modality: ClientTls, known: Known, tmp_path: Path
) -> None:
    assert modality.own is not None
    own = Tls(own=modality.own, trusted=certificates.authority)
    with reported("CT1", tls=peer_context(own)) as there:
        to = Destination(
            ae_title="CT1",
            address=HOST,
            port=there.port,
            authorities=certificates.authority.certificate_path,
            certificate=certificates.server.certificate_path,
            key=certificates.server.key_path,
        )
        with serving(tmp_path, modality, certificates, to) as archive:
            assert storescu(archive, known.files[:2], tls=modality).is_success
            asked = request(known.files[:3], "1.2.3.4")
            with asking(archive, asked, "CT1", tls=(of(modality), HOST)):
                pass
            event_type, said, caller = there.next()

    assert (event_type, caller) == (2, "DOORWARD")
    assert uids(said.ReferencedSOPSequence) == uids(asked.ReferencedSOPSequence)[:2]
    assert uids(said.FailedSOPSequence) == uids(asked.ReferencedSOPSequence)[2:]
    assert [one.FailureReason for one in said.FailedSOPSequence] == [0x0112, 0x0112]


def outcome(peer: Orthanc, transaction: str) -> dict[str, Any]:
    """Return what Orthanc has been told, once it has."""
    until = time.monotonic() + WAIT_S
    while True:
        found = peer.rest("GET", f"/storage-commitment/{transaction}")
        assert isinstance(found, dict)
        if found["Status"] != "Pending" or time.monotonic() > until:
            return found
        time.sleep(0.05)


def configure(peer: Orthanc, ours: list[Any]) -> None:
    """Tell Orthanc where the archive is; it answers with nothing, so ``Orthanc.rest`` cannot."""
    connection = http.client.HTTPConnection(HOST, peer.http_port, timeout=WAIT_S)
    try:
        connection.request("PUT", "/modalities/doorward", json.dumps(ours))
        assert connection.getresponse().status == http.client.OK
    finally:
        connection.close()


@pytest.mark.parametrize("missing", [0, 1])
def test_orthanc_asks_and_is_told(
    certificates: Certificates, modality: ClientTls, known: Known, tmp_path: Path, missing: int
) -> None:
    with orthanc(tmp_path / "orthanc", files=known.files[:4]) as peer:
        to = Destination(ae_title="ORTHANC", address=HOST, port=peer.port)
        with serving(tmp_path / "archive", modality, certificates, to) as archive:
            old = archive.at_legacy_port()
            ours = [archive.ae_title, HOST, old.port]
            names = peer.rest("GET", "/instances")
            assert isinstance(names, list)
            configure(peer, ours)
            peer.rest("POST", "/modalities/doorward/store", json.dumps(names[missing:]).encode())
            asked = json.dumps({"Resources": names, "Timeout": 10}).encode()
            said = peer.rest("POST", "/modalities/doorward/storage-commitment", asked)
            assert isinstance(said, dict)
            found = outcome(peer, said["ID"])

    assert found["Status"] == ("Failure" if missing else "Success"), found
    assert len(found["Success"]) == 4 - missing
    assert [one["FailureReason"] for one in found["Failures"]] == [0x0112] * missing
