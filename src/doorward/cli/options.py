"""What options mean that several commands share, and how they talk: text in, checked value or ConfigError out.

Standard output carries data and nothing else; everything that is said on the way goes to standard error.
"""

import os
import signal
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from doorward.audit.report.outputs import Output
    from doorward.audit.scope import Scope
    from doorward.audit.system import SurveySettings
    from doorward.audit.traffic import TrafficRules
    from doorward.audit.verdict import Severity
    from doorward.knowledge.advisories import Additions
    from doorward.limits import Limits


def ae_title(title: str, option: str) -> str:
    """Return an AE title without its padding (PS3.5 section 6.2: 16 characters, no backslash, no control character)."""
    from doorward.errors import ConfigError

    stripped = title.strip(" ")
    if (
        not 0 < len(stripped) <= 16
        or "\\" in title
        or not (title.isascii() and title.isprintable())
    ):
        message = f"{option} must be an AE title: 1 to 16 printable ASCII characters, no backslash"
        raise ConfigError(message)
    return stripped


def default_credentials(is_wanted: bool, level: int) -> bool:
    """Return whether documented logins are tried; raise ConfigError below clearance level 3."""
    from doorward.errors import ConfigError

    if is_wanted and level < 3:
        raise ConfigError("--try-default-credentials needs --level 3")
    return is_wanted


def limits_of(timeout: float | None) -> "Limits":
    """Return the limits with every wait for an answer set to ``timeout`` seconds, where one is given."""
    from doorward.limits import DEFAULT_LIMITS

    if timeout is None:
        return DEFAULT_LIMITS
    return replace(
        DEFAULT_LIMITS,
        connect_s=timeout,
        tls_handshake_s=timeout,
        associate_s=timeout,
        reply_s=timeout,
    )


def survey_limits(timeout: float | None) -> "Limits":
    """Return the same for a survey, in which one system may take longer."""
    limits = limits_of(timeout)
    return replace(limits, host_s=limits.survey_host_s)


def traffic_rules(
    *,
    rate: float | None,
    network_rate: float | None,
    systems: int | None,
    network_systems: int | None,
    windows: Iterable[str] | None,
    budget: tuple[float | None, int | None, int | None] = (None, None, None),
) -> "TrafficRules":
    """Return the manners of a survey; what is None stays as it is shipped. Raises ConfigError for a wrong window.

    ``budget``: seconds, connections, received bytes.
    """
    from doorward.audit.traffic import Budget, TrafficRules
    from doorward.audit.windows import parse_window

    given = {
        "per_second": rate,
        "network_per_second": network_rate,
        "systems_at_a_time": systems,
        "network_at_a_time": network_systems,
    }
    chosen: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    seconds, connections, received_bytes = budget
    return TrafficRules(
        **chosen,
        windows=tuple(map(parse_window, windows or ())),
        budget=Budget(seconds=seconds, connections=connections, received_bytes=received_bytes),
    )


def on_stop(
    stop: Callable[[], None],
    is_stopping: Callable[[], bool],
    say_it: Callable[[str], None],
    said: str = "finishing the questions that are open; Ctrl-C again breaks them off",
) -> None:
    """From now on Ctrl-C and SIGTERM call ``stop`` and say it; a second one cancels the task that called this."""
    import asyncio

    task = asyncio.current_task()
    assert task is not None

    def pressed() -> None:
        if is_stopping():
            task.cancel()
        else:
            stop()
            say_it(said)

    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, pressed)


def check_tls_files(ca: Path | None, cert: Path | None, key: Path | None) -> None:
    """Raise ConfigError for a certificate without its key, or a file that cannot be read."""
    from doorward.errors import ConfigError

    if (cert is None) != (key is None):
        raise ConfigError("--client-cert and --client-key belong together")
    for file in (ca, cert, key):
        if file is not None and not os.access(file, os.R_OK):
            raise ConfigError("cannot be read", file=file)


def additions(data: Path | None) -> "Additions":
    """Return what is known beyond the built-in tables; raise ConfigError."""
    from doorward.audit.knowledge_folder import load
    from doorward.cli.knowledge import folder

    return load(folder(data)).additions


def with_ports(settings: "SurveySettings", ports: str | None) -> "SurveySettings":
    """Return the settings with the ports of --ports; None leaves every door. Raises ConfigError."""
    return settings if ports is None else replace(settings, ports=ports_of(ports))


def ports_of(text: str) -> tuple[int, ...]:
    """Return the ports of a list such as "104,4242-4250"; raise ConfigError."""
    from doorward.audit.targets import parse_ports

    return parse_ports(text)


def severity_of(label: str) -> "Severity":
    """Return the severity that --fail-on names; raise ConfigError."""
    from doorward.audit.verdict import Severity
    from doorward.errors import ConfigError

    try:
        return Severity.from_label(label.lower())
    except ValueError as error:
        raise ConfigError(f"--fail-on: {error}") from None


def outputs_of(json: str | None, html: str | None, others: Sequence[str]) -> tuple["Output", ...]:
    """Return the reports that were ordered; raise ConfigError for one that could not be written."""
    from doorward.audit.report import outputs

    wanted = [outputs.parse_output(text) for text in others]
    if json is not None:
        wanted.append(outputs.output("json", json))
    if html is not None:
        wanted.append(outputs.output("html", html))
    outputs.check_outputs(wanted)
    return tuple(wanted)


def scope_of(file: Path | None, level: int) -> "Scope":
    """Return the scope of the file, or this machine alone; say where it allows less than ``level``."""
    from doorward.audit.scope import Scope, load_scope

    if file is None:
        return Scope.loopback()
    # The day of the operator's calendar, in which the permission was written.
    scope = load_scope(file, today=datetime.now(UTC).astimezone().date())
    scope.require_valid()
    if level > scope.clearance_level:
        say(
            f"the scope authorises clearance level {scope.clearance_level}, not {level}: using that"
        )
    return scope


def print_whole(text: str) -> None:
    """Write to standard output; a reader that has seen enough is no error."""
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader has seen enough (| head): the exit code still tells the result. Python would complain once more
        # when it closes the stream, so that goes nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def say(message: str) -> None:
    """Say something about the work on standard error."""
    # It may quote a file or a peer: one line, nothing that steers a terminal.
    harmless = "".join(c if c.isprintable() else "?" for c in message)
    typer.echo(f"doorward: {harmless}", err=True)


def require_nats() -> None:
    """Raise ConfigError where the extra is not installed."""
    from importlib.util import find_spec

    from doorward.errors import ConfigError

    if find_spec("nats") is None:
        hint = "Install it with: pip install 'doorward[sensors]'"
        raise ConfigError("sensors need the package nats-py", hint=hint)
