"""What is committed: held, known to who asks, of the class that is named, and whole on disk."""

from pathlib import Path

import pytest

from archives import EVERYTHING, calling_as, instance, legacy, opened, served
from commitment_peers import references
from doorward.access.identity import How, Operation
from doorward.access.rules import Effect, Rule, Rules
from doorward.archive.commitment.inspection import Inspection
from doorward.net.transfer import store
from loopback import in_loop

DEVICES = [legacy("ct1", "modality"), legacy("ct2", "modality")]
CT1, CT2 = (one.identity(How.ADDRESS_AND_TITLE) for one in DEVICES)
HELD = ("2.25.1", "2.25.2")


async def filled(archive):
    async with served(archive, is_legacy=True) as port, calling_as("CT1", port) as modality:
        for uid in HELD:
            assert await store(modality, instance(uid, StudyDate="20200101")) == 0


def inspection(archive, rules=EVERYTHING):
    return Inspection(
        index=archive.index, blobs=archive.blobs, rules=lambda: rules, now=archive.now
    )


def failures(found):
    return {one.sop_instance_uid: reason for one, reason in found.failed}


def path_of(archive, uid, held):
    [one] = [one for one in held if one.sop_instance_uid == uid]
    return archive.blobs.shelf.path_of(one.digest)


def spoil(path, fault):
    content = path.read_bytes()
    path.unlink()
    if fault != "gone":
        path.write_bytes(content[:-1] if fault == "short" else content[:-1] + b"\x55")


@in_loop
async def test_what_is_held_is_committed_and_what_is_not_is_named(tmp_path):
    async with opened(tmp_path, DEVICES) as archive:
        await filled(archive)
        asked = [*references(*HELD, "2.25.9"), *references("2.25.2", sop_class_uid="1.2.3")]
        found = await inspection(archive).found(asked, CT1, is_hashed=False)

    assert found.committed == tuple(references(*HELD))
    assert found.failed == ((asked[2], 0x0112), (asked[3], 0x0119))
    assert found.studies == ("2.25.1.1", "2.25.2.1")


@in_loop
@pytest.mark.parametrize("is_hashed", [False, True])
@pytest.mark.parametrize("fault", ["gone", "short", "flipped"])
async def test_what_is_not_whole_on_disk_is_not_committed(tmp_path, fault, is_hashed):
    async with opened(tmp_path, DEVICES) as archive:
        await filled(archive)
        path = path_of(archive, HELD[0], await archive.index.instances_with(HELD))
        spoil(Path(path), fault)
        found = await inspection(archive).found(references(*HELD), CT1, is_hashed=is_hashed)

    # A flipped bit is seen by the reading; a further try of the same report does not read again.
    expected = {} if fault == "flipped" and is_hashed else {HELD[0]: 0x0110}
    assert failures(found) == expected


@in_loop
async def test_what_somebody_else_sent_is_told_to_who_may_store_there_and_to_nobody_else(tmp_path):
    commit_only = Rule(name="commit", effect=Effect.ALLOW, operations=frozenset({Operation.COMMIT}))
    young = Rule(
        name="young",
        effect=Effect.ALLOW,
        operations=frozenset({Operation.STORE, Operation.COMMIT}),
        younger_than_days=30,
    )
    async with opened(tmp_path, DEVICES) as archive:
        await filled(archive)
        asked = references(HELD[0])

        async def reasons(rules, who):
            return failures(await inspection(archive, rules).found(asked, who, is_hashed=False))

        assert await reasons(EVERYTHING, CT2) == {}
        only = Rules(rules=(commit_only,))
        assert await reasons(only, CT1) == {}, "its own"
        assert await reasons(only, CT2) == {HELD[0]: 0x0112}
        assert await reasons(Rules(rules=(young,)), CT1) == {HELD[0]: 0x0112}, "too old a study"
        assert await reasons(Rules(), CT1) == {HELD[0]: 0x0112}
