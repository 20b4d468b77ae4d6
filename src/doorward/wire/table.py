"""The state machine of the DICOM upper layer as data (PS3.8 section 9.2, Table 9-10).

Rule 1: everything that says which action belongs to which event in which state lives here, and nothing else does.
Rule 2: this file does not know which side we play; the one place where the Standard itself asks (a release collision,
AR-8) leads to two states, and ``COLLISION_STATE`` names both.
``docs/states.md`` is drawn from ``TABLE``, so it cannot disagree.
"""

from enum import Enum, IntEnum


class State(IntEnum):
    """States of one association (PS3.8 Tables 9-1 to 9-5)."""

    IDLE = 1  # Sta1
    AWAITING_ASSOCIATE_REQUEST = 2  # Sta2: transport open, ARTIM runs
    AWAITING_LOCAL_ASSOCIATE_RESPONSE = 3  # Sta3
    AWAITING_TRANSPORT = 4  # Sta4
    AWAITING_ASSOCIATE_RESPONSE = 5  # Sta5
    ESTABLISHED = 6  # Sta6
    AWAITING_RELEASE_RESPONSE = 7  # Sta7
    AWAITING_LOCAL_RELEASE_RESPONSE = 8  # Sta8
    COLLISION_REQUESTOR_LOCAL = 9  # Sta9
    COLLISION_ACCEPTOR_PEER = 10  # Sta10
    COLLISION_REQUESTOR_PEER = 11  # Sta11
    COLLISION_ACCEPTOR_LOCAL = 12  # Sta12
    AWAITING_CLOSE = 13  # Sta13: ARTIM runs


class Cause(IntEnum):
    """Events of the machine (PS3.8 Table 9-10, first column); "cause" because ``events`` are what we emit."""

    ASSOCIATE_REQUEST = 1  # local
    TRANSPORT_CONFIRMED = 2
    ASSOCIATE_AC = 3
    ASSOCIATE_RJ = 4
    TRANSPORT_INDICATED = 5
    ASSOCIATE_RQ = 6
    ASSOCIATE_ACCEPTED = 7  # local
    ASSOCIATE_REJECTED = 8  # local
    DATA_REQUEST = 9  # local
    DATA_TF = 10
    RELEASE_REQUEST = 11  # local
    RELEASE_RQ = 12
    RELEASE_RP = 13
    RELEASE_RESPONSE = 14  # local
    ABORT_REQUEST = 15  # local
    ABORT = 16
    TRANSPORT_CLOSED = 17
    ARTIM_EXPIRED = 18
    INVALID_PDU = 19


class Action(Enum):
    """Actions (PS3.8 Tables 9-6 to 9-9); the value is the Standard's name."""

    REQUEST_TRANSPORT = "AE-1"
    SEND_ASSOCIATE_RQ = "AE-2"
    CONFIRM_ACCEPT = "AE-3"
    CONFIRM_REJECT = "AE-4"
    AWAIT_REQUEST = "AE-5"
    INDICATE_ASSOCIATE = "AE-6"
    SEND_ASSOCIATE_AC = "AE-7"
    SEND_ASSOCIATE_RJ = "AE-8"
    SEND_DATA = "DT-1"
    INDICATE_DATA = "DT-2"
    SEND_RELEASE_RQ = "AR-1"
    INDICATE_RELEASE = "AR-2"
    CONFIRM_RELEASE = "AR-3"
    SEND_RELEASE_RP = "AR-4"
    CLOSED_IN_ORDER = "AR-5"
    INDICATE_LATE_DATA = "AR-6"
    SEND_LATE_DATA = "AR-7"
    INDICATE_COLLISION = "AR-8"
    SEND_COLLISION_RP = "AR-9"
    CONFIRM_COLLISION = "AR-10"
    SEND_ABORT = "AA-1"
    CLOSE = "AA-2"
    INDICATE_ABORT = "AA-3"
    INDICATE_TRANSPORT_LOSS = "AA-4"
    STOP_TIMER = "AA-5"
    IGNORE = "AA-6"
    REPEAT_ABORT = "AA-7"
    ABORT_PROVIDER = "AA-8"


#: AR-8 ends in Sta9 for the requestor, in Sta10 for the acceptor; Sta9 stands in the table.
COLLISION_STATE = {True: State.COLLISION_REQUESTOR_LOCAL, False: State.COLLISION_ACCEPTOR_PEER}

_PEER_PDUS = (
    Cause.ASSOCIATE_AC,
    Cause.ASSOCIATE_RJ,
    Cause.ASSOCIATE_RQ,
    Cause.DATA_TF,
    Cause.RELEASE_RQ,
    Cause.RELEASE_RP,
    Cause.INVALID_PDU,
)
#: Sta3 and Sta5 to Sta12: an association stands or is being made.
_LIVE = (
    State.AWAITING_LOCAL_ASSOCIATE_RESPONSE,
    State.AWAITING_ASSOCIATE_RESPONSE,
    State.ESTABLISHED,
    State.AWAITING_RELEASE_RESPONSE,
    State.AWAITING_LOCAL_RELEASE_RESPONSE,
    State.COLLISION_REQUESTOR_LOCAL,
    State.COLLISION_ACCEPTOR_PEER,
    State.COLLISION_REQUESTOR_PEER,
    State.COLLISION_ACCEPTOR_LOCAL,
)

Cell = tuple[Action, State]


def _defaults() -> dict[tuple[Cause, State], Cell]:
    """Return what all live states share: a PDU out of place is AA-8, aborts and losses end the association."""
    cells: dict[tuple[Cause, State], Cell] = {}
    for state in _LIVE:
        for cause in _PEER_PDUS:
            cells[cause, state] = (Action.ABORT_PROVIDER, State.AWAITING_CLOSE)
        cells[Cause.ABORT_REQUEST, state] = (Action.SEND_ABORT, State.AWAITING_CLOSE)
        cells[Cause.ABORT, state] = (Action.INDICATE_ABORT, State.IDLE)
        cells[Cause.TRANSPORT_CLOSED, state] = (Action.INDICATE_TRANSPORT_LOSS, State.IDLE)
    for cause in _PEER_PDUS:
        cells[cause, State.AWAITING_ASSOCIATE_REQUEST] = (Action.SEND_ABORT, State.AWAITING_CLOSE)
        cells[cause, State.AWAITING_CLOSE] = (Action.IGNORE, State.AWAITING_CLOSE)
    return cells


#: (event, state) -> (action, next state). An absent cell is one that the Standard leaves blank: it cannot happen, or the
#: local user broke a rule. AE-6 may also end in Sta13 (the provider refuses by itself); our acceptor refuses from Sta3.
TABLE: dict[tuple[Cause, State], Cell] = _defaults() | {
    # Sta1 and Sta4: no transport yet
    (Cause.ASSOCIATE_REQUEST, State.IDLE): (Action.REQUEST_TRANSPORT, State.AWAITING_TRANSPORT),
    (Cause.TRANSPORT_INDICATED, State.IDLE): (
        Action.AWAIT_REQUEST,
        State.AWAITING_ASSOCIATE_REQUEST,
    ),
    (Cause.TRANSPORT_CONFIRMED, State.AWAITING_TRANSPORT): (
        Action.SEND_ASSOCIATE_RQ,
        State.AWAITING_ASSOCIATE_RESPONSE,
    ),
    (Cause.ABORT_REQUEST, State.AWAITING_TRANSPORT): (Action.CLOSE, State.IDLE),
    (Cause.TRANSPORT_CLOSED, State.AWAITING_TRANSPORT): (
        Action.INDICATE_TRANSPORT_LOSS,
        State.IDLE,
    ),
    # Sta2: waiting for A-ASSOCIATE-RQ
    (Cause.ASSOCIATE_RQ, State.AWAITING_ASSOCIATE_REQUEST): (
        Action.INDICATE_ASSOCIATE,
        State.AWAITING_LOCAL_ASSOCIATE_RESPONSE,
    ),
    (Cause.ABORT, State.AWAITING_ASSOCIATE_REQUEST): (Action.CLOSE, State.IDLE),
    (Cause.TRANSPORT_CLOSED, State.AWAITING_ASSOCIATE_REQUEST): (Action.STOP_TIMER, State.IDLE),
    (Cause.ARTIM_EXPIRED, State.AWAITING_ASSOCIATE_REQUEST): (Action.CLOSE, State.IDLE),
    # Sta3: our own answer
    (Cause.ASSOCIATE_ACCEPTED, State.AWAITING_LOCAL_ASSOCIATE_RESPONSE): (
        Action.SEND_ASSOCIATE_AC,
        State.ESTABLISHED,
    ),
    (Cause.ASSOCIATE_REJECTED, State.AWAITING_LOCAL_ASSOCIATE_RESPONSE): (
        Action.SEND_ASSOCIATE_RJ,
        State.AWAITING_CLOSE,
    ),
    # Sta5: the peer's answer
    (Cause.ASSOCIATE_AC, State.AWAITING_ASSOCIATE_RESPONSE): (
        Action.CONFIRM_ACCEPT,
        State.ESTABLISHED,
    ),
    (Cause.ASSOCIATE_RJ, State.AWAITING_ASSOCIATE_RESPONSE): (Action.CONFIRM_REJECT, State.IDLE),
    # Sta6: data
    (Cause.DATA_REQUEST, State.ESTABLISHED): (Action.SEND_DATA, State.ESTABLISHED),
    (Cause.DATA_TF, State.ESTABLISHED): (Action.INDICATE_DATA, State.ESTABLISHED),
    (Cause.RELEASE_REQUEST, State.ESTABLISHED): (
        Action.SEND_RELEASE_RQ,
        State.AWAITING_RELEASE_RESPONSE,
    ),
    (Cause.RELEASE_RQ, State.ESTABLISHED): (
        Action.INDICATE_RELEASE,
        State.AWAITING_LOCAL_RELEASE_RESPONSE,
    ),
    # Sta7 to Sta12: release, and its collision
    (Cause.DATA_TF, State.AWAITING_RELEASE_RESPONSE): (
        Action.INDICATE_LATE_DATA,
        State.AWAITING_RELEASE_RESPONSE,
    ),
    (Cause.RELEASE_RQ, State.AWAITING_RELEASE_RESPONSE): (
        Action.INDICATE_COLLISION,
        State.COLLISION_REQUESTOR_LOCAL,
    ),
    (Cause.RELEASE_RP, State.AWAITING_RELEASE_RESPONSE): (Action.CONFIRM_RELEASE, State.IDLE),
    (Cause.DATA_REQUEST, State.AWAITING_LOCAL_RELEASE_RESPONSE): (
        Action.SEND_LATE_DATA,
        State.AWAITING_LOCAL_RELEASE_RESPONSE,
    ),
    (Cause.RELEASE_RESPONSE, State.AWAITING_LOCAL_RELEASE_RESPONSE): (
        Action.SEND_RELEASE_RP,
        State.AWAITING_CLOSE,
    ),
    (Cause.RELEASE_RESPONSE, State.COLLISION_REQUESTOR_LOCAL): (
        Action.SEND_COLLISION_RP,
        State.COLLISION_REQUESTOR_PEER,
    ),
    (Cause.RELEASE_RP, State.COLLISION_ACCEPTOR_PEER): (
        Action.CONFIRM_COLLISION,
        State.COLLISION_ACCEPTOR_LOCAL,
    ),
    (Cause.RELEASE_RP, State.COLLISION_REQUESTOR_PEER): (Action.CONFIRM_RELEASE, State.IDLE),
    (Cause.RELEASE_RESPONSE, State.COLLISION_ACCEPTOR_LOCAL): (
        Action.SEND_RELEASE_RP,
        State.AWAITING_CLOSE,
    ),
    # Sta13: only the end of the transport is awaited
    (Cause.ASSOCIATE_RQ, State.AWAITING_CLOSE): (Action.REPEAT_ABORT, State.AWAITING_CLOSE),
    (Cause.INVALID_PDU, State.AWAITING_CLOSE): (Action.REPEAT_ABORT, State.AWAITING_CLOSE),
    (Cause.ABORT, State.AWAITING_CLOSE): (Action.CLOSE, State.IDLE),
    (Cause.TRANSPORT_CLOSED, State.AWAITING_CLOSE): (Action.CLOSED_IN_ORDER, State.IDLE),
    (Cause.ARTIM_EXPIRED, State.AWAITING_CLOSE): (Action.CLOSE, State.IDLE),
}
