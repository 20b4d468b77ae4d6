"""HL7 over MLLP: the message that must be rejected, and what counts as an acknowledgement."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

import file_invariants
from doorward.errors import DoorwardError
from doorward.greetings import hl7
from doorward.greetings.conversation import silence
from doorward.greetings.hl7 import Acknowledgement, Answer
from doorward.limits import DEFAULT_LIMITS
from talk import lead

CONTROL, SENT_AT = "DOORWARD0123456789", "20261122142600"


def ack(code="AR", control=CONTROL, version="2.5.1", more="", separator="|") -> bytes:
    lines = [
        f"MSH|^~\\&|ZZCANARY|ZZCANARY|DOORWARD|AUDIT|20261122||ACK|7|P|{version}",
        f"MSA|{code}|{control}|ZZCANARY",
        f"ERR|ZZCANARY{more}",
    ]
    return b"\x0b" + "\r".join(lines).replace("|", separator).encode() + b"\r\x1c\r"


def knock(answer: bytes | None, *, size: int = 65_536, error=None) -> Acknowledgement:
    conversation = hl7.knock(CONTROL, SENT_AT, DEFAULT_LIMITS)
    talk = lead(conversation, lambda _: answer, size=size, silence=error)
    assert talk.said == [hl7.message(CONTROL, SENT_AT)]
    assert talk.error is None
    return talk.result


def test_the_message_is_one_segment_without_a_patient():
    message = hl7.message(CONTROL, SENT_AT)
    assert message.startswith(b"\x0bMSH|^~\\&|")
    assert message.endswith(b"\r\x1c\r")
    assert message.count(b"\r") == 2, "one segment, and the end of the block"
    fields = message.strip(b"\x0b\r\x1c").split(b"|")
    assert fields[8] == b"ZDW^ZDW", "MSH-9: no event of HL7"
    assert fields[10] == b"D", "MSH-11: debugging"
    assert fields[11] == b"9.9", "MSH-12: no version of HL7"
    assert b"PID" not in message


@pytest.mark.parametrize("size", [1, 7, 65_536])
@pytest.mark.parametrize("code", hl7.CODES)
def test_an_acknowledgement_gives_its_code(code, size):
    found = knock(ack(code), size=size)
    assert found == Acknowledgement(
        answer=Answer.ACKNOWLEDGED, code=code, names_ours=True, version="2.5.1"
    )


def test_an_acknowledgement_of_another_message_does_not_name_ours():
    assert knock(ack(control="?")).names_ours is False


def test_other_separators_and_a_missing_start_are_understood():
    assert knock(ack(separator="#")).code == "AR"
    assert knock(ack()[1:]).code == "AR"
    assert knock(ack().replace(b"\r", b"\n", 2)).code == "AR"


def test_a_strange_version_is_not_kept():
    assert knock(ack(version="ZZCANARY")).version == ""
    assert knock(ack(version="2.4^DEU")).version == "2.4"


@pytest.mark.parametrize(
    ("answer", "looks_like"),
    [
        (hl7.message(CONTROL, SENT_AT), "hl7"),  # an echo
        (ack("XX"), "hl7"),
        (ack().replace(b"MSA", b"PID"), "hl7"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "http"),
        (b"SSH-2.0-x\r\n", "ssh"),
        (b"220 ready\r\n", "ftp"),
        (b"\x00\x01\x02\x03", ""),
        (b"\x0bXX\x1c\r", ""),
        (b"MSA|AR|" + CONTROL.encode() + b"\x1c\r", ""),
    ],
)
def test_no_false_acknowledgement(answer, looks_like):
    found = knock(answer)
    assert found.answer is Answer.OTHER
    assert found.looks_like == looks_like


def test_silence_and_hanging_up_are_told_apart():
    assert knock(None, error=silence()).answer is Answer.SILENT
    assert knock(None).answer is Answer.CLOSED


def test_an_acknowledgement_that_ends_early_is_read_as_far_as_it_came():
    assert knock(ack()[:-2]).code == "AR"


def test_listening_says_nothing():
    talk = lead(hl7.listen(DEFAULT_LIMITS), lambda _: None, silence=silence())
    assert talk.said == []
    assert talk.result.answer is Answer.SILENT
    talk = lead(hl7.listen(DEFAULT_LIMITS), lambda _: b"220 hello\r\n")
    assert (talk.result.answer, talk.result.looks_like) == (Answer.OTHER, "ftp")


def test_nothing_of_an_answer_is_kept():
    assert "ZZCANARY" not in repr(knock(ack()))


def test_an_endless_acknowledgement_ends():
    talk = lead(hl7.knock(CONTROL, SENT_AT, DEFAULT_LIMITS), lambda _: b"\x0bMSH|" + b"x" * 200_000)
    assert isinstance(talk.error, DoorwardError)


@given(st.binary(max_size=300), st.integers(min_value=1, max_value=40))
def test_any_bytes_give_a_result(answer, size):
    assert knock(answer, size=size) == knock(answer)


@pytest.mark.parametrize(
    "path", sorted((file_invariants.CORPUS / "hl7").iterdir()), ids=lambda p: p.name
)
def test_kept_inputs_of_the_fuzzer_hold_the_invariant(path):
    file_invariants.check_hl7(path.read_bytes())
