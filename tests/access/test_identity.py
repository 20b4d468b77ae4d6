"""The register: everybody in it is found by what they show, and nobody else is."""

from dataclasses import fields
from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doorward.access.identity import (
    KINDS_OF_ROLE,
    Device,
    How,
    Identity,
    Kind,
    Operation,
    Person,
    Register,
    Role,
    Service,
    Subject,
    is_name,
)
from doorward.errors import ConfigError

PRINT_CT, PRINT_WS = "a1" * 32, "b2" * 32
SOON = datetime(2026, 12, 24, 18, tzinfo=UTC)
CT = Device(
    name="ct1", role=Role.MODALITY, site="north", ae_titles=("CT1",), fingerprints=(PRINT_CT,)
)
OLD = Device(
    name="us-old",
    role=Role.MODALITY,
    ae_titles=("US_OLD", "US_OLD2"),
    addresses=("127.0.0.7", "::1"),
    legacy_port="old-modalities",
)
ANNA = Person(name="anna", role=Role.ADMINISTRATOR, also=(Role.READER,), site="north")
FEED = Service(
    name="feed", role=Role.WORKSTATION, ae_titles=("FEED",), scope=frozenset({Operation.QUERY})
)
REGISTER = Register(devices=(CT, OLD), persons=(ANNA,), services=(FEED,))


# --- who is found -----------------------------------------------------------------------------------------------------


def test_a_certificate_names_its_device_however_its_digest_is_written():
    found = REGISTER.by_certificate(PRINT_CT)
    assert found == Identity(
        kind=Kind.DEVICE,
        name="ct1",
        role="modality",
        site="north",
        ae_titles=("CT1",),
        how="certificate",
    )
    assert REGISTER.by_certificate(":".join(["A1"] * 32)) == found


@pytest.mark.parametrize("address", ["127.0.0.7", "::ffff:127.0.0.7", "::1", "0:0::1"])
@pytest.mark.parametrize("title", ["US_OLD", "US_OLD2", "US_OLD  "])
def test_a_legacy_device_is_known_by_address_and_title_on_its_port(address, title):
    found = REGISTER.by_address(address, title, port="old-modalities")
    assert found is not None
    assert (found.name, found.how) == ("us-old", "address and title")


@pytest.mark.parametrize(
    ("address", "title", "port"),
    [
        ("127.0.0.8", "US_OLD", "old-modalities"),
        ("127.0.0.7", "CT1", "old-modalities"),
        ("127.0.0.7", "us_old", "old-modalities"),
        ("127.0.0.7", "", "old-modalities"),
        ("127.0.0.7", "US_OLD", "dicom"),
        ("127.0.0.7", "US_OLD", ""),
        ("", "US_OLD", "old-modalities"),
        ("localhost", "US_OLD", "old-modalities"),
    ],
)
def test_an_ae_title_alone_an_address_alone_and_another_port_name_nobody(address, title, port):
    assert REGISTER.by_address(address, title, port=port) is None


def test_a_device_with_a_certificate_is_not_found_by_where_it_stands():
    both = Device(name="ct2", role=Role.MODALITY, ae_titles=("CT2",), fingerprints=(PRINT_WS,))
    register = REGISTER.with_entry(both)
    for port in ("old-modalities", "dicom", ""):
        assert register.by_address("127.0.0.7", "CT2", port=port) is None


def test_a_person_and_a_service_are_found_by_a_name_that_was_verified():
    anna = REGISTER.by_name("anna", how=How.PASSWORD_AND_CODE)
    assert anna is not None
    assert anna.roles == ("administrator", "reader")
    assert anna.how == "password and code"
    feed = REGISTER.by_name("feed", how=How.TOKEN)
    assert feed is not None
    assert feed.scope == {Operation.QUERY}


@pytest.mark.parametrize("how", list(How))
def test_a_device_is_never_found_by_a_name_it_claims(how):
    assert REGISTER.by_name("ct1", how=how) is None


@pytest.mark.parametrize("how", [How.CERTIFICATE, How.ADDRESS_AND_TITLE])
def test_what_devices_show_names_no_person(how):
    assert REGISTER.by_name("anna", how=how) is None


@pytest.mark.parametrize("name", ["", "Anna", "anna ", "anna\0", "nobody"])
def test_another_name_is_nobody(name):
    assert REGISTER.by_name(name, how=How.PASSWORD) is None


@given(st.text(), st.text(), st.text())
def test_an_empty_register_knows_no_one(first, second, third):
    empty = Register()
    assert empty.by_certificate(first) is None
    assert empty.by_address(first, second, port=third) is None
    assert all(empty.by_name(first, how=how) is None for how in How)
    assert not empty.has(first)


def test_an_empty_register_says_that_nobody_is_served():
    assert Register().remarks() == ("The register is empty: nobody is known, so nobody is served.",)


def test_a_device_that_cannot_show_itself_and_a_legacy_one_are_remarked_on():
    mute = Device(name="mute", role=Role.MODALITY, ae_titles=("MUTE",))
    said = REGISTER.with_entry(mute).remarks()
    assert len(said) == 2
    assert "mute" in said[0]
    assert "us-old" in said[1]
    for port in ("", "dicom", "old-modalities"):
        assert REGISTER.with_entry(mute).by_address("127.0.0.7", "MUTE", port=port) is None


# --- change -----------------------------------------------------------------------------------------------------------


def test_revoked_is_unknown_in_every_way_and_the_rest_stays():
    without = REGISTER.without("ct1").without("us-old").without("anna").without("feed")
    assert without == Register()
    assert REGISTER.without("ct1").by_certificate(PRINT_CT) is None
    gone = REGISTER.without("us-old")
    assert gone.by_address("127.0.0.7", "US_OLD", port="old-modalities") is None
    assert gone.by_certificate(PRINT_CT) is not None
    assert REGISTER.without("anna").by_name("anna", how=How.PASSWORD) is None


def test_nobody_cannot_be_revoked():
    with pytest.raises(ConfigError, match="nobody has this name"):
        REGISTER.without("ct9")


def test_a_renewed_certificate_is_known_beside_the_old_one():
    two = Device(name="ws", role=Role.WORKSTATION, fingerprints=(PRINT_WS, "c3" * 32))
    register = Register(devices=(two,))
    assert register.by_certificate(PRINT_WS) == register.by_certificate("c3" * 32)


@pytest.mark.parametrize(
    ("entry", "because"),
    [
        (Person(name="ct1", role=Role.READER), "already taken"),
        (Device(name="ct2", role=Role.MODALITY, fingerprints=(PRINT_CT.upper(),)), "already taken"),
        (Device(name="ct2", role=Role.MODALITY, ae_titles=("CT1",)), "also an AE title of ct1"),
        (Device(name="ct2", role=Role.MODALITY, ae_titles=("ct1",)), "also an AE title of ct1"),
        (Service(name="x", role=Role.MODALITY, ae_titles=("FEED",)), "also an AE title of feed"),
    ],
)
def test_two_never_share_name_certificate_or_ae_title(entry, because):
    with pytest.raises(ConfigError, match=because):
        REGISTER.with_entry(entry)


def test_an_ae_title_has_one_owner_or_none():
    assert REGISTER.title_owner("FEED") == "feed"
    assert REGISTER.title_owner("US_OLD2 ") == "us-old"
    assert REGISTER.title_owner("NOBODY") == ""
    assert REGISTER.title_owner("") == ""


# --- what is refused --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["", "Anna", "a b", "..", ".hidden", "-rf", "a/b", "ä", "a" * 65, "a\n"]
)
def test_what_is_no_name_is_refused(name):
    assert not is_name(name)
    with pytest.raises(ConfigError) as caught:
        Person(name=name, role=Role.READER)
    assert caught.value.field == "person: name"


def test_the_longest_name_is_one():
    assert is_name("a" * 64)
    assert is_name("7.ct_room-2")


@pytest.mark.parametrize("kind", list(Kind))
@pytest.mark.parametrize("role", [*Role, "root", ""])
def test_a_role_is_only_given_to_its_kind(kind, role):
    entry = {Kind.DEVICE: Device, Kind.PERSON: Person, Kind.SERVICE: Service}[kind]
    if kind in KINDS_OF_ROLE.get(role, ()):
        assert entry(name="a", role=role, expires_at=SOON).role == role
        return
    with pytest.raises(ConfigError, match="is no role of a") as caught:
        entry(name="a", role=role, expires_at=SOON)
    assert caught.value.field == f"{kind} a: role"


def test_a_further_role_is_checked_too():
    with pytest.raises(ConfigError) as caught:
        Person(name="a", role=Role.READER, also=(Role.MODALITY,))
    assert caught.value.field == "person a: also"


def test_a_migration_must_say_when_it_ends():
    with pytest.raises(ConfigError, match="is missing") as caught:
        Device(name="move", role=Role.MIGRATION)
    assert caught.value.field == "device move: expires_at"


def test_an_end_without_a_time_zone_is_refused():
    with pytest.raises(ConfigError, match="time zone"):
        Person(name="a", role=Role.READER, expires_at=datetime(2026, 1, 1))  # noqa: DTZ001


@pytest.mark.parametrize("title", ["", " ", "SEVENTEEN_LETTERS", " CT", "CT ", "C\\T", "CÄ", "C\n"])
def test_what_is_no_ae_title_is_refused(title):
    with pytest.raises(ConfigError, match="no AE title"):
        Device(name="a", role=Role.MODALITY, ae_titles=(title,))


@pytest.mark.parametrize("address", ["", "host", "10.0.0.0/8", "0.0.0.0", "::", "224.0.0.1", "1.2"])
def test_what_is_no_address_of_one_host_is_refused(address):
    with pytest.raises(ConfigError, match="no address of one host"):
        Device(
            name="a",
            role=Role.MODALITY,
            ae_titles=("A",),
            addresses=(address,),
            legacy_port="old",
        )


@pytest.mark.parametrize(
    "wrong",
    [
        {"addresses": ("127.0.0.1",), "ae_titles": ("A",)},
        {"addresses": ("127.0.0.1",), "legacy_port": "old"},
        {"ae_titles": ("A",), "legacy_port": "old"},
    ],
)
def test_half_a_legacy_identity_is_refused(wrong):
    with pytest.raises(ConfigError) as caught:
        Device(name="a", role=Role.MODALITY, **wrong)
    assert caught.value.field == "device a: legacy_port"
    assert caught.value.hint


@pytest.mark.parametrize("text", ["", "a1" * 31, "a1" * 20, "zz" * 32])
def test_what_is_no_sha256_is_refused(text):
    with pytest.raises(ConfigError, match="SHA-256"):
        Device(name="a", role=Role.MODALITY, fingerprints=(text,))


def test_a_register_is_bounded():
    many = tuple(Person(name=f"p{n}", role=Role.READER) for n in range(10_001))
    with pytest.raises(ConfigError, match="more than 10,000"):
        Register(persons=many)


# --- values -----------------------------------------------------------------------------------------------------------


def test_a_token_narrows_and_never_widens():
    feed = FEED.identity(How.TOKEN)
    asked = {Operation.QUERY, Operation.RETRIEVE}
    assert feed.narrowed(scope=asked).scope == {Operation.QUERY}
    assert ANNA.identity(How.TOKEN).narrowed(scope=asked).scope == asked
    assert feed.narrowed(expires_at=SOON).expires_at == SOON
    later = datetime(2027, 1, 1, tzinfo=UTC)
    assert feed.narrowed(expires_at=SOON).narrowed(expires_at=later).expires_at == SOON


def test_a_subject_does_not_print_what_is_personal():
    subject = Subject(study_uid="1.2", referring_physician="CANARY", study_date=date(1999, 9, 9))
    assert "CANARY" not in repr(subject)
    assert "1999" not in repr(subject)


def test_a_register_prints_no_index_twice():
    shown = repr(REGISTER)
    assert shown.count(PRINT_CT) == 1
    assert [f.name for f in fields(Register) if f.init] == ["devices", "persons", "services"]
