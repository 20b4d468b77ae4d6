"""Network namespaces as sites: each with a loopback of its own, and a cable to a hub where nothing but NATS is to be met.

Needs root, iproute2, and a machine that may have namespaces. Nothing of it touches the networks of the machine, and every
namespace is removed at the end.
"""

import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

#: The hub's address on its bridge.
HUB = "10.77.0.1"
_PATH = os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/sbin"))


def ip(*words: str) -> None:
    """Run ip(8)."""
    program = shutil.which("ip", path=_PATH) or "ip"
    subprocess.run([program, *words], check=True, capture_output=True, timeout=10)


def within(name: str) -> tuple[str, ...]:
    """Return what a command begins with to run in a namespace."""
    return (shutil.which("ip", path=_PATH) or "ip", "netns", "exec", name)


@contextmanager
def namespace(name: str) -> Iterator[str]:
    """Make a network namespace with its loopback up."""
    ip("netns", "add", name)
    try:
        ip("-n", name, "link", "set", "lo", "up")
        yield name
    finally:
        ip("netns", "del", name)


@contextmanager
def sites(names: Sequence[str]) -> Iterator[dict[str, str]]:
    """Make the namespaces of the sites and of "hub", and cables between; yields site -> namespace."""
    with ExitStack() as stack:
        made = {
            site: stack.enter_context(namespace(f"doorward-{os.getpid()}-{site}"))
            for site in ("hub", *names)
        }
        hub = made["hub"]
        ip("-n", hub, "link", "add", "bridge", "type", "bridge")
        ip("-n", hub, "addr", "add", f"{HUB}/24", "dev", "bridge")
        ip("-n", hub, "link", "set", "bridge", "up")
        for number, site in enumerate(names, start=21):
            own = made[site]
            cable = ("link", "add", "wan", "netns", own, "type", "veth")
            ip(*cable, "peer", "name", site, "netns", hub)
            ip("-n", hub, "link", "set", site, "master", "bridge", "up")
            ip("-n", own, "addr", "add", f"10.77.0.{number}/24", "dev", "wan")
            ip("-n", own, "link", "set", "wan", "up")
        yield made
