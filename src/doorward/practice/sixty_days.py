"""The repeat of November 2019: the same fleet sixty days later, and what a comparison of the two must say.

Theory of operation: who is gone, who is new and why is drawn per country (``study_numbers.plans``) so that the published
differences come out: 172 gone, 129 new, 11 countries clean, 9 new ones. What stays grows; the growth is what the
published totals of November leave, divided like the sums of September. "New" has three reasons, kept apart: a door that was
closed stands open, an address is on the list for the first time, or the archive stood open all the time on a port
that nobody had asked: that one is no news, only a better method.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from random import Random

from doorward.practice.apportion import apportion
from doorward.practice.study_2019 import (
    CHANGING,
    LEAST_IMAGES,
    Stake,
    behaviour,
    blank,
    cell_of,
    lowered,
    numbered,
    patients_of,
    region,
    scaled,
    shared_out,
    study,
)
from doorward.practice.study_numbers import (
    SEED,
    Cell,
    Plan,
    changes,
    dice,
    month,
    plans,
    regions,
    september,
    skewed,
)
from doorward.practice.study_system import Behaviour, StudySystem, Web

#: How systems go: nothing listens any more, or nothing comes back.
_GONE, _GONE_WEIGHTS = (Behaviour.REFUSED, Behaviour.FILTERED), (7, 3)
_LEAST_STUDIES, _LEAST_IMAGES = 30, 2_000
_Key = tuple[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Differences:
    """What comparing the two surveys must say: addresses, and countries."""

    still_open: frozenset[str]
    gone: frozenset[str]
    #: Closed in September, and asked then.
    newly_open: frozenset[str]
    #: On no list in September.
    newly_listed: frozenset[str]
    #: Open in September already, on a port that was not asked.
    by_method: frozenset[str]
    clean_countries: frozenset[str]
    new_countries: frozenset[str]

    @property
    def new(self) -> frozenset[str]:
        """All that November found and September did not."""
        return self.newly_open | self.newly_listed | self.by_method


def sixty_days_later(*, scale: int = 1, seed: int = SEED) -> tuple[StudySystem, ...]:
    """Return the fleet of November 2019: that of ``study`` with the same seed, changed.

    ``scale`` divides the studies and images of each. Raises ValueError for one of the few seeds that leave no room for the
    published sums.
    """
    return scaled(_fleet(seed), scale)


def differences(before: Sequence[StudySystem], after: Sequence[StudySystem]) -> Differences:
    """Compare two fleets by what their surveys can see; pure."""
    first = {system.address: system for system in before}
    open_before = {system.address for system in before if system.is_unprotected}
    open_after = {system.address: system for system in after if system.is_unprotected}
    new = {address: system for address, system in open_after.items() if address not in open_before}
    listed = {address for address in new if address not in first}
    method = {
        address
        for address, system in new.items()
        if address in first and system.archive_port not in first[address].asked
    }
    countries_before = {first[address].country for address in open_before}
    countries_after = {system.country for system in open_after.values()}
    return Differences(
        still_open=frozenset(open_before & open_after.keys()),
        gone=frozenset(open_before - open_after.keys()),
        newly_open=frozenset(new.keys() - listed - method),
        newly_listed=frozenset(listed),
        by_method=frozenset(method),
        clean_countries=frozenset(countries_before - countries_after),
        new_countries=frozenset(countries_after - countries_before),
    )


@cache
def _fleet(seed: int) -> tuple[StudySystem, ...]:
    members: dict[str, list[StudySystem]] = {}
    for system in study(seed=seed):
        members.setdefault(system.country, []).append(system)
    for code, plan in plans(seed).items():
        members[code] = _changed(members[code], plan, seed)
    everything = [system for systems in members.values() for system in systems]
    return tuple(_grown(everything, seed))


# --- who ends and who begins ------------------------------------------------------------------------------------------


def _changed(systems: Sequence[StudySystem], plan: Plan, seed: int) -> list[StudySystem]:
    """Return the systems of a country as they stand in November; what is new holds nothing yet."""
    chance = dice(seed, f"november {plan.country}")
    gone = _gone(systems, plan, chance)
    closed = [
        system.address
        for system in systems
        if system.behaviour in CHANGING and not system.second_port
    ]
    opened = set(chance.sample(closed, plan.opened))
    found = []
    for system in systems:
        if system.address in gone:
            found.append(_ended(system, chance))
        elif system.address in opened:
            found.append(replace(system, behaviour=_opened(system, chance, seed)))
        elif system.second_port:
            found.append(replace(system, asked=(*system.asked, system.second_port)))
        else:
            found.append(system)
    for index in range(len(systems), len(systems) + plan.listed):
        fresh = blank(plan.country, region(plan.country, chance, seed), Behaviour.OPEN)
        found.append(numbered(replace(fresh, behaviour=_opened(fresh, chance, seed)), index, seed))
    return found


def _gone(systems: Sequence[StudySystem], plan: Plan, chance: Random) -> set[str]:
    found = sorted((s for s in systems if s.is_unprotected), key=lambda s: (-s.images, s.address))
    known = changes().get(plan.country)
    first = known.largest_gone if known else 0
    drawn = chance.sample(found[first:], plan.gone - first)
    return {system.address for system in (*found[:first], *drawn)}


def _ended(system: StudySystem, chance: Random) -> StudySystem:
    """The machine is offline, its web server with it; it stays on the list."""
    return replace(
        system,
        behaviour=chance.choices(_GONE, _GONE_WEIGHTS)[0],
        studies=0,
        images=0,
        patients=0,
        web=Web.NONE,
        web_port=0,
        web_banner="",
    )


def _opened(system: StudySystem, chance: Random, seed: int) -> Behaviour:
    is_retrievable = cell_of(system, seed).is_nearly_all_accessible or chance.random() < 0.6
    return behaviour(is_retrievable, 10_000, chance)


# --- what they hold ---------------------------------------------------------------------------------------------------


def _grown(systems: Sequence[StudySystem], seed: int) -> list[StudySystem]:
    """Return the systems with the holdings of November."""
    members: dict[_Key, list[int]] = {}
    for index, system in enumerate(systems):
        if system.is_unprotected:
            members.setdefault((system.country, system.region), []).append(index)
    parts = {key: [systems[index] for index in own] for key, own in members.items()}
    cells = november(parts, seed)
    # The one archive of which a number was published is the largest of all.
    most = max(row.largest_studies for row in changes().values())
    found = list(systems)
    for key, own in members.items():
        chance = dice(seed, f"growth {key}")
        stakes = [_stake(systems[index], seed, chance) for index in own]
        known = changes().get(key[0])
        largest = known.largest_studies if known else 0
        shares = shared_out(cells[key], stakes, chance, below=most, largest=largest)
        for index, (studies, images) in zip(own, shares, strict=True):
            found[index] = replace(
                systems[index],
                studies=studies,
                images=images,
                patients=_patients(systems[index], studies, seed),
            )
    return found


def _stake(system: StudySystem, seed: int, chance: Random) -> Stake:
    """What was there stays at least; what is new is of the size that is usual in its country."""
    cell = cell_of(system, seed)
    usual = system.images or cell.images / cell.systems * skewed(chance, 0.8)
    return Stake(
        is_retrievable=system.is_retrievable,
        weight=usual * skewed(chance, 0.3),
        studies=max(1, system.studies),
        images=system.images,
    )


def _patients(system: StudySystem, studies: int, seed: int) -> int:
    """As many more as there are more studies."""
    chance = dice(seed, f"patients {system.address}")
    if not system.studies:
        return patients_of(studies, chance)
    return min(studies, max(system.patients, studies * system.patients // system.studies))


def november(members: Mapping[_Key, Sequence[StudySystem]], seed: int = SEED) -> dict[_Key, Cell]:
    """Return the cells of November over its unprotected systems; they add up to the published totals."""
    totals, chance = month("november"), dice(seed, "november")
    keys = sorted(members)
    studies = _sums(
        keys,
        {key: sum(s.studies for s in members[key]) for key in keys},
        {key: _usual(members[key], seed, "studies", chance) for key in keys},
        {key: len(members[key]) * _LEAST_STUDIES for key in keys},
        _known(keys, "studies"),
        totals.studies,
    )
    images = _sums(
        keys,
        {key: sum(s.images for s in members[key]) for key in keys},
        {key: _usual(members[key], seed, "images", chance) for key in keys},
        {key: max(studies[key] * 4, len(members[key]) * _LEAST_IMAGES) for key in keys},
        _known(keys, "images"),
        totals.images,
    )
    accessible = _accessible(members, images, totals.accessible, seed)
    return {
        key: Cell(
            country=key[0],
            region=key[1],
            systems=len(members[key]),
            studies=studies[key],
            images=images[key],
            accessible=accessible[key],
        )
        for key in keys
    }


def _usual(systems: Sequence[StudySystem], seed: int, field: str, chance: Random) -> float:
    """Return the weight of a cell in the growth: what its systems have, or would have in September."""
    cells = [cell_of(system, seed) for system in systems]
    amounts = [
        getattr(system, field) or getattr(cell, field) / cell.systems
        for system, cell in zip(systems, cells, strict=True)
    ]
    return float(sum(amounts)) * skewed(chance, 0.25)


def _known(keys: Sequence[_Key], field: str) -> dict[_Key, int]:
    """Return the published values: of parts of countries, and of countries less their parts."""
    parts = {
        (row.country, row.region): int(getattr(row, f"november_{field}"))
        for row in regions()
        if (row.country, row.region) in keys
    }
    found = dict(parts)
    for code, row in changes().items():
        value = int(getattr(row, field))
        if value:
            found[code, ""] = value - sum(own for key, own in parts.items() if key[0] == code)
    return found


def _sums(
    keys: Sequence[_Key],
    before: Mapping[_Key, int],
    weights: Mapping[_Key, float],
    floor: Mapping[_Key, int],
    known: Mapping[_Key, int],
    total: int,
) -> dict[_Key, int]:
    """Return the sum of each cell: the known ones, and the rest divided; nothing that stays shrinks."""
    others = [key for key in keys if key not in known]
    rest = total - sum(known.values())
    least = lowered([max(before[key], floor[key]) for key in others], rest)
    parts = apportion(rest, [weights[key] for key in others], least)
    return {**known, **dict(zip(others, parts, strict=True))}


def _accessible(
    members: Mapping[_Key, Sequence[StudySystem]],
    images: Mapping[_Key, int],
    total: int,
    seed: int,
) -> dict[_Key, int]:
    """Divide the accessible images within what each cell's systems allow."""
    keys = sorted(members)
    nearly_all = {
        (cell.country, cell.region) for cell in september(seed) if cell.is_nearly_all_accessible
    }
    least, most = [], []
    for key in keys:
        giving = [system for system in members[key] if system.is_retrievable]
        others = [system for system in members[key] if not system.is_retrievable]
        kept = sum(max(system.images, LEAST_IMAGES) for system in giving)
        # Where one of the two sorts has no system, all images are of the other sort.
        reserve = sum(max(system.images, LEAST_IMAGES) for system in others)
        high = images[key] - min(reserve, images[key] * 9 // 10) if giving else 0
        low = high if key in nearly_all or not others else min(kept, high)
        least.append(low)
        most.append(high)
    weights = [float(images[key]) for key in keys]
    return dict(zip(keys, apportion(total, weights, least, most), strict=True))
