"""The report as one HTML file: no script, nothing loaded from anywhere, readable on paper.

The page forbids itself everything but its own style sheet (Content-Security-Policy with the sheet's hash), so even a
text that slipped through the escaping could neither run nor call home.
"""

import base64
import hashlib
from dataclasses import dataclass
from importlib import resources

from jinja2 import Environment, FunctionLoader, StrictUndefined, Template
from markupsafe import Markup

from doorward.audit.report.figures import Figure, amount, plural, system_figures
from doorward.audit.report.model import FindingModel, Report, SystemModel
from doorward.audit.report.overall import duration, finished_at, summary
from doorward.audit.report.wording import (
    RUNGS,
    Group,
    Headline,
    failed,
    has_several_ports,
    headline,
    next_steps,
    place_line,
    recognised,
    remaining_groups,
    service_line,
    split_quiet,
    unanswered,
    verifications,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemView:
    """One system with the sentences that the template prints."""

    system: SystemModel
    headline: Headline
    services: str
    #: Where it stands and whom to tell, as far as that is known; else "".
    place: str
    studies: str
    figures: tuple[Figure, ...]
    steps: tuple[str, ...]
    verifications: tuple[str, ...]
    failed: tuple[FindingModel, ...]
    unanswered: tuple[FindingModel, ...]
    groups: tuple[Group, ...]
    names_ports: bool


def report_html(report: Report) -> str:
    """Return the whole page."""
    shown, quiet = split_quiet(report)
    return template("report.html.j2").render(
        report=report,
        title=_title(report),
        overall=summary(report),
        show_overall=len(report.systems) != 1 or report.scan.interrupted,
        views=tuple(system_view(system) for system in shown),
        quiet=quiet,
        duration=duration(report.scan),
        finished=finished_at(report.scan),
    )


def template(name: str) -> Template:
    """Return a page of ``doorward.pages``: everything is escaped, and the style sheet is at hand with its hash."""
    environment = Environment(
        loader=FunctionLoader(_page),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        keep_trailing_newline=True,
    )
    style = _page("report.css")
    environment.globals.update(
        plural=plural,
        recognised=recognised,
        rungs=RUNGS,
        # Our own file, not a stranger's: in a style element HTML escapes would not be undone.
        style=Markup(style),  # noqa: S704
        style_hash=_csp_hash(style),
    )
    return environment.get_template(name)


def system_view(system: SystemModel) -> SystemView:
    """Return one system with the sentences that the page prints."""
    is_open = "E5" in system.ladder
    return SystemView(
        system=system,
        headline=headline(system),
        services=service_line(system),
        place=place_line(system),
        studies=amount(system.counts.studies) if is_open else "–",
        figures=system_figures(system),
        steps=next_steps(failed(system)),
        verifications=verifications(failed(system)),
        failed=failed(system),
        unanswered=unanswered(system),
        groups=remaining_groups(system),
        names_ports=has_several_ports(system),
    )


def _page(name: str) -> str:
    return resources.files("doorward.pages").joinpath(name).read_text(encoding="utf-8")


def _csp_hash(style: str) -> str:
    """Return the source expression of an inline style sheet (CSP Level 3 section 8.4)."""
    digest = base64.b64encode(hashlib.sha256(style.encode("utf-8")).digest())
    return f"sha256-{digest.decode('ascii')}"


def _title(report: Report) -> str:
    day = report.scan.finished_at[:10]
    if len(report.systems) == 1:
        system = report.systems[0]
        return f"Doorward: {system.name or system.address}, {day}"
    return f"Doorward: {len(report.systems)} systems, {day}"
