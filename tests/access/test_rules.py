"""Rules as they are written: what they say, and what makes no rule."""

import tomllib
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from doorward.access.identity import Device, How, Operation, Person, Register, Role, Subject
from doorward.access.policy import PRESETS, decide
from doorward.access.rules import TEMPLATE, Effect, Rule, Rules, Studies, rules_of
from doorward.errors import ConfigError
from doorward.limits import DEFAULT_LIMITS

FILE = Path("archive.toml")
NOW = datetime(2026, 3, 14, tzinfo=UTC)
REGISTER = Register(
    devices=(Device(name="ct1", role=Role.MODALITY), Device(name="ws1", role=Role.WORKSTATION)),
    persons=(Person(name="anna", role=Role.READER),),
)


def read(text: str) -> Rules:
    return rules_of(tomllib.loads(text), file=FILE)


def wrong(text: str) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        read(text)
    assert caught.value.file == FILE
    return caught.value


WHOLE = """
[[rule]]
name = "whole"
effect = "allow"
operations = ["query", "move"]
identities = ["ws1"]
roles = ["workstation"]
kinds = ["device"]
from_sites = ["north"]
sites = ["north", "south"]
own_site = true
departments = ["CT"]
referring_physicians = ["p1"]
labels = ["demo"]
younger_than_days = 365
older_than_days = 2
destinations = ["WS2"]
"""


def test_every_field_is_read():
    (rule,) = read(WHOLE).rules
    assert rule == Rule(
        name="whole",
        effect=Effect.ALLOW,
        operations=frozenset({Operation.QUERY, Operation.MOVE}),
        identities=frozenset({"ws1"}),
        roles=frozenset({Role.WORKSTATION}),
        kinds=frozenset({"device"}),
        from_sites=frozenset({"north"}),
        sites=frozenset({"north", "south"}),
        own_site=True,
        departments=frozenset({"CT"}),
        referring_physicians=frozenset({"p1"}),
        labels=frozenset({"demo"}),
        younger_than_days=365,
        older_than_days=2,
        destinations=frozenset({"WS2"}),
    )
    assert replace(rule) == rule


# --- empty lists ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["", "rule = []", "[other]\nx = 1"])
def test_without_rules_everybody_is_refused_and_it_says_so(text):
    rules = read(text)
    assert rules == Rules()
    assert rules.remarks(REGISTER) == ("No rule allows anything: everybody is refused.",)


@pytest.mark.parametrize("field", ["identities", "roles", "kinds", "from_sites", "sites", "labels"])
def test_an_empty_list_names_nobody_and_says_so(field):
    rules = read(f"[[rule]]\nname='r'\neffect='allow'\noperations=['query']\n{field}=[]")
    assert rules.remarks(REGISTER) == (f"Rule r concerns nobody: {field} is empty.",)
    subject = Subject(site="north", labels=frozenset({"x"}))
    for entry in REGISTER:
        who = entry.identity(How.CERTIFICATE)
        assert not decide(who, Operation.QUERY, subject, rules, NOW).is_allowed


def test_an_empty_list_of_operations_allows_nothing_and_says_so():
    rules = read("[[rule]]\nname='r'\neffect='allow'\noperations=[]")
    assert rules.remarks(REGISTER) == ("Rule r concerns nobody: operations is empty.",)


@pytest.mark.parametrize(
    "field", ["identities", "roles", "kinds", "from_sites", "sites", "labels", "destinations"]
)
def test_an_empty_list_that_would_deny_nothing_is_refused(field):
    error = wrong(f"[[rule]]\nname='r'\neffect='deny'\noperations=['move']\n{field}=[]")
    assert error.field == f"rule 1 (r).{field}"
    assert "would deny nothing" in error.message


def test_a_name_that_nobody_has_is_remarked_on():
    rules = read(
        "[[rule]]\nname='a'\neffect='allow'\noperations=['query']\n"
        "[[rule]]\nname='d'\neffect='deny'\noperations=['query']\nidentities=['ws9', 'ws1']"
    )
    said = rules.remarks(REGISTER)
    assert said == ("Rule d names ws9, whom the register does not know.",)


# --- what is refused --------------------------------------------------------------------------------------------------

HEAD = "[[rule]]\nname='good'\neffect='allow'\noperations=['query']\n[[rule]]\n"


@pytest.mark.parametrize(
    ("row", "field", "message"),
    [
        ("effect='allow'\noperations=[]", "rule 2.name", "is missing"),
        ("name='A b'\neffect='allow'\noperations=[]", "rule 2.name", "is no name"),
        ("name='r'\noperations=[]", "rule 2 (r).effect", "is missing"),
        ("name='r'\neffect='permit'\noperations=[]", "rule 2 (r).effect", "allow"),
        ("name='r'\neffect=1\noperations=[]", "rule 2 (r).effect", "in quotes"),
        ("name='r'\neffect='allow'", "rule 2 (r).operations", "is missing"),
        ("name='r'\neffect='allow'\noperations='query'", "rule 2 (r).operations", "a list"),
        ("name='r'\neffect='allow'\noperations=['read']", "rule 2 (r).operations", "unknown word"),
        (
            "name='r'\neffect='allow'\noperations=[]\nroles=['root']",
            "rule 2 (r).roles",
            "unknown word",
        ),
        ("name='r'\neffect='allow'\noperations=[]\nsites=[1]", "rule 2 (r).sites", "a list"),
        ("name='r'\neffect='allow'\noperations=[]\nsites=['']", "rule 2 (r).sites", "empty text"),
        ("name='r'\neffect='allow'\noperations=[]\nsite=['x']", "rule 2 (r).site", "not a field"),
        ("name='r'\neffect='allow'\noperations=[]\nown_site=1", "rule 2 (r).own_site", "true"),
        (
            "name='r'\neffect='allow'\noperations=[]\nolder_than_days=0",
            "rule 2 (r).older_than_days",
            "at least 1",
        ),
        (
            "name='r'\neffect='allow'\noperations=[]\nyounger_than_days=true",
            "rule 2 (r).younger_than_days",
            "whole number",
        ),
        (
            "name='r'\neffect='deny'\noperations=['query']\nown_site=true",
            "rule 2 (r).own_site",
            "deny rule",
        ),
        (
            "name='r'\neffect='allow'\noperations=['query']\ndestinations=['X']",
            "rule 2 (r).destinations",
            "move",
        ),
        (
            "name='r'\neffect='deny'\noperations=['retrieve']\ndestinations=['X']",
            "rule 2 (r).destinations",
            "move",
        ),
        (
            "name='r'\neffect='allow'\noperations=['echo', 'query']\nsites=['x']",
            "rule 2 (r).operations",
            "echo is about no study",
        ),
        (
            "name='r'\neffect='allow'\noperations=['delete']\nroles=['reader']",
            "rule 2 (r).identities",
            "by name",
        ),
        ("name='good'\neffect='allow'\noperations=[]", "rule good", "two rules"),
    ],
)
def test_what_is_no_rule_is_named(row, field, message):
    error = wrong(HEAD + row)
    assert error.field == field
    assert message in error.message
    assert str(error).startswith(f"archive.toml [{field}]: ")


def test_a_misspelt_condition_is_refused_with_the_word_that_was_meant():
    error = wrong("[[rule]]\nname='r'\neffect='allow'\noperations=[]\nlabel=['vip']")
    assert error.hint == "Did you mean 'labels'?"


@pytest.mark.parametrize("text", ["rule = 1", "rule = [1]", "[rule]\nname = 'r'"])
def test_one_bracket_too_few_is_refused(text):
    assert wrong(text).field == "rule"


def test_rules_and_their_lists_are_bounded():
    few = replace(DEFAULT_LIMITS, policy_rules=1, policy_values=2)
    row = {"name": "r", "effect": "allow", "operations": ["query", "store", "move"]}
    with pytest.raises(ConfigError, match="more than 2 values"):
        rules_of({"rule": [row]}, file=FILE, limits=few)
    with pytest.raises(ConfigError, match="more than 1 rules"):
        rules_of({"rule": [row, row]}, file=FILE, limits=few)


# --- what an archive begins with --------------------------------------------------------------------------------------


def test_the_template_gives_each_role_all_that_it_carries():
    rules = read(TEMPLATE)
    register = REGISTER.with_entry(Person(name="eva", role=Role.ADMINISTRATOR))
    register = register.with_entry(Person(name="otto", role=Role.AUDITOR))
    assert rules.remarks(register) == ()
    for entry in register:
        who = replace(entry.identity(How.CERTIFICATE), ae_titles=("ME",))
        subject = Subject(destination="ME")
        may = {o for o in Operation if decide(who, o, subject, rules, NOW).is_allowed}
        assert may == PRESETS[entry.role]


def test_what_is_commented_out_in_the_template_is_a_rule_too():
    text = TEMPLATE.replace("# identities", "identities").replace("# own_site", "own_site")
    text = text.replace("# younger", "younger").replace("# destinations", "destinations")
    rule = read(text).rules[0]
    assert rule.own_site
    assert rule.younger_than_days == 365
    assert rule.destinations == {"WS2"}


def test_a_physician_is_not_printed():
    rule = read(WHOLE).rules[0]
    assert "p1" not in repr(rule)
    assert "p1" not in repr(rule.studies(None, NOW.date()))


def test_an_empty_set_holds_no_study_known_or_not():
    nothing = Studies(sites=frozenset())
    for unknown in (True, False):
        assert not nothing.hold(Subject(), unknown=unknown)
        assert not nothing.hold(Subject(site="north"), unknown=unknown)
        assert Studies().hold(Subject(), unknown=unknown)
