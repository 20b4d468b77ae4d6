"""No matter how values are grouped into PDUs, MessageReader gives the same events and the same end; it raises PeerProtocolError and nothing else.

The input is a script. Each step: one byte (bits 0-1 control header, bit 2 the context, bit 3 a new PDU begins, bits 4-6 which
content: a known command set whole or in halves, or bytes of the script), then for own bytes a length and the bytes. Run:
``python tests/fuzz/fuzz_message.py -max_total_time=60``. New inputs go to a temporary folder unless one is named; a crash
writes its input into the working folder: put it into corpus/message/, where the tests replay it.
"""

import sys
import tempfile
from collections import deque
from dataclasses import replace
from pathlib import Path

HERE = Path(__file__).resolve().parent
CORPUS = HERE / "corpus" / "message"

if __name__ == "__main__":
    sys.path[:0] = [str(HERE.parent.parent / "src"), str(HERE.parent)]
    import atheris

    with atheris.instrument_imports(include=["doorward"]):
        import doorward.wire.message  # noqa: F401 - instrumented for the imports below

from doorward.errors import PeerProtocolError
from doorward.limits import DEFAULT_LIMITS
from doorward.wire.dimse import CEchoRequest, CFindResponse, encode_command
from doorward.wire.events import CommandReceived, DataFragment
from doorward.wire.message import MessageReader
from doorward.wire.pdu import IS_COMMAND, IS_LAST

LIMITS = replace(DEFAULT_LIMITS, command_set_bytes=512, empty_fragments=3)
ECHO = encode_command(CEchoRequest(message_id=7, affected_sop_class_uid="1.2.840.10008.1.1"))
MATCH = encode_command(
    CFindResponse(message_id_being_responded_to=8, status=0xFF00, has_data_set=True)
)
CONTENTS = (ECHO, MATCH, ECHO[:30], ECHO[30:], MATCH[:30], MATCH[30:], b"")


def pdus_of(script: bytes) -> list[list[tuple[int, int, bytes]]]:
    """The values that a script describes, grouped as it says."""
    pdus = [[]]
    offset = 0
    while offset < len(script):
        step = script[offset]
        offset += 1
        choice = step >> 4 & 7
        if choice < len(CONTENTS):
            content = CONTENTS[choice]
        else:
            length = script[offset] if offset < len(script) else 0
            content = script[offset + 1 : offset + 1 + length]
            offset += 1 + length
        if step & 8:
            pdus.append([])
        # the high bit sets the reserved bits of the control header: nobody tests them
        control = step & 3 | (0xFC if step & 0x80 else 0)
        pdus[-1].append((3 if step & 4 else 1, control, content))
    return pdus


def outcome(pdus):
    """Events and complaint of one reader."""
    events, reader = deque(), MessageReader(LIMITS)
    try:
        for values in pdus:
            reader.take(values, events)
    except PeerProtocolError as error:
        return list(events), str(error)
    return list(events), reader.is_between_messages


def check(script: bytes) -> bool:
    """Hold the invariant against one script; true where it broke no rule."""
    pdus = pdus_of(script)
    values = [value for values in pdus for value in values]
    events, end = outcome(pdus)
    assert (events, end) == outcome([values])
    assert (events, end) == outcome([[value] for value in values])
    hold_order(events)
    if end is True:
        assert sum(isinstance(event, CommandReceived) for event in events) == sum(
            control & (IS_COMMAND | IS_LAST) == IS_COMMAND | IS_LAST for _, control, _ in values
        )
    return not isinstance(end, str)


def hold_order(events) -> None:
    """A data set follows its command, on its context, up to its last fragment."""
    awaited = None
    for event in events:
        match event:
            case CommandReceived(context_id, command):
                assert awaited is None
                awaited = context_id if command.has_data_set else None
            case DataFragment(context_id, _, is_last):
                assert awaited == context_id
                awaited = None if is_last else context_id


def main() -> None:
    arguments = sys.argv
    if all(argument.startswith("-") for argument in arguments[1:]):
        arguments = [*arguments, tempfile.mkdtemp(prefix="fuzz_message."), str(CORPUS)]
    atheris.Setup(arguments, check)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
