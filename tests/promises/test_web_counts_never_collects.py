"""Promise 2 on the web: pages of studies are counted in a process of its own, and no patient stays in its memory.

The archive answers each page with names, identifiers and dates that nobody asked for. After the count the living process is
searched from outside for every one of these words.
"""

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from memory_image import traces
from open_web import CANARY, OpenArchive
from web_servers import answer, web_server

ROOT = Path(__file__).resolve().parents[2]
WORDS = [word.encode() for word in CANARY.split("^")]
#: Runs the web probes at the highest level, says what it counted, and stays alive until its input ends.
AUDITOR = """
import asyncio, sys
from doorward.audit.approach import attempt
from doorward.audit.probes import dicomweb, web, web_hygiene
from web_visitors import web_approach

async def audit():
    approach = web_approach(int(sys.argv[1]), qido_page_matches=50)
    return [
        await attempt("web", approach, web.asker(level=3)),
        await attempt("dicomweb", approach, dicomweb.asker(level=3)),
        await attempt("web_hygiene", approach, web_hygiene.ask),
    ]

made = asyncio.run(audit())
print(made[1].facts.studies.value, repr(made), flush=True)
kept = eval(sys.argv[2])
sys.stdin.readline()
"""


async def audited(archive: OpenArchive, *, keeping: str = "None") -> tuple[str, int]:
    """Audit in another process; returns what it said and how many traces of patients its memory holds."""
    async with web_server(archive.respond) as server:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            AUDITOR,
            str(server.port),
            keeping,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={"PYTHONPATH": f"{ROOT / 'src'}:{ROOT / 'tests'}"},
        )
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            said = (await process.stdout.readline()).decode()
            found = len(traces(process.pid, WORDS))
            process.stdin.write(b"\n")
            await process.wait()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
    return said, found


@pytest.mark.parametrize("is_broken", [False, True])
def test_no_patient_stays_in_memory_after_counting(is_broken):
    archive = OpenArchive(studies=230, breaks_at=150 if is_broken else None)
    said, found = asyncio.run(audited(archive))
    assert said.startswith("175 " if is_broken else "230 ")
    assert "CANARY" not in said
    assert found == 0


class Worklist(OpenArchive):
    """An archive whose front page lists its patients."""

    def respond(self, request):
        rows = f"<tr><td title='{CANARY}'>{CANARY}</td></tr>" * 500
        page = f"<html><head><title>{CANARY}</title></head><table>{rows}</table></html>"
        return answer(200, page) if request.path in ("/", "/viewer") else super().respond(request)


def test_a_page_that_lists_patients_is_forgotten_too():
    said, found = asyncio.run(audited(Worklist(studies=3)))
    assert said.startswith("3 ")
    assert "CANARY" not in said
    assert found == 0


def test_the_search_finds_what_is_there():
    said, found = asyncio.run(audited(OpenArchive(studies=1), keeping="'CANARY' + 'DOE' + str(1)"))
    assert said
    assert found > 0
