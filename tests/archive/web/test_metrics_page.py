"""Figures for whoever may read the journal or administer; everybody else learns nothing, not even on this machine."""

from pathlib import Path

import pytest

from archives import EVERYTHING
from doorward.access.identity import Operation, Role, Service
from doorward.access.journal.record import Event
from doorward.access.rules import Effect, Rule, Rules
from doorward.archive.web.metrics_page import counted, routes
from loopback import in_loop
from web_archives import SERVICES, WebArchive, web_archive

WATCHER = Service(name="prometheus", role=Role.AUDITOR)
READING = Rule(
    name="housekeeping", effect=Effect.ALLOW, operations=frozenset({Operation.READ_JOURNAL})
)
TYPE = "text/plain; version=0.0.4; charset=utf-8"


async def text() -> bytes:
    return b"doorward_up 1\n"


def site_for(folder: Path, rules: Rules = EVERYTHING):
    return web_archive(
        folder,
        services=(*SERVICES, WATCHER),
        rules=Rules(rules=(*rules.rules, READING)),
        extra_routes=lambda archive: routes(archive, text, TYPE),
    )


def bearer(site: WebArchive, owner: str, operation: Operation) -> dict[str, str]:
    return {"Authorization": f"Bearer {site.token(owner, [operation])}"}


def test_a_token_for_the_journal_shows_them_and_nobody_else_sees_any(tmp_path: Path) -> None:
    with site_for(tmp_path) as site:
        known = bearer(site, "prometheus", Operation.READ_JOURNAL)
        answer = site.get("/metrics", who=None, **known)
        assert (answer.status, answer.body) == (200, b"doorward_up 1\n")
        assert answer.headers["content-type"] == TYPE
        assert site.get("/metrics", who=None).status == 401
        assert site.get("/metrics", who="ws1").status == 403
        other = bearer(site, "viewer", Operation.QUERY)
        assert site.get("/metrics", who=None, **other).status == 403
        refused = [one.entry for one in site.journal() if one.entry.event is Event.REFUSAL]
        assert [(one.identity, one.operation) for one in refused if one.identity] == [
            ("ws1", "read_journal"),
            ("viewer", "read_journal"),
        ]
        site.revoke("prometheus")
        assert site.get("/metrics", who=None, **known).status == 401


@pytest.mark.parametrize("status", [200, 404])
@in_loop
async def test_each_answer_is_counted_once_by_method_and_status(status):
    heard, sent = [], []

    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": status})
        await send({"type": "http.response.body", "body": b""})

    async def send(message):
        sent.append(message["type"])

    run = counted(app, lambda *what: heard.append(what))
    await run({"type": "http", "method": "GET"}, None, send)
    assert heard == [("GET", status)]
    assert sent == ["http.response.start", "http.response.body"]
