"""Order and sums: the same facts give the same report, and no sum is sounder than its parts."""

from dataclasses import replace

import pytest

from doorward.audit.facts import UNKNOWN_COUNT, Count, Exactness
from doorward.audit.place import Place
from doorward.audit.report.assemble import assemble
from doorward.audit.verdict import Counts, JudgedSystem
from judged_systems import OPEN, RECORD, SHUT, SILENT, WRITABLE, counted, facts

COUNTER, ENUMERATED = Exactness.EXACT_COUNTER, Exactness.EXACT_ENUMERATED
AT_LEAST, ESTIMATED, UNKNOWN = Exactness.AT_LEAST, Exactness.ESTIMATED, Exactness.UNKNOWN


def _open(studies: Count, address: str = "127.0.0.9") -> JudgedSystem:
    return replace(OPEN, facts=facts(address), counts=Counts(studies=studies))


def test_systems_come_worst_first_and_unrated_ones_last() -> None:
    unresolved = replace(SILENT, facts=facts("pacs.example"))
    several = [unresolved, SILENT, SHUT, _open(counted(1), "127.0.0.20"), WRITABLE, OPEN]
    report = assemble(several, RECORD)
    assert [s.address for s in report.systems] == [
        "10.20.0.7",
        "127.0.0.20",
        "127.0.0.1",
        "127.0.0.2",
        "pacs.example",
        "127.0.0.3",
    ]
    assert report == assemble(reversed(several), RECORD)


def test_findings_come_worst_first() -> None:
    shuffled = replace(OPEN, findings=tuple(reversed(OPEN.findings)))
    verdicts = [(f.verdict, f.severity) for f in assemble([shuffled], RECORD).systems[0].findings]
    assert verdicts == [
        ("fail", "critical"),
        ("fail", "critical"),
        ("fail", "high"),
        ("inconclusive", "high"),
        ("not_tested", "critical"),
        ("pass", "info"),
        ("pass", "info"),
        ("not_applicable", "high"),
    ]


def test_totals_count_systems_by_rung() -> None:
    totals = assemble([OPEN, WRITABLE, SHUT, SILENT], RECORD).totals
    assert (totals.systems, totals.speaking_dicom) == (4, 3)
    assert (totals.unprotected, totals.downloadable, totals.writable) == (1, 1, 1)


@pytest.mark.parametrize(
    ("parts", "value", "exactness"),
    [
        ([counted(3, COUNTER), counted(4, COUNTER)], 7, "exact_counter"),
        ([counted(3, COUNTER), counted(4)], 7, "exact_enumerated"),
        ([counted(3), counted(4, AT_LEAST)], 7, "at_least"),
        ([counted(3), UNKNOWN_COUNT], 3, "at_least"),
        ([counted(3, ESTIMATED), counted(4, AT_LEAST)], 7, "estimated"),
        ([counted(3, ESTIMATED), UNKNOWN_COUNT], 3, "estimated"),
        ([UNKNOWN_COUNT, UNKNOWN_COUNT], None, "unknown"),
        ([], None, "unknown"),
    ],
)
def test_a_sum_is_never_sounder_than_its_parts(
    parts: list[Count], value: int | None, exactness: str
) -> None:
    systems = [_open(count, f"127.0.1.{i}") for i, count in enumerate(parts)]
    studies = assemble(systems, RECORD).totals.studies
    assert (studies.value, studies.exactness) == (value, exactness)


def test_a_silent_system_makes_the_sum_a_lower_bound() -> None:
    studies = assemble([_open(counted(5)), SILENT], RECORD).totals.studies
    assert (studies.value, studies.exactness) == (5, "at_least")
    assert studies.method == "sum over 1 system; 1 system could not be counted"


def test_a_protected_system_adds_an_exact_zero() -> None:
    studies = assemble([SHUT], RECORD).totals.studies
    assert (studies.value, studies.exactness, studies.method) == (
        0,
        "exact_enumerated",
        "no system was open",
    )


def test_silence_is_not_zero() -> None:
    totals = assemble([SILENT], RECORD).totals
    assert totals.studies.value is None
    assert totals.images_downloadable.exactness == "unknown"


def test_the_frame_tells_scope_times_and_coverage() -> None:
    scan = assemble([OPEN, SILENT], replace(RECORD, targets=2, interrupted=True)).scan
    assert (scan.tool, scan.version, scan.interrupted) == ("doorward", "0.1.0", True)
    assert (scan.started_at, scan.finished_at) == (
        "2026-03-14T09:26:53+00:00",
        "2026-03-14T09:27:31+00:00",
    )
    assert scan.scope.organisation == "this machine (loopback)"
    coverage = scan.coverage
    assert (coverage.targets, coverage.systems, coverage.ports) == (2, 2, 2)
    assert (coverage.questions_answered, coverage.questions_inconclusive) == (2, 2)
    assert coverage.connections == 4


def test_a_system_says_where_it_stands_as_far_as_that_is_known() -> None:
    place = Place(site="Site A", owner="Example Hospital", contact="it@example.test", country="CH")
    report = assemble([OPEN, SHUT], RECORD, {OPEN.facts.address: place})
    worst, shut = report.systems
    assert (worst.site, worst.owner, worst.contact) == (place.site, place.owner, place.contact)
    assert (worst.country, shut.country, shut.site) == ("CH", "", "")
    assert [(c.country, c.unprotected) for c in report.countries] == [("CH", 1), ("", 0)]
    assert [(g.key, g.systems) for g in report.groups.rungs] == [("E6", 1), ("E2", 1)]
    assert report.totals.exposed_countries == 1


def test_the_archive_with_the_most_open_studies_comes_first_among_equals() -> None:
    small, large = _open(counted(5), "127.0.0.8"), _open(counted(50), "127.0.0.9")
    report = assemble([small, large], RECORD)
    assert [s.address for s in report.systems] == ["127.0.0.9", "127.0.0.8"]
