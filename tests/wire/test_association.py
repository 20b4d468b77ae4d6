"""Associations as conversations: alone by playbook, in pairs back to back, and under any bytes at all."""

import random
import tracemalloc
from contextlib import suppress
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doorward.errors import LocalProtocolError
from doorward.limits import DEFAULT_LIMITS
from doorward.wire.association import Association, Role
from doorward.wire.command import CEchoRequest, CEchoResponse, CFindRequest, CFindResponse
from doorward.wire.dimse import encode_command
from doorward.wire.encode import encode_data_values, encode_pdu
from doorward.wire.events import (
    Aborted,
    AssociateAccepted,
    AssociateRejected,
    AssociateRequested,
    Closed,
    CommandReceived,
    DataFragment,
    Released,
    ReleaseRequested,
)
from doorward.wire.negotiation import AcceptedContext
from doorward.wire.pdu import (
    Abort,
    AnsweredContext,
    AssociateReject,
    DataTransfer,
    ReleaseReply,
    ReleaseRequest,
)
from doorward.wire.table import State
from pdus import MAXIMUM_LENGTH, item, request
from playbook import (
    AC,
    CLOSES,
    IMPLICIT,
    RQ,
    STUDY_ROOT_FIND,
    VERIFICATION,
    At,
    Connected,
    Do,
    Hangup,
    In,
    Playbook,
    Saying,
    Sent,
    acceptor,
    events_of,
    pdus_in,
    requestor,
)

ECHO = CEchoRequest(message_id=1, affected_sop_class_uid=VERIFICATION)
ECHO_RSP = CEchoResponse(message_id_being_responded_to=1, status=0)
FIND = CFindRequest(message_id=2, affected_sop_class_uid=STUDY_ROOT_FIND)
MATCH = CFindResponse(message_id_being_responded_to=2, status=0xFF00, has_data_set=True)
LAST = CFindResponse(message_id_being_responded_to=2, status=0)
RJ = AssociateReject(result=2, source=3, reason=1)
#: Ours, sent at the peer's fault (PS3.8 Table 9-26).
BY_PROVIDER, BY_USER = Abort(source=2, reason=6), Abort(source=0, reason=0)


def command(context_id, value):
    return DataTransfer(values=((context_id, 3, encode_command(value)),))


def data(context_id, fragment, *, is_last=True):
    return DataTransfer(values=((context_id, 2 if is_last else 0, fragment),))


def established(role=Role.REQUESTOR, limits=DEFAULT_LIMITS, accept=AC):
    """A playbook whose association stands."""
    if role is Role.REQUESTOR:
        book = Playbook(requestor(limits)) >> Do("request", RQ) >> Connected() << Sent(RQ)
        return book >> accept << AssociateAccepted(accept)
    book = Playbook(acceptor(limits)) >> Connected() >> RQ << AssociateRequested(RQ)
    return book >> Do("accept", accept) << Sent(accept)


BOTH = pytest.mark.parametrize("role", Role, ids=lambda role: role.value)


# --- a life in order --------------------------------------------------------------------------------------------


def test_requestor_asks_sends_and_releases():
    assert (
        Playbook(requestor())
        >> Do("request", RQ)
        << In(State.AWAITING_TRANSPORT)
        >> Connected()
        << Sent(RQ)
        << In(State.AWAITING_ASSOCIATE_RESPONSE)
        >> AC
        << AssociateAccepted(AC)
        << In(State.ESTABLISHED)
        >> Do("send_message", 1, ECHO)
        << Sent(command(1, ECHO))
        >> command(1, ECHO_RSP)
        << CommandReceived(1, ECHO_RSP)
        >> Do("release")
        << Sent(ReleaseRequest())
        << In(State.AWAITING_RELEASE_RESPONSE)
        >> ReleaseReply()
        << Released()
        << CLOSES
        << In(State.IDLE)
        >> Hangup()
    )


def test_acceptor_answers_and_confirms_the_release():
    assert (
        Playbook(acceptor())
        >> Connected()
        << In(State.AWAITING_ASSOCIATE_REQUEST)
        >> RQ
        << AssociateRequested(RQ)
        >> Do("accept", AC)
        << Sent(AC)
        << In(State.ESTABLISHED)
        >> command(3, FIND)
        << CommandReceived(3, FIND)
        >> data(3, b"key 1, ", is_last=False)
        << DataFragment(3, b"key 1, ", False)
        >> data(3, b"key 2")
        << DataFragment(3, b"key 2", True)
        >> Do("send_message", 3, MATCH, b"one match")
        << Sent(command(3, MATCH), data(3, b"one match"))
        >> Do("send_message", 3, encode_command(LAST))
        << Sent(command(3, LAST))
        >> ReleaseRequest()
        << ReleaseRequested()
        << In(State.AWAITING_LOCAL_RELEASE_RESPONSE)
        >> Do("confirm_release")
        << Sent(ReleaseReply())
        << In(State.AWAITING_CLOSE)
        >> Hangup()
        << CLOSES
        << In(State.IDLE)
    )


def test_acceptor_rejects_and_waits_for_the_end():
    assert (
        Playbook(acceptor())
        >> Connected()
        >> RQ
        << AssociateRequested(RQ)
        >> Do("reject", RJ)
        << Sent(RJ)
        << In(State.AWAITING_CLOSE)
        >> Hangup()
        << CLOSES
    )


def test_requestor_closes_after_a_rejection():
    assert (
        Playbook(requestor())
        >> Do("request", RQ)
        >> Connected()
        << Sent(RQ)
        >> RJ
        << AssociateRejected(RJ)
        << CLOSES
        << In(State.IDLE)
    )


def test_what_both_sides_agreed_on_is_known_also_after_the_end():
    partly = replace(AC, presentation_contexts=(*AC.presentation_contexts[:1],))
    book = established(accept=partly) >> Do("abort") << Sent(BY_USER)
    expected = AcceptedContext(id=1, abstract_syntax=VERIFICATION, transfer_syntax=IMPLICIT)
    assert book.association.contexts == {1: expected}
    assert book.association.request_pdu == RQ
    assert book.association.accept_pdu == partly


def test_a_context_that_was_never_proposed_does_not_stand():
    strange = AnsweredContext(id=5, result=0, transfer_syntax=IMPLICIT)
    book = established(accept=replace(AC, presentation_contexts=(strange,)))
    assert book.association.contexts == {}


# --- release ----------------------------------------------------------------------------------------------------


def test_data_that_cross_our_release_are_still_taken():
    """Orthanc sends the rest of its matches, and FE00 with an identifier, after our A-RELEASE-RQ (AR-6)."""
    assert (
        established()
        >> Do("release")
        << Sent(ReleaseRequest())
        >> command(3, MATCH)
        << CommandReceived(3, MATCH)
        >> data(3, b"late")
        << DataFragment(3, b"late", True)
        << In(State.AWAITING_RELEASE_RESPONSE)
        >> ReleaseReply()
        << Released()
        << CLOSES
    )


def test_data_may_be_sent_until_the_release_is_confirmed():
    assert (
        established(Role.ACCEPTOR)
        >> ReleaseRequest()
        << ReleaseRequested()
        >> Do("send_message", 3, LAST)
        << Sent(command(3, LAST))
        >> Do("confirm_release")
        << Sent(ReleaseReply())
    )


def test_release_collision_as_seen_by_the_requestor():
    assert (
        established(Role.REQUESTOR)
        >> Do("release")
        << Sent(ReleaseRequest())
        >> ReleaseRequest()
        << ReleaseRequested()
        << In(State.COLLISION_REQUESTOR_LOCAL)
        >> Do("confirm_release")
        << Sent(ReleaseReply())
        << In(State.COLLISION_REQUESTOR_PEER)
        >> ReleaseReply()
        << Released()
        << CLOSES
        << In(State.IDLE)
    )


def test_release_collision_as_seen_by_the_acceptor():
    assert (
        established(Role.ACCEPTOR)
        >> Do("release")
        << Sent(ReleaseRequest())
        >> ReleaseRequest()
        << ReleaseRequested()
        << In(State.COLLISION_ACCEPTOR_PEER)
        >> ReleaseReply()
        << Released()
        << In(State.COLLISION_ACCEPTOR_LOCAL)
        >> Do("confirm_release")
        << Sent(ReleaseReply())
        << In(State.AWAITING_CLOSE)
        >> Hangup()
        << CLOSES
    )


# --- ARTIM (PS3.8 section 9.1.5) ---------------------------------------------------------------------------------


def test_a_connection_without_a_request_ends_by_artim():
    book = Playbook(acceptor()) >> Connected()
    assert book.association.deadline() == 10.0
    assert book >> At(9.99) >> At(10.0) << Closed(timed_out=True) << CLOSES << In(State.IDLE)
    assert book.association.deadline() is None


def test_half_a_request_does_not_stop_artim():
    half = encode_pdu(RQ)[:-1]
    book = Playbook(acceptor()) >> Connected() >> At(5.0) >> half >> At(9.9)
    assert book >> At(10.0) << Closed(timed_out=True) << CLOSES


def test_a_whole_request_stops_artim():
    book = Playbook(acceptor()) >> Connected() >> RQ << AssociateRequested(RQ)
    assert book.association.deadline() is None


@BOTH
def test_who_does_not_close_after_an_abort_is_closed_by_artim(role):
    book = established(role) >> At(100.0) >> Do("abort") << Sent(BY_USER)
    assert book.association.deadline() == 110.0
    assert book << In(State.AWAITING_CLOSE) >> At(110.0) << CLOSES << In(State.IDLE)


def test_repeated_faults_do_not_prolong_artim():
    """AA-7 answers each time; a peer must not hold a connection by breaking the protocol every nine seconds."""
    invalid = bytes.fromhex("01 00 00000002 0001")
    book = established(Role.ACCEPTOR) >> Do("abort") << Sent(BY_USER)
    book = book >> At(6.0) >> invalid << Sent(BY_PROVIDER) >> RQ << Sent(Abort(source=2, reason=2))
    assert book.association.deadline() == 10.0
    assert book >> At(10.0) << CLOSES


def test_a_stream_that_is_no_dicom_is_answered_once():
    book = established() >> Do("abort") << Sent(BY_USER)
    assert book >> b"\xff" << Sent(Abort(source=2, reason=1)) >> b"\xff\xff" >> b"\xff"


# --- the end ----------------------------------------------------------------------------------------------------


@BOTH
@pytest.mark.parametrize(("source", "reason"), ((0, 0), (2, 6), (77, 99)))
def test_an_abort_of_the_peer_is_told_with_its_codes(role, source, reason):
    told = Aborted(True, source, reason)
    assert established(role) >> Abort(source=source, reason=reason) << told << CLOSES


@BOTH
def test_a_lost_transport_is_told_once(role):
    assert established(role) >> Hangup() << Closed() << CLOSES >> Hangup()


def test_nothing_is_said_before_there_is_a_transport():
    assert Playbook(requestor()) >> Do("request", RQ) >> Do("abort") << CLOSES << In(State.IDLE)
    assert Playbook(requestor()) >> Do("request", RQ) >> Hangup() << Closed() << CLOSES


def test_a_second_abort_is_without_effect():
    assert established() >> Do("abort") << Sent(BY_USER) >> Do("abort")


def test_bytes_after_the_end_are_nothing():
    assert (
        established()
        >> RJ
        << Aborted(False, 2, 2, Saying("out of place"))
        << Sent(Abort(source=2, reason=2))
        >> Hangup()
        << CLOSES
        >> AC
        >> RQ
        >> b"\xff"
        >> encode_pdu(command(1, ECHO))
    )


# --- the peer breaks a rule -------------------------------------------------------------------------------------


@BOTH
@pytest.mark.parametrize(
    ("given", "reason", "why", "prefix"),
    (
        ("ff", 1, "no PDU begins with 0xff", "ff"),
        ("04 00 ffffffff", 6, "4294967295 bytes claimed", "04 00 ffffffff"),
        ("04 00 00000001 00", 6, "cannot hold a presentation", "04 00 00000001 00"),
        ("05 00 00000005", 6, "always 4", "05 00 00000005"),
        ("04 00 00000006 00000001 0103", 6, "", ""),  # a value shorter than its own two bytes
        ("04 00 00000006 00000064 0103", 6, "", ""),  # and one longer than the PDU
        ("02 00 00000002 0001", 6, "", ""),  # A-ASSOCIATE-AC that ends in its version
        ("04 00 00000008 00000004 0703 abcd", 6, "7 is not an accepted context", ""),
    ),
)
def test_invalid_pdus_are_answered_with_abort(role, given, reason, why, prefix):
    told = Aborted(False, 2, reason, Saying(why), bytes.fromhex(prefix))
    book = established(role) >> bytes.fromhex(given) << told << Sent(Abort(source=2, reason=reason))
    assert book << In(State.AWAITING_CLOSE) >> Hangup() << CLOSES


@BOTH
@pytest.mark.parametrize(
    "given",
    (
        data(3, b"a data set without a command"),
        DataTransfer(values=((1, 3, b"no command set"),)),
        DataTransfer(values=((1, 3, encode_command(FIND)), (1, 3, encode_command(ECHO)))),
        DataTransfer(values=((3, 1, encode_command(FIND)[:9]), (1, 1, b"x"))),
    ),
    ids=("stray data", "garbage", "two commands", "two contexts"),
)
def test_broken_messages_are_aborted_by_the_service_user(role, given):
    book = established(role) >> given
    told = [event for event in book._events if not isinstance(event, CommandReceived)]
    assert told == [Aborted(False, 0, 0, Saying("PS3."))]
    book._events.clear()
    assert book << Sent(BY_USER) << In(State.AWAITING_CLOSE)


def test_before_the_request_only_a_request_is_heard():
    told = Aborted(False, 0, 0, Saying("out of place"))
    assert Playbook(acceptor()) >> Connected() >> ReleaseRequest() << told << Sent(BY_USER)


def test_another_protocol_shows_its_first_bytes():
    told = Aborted(False, 0, 0, Saying("no PDU begins with 0x47"), b"GET / HT")
    assert Playbook(acceptor()) >> Connected() >> b"GET / HTTP/1.1\r\n" << told << Sent(BY_USER)


def test_no_more_first_bytes_are_kept_than_the_limit_says():
    book = Playbook(acceptor(replace(DEFAULT_LIMITS, banner_bytes=3)))
    told = Aborted(False, 0, 0, Saying(""), b"SSH")
    assert book >> Connected() >> b"SSH-2.0" << told << Sent(BY_USER)


def test_a_request_whose_items_lie_is_an_invalid_pdu():
    body = request(MAXIMUM_LENGTH, item(0x52, b"1.2", length=999))
    given = b"\x01\x00" + len(body).to_bytes(4, "big") + body
    book = Playbook(acceptor()) >> Connected() >> given
    assert book << Aborted(False, 0, 0, Saying("PS3.")) << Sent(BY_USER)


@pytest.mark.parametrize("size", (8, 63))
def test_a_peer_that_takes_next_to_nothing_is_sent_away(size):
    """Each of our bytes would cost eight of header (PS3.8 D.1)."""
    tiny = replace(RQ.user_information, max_pdu_bytes=size)
    told = Aborted(False, 2, 6, Saying("Maximum-length-received"))
    asking = replace(RQ, user_information=tiny)
    book = Playbook(acceptor()) >> Connected() >> asking << told << Sent(BY_PROVIDER)
    assert book << In(State.AWAITING_CLOSE)
    answering = replace(AC, user_information=tiny)
    book = Playbook(requestor()) >> Do("request", RQ) >> Connected() << Sent(RQ)
    assert book >> answering << told << Sent(BY_PROVIDER) << In(State.AWAITING_CLOSE)


# --- what we send -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("announced", "most"), ((64, 64), (0, 131_072), (None, 131_072)))
def test_no_pdu_is_longer_than_the_peer_takes(announced, most):
    small = replace(AC, user_information=replace(AC.user_information, max_pdu_bytes=announced))
    association = established(accept=small).association
    data_set = bytes(range(256)) * 1024
    association.send_message(3, FIND, data_set)
    pdus = association.take_outgoing()
    assert max(len(pdu) - 6 for pdu in pdus) == most
    # each PDU carries one value: twelve bytes of header before its fragment
    assert b"".join(pdu[12:] for pdu in pdus if not pdu[11] & 1) == data_set
    assert [pdu[11] for pdu in pdus if pdu[11] & 2] == [3, 2]


def test_a_long_piece_is_sent_as_it_is_cut_to_what_the_peer_takes():
    for announced, size in ((20_000, 70_002), (0, 40_000), (64, 20_000)):
        small = replace(AC, user_information=replace(AC.user_information, max_pdu_bytes=announced))
        association = established(accept=small).association
        other = established(accept=small).association
        piece = random.Random(size).randbytes(size)
        for is_last in (False, True):
            association.send_fragment(3, piece, is_last=is_last)
            sent = association.take_outgoing()
            views = [part for part in sent if isinstance(part, memoryview)]
            assert all(view.obj is piece for view in views)
            assert bool(views) == (announced != 64)
            expected = encode_data_values(3, False, piece, announced, is_last=is_last)
            assert b"".join(sent) == b"".join(expected)
            other.send_fragment(3, b"short!", is_last=is_last)
            assert other.take_outgoing() == encode_data_values(
                3, False, b"short!", announced, is_last=is_last
            )


def test_a_data_set_can_be_sent_piece_by_piece():
    assert (
        established()
        >> Do("send_message", 3, FIND)
        << Sent(command(3, FIND))
        >> Do("send_fragment", 3, b"one ", is_last=False)
        << Sent(data(3, b"one ", is_last=False))
        >> Do("send_fragment", 3, b"", is_last=False)
        >> Do("send_fragment", 3, b"two", is_last=True)
        << Sent(data(3, b"two"))
    )


def test_an_empty_data_set_is_one_empty_fragment():
    assert established() >> Do("send_message", 3, FIND, b"") << Sent(command(3, FIND), data(3, b""))


@pytest.mark.parametrize(
    "verb",
    (
        Do("send_message", 5, ECHO),
        Do("send_fragment", 5, b"x", is_last=True),
        Do("confirm_release"),
        Do("connected"),
        Do("accept", AC),
        Do("reject", RJ),
        Do("request", RQ),
        Do("accept", replace(AC, application_context="\u00e9")),
        Do("reject", replace(RJ, reason=256)),
        Do("request", replace(RQ, presentation_contexts=())),
        Do("send_message", 1, replace(ECHO, message_id=65_536)),
    ),
    ids=lambda verb: verb.verb,
)
def test_a_verb_out_of_place_is_refused_and_changes_nothing(verb):
    book = established()
    with pytest.raises(LocalProtocolError):
        book >> verb
    assert book << In(State.ESTABLISHED) >> Do("send_message", 1, ECHO) << Sent(command(1, ECHO))


@pytest.mark.parametrize(
    ("verb", "value"),
    (
        ("accept", replace(AC, application_context="\u00e9")),
        ("reject", replace(RJ, reason=256)),
    ),
)
def test_an_answer_that_cannot_be_encoded_leaves_the_question_open(verb, value):
    book = Playbook(acceptor()) >> Connected() >> RQ << AssociateRequested(RQ)
    with pytest.raises(LocalProtocolError):
        book >> Do(verb, value)
    assert book << In(State.AWAITING_LOCAL_ASSOCIATE_RESPONSE) >> Do("reject", RJ) << Sent(RJ)


def test_no_data_are_sent_before_or_after_the_association():
    for book in (
        Playbook(requestor()),
        established() >> Do("release") << Sent(ReleaseRequest()),
        established() >> Abort(source=0, reason=0) << Aborted(True, 0, 0) << CLOSES,
    ):
        with pytest.raises(LocalProtocolError, match="no data can be sent"):
            book >> Do("send_message", 1, ECHO)


# --- pairs: what one sends, the other must emit -----------------------------------------------------------------


class Pair:
    """A requestor and an acceptor back to back; bytes travel as they are, or cut into pieces."""

    def __init__(self, pieces=()):
        self.requestor, self.acceptor = requestor(), acceptor()
        self.pieces = list(pieces)
        self.seen = {Role.REQUESTOR: [], Role.ACCEPTOR: []}
        self.requestor.request(RQ)
        self.acceptor.connected()
        self.requestor.connected()

    def travel(self):
        """Carry bytes to and fro until nobody has anything to say; the acceptor answers by itself."""
        moved = True
        while moved:
            moved = False
            for sender, receiver in (
                (self.requestor, self.acceptor),
                (self.acceptor, self.requestor),
            ):
                stream = b"".join(sender.take_outgoing())
                for piece in self.cut(stream):
                    receiver.receive(piece)
                    moved = True
                for event in events_of(receiver):
                    self.seen[receiver.role].append(event)
                    self.answer(receiver, event)
        return self

    def cut(self, stream):
        inner = sorted(position % (len(stream) + 1) for position in self.pieces)
        edges = [0, *inner, len(stream)]
        return [stream[start:end] for start, end in pairwise(edges) if start != end]

    @staticmethod
    def answer(receiver, event):
        match event:
            case AssociateRequested():
                receiver.accept(AC)
            case CommandReceived(context_id, CEchoRequest()):
                receiver.send_message(context_id, ECHO_RSP)
            case DataFragment(context_id, _, True) if receiver.role is Role.ACCEPTOR:
                for number in range(3):
                    receiver.send_message(context_id, MATCH, b"match %d " % number)
                receiver.send_message(context_id, LAST)
            case ReleaseRequested() if receiver.state is not State.COLLISION_ACCEPTOR_PEER:
                receiver.confirm_release()
            case Released() if receiver.state is State.COLLISION_ACCEPTOR_LOCAL:
                receiver.confirm_release()


def converse(pieces=()):
    pair = Pair(pieces).travel()
    pair.requestor.send_message(1, ECHO)
    pair.travel()
    pair.requestor.send_message(3, FIND, b"keys")
    pair.travel()
    pair.requestor.release()
    return pair.travel()


AT_REQUESTOR = [
    AssociateAccepted(AC),
    CommandReceived(1, ECHO_RSP),
    *(
        event
        for number in range(3)
        for event in (CommandReceived(3, MATCH), DataFragment(3, b"match %d " % number, True))
    ),
    CommandReceived(3, LAST),
    Released(),
]
AT_ACCEPTOR = [
    AssociateRequested(RQ),
    CommandReceived(1, ECHO),
    CommandReceived(3, FIND),
    DataFragment(3, b"keys", True),
    ReleaseRequested(),
]


def test_two_sides_understand_each_other():
    pair = converse()
    assert pair.seen == {Role.REQUESTOR: AT_REQUESTOR, Role.ACCEPTOR: AT_ACCEPTOR}
    assert pair.requestor.must_close
    assert not pair.acceptor.must_close
    assert pair.acceptor.state is State.AWAITING_CLOSE
    pair.acceptor.receive(b"")
    assert pair.acceptor.must_close


def test_two_sides_understand_each_other_byte_by_byte():
    pair = converse(range(2_000))
    assert pair.seen == {Role.REQUESTOR: AT_REQUESTOR, Role.ACCEPTOR: AT_ACCEPTOR}


@given(st.lists(st.integers(0, 1_000), max_size=12))
def test_any_chunking_gives_the_same_events(pieces):
    pair = converse(pieces)
    assert pair.seen == {Role.REQUESTOR: AT_REQUESTOR, Role.ACCEPTOR: AT_ACCEPTOR}


def test_both_sides_may_release_at_once():
    pair = Pair().travel()
    pair.requestor.release()
    pair.acceptor.release()
    pair.travel()
    assert pair.seen[Role.REQUESTOR][1:] == [ReleaseRequested(), Released()]
    assert pair.seen[Role.ACCEPTOR][1:] == [ReleaseRequested(), Released()]
    assert pair.requestor.must_close
    assert pair.acceptor.state is State.AWAITING_CLOSE


# --- any bytes at all -------------------------------------------------------------------------------------------

PDUS = [
    encode_pdu(pdu)
    for pdu in (
        RQ,
        AC,
        RJ,
        ReleaseRequest(),
        ReleaseReply(),
        Abort(source=0, reason=0),
        command(1, ECHO),
        command(3, FIND),
        data(3, b"x"),
        command(3, MATCH),
    )
]
VERBS = ("release", "confirm_release", "abort")
steps = st.lists(
    st.sampled_from(PDUS)
    | st.sampled_from(VERBS)
    | st.binary(max_size=40)
    | st.builds(lambda pdu, at: pdu[:at], st.sampled_from(PDUS), st.integers(1, 80))
    | st.builds(
        lambda pdu, at, byte: pdu[: at % len(pdu)] + bytes((byte,)) + pdu[at % len(pdu) + 1 :],
        st.sampled_from(PDUS),
        st.integers(0, 400),
        st.integers(0, 255),
    )
    | st.floats(0, 5),
    max_size=14,
)


@given(st.sampled_from(Role), steps)
def test_whatever_arrives_nothing_is_raised_and_the_end_is_told_once(role, steps):
    association = Association(role=role, now=0.0)
    if role is Role.REQUESTOR:
        association.request(RQ)
    association.connected()
    now, ends = 0.0, 0
    for step in steps:
        if isinstance(step, float):
            now += step
            association.tick(now)
        elif isinstance(step, bytes):
            association.receive(step)
        else:
            with suppress(LocalProtocolError):  # our own mistake, refused
                getattr(association, step)()
        for event in events_of(association):
            ends += isinstance(event, Aborted | Closed | AssociateRejected)
            if isinstance(event, AssociateRequested):
                association.accept(AC)
        waits = association.state in (State.AWAITING_ASSOCIATE_REQUEST, State.AWAITING_CLOSE)
        assert (association.deadline() is not None) is waits, "the end must come by itself"
        pdus_in(b"".join(association.take_outgoing()))
    assert ends <= 1
    if association.state is State.IDLE:
        assert association.must_close


def test_events_may_be_taken_all_at_once():
    association = acceptor()
    association.connected()
    association.receive(encode_pdu(RQ) + encode_pdu(Abort(source=0, reason=0)))
    assert list(association.take_events()) == [AssociateRequested(RQ), Aborted(True, 0, 0)]
    assert not association.take_events()
    assert association.next_event() is None


def test_memory_is_bounded_by_one_pdu_however_much_arrives():
    association = established(Role.ACCEPTOR).association
    association.receive(encode_pdu(command(3, FIND)))
    one_read = encode_pdu(data(3, bytes(100_000), is_last=False))
    tracemalloc.start()
    try:
        for _ in range(50):
            for at in range(0, len(one_read), 65_536):
                association.receive(one_read[at : at + 65_536])
                events_of(association)
        association.receive(one_read[:70_000])
        held, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held < 300_000, "one PDU, not whole yet"
    assert peak < 600_000, "and one more while it is cut"
