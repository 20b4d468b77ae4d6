"""The one policy: a table of role and operation, deny wins, nothing by default, and queries show what decide allows."""

import sqlite3
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from doorward.access.identity import (
    KINDS_OF_ROLE,
    Identity,
    Kind,
    Operation,
    Role,
    Subject,
)
from doorward.access.policy import PRESETS, Decision, decide, hides_studies, restrict
from doorward.access.rules import BY_NAME_ONLY, WITHOUT_STUDY, Effect, Rule, Rules
from doorward.errors import ConfigError

NOW = datetime(2026, 3, 14, 12, tzinfo=UTC)
LATER = NOW + timedelta(days=1)
STUDY_OPERATIONS = frozenset(Operation) - WITHOUT_STUDY
KNOWN = Subject(
    study_uid="2.25.1",
    site="north",
    department="CT",
    referring_physician="p1",
    study_date=date(2026, 3, 1),
    labels=frozenset({"teaching"}),
    destination="ME",
)


def somebody(role: str, **more: object) -> Identity:
    kind = min(KINDS_OF_ROLE.get(role, {Kind.DEVICE}))
    values: dict[str, object] = {
        "kind": kind,
        "name": "me",
        "role": role,
        "site": "north",
        "ae_titles": ("ME",),
        "how": "certificate",
        "expires_at": LATER,
    }
    return Identity(**(values | more))


def allow(*operations: Operation, **more: object) -> Rule:
    return Rule(name="yes", effect=Effect.ALLOW, operations=frozenset(operations), **more)


def deny(*operations: Operation, **more: object) -> Rule:
    return Rule(name="no", effect=Effect.DENY, operations=frozenset(operations), **more)


EVERYTHING = Rules(rules=(allow(*Operation, identities=frozenset({"me"})),))


# --- role x operation -------------------------------------------------------------------------------------------------

#: E echo, S store, Q query, R retrieve, M move, C commit, D delete, X export, A administer, J read_journal.
#: What each role may do where one rule allows this name everything: D and X come from the name alone.
TABLE = {
    "modality": "E S . . . C D . . .",
    "workstation": "E . Q R M . D X . .",
    "migration": "E S Q R M C D X . .",
    "reader": ". . Q R . . D X . .",
    "administrator": ". . . . . . D . A .",
    "auditor": ". . . . . . D . . J",
    "unheard-of": ". . . . . . . . . .",
    "administrator, reader": ". . Q R . . D X A .",
}
COLUMNS = (
    Operation.ECHO,
    Operation.STORE,
    Operation.QUERY,
    Operation.RETRIEVE,
    Operation.MOVE,
    Operation.COMMIT,
    Operation.DELETE,
    Operation.EXPORT,
    Operation.ADMINISTER,
    Operation.READ_JOURNAL,
)


def cells() -> list[tuple[str, Operation, bool]]:
    return [
        (role, operation, letter != ".")
        for role, line in TABLE.items()
        for operation, letter in zip(COLUMNS, line.split(), strict=True)
    ]


def test_the_table_is_complete():
    assert set(COLUMNS) == set(Operation)
    assert set(TABLE) >= set(Role)
    assert set(PRESETS) == set(KINDS_OF_ROLE) == set(Role)


@pytest.mark.parametrize(("role", "operation", "is_allowed"), cells())
def test_role_and_operation(role, operation, is_allowed):
    first, *also = role.split(", ")
    decision = decide(somebody(first, also=tuple(also)), operation, KNOWN, EVERYTHING, NOW)
    assert decision.is_allowed == is_allowed
    assert decision.rule == ("yes" if is_allowed else "(role)")


@pytest.mark.parametrize(("role", "operation"), list(product(Role, Operation)))
def test_without_a_rule_nobody_may_do_anything(role, operation):
    decision = decide(somebody(role), operation, KNOWN, Rules(), NOW)
    assert not decision.is_allowed
    assert decision.rule in ("(default)", "(role)")


@pytest.mark.parametrize("operation", list(Operation))
def test_nobody_may_do_nothing(operation):
    expected = Decision(is_allowed=False, reason="No identity was shown", rule="(nobody)")
    assert decide(None, operation, KNOWN, EVERYTHING, NOW) == expected
    assert restrict(None, EVERYTHING, NOW).decision == expected


@pytest.mark.parametrize(("kind", "role"), list(product(Kind, Role)))
def test_a_role_of_another_kind_opens_nothing(kind, role):
    decision = decide(somebody(role, kind=kind), min(PRESETS[role]), KNOWN, EVERYTHING, NOW)
    assert decision.is_allowed == (kind in KINDS_OF_ROLE[role])


def test_delete_and_export_need_a_rule_that_names_who():
    for operation in BY_NAME_ONLY:
        with pytest.raises(ConfigError, match="somebody by name"):
            allow(operation, roles=frozenset({"migration"}))
        other = Rules(rules=(allow(operation, identities=frozenset({"you"})),))
        assert not decide(somebody(Role.MIGRATION), operation, KNOWN, other, NOW).is_allowed


# --- time, token ------------------------------------------------------------------------------------------------------


def test_an_identity_ends_on_the_second():
    for delta_s, is_allowed in ((1, True), (0, False), (-1, False)):
        me = somebody(Role.READER, expires_at=NOW + timedelta(seconds=delta_s))
        assert decide(me, Operation.QUERY, KNOWN, EVERYTHING, NOW).is_allowed == is_allowed
        assert restrict(me, EVERYTHING, NOW).decision.is_allowed == is_allowed


def test_a_migration_without_an_end_may_do_nothing():
    decision = decide(
        somebody(Role.MIGRATION, expires_at=None), Operation.STORE, KNOWN, EVERYTHING, NOW
    )
    assert (decision.is_allowed, decision.rule) == (False, "(time box)")


def test_a_token_is_good_for_what_it_says_and_no_more_than_the_role():
    asked = frozenset({Operation.QUERY, Operation.ADMINISTER})
    me = somebody(Role.READER, scope=asked)
    allowed = [o for o in Operation if decide(me, o, KNOWN, EVERYTHING, NOW).is_allowed]
    assert allowed == [Operation.QUERY]
    none = somebody(Role.READER, scope=frozenset())
    assert not any(decide(none, o, KNOWN, EVERYTHING, NOW).is_allowed for o in Operation)


# --- rules ------------------------------------------------------------------------------------------------------------

ME = somebody(Role.WORKSTATION)


@pytest.mark.parametrize("is_first", [True, False])
def test_deny_wins_whatever_the_order(is_first):
    rules = (deny(Operation.QUERY), allow(Operation.QUERY))
    rules = Rules(rules=rules if is_first else rules[::-1])
    assert decide(ME, Operation.QUERY, KNOWN, rules, NOW).rule == "no"
    assert restrict(ME, rules, NOW).decision.rule == "no"
    assert not restrict(ME, rules, NOW).shows(KNOWN)


#: A condition, and what of the subject must be unknown for it not to be known.
CONDITIONS = [
    ({"sites": frozenset({"north", "west"})}, {"site": ""}, {"site": "south"}),
    ({"departments": frozenset({"CT"})}, {"department": ""}, {"department": "MR"}),
    (
        {"referring_physicians": frozenset({"p1"})},
        {"referring_physician": ""},
        {"referring_physician": "p2"},
    ),
    ({"younger_than_days": 14}, {"study_date": None}, {"study_date": date(2026, 2, 28)}),
    ({"older_than_days": 12}, {"study_date": None}, {"study_date": date(2026, 3, 2)}),
]


def with_values(**more: object) -> Subject:
    known = {name: getattr(KNOWN, name) for name in Subject.__dataclass_fields__}
    return Subject(**(known | more))


@pytest.mark.parametrize(("condition", "unknown", "other"), CONDITIONS)
def test_a_rule_allows_what_it_surely_means(condition, unknown, other):
    rules = Rules(rules=(allow(Operation.QUERY, **condition),))
    for subject, expected in (
        (KNOWN, True),
        (with_values(**unknown), False),
        (with_values(**other), False),
        (Subject(), False),
    ):
        assert decide(ME, Operation.QUERY, subject, rules, NOW).is_allowed == expected
        assert restrict(ME, rules, NOW).shows(subject) == expected


@pytest.mark.parametrize(("condition", "unknown", "other"), CONDITIONS)
def test_a_rule_denies_what_it_may_mean(condition, unknown, other):
    rules = Rules(rules=(allow(Operation.QUERY), deny(Operation.QUERY, **condition)))
    for subject, expected in (
        (KNOWN, False),
        (with_values(**unknown), False),
        (with_values(**other), True),
        (Subject(), False),
    ):
        assert decide(ME, Operation.QUERY, subject, rules, NOW).is_allowed == expected
        assert restrict(ME, rules, NOW).shows(subject) == expected


def test_labels_are_always_known():
    labelled = Rules(rules=(allow(Operation.QUERY, labels=frozenset({"teaching", "demo"})),))
    hidden = deny(Operation.QUERY, labels=frozenset({"vip"}))
    rules = Rules(rules=(allow(Operation.QUERY), hidden))
    assert decide(ME, Operation.QUERY, KNOWN, labelled, NOW).is_allowed
    assert not decide(
        ME, Operation.QUERY, with_values(labels=frozenset()), labelled, NOW
    ).is_allowed
    assert decide(ME, Operation.QUERY, KNOWN, rules, NOW).is_allowed
    vip = with_values(labels=frozenset({"vip", "teaching"}))
    assert decide(ME, Operation.QUERY, vip, rules, NOW).rule == "no"


def test_a_refusal_about_a_study_tells_the_caller_no_rule():
    hidden = Rule(
        name="vip-patients",
        effect=Effect.DENY,
        operations=frozenset({Operation.RETRIEVE}),
        labels=frozenset({"vip"}),
    )
    rules = Rules(rules=(allow(Operation.RETRIEVE, sites=frozenset({"north"})), hidden))
    by_rule = decide(ME, Operation.RETRIEVE, with_values(labels=frozenset({"vip"})), rules, NOW)
    by_none = decide(ME, Operation.RETRIEVE, with_values(site="south"), rules, NOW)
    assert by_rule.reason == by_none.reason == "Not permitted for this study"
    assert (by_rule.rule, by_none.rule) == ("vip-patients", "(default)")


def test_studies_are_hidden_by_any_condition_unless_all_are_allowed():
    everything, own = allow(Operation.RETRIEVE), allow(Operation.RETRIEVE, own_site=True)
    vip = Rule(
        name="vip",
        effect=Effect.DENY,
        operations=frozenset({Operation.RETRIEVE}),
        labels=frozenset({"vip"}),
    )
    for rules, is_hiding in (
        ((everything,), False),
        ((everything, replace(own, name="own")), False),
        ((own,), True),
        ((everything, vip), True),
        ((), True),
    ):
        assert hides_studies(ME, Operation.RETRIEVE, Rules(rules=rules), NOW) is is_hiding


def test_only_the_own_site_and_somebody_of_no_site_sees_nothing():
    rules = Rules(rules=(allow(Operation.QUERY, own_site=True),))
    assert decide(ME, Operation.QUERY, KNOWN, rules, NOW).is_allowed
    assert not decide(ME, Operation.QUERY, with_values(site="south"), rules, NOW).is_allowed
    nowhere = somebody(Role.WORKSTATION, site="")
    for site in ("", "north"):
        assert not decide(nowhere, Operation.QUERY, with_values(site=site), rules, NOW).is_allowed
        assert not restrict(nowhere, rules, NOW).shows(with_values(site=site))


def test_who_may_be_of_a_denied_site_is_denied():
    rules = Rules(
        rules=(
            allow(Operation.QUERY),
            deny(Operation.QUERY, from_sites=frozenset({"south"})),
        )
    )
    for site, is_allowed in (("north", True), ("south", False), ("", False)):
        me = somebody(Role.WORKSTATION, site=site)
        assert decide(me, Operation.QUERY, KNOWN, rules, NOW).is_allowed == is_allowed


def test_who_is_denied_retrieval_gets_the_images_no_other_way():
    everything = EVERYTHING.rules[0]
    rules = Rules(rules=(everything, deny(Operation.RETRIEVE, labels=frozenset({"teaching"}))))
    refused = {o for o in STUDY_OPERATIONS if not decide(ME, o, KNOWN, rules, NOW).is_allowed}
    assert refused >= {Operation.RETRIEVE, Operation.MOVE, Operation.EXPORT}
    assert decide(ME, Operation.QUERY, KNOWN, rules, NOW).is_allowed


@pytest.mark.parametrize(
    ("destination", "is_allowed"),
    [("ME", True), ("WS2", True), ("WS3", False), ("me", False), ("", False)],
)
def test_images_move_to_the_caller_and_where_a_rule_says(destination, is_allowed):
    rules = Rules(rules=(allow(Operation.MOVE, destinations=frozenset({"WS2"})),))
    decision = decide(ME, Operation.MOVE, with_values(destination=destination), rules, NOW)
    assert decision.is_allowed == is_allowed
    assert decision.rule == ("yes" if is_allowed else "(destination)")


def test_a_destination_is_allowed_for_the_studies_of_its_rule_only():
    rules = Rules(
        rules=(
            allow(Operation.MOVE),
            Rule(
                name="south",
                effect=Effect.ALLOW,
                operations=frozenset({Operation.MOVE}),
                sites=frozenset({"south"}),
                destinations=frozenset({"WS2"}),
            ),
        )
    )
    to_ws2 = with_values(destination="WS2")
    assert not decide(ME, Operation.MOVE, to_ws2, rules, NOW).is_allowed
    south = with_values(destination="WS2", site="south")
    assert decide(ME, Operation.MOVE, south, rules, NOW).rule == "south"


def test_a_destination_can_be_denied():
    rules = Rules(
        rules=(
            allow(Operation.MOVE, destinations=frozenset({"WS2"})),
            deny(Operation.MOVE, destinations=frozenset({"WS2"})),
        )
    )
    assert decide(ME, Operation.MOVE, KNOWN, rules, NOW).is_allowed
    assert decide(ME, Operation.MOVE, with_values(destination="WS2"), rules, NOW).rule == "no"


def test_the_day_is_that_of_the_archive():
    rules = Rules(rules=(allow(Operation.QUERY, younger_than_days=1),))
    subject = with_values(study_date=date(2026, 3, 14))
    before, after = datetime(2026, 3, 14, 23, 59, tzinfo=UTC), datetime(2026, 3, 15, 0, tzinfo=UTC)
    assert decide(ME, Operation.QUERY, subject, rules, before).is_allowed
    assert (
        decide(
            somebody(Role.WORKSTATION, expires_at=after + timedelta(days=1)),
            Operation.QUERY,
            with_values(study_date=date(2026, 3, 14)),
            rules,
            after,
        ).is_allowed
        is False
    )


# --- against an oracle, and as SQL ------------------------------------------------------------------------------------

SITES, PHYSICIANS, LABELS, TITLES = ("north", "south"), ("p1", "p2"), ("vip", "demo"), ("ME", "WS2")


def sets_of(*values: str) -> list[frozenset[str]]:
    return [frozenset(values[:1]), frozenset(values), frozenset()]


#: Every condition a rule can have, with values that meet those of the subjects and identities below.
POOL = [
    *(("identities", names) for names in sets_of("me", "you")),
    *(("roles", names) for names in sets_of("workstation", "reader")),
    *(("kinds", names) for names in sets_of("device", "person")),
    *(("from_sites", names) for names in sets_of(*SITES)),
    *(("sites", names) for names in sets_of(*SITES)),
    *(("departments", names) for names in sets_of("CT", "MR")),
    *(("referring_physicians", names) for names in sets_of(*PHYSICIANS)),
    *(("labels", names) for names in sets_of(*LABELS)),
    *(("younger_than_days", days) for days in (1, 30, 10**9)),
    *(("older_than_days", days) for days in (1, 30, 10**9)),
    ("own_site", True),
    ("destinations", frozenset({"WS2"})),
]
ASKED = [
    frozenset({Operation.QUERY}),
    frozenset({Operation.QUERY, Operation.RETRIEVE}),
    frozenset({Operation.MOVE}),
    STUDY_OPERATIONS - BY_NAME_ONLY,
    STUDY_OPERATIONS,
]


def rule_of(effect: Effect, operations: frozenset[Operation], conditions) -> Rule | None:
    """One rule of drawn parts; None where the parts make no rule."""
    try:
        values = dict(conditions)
        return Rule(name="drawn", effect=effect, operations=operations, **values)
    except ConfigError:
        return None


RULE = st.builds(
    rule_of,
    st.sampled_from([Effect.ALLOW, Effect.ALLOW, Effect.DENY]),
    st.sampled_from(ASKED),
    st.lists(st.sampled_from(POOL), max_size=3),
)


def numbered(drawn: list[Rule | None]) -> Rules:
    real = [rule for rule in drawn if rule is not None]
    return Rules(rules=tuple(replace(rule, name=f"r{n}") for n, rule in enumerate(real)))


RULES = st.lists(RULE, max_size=4).map(numbered)
SUBJECTS = st.builds(
    Subject,
    study_uid=st.just("2.25.7"),
    site=st.sampled_from(("", *SITES, "west")),
    department=st.sampled_from(("", "CT", "MR")),
    referring_physician=st.sampled_from(("", *PHYSICIANS)),
    study_date=st.none()
    | st.sampled_from([date(2026, 3, 14) - timedelta(days=d) for d in (-1, 0, 1, 2, 29, 30, 31)])
    | st.just(date(1, 1, 1)),
    labels=st.frozensets(st.sampled_from(LABELS)),
    destination=st.sampled_from(("", *TITLES, "ELSEWHERE")),
)
IDENTITIES = st.builds(
    somebody,
    st.sampled_from((Role.WORKSTATION, Role.READER, Role.MIGRATION, Role.MODALITY)),
    site=st.sampled_from(("", *SITES)),
    name=st.sampled_from(("me", "you")),
    expires_at=st.sampled_from((LATER, LATER, LATER, NOW)),
    scope=st.sampled_from((None, None, None, frozenset({Operation.QUERY}), frozenset())),
)


def verdict_of(rule: Rule, who: Identity, operation: Operation, what: Subject) -> bool | None:
    """Does the rule mean this? Yes, no, or None: it cannot be known. Written from the words, not from the code."""
    today = NOW.date()
    age = None if what.study_date is None else (today - what.study_date).days
    answers: list[bool | None] = []

    def ask(names: frozenset[str] | None, value: str) -> None:
        if names is not None:
            answers.append(False if not names else None if value == "" else value in names)

    ask(rule.identities, who.name)
    ask(rule.kinds, who.kind)
    ask(rule.from_sites, who.site)
    ask(rule.sites, what.site)
    ask(rule.departments, what.department)
    ask(rule.referring_physicians, what.referring_physician)
    if rule.own_site:
        answers.append(who.site != "" and (None if what.site == "" else what.site == who.site))
    if rule.roles is not None:
        answers.append(who.role in rule.roles)
    if rule.labels is not None:
        answers.append(any(label in what.labels for label in rule.labels))
    if rule.younger_than_days is not None:
        answers.append(None if age is None else age < rule.younger_than_days)
    if rule.older_than_days is not None:
        answers.append(None if age is None else age > rule.older_than_days)
    operations = set(rule.operations)
    if rule.effect is Effect.DENY and Operation.RETRIEVE in operations:
        operations |= {Operation.MOVE, Operation.EXPORT}
    answers.append(operation in operations)
    if operation is Operation.MOVE and rule.effect is Effect.ALLOW:
        answers.append(what.destination in {*who.ae_titles, *rule.destinations} - {""})
    return False if False in answers else None if None in answers else True


def oracle(who: Identity, operation: Operation, what: Subject, rules: Rules) -> bool:
    if who.expires_at is not None and who.expires_at <= NOW:
        return False
    if who.scope is not None and operation not in who.scope:
        return False
    letters = dict(zip(COLUMNS, TABLE[who.role].split(), strict=True))
    if letters[operation] == ".":
        return False
    means = [(rule.effect, verdict_of(rule, who, operation, what)) for rule in rules.rules]
    is_denied = any(e is Effect.DENY and verdict is not False for e, verdict in means)
    return not is_denied and any(e is Effect.ALLOW and verdict is True for e, verdict in means)


@settings(max_examples=200, deadline=None)
@given(IDENTITIES, RULES, st.lists(SUBJECTS, min_size=1, max_size=8))
def test_decide_agrees_with_the_words_of_the_rules(who, rules, subjects):
    for subject, operation in product(subjects, sorted(STUDY_OPERATIONS)):
        decision = decide(who, operation, subject, rules, NOW)
        assert decision.is_allowed == oracle(who, operation, subject, rules)
        assert len(decision.reason) <= 64
        assert decision.reason.isascii()
        assert "\\" not in decision.reason


@settings(max_examples=200, deadline=None)
@given(IDENTITIES, RULES, st.lists(SUBJECTS, min_size=1, max_size=8))
def test_a_study_is_visible_exactly_when_decide_allows_the_query(who, rules, subjects):
    restriction = restrict(who, rules, NOW)
    for subject in subjects:
        is_allowed = decide(who, Operation.QUERY, subject, rules, NOW).is_allowed
        assert restriction.shows(subject) == is_allowed
        assert restriction.decision.is_allowed or not is_allowed


def where(restriction) -> tuple[str, list[str]]:
    """The description as SQL: one comparison for each condition."""
    values: list[str] = []

    def among(column: str, names: frozenset[str] | None, unknown: str) -> list[str]:
        if names is None:
            return []
        values.extend(sorted(names))
        marks = ", ".join("?" * len(names))
        return [f"({column} IN ({marks}){unknown.format(column) if names else ''})"]

    def one(studies, unknown: str) -> str:
        terms = ["TRUE"]
        terms += among("site", studies.sites, unknown)
        terms += among("department", studies.departments, unknown)
        terms += among("physician", studies.referring_physicians, unknown)
        if studies.labels is not None:
            values.extend(sorted(studies.labels))
            marks = ", ".join("?" * len(studies.labels))
            terms.append(
                f"EXISTS (SELECT 1 FROM label l WHERE l.study = s.id AND l.name IN ({marks}))"
            )
        for bound, sign in ((studies.since, ">="), (studies.before, "<")):
            if bound is not None:
                values.append(bound.isoformat())
                terms.append(f"((day <> '' AND day {sign} ?){unknown.format('day')})")
        return " AND ".join(terms)

    allowed = " OR ".join(f"({one(s, '')})" for s in restriction.allow) or "FALSE"
    or_unknown = " OR {} = ''"
    denied = " OR ".join(f"({one(s, or_unknown)})" for s in restriction.deny) or "FALSE"
    return f"({allowed}) AND NOT ({denied})", values


@settings(max_examples=150, deadline=None)
@given(IDENTITIES, RULES, st.lists(SUBJECTS, min_size=1, max_size=20))
def test_the_description_can_be_said_in_sql(who, rules, subjects):
    restriction = restrict(who, rules, NOW)
    base = sqlite3.connect(":memory:")
    base.execute("CREATE TABLE s (id INTEGER, site, department, physician, day)")
    base.execute("CREATE TABLE label (study INTEGER, name)")
    for number, each in enumerate(subjects):
        day = each.study_date.isoformat() if each.study_date else ""
        row = (number, each.site, each.department, each.referring_physician, day)
        base.execute("INSERT INTO s VALUES (?, ?, ?, ?, ?)", row)
        base.executemany(
            "INSERT INTO label VALUES (?, ?)", [(number, name) for name in each.labels]
        )
    text, values = where(restriction)
    shown = {row[0] for row in base.execute(f"SELECT id FROM s WHERE {text}", values)}
    base.close()
    assert shown == {n for n, each in enumerate(subjects) if restriction.shows(each)}


def test_the_generated_rules_do_allow_and_do_deny():
    """The properties above would hold of a policy that always refuses, too."""
    seen = set()

    @settings(max_examples=200, deadline=None, database=None, derandomize=True)
    @given(IDENTITIES, RULES, SUBJECTS)
    def look(who, rules, subject):
        seen.add(decide(who, Operation.QUERY, subject, rules, NOW).rule[:2])

    look()
    assert {"r0", "r1", "(d", "(e", "(s", "(r"} <= seen
