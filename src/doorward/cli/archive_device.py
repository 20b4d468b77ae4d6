"""``doorward archive device add|list|renew|revoke``: which devices are let in, and what their engineers are given."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from doorward.cli.archive_options import (
    AeTitles,
    Dir,
    Expires,
    Site,
    end_of,
    folder_of,
    journal,
    now,
    say_when,
)

if TYPE_CHECKING:
    from doorward.access.device_bundle import DeviceBundle
    from doorward.archive.running.devices import Ordered

app = typer.Typer(
    help="Let devices in, and shut them out.", no_args_is_help=True, rich_markup_mode=None
)

_Name = Annotated[str, typer.Argument(metavar="NAME", help="Its name here, such as ct1.")]
_Request = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Its certificate request (PKCS#10), if it made its key."),
]
_LISTENS = "Where it listens itself, as a destination does; repeatable"
_Rsa = Annotated[
    bool, typer.Option("--rsa", help="An RSA key, for devices without elliptic curves.")
]
_Hosts = Annotated[list[str] | None, typer.Option("--host", help=f"{_LISTENS}.")]
_Out = Annotated[
    Path | None, typer.Option(metavar="FOLDER", help="Where to put its bundle; NAME-bundle here.")
]


@app.command("add")
def add(
    folder: Dir,
    name: _Name,
    *,
    aet: AeTitles = None,
    role: Annotated[
        str, typer.Option(help="modality (sends), workstation (asks and fetches), or migration.")
    ] = "modality",
    site: Site = "",
    expires: Expires = None,
    request: _Request = None,
    rsa: _Rsa = False,
    host: _Hosts = None,
    out: _Out = None,
    address: Annotated[
        list[str] | None,
        typer.Option(help="Without TLS: the numeric address that it calls from; repeatable."),
    ] = None,
    legacy_port: Annotated[
        str, typer.Option(metavar="NAME", help="Without TLS: the legacy port that it calls.")
    ] = "",
) -> None:
    """Let a device in: make its certificate and print what its engineer needs."""
    from doorward.access.identity import Device
    from doorward.archive.running import devices

    found = folder_of(folder)
    settings = found.settings()
    device = Device(
        name=name,
        role=role,
        site=site,
        ae_titles=tuple(aet or (name.upper(),)),
        addresses=tuple(address or ()),
        legacy_port=legacy_port,
        expires_at=end_of(expires),
    )
    if legacy_port:
        commands = devices.add_legacy(found, settings, device)
        journal(found)
        _say_legacy(device.name, legacy_port, commands)
        return
    place = _free(out, name)
    bundle = devices.add_device(found, settings, device, _ordered(request, rsa, host), now=now())
    _deliver(bundle, place)
    journal(found)
    say_when(f"{name} is let in")


@app.command("list")
def listing(folder: Dir) -> None:
    """List the devices: role, AE titles, how each shows itself, and until when."""
    from doorward.archive.running.devices import standings

    for one in standings(folder_of(folder)):
        device = one.device
        ends = [f"certificate until {end:%Y-%m-%d}" for end in one.not_after]
        if device.legacy_port:
            ends.append(f"unencrypted from {', '.join(device.addresses)} on {device.legacy_port}")
        if device.expires_at is not None:
            ends.append(f"expires {device.expires_at.astimezone():%Y-%m-%d}")
        titles, how = ", ".join(device.ae_titles), "; ".join(ends) or "cannot show itself"
        typer.echo(f"{device.name:<20} {device.role:<12} {titles:<18} {device.site:<10} {how}")


@app.command("renew")
def renew(
    folder: Dir,
    name: _Name,
    *,
    request: _Request = None,
    rsa: Annotated[
        bool | None, typer.Option("--rsa/--ec", help="Another kind of key than it has.")
    ] = None,
    host: Annotated[
        list[str] | None, typer.Option("--host", help=f"{_LISTENS}. Instead of those before.")
    ] = None,
    no_host: Annotated[
        bool, typer.Option("--no-host", help="It does not listen any more.")
    ] = False,
    out: _Out = None,
) -> None:
    """Make a new certificate for a device; the former one holds until the next renewal.

    Its hosts and the kind of its key stay as they are, unless others are named.
    """
    from doorward.archive.running import devices
    from doorward.errors import ConfigError

    found = folder_of(folder)
    place = _free(out, name)
    if host and no_host:
        raise ConfigError("contradicts --host", field="--no-host", hint="Say one of the two.")
    ordered = _ordered(request, rsa, [] if no_host else host or None)
    bundle = devices.renew_device(found, found.settings(), name, ordered, now=now())
    _deliver(bundle, place)
    journal(found)
    say_when(f"{name} is renewed")


@app.command("revoke")
def revoke(folder: Dir, name: _Name) -> None:
    """Shut a device out, its open associations included."""
    from doorward.archive.running import devices

    found = folder_of(folder)
    devices.revoke_device(found, name, now=now())
    journal(found)
    say_when(f"{name} is revoked")


def _ordered(request: Path | None, rsa: bool | None, hosts: list[str] | None) -> "Ordered":
    from doorward.access.authority import KeyKind
    from doorward.archive.running.devices import Ordered, read_request

    kinds = {None: None, True: KeyKind.RSA, False: KeyKind.EC}
    return Ordered(
        key_kind=kinds[rsa],
        request=None if request is None else read_request(request),
        hosts=None if hosts is None else tuple(hosts),
    )


def _free(out: Path | None, name: str) -> Path:
    """Return where the bundle goes; looked at before anything is changed. Raises ConfigError."""
    from doorward.errors import ConfigError

    place = out or Path(f"{name}-bundle")
    if place.exists() or not place.parent.is_dir():
        what = "is there already" if place.exists() else "has no parent folder"
        raise ConfigError(what, file=place, hint="Name another place: --out FOLDER")
    return place


def _deliver(bundle: "DeviceBundle", place: Path) -> None:
    bundle.write(place)
    typer.echo(f"The bundle of {bundle.name} is in {place}: hand it over, then delete it here.")
    typer.echo(f"  {place}/settings.txt says what to set on the device.")
    if bundle.passphrase:
        typer.echo(f"Passphrase of {bundle.name}.p12, shown once; send it another way:")
        typer.echo(f"  {bundle.passphrase}")
    typer.echo(
        "To try it with DCMTK, in that folder (not in an active .venv: pynetdicom has programs of these names):"
    )
    for command in bundle.commands:
        typer.echo(f"  {command}")


def _say_legacy(name: str, port: str, commands: tuple[str, ...]) -> None:
    typer.echo(f"{name} is let in on {port}, unencrypted: by its address and AE title alone.")
    typer.echo("To try it with DCMTK, from that address:")
    for command in commands:
        typer.echo(f"  {command}")
    say_when(f"{name} is let in")
