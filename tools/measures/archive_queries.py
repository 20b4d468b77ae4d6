"""(c) C-FIND and QIDO-RS over many studies, one question after the other on one connection that is kept.

Ours is filled directly, Orthanc through its REST interface with its syncs switched off, with the same patients and studies.
dcmqrscp is not asked: its table ends long before. Both are asked by the same client. Ours speaks TLS with a client certificate
for QIDO, Orthanc plain HTTP, as each does where nothing else is set.
"""

import http.client
import io
import ssl
import time
import zipfile
from collections.abc import Callable, Iterator, Sequence
from datetime import date, timedelta
from itertools import groupby
from urllib.parse import urlencode

from doorward.archive.index.entry import Entry
from doorward.dicom.values import Attribute, encode_identifier
from doorward.dicom.walk import Syntax
from doorward.net.tls import client_context
from doorward.wire.uids import STUDY_ROOT_FIND
from measures import archive_client, archive_host, index
from measures.archive_peers import Contestant
from measures.figures import Figure, Missing, Row, compared
from measures.processes import HOST, Broken

STUDIES = 100_000
#: Questions for each round: ours, others.
EXACT = (400, 40)
WIDE = (40, 6)
LISTED = (1, 1)
#: Issue 5.
TARGET_EXACT, TARGET_LIST, MOST_P99_MS = 10.0, 5.0, 10.0
_ZIPPED = 1_000
#: Study Instance UID as each answer of QIDO-RS has it (PS3.18 Table 10.6.3-3).
_STUDY_UID = b'"0020000D"'
#: Keyword of QIDO -> tag and VR for C-FIND.
_KEYS = {
    "StudyInstanceUID": (0x0020_000D, "UI"),
    "PatientID": (0x0010_0020, "LO"),
    "AccessionNumber": (0x0008_0050, "SH"),
    "PatientName": (0x0010_0010, "PN"),
    "StudyDate": (0x0008_0020, "DA"),
}

Keys = dict[str, str]


def load(http_port: int, studies: int) -> None:
    """Give the same studies, one instance of each, to Orthanc."""
    firsts = (next(group) for _, group in groupby(index.entries(studies), lambda e: e.study_uid))
    connection = http.client.HTTPConnection(HOST, http_port, timeout=300)
    number = 0
    while number < studies:
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as archive:
            for _ in range(min(_ZIPPED, studies - number)):
                archive.writestr(f"{number}.dcm", _file(next(firsts)))
                number += 1
        connection.request("POST", "/instances", packed.getvalue())
        answer = connection.getresponse()
        answer.read()
        if answer.status != http.client.OK:
            raise Broken("Orthanc did not take the studies")
    connection.close()


def _file(entry: Entry) -> bytes:
    views = (entry.patient, entry.study, entry.series)
    elements: list[Attribute] = [
        (tag, attribute.vr, "\\".join(attribute.values))
        for view in views
        for tag, attribute in view.items()
    ]
    elements += [
        (0x0008_0005, "CS", "ISO_IR 192"),
        (0x0008_0016, "UI", entry.sop_class_uid),
        (0x0008_0018, "UI", entry.sop_instance_uid),
        (0x0020_000D, "UI", entry.study_uid),
        (0x0020_000E, "UI", entry.series_uid),
    ]
    meta: list[Attribute] = [(0x0002_0010, "UI", "1.2.840.10008.1.2.1")]
    syntax = Syntax.EXPLICIT_LITTLE
    return (
        bytes(128) + b"DICM" + encode_identifier(meta, syntax) + encode_identifier(elements, syntax)
    )


def questions(studies: int) -> dict[str, Callable[[int], Keys]]:
    """Return what is asked: name -> the keys of the n-th question, all over the archive."""

    def study(number: int) -> int:
        return number * 7_919 % studies

    def day(number: int) -> date:
        return date(2015, 1, 1) + timedelta(days=study(number) * 4_000 // studies)

    return {
        "exact Study Instance UID": lambda n: {"StudyInstanceUID": index.uid_of(study(n))},
        "exact Patient ID": lambda n: {"PatientID": f"P{study(n) * 3 // 4:07}"},
        "exact Accession Number": lambda n: {"AccessionNumber": f"A{study(n):08}"},
        "prefix of a name": lambda n: {"PatientName": f"{index.name_of(study(n))[:5]}*"},
        "range of two days": lambda n: {
            "StudyDate": f"{day(n):%Y%m%d}-{day(n) + timedelta(days=1):%Y%m%d}"
        },
        "all studies": lambda _: {},
    }


class Asked:
    """What came of several questions: the seconds of each, and the answers in all."""

    def __init__(self) -> None:
        self.took: list[float] = []
        self.answers = 0

    @property
    def a_second(self) -> float:
        """Questions in a second."""
        return len(self.took) / sum(self.took)

    @property
    def p99_ms(self) -> float:
        """The 99th percentile in milliseconds."""
        ordered = sorted(self.took)
        return 1_000 * ordered[min(len(ordered) - 1, len(ordered) * 99 // 100)]


Ask = Callable[[Contestant, Sequence[Keys]], Asked]


def find(one: Contestant, keys: Sequence[Keys]) -> Asked:
    """Ask by C-FIND."""
    asked = Asked()
    with archive_client.calling(one.port, one.title, [STUDY_ROOT_FIND]) as line:
        for wanted in keys:
            # The same attributes come back whatever is asked for.
            elements: list[Attribute] = [
                (tag, vr, wanted.get(keyword, "")) for keyword, (tag, vr) in _KEYS.items()
            ]
            elements.append((0x0008_0052, "CS", "STUDY"))
            identifier = encode_identifier(elements, Syntax.IMPLICIT_LITTLE)
            begun = time.perf_counter()
            asked.answers += archive_client.find(line, STUDY_ROOT_FIND, identifier)
            asked.took.append(time.perf_counter() - begun)
    return asked


def connection_to(one: Contestant) -> http.client.HTTPConnection:
    """Return a connection to the web door: TLS with our certificate where it is ours."""
    if not one.pid:
        return http.client.HTTPConnection(HOST, one.http_port, timeout=300)
    context: ssl.SSLContext = client_context(
        authorities=one.folder / archive_host.AUTHORITY,
        certificate=one.folder / archive_host.DEVICE,
    )
    return http.client.HTTPSConnection(HOST, one.http_port, timeout=300, context=context)


def qido(one: Contestant, keys: Sequence[Keys]) -> Asked:
    """Ask by QIDO-RS; a list that comes in pages is read to its end."""
    asked = Asked()
    connection = connection_to(one)
    connection.connect()  # as the association of ``find``, before the clock starts
    for wanted in keys:
        begun = time.perf_counter()
        asked.answers += _pages(connection, wanted)
        asked.took.append(time.perf_counter() - begun)
    connection.close()
    return asked


def _pages(connection: http.client.HTTPConnection, wanted: Keys) -> int:
    answers = 0
    while True:
        page = urlencode(wanted | ({"offset": str(answers)} if answers else {}))
        path = f"/dicom-web/studies?{page}"
        connection.request("GET", path, headers={"Accept": "application/dicom+json"})
        answer = connection.getresponse()
        body = answer.read()
        if answer.status not in (http.client.OK, http.client.NO_CONTENT):
            raise Broken(f"QIDO was answered with {answer.status}")
        # To parse it takes longer than ours takes to write it. Each study has one such attribute, and its value has none.
        found = body.count(_STUDY_UID)
        answers += found
        # Warning 299 of PS3.18 section 8.3.4.4: more of it is there.
        if not found or not answer.getheader("Warning"):
            return answers


def measure(
    ours: Contestant, theirs: Contestant | None, studies: int, *, rounds: int
) -> Iterator[Row]:
    """Ask both, by both doors."""
    if theirs is None:
        yield Missing(group="c", name="queries beside Orthanc", reason="it is not installed")
    for door, ask in (("C-FIND", find), ("QIDO", qido)):
        for name, make in questions(studies).items():
            yield from _compare(f"{door}, {name}", ask, make, (ours, theirs), rounds)


def _compare(
    title: str,
    ask: Ask,
    make: Callable[[int], Keys],
    contestants: tuple[Contestant, Contestant | None],
    rounds: int,
) -> Iterator[Row]:
    is_exact, is_list = "exact" in title, "all studies" in title
    counts = LISTED if is_list else EXACT if is_exact else WIDE
    found: dict[str, list[Asked]] = {}
    for number in range(rounds):
        for one, count in zip(contestants, counts, strict=True):
            if one is not None:
                keys = [make(number * count + n) for n in range(count)]
                found.setdefault(one.name, []).append(ask(one, keys))
    for name, rows in found.items():
        yield _figure(f"{name}, {title}", rows, is_ours=name == "doorward", is_exact=is_exact)
    if "Orthanc" in found:
        target = TARGET_EXACT if is_exact else TARGET_LIST if is_list else None
        ours, theirs = ([one.a_second for one in rows] for rows in found.values())
        yield compared("c", f"doorward / Orthanc, {title}", ours, theirs, target=target)


def _figure(title: str, rows: list[Asked], *, is_ours: bool, is_exact: bool) -> Figure:
    middle = sorted(rows, key=lambda asked: asked.a_second)[len(rows) // 2]
    has_goal = is_ours and is_exact
    answers = middle.answers / len(middle.took)
    return Figure(
        group="c",
        name=title,
        value=f"{middle.a_second:,.1f} queries/s",
        ratio=MOST_P99_MS / middle.p99_ms if has_goal else None,
        target=1.0 if has_goal else None,
        note=f"p99 {middle.p99_ms:.2f} ms{' of at most 10' if has_goal else ''};"
        f" {answers:,.0f} answers each",
    )
