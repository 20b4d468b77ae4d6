"""One system of the practice study, what the whole fleet must add up to, and the list that a survey of it is given.

Theory of operation: a generator (``study_2019``, ``sixty_days``) makes a tuple of systems, ``study_fleet`` starts them,
``inventory`` writes the list of targets, and ``truth`` adds up what a survey that asked that list must find. All four
read the same values, so the sums are no second opinion of the fleet's: they are what its archives hold.
"""

import csv
import io
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

#: What a port below 1024 becomes for whoever may not open those: 104 is 10104 then. FTP is known by its port, so it gets
#: the one where it stands otherwise.
_UNPRIVILEGED = 10_000
_FTP, _FTP_OTHERWISE = 21, 2_121
_PRIVILEGED_BELOW = 1_024
COLUMNS = ("address", "ports", "site", "owner", "contact", "country", "tags")


class Behaviour(StrEnum):
    """How a DICOM port treats a stranger: the name of a persona."""

    # Study queries are answered.
    OPEN = "open"
    READ_ONLY = "read-only"
    CHATTY = "chatty"
    TLS = "tls"
    QUERY_ONLY = "query-only"
    # They are not.
    REFUSED = "refused"
    FILTERED = "filtered"
    CALLING_CHECKED = "calling-checked"
    CALLED_CHECKED = "called-checked"
    CLOSED = "closed"
    PASSWORD = "password"  # noqa: S105 - a persona, not a password
    TLS_CHECKED = "tls-checked"  # TLS for anybody, then a list of callers
    MUTUAL_TLS = "mutual-tls"
    STORE_ONLY = "store-only"
    ECHO_ONLY = "echo-only"
    CONGESTED = "congested"
    HTTP = "http"
    SSH = "ssh"
    SILENT = "silent"
    # They are, and it means nothing: no patient lies behind.
    HONEYPOT = "honeypot"
    DEMO = "demo"


#: Strangers may also negotiate retrieval.
GIVING_AWAY = frozenset({Behaviour.OPEN, Behaviour.READ_ONLY, Behaviour.CHATTY, Behaviour.TLS})
ANSWERING = GIVING_AWAY | {Behaviour.QUERY_ONLY}
SET_APART = frozenset({Behaviour.HONEYPOT, Behaviour.DEMO})


class Web(StrEnum):
    """What stands beside the archive on ``web_port``."""

    NONE = ""
    VIEWER = "viewer"  # plain HTTP, no login
    LISTING = "listing"  # a folder of image files over HTTP
    FTP = "ftp"  # the same over FTP, anonymous


@dataclass(frozen=True, slots=True, kw_only=True)
class StudySystem:
    """One address of the fleet."""

    address: str
    country: str  # ISO 3166-1 alpha-2
    region: str = ""  # only where a part of a country has published numbers of its own
    site: str
    owner: str
    port: int
    behaviour: Behaviour
    #: A second DICOM port on which the archive stands open while the first is closed; 0: none.
    second_port: int = 0
    second_behaviour: Behaviour = Behaviour.REFUSED
    #: The ports that the survey of that month has on its list.
    asked: tuple[int, ...]
    #: What lies behind the door that answers queries; 0 where none does.
    studies: int = 0
    images: int = 0
    patients: int = 0
    implementation_class_uid: str
    implementation_version_name: str
    web: Web = Web.NONE
    web_port: int = 0
    web_banner: str = ""
    #: No number was published about its country; else only the division of the country's sums is drawn.
    is_drawn: bool = True

    @property
    def archive_port(self) -> int:
        """The port on which strangers' queries are answered, 0 where there is none."""
        if self.behaviour in ANSWERING | SET_APART:
            return self.port
        return self.second_port if self.second_behaviour in ANSWERING else 0

    @property
    def archive_behaviour(self) -> Behaviour:
        """How the door at ``archive_port`` behaves."""
        return self.behaviour if self.archive_port == self.port else self.second_behaviour

    @property
    def is_set_apart(self) -> bool:
        """A honeypot or a demonstration: it answers, and is no exposed archive."""
        return self.behaviour in SET_APART

    @property
    def is_unprotected(self) -> bool:
        """A survey that asks the ports of the list gets study queries answered by a real archive."""
        return not self.is_set_apart and self.archive_port in self.asked

    @property
    def is_retrievable(self) -> bool:
        """The archive also negotiates retrieval with strangers."""
        return self.archive_behaviour in GIVING_AWAY


@dataclass(frozen=True, slots=True, kw_only=True)
class Sums:
    """What the unprotected systems of one country, or of all, add up to."""

    systems: int = 0  # all that are on the list
    unprotected: int = 0
    retrievable: int = 0
    studies: int = 0
    images: int = 0
    images_retrievable: int = 0
    patients: int = 0
    viewers: int = 0
    listings: int = 0
    ftp_servers: int = 0
    set_apart: int = 0

    @property
    def file_servers(self) -> int:
        """HTTP listings and FTP together, as the study counted them."""
        return self.listings + self.ftp_servers


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth:
    """What a survey of the fleet must find, to the last study."""

    total: Sums
    #: By country, those with unprotected systems first, by the number of their studies.
    countries: Mapping[str, Sums]
    #: Systems by the behaviour of their first port.
    behaviours: Mapping[Behaviour, int]

    @property
    def exposed_countries(self) -> tuple[str, ...]:
        """Countries with at least one unprotected system."""
        return tuple(code for code, sums in self.countries.items() if sums.unprotected)


def truth(systems: Iterable[StudySystem]) -> Truth:
    """Return the sums over the systems; pure."""
    everything = tuple(systems)
    members: dict[str, list[StudySystem]] = {}
    for system in everything:
        members.setdefault(system.country, []).append(system)
    countries = {code: _sums(group) for code, group in members.items()}
    order = sorted(countries, key=lambda code: (-countries[code].studies, code))
    return Truth(
        total=_sums(everything),
        countries={code: countries[code] for code in order},
        behaviours=Counter(system.behaviour for system in everything),
    )


def _sums(systems: Sequence[StudySystem]) -> Sums:
    found = [system for system in systems if system.is_unprotected]
    giving = [system for system in found if system.is_retrievable]
    webs = Counter(system.web for system in systems)
    return Sums(
        systems=len(systems),
        unprotected=len(found),
        retrievable=len(giving),
        studies=sum(system.studies for system in found),
        images=sum(system.images for system in found),
        images_retrievable=sum(system.images for system in giving),
        patients=sum(system.patients for system in found),
        viewers=webs[Web.VIEWER],
        listings=webs[Web.LISTING],
        ftp_servers=webs[Web.FTP],
        set_apart=sum(system.is_set_apart for system in systems),
    )


def inventory(systems: Iterable[StudySystem], *, also: Sequence[int] = ()) -> Iterator[str]:
    """Yield the lines of a CSV inventory, the header first: what the survey of that month asks, and nothing else.

    Neighbours in the list are in different networks, as on a list of a search engine: so a pace for each network does not
    hold the whole survey up. ``also`` are ports to ask of every system beside those of the list.
    """
    yield ",".join(COLUMNS) + "\n"
    for system in sorted(systems, key=_across_networks):
        ports = dict.fromkeys((*system.asked, *also))
        contact = f"security@{system.site.rpartition(' ')[2].lower()}.example"
        tags = ("practice", *(("drawn",) if system.is_drawn else ()), system.region)
        line = io.StringIO()
        csv.writer(line, lineterminator="\n").writerow(
            (
                system.address,
                ";".join(map(str, ports)),
                system.site,
                system.owner,
                contact,
                system.country,
                ";".join(filter(None, tags)),
            )
        )
        yield line.getvalue()


def _across_networks(system: StudySystem) -> tuple[int, ...]:
    """Order by host first, by network last."""
    return tuple(int(number) for number in reversed(system.address.split(".")))


def unprivileged(systems: Iterable[StudySystem]) -> tuple[StudySystem, ...]:
    """Return the systems with 10,000 added to ports below 1024 (21: 2121), which only some users may open."""
    return tuple(
        replace(
            system,
            port=_moved(system.port),
            second_port=_moved(system.second_port),
            web_port=_moved(system.web_port),
            asked=tuple(map(_moved, system.asked)),
        )
        for system in systems
    )


def _moved(port: int) -> int:
    if port == _FTP:
        return _FTP_OTHERWISE
    return port + _UNPRIVILEGED if 0 < port < _PRIVILEGED_BELOW else port
