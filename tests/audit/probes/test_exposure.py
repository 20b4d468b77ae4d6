"""Counting without collecting, against archives that are honest, limited, rude or silent."""

import pytest

from doorward.audit.approach import Approach, Pace
from doorward.audit.facts import Endpoint, Exactness, Outcome, QueryEnd
from doorward.audit.probes import exposure
from doorward.audit.scope import Scope
from doorward.dicom.walk import Syntax, walk
from doorward.wire.uids import PATIENT_ROOT_FIND, STUDY_ROOT_FIND, VERIFICATION
from loopback import HOST, in_loop, limits
from scripted_peer import (
    C_CANCEL_RQ,
    C_ECHO_RQ,
    C_FIND_RQ,
    CANCELLED,
    RELEASE_RQ,
    abort,
    archive,
    data,
    element,
    even,
    final,
    match,
    response,
    scripted_peer,
    study,
)

EXACT, AT_LEAST, UNKNOWN = Exactness.EXACT_ENUMERATED, Exactness.AT_LEAST, Exactness.UNKNOWN


async def asked(script, **bounds):
    async with scripted_peer(script) as peer:
        us = Approach(
            endpoint=Endpoint(address=HOST, port=peer.port),
            gate=Scope.loopback(),
            pace=Pace(0.0),
            limits=limits(**({"reply_s": 0.1, "cancel_s": 0.1, "release_s": 0.1} | bounds)),
            admitted=("CALLED", "CALLING"),
        )
        answer = await exposure.ask(us)
    return answer, peer


def is_study(message):
    return b"STUDY" in message.identifier


def patient(number):
    return element(0x0008_0052, b"PATIENT ") + element(0x0020_1200, b"%d " % number)


def holding(studies, patients, *, ending=None, images=b"2 "):
    """An archive; ``ending`` says what closes the STUDY query instead of success."""

    async def on_find(call, message):
        if is_study(message):
            await call.send(*(match(message, study(n, images)) for n in range(studies)))
            await call.send(ending(message) if ending else final(message))
        else:
            await call.send(*(match(message, patient(n)) for n in range(patients)), final(message))

    return on_find


# --- what is asked ----------------------------------------------------------------------------------------------


@in_loop
async def test_no_patient_attribute_is_requested():
    """Promise 2: what left us is read back, element by element."""
    seen = []

    async def on_find(call, message):
        seen.append((message.sop_class.decode(), message.identifier))
        await call.send(final(message))

    _, peer = await asked(archive(on_find))
    keys = {
        model: {one.tag: one.length for one in walk(sent, Syntax.IMPLICIT_LITTLE)}
        for model, sent in seen
    }
    assert keys == {
        STUDY_ROOT_FIND: {0x0008_0052: 6, 0x0020_000D: 0, 0x0020_1208: 0},
        PATIENT_ROOT_FIND: {0x0008_0052: 8, 0x0020_1200: 0},
    }
    assert not any(tag >> 16 == 0x0010 for sent in keys.values() for tag in sent)
    assert peer.commands == [C_ECHO_RQ, C_FIND_RQ, C_FIND_RQ]
    assert peer.calls[0].pdus[-1] == RELEASE_RQ
    assert len(peer.calls) == 1


@in_loop
async def test_three_contexts_are_proposed_and_no_others():
    _, peer = await asked(archive(holding(0, 0)))
    proposed = [uid.decode() for uid in peer.calls[0].contexts.values()]
    assert proposed == [VERIFICATION, STUDY_ROOT_FIND, PATIENT_ROOT_FIND]


# --- honest archives --------------------------------------------------------------------------------------------


@in_loop
async def test_an_archive_is_counted_exactly():
    (outcome, reason, facts), _ = await asked(archive(holding(7, 3)))
    assert (outcome, reason) == (Outcome.ANSWERED, "")
    assert (facts.studies.value, facts.studies.exactness) == (7, EXACT)
    assert (facts.images.value, facts.images.exactness) == (14, EXACT)
    assert (facts.patients.value, facts.patients.exactness) == (3, EXACT)
    assert [q.end for q in facts.queries] == [QueryEnd.SUCCESS, QueryEnd.SUCCESS]
    assert [q.final_status for q in facts.queries] == [0, 0]
    assert facts.answers_study_query


@in_loop
async def test_an_empty_archive_that_answers_is_unprotected_all_the_same():
    (outcome, _, facts), _ = await asked(archive(holding(0, 0)))
    assert outcome is Outcome.ANSWERED
    assert (facts.studies.value, facts.images.value, facts.patients.value) == (0, 0, 0)
    assert facts.answers_study_query


@in_loop
async def test_an_archive_without_image_counts_has_an_unknown_number_of_images():
    """dcmqrscp never returns (0020,1208)."""

    async def on_find(call, message):
        bare = element(0x0008_0052, b"STUDY ") + element(0x0020_000D, even(b"2.25.1", b"\0"))
        await call.send(*[match(message, bare)] * 3, final(message))

    (_, _, facts), _ = await asked(archive(on_find))
    assert (facts.studies.value, facts.studies.exactness) == (3, EXACT)
    assert (facts.images.value, facts.images.exactness) == (None, UNKNOWN)


@in_loop
async def test_extra_attributes_are_noticed_and_not_read():
    async def on_find(call, message):
        more = [element(0x0010_0010 + 16 * n, b"CANARY") for n in range(8)]
        chatty = [element(0x0008_0052, b"STUDY "), *more, element(0x0020_1208, b"4 ")]
        await call.send(match(message, b"".join(chatty)), final(message))

    (_, _, facts), _ = await asked(archive(on_find))
    assert facts.queries[0].extra_elements == 10 - 6
    assert facts.images.value == 4
    assert "CANARY" not in repr(facts)


# --- archives with limits ---------------------------------------------------------------------------------------


@in_loop
@pytest.mark.parametrize(
    ("ending", "end", "exactness", "words"),
    (
        (final, QueryEnd.SUCCESS, EXACT, "every match"),
        (lambda m: final(m, CANCELLED), QueryEnd.WARNING, AT_LEAST, "stopped by itself after 7"),
        (lambda m: match(m, study(9), CANCELLED), QueryEnd.WARNING, AT_LEAST, "by itself"),
        (lambda m: final(m, 0xB000), QueryEnd.WARNING, AT_LEAST, "warning (status B000)"),
        (lambda m: final(m, 0xA700), QueryEnd.FAILED, AT_LEAST, "failure (status A700)"),
        (lambda m: final(m, 0xC123), QueryEnd.FAILED, AT_LEAST, "failure (status C123)"),
        (lambda _: abort(0, 0), QueryEnd.ABORTED, AT_LEAST, "in the middle"),
        (lambda _: abort(2, 6), QueryEnd.ABORTED, AT_LEAST, "in the middle"),
        (lambda _: b"\xff", QueryEnd.ABORTED, AT_LEAST, "in the middle"),
        (lambda _: b"", QueryEnd.SILENT, AT_LEAST, "silent"),
    ),
    ids=("0000", "FE00", "FE00+", "B000", "A700", "C123", "abort", "p-abort", "noise", "silence"),
)
async def test_the_end_of_a_query_decides_what_its_number_is_worth(ending, end, exactness, words):
    (outcome, _, facts), _ = await asked(archive(holding(7, 3, ending=ending)))
    query = facts.queries[0]
    assert (query.end, query.matches, query.reached_cap) == (end, 7, False)
    assert (facts.studies.value, facts.studies.exactness) == (7, exactness)
    assert words in facts.studies.method
    assert facts.images.exactness is exactness
    assert outcome is Outcome.ANSWERED, "matches are an answer, however they end"
    assert facts.answers_study_query


@in_loop
async def test_a_round_number_is_doubted():
    (_, _, facts), _ = await asked(archive(holding(100, 1)), reply_s=5.0)
    assert (facts.studies.value, facts.studies.exactness) == (100, AT_LEAST)
    assert "looks like a limit" in facts.studies.method


@in_loop
async def test_at_our_own_cap_a_cancel_leaves():
    async def on_find(call, message):
        if not is_study(message):
            await call.send(final(message))
            return
        await call.send(*[match(message, study())] * 30)
        assert (await call.message()).command_field == C_CANCEL_RQ
        await call.send(match(message, study()), final(message, CANCELLED))

    (_, _, facts), peer = await asked(archive(on_find), count_matches=20)
    query = facts.queries[0]
    assert (query.end, query.matches, query.reached_cap) == (QueryEnd.CANCELLED, 20, True)
    assert (facts.studies.value, facts.studies.exactness) == (20, AT_LEAST)
    assert facts.images.value == 40
    assert "our own limit" in facts.studies.method
    assert C_CANCEL_RQ in peer.commands


@in_loop
@pytest.mark.parametrize("broken", (b"\xff" * 20, study(1, b"NaN "), b"\x20"))
async def test_malformed_matches_are_counted_and_their_images_unknown(broken):
    async def on_find(call, message):
        await call.send(match(message, study()), match(message, broken), final(message))

    (_, _, facts), _ = await asked(archive(on_find))
    assert (facts.queries[0].matches, facts.queries[0].malformed) == (2, 1)
    assert (facts.studies.value, facts.studies.exactness) == (2, EXACT)
    assert (facts.images.value, facts.images.exactness) == (2, AT_LEAST)


@in_loop
async def test_pending_without_identifiers_are_studies_without_images():
    async def on_find(call, message):
        bare = data(message.context_id, 3, response(message, 0xFF00))
        await call.send(bare * 4, final(message))

    (_, _, facts), _ = await asked(archive(on_find))
    assert facts.studies.value == 4
    assert facts.images.value is None


# --- refusals and silence ---------------------------------------------------------------------------------------


@in_loop
@pytest.mark.parametrize("status", (0x0122, 0x0124, 0xA700, 0xA900, 0xC000))
async def test_a_failure_without_a_match_is_a_refusal(status):
    (outcome, _, facts), peer = await asked(
        archive(holding(0, 3, ending=lambda m: final(m, status)))
    )
    assert outcome is Outcome.ANSWERED
    assert [q.end for q in facts.queries] == [QueryEnd.REFUSED], "nothing more is asked"
    assert (facts.studies.value, facts.patients.value) == (None, None)
    assert not facts.answers_study_query
    assert peer.commands == [C_ECHO_RQ, C_FIND_RQ]


@in_loop
async def test_an_abort_at_the_query_is_a_refusal_beside_an_echo_that_was_answered():
    """Orthanc accepts every context, and aborts at the command that it does not allow."""
    (outcome, _, facts), _ = await asked(archive(holding(0, 0, ending=lambda _: abort(0, 0))))
    assert outcome is Outcome.ANSWERED
    assert facts.queries[0].end is QueryEnd.REFUSED
    assert not facts.answers_study_query


@in_loop
@pytest.mark.parametrize("ending", (abort(2, 0), abort(2, 6), b"\xff"))
async def test_an_abort_of_the_provider_says_nothing(ending):
    (outcome, why, facts), _ = await asked(archive(holding(0, 0, ending=lambda _: ending)))
    assert outcome is Outcome.INCONCLUSIVE
    assert "aborted" in why
    assert facts.queries[0].end is QueryEnd.ABORTED
    assert facts.studies.value is None


def without_echo(then):
    """Does not answer, or refuses, the control; then plays."""

    async def script(call):
        await call.accepted()
        message = await call.message()
        assert message.command_field == C_ECHO_RQ
        await call.send(final(message, 0x0122))
        await then(call, await call.message())
        await call.until_gone()

    return script


@in_loop
async def test_an_abort_at_the_query_says_nothing_where_the_echo_failed_too():
    async def aborting(call, message):
        await call.send(abort(0, 0))

    (outcome, _, facts), _ = await asked(without_echo(aborting))
    assert outcome is Outcome.INCONCLUSIVE
    assert facts.queries[0].end is QueryEnd.ABORTED


@in_loop
async def test_a_door_that_aborts_at_the_echo_already_is_inconclusive():
    async def script(call):
        await call.accepted()
        await call.message()
        await call.send(abort(0, 0))

    (outcome, _, facts), peer = await asked(script)
    assert outcome is Outcome.INCONCLUSIVE
    assert facts.queries[0].end is QueryEnd.ABORTED
    assert peer.commands == [C_ECHO_RQ]


@in_loop
async def test_silence_is_inconclusive_and_released():
    async def on_find(call, message):
        pass

    (outcome, why, facts), peer = await asked(archive(on_find))
    assert outcome is Outcome.INCONCLUSIVE
    assert "silent" in why
    assert [q.end for q in facts.queries] == [QueryEnd.SILENT]
    assert (facts.studies.value, facts.studies.exactness) == (None, UNKNOWN)
    assert not facts.answers_study_query
    assert peer.calls[0].pdus[-1] == RELEASE_RQ


@in_loop
async def test_a_lost_connection_is_inconclusive():
    async def on_find(call, message):
        call.writer.transport.abort()
        await call.until_gone()

    (outcome, _, facts), _ = await asked(archive(on_find))
    assert (outcome, facts.queries[0].end) == (Outcome.INCONCLUSIVE, QueryEnd.ABORTED)


@in_loop
async def test_no_query_context_is_an_answer():
    results = {STUDY_ROOT_FIND.encode(): 3, PATIENT_ROOT_FIND.encode(): 3}
    (outcome, why, facts), peer = await asked(archive(holding(7, 3), results=results))
    assert (outcome, why) == (Outcome.ANSWERED, "no query context was accepted")
    assert [q.end for q in facts.queries] == [QueryEnd.NO_CONTEXT] * 2
    assert facts.studies.value is None
    assert peer.commands == [C_ECHO_RQ]


@in_loop
async def test_without_verification_the_query_is_asked_all_the_same():
    results = {VERIFICATION.encode(): 3}
    (_, _, facts), peer = await asked(archive(holding(7, 3), results=results))
    assert facts.studies.value == 7
    assert peer.commands == [C_FIND_RQ, C_FIND_RQ]


# --- patients ---------------------------------------------------------------------------------------------------


@in_loop
async def test_studies_without_patients_leave_their_number_unknown():
    (_, _, facts), _ = await asked(archive(holding(7, 0)))
    assert (facts.patients.value, facts.patients.exactness) == (None, UNKNOWN)
    assert "lists studies but no patients" in facts.patients.method


@in_loop
async def test_a_refused_patient_query_does_not_touch_the_studies():
    async def on_find(call, message):
        if is_study(message):
            await call.send(match(message, study()), final(message))
        else:
            await call.send(final(message, 0xA900))

    (outcome, _, facts), _ = await asked(archive(on_find))
    assert outcome is Outcome.ANSWERED
    assert [q.end for q in facts.queries] == [QueryEnd.SUCCESS, QueryEnd.REFUSED]
    assert (facts.studies.value, facts.patients.value) == (1, None)


@in_loop
async def test_each_count_without_a_value_is_called_unknown():
    for on_find in (holding(7, 0), holding(0, 0, ending=lambda m: final(m, 0xA700))):
        (_, _, facts), _ = await asked(archive(on_find))
        for count in (facts.studies, facts.images, facts.patients):
            assert (count.value is None) is (count.exactness is UNKNOWN)
