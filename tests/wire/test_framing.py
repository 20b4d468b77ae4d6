from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doorward.limits import DEFAULT_LIMITS
from doorward.wire.framing import Framer
from doorward.wire.wiped import PlainBuffer, WipedBuffer

RELEASE_RQ = bytes.fromhex("05 00 00000004 00000000")
ABORT = bytes.fromhex("07 00 00000004 00000200")
# P-DATA-TF, Table 9-22: item length 4, context 1, control header 3, a fragment of two bytes
DATA = bytes.fromhex("04 00 00000008 00000004 01 03 abcd")
STREAM = RELEASE_RQ + DATA + ABORT + DATA
LIMITS = replace(DEFAULT_LIMITS, max_pdu_bytes=64, associate_pdu_bytes=128)


def frames(framer, chunk):
    """Type and body of what the chunk completes."""
    return [(pdu_type, framer.buffer[start:end]) for pdu_type, start, end in framer.cut(chunk)]


def all_frames(chunks, limits=LIMITS):
    framer = Framer(limits)
    return [frame for chunk in chunks for frame in frames(framer, chunk)], framer


def cut(data, positions):
    edges = [0, *sorted(position % (len(data) + 1) for position in positions), len(data)]
    return [data[start:end] for start, end in pairwise(edges) if start != end]


def header(pdu_type, length):
    return bytes((pdu_type, 0)) + length.to_bytes(4, "big")


BODIES = [(5, RELEASE_RQ[6:]), (4, DATA[6:]), (7, ABORT[6:]), (4, DATA[6:])]


def test_several_pdus_of_one_read_are_cut():
    assert all_frames([STREAM])[0] == BODIES


def test_a_byte_at_a_time_gives_the_same_pdus():
    assert all_frames([bytes((one,)) for one in STREAM])[0] == BODIES


@given(st.lists(st.integers(0, 200)))
def test_any_chunking_gives_the_same_pdus(positions):
    assert all_frames(cut(STREAM, positions))[0] == BODIES


@given(st.lists(st.binary(min_size=1, max_size=80), max_size=8))
def test_any_bytes_give_frames_or_one_violation_and_little_memory(chunks):
    framer = Framer(LIMITS)
    for chunk in chunks:
        was_refused = framer.violation is not None
        for pdu_type, start, end in framer.cut(chunk):
            assert not was_refused
            assert 1 <= pdu_type <= 7
            assert 6 <= start <= end <= len(framer.buffer)
        assert len(framer._pending) <= 6 + LIMITS.associate_pdu_bytes


@pytest.mark.parametrize(
    ("pdu_type", "most"), ((1, 128), (2, 128), (4, 64)), ids=("A-ASSOCIATE-RQ", "-AC", "P-DATA-TF")
)
def test_a_length_is_refused_by_its_header_alone(pdu_type, most):
    _, framer = all_frames([header(pdu_type, most)])
    assert framer.violation is None
    _, framer = all_frames([header(pdu_type, most + 1)])
    assert f"{most + 1} bytes claimed, at most {most} accepted" in str(framer.violation)
    assert framer.violation.abort_reason == 6


def test_four_gigabytes_claimed_cost_six_bytes():
    _, framer = all_frames([header(4, 0xFFFF_FFFF), b"x" * 60])
    assert framer.violation is not None
    assert not framer._pending


@pytest.mark.parametrize("length", range(6))
def test_data_that_cannot_hold_a_value_are_refused(length):
    _, framer = all_frames([header(4, length)])
    assert "cannot hold a presentation data value" in str(framer.violation)


@pytest.mark.parametrize("pdu_type", (3, 5, 6, 7))
@pytest.mark.parametrize("length", (0, 3, 5, 0xFFFF_FFFF))
def test_short_pdus_have_four_bytes_and_no_other_number(pdu_type, length):
    _, framer = all_frames([header(pdu_type, length)])
    assert "always 4" in str(framer.violation)
    assert framer.violation.field == "PDU-length"


@pytest.mark.parametrize("pdu_type", (0, *range(8, 256)))
def test_an_unknown_type_is_refused_by_its_first_byte(pdu_type):
    _, framer = all_frames([bytes((pdu_type,))])
    assert framer.violation.abort_reason == 1
    assert framer.violation.field == "PDU-type"
    assert framer.prefix == bytes((pdu_type,))


@pytest.mark.parametrize(
    "greeting",
    (
        b"HTTP/1.1 400 Bad Request\r\n",
        b"SSH-2.0-x\r\n",
        b"\x15\x03\x01\x00\x02\x02\x28",
        b"220 ftp",
    ),
)
def test_the_first_bytes_of_another_protocol_are_kept(greeting):
    _, framer = all_frames([greeting, b"more"])
    assert framer.violation is not None
    assert framer.prefix == greeting[:8]


def test_what_came_before_the_fault_is_cut_and_nothing_after_it():
    found, framer = all_frames([RELEASE_RQ + b"\xff" + RELEASE_RQ, RELEASE_RQ])
    assert found == BODIES[:1]
    assert framer.violation is not None


def test_a_fault_in_the_middle_of_a_read_keeps_its_own_first_bytes():
    _, framer = all_frames([RELEASE_RQ + header(4, 65) + b"abcdef"])
    assert framer.prefix == header(4, 65) + b"ab"


def test_a_stalled_pdu_waits_without_a_violation():
    found, framer = all_frames([DATA[:-1]])
    assert (found, framer.violation) == ([], None)
    assert frames(framer, DATA[-1:] + RELEASE_RQ) == [BODIES[1], BODIES[0]]


@pytest.mark.parametrize(("kind", "buffer"), ((bytes, PlainBuffer), (memoryview, WipedBuffer)))
def test_small_pieces_of_a_large_pdu_are_gathered_once(monkeypatch, kind, buffer):
    """A quadratic framer would copy 128 KiB 16,000 times: two gigabytes."""
    body = bytes(131_072)
    pdu = kind(header(4, len(body)) + body)
    framer = Framer(DEFAULT_LIMITS)
    gathered = []
    append = buffer.append

    def counting(room, piece):
        gathered.append(len(piece))
        append(room, piece)

    monkeypatch.setattr(buffer, "append", counting)
    found = [frame for at in range(0, len(pdu), 8) for frame in framer.cut(pdu[at : at + 8])]
    assert [end - start for _, start, end in found] == [len(body)]
    assert sum(gathered) == len(pdu)


def test_of_a_read_only_what_completes_the_last_pdu_is_gathered():
    """The rest of it is cut where it lies: a receiver of images copies one PDU in two reads, not all of them."""
    framer = Framer(LIMITS)
    assert frames(framer, DATA[:9]) == []
    rest = DATA[9:] + RELEASE_RQ
    positions = []
    for _, start, _ in framer.cut(rest):
        positions.append((start, framer.buffer is rest))
    assert positions == [(6, False), (len(DATA) - 9 + 6, True)]


def test_a_stream_that_ended_is_forgotten():
    framer = Framer(LIMITS)
    assert frames(framer, memoryview(DATA[:9])) == []
    pending = framer._pending.view()
    framer.forget()
    assert not any(pending), "what was held is zeroed"
    assert not framer._pending
    assert framer.buffer == b""


def test_a_header_in_two_pieces_is_refused_like_a_whole_one():
    found, framer = all_frames([header(4, 65)[:4], header(4, 65)[4:] + b"abcdef"])
    assert (found, framer.prefix) == ([], header(4, 65))
    assert "65 bytes claimed" in str(framer.violation)
    assert not framer._pending


def test_what_follows_a_borrowed_pdu_leaves_no_prefix():
    """After a whole PDU the peer speaks DICOM: the bytes name no other protocol and may name a patient (promise 2)."""
    for chunks in ((RELEASE_RQ + b"CANARY!!",), (RELEASE_RQ[:4], RELEASE_RQ[4:], b"CANARY!!")):
        framer = Framer(LIMITS)
        for chunk in chunks:
            list(framer.cut(memoryview(bytearray(chunk))))
        assert framer.violation is not None
        assert framer.prefix == b""


def test_what_comes_first_names_the_other_protocol_in_borrowed_bytes_too():
    framer = Framer(LIMITS)
    list(framer.cut(memoryview(bytearray(b"SSH-2.0-x"))))
    assert framer.prefix == b"SSH-2.0-"


def test_a_held_piece_that_turns_out_wrong_leaves_no_prefix_after_a_pdu():
    framer = Framer(LIMITS)
    for chunk in (RELEASE_RQ, header(4, 1 << 30)[:3], header(4, 1 << 30)[3:]):
        list(framer.cut(memoryview(bytearray(chunk))))
    assert framer.violation is not None
    assert framer.prefix == b""
