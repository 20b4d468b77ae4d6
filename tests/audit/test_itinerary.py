"""Which questions a port is asked, by what is expected there and by what it turns out to be."""

import asyncio
import socket
import ssl

import pytest

from certificates import make_certificates
from doorward.audit import itinerary
from doorward.audit.facts import Outcome
from doorward.audit.scope import Scope
from doorward.audit.survey import SurveySettings, survey
from doorward.audit.targets import Target
from doorward.net.tls import server_context
from loopback import HOST, in_loop, limits
from part_archives import Habits, PartArchive, spread
from scripted_peer import archive, finds, scripted_peer, study
from stream_server import read_all, serving
from web_servers import page, speaker, web_server

DICOM = ["association", "transport", "capabilities", "exposure", "attributes"]
WEB = ["web", "dicomweb", "web_hygiene", "listings", "webdav", "fhir"]


class Silent:
    def system_started(self, target):
        pass

    def probe_finished(self, attempt):
        pass

    def system_finished(self, system):
        pass


async def asked(port, **changes):
    """Survey one port; returns its attempts."""
    settings = SurveySettings(
        limits=limits(
            probe_gap_s=0.0,
            part_gap_s=0.0,
            hello_gap_s=0.0,
            associate_s=0.3,
            reply_s=0.3,
            greeting_s=0.3,
            tls_handshake_s=0.5,
            tls_linger_s=0.05,
            release_s=0.1,
        ),
        **changes,
    )
    (system,) = await survey(
        [Target(host=HOST, ports=(port,))],
        scope=Scope.loopback(),
        settings=settings,
        observer=Silent(),
    )
    return system.attempts


def probes(attempts):
    return [a.probe for a in attempts]


@pytest.fixture
def expected(monkeypatch):
    """Say what is expected on the ports of a test."""

    def expect(protocol):
        monkeypatch.setattr(itinerary, "expected_protocol", lambda _: protocol)

    return expect


@pytest.fixture(scope="module")
def credential(tmp_path_factory):
    return make_certificates(tmp_path_factory.mktemp("tls")).server


@in_loop
async def test_a_dicom_port_is_asked_for_associations_first():
    async with scripted_peer(archive(finds(study(3)))) as peer:
        assert probes(await asked(peer.port)) == DICOM


@pytest.mark.parametrize("protocol", ["http", "https", "postgresql", "hl7", "smb", "ftp", "jdwp"])
def test_a_closed_port_is_asked_nothing_more(expected, protocol):
    expected(protocol)
    with socket.socket() as closed:
        closed.bind((HOST, 0))
        port = closed.getsockname()[1]

    async def run():
        return await asked(port)

    attempts = asyncio.run(run())
    assert [(a.probe, a.outcome) for a in attempts] == [("reach", Outcome.ANSWERED)]


@pytest.mark.parametrize(
    ("protocol", "probe"),
    [
        ("postgresql", "databases"),
        ("redis", "databases"),
        ("ldap", "databases"),
        ("smb", "shares"),
        ("nfs", "shares"),
        ("hl7", "hl7"),
        ("ftp", "ftp"),
        ("jdwp", "debugger"),
    ],
)
def test_each_protocol_has_its_question_and_silence_answers_none(expected, protocol, probe):
    expected(protocol)

    async def run():
        async with serving(read_all) as port:
            return await asked(port)

    reached, question = asyncio.run(run())
    assert (reached.probe, reached.outcome) == ("reach", Outcome.ANSWERED)
    assert (question.probe, question.outcome) == (probe, Outcome.INCONCLUSIVE)


def test_a_web_port_is_asked_everything_that_belongs_to_the_web(expected):
    expected("http")

    async def run():
        async with web_server(lambda _: page("Welcome")) as server:
            return await asked(server.port)

    assert probes(asyncio.run(run())) == ["reach", *WEB]


def test_a_web_server_on_a_dicom_port_is_asked_as_one(expected):
    expected("dicom")

    async def run():
        async with speaker(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n") as (port, _):
            return await asked(port)

    found = probes(asyncio.run(run()))
    assert found[:2] == ["association", "web"]
    assert "exposure" not in found


def test_https_is_asked_about_its_tls_and_then_about_the_web(expected, credential):
    expected("https")
    tls = server_context(credential.certificate_path, credential.key_path)

    async def run():
        async with web_server(lambda _: page("Welcome"), tls=tls) as server:
            return await asked(server.port)

    assert probes(asyncio.run(run())) == ["reach", "transport", "tls_depth", *WEB]


def test_default_credentials_are_tried_only_where_the_operator_wants_it(expected):
    expected("http")

    async def run(**changes):
        async with web_server(lambda _: page("Welcome")) as server:
            return await asked(server.port, **changes)

    assert "default_credentials" not in probes(asyncio.run(run(clearance_level=3)))
    wanted = asyncio.run(run(clearance_level=3, try_default_credentials=True))
    assert probes(wanted)[-1] == "default_credentials"
    too_low = asyncio.run(run(clearance_level=2, try_default_credentials=True))
    assert too_low[-1].outcome is Outcome.NOT_TESTED


@pytest.mark.parametrize(
    ("studies", "more", "in_parts"),
    (
        (100, {}, ["parts"]),
        (77, {}, []),
        (77, {"estimate": True}, []),
        (100, {"clearance_level": 1}, []),
    ),
)
def test_an_archive_that_may_have_cut_its_answer_is_asked_again_in_parts(
    expected, studies, more, in_parts
):
    expected("dicom")
    held = PartArchive(spread(studies), Habits())

    async def run():
        async with scripted_peer(archive(held.on_find)) as peer:
            return await asked(peer.port, **more)

    made = asyncio.run(run())
    assert probes(made) == [*DICOM[:4], *in_parts, "attributes"]
    if in_parts:
        assert made[4].facts.studies.value == 100
        assert made[4].facts.studies.exactness == "exact_enumerated"


def test_dicom_over_tls_is_also_asked_what_else_tls_would_take(expected, credential):
    expected("dicom-tls")
    tls = server_context(credential.certificate_path, credential.key_path)
    assert isinstance(tls, ssl.SSLContext)

    async def run():
        async with scripted_peer(archive(finds(study(3))), tls=tls) as peer:
            return await asked(peer.port)

    found = probes(asyncio.run(run()))
    assert found[:4] == ["transport", "association", "tls_depth", "association"]
    assert found[4:] == ["capabilities", "exposure", "attributes"]
