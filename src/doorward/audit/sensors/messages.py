"""What travels between a coordinator and its sensors: work and results, as bounded bytes.

Theory of operation: a message is a dataclass as JSON (``codec``), deflated. A coordinator names a system and what it wants
to know; who its owner is stays at home. A sensor answers with facts or a refusal. A result that is longer than the server
takes is cut into parts, between attempts. Whatever bytes come in: a message comes out, or one ConfigError.
"""

import re
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from ipaddress import ip_address
from typing import TypeVar

from doorward.audit.codec import attempt_from_json, attempt_to_json, from_json, to_json
from doorward.audit.facts import Attempt, SystemFacts
from doorward.audit.place import NOWHERE
from doorward.audit.roster import Visitee
from doorward.audit.scope import HIGHEST_LEVEL
from doorward.audit.system import SurveySettings
from doorward.audit.targets import Target
from doorward.errors import ConfigError
from doorward.limits import DEFAULT_LIMITS, Limits

T = TypeVar("T", "Work", "Result")

#: What NATS takes for one token of a subject, and no more of it: no dots, stars, spaces.
TOKEN = re.compile(r"[A-Za-z0-9_-]{1,64}")
#: A host as an operator names it; anything else is for no eyes and no certificate.
_HOST = re.compile(r"[A-Za-z0-9_.:-]{1,253}")
#: Twelve titles and a dozen ports are many; these are what a hostile coordinator may send.
_MOST_TITLES = 64
#: What one part needs beside its attempts.
_FRAME_BYTES = 2_048


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """One system that a sensor is to visit, and how."""

    scan: str
    number: int
    #: Names this issue of the work: the same system handed out anew after a loss has another one.
    issue: str
    target: Target
    address: str
    clearance_level: int
    ports: tuple[int, ...]
    called_ae_titles: tuple[str, ...] = ()
    given_calling: str | None = None
    try_default_credentials: bool = False
    discovers: bool = False
    estimate: bool = False
    #: What was answered before and is not asked again.
    answered: tuple[Attempt, ...] = ()
    #: Seconds without a sign of life after which another sensor gets it.
    lease_s: float = DEFAULT_LIMITS.sensor_lease_s

    def check(self, limits: Limits = DEFAULT_LIMITS) -> None:
        """Raise ConfigError for work that no coordinator of ours hands out."""
        titles = (*self.called_ae_titles, *self.target.called_ae_titles)
        callings = filter(None, (self.given_calling, self.target.calling_ae_title))
        ports = (*self.ports, *(self.target.ports or ()))
        for name, is_right in (
            ("scan", TOKEN.fullmatch(self.scan) is not None),
            ("issue", TOKEN.fullmatch(self.issue) is not None),
            ("number", self.number >= 0),
            ("address", _is_numeric(self.address)),
            ("target.host", _HOST.fullmatch(self.target.host) is not None),
            ("clearance_level", 1 <= self.clearance_level <= HIGHEST_LEVEL),
            ("ports", bool(ports) and all(0 < port < 65_536 for port in ports)),
            ("ports", len(ports) <= 2 * limits.ports_per_target),
            ("called_ae_titles", len(titles) <= _MOST_TITLES and all(map(_is_title, titles))),
            ("calling_ae_title", all(map(_is_title, callings))),
            ("lease_s", 0.1 <= self.lease_s <= 86_400),
        ):
            if not is_right:
                raise ConfigError("is not what work can hold", field=name)

    def settings(self, own: SurveySettings) -> SurveySettings:
        """Return how to ask: what the coordinator wants, never more than the sensor's own settings allow."""
        return replace(
            own,
            clearance_level=min(own.clearance_level, self.clearance_level),
            ports=self.ports,
            called_ae_titles=self.called_ae_titles,
            given_calling=self.given_calling,
            try_default_credentials=own.try_default_credentials and self.try_default_credentials,
            discovers=self.discovers,
            estimate=self.estimate,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What became of the work: all facts, a part of them, or why nobody was asked."""

    scan: str
    number: int
    address: str
    #: Names the visit, so that parts of two visits are never mixed.
    visit: str
    part: int = 1
    parts: int = 1
    refusal: str = ""
    facts: SystemFacts | None = None


def work_of(
    visitee: Visitee, settings: SurveySettings, *, scan: str, issue: str, lease_s: float
) -> Work:
    """Return the work of one visitee; what the inventory says about its owner is left out."""
    target = visitee.target
    return Work(
        scan=scan,
        number=visitee.number,
        issue=issue,
        target=replace(target, place=NOWHERE),
        address=visitee.address,
        clearance_level=settings.clearance_level,
        ports=settings.ports,
        called_ae_titles=settings.called_ae_titles,
        given_calling=settings.given_calling,
        try_default_credentials=settings.try_default_credentials,
        discovers=settings.discovers,
        estimate=settings.estimate,
        answered=visitee.answered,
        lease_s=lease_s,
    )


def pack(message: Work | Result) -> bytes:
    """Return a message as bytes."""
    return zlib.compress(to_json(message).encode())


def unpack(form: type[T], content: bytes, *, limits: Limits = DEFAULT_LIMITS) -> T:
    """Return the message of anybody's bytes, inflated to ``limits.sensor_message_bytes`` at most; raises ConfigError."""
    most = limits.sensor_message_bytes
    inflater = zlib.decompressobj()
    try:
        text = inflater.decompress(content, most)
    except zlib.error:
        raise ConfigError("is no message of Doorward") from None
    if not inflater.eof:
        raise ConfigError(f"is cut off, or longer than {most:,} bytes")
    message = from_json(form, text, limits=replace(limits, answer_bytes=most))
    if isinstance(message, Work):
        message.check(limits)
    elif not 1 <= message.part <= message.parts <= limits.sensor_parts:
        raise ConfigError("is no part of a result", field="part")
    return message


def packed_parts(
    result: Result, payload_bytes: int, *, limits: Limits = DEFAULT_LIMITS
) -> list[bytes]:
    """Return a result as messages of at most ``payload_bytes`` each, nearly always one.

    An answer that alone is longer than a message loses its facts and becomes inconclusive.
    """
    most = min(payload_bytes, limits.sensor_message_bytes)
    text = to_json(result).encode()
    whole = zlib.compress(text)
    if result.facts is None or (
        len(text) <= min(limits.answer_bytes, limits.sensor_message_bytes) and len(whole) <= most
    ):
        return [whole]
    bounded = replace(limits, answer_bytes=min(limits.answer_bytes, limits.sensor_message_bytes))
    short = replace(limits, answer_bytes=max(most - _FRAME_BYTES, _FRAME_BYTES))
    attempts = [_bounded(one, bounded, short, most) for one in result.facts.attempts]
    pieces = list(_pieces(attempts, most, limits))
    while len(pieces) > limits.sensor_parts:
        pieces[-2:] = [_without_facts([*pieces[-2], *pieces[-1]])]
    return [
        pack(
            replace(
                result,
                part=number,
                parts=len(pieces),
                facts=replace(result.facts, attempts=tuple(piece)),
            )
        )
        for number, piece in enumerate(pieces, start=1)
    ]


def _bounded(attempt: Attempt, bounded: Limits, short: Limits, most: int) -> Attempt:
    """Return an attempt that fits into one message, by losing its facts where it must."""
    text = attempt_to_json(attempt, limits=bounded)
    if len(zlib.compress(text.encode())) > most - _FRAME_BYTES:
        text = attempt_to_json(attempt, limits=short)
    return attempt_from_json(text)


def _pieces(attempts: Sequence[Attempt], most: int, limits: Limits) -> Iterator[Sequence[Attempt]]:
    """Yield runs of attempts, each of which fits into one message."""
    facts = SystemFacts(address="", name="", clearance_level=0, attempts=tuple(attempts))
    text = to_json(facts).encode()
    fits = (
        len(text) <= limits.sensor_message_bytes - _FRAME_BYTES
        and len(zlib.compress(text)) <= most - _FRAME_BYTES
    )
    if fits or len(attempts) <= 1:
        yield attempts
        return
    half = len(attempts) // 2
    yield from _pieces(attempts[:half], most, limits)
    yield from _pieces(attempts[half:], most, limits)


def _without_facts(attempts: Sequence[Attempt]) -> list[Attempt]:
    """More parts than anybody may send: the last answers are given up, which is never a pass."""
    nothing = replace(DEFAULT_LIMITS, answer_bytes=1)
    return [attempt_from_json(attempt_to_json(one, limits=nothing)) for one in attempts]


def _is_numeric(address: str) -> bool:
    try:
        return not getattr(ip_address(address), "scope_id", None)
    except ValueError:
        return False


def _is_title(title: str) -> bool:
    """PS3.5 section 6.2, AE: 16 characters at most, no backslash, no control character."""
    return 0 < len(title) <= 16 and title.isascii() and title.isprintable() and "\\" not in title
