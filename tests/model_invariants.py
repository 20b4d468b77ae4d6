"""What holds for every query and every DICOM JSON: fuzz harnesses look for a counterexample, tests replay the corpus.

The first byte of an input chooses syntax and limits; the rest is what a stranger would send.
"""

import json
from dataclasses import replace
from pathlib import Path

from doorward.dicom.attributes import read_attributes
from doorward.dicom.json_model import encode_data_set
from doorward.dicom.json_reader import decode_data_sets
from doorward.dicom.query import Rules, matches, parse_query
from doorward.dicom.values import encode_identifier
from doorward.dicom.walk import Syntax
from doorward.errors import DoorwardError, LimitExceeded, PeerProtocolError
from doorward.limits import DEFAULT_LIMITS
from multipart_invariants import check_error

CORPUS = Path(__file__).resolve().parent / "fuzz" / "corpus"
TIGHT_LIMITS = replace(
    DEFAULT_LIMITS,
    query_values=4,
    query_characters=16,
    json_model_bytes=300,
    json_model_values=12,
    json_depth=4,
    sequence_depth=2,
    elements=8,
)
SYNTAXES = tuple(Syntax)
Refused = (PeerProtocolError, LimitExceeded)


def check_query(data: bytes) -> bool:
    """An identifier is a query or is refused, and a query is decided about every data set, its own keys too."""
    if not data:
        return False
    syntax = SYNTAXES[data[0] % 3]
    limits = TIGHT_LIMITS if data[0] & 0x80 else DEFAULT_LIMITS
    rules = Rules(combined_date_time=bool(data[0] & 0x40))
    try:
        view = read_attributes(data[1:], syntax, limits=limits)
        query = parse_query(view, rules, limits)
    except Refused as error:
        check_error(error)
        return False
    assert query.asked <= view.keys()
    assert matches(query, view) in (True, False)
    assert matches(query, {}) in (True, False)
    assert "Query" in repr(query)
    return True


def check_json_model(data: bytes) -> bool:
    """JSON is read to what it says when it is written again; a data set is written as JSON that can be read."""
    if not data:
        return False
    limits = TIGHT_LIMITS if data[0] & 0x80 else DEFAULT_LIMITS
    if data[0] & 0x40:
        return _check_encoding(data[1:], SYNTAXES[data[0] % 3])
    try:
        data_sets = decode_data_sets(data[1:], limits=limits)
        encoded = [encode_identifier(one, Syntax.EXPLICIT_LITTLE) for one in data_sets]
    except DoorwardError as error:
        check_error(error)
        return False
    for one in encoded:
        text = b"".join(encode_data_set(one, Syntax.EXPLICIT_LITTLE, inline_bytes=1 << 20))
        [again] = decode_data_sets(text)
        assert encode_identifier(again, Syntax.EXPLICIT_LITTLE) == one, "it comes back as it went"
    return True


def _check_encoding(buffer: bytes, syntax: Syntax) -> bool:
    try:
        text = b"".join(encode_data_set(buffer, syntax))
    except Refused as error:
        check_error(error)
        return False
    tree = json.loads(text)
    assert all(len(tag) == 8 and "vr" in member for tag, member in tree.items())
    try:
        decode_data_sets(text)
    except Refused:
        pass  # stricter than a stranger's data set: a long code string, a name that is no ASCII
    return True
