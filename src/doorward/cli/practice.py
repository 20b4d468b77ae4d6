"""``doorward practice``: start fake archives on loopback, say where they are, run until Ctrl-C.

Standard output carries one line for each archive and nothing else: address and port, persona, what it is like; of a whole
study, one line for each country, and the last for all. It is complete once the archives answer, so a script may wait for
it.
"""

import shlex
import signal
import tempfile
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from doorward.cli import declared

if TYPE_CHECKING:
    from doorward.practice.certificates import PracticeCertificates
    from doorward.practice.fleet import Running
    from doorward.practice.log import EventLog
    from doorward.practice.settings import ArchiveSettings
    from doorward.practice.study_system import StudySystem


def practice(
    personas: declared.Personas = None,
    *,
    config: declared.FleetFile = None,
    listing: declared.Listing = False,
    port_base: declared.PortBase = None,
    studies: declared.Studies = None,
    images: declared.Images = None,
    patients: declared.Patients = None,
    scale: declared.Scale = None,
    inventory: declared.InventoryFile = None,
    log: declared.EventLogFile = None,
    seconds: declared.Seconds = None,
) -> None:
    """Start fake archives on this machine, to try an audit on. They hold nothing real."""
    if listing:
        _print_personas()
        return
    names = personas or []
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="doorward-practice-")))
        if config is not None:
            _refuse_both(personas, port_base, studies, images, patients, scale, inventory)
            exercise = _from_file(config)
        elif _is_study(names):
            _refuse_beside_study(names, port_base, studies, images, patients)
            exercise = _from_study(names[0], scale or 1, inventory or folder / "inventory.csv")
        else:
            _refuse_without_study(scale, inventory)
            exercise = _from_names(names, port_base, studies, images, patients)
        import asyncio

        asyncio.run(_run(exercise, folder, seconds, log))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Exercise:
    """What to start, and what to say of it once it answers."""

    archives: "tuple[ArchiveSettings, ...]"
    table: "Callable[[tuple[Running, ...]], Iterable[str]]"
    remarks: tuple[str, ...] = ()


def _print_personas() -> None:
    from doorward.practice.personas import PERSONAS
    from doorward.practice.study_fleet import DESCRIPTIONS

    lines = {persona.name: persona.description for persona in PERSONAS.values()}
    lines |= DESCRIPTIONS
    width = max(map(len, lines))
    for name, description in lines.items():
        typer.echo(f"{name:<{width}}  {description}")


def _from_file(config: Path) -> _Exercise:
    from doorward.practice.settings import load_settings

    return _Exercise(archives=load_settings(config), table=_table)


def _from_names(
    names: list[str],
    port_base: int | None,
    studies: int | None,
    images: int | None,
    patients: int | None,
) -> _Exercise:
    from doorward.practice.personas import PERSONAS
    from doorward.practice.settings import DEFAULT_IMAGES, DEFAULT_STUDIES, from_names

    archives = from_names(
        names or list(PERSONAS),
        studies=DEFAULT_STUDIES if studies is None else studies,
        images=DEFAULT_IMAGES if images is None else images,
        patients=patients,
        port_base=port_base,
    )
    return _Exercise(archives=archives, table=_table)


def _from_study(name: str, scale: int, inventory: Path) -> _Exercise:
    from doorward.practice.study_fleet import STUDIES, archives, openable, table
    from doorward.practice.study_system import truth

    systems = STUDIES[name](scale)
    usable = openable(systems)
    _write_inventory(usable, inventory)
    remarks = [f"survey it with: doorward survey --import inventory={shlex.quote(str(inventory))}"]
    if usable != systems:
        remarks.insert(
            0, "ports below 1024 are not for this user: 10,000 was added to them, 21 is 2121"
        )
    lines = tuple(table(truth(usable)))
    return _Exercise(archives=archives(usable), table=lambda _: lines, remarks=tuple(remarks))


def _write_inventory(systems: "tuple[StudySystem, ...]", file: Path) -> None:
    from doorward.errors import ConfigError
    from doorward.practice.study_system import inventory

    try:
        with file.open("w", encoding="utf-8", newline="") as stream:
            stream.writelines(inventory(systems))
    except OSError as error:
        raise ConfigError(f"cannot be written ({error.strerror})", file=file) from None


def _is_study(names: list[str]) -> bool:
    from doorward.practice.study_fleet import STUDIES

    return any(name in STUDIES for name in names)


def _refuse_both(personas: list[str] | None, *others: object) -> None:
    from doorward.errors import ConfigError

    if personas or any(other is not None for other in others):
        message = "--config says everything by itself"
        raise ConfigError(message, hint="Leave out personas and numbers, or the file.")


def _refuse_beside_study(names: list[str], *numbers: int | None) -> None:
    from doorward.errors import ConfigError

    if len(names) > 1 or any(number is not None for number in numbers):
        message = "a study is a whole fleet with numbers of its own"
        raise ConfigError(message, hint="Start it alone; --scale makes it smaller.")


def _refuse_without_study(*options: object) -> None:
    from doorward.errors import ConfigError

    if any(option is not None for option in options):
        message = "--scale and --inventory belong to a study"
        raise ConfigError(message, hint="Name one: study-2019 or sixty-days-later.")


async def _run(
    exercise: _Exercise, folder: Path, seconds: float | None, log_file: Path | None
) -> None:
    import asyncio

    from doorward.practice.fleet import fleet

    stop = asyncio.Event()
    # Both ways to end a program are orderly here: certificates must not stay behind.
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    certificates = _certificates(exercise.archives, folder)
    with ExitStack() as stack:
        log = _log(log_file, stack)
        async with fleet(exercise.archives, certificates=certificates, log=log) as running:
            # at once, and flushed: a script may wait for it
            typer.echo("\n".join(exercise.table(running)))
            if certificates is not None:
                _say(
                    f"certificates are in {folder}: --tls-ca {certificates.authority.name} "
                    f"--client-cert {certificates.client_certificate.name} "
                    f"--client-key {certificates.client_key.name}"
                )
            for remark in exercise.remarks:
                _say(remark)
            _say("running until Ctrl-C" if seconds is None else f"running for {seconds:g} s")
            try:
                async with asyncio.timeout(seconds):
                    await stop.wait()
            except TimeoutError:
                pass


def _log(file: Path | None, stack: ExitStack) -> "EventLog | None":
    if file is None:
        return None
    from doorward.practice.log import EventLog

    log = EventLog(file)
    stack.callback(log.close)
    return log


def _certificates(
    archives: tuple["ArchiveSettings", ...], folder: Path
) -> "PracticeCertificates | None":
    from doorward.practice.fleet import secured

    addresses = sorted({archive.address for archive in archives if secured(archive)})
    if not addresses:
        return None
    from doorward.practice.certificates import make_certificates

    return make_certificates(folder, now=datetime.now(UTC), addresses=addresses)


def _table(running: tuple["Running", ...]) -> list[str]:
    """Return a line for each archive: where, who, what it is like."""
    places = [
        ",".join((_place(one.address, one.port), *map(str, one.more_ports))) for one in running
    ]
    width = max(map(len, places))
    names = max(len(one.settings.persona.name) for one in running)
    return [
        f"{place:<{width}}  {one.settings.persona.name:<{names}}  {one.settings.persona.description}"
        for place, one in zip(places, running, strict=True)
    ]


def _place(address: str, port: int) -> str:
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def _say(message: str) -> None:
    typer.echo(f"doorward: {message}", err=True)
