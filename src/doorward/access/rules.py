"""The rules that narrow what a role may do: values, and how they are read from the settings.

Theory of operation: a rule says whom it concerns, which operations, and which studies; ``policy`` puts the rules together.

* A list that is not given narrows nothing. A list that is given and empty names nobody (or no study), and ``Rules.remarks``
  says so. An empty list in a deny rule would deny nothing while it looks as if it did: it is refused.
* What is not known of a study never satisfies an allow rule, and never escapes a deny rule: silence is no permission.
* Rules are written for studies or for what is about no study (echo, administer, read_journal), never for both at once.
"""

import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import date
from enum import StrEnum
from pathlib import Path

from doorward.access.identity import Identity, Kind, Operation, Register, Role, Subject, is_name
from doorward.errors import ConfigError
from doorward.limits import DEFAULT_LIMITS, Limits

Names = frozenset[str]

#: What is about no study: no condition on studies can hold for it.
WITHOUT_STUDY = frozenset({Operation.ECHO, Operation.ADMINISTER, Operation.READ_JOURNAL})
#: What no role carries: only a rule that names who may do it gives it.
BY_NAME_ONLY = frozenset({Operation.DELETE, Operation.EXPORT})
#: Other ways to the same images: whoever is denied retrieval is denied these.
_ALSO_RETRIEVAL = frozenset({Operation.MOVE, Operation.EXPORT})


class Effect(StrEnum):
    """What a rule does to what it concerns; one that denies wins over all that allow."""

    ALLOW = "allow"
    DENY = "deny"


@dataclass(frozen=True, slots=True, kw_only=True)
class Studies:
    """A description of studies: every condition must hold. None narrows nothing, an empty set holds no study.

    As SQL each condition is one comparison of one column: ``site IN (...)``, ``study_date >= since``; where unknown counts
    as met, ``OR column is unknown``.
    """

    sites: Names | None = None
    departments: Names | None = None
    referring_physicians: Names | None = field(default=None, repr=False)
    #: At least one of these.
    labels: Names | None = None
    #: The first Study Date, and the first one that is too late.
    since: date | None = None
    before: date | None = None

    def hold(self, subject: Subject, *, unknown: bool) -> bool:
        """Tell whether a study is among these; ``unknown`` is what a condition on something unknown comes to."""
        return (
            _is_among(subject.site, self.sites, unknown)
            and _is_among(subject.department, self.departments, unknown)
            and _is_among(subject.referring_physician, self.referring_physicians, unknown)
            and (self.labels is None or not self.labels.isdisjoint(subject.labels))
            and self._is_in_time(subject.study_date, unknown)
        )

    def _is_in_time(self, day: date | None, unknown: bool) -> bool:
        if self.since is None and self.before is None:
            return True
        if day is None:
            return unknown
        is_late_enough = self.since is None or day >= self.since
        return is_late_enough and (self.before is None or day < self.before)


def _is_among(value: str, names: Names | None, unknown: bool) -> bool:
    if names is None:
        return True
    if not value:
        return unknown and bool(names)
    return value in names


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One rule: who, what, which studies. Raises ConfigError naming the field."""

    name: str
    effect: Effect
    operations: frozenset[Operation]
    # Whom it concerns; None: everybody.
    identities: Names | None = None
    roles: Names | None = None
    kinds: Names | None = None
    from_sites: Names | None = None
    # Which studies; None: all.
    sites: Names | None = None
    own_site: bool = False
    departments: Names | None = None
    referring_physicians: Names | None = field(default=None, repr=False)
    labels: Names | None = None
    younger_than_days: int | None = None
    older_than_days: int | None = None
    #: For MOVE: allowed beside the caller's own AE titles; in a deny rule, the only ones it denies.
    destinations: Names = frozenset()

    def __post_init__(self) -> None:
        if not is_name(self.name):
            hint = "Lower-case letters, digits, '.', '_' and '-'; a letter or digit first."
            raise ConfigError("is no name", field="name", hint=hint)
        for name, values in self._lists():
            if "" in values:
                raise ConfigError("holds an empty text: it would mean unknown", field=name)
            if self.effect is Effect.DENY and not values:
                hint = "Remove the whole rule, or say what it denies."
                raise ConfigError("is empty: this rule would deny nothing", field=name, hint=hint)
        self._require_sense()

    def _require_sense(self) -> None:
        for name in ("younger_than_days", "older_than_days"):
            days = getattr(self, name)
            if days is not None and days < 1:
                raise ConfigError("must be at least 1", field=name)
        if self.own_site and self.effect is Effect.DENY:
            hint = "Allow what is of the own site instead; all else is denied by default."
            raise ConfigError("makes no sense in a deny rule", field="own_site", hint=hint)
        if self.destinations and Operation.MOVE not in self.covered:
            raise ConfigError("needs the operation move", field="destinations")
        if self.destinations and self.effect is Effect.DENY and len(self.covered) > 1:
            hint = "Deny the other operations in a rule of their own."
            raise ConfigError("only says something about move", field="destinations", hint=hint)
        about_nothing = sorted(self.operations & WITHOUT_STUDY)
        if about_nothing and self._narrows_studies:
            hint = "Write two rules: one for studies, one for what is about no study."
            message = f"{about_nothing[0]} is about no study, and this rule narrows studies"
            raise ConfigError(message, field="operations", hint=hint)
        named_only = sorted(self.operations & BY_NAME_ONLY)
        if named_only and self.effect is Effect.ALLOW and self.identities is None:
            message = f"is missing: {named_only[0]} is only given to somebody by name"
            raise ConfigError(message, field="identities")

    @property
    def covered(self) -> frozenset[Operation]:
        """The operations it decides: denying retrieval denies every other way to the same images."""
        if self.effect is Effect.DENY and Operation.RETRIEVE in self.operations:
            return self.operations | _ALSO_RETRIEVAL
        return self.operations

    @property
    def _narrows_studies(self) -> bool:
        return self.own_site or self.studies(None, date.max) != Studies()

    def concerns(self, identity: Identity, operation: Operation) -> bool:
        """Tell whether the rule is about this caller and this operation, whatever the study."""
        unknown = self.effect is Effect.DENY
        return (
            operation in self.covered
            and (self.identities is None or identity.name in self.identities)
            and (self.roles is None or not self.roles.isdisjoint(identity.roles))
            and (self.kinds is None or identity.kind in self.kinds)
            and _is_among(identity.site, self.from_sites, unknown)
        )

    def studies(self, identity: Identity | None, today: date) -> Studies:
        """Return which studies it is about, for this caller and on this day; ages become dates."""
        sites = self.sites
        if self.own_site:
            own = identity.site if identity is not None else ""
            own_sites = frozenset({own} - {""})
            sites = own_sites if sites is None else sites & own_sites
        return Studies(
            sites=sites,
            departments=self.departments,
            referring_physicians=self.referring_physicians,
            labels=self.labels,
            since=_day(today, self.younger_than_days, 1),
            before=_day(today, self.older_than_days, 0),
        )

    def reaches(self, identity: Identity, destination: str) -> bool:
        """Tell whether a C-MOVE to this AE title is what the rule is about; "" is nowhere that is known."""
        if self.effect is Effect.DENY:
            return not self.destinations or destination in self.destinations
        return destination != "" and (
            destination in identity.ae_titles or destination in self.destinations
        )

    def _lists(self) -> Iterator[tuple[str, frozenset[Operation] | Names]]:
        """Yield each list that is given, with its name."""
        for each in fields(self):
            value = getattr(self, each.name)
            if isinstance(value, frozenset) and (value or each.name != "destinations"):
                yield each.name, value

    def empty_lists(self) -> tuple[str, ...]:
        """Return the names of lists that are given and empty: the rule concerns nobody."""
        return tuple(name for name, values in self._lists() if not values)


def _day(today: date, days_ago: int | None, plus: int) -> date | None:
    """Return the day so long ago; before the calendar begins, its first day: ``since`` and ``before`` stay exact."""
    if days_ago is None:
        return None
    return date.fromordinal(max(today.toordinal() - days_ago + plus, 1))


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """All rules of an archive; their order does not matter. None at all: nobody may do anything. Raises ConfigError."""

    rules: tuple[Rule, ...] = ()

    def __post_init__(self) -> None:
        names = [rule.name for rule in self.rules]
        for name in names:
            if names.count(name) > 1:
                raise ConfigError("is the name of two rules", field=f"rule {name}")

    def concerning(self, identity: Identity, operation: Operation) -> tuple[Rule, ...]:
        """Return the rules about this caller and operation."""
        return tuple(rule for rule in self.rules if rule.concerns(identity, operation))

    def remarks(self, register: Register) -> tuple[str, ...]:
        """Return what should be said at every start: who gets nothing, and which names nobody has."""
        if not any(rule.effect is Effect.ALLOW for rule in self.rules):
            return ("No rule allows anything: everybody is refused.",)
        said = [
            f"Rule {rule.name} concerns nobody: {name} is empty."
            for rule in self.rules
            for name in rule.empty_lists()
        ]
        said += [
            f"Rule {rule.name} names {name}, whom the register does not know."
            for rule in self.rules
            for name in sorted(rule.identities or ())
            if not register.has(name)
        ]
        return tuple(said)


# --- the settings -----------------------------------------------------------------------------------------------------

_CHOICES: Mapping[str, type[StrEnum]] = {"operations": Operation, "roles": Role, "kinds": Kind}
_LISTS = (
    "identities",
    "from_sites",
    "sites",
    "departments",
    "referring_physicians",
    "labels",
    "destinations",
    *_CHOICES,
)
_DAYS = ("younger_than_days", "older_than_days")
_KEYS = ("name", "effect", "own_site", *_DAYS, *_LISTS)

#: The part of a settings file that an archive begins with: what each role may do, and nothing more.
TEMPLATE = """\
# What a role may do is built in; a rule allows it, for all studies or some. What no rule allows is refused,
# and one rule that denies wins over all that allow. An empty list names nobody.
[[rule]]
name = "studies"
effect = "allow"                # or "deny"
roles = ["modality", "workstation", "migration", "reader"]
operations = ["store", "commit", "query", "retrieve", "move"]
# identities = ["ws1"]          # by name; also: kinds, from_sites
# own_site = true               # only studies of the caller's own site; also: sites, departments,
# younger_than_days = 365       #   referring_physicians, labels, older_than_days
# destinations = ["WS2"]        # for move, beside the caller's own AE titles

[[rule]]
name = "housekeeping"
effect = "allow"
roles = ["modality", "workstation", "migration", "administrator", "auditor"]
operations = ["echo", "administer", "read_journal"]
"""


def rules_of(
    settings: Mapping[str, object], *, file: Path, limits: Limits = DEFAULT_LIMITS
) -> Rules:
    """Return the rules of a settings file, as TOML has read it: its ``[[rule]]`` tables.

    ``file`` is what an error names. Raises ConfigError naming file, rule and field.
    """
    rows = settings.get("rule", [])
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        hint = "Write [[rule]] in double brackets, once for each rule."
        raise ConfigError("is no list of rules", file=file, field="rule", hint=hint)
    if len(rows) > limits.policy_rules:
        message = f"has more than {limits.policy_rules:,} rules"
        raise ConfigError(message, file=file, field="rule")
    rules = tuple(_Row(row, number, file, limits).rule() for number, row in enumerate(rows, 1))
    try:
        return Rules(rules=rules)
    except ConfigError as error:
        raise ConfigError(error.message, file=file, field=error.field) from None


class _Row:
    """Turns one table into a Rule, and knows what to call it when it is wrong."""

    def __init__(self, row: Mapping[str, object], number: int, file: Path, limits: Limits) -> None:
        self.row = row
        self.file = file
        self.limits = limits
        name = row.get("name")
        self.where = f"rule {number}"
        if isinstance(name, str) and is_name(name):
            self.where += f" ({name})"

    def rule(self) -> Rule:
        for key in self.row:
            if key not in _KEYS:
                # A misspelt condition would silently widen the rule.
                near = difflib.get_close_matches(key, _KEYS, n=1)
                hint = f"Did you mean {near[0]!r}?" if near else f"Known: {', '.join(_KEYS)}."
                raise self._wrong(key, "is not a field of a rule", hint)
        effect = self._text("effect")
        if effect not in list(Effect):
            raise self._wrong("effect", 'must be "allow" or "deny"')
        if "operations" not in self.row:
            raise self._wrong("operations", "is missing", _one_of(Operation))
        lists = {key: self._list(key) for key in _LISTS if key in self.row}
        if effect == Effect.DENY and lists.get("destinations") == frozenset():
            raise self._wrong("destinations", "is empty: this rule would deny nothing")
        operations = frozenset(Operation(text) for text in lists.pop("operations"))
        name, own_site = self._text("name"), self._flag("own_site")
        younger, older = (self._days(key) for key in _DAYS)
        try:
            return Rule(
                name=name,
                effect=Effect(effect),
                operations=operations,
                own_site=own_site,
                younger_than_days=younger,
                older_than_days=older,
                **lists,
            )
        except ConfigError as error:
            raise self._wrong(error.field or "name", error.message, error.hint) from None

    def _wrong(self, key: str, message: str, hint: str | None = None) -> ConfigError:
        return ConfigError(message, file=self.file, field=f"{self.where}.{key}", hint=hint)

    def _text(self, key: str) -> str:
        value = self.row.get(key)
        if isinstance(value, str):
            return value
        message = "is missing" if value is None else "must be a text in quotes"
        raise self._wrong(key, message)

    def _flag(self, key: str) -> bool:
        value = self.row.get(key, False)
        if isinstance(value, bool):
            return value
        raise self._wrong(key, "must be true or false")

    def _days(self, key: str) -> int | None:
        value = self.row.get(key)
        if value is None or (isinstance(value, int) and not isinstance(value, bool)):
            return value
        raise self._wrong(key, "must be a whole number of days")

    def _list(self, key: str) -> Names:
        value = self.row[key]
        if not isinstance(value, Sequence) or isinstance(value, str):
            raise self._wrong(key, 'must be a list of texts, such as ["a", "b"]')
        if len(value) > self.limits.policy_values:
            raise self._wrong(key, f"has more than {self.limits.policy_values:,} values")
        texts = [text for text in value if isinstance(text, str)]
        if len(texts) != len(value):
            raise self._wrong(key, 'must be a list of texts, such as ["a", "b"]')
        choices = _CHOICES.get(key)
        if choices is not None and not set(texts) <= set(choices):
            raise self._wrong(key, "holds an unknown word", _one_of(choices))
        return frozenset(texts)


def _one_of(words: type[StrEnum]) -> str:
    return f"One of: {', '.join(words)}."
