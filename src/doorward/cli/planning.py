"""Who is to be surveyed: from the command line, from other tools' files and the inventory into the ledger, with a word on each
that is left out, and on how long the whole takes at least.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from doorward.cli import options

if TYPE_CHECKING:
    from doorward.audit.forecast import Forecast
    from doorward.audit.imports.sighting import Skipped
    from doorward.audit.ledger.ledger import Ledger
    from doorward.audit.planning import Planned
    from doorward.audit.scope import Scope
    from doorward.audit.system import SurveySettings
    from doorward.audit.targets import Target
    from doorward.audit.traffic import TrafficRules
    from doorward.audit.where import Where

#: Rows of an import that are explained one by one.
_SAID_SINGLY = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """Where the systems come from, and where they are."""

    named: tuple[str, ...] = ()
    #: Format, or None where it is to be recognised, and file.
    imports: tuple[tuple[str | None, Path], ...] = ()
    import_port: int | None = None
    max_age_days: float | None = None
    country_mmdb: Path | None = None
    network_mmdb: Path | None = None


def sources(
    named: Sequence[str] | None,
    imports: Sequence[str] | None,
    import_port: int | None,
    max_age_days: float | None,
    country_mmdb: Path | None,
    network_mmdb: Path | None,
) -> Sources:
    """Return what the options say of whom to ask; raises as ``import_option``."""
    return Sources(
        named=tuple(named or ()),
        imports=tuple(map(import_option, imports or ())),
        import_port=import_port,
        max_age_days=max_age_days,
        country_mmdb=country_mmdb,
        network_mmdb=network_mmdb,
    )


def import_option(text: str) -> tuple[str | None, Path]:
    """Return format and file of ``FORMAT=FILE`` or ``FILE``; raises ConfigError for a format or a file that is not there."""
    from doorward.audit.imports.reader import formats
    from doorward.errors import ConfigError

    name, equals, rest = text.partition("=")
    if not equals or (name not in formats() and Path(text).exists()):
        name, rest = "", text
    if name and name not in formats():
        message = f"there is no format {name!r} to import; there are {', '.join(formats())}"
        raise ConfigError(message, hint="Without a format it is recognised: --import FILE.")
    file = Path(rest)
    if file.is_dir() or not file.exists():
        what = "is a folder" if file.exists() else "there is no such file"
        hint = "--import takes a file that another tool wrote, or an inventory."
        raise ConfigError(what, file=file, hint=hint)
    return name or None, file


def plan_systems(
    ledger: "Ledger",
    scan: int,
    sources: Sources,
    *,
    scope: "Scope",
    settings: "SurveySettings",
    rules: "TrafficRules",
) -> None:
    """Write every system down and say what that comes to; where it fails, no survey is left behind.

    Raises ScopeError where the permission leaves nobody to ask, ConfigError for what is wrong in a file.
    """
    from doorward.audit.forecast import Forecast
    from doorward.audit.planning import plan
    from doorward.audit.where import Where
    from doorward.net.loop import run

    forecast = Forecast(settings.limits)
    done = None

    def take(target: "Target", address: str) -> None:
        forecast.add(address, len(target.ports or settings.ports))

    try:
        with Where.open(sources.country_mmdb, sources.network_mmdb) as where:
            _say_where(where)
            found = _targets(sources, settings)
            done = run(plan(ledger, scan, found, scope, locate=where.place, on_system=take))
        _say_left_out(done)
        _check(done, sources)
    finally:
        if done is None or not done.systems:
            ledger.discard(scan)
    _say_forecast(done.systems, forecast, rules)


def _targets(sources: Sources, settings: "SurveySettings") -> "Iterator[Target]":
    """Yield what was named, then what was imported, in a stream."""
    from doorward.audit.imports import reader
    from doorward.audit.imports.sighting import ImportOptions
    from doorward.audit.targets import parse_targets

    if sources.named:
        yield from parse_targets(sources.named, ports=settings.ports)
    days = sources.max_age_days
    wanted = ImportOptions(
        port=sources.import_port,
        oldest=None if days is None else datetime.now(UTC) - timedelta(days=days),
        limits=settings.limits,
    )
    for name, file in sources.imports:
        left_out = _LeftOut()
        items = reader.read(file, name, wanted)
        yield from reader.targets(items, left_out.take, ports=settings.ports)
        left_out.say(file)


class _LeftOut:
    """Rows of an import that were left out: the first few one by one, the rest by number."""

    def __init__(self) -> None:
        self._first: list[Skipped] = []
        self._number = 0

    def take(self, row: "Skipped") -> None:
        self._number += 1
        if self._number <= _SAID_SINGLY:
            self._first.append(row)

    def say(self, file: Path) -> None:
        for row in self._first:
            place = f"{file}, line {row.line}" if row.line else str(file)
            options.say(f"{place}: left out: {row.reason}")
        if self._number > _SAID_SINGLY:
            options.say(f"{file}: {self._number - _SAID_SINGLY:,} more were left out")


# --- what is said -----------------------------------------------------------------------------------------------------


def _say_where(where: "Where") -> None:
    """Say what the licences of the tables want to be said, and which table is old."""
    for source in where.sources:
        if source.notice:
            options.say(source.notice)
    for warning in where.warnings(datetime.now(UTC).date()):
        options.say(warning)


def _say_left_out(done: "Planned") -> None:
    if done.outside:
        more = " ..." if done.outside > len(done.examples) else ""
        examples = ", ".join(done.examples)
        options.say(f"{done.outside:,} outside the scope, not asked ({examples}{more})")
    if done.excluded:
        options.say(f"{done.excluded:,} excluded by the scope, not asked")
    if done.unknown_names:
        options.say(f"{done.unknown_names:,} with a name that cannot be resolved here")


def _check(done: "Planned", sources: Sources) -> None:
    from doorward.errors import ConfigError, ScopeError

    if done.systems:
        return
    if done.outside or done.excluded:
        message = "the scope covers none of the targets; nothing was sent to them"
        hint = "'doorward scope show FILE ADDRESS' judges an address, 'doorward scope init FILE' writes a file to fill in."
        raise ScopeError(message, target=", ".join(done.examples), hint=hint)
    files = ", ".join(str(file) for _, file in sources.imports)
    raise ConfigError("nothing to ask was found", hint=f"No row of {files} names a system to ask.")


def _say_forecast(systems: int, forecast: "Forecast", rules: "TrafficRules") -> None:
    """Say how much there is to do, and how long the pace makes it at least."""
    from doorward.audit.report.figures import plural
    from doorward.cli.live import span

    size = f"{plural(systems, 'system')} in {forecast.networks}, {plural(forecast.ports, 'port')}"
    rates = ((rules.per_second, "connections/s"), (rules.network_per_second, "to one network"))
    pace = ", ".join(f"{rate:g} {words}" for rate, words in rates if rate)
    least_s = forecast.least_s(rules)
    if least_s < 1:
        options.say(f"{size} to ask")
        return
    options.say(f"{size} to ask; at {pace}: {span(least_s)}, and longer where somebody answers")
