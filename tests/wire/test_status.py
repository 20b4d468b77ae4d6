import pytest

from doorward.wire import status
from doorward.wire.status import STATUS_CODES, StatusClass, classify, describe


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (0x0000, "success"),
        (0xFF00, "pending"),
        (0xFF01, "pending"),
        (0xFE00, "cancel"),
        (0x0001, "warning"),
        (0x0107, "warning"),
        (0x0116, "warning"),
        (0xB000, "warning"),
        (0xBFFF, "warning"),
        (0x0105, "failure"),
        (0x0110, "failure"),
        (0x0124, "failure"),
        (0x0213, "failure"),
        (0xA700, "failure"),
        (0xAFFF, "failure"),
        (0xC000, "failure"),
        (0xCFFF, "failure"),
    ],
)
def test_classes_are_those_of_ps3_7_annex_c(code, expected):
    assert classify(code) == expected


@pytest.mark.parametrize(
    "code", [0x0002, 0x1234, 0xD000, 0xFDFF, 0xFE01, 0xFF02, 0xFFFF, 0x10000, -1]
)
def test_a_number_without_meaning_is_a_failure_and_never_a_match(code):
    assert classify(code) is StatusClass.FAILURE
    assert describe(code).endswith("failure: not defined by the Standard")


def test_pynetdicom_puts_every_status_in_the_same_class():
    from pynetdicom.status import code_to_category

    differing = {
        code: (classify(code).value, code_to_category(code).lower())
        for code in range(0x10000)
        if code_to_category(code) not in ("Unknown", classify(code).value.capitalize())
    }
    assert differing == {}


def test_services_find_their_own_meaning_first():
    assert describe(0xFF00, "find") == "FF00 pending: a match, more may follow"
    assert describe(0xFF00, "move") == "FF00 pending: sub-operations are continuing"
    assert describe(0xFF00) == "FF00 pending"
    assert describe(0xA900, "store") == "A900 failure: data set does not match SOP class"
    assert describe(0xA900, "get") == "A900 failure: identifier does not match SOP class"
    assert describe(0xA801, "move") == "A801 failure: move destination unknown"
    assert describe(0xA801, "get") == "A801 failure: not defined by the Standard"
    assert describe(0xA7FF) == "A7FF failure: refused: out of resources"


def test_general_meanings_hold_for_every_service():
    for service in ("", "echo", "find", "commitment", "something else"):
        assert describe(0x0124, service) == "0124 failure: refused: not authorized"
        assert describe(0x0000, service) == "0000 success"


def test_names_stand_for_codes_of_the_table():
    names = {name: value for name, value in vars(status).items() if isinstance(value, int)}
    assert len(names) == 14
    for value in names.values():
        assert any(row.first <= value <= row.last for row in STATUS_CODES)


def test_within_a_service_each_code_stands_in_one_row():
    seen = {}
    for row in STATUS_CODES:
        assert row.first <= row.last
        assert classify(row.first) == classify(row.last) == row.status_class
        assert row.source.startswith("PS3.")
        for service in row.services or ("",):
            codes = set(range(row.first, row.last + 1))
            assert not codes & seen.setdefault(service, set())
            seen[service] |= codes
