"""Sums, lists and ports of a handful of made-up systems."""

import csv
import io
from dataclasses import replace

import pytest

from doorward.practice.personas import PERSONAS
from doorward.practice.study_system import (
    ANSWERING,
    COLUMNS,
    GIVING_AWAY,
    SET_APART,
    Behaviour,
    StudySystem,
    Web,
    inventory,
    truth,
    unprivileged,
)


def system(address="127.16.0.10", behaviour=Behaviour.OPEN, **values):
    known = {
        "country": "US",
        "site": "Site US-007",
        "owner": "Owner US-001",
        "port": 104,
        "asked": (104,),
        "studies": 10,
        "images": 70,
        "patients": 3,
        "implementation_class_uid": "2.25.1",
        "implementation_version_name": "",
    }
    return StudySystem(address=address, behaviour=behaviour, **(known | values))


@pytest.mark.parametrize("behaviour", Behaviour)
def test_every_behaviour_is_a_persona_and_does_what_the_study_says_of_it(behaviour):
    rungs = PERSONAS[behaviour].rungs
    assert ("E5" in rungs) == (behaviour in ANSWERING | SET_APART)
    assert ("E6" in rungs) == (behaviour in GIVING_AWAY | SET_APART)


def test_only_unprotected_archives_are_added_up():
    systems = (
        system(),
        system(behaviour=Behaviour.QUERY_ONLY, studies=5, images=9, patients=2),
        system(behaviour=Behaviour.CLOSED, studies=100),
        system(behaviour=Behaviour.HONEYPOT, studies=100),
        system(behaviour=Behaviour.DEMO, studies=100, country="FR"),
    )
    found = truth(systems)
    total = found.total
    assert (total.systems, total.unprotected, total.retrievable, total.set_apart) == (5, 2, 1, 2)
    assert (total.studies, total.images, total.patients) == (15, 79, 5)
    assert total.images_retrievable == 70
    assert found.exposed_countries == ("US",)
    assert found.countries["FR"].systems == 1


def test_doors_of_the_web_are_counted_by_kind():
    systems = [system(web=web, web_port=80) for web in (Web.VIEWER, Web.LISTING, Web.FTP, Web.FTP)]
    total = truth(systems).total
    assert (total.viewers, total.listings, total.ftp_servers, total.file_servers) == (1, 1, 2, 3)


def test_an_archive_on_a_port_that_nobody_asked_is_not_found():
    hidden = system(
        behaviour=Behaviour.REFUSED, second_port=4242, second_behaviour=Behaviour.READ_ONLY
    )
    assert hidden.archive_port == 4242
    assert truth([hidden]).total.unprotected == 0
    asked = replace(hidden, asked=(104, 4242))
    assert asked.is_unprotected
    assert asked.is_retrievable
    assert truth([asked]).total.images_retrievable == 70


def rows(systems, **options):
    return list(csv.DictReader(io.StringIO("".join(inventory(systems, **options)))))


def test_the_inventory_lists_what_is_asked_and_nothing_of_what_is_known():
    (row,) = rows(
        [
            system(
                behaviour=Behaviour.REFUSED,
                second_port=4242,
                second_behaviour=Behaviour.OPEN,
                asked=(104, 80),
                region="Kerala",
                is_drawn=False,
            )
        ]
    )
    assert row == {
        "address": "127.16.0.10",
        "ports": "104;80",
        "site": "Site US-007",
        "owner": "Owner US-001",
        "contact": "security@us-007.example",
        "country": "US",
        "tags": "practice;Kerala",
    }
    assert tuple(row) == COLUMNS


def test_more_ports_may_be_asked_of_everybody():
    assert rows([system(), system(port=11_112, asked=(11_112,))], also=(104, 4242))[1]["ports"] == (
        "11112;104;4242"
    )
    assert rows([system()], also=(104, 4242))[0]["ports"] == "104;4242"


def test_neighbours_in_the_inventory_are_in_different_networks():
    addresses = [f"127.{network}.0.{host}" for network in (16, 17) for host in (10, 11)]
    listed = [row["address"] for row in rows([system(address) for address in addresses])]
    assert listed == ["127.16.0.10", "127.17.0.10", "127.16.0.11", "127.17.0.11"]


def test_ports_that_need_privileges_are_moved_together_with_the_list():
    (moved,) = unprivileged([system(web=Web.FTP, web_port=21, asked=(104, 21, 11_112))])
    assert (moved.port, moved.second_port, moved.web_port) == (10_104, 0, 2_121)
    assert moved.asked == (10_104, 2_121, 11_112)
    assert moved.is_unprotected
