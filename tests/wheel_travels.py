"""The files of pydicom's wheel on their way into an archive and out of it, byte by byte, by every way that there is.

One file of each SOP class in each transfer syntax, no two of one instance, which would be in conflict in one archive.
What lacks UIDs gets some from pydicom. Compressed transfer syntaxes of which the wheel has no file are borne by one of another:
nobody on the way may look into the pixels. A way in takes files; a way out returns SOP Instance UID -> data set.
"""

import asyncio
import ssl
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pydicom import Dataset, dcmread
from pynetdicom import AE, build_context, build_role, evt

from archives import HOST, sendable, served
from doorward.archive.giving import Destination
from doorward.archive.offered import STORAGE
from doorward.archive.upkeep.exporting import export
from doorward.dicom.part10 import PREAMBLE_BYTES, PREFIX, is_deflated, read_file_meta
from doorward.net.tls import client_context, server_context
from doorward.net.transfer import Instance
from doorward.wire.uids import (
    JPEG_2000,
    SECONDARY_CAPTURE_IMAGE_STORAGE,
    STUDY_ROOT_GET,
    STUDY_ROOT_MOVE,
    TRANSFER_SYNTAXES,
)
from doorward_archive import instance_of
from peers import Tls
from pydicom_files import PATHS, read
from pynetdicom_peers import pynetdicom_archive
from stow_bodies import multipart, post
from web_archives import WebArchive

#: Archive, the port of DICOM over TLS, and the files: whoever sends them.
Files = Mapping[Path, Instance]
#: What an association of pynetdicom has room for.
_CONTEXTS = 128


def wheel_files(folder: Path) -> dict[Path, Instance]:
    """Return a file of each kind; files that had to be completed are written into the folder."""
    found: dict[tuple[str, str], tuple[Path, Instance]] = {}
    taken: set[str] = set()
    candidates = [(path, one) for path in PATHS.values() if (one := _whole(path)) is not None]
    syntaxes = [one.transfer_syntax_uid for _, one in candidates]
    # The rarest syntax first: where one instance is there in several, none of them is lost.
    for path, one in sorted(
        candidates, key=lambda pair: syntaxes.count(pair[1].transfer_syntax_uid)
    ):
        kind = one.sop_class_uid, one.transfer_syntax_uid
        if kind not in found and one.sop_instance_uid not in taken:
            found[kind] = path, one
            taken.add(one.sop_instance_uid)
    files = dict(found.values())
    there = {one.transfer_syntax_uid for one in files.values()}
    others = {uid for uid in TRANSFER_SYNTAXES if not is_deflated(uid)}
    missing = (syntaxes_of_the_wheel() | others) - there
    for number, syntax in enumerate(sorted(missing)):
        path = _completed(syntax, number, folder)
        one = _whole(path)
        assert one is not None, syntax
        files[path] = one
    return files


def syntaxes_of_the_wheel() -> set[str]:
    """Return every transfer syntax in which there is a file with pixels, or one that can travel as it is."""
    return {
        syntax
        for path in PATHS.values()
        if (syntax := instance_of(path).transfer_syntax_uid)
        and (_whole(path) is not None or "PixelData" in read(path))
    }


def _whole(path: Path) -> Instance | None:
    """Return the instance of a file of PS3.10 that says the same in its meta information and in its data set."""
    if path.read_bytes()[PREAMBLE_BYTES:][:4] != PREFIX:
        return None
    one = sendable(path)
    is_whole = one is not None and one == instance_of(path) and one.transfer_syntax_uid
    return one if one is not None and is_whole and one.sop_class_uid in STORAGE else None


def _completed(syntax: str, number: int, folder: Path) -> Path:
    """Write the first file with pixels of a syntax anew, with UIDs; where there is none, a compressed one in its name."""
    sources = [
        path
        for path in PATHS.values()
        if instance_of(path).transfer_syntax_uid in (syntax, JPEG_2000)
        and "PixelData" in read(path)
    ]
    sources.sort(key=lambda path: instance_of(path).transfer_syntax_uid != syntax)
    data_set = read(sources[0])
    data_set.file_meta.TransferSyntaxUID = syntax
    data_set.SOPClassUID = SECONDARY_CAPTURE_IMAGE_STORAGE
    data_set.SOPInstanceUID = f"2.25.99{number}"
    data_set.StudyInstanceUID, data_set.SeriesInstanceUID = "2.25.997", "2.25.998"
    data_set.file_meta.MediaStorageSOPClassUID = SECONDARY_CAPTURE_IMAGE_STORAGE
    data_set.file_meta.MediaStorageSOPInstanceUID = data_set.SOPInstanceUID
    path = folder / f"completed-{number}.dcm"
    data_set.save_as(path, enforce_file_format=True)
    return path


# --- the other door -----------------------------------------------------------------------------------------------------


@contextmanager
def dicom_door(site: WebArchive) -> Iterator[int]:
    """Serve DICOM over mutual TLS beside HTTPS, and give its port."""
    own, trusted = site.certificates.server, site.certificates.authority
    tls = server_context(
        own.certificate_path, own.key_path, client_authorities=trusted.certificate_path
    )
    ready, ports = threading.Event(), []
    end = site.call(asyncio.Event)

    async def serving() -> None:
        async with served(site.archive, tls=tls) as port:
            ports.append(port)
            ready.set()
            await end.wait()

    running = asyncio.run_coroutine_threadsafe(serving(), site.loop)
    assert ready.wait(10)
    try:
        yield ports[0]
    finally:
        site.call(end.set)
        running.result(15)


def tls_of(site: WebArchive, who: str) -> ssl.SSLContext:
    """Return how a device calls."""
    own = site.credentials[who]
    return client_context(
        authorities=site.authority, certificate=own.certificate_path, key=own.key_path
    )


def associated(site: WebArchive, port: int, who: str, *contexts: Any, **named: Any) -> Any:
    """Return an association of pynetdicom over mutual TLS."""
    assert len(contexts) <= _CONTEXTS
    entity = AE(who.upper())
    entity.requested_contexts = list(contexts)
    found = entity.associate(
        HOST, port, ae_title="DOORWARD", tls_args=(tls_of(site, who), HOST), **named
    )
    assert found.is_established
    return found


def kinds_of(files: Files) -> list[tuple[str, str]]:
    """Return the pairs of SOP class and transfer syntax."""
    return sorted({(one.sop_class_uid, one.transfer_syntax_uid) for one in files.values()})


# --- ways in ------------------------------------------------------------------------------------------------------------


def by_c_store(site: WebArchive, port: int, files: Files) -> None:
    """Send with pynetdicom, which must be set to send data sets as they lie in the file."""
    contexts = [build_context(*kind) for kind in kinds_of(files)]
    association = associated(site, port, "ct1", *contexts)
    statuses = [association.send_c_store(path).Status for path in files]
    association.release()
    assert set(statuses) == {0}


def by_stow(site: WebArchive, _: int, files: Files) -> None:
    """Send in one request."""
    answer = post(site, multipart(path.read_bytes() for path in files))
    assert answer.status == 200, answer.json()


# --- ways out -----------------------------------------------------------------------------------------------------------


def study_of(path: Path) -> tuple[str, str, str]:
    """Return the UIDs of study, series and instance."""
    named = dcmread(path, stop_before_pixels=True)
    return named.StudyInstanceUID, named.SeriesInstanceUID, named.SOPInstanceUID


def identifier(files: Files) -> Dataset:
    """Return one identifier for all the studies: a list of UIDs (PS3.4 section C.4.2.1.4)."""
    asked = Dataset()
    asked.QueryRetrieveLevel = "STUDY"
    asked.StudyInstanceUID = sorted({study_of(path)[0] for path in files})
    return asked


def by_c_get(site: WebArchive, port: int, files: Files) -> dict[str, bytes]:
    """Get with pynetdicom."""
    found: dict[str, bytes] = {}

    def keep(event: Any) -> int:
        found[event.request.AffectedSOPInstanceUID] = event.request.DataSet.getvalue()
        return 0

    kinds = kinds_of(files)
    association = associated(
        site,
        port,
        "ws1",
        build_context(STUDY_ROOT_GET),
        *(build_context(*kind) for kind in kinds),
        ext_neg=[build_role(uid, scp_role=True) for uid in sorted({uid for uid, _ in kinds})],
        evt_handlers=[(evt.EVT_C_STORE, keep)],
    )
    *_, (status, _) = association.send_c_get(identifier(files), STUDY_ROOT_GET)
    assert status.Status == 0, status
    association.release()
    return found


def by_c_move(site: WebArchive, port: int, files: Files) -> dict[str, bytes]:
    """Have it sent to pynetdicom, which listens with TLS and demands our certificate."""
    own = site.certificates.server
    tls = Tls(own=own, trusted=site.certificates.authority)
    with pynetdicom_archive(ae_title="WS1", tls=tls) as listener:
        to = Destination(
            ae_title="WS1",
            address=HOST,
            port=listener.port,
            authorities=site.authority,
            certificate=own.certificate_path,
            key=own.key_path,
        )
        site.call(lambda: site.archive.use(destinations=[to]))
        association = associated(site, port, "ws1", build_context(STUDY_ROOT_MOVE))
        *_, (status, _) = association.send_c_move(identifier(files), "WS1", STUDY_ROOT_MOVE)
        assert status.Status == 0, status
        association.release()
        return dict(listener.received)


def by_wado(site: WebArchive, _: int, files: Files) -> dict[str, bytes]:
    """Retrieve each instance as it is held."""
    found = {}
    for path in files:
        study, series, uid = study_of(path)
        url = f"/dicom-web/studies/{study}/series/{series}/instances/{uid}"
        answer = site.get(url, Accept="application/dicom; transfer-syntax=*")
        assert answer.status == 200, answer.json()
        found[uid] = _data_set(answer.body)
    return found


def by_export(folder: Path, out: Path, files: Files) -> dict[str, bytes]:
    """Export from the archive, which does not run any more."""
    studies = sorted({study_of(path)[0] for path in files})
    asyncio.run(export(folder, out, study_uids=studies))
    contents = [path.read_bytes() for path in out.rglob("*.dcm")]
    return {read_file_meta(one).media_storage_sop_instance_uid: _data_set(one) for one in contents}


def _data_set(content: bytes) -> bytes:
    return content[read_file_meta(content).data_set_offset :]


def differing(found: Mapping[str, bytes], files: Iterable[Instance]) -> set[str]:
    """Return the instances that are missing, too many or not what was sent; never their bytes."""
    sent = {one.sop_instance_uid: bytes(one.data_set) for one in files}
    return {uid for uid in sent.keys() | found.keys() if sent.get(uid) != found.get(uid)}
