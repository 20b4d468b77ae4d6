"""Promise 2 beside the archive: lists of files, WebDAV, FTP, HL7 and FHIR are asked in a process of its own, and no name stays.

Every list, acknowledgement and resource is full of patients. After the probes the living process is searched from outside for
each of these words: what it must not hold cannot be in a core, a log or a report.
"""

import asyncio
import json
import subprocess
import sys
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from memory_image import traces
from web_servers import NOT_FOUND, answer, as_json, web_server

ROOT = Path(__file__).resolve().parents[2]
#: A name in two parts; neither stands in the program under test.
CANARY = "ZZCANARYNAME^ZZCANARYFIRST"
WORDS = [word.encode() for word in CANARY.split("^")]
NAMES = 3_000
HOST = "127.0.0.1"
AUDITOR = """
import asyncio, sys
from doorward.audit.approach import attempt
from doorward.audit.probes import fhir, folders, ftp, hl7
from web_visitors import web_approach

async def audit():
    web, control, mllp = (web_approach(int(port)) for port in sys.argv[1:4])
    return [
        await attempt("listings", web, folders.listings(paths=("/dicom/",))),
        await attempt("webdav", web, folders.webdav(paths=("/webdav/",))),
        await attempt("fhir", web, fhir.asker(level=3)),
        await attempt("ftp", control, ftp.asker("ftp", level=3)),
        await attempt("hl7", mllp, hl7.asker(level=3)),
    ]

made = asyncio.run(audit())
print(made[0].facts.folders[0].shape.entries, made[1].facts.folders[0].shape.entries,
      made[2].facts.roots[0].searches[1].count.value, made[3].facts.folder.shape.entries, made[4].facts.code,
      repr(made), flush=True)
kept = eval(sys.argv[4])
sys.stdin.readline()
"""


def names():
    return (f"{CANARY}_{number}.dcm" for number in range(NAMES))


def respond(request):
    if request.path == "/dicom/":
        links = "".join(f'<a href="{name}">{name}</a>\n' for name in names())
        return answer(200, f"<html><title>Index of /dicom/</title><pre>{links}</pre></html>")
    if request.path == "/webdav/":
        entries = "".join(f"<D:response><D:href>/webdav/{n}</D:href></D:response>" for n in names())
        return answer(207, f'<D:multistatus xmlns:D="DAV:">{entries}</D:multistatus>', "text/xml")
    if request.path == "/fhir/metadata":
        software = {"name": CANARY, "version": CANARY}
        return as_json(
            {"resourceType": "CapabilityStatement", "publisher": CANARY, "software": software}
        )
    if request.path in ("/fhir/Patient", "/fhir/ImagingStudy"):
        entry = [{"resource": {"resourceType": "Patient", "name": CANARY}}] * 1_000
        return as_json({"resourceType": "Bundle", "total": NAMES, "entry": entry})
    return NOT_FOUND


async def mllp(reader, writer):
    message = await reader.readuntil(b"\x1c\r")
    control = message.split(b"|")[9].decode()
    text = f"\x0bMSH|^~\\&|{CANARY}|{CANARY}|||1||ACK|1|P|2.5\rMSA|AR|{control}|{CANARY}\rPID|{CANARY}\r\x1c\r"
    writer.write(text.encode())
    writer.close()


@asynccontextmanager
async def serving(serve):
    async def guarded(reader, writer):
        try:
            await serve(reader, writer)
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(guarded, HOST, 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


@asynccontextmanager
async def ftp_server():
    is_called = asyncio.Event()

    async def data(_reader, writer):
        lines = (f"-rw-r--r-- 1 0 0 2 Nov 22 14:26 {name}\r\n" for name in names())
        writer.write("".join(lines).encode())
        await writer.drain()
        is_called.set()

    async with serving(data) as data_port:
        answers = {b"USER": b"331 ?\r\n", b"PASS": f"230-{CANARY}\r\n230 in\r\n".encode()}
        answers[b"EPSV"] = f"229 (|||{data_port}|)\r\n".encode()

        async def control(reader, writer):
            writer.write(f"220 {CANARY}\r\n".encode())
            async for line in reader:
                if line.startswith(b"LIST"):
                    await is_called.wait()
                    writer.write(b"150 here\r\n226 done\r\n")
                else:
                    writer.write(answers.get(line.split()[0], b"500 no\r\n"))

        async with serving(control) as port:
            yield port


async def audited(keeping: str = "None") -> tuple[str, int]:
    """Audit in another process; returns what it said and how many traces its memory holds."""
    async with web_server(respond) as web, ftp_server() as control, serving(mllp) as hl7:
        ports = (str(web.port), str(control), str(hl7))
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", AUDITOR, *ports, keeping),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={"PYTHONPATH": f"{ROOT / 'src'}:{ROOT / 'tests'}"},
        )
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            said = (await process.stdout.readline()).decode()
            found = traces(process.pid, WORDS)
            process.stdin.write(b"\n")
            await process.wait()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
    return said, len(found)


def test_no_name_stays_in_memory_after_counting():
    said, found = asyncio.run(audited())
    assert said.startswith(f"{NAMES} {NAMES} {NAMES} {NAMES} AR ")
    assert "CANARY" not in said
    assert found == 0


def test_the_search_would_find_what_is_kept():
    _, found = asyncio.run(audited(keeping="'^'.join(('ZZCANARY' + 'NAME', 'ZZCANARY' + 'FIRST'))"))
    assert found > 0


def test_the_servers_do_show_names():
    assert CANARY in json.dumps([name for name, _ in zip(names(), range(3), strict=False)])


pytestmark = pytest.mark.slow
