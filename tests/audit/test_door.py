"""What a port is, who gets in, and which facts belong to a stranger: the science of the control pairs."""

import pytest

from doorward.audit.door import Door, Entry, describe, dicom_doors, doors
from doorward.audit.facts import (
    AssociationFacts,
    AttributeFacts,
    Control,
    Outcome,
    PortState,
    QueryEnd,
    Reply,
)
from seen import (
    ALL_SERVICES,
    ANYBODY,
    BUSY,
    CALLED_CHECKED,
    CALLED_TITLE,
    CALLER_LIST,
    CLOSED,
    DCMTK_367,
    DROPPED,
    FILTERED,
    HTTP,
    KNOWN_TITLES,
    MUTUAL,
    OFFERS_ALL,
    OFFERS_NOTHING,
    PLAIN,
    REFUSED_BY_ABORT,
    SILENT,
    STUDIES_1234,
    accepted,
    associations,
    attempt,
    door,
    exposure,
    offers,
    query,
    rejected,
    reply,
    system,
    tls,
)

RANDOM, CALLED, LISTED, BOTH = (
    Control.RANDOM_BOTH,
    Control.GIVEN_CALLED,
    Control.LISTED_CALLED,
    Control.GIVEN_BOTH,
)


@pytest.mark.parametrize(
    ("replies", "entry"),
    [
        # made-up titles accepted: nothing else matters
        ([accepted()], Entry.ANYBODY),
        ([accepted(), rejected(CALLED, 1, 1, 3)], Entry.ANYBODY),
        # the right called title opens it
        ([rejected(RANDOM, 1, 1, 7), accepted(CALLED)], Entry.CALLED_TITLE),
        ([rejected(RANDOM, 1, 1, 7), accepted(LISTED)], Entry.CALLED_TITLE),
        ([reply(RANDOM, Reply.SILENT), accepted(CALLED)], Entry.CALLED_TITLE),
        # only a known caller
        ([rejected(RANDOM, 1, 1, 3), accepted(BOTH)], Entry.KNOWN_TITLES),
        ([rejected(CALLED, 1, 1, 1), accepted(BOTH)], Entry.KNOWN_TITLES),
        # dcmqrscp says 1/1/7 to unknown callers too: the accepted pair shows the called title was right
        (
            [rejected(RANDOM, 1, 1, 7), rejected(CALLED, 1, 1, 7), accepted(BOTH)],
            Entry.KNOWN_TITLES,
        ),
        ([reply(CALLED, Reply.ABORTED), accepted(BOTH)], Entry.KNOWN_TITLES),
        # refused for who called
        ([rejected(RANDOM, 1, 1, 3)], Entry.REFUSED),
        ([rejected(RANDOM, 1, 1, 7), rejected(CALLED, 1, 1, 3)], Entry.REFUSED),
        ([rejected(RANDOM, 1, 1, 7), rejected(CALLED, 1, 1, 1)], Entry.REFUSED),
        ([rejected(RANDOM, 1, 2, 1)], Entry.REFUSED),
        # refused, and the called title may be all there is
        ([rejected(RANDOM, 1, 1, 7)], Entry.UNDECIDED),
        ([rejected(RANDOM, 1, 1, 1)], Entry.UNDECIDED),
        ([rejected(RANDOM, 1, 1, 7), rejected(CALLED, 1, 1, 7)], Entry.UNDECIDED),
        ([rejected(RANDOM, 1, 1, 7), rejected(LISTED, 1, 1, 1)], Entry.UNDECIDED),
        ([rejected(RANDOM, 1, 1, 7), accepted(BOTH)], Entry.UNDECIDED),
        # nothing that says who may enter
        ([rejected(RANDOM, 2, 3, 1)], Entry.UNKNOWN),
        ([rejected(RANDOM, 2, 1, 3)], Entry.UNKNOWN),
        ([rejected(RANDOM, 1, 1, 2)], Entry.UNKNOWN),
        ([rejected(RANDOM, 1, 2, 2)], Entry.UNKNOWN),
        # the operator's own title met congestion or silence: what a made-up one was told proves nothing
        ([rejected(RANDOM, 1, 1, 7), rejected(CALLED, 2, 3, 2)], Entry.UNKNOWN),
        ([rejected(RANDOM, 1, 1, 7), reply(CALLED, Reply.SILENT)], Entry.UNKNOWN),
        ([reply(RANDOM, Reply.SILENT)], Entry.UNKNOWN),
        ([reply(RANDOM, Reply.CLOSED)], Entry.UNKNOWN),
        ([reply(RANDOM, Reply.ABORTED)], Entry.UNKNOWN),
        ([reply(RANDOM, Reply.NOT_CONNECTED)], Entry.UNKNOWN),
        ([reply(RANDOM, Reply.SILENT), accepted(BOTH)], Entry.UNKNOWN),
        ([reply(RANDOM, Reply.ABORTED), accepted(BOTH)], Entry.UNKNOWN),
        ([], Entry.UNKNOWN),
    ],
)
def test_the_control_pairs_decide_how_far_a_stranger_comes(replies, entry):
    admission = door(associations(*replies)).admission
    assert admission.entry is entry
    assert admission.because


def test_a_demanded_certificate_goes_before_all_titles():
    # With our own certificate the association stands; a stranger has none.
    with_ours = associations(accepted(), over_tls=True)
    assert door(with_ours, MUTUAL).admission.entry is Entry.CERTIFICATE


def test_a_plain_way_beside_mutual_tls_makes_it_worthless():
    assert not door(ANYBODY, tls(plain=True)).demands_certificate
    assert door(ANYBODY, tls(plain=True)).admission.entry is Entry.ANYBODY


def test_a_certificate_is_demanded_where_no_plain_way_was_seen():
    assert door(tls(plain=None)).demands_certificate
    assert door(DROPPED, MUTUAL).demands_certificate
    assert not door(tls(client_certificate_required=None)).demands_certificate


def test_only_answered_attempts_are_evidence():
    facts = AssociationFacts(port_state=PortState.OPEN, over_tls=False, replies=(accepted(),))
    unsure = attempt(Outcome.INCONCLUSIVE)
    unsure = type(unsure)(
        probe="association", endpoint=unsure.endpoint, outcome=Outcome.INCONCLUSIVE, facts=facts
    )
    seen = Door(system=system(unsure), port=104)
    assert seen.replies() == ()
    assert not seen.is_dicom
    assert seen.state is PortState.OPEN


@pytest.mark.parametrize(
    ("facts", "speaks"),
    [
        ([ANYBODY], True),
        ([CALLER_LIST], True),
        ([associations(reply(RANDOM, Reply.ABORTED))], True),
        ([HTTP], False),
        ([SILENT], False),
        ([DROPPED], False),
        ([PLAIN], True),
        ([associations(accepted(), over_tls=True)], True),
        ([MUTUAL], False),
    ],
)
def test_only_a_pdu_of_the_standard_is_dicom(facts, speaks):
    assert door(*facts).speaks_dicom is speaks


@pytest.mark.parametrize(
    ("facts", "other"),
    [
        ([HTTP], "http"),
        ([associations(reply(RANDOM, Reply.NOT_DICOM))], "unknown"),
        ([associations(reply(RANDOM, Reply.NOT_DICOM, looks_like="tls"))], ""),
        # a TLS port is judged by what speaks inside
        ([associations(reply(RANDOM, Reply.NOT_DICOM, looks_like="unknown")), tls()], ""),
        (
            [
                tls(client_certificate_required=False),
                associations(reply(RANDOM, Reply.NOT_DICOM, looks_like="http"), over_tls=True),
            ],
            "http",
        ),
        ([SILENT], ""),
    ],
)
def test_another_protocol_is_named_only_where_it_answered(facts, other):
    assert door(*facts).speaks_other == other


@pytest.mark.parametrize(
    ("facts", "state"),
    [
        ([CLOSED], PortState.CLOSED),
        ([FILTERED], PortState.FILTERED),
        ([ANYBODY], PortState.OPEN),
        ([CLOSED, ANYBODY], PortState.OPEN),
        ([PLAIN], PortState.OPEN),
        ([], None),
    ],
)
def test_the_state_of_a_port_is_the_best_that_was_seen(facts, state):
    assert door(*facts).state is state


def test_tls_is_known_from_the_handshake_or_from_an_association_inside():
    assert door(MUTUAL).speaks_tls is True
    assert door(associations(accepted(), over_tls=True)).speaks_tls is True
    assert door(PLAIN).speaks_tls is False
    assert door(ANYBODY).speaks_tls is None


# --- what belongs to a stranger ---------------------------------------------------------------------------------------


def test_what_a_known_caller_may_do_is_not_what_a_stranger_may_do():
    known = door(KNOWN_TITLES, offers("find", control=BOTH), STUDIES_1234, AttributeFacts())
    assert known.stranger_capabilities == ()
    assert known.stranger_exposures == ()
    assert known.stranger_attributes == ()


def test_facts_of_a_stranger_stay_a_strangers_when_a_known_caller_is_accepted_too():
    both = associations(accepted(), accepted(BOTH))
    assert door(both, OFFERS_ALL, STUDIES_1234).stranger_exposures


def test_an_exposure_without_capabilities_belongs_to_whoever_got_in():
    assert door(ANYBODY, STUDIES_1234).stranger_exposures
    assert not door(KNOWN_TITLES, STUDIES_1234).stranger_exposures


def test_with_our_own_certificate_nothing_belongs_to_a_stranger():
    ours = door(associations(accepted(), over_tls=True), MUTUAL, OFFERS_ALL, STUDIES_1234)
    assert ours.stranger_capabilities == ()
    assert ours.stranger_exposures == ()


@pytest.mark.parametrize(
    ("asked", "is_refused"),
    [
        (query(QueryEnd.REFUSED), True),  # an A-ABORT of the application, after an answered C-ECHO
        (query(QueryEnd.ABORTED), False),
        (query(QueryEnd.FAILED, 3, status=0x0124), False),
        (query(QueryEnd.REFUSED, status=0x0124), True),
        (query(QueryEnd.REFUSED, status=0x0122), True),
        (query(QueryEnd.REFUSED, status=0xA700), False),
        (query(QueryEnd.REFUSED, status=0xA900), False),
        (query(QueryEnd.REFUSED, status=0xC000), False),
        (query(QueryEnd.NO_CONTEXT), True),
        (query(QueryEnd.SILENT), False),
        (query(QueryEnd.SUCCESS), False),
    ],
)
def test_a_query_is_refused_only_for_who_asked(asked, is_refused):
    assert door(ANYBODY, OFFERS_ALL, exposure(asked)).refuses_queries is is_refused


def test_a_server_that_agrees_first_and_refuses_then_decides_late():
    assert door(ANYBODY, OFFERS_ALL, REFUSED_BY_ABORT).decides_late
    assert not door(ANYBODY, OFFERS_NOTHING, exposure(query(QueryEnd.NO_CONTEXT))).decides_late
    assert not door(ANYBODY, OFFERS_ALL, STUDIES_1234).decides_late
    assert not door(ANYBODY, OFFERS_ALL).decides_late


# --- names ------------------------------------------------------------------------------------------------------------


def test_the_first_recognised_stack_names_the_door():
    seen = associations(rejected(RANDOM, 1, 1, 7), accepted(CALLED, stack=DCMTK_367))
    assert door(seen).identification.toolkit == "DCMTK"
    assert not door(CALLER_LIST).identification.is_known


@pytest.mark.parametrize(
    ("capabilities", "remedies"),
    [
        ([], ("orthanc", "dcmtk")),
        ([offers("find", "commitment")], ("orthanc",)),
        ([offers("find", refused=["commitment"])], ("dcmtk", "orthanc")),
    ],
)
def test_storage_commitment_tells_whose_remedy_goes_first(capabilities, remedies):
    assert door(ANYBODY, *capabilities).remedies == remedies


@pytest.mark.parametrize(
    ("one", "words"),
    [
        (accepted(), "accepted"),
        (rejected(RANDOM, 1, 1, 3), "1/1/3"),
        (rejected(RANDOM, 2, 3, 1), "for the moment"),
        (rejected(RANDOM, 1, 3, 99), "does not list"),
        (reply(RANDOM, Reply.ABORTED), "A-ABORT"),
        (reply(RANDOM, Reply.CLOSED), "closed without an answer"),
        (reply(RANDOM, Reply.SILENT), "no answer"),
        (reply(RANDOM, Reply.NOT_DICOM, looks_like="http"), "not DICOM but http"),
        (reply(RANDOM, Reply.NOT_CONNECTED), "no connection"),
    ],
)
def test_a_reply_is_told_in_plain_words(one, words):
    assert words in describe(one)


def test_dicom_doors_are_those_that_speak_dicom_or_ask_for_a_certificate():
    scanned = system(
        attempt(ANYBODY, port=104),
        attempt(HTTP, port=80),
        attempt(MUTUAL, port=2762),
        attempt(BUSY, port=11112),
        attempt(SILENT, port=4242),
    )
    assert [d.port for d in doors(scanned)] == [104, 80, 2762, 11112, 4242]
    assert [d.port for d in dicom_doors(scanned)] == [104, 2762, 11112]


def test_an_unknown_reject_reason_is_still_a_dicom_answer():
    assert door(CALLED_CHECKED).speaks_dicom
    assert door(CALLED_TITLE).identification.toolkit == "DCMTK"
    assert set(ALL_SERVICES) == {c.service for c in OFFERS_ALL.contexts}
