"""Elasticsearch and OpenSearch by their first page; a web server that answers 200 to everything is neither."""

import pytest

from doorward.greetings.conversation import Access
from doorward.greetings.elasticsearch import read_answer

#: Elasticsearch Guide 8.13, "Info API", with names that must not be brought home.
PAGE = b"""{
  "name" : "CANARY-node",
  "cluster_name" : "CANARY-cluster",
  "cluster_uuid" : "jJ6qZ2aZT3m",
  "version" : { "number" : "8.13.4", "build_flavor" : "default", "lucene_version" : "9.10.0" },
  "tagline" : "You Know, for Search"
}"""
OPENSEARCH = PAGE.replace(b'"number"', b'"distribution" : "opensearch", "number"').replace(
    b"8.13.4", b"2.14.0"
)


def test_the_first_page_without_a_password_is_open():
    seen = read_answer(200, "", PAGE)
    assert (seen.product, seen.version, seen.access) == ("Elasticsearch", "8.13.4", Access.OPEN)
    assert "CANARY" not in repr(seen)


def test_opensearch_is_told_apart():
    assert read_answer(200, "", OPENSEARCH).product == "OpenSearch"


def test_a_page_without_a_version_is_open_all_the_same():
    assert read_answer(200, "", PAGE.replace(b"number", b"digits")).version == ""


@pytest.mark.parametrize(
    ("challenge", "product"),
    (
        ('Basic realm="security" charset="UTF-8"', "Elasticsearch"),
        ('Basic realm="security", ApiKey', "Elasticsearch"),
        ('Basic realm="OpenSearch Security"', "OpenSearch"),
    ),
)
def test_a_demand_for_a_login_is_recognised_by_its_realm(challenge, product):
    seen = read_answer(401, challenge, b"")
    assert (seen.product, seen.access, seen.code) == (product, Access.DEMANDED, "401")


@pytest.mark.parametrize(
    ("status", "challenge", "body"),
    (
        (200, "", b"<html>It works!</html>"),
        (200, "", b'{"cluster_name": "x"}'),
        (401, 'Basic realm="Router"', b""),
        (401, "", b""),
        (404, "", PAGE),
        (302, "", b""),
    ),
)
def test_another_web_server_is_none(status, challenge, body):
    assert read_answer(status, challenge, body) is None
