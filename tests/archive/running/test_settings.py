"""What is weaker than shipped is named, each by its setting; nothing shipped is."""

from dataclasses import fields, replace

import pytest

from doorward.archive.running.settings import (
    ROWS,
    TABLES,
    DestinationRow,
    LegacyPort,
    Settings,
)

SHIPPED = Settings()


def test_what_is_shipped_is_weak_nowhere_and_listens_on_this_machine_alone():
    assert SHIPPED.weaker() == ()
    assert SHIPPED.dicom.addresses == SHIPPED.https.addresses == ("127.0.0.1",)
    assert (SHIPPED.dicom.port, SHIPPED.https.port) == (2762, 8443)
    assert SHIPPED.legacy_port == SHIPPED.destination == SHIPPED.rules.rules == ()


@pytest.mark.parametrize(
    ("changed", "words"),
    (
        ({"dicom": replace(SHIPPED.dicom, addresses=("0.0.0.0",))}, "dicom.addresses"),
        ({"dicom": replace(SHIPPED.dicom, addresses=("::1", "10.0.0.7"))}, "10.0.0.7 port 2762"),
        ({"dicom": replace(SHIPPED.dicom, user_identity=True)}, "dicom.user_identity"),
        ({"https": replace(SHIPPED.https, addresses=("::",))}, "https.addresses"),
        ({"https": replace(SHIPPED.https, allowed_origins=("https://v.example",))}, "v.example"),
        ({"legacy_port": (LegacyPort(name="old"),)}, "legacy_port old"),
        (
            {"destination": (DestinationRow(ae_title="WS2", address="10.0.0.8", plain=True),)},
            "WS2 unencrypted",
        ),
        ({"journal": replace(SHIPPED.journal, keep_query_values=True)}, "keep_query_values"),
        ({"openid": replace(SHIPPED.openid, issuer="http://localhost:9")}, "openid.issuer"),
    ),
)
def test_each_weakness_is_named_once(changed, words):
    (said,) = replace(SHIPPED, **changed).weaker()
    assert words in said


def test_a_destination_over_tls_is_no_weakness():
    row = DestinationRow(ae_title="WS2", address="10.0.0.8")
    assert replace(SHIPPED, destination=(row,)).weaker() == ()


def test_what_a_site_may_set_is_in_the_limits():
    volume = replace(
        SHIPPED.volume, studies_per_hour=7, patients_per_hour=5, gigabytes_per_hour=0.5
    )
    bounds = replace(SHIPPED, volume=volume).limits()
    found = (bounds.volume_studies, bounds.volume_patients, bounds.volume_retrieved_bytes)
    assert found == (7, 5, 2**29)
    assert SHIPPED.limits() == SHIPPED.limits(SHIPPED.limits())


@pytest.mark.parametrize("kind", (*TABLES.values(), *ROWS.values()))
def test_every_setting_says_what_it_is_for(kind):
    assert kind.__doc__
    for each in fields(kind):
        assert len(each.metadata["words"]) > len(each.name), each.name
