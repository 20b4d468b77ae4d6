"""File shares beside an archive: reachable, in versions that protect nothing."""

from collections.abc import Callable
from datetime import datetime

from doorward.audit.checks.registry import Per, check
from doorward.audit.checks.ruling import (
    Ruling,
    failed,
    inconclusive,
    not_applicable,
    passed,
    unasked,
)
from doorward.audit.checks.vantage import FROM, REACHED, vantage
from doorward.audit.door import Door
from doorward.audit.share_facts import ShareFacts

PROBE = "shares"
NAMES = {"smb": "SMB", "nfs": "NFS", "portmapper": "the portmapper of NFS"}
_NFS_WITH_IDENTITIES = 4
ShareRule = Callable[[Door, ShareFacts], Ruling]


def _about(protocol: str, check_id: str) -> Callable[[ShareRule], ShareRule]:
    """Bind a rule that reads the facts of one protocol; for other ports the answer is the same for all."""

    def bind(rule: ShareRule) -> ShareRule:
        def asked(door: Door, _now: datetime) -> Ruling:
            facts = next(iter(door.answered(ShareFacts)), None)
            if facts is None:
                return unasked(door, PROBE)
            if facts.protocol != protocol:
                return not_applicable(f"Port {door.port} was not asked for {NAMES[protocol]}.")
            if not facts.is_open:
                return not_applicable(f"Port {door.port} is closed.")
            if not facts.is_recognised:
                return not_applicable(f"Port {door.port} answers, but not as {NAMES[protocol]}.")
            return rule(door, facts)

        check(check_id, per=Per.ASKED)(asked)
        return rule

    return bind


@check("share_port_reachable", per=Per.ASKED)
def port_reachable(door: Door, _now: datetime) -> Ruling:
    """Judge that file shares are offered at all."""
    facts = next(iter(door.answered(ShareFacts)), None)
    if facts is None:
        return unasked(door, PROBE)
    if not facts.is_open:
        return passed(f"Port {door.port} is closed: the connection was refused.")
    name = NAMES[facts.protocol]
    if not facts.is_recognised:
        return not_applicable(f"Port {door.port} answers, but not as {name}.")
    seen_from = vantage(door.system.address)
    named = f" ({', '.join(_versions(facts))})" if _versions(facts) else ""
    return failed(
        f"Port {door.port} answers as {name}{named}.{FROM[seen_from]}", REACHED[seen_from]
    )


def _versions(facts: ShareFacts) -> list[str]:
    if facts.protocol == "smb":
        return [f"version {facts.smb_dialect}"] if facts.smb_dialect else []
    return [f"version {number}" for number in facts.nfs_versions]


@_about("smb", "smb_v1_spoken")
def first_version_spoken(_door: Door, facts: ShareFacts) -> Ruling:
    """Judge the version without integrity protection, of 1983."""
    if facts.smb_first_version is None:
        return inconclusive("The offer of nothing but version 1 got no usable answer.")
    if facts.smb_first_version:
        return failed("The offer of nothing but version 1 (NT LM 0.12) was taken.")
    return passed(
        "The offer of nothing but version 1 was refused or dropped, newer ones were answered."
    )


@_about("smb", "smb_signing_not_required")
def signing_not_required(_door: Door, facts: ShareFacts) -> Ruling:
    """Judge whether messages must be signed (MS-SMB2 section 2.2.4, SecurityMode)."""
    if facts.smb_signing_required:
        return passed(f"SMB {facts.smb_dialect}: the server requires signing.")
    return failed(f"SMB {facts.smb_dialect}: the server does not require signing.")


@_about("nfs", "nfs_old_version_spoken")
def old_version_spoken(_door: Door, facts: ShareFacts) -> Ruling:
    """Judge the versions that know callers by their address alone (RFC 1813)."""
    old = [number for number in facts.nfs_versions if number < _NFS_WITH_IDENTITIES]
    if old:
        return failed(f"NFS version {' and '.join(map(str, old))} is spoken.")
    return passed("NFS version 4 is spoken, versions 2 and 3 are not.")


@_about("portmapper", "nfs_portmapper_open")
def portmapper_open(_door: Door, facts: ShareFacts) -> Ruling:
    """Judge what the portmapper tells strangers (RFC 1833)."""
    if facts.portmapper_tells:
        return failed("The portmapper told a stranger where NFS or its mount service listens.")
    return passed("The portmapper knows no NFS over TCP, or does not tell.")
