"""Imaging ports: the Standard's are always tried, and none is listed twice."""

from doorward.audit.probes import databases, ftp, shares
from doorward.knowledge.ports import audited_ports, expected_protocol, known_ports


def test_the_registered_ports_and_orthanc_are_tried_by_default():
    assert {104, 11112, 2762, 4242} <= set(audited_ports())


def test_every_kind_of_door_is_tried_by_default():
    tried = {expected_protocol(p) for p in audited_ports()}
    assert {"dicom", "dicom-tls", "http", "https", "hl7", "ftp", "smb", "nfs", "ldap"} <= tried
    assert {"postgresql", "mysql", "mssql", "mongodb", "redis", "elasticsearch", "jdwp"} <= tried


def test_no_port_is_listed_twice_and_each_is_a_port():
    numbers = [p.port for p in known_ports()]
    assert len(numbers) == len(set(numbers))
    assert all(0 < n < 65536 for n in numbers)


def test_every_source_and_protocol_is_a_known_word():
    assert {p.source for p in known_ports()} <= {"standard", "product", "tool"}
    words = {"dicom", "dicom-tls", "dicom-iscl", "http", "https", "hl7", "hl7-tls"}
    words |= set(databases.PROTOCOLS | shares.PROTOCOLS) | set(ftp.PROTOCOLS) | {"jdwp"}
    assert {p.protocol for p in known_ports()} <= words


def test_nothing_is_expected_on_a_port_that_nobody_knows():
    assert expected_protocol(9) == ""
    assert expected_protocol(2762) == "dicom-tls"
