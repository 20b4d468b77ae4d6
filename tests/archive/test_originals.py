"""How a file began is kept where that is not how ours begin, and the file comes back byte by byte."""

import dataclasses
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archives import device, instance, opened
from doorward.access.identity import How
from doorward.access.journal.record import Entry, Event
from doorward.archive.blobs.sweep import sweep
from doorward.archive.ingest import Door
from doorward.archive.originals import (
    MAGIC,
    KeptHead,
    encode_head,
    heads_of,
    original_of,
    read_head,
)
from doorward.archive.part10_arrival import take_file
from doorward.errors import UsageError
from loopback import in_loop, limits
from stow_bodies import file_of

POLYGLOT = b"MZ<html>" + bytes(range(120))
ONE = instance("2.25.1", b"\1\2")


async def pieces(content):
    yield content


def door_of(archive):
    sender = device("ct1", "modality").identity(How.CERTIFICATE)
    return Door(
        identity=lambda: sender,
        rules=lambda: archive.settings.rules,
        now=archive.now,
        record=Entry(event=Event.STORE, peer="127.0.0.1"),
    )


async def took(archive, *files):
    taken = [await take_file(archive.ingest, pieces(one), door_of(archive)) for one in files]
    assert [one.answer.status for one in taken] == [0] * len(files)


async def digest_of(archive, uid="2.25.1"):
    [held] = await archive.index.instances_with([uid])
    return held.digest


async def given_back(archive, digest, kept=None):
    return b"".join([piece async for piece in original_of(archive.blobs, digest, kept)])


@in_loop
async def test_a_file_comes_back_byte_by_byte_and_what_is_given_out_has_a_clean_preamble(tmp_path):
    file = file_of(ONE, preamble=POLYGLOT)
    async with opened(tmp_path) as archive:
        await took(archive, file)
        digest = await digest_of(archive)
        [kept] = await heads_of(archive.index, archive.blobs, digest)

        assert await given_back(archive, digest, kept) == file
        ours = await given_back(archive, digest)
        assert ours[:132] == bytes(128) + b"DICM"
        assert ours.endswith(ONE.data_set)
        assert b"MZ" not in ours[:200]


@in_loop
async def test_the_same_instance_by_both_doors_is_held_once(tmp_path):
    async def data_set():
        yield ONE.data_set

    async with opened(tmp_path) as archive:
        await took(archive, file_of(ONE))
        answer = await archive.ingest.take(
            data_set(),
            door_of(archive),
            sop_class_uid=ONE.sop_class_uid,
            sop_instance_uid=ONE.sop_instance_uid,
            transfer_syntax_uid=ONE.transfer_syntax_uid,
        )
        totals = await archive.index.totals()

    assert answer.status == 0
    assert (totals.instances, totals.conflicts) == (1, 0)


@in_loop
async def test_what_begins_as_ours_leaves_nothing_beside_it(tmp_path):
    async with opened(tmp_path) as archive:
        await took(archive, file_of(ONE))
        digest = await digest_of(archive)
        ours = await given_back(archive, digest)
    async with opened(tmp_path / "other") as archive:
        await took(archive, ours)
        assert await heads_of(archive.index, archive.blobs, digest) == []
        assert archive.blobs.has(digest)


@in_loop
async def test_each_beginning_is_kept_once_and_no_more_than_a_bound(tmp_path):
    files = [file_of(ONE, preamble=bytes([n]) * 128) for n in range(1, 6)]
    async with opened(tmp_path, limits=limits(original_heads=3)) as archive:
        await took(archive, *files, *files)
        digest = await digest_of(archive)
        heads = await heads_of(archive.index, archive.blobs, digest)
        assert (await archive.index.totals()).instances == 1

        assert {await given_back(archive, digest, one) for one in heads} == set(files[:3])


@in_loop
async def test_a_sweep_leaves_it_alone_until_its_study_is_deleted(tmp_path):
    async with opened(tmp_path, limits=limits(blob_orphan_age_s=0.0)) as archive:
        await took(archive, file_of(ONE, preamble=POLYGLOT), file_of(instance("2.25.2")))
        digest = await digest_of(archive)
        [head] = await archive.index.heads_of(digest)

        async def swept():
            done = await sweep(
                archive.blobs, referenced=archive.index.referenced, now=time.time() + 60
            )
            return done.blobs

        assert await swept() == 0
        [study] = await archive.index.studies_with("2.25.1.1")
        deleted = await archive.index.delete_study(study.number)
        assert deleted.digests == {digest, head}
        assert await archive.index.heads_of(digest) == []
        assert await archive.index.problems() == []
        assert await swept() == 2
        assert not archive.blobs.has(head)


@in_loop
async def test_the_beginning_of_another_file_is_not_put_before_an_instance(tmp_path):
    async with opened(tmp_path) as archive:
        await took(archive, file_of(ONE))
        digest = await digest_of(archive)
        with pytest.raises(UsageError):
            await given_back(archive, digest, KeptHead(instance_digest="0" * 64, head=b""))


@given(st.binary(min_size=32, max_size=32), st.binary())
def test_what_is_kept_is_read_again(digest, head):
    kept = KeptHead(instance_digest=digest.hex(), head=head)
    content = encode_head(kept)
    assert content.startswith(MAGIC)
    assert read_head(content) == kept
    assert head == b"" or repr(head) not in repr(kept)


@pytest.mark.parametrize("content", [b"", MAGIC[:-1], MAGIC + b"short", bytes(400)])
def test_another_blob_is_no_beginning(content):
    assert read_head(content) is None


def test_no_instance_can_be_taken_for_a_beginning():
    assert file_of(dataclasses.replace(ONE))[: len(MAGIC)] == bytes(len(MAGIC)) != MAGIC
