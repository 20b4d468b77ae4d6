"""PS3.8 Table 9-10, cell by cell: our data against the Standard's text, and each cell on a living association."""

import csv
from pathlib import Path

import pytest

from doorward.errors import LocalProtocolError
from doorward.limits import DEFAULT_LIMITS
from doorward.wire.command import CEchoRequest
from doorward.wire.dimse import encode_command
from doorward.wire.encode import encode_pdu
from doorward.wire.events import (
    Aborted,
    AssociateAccepted,
    AssociateRejected,
    AssociateRequested,
    Closed,
    CommandReceived,
    Released,
    ReleaseRequested,
)
from doorward.wire.pdu import (
    Abort,
    AssociateReject,
    DataTransfer,
    ReleaseReply,
    ReleaseRequest,
)
from doorward.wire.table import COLLISION_STATE, TABLE, Action, Cause, State
from playbook import AC, RQ, Saying, acceptor, events_of, pdus_in, requestor

ROWS = list(csv.DictReader((Path(__file__).parent / "table_9_10.csv").read_text().splitlines()))
#: (event, state) -> what stands in the Standard, "" where its cell is blank
STANDARD = {
    (Cause(int(row["event"][3:])), state): row[f"Sta{state.value}"]
    for row in ROWS
    for state in State
}

RJ = AssociateReject(result=1, source=1, reason=7)
ECHO = CEchoRequest(message_id=1, affected_sop_class_uid="1.2.840.10008.1.1")
DATA = DataTransfer(values=((1, 3, encode_command(ECHO)),))
ARTIM_S = DEFAULT_LIMITS.artim_s


# --- the data ---


def test_the_table_has_19_events_and_13_states():
    assert len(ROWS) == len(Cause) == 19
    assert len(State) == 13
    assert len(Action) == 28


@pytest.mark.parametrize("cause", Cause, ids=lambda cause: cause.name)
def test_row_agrees_with_the_standard(cause):
    ours = {}
    for state in State:
        action, next_state = TABLE.get((cause, state), (None, None))
        ours[state] = f"{action.value}/{next_state.value}" if action else ""
    standard = {state: STANDARD[cause, state].split(" ")[0] for state in State}
    assert ours == standard


def test_a_release_collision_leads_the_requestor_to_sta9_and_the_acceptor_to_sta10():
    assert STANDARD[Cause.RELEASE_RQ, State.AWAITING_RELEASE_RESPONSE] == "AR-8/9 or 10"
    assert {role: state.value for role, state in COLLISION_STATE.items()} == {True: 9, False: 10}


@pytest.mark.peer("pynetdicom")
def test_the_table_agrees_with_pynetdicom():
    from pynetdicom.fsm import TRANSITION_TABLE

    ours = {
        (f"Evt{cause.value}", f"Sta{state.value}"): action.value
        for (cause, state), (action, _) in TABLE.items()
    }
    assert ours == TRANSITION_TABLE


# --- the machine ---


def requesting():
    association = requestor()
    association.request(RQ)
    return association


def asked():
    association = requesting()
    association.connected()
    return association


def established_requestor():
    association = asked()
    association.receive(encode_pdu(AC))
    return association


def listening():
    association = acceptor()
    association.connected()
    return association


def being_asked():
    association = listening()
    association.receive(encode_pdu(RQ))
    return association


def established_acceptor():
    association = being_asked()
    association.accept(AC)
    return association


def then(start, *steps):
    """Begin in ``start`` and go on: a PDU arrives, or a verb is called."""
    association = start()
    for step in steps:
        if isinstance(step, str):
            getattr(association, step)()
        else:
            association.receive(encode_pdu(step))
    return association


#: The ways into each state.
WAYS = {
    State.IDLE: (requestor, acceptor),
    State.AWAITING_ASSOCIATE_REQUEST: (listening,),
    State.AWAITING_LOCAL_ASSOCIATE_RESPONSE: (being_asked,),
    State.AWAITING_TRANSPORT: (requesting,),
    State.AWAITING_ASSOCIATE_RESPONSE: (asked,),
    State.ESTABLISHED: (established_requestor, established_acceptor),
    State.AWAITING_RELEASE_RESPONSE: (
        lambda: then(established_requestor, "release"),
        lambda: then(established_acceptor, "release"),
    ),
    State.AWAITING_LOCAL_RELEASE_RESPONSE: (
        lambda: then(established_requestor, ReleaseRequest()),
        lambda: then(established_acceptor, ReleaseRequest()),
    ),
    State.COLLISION_REQUESTOR_LOCAL: (
        lambda: then(established_requestor, "release", ReleaseRequest()),
    ),
    State.COLLISION_ACCEPTOR_PEER: (
        lambda: then(established_acceptor, "release", ReleaseRequest()),
    ),
    State.COLLISION_REQUESTOR_PEER: (
        lambda: then(established_requestor, "release", ReleaseRequest(), "confirm_release"),
    ),
    State.COLLISION_ACCEPTOR_LOCAL: (
        lambda: then(established_acceptor, "release", ReleaseRequest(), ReleaseReply()),
    ),
    State.AWAITING_CLOSE: (
        lambda: then(established_requestor, "abort"),
        lambda: then(established_acceptor, ReleaseRequest(), "confirm_release"),
        lambda: then(established_acceptor, RQ),
    ),
}
CAUSES = {
    Cause.ASSOCIATE_REQUEST: lambda a: a.request(RQ),
    Cause.TRANSPORT_CONFIRMED: lambda a: a.connected(),
    Cause.ASSOCIATE_AC: lambda a: a.receive(encode_pdu(AC)),
    Cause.ASSOCIATE_RJ: lambda a: a.receive(encode_pdu(RJ)),
    Cause.TRANSPORT_INDICATED: lambda a: a.connected(),
    Cause.ASSOCIATE_RQ: lambda a: a.receive(encode_pdu(RQ)),
    Cause.ASSOCIATE_ACCEPTED: lambda a: a.accept(AC),
    Cause.ASSOCIATE_REJECTED: lambda a: a.reject(RJ),
    Cause.DATA_REQUEST: lambda a: a.send_message(1, ECHO),
    Cause.DATA_TF: lambda a: a.receive(encode_pdu(DATA)),
    Cause.RELEASE_REQUEST: lambda a: a.release(),
    Cause.RELEASE_RQ: lambda a: a.receive(encode_pdu(ReleaseRequest())),
    Cause.RELEASE_RP: lambda a: a.receive(encode_pdu(ReleaseReply())),
    Cause.RELEASE_RESPONSE: lambda a: a.confirm_release(),
    Cause.ABORT_REQUEST: lambda a: a.abort(),
    Cause.ABORT: lambda a: a.receive(encode_pdu(Abort(source=0, reason=0))),
    Cause.TRANSPORT_CLOSED: lambda a: a.receive(b""),
    Cause.ARTIM_EXPIRED: lambda a: a.tick(ARTIM_S),
    Cause.INVALID_PDU: lambda a: a.receive(bytes.fromhex("08 00 00000000")),
}
LOCAL = {
    Cause.ASSOCIATE_REQUEST,
    Cause.TRANSPORT_CONFIRMED,
    Cause.TRANSPORT_INDICATED,
    Cause.ASSOCIATE_ACCEPTED,
    Cause.ASSOCIATE_REJECTED,
    Cause.DATA_REQUEST,
    Cause.RELEASE_REQUEST,
    Cause.RELEASE_RESPONSE,
}
OUT_OF_PLACE, UNKNOWN_TYPE = Saying("out of place"), Saying("no PDU begins with 0x08")
#: Action -> the events and the PDUs that it makes; what depends on the cause stands in ``visible``.
VISIBLE = {
    Action.REQUEST_TRANSPORT: ([], []),
    Action.SEND_ASSOCIATE_RQ: ([], [RQ]),
    Action.CONFIRM_ACCEPT: ([AssociateAccepted(AC)], []),
    Action.CONFIRM_REJECT: ([AssociateRejected(RJ)], []),
    Action.AWAIT_REQUEST: ([], []),
    Action.INDICATE_ASSOCIATE: ([AssociateRequested(RQ)], []),
    Action.SEND_ASSOCIATE_AC: ([], [AC]),
    Action.SEND_ASSOCIATE_RJ: ([], [RJ]),
    Action.SEND_DATA: ([], [DATA]),
    Action.SEND_LATE_DATA: ([], [DATA]),
    Action.INDICATE_DATA: ([CommandReceived(1, ECHO)], []),
    Action.INDICATE_LATE_DATA: ([CommandReceived(1, ECHO)], []),
    Action.SEND_RELEASE_RQ: ([], [ReleaseRequest()]),
    Action.INDICATE_RELEASE: ([ReleaseRequested()], []),
    Action.CONFIRM_RELEASE: ([Released()], []),
    Action.SEND_RELEASE_RP: ([], [ReleaseReply()]),
    Action.CLOSED_IN_ORDER: ([], []),
    Action.INDICATE_COLLISION: ([ReleaseRequested()], []),
    Action.SEND_COLLISION_RP: ([], [ReleaseReply()]),
    Action.CONFIRM_COLLISION: ([Released()], []),
    Action.INDICATE_ABORT: ([Aborted(True, 0, 0)], []),
    Action.INDICATE_TRANSPORT_LOSS: ([Closed()], []),
    Action.STOP_TIMER: ([Closed()], []),
    Action.IGNORE: ([], []),
}
CLOSING = {
    Action.CONFIRM_REJECT,
    Action.CONFIRM_RELEASE,
    Action.CLOSED_IN_ORDER,
    Action.CLOSE,
    Action.INDICATE_ABORT,
    Action.INDICATE_TRANSPORT_LOSS,
    Action.STOP_TIMER,
}


def visible(cause, state, action):
    """The events and PDUs that the owner and the peer must see."""
    is_invalid = cause is Cause.INVALID_PDU
    match action:
        case Action.CLOSE if cause is Cause.ARTIM_EXPIRED and state.value == 2:
            return [Closed(timed_out=True)], []  # the owner is told why nothing follows
        case Action.CLOSE:
            return [], []
        case Action.SEND_ABORT if cause is Cause.ABORT_REQUEST:
            return [], [Abort(source=0, reason=0)]
        case Action.SEND_ABORT:
            why = UNKNOWN_TYPE if is_invalid else OUT_OF_PLACE
            prefix = bytes.fromhex("08 00 00000000") if is_invalid else b""
            return [Aborted(False, 0, 0, why, prefix)], [Abort(source=0, reason=0)]
        case Action.ABORT_PROVIDER if is_invalid:
            told = Aborted(False, 2, 1, UNKNOWN_TYPE, bytes.fromhex("08 00 00000000"))
            return [told], [Abort(source=2, reason=1)]
        case Action.ABORT_PROVIDER:
            return [Aborted(False, 2, 2, OUT_OF_PLACE)], [Abort(source=2, reason=2)]
        case Action.REPEAT_ABORT:
            return [], [Abort(source=2, reason=1 if is_invalid else 2)]
    return VISIBLE[action]


def is_for(cause, association):
    """``connected`` is one verb for two events; which of them depends on the role."""
    if cause not in (Cause.TRANSPORT_CONFIRMED, Cause.TRANSPORT_INDICATED):
        return True
    return (association.role.name == "REQUESTOR") is (cause is Cause.TRANSPORT_CONFIRMED)


def test_every_way_leads_into_its_state():
    assert set(WAYS) == set(State)
    assert all(way().state is state for state, ways in WAYS.items() for way in ways)


@pytest.mark.parametrize("state", State, ids=lambda state: f"Sta{state.value}")
@pytest.mark.parametrize("cause", Cause, ids=lambda cause: f"Evt{cause.value}")
def test_cell(cause, state):
    for way in WAYS[state]:
        association = way()
        events_of(association)
        association.take_outgoing()
        if not is_for(cause, association):
            continue
        check_cell(association, cause, state)


def check_cell(association, cause, state):
    cell, was_closing = STANDARD[cause, state], association.must_close
    before = (association.state, association.deadline(), was_closing)
    if not cell:
        check_blank_cell(association, cause, before)
        return
    CAUSES[cause](association)
    name, _, next_states = cell.partition("/")
    action = Action(name)
    events, pdus = visible(cause, state, action)
    assert events_of(association) == events
    assert pdus_in(b"".join(association.take_outgoing())) == pdus
    reached = association.state.value
    if action is Action.INDICATE_COLLISION:
        assert reached == (9 if association.role.name == "REQUESTOR" else 10)
    else:
        assert str(reached) == next_states.split(" ")[0]
    assert association.must_close is (was_closing or action in CLOSING)
    # ARTIM runs in Sta2 and Sta13 and nowhere else (PS3.8 section 9.1.5)
    assert (association.deadline() is not None) is (reached in (2, 13))


def check_blank_cell(association, cause, before):
    """A verb of ours is refused; what comes from outside changes nothing."""
    if cause in LOCAL:
        with pytest.raises(LocalProtocolError):
            CAUSES[cause](association)
    else:
        CAUSES[cause](association)
    assert association.state is before[0]
    assert association.deadline() == before[1]
    assert events_of(association) == []
    assert association.take_outgoing() == []
    assert association.must_close is (before[2] or cause is Cause.TRANSPORT_CLOSED)
