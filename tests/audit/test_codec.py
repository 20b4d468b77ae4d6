"""What was seen comes back from JSON as it was, and nothing of a stranger's does more harm than one clear error."""

import json
import math
from dataclasses import dataclass, field, fields, is_dataclass, replace
from datetime import UTC, date, datetime
from enum import IntEnum, StrEnum
from functools import cache
from pathlib import Path
from types import NoneType, UnionType
from typing import Union, get_args, get_origin, get_type_hints

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from doorward.audit.codec import (
    attempt_from_json,
    attempt_to_json,
    from_json,
    from_plain,
    to_json,
    to_plain,
)
from doorward.audit.facts import (
    AssociationFacts,
    Attempt,
    AttributeFacts,
    Endpoint,
    Facts,
    Outcome,
    PortState,
    ReachFacts,
)
from doorward.audit.ledger.records import ScanPlan
from doorward.audit.place import Place
from doorward.audit.standing import Standing
from doorward.audit.targets import Target
from doorward.errors import ConfigError
from doorward.limits import Limits
from import_invariants import check_answer

CLASSES = get_args(Facts)
ENDPOINT = Endpoint(address="192.0.2.7", port=104)
#: Not what Hypothesis would take for these types: an integer of JSON has an end, and NaN is none.
SCALARS = {
    str: st.text(max_size=12),
    bool: st.booleans(),
    int: st.integers(min_value=-(2**63), max_value=2**63 - 1),
    float: st.floats(allow_nan=False, allow_infinity=False),
    NoneType: st.none(),
}


@cache
def drawn(hint):
    """A strategy for one type hint, every field of a dataclass drawn too."""
    origin, inner = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        return st.one_of(*(drawn(one) for one in inner))
    if origin is tuple:
        return st.lists(drawn(inner[0]), max_size=3).map(tuple)
    if origin is dict:
        return st.dictionaries(drawn(inner[0]), drawn(inner[1]), max_size=3)
    if is_dataclass(hint):
        hints = get_type_hints(hint)
        return st.builds(hint, **{f.name: drawn(hints[f.name]) for f in fields(hint)})
    return SCALARS[hint] if hint in SCALARS else st.sampled_from(hint)


def attempt(**changes) -> Attempt:
    return Attempt(probe="reach", endpoint=ENDPOINT, outcome=Outcome.ANSWERED, **changes)


# --- there and back ---


@pytest.mark.parametrize("form", CLASSES, ids=lambda form: form.__name__)
@settings(max_examples=20, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_an_attempt_with_facts_of_any_kind_comes_back_equal(form, data):
    before = replace(data.draw(drawn(Attempt)), facts=data.draw(drawn(form)))
    text = attempt_to_json(before)
    assert text.isascii()
    assert "\n" not in text
    assert attempt_from_json(text) == before
    assert attempt_from_json(text.encode()) == before
    assert json.loads(text)["facts"]["kind"] == form.__name__


@pytest.mark.parametrize("form", [Target, Place, Standing], ids=lambda form: form.__name__)
@settings(max_examples=25, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_the_other_values_of_a_ledger_come_back_equal(form, data):
    before = data.draw(drawn(form))
    assert from_json(form, to_json(before)) == before


def test_an_attempt_without_facts_comes_back_equal():
    before = Attempt(probe="web", endpoint=ENDPOINT, outcome=Outcome.NOT_TESTED, reason="level 1")
    assert attempt_from_json(attempt_to_json(before)) == before


def test_lone_surrogates_come_back_as_they_were():
    before = attempt(reason="\udc80 and \U0001f3e5")
    assert attempt_from_json(attempt_to_json(before)) == before


def test_every_field_is_written_so_that_a_later_default_changes_nothing():
    plain = to_plain(attempt(facts=AssociationFacts(port_state=PortState.OPEN, over_tls=False)))
    assert set(plain) == {f.name for f in fields(Attempt)}
    assert plain["facts"] == {
        "kind": "AssociationFacts",
        "port_state": "open",
        "over_tls": False,
        "replies": [],
    }


class Colour(StrEnum):
    RED = "red"


class Rank(IntEnum):
    LOW = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Everything:
    """One field of each kind that there is."""

    text: str
    whole: int
    number: float
    truth: bool
    colour: Colour
    rank: Rank
    raw: bytes
    day: date
    moment: datetime
    pair: tuple[str, Rank]
    many: tuple[Place, ...]
    some: frozenset[Colour]
    ports: frozenset[int]
    sizes: dict[str, int]
    places: dict[str, Place]
    maybe: int | None = None
    place: Place = field(default_factory=Place)


EVERYTHING = Everything(
    text="a\u2028b",
    whole=-7,
    number=0.5,
    truth=True,
    colour=Colour.RED,
    rank=Rank.LOW,
    raw=b"\x00\xff",
    day=date(2026, 2, 28),
    moment=datetime(2026, 2, 28, 1, tzinfo=UTC),
    pair=("x", Rank.LOW),
    many=(Place(site="North"),),
    some=frozenset({Colour.RED}),
    ports=frozenset({443, 104}),
    sizes={"PatientName": 12},
    places={"here": Place(country="DE")},
)


def test_every_kind_of_field_comes_back_equal_and_of_its_type():
    after = from_json(Everything, to_json(EVERYTHING))
    assert after == EVERYTHING
    assert type(after.rank) is Rank
    assert type(after.colour) is Colour
    assert to_plain(EVERYTHING)["ports"] == [104, 443]


WRONG = [
    ("text", 1, "is not a text"),
    ("whole", True, "is not a whole number"),
    ("whole", 1.0, "is not a whole number"),
    ("whole", 2**63, "too large"),
    ("number", "1", "is not a number"),
    ("number", math.inf, "is not a number"),
    ("number", 10**400, "too large"),
    ("truth", 1, "is not true or false"),
    ("colour", "blue", "no word for a Colour"),
    ("colour", ["red"], "no word for a Colour"),
    ("rank", True, "no word for a Rank"),
    ("rank", 9, "no word for a Rank"),
    ("raw", "%%", "no base64"),
    ("day", "2026-02-30", "no day"),
    ("moment", "soon", "no time"),
    ("pair", ["x"], "no list of 2"),
    ("pair", "xy", "not a list"),
    ("many", {}, "not a list"),
    ("sizes", [], "not an object"),
    ("place", [], "not an object"),
    ("maybe", "1", "is not a whole number"),
]


@pytest.mark.parametrize(("name", "content", "message"), WRONG)
def test_a_value_of_another_type_is_refused_with_the_name_of_its_field(name, content, message):
    plain = {**to_plain(EVERYTHING), name: content}
    with pytest.raises(ConfigError, match=message) as caught:
        from_plain(Everything, plain)
    assert caught.value.field == name


def test_a_fault_deep_inside_is_named_by_its_path():
    plain = to_plain(EVERYTHING)
    plain["many"] = [*plain["many"], {"site": 3}]
    with pytest.raises(ConfigError) as caught:
        from_plain(Everything, plain)
    assert caught.value.field == "many[1].site"


def test_a_whole_number_is_a_number():
    assert from_plain(Everything, {**to_plain(EVERYTHING), "number": 2}).number == 2.0


# --- older and newer ---


def test_a_missing_field_takes_its_default():
    plain = to_plain(EVERYTHING)
    del plain["maybe"], plain["place"]
    assert from_plain(Everything, plain) == EVERYTHING


def test_a_missing_field_without_a_default_is_named():
    plain = to_plain(EVERYTHING)
    del plain["text"]
    with pytest.raises(ConfigError, match="has no 'text'"):
        from_plain(Everything, plain)


def test_a_field_that_is_not_known_is_named():
    plain = to_plain(attempt(facts=ReachFacts(port_state=PortState.OPEN)))
    plain["facts"]["hops"] = 3
    with pytest.raises(ConfigError, match="'hops'") as caught:
        from_plain(Attempt, plain)
    assert caught.value.field == "facts"
    assert "newer" in (caught.value.hint or "")


@pytest.mark.parametrize("kind", ["TelexFacts", None, 3, ["ReachFacts"]])
def test_a_kind_that_is_not_known_is_refused(kind):
    plain = to_plain(attempt(facts=ReachFacts(port_state=PortState.OPEN)))
    plain["facts"]["kind"] = kind
    with pytest.raises(ConfigError, match="kind"):
        from_plain(Attempt, plain)


def test_no_value_and_no_odd_name_is_quoted_in_an_error():
    canary = "DOE^JANE 19700101"
    plain = to_plain(attempt(facts=AttributeFacts(returned={"PatientName": 3})))
    for change in (
        {"probe": [canary]},
        {canary: 1},
        {"outcome": canary},
        {"facts": {"kind": canary}},
        {"facts": {"kind": "AttributeFacts", "returned": {canary: "x"}}},
    ):
        with pytest.raises(ConfigError) as caught:
            from_plain(Attempt, {**plain, **change})
        assert canary not in f"{caught.value} {caught.value.hint} {caught.value!r}"


# --- strangers ---

HOSTILE = [
    b"",
    b"\xff\xfe",
    b"nothing",
    b"[" * 100_000,
    b'{"a":' * 100_000,
    b'{"probe": NaN}',
    b'{"probe": Infinity}',
    b"9" * 100_000,
    b"[]",
    b"null",
    b'"Attempt"',
    b"{}",
]


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: repr(text[:12]))
def test_what_is_no_attempt_is_one_clear_error(text):
    with pytest.raises(ConfigError):
        attempt_from_json(text)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["kind", *(f.name for f in fields(Attempt))]) | st.text(max_size=4),
                inner,
                max_size=6,
            )
        ),
    )
)
def test_whatever_a_stranger_nests_is_an_attempt_or_one_clear_error(plain):
    try:
        assert is_dataclass(from_plain(Attempt, plain))
    except ConfigError:
        pass


def test_a_text_beyond_the_bound_is_refused_unread():
    limits = Limits(answer_bytes=1_000)
    with pytest.raises(ConfigError, match="longer than 1,000 bytes"):
        attempt_from_json(b" " * 1_001, limits=limits)


def test_an_answer_that_could_not_be_read_back_becomes_inconclusive():
    limits = Limits(answer_bytes=1_000)
    long = attempt(facts=AttributeFacts(returned={f"Keyword{n}": n for n in range(200)}))
    after = attempt_from_json(attempt_to_json(long, limits=limits), limits=limits)
    assert after.outcome is Outcome.INCONCLUSIVE
    assert after.facts is None
    assert "1,000 bytes" in after.reason


# --- what has no form is our own mistake, found at the first use ---


@dataclass(frozen=True, slots=True, kw_only=True)
class First:
    kind: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Clashing:
    either: First | Place


@dataclass(frozen=True, slots=True, kw_only=True)
class Loose:
    either: int | str


@dataclass(frozen=True, slots=True, kw_only=True)
class Strange:
    what: complex


@dataclass(frozen=True, slots=True, kw_only=True)
class Keyed:
    by: dict[int, str]


@pytest.mark.parametrize("form", [Clashing, Loose, Strange, Keyed])
def test_a_type_that_json_cannot_tell_apart_is_refused(form):
    with pytest.raises(TypeError):
        from_plain(form, {})


CORPUS = sorted((Path(__file__).parent.parent / "fuzz" / "corpus" / "answers").iterdir())


@pytest.mark.parametrize("path", CORPUS, ids=lambda path: path.name)
def test_kept_inputs_of_the_fuzzer_are_answers_or_clear_errors(path):
    check_answer(path.read_bytes())


@pytest.mark.parametrize("cell", [None, 5, 1.5])
def test_a_cell_that_is_no_text_is_no_answer(cell):
    with pytest.raises(ConfigError, match="is no JSON"):
        attempt_from_json(cell)


@pytest.mark.parametrize("time", ["0001-01-01T00:00:00+23:00", "9999-12-31T23:59:59-23:00"])
def test_a_time_before_or_after_all_others_is_none(time):
    plan = to_plain(
        ScanPlan(started_at=datetime(2026, 1, 1, tzinfo=UTC), clearance_level=1, ports=())
    )
    with pytest.raises(ConfigError, match=r"started_at.*is no time"):
        from_plain(ScanPlan, plan | {"started_at": time})
