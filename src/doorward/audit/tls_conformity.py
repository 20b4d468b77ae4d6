"""Does a port meet a TLS profile? Facts and the rules of ``knowledge.tls_profiles`` in, yes, no or not shown out.

Theory of operation: each rule is one question with four possible answers. Broken: a fact shows it. Kept: facts show it,
and they are complete. Not shown: the rule wants the server to be able to do something that it did not offer here; a
profile describes what a product can do, and this is one configuration of it. Unknown: the facts end before. A profile is
missed when a "must" is broken, met when every "must" is kept, and otherwise it is not shown. Every answer carries words.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from doorward.audit.tls_facts import Preference, TlsDepthFacts
from doorward.knowledge.tls_parameters import (
    Group,
    Suite,
    group_named,
    signature_schemes,
    suite_named,
)
from doorward.knowledge.tls_profiles import TlsProfile, TlsRule, profile_of, rules_of
from doorward.net.certificate_facts import CertificateFacts

_MOST_NAMES = 4


class Status(StrEnum):
    """The answer to one rule."""

    KEPT = "kept"
    BROKEN = "broken"
    NOT_SHOWN = "not_shown"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One rule and what the facts say to it; ``words`` is "" where it is kept."""

    rule: TlsRule
    status: Status
    words: str = ""

    @property
    def sentence(self) -> str:
        """The words with their source, for people."""
        return f"{self.words} ({self.rule.section})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Conformity:
    """A port against a profile. ``meets`` None: neither shown nor disproved; ``because`` says what decided."""

    profile: TlsProfile
    meets: bool | None
    because: tuple[str, ...]
    advice: tuple[str, ...]
    #: Not shown, and no hello could show it: a port need not use all that its software is able to do.
    is_hidden: bool = False


Told = tuple[Status, str]
_KEPT: Told = (Status.KEPT, "")


def conformity(facts: TlsDepthFacts, profile_id: str) -> Conformity:
    """Judge a port that speaks TLS against one profile; KeyError for a profile that is not known."""
    answers = [answer(facts, rule) for rule in rules_of(profile_id)]
    must = [a for a in answers if a.rule.level == "must" and a.status is not Status.KEPT]
    broken = [a for a in must if a.status is Status.BROKEN]
    advice = [a for a in answers if a.rule.level == "should" and a.status is Status.BROKEN]
    return Conformity(
        profile=profile_of(profile_id),
        meets=False if broken else None if must else True,
        because=_sentences(broken or must),
        advice=_sentences(advice),
        is_hidden=bool(must) and all(a.status is Status.NOT_SHOWN for a in must),
    )


def answer(facts: TlsDepthFacts, rule: TlsRule) -> Answer:
    """Ask one rule; one that was not read in its source (mark M) cannot be broken, only not shown."""
    status, words = _QUESTIONS[rule.kind](facts, rule)
    if status is Status.BROKEN and rule.mark != "S":
        status = Status.NOT_SHOWN
    return Answer(rule=rule, status=status, words=words)


def traits(suite: Suite) -> frozenset[str]:
    """Return what is wrong with a suite, in the words of the rules; the empty set for a good one."""
    is_static = suite.key_exchange in ("DH", "ECDH")
    found = {
        "no encryption": suite.bits == 0,
        "no authentication": suite.is_anonymous,
        "RC4": "RC4" in suite.encryption,
        "export": suite.is_export,
        "less than 112 bit": 0 < suite.bits < 112,
        "less than 128 bit": 0 < suite.bits < 128,
        "64-bit blocks": suite.encryption in ("3DES_EDE_CBC", "IDEA_CBC"),
        "static RSA": suite.key_exchange == "RSA",
        "static Diffie-Hellman": is_static and not suite.is_anonymous,
        "no forward secrecy": not suite.has_forward_secrecy,
        "finite-field Diffie-Hellman": suite.key_exchange == "DHE",
        "CBC": suite.is_cbc,
    }
    return frozenset(name for name, is_so in found.items() if is_so)


def suites_with(facts: TlsDepthFacts, wrong: Iterable[str]) -> tuple[str, ...]:
    """Return the names of the accepted suites that have one of the traits."""
    unwanted = frozenset(wrong)
    found = ((name, suite_named(name)) for name in facts.suites)
    return tuple(n for n, suite in found if suite is not None and traits(suite) & unwanted)


def listed(names: Sequence[str]) -> str:
    """Return the first names and how many more there are."""
    more = len(names) - _MOST_NAMES
    return ", ".join(names[:_MOST_NAMES]) + (f" and {more} more" if more > 0 else "")


def accepted_groups(facts: TlsDepthFacts) -> tuple[Group, ...]:
    """Return every group that was shown: by elimination, or with a suite."""
    of_suites = (suite.group for version in facts.versions for suite in version.suites)
    names = dict.fromkeys((*facts.groups.names, *facts.groups_tls_1_3.names, *of_suites))
    found = (group_named(name) for name in names)
    return tuple(group for group in found if group is not None)


def shown_certificates(facts: TlsDepthFacts) -> tuple[CertificateFacts, ...]:
    """Return every certificate that was shown, once; leaves first."""
    leaves = [chain.certificates[0] for chain in facts.chains if chain.certificates]
    others = [one for chain in facts.chains for one in chain.certificates[1:]]
    return tuple({one.fingerprint_sha256: one for one in (*leaves, *others)}.values())


def leaves(facts: TlsDepthFacts) -> tuple[CertificateFacts, ...]:
    """Return the servers' own certificates: more than one where it has one for each kind of key."""
    return tuple(
        {
            c.certificates[0].fingerprint_sha256: c.certificates[0]
            for c in facts.chains
            if c.certificates
        }.values()
    )


def _sentences(answers: Iterable[Answer]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(one.sentence for one in answers))


# --- one function per kind of rule --------------------------------------------------------------------------------------


def _unless_incomplete(facts: TlsDepthFacts) -> Told:
    """Nothing bad was seen: that is an answer only where everything was asked."""
    if facts.knows_all_suites:
        return _KEPT
    return Status.UNKNOWN, "not every version and suite could be tried"


def _versions_forbidden(facts: TlsDepthFacts, rule: TlsRule) -> Told:
    accepted = [name for name in rule.values if name in facts.accepted_versions]
    if accepted:
        return Status.BROKEN, f"{', '.join(accepted)} accepted"
    unknown = [n for n in rule.values if (v := facts.seen(n)) is None or v.is_accepted is None]
    return (Status.UNKNOWN, f"no clear answer to {', '.join(unknown)}") if unknown else _KEPT


def _versions_required(facts: TlsDepthFacts, rule: TlsRule) -> Told:
    missing = [name for name in rule.values if name not in facts.accepted_versions]
    if not missing:
        return _KEPT
    # RFC and profile ask for a capability; for advice it is enough that it is not offered.
    status = Status.BROKEN if rule.level == "should" else Status.NOT_SHOWN
    return status, f"{', '.join(missing)} not accepted"


def _tls_1_3_preferred(facts: TlsDepthFacts, _rule: TlsRule) -> Told:
    if facts.prefers_tls_1_3 is False:
        return Status.BROKEN, "TLS 1.2 is preferred to TLS 1.3"
    if facts.prefers_tls_1_3 is None and {"TLSv1.2", "TLSv1.3"} <= set(facts.accepted_versions):
        return Status.UNKNOWN, "no clear answer to TLS 1.2 and 1.3 together"
    return _KEPT


def _flag(value: bool | None, wanted: bool, words: str, facts: TlsDepthFacts) -> Told:
    if not any(v in facts.accepted_versions for v in ("SSLv3", "TLSv1", "TLSv1.1", "TLSv1.2")):
        return (
            _KEPT  # TLS 1.3 has neither compression nor renegotiation, and binds its secrets itself
        )
    if value is None:
        return Status.UNKNOWN, f"not known: {words}"
    return _KEPT if value is wanted else (Status.BROKEN, words)


def _no_compression(facts: TlsDepthFacts, _rule: TlsRule) -> Told:
    return _flag(facts.compresses, False, "TLS compression is accepted", facts)


def _renegotiation_info(facts: TlsDepthFacts, _rule: TlsRule) -> Told:
    return _flag(facts.has_renegotiation_info, True, "no secure renegotiation", facts)


def _extended_master_secret(facts: TlsDepthFacts, _rule: TlsRule) -> Told:
    return _flag(facts.has_extended_master_secret, True, "no extended master secret", facts)


def _suites_forbidden(facts: TlsDepthFacts, rule: TlsRule) -> Told:
    found = suites_with(facts, rule.values)
    if found:
        return Status.BROKEN, f"{listed(found)} accepted"
    return _unless_incomplete(facts)


def _suites_allowed(facts: TlsDepthFacts, rule: TlsRule) -> Told:
    found = [name for name in facts.suites if name not in rule.values]
    if found:
        return Status.BROKEN, f"{listed(found)} accepted"
    return _unless_incomplete(facts)


def _suites_required(facts: TlsDepthFacts, rule: TlsRule) -> Told:
    missing = [name for name in rule.values if name not in facts.suites]
    return (Status.NOT_SHOWN, f"{listed(missing)} not accepted") if missing else _KEPT


def _forward_secrecy_offered(facts: TlsDepthFacts, _rule: TlsRule) -> Told:
    found = [s for name in facts.suites if (s := suite_named(name)) is not None]
    if any(suite.has_forward_secrecy for suite in found):
        return _KEPT
    if not facts.knows_all_suites or not found:
        return Status.UNKNOWN, "no suite with forward secrecy was seen, but not all could be tried"
    return Status.BROKEN, "no suite with forward secrecy is accepted"


def _dh_bits(facts: TlsDepthFacts, rule: TlsRule) -> Told:
    bits = facts.smallest_dh_bits
    if bits is not None and bits < rule.limit:
        return Status.BROKEN, f"Diffie-Hellman with {bits} bit"
    return _unless_incomplete(facts)


def _curve_bits(facts: TlsDepthFacts, rule: TlsRule) -> Told:
    weak = [g.name for g in accepted_groups(facts) if g.kind != "ff" and g.bits < rule.limit]
    if weak:
        return Status.BROKEN, f"{listed(weak)} accepted"
    return _unless_incomplete(facts)


def _groups_allowed(facts: TlsDepthFacts, rule: TlsRule) -> Told:
    other = [g.name for g in accepted_groups(facts) if g.kind == "ec" and g.name not in rule.values]
    return (Status.BROKEN, f"{listed(other)} accepted") if other else _unless_incomplete(facts)


def _of_leaves(facts: TlsDepthFacts, bad: Callable[[CertificateFacts], str]) -> Told:
    certificates = leaves(facts)
    faults = [words for one in certificates if (words := bad(one))]
    if faults:
        return Status.BROKEN, listed(faults)
    return _KEPT if certificates else (Status.UNKNOWN, "no certificate was seen")


def _rsa_bits(facts: TlsDepthFacts, rule: TlsRule) -> Told:
    return _of_leaves(
        facts,
        lambda c: f"{c.key} key" if c.key.startswith("RSA") and c.key_bits < rule.limit else "",
    )


def _certificate_curves_allowed(facts: TlsDepthFacts, rule: TlsRule) -> Told:
    def bad(certificate: CertificateFacts) -> str:
        kind, _, curve = certificate.key.partition(" ")
        return f"{certificate.key} key" if kind == "EC" and curve not in rule.values else ""

    return _of_leaves(facts, bad)


def _certificate_signatures_allowed(facts: TlsDepthFacts, rule: TlsRule) -> Told:
    return _of_leaves(
        facts, lambda c: "" if c.signature in rule.values else f"signed with {c.signature}"
    )


def _certificate_hashes_forbidden(facts: TlsDepthFacts, rule: TlsRule) -> Told:
    """A root's own signature protects nothing, so it is left out (RFC 9325 section 4.5 speaks of what is relied on)."""

    def is_weak(one: CertificateFacts) -> bool:
        name = one.signature.lower().replace("-", "")
        return not one.is_self_signed and any(hash_ in name for hash_ in rule.values)

    certificates = shown_certificates(facts)
    weak = [f"a certificate signed with {c.signature}" for c in certificates if is_weak(c)]
    if weak:
        return Status.BROKEN, listed(tuple(dict.fromkeys(weak)))
    return _KEPT if certificates else (Status.UNKNOWN, "no certificate was seen")


def _certificate_days(facts: TlsDepthFacts, rule: TlsRule) -> Told:
    def bad(certificate: CertificateFacts) -> str:
        start, end = (
            datetime.fromisoformat(day) for day in (certificate.not_before, certificate.not_after)
        )
        return f"valid for {(end - start).days} days" if (end - start).days > rule.limit else ""

    return _of_leaves(facts, bad)


def _handshake_hashes_forbidden(facts: TlsDepthFacts, rule: TlsRule) -> Told:
    weak = [
        s.name
        for s in signature_schemes()
        if s.hash in rule.values and s.name in facts.signatures.names
    ]
    if weak:
        return Status.BROKEN, f"handshakes signed with {listed(weak)}"
    if facts.signatures.is_complete or "TLSv1.2" not in facts.accepted_versions:
        return _KEPT
    return Status.UNKNOWN, "not every signature scheme could be tried"


def _client_order(facts: TlsDepthFacts, _rule: TlsRule) -> Told:
    own = [v.version for v in facts.versions if v.preference is Preference.SERVER]
    return (Status.BROKEN, f"the server's own order decides in {', '.join(own)}") if own else _KEPT


_QUESTIONS: dict[str, Callable[[TlsDepthFacts, TlsRule], Told]] = {
    "versions_forbidden": _versions_forbidden,
    "versions_required": _versions_required,
    "tls_1_3_preferred": _tls_1_3_preferred,
    "no_compression": _no_compression,
    "renegotiation_info": _renegotiation_info,
    "extended_master_secret": _extended_master_secret,
    "suites_forbidden": _suites_forbidden,
    "suites_allowed": _suites_allowed,
    "suites_required": _suites_required,
    "forward_secrecy_offered": _forward_secrecy_offered,
    "dh_bits": _dh_bits,
    "curve_bits": _curve_bits,
    "groups_allowed": _groups_allowed,
    "rsa_bits": _rsa_bits,
    "certificate_curves_allowed": _certificate_curves_allowed,
    "certificate_signatures_allowed": _certificate_signatures_allowed,
    "certificate_hashes_forbidden": _certificate_hashes_forbidden,
    "certificate_days": _certificate_days,
    "handshake_hashes_forbidden": _handshake_hashes_forbidden,
    "client_order": _client_order,
}

#: Every kind of rule that can be answered.
KINDS = frozenset(_QUESTIONS)
