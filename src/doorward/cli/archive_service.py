"""``doorward archive service`` and ``token``: programs that call the HTTPS door, and what they call with."""

from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from doorward.cli.archive_options import (
    AeTitles,
    Dir,
    Expires,
    Site,
    end_of,
    folder_of,
    journal,
    now,
    say_when,
    words_of,
)

if TYPE_CHECKING:
    from doorward.access.identity import Operation

app = typer.Typer(
    help="Let programs in, and shut them out.", no_args_is_help=True, rich_markup_mode=None
)
tokens = typer.Typer(
    help="What programs show: issued once, good until a day.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

_Name = Annotated[str, typer.Argument(metavar="NAME", help="Its name here, such as backup.")]
_Scope = Annotated[
    str, typer.Option(metavar="OPERATION,...", help="For what: query, retrieve, store, ...")
]


@app.command("add")
def add(
    folder: Dir,
    name: _Name,
    *,
    role: Annotated[
        str, typer.Option(help="modality, workstation, migration or auditor.")
    ] = "workstation",
    scope: _Scope = "",
    aet: AeTitles = None,
    site: Site = "",
    expires: Expires = None,
) -> None:
    """Let a program in, for what its role allows or less; it needs a token ('token issue')."""
    from doorward.access.identity import Service
    from doorward.archive.running.persons import add_service

    found = folder_of(folder)
    service = Service(
        name=name,
        role=role,
        site=site,
        ae_titles=tuple(aet or ()),
        scope=_operations(scope) if scope else None,
        expires_at=end_of(expires),
    )
    add_service(found, service)
    journal(found)
    say_when(f"{name} is let in")


@app.command("list")
def listing(folder: Dir) -> None:
    """List the programs, and how many tokens each has."""
    found = folder_of(folder)
    book = found.tokens()
    for service in found.register().services:
        count = len([one for one in book.of_owner(service.name) if one.expires_at > now()])
        scope = "all of its role" if service.scope is None else ", ".join(sorted(service.scope))
        typer.echo(f"{service.name:<20} {service.role:<12} {scope:<28} tokens: {count}")


@app.command("remove")
def remove(folder: Dir, name: _Name) -> None:
    """Shut a program out, and revoke all its tokens."""
    from doorward.archive.running.persons import remove_service

    found = folder_of(folder)
    remove_service(found, name)
    journal(found)
    say_when(f"{name} is removed")


@tokens.command("issue")
def issue(
    folder: Dir,
    name: _Name,
    *,
    scope: _Scope,
    days: Annotated[int, typer.Option(min=1, help="How long it is good.")] = 30,
) -> None:
    """Print a new token of a program, once."""
    from doorward.archive.running.persons import issue_token

    found = folder_of(folder)
    lifetime = timedelta(days=days)
    made = issue_token(found, name, scope=_operations(scope), lifetime=lifetime, now=now())
    journal(found)
    typer.echo(made.text)
    say_when(f"token {made.id} of {name}, shown once, is good until {made.expires_at:%Y-%m-%d}")


@tokens.command("list")
def list_tokens(folder: Dir) -> None:
    """List the tokens: whose, for what, until when; never the token itself."""
    for token in folder_of(folder).tokens().tokens:
        scope, ends = ", ".join(sorted(token.scope)), f"{token.expires_at.astimezone():%Y-%m-%d}"
        state = "good until" if token.expires_at > now() else "ended on"
        typer.echo(f"{token.id}  {token.owner:<20} {scope:<28} {state} {ends}")


@tokens.command("revoke")
def revoke(
    folder: Dir,
    token: Annotated[str, typer.Argument(metavar="ID", help="As 'token list' shows it.")],
) -> None:
    """Revoke one token."""
    found = folder_of(folder)
    found.change_tokens(lambda book: book.revoke(token))
    journal(found)
    say_when(f"token {token} is revoked")


def _operations(text: str) -> frozenset["Operation"]:
    from doorward.access.identity import Operation
    from doorward.errors import ConfigError

    words = words_of(text)
    unknown = [word for word in words if word not in list(Operation)]
    if unknown or not words:
        hint = f"One or more of: {', '.join(Operation)}."
        raise ConfigError("names no operation", field="--scope", hint=hint)
    return frozenset(Operation(word) for word in words)
