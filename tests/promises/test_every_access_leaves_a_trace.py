"""Promise 8: every access leaves a trace, on both doors, in a journal that holds nothing of patients and can be verified."""

import asyncio
import http.client
import json
import ssl
import tomllib
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from archive_commands import PASSWORD, archive_process
from archive_folders import NOW, appended, calling_context, ct1, ephemeral, made
from archives import HOST, SYNTAXES, identifier, instance, proposal_of
from both_doors import HELD, STUDY, House, both_doors
from doorward.access.identity import Operation, Person, Role, Service
from doorward.access.journal.index import records as find_records
from doorward.access.journal.reading import Wanted, show
from doorward.access.journal.record import Entry, Event, Head, Outcome, make_record
from doorward.access.journal.segments import segment_paths
from doorward.access.journal.verify import verify
from doorward.access.rules import TEMPLATE, rules_of
from doorward.archive.running.persons import add_person, issue_token
from doorward.archive.running.settings import AuditMessageSettings
from doorward.cli.main import run
from doorward.errors import DoorwardError
from doorward.net.client import associate
from doorward.net.transfer import store
from doorward.wire.uids import STUDY_ROOT_FIND, STUDY_ROOT_GET, STUDY_ROOT_MOVE, VERIFICATION
from index_entries import CT
from loopback import OpenGate
from stow_bodies import MULTIPART, file, multipart, post
from web_archives import ask

IN_A_YEAR = datetime.now(UTC) + timedelta(days=365)
RULES = rules_of(tomllib.loads(TEMPLATE), file=Path("doorward.toml"))
SERIES = f"/dicom-web/studies/{STUDY}/series/{HELD}.2"
IMAGE = f"{SERIES}/instances/{HELD}"
OK, NO, BROKEN = Outcome.SUCCESS, Outcome.REFUSED, Outcome.FAILED
OPENED, CLOSED = (Event.ASSOCIATION_OPENED, OK), (Event.ASSOCIATION_CLOSED, OK)
LEAVING = ((Event.TRANSFER_BEGUN, OK), (Event.RETRIEVE, OK))


# --- what is done, and what is written down ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    persons = [Person(name="rita", role=Role.READER), Person(name="otto", role=Role.AUDITOR)]
    mover = Service(name="mover", role=Role.MIGRATION, ae_titles=("WS9",), expires_at=IN_A_YEAR)
    with both_doors(
        tmp_path_factory.mktemp("house"),
        rules=RULES,
        persons=persons,
        services=(mover,),
        by_token=("mover", "rita", "otto"),
    ) as found:
        yield found


def traced(house: House, act: Callable[[], Any]) -> list[Entry]:
    """Do something and return what the journal then says."""
    before = len(house.records())
    act()
    for _ in range(50):  # the end of an association is seen by the other side a moment later
        found = [
            one.entry for one in house.records()[before:] if one.entry.event != Event.JOURNAL_READ
        ]
        opened = sum(one.event == Event.ASSOCIATION_OPENED for one in found)
        if sum(one.event == Event.ASSOCIATION_CLOSED for one in found) == opened:
            break
    return found


def dicom(who: str, operation: Operation) -> Callable[[House], Any]:
    return lambda house: house.by_dicom(who, operation)


def web(who: str, path: str, **headers: str) -> Callable[[House], Any]:
    return lambda house: house.get(who, path, **headers)


LOGGED_IN = (Event.LOGIN, OK)
REFUSED = ((Event.REFUSAL, NO),)
#: What is done, by whom; and what must be in the journal of it, in this order.
ACTS: dict[str, tuple[Callable[[House], Any], str, tuple[tuple[Event, Outcome], ...]]] = {
    "C-ECHO": (dicom("ct1", Operation.ECHO), "ct1", (OPENED, CLOSED)),
    "C-ECHO refused": (
        dicom("rita", Operation.ECHO),
        "rita",
        (LOGGED_IN, OPENED, *REFUSED, CLOSED),
    ),
    "C-STORE": (dicom("ct1", Operation.STORE), "ct1", (OPENED, (Event.STORE, OK), CLOSED)),
    "C-STORE refused": (dicom("ws1", Operation.STORE), "ws1", (OPENED, *REFUSED, CLOSED)),
    "C-FIND": (dicom("ws1", Operation.QUERY), "ws1", (OPENED, (Event.QUERY, OK), CLOSED)),
    "C-FIND refused": (dicom("ct1", Operation.QUERY), "ct1", (OPENED, *REFUSED, CLOSED)),
    "C-GET refused": (dicom("ct1", Operation.RETRIEVE), "ct1", (OPENED, *REFUSED, CLOSED)),
    "C-MOVE refused": (
        dicom("mover", Operation.MOVE),
        "mover",
        (LOGGED_IN, OPENED, *REFUSED, CLOSED),
    ),
    "commitment": (dicom("ct1", Operation.COMMIT), "ct1", (OPENED, (Event.COMMIT, OK))),
    "QIDO": (web("ws1", "/dicom-web/studies"), "ws1", ((Event.QUERY, OK),)),
    "QIDO of series": (
        web("rita", f"/dicom-web/studies/{STUDY}/series"),
        "rita",
        ((Event.QUERY, OK),),
    ),
    "QIDO refused": (web("otto", "/dicom-web/studies"), "otto", REFUSED),
    "QIDO by a person": (web("rita", "/dicom-web/studies"), "rita", ((Event.QUERY, OK),)),
    "WADO of a study": (web("ws1", f"/dicom-web/studies/{STUDY}"), "ws1", LEAVING),
    "WADO of a series": (web("ws1", SERIES), "ws1", LEAVING),
    "WADO of an instance": (web("rita", IMAGE), "rita", LEAVING),
    "WADO refused": (web("ct1", IMAGE), "ct1", REFUSED),
    "nothing of that name": (
        web("ws1", "/dicom-web/studies/9.9.9"),
        "ws1",
        ((Event.TRANSFER_BEGUN, OK),),
    ),
    "a malformed query": (
        web("ws1", "/dicom-web/studies?limit=-1"),
        "ws1",
        ((Event.REFUSAL, BROKEN),),
    ),
    "a path that is none": (web("ct1", "/dicom-web/secrets"), "ct1", ((Event.REFUSAL, BROKEN),)),
}


@pytest.mark.parametrize("act", ACTS)
def test_each_act_is_in_the_journal_with_who_and_how_it_ended(house, act):
    do, who, expected = ACTS[act]
    found = traced(house, lambda: do(house))
    said = [(one.event, one.outcome) for one in found]
    assert said[: len(expected)] == list(expected), found
    for one in found:
        assert (one.identity, one.peer) == (who, HOST), one
        assert one.how, "how it was shown"


LOOKS = (
    ("ws1", f"/dicom-web/studies/{STUDY}/metadata"),
    ("rita", f"{SERIES}/metadata"),
    ("mover", f"{IMAGE}/metadata"),
    ("ws1", f"{IMAGE}/bulkdata/7FE00010"),
    ("ws1", IMAGE),
)


@pytest.mark.parametrize(("who", "path"), LOOKS)
def test_every_way_to_a_study_names_the_study(house, who, path):
    found = traced(house, lambda: house.get(who, path, Accept="*/*"))
    assert found, path
    assert {(one.identity, one.studies) for one in found} == {(who, (STUDY,))}


def test_looking_on_at_a_study_is_one_look_of_one_caller_from_one_place(house):
    path = f"/dicom-web/studies/{STUDY}/metadata"
    house.get("ws1", path)
    assert traced(house, lambda: house.get("ws1", path)) == []
    found = traced(house, lambda: from_elsewhere(house, path))
    assert [(one.peer, one.studies) for one in found] == [("127.0.0.7", (STUDY,))]


def from_elsewhere(house: House, path: str) -> None:
    line = house.site.connection("ws1")
    line.source_address = ("127.0.0.7", 0)
    assert ask(line, "GET", path).status == 200
    line.close()


def test_an_image_that_cannot_be_shown_was_asked_for_all_the_same(house):
    for path in (f"{IMAGE}/frames/1", f"{IMAGE}/rendered", f"{IMAGE}/thumbnail"):
        found = traced(house, lambda path=path: house.get("ws1", path))
        assert [STUDY in one.studies for one in found][:1] == [True], (path, found)


def test_one_that_the_caller_has_already_is_a_trace_too(house):
    etag = house.get("ws1", IMAGE, Accept="application/dicom").headers["etag"]
    found = traced(
        house, lambda: house.get("ws1", IMAGE, Accept="application/dicom", If_None_Match=etag)
    )
    assert [(one.event, one.studies) for one in found] == [(Event.RETRIEVE, (STUDY,))]


def test_a_stow_names_what_was_stored(house):
    body = multipart([file("1.2.77"), file("1.2.78")])
    found = traced(house, lambda: post(house.site, body))
    assert [(one.event, one.outcome, one.identity) for one in found] == [
        (Event.STORE, OK, "ct1")
    ] * 2
    assert {one.studies for one in found} == {("1.2.77.1",), ("1.2.78.1",)}
    assert all(one.blob and one.size_bytes for one in found)


def test_a_query_is_written_with_its_keys_and_no_values_on_both_doors(house):
    [_, by_dicom, _] = traced(house, lambda: house.by_dicom("ws1", Operation.QUERY))
    [by_web] = traced(house, lambda: house.get("ws1", "/dicom-web/studies?PatientName=X*&limit=3"))
    assert by_dicom.keys == ("0020000D",)
    assert "00100010" in by_web.keys
    assert (by_dicom.values, by_web.values) == ((), ())
    assert (by_dicom.operation, by_web.operation) == (Operation.QUERY, Operation.QUERY)


@pytest.mark.parametrize(
    ("model", "event", "call"),
    (
        (STUDY_ROOT_FIND, Event.QUERY, "find"),
        (STUDY_ROOT_GET, Event.RETRIEVE, "get"),
        (STUDY_ROOT_MOVE, Event.MOVE, "move"),
    ),
)
def test_a_question_that_is_none_is_written_down_as_one_that_failed(house, model, event, call):
    from both_doors import _QUESTIONS

    operation = {"find": Operation.QUERY, "get": Operation.RETRIEVE, "move": Operation.MOVE}[call]
    uid, make, _ = _QUESTIONS[operation]
    nonsense = identifier("PLANET", StudyInstanceUID=STUDY)
    found = traced(house, lambda: asyncio.run(house._dimse("ws1", uid, make, nonsense)))
    assert [(one.event, one.outcome) for one in found] == [OPENED, (event, BROKEN), CLOSED]


def test_somebody_without_a_name_is_a_trace_at_both_doors(house):
    def knock() -> None:
        with pytest.raises(DoorwardError):
            asyncio.run(nobody(house))
        assert house.site.get("/dicom-web/studies", who=None).status == 401

    found = traced(house, knock)
    said = {(one.event, one.outcome, one.identity, one.reason) for one in found}
    assert (Event.ASSOCIATION_REFUSED, NO, "", "no identity was shown") in said
    assert (Event.REFUSAL, NO, "", "no identity was shown") in said


async def nobody(house: House) -> None:
    tls = house.site.context(None)
    async with associate(
        HOST, house.dicom, proposal_of("CT1"), gate=OpenGate(), tls=tls, server_name=HOST
    ):
        pytest.fail("let in")


def test_who_looked_at_a_study_names_everyone_on_both_doors(house):
    house.by_dicom("ws1", Operation.MOVE)
    house.by_dicom("mover", Operation.RETRIEVE)
    house.get("rita", f"/dicom-web/studies/{STUDY}")
    house.get("ct1", f"/dicom-web/studies/{STUDY}")
    journal = house.site.folder / "archive" / "journal"
    house.records()
    found = [one.entry for one in find_records(journal, Wanted(study=STUDY))]
    looked = {(one.identity, one.how) for one in found if one.event in {Event.RETRIEVE, Event.MOVE}}
    assert {name for name, _ in looked} == {"ws1", "mover", "rita"}
    assert {how for _, how in looked} == {"certificate", "token"}
    stored = {one.identity for one in found if one.event == Event.STORE}
    assert stored == {"ct1"}


# --- nothing of patients ------------------------------------------------------------------------------------------------

CANARY = "KANARIENVOGEL"
BORN, AT = "19130713", "031313.131313"
SEEDED = {
    "PatientName": f"{CANARY}^Q",
    "PatientID": f"{CANARY}-1",
    "PatientBirthDate": BORN,
    "PatientBirthTime": AT,
    "PatientComments": f"{CANARY} comments",
    "PatientAddress": f"{CANARY} road",
    "OtherPatientIDs": f"{CANARY}-2",
    "AdditionalPatientHistory": f"{CANARY} history",
    "AccessionNumber": f"{CANARY}A"[:16],
    "StudyID": f"{CANARY}S"[:16],
    "StudyDescription": f"{CANARY} study",
    "SeriesDescription": f"{CANARY} series",
    "ReferringPhysicianName": f"{CANARY}^R",
    "PerformingPhysicianName": f"{CANARY}^P",
    "OperatorsName": f"{CANARY}^O",
    "InstitutionName": f"{CANARY} house",
    "ProtocolName": f"{CANARY} protocol",
    "ImageComments": f"{CANARY} image",
}
SEARCHED = {k: v for k, v in SEEDED.items() if "Comments" not in k and "History" not in k}
TELLTALES = (CANARY.encode(), BORN.encode(), AT.encode())


def requests(context: ssl.SSLContext, port: int) -> dict[str, bytes]:
    """Ask the HTTPS door with canaries in every place; return the answers of failed requests, and one that must have one."""
    answers: dict[str, bytes] = {}

    def ask(name: str, method: str, path: str, body: bytes | None = None, **headers: str) -> None:
        connection = http.client.HTTPSConnection(HOST, port, context=context, timeout=10)
        named = {key.replace("_", "-"): value for key, value in headers.items()}
        try:
            connection.request(method, path, body=body, headers=named)
            answers[name] = connection.getresponse().read()
        finally:
            connection.close()

    ask("found", "GET", f"/dicom-web/studies?PatientName={CANARY}*&includefield=all")
    for keyword, value in SEARCHED.items():
        ask(keyword, "GET", f"/dicom-web/series?{keyword}={value.replace(' ', '%20')}")
    ask("unknown key", "GET", f"/dicom-web/studies?{CANARY}=1")
    ask("bad value", "GET", f"/dicom-web/studies?StudyDate={CANARY}")
    ask("bad limit", "GET", f"/dicom-web/studies?limit={CANARY}")
    ask("no path", "GET", f"/{CANARY}")
    ask("no uid", "GET", f"/dicom-web/studies/{CANARY}")
    ask("no study", "GET", f"/dicom-web/studies/{CANARY}%2f..")
    ask("no frame", "GET", f"/dicom-web/studies/1.2/series/1.3/instances/1.4/frames/{CANARY}")
    ask(
        "referer", "GET", "/dicom-web/studies/9.9", Referer=f"https://x/{CANARY}", User_Agent=CANARY
    )
    ask("bad accept", "GET", f"/dicom-web/studies?accept={CANARY}/x")
    ask("bad body", "POST", "/dicom-web/studies", CANARY.encode(), Content_Type=MULTIPART)
    ask(
        "bad part",
        "POST",
        "/dicom-web/studies",
        multipart([CANARY.encode() * 50]),
        Content_Type=MULTIPART,
    )
    ask("bad type", "POST", "/dicom-web/studies", b"x", Content_Type=f"text/{CANARY}")
    return answers


def figures(context: ssl.SSLContext, port: int, token: str) -> bytes:
    connection = http.client.HTTPSConnection(HOST, port, context=context, timeout=10)
    try:
        connection.request("GET", "/metrics", headers={"Authorization": f"Bearer {token}"})
        reply = connection.getresponse()
        assert reply.status == 200
        return reply.read()
    finally:
        connection.close()


def log_in_as(context: ssl.SSLContext, port: int, name: str, password: str) -> bytes:
    connection = http.client.HTTPSConnection(HOST, port, context=context, timeout=10)
    body = json.dumps({"name": name, "password": password, "code": "000000"})
    try:
        connection.request(
            "POST", "/login", body=body, headers={"Content-Type": "application/json"}
        )
        return connection.getresponse().read()
    finally:
        connection.close()


async def dimse(port: int, tls: dict[str, ssl.SSLContext]) -> None:
    """Store, and ask by C-FIND with a canary in each key; a query that cannot be understood too."""
    for who in ("ct1", "ws1"):
        contexts = [(one, SYNTAXES) for one in (VERIFICATION, STUDY_ROOT_FIND, CT)]
        proposal = proposal_of(who.upper(), *contexts)
        async with associate(
            HOST, port, proposal, gate=OpenGate(), tls=tls[who], server_name=HOST
        ) as line:
            if who == "ct1":
                assert await store(line, instance(HELD, **SEEDED)) == 0
                wrong = replace(instance("1.2.4", **SEEDED), sop_instance_uid="1.2.5")
                assert await store(line, wrong) != 0
                continue
            for keyword, value in SEARCHED.items():
                await line.find(
                    STUDY_ROOT_FIND, identifier("STUDY", **{keyword: value}), lambda *_: None
                )
            await line.find(
                STUDY_ROOT_FIND, identifier(CANARY[:10], PatientName=CANARY), lambda *_: None
            )


@pytest.fixture(scope="module")
def lived(tmp_path_factory):
    """An archive that has lived: everything above was asked of it; its folder, what it said, and what it answered."""
    place = tmp_path_factory.mktemp("lived")
    # Nobody listens there: the messages wait in the spool.
    folder = made(
        place / "pacs", ephemeral(audit_messages=AuditMessageSettings(address=HOST, port=1))
    )
    roles = {"ct1": Role.MODALITY, "ws1": Role.WORKSTATION}
    tls = {n: calling_context(ct1(folder, n, role=r), place / n) for n, r in roles.items()}
    add_person(folder, Person(name="ada", role=Role.READER), PASSWORD)
    monitor = Service(name="monitor", role=Role.AUDITOR)
    folder.change_register(lambda register: register.with_entry(monitor))
    scope, life = {Operation.READ_JOURNAL}, timedelta(days=1)
    token = issue_token(folder, "monitor", scope=scope, lifetime=life, now=NOW)
    with archive_process(folder.path) as running:
        assert running.until("HTTPS on"), running.lines
        asyncio.run(dimse(running.ports["dicom"], tls))
        answers = requests(tls["ws1"], running.ports["https"])
        without = ssl.create_default_context(cafile=str(folder.secrets / "authority.pem"))
        answers["figures"] = figures(without, running.ports["https"], token.text)
        answers["login"] = log_in_as(without, running.ports["https"], CANARY.lower(), "x" * 20)
        answers["login of ada"] = log_in_as(without, running.ports["https"], "ada", CANARY * 2)
        for words, said in (
            (
                ("device", "add", "us1", "--aet", "US1", "--out", str(place / "us1")),
                "us1, device added",
            ),
            (("device", "revoke", "us1"), "us1, device removed"),
            (("person", "remove", "ada"), "ada, person removed"),
            (("service", "add", "viewer", "--scope", "query"), "viewer, service added"),
            (("token", "issue", "viewer", "--scope", "query", "--days", "1"), "viewer, token"),
            (("service", "remove", "viewer"), "viewer, service removed"),
        ):
            assert run(["archive", *words[:2], str(folder.path), *words[2:]]) == 0, words
            assert running.until(said, 2.0), running.lines
        appended(folder, "# looked at\n")
        assert running.until("settings changed: doorward.toml", 3.0), running.lines
        assert running.stop() == 0
    return folder, running.lines, answers


def test_what_must_be_answered_is_answered(lived):
    assert CANARY.encode() in lived[2]["found"]
    assert BORN.encode() in lived[2]["found"]


def test_no_value_of_a_patient_is_in_journal_spool_or_any_file_but_the_store(lived):
    folder = lived[0].path
    seen = 0
    for path in sorted(folder.rglob("*")):
        part = path.relative_to(folder).parts[0]
        if not path.is_file() or part == "blobs" or part.startswith("index"):
            continue
        content = path.read_bytes()
        seen += 1
        for telltale in TELLTALES:
            assert telltale.lower() not in content.lower(), (path, telltale)
    assert seen > 10
    assert any(path.is_file() for path in (folder / "spool").rglob("*")), "messages wait"
    store = b"".join(path.read_bytes() for path in (folder / "blobs").rglob("*") if path.is_file())
    assert all(telltale in store for telltale in TELLTALES), "the canary was there to be found"


def test_no_value_of_a_patient_is_in_what_the_process_says(lived):
    said = "\n".join(lived[1]).encode().lower()
    assert said
    assert not [one for one in TELLTALES if one.lower() in said]


def test_no_error_and_no_figure_quotes_what_was_asked_for(lived):
    assert b"# TYPE" in lived[2]["figures"]
    for name, body in lived[2].items():
        if name in SEARCHED or name in {"found", "unknown key"}:
            continue  # the name of a parameter is told to whoever has sent it, its value is not
        assert not [one for one in TELLTALES if one.lower() in body.lower()], (name, body)


def test_each_change_from_outside_is_in_the_journal_by_name(lived):
    entries = [one.entry for one in show(lived[0].journal)]
    said = {(one.event, one.subject, one.reason) for one in entries}
    for expected in (
        (Event.DEVICE_CHANGED, "us1", "device added"),
        (Event.DEVICE_CHANGED, "us1", "device removed"),
        (Event.PERSON_CHANGED, "ada", "person removed"),
        (Event.PERSON_CHANGED, "viewer", "service added"),
        (Event.PERSON_CHANGED, "viewer", "service removed"),
        (Event.SETTINGS_CHANGED, "doorward.toml", "settings changed"),
    ):
        assert expected in said
    assert any(one.event == Event.LOGIN_FAILED and one.identity == "ada" for one in entries)
    assert not any(one.identity == CANARY.lower() for one in entries)
    assert [entries[0].event, entries[-1].event].count(Event.STOP) == 1


# --- tampering ------------------------------------------------------------------------------------------------------------


def test_the_journal_of_an_archive_that_has_lived_is_whole(lived):
    assert verify(lived[0].journal).is_whole
    assert run(["archive", "journal", "verify", str(lived[0].path)]) == 0


def _changed(lines: list[bytes]) -> list[bytes]:
    lines[5] = lines[5].replace(b'"ct1"', b'"ct2"').replace(b"success", b"refused")
    return lines


def _rewritten(lines: list[bytes]) -> list[bytes]:
    """One record says something else, with a digest that fits; and so do all after it."""
    head = Head(5, lines[4][:64].decode())
    made = []
    for _ in lines[5:]:
        record, line = make_record(Entry(event=Event.STOP), head, NOW)
        head = Head(record.sequence, record.digest)
        made.append(line)
    return lines[:5] + made


TAMPERED: dict[str, Callable[[list[bytes]], list[bytes]]] = {
    "a value changed": _changed,
    "a record removed": lambda lines: lines[:5] + lines[6:],
    "the first one removed": lambda lines: lines[1:],
    "two swapped": lambda lines: [*lines[:5], lines[6], lines[5], *lines[7:]],
    "one twice": lambda lines: [*lines[:6], *lines[5:]],
    "the end cut off": lambda lines: lines[:-3],
    "everything removed": lambda _: [],
    "chained anew from there on": _rewritten,
    "a byte of a digest": lambda lines: [*lines[:5], b"0" * 64 + lines[5][64:], *lines[6:]],
}


@pytest.mark.parametrize("how", TAMPERED)
def test_tampering_is_found_by_the_command(lived, tmp_path, how, capsys):
    copy = tmp_path / "pacs" / "journal"
    copy.mkdir(parents=True)
    for path in lived[0].journal.iterdir():
        if path.is_file():
            (copy / path.name).write_bytes(path.read_bytes())
    (segment,) = segment_paths(copy)
    before = segment.read_bytes()
    lines = before.splitlines(keepends=True)
    after = b"".join(TAMPERED[how](lines))
    assert after != before
    segment.write_bytes(after)
    assert run(["archive", "journal", "verify", str(copy.parent)]) == 1
    assert capsys.readouterr().out.startswith("BROKEN: record ")
