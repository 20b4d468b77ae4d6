"""An archive that was never open, for the demo: made, given studies over mutual TLS, asked by two devices and by strangers.

What is run are the commands that everybody has: ``doorward archive``, and those of DCMTK as ``device add`` prints them. Where
DCMTK is not installed, this project's own client does the same.
"""

import asyncio
import shlex
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TypeVar

from demo_orthanc import HOLDING
from doorward.audit.scope import Scope
from doorward.dicom.part10 import write_file_meta
from doorward.dicom.values import encode_identifier
from doorward.dicom.walk import Syntax
from doorward.errors import DoorwardError
from doorward.net.client import IMPLEMENTATION_CLASS_UID, Proposal, Requestor, associate
from doorward.net.tls import TlsContext, client_context
from doorward.net.transfer import Instance, store
from doorward.practice.instances import SOP_CLASS, TRANSFER_SYNTAX, instances_of
from doorward.wire.uids import IMPLICIT_VR_LITTLE_ENDIAN, STUDY_ROOT_FIND, VERIFICATION

ADDRESS = "127.0.4.1"
AE_TITLE = "DOORWARD"
#: Who is let in: name, AE title, role.
MODALITY = ("ct1", "CT1", "modality")
WORKSTATION = ("ws1", "WS1", "workstation")
#: The ports of its kind; free ones where they are taken.
DICOM_PORT, HTTPS_PORT = 2762, 8443
_TOOLS = ("echoscu", "storescu", "findscu")
_READY = "HTTPS on"
_COMMAND_S = 15.0
#: Refused: not authorised (PS3.7 section 9.1.2.1.6).
_REFUSED = 0x0124

#: An abstract syntax with its transfer syntaxes.
Proposed = tuple[str, tuple[str, ...]]
AnswerT = TypeVar("AnswerT")


class ArchiveFailed(Exception):
    """It was not made or did not start; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """The archive while it runs; ``folder`` holds it and the bundles of its devices."""

    folder: Path
    dicom_port: int
    https_port: int
    #: What ``device add`` printed: device -> tool of DCMTK -> its command.
    commands: dict[str, dict[str, list[str]]]

    @property
    def authority(self) -> Path:
        """The certificate that clients check the archive's against."""
        return self.bundle(MODALITY[0]) / "authority.pem"

    def bundle(self, device: str) -> Path:
        """Return the folder that a device's engineer is given."""
        return self.folder / f"{device}-bundle"


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """Something that was tried, what must come of it, and what did."""

    what: str
    expected: str
    seen: str


def has_dcmtk() -> bool:
    return all(shutil.which(tool) for tool in _TOOLS)


@contextmanager
def running(program: Sequence[str], environment: dict[str, str]) -> Iterator[Running]:
    """Make an archive, let two devices in, and run it; all of it ends with the context. Raises ArchiveFailed."""
    with tempfile.TemporaryDirectory(prefix="doorward-demo-archive-") as name:
        folder = Path(name)
        ports = free_port(DICOM_PORT), free_port(HTTPS_PORT)

        def doorward(*words: str) -> str:
            print(f"$ doorward archive {' '.join(words)}", flush=True)
            return _said([*program, "archive", *words], folder, environment)

        doorward("init", "pacs", "--host", ADDRESS)
        _set(folder / "pacs" / "doorward.toml", *ports)
        commands = {
            device: _commands(doorward("device", "add", "pacs", device, "--role", role))
            for device, _, role in (MODALITY, WORKSTATION)
        }
        print("$ doorward archive run pacs", flush=True)
        process = _start([*program, "archive", "run", str(folder / "pacs")], environment)
        try:
            yield Running(
                folder=folder, dicom_port=ports[0], https_port=ports[1], commands=commands
            )
        finally:
            _end(process)


def _said(command: Sequence[str], folder: Path, environment: dict[str, str]) -> str:
    done = subprocess.run(
        command,
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=_COMMAND_S,
        check=False,
    )
    if done.returncode:
        raise ArchiveFailed(done.stderr.strip().rpartition("\n")[2] or "it said nothing")
    return done.stdout


def _set(settings: Path, dicom_port: int, https_port: int) -> None:
    """Name the address of the demo, which is of this machine alone as well, and the ports."""
    text = settings.read_text()
    text = text.replace('addresses = ["127.0.0.1"]', f'addresses = ["{ADDRESS}"]')
    text = text.replace(f"port = {DICOM_PORT}\n", f"port = {dicom_port}\n", 1)
    settings.write_text(text.replace(f"port = {HTTPS_PORT}\n", f"port = {https_port}\n", 1))


def _commands(said: str) -> dict[str, list[str]]:
    lines = [shlex.split(line) for line in said.splitlines() if line.startswith("  ")]
    return {words[0]: words for words in lines if words and words[0] in _TOOLS}


def _start(command: Sequence[str], environment: dict[str, str]) -> "subprocess.Popen[str]":
    """Run the archive, and return when it listens."""
    process = subprocess.Popen(
        command,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    too_long = threading.Timer(_COMMAND_S, process.kill)
    too_long.start()
    try:
        assert process.stderr is not None
        _wait_until_ready(process.stderr)
    except ArchiveFailed:
        _end(process)
        raise
    finally:
        too_long.cancel()
    return process


def _wait_until_ready(stderr: IO[str]) -> None:
    last = "it said nothing"
    for line in stderr:  # ends with the process
        if _READY in line:
            return
        last = line.strip()
    raise ArchiveFailed(last)


def _end(process: "subprocess.Popen[str]") -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.communicate(timeout=10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()


def free_port(wanted: int) -> int:
    """Return the wanted port where nobody has it, else one that is free now."""
    for port in (wanted, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((ADDRESS, port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise ArchiveFailed(f"no port of {ADDRESS} is free")


# --- what is tried ----------------------------------------------------------------------------------------------------


def try_it(archive: Running) -> list[Trial]:
    """Store the studies, and ask for them as modality, workstation and strangers."""
    images = [one for study in range(HOLDING.studies) for one in instances_of(HOLDING, study)]
    if has_dcmtk():
        asker: WithDcmtk | WithOwnClient = WithDcmtk(archive)
    else:
        print("demo: no DCMTK here (apt-get install dcmtk): doorward's own client does the same")
        asker = WithOwnClient(archive)
    return [
        Trial(
            what=f"ct1, a modality, stores {HOLDING.studies} studies over mutual TLS",
            expected=f"{len(images)} images",
            seen=f"{asker.stored(images)} images",
        ),
        Trial(
            what="ct1 asks which studies there are",
            expected="refused",
            seen=asker.studies(MODALITY),
        ),
        Trial(
            what="ws1, a workstation, asks the same",
            expected=f"{HOLDING.studies} studies",
            seen=asker.studies(WORKSTATION),
        ),
        Trial(
            what="a stranger calls over TLS as CT1, without a certificate",
            expected="turned away",
            seen=asker.stranger(is_plain=False),
        ),
        Trial(
            what="a stranger calls as CT1 without TLS",
            expected="turned away",
            seen=asker.stranger(is_plain=True),
        ),
    ]


class WithDcmtk:
    """Asks with the commands that ``device add`` has printed."""

    def __init__(self, archive: Running) -> None:
        self._archive = archive

    def stored(self, images: Sequence[Instance]) -> int:
        """Store the images, and return how many were taken."""
        folder = self._archive.folder / "images"
        folder.mkdir()
        for number, image in enumerate(images):
            (folder / f"{number:04}.dcm").write_bytes(_file(image))
        command = self._archive.commands[MODALITY[0]]["storescu"]
        print(f"$ {shlex.join(command)}", flush=True)
        files = [str(file) for file in sorted(folder.iterdir())]
        said = self._run(MODALITY[0], [*command[:-1], *files])
        return said.count("Received Store Response (Success)")

    def studies(self, device: tuple[str, str, str]) -> str:
        """Ask as a device, with the command that is printed for the workstation."""
        name, title, _ = device
        its_own = {WORKSTATION[1]: title} | {
            f"{WORKSTATION[0]}-{what}.pem": f"{name}-{what}.pem" for what in ("key", "certificate")
        }
        command = [its_own.get(w, w) for w in self._archive.commands[WORKSTATION[0]]["findscu"]]
        print(f"$ {shlex.join(command)}", flush=True)
        said = self._run(name, command)
        if "Received Final Find Response (Success)" in said:
            return f"{said.count('Find Response: ')} studies"
        return "refused" if f"0x{_REFUSED:x}" in said else "no answer"

    def stranger(self, *, is_plain: bool) -> str:
        """Call with nothing but the right names."""
        names = ["echoscu", "-v", "-aet", MODALITY[1], "-aec", AE_TITLE]
        tls = [] if is_plain else ["+tla", "+cf", "authority.pem"]
        command = [*names, *tls, ADDRESS, str(self._archive.dicom_port)]
        print(f"$ {shlex.join(command)}", flush=True)
        said = self._run(MODALITY[0], command)
        return "let in" if "Association Accepted" in said else "turned away"

    def _run(self, device: str, command: Sequence[str]) -> str:
        """Run a command in the bundle of a device, as its engineer would, and return all that it says."""
        return subprocess.run(
            command,
            cwd=self._archive.bundle(device),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="latin-1",
            timeout=_COMMAND_S,
            check=False,
        ).stdout


def _file(image: Instance) -> bytes:
    return (
        write_file_meta(
            transfer_syntax_uid=image.transfer_syntax_uid,
            media_storage_sop_class_uid=image.sop_class_uid,
            media_storage_sop_instance_uid=image.sop_instance_uid,
            implementation_class_uid=IMPLEMENTATION_CLASS_UID,
        )
        + image.data_set
    )


class WithOwnClient:
    """Does the same with nothing but this project."""

    def __init__(self, archive: Running) -> None:
        self._archive = archive

    def stored(self, images: Sequence[Instance]) -> int:
        """Store the images, and return how many were taken."""

        async def send(requestor: Requestor) -> int:
            return sum([await store(requestor, image) == 0 for image in images])

        return self._ask(MODALITY, (SOP_CLASS, (TRANSFER_SYNTAX,)), send)

    def studies(self, device: tuple[str, str, str]) -> str:
        """Ask as a device for every study."""
        keys = [(0x0008_0052, "CS", "STUDY"), (0x0020_000D, "UI", "")]

        async def find(requestor: Requestor) -> str:
            identifier = encode_identifier(keys, Syntax.IMPLICIT_LITTLE)
            found = await requestor.find(STUDY_ROOT_FIND, identifier, lambda *_: None)
            if found.final_status == 0:
                return f"{found.matches} studies"
            return "refused" if found.final_status == _REFUSED else "no answer"

        return self._ask(device, (STUDY_ROOT_FIND, (IMPLICIT_VR_LITTLE_ENDIAN,)), find)

    def stranger(self, *, is_plain: bool) -> str:
        """Call with nothing but the right names."""
        tls = None if is_plain else client_context(authorities=self._archive.authority)

        async def come_in(_: Requestor) -> str:
            return "let in"

        proposed = (VERIFICATION, (IMPLICIT_VR_LITTLE_ENDIAN,))
        try:
            return asyncio.run(self._call(MODALITY[1], tls, proposed, come_in))
        except DoorwardError:
            return "turned away"

    def _ask(
        self,
        device: tuple[str, str, str],
        proposed: Proposed,
        talk: Callable[[Requestor], Awaitable[AnswerT]],
    ) -> AnswerT:
        name, title, _ = device
        bundle = self._archive.bundle(name)
        tls = client_context(
            authorities=self._archive.authority,
            certificate=bundle / f"{name}-certificate.pem",
            key=bundle / f"{name}-key.pem",
        )
        return asyncio.run(self._call(title, tls, proposed, talk))

    async def _call(
        self,
        title: str,
        tls: TlsContext | None,
        proposed: Proposed,
        talk: Callable[[Requestor], Awaitable[AnswerT]],
    ) -> AnswerT:
        proposal = Proposal(called_ae_title=AE_TITLE, calling_ae_title=title, contexts=[proposed])
        gate, port = Scope.loopback(), self._archive.dicom_port
        async with associate(ADDRESS, port, proposal, gate=gate, tls=tls) as requestor:
            return await talk(requestor)
