"""What is in force: who is known, which rules hold, where images may go."""

from collections.abc import Mapping
from dataclasses import dataclass

from doorward.access.identity import Register
from doorward.access.rules import Rules
from doorward.archive.giving import Destination


@dataclass(frozen=True, slots=True, kw_only=True)
class InForce:
    """What may change while the archive runs; a new value takes the place of the old one as a whole."""

    ae_title: str
    register: Register
    rules: Rules
    #: AE title -> where a C-MOVE to it goes.
    destinations: Mapping[str, Destination]
    #: Whether a user name with a passcode, or a JSON Web Token, is looked at inside TLS (PS3.7 section D.3.3.7).
    takes_user_identity: bool = False
