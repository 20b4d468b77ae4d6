"""How long a survey takes at least is known before its first connection."""

from dataclasses import replace

import pytest

from doorward.audit.forecast import Forecast
from doorward.audit.traffic import TrafficRules
from doorward.limits import DEFAULT_LIMITS


def _of(*systems: tuple[str, int], most: int = 10) -> Forecast:
    forecast = Forecast(replace(DEFAULT_LIMITS, networks_remembered=most))
    for address, ports in systems:
        forecast.add(address, ports)
    return forecast


def _rules(all_together: float, network: float) -> TrafficRules:
    return TrafficRules(per_second=all_together, network_per_second=network)


@pytest.mark.parametrize(
    ("all_together", "network", "seconds"),
    [(10, 0, 5), (0, 10, 3), (10, 2, 15), (100, 100, 0.5), (0, 0, 0)],
)
def test_the_slower_of_both_paces_decides(
    all_together: float, network: float, seconds: float
) -> None:
    found = _of(("192.0.2.1", 10), ("192.0.2.200", 20), ("198.51.100.1", 20))
    assert found.ports == 50
    assert found.networks == "2 networks"
    assert found.least_s(_rules(all_together, network)) == seconds


def test_nothing_takes_no_time() -> None:
    assert _of().least_s(_rules(1, 1)) == 0


def test_the_neighbours_of_an_ipv6_address_share_its_pace() -> None:
    assert _of(("2001:db8::1", 1), ("2001:db8::2:1", 1)).networks == "1 network"


def test_more_networks_than_are_remembered_are_not_told_apart() -> None:
    found = _of(("192.0.2.1", 1), ("198.51.100.1", 5), ("203.0.113.1", 50), most=2)
    assert found.networks == "2 networks or more"
    assert found.ports == 56
    assert found.least_s(_rules(0, 1)) == 5
