"""No false open: web answers that look open and are not, each by its name, lead to no finding (issue 3, shown 3)."""

import asyncio

import pytest

from doorward.audit.approach import Approach, Pace, attempt
from doorward.audit.checks import CATALOGUE, rule_of
from doorward.audit.door import Door
from doorward.audit.facts import Endpoint, SystemFacts
from doorward.audit.probes import dicomweb, web, web_hygiene
from doorward.audit.scope import Scope
from doorward.audit.verdict import Verdict
from doorward.audit.web_facts import Access, DicomWebFacts, WebFacts
from hostile_web import BOUNDS, OPEN_LOOKING
from loopback import HOST, limits
from open_web import OpenArchive
from seen import NOW
from web_servers import web_server

#: What a stranger could use; the others are about transport and manners, where these servers may well fail.
OPEN = (
    "web_qido_open",
    "web_wado_open",
    "web_stow_open",
    "web_rest_open",
    "web_viewer_open",
    "web_cors_any",
    "web_console_open",
    "web_wado_uri_open",
)
#: A shell that opens for everybody is an open page; that alone is no finding.
SHELLS = {"an application everywhere with the title of a viewer"}


async def audited(respond, *, level=2) -> SystemFacts:
    """Ask one server with all three web probes."""
    async with web_server(respond) as server:
        bounds = limits(**BOUNDS)
        approach = Approach(
            endpoint=Endpoint(address=HOST, port=server.port),
            gate=Scope.loopback(),
            pace=Pace(0.0),
            limits=bounds,
        )
        attempts = [
            await attempt("web", approach, web.asker(level=level)),
            await attempt("dicomweb", approach, dicomweb.asker(level=level)),
            await attempt("web_hygiene", approach, web_hygiene.ask),
        ]
    return SystemFacts(address=HOST, name="", clearance_level=level, attempts=tuple(attempts))


@pytest.mark.parametrize("name", OPEN_LOOKING)
def test_what_looks_open_and_is_not_is_no_finding(name):
    system = asyncio.run(audited(OPEN_LOOKING[name]))
    for seen in (a.facts for a in system.attempts):
        if isinstance(seen, DicomWebFacts):
            assert [r.root for r in seen.roots if r.qido is Access.OPEN] == []
            assert seen.studies.value is None
        if isinstance(seen, WebFacts):
            assert [r.product for r in seen.rest if r.access is Access.OPEN] == []
            if name not in SHELLS:
                assert [v.product for v in seen.viewers if v.access is Access.OPEN] == []
    door = Door(system=system, port=system.attempts[0].endpoint.port)
    verdicts = {check: rule_of(check).rule(door, NOW).verdict for check in OPEN}
    assert Verdict.FAIL not in verdicts.values(), verdicts


def test_a_door_that_is_open_is_called_so_by_the_same_questions():
    system = asyncio.run(audited(OpenArchive(studies=7).respond))
    door = Door(system=system, port=system.attempts[0].endpoint.port)
    verdicts = {check: rule_of(check).rule(door, NOW).verdict for check in OPEN}
    assert [c for c in OPEN if verdicts[c] is Verdict.FAIL] == [
        "web_qido_open",
        "web_wado_open",
        "web_stow_open",
        "web_cors_any",
        "web_wado_uri_open",
    ]


def test_there_are_at_least_thirty_of_them_and_their_names_differ():
    assert len(OPEN_LOOKING) >= 30
    assert len({id(respond) for respond in OPEN_LOOKING.values()}) == len(OPEN_LOOKING)


def test_every_check_named_here_exists():
    assert set(OPEN) <= {check.id for check in CATALOGUE}
