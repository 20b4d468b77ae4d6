"""From where a port was reached."""

import pytest

from doorward.audit.checks.vantage import FROM, REACHED, Vantage, vantage
from doorward.audit.verdict import Severity


@pytest.mark.parametrize(
    ("address", "kind"),
    (
        ("127.0.0.1", Vantage.ITSELF),
        ("::1", Vantage.ITSELF),
        ("10.1.2.3", Vantage.INSIDE),
        ("192.168.0.9", Vantage.INSIDE),
        ("fd00::1", Vantage.INSIDE),
        ("8.8.8.8", Vantage.PUBLIC),
        ("2606:4700::1111", Vantage.PUBLIC),
        ("archive.invalid", Vantage.INSIDE),
    ),
)
def test_the_address_says_from_where_a_port_is_reached(address, kind):
    assert vantage(address) is kind


def test_the_wider_the_reach_the_graver():
    order = (Vantage.ITSELF, Vantage.INSIDE, Vantage.PUBLIC)
    assert [REACHED[kind] for kind in order] == [Severity.LOW, Severity.MEDIUM, Severity.HIGH]
    assert set(FROM) == set(Vantage)
