"""The floors of the house hold: imports go down, sockets stay on one floor, the auditor cannot take or change.

The rules are tables in tools/house.py; here every source file is held against them, and the rules against files that
break them, so that a rule that finds nothing cannot pass for one that holds.
"""

from pathlib import Path

import pytest

import house

SOURCE = Path(__file__).resolve().parent.parent / "src" / "doorward"
FILES = sorted(path.relative_to(SOURCE).as_posix() for path in SOURCE.rglob("*.py"))


@pytest.mark.parametrize("path", FILES)
def test_file_keeps_to_its_floor(path):
    found = house.faults(path, (SOURCE / path).read_text())
    assert not found, "\n".join(map(str, found))


def test_every_room_has_a_floor_and_words():
    rooms = {path.name for path in SOURCE.iterdir() if path.is_dir() and path.name != "__pycache__"}
    rooms |= {path.stem for path in SOURCE.glob("*.py")}
    assert rooms <= set(house.FLOORS)
    assert set(house.FLOORS) - set(house.ROOMS) == {"__init__", "__main__"}


@pytest.mark.parametrize(
    ("path", "source", "words"),
    (
        ("wire/pdu.py", "from doorward.net import dial", "a floor above"),
        ("wire/pdu.py", "import doorward.dicom.walk", "beside it"),
        ("wire/pdu.py", "def f():\n    import time", "floor 0 imports no time"),
        ("knowledge/loader.py", "from os import environ", "floor 0 imports no os"),
        ("limits.py", "import datetime\ndatetime.datetime.now(datetime.UTC)", "reads no clock"),
        ("errors.py", "from .net import dial", "a floor above"),
        ("dicom/walk.py", "from .. import wire", "beside it"),
        ("dicom/walk.py", "import pydicom", "package pydicom"),
        ("net/server.py", "from doorward.audit.scope import Scope", "a floor above"),
        ("net/server.py", "loop.create_connection(None)", "dial through net.dial"),
        ("audit/sensor.py", "import asyncio\nasyncio.start_server(None)", "sockets stay"),
        ("access/policy.py", "from doorward.net import server", "does not dial"),
        ("audit/probes/association.py", "import socket", "module socket"),
        (
            "audit/probes/association.py",
            "from asyncio import open_connection\nopen_connection()",
            "net.dial",
        ),
        ("audit/count.py", "import doorward.archive", "beside it"),
        ("audit/count.py", "import doorward.net.transfer", "promise 3"),
        ("audit/count.py", "from doorward.net import transfer", "promise 3"),
        ("audit/count.py", "from doorward.net.transfer import store", "promise 3"),
        ("audit/probes/web.py", "from doorward.net.http import post_form", "promise 3"),
        ("audit/count.py", "from doorward.wire.dimse import CGetRequest", "promise 3"),
        ("audit/count.py", "import urllib.request", "module urllib.request"),
        ("audit/count.py", "from urllib import request", "module urllib.request"),
        ("audit/count.py", "import requests", "package requests"),
        ("audit/judge.py", "from rich import console", "package rich"),
        ("practice/fleet.py", "from doorward.audit import scope", "beside it"),
        ("practice/fleet.py", "from doorward import cli", "a floor above"),
        ("attic/x.py", "from doorward.wire import pdu", "attic has no floor"),
        ("wire/pdu.py", "from doorward import attic", "attic has no floor"),
        ("net/dial.py", "import doorward", "no floor"),
    ),
)
def test_broken_rule_is_found(path, source, words):
    assert any(words in fault.rule for fault in house.faults(path, source))


@pytest.mark.parametrize(
    ("path", "source"),
    (
        ("wire/dimse.py", "from doorward.limits import Limits\nfrom doorward.wire import pdu"),
        ("knowledge/loader.py", "import importlib.resources\nimport tomllib"),
        ("net/dial.py", "import asyncio, socket, ssl\nloop.create_connection(None)"),
        (
            "audit/probes/association.py",
            "import asyncio\nfrom doorward.net.client import associate",
        ),
        ("audit/report/model.py", "import pydantic\nfrom doorward import __version__"),
        (
            "cli/audit.py",
            "import typer\nimport doorward.practice.fleet\nimport doorward.audit.judge",
        ),
        ("practice/personas.py", "from doorward.net.transfer import store"),
        ("__main__.py", "from doorward.cli.main import main"),
        ("cli/app.py", "import doorward"),
    ),
)
def test_what_the_design_allows_is_allowed(path, source):
    assert house.faults(path, source) == []
