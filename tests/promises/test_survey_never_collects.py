"""Promise 2, for a survey as a whole: nothing of a patient in any output, in the ledger, in what is made of it, or in memory.

Peers that say everything about their made-up patients are surveyed by ``doorward survey`` in a process of its own, at the
highest clearance level, as loud as it gets. What the ledger's files held at any moment is looked through too, and then
everything that ``doorward ledger`` makes of them. Files of other tools carry canaries wherever they are not read.
"""

import asyncio
import json
import shutil
from collections.abc import AsyncIterator, Sequence
from contextlib import (
    AsyncExitStack,
    asynccontextmanager,
    chdir,
    redirect_stderr,
    redirect_stdout,
    suppress,
)
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

import pytest

from auditor_process import Finished, doorward
from chatty_peers import CHATTY, WORDS, canary
from doorward.audit.exit_code import ExitCode
from doorward.cli.main import run
from memory_image import Trace, traces
from open_web import OpenArchive
from scripted_peer import scripted_peer
from web_servers import web_server

pytestmark = pytest.mark.timeout(60)
LEDGER = "a.ledger"
#: A port on which web servers are expected.
WEB_HOST, WEB_PORT = "127.71.61.100", 9_990
LOUD = ("--verbose", "--timeout", "1", "--ledger", LEDGER, "--json", "a.json", "--html", "a.html")
LOUD += ("--rate", "0", "--network-rate", "0", "--network-systems", "64")
#: What is made of the ledger afterwards. ``again`` is a copy of it.
MADE = (
    ("list", LEDGER),
    ("report", LEDGER, "--json", "b.json", "--html", "b.html"),
    ("report", LEDGER, "--json", "-"),
    ("export", LEDGER, "b.csv"),
    ("export", LEDGER, "b.jsonl"),
    ("export", LEDGER, "b.parquet"),
    ("compare", LEDGER, "again.ledger"),
    ("compare", LEDGER, "again.ledger", "--json", "-"),
    ("rejudge", LEDGER),
    ("prune", LEDGER, "--keep", "0", "--only-answers"),
    ("prune", LEDGER, "--keep", "0"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What a survey and everything after it left behind."""

    survey: Finished
    memory: list[Trace]
    #: Every state of the ledger's files (the database and its -wal) that was met on the way.
    ledgers: list[bytes]
    #: Exit code and words of each command of MADE, and the files that they wrote.
    made: list[tuple[int, bytes]]
    files: dict[str, bytes]


def words_in(text: bytes) -> list[bytes]:
    """Which of the words occur in a text, in any letter case and as UTF-16, as SQLite may hold it."""
    forms = [text.upper(), text.upper().replace(b"\0", b"")]
    return [word for word in WORDS if any(word in form for form in forms)]


@asynccontextmanager
async def watching(folder: Path) -> AsyncIterator[list[bytes]]:
    """Read the ledger's files again and again while the context is open; gives every state that was met."""
    states: list[bytes] = []
    known: dict[Path, tuple[int, int]] = {}

    def look() -> None:
        for path in folder.glob(f"{LEDGER}*"):
            with suppress(FileNotFoundError):  # SQLite removes its own files
                stamp = path.stat().st_mtime_ns, path.stat().st_size
                if known.get(path) != stamp:
                    known[path] = stamp
                    states.append(path.read_bytes())

    async def watch() -> None:
        while True:
            look()
            await asyncio.sleep(0.02)

    task = asyncio.create_task(watch())
    try:
        yield states
    finally:
        task.cancel()


def said(arguments: Sequence[str]) -> tuple[int, bytes]:
    """Run one command here; returns its exit code and all that it said."""
    with redirect_stdout(StringIO()) as out, redirect_stderr(StringIO()) as errors:
        code = run(arguments)
    return code, f"{out.getvalue()}\n{errors.getvalue()}".encode()


async def _surveyed(folder: Path) -> Seen:
    home = folder / "home"
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        states = await enter(watching(home))
        peers = [
            await enter(scripted_peer(script, host=f"127.71.61.{n}"))
            for n, script in enumerate(CHATTY.values(), 1)
        ]
        await enter(web_server(OpenArchive(studies=230).respond, host=WEB_HOST, port=WEB_PORT))
        targets = [f"{one.host}:{one.port}" for one in peers] + [f"{WEB_HOST}:{WEB_PORT}"]
        command = ["survey", *targets, "--level", "3", *LOUD]
        survey = await enter(doorward(command, home))
        memory = traces(survey.pid, WORDS)
    shutil.copy(home / LEDGER, home / "again.ledger")
    made = made_of(home, states)
    return Seen(survey=survey, memory=memory, ledgers=states, made=made, files=survey.written())


def made_of(home: Path, states: list[bytes]) -> list[tuple[int, bytes]]:
    """Carry out the commands of MADE; what the ledger is after each goes to the states."""
    made = []
    with chdir(home):
        for words in MADE:
            made.append(said(["ledger", *words]))
            states.append(Path(LEDGER).read_bytes())
    return made


@pytest.fixture(scope="module")
def seen(tmp_path_factory) -> Seen:
    """One survey of all chatty peers, and all that can be made of it."""
    return asyncio.run(_surveyed(tmp_path_factory.mktemp("survey")))


def test_every_chatty_peer_was_counted_so_there_was_something_to_leak(seen):
    assert seen.survey.exit_code == ExitCode.FOUND
    report = json.loads(seen.survey.written()["a.json"])
    counted = [one["counts"]["studies"]["value"] for one in report["systems"]]
    assert {1_500, 200, 230} <= set(counted)
    assert sum(value is not None for value in counted) >= 10
    assert b"attributes: answered" in seen.survey.stderr, "as loud as it gets"


def test_no_canary_is_in_any_output_of_the_survey(seen):
    assert set(seen.survey.written()) >= {"a.json", "a.html", LEDGER}
    assert len(seen.survey.stdout) > 1_000
    assert not words_in(seen.survey.said())


def test_no_canary_was_in_the_ledger_at_any_moment(seen):
    assert len(seen.ledgers) > len(MADE) + 10
    assert any(state.startswith(b"7\x7f\x06") for state in seen.ledgers), "a -wal was met"
    assert any(b"exposure" in state for state in seen.ledgers)
    assert not [word for state in seen.ledgers for word in words_in(state)]


def test_no_canary_is_in_anything_that_is_made_of_the_ledger(seen):
    for command, (code, words) in zip(MADE, seen.made, strict=True):
        assert code == ExitCode.PASSED, (command, words)
        assert len(words) > 10, command
        assert not words_in(words), command
    for name in ("b.json", "b.html", "b.csv", "b.jsonl", "b.parquet"):
        assert len(seen.files[name]) > 1_000, name
        assert not words_in(seen.files[name]), name


def test_no_canary_is_left_in_memory_after_a_survey(seen):
    lines = "\n".join(f"{t.address:x} in {t.region}: {t.around!r}" for t in seen.memory[:20])
    assert not seen.memory, f"{len(seen.memory)} traces of patients in memory:\n{lines}"


# --- what other tools saw ---------------------------------------------------------------------------------------------

C = canary(7).decode()
HOST, PORT = "127.71.62.1", 9_990


def shodan() -> str:
    """Two banners with canaries in all that is not read, one of them in a field that is read, and broken."""
    banner = {
        "ip_str": HOST,
        "port": PORT,
        "transport": "tcp",
        "timestamp": "2026-11-01T10:00:00.000000",
        "data": f"Patient Name: {C}",
        "http": {"title": C, "html": C, "headers": {"Server": C}},
        "opts": {"raw": C},
        "tags": [C],
        "_shodan": {"module": "http", "id": C},
        "location": {"country_code": "CH", "city": C},
    }
    return "".join(json.dumps(one) + "\n" for one in (banner, banner | {"port": C}, {"data": C}))


def nmap() -> str:
    """A port with scripts that quote what was answered."""
    return f"""<?xml version="1.0"?>
<nmaprun scanner="nmap" args="nmap -sV {C}" start="1793527200" xmloutputversion="1.05">
<!-- {C} -->
<host starttime="1793527200" endtime="1793527210"><status state="up" reason="{C}"/>
<address addr="{HOST}" addrtype="ipv4"/>
<ports><port protocol="tcp" portid="{PORT}"><state state="open" reason="syn-ack"/>
<service name="http" product="{C}" version="{C}" extrainfo="{C}" servicefp="{C}"/>
<script id="http-title" output="{C}"><elem key="title">{C}</elem></script></port></ports>
<hostscript><script id="dicom-ping" output="{C}">{C}</script></hostscript></host>
<postscript><script id="x" output="{C}"/></postscript>
<runstats><finished time="1793527210" exit="success" summary="{C}"/></runstats></nmaprun>
"""


def httpx() -> str:
    """A page of patients, with its body and its title."""
    line = {
        "timestamp": "2026-11-01T10:00:00.000000Z",
        "port": str(PORT),
        "url": f"http://{HOST}:{PORT}/{C}",
        "input": HOST,
        "host": HOST,
        "scheme": "http",
        "title": C,
        "body": C * 9,
        "body_preview": C,
        "raw_header": C,
        "header": {"x": C},
        "webserver": C,
        "tech": [C],
        "location": f"http://{HOST}/{C}",
        "path": f"/{C}",
        "status_code": 200,
    }
    return json.dumps(line) + "\n"


FILES = {"shodan": shodan, "nmap": nmap, "httpx": httpx}


def test_what_an_import_need_not_read_reaches_no_ledger_and_no_message(tmp_path):
    """The same door, seen by three tools."""
    command = ["survey", *LOUD]
    for form, content in FILES.items():
        file = tmp_path / f"{form}.txt"
        file.write_text(content())
        command += ["--import", f"{form}={file}"]
    home = tmp_path / "home"

    async def survey() -> tuple[Finished, list[bytes]]:
        async with watching(home) as states, doorward(command, home) as done:
            return done, states

    done, states = asyncio.run(survey())
    report = json.loads(done.written()["a.json"])
    assert [one["address"] for one in report["systems"]] == [HOST], done.stderr
    assert b"shodan.txt, line 2: left out" in done.stderr, "the broken line is spoken of"
    assert not words_in(done.said())
    assert not [word for state in states for word in words_in(state)]
    assert HOST.encode() in done.written()[LEDGER], "a ledger was written"
