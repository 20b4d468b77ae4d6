"""A whole survey through the ledger: planned, visited, interrupted, taken up again, reported."""

import statistics
import time
from dataclasses import replace

import pytest

from doorward.audit.facts import AssociationFacts, AssociationReply, Control, PortState, Reply
from doorward.audit.ledger.ledger import Ledger
from doorward.audit.ledger.records import ScanState
from ledgers import NOON, addressed, attempt, plan, standing


def test_a_survey_that_is_interrupted_goes_on_where_it_was(tmp_path):
    file = tmp_path / "ledger"
    addresses = [f"192.0.2.{n}" for n in range(1, 10)]
    with Ledger.open(file) as ledger:
        scan = ledger.begin(plan())
        ledger.add(scan, addressed(*addresses))
        ledger.mark_planned(scan, 9)
        first, second, *_ = ledger.waiting(scan, 4)
        ledger.answered(scan, first.number, attempt(first.address))
        ledger.finished(scan, first.number, standing(first.address), "{}")
        ledger.answered(scan, second.number, attempt(second.address))
        ledger.end(scan, state=ScanState.INTERRUPTED, at=NOON)
    with Ledger.open(file) as ledger:
        row = ledger.unfinished()
        assert row is not None
        assert row.number == scan
        assert row.is_planned
        ledger.resume(scan)
        visitees = ledger.waiting(scan, 100)
        assert [v.address for v in visitees] == addresses[1:]
        assert [len(v.answered) for v in visitees] == [1, *[0] * 7]
        for visitee in visitees:
            ledger.finished(scan, visitee.number, standing(visitee.address), "{}")
        ledger.end(scan, state=ScanState.FINISHED, at=NOON)
        assert ledger.unfinished() is None
        assert ledger.progress(scan).waiting == 0
    with Ledger.read(file) as reader, reader.snapshot():
        assert [s.address for s in reader.standings(scan)] == addresses
        assert reader.file == file


@pytest.mark.perf
def test_an_answer_is_safe_within_a_fraction_of_a_millisecond(tmp_path):
    reply = AssociationReply(
        control=Control.RANDOM_BOTH,
        called_ae_title="X" * 16,
        calling_ae_title="Y" * 16,
        reply=Reply.ACCEPTED,
        implementation_class_uid="1.2.276.0.7230010.3.0.3.6.7",
    )
    facts = AssociationFacts(port_state=PortState.OPEN, over_tls=False, replies=(reply,) * 3)
    took = []
    with Ledger.open(tmp_path / "ledger") as ledger:
        scan = ledger.begin(plan())
        ledger.add(scan, addressed(*(f"10.0.0.{n}" for n in range(250))))
        for visitee in ledger.waiting(scan, 250):
            for port in range(8):
                one = replace(attempt(port=port), facts=facts)
                begun = time.perf_counter()
                ledger.answered(scan, visitee.number, one)
                took.append(time.perf_counter() - begun)
    # Typically a tenth of this; a machine that is shared may stop for a while.
    assert statistics.median(took) < 0.001
