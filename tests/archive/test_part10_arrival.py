"""Files come in whole, in any pieces, or are refused with a reason; nothing of a stranger's is held without a bound."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archives import device, instance, opened, records
from doorward.access.identity import How
from doorward.access.journal.record import Entry, Event, Outcome
from doorward.archive.index.entry import Outcome as Stored
from doorward.archive.ingest import Door
from doorward.archive.part10_arrival import FileHead, take_file
from doorward.dicom.values import encode_identifier
from doorward.dicom.walk import Syntax
from doorward.errors import LimitExceeded, PeerProtocolError
from loopback import in_loop, limits
from stow_bodies import file_of

ONE = instance("2.25.1", b"\1\2" * 500)
FILE = file_of(ONE)
BEGIN = len(FILE) - len(ONE.data_set)


def head_of(content, size, given=None):
    """Return the head of a file that comes in pieces of that size."""
    head = FileHead(given or limits())
    if not any(head.feed(content[at : at + size]) for at in range(0, len(content), size)):
        head.end()
    return head


async def taken(folder, *files, size=100, **named):
    """Take files in and return what became of each."""
    sender = device("ct1", "modality").identity(How.CERTIFICATE)

    async def pieces(content):
        for at in range(0, len(content), size):
            yield content[at : at + size]

    async with opened(folder) as archive:
        door = Door(
            identity=lambda: sender,
            rules=lambda: archive.settings.rules,
            now=archive.now,
            record=Entry(event=Event.STORE, peer="127.0.0.1"),
        )
        done = [await take_file(archive.ingest, pieces(one), door, **named) for one in files]
        totals = await archive.index.totals()
        incoming = list((folder / "blobs" / "incoming").iterdir())
    assert not incoming, "nothing is left of what was refused"
    assert totals.instances <= len(done)
    assert bool(totals.instances) == any(one.answer.status == 0 for one in done)
    return done


@pytest.mark.parametrize("size", [1, 2, 127, 128, 131, 133, 10_000])
def test_the_head_of_a_file_ends_where_its_data_set_begins_however_it_is_cut(size):
    head = head_of(FILE, size)
    assert head.head == FILE[:BEGIN]
    assert FILE[BEGIN:].startswith(head.rest)
    assert head.meta().media_storage_sop_instance_uid == "2.25.1"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        FILE[:100],
        FILE[:130],
        bytes(128) + b"DICX" + FILE[132:],
        FILE[:132],
        FILE[:132] + ONE.data_set,
        FILE[: BEGIN - 3],
        FILE[:136] + b"zz" + FILE[138:],
    ],
    ids=["nothing", "short", "cut", "no DICM", "bare", "no meta", "cut in meta", "no VR"],
)
def test_what_is_no_file_is_refused_however_it_is_cut(content):
    for size in (1, 3, 10_000):
        with pytest.raises(PeerProtocolError, match=r"DICOM file"):
            head_of(content, size)


@pytest.mark.parametrize("length", [b"\xff\xff\xff\xff", b"\x00\x00\x00\x40"])
def test_a_head_that_does_not_end_is_refused_before_it_is_held(length):
    endless = FILE[:132] + b"\x02\x00\x02\x01OB\x00\x00" + length
    for size in (1, 10_000):
        with pytest.raises(LimitExceeded, match="preamble_meta_bytes"):
            head_of(endless, size)


def test_many_small_elements_are_no_way_around_the_bound():
    endless = FILE[:132] + b"\x02\x00\x02\x01OB\x00\x00\x00\x00\x00\x00" * 10_000
    with pytest.raises(LimitExceeded, match="preamble_meta_bytes"):
        head_of(endless, 100)


@given(st.binary(max_size=200), st.integers(1, 50))
def test_any_bytes_make_a_head_or_are_refused(content, size):
    for prefix in (b"", FILE[:132]):
        try:
            head = head_of(prefix + content, size)
        except (PeerProtocolError, LimitExceeded):
            continue
        assert (prefix + content).startswith(head.head + head.rest)


@in_loop
@pytest.mark.parametrize("size", [1, 7, 100_000])
async def test_a_file_is_taken_in_and_says_what_it_is(tmp_path, size):
    [one] = await taken(tmp_path, FILE, size=size)

    assert one.answer.status == 0
    assert (one.study_uid, one.series_uid) == ("2.25.1.1", "2.25.1.2")
    assert (one.sop_class_uid, one.sop_instance_uid) == (ONE.sop_class_uid, "2.25.1")
    assert "2.25.1" not in repr(one)


@in_loop
async def test_the_study_may_be_said_before(tmp_path):
    other = file_of(instance("2.25.2"))
    good, bad = await taken(tmp_path, FILE, other, study_uid="2.25.1.1")

    assert good.answer.status == 0
    assert (bad.answer.status, bad.outcome) == (0xA900, None)
    assert "Study" in bad.answer.comment


@in_loop
async def test_each_kind_of_broken_file_has_its_answer_and_its_record(tmp_path):
    no_syntax = FILE[:132] + encode_identifier([(0x00020002, "UI", "1.2")], Syntax.EXPLICIT_LITTLE)
    no_uid = FILE.replace(b"2.25.1", b"2.25/1")
    files = (b"hello", no_syntax + ONE.data_set, no_uid, FILE[:-1], FILE[:BEGIN])

    done = await taken(tmp_path, *files)

    statuses = [one.answer.status for one in done]
    assert statuses == [0xC000, 0xC000, 0xC000, 0xC000, 0xA900]
    failed = [one.entry for one in records(tmp_path) if one.entry.outcome is Outcome.FAILED]
    assert [one.event for one in failed] == [Event.STORE] * 5


@in_loop
@pytest.mark.parametrize("size", [1, 40, 100_000])
async def test_an_instance_is_what_its_data_set_says_whatever_its_file_says(tmp_path, size):
    other = FILE.replace(b"2.25.1", b"2.25.9", 1)
    nameless = FILE[:132] + encode_identifier(
        [(0x00020010, "UI", ONE.transfer_syntax_uid)], Syntax.EXPLICIT_LITTLE
    )

    done = await taken(tmp_path, other, size=size)
    again = await taken(tmp_path, nameless + ONE.data_set, size=size)

    assert [one.answer.status for one in done] == [0]
    assert [one.sop_instance_uid for one in done + again] == ["2.25.1"] * 2
    assert [one.outcome for one in again] == [Stored.SAME]


@in_loop
async def test_a_data_set_that_does_not_name_itself_is_refused(tmp_path):
    head = FILE[: len(FILE) - len(ONE.data_set)]
    silent = encode_identifier([(0x00100020, "LO", "P1")], Syntax.EXPLICIT_LITTLE)

    [one] = await taken(tmp_path, head + silent)

    assert one.answer.status == 0xA900


@in_loop
async def test_looking_for_the_name_of_a_data_set_costs_no_more_than_reading_it(tmp_path):
    tiny = b"\x08\x00\x01\x00UL\x00\x00" * 9_000
    began = time.process_time()

    [one] = await taken(tmp_path, FILE[:BEGIN] + tiny, size=4)

    assert one.answer.status == 0xA900
    assert time.process_time() - began < 5
