"""The catalogue: texts from the TOML files beside this one, rules from the decorator, bound by the check's id.

Theory of operation: ``@check`` is the one place that fills the registry; it takes the texts from ``TEXTS``, so a rule
without texts fails when it is imported, and texts without a rule fail the schema test. Ids are never renamed.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from doorward.audit.checks.ruling import Ruling
from doorward.audit.door import Door
from doorward.audit.verdict import AREAS, Check, Reference, Severity
from doorward.knowledge.loader import read, rows

_PACKAGE = "doorward.audit.checks"


class Per(StrEnum):
    """What a rule is asked about."""

    PORT = "port"  # every port that was tried
    DOOR = "door"  # every port that speaks DICOM or asks for a certificate first
    ASKED = "asked"  # every port that the check's own probe was asked about
    SYSTEM = "system"  # the system as a whole: asked once, at whichever port


Rule = Callable[[Door, datetime], Ruling]


@dataclass(frozen=True, slots=True, kw_only=True)
class BoundRule:
    """A rule and what it is asked about."""

    rule: Rule
    per: Per


@dataclass(frozen=True, slots=True, kw_only=True)
class _Texts:
    """One row of an area's TOML file: a ``Check`` before its severity and references are resolved."""

    id: str
    title: str
    problem: str
    severity: str
    area: str
    probe: str
    clearance_level: int
    description: str
    risk: str
    remediation: dict[str, str]
    verify: str
    references: tuple[str, ...]


def _references(keys: Iterable[str]) -> tuple[Reference, ...]:
    known = read(_PACKAGE, "references.toml")
    return tuple(
        Reference(label=known[key]["label"], url=known[key].get("url", "")) for key in keys
    )


def _load() -> Iterator[Check]:
    for area in AREAS:
        for row in rows(_PACKAGE, f"{area}.toml", "check", _Texts):
            yield Check(
                id=row.id,
                title=row.title,
                problem=row.problem,
                severity=Severity.from_label(row.severity),
                area=row.area,
                probe=row.probe,
                clearance_level=row.clearance_level,
                description=row.description,
                risk=row.risk,
                remediation=row.remediation,
                verify=row.verify,
                references=_references(row.references),
            )


#: Every check, in the order of the areas and of their files.
CATALOGUE: Sequence[Check] = tuple(_load())

_BY_ID = {check.id: check for check in CATALOGUE}
_RULES: dict[str, BoundRule] = {}


def check(check_id: str, *, per: Per = Per.DOOR) -> Callable[[Rule], Rule]:
    """Bind a rule to the texts of its id; KeyError for an id that no TOML file has."""
    known = _BY_ID[check_id]

    def bind(rule: Rule) -> Rule:
        assert known.id not in _RULES, f"{known.id} has two rules"
        _RULES[known.id] = BoundRule(rule=rule, per=per)
        return rule

    return bind


def rule_of(check_id: str) -> BoundRule:
    """Return the rule of a check of the catalogue."""
    return _RULES[check_id]
