"""What a client accepts, and which form of an answer that is (RFC 9110 section 12.5.1, PS3.18 section 8.7).

Theory of operation. ``parse_accept`` reads the header into ranges; a range of ``multipart/related`` stands for the type of
its parts. ``select`` is given the forms that an answer can have, the cheapest first, and returns the first one that the
client likes best: by quality, then by our order, since the order of a header says nothing (RFC 9110).

A range without a transfer syntax asks for the default of its media type (PS3.18 section 8.7.3): such forms say ``is_default``.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby

from doorward.errors import LimitExceeded, PeerProtocolError
from doorward.limits import DEFAULT_LIMITS, Limits

DICOM = "application/dicom"
DICOM_JSON = "application/dicom+json"
JSON = "application/json"
OCTETS = "application/octet-stream"
_MULTIPART = "multipart/related"
_NAME = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_TYPE = re.compile(rf"\s*({_NAME}/{_NAME})\s*", re.ASCII)
#: Values with a slash are met without the quotation marks that they need.
_PARAMETER = re.compile(rf';\s*({_NAME})\s*=\s*("(?:[^"\\]|\\.)*"|[^\s;,"]*)\s*', re.ASCII)
_QUALITY = re.compile(r"0(\.\d{0,3})?|1(\.0{0,3})?", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaRange:
    """One element of an Accept header. ``media_type`` is that of the parts where it ``is_multipart``."""

    media_type: str
    is_multipart: bool = False
    #: "" where none is named, "*" for any
    transfer_syntax: str = ""
    quality: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """One form that an answer can have. ``is_default``: what is meant where no transfer syntax is named."""

    media_type: str
    is_multipart: bool = False
    transfer_syntax: str = ""
    is_default: bool = True


ANYTHING = (MediaRange(media_type="*/*"),)


def parse_accept(text: str, limits: Limits = DEFAULT_LIMITS) -> tuple[MediaRange, ...]:
    """Return the ranges of a header; anything where it is empty.

    Raises PeerProtocolError where it is none, LimitExceeded (``accept_bytes``).
    """
    if len(text) > limits.accept_bytes:
        raise LimitExceeded(limit="accept_bytes", value=limits.accept_bytes, seen=len(text))
    ranges: list[MediaRange] = []
    at = 0
    while at < len(text):
        if text[at] in ", \t":
            at += 1
            continue
        at, one = _range_at(text, at)
        ranges.append(one)
        if at < len(text) and text[at] != ",":
            raise _malformed()
    return tuple(ranges) or ANYTHING


def _range_at(text: str, at: int) -> tuple[int, MediaRange]:
    match = _TYPE.match(text, at)
    if match is None:
        raise _malformed()
    media_type, at = match[1].lower(), match.end()
    parameters: dict[str, str] = {}
    while (match := _PARAMETER.match(text, at)) is not None:
        value = match[2]
        if value.startswith('"'):
            value = re.sub(r"\\(.)", r"\1", value[1:-1])
        parameters.setdefault(match[1].lower(), value)
        at = match.end()
    quality = parameters.get("q", "1")
    if not _QUALITY.fullmatch(quality):
        raise _malformed()
    is_multipart = media_type == _MULTIPART
    return at, MediaRange(
        media_type=parameters.get("type", "*/*").lower() if is_multipart else media_type,
        is_multipart=is_multipart,
        transfer_syntax=parameters.get("transfer-syntax", ""),
        quality=float(quality),
    )


def select(ranges: Iterable[MediaRange], forms: Sequence[Form]) -> Form | None:
    """Return the best of the forms; None where none is acceptable (406)."""
    wanted = sorted((r for r in ranges if r.quality > 0), key=lambda r: -r.quality)
    for _, group in groupby(wanted, key=lambda r: r.quality):
        alike = list(group)
        for form in forms:
            if any(_is_in(form, one) for one in alike):
                return form
    return None


def _is_in(form: Form, one: MediaRange) -> bool:
    # Anything at all may be in parts or not; every other range says which.
    is_anything = one.media_type == "*/*" and not one.is_multipart
    if one.is_multipart != form.is_multipart and not is_anything:
        return False
    kind, _, name = one.media_type.partition("/")
    is_like = name == "*" and form.media_type.startswith(f"{kind}/")
    if kind != "*" and one.media_type != form.media_type and not is_like:
        return False
    if not one.transfer_syntax:
        return form.is_default
    return one.transfer_syntax in ("*", form.transfer_syntax)


def _malformed() -> PeerProtocolError:
    return PeerProtocolError(
        "it is no list of media ranges", field="Accept", source="RFC 9110 section 12.5.1"
    )
