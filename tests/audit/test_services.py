"""What a port is called in a report: its protocol by what answered, its product by our own tables."""

import pytest

from doorward.audit.database_facts import DatabaseFacts
from doorward.audit.door import Door
from doorward.audit.facts import Attempt, Endpoint, Outcome, PortState, ReachFacts
from doorward.audit.file_facts import FtpFacts
from doorward.audit.services import service_of
from doorward.audit.share_facts import ShareFacts
from doorward.audit.web_facts import Access, DebuggerFacts
from seen import ANYBODY, CLOSED, FILTERED, HTTP, MUTUAL, SILENT, seen, system
from web_seen import rest, server, web, web_door


def served(facts, probe="x", port=104):
    endpoint = Endpoint(address="10.1.2.3", port=port)
    made = Attempt(probe=probe, endpoint=endpoint, outcome=Outcome.ANSWERED, facts=facts)
    return service_of(Door(system=system(made), port=port))


@pytest.mark.parametrize(
    ("facts", "protocol"),
    [
        (ANYBODY, "dicom"),
        (MUTUAL, "tls"),
        (HTTP, "http"),
        (SILENT, "unknown"),
        (CLOSED, "closed"),
        (FILTERED, "filtered"),
    ],
)
def test_dicom_ports_are_named_by_their_answer(facts, protocol):
    assert service_of(Door(system=seen(facts), port=104)).protocol == protocol


@pytest.mark.parametrize(
    ("facts", "protocol", "product"),
    [
        (
            DatabaseFacts(protocol="redis", is_recognised=True, product="Redis", version="7.0.15"),
            "redis",
            "Redis 7.0.15",
        ),
        (ShareFacts(protocol="smb", is_recognised=True), "smb", ""),
        (FtpFacts(is_recognised=True, product="vsftpd", version="3.0.3"), "ftp", "vsftpd 3.0.3"),
        (DebuggerFacts(is_jdwp=True), "jdwp", ""),
        (DatabaseFacts(protocol="redis"), "not_tested", ""),
    ],
)
def test_other_doors_are_named_by_who_recognised_them(facts, protocol, product):
    service = served(facts)
    assert (service.protocol, service.product) == (protocol, product)
    assert service.confidence == ("claim" if product else "")


def test_an_open_port_that_nobody_recognised_is_unknown():
    assert served(ReachFacts(port_state=PortState.OPEN), "reach").protocol == "unknown"


def test_an_archive_on_the_web_goes_before_the_server_that_carries_it():
    service = service_of(web_door(web(products=(server(),), rest=(rest(Access.LOGIN),))))
    assert (service.protocol, service.product, service.version) == (
        "http",
        "Orthanc 1.10.1",
        "1.10.1",
    )


def test_an_interface_that_is_not_there_names_nobody():
    service = service_of(web_door(web(products=(server(),), rest=(rest(Access.ABSENT),))))
    assert service.product == "nginx 1.18.0"


def test_a_page_that_came_over_tls_only_is_https():
    assert service_of(web_door(web(over_tls=True))).protocol == "https"
