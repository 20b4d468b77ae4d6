"""Promise 1: outside the written permission nothing is dialled; loopback needs none; exclusions always win.

Twice: inside this process every attempt to connect is caught and written down, so that addresses of the documentation
networks (RFC 5737, RFC 3849) can be "audited"; and with strace, which sees every system call of a real ``doorward audit``.
"""

import asyncio
import ipaddress
import re
import socket
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network
from pathlib import Path

import pytest

from auditor_process import doorward
from doorward.audit.exit_code import ExitCode
from doorward.audit.facts import SystemFacts
from doorward.audit.scope import Scope
from doorward.audit.survey import SurveySettings, survey
from doorward.audit.targets import parse_targets, within_scope
from doorward.errors import ScopeError
from doorward.net.client import Proposal, associate
from doorward.net.tls import handshake, probe_context
from hostile_audit import SHORT, Watch
from scripted_peer import archive, finds, scripted_peer, study

pytestmark = pytest.mark.timeout(60)
#: The survey looks at the clock itself: a permission may end while it runs.
TODAY = datetime.now(UTC).date()
HOSPITAL = Scope(
    organisation="Synthetic Hospital",
    networks=(
        ip_network("198.51.100.0/28"),
        ip_network("2001:db8:1::/64"),
        ip_network("2002::/16"),
    ),
    exclude=(
        ip_network("198.51.100.4/31"),
        ip_network("2001:db8:1::bad/128"),
        ip_network("192.0.2.0/24"),
    ),
    valid_from=TODAY - timedelta(days=1),
    valid_until=TODAY + timedelta(days=1),
    today=TODAY,
)


@pytest.fixture
def dialled(monkeypatch) -> list[str]:
    """Catch every way to send something somewhere, and let nothing out."""
    seen: list[str] = []

    def caught(self: socket.socket, *arguments: object) -> None:
        address = arguments[-1]
        if self.family in (socket.AF_INET, socket.AF_INET6):
            seen.append(str(address[0]))
            raise ConnectionRefusedError(111, "caught by the test")
        raise AssertionError(f"a socket of family {self.family}")

    for name in ("connect", "connect_ex", "sendto"):
        monkeypatch.setattr(socket.socket, name, caught)
    return seen


def names(monkeypatch, table: dict[str, Sequence[str]]) -> None:
    """Resolve these names, and no others."""

    def resolve(host: str, *_: object, **__: object) -> list[tuple[object, ...]]:
        rows = []
        for address in table[host]:
            is_v6 = ":" in address
            family = socket.AF_INET6 if is_v6 else socket.AF_INET
            rows.append(
                (family, socket.SOCK_STREAM, 6, "", (address, 0) + ((0, 0) if is_v6 else ()))
            )
        return rows

    monkeypatch.setattr(socket, "getaddrinfo", resolve)


def audit(targets: Sequence[str], scope: Scope = HOSPITAL) -> list[SystemFacts]:
    """What ``doorward audit`` does: targets, what of them the scope covers, the survey."""
    covered, _ = within_scope(parse_targets(targets, ports=(104,)), scope)
    settings = SurveySettings(clearance_level=3, limits=SHORT, ports=(104,))
    return asyncio.run(survey(covered, scope=scope, settings=settings, observer=Watch()))


def test_a_network_is_dialled_without_what_is_excluded(dialled):
    audit(["198.51.100.0/28"])
    excluded = {"198.51.100.4", "198.51.100.5"}
    assert set(dialled) == set(map(str, ip_network("198.51.100.0/28"))) - excluded


@pytest.mark.parametrize(
    "target",
    [
        "198.51.100.16",
        "203.0.113.1",
        "198.51.100.4",  # excluded: exclusions win over the network
        "::ffff:198.51.100.4",  # the same in IPv6 clothes (RFC 4291 section 2.5.5.2)
        "::ffff:203.0.113.1",
        "2001:db8:1::bad",
        "2002:c000:0201::1",  # 6to4: would be carried to 192.0.2.1, which is excluded (RFC 3056)
        "64:ff9b::c000:201",  # NAT64: the same (RFC 6052)
        "2001:db8:2::1",
        "0.0.0.0",
        "255.255.255.255",
        "224.0.0.1",
        "ff02::1",
    ],
)
def test_nothing_outside_or_excluded_is_dialled(target, dialled):
    with pytest.raises(ScopeError):
        audit([target])
    assert dialled == []


def test_one_target_outside_stops_the_audit_before_its_first_connection(dialled):
    with pytest.raises(ScopeError):
        audit(["198.51.100.1", "203.0.113.1"])
    assert dialled == []


@pytest.mark.parametrize(
    "addresses",
    [["203.0.113.9"], ["198.51.100.1", "203.0.113.9"], ["198.51.100.4"], ["::ffff:198.51.100.5"]],
)
def test_a_name_that_resolves_outside_is_not_dialled_at_all(addresses, dialled, monkeypatch):
    names(monkeypatch, {"pacs.example": addresses})
    with pytest.raises(ScopeError):
        audit(["pacs.example"])
    assert dialled == []


def test_a_name_inside_is_dialled_by_the_address_that_was_judged(dialled, monkeypatch):
    """Resolved once: a second answer of the name server cannot lead elsewhere."""
    answers = iter([["198.51.100.2"], ["203.0.113.9"], ["203.0.113.9"]])

    class Turning(dict):
        def __getitem__(self, host: str) -> Sequence[str]:
            return next(answers)

    names(monkeypatch, Turning())
    audit(["pacs.example"])
    assert set(dialled) == {"198.51.100.2"}


@pytest.mark.parametrize("days", [-3, 3])
def test_an_expired_or_future_permission_permits_nothing(days, dialled):
    with pytest.raises(ScopeError):
        audit(["198.51.100.1"], replace(HOSPITAL, today=TODAY + timedelta(days=days)))
    assert dialled == []


def test_without_a_scope_file_only_loopback_is_dialled(dialled):
    for target in ("198.51.100.1", "10.0.0.1", "192.168.0.1", "169.254.1.1", "fe80::1", "fc00::1"):
        with pytest.raises(ScopeError):
            audit([target], Scope.loopback())
    audit(["127.0.0.1", "::1", "::ffff:127.0.0.1"], Scope.loopback())
    addresses = [ipaddress.ip_address(address) for address in dialled]
    assert len(addresses) >= 3
    assert all((getattr(a, "ipv4_mapped", None) or a).is_loopback for a in addresses)


def test_exclusions_win_over_loopback(dialled):
    scope = replace(HOSPITAL, exclude=(ip_network("127.0.0.2/32"),))
    with pytest.raises(ScopeError):
        audit(["127.0.0.2"], scope)
    assert dialled == []


@pytest.mark.parametrize("address", ["203.0.113.1", "198.51.100.4", "::ffff:198.51.100.4"])
def test_whoever_dials_asks_the_scope_whatever_was_checked_before(address, dialled):
    """The last guard: the functions that dial, given an address that no target list ever saw."""

    async def associates() -> None:
        proposal = Proposal(called_ae_title="A", calling_ae_title="B", contexts=[])
        async with associate(address, 104, proposal, gate=HOSPITAL):
            pass

    async def shakes_hands() -> None:
        await handshake(address, 2762, probe_context(), gate=HOSPITAL)

    for attempt in (associates, shakes_hands):
        with pytest.raises(ScopeError):
            asyncio.run(attempt())
    assert dialled == []


# --- every system call of the real program --------------------------------------------------------------------------------

_ADDRESS = re.compile(r'inet_addr\("([^"]+)"\)|inet_pton\(AF_INET6, "([^"]+)"')


def addresses_in(trace: Path) -> set[str]:
    """Every numeric address in a trace of connect, sendto, sendmsg and sendmmsg."""
    lines = [
        line
        for line in trace.read_text().splitlines()
        if not line.lstrip("0123456789 ").startswith(("recv", "accept"))
    ]
    return {v4 or v6 for line in lines for v4, v6 in _ADDRESS.findall(line)}


async def _traced(
    arguments: Sequence[str], folder: Path, hosts: Sequence[str]
) -> tuple[set[str], int, dict[str, int]]:
    """Audit under strace; peers listen on ``hosts``, in and out of scope. Returns addresses, exit code, calls by host."""
    trace = folder / "strace"
    wrapper = [
        "strace",
        "-f",
        "-qq",
        "-e",
        "trace=connect,sendto,sendmsg,sendmmsg",
        "-e",
        "signal=none",
        "-o",
        str(trace),
    ]
    async with AsyncExitStack() as stack:
        first = await stack.enter_async_context(
            scripted_peer(archive(finds(study())), host=hosts[0])
        )
        peers = [first] + [
            await stack.enter_async_context(
                scripted_peer(archive(finds(study())), host=host, port=first.port)
            )
            for host in hosts[1:]
        ]
        command = ["audit", *arguments, "--ports", str(first.port), "--timeout", "2"]
        async with doorward(command, folder / "home", wrapper=wrapper) as done:
            exit_code = done.exit_code
    return addresses_in(trace), exit_code, {peer.host: len(peer.calls) for peer in peers}


def scope_file(folder: Path, **fields: object) -> str:
    """Write a scope file that is valid now, and return its path."""
    today = datetime.now(UTC).astimezone().date()
    values: dict[str, object] = {
        "organisation": "Synthetic Hospital",
        "networks": ["127.0.0.0/8"],
        "exclude": [],
        "authorised_by": "Test",
        "contact": "test@hospital.invalid",
        "clearance_level": 3,
    }
    values |= fields
    text = "\n".join(f"{name} = {value!r}" for name, value in values.items()).replace("'", '"')
    path = folder / "scope.toml"
    path.write_text(
        f"{text}\nvalid_from = {today - timedelta(days=2)}\nvalid_until = {today + timedelta(days=2)}\n"
    )
    return str(path)


@pytest.mark.peer("strace")
def test_system_calls_name_only_addresses_in_scope(tmp_path):
    """A network with an exclusion in it: eight archives listen, the excluded ones are never called."""
    hosts = [f"127.0.13.{n}" for n in range(1, 7)]
    excluded = {"127.0.13.4", "127.0.13.5"}
    scope = scope_file(tmp_path, exclude=["127.0.13.4/31"])
    seen, code, calls = asyncio.run(
        _traced(["127.0.13.0/29", "--scope", scope, "--level", "3"], tmp_path, hosts)
    )
    assert code == ExitCode.FOUND
    assert seen == set(map(str, ip_network("127.0.13.0/29"))) - excluded
    assert {host for host, count in calls.items() if count} == set(hosts) - excluded


@pytest.mark.peer("strace")
@pytest.mark.parametrize("target", ["192.0.2.1", "::ffff:192.0.2.1", "2001:db8::1", "127.0.13.4"])
def test_a_refused_target_causes_no_system_call_at_all(target, tmp_path):
    scope = scope_file(tmp_path, exclude=["127.0.13.4/32"])
    seen, code, calls = asyncio.run(_traced([target, "--scope", scope], tmp_path, ["127.0.13.4"]))
    assert code == ExitCode.OUT_OF_SCOPE
    assert seen == set()
    assert not any(calls.values())


@pytest.mark.peer("strace")
def test_a_name_is_looked_up_and_then_only_its_addresses_are_called(tmp_path):
    seen, code, calls = asyncio.run(_traced(["localhost"], tmp_path, ["127.0.0.1"]))
    assert code == ExitCode.FOUND
    assert calls["127.0.0.1"] > 2
    assert seen <= {"127.0.0.1", "::1"}
