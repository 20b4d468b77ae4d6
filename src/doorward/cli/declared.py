"""The options of the large commands, each declared once: a command's signature is then a list of names and defaults.

What they mean is in ``options`` (checked values) and in the commands. A help text says the default where that is None.
"""

from pathlib import Path
from typing import Annotated

import typer

# --- whom to ask, and what --------------------------------------------------------------------------------------------

Targets = Annotated[
    list[str],
    typer.Argument(
        metavar="TARGET...",
        help="Address, name, network (10.0.0.0/28) or @FILE; a port may follow: pacs.example:104.",
    ),
]
AnyTargets = Annotated[
    list[str] | None,
    typer.Argument(metavar="[TARGET...]", help="Address, name, network or @FILE."),
]
Imports = Annotated[
    list[str] | None,
    typer.Option(
        "--import",
        metavar="[FORMAT=]FILE",
        help="What another tool saw, or your inventory (CSV); repeatable. The format is recognised unless said: "
        "nmap, masscan, zmap, zgrab2, shodan, censys, naabu, httpx, inventory.",
    ),
]
ImportPort = Annotated[
    int | None,
    typer.Option(
        min=1, max=65_535, help="The port that ZMap scanned, for its list of bare addresses."
    ),
]
MaxAge = Annotated[
    float | None, typer.Option(min=0, metavar="DAYS", help="Leave out what a scan saw longer ago.")
]
Ports = Annotated[
    str | None,
    typer.Option(
        help="Ports for targets without one, such as 104,4242-4250; "
        "by default every door of an imaging system."
    ),
]
ScopeFile = Annotated[
    Path | None, typer.Option(help="The written permission; loopback needs none.")
]
Level = Annotated[
    int,
    typer.Option(
        min=1,
        max=3,
        help="1 negotiate, 2 count studies, 3 also see whether patient attributes come back.",
    ),
]
LevelOfSurvey = Annotated[
    int | None,
    typer.Option(min=1, max=3, help="1 negotiate, 2 count (unless said), 3 see attributes."),
]
MostLevel = Annotated[
    int,
    typer.Option(min=1, max=3, help="The most that a survey may ask: 1 negotiate, 2 count, 3."),
]
Called = Annotated[
    list[str] | None, typer.Option(metavar="AET", help="A called AE title to try; repeatable.")
]
Calling = Annotated[
    str | None, typer.Option(metavar="AET", help="A calling AE title that is known to the system.")
]
DefaultCredentials = Annotated[
    bool,
    typer.Option(
        "--try-default-credentials",
        help="With --level 3: try the documented login of a recognised product, once.",
    ),
]
Estimate = Annotated[
    bool, typer.Option("--estimate", help="Sample what is too much to count, with an interval.")
]

# --- manners ----------------------------------------------------------------------------------------------------------

Timeout = Annotated[
    float | None,
    typer.Option(min=0.1, max=600, metavar="SECONDS", help="Longest wait for one answer."),
]
Rate = Annotated[
    float | None, typer.Option(min=0, help="Connections a second, all together (200); 0: unpaced.")
]
NetworkRate = Annotated[
    float | None, typer.Option(min=0, help="Connections a second to one /24 or IPv6 /48 (10).")
]
Systems = Annotated[
    int | None, typer.Option(min=1, max=4_096, help="Systems asked side by side (64).")
]
NetworkSystems = Annotated[
    int | None, typer.Option(min=1, help="Systems of one /24 asked side by side (8).")
]
Windows = Annotated[
    list[str] | None,
    typer.Option(
        metavar="HOURS",
        help="Ask only then, by this machine's clock: 'mon-fri 18:00-07:00'; repeatable.",
    ),
]
MaxSeconds = Annotated[float | None, typer.Option(min=1, help="Stop after so many seconds.")]
MaxConnections = Annotated[int | None, typer.Option(min=1, help="Stop after so many connections.")]
MaxBytes = Annotated[int | None, typer.Option(min=1, help="Stop after so many received bytes.")]

# --- files of ours ----------------------------------------------------------------------------------------------------

TlsAuthorities = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Certificates (PEM) to trust.")
]
ClientCertificate = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Own certificate (PEM) for TLS.")
]
ClientKey = Annotated[Path | None, typer.Option(metavar="FILE", help="Its private key (PEM).")]
Knowledge = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR", help="Newer knowledge (knowledge update --data); else the user's own."
    ),
]
CountryMmdb = Annotated[
    Path | None, typer.Option(metavar="FILE", help="An MMDB that says in which country.")
]
NetworkMmdb = Annotated[
    Path | None, typer.Option(metavar="FILE", help="An MMDB that says in whose network.")
]
Sensors = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Let sensors ask: coordinator.toml.")
]

# --- what is kept and said --------------------------------------------------------------------------------------------

LedgerFile = Annotated[Path, typer.Option(metavar="FILE", help="Where every answer is kept.")]
AuditLedger = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Keep answers and verdicts (see doorward ledger)."),
]
Resume = Annotated[
    bool,
    typer.Option("--resume", help="Go on with this ledger's survey that was stopped or killed."),
]
Label = Annotated[str, typer.Option(help="A word of your own for this survey.")]
Json = Annotated[
    str | None, typer.Option(metavar="FILE", help="Write the JSON report; - is standard output.")
]
Html = Annotated[str | None, typer.Option(metavar="FILE", help="Write the HTML report.")]
Outputs = Annotated[
    list[str] | None,
    typer.Option(metavar="FORMAT=FILE", help="Write a report (json, html, text); repeatable."),
]
FailOn = Annotated[
    str,
    typer.Option(
        metavar="SEVERITY",
        help="Exit with 1 from this severity on: info, low, medium, high, critical.",
    ),
]
AllowInconclusive = Annotated[
    bool,
    typer.Option("--allow-inconclusive", help="Do not exit with 3 for what stayed unanswered."),
]
CountHoneypots = Annotated[
    bool,
    typer.Option("--count-honeypots", help="Count in the totals what looks like a honeypot."),
]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Say every question.")]
VerboseReport = Annotated[
    bool, typer.Option("--verbose", "-v", help="Say every question, list every finding.")
]

# --- practice ---------------------------------------------------------------------------------------------------------

Personas = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="PERSONA...",
        help="What to start; none: all. Or one whole study: study-2019, sixty-days-later.",
    ),
]
FleetFile = Annotated[
    Path | None, typer.Option(metavar="FILE", help="A TOML file instead of personas.")
]
Listing = Annotated[bool, typer.Option("--list", help="Show the personas and start none.")]
PortBase = Annotated[
    int | None,
    typer.Option(
        min=1,
        max=65_535,
        metavar="PORT",
        help="All on 127.0.0.1, from this port on; else each on its own 127.0.1.x, port 11112.",
    ),
]
Studies = Annotated[
    int | None, typer.Option(min=0, help="Studies of each archive; 1234 unless said.")
]
Images = Annotated[int | None, typer.Option(min=0, help="Images of each study; 30 unless said.")]
Patients = Annotated[
    int | None, typer.Option(min=0, help="Patients of each archive; two for five studies.")
]
Scale = Annotated[
    int | None,
    typer.Option(min=1, help="Divide the studies and images of each system of a study."),
]
InventoryFile = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Where to write the list of a study's systems (CSV)."),
]
EventLogFile = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Append every event to a file, as JSON lines."),
]
Seconds = Annotated[float | None, typer.Option(min=0, help="End by itself; else on Ctrl-C.")]
