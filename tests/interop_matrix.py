"""Which foreign program was shown to work with our archive, in which direction, and by which test: docs/archive-interop.md."""

from collections.abc import Iterator
from dataclasses import dataclass

#: What was run -> its version in Debian 12, or the package index.
PEERS = {
    "storescu": "DCMTK 3.6.7",
    "findscu": "DCMTK 3.6.7",
    "getscu": "DCMTK 3.6.7",
    "movescu": "DCMTK 3.6.7",
    "echoscu": "DCMTK 3.6.7",
    "storescp": "DCMTK 3.6.7",
    "dcmj2pnm": "DCMTK 3.6.7",
    "pynetdicom": "pynetdicom 3 (PyPI)",
    "Orthanc": "Orthanc 1.10.1",
    "Orthanc's DICOMweb plugin": "orthanc-dicomweb 1.7",
    "dicomweb-client": "dicomweb-client (PyPI)",
    "pydicom": "pydicom 3 (PyPI)",
    "OHIF": "requests as its data source sends them",
}
TO_US, FROM_US = "to us", "from us"
TLS, PLAIN, WEB, FILES = "mutual TLS", "legacy port", "HTTPS", "files"


@dataclass(frozen=True, slots=True)
class Way:
    """One row. ``direction``: who asks whom; ``test``: file and name below tests/interop."""

    peer: str
    direction: str
    service: str
    over: str
    test: str


def _rows(file: str, *rows: tuple[str, str, str, str, str]) -> Iterator[Way]:
    return (Way(*row[:4], f"{file}::{row[4]}") for row in rows)


_WHEEL = "test_the_wheel_in_every_transfer_syntax_by_every_way_in_and_every_way_out"
WAYS: tuple[Way, ...] = (
    *_rows(
        "test_archive.py",
        ("storescu", TO_US, "C-STORE", TLS, "test_all_that_storescu_sent_over_mutual_tls_is_held"),
        ("findscu", TO_US, "C-FIND, study", TLS, "test_findscu_finds_studies_with_their_counts"),
        (
            *("findscu", TO_US, "C-FIND, all levels, both models", TLS),
            "test_findscu_may_ask_every_level_of_both_models",
        ),
        ("getscu", TO_US, "C-GET", PLAIN, "test_getscu_gets_a_study_byte_by_byte"),
        (
            *("pynetdicom", TO_US, "C-GET", TLS),
            "test_pynetdicom_gets_over_mutual_tls_by_its_certificate_whatever_its_title",
        ),
        (
            *("movescu", TO_US, "C-MOVE", PLAIN),
            "test_movescu_moves_to_a_known_destination_and_to_no_other",
        ),
        (
            *("movescu", TO_US, "C-MOVE to where nobody listens", PLAIN),
            "test_movescu_is_told_why_nothing_was_moved",
        ),
        (
            *("pynetdicom", TO_US, "C-MOVE to where nobody listens", PLAIN),
            "test_pynetdicom_reads_the_list_of_those_that_were_not_moved",
        ),
        (
            *("storescp", FROM_US, "C-STORE of a C-MOVE", "plain"),
            "test_movescu_moves_to_a_known_destination_and_to_no_other",
        ),
        (
            *("echoscu", TO_US, "nobody without a certificate", TLS),
            "test_a_certificate_that_nobody_registered_gets_no_association",
        ),
    ),
    *_rows(
        "test_archive_interop.py",
        ("pynetdicom", TO_US, "C-STORE, C-GET; every transfer syntax", TLS, _WHEEL),
        ("pynetdicom", FROM_US, "C-STORE of a C-MOVE; every transfer syntax", TLS, _WHEEL),
        ("pydicom", TO_US, "STOW, import, WADO, export; every transfer syntax", FILES, _WHEEL),
        (
            *("pynetdicom", TO_US, "C-STORE, C-FIND", TLS),
            "test_pynetdicom_finds_over_mutual_tls_what_it_has_stored",
        ),
        (
            *("storescp", FROM_US, "C-STORE of a C-MOVE", TLS),
            "test_movescu_has_a_study_sent_to_a_storescp_that_demands_our_certificate",
        ),
        (
            "Orthanc",
            TO_US,
            "C-ECHO, C-STORE",
            TLS,
            "test_orthanc_echoes_and_stores_over_mutual_tls",
        ),
        (
            *("Orthanc", TO_US, "C-FIND, C-MOVE to itself", TLS),
            "test_orthanc_finds_and_moves_to_itself_over_mutual_tls",
        ),
        (
            *("Orthanc", FROM_US, "C-STORE of a C-MOVE", TLS),
            "test_movescu_has_a_study_sent_to_orthanc_over_mutual_tls",
        ),
        (
            *("Orthanc", TO_US, "nothing for a stranger's certificate", TLS),
            "test_orthanc_with_the_certificate_of_a_stranger_gets_nothing",
        ),
    ),
    *_rows(
        "test_conformance.py",
        (
            *("pynetdicom", TO_US, "association: every storage class in every syntax", TLS),
            "test_each_storage_class_is_accepted_in_each_syntax_known_or_not",
        ),
        ("pynetdicom", TO_US, "association: nothing else", TLS, "test_nothing_else_is_accepted"),
    ),
    *_rows(
        "test_commitment.py",
        (
            *("pynetdicom", TO_US, "storage commitment, told on the same association", TLS),
            "test_pynetdicom_is_told_over_mutual_tls_on_the_association_that_it_keeps_open",
        ),
        (
            *("pynetdicom", FROM_US, "storage commitment, told where it listens", TLS),
            "test_pynetdicom_is_told_over_tls_where_it_listens_when_it_has_gone",
        ),
        (
            *("Orthanc", TO_US, "C-STORE, storage commitment", PLAIN),
            "test_orthanc_asks_and_is_told",
        ),
        ("Orthanc", FROM_US, "N-EVENT-REPORT", "plain", "test_orthanc_asks_and_is_told"),
    ),
    *_rows(
        "test_user_identity.py",
        (
            *("pynetdicom", TO_US, "user name with passcode", TLS),
            "test_who_shows_a_passcode_or_none",
        ),
    ),
    *_rows(
        "test_pixels.py",
        (
            *("pynetdicom", TO_US, "C-GET, decoded for who accepts no compression", PLAIN),
            "test_pynetdicom_gets_equal_pixels_in_the_only_syntax_that_it_accepts",
        ),
        (
            *("storescp", FROM_US, "C-STORE, written anew in implicit VR", "plain"),
            "test_movescu_moves_to_a_storescp_that_accepts_only_implicit_vr",
        ),
        ("dcmj2pnm", FROM_US, "rendered pictures", FILES, "test_dcmtk_renders_the_same_picture"),
    ),
    *_rows(
        "test_dicomweb_archive.py",
        ("dicomweb-client", TO_US, "QIDO", WEB, "test_dicomweb_client_finds_what_is_there"),
        (
            *("dicomweb-client", TO_US, "QIDO, paging", WEB),
            "test_dicomweb_client_pages_through_all_studies",
        ),
        (
            *("dicomweb-client", TO_US, "WADO", WEB),
            "test_dicomweb_client_retrieves_studies_series_and_instances",
        ),
        ("dicomweb-client", TO_US, "metadata", WEB, "test_dicomweb_client_reads_metadata"),
        (
            *("dicomweb-client", TO_US, "frames", WEB),
            "test_dicomweb_client_retrieves_compressed_frames",
        ),
        (
            *("Orthanc's DICOMweb plugin", TO_US, "QIDO, WADO", WEB),
            "test_orthanc_searches_and_retrieves_from_us",
        ),
    ),
    *_rows(
        "test_stow_archive.py",
        (
            *("dicomweb-client", TO_US, "STOW", WEB),
            "test_dicomweb_client_stores_instances_and_understands_the_answer",
        ),
        ("Orthanc's DICOMweb plugin", TO_US, "STOW", WEB, "test_orthanc_sends_its_studies_to_us"),
        (
            "pydicom",
            FROM_US,
            "files that are given back",
            FILES,
            "test_pydicom_reads_what_we_give_back",
        ),
    ),
    *_rows(
        "test_ohif_requests.py",
        ("OHIF", TO_US, "study list", WEB, "test_the_study_list"),
        ("OHIF", TO_US, "series and metadata", WEB, "test_series_of_a_study_then_their_metadata"),
        ("OHIF", TO_US, "frames", WEB, "test_frames_one_by_one_and_many"),
        ("OHIF", TO_US, "bulk data", WEB, "test_bulk_data_by_the_uri_of_the_metadata"),
        ("OHIF", TO_US, "thumbnails, rendered", WEB, "test_pictures_for_the_study_panel"),
    ),
)

ABOUT = """Foreign programs against a running archive of ours, as `make interop` runs them. *to us*: the program asks
our archive; *from us*: our archive calls the program, or the program reads what we gave.

The `movescu` and `getscu` of DCMTK 3.6.7 speak no TLS, and here Orthanc asks for storage commitment without it: they are let
in by address and AE title, on a port that the archive has to be given by name.
Orthanc 1.10 has no C-GET client."""


def page() -> str:
    """Return docs/archive-interop.md."""
    lines = [f"# Whom our archive was shown to work with\n\n{ABOUT}\n"]
    for peer in dict.fromkeys(way.peer for way in WAYS):
        lines.append(f"## {peer}\n\n{PEERS[peer]}\n")
        lines += ["| direction | what | over | test |", "| --- | --- | --- | --- |"]
        for way in (way for way in WAYS if way.peer == peer):
            file, _, name = way.test.partition("::")
            shown = f"`tests/interop/{file}` {name}"
            lines.append(f"| {way.direction} | {way.service} | {way.over} | {shown} |")
        lines.append("")
    return "\n".join(lines)
