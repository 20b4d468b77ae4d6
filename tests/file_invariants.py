"""What holds for every list of files and every HL7 answer: fuzz harnesses look for a counterexample, tests replay the corpus.

Each ``check_*`` takes any bytes, returns whether something was recognised, and raises AssertionError where the invariant
breaks. The first byte chooses the reader, the second how the rest is cut.
"""

from collections.abc import Callable
from pathlib import Path

from doorward.errors import LimitExceeded, PeerProtocolError
from doorward.greetings import ftp, hl7
from doorward.greetings.ftp_list import ListLines
from doorward.limits import DEFAULT_LIMITS
from doorward.web.fhir import FhirReader
from doorward.web.file_names import FolderCount
from doorward.web.listing import ListingReader
from doorward.web.multistatus import MultistatusReader
from talk import lead

CORPUS = Path(__file__).resolve().parent / "fuzz" / "corpus"
CONTROL = "DOORWARD0123456789"


def _listing(text: bytes, size: int) -> object:
    reader = ListingReader("/dicom/")
    for begin in range(0, len(text), size):
        if not reader.feed(memoryview(text)[begin : begin + size]):
            break
    found = reader.listing()
    assert not any(reader._held), "nothing of the page stays"
    assert not any(reader._text._room)
    assert not any(reader._href._room)
    return found


def _multistatus(text: bytes, size: int) -> object:
    reader = MultistatusReader("/dav/")
    for begin in range(0, len(text), size):
        if not reader.feed(memoryview(text)[begin : begin + size]):
            break
    found = reader.shape()
    assert not any(reader._held), "nothing of the answer stays"
    assert not any(reader._href._room)
    assert found is None or found.entries <= reader.responses
    return found, reader.is_orthanc


def _lines(text: bytes, size: int) -> object:
    count = FolderCount()
    lines = ListLines(lambda name, is_folder: count.add(name, is_folder=is_folder))
    for begin in range(0, len(text), size):
        lines.feed(memoryview(text)[begin : begin + size])
    lines.finish()
    assert not any(lines._room), "nothing of the list stays"
    assert count.entries <= text.count(b"\n") + 1
    return count.shape()


def _fhir(text: bytes, size: int) -> object:
    reader = FhirReader(most_entries=1_000)
    for begin in range(0, len(text), size):
        if not reader.feed(memoryview(text)[begin : begin + size]):
            break
    reader.finish()
    return reader.is_whole and reader.document()


READERS: tuple[Callable[[bytes, int], object], ...] = (_listing, _multistatus, _lines, _fhir)


def check_listing(data: bytes) -> bool:
    """However a text is cut, a reader of lists sees the same, raises nothing and keeps nothing."""
    if len(data) < 2:
        return False
    read = READERS[data[0] % len(READERS)]
    whole = read(data[2:], max(1, len(data)))
    cut = read(data[2:], data[1] % 31 + 1)
    if read is not _fhir or whole:
        assert cut == whole, "cutting makes a difference"
    return bool(whole)


def _led(text: bytes, size: int, which: int) -> object:
    conversations = (
        hl7.knock(CONTROL, "20261122142600", DEFAULT_LIMITS),
        ftp.manners(DEFAULT_LIMITS),
        ftp.anonymous(DEFAULT_LIMITS, address="127.0.0.1"),
    )
    lines = text.split(b"\xff")
    rest = iter(lines)
    talk = lead(conversations[which], lambda _: next(rest, b""), size=size)
    known = (PeerProtocolError, LimitExceeded)
    assert talk.error is None or isinstance(talk.error, known), repr(talk.error)
    assert all(errand.port >= 1_024 for errand in talk.errands)
    return talk.result, [errand.port for errand in talk.errands]


def check_hl7(data: bytes) -> bool:
    """A conversation ends with a result or an error of ours; in an HL7 answer it finds the same however that is cut."""
    if len(data) < 2:
        return False
    which = data[0] % 3
    whole = _led(data[2:], 1 << 20, which)
    cut = _led(data[2:], data[1] % 31 + 1, which)
    # An FTP server that answers before it is asked is read as its answers come; of HL7 there is one answer.
    assert which or cut == whole, "cutting makes a difference"
    return bool(whole)


CHECKS: dict[str, Callable[[bytes], bool]] = {"listing": check_listing, "hl7": check_hl7}
