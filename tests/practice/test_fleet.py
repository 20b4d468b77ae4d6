"""Many archives in one process: each is reached under its own address, and they end together."""

import asyncio
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from doorward.audit.survey import SurveySettings
from doorward.errors import AssociationRejected, ConfigError, ConnectFailed, ConnectTimeout
from doorward.net.client import associate
from doorward.net.dial import dial
from doorward.practice.fleet import fleet, needs_certificates
from doorward.practice.personas import FTP, PERSONAS
from doorward.practice.settings import Door, from_names
from loopback import OpenGate, calling, in_loop, limits, proposal
from practising import SHORT, found, practising, surveyed

SOURCE = Path(__file__).resolve().parents[2] / "src"
FIND = [("1.2.840.10008.5.1.4.1.2.2.1", ("1.2.840.10008.1.2",))]


@in_loop
async def test_each_archive_answers_for_itself():
    archives = [
        replace(archive, port=0, address=address)
        for archive, address in zip(
            (*from_names(["open"], studies=3), *from_names(["open"], studies=5)),
            ("127.0.0.1", "127.0.0.1"),
            strict=True,
        )
    ]
    async with fleet(archives) as running:
        counts = []
        for one in running:
            where = (one.address, one.port, proposal(FIND))
            async with associate(*where, gate=OpenGate()) as requestor:
                counts.append(len((await found(requestor, [(0x0008_0052, "CS", "STUDY")]))[1]))
    assert counts == [3, 5]


@in_loop
async def test_a_hundred_archives_are_surveyed_at_once():
    patient = replace(
        SHORT, associate_s=10.0, reply_s=10.0
    )  # one process is both sides, a hundred times
    async with practising(*["query-only"] * 100, studies=11) as running:
        systems = await surveyed(running, SurveySettings(limits=patient))
    assert len({one.address for one in running}) == 100
    exposed = [a.facts.studies.value for s in systems for a in s.of("exposure")]
    assert exposed == [11] * 100


@in_loop
async def test_archives_are_bound_to_their_own_address_only():
    async with practising("open", "http") as running:
        for one in running:
            with socket.socket() as probe:
                assert probe.connect_ex(("127.0.0.99", one.port)) != 0


@in_loop
async def test_everything_is_shut_at_the_end():
    async with practising("half-silent", "http", "silent") as running:
        places = [(one.address, one.port) for one in running]
        held = [calling(port, address) for address, port in places]
        for caller in held:
            await caller.__aenter__()
    for place, caller in zip(places, held, strict=True):
        await caller.__aexit__(None, None, None)
        with socket.socket() as probe:
            assert probe.connect_ex(place) != 0


@pytest.mark.parametrize("persona", ("open", "http"))
@in_loop
async def test_taken_port_is_one_clear_line(persona):
    with socket.create_server(("127.0.1.1", 0)) as taken:
        archives = [replace(a, port=taken.getsockname()[1]) for a in from_names([persona])]
        with pytest.raises(ConfigError, match=r"127\.0\.1\.1 port \d+ is taken") as refused:
            async with fleet(archives):
                pass
    assert "--port-base" in (refused.value.hint or "")


@in_loop
async def test_port_that_may_not_be_opened_is_one_clear_line():
    archives = [replace(archive, address="::ffff:127.0.0.1") for archive in from_names(["open"])]
    with pytest.raises(ConfigError, match="cannot be opened"):
        async with fleet([replace(archives[0], address="192.0.2.1")]):
            pass


@in_loop
async def test_doors_of_an_archive_show_the_same_holding_and_what_stands_beside_it():
    (archive,) = from_names(["closed"], studies=5)
    doors = (
        Door(port=0, persona=PERSONAS["query-only"]),
        Door(port=0, persona=PERSONAS["old-web"]),
        Door(port=0, persona=FTP),
    )
    async with fleet([replace(archive, port=0, doors=doors)]) as (one,):
        archive_port, web_port, ftp_port = one.more_ports
        where = (one.address, archive_port, proposal(FIND))
        async with associate(*where, gate=OpenGate()) as requestor:
            assert len((await found(requestor, [(0x0008_0052, "CS", "STUDY")]))[1]) == 5
        with pytest.raises(AssociationRejected):
            async with associate(one.address, one.port, proposal(FIND), gate=OpenGate()):
                pass
        async with calling(web_port, one.address) as caller:
            await caller.send(b"GET / HTTP/1.1\r\n\r\n")
            assert b"IIS/7.5" in await caller.read()
        async with calling(ftp_port, one.address) as caller:
            assert (await caller.read()).startswith(b"220 (vsFTPd")


@in_loop
async def test_where_nobody_is_heard_a_caller_is_refused_or_waits():
    async with practising("refused", "filtered") as (refused, filtered):
        for one, error in ((refused, ConnectFailed), (filtered, ConnectTimeout)):
            with pytest.raises(error):
                await dial(
                    one.address,
                    one.port,
                    gate=OpenGate(),
                    protocol=asyncio.Protocol,
                    limits=limits(connect_s=0.3),
                )


@in_loop
async def test_filtered_port_that_is_taken_is_one_clear_line():
    with socket.create_server(("127.0.1.1", 0)) as taken:
        archives = [replace(a, port=taken.getsockname()[1]) for a in from_names(["filtered"])]
        with pytest.raises(ConfigError, match="is taken"):
            async with fleet(archives):
                pass


ALLOWING = """
import resource, sys
from doorward.errors import ConfigError
from doorward.practice.fleet import allow_files
from doorward.practice.settings import from_names
resource.setrlimit(resource.RLIMIT_NOFILE, tuple(map(int, sys.argv[1:3])))
try:
    allow_files(from_names([sys.argv[3]] * 500))
except ConfigError as error:
    print(error)
else:
    print(resource.getrlimit(resource.RLIMIT_NOFILE)[0])
"""


@pytest.mark.parametrize(
    ("soft", "hard", "persona", "said"),
    (
        (256, 4_096, "open", "1012"),
        (256, 4_096, "filtered", "1512"),
        (2_000, 4_096, "open", "2000"),
        (256, 900, "open", "500 archives need 1,012 open files, and 900 are allowed"),
    ),
)
def test_as_many_files_are_allowed_as_the_fleet_needs(soft, hard, persona, said):
    done = subprocess.run(  # a process of its own: a lowered limit cannot be raised again
        [sys.executable, "-c", ALLOWING, str(soft), str(hard), persona],
        env={"PYTHONPATH": str(SOURCE)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.startswith(said)


def test_certificates_are_needed_by_those_with_tls():
    assert needs_certificates(from_names(["open", "mutual-tls"]))
    assert not needs_certificates(from_names(["open", "http"]))
