"""What the operator types becomes targets, or one clear sentence."""

from datetime import date
from ipaddress import ip_network
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doorward.audit.scope import Scope
from doorward.audit.targets import Target, parse_ports, parse_targets, within_scope
from doorward.errors import ConfigError, ScopeError
from doorward.limits import Limits


@pytest.mark.parametrize(
    ("text", "host", "ports"),
    [
        ("10.1.2.3", "10.1.2.3", None),
        ("10.1.2.3:4242", "10.1.2.3", (4242,)),
        ("pacs.example", "pacs.example", None),
        ("PACS.Example:104", "pacs.example", (104,)),
        ("localhost", "localhost", None),
        ("ct_1", "ct_1", None),
        ("::1", "::1", None),
        ("2001:DB8:0::7", "2001:db8::7", None),
        ("[::1]", "::1", None),
        ("[::1]:104", "::1", (104,)),
        ("münchen.example:104", "xn--mnchen-3ya.example", (104,)),
        (" 10.1.2.3 ", "10.1.2.3", None),
    ],
)
def test_one_target_is_an_address_or_a_name_with_or_without_a_port(
    text: str, host: str, ports: tuple[int, ...] | None
) -> None:
    assert parse_targets([text]) == (Target(host=host, ports=ports),)


def test_a_network_is_all_of_its_addresses() -> None:
    targets = parse_targets(["10.0.0.0/30:4242"])
    assert [t.host for t in targets] == ["10.0.0.0", "10.0.0.1", "10.0.0.2", "10.0.0.3"]
    assert all(t.ports == (4242,) and t.is_swept for t in targets)
    assert len(parse_targets(["2001:db8::/120"])) == 256
    assert len(parse_targets(["[2001:db8::/126]:104"])) == 4


def test_targets_without_a_port_get_the_ports_that_were_asked_for() -> None:
    targets = parse_targets(["10.0.0.1", "10.0.0.2:7"], ports=(104, 4242))
    assert [t.ports for t in targets] == [(104, 4242), (7,)]


def test_a_host_that_is_named_twice_is_one_target_with_all_ports() -> None:
    targets = parse_targets(["10.0.0.1:104", "10.0.0.0/30:11112", "10.0.0.1:104"])
    assert targets[0] == Target(host="10.0.0.1", ports=(104, 11112), is_swept=False)
    assert len(targets) == 4


def test_a_list_has_comments_and_blank_lines(tmp_path: Path) -> None:
    file = tmp_path / "list.txt"
    file.write_bytes(
        b"\xef\xbb\xbf# archives\r\n\r\n10.0.0.1:104  # the old one\r\npacs.example\r\n"
    )
    assert [t.host for t in parse_targets([f"@{file}", "::1"])] == [
        "10.0.0.1",
        "pacs.example",
        "::1",
    ]


def test_an_error_in_a_list_names_file_and_line(tmp_path: Path) -> None:
    file = tmp_path / "list.txt"
    file.write_text("10.0.0.1\n\n10.0.0.2:x\n", encoding="utf-8")
    with pytest.raises(ConfigError) as wrong:
        parse_targets([f"@{file}"])
    assert (wrong.value.file, wrong.value.line) == (file, 3)
    assert (
        str(wrong.value)
        == f"{file}:3: '10.0.0.2:x' names the port 'x'; a port is a number from 1 to 65535"
    )


@pytest.mark.parametrize(
    ("content", "message"),
    [("@other.txt\n", "list inside a list"), (b"\xff\xfe", "not UTF-8"), ("x" * 40, "longer than")],
)
def test_a_list_that_cannot_be_used_is_refused(
    tmp_path: Path, content: str | bytes, message: str
) -> None:
    file = tmp_path / "list.txt"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ConfigError, match=message):
        parse_targets([f"@{file}"], limits=Limits(list_file_bytes=20))


def test_a_list_that_does_not_exist_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        parse_targets([f"@{tmp_path}/none.txt"])


def test_no_target_at_all_is_an_error(tmp_path: Path) -> None:
    file = tmp_path / "empty.txt"
    file.write_text("# nothing yet\n", encoding="utf-8")
    with pytest.raises(ConfigError, match="no target"):
        parse_targets([f"@{file}"])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no host name"),
        ("http://pacs.example", "web address"),
        ("ORTHANC@pacs.example:104", "'@'"),
        ("10.0.0.256", "looks like an address"),
        ("10.1", "looks like an address"),
        ("2130706433", "looks like an address"),
        ("0x7f.1", "looks like an address"),
        ("0x7f000001", "looks like an address"),
        ("127.0.0.0x1", "looks like an address"),
        ("10.0.0.1-20", "looks like an address"),
        ("010.0.0.1", "looks like an address"),
        ("pacs.example.7", "looks like an address"),
        ("10.0.0.1:", "names the port ''"),
        ("10.0.0.1:0", "names the port '0'"),
        ("10.0.0.1:65536", "names the port"),
        ("10.0.0.1:+104", "names the port"),
        ("10.0.0.1:١٠٤", "names the port"),
        ("[::1", "form"),
        ("[::1]104", "form"),
        ("[::1]:", "names the port"),
        ("fe80::1%eth0", "zone"),
        ("1:2:3", "no host name"),
        ("10.0.0.0/33", "no network"),
        ("pacs.example/24", "no network"),
        ("10.0.0.0/8", "16,777,216 addresses"),
        ("2001:db8::/64", "18,446,744,073,709,551,616 addresses"),
        ("-pacs.example", "no host name"),
        ("pacs..example", "no host name"),
        ("pacs example", "no host name"),
        ("ä" * 70, "no host name"),
        (".".join(["a" * 60] * 5), "no host name"),
    ],
)
def test_what_is_no_target_is_refused_in_one_sentence(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse_targets([text])


def test_the_number_of_targets_is_bounded_over_all_arguments() -> None:
    with pytest.raises(ConfigError, match="more than 5 targets"):
        parse_targets(["10.0.0.0/30", "10.0.1.0/30"], limits=Limits(targets=5))


@given(st.text(max_size=40))
def test_any_text_gives_targets_or_a_config_error(text: str) -> None:
    try:
        targets = parse_targets([text.lstrip("@")], limits=Limits(targets=16))
    except ConfigError:
        return
    assert all(t.host and "/" not in t.host and " " not in t.host for t in targets)


@pytest.mark.parametrize(
    ("text", "ports"),
    [
        ("104", (104,)),
        ("104, 4242,104", (104, 4242)),
        ("11110-11112,104", (11110, 11111, 11112, 104)),
    ],
)
def test_ports_are_numbers_and_ranges(text: str, ports: tuple[int, ...]) -> None:
    assert parse_ports(text) == ports


@pytest.mark.parametrize("text", ["", "x", "104,", "0", "7-3", "1-", "-5", "65536", "1-65535"])
def test_what_is_no_list_of_ports_is_refused(text: str) -> None:
    with pytest.raises(ConfigError):
        parse_ports(text)


def _scope() -> Scope:
    day = date(2026, 3, 14)
    return Scope(
        organisation="x",
        networks=(ip_network("10.0.0.0/29"),),
        exclude=(ip_network("10.0.0.2/32"),),
        valid_from=day,
        valid_until=day,
        today=day,
    )


def test_an_excluded_address_inside_a_swept_network_is_left_out() -> None:
    kept, skipped = within_scope(parse_targets(["10.0.0.0/30", "pacs.example"]), _scope())
    assert [t.host for t in kept] == ["10.0.0.0", "10.0.0.1", "10.0.0.3", "pacs.example"]
    assert skipped == 1


@pytest.mark.parametrize("texts", [["10.0.0.2"], ["10.0.0.0/30", "10.0.0.2"], ["10.0.0.0/28"]])
def test_a_target_that_the_scope_refuses_ends_everything_before_it_begins(texts: list[str]) -> None:
    with pytest.raises(ScopeError):
        within_scope(parse_targets(texts), _scope())
