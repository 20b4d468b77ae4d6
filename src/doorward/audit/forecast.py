"""What visiting everybody takes at least, said before the first connection.

Theory of operation: every port of every system is tried once, and each connection waits for the turn of its network and for
the turn of all (``traffic``). What answers is asked more, and large archives are counted; nobody can know that beforehand,
so this is a lower bound. Networks beyond a bound are not told apart any more: then the busiest one may be another.
"""

from doorward.audit.traffic import TrafficRules, network_of
from doorward.limits import DEFAULT_LIMITS, Limits


class Forecast:
    """Counts the ports to try, in all and by network."""

    def __init__(self, limits: Limits = DEFAULT_LIMITS) -> None:
        self._most = limits.networks_remembered
        self._networks: dict[str, int] = {}
        #: Ports of all systems.
        self.ports = 0

    def add(self, address: str, ports: int) -> None:
        """Take note of a system and of how many of its ports will be tried."""
        self.ports += ports
        name = network_of(address)
        if name in self._networks or len(self._networks) < self._most:
            self._networks[name] = self._networks.get(name, 0) + ports

    @property
    def networks(self) -> str:
        """How many networks there are: "1 network", "111 networks", "4,096 networks or more"."""
        number = len(self._networks)
        words = f"{number:,} network{'' if number == 1 else 's'}"
        return f"{words} or more" if number >= self._most else words

    def least_s(self, rules: TrafficRules) -> float:
        """Return the seconds that the pace alone makes of it; 0 where nothing is paced."""
        busiest = max(self._networks.values(), default=0)
        paces = (
            (self.ports, rules.per_second),
            (busiest, rules.network_per_second),
        )
        return max(number / pace if pace > 0 else 0.0 for number, pace in paces)
