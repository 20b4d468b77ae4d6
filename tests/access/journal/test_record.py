import hashlib
import json
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doorward.access.identity import How, Identity, Kind
from doorward.access.journal.record import (
    EMPTY,
    NOT_A_KEY,
    NOT_A_UID,
    Entry,
    Event,
    Head,
    Outcome,
    format_time,
    make_record,
    read_record,
)
from journals import NOON, STUDY, stored

CANARY = "CANARY^PATIENT"
UIDS = st.from_regex(r"[0-2](\.[0-9]{1,8}){1,6}", fullmatch=True)
KEYS = st.from_regex(r"[0-9A-F]{8}(\.[0-9A-F]{8}){0,2}", fullmatch=True)
ENTRIES = st.builds(
    Entry,
    event=st.sampled_from(Event),
    outcome=st.sampled_from(Outcome),
    identity=st.text(max_size=80),
    peer=st.text(max_size=50),
    calling_ae_title=st.text(max_size=20),
    studies=st.lists(UIDS | st.text(), max_size=4).map(tuple),
    keys=st.lists(KEYS | st.text(), max_size=4).map(tuple),
    values=st.lists(st.text(), max_size=4).map(tuple),
    instances=st.integers(0, 2**40),
    reason=st.text(max_size=90),
)
MOMENTS = st.datetimes(datetime(1970, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001


@given(ENTRIES, MOMENTS, st.integers(0, 2**40))
def test_a_record_reads_back_as_it_was_written(entry, time, number):
    record, line = make_record(entry, Head(number, "ab" * 32), time)
    assert read_record(line) == record
    assert line.count(b"\n") == 1
    assert line.isascii()


@given(st.integers(0, 10_000), st.integers(1, 255))
def test_any_changed_byte_is_seen(place, change):
    _, line = make_record(stored(1), EMPTY, NOON)
    place %= len(line)
    broken = line[:place] + bytes([line[place] ^ change]) + line[place + 1 :]
    with pytest.raises(ValueError, match="record"):
        read_record(broken)


@given(st.binary(max_size=300))
def test_other_bytes_are_no_record_and_are_not_quoted(noise):
    for line in (noise, hashlib.sha256(noise).hexdigest().encode() + b" " + noise + b"\n"):
        with pytest.raises(ValueError, match=r"^the (line|record) (is|cannot)"):
            read_record(line)


def test_the_line_is_what_sha256sum_and_json_say_it_is():
    record, line = make_record(stored(7, instances=2), Head(4, "cd" * 32), NOON)
    digest, body = line.rstrip(b"\n").split(b" ", 1)
    assert hashlib.sha256(body).hexdigest() == digest.decode() == record.digest
    assert json.loads(body) == {
        "event": "store",
        "identity": "ct1",
        "instances": 2,
        "outcome": "success",
        "previous": "cd" * 32,
        "sequence": 5,
        "studies": [f"{STUDY}.7"],
        "time": "2026-03-01T12:00:00.000000+00:00",
    }
    assert list(json.loads(body)) == sorted(json.loads(body))


def test_time_is_utc_and_always_equally_long():
    east = datetime(2026, 3, 1, 14, 0, tzinfo=timezone(timedelta(hours=2)))
    assert format_time(east) == "2026-03-01T12:00:00.000000+00:00"
    assert len(format_time(NOON.replace(microsecond=5))) == len(format_time(NOON))


def test_no_patient_value_passes_through_a_field_that_a_peer_fills():
    entry = Entry(
        event=Event.QUERY,
        studies=(CANARY, "19700101", "12345678", STUDY),
        sop_class=CANARY,
        keys=(CANARY, "00100010=" + CANARY, "00100010"),
    )
    _, line = make_record(entry, EMPTY, NOON)
    assert b"CANARY" not in line
    assert b"19700101" not in line
    assert entry.studies == (NOT_A_UID, STUDY)
    assert entry.keys == (NOT_A_KEY, NOT_A_KEY, "00100010")


def test_values_are_not_in_the_repr():
    assert "CANARY" not in repr(Entry(event=Event.QUERY, keys=("00100010",), values=(CANARY,)))


def test_there_are_no_more_values_than_keys():
    assert Entry(event=Event.QUERY, keys=("00100010",), values=("a", "b")).values == ("a",)


def test_text_is_cut_and_cleaned_and_never_refused():
    entry = Entry(
        event=Event.REFUSAL, reason="x\n\x1b[31m" + "y" * 100, calling_ae_title="A" * 40 + "\x00"
    )
    assert entry.reason == ("x??[31m" + "y" * 57)
    assert entry.calling_ae_title == "A" * 16


def test_an_entry_by_somebody_says_who_and_how():
    who = Identity(kind=Kind.PERSON, name="reader.one", role="reader", how=How.PASSWORD_AND_CODE)
    entry = Entry(event=Event.LOGIN).by(who)
    assert (entry.identity, entry.kind, entry.how) == ("reader.one", "person", "password and code")
    assert Entry(event=Event.LOGIN_FAILED).by(None) == Entry(event=Event.LOGIN_FAILED)
