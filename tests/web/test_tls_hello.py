"""ClientHellos made by hand, read by OpenSSL: what it answers shows what it understood."""

import ssl

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

import tls_bytes as wire
from certificates import make_credential
from doorward.web.tls_hello import (
    SSL_3_0,
    TLS_1_0,
    TLS_1_2,
    TLS_1_3,
    VERSION_NAMES,
    ClientHello,
    base_point,
)
from doorward.web.tls_records import Flight, FlightReader

RANDOM = bytes(range(32))
ECDHE_RSA_AES_128_GCM, RSA_AES_128_SHA = 0xC02F, 0x002F


def hello(**changes) -> ClientHello:
    values = {
        "versions": (TLS_1_2,),
        "suites": (ECDHE_RSA_AES_128_GCM,),
        "random": RANDOM,
        "groups": (29, 23),
        "signatures": (0x0804, 0x0401),
    } | changes
    return ClientHello(**values)


@pytest.fixture(scope="module")
def credential(tmp_path_factory):
    return make_credential(tmp_path_factory.mktemp("own"), "server", rsa_bits=2048)


class Server:
    """OpenSSL without a socket: what it says to a hello, and what it read in it."""

    def __init__(self, credential) -> None:
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(credential.certificate_path, credential.key_path)
        self.context.set_ciphers("ALL:@SECLEVEL=0")
        self.context.sni_callback = self._named
        self.names: list[str | None] = []

    def _named(self, _tls, name, _context) -> None:
        self.names.append(name)

    def answer(self, said: bytes) -> Flight:
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = self.context.wrap_bio(incoming, outgoing, server_side=True)
        incoming.write(said)
        try:
            tls.do_handshake()
        except ssl.SSLError:
            pass
        reader = FlightReader()
        reader.receive(outgoing.read())
        return reader.flight()


@pytest.fixture
def server(credential):
    return Server(credential)


@pytest.mark.parametrize("suite", [ECDHE_RSA_AES_128_GCM, RSA_AES_128_SHA])
def test_openssl_answers_with_the_only_suite_on_offer(server, suite):
    flight = server.answer(hello(suites=(suite,)).encode())
    assert (flight.end, flight.hello.suite) == ("hello_done", suite)
    assert flight.hello.has_renegotiation_info
    assert flight.hello.has_extended_master_secret


def test_openssl_reads_the_name(server):
    server.answer(hello(server_name="archive.hospital.example.").encode())
    server.answer(hello(server_name="röntgen.example").encode())
    server.answer(hello().encode())
    assert server.names == ["archive.hospital.example", "xn--rntgen-wxa.example", None]


def test_an_empty_key_share_makes_openssl_name_its_group(server):
    offered = hello(versions=(TLS_1_3,), suites=(0x1302,), groups=(24, 23))
    flight = server.answer(offered.encode())
    assert (flight.end, flight.hello.suite) == ("retry", 0x1302)
    assert flight.hello.group in (23, 24)


@pytest.mark.parametrize("group", [23, 24, 25, 29, 30])
def test_openssl_takes_a_base_point_for_a_key(server, group):
    share = ((group, base_point(group)),)
    offered = hello(versions=(TLS_1_3,), suites=(0x1301,), groups=(group,), key_shares=share)
    assert server.answer(offered.encode()).end == "encrypted"


def test_a_signature_that_the_key_cannot_make_is_refused_in_the_open(server):
    share = ((29, base_point(29)),)
    offered = hello(versions=(TLS_1_3,), suites=(0x1301,), key_shares=share, signatures=(0x0403,))
    assert server.answer(offered.encode()).end == "alert"


def test_a_fallback_is_refused_by_a_server_that_could_do_better(server):
    flight = server.answer(hello(is_fallback=True).encode())
    assert flight.alert.name == "inappropriate_fallback"


def test_without_a_group_in_common_there_is_no_suite(server):
    assert server.answer(hello(groups=(1,)).encode()).end == "alert"


def test_the_base_points_are_those_of_the_curves():
    curves = {23: ec.SECP256R1(), 24: ec.SECP384R1(), 25: ec.SECP521R1()}
    for group, curve in curves.items():
        key = ec.derive_private_key(1, curve).public_key()
        assert base_point(group) == key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    assert base_point(256) is None


# --- bytes ------------------------------------------------------------------------------------------------------------


def test_ssl_3_has_no_extensions_and_signals_renegotiation_by_a_suite():
    made = hello(versions=(SSL_3_0,), suites=(5,)).encode()
    assert made[:3] == b"\x16\x03\x00"
    body = b"\x03\x00" + RANDOM + b"\0" + wire.block(2, b"\x00\x05\x00\xff") + b"\x01\0"
    assert made == wire.record(22, wire.message(1, body), 0x0300)


def test_newer_versions_say_tls_1_0_in_the_record_and_tls_1_2_in_the_hello():
    for version in (TLS_1_2, TLS_1_3):
        made = hello(versions=(version,), suites=(0x1301,)).encode()
        assert (made[:3], made[9:11]) == (b"\x16\x03\x01", b"\x03\x03")


def test_compression_is_offered_where_asked_for():
    assert b"\x02\x01\x00" in hello(compressions=(1, 0)).encode()


@pytest.mark.parametrize("count", range(90, 240, 3))
def test_no_hello_has_a_length_that_makes_load_balancers_hang(count):
    made = hello(suites=tuple(range(1, count))).encode()
    handshake_bytes = len(made) - 5
    assert handshake_bytes not in range(256, 512)


def test_no_signature_schemes_before_tls_1_2():
    old = hello(versions=(TLS_1_0,)).encode()
    assert b"\x00\x0d\x00\x06\x00\x04\x08\x04\x04\x01" in hello().encode()
    assert b"\x08\x04\x04\x01" not in old


@pytest.mark.parametrize(
    "fault",
    [
        {"random": b"short"},
        {"suites": ()},
        {"versions": ()},
        {"suites": tuple(range(32_768))},
        {"server_name": "x" * 64 + ".example"},
    ],
)
def test_what_does_not_fit_is_our_own_fault(fault):
    with pytest.raises(ValueError):
        hello(**fault).encode()


@given(
    version=st.sampled_from(sorted(VERSION_NAMES)),
    suites=st.lists(st.integers(0, 0xFFFF), min_size=1, max_size=400),
    groups=st.lists(st.integers(0, 0xFFFF), max_size=60),
    signatures=st.lists(st.integers(0, 0xFFFF), max_size=60),
)
def test_every_hello_is_one_record_whose_lengths_agree(version, suites, groups, signatures):
    made = hello(
        versions=(version,),
        suites=tuple(suites),
        groups=tuple(groups),
        signatures=tuple(signatures),
    ).encode()
    assert int.from_bytes(made[3:5], "big") == len(made) - 5
    assert int.from_bytes(made[6:9], "big") == len(made) - 9
