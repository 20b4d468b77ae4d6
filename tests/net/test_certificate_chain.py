"""Lists of certificates in every order: who signed whom."""

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from certificates import make_credential
from doorward.net.certificate_chain import read_chain


@pytest.fixture(scope="module")
def der(tmp_path_factory):
    folder = tmp_path_factory.mktemp("chain")
    root = make_credential(folder, "root", is_authority=True)
    between = make_credential(folder, "between", issuer=root, is_authority=True)
    made = {
        "root": root,
        "between": between,
        "leaf": make_credential(folder, "leaf", issuer=between, rsa_bits=2048),
        "other": make_credential(folder, "other", is_authority=True),
        "alone": make_credential(folder, "alone"),
    }
    return {name: one.certificate.public_bytes(Encoding.DER) for name, one in made.items()}


@pytest.mark.parametrize(
    ("names", "is_ordered", "is_sortable", "ends_in_root"),
    [
        (("leaf", "between", "root"), True, True, True),
        (("leaf", "between"), True, True, False),
        (("leaf",), True, True, False),
        (("alone",), True, True, True),
        (("leaf", "root", "between"), False, True, False),
        (("leaf", "root"), False, False, True),
        (("leaf", "between", "other"), False, False, True),
        (("between", "leaf"), False, False, False),
        ((), True, True, False),
    ],
)
def test_order_and_belonging(der, names, is_ordered, is_sortable, ends_in_root):
    chain = read_chain([der[name] for name in names])
    assert len(chain.certificates) == len(names)
    assert (chain.is_ordered, chain.is_sortable) == (is_ordered, is_sortable)
    assert chain.ends_in_root is ends_in_root


def test_what_is_no_certificate_is_counted_and_left_out(der):
    chain = read_chain([der["leaf"], b"\x30\x03abc", der["between"], b""])
    assert chain.unreadable == 2
    assert [c.subject for c in chain.certificates] == [
        "CN=doorward test leaf",
        "CN=doorward test between",
    ]


def test_a_certificate_of_the_same_name_and_another_key_signed_nothing(der, tmp_path):
    impostor = make_credential(tmp_path, "between", is_authority=True)
    chain = read_chain([der["leaf"], impostor.certificate.public_bytes(Encoding.DER)])
    assert not chain.is_ordered
