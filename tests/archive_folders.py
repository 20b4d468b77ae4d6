"""Folders of archives as ``archive init`` makes them, for tests: on ports that are free, with devices that can call."""

import asyncio
import re
import ssl
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from doorward.access.device_bundle import DeviceBundle
from doorward.access.identity import Device, Role
from doorward.access.journal.reading import show
from doorward.archive.running import settings_file
from doorward.archive.running.devices import Ordered, add_device
from doorward.archive.running.first_start import init
from doorward.archive.running.folder import Folder
from doorward.archive.running.settings import Settings

NOW = datetime.now(UTC)


def ephemeral(**changes: Any) -> Settings:
    """Settings whose ports are any free ones."""
    begun = Settings()
    return replace(
        begun,
        dicom=replace(begun.dicom, port=0),
        https=replace(begun.https, port=0),
        **changes,
    )


def made(path: Path, settings: Settings | None = None, *, now: datetime = NOW) -> Folder:
    """Make an archive and return its folder."""
    folder = Folder(path)
    asyncio.run(init(folder, settings or ephemeral(), now=now))
    return folder


def rewritten(folder: Folder, change: Callable[[Settings], Settings]) -> None:
    """Write the settings anew with a change, as somebody would with an editor."""
    text = settings_file.template(change(folder.settings()))
    folder.settings_file.write_text(text)


def appended(folder: Folder, text: str) -> None:
    """Add lines to the settings."""
    with folder.settings_file.open("a") as stream:
        stream.write(text)


def ct1(folder: Folder, name: str = "ct1", **named: Any) -> DeviceBundle:
    """Let a modality in, and return its bundle."""
    device = Device(name=name, **{"role": Role.MODALITY, "ae_titles": (name.upper(),)} | named)
    return add_device(folder, folder.settings(), device, Ordered(), now=NOW)


def calling_context(bundle: DeviceBundle, place: Path) -> ssl.SSLContext:
    """Return the TLS of a device with its bundle; it trusts the archive's authority and nobody else."""
    vault = bundle.write(place)
    context = ssl.create_default_context(cafile=str(vault.folder / "authority.pem"))
    name = bundle.name
    context.load_cert_chain(
        vault.folder / f"{name}-certificate.pem", vault.folder / f"{name}-key.pem"
    )
    return context


def journalled(folder: Folder) -> list[tuple[str, str, str]]:
    """Return (event, subject, reason) of the whole journal."""
    entries = [record.entry for record in show(folder.journal)]
    return [(str(one.event), one.subject, one.reason) for one in entries]


def ports_of(lines: list[str]) -> dict[str, int]:
    """Return the ports in what an archive says at its start: "dicom", "https", or the name of a legacy port."""
    found = {}
    for line in lines:
        port = re.search(r"port (\d+)", line)
        name = re.search(r"unencrypted \((\w+)\)", line)
        if port and name:
            found[name[1]] = int(port[1])
        elif port:
            found["https" if "HTTPS" in line else "dicom"] = int(port[1])
    return found
