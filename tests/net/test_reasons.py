"""Every reason fits an Error Comment and quotes nobody."""

from pathlib import Path

import pytest

from doorward.errors import (
    AssociationAborted,
    AssociationRejected,
    ConnectFailed,
    ConnectTimeout,
    ImageError,
    LimitExceeded,
    LocalProtocolError,
    PeerProtocolError,
    ReplyTimeout,
    ScopeError,
    StorageError,
    TlsFailed,
)
from doorward.net.reasons import CALLER, DESTINATION, of_contexts, of_error, of_status
from doorward.wire.negotiation import AcceptedContext

QUOTED = "DOE^JANE"
CT, MR = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.4"


def rejected(result, source, reason):
    return AssociationRejected(QUOTED, result=result, source=source, reason=reason)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (
            ConnectFailed(QUOTED, kind="refused"),
            "The destination could not be reached (refused)",
        ),
        (ConnectTimeout(QUOTED), "The destination could not be reached (no answer)"),
        (
            TlsFailed(QUOTED, kind="certificate_refused"),
            "The destination and we failed at TLS (certificate_refused)",
        ),
        (ReplyTimeout(QUOTED), "The destination did not answer in time"),
        (rejected(1, 1, 7), "The destination refuses: called AE title not recognized"),
        (rejected(2, 3, 2), "The destination refuses: local limit exceeded"),
        (rejected(1, 2, 1), "The destination refuses: no reason given by the service provider"),
        (AssociationAborted(QUOTED, by_peer=True), "The destination ended the association"),
        (ScopeError(QUOTED, target="127.0.0.1"), "The destination may not be dialled"),
        (
            StorageError(QUOTED, operation="read", path=Path("blob"), kind="missing"),
            "The instance could not be read",
        ),
        (ImageError(QUOTED), "The instance could not be written in another syntax"),
        (
            PeerProtocolError(QUOTED, field="(0028,0010)", source="PS3.5"),
            "The instance could not be written in another syntax",
        ),
        (
            LimitExceeded(limit="image_frame_bytes", value=1, seen=2),
            "More than image_frame_bytes allows",
        ),
        (LocalProtocolError(QUOTED), "It could not be sent"),
    ],
)
def test_an_error_is_told_in_words_of_our_own(error, words):
    assert of_error(DESTINATION, error) == words
    assert len(words) <= 64
    assert words.isascii()


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (0xA700, "The caller answers A700: out of resources"),
        (0x0122, "The caller answers 0122: refused: SOP class not supported"),
        (0xC123, "The caller answers C123: cannot understand the data set"),
    ],
)
def test_a_status_is_told_with_its_meaning(status, words):
    assert of_status(CALLER, status) == words


def test_every_status_fits():
    assert all(len(of_status(DESTINATION, status)) <= 64 for status in range(0x0100, 0x10000, 7))


def test_a_missing_context_says_what_is_missing():
    only_ct = [AcceptedContext(id=1, abstract_syntax=CT, transfer_syntax="1.2.840.10008.1.2")]

    assert of_contexts(CALLER, only_ct, MR) == "The caller does not take its SOP class"
    assert of_contexts(CALLER, only_ct, CT) == "The caller does not take its transfer syntax"
