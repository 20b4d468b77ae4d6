"""How long things take, told to whoever watches. Nobody does until somebody puts a function here; it must be quick."""

from collections.abc import Callable
from dataclasses import dataclass

#: Called with seconds, in whatever thread.
Told = Callable[[float], None]


def _nobody(_: float) -> None:
    return


@dataclass(slots=True)
class Timings:
    """Whom to tell what."""

    #: One instance, from the first byte to its success, with the time that its sender takes.
    ingest: Told = _nobody
    #: The last part of it: from the last byte until blob, index and journal are on the disk.
    durable: Told = _nobody
    #: One query, until its first page is found and recorded.
    query: Told = _nobody
