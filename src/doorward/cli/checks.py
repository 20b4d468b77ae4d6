"""``doorward checks``: the catalogue, one line each, or as JSON."""

import json
from typing import Annotated

import typer


def checks(
    as_json: Annotated[bool, typer.Option("--json", help="Print the catalogue as JSON.")] = False,
) -> None:
    """List everything that an audit looks at."""
    from doorward.audit.checks import CATALOGUE

    if as_json:
        rows = [
            {
                "id": check.id,
                "title": check.title,
                "severity": check.severity.label,
                "area": check.area,
                "probe": check.probe,
                "clearance_level": check.clearance_level,
                "description": check.description,
                "risk": check.risk,
            }
            for check in CATALOGUE
        ]
        typer.echo(json.dumps(rows, indent=2, ensure_ascii=False))
        return
    width = max(len(check.id) for check in CATALOGUE)
    for check in CATALOGUE:
        typer.echo(f"{check.id:<{width}}  {check.severity.label:<8}  {check.title}")
