"""The control pairs, and every way in which a door can answer them."""

import socket

import pytest

from doorward.audit.approach import Approach, Pace
from doorward.audit.facts import (
    AssociationFacts,
    Control,
    Endpoint,
    Outcome,
    PortState,
    Rejection,
    Reply,
)
from doorward.audit.probes import association
from doorward.audit.scope import Scope
from doorward.errors import ConnectFailed
from doorward.net.tls import probe_context
from loopback import HOST, in_loop, limits
from scripted_peer import (
    ABORT,
    ASSOCIATE_RQ,
    RELEASE_RQ,
    abort,
    archive,
    finds,
    item,
    pdu,
    rejection,
    scripted_peer,
)


def approach(port, **how):
    bounds = {"congestion_pause_s": 0.001, "associate_s": 0.1} | how.pop("bounds", {})
    return Approach(
        endpoint=Endpoint(address=HOST, port=port),
        gate=Scope.loopback(),
        pace=Pace(0.0),
        limits=limits(**bounds),
        **how,
    )


async def asked(script, **how):
    """Ask a scripted peer; returns the answer, the approach and the peer."""
    async with scripted_peer(script) as peer:
        us = approach(peer.port, **how)
        outcome, reason, facts = await association.ask(us)
    assert isinstance(facts, AssociationFacts)
    return outcome, reason, facts, us, peer


def answering(*given):
    """A script that answers each request with these bytes and waits."""

    async def script(call):
        await call.asked()
        await call.send(*given)
        await call.until_gone()

    return script


def letting_in(*, called=(), calling=()):
    """An archive that knows titles: those called, and those calling; an empty list knows all."""

    async def script(call):
        await call.asked()
        theirs, ours = call.titles
        if called and theirs not in called:
            await call.send(rejection(1, 1, 7))
        elif calling and ours not in calling:
            await call.send(rejection(1, 1, 3))
        else:
            await call.send(call.accept())
        while await call.message() is not None:
            pass

    return script


# --- whom it lets in --------------------------------------------------------------------------------------------


@in_loop
async def test_an_open_door_lets_two_random_titles_in():
    outcome, reason, facts, us, peer = await asked(archive(finds()))
    reply = facts.replies[0]
    assert (outcome, reason, facts.port_state) == (Outcome.ANSWERED, "", PortState.OPEN)
    assert (reply.control, reply.reply) == (Control.RANDOM_BOTH, Reply.ACCEPTED)
    assert reply.implementation_class_uid == "1.2.276.0.7230010.3.0.3.6.7"
    assert reply.implementation_version_name == "OFFIS_DCMTK_367"
    assert reply.max_pdu_bytes == 16_384
    assert us.admitted == (reply.called_ae_title, reply.calling_ae_title) == peer.calls[0].titles
    assert peer.calls[0].pdus == [ASSOCIATE_RQ, RELEASE_RQ]
    assert list(peer.calls[0].contexts.values()) == [b"1.2.840.10008.1.1"]


@in_loop
async def test_titles_are_made_up_anew_for_each_question():
    _, _, _, _, peer = await asked(archive(finds()), called_ae_titles=("ONE", "TWO"))
    titles = [title for call in peer.calls for title in call.titles]
    made_up = [title for title in titles if title not in ("ONE", "TWO")]
    assert len(made_up) == len(set(made_up)) == 4
    assert all(title.startswith("DOORWARD") for title in made_up)


@in_loop
async def test_the_pairs_go_from_random_to_given():
    _, _, facts, us, peer = await asked(
        letting_in(called=["ONE"], calling=["FRIEND"]),
        called_ae_titles=("ONE", "TWO"),
        calling_ae_title="FRIEND",
    )
    assert [(r.control, r.reply) for r in facts.replies] == [
        (Control.RANDOM_BOTH, Reply.REJECTED),
        (Control.GIVEN_CALLED, Reply.REJECTED),
        (Control.LISTED_CALLED, Reply.REJECTED),
        (Control.GIVEN_BOTH, Reply.ACCEPTED),
    ]
    assert [r.rejection and r.rejection.reason for r in facts.replies] == [7, 3, 7, None]
    assert us.admitted == ("ONE", "FRIEND")
    assert [call.titles[0] for call in peer.calls][1:] == ["ONE", "TWO", "ONE"]
    assert peer.most_at_a_time == 1


@in_loop
async def test_the_first_pair_that_is_let_in_is_remembered():
    _, _, facts, us, _ = await asked(letting_in(called=["TWO"]), called_ae_titles=("ONE", "TWO"))
    assert [r.reply for r in facts.replies] == [Reply.REJECTED, Reply.REJECTED, Reply.ACCEPTED]
    assert us.admitted == ("TWO", facts.replies[2].calling_ae_title)


@in_loop
async def test_a_calling_title_alone_makes_no_pair():
    _, _, facts, _, _ = await asked(archive(finds()), calling_ae_title="FRIEND")
    assert [r.control for r in facts.replies] == [Control.RANDOM_BOTH]


@in_loop
@pytest.mark.parametrize("codes", ((1, 1, 3), (1, 1, 7), (1, 2, 1), (1, 1, 99)))
async def test_a_rejection_is_an_answer_with_its_codes(codes):
    outcome, _, facts, us, _ = await asked(answering(rejection(*codes)))
    result, source, reason = codes
    assert outcome is Outcome.ANSWERED
    assert facts.replies[0].rejection == Rejection(result=result, source=source, reason=reason)
    assert f"({result}/{source}/{reason})" in facts.replies[0].detail
    assert us.admitted is None


@in_loop
@pytest.mark.parametrize("source", (0, 2))
async def test_an_abort_is_dicom_and_lets_nobody_in(source):
    outcome, _, facts, us, _ = await asked(answering(abort(source, 1)))
    assert (outcome, facts.replies[0].reply) == (Outcome.ANSWERED, Reply.ABORTED)
    assert us.admitted is None


# --- what is no verdict -----------------------------------------------------------------------------------------


@in_loop
@pytest.mark.parametrize("reason", (1, 2))
async def test_congestion_is_asked_again_and_then_inconclusive(reason):
    outcome, why, facts, us, peer = await asked(answering(rejection(2, 3, reason)))
    assert outcome is Outcome.INCONCLUSIVE
    assert why == facts.replies[0].detail
    assert facts.replies[0].rejection.is_transient
    assert len(peer.calls) == 3
    assert us.admitted is None


@in_loop
async def test_congestion_that_passes_is_forgotten():
    seen = []

    async def script(call):
        seen.append(call)
        await (answering(rejection(2, 3, 1)) if len(seen) < 3 else archive(finds()))(call)

    outcome, _, facts, us, peer = await asked(script)
    assert (outcome, facts.replies[0].reply) == (Outcome.ANSWERED, Reply.ACCEPTED)
    assert us.admitted == peer.calls[2].titles == peer.calls[0].titles


@in_loop
async def test_congestion_at_one_pair_does_not_hide_the_answer_to_another():
    async def script(call):
        await call.asked()
        is_known = call.titles[0] == "ONE"
        await call.send(rejection(1, 1, 3) if is_known else rejection(2, 3, 1))
        await call.until_gone()

    outcome, _, facts, _, _ = await asked(script, called_ae_titles=("ONE",))
    assert outcome is Outcome.ANSWERED
    assert [r.rejection.result for r in facts.replies] == [2, 1]


@in_loop
async def test_silence_is_inconclusive_and_each_pair_is_tried():
    outcome, why, facts, _, peer = await asked(answering(b""), called_ae_titles=("ONE",))
    assert outcome is Outcome.INCONCLUSIVE
    assert [r.reply for r in facts.replies] == [Reply.SILENT] * 2
    assert "no answer" in why
    assert peer.calls[0].pdus[:1] == [ASSOCIATE_RQ]
    assert ABORT in (*peer.calls[0].pdus, ABORT)


@in_loop
async def test_a_connection_that_is_closed_without_a_word_is_inconclusive():
    async def script(call):
        await call.asked()

    outcome, _, facts, _, _ = await asked(script)
    assert (outcome, facts.replies[0].reply) == (Outcome.INCONCLUSIVE, Reply.CLOSED)
    assert facts.port_state is PortState.OPEN


@in_loop
@pytest.mark.parametrize(
    ("greeting", "looks_like"),
    (
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "http"),
        (b"<!DOCTYPE html>", "http"),
        (b"<html><body>", "http"),
        (b"SSH-2.0-OpenSSH_9\r\n", "ssh"),
        (b"\x15\x03\x01\x00\x02\x02\x0a", "tls"),
        (b"220 mail ready\r\n", "ftp"),
        (b"220-Welcome\r\n", "ftp"),
        (b"RFB 003.008\n", "vnc"),
        (b"\x0bMSH|^~\\&|", "hl7"),
        (b"-ERR wrong number\r\n", "redis"),
        (b"\x4a\x00\x00\x00\x0a5.5.5", "unknown"),
        (b"\xff" * 16, "unknown"),
    ),
)
async def test_another_protocol_is_recognised_and_nothing_more_is_asked(greeting, looks_like):
    outcome, _, facts, us, peer = await asked(answering(greeting), called_ae_titles=("ONE", "TWO"))
    reply = facts.replies[0]
    assert (outcome, reply.reply, reply.looks_like) == (
        Outcome.ANSWERED,
        Reply.NOT_DICOM,
        looks_like,
    )
    assert len(peer.calls) == len(facts.replies) == 1
    assert us.admitted is None
    assert not any(text in reply.detail for text in ("OpenSSH", "Welcome", "mail", "5.5.5"))


@in_loop
@pytest.mark.parametrize(
    "given",
    (pdu(2, b"", length=0xFFFF_FFFF), pdu(2, b"\0\1"), pdu(4, b"\0\0\0\2\1\3"), pdu(3, b"\0\1")),
    ids=("4 GiB", "short accept", "data", "short reject"),
)
async def test_what_is_almost_dicom_settles_nothing(given):
    outcome, _, facts, us, _ = await asked(answering(given))
    assert (outcome, facts.replies[0].reply) == (Outcome.INCONCLUSIVE, Reply.NOT_DICOM)
    assert facts.replies[0].looks_like == ""
    assert us.admitted is None


@in_loop
async def test_an_accept_that_cannot_be_used_is_no_association():
    async def script(call):
        await call.asked()
        await call.send(call.accept(item(0x51, (8).to_bytes(4, "big"))))
        await call.until_gone()

    _, _, facts, us, _ = await asked(script)
    assert facts.replies[0].reply is not Reply.ACCEPTED
    assert us.admitted is None


# --- the port ---------------------------------------------------------------------------------------------------


@in_loop
async def test_a_closed_port_is_an_answer():
    with socket.create_server((HOST, 0)) as listener:
        port = listener.getsockname()[1]
    outcome, reason, facts = await association.ask(approach(port, called_ae_titles=("ONE",)))
    assert (outcome, reason) == (Outcome.ANSWERED, "the port is closed")
    assert facts.port_state is PortState.CLOSED
    assert [r.reply for r in facts.replies] == [Reply.NOT_CONNECTED]


@in_loop
async def test_a_filtered_port_is_inconclusive():
    with socket.socket() as silent:
        silent.bind((HOST, 0))
        silent.listen(0)
        fillers = [socket.socket() for _ in range(3)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(silent.getsockname())
        us = approach(silent.getsockname()[1], bounds={"connect_s": 0.1})
        outcome, reason, facts = await association.ask(us)
        for filler in fillers:
            filler.close()
    assert (outcome, facts.port_state) == (Outcome.INCONCLUSIVE, PortState.FILTERED)
    assert "no answer from" in reason


@in_loop
async def test_a_fault_of_our_own_system_is_no_state_of_the_port(monkeypatch):
    async def no_more_files(*_, **__):
        raise ConnectFailed("too many open files", kind="local")

    monkeypatch.setattr("doorward.net.client.dial", no_more_files)
    with pytest.raises(ConnectFailed):
        await association.ask(approach(104))


@in_loop
async def test_a_plain_port_asked_over_tls_is_closed_for_it():
    async def script(call):
        await call.take(1)

    async with scripted_peer(script) as peer:
        us = approach(peer.port).over(probe_context())
        outcome, _, facts = await association.ask(us)
    assert facts.over_tls
    assert (outcome, facts.replies[0].reply) == (Outcome.INCONCLUSIVE, Reply.CLOSED)
    assert facts.replies[0].detail.startswith("TLS: ")
