"""Nmap's XML gives its open TCP ports, whole or cut off; scripts, names and versions give nothing."""

import socket
import subprocess
import time
import tracemalloc
from datetime import UTC, datetime

import pytest

from doorward.audit.imports.nmap import read
from doorward.audit.imports.sighting import ImportOptions, Sighting
from imported import FILE, PATIENT, result_of
from loopback import limits

#: As Nmap 7.93 writes it after -sS -sV -sC, with a patient's name wherever a system could have put one.
HEAD = f"""<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE nmaprun>
<?xml-stylesheet href="file:///usr/bin/../share/nmap/nmap.xsl" type="text/xsl"?>
<!-- Nmap 7.93 scan initiated Sun Nov 22 16:00:00 2026 as: nmap -sS -sV -sC {PATIENT} -->
<nmaprun scanner="nmap" args="nmap {PATIENT}" start="1795363200" startstr="{PATIENT}" version="7.93" xmloutputversion="1.05">
<scaninfo type="syn" protocol="tcp" numservices="4" services="104,443,2762,11112"/>
<verbose level="0"/>
<debugging level="0"/>
<hosthint><status state="up" reason="arp-response" reason_ttl="0"/>
<address addr="192.0.2.7" addrtype="ipv4"/>
</hosthint>
"""
HOST = f"""<host starttime="1795363200" endtime="1795363260"><status state="up" reason="arp-response" reason_ttl="0"/>
<address addr="00:00:5E:00:53:07" addrtype="mac" vendor="{PATIENT}"/>
<address addr="192.0.2.7" addrtype="ipv4"/>
<address addr="2001:db8::7" addrtype="ipv6"/>
<hostnames>
<hostname name="{PATIENT}.example" type="PTR"/>
</hostnames>
<ports><extraports state="filtered" count="996">\
<extrareasons reason="no-response" count="996" proto="tcp"/></extraports>
<port protocol="tcp" portid="104"><state state="open" reason="syn-ack" reason_ttl="64"/>\
<service name="dicom" product="{PATIENT}" version="{PATIENT}" extrainfo="{PATIENT}" method="probed" conf="10">\
<cpe>cpe:/a:{PATIENT}</cpe></service>\
<script id="dicom-cfind-ls" output="&#xa;  {PATIENT}">\
<table key="{PATIENT}"><table><elem key="x">{PATIENT}</elem></table></table></script></port>
<port protocol="tcp" portid="443"><state state="open" reason="syn-ack" reason_ttl="64"/>\
<service name="http" product="nginx" tunnel="ssl" method="probed" conf="10"/>\
<script id="ssl-cert" output="{PATIENT}"/></port>
<port protocol="tcp" portid="2762"><state state="closed" reason="reset" reason_ttl="64"/></port>
<port protocol="tcp" portid="11112"><state state="filtered" reason="no-response" reason_ttl="0"/><service name="dicom"/></port>
<port protocol="udp" portid="161"><state state="open" reason="udp-response" reason_ttl="64"/><service name="snmp"/></port>
<port protocol="tcp" portid="8042"><state state="open|filtered" reason="no-response" reason_ttl="0"/></port>
</ports>
<hostscript><script id="smb-os-discovery" output="{PATIENT}"/></hostscript>
<times srtt="126" rttvar="3779" to="100000"/>
</host>
"""
SECOND = """<host><status state="up" reason="user-set"/><address addr="2001:DB8:0::8" addrtype="ipv6"/>
<ports><port protocol="tcp" portid="4242"><state state="open"/></port></ports></host>
"""
TAIL = """<runstats><finished time="1795363300" timestr="x" summary="x" elapsed="100" exit="success"/>
<hosts up="2" down="0" total="2"/>
</runstats>
</nmaprun>
"""
WHOLE = HEAD + HOST + SECOND + TAIL
DOORS = [("192.0.2.7", 104), ("192.0.2.7", 443), ("2001:db8::8", 4242)]
CUT_OFF = "the file ends within the run: the rest is missing"


def test_open_tcp_ports_are_taken_and_nothing_that_somebody_said():
    result = result_of(read, WHOLE)
    assert result.error is None
    assert result.items == [
        Sighting(
            host="192.0.2.7",
            port=104,
            source="nmap",
            seen_at="2026-11-22T16:01:00+00:00",
            service="dicom",
        ),
        Sighting(
            host="192.0.2.7",
            port=443,
            source="nmap",
            seen_at="2026-11-22T16:01:00+00:00",
            is_tls=True,
            service="http",
        ),
        Sighting(host="2001:db8::8", port=4242, source="nmap", seen_at="2026-11-22T16:00:00+00:00"),
    ]
    assert PATIENT not in result.words


@pytest.mark.peer("nmap")
@pytest.mark.interop
def test_what_nmap_itself_writes_is_read():
    listener = socket.create_server(("127.0.0.9", 0))
    with listener:
        number = listener.getsockname()[1]
        command = ["nmap", "-Pn", "-n", "-sT", "-p", f"{number},1", "-oX", "-", "127.0.0.9"]
        begun = int(time.time())
        done = subprocess.run(command, capture_output=True, timeout=15, check=True)
    [seen] = result_of(read, done.stdout).items
    assert (seen.host, seen.port, seen.source) == ("127.0.0.9", number, "nmap")
    assert begun <= datetime.fromisoformat(seen.seen_at).timestamp() <= time.time()
    # The same run, stopped before its end.
    cut = result_of(read, done.stdout.partition(b"<runstats>")[0])
    assert cut.doors == [("127.0.0.9", number)]
    assert [reason for _, reason in cut.skipped] == [CUT_OFF]


def test_masscan_writes_the_same_form_and_is_named():
    content = (
        '<?xml version="1.0"?>\n<!-- masscan v1.0 scan -->\n'
        '<nmaprun scanner="masscan" start="1573000000" version="1.0-BETA"  xmloutputversion="1.03">\n'
        '<scaninfo type="syn" protocol="tcp" />\n'
        '<host endtime="1573000001"><address addr="192.0.2.1" addrtype="ipv4"/><ports>'
        '<port protocol="tcp" portid="104"><state state="open" reason="syn-ack" reason_ttl="53"/>'
        f'<service name="title" banner="{PATIENT}"></service></port></ports></host>\n</nmaprun>\n'
    )
    result = result_of(read, content)
    assert result.items == [
        Sighting(
            host="192.0.2.1",
            port=104,
            source="masscan",
            seen_at="2019-11-06T00:26:41+00:00",
            service="title",
        )
    ]
    assert PATIENT not in result.words


def test_another_scanner_of_the_same_form_is_not_quoted():
    result = result_of(read, WHOLE.replace('scanner="nmap"', f'scanner="{PATIENT}"'))
    assert {item.source for item in result.items} == {"nmap"}


# --- broken -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("where", [len(HEAD + HOST), len(HEAD + HOST) + 40])
def test_a_run_that_was_stopped_gives_what_was_complete(where):
    result = result_of(read, WHOLE[:where])
    assert result.error is None
    assert result.doors == DOORS[:2]
    assert result.skipped == [((HEAD + HOST).count("\n") + 1, CUT_OFF)]


def test_a_run_cut_off_anywhere_gives_no_more_than_was_there():
    for where in range(WHOLE.index("<nmaprun "), len(WHOLE) - len("</nmaprun>\n"), 7):
        result = result_of(read, WHOLE[:where])
        assert result.doors == DOORS[: len(result.doors)]
        if result.error is None:
            assert [reason for _, reason in result.skipped] == [CUT_OFF]
        else:  # not even the root element is whole
            assert where < WHOLE.index(">", WHOLE.index("<nmaprun "))
            assert result.error.message.startswith("is no XML from here on: ")


def test_garbage_after_the_first_host_ends_the_reading_with_its_line():
    result = result_of(read, (HEAD + HOST).encode() + b"\x00\xff" + SECOND.encode())
    assert result.doors == DOORS[:2]
    line = (HEAD + HOST).count("\n") + 1
    words = "is no XML from here on: not well-formed (invalid token)"
    assert str(result.error) == f"scan.file:{line}: {words}"
    assert PATIENT not in result.words


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", ":1: is no XML from here on: no element found"),
        ("Nmap scan report for 192.0.2.7\n", ":1: is no XML from here on: syntax error"),
        (
            '<?xml version="1.0"?>\n<html><script>x</script></html>',
            ":2: is XML, but not Nmap's: its root element is not nmaprun",
        ),
        ("\ufeff".encode("utf-16-le") + WHOLE.encode("utf-16-le"), ":1: is UTF-16, not UTF-8 text"),
        (b"\x1f\x8b\x08\x00", ":1: is no XML from here on: not well-formed (invalid token)"),
    ],
)
def test_another_file_is_refused_with_its_line(content, words):
    result = result_of(read, content)
    assert result.items == []
    assert str(result.error) == f"scan.file{words}"
    assert result.error.hint == "Write it with nmap -oX." or "UTF-16" in words


def test_a_wrong_value_costs_its_port_only():
    content = WHOLE.replace('portid="104"', f'portid="{PATIENT}"').replace(
        'addr="2001:DB8:0::8"', 'addr="fe80::8%eth0"'
    )
    result = result_of(read, content)
    assert result.doors == [("192.0.2.7", 443)]
    line = HEAD.count("\n") + 9
    assert result.skipped == [
        (line, "portid is no port from 1 to 65535"),
        (
            WHOLE[: WHOLE.index('portid="4242"')].count("\n") + 1,
            "address has a zone (%...), which only the scanner's machine knows",
        ),
    ]
    assert PATIENT not in result.words


def test_a_host_without_an_address_is_skipped_port_by_port():
    content = WHOLE.replace('addrtype="ipv4"', 'addrtype="mac"').replace("ipv6", "mac")
    result = result_of(read, content)
    assert [reason for _, reason in result.skipped] == ["address is missing"] * 3


ENTITIES = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 12))


@pytest.mark.parametrize(
    ("doctype", "words"),
    [
        (f'<!DOCTYPE nmaprun [<!ENTITY e0 "x">{ENTITIES}]>', "has a DOCTYPE with declarations"),
        ('<!DOCTYPE nmaprun [<!ENTITY e SYSTEM "file:///etc/passwd">]>', "has a DOCTYPE with"),
        ('<!DOCTYPE nmaprun [<!ATTLIST host x CDATA "y">]>', "has a DOCTYPE with declarations"),
    ],
)
def test_entity_bombs_are_refused_before_they_are_read(doctype, words):
    content = WHOLE.replace("<!DOCTYPE nmaprun>", doctype).replace("dicom", "&e11;")
    result = result_of(read, content)
    assert result.items == []
    assert str(result.error).startswith(f"scan.file:2: {words}")


def test_an_outer_dtd_is_not_fetched_and_an_unknown_entity_is_no_value(tmp_path):
    (tmp_path / "nmap.dtd").write_text(f'<!ENTITY e "{PATIENT}">')
    outer = f'<!DOCTYPE nmaprun SYSTEM "file://{tmp_path}/nmap.dtd">'
    content = WHOLE.replace("<!DOCTYPE nmaprun>", outer)
    assert result_of(read, content).doors == DOORS
    asked = result_of(read, content.replace("<hostnames>", "<hostnames>&e;"))
    assert PATIENT not in asked.words


@pytest.mark.parametrize(
    ("hostile", "words"),
    [
        ("<a>" * 65, "is nested more than 64 levels deep"),
        ("".join(f"<a{n}/>" for n in range(1_100)), "uses more than 1,024 different names"),
        (
            f'<script output="{"x" * 4_300_000}"/>',
            "holds an element of more than 4,194,304 bytes",
        ),
        (f"<!-- {'x' * 4_300_000} -->", "holds an element of more than 4,194,304 bytes"),
        ("</host>", "is no XML from here on: mismatched tag"),
    ],
    ids=["depth", "names", "attribute", "comment", "mismatch"],
)
def test_hostile_sizes_end_the_reading_behind_what_was_complete(hostile, words):
    result = result_of(read, HEAD + HOST + hostile + SECOND + TAIL)
    line = (HEAD + HOST).count("\n") + 1
    assert result.doors == DOORS[:2]
    assert str(result.error) == f"scan.file:{line}: {words}"


def test_a_mark_of_utf8_and_another_declared_encoding_do_not_matter():
    other = WHOLE.replace('encoding="UTF-8"', 'encoding="x-no-such"')
    assert result_of(read, b"\xef\xbb\xbf" + WHOLE.encode()).doors == DOORS
    assert result_of(read, other).doors == DOORS


def test_a_run_that_ended_with_an_error_says_so():
    failed = WHOLE.replace('exit="success"', f'exit="error" errormsg="{PATIENT}"')
    result = result_of(read, failed)
    line = (HEAD + HOST + SECOND).count("\n") + 1
    assert result.doors == DOORS
    assert result.skipped == [(line, "the run ended with an error: it may lack hosts")]
    assert PATIENT not in result.words


def test_too_many_useless_ports_are_another_format():
    bad = HOST.replace("192.0.2.7", "nonsense").replace("2001:db8::7", "nonsense")
    result = result_of(read, HEAD + bad * 3 + TAIL, limits=limits(import_bad_rows=4))
    assert len(result.skipped) == 4
    assert "5 rows in a row cannot be used" in str(result.error)


def test_what_is_too_old_is_skipped():
    result = result_of(read, WHOLE, oldest=datetime(2026, 11, 22, 16, 0, 30, tzinfo=UTC))
    assert result.doors == DOORS[:2]
    assert [r for _, r in result.skipped] == ["was seen before the oldest time that is asked for"]


def test_memory_does_not_grow_with_the_run(tmp_path):
    path = tmp_path / "run.xml"
    with path.open("w") as run:
        run.write(HEAD)
        for _ in range(3_000):
            run.write(HOST)
        run.write(TAIL)
    tracemalloc.start()
    try:
        with path.open("rb") as stream:
            doors = sum(isinstance(item, Sighting) for item in read(stream, FILE, ImportOptions()))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert doors == 6_000
    assert peak < 1_000_000 < path.stat().st_size
