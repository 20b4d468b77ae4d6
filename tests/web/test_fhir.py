"""FHIR answers: what the server calls itself and its totals, and nothing of a resource."""

import json

import pytest

from doorward.web.fhir import FhirDocument, FhirReader

CAPABILITIES = {
    "resourceType": "CapabilityStatement",
    "fhirVersion": "4.0.1",
    "publisher": "ZZCANARY",
    "software": {"name": "HAPI FHIR Server", "version": "7.2.1", "releaseDate": "ZZCANARY"},
    "rest": [{"mode": "server", "software": {"name": "Aidbox"}, "resourceType": "Bundle"}],
}
PATIENT = {"resourceType": "Patient", "name": [{"family": "ZZCANARY"}], "total": 7, "type": "x"}


def read(value: object, size: int = 65_536, **options) -> tuple[FhirReader, FhirDocument]:
    text = value if isinstance(value, bytes) else json.dumps(value).encode()
    reader = FhirReader(**options)
    for begin in range(0, len(text), size):
        if not reader.feed(memoryview(text)[begin : begin + size]):
            break
    else:
        reader.finish()
    return reader, reader.document()


@pytest.mark.parametrize("size", [1, 9, 65_536])
def test_a_capability_statement_names_version_and_known_software(size):
    reader, document = read(CAPABILITIES, size)
    assert reader.is_whole
    assert document == FhirDocument(
        resource_type="CapabilityStatement",
        fhir_version="4.0.1",
        software="HAPI FHIR",
        software_version="7.2.1",
    )


def test_software_in_a_hospital_s_own_words_is_not_kept():
    software = {"name": "ZZCANARY General Hospital", "version": "1.2"}
    _, document = read({**CAPABILITIES, "software": software})
    assert (document.software, document.software_version) == ("", "")


@pytest.mark.parametrize("extra", [{}, {"type": "searchset"}])
def test_a_total_is_read_with_and_without_a_type(extra):
    _, document = read({"resourceType": "Bundle", **extra, "total": 1705})
    assert document.total == 1705
    assert document.bundle_type == extra.get("type", "")


@pytest.mark.parametrize("total", ["12", -1, 1.5, None, [3], {"total": 3}, 10**30, True])
def test_only_a_plain_number_is_a_total(total):
    _, document = read({"resourceType": "Bundle", "total": total})
    assert document.total is None


def test_resources_end_the_reading_at_the_first():
    reader, document = read(
        {"resourceType": "Bundle", "total": 2, "entry": [{"resource": PATIENT}] * 2}, 16
    )
    assert (document.entries, document.total) == (1, 2)
    assert not reader.is_whole


@pytest.mark.parametrize(
    "value", [[CAPABILITIES], "CapabilityStatement", {"a": CAPABILITIES}, {}, 7]
)
def test_other_json_is_no_resource(value):
    _, document = read(value)
    assert document == FhirDocument(resource_type="")


def test_an_unknown_resource_is_other():
    assert read(PATIENT)[1].resource_type == "other"


@pytest.mark.parametrize(
    "text", [b"<html>", b"{", b'{"resourceType": "Bundle"', b'{"a": 1}}', b"[" * 99]
)
def test_what_is_no_json_is_never_whole(text):
    reader, _ = read(text)
    assert not reader.is_whole


def test_a_strange_version_is_not_kept():
    _, document = read({**CAPABILITIES, "fhirVersion": "<script>"})
    assert document.fhir_version == ""
