"""From presentation data values to messages (PS3.7 section 6.3.1, PS3.8 Annex E).

Theory of operation: ``take`` reads the values of one P-DATA-TF after the other and appends ``CommandReceived`` and
``DataFragment`` events. Command fragments are put together here, their sum bounded; data set fragments pass through at once
and are the owner's to bound. A message is open from its first command fragment to its last fragment of all, on one
presentation context; until then nothing else may come: fragments of two messages never mix (PS3.8 E.1).

A busy association sends the same command set again and again (a C-FIND response for each match), so decoded commands are
kept by content. This is the hot path of the counting auditor: one dictionary lookup and one event per value.

What breaks a rule raises PeerProtocolError; the events before it are in the queue already, the reader is of no use
afterwards. Which contexts exist is the association's business.
"""

from collections import deque

from doorward.errors import PeerProtocolError
from doorward.limits import DEFAULT_LIMITS, Limits
from doorward.wire.dimse import Command, decode_command, has_free_text
from doorward.wire.events import CommandReceived, DataFragment, Event
from doorward.wire.pdu import IS_COMMAND, IS_LAST, DataValue, Fragment
from doorward.wire.wiped import WipedBuffer

# Contexts are 1 to 255; this is none of them.
_NONE = -1
_WHOLE_COMMAND = IS_COMMAND | IS_LAST
_LAST_OF_DATA_SET = IS_LAST
_SOURCE = "PS3.8 section E.2"

# At most 8 KiB per association; commands that carry instance UIDs are longer or new each time and gain nothing.
_CACHE_ENTRIES = 32
_CACHE_COMMAND_BYTES = 256


class MessageReader:
    """Puts the messages of one association together; one for each direction that is read."""

    def __init__(self, limits: Limits = DEFAULT_LIMITS) -> None:
        self._limits = limits
        self._cache: dict[bytes, Command] = {}
        #: The last one once more, because a view has no hash.
        self._last: tuple[bytes, Command | None] = (b"", None)
        #: The context whose data set is awaited or under way.
        self._data_context = _NONE
        #: The context whose command set is under way, and what came of it.
        self._command_context = _NONE
        self._command = WipedBuffer()
        self._empty_fragments = 0

    @property
    def is_between_messages(self) -> bool:
        """Nothing is half received."""
        return self._data_context == _NONE and self._command_context == _NONE

    def take(self, values: list[DataValue], out: deque[Event]) -> None:
        """Append the events of one P-DATA-TF to ``out``.

        Raises PeerProtocolError where the values break PS3.8 Annex E or PS3.7 section 6.3.1.
        """
        for context_id, control, fragment in values:
            if control == _LAST_OF_DATA_SET and context_id == self._data_context:
                out.append(DataFragment(context_id, fragment, True))
                self._data_context = _NONE
                self._empty_fragments = 0
            elif (
                control == _WHOLE_COMMAND
                and self._data_context == _NONE
                and self._command_context == _NONE
            ):
                known, command = self._last
                # ``startswith`` compares memory; a view's own ``==`` goes item by item and takes three times as long
                is_known = len(fragment) == len(known) and known.startswith(fragment)
                if command is None or not is_known:
                    command = self._decode(fragment)
                out.append(CommandReceived(context_id, command))
                if command.has_data_set:
                    self._data_context = context_id
            elif control & IS_COMMAND:
                self._take_command_fragment(context_id, control, fragment, out)
            else:
                self._take_data_fragment(context_id, control, fragment, out)

    def _take_command_fragment(
        self, context_id: int, control: int, fragment: Fragment, out: deque[Event]
    ) -> None:
        if self._data_context != _NONE:
            raise _violation("a command before the data set of the last one ended")
        if self._command_context not in (_NONE, context_id):
            raise _violation("a command on another context before the last one ended")
        self._command_context = context_id
        if len(self._command) + len(fragment) > self._limits.command_set_bytes:
            raise PeerProtocolError(
                f"longer than {self._limits.command_set_bytes} bytes",
                field="Command Set",
                source="limits",
            )
        self._command.append(fragment)
        if not control & IS_LAST:
            self._count_if_empty(fragment)
            return
        whole = self._command.view()
        command = self._decode(bytes(whole) if isinstance(fragment, bytes) else whole)
        self._command.clear()
        self._command_context = _NONE
        self._empty_fragments = 0
        out.append(CommandReceived(context_id, command))
        if command.has_data_set:
            self._data_context = context_id

    def _take_data_fragment(
        self, context_id: int, control: int, fragment: Fragment, out: deque[Event]
    ) -> None:
        if self._data_context != context_id:
            raise _violation("a data set fragment where none was announced")
        is_last = bool(control & IS_LAST)
        if is_last:
            self._data_context = _NONE
            self._empty_fragments = 0
        elif not fragment:
            self._count_if_empty(fragment)
            return  # says nothing, so nobody is told
        out.append(DataFragment(context_id, fragment, is_last))

    def _count_if_empty(self, fragment: Fragment) -> None:
        """Bound what makes no progress."""
        if fragment:
            return
        self._empty_fragments += 1
        if self._empty_fragments > self._limits.empty_fragments:
            raise PeerProtocolError(
                f"more than {self._limits.empty_fragments} empty fragments",
                field="Presentation-data-value",
                source="limits",
            )

    def _decode(self, content: Fragment) -> Command:
        """Decode a command set, or know it from before; of a borrowed one with free text no copy is made."""
        if not isinstance(content, bytes) and has_free_text(content):
            return decode_command(content, self._limits)
        raw = bytes(content)
        command = self._cache.get(raw)
        if command is None:
            command = decode_command(raw, self._limits)
            if len(raw) <= _CACHE_COMMAND_BYTES:
                if len(self._cache) >= _CACHE_ENTRIES:
                    self._cache.clear()
                self._cache[raw] = command
        if len(raw) <= _CACHE_COMMAND_BYTES:
            self._last = raw, command
        return command


def _violation(what: str) -> PeerProtocolError:
    return PeerProtocolError(what, field="Presentation-data-value", source=_SOURCE)
