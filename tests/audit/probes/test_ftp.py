"""FTP servers as they are: vsftpd and pyftpdlib, anonymous and not, with TLS wanted, offered and missing."""

import asyncio
from contextlib import asynccontextmanager, suppress

import pytest

from certificates import make_certificates
from doorward.audit.approach import attempt
from doorward.audit.facts import Outcome
from doorward.audit.file_facts import FolderSeen, FtpFacts
from doorward.audit.probes import ftp
from doorward.greetings.ftp import Entry
from doorward.web.file_names import FolderShape
from file_servers import CANARY, make_site, pyftpdlib, vsftpd
from loopback import in_loop
from peers import free_port
from web_servers import answer, speaker, web_server
from web_visitors import web_approach

pytestmark = pytest.mark.interop


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    return make_site(tmp_path_factory.mktemp("ftp") / "site")


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    return make_certificates(tmp_path_factory.mktemp("certificates")).server_rsa


def ask(port, protocol="ftp", level=2):
    made = asyncio.run(attempt("ftp", web_approach(port), ftp.asker(protocol, level=level)))
    assert CANARY not in repr(made)
    return made


def top(site) -> FolderSeen:
    shape = FolderShape(
        entries=site.entries,
        folders=site.folders,
        dicom_names=site.dicom_names,
        number_names=site.number_names,
    )
    return FolderSeen(path="", shape=shape)


@pytest.mark.peer("vsftpd")
def test_vsftpd_lets_anonymous_in(site, tmp_path):
    with vsftpd(tmp_path, site) as port:
        made = ask(port)
        shy = ask(port, level=1)
    assert made.outcome is Outcome.ANSWERED
    assert made.facts == FtpFacts(
        is_recognised=True,
        product="vsftpd",
        version=made.facts.version,
        offers_tls=False,
        takes_plain_user=False,
        anonymous=Entry.ACCEPTED,
        folder=top(site),
    )
    assert made.facts.version.startswith("3.")
    assert made.connections == 3  # manners, login, and the list over its own
    assert (shy.facts.anonymous, shy.facts.folder, shy.connections) == (None, None, 1)


@pytest.mark.peer("vsftpd")
def test_vsftpd_keeps_anonymous_out_and_takes_passwords_in_clear_text(site, tmp_path):
    with vsftpd(tmp_path, site, anonymous=False) as port:
        made = ask(port)
    assert made.facts.anonymous is Entry.REFUSED
    assert (made.facts.takes_plain_user, made.facts.offers_tls) == (True, False)
    assert made.facts.folder is None


@pytest.mark.peer("vsftpd")
def test_vsftpd_that_wants_tls_from_everybody(site, own, tmp_path):
    with vsftpd(tmp_path, site, "force_local_logins_ssl=YES", anonymous=False, own=own) as port:
        made = ask(port)
    assert (made.facts.takes_plain_user, made.facts.offers_tls) == (False, True)
    assert made.facts.anonymous is Entry.REFUSED


@pytest.mark.peer("vsftpd")
@pytest.mark.parametrize("reuse", ["NO", "YES"])
def test_vsftpd_that_lets_anonymous_in_over_tls_only(site, own, tmp_path, reuse):
    lines = (
        "allow_anon_ssl=YES",
        "force_anon_logins_ssl=YES",
        "force_anon_data_ssl=YES",
        f"require_ssl_reuse={reuse}",
    )
    with vsftpd(tmp_path, site, *lines, own=own) as port:
        made = ask(port)
    assert (made.facts.anonymous, made.facts.anonymous_over_tls) == (Entry.ACCEPTED, True)
    # Without reusing the session of the first connection vsftpd gives no data: then the login is known, the list is not.
    assert made.facts.folder == (top(site) if reuse == "NO" else None)


@pytest.mark.peer("vsftpd")
def test_vsftpd_with_tls_from_the_first_byte(site, own, tmp_path):
    lines = ("implicit_ssl=YES", "allow_anon_ssl=YES", "require_ssl_reuse=NO")
    with vsftpd(tmp_path, site, *lines, own=own) as port:
        made = ask(port, "ftps")
    assert made.facts.is_implicit_tls
    assert (made.facts.takes_plain_user, made.facts.anonymous) == (False, Entry.ACCEPTED)
    assert made.facts.folder == top(site)


@pytest.mark.peer("pyftpdlib")
def test_pyftpdlib_anonymous_and_not(site, tmp_path):
    with pyftpdlib(tmp_path / "open", site) as port:
        made = ask(port)
    assert (made.facts.product, made.facts.anonymous) == ("pyftpdlib", Entry.ACCEPTED)
    assert made.facts.folder == top(site)
    assert made.facts.takes_plain_user
    with pyftpdlib(tmp_path / "shut", site, anonymous=False) as port:
        made = ask(port)
    assert (made.facts.anonymous, made.facts.folder) == (Entry.REFUSED, None)


@pytest.mark.peer("pyftpdlib")
def test_a_server_that_points_elsewhere_is_not_followed(site, tmp_path):
    without_epsv = '{k: v for k, v in FTPHandler.proto_cmds.items() if k != "EPSV"}'
    handler = f'{{"masquerade_address": "10.1.2.3", "proto_cmds": {without_epsv}}}'
    with pyftpdlib(tmp_path, site, handler=handler) as port:
        made = ask(port)
    assert made.facts.pointed_elsewhere
    assert made.facts.folder == top(site), "the list came from the audited address"


def test_a_closed_port_is_closed():
    made = ask(free_port())
    assert (made.outcome, made.facts.is_open) == (Outcome.ANSWERED, False)


@asynccontextmanager
async def greeter(words):
    """A server that speaks first and hangs up when its caller does."""

    async def serve(reader, writer):
        writer.write(words)
        with suppress(ConnectionError):
            await reader.read()
        writer.close()

    listener = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield listener.sockets[0].getsockname()[1]
    finally:
        listener.close()
        if serving := asyncio.all_tasks() - {asyncio.current_task()}:
            await asyncio.wait(serving, timeout=2)


@in_loop
async def test_other_servers_are_no_ftp_servers_and_silence_is_no_answer():
    async with web_server(lambda _: answer(200, "hello")) as server:
        made = await attempt(
            "ftp", web_approach(server.port, greeting_s=0.3), ftp.asker("ftp", level=2)
        )
    assert made.outcome is Outcome.INCONCLUSIVE, (
        "it waits for a request, as a server in trouble might"
    )
    for reply in (b"SSH-2.0-OpenSSH_9.2\r\n", b"220 mx ESMTP\r\n"):
        async with greeter(reply) as port:
            made = await attempt("ftp", web_approach(port), ftp.asker("ftp", level=2))
        assert (made.outcome, made.facts.is_recognised) == (Outcome.ANSWERED, False)
    async with speaker(None) as (port, _):
        made = await attempt("ftp", web_approach(port, greeting_s=0.2), ftp.asker("ftp", level=2))
    assert made.outcome is Outcome.INCONCLUSIVE
