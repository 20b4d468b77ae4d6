"""Promise 1, for a survey as a whole: what other tools saw and what a web server points at is asked in scope only.

strace sees every system call of a real ``doorward survey``; behind the addresses that may not be called on loopback there are
servers that would have told.
"""

import asyncio
import re
from collections.abc import Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from auditor_process import Finished, doorward
from doorward.audit.exit_code import ExitCode
from web_servers import WebServer, answer, web_server

pytestmark = [pytest.mark.timeout(60), pytest.mark.peer("strace")]
PORT = 9_990
INSIDE, OTHER, EXCLUDED = "127.71.70.1", "127.71.70.2", "127.71.70.4"
#: Documentation networks (RFC 5737, RFC 3849), for which nobody gave a permission.
ELSEWHERE = ("192.0.2.9", "203.0.113.77", "2001:db8::7")
_CALLED = re.compile(r'inet_addr\("([^"]+)"\)|inet_pton\(AF_INET6, "([^"]+)"')


def scope_file(folder: Path) -> str:
    """Write a permission for another network, with an exclusion on loopback."""
    today = datetime.now(UTC).astimezone().date()
    path = folder / "scope.toml"
    path.write_text(
        f"""organisation = "Synthetic Hospital"
networks = ["198.51.100.0/28"]
exclude = ["{EXCLUDED}/32"]
authorised_by = "Test"
contact = "test@hospital.invalid"
clearance_level = 2
valid_from = {today - timedelta(days=2)}
valid_until = {today + timedelta(days=2)}
"""
    )
    return str(path)


def pointing_at(location: str) -> bytes:
    """A redirect, and a page that says the same in three more ways."""
    page = (
        f"<html><head><title>Orthanc</title><meta http-equiv='refresh' content='0;url={location}'>"
        f"<script src='{location}x.js'></script></head><body><a href='{location}'>viewer</a></body></html>"
    )
    return answer(302, page, headers=[("Location", location)])


async def surveyed(
    arguments: Sequence[str], folder: Path
) -> tuple[Finished, set[str], dict[str, WebServer]]:
    """Survey under strace, with web servers on three addresses; returns every address that was called."""
    trace = folder / "strace"
    calls = "trace=connect,sendto,sendmsg,sendmmsg"
    wrapper = ["strace", "-f", "-qq", "-e", calls, "-e", "signal=none", "-o", str(trace)]
    replies = {
        INSIDE: pointing_at(f"http://{EXCLUDED}:{PORT}/"),
        OTHER: pointing_at(f"http://{ELSEWHERE[0]}/"),
        EXCLUDED: answer(200, "<html><title>never seen</title></html>"),
    }
    async with AsyncExitStack() as stack:
        servers = {}
        for host, reply in replies.items():
            server = web_server(lambda _, reply=reply: reply, host=host, port=PORT)
            servers[host] = await stack.enter_async_context(server)
        scope = ("--scope", scope_file(folder), "--timeout", "1", "--network-rate", "0")
        command = ["survey", *arguments, *scope]
        async with doorward(command, folder / "home", wrapper=wrapper) as done:
            pass
    lines = [line for line in trace.read_text().splitlines() if "recv" not in line]
    called = {v4 or v6 for line in lines for v4, v6 in _CALLED.findall(line)}
    return done, called, servers


def test_what_was_imported_from_outside_is_not_called_and_no_redirect_is_followed(tmp_path):
    file = tmp_path / "seen.csv"
    seen = (INSIDE, OTHER, EXCLUDED, *ELSEWHERE)
    file.write_text("\n".join(("saddr", *seen)) + "\n")
    arguments = ["--import", f"zmap={file}", "--import-port", str(PORT), "--level", "1"]
    done, called, servers = asyncio.run(surveyed(arguments, tmp_path))
    assert b"3 outside the scope" in done.stderr, done.stderr
    assert b"1 excluded by the scope" in done.stderr
    assert called == {INSIDE, OTHER}
    assert len(servers[INSIDE].requests) > 3
    assert len(servers[OTHER].requests) > 3
    assert servers[EXCLUDED].requests == []


@pytest.mark.parametrize("target", [ELSEWHERE[0], ELSEWHERE[2]])
def test_a_named_target_outside_ends_the_survey_before_its_first_packet(target, tmp_path):
    arguments = [INSIDE, target, "--ports", str(PORT)]
    done, called, servers = asyncio.run(surveyed(arguments, tmp_path))
    assert done.exit_code == ExitCode.OUT_OF_SCOPE
    assert called == set()
    assert not any(server.requests for server in servers.values())


def test_a_named_target_that_is_excluded_is_left_out_aloud(tmp_path):
    arguments = [INSIDE, EXCLUDED, "--ports", str(PORT), "--level", "1"]
    done, called, servers = asyncio.run(surveyed(arguments, tmp_path))
    assert b"1 excluded by the scope" in done.stderr
    assert called == {INSIDE}
    assert servers[EXCLUDED].requests == []
