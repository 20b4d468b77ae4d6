"""The interview against servers made of tables: what it finds, what it cannot tell, and when it stops."""

import asyncio

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from certificates import make_credential
from doorward.audit.tls_facts import Preference, TlsDepthFacts
from doorward.audit.tls_interview import Interview
from doorward.errors import ConnectFailed
from doorward.web.tls_hello import SSL_3_0, TLS_1_0, TLS_1_1, TLS_1_2, TLS_1_3, VERSION_NAMES
from doorward.web.tls_records import Flight, FlightEnd
from loopback import limits
from tls_model import (
    CLOSED,
    NOT_TLS,
    REFUSED,
    SILENT,
    ModelServer,
    always,
    group_numbers,
    numbers,
)

GCM_128, GCM_256 = (f"TLS_ECDHE_RSA_WITH_AES_{b}" for b in ("128_GCM_SHA256", "256_GCM_SHA384"))
CBC, DHE = "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA", "TLS_DHE_RSA_WITH_AES_128_GCM_SHA256"
STATIC, RC4 = "TLS_RSA_WITH_AES_128_CBC_SHA", "TLS_RSA_WITH_RC4_128_SHA"
ANONYMOUS, NULL = "TLS_DH_anon_WITH_AES_128_CBC_SHA", "TLS_RSA_WITH_NULL_SHA"
MODERN = numbers("TLS_AES_256_GCM_SHA384", "TLS_AES_128_GCM_SHA256")


def interview(say, **options) -> TlsDepthFacts:
    return asyncio.run(Interview(say, random=bytes, **options).run())


def server(**changes) -> ModelServer:
    values = {"suites": {TLS_1_3: MODERN, TLS_1_2: numbers(GCM_256, GCM_128)}} | changes
    return ModelServer(**values)


def test_versions_suites_groups_and_signatures_of_a_good_server():
    model = server()
    facts = interview(model.say)
    assert facts.speaks_tls
    assert facts.is_complete
    assert facts.accepted_versions == ("TLSv1.2", "TLSv1.3")
    assert set(facts.suites) == {
        *("TLS_AES_256_GCM_SHA384", "TLS_AES_128_GCM_SHA256"),
        *(GCM_256, GCM_128),
    }
    assert facts.groups.names == facts.groups_tls_1_3.names == ("x25519", "secp256r1")
    assert facts.signatures.names == ("rsa_pss_rsae_sha256", "rsa_pkcs1_sha256")
    assert facts.signatures_tls_1_3.names == ("rsa_pss_rsae_sha256",)
    assert facts.prefers_tls_1_3
    assert facts.refuses_fallback
    assert facts.marks_downgrade
    assert facts.compresses is False
    assert (
        facts.requests_client_certificate is None
    )  # no certificate was shown, so nothing was whole
    assert facts.hellos == len(model.offers)


@pytest.mark.parametrize("version", sorted(VERSION_NAMES))
def test_each_version_is_found_when_it_is_the_only_one(version):
    suites = MODERN if version == TLS_1_3 else numbers(RC4, STATIC)
    facts = interview(server(suites={version: suites}).say)
    assert facts.accepted_versions == (VERSION_NAMES[version],)
    assert facts.is_complete
    assert len(facts.suites) == 2
    assert facts.refuses_fallback is None
    refused = [v for v in facts.versions if not v.is_accepted]
    assert len(refused) == 4
    assert {v.refusal for v in refused} == {"protocol_version"}


def test_every_suite_of_the_registry_can_be_found_alone():
    for name in (
        RC4,
        NULL,
        ANONYMOUS,
        "TLS_RSA_EXPORT_WITH_RC4_40_MD5",
        "TLS_KRB5_WITH_RC4_128_MD5",
    ):
        facts = interview(server(suites={TLS_1_0: numbers(name)}).say)
        assert facts.suites == (name,)


@pytest.mark.parametrize("own_order", [True, False])
def test_whose_order_decides(own_order):
    suites = numbers(STATIC, GCM_128, GCM_256)
    facts = interview(server(suites={TLS_1_2: suites}, own_order=own_order).say)
    assert facts.seen("TLSv1.2").preference is (
        Preference.SERVER if own_order else Preference.CLIENT
    )


def test_one_suite_has_no_order():
    facts = interview(server(suites={TLS_1_2: numbers(GCM_128)}).say)
    assert facts.seen("TLSv1.2").preference is Preference.UNKNOWN


def test_a_small_prime_and_a_fallback_that_is_served_and_compression():
    model = server(
        suites={TLS_1_2: numbers(DHE), TLS_1_1: numbers(CBC)},
        dh_bits=1024,
        refuses_fallback=False,
        compresses=True,
        renegotiation_info=False,
    )
    facts = interview(model.say)
    assert facts.smallest_dh_bits == 1024
    assert facts.refuses_fallback is False
    assert facts.compresses is True
    assert facts.has_renegotiation_info is False
    assert facts.marks_downgrade is None
    assert facts.groups.names == ()
    assert facts.groups.note


def test_an_unmarked_downgrade_is_seen():
    assert interview(server(marks_downgrade=False).say).marks_downgrade is False


def test_a_version_on_which_the_port_hangs_up_is_refused_where_another_is_spoken():
    facts = interview(server(otherwise=CLOSED).say)
    assert facts.seen("TLSv1").is_accepted is False
    assert facts.seen("TLSv1").refusal == "closed"
    assert facts.is_complete


def test_a_version_on_which_the_port_is_silent_is_not_known():
    facts = interview(server(otherwise=SILENT).say)
    assert facts.accepted_versions == ("TLSv1.2", "TLSv1.3")
    assert facts.seen("TLSv1.1").is_accepted is None
    assert not facts.is_complete


def test_a_server_that_fails_on_long_hellos_is_asked_in_small_ones():
    model = server(suites={TLS_1_2: numbers(GCM_128, STATIC, RC4)}, most_suites=40)
    facts = interview(model.say)
    assert set(facts.suites) == {GCM_128, STATIC, RC4}
    assert facts.is_complete


def test_a_port_that_hangs_up_on_everything_says_nothing():
    facts = interview(always(CLOSED))
    assert facts.speaks_tls is None
    assert {v.is_accepted for v in facts.versions} == {None}


def test_a_port_that_refuses_everything_speaks_tls_all_the_same():
    facts = interview(always(REFUSED))
    assert facts.speaks_tls is True
    assert {v.is_accepted for v in facts.versions} == {False}


@pytest.mark.parametrize(("flight", "speaks"), [(NOT_TLS, False), (SILENT, None)])
def test_a_port_without_a_word_of_tls_is_left_alone_soon(flight, speaks):
    facts = interview(always(flight))
    assert facts.speaks_tls is speaks
    assert facts.hellos <= 3
    assert not facts.is_complete


def test_the_bound_on_hellos_is_kept_and_said():
    model = server(suites={TLS_1_2: numbers(GCM_128, GCM_256, CBC, DHE, STATIC)})
    facts = interview(model.say, limits=limits(tls_hellos=4))
    assert facts.hellos == len(model.offers) == 4
    assert not facts.is_complete
    assert not facts.seen("TLSv1.2").is_complete
    assert len(facts.suites) == 3


def test_a_server_that_disappears_midway_leaves_what_was_seen():
    model, said = server(), 0

    async def say(hello):
        nonlocal said
        said += 1
        if said > 3:
            raise ConnectFailed("gone", kind="refused")
        return await model.say(hello)

    facts = interview(say)
    assert facts.accepted_versions == ("TLSv1.3",)
    assert not facts.is_complete
    assert facts.hellos == 6  # three lost in a row are enough


def test_a_port_that_was_never_there_raises():
    async def say(_hello):
        raise ConnectFailed("refused", kind="refused")

    with pytest.raises(ConnectFailed):
        interview(say)


def test_a_server_that_chooses_what_was_not_offered_proves_nothing_more():
    model = server(suites={TLS_1_2: numbers(GCM_128)}, groups=group_numbers("secp256r1"))

    async def stubborn(hello):
        return await model.say(
            hello
            if hello.groups == () or 23 in hello.groups
            else type(hello)(
                versions=hello.versions,
                suites=hello.suites,
                random=hello.random,
                groups=(23,),
                signatures=hello.signatures,
            )
        )

    facts = interview(stubborn)
    assert facts.groups.names == ("secp256r1",)
    assert not facts.groups.is_complete


@pytest.fixture(scope="module")
def chain(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ec")
    return (make_credential(folder, "leaf").certificate.public_bytes(Encoding.DER),)


class CurveOfItsOwn(ModelServer):
    """Refuses hellos without the curve of its certificate, as OpenSSL does up to TLS 1.2."""

    async def say(self, hello):
        if 23 not in hello.groups:
            self.offers.append(hello)
            return REFUSED
        return await super().say(hello)


@pytest.mark.parametrize("own_order", [False, True])
def test_the_curve_of_the_certificate_stays_on_offer(chain, own_order):
    model = CurveOfItsOwn(
        suites={TLS_1_2: numbers("TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256")},
        groups=group_numbers("x25519", "secp256r1", "secp384r1"),
        signatures=(0x0403,),
        certificates=chain,
        own_order=own_order,
    )
    facts = interview(model.say)
    if own_order:  # it never names a curve behind that of its certificate
        assert facts.groups.names == ("x25519", "secp256r1")
    else:
        assert facts.groups.names == ("x25519", "secp384r1", "secp256r1")
    assert facts.groups.note
    assert facts.chains[0].certificates[0].key == "EC secp256r1"


def test_a_demand_for_a_client_certificate_is_seen(chain):
    facts = interview(server(certificates=chain, requests_certificate=True).say)
    assert facts.requests_client_certificate is True
    assert len(facts.chains) == 1


def test_an_answer_in_another_version_is_a_refusal():
    model = server()

    async def insists(hello):
        flight = await model.say(hello)
        if flight.hello is None and TLS_1_2 not in hello.versions:
            return await model.say(
                type(hello)(
                    versions=(TLS_1_2,),
                    suites=model.suites[TLS_1_2],
                    random=bytes(32),
                    groups=hello.groups,
                    signatures=(0x0401,),
                )
            )
        return flight

    facts = interview(insists)
    assert facts.seen("TLSv1").is_accepted is False
    assert facts.seen("TLSv1").refusal == "answered in TLSv1.2"


def test_the_name_is_sent_and_old_versions_are_asked_last():
    model = server(suites={SSL_3_0: numbers(RC4), TLS_1_2: numbers(GCM_128)})
    interview(model.say, server_name="archive.example")
    assert {hello.server_name for hello in model.offers} == {"archive.example"}
    versions = [hello.versions[0] for hello in model.offers]
    assert versions[0] == TLS_1_3
    assert versions.index(SSL_3_0) > versions.index(TLS_1_2)


def test_without_a_group_to_ask_with_signatures_of_1_3_are_not_known():
    facts = interview(server(suites={TLS_1_3: MODERN}, groups=group_numbers("ffdhe2048")).say)
    assert facts.groups_tls_1_3.names == ("ffdhe2048",)
    assert not facts.signatures_tls_1_3.is_complete
    assert facts.signatures_tls_1_3.note


def test_a_malformed_flight_is_not_a_refusal():
    broken = Flight(end=FlightEnd.MALFORMED, detail="a second ServerHello")
    facts = interview(always(broken))
    assert facts.speaks_tls is None
    assert facts.detail
