"""An index as the archive uses it: what is written is found, and what is found is what the reference would find."""

import asyncio
import dataclasses
import random
import tempfile
from datetime import date
from pathlib import Path

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from doorward.access.identity import Decision, Subject
from doorward.access.policy import Restriction
from doorward.access.rules import Studies
from doorward.archive.index.entry import Frame, Outcome
from doorward.archive.index.levels import PATIENT_COUNTS, Level, level_of
from doorward.archive.index.plan import Order
from doorward.dicom.attributes import Attribute
from doorward.dicom.query import Rules, matches, parse_query
from doorward.dicom.tags import keyword_of, vr_of
from doorward.errors import (
    ConfigError,
    LimitExceeded,
    LocalProtocolError,
    PeerProtocolError,
    UsageError,
)
from doorward.limits import DEFAULT_LIMITS
from index_entries import MOMENT, TAG_OF, entry, found, in_index, opened, query, texts, view

YES = Decision(is_allowed=True, reason="Allowed", rule="r")


def test_what_was_written_is_found_at_each_level_with_its_counts(tmp_path):
    entries = [entry(uid) for uid in ("1.1.1", "1.1.2", "1.2.1", "2.1.1")]
    entries.append(entry("3.1.1", PatientID="P2", Modality="MR", PatientName="Doe^J"))

    async def work(index):
        written = await index.write(entries)
        assert {one.outcome for one in written} == {Outcome.NEW}
        patients = await found(index, Level.PATIENT, query(NumberOfPatientRelatedInstances=""))
        assert texts(patients, "PatientID") == ["P1", "P2"]
        assert texts(patients, "NumberOfPatientRelatedInstances") == ["4", "1"]
        studies = await found(index, Level.STUDY, query(NumberOfPatientRelatedStudies=""))
        assert texts(studies, "StudyInstanceUID") == ["1", "2", "3"]
        assert texts(studies, "NumberOfStudyRelatedInstances") == ["3", "1", "1"]
        assert texts(studies, "NumberOfStudyRelatedSeries") == ["2", "1", "1"]
        assert texts(studies, "ModalitiesInStudy") == ["CT", "CT", "MR"]
        assert texts(studies, "NumberOfPatientRelatedStudies") == ["2", "2", "1"]
        series = await found(index, Level.SERIES, query(PatientName="doe*"))
        assert texts(series, "SeriesInstanceUID") == ["3.1"]
        images = await found(index, Level.IMAGE, query(StudyInstanceUID="1"))
        assert texts(images, "SOPInstanceUID") == ["1.1.1", "1.1.2", "1.2.1"]
        assert texts(images, "NumberOfSeriesRelatedInstances") == ["2", "2", "1"]
        assert texts(images, "PatientID") == ["P1"] * 3
        assert (await index.totals()).instances == 5
        assert await index.problems() == []

    in_index(tmp_path, work)


def test_the_same_again_changes_nothing_and_another_content_is_kept_aside(tmp_path):
    async def work(index):
        await index.write([entry("1.1.1")])
        written = await index.write(
            [entry("1.1.1"), entry("1.1.1", "other"), entry("1.1.1", "other")]
        )
        kept = Outcome.CONFLICT_KEPT
        assert [one.outcome for one in written] == [Outcome.SAME, kept, kept]
        [held] = await index.instances_with(["1.1.1"])
        [conflict] = await index.conflicts(10)
        assert held.digest == entry("1.1.1").digest == conflict.held_digest
        assert conflict.digest == entry("1.1.1", "other").digest
        assert (await index.totals()).instances == 1
        both = [held.digest, conflict.digest]
        assert await index.referenced([*both, "0" * 64]) == set(both)

    in_index(tmp_path, work)


def test_a_study_of_two_patients_is_two_studies_and_both_are_reported(tmp_path):
    async def work(index):
        await index.write([entry("1.1.1")])
        [second] = await index.write([entry("1.1.2", PatientID="P2")])
        assert second.is_inconsistent
        for patient in ("P1", "P2"):
            answers = await found(
                index, Level.IMAGE, query(StudyInstanceUID="1", PatientID=patient)
            )
            assert len(answers) == 1
        assert texts(await found(index, Level.STUDY), "PatientID") == ["P1", "P2"]
        held = await index.studies_with("1")
        assert held == await index.inconsistencies(10)
        assert [one.patient.patient_id for one in held] == ["P1", "P2"]
        [third] = await index.write([entry("1.1.3")])
        assert third.is_inconsistent
        assert [one.is_inconsistent for one in await index.write([entry("2.1.1")])] == [False]

    in_index(tmp_path, work)


def test_two_studies_without_a_patient_id_are_not_one_patient(tmp_path):
    async def work(index):
        await index.write([entry("1.1.1", PatientID=""), entry("2.1.1", PatientID="")])
        assert len(await found(index, Level.PATIENT)) == 2
        assert await index.studies_of("") == []

    in_index(tmp_path, work)


def test_a_deleted_study_is_gone_and_its_blobs_are_named_by_nobody(tmp_path):
    async def work(index):
        shared = entry("1.1.1").digest
        await index.write([entry("1.1.1"), entry("1.1.2"), entry("1.1.2", "aside")])
        await index.write([entry("2.1.1", digest=shared, PatientID="P2")])
        [first] = await index.studies_with("1")
        gone = await index.delete_study(first.number)
        assert gone.count_instances == 2
        assert gone.digests == {entry("1.1.2").digest, entry("1.1.2", "aside").digest}
        assert await index.delete_study(first.number) is None
        assert texts(await found(index, Level.PATIENT), "PatientID") == ["P2"]
        assert await index.conflicts(10) == []
        assert await index.problems() == []
        [again] = await index.write([entry("1.1.1")])
        assert again.outcome is Outcome.NEW
        assert (await index.studies_with("1"))[0].number != first.number

    in_index(tmp_path, work)


def test_what_was_set_aside_takes_the_place_of_what_was_deleted(tmp_path):
    async def work(index):
        await index.write([entry("1.1.1")])
        await index.write([entry("1.1.1", "other", PatientID="P2")])
        [study] = await index.studies_with("1")
        await index.delete_study(study.number)
        [conflict] = await index.conflicts(10)
        assert conflict.held_digest == ""
        [written] = await index.write([entry("1.1.1", "other", PatientID="P2")])
        assert written.outcome is Outcome.NEW
        assert await index.conflicts(10) == []

    in_index(tmp_path, work)


def test_retrieval_finds_instances_page_by_page_and_frames(tmp_path):
    frames = (Frame(10, 20), Frame(30, 1 << 40))
    limits = dataclasses.replace(DEFAULT_LIMITS, index_page=2)

    async def work(index):
        uids = [f"1.{s}.{i}" for s in (1, 2) for i in (1, 2, 3)]
        await index.write([entry(uid, frames=frames) for uid in uids])
        [study] = await index.studies_of("P1", "")
        held = [one async for one in index.instances_of(study.number)]
        assert [one.sop_instance_uid for one in held] == uids
        assert (held[0].received_at, held[0].source, held[0].size_bytes) == (MOMENT, "ct1", 1_000)
        second = [one async for one in index.instances_of(study.number, "1.2")]
        assert [one.sop_instance_uid for one in second] == uids[3:]
        assert [one.count_instances for one in await index.series_of(study.number)] == [3, 3]
        assert await index.frames_of("1.1.1") == frames
        assert await index.frames_of("9") == ()
        assert await index.studies_of("P1", "another issuer") == []
        some = await index.instances_with(["1.2.1", "9", "1.1.1"])
        assert [one.sop_instance_uid for one in some] == ["1.2.1", "1.1.1"]

    in_index(tmp_path, work, limits=limits)


def test_the_newest_come_first_a_page_at_a_time(tmp_path):
    days = ("20200101", "", "20200301", "20200101", "20200201")
    limits = dataclasses.replace(DEFAULT_LIMITS, index_page=1, index_numbers=2)

    async def work(index):
        await index.write([entry(f"{n}.1.1", StudyDate=day) for n, day in enumerate(days)])
        order = ["2", "4", "3", "0", "1"]
        named = {"order": Order.NEWEST}
        for asked in (query(), query(PatientID="P1"), query(PatientID="*1"), query(PatientID="?1")):
            for offset in range(6):
                for limit in (None, 0, 1, 3, 9):
                    answers = await found(
                        index, Level.STUDY, asked, offset=offset, limit=limit, **named
                    )
                    end = None if limit is None else offset + limit
                    assert texts(answers, "StudyInstanceUID") == order[offset:end]

    in_index(tmp_path, work, limits=limits)


def test_a_study_that_becomes_invisible_during_a_query_is_not_shown(tmp_path):
    limits = dataclasses.replace(DEFAULT_LIMITS, index_page=1)
    secret = Studies(labels=frozenset({"secret"}))
    restriction = Restriction(decision=YES, allow=(Studies(),), deny=(secret,))

    async def work(index):
        await index.write([entry(f"{n}.1.1") for n in (1, 2, 3, 4)])
        seen = []
        async for answer in index.find(query(), Level.STUDY, restriction=restriction):
            seen += texts([answer], "StudyInstanceUID")
            if seen == ["1"]:
                [second] = await index.studies_with("2")
                await index.label(second.number, {"secret"})
                [third] = await index.studies_with("3")
                await index.delete_study(third.number)
        assert seen == ["1", "4"]
        await index.unlabel(second.number, {"secret"})
        assert len(await found(index, Level.STUDY, restriction=restriction)) == 3

    in_index(tmp_path, work, limits=limits)


def test_a_patient_is_shown_as_far_as_his_studies_may_be_seen(tmp_path):
    restriction = Restriction(decision=YES, allow=(Studies(sites=frozenset({"b"})),))

    async def work(index):
        await index.write(
            [
                entry("1.1.1", PatientName="Hidden", site="a"),
                entry("2.1.1", PatientName="Shown", site="b"),
                entry("3.1.1", PatientID="P2", site="a"),
            ]
        )
        asked = query(PatientName="", NumberOfPatientRelatedStudies="")
        [patient] = await found(index, Level.PATIENT, asked, restriction=restriction)
        assert texts([patient], "PatientName") == ["Shown"]
        assert texts([patient], "NumberOfPatientRelatedStudies") == ["1"]
        hidden = query(PatientName="hidden")
        assert await found(index, Level.PATIENT, hidden, restriction=restriction) == []
        nothing = Restriction(decision=YES)
        assert await found(index, Level.IMAGE, restriction=nothing) == []

    in_index(tmp_path, work)


def test_an_entry_that_is_refused_takes_nothing_else_with_it(tmp_path):
    limits = dataclasses.replace(DEFAULT_LIMITS, index_view_bytes=200)

    async def work(index):
        bad = index.write([entry("1.1.1"), entry("1.2.1", SeriesDescription="x" * 300)])
        huge = index.write([entry("3.1.1", size_bytes=1 << 70)])
        half = index.write([entry("4.1.1", source="\ud800")])
        good = index.write([entry("2.1.1"), entry("2.1.2")])
        ends = await asyncio.gather(bad, huge, half, good, return_exceptions=True)
        assert [type(end) for end in ends] == [LimitExceeded, UsageError, UsageError, list]
        assert texts(await found(index, Level.STUDY), "StudyInstanceUID") == ["2"]
        assert (await index.totals()).instances == 2
        assert await index.problems() == []

    in_index(tmp_path, work, limits=limits)


def test_a_closed_index_says_so(tmp_path):
    with opened(tmp_path) as index:
        pass
    index.close()
    with pytest.raises(LocalProtocolError, match="closed"):
        asyncio.run(index.write([entry()]))
    with pytest.raises(LocalProtocolError, match="closed"):
        asyncio.run(index.totals())


def test_an_index_that_is_not_there_is_not_made_where_that_is_not_wanted(tmp_path):
    with pytest.raises(ConfigError, match="there is no index"), opened(tmp_path, may_create=False):
        pass
    assert list(tmp_path.iterdir()) == []


def test_only_one_process_writes(tmp_path):
    with opened(tmp_path), pytest.raises(ConfigError, match="another Doorward"), opened(tmp_path):
        pass


# --- the reference ------------------------------------------------------------------------------------------

NAMES = (
    "Doe^John", "DOE^JANE", "Müller^Änne", "Mueller", "Yamada^Tarou=山田^太郎=やまだ^たろう",
    "Иванов^Иван", "Ólafsdóttir", "Doe", "김^희중", "A\\B",
)  # fmt: skip
VALUES = {
    "PatientID": ("P1", "P2", "p1", "", "P1\\P2"),
    "IssuerOfPatientID": ("", "H"),
    "PatientName": ("", *NAMES),
    "PatientBirthDate": ("", "19700101", "1970.02.03", "none"),
    "PatientSex": ("", "F"),
    "StudyDate": ("", "20200101", "20200102", "20200131", "20210101", "no date", "20200101\\20210505"),
    "StudyTime": ("", "10", "103015.5", "235960"),
    "AccessionNumber": ("", "A1", "A10", "a1"),
    "ReferringPhysicianName": ("", "Doe^John", "Ärzt^A"),
    "StudyDescription": ("", "Abdomen", "ABDOMEN", "Je\u0301 100%_"),
    "StudyID": ("", "1", "S 1"),
    "Modality": ("", "CT", "MR", "SR\\KO"),
    "SeriesNumber": ("", "1", "001", "x"),
    "SeriesDate": ("", "20200101"),
    "BodyPartExamined": ("", "CHEST"),
    "SeriesDescription": ("", "t1", "T1 ax"),
    "InstanceNumber": ("", "1", "02"),
    "Rows": ("", "512"),
}  # fmt: skip
KEYS = dict(VALUES) | {
    "StudyInstanceUID": ("0", "1", "2", "1\\2"),
    "SeriesInstanceUID": ("0.0", "1.1"),
    "SOPInstanceUID": ("0.0.0", "1.*", "1.1.1\\2.0.0"),
    "SOPClassUID": ("1.2.840.10008.5.1.4.1.1.2", "1.2"),
    "ModalitiesInStudy": ("CT", "MR\\KO", "C*", "?R"),
    "SOPClassesInStudy": ("1.2.840.10008.5.1.4.1.1.2",),
    "NumberOfStudyRelatedInstances": ("1", "2", "3"),
    "NumberOfPatientRelatedStudies": ("1", "2", ""),
    "StudyDate": ("20200101-20200131", "-20200102", "20210101-", "20200101", "20200101\\20210101"),
    "StudyTime": ("10", "-12", "1030-", "23"),
    "PatientBirthDate": ("19700101-", "19700203"),
}
CHARACTERS = st.text("*?aeDdoMmP1^=ü山", max_size=5)


def _mangled(text: str) -> st.SearchStrategy[str]:
    """Keys as people type them: another case, a piece and a star, a question mark."""
    middle = len(text) // 2
    made = {text, text.upper(), text[:middle] + "*", "*" + text[middle:], "*" + text[1:-1] + "*"}
    return st.sampled_from(sorted(made | {text.replace("o", "?"), '""', "*"}))


QUERIES = st.dictionaries(st.sampled_from(sorted(KEYS)), st.none(), max_size=3).flatmap(
    lambda chosen: st.fixed_dictionaries(
        {
            keyword: st.sampled_from(KEYS[keyword] + VALUES.get(keyword, ())).flatmap(_mangled)
            | CHARACTERS
            for keyword in chosen
        }
    )
)
RULES = st.builds(
    Rules,
    combined_date_time=st.booleans(),
    empty_values=st.booleans(),
    multiple_values=st.booleans(),
    folded_names=st.sampled_from((True, True, False)),
    unknown_matches=st.sampled_from((False, False, True)),
)
SITES = ("", "a", "b")
LABELS = st.frozensets(st.sampled_from(("x", "y")), max_size=2)
NAMES_OF = st.none() | st.frozensets(st.sampled_from(("a", "b")), max_size=2)
STUDIES = st.builds(
    Studies,
    sites=NAMES_OF,
    departments=NAMES_OF,
    referring_physicians=st.none() | st.just(frozenset({"Doe^John"})),
    labels=st.none() | LABELS,
    since=st.none() | st.just(date(2020, 1, 2)),
    before=st.none() | st.just(date(2020, 2, 1)),
)
RESTRICTIONS = st.none() | st.builds(
    Restriction,
    decision=st.just(YES),
    allow=st.lists(st.one_of(st.just(Studies()), STUDIES), max_size=2).map(tuple),
    deny=st.lists(STUDIES, max_size=1).map(tuple),
)


@st.composite
def _entries(draw):
    uid = ".".join(str(draw(st.integers(0, 2))) for _ in range(3))
    chosen = draw(st.sets(st.sampled_from(sorted(VALUES)), max_size=8))
    attributes = {keyword: draw(st.sampled_from(VALUES[keyword])) for keyword in sorted(chosen)}
    return entry(
        uid,
        draw(st.sampled_from(("", "", "other"))),
        site=draw(st.sampled_from(SITES)),
        department=draw(st.sampled_from(SITES)),
        labels=draw(LABELS),
        **attributes,
    )


class Reference:
    """What an index has to show, from lists and nothing else."""

    def __init__(self, entries) -> None:
        self.held = {}
        self.studies = {}
        for one in entries:
            if one.sop_instance_uid in self.held:
                continue
            self.held[one.sop_instance_uid] = one
            key = (one.patient_key, one.study_uid)
            series = self.studies.setdefault(key, {})
            series.setdefault(one.series_uid, []).append(one)

    def _subject(self, series) -> Subject:
        entries = [one for held in series.values() for one in held]
        first = min(entries, key=lambda one: list(self.held).index(one.sop_instance_uid))
        days = [
            d for d in first.study.get(TAG_OF["StudyDate"], Attribute("DA")).values if d.isdigit()
        ]
        physician = first.study.get(TAG_OF["ReferringPhysicianName"], Attribute("PN")).values
        return Subject(
            site=first.site,
            department=first.department,
            referring_physician=physician[0] if physician else "",
            study_date=date.fromisoformat(days[0]) if days else None,
            labels=frozenset().union(*(one.labels for one in entries)),
        )

    def views(self, level, restriction, asked):
        seen = {
            key: series
            for key, series in self.studies.items()
            if restriction is None or restriction.shows(self._subject(series))
        }
        patients = {}
        for key, series in seen.items():
            patients.setdefault(key[0], []).append(series)
        made, shown = [], set()
        for key, series in seen.items():
            if level is Level.PATIENT and key[0] in shown:
                continue
            shown.add(key[0])
            upper = self._study(key[1], series)
            if level is Level.PATIENT:
                upper = {tag: a for tag, a in upper.items() if level_of(tag) is Level.PATIENT}
            if asked & set(PATIENT_COUNTS):
                theirs = patients[key[0]]
                numbers = (len(theirs), sum(map(len, theirs)))
                instances = sum(len(held) for one in theirs for held in one.values())
                upper |= zip(PATIENT_COUNTS, map(_number, (*numbers, instances)), strict=True)
            made += [upper] if level <= Level.STUDY else self._below(level, upper, series)
        return made

    def _study(self, uid, series):
        entries = [one for held in series.values() for one in held]
        first = next(one for one in self.held.values() if one in entries)
        modalities = {
            m
            for held in series.values()
            for m in held[0].series.get(TAG_OF["Modality"], Attribute("CS")).values
        }
        return {**first.patient, **first.study} | view({"StudyInstanceUID": uid}) | {
            TAG_OF["ModalitiesInStudy"]: Attribute("CS", tuple(sorted(modalities))),
            TAG_OF["SOPClassesInStudy"]: Attribute("UI", (first.sop_class_uid,)),
            TAG_OF["NumberOfStudyRelatedSeries"]: _number(len(series)),
            TAG_OF["NumberOfStudyRelatedInstances"]: _number(len(entries)),
        }  # fmt: skip

    def _below(self, level, upper, series):
        for uid, held in series.items():
            own = upper | held[0].series | view({"SeriesInstanceUID": uid})
            own[TAG_OF["NumberOfSeriesRelatedInstances"]] = _number(len(held))
            if level is Level.SERIES:
                yield own
                continue
            for one in held:
                uids = {"SOPInstanceUID": one.sop_instance_uid, "SOPClassUID": one.sop_class_uid}
                yield own | one.instance | view(uids)


def _number(count):
    return Attribute("IS", (str(count),))


def _plain(answers):
    return sorted(
        repr(sorted((tag, a.vr, a.values) for tag, a in answer.items())) for answer in answers
    )


SMALL = dataclasses.replace(DEFAULT_LIMITS, index_page=2, index_numbers=3, index_alternatives=2)


@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(_entries(), max_size=12),
    st.lists(
        st.tuples(QUERIES, RULES, RESTRICTIONS, st.sampled_from(Order)), min_size=1, max_size=8
    ),
    st.sampled_from((SMALL, DEFAULT_LIMITS)),
)
def test_an_index_finds_what_the_reference_finds(entries, asked, limits):
    reference = Reference(entries)
    parsed = []
    for keys, rules, restriction, order in asked:
        try:
            parsed.append((parse_query(view(keys), rules), restriction, order))
        except PeerProtocolError:
            continue
    assume(parsed)

    async def work(index):
        for one in entries:
            await index.write([one])
        for wanted, restriction, order in parsed:
            for level in Level:
                answers = await found(index, level, wanted, restriction=restriction, order=order)
                expected = reference.views(level, restriction, wanted.asked)
                right = [v for v in expected if matches(wanted, v)]
                assert _plain(answers) == _plain(right), (level, wanted)
        assert await index.problems() == []

    with tempfile.TemporaryDirectory() as folder:
        in_index(Path(folder), work, limits=limits)


def _typed(chance: random.Random, text: str) -> str:
    """Return a key as somebody types it who looks for this text."""
    middle = len(text) // 2
    forms = (
        text,
        text,
        text.upper(),
        text[:middle] + "*",
        "*" + text[middle:],
        "*" + text[1:-1] + "*",
    )
    forms += (f"*{text[middle:]}^*",)
    return chance.choice((*forms, text.replace("o", "?", 1), text + "^*"))


@pytest.mark.parametrize("seed", range(3))
def test_a_full_archive_answers_every_kind_of_key_as_the_reference_does(tmp_path, seed):
    """Densely: most attributes have values, and most keys look for one that is there."""
    chance = random.Random(seed)
    entries = [
        entry(
            ".".join(str(chance.randrange(top)) for top in (12, 2, 3)),
            site=chance.choice(SITES),
            **{keyword: chance.choice(values) for keyword, values in VALUES.items()},
        )
        for _ in range(60)
    ]
    reference = Reference(entries)
    restriction = Restriction(
        decision=YES,
        allow=(Studies(sites=frozenset({"a", "b"})),),
        deny=(Studies(referring_physicians=frozenset({"Doe^John"}), before=date(2020, 1, 2)),),
    )
    views = {
        (level, seen): list(reference.views(level, seen, set(PATIENT_COUNTS)))
        for level in Level
        for seen in (None, restriction)
    }
    counts = view(dict.fromkeys(map(keyword_of, PATIENT_COUNTS), ""))

    async def work(index):
        hits = 0
        await index.write(entries)
        for _ in range(250):
            chosen = chance.sample(sorted(KEYS), chance.choice((1, 1, 2)))
            keys = {k: _typed(chance, chance.choice(KEYS[k] + VALUES.get(k, ()))) for k in chosen}
            rules = Rules(folded_names=chance.random() < 0.9, unknown_matches=chance.random() < 0.1)
            try:
                wanted = parse_query(counts | view(keys), rules)
            except PeerProtocolError:
                continue
            level, seen = chance.choice(list(Level)), chance.choice((None, restriction))
            answers = await found(index, level, wanted, restriction=seen)
            right = [v for v in views[level, seen] if matches(wanted, v)]
            assert _plain(answers) == _plain(right), keys
            hits += 0 < len(right) < len(views[level, seen])
        assert hits > 50

    in_index(tmp_path, work)


def test_vrs_of_strangers_change_nothing(tmp_path):
    odd = entry("1.1.1")
    odd.patient[TAG_OF["PatientID"]] = Attribute("PN", ("Doe^J",))

    async def work(index):
        await index.write([odd])
        assert vr_of(TAG_OF["PatientID"]) == "LO"
        assert len(await found(index, Level.STUDY, query(PatientID="Doe^J"))) == 1
        assert await found(index, Level.STUDY, query(PatientID="doe^j")) == []

    in_index(tmp_path, work)
