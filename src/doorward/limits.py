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
    query_values: int = _bound(
        10_000, "values of one key", "PS3.4 C.2.2.2.2: a list of UIDs; viewers ask for some hundred"
    )
    query_characters: int = _bound(
        1_024, "characters of one value of a key", "LO has 64, a range of DT 57; wild cards add few"
    )
    json_model_bytes: int = _bound(
        8_388_608,
        "bytes",
        "metadata of one STOW part, held whole; an enhanced CT of 500 frames takes some 4 MiB",
    )
    json_model_values: int = _bound(
        400_000,
        "members and values",
        "of one such text: each costs some 200 bytes when it is parsed",
    )
    preamble_meta_bytes: int = _bound(65_536, "bytes", "part 10 file meta information group")
    inflate_ratio: int = _bound(
        200, "output bytes per input byte", "text deflates below 20:1, deflate reaches 1032:1"
    )
    inflate_bytes: int = _bound(268_435_456, "bytes", "a deflated data set, inflated in a stream")
    # --- time (net/) ---
    resolve_s: float = _bound(
        30.0,
        "seconds",
        "from a host name to its addresses; resolv.conf(5): 5 s, twice, each server",
    )
    name_addresses: int = _bound(
        64, "addresses", "that one host name may stand for; round robin names have a dozen"
    )
    connect_s: float = _bound(
        5.0, "seconds", "TCP handshake; one retransmission of a SYN is 1 s, the second 3 s"
    )
    tls_handshake_s: float = _bound(10.0, "seconds", "old appliances need seconds for RSA-4096")
    artim_s: float = _bound(
        10.0, "seconds", "PS3.8 9.1.5: from connection to A-ASSOCIATE-RQ, from A-ABORT to close"
    )
    associate_s: float = _bound(15.0, "seconds", "from A-ASSOCIATE-RQ to its answer")
    associate_decide_s: float = _bound(
        10.0, "seconds", "for our own answer to an A-ASSOCIATE-RQ; DCMTK's tools wait 30 s for it"
    )
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
    read_buffer_bytes: int = _bound(
        262_144,
        "bytes per connection",
        "one read of a busy connection, which is what asyncio reads at a time; idle ones hold 4 KiB",
    )
    write_buffer_bytes: int = _bound(
        1_048_576,
        "bytes per connection",
        "queued for a peer that does not read; then we wait for it",
    )
    # --- HTTP (net/http.py, web/, audit/probes/) ---
    http_head_bytes: int = _bound(
        65_536,
        "bytes",
        "status line and headers of one answer; Apache, nginx and Tomcat send at most 8 to 64 KiB",
    )
    http_headers: int = _bound(256, "headers", "of one answer; ordinary ones have below 40")
    http_body_bytes: int = _bound(
        262_144, "bytes", "kept of a page; the front pages of imaging products are below 100 KiB"
    )
    http_head_s: float = _bound(
        20.0,
        "seconds",
        "from the request to the end of the headers; application servers start late",
    )
    http_body_s: float = _bound(60.0, "seconds", "from the headers to the end of the body")
    jdwp_s: float = _bound(3.0, "seconds", "for fourteen bytes; a debugger answers at once")
    http_redirects: int = _bound(3, "redirects", "to the same door; to another one: none")
    http_silences: int = _bound(
        3, "requests in a row", "without a usable answer; then a door is asked no more"
    )
    json_depth: int = _bound(
        32, "levels", "DICOM JSON (PS3.18 Annex F) has three for each level of sequences"
    )
    json_text_bytes: int = _bound(
        128, "bytes", "a key, a number, or a string that is read; longer ones are counted unread"
    )
    qido_page_matches: int = _bound(
        500, "studies", "asked for at a time; dcm4chee and others give at most 1,000"
    )
    qido_page_bytes: int = _bound(
        67_108_864, "bytes", "one page of studies, counted in a stream; a study takes 1 to 3 KiB"
    )
    # --- HTTPS (net/asgi.py, archive/web/) ---
    web_connections: int = _bound(
        1_000,
        "connections",
        "of one HTTPS listener, some 60 KiB each; the oldest idle ones make room for new ones",
    )
    web_connections_per_address: int = _bound(
        500, "connections", "the same for one address: a whole site may call through one"
    )
    web_tls_read_bytes: int = _bound(
        32_768, "bytes per connection", "read at a time; one record of TLS is 16 KiB (RFC 8446 5.1)"
    )
    web_piece_bytes: int = _bound(
        262_144, "bytes", "of files read and sent at a time: still in a processor's cache for TLS"
    )
    web_unstored_retry_s: float = _bound(
        60.0,
        "seconds",
        "until somebody comes again whom a full or failed disk refused (Retry-After)",
    )
    web_head_bytes: int = _bound(
        32_768, "bytes", "of a request's line and headers; nginx takes 4 times 8 KiB"
    )
    web_headers: int = _bound(100, "headers", "of one request; Apache takes as many")
    web_head_s: float = _bound(
        10.0, "seconds", "from the first byte of a request, or the connection, to its whole head"
    )
    web_idle_s: float = _bound(60.0, "seconds", "a connection may wait for its next request")
    web_stall_s: float = _bound(
        30.0, "seconds", "in which a body must move on, whoever sends it, by web_stall_bytes"
    )
    web_stall_bytes: int = _bound(16_384, "bytes", "the slowest body; some 550 bytes per second")
    web_pipelined: int = _bound(
        8, "requests", "sent ahead on one connection before the first was answered"
    )
    web_dropped_bytes: int = _bound(
        262_144, "bytes", "of a body that nobody wants, read so that the answer arrives"
    )
    web_json_bytes: int = _bound(8_192, "bytes", "of a login; the longest password is 1,024")
    web_refusals: int = _bound(
        10_000, "addresses", "whose refusals are counted, so that a flood does not fill the journal"
    )
    web_refusal_s: float = _bound(60.0, "seconds", "between two records of refusals of one address")
    refusal_records: int = _bound(
        600, "records", "of refusals of all addresses in that time, some 300 KiB; more are counted"
    )
    metrics_totals_s: float = _bound(
        60.0, "seconds", "between two counts of all that is held, for whoever watches"
    )
    log_refusals: int = _bound(
        120, "lines", "about refusals on standard error in a minute; more are counted"
    )
    log_refusals_s: float = _bound(60.0, "seconds", "for which they are counted")
    web_ready_s: float = _bound(5.0, "seconds", "for the index to answer whether it is ready")
    openid_logins: int = _bound(
        1_000, "logins", "begun at an OpenID provider from which nobody has come back yet"
    )
    openid_login_s: float = _bound(600.0, "seconds", "for a person to log in at the provider")
    openid_keys_s: float = _bound(
        60.0, "seconds", "between two times that a provider's keys are fetched for an unknown one"
    )
    # --- databases and file shares (greetings/, net/exchange.py) ---
    greeting_bytes: int = _bound(
        65_536,
        "bytes",
        "everything that one conversation may bring; a MongoDB greeting has some 500, an SMB negotiation 200 to 400",
    )
    greeting_s: float = _bound(
        15.0,
        "seconds",
        "one whole conversation; MySQL and slapd look up our name first, which takes 5 to 10 s without a DNS",
    )
    # --- folders and HL7 (web/, greetings/, audit/probes/) ---
    listing_bytes: int = _bound(
        16_777_216,
        "bytes",
        "one list of a folder, counted in a stream; a list of 100,000 names takes some 15 MB",
    )
    hl7_listen_s: float = _bound(
        1.0, "seconds", "whether a port says something by itself; an HL7 receiver does not"
    )
    hl7_reply_s: float = _bound(
        15.0, "seconds", "from our message to its acknowledgement; interface engines may queue"
    )
    # --- newer knowledge (knowledge/) ---
    knowledge_json_bytes: int = _bound(
        33_554_432, "bytes", "a CSAF or KEV file, read whole; the KEV catalogue has some 1.5 MB"
    )
    knowledge_csv_bytes: int = _bound(
        134_217_728,
        "bytes",
        "an EPSS file, inflated and read line by line; 300,000 ids take some 10 MB",
    )
    knowledge_line_bytes: int = _bound(
        512, "bytes", "one line of an EPSS file; the longest has some 80"
    )
    knowledge_text_chars: int = _bound(
        160, "characters", "kept of a title or name in an advisory, cut there"
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
    report_shown_whole: int = _bound(
        50, "systems", "of a survey's page: the worst with every finding; the rest get a row each"
    )
    report_listed: int = _bound(
        10_000, "systems", "rows of a survey's page: a browser still opens it at once; JSON has all"
    )
    report_countries: int = _bound(
        60, "rows", "of the table of countries; the 2019 study met 52; the rest is summed up"
    )
    report_groups: int = _bound(
        20, "rows", "of the tables of sites, owners and products; the rest is summed up"
    )
    host_s: float = _bound(
        900.0, "seconds", "everything that is asked of one system; beyond: inconclusive"
    )
    survey_host_s: float = _bound(
        14_400.0,
        "seconds",
        "the same in a survey, where a large archive is counted in parts with pauses between them",
    )
    count_matches: int = _bound(
        5_000_000,
        "matches",
        "then C-CANCEL and an honest at-least; the largest archive of the 2019 study had 1.2 million",
    )
    count_s: float = _bound(600.0, "seconds", "one counting query; then C-CANCEL and at-least")
    count_parts: int = _bound(
        10_000,
        "queries",
        "into which one capped archive is divided by date; a million studies behind a cap of 500 take some 5,000",
    )
    count_parts_s: float = _bound(
        270.0, "seconds", "counting one archive in parts; with count_s it stays within host_s"
    )
    part_gap_s: float = _bound(
        0.05,
        "seconds",
        "between two part queries on one association, at least; and as long as the last answer took",
    )
    sight_matches: int = _bound(
        1_000, "matches", "of a capped answer whose Study Date is looked at for presence"
    )
    estimate_whole_matches: int = _bound(
        1_000, "matches", "of a range that an estimate counts whole; larger ones are sampled"
    )
    estimate_days: int = _bound(
        150, "days", "drawn by chance for one estimate: an error of a few per cent in most archives"
    )
    probe_gap_s: float = _bound(
        0.2, "seconds", "between two connections to one host (manners, promise 5)"
    )
    hello_gap_s: float = _bound(
        0.05,
        "seconds",
        "between two ClientHellos to one host: no handshake is ever finished, none costs a signature twice",
    )
    web_gap_s: float = _bound(
        0.1,
        "seconds",
        "between two HTTP requests to one host: a single page of a viewer asks for more in less time",
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
    tls_hellos: int = _bound(
        256,
        "connections",
        "ClientHellos to one port: a server with every suite of OpenSSL in four versions takes some 220",
    )
    tls_flight_bytes: int = _bound(
        131_072,
        "bytes",
        "the first flight of a TLS server; a list of client authorities may fill 64 KiB (RFC 5246 section 7.4.4)",
    )
    tls_certificates: int = _bound(
        16, "certificates", "read of one chain; the public ones have two to five"
    )
    tls_prelude_bytes: int = _bound(
        16_384, "bytes", "what a server says before it switches to TLS (STARTTLS and the like)"
    )
    hosts_at_a_time: int = _bound(
        64, "systems", "asked at the same time; each with one association at a time"
    )
    connection_rate: int = _bound(
        200,
        "connections per second",
        "opened by a whole survey: a dozen questions to each of two thousand systems take minutes",
    )
    network_connection_rate: int = _bound(
        10,
        "connections per second",
        "opened to one IPv4 /24 or IPv6 /48: a site's own modalities connect more often",
    )
    network_systems_at_a_time: int = _bound(
        8, "systems", "of one IPv4 /24 or IPv6 /48 visited side by side"
    )
    counts_at_a_time: int = _bound(
        16,
        "systems",
        "counted side by side: every read of a stream of matches is work, and who has just connected waits for all of it",
    )
    networks_remembered: int = _bound(
        4_096, "networks", "whose pace is kept; idle ones are forgotten beyond"
    )
    pace_jitter_percent: int = _bound(
        20, "percent", "of a gap that chance may add, so that no rhythm of ours meets one of theirs"
    )
    window_sleep_s: float = _bound(
        60.0, "seconds", "slept at a time while a window is closed: clocks are set, machines sleep"
    )
    discovery_at_a_time: int = _bound(
        8, "connections", "opened side by side to one host to see which of its doors exist"
    )
    import_record_bytes: int = _bound(
        4_194_304,
        "bytes",
        "one line or record of another tool's file; a Shodan banner with a screenshot has some 300 KB",
    )
    import_head_bytes: int = _bound(
        1_048_576,
        "bytes",
        "of a file, looked at to tell its format; in a Shodan banner a whole page may stand before its address",
    )
    import_columns: int = _bound(
        4_096, "columns", "of a table; a Censys export has a column for each field of each service"
    )
    import_text_chars: int = _bound(
        160, "characters", "of a site, owner, contact, network operator or tag; longer is cut"
    )
    import_tags: int = _bound(16, "tags", "of one system of an inventory; the rest is left out")
    import_inflation: int = _bound(
        200,
        "times, content to gzip",
        "scans shrink to a tenth or a thirtieth, bombs to a thousandth",
    )
    import_inflated_bytes: int = _bound(
        67_108_864, "bytes", "inflated before import_inflation is held against a file"
    )
    place_table_days: int = _bound(
        180,
        "days",
        "the age from which audit/where.py warns: address blocks change hands and country",
    )
    import_xml_depth: int = _bound(
        64, "levels", "nmap's scripts nest tables; what is read stands five deep"
    )
    import_xml_names: int = _bound(
        1_024,
        "names",
        "of elements and attributes, which expat keeps; nmap.dtd has some 160",
    )
    import_bad_rows: int = _bound(
        100, "rows in a row", "that cannot be used; then the file is another one than was meant"
    )
    # --- ledger (audit/codec.py, audit/ledger/) ---
    answer_bytes: int = _bound(
        1_048_576,
        "bytes",
        "one answer as JSON, in a ledger or from a sensor (NATS takes 1 MiB); a TLS interview has some 30,000",
    )
    document_bytes: int = _bound(
        16_777_216, "bytes", "one judged system as JSON, inflated from a ledger; 100,000 are many"
    )
    ledger_rows_at_a_time: int = _bound(
        1_000, "rows", "written in one transaction or read at a time: what is held of millions"
    )
    ledger_systems_at_a_time: int = _bound(
        64, "systems", "read at a time with all their answers or documents, some 100,000 bytes each"
    )
    answers_per_system: int = _bound(
        20_000, "answers", "of one system in a ledger that somebody may have sent us"
    )
    survey_systems_read: int = _bound(
        2_048,
        "systems",
        "that wait are read from the ledger at a time: those of eight /24 networks, so no network is all there is to ask",
    )
    # --- blobs (archive/blobs/) ---
    blob_bytes: int = _bound(
        17_179_869_184,
        "bytes",
        "one instance; whole slides are the largest, and PS3.5 7.1 lets one element have 4 GiB",
    )
    blob_block_bytes: int = _bound(
        1_048_576, "bytes", "of one instance held before they are written; a CT image has 525 KB"
    )
    blob_idle_blocks: int = _bound(
        16, "blocks", "of blob_block_bytes kept for the next instance; new memory costs more"
    )
    blob_held_bytes: int = _bound(
        67_108_864, "bytes", "held for all instances together; beyond, each is written as it comes"
    )
    blob_reserve_bytes: int = _bound(
        268_435_456,
        "bytes",
        "of the disk left free, so that index and journal can still say what happened",
    )
    blob_read_bytes: int = _bound(
        134_217_728, "bytes", "read at once; a frame of a tomosynthesis has some 20 MB"
    )
    blob_chunk_bytes: int = _bound(
        1_048_576, "bytes", "read at a time where a whole blob is sent: an image in one go"
    )
    blob_write_threads: int = _bound(
        8, "threads", "that write and sync; the journal of the disk gained nothing from 16 or 32"
    )
    blob_read_threads: int = _bound(4, "threads", "that wait for a disk that has to be read")
    blob_names_at_a_time: int = _bound(
        1_000, "blobs", "that an index is asked about in one query of a sweep"
    )
    blob_orphans: int = _bound(100_000, "blobs", "taken away by one sweep; the next one goes on")
    blob_orphan_age_s: float = _bound(
        3_600.0, "seconds", "an unreferenced blob is left alone: its index row may be on its way"
    )
    blob_damaged_named: int = _bound(1_000, "blobs", "named by one verification; all are counted")
    # --- receiving and giving (net/incoming.py, archive/) ---
    incoming_bytes: int = _bound(
        1_048_576, "bytes", "of one data set that wait to be written before its sender has to wait"
    )
    ingest_head_bytes: int = _bound(
        16_777_216, "bytes", "of a data set before its pixels, held while it is read; usual: 10,000"
    )
    ingest_value_bytes: int = _bound(
        65_536, "bytes", "of one value before the pixels; a longer one is passed over unread"
    )
    original_heads: int = _bound(
        16, "files", "whose beginnings are kept of one instance; its data set is kept once"
    )
    stow_instances: int = _bound(
        10_000, "parts", "of one STOW request; each costs some 600 bytes of its answer"
    )
    stow_bytes: int = _bound(
        68_719_476_736, "bytes", "of one STOW request; a study of whole slides has some 20 GiB"
    )
    stow_s: float = _bound(
        14_400.0, "seconds", "for one STOW request; all of its bytes at 40 Mbit/s"
    )
    stow_at_a_time: int = _bound(
        8, "instances", "of one STOW request that are being made durable; they share their syncs"
    )
    multipart_head_bytes: int = _bound(
        8_192, "bytes", "from one boundary to the body behind it; usual parts have below 300"
    )
    multipart_margin_bytes: int = _bound(
        65_536, "bytes", "before the first boundary and behind the last; RFC 2046 has them ignored"
    )
    multipart_boundary_characters: int = _bound(
        128, "characters", "RFC 2046 5.1.1 has 70; Orthanc 1.10 sends 73"
    )
    content_type_bytes: int = _bound(
        1_024, "bytes", "a Content-Type that is read; a boundary and a type have some 100 of them"
    )
    retrieve_instances: int = _bound(
        20_000, "instances", "sent by one C-GET or C-MOVE; a CT study has some 2,000"
    )
    retrieve_failed_named: int = _bound(
        1_000, "instances", "named of those that a C-GET or C-MOVE could not send; a UI has 65,534"
    )
    # --- upkeep (archive/upkeep/) ---
    upkeep_note_s: float = _bound(
        1.0, "seconds", "between two notes of how far a verification or an import has come"
    )
    upkeep_file_bytes: int = _bound(
        16_777_216,
        "bytes",
        "of one file of settings or secrets in a backup; all together have some 100,000",
    )
    reindex_head_bytes: int = _bound(
        32_768,
        "bytes",
        "of a blob read at a time while its head is looked for: usual heads have 10,000",
    )
    backup_rounds: int = _bound(
        5, "rounds", "of a backup beside an archive that deletes faster than it is copied"
    )
    import_at_a_time: int = _bound(
        16, "files", "taken in side by side: they share the syncs of index and journal"
    )
    # --- pixels (archive/pixels/, archive/web/rendered.py) ---
    image_inflated_bytes: int = _bound(
        134_217_728, "bytes", "of a deflated data set held while it is written anew or rendered"
    )
    images_inflated_bytes: int = _bound(
        536_870_912, "bytes", "of all deflated data sets that are held at the same time"
    )
    image_frame_bytes: int = _bound(
        134_217_728,
        "bytes",
        "of one decoded frame; a mammogram has 28 MB, a radiograph in colour 60",
    )
    image_described_bytes: int = _bound(
        4_194_304, "bytes", "of the attributes that say how pixels are shown, tables included"
    )
    image_held_bytes: int = _bound(
        33_554_432,
        "bytes",
        "of an instance written anew before its first byte leaves; what cannot be decoded shows by then",
    )
    image_result_bytes: int = _bound(
        268_435_456, "bytes", "that a worker may answer: a decoded frame, or an image of it"
    )
    image_workers: int = _bound(2, "processes", "that decode at a time, some 100 MB of memory each")
    image_worker_memory_bytes: int = _bound(
        2_147_483_648,
        "bytes of address space",
        "of one worker (RLIMIT_AS); a frame is held some four times",
    )
    image_worker_jobs: int = _bound(500, "frames", "by one worker before another takes its place")
    image_waiting: int = _bound(
        64, "frames", "that wait for a worker; beyond, whoever asks is told to come back"
    )
    image_start_s: float = _bound(
        20.0, "seconds", "until a worker has loaded its decoders; usual: 1"
    )
    image_job_s: float = _bound(15.0, "seconds", "for one frame; JPEG 2000 of 28 MB takes some 3")
    image_idle_s: float = _bound(60.0, "seconds", "without work until a worker ends")
    image_side_pixels: int = _bound(
        8_192, "pixels", "of the viewport that a request may ask for, each way"
    )
    image_thumbnail_pixels: int = _bound(
        256, "pixels", "of a thumbnail each way where no viewport is asked for"
    )
    image_thumbnail_tries: int = _bound(
        8, "instances", "looked at for the thumbnail of a study or a series"
    )
    image_cache_bytes: int = _bound(
        16_777_216, "bytes", "of rendered images held in memory; a thumbnail has some 10,000"
    )
    # --- storage commitment (archive/commitment/) ---
    commitment_instances: int = _bound(
        10_000, "instances", "of one request; identifier_bytes has room for some 7,000"
    )
    commitment_waiting: int = _bound(
        1_000, "requests", "that are not reported yet, a file of up to a megabyte each"
    )
    commitment_waiting_each: int = _bound(100, "requests", "the same, of one device")
    commitment_senders: int = _bound(4, "reports", "made and sent at a time")
    commitment_quiet_s: float = _bound(
        1.0,
        "seconds",
        "that an association must be quiet before a report goes out on it: many end it at once",
    )
    commitment_retry_s: float = _bound(
        5.0, "seconds", "before a report is tried again; each failure doubles it"
    )
    commitment_longest_retry_s: float = _bound(
        900.0, "seconds", "between two tries: a modality may be switched off for the night"
    )
    commitment_age_s: float = _bound(
        604_800.0, "seconds", "until a report is given up: a modality that was off for a week"
    )
    # --- DICOMweb: questions and retrieval (web/accept.py, archive/viewing.py, archive/web/) ---
    accept_bytes: int = _bound(
        4_096, "bytes", "an Accept header that is read; viewers send below 500"
    )
    qido_parameters: int = _bound(
        256, "parameters", "of one search, fields to include among them; viewers send below 40"
    )
    qido_answers: int = _bound(
        100_000,
        "answers",
        "of one search where the client names no limit or a higher one; they are streamed",
    )
    metadata_inline_bytes: int = _bound(
        1_024, "bytes", "of a value that stands in metadata; for a longer one stands its URI"
    )
    metadata_thread_bytes: int = _bound(
        65_536, "bytes", "of a head from which on metadata are written in a thread of their own"
    )
    frame_list: int = _bound(
        10_000, "frames", "of one request; viewers ask for one to a few hundred"
    )
    viewing_gap_s: float = _bound(
        60.0, "seconds", "without a request until looking at a study has ended, for the journal"
    )
    viewing_open: int = _bound(
        10_000, "looks", "that go on at a time; the longest idle one ends for one more"
    )
    # --- index (archive/index/) ---
    index_batch: int = _bound(
        1_000, "entries", "that share one commit; a sync costs as much as some fifty of them"
    )
    index_view_bytes: int = _bound(
        1_048_576, "bytes", "the attributes of one level of one instance; usual ones have some 600"
    )
    index_frames: int = _bound(
        1_000_000, "frames", "of one instance; a whole slide at 240 nm has some 250,000 tiles"
    )
    index_page: int = _bound(256, "answers", "of a query read at once and held in memory")
    index_now_steps: int = _bound(
        3_000, "steps", "of SQLite for a query in the event loop, 0.3 ms; one UID needs 100"
    )
    index_now_answers: int = _bound(
        32, "answers", "of a query in the event loop; more are read by a thread"
    )
    query_writers: int = _bound(
        64, "kinds of answers", "whose headers are kept: what a device asks for stays the same"
    )
    query_shapes: int = _bound(
        32, "shapes", "of what the index keeps, remembered for each kind of answers"
    )
    index_numbers: int = _bound(
        65_536, "rows", "that a query finds at once, eight bytes each; then it looks for more"
    )
    index_alternatives: int = _bound(
        100, "alternatives of one key", "written out in SQL; more are compared one by one"
    )
    index_known: int = _bound(
        10_000, "series", "whose rows the writer remembers: more than all modalities send at a time"
    )
    index_read_threads: int = _bound(4, "threads", "that read, each with a connection of its own")
    index_cache_bytes: int = _bound(
        16_777_216, "bytes", "of the file held by each connection; the system holds the rest"
    )
    index_log_bytes: int = _bound(
        67_108_864, "bytes", "of the write-ahead log kept; a quarter of it is moved over at a time"
    )
    # --- sensors (audit/sensors/) ---
    sensor_message_bytes: int = _bound(
        8_388_608, "bytes", "one work item or one part of a result, inflated; NATS takes 1 to 8 MB"
    )
    sensor_parts: int = _bound(
        16, "parts", "of one result: more than the answers of a system ever filled"
    )
    sensor_kept_bytes: int = _bound(
        67_108_864, "bytes", "of parts of results that wait for the rest; beyond, the oldest go"
    )
    sensor_lease_s: float = _bound(
        30.0, "seconds", "from the last sign of life of a sensor until another one takes its work"
    )
    sensor_tick_s: float = _bound(
        0.5, "seconds", "between two looks at whose lease is to be renewed; done at a third of it"
    )
    sensor_pull_s: float = _bound(
        2.0, "seconds", "one wait for work or results; then the wait is begun anew"
    )
    sensor_reply_s: float = _bound(
        5.0, "seconds", "for an answer of the NATS server; beyond, it is asked again"
    )
    sensor_retry_s: float = _bound(
        1.0, "seconds", "between two tries to reach the NATS server, for ever"
    )
    sensor_ping_s: float = _bound(
        10.0, "seconds", "between two signs of life; a connection without two answers is given up"
    )
    sensor_results_held: int = _bound(
        256,
        "results",
        "that wait for the NATS server in a sensor's memory; then it asks nobody more",
    )
    sensor_issues_remembered: int = _bound(
        100_000, "work items", "that a sensor has answered and would not answer twice"
    )
    sensor_outstanding: int = _bound(
        10_000, "systems", "in the hands of the sensors, or waiting for one of them, at a time"
    )
    sensor_sweep_s: float = _bound(
        30.0, "seconds", "between two looks for work that a server has lost; it is handed out again"
    )
    sensor_later_s: float = _bound(
        5.0,
        "seconds",
        "until a result is looked at again whose system the ledger has not given yet",
    )
    sensor_stop_s: float = _bound(
        60.0, "seconds", "without any result after a stop; the rest comes when the survey goes on"
    )
    sensor_farewell_s: float = _bound(
        5.0, "seconds", "for a sensor that ends to give back its work and deliver its results"
    )
    sensor_bad_results: int = _bound(
        3, "results", "of one system that cannot be used; then it is inconclusive"
    )
    sensor_stream_days: int = _bound(
        30, "days", "that work and results wait on the NATS server for an abandoned survey"
    )
    sensor_stream_bytes: int = _bound(
        1_073_741_824, "bytes", "of work, and of results, that a NATS server keeps"
    )
    banner_bytes: int = _bound(
        8, "bytes", "kept of an answer that is not DICOM: enough to tell HTTP, SSH and TLS"
    )
    # --- access (access/) ---
    register_entries: int = _bound(10_000, "entries", "the largest hospitals have some thousands")
    policy_rules: int = _bound(1_000, "rules", "asked about each study; sites write a few dozen")
    policy_values: int = _bound(10_000, "values", "of one list in a rule, such as physicians")
    volume_studies: int = _bound(
        300, "studies per hour", "that one identity may take; a radiologist reads below 100 a day"
    )
    volume_patients: int = _bound(200, "patients per hour", "the same; most have one study")
    volume_retrieved_bytes: int = _bound(
        107_374_182_400, "bytes per hour", "the same; 200 CT studies of 512 MiB"
    )
    volume_migration_bytes: int = _bound(
        1_099_511_627_776, "bytes per hour", "taken by a migration: a line of 2.4 Gbit/s, full"
    )
    volume_entries: int = _bound(
        100_000, "studies or patients per hour", "the most one can be allowed; some 100 bytes each"
    )
    volume_window_s: float = _bound(3_600.0, "seconds", "the hour over which volume is counted")
    volume_slices: int = _bound(60, "slices of that hour", "in which bytes are summed")
    login_free_failures: int = _bound(5, "failures", "of a name before it waits; OWASP: 3 to 5")
    login_delay_s: float = _bound(2.0, "seconds", "the first wait; each further failure doubles it")
    login_longest_delay_s: float = _bound(
        900.0, "seconds", "96 tries a day; NIST SP 800-63B section 5.2.2 stops at 100 in a row"
    )
    login_address_failures: int = _bound(50, "failures", "the same for an address: a whole clinic")
    login_forgiven_s: float = _bound(
        3_600.0, "seconds", "until a name is forgiven one failure, an address all its free ones"
    )
    user_identities: int = _bound(
        16, "associations", "whose user identity is looked at; each costs a password hash"
    )
    user_identities_per_peer: int = _bound(4, "associations", "the same, from one address")
    login_names: int = _bound(10_000, "names", "and as many addresses, whose failures are kept")
    logins_waiting: int = _bound(
        32, "logins", "that wait for their turn; each takes some tenths of a second"
    )
    sessions: int = _bound(10_000, "sessions", "of people in browsers, some 400 bytes each")
    sessions_per_person: int = _bound(10, "sessions", "of one name; the oldest makes room")
    session_idle_s: float = _bound(
        1_800.0, "seconds", "without a request; OWASP: 15 to 30 minutes where little can be done"
    )
    session_s: float = _bound(43_200.0, "seconds", "of one session in all: a long working day")
    first_code_s: float = _bound(
        86_400.0, "seconds", "that the code of the first start is good for: a day"
    )
    secret_bytes: int = _bound(
        2_097_152, "bytes", "of one file of secrets; 4,000 tokens are as long"
    )
    password_bytes: int = _bound(
        1_024, "bytes", "of a password; NIST SP 800-63B-4 section 3.1.1.2 asks for 64 characters"
    )
    password_characters: int = _bound(
        15, "characters", "of a new password at the least: NIST SP 800-63B-4 section 3.1.1.2"
    )
    password_hashes: int = _bound(
        1, "hashes", "computed at once; each takes 64 MiB and some tenths of a second"
    )
    token_entries: int = _bound(4_000, "tokens", "kept at once, so that they fit into one file")
    token_days: int = _bound(366, "days", "that a token is good for at the most: a year")
    recovery_codes: int = _bound(10, "codes", "of a person who has lost the telephone")
    totp_window: int = _bound(
        1, "steps", "of 30 s before and after; RFC 6238 section 5.2 recommends at most one"
    )
    authority_days: int = _bound(3_653, "days", "that an archive's own authority lives: ten years")
    server_certificate_days: int = _bound(397, "days", "of a server: CA/Browser Forum BR 6.3.2")
    device_certificate_days: int = _bound(
        731, "days", "of a device: two years, the usual interval of a modality's safety checks"
    )
    renewal_days: int = _bound(45, "days", "before its end that a certificate is to be renewed")
    revoked_certificates: int = _bound(10_000, "certificates", "as many as register entries")
    json_token_bytes: int = _bound(
        16_384, "bytes", "of a JSON Web Token; with hundreds of groups in it some reach 8 KiB"
    )
    json_token_keys: int = _bound(100, "keys", "of one OpenID provider; two or three are usual")
    json_token_life_s: float = _bound(
        43_200.0, "seconds", "from issue to end of a JSON Web Token: a long working day"
    )
    json_token_skew_s: float = _bound(
        60.0, "seconds", "that the clocks of an OpenID provider and ours may differ"
    )
    # --- the archive's folder and its running (archive/) ---
    settings_bytes: int = _bound(
        1_048_576, "bytes", "of an archive's settings file; a thousand rules are half of it"
    )
    settings_rows: int = _bound(
        1_000, "rows", "of one list in an archive's settings, such as destinations"
    )
    secret_retry_s: float = _bound(
        1.0, "seconds", "between two tries to read secrets or settings that could not be read"
    )
    archive_watch_s: float = _bound(
        0.25, "seconds", "between two looks at whether somebody was added or revoked: felt at once"
    )
    archive_watchdog_s: float = _bound(
        3_600.0, "seconds", "the longest that systemd is believed to wait for a sign of life"
    )
    # --- journal (access/journal/, access/spool.py, net/syslog_tls.py) ---
    journal_record_bytes: int = _bound(
        131_072, "bytes", "one line of the journal; 256 study UIDs, keys and values are half of it"
    )
    journal_record_studies: int = _bound(
        256, "studies", "named in one record, 90,000 bytes as XML; more become several records"
    )
    journal_keys: int = _bound(256, "keys", "of one query; the widest of a worklist has some 60")
    journal_segment_bytes: int = _bound(
        16_777_216, "bytes", "one file of the journal, some 40,000 records: read at each start"
    )
    journal_waiting: int = _bound(
        10_000, "records", "that wait for the disk, some 400 bytes each; then an operation fails"
    )
    journal_query_lag_s: float = _bound(
        0.05, "seconds", "until the record of a query is synced; a power cut may take it until then"
    )
    journal_clock_s: float = _bound(
        1.0, "seconds", "that a clock may go back unnoted: time servers correct by less"
    )
    spool_bytes: int = _bound(
        67_108_864, "bytes", "of messages kept for an outside collector, some 30,000"
    )
    spool_file_bytes: int = _bound(1_048_576, "bytes", "one file of the spool, removed when sent")
    syslog_message_bytes: int = _bound(
        262_144, "bytes", "one message; RFC 5425 section 4.3.1 asks for 8,192 and allows any"
    )
    syslog_batch: int = _bound(64, "messages", "sent before it is seen that they have arrived")
    syslog_settle_s: float = _bound(
        10.0, "seconds", "for a collector to take a batch; then its connection counts as lost"
    )
    syslog_poll_s: float = _bound(
        0.01, "seconds", "between two looks at what the collector has not taken"
    )
    syslog_retry_s: float = _bound(
        1.0, "seconds", "before a collector is dialled again; each failure doubles it"
    )
    syslog_longest_retry_s: float = _bound(
        60.0, "seconds", "between two tries: a collector that is back hears of us within a minute"
    )


DEFAULT_LIMITS = Limits()


def describe() -> list[tuple[str, object, str, str]]:
    """Return (name, default, unit, source) of each bound, in the order of the class."""
    return [
        (f.name, f.default, str(f.metadata["unit"]), str(f.metadata["source"]))
        for f in fields(Limits)
    ]
