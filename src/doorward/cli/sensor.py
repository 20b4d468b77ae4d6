"""``doorward sensor init|run``: set sensors up; be one."""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from doorward.cli import declared, options

if TYPE_CHECKING:
    from doorward.audit.facts import Attempt, SystemFacts
    from doorward.audit.scope import Scope
    from doorward.audit.sensors.config import NatsConfig
    from doorward.audit.sensors.sensor import Served
    from doorward.audit.system import SurveySettings
    from doorward.audit.targets import Target
    from doorward.audit.traffic import Traffic

app = typer.Typer(
    help="Ask from elsewhere: processes at other sites that take work from a survey (docs/sensors.md).",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@app.command("init")
def init(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A new folder to write.")],
    sensor: Annotated[
        list[str],
        typer.Option(
            metavar="NAME[=NETWORK,...]",
            help="A sensor, and the networks that it asks; one without takes the rest; repeatable.",
        ),
    ],
    host: Annotated[
        list[str],
        typer.Option(help="A name or address under which the server is reached; repeatable."),
    ],
    port: Annotated[int, typer.Option(min=1, max=65_535, help="The server's port.")] = 4222,
    days: Annotated[
        int, typer.Option(min=1, max=3660, help="How long the certificates are valid.")
    ] = 730,
) -> None:
    """Write certificates, the NATS server's file and the files of all sensors into a new folder."""
    from doorward.audit.sensors import setup
    from doorward.errors import ConfigError

    options.require_nats()
    sensors: dict[str, tuple[str, ...]] = {}
    for text in sensor:
        name, _, networks = text.partition("=")
        if name in sensors:
            raise ConfigError(f"{name!r} is named twice", field="--sensor")
        sensors[name] = tuple(filter(None, (one.strip() for one in networks.split(","))))
    written = setup.init(folder, sensors, host, now=datetime.now(UTC), port=port, days=days)
    typer.echo(f"{folder} written; others can read nothing of it.")
    typer.echo(f"The server:      nats-server -c {written.server}")
    for name, file in written.sensors.items():
        typer.echo(f"Sensor {name}: give it {file.stem}*, ca.pem and a scope file, there:")
        typer.echo(f"  doorward sensor run --config {file.name} --scope scope.toml")
    typer.echo(f"The survey:      doorward survey --sensors {written.coordinator} ...")


@app.command("run")
def run(
    *,
    config: Annotated[Path, typer.Option(metavar="FILE", help="The file of this sensor.")],
    scope: declared.ScopeFile = None,
    level: declared.MostLevel = 2,
    rate: declared.Rate = None,
    network_rate: declared.NetworkRate = None,
    hosts: declared.Systems = None,
    network_systems: declared.NetworkSystems = None,
    window: declared.Windows = None,
    timeout: declared.Timeout = None,
    try_default_credentials: declared.DefaultCredentials = False,
    verbose: declared.Verbose = False,
) -> None:
    """Take work from the server and ask, within this site's scope and manners, until Ctrl-C."""
    options.require_nats()
    import asyncio

    from doorward.audit.sensors.config import load_sensor_config
    from doorward.audit.system import SurveySettings
    from doorward.audit.traffic import Traffic
    from doorward.net.loop import run as run_loop

    own = load_sensor_config(config)
    limits = options.survey_limits(timeout)
    settings = SurveySettings(
        clearance_level=level,
        limits=limits,
        try_default_credentials=options.default_credentials(try_default_credentials, level),
    )
    rules = options.traffic_rules(
        rate=rate,
        network_rate=network_rate,
        systems=hosts,
        network_systems=network_systems,
        windows=window,
    )
    traffic = Traffic(rules, limits=limits)
    permission = options.scope_of(scope, level)
    try:
        served = run_loop(_serve(own, permission, settings, traffic, verbose=verbose))
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None
    options.say(
        f"{served.visited:,} systems visited, {served.refused:,} refused, "
        f"{served.given_back:,} given back"
    )


async def _serve(
    config: "NatsConfig",
    scope: "Scope",
    settings: "SurveySettings",
    traffic: "Traffic",
    *,
    verbose: bool,
) -> "Served":
    """Serve until Ctrl-C or SIGTERM; a second one does not wait for what is open."""
    import asyncio

    from doorward.audit.sensors.sensor import run_sensor

    stop = asyncio.Event()
    options.on_stop(stop.set, stop.is_set, options.say)
    return await run_sensor(
        config,
        scope=scope,
        settings=settings,
        traffic=traffic,
        observer=_Talk(verbose=verbose),
        stop=stop,
        say=_say,
    )


class _Talk:
    """Says what is asked, where that is wanted."""

    def __init__(self, *, verbose: bool) -> None:
        self._verbose = verbose

    def system_started(self, target: "Target") -> None:
        """Whoever looks at the log of a site wants to know who was asked when."""
        _say(f"asking {target.host}")

    def probe_finished(self, attempt: "Attempt") -> None:
        """Say which question was answered, where that is wanted."""
        if self._verbose:
            reason = f", {attempt.reason}" if attempt.reason else ""
            _say(f"{attempt.endpoint} {attempt.probe}: {attempt.outcome.value}{reason}")

    def system_finished(self, system: "SystemFacts") -> None:
        """Say who is done."""
        _say(f"finished {system.address}")


def _say(message: str) -> None:
    """Say what may quote a coordinator or a server."""
    from doorward.audit.report.untrusted import harmless

    options.say(harmless(message))
