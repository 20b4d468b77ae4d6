"""What goes to a worker and comes back: a head in JSON and parts in bytes, over a pipe.

    4 bytes   length of the head        8 bytes   length of all parts
    head      {"parts": [lengths], ...}
    parts

Both sides hold every length against a bound: a worker runs decoders on a stranger's bytes, and what it answers is a
stranger's word too. Nothing here makes an object of what was read but numbers, text, lists and maps.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from struct import Struct
from typing import Any

LENGTHS = Struct(">LQ")
#: A head says some twenty numbers.
HEAD_BYTES = 65_536


class BadMessage(ValueError):
    """What came over the pipe is no message."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A job or its result."""

    facts: Mapping[str, Any] = field(repr=False)
    parts: Sequence[bytes] = field(default=(), repr=False)


def pack(message: Message) -> list[bytes]:
    """Return a message as pieces to be written one behind the other."""
    lengths = [len(part) for part in message.parts]
    head = json.dumps({**message.facts, "parts": lengths}).encode()
    return [LENGTHS.pack(len(head), sum(lengths)), head, *message.parts]


def lengths_of(packed: bytes, most_bytes: int) -> tuple[int, int]:
    """Return how many bytes of head and of parts follow. Raises BadMessage where they are more than may be."""
    head, parts = LENGTHS.unpack(packed)
    if head > HEAD_BYTES or parts > most_bytes:
        raise BadMessage("it is longer than it may be")
    return head, parts


def unpack(head: bytes, body: bytes) -> Message:
    """Return the message. Raises BadMessage."""
    try:
        facts = json.loads(head)
    except (ValueError, RecursionError):
        raise BadMessage("its head is no JSON") from None
    lengths = facts.pop("parts", None) if isinstance(facts, dict) else None
    if not isinstance(lengths, list) or not all(type(n) is int and n >= 0 for n in lengths):
        raise BadMessage("its head names no parts")
    if sum(lengths) != len(body):
        raise BadMessage("its parts are not as long as it says")
    parts, at = [], 0
    for length in lengths:
        parts.append(body[at : at + length])
        at += length
    return Message(facts=facts, parts=parts)
