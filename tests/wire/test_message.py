import runpy
from collections import deque
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doorward.errors import PeerProtocolError
from doorward.limits import DEFAULT_LIMITS, Limits
from doorward.wire.dimse import CEchoRequest, CFindRequest, CFindResponse, encode_command
from doorward.wire.events import CommandReceived, DataFragment
from doorward.wire.message import MessageReader

FUZZ = runpy.run_path(str(Path(__file__).resolve().parents[1] / "fuzz" / "fuzz_message.py"))
# Message control header, PS3.8 Table E.2-1
DATA, COMMAND, LAST_DATA, LAST_COMMAND = 0, 1, 2, 3

ECHO = CEchoRequest(message_id=7, affected_sop_class_uid="1.2.840.10008.1.1")
FIND = CFindRequest(message_id=8, affected_sop_class_uid="1.2.840.10008.5.1.4.1.2.2.1")
MATCH = CFindResponse(message_id_being_responded_to=8, status=0xFF00, has_data_set=True)
ECHO_BYTES, FIND_BYTES, MATCH_BYTES = map(encode_command, (ECHO, FIND, MATCH))


def read(*values, limits=DEFAULT_LIMITS):
    """The events of these values, all in one P-DATA-TF."""
    out = deque()
    MessageReader(limits).take(list(values), out)
    return list(out)


def refused(*values, limits=DEFAULT_LIMITS):
    """The complaint about the last of these values, and the events before it."""
    out = deque()
    reader = MessageReader(limits)
    reader.take(list(values[:-1]), out)
    with pytest.raises(PeerProtocolError) as caught:
        reader.take([values[-1]], out)
    return str(caught.value), list(out)


def cut(data: bytes, positions: list[int]) -> list[bytes]:
    edges = [0, *sorted(position % (len(data) + 1) for position in positions), len(data)]
    return [data[start:end] for start, end in pairwise(edges)]


def test_a_command_without_data_set_is_whole_at_once():
    assert read((1, LAST_COMMAND, ECHO_BYTES)) == [CommandReceived(1, ECHO)]


def test_matches_come_as_command_and_data_set():
    values = [(3, LAST_COMMAND, MATCH_BYTES), (3, LAST_DATA, b"identifier")] * 3
    assert read(*values) == [CommandReceived(3, MATCH), DataFragment(3, b"identifier", True)] * 3


def test_messages_may_change_the_context():
    assert read(
        (1, LAST_COMMAND, ECHO_BYTES),
        (3, LAST_COMMAND, MATCH_BYTES),
        (3, DATA, b"iden"),
        (3, LAST_DATA, b"tifier"),
        (1, LAST_COMMAND, ECHO_BYTES),
    ) == [
        CommandReceived(1, ECHO),
        CommandReceived(3, MATCH),
        DataFragment(3, b"iden", False),
        DataFragment(3, b"tifier", True),
        CommandReceived(1, ECHO),
    ]


def test_an_empty_last_fragment_ends_command_and_data_set():
    """DCMTK ends a data set this way when its length is not known before."""
    assert read(
        (1, COMMAND, FIND_BYTES), (1, LAST_COMMAND, b""), (1, DATA, b"x"), (1, LAST_DATA, b"")
    ) == [CommandReceived(1, FIND), DataFragment(1, b"x", False), DataFragment(1, b"", True)]


def test_reserved_bits_of_the_control_header_are_not_tested():
    """PS3.8 section E.2: bits 2 to 7 are set to 0 by the sender and never checked."""
    assert read((1, 0xFC | LAST_COMMAND, MATCH_BYTES), (1, 0xFC | LAST_DATA, b"x")) == [
        CommandReceived(1, MATCH),
        DataFragment(1, b"x", True),
    ]


def test_equal_commands_are_decoded_once():
    first, second = read((1, LAST_COMMAND, ECHO_BYTES), (3, LAST_COMMAND, ECHO_BYTES))
    assert first.command is second.command
    fragments = [(1, COMMAND, ECHO_BYTES[:20]), (1, LAST_COMMAND, ECHO_BYTES[20:])]
    whole, joined = read((1, LAST_COMMAND, ECHO_BYTES), *fragments)
    assert whole.command is joined.command


def test_the_memory_of_commands_is_bounded():
    reader = MessageReader()
    out = deque()
    for message_id in range(1000):
        command = CEchoRequest(message_id=message_id, affected_sop_class_uid="1.2")
        reader.take([(1, LAST_COMMAND, encode_command(command))], out)
        assert len(reader._cache) <= 32
    assert [event.command.message_id for event in out] == list(range(1000))


def test_long_commands_are_not_kept():
    padded = encode_command(ECHO) + b"\0\0\x10\x50" + (256).to_bytes(4, "little") + bytes(256)
    first, second = read((1, LAST_COMMAND, padded), (1, LAST_COMMAND, padded))
    assert first.command == second.command == ECHO
    assert first.command is not second.command


def test_the_reader_knows_whether_something_is_half_received():
    reader = MessageReader()
    out = deque()
    steps = [
        ((1, COMMAND, FIND_BYTES[:9]), False),
        ((1, LAST_COMMAND, FIND_BYTES[9:]), False),
        ((1, DATA, b"x"), False),
        ((1, LAST_DATA, b"y"), True),
    ]
    assert reader.is_between_messages
    for value, expected in steps:
        reader.take([value], out)
        assert reader.is_between_messages is expected


# --- any chunking ---

scripts = st.lists(
    st.tuples(
        st.sampled_from([1, 3, 255]),
        st.sampled_from([ECHO_BYTES, FIND_BYTES, MATCH_BYTES]),
        st.lists(st.integers(0, 200), max_size=4),
        st.binary(max_size=40),
        st.lists(st.integers(0, 40), max_size=4),
    ),
    max_size=6,
)


def values_of(script):
    for context_id, command, command_cuts, data_set, data_cuts in script:
        fragments = cut(command, command_cuts)
        for fragment in fragments[:-1]:
            yield context_id, COMMAND, fragment
        yield context_id, LAST_COMMAND, fragments[-1]
        if command is ECHO_BYTES:
            continue
        fragments = cut(data_set, data_cuts)
        for fragment in fragments[:-1]:
            yield context_id, DATA, fragment
        yield context_id, LAST_DATA, fragments[-1]


@given(scripts, st.lists(st.integers(0, 40), max_size=6))
def test_any_grouping_into_pdus_gives_the_same_events(script, cuts):
    values = list(values_of(script))
    together = read(*values)
    out = deque()
    reader = MessageReader()
    for group in cut(values, cuts):
        reader.take(group, out)
    assert list(out) == together
    assert reader.is_between_messages


@given(scripts)
def test_any_fragmenting_gives_the_same_messages(script):
    messages = []
    for event in read(*values_of(script)):
        match event:
            case CommandReceived(context_id, command):
                messages.append([context_id, command, b""])
            case DataFragment(context_id, fragment, _):
                assert messages[-1][0] == context_id
                messages[-1][2] += fragment
    commands = {ECHO_BYTES: ECHO, FIND_BYTES: FIND, MATCH_BYTES: MATCH}
    assert messages == [
        [context_id, commands[command], b"" if command is ECHO_BYTES else data_set]
        for context_id, command, _, data_set, _ in script
    ]


@given(
    st.lists(
        st.tuples(
            st.sampled_from([0, 1, 3]),
            st.integers(0, 255),
            st.sampled_from([b"", b"x", ECHO_BYTES, FIND_BYTES, MATCH_BYTES]),
        ),
        max_size=12,
    )
)
def test_any_values_give_events_or_a_peer_protocol_error(values):
    out = deque()
    try:
        MessageReader().take(values, out)
    except PeerProtocolError:
        pass
    assert len(out) <= len(values)


@pytest.mark.parametrize("path", sorted(FUZZ["CORPUS"].iterdir()), ids=lambda path: path.name)
def test_kept_inputs_of_the_fuzzer_hold_its_invariant(path):
    assert FUZZ["check"](path.read_bytes()) is not path.name.startswith("refused")


# --- violations ---


def test_events_before_a_violation_are_not_lost():
    out = deque()
    with pytest.raises(PeerProtocolError):
        MessageReader().take([(1, LAST_COMMAND, ECHO_BYTES), (1, LAST_DATA, b"x")], out)
    assert list(out) == [CommandReceived(1, ECHO)]


@pytest.mark.parametrize("control", [DATA, LAST_DATA])
def test_a_data_set_must_be_announced(control):
    complaint, _ = refused((1, control, b"x"))
    assert "data set fragment where none was announced (PS3.8 section E.2)" in complaint
    complaint, _ = refused((1, LAST_COMMAND, ECHO_BYTES), (1, control, b"x"))
    assert "none was announced" in complaint


@pytest.mark.parametrize("control", [DATA, LAST_DATA])
def test_a_data_set_stays_on_the_context_of_its_command(control):
    complaint, events = refused((1, LAST_COMMAND, FIND_BYTES), (3, control, b"x"))
    assert "none was announced" in complaint
    assert events == [CommandReceived(1, FIND)]


@pytest.mark.parametrize("control", [COMMAND, LAST_COMMAND])
@pytest.mark.parametrize("context_id", [1, 3])
def test_no_command_before_the_data_set_ended(control, context_id):
    complaint, _ = refused((1, LAST_COMMAND, FIND_BYTES), (context_id, control, ECHO_BYTES))
    assert "a command before the data set of the last one ended" in complaint
    complaint, _ = refused(
        (1, LAST_COMMAND, FIND_BYTES), (1, DATA, b"x"), (context_id, control, ECHO_BYTES)
    )
    assert "a command before the data set of the last one ended" in complaint


@pytest.mark.parametrize("control", [COMMAND, LAST_COMMAND])
def test_commands_of_two_contexts_do_not_mix(control):
    complaint, _ = refused((1, COMMAND, ECHO_BYTES[:9]), (3, control, ECHO_BYTES))
    assert "a command on another context before the last one ended" in complaint


@pytest.mark.parametrize("control", [DATA, LAST_DATA])
def test_no_data_set_before_the_command_ended(control):
    complaint, _ = refused((1, COMMAND, FIND_BYTES), (1, control, b"x"))
    assert "none was announced" in complaint


def test_a_broken_command_is_refused_with_what_is_broken():
    complaint, _ = refused((1, LAST_COMMAND, ECHO_BYTES[:-1]))
    assert "Command Set" in complaint


def test_command_fragments_without_end_are_bounded_in_sum():
    limits = Limits(command_set_bytes=100)
    fragments = [(1, COMMAND, bytes(30))] * 3
    complaint, events = refused(*fragments, (1, COMMAND, bytes(11)), limits=limits)
    assert "longer than 100 bytes (limits)" in complaint
    assert events == []
    complaint, _ = refused((1, LAST_COMMAND, bytes(101)), limits=limits)
    assert "longer than 100 bytes" in complaint


@pytest.mark.parametrize(
    ("start", "empty"),
    [([], (1, COMMAND, b"")), ([(1, LAST_COMMAND, FIND_BYTES)], (1, DATA, b""))],
)
def test_empty_fragments_are_bounded(start, empty):
    limits = Limits(empty_fragments=3)
    assert len(read(*start, *[empty] * 3, limits=limits)) == len(start)
    complaint, _ = refused(*start, *[empty] * 4, limits=limits)
    assert "more than 3 empty fragments (limits)" in complaint


def test_each_message_has_its_own_count_of_empty_fragments():
    limits = Limits(empty_fragments=3)
    command = [*[(1, COMMAND, b"")] * 3, (1, LAST_COMMAND, FIND_BYTES)]
    data_set = [*[(1, DATA, b"")] * 3, (1, LAST_DATA, b"x")]
    slow = [*[(1, DATA, b"")] * 3, (1, 0x80 | LAST_DATA, b"x")]
    events = read(*(command + data_set + command + slow) * 3, limits=limits)
    assert len(events) == 12


# --- borrowed bytes (promise 2) ---


def with_comment(number):
    """A failed C-FIND response with an Error Comment, which may name a patient."""
    comment = f"CANARY{number:04}"
    return encode_command(
        CFindResponse(message_id_being_responded_to=8, status=0xC000, error_comment=comment)
    )


def borrowed(raw):
    return memoryview(bytearray(raw))


def test_borrowed_commands_are_read_like_owned_ones_and_known_again():
    reader, out = MessageReader(), deque()
    for raw in (MATCH_BYTES, MATCH_BYTES):
        reader.take([(1, LAST_COMMAND, borrowed(raw)), (1, LAST_DATA, borrowed(b"id"))], out)
    first, data, second, _ = out
    assert first == CommandReceived(1, MATCH)
    assert second.command is first.command
    assert data == DataFragment(1, b"id", True)


def test_nothing_of_a_borrowed_comment_is_kept():
    """Neither whole nor in fragments, neither in the message nor among the known commands."""
    reader, out = MessageReader(), deque()
    raw = with_comment(1)
    reader.take([(1, LAST_COMMAND, borrowed(raw))], out)
    reader.take([(1, COMMAND, borrowed(raw[:40])), (1, LAST_COMMAND, borrowed(raw[40:]))], out)
    assert [event.command.status for event in out] == [0xC000, 0xC000]
    assert [event.command.error_comment for event in out] == ["", ""]
    assert not any(b"CANARY" in known for known in (*reader._cache, reader._last[0]))
    assert len(reader._command) == 0


def test_a_data_fragment_of_a_borrowed_read_is_borrowed():
    reader, out = MessageReader(), deque()
    room = bytearray(b"CANARY")
    reader.take([(1, LAST_COMMAND, borrowed(MATCH_BYTES)), (1, LAST_DATA, memoryview(room))], out)
    room[:] = bytes(6)
    assert out[-1].fragment == bytes(6)
