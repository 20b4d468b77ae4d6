"""Every exception of the project, as one tree.

    DoorwardError
    |- UsageError                   the caller broke a rule
    |  |- LocalProtocolError        a verb was called in a state that forbids it
    |  |- ConfigError               a file or option is wrong (file, line, field)
    |  `- ScopeError                an address outside the written authorisation
    |- PeerError                    the peer broke a rule or refused
    |  |- PeerProtocolError         its bytes are against the Standard (field, source)
    |  |- AssociationRejected       A-ASSOCIATE-RJ (result, source, reason)
    |  |- AssociationAborted        A-ABORT, or the transport ended early
    |  `- OperationFailed           a DIMSE status that is neither success nor pending
    |- TransportError               mapped once, in net/
    |  |- ConnectFailed             refused, unreachable, name not found
    |  |- ConnectTimeout
    |  |- ReplyTimeout              connected, then silent for too long
    |  `- TlsFailed                 the handshake did not succeed
    |- LimitExceeded                a bound of limits.py was reached (limit, value, seen)
    |- ImageError                   pixels that cannot be decoded, or not be shown
    `- StorageError                 our own disk refused or failed (operation, path, kind)
       `- StorageFull               no room is left

An exception carries fields; the sentence is made from them. None ever carries a value that a peer
sent in a data set: a tag and a length at the most. ``hint`` tells the operator what to do next.
Answers (a refused association during an audit, a finding, an empty result) are values, not exceptions.
"""

from pathlib import Path


class DoorwardError(Exception):
    """Root of all errors that this project raises on purpose."""

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return self.message


class UsageError(DoorwardError):
    """The caller broke a rule."""


class LocalProtocolError(UsageError):
    """A verb was called in a state that forbids it (PS3.8 Table 9-10 has no such cell)."""


class ConfigError(UsageError):
    """A file or option cannot be used; says which file, line and field."""

    def __init__(
        self,
        message: str,
        *,
        file: Path | None = None,
        line: int | None = None,
        field: str | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(message, hint=hint)
        self.file = file
        self.line = line
        self.field = field

    def __str__(self) -> str:
        where = "" if self.file is None else str(self.file)
        if self.line is not None:
            where += f":{self.line}"
        if self.field is not None:
            where += f"{' ' if where else ''}[{self.field}]"
        return f"{where}: {self.message}" if where else self.message


class ScopeError(UsageError):
    """An address is not covered by the written authorisation; nothing was dialled."""

    def __init__(self, message: str, *, target: str, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.target = target


class PeerError(DoorwardError):
    """The peer broke a rule or refused."""


class PeerProtocolError(PeerError):
    """Bytes that the Standard forbids.

    ``abort_reason`` is what an A-ABORT should carry (PS3.8 Table 9-26).
    """

    def __init__(self, message: str, *, field: str, source: str, abort_reason: int = 6) -> None:
        super().__init__(f"{field}: {message} ({source})")
        self.field = field
        self.source = source
        self.abort_reason = abort_reason


class AssociationRejected(PeerError):
    """A-ASSOCIATE-RJ (PS3.8 section 9.3.4)."""

    def __init__(self, message: str, *, result: int, source: int, reason: int) -> None:
        super().__init__(message)
        self.result = result
        self.source = source
        self.reason = reason

    @property
    def is_transient(self) -> bool:
        """The peer says: try again later (result 2)."""
        return self.result == 2


class AssociationAborted(PeerError):
    """A-ABORT was received or sent, or the transport ended; ``by_peer`` says whose doing it was."""

    def __init__(
        self,
        message: str,
        *,
        by_peer: bool,
        source: int | None = None,
        reason: int | None = None,
        prefix: bytes = b"",
    ) -> None:
        super().__init__(message)
        self.by_peer = by_peer
        self.source = source
        self.reason = reason
        #: The first bytes of a PDU that is none (at most 8): enough to tell HTTP, SSH and TLS apart.
        self.prefix = prefix


class OperationFailed(PeerError):
    """A DIMSE operation ended with a status that is neither success nor pending (PS3.7 Annex C)."""

    def __init__(self, message: str, *, status: int) -> None:
        super().__init__(message)
        self.status = status


class TransportError(DoorwardError):
    """The network failed below DICOM; mapped once, in ``net``."""


class ConnectFailed(TransportError):
    """No TCP connection: refused, unreachable, or the name is unknown (``kind`` says which)."""

    def __init__(self, message: str, *, kind: str, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        #: ``refused`` | ``unreachable`` | ``name`` | ``local`` (our own system would not let us)
        self.kind = kind


class ConnectTimeout(TransportError):
    """No answer to a TCP SYN in time: filtered, or the host is off."""


class ReplyTimeout(TransportError):
    """The connection stands, and the expected answer did not come in time."""


class TlsFailed(TransportError):
    """The TLS handshake failed; ``kind`` is stable, the message is for people."""

    def __init__(self, message: str, *, kind: str, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        #: ``not_tls`` | ``certificate_required`` | ``certificate_refused`` | ``refused`` (no suite in
        #: common; perhaps, up to TLS 1.2, no client certificate) | ``version`` | ``closed`` | ``timeout`` | ``other``
        self.kind = kind


class LimitExceeded(DoorwardError):
    """A bound of ``limits.py`` was reached by a stranger's bytes."""

    def __init__(self, *, limit: str, value: int, seen: int) -> None:
        super().__init__(f"{limit} is bounded at {value}, the peer claims or sent {seen}")
        self.limit = limit
        self.value = value
        self.seen = seen


class ImageError(DoorwardError):
    """Pixels cannot be decoded, or not be shown; the message says which, and nothing of what is in them."""

    def __init__(self, message: str, *, kind: str = "failed") -> None:
        super().__init__(message)
        #: ``failed`` | ``no_pixels`` | ``no_frame`` (there are fewer)
        self.kind = kind


class StorageError(DoorwardError):
    """Our own disk refused or failed; the path is ours, no peer chose a part of it."""

    def __init__(
        self, message: str, *, operation: str, path: Path, kind: str, hint: str | None = None
    ) -> None:
        super().__init__(message, hint=hint)
        #: A verb: ``write``, ``sync``, ``read``.
        self.operation = operation
        self.path = path
        #: ``full`` | ``read_only`` | ``permission`` | ``missing`` | ``damaged`` | ``failed``
        self.kind = kind


class StorageFull(StorageError):
    """No room is left; what was begun has been taken back."""
