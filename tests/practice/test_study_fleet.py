"""The systems of a study become archives that hold, together, what the study says."""

import gc
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from doorward.net.client import associate
from doorward.practice.certificates import make_certificates
from doorward.practice.fleet import fleet, secured
from doorward.practice.personas import PERSONAS, Speaks, TlsDemand
from doorward.practice.study_fleet import (
    DESCRIPTIONS,
    STUDIES,
    archive,
    archives,
    openable,
    table,
)
from doorward.practice.study_system import Behaviour, StudySystem, Web, truth, unprivileged
from loopback import OpenGate, in_loop, proposal
from practising import found

SYSTEM = StudySystem(
    address="127.16.0.10",
    country="US",
    site="Site US-001",
    owner="Owner US-001",
    port=104,
    behaviour=Behaviour.READ_ONLY,
    asked=(104,),
    studies=23,
    images=170,
    patients=5,
    implementation_class_uid="1.2.276.0.7230010.3.0.3.6.4",
    implementation_version_name="OFFIS_DCMTK_364",
)


@pytest.mark.parametrize("behaviour", Behaviour)
def test_every_behaviour_is_a_persona(behaviour):
    made = archive(replace(SYSTEM, behaviour=behaviour), 0)
    assert made.persona.name == behaviour.value


def test_an_archive_has_the_address_the_names_and_the_holding_of_its_system():
    made = archive(SYSTEM, 41)
    assert (made.address, made.port) == ("127.16.0.10", 104)
    holding = made.holding
    assert (holding.studies, holding.images, holding.patients, holding.seed) == (23, 170, 5, 42)
    assert made.persona.implementation_version_name == "OFFIS_DCMTK_364"
    assert made.persona.implementation_class_uid == "1.2.276.0.7230010.3.0.3.6.4"
    assert made.doors == ()


@pytest.mark.parametrize(
    ("web", "speaks", "banner"),
    (
        (Web.VIEWER, Speaks.VIEWER, "nginx/1.10.3"),
        (Web.LISTING, Speaks.LISTING, "Microsoft-IIS/7.5"),
        (Web.FTP, Speaks.FTP, ""),
    ),
)
def test_what_stands_beside_the_archive_is_a_door_of_it(web, speaks, banner):
    (door,) = archive(replace(SYSTEM, web=web, web_port=81, web_banner=banner), 0).doors
    assert (door.port, door.persona.speaks) == (81, speaks)
    assert door.persona.banner == (banner or "(vsFTPd 2.2.2)")


def test_a_second_door_is_open_where_the_first_is_closed():
    made = archive(
        replace(
            SYSTEM,
            behaviour=Behaviour.FILTERED,
            second_port=4242,
            second_behaviour=Behaviour.QUERY_ONLY,
        ),
        0,
    )
    assert made.persona.speaks is Speaks.FILTERED
    (door,) = made.doors
    assert (door.port, door.persona.name) == (4242, "query-only")
    assert door.persona.implementation_version_name == "OFFIS_DCMTK_364"


@pytest.mark.parametrize("name", STUDIES)
def test_archives_add_up_to_the_truth_of_the_study(name):
    systems = STUDIES[name](1)
    made = archives(systems)
    for system, one in zip(systems, made, strict=True):
        open_doors = [
            persona
            for persona in (one.persona, *(door.persona for door in one.doors))
            if persona.speaks is Speaks.DICOM and "E5" in persona.rungs
        ]
        assert bool(open_doors) is bool(system.archive_port)
        if open_doors:
            assert ("get" in open_doors[0].services) is (
                system.is_retrievable or system.is_set_apart
            )
    total = truth(systems).total
    exposed = [o for s, o in zip(systems, made, strict=True) if s.is_unprotected]
    assert sum(one.holding.studies for one in exposed) == total.studies
    assert sum(one.holding.images for one in exposed) == total.images
    assert sum(one.holding.patients for one in exposed) == total.patients


def test_of_the_study_of_2019_the_table_ends_with_the_published_sums():
    *rows, last = table(truth(STUDIES["study-2019"](1)))
    assert last.split() == [
        *("all", "systems", "2,300", "unprotected", "590", "studies", "24,300,000"),
        *("images", "737,000,000", "downloadable", "400,000,000"),
    ]
    assert rows[0].startswith("US ")
    assert "187" in rows[0]
    assert len({len(row) for row in rows}) == 1


def test_every_study_is_described_in_one_sentence():
    assert list(DESCRIPTIONS) == list(STUDIES)
    assert all(text.endswith(".") for text in DESCRIPTIONS.values())


def test_who_may_not_open_low_ports_gets_higher_ones(monkeypatch):
    def forbidden(address: str, port: int) -> object:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("doorward.practice.study_fleet.refusing_port", forbidden)
    assert openable((SYSTEM,)) == unprivileged((SYSTEM,))
    assert openable((SYSTEM,))[0].port == 10_104


def test_who_may_open_them_keeps_them():
    systems = (replace(SYSTEM, port=11_112),)
    assert openable(systems) == systems


def resident_mib() -> int:
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * 4_096 >> 20


@in_loop
async def test_the_whole_study_starts_in_little_memory_and_answers(tmp_path):
    systems = STUDIES["study-2019"](1)
    made = [
        replace(one, port=0, doors=tuple(replace(door, port=0) for door in one.doors))
        for one in archives(systems)
    ]
    addresses = [one.address for one in made if secured(one)]
    certificates = make_certificates(tmp_path, now=datetime.now(UTC), addresses=addresses)
    gc.collect()
    before = resident_mib()
    async with fleet(made, certificates=certificates) as running:
        assert len(running) == 2_300
        assert sum(1 + len(one.more_ports) for one in running) > 2_400
        assert resident_mib() - before < 150
        counts = []
        for system, one in list(zip(systems, running, strict=True))[::150]:
            if not system.is_unprotected or system.behaviour is Behaviour.TLS:
                continue
            what = proposal([("1.2.840.10008.5.1.4.1.2.2.1", ("1.2.840.10008.1.2",))])
            async with associate(one.address, one.port, what, gate=OpenGate()) as requestor:
                day = (0x0008_0020, "DA", "18900101")
                _, matches = await found(requestor, ((0x0008_0052, "CS", "STUDY"), day))
                counts.append(len(matches) - -(-system.studies // 365))
        assert counts
        assert set(counts) == {0}


def test_no_archive_of_a_study_needs_a_certificate_but_those_with_tls():
    for one in archives(STUDIES["sixty-days-later"](1_000)):
        personas = (one.persona, *(door.persona for door in one.doors))
        assert secured(one) is any(p.tls is not TlsDemand.NONE for p in personas)
        assert all(persona.name in PERSONAS or persona.name == "ftp" for persona in personas)
