"""httpx's JSON lines: the server, never its page; and what a broken file comes to."""

import pytest

from doorward.audit.imports.httpx import read
from doorward.audit.imports.sighting import Sighting
from doorward.limits import Limits
from imported import PATIENT, json_lines, result_of

RESULT = {
    "timestamp": "2026-05-01T10:20:30.5+02:00",
    "port": "8443",
    "url": f"https://pacs.example:8443/{PATIENT}?name={PATIENT}",
    "input": PATIENT,
    "location": PATIENT,
    "title": PATIENT,
    "scheme": "https",
    "webserver": PATIENT,
    "body": PATIENT,
    "body_preview": PATIENT,
    "host": "pacs.example",
    "host_ip": "192.0.2.1",
    "path": f"/{PATIENT}",
    "header": {"x": PATIENT},
    "raw_header": PATIENT,
    "tech": [PATIENT],
    "tls": {"subject_cn": PATIENT},
    "status_code": 200,
    "failed": False,
}
SEEN = Sighting(
    host="192.0.2.1",
    port=8443,
    source="httpx",
    seen_at="2026-05-01T08:20:30+00:00",
    is_tls=True,
    service="http",
)


def test_a_result_is_a_sighting_and_its_page_is_not_looked_at() -> None:
    result = result_of(read, json_lines(RESULT))
    assert result.items == [SEEN]
    assert PATIENT not in result.words


def test_what_did_not_answer_is_no_door() -> None:
    assert result_of(read, json_lines(RESULT | {"failed": True})).items == []


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        ({"url": "http://192.0.2.1", "host": "192.0.2.1"}, ("192.0.2.1", 80, False)),
        ({"url": "https://PACS.example"}, ("pacs.example", 443, True)),
        ({"url": "http://pacs.example:8042/app"}, ("pacs.example", 8042, False)),
        ({"url": "https://[2001:db8::7]:8443/"}, ("2001:db8::7", 8443, True)),
        ({"url": "http://user:word@pacs.example/x"}, ("pacs.example", 80, False)),
        ({"scheme": "http", "host": "pacs.example", "port": 8042}, ("pacs.example", 8042, False)),
    ],
)
def test_what_the_fields_do_not_say_the_url_does(
    result: dict[str, object], expected: tuple[str, int, bool]
) -> None:
    (item,) = result_of(read, json_lines(result)).items
    assert isinstance(item, Sighting)
    assert (item.host, item.port, item.is_tls) == expected


# --- broken in five ways ----------------------------------------------------------------------------------------------


def test_a_file_that_was_cut_off_gives_what_was_whole() -> None:
    result = result_of(read, json_lines(RESULT, RESULT)[:-40])
    assert result.items[0] == SEEN
    assert result.skipped == [(2, "the record is cut off: the file ends in it")]
    assert PATIENT not in result.words


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"scheme": "gopher"}, "scheme is neither http nor https"),
        ({"scheme": ["https"]}, "scheme is neither http nor https"),
        ({"scheme": "", "url": f"ftp://{PATIENT}"}, "scheme is neither http nor https"),
        ({"host_ip": PATIENT}, "host_ip is no IP address"),
        ({"host_ip": 5}, "host_ip is no text"),
        ({"host_ip": "", "host": "10.1"}, "host looks like an address and is none"),
        ({"host_ip": "", "host": "", "url": None}, "url is missing"),
        ({"port": "99999"}, "port is no port from 1 to 65535"),
        ({"port": {"x": PATIENT}}, "port is no port"),
    ],
)
def test_a_wrong_value_skips_the_line_and_no_other(wrong: dict[str, object], reason: str) -> None:
    result = result_of(read, json_lines(RESULT | wrong, RESULT))
    assert result.skipped == [(1, reason)]
    assert result.items[1:] == [SEEN]
    assert PATIENT not in result.words


@pytest.mark.parametrize(
    "url", ["http://", "http://[::1", "http://a b/", "http://x:y@z@w:1/", "http://" + "a" * 5_000]
)
def test_a_strange_url_alone_is_no_door(url: str) -> None:
    result = result_of(read, json_lines({"url": url}, RESULT))
    assert [line for line, _ in result.skipped] == [1]
    assert result.items[1:] == [SEEN]


def test_garbage_is_skipped_and_a_file_of_nothing_else_is_an_error() -> None:
    content = json_lines(RESULT).encode()
    result = result_of(read, b"\x00\xff" + PATIENT.encode() + b"\n" + content)
    assert result.skipped == [(1, "the record is no JSON object")]
    assert result.items[1:] == [SEEN]
    alone = result_of(read, b"<html>" + PATIENT.encode())
    assert alone.error is not None
    assert alone.error.line == 1
    assert PATIENT not in result.words + alone.words


def test_a_page_that_is_too_long_or_too_deep_is_skipped() -> None:
    content = json_lines(RESULT | {"body": PATIENT * 20_000}, RESULT)
    result = result_of(read, content, limits=Limits(import_record_bytes=100_000))
    assert result.skipped == [(1, "the record is longer than 100,000 bytes")]
    assert result.items[1:] == [SEEN]
    deep = '{"header": ' + "[" * 100_000 + "]" * 100_000 + "}\n"
    result = result_of(read, deep + json_lines(RESULT))
    assert result.skipped == [(1, "the record is nested too deeply")]
    assert result.items[1:] == [SEEN]


def test_a_byte_order_mark_does_no_harm_and_utf_16_is_refused() -> None:
    content = json_lines(RESULT)
    assert result_of(read, b"\xef\xbb\xbf" + content.encode()).items == [SEEN]
    result = result_of(read, content.encode("utf-16"))
    assert result.error is not None
    assert "UTF-16" in str(result.error)
