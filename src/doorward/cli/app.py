"""The tree of commands. Importing it costs typer and nothing else: commands import their work when they run."""

from typing import Annotated

import typer

import doorward
from doorward.cli import (
    archive,
    audit,
    checks,
    explain,
    knowledge,
    ledger,
    practice,
    scope,
    sensor,
    survey,
)

app = typer.Typer(
    name="doorward",
    help="Find the doors of medical image archives that stand open, count what lies behind them, and shut them.",
    epilog="Exit codes: 0 all passed; 1 something failed; 2 wrong usage or file; 3 something could not be tested; "
    "4 refused by the scope; 130 interrupted.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
app.command("audit")(audit.audit)
app.command("survey")(survey.survey)
app.add_typer(archive.app, name="archive")
app.add_typer(ledger.app, name="ledger")
app.command("checks")(checks.checks)
app.command("explain")(explain.explain)
app.command("practice")(practice.practice)
app.add_typer(knowledge.app, name="knowledge")
app.add_typer(scope.app, name="scope")
app.add_typer(sensor.app, name="sensor")


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"doorward {doorward.__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version and exit."
        ),
    ] = False,
) -> None:
    """Options before the command; ``version`` is dealt with by its callback."""
