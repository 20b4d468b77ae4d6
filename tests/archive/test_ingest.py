"""What is taken in, what is refused and why; nothing is acknowledged that is not durable."""

import dataclasses

import pytest

from archives import calling_as, instance, legacy, opened, records, served
from doorward.access.identity import Operation
from doorward.access.journal.record import Event, Outcome
from doorward.access.rules import Effect, Rule, Rules
from doorward.net.transfer import store
from index_entries import CT
from loopback import in_loop, limits

OLD = frozenset({Operation.STORE})


async def stored(folder, *instances, **named):
    """Return the statuses, then what is held and what is in conflict."""
    devices = [legacy("ct1", "modality")]
    async with opened(folder, devices, **named) as archive, served(archive, is_legacy=True) as port:
        async with calling_as("CT1", port) as modality:
            statuses = [await store(modality, one) for one in instances]
        return statuses, await archive.index.totals(), await archive.index.conflicts(9)


def entries(folder, event):
    return [one.entry for one in records(folder) if one.entry.event is event]


@in_loop
async def test_the_same_again_is_a_success_and_held_once(tmp_path):
    statuses, totals, _ = await stored(tmp_path, instance("2.25.1"), instance("2.25.1"))

    assert statuses == [0, 0]
    assert totals.instances == 1
    assert [one.reason for one in entries(tmp_path, Event.STORE)] == ["", "same"]


@in_loop
async def test_other_content_under_a_uid_is_kept_aside_and_warned_of(tmp_path):
    statuses, totals, conflicts = await stored(
        tmp_path, instance("2.25.1", b"\1\1"), instance("2.25.1", b"\2\2")
    )

    assert statuses == [0, 0xB000]
    assert (totals.instances, len(conflicts)) == (1, 1)
    assert [one.reason for one in entries(tmp_path, Event.STORE)] == ["", "conflict kept"]


@in_loop
async def test_a_command_that_names_another_instance_is_refused(tmp_path):
    wrong = dataclasses.replace(instance("2.25.1"), sop_instance_uid="2.25.2")

    statuses, totals, _ = await stored(tmp_path, wrong)

    assert statuses == [0xA900]
    assert totals.instances == 0
    assert [one.outcome for one in entries(tmp_path, Event.STORE)] == [Outcome.FAILED]


@in_loop
@pytest.mark.parametrize("length", [100, 5])
async def test_a_data_set_that_is_cut_off_is_refused(tmp_path, length):
    whole = instance("2.25.1", b"\1" * 100)
    cut = dataclasses.replace(whole, data_set=whole.data_set[:-length])

    statuses, totals, _ = await stored(tmp_path, cut)

    assert statuses == [0xC000]
    assert totals.instances == 0
    assert not list((tmp_path / "blobs" / "incoming").iterdir())


@in_loop
async def test_a_full_disk_is_out_of_resources_and_leaves_nothing(tmp_path):
    statuses, totals, _ = await stored(
        tmp_path, instance("2.25.1"), limits=limits(blob_reserve_bytes=1 << 60)
    )

    assert statuses == [0xA700]
    assert totals.instances == 0
    assert [one.reason for one in entries(tmp_path, Event.STORE)] == ["No room is left"]


@in_loop
async def test_what_is_larger_than_the_bound_is_out_of_resources(tmp_path):
    statuses, *_ = await stored(
        tmp_path, instance("2.25.1", b"\1" * 9_000), limits=limits(blob_bytes=5_000)
    )

    assert statuses == [0xA700]


@in_loop
async def test_a_rule_about_the_study_decides_as_soon_as_the_head_is_here(tmp_path):
    young = Rule(name="young", effect=Effect.ALLOW, operations=OLD, younger_than_days=7)
    old = instance("2.25.1", b"\1" * 3_000_000, StudyDate="19990101")

    statuses, totals, _ = await stored(tmp_path, old, rules=Rules(rules=(young,)))

    assert statuses == [0x0124]
    assert totals.instances == 0
    [refusal] = entries(tmp_path, Event.REFUSAL)
    assert (refusal.reason, refusal.identity) == ("Not permitted for this study", "ct1")


@in_loop
async def test_a_label_may_close_a_study(tmp_path):
    rules = Rules(
        rules=(
            Rule(name="all", effect=Effect.ALLOW, operations=OLD),
            Rule(name="shut", effect=Effect.DENY, operations=OLD, labels=frozenset({"shut"})),
        )
    )
    first = instance("2.25.1", StudyInstanceUID="2.25.9")
    more = instance("2.25.2", StudyInstanceUID="2.25.9")
    devices = [legacy("ct1", "modality")]
    async with (
        opened(tmp_path, devices, rules) as archive,
        served(archive, is_legacy=True) as port,
        calling_as("CT1", port) as modality,
    ):
        assert await store(modality, first) == 0
        [study] = await archive.index.studies_with("2.25.9")
        await archive.index.label(study.number, ["shut"])
        assert await store(modality, more) == 0x0124


@in_loop
async def test_the_file_is_the_data_set_behind_our_own_preamble(tmp_path):
    one = instance("2.25.1", b"\1" * 100)
    await stored(tmp_path, one)

    [blob] = (tmp_path / "blobs" / "blobs").glob("*/*")
    content = blob.read_bytes()
    assert content[:132] == bytes(128) + b"DICM"
    assert content.endswith(one.data_set)
    assert CT.encode() in content[132:400]
