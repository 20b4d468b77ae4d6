"""``doorward scope init|show``: write a scope file to fill in; show what one permits."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from doorward.audit.scope import Scope

app = typer.Typer(
    help="The written permission to ask systems that are not on this machine.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@app.command("init")
def init(
    file: Annotated[Path, typer.Argument(help="Where to write it.")] = Path("scope.toml"),
    organisation: Annotated[str, typer.Option(help="Who runs the systems.")] = "",
    network: Annotated[
        list[str] | None, typer.Option(help="A network that may be asked; repeatable.")
    ] = None,
    exclude: Annotated[
        list[str] | None, typer.Option(help="A network that is never asked; repeatable.")
    ] = None,
    authorised_by: Annotated[str, typer.Option(help="Who gave the permission.")] = "",
    contact: Annotated[str, typer.Option(help="Whom to call when something looks wrong.")] = "",
    days: Annotated[int, typer.Option(min=1, max=3660, help="How long it holds, from today.")] = 90,
    level: Annotated[int, typer.Option(min=0, max=3, help="Highest clearance level.")] = 2,
) -> None:
    """Write a scope file to fill in; an existing file is left alone."""
    from doorward.audit.scope import scope_template
    from doorward.errors import ConfigError

    today = _today()
    text = scope_template(
        today=today,
        valid_until=today + timedelta(days=days),
        organisation=organisation,
        networks=network or (),
        exclude=exclude or (),
        authorised_by=authorised_by,
        contact=contact,
        clearance_level=level,
    )
    try:
        with file.open("x", encoding="utf-8") as stream:
            stream.write(text)
    except FileExistsError:
        hint = "Choose another name, or edit it."
        raise ConfigError("exists already and was left alone", file=file, hint=hint) from None
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise ConfigError(f"cannot be written ({reason})", file=file) from None
    typer.echo(f"{file} written. Fill in what is empty, then: doorward scope show {file}")


@app.command("show")
def show(
    file: Annotated[Path, typer.Argument(help="A scope file.")],
    address: Annotated[
        list[str] | None, typer.Argument(help="Addresses to judge by it; exit code 4 if refused.")
    ] = None,
) -> None:
    """Show what a scope file permits, and whether it holds today."""
    from doorward.audit.scope import load_scope

    scope = load_scope(file, today=_today())
    _print(scope)
    for one in address or ():
        scope.permit(one, 104)
        typer.echo(f"{one}: permitted")
    scope.require_valid()


def _print(scope: "Scope") -> None:
    def row(label: str, text: object) -> None:
        typer.echo(f"{label:<16}{''.join(c if c.isprintable() else '?' for c in str(text))}")

    row("organisation", scope.organisation)
    row("networks", ", ".join(str(n) for n in scope.networks))
    row("excluded", ", ".join(str(n) for n in scope.exclude) or "nothing")
    row("authorised by", scope.authorised_by)
    row("contact", scope.contact)
    row("valid", f"{scope.valid_from} to {scope.valid_until}")
    row("clearance level", scope.clearance_level)
    if scope.notes:
        row("notes", scope.notes)


def _today() -> date:
    # The day of the operator's calendar, in which the permission was written.
    return datetime.now(UTC).astimezone().date()
