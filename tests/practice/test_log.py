"""The log of a fleet: one line an event, no value of a patient, nothing lost at the end."""

import asyncio
import json

import pytest

from doorward.dicom.values import encode_identifier
from doorward.dicom.walk import Syntax
from doorward.errors import ConfigError
from doorward.practice.log import EventLog, keys_of
from loopback import in_loop

WAY = ("127.0.1.1", 104, "127.0.0.1", 40_000)


@in_loop
async def test_events_of_one_turn_are_written_together_after_it(tmp_path):
    file = tmp_path / "log"
    log = EventLog(file)
    log.note("connected", "dicom", 7, WAY, tls=False)
    log.note("closed", "dicom", 7, WAY)
    assert file.read_bytes() == b""
    await asyncio.sleep(0)
    first, second = map(json.loads, file.read_text().splitlines())
    assert (first["event"], first["tls"], second["event"]) == ("connected", False, "closed")
    assert (first["address"], first["port"], first["peer"], first["peer_port"]) == WAY
    assert (first["door"], first["number"]) == ("dicom", 7)
    assert first["t"] <= second["t"]
    log.close()


@in_loop
async def test_the_end_writes_what_is_left_and_later_events_are_nobodys(tmp_path):
    file = tmp_path / "log"
    log = EventLog(file)
    log.note("connected", "dicom", 1, WAY)
    log.close()
    log.note("closed", "dicom", 1, WAY)
    await asyncio.sleep(0)
    assert len(file.read_text().splitlines()) == 1


@in_loop
async def test_a_second_run_appends(tmp_path):
    for _ in range(2):
        log = EventLog(tmp_path / "log")
        log.note("connected", "dicom", 1, WAY)
        log.close()
    assert len((tmp_path / "log").read_text().splitlines()) == 2


@in_loop
async def test_full_disk_is_one_clear_line_in_the_end():
    from pathlib import Path

    log = EventLog(Path("/dev/full"))
    log.note("connected", "dicom", 1, WAY)
    with pytest.raises(ConfigError, match=r"could not be written to its end \(No space"):
        log.close()


def test_file_that_cannot_be_opened_is_named(tmp_path):
    with pytest.raises(ConfigError, match="cannot be written"):
        EventLog(tmp_path)


def test_numbers_are_given_once(tmp_path):
    log = EventLog(tmp_path / "log")
    assert [log.number(), log.number()] == [1, 2]
    log.close()


def keys(*attributes: tuple[int, str, str]) -> dict[str, object]:
    return keys_of(encode_identifier(attributes, Syntax.IMPLICIT_LITTLE), Syntax.IMPLICIT_LITTLE)


def test_of_a_query_tags_level_and_ranges_are_kept_and_no_other_value():
    found = keys(
        (0x0008_0020, "DA", "20190901-20190930"),
        (0x0008_0030, "TM", "-1200"),
        (0x0008_0052, "CS", "STUDY"),
        (0x0010_0010, "PN", "NOBODY^MUST SEE"),
        (0x0020_000D, "UI", ""),
    )
    assert found == {
        "level": "STUDY",
        "keys": ["00080020", "00080030", "00080052", "00100010", "0020000D"],
        "valued": ["00080020", "00080030", "00080052", "00100010"],
        "dates": "20190901-20190930",
        "times": "-1200",
    }


@pytest.mark.parametrize("value", ("NOBODY^MUST SEE", "1" * 40, "20190901\\20190902"))
def test_a_text_in_the_place_of_a_range_is_not_kept(value):
    found = keys((0x0008_0020, "LO", value), (0x0008_0052, "LO", value))
    assert (found["dates"], found["level"]) == ("?", "?")


def test_broken_identifier_says_so():
    found = keys_of(b"\x08\x00\x52\x00\xff\x00\x00\x00STUDY", Syntax.IMPLICIT_LITTLE)
    assert found["keys"] == ["malformed"]
