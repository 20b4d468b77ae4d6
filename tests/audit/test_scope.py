"""The written authorisation: nothing outside it is ever permitted."""

import ipaddress
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doorward.audit.scope import Scope, load_scope, scope_template
from doorward.errors import ConfigError, ScopeError
from doorward.limits import Limits

TODAY = date(2026, 3, 14)

VALID = """\
organisation = "St. Example Hospital"
networks = ["10.20.0.0/24", "2001:db8:1::/48", "192.0.2.7"]
exclude = ["10.20.0.9", "127.0.0.66", "2001:db8:1:f::/64"]
authorised_by = "A. Head of IT"
contact = "it@st-example.test"
valid_from = 2026-03-01
valid_until = 2026-03-31
clearance_level = 2
notes = "change 4711"
"""


@pytest.fixture
def scope_file(tmp_path: Path) -> Path:
    file = tmp_path / "scope.toml"
    file.write_text(VALID, encoding="utf-8")
    return file


@pytest.fixture
def scope(scope_file: Path) -> Scope:
    return load_scope(scope_file, today=TODAY)


def test_a_scope_file_is_read_whole(scope: Scope, scope_file: Path) -> None:
    assert scope.organisation == "St. Example Hospital"
    assert [str(n) for n in scope.networks] == ["10.20.0.0/24", "2001:db8:1::/48", "192.0.2.7/32"]
    assert scope.authorised_by == "A. Head of IT"
    assert (scope.valid_from, scope.valid_until) == (date(2026, 3, 1), date(2026, 3, 31))
    assert (scope.clearance_level, scope.notes) == (2, "change 4711")
    assert len(scope.sha256) == 64
    assert scope.file == scope_file


@pytest.mark.parametrize(
    "address",
    [
        "10.20.0.1",
        "10.20.0.255",
        "192.0.2.7",
        "2001:db8:1::7",
        "::ffff:10.20.0.1",
        "127.0.0.1",
        "127.255.255.254",
        "::1",
        "::ffff:127.0.0.1",
    ],
)
def test_the_scope_permits_its_networks_and_loopback(scope: Scope, address: str) -> None:
    scope.permit(address, 104)
    scope.permit(ipaddress.ip_address(address), 65_535)


@pytest.mark.parametrize(
    ("address", "because"),
    [
        ("10.20.1.0", "not covered"),
        ("192.0.2.8", "not covered"),
        ("2001:db8:2::1", "not covered"),
        ("10.20.0.9", "excluded"),
        ("::ffff:10.20.0.9", "excluded"),
        ("127.0.0.66", "excluded"),
        ("2001:db8:1:f::1", "excluded"),
        ("::ffff:10.20.1.0", "not covered"),
        ("0.0.0.0", "no address of a host"),
        ("0.1.2.3", "no address of a host"),
        ("::", "no address of a host"),
        ("::ffff:0.0.0.0", "no address of a host"),
        ("224.0.0.1", "many hosts"),
        ("ff02::1", "many hosts"),
        ("255.255.255.255", "many hosts"),
        ("fe80::1%eth0", "zone"),
        ("::1%lo", "zone"),
        ("010.020.0.1", "numeric"),
        ("pacs.example", "numeric"),
        ("10.20.0.1/32", "numeric"),
        ("", "numeric"),
    ],
)
def test_the_scope_refuses_everything_else(scope: Scope, address: str, because: str) -> None:
    with pytest.raises(ScopeError, match=because):
        scope.permit(address, 104)


@pytest.mark.parametrize("port", [0, -1, 65_536])
def test_the_scope_refuses_what_is_no_port(scope: Scope, port: int) -> None:
    with pytest.raises(ScopeError, match="no TCP port"):
        scope.permit("10.20.0.1", port)


@pytest.mark.parametrize("address", ["64:ff9b::a14:9", "2002:a14:9::1"])
def test_an_exclusion_holds_for_the_ipv6_forms_that_lead_to_it(address: str) -> None:
    # Both addresses are translated to 10.20.0.9 on their way.
    networks = (ipaddress.ip_network("64:ff9b::/96"), ipaddress.ip_network("2002::/16"))
    wide = Scope(
        organisation="x",
        networks=networks,
        exclude=(ipaddress.ip_network("10.20.0.9/32"),),
        valid_from=TODAY,
        valid_until=TODAY,
        today=TODAY,
    )
    with pytest.raises(ScopeError, match="excluded"):
        wide.permit(address, 104)


def test_without_a_file_only_loopback_is_permitted() -> None:
    scope = Scope.loopback()
    scope.permit("127.0.0.1", 104)
    scope.permit("::1", 104)
    with pytest.raises(ScopeError) as refused:
        scope.permit("10.0.0.1", 104)
    assert "doorward scope init" in str(refused.value.hint)
    assert refused.value.target == "10.0.0.1:104"


@pytest.mark.parametrize(
    ("today", "because"),
    [
        (date(2026, 2, 28), "not valid before 2026-03-01"),
        (date(2026, 4, 1), "expired on 2026-03-31"),
    ],
)
def test_outside_its_days_a_scope_permits_loopback_only(
    scope_file: Path, today: date, because: str
) -> None:
    scope = load_scope(scope_file, today=today)
    scope.permit("127.0.0.1", 104)
    with pytest.raises(ScopeError, match=because):
        scope.permit("10.20.0.1", 104)
    with pytest.raises(ScopeError, match=because):
        scope.require_valid()


@pytest.mark.parametrize("today", [date(2026, 3, 1), date(2026, 3, 31)])
def test_the_first_and_the_last_day_belong_to_the_scope(scope_file: Path, today: date) -> None:
    load_scope(scope_file, today=today).permit("10.20.0.1", 104)


def test_a_scope_without_days_permits_no_network() -> None:
    scope = Scope(organisation="x", networks=(ipaddress.ip_network("10.0.0.0/8"),))
    with pytest.raises(ScopeError, match="says nothing about the days"):
        scope.permit("10.0.0.1", 104)


def test_the_level_is_what_was_asked_but_at_most_what_is_authorised(scope: Scope) -> None:
    assert scope.level("10.20.0.1", 1) == 1
    assert scope.level("10.20.0.1", 3) == 2
    assert scope.level("127.0.0.1", 3) == 3
    assert scope.level("127.0.0.1", 9) == 3


def test_excludes_tells_exclusion_from_not_being_covered(scope: Scope) -> None:
    assert scope.excludes("10.20.0.9")
    assert not scope.excludes("10.99.0.1")


@pytest.mark.parametrize(
    ("old", "new", "line", "field", "message"),
    [
        ("organisation =", "organization =", 1, "organization", "not a field"),
        ('"10.20.0.0/24"', '"10.20.0.5/24"', 2, "networks", "bits set behind its prefix"),
        ('"10.20.0.0/24"', '"10.20.0.300"', 2, "networks", "no address or network"),
        ('"10.20.0.0/24"', '"::ffff:10.20.0.0/120"', 2, "networks", "write them as IPv4"),
        ('"10.20.0.0/24"', '"0.0.0.0/0"', 2, "networks", "wider than any"),
        ('"10.20.0.0/24"', '"::/0"', 2, "networks", "wider than any|IPv4"),
        ('"10.20.0.0/24", ', "7, ", 2, "networks", "must be a list"),
        ('"10.20.0.9"', '"pacs.example"', 3, "exclude", "no address or network"),
        ('"A. Head of IT"', '" "', 4, "authorised_by", "must not be empty"),
        ('contact = "it@st-example.test"', "", None, "contact", "is missing"),
        ('"it@st-example.test"', "7", 5, "contact", "text in quotes"),
        ("2026-03-01", '"2026-03-01"', 6, "valid_from", "without quotes"),
        ("2026-03-01", "2026-03-01T08:00:00", 6, "valid_from", "must be a day"),
        ("2026-03-31", "2026-02-01", 7, "valid_until", "lies before"),
        ("clearance_level = 2", "clearance_level = 4", 8, "clearance_level", "from 0 to 3"),
        ("clearance_level = 2", "clearance_level = true", 8, "clearance_level", "from 0 to 3"),
    ],
)
def test_a_wrong_field_is_named_with_its_line(
    scope_file: Path, old: str, new: str, line: int | None, field: str, message: str
) -> None:
    assert old in VALID
    scope_file.write_text(VALID.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(ConfigError, match=message) as wrong:
        load_scope(scope_file, today=TODAY)
    assert (wrong.value.file, wrong.value.line, wrong.value.field) == (scope_file, line, field)
    assert wrong.value.hint


def test_a_misspelt_field_is_answered_with_the_right_one(scope_file: Path) -> None:
    scope_file.write_text(VALID.replace("exclude", "excludes"), encoding="utf-8")
    with pytest.raises(ConfigError) as wrong:
        load_scope(scope_file, today=TODAY)
    assert wrong.value.hint == "Did you mean 'exclude'?"


def test_a_scope_without_networks_is_an_error(scope_file: Path) -> None:
    text = VALID.replace(
        'networks = ["10.20.0.0/24", "2001:db8:1::/48", "192.0.2.7"]', "networks = []"
    )
    scope_file.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match="would permit nothing"):
        load_scope(scope_file, today=TODAY)


def test_a_syntax_error_is_named_with_its_line(scope_file: Path) -> None:
    scope_file.write_text('organisation = "x"\nnetworks = [10.0.0.0/24]\n', encoding="utf-8")
    with pytest.raises(ConfigError, match="not valid TOML") as wrong:
        load_scope(scope_file, today=TODAY)
    assert wrong.value.line == 2


def test_a_file_that_cannot_be_read_is_one_clear_sentence(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        load_scope(tmp_path / "none.toml", today=TODAY)
    with pytest.raises(ConfigError, match="cannot be read"):
        load_scope(tmp_path, today=TODAY)
    latin = tmp_path / "latin.toml"
    latin.write_bytes(b'organisation = "\xe4"')
    with pytest.raises(ConfigError, match="not UTF-8"):
        load_scope(latin, today=TODAY)


def test_a_huge_file_is_refused(scope_file: Path) -> None:
    with pytest.raises(ConfigError, match="longer than 10 bytes"):
        load_scope(scope_file, today=TODAY, limits=Limits(list_file_bytes=10))


def test_the_template_loads_once_it_is_filled_in(tmp_path: Path) -> None:
    file = tmp_path / "scope.toml"
    file.write_text(scope_template(today=TODAY, valid_until=date(2026, 6, 1)), encoding="utf-8")
    with pytest.raises(ConfigError, match="empty"):
        load_scope(file, today=TODAY)
    text = scope_template(
        today=TODAY,
        valid_until=date(2026, 6, 1),
        organisation='St. "Example"\\\n',
        networks=["10.0.0.0/24", "2001:db8::/48"],
        exclude=["10.0.0.1"],
        authorised_by="A",
        contact="B",
        clearance_level=1,
        notes="tab\there",
    )
    file.write_text(text, encoding="utf-8")
    scope = load_scope(file, today=TODAY)
    assert scope.organisation == 'St. "Example"\\'
    assert (scope.clearance_level, scope.notes) == (1, "tab\there")
    assert len(scope.networks) == 2


# --- against a reference that tests membership number by number -------------------------------------------------------


def _networks(version: int) -> st.SearchStrategy[ipaddress.IPv4Network | ipaddress.IPv6Network]:
    bits, widest = (32, 8) if version == 4 else (128, 16)
    address = ipaddress.IPv4Address if version == 4 else ipaddress.IPv6Address
    # Few distinct numbers, so that networks, exclusions and addresses meet often.
    numbers = st.integers(0, 2**16).map(lambda n: n << (bits - 16) | n)
    return st.tuples(numbers.filter(lambda n: n < 2**bits), st.integers(widest, bits)).map(
        lambda pair: (
            ipaddress.ip_network((int(address(pair[0])), pair[1]), strict=False)
            if version == 6 or pair[0] < 2**32
            else ipaddress.ip_network("10.0.0.0/8")
        )
    )


_ANY_NETWORK = st.one_of(_networks(4), _networks(6))


@given(
    networks=st.lists(_ANY_NETWORK, max_size=4),
    exclude=st.lists(_ANY_NETWORK, max_size=3),
    address=_ANY_NETWORK.map(lambda n: n.network_address),
)
def test_permit_agrees_with_a_plain_reference(
    networks: list[ipaddress.IPv4Network | ipaddress.IPv6Network],
    exclude: list[ipaddress.IPv4Network | ipaddress.IPv6Network],
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> None:
    scope = Scope(
        organisation="x",
        networks=tuple(networks),
        exclude=tuple(exclude),
        valid_from=TODAY,
        valid_until=TODAY,
        today=TODAY,
    )
    mapped = getattr(address, "ipv4_mapped", None)
    real = mapped if mapped is not None else address
    unusable = real.is_multicast or real.is_unspecified or real in ipaddress.ip_network("0.0.0.0/8")
    unusable = unusable or str(real) == "255.255.255.255"
    covered = real.is_loopback or any(real in n for n in networks)
    excluded = any(real in n for n in exclude)
    translated = getattr(real, "sixtofour", None)
    excluded = excluded or (translated is not None and any(translated in n for n in exclude))
    expected = covered and not excluded and not unusable
    try:
        scope.permit(str(address), 104)
        permitted = True
    except ScopeError:
        permitted = False
    assert permitted == expected
