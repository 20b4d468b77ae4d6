"""``doorward ledger``: what earlier surveys found, without the network: listed, reported, compared, exported, pruned."""

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from doorward.cli import declared, options

if TYPE_CHECKING:
    from doorward.audit.ledger.ledger import Ledger
    from doorward.audit.ledger.records import ScanRow
    from doorward.audit.report.survey import SurveyFrame

app = typer.Typer(
    help="What earlier surveys found: list, report, compare, judge anew, export, prune.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

_File = Annotated[
    Path, typer.Argument(metavar="LEDGER", help="The file in which surveys were kept (--ledger).")
]
_Scan = Annotated[
    int | None, typer.Option("--scan", metavar="N", help="Which survey; the latest unless said.")
]


@app.command("list")
def listing(file: _File) -> None:
    """List the surveys of a ledger."""
    from doorward.audit.ledger.ledger import Ledger

    with Ledger.read(file) as ledger:
        rows = ledger.scans()
        if not rows:
            options.say(f"{file} holds no survey")
        for row in rows:
            typer.echo(_line(ledger, row))


def _line(ledger: "Ledger", row: "ScanRow") -> str:
    from doorward.audit.report.untrusted import harmless

    found = ledger.progress(row.number)
    begun = row.plan.started_at.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")
    label = f"  {harmless(row.plan.label)}" if row.plan.label else ""
    return (
        f"{row.number:>3}  {begun}  {row.state.value:<11}  {found.done:,} of {found.systems:,} systems, "
        f"{found.unprotected:,} open, {found.answers:,} answers{label}"
    )


@app.command("report")
def report(
    file: _File,
    scan: _Scan = None,
    json: declared.Json = None,
    html: declared.Html = None,
) -> None:
    """Report a survey as it was judged, finished or not."""
    from doorward.audit.campaign import frame
    from doorward.audit.ledger.ledger import Ledger

    outputs = options.outputs_of(json, html, ())
    with Ledger.read(file) as ledger, ledger.snapshot():
        number = _number(ledger, scan)
        framed = frame(ledger, number)
        to_screen, files = "text", []
        for output in outputs:
            if output.file is None:
                to_screen = output.format
            else:
                write_report(output.format, output.file, framed, ledger.documents(number))
                files.append((output.format, output.file))
                options.say(f"{output.format} report written to {output.file}")
        print_report(framed, ledger.documents(number), to_screen, files=files)


@app.command("rejudge")
def rejudge(
    file: _File,
    scan: _Scan = None,
    knowledge: declared.Knowledge = None,
) -> None:
    """Judge the facts of a survey with today's checks and knowledge; nothing is asked again."""
    from doorward.audit import campaign
    from doorward.audit.ledger.ledger import Ledger

    judge = campaign.Judge(now=datetime.now(UTC), additions=options.additions(knowledge))
    with Ledger.open(file) as ledger:
        number = campaign.rejudge(ledger, _number(ledger, scan), judge)
    options.say(f"{number:,} systems judged anew")


@app.command("end")
def end(file: _File) -> None:
    """End a survey that will not go on: what it has found stays."""
    from doorward.audit.ledger.ledger import Ledger
    from doorward.audit.ledger.records import ScanState
    from doorward.errors import ConfigError

    with Ledger.open(file) as ledger:
        row = ledger.unfinished()
        if row is None:
            raise ConfigError("holds no survey that is not finished", file=file)
        ledger.end(row.number, state=ScanState.FINISHED, at=datetime.now(UTC))
    options.say(f"survey {row.number} is ended; what it has found stays, and a new one may begin")


@app.command("compare")
def compare(
    before: Annotated[Path, typer.Argument(metavar="BEFORE", help="The earlier ledger.")],
    after: Annotated[
        Path | None, typer.Argument(metavar="[AFTER]", help="The later one; the same unless said.")
    ] = None,
    before_scan: Annotated[
        int | None, typer.Option(metavar="N", help="Which survey of BEFORE; else the last but one.")
    ] = None,
    after_scan: Annotated[
        int | None, typer.Option(metavar="N", help="Which survey of AFTER; else the latest.")
    ] = None,
    json: Annotated[
        str | None, typer.Option(metavar="FILE", help="Write the comparison as JSON.")
    ] = None,
    knowledge: declared.Knowledge = None,
) -> None:
    """Tell what has changed between two surveys: shut, gone, newly open, found because more was asked."""
    from doorward.audit import campaign
    from doorward.audit.ledger.ledger import Ledger
    from doorward.audit.report.comparison import comparison_json
    from doorward.audit.report.comparison_terminal import comparison_text

    judge = campaign.Judge(now=datetime.now(UTC), additions=options.additions(knowledge))
    with Ledger.read(before) as earlier, Ledger.read(after or before) as later:
        first = _number(earlier, before_scan, last=2 if after is None else 1)
        second = _number(later, after_scan)
        found = campaign.compared(earlier, first, later, second, judge)
    _deliver(json, comparison_json(found), lambda: comparison_text(found))


@app.command("export")
def export(
    file: _File,
    to: Annotated[
        Path, typer.Argument(metavar="FILE", help="Named .csv, .jsonl or .parquet: the format.")
    ],
    scan: _Scan = None,
) -> None:
    """Write one row for each system: place, grade, rungs, counts. Holds nothing of patients."""
    from doorward.audit.ledger.export import export as write
    from doorward.audit.ledger.ledger import Ledger
    from doorward.audit.report.figures import plural

    with Ledger.read(file) as ledger, ledger.snapshot():
        rows = write(ledger.standings(_number(ledger, scan)), to)
    options.say(f"{plural(rows, 'system')} written to {to}")


@app.command("prune")
def prune(
    file: _File,
    keep: Annotated[int | None, typer.Option(min=0, help="Keep so many of the newest.")] = None,
    days: Annotated[
        int | None, typer.Option(min=0, help="Forget only what began earlier than so many days.")
    ] = None,
    only_answers: Annotated[
        bool, typer.Option("--only-answers", help="Forget the answers, keep verdicts and counts.")
    ] = False,
) -> None:
    """Forget old surveys and give the space back."""
    from doorward.audit.ledger.ledger import Ledger
    from doorward.audit.report.figures import plural
    from doorward.errors import ConfigError

    if keep is None and days is None:
        raise ConfigError("say what may go", hint="--keep N, --days N, or both.")
    oldest = None if days is None else datetime.now(UTC) - timedelta(days=days)
    with Ledger.open(file) as ledger:
        gone = ledger.prune(keep=keep, before=oldest, only_answers=only_answers)
    answers, surveys = plural(gone.answers, "answer"), plural(gone.scans, "survey")
    what = f"{answers} of {surveys}" if only_answers else f"{surveys} with {answers}"
    options.say(f"forgotten: {what}")


# --- what the commands share ------------------------------------------------------------------------------------------


def _number(ledger: "Ledger", scan: int | None, last: int = 1) -> int:
    """Return the number of a survey: the named one, or the ``last`` from the end; raises ConfigError."""
    from doorward.errors import ConfigError

    if scan is not None:
        return ledger.row(scan).number
    rows = ledger.scans()
    if not rows:
        hint = "Begin one: doorward survey --ledger FILE TARGET..."
        raise ConfigError("holds no survey", file=ledger.file, hint=hint)
    if len(rows) < last:
        hint = "Name the ledger of the later survey too: doorward ledger compare BEFORE AFTER."
        raise ConfigError("holds one survey; two are compared", file=ledger.file, hint=hint)
    return rows[-last].number


def write_report(form: str, file: Path, frame: "SurveyFrame", documents: Iterable[str]) -> None:
    """Write one report of a survey in a stream; raises ConfigError where the file cannot be written."""
    if form == "html":
        from doorward.audit.report.survey_html import write_html

        with _systems_in_words():
            write_html(frame, documents, file)
    else:
        from doorward.audit.report.survey import write_json

        with _systems_in_words():
            write_json(frame, _systems(documents), file)


def _systems(documents: Iterable[str]) -> Iterator[str]:
    """Yield documents that are systems: in JSON they are written as they are, and somebody else may have made the file."""
    from doorward.audit.report.listed import listed

    for document in documents:
        listed(document)
        yield document


@contextmanager
def _systems_in_words() -> Iterator[None]:
    """Turn the complaint about a document that is no system of a report into one sentence; its own quotes the document."""
    from doorward.errors import ConfigError

    try:
        yield
    except ValueError:  # pydantic's
        hint = "'doorward ledger rejudge' writes the documents anew from the answers."
        raise ConfigError("the ledger is damaged: a document is no system", hint=hint) from None


def print_report(
    frame: "SurveyFrame",
    documents: Iterable[str],
    form: str,
    *,
    files: Sequence[tuple[str, Path]] = (),
) -> None:
    """Write the report of a survey to standard output, in words unless another form was ordered."""
    from rich.console import Console

    from doorward.audit.report.survey import json_parts
    from doorward.audit.report.survey_html import html_parts
    from doorward.audit.report.survey_terminal import print_survey, survey_text

    with _systems_in_words():
        if form in ("json", "html"):
            parts = json_parts if form == "json" else html_parts
            for part in parts(frame, _systems(documents)):
                options.print_whole(part)
        elif sys.stdout.isatty():
            print_survey(frame, documents, Console(), files=files)
        else:
            options.print_whole(survey_text(frame, documents, files=files))


def _deliver(json: str | None, document: str, words: Callable[[], str]) -> None:
    from doorward.audit.report.outputs import write_file

    if json == "-":
        options.print_whole(document)
        return
    if json is not None:
        write_file(Path(json), document)
        options.say(f"json comparison written to {json}")
    options.print_whole(words())
