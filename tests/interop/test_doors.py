"""Each door of docs/doors.md, open and shut, on a real server: the whole audit fails the checks of its row and no others."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from certificates import Certificates
from door_forms import AUDITED, Form, House
from doorward.audit import itinerary
from doorward.audit.facts import Attempt, SystemFacts
from doorward.audit.judge import judge
from doorward.audit.scope import Scope
from doorward.audit.survey import SurveySettings, survey
from doorward.audit.targets import Target
from doorward.audit.verdict import Finding, Severity, Verdict
from doorward.limits import DEFAULT_LIMITS
from synthetic import Known

pytestmark = pytest.mark.interop

#: These say how old a server is today, not how it is set up.
OF_ITS_TIME = frozenset({"web_server_outdated", "product_version_vulnerable"})
HURRIED = replace(DEFAULT_LIMITS, probe_gap_s=0.0, congestion_pause_s=0.02, hl7_listen_s=0.2)


class Quiet:
    """An observer that says nothing."""

    def system_started(self, target: Target) -> None: ...
    def probe_finished(self, attempt: Attempt) -> None: ...
    def system_finished(self, system: SystemFacts) -> None: ...


def audited(port: int, form: Form, house: House) -> tuple[Finding, ...]:
    """Survey and judge one port of this machine, as ``doorward audit`` does."""
    trusted = house.certificates.authority.certificate_path if form.trusts else None
    settings = SurveySettings(limits=HURRIED, tls_ca_file=trusted, **form.settings)
    target = Target(host="127.0.0.1", ports=(port,))
    (facts,) = asyncio.run(
        survey([target], scope=Scope.loopback(), settings=settings, observer=Quiet())
    )
    return judge(facts, now=datetime.now(UTC)).findings


@pytest.mark.parametrize(
    "form",
    [
        pytest.param(
            form,
            id=f"{form.door}: {form.server}, {form.name}",
            marks=pytest.mark.peer(*form.peers),
        )
        for form in AUDITED
    ],
)
def test_a_door_is_judged_as_it_stands(
    form: Form,
    tmp_path: Path,
    certificates: Certificates,
    known: Known,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # The server sits on a free port; in the field its number says what to expect.
    monkeypatch.setattr(itinerary, "expected_protocol", lambda _: form.protocol)
    house = House(folder=tmp_path, certificates=certificates, images=tuple(known.files))
    with form.start(house) as port:
        findings = audited(port, form, house)
    failed = {
        finding.check
        for finding in findings
        if finding.verdict is Verdict.FAIL and finding.severity > Severity.INFO
    }
    assert failed - OF_ITS_TIME == form.fails
    assert not [canary for canary in known.canaries if canary in repr(findings)]
