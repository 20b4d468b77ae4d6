"""A file is known by what it holds; holdings keep what was taken, with where it came from, and come back the same."""

import json
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doorward.errors import ConfigError
from doorward.knowledge.updates import FORMAT, Holdings, from_json, looks_like_json
from doorward.limits import DEFAULT_LIMITS
from knowledge_files import CSAF, EPSS, KEV, changed, check_update, packed, read

FILE = Path("knowledge.json")
WANTED = ("CVE-2025-0896", "CVE-2099-10001")


def filled() -> Holdings:
    holdings = Holdings()
    for content in (CSAF, KEV, EPSS):
        holdings = holdings.with_update(read(content, wanted=WANTED))
    return holdings


@pytest.mark.parametrize(
    ("content", "kind"),
    [(CSAF, "csaf"), (KEV, "kev"), (EPSS, "epss"), (packed(EPSS), "epss"), (b" \n" + KEV, "kev")],
)
@pytest.mark.parametrize("piece", [1, 7, 1 << 20])
def test_a_file_is_known_by_what_it_holds(content, kind, piece):
    assert read(content, piece=piece).provenance.kind == kind


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty or of no known kind"),
        (b"  \n", "is empty or of no known kind"),
        (b"PK\x03\x04", "is of no known kind"),
        (b"<html>", "is of no known kind"),
        (b"[]", "is of no known kind"),
        (b'{"dataType": "CVE_RECORD"}', "is JSON of another kind"),
        (packed(KEV), "must name the day|too long"),
    ],
)
def test_other_files_are_refused_with_what_would_be_taken(content, words):
    with pytest.raises(ConfigError, match=words) as error:
        read(content)
    assert error.value.hint


def test_a_json_file_without_end_is_bounded():
    limits = replace(DEFAULT_LIMITS, knowledge_json_bytes=1_000)
    with pytest.raises(ConfigError, match="is longer than 1,000 bytes"):
        read(KEV, limits=limits, piece=100)


def test_holdings_come_back_from_their_file_as_they_were():
    holdings = filled()
    again = from_json(holdings.to_json().encode(), FILE)
    assert again == holdings
    assert again.additions.taken == "2026-11-22"
    assert again.additions.likelihood == {"CVE-2025-0896": 0.10234, "CVE-2099-10001": 0.93417}


def test_a_newer_edition_takes_the_place_of_the_older_one():
    newer = changed(CSAF, "/document/tracking/current_release_date", "2026-11-21T00:00:00Z")
    newer = changed(newer, "/vulnerabilities/1", ...)
    holdings = filled().with_update(read(newer))
    assert [row.id for row in holdings.advisories] == ["CVE-2099-10001", "CVE-2099-10001"]
    assert [p.kind for p in holdings.provenance] == ["kev", "epss", "csaf"]
    other = filled().with_update(read(changed(CSAF, "/document/tracking/id", "ICSMA-99-999-02")))
    assert len(other.provenance) == 4
    assert len(other.advisories) == 6


def test_the_same_edition_may_be_taken_again():
    assert filled().with_update(read(KEV)).exploited == filled().exploited


@pytest.mark.parametrize(
    "older",
    [
        changed(KEV, "/dateReleased", "2026-11-01T00:00:00Z"),
        changed(CSAF, "/document/tracking/current_release_date", "2020-01-01"),
        EPSS.replace(b"2026-11-21", b"2026-01-01"),
    ],
)
def test_an_older_edition_is_refused(older):
    with pytest.raises(ConfigError, match=r"what was taken before is of 2026-11-2") as error:
        filled().with_update(read(older))
    assert error.value.file == Path("given.file")


def test_an_advisory_ages_from_the_day_it_was_taken_and_a_catalogue_from_its_own():
    dated = {p.kind: p.dated for p in filled().provenance}
    assert dated == {
        "csaf": date(2026, 11, 22),
        "kev": date(2026, 11, 20),
        "epss": date(2026, 11, 21),
    }


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("/format", "doorward.knowledge/9"),
        ("/provenance/0/kind", "rumour"),
        ("/provenance/0/taken", "yesterday"),
        ("/provenance/0/sha256", ...),
        ("/provenance", {}),
        ("/provenance/0", "kev"),
        ("/advisory/0/colour", "red"),
        ("/advisory/0/certainty", "certain"),
        ("/advisory/0/toolkit", ...),
        ("/advisory/0/recognised_by", [1]),
        ("/advisory", ...),
        ("/exploited", []),
        ("/exploited/CVE-2025-0896", "soon"),
        ("/likelihood/CVE-2025-0896", 7),
        ("/likelihood/rumour", 0.5),
    ],
)
def test_a_file_changed_by_hand_is_refused_by_name(path, value):
    content = changed(filled().to_json().encode(), path, value)
    with pytest.raises(ConfigError) as error:
        from_json(content, FILE)
    assert error.value.file == FILE


def test_the_file_says_its_format_and_holds_no_folder_names():
    document = json.loads(
        Holdings().with_update(read(KEV, name="/home/somebody/kev.json")).to_json()
    )
    assert document["format"] == FORMAT
    assert "somebody" not in json.dumps(document)


def test_json_is_told_by_its_first_sign():
    assert looks_like_json(b'\xef\xbb\xbf\n {"a"')
    assert not looks_like_json(b"#model")
    assert not looks_like_json(b"")


CORPUS = sorted((Path(__file__).parent.parent / "fuzz" / "corpus" / "updates").iterdir())


@pytest.mark.parametrize("path", CORPUS, ids=lambda path: path.name)
def test_kept_inputs_of_the_fuzzer_are_updates_or_named_errors(path):
    check_update(path.read_bytes())


@given(
    at=st.integers(min_value=0, max_value=len(CSAF) - 1),
    new=st.binary(max_size=4),
    gone=st.integers(min_value=0, max_value=40),
    content=st.sampled_from([CSAF, KEV, EPSS, packed(EPSS)]),
)
def test_any_damage_gives_an_update_or_a_named_error(at, new, gone, content):
    at %= len(content)
    check_update(b"\xff" + content[:at] + new + content[at + gone :])
