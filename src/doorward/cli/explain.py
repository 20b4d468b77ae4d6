"""``doorward explain CHECK``: what a check means, why it matters, what to change, how to see that it is shut."""

import textwrap
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from doorward.audit.verdict import Check

_WIDTH = 96
_PRODUCT_NAMES = {
    "generic": "Any product",
    "orthanc": "Orthanc",
    "dcm4chee": "dcm4chee",
    "dcmtk": "DCMTK (dcmqrscp, storescp)",
    "conquest": "ConQuest",
    "dicoogle": "Dicoogle",
}


def explain(
    check: Annotated[
        str, typer.Argument(metavar="CHECK", help="A check id, see 'doorward checks'.")
    ],
) -> None:
    """Explain one check in plain words."""
    typer.echo("\n".join(_lines(_find(check))))


def _find(wanted: str) -> "Check":
    import difflib

    from doorward.audit.checks import CATALOGUE
    from doorward.errors import ConfigError

    by_id = {check.id: check for check in CATALOGUE}
    found = by_id.get(wanted.strip().lower().replace("-", "_"))
    if found is not None:
        return found
    words = wanted.lower().replace("-", "_")
    near = difflib.get_close_matches(words, by_id, n=3, cutoff=0.5)
    near = near or [name for name in by_id if words and words in name][:3]
    hint = f"Did you mean {' or '.join(near)}?" if near else "'doorward checks' lists them all."
    raise ConfigError(f"there is no check {wanted!r}", hint=hint)


def _lines(check: "Check") -> Iterator[str]:
    yield check.title
    yield f"When it fails: {check.problem}."
    yield f"{check.id}, {check.severity.label}, from clearance level {check.clearance_level}"
    yield from _section("What is looked at", check.description)
    yield from _section("Why it matters", check.risk)
    yield ""
    yield "What to change"
    for product, text in check.remediation.items():
        yield f"  {_PRODUCT_NAMES.get(product, product)}:"
        yield from textwrap.wrap(
            text,
            _WIDTH - 4,
            initial_indent="    ",
            subsequent_indent="    ",
            break_on_hyphens=False,
        )
    yield ""
    yield "How to check that it is shut"
    yield f"  {check.verify}"
    yield ""
    yield "References"
    for reference in check.references:
        yield f"  {reference.label}{f'  {reference.url}' if reference.url else ''}"


def _section(title: str, text: str) -> Iterator[str]:
    yield ""
    yield title
    yield from textwrap.wrap(
        text, _WIDTH - 2, initial_indent="  ", subsequent_indent="  ", break_on_hyphens=False
    )
