"""``doorward archive person first|code|add|list|passwd|remove``: who logs in, and as what."""

from typing import Annotated

import typer

from doorward.cli.archive_options import (
    Dir,
    Expires,
    Site,
    ask,
    end_of,
    folder_of,
    journal,
    now,
    say_when,
    show_set_up,
    words_of,
)

app = typer.Typer(
    help="Let people in, and shut them out.", no_args_is_help=True, rich_markup_mode=None
)

_Name = Annotated[str, typer.Argument(metavar="NAME", help="The name to log in with, such as ada.")]


@app.command("first")
def first(folder: Dir, name: _Name) -> None:
    """Set the first administrator's password with the one-time code that 'init' has printed."""
    import asyncio

    from doorward.access.login import Login, NotLoggedIn
    from doorward.archive.running.persons import admit_first
    from doorward.errors import ConfigError

    found = folder_of(folder)
    code, password = ask("One-time code", is_hidden=False), ask("New password")
    login = Login(found.vault(), limits=found.limits)

    async def begin() -> object:
        return await login.begin_archive(
            code, name, password, "127.0.0.1", now(), admit=lambda one: admit_first(found, one)
        )

    try:
        made = asyncio.run(begin())
    finally:
        login.close()
    if isinstance(made, NotLoggedIn):
        hint = f"Ask for a new one: doorward archive person code '{folder}'"
        raise ConfigError("is wrong or has ended", field="one-time code", hint=hint)
    journal(found)
    _show(made, found.settings().site.name)
    say_when(f"{name} is administrator")


@app.command("code")
def code(folder: Dir) -> None:
    """Print a new one-time code for the first administrator; the former one is no longer good."""
    from doorward.archive.running.persons import new_first_code

    text, ends_at = new_first_code(folder_of(folder), now=now())
    typer.echo(f"One-time code, good until {ends_at.astimezone():%Y-%m-%d %H:%M}: {text}")


@app.command("add")
def add(
    folder: Dir,
    name: _Name,
    *,
    role: Annotated[str, typer.Option(help="reader, administrator or auditor.")] = "reader",
    also: Annotated[str, typer.Option(metavar="ROLE,...", help="Further roles.")] = "",
    site: Site = "",
    expires: Expires = None,
    no_password: Annotated[
        bool, typer.Option("--no-password", help="They log in at the OpenID provider.")
    ] = False,
) -> None:
    """Let a person in; asks for their first password and shows the second factor once."""
    from doorward.access.identity import Person
    from doorward.archive.running.persons import add_person

    found = folder_of(folder)
    person = Person(
        name=name, role=role, also=tuple(words_of(also)), site=site, expires_at=end_of(expires)
    )
    made = add_person(found, person, None if no_password else ask("New password"))
    journal(found)
    if made is not None:
        _show(made, found.settings().site.name)
    say_when(f"{name} is let in")


@app.command("list")
def listing(folder: Dir) -> None:
    """List the people: roles, and by what they log in."""
    found = folder_of(folder)
    book = found.people()
    for person in found.register().persons:
        kept = book.of(person.name)
        how = "no password here"
        if kept is not None:
            how = f"password and code, {len(kept.recovery)} recovery codes left"
        if person.expires_at is not None:
            how += f"; expires {person.expires_at.astimezone():%Y-%m-%d}"
        roles = ", ".join((person.role, *person.also))
        typer.echo(f"{person.name:<20} {roles:<24} {person.site:<10} {how}")


@app.command("passwd")
def passwd(folder: Dir, name: _Name) -> None:
    """Give a person a new password and a new second factor; their sessions end."""
    from doorward.archive.running.persons import person_named, set_password

    found = folder_of(folder)
    person_named(found.register(), name)
    made = set_password(found, name, ask("New password"))
    journal(found)
    _show(made, found.settings().site.name)
    say_when(f"{name} has a new password")


@app.command("remove")
def remove(folder: Dir, name: _Name) -> None:
    """Shut a person out; their sessions end."""
    from doorward.archive.running.persons import remove_person

    found = folder_of(folder)
    remove_person(found, name)
    journal(found)
    say_when(f"{name} is removed")


def _show(made: object, issuer: str) -> None:
    from doorward.access.people import SetUp

    assert isinstance(made, SetUp)
    show_set_up(made, issuer)
