"""TLS in depth: everything that a port would accept, against RFC 9325, PS3.15 B.12 and B.13, Mozilla intermediate.

Theory of operation: the rules read ``TlsDepthFacts``, on whatever port they were collected, DICOM or not. A bad thing that
was seen fails; nothing bad seen passes only where everything was asked. Where the DICOM checks of transport.py already
speak about the same thing of the same port (its leaf certificate, TLS 1.0 and 1.1), these say so and leave it to them.
"""

import ipaddress
from collections.abc import Callable, Sequence
from datetime import datetime

from doorward.audit.checks.registry import Per, check
from doorward.audit.checks.ruling import (
    Ruling,
    failed,
    inconclusive,
    not_applicable,
    not_tested,
    number,
    passed,
    unasked,
)
from doorward.audit.door import Door
from doorward.audit.tls_conformity import (
    Conformity,
    Status,
    accepted_groups,
    answer,
    conformity,
    leaves,
    listed,
    shown_certificates,
    suites_with,
)
from doorward.audit.tls_facts import Preference, TlsDepthFacts
from doorward.audit.verdict import Severity, Verdict
from doorward.knowledge.tls_parameters import signature_schemes
from doorward.knowledge.tls_profiles import TlsRule, rules_of
from doorward.net.certificate_facts import CertificateFacts

PROBE = "tls_depth"

_OLD = ("TLSv1", "TLSv1.1")
_WITHOUT_PROTECTION = ("no encryption", "no authentication", "RC4", "export", "less than 112 bit")
#: Traits that make one suite worse than another: with these on offer the order matters.
_WORSE = (*_WITHOUT_PROTECTION, "64-bit blocks", "no forward secrecy", "CBC")
_LEAST_DH_BITS = 2048  # RFC 9325 section 4.5
_BREAKABLE_DH_BITS = 1024  # Logjam: within reach of a state
_LEAST_CURVE_BITS = 224  # RFC 9325 section 4.5
_LEAST_RSA_BITS = 2048
_WEAK_HASHES = ("MD5", "SHA1")
_WEAK_SIGNATURES = ("md2", "md5", "sha1")

_MOZILLA = "mozilla-intermediate"
#: RFC 8446 section 4.2.7: the curves of TLS 1.3.
_TLS_1_3_CURVES = frozenset({"secp256r1", "secp384r1", "secp521r1", "x25519", "x448"})

DepthRule = Callable[[Door, TlsDepthFacts, datetime], Ruling]


def _about_tls(check_id: str) -> Callable[[DepthRule], DepthRule]:
    """Bind a rule that is asked of ports whose TLS was looked into; for the others the answer is the same for all."""

    def bind(rule: DepthRule) -> DepthRule:
        def asked(door: Door, now: datetime) -> Ruling:
            facts = next(iter(door.answered(TlsDepthFacts)), None)
            if facts is None:
                return unasked(door, PROBE)
            if not facts.speaks_tls:
                return not_applicable(f"Port {door.port} speaks no TLS.")
            if not facts.accepted_versions:
                return inconclusive(
                    "Every hello was refused: nothing is known of what is accepted."
                )
            return rule(door, facts, now)

        check(check_id, per=Per.ASKED)(asked)
        return rule

    return bind


# --- versions -----------------------------------------------------------------------------------------------------------


@_about_tls("tls_ssl3_offered")
def ssl3_offered(_door: Door, facts: TlsDepthFacts, _now: datetime) -> Ruling:
    """Judge SSL 3.0 (RFC 7568: must not be used)."""
    seen = facts.seen("SSLv3")
    if seen is None or seen.is_accepted is None:
        return inconclusive("No clear answer came to an SSL 3.0 hello.")
    if seen.is_accepted:
        return failed(f"SSL 3.0 was accepted with {seen.suites[0].name}.")
    return passed(f"SSL 3.0 was refused ({seen.refusal}).")


@_about_tls("tls_version_old_offered")
def version_old_offered(door: Door, facts: TlsDepthFacts, _now: datetime) -> Ruling:
    """Judge TLS 1.0 and 1.1 (RFC 8996), and whether anything newer is there."""
    if door.tls is not None and door.is_dicom:
        return not_applicable("See tls_version_outdated, which is about the same port.")
    accepted = [name for name in _OLD if name in facts.accepted_versions]
    newer = [v for v in ("TLSv1.2", "TLSv1.3") if v in facts.accepted_versions]
    if accepted:
        words = f"{' and '.join(accepted)} accepted"
        if newer:
            return failed(f"{words} beside {' and '.join(newer)}.", Severity.MEDIUM)
        return failed(f"{words}, and nothing newer was.")
    unknown = [n for n in _OLD if (v := facts.seen(n)) is None or v.is_accepted is None]
    if unknown:
        return inconclusive(f"No clear answer came to {' and '.join(unknown)}.")
    return passed("TLS 1.0 and 1.1 were refused.")


@_about_tls("tls_downgrade_unprotected")
def downgrade_unprotected(_door: Door, facts: TlsDepthFacts, _now: datetime) -> Ruling:
    """Judge the two signals against a forced downgrade (RFC 7507, RFC 8446 section 4.1.3)."""
    if len(facts.accepted_versions) < 2:
        return not_applicable("Only one version is spoken: there is nothing to fall back to.")
    if facts.marks_downgrade is False:
        return failed("TLS 1.3 is spoken, but answers in older versions are not marked.")
    if facts.refuses_fallback is False:
        return failed("A hello marked as a fallback was answered.")
    if facts.refuses_fallback is None and facts.marks_downgrade is None:
        return inconclusive("No clear answer came to a hello marked as a fallback.")
    said = "refused" if facts.refuses_fallback else "of no use"
    marks = ", and answers in older versions are marked" if facts.marks_downgrade else ""
    return passed(f"A hello marked as a fallback was {said}{marks}.")


# --- suites -------------------------------------------------------------------------------------------------------------


def _no_suite_with(
    facts: TlsDepthFacts, wrong: Sequence[str], what: str, severity: Severity | None = None
) -> Ruling:
    found = suites_with(facts, wrong)
    if found:
        return failed(f"{number(len(found), 'suite')} {what}: {listed(found)}.", severity)
    return _complete(facts) or passed(
        f"{number(len(facts.suites), 'suite')} accepted, none {what}."
    )


def _complete(facts: TlsDepthFacts) -> Ruling | None:
    """Return the ruling for what was not asked to its end, or None."""
    if facts.knows_all_suites:
        return None
    return inconclusive(
        "Nothing of the kind was seen, but not every version and suite could be tried."
    )


@_about_tls("tls_suite_broken_offered")
def suite_broken_offered(_door: Door, facts: TlsDepthFacts, _now: datetime) -> Ruling:
    """Judge suites that protect nothing or little (RFC 9325 section 4.1)."""
    return _no_suite_with(facts, _WITHOUT_PROTECTION, "with little or no protection")


@_about_tls("tls_suite_small_block_offered")
def suite_small_block_offered(_door: Door, facts: TlsDepthFacts, _now: datetime) -> Ruling:
    """Judge ciphers with blocks of 64 bit (Sweet32; less than 128 bit of security: RFC 9325 section 4.1)."""
    return _no_suite_with(facts, ("64-bit blocks",), "with blocks of 64 bit")


@_about_tls("tls_suite_without_forward_secrecy")
def suite_without_forward_secrecy(_door: Door, facts: TlsDepthFacts, _now: datetime) -> Ruling:
    """Judge suites whose traffic can be read once the key leaks (RFC 9325 section 4.1)."""
    found = suites_with(facts, ("no forward secrecy",))
    is_all = len(found) == len(facts.suites)
    what = "without forward secrecy"
    return _no_suite_with(facts, ("no forward secrecy",), what, None if is_all else Severity.LOW)


@_about_tls("tls_suite_cbc_offered")
def suite_cbc_offered(_door: Door, facts: TlsDepthFacts, _now: datetime) -> Ruling:
    """Judge CBC mode (RFC 9325 section 4.2: authenticated encryption is recommended)."""
    return _no_suite_with(facts, ("CBC",), "in CBC mode")


@_about_tls("tls_suite_order_unset")
def suite_order_unset(_door: Door, facts: TlsDepthFacts, _now: datetime) -> Ruling:
    """Judge whose order decides, where that can make a difference (RFC 9325 section 4.1: prefer forward secrecy)."""
    worse = suites_with(facts, _WORSE)
    if not worse or len(worse) == len(facts.suites):
        return not_applicable("All accepted suites are of one kind: the order makes no difference.")
    clients = [v.version for v in facts.versions if v.preference is Preference.CLIENT]
    mixed = [v for v in clients if _is_mixed(facts, v)]
    if mixed:
        return failed(
            f"The client's order decides in {' and '.join(mixed)}, and weak suites stand beside strong ones."
        )
    unclear = [
        v.version for v in facts.versions if v.is_accepted and v.preference is Preference.UNKNOWN
    ]
    if any(_is_mixed(facts, version) for version in unclear):
        return inconclusive("Whose order decides could not be told.")
    return passed("The server's own order decides.")


def _is_mixed(facts: TlsDepthFacts, version: str) -> bool:
    seen = facts.seen(version)
    names = {suite.name for suite in seen.suites} if seen else set()
    worse = names & set(suites_with(facts, _WORSE))
    return bool(worse) and worse != names


# --- key exchange and handshake -------------------------------------------------------------------------------------------


@_about_tls("tls_group_dh_small")
def group_dh_small(_door: Door, facts: TlsDepthFacts, _now: datetime) -> Ruling:
    """Judge the prime of finite-field Diffie-Hellman (RFC 9325 section 4.5: 2048 bit)."""
    bits = facts.smallest_dh_bits
    if bits is None:
        return _complete(facts) or not_applicable("No finite-field Diffie-Hellman is accepted.")
    if bits < _LEAST_DH_BITS:
        lower = None if bits <= _BREAKABLE_DH_BITS else Severity.MEDIUM
        return failed(f"Diffie-Hellman runs in a group of only {bits} bit.", lower)
    return _complete(facts) or passed(f"The smallest group that was shown has {bits} bit.")


@_about_tls("tls_group_curve_weak")
def group_curve_weak(_door: Door, facts: TlsDepthFacts, _now: datetime) -> Ruling:
    """Judge the elliptic curves (RFC 9325 section 4.5: 224 bit)."""
    curves = [group for group in accepted_groups(facts) if group.kind != "ff"]
    weak = [group.name for group in curves if group.bits < _LEAST_CURVE_BITS]
    if weak:
        return failed(f"Weak curves are accepted: {listed(weak)}.")
    if not curves:
        return _complete(facts) or not_applicable("No elliptic curve is accepted.")
    # TLS 1.3 has no weak curve (RFC 8446 section 4.2.7): only the versions before need to have been asked to the end.
    is_asked = facts.groups.is_complete or bool(facts.groups.note)
    if _speaks_up_to_1_2(facts) and not is_asked:
        return inconclusive("No weak curve was seen, but not all could be tried.")
    return passed(f"Curves that were accepted: {listed([group.name for group in curves])}.")


@_about_tls("tls_signature_weak_accepted")
def signature_weak_accepted(_door: Door, facts: TlsDepthFacts, _now: datetime) -> Ruling:
    """Judge what the handshake may be signed with (RFC 9155: neither MD5 nor SHA-1)."""
    weak = [s.name for s in signature_schemes() if s.hash in _WEAK_HASHES]
    found = [name for name in facts.signatures.names if name in weak]
    if found:
        return failed(f"The server signs with {listed(found)} when a client asks for it.")
    if "TLSv1.2" not in facts.accepted_versions:
        return not_applicable("TLS 1.2, which lets the client choose, is not spoken.")
    if not facts.signatures.is_complete:
        return inconclusive("No weak signature was seen, but not all could be tried.")
    return passed("The server signs with neither MD5 nor SHA-1.")


@_about_tls("tls_compression_offered")
def compression_offered(_door: Door, facts: TlsDepthFacts, _now: datetime) -> Ruling:
    """Judge compression below the encryption (CRIME; RFC 9325 section 3.3)."""
    if not _speaks_up_to_1_2(facts):
        return passed("Only TLS 1.3 is spoken, which has no compression.")
    if facts.compresses is None:
        return inconclusive("No clear answer came to the offer to compress.")
    return (
        failed("The offer to compress was taken.")
        if facts.compresses
        else passed("The offer to compress was not taken.")
    )


@_about_tls("tls_renegotiation_insecure")
def renegotiation_insecure(_door: Door, facts: TlsDepthFacts, _now: datetime) -> Ruling:
    """Judge the extension that ties a renegotiation to its connection (RFC 5746; RFC 9325 section 3.5: must)."""
    if not _speaks_up_to_1_2(facts):
        return passed("Only TLS 1.3 is spoken, which has no renegotiation.")
    if facts.has_renegotiation_info is None:
        return inconclusive("Whether renegotiation is secure could not be told.")
    if facts.has_renegotiation_info:
        return passed("The server confirms secure renegotiation.")
    return failed("The server does not confirm secure renegotiation (no renegotiation_info).")


def _speaks_up_to_1_2(facts: TlsDepthFacts) -> bool:
    return any(version != "TLSv1.3" for version in facts.accepted_versions)


# --- certificates ---------------------------------------------------------------------------------------------------------


def _left_to_judge(door: Door, certificates: Sequence[CertificateFacts]) -> list[CertificateFacts]:
    """Leave out the leaf that the checks of the DICOM port judge."""
    told = door.tls.certificate if door.tls is not None and door.is_dicom else None
    skip = None if told is None else told.fingerprint_sha256
    return [one for one in certificates if one.fingerprint_sha256 != skip]


def _of_certificates(
    door: Door,
    certificates: Sequence[CertificateFacts],
    fault: Callable[[CertificateFacts], str],
    good: str,
) -> Ruling:
    if not certificates:
        return inconclusive("No certificate could be read.")
    judged = _left_to_judge(door, certificates)
    if not judged:
        return not_applicable("The only certificate is judged by the checks of the DICOM port.")
    faults = [words for one in judged if (words := fault(one))]
    return failed(f"{'; '.join(faults[:3])}.") if faults else passed(good)


@_about_tls("tls_chain_disordered")
def chain_disordered(_door: Door, facts: TlsDepthFacts, _now: datetime) -> Ruling:
    """Judge the list of certificates: each signs the one before it (RFC 5246 section 7.4.2)."""
    if facts.is_leaf_only or not facts.chains:
        return not_tested("TLS 1.3 shows the chain to those only who finish the handshake.")
    for chain in facts.chains:
        if chain.unreadable:
            return failed(
                f"{number(chain.unreadable, 'entry', 'entries')} of the chain cannot be read."
            )
        if not chain.is_ordered:
            how = "in another order" if chain.is_sortable else "and some do not belong together"
            return failed(f"{len(chain.certificates)} certificates are sent, {how}.")
    return passed("Each certificate that is sent is signed by the next one.")


@_about_tls("tls_chain_expired")
def chain_expired(door: Door, facts: TlsDepthFacts, now: datetime) -> Ruling:
    """Judge the validity of every certificate that is sent."""

    def fault(one: CertificateFacts) -> str:
        if now < datetime.fromisoformat(one.not_before):
            return f"one certificate is valid only from {one.not_before[:10]} on"
        ended = now > datetime.fromisoformat(one.not_after)
        return f"one certificate ended on {one.not_after[:10]}" if ended else ""

    return _of_certificates(
        door, shown_certificates(facts), fault, "Every certificate that is sent is valid today."
    )


@_about_tls("tls_chain_weak")
def chain_weak(door: Door, facts: TlsDepthFacts, _now: datetime) -> Ruling:
    """Judge key and signature of every certificate that is sent (RFC 9325 section 4.5)."""

    def fault(one: CertificateFacts) -> str:
        kind = one.key.partition(" ")[0]
        least = _LEAST_RSA_BITS if kind in ("RSA", "DSA") else _LEAST_CURVE_BITS
        if 0 < one.key_bits < least:
            return f"one certificate has a {kind} key of {one.key_bits} bit"
        # A root is trusted for itself: its own signature is never looked at.
        signature = one.signature.lower().replace("-", "")
        is_weak = any(hash_ in signature for hash_ in _WEAK_SIGNATURES)
        return f"one is signed with {one.signature}" if is_weak and not one.is_self_signed else ""

    return _of_certificates(
        door,
        shown_certificates(facts),
        fault,
        "Every certificate that is sent has a strong key and signature.",
    )


@_about_tls("tls_chain_name_mismatch")
def chain_name_mismatch(door: Door, facts: TlsDepthFacts, _now: datetime) -> Ruling:
    """Judge the names of the server's own certificates (RFC 9525 section 6)."""
    wanted = [name for name in (door.system.name, door.system.address) if name]

    def fault(one: CertificateFacts) -> str:
        if any(_matches(name, want) for name in one.names for want in wanted):
            return ""
        return f"none of its {number(len(one.names), 'name')} is this system's"

    return _of_certificates(door, leaves(facts), fault, "The certificate names this system.")


def _matches(name: str, wanted: str) -> bool:
    try:
        return ipaddress.ip_address(name) == ipaddress.ip_address(wanted)
    except ValueError:
        pass
    name, wanted = name.lower().rstrip("."), wanted.lower().rstrip(".")
    if name.startswith("*."):  # one label only (RFC 9525 section 6.3)
        return wanted.partition(".")[2] == name[2:]
    return name == wanted


# --- profiles -------------------------------------------------------------------------------------------------------------


def _meets(facts: TlsDepthFacts, profile_id: str) -> Ruling:
    found: Conformity = conformity(facts, profile_id)
    because = "; ".join(found.because[:5])
    if found.meets is False:
        return failed(f"Does not meet {found.profile.title}: {because}.")
    if found.is_hidden:
        return not_tested(
            f"Nothing was seen that {found.profile.title} forbids; that the software is able to do all it "
            f"asks for does not show to a stranger: {because}."
        )
    if found.meets is None:
        return inconclusive(f"That it meets {found.profile.title} is not shown: {because}.")
    advice = f" To do better: {'; '.join(found.advice[:5])}." if found.advice else ""
    return passed(f"Meets {found.profile.title} as far as can be seen from outside.{advice}")


@_about_tls("tls_profile_b12_missed")
def profile_b12_missed(_door: Door, facts: TlsDepthFacts, _now: datetime) -> Ruling:
    """Judge PS3.15 B.12 with BCP 195."""
    return _meets(facts, "ps315-b12")


@_about_tls("tls_profile_b13_missed")
def profile_b13_missed(_door: Door, facts: TlsDepthFacts, _now: datetime) -> Ruling:
    """Judge PS3.15 B.13, the stricter of the two; what no hello can show is for who reads the conformance statement."""
    ruling = _meets(facts, "ps315-b13")
    return not_applicable(ruling.evidence) if ruling.verdict is Verdict.NOT_TESTED else ruling


@_about_tls("tls_profile_mozilla_missed")
def profile_mozilla_missed(door: Door, facts: TlsDepthFacts, _now: datetime) -> Ruling:
    """Judge Mozilla's intermediate configuration; where a port only differs from it, and is no weaker, that is no fault."""
    if door.is_dicom:
        return not_applicable(
            "It is a configuration for web servers; for DICOM there is PS3.15 B.12 (tls_profile_b12_missed)."
        )
    answers = [answer(facts, rule) for rule in rules_of(_MOZILLA)]
    unmet = [a for a in answers if a.rule.level == "must" and a.status is not Status.KEPT]
    weaker = [a for a in unmet if a.status is not Status.BROKEN or not _is_as_strong(facts, a.rule)]
    if len(weaker) == len(unmet) or any(a.status is Status.BROKEN for a in weaker):
        return _meets(facts, _MOZILLA)
    if weaker:
        because = "; ".join(a.sentence for a in weaker)
        return inconclusive(
            f"That it is as strong as Mozilla intermediate is not shown: {because}."
        )
    because = "; ".join(a.sentence for a in unmet)
    return passed(f"As strong as Mozilla intermediate, from which it differs in this: {because}.")


def _is_as_strong(facts: TlsDepthFacts, rule: TlsRule) -> bool:
    """Tell whether what breaks a rule makes nothing weaker, so that nobody need change it."""
    if rule.kind == "certificate_days":
        # How long a certificate may hold binds authorities that browsers trust (CA/Browser Forum Baseline Requirements,
        # sections 1.1 and 6.3.2). They sign none for longer; an authority of one's own is free, and answers for revoking.
        return True
    if rule.kind == "groups_allowed":
        curves = {group.name for group in accepted_groups(facts) if group.kind == "ec"}
        return curves <= _TLS_1_3_CURVES
    return False
