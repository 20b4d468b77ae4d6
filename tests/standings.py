"""Standings in one line each: systems of a survey as the sums and comparisons see them. All invented."""

from doorward.audit.facts import UNKNOWN_COUNT, Count, Exactness
from doorward.audit.place import Place
from doorward.audit.standing import Standing
from doorward.audit.verdict import Counts

EXACT, AT_LEAST = Exactness.EXACT_ENUMERATED, Exactness.AT_LEAST


def count(value: int | None, exactness: Exactness = EXACT) -> Count:
    if value is None:
        return UNKNOWN_COUNT
    return Count(value=value, exactness=exactness, method="counted")


def counts(
    studies: int | None, images: int | None = None, *, taken=True, exactness=EXACT
) -> Counts:
    pictures = count(images if images is not None else studies and studies * 10, exactness)
    return Counts(
        patients=count(studies, exactness),
        studies=count(studies, exactness),
        images=pictures,
        images_downloadable=pictures if taken else count(0),
    )


def _standing(address: str, country: str, **more) -> Standing:
    values = {"name": "", "grade": "not rated", "score": None, "rungs": (), **more}
    return Standing(address=address, place=Place(country=country), **values)


def unprotected(address: str, country="DE", *, studies=10, port=104, ports=(), **more) -> Standing:
    """Serves studies at one port; ``ports`` are those that were asked."""
    values = {
        "grade": "F",
        "score": 0,
        "rungs": ("E1", "E2", "E3", "E4", "E5", "E6"),
        "is_unprotected": True,
        "is_downloadable": True,
        "counts": counts(studies),
        "ports_asked": ports or (port,),
        "ports_unprotected": (port,),
        "ports_shut": tuple(p for p in ports if p != port),
        **more,
    }
    return _standing(address, country, **values)


def honeypot(address: str, country="DE", **more) -> Standing:
    """Serves studies, and looks like a honeypot."""
    return unprotected(address, country, is_suspected=True, **more)


def shut(address: str, country="DE", *, ports=(104,), **more) -> Standing:
    """Answers, and turns strangers away at every port."""
    return _standing(
        address, country, rungs=("E1", "E2"), ports_asked=ports, ports_shut=ports, **more
    )


def refused(address: str, country="DE", *, ports=(104,)) -> Standing:
    """Every port is closed: nobody is there."""
    return _standing(address, country, ports_asked=ports, ports_shut=ports, is_tested=False)


def filtered(address: str, country="DE", *, ports=(104,), **more) -> Standing:
    """No connection came about."""
    values = {"rungs": ("E0",), "is_tested": False, "is_silent": True, **more}
    return _standing(address, country, ports_asked=ports, ports_silent=ports, **values)


def unsettled(address: str, country="DE", *, ports=(104,), **more) -> Standing:
    """Somebody is there and said nothing that settles it: congestion, silence, a question that was not allowed."""
    values = {"rungs": ("E1",), "is_tested": False, "is_silent": True, **more}
    return _standing(address, country, ports_asked=ports, **values)
