"""Elasticsearch and OpenSearch: what ``GET /`` without a password shows (Elasticsearch Guide, "Info API").

Pure: one HTTP answer in, a greeting out. The body also names node and cluster: only the version is taken from it.
"""

import re

from doorward.greetings.conversation import Access, Greeting, version_in

#: What a body must hold to be that of Elasticsearch and nothing that merely answers 200 to everybody.
_MARKS = (b'"cluster_name"', b'"lucene_version"')
_VERSION = re.compile(rb'"number"\s{0,8}:\s{0,8}"([0-9A-Za-z.+-]{1,32})"')
_OPENSEARCH = re.compile(rb'"distribution"\s{0,8}:\s{0,8}"opensearch"')
_REALM = re.compile(r'realm="(security|OpenSearch Security)"')


def read_answer(status: int, challenge: str, body: bytes | bytearray) -> Greeting | None:
    """Return what one answer to ``GET /`` shows, None where it is not that of such a server.

    ``challenge`` is the WWW-Authenticate header.
    """
    if status == 200 and all(mark in body for mark in _MARKS):
        number = _VERSION.search(body)
        return Greeting(
            product="OpenSearch" if _OPENSEARCH.search(body) else "Elasticsearch",
            version="" if number is None else version_in(number[1]),
            access=Access.OPEN,
        )
    realm = _REALM.search(challenge)
    if status in (401, 403) and realm is not None:
        is_opensearch = realm[1] != "security"
        return Greeting(
            product="OpenSearch" if is_opensearch else "Elasticsearch",
            access=Access.DEMANDED,
            method="HTTP login",
            code=str(status),
        )
    return None
