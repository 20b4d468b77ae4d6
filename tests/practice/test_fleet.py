"""Many archives in one process: each is reached under its own address, and they end together."""

import socket
from dataclasses import replace

import pytest

from doorward.errors import ConfigError
from doorward.net.client import associate
from doorward.practice.fleet import fleet, needs_certificates
from doorward.practice.settings import from_names
from loopback import OpenGate, calling, in_loop, proposal
from practising import found, practising, surveyed

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
    async with practising(*["query-only"] * 100, studies=11) as running:
        systems = await surveyed(running)
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


def test_certificates_are_needed_by_those_with_tls():
    assert needs_certificates(from_names(["open", "mutual-tls"]))
    assert not needs_certificates(from_names(["open", "http"]))
