"""Who is to be surveyed: ``--import`` as it is typed, and a ledger without a trace of what failed."""

from pathlib import Path

import pytest

from doorward.audit.ledger.ledger import Ledger
from doorward.audit.scope import Scope
from doorward.audit.system import SurveySettings
from doorward.audit.traffic import TrafficRules
from doorward.cli.planning import Sources, import_option, plan_systems
from doorward.errors import ConfigError, ScopeError
from ledgers import plan


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own.csv").write_text("address,port\n127.0.0.1,104\n127.0.0.1,4242\n127.1.0.1,\n")
    (tmp_path / "a=b.csv").write_text("address\n127.0.0.1\n")
    return tmp_path


def _planned(
    sources: Sources, scope: Scope | None = None, rules: TrafficRules | None = None
) -> list[tuple[str, tuple[int, ...] | None]]:
    with Ledger.open(Path("x.ledger")) as ledger:
        scan = ledger.begin(plan())
        try:
            plan_systems(
                ledger,
                scan,
                sources,
                scope=scope or Scope.loopback(),
                settings=SurveySettings(ports=(104, 11112)),
                rules=rules or TrafficRules(),
            )
        finally:
            # Nothing was planned: nothing is left behind.
            assert bool(ledger.scans()) is bool(ledger.progress(scan).systems)
        return [(one.address, one.target.ports) for one in ledger.waiting(scan, 99)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("own.csv", (None, "own.csv")),
        ("inventory=own.csv", ("inventory", "own.csv")),
        ("a=b.csv", (None, "a=b.csv")),
        ("inventory=a=b.csv", ("inventory", "a=b.csv")),
    ],
)
def test_a_format_may_stand_before_the_file(text: str, expected: tuple[str | None, str]) -> None:
    assert import_option(text) == (expected[0], Path(expected[1]))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("none.csv", "there is no such file"),
        ("nmap=none.xml", "none.xml: there is no such file"),
        ("excel=own.csv", "there is no format 'excel'"),
        (".", "is a folder"),
    ],
)
def test_what_is_not_there_is_said_before_anything_begins(text: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        import_option(text)


def test_what_was_named_and_what_was_imported_become_systems(
    capsys: pytest.CaptureFixture[str],
) -> None:
    found = _planned(Sources(named=("127.0.0.9",), imports=((None, Path("own.csv")),)))
    assert sorted(found) == [
        ("127.0.0.1", (104, 4242)),
        ("127.0.0.9", (104, 11112)),
        ("127.1.0.1", (104, 11112)),
    ]
    said = capsys.readouterr().err
    assert said == "doorward: 3 systems in 2 networks, 6 ports to ask\n"


@pytest.mark.parametrize(
    ("rules", "words"),
    [
        (TrafficRules(per_second=0, network_per_second=0), "6 ports to ask\n"),
        (
            TrafficRules(per_second=0.1, network_per_second=0),
            "6 ports to ask; at 0.1 connections/s: 60 s, and longer where somebody answers\n",
        ),
        (
            TrafficRules(per_second=9, network_per_second=0.5),
            "; at 9 connections/s, 0.5 to one network: 8 s, and longer where somebody answers\n",
        ),
    ],
)
def test_the_pace_says_how_long_it_takes_at_least(
    capsys: pytest.CaptureFixture[str], rules: TrafficRules, words: str
) -> None:
    _planned(Sources(named=("127.0.0.9",), imports=((None, Path("own.csv")),)), rules=rules)
    assert capsys.readouterr().err.endswith(words)


@pytest.mark.parametrize(
    ("sources", "error"),
    [
        (Sources(named=("10.0.0.1",)), ScopeError),
        (Sources(named=("10.0.0.0/30",)), ScopeError),
        (Sources(named=("@none.txt",)), ConfigError),
        (Sources(imports=(("nmap", Path("own.csv")),)), ConfigError),
        (Sources(named=("127.0.0.1",), country_mmdb=Path("own.csv")), ConfigError),
    ],
)
def test_what_fails_leaves_no_survey_behind(sources: Sources, error: type[Exception]) -> None:
    with pytest.raises(error):
        _planned(sources)
    with Ledger.read(Path("x.ledger")) as ledger:
        assert ledger.scans() == ()


def test_what_has_failed_halfway_is_forgotten_with_its_systems(folder: Path) -> None:
    rows = "".join(f"127.{a}.{b}.1\n" for a in range(8) for b in range(250))
    (folder / "long.csv").write_text(f"address\n{rows}")
    imports = ((None, Path("long.csv")), ("nmap", Path("own.csv")))
    with pytest.raises(ConfigError):
        _planned(Sources(imports=imports))
    with Ledger.read(Path("x.ledger")) as ledger:
        assert ledger.waiting(1, 1) == []
