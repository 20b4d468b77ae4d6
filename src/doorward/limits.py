"""Every bound of the project: how many bytes, elements, seconds a stranger may cost us.

One frozen dataclass. Each field carries its unit and its source in ``metadata``; ``docs/limits.md`` is generated
from it. Nothing else in the project holds a bound of its own: code asks for a ``Limits`` and reads the field.
"""

from dataclasses import dataclass, field, fields
from typing import Any


def _bound(default: Any, unit: str, source: str) -> Any:
    return field(default=default, metadata={"unit": unit, "source": source})


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a peer may make us hold, do or wait for. Immutable; make variants with ``dataclasses.replace``."""

    # --- PDUs (wire/framing.py, wire/decode.py) ---
    max_pdu_bytes: int = _bound(
        131_072,
        "bytes",
        "PS3.8 D.1: the maximum length that we announce and accept for P-DATA-TF; DCMTK's upper limit",
    )
    associate_pdu_bytes: int = _bound(
        262_144,
        "bytes",
        "128 contexts x 64 transfer syntaxes x 32 bytes; refused from the six header bytes, before buffering",
    )
    presentation_contexts: int = _bound(128, "items", "PS3.8 9.3.2.2: odd identifiers 1 to 255")
    transfer_syntaxes_per_context: int = _bound(
        64, "items", "more than every transfer syntax of PS3.5 that is not retired"
    )
    user_sub_items: int = _bound(
        512, "items", "128 contexts x (role, extended, common extended) + 128 others"
    )
    peer_pdu_bytes: int = _bound(
        64,
        "bytes",
        "the smallest maximum length that we serve: below it every byte we send would cost eight",
    )
    uid_bytes: int = _bound(64, "bytes", "PS3.5 9.1")
    user_identity_bytes: int = _bound(
        16_384,
        "bytes",
        "a SAML assertion or JWT with certificates; the field itself would allow 65535 (PS3.7 D.3.3.7)",
    )
    # --- DIMSE (wire/dimse.py, wire/message.py) ---
    command_set_bytes: int = _bound(
        16_384, "bytes", "PS3.7 Annex E; the longest field is a list of attribute tags in N-GET"
    )
    command_elements: int = _bound(64, "elements", "PS3.7 Annex E defines fewer in any one command")
    empty_fragments: int = _bound(
        16,
        "fragments per message",
        "PDVs without a byte make no progress; DCMTK sends at most one at the end",
    )
    identifier_bytes: int = _bound(
        1_048_576,
        "bytes",
        "one C-FIND identifier held in memory; a worklist item with sequences is below 100 KiB",
    )
    operations_in_flight: int = _bound(
        64, "operations", "PS3.7 D.3.3.3: what we perform at a time on one association"
    )
    store_bytes: int = _bound(
        4_294_967_296,
        "bytes",
        "one instance received by C-STORE; streamed, never held by the ground floors",
    )
    # --- data sets (dicom/) ---
    sequence_depth: int = _bound(
        32, "levels", "nesting seen in practice stays below 12; CVE-2026-10528 was recursion"
    )
    elements: int = _bound(
        2_000_000, "elements per data set", "enhanced multi-frame objects reach some 100,000"
    )
    value_bytes: int = _bound(
        1_048_576, "bytes", "a value that is read whole; longer ones are skipped by length"
    )
    preamble_meta_bytes: int = _bound(65_536, "bytes", "part 10 file meta information group")
    inflate_ratio: int = _bound(
        200, "output bytes per input byte", "text deflates below 20:1, deflate reaches 1032:1"
    )
    inflate_bytes: int = _bound(268_435_456, "bytes", "a deflated data set, inflated in a stream")
    # --- time (net/) ---
    connect_s: float = _bound(
        5.0, "seconds", "TCP handshake; one retransmission of a SYN is 1 s, the second 3 s"
    )
    tls_handshake_s: float = _bound(10.0, "seconds", "old appliances need seconds for RSA-4096")
    artim_s: float = _bound(
        10.0, "seconds", "PS3.8 9.1.5: from connection to A-ASSOCIATE-RQ, from A-ABORT to close"
    )
    associate_s: float = _bound(15.0, "seconds", "from A-ASSOCIATE-RQ to its answer")
    reply_s: float = _bound(30.0, "seconds", "from a DIMSE request to its next response")
    cancel_s: float = _bound(
        5.0, "seconds", "from C-CANCEL to the final response; then the association is ended"
    )
    release_s: float = _bound(5.0, "seconds", "from A-RELEASE-RQ to A-RELEASE-RP")
    idle_s: float = _bound(120.0, "seconds", "an association served by us without any PDU")
    drain_s: float = _bound(
        10.0, "seconds", "graceful end of a server: running operations may finish"
    )
    # --- server (net/server.py) ---
    associations: int = _bound(1_000, "associations", "of one listener")
    associations_per_peer: int = _bound(
        64, "associations", "from one address; loopback test fleets raise it"
    )
    write_buffer_bytes: int = _bound(
        1_048_576,
        "bytes per connection",
        "queued for a peer that does not read; then we wait for it",
    )
    # --- audit ---
    targets: int = _bound(
        65_536, "addresses", "one IPv4 /16; larger surveys are run network by network"
    )
    ports_per_target: int = _bound(1_024, "ports", "an imaging system is asked, not swept")
    list_file_bytes: int = _bound(
        8_388_608, "bytes", "a scope file or a list of targets, read whole"
    )
    report_text_chars: int = _bound(
        4_000,
        "characters",
        "one sentence or title in a report; what a peer calls itself is shorter",
    )
    host_s: float = _bound(
        900.0, "seconds", "everything that is asked of one system; beyond: inconclusive"
    )
    count_matches: int = _bound(
        5_000_000,
        "matches",
        "then C-CANCEL and an honest at-least; the largest archive of the 2019 study had 1.2 million",
    )
    count_s: float = _bound(600.0, "seconds", "one counting query; then C-CANCEL and at-least")
    probe_gap_s: float = _bound(
        0.2, "seconds", "between two connections to one host (manners, promise 5)"
    )
    congestion_retries: int = _bound(
        2, "retries", "after a 2/x/x rejection, each after twice the pause before"
    )
    congestion_pause_s: float = _bound(2.0, "seconds", "before the first retry after congestion")
    tls_linger_s: float = _bound(
        0.5,
        "seconds",
        "TLS 1.3 refuses a missing client certificate only after the handshake (RFC 8446 section 4.4.2.4)",
    )
    hosts_at_a_time: int = _bound(
        64, "systems", "asked at the same time; each with one association at a time"
    )
    banner_bytes: int = _bound(
        8, "bytes", "kept of an answer that is not DICOM: enough to tell HTTP, SSH and TLS"
    )


DEFAULT_LIMITS = Limits()


def describe() -> list[tuple[str, object, str, str]]:
    """Return (name, default, unit, source) of each bound, in the order of the class."""
    return [
        (f.name, f.default, str(f.metadata["unit"]), str(f.metadata["source"]))
        for f in fields(Limits)
    ]
