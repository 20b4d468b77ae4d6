"""``doorward knowledge check|update|list``: how old the tables are, newer files into them, what they say of a product."""

import os
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from doorward.knowledge.advisories import Advisory
    from doorward.knowledge.sources import Age
    from doorward.knowledge.updates import Holdings, Update

app = typer.Typer(
    help="What is known about products and their weaknesses: its age, newer files, the list.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

_Data = Annotated[
    Path | None,
    typer.Option(
        "--data",
        metavar="DIR",
        help="Where newer knowledge is kept; else doorward/knowledge under XDG_DATA_HOME.",
    ),
]
_LEFT_OUT_SHOWN = 5


def folder(data: Path | None) -> Path:
    """Return the folder of newer knowledge: the given one, or the user's own."""
    from doorward.audit.knowledge_folder import default_folder

    return default_folder(os.environ, Path.home()) if data is None else data


# --- check ------------------------------------------------------------------------------------------------------------


@app.command("check")
def check(
    data: _Data = None,
    on: Annotated[
        datetime | None,
        typer.Option(
            formats=["%Y-%m-%d"],
            metavar="DATE",
            help="Judge the age on this day (2026-10-31) instead of today.",
        ),
    ] = None,
) -> None:
    """Tell how old the tables are, and what was taken later.

    Exit codes: 0 all fresh; 1 something is older than 180 days; 2 a file cannot be read.
    """
    from doorward.audit.knowledge_folder import load
    from doorward.knowledge.sources import OLD_AFTER_DAYS

    today = _today() if on is None else on.date()
    aged = list(_aged(load(folder(data)), today))
    width = max(len(name) for name, *_ in aged)
    for name, dated, how_old, holds in aged:
        typer.echo(f"{name:<{width}}  {dated}  {_words(how_old):>14}  {holds}")
    old = [name for name, _, how_old, _ in aged if how_old.is_old]
    ahead = [name for name, _, how_old, _ in aged if how_old.is_ahead]
    if old:
        _say(
            f"older than {OLD_AFTER_DAYS} days: {', '.join(old)}. Take a newer release of Doorward, or "
            "newer files with 'doorward knowledge update'."
        )
    if ahead:
        _say(f"dated after {today}: {', '.join(ahead)}. Is the clock right?")
    raise typer.Exit(1 if old or ahead else 0)


def _aged(holdings: "Holdings", today: date) -> Iterator[tuple[str, date, "Age", str]]:
    from doorward.knowledge.sources import age, tables

    for table in tables():
        dated = date.fromisoformat(table.date)
        yield table.name, dated, age(dated, today), f"{table.rows} rows: {table.holds}"
    for one in holdings.provenance:
        holds = f"{one.publisher}, {one.kept:,} of {one.read:,} from {one.file}"
        yield f"{one.kind} {one.document}", one.dated, age(one.dated, today), holds


def _words(how_old: "Age") -> str:
    if how_old.is_ahead:
        return "in the future"
    unit = "day" if how_old.days == 1 else "days"
    return f"{how_old.days:,} {unit}{', OLD' if how_old.is_old else ''}"


# --- update -----------------------------------------------------------------------------------------------------------


@app.command("update")
def update(
    files: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILE...", help="CSAF 2.0 advisory, KEV catalogue, EPSS scores (also gzip)."
        ),
    ],
    data: _Data = None,
) -> None:
    """Take newer files, all or none of them. Nothing is downloaded."""
    from doorward.audit.knowledge_folder import take

    place = folder(data)
    for one in take(place, files, taken=_today()):
        _tell(one)
    _say(f"kept in {place}")


def _tell(one: "Update") -> None:
    where = one.provenance
    typer.echo(
        f"{where.kind} {where.document}  {where.released}  {where.publisher}  "
        f"{where.kept:,} of {where.read:,} kept  {where.file}  sha256 {where.sha256}"
    )
    for reason in one.left_out[:_LEFT_OUT_SHOWN]:
        _say(f"{where.file}: left out: {reason}")
    more = len(one.left_out) - _LEFT_OUT_SHOWN
    if more > 0:
        _say(f"{where.file}: left out: {more:,} more")


# --- list -------------------------------------------------------------------------------------------------------------


@app.command("list")
def list_(
    product: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="A product or toolkit, also a part of its name."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the rows as JSON.")] = False,
    data: _Data = None,
) -> None:
    """List the known weaknesses: affected versions, score, and how far a match would be believed."""
    from doorward.audit.knowledge_folder import load
    from doorward.knowledge.advisories import advisories, in_use

    with in_use(load(folder(data)).additions):
        found = advisories() if product is None else _about(product, advisories())
        if as_json:
            import json

            typer.echo(json.dumps([_record(row) for row in found], indent=2, ensure_ascii=False))
            return
        width = max((len(_subject(row)) for row in found), default=0)
        for row in found:
            typer.echo(_line(row, width))
        if not found:
            _say(f"no weakness of {product} is known to us. That does not mean that it is safe.")


def _about(product: str, rows: Sequence["Advisory"]) -> tuple["Advisory", ...]:
    """Return the rows about a product; ConfigError for a name that no table has."""
    import difflib

    from doorward.errors import ConfigError

    wanted = product.strip().casefold()
    names = {name.casefold(): name for name in _names(rows)}
    chosen = {wanted} & set(names) or {name for name in names if wanted and wanted in name}
    if not chosen:
        near = [names[n] for n in difflib.get_close_matches(wanted, names, n=3, cutoff=0.5)]
        hint = (
            f"Did you mean {' or '.join(near)}?" if near else "'doorward knowledge list' has all."
        )
        raise ConfigError(f"no product {product!r} is known", hint=hint)
    return tuple(
        row for row in rows if chosen & {n.casefold() for n in (*row.products, row.toolkit)}
    )


def _names(rows: Sequence["Advisory"]) -> Iterator[str]:
    from doorward.knowledge.implementations import implementations
    from doorward.knowledge.web_signatures import web_signatures

    for row in rows:
        yield from filter(None, (*row.products, row.toolkit))
    for implementation in implementations():
        yield from filter(None, (implementation.toolkit, implementation.product))
    for signature in web_signatures():
        yield signature.product


def _subject(row: "Advisory") -> str:
    return row.products[0] if row.products else row.toolkit


def _line(row: "Advisory", width: int) -> str:
    more = f" +{len(row.also)}" if row.also else ""
    fixed = f", fixed in {row.fixed}" if row.fixed else ""
    mark = "" if row.cvss_mark in ("S", "-") else " (to be checked)"
    score = f"{row.cvss:g}{mark}" if row.cvss else "no score"
    facts = [f"{row.id}{more}", row.affected + fixed, score, row.most, *_signs(row)]
    return f"{_subject(row):<{width}}  {'; '.join(facts)}; {row.summary} [{row.source}]"


def _signs(row: "Advisory") -> Iterator[str]:
    from doorward.knowledge.advisories import exploited, likelihood

    listed = min((exploited()[i] for i in row.ids if i in exploited()), default="")
    if listed:
        yield f"known to be exploited (listed {listed})"
    elif row.exploited:
        yield "known to be exploited"
    highest = max((likelihood()[i] for i in row.ids if i in likelihood()), default=None)
    if highest is not None:
        yield f"EPSS {highest:.3f}"


def _record(row: "Advisory") -> dict[str, Any]:
    from doorward.knowledge.advisories import exploited, likelihood

    return {
        "ids": list(row.ids),
        "toolkit": row.toolkit,
        "products": list(row.products),
        "recognised_by": list(row.recognised_by),
        "affected": row.affected,
        "fixed": row.fixed,
        "cvss": row.cvss or None,
        "cvss_mark": row.cvss_mark,
        "mark": row.mark,
        "at_most": row.most,
        "exploited": row.exploited or any(i in exploited() for i in row.ids),
        "epss": {i: likelihood()[i] for i in row.ids if i in likelihood()},
        "component": row.component,
        "summary": row.summary,
        "icsma": row.icsma,
        "source": row.source,
    }


def _today() -> date:
    return datetime.now(UTC).date()


def _say(message: str) -> None:
    typer.echo(f"doorward: {message}", err=True)
