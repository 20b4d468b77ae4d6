"""The study of September 2019 as a fleet: 2,300 systems on loopback, 590 of them open to strangers, in 52 countries.

Theory of operation: the numbers of a country (``study_numbers``) are divided among its systems, very unevenly as in life;
who gives images away is decided for each system as a whole, as the published ratios say. Then the closed ones are drawn,
each closed in one of the ways that occur, every country gets networks of its own, and every system a name, an owner, a
toolkit and a port. No socket, no clock: the same seed gives the same fleet, and ``study_system.truth`` its sums.

Addresses: 127.(16 + country).(block).(10 to 49), a /24 for every forty systems, so that a pace per network means something.
What an archive holds is behind one door: ``port``, or ``second_port`` where the first is closed.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from random import Random

from doorward.practice.apportion import apportion, is_doubted, undoubted
from doorward.practice.study_numbers import (
    SEED,
    Cell,
    Plan,
    banners,
    changes,
    closed_ways,
    countries,
    dice,
    month,
    plans,
    september,
    skewed,
    toolkits,
)
from doorward.practice.study_system import ANSWERING, Behaviour, StudySystem, Web

#: Ports of the census of May 2019: 1,698 hosts answered on 104 and 44 on 11112.
_PORTS, _PORT_WEIGHTS = (104, 11_112), (1_698, 44)
_WEB_PORTS = {Web.VIEWER: (80, 8080), Web.LISTING: (80, 8080), Web.FTP: (21,)}
_HOSTS_PER_BLOCK, _FIRST_HOST, _FIRST_NETWORK = 40, 10, 16
#: Closed in a way behind which an archive may stand open later, or beside it on another port.
CHANGING = frozenset(
    {
        Behaviour.CALLING_CHECKED,
        Behaviour.CALLED_CHECKED,
        Behaviour.CLOSED,
        Behaviour.REFUSED,
        Behaviour.FILTERED,
    }
)
#: The identity that gives these away; the others have one of the mix of the time.
_DEMO = ("1.2.826.0.1.3680043.9.3811.1.4.1", "PYNETDICOM_141")
_HONEYPOT = ("1.2.826.0.1.3680043.9.7133.1.1", "GODICOM_1_1")
#: How unevenly the systems of a country share its images: the ten largest of 187 hold about a third.
_SPREAD = 1.2
_LEAST_CLOSED = 4
#: Of one system, where its country's sum allows it.
LEAST_IMAGES = 200
#: Archives that send every attribute with each match are small ones, and few.
_CHATTY_UP_TO, _CHATTY_SHARE, _READ_ONLY_SHARE = 5_000, 0.1, 0.3


@dataclass(frozen=True, slots=True, kw_only=True)
class Stake:
    """How one system takes part when the sums of a cell are divided."""

    is_retrievable: bool
    weight: float
    #: What it has already, and keeps at least.
    studies: int = 1
    images: int = 0


def study(*, scale: int = 1, seed: int = SEED) -> tuple[StudySystem, ...]:
    """Return the 2,300 systems of September 2019.

    ``scale`` divides the studies and images of each, for quick tests. Raises ValueError for one of the few seeds that
    leave no room for the published sums.
    """
    return scaled(_fleet(seed), scale)


def scaled(systems: Sequence[StudySystem], scale: int) -> tuple[StudySystem, ...]:
    """Return the systems with their holdings divided, each keeping one study at least; whole if ``scale`` is 1."""
    if scale == 1:
        return tuple(systems)
    return tuple(_divided(system, scale) if system.studies else system for system in systems)


def _divided(system: StudySystem, scale: int) -> StudySystem:
    studies = _certain(max(1, system.studies // scale))
    patients = min(studies, _certain(max(1, system.patients // scale)))
    images = max(studies, system.images // scale)
    return replace(system, studies=studies, images=images, patients=patients)


@cache
def _fleet(seed: int) -> tuple[StudySystem, ...]:
    plan = plans(seed)
    members: dict[str, list[StudySystem]] = {row.country: [] for row in countries()}
    for cell in september(seed):
        members[cell.country] += _open(cell, dice(seed, f"open {cell.country} {cell.region}"))
    for system in _closed(plan, seed):
        members[system.country].append(system)
    found: list[StudySystem] = []
    for code, systems in members.items():
        chance = dice(seed, f"numbers {code}")
        complete = _with_second_doors(systems, plan.get(code), chance, seed)
        chance.shuffle(complete)
        found += [numbered(system, index, seed) for index, system in enumerate(complete)]
    return tuple(_with_webs(found, dice(seed, "web")))


# --- open systems -----------------------------------------------------------------------------------------------------


def _open(cell: Cell, chance: Random) -> list[StudySystem]:
    giving = _giving_away(cell)
    stakes = [
        Stake(is_retrievable=index < giving, weight=skewed(chance, _SPREAD))
        for index in range(cell.systems)
    ]
    largest = changes()[cell.country].largest_studies if cell.country in changes() else 0
    shares = shared_out(cell, stakes, chance, below=largest)
    return [
        replace(
            blank(cell.country, cell.region, behaviour(stake.is_retrievable, studies, chance)),
            studies=studies,
            images=images,
        )
        for stake, (studies, images) in zip(stakes, shares, strict=True)
    ]


def _giving_away(cell: Cell) -> int:
    """Return how many systems of a cell also give images away: more where more images are accessible."""
    if cell.accessible in (0, cell.images):
        return cell.systems if cell.accessible else 0
    drawn = round(cell.systems * (0.15 + 0.8 * cell.accessible / cell.images))
    return min(max(drawn, 1), cell.systems - 1)


def shared_out(
    cell: Cell, stakes: Sequence[Stake], chance: Random, *, below: int = 0, largest: int = 0
) -> list[tuple[int, int]]:
    """Return (studies, images) of each system; they add up to the cell.

    Every system has fewer studies than ``below``, where that is given; the one with the most before has exactly
    ``largest``. Raises ValueError where the sums cannot be met.
    """
    images = _images(cell, stakes)
    least = lowered(
        [min(stake.studies, own) for stake, own in zip(stakes, images, strict=True)], cell.studies
    )
    most = list(images)
    if below:
        bounds = (int((below - 1) * chance.uniform(0.7, 1.0)) for _ in stakes)
        most = [
            max(low, min(own, high)) for low, own, high in zip(least, images, bounds, strict=True)
        ]
    if largest:
        first = max(range(len(stakes)), key=lambda index: stakes[index].studies)
        least[first] = most[first] = largest
    weights = [own * chance.uniform(0.7, 1.4) for own in images]
    studies = undoubted(apportion(cell.studies, weights, least, most), least, most)
    return list(zip(studies, images, strict=True))


def _images(cell: Cell, stakes: Sequence[Stake]) -> list[int]:
    images = [0] * len(stakes)
    parts = ((True, cell.accessible), (False, cell.images - cell.accessible))
    for is_retrievable, total in parts:
        members = [i for i, stake in enumerate(stakes) if stake.is_retrievable is is_retrievable]
        if not members and total:
            raise ValueError(f"{cell.country} has no system for {total} images")
        floor = min(LEAST_IMAGES, total // (4 * max(1, len(members))))
        least = lowered([max(stakes[i].images, floor) for i in members], total)
        shares = apportion(total, [stakes[i].weight for i in members], least) if members else []
        for index, share in zip(members, shares, strict=True):
            images[index] = share
    return images


def lowered(least: Sequence[int], total: int) -> list[int]:
    """Return lower bounds that leave room in a total: made smaller where a published sum is below what was there."""
    if sum(least) <= total:
        return list(least)
    return [int(bound * total * 0.98 / sum(least)) for bound in least]


def behaviour(is_retrievable: bool, studies: int, chance: Random) -> Behaviour:
    """Draw how an open archive behaves."""
    if not is_retrievable:
        return Behaviour.QUERY_ONLY
    if studies < _CHATTY_UP_TO and chance.random() < _CHATTY_SHARE:
        return Behaviour.CHATTY
    return Behaviour.READ_ONLY if chance.random() < _READ_ONLY_SHARE else Behaviour.OPEN


# --- closed systems ---------------------------------------------------------------------------------------------------


def _closed(plan: dict[str, Plan], seed: int) -> list[StudySystem]:
    """Return the closed systems of all countries; each has enough of those that November needs."""
    chance = dice(seed, "closed")
    ways = [Behaviour(row.behaviour) for row in closed_ways() for _ in range(row.systems)]
    chance.shuffle(ways)
    needs = {code: own.method + own.opened for code, own in plan.items()}
    changing = [way for way in ways if way in CHANGING][: sum(needs.values())]
    others = list(ways)
    for way in changing:
        others.remove(way)
    listed = countries()
    least = [
        max(_LEAST_CLOSED if row.listed or row.country in plan else 1, needs.get(row.country, 0))
        for row in listed
    ]
    parts = apportion(len(ways), [float(row.seen) for row in listed], least)
    found = []
    for row, count in zip(listed, parts, strict=True):
        need = needs.get(row.country, 0)
        own = [changing.pop() for _ in range(need)] + [others.pop() for _ in range(count - need)]
        found += [
            _with_bait(blank(row.country, region(row.country, chance, seed), way), chance)
            for way in own
        ]
    return found


def region(country: str, chance: Random, seed: int) -> str:
    """Draw the part of a country that one more system of it stands in; "" where it has no parts."""
    cells = [cell for cell in september(seed) if cell.country == country]
    if len(cells) < 2:
        return ""
    return chance.choices([c.region for c in cells], [c.systems for c in cells])[0]


def _with_bait(system: StudySystem, chance: Random) -> StudySystem:
    """Honeypots and demonstrations show a few studies; nobody's."""
    if not system.is_set_apart:
        return system
    most = 900 if system.behaviour is Behaviour.HONEYPOT else 60
    studies = _certain(chance.randint(5, most))
    return replace(system, studies=studies, images=studies * chance.randint(2, 30))


def _with_second_doors(
    systems: list[StudySystem], plan: Plan | None, chance: Random, seed: int
) -> list[StudySystem]:
    """Put an open archive on a port that nobody asks in September beside some closed ones."""
    count = plan.method if plan else 0
    may = [index for index, system in enumerate(systems) if system.behaviour in CHANGING]
    chosen = set(chance.sample(may, count))
    return [
        _with_second_door(system, chance, seed) if index in chosen else system
        for index, system in enumerate(systems)
    ]


def _with_second_door(system: StudySystem, chance: Random, seed: int) -> StudySystem:
    port = chance.choice(month("november").method_ports)
    cell = cell_of(system, seed)
    studies = min(max(30, int(cell.studies / cell.systems * skewed(chance, 0.6) / 2)), 400_000)
    images = int(studies * cell.images / cell.studies * chance.uniform(0.7, 1.3))
    is_retrievable = cell.is_nearly_all_accessible or chance.random() < 0.6
    way = behaviour(is_retrievable, studies, chance)
    return replace(
        system,
        second_port=port,
        second_behaviour=Behaviour.TLS if port == 2762 else way,  # the port of DICOM over TLS
        studies=_certain(studies),
        images=max(images, studies + 1),
    )


def cell_of(system: StudySystem, seed: int) -> Cell:
    """Return the cell of September that a system belongs to; one of ordinary size where its country had none."""
    for cell in september(seed):
        if (cell.country, cell.region) == (system.country, system.region):
            return cell
    return Cell(country=system.country, systems=1, studies=6_000, images=180_000, accessible=90_000)


# --- names, addresses, software ---------------------------------------------------------------------------------------


def blank(country: str, region: str, way: Behaviour) -> StudySystem:
    """Return a system that has no address and no name yet."""
    return StudySystem(
        address="",
        country=country,
        region=region,
        site="",
        owner="",
        port=0,
        behaviour=way,
        asked=(),
        implementation_class_uid="",
        implementation_version_name="",
        is_drawn=next(row.is_drawn for row in countries() if row.country == country),
    )


def numbered(system: StudySystem, index: int, seed: int) -> StudySystem:
    """Give a system of a country its address, name, owner, port, software and patients."""
    network = [row.country for row in countries()].index(system.country) + _FIRST_NETWORK
    block, host = divmod(index, _HOSTS_PER_BLOCK)
    address = f"127.{network}.{block}.{host + _FIRST_HOST}"
    chance = dice(seed, address)
    port = chance.choices(_PORTS, _PORT_WEIGHTS)[0]
    class_uid, version_name = _identity(system, chance)
    # Owners have one to three systems each; the three of Malaysia belonged to one (published).
    is_one_owner = system.country == "MY" and system.behaviour in ANSWERING
    owner = 1 if is_one_owner else index * 2 // 3 + 2
    return replace(
        system,
        address=address,
        site=f"Site {system.country}-{index + 1:03}",
        owner=f"Owner {system.country}-{owner:03}",
        port=port,
        asked=(port,),
        implementation_class_uid=class_uid,
        implementation_version_name=version_name,
        patients=patients_of(system.studies, chance),
    )


def _identity(system: StudySystem, chance: Random) -> tuple[str, str]:
    if system.behaviour is Behaviour.DEMO:
        return _DEMO
    if system.behaviour is Behaviour.HONEYPOT:
        return _HONEYPOT
    known = toolkits()
    row = chance.choices(known, [toolkit.weight for toolkit in known])[0]
    # PS3.5 section B.2: a UID of one's own without a root.
    return row.class_uid or f"2.25.{chance.getrandbits(122)}", row.version_name


def patients_of(studies: int, chance: Random) -> int:
    """Draw how many patients so many studies belong to: three for ten, more or less."""
    ratio = chance.uniform(0.24, 0.36)
    return min(studies, _certain(max(1, round(studies * ratio)))) if studies else 0


def _certain(number: int) -> int:
    """Return a number that no auditor takes for a limit of the archive."""
    return number + 1 if is_doubted(number) else number


def _with_webs(systems: list[StudySystem], chance: Random) -> list[StudySystem]:
    """Put the viewers and file servers beside unprotected archives, those of published countries there."""
    totals = month("september")
    found = [index for index, system in enumerate(systems) if system.is_unprotected]
    chosen: dict[int, Web] = {}
    for row in countries():
        own = [index for index in found if systems[index].country == row.country]
        webs = [Web.VIEWER] * row.viewers + [Web.LISTING] * row.listings
        chosen |= dict(zip(chance.sample(own, len(webs)), webs, strict=True))
    kinds = [Web.VIEWER] * totals.viewers + [Web.LISTING] * totals.http_listings
    kinds += [Web.FTP] * (totals.file_servers - totals.http_listings)
    for web in chosen.values():
        kinds.remove(web)
    free = [index for index in found if index not in chosen]
    chosen |= dict(zip(chance.sample(free, len(kinds)), kinds, strict=True))
    return [
        _with_web(system, chosen[index], chance) if index in chosen else system
        for index, system in enumerate(systems)
    ]


def _with_web(system: StudySystem, web: Web, chance: Random) -> StudySystem:
    port = chance.choice(_WEB_PORTS[web])
    known = banners()
    row = chance.choices(known, [banner.weight for banner in known])[0]
    banner = "" if web is Web.FTP else row.server
    return replace(system, web=web, web_port=port, web_banner=banner, asked=(*system.asked, port))
