"""The profiles are whole: each rule has a section, a kind that is answered, and arguments that exist."""

import pytest

from doorward.audit.tls_conformity import KINDS, traits
from doorward.knowledge.tls_parameters import group_named, suite_named, suites
from doorward.knowledge.tls_profiles import profile_of, rules_of, tls_profiles
from doorward.web.tls_hello import VERSION_NAMES

PROFILES = [profile.id for profile in tls_profiles()]
RULES = [(p, rule) for p in PROFILES for rule in rules_of(p)]


def test_the_profiles_of_the_issue_are_there():
    assert {"ps315-b12", "ps315-b13", "rfc9325", "mozilla-intermediate"} == set(PROFILES)


@pytest.mark.parametrize(("profile", "rule"), RULES)
def test_each_rule_can_be_asked_and_names_its_source(profile, rule):
    assert rule.kind in KINDS
    assert rule.level in ("must", "should")
    assert rule.mark in ("S", "M")
    assert rule.section
    assert bool(rule.limit) == (
        rule.kind in ("dh_bits", "curve_bits", "rsa_bits", "certificate_days")
    )


@pytest.mark.parametrize(("profile", "rule"), RULES)
def test_the_names_in_a_rule_exist(profile, rule):
    known_traits = frozenset().union(*(traits(suite) for suite in suites()))
    for value in rule.values:
        if rule.kind in ("suites_allowed", "suites_required"):
            assert suite_named(value) is not None
        elif rule.kind == "suites_forbidden":
            assert value in known_traits
        elif rule.kind.startswith("versions"):
            assert value in VERSION_NAMES.values()
        elif rule.kind == "groups_allowed":
            assert group_named(value) is not None


def test_the_profiles_of_the_standard_include_bcp_195():
    for name in ("ps315-b12", "ps315-b13"):
        assert {r.profile for r in rules_of(name)} == {name, "rfc9325"}
        assert profile_of(name).source.startswith("https://dicom.nema.org/")


def test_b13_is_stricter_on_curves():
    least = {name: [r.limit for r in rules_of(name) if r.kind == "curve_bits"] for name in PROFILES}
    assert max(least["ps315-b13"]) == 256
    assert max(least["ps315-b12"]) == 224


def test_an_unknown_profile_is_no_profile():
    with pytest.raises(KeyError):
        profile_of("none")
