"""The catalogue of checks as a page: docs/checks.md is generated from here."""

from collections.abc import Iterator

from doorward.audit.checks.registry import CATALOGUE
from doorward.audit.verdict import AREAS, Check

_PRODUCTS = {
    "generic": "Any product",
    "orthanc": "Orthanc",
    "dcm4chee": "dcm4chee",
    "dcmtk": "DCMTK",
    "conquest": "ConQuest",
    "dicoogle": "Dicoogle",
    "postgresql": "PostgreSQL",
    "mysql": "MySQL, MariaDB",
    "mssql": "SQL Server",
    "oracle": "Oracle",
    "mongodb": "MongoDB",
    "redis": "Redis",
    "elasticsearch": "Elasticsearch, OpenSearch",
    "ldap": "LDAP directories",
    "smb": "SMB",
    "nfs": "NFS",
    "nginx": "nginx",
    "apache": "Apache httpd",
    "lighttpd": "lighttpd",
    "iis": "Microsoft IIS",
    "python": "Python's http.server",
    "vsftpd": "vsftpd",
    "proftpd": "ProFTPD",
    "pureftpd": "Pure-FTPd",
    "filezilla": "FileZilla Server",
}


def catalogue_markdown() -> str:
    """Return the whole catalogue as Markdown, by area, ending with a newline."""
    lines = ["# Checks", "", f"{len(CATALOGUE)} checks; a title states the secure condition.", ""]
    lines += ["| check | severity | level | what must hold |", "|---|---|---|---|"]
    lines += [
        f"| [{c.id}](#{c.id}) | {c.severity.label} | {c.clearance_level} | {c.title} |"
        for c in CATALOGUE
    ]
    for area in AREAS:
        lines += ["", f"## {area.capitalize()}"]
        for check in CATALOGUE:
            if check.area == area:
                lines += _section(check)
    return "\n".join(lines) + "\n"


def _section(check: Check) -> Iterator[str]:
    yield from (
        "",
        f"### {check.id}",
        "",
        f"**{check.title}.** When it fails: {check.problem}.",
        "",
    )
    yield f"Severity {check.severity.label}, clearance level {check.clearance_level}, probe `{check.probe}`."
    yield from (
        "",
        check.description,
        "",
        f"*Why it matters.* {check.risk}",
        "",
        "*What to change.*",
        "",
    )
    for product, text in check.remediation.items():
        yield f"- {_PRODUCTS[product]}: {text}"
    yield from ("", f"*How to check that it is shut.* `{check.verify}`", "")
    links = [f"[{r.label}]({r.url})" if r.url else r.label for r in check.references]
    yield f"*References.* {'; '.join(links)}"
