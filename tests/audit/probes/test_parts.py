"""Counting in parts, against every habit that keeps an archive from telling everything at once."""

import asyncio
from contextlib import suppress
from dataclasses import asdict
from datetime import date
from random import Random

import pytest

from doorward.audit.approach import Approach, Pace
from doorward.audit.codec import from_json, to_json
from doorward.audit.count_facts import PartsFacts, QueryEnd
from doorward.audit.facts import Endpoint, Exactness, Outcome, QueryFacts
from doorward.audit.probes import exposure, parts
from doorward.audit.scope import Scope
from loopback import HOST, in_loop, limits, until
from part_archives import CANCELLED, STUDY_DATE, STUDY_TIME, Habits, PartArchive, spread
from scripted_peer import C_CANCEL_RQ, RELEASE_RQ, archive, scripted_peer

EXACT, AT_LEAST, UNKNOWN = Exactness.EXACT_ENUMERATED, Exactness.AT_LEAST, Exactness.UNKNOWN
ESTIMATED = Exactness.ESTIMATED
TODAY = date(2026, 11, 22)
QUICK = {"reply_s": 0.3, "cancel_s": 0.2, "release_s": 0.2, "part_gap_s": 0.0}


def approach(port, **bounds):
    return Approach(
        endpoint=Endpoint(address=HOST, port=port),
        gate=Scope.loopback(),
        pace=Pace(0.0),
        limits=limits(**(QUICK | bounds)),
        admitted=("CALLED", "CALLING"),
    )


async def asked(studies, *, estimate=False, bounds=None, **habits):
    """Ask for everything, then in parts: (whole, outcome, facts, archive, peer)."""
    held = PartArchive(studies, Habits(**habits))
    async with scripted_peer(archive(held.on_find)) as peer:
        us = approach(peer.port, **(bounds or {}))
        _, _, seen = await exposure.ask(us)
        whole = seen.queries[0]
        held.asked.clear()
        if not parts.is_needed(whole, estimate=estimate):
            return whole, None, None, held, peer
        chance = Random(7).randrange
        ask = parts.asker(whole, estimate=estimate, chance=chance, today=TODAY)
        outcome, _, facts = await ask(us)
    return whole, outcome, facts, held, peer


def valued(count):
    return count.value, count.exactness


# --- when ---------------------------------------------------------------------------------------------------------


@in_loop
async def test_an_archive_that_told_everything_is_not_asked_again():
    assert (await asked(spread(77)))[2] is None


@pytest.mark.parametrize(
    ("end", "status", "matches", "is_needed"),
    (
        (QueryEnd.SUCCESS, 0, 101, False),
        (QueryEnd.SUCCESS, 0, 100, True),
        (QueryEnd.WARNING, 0xFE00, 60, True),
        (QueryEnd.FAILED, 0xA700, 60, True),
        (QueryEnd.ABORTED, None, 60, True),
        (QueryEnd.SILENT, None, 60, False),
        (QueryEnd.WARNING, 0xB000, 0, False),
        (QueryEnd.REFUSED, 0xA700, 0, False),
    ),
)
def test_an_answer_that_the_archive_may_have_cut_is_asked_in_parts(end, status, matches, is_needed):
    whole = QueryFacts(
        level="STUDY", information_model="1.2", end=end, final_status=status, matches=matches
    )
    assert parts.is_needed(whole) is is_needed


def test_our_own_limit_is_no_cap_and_only_an_estimate_goes_beyond():
    whole = QueryFacts(
        level="STUDY",
        information_model="1.2",
        end=QueryEnd.CANCELLED,
        final_status=CANCELLED,
        matches=20,
        reached_cap=True,
    )
    assert not parts.is_needed(whole)
    assert parts.is_needed(whole, estimate=True)


# --- caps that are beaten -----------------------------------------------------------------------------------------


@in_loop
@pytest.mark.parametrize(
    "habits",
    (
        {"cap": 50},
        {"cap": 30, "cap_status": CANCELLED},
        {"cap": 30, "cap_status": 0xA700},
        {"cap": 30, "cap_status": 0xB000},
        {"cap": 30, "cap_status": None},
        {"cap": 30, "cap_status": CANCELLED, "usual_status": 0xB000},
    ),
    ids=("silent", "FE00", "A700", "B000", "abort", "FE00 and B000 under every answer"),
)
async def test_a_cap_is_beaten_however_it_shows(habits):
    whole, outcome, facts, _, _ = await asked(spread(431), **habits)
    assert whole.matches == habits["cap"]
    assert outcome is Outcome.ANSWERED
    assert valued(facts.studies) == (431, EXACT)
    assert valued(facts.images) == (862, EXACT)
    assert "parts by study date" in facts.studies.method
    assert facts.whole_matches == habits["cap"]
    assert sum(part.matches for part in facts.parts) == 431


@in_loop
async def test_a_round_number_that_is_all_is_proved_to_be_all():
    whole, _, facts, held, _ = await asked(spread(100))
    assert (whole.end, whole.matches) == (QueryEnd.SUCCESS, 100)
    assert valued(facts.studies) == (100, EXACT)
    assert valued(facts.images) == (200, EXACT)
    assert facts.looked_at == 0, "the parts add up to the whole: nothing to look for"
    assert len(held.asked) == facts.queries < 20


@in_loop
async def test_a_habitual_warning_is_no_cap():
    _, _, facts, _, _ = await asked(spread(77), usual_status=0xB000)
    assert valued(facts.studies) == (77, EXACT)


@in_loop
async def test_a_crowded_day_is_divided_by_time():
    crowded = [("20200505", f"{8 + n // 60:02}{n % 60:02}30", 3) for n in range(120)]
    _, _, facts, held, _ = await asked(crowded + spread(40), cap=25, cap_status=CANCELLED)
    assert valued(facts.studies) == (160, EXACT)
    assert valued(facts.images) == (440, EXACT)
    assert any(STUDY_TIME in keys and keys[STUDY_TIME] for keys in held.asked)


@in_loop
async def test_images_that_are_not_told_stay_unknown():
    _, _, facts, _, _ = await asked(spread(131), cap=50, hides_images=True)
    assert valued(facts.studies) == (131, EXACT)
    assert valued(facts.images) == (None, UNKNOWN)


# --- studies without a date ---------------------------------------------------------------------------------------

UNDATED = [("", "", 5)] * 7


@in_loop
async def test_studies_without_a_date_that_lie_before_every_date_are_counted():
    """Orthanc compares texts: what is empty comes before 1900."""
    _, _, facts, _, _ = await asked(
        UNDATED + spread(200), cap=30, cap_status=CANCELLED, undated="open"
    )
    assert valued(facts.studies) == (207, EXACT)
    assert (facts.undated, facts.undated_reached) == (7, 7)
    assert "7 studies without a date among them" in facts.studies.method


@in_loop
async def test_studies_without_a_date_that_match_every_range_are_counted_once():
    _, _, facts, _, _ = await asked(
        UNDATED + spread(200), cap=30, cap_status=CANCELLED, undated="every"
    )
    assert facts.control_matches == 7
    assert valued(facts.studies) == (207, EXACT)
    assert valued(facts.images) == (435, EXACT)
    assert "counted once" in facts.studies.method


@in_loop
async def test_studies_without_a_date_that_no_range_reaches_leave_at_least():
    _, _, facts, _, _ = await asked(UNDATED + spread(200), cap=30, cap_status=CANCELLED)
    assert valued(facts.studies) == (200, AT_LEAST)
    assert (facts.looked_at, facts.undated, facts.undated_reached) == (30, 7, 0)
    assert "no date" in facts.studies.method


@in_loop
async def test_parts_that_are_less_than_the_whole_leave_the_whole():
    """A round number, of which some studies have no date: it may be all, or it may not."""
    _, _, facts, _, _ = await asked(UNDATED + spread(93))
    assert valued(facts.studies) == (100, AT_LEAST)
    assert valued(facts.images) == (221, AT_LEAST)
    assert "7 studies of the whole answer are in no range" in facts.studies.method


@in_loop
async def test_an_archive_that_never_shows_a_date_leaves_at_least():
    _, _, facts, _, _ = await asked(spread(200), cap=30, cap_status=CANCELLED, hides_dates=True)
    assert valued(facts.studies) == (200, AT_LEAST)


@in_loop
async def test_a_crowded_day_with_studies_without_a_time_leaves_at_least():
    crowded = [("20200505", "" if n == 3 else f"1200{n:02}", 1) for n in range(60)]
    _, _, facts, _, _ = await asked(crowded, cap=25, cap_status=CANCELLED)
    assert facts.studies.exactness is AT_LEAST
    assert facts.studies.value >= 25


# --- caps that cannot be beaten -----------------------------------------------------------------------------------


@in_loop
async def test_an_archive_that_ignores_dates_is_asked_once_and_no_more():
    _, outcome, facts, held, _ = await asked(spread(200), cap=100, ignores_dates=True)
    assert outcome is Outcome.ANSWERED
    assert valued(facts.studies) == (100, AT_LEAST)
    assert "ignores the date" in facts.studies.method
    assert (facts.queries, len(held.asked)) == (1, 1)


@in_loop
async def test_an_archive_that_refuses_dates_leaves_at_least():
    _, _, facts, held, _ = await asked(spread(200), cap=100, refuses_dates=0xA900)
    assert valued(facts.studies) == (100, AT_LEAST)
    assert "status A900" in facts.studies.method
    assert len(held.asked) == 1


@in_loop
@pytest.mark.parametrize("habits", ({}, {"ignores_times": True}), ids=("one second", "no times"))
async def test_what_no_range_divides_leaves_at_least(habits):
    crowded = [("20200505", "120000", 3) for n in range(80)]
    _, _, facts, held, _ = await asked(crowded + spread(40), cap=25, cap_status=CANCELLED, **habits)
    assert valued(facts.studies) == (65, AT_LEAST)
    assert "on one day at least there are more" in facts.studies.method
    assert len(held.asked) < 100


@in_loop
async def test_an_archive_that_falls_silent_keeps_what_it_told():
    _, outcome, facts, _, peer = await asked(
        spread(200), cap=30, cap_status=CANCELLED, silent_at=17
    )
    assert outcome is Outcome.ANSWERED
    assert facts.studies.exactness is AT_LEAST
    assert "fell silent" in facts.studies.method
    assert peer.calls[-1].pdus[-1] == RELEASE_RQ


@in_loop
async def test_our_own_limit_of_queries_ends_it_honestly():
    _, _, facts, held, _ = await asked(
        spread(400), cap=30, cap_status=CANCELLED, bounds={"count_parts": 20}
    )
    assert facts.studies.exactness is AT_LEAST
    assert facts.studies.value < 400
    assert "20 part queries" in facts.studies.method
    assert len(held.asked) == facts.queries == 20


@in_loop
async def test_our_own_limit_of_time_ends_it_honestly():
    _, _, facts, _, _ = await asked(
        spread(400), cap=30, cap_status=CANCELLED, bounds={"count_parts_s": 0.02}
    )
    assert valued(facts.studies)[1] is AT_LEAST
    assert "time" in facts.studies.method


# --- manners and promises -----------------------------------------------------------------------------------------


@in_loop
async def test_no_patient_key_is_asked_for():
    """Promise 2: a level, a UID and a number to return, a date and a time to match, and nothing else."""
    crowded = [("20200505", f"1200{n:02}", 3) for n in range(60)]
    _, _, _, held, _ = await asked(UNDATED + crowded, cap=25, cap_status=CANCELLED, undated="open")
    tags = {tag for keys in held.asked for tag in keys}
    assert tags == {0x0008_0052, STUDY_DATE, STUDY_TIME, 0x0020_000D, 0x0020_1208}
    assert all(not keys[0x0020_000D] and not keys[0x0020_1208] for keys in held.asked)


@in_loop
async def test_no_day_of_an_examination_is_kept():
    _, _, facts, held, _ = await asked(spread(431), cap=30, cap_status=CANCELLED)
    assert from_json(PartsFacts, to_json(facts)) == facts
    years = [part.first_day[:4] for part in facts.parts]
    assert years == sorted(set(years)), "one row for each year at most"
    assert len(facts.parts) < 20 < len(held.asked)
    assert "seconds" not in str(asdict(facts))


@in_loop
async def test_all_parts_go_over_one_association():
    *_, peer = await asked(spread(431), cap=30, cap_status=CANCELLED)
    assert len(peer.calls) == 2, "one for the whole answer, one for the parts"
    assert [call.pdus[-1] for call in peer.calls] == [RELEASE_RQ, RELEASE_RQ]


@in_loop
async def test_after_an_abort_the_archive_is_called_again():
    *_, facts, _, peer = await asked(spread(200), cap=30, cap_status=None)
    assert valued(facts.studies) == (200, EXACT)
    assert len(peer.calls) > 2


@in_loop
async def test_whoever_interrupts_cancels_and_releases():
    held = PartArchive(spread(200), Habits(cap=30, cap_status=CANCELLED))
    async with scripted_peer(archive(held.on_find)) as peer:
        us = approach(peer.port)
        _, _, seen = await exposure.ask(us)
        held.asked.clear()
        held.habits.silent_at = 5
        task = asyncio.ensure_future(parts.asker(seen.queries[0], today=TODAY)(us))
        await until(lambda: len(held.asked) == 5)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        await until(lambda: all(call.closed_at for call in peer.calls))
    assert task.cancelled()
    assert peer.calls[-1].commands[-1] == C_CANCEL_RQ
    assert peer.calls[-1].pdus[-1] == RELEASE_RQ


# --- estimates ----------------------------------------------------------------------------------------------------


@in_loop
async def test_beyond_our_own_limit_days_are_drawn():
    whole, _, facts, held, _ = await asked(
        spread(1_500, days=400),
        estimate=True,
        bounds={"count_matches": 300, "estimate_whole_matches": 60, "estimate_days": 60},
    )
    assert whole.reached_cap
    assert facts.studies.exactness is ESTIMATED
    assert facts.sample.days_drawn <= 60
    assert abs(facts.studies.value - 1_500) <= max(2 * facts.sample.margin, 1)
    assert "95 % confidence" in facts.studies.method
    assert f"{facts.sample.days_drawn} of" in facts.studies.method
    assert facts.images.exactness is ESTIMATED
    assert facts.images.value == pytest.approx(2 * facts.studies.value, abs=2)
    assert len(held.asked) == facts.queries


@in_loop
async def test_where_dividing_takes_too_long_the_rest_is_sampled():
    _, _, facts, _, _ = await asked(
        spread(1_500, days=400),
        cap=20,
        cap_status=CANCELLED,
        estimate=True,
        bounds={"count_parts": 60},
    )
    assert facts.studies.exactness in (ESTIMATED, AT_LEAST)
    assert facts.studies.value >= 20


@in_loop
async def test_what_can_be_counted_is_not_estimated():
    _, _, facts, _, _ = await asked(spread(431), cap=50, estimate=True)
    assert valued(facts.studies) == (431, EXACT)
    assert facts.sample is None


@in_loop
async def test_a_drawn_day_that_cannot_be_counted_leaves_at_least():
    crowded = [(f"2020{1 + n % 12:02}{1 + n % 28:02}", "120000", 1) for n in range(84 * 40)]
    _, _, facts, _, _ = await asked(
        crowded, cap=20, cap_status=CANCELLED, estimate=True, bounds={"count_parts": 30}
    )
    assert facts.studies.exactness is AT_LEAST
    assert facts.sample is None
