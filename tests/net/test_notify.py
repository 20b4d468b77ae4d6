"""systemd hears that we are ready, alive and stopping, on a real datagram socket; without one nothing happens."""

import asyncio
import os
import socket
from contextlib import contextmanager

import pytest

from doorward.net.notify import Notifier
from loopback import in_loop


@contextmanager
def systemd(path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(path)
        manager.settimeout(5)
        yield manager


def test_ready_and_stopping_reach_the_socket(tmp_path):
    place = str(tmp_path / "notify")
    with systemd(place) as manager:
        notifier = Notifier.from_environment({"NOTIFY_SOCKET": place})
        notifier.ready("3 listeners")
        notifier.stopping()
        assert manager.recv(100) == b"READY=1\nSTATUS=3 listeners"
        assert manager.recv(100) == b"STOPPING=1"


def test_an_abstract_socket_is_one_too():
    name = f"doorward-test-{os.getpid()}"
    with systemd(f"\0{name}") as manager:
        Notifier.from_environment({"NOTIFY_SOCKET": f"@{name}"}).ready()
        assert manager.recv(100) == b"READY=1"


@in_loop
async def test_signs_of_life_come_twice_as_often_as_they_are_wanted(tmp_path):
    place = str(tmp_path / "notify")
    with systemd(place) as manager:
        wanted = {
            "NOTIFY_SOCKET": place,
            "WATCHDOG_USEC": "20000",
            "WATCHDOG_PID": str(os.getpid()),
        }
        notifier = Notifier.from_environment(wanted)
        assert notifier.watchdog_s == pytest.approx(0.02)
        async with asyncio.TaskGroup() as tasks:
            alive = tasks.create_task(notifier.keep_alive())
            for _ in range(3):
                assert await asyncio.to_thread(manager.recv, 100) == b"WATCHDOG=1"
            alive.cancel()


@pytest.mark.parametrize(
    "environment",
    (
        {},
        {"WATCHDOG_USEC": "1000000"},
        {"NOTIFY_SOCKET": "vsock:2:1", "WATCHDOG_USEC": "1000000"},
        {"NOTIFY_SOCKET": "/x", "WATCHDOG_USEC": "soon"},
        {"NOTIFY_SOCKET": "/x", "WATCHDOG_USEC": "-5"},
        {"NOTIFY_SOCKET": "/x", "WATCHDOG_USEC": "5", "WATCHDOG_PID": "1"},
        {"NOTIFY_SOCKET": "/x", "WATCHDOG_USEC": "9" * 18},
    ),
)
@in_loop
async def test_who_wants_no_sign_of_life_gets_none(environment):
    notifier = Notifier.from_environment(environment)
    assert notifier.watchdog_s == 0
    await notifier.keep_alive()


def test_a_manager_that_is_gone_is_no_fault(tmp_path):
    Notifier(str(tmp_path / "nobody")).ready()
    Notifier().ready()
