"""``doorward archive``: make an archive, run it, renew its certificate; devices, people and services have their own files."""

import logging
import os
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from doorward.cli import (
    archive_device,
    archive_journal,
    archive_person,
    archive_service,
    archive_upkeep,
    options,
)
from doorward.cli.archive_options import Dir, ask, folder_of, journal, now

if TYPE_CHECKING:
    from doorward.archive.running.folder import Folder
    from doorward.archive.running.settings import Settings

#: What the extra ``archive`` installs, as it is imported; held against pyproject.toml by a test.
_NEEDED = ("argon2", "httptools", "joserfc", "prometheus_client", "starlette", "uvicorn")

app = typer.Typer(
    help="An archive that serves nobody it cannot name: make it, run it, let devices and people in (docs/archive.md).",
    no_args_is_help=True,
    rich_markup_mode=None,
)
app.add_typer(archive_device.app, name="device")
app.add_typer(archive_person.app, name="person")
app.add_typer(archive_service.app, name="service")
app.add_typer(archive_service.tokens, name="token")
app.add_typer(archive_journal.app, name="journal")


@app.callback()
def require_extra() -> None:
    """Look for what only the archive needs, before anything is begun. Raises ConfigError."""
    missing = [name for name in _NEEDED if find_spec(name) is None]
    if missing:
        from doorward.errors import ConfigError

        words = f"the archive needs packages that are not installed: {', '.join(missing)}"
        raise ConfigError(
            words, hint="In the folder of the project: pip install '.[archive,images]'"
        )


@app.command("init")
def init(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="A folder that is empty, or not there yet.")
    ],
    name: Annotated[str | None, typer.Option(help="Whose archive it is, for people.")] = None,
    host: Annotated[
        list[str] | None,
        typer.Option(help="A name or address under which it will be reached; repeatable."),
    ] = None,
    ae_title: Annotated[
        str | None, typer.Option(help="Its AE title; DOORWARD unless said.")
    ] = None,
) -> None:
    """Make an archive: keys and certificates of its own, settings, index, journal; nobody is let in yet."""
    import asyncio

    from doorward.archive.running.first_start import init as make
    from doorward.archive.running.first_start import settings_for
    from doorward.archive.running.folder import Folder

    begun = settings_for(name, host or (), ae_title)
    made = asyncio.run(make(Folder(folder), begun, now=now()))
    ends = made.code_ends_at.astimezone()
    for line in (
        f"The archive is made in {folder}; nobody but its owner can read there, and nobody is let in yet.",
        f"Its authority (SHA-256): {made.authority_fingerprint}",
        "",
        f"One-time code for the first administrator, good until {ends:%Y-%m-%d %H:%M}: {made.code}",
        "",
        "Next:",
        f"  doorward archive person first {folder} NAME      set the administrator's password with that code",
        f"  doorward archive device add {folder} ct1 --aet CT1 --role modality",
        f"  doorward archive run {folder}",
        f"Settings, each explained: {folder}/doorward.toml",
    ):
        typer.echo(line)


@app.command("run")
def run(folder: Dir) -> None:
    """Serve DICOM over TLS and HTTPS until Ctrl-C or SIGTERM; on this machine alone unless the settings say more."""
    import asyncio

    from doorward.net.loop import run as run_loop

    found = folder_of(folder)
    _log_as(found.settings())
    try:
        run_loop(_run(found))
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None


async def _run(folder: "Folder") -> None:
    import asyncio

    from doorward.archive.running.run import run as run_archive
    from doorward.net.notify import Notifier

    stop = asyncio.Event()
    log = logging.getLogger("doorward.archive")
    options.on_stop(
        stop.set,
        stop.is_set,
        log.info,
        "stopping: what runs may finish; Ctrl-C again breaks it off",
    )
    await run_archive(folder, stop=stop, notifier=Notifier.from_environment())


def _log_as(settings: "Settings") -> None:
    """Send everything that is said to standard error, in the form that the settings name."""
    from doorward.archive.running.log_lines import JsonLines, TextLines

    handler = logging.StreamHandler(sys.stderr)
    is_coloured = sys.stderr.isatty() and not os.environ.get("NO_COLOR")
    is_json = settings.log.format == "json"
    handler.setFormatter(JsonLines() if is_json else TextLines(is_coloured=is_coloured))
    logging.basicConfig(handlers=[handler], level=logging.INFO, force=True)


@app.command("renew")
def renew(folder: Dir) -> None:
    """Make a new server certificate for the hosts of the settings; a running archive shows it at once."""
    found = folder_of(folder)
    made = found.make_certificates(found.settings().site.hosts, now=now())
    journal(found)
    typer.echo(f"The server's certificate is new, good until {made.not_after:%Y-%m-%d}.")
    typer.echo(f"Its fingerprint (SHA-256): {made.fingerprint}")


@app.command("openid-secret")
def openid_secret(folder: Dir) -> None:
    """Keep the client secret of the OpenID provider, which is typed; the archive uses it from its next start on."""
    from doorward.archive.running.folder import OPENID_SECRET

    found = folder_of(folder)
    found.vault().write(OPENID_SECRET, ask("Client secret").encode() + b"\n")
    journal(found)
    options.say("the client secret is kept; it is used from the next start on")


@app.command("unit")
def unit(
    folder: Dir,
    user: Annotated[
        str | None, typer.Option(help="The user that runs it; the folder's owner unless said.")
    ] = None,
) -> None:
    """Print a systemd unit that runs the archive with as few rights as it needs."""
    from doorward.archive.running.unit import unit_file

    found = folder_of(folder)
    owner = user or found.path.owner()
    options.print_whole(unit_file(found.path.resolve(), user=owner, program=Path(sys.executable)))


# Last, so that the help begins with what comes first.
archive_upkeep.register(app)
