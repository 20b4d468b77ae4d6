"""What became of one documented default login: its result and nothing else."""

from dataclasses import dataclass
from enum import StrEnum


class Login(StrEnum):
    """What the one attempt was told."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    UNCLEAR = "unclear"  # an answer that says neither
    NOT_TRIED = "not_tried"  # the product was not recognised, or it asks for no login


@dataclass(frozen=True, slots=True, kw_only=True)
class CredentialFacts:
    """One product at one port. The user's name is that of the product's own documents."""

    product: str
    key: str
    user: str
    result: Login
    over_tls: bool
