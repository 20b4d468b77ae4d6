"""What the commands of ``doorward archive`` share: the folder, times, secrets from a terminal, and the journal."""

import sys
from datetime import UTC, datetime, time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from doorward.cli import options

if TYPE_CHECKING:
    from doorward.access.people import SetUp
    from doorward.archive.running.folder import Folder

Dir = Annotated[Path, typer.Argument(metavar="DIR", help="The folder of the archive.")]
Site = Annotated[str, typer.Option(help="The site to which it belongs, for rules by site.")]
Expires = Annotated[
    str | None,
    typer.Option(metavar="DAY", help="The last day on which it is let in, such as 2026-12-31."),
]
AeTitles = Annotated[
    list[str] | None, typer.Option("--aet", help="An AE title of its own; repeatable.")
]


def folder_of(path: Path) -> "Folder":
    """Return the folder of an archive. Raises ConfigError where there is none, or others can read it."""
    from doorward.archive.running.folder import Folder

    folder = Folder(path)
    folder.require_private()
    return folder


def now() -> datetime:
    """Return the time."""
    return datetime.now(UTC)


def end_of(day: str | None) -> datetime | None:
    """Return the end of a day by this machine's calendar. Raises ConfigError."""
    from doorward.errors import ConfigError

    if day is None:
        return None
    try:
        end = datetime.combine(datetime.fromisoformat(day).date(), time.max)
    except ValueError:
        raise ConfigError("is no day such as 2026-12-31", field="--expires") from None
    return end.replace(microsecond=0).astimezone()


def words_of(text: str) -> list[str]:
    """Return the words of a list such as "query,retrieve"."""
    return [word for word in (one.strip() for one in text.split(",")) if word]


def ask(question: str, *, is_hidden: bool = True) -> str:
    """Return what somebody types, twice where it is a new secret; without a terminal, the next line that comes in.

    Raises ConfigError where nothing comes.
    """
    from doorward.errors import ConfigError

    if sys.stdin.isatty():
        answer = typer.prompt(
            question, hide_input=is_hidden, confirmation_prompt=is_hidden, err=True
        )
        return str(answer)
    line = sys.stdin.readline()
    if not line.strip():
        raise ConfigError(f"is missing: {question}", field="standard input")
    return line.rstrip("\r\n")


def journal(folder: "Folder") -> None:
    """Have a change written into the journal: by this process, or by the archive that runs."""
    import asyncio

    from doorward.archive.running.run import journal_changes

    asyncio.run(journal_changes(folder))


def show_set_up(made: "SetUp", issuer: str) -> None:
    """Print what a person needs for the second factor, once."""
    name = made.credentials.name
    typer.echo(f"The second factor of {name}, shown once. For an authenticator application:")
    typer.echo(f"  {made.otpauth_uri(issuer)}")
    typer.echo(f"  or by hand: {made.secret}")
    typer.echo("Recovery codes, each good once, for a lost telephone; print them:")
    for code in made.recovery_codes:
        typer.echo(f"  {code}")


def say_when(what: str) -> None:
    """Say when a change holds."""
    options.say(f"{what}; a running archive knows within a second")
