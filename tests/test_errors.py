"""Every error has a place in one tree, makes its sentence from its fields, and says whose fault it is."""

import inspect
from pathlib import Path

import pytest

from doorward import errors
from doorward.errors import (
    AssociationAborted,
    AssociationRejected,
    ConfigError,
    ConnectFailed,
    DoorwardError,
    LimitExceeded,
    OperationFailed,
    PeerError,
    PeerProtocolError,
    ScopeError,
    StorageError,
    StorageFull,
    TlsFailed,
    TransportError,
    UsageError,
)

CLASSES = [
    member for member in vars(errors).values() if inspect.isclass(member) and member is not Path
]


def test_every_error_has_the_one_root():
    assert all(issubclass(member, DoorwardError) for member in CLASSES)


@pytest.mark.parametrize(
    ("error", "sentence"),
    (
        (DoorwardError("it broke"), "it broke"),
        (ConfigError("no networks"), "no networks"),
        (ConfigError("no networks", field="networks"), "[networks]: no networks"),
        (ConfigError("no networks", file=Path("a.toml")), "a.toml: no networks"),
        (ConfigError("no", file=Path("a.toml"), line=3), "a.toml:3: no"),
        (ConfigError("no", file=Path("a.toml"), line=3, field="x"), "a.toml:3 [x]: no"),
        (
            PeerProtocolError(
                "longer than its item", field="Called-AE-title", source="PS3.8 Table 9-11"
            ),
            "Called-AE-title: longer than its item (PS3.8 Table 9-11)",
        ),
        (
            LimitExceeded(limit="uid_bytes", value=64, seen=70),
            "uid_bytes is bounded at 64, the peer claims or sent 70",
        ),
    ),
)
def test_sentence_is_made_from_the_fields(error, sentence):
    assert str(error) == sentence


def test_hint_is_kept_beside_the_sentence():
    error = ScopeError(
        "10.0.0.1 is outside the scope", target="10.0.0.1", hint="add it to the scope"
    )
    assert (str(error), error.hint, error.target) == (
        "10.0.0.1 is outside the scope",
        "add it to the scope",
        "10.0.0.1",
    )
    assert DoorwardError("x").hint is None


@pytest.mark.parametrize(("result", "is_transient"), ((1, False), (2, True)))
def test_only_result_2_of_a_rejection_is_transient(result, is_transient):
    error = AssociationRejected("rejected", result=result, source=3, reason=1)
    assert error.is_transient is is_transient
    assert (error.result, error.source, error.reason) == (result, 3, 1)


def test_fields_of_peer_errors_are_readable():
    aborted = AssociationAborted("aborted", by_peer=True, source=2, reason=6, prefix=b"HTTP/1.1")
    assert (aborted.by_peer, aborted.source, aborted.reason, aborted.prefix) == (
        True,
        2,
        6,
        b"HTTP/1.1",
    )
    assert OperationFailed("refused", status=0xA700).status == 0xA700
    assert PeerProtocolError("x", field="f", source="s").abort_reason == 6
    assert ConnectFailed("refused", kind="refused").kind == "refused"
    assert TlsFailed("not TLS", kind="not_tls").kind == "not_tls"


def test_whose_fault_it_is_can_be_told_from_the_branch():
    assert issubclass(ScopeError, UsageError)
    assert issubclass(OperationFailed, PeerError)
    assert issubclass(TlsFailed, TransportError)
    assert not issubclass(LimitExceeded, PeerError | UsageError | TransportError)


def test_a_full_disk_is_our_own_fault_and_says_where():
    path = Path("/archive/blobs")
    error = StorageFull("no room", operation="write", path=path, kind="full", hint="make room")
    assert (error.operation, error.path, error.kind) == ("write", path, "full")
    assert isinstance(error, StorageError)
    assert not isinstance(error, PeerError | UsageError)
