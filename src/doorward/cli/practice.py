"""``doorward practice``: start fake archives on loopback, say where they are, run until Ctrl-C.

Standard output carries one line for each archive and nothing else: address and port, persona, what it is like. It is
complete once the archives answer, so a script may wait for it.
"""

import signal
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from doorward.practice.certificates import PracticeCertificates
    from doorward.practice.fleet import Running
    from doorward.practice.settings import ArchiveSettings


def practice(
    personas: Annotated[
        list[str] | None, typer.Argument(metavar="PERSONA...", help="What to start; none: all.")
    ] = None,
    config: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A TOML file instead of personas.")
    ] = None,
    listing: Annotated[
        bool, typer.Option("--list", help="Show the personas and start none.")
    ] = False,
    port_base: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=65_535,
            metavar="PORT",
            help="All on 127.0.0.1, from this port on; else each on its own 127.0.1.x, port 11112.",
        ),
    ] = None,
    studies: Annotated[
        int | None, typer.Option(min=0, help="Studies of each archive; 1234 unless said.")
    ] = None,
    images: Annotated[
        int | None, typer.Option(min=0, help="Images of each study; 30 unless said.")
    ] = None,
    patients: Annotated[
        int | None, typer.Option(min=0, help="Patients of each archive; two for five studies.")
    ] = None,
    seconds: Annotated[
        float | None, typer.Option(min=0, help="End by itself; else on Ctrl-C.")
    ] = None,
) -> None:
    """Start fake archives on this machine, to try an audit on. They hold nothing real."""
    if listing:
        _print_personas()
        return
    if config is None:
        archives = _from_names(personas or [], port_base, studies, images, patients)
    else:
        _refuse_both(personas, port_base, studies, images, patients)
        from doorward.practice.settings import load_settings

        archives = load_settings(config)
    import asyncio

    with tempfile.TemporaryDirectory(prefix="doorward-practice-") as folder:
        asyncio.run(_run(archives, Path(folder), seconds))


def _print_personas() -> None:
    from doorward.practice.personas import PERSONAS

    width = max(map(len, PERSONAS))
    for persona in PERSONAS.values():
        typer.echo(f"{persona.name:<{width}}  {persona.description}")


def _from_names(
    names: list[str],
    port_base: int | None,
    studies: int | None,
    images: int | None,
    patients: int | None,
) -> tuple["ArchiveSettings", ...]:
    from doorward.practice.personas import PERSONAS
    from doorward.practice.settings import DEFAULT_IMAGES, DEFAULT_STUDIES, from_names

    return from_names(
        names or list(PERSONAS),
        studies=DEFAULT_STUDIES if studies is None else studies,
        images=DEFAULT_IMAGES if images is None else images,
        patients=patients,
        port_base=port_base,
    )


def _refuse_both(personas: list[str] | None, *numbers: int | None) -> None:
    from doorward.errors import ConfigError

    if personas or any(number is not None for number in numbers):
        message = "--config says everything by itself"
        raise ConfigError(message, hint="Leave out personas and numbers, or the file.")


async def _run(
    archives: tuple["ArchiveSettings", ...], folder: Path, seconds: float | None
) -> None:
    import asyncio

    from doorward.practice.fleet import fleet

    stop = asyncio.Event()
    # Both ways to end a program are orderly here: certificates must not stay behind.
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    certificates = _certificates(archives, folder)
    async with fleet(archives, certificates=certificates) as running:
        _print_table(running)
        if certificates is not None:
            _say(
                f"certificates are in {folder}: --tls-ca {certificates.authority.name} "
                f"--client-cert {certificates.client_certificate.name} "
                f"--client-key {certificates.client_key.name}"
            )
        _say("running until Ctrl-C" if seconds is None else f"running for {seconds:g} s")
        try:
            async with asyncio.timeout(seconds):
                await stop.wait()
        except TimeoutError:
            pass


def _certificates(
    archives: tuple["ArchiveSettings", ...], folder: Path
) -> "PracticeCertificates | None":
    from doorward.practice.fleet import needs_certificates

    if not needs_certificates(archives):
        return None
    from doorward.practice.certificates import make_certificates

    addresses = sorted({archive.address for archive in archives})
    return make_certificates(folder, now=datetime.now(UTC), addresses=addresses)


def _print_table(running: tuple["Running", ...]) -> None:
    places = [
        f"[{one.address}]:{one.port}" if ":" in one.address else f"{one.address}:{one.port}"
        for one in running
    ]
    width = max(map(len, places))
    names = max(len(one.settings.persona.name) for one in running)
    lines = [
        f"{place:<{width}}  {one.settings.persona.name:<{names}}  {one.settings.persona.description}"
        for place, one in zip(places, running, strict=True)
    ]
    typer.echo("\n".join(lines))  # at once, and flushed: a script may wait for it


def _say(message: str) -> None:
    typer.echo(f"doorward: {message}", err=True)
