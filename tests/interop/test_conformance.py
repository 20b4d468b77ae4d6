"""docs/conformance.md held against what pynetdicom negotiates with a running archive over mutual TLS.

The tables are read from the page as a person would: what stands there is accepted, and nothing else is.
"""

import re
import ssl
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pynetdicom import AE, build_context, build_role
from pynetdicom.association import Association
from pynetdicom.pdu_primitives import (
    AsynchronousOperationsWindowNegotiation,
    SOPClassExtendedNegotiation,
    UserIdentityNegotiation,
)

from archives import HOST, Running, device, fingerprint, instance, running
from certificates import Certificates
from doorward.archive.archive import Archive
from doorward.archive.giving import Destination
from doorward.net.tls import client_context, server_context
from doorward.wire.uids import STUDY_ROOT_GET, STUDY_ROOT_MOVE, UIDS
from upkept import store

pytestmark = pytest.mark.interop
PAGE = Path(__file__).resolve().parents[2] / "docs" / "conformance.md"
PRIVATE = "1.2.826.0.1.3680043.9.9999.1"
CT = "1.2.840.10008.5.1.4.1.1.2"
STUDY_ROOT_FIND = "1.2.840.10008.5.1.4.1.2.2.1"
VERIFICATION = "1.2.840.10008.1.1"
#: An association has room for so many (PS3.8 section 9.3.2.2).
CONTEXTS = 128


def section(title: str) -> str:
    """Return the text under one heading."""
    text = PAGE.read_text()
    head = re.search(rf"^#+ {re.escape(title)}.*$", text, re.MULTILINE)
    assert head, title
    return text[head.end() :].partition("\n#")[0]


def rows(title: str) -> list[list[str]]:
    """Return the rows of the tables under one heading, without their heads."""
    lines = [line for line in section(title).splitlines() if line.startswith("| ")]
    cells = [[cell.strip(" `") for cell in line.strip("|").split(" | ")] for line in lines]
    return [row for row in cells if len(row) > 1 and re.fullmatch(r"[0-9.]+", row[1].strip())]


SERVICES = {row[1]: row[3].split(", ") for row in rows("1 SOP classes")}
STORAGE = [row[1] for row in rows("1.1 Storage SOP classes")]
SYNTAXES = {row[1]: row[0] for row in rows("1.2 Transfer syntaxes")}
UID_OF = {name: uid for uid, name in SYNTAXES.items()}


@pytest.fixture(scope="module")
def archive(
    certificates: Certificates, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Running]:
    """An archive that knows one workstation by its certificate."""
    own, trusted = certificates.server, certificates.authority
    tls = server_context(
        own.certificate_path, own.key_path, client_authorities=trusted.certificate_path
    )
    known = [device("ws1", "workstation", fingerprints=(fingerprint(certificates.client),))]
    # "GONE" is known and may not be moved to; "WS1" may, and nobody listens there.
    unheard = [Destination(ae_title=title, address=HOST, port=1) for title in ("GONE", "WS1")]
    folder = tmp_path_factory.mktemp("archive")
    with running(folder, known, tls, destinations=unheard) as one:
        yield one


async def stored(archive: Archive) -> None:
    """Have one study held, whatever ran before."""
    answer = await store(archive, instance("1.2.3"))
    assert answer.status == 0, answer


@pytest.fixture(scope="module")
def tls(certificates: Certificates) -> ssl.SSLContext:
    """How the workstation calls."""
    own = certificates.client
    return client_context(
        authorities=certificates.authority.certificate_path,
        certificate=own.certificate_path,
        key=own.key_path,
    )


def associated(
    archive: Running, tls: ssl.SSLContext, contexts: Iterable[tuple[str, list[str]]], *more: object
) -> Association:
    """Return an association of pynetdicom with these contexts, and one for C-ECHO: it stands in any case."""
    entity = AE("WHATEVER")
    # Its own methods join the contexts of one class into one.
    wishes = [build_context(sop_class, syntaxes) for sop_class, syntaxes in contexts]
    entity.requested_contexts = [build_context(VERIFICATION), *wishes]
    found = entity.associate(
        HOST, archive.port, ae_title="WHATEVER", tls_args=(tls, HOST), ext_neg=list(more)
    )
    assert found.is_established
    return found


def agreed(
    archive: Running, tls: ssl.SSLContext, contexts: Iterable[tuple[str, list[str]]]
) -> set[tuple[str, str]]:
    """Return SOP class and transfer syntax of the contexts that the archive accepts."""
    found: set[tuple[str, str]] = set()
    wishes = list(contexts)
    while wishes:
        some, wishes = wishes[: CONTEXTS - 1], wishes[CONTEXTS - 1 :]
        one = associated(archive, tls, some)
        found |= {
            (str(context.abstract_syntax), str(context.transfer_syntax[0]))
            for context in one.accepted_contexts
            if context.abstract_syntax != VERIFICATION
        }
        one.release()
    return found


def test_the_page_names_services_storage_and_syntaxes() -> None:
    assert len(SERVICES) == 8
    assert len(STORAGE) > 150
    assert len(set(STORAGE)) == len(STORAGE)
    assert len(SYNTAXES) > 30


def test_user_identity_is_off_as_shipped_passed_over_and_not_answered(
    archive: Running, tls: ssl.SSLContext
) -> None:
    assert "| User identity | **off** unless the settings say otherwise" in PAGE.read_text()
    shown = UserIdentityNegotiation()
    shown.user_identity_type = 2
    shown.primary_field, shown.secondary_field = b"nobody", b"none"
    shown.positive_response_requested = True
    one = associated(archive, tls, [], shown)
    assert one.acceptor.user_identity is None
    one.release()


def test_the_deviation_of_queries_is_stated() -> None:
    assert "**Deviation from PS3.4 C.2.2.1.2.**" in section("3.3 Query")


def test_each_service_is_accepted_in_each_syntax_that_is_named_and_the_first_is_preferred(
    archive: Running, tls: ssl.SSLContext
) -> None:
    for at in range(3):
        wishes = [(uid, [UID_OF[names[at]]]) for uid, names in SERVICES.items()]
        wishes = [(uid, syntaxes) for uid, syntaxes in wishes if uid != VERIFICATION]
        assert agreed(archive, tls, wishes) == {(uid, one) for uid, [one] in wishes}
    best = {(uid, UID_OF[names[0]]) for uid, names in SERVICES.items()}
    every = [(uid, [UID_OF[name] for name in reversed(names)]) for uid, names in SERVICES.items()]
    found = agreed(archive, tls, [wish for wish in every if wish[0] != VERIFICATION])
    assert found == {one for one in best if one[0] != VERIFICATION}


def test_no_service_is_accepted_in_any_other_syntax(archive: Running, tls: ssl.SSLContext) -> None:
    wishes = [
        (uid, [one for one in (*SYNTAXES, PRIVATE) if SYNTAXES.get(one) not in names])
        for uid, names in SERVICES.items()
        if uid != VERIFICATION
    ]
    assert agreed(archive, tls, wishes) == set()


def test_each_storage_class_is_accepted_in_each_syntax_known_or_not(
    archive: Running, tls: ssl.SSLContext
) -> None:
    pairs = {(uid, syntax) for uid in STORAGE for syntax in (*SYNTAXES, PRIVATE)}
    assert agreed(archive, tls, [(uid, [syntax]) for uid, syntax in sorted(pairs)]) == pairs


def test_nothing_else_is_accepted(archive: Running, tls: ssl.SSLContext) -> None:
    kinds = ("SOP Class", "Meta SOP Class", "Service Class")
    others = [uid for uid, (_, kind, _) in UIDS.items() if kind in kinds]
    others = [uid for uid in others if uid not in SERVICES and uid not in STORAGE]
    assert len(others) > 80
    wishes = [
        (uid, [UID_OF[name] for name in SERVICES[VERIFICATION]]) for uid in (*others, PRIVATE)
    ]
    assert agreed(archive, tls, wishes) == set()


def test_what_else_is_negotiated_is_what_the_page_says(
    archive: Running, tls: ssl.SSLContext
) -> None:
    policies = dict(
        line.strip("| ").split(" | ", 1)
        for line in section("2 Association policies").splitlines()
        if re.fullmatch(r"\| \w.* \| .+ \|", line)
    )
    window = AsynchronousOperationsWindowNegotiation()
    window.maximum_number_operations_invoked = window.maximum_number_operations_performed = 5
    extended = SOPClassExtendedNegotiation()
    extended.sop_class_uid = STUDY_ROOT_FIND
    extended.service_class_application_information = b"\x01\x01\x01\x01\x01"
    roles = [build_role(uid, scu_role=True, scp_role=True) for uid in (CT, STUDY_ROOT_FIND)]
    wishes = [(uid, ["1.2.840.10008.1.2"]) for uid in (CT, STUDY_ROOT_FIND)]

    one = associated(archive, tls, wishes, window, extended, *roles)
    acceptor = one.acceptor
    given = {role.sop_class_uid: role.scp_role for role in acceptor.role_selection.values()}
    told = (acceptor.implementation_class_uid, acceptor.implementation_version_name)
    one.release()

    assert tuple(map(str, told)) == (
        policies["Implementation Class UID"].strip("`"),
        policies["Implementation Version Name"].strip("`"),
    )
    assert given == {CT: True, STUDY_ROOT_FIND: False}
    assert acceptor.asynchronous_operations == (1, 1)
    assert not acceptor.sop_class_extended
    assert f"{acceptor.maximum_length:,}" in section("2 Association policies")


def statuses(title: str) -> set[int]:
    """Return the statuses that the page names for a service."""
    return {
        int(found, 16)
        for found in re.findall(r"^\| `([0-9A-F]{4})` ", section(title), re.MULTILINE)
    }


def asked(level: str, **keys: str) -> Dataset:
    """Return an identifier."""
    found = Dataset()
    found.QueryRetrieveLevel = level
    for keyword, value in keys.items():
        setattr(found, keyword, value)
    return found


def test_a_peer_meets_the_statuses_of_queries_that_the_page_names(
    archive: Running, tls: ssl.SSLContext
) -> None:
    archive.do(stored(archive.archive))
    one = associated(archive, tls, [(STUDY_ROOT_FIND, ["1.2.840.10008.1.2"])])
    met = {
        status.Status
        for identifier in (
            asked("STUDY", StudyInstanceUID=""),
            asked("STUDY", StudyInstanceUID="", RepetitionTime="500"),
            asked("PATIENT", PatientID=""),
            asked("SERIES", SeriesInstanceUID=""),
        )
        for status, _ in one.send_c_find(identifier, STUDY_ROOT_FIND)
    }
    one.release()
    assert met == {0xFF00, 0xFF01, 0x0000, 0xA900}
    assert met <= statuses("3.3 Query")


def test_a_peer_meets_the_statuses_of_retrievals_that_the_page_names(
    archive: Running, tls: ssl.SSLContext
) -> None:
    archive.do(stored(archive.archive))
    roots = [(STUDY_ROOT_GET, ["1.2.840.10008.1.2"]), (STUDY_ROOT_MOVE, ["1.2.840.10008.1.2"])]
    one = associated(archive, tls, roots)
    nothing, held = (
        asked("STUDY", StudyInstanceUID="1.2.9"),
        asked("STUDY", StudyInstanceUID="1.2.3.1"),
    )
    unfit = asked("IMAGE", SOPInstanceUID="1.2.3")
    got = [
        [status.Status for status, _ in one.send_c_get(wish, STUDY_ROOT_GET)]
        for wish in (nothing, held, unfit)
    ]
    moved = [
        [status.Status for status, _ in one.send_c_move(wish, to, STUDY_ROOT_MOVE)]
        for wish, to in ((held, "ELSEWHERE"), (unfit, "GONE"), (held, "GONE"), (held, "WS1"))
    ]
    one.release()
    # No context for what is held, and nobody listens where it would be sent.
    assert [answers[-1] for answers in got] == [0x0000, 0xA702, 0xA900]
    assert [answers[-1] for answers in moved] == [0xA801, 0xA900, 0x0124, 0xA702]
    listed = section("3.5 Retrieval")
    assert {status for answers in got for status in answers} <= statuses("3.5 Retrieval")
    assert {status for answers in moved for status in answers} <= statuses("3.5 Retrieval")
    assert "C-GET:" in listed


def test_a_peer_meets_the_statuses_of_storing_and_committing_that_the_page_names(
    archive: Running, tls: ssl.SSLContext
) -> None:
    image = asked("")
    del image.QueryRetrieveLevel
    image.SOPClassUID, image.SOPInstanceUID = CT, "1.2.3.4"
    image.StudyInstanceUID, image.SeriesInstanceUID = "1.2.3.4.1", "1.2.3.4.2"
    image.file_meta = FileMetaDataset()
    image.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2"
    commitment = "1.2.840.10008.1.20.1"
    contexts = [(uid, ["1.2.840.10008.1.2"]) for uid in (CT, commitment)]
    one = associated(archive, tls, contexts)
    assert one.send_c_echo().Status in statuses("3.1 Verification")
    assert one.send_c_store(image).Status == 0x0124
    del image.StudyInstanceUID
    assert one.send_c_store(image).Status == 0xA900
    asking = Dataset()
    asking.TransactionUID = "1.2.3"
    answers = [
        one.send_n_action(asking, action, commitment, instance)[0].Status
        for action, instance in ((1, "1.2.3"), (9, f"{commitment}.1"), (1, f"{commitment}.1"))
    ]
    one.release()
    assert answers == [0x0112, 0x0123, 0x0124]
    assert {0x0124, 0xA900} <= statuses("3.2 Storage")
    assert set(answers) <= statuses("3.6 Storage commitment")
