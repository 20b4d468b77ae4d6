"""Each field of a stranger's file is checked, put into one form, and never quoted."""

import ipaddress
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doorward.audit.imports.fields import (
    RowError,
    address,
    elements,
    hint,
    host,
    host_name,
    is_older,
    members,
    port,
    utc,
)
from imported import PATIENT


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("10.0.0.1", "10.0.0.1"),
        ("223.255.255.254", "223.255.255.254"),
        ("0.1.2.3", "0.1.2.3"),
        (" 10.0.0.1 ", "10.0.0.1"),
        ("2001:DB8:0:0::7", "2001:db8::7"),
        ("::ffff:10.0.0.1", "10.0.0.1"),
        ("::FFFF:0a00:0001", "10.0.0.1"),
        ("2001:db8::7%eth0", "2001:db8::7"),
        ("fe80::1", "fe80::1"),
    ],
)
def test_an_address_has_one_form(text, expected):
    assert address(text, "ip") == expected
    assert host(text, "ip") == expected


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (None, "ip is missing"),
        ("", "ip is missing"),
        (167772161, "ip is no text"),
        (["10.0.0.1"], "ip is no text"),
        ("10.0.0.256", "ip is no IP address"),
        ("010.0.0.1", "ip is no IP address"),
        ("10.0.0", "ip is no IP address"),
        ("10.0.0.1/24", "ip is no IP address"),
        ("10.0.0.1\n", None),
        (PATIENT, "ip is no IP address"),
        ("1" * 1_000_000, "ip is no IP address"),
        ("fe80::1%eth0", "ip has a zone (%...), which only the scanner's machine knows"),
        ("0.0.0.0", "ip is not the address of one system"),
        ("::", "ip is not the address of one system"),
        ("224.0.0.1", "ip is not the address of one system"),
        ("ff02::1", "ip is not the address of one system"),
        ("::ffff:224.0.0.1", "ip is not the address of one system"),
        ("255.255.255.255", "ip is not the address of one system"),
    ],
)
def test_what_is_no_address_is_named_by_its_field(value, reason):
    if reason is None:
        assert address(value, "ip") == "10.0.0.1"
        return
    with pytest.raises(RowError) as caught:
        address(value, "ip")
    assert caught.value.reason == reason
    assert PATIENT not in repr(vars(caught.value))


@given(st.ip_addresses(v=4))
def test_the_short_way_for_ipv4_is_what_ipaddress_says(found):
    text = str(found)
    is_one = not (found.is_unspecified or found.is_multicast or text == "255.255.255.255")
    try:
        assert (address(text, "ip"), is_one) == (text, True)
    except RowError:
        assert not is_one


@given(st.from_regex(r"[0-9]{1,3}(\.[0-9]{1,3}){3}", fullmatch=True))
def test_what_only_looks_like_ipv4_is_refused_as_ipaddress_refuses_it(text):
    try:
        found = address(text, "ip")
    except RowError:
        return
    assert found == text == str(ipaddress.ip_address(text))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("PACS.Example.", "pacs.example"),
        ("ct_1", "ct_1"),
        ("münchen.example", "xn--mnchen-3ya.example"),
        (" pacs ", "pacs"),
    ],
)
def test_a_name_has_one_form(text, expected):
    assert host_name(text, "domain") == expected
    assert host(text, "domain") == expected


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("10.1", "looks like an address and is none"),
        ("0x7f.1", "looks like an address and is none"),
        ("1.2.3.4.5", "looks like an address and is none"),
        ("a b", "is no host name"),
        ("a..b", "is no host name"),
        (PATIENT, "is no host name"),
        ("a" * 64, "is no host name"),
        ("a." * 127 + "aa", "is no host name"),
        ("ä" * 1_000_000, "is no host name"),
        ("\ud800", "is no host name"),
        ("=cmd|' /C calc'!A0", "is no host name"),
    ],
)
def test_what_is_no_name_is_named_by_its_field(text, reason):
    with pytest.raises(RowError) as caught:
        host_name(text, "domain")
    assert caught.value.reason == f"domain {reason}"


def test_a_host_in_brackets_is_an_address_and_colons_are_never_a_name():
    assert host("[2001:db8::7]", "host") == "2001:db8::7"
    for text in ("[pacs]", "pacs:104", "2001:db8::zz"):
        with pytest.raises(RowError) as caught:
            host(text, "host")
        assert caught.value.reason == "host is no IP address"


@pytest.mark.parametrize(("value", "expected"), [(104, 104), ("104", 104), (" 65535 ", 65_535)])
def test_a_port_is_a_number_or_its_digits(value, expected):
    assert port(value, "port") == expected


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (None, "port is missing"),
        (0, "port is no port from 1 to 65535"),
        (65_536, "port is no port from 1 to 65535"),
        (-1, "port is no port from 1 to 65535"),
        ("+104", "port is no port from 1 to 65535"),
        ("1_0", "port is no port from 1 to 65535"),
        ("١٠٤", "port is no port from 1 to 65535"),
        ("9" * 1_000_000, "port is no port from 1 to 65535"),
        (True, "port is no port"),
        (104.0, "port is no port"),
        ([104], "port is no port"),
        (PATIENT, "port is no port from 1 to 65535"),
    ],
)
def test_what_is_no_port_is_named_by_its_field(value, reason):
    with pytest.raises(RowError) as caught:
        port(value, "port")
    assert caught.value.reason == reason


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (1_573_000_000, "2019-11-06T00:26:40+00:00"),
        ("1573000000", "2019-11-06T00:26:40+00:00"),
        (1_573_000_000.9, "2019-11-06T00:26:40+00:00"),
        ("2019-11-06T00:26:40Z", "2019-11-06T00:26:40+00:00"),
        ("2019-11-06T00:26:40.123456789Z", "2019-11-06T00:26:40+00:00"),
        ("2019-11-05T19:26:40.123-0500", "2019-11-06T00:26:40+00:00"),
        ("2019-11-06T00:26:40.123456", "2019-11-06T00:26:40+00:00"),
        ("2019-11-06 00:26:40", "2019-11-06T00:26:40+00:00"),
    ],
)
def test_a_time_has_one_form(value, expected):
    assert utc(value) == expected


@pytest.mark.parametrize(
    "value",
    [
        *(
            None,
            True,
            [],
            {},
            "",
            0,
            -1,
            10**30,
            "9" * 39,
            "9" * 10_000,
            float("nan"),
            float("inf"),
        ),
        *("0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", PATIENT, "yesterday"),
    ],
)
def test_what_is_no_time_costs_no_door(value):
    assert utc(value) == ""


def test_only_a_known_time_can_be_too_old():
    oldest = datetime(2019, 11, 6, tzinfo=UTC)
    assert is_older("2019-11-05T23:59:59+00:00", oldest)
    assert not is_older("2019-11-06T00:00:00+00:00", oldest)
    assert not is_older("", oldest)
    assert not is_older("2019-11-05T23:59:59+00:00", None)


@pytest.mark.parametrize(("value", "expected"), [("HTTP", "http"), ("acr-nema", "acr-nema")])
def test_a_hint_is_one_short_word(value, expected):
    assert hint(value) == expected


@pytest.mark.parametrize(
    "value",
    [
        None,
        7,
        "",
        "two words",
        "x" * 33,
        PATIENT,
        "=1+1",
        "-x",
        "a\n",
        "\x1b[2J",
        "ünder",
        "a\u202eb",
    ],
)
def test_what_is_no_short_word_gives_no_hint(value):
    assert hint(value) == ""


def test_what_is_no_object_or_array_of_json_is_an_empty_one():
    assert members({"a": 1}) == {"a": 1}
    assert elements([1]) == [1]
    for wrong in (None, 1, "ab", True):
        assert members(wrong) == {}
        assert elements(wrong) == []
    assert members([1]) == {}
    assert elements({"a": 1}) == []
