"""What TLS profiles ask of a server, as data: PS3.15 B.12 and B.13, RFC 9325, Mozilla intermediate.

Theory of operation: a profile is a list of rules, its own and those of the profiles it includes. A rule names a kind of
question with its arguments, how strict it is, and the section it stands in; audit/tls_conformity.py answers it from facts.
"""

from dataclasses import dataclass
from functools import cache

from doorward.knowledge.loader import rows

_FILE = "tls_profiles.toml"


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsRule:
    """One row: a question, its arguments, where it is written. ``limit`` is a least or, for days, a most."""

    profile: str
    kind: str
    level: str  # must | should
    section: str
    mark: str  # S | M
    values: tuple[str, ...] = ()
    limit: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsProfile:
    """One profile, without the rules."""

    id: str
    title: str
    edition: str
    source: str
    includes: tuple[str, ...] = ()


@cache
def tls_profiles() -> tuple[TlsProfile, ...]:
    """Return every profile, in file order."""
    return rows("doorward.knowledge", _FILE, "profile", TlsProfile)


@cache
def profile_of(profile_id: str) -> TlsProfile:
    """Return a profile; KeyError for one that the file does not have."""
    return {profile.id: profile for profile in tls_profiles()}[profile_id]


@cache
def rules_of(profile_id: str) -> tuple[TlsRule, ...]:
    """Return the rules of a profile, its own first, then those of the profiles that it includes."""
    names = (profile_id, *profile_of(profile_id).includes)
    every = rows("doorward.knowledge", _FILE, "rule", TlsRule)
    return tuple(rule for name in names for rule in every if rule.profile == name)
