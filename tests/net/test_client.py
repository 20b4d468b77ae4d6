"""The requestor against peers that are made of bytes: what leaves is recorded, what arrives may be anything."""

import asyncio
from functools import partial

import pytest

from certificates import make_certificates
from doorward.errors import (
    AssociationAborted,
    AssociationRejected,
    LocalProtocolError,
    OperationFailed,
    ReplyTimeout,
)
from doorward.net.client import (
    IMPLEMENTATION_CLASS_UID,
    IMPLEMENTATION_VERSION_NAME,
    check_status,
)
from doorward.net.operations import FindEnd
from doorward.net.tls import client_context, server_context
from doorward.wire.pdu import UserIdentity
from loopback import (
    STUDY_ROOT_FIND,
    VERIFICATION,
    House,
    associated,
    in_loop,
    limits,
    listening,
    proposal,
    until,
)
from scripted_peer import (
    ABORT,
    ASSOCIATE_RQ,
    C_CANCEL_RQ,
    C_ECHO_RQ,
    C_FIND_RQ,
    CANCELLED,
    DATA_TF,
    RELEASE_REPLY,
    RELEASE_RP,
    RELEASE_RQ,
    abort,
    archive,
    data,
    final,
    finds,
    match,
    pdu,
    rejection,
    response,
    scripted_peer,
)

MATCHES = [b"first ", b"second", b"third "]


def nothing(status, identifier):
    """Drop a match."""


async def over(peer):
    """Wait until the peer has seen the end of each connection."""
    await until(lambda: all(call.closed_at for call in peer.calls))


async def count(requestor, on_match=nothing, **how):
    return await requestor.find(STUDY_ROOT_FIND, b"keys", on_match, **how)


# --- the association --------------------------------------------------------------------------------------------


@in_loop
async def test_an_association_shows_who_we_are():
    async with (
        scripted_peer(archive(finds())) as peer,
        associated(peer.port, what=proposal(called_ae_title="THEM")) as requestor,
    ):
        assert requestor.accept.called_ae_title == "THEM"
        assert requestor.contexts[1].abstract_syntax == VERIFICATION
    call = peer.calls[0]
    assert call.titles == ("THEM", "DOORWARDTEST")
    information = call.user_information
    assert information[0x51] == (131_072).to_bytes(4, "big")
    assert information[0x52].decode() == IMPLEMENTATION_CLASS_UID
    assert information[0x55].decode() == IMPLEMENTATION_VERSION_NAME
    assert IMPLEMENTATION_CLASS_UID.startswith("2.25.")
    assert call.pdus == [ASSOCIATE_RQ, RELEASE_RQ]


@in_loop
async def test_a_user_identity_travels():
    identity = UserIdentity(type=2, response_requested=False, primary=b"who", secondary=b"secret")
    async with (
        scripted_peer(archive(finds())) as peer,
        associated(peer.port, what=proposal(user_identity=identity)),
    ):
        pass
    assert peer.calls[0].user_information[0x58] == b"\x02\x00\x00\x03who\x00\x06secret"


@in_loop
@pytest.mark.parametrize(
    ("codes", "words", "is_transient"),
    (
        ((1, 1, 7), "called AE title not recognized, permanently (1/1/7)", False),
        ((2, 3, 1), "temporary congestion, for now (2/3/1)", True),
        (
            (9, 9, 9),
            "a reason that the Standard does not define, in an undefined way (9/9/9)",
            False,
        ),
    ),
)
async def test_a_rejection_is_told_in_words_and_codes(codes, words, is_transient):
    async def script(call):
        await call.asked()
        await call.send(rejection(*codes))
        await call.until_gone()

    async with scripted_peer(script) as peer:
        with pytest.raises(AssociationRejected) as caught:
            async with associated(peer.port):
                raise AssertionError("never reached")
    error = caught.value
    assert (error.result, error.source, error.reason) == codes
    assert str(error) == f"association rejected: {words}"
    assert error.is_transient is is_transient
    assert peer.calls[0].pdus == [ASSOCIATE_RQ]


@in_loop
async def test_silence_is_a_timeout_and_is_aborted():
    async def script(call):
        await call.asked()
        await call.until_gone()

    async with scripted_peer(script) as peer:
        with pytest.raises(
            ReplyTimeout, match=r"no answer to the association request within 0.05 s"
        ):
            async with associated(peer.port, limits(associate_s=0.05)):
                raise AssertionError("never reached")
        await over(peer)
    assert peer.calls[0].pdus == [ASSOCIATE_RQ, ABORT]


@in_loop
@pytest.mark.parametrize(
    ("answer", "by_peer", "source", "reason", "prefix"),
    (
        (b"", True, None, None, b""),
        (abort(0, 0), True, 0, 0, b""),
        (abort(2, 1), True, 2, 1, b""),
        (b"HTTP/1.1 400 Bad Request\r\n", False, 2, 1, b"HTTP/1.1"),
        (pdu(DATA_TF, b"\0\0\0\2\1\3"), False, 2, 2, b""),
    ),
    ids=("closed", "by user", "by provider", "http", "data"),
)
async def test_whatever_else_is_answered_is_an_aborted_association(
    answer, by_peer, source, reason, prefix
):
    async def script(call):
        await call.asked()
        await call.send(answer)

    async with scripted_peer(script) as peer:
        with pytest.raises(AssociationAborted) as caught:
            async with associated(peer.port):
                raise AssertionError("never reached")
    error = caught.value
    assert (error.by_peer, error.source, error.reason, error.prefix) == (
        by_peer,
        source,
        reason,
        prefix,
    )


@in_loop
async def test_too_many_contexts_are_our_own_fault():
    wishes = [(VERIFICATION, ("1.2.840.10008.1.2",))] * 129
    async with scripted_peer(archive(finds())) as peer:
        with pytest.raises(LocalProtocolError, match="129 presentation contexts"):
            async with associated(peer.port, what=proposal(wishes)):
                raise AssertionError("never reached")
        assert not peer.calls


# --- release, always --------------------------------------------------------------------------------------------


@in_loop
async def test_an_error_of_the_caller_still_releases():
    async with scripted_peer(archive(finds())) as peer:
        with pytest.raises(ZeroDivisionError):
            async with associated(peer.port):
                raise ZeroDivisionError
    assert peer.calls[0].pdus == [ASSOCIATE_RQ, RELEASE_RQ]


@in_loop
async def test_an_interruption_in_the_middle_of_a_query_cancels_and_releases_though_nobody_answers():
    asked = asyncio.Event()

    async def on_find(call, message):
        asked.set()

    async with scripted_peer(archive(on_find)) as peer:

        async def run():
            async with associated(peer.port, limits(cancel_s=0.05)) as requestor:
                await count(requestor)

        task = asyncio.ensure_future(run())
        await asked.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert peer.calls[0].pdus == [ASSOCIATE_RQ, DATA_TF, DATA_TF, DATA_TF, RELEASE_RQ]
    assert peer.commands == [C_FIND_RQ, C_CANCEL_RQ]


@in_loop
async def test_an_interruption_waits_for_the_final_response_before_it_releases():
    """PS3.7 section 9.3.2.3: the performing side still answers; what it sends meanwhile is let pass."""
    counted = []
    first = asyncio.Event()

    def on_match(status, identifier):
        counted.append(status)
        first.set()

    async def on_find(call, message):
        await call.send(match(message, b"first "))
        assert (await call.message()).command_field == C_CANCEL_RQ
        await call.send(*[match(message, b"late")] * 50)
        await call.send(match(message, b"last", CANCELLED))

    async with scripted_peer(archive(on_find)) as peer:

        async def run():
            async with associated(peer.port, limits(cancel_s=10.0)) as requestor:
                await count(requestor, on_match)

        task = asyncio.ensure_future(run())
        await first.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await over(peer)
    assert counted == [0xFF00]
    assert peer.commands == [C_FIND_RQ, C_CANCEL_RQ]
    assert peer.calls[0].pdus[-1] == RELEASE_RQ, "and no abort"


@in_loop
async def test_an_interruption_during_the_release_waits_for_its_answer():
    released, interrupted = asyncio.Event(), asyncio.Event()

    async def script(call):
        await call.accepted()
        await call.pdu()
        released.set()
        await interrupted.wait()
        await call.send(RELEASE_REPLY)
        await call.until_gone()

    async with scripted_peer(script) as peer:

        async def run():
            async with associated(peer.port, limits(release_s=10.0)):
                pass

        task = asyncio.ensure_future(run())
        await released.wait()
        task.cancel()
        await asyncio.sleep(0)
        interrupted.set()
        with pytest.raises(asyncio.CancelledError):
            await task
        await over(peer)
    assert peer.calls[0].pdus == [ASSOCIATE_RQ, RELEASE_RQ], "and no abort"


@in_loop
async def test_a_peer_that_aborts_at_the_cancel_of_an_interruption_is_left_alone():
    asked = asyncio.Event()

    async def on_find(call, message):
        asked.set()
        assert (await call.message()).command_field == C_CANCEL_RQ
        await call.send(abort())

    async with scripted_peer(archive(on_find)) as peer:

        async def run():
            async with associated(peer.port) as requestor:
                await count(requestor)

        task = asyncio.ensure_future(run())
        await asked.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert peer.calls[0].pdus == [ASSOCIATE_RQ, DATA_TF, DATA_TF, DATA_TF]


@in_loop
async def test_a_query_without_an_answer_still_releases():
    async def on_find(call, message):
        pass

    async with (
        scripted_peer(archive(on_find)) as peer,
        associated(peer.port, limits(reply_s=0.05)) as requestor,
    ):
        result = await count(requestor)
    assert (result.end, result.final_status, result.matches) == (FindEnd.SILENT, None, 0)
    assert isinstance(result.failure, ReplyTimeout)
    assert peer.calls[0].pdus[-1] == RELEASE_RQ


@in_loop
async def test_only_a_release_without_an_answer_is_followed_by_an_abort():
    async def script(call):
        await call.accepted()
        await call.until_gone()

    async with scripted_peer(script) as peer:
        async with associated(peer.port, limits(release_s=0.05)):
            pass
        await over(peer)
    assert peer.calls[0].pdus == [ASSOCIATE_RQ, RELEASE_RQ, ABORT]


@in_loop
async def test_data_that_come_instead_of_the_release_reply_are_let_pass():
    async def script(call):
        await call.accepted()
        message = await call.message()
        await call.send(match(message, b"first "))
        await call.pdu()  # C-CANCEL
        await call.pdu()  # A-RELEASE-RQ
        await call.send(*[match(message, b"late")] * 5, RELEASE_REPLY)
        await call.until_gone()

    async with (
        scripted_peer(script) as peer,
        associated(peer.port, limits(cancel_s=0.05)) as requestor,
    ):
        result = await count(requestor, max_matches=1)
    assert (result.end, result.matches, result.capped) == (FindEnd.SILENT, 1, True)
    assert peer.calls[0].pdus == [ASSOCIATE_RQ, DATA_TF, DATA_TF, DATA_TF, RELEASE_RQ]


@in_loop
async def test_a_release_of_the_peer_is_confirmed_and_ends_it():
    async def script(call):
        await call.accepted()
        await call.pdu()
        await call.send(pdu(RELEASE_RQ, bytes(4)))
        await call.until_gone()

    async with scripted_peer(script) as peer, associated(peer.port) as requestor:
        with pytest.raises(AssociationAborted, match="the peer released the association"):
            await requestor.echo()
        with pytest.raises(AssociationAborted):
            await requestor.echo()
    assert peer.calls[0].pdus == [ASSOCIATE_RQ, DATA_TF, RELEASE_RP]


@in_loop
async def test_two_releases_that_cross_end_in_order():
    """PS3.8 section 9.2.3, release collision: our reply leaves, theirs is awaited, nobody aborts."""

    async def script(call):
        await call.accepted()
        await call.pdu()
        await call.send(pdu(RELEASE_RQ, bytes(4)))
        await call.pdu()
        await call.send(RELEASE_REPLY)
        await call.until_gone()

    async with scripted_peer(script) as peer, associated(peer.port):
        pass
    assert peer.calls[0].pdus == [ASSOCIATE_RQ, RELEASE_RQ, RELEASE_RP]


@in_loop
async def test_a_release_and_an_abort_in_one_read_do_not_reach_the_loop():
    async def script(call):
        await call.accepted()
        await call.pdu()
        await call.send(pdu(RELEASE_RQ, bytes(4)) + abort())

    async with scripted_peer(script) as peer, associated(peer.port) as requestor:
        with pytest.raises(AssociationAborted, match="aborted by the peer"):
            await requestor.echo()


# --- C-ECHO -----------------------------------------------------------------------------------------------------


@in_loop
@pytest.mark.parametrize("status", (0x0000, 0x0122, 0x0210))
async def test_echo_returns_the_status(status):
    async def script(call):
        await call.accepted()
        await call.send(final(await call.message(), status))
        await call.message()

    async with scripted_peer(script) as peer, associated(peer.port) as requestor:
        assert await requestor.echo() == status
    assert peer.commands == [C_ECHO_RQ]


@in_loop
async def test_echo_needs_its_context():
    async with (
        scripted_peer(archive(finds())) as peer,
        associated(
            peer.port, what=proposal([(STUDY_ROOT_FIND, ("1.2.840.10008.1.2",))])
        ) as requestor,
    ):
        with pytest.raises(LocalProtocolError, match="did not accept a context"):
            await requestor.echo()
    assert peer.commands == []


@in_loop
async def test_a_long_pause_before_a_question_is_not_silence_of_the_peer():
    async with (
        scripted_peer(archive(finds())) as peer,
        associated(peer.port) as requestor,
    ):
        requestor.connection.last_read_at -= 3_600
        assert await requestor.echo() == 0


@in_loop
async def test_one_operation_at_a_time():
    async def on_find(call, message):
        pass

    async with (
        scripted_peer(archive(on_find)) as peer,
        associated(peer.port, limits(cancel_s=0.05)) as requestor,
    ):
        running = asyncio.ensure_future(count(requestor))
        await asyncio.sleep(0)
        with pytest.raises(LocalProtocolError, match="another operation"):
            await requestor.echo()
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
    assert peer.commands == [C_FIND_RQ, C_CANCEL_RQ]


@in_loop
async def test_a_data_set_where_none_belongs_is_dropped():
    async def script(call):
        await call.accepted()
        message = await call.message()
        await call.send(data(1, 3, response(message, 0, has_data=True)), data(1, 2, b"what for?"))
        await call.send(final(await call.message()))
        await call.message()

    async with scripted_peer(script) as peer, associated(peer.port) as requestor:
        assert await requestor.echo() == 0
        assert await requestor.echo() == 0


@in_loop
async def test_message_ids_grow_and_come_round():
    async with scripted_peer(archive(finds())) as peer, associated(peer.port) as requestor:
        assert [requestor.next_message_id() for _ in range(3)] == [1, 2, 3]
        requestor._message_id = 65_534
        assert [requestor.next_message_id() for _ in range(2)] == [65_535, 1]


# --- C-FIND -----------------------------------------------------------------------------------------------------


@in_loop
async def test_find_hands_every_match_on():
    seen = []
    async with (
        scripted_peer(archive(finds(*MATCHES))) as peer,
        associated(peer.port) as requestor,
    ):
        result = await count(requestor, lambda status, one: seen.append((status, bytes(one))))
    assert seen == [(0xFF00, one) for one in MATCHES]
    assert (result.end, result.final_status, result.matches) == (FindEnd.FINAL, 0, 3)
    assert not result.capped
    assert result.failure is None


@in_loop
@pytest.mark.parametrize("status", (0xA700, 0xA900, 0xC000, 0xFE00, 0xB000, 0x0001, 0x1234))
async def test_any_final_status_is_an_answer(status):
    async def on_find(call, message):
        await call.send(match(message, b"one "), final(message, status))

    async with scripted_peer(archive(on_find)) as peer, associated(peer.port) as requestor:
        result = await count(requestor)
    assert (result.end, result.final_status, result.matches) == (FindEnd.FINAL, status, 1)


@in_loop
async def test_a_final_response_with_an_identifier_ends_after_it():
    """Orthanc's FE00 carries one; what follows it must not meet the release."""

    async def on_find(call, message):
        await call.send(match(message, b"one "), match(message, b"unasked ", 0xFE00))

    seen = []
    async with scripted_peer(archive(on_find)) as peer, associated(peer.port) as requestor:
        result = await count(requestor, lambda _, one: seen.append(bytes(one)))
        assert await requestor.echo() == 0
    assert (result.final_status, seen) == (0xFE00, [b"one "])


@in_loop
async def test_identifiers_in_fragments_are_put_together():
    async def on_find(call, message):
        command = data(message.context_id, 3, response(message, 0xFF00, has_data=True))
        pieces = [data(message.context_id, 0, bytes((65 + at,)) * 2) for at in range(3)]
        await call.send(command, *pieces, data(message.context_id, 2, b""), final(message))

    seen = []
    async with scripted_peer(archive(on_find)) as peer, associated(peer.port) as requestor:
        await count(requestor, lambda _, one: seen.append(bytes(one)))
    assert seen == [b"AABBCC"]


@in_loop
async def test_an_identifier_that_is_too_long_counts_and_is_dropped():
    async def on_find(call, message):
        command = data(message.context_id, 3, response(message, 0xFF00, has_data=True))
        piece = data(message.context_id, 0, bytes(400))
        await call.send(command, *[piece] * 3, data(message.context_id, 2, b"end "))
        await call.send(match(message, b"small "), final(message))

    seen = []
    async with (
        scripted_peer(archive(on_find)) as peer,
        associated(peer.port, limits(identifier_bytes=1_000)) as requestor,
    ):
        result = await count(requestor, lambda _, one: seen.append(bytes(one)))
    assert (result.matches, seen) == (2, [b"", b"small "])


async def endless(call, message, *, has_data=True):
    """Match after match until the end of the connection."""
    one = match(message, b"again ")
    if not has_data:
        one = data(message.context_id, 3, response(message, 0xFF00))
    while True:
        await call.send(one * 50)
        await asyncio.sleep(0)


@in_loop
@pytest.mark.parametrize("has_data", (True, False), ids=("with identifiers", "without"))
async def test_at_the_cap_a_cancel_leaves_and_the_count_stands_still(has_data):
    async def on_find(call, message):
        one = match(message, b"again ")
        if not has_data:
            one = data(message.context_id, 3, response(message, 0xFF00))
        await call.send(one * 30)
        assert (await call.message()).command_field == C_CANCEL_RQ
        await call.send(one * 10, final(message, CANCELLED))

    async with scripted_peer(archive(on_find)) as peer, associated(peer.port) as requestor:
        result = await count(requestor, max_matches=20)
    assert (result.matches, result.capped, result.final_status) == (20, True, CANCELLED)
    assert peer.commands == [C_FIND_RQ, C_CANCEL_RQ]
    assert peer.calls[0].pdus[-1] == RELEASE_RQ


@in_loop
async def test_who_goes_on_after_the_cancel_is_left_soon():
    """The time of cancel_s counts from the C-CANCEL, not from the next silence, which never comes."""
    bounds = limits(cancel_s=0.05, release_s=0.05, reply_s=60.0)
    async with (
        scripted_peer(archive(endless)) as peer,
        associated(peer.port, bounds) as requestor,
    ):
        begun = asyncio.get_running_loop().time()
        result = await count(requestor, max_matches=10)
        assert asyncio.get_running_loop().time() - begun < 5
    assert (result.end, result.matches, result.capped) == (FindEnd.SILENT, 10, True)


@in_loop
async def test_a_query_that_takes_too_long_is_cancelled():
    async def on_find(call, message):
        await call.send(match(message, b"one "))
        assert (await call.message()).command_field == C_CANCEL_RQ
        await call.send(final(message, CANCELLED))

    async with scripted_peer(archive(on_find)) as peer, associated(peer.port) as requestor:
        result = await count(requestor, max_s=0.05)
    assert (result.matches, result.capped, result.final_status) == (1, True, CANCELLED)
    assert peer.commands == [C_FIND_RQ, C_CANCEL_RQ]


@in_loop
async def test_an_abort_midway_is_told_with_the_matches_so_far():
    async def on_find(call, message):
        await call.send(match(message, b"one "), match(message, b"two "), abort(0, 0))

    async with scripted_peer(archive(on_find)) as peer, associated(peer.port) as requestor:
        result = await count(requestor)
        with pytest.raises(AssociationAborted):
            await requestor.echo()
    assert (result.end, result.matches, result.final_status) == (FindEnd.ABORTED, 2, None)
    assert result.failure.by_peer
    assert result.failure.source == 0


@in_loop
async def test_an_abort_in_the_same_read_as_the_last_match_does_not_reach_the_loop():
    """At the cap a C-CANCEL is due, and there is no association any more to send it on."""

    async def on_find(call, message):
        await call.send(match(message, b"one ") + abort())

    async with scripted_peer(archive(on_find)) as peer, associated(peer.port) as requestor:
        result = await count(requestor, max_matches=1)
    assert (result.end, result.matches) == (FindEnd.ABORTED, 1)


@in_loop
async def test_a_lost_connection_midway_is_told():
    async def on_find(call, message):
        await call.send(match(message, b"one "))
        call.writer.transport.abort()
        await call.until_gone()

    async with scripted_peer(archive(on_find)) as peer, associated(peer.port) as requestor:
        result = await count(requestor)
    assert result.end is FindEnd.ABORTED
    assert result.failure.source is None


@in_loop
async def test_responses_nobody_asked_for_are_dropped():
    async def script(call):
        await call.asked()
        await call.send(call.accept())
        message = await call.message()
        await call.send(final(message), final(message), match(message, b"late"))
        while (other := await call.message()) is not None:
            await call.send(final(other))

    async with scripted_peer(script) as peer, associated(peer.port) as requestor:
        assert await requestor.echo() == 0
        assert (await count(requestor)).matches == 0


# --- the rest ---------------------------------------------------------------------------------------------------


def test_only_failures_are_raised_as_such():
    for status in (0x0000, 0xFF00, 0xB000, 0x0001):
        check_status(status, "C-STORE")
    with pytest.raises(OperationFailed) as caught:
        check_status(0xA700, "C-STORE")
    assert caught.value.status == 0xA700


@pytest.fixture(scope="module")
def credentials(tmp_path_factory):
    return make_certificates(tmp_path_factory.mktemp("certificates"))


@in_loop
async def test_an_association_over_tls_with_both_certificates(credentials):
    own, authority = credentials.server, credentials.authority.certificate_path
    theirs = server_context(own.certificate_path, own.key_path, client_authorities=authority)
    client = credentials.client
    ours = partial(client_context, authorities=authority, certificate=client.certificate_path)
    house = House(matches=[(0xFF00, b"one ")])
    async with (
        listening(house, tls=theirs) as (_, port),
        associated(port, tls=ours(key=client.key_path), server_name="localhost") as requestor,
    ):
        assert (await count(requestor)).matches == 1
    assert house.ends == [True]
    assert house.peers[0].certificate is not None
