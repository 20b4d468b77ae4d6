"""The FTP server is a real one to curl and to Python's ftplib, lets anonymous in and nobody else, and has no file."""

import asyncio
import ftplib
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from doorward.greetings.ftp import Entry
from doorward.net.ftp import ask_manners, visit_as_anonymous
from doorward.practice.ftp import FtpDoor
from doorward.practice.personas import FTP
from doorward.practice.web import FILES
from loopback import OpenGate, calling, in_loop

ADDRESS = "127.4.5.21"


@asynccontextmanager
async def ftp_server(address: str = ADDRESS) -> AsyncIterator[int]:
    listeners = await FtpDoor(FTP).listen(address, 0)
    try:
        yield listeners[0].sockets[0].getsockname()[1]
    finally:
        for listener in listeners:
            listener.close()


async def curl(port: int, *arguments: str, path: str = "/") -> subprocess.CompletedProcess[str]:
    command = ["curl", "--silent", "--max-time", "5", *arguments, f"ftp://{ADDRESS}:{port}{path}"]
    return await asyncio.to_thread(
        subprocess.run, command, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("arguments", ((), ("--disable-epsv",)))
@in_loop
async def test_curl_lists_the_folder(arguments):
    async with ftp_server() as port:
        names = await curl(port, "--list-only", *arguments)
        whole = await curl(port, *arguments)
    assert names.stdout.split() == list(FILES)
    assert [line.split()[-1] for line in whole.stdout.splitlines()] == list(FILES)


@in_loop
async def test_curl_gets_no_file_and_no_login_but_anonymous():
    async with ftp_server() as port:
        file = await curl(port, path="/IM000001.dcm")
        login = await curl(port, "--user", "somebody:secret")
    assert (file.returncode, file.stdout) == (78, "")  # RETR says no
    assert login.returncode == 67  # login denied


async def told(
    port: int, converse: Callable[[ftplib.FTP], object], address: str = ADDRESS
) -> object:
    def run() -> object:
        with ftplib.FTP() as ftp:
            ftp.connect(address, port, timeout=5)
            return converse(ftp)

    return await asyncio.to_thread(run)


@in_loop
async def test_python_lists_twice_and_says_goodbye():
    def converse(ftp: ftplib.FTP) -> object:
        ftp.login()
        return ftp.pwd(), ftp.nlst(), ftp.nlst(), ftp.sendcmd("SYST"), ftp.quit()

    async with ftp_server() as port:
        answers = await told(port, converse)
    assert answers == ("/", [*FILES], [*FILES], "215 UNIX Type: L8", "221 Goodbye")


@pytest.mark.parametrize(
    ("words", "answer"),
    (
        (("LIST",), "530"),
        (("USER anonymous", "PASS x", "LIST"), "425"),
        (("USER anonymous", "PASS x", "STOR y"), "502"),
        (("USER anonymous", "PASS x", "CWD /.."), "550"),
        (("USER anonymous", "PASS x", "USER root", "PWD"), "530"),
        (("USER root", "PASS root"), "530"),
        (("AUTH TLS",), "502"),
        (("\x00\xff",), "502"),
        (("X" * 600,), "502"),
    ),
)
@in_loop
async def test_other_words_are_answered_with_a_code(words, answer):
    async with ftp_server() as port, calling(port, ADDRESS) as caller:
        said = await caller.read()
        for line in words:
            await caller.send(line.encode("latin-1") + b"\r\n")
            said = await caller.read()
    assert said.startswith(answer.encode())


@in_loop
async def test_a_line_without_end_ends_the_connection():
    async with ftp_server() as port, calling(port, ADDRESS) as caller:
        await caller.read()
        await caller.send(b"X" * 600)
        assert (await caller.read()).startswith(b"500 ")
        assert await caller.read() == b""


@in_loop
async def test_data_belongs_to_the_first_in_line_and_to_nobody_else():
    door = FtpDoor(FTP)
    listeners = await door.listen(ADDRESS, 0)
    port = listeners[0].sockets[0].getsockname()[1]
    async with calling(door.data_port, ADDRESS) as stranger:
        assert await stranger.read() == b""  # nobody waits for it
    async with calling(port, ADDRESS) as first, calling(port, ADDRESS) as second:
        for caller in (first, second):
            await caller.read()
            for words in (b"USER ftp\r\n", b"PASS x\r\n", b"EPSV\r\n"):
                await caller.send(words)
                answer = await caller.read()
            assert answer == b"229 Entering extended passive mode (|||%d|)\r\n" % door.data_port
        await second.send(b"NLST\r\n")
        await first.send(b"NLST\r\n")
        async with calling(door.data_port, ADDRESS) as data:
            assert (await data.read()).split() == [name.encode() for name in FILES]
        assert (await first.read()).startswith(b"150 ")
        async with calling(door.data_port, ADDRESS) as data:
            assert len((await data.read()).split()) == len(FILES)
        assert (await second.read()).startswith(b"150 ")
    for listener in listeners:
        listener.close()


@in_loop
async def test_the_auditor_reads_it_as_a_file_server():
    async with ftp_server() as port:
        manners = await ask_manners(ADDRESS, port, gate=OpenGate())
        visit = await visit_as_anonymous(ADDRESS, port, gate=OpenGate())
    assert (manners.product, manners.version, manners.offers_tls) == ("vsftpd", "2.2.2", False)
    assert visit.entry.entry is Entry.ACCEPTED
    assert visit.shape is not None
    assert visit.shape.dicom_names == len(FILES)
    assert not visit.is_cut


@in_loop
async def test_over_ipv6_there_is_epsv_only():
    def converse(ftp: ftplib.FTP) -> object:
        ftp.login()
        with pytest.raises(ftplib.error_perm, match="522 Network"):
            ftp.sendcmd("PASV")
        return ftp.nlst()

    async with ftp_server("::1") as port:
        assert await told(port, converse, "::1") == [*FILES]
