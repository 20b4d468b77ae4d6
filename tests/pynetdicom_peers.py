"""An archive built on pynetdicom, running in threads of the test itself: the peer that can tell what it saw.

It answers C-ECHO, C-STORE, C-FIND, C-GET and C-MOVE over files that ``synthetic.py`` made, and keeps a record of every
command and of how each association ended. That record proves promises from the other side: what a client never sent is
missing in it.
"""

import ssl
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pydicom import Dataset, dcmread
from pydicom.uid import ExplicitVRLittleEndian
from pynetdicom import AE, ALL_TRANSFER_SYNTAXES, AllStoragePresentationContexts, build_context, evt

from peers import HOST, Tls

#: Verification, and find, move and get of Patient Root and Study Root (PS3.6 Table A-1).
SERVICES = (
    "1.2.840.10008.1.1",
    "1.2.840.10008.5.1.4.1.2.1.1",
    "1.2.840.10008.5.1.4.1.2.1.2",
    "1.2.840.10008.5.1.4.1.2.1.3",
    "1.2.840.10008.5.1.4.1.2.2.1",
    "1.2.840.10008.5.1.4.1.2.2.2",
    "1.2.840.10008.5.1.4.1.2.2.3",
)
#: Query/Retrieve Level -> the attribute that tells its entities apart (PS3.4 section C.6.1).
UNIQUE_KEYS = {
    "PATIENT": "PatientID",
    "STUDY": "StudyInstanceUID",
    "SERIES": "SeriesInstanceUID",
    "IMAGE": "SOPInstanceUID",
}
#: Number of ... Related ...: attribute -> the key whose different values are counted.
COUNTERS = {
    "NumberOfPatientRelatedStudies": "StudyInstanceUID",
    "NumberOfPatientRelatedSeries": "SeriesInstanceUID",
    "NumberOfPatientRelatedInstances": "SOPInstanceUID",
    "NumberOfStudyRelatedSeries": "SeriesInstanceUID",
    "NumberOfStudyRelatedInstances": "SOPInstanceUID",
    "NumberOfSeriesRelatedInstances": "SOPInstanceUID",
}
#: How long associations may take to end after the test.
END_S = 5.0
#: Of several proposed transfer syntaxes pynetdicom takes the first of this list: that of our files leads it.
#: The last one it does not know by itself: Encapsulated Uncompressed Explicit VR Little Endian.
TRANSFER_SYNTAXES = [
    *sorted(ALL_TRANSFER_SYNTAXES, key=lambda uid: uid != ExplicitVRLittleEndian),
    "1.2.840.10008.1.2.1.98",
]
PENDING, CANCELLED, SUCCESS = 0xFF00, 0xFE00, 0x0000


class Index:
    """The headers of all files, to be searched and counted."""

    def __init__(self, files: Sequence[Path]) -> None:
        self.headers = [(path, dcmread(path, stop_before_pixels=True)) for path in files]

    def storage_classes(self) -> set[str]:
        """Return the SOP Class UIDs of the files."""
        return {str(header.SOPClassUID) for _, header in self.headers}

    def matching(self, identifier: Dataset) -> list[tuple[Path, Dataset]]:
        """Return what all keys of the identifier match: single values and lists of UIDs, no wildcards."""
        keys = [
            element
            for element in identifier
            if element.keyword not in ("QueryRetrieveLevel", "SpecificCharacterSet")
            and element.value not in (None, "", [])
        ]
        return [
            (path, header)
            for path, header in self.headers
            if all(is_match(header.get(key.keyword), key.value) for key in keys)
        ]

    def find(self, identifier: Dataset, ae_title: str) -> Iterator[Dataset]:
        """Yield one answer per entity of the asked level, with counters where they are asked for."""
        level = identifier.QueryRetrieveLevel
        groups: dict[str, list[Dataset]] = {}
        for _, header in self.matching(identifier):
            groups.setdefault(str(header.get(UNIQUE_KEYS[level])), []).append(header)
        for group in groups.values():
            answer = Dataset()
            for element in identifier:
                if counted := COUNTERS.get(element.keyword):
                    value = len({header.get(counted) for header in group})
                    setattr(answer, element.keyword, value)
                elif element.keyword in group[0]:
                    answer.add(group[0][element.tag])
            answer.QueryRetrieveLevel = level
            answer.RetrieveAETitle = ae_title
            yield answer


def is_match(value: object, key: object) -> bool:
    """Single value matching and list of UID matching (PS3.4 section C.2.2.2)."""
    wanted = [key] if isinstance(key, str) or not isinstance(key, Sequence) else key
    return str(value) in [str(one) for one in wanted]


class PynetdicomArchive:
    """A running archive: where it listens, what it serves, and a record of what it has seen.

    ``commands`` names the commands in the order of their arrival, such as "C-FIND". ``received`` maps SOP Instance UIDs
    to the data sets of the stored instances, byte by byte as they came.
    """

    host = HOST

    def __init__(
        self,
        ae_title: str,
        index: Index,
        destinations: Mapping[str, tuple[str, int]],
        tls: Tls | None,
    ) -> None:
        self.port = 0
        self.ae_title = ae_title
        self.index = index
        self.destinations = destinations
        self.tls = tls
        self.commands: list[str] = []
        self.received: dict[str, bytes] = {}
        self.ends: dict[object, str] = {}

    @property
    def endings(self) -> list[str]:
        """How each association ended: "released", "aborted" or "rejected"."""
        return list(self.ends.values())

    def end(self, event: evt.Event, how: str) -> None:
        """Note the first ending of an association: pynetdicom tells of an abort after a rejection too."""
        self.ends.setdefault(event.assoc, how)

    def on_echo(self, _event: evt.Event) -> int:
        """Note and answer a C-ECHO."""
        self.commands.append("C-ECHO")
        return SUCCESS

    def on_store(self, event: Any) -> int:
        """Keep the data set undecoded."""
        self.commands.append("C-STORE")
        self.received[event.request.AffectedSOPInstanceUID] = event.request.DataSet.getvalue()
        return SUCCESS

    def on_find(self, event: evt.Event) -> Iterator[tuple[int, Dataset | None]]:
        """Yield the matches, and stop when a C-CANCEL has come."""
        self.commands.append("C-FIND")
        for answer in self.index.find(event.identifier, self.ae_title):
            if event.is_cancelled:
                yield CANCELLED, None
                return
            yield PENDING, answer

    def on_get(self, event: evt.Event) -> Iterator[object]:
        """Yield the number of sub-operations, then the instances."""
        self.commands.append("C-GET")
        yield from self.instances(event.identifier)

    def on_move(self, event: Any) -> Iterator[object]:
        """Yield the destination first; pynetdicom answers A801 to (None, None)."""
        self.commands.append("C-MOVE")
        host, port = self.destinations.get(event.move_destination, (None, None))
        classes = self.index.storage_classes()
        contexts = [build_context(one, ExplicitVRLittleEndian) for one in classes]
        yield host, port, {"contexts": contexts}
        yield from self.instances(event.identifier)

    def instances(self, identifier: Dataset) -> Iterator[object]:
        """Yield how many instances match, then each of them."""
        paths = [path for path, _ in self.index.matching(identifier)]
        yield len(paths)
        for path in paths:
            yield PENDING, dcmread(path)

    def handlers(self) -> list[Any]:
        """Return the event handlers as pynetdicom wants them."""
        return [
            (evt.EVT_C_ECHO, self.on_echo),
            (evt.EVT_C_STORE, self.on_store),
            (evt.EVT_C_FIND, self.on_find),
            (evt.EVT_C_GET, self.on_get),
            (evt.EVT_C_MOVE, self.on_move),
            (evt.EVT_RELEASED, self.end, ["released"]),
            (evt.EVT_ABORTED, self.end, ["aborted"]),
            (evt.EVT_REJECTED, self.end, ["rejected"]),
        ]


@contextmanager
def pynetdicom_archive(
    files: Sequence[Path] = (),
    *,
    ae_title: str = "PYNETDICOM",
    callers: Sequence[str] = (),
    checks_called: bool = False,
    destinations: Mapping[str, tuple[str, int]] | None = None,
    max_associations: int = 10,
    tls: Tls | None = None,
) -> Iterator[PynetdicomArchive]:
    """Serve the files on a free port of loopback.

    ``callers`` are the only calling titles accepted (empty: all). ``destinations`` maps the titles that C-MOVE may name
    to (host, port).
    """
    entity = AE(ae_title)
    entity.require_called_aet = checks_called
    entity.require_calling_aet = list(callers)
    entity.maximum_associations = max_associations
    for service in SERVICES:
        entity.add_supported_context(service)
    for context in AllStoragePresentationContexts:
        storage_class = str(context.abstract_syntax)
        # Both roles, so that a C-GET may make us the sender (PS3.7 section D.3.3.4).
        entity.add_supported_context(storage_class, TRANSFER_SYNTAXES, scu_role=True, scp_role=True)
    archive = PynetdicomArchive(ae_title, Index(files), dict(destinations or {}), tls)
    server = entity.start_server(
        (HOST, 0),
        block=False,
        evt_handlers=archive.handlers(),
        ssl_context=server_context(tls) if tls else None,
    )
    assert server is not None
    archive.port = server.server_address[1]
    try:
        yield archive
    finally:
        server.shutdown()
        # An association that is just ending must not be aborted: pynetdicom's thread would die of it.
        for association in entity.active_associations:
            association.join(END_S)
        entity.shutdown()


def server_context(tls: Tls) -> ssl.SSLContext:
    """Return a server's TLS context, TLS 1.2 or later."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tls.own.certificate_path, tls.own.key_path)
    context.load_verify_locations(tls.trusted.certificate_path)
    context.verify_mode = {
        "require": ssl.CERT_REQUIRED,
        "verify": ssl.CERT_OPTIONAL,
        "ignore": ssl.CERT_NONE,
    }[tls.client_certificate]
    return context
