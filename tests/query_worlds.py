"""What an archive holds in a world of a few patients, and questions about it: for oracles of queries.

A ``World`` comes from a seed: pydicom data sets in the order in which they are stored, in several character sets, with
attributes that are missing, empty, or have several values. ``questions`` is a Hypothesis strategy: each asks mostly for what
is there, whole or by wild card, range and list. Nothing here uses code of ours.
"""

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property
from io import BytesIO
from typing import Any

from hypothesis import strategies as st
from pydicom import Dataset, config
from pydicom.filebase import DicomBytesIO
from pydicom.filereader import read_dataset
from pydicom.filewriter import write_dataset
from pydicom.multival import MultiValue
from pydicom.sequence import Sequence
from pydicom.uid import CTImageStorage, EnhancedSRStorage, MRImageStorage

from naive_matching import vr_of

LEVELS = ("PATIENT", "STUDY", "SERIES", "IMAGE")
UNIQUE = dict(
    zip(
        LEVELS,
        ("PatientID", "StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"),
        strict=True,
    )
)
_LATIN = [
    "",
    "Doe^John",
    "DOE^JANE^A",
    "Müller^Jörg",
    "Muller^Anna",
    "Roe",
    "Doe^John^^Dr",
    "O'Neil^Ann*",
]
_CYRILLIC = ["Иванов^Пётр", "Иванова^Анна", "Doe^John"]
_JAPANESE = ["Yamada^Tarou=山田^太郎=やまだ^たろう", "=山田^花子", "Suzuki^Ann==すずき^あん"]
_ANY = [*_LATIN, *_CYRILLIC, *_JAPANESE, "王^小東", "Łukasz^Żak"]
#: Specific Character Set -> names that can be written in it.
NAMES: Mapping[tuple[str, ...], list[str]] = {
    (): ["", "Doe^John", "doe^john", "Roe^Jane", "Mueller^Jorg"],
    ("ISO_IR 100",): _LATIN,
    ("ISO_IR 144",): _CYRILLIC,
    ("", "ISO 2022 IR 87"): _JAPANESE,
    ("ISO_IR 192",): _ANY,
}
_DAYS = ["", "20200101", "20200115", "20200131", "20210630", "20211231", "2020.01.15"]
_TIMES = ["", "08", "0930", "093000", "101530.25", "120000.000001", "235959"]
_TEXTS = ["", "Head", "HEAD ", "Hand AP", "head*", "Thorax 2 plain", "a?c"]
_PERSONS = ["", "House^Greg", "WATSON^JOHN", "Doe^John"]
#: Keyword -> values that are met, by the level that the attribute belongs to (PS3.3, PS3.4 section C.6).
HELD: Mapping[str, Mapping[str, list[str]]] = {
    "PATIENT": {
        "PatientID": ["", "P1", "P2", "p2", "P10", "A-1*"],
        "IssuerOfPatientID": ["", "NORTH", "SOUTH"],
        "PatientBirthDate": ["", "19500101", "19991231", "20000229"],
        "PatientSex": ["", "F", "M", "O"],
        "PatientComments": ["", "fasting", "two words"],
    },
    "STUDY": {
        "StudyDate": _DAYS,
        "StudyTime": _TIMES,
        "AccessionNumber": ["", "A1", "A2", "A10", "a1"],
        "StudyID": ["", "1", "01", "S?"],
        "StudyDescription": _TEXTS,
        "ReferringPhysicianName": _PERSONS,
        "NameOfPhysiciansReadingStudy": ["", "House^Greg\\Doe^John", "Roe"],
        "TimezoneOffsetFromUTC": ["", "", "+0100", "-0530"],
        "PatientAge": ["", "042Y", "006M"],
        "PatientWeight": ["", "70", "70.0", "7E1", "65.5"],
    },
    "SERIES": {
        "Modality": ["", "CT", "CT", "MR", "SR"],
        "SeriesNumber": ["", "1", "2", "+02", "10"],
        "SeriesDescription": _TEXTS,
        "BodyPartExamined": ["", "HEAD", "CHEST"],
        "SeriesDate": _DAYS,
        "SeriesTime": _TIMES,
        "PerformedProcedureStepStartDate": _DAYS,
        "PerformedProcedureStepStartTime": _TIMES,
        "Laterality": ["", "L", "R"],
    },
    "IMAGE": {
        "InstanceNumber": ["", "1", "2", "03"],
        "ImageType": ["", "ORIGINAL\\PRIMARY", "DERIVED\\SECONDARY\\AXIAL"],
        "AcquisitionDateTime": [
            *("", "2020", "202001", "20200115", "20200115093000"),
            *("20200115093000+0100", "20200115080000.5-0530"),
        ],
        "ContentDate": _DAYS,
        "ContentTime": _TIMES,
        "NumberOfFrames": ["", "1", "4"],
        "SliceThickness": ["", "1.5", "1.50", "2"],
        "Rows": ["16", "512"],
    },
}
#: Sequence -> what its items hold.
ITEMS: Mapping[str, tuple[str, Mapping[str, list[str]]]] = {
    "OtherPatientIDsSequence": (
        "PATIENT",
        {"PatientID": ["X1", "X2", "P1"], "IssuerOfPatientID": ["", "NORTH", "OLD"]},
    ),
    "ProcedureCodeSequence": (
        "STUDY",
        {"CodeValue": ["10", "20"], "CodingSchemeDesignator": ["L", "SCT"], "CodeMeaning": _TEXTS},
    ),
    "RequestAttributesSequence": (
        "SERIES",
        {
            "ScheduledProcedureStepID": ["", "S1", "S2"],
            "RequestedProcedureID": ["", "R1", "R2"],
            "RequestedProcedureDescription": _TEXTS,
        },
    ),
}
#: What an archive makes itself (PS3.4 section C.3.4), by level.
MADE: Mapping[str, tuple[str, ...]] = {
    "PATIENT": tuple(f"NumberOfPatientRelated{of}" for of in ("Studies", "Series", "Instances")),
    "STUDY": (
        *("ModalitiesInStudy", "SOPClassesInStudy"),
        *("NumberOfStudyRelatedSeries", "NumberOfStudyRelatedInstances"),
    ),
    "SERIES": ("NumberOfSeriesRelatedInstances",),
    "IMAGE": (),
}
NAMED = "PatientName"
OFFSET = "TimezoneOffsetFromUTC"
_CLASSES = {"MR": MRImageStorage, "SR": EnhancedSRStorage}


def keywords_at(level: str) -> list[str]:
    """Return what may be asked for at a level: its own attributes and those above."""
    found = []
    for one in LEVELS[: LEVELS.index(level) + 1]:
        found += [*HELD[one], *(k for k, (of, _) in ITEMS.items() if of == one)]
        found += [UNIQUE[one]] if one != "PATIENT" else [NAMED]
        found += MADE[one] if one in (level, "STUDY", "SERIES") else ()
    return [*found, "SOPClassUID"] if level == "IMAGE" else found


@dataclass(frozen=True, kw_only=True)
class World:
    """What is held. ``sites`` and ``labels`` are by Study Instance UID: who has sent it, and what was put on it."""

    instances: tuple[Dataset, ...]
    sites: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, frozenset[str]] = field(default_factory=dict)

    @cached_property
    def studies(self) -> dict[str, list[Dataset]]:
        """Study Instance UID -> its instances, as they came in."""
        found: dict[str, list[Dataset]] = {}
        for one in self.instances:
            found.setdefault(one.StudyInstanceUID, []).append(one)
        return found

    @cached_property
    def all(self) -> dict[str, list[Dataset]]:
        """Level -> what there is, for whoever sees everything."""
        return {level: self.entities(level, frozenset(self.studies)) for level in LEVELS}

    def entities(self, level: str, visible: frozenset[str]) -> list[Dataset]:
        """Return what there is at a level, of the studies that are visible."""
        studies = {uid: held for uid, held in self.studies.items() if uid in visible}
        if level == "PATIENT":
            return list(_patients(studies))
        made = []
        for held in studies.values():
            study = _own(held[0], "PATIENT", "STUDY") | _made_of_study(held)
            study |= _made_of_patient(
                [h for h in studies.values() if _patient(h) == _patient(held)]
            )
            made += [study] if level == "STUDY" else list(_below(level, study, held))
        return [_data_set(one) for one in made]


def _patient(held: list[Dataset]) -> tuple[str, ...]:
    """Patients are told apart by ID and issuer; a study without an ID is a patient of its own."""
    first = held[0]
    named = str(first.get("PatientID") or "")
    issuer = str(first.get("IssuerOfPatientID") or "")
    return (named, issuer) if named else ("", issuer, first.StudyInstanceUID)


def _patients(studies: Mapping[str, list[Dataset]]) -> Iterator[Dataset]:
    by_patient: dict[tuple[str, ...], list[list[Dataset]]] = {}
    for held in studies.values():
        by_patient.setdefault(_patient(held), []).append(held)
    for theirs in by_patient.values():
        yield _data_set(_own(theirs[0][0], "PATIENT") | _made_of_patient(theirs))


def _below(level: str, study: dict[str, Any], held: list[Dataset]) -> Iterator[dict[str, Any]]:
    by_series: dict[str, list[Dataset]] = {}
    for one in held:
        by_series.setdefault(one.SeriesInstanceUID, []).append(one)
    for inside in by_series.values():
        series = study | _own(inside[0], "SERIES")
        series["NumberOfSeriesRelatedInstances"] = str(len(inside))
        if level == "SERIES":
            yield series
            continue
        for one in inside:
            yield series | _own(one, "IMAGE") | {"SOPClassUID": one.SOPClassUID}


def _own(one: Dataset, *levels: str) -> dict[str, Any]:
    names = [UNIQUE[level] for level in levels]
    names += [k for level in levels for k in HELD[level]]
    names += [k for k, (level, _) in ITEMS.items() if level in levels]
    names += [NAMED] if "PATIENT" in levels else []
    return {name: one.get(name) for name in names if name in one}


def _made_of_study(held: list[Dataset]) -> dict[str, Any]:
    series = {one.SeriesInstanceUID: one.get("Modality") for one in held}
    return {
        "ModalitiesInStudy": sorted({text for text in series.values() if text}),
        "SOPClassesInStudy": sorted({str(one.SOPClassUID) for one in held}),
        "NumberOfStudyRelatedSeries": str(len(series)),
        "NumberOfStudyRelatedInstances": str(len(held)),
    }


def _made_of_patient(theirs: list[list[Dataset]]) -> dict[str, Any]:
    series = {one.SeriesInstanceUID for held in theirs for one in held}
    counts = (len(theirs), len(series), sum(map(len, theirs)))
    return dict(zip(MADE["PATIENT"], map(str, counts), strict=True))


def _data_set(values: Mapping[str, Any]) -> Dataset:
    made = Dataset()
    with config.disable_value_validation():
        for keyword, value in values.items():
            is_text = vr_of(keyword) == "US" and isinstance(value, str)
            numbers = [int(text) for text in value.split("\\") if text] if is_text else []
            setattr(made, keyword, numbers or None if is_text else value)
    return made


# --- making one -------------------------------------------------------------------------------------------------------------


def make_world(seed: int) -> World:
    """Return the world of a seed: some ten studies, some forty instances."""
    chance = random.Random(seed)
    instances: list[Dataset] = []
    sites, labels = {}, {}
    for patient in range(5):
        about = _chosen(chance, HELD["PATIENT"], "PATIENT")
        for study in range(chance.randint(1, 3)):
            uid = f"2.25.{seed + 1}.{patient}.{study}"
            sites[uid] = chance.choice(("north", "south", ""))
            labels[uid] = frozenset(
                chance.choice(((), ("vip",), ("vip", "teaching"), ("teaching",)))
            )
            instances += _study(chance, uid, about)
    return World(instances=tuple(instances), sites=sites, labels=labels)


def _study(chance: random.Random, uid: str, about: Mapping[str, Any]) -> Iterator[Dataset]:
    character_set = chance.choice(list(NAMES))
    upper = dict(about) | _chosen(chance, HELD["STUDY"], "STUDY")
    upper |= {"StudyInstanceUID": uid, NAMED: chance.choice(NAMES[character_set])}
    for series in range(chance.randint(1, 3)):
        own = _chosen(chance, HELD["SERIES"], "SERIES")
        own["SeriesInstanceUID"] = f"{uid}.{series}"
        class_uid = _CLASSES.get(own.get("Modality", ""), CTImageStorage)
        for image in range(chance.randint(1, 3)):
            one = upper | own | _chosen(chance, HELD["IMAGE"], "IMAGE")
            one |= {"SOPClassUID": class_uid, "SOPInstanceUID": f"{uid}.{series}.{image}"}
            if character_set:
                one["SpecificCharacterSet"] = list(character_set)
            yield decoded(encoded(_data_set(one)))


def _chosen(
    chance: random.Random, held: Mapping[str, list[str]], level: str = ""
) -> dict[str, Any]:
    """Return values, leaving some attributes out."""
    made: dict[str, Any] = {k: chance.choice(v) for k, v in held.items() if chance.random() < 0.85}
    for keyword, (of, inner) in ITEMS.items():
        if of == level and chance.random() < 0.7:
            items = [_data_set(_chosen(chance, inner)) for _ in range(chance.choice((0, 1, 2)))]
            made[keyword] = Sequence(items)
    return made


# --- questions ----------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Asked:
    """One question: keys by keyword (text, or keys of the item of a sequence), "" for what is only to be returned."""

    level: str
    keys: Mapping[str, Any]
    #: The upper levels are named by their UIDs, as C-FIND wants it.
    is_hierarchical: bool = True
    character_set: tuple[str, ...] = ("ISO_IR 192",)
    is_implicit: bool = False
    #: Over HTTP: tags instead of keywords, commas instead of backslashes.
    spelling: int = 0


@st.composite
def questions(draw: st.DrawFn, world: World, *, is_empty_asked: bool = False) -> Asked:
    """Ask for something at a level; ``is_empty_asked``: also for what has no value (PS3.4 section C.2.2.2.7)."""
    level = draw(st.sampled_from(("STUDY", "STUDY", "SERIES", "IMAGE", "PATIENT")))
    target = draw(st.sampled_from(world.all[level]))
    chosen = draw(_keywords(level, 2))
    returned = draw(_keywords(level, 4))
    keys: dict[str, Any] = dict.fromkeys(returned, "")
    for keyword in chosen:
        keys[keyword] = draw(_key(keyword, target))
    if is_empty_asked:
        own = [name for name in chosen if vr_of(name) not in ("SQ", "UI")]
        keys |= {name: '""' for name in own if draw(st.booleans())}
    keys.setdefault(UNIQUE[level], "")
    if OFFSET in keys or keys.get("AcquisitionDateTime"):
        # It says how to read the identifier, and is never matched.
        keys[OFFSET] = draw(st.sampled_from(("", "+0100", "-0530")))
    is_hierarchical = level in ("PATIENT", "STUDY") or draw(st.integers(0, 3)) > 0
    if is_hierarchical:
        for upper in LEVELS[1 : LEVELS.index(level)]:
            keys[UNIQUE[upper]] = str(target[UNIQUE[upper]].value)
    return Asked(
        level=level,
        keys=keys,
        is_hierarchical=is_hierarchical,
        character_set=draw(st.sampled_from(_writable(keys))),
        is_implicit=draw(st.booleans()),
        spelling=draw(st.integers(0, 3)),
    )


@cache  # making a strategy takes longer than drawing from it
def _keywords(level: str, most: int) -> st.SearchStrategy[list[str]]:
    rules_of_their_own = [NAMED, NAMED, *(["AcquisitionDateTime"] * 4 if level == "IMAGE" else [])]
    names = st.sampled_from([*rules_of_their_own, *keywords_at(level)])
    return st.lists(names, max_size=most, unique=True)


def _writable(keys: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """Return the character sets in which the keys can be written."""
    text = "".join(_texts(keys))
    found: list[tuple[str, ...]] = [("ISO_IR 192",)]
    found += [()] if text.isascii() else []
    for name, codec in (("ISO_IR 100", "latin-1"), ("ISO_IR 144", "iso-8859-5")):
        try:
            text.encode(codec)
        except UnicodeEncodeError:
            continue
        found.append((name,))
    return found


def _texts(keys: Mapping[str, Any]) -> Iterator[str]:
    for value in keys.values():
        yield from _texts(value) if isinstance(value, Mapping) else (value,)


def _key(keyword: str, target: Dataset) -> st.SearchStrategy[Any]:
    vr = vr_of(keyword)
    if vr == "SQ":
        return _item_key(keyword, target)
    element = target.get_item(keyword) and target[keyword]
    value = element.value if element is not None else None
    several = list(value) if isinstance(value, MultiValue | list) else [value]
    held = tuple(text for text in map(str, several) if text and text != "None")
    return _text_key(keyword, vr, held or tuple(_vocabulary(keyword)))


@cache
def _text_key(keyword: str, vr: str, held: tuple[str, ...]) -> st.SearchStrategy[str]:
    one = st.sampled_from(held)
    if vr == "UI":
        return st.one_of(one, st.just("\\".join([held[0], "9.9"])), st.just("9.9"))
    other = st.sampled_from(_vocabulary(keyword) or held)
    value = st.one_of(one, one, other)
    if vr in ("DA", "TM", "DT"):
        ranges = st.tuples(value, value).map(lambda pair: _sorted_range(vr, *pair))
        return st.one_of(value, value.map(lambda v: f"{v}-"), value.map(lambda v: f"-{v}"), ranges)
    lists = st.tuples(value, other).map("\\".join) if vr not in ("LT", "ST") else value
    if vr in ("IS", "DS", "US", "AS"):
        numbers = [value, lists, *([value.map(lambda v: v.zfill(4))] if vr == "IS" else [])]
        return st.one_of(numbers)
    typed = st.builds(_typed, value, st.integers(0, 5))
    if vr == "PN":
        return st.one_of(value, lists, typed, value.map(lambda name: f"{name}^*"))
    return st.one_of(value, value, lists, typed)


def _vocabulary(keyword: str) -> list[str]:
    for held in (*HELD.values(), *(inner for _, inner in ITEMS.values())):
        if keyword in held:
            return [text for value in held[keyword] for text in value.split("\\") if text]
    if keyword == NAMED:
        return [name for name in _ANY if name]
    return {"ModalitiesInStudy": ["CT", "MR", "US"], "SOPClassUID": [str(CTImageStorage)]}.get(
        keyword, ["1", "2", "3"]
    )


def _sorted_range(vr: str, first: str, last: str) -> str:
    plain = [text.replace(".", "") if vr == "DA" else text for text in (first, last)]
    begin, end = sorted(plain, key=lambda text: text[:8] if vr == "DT" else text)
    if vr == "DT" and begin[:4] == end[:4]:
        begin = begin[:4]  # so that it does not end before it begins, whatever the offsets
        end = end[:4]
    return f"{begin}-{end}"


def _typed(text: str, form: int) -> str:
    """Return a text as somebody types it who looks for it."""
    middle = len(text) // 2
    return (
        text[:middle] + "*",
        "*" + text[middle:],
        f"*{text[1:-1]}*",
        text[:middle] + "?" + text[middle + 1 :],
        text.upper(),
        text.lower(),
    )[form]


def _item_key(keyword: str, target: Dataset) -> st.SearchStrategy[Any]:
    items = list(target.get(keyword) or []) or [Dataset()]
    inner = list(ITEMS[keyword][1])

    @st.composite
    def of_one(draw: st.DrawFn) -> dict[str, Any]:
        item = draw(st.sampled_from(items))
        names = draw(st.lists(st.sampled_from(inner), max_size=2, unique=True))
        made = {name: draw(_key(name, item)) for name in names}
        return made | dict.fromkeys(draw(st.lists(st.sampled_from(inner), max_size=1)), "")

    return of_one()


_TWO_DAYS = st.lists(st.sampled_from([d for d in _DAYS if d.isdigit()]), min_size=2, max_size=2)
_TWO_TIMES = st.lists(st.sampled_from([t for t in _TIMES if t]), min_size=2, max_size=2)


@st.composite
def pairs_of_ranges(draw: st.DrawFn) -> Asked:
    """Ask for a date and its time, each by one value or range: from the evening of one day to the morning of another."""
    level, date, time = draw(
        st.sampled_from(
            (
                ("STUDY", "StudyDate", "StudyTime"),
                ("SERIES", "SeriesDate", "SeriesTime"),
                ("IMAGE", "ContentDate", "ContentTime"),
            )
        )
    )
    first, last = sorted(draw(_TWO_DAYS))
    begin, end = draw(_TWO_TIMES)
    forms = ("{0}-{1}", "{0}-{1}", "{0}-", "-{1}")
    form = draw(st.sampled_from(forms))
    keys = {date: form.format(first, last), time: form.format(begin, end), UNIQUE[level]: ""}
    return Asked(level=level, keys=keys)


# --- as bytes -----------------------------------------------------------------------------------------------------------------


def encoded(one: Dataset, *, is_implicit: bool = False) -> bytes:
    """Return a data set as pydicom writes it."""
    stream = DicomBytesIO()
    stream.is_little_endian, stream.is_implicit_VR = True, is_implicit
    with config.disable_value_validation():
        write_dataset(stream, one)
    return stream.getvalue()


def decoded(content: bytes, *, is_implicit: bool = False) -> Dataset:
    """Return a data set as pydicom reads it, decoded."""
    with config.disable_value_validation():
        found = read_dataset(BytesIO(content), is_implicit, True)
        found.decode()
        for element in found.iterall():
            assert element is not None
    return found


def unicode_of(one: Dataset) -> Dataset:
    """Return a data set to be written in UTF-8."""
    made = Dataset(one)
    made.SpecificCharacterSet = "ISO_IR 192"
    return made


def identifier(asked: Asked) -> Dataset:
    """Return a question as the identifier of a C-FIND."""
    made = _identifier(asked.keys)
    made.QueryRetrieveLevel = asked.level
    if asked.character_set:
        made.SpecificCharacterSet = list(asked.character_set)
    return made


def _identifier(keys: Mapping[str, Any]) -> Dataset:
    made: dict[str, Any] = {}
    for keyword, value in keys.items():
        if isinstance(value, Mapping):
            made[keyword] = Sequence([_identifier(value)])
        elif vr_of(keyword) == "SQ":
            made[keyword] = Sequence()
        else:
            made[keyword] = value
    return _data_set(made)
