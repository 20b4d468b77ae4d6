"""Work and results as bytes: what comes back is what was sent, and anybody's bytes are one clear error at the most."""

import json
import random
import zlib
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doorward.audit.codec import to_json
from doorward.audit.facts import Attempt, Outcome, SystemFacts
from doorward.audit.place import Place
from doorward.audit.roster import Visitee
from doorward.audit.sensors.messages import Result, Work, pack, packed_parts, unpack, work_of
from doorward.audit.system import SurveySettings
from doorward.audit.targets import Target
from doorward.errors import ConfigError
from ledgers import attempt
from loopback import limits

ADDRESS = "192.0.2.1"
VISITEE = Visitee(
    number=7,
    target=Target(
        host="pacs.example",
        ports=(104,),
        place=Place(owner="Example Hospital", contact="it@example.test"),
        called_ae_titles=("ARCHIVE",),
    ),
    address=ADDRESS,
    answered=(attempt(),),
)
SETTINGS = SurveySettings(
    clearance_level=2, ports=(104, 11112), called_ae_titles=("PACS",), discovers=True, estimate=True
)


def work(**changes):
    made = work_of(VISITEE, SETTINGS, scan="scan-1", issue="a1", lease_s=30)
    return replace(made, **changes)


def result(*attempts: Attempt, **changes) -> Result:
    facts = SystemFacts(address=ADDRESS, name="", clearance_level=2, attempts=attempts)
    made = Result(scan="scan-1", number=7, address=ADDRESS, visit="v1", facts=facts)
    return replace(made, **changes)


def said(characters: int) -> Attempt:
    """An answer whose reason is so long and cannot be deflated."""
    chance = random.Random(characters)
    reason = "".join(chr(chance.randrange(33, 127)) for _ in range(characters))
    return replace(attempt(outcome=Outcome.INCONCLUSIVE), reason=reason)


def test_work_comes_back_as_it_was_sent():
    assert unpack(Work, pack(work())) == work()


def test_a_result_comes_back_as_it_was_sent():
    made = result(attempt(), attempt(port=11112))
    assert unpack(Result, pack(made)) == made


def test_what_the_inventory_says_about_its_owner_stays_at_home():
    text = zlib.decompress(pack(work())).decode()
    assert "Example Hospital" not in text
    assert "it@example.test" not in text
    assert "pacs.example" in text


def test_a_sensor_asks_as_the_coordinator_wants():
    asked = work().settings(SurveySettings(clearance_level=3))
    assert (asked.clearance_level, asked.ports) == (2, (104, 11112))
    assert asked.called_ae_titles == ("PACS",)
    assert asked.discovers
    assert asked.estimate


def test_a_sensor_never_asks_for_more_than_its_own_settings_allow():
    greedy = work(clearance_level=3, try_default_credentials=True)
    asked = greedy.settings(SurveySettings(clearance_level=1))
    assert asked.clearance_level == 1
    assert not asked.try_default_credentials


@pytest.mark.parametrize(
    ("field", "changes"),
    (
        ("scan", {"scan": "a.b"}),
        ("scan", {"scan": "*"}),
        ("issue", {"issue": ""}),
        ("number", {"number": -1}),
        ("address", {"address": "pacs.example"}),
        ("address", {"address": "fe80::1%eth0"}),
        ("target.host", {"target": Target(host="a\x1b[2J")}),
        ("clearance_level", {"clearance_level": 0}),
        ("clearance_level", {"clearance_level": 4}),
        ("ports", {"ports": (0,)}),
        ("ports", {"ports": tuple(range(1, 5_000))}),
        ("called_ae_titles", {"called_ae_titles": ("A" * 17,)}),
        ("called_ae_titles", {"called_ae_titles": ("A",) * 65}),
        ("calling_ae_title", {"given_calling": "A\\B"}),
        ("lease_s", {"lease_s": 0.0}),
    ),
)
def test_work_that_no_coordinator_hands_out_is_refused(field, changes):
    with pytest.raises(ConfigError) as wrong:
        unpack(Work, pack(work(**changes)))
    assert wrong.value.field == field


@given(st.binary(max_size=300))
def test_any_bytes_are_one_error(content):
    for form in (Work, Result):
        with pytest.raises(ConfigError):
            unpack(form, content)


@given(st.binary(max_size=300))
def test_any_deflated_bytes_are_one_error(content):
    with pytest.raises(ConfigError):
        unpack(Result, zlib.compress(content))


def test_a_bomb_is_not_inflated():
    with pytest.raises(ConfigError, match="longer than"):
        unpack(Result, zlib.compress(b"[" * 50_000_000))


def test_a_message_that_is_cut_off_is_an_error():
    with pytest.raises(ConfigError, match="cut off"):
        unpack(Result, pack(result(attempt()))[:-3])


@pytest.mark.parametrize(("part", "parts"), ((0, 1), (2, 1), (1, 17), (1, 0)))
def test_parts_that_cannot_be_are_an_error(part, parts):
    with pytest.raises(ConfigError, match="no part"):
        unpack(Result, pack(result(attempt(), part=part, parts=parts)))


def test_a_usual_result_is_one_message():
    made = result(*(attempt(port=port) for port in range(1, 50)))
    (content,) = packed_parts(made, 1_048_576)
    assert unpack(Result, content) == made


def test_a_long_result_is_cut_between_attempts_and_nothing_is_lost():
    attempts = tuple(said(3_000 + n) for n in range(9))
    parts = [unpack(Result, one) for one in packed_parts(result(*attempts), 12_000)]
    assert len(parts) > 1
    assert all(len(one) <= 12_000 for one in packed_parts(result(*attempts), 12_000))
    assert [(p.part, p.parts) for p in parts] == [(n + 1, len(parts)) for n in range(len(parts))]
    assert tuple(a for part in parts for a in part.facts.attempts) == attempts


def test_a_result_longer_than_one_answer_may_be_is_cut_too():
    bounds = limits(answer_bytes=5_000, sensor_message_bytes=9_000)
    attempts = tuple(said(2_000 + n) for n in range(6))
    parts = packed_parts(result(*attempts), 1_048_576, limits=bounds)
    assert len(parts) > 1
    assert all(len(zlib.decompress(one)) <= 9_000 for one in parts)


def test_an_answer_that_is_longer_than_a_message_is_never_a_pass():
    long = replace(attempt(), reason=said(30_000).reason)
    parts = [unpack(Result, one) for one in packed_parts(result(long, attempt()), 12_000)]
    first, second = (a for part in parts for a in part.facts.attempts)
    assert (first.outcome, first.facts) == (Outcome.INCONCLUSIVE, None)
    assert "was not kept" in first.reason
    assert second == attempt()


def test_a_result_never_has_more_parts_than_may_be():
    attempts = tuple(said(9_000 + n) for n in range(40))
    parts = [unpack(Result, one) for one in packed_parts(result(*attempts), 12_000)]
    assert len(parts) == 16
    kept = [a for part in parts for a in part.facts.attempts]
    assert len(kept) == 40
    assert all(a.outcome is not Outcome.ANSWERED for a in kept[15:])


def test_a_newer_version_is_named_as_the_reason():
    plain = json.loads(to_json(result(attempt())))
    with pytest.raises(ConfigError) as wrong:
        unpack(Result, zlib.compress(json.dumps(plain | {"mood": 1}).encode()))
    assert "newer version" in wrong.value.hint
