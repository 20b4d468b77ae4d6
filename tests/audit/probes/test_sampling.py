"""Drawn days are counted to their end, added up with what was counted, and none of them twice."""

from datetime import date, timedelta
from random import Random

import pytest

from doorward.audit.approach import Approach, Pace
from doorward.audit.count_facts import Part, PartsFacts, QueryEnd
from doorward.audit.count_parts import STUDY_DATE, Span
from doorward.audit.facts import Endpoint, Exactness
from doorward.audit.probes.part_line import line_to
from doorward.audit.probes.sampling import Sampling
from doorward.audit.scope import Scope
from doorward.wire.uids import STUDY_ROOT_FIND
from loopback import HOST, in_loop, limits
from part_archives import CANCELLED, Habits, PartArchive
from scripted_peer import archive, scripted_peer

JANUARY = Span(first=date(2020, 1, 1), last=date(2020, 1, 31))
JUNE = Span(first=date(2020, 6, 1), last=date(2020, 6, 30))
BESIDE = Part(
    first_day="1999-01-01",
    last_day="1999-12-31",
    answers=2,
    end=QueryEnd.SUCCESS,
    matches=10,
    instances=50,
    matches_with_instances=10,
)
COUNTED = PartsFacts(whole_matches=5, queries=2, parts=(BESIDE,))


def month(span, on_working_days, on_weekends=0, images=4):
    made = []
    for number in range(span.days):
        day = span.first + timedelta(days=number)
        many = on_working_days if day.weekday() < 5 else on_weekends
        made += [(f"{day:%Y%m%d}", f"08{n % 60:02}{n // 60:02}", images) for n in range(many)]
    return made


async def sampled(studies, *strata, counted=COUNTED, days=20, **habits):
    held = PartArchive(studies, Habits(**habits))
    bounds = {"reply_s": 0.3, "release_s": 0.2, "part_gap_s": 0.0, "estimate_days": days}
    async with scripted_peer(archive(held.on_find)) as peer:
        us = Approach(
            endpoint=Endpoint(address=HOST, port=peer.port),
            gate=Scope.loopback(),
            pace=Pace(0.0),
            limits=limits(**bounds),
            admitted=("CALLED", "CALLING"),
        )
        async with line_to(us, STUDY_ROOT_FIND) as line:
            line.allow(500, 9.0)
            sampling = Sampling(
                line, lambda told: told.end is QueryEnd.SUCCESS, Random(5).randrange
            )
            return await sampling.estimate(strata, counted), held


@in_loop
async def test_steady_days_are_estimated_exactly_and_added_to_what_was_counted():
    facts, held = await sampled(month(JANUARY, 6) + month(JUNE, 9, 2), JANUARY, JUNE)
    truth = 23 * 6 + 22 * 9 + 8 * 2
    assert (facts.studies.value, facts.studies.exactness) == (10 + truth, Exactness.ESTIMATED)
    assert (facts.images.value, facts.images.exactness) == (50 + 4 * truth, Exactness.ESTIMATED)
    assert facts.sample.margin == 0, "no two days of a kind differ"
    assert (facts.sample.days, facts.sample.strata) == (61, 4)
    assert 12 <= facts.sample.days_drawn <= 20
    asked = [keys[STUDY_DATE] for keys in held.asked]
    assert len(asked) == len(set(asked)) == facts.sample.days_drawn, "no day twice"
    assert "10 were counted beside them" in facts.studies.method


@in_loop
async def test_days_that_vary_get_an_interval():
    wild = [one for n, one in enumerate(month(JANUARY, 40)) if n * n % 7 < 3]
    facts, _ = await sampled(wild, JANUARY, days=12)
    assert facts.sample.margin > 0
    assert "95 % confidence" in facts.studies.method
    assert abs(facts.studies.value - 10 - len(wild)) <= 2 * facts.sample.margin


@in_loop
async def test_a_day_beyond_the_cap_is_counted_by_time():
    facts, held = await sampled(month(JANUARY, 70), JANUARY, cap=25, cap_status=CANCELLED, days=8)
    assert facts.studies.value == 10 + 23 * 70
    assert len(held.asked) > facts.sample.days_drawn


@in_loop
@pytest.mark.parametrize("habits", ({"cap": 25, "cap_status": CANCELLED, "ignores_times": True},))
async def test_a_day_that_cannot_be_counted_ends_the_estimate(habits):
    facts, held = await sampled(month(JANUARY, 70), JANUARY, **habits)
    assert facts is None
    assert len(held.asked) < 60


@in_loop
async def test_silence_ends_the_estimate():
    facts, _ = await sampled(month(JANUARY, 3), JANUARY, silent_at=4)
    assert facts is None


@in_loop
async def test_what_matches_every_day_is_counted_once():
    everywhere = PartsFacts(
        whole_matches=5, queries=2, parts=(BESIDE,), control_matches=3, control_instances=12
    )
    undated = [("", "", 4)] * 3
    facts, _ = await sampled(
        undated + month(JANUARY, 6), JANUARY, counted=everywhere, undated="every"
    )
    # 10 of two parts hold the three twice
    assert facts.studies.value == 10 - 3 + 23 * 6
    assert facts.images.value == 50 - 12 + 4 * 23 * 6


@in_loop
async def test_without_image_counts_images_stay_unknown():
    facts, _ = await sampled(month(JANUARY, 6), JANUARY, hides_images=True)
    assert facts.studies.value == 10 + 23 * 6
    assert (facts.images.value, facts.images.exactness) == (None, Exactness.UNKNOWN)
