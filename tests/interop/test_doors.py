"""Each door of docs/doors.md, open and shut, on a real server: the whole audit fails the checks of its row and no others."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from certificates import Certificates
from door_forms import AUDITED, Form, House
from doorward.audit import itinerary
from doorward.audit.approach import Approach, Pace, attempt
from doorward.audit.facts import Attempt, Endpoint, SystemFacts
from doorward.audit.judge import judge
from doorward.audit.probes import tls_depth
from doorward.audit.scope import Scope
from doorward.audit.survey import SurveySettings, survey
from doorward.audit.targets import Target
from doorward.audit.verdict import Finding, Severity, Verdict
from doorward.limits import DEFAULT_LIMITS
from synthetic import Known
from tls_configurations import CONFIGURATIONS, FAILS

pytestmark = pytest.mark.interop

#: These say how old a server is today, not how it is set up.
OF_ITS_TIME = frozenset(
    {"web_server_outdated", "product_version_vulnerable", "product_web_version_vulnerable"}
)
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
    assert form.passes <= {f.check for f in findings if f.verdict is Verdict.PASS}
    assert not [canary for canary in known.canaries if canary in repr(findings)]


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.peer(name.partition(":")[0]))
        if not name.startswith("python")
        else name
        for name in CONFIGURATIONS
    ],
)
def test_tls_is_judged_as_it_is(name: str, tmp_path: Path, certificates: Certificates) -> None:
    with CONFIGURATIONS[name](tmp_path, certificates) as port:
        approach = Approach(
            endpoint=Endpoint(address="127.0.0.1", port=port),
            gate=Scope.loopback(),
            pace=Pace(0.0),
            limits=HURRIED,
        )
        made = asyncio.run(attempt("tls_depth", approach, tls_depth.ask))
    system = SystemFacts(address="127.0.0.1", name="", clearance_level=2, attempts=(made,))
    verdicts = {f.check: f for f in judge(system, now=datetime.now(UTC)).findings}
    failed = {
        check
        for check, finding in verdicts.items()
        if finding.verdict is Verdict.FAIL and finding.severity > Severity.INFO
    }
    assert {check for check in failed if check.startswith("tls_")} == FAILS[name]
    assert (
        "tls_ssl3_offered" in {c for c, f in verdicts.items() if f.verdict is Verdict.PASS} | failed
    )
