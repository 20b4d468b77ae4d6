"""The systems of a practice study as archives to start: what each is, becomes a persona with its doors and its holding.

Theory of operation: one system, one archive; the names of behaviours are those of personas. An archive whose first
port is closed and whose second is open has its holding behind both, and nobody is shown it at the first.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace

from doorward.net.silent_port import refusing_port
from doorward.practice.holding import MOST_SEED, Holding
from doorward.practice.personas import FTP, PERSONAS, WEB_SPEAKERS, Persona
from doorward.practice.settings import ArchiveSettings, Door
from doorward.practice.sixty_days import sixty_days_later
from doorward.practice.study_2019 import study
from doorward.practice.study_system import StudySystem, Sums, Truth, Web, unprivileged

#: What can be started by name: scale -> systems.
STUDIES: Mapping[str, Callable[[int], tuple[StudySystem, ...]]] = {
    "study-2019": lambda scale: study(scale=scale),
    "sixty-days-later": lambda scale: sixty_days_later(scale=scale),
}
DESCRIPTIONS: Mapping[str, str] = {
    "study-2019": "The study of September 2019 as a fleet: 2,300 systems in all countries.",
    "sixty-days-later": "The same systems in November 2019.",
}
_WEBS = {Web.VIEWER: PERSONAS["viewer"], Web.LISTING: PERSONAS["listing"], Web.FTP: FTP}


def openable(systems: tuple[StudySystem, ...]) -> tuple[StudySystem, ...]:
    """Return the systems as they are, or with other ports below 1024 where this user may not open those."""
    lowest = min(systems, key=lambda system: system.port)
    try:
        with refusing_port(lowest.address, lowest.port):
            return systems
    except PermissionError:
        return unprivileged(systems)
    except OSError:
        return systems  # taken, or no such address: who opens it says so


def archives(systems: Iterable[StudySystem]) -> tuple[ArchiveSettings, ...]:
    """Return one archive for each system, in their order."""
    return tuple(archive(system, index) for index, system in enumerate(systems))


def archive(system: StudySystem, index: int) -> ArchiveSettings:
    """Return the archive of one system; its ``index`` in the fleet seeds the names and UIDs of its holding."""
    return ArchiveSettings(
        persona=_persona(system, system.behaviour),
        address=system.address,
        port=system.port,
        holding=Holding(
            studies=system.studies,
            images_total=system.images,
            patients=system.patients,
            seed=index % MOST_SEED + 1,
        ),
        doors=tuple(_doors(system)),
    )


def _doors(system: StudySystem) -> Iterator[Door]:
    if system.second_port:
        persona = _persona(system, system.second_behaviour)
        yield Door(port=system.second_port, persona=persona)
    if system.web is not Web.NONE:
        persona = _WEBS[system.web]
        banner = system.web_banner or persona.banner
        yield Door(port=system.web_port, persona=replace(persona, banner=banner))


def _persona(system: StudySystem, behaviour: str) -> Persona:
    """Return the persona of a behaviour under the names of the system's own toolkit."""
    persona = PERSONAS[behaviour]
    if persona.speaks in WEB_SPEAKERS:
        return replace(persona, banner=system.web_banner or persona.banner)
    if not system.implementation_class_uid:
        return persona
    return replace(
        persona,
        implementation_class_uid=system.implementation_class_uid,
        implementation_version_name=system.implementation_version_name,
    )


def table(found: Truth) -> Iterator[str]:
    """Yield a line for each country with what a survey must find there, and one for all."""
    rows = [*found.countries.items(), ("all", found.total)]
    cells = [(code, *_cells(sums)) for code, sums in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for code, *numbers in cells:
        first = code.ljust(widths[0])
        rest = (
            f"{word} {number:>{width}}"
            for word, number, width in zip(_WORDS, numbers, widths[1:], strict=True)
        )
        yield "  ".join((first, *rest))


_WORDS = ("systems", "unprotected", "studies", "images", "downloadable")


def _cells(sums: Sums) -> tuple[str, ...]:
    numbers = (sums.systems, sums.unprotected, sums.studies, sums.images, sums.images_retrievable)
    return tuple(f"{number:,}" for number in numbers)
