"""A real Orthanc for the demo, with nothing but what `make demo` installs: started, loaded over DICOM, ended."""

import asyncio
import json
import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from doorward.errors import DoorwardError
from doorward.net.client import Proposal, associate
from doorward.net.transfer import store
from doorward.practice.holding import Holding
from doorward.practice.instances import SOP_CLASS, TRANSFER_SYNTAX, instances_of

ADDRESS = "127.0.0.1"
AE_TITLE = "ORTHANC"
#: What both are loaded with.
HOLDING = Holding(studies=14, images_per_study=3, patients=6, seed=4242)
#: Debian puts Orthanc into sbin, which is not on everybody's PATH.
SEARCH_PATH = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Orthanc:
    """One that was started; it may not answer yet."""

    port: int


class LoopbackOnly:
    """The gate of ``net.dial`` here: images are sent to this machine and to no other."""

    def permit(self, address: str, port: int) -> None:
        """Refuse everything but the one address that the demo uses."""
        if address != ADDRESS:
            raise AssertionError("the demo dials this machine only")


def program() -> str | None:
    return shutil.which("Orthanc", path=SEARCH_PATH)


@contextmanager
def running(path: str, *, answers_queries: bool) -> Iterator[Orthanc]:
    """Run Orthanc with its own rules, or opened for queries; its data end with it."""
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="doorward-orthanc-") as folder:
        rules = dict.fromkeys(
            ("DicomAlwaysAllowFind", "DicomAlwaysAllowGet", "DicomAlwaysAllowMove"), answers_queries
        )
        configuration = Path(folder) / "orthanc.json"
        configuration.write_text(
            json.dumps(
                {
                    "Name": "demo",
                    "DicomPort": port,
                    "HttpServerEnabled": False,
                    "StorageDirectory": folder,
                    "IndexDirectory": folder,
                    "Plugins": [],
                    "SyncStorageArea": False,
                    **(rules if answers_queries else {}),
                }
            )
        )
        process = subprocess.Popen(
            [path, str(configuration)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            yield Orthanc(port=port)
        finally:
            # its data are thrown away, so it need not tidy up, for which it takes three seconds
            process.kill()
            process.wait()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("0.0.0.0", 0))  # noqa: S104 - as Orthanc will
        return int(probe.getsockname()[1])


async def load(targets: Sequence[Orthanc], patience_s: float) -> bool:
    """Send every image of the holding to each; tell whether all were taken."""
    taken = await asyncio.gather(*(_load(one, patience_s) for one in targets))
    return all(taken)


async def _load(target: Orthanc, patience_s: float) -> bool:
    until = asyncio.get_running_loop().time() + patience_s
    while asyncio.get_running_loop().time() < until:
        try:
            return await _send_all(target)
        except DoorwardError:
            await asyncio.sleep(0.1)  # not up yet
    return False


async def _send_all(target: Orthanc) -> bool:
    proposal = Proposal(
        called_ae_title=AE_TITLE,
        calling_ae_title="DOORWARDDEMO",
        contexts=[(SOP_CLASS, (TRANSFER_SYNTAX,))],
    )
    async with associate(ADDRESS, target.port, proposal, gate=LoopbackOnly()) as requestor:
        statuses = [
            await store(requestor, instance)
            for study in range(HOLDING.studies)
            for instance in instances_of(HOLDING, study)
        ]
    return not any(statuses)
