"""Documented default logins: one for each product, with a source, shown by the product's own mark and by nothing else."""

import pytest

from doorward.audit.verdict import PRODUCTS
from doorward.knowledge.default_credentials import default_logins

LOGINS = {login.product: login for login in default_logins()}


def test_one_login_for_each_product():
    assert len(LOGINS) == len(default_logins()) >= 2


@pytest.mark.parametrize("login", default_logins(), ids=LOGINS)
def test_each_login_is_whole(login):
    assert login.key in PRODUCTS
    assert login.way in ("basic", "query")
    assert login.mark in ("source", "measured")
    assert login.path.startswith("/")
    assert login.source
    assert login.realm or login.server, "without a mark it would go to anybody"


def test_a_mark_must_fit_as_a_whole():
    orthanc, dicoogle = LOGINS["Orthanc"], LOGINS["Dicoogle"]
    assert orthanc.is_shown_by(realm="Orthanc Secure Area", server="")
    assert dicoogle.is_shown_by(realm="", server="Dicoogle/3.4.1")
    for realm, server in (
        ("", ""),
        ("Orthanc", ""),
        ("My Orthanc Secure Area", ""),
        ("", "dicooglex/1"),
        ("", "nginx"),
    ):
        assert not orthanc.is_shown_by(realm=realm, server=server)
        assert not dicoogle.is_shown_by(realm=realm, server=server)
